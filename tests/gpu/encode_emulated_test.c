/*
 * encode_emulated_test.c - all of libpawl_cuda's encoder on emulated devices: the kernels as they are written for a GPU, run by the processor, against the
 * plain encoder. Finds what is wrong with them as programs (indices, barriers, order, what is freed when a call fails); says nothing of a GPU's speed, and
 * does not replace running them on one.
 */
#include "emulated_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activities/embed/encode_gpu.h"
#include "activities/embed/encode_reference.h"
#include "random_model.h"
#include "sdk/base/error.h"

#define COSINE_MIN 0.99999
#define TEXTS_MAX 32

typedef struct texts {
    uint32_t ids[TEXTS_MAX][512];
    pw_ids list[TEXTS_MAX];
    size_t len;
} texts;

static double cosine(const float *a, const float *b, size_t width)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < width; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return ab / sqrt(aa * bb);
}

static texts *make_texts(const size_t *lengths, size_t len, uint32_t vocabulary)
{
    texts *t = calloc(1, sizeof *t);
    uint32_t random = 3;
    assert_non_null(t);
    t->len = len;
    for (size_t i = 0; i < len; i++) {
        for (size_t k = 0; k < lengths[i]; k++) {
            t->ids[i][k] = (uint32_t)(random_number(&random) * (float)vocabulary);
        }
        t->list[i] = (pw_ids){t->ids[i], lengths[i]};
    }
    return t;
}

static void need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        fail_msg("%s", err->message);
    }
}

/* Every text, against the plain encoder. */
static void check(const pw_model *m, const texts *t, const float *vectors)
{
    const size_t width = m->config.width;
    float *expected = calloc(width, sizeof *expected);
    double least = 1;
    assert_non_null(expected);
    for (size_t i = 0; i < t->len; i++) {
        pawl_error err;
        need(pw_encode_reference(m, t->list[i].ids, t->list[i].len, expected, &err), &err);
        const double c = cosine(vectors + i * width, expected, width);
        if (!(c >= COSINE_MIN)) {
            fail_msg("text %zu of %zu ids: cosine %.8f", i, t->list[i].len, c);
        }
        least = c < least ? c : least;
    }
    (void)printf("the least cosine of %zu texts is %.8f\n", t->len, least);
    free(expected);
}

static void run(const random_model_sizes *sizes, const size_t *lengths, size_t len, size_t room,
                bool first)
{
    pw_model m;
    pw_encoder_gpu *e = NULL;
    pawl_error err;
    (void)emulated_fresh();
    random_model_init(&m, sizes);
    m.config.pooling = first ? PW_POOL_FIRST : PW_POOL_MEAN;
    texts *t = make_texts(lengths, len, sizes->vocabulary);
    float *vectors = calloc(len * m.config.width, sizeof *vectors);
    need(pw_encoder_gpu_open(&m, emulated_library(), 0, room, &e, &err), &err);
    need(pw_encode_gpu(e, t->list, len, vectors, &err), &err);
    check(&m, t, vectors);
    pw_encoder_gpu_close(e);
    free(vectors);
    free(t);
    random_model_deinit(&m);
}

static void texts_of_every_length_are_as_the_plain_encoder_has_them(void **state)
{
    static const size_t lengths[] = {1, 2, 15, 16, 17, 32, 33, 64, 65, 129};
    (void)state;
    run(&(random_model_sizes){2, 3, 104, 50, 512}, lengths, PW_COUNT(lengths), 256, false);
}

static void the_longest_text_fits_into_shared_memory(void **state)
{
    (void)state;
    run(&(random_model_sizes){1, 2, 64, 50, 512}, (size_t[]){512, 3}, 2, 768, false);
}

static void a_models_first_row_can_be_its_vector(void **state)
{
    (void)state;
    run(&(random_model_sizes){1, 4, 64, 50, 128}, (size_t[]){5, 40, 1}, 3, 64, true);
}

static void rows_of_every_width_are_normed(void **state)
{
    (void)state;
    run(&(random_model_sizes){1, 13, 32, 20, 16}, (size_t[]){5, 9}, 2, 16,
        false); /* 416: more than three steps */
    run(&(random_model_sizes){1, 33, 32, 20, 16}, (size_t[]){7}, 1, 16,
        false); /* 1056: more than eight */
}

/* Each fast way may be at fault on a device: without it the result must be the same. */
static void every_slower_way_computes_the_same(void **state)
{
    static const char *const ways[] = {"graphs", "tensors", "own", "own,lt",
                                       "lt,graphs,trial,scatter"};
    static const size_t lengths[] = {1, 16, 33};
    (void)state;
    for (size_t i = 0; i < PW_COUNT(ways); i++) {
        assert_int_equal(setenv("PAWL_GPU_WITHOUT", ways[i], 1), 0);
        run(&(random_model_sizes){1, 3, 104, 50, 64}, lengths, PW_COUNT(lengths), 64, false);
    }
    assert_int_equal(unsetenv("PAWL_GPU_WITHOUT"), 0);
}

/* Short texts, for attention takes long here: 26 of 15 ids are a pass of 512 rows. */
static const size_t many_lengths[] = {15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
                                      15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15};

static void products_of_many_rows_are_chosen_by_a_trial(void **state)
{
    const random_model_sizes sizes = {1, 1, 32, 50, 32};
    const emulated_control *c = emulated_fresh();
    const unsigned long before = c->kernels();
    (void)state;
    run(&sizes, many_lengths, PW_COUNT(many_lengths), 512, false);
    const unsigned long tried = c->kernels() - before;
    assert_int_equal(setenv("PAWL_GPU_WITHOUT", "trial", 1), 0);
    run(&sizes, many_lengths, PW_COUNT(many_lengths), 512, false);
    assert_int_equal(unsetenv("PAWL_GPU_WITHOUT"), 0);
    assert_int_equal(tried, c->kernels() - before - tried + 3); /* numbers to try on */
}

/* ---- passes and graphs ---- */

static void a_pass_that_comes_again_is_replayed_with_its_own_texts(void **state)
{
    static const size_t lengths[] = {20, 7, 11, 30, 9, 28};
    const random_model_sizes sizes = {1, 2, 64, 50, 64};
    const emulated_control *c = emulated_fresh();
    pw_model m;
    pw_encoder_gpu *e = NULL;
    pawl_error err;
    (void)state;
    random_model_init(&m, &sizes);
    texts *t = make_texts(lengths, PW_COUNT(lengths), sizes.vocabulary);
    float *vectors = calloc(t->len * m.config.width, sizeof *vectors);
    const unsigned long before = c->graphs();
    need(pw_encoder_gpu_open(&m, emulated_library(), 0, 32, &e, &err), &err);
    for (int round = 0; round < 4; round++) { /* each text a pass: the two slots take turns */
        memset(vectors, 0, t->len * m.config.width * sizeof *vectors);
        for (size_t i = 0; i < t->len; i++) {
            need(pw_encode_gpu_put(e, &t->list[i], 1, vectors + i * m.config.width, &err), &err);
        }
        need(pw_encode_gpu_finish(e, &err), &err);
        check(&m, t, vectors);
    }
    assert_true(c->graphs() - before >= 16);
    pw_encoder_gpu_close(e);
    free(vectors);
    free(t);
    random_model_deinit(&m);
}

static void what_the_device_cannot_take_is_refused_and_leaves_the_rest_alone(void **state)
{
    const random_model_sizes sizes = {1, 2, 64, 50, 64};
    pw_model m;
    pw_encoder_gpu *e = NULL;
    pawl_error err;
    (void)state;
    (void)emulated_fresh();
    random_model_init(&m, &sizes);
    texts *t = make_texts((size_t[]){20, 30}, 2, sizes.vocabulary);
    float *vectors = calloc(2 * m.config.width, sizeof *vectors), unused[64];
    need(pw_encoder_gpu_open(&m, emulated_library(), 0, 32, &e, &err), &err);
    need(pw_encode_gpu_put(e, t->list, 2, vectors, &err), &err);
    assert_int_equal(pw_encode_gpu_put(e, (pw_ids[]){{(uint32_t[]){50}, 1}}, 1, unused, &err),
                     PAWL_UNSUPPORTED);
    assert_int_equal(pw_encode_gpu_put(e, (pw_ids[]){{t->ids[0], 0}}, 1, unused, &err),
                     PAWL_UNSUPPORTED);
    assert_int_equal(pw_encode_gpu_put(e, (pw_ids[]){{t->ids[0], 33}}, 1, unused, &err),
                     PAWL_UNSUPPORTED);
    need(pw_encode_gpu_finish(e, &err), &err);
    check(&m, t, vectors);
    pw_encoder_gpu_close(e);
    m.config.heads = 4; /* of 16 numbers */
    assert_int_equal(pw_encoder_gpu_open(&m, emulated_library(), 0, 32, &e, &err),
                     PAWL_UNSUPPORTED);
    free(vectors);
    free(t);
    random_model_deinit(&m);
}

/* ---- failures ---- */

/* Two texts three times, each a pass; many at once. */
static pawl_status attempt(const pw_model *m, const texts *t, float *vectors, pawl_error *err)
{
    pw_encoder_gpu *e = NULL;
    const size_t some = t->len > 2 ? t->len : 1, passes = t->len > 2 ? 1 : 3 * t->len;
    pawl_status status =
        pw_encoder_gpu_open(m, emulated_library(), 0, some > 1 ? 512 : 32, &e, err);
    for (size_t i = 0; i < passes && status == PAWL_OK; i++) {
        const size_t first = i * some % t->len;
        status =
            pw_encode_gpu_put(e, &t->list[first], some, vectors + first * m->config.width, err);
    }
    status = status == PAWL_OK ? pw_encode_gpu_finish(e, err) : status;
    if (e != NULL) {
        pw_encoder_gpu_close(e);
    }
    return status;
}

/* The 1st, then each so many later call of all fails, until there were not so many: either it is said, or it did no harm. A step of 1 reaches all, and takes
 * minutes beside other work. */
static void fail_each_call(bool lost, const size_t *lengths, size_t len, unsigned step)
{
    const random_model_sizes sizes = {1, 1, 32, 20, 32};
    const emulated_control *c = emulated_fresh();
    pw_model m;
    size_t said = 0, harmless = 0;
    random_model_init(&m, &sizes);
    texts *t = make_texts(lengths, len, sizes.vocabulary);
    float *vectors = calloc(len * m.config.width, sizeof *vectors);
    for (unsigned long nth = 1;; nth += step) {
        pawl_error err;
        c->fail_at(nth, lost ? 1 : 0);
        const pawl_status status = attempt(&m, t, vectors, &err);
        if (!c->failed()) {
            need(status, &err);
            break;
        }
        said += status == PAWL_OK ? 0 : 1;
        harmless += status == PAWL_OK ? 1 : 0;
        assert_true(status == PAWL_OK || status == PAWL_NOMEM || status == PAWL_IO);
        assert_true(status == PAWL_OK || err.message[0] != '\0');
        c->fail_at(0, 0);
    }
    check(&m, t, vectors);
    (void)printf("of %zu failures %zu were said, %zu did no harm (recording a graph, closing)\n",
                 said + harmless, said, harmless);
    assert_true(said >= 20 / step && harmless >= 1);
    free(vectors);
    free(t);
    random_model_deinit(&m);
}

static void a_call_that_fails_is_said_and_everything_is_given_back(void **state)
{
    (void)state;
    fail_each_call(false, (size_t[]){5, 9}, 2, 2);
    assert_int_equal(setenv("PAWL_GPU_WITHOUT", "own", 1), 0); /* products by cuBLASLt */
    fail_each_call(false, (size_t[]){5, 9}, 2, 3);
    assert_int_equal(unsetenv("PAWL_GPU_WITHOUT"), 0);
}

static void a_call_that_fails_in_a_trial_is_said_or_does_no_harm(void **state)
{
    (void)state;
    fail_each_call(false, many_lengths, PW_COUNT(many_lengths), 17);
}

static void a_device_that_is_lost_is_said_and_everything_is_given_back(void **state)
{
    (void)state;
    fail_each_call(true, (size_t[]){5, 9}, 2, 5);
}

/* ---- the real model ---- */

static void some_texts_of_the_reference_have_its_vectors(void **state)
{
    static const size_t some[] = {2, 5}; /* short ones: an emulated device is slow */
    pw_model *m = NULL;
    pw_encoder_gpu *e = NULL;
    pawl_error err;
    (void)state;
    if (access(rig_model(), R_OK) != 0) {
        (void)printf("left out: no model in %s\n", rig_model());
        return;
    }
    (void)emulated_fresh();
    need(pw_model_open(rig_model(), &m, &err), &err);
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *all = rig_texts(scope);
    need(pw_encoder_gpu_open(m, emulated_library(), 0, 64, &e, &err), &err);
    for (size_t i = 0; i < PW_COUNT(some); i++) {
        const pawl_value *ids = pawl_get(pawl_at(all, some[i]), "ids"),
                         *vector = pawl_get(pawl_at(all, some[i]), "embedding");
        uint32_t list[64];
        float expected[384], got[384];
        assert_true(pawl_len(ids) <= 64);
        for (size_t k = 0; k < pawl_len(ids); k++) {
            list[k] = (uint32_t)pawl_int(pawl_at(ids, k), "", -1);
        }
        for (size_t k = 0; k < 384; k++) {
            expected[k] = (float)pawl_num(pawl_at(vector, k), "", 9);
        }
        need(pw_encode_gpu(e, (pw_ids[]){{list, pawl_len(ids)}}, 1, got, &err), &err);
        const double c = cosine(got, expected, 384);
        (void)printf("reference text %zu, %zu tokens: cosine %.8f\n", some[i], pawl_len(ids), c);
        assert_true(c >= COSINE_MIN);
    }
    pw_encoder_gpu_close(e);
    pawl_scope_free(scope);
    pw_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_every_length_are_as_the_plain_encoder_has_them),
        cmocka_unit_test(the_longest_text_fits_into_shared_memory),
        cmocka_unit_test(a_models_first_row_can_be_its_vector),
        cmocka_unit_test(rows_of_every_width_are_normed),
        cmocka_unit_test(every_slower_way_computes_the_same),
        cmocka_unit_test(products_of_many_rows_are_chosen_by_a_trial),
        cmocka_unit_test(a_pass_that_comes_again_is_replayed_with_its_own_texts),
        cmocka_unit_test(what_the_device_cannot_take_is_refused_and_leaves_the_rest_alone),
        cmocka_unit_test(a_call_that_fails_is_said_and_everything_is_given_back),
        cmocka_unit_test(a_device_that_is_lost_is_said_and_everything_is_given_back),
        cmocka_unit_test(a_call_that_fails_in_a_trial_is_said_or_does_no_harm),
        cmocka_unit_test(some_texts_of_the_reference_have_its_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
