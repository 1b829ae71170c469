/*
 * mcp_note.c - what the next attempt must know, written down before this one goes on: that a call was sent which may not be sent twice, or
 * the id of the task that a server made of it.
 *
 *   put --> a file beside the journal, on the disk when put returns; and the heartbeat's detail, in the journal a moment later
 *   get --> the file, else the last detail of the attempt before
 *
 * The file makes the difference between "a moment later" and "before": without a file beside it (a journal in memory) there is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "activities/mcp_use.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

enum { NOTE_BYTES_MAX = 65536 };

/* False: there is no place for one. */
static bool path_of(const pw_mcp_call *call, const char *suffix, char ret[PATH_MAX])
{
    const char *base = pawl_task_scratch_path(call->task);
    const int size = snprintf(ret, PATH_MAX, "%s.mcp%s", base, suffix);
    return base[0] != '\0' && size > 0 && size < PATH_MAX;
}

static bool folder_of(const char *path, char ret[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const size_t size = slash != NULL ? (size_t)(slash - path) : 0;
    if (size == 0) {
        return false;
    }
    memcpy(ret, path, size);
    ret[size] = '\0';
    return true;
}

static int open_for_writing(const char *path)
{
    char folder[PATH_MAX];
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    const int fd = open(path, flags, 0600);
    if (fd >= 0 || errno != ENOENT || !folder_of(path, folder) ||
        (mkdir(folder, 0700) != 0 && errno != EEXIST)) {
        return fd;
    }
    return open(path, flags, 0600);
}

static bool write_all(int fd, pw_view bytes)
{
    while (bytes.size > 0) {
        const ssize_t wrote = write(fd, bytes.data, bytes.size);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        bytes.data += wrote > 0 ? wrote : 0;
        bytes.size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd) == 0;
}

static bool folder_sync(const char *path)
{
    char folder[PATH_MAX];
    const int fd = folder_of(path, folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    const bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool pw_mcp_note_put(pw_mcp_call *call, const pawl_value *detail)
{
    char path[PATH_MAX];
    char fresh[PATH_MAX];
    call->detail = detail;
    pw_mcp_call_beat(call, NULL, true);
    if (!path_of(call, "", path) || !path_of(call, "+", fresh)) {
        return true;
    }
    const int fd = open_for_writing(fresh);
    bool ok = fd >= 0 && write_all(fd, pw_value_bytes(detail));
    if (fd >= 0) {
        ok = close(fd) == 0 && ok;
    }
    return ok && rename(fresh, path) == 0 && folder_sync(path);
}

const pawl_value *pw_mcp_note_get(pw_mcp_call *call)
{
    char path[PATH_MAX];
    uint8_t bytes[NOTE_BYTES_MAX];
    const pawl_value *v = NULL;
    pawl_error err;
    const int fd = path_of(call, "", path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        const ssize_t got = read(fd, bytes, sizeof bytes);
        close(fd);
        if (got > 0 && pawl_from_msgpack(call->scope, bytes, (size_t)got, &v, &err) == PAWL_OK) {
            return v;
        }
    }
    return pawl_task_last_detail(call->task);
}

void pw_mcp_note_drop(pw_mcp_call *call)
{
    char path[PATH_MAX];
    char folder[PATH_MAX];
    if (call->detail != NULL) {
        call->detail = NULL;
        pw_mcp_call_beat(call, NULL, true);
    }
    if (path_of(call, "", path) && unlink(path) == 0 && folder_of(path, folder)) {
        (void)rmdir(folder); /* stays while others use it */
    }
}
