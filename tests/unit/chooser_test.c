/*
 * chooser_test.c - vectors of texts are made once and remembered, the oldest forgotten, and a failure to make them is told. The model is a toy: a text's
 * letters. Does not ask what is chosen (choose_test.c).
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "activities/chooser.h"
#include "engine/memo.h"
#include "sdk/base/error.h"

#define WIDTH 26u

typedef struct toy {
    atomic_size_t made;
    bool broken;
} toy;

static pawl_status letters(void *user, bool queries, const pawl_choose_text *texts, size_t len,
                           float *ret_vectors, pawl_error *err)
{
    toy *t = user;
    (void)queries;
    if (t->broken) {
        return pw_err(err, PAWL_IO, "the toy is broken");
    }
    for (size_t i = 0; i < len; i++) {
        float *v = ret_vectors + i * WIDTH;
        double square = 0;
        memset(v, 0, WIDTH * sizeof *v);
        for (size_t k = 0; k < texts[i].size; k++) {
            const int c = texts[i].data[k] | 32;
            v[c >= 'a' && c <= 'z' ? c - 'a' : 25] += 1;
        }
        for (size_t k = 0; k < WIDTH; k++) {
            square += (double)v[k] * (double)v[k];
        }
        for (size_t k = 0; k < WIDTH && square > 0; k++) {
            v[k] = (float)((double)v[k] / sqrt(square));
        }
    }
    atomic_fetch_add(&t->made, len);
    return PAWL_OK;
}

static pawl_chooser *opened(toy *t)
{
    const pawl_choose_vectors v = {
        .struct_size = sizeof v, .embed = letters, .user = t, .width = WIDTH, .identity = "toy"};
    pawl_chooser *c = NULL;
    pawl_error err;
    assert_int_equal(pawl_chooser_open(&v, &c, &err), PAWL_OK);
    return c;
}

/* The one that is best of len docs called "a", "b" ..., and how many vectors had to be made. */
static size_t best(pawl_chooser *c, const pw_choose_doc *docs, size_t len, const char *query,
                   size_t *ret_embedded)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_choose_text text = {query, strlen(query)};
    const pw_chooser_ask ask = {.docs = docs,
                                .len = len,
                                .queries = &text,
                                .queries_len = 1,
                                .k = 1,
                                .at_least = -2,
                                .by = PW_CHOOSE_MEANING};
    pw_chooser_found found;
    pawl_error err;
    assert_int_equal(pw_chooser_best(c, scope, &ask, &found, &err), PAWL_OK);
    assert_int_equal(found.len, 1);
    assert_int_equal(found.by, PW_CHOOSE_MEANING);
    const size_t index = found.best[0].index;
    *ret_embedded = found.embedded;
    pawl_scope_free(scope);
    return index;
}

static const pw_choose_doc docs[] = {
    {"dig", 3, "ooo", 3, "", 0}, {"fill", 4, "eee", 3, "", 0}, {"dig", 3, "xyz", 3, "", 0}};

static void what_did_not_change_is_not_embedded_again(void **state)
{
    toy t = {0};
    size_t embedded = 0;
    pawl_chooser *c = opened(&t);
    (void)state;
    assert_int_equal(best(c, docs, 2, "eel", &embedded), 1);
    assert_int_equal(embedded, 3);
    assert_int_equal(best(c, docs, 3, "eel", &embedded), 1);
    assert_int_equal(embedded, 1); /* the third; name and text count together */
    assert_int_equal(best(c, docs, 3, "zzy", &embedded), 2);
    assert_int_equal(embedded, 1);
    assert_int_equal(best(c, docs, 3, "zzy", &embedded), 2);
    assert_int_equal(embedded, 0);
    assert_int_equal(t.made, 5);
    pawl_chooser_close(c);
}

/* How many of one text have to be embedded: 1 or 0. */
static size_t made_of(pawl_chooser *c, const char *text)
{
    pawl_scope *scope = pawl_scope_new();
    const pw_choose_doc doc = {NULL, 0, text, strlen(text), "", 0};
    const pw_chooser_ask ask = {.docs = &doc, .len = 1};
    double *cosines = NULL;
    size_t made = 9;
    pawl_error err;
    assert_int_equal(pw_chooser_cosines(c, scope, &ask, &cosines, &made, &err), PAWL_OK);
    pawl_scope_free(scope);
    return made;
}

static void the_oldest_is_forgotten_for_the_newest_and_all_others_are_still_found(void **state)
{
    toy t = {0};
    char text[12];
    pawl_chooser *c = opened(&t);
    (void)state;
    for (unsigned i = 0; i < PW_CHOOSER_KEPT + 100; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        assert_int_equal(made_of(c, text), 1);
    }
    for (unsigned i = 100; i < PW_CHOOSER_KEPT + 100; i++) {
        (void)snprintf(text, sizeof text, "%u", i);
        assert_int_equal(made_of(c, text), 0);
    }
    assert_int_equal(made_of(c, "0"), 1);
    pawl_chooser_close(c);
}

#define THREADS 4
#define ASKS 200

static void *ask_much(void *user)
{
    pawl_chooser *c = user;
    char text[ASKS][12];
    size_t wrong = 0;
    for (unsigned i = 0; i < ASKS; i++) {
        size_t embedded = 0;
        (void)snprintf(text[i], sizeof text[i], "%c%u", (char)('a' + i % 20), i);
        const pw_choose_doc d[] = {{NULL, 0, "zzz", 3, "", 0},
                                   {NULL, 0, text[i], strlen(text[i]), "", 0}};
        wrong += best(c, d, 2, text[i], &embedded) != 1;
    }
    return wrong == 0 ? NULL : c;
}

static void several_threads_may_choose_at_once(void **state)
{
    toy t = {0};
    pawl_chooser *c = opened(&t);
    pthread_t threads[THREADS];
    void *wrong = NULL;
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_much, c), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_true(atomic_load(&t.made) >= 2 * ASKS + 1);
    pawl_chooser_close(c);
}

static void without_vectors_it_is_by_words_whatever_was_asked_for(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_choose_text text = {"fill it", 7};
    const pw_chooser_ask ask = {
        .docs = docs, .len = 3, .queries = &text, .queries_len = 1, .k = 3, .by = PW_CHOOSE_HYBRID};
    pw_chooser_found found;
    pawl_error err;
    (void)state;
    assert_int_equal(pw_chooser_best(NULL, scope, &ask, &found, &err), PAWL_OK);
    assert_int_equal(found.by, PW_CHOOSE_WORDS);
    assert_int_equal(found.len, 1);
    assert_int_equal(found.best[0].index, 1);
    pawl_scope_free(scope);
}

/* What an authorization server gives has its address in front, and may be anything. */
static void any_workspace_has_a_space_of_its_own_that_the_journal_takes(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    char long_one[200], other[200];
    pawl_error err;
    memset(long_one, 'x', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = 0;
    memcpy(other, long_one, sizeof other);
    other[sizeof other - 2] = 'y';
    const char *digest = pw_concept_space(scope, long_one);
    long_one[91] = 0; /* the longest that is written out */
    other[92] = 0;
    const char *const spaces[] = {pw_concept_space(scope, NULL),
                                  pw_concept_space(scope, "web"),
                                  pw_concept_space(scope, "https://id.example:web"),
                                  pw_concept_space(scope, "two words"),
                                  pw_concept_space(scope, "\xc3\xa4"),
                                  pw_concept_space(scope, long_one),
                                  pw_concept_space(scope, other),
                                  pw_concept_space(scope, digest + strlen("concepts~")),
                                  digest};
    assert_string_equal(spaces[0], "concepts/default");
    assert_string_equal(spaces[2], "concepts/https://id.example:web");
    assert_int_equal(strlen(spaces[5]), 100);
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        assert_int_equal(pw_memo_names_ok(spaces[i], NULL, false, &err), PAWL_OK);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(spaces[i], spaces[k]);
        }
    }
    pawl_scope_free(scope);
    (void)state;
}

static void a_concept_that_is_meant_speaks_for_what_it_links_to(void **state)
{
    static const pw_choose_doc tools[] = {{"mail_send", 9, "ooo", 3, "", 0},
                                          {"crm_get", 7, "eee", 3, "", 0},
                                          {"bill", 4, "xyz", 3, "", 0}};
    toy t = {0};
    pawl_scope *scope = pawl_scope_new();
    pawl_chooser *choosers[] = {opened(&t), NULL};
    const pawl_choose_text text = {"that customer", 13};
    pawl_error err;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pw_chooser_found found;
        pw_chooser_ask ask = {.docs = tools,
                              .len = 3,
                              .queries = &text,
                              .queries_len = 1,
                              .k = 2,
                              .at_least = 0.99,
                              .by = PW_CHOOSE_HYBRID};
        assert_int_equal(pw_chooser_best(choosers[i], scope, &ask, &found, &err), PAWL_OK);
        assert_int_equal(found.len, 0);
        ask.concepts = pawl_build(
            scope,
            "[{key: 'Customer', text: 'who buys', data: {links: ['crm_*', 'bill', 'nobody']}},"
            "{key: 'Mail', text: 'kkk', data: {links: ['mail_*']}}]");
        assert_int_equal(pw_chooser_best(choosers[i], scope, &ask, &found, &err), PAWL_OK);
        assert_int_equal(found.len, 2);
        assert_int_equal(found.best[0].index + found.best[1].index, 3);
    }
    pawl_chooser_close(choosers[0]);
    pawl_scope_free(scope);
}

static void a_model_that_fails_is_told_and_nothing_is_remembered_of_it(void **state)
{
    toy t = {.broken = true};
    pawl_scope *scope = pawl_scope_new();
    pawl_chooser *c = opened(&t);
    const pawl_choose_text text = {"eel", 3};
    const pw_chooser_ask ask = {
        .docs = docs, .len = 3, .queries = &text, .queries_len = 1, .k = 3, .by = PW_CHOOSE_HYBRID};
    pw_chooser_found found;
    size_t embedded = 0;
    pawl_error err;
    (void)state;
    assert_int_equal(pw_chooser_best(c, scope, &ask, &found, &err), PAWL_IO);
    assert_string_equal(err.message, "the toy is broken");
    t.broken = false;
    assert_int_equal(best(c, docs, 3, "eel", &embedded), 1);
    assert_int_equal(embedded, 4);
    pawl_chooser_close(c);
    pawl_scope_free(scope);
}

static void a_chooser_without_a_way_to_vectors_is_refused(void **state)
{
    pawl_choose_vectors v = {.struct_size = sizeof v, .embed = letters, .width = 0};
    pawl_chooser *c = NULL;
    pawl_error err;
    (void)state;
    assert_int_equal(pawl_chooser_open(&v, &c, &err), PAWL_INVALID);
    v.width = 5;
    v.embed = NULL;
    assert_int_equal(pawl_chooser_open(&v, &c, &err), PAWL_INVALID);
    assert_null(c);
    pawl_chooser_close(NULL);
    assert_int_equal(pawl_chooser_open(NULL, &c, &err), PAWL_OK);
    assert_true(pw_chooser_by_words(c));
    pawl_chooser_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_did_not_change_is_not_embedded_again),
        cmocka_unit_test(the_oldest_is_forgotten_for_the_newest_and_all_others_are_still_found),
        cmocka_unit_test(several_threads_may_choose_at_once),
        cmocka_unit_test(without_vectors_it_is_by_words_whatever_was_asked_for),
        cmocka_unit_test(any_workspace_has_a_space_of_its_own_that_the_journal_takes),
        cmocka_unit_test(a_concept_that_is_meant_speaks_for_what_it_links_to),
        cmocka_unit_test(a_model_that_fails_is_told_and_nothing_is_remembered_of_it),
        cmocka_unit_test(a_chooser_without_a_way_to_vectors_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
