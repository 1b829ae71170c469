/*
 * wf_budget.c - what is left of its budget, as workflow code asks. What was read is an event: replay gives the same.
 *
 * Does not reserve: that is an option of a call (wf_call.c, budget_step.c).
 */
#include "engine/budget.h"
#include "engine/wf.h"

static void left_field(pw_emit *e, const void *arg)
{
    const pawl_value *left = arg;
    if (left != NULL) {
        pw_emit_value(e, "value", pw_value_bytes(left));
    }
}

const pawl_value *pawl_budget_at(pawl_run *w, const char *file, int line)
{
    if (!pw_mine(w, "pawl_budget", file, line) || pw_blocked(w)) {
        return NULL;
    }
    pw_live *live = w->live;
    pw_ask ask = {.type = PW_EV_BUDGET_READ, .file = file, .line = line, .body = left_field};
    ask.arg = live->replaying ? NULL : pw_budget_left(live, live->scope);
    pw_cmd *cmd = pw_command(w, &ask);
    return cmd != NULL ? pw_body_value(live->core, live->scope, cmd->body, "value") : NULL;
}
