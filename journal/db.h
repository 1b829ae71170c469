/*
 * db.h - one SQLite connection and its prepared statements. The only place where SQLite's codes
 * become ours.
 *
 *   st = pw_db_take(db, PW_SQL_RUN_GET, err);      NULL: err is set
 *   pw_bind b = {st, 0}; pw_bind_int(&b, key);     binds ?1, ?2, ... in turn; views must live until give
 *   while (pw_db_step(db, st, &row, err) ...)      or pw_db_run for statements without rows
 *   pw_db_give(db, PW_SQL_RUN_GET, st);            always, also after an error
 *
 * Thread: a connection belongs to one thread at a time (SQLITE_OPEN_NOMUTEX).
 */
#ifndef PW_DB_H
#define PW_DB_H

#include <sqlite3.h>

#include "sdk/base/amounts.h"
#include "sdk/base/error.h"
#include "sdk/base/mp.h"

typedef enum pw_sql {
#define X(name, sql) PW_SQL_##name,
#include "journal/sql.def"
#undef X
    PW_SQL_COUNT
} pw_sql;

typedef struct pw_db {
    sqlite3 *db;
    sqlite3_stmt *stmts[PW_SQL_COUNT];
} pw_db;

/** Opens a connection; db is zeroed first. flags are SQLite's; NOMUTEX is added. It waits busy_ms for others from the first read on: that may meet
 * another process which recovers the WAL. A failed open leaves nothing behind. */
pawl_status pw_db_open(pw_db *db, const char *path, const char *vfs, int flags, int busy_ms,
                       pawl_error *err);
/** As pw_db_open, for a file in a place where SQLite may not make what it needs to read it: the file as it is, without locks. Only while it holds
 * everything, so not beside a -wal with something in it. Errors: READONLY, IO */
pawl_status pw_db_open_as_is(pw_db *db, const char *path, pawl_error *err);
/** Finalises the statements and closes. Accepts a zeroed db, and closes twice without harm. */
void pw_db_close(pw_db *db);

/** Ours for SQLite's code, with its message after `what`. */
pawl_status pw_db_error(pw_db *db, int rc, const char *what, pawl_error *err);
/** The same for a statement of ours that could not be prepared: a table or column that it lacks is DAMAGED. */
pawl_status pw_db_unprepared(pw_db *db, int rc, const char *what, pawl_error *err);
/** Runs SQL without parameters or rows of interest. */
pawl_status pw_db_exec(pw_db *db, const char *sql, pawl_error *err);
/** First column of the first row as an integer. */
pawl_status pw_db_int(pw_db *db, const char *sql, int64_t *ret, pawl_error *err);

/** A prepared statement ready to bind. One that is running already (a read inside a row callback) gets a twin. NULL: pw_db_untaken says why. */
sqlite3_stmt *pw_db_take(pw_db *db, pw_sql id, pawl_error *err);
/** Right after a statement could not be prepared: why not, also for those who gave no err. A table or column that is not there is DAMAGED. */
pawl_status pw_db_untaken(const pw_db *db);
void pw_db_give(pw_db *db, pw_sql id, sqlite3_stmt *st);
/** Next row? *ret_row false at the end. */
pawl_status pw_db_step(pw_db *db, sqlite3_stmt *st, bool *ret_row, pawl_error *err);
/** Runs a taken statement to its end and gives it back; *ret_changes (may be NULL) = rows changed. */
pawl_status pw_db_run(pw_db *db, pw_sql id, sqlite3_stmt *st, int *ret_changes, pawl_error *err);
/** Takes, binds and runs a statement of one or two numbers; b counts for nothing with one. */
pawl_status pw_db_run_ints(pw_db *db, pw_sql id, int64_t a, int64_t b, pawl_error *err);
/** Takes and runs a statement without parameters. */
pawl_status pw_db_simple(pw_db *db, pw_sql id, pawl_error *err);

/* ---- binding parameters and reading columns in order ---- */

typedef struct pw_bind {
    sqlite3_stmt *st;
    int n;
} pw_bind;
void pw_bind_int(pw_bind *b, int64_t v);
void pw_bind_text(pw_bind *b, pw_view v);
void pw_bind_blob(pw_bind *b, pw_view v);
void pw_bind_bytes(pw_bind *b, const void *data, size_t size);

typedef struct pw_cols {
    sqlite3_stmt *st;
    int n;
} pw_cols;
int64_t pw_col_int(pw_cols *c);
pw_view pw_col_view(pw_cols *c); /* text or blob; valid until the next step */

#endif
