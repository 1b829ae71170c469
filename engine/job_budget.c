/*
 * job_budget.c - attempts that reserve: the commit before they begin, and being held.
 *
 *   QUEUED --pw_job_book--> SENDING --landed--> QUEUED --> RUNNING         [B2]
 *      '--does not fit--> SHORT --room, or a limit was raised--> QUEUED
 *
 * Does not decide what fits: budget_step.c does, in a turn of the run.
 */
#include "engine/budget.h"
#include "engine/job.h"
#include "engine/queue.h"

void pw_job_sending(pw_core *core, pw_job *job, pw_act *act)
{
    pw_queue_grant(core, job);
    if (act != NULL) {
        pw_job_take_slot(core, job, act);
    }
    job->state = PW_JOB_SENDING;
}

bool pw_job_book(pw_core *core, pw_job *job, pw_act *act)
{
    pw_batch *b = pw_batch_get(core);
    if (b == NULL) {
        return false;
    }
    pw_batch_mark mark = pw_batch_mark_of(b);
    pw_budget_begin(b, job->key);
    pw_publish *p = pw_batch_publish(b);
    p->kind = PW_PUB_BOOKED;
    p->job = job->key;
    p->attempt = job->attempt;
    if (pw_batch_lost(b)) {
        pw_batch_undo(b, &mark);
        return false;
    }
    pw_job_sending(core, job, act);
    return true;
}

void pw_job_booked(pw_core *core, pw_job *job, bool landed)
{
    job->booked = landed;
    if (job->state != PW_JOB_SENDING) {
        return;
    }
    if (!landed) {
        pw_queue_out(core, job);
        pw_job_give_place(core, job);
    }
    if (job->cancel_requested) {
        pw_job_cancel_now(core, job);
    } else {
        pw_job_queue(core, job);
    }
}

void pw_job_short(pw_core *core, pw_job *job, bool asks)
{
    if (job->in_queue || job->granted) {
        pw_queue_out(core, job);
    }
    pw_job_release(core, job);
    job->state = PW_JOB_SHORT;
    job->asked = asks;
    job->booked = job->again = false;
    if (job->cancel_requested) {
        pw_job_cancel_now(core, job);
    }
}

void pw_job_funded(pw_core *core, pw_job *job)
{
    if (job->state == PW_JOB_SHORT) {
        job->asked = job->booked = job->again = false;
        pw_job_queue(core, job);
    }
}
