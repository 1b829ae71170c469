/*
 * job_new.c - attempts of activities made: what their command says, and where they are found again.
 *
 * A job stands in the core's table and in the list of its run. Does not queue or start anything: job.c does.
 */
#include <string.h>

#include "engine/budget.h"
#include "engine/job.h"
#include "engine/map.h"
#include "engine/queue.h"

pw_job *pw_job_find(pw_core *core, pw_job_key key)
{
    pw_job *job;
    HASH_FIND(hh, core->jobs, &key, sizeof key, job);
    return job;
}

pw_run_jobs *pw_run_jobs_find(pw_core *core, int64_t run)
{
    pw_run_jobs *rj;
    HASH_FIND(hh, core->run_jobs, &run, sizeof run, rj);
    return rj;
}

/* NULL = no memory. */
pw_run_jobs *pw_run_jobs_get(pw_core *core, int64_t run)
{
    pw_run_jobs *rj = pw_run_jobs_find(core, run);
    if (rj != NULL) {
        return rj;
    }
    rj = pw_calloc(1, sizeof *rj);
    if (rj == NULL) {
        return NULL;
    }
    rj->run = run;
    HASH_ADD(hh, core->run_jobs, run, sizeof rj->run, rj);
    if (rj->hh.tbl == NULL) {
        pw_free(rj);
        return NULL;
    }
    return rj;
}

void pw_run_jobs_trim(pw_core *core, pw_run_jobs *rj)
{
    if (rj->jobs == NULL && !rj->held) {
        HASH_DEL(core->run_jobs, rj);
        pw_free(rj);
    }
}

static void read_options(pw_job *job)
{
    job->retry.attempts_max = pw_body_int(job->body, "attempts", 5);
    job->retry.initial_ms = pw_body_int(job->body, "retry_initial_ms", 1000);
    job->retry.factor = pw_body_num(job->body, "retry_factor", 2.0);
    job->retry.max_ms = pw_body_int(job->body, "retry_max_ms", 100000);
    job->retry.no_retry = pw_body_str(job->scope, job->body, "no_retry", "");
    job->timeout_ms = pw_body_int(job->body, "timeout_ms", 0);
    job->schedule_ms = pw_body_int(job->body, "schedule_ms", 0);
    job->heartbeat_ms = pw_body_int(job->body, "heartbeat_ms", 0);
    job->effect = (pawl_effect)pw_body_int(job->body, "effect", 0);
    job->priority = pw_body_int(job->body, "priority", 0);
    job->let_run = pw_body_int(job->body, "on_cancel", 0) == PAWL_CANCEL_ABANDON;
    job->queue = pw_body_str(job->scope, job->body, "queue", "default");
    job->limit_key = pw_body_str(job->scope, job->body, "limit_key", "");
    job->name = pw_body_str(job->scope, job->body, "name", "");
    job->reserves = pw_budget_reserves(job->body);
}

static void copy_options(pw_job *job, const pw_job *model)
{
    job->retry = model->retry;
    job->timeout_ms = model->timeout_ms;
    job->schedule_ms = model->schedule_ms;
    job->heartbeat_ms = model->heartbeat_ms;
    job->effect = model->effect;
    job->priority = model->priority;
    job->let_run = model->let_run;
    job->queue = model->queue;
    job->limit_key = model->limit_key;
    job->name = model->name;
    job->reserves = model->reserves;
    job->run_id = model->run_id;
}

pw_job *pw_job_model(pawl_scope *scope, const char *run_id, pw_view body)
{
    pw_job *job = pawl_scope_alloc(scope, sizeof *job);
    if (job != NULL) {
        job->scope = scope;
        job->run_id = run_id;
        job->body = body;
        read_options(job);
    }
    return job;
}

static bool job_fill(pw_core *core, pw_job *job, const char *run_id, pw_view body)
{
    if (job->map != NULL) {
        job->body = body;
        copy_options(job, job->map->model);
        return true;
    }
    job->run_id = pw_strdup(job->scope, run_id);
    job->body = (pw_view){pw_memdup(job->scope, body.data, body.size), body.size};
    if (pw_scope_failed(job->scope)) {
        return false;
    }
    read_options(job);
    job->input = pw_body_value(core, job->scope, job->body, "input");
    return !pw_scope_failed(job->scope);
}

static bool job_index(pw_core *core, pw_job *job)
{
    pw_run_jobs *rj = pw_run_jobs_get(core, job->key.run);
    if (rj == NULL) {
        return false;
    }
    if (pw_queue_join(core, job)) {
        HASH_ADD(hh, core->jobs, key, sizeof job->key, job);
    }
    if (job->hh.tbl == NULL) {
        pw_queue_leave(core, job);
        pw_run_jobs_trim(core, rj);
        return false;
    }
    DL_APPEND2(rj->jobs, job, r_prev, r_next);
    return true;
}

pw_job *pw_job_new(pw_core *core, pw_job_key key, const char *run_id, pw_view body, pw_map *map)
{
    pw_job *job = pw_calloc(1, sizeof *job);
    pawl_scope *scope = job != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(job);
        return NULL;
    }
    job->scope = scope;
    job->key = key;
    job->map = map;
    job->attempt = 1;
    job->scheduled_ms = pw_core_now(core);
    if (!job_fill(core, job, run_id, body) || !job_index(core, job)) {
        pawl_scope_free(scope);
        pw_free(job);
        return NULL;
    }
    return job;
}
