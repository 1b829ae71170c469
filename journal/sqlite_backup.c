/*
 * sqlite_backup.c - a copy of a journal as it is at one moment, taken beside a running engine.
 *
 * One read transaction holds the moment: what lands meanwhile is not in the copy, and nothing waits for it but the truncation of the WAL.
 * The copy is whole or not there: it is written under another name, synced, and given its name at the end. It opens no second connection to
 * the journal that could checkpoint, and replaces no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/place.h"
#include "journal/sqlite.h"

#define STEP_PAGES 1024

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

/* The folder is synced too, so that the name survives a power cut. */
static pawl_status publish(char draft[PATH_MAX], char target[PATH_MAX], pawl_error *err)
{
    pawl_status st = sync_path(draft, O_RDWR, err);
    if (st == PAWL_OK && link(draft, target) != 0) {
        st = say_errno(err, "make", target);
    }
    (void)unlink(draft);
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

/* An empty file with the journal's own mode: what only one may read stays so. */
static pawl_status draft_make(const char *path, const char *draft, pawl_error *err)
{
    struct stat like = {0};
    if (stat(path, &like) != 0) {
        return say_errno(err, "read", path);
    }
    (void)unlink(draft);
    int fd = open(draft, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, like.st_mode & 0666);
    if (fd < 0) {
        return say_errno(err, "make", draft);
    }
    (void)close(fd);
    return PAWL_OK;
}

pawl_status pw_sqlite_backup(const char *path, const char *target, pw_backup_fn fn, void *ctx,
                             pawl_error *err)
{
    char whole[PATH_MAX];
    char draft[PATH_MAX];
    pw_reader *base = NULL;
    pawl_status st = pw_place_resolve(target, whole, err);
    st = st == PAWL_OK ? pw_place_beside(whole, "~", draft, err) : st;
    if (st == PAWL_OK && access(whole, F_OK) == 0) {
        st = pw_err(err, PAWL_EXISTS, "%.200s is there already", target);
    }
    st = st == PAWL_OK ? pw_sqlite_reader_open(path, &base, err) : st;
    if (st != PAWL_OK) {
        return st;
    }
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = draft_make(r->path, draft, err);
        st = st == PAWL_OK ? copy(&r->db, draft, fn, ctx, err) : st;
        pw_reader_leave(r);
        st = st == PAWL_OK ? publish(draft, whole, err) : st;
        if (st != PAWL_OK) {
            (void)unlink(draft);
        }
    }
    pw_sqlite_reader_close(base);
    return st;
}
