/*
 * owner.c - the owner lock and its file.
 *
 * Opens only the lock file. Its text is rewritten in place (one pwrite): a reader that meets a
 * half-written file sees fields missing and says "unknown pid", never somebody else's. Does not
 * wait for the lock of a living owner; a guest's, who only puts something in, is waited for.
 */
#include "journal/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"
#include "journal/place.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"

#define TEXT_BYTES 512
#define FILE_BYTES 4096
#define LOOK_AGAIN_NS 2000000
#define DEAD_MS 2000   /* for what a dead owner began to let go of its lock */
#define GUEST_MS 10000 /* for a guest to end: a commit, on a slow disk, of a stopped process */

/** The mapped half of the file. */
typedef struct owner_map {
    char text[TEXT_BYTES];
    char boot[40];
    uint64_t inode;
    pw_wal_mark mark;
} owner_map;

struct pw_owner {
    int fd;
    pid_t pid;
    owner_map *map;
    uint64_t epoch;
    bool guest;
    char socket[108];
};

typedef struct owner_file {
    long long pid;
    unsigned long long epoch;
    bool guest;
    char socket[108];
} owner_file;

static void file_read(int fd, owner_file *ret)
{
    char text[TEXT_BYTES + 1];
    char state[16] = "";
    memset(ret, 0, sizeof(*ret));
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0) {
        return;
    }
    text[n] = '\0';
    int fields = sscanf(text, "pawl-owner 1\n%lld\n%llu\n%15s\n%107[^\n]", &ret->pid, &ret->epoch,
                        state, ret->socket);
    if (fields < 3) {
        memset(ret, 0, sizeof(*ret));
        return;
    }
    ret->guest = strcmp(state, "guest") == 0;
    if (strcmp(ret->socket, "-") == 0) {
        ret->socket[0] = '\0';
    }
}

static void file_write(const pw_owner *owner, bool open)
{
    char text[TEXT_BYTES] = {0};
    snprintf(text, sizeof(text), "pawl-owner 1\n%lld\n%llu\n%s\n%s\n",
             open ? (long long)owner->pid : 0LL, (unsigned long long)owner->epoch,
             !open          ? "clean"
             : owner->guest ? "guest"
                            : "open",
             open && owner->socket[0] != '\0' ? owner->socket : "-");
    ssize_t ignored = pwrite(owner->fd, text, sizeof(text), 0);
    (void)ignored;
}

/** This boot's id, "" when the kernel does not say. */
static void boot_id(char ret[40])
{
    memset(ret, 0, 40);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, ret, 36);
        ret[n == 36 ? 36 : 0] = '\0';
        close(fd);
    }
}

/** 0 when there is no such file. Asks the folder, opens nothing. */
static uint64_t inode_of(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (uint64_t)s.st_ino : 0;
}

static pawl_status map_file(pw_owner *owner, const char *path, uint64_t inode, pawl_error *err)
{
    char boot[40];
    /* blocks, not a hole: a store into a hole on a full disk is a SIGBUS */
    int code = posix_fallocate(owner->fd, 0, FILE_BYTES);
    if (code != 0) {
        return pw_err(err, code == ENOSPC ? PAWL_NOSPACE : PAWL_IO, "lock file %s: %s", path,
                      strerror(code));
    }
    void *map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, owner->fd, 0);
    if (map == MAP_FAILED) {
        return pw_err(err, PAWL_IO, "mapping lock file %s: %s", path, strerror(errno));
    }
    owner->map = map;
    boot_id(boot);
    if (boot[0] == '\0' || memcmp(boot, owner->map->boot, sizeof(boot)) != 0 ||
        inode != owner->map->inode) {
        memcpy(owner->map->boot, boot, sizeof(boot));
        owner->map->mark = (pw_wal_mark){0};
    }
    return PAWL_OK;
}

static struct flock whole_file(short type)
{
    struct flock lock = {0};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
}

static bool lock_now(int fd, int *ret_errno)
{
    struct flock lock = whole_file(F_WRLCK);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return true;
    }
    *ret_errno = errno;
    return false;
}

/* How long it is worth while to wait for this holder. A process that was killed between fork and the closing of descriptors leaves the lock with
 * its child for a moment; a guest goes by itself; and who has not written yet, or no more, who it is, is about to. An owner stays. */
static int64_t patience_ms(const owner_file *file)
{
    if (file->pid == 0 || file->guest) {
        return GUEST_MS;
    }
    return kill((pid_t)file->pid, 0) != 0 && errno == ESRCH ? DEAD_MS : 0;
}

/** ret_file: who holds it, when it is not taken. */
static bool lock_patiently(int fd, owner_file *ret_file, int *ret_errno)
{
    const struct timespec pause = {0, LOOK_AGAIN_NS};
    const int64_t since = pw_mono_ms();
    for (;;) {
        if (lock_now(fd, ret_errno)) {
            return true;
        }
        file_read(fd, ret_file);
        if ((*ret_errno != EAGAIN && *ret_errno != EACCES) ||
            pw_mono_ms() - since >= patience_ms(ret_file)) {
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
}

static pawl_status take_lock(int fd, const char *path, pawl_error *err)
{
    int why = 0;
    owner_file file;
    if (lock_patiently(fd, &file, &why)) {
        return PAWL_OK;
    }
    if (why != EAGAIN && why != EACCES) {
        return pw_err(err, PAWL_IO, "lock %s: %s", path, strerror(why));
    }
    if (file.pid == 0) {
        return pw_err(err, PAWL_BUSY, "another process is opening this journal (lock %s)", path);
    }
    if (file.pid == getpid()) {
        return pw_err(err, PAWL_BUSY,
                      "this process (%lld) has opened this journal already (lock %s)", file.pid,
                      path);
    }
    if (file.guest) {
        return pw_err(err, PAWL_BUSY,
                      "process %lld puts something into this journal and does not end (lock %s)",
                      file.pid, path);
    }
    return pw_err(err, PAWL_BUSY, "process %lld owns this journal (lock %s): stop it or talk to it",
                  file.pid, path);
}

pawl_status pw_owner_take(const char *resolved, const char *socket, bool guest,
                          pw_owner **ret_owner, pawl_error *err)
{
    char path[PATH_MAX];
    pawl_status st = pw_place_beside(resolved, ".lock", path, err);
    if (st != PAWL_OK) {
        return st;
    }
    int fd = pw_place_open_beside(path, resolved);
    if (fd < 0) {
        bool denied = errno == EACCES || errno == EROFS || errno == EPERM;
        return pw_err(err,
                      denied            ? PAWL_READONLY
                      : errno == ENOSPC ? PAWL_NOSPACE
                                        : PAWL_IO,
                      "lock file %s: %s: an owner needs write permission to the journal's folder",
                      path, strerror(errno));
    }
    st = take_lock(fd, path, err);
    pw_owner *owner = st == PAWL_OK ? pw_calloc(1, sizeof(*owner)) : NULL;
    if (owner == NULL) {
        close(fd);
        return st != PAWL_OK ? st : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    owner_file before;
    file_read(fd, &before);
    owner->fd = fd;
    owner->pid = getpid();
    owner->guest = guest;
    owner->epoch = before.epoch;
    snprintf(owner->socket, sizeof(owner->socket), "%s", socket != NULL ? socket : "");
    st = map_file(owner, path, inode_of(resolved), err);
    if (st != PAWL_OK) {
        pw_owner_give(owner);
        return st;
    }
    file_write(owner, true);
    *ret_owner = owner;
    return PAWL_OK;
}

void pw_owner_give(pw_owner *owner)
{
    if (owner == NULL) {
        return;
    }
    if (getpid() == owner->pid) {
        file_write(owner, false);
    }
    if (owner->map != NULL) {
        munmap(owner->map, FILE_BYTES);
    }
    close(owner->fd);
    pw_free(owner);
}

void pw_owner_set_epoch(pw_owner *owner, uint64_t epoch)
{
    owner->epoch = epoch;
    file_write(owner, true);
}

void pw_owner_bind(pw_owner *owner, const char *resolved)
{
    owner->map->inode = inode_of(resolved);
}

pw_wal_mark *pw_owner_mark(pw_owner *owner)
{
    return &owner->map->mark;
}

pawl_status pw_owner_probe(const char *path, int64_t *ret_pid, uint64_t *ret_epoch,
                           char socket[108], pawl_error *err)
{
    char real[PATH_MAX];
    char lock_path[PATH_MAX];
    pawl_status st = pw_place_resolve(path, real, err);
    if (st == PAWL_OK) {
        st = pw_place_beside(real, ".lock", lock_path, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    int fd = open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT &&
        errno !=
            EACCES) { /* another user's: nobody this one could talk to; the file may be readable yet */
        return pw_err(err, PAWL_IO, "lock file %s: %s", lock_path, strerror(errno));
    }
    owner_file file = {0};
    if (fd >= 0) {
        struct flock lock = whole_file(F_WRLCK);
        file_read(fd, &file);
        bool held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
        file.pid = held ? (file.pid != 0 && !file.guest ? file.pid : -1) : 0;
        close(fd);
    }
    *ret_pid = file.pid;
    *ret_epoch = file.epoch;
    snprintf(socket, 108, "%s", file.pid != 0 ? file.socket : "");
    return PAWL_OK;
}
