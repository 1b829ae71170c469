/*
 * content.c - the end of a run as the result of a tool.
 *
 *   a map with "$mcp"         that very result: content, structuredContent, isError
 *   any other map             structuredContent, and the same as JSON in a text
 *   a text                    a text
 *   a failure                 isError, "Type: message"; of type "ProtocolError" an error of the protocol
 *
 * Does not check a result against the schema that was shown.
 */
#include <string.h>

#include "tools/mcp/inside.h"

const pawl_value *pw_mcpd_text(pawl_scope *scope, const char *text, bool is_error)
{
    const pawl_value *v = pawl_build(scope, "{content: [{type: \"text\", text: %s}]}", text);
    return is_error ? pawl_with(scope, v, "isError", pawl_make_bool(scope, true)) : v;
}

static const pawl_value *completed(pawl_scope *scope, const pawl_value *result)
{
    const pawl_value *own = pw_mcpd_key(result, "$mcp");
    if (pawl_typeof(own) == PAWL_MAP) {
        return pawl_get(own, "content") != NULL
                   ? pawl_copy(scope, own)
                   : pawl_with(scope, own, "content", pawl_build(scope, "[]"));
    }
    if (pawl_typeof(result) == PAWL_STRING) {
        return pw_mcpd_text(scope, pawl_str(result, "", ""), false);
    }
    const char *json = pawl_to_json(scope, result, 0);
    const pawl_value *v = pw_mcpd_text(scope, json != NULL ? json : "", false);
    return pawl_typeof(result) == PAWL_MAP ? pawl_with(scope, v, "structuredContent", result) : v;
}

const pawl_value *pw_mcpd_tool_result(pawl_scope *scope, const pawl_value *end, int64_t *ret_code,
                                      const char **ret_text)
{
    const char *status = pawl_str(end, "status", "");
    const pawl_value *failure = pawl_get(end, "failure");
    const char *message = pawl_str(failure, "message", "");
    if (strcmp(status, "completed") == 0) {
        return completed(scope, pawl_get(end, "result"));
    }
    if (pawl_is(failure, "type", "ProtocolError")) {
        *ret_code = pawl_int(failure, "details.code", PW_MCPD_INTERNAL);
        *ret_text = pw_strdup(scope, message);
        return NULL;
    }
    return pw_mcpd_text(
        scope,
        strcmp(status, "failed") == 0
            ? pw_sprintf(scope, "%s: %s", pawl_str(failure, "type", "Failed"), message)
            : pw_sprintf(scope, "the run was ended: %s%s%s", status, message[0] != '\0' ? ": " : "",
                         message),
        true);
}

const pawl_value *pw_mcpd_handle(pawl_scope *scope, const char *run_id, const pawl_value *waits)
{
    const bool asks = pawl_len(waits) > 0;
    const char *text =
        asks
            ? pw_sprintf(
                  scope,
                  "The run %s waits for an answer (\"%s\"). Answer it with the tool pawl_answer, or let a "
                  "person do so, and get its result with the tool pawl_wait.",
                  run_id, pawl_str(pawl_at(waits, 0), "prompt", ""))
            : pw_sprintf(
                  scope,
                  "The run %s goes on, and its result will be kept. Get it with the tool pawl_wait.",
                  run_id);
    const pawl_value *v = pw_mcpd_text(scope, text, false);
    const pawl_value *s =
        pawl_build(scope, "{run_id: %s, status: %s}", run_id, asks ? "waiting" : "running");
    s = asks ? pawl_with(scope, s, "waits", waits) : s;
    return pawl_with(scope, v, "structuredContent", s);
}
