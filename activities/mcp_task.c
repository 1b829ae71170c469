/*
 * mcp_task.c - a task that a server made of a call, followed to its end, in both generations.
 *
 *   modern   tasks/get until it is over; result or error are in it; questions are answered with tasks/update
 *   legacy   tasks/get until it is over; then tasks/result, also of a failed one; questions come while tasks/result is waited for
 *
 * Looking is free of effects, so a look that fails is repeated. A look that is to come in a while gives the thread back: the attempt ends
 * with a time to come again, which the journal keeps and which costs no retry. A task that the run does not want any more is cancelled.
 *
 * Does not start tasks: mcp_use.c does.
 */
#include <stdio.h>
#include <string.h>

#include "activities/mcp_use.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"

enum {
    POLL_MS_MIN = 50,
    POLL_MS_MAX = 60000,
    HOLD_MS = 10000, /* a longer pause is the journal's */
    LOST_MAX = 8     /* looks in a row that came to nothing */
};

typedef struct follower {
    pw_mcp_call *call;
    const char *id;
    int64_t poll_ms;
    int lost;
    const pawl_value *result; /* of the end; NULL with the failure set */
} follower;

typedef enum look { LOOK_AGAIN, LOOK_OVER } look;

static bool ask(follower *f, const char *method, const pawl_value *params, pw_mcp_reply *reply)
{
    const pw_mcp_ask a = {.method = method, .params = params, .name = f->id};
    return pw_mcp_server_ask(f->call, &a, reply);
}

static const pawl_value *id_params(const follower *f)
{
    return pawl_build(f->call->scope, "{taskId: %s}", f->id);
}

static look end_with(follower *f, const pawl_value *result)
{
    f->result = result;
    return LOOK_OVER;
}

/* ---- cancelling ---- */

/* The run wants it to stop; not so when the engine closes or an attempt takes too long: the next one looks again. */
static void cancel(follower *f)
{
    pw_mcp_reply reply;
    f->call->ends_canceled = true;
    if (pw_mcp_call_unwanted(f->call)) {
        pw_mcp_leave_soon(f->call);
        (void)ask(f, "tasks/cancel", id_params(f), &reply);
        f->call->leave_by_ms = 0;
    }
}

/* ---- a look that came to nothing ---- */

static look failed_look(follower *f, const pw_mcp_reply *reply)
{
    const bool unknown =
        reply->cut == PW_MCP_ANSWERED && reply->message.code == PW_MCP_INVALID_PARAMS;
    const bool passing =
        reply->cut == PW_MCP_FAILED ||
        (reply->cut == PW_MCP_HTTP && (reply->status >= 500 || reply->status == 429));
    if (reply->cut == PW_MCP_CANCELED) {
        cancel(f);
        return end_with(f, NULL);
    }
    if (unknown) {
        return end_with(f, pw_mcp_fail_unknown(f->call, "TaskLost",
                                               "the server does not know the task any more"));
    }
    if (passing && ++f->lost < LOST_MAX) {
        return LOOK_AGAIN;
    }
    return end_with(f, pw_mcp_fail_reply(f->call, reply, true));
}

/* ---- questions ---- */

static look answer_all(follower *f, const pawl_value *requests)
{
    pw_mcp_call *call = f->call;
    const pawl_value *responses = NULL;
    pw_mcp_reply reply;
    for (size_t i = 0; i < pawl_len(requests); i++) {
        const char *key = pawl_key_at(requests, i);
        const pawl_value *rq = pawl_at(requests, i);
        const pawl_value *a = key != NULL ? pw_mcp_answer(call, key, pawl_str(rq, "method", ""),
                                                          pawl_get(rq, "params"))
                                          : NULL;
        responses = a != NULL ? pawl_with(call->scope, responses, key, a) : responses;
    }
    if (responses != NULL) {
        const pawl_value *params =
            pawl_build(call->scope, "{taskId: %s, inputResponses: %p}", f->id, pawl_v(responses));
        if (!ask(f, "tasks/update", params, &reply)) {
            call->question = NULL;
            return failed_look(f, &reply);
        }
    }
    if (call->question == NULL) {
        return LOOK_AGAIN;
    }
    const pawl_value *task =
        pawl_build(call->scope, "{task: {id: %s, poll_ms: %lld}}", f->id, (long long)f->poll_ms);
    return end_with(f, pw_mcp_fail_question(call, task));
}

/* ---- the end ---- */

static look fail_task(follower *f, const pawl_value *task)
{
    const pawl_value *error = pawl_get(task, "error");
    const int64_t code = pawl_int(error, "code", PW_MCP_INTERNAL);
    char text[400];
    (void)snprintf(
        text, sizeof text, "the task failed: %.300s",
        pawl_str(error, "message", pawl_str(task, "statusMessage", "it does not say why")));
    const pawl_value *details =
        pawl_build(f->call->scope, "{code: %lld, error: %p}", (long long)code, pawl_v(error));
    return end_with(f, pw_mcp_fail(f->call, "TaskFailed", text, details, false));
}

/* Waits for the result of a legacy task; a server that has a question asks it here. */
static look fetch_result(follower *f)
{
    pw_mcp_reply reply;
    if (ask(f, "tasks/result", id_params(f), &reply)) {
        return end_with(f, reply.message.result);
    }
    if (reply.cut == PW_MCP_ASKED) {
        const pawl_value *task = pawl_build(f->call->scope, "{task: {id: %s, poll_ms: %lld}}",
                                            f->id, (long long)f->poll_ms);
        return end_with(f, pw_mcp_fail_question(f->call, task));
    }
    if (reply.cut == PW_MCP_ANSWERED && reply.message.code != PW_MCP_INVALID_PARAMS) {
        return fail_task(f, pawl_build(f->call->scope, "{error: {code: %lld, message: %s}}",
                                       (long long)reply.message.code, reply.message.text));
    }
    return failed_look(f, &reply);
}

static look judge(follower *f, const pawl_value *task)
{
    const bool modern = f->call->dialect.era == PW_MCP_MODERN;
    const char *status = pawl_str(task, "status", "");
    f->lost = 0;
    f->poll_ms = pawl_int(task, modern ? "pollIntervalMs" : "pollInterval", f->poll_ms);
    if (strcmp(status, "working") == 0) {
        pw_mcp_call_beat(f->call, pawl_get(task, "statusMessage"), false);
        return LOOK_AGAIN;
    }
    if (strcmp(status, "input_required") == 0) {
        return modern ? answer_all(f, pawl_get(task, "inputRequests")) : fetch_result(f);
    }
    if (strcmp(status, "completed") == 0) {
        return modern ? end_with(f, pawl_get(task, "result")) : fetch_result(f);
    }
    if (strcmp(status, "failed") == 0) {
        return modern ? fail_task(f, task) : fetch_result(f);
    }
    if (strcmp(status, "cancelled") == 0) {
        return end_with(f, pw_mcp_fail(f->call, "TaskCanceled",
                                       "the task was cancelled at the server", NULL, false));
    }
    return end_with(f, pw_mcp_fail(f->call, "BadAnswer",
                                   "the task has a status that the protocol does not have", NULL,
                                   false));
}

/* ---- between two looks ---- */

static int64_t pause_of(const follower *f)
{
    int64_t ms = f->poll_ms < POLL_MS_MIN ? POLL_MS_MIN : f->poll_ms;
    for (int i = 0; i < f->lost && ms < POLL_MS_MAX; i++) {
        ms *= 2;
    }
    return ms < POLL_MS_MAX ? ms : POLL_MS_MAX;
}

/* True: look again. */
static bool pause_between(follower *f)
{
    const int64_t pause = pause_of(f);
    const int64_t until = pw_mono_ms() + pause;
    if (pause >= HOLD_MS) {
        (void)pw_mcp_fail(f->call, "TaskPending", "the task goes on; it is looked at again", NULL,
                          true);
        (void)pawl_task_retry_after(f->call->task, (double)pause / 1000);
        return false;
    }
    while (pw_mono_ms() < until) {
        const pw_mcp_cut cut = pw_mcp_call_over(f->call, INT64_MAX);
        if (cut == PW_MCP_CANCELED) {
            cancel(f);
            return false;
        }
        if (cut != PW_MCP_ANSWERED) {
            (void)pw_mcp_fail(f->call, "Timeout", "the task did not end in time", NULL, true);
            return false;
        }
        pw_mcp_call_wait(f->call, -1, until);
    }
    return true;
}

const pawl_value *pw_mcp_task_follow(pw_mcp_call *call, const pawl_value *task)
{
    follower f = {
        .call = call, .id = pawl_str(task, "id", ""), .poll_ms = pawl_int(task, "poll_ms", 1000)};
    call->deadline_ms =
        call->task_deadline_ms; /* how long one request may take does not bound a task */
    for (;;) {
        pw_mcp_reply reply;
        const look l = ask(&f, "tasks/get", id_params(&f), &reply) ? judge(&f, reply.message.result)
                                                                   : failed_look(&f, &reply);
        if (l == LOOK_OVER) {
            return f.result;
        }
        if (!pause_between(&f)) {
            return NULL;
        }
    }
}
