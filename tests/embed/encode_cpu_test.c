/*
 * encode_cpu_test.c - the fast encoder against the plain one: every set of kernels that this processor has, on a small model with sizes that fit no
 * vector, and on the real one; and that a vector does not depend on its neighbours or on threads, bit by bit. With "all": all reference texts.
 * Measures no speed.
 */
#include "embed_rig.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activities/embed/encode_cpu.h"
#include "activities/embed/encode_reference.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define DIFFERENCE_MAX 2e-6
#define LAYERS 3

/* ---- a small model ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static const float *numbers(pw_model *m, uint32_t *state, size_t len, float around, float width)
{
    float *at = m->numbers + m->numbers_len;
    m->numbers_len += len;
    for (size_t i = 0; i < len; i++) {
        at[i] = around + width * ((float)(next_random(state) % 2001) / 1000 - 1);
    }
    return at;
}

static pw_linear some_linear(pw_model *m, uint32_t *state, size_t out, size_t in)
{
    return (pw_linear){numbers(m, state, out * in, 0, 0.2f), numbers(m, state, out, 0, 0.1f)};
}

static pw_norm some_norm(pw_model *m, uint32_t *state)
{
    return (pw_norm){numbers(m, state, m->config.width, 1, 0.3f),
                     numbers(m, state, m->config.width, 0, 0.1f)};
}

static pw_model *small_model(uint32_t width, uint32_t heads, uint32_t inner, pw_pooling pooling)
{
    uint32_t state = width;
    pw_model *m = pw_calloc(1, sizeof *m);
    assert_non_null(m);
    m->config = (pw_model_config){.layers = LAYERS,
                                  .width = width,
                                  .heads = heads,
                                  .inner = inner,
                                  .vocabulary = 50,
                                  .positions = 150,
                                  .types = 2,
                                  .tokens_max = 150,
                                  .epsilon = 1e-12f,
                                  .pooling = pooling,
                                  .normalize = true};
    m->numbers = pw_malloc((size_t)1 << 20);
    assert_non_null(m->numbers);
    m->words = numbers(m, &state, 50 * width, 0, 1);
    m->positions = numbers(m, &state, 150 * width, 0, 1);
    m->types = numbers(m, &state, 2 * width, 0, 1);
    m->norm = some_norm(m, &state);
    for (uint32_t i = 0; i < LAYERS; i++) {
        pw_layer *l = &m->layers[i];
        l->query = some_linear(m, &state, width, width);
        l->key = some_linear(m, &state, width, width);
        l->value = some_linear(m, &state, width, width);
        l->out = some_linear(m, &state, width, width);
        l->after_attention = some_norm(m, &state);
        l->up = some_linear(m, &state, inner, width);
        l->down = some_linear(m, &state, width, inner);
        l->after_inner = some_norm(m, &state);
    }
    assert_true(m->numbers_len * sizeof *m->numbers <= (size_t)1 << 20);
    return m;
}

/* ---- checks ---- */

static double worst_difference(const float *a, const float *b, size_t len)
{
    double worst = 0;
    for (size_t i = 0; i < len; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

#define TEXTS 9
#define WIDTH_MAX 80

static void check_small(const pw_model *m, const pw_kernels *kernels)
{
    static const size_t lens[TEXTS] = {1, 7, 31, 32, 33, 2, 150, 64, 5};
    static float together[TEXTS * WIDTH_MAX];
    uint32_t ids[TEXTS][150], state = 7;
    pw_ids texts[TEXTS];
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    assert_int_equal(pw_encoder_cpu_open(m, kernels, &e, &err), PAWL_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        texts[i] = (pw_ids){ids[i], lens[i]};
        for (size_t k = 0; k < lens[i]; k++) {
            ids[i][k] = next_random(&state) % 50;
        }
    }
    assert_int_equal(pw_encode_cpu(e, texts, TEXTS, 3, together, &err), PAWL_OK);
    for (size_t i = 0; i < TEXTS; i++) {
        float expected[WIDTH_MAX], alone[WIDTH_MAX];
        const float *got = together + i * m->config.width;
        assert_int_equal(pw_encode_reference(m, ids[i], lens[i], expected, &err), PAWL_OK);
        const double worst = worst_difference(got, expected, m->config.width);
        if (!(worst <= DIFFERENCE_MAX)) {
            fail_msg("%s, width %u, text %zu of %zu ids: differs by %g", kernels->name,
                     m->config.width, i, lens[i], worst);
        }
        assert_int_equal(pw_encode_cpu(e, &texts[i], 1, 1, alone, &err), PAWL_OK);
        assert_memory_equal(alone, got, m->config.width * sizeof *alone);
    }
    pw_encoder_cpu_close(e);
}

static const struct {
    uint32_t width, heads, inner;
    pw_pooling pooling;
} sizes[] = {{40, 5, 72, PW_POOL_MEAN},
             {64, 2, 128, PW_POOL_FIRST},
             {30, 3, 50, PW_POOL_MEAN},
             {66, 1, 33, PW_POOL_FIRST}};

static void all_kernels_agree_with_the_plain_encoder_on_sizes_that_fit_no_vector(void **state)
{
    const pw_kernels *all[4];
    (void)pw_kernels_all(all);
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        pw_model *m = small_model(sizes[i].width, sizes[i].heads, sizes[i].inner, sizes[i].pooling);
        for (size_t k = 0; all[k] != NULL; k++) {
            check_small(m, all[k]);
        }
        pw_model_close(m);
    }
    (void)state;
}

/* ---- threads ---- */

#define MATES 8
#define THREADS 3u

/* From one part of a step for all threads to more rows than a group has. */
static void some_texts(pw_ids texts[MATES], uint32_t ids[MATES][150])
{
    static const size_t lens[MATES] = {49, 150, 1, 97, 33, 120, 2, 64};
    uint32_t state = 11;
    for (size_t i = 0; i < MATES; i++) {
        texts[i] = (pw_ids){ids[i], lens[i]};
        for (size_t k = 0; k < lens[i]; k++) {
            ids[i][k] = next_random(&state) % 50;
        }
    }
}

static void check_threads(const pw_model *m, const pw_kernels *kernels)
{
    const size_t width = m->config.width;
    static float alone[MATES * WIDTH_MAX], got[MATES * WIDTH_MAX];
    uint32_t ids[MATES][150];
    pw_ids texts[MATES];
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    assert_int_equal(pw_encoder_cpu_open(m, kernels, &e, &err), PAWL_OK);
    some_texts(texts, ids);
    for (size_t i = 0; i < MATES; i++) {
        assert_int_equal(pw_encode_cpu(e, &texts[i], 1, 1, alone + i * width, &err), PAWL_OK);
    }
    for (unsigned threads = 1; threads <= THREADS; threads++) {
        for (size_t i = 0; i < 2 * MATES; i++) { /* the first 1, 2, 3 ..., then each alone */
            const size_t first = i < MATES ? 0 : i - MATES, len = i < MATES ? i + 1 : 1;
            memset(got, 0xff, sizeof got);
            assert_int_equal(pw_encode_cpu(e, texts + first, len, threads, got, &err), PAWL_OK);
            if (memcmp(got, alone + first * width, len * width * sizeof *got) != 0) {
                fail_msg("%s, width %zu: %zu texts from %zu on %u threads differ from each alone",
                         kernels->name, width, len, first, threads);
            }
        }
    }
    pw_encoder_cpu_close(e);
}

static void a_vector_is_the_same_on_any_threads_and_among_any_texts(void **state)
{
    const pw_kernels *all[4];
    (void)pw_kernels_all(all);
    for (size_t i = 0; i < PW_COUNT(sizes); i++) {
        pw_model *m = small_model(sizes[i].width, sizes[i].heads, sizes[i].inner, sizes[i].pooling);
        for (size_t k = 0; all[k] != NULL && (k == 0 || i == 1); k++) {
            check_threads(m, all[k]);
        }
        pw_model_close(m);
    }
    (void)state;
}

static int threads_refused; /* the next ones */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    if (threads_refused > 0) {
        threads_refused--;
        return EAGAIN;
    }
    return __real_pthread_create(thread, attr, run, arg);
}

/* Texts, and what one thread makes of them. */
typedef struct alone {
    pw_model *m;
    uint32_t ids[MATES][150];
    pw_ids texts[MATES];
    float vectors[MATES * 64];
} alone;

static void alone_init(alone *x)
{
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    x->m = small_model(64, 2, 128, PW_POOL_MEAN);
    some_texts(x->texts, x->ids);
    assert_int_equal(pw_encoder_cpu_open(x->m, NULL, &e, &err), PAWL_OK);
    assert_int_equal(pw_encode_cpu(e, x->texts, MATES, 1, x->vectors, &err), PAWL_OK);
    pw_encoder_cpu_close(e);
}

static void threads_that_cannot_be_made_are_done_without(void **state)
{
    alone x;
    float got[MATES * 64];
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    alone_init(&x);
    assert_int_equal(pw_encoder_cpu_open(x.m, NULL, &e, &err), PAWL_OK);
    for (size_t len = 1; len <= MATES; len++) {
        threads_refused = 1;
        assert_int_equal(pw_encode_cpu(e, x.texts, len, THREADS, got, &err), PAWL_OK);
        assert_int_equal(threads_refused, 0);
        assert_memory_equal(got, x.vectors, len * 64 * sizeof *got);
    }
    pw_encoder_cpu_close(e);
    pw_model_close(x.m);
    (void)state;
}

/* What a helper has no memory for is done by the others; the caller's own memory is needed. */
static void threads_without_memory_change_no_vector(void **state)
{
    alone x;
    float got[MATES * 64];
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    alone_init(&x);
    for (int64_t nth = 1; nth <= 12; nth++) { /* sticky: none of the threads gets any */
        pawl_status status;
        assert_int_equal(pw_encoder_cpu_open(x.m, NULL, &e, &err), PAWL_OK);
        pw_mem_fail(nth / 2 + 1, nth % 2 != 0);
        status = pw_encode_cpu(e, x.texts, 2, THREADS, got, &err);
        pw_mem_fail(0, false);
        assert_true(status == PAWL_OK || (status == PAWL_NOMEM && nth < 4));
        if (status == PAWL_OK) {
            assert_memory_equal(got, x.vectors, 2 * 64 * sizeof *got);
        }
        pw_encoder_cpu_close(e);
    }
    pw_model_close(x.m);
    (void)state;
}

static void a_text_that_the_model_cannot_take_is_refused(void **state)
{
    pw_model *m = small_model(40, 5, 72, PW_POOL_MEAN);
    pw_encoder_cpu *e = NULL;
    pawl_error err;
    float vectors[2 * 40];
    static const uint32_t ids[151] = {50};
    assert_int_equal(pw_encoder_cpu_open(m, NULL, &e, &err), PAWL_OK);
    assert_int_equal(pw_encode_cpu(e, (pw_ids[]){{ids + 1, 3}, {ids, 1}}, 2, 1, vectors, &err),
                     PAWL_INVALID);
    assert_int_equal(pw_encode_cpu(e, (pw_ids[]){{ids + 1, 0}}, 1, 1, vectors, &err), PAWL_INVALID);
    assert_int_equal(pw_encode_cpu(e, (pw_ids[]){{ids, 151}}, 1, 1, vectors, &err), PAWL_INVALID);
    assert_int_equal(pw_encode_cpu(e, NULL, 0, 1, vectors, &err), PAWL_OK);
    pw_encoder_cpu_close(e);
    pw_model_close(m);
    (void)state;
}

static void an_encoder_without_memory_says_so(void **state)
{
    pw_model *m = small_model(40, 5, 72, PW_POOL_MEAN);
    static const uint32_t ids[3] = {1, 2, 3};
    pawl_status status = PAWL_NOMEM;
    for (int64_t nth = 1; status == PAWL_NOMEM; nth++) {
        pw_encoder_cpu *e = NULL;
        pawl_error err;
        float vector[40];
        pw_mem_fail(nth, false);
        status = pw_encoder_cpu_open(m, NULL, &e, &err);
        if (status == PAWL_OK) {
            status = pw_encode_cpu(e, (pw_ids[]){{ids, 3}}, 1, 1, vector, &err);
        }
        pw_mem_fail(0, false);
        assert_true(status == PAWL_OK || status == PAWL_NOMEM);
        pw_encoder_cpu_close(e);
        assert_true(nth < 100);
    }
    pw_model_close(m);
    (void)state;
}

static void the_real_model_gives_the_vectors_of_the_reference(void **state)
{
    const bool whole = *(bool *)*state;
    const pw_kernels *all[4];
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *texts = rig_texts(scope);
    pw_model *m = NULL;
    pawl_error err;
    assert_int_equal(pw_model_open(rig_model(), &m, &err), PAWL_OK);
    (void)pw_kernels_all(all);
    for (size_t k = 0; all[k] != NULL; k++) {
        double most = 0;
        pw_encoder_cpu *e = NULL;
        assert_int_equal(pw_encoder_cpu_open(m, all[k], &e, &err), PAWL_OK);
        for (size_t i = 0; i < (whole ? 68 : 2); i++) {
            uint32_t ids[256];
            float got[384], expected[384];
            const pawl_value *at = pawl_at(texts, i);
            const size_t len = pawl_len(pawl_get(at, "ids"));
            for (size_t j = 0; j < len; j++) {
                ids[j] = (uint32_t)pawl_int(pawl_at(pawl_get(at, "ids"), j), "", -1);
            }
            for (size_t j = 0; j < 384; j++) {
                expected[j] = (float)pawl_num(pawl_at(pawl_get(at, "embedding"), j), "", 9);
            }
            assert_int_equal(pw_encode_cpu(e, (pw_ids[]){{ids, len}}, 1, 1, got, &err), PAWL_OK);
            most = fmax(most, worst_difference(got, expected, 384));
        }
        (void)printf("%s: the largest difference is %.2g\n", all[k]->name, most);
        assert_true(most <= DIFFERENCE_MAX);
        pw_encoder_cpu_close(e);
    }
    pw_model_close(m);
    pawl_scope_free(scope);
}

/* Its panels, the tables and the norms are all that it reads. */
static void an_encoder_needs_no_matrices_of_its_model(void **state)
{
    static const uint32_t ids[40] = {2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5};
    const pw_ids text = {ids, 40};
    float before[32], after[32];
    pawl_error err;
    pw_encoder_cpu *e = NULL;
    pw_model *m = small_model(32, 2, 48, PW_POOL_MEAN);
    (void)state;
    assert_int_equal(pw_encoder_cpu_open(m, NULL, &e, &err), PAWL_OK);
    assert_int_equal(pw_encode_cpu(e, &text, 1, 1, before, &err), PAWL_OK);
    const size_t all = m->numbers_len;
    pw_model_trim(m);
    assert_int_equal(all - m->numbers_len, LAYERS * (4 * (32 * 32 + 32) + 2 * 32 * 48 + 32 + 48));
    assert_int_equal(pw_encode_cpu(e, &text, 1, 1, after, &err), PAWL_OK);
    assert_memory_equal(before, after, sizeof before);
    pw_encoder_cpu_close(e);
    pw_model_close(m);
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kernels_agree_with_the_plain_encoder_on_sizes_that_fit_no_vector),
        cmocka_unit_test(a_vector_is_the_same_on_any_threads_and_among_any_texts),
        cmocka_unit_test(threads_that_cannot_be_made_are_done_without),
        cmocka_unit_test(threads_without_memory_change_no_vector),
        cmocka_unit_test(a_text_that_the_model_cannot_take_is_refused),
        cmocka_unit_test(an_encoder_without_memory_says_so),
        cmocka_unit_test(an_encoder_needs_no_matrices_of_its_model),
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test_prestate(the_real_model_gives_the_vectors_of_the_reference, &all),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0) {
        return failed;
    }
    rig_need_models();
    return cmocka_run_group_tests(real, NULL, NULL);
}
