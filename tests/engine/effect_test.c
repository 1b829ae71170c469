/*
 * effect_test.c - declared effects and what takes them back: `sent` before an unsafe one leaves, unknown outcomes and their answers,
 * compensation.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"
#include <stdio.h>

static const pawl_value *pay(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .input = pawl_json(w, "{eur: 5}"), .effect = PAWL_EFFECT_UNSAFE,
                     .retries = 2, .retry_initial_s = 1);
}

static void open_pay(rig *r)
{
    rig_workflow(r, "wf", pay);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
}

/* ---- sent ---- */

static void an_unsafe_effect_leaves_only_after_sent_is_on_record(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    for (int i = 0; i < 100 && rig_task_find(r, "pay") == NULL; i++) {
        rig_step(r);
        if (rig_commit(r)) {
            assert_null(rig_task_find(r, "pay"));
        }
        (void)rig_answer(r);
    }
    assert_non_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
}

static void a_crash_before_sent_starts_the_unsafe_effect_as_if_nothing_had_been(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    rig_step(r);
    (void)rig_commit(r);
    (void)rig_answer(r); /* scheduled; sent is still to be written */
    rig_step(r);
    rig_crash(r);
    rig_run(r);
    assert_non_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 0);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
}

static void a_crash_after_sent_makes_it_unknown_and_starts_nothing(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_crash(r);
    rig_advance(r, 3600000);
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_non_null(strstr(rig_waiting(r, "a"), "unknown"));
    rig_crash(r); /* and once more: it is asked once */
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_null(rig_task_find(r, "pay"));
}

static void an_unknown_outcome_answered_done_completes_with_what_the_answer_says(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_crash(r);
    rig_run(r);
    const rig_reply *reply =
        rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s, data: {receipt: 9}}}", "a",
                "pay", "done");
    assert_int_equal(reply->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 9);
}

static void an_unknown_outcome_answered_retry_is_tried_again_and_only_then(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "pay")->task), 2);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 2);
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{receipt: 2}"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 2);
}

static void an_unknown_outcome_answered_fail_fails_the_step(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "fail")->status,
                     PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "OutcomeUnknown");
}

static void an_unknown_outcome_takes_none_but_its_three_answers(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "maybe")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "done")->status,
                     PAWL_OK);
    assert_true(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status !=
                PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void
an_unsafe_attempt_that_reported_its_failure_is_tried_again_under_a_new_sent(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_fail(r, rig_task_find(r, "pay"), "Refused", true);
    rig_advance(r, 1000);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "pay")->task), 2);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 2);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
}

static const pawl_value *slow_pay(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .effect = PAWL_EFFECT_UNSAFE, .timeout_s = 10, .heartbeat_s = 4);
}

static void an_unsafe_attempt_that_times_out_is_unknown_and_not_repeated(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", slow_pay);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_task *t = rig_task_find(r, "pay");
    rig_begin(r, t);
    rig_advance(r, 4000);
    assert_true(t->cancel_asked);
    rig_advance(r, 3600000);
    assert_int_equal(rig_tasks(r, "pay"), 1); /* the old one still hangs */
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    assert_int_equal(rig_tasks(r, "pay"), 2);
}

static void an_unsafe_attempt_that_stops_unasked_is_unknown_and_not_repeated(void **state)
{
    rig *r = *state;
    open_pay(r);
    rig_stop(r, rig_task_find(r, "pay"));
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
}

static const pawl_value *idempotent(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "put", .effect = PAWL_EFFECT_IDEMPOTENT);
}

static void an_idempotent_effect_is_repeated_after_a_crash_under_the_same_key(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", idempotent);
    rig_held(r, "put", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    char key[256];
    (void)snprintf(key, sizeof key, "%s", pawl_task_key(rig_task_find(r, "put")->task));
    rig_crash(r);
    rig_run(r);
    const rig_task *t = rig_task_find(r, "put");
    assert_non_null(t);
    assert_string_equal(pawl_task_key(t->task), key);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 0);
}

static const pawl_value *registered_unsafe(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "mail");
}

static void an_effect_registered_unsafe_needs_no_word_at_the_call(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", registered_unsafe);
    rig_held(r, "mail", PAWL_EFFECT_UNSAFE);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "mail"));
}

static const pawl_value *pays_twice(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[2] = {pawl_call_start(w, "pay", .effect = PAWL_EFFECT_UNSAFE),
                         pawl_call_start(w, "pay", .effect = PAWL_EFFECT_UNSAFE)};
    (void)pawl_await_all(w, f, 2);
    return pawl_json(w, "{a: %p, b: %p}", pawl_v(pawl_future_value(f[0])),
                     pawl_v(pawl_future_value(f[1])));
}

static void two_unknown_outcomes_of_one_activity_are_answered_one_by_one(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pays_twice);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "done")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s, data: 2}}", "a",
                             "pay:2", "done")
                         ->status,
                     PAWL_OK);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s, data: 1}}", "a", "pay", "done")
            ->status,
        PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "a", 0), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 2);
}

/* ---- compensation ---- */

static const pawl_value *slow_trip(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "book", .timeout_s = 5, .no_retry = "Timeout", .undo = "cancel_booking");
    return NULL;
}

static void a_step_that_took_too_long_may_have_happened_and_is_taken_back(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", slow_trip);
    rig_held(r, "book", PAWL_EFFECT_DEFAULT);
    rig_held(r, "cancel_booking", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_begin(r, rig_task_find(r, "book"));
    rig_advance(r, 6000);
    assert_int_equal(rig_tasks(r, "cancel_booking"), 1);
    rig_done(r, rig_task_find(r, "cancel_booking"), NULL);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Timeout");
}

static const pawl_value *trip(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "flight", .input = pawl_json(w, "{to: %s}", "Oslo"),
                    .undo = "cancel_flight");
    (void)pawl_call(w, "hotel", .undo = "cancel_hotel", .retries = PAWL_RETRY_NONE);
    pawl_undo(w, "note", pawl_json(w, "{why: %s}", "explicit"));
    (void)pawl_call(w, "car", .undo = "cancel_car", .retries = PAWL_RETRY_NONE);
    return NULL;
}

static const char *undo_order(rig *r)
{
    static const char *const names[] = {"cancel_flight", "cancel_hotel", "cancel_car", "note"};
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    for (int i = 0; i < 5; i++) {
        for (size_t k = 0; k < PW_COUNT(names); k++) {
            rig_task *t = rig_task_find(r, names[k]);
            if (t != NULL) {
                assert_int_equal(rig_tasks(r, names[k]), 1);
                pw_buf_printf(&out, "%s ", names[k]);
                rig_done(r, t, NULL);
                break;
            }
        }
    }
    return pw_strdup(r->scope, pw_buf_cstr(&out));
}

static void open_trip(rig *r)
{
    static const char *const names[] = {"flight",       "hotel",      "car", "cancel_flight",
                                        "cancel_hotel", "cancel_car", "note"};
    rig_workflow(r, "wf", trip);
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        rig_held(r, names[i], PAWL_EFFECT_DEFAULT);
    }
    rig_start(r, "wf", "a");
}

static void what_completed_is_taken_back_last_first_when_the_run_fails(void **state)
{
    rig *r = *state;
    open_trip(r);
    rig_done(r, rig_task_find(r, "flight"), rig_value(r, "{ticket: 77}"));
    rig_done(r, rig_task_find(r, "hotel"), NULL);
    rig_fail(r, rig_task_find(r, "car"), "SoldOut", true);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r); /* in the middle of it */
    rig_run(r);
    const char *first = pawl_str(rig_event(r, "a", "ActivityScheduled", 3), "name", "");
    assert_string_equal(first, "note");
    assert_string_equal(undo_order(r), "note cancel_hotel cancel_flight ");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "SoldOut");
    const pawl_value *undo = rig_event(r, "a", "ActivityScheduled", 5);
    assert_string_equal(pawl_str(undo, "name", ""), "cancel_flight");
    assert_string_equal(pawl_str(undo, "input.input.to", ""), "Oslo");
    assert_int_equal(pawl_int(undo, "input.result.ticket", 0), 77);
}

static void a_step_that_failed_is_not_taken_back(void **state)
{
    rig *r = *state;
    open_trip(r);
    rig_done(r, rig_task_find(r, "flight"), NULL);
    rig_fail(r, rig_task_find(r, "hotel"), "Full", true);
    assert_string_equal(undo_order(r), "cancel_flight ");
    assert_string_equal(rig_status(r, "a"), "failed");
}

static void a_cancelled_run_takes_back_what_it_did_shielded(void **state)
{
    rig *r = *state;
    open_trip(r);
    rig_done(r, rig_task_find(r, "flight"), NULL);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_true(rig_task_find(r, "hotel")->cancel_asked);
    rig_stop(r, rig_task_find(r, "hotel"));
    assert_string_equal(undo_order(r), "cancel_flight ");
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static void a_compensation_that_fails_is_told_and_the_others_still_run(void **state)
{
    rig *r = *state;
    open_trip(r);
    rig_done(r, rig_task_find(r, "flight"), NULL);
    rig_done(r, rig_task_find(r, "hotel"), NULL);
    rig_fail(r, rig_task_find(r, "car"), "SoldOut", true);
    rig_done(r, rig_task_find(r, "note"), NULL);
    rig_fail(r, rig_task_find(r, "cancel_hotel"), "TooLate", false);
    rig_done(r, rig_task_find(r, "cancel_flight"), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
    const pawl_value *f = rig_failure(r, "a");
    assert_string_equal(pawl_str(f, "type", ""), "CompensationFailed");
    assert_string_equal(pawl_str(f, "cause.type", ""), "SoldOut");
}

static const pawl_value *unsafe_trip(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .effect = PAWL_EFFECT_UNSAFE, .undo = "refund");
}

static void a_step_of_unknown_outcome_is_taken_back_when_the_run_is_cancelled(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", unsafe_trip);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_held(r, "refund", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_non_null(rig_task_find(r, "refund"));
    rig_done(r, rig_task_find(r, "refund"), NULL);
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static void a_step_of_unknown_outcome_given_up_is_taken_back(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", unsafe_trip);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_held(r, "refund", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "fail")->status,
                     PAWL_OK);
    assert_non_null(rig_task_find(r, "refund"));
    rig_done(r, rig_task_find(r, "refund"), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_unsafe_effect_leaves_only_after_sent_is_on_record),
        RIG_TEST(a_crash_before_sent_starts_the_unsafe_effect_as_if_nothing_had_been),
        RIG_TEST(a_crash_after_sent_makes_it_unknown_and_starts_nothing),
        RIG_TEST(an_unknown_outcome_answered_done_completes_with_what_the_answer_says),
        RIG_TEST(an_unknown_outcome_answered_retry_is_tried_again_and_only_then),
        RIG_TEST(an_unknown_outcome_answered_fail_fails_the_step),
        RIG_TEST(an_unknown_outcome_takes_none_but_its_three_answers),
        RIG_TEST(an_unsafe_attempt_that_reported_its_failure_is_tried_again_under_a_new_sent),
        RIG_TEST(an_unsafe_attempt_that_times_out_is_unknown_and_not_repeated),
        RIG_TEST(an_unsafe_attempt_that_stops_unasked_is_unknown_and_not_repeated),
        RIG_TEST(an_idempotent_effect_is_repeated_after_a_crash_under_the_same_key),
        RIG_TEST(an_effect_registered_unsafe_needs_no_word_at_the_call),
        RIG_TEST(a_step_that_took_too_long_may_have_happened_and_is_taken_back),
        RIG_TEST(two_unknown_outcomes_of_one_activity_are_answered_one_by_one),
        RIG_TEST(what_completed_is_taken_back_last_first_when_the_run_fails),
        RIG_TEST(a_step_that_failed_is_not_taken_back),
        RIG_TEST(a_cancelled_run_takes_back_what_it_did_shielded),
        RIG_TEST(a_compensation_that_fails_is_told_and_the_others_still_run),
        RIG_TEST(a_step_of_unknown_outcome_is_taken_back_when_the_run_is_cancelled),
        RIG_TEST(a_step_of_unknown_outcome_given_up_is_taken_back),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
