/*
 * gpu_search.c - the search on a device: its list is that of nearest.c, for many queries and rows with ties; then how fast rows are read, for 1 to 64 queries.
 * Compares with no other engine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/half.h"
#include "activities/embed/nearest_gpu.h"
#include "gpu_check.h"
#include "gpu_table.h"
#include "sdk/base/error.h"

#define K 10
#define QUERIES_AT_ONCE 64
#define SEARCH_ROUNDS 21

/* Numbers of about a unit vector's size, drawn by a counter: fast, and the same each time. */
static void fill(uint16_t *rows, size_t len, uint32_t random)
{
    uint16_t halves[4096];
    for (size_t i = 0; i < 4096; i++) {
        random = random * 1664525u + 1013904223u;
        halves[i] = pw_half_of_float(((float)(random >> 8) / (float)(1 << 23) - 1) * 0.08F);
    }
    for (size_t i = 0; i < len; i++) {
        random = random * 1664525u + 1013904223u;
        rows[i] = halves[random >> 20];
    }
}

static size_t count_equal(const pw_near *a, const pw_near *b, size_t len)
{
    size_t equal = 0;
    for (size_t i = 0; i < len; i++) {
        equal += a[i].id == b[i].id && a[i].score >= b[i].score && a[i].score <= b[i].score ? 1 : 0;
    }
    return equal;
}

typedef struct lists {
    pw_near *there, *here;
    size_t *there_len, *here_len;
} lists;

static bool same_lists(gpu_world *w, pw_index_gpu *x, const pw_rows *rows, const pw_search *s)
{
    lists l = {calloc(s->len * K, sizeof(pw_near)), calloc(s->len * K, sizeof(pw_near)),
               calloc(s->len, sizeof(size_t)), calloc(s->len, sizeof(size_t))};
    pawl_error err;
    size_t equal = 0;
    if (l.there != NULL && l.here != NULL && l.there_len != NULL && l.here_len != NULL &&
        gpu_need(pw_nearest_gpu(x, rows, s, l.there, l.there_len, &err), &err) &&
        gpu_need(pw_nearest(rows, s, l.here, l.here_len, &err), &err)) {
        for (size_t i = 0; i < s->len; i++) {
            equal += l.there_len[i] == l.here_len[i] && count_equal(l.there + i * K, l.here + i * K,
                                                                    l.here_len[i]) == l.here_len[i]
                         ? 1
                         : 0;
        }
    }
    free(l.there);
    free(l.here);
    free(l.there_len);
    free(l.here_len);
    if (equal != s->len) {
        (void)printf("%zu of %zu lists are equal\n", equal, s->len);
        w->failed = 1;
    }
    return equal == s->len;
}

void gpu_check_search(gpu_world *w)
{
    const size_t len = w->sizes->check_rows, queries_len = w->sizes->check_queries;
    uint16_t *halves = calloc(len * GPU_WIDTH, sizeof *halves),
             *queries = calloc(queries_len * GPU_WIDTH, sizeof *queries);
    const pw_rows rows = {.halves = halves, .len = len, .width = GPU_WIDTH, .stride = GPU_WIDTH};
    pw_index_gpu *x = NULL;
    pawl_error err;
    bool good = false;
    if (halves != NULL && queries != NULL) {
        fill(halves, len * GPU_WIDTH, 1);
        fill(queries, queries_len * GPU_WIDTH, 2);
        for (size_t i = 5; i < len; i += 5) { /* ties */
            memcpy(halves + i * GPU_WIDTH, halves + i / 3 * GPU_WIDTH, GPU_WIDTH * sizeof *halves);
        }
        good =
            gpu_need(pw_index_gpu_open(&rows, w->library, 0, &x, &err), &err) &&
            same_lists(w, x, &rows, &(pw_search){.queries = queries, .len = queries_len, .k = K});
    }
    gpu_verdict(w, good, "search: queries with the processor's list",
                good ? (double)queries_len : 0);
    pw_index_gpu_close(x);
    free(halves);
    free(queries);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static bool time_queries(pw_index_gpu *x, const pw_rows *rows, const pw_search *s, int rounds,
                         double *ret_share)
{
    double device[SEARCH_ROUNDS], wall[SEARCH_ROUNDS];
    pw_near near[QUERIES_AT_ONCE * K];
    size_t found[QUERIES_AT_ONCE];
    pawl_error err;
    for (int i = rounds > 1 ? -3 : 0; i < rounds; i++) {
        const double begun = gpu_now_s();
        if (!gpu_need(pw_nearest_gpu(x, rows, s, near, found, &err), &err)) {
            return false;
        }
        wall[i < 0 ? 0 : i] = gpu_now_s() - begun;
        device[i < 0 ? 0 : i] = pw_nearest_gpu_ms(x) * 1e-3;
    }
    qsort(device, (size_t)rounds, sizeof *device, by_size);
    qsort(wall, (size_t)rounds, sizeof *wall, by_size);
    *ret_share = (double)rows->len * (double)rows->stride * sizeof *rows->halves /
                 device[rounds / 2] / GPU_BYTES_PEAK;
    gpu_table_search(stdout,
                     &(gpu_search_times){s->len, rows->len, rows->stride * sizeof *rows->halves,
                                         device[rounds / 2], wall[rounds / 2]});
    (void)fflush(stdout);
    return true;
}

void gpu_time_search(gpu_world *w)
{
    const size_t len = w->sizes->search_rows;
    uint16_t *halves = malloc(len * GPU_WIDTH * sizeof *halves),
             *queries = calloc(QUERIES_AT_ONCE * GPU_WIDTH, sizeof *queries);
    const pw_rows rows = {.halves = halves, .len = len, .width = GPU_WIDTH, .stride = GPU_WIDTH};
    pw_index_gpu *x = NULL;
    pawl_error err;
    (void)printf("\nsearch, the %d nearest, rows of %u numbers of 16 bits\n", K, GPU_WIDTH);
    if (halves != NULL && queries != NULL) {
        fill(halves, len * GPU_WIDTH, 3);
        fill(queries, QUERIES_AT_ONCE * GPU_WIDTH, 4);
        bool good = gpu_need(pw_index_gpu_open(&rows, w->library, 0, &x, &err), &err);
        double share = 0, least = 1e9;
        gpu_table_search_head(stdout);
        for (size_t some = 1; some <= QUERIES_AT_ONCE && good; some *= 2) {
            good = time_queries(x, &rows, &(pw_search){.queries = queries, .len = some, .k = K},
                                w->sizes->warm > 0 ? SEARCH_ROUNDS : 1, &share);
            least = share < least ? share : least;
        }
        gpu_goal("search, 1 to 64 queries: least share of the copy's bandwidth", 100 * least, "%",
                 75, false);
        good = good && same_lists(w, x, &rows, &(pw_search){.queries = queries, .len = 4, .k = K});
        gpu_verdict(w, good, "search: 4 queries among all rows with the processor's list",
                    good ? 4 : 0);
    } else {
        (void)printf("not measured: no memory for %zu rows\n", len);
    }
    pw_index_gpu_close(x);
    free(halves);
    free(queries);
}
