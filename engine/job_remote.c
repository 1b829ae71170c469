/*
 * job_remote.c - jobs that a worker elsewhere runs: task_poll parks until there is one; task_beat, task_done, task_fail and
 * task_canceled report by token. A worker whose connection is gone has lost its attempts.
 * Does not know the wire: requests come and go as data.
 */
#include <string.h>

#include "engine/job.h"
#include "engine/requests.h"

static bool wants(const pw_request *rq, const pw_job *job)
{
    const pawl_value *list = pawl_get(rq->args, "activities");
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(list, i), "", job->name)) {
            return true;
        }
    }
    return false;
}

pw_request *pw_job_poller(pw_core *core, const pw_job *job)
{
    for (pw_request *rq = core->polls; rq != NULL; rq = rq->next) {
        if (wants(rq, job)) {
            return rq;
        }
    }
    return NULL;
}

bool pw_job_start_remote(pw_core *core, pw_job *job)
{
    pw_request *rq = pw_job_poller(core, job);
    PW_CHECK(rq != NULL);
    pw_token token = {job->key.run, job->key.cmd, job->key.item, job->attempt, core->options.epoch};
    char text[120];
    pw_token_print(&token, text);
    const pawl_value *reply =
        pawl_build(rq->scope, "{token: %s, activity: %s, run: %s, attempt: %lld, key: %s, deadline_ms: %lld, input: %p}", text, job->name,
                   job->run_id, (long long)job->attempt, pw_task_key(rq->scope, &token, job->run_id),
                   (long long)(job->timeout_ms > 0 ? pw_core_now(core) + job->timeout_ms : 0), pawl_v(job->input));
    LL_DELETE(core->polls, rq);
    rq->next = NULL;
    if (pw_scope_failed(rq->scope)) {
        pw_request_nomem(core, rq);
        return false;
    }
    pw_job_unqueue(core, job);
    job->state = PW_JOB_RUNNING;
    job->remote = true;
    job->client = rq->client;
    core->stats.jobs_started++;
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(reply));
    pw_job_begun(core, job);
    return true;
}

void pw_job_poll(pw_core *core, pw_request *rq)
{
    LL_APPEND(core->polls, rq);
    core->queue_dirty = true;
}

static pw_report_kind kind_of(pw_req_op op)
{
    switch ((int)op) {
    case PW_REQ_TASK_BEAT:
        return PW_REPORT_BEAT;
    case PW_REQ_TASK_DONE:
        return PW_REPORT_DONE;
    case PW_REQ_TASK_FAIL:
        return PW_REPORT_FAILED;
    default:
        return PW_REPORT_CANCELED;
    }
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
    const pawl_value *v = pawl_copy(scope, pawl_get(rq->args, r->kind == PW_REPORT_BEAT ? "detail" : "result"));
    if (r->kind == PW_REPORT_FAILED) {
        v = pawl_build(scope, "{type: %s, message: %s, details: %p, retryable: %p}", pawl_str(rq->args, "type", "Failed"),
                       pawl_str(rq->args, "message", ""), pawl_v(pawl_get(rq->args, "details")),
                       pawl_v(pawl_make_bool(scope, pawl_bool(rq->args, "retryable", true))));
    }
    r->value = pw_value_bytes(v);
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
    if (!pw_token_parse(pawl_str(rq->args, "token", ""), &token)) {
        pw_reply_now(core, rq, pw_err(&err, PAWL_INVALID, "that is not a task token"), &err, (pw_view){NULL, 0});
        return;
    }
    const pw_job *job = pw_job_find(core, (pw_job_key){token.run, token.cmd, token.item});
    bool cancel = job != NULL && job->cancel_requested;
    const pawl_value *reply = pawl_build(rq->scope, "{cancel: %p}", pawl_v(pawl_make_bool(rq->scope, cancel)));
    pw_report *r = report_of(rq, &token);
    if (r == NULL) {
        pw_reply_now(core, rq, pw_err(&err, PAWL_NOMEM, "out of memory"), &err, (pw_view){NULL, 0});
        return;
    }
    if (!pw_job_report(core, r)) {
        pw_reply_now(core, rq, pw_err(&err, PAWL_STALE, "that task is no longer the current attempt"), &err, (pw_view){NULL, 0});
        return;
    }
    pw_reply_now(core, rq, PAWL_OK, NULL, pw_value_bytes(reply));
}

void pw_job_client_gone(pw_core *core, uint64_t client)
{
    pw_request *rq, *next;
    LL_FOREACH_SAFE(core->polls, rq, next)
    {
        if (rq->client == client) {
            LL_DELETE(core->polls, rq);
            pw_request_free(rq);
        }
    }
    pw_job *job, *jnext;
    HASH_ITER(hh, core->jobs, job, jnext)
    {
        if (job->remote && job->client == client && job->state == PW_JOB_RUNNING) {
            pw_job_lost(core, job, "WorkerLost", "the worker's connection is gone");
        }
    }
}
