/*
 * job.h - between job.c and job_remote.c.
 */
#ifndef PW_JOB_H
#define PW_JOB_H

#include <stdio.h>

#include "engine/parts.h"

/** Hands the job to that poll. False: no memory; the poll is refused and the job stays where it is. */
bool pw_job_start_remote(pw_core *core, pw_job *job, struct pw_poll *poll);
/** Its worker holds it no longer; nothing for a job that runs here. */
void pw_job_remote_over(pw_core *core, pw_job *job);
/** Asks the worker to stop; nothing for a job that runs here. */
void pw_job_remote_cancel(pw_core *core, pw_job *job);
/** The attempt was never begun: it goes back into the queue as it was. */
void pw_job_return(pw_core *core, pw_job *job);
/** Tells its run, now or as soon as there is memory. Takes the report over, which may be NULL. */
void pw_job_tell(pw_core *core, pw_job *job, pw_input_kind kind, pw_report *report);
void pw_job_begun(pw_core *core, pw_job *job);
void pw_job_fail(pw_core *core, pw_job *job, const char *type, const char *message, bool retryable);
/** The attempt ended without a word: tried again, or, when `sent` was written for it, asked about. */
void pw_job_lost(pw_core *core, pw_job *job, const char *type, const char *message);
void pw_job_cancel_now(pw_core *core, pw_job *job);
/** Its place here, until it is given back. */
void pw_job_take_slot(pw_core *core, pw_job *job, pw_act *act);
/** Its place in queue and pool is taken; it begins when the commit that says so has landed. act NULL: of a worker elsewhere. */
void pw_job_sending(pw_core *core, pw_job *job, pw_act *act);
void pw_job_give_place(pw_core *core, pw_job *job);
/** The attempt is over, or was not to be: what it holds is given back. */
void pw_job_release(pw_core *core, pw_job *job);

/* job_budget.c */

/** What it has set aside may be used from now on: that is committed before it begins [B2]. False: no memory. */
bool pw_job_book(pw_core *core, pw_job *job, pw_act *act);
/** Takes it out of its queue; what its code still does no longer counts. */
void pw_job_over(pw_core *core, pw_job *job);
/** The end of an attempt; takes the report over. */
void pw_job_ended(pw_core *core, pw_job *job, pw_report *r);
/** The token of what runs: the attempt, or its read-back. */
pw_token pw_job_token(const pw_core *core, const pw_job *job);

/* job_new.c */

/** Of a run, made when there are none. NULL = no memory. */
pw_run_jobs *pw_run_jobs_get(pw_core *core, int64_t run);
/** Forgets an empty one. */
void pw_run_jobs_trim(pw_core *core, pw_run_jobs *rj);

/* job_pause.c */

/** A failure that only a person can mend pauses its run first. */
void pw_job_pause(pw_core *core, const pw_job *job, const pw_report *r);
/** Pauses the run of an attempt that cannot begin. False: no memory. */
bool pw_job_pause_run(pw_core *core, const pw_job *job, const char *reason);

/* read_back.c */

/** Nobody knows what came of an unsafe effect: it is read back, else asked about. doubt: its code may still run. */
void pw_job_unknown(pw_core *core, pw_job *job, bool doubt);
/** It is asked about (an item of a map fails). */
void pw_job_ask(pw_core *core, pw_job *job);
bool pw_job_can_read_back(pw_core *core, const pw_job *job);
/** The end of a read-back; takes the report over. */
void pw_job_checked(pw_core *core, pw_job *job, pw_report *r);

#endif
