/*
 * index_search.c - a search: the nearest rows of the copy, the best by words from the journal, one list of both, and then what is kept with those found.
 *
 * Both lists are exact [V12], of what the filter lets through [V13]. They are joined by reciprocal ranks, which need no common measure. An item that goes
 * between the search and the reading of its text is left out.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/index.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

#define RANK_SHIFT 60.0 /* of reciprocal ranks: Cormack, Clarke and Buettcher, SIGIR 2009 */
#define LIST_MIN 100u   /* that each list has at least, to be joined */
#define K_DEFAULT 10u
#define NUMBERS_A_THREAD ((size_t)4 << 20) /* a millisecond's: less is not worth another thread */

/* One that was found, by either. */
typedef struct hit {
    int64_t id;
    double score;
    double cosine, words;
    size_t by_vector, by_words; /* its rank, from 1; 0: not found so */
} hit;

typedef struct search {
    pawl_index_query q;
    pawl_index_mode mode;
    const uint16_t *row; /* the query's; NULL: words alone */
    hit *hits;           /* room for both lists */
    size_t len;
    size_t each; /* of each list at most */
} search;

/* Searches that are made together: vectors of their texts in one call, rows read once for all of them. */
typedef struct batch {
    pawl_index *index;
    const char *name;
    pawl_scope *scope;
    search *list;
    size_t len;
    size_t each; /* the most that one of them wants */
    size_t rows_len;
    uint16_t *rows; /* queries of those that want vectors, in their order */
    pw_near *near;  /* [rows_len][each] */
    size_t *near_len;
    int64_t number, version; /* of the collection */
} batch;

/* ---- what is asked ---- */

static pawl_index_mode mode_of(const pawl_index *index, const pawl_index_query *q)
{
    const bool vector = q->vector != NULL || (q->text.size > 0 && index->embedder != NULL);
    if (q->mode != PAWL_INDEX_DEFAULT) {
        return q->mode;
    }
    return vector && q->text.size > 0 ? PAWL_INDEX_HYBRID
           : vector                   ? PAWL_INDEX_VECTOR
                                      : PAWL_INDEX_WORDS;
}

/* Errors: INVALID. */
static pawl_status check(search *s, pawl_error *err)
{
    const pawl_index_query *q = &s->q;
    if (q->text.size == 0 && q->vector == NULL) {
        return pw_err(err, PAWL_INVALID, "a search for neither a text nor a vector");
    }
    if (q->text.size == 0 && s->mode != PAWL_INDEX_VECTOR) {
        return pw_err(err, PAWL_INVALID, "a search by words has no text");
    }
    if (q->k > PW_INDEX_K_MAX || q->tags_len > PW_INDEX_LABELS_MAX) {
        return pw_err(err, PAWL_INVALID, "k is 1 to %d, and at most %d tags", PW_INDEX_K_MAX,
                      PW_INDEX_LABELS_MAX);
    }
    if (s->mode < PAWL_INDEX_VECTOR || s->mode > PAWL_INDEX_HYBRID) {
        return pw_err(err, PAWL_INVALID, "there is no such mode of a search");
    }
    if (isnan(q->at_least)) { /* nothing is below it: it would let all through */
        return pw_err(err, PAWL_INVALID, "at_least is no number");
    }
    for (size_t i = 0; i < q->tags_len; i++) {
        if (q->tags[i] == NULL) {
            return pw_err(err, PAWL_INVALID, "a tag is missing");
        }
    }
    s->q.k = q->k > 0 ? q->k : K_DEFAULT;
    s->each = s->mode != PAWL_INDEX_HYBRID ? s->q.k : 4 * s->q.k > LIST_MIN ? 4 * s->q.k : LIST_MIN;
    return PAWL_OK;
}

/* ---- by vector ---- */

static pawl_status ask_changes(void *ctx, const pawl_value *args, pawl_scope *scope,
                               const pawl_value **ret_reply, pawl_error *err)
{
    return pw_index_ask(ctx, "index_changes", args, scope, ret_reply, err);
}

static pw_wish wish_of(const search *s)
{
    return (pw_wish){s->q.workspace, s->q.shared, s->q.tags, s->q.tags_len};
}

static bool is_text_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_wish_same(const pw_wish *a, const pw_wish *b)
{
    bool same = is_text_same(a->workspace, b->workspace) && a->shared == b->shared &&
                a->tags_len == b->tags_len;
    for (size_t i = 0; i < a->tags_len && same; i++) {
        same = is_text_same(a->tags[i], b->tags[i]);
    }
    return same;
}

/* So many searches from there on have the same filter as the first. */
static size_t alike(const batch *b, const search *const *wanting, size_t first)
{
    const pw_wish wish = wish_of(wanting[first]);
    size_t len = 1;
    while (first + len < b->rows_len) {
        const pw_wish next = wish_of(wanting[first + len]);
        if (!is_wish_same(&wish, &next)) {
            break;
        }
        len++;
    }
    return len;
}

typedef struct whole {
    pw_copy *copy;
    const pw_device_wish *device;
    const pw_rows *rows;
} whole;

static pawl_status scan_whole(void *user, const pw_search *s, pw_near *ret_near, size_t *ret_len,
                              pawl_error *err)
{
    const whole *w = user;
    return pw_copy_nearest(w->copy, w->device, w->rows, s, ret_near, ret_len, err);
}

static pawl_status scan(batch *b, pw_copy *c, const search *first, size_t at, size_t len,
                        pawl_error *err)
{
    uint64_t *wanted = NULL;
    const pw_wish wish = wish_of(first);
    pawl_status st = pw_copy_wanted(c, &wish, &wanted, err);
    const pw_rows rows = {.halves = c->halves,
                          .len = c->len,
                          .width = c->width,
                          .stride = c->stride,
                          .ids = c->ids,
                          .wanted = wanted};
    if (st == PAWL_OK && c->len > 0) {
        const size_t threads = c->len * c->stride / NUMBERS_A_THREAD + 1;
        const pw_search all = {.queries = first->row,
                               .len = len,
                               .k = b->each,
                               .threads = threads < b->index->threads ? (unsigned)threads
                                                                      : b->index->threads};
        whole w = {c, &b->index->device, &rows};
        pw_near *near = b->near + at * b->each;
        st = wanted == NULL
                 ? pw_gather_nearest(&c->gather, &(pw_gather_scan){scan_whole, &w, c->stride}, &all,
                                     near, b->near_len + at, err)
                 : scan_whole(&w, &all, near, b->near_len + at, err);
    }
    pw_free(wanted);
    return st;
}

static void take_near(search *s, const pw_near *near, size_t len)
{
    for (size_t i = 0; i < len && i < s->each; i++) {
        if (s->q.at_least != 0 && near[i].score < s->q.at_least) {
            break;
        }
        s->hits[s->len++] = (hit){.id = near[i].id, .cosine = near[i].score, .by_vector = i + 1};
    }
}

/* Vectors of all texts that have none, in one call. */
static pawl_status make_rows(batch *b, pawl_error *err)
{
    const pawl_index *index = b->index;
    const size_t stride = pw_row_stride(index->width);
    pawl_embed_text *texts = pw_malloc(b->rows_len * sizeof *texts);
    float *made = pw_malloc(b->rows_len * index->width * sizeof *made);
    size_t len = 0;
    pawl_status st =
        texts != NULL && made != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory to search");
    for (size_t i = 0; i < b->len && st == PAWL_OK; i++) {
        if (b->list[i].mode != PAWL_INDEX_WORDS && b->list[i].q.vector == NULL) {
            texts[len++] = b->list[i].q.text;
        }
    }
    st = st == PAWL_OK && len > 0 ? pw_index_embed(index, texts, len, made, err) : st;
    for (size_t i = 0, row = 0, text = 0; i < b->len && st == PAWL_OK; i++) {
        search *s = &b->list[i];
        if (s->mode != PAWL_INDEX_WORDS) {
            const float *vector = s->q.vector != NULL ? s->q.vector : made + text++ * index->width;
            uint16_t *to = b->rows + row++ * stride;
            st = pw_row_put(vector, index->width, to, err);
            s->row = to;
        }
    }
    pw_free(texts);
    pw_free(made);
    return st;
}

static pawl_status scan_all(batch *b, const search *const *wanting, pawl_error *err)
{
    pw_copy *copy = pw_index_copy(b->index, b->name);
    pawl_status st = copy != NULL
                         ? pw_copy_hold(copy, b->number, b->version, ask_changes, b->index, err)
                         : pw_err(err, PAWL_NOMEM, "no memory to search");
    if (st != PAWL_OK) {
        return st;
    }
    for (size_t at = 0, len = 0; at < b->rows_len && st == PAWL_OK; at += len) {
        len = alike(b, wanting, at);
        st = scan(b, copy, wanting[at], at, len, err);
    }
    pw_copy_let(copy);
    return st;
}

static pawl_status by_vector(batch *b, pawl_error *err)
{
    const size_t stride = pw_row_stride(b->index->width);
    for (size_t i = 0; i < b->len; i++) {
        b->rows_len += b->list[i].mode != PAWL_INDEX_WORDS ? 1 : 0;
        b->each = b->list[i].each > b->each ? b->list[i].each : b->each;
    }
    if (b->rows_len == 0) {
        return PAWL_OK;
    }
    search **wanting = pw_malloc(b->rows_len * sizeof *wanting);
    b->rows = pw_malloc(b->rows_len * stride * sizeof *b->rows);
    b->near = pw_malloc(b->rows_len * b->each * sizeof *b->near);
    b->near_len = pw_calloc(b->rows_len, sizeof *b->near_len);
    const bool room = wanting != NULL && b->rows != NULL && b->near != NULL && b->near_len != NULL;
    for (size_t i = 0, row = 0; i < b->len && room; i++) {
        if (b->list[i].mode != PAWL_INDEX_WORDS) {
            wanting[row++] = &b->list[i];
        }
    }
    pawl_status st = room ? make_rows(b, err) : pw_err(err, PAWL_NOMEM, "no memory to search");
    st = st == PAWL_OK ? scan_all(b, (const search *const *)wanting, err) : st;
    for (size_t i = 0; i < b->rows_len && st == PAWL_OK; i++) {
        take_near(wanting[i], b->near + i * b->each, b->near_len[i]);
    }
    pw_free(wanting);
    return st;
}

/* ---- by words ---- */

static const pawl_value *words_args(const batch *b, const search *s)
{
    const pawl_value *tags[PW_INDEX_LABELS_MAX];
    const pawl_value *args = pawl_build(
        b->scope, "{number: %lld, query: %p, limit: %zu, workspace: %s}", (long long)b->number,
        pawl_v(pawl_make_bytes(b->scope, s->q.text.data, s->q.text.size)), s->each, s->q.workspace);
    if (s->q.shared) {
        args = pawl_with(b->scope, args, "shared", pawl_make_bool(b->scope, true));
    }
    for (size_t i = 0; i < s->q.tags_len; i++) {
        tags[i] = pawl_make_str(b->scope, s->q.tags[i]);
    }
    return s->q.tags_len > 0
               ? pawl_with(b->scope, args, "tags", pawl_make_array(b->scope, tags, s->q.tags_len))
               : args;
}

static hit *hit_of(search *s, int64_t id)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->hits[i].id == id) {
            return &s->hits[i];
        }
    }
    s->hits[s->len] = (hit){.id = id};
    return &s->hits[s->len++];
}

static pawl_status by_words(const batch *b, search *s, pawl_error *err)
{
    const pawl_value *list = NULL;
    const pawl_status st =
        pw_index_ask(b->index, "index_words", words_args(b, s), b->scope, &list, err);
    const pw_view bytes = pw_value_bytes(list);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    const size_t len = st == PAWL_OK ? pw_mp_read_array(&r) : 0;
    for (size_t i = 0; i < len && i < s->each && pw_mp_ok(&r); i++) {
        (void)pw_mp_read_array(&r);
        hit *h = hit_of(s, pw_mp_read_int(&r));
        h->words = pw_mp_read_double(&r);
        h->by_words = i + 1;
    }
    return st;
}

/* ---- one list ---- */

static double reciprocal(size_t rank)
{
    return rank > 0 ? 1.0 / (RANK_SHIFT + (double)rank) : 0;
}

static int best_first(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->id > y->id) - (x->id < y->id);
}

static void rank(search *s)
{
    for (size_t i = 0; i < s->len; i++) {
        hit *h = &s->hits[i];
        h->score = s->mode == PAWL_INDEX_VECTOR ? h->cosine
                   : s->mode == PAWL_INDEX_WORDS
                       ? h->words
                       : reciprocal(h->by_vector) + reciprocal(h->by_words);
    }
    if (s->len > 0) {
        qsort(s->hits, s->len, sizeof *s->hits, best_first);
    }
    s->len = s->len < s->q.k ? s->len : s->q.k;
}

/* ---- what is kept with them ---- */

static const pawl_value *show(const batch *b, const search *s, const hit *h, const pawl_value *item)
{
    static const char *const parts[] = {"text", "workspace", "tags", "data"};
    const pawl_value *v =
        pawl_build(b->scope, "{key: %s, id: %lld}", pawl_str(item, "key", ""), (long long)h->id);
    v = pawl_with(b->scope, v, "score", pawl_make_num(b->scope, h->score));
    if (h->by_vector > 0) {
        v = pawl_with(b->scope, v, "cosine", pawl_make_num(b->scope, h->cosine));
    }
    if (h->by_words > 0) {
        v = pawl_with(b->scope, v, "words", pawl_make_num(b->scope, h->words));
    }
    for (size_t i = 0; i < PW_COUNT(parts) && !s->q.brief; i++) {
        const pawl_value *part = pawl_get(item, parts[i]);
        v = part != NULL ? pawl_with(b->scope, v, parts[i], part) : v;
    }
    return v;
}

/* The next of them, no more than one reply has room for, whatever they hold. */
static pawl_status read_some(const batch *b, const search *s, size_t at, size_t len,
                             const pawl_value **list, size_t *kept, pawl_error *err)
{
    const pawl_value *ids[PW_INDEX_ITEMS_AT_ONCE], *items = NULL;
    for (size_t i = 0; i < len; i++) {
        ids[i] = pawl_make_int(b->scope, s->hits[at + i].id);
    }
    const pawl_status st =
        pw_index_ask(b->index, "index_items",
                     pawl_build(b->scope, "{number: %lld, ids: %p}", (long long)b->number,
                                pawl_v(pawl_make_array(b->scope, ids, len))),
                     b->scope, &items, err);
    size_t next = 0;
    for (size_t i = 0; i < len && st == PAWL_OK; i++) {
        const pawl_value *item = pawl_at(items, next);
        if (item != NULL && pawl_int(item, "id", 0) == s->hits[at + i].id) {
            list[(*kept)++] = show(b, s, &s->hits[at + i], item);
            next++;
        }
    }
    return st;
}

static pawl_status read_found(const batch *b, const search *s, const pawl_value **ret_found,
                              pawl_error *err)
{
    const pawl_value **list = pawl_scope_alloc(b->scope, (s->len + 1) * sizeof *list);
    size_t kept = 0;
    pawl_status st =
        list != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for what is found");
    for (size_t at = 0, len = 0; at < s->len && st == PAWL_OK; at += len) {
        const size_t left = s->len - at;
        len = left < PW_INDEX_ITEMS_AT_ONCE ? left : (size_t)PW_INDEX_ITEMS_AT_ONCE;
        st = read_some(b, s, at, len, list, &kept, err);
    }
    if (st == PAWL_OK) {
        *ret_found = pawl_make_array(b->scope, list, kept);
        st = *ret_found != NULL && !pw_scope_failed(b->scope)
                 ? st
                 : pw_err(err, PAWL_NOMEM, "no memory for what is found");
    }
    return st;
}

/* ---- the whole ---- */

static pawl_status find(batch *b, pawl_error *err)
{
    const pawl_value *about = NULL;
    bool vectors = false;
    for (size_t i = 0; i < b->len; i++) {
        vectors |= b->list[i].mode != PAWL_INDEX_WORDS;
    }
    pawl_status st = pw_index_about(b->index, b->name, b->scope, &about, err);
    if (st == PAWL_NOTFOUND) { /* another removed it */
        pw_index_forget(b->index, b->name);
    }
    st = st == PAWL_OK && vectors ? pw_index_same(b->index, b->name, about, err) : st;
    b->number = pawl_int(about, "number", 0);
    b->version = pawl_int(about, "version", 0);
    st = st == PAWL_OK ? by_vector(b, err) : st;
    for (size_t i = 0; i < b->len && st == PAWL_OK; i++) {
        st = b->list[i].mode != PAWL_INDEX_VECTOR ? by_words(b, &b->list[i], err) : st;
    }
    return st;
}

static pawl_status take_queries(batch *b, const pawl_index_query *queries, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    for (size_t i = 0; i < b->len && st == PAWL_OK; i++) {
        search *s = &b->list[i];
        const size_t size = queries[i].struct_size;
        memcpy(&s->q, &queries[i], size == 0 || size > sizeof s->q ? sizeof s->q : size);
        s->mode = mode_of(b->index, &s->q);
        st = check(s, err);
        s->hits = st == PAWL_OK ? pw_malloc(2 * s->each * sizeof *s->hits) : NULL;
        if (st == PAWL_OK && s->hits == NULL) {
            st = pw_err(err, PAWL_NOMEM, "no memory to search");
        }
    }
    return st;
}

pawl_status pawl_index_search_all(pawl_index *index, const char *name,
                                  const pawl_index_query *queries, size_t len, pawl_scope *scope,
                                  const pawl_value **ret_found, pawl_error *err)
{
    batch b = {.index = index, .name = name, .scope = scope, .len = len};
    if (len == 0 || len > PW_INDEX_QUERIES_MAX) {
        return pw_err(err, PAWL_INVALID, "1 to %d queries at a time", PW_INDEX_QUERIES_MAX);
    }
    b.list = pw_calloc(len, sizeof *b.list);
    pawl_status st = b.list != NULL ? take_queries(&b, queries, err)
                                    : pw_err(err, PAWL_NOMEM, "no memory to search");
    st = st == PAWL_OK ? find(&b, err) : st;
    for (size_t i = 0; i < len && st == PAWL_OK; i++) {
        rank(&b.list[i]);
        st = read_found(&b, &b.list[i], &ret_found[i], err);
    }
    for (size_t i = 0; i < len && b.list != NULL; i++) {
        pw_free(b.list[i].hits);
    }
    pw_free(b.list);
    pw_free(b.rows);
    pw_free(b.near);
    pw_free(b.near_len);
    return st;
}

pawl_status pawl_index_search(pawl_index *index, const char *name, const pawl_index_query *query,
                              pawl_scope *scope, const pawl_value **ret_found, pawl_error *err)
{
    return pawl_index_search_all(index, name, query, 1, scope, ret_found, err);
}
