/*
 * memo.c - words of a text, and the search over them: hits of each word of the query, added up by row, then the best rows read.
 *
 * A query is bounded: PW_MEMO_QUERY_WORDS words, PW_MEMO_HITS_MAX rows of each, those put last first for every single word. So the work of one
 * search does not grow with the store beyond that. Does not know how rows and words are kept.
 */
#include "journal/memo.h"

#include <stdlib.h>
#include <string.h>

#include "journal/record_sum.h"
#include "sdk/base/mem.h"

int64_t pw_memo_sum(const pw_memo_row *row)
{
    const int64_t names = (int64_t)(pw_checksum(row->space.data, row->space.size) ^
                                    (pw_checksum(row->key.data, row->key.size) * 31u));
    return pw_record_sum(row->id ^ names, row->updated_ms, row->expires_ms, row->body);
}

pw_view pw_memo_text(pw_view body)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    for (size_t n = pw_mp_read_map(&r); n > 0 && pw_mp_ok(&r); n--) {
        const pw_view key = pw_mp_read_str(&r);
        if (pw_view_is(key, "text") && pw_mp_peek(&r) == PAWL_STRING) {
            return pw_mp_read_str(&r);
        }
        pw_mp_skip(&r);
    }
    return (pw_view){NULL, 0};
}

/* ---- words ---- */

typedef struct word {
    uint8_t size;
    uint8_t bytes[PW_MEMO_WORD_BYTES];
} word;

typedef struct words {
    word *list; /* sorted */
    size_t len, max;
} words;

static int word_compare(const word *a, const word *b)
{
    const size_t size = a->size < b->size ? a->size : b->size;
    const int order = memcmp(a->bytes, b->bytes, size);
    return order != 0 ? order : (int)a->size - (int)b->size;
}

static void word_keep(words *w, const word *new)
{
    size_t low = 0, high = w->len;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = word_compare(&w->list[middle], new);
        if (order == 0) {
            return;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    if (w->len < w->max) {
        memmove(&w->list[low + 1], &w->list[low], (w->len - low) * sizeof *w->list);
        w->list[low] = *new;
        w->len++;
    }
}

static void word_end(words *w, word *at)
{
    if (at->size > 0) {
        word_keep(w, at);
    }
    at->size = 0;
}

static bool is_ascii_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool stands_alone(const uint8_t *p, size_t size)
{
    return size == 4 || (size == 3 && ((p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6) >= 0x2e80);
}

/* One character into the word that is being read, or it ends there. */
static void take(words *w, word *at, const uint8_t *p, size_t size)
{
    if (size == 1 && !is_ascii_word(*p)) {
        word_end(w, at);
        return;
    }
    const bool alone = size > 1 && stands_alone(p, size);
    if (alone) {
        word_end(w, at);
    }
    if (at->size + size <= PW_MEMO_WORD_BYTES) {
        for (size_t i = 0; i < size; i++) {
            at->bytes[at->size++] = p[i] >= 'A' && p[i] <= 'Z' ? (uint8_t)(p[i] + 32) : p[i];
        }
    }
    if (alone) {
        word_end(w, at);
    }
}

static pawl_status words_of(pw_view text, size_t max, words *ret, pawl_error *err)
{
    words w = {.max = max};
    word at = {.size = 0};
    w.list = pw_malloc(max * sizeof *w.list);
    if (w.list == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the words of a text");
    }
    for (size_t i = 0; i < text.size;) {
        const size_t size = pw_utf8_len(text.data + i, text.size - i);
        take(&w, &at, text.data + i, size > 0 ? size : 1);
        i += size > 0 ? size : 1;
    }
    word_end(&w, &at);
    *ret = w;
    return PAWL_OK;
}

pawl_status pw_memo_words(pw_view text, pw_word_fn fn, void *ctx, pawl_error *err)
{
    words w;
    pawl_status st = words_of(text, PW_MEMO_WORDS_MAX, &w, err);
    if (st != PAWL_OK) {
        return st;
    }
    bool on = true;
    for (size_t i = 0; i < w.len && on; i++) {
        on = fn(ctx, (pw_view){w.list[i].bytes, w.list[i].size});
    }
    pw_free(w.list);
    return PAWL_OK;
}

/* ---- hits ---- */

typedef struct hit {
    int64_t id;
    int64_t score; /* while a word is looked up: 1 or 2 */
} hit;

typedef struct hits {
    hit *list;
    size_t len, cap;
    size_t word_size; /* of the word being looked up */
    bool failed;
} hits;

static bool hit_take(void *ctx, int64_t id, pw_view found)
{
    hits *h = ctx;
    if (h->len == h->cap) {
        const size_t cap = h->cap == 0 ? 256 : h->cap * 2;
        hit *grown = pw_realloc(h->list, cap * sizeof *grown);
        if (grown == NULL) {
            h->failed = true;
            return false;
        }
        h->list = grown;
        h->cap = cap;
    }
    h->list[h->len++] = (hit){id, found.size == h->word_size ? 2 : 1};
    return true;
}

static int by_id(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    return x->id != y->id ? (x->id < y->id ? -1 : 1)
                          : (x->score > y->score) - (x->score < y->score);
}

static int by_score(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    return x->score != y->score ? (x->score > y->score ? -1 : 1)
                                : (x->id < y->id) - (x->id > y->id);
}

/* One entry for each row among list[from ..): its best, or with `adds` the sum. Returns how many there are. */
static size_t fold_rows(hit *list, size_t len, bool adds)
{
    size_t kept = 0;
    if (len > 1) {
        qsort(list, len, sizeof *list, by_id);
    }
    for (size_t i = 0; i < len; i++) {
        if (kept > 0 && list[kept - 1].id == list[i].id) {
            list[kept - 1].score = adds ? list[kept - 1].score + list[i].score : list[i].score;
        } else {
            list[kept++] = list[i];
        }
    }
    return kept;
}

static int64_t rarity(size_t rows)
{
    int64_t digits = 0;
    for (; rows > 0; rows >>= 1) {
        digits++;
    }
    return 17 - digits;
}

static pawl_status look_up(pw_reader *r, pw_view space, const word *w, hits *h, pawl_error *err)
{
    const size_t from = h->len;
    h->word_size = w->size;
    pawl_status st = r->ops->memo_words(r, space, (pw_view){w->bytes, w->size}, PW_MEMO_HITS_MAX,
                                        hit_take, h, err);
    if (st != PAWL_OK || h->failed) {
        return st != PAWL_OK ? st : pw_err(err, PAWL_NOMEM, "no memory for a search");
    }
    const size_t rows = from < h->len ? fold_rows(h->list + from, h->len - from, false) : 0;
    for (size_t i = from; i < from + rows; i++) {
        h->list[i].score *= rarity(rows);
    }
    h->len = from + rows;
    return PAWL_OK;
}

/* ---- rows ---- */

typedef struct found {
    const pw_memo_query *q;
    pw_memo_found_fn fn;
    void *ctx;
    int64_t score;
    size_t rows;
    bool on;
} found;

static bool row_take(void *ctx, const pw_memo_row *row)
{
    found *f = ctx;
    if (row->expires_ms == 0 || row->expires_ms > f->q->now_ms) {
        f->rows++;
        f->on = f->fn(f->ctx, row, f->score) && f->rows < f->q->rows_max;
    }
    return f->on;
}

static pawl_status give_rows(pw_reader *r, const hits *h, found *f, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    for (size_t i = 0; i < h->len && f->on && st == PAWL_OK; i++) {
        f->score = h->list[i].score;
        st = r->ops->memo(r, h->list[i].id, row_take, f, err);
        st = st == PAWL_NOTFOUND ? PAWL_OK : st; /* it went meanwhile */
    }
    return st;
}

pawl_status pw_memo_search(pw_reader *r, const pw_memo_query *q, pw_memo_found_fn fn, void *ctx,
                           pawl_error *err)
{
    found f = {.q = q, .fn = fn, .ctx = ctx, .on = q->rows_max > 0};
    hits h = {.len = 0};
    words w;
    pawl_status st = words_of(q->text, PW_MEMO_QUERY_WORDS, &w, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (w.len == 0) {
        st = r->ops->memos(r, q->space, (pw_view){(const uint8_t *)"", 0}, 0, row_take, &f, err);
    }
    for (size_t i = 0; i < w.len && st == PAWL_OK; i++) {
        st = look_up(r, q->space, &w.list[i], &h, err);
    }
    pw_free(w.list);
    h.len = st == PAWL_OK && h.len > 0 ? fold_rows(h.list, h.len, true) : 0;
    if (h.len > 1) {
        qsort(h.list, h.len, sizeof *h.list, by_score);
    }
    st = st == PAWL_OK ? give_rows(r, &h, &f, err) : st;
    pw_free(h.list);
    return st;
}
