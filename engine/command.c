/*
 * command.c - what workflow code asks for becomes an event: written in a live turn, matched in replay, applied in both.
 *
 * Bounds here: commands per turn, no-op commands after a failure, open commands. Does not know single constructs: wf_*.c do.
 */
#include <stdio.h>
#include <string.h>

#include "engine/parts.h"

#define SPARE_BYTES_MAX (64u << 10)

void pw_emit_begin(pw_emit *e, pw_live *live)
{
    pw_buf *spare = &live->core->spare_fields;
    *e = (pw_emit){.live = live, .fields = *spare};
    e->fields.bytes_max = PW_RECORD_BYTES_MAX;
    pw_buf_init(spare, 0);
}

void pw_emit_str(pw_emit *e, const char *key, const char *text)
{
    if (text != NULL && text[0] != 0) {
        pw_mp_str(&e->fields, key);
        pw_mp_str(&e->fields, text);
        e->len++;
    }
}

/* Not in the middle of a character. */
static size_t cut(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);
    if (size > max) {
        for (size = max; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80; size--) {
        }
    }
    return size;
}

void pw_emit_text(pw_emit *e, const char *key, const char *text)
{
    size_t size = text != NULL ? cut(text, PW_TEXT_BYTES_MAX) : 0;
    if (size > 0) {
        pw_mp_str(&e->fields, key);
        pw_mp_strn(&e->fields, text, size);
        e->len++;
    }
}

void pw_emit_int(pw_emit *e, const char *key, int64_t n)
{
    pw_mp_str(&e->fields, key);
    pw_mp_int(&e->fields, n);
    e->len++;
}

void pw_emit_opt(pw_emit *e, const char *key, int64_t n)
{
    if (n != 0) {
        pw_emit_int(e, key, n);
    }
}

void pw_emit_uint(pw_emit *e, const char *key, uint64_t n)
{
    pw_mp_str(&e->fields, key);
    pw_mp_uint(&e->fields, n);
    e->len++;
}

void pw_emit_num(pw_emit *e, const char *key, double n)
{
    pw_mp_str(&e->fields, key);
    pw_mp_double(&e->fields, n);
    e->len++;
}

void pw_emit_value(pw_emit *e, const char *key, pw_view value)
{
    if (value.size == 0 || (value.size == 1 && value.data[0] == 0xc0)) {
        return;
    }
    pw_mp_str(&e->fields, key);
    pw_put_value(e->live->core, e->live->batch, &e->fields, value);
    e->len++;
}

void pw_emit_failure(pw_emit *e, const char *key, const pawl_failure *f)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf buf = PW_BUF_INIT;
    pw_failure_write(&buf, f, 0);
    pw_emit_value(e, key, (pw_view){buf.data, buf.size});
    e->fields.failed |= buf.failed;
}

void pw_emit_drop(pw_emit *e)
{
    pw_buf *spare =
        &e->live->core->spare_fields; /* one buffer serves most events, one after the other */
    if (spare->data == NULL && e->fields.capacity <= SPARE_BYTES_MAX) {
        *spare = e->fields;
        pw_buf_reset(spare);
    } else {
        pw_buf_deinit(&e->fields);
    }
}

bool pw_emit_end(pw_emit *e, pw_event_type type, int64_t cmd)
{
    bool ok = !e->fields.failed;
    if (ok) {
        ok = pw_event_put_fields(e->live, type, cmd, (pw_view){e->fields.data, e->fields.size},
                                 e->len);
    } else {
        e->live->record->failed = true;
        e->live->record->full |= e->fields.full;
    }
    pw_emit_drop(e);
    return ok;
}

/* ---- bounds ---- */

#define PW_SITE_MAX 120

/* " at release.c:40", or nothing. */
static const char *site_text(char ret[PW_SITE_MAX], const char *file, int line)
{
    const char *base = file != NULL ? strrchr(file, '/') : NULL;
    ret[0] = 0;
    if (file != NULL) {
        (void)snprintf(ret, PW_SITE_MAX, " at %.80s:%d", base != NULL ? base + 1 : file, line);
    }
    return ret;
}

/* An abandoned branch never comes back from here; a folded run has no stack to leave. */
static void leave(pawl_run *w)
{
    if (w->fiber != NULL) {
        pw_fiber_yield(w->fiber);
    }
}

/* Nothing the code does after an allocation failed counts: it does not go on. */
void pw_leave_lost(pawl_run *w)
{
    w->live->abandoned = true;
    leave(w);
}

bool pw_blocked(pawl_run *w)
{
    if (pw_turn_lost(w->live)) {
        pw_leave_lost(w);
        return true;
    }
    if (w->failure == NULL) {
        return false;
    }
    if (++w->noops > PW_NOOP_COMMANDS_MAX) {
        char site[PW_SITE_MAX];
        char text[300];
        (void)snprintf(
            text, sizeof text,
            "the workflow goes on asking after a failure%s that it never looked at; pawl_ok and pawl_catch do",
            site_text(site, w->live->last_file, w->live->last_line));
        pw_set_failure(
            w, pw_failure_new(w->live->scope, "IgnoredFailure", text, NULL, false, w->failure),
            w->failed_cmd);
        w->live->final_failure = w->failure;
        w->live->abandoned = true;
        leave(w);
    }
    return true;
}

/* The turn never ends by itself: the run fails, its stack is not resumed again. */
static void too_much(pawl_run *w, const char *type, const char *message)
{
    pw_live *live = w->live;
    live->final_failure = pw_failure_new(live->scope, type, message, NULL, false, w->failure);
    live->abandoned = true;
    leave(w);
}

static bool within_bounds(pawl_run *w, const pw_ask *ask)
{
    pw_live *live = w->live;
    if (++live->commands_in_turn > PW_COMMANDS_PER_TURN_MAX) {
        char site[PW_SITE_MAX];
        char text[300];
        (void)snprintf(text, sizeof text,
                       "one turn asked for more than 10000 commands without waiting, the last%s",
                       site_text(site, ask->file, ask->line));
        too_much(w, "TooManyCommands", text);
        return false;
    }
    if (live->open_len >= PW_OPEN_COMMANDS_MAX) {
        pw_set_failure(w,
                       pw_failure_new(live->scope, "LimitExceeded",
                                      "more than 10000 commands are open; use pawl_map", NULL,
                                      false, NULL),
                       0);
        return false;
    }
    return true;
}

/* ---- asking ---- */

static pw_cmd *ask_replay(pawl_run *w, const pw_ask *ask, uint64_t digest)
{
    pw_live *live = w->live;
    pw_event ev;
    pw_asked asked = {.type = ask->type,
                      .name = ask->name,
                      .check_input = ask->has_input,
                      .digest = digest,
                      .file = ask->file,
                      .line = ask->line};
    if (!pw_replay_match(live, &asked, &ev)) {
        leave(w); /* abandoned: never comes back */
        return NULL;
    }
    live->core->stats.replayed_events++;
    if (!pw_apply(live, &ev)) {
        pw_replay_fail(live, "damage", &ev, "no such transition");
        leave(w);
        return NULL;
    }
    return pw_cmd_find(live, ev.cmd);
}

/* "release.c:40". Every command has one: printf would be a tenth of a step. */
void pw_emit_at(pw_emit *e, const char *file, int line)
{
    if (file == NULL) {
        return;
    }
    char at[160];
    char digits[12];
    size_t n = 0;
    const char *base = strrchr(file, '/');
    size_t size = strnlen(base != NULL ? base + 1 : file, sizeof at - sizeof digits - 2);
    memcpy(at, base != NULL ? base + 1 : file, size);
    at[size++] = ':';
    for (unsigned left = line > 0 ? (unsigned)line : 0; n == 0 || left > 0; left /= 10) {
        digits[n++] = (char)('0' + left % 10);
    }
    while (n > 0) {
        at[size++] = digits[--n];
    }
    at[size] = 0;
    pw_emit_str(e, "at", at);
}

static pw_cmd *ask_live(pawl_run *w, const pw_ask *ask, uint64_t digest)
{
    pw_live *live = w->live;
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "name", ask->name);
    if (ask->has_input) {
        if (!ask->input_apart) {
            pw_emit_value(&e, "input", pw_value_bytes(ask->input));
        }
        pw_emit_uint(&e, "digest", digest);
    }
    pw_emit_at(&e, ask->file, ask->line);
    pw_emit_opt(&e, "branch", w->index);
    if (ask->body != NULL) {
        ask->body(&e, ask->arg);
    }
    int64_t id = live->next_cmd;
    if (!pw_emit_end(&e, ask->type, id)) {
        pw_leave_lost(w);
        return NULL;
    }
    return pw_cmd_find(live, id);
}

pw_cmd *pw_command(pawl_run *w, const pw_ask *ask)
{
    if (pw_blocked(w) || !within_bounds(w, ask)) {
        return NULL;
    }
    if (ask->file != NULL) {
        w->live->last_file = ask->file;
        w->live->last_line = ask->line;
    }
    uint64_t digest = 0;
    if (ask->has_input) {
        pw_view in = pw_value_bytes(ask->input);
        digest = pw_input_digest(in.data, in.size);
    }
    w->live->core->stats.commands++;
    return w->live->replaying ? ask_replay(w, ask, digest) : ask_live(w, ask, digest);
}

bool pw_command_note(pw_live *live, pw_event_type type, pw_cmd *cmd, pw_view body)
{
    if (!live->replaying) {
        return pw_event_put(live, type, cmd->id, body);
    }
    pw_event ev;
    if (!pw_replay_match(live, &(pw_asked){.type = type}, &ev)) {
        return false;
    }
    if (ev.cmd != cmd->id) {
        pw_replay_fail(live, "name", &ev,
                       pw_sprintf(live->scope, "%s of command %lld", pw_event_name((int)type),
                                  (long long)cmd->id));
        return false;
    }
    live->core->stats.replayed_events++;
    return pw_apply(live, &ev);
}
