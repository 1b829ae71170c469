/*
 * gpu_check.c - tokenizer, plain, fast and GPU encoder on a machine that has nothing but a compiler and the model's files: checks them against the reference,
 * then times the GPU. gpu_check MODEL REFERENCE.json LIBRARY [full|quick|tiny [PART]]: quick, for a sanitizer, times nothing; tiny is for an emulated device.
 * A part alone (names: parts_of) is a process of its own to whoever runs them one by one: a device that stops in one leaves the others alone.
 * PAWL_GPU_WITHOUT (gpu_library.h) leaves a fast way out. Exit 1: a check failed; 77: no device (what needs none has been checked). Built by
 * standalone/CMakeLists.txt; run by tools/gpu-check. Does not compare with other engines: gpu_baseline.py does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/encode_reference.h"
#include "activities/embed/json_file.h"
#include "gpu_check.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

static const gpu_sizes sizes_of[] = {
    {.name = "full",
     .texts_max = 256,
     .texts_len = GPU_TEXTS,
     .pass = 8192,
     .passes = {2048, 8192, 16384, 32768},
     .lengths = {16, 32, 64, 128, 256, 512},
     .warm = 6,
     .rounds = 41,
     .streamed = 16,
     .many = 16384,
     .check_rows = 20000,
     .check_queries = 10000,
     .search_rows = (size_t)4 << 20},
    {.name = "quick",
     .texts_max = 64,
     .texts_len = 8,
     .pass = 512,
     .check_rows = 5000,
     .check_queries = 70},
    {.name = "tiny",
     .texts_max = 9,
     .texts_len = 3,
     .pass = 32,
     .passes = {16},
     .lengths = {16},
     .warm = 0,
     .rounds = 1,
     .streamed = 2,
     .many = 2,
     .check_rows = 300,
     .check_queries = 9,
     .search_rows = 300},
};

double gpu_now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void gpu_goal(const char *what, double figure, const char *unit, double goal, bool less)
{
    (void)printf("goal   %-58s %9.2f %-12s %s %g: %s\n", what, figure, unit,
                 less ? "at most" : "at least", goal,
                 (less ? figure <= goal : figure >= goal) ? "met" : "MISSED");
    (void)fflush(stdout);
}

void gpu_verdict(gpu_world *w, bool good, const char *what, double figure)
{
    (void)printf("%-6s %-72s %.9g\n", good ? "ok" : "FAILED", what, figure);
    (void)fflush(stdout);
    w->failed |= good ? 0 : 1;
}

bool gpu_need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        (void)fprintf(stderr, "%s: %s\n", pawl_status_name(status), err->message);
    }
    return status == PAWL_OK;
}

/* ---- the reference ---- */

static bool read_text(pw_mp at, gpu_reference *r)
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
    if (r->len > 256 || !pw_json_find(at, "embedding", &list) ||
        pw_mp_read_array(&list) != GPU_WIDTH) {
        return false;
    }
    for (size_t k = 0; k < GPU_WIDTH; k++) {
        r->vector[k] = (float)pw_mp_read_double(&list);
    }
    return pw_mp_ok(&list);
}

static bool read_reference(gpu_world *w, const char *path)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_error err;
    pw_mp list;
    if (!gpu_need(pw_model_file_read(path[0] == '/' ? "" : ".", path, 8u << 20, &text, &err),
                  &err) ||
        !gpu_need(pw_json_parse(&w->value, (const char *)text.data, text.size, PW_JSON_LENIENT,
                                NULL, &err),
                  &err)) {
        return false;
    }
    if (!pw_json_find(pw_mp_reader(w->value.data, w->value.size), "texts", &list) ||
        pw_mp_read_array(&list) != GPU_TEXTS) {
        return false;
    }
    for (size_t i = 0; i < GPU_TEXTS; i++) {
        const pw_view row = pw_mp_read_raw(&list);
        if (!read_text(pw_mp_reader(row.data, row.size), &w->texts[i])) {
            return false;
        }
    }
    return true;
}

/* ---- checks ---- */

static void check_ids(gpu_world *w)
{
    size_t equal = 0;
    for (size_t i = 0; i < GPU_TEXTS; i++) {
        uint32_t ids[256];
        const pw_encoding e =
            pw_wordpiece_encode(w->m->tokenizer, w->texts[i].text, false, ids, 256);
        equal += e.len == w->texts[i].len && memcmp(ids, w->texts[i].ids, e.len * sizeof *ids) == 0
                     ? 1
                     : 0;
    }
    gpu_verdict(w, equal == GPU_TEXTS, "texts with the ids of the reference tokenizer, of 68",
                (double)equal);
}

/* How fast one thread tokenises them: the bound of what is computed end to end. */
static void time_ids(const gpu_world *w)
{
    const int rounds = w->sizes == &sizes_of[0] ? 200 : 1;
    size_t tokens = 0;
    const double begun = gpu_now_s();
    for (size_t i = 0; i < GPU_TEXTS * (size_t)rounds; i++) {
        uint32_t ids[256];
        tokens +=
            pw_wordpiece_encode(w->m->tokenizer, w->texts[i % GPU_TEXTS].text, false, ids, 256).len;
    }
    (void)printf("one thread tokenises the reference texts, M tokens/s: %.1f\n",
                 (double)tokens / (gpu_now_s() - begun) * 1e-6);
}

static double difference(const float *a, const float *b)
{
    double worst = 0;
    for (size_t k = 0; k < GPU_WIDTH; k++) {
        worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
    }
    return worst;
}

static double cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < GPU_WIDTH; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return ab / sqrt(aa * bb);
}

static void check_processor(gpu_world *w)
{
    float vector[GPU_WIDTH];
    double plain = 0, fast = 0;
    pawl_error err;
    for (size_t i = 0; i < GPU_TEXTS; i++) {
        gpu_reference *r = &w->texts[i];
        if (r->len <= 16 &&
            gpu_need(pw_encode_reference(w->m, r->ids, r->len, vector, &err), &err)) {
            plain = fmax(plain, difference(vector, r->vector));
        }
        if (gpu_need(pw_encode_cpu(w->cpu, (pw_ids[]){{r->ids, r->len}}, 1, 1, vector, &err),
                     &err)) {
            fast = fmax(fast, difference(vector, r->vector));
        }
    }
    gpu_verdict(w, plain <= 2e-6, "plain encoder, texts of up to 16 tokens: largest difference",
                plain);
    gpu_verdict(w, fast <= 2e-6, "fast encoder, all texts: largest difference", fast);
}

/* The reference texts that are short enough, together and each alone. */
static void check_device(gpu_world *w)
{
    static float vectors[GPU_TEXTS * GPU_WIDTH];
    pw_ids list[GPU_TEXTS];
    const gpu_reference *of[GPU_TEXTS];
    pawl_error err;
    double least = 1, most = 0, alone_least = 1;
    size_t len = 0;
    for (size_t i = 0; i < GPU_TEXTS && len < w->sizes->texts_len; i++) {
        if (w->texts[i].len <= w->sizes->texts_max) {
            of[len] = &w->texts[i];
            list[len++] = (pw_ids){w->texts[i].ids, w->texts[i].len};
        }
    }
    if (!gpu_need(pw_encode_gpu(w->gpu, list, len, vectors, &err), &err)) {
        gpu_verdict(w, false, "GPU encoder", 0);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        float alone[GPU_WIDTH] = {0};
        const bool good = gpu_need(pw_encode_gpu(w->gpu, &list[i], 1, alone, &err), &err);
        least = fmin(least, cosine(vectors + i * GPU_WIDTH, of[i]->vector));
        most = fmax(most, difference(vectors + i * GPU_WIDTH, of[i]->vector));
        alone_least = fmin(alone_least, good ? cosine(alone, vectors + i * GPU_WIDTH) : 0);
    }
    gpu_verdict(w, len > 0, "GPU encoder: reference texts", (double)len);
    gpu_verdict(w, least >= 0.99999, "GPU encoder: least cosine to the reference", least);
    gpu_verdict(w, most <= 1e-3, "GPU encoder: largest difference", most);
    gpu_verdict(w, alone_least >= 0.999999,
                "GPU encoder: least cosine of a text alone to itself among others", alone_least);
}

/* Each pass is begun many times: kernel by kernel, recorded, replayed, in both slots. */
static void check_replay(gpu_world *w)
{
    float first[GPU_WIDTH] = {0}, vector[GPU_WIDTH];
    const gpu_reference *r = &w->texts[2];
    const pw_ids ids = {r->ids, r->len};
    double most = 0;
    pawl_error err;
    for (int i = 0; i < 6; i++) {
        if (!gpu_need(pw_encode_gpu(w->gpu, &ids, 1, vector, &err), &err)) {
            gpu_verdict(w, false, "GPU encoder: a pass that comes again", i);
            return;
        }
        memcpy(first, i == 0 ? vector : first, sizeof first);
        most = fmax(most, difference(first, vector));
    }
    gpu_verdict(w, most <= 0, "GPU encoder: a recorded pass differs from the first by", most);
}

/* The model with its first so many layers, against the plain encoder with as many: the first that is wrong is named. Without any: words, norm and pooling. */
static void check_layers(gpu_world *w)
{
    const gpu_reference *r = &w->texts[2];
    const pw_ids ids = {r->ids, r->len};
    char what[80];
    for (uint32_t layers = 0; layers <= w->m->config.layers; layers++) {
        pw_model some = *w->m;
        pw_encoder_gpu *e = NULL;
        float vector[GPU_WIDTH] = {0}, expected[GPU_WIDTH] = {0};
        pawl_error err;
        some.config.layers = layers;
        const bool good =
            gpu_need(pw_encode_reference(&some, r->ids, r->len, expected, &err), &err) &&
            gpu_need(pw_encoder_gpu_open(&some, w->library, 0, w->sizes->pass, &e, &err), &err) &&
            gpu_need(pw_encode_gpu(e, &ids, 1, vector, &err), &err);
        pw_encoder_gpu_close(e);
        const double c = good ? cosine(vector, expected) : 0;
        (void)snprintf(what, sizeof what, "GPU encoder, %u layers: cosine to the plain encoder",
                       layers);
        gpu_verdict(w, c >= 0.99999, what, c);
        if (!good) {
            return;
        }
    }
}

/* ---- parts ---- */

static void part_processor(gpu_world *w)
{
    pawl_error err;
    check_ids(w);
    time_ids(w);
    if (gpu_need(pw_encoder_cpu_open(w->m, NULL, &w->cpu, &err), &err)) {
        check_processor(w);
    } else {
        w->failed = 1;
    }
}

static void part_encoder(gpu_world *w)
{
    check_device(w);
    check_replay(w);
}

/* with_device: an encoder is open. */
static const struct {
    const char *name;
    bool with_device, is_timing;
    void (*run)(gpu_world *w);
} parts_of[] = {
    {"processor", false, false, part_processor}, {"layers", true, false, check_layers},
    {"encoder", true, false, part_encoder},      {"search", true, false, gpu_check_search},
    {"lengths", true, true, gpu_time_lengths},   {"passes", true, true, gpu_time_passes},
    {"one", true, true, gpu_time_one},           {"end", true, true, gpu_time_end_to_end},
    {"rows", true, true, gpu_time_search}};

static bool open_device(gpu_world *w, int *ret_code)
{
    pawl_error err;
    if (w->gpu != NULL) {
        return true;
    }
    const pawl_status status =
        pw_encoder_gpu_open(w->m, w->library, 0, w->sizes->pass, &w->gpu, &err);
    if (status == PAWL_NOTFOUND) {
        (void)printf("skipped: %s\n", err.message);
        *ret_code = w->failed != 0 ? 1 : 77;
        return false;
    }
    *ret_code = 1;
    return gpu_need(status, &err);
}

/* name: NULL, all that the sizes have. What is not right is not timed with the rest; a part that is named is. */
static int run_parts(gpu_world *w, const char *name)
{
    bool any = false;
    for (size_t i = 0; i < PW_COUNT(parts_of); i++) {
        const bool named = name != NULL && strcmp(name, parts_of[i].name) == 0;
        const bool usual =
            name == NULL &&
            (parts_of[i].is_timing ? w->sizes->many > 0 && w->failed == 0
                                   : parts_of[i].with_device || w->sizes == &sizes_of[0]);
        int code = 1;
        if (!named && !usual) {
            continue;
        }
        any = true;
        if (parts_of[i].with_device && !open_device(w, &code)) {
            return code;
        }
        parts_of[i].run(w);
    }
    if (!any) {
        (void)fprintf(stderr, "no part %s\n", name);
    }
    return any ? w->failed : 1;
}

static const gpu_sizes *find_sizes(const char *name)
{
    for (size_t i = 0; i < PW_COUNT(sizes_of); i++) {
        if (strcmp(sizes_of[i].name, name) == 0) {
            return &sizes_of[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static gpu_world w;
    pawl_error err;
    w.sizes = argc >= 4 ? find_sizes(argc > 4 ? argv[4] : "full") : NULL;
    if (w.sizes == NULL) {
        (void)fprintf(stderr, "gpu_check MODEL REFERENCE.json LIBRARY [full|quick|tiny [PART]]\n");
        return 1;
    }
    w.library = argv[3];
    if (!gpu_need(pw_model_open(argv[1], &w.m, &err), &err) || w.m->config.width != GPU_WIDTH ||
        !read_reference(&w, argv[2])) {
        (void)fprintf(stderr, "the model or its reference cannot be used\n");
        return 1;
    }
    const int code = run_parts(&w, argc > 5 ? argv[5] : NULL);
    pw_encoder_gpu_close(w.gpu);
    pw_encoder_cpu_close(w.cpu);
    pw_model_close(w.m);
    pw_buf_deinit(&w.value);
    return code;
}
