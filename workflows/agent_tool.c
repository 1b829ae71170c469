/*
 * agent_tool.c - tools: what the model sees of them, what a call of one becomes, what the model is told it gave.
 *
 * Arguments are held against the tool's schema before the call; what is wrong is told to the model, which mends it. Does not ask people
 * (agent_people.c).
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

const pawl_value *pw_agent_tool(const pw_agent *a, const char *name)
{
    for (size_t i = 0; i < a->tools_len; i++) {
        if (pawl_is(a->tools[i], "name", name)) {
            return a->tools[i];
        }
    }
    return NULL;
}

const pawl_value *pw_agent_tools_shown(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value **list = pawl_scope_alloc(scope, (a->tools_len + 1) * sizeof *list);
    size_t len = 0;
    for (size_t i = 0; i < a->tools_len && list != NULL; i++) {
        const pawl_value *tool = a->tools[i];
        if (pawl_is(tool, "policy", "deny")) {
            continue;
        }
        const pawl_value *schema = pawl_get(tool, "schema");
        schema = schema != NULL ? schema : pawl_build(scope, "{type: 'object'}");
        list[len++] =
            pawl_build(scope, "{name: %s, description: %s, schema: %p}", pawl_str(tool, "name", ""),
                       pawl_str(tool, "description", ""), pawl_v(schema));
        if (pawl_get(tool, "tags") != NULL) { /* for whoever chooses: no model is told */
            list[len - 1] = pawl_with(scope, list[len - 1], "tags", pawl_get(tool, "tags"));
        }
    }
    return list != NULL ? pawl_make_array(scope, list, len) : NULL;
}

/* ---- before ---- */

void pw_agent_call_over(pw_agent_call *call, const pawl_value *result, bool failed)
{
    call->state = PW_AGENT_OVER;
    call->command = 0;
    call->result = result;
    call->failed = failed;
}

void pw_agent_call_failed(pw_agent *a, pw_agent_call *call, const char *type, const char *message)
{
    char text[1000];
    (void)snprintf(text, sizeof text, "%s: %s", type, message);
    pw_agent_call_over(call, pawl_make_str(a->scope, text), true);
}

void pw_agent_call_want(pw_agent *a, pw_agent_call *call)
{
    char text[200];
    call->command = 0;
    call->state = PW_AGENT_WANTED;
    if (pawl_get(call->tool, "handoff") == NULL) {
        return;
    }
    if (a->heir != NULL) {
        pw_agent_call_failed(a, call, "AlreadyHandedOver",
                             "the conversation goes to somebody else already");
        return;
    }
    a->heir = call->name;
    (void)snprintf(text, sizeof text, "The conversation goes on with \"%.64s\".", call->name);
    pw_agent_call_over(call, pawl_make_str(a->scope, text), false);
}

bool pw_agent_call_fits(pw_agent *a, pw_agent_call *call)
{
    const pawl_value *schema = pawl_get(call->tool, "schema");
    pawl_error err = {0};
    if (schema == NULL || pawl_schema_check(schema, call->arguments, &err) != PAWL_INVALID) {
        return pw_agent_memory_fits(a, call);
    }
    pw_agent_call_failed(a, call, "BadArguments", err.message);
    return false;
}

/* A call that cannot be made is watched too: a model that does not mend it is in a loop. */
void pw_agent_call_judge(pw_agent *a, pw_agent_call *call)
{
    call->watched = true;
    if (call->tool == NULL) {
        pw_agent_call_failed(a, call, "UnknownTool", "there is no tool of this name");
    } else if (pawl_is(call->tool, "policy", "deny")) {
        pw_agent_call_failed(a, call, "Denied", "this tool must not be used");
    } else if (pawl_typeof(call->arguments) != PAWL_MAP) {
        pw_agent_call_failed(a, call, "BadArguments", "the arguments must be a JSON object");
    } else if (pw_agent_loop_blocked(a, call)) {
        call->watched = false;
        pw_agent_call_failed(a, call, "Blocked",
                             "the same call has led nowhere before and is refused");
    } else if (pw_agent_call_fits(a, call)) {
        call->watched = !pawl_bool(call->tool, "poll", false);
        if (pawl_is(call->tool, "policy", "ask")) {
            call->state = PW_AGENT_HELD;
        } else {
            pw_agent_call_want(a, call);
        }
    }
}

/* ---- the call ---- */

static pawl_effect effect_of(const pawl_value *tool)
{
    return pawl_is(tool, "effect", "pure")         ? PAWL_EFFECT_PURE
           : pawl_is(tool, "effect", "idempotent") ? PAWL_EFFECT_IDEMPOTENT
           : pawl_is(tool, "effect", "unsafe")     ? PAWL_EFFECT_UNSAFE
                                                   : PAWL_EFFECT_DEFAULT;
}

static const pawl_value *input_of(const pw_agent_call *call, pawl_scope *scope)
{
    const pawl_value *more = pawl_get(call->tool, "input");
    const pawl_value *input = call->arguments;
    for (size_t i = 0; i < pawl_len(more); i++) {
        input = pawl_with(scope, input, pawl_key_at(more, i), pawl_at(more, i));
    }
    return input;
}

static const pawl_value *mcp_input_of(const pw_agent *a, const pw_agent_call *call,
                                      pawl_scope *scope)
{
    const pawl_value *input = pawl_with(scope, pw_agent_server_of(a, scope, call->tool),
                                        "arguments", input_of(call, scope));
    if (pawl_get(input, "tool") == NULL) {
        input = pawl_with(scope, input, "tool", pawl_make_str(scope, call->name));
    }
    if (call->puzzle != NULL) {
        input = pawl_with(scope, input, "answers", call->answers);
        input = pawl_with(scope, input, "resume", pawl_get(call->puzzle, "resume"));
    }
    return pawl_with(scope, input, "check",
                     pawl_make_bool(scope, false)); /* its error is for the model to see */
}

pw_agent_kind pw_agent_call_kind(const pw_agent_call *call)
{
    const pawl_value *tool = call->tool;
    return pawl_get(tool, "workflow") != NULL  ? PW_AGENT_CHILD
           : pawl_is(tool, "memory", "search") ? PW_AGENT_SEARCH
           : pawl_is(tool, "memory", "put")    ? PW_AGENT_PUT
           : pawl_is(tool, "memory", "delete") ? PW_AGENT_DELETE
                                               : PW_AGENT_ACTIVITY;
}

int64_t pw_agent_call_make(const pw_agent *a, const pw_agent_call *call, pawl_fold *f)
{
    pawl_scope *scope = pawl_fold_scope(f);
    if (pw_agent_call_kind(call) >= PW_AGENT_SEARCH) {
        return pw_agent_memory_make(a, call, f);
    }
    if (pw_agent_call_kind(call) == PW_AGENT_CHILD) {
        const pawl_child_options child = {.workflow = pawl_str(call->tool, "workflow", ""),
                                          .input = input_of(call, scope),
                                          .policy = PAWL_PARENT_CANCEL,
                                          .timeout_s = pawl_num(call->tool, "timeout_s", 0)};
        return pawl_fold_child(f, &child, sizeof child);
    }
    if (pawl_get(call->tool, "find") != NULL) {
        return pw_agent_find(a, call, f);
    }
    const bool mcp = pawl_get(call->tool, "mcp") != NULL;
    const pawl_call_options options = {
        .name = mcp ? "mcp" : pawl_str(call->tool, "activity", ""),
        .input = mcp ? mcp_input_of(a, call, scope) : input_of(call, scope),
        .timeout_s = pawl_num(call->tool, "timeout_s", 0),
        .retries = (int)pawl_int(call->tool, "retries", 0),
        .effect = effect_of(call->tool),
        .queue = pawl_str(call->tool, "queue", NULL),
    };
    return pawl_fold_call(f, &options, sizeof options);
}

/* ---- after ---- */

/* Content of MCP as parts of a message; what a model cannot take is shown as it is. */
static const pawl_value *mcp_content(pawl_scope *scope, const pawl_value *content)
{
    const pawl_value *parts = NULL;
    for (size_t i = 0; i < pawl_len(content); i++) {
        const pawl_value *c = pawl_at(content, i);
        const pawl_value *part =
            pawl_is(c, "type", "image")
                ? pawl_build(scope, "{type: 'image', data: %p, mime: %s}",
                             pawl_v(pawl_get(c, "data")), pawl_str(c, "mimeType", "image/png"))
                : pawl_build(scope, "{type: 'text', text: %s}",
                             pawl_is(c, "type", "text") ? pawl_str(c, "text", "")
                                                        : pawl_to_json(scope, c, 0));
        parts = pw_agent_push(scope, parts, part);
    }
    return parts != NULL ? parts : pawl_make_str(scope, "(no content)");
}

void pw_agent_call_done(pw_agent *a, pw_agent_call *call, const pawl_value *value)
{
    const pawl_value *result = value;
    bool failed = false;
    if (pawl_get(call->tool, "find") != NULL) {
        result = pw_agent_found(a, value);
    } else if (pawl_get(call->tool, "mcp") != NULL) {
        const pawl_value *structured = pawl_get(value, "structuredContent");
        failed = pawl_bool(value, "isError", false);
        result =
            structured != NULL ? structured : mcp_content(a->scope, pawl_get(value, "content"));
    }
    result = result != NULL && pawl_typeof(result) != PAWL_NIL
                 ? pawl_copy(a->scope, result)
                 : pawl_make_str(a->scope, "(no result)");
    pw_agent_call_over(call, result, failed);
}
