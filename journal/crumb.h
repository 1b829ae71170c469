/*
 * crumb.h - the breadcrumb: a mapped page beside the journal that says which run's code holds the
 * engine loop right now. It survives SIGKILL without a sync. One slot: epoch, run key, site, since
 * when.
 */
#ifndef PW_CRUMB_H
#define PW_CRUMB_H

#include "journal/journal.h"

typedef struct pw_crumb pw_crumb;
typedef struct pw_crumb_found {
    int64_t run; /* 0 = a clean end */
    char site[64];
} pw_crumb_found;

/** Maps <journal>.crumb, creating it; tells what the last owner left. path NULL = anonymous memory (simulator). */
pawl_status pw_crumb_open(const char *journal_path, pw_crumb **ret_crumb, pw_crumb_found *ret_found, pawl_error *err);
/** Before code of a run is entered / after it came back. A few stores, no syscall. since_ns: CLOCK_MONOTONIC, 0 = unknown. */
void pw_crumb_enter(pw_crumb *c, int64_t run, const char *site, int64_t since_ns);
void pw_crumb_leave(pw_crumb *c);
/** For the watchdog, any thread: the run in there now and since when (0 = none). */
int64_t pw_crumb_peek(const pw_crumb *c, int64_t *ret_since_ns, char site[64]);
void pw_crumb_close(pw_crumb *c); /* clean end; accepts NULL */

#endif
