/*
 * watchdog.h - notices code that holds the engine's loop, and names it.
 *
 * Reads the breadcrumb every PW_WATCHDOG_TICK_MS while the loop is awake or a transactional step runs, and parks after a second without. It cannot stop the
 * code: C offers no way to. It says so (at 50 ms, 500 ms, 5 s), and aborts when the host chose a limit; the breadcrumb then counts towards
 * the run's quarantine.
 */
#ifndef PW_WATCHDOG_H
#define PW_WATCHDOG_H

#include "journal/crumb.h"

#define PW_WATCHDOG_TICK_MS 20

typedef struct pw_watchdog pw_watchdog;

/** Called on the watchdog's thread. slot: PW_CRUMB_LOOP or PW_CRUMB_JOURNAL. fatal: the process is aborted when it comes back. */
typedef void (*pw_held_fn)(void *ctx, int slot, int64_t run, const char *site, int64_t held_ms,
                           bool fatal);

typedef struct pw_watchdog_options {
    const pw_crumb *crumb;
    int64_t warn_ms;  /* 0 = PW_LOCAL_STEP_WARN_MS */
    int64_t abort_ms; /* 0 = never */
    pw_held_fn held;
    void *ctx;
} pw_watchdog_options;

pawl_status pw_watchdog_start(const pw_watchdog_options *options, pw_watchdog **ret_watchdog,
                              pawl_error *err);
void pw_watchdog_stop(pw_watchdog *wd); /* accepts NULL */

/* the loop says when it sleeps; both accept NULL and cost a few nanoseconds */
void pw_watchdog_loop_awake(pw_watchdog *wd);
void pw_watchdog_loop_asleep(pw_watchdog *wd);

/** An alternate signal stack for the calling thread (a handler cannot run on a stack that has just overflowed). Freed by deinit on the same
 * thread. */
void *pw_watchdog_altstack_init(void);
void pw_watchdog_altstack_deinit(void *altstack);

#endif
