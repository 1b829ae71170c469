/*
 * agent_budget.c - the agent and its run's budget: what a model call reserves, and what the model is told when a soft limit is passed.
 *
 * What does not fit is held by the engine, and asks; what the model is told is part of the call, and journaled with it. Does not decide.
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

const pawl_value *pw_agent_reserve(const pw_agent *a, pawl_scope *scope)
{
    const pawl_value *given = pawl_get(a->config, "reserve");
    const int64_t output = pawl_int(a->config, "request.max_tokens", 0);
    return given != NULL ? given
           : output > 0  ? pawl_build(scope, "{calls: 1, output: %lld}", (long long)output)
                         : pawl_build(scope, "{calls: 1}");
}

/* "$0.12, 3 calls and 4000 tokens" */
static void left_text(const pawl_value *left, char *ret, size_t size)
{
    const size_t len = pawl_len(left);
    size_t used = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < len && used < size; i++) {
        const char *unit = pawl_key_at(left, i);
        const char *before = i == 0 ? "" : i + 1 == len ? " and " : ", ";
        const bool usd = strcmp(unit, "usd") == 0;
        used += (size_t)(usd ? snprintf(ret + used, size - used, "%s$%.4g", before,
                                        pawl_num(left, unit, 0))
                             : snprintf(ret + used, size - used, "%s%lld %s", before,
                                        (long long)pawl_int(left, unit, 0), unit));
    }
}

const pawl_value *pw_agent_budget_said(pawl_fold *f, const pawl_value *messages)
{
    char left[200];
    char text[400];
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *budget = pawl_fold_budget(f);
    if (!pawl_bool(budget, "soft", false)) {
        return messages;
    }
    left_text(pawl_get(budget, "left"), left, sizeof left);
    (void)snprintf(
        text, sizeof text,
        "[engine] The budget is nearly used up%s%s. Do what matters most, and come to an "
        "end.",
        left[0] != '\0' ? ": left are " : "", left);
    return pw_agent_push(scope, messages, pawl_build(scope, "{role: 'user', text: %s}", text));
}
