/*
 * collection.c - bodies of items, filters and words of queries, the same for every backend. Keeps no rows.
 */
#include "journal/collection.h"

#include <string.h>

#include "journal/record_sum.h"

int64_t pw_item_sum(int64_t id, pw_view key, pw_view body)
{
    return pw_record_sum(id, (int64_t)pw_checksum(key.data, key.size), (int64_t)key.size, body);
}

int64_t pw_vector_sum(int64_t id, pw_view halves)
{
    return pw_record_sum(id, (int64_t)halves.size, 0, halves);
}

pw_item_body pw_item_body_read(pw_view body)
{
    pw_item_body b = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    pw_mp r = pw_mp_reader(body.data, body.size);
    for (size_t n = pw_mp_read_map(&r); n > 0 && pw_mp_ok(&r); n--) {
        const pw_view key = pw_mp_read_str(&r);
        const pawl_type type = pw_mp_peek(&r);
        if (pw_view_is(key, "text") && type == PAWL_STRING) {
            b.text = pw_mp_read_str(&r);
        } else if (pw_view_is(key, "workspace") && type == PAWL_STRING) {
            b.workspace = pw_mp_read_str(&r);
        } else if (pw_view_is(key, "tags") && type == PAWL_ARRAY) {
            b.tags = pw_mp_read_raw(&r);
        } else {
            pw_mp_skip(&r);
        }
    }
    return b;
}

/* ---- filters ---- */

static bool has_tag(pw_view tags, pw_view tag)
{
    pw_mp r = pw_mp_reader(tags.data, tags.size);
    for (size_t n = tags.size > 0 ? pw_mp_read_array(&r) : 0; n > 0 && pw_mp_ok(&r); n--) {
        if (pw_view_eq(pw_mp_read_str(&r), tag)) {
            return true;
        }
    }
    return false;
}

bool pw_item_filter_takes(const pw_item_filter *filter, pw_view body)
{
    if (!filter->has_workspace && filter->tags.size == 0) {
        return true;
    }
    const pw_item_body b = pw_item_body_read(body);
    if (filter->has_workspace && !pw_view_eq(b.workspace, filter->workspace) &&
        !(filter->shared && b.workspace.size == 0)) {
        return false;
    }
    pw_mp r = pw_mp_reader(filter->tags.data, filter->tags.size);
    for (size_t n = filter->tags.size > 0 ? pw_mp_read_array(&r) : 0; n > 0 && pw_mp_ok(&r); n--) {
        if (!has_tag(b.tags, pw_mp_read_str(&r))) {
            return false;
        }
    }
    return true;
}

/* ---- words ---- */

typedef struct word_list {
    uint8_t bytes[PW_INDEX_QUERY_WORDS][PW_INDEX_WORD_BYTES];
    size_t size[PW_INDEX_QUERY_WORDS];
    size_t len;
} word_list;

static bool is_word(uint8_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_known(const word_list *l, const uint8_t *word, size_t size)
{
    for (size_t i = 0; i < l->len; i++) {
        if (l->size[i] == size && memcmp(l->bytes[i], word, size) == 0) {
            return true;
        }
    }
    return false;
}

void pw_query_words(pw_view query, pw_query_word_fn fn, void *ctx)
{
    word_list l = {.len = 0};
    bool on = true;
    for (size_t i = 0; i < query.size && l.len < PW_INDEX_QUERY_WORDS && on; i++) {
        uint8_t *word = l.bytes[l.len];
        size_t size = 0, begin = i;
        for (; i < query.size && is_word(query.data[i]); i++) {
            const uint8_t c = query.data[i];
            if (size < PW_INDEX_WORD_BYTES) {
                word[size++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
            }
        }
        if (size > 0 && i - begin <= PW_INDEX_WORD_BYTES && !is_known(&l, word, size)) {
            l.size[l.len++] = size;
            on = fn(ctx, (pw_view){word, size});
        }
    }
}

pw_item_put pw_item_put_read(pw_mp *r)
{
    pw_item_put p;
    (void)pw_mp_read_array(r);
    p.key = pw_mp_read_str(r);
    p.halves = pw_mp_read_str(r);
    p.body = pw_mp_read_str(r);
    return p;
}
