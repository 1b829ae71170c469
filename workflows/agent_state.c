/*
 * agent_state.c - the agent's state: made, written down for a snapshot, read back.
 *
 *   keep   the struct, the configuration, references to the system prompt and the tools: as long as the state
 *   scope  one turn's values; a new one with every answer, so that a long run does not grow
 *
 * Does not decide and does not look at events.
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

static const char *const usage_names[PW_AGENT_USAGE] = {
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"};

const char *pw_agent_phase_text(pw_agent_phase phase)
{
    static const char *const texts[] = {
#define X(name, text) text,
#include "workflows/agent_phases.def"
#undef X
    };
    return (unsigned)phase < PW_AGENT_PHASES ? texts[phase] : "?";
}

void *pw_agent_new(void *user)
{
    (void)user;
    pawl_scope *keep = pawl_scope_new();
    pawl_scope *scope = pawl_scope_new();
    pw_agent *a = keep != NULL && scope != NULL ? pawl_scope_alloc(keep, sizeof *a) : NULL;
    if (a == NULL) {
        pawl_scope_free(keep);
        pawl_scope_free(scope);
        return NULL;
    }
    a->keep = keep;
    a->scope = scope;
    a->shown_phase = "";
    return a;
}

void pw_agent_free(void *state)
{
    pw_agent *a = state;
    if (a != NULL) {
        pawl_scope_free(a->scope);
        pawl_scope_free(a->keep); /* and the state with it */
    }
}

/* The agent's own, then those of servers, then the engine's. One by one, since a place in a list is found by walking to it. */
static void tools_keep(pw_agent *a)
{
    const pawl_value *lists[] = {pawl_get(a->config, "tools"), pawl_get(a->config, "listed"),
                                 a->memory_tools, a->find_tools};
    size_t len = 0;
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        len += pawl_len(lists[k]);
    }
    a->tools = pawl_scope_alloc(a->keep, (len + 1) * sizeof *a->tools);
    a->tools_len = 0;
    a->shown_len = 0;
    for (size_t k = 0; k < sizeof lists / sizeof lists[0] && a->tools != NULL; k++) {
        for (size_t i = 0; i < pawl_len(lists[k]); i++) {
            const pawl_value *tool = pawl_at(lists[k], i);
            a->tools[a->tools_len++] = tool;
            a->shown_len += !pawl_is(tool, "policy", "deny");
        }
    }
}

static void config_keep(pw_agent *a, const pawl_value *config)
{
    a->config = pawl_copy(a->keep, config);
    a->has_system = pawl_str(a->config, "system", "")[0] != '\0';
    a->memory_tools = pw_agent_memory_tools(a->keep, a->config);
    a->find_tools = pw_agent_find_tools(a->keep, a->config);
    tools_keep(a);
    a->has_tools = a->shown_len > pawl_len(a->find_tools); /* with nothing to find it has none */
}

/* A schema that is none would be found out at the first call, and by the model. */
static void check_tools(pw_agent *a)
{
    for (size_t i = 0; i < a->tools_len; i++) {
        const pawl_value *schema = pawl_get(a->tools[i], "schema");
        pawl_error err = {0};
        if (schema != NULL && pawl_schema_check(schema, NULL, &err) == PAWL_INVALID) {
            char text[400];
            (void)snprintf(text, sizeof text, "tool \"%.64s\": %s",
                           pawl_str(a->tools[i], "name", ""), err.message);
            pw_agent_fail(a, "BadInput", text);
        }
    }
}

void pw_agent_configure(pw_agent *a, const pawl_value *input)
{
    pawl_scope *scope = pawl_scope_new();
    config_keep(a, scope != NULL ? pawl_with(scope, input, "task", NULL) : NULL);
    pawl_scope_free(scope);
    if (a->config == NULL) {
        pw_agent_fail(a, "OutOfMemory", "no memory for the configuration");
    }
    check_tools(a);
}

void pw_agent_tools_listed(pw_agent *a, const pawl_value *config)
{
    config_keep(a, config);
    if (a->config == NULL) {
        pw_agent_fail(a, "OutOfMemory", "no memory for the configuration");
    }
}

static const char *text_in(pawl_scope *scope, const char *text)
{
    return text != NULL ? pawl_str(pawl_make_str(scope, text), "", "") : NULL;
}

void pw_agent_renew(pw_agent *a)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return; /* it goes on in the old one, which grows */
    }
    a->convo = pawl_copy(scope, a->convo);
    a->pending = pawl_copy(scope, a->pending);
    a->inbox = pawl_copy(scope, a->inbox);
    a->failure_type = text_in(scope, a->failure_type);
    a->failure = text_in(scope, a->failure);
    a->before = pawl_copy(scope, a->before);
    a->only = pawl_copy(scope, a->only);
    a->wish = pawl_copy(scope, a->wish);
    a->said = pawl_copy(scope, a->said);
    a->found = pawl_copy(scope, a->found);
    a->used = pawl_copy(scope, a->used);
    a->compaction = NULL;
    a->summary = NULL;
    a->heir = NULL;
    a->handed = NULL;
    a->more = NULL;
    a->answer = NULL;
    a->stop = NULL;
    a->stuck = NULL;
    a->calls = NULL;
    a->calls_len = 0;
    pawl_scope_free(a->scope);
    a->scope = scope;
}

void pw_agent_fail(pw_agent *a, const char *type, const char *message)
{
    if (a->phase != PW_AGENT_FAILED) {
        a->phase = PW_AGENT_FAILED;
        a->failure_type = text_in(a->scope, type);
        a->failure = text_in(a->scope, message);
    }
}

void pw_agent_usage_add(pw_agent *a, const pawl_value *usage)
{
    for (size_t i = 0; i < PW_AGENT_USAGE && !a->unpaid; i++) {
        a->usage[i] += pawl_int(usage, usage_names[i], 0);
    }
}

const pawl_value *pw_agent_usage(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *v = pawl_build(scope, "{}");
    for (size_t i = 0; i < PW_AGENT_USAGE; i++) {
        v = pawl_with(scope, v, usage_names[i], pawl_make_int(scope, a->usage[i]));
    }
    return v;
}

/* ---- lists ---- */

const pawl_value *pw_agent_join(pawl_scope *scope, const pawl_value *first,
                                const pawl_value *second)
{
    const size_t len = pawl_len(first) + pawl_len(second);
    const pawl_value **items = pawl_scope_alloc(scope, (len + 1) * sizeof *items);
    if (items == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        items[i] = i < pawl_len(first) ? pawl_at(first, i) : pawl_at(second, i - pawl_len(first));
    }
    return pawl_make_array(scope, items, len);
}

const pawl_value *pw_agent_push(pawl_scope *scope, const pawl_value *list, const pawl_value *item)
{
    return pw_agent_join(scope, list, pawl_make_array(scope, &item, 1));
}

/* ---- snapshots ---- */

static const pawl_value *save_calls(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *list = pawl_build(scope, "[]");
    for (size_t i = 0; i < a->calls_len; i++) {
        const pw_agent_call *c = &a->calls[i];
        list = pw_agent_push(
            scope, list,
            pawl_build(
                scope,
                "{id: %s, name: %s, arguments: %p, state: %d, command: %lld, asks: %lld, result: %p, failed: %d, watched: %d,"
                "puzzle: %p, answers: %p, rounds: %lld}",
                c->id, c->name, pawl_v(c->arguments), (int)c->state, (long long)c->command,
                (long long)c->asks, pawl_v(c->result), (int)c->failed, (int)c->watched,
                pawl_v(c->puzzle), pawl_v(c->answers), (long long)c->rounds));
    }
    return list;
}

static void load_calls(pw_agent *a, const pawl_value *list)
{
    const size_t len = pawl_len(list);
    a->calls = len > 0 ? pawl_scope_alloc(a->scope, len * sizeof *a->calls) : NULL;
    a->calls_len = a->calls != NULL ? len : 0;
    for (size_t i = 0; i < a->calls_len; i++) {
        const pawl_value *v = pawl_copy(a->scope, pawl_at(list, i));
        pw_agent_call *c = &a->calls[i];
        c->id = pawl_str(v, "id", "");
        c->name = pawl_str(v, "name", "");
        c->arguments = pawl_get(v, "arguments");
        c->tool = pw_agent_tool(a, c->name);
        c->state = (pw_agent_call_state)pawl_int(v, "state", 0);
        c->command = pawl_int(v, "command", 0);
        c->asks = pawl_int(v, "asks", 0);
        c->result = pawl_get(v, "result");
        c->failed = pawl_int(v, "failed", 0) != 0;
        c->watched = pawl_int(v, "watched", 0) != 0;
        c->puzzle = pawl_get(v, "puzzle");
        c->answers = pawl_get(v, "answers");
        c->rounds = pawl_int(v, "rounds", 0);
    }
}

static const pawl_value *save_watch(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *ring = pawl_build(scope, "[]");
    const pawl_value *strikes = ring;
    for (size_t i = 0; i < PW_AGENT_RING; i++) {
        ring = pw_agent_push(scope, ring,
                             pawl_build(scope, "[%lld, %lld, %lld]", (long long)a->ring[i][0],
                                        (long long)a->ring[i][1], (long long)a->ring[i][2]));
    }
    for (size_t i = 0; i < a->strikes_len; i++) {
        strikes = pw_agent_push(scope, strikes,
                                pawl_build(scope, "[%lld, %lld]", (long long)a->strikes[i].call,
                                           (long long)a->strikes[i].level));
    }
    return pawl_build(scope, "{ring: %p, strikes: %p}", pawl_v(ring), pawl_v(strikes));
}

static void load_watch(pw_agent *a, const pawl_value *v)
{
    const pawl_value *ring = pawl_get(v, "ring");
    const pawl_value *strikes = pawl_get(v, "strikes");
    for (size_t i = 0; i < PW_AGENT_RING; i++) {
        a->ring[i][0] = (uint64_t)pawl_int(pawl_at(ring, i), "0", 0);
        a->ring[i][1] = (uint64_t)pawl_int(pawl_at(ring, i), "1", 0);
        a->ring[i][2] = (uint64_t)pawl_int(pawl_at(ring, i), "2", 0);
    }
    for (size_t i = 0; i < pawl_len(strikes) && i < PW_AGENT_STRIKES_MAX; i++) {
        a->strikes[i] = (pw_agent_strike){(uint64_t)pawl_int(pawl_at(strikes, i), "0", 0),
                                          pawl_int(pawl_at(strikes, i), "1", 0)};
        a->strikes_len = i + 1;
    }
}

/* What came after the first release of a snapshot: absent in older ones. */
static const pawl_value *save_later(const pw_agent *a, pawl_scope *scope)
{
    return pawl_build(
        scope,
        "{heir: %s, handed: %p, before: %p, compaction: %p, summary: %p, tokens: %lld, bytes: %lld, compacted_turn: %lld,"
        "compact_asked: %d, restore_asked: %d, compact_off: %d, squeezed: %d}",
        a->heir, pawl_v(a->handed), pawl_v(a->before), pawl_v(a->compaction), pawl_v(a->summary),
        (long long)a->tokens, (long long)a->bytes, (long long)a->compacted_turn,
        (int)a->compact_asked, (int)a->restore_asked, (int)a->compact_off, (int)a->squeezed);
}

static void load_later(pw_agent *a, const pawl_value *saved)
{
    const pawl_value *v = pawl_copy(a->scope, pawl_get(saved, "later"));
    a->heir = pawl_str(v, "heir", NULL);
    a->handed = pawl_get(v, "handed");
    a->before = pawl_get(v, "before");
    a->compaction = pawl_get(v, "compaction");
    a->summary = pawl_get(v, "summary");
    a->tokens = pawl_int(v, "tokens", 0);
    a->bytes = pawl_int(v, "bytes", 0);
    a->compacted_turn = pawl_int(v, "compacted_turn", 0);
    a->compact_asked = pawl_int(v, "compact_asked", 0) != 0;
    a->restore_asked = pawl_int(v, "restore_asked", 0) != 0;
    a->compact_off = pawl_int(v, "compact_off", 0) != 0;
    a->squeezed = pawl_int(v, "squeezed", 0) != 0;
}

/* Of an agent that chooses its tools. */
static const pawl_value *save_choice(const pw_agent *a, pawl_scope *scope)
{
    return pawl_build(scope, "{only: %p, wish: %p, said: %p, found: %p, used: %p}", pawl_v(a->only),
                      pawl_v(a->wish), pawl_v(a->said), pawl_v(a->found), pawl_v(a->used));
}

static void load_choice(pw_agent *a, const pawl_value *saved)
{
    const pawl_value *v = pawl_copy(a->scope, pawl_get(saved, "choice"));
    a->only = pawl_get(v, "only");
    a->wish = pawl_get(v, "wish");
    a->said = pawl_get(v, "said");
    a->found = pawl_get(v, "found");
    a->used = pawl_get(v, "used");
}

const pawl_value *pw_agent_save(const void *state, pawl_scope *scope)
{
    const pw_agent *a = state;
    const pawl_value *values = pawl_build(
        scope,
        "{config: %p, system: %p, tools: %p, convo: %p, pending: %p, inbox: %p, more: %p, answer: %p, calls: %p, watch: %p, usage: %p}",
        pawl_v(a->config), pawl_v(a->system_ref), pawl_v(a->tools_ref), pawl_v(a->convo),
        pawl_v(a->pending), pawl_v(a->inbox), pawl_v(a->more), pawl_v(a->answer),
        pawl_v(save_calls(a, scope)), pawl_v(save_watch(a, scope)),
        pawl_v(pw_agent_usage(a, scope)));
    const pawl_value *words = pawl_build(
        scope,
        "{stop: %s, stuck: %s, failure_type: %s, failure: %s, phase: %d, turn: %lld, command: %lld, canceled: %d, shown: [%lld, %s]}",
        a->stop, a->stuck, a->failure_type, a->failure, (int)a->phase, (long long)a->turn,
        (long long)a->command, (int)a->canceled, (long long)a->shown_turn, a->shown_phase);
    const pawl_value *v = pawl_build(scope, "{v: 1, values: %p, words: %p, later: %p}",
                                     pawl_v(values), pawl_v(words), pawl_v(save_later(a, scope)));
    v = pw_agent_lists(a) ? pawl_with(scope, v, "servers", pw_agent_list_save(a, scope)) : v;
    return pawl_get(a->config, "choose") != NULL
               ? pawl_with(scope, v, "choice", save_choice(a, scope))
               : v;
}

static void load_values(pw_agent *a, const pawl_value *v)
{
    config_keep(a, pawl_get(v, "config"));
    a->system_ref = pawl_copy(a->keep, pawl_get(v, "system"));
    a->tools_ref = pawl_copy(a->keep, pawl_get(v, "tools"));
    a->convo = pawl_copy(a->scope, pawl_get(v, "convo"));
    a->pending = pawl_copy(a->scope, pawl_get(v, "pending"));
    a->inbox = pawl_copy(a->scope, pawl_get(v, "inbox"));
    a->more = pawl_copy(a->scope, pawl_get(v, "more"));
    a->answer = pawl_copy(a->scope, pawl_get(v, "answer"));
    for (size_t i = 0; i < PW_AGENT_USAGE; i++) {
        a->usage[i] = pawl_int(pawl_get(v, "usage"), usage_names[i], 0);
    }
    load_calls(a, pawl_get(v, "calls"));
    load_watch(a, pawl_get(v, "watch"));
}

void *pw_agent_load(const pawl_value *saved, void *user)
{
    pw_agent *a = pawl_int(saved, "v", 0) == 1 ? pw_agent_new(user) : NULL;
    if (a == NULL) {
        return NULL;
    }
    const pawl_value *w = pawl_copy(a->scope, pawl_get(saved, "words"));
    const int64_t phase = pawl_int(w, "phase", 0);
    load_values(a, pawl_get(saved, "values"));
    load_later(a, saved);
    load_choice(a, saved);
    pw_agent_list_load(a, pawl_get(saved, "servers"));
    a->stop = pawl_str(w, "stop", NULL);
    a->stuck = pawl_str(w, "stuck", NULL);
    a->failure_type = pawl_str(w, "failure_type", NULL);
    a->failure = pawl_str(w, "failure", NULL);
    a->phase = phase >= 0 && phase < PW_AGENT_PHASES ? (pw_agent_phase)phase : PW_AGENT_FAILED;
    a->turn = pawl_int(w, "turn", 0);
    a->command = pawl_int(w, "command", 0);
    a->canceled = pawl_int(w, "canceled", 0) != 0;
    a->shown_turn = pawl_int(w, "shown.0", 0);
    for (pw_agent_phase p = 0; p < PW_AGENT_PHASES; p++) {
        a->shown_phase =
            pawl_is(w, "shown.1", pw_agent_phase_text(p)) ? pw_agent_phase_text(p) : a->shown_phase;
    }
    return a;
}
