/*
 * encode_reference_test.c - the plain encoder gives the vectors that three other engines agreed on, to 2e-6. With "all" as argument on all 68 texts, which
 * takes minutes; else on some short ones. Measures no speed.
 */
#include "embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "activities/embed/encode_reference.h"

#define DIFFERENCE_MAX 2e-6
#define SHORT_TOKENS 7
#define SHORT_TEXTS 3

typedef struct checked {
    const pw_model *m;
    bool all;
    size_t texts;
    double worst;
} checked;

static void check(checked *c, const pawl_value *ids, const pawl_value *vector, size_t text)
{
    uint32_t numbers[512];
    float got[512];
    pawl_error err;
    const size_t len = pawl_len(ids);
    if (!c->all && (len > SHORT_TOKENS || c->texts == SHORT_TEXTS)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        numbers[i] = (uint32_t)pawl_int(pawl_at(ids, i), "", -1);
    }
    assert_int_equal(pw_encode_reference(c->m, numbers, len, got, &err), PAWL_OK);
    for (size_t k = 0; k < c->m->config.width; k++) {
        const double difference = fabs((double)got[k] - pawl_num(pawl_at(vector, k), "", 9));
        if (!(difference <= DIFFERENCE_MAX)) {
            fail_msg("text %zu, number %zu differs by %g", text, k, difference);
        }
        c->worst = difference > c->worst ? difference : c->worst;
    }
    c->texts++;
}

static bool run_all(int argc, char **argv)
{
    return argc > 1 && strcmp(argv[1], "all") == 0;
}

static void the_plain_encoder_gives_the_vectors_of_the_reference(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    pawl_error err;
    pw_model *m = NULL;
    if (pw_model_open(rig_model(), &m, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(m->config.width, 384);
    assert_int_equal(m->config.tokens_max, 256);
    checked c = {.m = m, .all = *(bool *)*state};
    const pawl_value *texts = rig_texts(scope);
    for (size_t i = 0; i < pawl_len(texts); i++) {
        const pawl_value *at = pawl_at(texts, i);
        check(&c, pawl_get(at, "ids"), pawl_get(at, "embedding"), i);
        if (c.all && pawl_get(at, "ids_max512") != NULL) {
            check(&c, pawl_get(at, "ids_max512"), pawl_get(at, "embedding_max512"), i);
        }
    }
    (void)printf("%zu vectors, the largest difference is %.2g\n", c.texts, c.worst);
    assert_true(c.texts >= SHORT_TEXTS);
    pw_model_close(m);
    pawl_scope_free(scope);
}

static void ids_that_the_model_does_not_have_are_refused(void **state)
{
    pawl_error err;
    pw_model *m = NULL;
    float vector[512];
    assert_int_equal(pw_model_open(rig_model(), &m, &err), PAWL_OK);
    assert_int_equal(pw_encode_reference(m, (uint32_t[]){30522}, 1, vector, &err), PAWL_INVALID);
    assert_int_equal(pw_encode_reference(m, (uint32_t[]){101}, 0, vector, &err), PAWL_INVALID);
    pw_model_close(m);
    (void)state;
}

int main(int argc, char **argv)
{
    bool all = run_all(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(the_plain_encoder_gives_the_vectors_of_the_reference, &all),
        cmocka_unit_test(ids_that_the_model_does_not_have_are_refused),
    };
    rig_need_models();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
