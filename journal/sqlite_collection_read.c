/*
 * sqlite_collection_read.c - collections of texts and vectors in a file, read: rows checked, what a copy lacks, and words by FTS5.
 *
 * A query never reaches FTS5's syntax: its words are put between quotes, and hold nothing but letters, digits and bytes beyond ASCII. Does not rank by
 * vectors: whoever has a model does.
 */
#include "journal/sqlite_collection.h"

/* ---- one transaction of several statements ---- */

static pawl_status begin(pw_sqlite_reader *r, bool *ret_nested, pawl_error *err)
{
    pawl_status st = pw_reader_enter(r, err);
    if (st != PAWL_OK) {
        return st;
    }
    *ret_nested = !sqlite3_get_autocommit(r->db.db);
    st = *ret_nested ? PAWL_OK : pw_db_simple(&r->db, PW_SQL_BEGIN_READ, err);
    if (st != PAWL_OK) {
        pw_reader_leave(r);
    }
    return st;
}

static void end(pw_sqlite_reader *r, bool nested)
{
    if (!nested && !sqlite3_get_autocommit(r->db.db)) {
        (void)pw_db_simple(&r->db, PW_SQL_COMMIT, NULL);
    }
    pw_reader_leave(r);
}

/* ---- collections ---- */

static pawl_status give_collections(pw_sqlite_reader *r, sqlite3_stmt *st, pw_collection_fn fn,
                                    void *ctx, bool *ret_any, pawl_error *err)
{
    bool row = true;
    pawl_status status = PAWL_OK;
    *ret_any = false;
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {st, 0};
            pw_collection_row collection;
            bool words;
            pw_collection_read(&c, &collection, &words);
            *ret_any = true;
            row = fn(ctx, &collection);
        }
    }
    return status;
}

pawl_status pw_sqlite_collections(pw_reader *base, pw_view only, pw_collection_fn fn, void *ctx,
                                  pawl_error *err)
{
    bool any;
    pw_reading g;
    const pawl_status status = pw_reading_begin(
        &g, base, only.size > 0 ? PW_SQL_COLLECTION_FIND : PW_SQL_COLLECTIONS, err);
    if (status != PAWL_OK) {
        return status;
    }
    if (only.size > 0) {
        pw_bind_text(&g.bind, only);
    }
    return pw_reading_end(&g, give_collections(g.r, g.st, fn, ctx, &any, err));
}

pawl_status pw_sqlite_collections_made(pw_reader *base, int64_t *ret_number, pawl_error *err)
{
    bool row = false;
    pw_reading g;
    pawl_status status = pw_reading_begin(&g, base, PW_SQL_COLLECTIONS_MADE, err);
    if (status != PAWL_OK) {
        return status;
    }
    status = pw_db_step(&g.r->db, g.st, &row, err);
    if (status == PAWL_OK) {
        *ret_number = row ? sqlite3_column_int64(g.st, 0) : 0;
    }
    return pw_reading_end(&g, status);
}

/* ---- items ---- */

static pawl_status check_item(pw_cols *c, bool whole, pw_item_row *ret, pawl_error *err)
{
    const int64_t id = pw_col_int(c);
    ret->number = pw_item_number(id);
    ret->key = pw_col_view(c);
    const int64_t sum = pw_col_int(c);
    ret->body = pw_col_view(c);
    ret->halves = (pw_view){NULL, 0};
    bool sound = pw_item_sum(id, ret->key, ret->body) == sum;
    if (whole) {
        const int64_t vector_sum = pw_col_int(c);
        ret->halves = pw_col_view(c);
        sound = sound && ret->halves.size > 0 && pw_vector_sum(id, ret->halves) == vector_sum;
    }
    return sound ? PAWL_OK
                 : pw_err(err, PAWL_DAMAGED,
                          "item %lld of collection %lld does not match its checksum",
                          (long long)ret->number, (long long)(id >> PW_ITEM_BITS));
}

static pawl_status give_items(pw_sqlite_reader *r, pw_sql sql, sqlite3_stmt *st, pw_item_fn fn,
                              void *ctx, int64_t *ret_rows, pawl_error *err)
{
    const bool whole = sql != PW_SQL_ITEMS;
    bool row = true;
    pawl_status status = PAWL_OK;
    *ret_rows = 0;
    while (status == PAWL_OK && row) {
        pw_item_row item;
        status = pw_db_step(&r->db, st, &row, err);
        if (status != PAWL_OK || !row) {
            break;
        }
        pw_cols c = {st, 0};
        (*ret_rows)++;
        status = check_item(&c, whole, &item, err);
        row = status == PAWL_OK && fn(ctx, &item);
    }
    return status;
}

typedef struct range {
    int64_t collection, after;
    size_t rows_max;
} range;

static pawl_status give_range(pw_sqlite_reader *r, pw_sql sql, const range *of, pw_item_fn fn,
                              void *ctx, pawl_error *err)
{
    int64_t rows;
    sqlite3_stmt *st = pw_db_take(&r->db, sql, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, pw_item_id(of->collection, of->after));
    pw_bind_int(&b, pw_item_id_end(of->collection));
    pw_bind_int(&b, of->rows_max > 0 && of->rows_max < INT32_MAX ? (int64_t)of->rows_max : -1);
    const pawl_status status = give_items(r, sql, st, fn, ctx, &rows, err);
    pw_db_give(&r->db, sql, st);
    return status;
}

static pawl_status enter_range(pw_reader *base, pw_sql sql, const range *of, pw_item_fn fn,
                               void *ctx, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status status = pw_reader_enter(r, err);
    if (status == PAWL_OK) {
        status = give_range(r, sql, of, fn, ctx, err);
        pw_reader_leave(r);
    }
    return status;
}

pawl_status pw_sqlite_items(pw_reader *base, int64_t collection, int64_t after, size_t rows_max,
                            pw_item_fn fn, void *ctx, pawl_error *err)
{
    return enter_range(base, PW_SQL_ITEMS, &(range){collection, after, rows_max}, fn, ctx, err);
}

pawl_status pw_sqlite_items_whole(pw_reader *base, int64_t collection, int64_t after, pw_item_fn fn,
                                  void *ctx, pawl_error *err)
{
    return enter_range(base, PW_SQL_ITEMS_WHOLE, &(range){collection, after, 0}, fn, ctx, err);
}

pawl_status pw_sqlite_item(pw_reader *base, int64_t collection, pw_view key, pw_item_fn fn,
                           void *ctx, pawl_error *err)
{
    int64_t rows = 0;
    pw_reading g;
    pawl_status status = pw_reading_begin(&g, base, PW_SQL_ITEM_BY_KEY, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_bind_int(&g.bind, collection);
    pw_bind_text(&g.bind, key);
    status = pw_reading_end(&g, give_items(g.r, g.sql, g.st, fn, ctx, &rows, err));
    return status == PAWL_OK && rows == 0 ? pw_err(err, PAWL_NOTFOUND, "no such item") : status;
}

/* ---- what a copy lacks ---- */

static pawl_status give_gone(pw_sqlite_reader *r, const pw_changes *c, pawl_error *err)
{
    bool row = true;
    pawl_status status = PAWL_OK;
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_GONE, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, c->collection);
    pw_bind_int(&b, c->since);
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols cols = {st, 0};
            row = c->gone(c->ctx, pw_col_int(&cols));
        }
    }
    pw_db_give(&r->db, PW_SQL_GONE, st);
    return status;
}

static pawl_status give_changes(pw_sqlite_reader *r, const pw_changes *c, pawl_error *err)
{
    bool any = false;
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_COLLECTION_GET, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, c->collection);
    pawl_status status = give_collections(r, st, c->head, c->ctx, &any, err);
    pw_db_give(&r->db, PW_SQL_COLLECTION_GET, st);
    if (status == PAWL_OK && !any) {
        return pw_err(err, PAWL_NOTFOUND, "no such collection");
    }
    status = status == PAWL_OK ? give_gone(r, c, err) : status;
    const range rest = {c->collection, c->after, c->rows_max};
    return status == PAWL_OK ? give_range(r, PW_SQL_ITEMS_WHOLE, &rest, c->row, c->ctx, err)
                             : status;
}

pawl_status pw_sqlite_changes(pw_reader *base, const pw_changes *changes, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    bool nested;
    pawl_status st = begin(r, &nested, err);
    if (st == PAWL_OK) {
        st = give_changes(r, changes, err);
        end(r, nested);
    }
    return st;
}

/* ---- words ---- */

static bool quote_word(void *ctx, pw_view word)
{
    pw_buf *b = ctx;
    pw_buf_puts(b, b->size > 0 ? " OR \"" : "\"");
    pw_buf_put(b, word.data, word.size);
    pw_buf_puts(b, "\"");
    return true;
}

typedef struct taker {
    const pw_item_filter *filter;
    bool takes;
} taker;

static bool look_at(void *ctx, const pw_item_row *row)
{
    taker *t = ctx;
    t->takes = pw_item_filter_takes(t->filter, row->body);
    return false;
}

static pawl_status give_words(pw_sqlite_reader *r, const pw_words_query *q, sqlite3_stmt *st,
                              pw_item_words_fn fn, void *ctx, pawl_error *err)
{
    const bool filtered = q->filter.has_workspace || q->filter.tags.size > 0;
    pawl_status status = PAWL_OK;
    bool row = true;
    for (size_t given = 0; status == PAWL_OK && (q->rows_max == 0 || given < q->rows_max);) {
        taker t = {&q->filter, true};
        status = pw_db_step(&r->db, st, &row, err);
        if (status != PAWL_OK || !row) {
            break;
        }
        const int64_t number = sqlite3_column_int64(st, 0);
        if (filtered) {
            status = give_range(r, PW_SQL_ITEMS, &(range){q->collection, number - 1, 1}, look_at,
                                &t, err);
        }
        if (status == PAWL_OK && t.takes) {
            given++;
            if (!fn(ctx, number, sqlite3_column_double(st, 1))) {
                break;
            }
        }
    }
    return status;
}

static pawl_status find_words(pw_sqlite_reader *r, const pw_words_query *q, pw_view text,
                              pw_item_words_fn fn, void *ctx, pawl_error *err)
{
    pw_collection_row row;
    bool words = false;
    pawl_status status =
        pw_collection_find(&r->db, q->collection, (pw_view){NULL, 0}, &row, &words, err);
    if (status == PAWL_OK && !words) {
        status = pw_err(
            err, PAWL_UNSUPPORTED,
            "the collection was made by an SQLite without FTS5: it cannot be searched by words");
    }
    sqlite3_stmt *st =
        status == PAWL_OK ? pw_words_prepare(&r->db, WORDS_FIND, q->collection, err) : NULL;
    if (st == NULL) {
        return status == PAWL_OK ? err->status : status;
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, text);
    status = give_words(r, q, st, fn, ctx, err);
    sqlite3_finalize(st);
    return status;
}

pawl_status pw_sqlite_item_words(pw_reader *base, const pw_words_query *q, pw_item_words_fn fn,
                                 void *ctx, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_error own;
    bool nested;
    pw_query_words(q->query, quote_word, &text);
    if (!pw_buf_ok(&text)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a query");
    }
    if (text.size == 0) {
        return PAWL_OK;
    }
    pawl_status st = begin(r, &nested, err);
    if (st == PAWL_OK) {
        st = find_words(r, q, (pw_view){text.data, text.size}, fn, ctx, err != NULL ? err : &own);
        end(r, nested);
    }
    return st;
}
