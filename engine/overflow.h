/*
 * overflow.h - explains the end of a process whose workflow code has used up its stack.
 */
#ifndef PW_OVERFLOW_H
#define PW_OVERFLOW_H

#include "sdk/base/error.h"

/** From here on, as long as somebody watches: a SIGSEGV handler that names the run whose stack overflowed, and hands this and any other fault
 * on to the handler that was there before. One a process; counts its watchers. Errors: IO. */
pawl_status pw_overflow_watch(pawl_error *err);
/** The last one puts the handler of before back, unless another has been put over ours: then ours stays beneath it, and only hands on. */
void pw_overflow_unwatch(void);

#endif
