/*
 * publish.c - what happens after an ack, and only then [E1]: replies, dispatches, timers in memory, watch events; and what happens when a
 * group did not land: the runs in it are rebuilt from the journal, their inputs come again.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/parts.h"
#include "engine/queue.h"
#include "engine/requests.h"
#include "engine/stream.h"

/* ---- replies ---- */

void pw_reply_now(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err,
                  pw_view body)
{
    if (rq == NULL) {
        return;
    }
    pawl_error nomem;
    if (status == PAWL_OK && pw_scope_failed(rq->scope) &&
        pw_req_kind(rq->op) != PW_REQ_WRITE) { /* the answer was built in it */
        err = &nomem;
        body = (pw_view){NULL, 0};
        status = pw_err(&nomem, PAWL_NOMEM, "no memory for the answer");
    }
    pw_request_release(core, rq);
    if (rq->reply != NULL) {
        rq->reply(rq, status, body, err, false);
    }
    pw_request_free(rq);
}

/* ---- watchers ---- */

bool pw_watches(const pw_watcher *w, const pw_live *live)
{
    return w->id == NULL || (w->id_sum == live->id_sum && strcmp(w->id, live->id) == 0);
}

/* False: no memory for it. */
static bool watch_event(const pw_watcher *w, const pw_live *live, const pw_event *ev,
                        int64_t now_ms)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return false;
    }
    const pawl_value *v = pw_value_copy(scope, ev->body.data, ev->body.size);
    v = pawl_with(scope, v, "id", pawl_make_str(scope, live->id));
    v = pawl_with(scope, v, "seq", pawl_make_int(scope, ev->seq));
    v = pawl_with(scope, v, "time_ms", pawl_make_int(scope, now_ms));
    v = pawl_with(scope, v, "type", pawl_make_str(scope, pw_event_name((int)ev->type)));
    v = pawl_with(scope, v, "command", pawl_make_int(scope, ev->cmd));
    bool ok = !pw_scope_failed(scope);
    if (ok) {
        w->rq->reply(w->rq, PAWL_OK, pw_value_bytes(v), NULL, true);
    }
    pawl_scope_free(scope);
    return ok;
}

static bool watch_record(const pw_watcher *w, const pw_live *live, int64_t first_seq,
                         pw_view record)
{
    pw_record rec;
    pawl_error err;
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return true;
    }
    pw_event ev = {.seq = first_seq};
    while (pw_record_next(&rec, &ev)) {
        if (!watch_event(w, live, &ev, rec.now_ms)) {
            return false;
        }
        ev.seq++;
    }
    return true;
}

static void watch_ends(pw_core *core, pw_watcher *w, const pawl_error *err)
{
    DL_DELETE(core->watchers, w);
    pw_reply_now(core, w->rq, err->status, err, (pw_view){NULL, 0});
    pw_free(w);
}

static void watch_lost(pw_core *core, const pw_live *live, const pawl_error *err)
{
    pw_watcher *w, *next;
    DL_FOREACH_SAFE (core->watchers, w, next) {
        if (pw_watches(w, live)) {
            watch_ends(core, w, err);
        }
    }
}

/* A watch with a gap would be a lie: one that there is no memory for ends, and its client asks again. */
void pw_publish_watch(pw_core *core, pw_live *live, int64_t first_seq, pw_view record)
{
    pw_watcher *w, *next;
    DL_FOREACH_SAFE (core->watchers, w, next) {
        if (!pw_watches(w, live) || watch_record(w, live, first_seq, record)) {
            continue;
        }
        pawl_error err;
        (void)pw_err(&err, PAWL_NOMEM, "no memory for an event; watch again");
        watch_ends(core, w, &err);
    }
}

/* ---- one publication ---- */

/* Without memory its row is read in a second, as after a restart. */
static pw_job *job_of(pw_core *core, const pw_publish *p)
{
    pw_job *job = pw_job_new(core, p->job, p->live->id, p->body, NULL);
    if (job == NULL) {
        pw_again(core, PW_AGAIN_JOBS);
    }
    return job;
}

static void pub_job(pw_core *core, const pw_publish *p)
{
    if (!pw_live_open_status(p->live) || pw_job_find(core, p->job) != NULL) {
        return;
    }
    const pw_cmd *cmd = p->live->whole ? pw_cmd_find(p->live, p->job.cmd) : NULL;
    if (cmd != NULL && cmd->future.done) {
        return;
    }
    pw_job *job = job_of(core, p);
    if (job != NULL) {
        job->attempt = p->attempt;
        pw_job_queue(core, job);
    }
}

/* A retried run may ask about an attempt whose job was dropped when it closed. */
static void pub_unknown(pw_core *core, const pw_publish *p)
{
    pw_job *job = pw_job_find(core, p->job);
    if (job != NULL && job->cancel_requested &&
        job->state == PW_JOB_UNKNOWN) { /* nobody is asked about what is to stop */
        pw_job_cancel(core, job);
    }
    if (!pw_live_open_status(p->live) || job != NULL) {
        return;
    }
    job = job_of(core, p);
    if (job != NULL) {
        job->attempt = p->attempt;
        job->state = PW_JOB_UNKNOWN;
        job->asked = true;
    }
}

static void pub_booked(pw_core *core, const pw_publish *p)
{
    pw_job *job = pw_job_find(core, p->job);
    if (job == NULL || job->attempt != p->attempt) {
        return;
    }
    pw_booking_begun(core, p->job);
    pw_job_booked(core, job, true);
}

/* The job of a step that is held, or was. A retried run may have none. */
static void pub_budget(pw_core *core, const pw_publish *p)
{
    if (p->kind == PW_PUB_BOOKED) {
        pub_booked(core, p);
        return;
    }
    if (!pw_live_open_status(p->live)) {
        return;
    }
    pw_map *map = pw_map_find(core, p->job);
    if (map != NULL) {
        pw_map_funded(core, map, p->kind == PW_PUB_SHORT);
        return;
    }
    pw_job *job = pw_job_find(core, p->job);
    bool fresh = job == NULL;
    job = fresh ? job_of(core, p) : job;
    if (job == NULL) {
        return;
    }
    if (fresh) {
        job->attempt = p->attempt;
        job->state = PW_JOB_SHORT;
    }
    if (p->kind == PW_PUB_SHORT) {
        pw_job_short(core, job, p->asks);
    } else {
        pw_job_funded(core, job);
    }
}

static void pub_drop(pw_core *core, const pw_publish *p)
{
    pw_job *job = pw_job_find(core, p->job);
    if (job != NULL) {
        pw_job_free(core, job);
    }
    pw_map *map = pw_map_find(core, p->job);
    if (map != NULL) {
        pw_map_drop(core, map);
    }
}

static void hold(pw_core *core, int64_t run, bool on)
{
    pw_jobs_hold(core, run, on);
    pw_maps_hold(core, run, on);
    if (!on) {
        pw_timers_rescan_run(core, run);
    }
}

static void pub_reply(pw_core *core, const pw_publish *p)
{
    if (p->live != NULL) { /* a start that is followed */
        pw_request_started(core, p->rq, p->live, p->body);
    } else {
        pw_reply_now(core, p->rq, p->status, p->status == PAWL_OK ? NULL : &p->error, p->body);
    }
}

static void publish_one(pw_core *core, pw_publish *p)
{
    pw_job *job;
    pw_map *map;
    switch (p->kind) {
    case PW_PUB_REPLY:
        pub_reply(core, p);
        break;
    case PW_PUB_JOB:
        pub_job(core, p);
        break;
    case PW_PUB_SENT:
        job = pw_job_find(core, p->job);
        if (job != NULL) {
            pw_job_sent(core, job);
        }
        break;
    case PW_PUB_UNKNOWN:
        pub_unknown(core, p);
        break;
    case PW_PUB_RETRY:
        job = pw_job_find(core, p->job);
        job = job != NULL ? job : job_of(core, p);
        if (job != NULL) {
            pw_job_retry(core, job, p->attempt, p->due_ms);
        }
        break;
    case PW_PUB_TIMER:
        pw_timer_landed(core, &p->timer);
        break;
    case PW_PUB_CANCEL_JOB:
        job = pw_job_find(core, p->job);
        if (job != NULL) {
            pw_job_cancel(core, job);
        }
        break;
    case PW_PUB_MAP:
        pw_map_begin(core, p);
        break;
    case PW_PUB_PAGES:
        pw_map_landed(core, p->job, true);
        break;
    case PW_PUB_CANCEL_MAP:
        map = pw_map_find(core, p->job);
        if (map != NULL) {
            pw_map_cancel(core, map);
        }
        break;
    case PW_PUB_DROP_JOB:
        pub_drop(core, p);
        break;
    case PW_PUB_BOOKED:
    case PW_PUB_SHORT:
    case PW_PUB_FUNDED:
        pub_budget(core, p);
        break;
    case PW_PUB_INBOX:
        core->inbox_dirty = true;
        break;
    case PW_PUB_HOLD:
    case PW_PUB_UNHOLD:
        hold(core, p->job.run, p->kind == PW_PUB_HOLD);
        break;
    case PW_PUB_QUEUE:
        pw_queue_landed(core, p->body);
        break;
    case PW_PUB_NOTHING:
        break;
    }
}

/* ---- runs thaw ---- */

typedef struct landed_record {
    pw_core *core;
    pw_live *live;
    int64_t from;
} landed_record;

static bool watch_stored(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    const landed_record *l = ctx;
    if (first_seq + 1 >= l->from) {
        pw_publish_watch(l->core, l->live, first_seq + 1, record);
    }
    return true;
}

/* The record of a transactional step was made by the journal's thread: it is read back. */
static void watch_landed(pw_core *core, pw_live *live, int64_t first_seq)
{
    landed_record l = {core, live, first_seq};
    pawl_error err;
    pawl_status st =
        core->jops->read(core->reader, live->key, first_seq - 1, watch_stored, &l, &err);
    if (st != PAWL_OK) {
        watch_lost(core, live, &err);
    }
}

static void thaw(pw_core *core, const pw_turn_op *turn)
{
    pw_live *live = pw_live_find(core, turn->run);
    if (live == NULL || !live->frozen) {
        return;
    }
    live->frozen = false;
    live->stalls = 0;
    int64_t first_seq = live->row.seq + 1;
    pw_run_row row = turn->row;
    row.id = live->row.id;
    row.workflow = live->row.workflow;
    row.version = live->row.version;
    row.traceparent = live->row.traceparent;
    row.seq = live->row.seq + turn->events;
    memcpy(row.chain, turn->chain_next, PW_DIGEST_SIZE);
    bool progressed = row.progress_done != live->landed.progress_done ||
                      row.progress_total != live->landed.progress_total ||
                      !pw_view_eq(row.progress_text, live->landed.progress_text);
    live->created = false;
    bool whole = live->tx == NULL || pw_tx_landed(live);
    live->row = row;
    live->landed = row;
    if (!whole) { /* no memory for what has landed: it is read back when it is needed */
        pw_live_reset(live);
    }
    PW_CHECK(live->seq == row.seq || live->mismatch != NULL);
    if (core->watchers != NULL && progressed) {
        pw_stream_progress(core, live, &row);
    }
    if (core->watchers != NULL && turn->record.size > 0) {
        pw_publish_watch(core, live, first_seq, turn->record);
    } else if (core->watchers != NULL) {
        watch_landed(core, live, first_seq);
    }
}

static void crash_counted(pw_core *core, const pw_run_row *row)
{
    pw_live *live = pw_live_find(core, row->key);
    if (live != NULL) {
        core->crashes_owed -= live->crash_owed ? 1 : 0;
        live->frozen = false;
        live->crash_owed = false;
        live->stalls = 0;
        live->row.crashes = live->landed.crashes = row->crashes;
    }
    if (core->crashes_owed == 0) {
        pw_recover_ready(core);
        pw_timers_reset(core); /* what came due meanwhile could not be taken */
    }
}

static void after_thaw(pw_core *core, int64_t key)
{
    pw_live *live = pw_live_find(core, key);
    if (live == NULL || live->frozen) {
        return;
    }
    if (!pw_live_open_status(live)) {
        pw_waiters_check(core, live);
    }
    if (live->mismatch != NULL && live->state == PW_S_RUN_PAUSED) {
        pw_live_reset(
            live); /* the report is in the journal; the next resume tries the code again */
    }
    if (live->queries != NULL) {
        pw_queries_run(live);
    }
    bool go_on = live->kick && live->state == PW_S_RUN_RUNNING && live->def != NULL;
    if (live->inputs != NULL || go_on || pw_live_crashed(live)) {
        pw_live_ready(live);
    }
    pw_live_touch(live);
}

void pw_publish_batch(pw_core *core, pw_batch *b)
{
    for (size_t i = 0; i < b->group.len; i++) {
        const pw_op *op = &b->group.ops[i];
        if (op->type == PW_OP_TURN) {
            thaw(core, &op->u.turn);
        } else if (op->type == PW_OP_RUN_CRASHES) {
            crash_counted(core, &op->u.run);
        }
    }
    for (pw_publish *p = b->publish; p != NULL; p = p->next) {
        publish_one(core, p);
    }
    while (b->inputs != NULL) {
        pw_input *in = b->inputs;
        DL_DELETE(b->inputs, in);
        pw_input_free(core, in);
    }
    for (size_t i = 0; i < b->group.len; i++) {
        const pw_op *op = &b->group.ops[i];
        if (op->type == PW_OP_TURN || op->type == PW_OP_RUN_CRASHES) {
            after_thaw(core, op->type == PW_OP_TURN ? op->u.turn.run : op->u.run.key);
        }
    }
}

/* ---- a group that did not land [E6] ---- */

void pw_input_again(pw_core *core, pw_input *in)
{
    pw_live *live;
    pawl_error err;
    bool again = (in->report != NULL && !PW_BUG_LOST_REPORT_ON_FAILED_GROUP) ||
                 in->kind == PW_IN_SENT || in->kind == PW_IN_UNKNOWN ||
                 in->kind == PW_IN_MAP_DONE || in->kind == PW_IN_ROOM ||
                 (in->kind == PW_IN_TIMER && !PW_BUG_TIMER_NOT_REARMED);
    if (!again || pw_live_open_key(core, in->run, &live, &err) != PAWL_OK) {
        pw_input_free(core, in);
        return;
    }
    in->prev = in->next = NULL;
    pw_live_input(live, in);
}

/* A run that never came to be: who asked about it asks again, and hears of the run before it or that there is none. */
void pw_publish_never_was(pw_core *core, pw_live *live)
{
    while (live->inputs != NULL) {
        pw_input *in = live->inputs;
        DL_DELETE(live->inputs, in);
        pw_input_free(core, in);
    }
    while (live->queries != NULL) {
        pw_request *rq = live->queries;
        live->queries = rq->next;
        pw_core_retry_later(core, rq);
    }
    pw_waiter *w, *next;
    pw_waiter **list = pw_waiters_of(core, live->key);
    DL_FOREACH_SAFE (*list, w, next) {
        if (w->run_key == live->key) {
            DL_DELETE(*list, w);
            pw_core_retry_later(core, w->rq);
            pw_free(w);
        }
    }
    pw_live_free(live);
}

static void rebuild(pw_core *core, pw_batch *b)
{
    for (size_t i = 0; i < b->lives_len; i++) {
        pw_live *live = b->lives[i];
        live->frozen = false;
        if (live->created) {
            pw_publish_never_was(core, live);
            b->lives[i] = NULL;
            continue;
        }
        live->retry_from = 0;
        pw_live_reset(live);
        if (live->inputs != NULL || live->queries != NULL || live->kick || live->crash_owed) {
            pw_live_ready(live);
        }
    }
}

static void unpublish(pw_core *core, pw_batch *b, pawl_status status)
{
    for (pw_publish *p = b->publish; p != NULL; p = p->next) {
        if (p->kind == PW_PUB_REPLY) {
            pawl_error err = b->group.error;
            err.status = status;
            pw_reply_now(core, p->rq, status, &err, (pw_view){NULL, 0});
        } else if (p->kind == PW_PUB_PAGES) {
            pw_map_landed(core, p->job, false);
        } else if (p->kind == PW_PUB_BOOKED && pw_job_find(core, p->job) != NULL) {
            pw_job_booked(core, pw_job_find(core, p->job), false);
        }
    }
}

void pw_publish_failed(pw_core *core, pw_batch *b, pawl_status status)
{
    core->stats.failed_groups++;
    pw_budget_undo(b, 0);
    rebuild(core, b);
    unpublish(core, b, status);
    while (b->inputs != NULL) {
        pw_input *in = b->inputs;
        DL_DELETE(b->inputs, in);
        pw_input_again(core, in);
    }
    if (!PW_BUG_LOST_SIGNAL_ON_FAILED_GROUP) {
        pw_inbox_reset(core);
    }
}

/* Landed after all, and read back: what an ack would have said is true, and memory holds what the journal holds. */
void pw_publish_resolved(pw_core *core, pw_batch *b)
{
    pw_publish_batch(core, b);
}
