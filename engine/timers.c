/*
 * timers.c - a binary heap of what is due soon. The journal holds every durable timer; memory holds those due within PW_TIMER_WINDOW_MS
 * and the deadlines of attempts. An entry may be stale: whoever it wakes checks. Ties fire in order of (run, command).
 * Does not decide whether a timer still counts: input.c and job.c do.
 */
#include "engine/parts.h"

static bool before(const pw_heap_timer *a, const pw_heap_timer *b)
{
    if (a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms;
    }
    if (a->run != b->run) {
        return a->run < b->run;
    }
    return a->cmd != b->cmd ? a->cmd < b->cmd : a->kind < b->kind;
}

void pw_timer_add(pw_core *core, int64_t due_ms, int64_t run, int64_t cmd, int32_t item,
                  int32_t kind)
{
    if (core->heap_len == core->heap_cap) {
        size_t cap = core->heap_cap == 0 ? 64 : core->heap_cap * 2;
        pw_heap_timer *grown = pw_realloc(core->heap, cap * sizeof *grown);
        if (grown == NULL) { /* it stands in the journal, or with its job */
            pw_again(core, PW_AGAIN_TIMERS);
            return;
        }
        core->heap = grown;
        core->heap_cap = cap;
    }
    pw_heap_timer t = {due_ms, run, cmd, item, kind};
    size_t i = core->heap_len++;
    while (i > 0 && before(&t, &core->heap[(i - 1) / 2])) {
        core->heap[i] = core->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    core->heap[i] = t;
}

static pw_heap_timer pop(pw_core *core)
{
    pw_heap_timer top = core->heap[0];
    pw_heap_timer last = core->heap[--core->heap_len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= core->heap_len) {
            break;
        }
        if (child + 1 < core->heap_len && before(&core->heap[child + 1], &core->heap[child])) {
            child++;
        }
        if (!before(&core->heap[child], &last)) {
            break;
        }
        core->heap[i] = core->heap[child];
        i = child;
    }
    if (core->heap_len > 0) {
        core->heap[i] = last;
    }
    return top;
}

/* A timer that has landed: memory keeps it only if it is due before the next look into the journal. */
void pw_timer_landed(pw_core *core, const pw_timer_row *row)
{
    if (row->due_ms <= core->horizon_ms) {
        pw_timer_add(core, row->due_ms, row->run, row->cmd, 0, row->kind);
    }
}

static bool load_row(void *ctx, const pw_timer_row *row)
{
    pw_core *core = ctx;
    if (row->due_ms > core->horizon_ms || core->horizon_ms == 0) {
        pw_timer_add(core, row->due_ms, row->run, row->cmd, 0, row->kind);
    }
    return true;
}

static void extend_horizon(pw_core *core)
{
    int64_t now = pw_core_now(core);
    if (!core->recovered || core->horizon_ms > now + PW_TIMER_WINDOW_MS / 2 ||
        (core->again & PW_AGAIN_TIMERS) != 0) {
        return; /* pw_timers_next says when */
    }
    int64_t until = now + PW_TIMER_WINDOW_MS;
    pw_timer_row after = {
        .due_ms = core->horizon_ms, .run = INT64_MAX, .cmd = INT64_MAX, .kind = INT32_MAX};
    pawl_error err;
    pawl_status st = core->jops->timers(core->reader, until, core->horizon_ms > 0 ? &after : NULL,
                                        0, load_row, core, &err);
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", 0, "timers cannot be read, it is tried again: %s",
                    err.message);
        pw_again(core, PW_AGAIN_TIMERS);
        return;
    }
    core->horizon_ms = until;
}

static void fire(pw_core *core, const pw_heap_timer *t)
{
    if (t->kind == PW_T_JOB) {
        pw_job *job = pw_job_find(core, (pw_job_key){t->run, t->cmd, t->item});
        if (job != NULL) {
            pw_job_timer(core, job);
        }
        return;
    }
    pw_live *live;
    pawl_error err;
    pawl_status st = pw_live_open_key(core, t->run, &live, &err);
    if (st == PAWL_NOTFOUND) {
        return;
    }
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", t->cmd,
                    "a timer cannot be delivered, it is tried again: %s", err.message);
        pw_again(core, PW_AGAIN_TIMERS);
        return;
    }
    pw_input *in = pw_input_new(PW_IN_TIMER);
    if (in == NULL) {
        pw_again(core, PW_AGAIN_TIMERS);
        return;
    }
    in->cmd = t->cmd;
    in->due_ms = t->due_ms;
    in->timer_kind = t->kind;
    pw_live_input(live, in);
}

void pw_timers_fire(pw_core *core)
{
    if (core->shutdown || core->failed) {
        return;
    }
    extend_horizon(core);
    int64_t now = pw_core_now(core);
    size_t budget = PW_GROUP_OPS_MAX / 4;
    while (core->heap_len > 0 && core->heap[0].due_ms <= now && budget-- > 0) {
        pw_heap_timer t = pop(core);
        fire(core, &t);
    }
}

int64_t pw_timers_next(pw_core *core)
{
    int64_t now = pw_core_now(core);
    bool looks = core->recovered && (core->again & PW_AGAIN_TIMERS) == 0;
    int64_t look = looks ? core->horizon_ms - PW_TIMER_WINDOW_MS / 2 - now : -1;
    if (looks && look < 0) {
        look = 0;
    }
    if (core->heap_len == 0) {
        return look;
    }
    int64_t due = core->heap[0].due_ms - now;
    due = due < 0 ? 0 : due;
    return look >= 0 && look < due ? look : due;
}

static bool rescan_row(void *ctx, const pw_timer_row *row)
{
    pw_core *core = ctx;
    if (row->due_ms <= core->horizon_ms) {
        pw_timer_add(core, row->due_ms, row->run, row->cmd, 0, row->kind);
    }
    return true;
}

void pw_timers_rescan_run(pw_core *core, int64_t run)
{
    pawl_error err;
    if (core->jops->run_timers(core->reader, run, rescan_row, core, &err) != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", 0, "timers cannot be read, it is tried again: %s",
                    err.message);
        pw_again(core, PW_AGAIN_TIMERS);
    }
}

/* After a group that did not land, or a clock that jumped: what is in memory is thrown away and read again. */
void pw_timers_reset(pw_core *core)
{
    core->heap_len = 0;
    core->horizon_ms = 0;
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        pw_job_timers(core, job);
    }
}
