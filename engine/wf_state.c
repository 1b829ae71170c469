/*
 * wf_state.c - keys, queries, progress, patches, deterministic helpers, memory: what ends no turn.
 */
#include <string.h>

#include "engine/options.h"
#include "engine/wf.h"

typedef struct value_arg {
    const pawl_value *value;
} value_arg;

static void value_body(pw_emit *e, const void *arg)
{
    pw_emit_value(e, "value", pw_value_bytes(((const value_arg *)arg)->value));
}

void pawl_set_at(pawl_run *w, const char *key, const pawl_value *value, const char *file, int line)
{
    if (!pw_mine(w, "pawl_set", file, line)) {
        return;
    }
    if (pw_blocked(w) || !pw_set_ok(w, key, value, &(pw_asker){"set", file, line})) {
        return;
    }
    value_arg arg = {value};
    pw_ask ask = {.type = PW_EV_KEY_SET,
                  .name = key,
                  .file = file,
                  .line = line,
                  .body = value_body,
                  .arg = &arg};
    (void)pw_command(w, &ask);
}

#undef pawl_set
void pawl_set(pawl_run *w, const char *key, const pawl_value *value)
{
    pawl_set_at(w, key, value, NULL, 0);
}

void pawl_on_query(pawl_run *w, const char *name, pawl_query_fn fn, void *arg)
{
    if (!pw_ours(w, "pawl_on_query", NULL, 0)) {
        return;
    }
    pw_handler *h = pawl_scope_alloc(w->live->scope, sizeof *h);
    char *copy = pw_strdup(w->live->scope, name);
    if (h != NULL && copy != NULL) {
        *h = (pw_handler){.name = copy, .fn = fn, .arg = arg, .next = w->live->handlers};
        w->live->handlers = h;
    }
}

void pawl_progress(pawl_run *w, int64_t done, int64_t total, const char *text)
{
    if (!pw_ours(w, "pawl_progress", NULL, 0)) {
        return;
    }
    pw_live *live = w->live;
    if (pw_blocked(w) || live->replaying) { /* counts as a no-op in replay too */
        return;
    }
    char *copy = pw_strndup(live->scope, text != NULL ? text : "",
                            text != NULL ? strnlen(text, PW_TEXT_BYTES_MAX) : 0);
    live->row.progress_done = done;
    live->row.progress_total = total;
    live->row.progress_text = (pw_view){(const uint8_t *)copy, copy != NULL ? strlen(copy) : 0};
    live->progress_dirty = true;
}

/* splitmix64 over the run's seed and a count of draws: the same numbers in replay. */
static uint64_t draw(pw_live *live)
{
    uint64_t z = live->seed + 0x9e3779b97f4a7c15u * ++live->draws;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t pawl_random(pawl_run *w)
{
    if (!pw_ours(w, "pawl_random", NULL, 0)) {
        return 0;
    }
    return draw(w->live);
}

const char *pawl_uuid(pawl_run *w)
{
    if (!pw_ours(w, "pawl_uuid", NULL, 0)) {
        return NULL;
    }
    uint64_t bits[2] = {draw(w->live), draw(w->live)};
    uint8_t bytes[16];
    memcpy(bytes, bits, sizeof bytes);
    char *text = pw_alloc(w->live->scope, 37);
    if (text != NULL) {
        pw_uuid4(text, bytes);
    }
    return text;
}

const char *pawl_run_id(const pawl_run *w)
{
    if (!pw_ours(w, "pawl_run_id", NULL, 0)) {
        return NULL;
    }
    return w->live->id;
}

pawl_scope *pawl_run_scope(pawl_run *w)
{
    if (!pw_ours(w, "pawl_run_scope", NULL, 0)) {
        return NULL;
    }
    return w->live->scope;
}

void *pawl_alloc(pawl_run *w, size_t size)
{
    if (!pw_ours(w, "pawl_alloc", NULL, 0)) {
        return NULL;
    }
    return pawl_scope_alloc(w->live->scope, size);
}

const pawl_value *pawl_vjson(pawl_run *w, const char *fmt, va_list args)
{
    pawl_error err = {0};
    const pawl_value *v = pw_vbuild(w->live->scope, fmt, args, &err);
    if (err.status != PAWL_OK && w->failure == NULL) {
        (void)pawl_fail(w, err.status == PAWL_LIMIT ? "TooLarge" : "BadTemplate", "%s",
                        err.message);
    }
    return v;
}

const pawl_value *pawl_json(pawl_run *w, const char *fmt, ...)
{
    if (!pw_ours(w, "pawl_json", NULL, 0)) {
        return NULL;
    }
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_vjson(w, fmt, args);
    va_end(args);
    return v;
}

void pawl_log(pawl_run *w, pawl_level level, const char *fmt, ...)
{
    if (!pw_ours(w, "pawl_log", NULL, 0)) {
        return;
    }
    if (w->live->replaying) {
        return;
    }
    char text[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pw_core_log(w->live->core, level, w->live->id, w->live->next_cmd - 1, "%s", text);
}

/* In replay a patch is on only if the history says so at this very point; in new code of an old run it is off. */
static bool patch_decide(pawl_run *w, const char *id, const char *file, int line)
{
    pw_live *live = w->live;
    pw_event ev;
    if (live->replaying && (!pw_replay_peek(live, &ev) || ev.type != PW_EV_PATCHED ||
                            strcmp(pw_body_str(live->scope, ev.body, "name", ""), id) != 0)) {
        return false;
    }
    pw_ask ask = {.type = PW_EV_PATCHED, .name = id, .file = file, .line = line};
    return pw_command(w, &ask) != NULL;
}

bool pawl_patched_at(pawl_run *w, const char *id, const char *file, int line)
{
    if (!pw_mine(w, "pawl_patched", file, line)) {
        return false;
    }
    pw_live *live = w->live;
    for (const pw_patch *p = live->patches; p != NULL; p = p->next) {
        if (strcmp(p->id, id) == 0) {
            return p->on;
        }
    }
    if (pw_blocked(w) || !pw_name_ok(w, "patch", id)) {
        return false;
    }
    bool on = patch_decide(w, id, file, line);
    pw_patch *p = pawl_scope_alloc(live->scope, sizeof *p);
    char *copy = pw_strdup(live->scope, id);
    if (p != NULL && copy != NULL) {
        *p = (pw_patch){.id = copy, .on = on, .next = live->patches};
        live->patches = p;
    }
    return on;
}

void pawl_on_unwind(pawl_run *w, void (*fn)(void *arg), void *arg)
{
    if (!pw_ours(w, "pawl_on_unwind", NULL, 0)) {
        return;
    }
    pw_unwind *u = pawl_scope_alloc(w->live->scope, sizeof *u);
    if (u == NULL) { /* released at once, so the code must not go on with it */
        fn(arg);
        pw_leave_lost(w);
        return;
    }
    *u = (pw_unwind){.fn = fn, .arg = arg, .next = w->live->unwinds};
    w->live->unwinds = u;
}

void pawl_undo_at(pawl_run *w, const char *activity, const pawl_value *input, const char *file,
                  int line)
{
    if (!pw_mine(w, "pawl_undo", file, line)) {
        return;
    }
    if (pw_blocked(w) || !pw_name_ok(w, "activity", activity)) {
        return;
    }
    pw_ask ask = {.type = PW_EV_UNDO_REGISTERED,
                  .name = activity,
                  .input = input,
                  .has_input = true,
                  .file = file,
                  .line = line};
    pw_cmd *cmd = pw_command(w, &ask);
    if (cmd != NULL) {
        cmd->undo = cmd->name;
        static const uint8_t empty_map[1] = {0x80};
        cmd->undo_input =
            input != NULL ? input : pw_value_view(w->live->scope, empty_map, sizeof empty_map);
    }
}

#undef pawl_undo
void pawl_undo(pawl_run *w, const char *activity, const pawl_value *input)
{
    pawl_undo_at(w, activity, input, NULL, 0);
}
