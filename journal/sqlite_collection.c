/*
 * sqlite_collection.c - collections of texts and vectors in a file, changed: an item's row, its vector and its words together [J21].
 *
 * A collection that is dropped has lost its name and its words at once; its items go PURGE_ROWS at a time, with each later change of any collection
 * and when the journal is idle: no commit waits for a million rows. Words are handed to FTS5, which keeps them until COMMIT; they are made to be
 * written before it, so that what may go wrong does so in the operation. Does not search.
 */
#include <stdio.h>
#include <string.h>

#include "journal/sqlite_collection.h"

enum { PURGE_ROWS = 256 };

/* ---- a collection and its words ---- */

sqlite3_stmt *pw_words_prepare(pw_db *db, const char *text, int64_t collection, pawl_error *err)
{
    char sql[400];
    size_t size = 0;
    for (const char *p = text; *p != 0 && size + 24 < sizeof sql; p++) {
        if (*p == '#') {
            size += (size_t)snprintf(sql + size, 24, "%lld", (long long)collection);
        } else {
            sql[size++] = *p;
        }
    }
    sqlite3_stmt *st = NULL;
    const int rc = sqlite3_prepare_v2(db->db, sql, (int)size, &st, NULL);
    if (rc != SQLITE_OK) {
        (void)pw_db_unprepared(db, rc, "words of a collection", err);
        return NULL;
    }
    return st;
}

static pawl_status words_run(pw_db *db, sqlite3_stmt *st, pawl_error *err)
{
    bool row;
    const pawl_status status = pw_db_step(db, st, &row, err);
    sqlite3_reset(st);
    return status;
}

static pawl_status words_once(pw_db *db, const char *text, int64_t collection, pawl_error *err)
{
    sqlite3_stmt *st = pw_words_prepare(db, text, collection, err);
    const pawl_status status = st != NULL ? words_run(db, st, err) : pw_db_untaken(db);
    sqlite3_finalize(st);
    return status;
}

void pw_collection_read(pw_cols *c, pw_collection_row *ret, bool *ret_words)
{
    ret->number = pw_col_int(c);
    ret->name = pw_col_view(c);
    ret->width = pw_col_int(c);
    ret->created_ms = pw_col_int(c);
    ret->version = pw_col_int(c);
    ret->horizon = pw_col_int(c);
    ret->items = pw_col_int(c);
    ret->bytes = pw_col_int(c);
    ret->last = pw_col_int(c);
    *ret_words = pw_col_int(c) != 0;
    ret->body = pw_col_view(c);
}

pawl_status pw_collection_find(pw_db *db, int64_t number, pw_view name, pw_collection_row *ret_row,
                               bool *ret_words, pawl_error *err)
{
    const pw_sql sql = name.data != NULL ? PW_SQL_COLLECTION_FIND : PW_SQL_COLLECTION_GET;
    sqlite3_stmt *st = pw_db_take(db, sql, err);
    if (st == NULL) {
        return pw_db_untaken(db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    if (name.data != NULL) {
        pw_bind_text(&b, name);
    } else {
        pw_bind_int(&b, number);
    }
    pawl_status status = pw_db_step(db, st, &row, err);
    if (status == PAWL_OK && row) {
        pw_cols c = {st, 0};
        pw_collection_read(&c, ret_row, ret_words);
        ret_row->name = ret_row->body = (pw_view){NULL, 0};
    } else if (status == PAWL_OK) {
        status = pw_err(err, PAWL_NOTFOUND, "no such collection");
    }
    pw_db_give(db, sql, st);
    return status;
}

static pawl_status create(pw_sqlite *j, const pw_collection_row *row, pawl_error *err)
{
    pw_collection_row there;
    bool had = false;
    const pawl_status found = pw_collection_find(&j->db, 0, row->name, &there, &had, err);
    if (found != PAWL_NOTFOUND) {
        return found;
    }
    const bool words = sqlite3_compileoption_used("ENABLE_FTS5") != 0;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_COLLECTION_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, row->name);
    pw_bind_int(&b, row->width);
    pw_bind_int(&b, row->created_ms);
    pw_bind_int(&b, words ? 1 : 0);
    pw_bind_blob(&b, row->body);
    const pawl_status status = pw_db_run(&j->db, PW_SQL_COLLECTION_PUT, st, NULL, err);
    return status == PAWL_OK && words
               ? words_once(&j->db, WORDS_MAKE, sqlite3_last_insert_rowid(j->db.db), err)
               : status;
}

/* ---- items that go with their collection ---- */

/* The id of the PURGE_ROWSth item of it, or of its last; 0: it has none. */
static pawl_status purge_end(pw_sqlite *j, int64_t collection, int64_t *ret_end, pawl_error *err)
{
    bool row = false;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_ITEMS_LAST, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, pw_item_id(collection, 0));
    pw_bind_int(&b, pw_item_id_end(collection));
    pw_bind_int(&b, PURGE_ROWS);
    const pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    *ret_end = status == PAWL_OK && row ? pw_col_int(&c) : 0;
    pw_db_give(&j->db, PW_SQL_ITEMS_LAST, st);
    return status;
}

static pawl_status purge_of(pw_sqlite *j, int64_t collection, pawl_error *err)
{
    int64_t end = 0;
    pawl_status st = purge_end(j, collection, &end, err);
    if (st == PAWL_OK && end == 0) {
        st = pw_db_run_ints(&j->db, PW_SQL_GONE_PURGE, collection, INT64_MAX, err);
        return st == PAWL_OK ? pw_db_run_ints(&j->db, PW_SQL_COLLECTION_END, collection, 0, err)
                             : st;
    }
    const int64_t begin = pw_item_id(collection, 0);
    st = st == PAWL_OK ? pw_db_run_ints(&j->db, PW_SQL_ITEMS_PURGE, begin, end, err) : st;
    return st == PAWL_OK ? pw_db_run_ints(&j->db, PW_SQL_VECTORS_PURGE, begin, end, err) : st;
}

static pawl_status dropped(pw_sqlite *j, int64_t *ret_collection, pawl_error *err)
{
    bool row = false;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_COLLECTION_DROPPED, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    const pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    *ret_collection = status == PAWL_OK && row ? pw_col_int(&c) : 0;
    pw_db_give(&j->db, PW_SQL_COLLECTION_DROPPED, st);
    return status;
}

bool pw_sqlite_purge_some(pw_sqlite *j)
{
    int64_t collection = 0;
    if (j->epoch == 0 || dropped(j, &collection, NULL) != PAWL_OK || collection == 0) {
        return false;
    }
    pawl_status st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, NULL);
    if (st != PAWL_OK) {
        return false;
    }
    int64_t epoch = 0;
    st = pw_db_int(&j->db, "SELECT epoch FROM pawl_owner WHERE id=1", &epoch, NULL);
    if (st == PAWL_OK && (uint64_t)epoch != j->epoch) {
        st = PAWL_FENCED; /* [J4] */
    }
    st = st == PAWL_OK ? purge_of(j, collection, NULL) : st;
    return pw_sqlite_finish(j, st, NULL) == PAWL_OK;
}

static pawl_status drop(pw_sqlite *j, int64_t collection, pawl_error *err)
{
    pw_collection_row row;
    bool words = false;
    pawl_status st = pw_collection_find(&j->db, collection, (pw_view){NULL, 0}, &row, &words, err);
    if (st != PAWL_OK) {
        return st == PAWL_NOTFOUND ? PAWL_OK : st;
    }
    st = pw_db_run_ints(&j->db, PW_SQL_COLLECTION_DROP, collection, 0, err);
    return st == PAWL_OK && words ? words_once(&j->db, WORDS_UNMAKE, collection, err) : st;
}

/* ---- items ---- */

typedef struct change {
    pw_sqlite *j;
    pw_collection_row row; /* as it will be */
    int64_t items, bytes;  /* more */
    sqlite3_stmt *put_words, *drop_words;
    pawl_error *err;
} change;

static pawl_status change_words(change *c, sqlite3_stmt *st, int64_t number, pw_view body)
{
    const pw_view text = pw_item_body_read(body).text;
    if (st == NULL || text.size == 0) {
        return PAWL_OK;
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, number);
    pw_bind_text(&b, text);
    return words_run(&c->j->db, st, c->err);
}

static pawl_status drop_item(change *c, int64_t id, pw_view key, pw_view body)
{
    c->items--;
    c->bytes -= (int64_t)(key.size + body.size) + c->row.width * 2;
    pawl_status st = change_words(c, c->drop_words, pw_item_number(id), body);
    st = st == PAWL_OK ? pw_db_run_ints(&c->j->db, PW_SQL_VECTOR_DROP, id, 0, c->err) : st;
    st = st == PAWL_OK ? pw_db_run_ints(&c->j->db, PW_SQL_ITEM_DROP, id, 0, c->err) : st;
    sqlite3_stmt *gone = st == PAWL_OK ? pw_db_take(&c->j->db, PW_SQL_GONE_PUT, c->err) : NULL;
    if (gone == NULL) {
        return st == PAWL_OK ? pw_db_untaken(&c->j->db) : st;
    }
    pw_bind b = {gone, 0};
    pw_bind_int(&b, c->row.number);
    pw_bind_int(&b, c->row.version);
    pw_bind_int(&b, pw_item_number(id));
    return pw_db_run(&c->j->db, PW_SQL_GONE_PUT, gone, NULL, c->err);
}

static pawl_status drop_key(change *c, pw_view key)
{
    bool row = false;
    sqlite3_stmt *st = pw_db_take(&c->j->db, PW_SQL_ITEM_FIND, c->err);
    if (st == NULL) {
        return pw_db_untaken(&c->j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, c->row.number);
    pw_bind_text(&b, key);
    pawl_status status = pw_db_step(&c->j->db, st, &row, c->err);
    if (status == PAWL_OK && row) {
        pw_cols cols = {st, 0};
        const int64_t id = pw_col_int(&cols);
        const pw_view was = pw_col_view(&cols);
        status = drop_item(c, id, was, pw_col_view(&cols));
    }
    pw_db_give(&c->j->db, PW_SQL_ITEM_FIND, st);
    return status;
}

static pawl_status put_vector(change *c, int64_t id, pw_view halves)
{
    sqlite3_stmt *st = pw_db_take(&c->j->db, PW_SQL_VECTOR_PUT, c->err);
    if (st == NULL) {
        return pw_db_untaken(&c->j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, id);
    pw_bind_int(&b, pw_vector_sum(id, halves));
    pw_bind_blob(&b, halves);
    return pw_db_run(&c->j->db, PW_SQL_VECTOR_PUT, st, NULL, c->err);
}

static pawl_status put_item(change *c, const pw_item_put *p)
{
    pawl_status status = drop_key(c, p->key);
    const int64_t id = pw_item_id(c->row.number, ++c->row.last);
    sqlite3_stmt *st = status == PAWL_OK ? pw_db_take(&c->j->db, PW_SQL_ITEM_PUT, c->err) : NULL;
    if (st == NULL) {
        return status == PAWL_OK ? pw_db_untaken(&c->j->db) : status;
    }
    c->items++;
    c->bytes += (int64_t)(p->key.size + p->body.size) + c->row.width * 2;
    pw_bind b = {st, 0};
    pw_bind_int(&b, id);
    pw_bind_int(&b, c->row.number);
    pw_bind_text(&b, p->key);
    pw_bind_int(&b, pw_item_sum(id, p->key, p->body));
    pw_bind_blob(&b, p->body);
    status = pw_db_run(&c->j->db, PW_SQL_ITEM_PUT, st, NULL, c->err);
    status = status == PAWL_OK ? put_vector(c, id, p->halves) : status;
    return status == PAWL_OK ? change_words(c, c->put_words, c->row.last, p->body) : status;
}

static pawl_status change_end(change *c)
{
    pw_collection_row *row = &c->row;
    const int64_t horizon = row->version - PW_GONE_VERSIONS;
    row->horizon = horizon > row->horizon ? horizon : row->horizon;
    sqlite3_stmt *st = pw_db_take(&c->j->db, PW_SQL_COLLECTION_COUNT, c->err);
    if (st == NULL) {
        return pw_db_untaken(&c->j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, row->number);
    pw_bind_int(&b, row->version);
    pw_bind_int(&b, row->horizon);
    pw_bind_int(&b, c->items);
    pw_bind_int(&b, c->bytes);
    pw_bind_int(&b, row->last);
    pawl_status status = pw_db_run(&c->j->db, PW_SQL_COLLECTION_COUNT, st, NULL, c->err);
    status = status == PAWL_OK
                 ? pw_db_run_ints(&c->j->db, PW_SQL_GONE_PURGE, row->number, row->horizon, c->err)
                 : status;
    if (c->put_words != NULL) { /* a savepoint makes FTS5 write what it has kept */
        status = status == PAWL_OK ? pw_db_simple(&c->j->db, PW_SQL_WORDS_HOLD, c->err) : status;
        status = status == PAWL_OK ? pw_db_simple(&c->j->db, PW_SQL_WORDS_FLUSHED, c->err) : status;
    }
    return status;
}

static pawl_status change_items(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    change c = {.j = j, .err = err};
    bool words = false;
    pawl_status st =
        pw_collection_find(&j->db, op->u.items.collection, (pw_view){NULL, 0}, &c.row, &words, err);
    if (st != PAWL_OK) {
        return st == PAWL_NOTFOUND ? PAWL_OK : st;
    }
    c.row.version++;
    if (words) {
        c.put_words = pw_words_prepare(&j->db, WORDS_PUT, c.row.number, err);
        c.drop_words =
            c.put_words != NULL ? pw_words_prepare(&j->db, WORDS_DROP, c.row.number, err) : NULL;
        st = c.drop_words != NULL ? PAWL_OK : pw_db_untaken(&j->db);
    }
    pw_mp r = pw_mp_reader(op->u.items.list.data, op->u.items.list.size);
    for (size_t n = pw_mp_read_array(&r); n > 0 && pw_mp_ok(&r) && st == PAWL_OK; n--) {
        if (op->type == PW_OP_ITEMS_PUT) {
            const pw_item_put p = pw_item_put_read(&r);
            st = put_item(&c, &p);
        } else {
            st = drop_key(&c, pw_mp_read_str(&r));
        }
    }
    st = st == PAWL_OK ? change_end(&c) : st;
    sqlite3_finalize(c.put_words);
    sqlite3_finalize(c.drop_words);
    return st;
}

pawl_status pw_sqlite_collection_apply(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    int64_t old = 0;
    pawl_status st = dropped(j, &old, err);
    if (st == PAWL_OK && old != 0) {
        st = purge_of(j, old, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    return op->type == PW_OP_COLLECTION_CREATE ? create(j, &op->u.collection, err)
           : op->type == PW_OP_COLLECTION_DROP ? drop(j, op->u.collection.number, err)
                                               : change_items(j, op, err);
}
