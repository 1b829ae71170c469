/*
 * agent_answer.c - what an answer of the model leads to.
 *
 *   calls           --> each judged by its policy; when all are over, one message with their results, and the model again
 *   none, inbox     --> the model again: somebody said something meanwhile
 *   none            --> the end: the text, or the value that fits the schema
 *
 * Does not ask for anything: that is read from the state (agent_decide.c).
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

static bool is_call(const pawl_value *part)
{
    return pawl_is(part, "type", "tool_call");
}

static size_t calls_in(const pawl_value *parts)
{
    size_t n = 0;
    for (size_t i = 0; i < pawl_len(parts); i++) {
        n += is_call(pawl_at(parts, i));
    }
    return n;
}

/* ---- calls ---- */

static void call_take(pw_agent *a, const pawl_value *part)
{
    pw_agent_call *c = &a->calls[a->calls_len++];
    c->id = pawl_str(part, "id", "");
    c->name = pawl_str(part, "name", "");
    c->arguments = pawl_get(part, "arguments");
    c->tool = pw_agent_tool(a, c->name);
    if (pawl_get(part, "arguments_error") != NULL) {
        pw_agent_call_failed(a, c, "BadArguments",
                             pawl_str(part, "arguments_error", "they cannot be read"));
    } else {
        pw_agent_call_judge(a, c);
    }
}

static void act(pw_agent *a, const pawl_value *parts, size_t len)
{
    a->calls =
        len <= PW_AGENT_CALLS_MAX ? pawl_scope_alloc(a->scope, len * sizeof *a->calls) : NULL;
    if (a->calls == NULL) {
        pw_agent_fail(a, len > PW_AGENT_CALLS_MAX ? "TooManyCalls" : "OutOfMemory",
                      "the model wants too many calls in one answer");
        return;
    }
    a->phase = PW_AGENT_ACTING;
    for (size_t i = 0; i < pawl_len(parts); i++) {
        if (is_call(pawl_at(parts, i))) {
            call_take(a, pawl_at(parts, i));
        }
    }
    pw_agent_acted(a);
}

static void go_on(pw_agent *a)
{
    char text[100];
    const int64_t most = pawl_int(a->config, "max_turns", PW_AGENT_TURNS);
    pw_agent_ready(a);
    if (a->turn >= most) {
        (void)snprintf(text, sizeof text, "no final answer after %lld turns", (long long)a->turn);
        pw_agent_fail(a, "MaxTurns", text);
    }
}

void pw_agent_acted(pw_agent *a)
{
    const pawl_value *parts = NULL;
    if (a->phase != PW_AGENT_ACTING) {
        return;
    }
    for (size_t i = 0; i < a->calls_len; i++) {
        const pw_agent_call *c = &a->calls[i];
        if (c->state != PW_AGENT_OVER) {
            return;
        }
        parts = pw_agent_push(
            a->scope, parts,
            pawl_build(a->scope,
                       "{type: 'tool_result', id: %s, name: %s, content: %p, is_error: %p}", c->id,
                       c->name, pawl_v(c->result), pawl_v(pawl_make_bool(a->scope, c->failed))));
    }
    for (size_t i = 0; i < a->calls_len; i++) {
        if (a->calls[i].watched) {
            pw_agent_loop_seen(a, &a->calls[i]);
        }
    }
    a->pending = pw_agent_push(a->scope, a->pending,
                               pawl_build(a->scope, "{role: 'tool', parts: %p}", pawl_v(parts)));
    pw_agent_used(a);
    a->calls_len = 0;
    if (a->heir != NULL) {
        a->phase = PW_AGENT_HANDING;
        return;
    }
    go_on(a);
    if (a->stuck != NULL && a->phase != PW_AGENT_FAILED) {
        a->phase = PW_AGENT_STUCK;
    }
}

/* ---- the end ---- */

const pawl_value *pw_agent_text(pawl_scope *scope, const pawl_value *parts)
{
    size_t size = 0;
    for (size_t i = 0; i < pawl_len(parts); i++) {
        size += pawl_is(pawl_at(parts, i), "type", "text")
                    ? strlen(pawl_str(pawl_at(parts, i), "text", ""))
                    : 0;
    }
    char *text = pawl_scope_alloc(scope, size + 1);
    size_t at = 0;
    for (size_t i = 0; i < pawl_len(parts) && text != NULL; i++) {
        const char *piece = pawl_is(pawl_at(parts, i), "type", "text")
                                ? pawl_str(pawl_at(parts, i), "text", "")
                                : "";
        memcpy(text + at, piece, strlen(piece));
        at += strlen(piece);
    }
    return text != NULL ? pawl_make_str(scope, text) : NULL;
}

static void end(pw_agent *a, const pawl_value *result, const pawl_value *parts)
{
    char text[200];
    const bool wants_value = pawl_get(a->config, "answer_schema") != NULL;
    const bool refused = strcmp(a->stop, "refusal") == 0 || strcmp(a->stop, "filter") == 0;
    if (refused || (wants_value && pawl_get(result, "value") == NULL)) {
        (void)snprintf(text, sizeof text, "the model ended with \"%s\" and no answer", a->stop);
        pw_agent_fail(a, "NoAnswer", text);
        return;
    }
    a->answer = wants_value ? pawl_copy(a->scope, pawl_get(result, "value"))
                            : pw_agent_text(a->scope, parts);
    a->phase = PW_AGENT_DONE;
}

void pw_agent_answered(pw_agent *a, const pawl_value *result)
{
    pw_agent_renew(a);
    const pawl_value *message = pawl_copy(a->scope, pawl_get(result, "message"));
    const pawl_value *parts = pawl_get(message, "parts");
    const size_t calls = calls_in(parts);
    a->command = 0;
    a->squeezed = false;
    a->tokens = pawl_int(result, "usage.input", 0) + pawl_int(result, "usage.output", 0);
    a->stop = pawl_str(pawl_make_str(a->scope, pawl_str(result, "stop", "other")), "", "other");
    pw_agent_usage_add(a, pawl_get(result, "usage"));
    pw_agent_said(a, parts);
    if (pawl_len(parts) > 0) {
        a->pending = pw_agent_push(a->scope, a->pending, message);
    }
    if (calls > 0) {
        act(a, parts, calls);
    } else if (strcmp(a->stop, "malformed") == 0) {
        a->inbox = pw_agent_push(
            a->scope, a->inbox,
            pawl_build(a->scope,
                       "{role: 'user', text: '[engine] Your call could not be read. Try again.'}"));
        go_on(a);
    } else if (pawl_len(a->inbox) > 0 || strcmp(a->stop, "pause") == 0) {
        go_on(a);
    } else {
        end(a, result, parts);
    }
}
