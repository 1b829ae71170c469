/*
 * queue_set.c - the configuration of queues: setting it, keeping it, showing it.
 *
 * It stands among the published keys of the journal under run 0, which is no run: "queue/NAME" -> {concurrency, rate, burst}. It counts from
 * the moment it has landed, and is read before any task when the journal is opened. Limits do not stop what is under way.
 *
 * Does not keep buckets: those that are not remembered begin empty (queue.c).
 */
#include <string.h>

#include "engine/queue_inside.h"
#include "engine/requests.h"

#define ROW "queue/"

static pawl_status check(const pawl_value *args, pw_queue_limits *ret, pawl_error *err)
{
    const char *name = pawl_str(args, "name", "");
    *ret = (pw_queue_limits){pawl_int(args, "concurrency", 0), pawl_num(args, "rate", 0),
                             pawl_int(args, "burst", 0)};
    if (name[0] == 0 || strlen(name) > PW_NAME_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID, "a queue needs a name of at most %d bytes",
                      PW_NAME_BYTES_MAX);
    }
    bool good = ret->concurrency >= 0 && ret->concurrency <= PW_QUEUE_LIMIT_MAX && ret->rate >= 0 &&
                ret->rate <= PW_QUEUE_LIMIT_MAX && ret->burst >= 0 &&
                ret->burst <= PW_QUEUE_LIMIT_MAX;
    if (!good) {
        return pw_err(err, PAWL_INVALID,
                      "queue \"%s\": concurrency, rate and burst are between 0 and %d", name,
                      PW_QUEUE_LIMIT_MAX);
    }
    if (ret->rate > 0 &&
        (double)(ret->burst > 0 ? ret->burst : 1) / ret->rate > (double)PW_TIMER_MS_MAX / 1000) {
        return pw_err(err, PAWL_INVALID, "queue \"%s\": burst / rate is more than a hundred years",
                      name);
    }
    ret->burst = ret->burst > 0 ? ret->burst : 1;
    return PAWL_OK;
}

static void write_limits(pw_buf *buf, const char *name, const pw_queue_limits *limits)
{
    pw_mp_map(buf, 4);
    pw_mp_str(buf, "name");
    pw_mp_str(buf, name);
    pw_mp_str(buf, "concurrency");
    pw_mp_int(buf, limits->concurrency);
    pw_mp_str(buf, "rate");
    pw_mp_double(buf, limits->rate);
    pw_mp_str(buf, "burst");
    pw_mp_int(buf, limits->burst);
}

/* The row, what follows its landing, and the answer. */
static void put(pw_batch *b, pw_request *rq, const char *name, const pw_queue_limits *limits)
{
    pw_buf *value = pw_batch_buf(b);
    write_limits(value, name, limits);
    b->failed |= !pw_buf_ok(value);
    const char *key = pw_sprintf(b->group.scope, ROW "%s", name);
    pw_op *op = pw_batch_op(b, PW_OP_KEY_PUT);
    if (pw_batch_lost(b) || key == NULL) {
        b->failed = true;
        pw_batch_reply(b, rq, PAWL_OK, NULL, (pw_view){NULL, 0}); /* it says that it was not done */
        return;
    }
    op->u.kv.run = 0;
    op->u.kv.key = (pw_view){(const uint8_t *)key, strlen(key)};
    op->u.kv.value = (pw_view){value->data, value->size};
    pw_publish *p = pw_batch_publish(b);
    p->kind = PW_PUB_QUEUE;
    p->body = op->u.kv.value;
    pw_batch_reply(b, rq, PAWL_OK, NULL, pw_value_bytes(pawl_build(rq->scope, "{name: %s}", name)));
}

void pw_queue_set(pw_core *core, pw_request *rq)
{
    pw_queue_limits limits;
    pawl_error err;
    pawl_status st = check(rq->args, &limits, &err);
    if (st != PAWL_OK) {
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
        return;
    }
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        pw_request_nomem(core, rq);
        return;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    put(b, rq, pawl_str(rq->args, "name", ""), &limits);
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
    }
}

static bool apply(pw_core *core, const pawl_value *v, bool before)
{
    pw_queue *q = pw_queue_get(core, pawl_str(v, "name", ""));
    if (q == NULL) {
        return false;
    }
    int64_t burst = pawl_int(v, "burst", 1);
    q->configured = true;
    q->limits = (pw_queue_limits){pawl_int(v, "concurrency", 0), pawl_num(v, "rate", 0),
                                  burst > 0 ? burst : 1};
    q->limited_before |= before && q->limits.rate > 0;
    for (pw_qkey *key = q->keys; key != NULL; key = key->hh.next) {
        pw_qkey_place(core, key);
    }
    pw_queue_place(core, q);
    return true;
}

static bool take_row(pw_core *core, pw_view row, bool before)
{
    pawl_scope *scope = pawl_scope_new();
    bool ok = scope != NULL && apply(core, pw_value_view(scope, row.data, row.size), before) &&
              !pw_scope_failed(scope);
    pawl_scope_free(scope);
    return ok;
}

void pw_queue_landed(pw_core *core, pw_view row)
{
    if (!take_row(core, row, false)) {
        pw_core_log(
            core, PAWL_WARN, "", 0,
            "no memory for the limits of a queue: they count when the journal is opened again");
    }
}

/* ---- when the journal is opened ---- */

typedef struct recover_queues {
    pw_core *core;
    bool ok;
} recover_queues;

static bool recover_queue(void *ctx, pw_view key, pw_view value)
{
    recover_queues *r = ctx;
    size_t size = sizeof ROW - 1;
    if (key.size > size && memcmp(key.data, ROW, size) == 0) {
        r->ok = r->ok && take_row(r->core, value, true);
    }
    return r->ok;
}

pawl_status pw_queues_recover(pw_core *core, pawl_error *err)
{
    recover_queues r = {core, true};
    pawl_status st = core->jops->keys(core->reader, 0, (pw_view){NULL, 0}, recover_queue, &r, err);
    return st == PAWL_OK && !r.ok ? pw_err(err, PAWL_NOMEM, "no memory for the limits of queues")
                                  : st;
}

/* ---- showing it ---- */

void pw_queue_list(pw_core *core, pw_request *rq)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_array(&b, HASH_COUNT(core->queues));
    for (const pw_queue *q = core->queues; q != NULL; q = q->hh.next) {
        pw_mp_map(&b, 8);
        pw_mp_str(&b, "name");
        pw_mp_str(&b, q->name);
        pw_mp_str(&b, "concurrency");
        pw_mp_int(&b, q->limits.concurrency);
        pw_mp_str(&b, "rate");
        pw_mp_double(&b, q->limits.rate);
        pw_mp_str(&b, "burst");
        pw_mp_int(&b, q->limits.burst);
        pw_mp_str(&b, "queued");
        pw_mp_int(&b, (int64_t)q->queued);
        pw_mp_str(&b, "running");
        pw_mp_int(&b, q->running);
        pw_mp_str(&b, "keys");
        pw_mp_int(&b, HASH_COUNT(q->keys));
        pw_mp_str(&b, "configured");
        pw_mp_bool(&b, q->configured);
    }
    pw_request_reply(core, rq, &b);
}
