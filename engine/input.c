/*
 * input.c - what came for a run becomes events of its next turn, in the order it came.
 *
 * An input that no longer fits (the command ended, the run is closed) leaves no event: its sender is told, its rows are cleared.
 * Applied inputs stay with the batch until the ack, for the case that the group does not land.
 */
#include <stdio.h>
#include <string.h>

#include "engine/answer.h"
#include "engine/ballot.h"
#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/cache.h"
#include "engine/memo.h"
#include "engine/shell.h"

static void reply_ok(pw_live *live, pw_request *rq)
{
    if (rq == NULL) {
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 1);
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    live->record->failed |= b.failed;
    pw_batch_reply(live->batch, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
}

void pw_input_refuse(pw_live *live, pw_request *rq, pawl_status status, const char *fmt, ...)
{
    if (rq == NULL) {
        return;
    }
    pawl_error err = {.status = status, .file = __FILE__, .line = __LINE__};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    pw_input_told(live, rq, &err, (pw_view){NULL, 0});
}

void pw_input_told(pw_live *live, pw_request *rq, const pawl_error *err, pw_view body)
{
    if (rq->inbox_id != 0) { /* nobody waits for the reply */
        pw_core_log(live->core, PAWL_WARN, live->id, 0, "a posted %s was not done: %s",
                    pw_req_name(rq->op), err->message);
    }
    pw_batch_reply(live->batch, rq, err->status, err, body);
}

static pw_view arg_bytes(const pw_request *rq, const char *key)
{
    return pw_body_get(pw_value_bytes(rq->args), key);
}

static const char *arg_str(const pw_request *rq, const char *key)
{
    return pawl_str(rq->args, key, "");
}

/* ---- start ---- */

static void reply_started(pw_live *live, pw_request *rq, bool existing)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, 2);
    pw_mp_str(&b, "id");
    pw_mp_str(&b, live->id);
    pw_mp_str(&b, "existing");
    pw_mp_bool(&b, existing);
    live->record->failed |= b.failed;
    pw_publish *p = pw_batch_reply(live->batch, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
    if (p != NULL && !existing && rq->reply != NULL && pawl_bool(rq->args, "follow", false)) {
        p->live = live;
    }
}

static void in_start(pw_live *live, pw_input *in)
{
    if (live->fresh) {
        pw_batch_op(live->batch, PW_OP_RUN_CREATE)->u.run = live->row;
        live->fresh = false;
    }
    if (in->rq != NULL) {
        pw_request_start_event(live, in->rq);
    } else {
        (void)pw_event_put(live, PW_EV_RUN_STARTED, 0, in->value);
    }
    if (in->rq != NULL) {
        reply_started(live, in->rq, false);
        in->rq = NULL;
    }
}

/* ---- requests ---- */

static void signal_event(pw_live *live, const char *name, pw_view value, const char *by)
{
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_str(&e, "name", name);
    pw_emit_value(&e, "value", value);
    pw_emit_str(&e, "by", by);
    (void)pw_emit_end(&e, PW_EV_SIGNAL_RECEIVED, 0);
}

/* Counted from history once a shell, then along with what comes. */
static bool signals_full(pw_live *live, pw_request *rq)
{
    if (!live->whole && live->shell_unread < 0) {
        live->shell_unread = pw_shell_unread(live);
    }
    int64_t n = live->whole ? (int64_t)live->signals_len : live->shell_unread;
    if (n >= PW_SIGNALS_MAX) {
        pw_input_refuse(live, rq, PAWL_FULL, "run \"%s\" has %d unread signals", live->id,
                        PW_SIGNALS_MAX);
        return true;
    }
    live->shell_unread = n + 1;
    return false;
}

static void in_signal(pw_live *live, pw_request *rq)
{
    if (signals_full(live, rq)) {
        return;
    }
    signal_event(live, arg_str(rq, "name"), arg_bytes(rq, "value"), arg_str(rq, "by"));
    reply_ok(live, rq);
}

/* A shell may have been evicted since it was asked: its history knows. */
static bool cancel_known(pw_live *live)
{
    return live->cancel_requested || (!live->whole && pw_shell_cancel_asked(live));
}

/* A start that found its run open, and brings a signal. */
static void in_start_signal(pw_live *live, pw_request *rq)
{
    if (signals_full(live, rq)) {
        return;
    }
    signal_event(live, arg_str(rq, "signal"), arg_bytes(rq, "signal_value"), arg_str(rq, "by"));
    reply_started(live, rq, true);
}

static void in_cancel(pw_live *live, pw_request *rq)
{
    if (!cancel_known(live)) {
        pw_emit e;
        pw_emit_begin(&e, live);
        pw_emit_text(&e, "reason", arg_str(rq, "reason"));
        pw_emit_str(&e, "by", arg_str(rq, "by"));
        (void)pw_emit_end(&e, PW_EV_CANCEL_REQUESTED, 0);
    }
    reply_ok(live, rq);
}

static void end_event(pw_live *live, pw_event_type type, const char *reason, const char *by)
{
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_text(&e, "reason", reason);
    pw_emit_str(&e, "by", by);
    (void)pw_emit_end(&e, type, 0);
}

static void in_pause(pw_live *live, pw_request *rq)
{
    if (live->state == PW_S_RUN_RUNNING) {
        pw_emit e;
        pw_emit_begin(&e, live);
        pw_emit_str(&e, "reason", "asked");
        pw_emit_text(&e, "text", arg_str(rq, "reason"));
        pw_emit_str(&e, "by", arg_str(rq, "by"));
        (void)pw_emit_end(&e, PW_EV_RUN_PAUSED, 0);
    }
    reply_ok(live, rq);
}

static void in_resume(pw_live *live, pw_request *rq)
{
    if (live->state == PW_S_RUN_PAUSED) {
        live->row.crashes = 0;
        end_event(live, PW_EV_RUN_RESUMED, "", arg_str(rq, "by"));
    }
    reply_ok(live, rq);
}

/* ---- children ---- */

/* A child that was retried ends twice. */
static bool child_open(pw_live *live, int64_t id)
{
    if (!live->whole) {
        return !pw_shell_child_ended(live, id);
    }
    const pw_cmd *cmd = pw_cmd_find(live, id);
    return cmd != NULL && cmd->state == PW_S_CHILD_STARTED;
}

static void in_child_done(pw_live *live, pw_request *rq)
{
    int64_t id = pawl_int(rq->args, "command", 0);
    if (child_open(live, id)) {
        const char *status = pawl_str(rq->args, "status", "failed");
        bool completed = strcmp(status, "completed") == 0;
        pw_emit e;
        pw_emit_begin(&e, live);
        if (completed) {
            pw_emit_value(&e, "result", arg_bytes(rq, "result"));
        } else {
            pw_emit_value(&e, "failure", arg_bytes(rq, "failure"));
        }
        (void)pw_emit_end(&e,
                          completed                         ? PW_EV_CHILD_COMPLETED
                          : strcmp(status, "canceled") == 0 ? PW_EV_CHILD_CANCELED
                                                            : PW_EV_CHILD_FAILED,
                          id);
    }
    reply_ok(live, rq);
}

static void in_request(pw_live *live, pw_input *in)
{
    pw_request *rq = in->rq;
    if (rq == NULL) { /* a signal that crossed continue-as-new */
        (void)pw_event_put(live, PW_EV_SIGNAL_RECEIVED, 0, in->value);
        return;
    }
    in->rq = NULL;
    if (rq->op == PW_REQ_RETRY) {
        pw_retry_run(live, rq);
        return;
    }
    if (!pw_live_open_status(live)) {
        pw_input_refuse(live, rq, PAWL_CLOSED, "run \"%s\" is closed", live->id);
        return;
    }
    switch ((int)rq->op) {
    case PW_REQ_START:
        in_start_signal(live, rq);
        break;
    case PW_REQ_SIGNAL:
        in_signal(live, rq);
        break;
    case PW_REQ_ANSWER:
        pw_answer_take(live, rq);
        break;
    case PW_REQ_CANCEL:
        in_cancel(live, rq);
        break;
    case PW_REQ_TERMINATE:
        end_event(live, PW_EV_RUN_TERMINATED, arg_str(rq, "reason"), arg_str(rq, "by"));
        reply_ok(live, rq);
        break;
    case PW_REQ_PAUSE:
        in_pause(live, rq);
        break;
    case PW_REQ_RESUME:
        in_resume(live, rq);
        break;
    case PW_REQ_CHILD_DONE:
        in_child_done(live, rq);
        break;
    default:
        pw_input_refuse(live, rq, PAWL_UNSUPPORTED, "%s is not for a run", pw_req_name(rq->op));
        break;
    }
}

/* ---- activities and maps ---- */

static bool activity_open(pw_live *live, int64_t id)
{
    if (!pw_live_open_status(live)) {
        return false;
    }
    const pw_cmd *cmd = live->whole ? pw_cmd_find(live, id) : NULL;
    return !live->whole ? !pw_answered_ended(live, id)
                        : (cmd != NULL && !cmd->future.done &&
                           pw_state_machine(cmd->state) == PW_M_ACTIVITY);
}

static void drop_task(pw_live *live, int64_t cmd)
{
    live->core->stats.stale++;
    pw_batch_op(live->batch, PW_OP_TASK_CLEAR)->u.task =
        (pw_task_row){.run = live->key, .cmd = cmd};
    pw_publish *p = pw_batch_publish(live->batch);
    p->kind = PW_PUB_DROP_JOB;
    p->job = (pw_job_key){live->key, cmd, 0};
}

/* For later calls [K1]. */
static void keep_result(pw_live *live, const pw_report *r)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, r->token.cmd, 0});
    if (job != NULL && r->cached.size == 0) {
        pw_cache_keep(live, job, r->value);
    }
}

static void in_report(pw_live *live, pw_input *in)
{
    const pw_report *r = in->report;
    int64_t cmd = r->token.cmd;
    if (!activity_open(live, cmd)) {
        drop_task(live, cmd);
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    if (r->cached.size == 0) {
        pw_emit_int(&e, "attempt", r->token.attempt);
    }
    pw_budget_end_fields(&e, cmd, r->token.attempt, r);
    if (r->kind == PW_REPORT_DONE) {
        pw_emit_value(&e, "result", r->value);
        pw_emit_value(&e, "cached", r->cached);
        keep_result(live, r);
        pw_emit_str(&e, "by", r->read_back ? "read-back" : "");
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_COMPLETED, cmd);
    } else if (r->kind == PW_REPORT_CANCELED) {
        static const uint8_t yes[1] = {0xc3};
        pw_emit_value(&e, "begun", (pw_view){yes, r->begun ? 1 : 0});
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_CANCELED, cmd);
    } else {
        pw_emit_value(&e, "failure", r->value);
        (void)pw_emit_end(&e, PW_EV_ACTIVITY_FAILED, cmd);
    }
    (void)pw_answered_note(live, cmd, true, (pw_view){NULL, 0});
}

static void in_task_event(pw_live *live, pw_input *in, pw_event_type type)
{
    if (!activity_open(live, in->cmd)) {
        drop_task(live, in->cmd);
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    pw_emit_int(&e, "attempt", in->attempt);
    if (type != PW_EV_ACTIVITY_SENT) {
        pw_budget_end_fields(&e, in->cmd, in->attempt, in->report);
    }
    if (type == PW_EV_ACTIVITY_RETRIED) {
        pw_emit_value(&e, "failure", in->value);
        pw_emit_int(&e, "due_ms", in->due_ms);
        pw_budget_retry_fields(&e, in->cmd, in->attempt + 1);
    }
    (void)pw_emit_end(&e, type, in->cmd);
}

/* It stays held if nothing has changed: then there is no event. */
static void in_room(pw_live *live, const pw_input *in)
{
    pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, in->cmd, 0});
    pw_map *map = pw_map_find(live->core, (pw_job_key){live->key, in->cmd, 0});
    if (map != NULL && pw_live_open_status(live)) {
        pw_map_again(live, map);
    } else if (!activity_open(live, in->cmd)) {
        drop_task(live, in->cmd);
    } else if (job != NULL && job->state == PW_JOB_SHORT) {
        job->again = false;
        (void)pw_budget_again(live, in->cmd, NULL, NULL);
    }
}

static void in_map_done(pw_live *live, pw_input *in)
{
    const pw_cmd *cmd = live->whole ? pw_cmd_find(live, in->cmd) : NULL;
    if (!pw_live_open_status(live) ||
        (live->whole && (cmd == NULL || cmd->state != PW_S_MAP_SCHEDULED))) {
        pw_batch_op(live->batch, PW_OP_MAP_CLEAR)->u.map =
            (pw_map_row){.run = live->key, .cmd = in->cmd};
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    if (in->timer_kind == PW_EV_MAP_FAILED) {
        pw_emit_value(&e, "failure", in->value);
    } else if (in->timer_kind == PW_EV_MAP_COMPLETED) {
        pw_emit_int(&e, "total", in->attempt);
        pw_emit_opt(&e, "failed", in->due_ms);
    }
    (void)pw_emit_end(&e, (pw_event_type)in->timer_kind, in->cmd);
}

/* ---- timers ---- */

static bool timer_fits(pw_live *live, const pw_input *in, pw_event_type *ret_type)
{
    if (!pw_live_open_status(live) && !PW_BUG_TIMER_AFTER_END) {
        return false; /* commands that were open at its end still look as if they waited */
    }
    if (in->timer_kind == PW_T_RUN) {
        *ret_type = PW_EV_RUN_TIMED_OUT;
        return true;
    }
    static const struct {
        int kind;
        pw_state state;
        pw_event_type event;
    } fits[] = {
        {PW_T_SLEEP, PW_S_TIMER_STARTED, PW_EV_TIMER_FIRED},
        {PW_T_SIGNAL, PW_S_SIGNAL_AWAITED, PW_EV_SIGNAL_TIMED_OUT},
        {PW_T_WAIT, PW_S_WAIT_CREATED, PW_EV_WAIT_EXPIRED},
        {PW_T_SHIELD, PW_S_SHIELD_ENTERED, PW_EV_SHIELD_EXPIRED},
        {PW_T_ESCALATE, PW_S_WAIT_CREATED, PW_EV_WAIT_ESCALATED},
        {PW_T_MEMORY, PW_S_MEMORY_SEARCHED, PW_EV_MEMORY_FOUND},
    };
    const pw_cmd *cmd = live->whole ? pw_cmd_find(live, in->cmd) : NULL;
    for (size_t i = 0; cmd != NULL && i < PW_COUNT(fits); i++) {
        int64_t due =
            in->timer_kind == PW_T_ESCALATE ? pw_ballot_escalates_ms(cmd->body) : cmd->due_ms;
        if (fits[i].kind == in->timer_kind && cmd->state == fits[i].state && due == in->due_ms) {
            *ret_type = fits[i].event;
            return true;
        }
    }
    return false;
}

static void in_timer(pw_live *live, pw_input *in)
{
    pw_event_type type;
    bool open = pw_live_open_status(live);
    bool waits = !live->whole || live->state == PW_S_RUN_PAUSED;
    if (open && waits && in->timer_kind != PW_T_RUN) {
        return; /* paused or no code: its row stays, and it fires when the run goes on */
    }
    if (!timer_fits(live, in, &type)) {
        pw_batch_op(live->batch, PW_OP_TIMER_CLEAR)->u.timer = (pw_timer_row){
            .due_ms = in->due_ms, .run = live->key, .cmd = in->cmd, .kind = in->timer_kind};
        return;
    }
    live->core->stats.timers_fired++;
    if (type == PW_EV_RUN_TIMED_OUT) {
        end_event(live, type, "the run took longer than allowed", "");
        pw_batch_op(live->batch, PW_OP_TIMER_CLEAR)->u.timer =
            (pw_timer_row){.due_ms = in->due_ms, .run = live->key, .cmd = 0, .kind = PW_T_RUN};
        return;
    }
    if (type == PW_EV_WAIT_ESCALATED) {
        pw_batch_op(live->batch, PW_OP_TIMER_CLEAR)->u.timer = (pw_timer_row){
            .due_ms = in->due_ms, .run = live->key, .cmd = in->cmd, .kind = in->timer_kind};
        pw_answer_escalate(live, pw_cmd_find(live, in->cmd));
        return;
    }
    if (type == PW_EV_MEMORY_FOUND) {
        pw_memo_found(live, pw_cmd_find(live, in->cmd));
        return;
    }
    pw_emit e;
    pw_emit_begin(&e, live);
    if (type == PW_EV_WAIT_EXPIRED) {
        const pw_cmd *cmd = pw_cmd_find(live, in->cmd);
        pw_emit_str(&e, "choice", pw_body_str(live->scope, cmd->body, "on_deadline", ""));
        pw_emit_int(&e, "at_ms", live->now_ms);
    }
    (void)pw_emit_end(&e, type, in->cmd);
}

static void apply_one(pw_live *live, pw_input *in)
{
    switch (in->kind) {
    case PW_IN_START:
        in_start(live, in);
        break;
    case PW_IN_REQUEST:
        in_request(live, in);
        break;
    case PW_IN_REPORT:
        in_report(live, in);
        break;
    case PW_IN_RETRIED:
        in_task_event(live, in, PW_EV_ACTIVITY_RETRIED);
        break;
    case PW_IN_SENT:
        in_task_event(live, in, PW_EV_ACTIVITY_SENT);
        break;
    case PW_IN_UNKNOWN:
        in_task_event(live, in, PW_EV_ACTIVITY_UNKNOWN);
        break;
    case PW_IN_ROOM:
        in_room(live, in);
        break;
    case PW_IN_TIMER:
        in_timer(live, in);
        break;
    case PW_IN_MAP_DONE:
        in_map_done(live, in);
        break;
    case PW_IN_KICK:
        break;
    }
}

void pw_inputs_apply(pw_live *live)
{
    live->answered = NULL;
    while (live->inputs != NULL) {
        pw_input *in = live->inputs;
        DL_DELETE(live->inputs, in);
        DL_APPEND(live->batch->inputs, in);
        apply_one(live, in);
    }
}
