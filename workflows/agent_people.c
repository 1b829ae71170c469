/*
 * agent_people.c - what people are asked, and what their answers do: may a call be made, what does an MCP server want to know, does a loop go on.
 *
 *   approve-TURN-CALL[-ASK]   choices approve | reject | modify
 *   answer-TURN-CALL-ASK      choices accept | decline | cancel: a question of the call's server; the call goes on with all of their answers
 *   stuck-TURN                choices continue | stop
 *
 * Asking reads the state only; apply takes the answers. Does not judge which calls need a person (agent_tool.c).
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

/* ---- asking ---- */

/* How long, and how, people are asked is the input's: what the engine does not know of it is not passed on. */
static bool ask_person(const pw_agent *a, pawl_fold *f, pawl_ask_options *options,
                       const char *otherwise)
{
    options->deadline_s = pawl_num(a->config, "approval.deadline_s", 0);
    options->on_deadline = options->deadline_s > 0 ? otherwise : NULL;
    return pawl_fold_ask(f, options, sizeof *options) != 0;
}

static bool ask_approval(const pw_agent *a, pawl_fold *f, size_t index)
{
    const pw_agent_call *c = &a->calls[index];
    char name[80];
    char prompt[200];
    (void)snprintf(name, sizeof name, c->asks == 0 ? "approve-%lld-%zu" : "approve-%lld-%zu-%lld",
                   (long long)a->turn, index + 1, (long long)c->asks + 1);
    (void)snprintf(prompt, sizeof prompt, "May the agent call \"%.100s\"?", c->name);
    pawl_ask_options options = {
        .name = name,
        .kind = "approval",
        .prompt = prompt,
        .choices = "approve|reject|modify",
        .show = pawl_build(pawl_fold_scope(f), "{tool: %s, arguments: %p}", c->name,
                           pawl_v(c->arguments)),
    };
    return ask_person(a, f, &options, "reject");
}

/* The questions of a server are asked one after the other. */
static size_t question_index(const pw_agent_call *c)
{
    return pawl_len(c->answers);
}

static bool ask_for_server(const pw_agent *a, pawl_fold *f, size_t index)
{
    const pw_agent_call *c = &a->calls[index];
    const pawl_value *question = pawl_at(pawl_get(c->puzzle, "questions"), question_index(c));
    const pawl_value *params = pawl_get(question, "params");
    const bool url = pawl_is(params, "mode", "url");
    char name[80];
    (void)snprintf(name, sizeof name, "answer-%lld-%zu-%lld", (long long)a->turn, index + 1,
                   (long long)c->asks + 1);
    pawl_ask_options options = {
        .name = name,
        .kind = url ? "url" : "form",
        .prompt = pawl_str(params, "message", "The tool's server asks something."),
        .choices = "accept|decline|cancel",
        .schema = url ? NULL : pawl_get(params, "requestedSchema"),
        .show = pawl_build(pawl_fold_scope(f), "{tool: %s, arguments: %p, question: %p}", c->name,
                           pawl_v(c->arguments), pawl_v(question)),
    };
    return ask_person(a, f, &options, "decline");
}

bool pw_agent_ask_call(const pw_agent *a, pawl_fold *f, size_t index)
{
    return a->calls[index].state == PW_AGENT_PUZZLED ? ask_for_server(a, f, index)
                                                     : ask_approval(a, f, index);
}

bool pw_agent_ask_stuck(const pw_agent *a, pawl_fold *f)
{
    char name[80];
    char prompt[300];
    (void)snprintf(name, sizeof name, "stuck-%lld", (long long)a->turn);
    (void)snprintf(prompt, sizeof prompt,
                   "The agent calls \"%.100s\" again and again, to no effect. Should it go on?",
                   a->stuck);
    pawl_ask_options options = {
        .name = name, .kind = "approval", .prompt = prompt, .choices = "continue|stop"};
    return ask_person(a, f, &options, "stop");
}

/* ---- the question is on record ---- */

static void asked_about(pw_agent *a, pw_agent_call_state from, pw_agent_call_state to,
                        int64_t command)
{
    for (size_t i = 0; i < a->calls_len; i++) {
        if (a->calls[i].state == from) {
            a->calls[i].state = to;
            a->calls[i].command = command;
            a->calls[i].asks++;
            return;
        }
    }
}

void pw_agent_asked(pw_agent *a, const pawl_fold_event *e)
{
    if (strncmp(e->name, "approve-", 8) == 0) {
        asked_about(a, PW_AGENT_HELD, PW_AGENT_ASKED, e->command);
    } else if (strncmp(e->name, "answer-", 7) == 0) {
        asked_about(a, PW_AGENT_PUZZLED, PW_AGENT_PUZZLING, e->command);
    } else if (strncmp(e->name, "stuck-", 6) == 0) {
        a->command = e->command;
    }
}

/* ---- the answer ---- */

static void reject(pw_agent *a, pw_agent_call *call, const pawl_value *data)
{
    const char *why = pawl_typeof(data) == PAWL_STRING
                          ? pawl_str(data, "", "")
                          : pawl_str(data, "reason", "a person said no");
    pw_agent_call_failed(a, call, "Rejected", why);
    pw_agent_acted(a);
}

/* Arguments that are none, or do not fit, are asked for again. */
static void modify(pw_agent *a, pw_agent_call *call, const pawl_value *data)
{
    const pawl_value *other =
        pawl_get(data, "arguments") != NULL ? pawl_get(data, "arguments") : data;
    const pawl_value *schema = pawl_get(call->tool, "schema");
    call->command = 0;
    call->state = PW_AGENT_HELD;
    if (pawl_typeof(other) == PAWL_MAP &&
        (schema == NULL || pawl_schema_check(schema, other, NULL) != PAWL_INVALID)) {
        call->arguments = pawl_copy(a->scope, other);
        pw_agent_call_want(a, call);
        pw_agent_acted(a);
    }
}

static void judged(pw_agent *a, pw_agent_call *call, const pawl_value *answer)
{
    const pawl_value *data = pawl_get(answer, "data");
    if (pawl_is(answer, "choice", "approve")) {
        pw_agent_call_want(a, call);
        pw_agent_acted(a);
    } else if (pawl_is(answer, "choice", "modify")) {
        modify(a, call, data);
    } else {
        reject(a, call, data);
    }
}

static void solved(pw_agent *a, pw_agent_call *call, const pawl_value *answer)
{
    const pawl_value *questions = pawl_get(call->puzzle, "questions");
    const size_t at = question_index(call);
    const pawl_value *question = pawl_at(questions, at);
    const pawl_value *data = pawl_get(answer, "data");
    const bool accepts = pawl_is(answer, "choice", "accept");
    const pawl_value *said =
        accepts && !pawl_is(question, "method", "elicitation/create")
            ? data
            : pawl_build(a->scope, "{action: %s}", pawl_str(answer, "choice", "decline"));
    if (accepts && said != data && data != NULL) {
        said = pawl_with(a->scope, said, "content", data);
    }
    call->answers = pawl_with(a->scope, call->answers, pawl_key_at(questions, at), said);
    call->command = 0;
    call->state = question_index(call) < pawl_len(questions) ? PW_AGENT_PUZZLED : PW_AGENT_WANTED;
}

static void unstuck(pw_agent *a, const pawl_value *answer)
{
    const pawl_value *data = pawl_get(answer, "data");
    a->command = 0;
    a->stuck = NULL;
    if (!pawl_is(answer, "choice", "continue")) {
        pw_agent_fail(a, "LoopDetected",
                      "the same call led nowhere again and again, and nobody wanted it to go on");
        return;
    }
    pw_agent_loop_forget(a);
    a->inbox = data != NULL ? pw_agent_join(a->scope, a->inbox, pw_agent_messages(a->scope, data))
                            : a->inbox;
    pw_agent_ready(a);
}

void pw_agent_told(pw_agent *a, const pawl_fold_event *e)
{
    for (size_t i = 0; i < a->calls_len; i++) {
        pw_agent_call *call = &a->calls[i];
        if (e->command != 0 && call->command == e->command) {
            (call->state == PW_AGENT_PUZZLING ? solved : judged)(a, call, e->value);
            return;
        }
    }
    if (a->phase == PW_AGENT_STUCK && e->command == a->command) {
        unstuck(a, e->value);
    }
}

bool pw_agent_puzzled(pw_agent *a, pw_agent_call *call, const pawl_failure *f)
{
    const bool asks = f != NULL && f->type != NULL && strcmp(f->type, "InputRequired") == 0 &&
                      pawl_get(call->tool, "mcp") != NULL &&
                      pawl_len(pawl_get(f->details, "questions")) > 0;
    if (!asks || call->rounds >= PW_AGENT_ROUNDS_MAX) {
        return false;
    }
    call->rounds++;
    call->puzzle = pawl_copy(a->scope, f->details);
    call->answers = NULL;
    call->command = 0;
    call->state = PW_AGENT_PUZZLED;
    return true;
}
