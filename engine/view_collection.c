/*
 * view_collection.c - reads of collections: what there is, items, what a copy lacks, and a search by words. Ranks nothing by vectors.
 */
#include <string.h>

#include "engine/view_show.h"
#include "journal/collection.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

static pw_view view_of(const pawl_value *args, const char *key)
{
    size_t size = 0;
    const void *data = pawl_data(args, key, &size);
    return (pw_view){data, data != NULL ? size : 0};
}

/* The number of an item, as somebody says it: what cannot be one is the nearest that can. */
static int64_t item_number(int64_t n)
{
    return n < 0 ? 0 : n > PW_ITEM_NUMBER_MAX ? PW_ITEM_NUMBER_MAX : n;
}

static size_t limit_of(const pawl_value *args, int64_t otherwise, int64_t max)
{
    const int64_t n = pawl_int(args, "limit", otherwise);
    return (size_t)(n < 1 ? 1 : n > max ? max : n);
}

/* ---- collections ---- */

static void put_view(pw_buf *out, const char *key, pw_view v)
{
    pw_mp_str(out, key);
    pw_mp_strn(out, (const char *)v.data, v.size);
}

/* Its row, and what its body says. */
static void put_collection(pw_buf *out, const pw_collection_row *row)
{
    pw_mp r = pw_mp_reader(row->body.data, row->body.size);
    const size_t more = pw_mp_read_map(&r);
    pw_mp_map(out, 8 + more);
    put_view(out, "name", row->name);
    pw_view_put_int(out, "number", row->number);
    pw_view_put_int(out, "items", row->items);
    pw_view_put_int(out, "bytes", row->bytes);
    pw_view_put_int(out, "width", row->width);
    pw_view_put_int(out, "version", row->version);
    pw_view_put_int(out, "horizon", row->horizon);
    pw_view_put_int(out, "created_ms", row->created_ms);
    pw_buf_put(out, r.p, (size_t)(r.end - r.p));
}

typedef struct listing {
    pw_buf *out;
    size_t len;
    pw_collection_row row; /* numbers only */
} listing;

static bool add_collection(void *ctx, const pw_collection_row *row)
{
    listing *l = ctx;
    put_collection(l->out, row);
    l->len++;
    return true;
}

pawl_status pw_view_indexes(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err)
{
    listing l = {.out = out};
    const pw_view only = view_of(args, "collection");
    (void)scope;
    if (only.size > 0) {
        const pawl_status st = reader->ops->collections(reader, only, add_collection, &l, err);
        return st == PAWL_OK && l.len == 0
                   ? pw_err(err, PAWL_NOTFOUND, "there is no collection \"%.100s\"",
                            pawl_str(args, "collection", ""))
                   : st;
    }
    const size_t begin = pw_view_array_begin(out);
    const pawl_status st =
        reader->ops->collections(reader, (pw_view){NULL, 0}, add_collection, &l, err);
    pw_view_array_end(out, begin, l.len);
    return st;
}

static bool take_number(void *ctx, const pw_collection_row *row)
{
    listing *l = ctx;
    l->row = *row;
    l->len++;
    return false;
}

/* The collection's number: the one that args say, or that of its name. */
static pawl_status number_of(pw_reader *reader, const pawl_value *args, int64_t *ret_number,
                             pawl_error *err)
{
    listing l = {.len = 0};
    const char *name = pawl_str(args, "collection", "");
    *ret_number = pawl_int(args, "number", 0);
    if (*ret_number > 0) {
        return *ret_number <= PW_COLLECTION_NUMBER_MAX
                   ? PAWL_OK
                   : pw_err(err, PAWL_NOTFOUND, "there is no such collection");
    }
    if (name[0] == 0) {
        return pw_err(err, PAWL_INVALID, "which collection?");
    }
    const pawl_status st =
        reader->ops->collections(reader, view_of(args, "collection"), take_number, &l, err);
    *ret_number = l.row.number;
    return st == PAWL_OK && l.len == 0
               ? pw_err(err, PAWL_NOTFOUND, "there is no collection \"%.100s\"", name)
               : st;
}

/* ---- items ---- */

typedef struct page {
    pw_buf *out;
    size_t len, begin;
    size_t bytes_max;
    int64_t only; /* the next one may be another: it is not given */
    bool rows;    /* with their vectors */
} page;

static bool put_item(void *ctx, const pw_item_row *row)
{
    page *p = ctx;
    if (p->only != 0 && row->number != p->only) {
        return false;
    }
    pw_mp r = pw_mp_reader(row->body.data, row->body.size);
    const size_t more = pw_mp_read_map(&r);
    pw_mp_map(p->out, 2 + more + (p->rows ? 1 : 0));
    put_view(p->out, "key", row->key);
    pw_view_put_int(p->out, "id", row->number);
    if (p->rows) {
        pw_mp_str(p->out, "row");
        pw_mp_bin(p->out, row->halves.data, row->halves.size);
    }
    pw_buf_put(p->out, r.p, (size_t)(r.end - r.p));
    p->len++;
    return p->out->size - p->begin < p->bytes_max;
}

/* Those of some keys or numbers, in that order; what is not there is left out. */
static pawl_status put_chosen(pw_reader *reader, int64_t number, const pawl_value *chosen,
                              bool by_key, page *p, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    if (pawl_typeof(chosen) != PAWL_ARRAY || pawl_len(chosen) > PW_INDEX_PAGE_ROWS) {
        return pw_err(err, PAWL_LIMIT, "keys and ids are arrays of at most %d", PW_INDEX_PAGE_ROWS);
    }
    for (size_t i = 0; i < pawl_len(chosen) && st == PAWL_OK; i++) {
        const pawl_value *one = pawl_at(chosen, i);
        if (by_key) {
            st = reader->ops->item(reader, number, view_of(one, ""), put_item, p, err);
        } else {
            p->only = item_number(pawl_int(one, "", 0));
            st = p->only == 0
                     ? PAWL_OK
                     : reader->ops->items(reader, number, p->only - 1, 1, put_item, p, err);
        }
        st = st == PAWL_NOTFOUND ? PAWL_OK : st;
    }
    return st;
}

pawl_status pw_view_index_items(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                pw_buf *out, pawl_error *err)
{
    int64_t number;
    pawl_status st = number_of(reader, args, &number, err);
    const pawl_value *keys = pawl_get(args, "keys"), *ids = pawl_get(args, "ids");
    page p = {.out = out,
              .begin = out->size,
              .bytes_max = PW_INDEX_PAGE_BYTES,
              .rows = keys != NULL && pawl_bool(args, "rows", false)};
    (void)scope;
    const size_t begin = pw_view_array_begin(out);
    if (st == PAWL_OK && (keys != NULL || ids != NULL)) {
        p.bytes_max = SIZE_MAX;
        st = put_chosen(reader, number, keys != NULL ? keys : ids, keys != NULL, &p, err);
    } else if (st == PAWL_OK) {
        st = reader->ops->items(reader, number, item_number(pawl_int(args, "after", 0)),
                                limit_of(args, 1000, PW_INDEX_PAGE_ROWS), put_item, &p, err);
    }
    pw_view_array_end(out, begin, p.len);
    return st;
}

/* ---- what a copy lacks ---- */

typedef struct lacking {
    pw_collection_row row; /* numbers only */
    pw_buf gone, ids, rows, labels;
    size_t labels_len, rows_max;
    bool more;
} lacking;

static bool lack_head(void *ctx, const pw_collection_row *row)
{
    lacking *l = ctx;
    l->row = *row;
    return false;
}

static bool lack_gone(void *ctx, int64_t number)
{
    lacking *l = ctx;
    pw_buf_put(&l->gone, &number, sizeof number);
    return true;
}

/* [workspace, tags]: what is filtered by. */
static bool lack_row(void *ctx, const pw_item_row *row)
{
    lacking *l = ctx;
    const pw_item_body body = pw_item_body_read(row->body);
    pw_buf_put(&l->ids, &row->number, sizeof row->number);
    pw_buf_put(&l->rows, row->halves.data, row->halves.size);
    pw_mp_array(&l->labels, 2);
    pw_mp_strn(&l->labels, (const char *)body.workspace.data, body.workspace.size);
    if (body.tags.size > 0) {
        pw_buf_put(&l->labels, body.tags.data, body.tags.size);
    } else {
        pw_mp_array(&l->labels, 0);
    }
    l->labels_len++;
    l->more = l->rows.size >= PW_INDEX_PAGE_BYTES || l->labels_len >= l->rows_max;
    return !l->more;
}

static void put_lacking(pw_buf *out, const lacking *l)
{
    pw_mp_map(out, 10);
    pw_view_put_int(out, "number", l->row.number);
    pw_view_put_int(out, "width", l->row.width);
    pw_view_put_int(out, "version", l->row.version);
    pw_view_put_int(out, "horizon", l->row.horizon);
    pw_view_put_int(out, "items", l->row.items);
    pw_mp_str(out, "more");
    pw_mp_bool(out, l->more);
    pw_mp_str(out, "gone");
    pw_mp_bin(out, l->gone.data, l->gone.size);
    pw_mp_str(out, "ids");
    pw_mp_bin(out, l->ids.data, l->ids.size);
    pw_mp_str(out, "rows");
    pw_mp_bin(out, l->rows.data, l->rows.size);
    pw_mp_str(out, "labels");
    pw_mp_array(out, l->labels_len);
    pw_buf_put(out, l->labels.data, l->labels.size);
}

pawl_status pw_view_index_changes(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                  pw_buf *out, pawl_error *err)
{
    lacking l = {
        .gone = PW_BUF_INIT, .ids = PW_BUF_INIT, .rows = PW_BUF_INIT, .labels = PW_BUF_INIT};
    pw_changes c = {.since = pawl_int(args, "since", 0),
                    .after = item_number(pawl_int(args, "after", 0)),
                    .head = lack_head,
                    .gone = lack_gone,
                    .row = lack_row,
                    .ctx = &l};
    (void)scope;
    l.rows_max = limit_of(args, PW_INDEX_PAGE_ROWS, 4 * PW_INDEX_PAGE_ROWS);
    pawl_status st = number_of(reader, args, &c.collection, err);
    st = st == PAWL_OK ? reader->ops->changes(reader, &c, err) : st;
    if (st == PAWL_OK && (!pw_buf_ok(&l.gone) || !pw_buf_ok(&l.ids) || !pw_buf_ok(&l.rows) ||
                          !pw_buf_ok(&l.labels))) {
        st = pw_err(err, PAWL_NOMEM, "no memory for what a copy lacks");
    }
    if (st == PAWL_OK) {
        put_lacking(out, &l);
    }
    pw_buf_deinit(&l.gone);
    pw_buf_deinit(&l.ids);
    pw_buf_deinit(&l.rows);
    pw_buf_deinit(&l.labels);
    return st;
}

/* ---- words ---- */

static bool put_found(void *ctx, int64_t number, double score)
{
    page *p = ctx;
    pw_mp_array(p->out, 2);
    pw_mp_int(p->out, number);
    pw_mp_double(p->out, score);
    p->len++;
    return true;
}

pawl_status pw_view_index_words(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                pw_buf *out, pawl_error *err)
{
    const pawl_value *tags = pawl_get(args, "tags");
    page p = {.out = out};
    (void)scope;
    if (tags != NULL && (pawl_typeof(tags) != PAWL_ARRAY || pawl_len(tags) > PW_INDEX_TAGS_MAX)) {
        return pw_err(err, PAWL_INVALID, "tags are an array of at most %d", PW_INDEX_TAGS_MAX);
    }
    pw_words_query q = {.query = view_of(args, "query"),
                        .filter = {.has_workspace = pawl_get(args, "workspace") != NULL,
                                   .shared = pawl_bool(args, "shared", false),
                                   .workspace = view_of(args, "workspace")},
                        .rows_max = limit_of(args, 100, PW_INDEX_FOUND_MAX)};
    if (tags != NULL && pawl_len(tags) > 0) {
        q.filter.tags = pw_value_bytes(tags);
    }
    const size_t begin = pw_view_array_begin(out);
    pawl_status st = number_of(reader, args, &q.collection, err);
    st = st == PAWL_OK ? reader->ops->item_words(reader, &q, put_found, &p, err) : st;
    pw_view_array_end(out, begin, p.len);
    return st;
}
