/*
 * task.c - a run as a task, of both generations: its id is the run's, its status is what the journal says of the run.
 *
 *   open, nothing asked      working            closed, completed                completed
 *   open, something asked    input_required     failed                           completed with isError (legacy: failed)
 *                                               failed with "ProtocolError",
 *                                               timed out                        failed
 *                                               cancelled, terminated            cancelled
 *
 * Nothing of a task is kept anywhere else, so every process gives the same answer. There is no list: who has the id has the task.
 */
#include <stdio.h>
#include <string.h>

#include "tools/mcp/inside.h"

static const pawl_value *fields(pw_mcpd_x *x, const pawl_value *run, const char *status)
{
    const char *message = pawl_str(run, "progress.text", "");
    pw_mcpd_task t = {
        .id = pawl_str(run, "id", ""),
        .status = status,
        .message = message[0] != '\0' ? message : pawl_str(run, "reason", ""),
        .created_ms = pawl_int(run, "created_ms", 0),
        .updated_ms = pawl_int(run, "updated_ms", 0),
    };
    return x->era->task(x->scope, &t);
}

static bool is_open(const pawl_value *run)
{
    return pawl_is(run, "status", "running") || pawl_is(run, "status", "paused");
}

static void ask_of(pw_mcpd_x *x, const char *op, pw_up_fn fn)
{
    pw_up_ask(x->server->up, op, pawl_build(x->scope, "{id: %s}", x->run.id), fn, x);
}

/* Keeps the run's row in x->run.offer. False: the exchange is over. */
static bool described(pw_mcpd_x *x, pawl_status status, const pawl_value *reply, const char *why)
{
    if (status != PAWL_OK) {
        pw_mcpd_fail(
            x, status == PAWL_NOTFOUND ? PW_MCPD_BAD_PARAMS : PW_MCPD_INTERNAL, NULL,
            status == PAWL_NOTFOUND ? "there is no such task" : "the task cannot be read: %s", why);
        return false;
    }
    x->run.offer = pawl_copy(x->scope, reply);
    return true;
}

/* The task that a request names, whose run is described next. */
static void with_task(pw_mcpd_x *x, pw_up_fn fn)
{
    const char *id = pawl_str(x->params, "taskId", NULL);
    if (x->era->meta && !pw_mcpd_has_tasks(x)) {
        const pawl_value *tasks =
            pawl_with(x->scope, NULL, PW_MCPD_TASKS, pawl_build(x->scope, "{}"));
        pw_mcpd_need_cap(x, pawl_build(x->scope, "{extensions: %p}", pawl_v(tasks)));
    } else if (id == NULL || strlen(id) >= sizeof x->run.id) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such task");
    } else {
        (void)snprintf(x->run.id, sizeof x->run.id, "%s", id);
        ask_of(x, "describe", fn);
    }
}

/* ---- a call becomes a task ---- */

static void on_created(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (!described(x, status, reply, why)) {
        return;
    }
    const pawl_value *task = x->era->task_created(x->scope, fields(x, x->run.offer, "working"));
    pw_mcpd_end_as(x, task, "task");
}

void pw_mcpd_become_task(pw_mcpd_x *x)
{
    x->run.ending = true; /* its end is the task's */
    x->run.cancel_on_drop = false;
    pw_mcpd_no_timer(x);
    ask_of(x, "describe", on_created);
}

/* ---- tasks/get ---- */

static const pawl_value *closed(pw_mcpd_x *x, const pawl_value *end)
{
    int64_t code = 0;
    const char *text = "";
    const pawl_value *run = x->run.offer;
    const char *status = pawl_str(end, "status", "");
    if (strcmp(status, "canceled") == 0 || strcmp(status, "terminated") == 0) {
        return fields(x, run, "cancelled");
    }
    const pawl_value *result = pw_mcpd_tool_result(x->scope, end, &code, &text);
    if (strcmp(status, "timed-out") == 0) {
        code = PW_MCPD_INTERNAL;
        text = "the run took longer than it may";
        result = NULL;
    }
    const bool failed =
        result == NULL || (x->era->tool_error_fails && pawl_bool(result, "isError", false));
    const pawl_value *task = fields(x, run, failed ? "failed" : "completed");
    if (!x->era->meta) {
        return task;
    }
    return result != NULL
               ? pawl_with(x->scope, task, "result", x->era->stamp(x->scope, result, "complete"))
               : pawl_with(
                     x->scope, task, "error",
                     pawl_build(x->scope, "{code: %lld, message: %s}", (long long)code, text));
}

static void on_result(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the task cannot be read: %s", why);
        return;
    }
    pw_mcpd_end(x, closed(x, reply));
}

static void on_waits(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *asks = NULL;
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(reply); i++) {
        const pawl_value *wait = pawl_copy(x->scope, pawl_at(reply, i));
        const pawl_value *q = pw_mcpd_question(x, wait);
        asks =
            q != NULL ? pawl_with(x->scope, asks, pw_mcpd_wait_key(x->scope, wait, true), q) : asks;
    }
    const pawl_value *task = fields(x, x->run.offer, asks != NULL ? "input_required" : "working");
    pw_mcpd_end(x, asks != NULL && x->era->meta ? pawl_with(x->scope, task, "inputRequests", asks)
                                                : task);
}

static void on_got(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (described(x, status, reply, why)) {
        ask_of(x, is_open(reply) ? "waits" : "result", is_open(reply) ? on_waits : on_result);
    }
}

void pw_mcpd_on_TASKS_GET(pw_mcpd_x *x)
{
    with_task(x, on_got);
}

/* ---- tasks/update ---- */

static void on_answered(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)status; /* what did not fit is still asked */
    (void)reply;
    (void)why;
    if (--x->run.answering == 0) {
        pw_mcpd_end(x, NULL);
    }
}

static void on_asked(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *responses = pawl_get(x->params, "inputResponses");
    (void)why;
    for (size_t i = 0; status == PAWL_OK && i < pawl_len(reply); i++) {
        const pawl_value *wait = pawl_copy(x->scope, pawl_at(reply, i));
        const pawl_value *response = pw_mcpd_key(responses, pw_mcpd_wait_key(x->scope, wait, true));
        const pawl_value *value =
            response != NULL ? pw_mcpd_answer_of(x->scope, wait, response) : NULL;
        if (value != NULL) {
            x->run.answering++;
            pw_mcpd_answer(x, x->run.id, wait, value, on_answered);
        }
    }
    if (x->run.answering == 0) {
        pw_mcpd_end(x, NULL);
    }
}

static void on_updated(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (described(x, status, reply, why)) {
        ask_of(x, "waits", on_asked);
    }
}

void pw_mcpd_on_TASKS_UPDATE(pw_mcpd_x *x)
{
    if (pawl_typeof(pawl_get(x->params, "inputResponses")) != PAWL_MAP) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "inputResponses is an object");
        return;
    }
    with_task(x, on_updated);
}

/* ---- tasks/cancel ---- */

static void on_canceled(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)reply;
    if (status != PAWL_OK && status != PAWL_CLOSED) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the task cannot be cancelled: %s", why);
        return;
    }
    pw_mcpd_end(x, x->era->meta ? NULL : fields(x, x->run.offer, "cancelled"));
}

static void on_to_cancel(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (!described(x, status, reply, why)) {
        return;
    }
    if (is_open(reply)) {
        pw_up_ask(x->server->up, "cancel",
                  pawl_build(x->scope, "{id: %s, by: %s}", x->run.id,
                             x->principal[0] != '\0' ? x->principal : "mcp"),
                  on_canceled, x);
    } else if (x->era->meta) {
        pw_mcpd_end(x, NULL);
    } else {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "the task is over");
    }
}

void pw_mcpd_on_TASKS_CANCEL(pw_mcpd_x *x)
{
    with_task(x, on_to_cancel);
}

/* ---- tasks/result ---- */

void pw_mcpd_on_TASKS_RESULT(pw_mcpd_x *x)
{
    const char *id = pawl_str(x->params, "taskId", NULL);
    if (id == NULL || strlen(id) >= sizeof x->run.id) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such task");
        return;
    }
    pw_mcpd_follow(x, id, NULL, PW_MCPD_AS_TOOL);
}
