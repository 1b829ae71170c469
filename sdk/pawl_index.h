/*
 * pawl_index.h - collections of texts and their vectors, kept in a journal and searched by meaning, by words, or by both. Part of libpawl_embed, which
 * has the model (pawl_embed.h); what is kept belongs to the core and needs no model to be read, checked or backed up.
 *
 *     pawl_index *index = NULL;
 *     pawl_index_options o = {.struct_size = sizeof o, .engine = engine, .embedder = embedder, .model = "all-MiniLM-L6-v2"};
 *     pawl_index_open(&o, &index, &err);
 *     pawl_index_create(index, "docs", NULL, &err);                                       // once; again with the same model is OK
 *     const char *const tags[] = {"food"};
 *     const pawl_index_item items[] = {{.key = "tea", .text = {"How green tea is brewed", 23}, .tags = tags, .tags_len = 1}};
 *     pawl_index_put(index, "docs", items, 1, NULL, &err);                                // on disk when it returns
 *
 *     const pawl_index_query q = {.struct_size = sizeof q, .text = {"a hot drink", 11}, .k = 5};
 *     const pawl_value *found = NULL;
 *     pawl_index_search(index, "docs", &q, scope, &found, &err);                          // [{key: "tea", id: 1, score: 0.0163.., text: ..}]
 *
 * A collection has one model: what its vectors depend on (weights, tokenizer, how many tokens of a text count, pooling, width, how numbers are kept) is
 * stored with it when it is created, and an index with another is refused by name (CONFLICT). A vector is kept as 16-bit numbers.
 *
 * An item stands under its key; putting it again replaces it. It has a text (searched by words, and by meaning through its vector), a workspace, tags,
 * and data of any shape that comes back with it. An item that is put again as it is costs neither an embedding nor a write; one whose vector was given,
 * and that is put again without one, gets its text's.
 *
 * Search is exact: no item that should be among the k is missed, and equal scores come in the order of ids (an id is given when an item is put; a
 * replaced item gets a new one). What is filtered out (workspace, tags) is so before ranking: it takes no place among the k. Words are ranked by BM25 of
 * the collection (SQLite's FTS5, English stems; a query's words are alternatives, whatever signs stand between them). "hybrid" joins both lists by
 * reciprocal ranks: the sum of 1 / (60 + rank) over the lists that an item is in, ranks from 1, of the first max(100, 4 k) of each.
 *
 * A search sees all that was acknowledged before it began, by whatever process. Rows are searched in a copy in memory (2 bytes a number and some 50 an
 * item), made at the first search of a collection and brought up to date by what changed.
 *
 * Crash safe: puts and deletes are in the journal's commits, texts, words and vectors of up to 256 items at a time together; a put of more can end
 * between such pieces, and may be repeated.
 *
 * Replay: workflow code must not call these (they block); it calls the activities "nearest" and "index" of pawl_index_register.
 * Owns: an index is who opened it's; what is found belongs to the scope that was passed.
 * Thread: any, several at once; never the engine's own. Clean as C99 and C++11.
 */
#ifndef PAWL_INDEX_H
#define PAWL_INDEX_H

#include "pawl_embed.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The collections of one journal, with the copies that are searched. */
typedef struct pawl_index pawl_index;

/** One operation of the control protocol, as pawl_request is: a door to a journal whose engine is elsewhere. Called by one thread at a time. */
typedef pawl_status (*pawl_index_ask_fn)(void *user, const char *op, const pawl_value *args,
                                         pawl_scope *scope, const pawl_value **ret_reply,
                                         pawl_error *err);

typedef struct pawl_index_options {
    size_t struct_size;    /**< sizeof(pawl_index_options) */
    pawl_engine *engine;   /**< whose journal it is; or NULL, and ask is the door */
    pawl_index_ask_fn ask; /**< instead of engine */
    void *ask_user;        /**< for ask */
    pawl_embedder
        *embedder; /**< the model; NULL: items and queries bring vectors, or are found by words */
    const char *model; /**< its name for people, at most 100 bytes; NULL: none */
    uint32_t width;    /**< without embedder: numbers of a vector, 1 to 4096 */
    const char *
        identity; /**< without embedder: of what made the vectors, any text of up to 100 bytes; NULL: none */
    /** What searches large collections: as of pawl_embed_options, "off", the path of libpawl_cuda.so, or NULL (PAWL_GPU, else where the loader looks). The
     * list is the same, whatever finds it; a device that fails costs time. */
    const char *gpu;
    uint32_t gpu_rows_min; /**< of how many items on; 0 = 100,000 */
} pawl_index_options;

typedef struct pawl_index_item {
    const char *key; /**< a line of 1 to 200 bytes of UTF-8 */
    pawl_embed_text
        text; /**< UTF-8, at most 65,536 bytes; what the model does not read of it is still found by words */
    const float *
        vector; /**< width numbers; NULL: the text's. Numbers that are none, or a length above 4, are refused */
    const char *workspace;   /**< at most 100 bytes; NULL or "": none */
    const char *const *tags; /**< each of 1 to 100 bytes, no line break */
    size_t tags_len;         /**< at most 64 */
    const pawl_value *data;  /**< kept with it; NULL: nothing. At most 65,536 bytes */
} pawl_index_item;

typedef struct pawl_index_counts {
    uint64_t put;       /**< written */
    uint64_t unchanged; /**< were there already, just so */
    uint64_t truncated; /**< of those put: the model did not read all of their text */
} pawl_index_counts;

/** Mode of a search. DEFAULT: HYBRID if there is a text and something that makes its vector (or the vector itself), else what there is. */
typedef enum pawl_index_mode {
    PAWL_INDEX_DEFAULT = 0,
    PAWL_INDEX_VECTOR = 1,
    PAWL_INDEX_WORDS = 2,
    PAWL_INDEX_HYBRID = 3
} pawl_index_mode;

typedef struct pawl_index_query {
    size_t struct_size;   /**< sizeof(pawl_index_query) */
    pawl_embed_text text; /**< what is looked for; any bytes */
    const float *vector;  /**< instead of the text's: width numbers, as for an item */
    pawl_index_mode mode;
    uint32_t k;              /**< how many at most; 0 = 10, at most 1000 */
    double at_least;         /**< of the scalar product, for what is found by its vector; 0 = any */
    const char *workspace;   /**< only items of this one; NULL: of any */
    bool shared;             /**< with workspace: and items that have none */
    const char *const *tags; /**< only items that have all of these */
    size_t tags_len;         /**< at most 64 */
    bool brief;              /**< without text, workspace, tags and data */
} pawl_index_query;

/** Opens the collections of a journal; nothing is read yet. Owns: the caller, pawl_index_close; the engine or what ask needs, and the embedder, must
 * outlive it. Errors: INVALID (neither engine nor ask, or both; a width, model or identity beyond its bound), NOMEM. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_open(const pawl_index_options *options,
                                                   pawl_index **ret_index, pawl_error *err);
/** Frees the copies. Nobody may be searching; an engine it is registered with must be closed before. Accepts NULL. */
PAWL_API void pawl_index_close(pawl_index *index);

/** Makes a collection with this index's model; one that is there with the same model is OK. name: as an id, 1 to 100 of letters, digits and . _ - : /
 * @ +, not beginning with "pawl.", which are pawl's own; about: a line for people, may be NULL. Errors: CONFLICT (there with another model: says which, and
 * what differs), INVALID, NOSPACE, FULL (1,000 collections), IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_create(pawl_index *index, const char *name,
                                                     const char *about, pawl_error *err);
/** Puts items; those under a key that is there are replaced, the last of several under one key counts. On disk when it returns. ret_counts may be NULL.
 * Errors: NOTFOUND (no such collection), CONFLICT (another model; or it was removed and made again while this put ran: nothing gets into the new one),
 * INVALID (a key, text, tag or vector that may not be so; names it; nothing of the 256 items around it is put), FULL (10,000,000 items), NOSPACE, NOMEM, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_put(pawl_index *index, const char *name,
                                                  const pawl_index_item *items, size_t len,
                                                  pawl_index_counts *ret_counts, pawl_error *err);
/** Deletes items; keys that are not there are no error. Any model. Errors: NOTFOUND, INVALID, NOSPACE, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_delete(pawl_index *index, const char *name,
                                                     const char *const *keys, size_t len,
                                                     pawl_error *err);
/** Removes a collection with all that is in it; its name is free at once. Any model. Errors: NOTFOUND, NOSPACE, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_remove(pawl_index *index, const char *name,
                                                     pawl_error *err);
/**
 * Searches. *ret_found is an array, best first, of
 *
 *     {key, id, score,          score: of the mode: the scalar product (cosine, for vectors of length 1), BM25, or the sum of reciprocal ranks
 *      cosine?, words?,         the product and the BM25 of those found so
 *      text?, workspace?, tags?: [..], data?}
 *
 * Owns: scope. Errors: NOTFOUND, CONFLICT (another model, unless only words are asked for), INVALID (no text and no vector, bad numbers, k, a tag),
 * UNSUPPORTED (words, on an SQLite without FTS5), DAMAGED, NOMEM, IO.
 */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_search(pawl_index *index, const char *name,
                                                     const pawl_index_query *query,
                                                     pawl_scope *scope,
                                                     const pawl_value **ret_found, pawl_error *err);
/** Several searches at once, each with its own mode, filter and k: vectors of their texts are made in one call, and rows are read once for all neighbours
 * that have the same filter. ret_found has an array for each, as of pawl_index_search; all or none. At most 256. Owns: scope. Errors: as
 * pawl_index_search. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_search_all(pawl_index *index, const char *name,
                                                         const pawl_index_query *queries,
                                                         size_t len, pawl_scope *scope,
                                                         const pawl_value **ret_found,
                                                         pawl_error *err);
/** Items as they are kept, by id: {key, id, text?, workspace?, tags?, data?, own?: true when its vector was given}, after that id, at most limit (0 =
 * 1000) of them; all of them in pages. Errors: NOTFOUND, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_items(pawl_index *index, const char *name,
                                                    int64_t after_id, uint32_t limit,
                                                    pawl_scope *scope, const pawl_value **ret_items,
                                                    pawl_error *err);
/** What a collection is, or (name NULL) an array of all, by name: {name, about?, items, model, identity, width, tokens_max, pooling, dtype: "float16",
 * version, created_ms, bytes}; version grows with each change. Errors: NOTFOUND, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_info(pawl_index *index, const char *name,
                                                   pawl_scope *scope, const pawl_value **ret_info,
                                                   pawl_error *err);

/** As pawl_embed_vectors, and the vectors are kept in the collection "pawl.tools", which is made when it is needed: a start embeds nothing anew. An index
 * without embedder leaves `embed` to be set. It must outlive the chooser. */
PAWL_API void pawl_index_vectors(pawl_index *index, struct pawl_choose_vectors *ret_vectors);

/**
 * Registers activities that work on the collections of the engine's own journal, before pawl_resume_all:
 *
 *     "embed"      as pawl_embed_register (with an embedder only)
 *     "nearest"    {collection, query: text | bytes of 16-bit numbers, k?, at_least?, mode?: "vector" | "words" | "hybrid", workspace?, shared?, tags?: [..]}
 *                  -> {found: [as pawl_index_search], collection, model}; without collection as pawl_embed_register's
 *     "index"      {collection, create?: true, put?: [{key, text?, vector?: bytes of 16-bit numbers, workspace?, tags?, data?}], delete?: [keys]}
 *                  -> {put, unchanged, truncated, deleted: of those that were there}; idempotent
 *
 * They fail with BadInput, NotFound, Conflict (another model), NoMemory, Unavailable (tried again). The index must outlive the engine, and be of it.
 * Errors: EXISTS, INVALID (not of this engine), MISUSE, NOMEM.
 */
PAWL_API PAWL_MUST_USE pawl_status pawl_index_register(pawl_engine *engine, pawl_index *index,
                                                       pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
