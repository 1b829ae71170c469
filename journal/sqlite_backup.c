/*
 * sqlite_backup.c - a copy of a journal as it is at one moment, taken beside a running engine.
 *
 * One read transaction holds the moment: what lands meanwhile is not in the copy, and nothing waits for it but the truncation of the WAL.
 * The copy is whole or not there: it is written as TARGET-unfinished, synced, and given its name at the end. Whoever writes that holds a lock on
 * it: a second backup into the same file is BUSY, and what a kill left goes with the next. It opens no second connection to the journal that
 * could checkpoint, and replaces no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/place.h"
#include "journal/sqlite.h"

#define STEP_PAGES 1024
#define DRAFT "-unfinished"
#define DRAFT_TRIES 8

static pawl_status say_errno(pawl_error *err, const char *what, const char *path)
{
    int code = errno;
    pawl_status st = code == ENOENT   ? PAWL_NOTFOUND
                     : code == EEXIST ? PAWL_EXISTS
                     : code == ENOSPC ? PAWL_NOSPACE
                     : code == EACCES ? PAWL_READONLY
                     : code == EROFS  ? PAWL_READONLY
                                      : PAWL_IO;
    return pw_err(err, st, "%s %.200s: %s", what, path, strerror(code));
}

static pawl_status sync_path(const char *path, int flags, pawl_error *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    pawl_status st = ok ? PAWL_OK : say_errno(err, "sync", path);
    if (fd >= 0) {
        (void)close(fd);
    }
    return st;
}

/* Not every file system has both: some have no hard links. */
static bool give_name(const char *draft, const char *target)
{
    if (renameat2(AT_FDCWD, draft, AT_FDCWD, target, RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return false;
    }
    return link(draft, target) == 0 && unlink(draft) == 0;
}

/* The folder is synced too, so that the name survives a power cut. */
static pawl_status publish(const char *draft, char target[PATH_MAX], pawl_error *err)
{
    pawl_status st = sync_path(draft, O_RDWR, err);
    if (st == PAWL_OK && !give_name(draft, target)) {
        st = say_errno(err, "make", target);
    }
    char *slash = strrchr(target, '/');
    if (st == PAWL_OK && slash != NULL) {
        slash[slash == target ? 1 : 0] = '\0';
        st = sync_path(target, O_RDONLY | O_DIRECTORY, err);
    }
    return st;
}

static pawl_status pages_copy(pw_db *from, pw_db *to, pw_backup_fn fn, void *ctx, pawl_error *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (b == NULL) {
        return pw_db_error(to, sqlite3_errcode(to->db), "backup", err);
    }
    int rc = SQLITE_OK;
    bool go_on = true;
    while (rc == SQLITE_OK && go_on) {
        rc = sqlite3_backup_step(b, STEP_PAGES);
        int total = sqlite3_backup_pagecount(b);
        go_on = fn == NULL || fn(ctx, total - sqlite3_backup_remaining(b), total);
    }
    (void)sqlite3_backup_finish(b);
    if (rc != SQLITE_DONE && !go_on) {
        return pw_err(err, PAWL_CANCELED, "stopped");
    }
    return rc == SQLITE_DONE ? PAWL_OK : pw_db_error(to, rc, "backup", err);
}

static pawl_status copy(pw_db *from, const char *draft, pw_backup_fn fn, void *ctx, pawl_error *err)
{
    pw_db to = {0};
    int64_t begun = 0;
    pawl_status st = pw_db_open(&to, draft, NULL, SQLITE_OPEN_READWRITE, 0, err);
    if (st != PAWL_OK) {
        return st;
    }
    st = pw_db_exec(from, "BEGIN", err);
    if (st == PAWL_OK) {
        st = pw_db_int(from, "SELECT count(*) FROM sqlite_schema", &begun, err);
        st = st == PAWL_OK ? pages_copy(from, &to, fn, ctx, err) : st;
        (void)pw_db_exec(from, "COMMIT", NULL);
    }
    pw_db_close(&to);
    return st;
}

/* ---- the unfinished file ---- */

/* Its first byte, which SQLite locks in no file. */
static bool lock(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

static bool is_at(int fd, const char *path)
{
    struct stat open_one, named;
    return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static int drop(const char *draft)
{
    char more[PATH_MAX];
    pawl_error err;
    if (pw_place_beside(draft, "-journal", more, &err) ==
        PAWL_OK) { /* a full disk leaves it, too */
        (void)unlink(more);
    }
    return unlink(draft);
}

/* One is there: BUSY while somebody writes it; else it goes. Only who holds its lock may take its name away. */
static pawl_status clear(const char *draft, pawl_error *err)
{
    int fd = open(draft, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? PAWL_OK : say_errno(err, "make", draft);
    }
    pawl_status st = PAWL_OK;
    if (!lock(fd)) {
        st = pw_err(err, PAWL_BUSY, "another backup is writing %.200s", draft);
    } else if (is_at(fd, draft) && drop(draft) != 0) {
        st = say_errno(err, "replace", draft);
    }
    (void)close(fd);
    return st;
}

/* An empty file that only its user can read, whoever may read the journal: a copy is often put where more people come by. */
static pawl_status draft_make(const char *draft, int *ret_fd, pawl_error *err)
{
    for (int i = 0; i < DRAFT_TRIES; i++) {
        int fd = open(draft, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0 && lock(fd) && is_at(fd, draft)) {
            *ret_fd = fd;
            return PAWL_OK;
        }
        int code = errno;
        if (fd >= 0) { /* another was quicker: it is theirs to remove */
            (void)close(fd);
        } else if (code != EEXIST) {
            errno = code;
            return say_errno(err, "make", draft);
        }
        pawl_status st = clear(draft, err);
        if (st != PAWL_OK) {
            return st;
        }
    }
    return pw_err(err, PAWL_BUSY, "another backup is writing %.200s", draft);
}

static pawl_status make(pw_sqlite_reader *r, const char *draft, char target[PATH_MAX],
                        pw_backup_fn fn, void *ctx, pawl_error *err)
{
    int fd = -1;
    pawl_status st = pw_reader_enter(r, err);
    if (st != PAWL_OK) {
        return st;
    }
    st = draft_make(draft, &fd, err);
    st = st == PAWL_OK ? copy(&r->db, draft, fn, ctx, err) : st;
    pw_reader_leave(r);
    st = st == PAWL_OK ? publish(draft, target, err) : st;
    if (fd >= 0) {
        if (st != PAWL_OK && is_at(fd, draft)) {
            (void)drop(draft);
        }
        (void)close(fd);
    }
    return st;
}

/* Also not what is left of one that was there: SQLite would take its pages for those of the copy. */
static pawl_status is_free(const char *target, pawl_error *err)
{
    static const char *const ends[] = {"", "-wal", "-journal"};
    char path[PATH_MAX];
    pawl_status st = PAWL_OK;
    for (size_t i = 0; i < PW_COUNT(ends) && st == PAWL_OK; i++) {
        struct stat there;
        st = pw_place_beside(target, ends[i], path, err);
        if (st == PAWL_OK && lstat(path, &there) == 0 && (i == 0 || there.st_size > 0)) {
            st = pw_err(err, PAWL_EXISTS, "%.200s is there already", path);
        }
    }
    return st;
}

pawl_status pw_sqlite_backup(const char *path, const char *target, pw_backup_fn fn, void *ctx,
                             pawl_error *err)
{
    char whole[PATH_MAX];
    char draft[PATH_MAX];
    pw_reader *base = NULL;
    pawl_status st = pw_place_resolve(target, whole, err);
    st = st == PAWL_OK ? pw_place_beside(whole, DRAFT, draft, err) : st;
    st = st == PAWL_OK ? is_free(whole, err) : st;
    st = st == PAWL_OK ? pw_sqlite_reader_open(path, &base, err) : st;
    if (st == PAWL_OK) {
        st = make(pw_sqlite_reader_of(base), draft, whole, fn, ctx, err);
        pw_sqlite_reader_close(base);
    }
    return st;
}
