/*
 * gather.h - searches of several callers in one scan of the rows. Reading the rows is what a search costs: those that come while one is under way wait for it,
 * and are then made together. One that finds nobody at it begins at once: it leads, and nobody waits for an index that is idle.
 */
#ifndef PW_EMBED_GATHER_H
#define PW_EMBED_GATHER_H

#include <pthread.h>

#include "activities/embed/nearest.h"

struct pw_gather_call;

typedef struct pw_gather {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pw_gather_call *calls; /* that are in no scan yet */
    size_t waiting;               /* of them */
    bool led;                     /* a call leads */
} pw_gather;

/** As pw_nearest, over rows that are the same for all who are here at a time. */
typedef pawl_status (*pw_gather_fn)(void *user, const pw_search *search, pw_near *ret_near,
                                    size_t *ret_len, pawl_error *err);

typedef struct pw_gather_scan {
    pw_gather_fn fn;
    void *user;
    size_t stride; /* of a row, and of a query */
} pw_gather_scan;

void pw_gather_init(pw_gather *g);
void pw_gather_deinit(pw_gather *g); /* nobody is in it */
/** scan, of this call or of another that leads, with these queries among others. Lists are those of the call alone. Errors: those of scan. */
pawl_status pw_gather_nearest(pw_gather *g, const pw_gather_scan *scan, const pw_search *search,
                              pw_near *ret_near, size_t *ret_len, pawl_error *err) PAWL_MUST_USE;

#endif
