/*
 * worker.h - running activities for an engine in another process: what `pawl worker` does inside its child.
 *
 *   engine --task_poll--> worker: attempt on a pool thread --task_beat*--> task_done | task_fail | task_canceled --> engine
 *             task_wait <-- answered when it should stop
 *
 * Thread: all functions belong to one thread; the pool's threads only hand reports over.
 */
#ifndef PW_WORKER_H
#define PW_WORKER_H

#include "sdk/base/error.h"
#include "sdk/pawl_activity.h"

#define PW_WORKER_PARALLEL_MAX 256
#define PW_WORKER_EXIT_HUNG 70 /* an activity does not stop: the process is to be replaced */

typedef struct pw_worker pw_worker;

typedef struct pw_worker_options {
    const char *journal_path; /* absolute; "" with connect */
    const char *connect;      /* HOST:PORT of a relay; NULL = the engine of the journal */
    const char *token;        /* for it */
    const char *ca_file;      /* whom to trust there; NULL = whom the system trusts */
    const char *worker_id;    /* the same for all processes that one watcher starts */
    const char *queue;        /* NULL = all */
    uint32_t parallel;        /* attempts at a time */
    int64_t grace_ms;         /* how long code that was told to stop may take */
    int64_t drain_ms;         /* how long attempts may go on after pw_worker_drain */
    int beat_fd; /* gets a byte now and then, as long as the loop lives; a reader that is gone ends the process */
    void (*say)(void *ctx, const char *text); /* for people: connected, lost */
    void *ctx;
} pw_worker_options;

/** Errors: NOMEM, LIMIT, IO, INVALID (connect, the certificates). */
pawl_status pw_worker_new(const pw_worker_options *options, pw_worker **ret_worker,
                          pawl_error *err);
void pw_worker_free(pw_worker *w); /* accepts NULL; waits a moment for what runs */
/** Loads a module's activities; its workflows are not looked at. Errors: as pawl_load_module; EXISTS: a second activity of one name. */
pawl_status pw_worker_module(pw_worker *w, const char *path, pawl_error *err);
/** The activities that a function registers. */
struct pawl_module_registrar;
typedef pawl_status (*pw_worker_code_fn)(struct pawl_module_registrar *reg, void *ctx,
                                         pawl_error *err);
pawl_status pw_worker_code(pw_worker *w, pw_worker_code_fn code, void *ctx, pawl_error *err);
size_t pw_worker_activities(const pw_worker *w);

/** Works until *signal_fd is readable (then drains) and all is done. 0, or PW_WORKER_EXIT_HUNG. */
int pw_worker_run(pw_worker *w, int signal_fd);

#endif
