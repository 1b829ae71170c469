/*
 * crumb.h - the breadcrumb: a mapped file beside the journal that says whose code runs right now. It survives SIGKILL without a sync.
 * A slot for the engine loop and one for the journal thread (run key, site, since when), and slots for attempts of activities that run on
 * threads of this process.
 */
#ifndef PW_CRUMB_H
#define PW_CRUMB_H

#include "journal/journal.h"
#include "sdk/base/limits.h"

#define PW_CRUMB_SITE_BYTES 128
#define PW_CRUMB_TASKS_MAX PW_POOL_THREADS_MAX

/** Whose slot it is; each is written by that thread alone. */
enum { PW_CRUMB_LOOP, PW_CRUMB_JOURNAL, PW_CRUMB_SITES };

typedef struct pw_crumb pw_crumb;
typedef struct pw_crumb_task {
    int64_t run; /* 0 = none */
    int64_t cmd;
    int64_t item;
    int64_t attempt;
} pw_crumb_task;
typedef struct pw_crumb_found {
    int64_t run; /* 0 = a clean end */
    char site[PW_CRUMB_SITE_BYTES];
    int64_t tx_run; /* whose transactional step ran on the journal thread */
    char tx_site[PW_CRUMB_SITE_BYTES];
    size_t tasks_len;
    pw_crumb_task tasks[PW_CRUMB_TASKS_MAX]; /* attempts that had begun */
} pw_crumb_found;

/** Maps <journal>.crumb, creating it; tells what the last owner left, which stays there until pw_crumb_own: up to then nothing that is stored here
 * gets into the file. path NULL = anonymous memory (simulator). */
pawl_status pw_crumb_open(const char *journal_path, pw_crumb **ret_crumb, pw_crumb_found *ret_found,
                          pawl_error *err);
/** From here on what is stored survives this process; what was found is gone from the file, and the caller counts it. No code of a run is inside.
 * Again, or NULL: no matter. Errors: NOMEM: it is as before. */
pawl_status pw_crumb_own(pw_crumb *c, pawl_error *err);
/** Before code of a run is entered / after it came back. A few stores, no syscall. since_ns: CLOCK_MONOTONIC, 0 = unknown. */
void pw_crumb_enter(pw_crumb *c, int slot, int64_t run, const char *site, int64_t since_ns);
void pw_crumb_leave(pw_crumb *c, int slot);
/** For the watchdog, any thread: the run in there now and since when (0 = none). */
int64_t pw_crumb_peek(const pw_crumb *c, int slot, int64_t *ret_since_ns,
                      char site[PW_CRUMB_SITE_BYTES]);
/** Before and after an attempt of an activity runs; any thread. The slot, or -1 when all are taken: that attempt is not seen. A thread that
 * comes back after the close finds the mapping still there, and leaves no trace in it. */
int pw_crumb_task_begin(pw_crumb *c, const pw_crumb_task *task);
void pw_crumb_task_end(pw_crumb *c, int slot); /* accepts -1 */
void pw_crumb_close(pw_crumb *c, bool clean); /* clean: nobody is in there any more; accepts NULL */

#endif
