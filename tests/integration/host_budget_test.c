/*
 * host_budget_test.c - budgets from the host's side: looked at, raised and set by the C API, while a step is held. Does not test what is booked
 * (tests/engine/budget_test.c), nor the command line.
 */
#include "host_rig.h"

/* Uses 30 cents a call, and sets aside as much. */
static const pawl_value *buy(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    (void)pawl_task_spend(t, pawl_task_build(t, "{usd: %g, calls: 1}", 0.3));
    return NULL;
}

static const pawl_value *buyer(pawl_run *w, const pawl_value *in)
{
    for (int64_t i = pawl_int(in, "count", 2); i > 0; i--) {
        (void)pawl_call(w, "buy", .reserve = pawl_json(w, "{usd: %g, calls: 1}", 0.3));
    }
    return pawl_budget(w);
}

/* Started below goal:x: the second call does not fit. */
static rig *begin(void **state)
{
    rig *r = *state;
    rig_open(r, NULL);
    ok(r, pawl_register_activity(r->engine, "buy", buy, NULL, &r->err));
    ok(r, pawl_register_workflow(r->engine, "buyer", "1", buyer, NULL, &r->err));
    pawl_start_options o = {
        .workflow = "buyer",
        .id = "b-1",
        .budget =
            pawl_build(r->scope, "{usd: 0.5, parent: {name: %s, usd: 0.5, calls: 9}}", "goal:x")};
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    const pawl_value *v = NULL;
    rig_watch(r);
    for (;;) {
        ok(r, pawl_waits(r->engine, "b-1", r->scope, &v, &r->err));
        if (pawl_len(v) > 0) {
            return r;
        }
        rig_event(r);
    }
}

static void a_budget_is_read_with_those_above_and_the_question_that_it_asked(void **state)
{
    rig *r = begin(state);
    const pawl_value *v = NULL;
    ok(r, pawl_budgets(r->engine, NULL, "b-1", NULL, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "budgets")), 2);
    assert_string_equal(pawl_str(v, "budgets.0.name", ""), "goal:x");
    assert_string_equal(pawl_str(v, "budgets.1.run.id", ""), "b-1");
    assert_string_equal(pawl_str(v, "budgets.1.held.0.name", ""), "budget");
    assert_true(pawl_num(v, "budgets.0.spent.usd", 0) == 0.3);
    ok(r, pawl_budgets(r->engine, NULL, NULL, NULL, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "budgets")), 2);
    assert_string_equal(pawl_str(v, "next", "?"), "");
    ok(r, pawl_budgets(r->engine, NULL, NULL, "goal:x", r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "budgets")), 1);
    ok(r, pawl_budgets(r->engine, "goal:x", NULL, NULL, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "budgets.0.name", ""), "goal:x");
    expect(r, PAWL_NOTFOUND, pawl_budgets(r->engine, "goal:y", NULL, NULL, r->scope, &v, &r->err));
}

static void limits_that_are_raised_let_the_step_go_on_and_say_who_did_it(void **state)
{
    rig *r = begin(state);
    const pawl_value *v = NULL;
    pawl_budget_options run = {.id = "b-1",
                               .limits = pawl_build(r->scope, "{usd: {soft: 0.4, hard: %g}}", 0.9)};
    pawl_budget_options goal = {
        .name = "goal:x", .limits = pawl_build(r->scope, "{usd: 0.7}"), .raise = true, .by = "ann"};
    ok(r, pawl_budget_set(r->engine, &run, sizeof run, r->scope, &v, &r->err));
    assert_true(pawl_num(v, "limits.soft.usd", 0) == 0.4);
    assert_true(pawl_num(v, "limits.hard.usd", 0) == 0.9);
    expect(r, PAWL_TIMEOUT, pawl_result(r->engine, "b-1", 0, r->scope, &v, &r->err));
    ok(r, pawl_budget_set(r->engine, &goal, sizeof goal, NULL, NULL, &r->err));
    assert_true(pawl_num(rig_result(r, "b-1"), "spent.usd", 0) == 0.6);
    rig_close(r);
    rig_open(r, NULL); /* they are the journal's */
    ok(r, pawl_budgets(r->engine, "goal:x", NULL, NULL, r->scope, &v, &r->err));
    assert_true(pawl_num(v, "budgets.0.limits.hard.usd", 0) == 0.7);
    assert_int_equal(pawl_int(v, "budgets.0.limits.hard.calls", 0), 9);
    assert_string_equal(pawl_str(v, "budgets.0.set.by", ""), "ann");
    assert_true(pawl_num(v, "budgets.0.set.was.hard.usd", 0) == 0.5);
}

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
    rig *r = begin(state);
    const pawl_value *v = NULL;
    const pawl_value *limits = pawl_build(r->scope, "{usd: 0.5}");
    pawl_budget_options o = {.name = "goal:x", .limits = limits, .raise = true};
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    assert_non_null(strstr(r->err.message, "raises nothing"));
    o.limits = NULL;
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    o.limits = pawl_build(r->scope, "{euros: 1}");
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    o = (pawl_budget_options){.name = "goal:y", .limits = limits};
    expect(r, PAWL_NOTFOUND, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    o = (pawl_budget_options){.id = "nobody", .limits = limits};
    expect(r, PAWL_NOTFOUND, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    o = (pawl_budget_options){.limits = limits};
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, NULL, 0, NULL, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_budget_set(NULL, &o, sizeof o, NULL, NULL, &r->err));
    ok(r, pawl_budgets(r->engine, "goal:x", NULL, NULL, r->scope, &v, &r->err));
    assert_true(pawl_num(v, "budgets.0.limits.hard.usd", 0) == 0.5);
    assert_null(pawl_get(v, "budgets.0.set"));
}

static void the_same_key_raises_once(void **state)
{
    rig *r = begin(state);
    pawl_budget_options o = {.name = "goal:x",
                             .limits = pawl_build(r->scope, "{usd: 0.6}"),
                             .raise = true,
                             .dedup = "k1"};
    ok(r, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
    ok(r, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL,
                          &r->err)); /* refused, but for the key */
    o.dedup = NULL;
    expect(r, PAWL_INVALID, pawl_budget_set(r->engine, &o, sizeof o, NULL, NULL, &r->err));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_budget_is_read_with_those_above_and_the_question_that_it_asked),
        T(limits_that_are_raised_let_the_step_go_on_and_say_who_did_it),
        T(what_makes_no_sense_is_refused_and_changes_nothing),
        T(the_same_key_raises_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
