/*
 * sqlite_read.c - the reader half: connections that never write and never checkpoint, runs, and
 * records.
 *
 * A run's row and its records are read in one transaction, so that a commit in between cannot look
 * like damage (walk.h checks them). Reads may be nested in row callbacks. The smaller tables are
 * in sqlite_rows.c.
 */
#include "journal/sqlite.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "journal/walk.h"
#include "sdk/base/mem.h"

/* ---- connections ---- */

static pawl_status load_key(pw_sqlite_reader *r, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_META_GET, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_text(&b, (pw_view){(const uint8_t *)"blob_key", 8});
    pawl_status status = pw_db_step(&r->db, st, &row, err);
    pw_cols c = {st, 0};
    pw_view key = status == PAWL_OK && row ? pw_col_view(&c) : (pw_view){NULL, 0};
    if (status == PAWL_OK && key.size != PW_KEY_SIZE) {
        status = pw_err(err, PAWL_DAMAGED, "%s has no blob key", r->path);
    } else if (status == PAWL_OK) {
        memcpy(r->blob_key, key.data, PW_KEY_SIZE);
    }
    pw_db_give(&r->db, PW_SQL_META_GET, st);
    return status;
}

static pawl_status check_version(pw_sqlite_reader *r, pawl_error *err)
{
    int version = 0;
    pawl_status st = pw_schema_identify(&r->db, r->path, false, &version, err);
    if (st == PAWL_OK && version < pw_schema_version()) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "%s has journal version %d, this pawl reads %d: open it once with an engine "
                      "(pawl serve), which migrates it",
                      r->path, version, pw_schema_version());
    }
    return st;
}

static pawl_status set_up(pw_sqlite_reader *r, pawl_error *err)
{
    sqlite3_db_config(r->db.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_db_config(r->db.db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(r->db.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    return pw_db_exec(
        &r->db, "PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-8192", err);
}

static pawl_status connect_reader(pw_sqlite_reader *r, pawl_error *err)
{
    pawl_status st = pw_db_open(&r->db, r->path, r->env.vfs, SQLITE_OPEN_READWRITE,
                                pw_sqlite_busy_ms(&r->env), err);
    if (st != PAWL_OK) {
        return st;
    }
    st = set_up(r, err);
    bool barred =
        st == PAWL_READONLY || (st != PAWL_OK && sqlite3_errcode(r->db.db) == SQLITE_CANTOPEN);
    if (barred && r->env.vfs == NULL) {
        pw_db_close(&r->db);
        st = pw_db_open_as_is(&r->db, r->path, err);
        st = st == PAWL_OK ? set_up(r, err) : st;
    }
    if (st == PAWL_FOREIGN) {
        st = pw_err(err, PAWL_FOREIGN, "%s is not an SQLite file, so no pawl journal", r->path);
    }
    if (st == PAWL_OK) {
        st = check_version(r, err);
    }
    if (st == PAWL_OK) {
        st = load_key(r, err);
    }
    if (st != PAWL_OK) {
        pw_db_close(&r->db);
    }
    return st;
}

static pawl_status refuse_failed(pawl_error *err)
{
    return pw_err(err, PAWL_IO,
                  "the journal is closed after a failed sync and must be reopened first");
}

pawl_status pw_reader_enter(pw_sqlite_reader *r, pawl_error *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->db.db != NULL) {
        return PAWL_OK;
    }
    pawl_status st = PAWL_OK;
    if (r->owner != NULL && r->owner->failed) {
        st = pw_err(err, PAWL_IO,
                    "the journal is closed after a failed sync and must be reopened first");
    } else {
        st = connect_reader(r, err);
    }
    if (st != PAWL_OK) {
        pthread_mutex_unlock(&r->lock);
    }
    return st;
}

void pw_reader_leave(pw_sqlite_reader *r)
{
    pthread_mutex_unlock(&r->lock);
}

pawl_status pw_reading_begin(pw_reading *ret, pw_reader *base, pw_sql sql, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    const pawl_status st = pw_reader_enter(r, err);
    if (st != PAWL_OK) {
        return st;
    }
    sqlite3_stmt *statement = pw_db_take(&r->db, sql, err);
    if (statement == NULL) {
        const pawl_status why = pw_db_untaken(&r->db);
        pw_reader_leave(r);
        return why;
    }
    *ret = (pw_reading){.r = r, .sql = sql, .st = statement, .bind = {statement, 0}};
    return PAWL_OK;
}

pawl_status pw_reading_end(pw_reading *reading, pawl_status status)
{
    pw_db_give(&reading->r->db, reading->sql, reading->st);
    pw_reader_leave(reading->r);
    return status;
}

static pawl_status new_reader(const char *path, const pw_sqlite_env *env, pw_sqlite_reader **ret,
                              pawl_error *err)
{
    pw_sqlite_reader *r = pw_calloc(1, sizeof(*r));
    char *copy = r != NULL ? pw_place_copy(path) : NULL;
    if (copy == NULL) {
        pw_free(r);
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    r->base.ops = &pw_sqlite_ops;
    r->env = *env;
    r->path = copy;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* reads nest in row callbacks */
    pthread_mutex_init(&r->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    pawl_status st = connect_reader(r, err);
    if (st != PAWL_OK) {
        pw_sqlite_reader_close(&r->base);
        return st;
    }
    *ret = r;
    return PAWL_OK;
}

pawl_status pw_sqlite_reader_open_journal(pw_journal *base, pw_reader **ret_reader, pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    pw_sqlite_reader *r = NULL;
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st != PAWL_OK) {
        return st;
    }
    pthread_mutex_lock(&j->readers_lock); /* the rite finds every connection in the list, or none */
    st = j->failed ? refuse_failed(err) : new_reader(j->path, &j->env, &r, err);
    if (st == PAWL_OK) {
        r->base.journal = base;
        r->owner = j;
        r->next = j->readers;
        j->readers = r;
        *ret_reader = &r->base;
    }
    pthread_mutex_unlock(&j->readers_lock);
    return st;
}

pawl_status pw_sqlite_reader_open_env(const char *path, const pw_sqlite_env *env,
                                      pw_reader **ret_reader, pawl_error *err)
{
    char real[PATH_MAX];
    pw_sqlite_reader *r = NULL;
    pawl_status st = PAWL_OK;
    if (!env->bare) {
        st = pw_place_resolve(path, real, err);
        if (st == PAWL_OK && access(real, F_OK) != 0) {
            st = pw_err(err, PAWL_NOTFOUND, "there is no journal %s", real);
        }
    }
    if (st == PAWL_OK) {
        st = new_reader(env->bare ? path : real, env, &r, err);
    }
    if (st == PAWL_OK) {
        *ret_reader = &r->base;
    }
    return st;
}

pawl_status pw_sqlite_reader_open(const char *path, pw_reader **ret_reader, pawl_error *err)
{
    pw_sqlite_env env = {0};
    return pw_sqlite_reader_open_env(path, &env, ret_reader, err);
}

static void leave_owner(pw_sqlite_reader *r)
{
    pthread_mutex_lock(&r->owner->readers_lock);
    for (pw_sqlite_reader **at = &r->owner->readers; *at != NULL; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            break;
        }
    }
    pthread_mutex_unlock(&r->owner->readers_lock);
}

void pw_sqlite_reader_close(pw_reader *base)
{
    if (base == NULL) {
        return;
    }
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    if (r->owner != NULL) {
        leave_owner(r);
    }
    pw_db_close(&r->db);
    pthread_mutex_destroy(&r->lock);
    pw_free(r->path);
    pw_free(r);
}

/* ---- runs ---- */

static bool give_run(sqlite3_stmt *st, pw_run_fn fn, void *ctx)
{
    pw_cols c = {st, 0};
    pw_run_row r = {0};
    r.key = pw_col_int(&c);
    r.id = pw_col_view(&c);
    r.workflow = pw_col_view(&c);
    r.version = pw_col_view(&c);
    r.traceparent = pw_col_view(&c);
    r.created_ms = pw_col_int(&c);
    r.parent_key = pw_col_int(&c);
    r.parent_cmd = pw_col_int(&c);
    r.prev_key = pw_col_int(&c);
    r.parent_policy = (int)pw_col_int(&c);
    r.status = (int)pw_col_int(&c);
    r.seq = pw_col_int(&c);
    pw_view chain = pw_col_view(&c);
    if (chain.size == PW_DIGEST_SIZE) {
        memcpy(r.chain, chain.data, PW_DIGEST_SIZE);
    }
    r.updated_ms = pw_col_int(&c);
    r.closed_ms = pw_col_int(&c);
    r.waiting = pw_col_view(&c);
    r.reason = pw_col_view(&c);
    r.progress_done = pw_col_int(&c);
    r.progress_total = pw_col_int(&c);
    r.progress_text = pw_col_view(&c);
    r.unread = pw_col_int(&c);
    r.crashes = pw_col_int(&c);
    r.build = (uint64_t)pw_col_int(&c);
    return fn(ctx, &r);
}

/** Steps a bound statement and hands its rows to fn; *ret_rows counts them. Gives the statement back, leaves the reader. */
static pawl_status give_runs(pw_sqlite_reader *r, pw_sql id, sqlite3_stmt *st, pw_run_fn fn,
                             void *ctx, size_t *ret_rows, pawl_error *err)
{
    bool row = true;
    size_t rows = 0;
    pawl_status status = PAWL_OK;
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            rows++;
            row = give_run(st, fn, ctx);
        }
    }
    pw_db_give(&r->db, id, st);
    *ret_rows = rows;
    return status;
}

pawl_status pw_sqlite_run_get(pw_reader *base, int64_t key, pw_run_fn fn, void *ctx,
                              pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    size_t rows = 0;
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_RUN_GET, err);
    status = st == NULL ? pw_db_untaken(&r->db) : PAWL_OK;
    if (st != NULL) {
        pw_bind b = {st, 0};
        pw_bind_int(&b, key);
        status = give_runs(r, PW_SQL_RUN_GET, st, fn, ctx, &rows, err);
    }
    pw_reader_leave(r);
    return status == PAWL_OK && rows == 0
               ? pw_err(err, PAWL_NOTFOUND, "no run with key %lld", (long long)key)
               : status;
}

pawl_status pw_sqlite_run_find(pw_reader *base, pw_view id, pw_run_fn fn, void *ctx,
                               pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    size_t rows = 0;
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_RUN_FIND, err);
    status = st == NULL ? pw_db_untaken(&r->db) : PAWL_OK;
    if (st != NULL) {
        pw_bind b = {st, 0};
        pw_bind_text(&b, id);
        status = give_runs(r, PW_SQL_RUN_FIND, st, fn, ctx, &rows, err);
    }
    pw_reader_leave(r);
    if (status == PAWL_OK && rows == 0) {
        return pw_err(err, PAWL_NOTFOUND, "no run with id %.*s",
                      (int)(id.size > 150 ? 150 : id.size), (const char *)id.data);
    }
    return status;
}

/** The least text above every text with this prefix: the prefix with its last byte below 0xff raised by one. */
static size_t prefix_end(pw_view prefix, uint8_t ret[PW_ID_BYTES_MAX])
{
    size_t size = prefix.size < PW_ID_BYTES_MAX ? prefix.size : PW_ID_BYTES_MAX;
    memcpy(ret, prefix.data, size);
    while (size > 0 && ret[size - 1] == 0xff) {
        size--;
    }
    if (size > 0) {
        ret[size - 1]++;
    }
    return size;
}

pawl_status pw_sqlite_run_scan(pw_reader *base, const pw_scan *scan, pw_run_fn fn, void *ctx,
                               pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    uint8_t end[PW_ID_BYTES_MAX];
    size_t rows = 0;
    bool by_id = scan->id_prefix.size > 0;
    pw_sql id = by_id             ? PW_SQL_RUN_SCAN_ID
                : scan->open_only ? PW_SQL_RUN_SCAN_OPEN
                                  : PW_SQL_RUN_SCAN;
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    sqlite3_stmt *st = pw_db_take(&r->db, id, err);
    status = st == NULL ? pw_db_untaken(&r->db) : PAWL_OK;
    if (st != NULL) {
        pw_bind b = {st, 0};
        pw_bind_int(&b, scan->before_key > 0 ? scan->before_key : INT64_MAX);
        pw_bind_int(&b, (int64_t)(scan->rows_max > 0 ? scan->rows_max : PW_PAGE_ROWS_MAX));
        if (by_id) {
            pw_bind_text(&b, scan->id_prefix);
            pw_bind_text(&b, (pw_view){end, prefix_end(scan->id_prefix, end)});
            pw_bind_int(&b, scan->open_only ? 1 : 0);
        }
        status = give_runs(r, id, st, fn, ctx, &rows, err);
    }
    pw_reader_leave(r);
    return status;
}

pawl_status pw_sqlite_run_children(pw_reader *base, int64_t parent, pw_run_fn fn, void *ctx,
                                   pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    size_t rows = 0;
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_RUN_CHILDREN, err);
    status = st == NULL ? pw_db_untaken(&r->db) : PAWL_OK;
    if (st != NULL) {
        pw_bind b = {st, 0};
        pw_bind_int(&b, parent);
        status = give_runs(r, PW_SQL_RUN_CHILDREN, st, fn, ctx, &rows, err);
    }
    pw_reader_leave(r);
    return status;
}

pawl_status pw_sqlite_key_max(pw_reader *base, int64_t *ret_key, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status status = pw_reader_enter(r, err);
    if (status == PAWL_OK) {
        status = pw_db_int(&r->db, "SELECT coalesce(max(key),0) FROM pawl_runs", ret_key, err);
        pw_reader_leave(r);
    }
    return status;
}

/* ---- records ---- */

typedef struct handed {
    int64_t from_seq;
    pw_record_fn fn;
    void *ctx;
} handed;

static bool hand_record(void *ctx, const pw_entry *e)
{
    handed *h = ctx;
    return e->seq + e->events <= h->from_seq || h->fn(h->ctx, e->pos, e->seq, e->events, e->bytes);
}

pawl_status pw_sqlite_read(pw_reader *base, int64_t run, int64_t from_seq, pw_record_fn fn,
                           void *ctx, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    handed h = {from_seq, fn, ctx};
    pawl_status st = pw_reader_enter(r, err);
    if (st != PAWL_OK) {
        return st;
    }
    bool nested = !sqlite3_get_autocommit(r->db.db);
    if (!nested) {
        st = pw_db_simple(&r->db, PW_SQL_BEGIN_READ, err);
    }
    if (st == PAWL_OK) {
        st = pw_walk(&r->db, run, from_seq, hand_record, &h, err);
    }
    if (!nested && !sqlite3_get_autocommit(r->db.db)) {
        (void)pw_db_simple(&r->db, PW_SQL_COMMIT, NULL);
    }
    pw_reader_leave(r);
    return st;
}

void pw_sqlite_blob_key(pw_reader *base, uint8_t ret_key[PW_KEY_SIZE])
{
    memcpy(ret_key, pw_sqlite_reader_of(base)->blob_key, PW_KEY_SIZE);
}
