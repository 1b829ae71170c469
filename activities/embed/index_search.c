/*
 * index_search.c - a search: the nearest rows of the copy, the best by words from the journal, one list of both, and then what is kept with those found.
 *
 * Both lists are exact [V12], of what the filter lets through [V13]. They are joined by reciprocal ranks, which need no common measure. An item that goes
 * between the search and the reading of its text is left out.
 */
#include <float.h>
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
    pawl_index *index;
    const char *name;
    pawl_index_query q;
    pawl_index_mode mode;
    pawl_scope *scope;
    int64_t number, version; /* of the collection */
    pw_near *near;
    size_t near_len;
    hit *hits; /* room for both lists */
    size_t len;
    size_t each; /* of each list at most */
} search;

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

static pawl_status scan(search *s, const pw_copy *c, const uint16_t *row, pawl_error *err)
{
    uint64_t *wanted = NULL;
    const pw_wish wish = {s->q.workspace, s->q.shared, s->q.tags, s->q.tags_len};
    pawl_status st = pw_copy_wanted(c, &wish, &wanted, err);
    const pw_rows rows = {.halves = c->halves,
                          .len = c->len,
                          .width = c->width,
                          .stride = c->stride,
                          .ids = c->ids,
                          .wanted = wanted};
    if (st == PAWL_OK && c->len > 0) {
        const size_t threads = c->len * c->stride / NUMBERS_A_THREAD + 1;
        const pw_search one = {.queries = row,
                               .len = 1,
                               .k = s->each,
                               .threads = threads < s->index->threads ? (unsigned)threads
                                                                      : s->index->threads};
        st = pw_nearest(&rows, &one, s->near, &s->near_len, err);
    }
    pw_free(wanted);
    return st;
}

static pawl_status by_vector(search *s, pawl_error *err)
{
    pw_copy *copy = pw_index_copy(s->index, s->name);
    uint16_t *row = pw_malloc(pw_row_stride(s->index->width) * sizeof *row);
    pawl_status st = copy != NULL && row != NULL
                         ? pw_index_row(s->index, s->q.vector, s->q.text, row, err)
                         : pw_err(err, PAWL_NOMEM, "no memory to search");
    st = st == PAWL_OK ? pw_copy_hold(copy, s->number, s->version, ask_changes, s->index, err) : st;
    if (st == PAWL_OK) {
        st = scan(s, copy, row, err);
        pw_copy_let(copy);
    }
    pw_free(row);
    for (size_t i = 0; i < s->near_len && st == PAWL_OK; i++) {
        if (s->q.at_least != 0 && s->near[i].score < s->q.at_least) {
            break;
        }
        s->hits[s->len++] =
            (hit){.id = s->near[i].id, .cosine = s->near[i].score, .by_vector = i + 1};
    }
    return st;
}

/* ---- by words ---- */

static const pawl_value *words_args(search *s)
{
    const pawl_value *tags[PW_INDEX_LABELS_MAX];
    const pawl_value *args = pawl_build(
        s->scope, "{number: %lld, query: %p, limit: %zu, workspace: %s}", (long long)s->number,
        pawl_v(pawl_make_bytes(s->scope, s->q.text.data, s->q.text.size)), s->each, s->q.workspace);
    if (s->q.shared) {
        args = pawl_with(s->scope, args, "shared", pawl_make_bool(s->scope, true));
    }
    for (size_t i = 0; i < s->q.tags_len; i++) {
        tags[i] = pawl_make_str(s->scope, s->q.tags[i]);
    }
    return s->q.tags_len > 0
               ? pawl_with(s->scope, args, "tags", pawl_make_array(s->scope, tags, s->q.tags_len))
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

static pawl_status by_words(search *s, pawl_error *err)
{
    const pawl_value *list = NULL;
    const pawl_status st =
        pw_index_ask(s->index, "index_words", words_args(s), s->scope, &list, err);
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

static const pawl_value *show(const search *s, const hit *h, const pawl_value *item)
{
    static const char *const parts[] = {"text", "workspace", "tags", "data"};
    const pawl_value *v =
        pawl_build(s->scope, "{key: %s, id: %lld}", pawl_str(item, "key", ""), (long long)h->id);
    v = pawl_with(s->scope, v, "score", pawl_make_num(s->scope, h->score));
    if (h->by_vector > 0) {
        v = pawl_with(s->scope, v, "cosine", pawl_make_num(s->scope, h->cosine));
    }
    if (h->by_words > 0) {
        v = pawl_with(s->scope, v, "words", pawl_make_num(s->scope, h->words));
    }
    for (size_t i = 0; i < PW_COUNT(parts) && !s->q.brief; i++) {
        const pawl_value *part = pawl_get(item, parts[i]);
        v = part != NULL ? pawl_with(s->scope, v, parts[i], part) : v;
    }
    return v;
}

static pawl_status read_found(search *s, const pawl_value **ret_found, pawl_error *err)
{
    const pawl_value **list = pawl_scope_alloc(s->scope, (s->len + 1) * sizeof *list);
    const pawl_value *items = NULL;
    if (list == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for what is found");
    }
    for (size_t i = 0; i < s->len; i++) {
        list[i] = pawl_make_int(s->scope, s->hits[i].id);
    }
    pawl_status st = PAWL_OK;
    if (s->len > 0) {
        st = pw_index_ask(s->index, "index_items",
                          pawl_build(s->scope, "{number: %lld, ids: %p}", (long long)s->number,
                                     pawl_v(pawl_make_array(s->scope, list, s->len))),
                          s->scope, &items, err);
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->len && st == PAWL_OK; i++) {
        const pawl_value *item = pawl_at(items, kept);
        if (item != NULL && pawl_int(item, "id", 0) == s->hits[i].id) {
            list[kept++] = show(s, &s->hits[i], item);
        }
    }
    if (st == PAWL_OK) {
        *ret_found = pawl_make_array(s->scope, list, kept);
        st = *ret_found != NULL && !pw_scope_failed(s->scope)
                 ? st
                 : pw_err(err, PAWL_NOMEM, "no memory for what is found");
    }
    return st;
}

/* ---- the whole ---- */

static pawl_status find(search *s, pawl_error *err)
{
    const pawl_value *about = NULL;
    pawl_status st = pw_index_about(s->index, s->name, s->scope, &about, err);
    if (st == PAWL_OK && s->mode != PAWL_INDEX_WORDS) {
        st = pw_index_same(s->index, s->name, about, err);
    }
    s->number = pawl_int(about, "number", 0);
    s->version = pawl_int(about, "version", 0);
    if (st == PAWL_OK && s->mode != PAWL_INDEX_WORDS) {
        st = by_vector(s, err);
    }
    if (st == PAWL_OK && s->mode != PAWL_INDEX_VECTOR) {
        st = by_words(s, err);
    }
    return st;
}

pawl_status pawl_index_search(pawl_index *index, const char *name, const pawl_index_query *query,
                              pawl_scope *scope, const pawl_value **ret_found, pawl_error *err)
{
    search s = {.index = index, .name = name, .scope = scope};
    const size_t size = query->struct_size;
    memcpy(&s.q, query, size == 0 || size > sizeof s.q ? sizeof s.q : size);
    s.mode = mode_of(index, &s.q);
    pawl_status st = check(&s, err);
    if (st != PAWL_OK) {
        return st;
    }
    s.near = pw_malloc(s.each * sizeof *s.near);
    s.hits = pw_malloc(2 * s.each * sizeof *s.hits);
    st = s.near != NULL && s.hits != NULL ? find(&s, err)
                                          : pw_err(err, PAWL_NOMEM, "no memory to search");
    if (st == PAWL_OK) {
        rank(&s);
        st = read_found(&s, ret_found, err);
    }
    pw_free(s.near);
    pw_free(s.hits);
    return st;
}
