/*
 * kept_test.c - a chooser's vectors outlive its process in a collection of the journal: after a restart nothing is embedded that did not change; another model
 * begins anew. The model is a toy that counts what it is asked. Does not ask what is chosen.
 */
#include "index_rig.h"

#include <string.h>

#include "activities/chooser.h"
#include "activities/embed/index.h"

static size_t made; /* texts, queries too */

static pawl_status toy(void *user, bool queries, const pawl_choose_text *texts, size_t len,
                       float *ret_vectors, pawl_error *err)
{
    (void)user;
    (void)queries;
    (void)err;
    memset(ret_vectors, 0, len * WIDTH * sizeof *ret_vectors);
    for (size_t i = 0; i < len; i++) {
        ret_vectors[i * WIDTH + texts[i].size % WIDTH] = 1;
    }
    made += len;
    return PAWL_OK;
}

static pw_choose_doc docs[] = {{"dig", 3, "a hole", 6, "", 0},
                               {"fill", 4, "it again", 8, "", 0},
                               {"bury", 4, "a bone", 6, "", 0}};

/* Which of the first len fits; a chooser of its own, as after a start. Gives how many texts were embedded for it. */
static size_t chosen(index_rig *r, pawl_index *index, size_t len, const char *query,
                     size_t *ret_best)
{
    pawl_choose_vectors v;
    pawl_chooser *c = NULL;
    pw_chooser_found found;
    const pawl_choose_text text = {query, strlen(query)};
    const pw_chooser_ask ask = {.docs = docs,
                                .len = len,
                                .queries = &text,
                                .queries_len = 1,
                                .k = 1,
                                .by = PW_CHOOSE_MEANING};
    pawl_index_vectors(index, &v);
    assert_int_equal(v.width, WIDTH);
    v.embed = toy;
    must(r, pawl_chooser_open(&v, &c, &r->err));
    made = 0;
    must(r, pw_chooser_best(c, r->scope, &ask, &found, &r->err));
    assert_int_equal(found.len, 1);
    *ret_best = found.best[0].index;
    pawl_chooser_close(c);
    return made;
}

static void a_start_embeds_nothing_that_did_not_change(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    /* "fill: it again" has 14 bytes, as this. */
    assert_int_equal(chosen(r, r->index, 2, "fourteen bytes", &best), 3);
    assert_int_equal(best, 1);
    assert_int_equal(chosen(r, r->index, 2, "fourteen bytes", &best), 1); /* the query */
    assert_int_equal(best, 1);
    assert_int_equal(chosen(r, r->index, 3, "fourteen bytes", &best), 2); /* and what is new */
    assert_int_equal(best, 1);
}

static void also_not_after_the_journal_was_closed(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    (void)chosen(r, r->index, 3, "fourteen bytes", &best);
    index_reopen(r);
    assert_int_equal(chosen(r, r->index, 3, "fourteen bytes", &best), 1);
    assert_int_equal(best, 1);
}

static void vectors_of_another_model_are_not_taken_but_made_anew(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    pawl_index *other = index_other(r, "model two", WIDTH);
    (void)chosen(r, r->index, 3, "fourteen bytes", &best);
    assert_int_equal(chosen(r, other, 3, "fourteen bytes", &best), 4);
    assert_int_equal(chosen(r, other, 3, "fourteen bytes", &best), 1);
    pawl_index_close(other);
}

static void what_is_kept_can_be_searched_and_removed(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    const pawl_index_query q = {
        .struct_size = sizeof q, .text = {"bone", 4}, .mode = PAWL_INDEX_WORDS};
    const pawl_value *found = NULL;
    (void)chosen(r, r->index, 3, "fourteen bytes", &best);
    must(r, pawl_index_search(r->index, "pawl.tools", &q, r->scope, &found, &r->err));
    assert_int_equal(pawl_len(found), 1);
    assert_string_equal(pawl_str(found, "0.text", ""), "bury: a bone");
    must(r, pawl_index_remove(r->index, "pawl.tools", &r->err));
    assert_int_equal(chosen(r, r->index, 3, "fourteen bytes", &best), 4);
}

static int64_t items_of(index_rig *r)
{
    const pawl_value *about = NULL;
    must(r, pawl_index_info(r->index, "pawl.tools", r->scope, &about, &r->err));
    return pawl_int(about, "items", -1);
}

/* [V20] */
static void a_collection_of_somebody_else_under_that_name_is_refused_or_left_alone(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    assert_int_equal(pawl_index_create(r->index, "pawl.tools", NULL, &r->err), PAWL_INVALID);
    assert_non_null(strstr(r->err.message, "begin with pawl."));
    assert_int_equal(pawl_index_create(r->index, "pawl.", NULL, &r->err), PAWL_INVALID);
    must(r, pawl_index_create(r->index, "pawl", NULL, &r->err));
    /* As a program of before could, or one that asks the engine itself. */
    must(r, pw_index_create(r->index, "pawl.tools", "my own tools", &r->err));
    const float vector[WIDTH] = {1};
    const pawl_index_item item = {.key = "mine", .text = {"a bone", 6}, .vector = vector};
    must(r, pawl_index_put(r->index, "pawl.tools", &item, 1, NULL, &r->err));
    assert_int_equal(chosen(r, r->index, 3, "fourteen bytes", &best), 4);
    assert_int_equal(best, 1);
    pawl_index *other = index_other(r, "model two", WIDTH);
    assert_int_equal(chosen(r, other, 3, "fourteen bytes", &best), 4);
    pawl_index_close(other);
    assert_int_equal(items_of(r), 1);
}

static void what_another_text_is_made_of_is_made_and_the_old_one_is_not_taken_for_it(void **state)
{
    index_rig *r = *state;
    size_t best = 9;
    (void)chosen(r, r->index, 3, "fourteen bytes", &best);
    assert_int_equal(items_of(r), 3);
    docs[1].text = "it again and more"; /* the server says so now */
    docs[1].text_size = 17;
    assert_int_equal(chosen(r, r->index, 3, "twenty-three bytes long", &best), 2);
    assert_int_equal(best, 1);
    assert_int_equal(items_of(r), 4);
    docs[1].text = "it again";
    docs[1].text_size = 8;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_embeds_nothing_that_did_not_change,
                                        index_setup_memory, index_teardown),
        cmocka_unit_test_setup_teardown(also_not_after_the_journal_was_closed, index_setup_file,
                                        index_teardown),
        cmocka_unit_test_setup_teardown(vectors_of_another_model_are_not_taken_but_made_anew,
                                        index_setup_memory, index_teardown),
        cmocka_unit_test_setup_teardown(
            a_collection_of_somebody_else_under_that_name_is_refused_or_left_alone,
            index_setup_memory, index_teardown),
        cmocka_unit_test_setup_teardown(
            what_another_text_is_made_of_is_made_and_the_old_one_is_not_taken_for_it,
            index_setup_memory, index_teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_can_be_searched_and_removed,
                                        index_setup_memory, index_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
