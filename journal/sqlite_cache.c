/*
 * sqlite_cache.c - kept results in a file [J22]: put, bounded by rows and by bytes, read, and checked by `verify`.
 *
 * With each that is put a few go that have expired. Those above the bounds are looked for only now and then, since all of them have to be counted for it:
 * after TRIM_COST, in bytes that were put, a row counting as much as its share. Until then the table is that much larger than it may be. Does not
 * know what a key means, nor which result counts (engine/cache.c).
 */
#include <string.h>

#include "journal/sqlite_verify.h"

#define TRIM_COST ((int64_t)4 << 20)
#define ROW_COST (TRIM_COST / PW_CACHE_SWEEP_ROWS)

static pawl_status put(pw_sqlite *j, const pw_cache_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_CACHE_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_blob(&b, (pw_view){row->key, PW_DIGEST_SIZE});
    pw_bind_int(&b, row->expires_ms);
    pw_bind_int(&b, row->at_ms);
    pw_bind_text(&b, row->run_id);
    pw_bind_int(&b, row->cmd);
    pw_bind_int(&b, pw_cache_sum(row));
    pw_bind_blob(&b, row->body);
    return pw_db_run(&j->db, PW_SQL_CACHE_PUT, st, NULL, err);
}

pawl_status pw_sqlite_cache_put(pw_sqlite *j, const pw_cache_row *row, pawl_error *err)
{
    pawl_status st = put(j, row, err);
    st = st == PAWL_OK
             ? pw_db_run_ints(&j->db, PW_SQL_CACHE_SWEEP, row->at_ms, PW_CACHE_SWEEP_ROWS, err)
             : st;
    j->cache_left -= (int64_t)row->body.size + ROW_COST;
    if (st == PAWL_OK && j->cache_left < 0) { /* the first time, too: it may have been left so */
        j->cache_left = TRIM_COST;
        st = pw_db_run_ints(&j->db, PW_SQL_CACHE_TRIM, PW_CACHE_ROWS_MAX, PW_CACHE_BYTES_MAX, err);
    }
    return st;
}

/* Of CACHED. Is its checksum right? */
static bool row_of(sqlite3_stmt *st, pw_cache_row *ret)
{
    pw_cols c = {st, 0};
    const pw_view key = pw_col_view(&c);
    *ret = (pw_cache_row){.expires_ms = pw_col_int(&c)};
    if (key.size != sizeof ret->key) {
        return false;
    }
    memcpy(ret->key, key.data, sizeof ret->key);
    ret->at_ms = pw_col_int(&c);
    ret->run_id = pw_col_view(&c);
    ret->cmd = pw_col_int(&c);
    const int64_t sum = pw_col_int(&c);
    ret->body = pw_col_view(&c);
    return sum == pw_cache_sum(ret);
}

pawl_status pw_sqlite_cached(pw_reader *base, const uint8_t key[PW_DIGEST_SIZE], pw_buf *ret_body,
                             pw_cache_row *ret_row, pawl_error *err)
{
    bool row = false;
    pw_cache_row found;
    pw_reading g;
    pawl_status st = pw_reading_begin(&g, base, PW_SQL_CACHED, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_bind_blob(&g.bind, (pw_view){key, PW_DIGEST_SIZE});
    st = pw_db_step(&g.r->db, g.st, &row, err);
    if (st == PAWL_OK && !row) {
        st = pw_err(err, PAWL_NOTFOUND, "nothing is kept under that key");
    } else if (st == PAWL_OK && !row_of(g.st, &found)) {
        st = pw_err(err, PAWL_DAMAGED, "a kept result does not match its checksum");
    } else if (st == PAWL_OK) {
        st = pw_cache_copy(ret_body, &found, ret_row, err);
    }
    return pw_reading_end(&g, st);
}

pawl_status pw_sqlite_verify_cache(pw_sqlite_reader *r, pw_row_finding_fn fn, void *ctx,
                                   pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_CACHE_ALL, err);
    pawl_status status = PAWL_OK;
    bool row = st != NULL;
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    while (status == PAWL_OK && row) {
        pw_cache_row found;
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row && !row_of(st, &found)) {
            fn(ctx, sqlite3_column_int64(st, 7), "a kept result does not match its checksum");
        }
    }
    pw_db_give(&r->db, PW_SQL_CACHE_ALL, st);
    return status;
}
