/*
 * net_loop.h - the network thread: one libuv loop, one curl multi handle, and a queue into it.
 *
 *   any thread --pw_net_post(job)--> [queue] --wake--> net thread: job->run(job)
 *   curl <--socket and timer callbacks--> libuv
 *
 * Ownership: a job is intrusive, the poster's, and free again when its run is called. Everything but post and stop belongs to the net thread.
 */
#ifndef PW_NET_LOOP_H
#define PW_NET_LOOP_H

#include <curl/curl.h>
#include <uv.h>

#include "activities/egress.h"
#include "sdk/pawl_value.h"

typedef struct pw_net pw_net;

/** Work for the net thread. Posting cannot fail: it takes no memory. */
typedef struct pw_net_job {
    struct pw_net_job *next;
    void (*run)(struct pw_net_job
                    *job); /* also called, with the loop closing, for jobs posted before the stop */
} pw_net_job;

typedef struct pw_net_options {
    const pw_egress *egress; /* borrowed until stop; never NULL */
    const char *proxy;       /* NULL = none; the environment is never asked; copied */
    const char *ca_file;     /* NULL = the system's; copied */
    uint32_t
        transfers_max; /* under way at a time; 0 = PW_NET_TRANSFERS_MAX, and never more than descriptors allow */
} pw_net_options;

/** Starts the thread. Errors: NOMEM, LIMIT, UNSUPPORTED (a curl without what it needs). */
PAWL_MUST_USE pawl_status pw_net_start(const pw_net_options *options, pw_net **ret_net,
                                       pawl_error *err);
/** Ends every transfer as SHUTDOWN, waits for the thread, frees. Not from the net thread. Accepts NULL. */
void pw_net_stop(pw_net *net);
/** Runs the job on the net thread, soon and in order; false when the net has been stopped: it will not run. Thread: any. */
bool pw_net_post(pw_net *net, pw_net_job *job);

/* ---- net thread ---- */

const pw_net_options *pw_net_settings(const pw_net *net);
uv_loop_t *pw_net_uv(pw_net *net);
struct pw_net_watch *pw_net_watch_of(pw_net *net); /* every socket is opened and closed there */
bool pw_net_closing(const pw_net *net);
int64_t pw_net_now_ms(pw_net *net); /* monotonic, of this turn of the loop */

/** A handle that takes part in the multi handle. `done` is called from the loop, never from inside curl. */
typedef struct pw_net_transfer {
    struct pw_net_transfer *prev, *next;      /* in the list of all, or of those that wait */
    void (*start)(struct pw_net_transfer *t); /* its turn has come */
    void (*done)(struct pw_net_transfer *t, CURLcode code);
    void (*stop)(struct pw_net_transfer *t); /* the net is stopping: end now, and leave */
    bool active;
} pw_net_transfer;

/** Starts it now, or when others have left. False: too many wait. */
bool pw_net_enter(pw_net *net, pw_net_transfer *t);
/** It is over, whether it was active or waited. */
void pw_net_leave(pw_net *net, pw_net_transfer *t);
/** Gives a configured handle to curl, whose CURLOPT_PRIVATE is the transfer. */
bool pw_net_add(pw_net *net, CURL *easy);
void pw_net_remove(pw_net *net, CURL *easy);

#endif
