/*
 * embed_kept.c - vectors of a chooser kept in a collection of the journal, so that a start embeds nothing anew: "pawl.tools", key = digest of the text. It can
 * be searched as any other, and be removed at any time: what is missing is made again. When a tool changes, or a server has others, its text is another, and
 * so is its key: what is kept is never out of date, only unused.
 *
 * Does not fail: what cannot be read or written is made, or made again. A collection of another model, or one that has grown beyond bounds, is begun
 * anew, if it is ours [V20]: one that somebody else has made under this name is neither read nor touched, and nothing is kept.
 */
#include "activities/embed/half.h"
#include "activities/embed/index.h"
#include "sdk/base/arena.h"
#include "sdk/pawl_choose.h"

#define NAME "pawl.tools"
#define ABOUT "what agents and searches choose among; made again when it is missing"
#define ITEMS_MAX 20000 /* beyond it most are of tools that are no longer there */

/* ---- read ---- */

static bool row_take(const pawl_value *item, size_t width, float *ret_vector)
{
    size_t size = 0;
    const uint16_t *row = pawl_data(item, "row", &size);
    if (row == NULL || size < width * sizeof *row) {
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        uint16_t half;
        memcpy(&half, (const char *)row + i * sizeof half, sizeof half);
        ret_vector[i] = pw_float_of_half(half);
    }
    return true;
}

/* Items come in the order of ids: their keys say which they are. */
static void rows_take(const pawl_index *index, const pawl_value *items, const char *const *keys,
                      size_t len, float *ret_vectors, bool *ret_known)
{
    for (size_t n = 0; n < pawl_len(items); n++) {
        const pawl_value *item = pawl_at(items, n);
        for (size_t i = 0; i < len; i++) {
            if (!ret_known[i] && pawl_is(item, "key", keys[i])) {
                ret_known[i] = row_take(item, index->width, ret_vectors + i * index->width);
                break;
            }
        }
    }
}

static void recall_some(pawl_index *index, pawl_scope *scope, const char *const *keys, size_t len,
                        float *ret_vectors, bool *ret_known)
{
    const pawl_value *list[PW_INDEX_ITEMS_AT_ONCE], *items = NULL;
    pawl_error err;
    for (size_t i = 0; i < len; i++) {
        list[i] = pawl_make_str(scope, keys[i]);
    }
    const pawl_value *args =
        pawl_build(scope, "{collection: %s, keys: %p, rows: %p}", NAME,
                   pawl_v(pawl_make_array(scope, list, len)), pawl_v(pawl_make_bool(scope, true)));
    if (pw_index_ask(index, "index_items", args, scope, &items, &err) == PAWL_OK) {
        rows_take(index, items, keys, len, ret_vectors, ret_known);
    }
}

typedef enum standing { MISSING, FOREIGN, STALE, OURS } standing;

/* [V11] [V20] */
static standing look(pawl_index *index, pawl_scope *scope, int64_t *ret_items)
{
    const pawl_value *about = NULL;
    pawl_error err;
    const pawl_status status = pw_index_about(index, NAME, scope, &about, &err);
    *ret_items = pawl_int(about, "items", 0);
    return status == PAWL_NOTFOUND                                ? MISSING
           : status != PAWL_OK || !pawl_is(about, "about", ABOUT) ? FOREIGN
           : pw_index_same(index, NAME, about, &err) != PAWL_OK   ? STALE
                                                                  : OURS;
}

static void recall(void *store, const char *const *keys, size_t len, float *ret_vectors,
                   bool *ret_known)
{
    pawl_index *index = store;
    pawl_scope *scope = pawl_scope_new();
    int64_t items = 0;
    if (scope != NULL && look(index, scope, &items) == OURS) {
        for (size_t at = 0; at < len; at += PW_INDEX_ITEMS_AT_ONCE) {
            const size_t some =
                len - at < PW_INDEX_ITEMS_AT_ONCE ? len - at : PW_INDEX_ITEMS_AT_ONCE;
            recall_some(index, scope, keys + at, some, ret_vectors + at * index->width,
                        ret_known + at);
        }
    }
    pawl_scope_free(scope);
}

/* ---- write ---- */

static bool make_room(pawl_index *index, pawl_scope *scope)
{
    int64_t items = 0;
    pawl_error err;
    const standing now = look(index, scope, &items);
    if (now == STALE || (now == OURS && items > ITEMS_MAX)) {
        (void)(pawl_index_remove(index, NAME, &err) == PAWL_OK);
    } else if (now != MISSING) {
        return now == OURS;
    }
    return pw_index_create(index, NAME, ABOUT, &err) == PAWL_OK;
}

static void keep(void *store, const char *const *keys, const pawl_choose_text *texts,
                 const float *vectors, size_t len)
{
    pawl_index *index = store;
    pawl_scope *scope = pawl_scope_new();
    pawl_index_item *items = scope != NULL ? pw_alloc(scope, (len + 1) * sizeof *items) : NULL;
    pawl_error err;
    for (size_t i = 0; i < len && items != NULL; i++) {
        items[i] = (pawl_index_item){.key = keys[i],
                                     .text = {texts[i].data, texts[i].size},
                                     .vector = vectors + i * index->width};
    }
    if (items != NULL && make_room(index, scope)) {
        (void)(pawl_index_put(index, NAME, items, len, NULL, &err) == PAWL_OK);
    }
    pawl_scope_free(scope);
}

void pawl_index_vectors(pawl_index *index, struct pawl_choose_vectors *ret_vectors)
{
    *ret_vectors = (pawl_choose_vectors){
        .struct_size = sizeof *ret_vectors, .width = index->width, .identity = index->identity};
    if (index->embedder != NULL) {
        pawl_embed_vectors(index->embedder, ret_vectors);
    }
    ret_vectors->recall = recall;
    ret_vectors->keep = keep;
    ret_vectors->store = index;
}
