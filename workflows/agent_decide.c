/*
 * agent_decide.c - what the state asks for: messages into the conversation, a model call, tool calls, questions, the end. Reads the state only:
 * what it asks for changes it when it comes back as an event.
 *
 * Does not run in recovery, and so must not be where anything is remembered.
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

/* The references that a model call has. */
typedef struct refs {
    const pawl_value *system, *tools, *convo;
} refs;

static refs append(const pw_agent *a, pawl_fold *f)
{
    pawl_scope *scope = pawl_fold_scope(f);
    refs r = {a->system_ref, a->tools_ref, a->convo};
    const bool speaks = a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED;
    if (a->has_system && r.system == NULL) {
        r.system = pawl_fold_convo_append(
            f, NULL,
            pawl_build(scope, "[{type: 'text', text: %p}]", pawl_v(pawl_get(a->config, "system"))));
    }
    if (a->has_tools && r.tools == NULL) {
        r.tools = pawl_fold_convo_append(f, NULL, pw_agent_tools_shown(a, scope));
    }
    const pawl_value *said = speaks ? pw_agent_join(scope, a->pending, a->inbox) : a->pending;
    if (pawl_len(said) > 0) {
        r.convo = pawl_fold_convo_append(f, a->convo, said);
    }
    return r;
}

/* ---- the model ---- */

static const pawl_value *merged(pawl_scope *scope, const pawl_value *base, const pawl_value *more)
{
    const pawl_value *v = base;
    for (size_t i = 0; i < pawl_len(more); i++) {
        v = pawl_with(scope, v, pawl_key_at(more, i), pawl_at(more, i));
    }
    return v;
}

static const pawl_value *set(pawl_scope *scope, const pawl_value *map, const char *key,
                             const pawl_value *value)
{
    return value != NULL ? pawl_with(scope, map, key, value) : map;
}

static const pawl_value *request_of(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const bool last =
        a->turn + 1 >= pawl_int(a->config, "max_turns", PW_AGENT_TURNS) && a->turn > 0;
    const pawl_value *schema = pawl_get(a->config, "answer_schema");
    const pawl_value *more = a->more;
    const pawl_value *v = merged(scope, pawl_build(scope, "{}"), pawl_get(a->config, "request"));
    v = set(scope, v, "model", pawl_get(a->config, "model"));
    v = set(scope, v, "system", r->system);
    v = set(scope, v, "tools", r->tools);
    v = set(scope, v, "messages", r->convo);
    v = schema != NULL
            ? pawl_with(scope, v, "response",
                        pawl_build(scope, "{schema: %p, name: 'answer'}", pawl_v(schema)))
            : v;
    if (last && a->has_tools) {
        v = pawl_with(scope, v, "tool_choice", pawl_make_str(scope, "none"));
        more = pw_agent_push(
            scope, more,
            pawl_build(
                scope,
                "{role: 'user', text: '[engine] This is your last turn: answer with what you know.'}"));
    }
    return set(scope, v, "more", pw_agent_budget_said(f, more));
}

static bool ask_model(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *input =
        merged(scope, pawl_build(scope, "{request: %p}", pawl_v(request_of(a, f, r))),
               pawl_get(a->config, "llm"));
    input = set(scope, input, "endpoint", pawl_get(a->config, "endpoint"));
    input = set(scope, input, "endpoints", pawl_get(a->config, "endpoints"));
    const pawl_call_options options = {
        .name = "llm",
        .input = input,
        .timeout_s = pawl_num(a->config, "model_timeout_s", 0),
        .retries = (int)pawl_int(a->config, "model_retries", 0),
        .reserve = pw_agent_reserve(a, scope),
    };
    return pawl_fold_call(f, &options, sizeof options) != 0;
}

static bool gather(const pw_agent *a, pawl_fold *f, const refs *r)
{
    const pawl_value *context = pawl_get(a->config, "context");
    const pawl_call_options options = {
        .name = pawl_typeof(context) == PAWL_STRING ? pawl_str(context, "", "")
                                                    : pawl_str(context, "activity", ""),
        .input = pawl_build(pawl_fold_scope(f), "{conversation: %p, turn: %lld, input: %p}",
                            pawl_v(r->convo), (long long)a->turn + 1,
                            pawl_v(pawl_get(context, "input"))),
    };
    return pawl_fold_call(f, &options, sizeof options) != 0;
}

/* ---- people ---- */

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

static bool ask_stuck(const pw_agent *a, pawl_fold *f)
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

/* ---- all of it ---- */

static bool act(const pw_agent *a, pawl_fold *f)
{
    bool ok = true;
    for (size_t i = 0; i < a->calls_len && ok; i++) {
        if (a->calls[i].state == PW_AGENT_HELD) {
            ok = ask_approval(a, f, i);
        } else if (a->calls[i].state == PW_AGENT_WANTED) {
            ok = pw_agent_call_make(&a->calls[i], f) != 0;
        }
    }
    return ok;
}

static void show(const pw_agent *a, pawl_fold *f, const refs *r)
{
    const char *phase = pw_agent_phase_text(a->phase);
    const int64_t turn = a->turn + (a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED ||
                                    a->phase == PW_AGENT_GATHERING);
    const int64_t most = pawl_int(a->config, "max_turns", PW_AGENT_TURNS);
    pawl_scope *scope = pawl_fold_scope(f);
    if (turn == a->shown_turn && strcmp(phase, a->shown_phase) == 0) {
        return;
    }
    pawl_fold_set(
        f, "agent",
        pawl_build(scope, "{phase: %s, turn: %lld, max_turns: %lld, usage: %p, conversation: %p}",
                   phase, (long long)turn, (long long)most, pawl_v(pw_agent_usage(a, scope)),
                   pawl_v(r->convo)));
    pawl_fold_progress(f, turn, most, phase);
}

static void complete(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    pawl_fold_complete(
        f, pawl_build(scope, "{answer: %p, stop: %s, turns: %lld, usage: %p, conversation: %p}",
                      pawl_v(a->answer), a->stop, (long long)a->turn,
                      pawl_v(pw_agent_usage(a, scope)), pawl_v(r->convo)));
}

/* False: a command was refused, which is logged. */
static bool go(const pw_agent *a, pawl_fold *f, const refs *r)
{
    switch (a->phase) {
    case PW_AGENT_READY:
        return pawl_get(a->config, "context") != NULL ? gather(a, f, r) : ask_model(a, f, r);
    case PW_AGENT_GATHERED:
        return ask_model(a, f, r);
    case PW_AGENT_ACTING:
        return act(a, f);
    case PW_AGENT_STUCK:
        return a->command != 0 || ask_stuck(a, f);
    case PW_AGENT_DONE:
        complete(a, f, r);
        return true;
    case PW_AGENT_FAILED:
        pawl_fold_fail(f, a->failure_type, "%s", a->failure);
        return true;
    case PW_AGENT_GATHERING:
    case PW_AGENT_THINKING:
    case PW_AGENT_PHASES:
        break;
    }
    return true;
}

void pw_agent_decide(void *state, pawl_fold *f)
{
    const pw_agent *a = state;
    if (a->canceled) {
        pawl_fold_canceled(f);
        return;
    }
    const refs r = append(a, f);
    const bool kept = r.convo != NULL && (!a->has_system || r.system != NULL) &&
                      (!a->has_tools || r.tools != NULL);
    if (!kept && a->phase != PW_AGENT_FAILED) {
        pawl_fold_fail(
            f, "BadInput",
            "what is to be said cannot be kept: too long, no messages, or no conversation of this journal");
        return;
    }
    show(a, f, &r);
    if (!go(a, f, &r)) {
        pawl_fold_fail(f, "ToolRefused",
                       "a call cannot be made as it is configured; the log says why");
    }
}
