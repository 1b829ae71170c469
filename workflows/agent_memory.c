/*
 * agent_memory.c - the memory store as tools of the model: memory_search, memory_put, memory_delete, on the namespace of the input.
 *
 *   search   a command whose answer comes later, as that of any other call
 *   put, delete   done with the commit of the turn: the call is over at once
 *
 * Does not look into what is remembered.
 */
#include "workflows/agent.h"

#include <string.h>

enum { NAME_BYTES_MAX = 100, TEXT_BYTES_MAX = 60000, QUERY_BYTES_MAX = 1000 };

static const char tools[] =
    "[{name: 'memory_search', memory: 'search', description: 'Searches what you have remembered, in this and earlier conversations, by words',"
    "  effect: 'pure', schema: {type: 'object', properties: {query: {type: 'string', description: 'a few words'}}, required: ['query']}},"
    " {name: 'memory_put', memory: 'put', description: 'Remembers a text for later conversations; the same key replaces it',"
    "  schema: {type: 'object', properties: {key: {type: 'string', minLength: 1, description: 'a short name'}, text: {type: 'string'}},"
    "  required: ['key', 'text']}},"
    " {name: 'memory_delete', memory: 'delete', description: 'Forgets what is remembered under a key',"
    "  schema: {type: 'object', properties: {key: {type: 'string', minLength: 1}}, required: ['key']}}]";

const pawl_value *pw_agent_memory_tools(pawl_scope *scope, const pawl_value *config)
{
    const pawl_value *memory = pawl_get(config, "memory");
    const pawl_value *all = memory != NULL ? pawl_build(scope, tools) : NULL;
    const pawl_value *list = NULL;
    for (size_t i = 0; i < pawl_len(all); i++) {
        const pawl_value *tool = pawl_at(all, i);
        const bool writes = !pawl_is(tool, "memory", "search");
        list = pw_agent_push(
            scope, list,
            pawl_with(scope, tool, "policy",
                      pawl_make_str(scope, writes ? pawl_str(memory, "write", "allow") : "allow")));
    }
    return list;
}

bool pw_agent_memory_fits(pw_agent *a, pw_agent_call *call)
{
    const char *wrong = strlen(pawl_str(call->arguments, "key", "")) > NAME_BYTES_MAX
                            ? "the key has more than 100 bytes"
                        : strlen(pawl_str(call->arguments, "text", "")) > TEXT_BYTES_MAX
                            ? "the text has more than 60,000 bytes"
                        : strlen(pawl_str(call->arguments, "query", "")) > QUERY_BYTES_MAX
                            ? "the query has more than 1,000 bytes"
                            : NULL;
    if (pawl_get(call->tool, "memory") != NULL && wrong != NULL) {
        pw_agent_call_failed(a, call, "BadArguments", wrong);
        return false;
    }
    return true;
}

/* What a terminal would obey has no place in a key. */
static const char *clean(pawl_scope *scope, const char *text)
{
    const size_t size = strlen(text);
    char *copy = pawl_scope_alloc(scope, size + 1);
    for (size_t i = 0; i < size && copy != NULL; i++) {
        const unsigned char c = (unsigned char)text[i];
        copy[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    return copy;
}

int64_t pw_agent_memory_make(const pw_agent *a, const pw_agent_call *call, pawl_fold *f)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const char *space = pawl_str(a->config, "memory.namespace", "");
    const char *key = clean(scope, pawl_str(call->arguments, "key", ""));
    if (pawl_is(call->tool, "memory", "delete")) {
        return pawl_fold_memory_delete(f, space, key);
    }
    if (pawl_is(call->tool, "memory", "search")) {
        const pawl_memory_query q = {
            .struct_size = sizeof q,
            .space = space,
            .query = clean(scope, pawl_str(call->arguments, "query", "")),
            .limit = (int)pawl_int(a->config, "memory.limit", 0),
        };
        return pawl_fold_memory_search(f, &q, sizeof q);
    }
    const pawl_memory_options o = {
        .struct_size = sizeof o,
        .space = space,
        .key = key,
        .text = clean(scope, pawl_str(call->arguments, "text", "")),
        .ttl_s = pawl_num(a->config, "memory.ttl_s", 0),
    };
    return pawl_fold_memory_put(f, &o, sizeof o);
}

void pw_agent_memory_done(pw_agent *a, pw_agent_call *call, const pawl_failure *f)
{
    if (f != NULL) {
        pw_agent_call_failed(a, call, f->type, f->message);
        return;
    }
    const bool puts = pawl_is(call->tool, "memory", "put");
    pw_agent_call_over(call, pawl_make_str(a->scope, puts ? "remembered" : "forgotten"), false);
}
