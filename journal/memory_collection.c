/*
 * memory_collection.c - collections of texts and vectors in the journal in memory: the same rows, numbers and versions as in a file.
 *
 *   '1' -> last number   '2' number -> collection   '3' name -> number   '4' number n -> item   '5' number key -> n   '6' number version n -> gone
 *
 * What is dropped goes at once. Words are ranked by reading every text, with the formula of FTS5's bm25(); a word is a run of ASCII letters and digits
 * or of bytes beyond ASCII, as it stands: there are no stems here, and accents count. Does not rank by vectors.
 */
#include "journal/collection.h"
#include "journal/memory_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/mem.h"

static pawl_status no_memory(pawl_error *err)
{
    return pw_err(err, PAWL_NOMEM, "out of memory");
}

static pawl_status put_int(pw_memory_store *s, const pw_row_key *key, int64_t n, pawl_error *err)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_int(&b, n);
    return pw_memory_row_put(s, key, &b, err);
}

static pw_row_key named_key(pw_view name)
{
    pw_row_key k;
    pw_row_key_start(&k, PW_TABLE_COLLECTION_NAME);
    pw_row_key_bytes(&k, name.data, name.size);
    return k;
}

static pw_row_key item_name_key(int64_t collection, pw_view key)
{
    pw_row_key k = PW_ROW_KEY(PW_TABLE_ITEM_NAME, collection);
    pw_row_key_bytes(&k, key.data, key.size);
    return k;
}

static int64_t int_at(const pw_kv_node *node)
{
    pw_mp r = pw_mp_reader(pw_kv_value(node).data, pw_kv_value(node).size);
    return pw_mp_read_int(&r);
}

static bool starts_with(const pw_kv_node *node, const pw_row_key *prefix)
{
    const pw_view key = pw_kv_key(node);
    return key.size >= prefix->size && memcmp(key.data, prefix->data, prefix->size) == 0;
}

/* ---- rows ---- */

static void put_collection(pw_buf *b, const pw_collection_row *c)
{
    pw_mp_array(b, 10);
    pw_mp_bin(b, c->name.data, c->name.size);
    pw_mp_int(b, c->width);
    pw_mp_int(b, c->created_ms);
    pw_mp_int(b, c->version);
    pw_mp_int(b, c->horizon);
    pw_mp_int(b, c->items);
    pw_mp_int(b, c->bytes);
    pw_mp_int(b, c->last);
    pw_mp_bin(b, c->body.data, c->body.size);
    pw_mp_int(b, 0);
}

static void get_collection(const pw_kv_node *node, pw_collection_row *ret)
{
    pw_mp r = pw_mp_reader(pw_kv_value(node).data, pw_kv_value(node).size);
    ret->number = pw_row_key_get(pw_kv_key(node), 0);
    (void)pw_mp_read_array(&r);
    ret->name = pw_mp_read_str(&r);
    ret->width = pw_mp_read_int(&r);
    ret->created_ms = pw_mp_read_int(&r);
    ret->version = pw_mp_read_int(&r);
    ret->horizon = pw_mp_read_int(&r);
    ret->items = pw_mp_read_int(&r);
    ret->bytes = pw_mp_read_int(&r);
    ret->last = pw_mp_read_int(&r);
    ret->body = pw_mp_read_str(&r);
}

static const pw_kv_node *find_collection(pw_memory_store *s, int64_t number)
{
    const pw_row_key key = PW_ROW_KEY(PW_TABLE_COLLECTION, number);
    return pw_kv_find(s->kv, pw_row_key_view(&key));
}

static pawl_status get_item(const pw_kv_node *node, pw_item_row *ret, pawl_error *err)
{
    const pw_view key = pw_kv_key(node);
    const int64_t collection = pw_row_key_get(key, 0);
    pw_mp r = pw_mp_reader(pw_kv_value(node).data, pw_kv_value(node).size);
    (void)pw_mp_read_array(&r);
    ret->number = pw_row_key_get(key, 1);
    ret->key = pw_mp_read_str(&r);
    const int64_t sum = pw_mp_read_int(&r);
    const int64_t vector_sum = pw_mp_read_int(&r);
    ret->halves = pw_mp_read_str(&r);
    ret->body = pw_mp_read_str(&r);
    const int64_t id = (collection << PW_ITEM_BITS) + ret->number;
    return pw_mp_ok(&r) && pw_item_sum(id, ret->key, ret->body) == sum &&
                   pw_vector_sum(id, ret->halves) == vector_sum
               ? PAWL_OK
               : pw_err(err, PAWL_DAMAGED,
                        "item %lld of collection %lld does not match its checksum",
                        (long long)ret->number, (long long)collection);
}

/* ---- writing ---- */

static pawl_status create(pw_memory_store *s, const pw_collection_row *given, pawl_error *err)
{
    const pw_row_key name = named_key(given->name);
    const pw_row_key counter = PW_ROW_KEY(PW_TABLE_COLLECTIONS, 0);
    if (pw_kv_find(s->kv, pw_row_key_view(&name)) != NULL) {
        return PAWL_OK;
    }
    const pw_kv_node *last = pw_kv_find(s->kv, pw_row_key_view(&counter));
    const int64_t number = last != NULL ? int_at(last) + 1 : 1;
    pw_collection_row row = *given;
    row.version = row.horizon = row.items = row.bytes = row.last = 0;
    pw_buf b = PW_BUF_INIT;
    put_collection(&b, &row);
    const pw_row_key key = PW_ROW_KEY(PW_TABLE_COLLECTION, number);
    pawl_status st = pw_memory_row_put(s, &key, &b, err);
    st = st == PAWL_OK ? put_int(s, &name, number, err) : st;
    return st == PAWL_OK ? put_int(s, &counter, number, err) : st;
}

static pawl_status drop_all(pw_memory_store *s, const pw_row_key *prefix, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    const pw_kv_node *node;
    while (st == PAWL_OK && (node = pw_kv_seek(s->kv, pw_row_key_view(prefix))) != NULL &&
           starts_with(node, prefix)) {
        pw_row_key key;
        key.size = pw_kv_key(node).size;
        key.whole = true;
        memcpy(key.data, pw_kv_key(node).data, key.size);
        st = pw_memory_row_drop(s, &key, err);
    }
    return st;
}

static pawl_status remove_collection(pw_memory_store *s, int64_t number, pawl_error *err)
{
    static const pw_table tables[] = {PW_TABLE_ITEM, PW_TABLE_ITEM_NAME, PW_TABLE_ITEM_GONE,
                                      PW_TABLE_COLLECTION};
    const pw_kv_node *node = find_collection(s, number);
    if (node == NULL) {
        return PAWL_OK;
    }
    pw_collection_row row;
    get_collection(node, &row);
    const pw_row_key name = named_key(row.name);
    pawl_status st = pw_memory_row_drop(s, &name, err);
    for (size_t i = 0; i < PW_COUNT(tables) && st == PAWL_OK; i++) {
        const pw_row_key prefix = PW_ROW_KEY(tables[i], number);
        st = drop_all(s, &prefix, err);
    }
    return st;
}

static pawl_status drop_key(pw_memory_store *s, pw_collection_row *c, pw_view key, pawl_error *err)
{
    const pw_row_key name = item_name_key(c->number, key);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&name));
    if (node == NULL) {
        return PAWL_OK;
    }
    const pw_row_key item = PW_ROW_KEY(PW_TABLE_ITEM, c->number, int_at(node));
    const pw_row_key gone = PW_ROW_KEY(PW_TABLE_ITEM_GONE, c->number, c->version, int_at(node));
    pw_item_row row;
    node = pw_kv_find(s->kv, pw_row_key_view(&item));
    pawl_status st =
        node != NULL ? get_item(node, &row, err) : pw_err(err, PAWL_DAMAGED, "an item has no row");
    if (st != PAWL_OK) {
        return st;
    }
    c->items--;
    c->bytes -= (int64_t)(row.key.size + row.body.size) + c->width * 2;
    pw_buf none = PW_BUF_INIT;
    st = pw_memory_row_put(s, &gone, &none, err);
    st = st == PAWL_OK ? pw_memory_row_drop(s, &item, err) : st;
    return st == PAWL_OK ? pw_memory_row_drop(s, &name, err) : st;
}

static pawl_status put_item(pw_memory_store *s, pw_collection_row *c, const pw_item_put *p,
                            pawl_error *err)
{
    pawl_status st = drop_key(s, c, p->key, err);
    const pw_row_key name = item_name_key(c->number, p->key);
    const pw_row_key item = PW_ROW_KEY(PW_TABLE_ITEM, c->number, ++c->last);
    const int64_t id = (c->number << PW_ITEM_BITS) + c->last;
    pw_buf b = PW_BUF_INIT;
    c->items++;
    c->bytes += (int64_t)(p->key.size + p->body.size) + c->width * 2;
    pw_mp_array(&b, 5);
    pw_mp_bin(&b, p->key.data, p->key.size);
    pw_mp_int(&b, pw_item_sum(id, p->key, p->body));
    pw_mp_int(&b, pw_vector_sum(id, p->halves));
    pw_mp_bin(&b, p->halves.data, p->halves.size);
    pw_mp_bin(&b, p->body.data, p->body.size);
    const pawl_status written = pw_memory_row_put(s, &item, &b, err);
    st = st == PAWL_OK ? written : st;
    return st == PAWL_OK ? put_int(s, &name, c->last, err) : st;
}

static pawl_status forget_gone(pw_memory_store *s, const pw_collection_row *c, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    const pw_row_key prefix = PW_ROW_KEY(PW_TABLE_ITEM_GONE, c->number);
    const pw_kv_node *node;
    while (st == PAWL_OK && (node = pw_kv_seek(s->kv, pw_row_key_view(&prefix))) != NULL &&
           starts_with(node, &prefix) && pw_row_key_get(pw_kv_key(node), 1) <= c->horizon) {
        const pw_row_key key =
            PW_ROW_KEY(PW_TABLE_ITEM_GONE, c->number, pw_row_key_get(pw_kv_key(node), 1),
                       pw_row_key_get(pw_kv_key(node), 2));
        st = pw_memory_row_drop(s, &key, err);
    }
    return st;
}

static pawl_status change_items(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    const pw_kv_node *node = find_collection(s, op->u.items.collection);
    if (node == NULL) {
        return PAWL_OK;
    }
    pw_collection_row c;
    get_collection(node, &c);
    PW_CLEANUP(pw_buf_deinit) pw_buf own = PW_BUF_INIT; /* the node is written again below */
    pw_buf_put(&own, c.name.data, c.name.size);
    pw_buf_put(&own, c.body.data, c.body.size);
    if (!pw_buf_ok(&own)) {
        return no_memory(err);
    }
    c.name.data = own.data;
    c.body.data = own.data + c.name.size;
    c.version++;
    pawl_status st = PAWL_OK;
    pw_mp r = pw_mp_reader(op->u.items.list.data, op->u.items.list.size);
    for (size_t n = pw_mp_read_array(&r); n > 0 && pw_mp_ok(&r) && st == PAWL_OK; n--) {
        if (op->type == PW_OP_ITEMS_PUT) {
            const pw_item_put p = pw_item_put_read(&r);
            st = put_item(s, &c, &p, err);
        } else {
            st = drop_key(s, &c, pw_mp_read_str(&r), err);
        }
    }
    const int64_t horizon = c.version - PW_GONE_VERSIONS;
    c.horizon = horizon > c.horizon ? horizon : c.horizon;
    pw_buf b = PW_BUF_INIT;
    put_collection(&b, &c);
    const pw_row_key key = PW_ROW_KEY(PW_TABLE_COLLECTION, c.number);
    const pawl_status written = pw_memory_row_put(s, &key, &b, err);
    st = st == PAWL_OK ? written : st;
    return st == PAWL_OK ? forget_gone(s, &c, err) : st;
}

pawl_status pw_memory_collection_apply(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    return op->type == PW_OP_COLLECTION_CREATE ? create(s, &op->u.collection, err)
           : op->type == PW_OP_COLLECTION_DROP ? remove_collection(s, op->u.collection.number, err)
                                               : change_items(s, op, err);
}

/* ---- reading ---- */

pawl_status pw_memory_collections(pw_reader *r, pw_view only, pw_collection_fn fn, void *ctx,
                                  pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key from = named_key(only);
    bool on = true;
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    while (node != NULL && pw_kv_key(node).data[0] == PW_TABLE_COLLECTION_NAME && on &&
           (only.size == 0 || pw_view_eq(pw_kv_key(node), pw_row_key_view(&from)))) {
        const pw_kv_node *found = find_collection(s, int_at(node));
        pw_collection_row row;
        if (found != NULL) {
            get_collection(found, &row);
            on = fn(ctx, &row);
        }
        node = pw_kv_next(node);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

pawl_status pw_memory_collections_made(pw_reader *r, int64_t *ret_number, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key counter = PW_ROW_KEY(PW_TABLE_COLLECTIONS, 0);
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *last = pw_kv_find(s->kv, pw_row_key_view(&counter));
    *ret_number = last != NULL ? int_at(last) : 0;
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

static pawl_status give_items(pw_memory_store *s, const int64_t place[2], size_t rows_max,
                              pw_item_fn fn, void *ctx, pawl_error *err)
{
    const pw_row_key all = PW_ROW_KEY(PW_TABLE_ITEM, place[0]);
    const pw_row_key from = PW_ROW_KEY(PW_TABLE_ITEM, place[0], place[1] + 1);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    pawl_status st = PAWL_OK;
    bool on = true;
    for (size_t n = 0; node != NULL && starts_with(node, &all) && on && st == PAWL_OK &&
                       (rows_max == 0 || n < rows_max);
         n++) {
        pw_item_row row;
        st = get_item(node, &row, err);
        on = st == PAWL_OK && fn(ctx, &row);
        node = pw_kv_next(node);
    }
    return st;
}

pawl_status pw_memory_items(pw_reader *r, int64_t collection, int64_t after, size_t rows_max,
                            pw_item_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pthread_mutex_lock(&s->lock);
    pawl_status st = give_items(s, (const int64_t[]){collection, after}, rows_max, fn, ctx, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

pawl_status pw_memory_item(pw_reader *r, int64_t collection, pw_view key, pw_item_fn fn, void *ctx,
                           pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    const pw_row_key name = item_name_key(collection, key);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = name.whole ? pw_kv_find(s->kv, pw_row_key_view(&name)) : NULL;
    pawl_status st = node != NULL ? give_items(s, (const int64_t[]){collection, int_at(node) - 1},
                                               1, fn, ctx, err)
                                  : pw_err(err, PAWL_NOTFOUND, "no such item");
    pthread_mutex_unlock(&s->lock);
    return st;
}

pawl_status pw_memory_changes(pw_reader *r, const pw_changes *c, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = find_collection(s, c->collection);
    pawl_status st = node != NULL ? PAWL_OK : pw_err(err, PAWL_NOTFOUND, "no such collection");
    if (node != NULL) {
        const pw_row_key all = PW_ROW_KEY(PW_TABLE_ITEM_GONE, c->collection);
        const pw_row_key from = PW_ROW_KEY(PW_TABLE_ITEM_GONE, c->collection,
                                           c->since < INT64_MAX ? c->since + 1 : c->since);
        pw_collection_row row;
        get_collection(node, &row);
        (void)c->head(c->ctx, &row);
        bool on = true;
        node = pw_kv_seek(s->kv, pw_row_key_view(&from));
        for (; node != NULL && starts_with(node, &all) && on; node = pw_kv_next(node)) {
            on = c->gone(c->ctx, pw_row_key_get(pw_kv_key(node), 2));
        }
        st = give_items(s, (const int64_t[]){c->collection, c->after}, c->rows_max, c->row, c->ctx,
                        err);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- words ---- */

typedef struct text_score {
    int64_t number;
    double score;
} text_score;

/* Two passes over the texts: what is counted of all, then the score of each. */
typedef struct ranking {
    const pw_words_query *query;
    pw_view words[PW_INDEX_QUERY_WORDS];
    double weight[PW_INDEX_QUERY_WORDS]; /* of a word: rare ones more */
    int64_t texts_with[PW_INDEX_QUERY_WORDS];
    size_t words_len;
    int64_t texts, length; /* of all */
    pw_buf own;            /* the words' bytes */
    text_score *list;
    size_t len, cap;
    bool failed;
} ranking;

static bool is_word(uint8_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_same(pw_view word, const uint8_t *in, size_t size)
{
    bool same = word.size == size;
    for (size_t i = 0; i < size && same; i++) {
        const uint8_t c = in[i] >= 'A' && in[i] <= 'Z' ? (uint8_t)(in[i] + 32) : in[i];
        same = word.data[i] == c;
    }
    return same;
}

/* How often each word of the query stands in it; its length in words. */
static int64_t count_words(const ranking *k, pw_view text, int64_t counts[PW_INDEX_QUERY_WORDS])
{
    int64_t length = 0;
    memset(counts, 0, PW_INDEX_QUERY_WORDS * sizeof *counts);
    for (size_t i = 0; i < text.size; i++) {
        const size_t from = i;
        while (i < text.size && is_word(text.data[i])) {
            i++;
        }
        length += i > from ? 1 : 0;
        for (size_t w = 0; w < k->words_len && i > from; w++) {
            counts[w] += is_same(k->words[w], text.data + from, i - from) ? 1 : 0;
        }
    }
    return length;
}

static bool count_text(void *ctx, const pw_item_row *row)
{
    ranking *k = ctx;
    int64_t counts[PW_INDEX_QUERY_WORDS];
    const pw_view text = pw_item_body_read(row->body).text;
    if (text.size > 0) {
        k->texts++;
        k->length += count_words(k, text, counts);
        for (size_t w = 0; w < k->words_len; w++) {
            k->texts_with[w] += counts[w] > 0 ? 1 : 0;
        }
    }
    return true;
}

static double score_of(const ranking *k, const int64_t counts[PW_INDEX_QUERY_WORDS], int64_t length)
{
    const double average = (double)k->length / (double)k->texts;
    double score = 0;
    for (size_t w = 0; w < k->words_len; w++) {
        const double n = (double)counts[w];
        score += k->weight[w] * (n * 2.2) / (n + 1.2 * (0.25 + 0.75 * (double)length / average));
    }
    return score;
}

static bool score_text(void *ctx, const pw_item_row *row)
{
    ranking *k = ctx;
    int64_t counts[PW_INDEX_QUERY_WORDS], any = 0;
    const int64_t length = count_words(k, pw_item_body_read(row->body).text, counts);
    for (size_t w = 0; w < k->words_len; w++) {
        any += counts[w];
    }
    if (any == 0 || !pw_item_filter_takes(&k->query->filter, row->body)) {
        return true;
    }
    if (k->len == k->cap) {
        const size_t cap = k->cap == 0 ? 64 : 2 * k->cap;
        text_score *grown = pw_realloc(k->list, cap * sizeof *grown);
        if (grown == NULL) {
            k->failed = true;
            return false;
        }
        k->list = grown;
        k->cap = cap;
    }
    k->list[k->len++] = (text_score){row->number, score_of(k, counts, length)};
    return true;
}

static int by_score(const void *a, const void *b)
{
    const text_score *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->number > y->number) - (x->number < y->number);
}

static bool keep_word(void *ctx, pw_view word)
{
    ranking *k = ctx;
    k->words[k->words_len++] = (pw_view){NULL, word.size};
    pw_buf_put(&k->own, word.data, word.size);
    return true;
}

static pawl_status rank(pw_memory_store *s, ranking *k, pawl_error *err)
{
    const int64_t place[2] = {k->query->collection, 0};
    pawl_status st = give_items(s, place, 0, count_text, k, err);
    for (size_t w = 0; w < k->words_len; w++) {
        const double with = (double)k->texts_with[w];
        const double weight = log(((double)k->texts - with + 0.5) / (with + 0.5));
        k->weight[w] = weight > 0 ? weight : 1e-6;
    }
    st = st == PAWL_OK && k->texts > 0 ? give_items(s, place, 0, score_text, k, err) : st;
    if (k->len > 0) {
        qsort(k->list, k->len, sizeof *k->list, by_score);
    }
    return st == PAWL_OK && k->failed ? no_memory(err) : st;
}

pawl_status pw_memory_item_words(pw_reader *r, const pw_words_query *q, pw_item_words_fn fn,
                                 void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    ranking k = {.query = q, .own = PW_BUF_INIT};
    pw_query_words(q->query, keep_word, &k);
    for (size_t w = 0, at = 0; w < k.words_len && pw_buf_ok(&k.own); at += k.words[w].size, w++) {
        k.words[w].data = k.own.data + at;
    }
    pthread_mutex_lock(&s->lock);
    pawl_status st = !pw_buf_ok(&k.own) ? no_memory(err)
                     : find_collection(s, q->collection) == NULL
                         ? pw_err(err, PAWL_NOTFOUND, "no such collection")
                         : rank(s, &k, err);
    pthread_mutex_unlock(&s->lock);
    bool on = st == PAWL_OK;
    for (size_t i = 0; i < k.len && on && (q->rows_max == 0 || i < q->rows_max); i++) {
        on = fn(ctx, k.list[i].number, k.list[i].score);
    }
    pw_free(k.list);
    pw_buf_deinit(&k.own);
    return st;
}
