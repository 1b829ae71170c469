/*
 * encode_gpu_test.c - the encoder on a GPU against the reference: least cosine, largest difference, neighbours, and what is refused. Skipped where there is
 * no device. Measures no speed: tests/gpu/gpu_check.c does.
 */
#include "tests/embed/embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "activities/embed/encode_gpu.h"

#define COSINE_MIN 0.99999
#define TOKENS 16384
#define WIDTH 384

typedef struct gpu_rig {
    pw_model *m;
    pw_encoder_gpu *e;
    pawl_scope *scope;
    const pawl_value *texts;
    uint32_t ids[68][256];
    pw_ids list[68];
} gpu_rig;

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

static void take_texts(gpu_rig *r)
{
    r->scope = pawl_scope_new();
    r->texts = rig_texts(r->scope);
    for (size_t i = 0; i < 68; i++) {
        const pawl_value *ids = pawl_get(pawl_at(r->texts, i), "ids");
        r->list[i] = (pw_ids){r->ids[i], pawl_len(ids)};
        for (size_t k = 0; k < pawl_len(ids); k++) {
            r->ids[i][k] = (uint32_t)pawl_int(pawl_at(ids, k), "", -1);
        }
    }
}

static void every_text_is_as_near_to_the_reference_as_16_bits_allow(void **state)
{
    gpu_rig *r = *state;
    static float vectors[68 * WIDTH];
    pawl_error err;
    double least = 1;
    if (pw_encode_gpu(r->e, r->list, 68, vectors, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    for (size_t i = 0; i < 68; i++) {
        float expected[WIDTH];
        const pawl_value *vector = pawl_get(pawl_at(r->texts, i), "embedding");
        for (size_t k = 0; k < WIDTH; k++) {
            expected[k] = (float)pawl_num(pawl_at(vector, k), "", 9);
        }
        const double c = cosine(vectors + i * WIDTH, expected);
        if (!(c >= COSINE_MIN)) {
            fail_msg("text %zu: cosine %.8f", i, c);
        }
        least = c < least ? c : least;
    }
    (void)printf("the least cosine is %.8f\n", least);
}

static void a_text_alone_is_what_it_is_among_others(void **state)
{
    gpu_rig *r = *state;
    static float together[68 * WIDTH];
    pawl_error err;
    assert_int_equal(pw_encode_gpu(r->e, r->list, 68, together, &err), PAWL_OK);
    for (size_t i = 0; i < 68; i += 9) {
        float alone[WIDTH];
        assert_int_equal(pw_encode_gpu(r->e, &r->list[i], 1, alone, &err), PAWL_OK);
        assert_true(cosine(alone, together + i * WIDTH) >=
                    0.999999); /* another number of rows may be another product */
    }
}

static void what_the_device_cannot_take_is_refused(void **state)
{
    gpu_rig *r = *state;
    float vector[WIDTH];
    pawl_error err;
    assert_int_equal(pw_encode_gpu(r->e, (pw_ids[]){{(uint32_t[]){30522}, 1}}, 1, vector, &err),
                     PAWL_UNSUPPORTED);
    assert_int_equal(pw_encode_gpu(r->e, (pw_ids[]){{r->ids[0], 0}}, 1, vector, &err),
                     PAWL_UNSUPPORTED);
    assert_int_equal(pw_encode_gpu(r->e, r->list, 1, vector, &err), PAWL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_is_as_near_to_the_reference_as_16_bits_allow),
        cmocka_unit_test(a_text_alone_is_what_it_is_among_others),
        cmocka_unit_test(what_the_device_cannot_take_is_refused),
    };
    static gpu_rig r;
    void *state = &r;
    pawl_error err;
    rig_need_models();
    if (pw_model_open(rig_model(), &r.m, &err) != PAWL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const pawl_status status = pw_encoder_gpu_open(r.m, CUDA_LIBRARY, 0, TOKENS, &r.e, &err);
    int failed = 1;
    if (status == PAWL_NOTFOUND) {
        (void)printf("skipped: %s\n", err.message);
        failed = 77;
    } else if (status == PAWL_OK) {
        take_texts(&r);
        struct CMUnitTest run[3];
        for (size_t i = 0; i < 3; i++) {
            run[i] = tests[i];
            run[i].initial_state = state;
        }
        failed = cmocka_run_group_tests(run, NULL, NULL);
    } else {
        (void)fprintf(stderr, "%s\n", err.message);
    }
    pawl_scope_free(r.scope);
    pw_encoder_gpu_close(r.e);
    pw_model_close(r.m);
    return failed;
}
