/*
 * retry_after_test.c - an attempt that fails with a time for the next one: a durable wait that costs none of the retries.
 */
#include "tests/engine/rig.h"

static const pawl_value *once(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in, .retries = 1, .retry_initial_s = 2,
                     .no_retry = "Denied");
}

static const pawl_value *items(pawl_run *w, const pawl_value *in)
{
    return pawl_map(w, "work", .items = in, .retries = PAWL_RETRY_NONE);
}

static void begin(rig *r)
{
    rig_workflow(r, "wf", once);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
}

static rig_task *fail_for(rig *r, double seconds, const char *type, bool retryable)
{
    rig_task *t = rig_task_find(r, "work");
    assert_non_null(t);
    assert_null(pawl_task_retry_after(t->task, seconds));
    rig_fail(r, t, type, retryable);
    return t;
}

/* Not before that time, and then at once. */
static void comes_after(rig *r, int64_t ms)
{
    rig_advance(r, ms - 1);
    assert_null(rig_task_find(r, "work"));
    rig_advance(r, 1);
    assert_non_null(rig_task_find(r, "work"));
}

static void the_next_attempt_comes_at_that_time_and_costs_no_retry(void **state)
{
    rig *r = *state;
    begin(r);
    for (int i = 0; i < 20; i++) {
        (void)fail_for(r, 30, "Busy", true);
        comes_after(r, 30000);
    }
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "work")->task), 21);
    rig_fail(r, rig_task_find(r, "work"), "Boom",
             true); /* of its own: the one retry there is, at the policy's time */
    comes_after(r, 2000);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static void the_wait_and_the_retries_that_are_left_survive_crashes(void **state)
{
    rig *r = *state;
    begin(r);
    for (int i = 0; i < 3; i++) {
        (void)fail_for(r, 3600, "Busy", true);
        rig_crash(r);
        rig_run(r);
        comes_after(r, 3600000);
    }
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    rig_crash(r);
    rig_run(r);
    comes_after(r, 2000);
    rig_crash(r);
    rig_run(r);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 4);
}

static void at_once_is_a_time_too(void **state)
{
    rig *r = *state;
    begin(r);
    for (int i = 0; i < 10; i++) {
        (void)fail_for(r, i % 2 == 0 ? 0 : -7, "Busy", true);
        rig_run(r);
    }
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void what_is_not_to_be_tried_again_is_not(void **state)
{
    rig *r = *state;
    begin(r);
    (void)fail_for(r, 30, "Busy", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_start(r, "wf", "b");
    (void)fail_for(r, 30, "Denied", true);
    assert_string_equal(rig_status(r, "b"), "failed");
    rig_start(r, "wf", "c");
    (void)fail_for(r, 30, "Busy", true);
    (void)rig_ask(r, "cancel", "{id: \"c\"}");
    assert_string_equal(rig_status(r, "c"), "canceled");
}

static void a_result_is_a_result_whatever_was_said_of_retries(void **state)
{
    rig *r = *state;
    begin(r);
    rig_task *t = rig_task_find(r, "work");
    (void)pawl_task_retry_after(t->task, 30);
    rig_done(r, t, rig_value(r, "1"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void items_of_a_map_wait_too(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", items);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "[1]"));
    for (int i = 0; i < 3; i++) {
        (void)fail_for(r, 10, "Busy", true);
        comes_after(r, 10000);
    }
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_next_attempt_comes_at_that_time_and_costs_no_retry),
        RIG_TEST(the_wait_and_the_retries_that_are_left_survive_crashes),
        RIG_TEST(at_once_is_a_time_too),
        RIG_TEST(what_is_not_to_be_tried_again_is_not),
        RIG_TEST(a_result_is_a_result_whatever_was_said_of_retries),
        RIG_TEST(items_of_a_map_wait_too),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
