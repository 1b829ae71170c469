/*
 * sqlite_tx.c - transactional steps: a host's function writes tables of its own in the journal's
 * file, inside the commit of its turn, and so runs exactly once.
 *
 *   SAVEPOINT; callback with pawl_tx; RELEASE, or ROLLBACK TO when it failed; then the turn's record is encoded with the
 *   result in it, chained and appended like any other. A failed step does not take the group along.
 *
 * The callback never sees the connection. An authorizer stands between: tables whose name begins
 * with pawl_ or sqlite_, ATTACH, PRAGMA, transactions, triggers, temporary and virtual tables are
 * refused, and a count of the virtual machine's steps bounds how long the journal can be held. The
 * authorizer is set only while the host's SQL is compiled and run, so it costs ours nothing. Does
 * not offer BLOB streaming or more than one statement per call.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "journal/sqlite.h"
#include "journal/tx.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"
#include "sdk/pawl_workflow.h"

struct pawl_tx {
    pw_db *db;
    int64_t steps_left;  /* in thousands of the virtual machine's steps */
    const char *refused; /* what the authorizer said no to; static or the statement's */
    char refused_name[64];
};

/* ---- what the host's SQL may do ---- */

static bool is_ours(const char *name)
{
    if (name == NULL ||
        strncmp(name, "sqlite_autoindex_", 17) == 0) { /* what a UNIQUE brings along */
        return false;
    }
    return strncasecmp(name, "pawl_", 5) == 0 || strncasecmp(name, "sqlite_", 7) == 0;
}

static bool is_schema(const char *name)
{
    return name != NULL &&
           (strcmp(name, "sqlite_master") == 0 || strcmp(name, "sqlite_temp_master") == 0);
}

static int refuse(pawl_tx *tx, const char *why, const char *name)
{
    tx->refused = why;
    snprintf(tx->refused_name, sizeof(tx->refused_name), "%s", name != NULL ? name : "");
    return SQLITE_DENY;
}

/** Actions whose first name is a table or an index, and whose second may be one too. */
static int check_names(pawl_tx *tx, const char *a, const char *b)
{
    if ((is_ours(a) && !is_schema(a)) || (is_ours(b) && !is_schema(b))) {
        return refuse(tx, "the journal's own tables are not for transactional steps",
                      is_ours(a) ? a : b);
    }
    return SQLITE_OK; /* the schema table: CREATE and DROP write it, SQLite itself refuses everything else */
}

static int authorize(void *ctx, int action, const char *a, const char *b, const char *schema,
                     const char *inner)
{
    pawl_tx *tx = ctx;
    (void)inner;
    if (schema != NULL && strcmp(schema, "main") != 0 &&
        !is_schema(a)) { /* ALTER looks there too */
        return refuse(tx, "only tables in the journal's own file can be used", schema);
    }
    switch (action) {
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_INDEX:
        return check_names(tx, a, b);
    case SQLITE_ALTER_TABLE:
        return check_names(tx, b, NULL);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_READ:
        return check_names(tx, a, NULL);
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
    case SQLITE_REINDEX: /* CREATE INDEX asks for it */
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b != NULL && strcasecmp(b, "load_extension") == 0
                   ? refuse(tx, "this function is not allowed", b)
                   : SQLITE_OK;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
        return refuse(tx, "a transactional step cannot begin, commit or roll back: its turn does",
                      a);
    case SQLITE_PRAGMA:
        return refuse(tx, "PRAGMA is not allowed in a transactional step", a);
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
        return refuse(tx, "ATTACH is not allowed in a transactional step", a);
    default:
        return refuse(tx, "this statement is not allowed in a transactional step", a);
    }
}

static int count_steps(void *ctx)
{
    pawl_tx *tx = ctx;
    return --tx->steps_left < 0 ? 1 : 0;
}

static pawl_status tx_error(pawl_tx *tx, int rc, pawl_error *err)
{
    if ((rc & 0xff) == SQLITE_AUTH && tx->refused != NULL) {
        return pw_err(err, PAWL_DENIED, "%s (%s)", tx->refused, tx->refused_name);
    }
    if ((rc & 0xff) == SQLITE_INTERRUPT) {
        return pw_err(err, PAWL_LIMIT,
                      "a transactional step used more than %d steps of SQLite's machine",
                      PW_TX_KILOSTEPS_MAX * 1000);
    }
    return pw_db_error(tx->db, rc, "transactional step", err);
}

/* ---- values in and out ---- */

static int bind_value(sqlite3_stmt *st, int n, pw_mp *r)
{
    pw_view text;
    switch (pw_mp_peek(r)) {
    case PAWL_NIL:
        pw_mp_skip(r);
        return sqlite3_bind_null(st, n);
    case PAWL_BOOL:
        return sqlite3_bind_int(st, n, pw_mp_read_bool(r) ? 1 : 0);
    case PAWL_INT:
        return sqlite3_bind_int64(st, n, pw_mp_read_int(r));
    case PAWL_DOUBLE:
        return sqlite3_bind_double(st, n, pw_mp_read_double(r));
    case PAWL_STRING:
        text = pw_mp_read_str(r);
        return sqlite3_bind_text64(st, n, text.data != NULL ? (const char *)text.data : "",
                                   text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    case PAWL_BYTES:
        text = pw_mp_read_str(r);
        return sqlite3_bind_blob64(st, n, text.data != NULL ? text.data : (const uint8_t *)"",
                                   text.size, SQLITE_TRANSIENT);
    case PAWL_ARRAY:
    case PAWL_MAP:
    case PAWL_BIGINT:
        break;
    }
    return SQLITE_MISMATCH;
}

static pawl_status bind_params(pawl_tx *tx, sqlite3_stmt *st, const pawl_value *params,
                               pawl_error *err)
{
    pw_view bytes = pw_value_bytes(params);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    size_t len = params == NULL || pawl_typeof(params) == PAWL_NIL ? 0 : pw_mp_read_array(&r);
    if (!pw_mp_ok(&r) || (int)len != sqlite3_bind_parameter_count(st)) {
        return pw_err(err, PAWL_INVALID,
                      "the statement has %d parameters, params is an array of %zu",
                      sqlite3_bind_parameter_count(st), len);
    }
    for (size_t i = 0; i < len; i++) {
        int rc = bind_value(st, (int)i + 1, &r);
        if (rc == SQLITE_MISMATCH) {
            return pw_err(err, PAWL_INVALID,
                          "parameter %zu is neither nil, bool, number, string nor bytes", i + 1);
        }
        if (rc != SQLITE_OK) {
            return tx_error(tx, rc, err);
        }
    }
    return PAWL_OK;
}

static bool only_space(const char *tail)
{
    return tail == NULL || tail[strspn(tail, " \t\r\n;")] == '\0';
}

static pawl_status prepare(pawl_tx *tx, const char *sql, const pawl_value *params,
                           sqlite3_stmt **ret, pawl_error *err)
{
    const char *tail = NULL;
    sqlite3_stmt *st = NULL;
    tx->refused = NULL;
    int rc = sqlite3_prepare_v2(tx->db->db, sql, -1, &st, &tail);
    if (rc != SQLITE_OK) {
        return tx_error(tx, rc, err);
    }
    pawl_status status = PAWL_OK;
    if (st == NULL || !only_space(tail)) {
        status = pw_err(err, PAWL_INVALID, "a transactional step runs one statement per call");
    }
    if (status == PAWL_OK) {
        status = bind_params(tx, st, params, err);
    }
    if (status != PAWL_OK) {
        sqlite3_finalize(st);
        return status;
    }
    *ret = st;
    return PAWL_OK;
}

void pw_sql_put_column(pw_buf *b, sqlite3_stmt *st, int column)
{
    switch (sqlite3_column_type(st, column)) {
    case SQLITE_INTEGER:
        pw_mp_int(b, sqlite3_column_int64(st, column));
        return;
    case SQLITE_FLOAT:
        pw_mp_double(b, sqlite3_column_double(st, column));
        return;
    case SQLITE_TEXT:
        pw_mp_text(b, (const char *)sqlite3_column_text(st, column),
                   (size_t)sqlite3_column_bytes(st, column));
        return;
    case SQLITE_BLOB:
        pw_mp_bin(b, sqlite3_column_blob(st, column), (size_t)sqlite3_column_bytes(st, column));
        return;
    default:
        pw_mp_nil(b);
        return;
    }
}

void pw_sql_put_row(pw_buf *b, sqlite3_stmt *st)
{
    int columns = sqlite3_column_count(st);
    pw_mp_map(b, (size_t)columns);
    for (int i = 0; i < columns; i++) {
        pw_mp_str(b, sqlite3_column_name(st, i));
        pw_sql_put_column(b, st, i);
    }
}

static pawl_status collect(pawl_tx *tx, sqlite3_stmt *st, pw_buf *rows, size_t *ret_len,
                           pawl_error *err)
{
    int rc = SQLITE_ROW;
    size_t len = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        pw_sql_put_row(rows, st);
        len++;
        if (!pw_buf_ok(rows)) {
            return pw_err(err, PAWL_LIMIT, "the rows of a transactional step exceed %u bytes",
                          PW_VALUE_BYTES_MAX);
        }
    }
    *ret_len = len;
    return rc == SQLITE_DONE ? PAWL_OK : tx_error(tx, rc, err);
}

/* ---- the two calls a host's function has ---- */

pawl_status pawl_tx_exec(pawl_tx *tx, const char *sql, const pawl_value *params, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = SQLITE_ROW;
    pawl_status status = prepare(tx, sql, params, &st, err);
    if (status != PAWL_OK) {
        return status;
    }
    while (rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
    }
    if (rc != SQLITE_DONE) {
        status = tx_error(tx, rc, err);
    }
    sqlite3_finalize(st);
    return status;
}

pawl_status pawl_tx_query(pawl_tx *tx, pawl_scope *scope, const char *sql, const pawl_value *params,
                          const pawl_value **ret_rows, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    size_t len = 0;
    pawl_status status = prepare(tx, sql, params, &st, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_buf rows;
    pw_buf whole;
    pw_buf_init(&rows, PW_VALUE_BYTES_MAX);
    pw_buf_init(&whole, PW_VALUE_BYTES_MAX + 16);
    status = collect(tx, st, &rows, &len, err);
    sqlite3_finalize(st);
    if (status == PAWL_OK) {
        pw_mp_array(&whole, len);
        pw_buf_put(&whole, rows.data, rows.size);
        const pawl_value *v =
            pw_buf_ok(&whole) ? pw_value_copy(scope, whole.data, whole.size) : NULL;
        if (v == NULL) {
            status = pw_err(err, PAWL_NOMEM, "out of memory");
        } else {
            *ret_rows = v;
        }
    }
    pw_buf_deinit(&rows);
    pw_buf_deinit(&whole);
    return status;
}

/* ---- the operation ---- */

static pawl_status call_host(pw_sqlite *j, const pw_tx_call *call, pawl_error *err)
{
    pawl_tx tx = {.db = &j->db, .steps_left = PW_TX_KILOSTEPS_MAX};
    sqlite3_set_authorizer(j->db.db, authorize, &tx);
    sqlite3_progress_handler(j->db.db, 1000, count_steps, &tx);
    pawl_status st = call->run(call->ctx, &tx, err);
    sqlite3_progress_handler(j->db.db, 0, NULL, NULL);
    sqlite3_set_authorizer(j->db.db, NULL, NULL);
    return st;
}

pawl_status pw_sqlite_tx_run(pw_sqlite *j, const pw_tx_call *call, pw_buf *record,
                             int64_t *ret_events, pawl_error *err)
{
    pawl_error step = {0};
    pawl_status st = pw_db_simple(&j->db, PW_SQL_TX_SAVE, err);
    if (st != PAWL_OK) {
        return st;
    }
    pawl_status outcome = call_host(j, call, &step);
    if (sqlite3_get_autocommit(j->db.db)) {
        return pw_err(err, outcome == PAWL_NOSPACE ? PAWL_NOSPACE : PAWL_NOT,
                      "transactional step: %.200s", step.message);
    }
    st = outcome == PAWL_OK ? PAWL_OK : pw_db_simple(&j->db, PW_SQL_TX_UNDO, err);
    if (st == PAWL_OK) {
        st = pw_db_simple(&j->db, PW_SQL_TX_RELEASE, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    call->encode(call->ctx, outcome, &step, record, ret_events);
    return pw_buf_ok(record) ? PAWL_OK
                             : pw_err(err, PAWL_NOMEM, "out of memory for a turn's record");
}
