/*
 * collection_test.c - requests about collections as the core takes them: those of one moment, and the bounds of what there may be. Does not test
 * items, words and searches (tests/journal/conformance_collection_test.c, tests/embed/index_test.c).
 */
#include "rig.h"

#include <stdio.h>

#include "sdk/base/limits.h"

static rig_reply *post_create(rig *r, const char *name, int width, const char *identity)
{
    return rig_post(r, "index_create", "{collection: %s, width: %d, identity: %s, model: %s}", name,
                    width, identity, identity);
}

/* Both are in one group, or in two that follow each other: the second knows of the first before it is on disk. */
static void of_two_that_make_one_collection_at_once_the_other_model_is_refused(void **state)
{
    rig *r = *state;
    rig_reply *first = post_create(r, "c", 8, "one");
    rig_reply *other = post_create(r, "c", 8, "two");
    rig_reply *wide = post_create(r, "c", 16, "one");
    rig_reply *same = post_create(r, "c", 8, "one");
    rig_run(r);
    assert_int_equal(first->status, PAWL_OK);
    assert_int_equal(same->status, PAWL_OK);
    assert_int_equal(other->status, PAWL_CONFLICT);
    assert_non_null(strstr(other->message, "one"));
    assert_non_null(strstr(other->message, "two"));
    assert_int_equal(wide->status, PAWL_CONFLICT);
    assert_non_null(strstr(wide->message, "16 numbers"));
    first = post_create(r, "d", 8, "one");
    rig_step(r); /* its group is handed over, and not written yet */
    other = post_create(r, "d", 8, "two");
    rig_run(r);
    assert_int_equal(first->status, PAWL_OK);
    assert_int_equal(other->status, PAWL_CONFLICT);
    assert_int_equal(
        rig_ask(r, "index_create", "{collection: 'd', width: 8, identity: 'one'}")->status,
        PAWL_OK);
}

/* One that did not land is not in the way. */
static void a_collection_that_was_not_made_may_be_made_otherwise(void **state)
{
    rig *r = *state;
    (void)post_create(r, "c", 8, "one");
    rig_step(r);
    rig_crash(r);
    assert_int_equal(rig_ask(r, "index_create", "{collection: 'c', width: 4}")->status, PAWL_OK);
}

/* As many as may be: those being made count. */
static void no_more_collections_are_made_at_once_than_there_may_be(void **state)
{
    rig *r = *state;
    rig_reply *last = NULL, *beyond = NULL;
    for (int i = 0; i <= PW_INDEX_COLLECTIONS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c%d", i);
        rig_reply *reply = post_create(r, name, 2, "one");
        last = i + 1 == PW_INDEX_COLLECTIONS_MAX ? reply : last;
        beyond = reply;
    }
    rig_run(r);
    assert_int_equal(last->status, PAWL_OK);
    assert_int_equal(beyond->status, PAWL_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(of_two_that_make_one_collection_at_once_the_other_model_is_refused),
        RIG_TEST(a_collection_that_was_not_made_may_be_made_otherwise),
        RIG_TEST(no_more_collections_are_made_at_once_than_there_may_be),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], true);
}
