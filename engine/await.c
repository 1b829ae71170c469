/*
 * await.c - futures: asking, awaiting one or several of them, and what becomes of them when that is cancelled.
 *
 * Cancellation of an await asks each future that has not ended as its own call says (on_cancel), whatever stands beside it in the array:
 *
 *   activity, "wait"         is asked to stop, and its end is waited for
 *   activity, "request"      is asked to stop
 *   activity, "abandon"      goes on
 *   child, map               as "wait"
 *   timer, signal, question  ends at once
 *   branch                   is cancelled itself, and its end is waited for
 *
 * What ended all the same then counts as it ended; else the await fails as Canceled. What had ended in the same turn wins before any of that.
 * Does not stop attempts: job.c does, after the commit.
 */
#include "engine/misuse.h"
#include "engine/wf.h"

/* Futures that are waited for together. */
typedef struct await_set {
    pawl_future *const *futures;
    size_t len;
    bool canceled; /* one that ended as Canceled no longer counts */
} await_set;

static bool future_ready(const pawl_run *w, const pawl_future *f)
{
    return f->done &&
           (f->cmd == NULL || f->cmd->deliver_turn == 0 || w->live->turn > f->cmd->deliver_turn);
}

static bool counts(const pawl_run *w, const await_set *set, const pawl_future *f)
{
    return future_ready(w, f) &&
           !(set->canceled && f->failure != NULL && pawl_failure_is(f->failure, "Canceled"));
}

/* ---- cancelling ---- */

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
        {PW_M_ACTIVITY, PW_EV_ACTIVITY_CANCEL_REQUESTED},
        {PW_M_TIMER, PW_EV_TIMER_CANCELED},
        {PW_M_SIGNAL, PW_EV_SIGNAL_ABANDONED},
        {PW_M_CHILD, PW_EV_CHILD_CANCEL_REQUESTED},
        {PW_M_MAP, PW_EV_MAP_CANCEL_REQUESTED},
        {PW_M_WAIT, PW_EV_WAIT_CANCELED},
    };
    for (size_t i = 0; i < PW_COUNT(how); i++) {
        if (pw_state_machine(cmd->state) != how[i].machine) {
            continue;
        }
        if (!pw_command_note(w->live, how[i].event, cmd, (pw_view){NULL, 0}) &&
            w->live->mismatch != NULL && w->fiber != NULL) {
            pw_fiber_yield(w->fiber); /* abandoned */
        }
        return;
    }
}

static pawl_on_cancel on_cancel_of(const pawl_future *f)
{
    bool activity = f->cmd != NULL && pw_state_machine(f->cmd->state) == PW_M_ACTIVITY;
    return activity ? f->cmd->on_cancel : PAWL_CANCEL_WAIT;
}

static void stop(pawl_run *w, pawl_future *f)
{
    if (f->is_branch) {
        f->branch->stopped = true;
    } else if (on_cancel_of(f) != PAWL_CANCEL_ABANDON) {
        pw_cmd_cancel(w, f->cmd);
    }
}

static bool stopped_all(pawl_run *w, void *arg)
{
    const await_set *set = arg;
    for (size_t i = 0; i < set->len; i++) {
        const pawl_future *f = set->futures[i];
        if (f != NULL && on_cancel_of(f) == PAWL_CANCEL_WAIT && !future_ready(w, f)) {
            return false;
        }
    }
    return true;
}

static void stop_all(pawl_run *w, await_set *set)
{
    set->canceled = true;
    for (size_t i = 0; i < set->len; i++) {
        if (set->futures[i] != NULL && !future_ready(w, set->futures[i])) {
            stop(w, set->futures[i]);
        }
    }
    (void)pw_wait(w, stopped_all, set, false);
}

void pawl_future_cancel(pawl_run *w, pawl_future *future)
{
    if (future == NULL || !pw_mine(w, "pawl_future_cancel", NULL, 0) || pw_blocked(w)) {
        return;
    }
    if (future->is_branch) {
        future->branch->stopped = true;
    } else {
        pw_cmd_cancel(w, future->cmd);
    }
}

/* ---- one ---- */

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

/* ---- several ---- */

static bool all_ready(pawl_run *w, void *arg)
{
    const await_set *set = arg;
    for (size_t i = 0; i < set->len; i++) {
        if (set->futures[i] != NULL && !counts(w, set, set->futures[i])) {
            return false;
        }
    }
    return true;
}

/* Lowest event number first; on a tie (several branches ended after one event) the lower index. */
static int first_of(const pawl_run *w, const await_set *set, bool successes_only)
{
    int found = -1;
    for (size_t i = 0; i < set->len; i++) {
        const pawl_future *f = set->futures[i];
        if (f == NULL || !counts(w, set, f) || (successes_only && f->failure != NULL)) {
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
    if (pw_wait(w, ready, set, true)) {
        return true;
    }
    if (w->fiber != NULL) { /* (a query handler asks nobody to stop) */
        stop_all(w, set);
        if (ready(w, set)) {
            return true; /* it ended all the same: that wins, the next wait fails */
        }
    }
    pw_set_canceled(w);
    return false;
}

static void fail_as(pawl_run *w, const pawl_future *f)
{
    pw_set_failure(w, f->failure,
                   f->cmd != NULL      ? f->cmd->id
                   : f->branch != NULL ? f->branch->failed_cmd
                                       : 0);
}

bool pw_wait_future(pawl_run *w, pawl_future *f)
{
    await_set set = {.futures = &f, .len = 1};
    if (!await_set_of(w, &set, all_ready)) {
        return false;
    }
    w->timed_out = f->timed_out;
    if (f->failure != NULL) {
        fail_as(w, f);
        return false;
    }
    return true;
}

const pawl_value *pawl_await(pawl_run *w, pawl_future *future)
{
    if (future == NULL || !pw_mine(w, "pawl_await", NULL, 0) || !pw_wait_future(w, future)) {
        return NULL;
    }
    return future->value;
}

bool pawl_await_all(pawl_run *w, pawl_future *const *futures, size_t len)
{
    if (!pw_mine(w, "pawl_await_all", NULL, 0)) {
        return false;
    }
    await_set set = {.futures = futures, .len = len};
    if (!await_set_of(w, &set, all_ready)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (futures[i] != NULL && futures[i]->failure != NULL) {
            fail_as(w, futures[i]);
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
    await_set set = {.futures = futures, .len = len};
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
    await_set set = {.futures = futures, .len = len};
    if (len == 0 || !await_set_of(w, &set, success_or_all)) {
        return -1;
    }
    int i = first_of(w, &set, true);
    if (i < 0) {
        const pawl_failure *cause = NULL;
        for (size_t k = 0; k < len && cause == NULL; k++) {
            cause = futures[k] != NULL ? futures[k]->failure : NULL;
        }
        pw_set_failure(w,
                       pw_failure_new(w->live->scope, "AllFailed", "every one of them failed", NULL,
                                      false, cause),
                       0);
    }
    return i;
}
