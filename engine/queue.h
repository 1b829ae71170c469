/*
 * queue.h - task queues: which attempt starts next.
 *
 *   queue "llm" -- limits: attempts at a time; and for each key a token bucket
 *     |- key "openai" --- bucket
 *     |    `- share: the key's attempts of one priority        takes turns with the shares of other keys
 *     |         `- flow: those of one activity, first in first out
 *     `- lane: the flows of one activity                       open while the activity has room here, or a worker that polls for it
 *
 * [Q1] A queue never has more attempts under way than its limit, and a key never starts more than its bucket allows, also across restarts.
 * [Q2] Higher priority first; keys of one priority take turns; attempts of one key, priority and activity start in the order they came.
 * [Q3] What cannot start (its activity has no room, its key no token) holds up nobody else.
 * [Q4] Each decision takes O(log n) of what is queued; nothing is found by looking through what waits.
 *
 * Memory is taken when a job is made or a worker polls; from then on nothing here fails.
 */
#ifndef PW_QUEUE_H
#define PW_QUEUE_H

#include "engine/parts.h"

/** A parked poll of a worker. */
typedef struct pw_poll pw_poll;

/* jobs */
bool pw_queue_join(pw_core *core, pw_job *job); /* when it is made; false: no memory */
void pw_queue_leave(pw_core *core, pw_job *job);
void pw_queue_put(
    pw_core *core,
    pw_job *
        job); /* it wants to start; the last of its flow. With a grant: in core->queue_granted, at once */
void pw_queue_out(pw_core *core, pw_job *job); /* not any more */
/** The job to start next, which stays queued until it is granted; NULL = none can. ret_poll: whose worker runs it, NULL = here. */
pw_job *pw_queue_pick(pw_core *core, pw_poll **ret_poll);
/** It leaves the queue with a token and a place. */
void pw_queue_grant(pw_core *core, pw_job *job);
void pw_queue_end(pw_core *core, pw_job *job); /* gives its place back; nothing without a grant */

/* who runs them */
void pw_queue_act(pw_core *core, pw_act *act); /* it was registered, or has more or less room */
pawl_status pw_queue_poll(pw_core *core, pw_request *rq,
                          pawl_error *err); /* parks it. Errors: NOMEM, INVALID */
/** The oldest poll that would take the job, what its worker says of the effect, and whether it can read one back; NULL = none. */
pw_poll *pw_queue_poll_for(const pw_job *job, pawl_effect *ret_effect, bool *ret_reads_back);
pw_request *pw_queue_poll_take(pw_core *core, pw_poll *poll);
pw_poll *pw_queue_poll_next(pw_core *core, const pw_poll *after); /* NULL: the first */
uint64_t pw_queue_poll_client(const pw_poll *poll);
/** It waits to start, and nobody is here who could run it: no registration, no worker that asks for it or runs another of its kind. */
bool pw_queue_nobody(const pw_core *core, const pw_job *job);
void pw_queue_missed(pw_core *core,
                     const pw_job *job); /* warns of that, once for all who wait for the same */

/* the loop */
void pw_queues_step(pw_core *core);    /* buckets that have a token again */
int64_t pw_queues_next(pw_core *core); /* ms until one has; -1 = none is waited for */
void pw_queues_clock(pw_core *core);   /* the clock may have jumped back */
void pw_queues_init(pw_core *core);
void pw_queues_free(pw_core *core);                       /* after the jobs */
void pw_polls_free(pw_core *core, const pawl_error *err); /* answers them */
void pw_queues_check(pw_core *core);

/* queue_set.c */
void pw_queue_set(pw_core *core, pw_request *rq);
void pw_queue_list(pw_core *core, pw_request *rq);
void pw_queue_landed(pw_core *core, pw_view row);
pawl_status pw_queues_recover(pw_core *core, pawl_error *err);

#endif
