/*
 * exec_lock.h - at most one process group for one command: a lock that the group's supervisor holds until all of it is gone.
 */
#ifndef PW_EXEC_LOCK_H
#define PW_EXEC_LOCK_H

#include "sdk/pawl_value.h"

typedef struct pw_exec_lock {
    int fd;           /* -1 = not held */
    const char *path; /* "" = there is nothing to lock */
} pw_exec_lock;

/** Tries once. OK (also when there is nothing to lock), BUSY: the group of an earlier attempt lives, IO with errno. */
pawl_status pw_exec_lock_try(pw_exec_lock *lock);
/** Removes the file and lets go. The supervisor must be gone, or never have been. */
void pw_exec_lock_release(pw_exec_lock *lock);

#endif
