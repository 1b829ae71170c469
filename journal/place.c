/*
 * place.c - resolving a journal's path and judging the file system under it.
 *
 * FUSE is let through: one type number covers sshfs as well as what rootless containers run on,
 * and refusing the second to stop the first would break more than it saves. Opens no journal: a
 * descriptor of O_PATH is none (its close drops no locks).
 */
#include "journal/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal/journal.h"
#include "sdk/base/mem.h"

static void folder_of(const char *path, char ret[PATH_MAX], const char **ret_base)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        snprintf(ret, PATH_MAX, ".");
        *ret_base = path;
    } else {
        int len = slash == path ? 1 : (int)(slash - path);
        snprintf(ret, PATH_MAX, "%.*s", len, path);
        *ret_base = slash + 1;
    }
}

pawl_status pw_place_resolve(const char *path, char ret[PATH_MAX], pawl_error *err)
{
    char folder[PATH_MAX];
    char real[PATH_MAX];
    const char *base = NULL;

    if (path == NULL || path[0] == '\0' || strlen(path) >= PATH_MAX - 16) {
        return pw_err(err, PAWL_LIMIT, "a journal's path must have 1 to %d bytes", PATH_MAX - 17);
    }
    if (realpath(path, real) != NULL) {
        snprintf(ret, PATH_MAX, "%s", real);
        return PAWL_OK;
    }
    folder_of(path, folder, &base);
    if (realpath(folder, real) == NULL) {
        return pw_err(err, errno == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "%s: folder %s: %s", path,
                      folder, strerror(errno));
    }
    if (base[0] == '\0' || strlen(real) + strlen(base) + 2 > PATH_MAX - 16) {
        return pw_err(err, PAWL_LIMIT, "%s: not a path for a journal file", path);
    }
    int n = snprintf(ret, PATH_MAX, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
    return n > 0 && n < PATH_MAX ? PAWL_OK : pw_err(err, PAWL_LIMIT, "path too long");
}

pawl_status pw_place_beside(const char *journal, const char *suffix, char ret[PATH_MAX],
                            pawl_error *err)
{
    int n = snprintf(ret, PATH_MAX, "%s%s", journal, suffix);
    return n > 0 && n < PATH_MAX ? PAWL_OK
                                 : pw_err(err, PAWL_LIMIT, "%s: the path is too long", journal);
}

static const char *network_name(uint32_t type)
{
    static const struct {
        uint32_t type;
        const char *name;
    } kinds[] = {
#define X(number, text) {number, text},
#include "journal/netfs.def"
#undef X
    };
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        if (kinds[i].type == type) {
            return kinds[i].name;
        }
    }
    return NULL;
}

pawl_status pw_place_check(const char *resolved, pw_statfs_fn statfs_fn, pawl_error *err)
{
    char folder[PATH_MAX];
    const char *base = NULL;
    struct statfs fs = {0};

    folder_of(resolved, folder, &base);
    if (statfs_fn(folder, &fs) != 0) {
        return pw_err(err, PAWL_IO, "statfs %s: %s", folder, strerror(errno));
    }
    const char *name = network_name((uint32_t)fs.f_type);
    if (name == NULL) {
        return PAWL_OK;
    }
    return pw_err(err, PAWL_UNSUPPORTED,
                  "%s is on a network file system (%s), where locks and shared memory do not hold: "
                  "put the journal on a local disk",
                  folder, name);
}

char *pw_place_copy(const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = pw_malloc(size);
    return copy != NULL ? memcpy(copy, path, size) : NULL;
}

/* ---- making files ---- */

/* Who should have what stands beside a journal, or is to become one. */
static bool rightful(const char *journal, struct stat *ret)
{
    char folder[PATH_MAX];
    const char *base = NULL;
    if (stat(journal, ret) == 0) {
        return true;
    }
    folder_of(journal, folder, &base);
    return stat(folder, ret) == 0;
}

/* A file system without owners leaves it to root; then they were root's before, too. */
static void give(int fd, const struct stat *like)
{
    const int rc = fchownat(fd, "", like->st_uid, like->st_gid, AT_EMPTY_PATH);
    (void)rc;
}

void pw_place_make_private(const char *resolved)
{
    struct stat like, mine;
    const bool root = geteuid() == 0 && rightful(resolved, &like) && like.st_uid != 0;
    if (mknod(resolved, S_IFREG | 0600, 0) != 0 || !root) {
        return;
    }
    int fd = open(resolved, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    /* (whoever has the folder may have put something else there by now) */
    if (fd >= 0 && fstat(fd, &mine) == 0 && S_ISREG(mine.st_mode) && mine.st_nlink == 1 &&
        mine.st_size == 0) {
        give(fd, &like);
    }
    if (fd >= 0) {
        close(fd);
    }
}

int pw_place_open_beside(const char *path, const char *journal)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    struct stat like;
    int fd = open(path, flags | O_EXCL, 0600);
    if (fd < 0 && errno == EEXIST) {
        /* With O_CREAT the system refuses what another user put into a folder of all (fs.protected_regular). */
        return open(path, flags, 0600);
    }
    if (fd >= 0 && geteuid() == 0 && rightful(journal, &like) && like.st_uid != 0) {
        give(fd, &like);
    }
    return fd;
}

/* ---- the control socket ---- */

static bool runtime_folder(char ret[PATH_MAX])
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    int n = 0;
    if (base != NULL && base[0] == '/') {
        n = snprintf(ret, PATH_MAX, "%s/pawl", base);
    } else {
        n = snprintf(ret, PATH_MAX, "/tmp/pawl-%u", (unsigned)geteuid());
    }
    if (n <= 0 || n >= PATH_MAX || (mkdir(ret, 0700) != 0 && errno != EEXIST)) {
        return false;
    }
    struct stat s;
    return lstat(ret, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() &&
           (s.st_mode & 077) == 0;
}

pawl_status pw_socket_path(const char *journal_path, char ret_path[108], pawl_error *err)
{
    char real[PATH_MAX];
    char folder[PATH_MAX];
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

    pawl_status st = pw_place_resolve(journal_path, real, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (strlen(real) + sizeof(".sock") <= room) {
        snprintf(ret_path, 108, "%.102s.sock", real);
        return PAWL_OK;
    }
    uint8_t zero[PW_DIGEST_SIZE] = {0};
    uint8_t digest[PW_DIGEST_SIZE];
    char hex[33];
    pw_chain_next(digest, zero, real, strlen(real));
    pw_hex(hex, digest, 16);
    if (!runtime_folder(folder) || strlen(folder) + 1 + 32 + sizeof(".sock") > room) {
        return pw_err(err, PAWL_INVALID,
                      "the journal's path is too long for a control socket beside it: use a "
                      "shorter path or set XDG_RUNTIME_DIR");
    }
    snprintf(ret_path, 108, "%.60s/%s.sock", folder, hex);
    return PAWL_OK;
}
