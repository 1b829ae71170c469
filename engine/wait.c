/*
 * wait.c - branches, futures, cancellation and compensation; shields are shield.c's.
 *
 * A branch that waits keeps a condition; turn.c resumes it once the condition holds, or once the run is cancelled and nothing shields it.
 * What already ended in the same turn wins over cancellation. Does not decide the order of branches: turn.c does.
 */
#include <stdio.h>
#include <string.h>

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

static void set_canceled(pawl_run *w)
{
    const char *why = w->live->cancel_reason;
    pw_set_failure(w, pw_failure_new(w->live->scope, "Canceled", why != NULL && why[0] != 0 ? why : "cancellation was requested", NULL, false,
                                     NULL), 0);
}

bool pw_wait(pawl_run *w, pw_ready_fn ready, void *arg, bool cancelable)
{
    w->timed_out = false;
    while (!ready(w, arg)) {
        if ((cancelable && pw_canceled(w)) || w->fiber == NULL) { /* (a query handler has no stack to wait on) */
            return false;
        }
        w->ready = ready;
        w->ready_arg = arg;
        w->wait_cancelable = cancelable;
        pw_fiber_yield(w->fiber);
    }
    return true;
}

static bool future_ready(pawl_run *w, void *arg)
{
    const pawl_future *f = arg;
    return f->done && (f->cmd == NULL || f->cmd->deliver_turn == 0 || w->live->turn > f->cmd->deliver_turn);
}

/* Asks what is behind a command to stop. Timers, signals and questions end at once. */
void pw_cmd_cancel(pawl_run *w, pw_cmd *cmd)
{
    if (cmd == NULL || cmd->future.done || cmd->cancel_requested) {
        return;
    }
    static const struct {
        pw_machine machine;
        pw_event_type event;
    } how[] = {
        {PW_M_ACTIVITY, PW_EV_ACTIVITY_CANCEL_REQUESTED}, {PW_M_TIMER, PW_EV_TIMER_CANCELED}, {PW_M_SIGNAL, PW_EV_SIGNAL_ABANDONED},
        {PW_M_CHILD, PW_EV_CHILD_CANCEL_REQUESTED},       {PW_M_MAP, PW_EV_MAP_CANCEL_REQUESTED}, {PW_M_WAIT, PW_EV_WAIT_CANCELED},
    };
    for (size_t i = 0; i < PW_COUNT(how); i++) {
        if (pw_state_machine(cmd->state) != how[i].machine) {
            continue;
        }
        if (!pw_command_note(w->live, how[i].event, cmd) && w->live->mismatch != NULL && w->fiber != NULL) {
            pw_fiber_yield(w->fiber); /* abandoned */
        }
        return;
    }
}

bool pw_wait_future(pawl_run *w, pawl_future *f)
{
    if (pw_blocked(w)) {
        return false;
    }
    if (!pw_wait(w, future_ready, f, true)) {
        pw_cmd *cmd = f->cmd;
        bool activity = cmd != NULL && pw_state_machine(cmd->state) == PW_M_ACTIVITY;
        if (!activity || cmd->on_cancel != PAWL_CANCEL_ABANDON) {
            pw_cmd_cancel(w, cmd);
        }
        bool finish = cmd != NULL && (!activity || cmd->on_cancel == PAWL_CANCEL_WAIT);
        if (finish) {
            (void)pw_wait(w, future_ready, f, false);
        }
        if (!finish || f->failure == NULL || pawl_failure_is(f->failure, "Canceled") || f->timed_out) {
            if (finish && f->failure == NULL && !f->timed_out && cmd->state != PW_S_TIMER_FIRED) {
                return true; /* it completed all the same: that wins, the next wait fails */
            }
            set_canceled(w);
            return false;
        }
    }
    w->timed_out = f->timed_out;
    if (f->failure != NULL) {
        pw_set_failure(w, f->failure, f->cmd != NULL ? f->cmd->id : f->branch != NULL ? f->branch->failed_cmd : 0);
        return false;
    }
    return true;
}

bool pawl_timed_out(const pawl_run *w)
{
    if (!pw_mine(w, "pawl_timed_out", NULL, 0)) {
        return false;
    }
    return w->timed_out;
}

/* ---- futures ---- */

bool pawl_future_done(const pawl_future *future)
{
    return future != NULL && future->done;
}

const pawl_value *pawl_future_value(const pawl_future *future)
{
    return future != NULL && future->done ? future->value : NULL;
}

const pawl_failure *pawl_future_failure(const pawl_future *future)
{
    return future != NULL && future->done ? future->failure : NULL;
}

const pawl_value *pawl_await(pawl_run *w, pawl_future *future)
{
    if (future == NULL || !pw_mine(w, "pawl_await", NULL, 0) || !pw_wait_future(w, future)) {
        return NULL;
    }
    return future->value;
}

void pawl_future_cancel(pawl_run *w, pawl_future *future)
{
    if (!pw_mine(w, "pawl_future_cancel", NULL, 0)) {
        return;
    }
    if (future != NULL && !pw_blocked(w)) {
        pw_cmd_cancel(w, future->cmd);
    }
}

typedef struct await_set {
    pawl_future *const *futures;
    size_t len;
} await_set;

static bool all_ready(pawl_run *w, void *arg)
{
    const await_set *set = arg;
    for (size_t i = 0; i < set->len; i++) {
        if (set->futures[i] != NULL && !future_ready(w, set->futures[i])) {
            return false;
        }
    }
    return true;
}

/* Lowest event number first; on a tie (several branches ended after one event) the lower index. */
static int first_of(pawl_run *w, const await_set *set, bool successes_only)
{
    int found = -1;
    for (size_t i = 0; i < set->len; i++) {
        pawl_future *f = set->futures[i];
        if (f == NULL || !future_ready(w, f) || (successes_only && f->failure != NULL)) {
            continue;
        }
        if (found < 0 || f->done_seq < set->futures[found]->done_seq) {
            found = (int)i;
        }
    }
    return found;
}

static bool any_ready(pawl_run *w, void *arg)
{
    return first_of(w, arg, false) >= 0;
}

static bool success_or_all(pawl_run *w, void *arg)
{
    return first_of(w, arg, true) >= 0 || all_ready(w, arg);
}

static bool await_set_of(pawl_run *w, await_set *set, pw_ready_fn ready)
{
    if (pw_blocked(w)) {
        return false;
    }
    if (!pw_wait(w, ready, set, true)) {
        set_canceled(w);
        return false;
    }
    return true;
}

bool pawl_await_all(pawl_run *w, pawl_future *const *futures, size_t len)
{
    if (!pw_mine(w, "pawl_await_all", NULL, 0)) {
        return false;
    }
    await_set set = {futures, len};
    if (!await_set_of(w, &set, all_ready)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (futures[i] != NULL && futures[i]->failure != NULL) {
            const pawl_future *f = futures[i];
            pw_set_failure(w, f->failure, f->cmd != NULL ? f->cmd->id : 0);
            return false;
        }
    }
    return true;
}

int pawl_await_any(pawl_run *w, pawl_future *const *futures, size_t len)
{
    if (!pw_mine(w, "pawl_await_any", NULL, 0)) {
        return -1;
    }
    await_set set = {futures, len};
    if (len == 0 || !await_set_of(w, &set, any_ready)) {
        return -1;
    }
    int i = first_of(w, &set, false);
    w->timed_out = futures[i]->timed_out;
    return i;
}

int pawl_await_first(pawl_run *w, pawl_future *const *futures, size_t len)
{
    if (!pw_mine(w, "pawl_await_first", NULL, 0)) {
        return -1;
    }
    await_set set = {futures, len};
    if (len == 0 || !await_set_of(w, &set, success_or_all)) {
        return -1;
    }
    int i = first_of(w, &set, true);
    if (i < 0) {
        const pawl_failure *cause = NULL;
        for (size_t k = 0; k < len && cause == NULL; k++) {
            cause = futures[k] != NULL ? futures[k]->failure : NULL;
        }
        pw_set_failure(w, pw_failure_new(w->live->scope, "AllFailed", "every one of them failed", NULL, false, cause), 0);
    }
    return i;
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
    if (!folded && pw_fiber_new(pw_branch_main, w, live->def->stack_bytes, &w->fiber, &err) != PAWL_OK) {
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
        pw_set_failure(w, pw_failure_new(w->live->scope, "LimitExceeded", "no more than 1024 branches in one run", NULL, false, NULL), 0);
        return NULL;
    }
    pw_shield_inherit(b, w);
    return &b->future;
}

/* ---- compensation ---- */

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

static void compensate(pawl_run *w)
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
            compensate(w);
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
        return cmd->state == PW_S_ACTIVITY_UNKNOWN ? "answer: outcome unknown of" : "activity";
    case PW_M_TIMER:
        return "timer";
    case PW_M_SIGNAL:
        return "signal";
    case PW_M_CHILD:
        return "child";
    case PW_M_MAP:
        return "map";
    case PW_M_WAIT:
        return "answer";
    default:
        return NULL;
    }
}

void pw_waiting_text(pw_live *live, char *ret, size_t size)
{
    ret[0] = 0;
    size_t more = 0;
    const pw_cmd *cmd;
    DL_FOREACH(live->open, cmd)
    {
        const char *what = waits_for(cmd);
        if (what == NULL) {
            continue;
        }
        if (ret[0] != 0) {
            more++;
            continue;
        }
        (void)snprintf(ret, size, "%s%s%s", what, cmd->name[0] != 0 ? " " : "", cmd->name);
    }
    if (more > 0) {
        size_t used = strlen(ret);
        (void)snprintf(ret + used, size - used, " and %zu more", more);
    }
    if (ret[0] == 0) {
        (void)snprintf(ret, size, "nothing that can come");
    }
}
