/*
 * request_result.c - who waits for the end of a run, who follows what it does, and a start that is answered with how far its run has come.
 *
 *   result                    a waiter, until the run closes; with {wait: false} TIMEOUT at once while it is open
 *   watch                     a watcher, until it is taken back or its client goes
 *   start {follow: true}      answered once, after its commit: with the run's end when its first turn was its last; else the request becomes
 *                             a watcher, and nothing of the run is missed: what it said so far stands in the answer
 *
 * Does not change a run and writes nothing.
 */
#include <string.h>

#include "engine/requests.h"
#include "engine/stream.h"
#include "sdk/base/hash.h"

/* ---- results ---- */

typedef struct last_event {
    pw_core *core;
    pawl_scope *scope;
    pw_event ev;
    int64_t seq;
    pw_view record;
} last_event;

static bool find_end(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    last_event *last = ctx;
    pw_record rec;
    pawl_error err;
    void *copy = pw_memdup(last->scope, record.data, record.size);
    if (copy == NULL || pw_record_open(copy, record.size, &rec, &err) != PAWL_OK) {
        return true;
    }
    pw_event ev = {.seq = first_seq + 1};
    while (pw_record_next(&rec, &ev)) {
        if (ev.type >= PW_EV_RUN_COMPLETED && ev.type <= PW_EV_RUN_TIMED_OUT) {
            last->ev = ev;
        }
        ev.seq++;
    }
    return true;
}

/* What its code returned, as it was written: the run need not be read back. */
static bool put_returned(pw_buf *out, const pw_live *live)
{
    bool returned = live->whole && live->def->folded.apply == NULL &&
                    live->row.status == PW_RUN_COMPLETED && live->closing &&
                    live->final_failure == NULL;
    if (!returned) {
        return false;
    }
    pw_mp_map(out, 3);
    pw_mp_str(out, "id");
    pw_mp_str(out, live->id);
    pw_mp_str(out, "status");
    pw_mp_str(out, pw_run_status_name(live->row.status));
    pw_mp_str(out, "result");
    pw_mp_value(out, live->result);
    return pw_buf_ok(out);
}

static pawl_status read_end(pw_core *core, pawl_scope *scope, const pw_live *live,
                            const pawl_value **ret_end, pawl_error *err)
{
    last_event last = {.core = core, .scope = scope};
    int64_t from = live->row.seq > 2 ? live->row.seq - 2 : 0;
    pawl_status st = core->jops->read(core->reader, live->key, from, find_end, &last, err);
    if (st != PAWL_OK) {
        return st;
    }
    const pawl_value *failure = pw_body_value(core, scope, last.ev.body, "failure");
    if (failure == NULL && live->row.status != PW_RUN_COMPLETED) {
        failure = pawl_build(scope, "{type: %s, message: %s}",
                             live->row.status == PW_RUN_TERMINATED ? "Terminated" : "Timeout",
                             pw_body_str(scope, last.ev.body, "reason", ""));
    }
    const pawl_value *v =
        pawl_build(scope, "{id: %s, status: %s}", live->id, pw_run_status_name(live->row.status));
    *ret_end = failure != NULL ? pawl_with(scope, v, "failure", failure)
                               : pawl_with(scope, v, "result",
                                           pw_body_value(core, scope, last.ev.body, "result"));
    return PAWL_OK;
}

static void reply_result(pw_core *core, pw_request *rq, const pw_live *live)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    const pawl_value *end = NULL;
    pawl_error err;
    if (put_returned(&b, live)) {
        pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
        return;
    }
    pawl_status st = read_end(core, rq->scope, live, &end, &err);
    pw_reply_now(core, rq, st, st == PAWL_OK ? NULL : &err,
                 st == PAWL_OK ? pw_value_bytes(end) : (pw_view){NULL, 0});
}

pw_waiter **pw_waiters_of(pw_core *core, int64_t run_key)
{
    return &core->waiters[(uint64_t)run_key % PW_WAITER_LISTS];
}

static void add_waiter(pw_core *core, pw_waiter *w, int64_t run_key)
{
    pw_waiter **list = pw_waiters_of(core, run_key);
    w->run_key = run_key;
    DL_APPEND(*list, w);
}

void pw_waiters_check(pw_core *core, pw_live *live)
{
    pw_waiter **list = pw_waiters_of(core, live->key);
    pw_waiter *w, *next;
    DL_FOREACH_SAFE (*list, w, next) {
        if (w->run_key != live->key) {
            continue;
        }
        DL_DELETE(*list, w);
        if (live->row.status == PW_RUN_CONTINUED) {
            pw_live *now;
            pawl_error err;
            pawl_status st =
                pw_live_open(core, live->row.id, &now, &err); /* it came in the same group */
            add_waiter(core, w, st == PAWL_OK ? now->key : live->key);
            continue;
        }
        reply_result(core, w->rq, live);
        pw_free(w);
    }
}

void pw_request_result(pw_core *core, pw_request *rq)
{
    pw_live *live;
    pawl_error err;
    const char *id = pw_arg_str(rq, "id");
    pawl_status st = pw_live_open(core, (pw_view){(const uint8_t *)id, strlen(id)}, &live, &err);
    if (st != PAWL_OK) {
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    bool closed = live->row.closed_ms != 0;
    if (closed && live->row.status != PW_RUN_CONTINUED) {
        reply_result(core, rq, live);
        return;
    }
    if (!pawl_bool(rq->args, "wait", true)) {
        st = pw_err(&err, PAWL_TIMEOUT, "run %s has not ended", id);
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    pw_waiter *w = pw_calloc(1, sizeof *w);
    if (w == NULL || pw_scope_failed(rq->scope)) {
        pw_free(w);
        pw_request_nomem(core, rq);
        return;
    }
    w->rq = rq;
    add_waiter(core, w, live->key);
}

/* ---- watching ---- */

void pw_request_watch(pw_core *core, pw_request *rq)
{
    pw_watcher *w = pw_calloc(1, sizeof *w);
    const char *id = pw_arg_str(rq, "id");
    char *own = id[0] != 0 ? pw_strdup(rq->scope, id) : NULL;
    if (w == NULL || pw_scope_failed(rq->scope)) {
        pw_free(w);
        pw_request_nomem(core, rq);
        return;
    }
    w->rq = rq;
    w->id = own;
    w->id_sum = pw_checksum(id, strlen(id));
    w->output = pawl_bool(rq->args, "output", false);
    DL_APPEND(core->watchers, w);
    if (w->output && pawl_bool(rq->args, "tail", true)) {
        pw_stream_tails(core, w);
    }
}

void pw_request_unwatch(pw_core *core, pw_request *rq)
{
    pw_watcher *w, *next;
    int64_t only = pawl_int(rq->args, "request", 0);
    DL_FOREACH_SAFE (core->watchers, w, next) {
        if (w->rq->client == rq->client && (only == 0 || (int64_t)w->rq->number == only)) {
            DL_DELETE(core->watchers, w);
            w->rq->reply(w->rq, PAWL_DONE, (pw_view){NULL, 0}, NULL, false);
            pw_request_free(w->rq);
            pw_free(w);
        }
    }
    pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){NULL, 0});
}

void pw_core_client_gone(pw_core *core, uint64_t client)
{
    for (pw_request **at = &core->early; *at != NULL;) {
        pw_request *rq = *at;
        if (rq->client == client) {
            *at = rq->next;
            pw_request_free(rq);
        } else {
            at = &rq->next;
        }
    }
    pw_watcher *w, *wnext;
    DL_FOREACH_SAFE (core->watchers, w, wnext) {
        if (w->rq->client == client) {
            DL_DELETE(core->watchers, w);
            pw_request_free(w->rq);
            pw_free(w);
        }
    }
    for (int64_t i = 0; i < PW_WAITER_LISTS; i++) {
        pw_waiter **list = pw_waiters_of(core, i), *r, *rnext;
        DL_FOREACH_SAFE (*list, r, rnext) {
            if (r->rq->client == client) {
                DL_DELETE(*list, r);
                pw_request_free(r->rq);
                pw_free(r);
            }
        }
    }
    pw_job_client_gone(core, client);
}

/* ---- starts that are followed ---- */

static bool asks(const pw_live *live)
{
    const pw_cmd *cmd;
    DL_FOREACH (live->open, cmd) {
        if (pw_state_machine(cmd->state) == PW_M_WAIT) {
            return true;
        }
    }
    return !live->whole; /* it was evicted: who wants to know looks */
}

static const pawl_value *so_far(pawl_scope *scope, const pw_live *live)
{
    const pw_run_row *row = &live->row;
    const pawl_value *v = pawl_build(
        scope, "{id: %s, existing: false, following: true, status: %s, asks: %p}", live->id,
        pw_run_status_name(row->status), pawl_v(pawl_make_bool(scope, asks(live))));
    if (row->progress_done == 0 && row->progress_total == 0 && row->progress_text.size == 0) {
        return v;
    }
    const char *text = (const char *)row->progress_text.data;
    return pawl_with(scope, v, "progress",
                     pawl_build(scope, "{done: %lld, total: %lld, text: %p}",
                                (long long)row->progress_done, (long long)row->progress_total,
                                pawl_v(pawl_make_strn(scope, text, row->progress_text.size))));
}

/* It has landed: whatever cannot be said for want of memory, it is said that it was started. */
void pw_request_started(pw_core *core, pw_request *rq, const pw_live *live, pw_view plain)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    const pawl_value *v = NULL;
    pawl_error err;
    const bool closed = live->row.closed_ms != 0 && live->row.status != PW_RUN_CONTINUED;
    if (closed && put_returned(&b, live)) {
        pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){b.data, b.size});
        return;
    }
    if (closed) {
        bool read =
            read_end(core, rq->scope, live, &v, &err) == PAWL_OK && !pw_scope_failed(rq->scope);
        pw_reply_now(core, rq, PAWL_OK, NULL, read ? pw_value_bytes(v) : plain);
        return;
    }
    pw_watcher *w = pw_calloc(1, sizeof *w);
    char *id = pw_strdup(rq->scope, live->id);
    v = so_far(rq->scope, live);
    if (w == NULL || pw_scope_failed(rq->scope)) {
        pw_free(w);
        pw_reply_now(core, rq, PAWL_OK, NULL, plain);
        return;
    }
    *w = (pw_watcher){.rq = rq, .id = id, .id_sum = live->id_sum, .output = true};
    pw_request_release(core, rq);
    rq->reply(rq, PAWL_OK, pw_value_bytes(v), NULL, true);
    DL_APPEND(core->watchers, w);
}
