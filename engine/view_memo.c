/*
 * view_memo.c - reads of the memory store: its spaces, the rows of one by key, and what a search finds there now.
 * Does not tell runs: a run's own search is in its history (memo.c).
 */
#include <string.h>

#include "engine/memo.h"
#include "engine/view_show.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"

typedef struct listing {
    pw_buf *out;
    pawl_scope *scope;
    int64_t now_ms;
    size_t len, max;
} listing;

static bool put_space(void *ctx, pw_view space, int64_t rows, int64_t bytes)
{
    listing *l = ctx;
    pw_mp_map(l->out, 3);
    pw_mp_str(l->out, "space");
    pw_mp_strn(l->out, (const char *)space.data, space.size);
    pw_mp_str(l->out, "memories");
    pw_mp_int(l->out, rows);
    pw_mp_str(l->out, "bytes");
    pw_mp_int(l->out, bytes);
    l->len++;
    return true;
}

static bool put_row(void *ctx, const pw_memo_row *row)
{
    listing *l = ctx;
    if (row->expires_ms == 0 || row->expires_ms > l->now_ms) {
        pw_mp_value(l->out, pw_memo_show(l->scope, row, 0));
        l->len++;
    }
    return l->len < l->max;
}

static size_t limit_of(const pawl_value *args, int64_t otherwise, int64_t max)
{
    const int64_t n = pawl_int(args, "limit", otherwise);
    return (size_t)(n < 1 ? 1 : n > max ? max : n);
}

static pw_view view_of(const pawl_value *args, const char *key)
{
    const char *text = pawl_str(args, key, "");
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

pawl_status pw_view_memories(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                             pw_buf *out, pawl_error *err)
{
    listing l = {out, scope, pw_wall_ms(), 0, limit_of(args, 100, PW_PAGE_ROWS_MAX)};
    const pw_view space = view_of(args, "space");
    const size_t begin = pw_view_array_begin(out);
    pawl_status st = space.size == 0 ? reader->ops->memo_spaces(reader, space, put_space, &l, err)
                                     : reader->ops->memos(reader, space, view_of(args, "after"), 0,
                                                          put_row, &l, err);
    pw_view_array_end(out, begin, l.len);
    return st;
}

pawl_status pw_view_memory_search(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                  pw_buf *out, pawl_error *err)
{
    const pawl_value *found = NULL;
    const pw_memo_query q = {.space = view_of(args, "space"),
                             .text = view_of(args, "query"),
                             .now_ms = pw_wall_ms(),
                             .rows_max = limit_of(args, 10, PW_MEMO_FOUND_MAX)};
    pawl_status st = pw_memo_names_ok(pawl_str(args, "space", NULL), NULL, false, err);
    st = st == PAWL_OK ? pw_memo_find(reader, &q, scope, &found, err) : st;
    if (st == PAWL_OK) {
        pw_mp_value(out, found);
    }
    return st;
}
