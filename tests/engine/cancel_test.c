/*
 * cancel_test.c - cancellation as a level, shields, and what wins over it.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static void cancel(rig *r, const char *id)
{
    assert_int_equal(rig_ask(r, "cancel", "{id: %s, reason: %s}", id, "enough")->status, PAWL_OK);
}

static const pawl_value *sleeps_twice(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 3600);
    const pawl_failure *first = pawl_catch(w);
    (void)pawl_sleep(w, 3600);
    const pawl_failure *second = pawl_catch(w);
    (void)pawl_call(w, "work");
    const pawl_failure *third = pawl_catch(w);
    return pawl_json(w, "{first: %s, second: %s, third: %s}", first != NULL ? first->type : "",
                     second != NULL ? second->type : "", third != NULL ? third->type : "");
}

static void cancel_is_a_level_the_pending_and_every_later_wait_fails(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", sleeps_twice);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    assert_string_equal(rig_status(r, "a"),
                        "completed"); /* it caught them all, and said what it returns */
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "first", ""), "Canceled");
    assert_string_equal(pawl_str(v, "second", ""), "Canceled");
    assert_string_equal(pawl_str(v, "third", ""), "Canceled");
    assert_int_equal(rig_count(r, "a", "ActivityScheduled"), 0);
    assert_int_equal(rig_count(r, "a", "TimerCanceled"), 1);
}

static const pawl_value *one_sleep(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 3600);
    return NULL;
}

static void a_run_that_lets_cancellation_through_ends_as_canceled_with_the_reason(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", one_sleep);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "message", ""), "enough");
    assert_string_equal(pawl_str(rig_event(r, "a", "CancelRequested", 0), "reason", ""), "enough");
}

static void cancelling_twice_is_one_event(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", one_sleep);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    cancel(r, "a");
    cancel(r, "a");
    assert_int_equal(rig_count(r, "a", "CancelRequested"), 1);
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "canceled");
}

/* ---- shields ---- */

static const pawl_value *shielded(pawl_run *w, const pawl_value *in)
{
    double deadline = pawl_num(in, "deadline_s", 0);
    pawl_shield(w, deadline);
    (void)pawl_sleep(w, 100);
    bool inner = pawl_ok(w);
    (void)pawl_catch(w);
    pawl_unshield(w);
    (void)pawl_sleep(w, 100);
    const pawl_failure *outer = pawl_catch(w);
    return pawl_json(w, "{inner: %s, outer: %s, asked: %s}", inner ? "ok" : "cut",
                     outer != NULL ? outer->type : "ok", pawl_cancel_requested(w) ? "yes" : "no");
}

static void inside_a_shield_waits_go_on_and_after_it_they_fail(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shielded);
    rig_start_with(r, "wf", "a", rig_value(r, "{deadline_s: 0}"));
    cancel(r, "a");
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_advance(r, 100000);
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "inner", ""), "ok");
    assert_string_equal(pawl_str(v, "outer", ""), "Canceled");
    assert_string_equal(pawl_str(v, "asked", ""), "yes");
}

static void a_shield_ends_at_its_deadline(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shielded);
    rig_start_with(r, "wf", "a", rig_value(r, "{deadline_s: 30}"));
    cancel(r, "a");
    rig_advance(r, 29999);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 1);
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "inner", ""), "cut");
    assert_int_equal(rig_count(r, "a", "ShieldExpired"), 1);
    assert_int_equal(rig_count(r, "a", "ShieldLeft"), 1);
}

static const pawl_value *leaver(pawl_run *b, void *arg)
{
    (void)arg;
    pawl_unshield(b);
    pawl_unshield(b);
    return pawl_signal(b, "go");
}

static const pawl_value *shielded_branch(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 600);
    pawl_future *f = pawl_go(w, leaver, NULL);
    const pawl_value *v = pawl_await(w, f);
    pawl_unshield(w);
    return v;
}

static void a_branch_cannot_leave_the_shield_of_its_parent(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shielded_branch);
    rig_start(r, "wf", "a");
    (void)rig_ask(r, "cancel", "{id: %s}", "a");
    assert_string_equal(rig_status(r, "a"), "running");
    assert_int_equal(rig_count(r, "a", "ShieldLeft"), 0);
    (void)rig_ask(r, "signal", "{id: %s, name: %s, value: 7}", "a", "go");
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 7);
}

static void a_shield_that_nobody_needs_leaves_no_timer_behind(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shielded);
    rig_start_with(r, "wf", "a", rig_value(r, "{deadline_s: 1000}"));
    rig_advance(r, 250000);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_advance(r, 1000000);
    assert_int_equal(rig_count(r, "a", "ShieldExpired"), 0);
    assert_int_equal(rig_count(r, "a", "ShieldLeft"), 1);
}

static const pawl_value *nested(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 0);
    pawl_shield(w, 0);
    pawl_unshield(w);
    (void)pawl_sleep(w, 10);
    const char *inner = pawl_ok(w) ? "ok" : "cut";
    pawl_unshield(w);
    return pawl_json(w, "{inner: %s}", inner);
}

static void shields_nest(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", nested);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    rig_advance(r, 10000);
    assert_string_equal(pawl_str(rig_result(r, "a"), "inner", ""), "ok");
}

/* ---- activities ---- */

static const pawl_value *one_call(pawl_run *w, const pawl_value *in)
{
    pawl_on_cancel how = (pawl_on_cancel)pawl_int(in, "how", 0);
    const pawl_value *v = pawl_call(w, "work", .on_cancel = how);
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{type: %s, result: %p}", f != NULL ? f->type : "ok", pawl_v(v));
}

static void open_call(rig *r, pawl_on_cancel how)
{
    rig_workflow(r, "wf", one_call);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{how: %d}", (int)how));
}

static void by_default_a_cancelled_activity_is_asked_and_waited_for(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_WAIT);
    cancel(r, "a");
    rig_advance(r, 5000);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_true(rig_task_find(r, "work")->cancel_asked);
    rig_stop(r, rig_task_find(r, "work"));
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Canceled");
    assert_int_equal(rig_count(r, "a", "ActivityCanceled"), 1);
}

static void an_activity_that_completes_all_the_same_counts(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_WAIT);
    cancel(r, "a");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "5"));
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "ok");
    assert_int_equal(pawl_int(rig_result(r, "a"), "result", 0), 5);
}

static void a_cancelled_activity_is_not_started_again_after_a_crash(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_WAIT);
    cancel(r, "a");
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "work"));
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Canceled");
}

static const pawl_value *unsafe_call(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .effect = PAWL_EFFECT_UNSAFE);
}

static void an_unsafe_activity_cancelled_while_sent_is_being_written_never_starts(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", unsafe_call);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    (void)rig_post(r, "cancel", "{id: %s}", "a");
    rig_step(r); /* the request is on its way to the journal */
    r->now_ms += 1000;
    rig_step(r); /* and the next attempt wants its `sent` */
    rig_run(r);
    assert_null(rig_task_find(r, "work"));
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static void on_request_the_run_goes_on_at_once_and_the_activity_is_asked(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_REQUEST);
    rig_task *t = rig_task_find(r, "work");
    cancel(r, "a");
    assert_true(t->cancel_asked);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Canceled");
}

static const pawl_value *abandons(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 0);
    pawl_future *f = pawl_call_start(w, "work", .on_cancel = PAWL_CANCEL_ABANDON);
    pawl_unshield(w);
    (void)pawl_await(w, f);
    const pawl_failure *first = pawl_catch(w);
    pawl_shield(w, 0);
    const pawl_value *v = pawl_await(w, f);
    return pawl_json(w, "{first: %s, late: %p}", first != NULL ? first->type : "ok", pawl_v(v));
}

static void an_abandoned_activity_is_not_asked_and_its_result_may_still_be_had(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", abandons);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    assert_string_equal(rig_status(r, "a"), "running");
    assert_false(rig_task_find(r, "work")->cancel_asked);
    assert_int_equal(rig_count(r, "a", "ActivityCancelRequested"), 0);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "8"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "late", 0), 8);
    assert_string_equal(pawl_str(rig_result(r, "a"), "first", ""), "Canceled");
}

static const pawl_value *leaves_one_behind(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call_start(w, "work", .on_cancel = PAWL_CANCEL_ABANDON);
    (void)pawl_sleep(w, 1);
    return NULL;
}

static void an_abandoned_activity_outlives_its_run_unasked(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", leaves_one_behind);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_false(rig_task_find(r, "work")->cancel_asked);
    rig_done(r, rig_task_find(r, "work"), NULL);
}

static void a_completion_in_the_same_turn_wins_over_cancellation(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_WAIT);
    rig_task *t = rig_task_find(r, "work");
    rig_begin(r, t);
    rig_run(r);
    /* both reach the core before it takes a turn */
    const rig_reply *reply = rig_post(r, "cancel", "{id: %s}", "a");
    rig_end(r, t, rig_value(r, "5"));
    while (rig_deliver(r)) {
    }
    rig_run(r);
    assert_int_equal(reply->status, PAWL_OK);
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "ok");
    assert_int_equal(pawl_int(rig_result(r, "a"), "result", 0), 5);
}

static void an_attempt_that_has_not_begun_is_cancelled_without_it(void **state)
{
    rig *r = *state;
    open_call(r, PAWL_CANCEL_WAIT);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true); /* waits for its retry */
    cancel(r, "a");
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Canceled");
    rig_advance(r, 100000);
    assert_null(rig_task_find(r, "work"));
}

static void a_cancelled_run_that_is_closed_answers_closed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", one_sleep);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_CLOSED);
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_CLOSED);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "x")->status, PAWL_CLOSED);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "nobody")->status, PAWL_NOTFOUND);
}

static const pawl_value *future_cancel(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *t = pawl_timer_start(w, 100);
    pawl_future *s = pawl_signal_start(w, "go");
    pawl_future *q = pawl_ask_start(w, "q");
    pawl_future *c = pawl_call_start(w, "work");
    pawl_future_cancel(w, t);
    pawl_future_cancel(w, s);
    pawl_future_cancel(w, q);
    pawl_future_cancel(w, c);
    (void)pawl_await(w, c);
    (void)pawl_catch(w);
    pawl_future *all[] = {t, s, q, c};
    int n = 0;
    for (int i = 0; i < 4; i++) {
        n += pawl_future_done(all[i]) && pawl_future_failure(all[i]) != NULL ? 1 : 0;
    }
    return pawl_json(w, "{ended: %d, ok: %d}", n, pawl_ok(w) ? 1 : 0);
}

static void a_single_future_can_be_cancelled_and_the_run_goes_on(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", future_cancel);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    assert_null(rig_task_find(r, "work")); /* asked and withdrawn in one turn: it never left */
    assert_int_equal(pawl_int(rig_result(r, "a"), "ended", 0), 4);
    assert_int_equal(pawl_int(rig_result(r, "a"), "ok", 0), 1);
    assert_int_equal(rig_count(r, "a", "CancelRequested"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(cancel_is_a_level_the_pending_and_every_later_wait_fails),
        RIG_TEST(a_run_that_lets_cancellation_through_ends_as_canceled_with_the_reason),
        RIG_TEST(cancelling_twice_is_one_event),
        RIG_TEST(inside_a_shield_waits_go_on_and_after_it_they_fail),
        RIG_TEST(a_shield_ends_at_its_deadline),
        RIG_TEST(a_branch_cannot_leave_the_shield_of_its_parent),
        RIG_TEST(a_shield_that_nobody_needs_leaves_no_timer_behind),
        RIG_TEST(shields_nest),
        RIG_TEST(by_default_a_cancelled_activity_is_asked_and_waited_for),
        RIG_TEST(an_activity_that_completes_all_the_same_counts),
        RIG_TEST(a_cancelled_activity_is_not_started_again_after_a_crash),
        RIG_TEST(an_unsafe_activity_cancelled_while_sent_is_being_written_never_starts),
        RIG_TEST(on_request_the_run_goes_on_at_once_and_the_activity_is_asked),
        RIG_TEST(an_abandoned_activity_is_not_asked_and_its_result_may_still_be_had),
        RIG_TEST(an_abandoned_activity_outlives_its_run_unasked),
        RIG_TEST(a_completion_in_the_same_turn_wins_over_cancellation),
        RIG_TEST(an_attempt_that_has_not_begun_is_cancelled_without_it),
        RIG_TEST(a_cancelled_run_that_is_closed_answers_closed),
        RIG_TEST(a_single_future_can_be_cancelled_and_the_run_goes_on),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
