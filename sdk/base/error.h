/*
 * error.h - filling a caller's pawl_error, and the check for our own bugs.
 */
#ifndef PW_ERROR_H
#define PW_ERROR_H

#include "sdk/pawl_value.h"

/** Fills err (may be NULL) and returns status, so that a caller writes `return pw_err(err, PAWL_IO, "...")`. */
#define pw_err(err, status, ...) pw_error_set((err), (status), __FILE__, __LINE__, __VA_ARGS__)
pawl_status pw_error_set(pawl_error *err, pawl_status status, const char *file, int line,
                         const char *fmt, ...) PAWL_PRINTF(5, 6);
/** Prepends "context: " to the message and returns its status. */
pawl_status pw_error_wrap(pawl_error *err, pawl_status status, const char *fmt, ...)
    PAWL_PRINTF(3, 4);

/** A broken invariant of ours: on in release too; prints to stderr and aborts through pw_check_failed. */
#define PW_CHECK(cond) ((cond) ? (void)0 : pw_check_failed(#cond, __FILE__, __LINE__))
_Noreturn void pw_check_failed(const char *what, const char *file, int line);

#define PW_CLEANUP(fn) __attribute__((cleanup(fn)))
#define PW_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
