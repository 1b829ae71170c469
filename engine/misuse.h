/*
 * misuse.h - is this handle the one whose code runs here and now? Asked by every function of pawl_workflow.h before it looks into the handle:
 * one that was kept may be another thread's, suspended, or freed.
 */
#ifndef PW_MISUSE_H
#define PW_MISUSE_H

#include "engine/parts.h"

/** Whose function is on this thread's stack: a branch, a query handler's, a folded run's; NULL = none. */
extern _Thread_local pawl_run *pw_running;

/** Says so: the running code fails with type "Misuse"; where none runs, standard error gets a line, since the handle alone leads to an engine
 * and cannot be trusted. file NULL: the caller's address stands for it. Always false. */
bool pw_misused(const char *what, const char *file, int line, const void *caller);
/** Another branch of the same run: enough for what neither waits nor asks. */
bool pw_is_sibling(const pawl_run *w);

#define pw_mine(w, what, file, line) \
    ((w) == pw_running || pw_misused((what), (file), (line), __builtin_return_address(0)))
#define pw_ours(w, what, file, line)          \
    ((w) == pw_running || pw_is_sibling(w) || \
     pw_misused((what), (file), (line), __builtin_return_address(0)))

#endif
