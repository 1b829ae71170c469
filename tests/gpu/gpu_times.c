/*
 * gpu_times.c - how fast the encoder is: by length, by the size of a pass, one text, and text to vector. Each figure is the middle one of its rounds, after
 * some that do not count: kernels are loaded, passes recorded, clocks up. Checks no vector.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu_check.h"
#include "gpu_table.h"
#include "sdk/base/error.h"

#define ROUNDS_MAX 512
#define PORTION 1024 /* texts that are tokenised before they are put */

typedef struct room {
    uint32_t *ids;
    pw_ids *list;
    float *vectors;
    size_t ids_len, list_len; /* that there is room for */
} room;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static double middle(double *times, int len)
{
    qsort(times, (size_t)len, sizeof *times, by_size);
    return times[len / 2];
}

/* The same texts again and again: the kernels alone, and from ids to vectors. */
static bool time_texts(pw_encoder_gpu *e, const room *r, size_t len, const gpu_sizes *z,
                       gpu_length_times *t)
{
    double kernel[ROUNDS_MAX], wall[ROUNDS_MAX];
    pawl_error err;
    for (int i = -z->warm; i < z->rounds; i++) {
        const double begun = gpu_now_s();
        if (!gpu_need(pw_encode_gpu(e, r->list, len, r->vectors, &err), &err)) {
            return false;
        }
        if (i >= 0) {
            wall[i] = gpu_now_s() - begun;
            kernel[i] = pw_encode_gpu_kernel_ms(e) * 1e-3;
        }
    }
    t->wall_s = middle(wall, z->rounds);
    t->kernel_s = middle(kernel, z->rounds);
    return true;
}

/* One pass after the other, both slots busy. */
static bool time_stream(pw_encoder_gpu *e, const room *r, size_t len, const gpu_sizes *z,
                        gpu_length_times *t)
{
    double wall[ROUNDS_MAX];
    const int rounds = z->rounds / 4 + 1;
    pawl_error err;
    for (int i = z->warm > 0 ? -1 : 0; i < rounds; i++) {
        const double begun = gpu_now_s();
        for (int k = 0; k < z->streamed; k++) {
            if (!gpu_need(pw_encode_gpu_put(e, r->list, len, r->vectors, &err), &err)) {
                return false;
            }
        }
        if (!gpu_need(pw_encode_gpu_finish(e, &err), &err)) {
            return false;
        }
        wall[i < 0 ? 0 : i] = (gpu_now_s() - begun) / z->streamed;
    }
    t->stream_s = middle(wall, rounds);
    return true;
}

static bool time_length(gpu_world *w, pw_encoder_gpu *e, room *r, size_t length, size_t pass)
{
    const size_t texts = pass / length;
    gpu_length_times t = {.length = length, .tokens = texts * length};
    for (size_t k = 0; k < texts; k++) {
        r->list[k] = (pw_ids){r->ids + k * length, length};
    }
    if (!time_texts(e, r, texts, w->sizes, &t) || !time_stream(e, r, texts, w->sizes, &t)) {
        w->failed = 1;
        return false;
    }
    gpu_table_length(stdout, &t);
    (void)fflush(stdout);
    return true;
}

static void time_lengths(gpu_world *w, room *r)
{
    (void)printf("\nby length of the texts\n");
    gpu_table_lengths_head(stdout);
    for (size_t i = 0; i < PW_COUNT(w->sizes->lengths) && w->sizes->lengths[i] > 0; i++) {
        if (!time_length(w, w->gpu, r, w->sizes->lengths[i], w->sizes->pass)) {
            return;
        }
    }
}

static void time_passes(gpu_world *w, room *r)
{
    const size_t length = w->sizes->lengths[3] > 0 ? w->sizes->lengths[3] : w->sizes->lengths[0];
    (void)printf("\nby size of a pass\n");
    gpu_table_lengths_head(stdout);
    for (size_t i = 0; i < PW_COUNT(w->sizes->passes) && w->sizes->passes[i] > 0; i++) {
        pw_encoder_gpu *e = NULL;
        pawl_error err;
        if (!gpu_need(pw_encoder_gpu_open(w->m, w->library, 0, w->sizes->passes[i], &e, &err),
                      &err) ||
            !time_length(w, e, r, length, w->sizes->passes[i])) {
            w->failed = 1;
        }
        pw_encoder_gpu_close(e);
    }
}

/* Text to vector, as a query is answered: tokenised, computed, read. */
static void time_one(gpu_world *w, room *r)
{
    static const char words[] =
        "retry the failed step after an error and tell the operator what it has cost so far ";
    char text[1024];
    double wall[ROUNDS_MAX];
    const int rounds = w->sizes->warm > 0 ? 10 * w->sizes->rounds : 1;
    (void)printf("\none text, from its bytes to its vector\n%8s %14s %14s\n", "tokens", "us",
                 "kernels, us");
    for (size_t size = 20; size < sizeof text && size <= w->sizes->texts_max * 4; size *= 3) {
        size_t tokens = 0;
        for (size_t i = 0; i < size; i++) {
            text[i] = words[i % (sizeof words - 1)];
        }
        for (int i = -w->sizes->warm; i < rounds; i++) {
            pawl_error err;
            const double begun = gpu_now_s();
            const pw_encoding n = pw_wordpiece_encode(
                w->m->tokenizer, (pw_view){(const uint8_t *)text, size}, false, r->ids, 256);
            if (!gpu_need(pw_encode_gpu(w->gpu, &(pw_ids){r->ids, n.len}, 1, r->vectors, &err),
                          &err)) {
                w->failed = 1;
                return;
            }
            wall[i < 0 ? 0 : i] = gpu_now_s() - begun;
            tokens = n.len;
        }
        (void)printf("%8zu %14.1f %14.1f\n", tokens, middle(wall, rounds) * 1e6,
                     pw_encode_gpu_kernel_ms(w->gpu) * 1e3);
    }
}

/* The reference texts again and again; one thread tokenises the next portion while the device computes. The texts that are checked, when that are not all. */
static size_t end_to_end(gpu_world *w, room *r)
{
    size_t tokens = 0;
    pawl_error err;
    for (size_t at = 0, which = 0; at < w->sizes->many; at += PORTION) {
        size_t used = 0, len = 0;
        for (; len < PORTION && at + len < w->sizes->many; len++, which++) {
            while (w->texts[which % GPU_TEXTS].len > w->sizes->texts_max) {
                which++;
            }
            const pw_encoding n = pw_wordpiece_encode(
                w->m->tokenizer, w->texts[which % GPU_TEXTS].text, false, r->ids + used, 256);
            r->list[len] = (pw_ids){r->ids + used, n.len};
            used += n.len;
        }
        if (!gpu_need(pw_encode_gpu_put(w->gpu, r->list, len, r->vectors + at * GPU_WIDTH, &err),
                      &err)) {
            return 0;
        }
        tokens += used;
    }
    return gpu_need(pw_encode_gpu_finish(w->gpu, &err), &err) ? tokens : 0;
}

static void time_end_to_end(gpu_world *w, room *r)
{
    double wall[ROUNDS_MAX];
    const int rounds = w->sizes->warm > 0 ? 5 : 1;
    size_t tokens = 0;
    for (int i = w->sizes->warm > 0 ? -1 : 0; i < rounds; i++) {
        const double begun = gpu_now_s();
        tokens = end_to_end(w, r);
        if (tokens == 0) {
            w->failed = 1;
            return;
        }
        wall[i < 0 ? 0 : i] = gpu_now_s() - begun;
    }
    const double s = middle(wall, rounds);
    (void)printf(
        "\nend to end, %zu texts of mixed length, one thread: %.2f M tokens/s, %.0f texts/s\n",
        w->sizes->many, (double)tokens / s * 1e-6, (double)w->sizes->many / s);
    (void)fflush(stdout);
}

void gpu_time_encoder(gpu_world *w)
{
    size_t most = w->sizes->pass;
    uint32_t random = 1;
    for (size_t i = 0; i < PW_COUNT(w->sizes->passes); i++) {
        most = w->sizes->passes[i] > most ? w->sizes->passes[i] : most;
    }
    room r = {.ids_len = most > PORTION * 256 ? most : PORTION * 256,
              .list_len = most > PORTION ? most : PORTION};
    r.ids = calloc(r.ids_len, sizeof *r.ids);
    r.list = calloc(r.list_len, sizeof *r.list);
    r.vectors =
        calloc((w->sizes->many > most ? w->sizes->many : most) * GPU_WIDTH, sizeof *r.vectors);
    if (r.ids != NULL && r.list != NULL && r.vectors != NULL) {
        for (size_t i = 0; i < most; i++) {
            random = random * 1664525u + 1013904223u;
            r.ids[i] = 1000 + (random >> 16) % 20000;
        }
        time_lengths(w, &r);
        time_passes(w, &r);
        time_one(w, &r);
        time_end_to_end(w, &r);
    } else {
        w->failed = 1;
    }
    free(r.ids);
    free(r.list);
    free(r.vectors);
}
