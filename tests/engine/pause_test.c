/*
 * pause_test.c - pause and resume, terminate, timeouts of a whole run, and opening a failed run again.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

static void ok(rig *r, const char *op, const char *id)
{
    const rig_reply *reply = rig_ask(r, op, "{id: %s}", id);
    if (reply->status != PAWL_OK) {
        fail_msg("%s %s: %s", op, id, reply->message);
    }
}

/* ---- pause ---- */

static const pawl_value *two_timers(pawl_run *w, const pawl_value *in)
{
    (void)in;
    char text[64] = "";
    pawl_future *f[3] = {pawl_timer_start(w, 30), pawl_timer_start(w, 10), pawl_timer_start(w, 20)};
    for (int i = 0; i < 3; i++) {
        int k = pawl_await_any(w, f, 3);
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%d ", k);
        if (k >= 0) {
            f[k] = NULL;
        }
    }
    return pawl_json(w, "{order: %s}", text);
}

static void timers_due_in_a_pause_are_delivered_in_time_order_at_resume(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", two_timers);
    rig_start(r, "wf", "a");
    ok(r, "pause", "a");
    rig_advance(r, 60000);
    assert_int_equal(rig_count(r, "a", "TimerFired"), 0);
    rig_crash(r);
    rig_advance(r, 60000);
    assert_int_equal(rig_count(r, "a", "TimerFired"), 0);
    ok(r, "resume", "a");
    assert_string_equal(pawl_str(rig_result(r, "a"), "order", ""), "1 2 0 ");
}

static const pawl_value *calls(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "one");
    (void)pawl_call(w, "two");
    const pawl_value *s = pawl_signal(w, "go");
    return pawl_json(w, "{signal: %p}", pawl_v(s));
}

static void open_calls(rig *r)
{
    rig_workflow(r, "wf", calls);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
}

static void a_running_activity_finishes_in_a_pause_and_is_kept_and_nothing_new_starts(void **state)
{
    rig *r = *state;
    open_calls(r);
    ok(r, "pause", "a");
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_string_equal(rig_reason(r, "a"), "asked");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "1"));
    rig_advance(r, 10000);
    assert_int_equal(rig_count(r, "a", "ActivityCompleted"), 1);
    assert_null(rig_task_find(r, "two"));
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "one"));
    assert_null(rig_task_find(r, "two"));
    ok(r, "resume", "a");
    assert_non_null(rig_task_find(r, "two"));
}

static void a_failed_attempt_is_not_tried_again_before_the_resume(void **state)
{
    rig *r = *state;
    open_calls(r);
    ok(r, "pause", "a");
    rig_fail(r, rig_task_find(r, "one"), "Boom", true);
    rig_advance(r, 100000);
    assert_null(rig_task_find(r, "one"));
    ok(r, "resume", "a");
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "one")->task), 2);
}

static void signals_to_a_paused_run_are_acked_journaled_and_delivered_after_the_resume(void **state)
{
    rig *r = *state;
    open_calls(r);
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_done(r, rig_task_find(r, "two"), NULL);
    ok(r, "pause", "a");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 3}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    rig_crash(r);
    rig_advance(r, 5000);
    assert_string_equal(rig_status(r, "a"), "paused");
    ok(r, "resume", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "signal", 0), 3);
}

static void pausing_twice_and_resuming_what_is_not_paused_change_nothing(void **state)
{
    rig *r = *state;
    open_calls(r);
    ok(r, "resume", "a");
    ok(r, "pause", "a");
    ok(r, "pause", "a");
    ok(r, "resume", "a");
    ok(r, "resume", "a");
    assert_int_equal(rig_count(r, "a", "RunPaused"), 1);
    assert_int_equal(rig_count(r, "a", "RunResumed"), 1);
}

/* ---- ends from outside ---- */

static void terminate_ends_a_run_at_once_also_a_paused_one(void **state)
{
    rig *r = *state;
    open_calls(r);
    ok(r, "pause", "a");
    rig_task *t = rig_task_find(r, "one");
    assert_int_equal(rig_ask(r, "terminate", "{id: %s, reason: %s}", "a", "wrong month")->status,
                     PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "terminated");
    assert_true(t->cancel_asked);
    assert_non_null(strstr(pawl_str(rig_failure(r, "a"), "message", ""), "wrong month"));
    rig_crash(r);
    rig_advance(r, 100000);
    assert_null(rig_task_find(r, "one"));
}

static void a_run_that_takes_longer_than_its_timeout_ends(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", calls);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, timeout_s: 3600}", "wf", "a")->status, PAWL_OK);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, timeout_s: 3600}", "wf", "b")->status, PAWL_OK);
    ok(r, "pause", "b");
    rig_advance(r, 3599999);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_advance(r, 1);
    assert_string_equal(rig_status(r, "a"), "timed-out");
    assert_string_equal(rig_status(r, "b"), "timed-out");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Timeout");
}

/* ---- opening a failed run again ---- */

static const pawl_value *pipeline(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_call(w, "one", .retries = PAWL_RETRY_NONE);
    const pawl_value *b = pawl_call(w, "two", .retries = PAWL_RETRY_NONE);
    return pawl_json(w, "{a: %p, b: %p}", pawl_v(a), pawl_v(b));
}

static void retry_opens_a_failed_run_at_its_failed_step_and_keeps_what_completed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pipeline);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "1"));
    for (int i = 0; i < 3; i++) {
        rig_fail(r, rig_task_find(r, "two"), "Boom", true);
        assert_string_equal(rig_status(r, "a"), "failed");
        rig_crash(r);
        ok(r, "retry", "a");
        assert_string_equal(rig_status(r, "a"), "running");
        assert_null(rig_task_find(r, "one"));
        rig_crash(r);
        rig_run(r);
        assert_null(rig_task_find(r, "one"));
    }
    rig_done(r, rig_task_find(r, "two"), rig_value(r, "2"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "a", 0), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 2);
    rig_crash(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 2);
    assert_int_equal(rig_count(r, "a", "RunRetried"), 3);
}

static const pawl_value *compensated(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_call(w, "one", .undo = "undo_one", .retries = PAWL_RETRY_NONE);
    const pawl_value *b = pawl_call(w, "two", .undo = "undo_two", .retries = PAWL_RETRY_NONE);
    (void)pawl_call(w, "three", .retries = PAWL_RETRY_NONE);
    return pawl_json(w, "{a: %p, b: %p}", pawl_v(a), pawl_v(b));
}

static void open_compensated(rig *r)
{
    static const char *const names[] = {"one", "two", "three", "undo_one", "undo_two"};
    rig_workflow(r, "wf", compensated);
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        rig_held(r, names[i], PAWL_EFFECT_DEFAULT);
    }
    rig_start(r, "wf", "a");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "1"));
    rig_done(r, rig_task_find(r, "two"), rig_value(r, "2"));
    rig_fail(r, rig_task_find(r, "three"), "Boom", true);
    rig_done(r, rig_task_find(r, "undo_two"), NULL);
    rig_done(r, rig_task_find(r, "undo_one"), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
}

static const pawl_value *calls_two(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "two", .retries = PAWL_RETRY_NONE);
}

static const pawl_value *goes_on_without(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "two", .retries = PAWL_RETRY_NONE);
    (void)pawl_catch(w);
    return pawl_call(w, "three");
}

static void the_stretch_that_a_retry_made_void_need_not_fit_the_mended_code(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", calls_two);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_held(r, "three", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_fail(r, rig_task_find(r, "two"), "Boom", false);
    rig_kill(r);
    rig_replace(r, "wf", goes_on_without);
    rig_boot(r);
    ok(r, "retry", "a");
    rig_crash(r); /* all is read again, and the void stretch before what says that it is void */
    rig_run(r);
    rig_done(r, rig_task_find(r, "two"), NULL);
    rig_done(r, rig_task_find(r, "three"), rig_value(r, "3"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 3);
}

static void what_compensation_took_back_is_done_again_on_retry(void **state)
{
    rig *r = *state;
    open_compensated(r);
    ok(r, "retry", "a");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "11"));
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "two"), rig_value(r, "12"));
    rig_done(r, rig_task_find(r, "three"), NULL);
    assert_int_equal(pawl_int(rig_result(r, "a"), "a", 0), 11);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 12);
    rig_crash(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 12);
}

static void a_retried_run_that_fails_again_takes_back_what_it_did_the_second_time(void **state)
{
    rig *r = *state;
    open_compensated(r);
    ok(r, "retry", "a");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "11"));
    rig_fail(r, rig_task_find(r, "two"), "Again", true);
    const rig_task *undo = rig_task_find(r, "undo_one");
    assert_non_null(undo);
    assert_int_equal(pawl_int(pawl_task_input(undo->task), "result", 0), 11);
    rig_done(r, rig_task_find(r, "undo_one"), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Again");
}

static void a_cancelled_run_can_be_opened_again_and_is_no_longer_cancelled(void **state)
{
    rig *r = *state;
    open_calls(r);
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_task *t = rig_task_find(r, "two");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_stop(r, t);
    assert_string_equal(rig_status(r, "a"), "canceled");
    ok(r, "retry", "a");
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "two"), NULL);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 9}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "signal", 0), 9);
}

static void a_timed_out_run_can_be_opened_again(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pipeline);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, timeout_s: 60}", "wf", "a")->status, PAWL_OK);
    rig_drop(r, rig_task_find(r, "one"));
    rig_advance(r, 60000);
    assert_string_equal(rig_status(r, "a"), "timed-out");
    ok(r, "retry", "a");
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "two"), NULL);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_run_that_timed_out_while_it_was_paused_can_be_opened_again(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pipeline);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, timeout_s: 60}", "wf", "a")->status, PAWL_OK);
    ok(r, "pause", "a");
    rig_drop(r, rig_task_find(r, "one"));
    rig_advance(r, 60000);
    assert_string_equal(rig_status(r, "a"), "timed-out");
    ok(r, "retry", "a");
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_done(r, rig_task_find(r, "two"), NULL);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void what_reached_a_run_after_its_end_and_before_its_retry_is_told_closed(void **state)
{
    rig *r = *state;
    open_calls(r);
    rig_end_failed(r, rig_task_find(r, "one"), "Boom", false);
    while (rig_deliver(r)) {
    }
    rig_step(r); /* its end is in flight */
    const rig_reply *late = rig_post(r, "cancel", "{id: %s}", "a");
    const rig_reply *retry = rig_post(r, "retry", "{id: %s}", "a");
    rig_run(r);
    assert_int_equal(late->status, PAWL_CLOSED);
    assert_int_equal(retry->status, PAWL_OK);
    assert_int_equal(rig_count(r, "a", "CancelRequested"), 0);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_stat(r, "mismatches"), 0);
    assert_non_null(rig_task_find(r, "one"));
}

static void a_signal_that_follows_a_retry_counts_for_its_second_life(void **state)
{
    rig *r = *state;
    open_calls(r);
    rig_fail(r, rig_task_find(r, "one"), "Boom", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    const rig_reply *retry = rig_post(r, "retry", "{id: %s}", "a");
    const rig_reply *signal = rig_post(r, "signal", "{id: %s, name: %s, value: 9}", "a", "go");
    rig_run(r);
    assert_int_equal(retry->status, PAWL_OK);
    assert_int_equal(signal->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_done(r, rig_task_find(r, "two"), NULL);
    assert_int_equal(pawl_int(rig_result(r, "a"), "signal", 0), 9);
}

static const pawl_value *fails_by_itself(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *n = pawl_call(w, "one");
    if (pawl_int(n, "", 0) < 5) {
        return pawl_fail(w, "TooSmall", "%lld", (long long)pawl_int(n, "", 0));
    }
    return n;
}

static const pawl_value *mended(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *n = pawl_call(w, "one");
    return pawl_json(w, "{n: %p}", pawl_v(n));
}

static void a_run_that_its_own_code_failed_goes_on_with_mended_code(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", fails_by_itself);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_done(r, rig_task_find(r, "one"), rig_value(r, "3"));
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_kill(r);
    rig_replace(r, "wf", mended);
    r->build++;
    rig_boot(r);
    ok(r, "retry", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "n", 0), 3);
}

static const pawl_value *works_beside(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f = pawl_call_start(w, "two");
    (void)pawl_sleep(w, 1);
    (void)pawl_call(w, "one", .retries = PAWL_RETRY_NONE);
    return pawl_await(w, f);
}

static void what_was_dropped_when_the_run_failed_cannot_report_into_its_second_life(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", works_beside);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_advance(r, 1000);
    rig_task *old = rig_task_find(r, "two");
    rig_fail(r, rig_task_find(r, "one"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    ok(r, "retry", "a");
    rig_done(r, rig_task_find(r, "one"), NULL);
    assert_int_equal(rig_tasks(r, "two"), 2);
    rig_done(r, old, rig_value(r, "1"));
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "two"), rig_value(r, "2"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 2);
}

static const pawl_value *one_branch_pays(pawl_run *w, void *arg)
{
    (void)arg;
    return pawl_call(w, "pay", .effect = PAWL_EFFECT_UNSAFE);
}

static const pawl_value *pays_beside(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f = pawl_go(w, one_branch_pays, NULL);
    (void)pawl_sleep(w, 1);
    (void)pawl_call(w, "one", .retries = PAWL_RETRY_NONE);
    return pawl_await(w, f);
}

static void
an_unsafe_step_that_was_under_way_when_the_run_failed_is_asked_about_on_retry(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", pays_beside);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "pay", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_advance(r, 1000);
    rig_fail(r, rig_task_find(r, "one"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_drop(r, rig_task_find(r, "pay"));
    ok(r, "retry", "a");
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"), 1);
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "pay"));
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: 8}}", "a", "done")->status,
        PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 8);
    assert_true(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "done")->status !=
                PAWL_OK);
}

static void only_failed_cancelled_and_timed_out_runs_are_retried(void **state)
{
    rig *r = *state;
    open_calls(r);
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_CONFLICT);
    ok(r, "terminate", "a");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_CONFLICT);
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "nobody")->status, PAWL_NOTFOUND);
    assert_int_equal(rig_count(r, "a", "RunRetried"), 0);
}

static const pawl_value *many_open(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *q = pawl_ask_start(w, "question", .deadline_s = 5000, .on_deadline = "late");
    pawl_future *t = pawl_timer_start(w, 300);
    pawl_future *s = pawl_signal_start(w, "go", .timeout_s = 200);
    pawl_future *c = pawl_child_start(w, .workflow = "child", .policy = PAWL_PARENT_ABANDON);
    (void)pawl_call(w, "one", .retries = PAWL_RETRY_NONE);
    (void)pawl_await(w, t);
    (void)pawl_await(w, s);
    const pawl_value *child = pawl_await(w, c);
    const pawl_value *v = pawl_await(w, q);
    return pawl_json(w, "{answer: %p, child: %p}", pawl_v(v), pawl_v(child));
}

static const pawl_value *child(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "two");
}

static void what_was_open_when_the_run_failed_is_open_again_after_the_retry(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", many_open);
    rig_workflow(r, "child", child);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_fail(r, rig_task_find(r, "one"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: 1}}", "a")->status, PAWL_CLOSED);
    ok(r, "retry", "a");
    rig_done(r, rig_task_find(r, "one"), NULL);
    rig_advance(r, 400000);
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "two"), rig_value(r, "6"));
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: 5}}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "answer.data", 0), 5);
    assert_int_equal(pawl_int(rig_result(r, "a"), "child", 0), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(timers_due_in_a_pause_are_delivered_in_time_order_at_resume),
        RIG_TEST(a_running_activity_finishes_in_a_pause_and_is_kept_and_nothing_new_starts),
        RIG_TEST(a_failed_attempt_is_not_tried_again_before_the_resume),
        RIG_TEST(signals_to_a_paused_run_are_acked_journaled_and_delivered_after_the_resume),
        RIG_TEST(pausing_twice_and_resuming_what_is_not_paused_change_nothing),
        RIG_TEST(terminate_ends_a_run_at_once_also_a_paused_one),
        RIG_TEST(a_run_that_takes_longer_than_its_timeout_ends),
        RIG_TEST(retry_opens_a_failed_run_at_its_failed_step_and_keeps_what_completed),
        RIG_TEST(the_stretch_that_a_retry_made_void_need_not_fit_the_mended_code),
        RIG_TEST(what_compensation_took_back_is_done_again_on_retry),
        RIG_TEST(a_retried_run_that_fails_again_takes_back_what_it_did_the_second_time),
        RIG_TEST(a_cancelled_run_can_be_opened_again_and_is_no_longer_cancelled),
        RIG_TEST(a_timed_out_run_can_be_opened_again),
        RIG_TEST(a_run_that_timed_out_while_it_was_paused_can_be_opened_again),
        RIG_TEST(what_reached_a_run_after_its_end_and_before_its_retry_is_told_closed),
        RIG_TEST(a_signal_that_follows_a_retry_counts_for_its_second_life),
        RIG_TEST(a_run_that_its_own_code_failed_goes_on_with_mended_code),
        RIG_TEST(what_was_dropped_when_the_run_failed_cannot_report_into_its_second_life),
        RIG_TEST(an_unsafe_step_that_was_under_way_when_the_run_failed_is_asked_about_on_retry),
        RIG_TEST(only_failed_cancelled_and_timed_out_runs_are_retried),
        RIG_TEST(what_was_open_when_the_run_failed_is_open_again_after_the_retry),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
