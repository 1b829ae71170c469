/*
 * scarce.c - the disk is full and its ballast is given up: what that gave is for ending things, so nothing new is begun until the
 * ballast is back [E9]. No start, signal or retry is taken, no posted request read, no timer fired, no attempt made, no run goes on by
 * itself; pausing, cancelling, terminating and answering work, and what running activities bring is kept.
 *
 * The ballast is given up and taken back by the journal's thread, which knows the disk. Does not look at the disk.
 */
#include "engine/parts.h"

static void begun_again(pw_core *core)
{
    core->queue_dirty = true;
    core->inbox_dirty = true;
    pw_maps_room(core);
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        if (live->held) {
            live->held = false;
            pw_live_ready(live);
        }
    }
}

void pw_scarce_step(pw_core *core)
{
    bool now = core->env.scarce != NULL && core->env.scarce(core->env.ctx);
    if (now == core->scarce) {
        return;
    }
    core->scarce = now;
    if (now) {
        pw_core_log(
            core, PAWL_WARN, "", 0,
            "the disk is full: nothing new is begun until %u MiB of it are free; pause, cancel, terminate and "
            "answer work",
            2 * PW_BALLAST_BYTES >> 20);
        return;
    }
    pw_core_log(core, PAWL_INFO, "", 0, "the disk has room again");
    begun_again(core);
}

bool pw_scarce_holds(pw_live *live)
{
    bool holds = live->core->scarce && live->inputs == NULL && live->queries == NULL;
    live->held |= holds;
    return holds;
}

bool pw_scarce_refuses(pw_core *core, pw_request *rq)
{
    bool begins = rq->op == PW_REQ_START || rq->op == PW_REQ_SIGNAL || rq->op == PW_REQ_RETRY;
    if (!core->scarce || !begins || rq->inbox_id != 0) {
        return false;
    }
    pawl_error err;
    (void)pw_err(
        &err, PAWL_NOSPACE,
        "the disk that holds %s is full, and nothing new is begun until %u MiB of it are free",
        core->options.journal_path, 2 * PW_BALLAST_BYTES >> 20);
    pw_reply_now(core, rq, PAWL_NOSPACE, &err, (pw_view){NULL, 0});
    return true;
}
