/*
 * compensate.c - what is taken back when the main branch has failed: every step that completed or may have happened, last first.
 *
 * Before that, a step with an undo that is still open, in whatever branch, is asked to stop, and its end is waited for (as long as its own
 * timeouts let it): it is taken back too when it completed all the same, or when its code may have run. The code of branches goes no further.
 * Runs on the main branch's own stack, as workflow code does, and nothing cuts it. A compensation that fails is told, and the others still
 * run. Does not decide how the run ends.
 */
#include "engine/wf.h"

/* ---- what is still under way ---- */

static bool under_way(const pw_cmd *cmd)
{
    return cmd != NULL && cmd->undo != NULL && !cmd->future.done &&
           pw_state_machine(cmd->state) == PW_M_ACTIVITY;
}

static bool none_under_way(pawl_run *w, void *arg)
{
    (void)arg;
    const pw_cmd *cmd;
    DL_FOREACH (w->live->open, cmd) {
        if (under_way(cmd)) {
            return false;
        }
    }
    return true;
}

/* The event says why: a retry of the run opens it before that. */
static void ask_to_end(pawl_run *w, pw_cmd *cmd)
{
    static const uint8_t for_undo[] = {0x81, 0xa4, 'u', 'n', 'd', 'o', 0xc3};
    pw_view body = {for_undo, sizeof for_undo};
    if (!cmd->cancel_requested &&
        !pw_command_note(w->live, PW_EV_ACTIVITY_CANCEL_REQUESTED, cmd, body) &&
        w->live->mismatch != NULL) {
        pw_fiber_yield(w->fiber); /* abandoned */
    }
}

/* Branches go no further: what they would begin now, nobody would take back. What they had begun, and can be taken back, comes to its end. */
static void settle(pawl_run *w)
{
    pw_live *live = w->live;
    pawl_run *b;
    DL_FOREACH (live->branches, b) {
        b->finished |= b != w;
    }
    for (size_t i = 0; i < live->cmds_len; i++) {
        if (under_way(live->cmds[i])) {
            ask_to_end(w, live->cmds[i]);
        }
    }
    (void)pw_wait(w, none_under_way, NULL, false);
}

/* ---- what is taken back ---- */

static bool wants_undo(const pw_cmd *cmd)
{
    if (cmd == NULL || cmd->undo == NULL) {
        return false;
    }
    return cmd->undo_input != NULL || cmd->state == PW_S_ACTIVITY_COMPLETED ||
           cmd->may_have_happened;
}

static void undo_one(pawl_run *w, pw_cmd *cmd)
{
    pw_live *live = w->live;
    const pawl_value *in = cmd->undo_input;
    if (in == NULL) {
        in = pawl_build(live->scope, "{input: %p, result: %p}",
                        pawl_v(pw_body_value(live->core, live->scope, cmd->body, "input")),
                        pawl_v(cmd->future.value));
    }
    pawl_call_options o = {.name = cmd->undo, .input = in, .retries = 9};
    (void)pawl_call_at(w, &o, sizeof o, "compensation", (int)cmd->id);
    const pawl_failure *f = pawl_catch(w);
    if (f != NULL) {
        pawl_log(w, PAWL_ERROR, "compensation %s of command %lld failed: %s: %s", cmd->undo,
                 (long long)cmd->id, f->type, f->message);
        live->final_failure = pw_failure_new(live->scope, "CompensationFailed", f->message, NULL,
                                             false, live->final_failure);
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
    settle(w);
    for (size_t i = live->cmds_len; i > 0; i--) {
        if (wants_undo(live->cmds[i - 1])) {
            undo_one(w, live->cmds[i - 1]);
        }
    }
    w->failed_cmd = failed_cmd;
    w->failure = live->final_failure;
}
