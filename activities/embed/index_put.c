/*
 * index_put.c - items put and deleted, up to 256 at a time. What is there already just so is found out first: it is neither embedded nor written. Vectors
 * of the rest are made in one call, so that the encoder has something to fill its rows with. Does not check what the core checks anyway.
 */
#include <string.h>

#include "activities/embed/index.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

/*
 * An item whose vector was given says so ("own"): put again without one it gets its text's, even when the text is the same.
 */

/* Some items on their way. */
typedef struct batch {
    pawl_index *index;
    const char *name;
    int64_t number; /* the collection's: one that is made anew under its name is another */
    const pawl_index_item *items;
    size_t len;
    pawl_scope *scope;
    const pawl_value *bodies[PW_INDEX_ITEMS_AT_ONCE]; /* {text?, workspace?, tags?, data?, own?} */
    bool skip[PW_INDEX_ITEMS_AT_ONCE];
    pawl_embed_text texts[PW_INDEX_ITEMS_AT_ONCE];
    pawl_embed_count counts[PW_INDEX_ITEMS_AT_ONCE];
    float *vectors; /* of texts, in their order */
    size_t texts_len;
    uint16_t *row;
} batch;

static const char *text_or_none(const char *text)
{
    return text != NULL && text[0] != 0 ? text : NULL;
}

/* ---- what an item is ---- */

static pawl_status check_given(const pawl_index_item *item, pawl_error *err)
{
    if (item->key == NULL || item->key[0] == 0) {
        return pw_err(err, PAWL_INVALID, "an item has no key");
    }
    if (item->tags_len > PW_INDEX_LABELS_MAX) {
        return pw_err(err, PAWL_INVALID, "item %.60s: %zu tags, %d allowed", item->key,
                      item->tags_len, PW_INDEX_LABELS_MAX);
    }
    if (item->vector == NULL && item->text.size == 0) {
        return pw_err(err, PAWL_INVALID, "item %.60s: neither a text nor a vector", item->key);
    }
    return PAWL_OK;
}

static const pawl_value *body_of(pawl_scope *scope, const pawl_index_item *item)
{
    const pawl_value *tags[PW_INDEX_LABELS_MAX];
    const pawl_value *body = pawl_build(scope, "{}");
    if (item->text.size > 0) {
        body =
            pawl_with(scope, body, "text", pawl_make_strn(scope, item->text.data, item->text.size));
    }
    if (text_or_none(item->workspace) != NULL) {
        body = pawl_with(scope, body, "workspace", pawl_make_str(scope, item->workspace));
    }
    for (size_t i = 0; i < item->tags_len; i++) {
        tags[i] = pawl_make_str(scope, item->tags[i] != NULL ? item->tags[i] : "");
    }
    if (item->tags_len > 0) {
        body = pawl_with(scope, body, "tags", pawl_make_array(scope, tags, item->tags_len));
    }
    if (item->data != NULL) {
        body = pawl_with(scope, body, "data", item->data);
    }
    return item->vector != NULL ? pawl_with(scope, body, "own", pawl_make_bool(scope, true)) : body;
}

/* ---- what is there ---- */

static const pawl_value *keys_of(const batch *b)
{
    const pawl_value *keys[PW_INDEX_ITEMS_AT_ONCE];
    for (size_t i = 0; i < b->len; i++) {
        keys[i] = pawl_make_str(b->scope, b->items[i].key);
    }
    return pawl_make_array(b->scope, keys, b->len);
}

static bool is_part_same(const pawl_value *a, const pawl_value *b, const char *part)
{
    return pawl_equal(pawl_get(a, part), pawl_get(b, part));
}

static bool is_vector_same(const batch *b, size_t i, const pawl_value *there)
{
    size_t size = 0;
    const void *row = pawl_data(there, "row", &size);
    if (b->items[i].vector == NULL) {
        return !pawl_bool(there, "own", false); /* the model has made it, of the same text */
    }
    return pawl_bool(there, "own", false) &&
           (pw_row_put(b->items[i].vector, b->index->width, b->row, NULL) == PAWL_OK &&
            row != NULL && size == b->index->width * sizeof *b->row &&
            memcmp(row, b->row, size) == 0);
}

static bool is_same(const batch *b, size_t i, const pawl_value *there)
{
    const pawl_value *body = b->bodies[i];
    return is_part_same(body, there, "text") && is_part_same(body, there, "workspace") &&
           is_part_same(body, there, "tags") && is_part_same(body, there, "data") &&
           is_vector_same(b, i, there);
}

/* Found items come in the order of the keys, without those that are not there. Of several items under one key the last counts. */
static void skip_those_there(batch *b, const pawl_value *there)
{
    size_t at = 0;
    for (size_t i = 0; i < b->len; i++) {
        const pawl_value *found = pawl_at(there, at);
        if (found != NULL && pawl_is(found, "key", b->items[i].key)) {
            b->skip[i] = is_same(b, i, found);
            at++;
        }
    }
    for (size_t i = 0; i < b->len; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(b->items[i].key, b->items[j].key) == 0) {
                b->skip[i] = b->skip[j] = false;
            }
        }
    }
}

/* [V17] From the first look on it is this collection, or none. */
static pawl_status same_collection(batch *b, const pawl_value *about, pawl_error *err)
{
    const int64_t number = pawl_int(about, "number", 0);
    if (b->number != 0 && number != b->number) {
        return pw_err(err, PAWL_CONFLICT, "%.60s was removed and made again meanwhile", b->name);
    }
    b->number = number;
    return pw_index_same(b->index, b->name, about, err);
}

static pawl_status look(batch *b, pawl_error *err)
{
    const pawl_value *about = NULL, *there = NULL;
    pawl_status st = pw_index_about(b->index, b->name, b->scope, &about, err);
    st = st == PAWL_OK ? same_collection(b, about, err) : st;
    for (size_t i = 0; i < b->len && st == PAWL_OK; i++) {
        st = check_given(&b->items[i], err);
        b->bodies[i] = st == PAWL_OK ? body_of(b->scope, &b->items[i]) : NULL;
    }
    if (st == PAWL_OK && pw_scope_failed(b->scope)) { /* parts of an item would be missing */
        st = pw_err(err, PAWL_NOMEM, "no memory for items");
    }
    if (st == PAWL_OK) {
        st = pw_index_ask(b->index, "index_items",
                          pawl_build(b->scope, "{number: %lld, keys: %p, rows: true}",
                                     (long long)b->number, pawl_v(keys_of(b))),
                          b->scope, &there, err);
    }
    if (st == PAWL_OK) {
        skip_those_there(b, there);
    }
    return st;
}

/* ---- vectors ---- */

static pawl_status embed(batch *b, pawl_error *err)
{
    for (size_t i = 0; i < b->len; i++) {
        if (!b->skip[i] && b->items[i].vector == NULL) {
            b->texts[b->texts_len++] = b->items[i].text;
        }
    }
    if (b->texts_len == 0) {
        return PAWL_OK;
    }
    if (b->index->embedder == NULL) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "a text has no vector without a model: open the index with one");
    }
    b->vectors = pw_malloc(b->texts_len * b->index->width * sizeof *b->vectors);
    return b->vectors != NULL ? pawl_embed_texts(b->index->embedder, b->texts, b->texts_len,
                                                 b->vectors, b->counts, err)
                              : pw_err(err, PAWL_NOMEM, "no memory for vectors");
}

static pawl_status put_one(batch *b, size_t i, const float *vector, pw_buf *out, pawl_error *err)
{
    const pw_view body = pw_value_bytes(b->bodies[i]);
    pw_mp r = pw_mp_reader(body.data, body.size);
    const size_t parts = pw_mp_read_map(&r);
    const pawl_status st = pw_row_put(vector, b->index->width, b->row, err);
    if (st != PAWL_OK) {
        return pw_error_wrap(err, st, "item %.60s", b->items[i].key);
    }
    pw_mp_map(out, parts + 2);
    pw_mp_str(out, "key");
    pw_mp_str(out, b->items[i].key);
    pw_mp_str(out, "row");
    pw_mp_bin(out, b->row, b->index->width * sizeof *b->row);
    pw_buf_put(out, r.p, (size_t)(r.end - r.p));
    return PAWL_OK;
}

static pawl_status write_items(batch *b, pw_buf *out, pawl_index_counts *counts, pawl_error *err)
{
    size_t len = 0, text = 0;
    pawl_status st = PAWL_OK;
    for (size_t i = 0; i < b->len; i++) {
        len += b->skip[i] ? 0 : 1;
    }
    pw_mp_array(out, len);
    for (size_t i = 0; i < b->len && st == PAWL_OK; i++) {
        if (b->skip[i]) {
            continue;
        }
        const bool made = b->items[i].vector == NULL;
        st = put_one(b, i, made ? b->vectors + text * b->index->width : b->items[i].vector, out,
                     err);
        counts->truncated += made && b->counts[text].tokens_all > b->counts[text].tokens ? 1 : 0;
        text += made ? 1 : 0;
    }
    counts->put += len;
    counts->unchanged += b->len - len;
    return st;
}

static pawl_status put_some(batch *b, pawl_index_counts *counts, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_index_counts more = {0, 0, 0};
    pawl_status st = look(b, err);
    st = st == PAWL_OK ? embed(b, err) : st;
    st = st == PAWL_OK ? write_items(b, &out, &more, err) : st;
    if (st == PAWL_OK && !pw_buf_ok(&out)) {
        st = pw_err(err, PAWL_NOMEM, "no memory for items");
    }
    if (st == PAWL_OK && more.put > 0) {
        const pawl_value *items = pw_value_view(b->scope, out.data, out.size);
        st = pw_index_ask(b->index, "index_put",
                          pawl_build(b->scope,
                                     "{collection: %s, number: %lld, identity: %s, model: %s, "
                                     "items: %p}",
                                     b->name, (long long)b->number, b->index->identity,
                                     b->index->model, pawl_v(items)),
                          b->scope, NULL, err);
    }
    if (st == PAWL_OK && counts != NULL) {
        counts->put += more.put;
        counts->unchanged += more.unchanged;
        counts->truncated += more.truncated;
    }
    return st;
}

/* So many that they fit into one request, and into its bytes. */
static size_t some_of(const pawl_index_item *items, size_t len)
{
    size_t bytes = 0, n = 0;
    while (n < len && n < PW_INDEX_ITEMS_AT_ONCE && (n == 0 || bytes < 1u << 20)) {
        bytes +=
            items[n].text.size + (items[n].data != NULL ? pw_value_bytes(items[n].data).size : 0);
        n++;
    }
    return n;
}

pawl_status pawl_index_put(pawl_index *index, const char *name, const pawl_index_item *items,
                           size_t len, pawl_index_counts *ret_counts, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    int64_t number = 0;
    if (ret_counts != NULL) {
        *ret_counts = (pawl_index_counts){0, 0, 0};
    }
    for (size_t at = 0; at < len && st == PAWL_OK;) {
        batch *b = pw_calloc(1, sizeof *b);
        pawl_scope *scope = pw_scope_new(0);
        uint16_t *row = pw_malloc(pw_row_stride(index->width > 0 ? index->width : 1) * sizeof *row);
        const size_t some = some_of(items + at, len - at);
        if (b != NULL && scope != NULL && row != NULL) {
            b->index = index;
            b->name = name;
            b->number = number;
            b->items = items + at;
            b->len = some;
            b->scope = scope;
            b->row = row;
            st = put_some(b, ret_counts, err);
            number = b->number;
            pw_free(b->vectors);
        } else {
            st = pw_err(err, PAWL_NOMEM, "no memory for items");
        }
        pw_free(b);
        pw_free(row);
        pawl_scope_free(scope);
        at += some;
    }
    return st;
}

static pawl_status delete_some(pawl_index *index, const char *name, const char *const *keys,
                               size_t len, uint64_t *deleted, pawl_error *err)
{
    const pawl_value *list[PW_INDEX_ITEMS_AT_ONCE], *reply = NULL;
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for keys");
    }
    for (size_t i = 0; i < len; i++) {
        list[i] = pawl_make_str(scope, keys[i]);
    }
    const pawl_value *args = pawl_build(scope, "{collection: %s, keys: %p}", name,
                                        pawl_v(pawl_make_array(scope, list, len)));
    const pawl_status st = pw_scope_failed(scope)
                               ? pw_err(err, PAWL_NOMEM, "no memory for keys")
                               : pw_index_ask(index, "index_delete", args, scope, &reply, err);
    *deleted += st == PAWL_OK ? (uint64_t)pawl_int(reply, "deleted", 0) : 0;
    pawl_scope_free(scope);
    return st;
}

pawl_status pw_index_delete(pawl_index *index, const char *name, const char *const *keys,
                            size_t len, uint64_t *ret_deleted, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    *ret_deleted = 0;
    for (size_t at = 0; at < len && st == PAWL_OK; at += PW_INDEX_ITEMS_AT_ONCE) {
        const size_t some =
            len - at < PW_INDEX_ITEMS_AT_ONCE ? len - at : (size_t)PW_INDEX_ITEMS_AT_ONCE;
        st = delete_some(index, name, keys + at, some, ret_deleted, err);
    }
    return st;
}

pawl_status pawl_index_delete(pawl_index *index, const char *name, const char *const *keys,
                              size_t len, pawl_error *err)
{
    uint64_t deleted;
    return pw_index_delete(index, name, keys, len, &deleted, err);
}
