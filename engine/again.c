/*
 * again.c - what could not be done for want of memory, or because the journal could not be read, is done a second later [E8].
 *
 * Only that something is to be done again is remembered, never what: that stands in the journal (rows), or in the object itself (a run
 * that stalled). So remembering needs no memory. Does not decide what may wait: whoever asks does.
 */
#include "engine/parts.h"

#define AGAIN_NS INT64_C(1000000000)
#define STALLS_MAX 60

static void wait_a_while(pw_core *core)
{
    if (core->again_at_ns == 0) {
        core->again_at_ns = core->env.mono_ns(core->env.ctx) + AGAIN_NS;
    }
}

void pw_again(pw_core *core, unsigned what)
{
    core->again |= what;
    wait_a_while(core);
}

bool pw_live_stall(pw_live *live)
{
    if (++live->stalls > STALLS_MAX) {
        live->stalls = 0;
        return false;
    }
    live->stalled = true;
    wait_a_while(live->core);
    return true;
}

/* Without counting: its turn was not even begun. */
void pw_live_stall_on(pw_live *live)
{
    live->stalled = true;
    wait_a_while(live->core);
}

static void unstall(pw_core *core)
{
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        if (live->stalled) {
            live->stalled = false;
            pw_live_ready(live);
        }
    }
}

static void read_jobs(pw_core *core)
{
    pawl_error err;
    pawl_status st = pw_jobs_recover(core, &err);
    if (st == PAWL_OK) {
        st = pw_maps_recover(core, &err);
    }
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_WARN, "", 0, "tasks cannot be read, it is tried again: %s",
                    err.message);
        pw_again(core, PW_AGAIN_JOBS);
    }
}

void pw_again_step(pw_core *core)
{
    if (core->again_at_ns == 0 || core->env.mono_ns(core->env.ctx) < core->again_at_ns) {
        return;
    }
    unsigned what = core->again;
    core->again_at_ns = 0;
    core->again = 0;
    unstall(core);
    core->queue_dirty = true;
    if ((what & PW_AGAIN_INBOX) != 0) {
        pw_inbox_reset(core);
    }
    if ((what & PW_AGAIN_TIMERS) != 0) {
        pw_timers_reset(core);
    }
    if ((what & PW_AGAIN_OWED) != 0) {
        pw_jobs_owed(core);
    }
    if ((what & PW_AGAIN_JOBS) != 0) {
        read_jobs(core);
    }
}

int64_t pw_again_next(pw_core *core)
{
    if (core->again_at_ns == 0) {
        return -1;
    }
    int64_t ms = (core->again_at_ns - core->env.mono_ns(core->env.ctx)) / 1000000 + 1;
    return ms < 0 ? 0 : ms;
}
