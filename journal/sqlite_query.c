/*
 * sqlite_query.c - `pawl sql`: one reading statement of a person, with pawl_events at hand.
 *
 * Reading is kept three times over: the connection is query_only, the statement must be one that
 * SQLite calls read-only, and an authorizer refuses ATTACH and PRAGMA, which could undo the first.
 * One statement; rows as msgpack maps. Does not limit how long a statement may run: it can be
 * interrupted with its process.
 */
#include <string.h>

#include "journal/events_table.h"
#include "journal/sqlite.h"
#include "journal/tx.h"

static int authorize(void *ctx, int action, const char *a, const char *b, const char *schema,
                     const char *inner)
{
    (void)ctx;
    (void)a;
    (void)schema;
    (void)inner;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b != NULL && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

static pawl_status query_error(pw_sqlite_reader *r, int rc, pawl_error *err)
{
    if ((rc & 0xff) == SQLITE_AUTH) {
        return pw_err(err, PAWL_DENIED,
                      "only a statement that reads is allowed: SELECT, WITH or VALUES");
    }
    pw_err(err, PAWL_INVALID, "%s", sqlite3_errmsg(r->db.db));
    return (rc & 0xff) == SQLITE_ERROR ? PAWL_INVALID : pw_db_error(&r->db, rc, "query", err);
}

static pawl_status give_rows(pw_sqlite_reader *r, sqlite3_stmt *st, pw_sql_fn fn, void *ctx,
                             pawl_error *err)
{
    pw_buf row;
    int rc = SQLITE_ROW;
    bool more = true;
    pawl_status status = PAWL_OK;
    pw_buf_init(&row, PW_VALUE_BYTES_MAX);
    while (more && status == PAWL_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        pw_buf_reset(&row);
        pw_sql_put_row(&row, st);
        if (!pw_buf_ok(&row)) {
            status = pw_err(err, PAWL_LIMIT, "a row exceeds %u bytes", PW_VALUE_BYTES_MAX);
        } else {
            more = fn(ctx, (pw_view){row.data, row.size});
        }
    }
    pw_buf_deinit(&row);
    if (status == PAWL_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        status = query_error(r, rc, err);
    }
    return status;
}

static pawl_status run_query(pw_sqlite_reader *r, const char *sql, pw_sql_fn fn, void *ctx,
                             pawl_error *err)
{
    const char *tail = NULL;
    sqlite3_stmt *st = NULL;
    pawl_status status = pw_events_table_register(&r->db, err);
    if (status != PAWL_OK) {
        return status;
    }
    sqlite3_set_authorizer(r->db.db, authorize, NULL);
    int rc = sqlite3_prepare_v2(r->db.db, sql, -1, &st, &tail);
    sqlite3_set_authorizer(r->db.db, NULL,
                           NULL); /* pawl_events prepares statements of ours while it runs */
    if (rc != SQLITE_OK) {
        status = query_error(r, rc, err);
    } else if (st == NULL || (tail != NULL && tail[strspn(tail, " \t\r\n;")] != '\0')) {
        status = pw_err(err, PAWL_INVALID, "give one SQL statement");
    } else if (!sqlite3_stmt_readonly(st)) {
        status = pw_err(err, PAWL_DENIED, "only a statement that reads is allowed");
    } else {
        status = give_rows(r, st, fn, ctx, err);
    }
    sqlite3_finalize(st);
    return status;
}

pawl_status pw_sqlite_file_version(const char *path, int64_t *ret_version, pawl_error *err)
{
    pw_db db;
    int64_t app = 0;
    pawl_status st = pw_db_open(&db, path, NULL, SQLITE_OPEN_READONLY, PW_SQLITE_BUSY_MS, err);
    if (st != PAWL_OK) {
        return st;
    }
    st = pw_db_int(&db, "PRAGMA application_id", &app, err);
    if (st == PAWL_OK && app != PW_SQLITE_APPLICATION_ID) {
        st = pw_err(err, PAWL_FOREIGN, "%s is not a pawl journal", path);
    }
    st = st == PAWL_OK ? pw_db_int(&db, "PRAGMA user_version", ret_version, err) : st;
    pw_db_close(&db);
    return st;
}

pawl_status pw_sqlite_query(const char *path, const char *sql, pw_sql_fn fn, void *ctx,
                            pawl_error *err)
{
    pw_reader *base = NULL;
    pawl_status st = pw_sqlite_reader_open(path, &base, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = run_query(r, sql, fn, ctx, err);
        pw_reader_leave(r);
    }
    pw_sqlite_reader_close(base);
    return st;
}
