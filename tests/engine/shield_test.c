/*
 * shield_test.c - shields one in another, shields after a failure, and shields that branches stand under (plain ones: cancel_test.c).
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

static void cancel(rig *r, const char *id)
{
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", id)->status, PAWL_OK);
}

static void go(rig *r, const char *id, const char *name)
{
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", id, name)->status, PAWL_OK);
}

static const char *outcome(pawl_run *w)
{
    const pawl_failure *f = pawl_catch(w);
    return f != NULL ? f->type : "ok";
}

/* ---- after a failure ---- */

static const pawl_value *cleans_up(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 3600);
    pawl_shield(w, 30);
    const char *before = outcome(w);
    (void)pawl_sleep(w, 100);
    const char *inside = outcome(w);
    pawl_unshield(w);
    return pawl_json(w, "{before: %s, inside: %s}", before, inside);
}

static void a_shield_entered_after_a_failure_has_its_deadline(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", cleans_up);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 29999);
    rig_crash(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 1);
    assert_string_equal(pawl_str(rig_result(r, "a"), "before", ""), "Canceled");
    assert_string_equal(pawl_str(rig_result(r, "a"), "inside", ""), "Canceled");
    assert_int_equal(rig_count(r, "a", "ShieldExpired"), 1);
}

static const pawl_value *keeps_failing(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_fail(w, "Boom", "first");
    pawl_shield(w, 30);
    bool kept = !pawl_ok(w);
    pawl_unshield(w);
    const char *type = outcome(w);
    return pawl_json(w, "{kept: %d, type: %s}", kept ? 1 : 0, type);
}

static void a_shield_leaves_the_failure_that_was_set_as_it_was(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", keeps_failing);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "kept", 0), 1);
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "Boom");
    assert_int_equal(rig_count(r, "a", "ShieldEntered"), 1);
}

/* ---- one in another ---- */

static const pawl_value *nested(pawl_run *w, const pawl_value *in)
{
    pawl_shield(w, pawl_num(in, "outer_s", 0));
    pawl_shield(w, pawl_num(in, "inner_s", 0));
    (void)pawl_signal(w, "one");
    const char *inner = outcome(w);
    pawl_unshield(w);
    (void)pawl_signal(w, "two");
    const char *outer = outcome(w);
    pawl_unshield(w);
    (void)pawl_signal(w, "three");
    return pawl_json(w, "{inner: %s, outer: %s, after: %s, at_ms: %lld}", inner, outer, outcome(w),
                     (long long)pawl_now_ms(w));
}

static void start_nested(rig *r, int outer_s, int inner_s)
{
    rig_workflow(r, "wf", nested);
    rig_start_with(r, "wf", "a", rig_value(r, "{outer_s: %d, inner_s: %d}", outer_s, inner_s));
    cancel(r, "a");
}

static void
an_inner_shield_of_an_earlier_deadline_ends_at_it_and_the_outer_one_goes_on(void **state)
{
    rig *r = *state;
    start_nested(r, 600, 30);
    rig_advance(r, 30000);
    assert_int_equal(rig_count(r, "a", "ShieldExpired"), 1);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_run(r);
    go(r, "a", "two");
    assert_string_equal(pawl_str(rig_result(r, "a"), "inner", ""), "Canceled");
    assert_string_equal(pawl_str(rig_result(r, "a"), "outer", ""), "ok");
    assert_string_equal(pawl_str(rig_result(r, "a"), "after", ""), "Canceled");
}

static void an_inner_shield_with_a_deadline_ends_at_it_within_one_that_has_none(void **state)
{
    rig *r = *state;
    start_nested(r, 0, 30);
    rig_advance(r, 29999);
    assert_int_equal(rig_count(r, "a", "SignalAbandoned"), 0);
    rig_advance(r, 1);
    assert_int_equal(rig_count(r, "a", "SignalAbandoned"), 1);
    go(r, "a", "two");
    assert_string_equal(pawl_str(rig_result(r, "a"), "outer", ""), "ok");
}

static void an_inner_shield_never_lasts_longer_than_the_outer_one(void **state)
{
    rig *r = *state;
    start_nested(r, 30, 600);
    rig_advance(r, 30000);
    assert_int_equal(rig_count(r, "a", "ShieldEntered"),
                     1); /* the inner deadline cannot come to count */
    assert_string_equal(pawl_str(rig_result(r, "a"), "inner", ""), "Canceled");
    assert_string_equal(pawl_str(rig_result(r, "a"), "outer", ""), "Canceled");
}

/* ---- of a branch ---- */

static const pawl_value *waits(pawl_run *b, void *arg)
{
    (void)arg;
    (void)pawl_signal(b, "branch");
    return pawl_make_str(pawl_run_scope(b), outcome(b));
}

static const pawl_value *leaves_first(pawl_run *w, const pawl_value *in)
{
    pawl_shield(w, pawl_num(in, "deadline_s", 0));
    pawl_future *f = pawl_go(w, waits, NULL);
    (void)pawl_signal(w, "leave");
    pawl_unshield(w);
    pawl_shield(w, 0); /* another one: not the branch's */
    (void)pawl_signal(w, "end");
    const pawl_value *v = pawl_future_value(f);
    return pawl_json(w, "{branch: %p}", pawl_v(v));
}

static void start_leaving(rig *r, int deadline_s)
{
    rig_workflow(r, "wf", leaves_first);
    rig_start_with(r, "wf", "a", rig_value(r, "{deadline_s: %d}", deadline_s));
    cancel(r, "a");
    assert_int_equal(rig_count(r, "a", "SignalAbandoned"), 0);
    go(r, "a", "leave");
    assert_int_equal(rig_count(r, "a", "SignalAbandoned"), 1);
    rig_crash(r);
    rig_run(r);
    go(r, "a", "end");
    assert_string_equal(pawl_str(rig_result(r, "a"), "branch", ""), "Canceled");
}

static void a_branch_is_shielded_no_longer_than_whoever_entered_the_shield(void **state)
{
    start_leaving(*state, 600);
}

static void a_branch_loses_a_shield_without_a_deadline_when_it_is_left(void **state)
{
    start_leaving(*state, 0);
}

static const pawl_value *shields_itself(pawl_run *b, void *arg)
{
    (void)arg;
    pawl_shield(b, 100);
    (void)pawl_signal(b, "branch");
    const char *own = outcome(b);
    pawl_unshield(b);
    (void)pawl_signal(b, "branch");
    return pawl_json(b, "{own: %s, after: %s}", own, outcome(b));
}

static const pawl_value *leaves_a_shielded_branch(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 600);
    pawl_future *f = pawl_go(w, shields_itself, NULL);
    (void)pawl_signal(w, "leave");
    pawl_unshield(w);
    pawl_shield(w, 0);
    return pawl_await(w, f);
}

static void a_branch_keeps_the_shield_that_it_entered_itself(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", leaves_a_shielded_branch);
    rig_start(r, "wf", "a");
    cancel(r, "a");
    go(r, "a", "leave");
    assert_int_equal(rig_count(r, "a", "SignalAbandoned"), 0);
    go(r, "a", "branch");
    assert_string_equal(pawl_str(rig_result(r, "a"), "own", ""), "ok");
    assert_string_equal(pawl_str(rig_result(r, "a"), "after", ""), "Canceled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_shield_entered_after_a_failure_has_its_deadline),
        RIG_TEST(a_shield_leaves_the_failure_that_was_set_as_it_was),
        RIG_TEST(an_inner_shield_of_an_earlier_deadline_ends_at_it_and_the_outer_one_goes_on),
        RIG_TEST(an_inner_shield_with_a_deadline_ends_at_it_within_one_that_has_none),
        RIG_TEST(an_inner_shield_never_lasts_longer_than_the_outer_one),
        RIG_TEST(a_branch_is_shielded_no_longer_than_whoever_entered_the_shield),
        RIG_TEST(a_branch_loses_a_shield_without_a_deadline_when_it_is_left),
        RIG_TEST(a_branch_keeps_the_shield_that_it_entered_itself),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
