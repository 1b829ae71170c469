/*
 * gpu_times.c - how fast the encoder is: by length, by the size of a pass, one text, and text to vector. Each figure is the middle one of its rounds, after
 * some that do not count: kernels are loaded, passes recorded, clocks up. Checks no vector.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu_check.h"
#include "gpu_table.h"
#include "sdk/base/error.h"

#define ROUNDS_MAX 512
#define PORTION 1024u /* texts that are tokenised before they are put */

typedef struct room {
    uint32_t *ids;
    pw_ids *list;
    float *vectors;
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

/* rate: of the kernels alone, tokens a second. */
static bool time_length(gpu_world *w, pw_encoder_gpu *e, room *r, size_t length, size_t pass,
                        double *ret_rate)
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
    *ret_rate = (double)t.tokens / t.kernel_s;
    return true;
}

/* Room for what is timed: ids that are words, at random. */
static bool room_init(room *r, const gpu_sizes *z)
{
    size_t most = z->pass;
    uint32_t random = 1;
    for (size_t i = 0; i < PW_COUNT(z->passes); i++) {
        most = z->passes[i] > most ? z->passes[i] : most;
    }
    *r = (room){.ids = calloc(most, sizeof *r->ids),
                .list = calloc(most, sizeof *r->list),
                .vectors = calloc(most * GPU_WIDTH, sizeof *r->vectors)};
    for (size_t i = 0; r->ids != NULL && i < most; i++) {
        random = random * 1664525u + 1013904223u;
        r->ids[i] = 1000 + (random >> 16) % 20000;
    }
    return r->ids != NULL && r->list != NULL && r->vectors != NULL;
}

static void room_deinit(room *r)
{
    free(r->ids);
    free(r->list);
    free(r->vectors);
}

static void time_lengths(gpu_world *w, room *r)
{
    double rate = 0;
    (void)printf("\nby length of the texts\n");
    gpu_table_lengths_head(stdout);
    for (size_t i = 0; i < PW_COUNT(w->sizes->lengths) && w->sizes->lengths[i] > 0; i++) {
        if (!time_length(w, w->gpu, r, w->sizes->lengths[i], w->sizes->pass, &rate)) {
            return;
        }
    }
}

void gpu_time_lengths(gpu_world *w)
{
    room r;
    if (room_init(&r, w->sizes)) {
        time_lengths(w, &r);
    } else {
        w->failed = 1;
    }
    room_deinit(&r);
}

static void time_passes(gpu_world *w, room *r)
{
    const size_t length = w->sizes->lengths[3] > 0 ? w->sizes->lengths[3] : w->sizes->lengths[0];
    double rate = 0, best = 0;
    (void)printf("\nby size of a pass\n");
    gpu_table_lengths_head(stdout);
    for (size_t i = 0; i < PW_COUNT(w->sizes->passes) && w->sizes->passes[i] > 0; i++) {
        pw_encoder_gpu *e = NULL;
        pawl_error err;
        if (!gpu_need(pw_encoder_gpu_open(w->m, w->library, 0, w->sizes->passes[i], &e, &err),
                      &err) ||
            !time_length(w, e, r, length, w->sizes->passes[i], &rate)) {
            w->failed = 1;
        }
        best = rate > best ? rate : best;
        pw_encoder_gpu_close(e);
    }
    gpu_goal("kernels alone, texts of 128 tokens", best * 1e-6, "M tokens/s", 12, false);
}

void gpu_time_passes(gpu_world *w)
{
    room r;
    if (room_init(&r, w->sizes)) {
        time_passes(w, &r);
    } else {
        w->failed = 1;
    }
    room_deinit(&r);
}

/* Text to vector, as a query is answered: tokenised, computed, read. */
static bool time_text(gpu_world *w, const char *text, size_t size, size_t *ret_tokens,
                      double *ret_us)
{
    double wall[ROUNDS_MAX];
    uint32_t ids[256];
    float vector[GPU_WIDTH];
    const int rounds = w->sizes->warm > 0 ? 10 * w->sizes->rounds : 1;
    for (int i = -w->sizes->warm; i < rounds; i++) {
        pawl_error err;
        const double begun = gpu_now_s();
        const pw_encoding n = pw_wordpiece_encode(
            w->m->tokenizer, (pw_view){(const uint8_t *)text, size}, false, ids, 256);
        if (!gpu_need(pw_encode_gpu(w->gpu, &(pw_ids){ids, n.len}, 1, vector, &err), &err)) {
            w->failed = 1;
            return false;
        }
        wall[i < 0 ? 0 : i] = gpu_now_s() - begun;
        *ret_tokens = n.len;
    }
    *ret_us = middle(wall, rounds) * 1e6;
    return true;
}

void gpu_time_one(gpu_world *w)
{
    static const char words[] =
        "retry the failed step after an error and tell the operator what it has cost so far ";
    char text[1024];
    double us = 0, first = 0;
    size_t tokens = 0;
    (void)printf("\none text, from its bytes to its vector\n%8s %14s %14s\n", "tokens", "us",
                 "kernels, us");
    for (size_t size = 20; size < sizeof text && size <= w->sizes->texts_max * 4; size *= 3) {
        for (size_t i = 0; i < size; i++) {
            text[i] = words[i % (sizeof words - 1)];
        }
        if (!time_text(w, text, size, &tokens, &us)) {
            return;
        }
        first = size == 20 ? us : first;
        (void)printf("%8zu %14.1f %14.1f\n", tokens, us, pw_encode_gpu_kernel_ms(w->gpu) * 1e3);
    }
    gpu_goal("one short text, bytes to vector", first, "us", 200, true);
}

/* ---- end to end ---- */

/* Texts that are tokenised while those before them are computed. */
typedef struct portion {
    const gpu_world *w;
    size_t first, len, tokens;
    pw_ids *list;
    uint32_t *ids; /* [PORTION][256] */
} portion;

/* The reference texts again and again: those that are checked, when that are not all. */
static void *tokenize(void *arg)
{
    portion *p = arg;
    const size_t most = p->w->sizes->texts_max;
    p->tokens = 0;
    for (size_t i = 0, which = p->first; i < p->len; i++, which++) {
        while (p->w->texts[which % GPU_TEXTS].len > most) {
            which++;
        }
        const pw_encoding n =
            pw_wordpiece_encode(p->w->m->tokenizer, p->w->texts[which % GPU_TEXTS].text, false,
                                p->ids + p->tokens, 256);
        p->list[i] = (pw_ids){p->ids + p->tokens, n.len};
        p->tokens += n.len;
    }
    return NULL;
}

static void begin_portion(portion *p, size_t first, size_t many)
{
    p->first = first;
    p->len = first >= many ? 0 : many - first < PORTION ? many - first : PORTION;
}

/* One thread puts, another tokenises what comes next. */
static size_t end_to_end(gpu_world *w, portion *p, float *vectors)
{
    size_t tokens = 0;
    pawl_error err;
    begin_portion(&p[0], 0, w->sizes->many);
    (void)tokenize(&p[0]);
    for (int now = 0; p[now].len > 0; now = 1 - now) {
        pthread_t thread = 0;
        begin_portion(&p[1 - now], p[now].first + p[now].len, w->sizes->many);
        if (pthread_create(&thread, NULL, tokenize, &p[1 - now]) != 0) {
            return 0;
        }
        const bool put = gpu_need(pw_encode_gpu_put(w->gpu, p[now].list, p[now].len,
                                                    vectors + p[now].first * GPU_WIDTH, &err),
                                  &err);
        (void)pthread_join(thread, NULL);
        if (!put) {
            return 0;
        }
        tokens += p[now].tokens;
    }
    return gpu_need(pw_encode_gpu_finish(w->gpu, &err), &err) ? tokens : 0;
}

static void time_end_to_end(gpu_world *w, portion *p, float *vectors)
{
    double wall[ROUNDS_MAX], alone = gpu_now_s();
    const int rounds = w->sizes->warm > 0 ? 5 : 1;
    size_t tokens = 0;
    begin_portion(&p[0], 0, w->sizes->many);
    (void)tokenize(&p[0]);
    alone = (double)p[0].tokens / (gpu_now_s() - alone);
    for (int i = w->sizes->warm > 0 ? -2 : 0; i < rounds; i++) {
        const double begun = gpu_now_s();
        tokens = end_to_end(w, p, vectors);
        if (tokens == 0) {
            w->failed = 1;
            return;
        }
        wall[i < 0 ? 0 : i] = gpu_now_s() - begun;
    }
    const double s = middle(wall, rounds);
    (void)printf(
        "\nend to end, %zu texts of mixed length, %zu tokens: %.2f M tokens/s, %.0f texts/s; one thread tokenises %.1f M tokens/s\n",
        w->sizes->many, tokens, (double)tokens / s * 1e-6, (double)w->sizes->many / s,
        alone * 1e-6);
    gpu_goal("end to end, text to vector, mixed lengths", (double)tokens / s * 1e-6, "M tokens/s",
             8, false);
}

void gpu_time_end_to_end(gpu_world *w)
{
    portion p[2];
    float *vectors = calloc(w->sizes->many * GPU_WIDTH, sizeof *vectors);
    bool good = vectors != NULL;
    for (int i = 0; i < 2; i++) {
        p[i] = (portion){.w = w,
                         .list = calloc(PORTION, sizeof *p[i].list),
                         .ids = calloc(PORTION * 256, sizeof *p[i].ids)};
        good = good && p[i].list != NULL && p[i].ids != NULL;
    }
    if (good) {
        time_end_to_end(w, p, vectors);
    } else {
        w->failed = 1;
    }
    for (int i = 0; i < 2; i++) {
        free(p[i].list);
        free(p[i].ids);
    }
    free(vectors);
}
