/*
 * release_step.h - what the release's steps share: running a program that must succeed, and saying what went wrong with a file.
 */
#ifndef PW_RELEASE_STEP_H
#define PW_RELEASE_STEP_H

#include "sdk/pawl_activity.h"

/** Runs argv (NULL-terminated) in cwd; a non-zero exit fails the task with that type, for good. NULL with the task failed, or the result of
 * pawl_exec. */
const pawl_value *pw_release_run(pawl_task *task, const char *const *argv, const char *cwd,
                                 const char *failure_type);
/** As pw_release_run with an argv from a value. */
const pawl_value *pw_release_run_value(pawl_task *task, const pawl_value *argv, const char *cwd,
                                       const char *failure_type);
/** {ms, tail} of a result of pawl_exec: the last lines of what it printed. */
const pawl_value *pw_release_summary(pawl_task *task, const pawl_value *result);
/** Fails the task with errno: "Disk", tried again. */
const pawl_value *pw_release_fail_errno(pawl_task *task, const char *doing, const char *path);

#endif
