/*
 * await_test.c - cancellation while several futures are awaited, each ending as its own call says; and branches that are cancelled.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static void cancel(rig *r, const char *id)
{
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", id)->status, PAWL_OK);
}

static const char *outcome(pawl_run *w)
{
    const pawl_failure *f = pawl_catch(w);
    return f != NULL ? f->type : "ok";
}

static const char *ended(const pawl_future *f)
{
    const pawl_failure *failure = pawl_future_failure(f);
    return !pawl_future_done(f) ? "open" : failure != NULL ? failure->type : "ok";
}

/* ---- of each its own ---- */

enum { ALL, ANY, FIRST };

static const pawl_value *awaits(pawl_run *w, const pawl_value *in)
{
    pawl_future *f[] = {pawl_call_start(w, "waits", .on_cancel = PAWL_CANCEL_WAIT),
                        pawl_call_start(w, "asks", .on_cancel = PAWL_CANCEL_REQUEST),
                        pawl_call_start(w, "lets", .on_cancel = PAWL_CANCEL_ABANDON),
                        pawl_timer_start(w, 3600)};
    int which = -1;
    switch (pawl_int(in, "how", ALL)) {
    case ANY:
        which = pawl_await_any(w, f, PW_COUNT(f));
        break;
    case FIRST:
        which = pawl_await_first(w, f, PW_COUNT(f));
        break;
    default:
        which = pawl_await_all(w, f, PW_COUNT(f)) ? 0 : -1;
        break;
    }
    const char *type = outcome(w);
    const pawl_value *out =
        pawl_json(w, "{which: %d, type: %s, waits: %s, asks: %s, lets: %s, timer: %s}", which, type,
                  ended(f[0]), ended(f[1]), ended(f[2]), ended(f[3]));
    pawl_shield(w, 0);
    (void)pawl_signal(w, "end");
    return out;
}

static void open_awaits(rig *r, int how)
{
    if (r->code_len == 0) {
        rig_workflow(r, "wf", awaits);
        rig_held(r, "waits", PAWL_EFFECT_DEFAULT);
        rig_held(r, "asks", PAWL_EFFECT_DEFAULT);
        rig_held(r, "lets", PAWL_EFFECT_DEFAULT);
    }
    rig_start_with(r, "wf", "a", rig_value(r, "{how: %d}", how));
    cancel(r, "a");
    assert_true(rig_task_find(r, "waits")->cancel_asked);
    assert_true(rig_task_find(r, "asks")->cancel_asked);
    assert_false(rig_task_find(r, "lets")->cancel_asked);
    assert_int_equal(rig_count(r, "a", "TimerCanceled"), 1);
    assert_string_equal(rig_waiting(r, "a"),
                        "activity waits and 2 more"); /* not yet behind the await */
}

static const pawl_value *end_awaits(rig *r)
{
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "end")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    return rig_result(r, "a");
}

static void each_future_of_a_cancelled_await_ends_as_its_own_call_says(void **state)
{
    rig *r = *state;
    for (int how = ALL; how <= FIRST; how++) {
        open_awaits(r, how);
        rig_stop(r, rig_task_find(r, "waits"));
        const pawl_value *v = end_awaits(r);
        assert_int_equal(pawl_int(v, "which", 0), -1);
        assert_string_equal(pawl_str(v, "type", ""), "Canceled");
        assert_string_equal(pawl_str(v, "waits", ""), "Canceled");
        assert_string_equal(pawl_str(v, "asks", ""), "open");
        assert_string_equal(pawl_str(v, "lets", ""), "open");
        assert_string_equal(pawl_str(v, "timer", ""), "Canceled");
        rig_done(r, rig_task_find(r, "lets"), NULL);
        rig_done(r, rig_task_find(r, "asks"), NULL);
    }
}

static void what_completes_all_the_same_is_what_any_and_first_return(void **state)
{
    rig *r = *state;
    for (int how = ANY; how <= FIRST; how++) {
        open_awaits(r, how);
        rig_done(r, rig_task_find(r, "waits"), rig_value(r, "5"));
        const pawl_value *v = end_awaits(r);
        assert_int_equal(pawl_int(v, "which", -1), 0);
        assert_string_equal(pawl_str(v, "type", ""), "ok");
        rig_done(r, rig_task_find(r, "lets"), NULL);
        rig_done(r, rig_task_find(r, "asks"), NULL);
    }
}

static void a_crash_while_the_end_of_one_is_waited_for_changes_nothing(void **state)
{
    rig *r = *state;
    open_awaits(r, ALL);
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "waits")); /* not started again: it ended as cancelled */
    assert_string_equal(pawl_str(end_awaits(r), "type", ""), "Canceled");
}

static const pawl_value *two_calls(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[] = {pawl_call_start(w, "one"), pawl_call_start(w, "two")};
    bool all = pawl_await_all(w, f, 2);
    return pawl_json(w, "{all: %d, type: %s}", all ? 1 : 0, outcome(w));
}

static void all_that_completed_all_the_same_count(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", two_calls);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    rig_done(r, rig_task_find(r, "two"), NULL);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, rig_task_find(r, "one"), NULL);
    assert_int_equal(pawl_int(rig_result(r, "a"), "all", -1), 1);
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "ok");
}

static void all_of_which_one_failed_by_itself_and_one_was_stopped_is_canceled(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", two_calls);
    rig_held(r, "one", PAWL_EFFECT_DEFAULT);
    rig_held(r, "two", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    rig_fail(r, rig_task_find(r, "one"), "Boom", false);
    rig_stop(r, rig_task_find(r, "two"));
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Canceled");
}

/* ---- branches ---- */

static const pawl_value *calls(pawl_run *b, void *arg)
{
    const pawl_value *how = arg;
    (void)pawl_call(b, "work", .on_cancel = (pawl_on_cancel)pawl_int(how, "", 0));
    return pawl_make_str(pawl_run_scope(b), outcome(b));
}

static const pawl_value *awaits_branch(pawl_run *w, const pawl_value *in)
{
    pawl_future *f = pawl_go(w, calls, pawl_v(pawl_get(in, "how")));
    const pawl_value *v = pawl_await(w, f);
    return pawl_json(w, "{branch: %p, type: %s}", pawl_v(v), outcome(w));
}

static void open_branch(rig *r, pawl_on_cancel how)
{
    rig_workflow(r, "wf", awaits_branch);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{how: %d}", (int)how));
    cancel(r, "a");
}

static void a_cancelled_await_of_a_branch_waits_for_what_the_branch_waits_for(void **state)
{
    rig *r = *state;
    open_branch(r, PAWL_CANCEL_WAIT);
    assert_true(rig_task_find(r, "work")->cancel_asked);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_run(r);
    assert_string_equal(pawl_str(rig_result(r, "a"), "branch", ""),
                        "Canceled"); /* it caught that, and completed */
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "ok");
}

static void a_branch_that_need_not_wait_for_its_activity_ends_at_once(void **state)
{
    rig *r = *state;
    open_branch(r, PAWL_CANCEL_ABANDON);
    assert_int_equal(rig_count(r, "a", "ActivityCancelRequested"), 0);
    assert_string_equal(pawl_str(rig_result(r, "a"), "branch", ""), "Canceled");
    rig_done(r, rig_task_find(r, "work"), NULL);
}

static const pawl_value *inner(pawl_run *b, void *arg)
{
    (void)arg;
    (void)pawl_sleep(b, 3600);
    return pawl_make_str(pawl_run_scope(b), outcome(b));
}

static const pawl_value *outer(pawl_run *b, void *arg)
{
    (void)arg;
    const pawl_value *v = pawl_await(b, pawl_go(b, inner, NULL));
    (void)pawl_sleep(b, 1);
    return pawl_json(b, "{inner: %p, asked: %d, type: %s}", pawl_v(v),
                     pawl_cancel_requested(b) ? 1 : 0, outcome(b));
}

static const pawl_value *cancels_branch(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f = pawl_go(w, outer, NULL);
    (void)pawl_sleep(w, 1);
    pawl_future_cancel(w, f);
    const pawl_value *v = pawl_await(w, f);
    bool slept = pawl_sleep(w, 1); /* the others of the run go on */
    return pawl_json(w, "{branch: %p, slept: %d, asked: %d}", pawl_v(v), slept ? 1 : 0,
                     pawl_cancel_requested(w) ? 1 : 0);
}

static void a_branch_can_be_cancelled_alone_and_with_it_the_branch_it_awaits(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", cancels_branch);
    rig_start(r, "wf", "a");
    rig_advance(r, 1000);
    rig_crash(r);
    rig_advance(r, 1000);
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "branch.inner", ""), "Canceled");
    assert_int_equal(pawl_int(v, "branch.asked", 0), 1);
    assert_string_equal(pawl_str(v, "branch.type", ""), "Canceled");
    assert_int_equal(pawl_int(v, "slept", 0), 1);
    assert_int_equal(pawl_int(v, "asked", 1), 0);
    assert_int_equal(rig_count(r, "a", "CancelRequested"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(each_future_of_a_cancelled_await_ends_as_its_own_call_says),
        RIG_TEST(what_completes_all_the_same_is_what_any_and_first_return),
        RIG_TEST(a_crash_while_the_end_of_one_is_waited_for_changes_nothing),
        RIG_TEST(all_that_completed_all_the_same_count),
        RIG_TEST(all_of_which_one_failed_by_itself_and_one_was_stopped_is_canceled),
        RIG_TEST(a_cancelled_await_of_a_branch_waits_for_what_the_branch_waits_for),
        RIG_TEST(a_branch_that_need_not_wait_for_its_activity_ends_at_once),
        RIG_TEST(a_branch_can_be_cancelled_alone_and_with_it_the_branch_it_awaits),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
