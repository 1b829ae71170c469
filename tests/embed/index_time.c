/*
 * index_time.c - what collections cost: index_time ITEMS WIDTH FILE. Items of random vectors and of words drawn from 20,000 are put into a journal at
 * FILE, which must not be there yet; then the copy is made, and searches are timed, each by the clock. Judges nothing.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sdk/pawl_index.h"

#define AT_ONCE 256
#define WORDS 12
#define SEARCHES 21
#define CALLERS_MAX 16u

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void random_vector(uint32_t *seed, float *v, size_t width)
{
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        v[i] = (float)next(seed) / (float)(1 << 23) - 1;
        square += (double)v[i] * (double)v[i];
    }
    for (size_t i = 0; i < width; i++) {
        v[i] = (float)((double)v[i] / sqrt(square));
    }
}

static void random_words(uint32_t *seed, char text[WORDS * 12], size_t words)
{
    size_t size = 0;
    for (size_t i = 0; i < words; i++) { /* some far more often than others */
        const uint32_t n = next(seed) % 20000 * (next(seed) % 20000) / 20000;
        size += (size_t)snprintf(text + size, WORDS * 12 - size, "%sword%u", i > 0 ? " " : "",
                                 (unsigned)n);
    }
}

static void must(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        (void)fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

static void put_all(pawl_index *index, size_t items, size_t width)
{
    static char keys[AT_ONCE][24], texts[AT_ONCE][WORDS * 12];
    static const char *const tags[] = {"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"};
    pawl_index_item list[AT_ONCE];
    float *vectors = calloc(AT_ONCE * width, sizeof *vectors);
    uint32_t seed = 1;
    pawl_error err;
    for (size_t at = 0; at < items && vectors != NULL; at += AT_ONCE) {
        const size_t len = items - at < AT_ONCE ? items - at : AT_ONCE;
        for (size_t i = 0; i < len; i++) {
            (void)snprintf(keys[i], sizeof keys[i], "k%zu", at + i);
            random_words(&seed, texts[i], WORDS);
            random_vector(&seed, vectors + i * width, width);
            list[i] = (pawl_index_item){.key = keys[i],
                                        .text = {texts[i], strlen(texts[i])},
                                        .vector = vectors + i * width,
                                        .tags = &tags[(at + i) % 10],
                                        .tags_len = 1};
        }
        must(pawl_index_put(index, "c", list, len, NULL, &err), &err);
    }
    free(vectors);
}

static int by_time(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void time_searches(pawl_index *index, const char *what, pawl_index_query *q, size_t width)
{
    double spent[SEARCHES];
    char text[WORDS * 12];
    float *vector = calloc(width, sizeof *vector);
    uint32_t seed = 7;
    pawl_error err;
    for (size_t i = 0; i < SEARCHES && vector != NULL; i++) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *found = NULL;
        random_vector(&seed, vector, width);
        random_words(&seed, text, 4);
        q->vector = vector;
        q->text = (pawl_embed_text){text, strlen(text)};
        const double begun = now_s();
        must(pawl_index_search(index, "c", q, scope, &found, &err), &err);
        spent[i] = now_s() - begun;
        pawl_scope_free(scope);
    }
    qsort(spent, SEARCHES, sizeof *spent, by_time);
    (void)printf("%-34s %9.2f ms in the middle, %9.2f ms at best\n", what,
                 spent[SEARCHES / 2] * 1e3, spent[0] * 1e3);
    free(vector);
}

/* ---- several callers ---- */

typedef struct caller {
    pawl_index *index;
    size_t width;
    uint32_t seed;
    pthread_t thread;
} caller;

static void *search_all(void *arg)
{
    caller *c = arg;
    float *vector = calloc(c->width, sizeof *vector);
    pawl_error err;
    for (size_t i = 0; i < SEARCHES && vector != NULL; i++) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *found = NULL;
        random_vector(&c->seed, vector, c->width);
        const pawl_index_query q = {
            .struct_size = sizeof q, .vector = vector, .mode = PAWL_INDEX_VECTOR, .brief = true};
        must(pawl_index_search(c->index, "c", &q, scope, &found, &err), &err);
        pawl_scope_free(scope);
    }
    free(vector);
    return NULL;
}

static double cpu_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void time_callers(pawl_index *index, size_t width, size_t len)
{
    caller callers[CALLERS_MAX];
    const double begun = now_s(), cpu = cpu_s();
    for (size_t i = 0; i < len; i++) {
        callers[i] = (caller){index, width, (uint32_t)(i + 1), 0};
        if (pthread_create(&callers[i].thread, NULL, search_all, &callers[i]) != 0) {
            exit(1);
        }
    }
    for (size_t i = 0; i < len; i++) {
        (void)pthread_join(callers[i].thread, NULL);
    }
    const double searches = (double)(len * SEARCHES);
    (void)printf("by vector, %2zu callers at once       %9.1f searches/s, %9.2f CPU-ms each\n", len,
                 searches / (now_s() - begun), (cpu_s() - cpu) / searches * 1e3);
}

int main(int argc, char **argv)
{
    static const char *const tag[] = {"t3"};
    const size_t items = argc == 4 ? (size_t)strtoull(argv[1], NULL, 10) : 0;
    const size_t width = argc == 4 ? (size_t)strtoull(argv[2], NULL, 10) : 0;
    pawl_engine *engine = NULL;
    pawl_index *index = NULL;
    pawl_error err = {0};
    if (items == 0 || width == 0) {
        (void)fprintf(stderr, "index_time ITEMS WIDTH FILE\n");
        return 1;
    }
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    must(pawl_open(argv[3], &o, &engine, &err), &err);
    const pawl_index_options io = {
        .struct_size = sizeof io, .engine = engine, .width = (uint32_t)width};
    must(pawl_index_open(&io, &index, &err), &err);
    must(pawl_index_create(index, "c", NULL, &err), &err);
    double begun = now_s();
    put_all(index, items, width);
    (void)printf("%-34s %9.0f items/s\n", "put, vectors given, 256 at a time",
                 (double)items / (now_s() - begun));
    pawl_index_query q = {.struct_size = sizeof q, .mode = PAWL_INDEX_VECTOR};
    float *first = calloc(width, sizeof *first);
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *found = NULL;
    q.vector = first;
    begun = now_s();
    must(pawl_index_search(index, "c", &q, scope, &found, &err), &err);
    (void)printf("%-34s %9.0f items/s\n", "the first search: making the copy",
                 (double)items / (now_s() - begun));
    time_searches(index, "by vector", &q, width);
    q.tags = tag;
    q.tags_len = 1;
    time_searches(index, "by vector, one tag in ten", &q, width);
    q.tags_len = 0;
    q.mode = PAWL_INDEX_WORDS;
    time_searches(index, "by four words", &q, width);
    q.mode = PAWL_INDEX_HYBRID;
    time_searches(index, "both", &q, width);
    for (size_t callers = 1; callers <= CALLERS_MAX; callers *= 4) {
        time_callers(index, width, callers);
    }
    pawl_scope_free(scope);
    free(first);
    pawl_close(engine, 1000);
    pawl_index_close(index);
    return 0;
}
