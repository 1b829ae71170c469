/*
 * job_remote.c - jobs that a worker elsewhere runs: task_poll parks until there is one, task_wait until the worker should stop; task_beat,
 * task_done, task_fail and task_canceled report by token. A worker whose connection is gone has lost its attempts.
 *
 *   token = run:command:item:attempt:epoch:secret       the secret is random, and new for every attempt handed out
 *
 * A token counts on the connection that got it and on no other [C6]: knowing the numbers, or another worker's token, is not enough.
 * One for an attempt that is over is STALE; one that was never given to whoever shows it is DENIED. Both are counted.
 *
 * Does not know the wire: requests come and go as data. Does not decide what the end of an attempt means: job.c does.
 */
#include <string.h>

#include "engine/job.h"
#include "engine/queue.h"
#include "engine/requests.h"
#include "engine/stream.h"
#include "sdk/base/amounts.h"

#define SECRET_HEX (2 * PW_TOKEN_SECRET_BYTES)
#define TOKEN_TEXT_MAX (120 + 1 + SECRET_HEX)

/* ---- handing out ---- */

static void token_write(const pw_core *core, const pw_job *job, char text[TOKEN_TEXT_MAX + 1])
{
    pw_token token = pw_job_token(core, job);
    char hex[SECRET_HEX + 1];
    char numbers[120];
    pw_token_print(&token, numbers);
    pw_hex(hex, job->secret, sizeof job->secret);
    (void)snprintf(text, TOKEN_TEXT_MAX + 1, "%s:%s", numbers, hex);
}

static const pawl_value *task_value(pw_core *core, const pw_job *job, pawl_scope *scope)
{
    pw_token token = {job->key.run, job->key.cmd, job->key.item, job->attempt, core->options.epoch};
    char text[TOKEN_TEXT_MAX + 1];
    token_write(core, job, text);
    const pawl_value *v = pawl_build(
        scope,
        "{token: %s, activity: %s, run: %s, attempt: %lld, key: %s, deadline_ms: %lld, heartbeat_ms: %lld, input: %p}",
        text, job->name, job->run_id, (long long)job->attempt,
        pw_task_key(scope, &token, job->run_id),
        (long long)(job->timeout_ms > 0 ? pw_core_now(core) + job->timeout_ms : 0),
        (long long)job->heartbeat_ms, pawl_v(job->input));
    if (job->effect != PAWL_EFFECT_DEFAULT && (size_t)job->effect < PW_COUNT(pw_effect_names)) {
        v = pawl_with(scope, v, "effect", pawl_make_str(scope, pw_effect_names[job->effect]));
    }
    if (job->checking) {
        v = pawl_with(scope, v, "read_back", pawl_make_bool(scope, true));
    }
    return job->detail.size == 0
               ? v
               : pawl_with(scope, v, "detail",
                           pw_value_view(scope, job->detail.data, job->detail.size));
}

bool pw_job_start_remote(pw_core *core, pw_job *job, pw_poll *poll)
{
    pw_request *rq = pw_queue_poll_take(core, poll);
    core->env.random(core->env.ctx, job->secret, sizeof job->secret);
    const pawl_value *reply = task_value(core, job, rq->scope);
    if (pw_scope_failed(rq->scope)) {
        pw_request_nomem(core, rq);
        return false;
    }
    if (job->granted) {
        pw_queue_out(core, job);
    } else {
        pw_queue_grant(core, job);
    }
    job->state = PW_JOB_RUNNING;
    job->remote = true;
    job->client = rq->client;
    DL_APPEND2(core->remote_jobs, job, m_prev, m_next);
    core->stats.jobs_started++;
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(reply));
    pw_job_begun(core, job);
    return true;
}

void pw_job_poll(pw_core *core, pw_request *rq)
{
    pawl_error err;
    pawl_status st = pw_queue_poll(core, rq, &err);
    if (st != PAWL_OK) {
        pw_reply_now(core, rq, st, &err, (pw_view){NULL, 0});
    }
}

static void drop_polls(pw_core *core, uint64_t client, bool answer)
{
    pawl_error err;
    pw_poll *poll = pw_queue_poll_next(core, NULL);
    while (poll != NULL) {
        pw_poll *next = pw_queue_poll_next(core, poll);
        pw_request *rq =
            pw_queue_poll_client(poll) == client ? pw_queue_poll_take(core, poll) : NULL;
        if (rq != NULL && answer) {
            pw_reply_now(core, rq, pw_err(&err, PAWL_DONE, "this poll was taken back"), &err,
                         (pw_view){NULL, 0});
        } else {
            pw_request_free(rq);
        }
        poll = next;
    }
}

void pw_job_unpoll(pw_core *core, pw_request *rq)
{
    drop_polls(core, rq->client, true);
    pw_reply_now(core, rq, PAWL_OK, NULL, (pw_view){NULL, 0});
}

/* ---- asking a worker to stop ---- */

static void answer_wait(pw_core *core, pw_job *job, pawl_status status, bool cancel)
{
    pw_request *rq = job->stop_wait;
    pawl_error err;
    if (rq == NULL) {
        return;
    }
    job->stop_wait = NULL;
    if (status != PAWL_OK) {
        pw_reply_now(core, rq, pw_err(&err, status, "that attempt is over"), &err,
                     (pw_view){NULL, 0});
        return;
    }
    const pawl_value *v =
        pawl_build(rq->scope, "{cancel: %p}", pawl_v(pawl_make_bool(rq->scope, cancel)));
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(v));
}

void pw_job_remote_over(pw_core *core, pw_job *job)
{
    if (!job->remote) {
        return;
    }
    answer_wait(core, job, job->let_run ? PAWL_OK : PAWL_STALE, false);
    DL_DELETE2(core->remote_jobs, job, m_prev, m_next);
    job->remote = false;
}

void pw_job_remote_cancel(pw_core *core, pw_job *job)
{
    answer_wait(core, job, PAWL_OK, true);
}

static void take_wait(pw_core *core, pw_job *job, pw_request *rq)
{
    answer_wait(core, job, PAWL_DONE, false); /* one is enough */
    job->stop_wait = rq;
    if (job->cancel_requested) {
        answer_wait(core, job, PAWL_OK, true);
    }
}

/* ---- tokens ---- */

/* A hostile worker must not fill the log. */
static void refused(pw_core *core, const char *why)
{
    int64_t n = ++core->stats.refused;
    if ((n & (n - 1)) == 0) {
        pw_core_log(core, PAWL_WARN, "", 0, "a worker was refused: %s (%lld so far)", why,
                    (long long)n);
    }
}

static bool token_read(const char *text, pw_token *ret_token, const char **ret_secret)
{
    char numbers[120];
    const char *last = strrchr(text, ':');
    size_t size = last != NULL ? (size_t)(last - text) : 0;
    if (last == NULL || size >= sizeof numbers || strlen(last + 1) != SECRET_HEX) {
        return false;
    }
    memcpy(numbers, text, size);
    numbers[size] = 0;
    *ret_secret = last + 1;
    return pw_token_parse(numbers, ret_token);
}

/* Takes the same time wherever they differ. */
static bool secret_equal(const pw_job *job, const char *secret)
{
    char hex[SECRET_HEX + 1];
    unsigned differs = 0;
    pw_hex(hex, job->secret, sizeof job->secret);
    for (size_t i = 0; i < SECRET_HEX; i++) {
        differs |= (unsigned)(unsigned char)hex[i] ^ (unsigned char)secret[i];
    }
    return differs == 0;
}

static bool same_client(uint64_t a, uint64_t b)
{
    return a == b ||
           (a >= PW_CLIENT_HOST && b >= PW_CLIENT_HOST); /* the host's calls are one worker */
}

/* The job that the token stands for, if this client holds it [C6]; else it was answered. */
static pw_job *job_held(pw_core *core, pw_request *rq, pw_token *ret_token)
{
    pawl_error err;
    const char *secret = "";
    if (!token_read(pawl_str(rq->args, "token", ""), ret_token, &secret)) {
        refused(core, "what it sent is no task token");
        pw_reply_now(core, rq, pw_err(&err, PAWL_INVALID, "that is not a task token"), &err,
                     (pw_view){NULL, 0});
        return NULL;
    }
    pw_job *job = pw_job_find(core, (pw_job_key){ret_token->run, ret_token->cmd, ret_token->item});
    bool current = job != NULL && job->remote && job->state == PW_JOB_RUNNING &&
                   pw_job_token(core, job).attempt == ret_token->attempt &&
                   ret_token->epoch == core->options.epoch;
    if (!current) {
        core->stats.stale++;
        pw_reply_now(core, rq,
                     pw_err(&err, PAWL_STALE, "that task is no longer the current attempt"), &err,
                     (pw_view){NULL, 0});
        return NULL;
    }
    if (!same_client(job->client, rq->client) || !secret_equal(job, secret)) {
        refused(core, "its token is not one that it was given");
        pw_reply_now(core, rq, pw_err(&err, PAWL_DENIED, "that token was not given to you"), &err,
                     (pw_view){NULL, 0});
        return NULL;
    }
    return job;
}

/* ---- reports ---- */

static pw_report_kind kind_of(pw_req_op op)
{
    switch ((int)op) {
    case PW_REQ_TASK_BEAT:
        return PW_REPORT_BEAT;
    case PW_REQ_TASK_OUTPUT:
        return PW_REPORT_OUTPUT;
    case PW_REQ_TASK_DONE:
        return PW_REPORT_DONE;
    case PW_REQ_TASK_FAIL:
        return PW_REPORT_FAILED;
    default:
        return PW_REPORT_CANCELED;
    }
}

/* What a worker says it spent; what is no amount is kept as "unknown": then it counts as no less than what was reserved. */
static const pawl_value *spent_of(pawl_scope *scope, const pawl_value *said)
{
    pw_amounts amounts;
    pawl_error err;
    pw_view bytes = pw_value_bytes(said);
    if (said == NULL || pawl_typeof(said) == PAWL_NIL) {
        return NULL;
    }
    bool fine = bytes.size <= PW_BUDGET_SPENT_BYTES_MAX &&
                pw_amounts_read(bytes, pw_spent_beside, &amounts, &err) == PAWL_OK;
    return fine ? pawl_copy(scope, said)
                : pawl_with(scope, pawl_build(scope, "{}"), "unknown", pawl_make_bool(scope, true));
}

static pw_report *report_of(const pw_request *rq, const pw_token *token)
{
    pw_report *r = pw_calloc(1, sizeof *r);
    pawl_scope *scope = r != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(r);
        return NULL;
    }
    r->kind = kind_of(rq->op);
    r->token = *token;
    r->scope = scope;
    const pawl_value *v =
        pawl_copy(scope, r->kind == PW_REPORT_OUTPUT
                             ? rq->args
                             : pawl_get(rq->args, r->kind == PW_REPORT_BEAT ? "detail" : "result"));
    if (r->kind == PW_REPORT_FAILED) {
        v = pawl_build(scope, "{type: %s, message: %s, details: %p, retryable: %p}",
                       pawl_str(rq->args, "type", "Failed"), pawl_str(rq->args, "message", ""),
                       pawl_v(pawl_get(rq->args, "details")),
                       pawl_v(pawl_make_bool(scope, pawl_bool(rq->args, "retryable", true))));
        const pawl_value *after = pawl_get(rq->args, "retry_ms");
        v = pawl_int(after, "", -1) < 0 ? v : pawl_with(scope, v, "retry_ms", after);
        const char *pause = pawl_str(rq->args, "pause", "");
        v = pause[0] == 0 ? v : pawl_with(scope, v, "pause", pawl_make_str(scope, pause));
        v = pawl_bool(rq->args, "unknown", false)
                ? pawl_with(scope, v, "unknown", pawl_make_bool(scope, true))
                : v;
    }
    r->value = pw_value_bytes(v);
    r->spent = spent_of(scope, pawl_get(rq->args, "spent"));
    if (pw_scope_failed(scope) || pw_scope_failed(rq->scope)) {
        pw_report_free(r);
        return NULL;
    }
    return r;
}

void pw_job_remote(pw_core *core, pw_request *rq)
{
    pw_token token;
    pawl_error err;
    pw_job *job = job_held(core, rq, &token);
    if (job == NULL) {
        return;
    }
    if (rq->op == PW_REQ_TASK_WAIT) {
        take_wait(core, job, rq);
        return;
    }
    bool cancel = job->cancel_requested;
    const pawl_value *reply =
        pawl_build(rq->scope, "{cancel: %p}", pawl_v(pawl_make_bool(rq->scope, cancel)));
    if (rq->op == PW_REQ_TASK_CANCELED && !pawl_bool(rq->args, "begun", true)) {
        pw_job_return(core, job);
        pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(reply));
        return;
    }
    const char *problem = rq->op == PW_REQ_TASK_OUTPUT ? pw_stream_problem(rq->args) : NULL;
    if (problem != NULL) {
        pw_reply_now(core, rq, pw_err(&err, PAWL_INVALID, "%s", problem), &err, (pw_view){NULL, 0});
        return;
    }
    pw_report *r = report_of(rq, &token);
    if (r == NULL) {
        pw_reply_now(core, rq, pw_err(&err, PAWL_NOMEM, "out of memory"), &err, (pw_view){NULL, 0});
        return;
    }
    PW_CHECK(pw_job_report(core, r));
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(reply));
}

/* ---- a worker that is gone ---- */

void pw_job_client_gone(pw_core *core, uint64_t client)
{
    drop_polls(core, client, false);
    pw_job *job, *next;
    DL_FOREACH_SAFE2(core->remote_jobs, job, next, m_next)
    {
        if (job->client == client) {
            pw_request_free(job->stop_wait);
            job->stop_wait = NULL;
            pw_job_lost(core, job, "WorkerLost", "the worker's connection is gone");
        }
    }
}
