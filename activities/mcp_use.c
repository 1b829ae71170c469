/*
 * mcp_use.c - tools/call: from the input of a call to its result, over rounds of questions and, maybe, a task.
 *
 * The tool is looked up first: its annotations say whether a lost call may be sent again, its schema which arguments become headers. Does
 * not validate arguments: the server does, and answers with isError.
 */
#include "activities/mcp_use.h"

#include <stdio.h>
#include <string.h>

#include "activities/mcp_tool.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

enum { ROUNDS_MAX = 10, TASK_TTL_MS = 86400000 };
#define IDEMPOTENCY_KEY "dev.pawl/idempotency-key" /* the protocol has none of its own */

/* One use of one tool. */
typedef struct use {
    pw_mcp_call *call;
    const char *name;
    const pawl_value *tool;
    bool repeatable;
    int round; /* of questions and answers; each is a call of its own, and says so by its key */
    const pawl_value *responses; /* of the round to come */
    const char *state;           /* the server's, byte for byte; NULL = none */
} use;

/* ---- the tool ---- */

static bool may_resend(pw_mcp_call *call, const pawl_value *tool)
{
    const char *resend = pawl_str(call->input, "resend", "annotated");
    return strcmp(resend, "always") == 0 ||
           (strcmp(resend, "annotated") == 0 && pw_mcp_tool_repeatable(tool));
}

/* False: the failure is set. */
static bool look_up(use *u, bool fresh)
{
    pw_mcp_call *call = u->call;
    pw_mcp_reply reply;
    const pawl_value *tools = NULL;
    if (!pw_mcp_server_tools(call, fresh, &tools, &reply)) {
        (void)pw_mcp_fail_reply(call, &reply, true);
        return false;
    }
    u->tool = pw_mcp_tool_find(tools, u->name);
    if (u->tool == NULL && !fresh) {
        return look_up(u, true);
    }
    if (u->tool == NULL) {
        char text[300];
        (void)snprintf(text, sizeof text, "the server has no tool %.128s that can be used",
                       u->name);
        (void)pw_mcp_fail(call, "UnknownTool", text, NULL, false);
        return false;
    }
    u->repeatable = may_resend(call, u->tool);
    return true;
}

/* ---- one call ---- */

/* A legacy server makes a task of it if it is asked to, and the tool allows it. */
static const pawl_value *with_legacy_task(use *u, const pawl_value *params)
{
    pawl_scope *scope = u->call->scope;
    const pawl_value *about = pw_mcp_server_about(u->call->server, scope);
    const char *support = pawl_str(u->tool, "execution.taskSupport", "forbidden");
    const bool offers = pawl_get(about, "capabilities.tasks.requests.tools.call") != NULL;
    if (u->call->dialect.era != PW_MCP_LEGACY || !offers || strcmp(support, "forbidden") == 0) {
        return params;
    }
    return pawl_with(scope, params, "task", pawl_build(scope, "{ttl: %d}", TASK_TTL_MS));
}

/* The input's own, and the task's key: the same for every attempt. */
static const pawl_value *meta_of(use *u)
{
    pawl_scope *scope = u->call->scope;
    const pawl_value *meta = pawl_get(u->call->input, "meta");
    const char *key = pawl_task_key(u->call->task);
    if (pw_mcp_key(meta, IDEMPOTENCY_KEY) != NULL) {
        return meta;
    }
    key = u->round == 0 ? key : pw_sprintf(scope, "%s.%d", key, u->round + 1);
    return pawl_with(scope, meta != NULL ? meta : pawl_build(scope, "{}"), IDEMPOTENCY_KEY,
                     pawl_make_str(scope, key));
}

static const pawl_value *params_of(use *u)
{
    pawl_scope *scope = u->call->scope;
    const pawl_value *arguments = pawl_get(u->call->input, "arguments");
    const pawl_value *params =
        pawl_build(scope, "{name: %s, arguments: %p}", u->name,
                   pawl_v(arguments != NULL ? arguments : pawl_build(scope, "{}")));
    if (u->responses != NULL) {
        params = pawl_with(scope, params, "inputResponses", u->responses);
    }
    if (u->state != NULL) {
        params = pawl_with(scope, params, "requestState", pawl_make_str(scope, u->state));
    }
    return with_legacy_task(u, pawl_with(scope, params, "_meta", meta_of(u)));
}

/* Before the first byte of a call that may not be sent twice, the next attempt is told. False: the failure is set. */
static bool tell_the_next(use *u)
{
    if (u->repeatable || pawl_bool(u->call->detail, "sent", false)) {
        return true;
    }
    if (pw_mcp_note_put(u->call, pawl_build(u->call->scope, "{sent: true}"))) {
        return true;
    }
    (void)pw_mcp_fail(u->call, "NoteFailed",
                      "it could not be written down that the call is sent, so it was not", NULL,
                      true);
    return false;
}

/* Asks once more where the server says that our headers are of an older list. False: the failure is set, or the reply is to be judged. */
static bool ask(use *u, pw_mcp_reply *reply)
{
    for (int round = 0; round < 2; round++) {
        pw_mcp_ask a = {.method = "tools/call",
                        .params = params_of(u),
                        .name = u->name,
                        .progress = true,
                        .once = !u->repeatable};
        pw_http_header *headers = NULL;
        if (!pw_mcp_tool_headers(u->call->scope, u->tool, pawl_get(u->call->input, "arguments"),
                                 &headers, &a.headers_len)) {
            pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for headers");
            return false;
        }
        a.headers = headers;
        if (u->call->dialect.era != PW_MCP_MODERN) {
            a.headers_len = 0;
        }
        if (pw_mcp_server_ask(u->call, &a, reply)) {
            return true;
        }
        const bool stale =
            reply->cut == PW_MCP_ANSWERED && reply->message.code == PW_MCP_HEADER_MISMATCH;
        if (!stale || round > 0 || !look_up(u, true)) {
            return false;
        }
    }
    return false;
}

/* ---- questions ---- */

/* Answers to all that the server wants to know. False: somebody has to be asked. */
static bool answer_all(use *u, const pawl_value *requests)
{
    pw_mcp_call *call = u->call;
    u->responses = NULL;
    for (size_t i = 0; i < pawl_len(requests); i++) {
        const char *key = pawl_key_at(requests, i);
        const pawl_value *rq = pawl_at(requests, i);
        const pawl_value *a = key != NULL ? pw_mcp_answer(call, key, pawl_str(rq, "method", ""),
                                                          pawl_get(rq, "params"))
                                          : NULL;
        if (a != NULL) {
            u->responses = pawl_with(call->scope, u->responses, key, a);
        }
    }
    call->answers = NULL; /* they were for this round */
    return call->question == NULL;
}

static const pawl_value *fail_question(use *u)
{
    pawl_scope *scope = u->call->scope;
    const pawl_value *resume = pawl_build(scope, "{}");
    if (u->state != NULL) {
        resume = pawl_with(scope, resume, "state", pawl_make_str(scope, u->state));
    }
    if (u->responses != NULL) {
        resume = pawl_with(scope, resume, "responses", u->responses);
    }
    pw_mcp_note_drop(u->call); /* the server waits for the answer and has done nothing */
    return pw_mcp_fail_question(u->call, resume);
}

/* ---- what came ---- */

static const pawl_value *follow(use *u, const pawl_value *result)
{
    pw_mcp_call *call = u->call;
    const pawl_value *given =
        call->dialect.era == PW_MCP_MODERN ? result : pawl_get(result, "task");
    const int64_t poll = pawl_int(
        given, call->dialect.era == PW_MCP_MODERN ? "pollIntervalMs" : "pollInterval", 1000);
    const pawl_value *task = pawl_build(call->scope, "{id: %s, poll_ms: %lld}",
                                        pawl_str(given, "taskId", ""), (long long)poll);
    if (!pw_mcp_note_put(call, pawl_build(call->scope, "{sent: true, task: %p}", pawl_v(task)))) {
        return pw_mcp_fail_unknown(call, "NoteFailed",
                                   "the id of the task could not be written down");
    }
    return pw_mcp_output_check(call, u->tool, pw_mcp_task_follow(call, task));
}

static const pawl_value *rounds(use *u)
{
    pw_mcp_reply reply;
    for (u->round = 0; u->round < ROUNDS_MAX; u->round++) {
        if (!tell_the_next(u)) {
            return NULL;
        }
        if (!ask(u, &reply)) {
            return pw_mcp_fail_reply(u->call, &reply, u->repeatable);
        }
        const pawl_value *result = reply.message.result;
        switch (pw_mcp_result_kind_of(u->call->dialect.era, result)) {
        case PW_MCP_COMPLETE:
            return pw_mcp_output_check(u->call, u->tool, result);
        case PW_MCP_TASK:
            return follow(u, result);
        case PW_MCP_INPUT_REQUIRED:
            u->state = pawl_str(result, "requestState", NULL);
            if (!answer_all(u, pawl_get(result, "inputRequests"))) {
                return fail_question(u);
            }
            break;
        case PW_MCP_STRANGE:
            return pw_mcp_fail_unknown(u->call, "BadAnswer",
                                       "the result is of a type that the protocol does not have");
        }
    }
    return pw_mcp_fail(u->call, "TooManyQuestions", "the server asks again and again", NULL, false);
}

/* What the run brings back after a question. */
static void take_up(use *u)
{
    const pawl_value *resume = pawl_get(u->call->input, "resume");
    if (resume == NULL || u->call->dialect.era == PW_MCP_LEGACY) {
        return;
    }
    u->state = pawl_str(resume, "state", NULL);
    u->responses = pawl_get(resume, "responses");
    for (size_t i = 0; i < pawl_len(u->call->answers); i++) {
        u->responses = pawl_with(u->call->scope, u->responses, pawl_key_at(u->call->answers, i),
                                 pawl_at(u->call->answers, i));
    }
    u->call->answers = NULL;
}

/* The attempt before has sent it: may it be sent again? */
static bool settle_the_last(use *u, const pawl_value *last)
{
    if (!pawl_bool(last, "sent", false) || u->repeatable) {
        return true;
    }
    (void)pw_mcp_fail_unknown(u->call, "Crash",
                              "an earlier attempt sent it, and ended before the answer came");
    return false;
}

const pawl_value *pw_mcp_use(pw_mcp_call *call)
{
    use u = {.call = call, .name = pawl_str(call->input, "tool", "")};
    const pawl_value *last = pw_mcp_note_get(call);
    const pawl_value *task = pawl_get(last, "task") != NULL ? pawl_get(last, "task")
                                                            : pawl_get(call->input, "resume.task");
    pw_mcp_reply reply;
    if (!pw_mcp_server_greet(call, &reply)) {
        return pw_mcp_fail_reply(call, &reply, true);
    }
    if (task != NULL) {
        call->detail = pawl_build(call->scope, "{sent: true, task: %p}", pawl_v(task));
        return pw_mcp_task_follow(call, task);
    }
    if (!look_up(&u, false) || !settle_the_last(&u, last)) {
        return NULL;
    }
    take_up(&u);
    return rounds(&u);
}
