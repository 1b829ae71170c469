/*
 * shield.c - what cancellation does not cut: shields, which nest, and which branches stand under together.
 *
 *   main:    pawl_shield(60) -> pawl_shield(5)          w->shield --> [due 5 s] --> [due 60 s]
 *   branch:  begun in there: b->shield is the same list, b->shield_base its head: not its own to leave
 *
 * A branch is shielded while one of its shields has not been left and none of those has expired: so the earliest deadline wins, and what is
 * left by whoever entered it protects nobody any more. Only a shield whose deadline may count is an event; the others are the code's own.
 * Does not cancel anything: wait.c does.
 */
#include "engine/misuse.h"
#include "engine/wf.h"

struct pw_shield {
    pw_cmd *cmd; /* its deadline; NULL = none, or an outer one comes first */
    bool left;
    struct pw_shield *outer;
};

static bool shielded(const pawl_run *w)
{
    bool any = false;
    for (const pw_shield *s = w->shield; s != NULL; s = s->outer) {
        if (!s->left && s->cmd != NULL && s->cmd->state == PW_S_SHIELD_EXPIRED) {
            return false;
        }
        any |= !s->left;
    }
    return any;
}

static bool requested(const pawl_run *w)
{
    return w->live->cancel_requested || w->stopped;
}

bool pawl_cancel_requested(const pawl_run *w)
{
    return pw_ours(w, "pawl_cancel_requested", NULL, 0) && requested(w);
}

bool pw_canceled(const pawl_run *w)
{
    return requested(w) && !shielded(w);
}

static void shield_body(pw_emit *e, const void *arg)
{
    pw_emit_int(e, "due_ms", *(const int64_t *)arg);
}

static bool earliest(const pawl_run *w, int64_t due_ms)
{
    for (const pw_shield *s = w->shield; s != NULL; s = s->outer) {
        if (!s->left && s->cmd != NULL && s->cmd->due_ms <= due_ms) {
            return false;
        }
    }
    return true;
}

/* A history from when a shield within a shield, or after a failure, had no deadline goes on without it. */
static bool history_has_it(pw_live *live)
{
    pw_event ev;
    return !live->replaying || (pw_replay_peek(live, &ev) && ev.type == PW_EV_SHIELD_ENTERED);
}

/* Its deadline counts from here whatever has failed: what failed may be caught inside. */
static pw_cmd *deadline(pawl_run *w, int64_t due_ms, const char *file, int line)
{
    const pawl_failure *failure = w->failure;
    int64_t failed_cmd = w->failed_cmd;
    if ((failure != NULL || w->shield != NULL) && !history_has_it(w->live)) {
        return NULL;
    }
    w->failure = NULL;
    pw_ask ask = {.type = PW_EV_SHIELD_ENTERED,
                  .file = file,
                  .line = line,
                  .body = shield_body,
                  .arg = &due_ms};
    pw_cmd *cmd = pw_command(w, &ask);
    if (failure != NULL) {
        w->failure = failure;
        w->failed_cmd = failed_cmd;
    }
    return cmd;
}

bool pw_shield_enter(pawl_run *w)
{
    pw_shield *s = pawl_scope_alloc(w->live->scope, sizeof *s);
    if (s == NULL) {
        return false;
    }
    s->outer = w->shield;
    w->shield = s;
    return true;
}

void pawl_shield_at(pawl_run *w, double deadline_s, const char *file, int line)
{
    if (!pw_mine(w, "pawl_shield", file, line)) {
        return;
    }
    if (w->fiber == NULL) { /* a query handler only reads */
        (void)pw_blocked(w);
        return;
    }
    int64_t due = deadline_s > 0 ? w->live->now_ms + pw_seconds_ms(deadline_s) : 0;
    pw_cmd *cmd = due > 0 && earliest(w, due) ? deadline(w, due, file, line) : NULL;
    if (!pw_shield_enter(w)) {
        pw_leave_lost(w);
        return;
    }
    w->shield->cmd = cmd;
}

#undef pawl_shield
void pawl_shield(pawl_run *w, double deadline_s)
{
    pawl_shield_at(w, deadline_s, NULL, 0);
}

void pawl_unshield(pawl_run *w)
{
    if (!pw_mine(w, "pawl_unshield", NULL, 0)) {
        return;
    }
    pw_shield *s = w->shield;
    if (s == w->shield_base) { /* (what it stands under is not its own to leave) */
        return;
    }
    if (w->fiber == NULL) {
        (void)pw_blocked(w);
        return;
    }
    s->left = true;
    w->shield = s->outer;
    pw_cmd *cmd = s->cmd;
    if (cmd != NULL && !cmd->future.done &&
        !pw_command_note(w->live, PW_EV_SHIELD_LEFT, cmd, (pw_view){NULL, 0}) &&
        w->live->mismatch != NULL) {
        pw_fiber_yield(w->fiber);
    }
}

void pw_shield_inherit(pawl_run *branch, const pawl_run *from)
{
    branch->shield = branch->shield_base = from->shield;
}
