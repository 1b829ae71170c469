/*
 * nearest_time.c - the speed of exact search: nearest_time ROWS WIDTH [QUERIES [ROUNDS]]. Beside it, by turns, what as many threads take to read the same
 * memory, once as the processor fetches it and once fetched ahead as the search does: best and median of each. One thread in its CPU time, then two by
 * the clock. Judges nothing.
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
#define AHEAD 2048u /* numbers: as far as the search fetches */
#define ROUNDS 35u
#define ROUNDS_MAX 1001u
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
    size_t
        ahead; /* so many numbers ahead memory is fetched; 0: what is read is asked for once more */
    uint64_t kept; /* so that nothing is left out */
} reading;

static void *read_all(void *arg)
{
    reading *r = arg;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i + 32 <= r->len; i += 32) {
        uint64_t words[8];
        __builtin_prefetch(r->halves + i + r->ahead, 0, 0);
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
static double read_s(const uint16_t *halves, size_t len, unsigned threads, size_t ahead)
{
    const clockid_t clock = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    static reading parts[THREADS_MAX];
    pthread_t others[THREADS_MAX];
    const double begun = now_s(clock);
    for (unsigned i = 0; i < threads; i++) {
        const size_t from = len / threads * i / 32 * 32;
        const size_t end = i + 1 < threads ? len / threads * (i + 1) / 32 * 32 : len;
        parts[i].halves = halves + from;
        parts[i].len = end - from;
        parts[i].ahead = ahead;
        if (i > 0 && pthread_create(&others[i], NULL, read_all, &parts[i]) != 0) {
            (void)fprintf(stderr, "no thread\n");
            exit(1);
        }
    }
    (void)read_all(&parts[0]);
    for (unsigned i = 1; i < threads; i++) {
        (void)pthread_join(others[i], NULL);
    }
    return now_s(clock) - begun;
}

static double search_s(const pw_rows *rows, const uint16_t *queries, size_t len, unsigned threads)
{
    const clockid_t clock = threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID;
    static pw_near near[QUERIES_MAX * K];
    static size_t found[QUERIES_MAX];
    pawl_error err;
    const double begun = now_s(clock);
    if (pw_nearest(rows, &(pw_search){queries, len, K, NULL, threads}, near, found, &err) !=
        PAWL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return now_s(clock) - begun;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Reading and searching by turns, so that both have the same neighbours. */
static void compare(const pw_rows *rows, size_t queries, unsigned threads, size_t rounds)
{
    static double read[ROUNDS_MAX], fetched[ROUNDS_MAX], search[ROUNDS_MAX];
    const size_t len = rows->len * rows->stride;
    for (size_t i = 0; i < rounds; i++) {
        read[i] = read_s(rows->halves, len, threads, 0);
        search[i] = search_s(rows, rows->halves + len, queries, threads);
        fetched[i] = read_s(rows->halves, len, threads, AHEAD);
    }
    double *const all[] = {read, fetched, search};
    for (size_t i = 0; i < PW_COUNT(all); i++) {
        qsort(all[i], rounds, sizeof *all[i], by_size);
    }
    (void)printf("%u thread%s, %3zu queries:", threads, threads > 1 ? "s" : " ", queries);
    for (size_t i = 0; i < 2; i++) {
        const size_t at = i == 0 ? 0 : rounds / 2;
        (void)printf("%s %.2f ms, %.1f queries/s, %.0f %% of reading (%.2f ms), %.0f %% of reading "
                     "that fetches ahead (%.2f ms)",
                     i == 0 ? " best" : "; median", search[at] * 1e3, (double)queries / search[at],
                     100 * read[at] / search[at], read[at] * 1e3, 100 * fetched[at] / search[at],
                     fetched[at] * 1e3);
    }
    (void)printf("\n");
}

int main(int argc, char **argv)
{
    const size_t len = argc >= 3 ? (size_t)strtoull(argv[1], NULL, 10) : 0;
    const size_t width = argc >= 3 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
    const size_t asked = argc >= 4 ? (size_t)strtoull(argv[3], NULL, 10) : QUERIES_MAX;
    const size_t most = asked < QUERIES_MAX ? asked : QUERIES_MAX;
    const size_t given = argc == 5 ? (size_t)strtoull(argv[4], NULL, 10) : ROUNDS;
    const size_t rounds = given < 1 ? 1 : given < ROUNDS_MAX ? given : ROUNDS_MAX;
    const size_t stride = pw_row_stride(width), all = (len + QUERIES_MAX) * stride;
    uint16_t *halves = width > 0 ? calloc(all, sizeof *halves) : NULL;
    if (halves == NULL) {
        (void)fprintf(stderr, "nearest_time ROWS WIDTH [QUERIES [ROUNDS]]\n");
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
    for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
        for (size_t queries = 1; queries <= most; queries *= 2) {
            compare(&rows, queries, threads, queries == 1 ? rounds : (rounds + 4) / 5);
        }
    }
    free(halves);
    return 0;
}
