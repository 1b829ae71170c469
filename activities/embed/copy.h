/*
 * copy.h - a collection's vectors in memory, to be scanned: rows by id, and for each workspace and tag the rows that have it. Brought up to date by what
 * changed since (index_changes of the control protocol), never written back.
 *
 *   ids       3    4    7    8            an item that is put again gets a higher id, so that rows are only added at the end
 *   alive     1    0    1    1            4 is gone; when a quarter of the rows are, they are closed up
 *   "tfood" -> rows 0, 2
 *
 * Thread: several may search at a time, between pw_copy_hold and pw_copy_let; bringing it up to date waits for them.
 */
#ifndef PW_EMBED_COPY_H
#define PW_EMBED_COPY_H

#include <pthread.h>

#include "activities/embed/gather.h"
#include "sdk/base/mp.h"

struct pw_label;

typedef struct pw_copy {
    pthread_rwlock_t lock;
    int64_t number;  /* of the collection; 0: nothing is in it yet */
    int64_t version; /* all of it up to this one */
    int64_t last;    /* the highest id that it has had */
    size_t width, stride;
    uint16_t *halves; /* [len][stride] */
    int64_t *ids;     /* rising */
    uint64_t *alive;  /* a bit for each row */
    size_t len, cap, dead;
    struct pw_label *labels;
    pw_gather gather;            /* searches without a filter, of those who hold it */
    pthread_mutex_t device_lock; /* around the rest (copy_device.h) */
    struct pw_index_gpu *device; /* the rows there; NULL: they are not */
    size_t searches;             /* since the rows changed */
    bool device_failed;          /* or there is none: it is not asked again */
} pw_copy;

/** Asks for what changed: index_changes. */
typedef pawl_status (*pw_copy_ask_fn)(void *ctx, const pawl_value *args, pawl_scope *scope,
                                      const pawl_value **ret_reply, pawl_error *err);

void pw_copy_init(pw_copy *c);
void pw_copy_deinit(pw_copy *c);
/** Held for reading, and at least at that version of that collection. Errors: those of ask (NOTFOUND: it is gone), NOMEM; then it is not held. */
pawl_status pw_copy_hold(pw_copy *c, int64_t number, int64_t version, pw_copy_ask_fn ask, void *ctx,
                         pawl_error *err) PAWL_MUST_USE;
void pw_copy_let(pw_copy *c);
/** What it has in memory is freed, once nobody holds it; the next pw_copy_hold reads the collection anew. */
void pw_copy_forget(pw_copy *c);

typedef struct pw_wish {
    const char *workspace; /* NULL: any */
    bool shared;           /* or of none */
    const char *const *tags;
    size_t tags_len;
} pw_wish;
/** Which rows are to be looked at, a bit for each: *ret_wanted NULL = all. Owns: the caller, pw_free. Errors: NOMEM. */
pawl_status pw_copy_wanted(const pw_copy *c, const pw_wish *wish, uint64_t **ret_wanted,
                           pawl_error *err) PAWL_MUST_USE;

#endif
