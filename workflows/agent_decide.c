/*
 * agent_decide.c - what the state asks for: messages into the conversation, a model call, tool calls, a hand-over, the end. Reads the state only:
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

bool pw_agent_speaks(const pw_agent *a)
{
    return a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED ||
           a->phase == PW_AGENT_CHOSEN || a->phase == PW_AGENT_HANDING;
}

static refs append(const pw_agent *a, pawl_fold *f)
{
    pawl_scope *scope = pawl_fold_scope(f);
    refs r = {a->system_ref, a->tools_ref, a->convo};
    if (a->has_system && r.system == NULL) {
        r.system = pawl_fold_convo_append(
            f, NULL,
            pawl_build(scope, "[{type: 'text', text: %p}]", pawl_v(pawl_get(a->config, "system"))));
    }
    if (a->has_tools && r.tools == NULL) {
        r.tools = pawl_fold_convo_append(f, NULL, pw_agent_tools_shown(a, scope));
    }
    const pawl_value *said =
        pw_agent_speaks(a) ? pw_agent_join(scope, a->pending, a->inbox) : a->pending;
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
    v = set(scope, v, "tools_only", a->only);
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

/* The same prompt and tools as any other call, so that what the provider has cached of them counts. */
static const pawl_value *summary_of(const pw_agent *a, pawl_scope *scope, const refs *r)
{
    const pawl_value *v = merged(scope, pawl_build(scope, "{}"), pawl_get(a->config, "request"));
    v = set(scope, v, "model", pawl_get(a->config, "model"));
    v = set(scope, v, "system", r->system);
    v = set(scope, v, "tools", r->tools);
    v = set(scope, v, "tools_only", a->only);
    v = set(scope, v, "messages", pw_agent_summary_of(a));
    v = a->has_tools ? pawl_with(scope, v, "tool_choice", pawl_make_str(scope, "none")) : v;
    return pawl_with(scope, v, "more", pw_agent_summary_words(a, scope));
}

static bool ask_model(const pw_agent *a, pawl_fold *f, const pawl_value *request)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *input = merged(scope, pawl_build(scope, "{request: %p}", pawl_v(request)),
                                     pawl_get(a->config, "llm"));
    input = set(scope, input, "endpoint", pawl_get(a->config, "endpoint"));
    input = set(scope, input, "endpoints", pawl_get(a->config, "endpoints"));
    const pawl_call_options options = {
        .name = "llm",
        .input = input,
        .timeout_s = pawl_num(a->config, "model_timeout_s", 0),
        .retries = (int)pawl_int(a->config, "model_retries", 0),
        .reserve = pw_agent_reserve(a, scope),
        .cache_s = pawl_num(a->config, "cache_s", 0),
        .cache_scope = pawl_str(a->config, "cache_scope", NULL),
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

/* ---- handing over ---- */

/* What whoever takes over has of this agent, unless the tool says otherwise. */
static const pawl_value *inherited(const pw_agent *a, pawl_scope *scope)
{
    static const char *const names[] = {"endpoint", "endpoints", "model",       "request",
                                        "llm",      "approval",  "compact",     "memory",
                                        "reserve",  "cache_s",   "cache_scope", "choose"};
    const pawl_value *v = pawl_build(scope, "{}");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        v = set(scope, v, names[i], pawl_get(a->config, names[i]));
    }
    const int64_t left = pawl_int(a->config, "max_turns", PW_AGENT_TURNS) - a->turn;
    return pawl_with(scope, v, "max_turns", pawl_make_int(scope, left > 0 ? left : 1));
}

/* Known before the child is, so that what is said meanwhile can be passed on. */
static const char *heir_id(const pw_agent *a, pawl_fold *f, char *ret_id, size_t size)
{
    (void)snprintf(ret_id, size, "%.160s/%.20s-%lld", pawl_fold_run_id(f), "handoff",
                   (long long)a->turn);
    return ret_id;
}

static bool hand_over(const pw_agent *a, pawl_fold *f, const refs *r)
{
    char id[200];
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *to = pawl_get(pw_agent_tool(a, a->heir), "handoff");
    const pawl_value *input = merged(scope, inherited(a, scope), pawl_get(to, "input"));
    const pawl_child_options child = {
        .workflow = pawl_str(to, "workflow", "agent"),
        .id = heir_id(a, f, id, sizeof id),
        .input = pawl_with(scope, input, "conversation", r->convo),
        .policy = PAWL_PARENT_CANCEL,
        .timeout_s = pawl_num(pw_agent_tool(a, a->heir), "timeout_s", 0),
    };
    return pawl_fold_child(f, &child, sizeof child) != 0;
}

static bool pass_on(const pw_agent *a, pawl_fold *f)
{
    char id[200];
    for (size_t i = 0; i < pawl_len(a->inbox); i++) {
        pawl_fold_signal_send(f, heir_id(a, f, id, sizeof id), "message", pawl_at(a->inbox, i));
    }
    return true;
}

/* ---- all of it ---- */

static bool act(const pw_agent *a, pawl_fold *f)
{
    bool ok = true;
    for (size_t i = 0; i < a->calls_len && ok; i++) {
        if (a->calls[i].state == PW_AGENT_HELD || a->calls[i].state == PW_AGENT_PUZZLED) {
            ok = pw_agent_ask_call(a, f, i);
        } else if (a->calls[i].state == PW_AGENT_WANTED) {
            ok = pw_agent_call_make(a, &a->calls[i], f) != 0;
        }
    }
    return ok;
}

static void show(const pw_agent *a, pawl_fold *f, const refs *r)
{
    const char *phase = pw_agent_phase_text(a->phase);
    const int64_t turn = a->turn + (a->phase == PW_AGENT_READY || a->phase == PW_AGENT_GATHERED ||
                                    a->phase == PW_AGENT_GATHERING ||
                                    a->phase == PW_AGENT_CHOOSING || a->phase == PW_AGENT_CHOSEN);
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

/* The answer of whoever took over, with what both have used. */
static void complete_handed(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *h = a->handed;
    const bool agent = pawl_get(h, "answer") != NULL;
    const pawl_value *used = pawl_get(h, "usage");
    const pawl_value *own = pw_agent_usage(a, scope);
    const pawl_value *usage = NULL;
    for (size_t i = 0; i < pawl_len(own); i++) {
        const char *key = pawl_key_at(own, i);
        const int64_t n = pawl_int(pawl_at(own, i), "", 0) + pawl_int(used, key, 0);
        usage = pawl_with(scope, usage, key, pawl_make_int(scope, n));
    }
    pawl_fold_complete(
        f,
        pawl_build(
            scope,
            "{answer: %p, stop: %s, turns: %lld, usage: %p, conversation: %p, handed_to: %s}",
            pawl_v(agent ? pawl_get(h, "answer") : h), agent ? pawl_str(h, "stop", "end") : "end",
            (long long)(a->turn + pawl_int(h, "turns", 0)), pawl_v(usage),
            pawl_v(pawl_get(h, "conversation") != NULL ? pawl_get(h, "conversation") : r->convo),
            a->heir));
}

static void complete(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    if (a->handed != NULL) {
        complete_handed(a, f, r);
        return;
    }
    pawl_fold_complete(
        f, pawl_build(scope, "{answer: %p, stop: %s, turns: %lld, usage: %p, conversation: %p}",
                      pawl_v(a->answer), a->stop, (long long)a->turn,
                      pawl_v(pw_agent_usage(a, scope)), pawl_v(r->convo)));
}

/* With too many tools, which of them is asked for first. */
static bool think(const pw_agent *a, pawl_fold *f, const refs *r)
{
    return pw_agent_chooses(a) ? pw_agent_choose(a, f, r->tools, r->convo)
                               : ask_model(a, f, request_of(a, f, r));
}

/* False: a command was refused, which is logged. */
static bool go(const pw_agent *a, pawl_fold *f, const refs *r)
{
    pawl_scope *scope = pawl_fold_scope(f);
    switch (a->phase) {
    case PW_AGENT_READY:
        return pawl_get(a->config, "context") != NULL ? gather(a, f, r) : think(a, f, r);
    case PW_AGENT_GATHERED:
        return think(a, f, r);
    case PW_AGENT_CHOSEN:
        return ask_model(a, f, request_of(a, f, r));
    case PW_AGENT_ACTING:
        return act(a, f);
    case PW_AGENT_STUCK:
        return a->command != 0 || pw_agent_ask_stuck(a, f);
    case PW_AGENT_DONE:
        complete(a, f, r);
        return true;
    case PW_AGENT_FAILED:
        pawl_fold_fail(f, a->failure_type, "%s", a->failure);
        return true;
    case PW_AGENT_SUMMARISE:
        return ask_model(a, f, summary_of(a, scope, r));
    case PW_AGENT_HANDING:
        return hand_over(a, f, r);
    case PW_AGENT_HANDED:
        return pass_on(a, f);
    case PW_AGENT_LISTING:
        return pw_agent_list_ask(a, f);
    case PW_AGENT_GATHERING:
    case PW_AGENT_CHOOSING:
    case PW_AGENT_THINKING:
    case PW_AGENT_SUMMARISING:
    case PW_AGENT_COMPACTING: /* (done before) */
    case PW_AGENT_SUMMED:
    case PW_AGENT_RESTORING:
    case PW_AGENT_PHASES:
        break;
    }
    return true;
}

/* ---- what is over as soon as it is asked for ---- */

static void compact(pw_agent *a, pawl_fold *f, const refs *r)
{
    a->convo = r->convo;
    a->pending = NULL;
    pw_agent_compacted(a, pw_agent_compact(a, f, r->convo));
}

static bool is_at_once(const pw_agent_call *call)
{
    const pw_agent_kind kind = pw_agent_call_kind(call);
    return call->state == PW_AGENT_WANTED && (kind == PW_AGENT_PUT || kind == PW_AGENT_DELETE);
}

/* The one thing that a put can meet: names and lengths were looked at before. */
static const pawl_failure full = {.type = "MemoryFull", .message = "forget something first"};

/* Puts and deletes of the memory store; calls are copied, as they are the state's. */
static bool remember(pw_agent *a, pawl_fold *f)
{
    bool some = false;
    pw_agent_call *calls = NULL;
    for (size_t i = 0; i < a->calls_len && a->phase == PW_AGENT_ACTING; i++) {
        some |= is_at_once(&a->calls[i]);
    }
    calls = some ? pawl_scope_alloc(a->scope, a->calls_len * sizeof *calls) : NULL;
    if (calls == NULL) {
        return false;
    }
    memcpy(calls, a->calls, a->calls_len * sizeof *calls);
    a->calls = calls;
    for (size_t i = 0; i < a->calls_len; i++) {
        if (is_at_once(&calls[i])) {
            const bool kept = pw_agent_call_make(a, &calls[i], f) != 0;
            pw_agent_memory_done(a, &calls[i], kept ? NULL : &full);
        }
    }
    pw_agent_acted(a);
    return true;
}

/* These end with their own events, and no other turn follows: what comes after them is asked for in this one, from the state as it will be. */
static refs settle(pw_agent *a, pawl_fold *f, refs r)
{
    for (bool more = true; more;) {
        a->scope = pawl_fold_scope(f);
        a->system_ref = r.system;
        a->tools_ref = r.tools;
        a->convo = r.convo;
        const bool compacts = a->phase == PW_AGENT_COMPACTING || a->phase == PW_AGENT_SUMMED ||
                              a->phase == PW_AGENT_RESTORING;
        if (compacts) {
            compact(a, f, &r);
        }
        more = compacts || remember(a, f);
        r = more ? append(a, f) : r;
    }
    return r;
}

void pw_agent_decide(void *state, pawl_fold *f)
{
    pw_agent a = *(const pw_agent *)state;
    if (a.canceled) {
        pawl_fold_canceled(f);
        return;
    }
    if (a.phase == PW_AGENT_LISTING) {
        const refs none = {a.system_ref, a.tools_ref, a.convo};
        show(&a, f, &none);
        if (!pw_agent_list_ask(&a, f)) {
            pawl_fold_fail(f, "ToolRefused", "the servers cannot be asked; the log says why");
        }
        return;
    }
    const refs first = append(&a, f);
    const bool kept = first.convo != NULL && (!a.has_system || first.system != NULL) &&
                      (!a.has_tools || first.tools != NULL);
    if (!kept && a.phase != PW_AGENT_FAILED) {
        pawl_fold_fail(
            f, "BadInput",
            "what is to be said cannot be kept: too long, no messages, or no conversation of this journal");
        return;
    }
    const refs r = settle(&a, f, first);
    show(&a, f, &r);
    if (!go(&a, f, &r)) {
        pawl_fold_fail(f, "ToolRefused",
                       "a call cannot be made as it is configured; the log says why");
    }
}
