/*
 * llm_fold.c - maps put together from the pieces of a stream. Each byte that they hold is taken from the stream's budget, and no map has more
 * than PW_LLM_FIELDS_MAX fields: a stream that never ends costs no more than one answer. Does not know any wire.
 */
#include <string.h>

#include "activities/llm_wire.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

/* [L3] */
static bool spend(pw_llm_stream *s, size_t size)
{
    if (s->status != PAWL_OK) {
        return false;
    }
    if (size > PW_LLM_ANSWER_BYTES_MAX - s->bytes) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "the answer is larger than %u bytes",
                           PW_LLM_ANSWER_BYTES_MAX);
        return false;
    }
    s->bytes += size;
    return true;
}

static bool settled(pw_llm_stream *s, const pw_buf *buf)
{
    if (buf->failed && s->status == PAWL_OK) {
        s->status = PAWL_NOMEM;
    }
    return s->status == PAWL_OK;
}

/* Twice as large a block of items when it is full; NULL: the stream has failed. */
static void *grown(pw_llm_stream *s, void *items, size_t len, size_t *capacity, size_t item_size)
{
    if (len < *capacity) {
        return items;
    }
    const size_t more = *capacity > 0 ? 2 * *capacity : 4;
    void *block =
        spend(s, (more - *capacity) * item_size) ? pw_realloc(items, more * item_size) : NULL;
    if (block == NULL) {
        s->status = s->status == PAWL_OK ? PAWL_NOMEM : s->status;
        return NULL;
    }
    *capacity = more;
    return block;
}

pw_fold_entry *pw_fold_find(const pw_fold *fold, const char *key)
{
    for (size_t i = 0; i < fold->len; i++) {
        if (pw_view_is((pw_view){fold->entries[i].key.data, fold->entries[i].key.size}, key)) {
            return &fold->entries[i];
        }
    }
    return NULL;
}

static pw_fold_entry *entry_of(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_fold_kind kind)
{
    for (size_t i = 0; i < fold->len; i++) {
        if (pw_view_eq((pw_view){fold->entries[i].key.data, fold->entries[i].key.size}, key)) {
            return &fold->entries[i];
        }
    }
    if (fold->len == PW_LLM_FIELDS_MAX) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "an object of more than %d fields",
                           PW_LLM_FIELDS_MAX);
        return NULL;
    }
    pw_fold_entry *entries = grown(s, fold->entries, fold->len, &fold->capacity, sizeof *entries);
    if (entries == NULL || !spend(s, key.size)) {
        fold->entries = entries != NULL ? entries : fold->entries;
        return NULL;
    }
    fold->entries = entries;
    pw_fold_entry *e = &entries[fold->len];
    *e = (pw_fold_entry){.kind = kind};
    pw_buf_put(&e->key, key.data, key.size);
    fold->len++;
    return settled(s, &e->key) ? e : NULL;
}

bool pw_fold_set(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view value)
{
    pw_fold_entry *e = entry_of(s, fold, key, PW_FOLD_VALUE);
    if (e == NULL || !spend(s, value.size)) {
        return false;
    }
    s->bytes -= e->bytes.size;
    pw_buf_reset(&e->bytes);
    e->kind = PW_FOLD_VALUE;
    pw_buf_put(&e->bytes, value.data, value.size);
    return settled(s, &e->bytes);
}

/* A value that is to grow: a text becomes its bytes, anything else gives way. */
static void become(pw_fold_entry *e, pw_fold_kind kind)
{
    if (e->kind == kind) {
        return;
    }
    const pw_view v = {e->bytes.data, e->bytes.size};
    const pw_view text = e->kind == PW_FOLD_VALUE && pw_view_type(v) == PAWL_STRING
                             ? pw_view_text(v)
                             : (pw_view){NULL, 0};
    if (kind == PW_FOLD_TEXT && text.size > 0) {
        memmove(e->bytes.data, text.data, text.size);
    }
    e->bytes.size = kind == PW_FOLD_TEXT
                        ? text.size
                        : 0; /* the budget keeps what was spent: a bound, not an account */
    e->kind = kind;
    e->len = 0;
}

bool pw_fold_append(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view text)
{
    pw_fold_entry *e = entry_of(s, fold, key, PW_FOLD_TEXT);
    if (e == NULL || !spend(s, text.size)) {
        return false;
    }
    become(e, PW_FOLD_TEXT);
    pw_buf_put(&e->bytes, text.data, text.size);
    return settled(s, &e->bytes);
}

bool pw_fold_push(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view value)
{
    pw_fold_entry *e = entry_of(s, fold, key, PW_FOLD_LIST);
    if (e == NULL || !spend(s, value.size)) {
        return false;
    }
    if (e->kind != PW_FOLD_LIST) {
        PW_CLEANUP(pw_buf_deinit) pw_buf before = PW_BUF_INIT;
        pw_buf_put(&before, e->bytes.data, e->bytes.size);
        const bool list = e->kind == PW_FOLD_VALUE &&
                          pw_view_type((pw_view){before.data, before.size}) == PAWL_ARRAY;
        become(e, PW_FOLD_LIST);
        pw_each each = pw_each_of(list ? (pw_view){before.data, before.size} : (pw_view){NULL, 0});
        while (pw_each_next(&each)) {
            pw_buf_put(&e->bytes, each.value.data, each.value.size);
            e->len++;
        }
    }
    pw_buf_put(&e->bytes, value.data, value.size);
    e->len++;
    return settled(s, &e->bytes);
}

bool pw_fold_merge(pw_llm_stream *s, pw_fold *fold, pw_view key, pw_view value)
{
    const pawl_type type = pw_view_type(value);
    if (type == PAWL_STRING) {
        return pw_fold_append(s, fold, key, pw_view_text(value));
    }
    if (type != PAWL_ARRAY) {
        return type == PAWL_NIL || pw_fold_set(s, fold, key, value);
    }
    pw_each each = pw_each_of(value);
    bool ok = true;
    while (ok && pw_each_next(&each)) {
        ok = pw_fold_push(s, fold, key, each.value);
    }
    return ok;
}

bool pw_fold_merge_all(pw_llm_stream *s, pw_fold *fold, pw_view map, const char *but)
{
    pw_each each = pw_each_of(map);
    bool ok = true;
    while (ok && each.map && pw_each_next(&each)) {
        ok = pw_llm_is_known(each.key, but) || pw_fold_merge(s, fold, each.key, each.value);
    }
    return ok;
}

pw_view pw_fold_text(const pw_fold *fold, const char *key)
{
    const pw_fold_entry *e = pw_fold_find(fold, key);
    if (e == NULL || e->kind == PW_FOLD_LIST) {
        return (pw_view){NULL, 0};
    }
    const pw_view v = {e->bytes.data, e->bytes.size};
    return e->kind == PW_FOLD_TEXT          ? (v.data != NULL ? v : pw_view_of(""))
           : pw_view_type(v) == PAWL_STRING ? pw_view_text(v)
                                            : (pw_view){NULL, 0};
}

void pw_fold_write(const pw_fold *fold, const char *but, pw_buf *out, size_t *ret_pairs)
{
    for (size_t i = 0; i < fold->len; i++) {
        const pw_fold_entry *e = &fold->entries[i];
        if (pw_llm_is_known((pw_view){e->key.data, e->key.size}, but)) {
            continue;
        }
        pw_mp_strn(out, (const char *)e->key.data, e->key.size);
        if (e->kind == PW_FOLD_TEXT) {
            pw_mp_strn(out, (const char *)e->bytes.data, e->bytes.size);
        } else {
            if (e->kind == PW_FOLD_LIST) {
                pw_mp_array(out, e->len);
            }
            pw_buf_put(out, e->bytes.data, e->bytes.size);
        }
        (*ret_pairs)++;
    }
}

void pw_fold_deinit(pw_fold *fold)
{
    for (size_t i = 0; i < fold->len; i++) {
        pw_buf_deinit(&fold->entries[i].key);
        pw_buf_deinit(&fold->entries[i].bytes);
    }
    pw_free(fold->entries);
    *fold = (pw_fold){.entries = NULL};
}

/* ---- lists of maps ---- */

pw_fold *pw_folds_find(pw_folds *folds, int64_t index)
{
    for (
        size_t i = folds->len; i > 0;
        i--) { /* the last is asked for most; and it is the one that counts when two share a number */
        if (folds->items[i - 1].index == index) {
            return &folds->items[i - 1];
        }
    }
    return NULL;
}

pw_fold *pw_folds_add(pw_llm_stream *s, pw_folds *folds, int64_t index)
{
    if (folds->len == PW_LLM_ITEMS_MAX) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "more than %d parts or calls", PW_LLM_ITEMS_MAX);
        return NULL;
    }
    pw_fold *items = grown(s, folds->items, folds->len, &folds->capacity, sizeof *items);
    if (items == NULL) {
        return NULL;
    }
    folds->items = items;
    items[folds->len] = (pw_fold){.index = index};
    return &items[folds->len++];
}

void pw_folds_deinit(pw_folds *folds)
{
    for (size_t i = 0; i < folds->len; i++) {
        pw_fold_deinit(&folds->items[i]);
    }
    pw_free(folds->items);
    *folds = (pw_folds){.items = NULL};
}
