/*
 * later_test.c - attempts that were told to come later (they wait, and do not count), and attempts that do not know what came of them.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

typedef struct plan {
    int failures;     /* then it succeeds */
    int64_t later_ms; /* -1 = says nothing */
    bool retryable;
    bool unknown;
    int tries;
} plan;

static plan the_plan;

static const pawl_value *ask_server(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    if (++the_plan.tries > the_plan.failures) {
        return pawl_task_build(task, "{tries: %d}", the_plan.tries);
    }
    if (the_plan.later_ms >= 0) {
        (void)pawl_task_retry_after(task, (double)the_plan.later_ms / 1000);
    }
    if (the_plan.unknown) {
        pawl_task_outcome_unknown(task);
    }
    return pawl_task_fail_with(task, "Busy", "come later", NULL, the_plan.retryable);
}

static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "ask", .retries = 1, .retry_initial_s = 1);
}

static const pawl_value *asks_unsafe(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "ask", .retries = 1, .retry_initial_s = 1, .effect = PAWL_EFFECT_UNSAFE);
}

static const pawl_value *asks_thrice(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_map(w, "ask", pawl_json(w, "[1, 2, 3]"), .width = 1, .retries = 1,
                    .retry_initial_s = 1);
}

static void begin(rig *r, pawl_workflow_fn fn, plan p)
{
    the_plan = p;
    rig_workflow(r, "wf", fn);
    rig_activity(r, "ask", ask_server);
    rig_start(r, "wf", "a");
}

static void an_attempt_told_to_come_later_waits_and_does_not_count(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 7, .later_ms = 60000, .retryable = true});
    for (int i = 1; i <= 7; i++) {
        assert_int_equal(the_plan.tries, i);
        rig_advance(r, 59000);
        assert_int_equal(the_plan.tries, i);
        rig_advance(r, 1000);
    }
    assert_int_equal(pawl_int(rig_result(r, "a"), "tries", 0), 8);
    assert_int_equal(pawl_int(rig_event(r, "a", "ActivityRetried", 1), "failure.retry_ms", 0),
                     60000);
}

static void what_it_waited_for_does_not_count_after_a_crash_either(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 7, .later_ms = 60000, .retryable = true});
    for (int i = 1; i <= 7; i++) {
        rig_crash(r);
        rig_run(r);
        assert_int_equal(the_plan.tries, i);
        rig_advance(r, 60000);
    }
    assert_int_equal(pawl_int(rig_result(r, "a"), "tries", 0), 8);
}

static void attempts_that_fail_otherwise_count_as_ever(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 3, .later_ms = 60000, .retryable = true});
    rig_advance(r, 60000);
    rig_advance(r, 60000);
    the_plan.failures = 100;
    the_plan.later_ms = -1;
    rig_advance(r, 60000); /* the 4th try, the 1st that counts */
    rig_advance(r, 3600000);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(the_plan.tries, 5);
}

static void a_failure_that_is_final_is_not_tried_later(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 5, .later_ms = 1000, .retryable = false});
    rig_advance(r, 3600000);
    assert_int_equal(the_plan.tries, 1);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static void a_cancelled_run_does_not_wait_for_later(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 5, .later_ms = 86400000, .retryable = true});
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(the_plan.tries, 1);
}

static void items_of_a_map_wait_without_counting_too(void **state)
{
    rig *r = *state;
    begin(r, asks_thrice, (plan){.failures = 5, .later_ms = 10000, .retryable = true});
    for (int i = 0; i < 5; i++) {
        rig_advance(r, 10000);
    }
    assert_int_equal(pawl_len(rig_result(r, "a")), 3);
    assert_int_equal(the_plan.tries, 8);
}

static void an_unsafe_attempt_that_does_not_know_is_asked_about(void **state)
{
    rig *r = *state;
    begin(r, asks_unsafe,
          (plan){.failures = 1, .later_ms = -1, .retryable = true, .unknown = true});
    rig_advance(r, 3600000);
    assert_int_equal(the_plan.tries, 1);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    rig_run(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "tries", 0), 2);
}

static void any_other_attempt_that_does_not_know_is_tried_again(void **state)
{
    rig *r = *state;
    begin(r, asks, (plan){.failures = 1, .later_ms = -1, .retryable = true, .unknown = true});
    rig_advance(r, 1000);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 0);
    assert_int_equal(pawl_int(rig_result(r, "a"), "tries", 0), 2);
}

/* ---- attempts that had begun when the process ended ---- */

static void end_inside(rig *r, int64_t attempt)
{
    int64_t run = rig_key(r, "a");
    rig_kill(r);
    r->crumb = (pw_crumb_found){.tasks_len = 2, .tasks = {{run, 1, 0, attempt}, {4711, 1, 0, 1}}};
    rig_boot(r);
    rig_run(r);
}

static void an_attempt_that_had_begun_when_the_process_ended_counts(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_held(r, "ask", PAWL_EFFECT_IDEMPOTENT);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "ask")->task), 1);
    end_inside(r, 1);
    assert_null(rig_task_find(r, "ask")); /* it waits as after any failure */
    rig_advance(r, 1000);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "ask")->task), 2);
    end_inside(r, 1); /* an older attempt's: this one had not begun */
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "ask")->task), 2);
    end_inside(r, 2);
    assert_null(rig_task_find(r, "ask"));
    assert_string_equal(rig_status(r, "a"), "failed");
}

static void an_unsafe_attempt_that_had_begun_is_asked_about_as_ever(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_unsafe);
    rig_held(r, "ask", PAWL_EFFECT_UNSAFE);
    rig_start(r, "wf", "a");
    end_inside(r, 1);
    assert_null(rig_task_find(r, "ask"));
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 100000);
    assert_null(rig_task_find(r, "ask"));
}

static void an_item_that_had_begun_when_the_process_ended_counts(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_thrice);
    rig_held(r, "ask", PAWL_EFFECT_IDEMPOTENT);
    rig_start(r, "wf", "a");
    int64_t run = rig_key(r, "a");
    rig_kill(r);
    r->crumb = (pw_crumb_found){.tasks_len = 1, .tasks = {{run, 1, 1, 1}}};
    rig_boot(r);
    rig_run(r);
    rig_advance(r, 1000);
    const rig_task *t = rig_task_find(r, "ask");
    assert_non_null(t);
    assert_int_equal(pawl_task_attempt(t->task), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_attempt_told_to_come_later_waits_and_does_not_count),
        RIG_TEST(what_it_waited_for_does_not_count_after_a_crash_either),
        RIG_TEST(attempts_that_fail_otherwise_count_as_ever),
        RIG_TEST(a_failure_that_is_final_is_not_tried_later),
        RIG_TEST(a_cancelled_run_does_not_wait_for_later),
        RIG_TEST(items_of_a_map_wait_without_counting_too),
        RIG_TEST(an_unsafe_attempt_that_does_not_know_is_asked_about),
        RIG_TEST(any_other_attempt_that_does_not_know_is_tried_again),
        RIG_TEST(an_attempt_that_had_begun_when_the_process_ended_counts),
        RIG_TEST(an_unsafe_attempt_that_had_begun_is_asked_about_as_ever),
        RIG_TEST(an_item_that_had_begun_when_the_process_ended_counts),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
