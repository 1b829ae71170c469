/*
 * gather.c - the queue before a scan, as batch.c is before an encoder: a call's record lies on its thread's stack. A scan's k is the largest of its calls;
 * lists are exact, so that the first of them are the lists of a smaller k. Does not scan, and does not know what a filter is.
 */
#include "activities/embed/gather.h"

#include <string.h>
#include <utlist.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define QUERIES_MAX 128u /* of one scan: so many a core keeps in its cache */

typedef struct pw_gather_call {
    const pw_gather_scan *scan;
    const pw_search *search;
    pw_near *near;
    size_t *len;
    bool done;
    pawl_status status;
    pawl_error err;
    struct pw_gather_call *prev, *next;
} call;

void pw_gather_init(pw_gather *g)
{
    *g = (pw_gather){.calls = NULL};
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->changed, NULL);
}

void pw_gather_deinit(pw_gather *g)
{
    (void)pthread_cond_destroy(&g->changed);
    (void)pthread_mutex_destroy(&g->lock);
}

/* Calls that go together, in the order in which they came. Under the lock. */
static call *take_some(pw_gather *g)
{
    call *some = NULL, *c, *next;
    size_t queries = 0;
    DL_FOREACH_SAFE (g->calls, c, next) {
        if (some != NULL && queries + c->search->len > QUERIES_MAX) {
            break;
        }
        queries += c->search->len;
        g->waiting--;
        DL_DELETE(g->calls, c);
        DL_APPEND(some, c);
    }
    return some;
}

static void scan_alone(call *c)
{
    c->status = c->scan->fn(c->scan->user, c->search, c->near, c->len, &c->err);
}

/* What was found for all of them, to each. */
static void hand_out(call *some, const pw_search *all, const pw_near *near, const size_t *len)
{
    size_t at = 0;
    call *c;
    DL_FOREACH (some, c) {
        for (size_t q = 0; q < c->search->len; q++, at++) {
            const size_t k = c->search->k;
            c->len[q] = len[at] < k ? len[at] : k;
            memcpy(c->near + q * k, near + at * all->k, c->len[q] * sizeof *near);
        }
    }
}

/* False: no memory to do it together. */
static bool scan_together(call *some)
{
    pw_search all = *some->search;
    size_t at = 0;
    call *c;
    all.len = 0;
    DL_FOREACH (some, c) {
        all.len += c->search->len;
        all.k = c->search->k > all.k ? c->search->k : all.k;
    }
    uint16_t *queries = pw_malloc(all.len * some->scan->stride * sizeof *queries);
    pw_near *near = pw_malloc(all.len * all.k * sizeof *near);
    size_t *len = pw_calloc(all.len, sizeof *len);
    const bool room = queries != NULL && near != NULL && len != NULL;
    DL_FOREACH (some, c) {
        const size_t size = c->search->len * c->scan->stride;
        if (room) {
            memcpy(queries + at, c->search->queries, size * sizeof *queries);
        }
        at += size;
    }
    all.queries = queries;
    pawl_error err = {.status = PAWL_OK};
    const pawl_status st =
        room ? some->scan->fn(some->scan->user, &all, near, len, &err) : PAWL_NOMEM;
    if (st == PAWL_OK) {
        hand_out(some, &all, near, len);
    }
    DL_FOREACH (some, c) {
        c->status = st;
        c->err = err;
    }
    pw_free(queries);
    pw_free(near);
    pw_free(len);
    return st != PAWL_NOMEM;
}

/* As leader, under the lock, which is let go while rows are read. */
static void run_some(pw_gather *g)
{
    call *some = take_some(g), *c, *next;
    (void)pthread_mutex_unlock(&g->lock);
    if (some == NULL || some->next == NULL || !scan_together(some)) {
        DL_FOREACH (some, c) {
            scan_alone(c);
        }
    }
    (void)pthread_mutex_lock(&g->lock);
    DL_FOREACH_SAFE (some, c, next) { /* one that is told may be gone */
        c->done = true;
    }
}

pawl_status pw_gather_nearest(pw_gather *g, const pw_gather_scan *scan, const pw_search *search,
                              pw_near *ret_near, size_t *ret_len, pawl_error *err)
{
    call c = {.scan = scan, .search = search, .near = ret_near, .len = ret_len, .status = PAWL_OK};
    (void)pthread_mutex_lock(&g->lock);
    DL_APPEND(g->calls, &c);
    g->waiting++;
    while (!c.done) {
        if (g->led) {
            (void)pthread_cond_wait(&g->changed, &g->lock);
        } else {
            g->led = true;
            run_some(g);
            g->led = false;
            (void)pthread_cond_broadcast(&g->changed);
        }
    }
    (void)pthread_mutex_unlock(&g->lock);
    if (c.status != PAWL_OK && err != NULL) {
        *err = c.err;
    }
    return c.status;
}
