/*
 * wait.c - sticky failure, waiting, and branches.
 *
 * A branch that waits keeps a condition; turn.c resumes it once the condition holds, or once the run is cancelled and nothing shields it.
 * Does not decide the order of branches: turn.c does. Futures are await.c's, shields shield.c's, what is taken back compensate.c's.
 */
#include <stdio.h>
#include <string.h>

#include "engine/ballot.h"
#include "engine/misuse.h"
#include "engine/wf.h"

/* ---- failure ---- */

bool pawl_ok(const pawl_run *w)
{
    return w != NULL && pw_ours(w, "pawl_ok", NULL, 0) && w->failure == NULL;
}

const pawl_failure *pawl_catch(pawl_run *w)
{
    if (!pw_mine(w, "pawl_catch", NULL, 0)) {
        return NULL;
    }
    const pawl_failure *f = w->failure;
    w->failure = NULL;
    w->failed_cmd = 0;
    w->noops = 0;
    return f;
}

void pw_set_failure(pawl_run *w, const pawl_failure *f, int64_t cmd)
{
    if (w->failure == NULL) {
        w->failed_cmd = cmd;
    }
    w->failure = f;
}

const pawl_value *pawl_fail(pawl_run *w, const char *type, const char *fmt, ...)
{
    if (!pw_mine(w, "pawl_fail", NULL, 0)) {
        return NULL;
    }
    char text[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pw_set_failure(w, pw_failure_new(w->live->scope, type, text, NULL, false, w->failure), 0);
    return NULL;
}

const pawl_value *pawl_rethrow(pawl_run *w, const pawl_failure *failure)
{
    if (!pw_mine(w, "pawl_rethrow", NULL, 0)) {
        return NULL;
    }
    if (failure != NULL) {
        pw_set_failure(w, failure, 0);
    }
    return NULL;
}

bool pawl_failure_is(const pawl_failure *failure, const char *type)
{
    for (; failure != NULL; failure = failure->cause) {
        if (strcmp(failure->type, type) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- waiting ---- */

void pw_set_canceled(pawl_run *w)
{
    const char *why = w->live->cancel_reason;
    pw_set_failure(w,
                   pw_failure_new(w->live->scope, "Canceled",
                                  why != NULL && why[0] != 0 ? why : "cancellation was requested",
                                  NULL, false, NULL),
                   0);
}

bool pawl_timed_out(const pawl_run *w)
{
    return pw_mine(w, "pawl_timed_out", NULL, 0) && w->timed_out;
}

bool pw_wait(pawl_run *w, pw_ready_fn ready, void *arg, bool cancelable)
{
    w->timed_out = false;
    while (!ready(w, arg)) {
        if ((cancelable && pw_canceled(w)) ||
            w->fiber == NULL) { /* (a query handler has no stack to wait on) */
            return false;
        }
        w->ready = ready;
        w->ready_arg = arg;
        w->wait_cancelable = cancelable;
        pw_fiber_yield(w->fiber);
    }
    return true;
}

/* ---- branches ---- */

pawl_run *pw_branch_new(pw_live *live, pawl_branch_fn fn, void *arg)
{
    pawl_run *w = pawl_scope_alloc(live->scope, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->live = live;
    w->index = live->branches_len;
    w->fn = fn;
    w->arg = arg;
    w->future = (pawl_future){.is_branch = true, .branch = w};
    pawl_error err;
    bool folded = live->def != NULL && live->def->folded.apply != NULL;
    if (!folded &&
        pw_fiber_new(pw_branch_main, w, live->def->stack_bytes, &w->fiber, &err) != PAWL_OK) {
        pw_core_log(live->core, PAWL_ERROR, live->id, 0, "no stack for a branch: %s", err.message);
        if (err.status == PAWL_NOMEM) {
            pw_scope_fail(live->scope);
        }
        return NULL;
    }
    DL_APPEND(live->branches, w);
    live->branches_len++;
    return w;
}

pawl_future *pawl_go(pawl_run *w, pawl_branch_fn fn, void *arg)
{
    if (!pw_mine(w, "pawl_go", NULL, 0)) {
        return NULL;
    }
    if (pw_blocked(w)) {
        return NULL;
    }
    pawl_run *b = w->live->branches_len < PW_BRANCHES_MAX ? pw_branch_new(w->live, fn, arg) : NULL;
    if (b == NULL) {
        (void)pw_blocked(w); /* no memory: does not come back */
        pw_set_failure(w,
                       pw_failure_new(w->live->scope, "LimitExceeded",
                                      "no more than 1024 branches in one run", NULL, false, NULL),
                       0);
        return NULL;
    }
    pw_shield_inherit(b, w);
    b->stopped = w->stopped;
    return &b->future;
}

void pw_branch_main(void *arg)
{
    pawl_run *w = arg;
    pw_live *live = w->live;
    const pawl_value *out;
    if (w->fn != NULL) {
        out = w->fn(w, w->arg);
    } else {
        out = live->def->fn(w, (const pawl_value *)w->arg);
        if (w->failure != NULL) {
            pw_compensate(w);
        }
        live->result = out;
        live->final_failure = w->failure;
        live->closing = true;
    }
    w->finished = true;
    w->future.done = true;
    w->future.done_seq = live->seq;
    w->future.done_turn = live->turn;
    w->future.value = w->failure == NULL ? out : NULL;
    w->future.failure = w->failure;
}

/* ---- for people ---- */

static const char *waits_for(const pw_cmd *cmd)
{
    switch ((int)pw_state_machine(cmd->state)) {
    case PW_M_ACTIVITY:
        if (cmd->held != PW_HELD_NOT) {
            return cmd->held == PW_HELD_ASKS ? "answer: budget of" : "room in the budget of";
        }
        return cmd->state == PW_S_ACTIVITY_UNKNOWN ? "answer: outcome unknown of" : "activity";
    case PW_M_TIMER:
        return "timer";
    case PW_M_SIGNAL:
        return "signal";
    case PW_M_CHILD:
        return "child";
    case PW_M_MAP:
        return cmd->held == PW_HELD_ASKS ? "answer: budget of" : "map";
    case PW_M_WAIT:
        return "answer";
    case PW_M_MEMORY:
        return "memory";
    default:
        return NULL;
    }
}

/* How a question stands: " (1 vote, 2 must agree)". */
static void ballot_text(const pw_cmd *cmd, char *ret, size_t size)
{
    char text[80] = "";
    if (pw_state_machine(cmd->state) == PW_M_WAIT) {
        pw_ballot_text(cmd->body, text, sizeof text);
    }
    (void)snprintf(ret, size, "%s%s%s", text[0] != 0 ? " (" : "", text, text[0] != 0 ? ")" : "");
}

void pw_waiting_text(pw_live *live, char *ret, size_t size)
{
    ret[0] = 0;
    size_t more = 0;
    const pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        const char *what = waits_for(cmd);
        if (what == NULL) {
            continue;
        }
        if (ret[0] != 0) {
            more++;
            continue;
        }
        char stands[96];
        ballot_text(cmd, stands, sizeof stands);
        (void)snprintf(ret, size, "%s%s%s%s", what, cmd->name[0] != 0 ? " " : "", cmd->name,
                       stands);
    }
    if (more > 0) {
        size_t used = strlen(ret);
        (void)snprintf(ret + used, size - used, " and %zu more", more);
    }
    if (ret[0] == 0) {
        (void)snprintf(ret, size, "nothing that can come");
    }
}
