/*
 * embed_time.c - the fast encoder's speed: embed_time FOLDER THREADS [KERNELS|best [SHAPE]]. For each batch x length of random ids, the best of some rounds.
 * Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/encode_cpu.h"
#include "sdk/base/error.h"

#define IDS_MAX 8192u
#define TEXTS_MAX 64u
#define SECONDS 1.0

typedef struct shape {
    const char *name;
    size_t texts;
    size_t shortest;
    size_t longest;
} shape;

static double now_s(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

typedef struct best {
    double wall_s;
    double cpu_s; /* of all threads */
} best;

/* The best round of about a second: what others take of a shared machine is left out. */
static best best_of(const pw_encoder_cpu *e, const pw_ids *texts, size_t len, unsigned threads)
{
    static float vectors[TEXTS_MAX * PW_EMBED_WIDTH_MAX];
    best b = {1e9, 1e9};
    for (double begun = now_s(CLOCK_MONOTONIC); now_s(CLOCK_MONOTONIC) - begun < SECONDS;) {
        pawl_error err;
        const double wall = now_s(CLOCK_MONOTONIC), cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
        if (pw_encode_cpu(e, texts, len, threads, vectors, &err) != PAWL_OK) {
            (void)fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        const double cpu_spent = now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        const double spent = now_s(CLOCK_MONOTONIC) - wall;
        b.wall_s = spent < b.wall_s ? spent : b.wall_s;
        b.cpu_s = cpu_spent < b.cpu_s ? cpu_spent : b.cpu_s;
    }
    return b;
}

static void time_shape(const pw_encoder_cpu *e, const shape *s, unsigned threads)
{
    static uint32_t ids[IDS_MAX];
    pw_ids texts[TEXTS_MAX];
    size_t tokens = 0;
    uint32_t random = 12345;
    for (size_t i = 0; i < s->texts; i++) {
        texts[i] = (pw_ids){ids + tokens, s->shortest + (s->longest - s->shortest) *
                                                            (i * 7 % s->texts) / s->texts};
        for (size_t k = 0; k < texts[i].len; k++) {
            random = random * 1664525u + 1013904223u;
            ids[tokens++] = 1000 + (random >> 16) % 20000;
        }
    }
    const best b = best_of(e, texts, s->texts, threads);
    (void)printf("%-10s %8.2f ms %8.2f CPU-ms %9.1f texts/s %10.0f tokens/s\n", s->name,
                 b.wall_s * 1e3, b.cpu_s * 1e3, (double)s->texts / b.wall_s,
                 (double)tokens / b.wall_s);
}

static const pw_kernels *kernels_of(const char *name)
{
    const pw_kernels *all[4];
    (void)pw_kernels_all(all);
    for (size_t i = 0; all[i] != NULL; i++) {
        if (strcmp(all[i]->name, name) == 0) {
            return all[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const shape shapes[] = {{"1x16", 1, 16, 16},      {"1x32", 1, 32, 32},
                                   {"1x64", 1, 64, 64},      {"1x128", 1, 128, 128},
                                   {"3x100", 3, 100, 100},   {"8x32", 8, 32, 32},
                                   {"32x32", 32, 32, 32},    {"32x128", 32, 128, 128},
                                   {"32x256", 32, 256, 256}, {"mixed", 64, 8, 128}};
    pawl_error err;
    pw_model *m = NULL;
    pw_encoder_cpu *e = NULL;
    if (argc < 3 || pw_model_open(argv[1], &m, &err) != PAWL_OK ||
        pw_encoder_cpu_open(m, argc > 3 ? kernels_of(argv[3]) : NULL, &e, &err) != PAWL_OK) {
        (void)fprintf(stderr, "%s\n",
                      argc < 3 ? "embed_time FOLDER THREADS [KERNELS|best [SHAPE]]" : err.message);
        return 1;
    }
    for (size_t i = 0; i < PW_COUNT(shapes); i++) {
        if (argc < 5 || strcmp(argv[4], shapes[i].name) == 0) {
            time_shape(e, &shapes[i], (unsigned)strtoul(argv[2], NULL, 10));
        }
    }
    pw_encoder_cpu_close(e);
    pw_model_close(m);
    return 0;
}
