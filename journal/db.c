/*
 * db.c - a connection, its statements, and the translation of SQLite's codes.
 *
 * Statements are prepared when first used: most connections use few of them, and opening stays
 * cheap. Bound bytes are not copied (SQLITE_STATIC): they must live until the statement is given
 * back. Does not know what the tables mean, and never calls sqlite3_config by itself: that belongs
 * to the host.
 */
#include "journal/db.h"

#include <string.h>
#include <sys/stat.h>

#include "journal/journal.h"
#include "journal/place.h"

static const char *const sql_text[PW_SQL_COUNT] = {
#define X(name, sql) [PW_SQL_##name] = sql,
#include "journal/sql.def"
#undef X
};

void pw_sqlite_alone(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static pawl_status status_of(int rc)
{
    if (rc == SQLITE_IOERR_NOMEM) {
        return PAWL_NOMEM;
    }
    if (rc == SQLITE_IOERR_SHMSIZE) { /* the -shm file could not be made as long as it must be */
        return PAWL_NOSPACE;
    }
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return PAWL_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return PAWL_BUSY;
    case SQLITE_FULL:
        return PAWL_NOSPACE;
    case SQLITE_NOMEM:
        return PAWL_NOMEM;
    case SQLITE_CORRUPT:
        return PAWL_DAMAGED;
    case SQLITE_NOTADB:
        return PAWL_FOREIGN;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return PAWL_READONLY;
    case SQLITE_AUTH:
        return PAWL_DENIED;
    case SQLITE_TOOBIG:
    case SQLITE_INTERRUPT:
        return PAWL_LIMIT;
    case SQLITE_CONSTRAINT:
        return PAWL_CONFLICT;
    case SQLITE_ERROR:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
        return PAWL_INVALID;
    case SQLITE_MISUSE:
        return PAWL_MISUSE;
    default:
        return PAWL_IO;
    }
}

pawl_status pw_db_error(pw_db *db, int rc, const char *what, pawl_error *err)
{
    const char *text = db->db != NULL ? sqlite3_errmsg(db->db) : sqlite3_errstr(rc);
    if (db->db != NULL && (sqlite3_errcode(db->db) & 0xff) != (rc & 0xff)) {
        text = sqlite3_errstr(rc);
    }
    pawl_status st = status_of(rc);
    const char *path = db->db != NULL ? sqlite3_db_filename(db->db, "main") : NULL;
    if (st == PAWL_NOSPACE && path != NULL && path[0] != 0) {
        return pw_err(err, st, "%s: the disk that holds %s is full", what, path);
    }
    const char *way_out = st == PAWL_DAMAGED ? "; a backup is the way back" : "";
    return pw_err(err, st, "%s: %s (SQLite code %d)%s", what, text, rc, way_out);
}

/* SQLite takes a file that is shorter than its header for an empty one, and would write over it. Looks, does not open. */
static bool too_short(const struct stat *st)
{
    return st->st_size > 0 && st->st_size < 512;
}

pawl_status pw_db_open(pw_db *db, const char *path, const char *vfs, int flags, int busy_ms,
                       pawl_error *err)
{
    struct stat it;

    memset(db, 0, sizeof(*db));
    bool there = vfs == NULL && stat(path, &it) == 0;
    if (there && S_ISDIR(it.st_mode)) {
        return pw_err(err, PAWL_FOREIGN, "%s is a folder", path);
    }
    if (there && too_short(&it)) {
        return pw_err(err, PAWL_FOREIGN, "%s is not an SQLite file, so no pawl journal", path);
    }
    int rc =
        sqlite3_open_v2(path, &db->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db->db, busy_ms);
        return PAWL_OK;
    }
    pawl_status st = pw_db_error(db, rc, path, err);
    pw_db_close(db);
    return st;
}

static void put_uri(pw_buf *b, const char *path)
{
    pw_buf_puts(b, "file:");
    for (; *path != 0; path++) {
        if (*path == '?' || *path == '#' || *path == '%') {
            pw_buf_printf(b, "%%%02x", (unsigned)*path);
        } else {
            pw_buf_putc(b, (uint8_t)*path);
        }
    }
    pw_buf_puts(b, "?immutable=1");
}

pawl_status pw_db_open_as_is(pw_db *db, const char *path, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf name = PW_BUF_INIT;
    char wal[PATH_MAX];
    struct stat st;

    memset(db, 0, sizeof(*db));
    pawl_status status = pw_place_beside(path, "-wal", wal, err);
    if (status == PAWL_OK && stat(wal, &st) == 0 && st.st_size > 0) {
        status = pw_err(err, PAWL_READONLY,
                        "%s was not closed as it should be, and this user may not write beside it",
                        path);
    }
    put_uri(&name, path);
    if (status == PAWL_OK && !pw_buf_ok(&name)) {
        status = pw_err(err, PAWL_NOMEM, "out of memory");
    }
    return status == PAWL_OK ? pw_db_open(db, pw_buf_cstr(&name), NULL,
                                          SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, 0, err)
                             : status;
}

void pw_db_close(pw_db *db)
{
    for (size_t i = 0; i < PW_SQL_COUNT; i++) {
        sqlite3_finalize(db->stmts[i]);
        db->stmts[i] = NULL;
    }
    sqlite3_close_v2(db->db);
    db->db = NULL;
}

pawl_status pw_db_exec(pw_db *db, const char *sql, pawl_error *err)
{
    int rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? PAWL_OK : pw_db_error(db, rc, "journal", err);
}

pawl_status pw_db_int(pw_db *db, const char *sql, int64_t *ret, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
    }
    pawl_status status = PAWL_OK;
    if (rc == SQLITE_ROW) {
        *ret = sqlite3_column_int64(st, 0);
    } else {
        status = pw_db_error(db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "journal", err);
    }
    sqlite3_finalize(st);
    return status;
}

pawl_status pw_db_unprepared(pw_db *db, int rc, const char *what, pawl_error *err)
{
    if ((rc & 0xff) == SQLITE_ERROR) { /* our own words fit our own tables */
        return pw_err(err, PAWL_DAMAGED,
                      "the journal lacks what it should have: %s; a backup is the way back",
                      sqlite3_errmsg(db->db));
    }
    return pw_db_error(db, rc, what, err);
}

pawl_status pw_db_untaken(const pw_db *db)
{
    const pawl_status st = status_of(sqlite3_extended_errcode(db->db));
    return st == PAWL_INVALID ? PAWL_DAMAGED : st == PAWL_OK ? PAWL_NOMEM : st;
}

sqlite3_stmt *pw_db_take(pw_db *db, pw_sql id, pawl_error *err)
{
    sqlite3_stmt *st = db->stmts[id];
    if (st != NULL && !sqlite3_stmt_busy(st)) {
        return st;
    }
    sqlite3_stmt *fresh = NULL;
    int rc = sqlite3_prepare_v3(db->db, sql_text[id], -1, SQLITE_PREPARE_PERSISTENT, &fresh, NULL);
    if (rc != SQLITE_OK) {
        (void)pw_db_unprepared(db, rc, sql_text[id], err);
        return NULL;
    }
    if (st == NULL) {
        db->stmts[id] = fresh;
    }
    return fresh;
}

void pw_db_give(pw_db *db, pw_sql id, sqlite3_stmt *st)
{
    if (st == db->stmts[id]) {
        sqlite3_reset(st);
    } else {
        sqlite3_finalize(st);
    }
}

/* A statement kept from before finds out when it runs that a table has gone. */
static pawl_status stopped(pw_db *db, int rc, pawl_error *err)
{
    const bool lacks =
        (rc & 0xff) == SQLITE_ERROR && strncmp(sqlite3_errmsg(db->db), "no such ", 8) == 0;
    return lacks ? pw_db_unprepared(db, rc, "journal", err) : pw_db_error(db, rc, "journal", err);
}

pawl_status pw_db_step(pw_db *db, sqlite3_stmt *st, bool *ret_row, pawl_error *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_row = rc == SQLITE_ROW;
        return PAWL_OK;
    }
    return stopped(db, rc, err);
}

pawl_status pw_db_run(pw_db *db, pw_sql id, sqlite3_stmt *st, int *ret_changes, pawl_error *err)
{
    int rc = sqlite3_step(st);
    pawl_status status = PAWL_OK;
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        status = stopped(db, rc, err);
    } else if (ret_changes != NULL) {
        *ret_changes = sqlite3_changes(db->db);
    }
    pw_db_give(db, id, st);
    return status;
}

pawl_status pw_db_run_ints(pw_db *db, pw_sql id, int64_t a, int64_t b, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(db, id, err);
    if (st == NULL) {
        return pw_db_untaken(db);
    }
    pw_bind bind = {st, 0};
    pw_bind_int(&bind, a);
    if (sqlite3_bind_parameter_count(st) > 1) {
        pw_bind_int(&bind, b);
    }
    return pw_db_run(db, id, st, NULL, err);
}

pawl_status pw_db_simple(pw_db *db, pw_sql id, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(db, id, err);
    return st == NULL ? pw_db_untaken(db) : pw_db_run(db, id, st, NULL, err);
}

void pw_bind_int(pw_bind *b, int64_t v)
{
    sqlite3_bind_int64(b->st, ++b->n, v);
}

void pw_bind_text(pw_bind *b, pw_view v)
{
    const char *text = v.data != NULL ? (const char *)v.data : "";
    sqlite3_bind_text64(b->st, ++b->n, text, v.size, SQLITE_STATIC, SQLITE_UTF8);
}

void pw_bind_bytes(pw_bind *b, const void *data, size_t size)
{
    sqlite3_bind_blob64(b->st, ++b->n, data != NULL ? data : "", size, SQLITE_STATIC);
}

void pw_bind_blob(pw_bind *b, pw_view v)
{
    pw_bind_bytes(b, v.data, v.size);
}

int64_t pw_col_int(pw_cols *c)
{
    return sqlite3_column_int64(c->st, c->n++);
}

pw_view pw_col_view(pw_cols *c)
{
    pw_view v;
    v.data = sqlite3_column_blob(c->st, c->n);
    v.size = (size_t)sqlite3_column_bytes(c->st, c->n);
    c->n++;
    return v;
}
