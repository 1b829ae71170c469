/*
 * index.h - what an opened index is: a door to a journal, a model, and a copy of each collection that has been searched.
 */
#ifndef PW_EMBED_INDEX_H
#define PW_EMBED_INDEX_H

#include "activities/embed/copy_device.h"
#include "sdk/pawl_index.h"

#define PW_INDEX_TEXT_NAME 101 /* bytes of a name, and its end */

/* A collection's copy. They stay until the index is closed. */
typedef struct pw_held {
    struct pw_held *next;
    pw_copy copy;
    char name[PW_INDEX_TEXT_NAME];
} pw_held;

struct pawl_index {
    pawl_engine *engine;
    pawl_index_ask_fn ask;
    void *ask_user;
    pawl_embedder *embedder;
    uint32_t width;
    uint32_t tokens_max; /* 0: not known */
    unsigned threads;    /* that one search uses at most */
    char model[PW_INDEX_TEXT_NAME];
    char identity[PW_INDEX_TEXT_NAME];
    char pooling[16];
    pw_device_wish device;
    char *library;             /* its path; NULL: where the loader looks */
    pthread_mutex_t ask_lock;  /* around ask */
    pthread_mutex_t held_lock; /* around the list */
    pw_held *held;
};

/** Bounds that pawl_index.h names, as the core has them. */
enum {
    PW_INDEX_QUERIES_MAX = 256,
    PW_INDEX_ITEMS_AT_ONCE = 256,
    PW_INDEX_K_MAX = 1000,
    PW_INDEX_LABELS_MAX = 64
};

pawl_status pw_index_ask(pawl_index *index, const char *op, const pawl_value *args,
                         pawl_scope *scope, const pawl_value **ret_reply,
                         pawl_error *err) PAWL_MUST_USE;
/** What a collection is now. Errors: NOTFOUND. */
pawl_status pw_index_about(pawl_index *index, const char *name, pawl_scope *scope,
                           const pawl_value **ret_about, pawl_error *err) PAWL_MUST_USE;
/** Are its vectors made as this index makes them? Errors: CONFLICT, saying what differs. */
pawl_status pw_index_same(const pawl_index *index, const char *name, const pawl_value *about,
                          pawl_error *err) PAWL_MUST_USE;
/** Its copy. NULL = no memory. Owns: the index. */
pw_copy *pw_index_copy(pawl_index *index, const char *name);
/** The collection is gone: so are its rows in memory. */
void pw_index_forget(pawl_index *index, const char *name);
/** As pawl_index_create, which refuses names that begin so: those of collections that are kept here, and may go at any time. */
#define PW_INDEX_OURS "pawl."
pawl_status pw_index_create(pawl_index *index, const char *name, const char *about,
                            pawl_error *err) PAWL_MUST_USE;
/** Vectors of texts that are looked for. Errors: UNSUPPORTED (no model), NOMEM. */
pawl_status pw_index_embed(const pawl_index *index, const pawl_embed_text *texts, size_t len,
                           float *ret_vectors, pawl_error *err) PAWL_MUST_USE;
/** As pawl_index_delete, and how many were there. */
pawl_status pw_index_delete(pawl_index *index, const char *name, const char *const *keys,
                            size_t len, uint64_t *ret_deleted, pawl_error *err) PAWL_MUST_USE;

#endif
