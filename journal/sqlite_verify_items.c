/*
 * sqlite_verify_items.c - the part of `verify` that reads every item of every collection [J21]: its checksums, and whether its words find it. FTS5 cannot
 * be asked to check itself by a connection that may not write, so it is asked for each text's beginning as a phrase, and for the list of what it has.
 * What a query of verify.def can say is said there.
 */
#include <stdio.h>
#include <string.h>

#include "journal/sqlite_collection.h"
#include "journal/sqlite_verify.h"

#define PHRASE_BYTES 400u /* of a text at a time: what is looked for */

/* One text of one row, printed so; nothing when there is none. */
static size_t say_text(pw_sqlite_reader *r, const char *sql, int64_t number, const char *before,
                       char *to, size_t size)
{
    sqlite3_stmt *st = NULL;
    int said = 0;
    if (sqlite3_prepare_v2(r->db.db, sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(st, 1, number) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        said = snprintf(to, size, "%s\"%.100s\"", before, text != NULL ? text : "");
    }
    sqlite3_finalize(st);
    return said > 0 && (size_t)said < size ? (size_t)said : 0;
}

void pw_sqlite_item_place(pw_sqlite_reader *r, int64_t collection, int64_t item, char *to,
                          size_t size)
{
    size_t at = say_text(r, "SELECT name FROM pawl_collections WHERE number=?1", collection,
                         "collection ", to, size);
    if (at == 0) { /* it has no row, or it is being removed */
        at = (size_t)snprintf(to, size, "collection %lld", (long long)collection);
    }
    if (item != 0 && say_text(r, "SELECT key FROM pawl_items WHERE id=?1",
                              pw_item_id(collection, item), ", item ", to + at, size - at) == 0) {
        (void)snprintf(to + at, size - at, ", item %lld", (long long)item);
    }
}

typedef struct item_check {
    pw_sqlite_reader *r;
    pw_item_finding_fn fn;
    void *ctx;
    int64_t collection, number;
    sqlite3_stmt *docs, *phrase; /* NULL: the collection has no words */
    int64_t doc;                 /* the next that FTS5 has; 0: no more */
    bool doc_empty;              /* and no word is in it */
    pawl_status status;
    pawl_error *err;
} item_check;

static void next_doc(item_check *c)
{
    bool row = false;
    c->status = pw_db_step(&c->r->db, c->docs, &row, c->err);
    c->doc = c->status == PAWL_OK && row ? sqlite3_column_int64(c->docs, 0) : 0;
    const uint8_t *size = c->doc != 0 ? sqlite3_column_blob(c->docs, 1) : NULL;
    c->doc_empty = size != NULL && size[0] == 0;
}

/* A piece of text that ends where a word does. Empty: no word ends in time. */
static pw_view first_piece(pw_view text)
{
    size_t end = text.size;
    if (end > PHRASE_BYTES) {
        for (end = PHRASE_BYTES; end > 0 && text.data[end] != ' '; end--) {
        }
    }
    return (pw_view){text.data, end};
}

/* Is there a word in it, whatever FTS5 takes for one? */
static bool has_word(pw_view piece)
{
    bool has = false;
    for (size_t i = 0; i < piece.size && piece.data[i] != 0 && !has; i++) {
        const uint8_t c = piece.data[i];
        has = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    return has;
}

static bool is_piece_found(item_check *c, int64_t number, pw_view piece)
{
    char phrase[2 * PHRASE_BYTES + 2];
    size_t size = 0;
    bool row = true;
    phrase[size++] = '"';
    for (size_t i = 0; i < piece.size && piece.data[i] != 0; i++) {
        if (piece.data[i] == '"') {
            phrase[size++] = '"';
        }
        phrase[size++] = (char)piece.data[i];
    }
    phrase[size++] = '"';
    pw_bind b = {c->phrase, 0};
    pw_bind_text(&b, (pw_view){(const uint8_t *)phrase, size});
    pw_bind_int(&b, number);
    c->status = pw_db_step(&c->r->db, c->phrase, &row, c->err);
    sqlite3_reset(c->phrase);
    return row;
}

/* A phrase without a word finds nothing: a piece that may be one leaves it to the next. The text has a word, so that one of them is found. */
static bool is_found(item_check *c, int64_t number, pw_view text)
{
    bool found = false, sure = false;
    while (text.size > 0 && !found && !sure && c->status == PAWL_OK) {
        const pw_view piece = first_piece(text);
        if (piece.size == 0) {
            return true; /* it cannot be asked */
        }
        found = is_piece_found(c, number, piece);
        sure = has_word(piece);
        text = (pw_view){text.data + piece.size, text.size - piece.size};
    }
    return found;
}

/* Words of numbers before that one have no item. */
static void pass_docs(item_check *c, int64_t number)
{
    while (c->docs != NULL && c->doc != 0 && c->doc < number && c->status == PAWL_OK) {
        c->fn(c->ctx, c->collection, c->doc, "words stand for no item");
        next_doc(c);
    }
}

static bool check_item(void *ctx, const pw_item_row *row)
{
    item_check *c = ctx;
    const pw_view text = pw_item_body_read(row->body).text;
    c->number = row->number;
    pass_docs(c, row->number);
    if (c->docs == NULL || text.size == 0 || c->status != PAWL_OK) {
        return c->status == PAWL_OK;
    }
    const bool has = c->doc == row->number;
    const bool empty = c->doc_empty;
    if (has) {
        next_doc(c);
    }
    if (!has || (!empty && c->status == PAWL_OK && !is_found(c, row->number, text))) {
        c->fn(c->ctx, c->collection, row->number, "an item is not found by its words");
    }
    return c->status == PAWL_OK;
}

/* The item after that one; the same when there is none. */
static pawl_status item_after(item_check *c, int64_t number)
{
    bool row = false;
    sqlite3_stmt *st = pw_db_take(&c->r->db, PW_SQL_ITEM_AFTER, c->err);
    if (st == NULL) {
        return pw_db_untaken(&c->r->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, pw_item_id(c->collection, number));
    pw_bind_int(&b, pw_item_id_end(c->collection));
    const pawl_status status = pw_db_step(&c->r->db, st, &row, c->err);
    const int64_t id = status == PAWL_OK && row ? sqlite3_column_int64(st, 0) : 0;
    c->number = id != 0 ? pw_item_number(id) : number;
    pw_db_give(&c->r->db, PW_SQL_ITEM_AFTER, st);
    return status;
}

/* From item to item, so that one that is damaged does not hide those after it. */
static pawl_status check_items(item_check *c)
{
    bool more = true;
    c->number = 0;
    while (more && c->status == PAWL_OK) {
        pawl_error found = {0};
        const pawl_status st =
            pw_sqlite_items_whole(&c->r->base, c->collection, c->number, check_item, c, &found);
        more = st == PAWL_DAMAGED;
        if (more) {
            const int64_t sound = c->number;
            c->status = item_after(c, sound); /* that one is damaged */
            c->fn(c->ctx, c->collection, c->number, found.message);
            pass_docs(c, c->number);
            if (c->docs != NULL && c->doc == c->number && c->status == PAWL_OK) {
                next_doc(c); /* its own */
            }
            more = c->number > sound;
        } else if (st != PAWL_OK) {
            c->status = st;
            *c->err = found;
        }
    }
    for (; c->docs != NULL && c->doc != 0 && c->status == PAWL_OK; next_doc(c)) {
        c->fn(c->ctx, c->collection, c->doc, "words stand for no item");
    }
    return c->status;
}

static pawl_status check_collection(item_check *c, bool words)
{
    if (words) {
        c->docs = pw_words_prepare(&c->r->db, WORDS_DOCS, c->collection, c->err);
        c->phrase =
            c->docs != NULL ? pw_words_prepare(&c->r->db, WORDS_HAS, c->collection, c->err) : NULL;
        if (c->phrase == NULL) {
            c->fn(c->ctx, c->collection, 0, "a collection's words cannot be read");
            sqlite3_finalize(c->docs);
            c->docs = NULL;
        } else {
            next_doc(c);
        }
    }
    const pawl_status st = check_items(c);
    sqlite3_finalize(c->docs);
    sqlite3_finalize(c->phrase);
    return st;
}

pawl_status pw_sqlite_verify_items(pw_sqlite_reader *r, pw_item_finding_fn fn, void *ctx,
                                   pawl_error *err)
{
    int64_t last = 0;
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK) {
        bool row = false, words = false;
        sqlite3_stmt *next = pw_db_take(&r->db, PW_SQL_COLLECTION_AFTER, err);
        if (next == NULL) {
            return pw_db_untaken(&r->db);
        }
        pw_bind b = {next, 0};
        pw_bind_int(&b, last);
        st = pw_db_step(&r->db, next, &row, err);
        if (st == PAWL_OK && row) {
            last = sqlite3_column_int64(next, 0);
            words = sqlite3_column_int(next, 1) != 0;
        }
        pw_db_give(&r->db, PW_SQL_COLLECTION_AFTER, next);
        if (st != PAWL_OK || !row) {
            return st;
        }
        item_check c = {.r = r, .fn = fn, .ctx = ctx, .collection = last, .err = err};
        st = check_collection(&c, words);
    }
    return st;
}
