/*
 * mcp_talk.c - one request and everything that comes until its answer: progress, questions, other notifications.
 *
 * A request that is given up is told to the server, as the transport and the era want: a modern stream is closed, all others get
 * notifications/cancelled. Does not send a request twice.
 */
#include <stdio.h>
#include <string.h>

#include "activities/mcp_server.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

enum { LEAVE_MS = 1500 };

static bool by_process(const pw_mcp_call *call)
{
    return call->process != NULL;
}

void pw_mcp_leave_soon(pw_mcp_call *call)
{
    if (call->leave_by_ms == 0) {
        call->leave_by_ms = pw_mono_ms() + LEAVE_MS;
    }
}

/* ---- what has no answer ---- */

static void say(pw_mcp_call *call, const pw_buf *text, const char *method)
{
    const pw_mcp_send send = {
        .text = (const char *)text->data, .size = text->size, .id = -1, .method = method};
    if (!pw_buf_ok(text)) {
        return;
    }
    if (by_process(call)) {
        pw_mcp_process_say(call->process, send.text, send.size);
        return;
    }
    pw_mcp_reply *reply = pw_calloc(1, sizeof *reply);
    pw_mcp_wire *wire = NULL;
    pw_buf got = PW_BUF_INIT;
    if (reply != NULL && pw_mcp_http_open(call, &send, &wire, reply)) {
        while (wire->ops->next(wire, &got, reply)) {
        }
        wire->ops->close(wire, true);
    }
    pw_buf_deinit(&got);
    pw_free(reply);
}

void pw_mcp_tell(pw_mcp_call *call, const char *method, const pawl_value *params)
{
    pw_buf text = PW_BUF_INIT;
    pw_mcp_write_notification(&text, &call->dialect, method, params);
    say(call, &text, method);
    pw_buf_deinit(&text);
}

/* ---- what comes on the way ---- */

/* False: the question waits for somebody. */
static bool answer(pw_mcp_call *call, const pw_mcp_message *m, bool ours, pawl_scope *scope)
{
    pw_buf text = PW_BUF_INIT;
    const pawl_value *result = NULL;
    bool known = true;
    if (strcmp(m->method, "ping") == 0) {
        pw_mcp_write_result(&text, m->id_value, NULL);
    } else if (strcmp(m->method, "elicitation/create") == 0 && !ours) { /* [M3] */
        pw_mcp_write_result(&text, m->id_value, pawl_build(scope, "{action: \"cancel\"}"));
    } else if (strcmp(m->method, "elicitation/create") == 0) {
        char key[32];
        (void)snprintf(key, sizeof key, "ask-%zu", ++call->questions);
        result = pw_mcp_answer(call, key, m->method, m->params);
        known = result != NULL;
        pw_mcp_write_result(&text, m->id_value,
                            known ? result : pawl_build(scope, "{action: \"cancel\"}"));
    } else {
        pw_mcp_write_error(&text, m->id_value, PW_MCP_METHOD_NOT_FOUND,
                           "not supported by this client");
    }
    say(call, &text, NULL);
    pw_buf_deinit(&text);
    return known;
}

static void notice(pw_mcp_call *call, const pw_mcp_message *m)
{
    if (strcmp(m->method, "notifications/progress") == 0) {
        pw_mcp_call_beat(call, m->params, false);
    } else if (strcmp(m->method, "notifications/tools/list_changed") == 0) {
        pw_mcp_server_tools_stale(call->server);
    }
}

/* Is it the answer? An error without an id is, where nothing else could be meant. */
static bool is_answer(const pw_mcp_call *call, const pw_mcp_message *m, int64_t id)
{
    return ((m->kind == PW_MCP_RESULT || m->kind == PW_MCP_ERROR) && m->id == id) ||
           (m->kind == PW_MCP_ERROR && m->id < 0 && !by_process(call));
}

typedef enum step { STEP_ON, STEP_ANSWERED, STEP_OVER } step;

static step take(pw_mcp_call *call, const pw_buf *text, int64_t id, pw_mcp_reply *reply)
{
    pw_mcp_message m;
    pawl_error err;
    pawl_scope *scope = pawl_scope_new();
    step s = STEP_ON;
    const bool ours = !reply->aside || pw_mcp_server_tool_calls(call->server, 0) == 1;
    if (scope == NULL ||
        pw_mcp_read(scope, (const char *)text->data, text->size, &m, &err) != PAWL_OK) {
        pw_mcp_cut_set(reply, PW_MCP_MALFORMED, "BadAnswer", "%s",
                       scope == NULL ? "no memory for it" : err.message);
        s = STEP_OVER;
    } else if (is_answer(call, &m, id)) {
        const bool kept = pw_mcp_read(call->scope, (const char *)text->data, text->size,
                                      &reply->message, &err) == PAWL_OK;
        reply->cut = PW_MCP_ANSWERED;
        if (!kept) {
            pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for the answer");
        }
        s = kept ? STEP_ANSWERED : STEP_OVER;
    } else if (m.kind == PW_MCP_NOTIFICATION) {
        notice(call, &m);
    } else if (m.kind == PW_MCP_REQUEST && !answer(call, &m, ours, scope)) {
        pw_mcp_cut_set(reply, PW_MCP_ASKED, "InputRequired", "the server asks: %.300s",
                       pawl_str(m.params, "message", ""));
        s = STEP_OVER;
    }
    pawl_scope_free(scope);
    return s;
}

/* ---- asking ---- */

static void give_up(pw_mcp_call *call, const pw_mcp_ask *ask, int64_t id)
{
    pawl_scope *scope = pawl_scope_new();
    pw_mcp_leave_soon(call);
    if (scope != NULL && strcmp(ask->method, "initialize") != 0) {
        pw_mcp_tell(call, "notifications/cancelled",
                    pawl_build(scope, "{requestId: %lld, reason: \"nobody waits for it any more\"}",
                               (long long)id));
    }
    call->leave_by_ms = 0;
    pawl_scope_free(scope);
}

static void converse(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_wire *wire, int64_t id,
                     pw_mcp_reply *reply)
{
    pw_buf text = PW_BUF_INIT;
    step s = STEP_ON;
    while (s == STEP_ON && wire->ops->next(wire, &text, reply)) {
        reply->sent = true;
        s = take(call, &text, id, reply);
    }
    const bool given_up = reply->cut == PW_MCP_CANCELED || reply->cut == PW_MCP_TIMED_OUT ||
                          reply->cut == PW_MCP_ASKED;
    if (given_up && reply->sent && (by_process(call) || call->dialect.era == PW_MCP_LEGACY)) {
        give_up(call, ask, id);
    }
    wire->ops->close(wire, s == STEP_ANSWERED);
    pw_buf_deinit(&text);
}

bool pw_mcp_talk(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_reply *reply)
{
    const int64_t id = pw_mcp_server_id(call->server);
    const pw_mcp_request rq = {
        .id = id, .method = ask->method, .params = ask->params, .progress = ask->progress};
    pw_buf text = PW_BUF_INIT;
    pw_mcp_wire *wire = NULL;
    memset(reply, 0, sizeof *reply);
    reply->retry_after_ms = -1;
    pw_mcp_write_request(&text, &call->dialect, &rq);
    if (!pw_buf_ok(&text)) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory",
                       "no memory for a request, or it is too large");
        pw_buf_deinit(&text);
        return false;
    }
    const pw_mcp_send send = {.text = (const char *)text.data,
                              .size = text.size,
                              .id = id,
                              .method = ask->method,
                              .name = ask->name,
                              .headers = ask->headers,
                              .headers_len = ask->headers_len,
                              .once = ask->once};
    const bool open = by_process(call) ? pw_mcp_stdio_open(call, &send, &wire, reply)
                                       : pw_mcp_http_open(call, &send, &wire, reply);
    if (open) {
        converse(call, ask, wire, id, reply);
    }
    pw_buf_deinit(&text);
    return reply->cut == PW_MCP_ANSWERED && reply->message.kind == PW_MCP_RESULT;
}
