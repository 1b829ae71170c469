/*
 * loop.h - the engine's thread: takes the mail, steps the core, sleeps until there is mail or a timer is due.
 *
 * Timers are wall-clock times: the sleep is a timerfd on CLOCK_REALTIME, absolute, cancelled when somebody sets the clock, so a jump and a
 * sleep of the machine are both seen. All signals are blocked in the thread. poll(2) only: nothing here needs an event library.
 */
#ifndef PW_LOOP_H
#define PW_LOOP_H

#include "engine/core.h"
#include "engine/mailbox.h"
#include "engine/watchdog.h"

typedef struct pw_loop pw_loop;

/** Starts the thread, which owns core until pw_loop_stop has returned. watchdog may be NULL. Errors: NOMEM, IO. */
pawl_status pw_loop_start(pw_core *core, pw_mailbox *mailbox, pw_watchdog *watchdog,
                          pw_loop **ret_loop, pawl_error *err);
/** Runs fn on the engine's thread and waits for it. Not from that thread. */
pawl_status pw_loop_call(pw_loop *loop, pawl_status (*fn)(void *ctx, pawl_error *err), void *ctx,
                         pawl_error *err);
/** Waits until the core is idle and (tasks true) no task runs, at most timeout_ms. False when it is not by then. */
bool pw_loop_settle(pw_loop *loop, bool tasks, int64_t timeout_ms);
/** Takes what mail is there, then ends the thread. Calls that come later are the caller's to run. Accepts NULL. */
void pw_loop_stop(pw_loop *loop);
void pw_loop_free(pw_loop *loop); /* after stop; accepts NULL */
/** True on the engine's thread. */
bool pw_loop_is_self(const pw_loop *loop);
/** CPU microseconds the thread has used. */
int64_t pw_loop_cpu_us(const pw_loop *loop);

#endif
