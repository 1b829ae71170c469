/*
 * requests.c - operations on the core: which run, which policy, who waits. What changes a run becomes an input of its next turn.
 *
 * A request with a dedup key gets the outcome that key had before. Requests come from the host, the socket and the inbox; those of the inbox
 * take their row in the group that does what they ask.
 * Does not change a run: its turn does.
 */
#include <string.h>

#include "engine/answer.h"
#include "engine/budget.h"
#include "engine/bugs.h"
#include "engine/collection.h"
#include "engine/memo.h"
#include "engine/queue.h"
#include "engine/requests.h"

const char *pw_arg_str(const pw_request *rq, const char *key)
{
    return pawl_str(rq->args, key, "");
}

static pw_view arg_view(const pw_request *rq, const char *key)
{
    const char *text = pawl_str(rq->args, key, "");
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

/* A refusal that says something of this process, or of this moment: the same request may be done later, so no key keeps it. */
static bool passes(pawl_status status)
{
    return status == PAWL_NOCODE || status == PAWL_NOMEM || status == PAWL_BUSY ||
           status == PAWL_SHUTDOWN || status == PAWL_NOSPACE || status == PAWL_IO;
}

static void again_later(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err)
{
    if (rq->inbox_id != 0) { /* its row is still there */
        pw_again(core, PW_AGAIN_INBOX);
    }
    pw_reply_now(core, rq, status, err, (pw_view){NULL, 0});
}

void pw_request_nomem(pw_core *core, pw_request *rq)
{
    pawl_error err;
    again_later(core, rq, pw_err(&err, PAWL_NOMEM, "out of memory; it was not done"), &err);
}

void pw_request_reply(pw_core *core, pw_request *rq, const pw_buf *body)
{
    if (!pw_buf_ok(body)) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){body->data, body->size});
}

/* An answer that needs no commit of its own; one from the inbox still takes its row. What may be otherwise in a second is no outcome. */
void pw_request_done(pw_core *core, pw_request *rq, pawl_status status, const pawl_error *err,
                     pw_view body)
{
    bool kept = rq->inbox_id != 0 || (pw_arg_str(rq, "dedup")[0] != 0 && !passes(status));
    if (status == PAWL_NOMEM || status == PAWL_BUSY || status == PAWL_IO) {
        again_later(core, rq, status, err);
        return;
    }
    if (!kept) {
        pw_reply_now(core, rq, status, err, body);
        return;
    }
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    bool inbox = rq->inbox_id != 0;
    pw_batch_mark mark = pw_batch_mark_of(b);
    pw_batch_reply(b, rq, status, err, body);
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
        if (inbox) {
            pw_again(core, PW_AGAIN_INBOX);
        }
    }
}

static void done_err(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
    PAWL_PRINTF(4, 5);
static void done_err(pw_core *core, pw_request *rq, pawl_status status, const char *fmt, ...)
{
    pawl_error err = {.status = status, .file = __FILE__, .line = __LINE__};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err.message, sizeof err.message, fmt, args);
    va_end(args);
    if (rq->inbox_id != 0) {
        pw_core_log(core, PAWL_WARN, pw_arg_str(rq, "id"), 0, "a posted %s was not done: %s",
                    pw_req_name(rq->op), err.message);
    }
    pw_request_done(core, rq, status, &err, (pw_view){NULL, 0});
}

/* Whoever posted it is not there to hear it: what was refused, and why, is kept for those who look later. {..., refused: {op, message, ...}} */
static pw_view refusal(pawl_scope *scope, const pw_request *rq, const pawl_error *err, pw_view body)
{
    const pawl_value *was = body.size > 0 ? pw_value_view(scope, body.data, body.size) : NULL;
    const pawl_value *why =
        pawl_build(scope, "{op: %s, message: %s, by: %s, name: %s, choice: %s}",
                   pw_req_name(rq->op), err->message, pawl_str(rq->args, "by", NULL),
                   pawl_str(rq->args, "name", NULL), pawl_str(rq->args, "value.choice", NULL));
    return pw_value_bytes(
        pawl_with(scope, pawl_typeof(was) == PAWL_MAP ? was : NULL, "refused", why));
}

/* Takes the inbox row and keeps the outcome under the dedup key, in the group that carries the request out. */
void pw_request_take(pw_batch *b, const pw_request *rq, pawl_status status, const pawl_error *err,
                     pw_view body)
{
    const char *dedup = pw_arg_str(rq, "dedup");
    if (rq->inbox_id != 0 && status != PAWL_OK && err != NULL && dedup[0] != 0) {
        body = refusal(b->group.scope, rq, err, body);
    }
    if (rq->inbox_id == 0 && (dedup[0] == 0 || PW_BUG_DEDUP_NOT_KEPT)) {
        return;
    }
    pw_op *op = pw_batch_op(b, rq->inbox_id != 0 ? PW_OP_INBOX_TAKE : PW_OP_OUTCOME_PUT);
    char *key = pw_strdup(b->group.scope, dedup);
    void *copy = pw_memdup(b->group.scope, body.data, body.size);
    if (key == NULL || copy == NULL) { /* the batch is lost */
        return;
    }
    op->u.take.inbox_id = rq->inbox_id;
    op->u.take.dedup = (pw_view){(const uint8_t *)key, strlen(key)};
    op->u.take.outcome =
        (pw_outcome){.status = (int)status, .at_ms = b->now_ms, .body = {copy, body.size}};
}

/* A row of the inbox goes, and nothing else comes of it. False: no memory, it comes again. */
static bool drop_row(pw_core *core, int64_t inbox_id)
{
    pw_batch *b = pw_batch_get(core);
    if (b != NULL) {
        pw_batch_mark mark = pw_batch_mark_of(b);
        pw_op *op = pw_batch_op(b, PW_OP_INBOX_TAKE);
        op->u.take.inbox_id = inbox_id;
        op->u.take.dedup = (pw_view){(const uint8_t *)"", 0};
        if (!pw_batch_lost(b)) {
            return true;
        }
        pw_batch_undo(b, &mark);
    }
    pw_again(core, PW_AGAIN_INBOX);
    return false;
}

/* ---- dedup ---- */

/* What was said before, and that it was: {..., again: true}. As it is when it is no map. */
static pw_view said_again(pawl_scope *scope, pw_view body)
{
    const pawl_value *was = pw_value_view(scope, body.data, body.size);
    if (body.size == 0 || pawl_typeof(was) != PAWL_MAP) {
        return body;
    }
    return pw_value_bytes(pawl_with(scope, was, "again", pawl_make_bool(scope, true)));
}

static bool answered_before(pw_core *core, pw_request *rq)
{
    pw_view dedup = arg_view(rq, "dedup");
    if (dedup.size == 0) {
        return false;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    pw_outcome outcome;
    pawl_error err;
    pawl_status st = core->jops->outcome(core->reader, dedup, &body, &outcome, &err);
    if (st == PAWL_NOTFOUND) {
        return false;
    }
    if (st != PAWL_OK) {
        again_later(core, rq, st, &err);
        return true;
    }
    pawl_status was = (pawl_status)outcome.status;
    const pawl_value *kept = body.size > 0 ? pw_value_view(rq->scope, body.data, body.size) : NULL;
    (void)pw_err(&err, was, "answered before under the key \"%.*s\": %s", (int)dedup.size,
                 (const char *)dedup.data,
                 pawl_str(kept, "refused.message", pawl_status_text(was)));
    if (rq->inbox_id != 0) {
        (void)drop_row(core, rq->inbox_id);
        pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){NULL, 0});
        return true;
    }
    pw_view told = {body.data, body.size};
    told = rq->op == PW_REQ_ANSWER ? said_again(rq->scope, told) : told;
    pw_reply_now(core, rq, was, was == PAWL_OK ? NULL : &err, told);
    return true;
}

/* ---- operations on one run ---- */

static void to_run(pw_core *core, pw_request *rq)
{
    pw_live *live;
    pawl_error err;
    int64_t key = pawl_int(rq->args, "key", 0);
    pw_view id = arg_view(rq, "id");
    pawl_status st =
        key != 0 ? pw_live_open_key(core, key, &live, &err) : pw_live_open(core, id, &live, &err);
    if (st != PAWL_OK) {
        done_err(core, rq, st, "%s", err.message);
        return;
    }
    int64_t child_of = pawl_int(rq->args, "child_of", 0);
    bool wrong_child = child_of != 0 && live->row.parent_key != child_of;
    bool may_open =
        live->frozen || live->retry_from != 0 || rq->op == PW_REQ_RETRY; /* its turn will tell */
    bool closed = !pw_live_open_status(live) && !may_open;
    if (closed && rq->op == PW_REQ_ANSWER && pw_answer_closed(core, live, rq)) {
        return;
    }
    if (wrong_child || closed) {
        done_err(core, rq, PAWL_CLOSED, "run \"%s\" is closed (%s)", live->id,
                 pw_run_status_name(live->row.status));
        return;
    }
    if (rq->op == PW_REQ_RETRY && (live->frozen || pw_maps_fly(core, live->key))) {
        pw_core_retry_later(core, rq);
        return;
    }
    bool retried = rq->op == PW_REQ_RETRY && !pw_live_open_status(live) &&
                   (live->row.status == PW_RUN_FAILED || live->row.status == PW_RUN_CANCELED ||
                    live->row.status == PW_RUN_TIMED_OUT);
    if (retried && live->retry_from == 0) {
        st = pw_retry_prepare(live, &err);
        if (st != PAWL_OK) {
            done_err(core, rq, st, "%s", err.message);
            return;
        }
    }
    pw_input *in = pw_scope_failed(rq->scope) ? NULL : pw_input_new(PW_IN_REQUEST);
    if (in == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    in->rq = rq;
    pw_live_input(live, in);
}

static bool valid_signal(pw_core *core, pw_request *rq)
{
    pw_view name = arg_view(rq, "name");
    pawl_error err;
    if (pw_name_check((const char *)name.data, name.size, &err) == PAWL_OK) {
        return true;
    }
    done_err(core, rq, PAWL_INVALID, "signal: %s", err.message);
    return false;
}

/* {name: effect} of what is registered here; workers elsewhere say it with each poll, and are not listed. */
static void put_activities(const pw_core *core, pw_buf *b)
{
    pw_mp_str(b, "activities");
    pw_mp_map(b, HASH_COUNT(core->acts));
    for (const pw_act *a = core->acts; a != NULL; a = a->hh.next) {
        pw_mp_str(b, a->name);
        pw_mp_str(
            b,
            pw_effect_names[a->effect == PAWL_EFFECT_DEFAULT ? PAWL_EFFECT_IDEMPOTENT : a->effect]);
    }
}

static void op_tools(pw_core *core, pw_request *rq)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t n = 0;
    for (const pw_def *d = core->defs; d != NULL; d = d->next) {
        n++;
    }
    pw_mp_map(&b, 3);
    put_activities(core, &b);
    pw_mp_str(&b, "ready");
    pw_mp_bool(&b, core->recovered);
    pw_mp_str(&b, "workflows");
    pw_mp_array(&b, n);
    for (const pw_def *d = core->defs; d != NULL; d = d->next) {
        pw_mp_map(&b, 6);
        pw_mp_str(&b, "name");
        pw_mp_str(&b, d->name);
        pw_mp_str(&b, "version");
        pw_mp_str(&b, d->version);
        pw_mp_str(&b, "description");
        pw_mp_str(&b, d->description);
        pw_mp_str(&b, "input_schema");
        pw_mp_str(&b, d->input_schema);
        pw_mp_str(&b, "output_schema");
        pw_mp_str(&b, d->output_schema);
        pw_mp_str(&b, "publish");
        pw_mp_str(&b, d->publish);
    }
    pw_request_reply(core, rq, &b);
}

static void op_stats(pw_core *core, pw_request *rq)
{
    const pawl_value *v = pw_core_stats(core, rq->scope);
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(v));
}

/* ---- dispatch ---- */

static void dispatch_task(pw_core *core, pw_request *rq)
{
    switch ((int)rq->op) {
    case PW_REQ_TASK_POLL:
        pw_job_poll(core, rq);
        break;
    case PW_REQ_TASK_UNPOLL:
        pw_job_unpoll(core, rq);
        break;
    case PW_REQ_TASK_WAIT:
    case PW_REQ_TASK_BEAT:
    case PW_REQ_TASK_OUTPUT:
    case PW_REQ_TASK_DONE:
    case PW_REQ_TASK_FAIL:
    case PW_REQ_TASK_CANCELED:
        pw_job_remote(core, rq);
        break;
    default:
        done_err(core, rq, PAWL_UNSUPPORTED, "%s is not answered by the engine's core",
                 pw_req_name(rq->op));
        break;
    }
}

static void dispatch(pw_core *core, pw_request *rq)
{
    switch ((int)rq->op) {
    case PW_REQ_START:
        pw_request_start(core, rq);
        break;
    case PW_REQ_SIGNAL:
        if (valid_signal(core, rq)) {
            to_run(core, rq);
        }
        break;
    case PW_REQ_ANSWER:
    case PW_REQ_CANCEL:
    case PW_REQ_TERMINATE:
    case PW_REQ_PAUSE:
    case PW_REQ_RESUME:
    case PW_REQ_RETRY:
    case PW_REQ_CHILD_DONE:
        to_run(core, rq);
        break;
    case PW_REQ_QUERY:
    case PW_REQ_STACK:
        pw_request_query(core, rq);
        break;
    case PW_REQ_RESULT:
        pw_request_result(core, rq);
        break;
    case PW_REQ_WATCH:
        pw_request_watch(core, rq);
        break;
    case PW_REQ_UNWATCH:
        pw_request_unwatch(core, rq);
        break;
    case PW_REQ_TOOLS:
        op_tools(core, rq);
        break;
    case PW_REQ_STATS:
        op_stats(core, rq);
        break;
    case PW_REQ_QUEUE_SET:
        pw_queue_set(core, rq);
        break;
    case PW_REQ_QUEUES:
        pw_queue_list(core, rq);
        break;
    case PW_REQ_BUDGET_SET:
        pw_budget_request(core, rq);
        break;
    case PW_REQ_MEMORY_PUT:
    case PW_REQ_MEMORY_DELETE:
        pw_memo_request(core, rq);
        break;
    case PW_REQ_INDEX_CREATE:
    case PW_REQ_INDEX_PUT:
    case PW_REQ_INDEX_DELETE:
    case PW_REQ_INDEX_REMOVE:
        pw_collection_request(core, rq);
        break;
    default:
        dispatch_task(core, rq);
        break;
    }
}

/* The same dedup key twice at once: the second waits until the first has landed. */
static bool dedup_in_flight(pw_core *core, const pw_request *rq)
{
    const char *dedup = pw_arg_str(rq, "dedup");
    if (dedup[0] == 0) {
        return false;
    }
    pw_dedup_busy *busy;
    HASH_FIND(hh, core->dedup_busy, dedup, strlen(dedup), busy);
    return busy != NULL && !rq->holds_key;
}

static bool dedup_hold(pw_core *core, pw_request *rq)
{
    const char *dedup =
        rq->holds_key ? "" : pw_arg_str(rq, "dedup"); /* it may have been put off since */
    if (dedup[0] == 0) {
        return !pw_scope_failed(rq->scope); /* (a key that could not be read is no key) */
    }
    pw_dedup_busy *busy = pw_calloc(1, sizeof *busy + strlen(dedup) + 1);
    if (busy == NULL) {
        return false;
    }
    memcpy(busy->key, dedup, strlen(dedup) + 1);
    HASH_ADD_KEYPTR(hh, core->dedup_busy, busy->key, strlen(busy->key), busy);
    if (busy->hh.tbl == NULL) {
        pw_free(busy);
        return false;
    }
    rq->holds_key = true;
    return true;
}

static bool seen_add(pw_core *core, int64_t id)
{
    pw_inbox_seen *seen = pw_calloc(1, sizeof *seen);
    if (seen == NULL) {
        return false;
    }
    seen->id = id;
    HASH_ADD(hh, core->inbox_seen, id, sizeof seen->id, seen);
    if (seen->hh.tbl == NULL) {
        pw_free(seen);
        return false;
    }
    return true;
}

static void seen_drop(pw_core *core, int64_t id)
{
    pw_inbox_seen *seen;
    HASH_FIND(hh, core->inbox_seen, &id, sizeof id, seen);
    if (seen != NULL) {
        HASH_DEL(core->inbox_seen, seen);
        pw_free(seen);
    }
}

/* Its reply is out: the key may be looked up again, and its row, if it came from the inbox, is gone or may be read again. */
void pw_request_release(pw_core *core, const pw_request *rq)
{
    const char *dedup = rq->holds_key ? pw_arg_str(rq, "dedup") : "";
    pw_dedup_busy *busy = NULL;
    if (dedup[0] != 0) {
        HASH_FIND(hh, core->dedup_busy, dedup, strlen(dedup), busy);
    }
    if (busy != NULL) {
        HASH_DEL(core->dedup_busy, busy);
        pw_free(busy);
    }
    if (rq->inbox_id != 0) {
        seen_drop(core, rq->inbox_id);
    }
}

/* The socket listens before the program has registered its code, and before queues and tasks are read: what needs them waits. Callers within know
 * their own order. */
static bool is_early(const pw_core *core, const pw_request *rq)
{
    bool needs_code = rq->op == PW_REQ_START || rq->op == PW_REQ_QUERY || rq->op == PW_REQ_RETRY ||
                      rq->op == PW_REQ_STACK || rq->op == PW_REQ_QUEUES;
    return needs_code && !core->recovered && rq->client != 0 && rq->client < PW_CLIENT_HOST;
}

void pw_request_handle(pw_core *core, pw_request *rq)
{
    core->stats.requests +=
        rq->op == PW_REQ_STATS ? 0 : 1; /* looking is not doing: idleness is seen by it */
    if (core->failed) {
        pw_reply_now(core, rq, core->failure.status, &core->failure, (pw_view){NULL, 0});
        return;
    }
    if (core->shutdown) {
        pawl_error err;
        pw_reply_now(core, rq, pw_err(&err, PAWL_SHUTDOWN, "the engine is closing"), &err,
                     (pw_view){NULL, 0});
        return;
    }
    if (is_early(core, rq)) {
        LL_PREPEND(core->early, rq);
        return;
    }
    bool write = pw_req_kind(rq->op) == PW_REQ_WRITE;
    if (write && dedup_in_flight(core, rq)) {
        pw_core_retry_later(core, rq);
        return;
    }
    if (write && answered_before(core, rq)) {
        return;
    }
    if (write && pw_scarce_refuses(core, rq)) {
        return;
    }
    if (write && !dedup_hold(core, rq)) {
        pw_request_nomem(core, rq);
        return;
    }
    dispatch(core, rq);
}

/* ---- the inbox ---- */

static pawl_status inbox_request(const pw_inbox_row *row, pw_request **ret_rq)
{
    pw_mp r = pw_mp_reader(row->body.data, row->body.size);
    size_t n = pw_mp_read_array(&r);
    (void)pw_mp_read_int(&r);
    pw_mp_skip(&r);
    pw_view op = pw_mp_read_str(&r);
    pw_view args = pw_mp_read_raw(&r);
    pawl_error err;
    return n != 4 || !pw_mp_ok(&r) ? PAWL_PARSE
                                   : pw_request_new(op, args, NULL, NULL, ret_rq, &err);
}

static bool take_inbox(void *ctx, const pw_inbox_row *row)
{
    pw_core *core = ctx;
    pw_inbox_seen *seen;
    HASH_FIND(hh, core->inbox_seen, &row->id, sizeof row->id, seen);
    if (seen != NULL) {
        core->inbox_after = row->id;
        return true;
    }
    pw_request *rq = NULL;
    pawl_status st = seen_add(core, row->id) ? inbox_request(row, &rq) : PAWL_NOMEM;
    if (st == PAWL_NOMEM) {
        seen_drop(core, row->id);
        pw_again(core, PW_AGAIN_INBOX);
        return false;
    }
    core->inbox_after = row->id;
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", 0,
                    "a message of the inbox is malformed and is dropped (row %lld)",
                    (long long)row->id);
        if (!drop_row(core, row->id)) {
            seen_drop(core, row->id);
        }
        return true;
    }
    rq->inbox_id = row->id;
    LL_APPEND(core->inbox_queue, rq);
    return true;
}

void pw_inbox_poll(pw_core *core)
{
    if (!core->inbox_dirty || !core->recovered || core->shutdown || core->failed) {
        return;
    }
    core->inbox_dirty = false;
    pawl_error err;
    int64_t before = core->inbox_after;
    pawl_status st = core->jops->inbox(core->reader, core->inbox_after, PW_PAGE_ROWS_MAX,
                                       take_inbox, core, &err);
    if (st != PAWL_OK) {
        pw_core_log(core, PAWL_ERROR, "", 0, "the inbox cannot be read, it is tried again: %s",
                    err.message);
        pw_again(core, PW_AGAIN_INBOX);
    }
    while (core->inbox_queue != NULL) {
        pw_request *rq = core->inbox_queue;
        core->inbox_queue = rq->next;
        rq->next = NULL;
        pw_request_handle(core, rq);
    }
    core->inbox_dirty |=
        core->inbox_after != before; /* a page may be full of rows that are held, or malformed */
}

/* After a group that did not land: what is not held by a request is read again. */
void pw_inbox_reset(pw_core *core)
{
    core->inbox_after = 0;
    core->inbox_dirty = true;
}
