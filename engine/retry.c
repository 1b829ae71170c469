/*
 * retry.c - a failed, cancelled or timed-out run opens again at its failed step: what completed is kept, what failed is tried anew.
 *
 * History is never rewritten: RunRetried says that the events from `from` up to it no longer count. from is the event that brought the
 * failure (or, when the code failed by itself, the first command of its last turn), or earlier when compensation took steps back. A folded
 * run does not say which command failed it: there it is the first bad end in its last turn, else that turn's first command.
 * Inputs of the void stretch that still matter (signals, results of kept commands) are journaled again behind RunRetried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/requests.h"

typedef struct scan {
    pw_live *live;
    int64_t failed_cmd;  /* of the closing event */
    int64_t close_seq;   /* first command of the closing record, or the closing event */
    int64_t failing_seq; /* what brought the failure */
    int64_t cmd_max;
    int64_t from;
    bool gather;
} scan;

static bool ends_badly(pw_event_type t)
{
    return t == PW_EV_ACTIVITY_FAILED || t == PW_EV_STEP_FAILED || t == PW_EV_CHILD_FAILED ||
           t == PW_EV_MAP_FAILED || t == PW_EV_ACTIVITY_CANCELED || t == PW_EV_CHILD_CANCELED ||
           t == PW_EV_MAP_CANCELED || t == PW_EV_WAIT_EXPIRED;
}

static bool closes(pw_event_type t)
{
    return t == PW_EV_RUN_FAILED || t == PW_EV_RUN_CANCELED || t == PW_EV_RUN_TIMED_OUT;
}

static bool find_close(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    scan *s = ctx;
    pw_record rec;
    pawl_error err;
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    int64_t first_command = 0, first_bad = 0;
    bool folded = s->live->def->folded.apply != NULL;
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        if (first_command == 0 && pw_event_kind_of((int)ev.type) == PW_EVENT_COMMAND) {
            first_command = ev.seq;
        }
        if (folded && first_bad == 0 && ends_badly(ev.type)) {
            first_bad = ev.seq;
        }
        s->cmd_max = ev.cmd > s->cmd_max ? ev.cmd : s->cmd_max;
        if (closes(ev.type)) {
            s->failed_cmd = pw_body_int(ev.body, "command", 0);
            s->close_seq = first_bad != 0 ? first_bad : first_command != 0 ? first_command : ev.seq;
        }
        if (ev.type == PW_EV_CANCEL_REQUESTED) {
            s->failing_seq = ev.seq; /* counts only if the run was cancelled */
        }
    }
    return true;
}

/* The failing event, and steps that compensation took back: whichever is earliest is where the run opens. */
static bool find_from(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    scan *s = ctx;
    pw_record rec;
    pawl_error err;
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    int64_t first_command = 0;
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        bool command = pw_event_kind_of((int)ev.type) == PW_EVENT_COMMAND;
        if (first_command == 0 && command) {
            first_command = ev.seq;
        }
        bool failing = s->failed_cmd != 0 && ev.cmd == s->failed_cmd && ends_badly(ev.type);
        bool undone = ev.type == PW_EV_ACTIVITY_SCHEDULED && s->live->undone != NULL &&
                      ev.cmd < s->live->undone_len && s->live->undone[ev.cmd] != 0;
        undone |=
            ev.type == PW_EV_ACTIVITY_CANCEL_REQUESTED && pw_body_get(ev.body, "undo").size > 0;
        int64_t at = failing && !command ? ev.seq : failing || undone ? first_command : 0;
        if (at != 0 && at < s->from) {
            s->from = at;
        }
    }
    return true;
}

static bool find_undone(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    scan *s = ctx;
    pw_record rec;
    pawl_error err;
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        const char *at = ev.type == PW_EV_ACTIVITY_SCHEDULED
                             ? pw_body_str(s->live->scope, ev.body, "at", "")
                             : "";
        long long cmd = 0;
        if (strncmp(at, "compensation:", 13) == 0) {
            cmd = strtoll(at + 13, NULL, 10);
        }
        if (cmd > 0 && cmd < s->live->undone_len) {
            s->live->undone[cmd] = 1;
        }
    }
    return true;
}

static bool keeps(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_SIGNAL_RECEIVED) {
        return true;
    }
    const pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    return pw_event_kind_of((int)ev->type) == PW_EVENT_INPUT &&
           ev->type != PW_EV_CANCEL_REQUESTED && cmd != NULL && !cmd->future.done &&
           !ends_badly(ev->type) && ev->type != PW_EV_ACTIVITY_RETRIED &&
           ev->type != PW_EV_ACTIVITY_SENT && ev->type != PW_EV_ACTIVITY_UNKNOWN &&
           ev->type != PW_EV_ACTIVITY_HELD && ev->type != PW_EV_ACTIVITY_RESERVED &&
           ev->type != PW_EV_MAP_HELD && ev->type != PW_EV_MAP_FREED;
}

static bool gather(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    scan *s = ctx;
    pw_live *live = s->live;
    void *copy = pw_memdup(live->scope, record.data, record.size);
    pw_record rec;
    pawl_error err;
    if (copy == NULL || pw_record_open(copy, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    pw_event ev = {.seq = first_seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        if (ev.seq < s->from || !keeps(live, &ev)) {
            continue;
        }
        pw_late_event *late = pawl_scope_alloc(live->scope, sizeof *late);
        if (late == NULL) {
            return false;
        }
        late->ev = ev;
        LL_APPEND(live->late, late);
    }
    return true;
}

static pawl_status find(pw_live *live, scan *s, pawl_error *err)
{
    pw_core *core = live->core;
    pawl_status st = core->jops->read(core->reader, live->key, 0, find_close, s, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (live->row.status == PW_RUN_CANCELED && s->failing_seq != 0) {
        s->from = s->failing_seq;
    } else {
        s->from = s->close_seq;
    }
    live->undone_len = s->cmd_max + 1;
    live->undone = pawl_scope_alloc(live->scope, (size_t)live->undone_len);
    if (pw_scope_failed(live->scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a retry");
    }
    if (s->from == 0) {
        return pw_err(err, PAWL_DAMAGED, "its history has no end to go back from");
    }
    st = core->jops->read(core->reader, live->key, 0, find_undone, s, err);
    return st == PAWL_OK ? core->jops->read(core->reader, live->key, 0, find_from, s, err) : st;
}

/* Before its turn: the run is rebuilt as it was before the failure. */
pawl_status pw_retry_prepare(pw_live *live, pawl_error *err)
{
    if (live->def == NULL) {
        return pw_err(err, PAWL_NOCODE, "no code is registered for workflow \"%s\"",
                      (const char *)live->row.workflow.data);
    }
    if (live->whole) {
        pw_live_reset(live);
    }
    scan s = {.live = live};
    pawl_status st = find(live, &s, err);
    if (st != PAWL_OK) {
        return st;
    }
    live->retry_from = s.from;
    live->retry_next_cmd = s.cmd_max + 1;
    st = pw_live_load(live, err);
    if (st == PAWL_OK && live->mismatch != NULL) {
        st = pw_err(err, PAWL_NONDETERMINISM,
                    "the code does not match the history: history has %s, code has %s",
                    live->mismatch->history, live->mismatch->code);
    }
    if (st == PAWL_OK) {
        st = live->core->jops->read(live->core->reader, live->key, s.from - 1, gather, &s, err);
    }
    if (st == PAWL_OK && pw_scope_failed(live->scope)) {
        st = pw_err(err, PAWL_NOMEM, "no memory for a retry");
    }
    if (st != PAWL_OK) {
        live->retry_from = 0;
        pw_live_reset(live);
    }
    return st;
}

/* ---- in its turn ---- */

static void timer_again(pw_live *live, const pw_cmd *cmd, int kind)
{
    if (cmd->due_ms == 0) {
        return;
    }
    pw_timer_row row = {.due_ms = cmd->due_ms, .run = live->key, .cmd = cmd->id, .kind = kind};
    pw_batch_op(live->batch, PW_OP_TIMER_SET)->u.timer = row;
    pw_publish *p = pw_batch_publish(live->batch);
    p->kind = PW_PUB_TIMER;
    p->timer = row;
}

/* One that was sent may have happened: it is asked about, not sent again. */
static void activity_again(pw_live *live, pw_cmd *cmd)
{
    pw_event made = {
        .seq = cmd->seq, .type = PW_EV_ACTIVITY_SCHEDULED, .cmd = cmd->id, .body = cmd->body};
    if (cmd->state == PW_S_ACTIVITY_SCHEDULED && pw_budget_reserves(cmd->body)) {
        (void)pw_budget_again(live, cmd->id, NULL,
                              NULL); /* what it had set aside ended with the run */
        return;
    }
    if (cmd->state == PW_S_ACTIVITY_SCHEDULED) {
        pw_effects(live, &made, cmd);
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_int(&e, "attempt", cmd->attempt);
    if (cmd->state == PW_S_ACTIVITY_SENT) {
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_UNKNOWN, cmd->id);
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    pw_mp_map(&body, e.len);
    pw_buf_put(&body, e.fields.data, e.fields.size);
    pw_emit_drop(&e);
    made.type = PW_EV_ACTIVITY_UNKNOWN;
    made.body = (pw_view){body.data, body.size};
    pw_effects(live, &made, cmd);
}

/* Closing dropped the rows of open commands: they are put again. */
static void rows_again(pw_live *live, pw_cmd *cmd)
{
    pw_event made = {.seq = cmd->seq, .cmd = cmd->id, .body = cmd->body};
    switch ((int)pw_state_machine(cmd->state)) {
    case PW_M_ACTIVITY:
        activity_again(live, cmd);
        break;
    case PW_M_MAP:
        pw_map_retried(live, cmd);
        break;
    case PW_M_WAIT:
        made.type = PW_EV_WAIT_CREATED;
        pw_effects(live, &made, cmd);
        break;
    case PW_M_TIMER:
        timer_again(live, cmd, PW_T_SLEEP);
        break;
    case PW_M_SIGNAL:
        timer_again(live, cmd, PW_T_SIGNAL);
        break;
    case PW_M_SHIELD:
        timer_again(live, cmd, PW_T_SHIELD);
        break;
    case PW_M_MEMORY:
        timer_again(live, cmd, PW_T_MEMORY);
        break;
    case PW_M_CHILD:
        made.type = PW_EV_CHILD_STARTED;
        pw_effects(live, &made, cmd);
        break;
    default:
        break;
    }
}

void pw_retry_run(pw_live *live, pw_request *rq)
{
    if (live->retry_from == 0) {
        pawl_error err;
        (void)pw_err(&err, PAWL_CONFLICT,
                     "run \"%s\" is %s; only a failed, cancelled or timed-out run can be retried",
                     live->id, pw_run_status_name(live->row.status));
        pw_batch_reply(live->batch, rq, PAWL_CONFLICT, &err, (pw_view){NULL, 0});
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_int(&e, "from", live->retry_from);
    pw_emit_int(&e, "next_command", live->retry_next_cmd);
    pw_emit_str(&e, "by", pw_arg_str(rq, "by"));
    (void)pw_emit_end(&e, PW_EV_RUN_RETRIED, 0);
    while (live->late != NULL) {
        pw_late_event *late = live->late;
        LL_DELETE(live->late, late);
        (void)pw_event_put(live, late->ev.type, late->ev.cmd, late->ev.body);
    }
    pw_cmd *cmd, *next;
    DL_FOREACH_SAFE (live->open, cmd, next) {
        rows_again(live, cmd);
    }
    live->retry_from = 0;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 1);
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    pw_batch_reply(live->batch, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
}
