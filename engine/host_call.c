/*
 * host_call.c - how a call of a host thread becomes a request, and how the thread gets its answer.
 *
 *   blocking   request -> mailbox -> core -> reply on the engine's thread -> the waiter's gate -> the caller copies the body
 *   async      request -> mailbox -> core -> reply -> outbox -> pawl_dispatch
 *   READ       answered here, by view.c, on the caller's thread; so is HELLO. Asynchronous ones too: the answer still waits for pawl_dispatch
 *
 * A waiter is shared by the caller and the core (two references), since either may be done first: a caller that times out goes away and its
 * waiter stays until the core has answered, or has forgotten it (client_gone: only RESULT, WATCH and TASK_POLL wait that long).
 * Does not know what any operation means.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "engine/host.h"
#include "engine/threads.h"
#include "engine/view.h"
#include "sdk/base/arena.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

struct pw_waiter {
    pw_call drop; /* first: the loop's call is the waiter */
    pawl_engine *engine;
    atomic_int refs;
    uint64_t client;
    bool answered; /* the engine thread's */
    pw_gate done;  /* blocking: what follows is written */
    pawl_status status;
    pw_buf body;
    pawl_error err;
    pw_slot *slot;          /* async */
    pw_watch *watch;        /* a watch */
    pw_waiter *prev, *next; /* engine->waiters, while the core has it */
    bool listed;
};

/* ---- entering and leaving ---- */

pawl_status pw_host_refuse(pawl_engine *e, pawl_error *err)
{
    if (e == NULL) {
        return pw_err(err, PAWL_INVALID, "no engine was given");
    }
    if (getpid() != e->pid) {
        return pw_err(err, PAWL_FORKED,
                      "the engine belongs to process %lld; after fork a child calls exec or _exit",
                      (long long)e->pid);
    }
    if (pw_core_in_workflow()) {
        return pw_err(err, PAWL_MISUSE,
                      "a host call from workflow code; use the functions of pawl_workflow.h there");
    }
    if (e->loop != NULL && pw_loop_is_self(e->loop)) {
        return pw_err(err, PAWL_MISUSE, "a host call on the engine's own thread");
    }
    if (atomic_load(&e->journal_thread_known) && pthread_equal(e->journal_thread, pthread_self())) {
        return pw_err(err, PAWL_MISUSE, "a host call from a transactional step");
    }
    return PAWL_OK;
}

pawl_status pw_host_enter(pawl_engine *e, pawl_error *err)
{
    pawl_status status = pw_host_refuse(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    atomic_fetch_add(
        &e->calls, 1); /* before the look at closing: close looks at calls after it has set that */
    if (atomic_load(&e->closing)) {
        atomic_fetch_sub(&e->calls, 1);
        return pw_err(err, PAWL_SHUTDOWN, "the engine is closing");
    }
    return PAWL_OK;
}

void pw_host_leave(pawl_engine *e)
{
    atomic_fetch_sub(&e->calls, 1);
}

/* ---- waiters ---- */

static pw_waiter *waiter_new(pawl_engine *e)
{
    pw_waiter *w = pw_calloc(1, sizeof *w);

    if (w != NULL) {
        w->engine = e;
        w->client = atomic_fetch_add(&e->clients, 1) + 1;
        atomic_store(&w->refs, 2);
        pw_buf_init(&w->body, 0);
        pw_gate_init(&w->done);
        if (!pw_buf_reserve(
                &w->body,
                PW_REPLY_BYTES_SMALL)) { /* what has been done is not told as "no memory" */
            pw_gate_deinit(&w->done);
            pw_free(w);
            return NULL;
        }
    }
    return w;
}

static void waiter_unref(pw_waiter *w)
{
    if (atomic_fetch_sub(&w->refs, 1) == 1) {
        pw_slot_free(w->slot);
        pw_buf_deinit(&w->body);
        pw_gate_deinit(&w->done);
        pw_free(w);
    }
}

static void list_add(pw_waiter *w)
{
    pawl_engine *e = w->engine;

    pthread_mutex_lock(&e->waiters_lock);
    w->next = e->waiters;
    w->prev = NULL;
    if (w->next != NULL) {
        w->next->prev = w;
    }
    e->waiters = w;
    w->listed = true;
    pthread_mutex_unlock(&e->waiters_lock);
}

/** The lock is held. */
static void unlink_waiter(pawl_engine *e, pw_waiter *w)
{
    *(w->prev != NULL ? &w->prev->next : &e->waiters) = w->next;
    if (w->next != NULL) {
        w->next->prev = w->prev;
    }
    w->listed = false;
}

/** Whoever takes a waiter off the list has the core's reference. False: somebody else did. */
static bool list_remove(pw_waiter *w)
{
    pawl_engine *e = w->engine;

    pthread_mutex_lock(&e->waiters_lock);
    bool mine = w->listed;
    if (mine) {
        unlink_waiter(e, w);
    }
    pthread_mutex_unlock(&e->waiters_lock);
    return mine;
}

static void keep_answer(pw_waiter *w, pawl_status status, pw_view body, const pawl_error *err)
{
    w->status = status;
    if (err != NULL) {
        w->err = *err;
    }
    pw_buf_put(&w->body, body.data, body.size);
    if (!pw_buf_ok(&w->body)) {
        w->status = pw_err(&w->err, PAWL_NOMEM, "no memory for a reply of %zu bytes", body.size);
    }
    pw_gate_open(&w->done);
}

/** The core's half is over: hands the answer to whoever waits, and drops the core's reference. */
static void answer(pw_waiter *w, pawl_status status, pw_view body, const pawl_error *err)
{
    if (w->slot != NULL) {
        pw_slot *slot = w->slot;
        w->slot = NULL;
        pw_outbox_complete(w->engine->outbox, slot, status, body, err);
    } else {
        keep_answer(w, status, body, err);
    }
    waiter_unref(w);
}

static void on_reply(pw_request *rq, pawl_status status, pw_view body, const pawl_error *err,
                     bool more)
{
    pw_waiter *w = rq->user;

    if (w->watch != NULL && status == PAWL_OK && body.size > 0) {
        pw_outbox_event(w->engine->outbox, w->watch, body);
    }
    if (!more && list_remove(w)) {
        w->answered = true;
        answer(w, status, body, err);
    }
}

/** On the engine's thread: the caller has gone. */
static void drop(pw_call *call)
{
    pw_waiter *w = (pw_waiter *)call;

    if (w->engine->core != NULL && !w->answered) {
        pw_core_client_gone(w->engine->core, w->client);
        if (!w->answered && list_remove(w)) {
            waiter_unref(w); /* the core's */
        }
        w->answered = true;
    }
    waiter_unref(w); /* this call's */
}

void pw_host_answer_all(pawl_engine *e)
{
    for (;;) {
        pawl_error err;
        pthread_mutex_lock(&e->waiters_lock);
        pw_waiter *w = e->waiters;
        if (w != NULL) {
            unlink_waiter(e, w);
        }
        pthread_mutex_unlock(&e->waiters_lock);
        if (w == NULL) {
            return;
        }
        pawl_status status = pw_err(&err, PAWL_SHUTDOWN, "the engine was closed");
        answer(w, status, (pw_view){NULL, 0}, &err);
    }
}

/** True for operations that the core may keep for as long as a client waits, and drops with it. */
static bool is_droppable(pw_req_op op)
{
    return op == PW_REQ_RESULT || op == PW_REQ_WATCH || op == PW_REQ_TASK_POLL;
}

/** Posts; on success the core has its reference, on error nobody but the caller. */
static pawl_status post(pawl_engine *e, const char *op, pw_view args, pw_waiter *w,
                        pw_req_op *ret_op, pawl_error *err)
{
    pw_request *rq = NULL;
    pawl_status status =
        pw_request_new((pw_view){(const uint8_t *)op, strlen(op)}, args, on_reply, w, &rq, err);

    if (status != PAWL_OK) {
        waiter_unref(w);
        return status;
    }
    rq->client = w->client;
    rq->peer_uid = (int64_t)geteuid();
    *ret_op = rq->op;
    list_add(w);
    status = pw_mailbox_put_request(e->mailbox, rq, err);
    if (status != PAWL_OK) {
        pw_request_free(rq);
        if (list_remove(w)) {
            waiter_unref(w);
        }
    }
    return status;
}

static pawl_status take_answer(pw_waiter *w, pawl_scope *scope, const pawl_value **ret_reply,
                               pawl_error *err)
{
    pawl_status status = w->status;

    if (ret_reply != NULL && w->body.size > 0) {
        const pawl_value *v = pw_value_copy(scope, w->body.data, w->body.size);
        if (v == NULL && w->body.data[0] != 0xc0) {
            return pw_err(err, PAWL_NOMEM, "no memory for a reply of %zu bytes", w->body.size);
        }
        *ret_reply = v;
    } else if (ret_reply != NULL && status == PAWL_OK) {
        *ret_reply = NULL;
    }
    if (status != PAWL_OK && err != NULL) {
        *err = w->err;
        err->status = status;
    }
    return status;
}

static pawl_status ask_core(pawl_engine *e, const pw_ask *ask, pw_waiter *w, pawl_error *err)
{
    pw_req_op number = PW_REQ_NONE;
    pawl_status status = post(e, ask->op, ask->args, w, &number, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (pw_gate_wait(&w->done, ask->timeout_ms)) {
        return PAWL_OK;
    }
    if (is_droppable(number)) {
        atomic_fetch_add(&w->refs, 1);
        w->drop.run = drop;
        pw_mailbox_put_call(e->mailbox, &w->drop);
    }
    return pw_err(err, PAWL_TIMEOUT, "%s took longer than %lld ms", ask->op,
                  (long long)ask->timeout_ms);
}

/* ---- what is answered on the caller's thread ---- */

static bool is_answered_here(pw_req_op op)
{
    return op == PW_REQ_HELLO || (op != PW_REQ_NONE && pw_view_can(op, false));
}

static pawl_status read_rows(pawl_engine *e, pw_req_op op, const pawl_value *args, pw_buf *out,
                             pawl_error *err)
{
    pthread_mutex_lock(&e->view_lock);
    pawl_status status = pw_view_request(e->view_reader, op, args, out, err);
    pthread_mutex_unlock(&e->view_lock);
    if (status == PAWL_OK && !pw_buf_ok(out)) {
        return pw_err(err, PAWL_NOMEM, "no memory for the reply to %s", pw_req_name(op));
    }
    return status;
}

static pawl_status read_into(pawl_engine *e, pw_req_op op, pw_view args, pw_buf *out,
                             pawl_error *err)
{
    pw_request *rq = NULL;
    const char *name = pw_req_name(op);
    pawl_status status =
        pw_request_new((pw_view){(const uint8_t *)name, strlen(name)}, args, NULL, NULL, &rq, err);

    if (status == PAWL_OK && op == PW_REQ_HELLO) {
        pw_control_hello(out, e->path, e->epoch);
    } else if (status == PAWL_OK) {
        status = read_rows(e, op, rq->args, out, err);
    }
    pw_request_free(rq);
    return status;
}

static pawl_status request_read(pawl_engine *e, pw_req_op op, pw_view args, pawl_scope *scope,
                                const pawl_value **ret_reply, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_status status = read_into(e, op, args, &out, err);

    if (status == PAWL_OK && ret_reply != NULL) {
        const pawl_value *v = pw_value_copy(scope, out.data, out.size);
        if (v == NULL) {
            return pw_err(err, PAWL_NOMEM, "no memory for a reply of %zu bytes", out.size);
        }
        *ret_reply = v;
    }
    return status;
}

/* ---- the two ways to ask ---- */

pawl_status pw_host_request(pawl_engine *e, const pw_ask *ask, pawl_scope *scope,
                            const pawl_value **ret_reply, pawl_error *err)
{
    pw_req_op number = pw_req_from_name((pw_view){(const uint8_t *)ask->op, strlen(ask->op)});
    pawl_error mine;

    if (err == NULL) {
        err = &mine;
    }
    if (is_answered_here(number)) {
        return request_read(e, number, ask->args, scope, ret_reply, err);
    }
    pw_waiter *w = waiter_new(e);
    if (w == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a call");
    }
    pawl_status status = ask_core(e, ask, w, err);
    if (status == PAWL_OK) {
        status = take_answer(w, scope, ret_reply, err);
    }
    waiter_unref(w);
    return status;
}

static pw_view args_view(const pawl_value *args)
{
    return args == NULL ? (pw_view){NULL, 0} : pw_value_bytes(args);
}

/** Adds who asks to what changes runs. */
static const pawl_value *signed_args(pawl_engine *e, const char *op, const pawl_value *args,
                                     pawl_scope *scope)
{
    pw_req_op number = pw_req_from_name((pw_view){(const uint8_t *)op, strlen(op)});

    if (number == PW_REQ_NONE || pw_req_kind(number) != PW_REQ_WRITE ||
        pawl_get(args, "by") != NULL) {
        return args;
    }
    return pawl_with(scope, args, "by", pawl_make_str(scope, e->identity));
}

pawl_status pawl_request(pawl_engine *e, const char *op, const pawl_value *args, int64_t timeout_ms,
                         pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    pawl_scope *mine = pawl_scope_new();
    const pawl_value *reply = NULL;
    pw_ask ask = {.op = op,
                  .args =
                      mine != NULL ? args_view(signed_args(e, op, args, mine)) : (pw_view){NULL, 0},
                  .timeout_ms = timeout_ms};
    if (mine == NULL || pw_scope_failed(mine)) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a call");
    } else {
        status = pw_host_request(e, &ask, scope != NULL ? scope : mine, &reply, err);
    }
    if (ret_reply != NULL && scope != NULL) {
        *ret_reply = reply;
    }
    pawl_scope_free(mine);
    pw_host_leave(e);
    return status;
}

static pawl_status complete_read(pawl_engine *e, pw_req_op op, pw_view args, pw_slot *slot)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    pawl_status status = read_into(e, op, args, &out, &err);

    pw_outbox_complete(e->outbox, slot, status,
                       status == PAWL_OK ? (pw_view){out.data, out.size} : (pw_view){NULL, 0},
                       &err);
    pw_outbox_ring(e->outbox);
    return PAWL_OK;
}

static pawl_status start_async(pawl_engine *e, const char *op, pw_view args, pw_slot *slot,
                               pawl_error *err)
{
    pw_req_op number = pw_req_from_name((pw_view){(const uint8_t *)op, strlen(op)});

    if (is_answered_here(number)) {
        return complete_read(e, number, args, slot);
    }
    pw_waiter *w = waiter_new(e);
    if (w == NULL) {
        pw_slot_free(slot);
        return pw_err(err, PAWL_NOMEM, "no memory for a call");
    }
    w->slot = slot;
    pawl_status status = post(e, op, args, w, &number, err);
    waiter_unref(w); /* nobody waits */
    return status;
}

pawl_status pawl_request_async(pawl_engine *e, const char *op, const pawl_value *args,
                               pawl_reply_fn fn, void *user, pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    pawl_scope *mine = pawl_scope_new();
    pw_slot *slot = pw_outbox_slot(fn, user);
    if (slot == NULL || fn == NULL) {
        pw_slot_free(slot);
        status = fn == NULL ? pw_err(err, PAWL_INVALID, "pawl_request_async without a function")
                            : pw_err(err, PAWL_NOMEM, "no memory for a call");
    } else {
        const pawl_value *own = mine != NULL ? signed_args(e, op, args, mine) : NULL;
        if (mine == NULL || pw_scope_failed(mine)) {
            pw_slot_free(slot);
            status = pw_err(err, PAWL_NOMEM, "no memory for a call");
        } else {
            status = start_async(e, op, args_view(own), slot, err);
        }
    }
    pawl_scope_free(mine);
    pw_host_leave(e);
    return status;
}

static pawl_status start_watch(pawl_engine *e, const char *id, bool output, pawl_watch_fn fn,
                               void *user, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf args = PW_BUF_INIT;
    pw_req_op number = PW_REQ_NONE;
    pw_waiter *w = waiter_new(e);
    pawl_status status = w == NULL ? pw_err(err, PAWL_NOMEM, "no memory for a watch") : PAWL_OK;

    if (status != PAWL_OK) {
        return status;
    }
    pw_mp_map(&args, (size_t)(id != NULL) + 1);
    pw_mp_str(&args, "output");
    pw_mp_bool(&args, output);
    if (id != NULL) {
        pw_mp_str(&args, "id");
        pw_mp_str(&args, id);
    }
    status = pw_buf_ok(&args) ? pw_outbox_watch(e->outbox, fn, user, &w->watch, err)
                              : pw_err(err, PAWL_NOMEM, "no memory for a watch");
    if (status == PAWL_OK) {
        status = post(e, "watch", (pw_view){args.data, args.size}, w, &number, err);
    } else {
        waiter_unref(w); /* the core's */
    }
    waiter_unref(w);
    return status;
}

static pawl_status watch(pawl_engine *e, const char *id, bool output, pawl_watch_fn fn, void *user,
                         pawl_error *err)
{
    pawl_status status = pw_host_enter(e, err);

    if (status != PAWL_OK) {
        return status;
    }
    status = fn == NULL ? pw_err(err, PAWL_INVALID, "a watch without a function")
                        : start_watch(e, id, output, fn, user, err);
    pw_host_leave(e);
    return status;
}

pawl_status pawl_watch(pawl_engine *e, const char *id, pawl_watch_fn fn, void *user,
                       pawl_error *err)
{
    return watch(e, id, false, fn, user, err);
}

pawl_status pawl_watch_output(pawl_engine *e, const char *id, pawl_watch_fn fn, void *user,
                              pawl_error *err)
{
    return watch(e, id, true, fn, user, err);
}

int pawl_poll_fd(pawl_engine *e)
{
    return e != NULL && getpid() == e->pid ? pw_outbox_fd(e->outbox) : -1;
}

/* The dispatches that this thread is inside of, innermost first: a callback may dispatch again, for another engine too. */
struct dispatching {
    pawl_engine *engine; /* NULL: it was closed by a callback */
    struct dispatching *outer;
};
static _Thread_local struct dispatching *innermost;

int pawl_dispatch(pawl_engine *e)
{
    if (pw_host_enter(e, NULL) != PAWL_OK) {
        return 0;
    }
    struct dispatching mine = {.engine = e, .outer = innermost};
    pw_outbox *outbox = e->outbox;
    pw_outbox_hold(outbox);
    innermost = &mine;
    int count = pw_outbox_dispatch(outbox);
    innermost = mine.outer;
    pw_outbox_free(outbox);
    if (mine.engine != NULL) {
        pw_host_leave(e);
    }
    return count;
}

void pw_host_leave_dispatches(pawl_engine *e)
{
    for (struct dispatching *d = innermost; d != NULL; d = d->outer) {
        if (d->engine == e) {
            d->engine = NULL;
            pw_host_leave(e);
        }
    }
}
