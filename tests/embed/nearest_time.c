/*
 * nearest_time.c - the speed of exact search: nearest_time ROWS WIDTH. Beside it, what as many threads take to read the same memory. One thread in its
 * CPU time, then two by the clock. Judges nothing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/half.h"
#include "activities/embed/nearest.h"
#include "sdk/base/error.h"

#define K 10
#define QUERIES_MAX 256u
#define ROUNDS 7
#define THREADS_MAX 2u

static double now_s(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

typedef struct reading {
    const uint16_t *halves;
    size_t len;
    uint64_t kept; /* so that nothing is left out */
} reading;

static void *read_all(void *arg)
{
    reading *r = arg;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 32 <= r->len; i += 32) {
        uint64_t words[8];
        memcpy(words, r->halves + i, sizeof words);
        for (size_t k = 0; k < 8; k++) {
            sums[k] += words[k];
        }
    }
    for (size_t k = 0; k < 8; k++) {
        r->kept += sums[k];
    }
    return NULL;
}

/* The same memory by so many threads, each a part of it, as a search does. */
static double read_s(const uint16_t *halves, size_t len, unsigned threads)
{
    const clockid_t clock = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    static reading parts[THREADS_MAX];
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t others[THREADS_MAX];
        const double begun = now_s(clock);
        for (unsigned i = 0; i < threads; i++) {
            const size_t from = len / threads * i / 32 * 32;
            const size_t end = i + 1 < threads ? len / threads * (i + 1) / 32 * 32 : len;
            parts[i].halves = halves + from;
            parts[i].len = end - from;
            if (i > 0 && pthread_create(&others[i], NULL, read_all, &parts[i]) != 0) {
                (void)fprintf(stderr, "no thread\n");
                exit(1);
            }
        }
        (void)read_all(&parts[0]);
        for (unsigned i = 1; i < threads; i++) {
            (void)pthread_join(others[i], NULL);
        }
        const double spent = now_s(clock) - begun;
        best = spent < best ? spent : best;
    }
    return best;
}

static double search_s(const pw_rows *rows, const uint16_t *queries, size_t len, unsigned threads)
{
    const clockid_t clock = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    static pw_near near[QUERIES_MAX * K];
    static size_t found[QUERIES_MAX];
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        pawl_error err;
        const double begun = now_s(clock);
        if (pw_nearest(rows, &(pw_search){queries, len, K, NULL, threads}, near, found, &err) !=
            PAWL_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        const double spent = now_s(clock) - begun;
        best = spent < best ? spent : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    const size_t len = argc == 3 ? (size_t)strtoull(argv[1], NULL, 10) : 0;
    const size_t width = argc == 3 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
    const size_t stride = pw_row_stride(width), all = (len + QUERIES_MAX) * stride;
    uint16_t *halves = width > 0 ? calloc(all, sizeof *halves) : NULL;
    if (halves == NULL) {
        (void)fprintf(stderr, "nearest_time ROWS WIDTH\n");
        return 1;
    }
    uint32_t random = 1;
    for (size_t i = 0; i < all; i++) { /* of length about 1 */
        random = random * 1664525u + 1013904223u;
        halves[i] = i % stride < width
                        ? pw_half_of_float(((float)(random >> 8) / (float)(1 << 23) - 1) * 1.7f /
                                           (float)(width / 16 + 1))
                        : 0;
    }
    const pw_rows rows = {.halves = halves, .len = len, .width = width, .stride = stride};
    const double bytes = (double)(len * stride) * 2e-9;
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
        const double read = read_s(halves, len * stride, threads);
        (void)printf("%u thread%s, reading alone: %.2f ms, %.1f GB/s\n", threads,
                     threads > 1 ? "s" : " ", read * 1e3, bytes / read);
        for (size_t queries = 1; queries <= QUERIES_MAX; queries *= 2) {
            const double spent = search_s(&rows, halves + len * stride, queries, threads);
            (void)printf(
                "%u thread%s, %3zu queries: %8.2f ms, %6.1f GB/s, %9.1f queries/s, %.0f %% of reading alone\n",
                threads, threads > 1 ? "s" : " ", queries, spent * 1e3, bytes / spent,
                (double)queries / spent, 100 * read / spent);
        }
    }
    free(halves);
    return 0;
}
