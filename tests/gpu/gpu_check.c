/*
 * gpu_check.c - tokenizer, plain, fast and GPU encoder on a machine that has nothing but a compiler and the model's files: checks them against the reference,
 * then times the GPU. gpu_check MODEL REFERENCE.json LIBRARY [quick]. Exit 1: a check failed; 77: no device (what needs none has been checked). Built by
 * standalone/CMakeLists.txt; run by tools/gpu-check. Does not compare with other engines: gpu_baseline.py does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/encode_gpu.h"
#include "activities/embed/encode_reference.h"
#include "activities/embed/json_file.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

#define TEXTS 68u
#define WIDTH 384u
#define TOKENS 16384u
#define MANY 16384u
#define FLOP_LINEAR 21.23e6  /* of a token: 10.62 million weights, twice */
#define FLOP_ATTENTION 9216. /* of a token, for each token of its text */
#define FLOP_PEAK 788e12     /* of 16-bit products, as read on such a device */

typedef struct reference {
    pw_view text;
    uint32_t ids[256];
    size_t len;
    float vector[WIDTH];
} reference;

typedef struct world {
    pw_model *m;
    pw_encoder_cpu *cpu;
    pw_encoder_gpu *gpu;
    pw_buf value; /* reference.json */
    reference texts[TEXTS];
    int failed;
} world;

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void verdict(world *w, bool good, const char *what, double figure)
{
    (void)printf("%-6s %-60s %.9g\n", good ? "ok" : "FAILED", what, figure);
    w->failed |= good ? 0 : 1;
}

static bool need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        (void)fprintf(stderr, "%s: %s\n", pawl_status_name(status), err->message);
    }
    return status == PAWL_OK;
}

/* ---- the reference ---- */

static bool read_text(pw_mp at, reference *r)
{
    pw_mp list;
    r->text = pw_json_text(at, "text");
    if (r->text.data == NULL || !pw_json_find(at, "ids", &list)) {
        return false;
    }
    r->len = pw_mp_read_array(&list);
    for (size_t k = 0; k < r->len && k < 256; k++) {
        r->ids[k] = (uint32_t)pw_mp_read_int(&list);
    }
    if (r->len > 256 || !pw_json_find(at, "embedding", &list) || pw_mp_read_array(&list) != WIDTH) {
        return false;
    }
    for (size_t k = 0; k < WIDTH; k++) {
        r->vector[k] = (float)pw_mp_read_double(&list);
    }
    return pw_mp_ok(&list);
}

static bool read_reference(world *w, const char *path)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_error err;
    pw_mp list;
    if (!need(pw_model_file_read(path[0] == '/' ? "" : ".", path, 8u << 20, &text, &err), &err) ||
        !need(pw_json_parse(&w->value, (const char *)text.data, text.size, PW_JSON_LENIENT, NULL,
                            &err),
              &err)) {
        return false;
    }
    if (!pw_json_find(pw_mp_reader(w->value.data, w->value.size), "texts", &list) ||
        pw_mp_read_array(&list) != TEXTS) {
        return false;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        const pw_view row = pw_mp_read_raw(&list);
        if (!read_text(pw_mp_reader(row.data, row.size), &w->texts[i])) {
            return false;
        }
    }
    return true;
}

/* ---- checks ---- */

static void check_ids(world *w)
{
    size_t equal = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        uint32_t ids[256];
        const pw_encoding e =
            pw_wordpiece_encode(w->m->tokenizer, w->texts[i].text, false, ids, 256);
        equal += e.len == w->texts[i].len && memcmp(ids, w->texts[i].ids, e.len * sizeof *ids) == 0
                     ? 1
                     : 0;
    }
    verdict(w, equal == TEXTS, "texts with the ids of the reference tokenizer, of 68",
            (double)equal);
}

static double difference(const float *a, const float *b)
{
    double worst = 0;
    for (size_t k = 0; k < WIDTH; k++) {
        worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
    }
    return worst;
}

static double cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < WIDTH; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return ab / sqrt(aa * bb);
}

static void check_processor(world *w)
{
    float vector[WIDTH];
    double plain = 0, fast = 0;
    pawl_error err;
    for (size_t i = 0; i < TEXTS; i++) {
        reference *r = &w->texts[i];
        if (r->len <= 16 && need(pw_encode_reference(w->m, r->ids, r->len, vector, &err), &err)) {
            plain = fmax(plain, difference(vector, r->vector));
        }
        if (need(pw_encode_cpu(w->cpu, (pw_ids[]){{r->ids, r->len}}, 1, 1, vector, &err), &err)) {
            fast = fmax(fast, difference(vector, r->vector));
        }
    }
    verdict(w, plain <= 2e-6, "plain encoder, texts of up to 16 tokens: largest difference", plain);
    verdict(w, fast <= 2e-6, "fast encoder, all texts: largest difference", fast);
}

static void check_device(world *w)
{
    static float vectors[TEXTS * WIDTH];
    pw_ids list[TEXTS];
    pawl_error err;
    double least = 1, most = 0, alone_least = 1;
    for (size_t i = 0; i < TEXTS; i++) {
        list[i] = (pw_ids){w->texts[i].ids, w->texts[i].len};
    }
    if (!need(pw_encode_gpu(w->gpu, list, TEXTS, vectors, &err), &err)) {
        verdict(w, false, "GPU encoder", 0);
        return;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        float alone[WIDTH];
        least = fmin(least, cosine(vectors + i * WIDTH, w->texts[i].vector));
        most = fmax(most, difference(vectors + i * WIDTH, w->texts[i].vector));
        if (need(pw_encode_gpu(w->gpu, &list[i], 1, alone, &err), &err)) {
            alone_least = fmin(alone_least, cosine(alone, vectors + i * WIDTH));
        }
    }
    verdict(w, least >= 0.99999, "GPU encoder: least cosine to the reference", least);
    verdict(w, most <= 1e-3, "GPU encoder: largest difference", most);
    verdict(w, alone_least >= 0.999999,
            "GPU encoder: least cosine of a text alone to itself among others", alone_least);
}

/* ---- times ---- */

typedef struct best {
    double wall_s;
    double kernel_s;
} best;

static best time_texts(world *w, const pw_ids *list, size_t len, float *vectors, int rounds)
{
    best b = {1e9, 1e9};
    pawl_error err;
    for (int i = 0; i < rounds; i++) {
        const double begun = now_s();
        if (!need(pw_encode_gpu(w->gpu, list, len, vectors, &err), &err)) {
            w->failed = 1;
            return b;
        }
        b.wall_s = fmin(b.wall_s, now_s() - begun);
        b.kernel_s = fmin(b.kernel_s, pw_encode_gpu_kernel_ms(w->gpu) * 1e-3);
    }
    return b;
}

static void time_lengths(world *w, uint32_t *ids, pw_ids *list, float *vectors)
{
    static const size_t lengths[] = {16, 32, 64, 128, 256, 512};
    (void)printf("\n%8s %8s %22s %22s %18s\n", "tokens", "texts", "kernels, M tokens/s",
                 "with copies", "share of roofline");
    for (size_t i = 0; i < PW_COUNT(lengths); i++) {
        const size_t len = lengths[i], texts = TOKENS / len;
        for (size_t k = 0; k < texts; k++) {
            list[k] = (pw_ids){ids + k * len, len};
        }
        const best b = time_texts(w, list, texts, vectors, 30);
        const double rate = TOKENS / b.kernel_s, flop = FLOP_LINEAR + FLOP_ATTENTION * (double)len;
        (void)printf("%8zu %8zu %22.2f %22.2f %17.1f%%\n", len, texts, rate * 1e-6,
                     TOKENS / b.wall_s * 1e-6, 100 * rate * flop / FLOP_PEAK);
    }
    for (size_t len = 8; len <= 128; len *= 4) {
        list[0] = (pw_ids){ids, len};
        const best b = time_texts(w, list, 1, vectors, 300);
        (void)printf("one text of %zu tokens: %.1f us, of which kernels %.1f us\n", len,
                     b.wall_s * 1e6, b.kernel_s * 1e6);
    }
}

/* Text to vectors: the reference texts again and again, tokenised here, on one thread, before the device begins. */
static void time_end_to_end(world *w, uint32_t *ids, pw_ids *list, float *vectors)
{
    double best_s = 1e9;
    size_t tokens = 0;
    for (int round = 0; round < 5; round++) {
        const double begun = now_s();
        pawl_error err;
        tokens = 0;
        for (size_t i = 0; i < MANY; i++) {
            const pw_encoding e = pw_wordpiece_encode(w->m->tokenizer, w->texts[i % TEXTS].text,
                                                      false, ids + tokens, 256);
            list[i] = (pw_ids){ids + tokens, e.len};
            tokens += e.len;
        }
        if (!need(pw_encode_gpu(w->gpu, list, MANY, vectors, &err), &err)) {
            w->failed = 1;
            return;
        }
        best_s = fmin(best_s, now_s() - begun);
    }
    (void)printf("end to end, %u texts of mixed length: %.2f M tokens/s, %.0f texts/s\n", MANY,
                 (double)tokens / best_s * 1e-6, MANY / best_s);
}

static void time_all(world *w)
{
    uint32_t *ids = calloc((size_t)MANY * 256, sizeof *ids);
    pw_ids *list = calloc(MANY, sizeof *list);
    float *vectors = calloc((size_t)MANY * WIDTH, sizeof *vectors);
    uint32_t random = 1;
    if (ids != NULL && list != NULL && vectors != NULL) {
        for (size_t i = 0; i < TOKENS; i++) {
            random = random * 1664525u + 1013904223u;
            ids[i] = 1000 + (random >> 16) % 20000;
        }
        time_lengths(w, ids, list, vectors);
        time_end_to_end(w, ids, list, vectors);
    }
    free(ids);
    free(list);
    free(vectors);
}

static int check_all(world *w, const char *library, bool quick)
{
    pawl_error err;
    check_ids(w);
    check_processor(w);
    const pawl_status status = pw_encoder_gpu_open(w->m, library, 0, TOKENS, &w->gpu, &err);
    if (status == PAWL_NOTFOUND) {
        (void)printf("skipped: %s\n", err.message);
        return w->failed != 0 ? 1 : 77;
    }
    if (!need(status, &err)) {
        return 1;
    }
    check_device(w);
    if (!quick) {
        time_all(w);
    }
    return w->failed;
}

int main(int argc, char **argv)
{
    static world w;
    pawl_error err;
    if (argc < 4) {
        (void)fprintf(stderr, "gpu_check MODEL REFERENCE.json LIBRARY [quick]\n");
        return 1;
    }
    if (!need(pw_model_open(argv[1], &w.m, &err), &err) ||
        !need(pw_encoder_cpu_open(w.m, NULL, &w.cpu, &err), &err) || w.m->config.width != WIDTH ||
        !read_reference(&w, argv[2])) {
        return 1;
    }
    const int code = check_all(&w, argv[3], argc > 4);
    pw_encoder_gpu_close(w.gpu);
    pw_encoder_cpu_close(w.cpu);
    pw_model_close(w.m);
    pw_buf_deinit(&w.value);
    return code;
}
