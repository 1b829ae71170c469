/*
 * index_activity.c - the activities "nearest", on a collection, and "index", as pawl_index.h describes them; "embed" comes along. What they are asked is
 * turned into the calls of pawl_index.h and their statuses into failures. Does not search and does not put by itself.
 */
#include <string.h>

#include "activities/embed/embedder.h"
#include "activities/embed/half.h"
#include "activities/embed/index.h"
#include "sdk/base/error.h"

#define ITEMS_MAX 1024u

static const pawl_value *fail_with(pawl_task *task, const char *type, const char *why, bool again)
{
    return pawl_task_fail_with(task, type, why, NULL, again);
}

static const pawl_value *bad(pawl_task *task, const char *why)
{
    return fail_with(task, "BadInput", why, false);
}

static const pawl_value *failed(pawl_task *task, const pawl_error *err)
{
    static const struct {
        pawl_status status;
        const char *type;
        bool again;
    } types[] = {{PAWL_INVALID, "BadInput", false},    {PAWL_LIMIT, "BadInput", false},
                 {PAWL_NOTFOUND, "NotFound", false},   {PAWL_CONFLICT, "Conflict", false},
                 {PAWL_UNSUPPORTED, "NoModel", false}, {PAWL_FULL, "Full", false},
                 {PAWL_NOMEM, "NoMemory", true}};
    for (size_t i = 0; i < PW_COUNT(types); i++) {
        if (types[i].status == err->status) {
            return fail_with(task, types[i].type, err->message, types[i].again);
        }
    }
    return fail_with(task, "Unavailable", err->message, true);
}

/* Little-endian, as x86 and Arm have them. NULL: it is no vector of that width. */
static const float *vector_of(pawl_scope *scope, const pawl_value *v, uint32_t width)
{
    size_t size = 0;
    const uint8_t *halves = pawl_typeof(v) == PAWL_BYTES ? pawl_data(v, "", &size) : NULL;
    float *vector = halves != NULL && size == width * sizeof(uint16_t)
                        ? pawl_scope_alloc(scope, width * sizeof *vector)
                        : NULL;
    for (size_t i = 0; i < width && vector != NULL; i++) {
        uint16_t half;
        memcpy(&half, halves + i * sizeof half, sizeof half);
        vector[i] = pw_float_of_half(half);
    }
    return vector;
}

static pawl_embed_text text_of(const pawl_value *v)
{
    size_t size = 0;
    const char *text = pawl_typeof(v) == PAWL_STRING ? pawl_data(v, "", &size) : NULL;
    return (pawl_embed_text){text, text != NULL ? size : 0};
}

/* NULL: there is none, or it has a NUL, behind which something would get lost. */
static const char *line_of(const pawl_value *v, const char *key)
{
    const pawl_embed_text text = text_of(pawl_get(v, key));
    return text.data != NULL && memchr(text.data, 0, text.size) == NULL ? pawl_str(v, key, NULL)
                                                                        : NULL;
}

/* False: they are no array of texts. */
static bool tags_of(pawl_scope *scope, const pawl_value *tags, const char *const **ret_tags,
                    size_t *ret_len)
{
    const size_t len = pawl_len(tags);
    *ret_tags = NULL;
    *ret_len = 0;
    if (tags == NULL) {
        return true;
    }
    const char **list = pawl_typeof(tags) == PAWL_ARRAY && len <= PW_INDEX_LABELS_MAX
                            ? pawl_scope_alloc(scope, (len + 1) * sizeof *list)
                            : NULL;
    for (size_t i = 0; i < len && list != NULL; i++) {
        list[i] = line_of(pawl_at(tags, i), "");
        if (list[i] == NULL) {
            return false;
        }
    }
    *ret_tags = list;
    *ret_len = len;
    return list != NULL;
}

/* A text that may be missing. False: it is something else, and must not be taken for missing: a filter would let all through. */
static bool text_maybe(const pawl_value *v, const char *key, const char **ret_text)
{
    *ret_text = line_of(v, key);
    return *ret_text != NULL || pawl_typeof(pawl_get(v, key)) == PAWL_NIL;
}

/* ---- nearest ---- */

static bool mode_of(const pawl_value *input, pawl_index_mode *ret_mode)
{
    static const char *const names[] = {"", "vector", "words", "hybrid"};
    const char *name = pawl_get(input, "mode") != NULL ? pawl_str(input, "mode", "?") : "";
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_mode = (pawl_index_mode)i;
            return true;
        }
    }
    return false;
}

/* NULL, or why not. */
static const char *query_take(pawl_scope *scope, const pawl_value *input, uint32_t width,
                              pawl_index_query *q)
{
    const pawl_value *query = pawl_get(input, "query");
    const int64_t k = pawl_int(input, "k", 10);
    q->struct_size = sizeof *q;
    q->text = text_of(query);
    q->vector = vector_of(scope, query, width);
    if (q->text.size == 0 && q->vector == NULL) {
        return "query is a text, or the bytes of a vector";
    }
    if (k < 1 || k > PW_INDEX_K_MAX || !mode_of(input, &q->mode)) {
        return "k is 1 to 1000, mode is vector, words or hybrid";
    }
    q->k = (uint32_t)k;
    q->at_least = pawl_num(input, "at_least", 0);
    if (!text_maybe(input, "workspace", &q->workspace)) {
        return "workspace is a text";
    }
    q->shared = pawl_bool(input, "shared", false);
    return tags_of(scope, pawl_get(input, "tags"), &q->tags, &q->tags_len)
               ? NULL
               : "tags are an array of texts, at most 64";
}

static const pawl_value *no_model(pawl_task *task)
{
    return fail_with(task, "NoModel",
                     "this engine has no model: give its host one (pawl serve --model NAME)",
                     false);
}

static const pawl_value *nearest(pawl_task *task, const pawl_value *input, void *user)
{
    pawl_index *index = user;
    const char *name = pawl_str(input, "collection", NULL);
    pawl_scope *scope = pawl_task_scope(task);
    const pawl_value *found = NULL;
    pawl_index_query q;
    pawl_error err;
    memset(&q, 0, sizeof q);
    if (name == NULL && pawl_get(input, "among") == NULL) {
        return bad(task, "collection, or among: what is to be searched?");
    }
    if (name == NULL) {
        return index->embedder != NULL ? pw_activity_nearest(task, input, index->embedder)
                                       : no_model(task);
    }
    const char *why = query_take(scope, input, index->width, &q);
    if (why != NULL) {
        return bad(task, why);
    }
    if (pawl_index_search(index, name, &q, scope, &found, &err) != PAWL_OK) {
        return failed(task, &err);
    }
    return pawl_task_build(task, "{found: %p, collection: %s, model: %s}", pawl_v(found), name,
                           index->identity);
}

static const pawl_value *embed(pawl_task *task, const pawl_value *input, void *user)
{
    const pawl_index *index = user;
    return index->embedder != NULL ? pw_activity_embed(task, input, index->embedder)
                                   : no_model(task);
}

/* ---- index ---- */

/* NULL, or why not. */
static const char *item_take(pawl_scope *scope, const pawl_value *v, uint32_t width,
                             pawl_index_item *item)
{
    const pawl_value *vector = pawl_get(v, "vector"), *data = pawl_get(v, "data");
    *item = (pawl_index_item){.key = line_of(v, "key"),
                              .text = text_of(pawl_get(v, "text")),
                              .vector = vector_of(scope, vector, width),
                              .data = data};
    if (item->key == NULL || (pawl_get(v, "text") != NULL && item->text.data == NULL)) {
        return "each item of put has a key and a text";
    }
    if (!text_maybe(v, "workspace", &item->workspace)) {
        return "workspace is a text";
    }
    if (vector != NULL && item->vector == NULL) {
        return "vector is the bytes of 16-bit numbers, as many as the collection's vectors have";
    }
    return tags_of(scope, pawl_get(v, "tags"), &item->tags, &item->tags_len)
               ? NULL
               : "tags are an array of texts, at most 64";
}

static const char *items_take(pawl_scope *scope, const pawl_value *put, uint32_t width,
                              pawl_index_item *items)
{
    const char *why = items != NULL ? NULL : "no memory for so many items";
    for (size_t i = 0; i < pawl_len(put) && why == NULL; i++) {
        why = item_take(scope, pawl_at(put, i), width, &items[i]);
    }
    return why;
}

static pawl_status change(pawl_index *index, const pawl_value *input, const pawl_index_item *items,
                          const char *const *gone, pawl_index_counts *counts, uint64_t *ret_deleted,
                          pawl_error *err)
{
    const char *name = pawl_str(input, "collection", "");
    pawl_status st = pawl_bool(input, "create", false)
                         ? pawl_index_create(index, name, pawl_str(input, "about", NULL), err)
                         : PAWL_OK;
    st = st == PAWL_OK
             ? pawl_index_put(index, name, items, pawl_len(pawl_get(input, "put")), counts, err)
             : st;
    return st == PAWL_OK ? pw_index_delete(index, name, gone, pawl_len(pawl_get(input, "delete")),
                                           ret_deleted, err)
                         : st;
}

static const pawl_value *index_change(pawl_task *task, const pawl_value *input, void *user)
{
    pawl_index *index = user;
    pawl_scope *scope = pawl_task_scope(task);
    const pawl_value *put = pawl_get(input, "put"), *gone = pawl_get(input, "delete");
    const size_t put_len = pawl_len(put), gone_len = pawl_len(gone);
    pawl_index_counts counts = {0, 0, 0};
    uint64_t deleted = 0;
    pawl_error err;
    if ((put != NULL && pawl_typeof(put) != PAWL_ARRAY) ||
        (gone != NULL && pawl_typeof(gone) != PAWL_ARRAY) || put_len > ITEMS_MAX ||
        gone_len > ITEMS_MAX) {
        return bad(task, "put and delete are arrays of at most 1024");
    }
    pawl_index_item *items = pawl_scope_alloc(scope, (put_len + 1) * sizeof *items);
    const char **keys = pawl_scope_alloc(scope, (gone_len + 1) * sizeof *keys);
    const char *why = items_take(scope, put, index->width, items);
    for (size_t i = 0; i < gone_len && why == NULL && keys != NULL; i++) {
        keys[i] = line_of(pawl_at(gone, i), "");
        why = keys[i] != NULL ? NULL : "delete is an array of keys";
    }
    if (why != NULL || keys == NULL) {
        return bad(task, why != NULL ? why : "no memory for so many keys");
    }
    if (change(index, input, items, keys, &counts, &deleted, &err) != PAWL_OK) {
        return failed(task, &err);
    }
    return pawl_task_build(task, "{put: %llu, unchanged: %llu, truncated: %llu, deleted: %llu}",
                           (unsigned long long)counts.put, (unsigned long long)counts.unchanged,
                           (unsigned long long)counts.truncated, (unsigned long long)deleted);
}

pawl_status pawl_index_register(pawl_engine *engine, pawl_index *index, pawl_error *err)
{
    pawl_activity_options o = {.struct_size = sizeof o, .effect = PAWL_EFFECT_PURE, .user = index};
    if (index->engine != engine) {
        return pw_err(err, PAWL_INVALID, "the index is of another engine");
    }
    o.description = "vectors of texts";
    pawl_status st = pawl_register_activity(engine, "embed", embed, &o, err);
    o.description = "what of a collection, or of a list, is nearest in meaning";
    st = st == PAWL_OK ? pawl_register_activity(engine, "nearest", nearest, &o, err) : st;
    o.description = "texts put into a collection, and deleted from it";
    o.effect = PAWL_EFFECT_IDEMPOTENT;
    return st == PAWL_OK ? pawl_register_activity(engine, "index", index_change, &o, err) : st;
}
