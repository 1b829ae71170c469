/*
 * rig_ask.c - requests and attempts, as a test hands them to the core.
 *
 * Replies are copied into the rig's scope. Does not interpret them.
 */
#include "rig.h"

#include <stdio.h>
#include <utlist.h>

#include "rig_inside.h"

/* ---- requests ---- */

typedef struct pending {
    rig *r;
    rig_reply *reply;
} pending;

static void on_reply(pw_request *rq, pawl_status status, pw_view body, const pawl_error *err,
                     bool more)
{
    pending *p = rq->user;
    rig_reply *reply = p->reply;
    bool was = rig_own(p->r);
    reply->replies++;
    reply->done = true;
    reply->lost = p->r->crashing;
    reply->status = status;
    reply->value = body.size > 0 ? pw_value_copy(p->r->scope, body.data, body.size) : NULL;
    if (err != NULL && status != PAWL_OK) {
        (void)snprintf(reply->message, sizeof reply->message, "%s", err->message);
    }
    (void)more;
    rig_leave(p->r, was);
}

static pending *pending_new(rig *r)
{
    rig_reply *reply = pw_calloc(1, sizeof *reply);
    pending *p = pawl_scope_alloc(r->scope, sizeof *p);
    PW_CHECK(reply != NULL && p != NULL);
    LL_PREPEND(r->replies, reply);
    *p = (pending){r, reply};
    return p;
}

static pw_view text(const char *t)
{
    return (pw_view){(const uint8_t *)t, strlen(t)};
}

rig_reply *rig_post_value(rig *r, const char *op, const pawl_value *args)
{
    pending *p = pending_new(r);
    pw_request *rq;
    pawl_error err = {0};
    if (pw_request_new(text(op), pw_value_bytes(args), on_reply, p, &rq, &err) != PAWL_OK) {
        fail_msg("%s: %s", op, err.message);
    }
    rq->number = p->reply->number = ++r->requests;
    bool was = rig_enter(r);
    pw_core_request(r->core, rq);
    rig_leave(r, was);
    return p->reply;
}

rig_reply *rig_post(rig *r, const char *op, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_vbuild(r->scope, fmt, args);
    va_end(args);
    assert_non_null(v);
    return rig_post_value(r, op, v);
}

rig_reply *rig_ask(rig *r, const char *op, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_vbuild(r->scope, fmt, args);
    va_end(args);
    assert_non_null(v);
    rig_reply *reply = rig_post_value(r, op, v);
    rig_run(r);
    if (!reply->done) {
        fail_msg("%s %s was not answered", op, pawl_to_json(r->scope, v, 0));
    }
    return reply;
}

void rig_start_with(rig *r, const char *workflow, const char *id, const pawl_value *input)
{
    const rig_reply *reply =
        rig_ask(r, "start", "{workflow: %s, id: %s, input: %p}", workflow, id, pawl_v(input));
    if (reply->status != PAWL_OK) {
        fail_msg("start %s: %s", id, reply->message);
    }
}

void rig_start(rig *r, const char *workflow, const char *id)
{
    rig_start_with(r, workflow, id, NULL);
}

static void post_memory(rig *r, pw_view dedup, pw_view body)
{
    pw_journal *j;
    pawl_error err = {0};
    uint64_t epoch, group_no;
    assert_int_equal(pw_memory_attach(r->store, &j, &err), PAWL_OK);
    assert_int_equal(j->ops->lease(j, &epoch, &group_no, &err), PAWL_OK);
    pw_op op = {.type = PW_OP_INBOX_PUT,
                .u.inbox = {.posted_ms = r->now_ms, .dedup = dedup, .body = body}};
    pw_group g = {.epoch = epoch, .number = group_no + 1, .ops = &op, .len = 1};
    assert_int_equal(j->ops->commit(j, &g, &err), PAWL_OK);
    j->ops->close(j);
}

void rig_post_inbox(rig *r, const char *op, const pawl_value *args, const char *dedup)
{
    assert_null(r->core); /* only when nobody owns the journal */
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    pw_request_write(&body, 1, op, pw_value_bytes(args));
    pw_view bytes = {body.data, body.size};
    if (r->store != NULL) {
        post_memory(r, text(dedup), bytes);
        return;
    }
    int64_t id;
    pawl_error err = {0};
    assert_int_equal(pw_sqlite_post(r->path, text(dedup), bytes, r->now_ms, &id, &err), PAWL_OK);
}

/* ---- attempts ---- */

rig_task *rig_task_find(rig *r, const char *name)
{
    rig_task *t;
    DL_FOREACH (r->tasks, t) {
        if (strcmp(t->name, name) == 0 && !t->orphan) {
            return t;
        }
    }
    return NULL;
}

size_t rig_tasks(const rig *r, const char *name)
{
    size_t n = 0;
    const rig_task *t;
    DL_FOREACH (r->tasks, t) {
        n += strcmp(t->name, name) == 0 && !t->orphan ? 1 : 0;
    }
    return n;
}

void rig_begin(rig *r, rig_task *t)
{
    (void)r;
    assert_non_null(t);
    pawl_task_begin(t->task);
}

void rig_end(rig *r, rig_task *t, const pawl_value *result)
{
    assert_non_null(t);
    rig_task_unlink(r, t);
    pawl_task_begin(t->task);
    pawl_task_finish(t->task, result);
    pw_free(t);
}

void rig_done(rig *r, rig_task *t, const pawl_value *result)
{
    rig_end(r, t, result);
    if (r->core != NULL) {
        rig_run(r);
    }
}

void rig_end_failed(rig *r, rig_task *t, const char *type, bool retryable)
{
    assert_non_null(t);
    rig_task_unlink(r, t);
    pawl_task_begin(t->task);
    (void)pawl_task_fail_with(t->task, type, "the test says so", NULL, retryable);
    pawl_task_finish(t->task, NULL);
    pw_free(t);
}

void rig_fail(rig *r, rig_task *t, const char *type, bool retryable)
{
    rig_end_failed(r, t, type, retryable);
    if (r->core != NULL) {
        rig_run(r);
    }
}

void rig_end_canceled(rig *r, rig_task *t)
{
    assert_non_null(t);
    rig_task_unlink(r, t);
    pawl_task_finish_canceled(t->task);
    pw_free(t);
}

void rig_stop(rig *r, rig_task *t)
{
    rig_end_canceled(r, t);
    rig_run(r);
}

void rig_drop(rig *r, rig_task *t)
{
    assert_non_null(t);
    r->crashing = true; /* its last report goes nowhere */
    rig_task_unlink(r, t);
    pawl_task_finish_canceled(t->task);
    pw_free(t);
    r->crashing = false;
}
