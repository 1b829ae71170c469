/*
 * host_fds.c - which descriptors the process has open, as /proc says: for debug_held only, it costs a listing of a folder at each turn.
 *
 * Tells by number: one that was closed and opened anew with the same number in between is not seen. Does not close anything.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/host.h"

typedef bool (*fd_fn)(void *ctx, int fd);

/* False when it cannot be told. */
static bool each_fd(fd_fn fn, void *ctx)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return false;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && fd != dirfd(dir) && !fn(ctx, fd)) {
            break;
        }
    }
    closedir(dir);
    return true;
}

static bool note(void *ctx, int fd)
{
    pw_fds *fds = ctx;
    if (fd >= 0 && fd < PW_FDS_MAX) {
        fds->open[fd / 8] = (uint8_t)(fds->open[fd / 8] | 1u << ((unsigned)fd % 8u));
    }
    return true;
}

void pw_host_fds_mark(void *ctx)
{
    pw_fds *fds = &((pawl_engine *)ctx)->fds;
    memset(fds, 0, sizeof *fds);
    fds->known = each_fd(note, fds);
}

static bool is_open(const pw_fds *fds, int fd)
{
    unsigned byte = fds->open[fd / 8];
    return ((byte >> ((unsigned)fd % 8u)) & 1u) != 0;
}

typedef struct naming {
    const pw_fds *fds;
    char *names;
    size_t size, used;
    int len;
} naming;

static bool name_new(void *ctx, int fd)
{
    naming *n = ctx;
    char path[64];
    char target[160];
    if (fd < 0 || fd >= PW_FDS_MAX || is_open(n->fds, fd)) {
        return true;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    target[len > 0 ? len : 0] = '\0';
    if (n->used < n->size) {
        int put = snprintf(n->names + n->used, n->size - n->used, "%s%d %s", n->len > 0 ? ", " : "",
                           fd, target);
        n->used += put > 0 ? (size_t)put : 0;
    }
    n->len++;
    return true;
}

int pw_host_fds_since(void *ctx, char *ret_names, size_t size)
{
    naming n = {.fds = &((pawl_engine *)ctx)->fds, .names = ret_names, .size = size};
    if (n.fds->known) {
        (void)each_fd(name_new, &n);
    }
    return n.len;
}
