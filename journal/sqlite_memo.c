/*
 * sqlite_memo.c - the memory store in a file: rows, one row for each of their words, and a count for each space, changed together [J20].
 *
 * Words stand by (space, word, -id), so that those of one word come with what was put last first. A row that takes another's place gets a new
 * id. Each put and each drop also drops a few rows that have expired, of whatever space. Does not search: memo.c does.
 */
#include "journal/memo.h"
#include "journal/sqlite.h"

#include <string.h>

enum { SWEEP_ROWS = 8 };

/* ---- writing ---- */

typedef struct word_write {
    pw_sqlite *j;
    pw_sql sql;
    const pw_memo_row *row;
    pawl_status status;
    pawl_error *err;
} word_write;

static bool write_word(void *ctx, pw_view word)
{
    word_write *w = ctx;
    sqlite3_stmt *st = pw_db_take(&w->j->db, w->sql, w->err);
    if (st == NULL) {
        w->status = pw_db_untaken(&w->j->db);
        return false;
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, w->row->space);
    pw_bind_blob(&b, word);
    pw_bind_int(&b, -w->row->id);
    w->status = pw_db_run(&w->j->db, w->sql, st, NULL, w->err);
    return w->status == PAWL_OK;
}

static pawl_status write_words(pw_sqlite *j, pw_sql sql, const pw_memo_row *row, pawl_error *err)
{
    word_write w = {j, sql, row, PAWL_OK, err};
    pawl_status st = pw_memo_words(pw_memo_text(row->body), write_word, &w, err);
    return st == PAWL_OK ? w.status : st;
}

static pawl_status count(pw_sqlite *j, const pw_memo_row *row, int64_t n, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_MEMO_COUNT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, row->space);
    pw_bind_int(&b, n);
    pw_bind_int(&b, n * (int64_t)row->body.size);
    pawl_status status = pw_db_run(&j->db, PW_SQL_MEMO_COUNT, st, NULL, err);
    if (status == PAWL_OK && n < 0) {
        st = pw_db_take(&j->db, PW_SQL_MEMO_UNCOUNT, err);
        if (st == NULL) {
            return pw_db_untaken(&j->db);
        }
        b = (pw_bind){st, 0};
        pw_bind_text(&b, row->space);
        status = pw_db_run(&j->db, PW_SQL_MEMO_UNCOUNT, st, NULL, err);
    }
    return status;
}

static pawl_status drop_row(pw_sqlite *j, const pw_memo_row *row, pawl_error *err)
{
    pawl_status status = write_words(j, PW_SQL_MEMO_WORD_DROP, row, err);
    status = status == PAWL_OK ? count(j, row, -1, err) : status;
    sqlite3_stmt *st = status == PAWL_OK ? pw_db_take(&j->db, PW_SQL_MEMO_DROP, err) : NULL;
    if (st == NULL) {
        return status == PAWL_OK ? pw_db_untaken(&j->db) : status;
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, row->id);
    return pw_db_run(&j->db, PW_SQL_MEMO_DROP, st, NULL, err);
}

static void row_of(pw_cols *c, pw_memo_row *ret, int64_t *ret_sum)
{
    ret->id = pw_col_int(c);
    ret->space = pw_col_view(c);
    ret->key = pw_col_view(c);
    ret->updated_ms = pw_col_int(c);
    ret->expires_ms = pw_col_int(c);
    *ret_sum = pw_col_int(c);
    ret->body = pw_col_view(c);
}

/* Drops the first row that the statement gives, if any. */
static pawl_status drop_first(pw_sqlite *j, pw_sql sql, sqlite3_stmt *st, bool *ret_found,
                              pawl_error *err)
{
    pawl_status status = pw_db_step(&j->db, st, ret_found, err);
    if (status == PAWL_OK && *ret_found) {
        pw_cols c = {st, 0};
        pw_memo_row row;
        int64_t sum;
        row_of(&c, &row, &sum);
        status = drop_row(j, &row, err);
    }
    pw_db_give(&j->db, sql, st);
    return status;
}

static pawl_status memo_drop(pw_sqlite *j, const pw_memo_row *row, pawl_error *err)
{
    bool was;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_MEMO_FIND, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, row->space);
    pw_bind_text(&b, row->key);
    return drop_first(j, PW_SQL_MEMO_FIND, st, &was, err);
}

static pawl_status sweep(pw_sqlite *j, int64_t now_ms, pawl_error *err)
{
    pawl_status status = PAWL_OK;
    bool more = true;
    for (int i = 0; i < SWEEP_ROWS && more && status == PAWL_OK; i++) {
        sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_MEMO_EXPIRED, err);
        if (st == NULL) {
            return pw_db_untaken(&j->db);
        }
        pw_bind b = {st, 0};
        pw_bind_int(&b, now_ms);
        status = drop_first(j, PW_SQL_MEMO_EXPIRED, st, &more, err);
    }
    return status;
}

static pawl_status next_id(pw_sqlite *j, int64_t *ret_id, pawl_error *err)
{
    bool row = false;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_MEMO_NEXT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    *ret_id = status == PAWL_OK && row ? pw_col_int(&c) : 1;
    pw_db_give(&j->db, PW_SQL_MEMO_NEXT, st);
    return status;
}

static pawl_status insert(pw_sqlite *j, const pw_memo_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_MEMO_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, row->id);
    pw_bind_text(&b, row->space);
    pw_bind_text(&b, row->key);
    pw_bind_int(&b, row->updated_ms);
    pw_bind_int(&b, row->expires_ms);
    pw_bind_int(&b, pw_memo_sum(row));
    pw_bind_blob(&b, row->body);
    return pw_db_run(&j->db, PW_SQL_MEMO_PUT, st, NULL, err);
}

static pawl_status memo_put(pw_sqlite *j, const pw_memo_row *given, pawl_error *err)
{
    pw_memo_row row = *given;
    pawl_status st = memo_drop(j, &row, err);
    st = st == PAWL_OK ? next_id(j, &row.id, err) : st;
    st = st == PAWL_OK ? insert(j, &row, err) : st;
    st = st == PAWL_OK ? write_words(j, PW_SQL_MEMO_WORD_PUT, &row, err) : st;
    return st == PAWL_OK ? count(j, &row, 1, err) : st;
}

pawl_status pw_sqlite_memo_apply(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    pawl_status st = sweep(j, op->u.memo.updated_ms, err);
    return st != PAWL_OK                ? st
           : op->type == PW_OP_MEMO_PUT ? memo_put(j, &op->u.memo, err)
                                        : memo_drop(j, &op->u.memo, err);
}

/* ---- reading ---- */

static pawl_status give_rows(const pw_reading *g, pw_memo_fn fn, void *ctx, int64_t *ret_rows,
                             pawl_error *err)
{
    bool row = true;
    pawl_status status = PAWL_OK;
    *ret_rows = 0;
    while (status == PAWL_OK && row) {
        status = pw_db_step(&g->r->db, g->st, &row, err);
        if (status != PAWL_OK || !row) {
            break;
        }
        pw_cols c = {g->st, 0};
        pw_memo_row m;
        int64_t sum;
        row_of(&c, &m, &sum);
        (*ret_rows)++;
        if (pw_memo_sum(&m) != sum) {
            status = pw_err(err, PAWL_DAMAGED, "memory %lld does not match its checksum",
                            (long long)m.id);
        } else {
            row = fn(ctx, &m);
        }
    }
    return status;
}

pawl_status pw_sqlite_memo(pw_reader *base, int64_t id, pw_memo_fn fn, void *ctx, pawl_error *err)
{
    int64_t rows = 0;
    pw_reading g;
    pawl_status status = pw_reading_begin(&g, base, PW_SQL_MEMO, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_bind_int(&g.bind, id);
    status = pw_reading_end(&g, give_rows(&g, fn, ctx, &rows, err));
    return status == PAWL_OK && rows == 0 ? pw_err(err, PAWL_NOTFOUND, "no such memory") : status;
}

pawl_status pw_sqlite_memos(pw_reader *base, pw_view space, pw_view after, size_t rows_max,
                            pw_memo_fn fn, void *ctx, pawl_error *err)
{
    int64_t rows = 0;
    pw_reading g;
    const pawl_status status = pw_reading_begin(&g, base, PW_SQL_MEMOS, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_bind_text(&g.bind, space);
    pw_bind_text(&g.bind, after);
    pw_bind_int(&g.bind, rows_max > 0 && rows_max < INT32_MAX ? (int64_t)rows_max : -1);
    return pw_reading_end(&g, give_rows(&g, fn, ctx, &rows, err));
}

static pawl_status give_words(const pw_reading *g, pw_memo_word_fn fn, void *ctx, pawl_error *err)
{
    bool row = true;
    pawl_status status = PAWL_OK;
    while (status == PAWL_OK && row) {
        status = pw_db_step(&g->r->db, g->st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {g->st, 0};
            const int64_t id = -pw_col_int(&c);
            row = fn(ctx, id, pw_col_view(&c));
        }
    }
    return status;
}

pawl_status pw_sqlite_memo_words(pw_reader *base, pw_view space, pw_view prefix, size_t rows_max,
                                 pw_memo_word_fn fn, void *ctx, pawl_error *err)
{
    uint8_t end[PW_MEMO_WORD_BYTES + 1];
    const size_t size = prefix.size < PW_MEMO_WORD_BYTES ? prefix.size : PW_MEMO_WORD_BYTES;
    memcpy(end, prefix.data, size);
    end[size] = 0xff; /* no byte of UTF-8 */
    pw_reading g;
    const pawl_status status = pw_reading_begin(&g, base, PW_SQL_MEMO_WORDS, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_bind_text(&g.bind, space);
    pw_bind_blob(&g.bind, prefix);
    pw_bind_bytes(&g.bind, end, size + 1);
    pw_bind_int(&g.bind, (int64_t)rows_max);
    return pw_reading_end(&g, give_words(&g, fn, ctx, err));
}

pawl_status pw_sqlite_memo_spaces(pw_reader *base, pw_view only, pw_memo_space_fn fn, void *ctx,
                                  pawl_error *err)
{
    bool row = true;
    pw_reading g;
    pawl_status status =
        pw_reading_begin(&g, base, only.size > 0 ? PW_SQL_MEMO_SPACE : PW_SQL_MEMO_SPACES, err);
    if (status != PAWL_OK) {
        return status;
    }
    if (only.size > 0) {
        pw_bind_text(&g.bind, only);
    }
    while (status == PAWL_OK && row) {
        status = pw_db_step(&g.r->db, g.st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {g.st, 0};
            const pw_view space = pw_col_view(&c);
            const int64_t n = pw_col_int(&c);
            row = fn(ctx, space, n, pw_col_int(&c));
        }
    }
    return pw_reading_end(&g, status);
}
