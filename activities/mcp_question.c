/*
 * mcp_question.c - what a server asks while it works on a call: answered from the input, by a rule, or left open for the run.
 *
 *   answers in the input, by key --> as given
 *   elicit: "decline" | "defaults" --> by the rule
 *   else --> call->question: the call ends with InputRequired, the run asks whom it wants, and calls again with the answers
 *
 * Keys are the server's own (modern), or ask-1, ask-2 ... in the order a legacy server asked. A URL is never opened. Does not talk.
 */
#include <string.h>

#include "activities/mcp_server.h"
#include "activities/mcp_tool.h"

const pawl_value *pw_mcp_answer(pw_mcp_call *call, const char *key, const char *method,
                                const pawl_value *params)
{
    pawl_scope *scope = call->scope;
    const pawl_value *given = pw_mcp_key(call->answers, key);
    if (given != NULL) {
        return given;
    }
    if (strcmp(method, "elicitation/create") == 0 && call->manner == PW_MCP_DECLINE) {
        return pawl_build(scope, "{action: \"decline\"}");
    }
    if (strcmp(method, "elicitation/create") == 0 && call->manner == PW_MCP_DEFAULTS) {
        return pw_mcp_defaults(scope, params);
    }
    const pawl_value *question =
        pawl_build(scope, "{method: %s, params: %p}", method, pawl_v(pawl_copy(scope, params)));
    call->question = pawl_with(scope, call->question, key, question);
    return NULL;
}
