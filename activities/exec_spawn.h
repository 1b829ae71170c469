/*
 * exec_spawn.h - from options to a running supervisor: paths, environment, pipes and the fork.
 */
#ifndef PW_EXEC_SPAWN_H
#define PW_EXEC_SPAWN_H

#include <sys/types.h>

#include "sdk/pawl_activity.h"

/** The engine's side of one program. All descriptors are -1 when closed. */
typedef struct pw_child {
    pid_t supervisor; /* 0 = none */
    int control;
    int in; /* writes to its stdin; -1 = it has /dev/null */
    int out, err;
} pw_child;

/** Starts a supervisor that holds lock_fd (-1 = none). False with errno set; then there is nothing to close. */
bool pw_child_spawn(pw_child *child, pawl_scope *scope, const pawl_exec_options *options,
                    int lock_fd);
/** Closes what is open; the supervisor, if any, then ends all and is waited for. */
void pw_child_close(pw_child *child);

#endif
