/*
 * recovery_test.c - a connection that comes while another process rebuilds the index of the WAL
 * waits for it. The other process is a child that holds the locks SQLite holds then. And the rite on a full disk. Does not
 * test what a recovery finds (power cuts do).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "tests/journal/stored.h"

/* Where SQLite has its locks in the file beside the WAL, and how long that is at least. */
enum {
    BYTE_WRITE = 120,
    BYTE_CHECKPOINT = 121,
    BYTE_RECOVER = 122,
    BYTE_ALIVE = 128,
    INDEX_BYTES = 32768
};

#define HELD_MS 100 /* long enough for who does not wait to fail */

static bool lock_byte(int fd, short type, off_t at)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, F_SETLK, &l) == 0;
}

/** Somebody else has opened the file of locks. */
static bool somebody_is_there(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = BYTE_ALIVE, .l_len = 1};
    return fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static void hold(int fd, int ready)
{
    if (write(ready, "r", 1) != 1) {
        _exit(1);
    }
    for (int i = 0; i < 10000 && !somebody_is_there(fd); i++) {
        poll(NULL, 0, 1);
    }
    poll(NULL, 0, HELD_MS);
    _exit(somebody_is_there(fd) ? 0 : 2);
}

static void recover_slowly(const char *path, int ready)
{
    char index[PATH_MAX + 8];
    snprintf(index, sizeof(index), "%s-shm", path);
    int fd = open(index, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, INDEX_BYTES) != 0 || !lock_byte(fd, F_RDLCK, BYTE_ALIVE) ||
        !lock_byte(fd, F_WRLCK, BYTE_WRITE) || !lock_byte(fd, F_WRLCK, BYTE_RECOVER)) {
        _exit(1);
    }
    hold(fd, ready);
}

/** At its end: the index is whole, so that everybody reads, and checkpoints are still barred. */
static void end_recovery_slowly(const char *path, int ready)
{
    char index[PATH_MAX + 8];
    pw_reader *r = NULL;
    pawl_error err = {0};
    snprintf(index, sizeof(index), "%s-shm", path);
    if (pw_sqlite_reader_open(path, &r, &err) != PAWL_OK) {
        _exit(1);
    }
    int fd = open(index, O_RDWR);
    if (fd < 0 || !lock_byte(fd, F_WRLCK, BYTE_CHECKPOINT)) {
        _exit(1);
    }
    hold(fd, ready);
}

/** The child. Its locks are held when this returns. */
static pid_t recovery_begin(rig *t, void (*recover)(const char *path, int ready))
{
    int pipe_fds[2];
    char byte = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        recover(t->path, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    close(pipe_fds[0]);
    return child;
}

static void recovery_met(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0); /* 2: gone before the locks were released */
}

/** As SIGKILL leaves it: frames in the WAL, no index. */
static rig *dead_journal(void)
{
    char index[PATH_MAX + 8];
    rig *t = rig_open("sqlite");
    stored_fill(t);
    pw_sqlite_of(t->j)->failed = true; /* no checkpoint at the end */
    t->r->ops->reader_close(t->r);
    t->j->ops->close(t->j);
    t->r = NULL;
    t->j = NULL;
    snprintf(index, sizeof(index), "%s-shm", t->path);
    assert_true(unlink(index) == 0 || access(index, F_OK) != 0);
    return t;
}

static void an_owner_waits_for_a_recovery(void **state)
{
    (void)state;
    rig *t = dead_journal();
    pid_t child = recovery_begin(t, recover_slowly);
    rig_restart(t);
    recovery_met(child);
    stored_check(t);
    rig_close(t);
}

static void an_owner_waits_for_the_end_of_a_recovery_that_it_does_not_see(void **state)
{
    (void)state;
    rig *t = dead_journal();
    pid_t child = recovery_begin(t, end_recovery_slowly);
    rig_restart(t);
    recovery_met(child);
    stored_check(t);
    rig_close(t);
}

static void a_reader_waits_for_a_recovery(void **state)
{
    (void)state;
    rig *t = dead_journal();
    pw_reader *r = NULL;
    pawl_error err = {0};
    pid_t child = recovery_begin(t, recover_slowly);
    assert_int_equal(pw_sqlite_reader_open(t->path, &r, &err), PAWL_OK);
    recovery_met(child);
    pw_sqlite_reader_close(r);
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

static void who_asks_for_the_version_waits_for_a_recovery(void **state)
{
    (void)state;
    rig *t = dead_journal();
    pawl_error err = {0};
    int64_t version = 0;
    pid_t child = recovery_begin(t, recover_slowly);
    assert_int_equal(pw_sqlite_file_version(t->path, &version, &err), PAWL_OK);
    recovery_met(child);
    assert_true(version >= 4);
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

/* ---- on a full disk ---- */

static char ballast[PATH_MAX + 16];

/* As long as the ballast is there. */
static ssize_t full_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (access(ballast, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, data, size, offset);
}

/** Under both names: which one SQLite uses depends on how it was built. */
static void replace_pwrite(ssize_t (*fn)(int, const void *, size_t, off_t))
{
    sqlite3_vfs *vfs = sqlite3_vfs_find("unix");
    assert_non_null(vfs);
    (void)vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)fn);
    (void)vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)fn);
}

/** [J9] The rite found no room: it is done again with that of the ballast, and not left out. */
static void the_rite_is_not_spared_by_a_full_disk(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_journal *j = NULL;
    sqlite3 *db = NULL;
    pawl_error err = {0};
    stored_fill(t);
    assert_true(t->j->ops->ballast(t->j, false));
    snprintf(ballast, sizeof(ballast), "%s.ballast", t->path);
    assert_int_equal(sqlite3_open(t->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE pawl_log SET sum=sum+1", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    (void)rig_start(t, "later"); /* so that it is synced, and no tail to cut off */
    pw_sqlite_fail(pw_sqlite_of(t->j));
    t->r->ops->reader_close(t->r);
    t->j->ops->close(t->j);
    t->r = NULL;
    t->j = NULL;
    replace_pwrite(full_pwrite);
    const pawl_status st = pw_sqlite_open(t->path, "", &j, &err);
    replace_pwrite(NULL);
    assert_int_equal(st, PAWL_DAMAGED);
    assert_int_not_equal(access(ballast, F_OK), 0);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_waits_for_a_recovery),
        cmocka_unit_test(an_owner_waits_for_the_end_of_a_recovery_that_it_does_not_see),
        cmocka_unit_test(a_reader_waits_for_a_recovery),
        cmocka_unit_test(who_asks_for_the_version_waits_for_a_recovery),
        cmocka_unit_test(the_rite_is_not_spared_by_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
