/*
 * agent_choose.c - which of its tools the model sees in a turn, when there are too many for all of them: `choose`.
 *
 *   what was asked for last, what the model said last --activity "choose"--> names, journaled as its result
 *   only = those + what the model found itself + what it has just used      the same as before if nothing is new: prefixes stay
 *
 * Rights come first: tools with policy "deny" are not in the list that is chosen from, and a name that is not in that list is not taken, whoever gave it.
 * A tool that is not shown may still be called if it is the agent's. Does not rank: the activity does.
 */
#include "workflows/agent.h"

#include <string.h>

#define K_DEFAULT 10
#define FOUND_MAX 128       /* names that the model found itself, the newest; k if that is more */
#define SAID_BYTES_MAX 600u /* of a text that is looked for: more says too many things at once */

static const char find_name[] = "find_tools";

const pawl_value *pw_agent_find_tools(pawl_scope *scope, const pawl_value *config)
{
    const pawl_value *choose = pawl_get(config, "choose");
    if (choose == NULL || !pawl_bool(choose, "find", true)) {
        return NULL;
    }
    return pawl_build(
        scope,
        "[{name: %s, description: 'Finds tools that are not shown now by what they are to do; what is found can be called in the next turn.',"
        "activity: %s, find: %p, effect: 'pure', schema: {type: 'object', properties: {query: {type: 'string',"
        "description: 'what is to be done, in a sentence'}}, required: ['query']}}]",
        find_name, pawl_str(choose, "activity", "choose"), pawl_v(pawl_make_bool(scope, true)));
}

static bool has(const pawl_value *names, const char *name)
{
    for (size_t i = 0; i < pawl_len(names); i++) {
        if (pawl_is(pawl_at(names, i), "", name)) {
            return true;
        }
    }
    return false;
}

static bool may_show(const pw_agent *a, const char *name)
{
    const pawl_value *tool = pw_agent_tool(a, name);
    return tool != NULL && !pawl_is(tool, "policy", "deny");
}

bool pw_agent_chooses(const pw_agent *a)
{
    const pawl_value *choose = pawl_get(a->config, "choose");
    const int64_t k = pawl_int(choose, "k", K_DEFAULT);
    return choose != NULL && a->has_tools &&
           (int64_t)a->shown_len > k + (int64_t)pawl_len(pawl_get(choose, "always"));
}

/* ---- asking ---- */

/* Its beginning, cut between characters. */
static const pawl_value *beginning(pawl_scope *scope, const char *text)
{
    char some[SAID_BYTES_MAX + 1];
    size_t size = strnlen(text, sizeof some);
    if (size > SAID_BYTES_MAX) {
        size = SAID_BYTES_MAX;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    memcpy(some, text, size);
    some[size] = '\0';
    return pawl_make_str(scope, some);
}

static const pawl_value *text_of(pawl_scope *scope, const pawl_value *message)
{
    const pawl_value *text = pawl_get(message, "text");
    return text != NULL ? text : pw_agent_text(scope, pawl_get(message, "parts"));
}

const pawl_value *pw_agent_wish(pawl_scope *scope, const pawl_value *messages)
{
    for (size_t i = pawl_len(messages); i > 0; i--) {
        const pawl_value *m = pawl_at(messages, i - 1);
        const char *text = pawl_is(m, "role", "user") ? pawl_str(text_of(scope, m), "", "") : "";
        if (text[0] != '\0' && strncmp(text, "[engine]", 8) != 0) {
            return beginning(scope, text);
        }
    }
    return NULL;
}

void pw_agent_said(pw_agent *a, const pawl_value *parts)
{
    const char *text = pawl_get(a->config, "choose") != NULL
                           ? pawl_str(pw_agent_text(a->scope, parts), "", "")
                           : "";
    a->said = text[0] != '\0' ? beginning(a->scope, text) : NULL;
}

static const pawl_value *queries(const pw_agent *a, pawl_fold *f, const pawl_value *convo)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *fresh = pw_agent_wish(scope, a->inbox);
    const pawl_value *wish = fresh != NULL ? fresh : a->wish;
    if (wish == NULL) { /* the conversation was there before the run */
        const int64_t len = pawl_convo_len(convo);
        wish = pw_agent_wish(scope, pawl_fold_convo_read(f, convo, len > 4 ? len - 4 : 0));
    }
    const pawl_value *list =
        pw_agent_push(scope, NULL, wish != NULL ? wish : pawl_make_str(scope, ""));
    return a->said != NULL && fresh == NULL ? pw_agent_push(scope, list, a->said) : list;
}

/* What is chosen in any case, so that it takes no place among the k. */
static const pawl_value *always(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *list = pawl_get(pawl_get(a->config, "choose"), "always");
    const pawl_value *own = pw_agent_join(scope, a->memory_tools, a->find_tools);
    for (size_t i = 0; i < pawl_len(own); i++) {
        list = pw_agent_push(scope, list, pawl_get(pawl_at(own, i), "name"));
    }
    return list;
}

static const pawl_value *question(const pw_agent *a, pawl_scope *scope, const pawl_value *tools)
{
    static const char *const keys[] = {"at_least", "by", "workspace"};
    const pawl_value *choose = pawl_get(a->config, "choose");
    const pawl_value *v =
        pawl_build(scope, "{tools: %p, k: %lld, always: %p}", pawl_v(tools),
                   (long long)pawl_int(choose, "k", K_DEFAULT), pawl_v(always(a, scope)));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const pawl_value *value = pawl_get(choose, keys[i]);
        v = value != NULL ? pawl_with(scope, v, keys[i], value) : v;
    }
    return v;
}

static int64_t ask(const pw_agent *a, pawl_fold *f, const pawl_value *input)
{
    const pawl_call_options options = {
        .name = pawl_str(pawl_get(a->config, "choose"), "activity", "choose"),
        .input = input,
        .effect = PAWL_EFFECT_PURE,
        .timeout_s = 60,
        .retries = 3,
    };
    return pawl_fold_call(f, &options, sizeof options);
}

bool pw_agent_choose(const pw_agent *a, pawl_fold *f, const pawl_value *tools,
                     const pawl_value *convo)
{
    pawl_scope *scope = pawl_fold_scope(f);
    return ask(a, f,
               pawl_with(scope, question(a, scope, tools), "queries", queries(a, f, convo))) != 0;
}

int64_t pw_agent_find(const pw_agent *a, const pw_agent_call *call, pawl_fold *f)
{
    pawl_scope *scope = pawl_fold_scope(f);
    return ask(a, f,
               pawl_with(scope, question(a, scope, a->tools_ref), "query",
                         pawl_get(call->arguments, "query")));
}

/* ---- taking ---- */

static const pawl_value *add(const pw_agent *a, pawl_scope *scope, const pawl_value *list,
                             const pawl_value *names)
{
    for (size_t i = 0; i < pawl_len(names); i++) {
        const char *name = pawl_str(pawl_at(names, i), "", "");
        if (may_show(a, name) && !has(list, name)) {
            list = pw_agent_push(scope, list, pawl_at(names, i));
        }
    }
    return list;
}

static bool all_in(const pawl_value *names, const pawl_value *among)
{
    bool in = among != NULL;
    for (size_t i = 0; i < pawl_len(names) && in; i++) {
        in = has(among, pawl_str(pawl_at(names, i), "", ""));
    }
    return in;
}

void pw_agent_chosen(pw_agent *a, const pawl_value *result)
{
    a->phase = PW_AGENT_CHOSEN;
    a->command = 0;
    if (pawl_typeof(pawl_get(result, "chosen")) != PAWL_ARRAY) {
        a->only = NULL; /* nobody could say: all of them */
        return;
    }
    const pawl_value *list =
        add(a, a->scope, pawl_build(a->scope, "[]"), pawl_get(result, "chosen"));
    list = add(a, a->scope, list, a->found);
    list = add(a, a->scope, list, a->used);
    a->only = all_in(list, a->only) ? a->only : list;
}

void pw_agent_wished(pw_agent *a)
{
    const pawl_value *wish =
        pawl_get(a->config, "choose") != NULL ? pw_agent_wish(a->scope, a->inbox) : NULL;
    if (wish != NULL) {
        a->wish = wish;
        a->said = NULL;
        a->found = NULL;
        a->used = NULL;
    }
}

void pw_agent_used(pw_agent *a)
{
    a->used = NULL;
    for (size_t i = 0; i < a->calls_len && pawl_get(a->config, "choose") != NULL; i++) {
        a->used = a->calls[i].tool != NULL
                      ? pw_agent_push(a->scope, a->used, pawl_make_str(a->scope, a->calls[i].name))
                      : a->used;
    }
}

/* Names without those in others, each once. */
static const pawl_value *without(pawl_scope *scope, const pawl_value *names,
                                 const pawl_value *others)
{
    const pawl_value *list = pawl_build(scope, "[]");
    for (size_t i = 0; i < pawl_len(names); i++) {
        const char *name = pawl_str(pawl_at(names, i), "", "");
        if (!has(others, name)) {
            list = pw_agent_push(scope, list, pawl_at(names, i));
        }
    }
    return list;
}

/* The newest, as many as the model may be shown of them; a name that is found again is new. */
static const pawl_value *newest(const pw_agent *a, const pawl_value *before,
                                const pawl_value *found)
{
    const int64_t k = pawl_int(pawl_get(a->config, "choose"), "k", K_DEFAULT);
    const size_t most = k > FOUND_MAX ? (size_t)k : FOUND_MAX;
    const pawl_value *all = pw_agent_join(a->scope, without(a->scope, before, found), found);
    const size_t len = pawl_len(all);
    const pawl_value *list = len > most ? pawl_build(a->scope, "[]") : all;
    for (size_t i = len > most ? len - most : len; i < len; i++) {
        list = pw_agent_push(a->scope, list, pawl_at(all, i));
    }
    return list;
}

/* What the model is told of what it found, which it sees from the next turn on. */
const pawl_value *pw_agent_found(pw_agent *a, const pawl_value *result)
{
    const pawl_value *names = pawl_get(result, "chosen"), *told = pawl_build(a->scope, "[]");
    const pawl_value *given = always(a, a->scope), *found = pawl_build(a->scope, "[]");
    for (size_t i = 0; i < pawl_len(names); i++) {
        const char *name = pawl_str(pawl_at(names, i), "", "");
        if (may_show(a, name) && !has(given, name)) {
            told = pw_agent_push(a->scope, told,
                                 pawl_build(a->scope, "{name: %s, description: %s}", name,
                                            pawl_str(pw_agent_tool(a, name), "description", "")));
            found = pw_agent_push(a->scope, found, pawl_make_str(a->scope, name));
        }
    }
    a->found = newest(a, a->found, found);
    return pawl_build(a->scope, "{tools: %p}", pawl_v(told));
}
