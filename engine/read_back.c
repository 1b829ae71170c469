/*
 * read_back.c - an unsafe effect whose outcome nobody knows: its activity may know how to find out, before anybody is asked.
 *
 *   sent, then silence --> CHECKING: the read-back runs as an attempt of its own, in the same queue
 *                             |-- it happened: the step completes with the result that was found
 *                             |-- it did not, and no longer will: sent again, at the cost of no retry
 *                             '-- it cannot tell, fails, is cut or never begins: the run asks (ActivityUnknown)
 *
 * Nothing of it is journaled before its answer: the task's row says `sent` until then, so that a crash in the middle leads here again; but a read-back
 * that ended its process is not begun twice. Its token has a bit of its own in the attempt: what the attempt before still says is stale.
 *
 * Does not know what a read-back looks at.
 */
#include <string.h>

#include "engine/job.h"
#include "engine/map.h"
#include "engine/queue.h"

const char *const pw_found_names[PW_FOUND] = {"unknown", "done", "nothing"};

/* ---- the code, on the thread that runs it ---- */

const pawl_value *pw_read_back_run(pawl_task *task, const pawl_value *input, void *user)
{
    const pw_read_back *code = user;
    const pawl_value *result = NULL;
    pawl_found found = code->fn(task, input, code->user, &result);
    if (found != PAWL_FOUND_DONE && found != PAWL_FOUND_NOTHING) {
        found = PAWL_FOUND_UNKNOWN;
    }
    return pawl_task_build(task, "{found: %s, result: %p}", pw_found_names[found],
                           pawl_v(found == PAWL_FOUND_DONE ? result : NULL));
}

/* ---- whether ---- */

static const pw_act *act_of(pw_core *core, const pw_job *job)
{
    pw_act *act;
    HASH_FIND(hh, core->acts, job->name, strlen(job->name), act);
    return act != NULL && act->fn != NULL ? act : NULL;
}

bool pw_job_can_read_back(pw_core *core, const pw_job *job)
{
    const pw_act *act = act_of(core, job);
    return !job->checking && (act != NULL ? act->read_back.fn != NULL : job->read_back);
}

/* ---- the life of one ---- */

void pw_job_ask(pw_core *core, pw_job *job)
{
    job->checking = false;
    if (job->map != NULL) {
        pw_job_fail(core, job, "Unknown", PW_MAP_UNKNOWN_TEXT, false);
        return;
    }
    pw_job_over(core, job);
    job->state = PW_JOB_UNKNOWN;
    job->asked = true;
    pw_job_tell(core, job, PW_IN_UNKNOWN, NULL);
}

void pw_job_unknown(pw_core *core, pw_job *job, bool doubt)
{
    if (!pw_job_can_read_back(core, job)) {
        pw_job_ask(core, job);
        return;
    }
    pw_job_over(core, job);
    job->checking = true;
    job->doubt = doubt;
    job->sent = true;
    job->due_ms = 0;
    pw_job_queue(core, job);
}

/* What it found, as if the attempt itself had said so. NULL = no memory. */
static pw_report *found_report(pw_report *r, const pw_job *job, const pawl_value *v, bool done)
{
    r->token.attempt = job->attempt;
    r->read_back = true;
    if (done) {
        r->kind = PW_REPORT_DONE;
        r->value = pw_value_bytes(pawl_get(v, "result"));
        return r;
    }
    r->kind = PW_REPORT_FAILED;
    r->value = pw_value_bytes(pawl_build(
        r->scope, "{type: %s, message: %s, retryable: %p, retry_ms: %lld}", "DidNotHappen",
        "read back: it was sent and did not happen", pawl_v(pawl_make_bool(r->scope, true)), 0LL));
    if (pw_scope_failed(r->scope)) {
        pw_report_free(r);
        return NULL;
    }
    return r;
}

void pw_job_checked(pw_core *core, pw_job *job, pw_report *r)
{
    const pawl_value *v = r->kind == PW_REPORT_DONE && r->scope != NULL
                              ? pw_value_view(r->scope, r->value.data, r->value.size)
                              : NULL;
    bool done = pawl_is(v, "found", pw_found_names[PAWL_FOUND_DONE]);
    bool nothing = pawl_is(v, "found", pw_found_names[PAWL_FOUND_NOTHING]) && !job->doubt;
    bool stopped = r->kind == PW_REPORT_CANCELED && core->shutdown && !job->cancel_requested;
    if (stopped) { /* this process is closing: the next one looks */
        pw_report_free(r);
        pw_job_over(core, job);
        pw_job_queue(core, job);
        return;
    }
    pw_report *end = done || nothing ? found_report(r, job, v, done) : NULL;
    if (end == NULL) {
        if (!done && !nothing) {
            pw_report_free(r);
        }
        pw_job_ask(core, job);
        return;
    }
    job->checking = false;
    if (nothing && job->cancel_requested) { /* and so there is nothing to take back */
        pw_report_free(end);
        pw_job_over(core, job);
        job->may_have = false;
        pw_job_cancel_now(core, job);
        return;
    }
    pw_job_ended(core, job, end);
}
