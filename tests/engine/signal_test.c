/*
 * signal_test.c - signals and described waits: order, timeouts, none lost, one answer wins.
 */
#include "rig.h"

#include <stdio.h>

static void send(rig *r, const char *id, const char *name, int n)
{
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: %d}", id, name, n)->status,
                     PAWL_OK);
}

/* ---- signals ---- */

static const pawl_value *three_signals(pawl_run *w, const pawl_value *in)
{
    (void)in;
    char text[64] = "";
    for (int i = 0; i < 3; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%lld ",
                       (long long)pawl_int(pawl_signal(w, "go"), "", -1));
    }
    return pawl_json(w, "{order: %s}", text);
}

static void signals_are_taken_in_the_order_they_were_accepted(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", three_signals);
    rig_start(r, "wf", "a");
    send(r, "a", "other", 9);
    send(r, "a", "go", 1);
    rig_crash(r);
    send(r, "a", "go", 2);
    send(r, "a", "go", 3);
    assert_string_equal(pawl_str(rig_result(r, "a"), "order", ""), "1 2 3 ");
}

static const pawl_value *late_signals(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, 100);
    return three_signals(w, in);
}

static void signals_that_come_before_anybody_waits_are_kept_in_order(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", late_signals);
    rig_start(r, "wf", "a");
    for (int i = 1; i <= 4; i++) {
        send(r, "a", "go", i);
        rig_crash(r);
    }
    rig_advance(r, 100000);
    assert_string_equal(pawl_str(rig_result(r, "a"), "order", ""), "1 2 3 ");
}

static void a_run_that_ends_with_unread_signals_says_how_many(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", late_signals);
    rig_start(r, "wf", "a");
    for (int i = 1; i <= 5; i++) {
        send(r, "a", "go", i);
    }
    rig_advance(r, 100000);
    assert_int_equal(pawl_int(rig_event(r, "a", "RunCompleted", 0), "unread", 0), 2);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_CLOSED);
}

static const pawl_value *with_timeout(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v = pawl_signal(w, "go", .timeout_s = 30);
    bool late = pawl_timed_out(w);
    return pawl_json(w, "{late: %d, value: %p, ok: %d}", late, pawl_v(v), pawl_ok(w));
}

static void a_signal_that_does_not_come_times_out_and_is_no_failure(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", with_timeout);
    rig_start(r, "wf", "a");
    rig_advance(r, 29999);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_advance(r, 1);
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_int(v, "late", -1), 1);
    assert_int_equal(pawl_int(v, "ok", -1), 1);
    assert_int_equal(pawl_typeof(pawl_get(v, "value")), PAWL_NIL);
}

static void a_signal_in_time_clears_its_timeout(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", with_timeout);
    rig_start(r, "wf", "a");
    rig_advance(r, 29000);
    send(r, "a", "go", 4);
    assert_int_equal(pawl_int(rig_result(r, "a"), "late", -1), 0);
    assert_int_equal(pawl_int(rig_result(r, "a"), "value", -1), 4);
    rig_advance(r, 100000);
    assert_int_equal(rig_count(r, "a", "SignalTimedOut"), 0);
}

static const pawl_value *counts_on(pawl_run *w, const pawl_value *in)
{
    int64_t seen = pawl_int(in, "seen", 0);
    (void)pawl_sleep(w, 10);
    seen = seen * 10 + pawl_int(pawl_signal(w, "go"), "", 0);
    if (seen >= 1234) {
        return pawl_json(w, "{seen: %lld}", (long long)seen);
    }
    return pawl_continue_as_new(w, pawl_json(w, "{seen: %lld}", (long long)seen));
}

static void
unread_signals_cross_continue_as_new_in_order_and_the_result_is_that_of_the_last(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", counts_on);
    rig_start(r, "wf", "a");
    const rig_reply *result = rig_post(r, "result", "{id: %s}", "a");
    int64_t first = rig_key(r, "a");
    for (int i = 1; i <= 4; i++) {
        send(r, "a", "go", i);
    }
    assert_false(result->done);
    rig_advance(r, 10000);
    assert_true(rig_key(r, "a") > first);
    rig_advance(r, 50000);
    assert_true(result->done);
    assert_int_equal(pawl_int(result->value, "result.seen", 0), 1234);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    assert_int_equal(rig_key(r, "a"), first + 3);
}

static void a_crash_in_the_middle_of_continue_as_new_loses_no_signal(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", counts_on);
    rig_start(r, "wf", "a");
    for (int i = 1; i <= 4; i++) {
        send(r, "a", "go", i);
    }
    for (int i = 0; i < 30; i++) {
        r->now_ms += 2000;
        rig_step(r);
        if (i % 3 == 1) {
            (void)rig_commit(r);
        }
        rig_crash(r);
        rig_run(r);
    }
    rig_advance(r, 100000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "seen", 0), 1234);
}

static const pawl_value *sender(pawl_run *w, const pawl_value *in)
{
    pawl_signal_send(w, pawl_str(in, "to", ""), "go", pawl_json(w, "%d", 7));
    pawl_signal_send(w, "nobody", "go", NULL);
    return NULL;
}

static void a_run_can_signal_another_and_an_unknown_one_harms_nobody(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", with_timeout);
    rig_workflow(r, "sender", sender);
    rig_start(r, "wf", "a");
    rig_start_with(r, "sender", "s", rig_value(r, "{to: %s}", "a"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "value", -1), 7);
    assert_string_equal(rig_status(r, "s"), "completed");
    assert_true(rig_logged(r, "nobody"));
}

/* ---- described waits ---- */

static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    const char *otherwise = pawl_str(in, "on_deadline", NULL);
    const pawl_value *v = pawl_ask(
        w, "approve", .prompt = "Ship it?", .choices = "yes|no", .show = pawl_json(w, "{v: 3}"),
        .request = pawl_json(w, "{opaque: true}"), .schema = pawl_json(w, "{type: %s}", "object"),
        .deadline_s = 60, .on_deadline = otherwise);
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{answer: %p, type: %s}", pawl_v(v), f != NULL ? f->type : "");
}

static void one_answer_wins_and_later_ones_are_told_so(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start(r, "wf", "a");
    const rig_reply *one =
        rig_post(r, "answer", "{id: %s, name: %s, value: {choice: %s, data: {n: 5}}, by: %s}", "a",
                 "approve", "yes", "ann");
    const rig_reply *two = rig_post(r, "answer", "{id: %s, name: %s, value: {choice: %s}, by: %s}",
                                    "a", "approve", "no", "bob");
    rig_run(r);
    assert_int_equal(one->status, PAWL_OK);
    assert_true(two->status == PAWL_CONFLICT || two->status == PAWL_CLOSED);
    const pawl_value *v = pawl_get(rig_result(r, "a"), "answer");
    assert_string_equal(pawl_str(v, "choice", ""), "yes");
    assert_string_equal(pawl_str(v, "by", ""), "ann");
    assert_int_equal(pawl_int(v, "data.n", 0), 5);
    assert_int_equal(pawl_int(v, "at_ms", 0), RIG_START_MS);
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), 1);
}

static const pawl_value *asks_and_sleeps(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v = asks(w, in);
    (void)pawl_sleep(w, 1000);
    return v;
}

static void a_late_answer_is_told_who_answered_what(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_and_sleeps);
    rig_start(r, "wf", "a");
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", "a", "yes", "ann")->status,
        PAWL_OK);
    const rig_reply *late = rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}, by: %s}",
                                    "a", "approve", "no", "bob");
    assert_int_equal(late->status, PAWL_CONFLICT);
    assert_non_null(strstr(late->message, "yes"));
    assert_non_null(strstr(late->message, "ann"));
}

static void an_answer_outside_the_choices_is_refused_and_the_wait_stays(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "ye")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "yes|no")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "")->status,
                     PAWL_INVALID);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}}", "a", "other", "yes")
            ->status,
        PAWL_NOTFOUND);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "no")->status,
                     PAWL_OK);
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.choice", ""), "no");
}

static void at_the_deadline_the_default_is_taken(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start_with(r, "wf", "a", rig_value(r, "{on_deadline: %s}", "no"));
    rig_advance(r, 59999);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_advance(r, 1);
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.choice", ""), "no");
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.by", ""), "deadline");
}

static void without_a_default_the_deadline_fails_the_wait(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start(r, "wf", "a");
    rig_advance(r, 60000);
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "DeadlineExceeded");
    assert_int_equal(rig_count(r, "a", "WaitExpired"), 1);
}

static const pawl_value *two_questions(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *one = pawl_ask_start(w, "one");
    pawl_future *two = pawl_ask_start(w, "two");
    pawl_future *again = pawl_ask_start(w, "one");
    const pawl_failure *f = pawl_catch(w);
    const pawl_value *a = pawl_await(w, one);
    const pawl_value *b = pawl_await(w, two);
    return pawl_json(w, "{one: %p, two: %p, again: %d, type: %s}", pawl_v(a), pawl_v(b),
                     again != NULL, f != NULL ? f->type : "");
}

static void with_several_waits_open_an_answer_must_name_one(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", two_questions);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: 1}}", "a")->status, PAWL_INVALID);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, name: %s, value: {data: 2}}", "a", "two")->status, PAWL_OK);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: 1}}", "a")->status, PAWL_OK);
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_int(v, "one.data", 0), 1);
    assert_int_equal(pawl_int(v, "two.data", 0), 2);
    assert_string_equal(pawl_str(v, "type", ""), "InvalidName"); /* a name is open once */
}

static void a_wait_of_a_cancelled_run_can_no_longer_be_answered(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks_and_sleeps);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_true(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "yes")->status !=
                PAWL_OK);
    assert_int_equal(rig_count(r, "a", "WaitCanceled"), 1);
}

static void an_answer_to_a_paused_run_is_kept_and_a_second_is_told(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "yes")->status,
                     PAWL_OK);
    rig_crash(r);
    assert_true(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "no")->status !=
                PAWL_OK);
    rig_advance(r, 100000); /* its deadline passes while it is paused: answered is answered */
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(pawl_str(rig_result(r, "a"), "answer.choice", ""), "yes");
    assert_int_equal(rig_count(r, "a", "WaitExpired"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(signals_are_taken_in_the_order_they_were_accepted),
        RIG_TEST(signals_that_come_before_anybody_waits_are_kept_in_order),
        RIG_TEST(a_run_that_ends_with_unread_signals_says_how_many),
        RIG_TEST(a_signal_that_does_not_come_times_out_and_is_no_failure),
        RIG_TEST(a_signal_in_time_clears_its_timeout),
        RIG_TEST(unread_signals_cross_continue_as_new_in_order_and_the_result_is_that_of_the_last),
        RIG_TEST(a_crash_in_the_middle_of_continue_as_new_loses_no_signal),
        RIG_TEST(a_run_can_signal_another_and_an_unknown_one_harms_nobody),
        RIG_TEST(one_answer_wins_and_later_ones_are_told_so),
        RIG_TEST(a_late_answer_is_told_who_answered_what),
        RIG_TEST(an_answer_outside_the_choices_is_refused_and_the_wait_stays),
        RIG_TEST(at_the_deadline_the_default_is_taken),
        RIG_TEST(without_a_default_the_deadline_fails_the_wait),
        RIG_TEST(with_several_waits_open_an_answer_must_name_one),
        RIG_TEST(a_wait_of_a_cancelled_run_can_no_longer_be_answered),
        RIG_TEST(an_answer_to_a_paused_run_is_kept_and_a_second_is_told),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
