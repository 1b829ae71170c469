/*
 * replay.c - rebuilding code's state from the journal, and the replay check.
 *
 * A record is one turn: its inputs are applied, the code is resumed, and each command it asks for must be the next COMMAND event of
 * the record. Three cases of difference: kind or name - pause; input under the same build - pause; input under another build - go on with
 * what the journal says and note the drift (strict_replay pauses here too).
 * A mismatch never fails a run: the fibers are abandoned, the report is kept in live->mismatch and the caller pauses the run.
 */
#include <string.h>

#include "engine/bugs.h"
#include "engine/parts.h"

bool pw_replay_peek(pw_live *live, pw_event *ret_event)
{
    if (!live->replay_has_next) {
        live->replay_next.seq++;
        pw_event ev = live->replay_next;
        if (!pw_record_next_head(&live->replay, &ev) ||
            !pw_body_take(live, &live->replay.body, &ev.body)) {
            live->replay_next.seq--;
            return false;
        }
        live->replay_next = ev;
        live->replay_has_next = true;
    }
    *ret_event = live->replay_next;
    return true;
}

/* The end of a run has no place of its own: it stands after the last command that has one. */
static const char *preposition(pw_event_type type)
{
    bool end = type == PW_EV_RUN_COMPLETED || type == PW_EV_RUN_FAILED ||
               type == PW_EV_RUN_CANCELED || type == PW_EV_RUN_CONTINUED;
    return end ? " after " : " at ";
}

static const char *describe_event(pw_live *live, const pw_event *ev)
{
    const char *name = pw_body_str(live->scope, ev->body, "name", "");
    const char *at = pw_body_str(live->scope, ev->body, "at", "");
    return pw_sprintf(live->scope, "%s%s%s%s%s%s", pw_event_name((int)ev->type),
                      name[0] != 0 ? " \"" : "", name, name[0] != 0 ? "\"" : "",
                      at[0] != 0 ? preposition(ev->type) : "", at);
}

/* "release.c:40", or "". */
static const char *place(pw_live *live, const pw_asked *a)
{
    if (a->file == NULL) {
        return "";
    }
    const char *base = strrchr(a->file, '/');
    return pw_sprintf(live->scope, "%s:%d", base != NULL ? base + 1 : a->file, a->line);
}

void pw_replay_fail(pw_live *live, const char *reason, const pw_event *ev, const char *code)
{
    if (live->mismatch != NULL) {
        return;
    }
    live->abandoned = true;
    pw_mismatch *m = pawl_scope_alloc(live->scope, sizeof *m);
    if (m == NULL || pw_scope_failed(live->scope)) { /* what it missed may be for want of memory */
        return;
    }
    m->reason = reason;
    m->code = code != NULL ? code : "out of memory";
    m->history = ev != NULL ? describe_event(live, ev) : "nothing more in that turn";
    m->seq = ev != NULL ? ev->seq : live->seq;
    m->cmd = ev != NULL ? ev->cmd : live->next_cmd;
    live->mismatch = m;
    live->core->stats.mismatches++;
}

static bool same_kind(pw_event_type asked, pw_event_type found)
{
    if (asked == PW_EV_STEP_COMPLETED) {
        return found == PW_EV_STEP_COMPLETED || found == PW_EV_STEP_FAILED;
    }
    return asked == found;
}

static bool check_digest(pw_live *live, const pw_event *ev, const pw_asked *asked)
{
    uint64_t digest = asked->digest;
    uint64_t was = pw_body_common(live, ev->body)->digest;
    if (was == digest || PW_BUG_INPUT_UNCHECKED) {
        return true;
    }
    if (live->replay_build == pw_live_build(live) || live->core->options.strict_replay) {
        return false;
    }
    pw_drift *d = pawl_scope_alloc(live->scope, sizeof *d);
    if (d != NULL) { /* (else the replay is lost) */
        *d = (pw_drift){.cmd = ev->cmd,
                        .name = asked->name,
                        .history = was,
                        .code = digest,
                        .next = live->drift};
        d->at = place(live, asked);
        d->was_at = pw_body_str(live->scope, ev->body, "at", "");
        live->drift = d;
    }
    return true;
}

static bool name_matches(pw_live *live, const pw_event *ev, const char *name)
{
    return name == NULL || name[0] == 0 || pw_view_is(pw_body_common(live, ev->body)->name, name);
}

static const char *describe_asked(pw_live *live, const pw_asked *a)
{
    bool named = a->name != NULL && a->name[0] != 0;
    const char *at = place(live, a);
    return pw_sprintf(live->scope, "%s%s%s%s%s%s", pw_event_name((int)a->type), named ? " \"" : "",
                      named ? a->name : "", named ? "\"" : "",
                      at != NULL && at[0] != 0 ? preposition(a->type) : "", at != NULL ? at : "");
}

bool pw_replay_match(pw_live *live, const pw_asked *asked, pw_event *ret_event)
{
    pw_event ev;
    while (pw_replay_peek(live, &ev)) {
        bool kind = same_kind(asked->type, ev.type) && name_matches(live, &ev, asked->name);
        if (kind && (!asked->check_input || check_digest(live, &ev, asked))) {
            live->replay_has_next = false;
            *ret_event = ev;
            return true;
        }
        if (!kind &&
            ev.type == PW_EV_PATCHED) { /* a patch whose old branch is gone from the code */
            live->replay_has_next = false;
            if (!pw_apply(live, &ev)) {
                return false;
            }
            continue;
        }
        const char *reason = !same_kind(asked->type, ev.type) ? "kind" : kind ? "input" : "name";
        pw_replay_fail(live, reason, &ev, describe_asked(live, asked));
        return false;
    }
    pw_replay_fail(live, "extra", NULL, describe_asked(live, asked));
    return false;
}

bool pw_replay_void(const pw_live *live, int64_t seq)
{
    if (live->retry_from != 0 && seq >= live->retry_from) {
        return true;
    }
    for (const pw_void *v = live->voids; v != NULL; v = v->next) {
        if (seq >= v->from && seq < v->to && !PW_BUG_VOID_STRETCH_COUNTS) {
            return true;
        }
    }
    return false;
}

/* A retry says that a stretch of history no longer counts. When it is met for the first time the replay starts over without it. */
bool pw_replay_retried(pw_live *live, const pw_event *ev)
{
    if (ev->type != PW_EV_RUN_RETRIED) {
        return true;
    }
    for (const pw_void *v = live->voids; v != NULL; v = v->next) {
        if (v->to == ev->seq) {
            return true;
        }
    }
    pw_void *v = pw_malloc(sizeof *v);
    if (v == NULL) {
        pw_scope_fail(live->scope);
        return false;
    }
    *v = (pw_void){
        .from = pw_body_int(ev->body, "from", ev->seq), .to = ev->seq, .next = live->voids};
    live->voids = v;
    live->restart = true;
    return false;
}

static bool replay_inputs(pw_live *live)
{
    pw_event ev;
    while (pw_replay_peek(live, &ev)) {
        if (pw_event_kind_of((int)ev.type) == PW_EVENT_COMMAND && !pw_replay_void(live, ev.seq)) {
            return true;
        }
        live->replay_has_next = false;
        if (pw_replay_void(live, ev.seq)) {
            continue;
        }
        if (!pw_replay_retried(live, &ev)) {
            return false;
        }
        live->core->stats.replayed_events++;
        if (!pw_apply(live, &ev)) {
            pw_replay_fail(live, "damage", &ev, "no such transition");
            return false;
        }
    }
    return true;
}

/* A record cut by a void stretch keeps its first inputs; its code does not count. */
static bool cut_by_void(const pw_live *live, int64_t first_seq, int64_t events)
{
    return events > 0 && pw_replay_void(live, first_seq + events - 1);
}

bool pw_replay_record(pw_live *live, int64_t first_seq, pw_view record)
{
    if (pw_replay_void(live, first_seq)) {
        return true;
    }
    pawl_error err;
    void *copy = pw_memdup(live->scope, record.data, record.size);
    if (copy == NULL || pw_record_open(copy, record.size, &live->replay, &err) != PAWL_OK) {
        pw_replay_fail(live, "damage", NULL,
                       copy != NULL ? pw_strdup(live->scope, err.message) : "out of memory");
        return false;
    }
    bool cut = cut_by_void(live, first_seq, (int64_t)live->replay.events);
    live->replay_next = (pw_event){.seq = first_seq - 1};
    live->replay_has_next = false;
    live->replay_build = live->replay.build;
    live->now_ms = live->replay.now_ms;
    live->turn++;
    live->stepped = false;
    live->commands_in_turn = 0;
    if (!replay_inputs(live) || pw_turn_lost(live)) {
        return false;
    }
    bool run_code =
        (live->replay.flags & PW_RECORD_INPUT_ONLY) == 0 && live->state == PW_S_RUN_RUNNING && !cut;
    if (run_code) {
        live->kick = false;
        pw_turn_resume(live);
    } else {
        live->kick |=
            live->state == PW_S_RUN_RUNNING; /* what came has still to be seen by the code */
        live->left_timers = true;
    }
    if (live->mismatch != NULL || pw_turn_lost(live)) {
        return false;
    }
    pw_event left;
    if (pw_replay_peek(live, &left)) {
        pw_replay_fail(live, "missing", &left, "the code asked for nothing more in that turn");
        return false;
    }
    if (live->replay.body.bad) {
        pw_replay_fail(live, "damage", NULL, "the record ends early");
        return false;
    }
    return true;
}
