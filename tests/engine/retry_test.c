/*
 * retry_test.c - attempts of activities: retry policies, timeouts, heartbeats, slots, priorities, stale reports.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static const pawl_value *policy(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .retries = 3, .retry_initial_s = 2, .retry_factor = 3,
                     .retry_max_s = 10, .no_retry = "Denied|BadInput");
}

static const pawl_value *plain(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in);
}

static void open_with(rig *r, pawl_workflow_fn fn)
{
    rig_workflow(r, "wf", fn);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
}

static int attempt_of(rig *r)
{
    const rig_task *t = rig_task_find(r, "work");
    return t != NULL ? pawl_task_attempt(t->task) : 0;
}

static void a_failed_attempt_waits_initial_times_factor_and_at_most_max(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    static const int64_t waits[] = {2000, 6000, 10000};
    for (int i = 0; i < 3; i++) {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        rig_advance(r, waits[i] - 1);
        assert_int_equal(attempt_of(r), 0);
        rig_advance(r, 1);
        assert_int_equal(attempt_of(r), i + 2);
    }
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Boom");
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 3);
}

static void without_a_policy_there_are_five_attempts_1_2_4_8_seconds_apart(void **state)
{
    rig *r = *state;
    open_with(r, plain);
    for (int i = 0; i < 4; i++) {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        rig_advance(r, (1000 << i) - 1);
        assert_int_equal(attempt_of(r), 0);
        rig_advance(r, 1);
        assert_int_equal(attempt_of(r), i + 2);
    }
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static void a_listed_failure_type_is_not_tried_again(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    rig_fail(r, rig_task_find(r, "work"), "BadInput", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 0);
}

static void a_type_that_only_begins_like_a_listed_one_is_tried_again(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    rig_fail(r, rig_task_find(r, "work"), "Bad", true);
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 1);
    rig_advance(r, 2000);
    rig_fail(r, rig_task_find(r, "work"), "BadInputX", true);
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 2);
}

static void a_failure_that_says_so_is_not_tried_again(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    rig_fail(r, rig_task_find(r, "work"), "Boom", false);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static const pawl_value *never_again(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .retries = PAWL_RETRY_NONE);
}

static void retry_none_is_one_attempt(void **state)
{
    rig *r = *state;
    open_with(r, never_again);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static const pawl_value *for_ever(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .retries = PAWL_RETRY_FOREVER, .retry_max_s = 5);
}

static void retry_forever_goes_on_and_stays_at_the_longest_wait(void **state)
{
    rig *r = *state;
    open_with(r, for_ever);
    for (int i = 0; i < 40; i++) {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        rig_advance(r, 5000);
        assert_int_equal(attempt_of(r), i + 2);
    }
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "41"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_wait_before_a_retry_survives_a_crash(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    rig_advance(r, 500);
    rig_crash(r);
    rig_advance(r, 1499);
    assert_int_equal(attempt_of(r), 0);
    rig_advance(r, 1);
    assert_int_equal(attempt_of(r), 2);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "{ok: true}"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

/* ---- timeouts ---- */

static const pawl_value *with_timeouts(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .timeout_s = 60, .schedule_timeout_s = 5, .heartbeat_s = 3,
                     .retries = 1, .retry_initial_s = 1);
}

static const pawl_value *start_to_close(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .timeout_s = 10, .retries = 1, .retry_initial_s = 1);
}

static void an_attempt_that_takes_too_long_is_stopped_and_tried_again(void **state)
{
    rig *r = *state;
    open_with(r, start_to_close);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    rig_advance(r, 9999);
    assert_false(t->cancel_asked);
    rig_advance(r, 1);
    assert_true(t->cancel_asked);
    rig_drop(r, t);
    rig_advance(r, 1000);
    assert_int_equal(attempt_of(r), 2);
    rig_begin(r, rig_task_find(r, "work"));
    rig_advance(r, 10000);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Timeout");
}

static void
an_attempt_that_nobody_begins_fails_by_schedule_timeout_and_is_not_tried_again(void **state)
{
    rig *r = *state;
    open_with(r, with_timeouts);
    rig_advance(r, 5000);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "ScheduleTimeout");
}

static void a_silent_attempt_fails_by_heartbeat_timeout_and_a_beating_one_does_not(void **state)
{
    rig *r = *state;
    open_with(r, with_timeouts);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    for (int i = 0; i < 4; i++) {
        rig_advance(r, 2000);
        assert_true(pawl_task_heartbeat(t->task, rig_value(r, "{done: %d}", i)));
    }
    rig_advance(r, 1500); /* 9.5 s: three beats late would have ended it */
    assert_false(t->cancel_asked);
    rig_drop(r, t);
    rig_advance(r, 1500);
    rig_advance(r, 1000);
    assert_int_equal(attempt_of(r), 2);
    const pawl_value *again = rig_event(r, "a", "ActivityRetried", 0);
    assert_string_equal(pawl_str(again, "failure.type", ""), "HeartbeatTimeout");
    assert_int_equal(pawl_int(pawl_task_last_detail(rig_task_find(r, "work")->task), "done", -1),
                     3);
}

static void a_heartbeats_detail_reaches_the_next_attempt_after_a_crash(void **state)
{
    rig *r = *state;
    open_with(r, with_timeouts);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    rig_run(r);
    (void)pawl_task_heartbeat(t->task, rig_value(r, "{done: 7}"));
    rig_advance(r, 1100);
    rig_crash(r);
    rig_run(r);
    t = rig_task_find(r, "work");
    assert_non_null(t);
    assert_int_equal(pawl_int(pawl_task_last_detail(t->task), "done", -1), 7);
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 1);
}

static void
a_heartbeats_detail_reaches_the_next_attempt_when_a_failure_and_a_crash_lie_between(void **state)
{
    rig *r = *state;
    open_with(r, policy);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    rig_run(r);
    (void)pawl_task_heartbeat(t->task, rig_value(r, "{done: 7}"));
    rig_fail(r, t, "Boom", true);
    rig_crash(r);
    rig_advance(r, 2000);
    assert_int_equal(pawl_int(pawl_task_last_detail(rig_task_find(r, "work")->task), "done", -1),
                     7);
}

static void heartbeats_make_no_events_and_at_most_one_write_a_second(void **state)
{
    rig *r = *state;
    open_with(r, plain);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    rig_run(r);
    const char *before = rig_history(r, "a");
    int64_t ops = rig_stat(r, "group_ops");
    for (int i = 0; i < 100; i++) {
        (void)pawl_task_heartbeat(t->task, rig_value(r, "{i: %d}", i));
        rig_advance(r, 50);
    }
    assert_string_equal(rig_history(r, "a"), before);
    assert_in_range(rig_stat(r, "group_ops") - ops, 4, 6);
}

/* ---- slots and order ---- */

static const pawl_value *three(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        f[i] = pawl_call_start(w, "work", .input = pawl_json(w, "{n: %d}", i),
                               .priority = i == 2 ? 5 : 0);
    }
    (void)pawl_await_all(w, f, 3);
    return NULL;
}

static void no_more_attempts_run_than_the_activity_allows(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", three);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    r->code[r->code_len - 1].options.concurrency = 1;
    rig_crash(r); /* registered anew, with the limit */
    rig_start(r, "wf", "a");
    int order[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_tasks(r, "work"), 1);
        rig_task *t = rig_task_find(r, "work");
        order[i] = (int)pawl_int(pawl_task_input(t->task), "n", -1);
        rig_done(r, t, NULL);
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    /* the higher priority goes first of those that wait in the queue */
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 1);
}

/* ---- stale reports ---- */

/* [E4] */
static void the_report_of_an_attempt_that_timed_out_is_stale(void **state)
{
    rig *r = *state;
    open_with(r, start_to_close);
    rig_task *first = rig_task_find(r, "work");
    rig_begin(r, first);
    rig_advance(r, 11000);
    assert_int_equal(rig_tasks(r, "work"), 2);
    int64_t stale = rig_stat(r, "stale");
    rig_done(r, first, rig_value(r, "{from: 1}"));
    assert_int_equal(rig_stat(r, "stale"), stale + 1);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "{from: 2}"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "from", 0), 2);
}

/* [E4] */
static void the_report_of_an_older_epoch_is_stale(void **state)
{
    rig *r = *state;
    open_with(r, plain);
    rig_task *old = r->tasks;
    rig_crash(r);
    rig_run(r);
    int64_t stale = rig_stat(r, "stale");
    rig_done(r, old, rig_value(r, "{from: 1}"));
    assert_true(rig_stat(r, "stale") > stale);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "{from: 2}"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "from", 0), 2);
}

static void the_report_for_a_run_that_is_closed_is_stale(void **state)
{
    rig *r = *state;
    open_with(r, plain);
    rig_task *t = rig_task_find(r, "work");
    assert_int_equal(rig_ask(r, "terminate", "{id: %s, reason: %s}", "a", "no")->status, PAWL_OK);
    assert_true(t->cancel_asked);
    int64_t stale = rig_stat(r, "stale");
    rig_done(r, t, rig_value(r, "1"));
    assert_true(rig_stat(r, "stale") > stale);
    assert_string_equal(rig_status(r, "a"), "terminated");
}

static const pawl_value *unregistered(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "nobody", .schedule_timeout_s = 60);
}

static void a_call_of_an_activity_that_nobody_has_waits_for_one(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", unregistered);
    rig_start(r, "wf", "a");
    rig_advance(r, 59000);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_held(r, "nobody", PAWL_EFFECT_DEFAULT);
    rig_run(r);
    rig_done(r, rig_task_find(r, "nobody"), rig_value(r, "1"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_failed_attempt_waits_initial_times_factor_and_at_most_max),
        RIG_TEST(without_a_policy_there_are_five_attempts_1_2_4_8_seconds_apart),
        RIG_TEST(a_listed_failure_type_is_not_tried_again),
        RIG_TEST(a_type_that_only_begins_like_a_listed_one_is_tried_again),
        RIG_TEST(a_failure_that_says_so_is_not_tried_again),
        RIG_TEST(retry_none_is_one_attempt),
        RIG_TEST(retry_forever_goes_on_and_stays_at_the_longest_wait),
        RIG_TEST(a_wait_before_a_retry_survives_a_crash),
        RIG_TEST(an_attempt_that_takes_too_long_is_stopped_and_tried_again),
        RIG_TEST(an_attempt_that_nobody_begins_fails_by_schedule_timeout_and_is_not_tried_again),
        RIG_TEST(a_silent_attempt_fails_by_heartbeat_timeout_and_a_beating_one_does_not),
        RIG_TEST(a_heartbeats_detail_reaches_the_next_attempt_after_a_crash),
        RIG_TEST(
            a_heartbeats_detail_reaches_the_next_attempt_when_a_failure_and_a_crash_lie_between),
        RIG_TEST(heartbeats_make_no_events_and_at_most_one_write_a_second),
        RIG_TEST(no_more_attempts_run_than_the_activity_allows),
        RIG_TEST(the_report_of_an_attempt_that_timed_out_is_stale),
        RIG_TEST(the_report_of_an_older_epoch_is_stale),
        RIG_TEST(the_report_for_a_run_that_is_closed_is_stale),
        RIG_TEST(a_call_of_an_activity_that_nobody_has_waits_for_one),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
