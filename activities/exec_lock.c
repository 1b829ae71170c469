/*
 * exec_lock.c - a flock on a file beside the journal. A flock belongs to the open file, so the supervisor, which inherits it,
 * keeps it held after the engine died. The file is removed when it is done with; who waits for it therefore looks, once it has the lock,
 * whether the file still is the one of that name.
 *
 * Does not wait: the caller does, because it has to look at cancellation and deadlines meanwhile.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "activities/exec_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder the file is in. False: the path is too long. */
static bool folder_of(const char *path, char ret[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const size_t size = slash != NULL ? (size_t)(slash - path) : 0;
    if (size == 0 || size >= PATH_MAX) {
        return false;
    }
    memcpy(ret, path, size);
    ret[size] = '\0';
    return true;
}

static bool still_that_file(int fd, const char *path)
{
    struct stat held;
    struct stat named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

static int lock_open(const char *path)
{
    char folder[PATH_MAX];
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != ENOENT || !folder_of(path, folder)) {
        return fd;
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        errno = errno == ENOENT ? ENOTDIR : errno; /* waiting will not help */
        return -1;
    }
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* The same at 3 or above, where the supervisor may keep it. */
static int fd_raise(int fd)
{
    if (fd < 0 || fd > 2) {
        return fd;
    }
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return high;
}

pawl_status pw_exec_lock_try(pw_exec_lock *lock)
{
    if (lock->path[0] == '\0') {
        return PAWL_OK;
    }
    const int fd = fd_raise(lock_open(lock->path));
    if (fd < 0) {
        return errno == ENOENT ? PAWL_BUSY
                               : PAWL_IO; /* the folder was just removed by another: again */
    }
    const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (locked && still_that_file(fd, lock->path)) {
        lock->fd = fd;
        return PAWL_OK;
    }
    const pawl_status status =
        locked || errno == EWOULDBLOCK || errno == EINTR ? PAWL_BUSY : PAWL_IO;
    close(fd);
    return status;
}

void pw_exec_lock_release(pw_exec_lock *lock)
{
    if (lock->fd < 0) {
        return;
    }
    char folder[PATH_MAX];
    (void)unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
    if (folder_of(lock->path, folder)) {
        (void)rmdir(folder); /* stays while others use it */
    }
}
