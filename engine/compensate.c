/*
 * compensate.c - what is taken back when the main branch has failed: every step that completed or may have happened, last first.
 *
 * Runs on the main branch's own stack, as workflow code does, and nothing cuts it. A compensation that fails is told, and the others still
 * run. Does not decide how the run ends.
 */
#include "engine/wf.h"

/* It failed, and nobody can say that it did not happen: an attempt that took too long may still have done it. */
static bool may_have_happened(const pawl_failure *f)
{
    static const char *const types[] = {"OutcomeUnknown", "Timeout", "HeartbeatTimeout", "WorkerLost"};
    bool may = false;
    for (size_t i = 0; f != NULL && i < PW_COUNT(types); i++) {
        may |= pawl_failure_is(f, types[i]);
    }
    return may;
}

static bool wants_undo(const pw_cmd *cmd)
{
    if (cmd == NULL || cmd->undo == NULL) {
        return false;
    }
    return cmd->undo_input != NULL || cmd->state == PW_S_ACTIVITY_COMPLETED || cmd->state == PW_S_ACTIVITY_UNKNOWN ||
           cmd->state == PW_S_ACTIVITY_SENT || may_have_happened(cmd->future.failure);
}

static void undo_one(pawl_run *w, pw_cmd *cmd)
{
    pw_live *live = w->live;
    const pawl_value *in = cmd->undo_input;
    if (in == NULL) {
        in = pawl_build(live->scope, "{input: %p, result: %p}", pawl_v(pw_body_value(live->core, live->scope, cmd->body, "input")),
                        pawl_v(cmd->future.value));
    }
    pawl_call_options o = {.name = cmd->undo, .input = in, .retries = 9};
    (void)pawl_call_at(w, &o, sizeof o, "compensation", (int)cmd->id);
    const pawl_failure *f = pawl_catch(w);
    if (f != NULL) {
        pawl_log(w, PAWL_ERROR, "compensation %s of command %lld failed: %s: %s", cmd->undo, (long long)cmd->id, f->type, f->message);
        live->final_failure = pw_failure_new(live->scope, "CompensationFailed", f->message, NULL, false, live->final_failure);
    }
}

void pw_compensate(pawl_run *w)
{
    pw_live *live = w->live;
    live->final_failure = w->failure;
    int64_t failed_cmd = w->failed_cmd;
    (void)pawl_catch(w);
    w->shield = NULL; /* it is not cut, whatever the code had entered */
    (void)pw_shield_enter(w);
    for (size_t i = live->cmds_len; i > 0; i--) {
        if (wants_undo(live->cmds[i - 1])) {
            undo_one(w, live->cmds[i - 1]);
        }
    }
    w->failed_cmd = failed_cmd;
    w->failure = live->final_failure;
}
