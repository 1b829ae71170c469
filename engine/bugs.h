/*
 * bugs.h - bugs on purpose: built in with -DPAWL_BUG_<NAME>, and caught by the tests or the tests are no good. Constants, so that
 * the code around them reads and compiles the same with and without.
 */
#ifndef PW_ENGINE_BUGS_H
#define PW_ENGINE_BUGS_H

/** A report of an earlier attempt or epoch counts. */
#ifdef PAWL_BUG_STALE_APPLIED
#define PW_BUG_STALE_APPLIED 1
#else
#define PW_BUG_STALE_APPLIED 0
#endif

/** An unsafe attempt that was cut is simply sent again. */
#ifdef PAWL_BUG_RESEND_UNKNOWN
#define PW_BUG_RESEND_UNKNOWN 1
#else
#define PW_BUG_RESEND_UNKNOWN 0
#endif

#endif
