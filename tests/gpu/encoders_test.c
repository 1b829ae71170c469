/*
 * encoders_test.c - texts over several devices, devices that fail at any call, devices without memory, texts that no device takes: every text has its vector,
 * from wherever. On emulated devices, at the border of encoders.h and, where the real model is there, through the public calls.
 */
#include "emulated_rig.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activities/embed/encode_reference.h"
#include "activities/embed/encoders.h"
#include "random_model.h"
#include "sdk/base/error.h"
#include "sdk/pawl_embed.h"

#define TEXTS 12
#define WIDTH 32
#define LENGTH_MAX 600

typedef struct rig {
    pw_model m;
    pw_encoders *e;
    uint32_t ids[TEXTS][LENGTH_MAX];
    pw_ids list[TEXTS];
    float expected[TEXTS * WIDTH];
} rig;

static void need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        fail_msg("%s", err->message);
    }
}

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

/* longest: tokens of the last text. */
static rig *make_rig(size_t longest)
{
    rig *r = calloc(1, sizeof *r);
    uint32_t random = 3;
    pawl_error err;
    assert_non_null(r);
    random_model_init(&r->m, &(random_model_sizes){1, 1, 32, 20, LENGTH_MAX});
    for (size_t i = 0; i < TEXTS; i++) {
        const size_t len = i + 1 < TEXTS ? 3 + i : longest;
        for (size_t k = 0; k < len; k++) {
            r->ids[i][k] = (uint32_t)(random_number(&random) * 20);
        }
        r->list[i] = (pw_ids){r->ids[i], len};
        need(pw_encode_reference(&r->m, r->ids[i], len, r->expected + i * WIDTH, &err), &err);
    }
    return r;
}

static void open_rig(rig *r, size_t pass_tokens)
{
    const pw_encoders_options options = {.library = emulated_library(), .pass_tokens = pass_tokens};
    pawl_error err;
    need(pw_encoders_open(&r->m, &options, &r->e, &err), &err);
}

static void free_rig(rig *r)
{
    pw_encoders_close(r->e);
    random_model_deinit(&r->m);
    free(r);
}

static void encode(rig *r)
{
    float vectors[TEXTS * WIDTH] = {0};
    pawl_error err;
    need(pw_encoders_encode(r->e, r->list, TEXTS, 1, vectors, &err), &err);
    for (size_t i = 0; i < TEXTS; i++) {
        const double c = cosine(vectors + i * WIDTH, r->expected + i * WIDTH, WIDTH);
        if (!(c >= 0.99999)) {
            fail_msg("text %zu: cosine %.8f", i, c);
        }
    }
}

static void texts_go_to_every_device(void **state)
{
    const emulated_control *c = emulated_fresh();
    rig *r = make_rig(9);
    (void)state;
    c->devices(3);
    open_rig(r, 16);
    assert_int_equal(pw_encoders_devices(r->e), 3);
    const unsigned long before = c->kernels();
    encode(r);
    assert_true(c->kernels() > before);
    free_rig(r);
}

static void a_text_longer_than_a_device_takes_is_the_processors(void **state)
{
    rig *r = make_rig(513);
    (void)state;
    (void)emulated_fresh();
    open_rig(r, 1024);
    encode(r);
    assert_int_equal(pw_encoders_devices(r->e), 1); /* it is no fault of the device */
    free_rig(r);
}

static void what_numbers_of_16_bits_do_not_hold_is_the_processors(void **state)
{
    const emulated_control *c = emulated_fresh();
    rig *r = make_rig(9);
    pawl_error err;
    (void)state;
    float *bias = r->m.numbers + (r->m.layers[0].up.bias - r->m.numbers);
    bias[0] = 100000; /* of one inner number: past 65,504 */
    for (size_t i = 0; i < TEXTS; i++) {
        need(pw_encode_reference(&r->m, r->ids[i], r->list[i].len, r->expected + i * WIDTH, &err),
             &err);
    }
    open_rig(r, 16);
    const unsigned long before = c->kernels();
    encode(r);
    assert_true(c->kernels() > before);             /* it was tried */
    assert_int_equal(pw_encoders_devices(r->e), 1); /* it is no fault of the device */
    free_rig(r);
}

static void without_devices_the_processor_does_it(void **state)
{
    const emulated_control *c = emulated_fresh();
    rig *r = make_rig(9);
    (void)state;
    c->devices(0);
    open_rig(r, 16);
    assert_int_equal(pw_encoders_devices(r->e), 0);
    encode(r);
    free_rig(r);
}

static void devices_without_memory_are_left_out(void **state)
{
    const emulated_control *c = emulated_fresh();
    rig *r = make_rig(9);
    (void)state;
    c->devices(2);
    c->memory(70u << 20); /* for the workspaces of one */
    open_rig(r, 16);
    assert_int_equal(pw_encoders_devices(r->e), 1);
    encode(r);
    c->memory(0);
    free_rig(r);
}

/* The 1st, 12th, 23rd ... call after opening fails, until there were not so many. */
static void fail_while_encoding(bool lost, int devices)
{
    const emulated_control *c = emulated_fresh();
    bool failed = true;
    size_t dropped = 0, rounds = 0;
    for (unsigned long nth = 1; failed; nth += 11, rounds++) {
        rig *r = make_rig(9);
        c->devices(devices);
        open_rig(r, 16);
        c->fail_at(nth, lost ? 1 : 0);
        encode(r);
        encode(r);
        failed = c->failed() != 0;
        dropped += pw_encoders_devices(r->e) < (unsigned)devices ? 1 : 0;
        c->fail_at(0, 0);
        free_rig(r);
    }
    (void)printf("%zu rounds, a device dropped in %zu\n", rounds, dropped);
    assert_true(dropped > 5);
}

static void a_device_that_is_lost_costs_no_text(void **state)
{
    (void)state;
    fail_while_encoding(true, 1);
    fail_while_encoding(true, 2);
}

static void a_call_that_fails_costs_no_text(void **state)
{
    (void)state;
    fail_while_encoding(false, 2);
}

static void *encode_often(void *arg)
{
    for (int i = 0; i < 3; i++) {
        encode(arg);
    }
    return NULL;
}

static void several_callers_share_the_devices(void **state)
{
    const emulated_control *c = emulated_fresh();
    rig *r = make_rig(9);
    pthread_t threads[3];
    (void)state;
    c->devices(2);
    open_rig(r, 32);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, encode_often, r), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    free_rig(r);
}

/* ---- the public calls ---- */

static void embed_by(const char *gpu, uint32_t gpus, float *vector)
{
    const pawl_embed_options options = {.struct_size = sizeof options, .threads = 1, .gpu = gpu};
    const pawl_embed_text text = {"retry a failed step", 19};
    pawl_embedder *e = NULL;
    pawl_embed_info info;
    pawl_error err;
    need(pawl_embed_open(rig_model(), &options, &e, &err), &err);
    pawl_embed_about(e, &info);
    assert_int_equal(info.gpus, gpus);
    need(pawl_embed_texts(e, &text, 1, vector, NULL, &err), &err);
    pawl_embed_close(e);
}

static void the_public_calls_use_a_device_unless_told_not_to(void **state)
{
    static float by_device[384], by_processor[384], by_environment[384];
    (void)state;
    if (access(rig_model(), R_OK) != 0) {
        (void)printf("left out: no model in %s\n", rig_model());
        return;
    }
    const emulated_control *c = emulated_fresh();
    const unsigned long before = c->kernels();
    embed_by(emulated_library(), 1, by_device);
    assert_true(c->kernels() > before);
    embed_by("off", 0, by_processor);
    assert_true(cosine(by_device, by_processor, 384) >= 0.99999);
    assert_int_equal(setenv("PAWL_GPU", "off", 1), 0);
    embed_by(NULL, 0, by_environment);
    assert_memory_equal(by_environment, by_processor, sizeof by_processor);
    assert_int_equal(unsetenv("PAWL_GPU"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_go_to_every_device),
        cmocka_unit_test(a_text_longer_than_a_device_takes_is_the_processors),
        cmocka_unit_test(what_numbers_of_16_bits_do_not_hold_is_the_processors),
        cmocka_unit_test(without_devices_the_processor_does_it),
        cmocka_unit_test(devices_without_memory_are_left_out),
        cmocka_unit_test(a_device_that_is_lost_costs_no_text),
        cmocka_unit_test(a_call_that_fails_costs_no_text),
        cmocka_unit_test(several_callers_share_the_devices),
        cmocka_unit_test(the_public_calls_use_a_device_unless_told_not_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
