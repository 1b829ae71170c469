/*
 * fiber.h - stacks for workflow code, behind four functions. A backend (Boost.Context's fcontext, ucontext) is one file, picked by
 * the build. Annotated for ASan, TSan and valgrind. A fiber never moves between threads.
 */
#ifndef PW_FIBER_H
#define PW_FIBER_H

#include "sdk/base/error.h"

typedef struct pw_fiber pw_fiber;
typedef void (*pw_fiber_fn)(void *arg);

/** A stack of at least stack_bytes (0 = PW_STACK_BYTES) with a guard page below, from a pool; not started. Errors: NOMEM, LIMIT. */
pawl_status pw_fiber_new(pw_fiber_fn fn, void *arg, size_t stack_bytes, pw_fiber **ret_fiber,
                         pawl_error *err);
/** Switches to it; comes back when it yields (true) or its function has returned (false). */
bool pw_fiber_resume(pw_fiber *f);
/** From inside: back to the one who resumed. */
void pw_fiber_yield(pw_fiber *f);
/** Discards a fiber, suspended or finished, never the running one: what lives on its stack is not destroyed. Accepts NULL. Gives its peak. */
size_t pw_fiber_free(pw_fiber *f);

/** Deepest use so far, bytes: from the deepest word that is not zero. Under valgrind: pages touched. */
size_t pw_fiber_peak(const pw_fiber *f);
/** What a stack of stack_bytes really gets. */
size_t pw_fiber_bytes(size_t stack_bytes);
/** True if addr is in the guard page of a live fiber of this process; *ret_arg is that fiber's arg. Async-signal-safe. */
bool pw_fiber_guard_hit(const void *addr, void **ret_arg);
/** Unmaps the pooled stacks. */
void pw_fiber_trim(void);

#endif
