/*
 * effects.c - what follows an event in a live turn: rows of the same transaction, messages to other runs, and what to publish after the ack.
 *
 * Never runs in replay: the journal has these rows already. Does not change the run's state.
 */
#include <string.h>

#include "engine/ballot.h"
#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/parts.h"

static pw_view text_view(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

static pw_op *op_of(pw_live *live, pw_op_type type)
{
    return pw_batch_op(live->batch, type);
}

static pw_publish *publish(pw_live *live, int kind, int64_t cmd)
{
    pw_publish *p = pw_batch_publish(live->batch);
    p->kind = (unsigned)kind;
    p->live = live;
    p->job = (pw_job_key){live->key, cmd, 0};
    return p;
}

/* ---- timers ---- */

static void timer_set(pw_live *live, int64_t due_ms, int64_t cmd, int kind)
{
    pw_timer_row row = {.due_ms = due_ms, .run = live->key, .cmd = cmd, .kind = kind};
    op_of(live, PW_OP_TIMER_SET)->u.timer = row;
    publish(live, PW_PUB_TIMER, cmd)->timer = row;
}

static void timer_clear(pw_live *live, int64_t due_ms, int64_t cmd, int kind)
{
    if (due_ms > 0) {
        op_of(live, PW_OP_TIMER_CLEAR)->u.timer =
            (pw_timer_row){.due_ms = due_ms, .run = live->key, .cmd = cmd, .kind = kind};
    }
}

void pw_effects_timer_clear(pw_live *live, const pw_cmd *cmd, int kind)
{
    if (live->record != NULL && !live->replaying) {
        timer_clear(live, cmd->due_ms, cmd->id, kind);
    }
}

/* ---- messages to other runs: rows of the inbox, taken by this very engine after the commit ---- */

void pw_effects_message(pw_batch *b, const char *op_name, const pw_buf *args_fields, size_t fields)
{
    pw_buf *buf = pw_batch_buf(b);
    pw_op *op = pw_batch_op(b, PW_OP_INBOX_PUT);
    pw_mp_array(buf, 4);
    pw_mp_int(buf, 1);
    pw_mp_int(buf, 0);
    pw_mp_str(buf, op_name);
    pw_mp_map(buf, fields);
    pw_buf_put(buf, args_fields->data, args_fields->size);
    b->failed |= !pw_buf_ok(buf) || !pw_buf_ok(args_fields);
    op->u.inbox.body = (pw_view){buf->data, buf->size};
    op->u.inbox.dedup = text_view("");
    pw_batch_publish(b)->kind = PW_PUB_INBOX;
}

static void field_raw(pw_buf *buf, size_t *n, const char *key, pw_view raw)
{
    if (raw.size > 0) {
        pw_mp_str(buf, key);
        pw_buf_put(buf, raw.data, raw.size);
        (*n)++;
    }
}

static void field_int(pw_buf *buf, size_t *n, const char *key, int64_t v)
{
    pw_mp_str(buf, key);
    pw_mp_int(buf, v);
    (*n)++;
}

static void field_str(pw_buf *buf, size_t *n, const char *key, const char *text)
{
    if (text != NULL && text[0] != 0) {
        pw_mp_str(buf, key);
        pw_mp_str(buf, text);
        (*n)++;
    }
}

static void child_start(pw_live *live, const pw_event *ev)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
    size_t n = 0;
    field_raw(&f, &n, "workflow", pw_body_get(ev->body, "name"));
    field_raw(&f, &n, "version", pw_body_get(ev->body, "version"));
    field_raw(&f, &n, "id", pw_body_get(ev->body, "id"));
    field_raw(&f, &n, "input", pw_body_get(ev->body, "input"));
    field_int(&f, &n, "parent", live->key);
    field_int(&f, &n, "parent_cmd", ev->cmd);
    field_str(&f, &n, "parent_id", live->id);
    field_int(&f, &n, "policy", pw_body_int(ev->body, "policy", 0));
    field_int(&f, &n, "timeout_ms", pw_body_int(ev->body, "timeout_ms", 0));
    field_raw(&f, &n, "budget", pw_body_get(ev->body, "budget"));
    char tp[128] = "";
    if (live->row.traceparent.size < sizeof tp) {
        memcpy(tp, live->row.traceparent.data, live->row.traceparent.size);
    }
    field_str(&f, &n, "traceparent", tp);
    field_str(&f, &n, "by", live->started_by);
    pw_effects_message(live->batch, "start", &f, n);
}

static void signal_send(pw_live *live, const pw_event *ev)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
    size_t n = 0;
    field_raw(&f, &n, "id", pw_body_get(ev->body, "to"));
    field_raw(&f, &n, "name", pw_body_get(ev->body, "name"));
    field_raw(&f, &n, "value", pw_body_get(ev->body, "value"));
    field_str(&f, &n, "by", live->id);
    pw_effects_message(live->batch, "signal", &f, n);
}

static void message_to_child(pw_live *live, const pw_cmd *cmd, const char *op)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
    size_t n = 0;
    field_raw(&f, &n, "id", pw_body_get(cmd->body, "id"));
    field_str(&f, &n, "reason", "the parent run asked");
    field_int(&f, &n, "child_of", live->key);
    field_str(&f, &n, "by", live->id);
    pw_effects_message(live->batch, op, &f, n);
}

static void tell_parent(pw_live *live, const pw_event *ev)
{
    if (live->parent_key == 0 || ev->type == PW_EV_RUN_CONTINUED) {
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
    size_t n = 0;
    field_int(&f, &n, "key", live->parent_key);
    field_int(&f, &n, "command", live->parent_cmd);
    field_str(&f, &n, "status",
              ev->type == PW_EV_RUN_COMPLETED  ? "completed"
              : ev->type == PW_EV_RUN_CANCELED ? "canceled"
                                               : "failed");
    field_raw(&f, &n, "result", pw_body_get(ev->body, "result"));
    pw_view failure = pw_body_get(ev->body, "failure");
    if (failure.size > 0) {
        field_raw(&f, &n, "failure", failure);
    } else if (ev->type != PW_EV_RUN_COMPLETED) {
        pawl_failure plain = {.type = ev->type == PW_EV_RUN_TERMINATED ? "Terminated" : "Timeout",
                              .message = pw_body_str(live->scope, ev->body, "reason", "")};
        pw_put_failure_field(&f, "failure", &plain);
        n++;
    }
    pw_effects_message(live->batch, "child_done", &f, n);
}

/* ---- tasks ---- */

void pw_effects_task(pw_live *live, int64_t cmd, pw_view body, int64_t attempt, int state,
                     int64_t due_ms)
{
    pw_op *op = op_of(live, PW_OP_TASK_PUT);
    pw_task_row *t = &op->u.task;
    t->run = live->key;
    t->cmd = cmd;
    t->attempt = attempt;
    const pw_cmd *made = live->whole ? pw_cmd_find(live, cmd) : NULL;
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, cmd, 0});
    bool canceling =
        (made != NULL && made->cancel_requested) || (job != NULL && job->cancel_requested);
    bool reads_back = state == PW_TASK_SENT && job != NULL && job->read_back;
    t->state = state | (canceling ? PW_TASK_CANCELING : 0) | (reads_back ? PW_TASK_READ_BACK : 0) |
               (job != NULL ? (int)job->attempts_free << PW_TASK_FREE_SHIFT : 0);
    t->due_ms = due_ms;
    t->scheduled_ms = live->now_ms;
    pawl_scope *scope = live->batch->group.scope;
    t->name = text_view(pw_body_str(scope, body, "name", ""));
    t->queue = text_view(pw_body_str(scope, body, "queue", "default"));
    t->priority = pw_body_int(body, "priority", 0);
    void *copy = pw_memdup(scope, body.data, body.size);
    void *detail = job != NULL ? pw_memdup(scope, job->detail.data, job->detail.size) : NULL;
    t->body = (pw_view){copy, body.size};
    t->detail = (pw_view){detail, detail != NULL ? job->detail.size : 0};
}

static pw_view task_body(pw_live *live, const pw_cmd *cmd, int64_t id)
{
    if (cmd != NULL) {
        return cmd->body;
    }
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, id, 0});
    return job != NULL ? job->body : (pw_view){NULL, 0};
}

static void budget_wait(pw_live *live, int64_t cmd, const char *activity, const pawl_value *held)
{
    pw_buf *buf = pw_batch_buf(live->batch);
    pw_budget_wait_body(buf, activity, held);
    live->batch->failed |= !pw_buf_ok(buf);
    op_of(live, PW_OP_WAIT_PUT)->u.wait = (pw_wait_row){.run = live->key,
                                                        .cmd = cmd,
                                                        .name = text_view("budget"),
                                                        .kind = text_view("budget"),
                                                        .created_ms = live->now_ms,
                                                        .body = {buf->data, buf->size}};
}

/* Its budget has no room for it: it is held, and a person is asked when nothing that comes back would help. */
static void task_held(pw_live *live, const pw_event *ev, pw_view body, int64_t attempt, int64_t due)
{
    pawl_scope *scope = live->batch->group.scope;
    const pawl_value *held = pw_body_value(live->core, scope, ev->body, "held");
    bool asks = pawl_bool(held, "ask", false);
    pw_effects_task(live, ev->cmd, body, attempt, PW_TASK_SHORT, due);
    pw_publish *p = publish(live, PW_PUB_SHORT, ev->cmd);
    p->body = body;
    p->attempt = attempt;
    p->asks = asks;
    if (!asks) {
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
        return;
    }
    budget_wait(live, ev->cmd, pw_body_str(scope, body, "name", "activity"), held);
}

static bool is_held(const pw_event *ev)
{
    return pw_body_get(ev->body, "held").size > 0;
}

/* What was held fits now, or is held for another reason. */
static void task_budget(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    pw_view body = task_body(live, cmd, ev->cmd);
    int64_t attempt = pw_body_int(ev->body, "attempt", 1);
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, ev->cmd, 0});
    int64_t due = job != NULL ? job->due_ms : 0;
    if (ev->type == PW_EV_ACTIVITY_HELD) {
        task_held(live, ev, body, attempt, due);
        return;
    }
    pw_effects_task(live, ev->cmd, body, attempt, PW_TASK_SCHEDULED, due);
    op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
    pw_publish *p = publish(live, PW_PUB_FUNDED, ev->cmd);
    p->body = body;
    p->attempt = attempt;
}

static void task_again(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    pw_view body = task_body(live, cmd, ev->cmd);
    int64_t attempt = pw_body_int(ev->body, "attempt", 1);
    if (ev->type == PW_EV_ACTIVITY_RETRIED) {
        int64_t due = pw_body_int(ev->body, "due_ms", 0);
        pw_effects_task(live, ev->cmd, body, attempt + 1, PW_TASK_SCHEDULED, due);
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
        pw_publish *p = publish(live, PW_PUB_RETRY, ev->cmd);
        p->attempt = attempt + 1;
        p->due_ms = due;
        p->body = body;
        if (is_held(ev)) {
            task_held(live, ev, body, attempt + 1, due);
        }
        return;
    }
    pw_budget_begin(live->batch, (pw_job_key){live->key, ev->cmd, 0});
    pw_effects_task(live, ev->cmd, body, attempt, PW_TASK_SENT, 0);
    publish(live, PW_PUB_SENT, ev->cmd)->attempt = attempt;
}

static void task_unknown(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    pw_view body = task_body(live, cmd, ev->cmd);
    pawl_scope *scope = live->batch->group.scope;
    const char *name = pw_body_str(scope, body, "name", "activity");
    pw_effects_task(live, ev->cmd, body, pw_body_int(ev->body, "attempt", 1), PW_TASK_UNKNOWN, 0);
    pw_buf *buf = pw_batch_buf(live->batch);
    pw_mp_map(buf, 2);
    pw_mp_str(buf, "prompt");
    pw_mp_str(
        buf,
        "This was sent, and its result was never known. Did it happen? done (data: its result), retry "
        "(it did not), or fail.");
    pw_mp_str(buf, "choices");
    pw_mp_str(buf, "done|retry|fail");
    live->batch->failed |= !pw_buf_ok(buf);
    pw_op *op = op_of(live, PW_OP_WAIT_PUT);
    op->u.wait = (pw_wait_row){.run = live->key,
                               .cmd = ev->cmd,
                               .name = text_view(name),
                               .kind = text_view("question"),
                               .created_ms = live->now_ms,
                               .body = {buf->data, buf->size}};
    pw_publish *p = publish(live, PW_PUB_UNKNOWN, ev->cmd);
    p->body = body;
    p->attempt = pw_body_int(ev->body, "attempt", 1);
}

/* The request is in the row too: a crash before the activity has stopped must not start it again. */
static void task_cancel(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, ev->cmd, 0});
    int state = cmd->state == PW_S_ACTIVITY_SENT      ? PW_TASK_SENT
                : cmd->state == PW_S_ACTIVITY_UNKNOWN ? PW_TASK_UNKNOWN
                                                      : PW_TASK_SCHEDULED;
    pw_effects_task(live, ev->cmd, cmd->body, cmd->attempt, state, job != NULL ? job->due_ms : 0);
    (void)publish(live, PW_PUB_CANCEL_JOB, ev->cmd);
}

static void task_end(pw_live *live, const pw_event *ev)
{
    op_of(live, PW_OP_TASK_CLEAR)->u.task = (pw_task_row){.run = live->key, .cmd = ev->cmd};
    const pw_job *job = pw_job_find(live->core, (pw_job_key){live->key, ev->cmd, 0});
    if (job == NULL || job->asked || job->reserves) { /* its question goes with it */
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
    }
    (void)publish(live, PW_PUB_DROP_JOB, ev->cmd);
}

static void schedule(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    int64_t attempt = cmd != NULL ? cmd->attempt : 1; /* more than 1 in a retried run */
    if (is_held(ev)) {
        task_held(live, ev, ev->body, attempt, 0);
        return;
    }
    pw_effects_task(live, ev->cmd, ev->body, attempt, PW_TASK_SCHEDULED, 0);
    pw_publish *p = publish(live, PW_PUB_JOB, ev->cmd);
    p->body = ev->body;
    p->attempt = attempt;
    if (PW_BUG_DISPATCH_BEFORE_COMMIT) {
        pw_job_queue(live->core, pw_job_new(live->core, p->job, live->id, ev->body, NULL));
    }
}

static void activity(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    switch ((int)ev->type) {
    case PW_EV_ACTIVITY_SCHEDULED:
        schedule(live, ev, cmd);
        break;
    case PW_EV_ACTIVITY_RETRIED:
    case PW_EV_ACTIVITY_SENT:
        task_again(live, ev, cmd);
        break;
    case PW_EV_ACTIVITY_UNKNOWN:
        task_unknown(live, ev, cmd);
        break;
    case PW_EV_ACTIVITY_HELD:
    case PW_EV_ACTIVITY_RESERVED:
        task_budget(live, ev, cmd);
        break;
    case PW_EV_ACTIVITY_CANCEL_REQUESTED:
        task_cancel(live, ev, cmd);
        break;
    default:
        task_end(live, ev);
        break;
    }
}

/* ---- the other constructs ---- */

static void map_cancel(pw_live *live, const pw_event *ev)
{
    const pw_cmd *cmd = pw_cmd_find(live, ev->cmd);
    pawl_scope *scope = live->batch->group.scope;
    const pawl_value *body = pw_value_view(scope, cmd->body.data, cmd->body.size);
    body = pawl_with(scope, body, "canceling",
                     pawl_make_bool(scope, true)); /* recovery asks it to stop again */
    pw_map_row row = {.run = live->key,
                      .cmd = ev->cmd,
                      .total = pw_body_int(cmd->body, "total", 0),
                      .body = pw_value_bytes(body)};
    pw_map_counts(pw_map_find(live->core, (pw_job_key){live->key, ev->cmd, 0}), &row);
    op_of(live, PW_OP_MAP_PUT)->u.map = row;
    (void)publish(live, PW_PUB_CANCEL_MAP, ev->cmd);
}

/* All its items are held, or go on. */
static void map_budget(pw_live *live, const pw_event *ev)
{
    const pw_map *map = pw_map_find(live->core, (pw_job_key){live->key, ev->cmd, 0});
    bool held = ev->type == PW_EV_MAP_HELD;
    if (held) {
        budget_wait(live, ev->cmd, map != NULL ? pw_map_model(map)->name : "map",
                    pw_body_value(live->core, live->batch->group.scope, ev->body, "held"));
    } else {
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
    }
    (void)publish(live, held ? PW_PUB_SHORT : PW_PUB_FUNDED, ev->cmd);
}

static void map_over(pw_live *live, int64_t cmd)
{
    const pw_map *map = pw_map_find(live->core, (pw_job_key){live->key, cmd, 0});
    op_of(live, PW_OP_MAP_CLEAR)->u.map = (pw_map_row){.run = live->key, .cmd = cmd};
    if (map == NULL || pw_map_model(map)->reserves) { /* its question goes with it */
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = cmd};
    }
    pw_map_budget_drop(live, cmd);
    (void)publish(live, PW_PUB_DROP_JOB, cmd);
}

static void map_effects(pw_live *live, const pw_event *ev)
{
    if (ev->type == PW_EV_MAP_SCHEDULED) {
        op_of(live, PW_OP_MAP_PUT)->u.map = (pw_map_row){.run = live->key,
                                                         .cmd = ev->cmd,
                                                         .total = pw_body_int(ev->body, "total", 0),
                                                         .body = ev->body};
        publish(live, PW_PUB_MAP, ev->cmd)->body = ev->body;
    } else if (ev->type == PW_EV_MAP_CANCEL_REQUESTED) {
        map_cancel(live, ev);
    } else if (ev->type == PW_EV_MAP_HELD || ev->type == PW_EV_MAP_FREED) {
        map_budget(live, ev);
    } else {
        map_over(live, ev->cmd);
    }
}

void pw_effects_wait(pw_live *live, int64_t cmd, int64_t created_ms, pw_view body,
                     int64_t due_before)
{
    pawl_scope *scope = live->batch->group.scope;
    int64_t due = pw_body_int(body, "due_ms", 0);
    op_of(live, PW_OP_WAIT_PUT)->u.wait =
        (pw_wait_row){.run = live->key,
                      .cmd = cmd,
                      .name = text_view(pw_body_str(scope, body, "name", "")),
                      .kind = text_view(pw_body_str(scope, body, "kind", "other")),
                      .created_ms = created_ms,
                      .deadline_ms = due,
                      .body = body};
    if (due != due_before) {
        timer_clear(live, due_before, cmd, PW_T_WAIT);
        timer_set(live, due, cmd, PW_T_WAIT);
    }
}

static void wait_timers_clear(pw_live *live, const pw_cmd *cmd)
{
    timer_clear(live, cmd->due_ms, cmd->id, PW_T_WAIT);
    timer_clear(live, pw_ballot_escalates_ms(cmd->body), cmd->id, PW_T_ESCALATE);
}

/* Rows of one that stays open are answer.c's: a shell has no command to take them from. */
static void wait_effects(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    if (ev->type == PW_EV_WAIT_CREATED) {
        int64_t escalates = pw_ballot_escalates_ms(ev->body);
        pw_effects_wait(live, ev->cmd, cmd != NULL ? cmd->since_ms : live->now_ms, ev->body, 0);
        if (escalates > 0) {
            timer_set(live, escalates, ev->cmd, PW_T_ESCALATE);
        }
        return;
    }
    if (ev->type == PW_EV_WAIT_VOTED || ev->type == PW_EV_WAIT_DEFERRED ||
        ev->type == PW_EV_WAIT_ESCALATED) {
        return;
    }
    op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = ev->cmd};
    if (cmd != NULL) {
        wait_timers_clear(live, cmd);
    }
}

static void signal_effects(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    if (ev->type == PW_EV_SIGNAL_SENT) {
        signal_send(live, ev);
    } else if (ev->type == PW_EV_SIGNAL_AWAITED && cmd != NULL && !cmd->future.done &&
               cmd->due_ms > 0) {
        timer_set(live, cmd->due_ms, cmd->id, PW_T_SIGNAL);
    } else if ((ev->type == PW_EV_SIGNAL_TIMED_OUT || ev->type == PW_EV_SIGNAL_ABANDONED) &&
               cmd != NULL) {
        timer_clear(live, cmd->due_ms, cmd->id, PW_T_SIGNAL);
    }
}

static void key_set(pw_live *live, const pw_event *ev)
{
    pw_op *op = op_of(live, PW_OP_KEY_PUT);
    op->u.kv.run = live->key;
    op->u.kv.key = text_view(pw_body_str(live->batch->group.scope, ev->body, "name", ""));
    op->u.kv.value = pw_body_get(ev->body, "value");
    static const uint8_t nil[1] = {0xc0};
    if (op->u.kv.value.size == 0) {
        op->u.kv.value = (pw_view){nil, 1};
    }
}

static void timer_effects(pw_live *live, const pw_event *ev, const pw_cmd *cmd)
{
    if (ev->type == PW_EV_TIMER_STARTED || ev->type == PW_EV_SHIELD_ENTERED) {
        timer_set(live, pw_body_int(ev->body, "due_ms", 0), ev->cmd,
                  ev->type == PW_EV_TIMER_STARTED ? PW_T_SLEEP : PW_T_SHIELD);
    } else if (cmd != NULL) {
        timer_clear(live, cmd->due_ms, ev->cmd,
                    ev->type < PW_EV_SHIELD_ENTERED ? PW_T_SLEEP : PW_T_SHIELD);
    }
}

/* Who asked for it may have said why; everything else has a word of its own. */
static const char *pause_reason(const pw_live *live, const pw_event *ev)
{
    const char *reason = pw_body_str(live->scope, ev->body, "reason", "");
    const char *text =
        strcmp(reason, "asked") == 0 ? pw_body_str(live->scope, ev->body, "text", "") : "";
    return *text != '\0' ? text : reason;
}

/* "ChildFailed: leaf-1, because NoDisk: no disk": what the last cause says is what a person looks for. */
static const char *failure_line(const pw_live *live, const pawl_value *f)
{
    const pawl_value *root = f;
    for (int depth = 0; pawl_get(root, "cause") != NULL && depth < PW_DEPTH_MAX; depth++) {
        root = pawl_get(root, "cause");
    }
    char *text = pw_sprintf(live->scope, "%.100s: %.300s", pawl_str(f, "type", ""),
                            pawl_str(f, "message", ""));
    if (root != f && text != NULL) {
        text = pw_sprintf(live->scope, "%s, because %.60s: %.200s", text,
                          pawl_str(root, "type", ""), pawl_str(root, "message", ""));
    }
    return text != NULL ? text : "";
}

static void run_effects(pw_live *live, const pw_event *ev)
{
    int64_t deadline = pw_body_int(ev->body, "deadline_ms", 0);
    switch ((int)ev->type) {
    case PW_EV_RUN_STARTED:
        if (deadline > 0) {
            timer_set(live, deadline, 0, PW_T_RUN);
        }
        if (pw_body_get(ev->body, "budget").size > 0) {
            pw_budget_start(
                live, pw_body_value(live->core, live->batch->group.scope, ev->body, "budget"));
        }
        break;
    case PW_EV_RUN_PAUSED:
        (void)publish(live, PW_PUB_HOLD, 0);
        live->row.reason = text_view(pause_reason(live, ev));
        break;
    case PW_EV_RUN_RESUMED:
    case PW_EV_RUN_RETRIED:
        (void)publish(live, PW_PUB_UNHOLD, 0);
        live->row.reason = text_view("");
        break;
    case PW_EV_RUN_FAILED:
    case PW_EV_RUN_CANCELED:
        live->row.reason = text_view(
            failure_line(live, pw_body_value(live->core, live->scope, ev->body, "failure")));
        break;
    case PW_EV_RUN_TERMINATED:
    case PW_EV_RUN_TIMED_OUT:
        live->row.reason = text_view(pw_body_str(live->scope, ev->body, "reason", ""));
        break;
    default:
        break;
    }
    if (!pw_live_open_status(live)) {
        tell_parent(live, ev);
    }
}

void pw_effects(pw_live *live, const pw_event *ev, pw_cmd *cmd)
{
    if (ev->type < PW_EV_ACTIVITY_SCHEDULED) {
        run_effects(live, ev);
        return;
    }
    switch (ev->type / 10) {
    case 2:
        activity(live, ev, cmd);
        break;
    case 4:
        timer_effects(live, ev, cmd);
        break;
    case 5:
        signal_effects(live, ev, cmd);
        break;
    case 6:
        if (ev->type == PW_EV_CHILD_STARTED) {
            child_start(live, ev);
        } else if (ev->type == PW_EV_CHILD_CANCEL_REQUESTED && cmd != NULL) {
            message_to_child(live, cmd, "cancel");
        }
        break;
    case 7:
        map_effects(live, ev);
        break;
    case 8:
        wait_effects(live, ev, cmd);
        break;
    case 9:
        if (ev->type == PW_EV_KEY_SET) {
            key_set(live, ev);
        } else if (ev->type >= PW_EV_SHIELD_ENTERED && ev->type <= PW_EV_SHIELD_LEFT) {
            timer_effects(live, ev, cmd);
        }
        break;
    case 11:
        if (ev->type == PW_EV_MEMORY_SEARCHED) {
            timer_set(live, pw_body_int(ev->body, "due_ms", 0), ev->cmd, PW_T_MEMORY);
        } else if (ev->type == PW_EV_MEMORY_FOUND && cmd != NULL) {
            timer_clear(live, cmd->due_ms, ev->cmd, PW_T_MEMORY);
        }
        break;
    default:
        break;
    }
}

/* ---- closing: nothing of the run stays behind ---- */

static void close_cmd(pw_live *live, const pw_cmd *cmd)
{
    switch ((int)pw_state_machine(cmd->state)) {
    case PW_M_ACTIVITY:
        op_of(live, PW_OP_TASK_CLEAR)->u.task = (pw_task_row){.run = live->key, .cmd = cmd->id};
        pw_budget_drop(live, cmd->id);
        if (cmd->state == PW_S_ACTIVITY_UNKNOWN || pw_budget_reserves(cmd->body)) {
            op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = cmd->id};
        }
        (void)publish(live, PW_PUB_DROP_JOB, cmd->id);
        break;
    case PW_M_TIMER:
        timer_clear(live, cmd->due_ms, cmd->id, PW_T_SLEEP);
        break;
    case PW_M_SIGNAL:
        timer_clear(live, cmd->due_ms, cmd->id, PW_T_SIGNAL);
        break;
    case PW_M_WAIT:
        op_of(live, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = live->key, .cmd = cmd->id};
        wait_timers_clear(live, cmd);
        break;
    case PW_M_MAP:
        map_over(live, cmd->id);
        break;
    case PW_M_SHIELD:
        timer_clear(live, cmd->due_ms, cmd->id, PW_T_SHIELD);
        break;
    case PW_M_MEMORY:
        timer_clear(live, cmd->due_ms, cmd->id, PW_T_MEMORY);
        break;
    case PW_M_CHILD: {
        int64_t policy = pw_body_int(cmd->body, "policy", 0);
        if (policy != PAWL_PARENT_ABANDON) {
            message_to_child(live, cmd, policy == PAWL_PARENT_CANCEL ? "cancel" : "terminate");
        }
        break;
    }
    default:
        break;
    }
}

static bool shell_task(void *ctx, const pw_task_row *row)
{
    pw_live *live = ctx;
    op_of(live, PW_OP_TASK_CLEAR)->u.task = (pw_task_row){.run = live->key, .cmd = row->cmd};
    pw_budget_drop(live, row->cmd);
    (void)publish(live, PW_PUB_DROP_JOB, row->cmd);
    return true;
}

static bool left_timer(void *ctx, const pw_timer_row *row)
{
    pw_live *live = ctx;
    bool ends_in_shell =
        row->kind == PW_T_SIGNAL || row->kind == PW_T_WAIT || row->kind == PW_T_ESCALATE;
    const pw_cmd *cmd = pw_cmd_find(live, row->cmd);
    if (ends_in_shell && cmd != NULL && cmd->future.done) {
        timer_clear(live, row->due_ms, row->cmd, row->kind);
    }
    return true;
}

void pw_effects_left_timers(pw_live *live)
{
    pawl_error err;
    const pw_journal_ops *j = live->core->jops;
    live->left_timers =
        j->run_timers(live->core->reader, live->key, left_timer, live, &err) != PAWL_OK;
}

static bool shell_timer(void *ctx, const pw_timer_row *row)
{
    timer_clear(ctx, row->due_ms, row->cmd, row->kind);
    return true;
}

static bool shell_wait(void *ctx, const pw_wait_row *row)
{
    op_of(ctx, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = row->run, .cmd = row->cmd};
    return true;
}

static bool shell_map(void *ctx, const pw_map_row *row)
{
    op_of(ctx, PW_OP_MAP_CLEAR)->u.map = (pw_map_row){.run = row->run, .cmd = row->cmd};
    (void)publish(ctx, PW_PUB_DROP_JOB, row->cmd);
    return true;
}

static bool shell_child(void *ctx, const pw_run_row *row)
{
    pw_live *live = ctx;
    if (!pw_run_status_is_open(row->status) || row->parent_policy == PAWL_PARENT_ABANDON) {
        return true;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf f = PW_BUF_INIT;
    size_t n = 0;
    char id[PW_ID_BYTES_MAX + 1] = "";
    memcpy(id, row->id.data, row->id.size <= PW_ID_BYTES_MAX ? row->id.size : 0);
    field_str(&f, &n, "id", id);
    field_int(&f, &n, "child_of", live->key);
    field_str(&f, &n, "reason", "the parent run has ended");
    pw_effects_message(live->batch,
                       row->parent_policy == PAWL_PARENT_CANCEL ? "cancel" : "terminate", &f, n);
    return true;
}

/* What this very turn has put, and the journal's rows do not show yet. */
static void close_shell_turn(pw_live *live)
{
    size_t len = live->batch->group.len;
    for (size_t i = 0; i < len; i++) {
        if (live->batch->group.ops[i].type ==
            PW_OP_TURN) { /* the journal may have it, and write into it */
            continue;
        }
        const pw_op op = live->batch->group.ops[i]; /* (a copy: the array may move) */
        if (op.type == PW_OP_WAIT_PUT && op.u.wait.run == live->key) {
            (void)shell_wait(live, &op.u.wait);
        } else if (op.type == PW_OP_TASK_PUT && op.u.task.run == live->key) {
            (void)shell_task(live, &op.u.task);
        } else if (op.type == PW_OP_TIMER_SET && op.u.timer.run == live->key) {
            (void)shell_timer(live, &op.u.timer);
        }
    }
}

static void close_shell(pw_live *live)
{
    close_shell_turn(live);
    const pw_journal_ops *j = live->core->jops;
    pw_reader *r = live->core->reader;
    pawl_error err;
    bool ok = j->tasks(r, live->key, shell_task, live, &err) == PAWL_OK &&
              j->run_timers(r, live->key, shell_timer, live, &err) == PAWL_OK &&
              j->waits(r, live->key, shell_wait, live, &err) == PAWL_OK &&
              j->maps(r, live->key, shell_map, live, &err) == PAWL_OK &&
              j->run_children(r, live->key, shell_child, live, &err) == PAWL_OK;
    if (!ok) {
        pw_core_log(live->core, PAWL_ERROR, live->id, 0, "closing: %s", err.message);
        live->batch->failed = true; /* no row of it may stay behind: the turn comes again */
    }
}

/* The events that start the next run, as its inputs. False: no memory. */
static bool carry(pw_live *next, pw_view body)
{
    pawl_scope *scope = pawl_scope_new();
    pw_input *in =
        scope != NULL ? pw_input_new(next->inputs == NULL ? PW_IN_START : PW_IN_REQUEST) : NULL;
    if (in == NULL) {
        pawl_scope_free(scope);
        return false;
    }
    in->scope = scope;
    in->value = (pw_view){pw_memdup(scope, body.data, body.size), body.size};
    DL_APPEND(next->inputs, in);
    return in->value.data != NULL;
}

static bool carry_all(const pw_live *live, pw_live *next, const pw_buf *start)
{
    bool ok = pw_buf_ok(start) && carry(next, (pw_view){start->data, start->size});
    const pw_signal *sig;
    DL_FOREACH (live->signals, sig) {
        ok = ok && (PW_BUG_SIGNALS_LEFT_BEHIND || carry(next, sig->body));
    }
    return ok;
}

static void start_body(pw_live *live, pw_live *next, pw_buf *body)
{
    uint64_t seed;
    live->core->env.random(live->core->env.ctx, &seed, sizeof seed);
    pw_emit e;
    pw_emit_begin(&e, next);
    pw_emit_str(&e, "workflow", (const char *)next->row.workflow.data);
    pw_emit_str(&e, "version", (const char *)next->row.version.data);
    pw_emit_str(&e, "id", next->id);
    pw_emit_value(&e, "input", pw_value_bytes(live->continue_input));
    pw_emit_uint(&e, "seed", seed);
    pw_emit_str(&e, "by", live->started_by);
    pw_emit_opt(&e, "parent", live->parent_key);
    pw_emit_opt(&e, "parent_cmd", live->parent_cmd);
    pw_emit_opt(&e, "deadline_ms", live->run_deadline_ms);
    pw_emit_int(&e, "prev", live->key);
    pw_mp_map(body, e.len);
    pw_buf_put(body, e.fields.data, e.fields.size);
    body->failed |= e.fields.failed;
    pw_emit_drop(&e);
}

static void carry_on(pw_live *live)
{
    pw_core *core = live->core;
    pw_batch *b = live->batch;
    pw_run_row row = live->row;
    row.key = core->next_key++;
    row.prev_key = live->key;
    row.created_ms = live->now_ms;
    row.seq = 0;
    memset(row.chain, 0, sizeof row.chain);
    row.status = PW_RUN_RUNNING;
    row.closed_ms = 0;
    row.unread = 0;
    row.waiting = text_view("");
    row.reason = text_view("");
    op_of(live, PW_OP_RUN_CREATE)->u.run = row;
    pw_live *next = pw_live_new(core, &row);
    if (next == NULL) {
        b->failed = true;
        return;
    }
    next->created = true;
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    next->batch = b;
    start_body(live, next, &body);
    next->batch = NULL;
    if (carry_all(live, next, &body)) {
        pw_turn_first(
            next,
            b); /* RUN_STARTED and the signals, in the same group: nothing can be lost between the two runs */
    }
    if (!next->frozen) {
        b->failed = true;
        pw_publish_never_was(core, next);
    }
}

void pw_effects_close(pw_live *live)
{
    if (pw_live_open_status(live)) {
        return;
    }
    if (live->whole) {
        const pw_cmd *cmd;
        DL_FOREACH (live->open, cmd) {
            close_cmd(live, cmd);
        }
        if (live->run_deadline_ms > 0) {
            timer_clear(live, live->run_deadline_ms, 0, PW_T_RUN);
        }
    } else {
        close_shell(live);
    }
    if (live->state == PW_S_RUN_CONTINUED) {
        carry_on(live);
    }
}
