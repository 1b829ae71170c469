/*
 * read_back_test.c - an unsafe effect whose outcome nobody knows is looked up before anybody is asked: it happened, it did not, nobody can tell; and what
 * becomes of that in crashes, pauses, cancels and fan-outs.
 * Does not use threads, files or real time: the rig has none. Workers' side: read_back_worker_test.py.
 */
#include "rig.h"
#include <stdio.h>

static const pawl_value *pay(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .input = pawl_json(w, "{eur: 5}"), .effect = PAWL_EFFECT_UNSAFE,
                     .retries = 1, .retry_initial_s = 1, .undo = "refund");
}

/* Sent, and then the process is gone; the next one looks. */
static rig_task *cut(rig *r)
{
    rig_workflow(r, "wf", pay);
    rig_held_read_back(r, "pay");
    rig_held(r, "refund", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    rig_task *look = rig_task_find(r, "pay");
    assert_non_null(look);
    assert_int_equal(pawl_task_attempt(look->task), 1);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 0);
    assert_string_equal(rig_status(r, "a"), "running");
    return look;
}

static void an_effect_that_is_found_completes_its_step_and_is_not_sent_again(void **state)
{
    rig *r = *state;
    rig_done(r, cut(r), rig_value(r, "{found: %s, result: {receipt: 7}}", "done"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 7);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 0);
    assert_string_equal(pawl_str(rig_event(r, "a", "ActivityCompleted", 0), "by", ""), "read-back");
}

static void an_effect_that_did_not_happen_is_sent_again_at_the_cost_of_no_retry(void **state)
{
    rig *r = *state;
    rig_done(r, cut(r), rig_value(r, "{found: %s}", "nothing"));
    rig_task *again = rig_task_find(r, "pay");
    assert_int_equal(pawl_task_attempt(again->task), 2);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 2);
    assert_string_equal(pawl_str(rig_event(r, "a", "ActivityRetried", 0), "failure.type", ""),
                        "DidNotHappen");
    rig_fail(r, again, "Refused", true);
    rig_advance(r, 1000);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "pay")->task), 3);
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{receipt: 2}"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 2);
}

static void assert_asks(rig *r)
{
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    assert_non_null(strstr(rig_waiting(r, "a"), "unknown"));
}

static void an_effect_that_nobody_can_tell_of_is_asked_about(void **state)
{
    rig *r = *state;
    rig_done(r, cut(r), rig_value(r, "{found: %s}", "unknown"));
    assert_asks(r);
    rig_crash(r); /* it is asked, and not looked up any more */
    rig_run(r);
    assert_asks(r);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "pay")->task), 2);
}

static void a_read_back_that_fails_cannot_tell(void **state)
{
    rig *r = *state;
    rig_fail(r, cut(r), "BankIsClosed", true);
    assert_asks(r);
}

static void a_read_back_that_makes_no_sense_cannot_tell(void **state)
{
    rig *r = *state;
    rig_done(r, cut(r), rig_value(r, "{result: {receipt: 7}}"));
    assert_asks(r);
}

static void a_read_back_that_hangs_cannot_tell_and_what_it_says_later_is_stale(void **state)
{
    rig *r = *state;
    rig_task *look = cut(r);
    rig_begin(r, look);
    rig_advance(r, 60000);
    assert_true(look->cancel_asked);
    rig_done(r, look, rig_value(r, "{found: %s, result: {receipt: 7}}", "done"));
    assert_asks(r);
    assert_string_equal(rig_status(r, "a"), "running");
}

static void a_crash_in_a_read_back_leads_to_another(void **state)
{
    rig *r = *state;
    (void)cut(r);
    rig_crash(r);
    rig_run(r);
    rig_task *look = rig_task_find(r, "pay");
    assert_int_equal(rig_tasks(r, "pay"), 1);
    rig_done(r, look, rig_value(r, "{found: %s, result: {receipt: 7}}", "done"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
}

static void a_failure_of_unknown_outcome_is_read_back(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay);
    rig_held_read_back(r, "pay");
    rig_start(r, "wf", "a");
    rig_task *t = rig_task_find(r, "pay");
    rig_begin(r, t);
    pawl_task_outcome_unknown(t->task);
    rig_fail(r, t, "ConnectionCut", true);
    rig_task *look = rig_task_find(r, "pay");
    assert_non_null(look);
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 0);
    rig_done(r, look, rig_value(r, "{found: %s, result: {receipt: 3}}", "done"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 3);
}

static const pawl_value *slow(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "pay", .effect = PAWL_EFFECT_UNSAFE, .timeout_s = 10);
}

static rig_task *timed_out(rig *r, rig_task **ret_old)
{
    rig_workflow(r, "wf", slow);
    rig_held_read_back(r, "pay");
    rig_start(r, "wf", "a");
    *ret_old = rig_task_find(r, "pay");
    rig_begin(r, *ret_old);
    rig_advance(r, 10000);
    assert_int_equal(rig_tasks(r, "pay"), 2); /* the old one still hangs */
    for (rig_task *t = r->tasks; t != NULL; t = t->next) {
        if (t != *ret_old) {
            return t;
        }
    }
    return NULL;
}

static void nothing_is_not_believed_while_the_code_of_the_attempt_may_still_run(void **state)
{
    rig *r = *state;
    rig_task *old = NULL;
    rig_task *look = timed_out(r, &old);
    rig_done(r, look, rig_value(r, "{found: %s}", "nothing"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    rig_drop(r, old);
}

static void what_the_old_attempt_still_says_is_not_taken_for_its_read_back(void **state)
{
    rig *r = *state;
    rig_task *old = NULL;
    rig_task *look = timed_out(r, &old);
    rig_done(r, old, rig_value(r, "{found: %s, result: {receipt: 1}}", "done"));
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, look, rig_value(r, "{found: %s, result: {receipt: 2}}", "done"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 2);
}

static void a_paused_run_is_read_back_when_it_goes_on(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay);
    rig_held_read_back(r, "pay");
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{found: %s, result: {receipt: 7}}", "done"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_cancelled_step_that_did_not_happen_is_not_taken_back(void **state)
{
    rig *r = *state;
    rig_task *look = cut(r);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_true(look->cancel_asked);
    rig_done(r, look, rig_value(r, "{found: %s}", "nothing"));
    assert_null(rig_task_find(r, "refund"));
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static void a_cancelled_step_that_nobody_can_tell_of_is_taken_back_unasked(void **state)
{
    rig *r = *state;
    rig_task *look = cut(r);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_stop(r, look);
    assert_non_null(rig_task_find(r, "refund"));
    rig_done(r, rig_task_find(r, "refund"), NULL);
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static const pawl_value *pay_all(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_map(w, "pay", .items = pawl_json(w, "[1, 2]"), .width = 1,
                    .effect = PAWL_EFFECT_UNSAFE);
}

static void an_item_of_a_fan_out_is_read_back_too(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay_all);
    rig_held_read_back(r, "pay");
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{found: %s, result: {receipt: 7}}", "done"));
    rig_task *second = rig_task_find(r, "pay");
    assert_non_null(second);
    rig_done(r, second, rig_value(r, "{receipt: 8}"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(pawl_at(rig_result(r, "a"), 0), "receipt", 0), 7);
    assert_int_equal(pawl_int(pawl_at(rig_result(r, "a"), 1), "receipt", 0), 8);
}

static void an_item_that_did_not_happen_is_sent_again(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pay_all);
    rig_held_read_back(r, "pay");
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{found: %s}", "nothing"));
    rig_task *again = rig_task_find(r, "pay");
    assert_int_equal(pawl_task_attempt(again->task), 2);
    rig_done(r, again, rig_value(r, "{receipt: 7}"));
    rig_done(r, rig_task_find(r, "pay"), rig_value(r, "{receipt: 8}"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void the_stack_says_that_it_is_being_read_back(void **state)
{
    rig *r = *state;
    (void)cut(r);
    const rig_reply *reply = rig_ask(r, "stack", "{id: %s}", "a");
    assert_int_equal(reply->status, PAWL_OK);
    assert_non_null(
        strstr(pawl_str(pawl_at(pawl_get(reply->value, "waiting"), 0), "why", ""), "read back"));
}

/* ---- at workers ---- */

static rig_reply *poll(rig *r, bool reads_back)
{
    return rig_post(r, "task_poll", "{activities: [{name: %s, effect: %s, read_back: %p}]}", "pay",
                    "unsafe", pawl_v(pawl_make_bool(r->scope, reads_back)));
}

/* Sent by a worker that can look, and then the process is gone. */
static void cut_at_a_worker(rig *r)
{
    rig_workflow(r, "wf", pay);
    rig_reply *first = poll(r, true);
    rig_start(r, "wf", "a");
    assert_true(first->done);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 0);
}

static void a_worker_that_comes_later_looks(void **state)
{
    rig *r = *state;
    cut_at_a_worker(r);
    rig_advance(r, 59000);
    rig_reply *look = poll(r, true);
    rig_run(r);
    assert_true(look->done);
    assert_true(pawl_bool(look->value, "read_back", false));
    assert_int_equal(pawl_int(look->value, "attempt", 0), 1);
    assert_int_equal(rig_ask(r, "task_done",
                             "{token: %s, result: {found: %s, result: {receipt: 7}}}",
                             pawl_str(look->value, "token", ""), "done")
                         ->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "receipt", 0), 7);
}

static void a_read_back_that_nobody_begins_is_asked_about_after_a_minute(void **state)
{
    rig *r = *state;
    cut_at_a_worker(r);
    rig_advance(r, 60000);
    assert_asks(r);
}

static void a_worker_that_does_not_know_how_leads_to_the_question(void **state)
{
    rig *r = *state;
    cut_at_a_worker(r);
    rig_reply *other = poll(r, false);
    rig_run(r);
    assert_false(other->done);
    assert_asks(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_effect_that_is_found_completes_its_step_and_is_not_sent_again),
        RIG_TEST(an_effect_that_did_not_happen_is_sent_again_at_the_cost_of_no_retry),
        RIG_TEST(an_effect_that_nobody_can_tell_of_is_asked_about),
        RIG_TEST(a_read_back_that_fails_cannot_tell),
        RIG_TEST(a_read_back_that_makes_no_sense_cannot_tell),
        RIG_TEST(a_read_back_that_hangs_cannot_tell_and_what_it_says_later_is_stale),
        RIG_TEST(a_crash_in_a_read_back_leads_to_another),
        RIG_TEST(a_failure_of_unknown_outcome_is_read_back),
        RIG_TEST(nothing_is_not_believed_while_the_code_of_the_attempt_may_still_run),
        RIG_TEST(what_the_old_attempt_still_says_is_not_taken_for_its_read_back),
        RIG_TEST(a_paused_run_is_read_back_when_it_goes_on),
        RIG_TEST(a_cancelled_step_that_did_not_happen_is_not_taken_back),
        RIG_TEST(a_cancelled_step_that_nobody_can_tell_of_is_taken_back_unasked),
        RIG_TEST(an_item_of_a_fan_out_is_read_back_too),
        RIG_TEST(an_item_that_did_not_happen_is_sent_again),
        RIG_TEST(the_stack_says_that_it_is_being_read_back),
        RIG_TEST(a_worker_that_comes_later_looks),
        RIG_TEST(a_read_back_that_nobody_begins_is_asked_about_after_a_minute),
        RIG_TEST(a_worker_that_does_not_know_how_leads_to_the_question),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
