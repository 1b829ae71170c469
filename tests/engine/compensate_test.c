/*
 * compensate_test.c - what is taken back of steps that were still open when the run failed or was cancelled (of closed ones: effect_test.c).
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static const pawl_value *books(pawl_run *b, void *arg)
{
    const pawl_value *in = arg;
    (void)pawl_call(b, "book", .input = pawl_json(b, "{to: %s}", "Oslo"), .undo = "unbook",
                    .timeout_s = pawl_num(in, "timeout_s", 0),
                    .on_cancel = (pawl_on_cancel)pawl_int(in, "how", 0),
                    .effect = (pawl_effect)pawl_int(in, "effect", 0));
    (void)pawl_catch(b);
    (void)pawl_call(b, "more", .undo = "unmore");
    return NULL;
}

static const pawl_value *trip(pawl_run *w, const pawl_value *in)
{
    (void)pawl_go(w, books, pawl_v(in));
    (void)pawl_call(w, "pay", .retries = PAWL_RETRY_NONE);
    return NULL;
}

static void hold_all(rig *r)
{
    static const char *const names[] = {"book", "unbook", "more", "unmore", "pay"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        rig_held(r, names[i], PAWL_EFFECT_DEFAULT);
    }
}

/* The run has failed, and "book" is under way in a branch. */
static rig_task *open_trip(rig *r, const pawl_value *input, bool begun)
{
    rig_workflow(r, "wf", trip);
    hold_all(r);
    rig_start_with(r, "wf", "a", input);
    rig_task *t = rig_task_find(r, "book");
    if (begun) {
        rig_begin(r, t);
        rig_run(r);
    }
    rig_fail(r, rig_task_find(r, "pay"), "NoMoney", false);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_int_equal(rig_count(r, "a", "ActivityCancelRequested"), 1);
    assert_null(rig_task_find(r, "unbook"));
    return t;
}

static void taken_back(rig *r)
{
    assert_int_equal(rig_tasks(r, "unbook"), 1);
    assert_int_equal(rig_tasks(r, "more"), 0); /* the branch has gone no further */
    rig_done(r, rig_task_find(r, "unbook"), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "NoMoney");
    assert_string_equal(pawl_str(rig_event(r, "a", "ActivityScheduled", 2), "input.input.to", ""),
                        "Oslo");
}

static void a_step_that_was_stopped_under_way_is_taken_back(void **state)
{
    rig *r = *state;
    rig_task *t = open_trip(r, rig_value(r, "{}"), true);
    assert_true(t->cancel_asked);
    rig_stop(r, t);
    assert_true(pawl_bool(rig_event(r, "a", "ActivityCanceled", 0), "begun", false));
    taken_back(r);
}

static void a_step_that_completes_while_it_is_stopped_is_taken_back_with_its_result(void **state)
{
    rig *r = *state;
    rig_done(r, open_trip(r, rig_value(r, "{}"), false), rig_value(r, "{ticket: 77}"));
    assert_int_equal(pawl_int(rig_event(r, "a", "ActivityScheduled", 2), "input.result.ticket", 0),
                     77);
    taken_back(r);
}

static void a_step_that_never_began_is_not_taken_back(void **state)
{
    rig *r = *state;
    rig_stop(r, open_trip(r, rig_value(r, "{}"), false));
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 2);
}

static void a_step_that_was_to_go_on_is_stopped_and_taken_back(void **state)
{
    rig *r = *state;
    rig_task *t = open_trip(r, rig_value(r, "{how: 2}"), true);
    rig_stop(r, t);
    taken_back(r);
}

static void a_step_that_fails_while_it_is_stopped_is_not_taken_back(void **state)
{
    rig *r = *state;
    rig_fail(r, open_trip(r, rig_value(r, "{}"), true), "SoldOut", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 2);
}

static void what_does_not_stop_is_waited_for_until_its_timeout(void **state)
{
    rig *r = *state;
    (void)open_trip(r, rig_value(r, "{timeout_s: 50}"), true);
    rig_advance(r, 49999);
    assert_null(rig_task_find(r, "unbook"));
    rig_advance(r, 1);
    taken_back(r);
}

static void nobody_is_asked_what_became_of_an_unsafe_step_that_was_stopped(void **state)
{
    rig *r = *state;
    (void)open_trip(r, rig_value(r, "{timeout_s: 50, effect: 3}"), true);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    rig_advance(r, 50000);
    assert_int_equal(rig_count(r, "a", "ActivityCanceled"), 1);
    taken_back(r);
}

static void after_a_crash_a_step_may_have_begun_and_is_taken_back(void **state)
{
    rig *r = *state;
    (void)open_trip(r, rig_value(r, "{}"), true);
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "book"));
    rig_crash(r);
    rig_run(r);
    taken_back(r);
}

static const pawl_value *one_call(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "book", .undo = "unbook", .on_cancel = PAWL_CANCEL_REQUEST);
}

static void a_cancelled_run_waits_for_the_end_of_what_it_may_have_to_take_back(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", one_call);
    hold_all(r);
    rig_start(r, "wf", "a");
    rig_task *t = rig_task_find(r, "book");
    rig_begin(r, t);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_true(t->cancel_asked);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_stop(r, t);
    rig_done(r, rig_task_find(r, "unbook"), NULL);
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(rig_count(r, "a", "ActivityCancelRequested"), 1);
}

static const pawl_value *slow_once(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "book", .undo = "unbook", .timeout_s = 5, .retry_initial_s = 1);
}

static void an_earlier_attempt_that_took_too_long_may_have_happened(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", slow_once);
    hold_all(r);
    rig_start(r, "wf", "a");
    rig_begin(r, rig_task_find(r, "book"));
    rig_advance(r, 6000);
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 1);
    rig_task *second = r->tasks;
    while (second != NULL && second->token.attempt != 2) {
        second = second->next;
    }
    rig_fail(r, second, "SoldOut", false);
    rig_done(r, rig_task_find(r, "unbook"), NULL);
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "SoldOut");
}

static const pawl_value *fails_by_itself(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call_start(w, "book", .undo = "unbook");
    const pawl_value *v = pawl_signal(w, "go");
    return v != NULL ? pawl_fail(w, "Boom", "by itself") : NULL;
}

static const pawl_value *mended(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f = pawl_call_start(w, "book", .undo = "unbook");
    (void)pawl_signal(w, "go");
    return pawl_await(w, f);
}

static void a_run_that_is_retried_opens_before_its_compensation(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", fails_by_itself);
    hold_all(r);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_OK);
    rig_stop(r, rig_task_find(r, "book")); /* never began: there is nothing to take back */
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_kill(r);
    rig_replace(r, "wf", mended);
    rig_boot(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "book"), rig_value(r, "7"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_step_that_was_stopped_under_way_is_taken_back),
        RIG_TEST(a_step_that_completes_while_it_is_stopped_is_taken_back_with_its_result),
        RIG_TEST(a_step_that_never_began_is_not_taken_back),
        RIG_TEST(a_step_that_was_to_go_on_is_stopped_and_taken_back),
        RIG_TEST(a_step_that_fails_while_it_is_stopped_is_not_taken_back),
        RIG_TEST(what_does_not_stop_is_waited_for_until_its_timeout),
        RIG_TEST(nobody_is_asked_what_became_of_an_unsafe_step_that_was_stopped),
        RIG_TEST(after_a_crash_a_step_may_have_begun_and_is_taken_back),
        RIG_TEST(a_cancelled_run_waits_for_the_end_of_what_it_may_have_to_take_back),
        RIG_TEST(an_earlier_attempt_that_took_too_long_may_have_happened),
        RIG_TEST(a_run_that_is_retried_opens_before_its_compensation),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
