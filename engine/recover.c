/*
 * recover.c - after opening: tasks, maps, the inbox, runs whose code can go on, and the run that crashed its process.
 *
 * Nothing of the last owner's memory is needed: rows and records say all. The scan of open runs goes in pages between steps.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/job.h"

/* ---- tasks ---- */

typedef struct recover_tasks {
    pw_core *core;
    pawl_status status;
    pawl_error *err;
} recover_tasks;

static bool see_wait(void *ctx, const pw_wait_row *row)
{
    int64_t *cmd = ctx;
    *cmd = row->cmd == *cmd ? 0 : *cmd;
    return *cmd != 0;
}

static bool asks(pw_core *core, const pw_task_row *row)
{
    int64_t cmd = row->cmd;
    pawl_error err;
    return core->jops->waits(core->reader, row->run, see_wait, &cmd, &err) != PAWL_OK || cmd == 0;
}

/* What it set aside was in use when the last process ended, or it set aside nothing. */
static bool was_cut(pw_core *core, const pw_job *job)
{
    const pw_booking *k = pw_booking_find(core, job->key);
    return k == NULL || k->begun || k->attempt != job->attempt;
}

static void place(pw_core *core, pw_job *job, const pw_task_row *row)
{
    int state = row->state & (PW_TASK_READ_BACK - 1);
    job->read_back = (row->state & PW_TASK_READ_BACK) != 0;
    if (state == PW_TASK_SENT) {
        if (PW_BUG_RESEND_UNKNOWN) {
            pw_job_queue(core, job);
            return;
        }
        pw_job_unknown(core, job, false);
    } else if (state == PW_TASK_UNKNOWN) {
        job->state = PW_JOB_UNKNOWN;
        job->asked = true;
    } else if (state == PW_TASK_SHORT) {
        job->state = PW_JOB_SHORT;
        job->asked = asks(core, row);
    } else if (job->reserves && was_cut(core, job)) { /* nobody knows what it used */
        job->state = PW_JOB_SHORT;
        job->again = true;
        pw_job_tell(core, job, PW_IN_ROOM, NULL);
    } else {
        pw_job_queue(core, job);
    }
}

static bool recover_task(void *ctx, const pw_task_row *row)
{
    recover_tasks *r = ctx;
    pw_core *core = r->core;
    pw_job_key key = {row->run, row->cmd, 0};
    if (pw_job_find(core, key) != NULL) {
        return true;
    }
    pw_live *live;
    r->status = pw_live_open_key(core, row->run, &live, r->err);
    if (r->status != PAWL_OK) {
        return false;
    }
    if (live->row.status == PW_RUN_PAUSED) { /* as committed: a turn in flight may not land */
        pw_jobs_hold(core, row->run, true);
    }
    pw_job *job = pw_job_new(core, key, live->id, row->body, NULL);
    if (job == NULL) {
        r->status = pw_err(r->err, PAWL_NOMEM, "no memory for a task, or no answer of the journal");
        return false;
    }
    job->attempt = row->attempt;
    job->attempts_free = row->state >> PW_TASK_FREE_SHIFT;
    job->due_ms = row->due_ms;
    job->scheduled_ms = row->scheduled_ms;
    if (row->detail.size > 0) {
        const void *detail = pw_memdup(job->scope, row->detail.data, row->detail.size);
        job->detail = (pw_view){detail, detail != NULL ? row->detail.size : 0};
    }
    job->may_have = row->due_ms <= pw_core_now(core);
    place(core, job, row);
    if ((row->state & PW_TASK_CANCELING) != 0 && !PW_BUG_CANCELED_RESTARTED) {
        pw_job_cancel(core, job);
    }
    return true;
}

pawl_status pw_jobs_recover(pw_core *core, pawl_error *err)
{
    recover_tasks r = {.core = core, .status = PAWL_OK, .err = err};
    pawl_status st = core->jops->tasks(core->reader, 0, recover_task, &r, err);
    return st == PAWL_OK ? r.status : st;
}

/* ---- runs that can go on: their row waits for nothing ---- */

typedef struct scan_page {
    pw_core *core;
    size_t rows;
    bool full; /* no memory for a run of it */
} scan_page;

static bool scan_row(void *ctx, const pw_run_row *row)
{
    scan_page *p = ctx;
    p->rows++;
    bool crashed = row->status == PW_RUN_RUNNING &&
                   row->crashes >= PW_CRASHES_MAX; /* and died again before it was paused */
    bool goes_on = pw_row_goes_on(row, pw_def_find(p->core, row->workflow, row->version));
    if ((crashed || goes_on) && pw_live_find(p->core, row->key) == NULL) {
        pw_live *live = pw_live_new(p->core, row);
        p->full = live == NULL;
        if (live == NULL) {
            return false; /* the scan goes on with it */
        }
        live->kick = true;
        pw_live_ready(live);
    }
    p->core->scan_before = row->key;
    return true;
}

void pw_recover_ready(pw_core *core)
{
    pw_live *live, *next;
    HASH_ITER (hh, core->runs, live, next) {
        if ((live->kick || pw_live_crashed(live)) && !live->frozen &&
            live->state == PW_S_RUN_RUNNING) {
            pw_live_ready(live);
        }
    }
}

bool pw_recover_scanning(const pw_core *core)
{
    return core->scan_before != 0 && (core->again & PW_AGAIN_SCAN) == 0;
}

void pw_recover_scan(pw_core *core)
{
    if (!pw_recover_scanning(core) || core->shutdown || core->failed) {
        return;
    }
    pw_scan scan = {
        .before_key = core->scan_before, .open_only = true, .rows_max = PW_PAGE_ROWS_MAX};
    scan_page page = {.core = core};
    pawl_error err;
    pawl_status st = core->jops->run_scan(core->reader, &scan, scan_row, &page, &err);
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", 0, "open runs cannot be read, it is tried again: %s",
                    err.message);
        pw_again(core, PW_AGAIN_SCAN);
    } else if (page.full) {
        pw_again(core, PW_AGAIN_SCAN);
    } else if (page.rows < PW_PAGE_ROWS_MAX) {
        core->scan_before = 0;
        pw_recover_ready(core);
    }
}

/* ---- a run that ended the last process ---- */

/* [E7] Frozen until the count has landed: were its code to run before, a process that dies in it every time would never count. */
void pw_recover_count(pw_live *live, pw_batch *b)
{
    pw_batch_mark mark = pw_batch_mark_of(b);
    pw_op *op = pw_batch_op(b, PW_OP_RUN_CRASHES);
    op->u.run = live->row;
    op->u.run.crashes++;
    if (pw_batch_lost(b) || !pw_batch_hold(b, live)) {
        pw_batch_undo(b, &mark);
        pw_live_stall_on(live);
    }
}

static bool take_crashes(void *ctx, const pw_run_row *row)
{
    *(pw_run_row *)ctx =
        (pw_run_row){.key = row->key, .status = row->status, .crashes = row->crashes};
    return false;
}

static pawl_status count_open(pw_core *core, int64_t run, pw_batch *b, pawl_error *err)
{
    pw_live *live;
    pawl_status st = pw_live_open_key(core, run, &live, err);
    if (st != PAWL_OK || live->crash_owed) { /* (found twice: it is one crash) */
        return st;
    }
    live->crash_owed = !PW_BUG_CRASH_COUNT_LOST;
    pw_recover_count(live, b);
    return PAWL_OK;
}

/* A query runs the code of a closed run too; that one is not brought into memory, it may not be the newest of its id. */
static pawl_status count_one(pw_core *core, int64_t run, const char *site, pawl_error *err)
{
    pw_run_row row = {0};
    pawl_status st = core->jops->run_get(core->reader, run, take_crashes, &row, err);
    if (st == PAWL_NOTFOUND || (st == PAWL_OK && row.key == 0)) {
        return PAWL_OK;
    }
    pw_batch *b = st == PAWL_OK ? pw_batch_get(core) : NULL;
    if (b == NULL) {
        return st != PAWL_OK ? st : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pw_core_log(core, PAWL_WARN, "", 0,
                "the last process ended inside the code of a run (%s), time %lld", site,
                (long long)row.crashes + 1);
    if (pw_run_status_is_open(row.status)) {
        return count_open(core, run, b, err);
    }
    row.crashes++;
    pw_batch_op(b, PW_OP_RUN_CRASHES)->u.run = row;
    return pw_batch_lost(b) ? pw_err(err, PAWL_NOMEM, "out of memory") : PAWL_OK;
}

pawl_status pw_recover_crumb(pw_core *core, pawl_error *err)
{
    const pw_crumb_found *found = &core->options.crumb_found;
    pawl_status st = found->run != 0 ? count_one(core, found->run, found->site, err) : PAWL_OK;
    if (st == PAWL_OK && found->tx_run != 0) {
        st = count_one(core, found->tx_run, found->tx_site, err);
    }
    return st;
}

/* ---- attempts that had begun in the last process ---- */

static bool is_over(pw_core *core, const pw_crumb_task *t, const pw_job *job)
{
    if (job != NULL) {
        return pw_job_token(core, job).attempt != t->attempt || job->state == PW_JOB_UNKNOWN;
    }
    return t->item == 0 || pw_map_find(core, (pw_job_key){t->run, t->cmd, 0}) == NULL;
}

/* Removed when it is given: its end, and the number of the next attempt, land before that begins. */
pw_job *pw_recover_begun(pw_core *core)
{
    pw_crumb_found *found = &core->options.crumb_found;
    for (size_t i = found->tasks_len; i > 0; i--) {
        pw_crumb_task t = found->tasks[i - 1];
        pw_job *job = pw_job_find(core, (pw_job_key){t.run, t.cmd, t.item});
        bool over = is_over(core, &t, job);
        bool queued = job != NULL && job->state == PW_JOB_QUEUED;
        if (over || queued) {
            found->tasks[i - 1] = found->tasks[--found->tasks_len];
        }
        if (!over && queued) {
            return job;
        }
    }
    return NULL;
}
