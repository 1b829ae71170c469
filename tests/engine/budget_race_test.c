/*
 * budget_race_test.c - budgets where two things meet: room and what is asked for, a cancellation and a crash, a beginning and an end, groups that
 * fail and what was built on them.
 * Does not test what each does by itself: budget_test.c does.
 */
#include <stdio.h>

#include "engine/budget.h"
#include "rig_budget.h"

/* ---- code ---- */

static const pawl_value *one(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001, calls: 1}"),
                     .retries = 2, .retry_initial_s = 1);
}

static const pawl_value *capped(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .max_cost = 0.0003, .retries = 5, .retry_initial_s = 1);
}

static const pawl_value *none(pawl_run *w, const pawl_value *in)
{
    (void)w;
    return in;
}

static void code(rig *r)
{
    rig_workflow(r, "none", none);
    rig_workflow(r, "one", one);
    rig_held(r, "llm", PAWL_EFFECT_DEFAULT);
}

/* ---- what is asked for, wherever it is looked at ---- */

static void raising_what_a_step_with_a_limit_of_its_own_waits_for(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "capped", capped);
    rig_start_budget(r, "capped", "a", rig_value(r, "{usd: 0.0001}"));
    char name[40];
    rig_budget_name(r, "a", name);
    assert_string_equal(pawl_str(rig_open_waits(r), "0.show.budget", ""), name);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 0.0002}}}", "a", "raise")
            ->status,
        PAWL_INVALID); /* the step may use 0.0003 */
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 0.001}}}", "a", "raise")
            ->status,
        PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_budget(r, name).hard, 1000);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_entries(r, "a", "1.1.1B300 ");
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_verify(r);
}

static const pawl_value *mixed(pawl_run *w, const pawl_value *in)
{
    pawl_future *f[3];
    f[0] = pawl_call_start(w, "long", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    f[1] = pawl_call_start(w, "llm", .input = in, .reserve = pawl_json(w, "{calls: 1}"));
    f[2] = pawl_call_start(w, "next", .input = in, .reserve = pawl_json(w, "{calls: 1}"));
    (void)pawl_await_all(w, f, 3);
    return NULL;
}

/* It asks for calls alone: what others hold of the dollars is not its business. */
static void room_in_one_unit_wakes_who_waits_for_that(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "mixed", mixed);
    rig_held(r, "long", PAWL_EFFECT_DEFAULT);
    rig_held(r, "next", PAWL_EFFECT_DEFAULT);
    rig_start_budget(r, "mixed", "a", rig_value(r, "{usd: 1, calls: 1}"));
    assert_int_equal(rig_tasks(r, "next"), 0);
    assert_true(pawl_task_spend(rig_task_find(r, "llm")->task, rig_value(r, "{usd: 0.00001}")));
    rig_done(r, rig_task_find(r, "llm"), NULL); /* it made no call after all */
    rig_run(r);
    assert_int_equal(rig_tasks(r, "next"), 1);
    rig_verify(r);
}

static const pawl_value *withdrawn(pawl_run *w, const pawl_value *in)
{
    pawl_future *f = pawl_call_start(w, "llm", .input = in, .reserve = pawl_json(w, "{calls: 1}"));
    (void)pawl_sleep(w, 5);
    pawl_future_cancel(w, f);
    (void)pawl_await(w, f);
    (void)pawl_sleep(w, 1000);
    return NULL;
}

/* The cancellation lands, and the process ends before the step has. */
static void the_question_of_a_held_step_goes_with_it_after_a_crash_too(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "withdrawn", withdrawn);
    rig_start_budget(r, "withdrawn", "a", rig_value(r, "{calls: 0}"));
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    r->now_ms += 5000;
    for (int i = 0; i < 20 && rig_count(r, "a", "ActivityCancelRequested") == 0; i++) {
        rig_step(r);
        if (rig_commit(r) && rig_count(r, "a", "ActivityCancelRequested") == 0) {
            (void)rig_answer(r);
        }
    }
    assert_int_equal(rig_count(r, "a", "ActivityCancelRequested"), 1);
    assert_int_equal(rig_count(r, "a", "ActivityCanceled"), 0);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityCanceled"), 1);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_verify(r);
}

/* `begun` is on its way when the run is ended: it lands first, and the attempt is let go before the end lands. */
static void an_attempt_that_begins_while_its_run_is_ended_is_paid(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "one", "a");
    rig_step(r);
    (void)rig_commit(r);
    (void)rig_answer(r);
    rig_step(r); /* begun is handed over */
    assert_null(rig_task_find(r, "llm"));
    (void)rig_post(r, "terminate", "{id: %s}", "a");
    rig_step(r); /* and so is the end */
    assert_true(rig_commit(r));
    rig_entries(r, "a", "1.1.1B100 ");
    (void)rig_answer(r);
    rig_step(r);
    assert_non_null(rig_task_find(r, "llm")); /* it is bought */
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "terminated");
    rig_entries(r, "a", "1.1.1E100 ");
    rig_spent(r, "a", 100, 0);
    rig_verify(r);
}

/* Two groups set limits of one budget, and neither lands; a third, which is being built behind them when all_three, counts on it. */
static void two_fail(rig *r, bool all_three)
{
    code(r);
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    (void)rig_post(r, "start", "{workflow: %s, id: %s, budget: {parent: {name: %s, usd: 0.00005}}}",
                   "one", "a", "goal:x");
    rig_step(r);
    (void)rig_post(r, "start", "{workflow: %s, id: %s, budget: {parent: {name: %s, calls: 7}}}",
                   "one", "b", "goal:x");
    rig_step(r);
    if (!all_three) {
        rig_run(r);
    }
    const rig_reply *third =
        rig_post(r, "start", "{workflow: %s, id: %s, budget: {parent: {name: %s, usd: 0.00005}}}",
                 "one", "c", "goal:x");
    rig_step(r);
    rig_run(r);
    assert_int_equal(third->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "");
    assert_int_equal(rig_budget(r, "goal:x").hard, 50);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    rig_verify(r);
}

static void limits_of_groups_that_do_not_land_are_taken_back(void **state)
{
    rig *r = *state;
    if (r->store != NULL) { /* faults are ordered of the journal in memory */
        two_fail(r, false);
    }
}

static void a_group_behind_them_keeps_the_limits_it_counts_on(void **state)
{
    rig *r = *state;
    if (r->store != NULL) {
        two_fail(r, true);
    }
}

/* ---- read back ---- */

static const pawl_value *unsafe(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "pay", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"),
                     .effect = PAWL_EFFECT_UNSAFE);
}

/* What the looking cost says nothing of what was looked for. */
static void what_is_read_back_cost_what_was_set_aside(void **state)
{
    rig *r = *state;
    rig_workflow(r, "unsafe", unsafe);
    rig_held_read_back(r, "pay");
    static const char *const found[] = {"nothing", "done"};
    rig_start_budget(r, "unsafe", "a", rig_value(r, "{usd: 1}"));
    for (size_t i = 0; i < PW_COUNT(found); i++) {
        rig_crash(r);
        rig_run(r);
        rig_task *look = rig_task_find(r, "pay");
        assert_true(pawl_task_spend(look->task, rig_value(r, "{usd: 0.00001, calls: 1}")));
        rig_done(r, look, rig_value(r, "{found: %s, result: 7}", found[i]));
        rig_run(r);
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_entries(r, "a", "1.1.1E100 1.2.1E100 ");
    rig_spent(r, "a", 200, 0);
    rig_verify(r);
}

/* ---- many ---- */

/* One step is always under way, and a group always on its way: what is over is forgotten all the same, and is right when it is asked for. */
static void budgets_of_what_is_over_do_not_pile_up(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_ask(r, "queue_set", "{name: %s, concurrency: 1}", "default");
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 1}}"));
    size_t most = 0;
    for (int i = 0; i < 1500; i++) {
        char id[24], names[4][40];
        (void)snprintf(id, sizeof id, "r%d", i);
        for (int n = 0; n < 4; n++) {
            (void)snprintf(names[n], sizeof names[n], "goal:%d.%d", i, n);
        }
        (void)rig_post(r, "start",
                       "{workflow: %s, id: %s, budget: {usd: 1, parent: {name: %s, parent: {name: "
                       "%s, parent: {name: %s, parent: %s}}}}}",
                       "none", id, names[0], names[1], names[2], names[3]);
        rig_step(r);
        (void)rig_commit(r);
        (void)rig_answer(r);
        most = HASH_COUNT(r->core->budgets) > most ? HASH_COUNT(r->core->budgets) : most;
    }
    rig_run(r);
    assert_in_range(most, 4000, 4200);
    rig_spent(r, "a", 0, 100);
    rig_pay(r, 0.00001);
    rig_spent(r, "a", 10, 0);
    rig_budget_is(r, "goal:x", 10, 0);
    rig_start_budget(r, "one", "b", rig_value(r, "{parent: 'goal:x'}"));
    rig_budget_is(r, "goal:x", 10, 100);
    rig_verify(r);
}

/* ---- hostile numbers ---- */

static const pawl_value *calls_only(pawl_run *w, const pawl_value *in)
{
    for (int i = 0; i < 2; i++) {
        (void)pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{calls: 1}"));
    }
    return NULL;
}

static void end_unpriced(rig *r)
{
    assert_true(pawl_task_spend(rig_task_find(r, "llm")->task,
                                rig_value(r, "{input: 10, calls: 1, unpriced: %p}",
                                          pawl_v(pawl_make_bool(r->scope, true)))));
    rig_done(r, rig_task_find(r, "llm"), NULL);
}

static void what_has_no_price_is_not_free(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "calls_only", calls_only);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    end_unpriced(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_entries(r, "a", "1.1.1E100 "); /* what it had set aside */
    rig_start_budget(
        r, "calls_only", "b",
        rig_value(r, "{parent: {name: 'goal:x', usd: 0.5, parent: {name: 'w', usd: 1}}}"));
    end_unpriced(r); /* none were set aside, and dollars are limited */
    rig_budget_is(r, "goal:x", 500001, 0);
    assert_null(rig_task_find(r, "llm"));
    assert_string_equal(pawl_str(rig_open_waits(r), "0.show.budget", ""), "goal:x");
    rig_start_budget(r, "calls_only", "c", rig_value(r, "{calls: 2}"));
    end_unpriced(r); /* no limit of dollars: only its tokens count */
    end_unpriced(r);
    assert_string_equal(rig_status(r, "c"), "completed");
    rig_spent(r, "c", 0, 0);
    rig_verify(r);
}

static void amounts_that_are_none_are_refused_and_sums_do_not_overflow(void **state)
{
    static const double bad[] = {-1, -1e-9, 1e308, 1e14};
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    pawl_task *t = rig_task_find(r, "llm")->task;
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        assert_false(pawl_task_spend(t, rig_value(r, "{usd: %g}", bad[i])));
        assert_false(pawl_task_spend(t, rig_value(r, "{tokens: %g}", bad[i] * 10)));
    }
    static const uint8_t nan_usd[] = {0x81, 0xa3, 'u', 's', 'd', 0xcb, 0x7f, 0xf8,
                                      0,    0,    0,   0,   0,   0,    0};
    assert_false(pawl_task_spend(t, pw_value_copy(r->scope, nan_usd, sizeof nan_usd)));
    for (int i = 0; i < 3; i++) {
        assert_true(
            pawl_task_spend(t, rig_value(r, "{usd: %g, calls: %lld}", 9999999.0, 9999999999999LL)));
    }
    rig_done(r, rig_task_find(r, "llm"), NULL);
    rig_entries(r, "a", "1.1.1S10000000000000 ");
    rig_start_budget(r, "one", "b", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 100}}"));
    rig_pay(r, 9999999.0); /* far more than what it had set aside */
    rig_budget_is(r, "goal:x", 9999999000000, 0);
    rig_start_budget(r, "one", "c", rig_value(r, "{parent: 'goal:x'}"));
    assert_null(rig_task_find(r, "llm"));
    rig_verify(r);
}

static void of_two_runs_only_one_gets_the_last_dollar(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *budget = rig_value(r, "{parent: {name: 'goal:x', usd: 0.0001}}");
    for (int i = 0; i < 2; i++) { /* both in one step of the core */
        (void)rig_post(r, "start", "{workflow: 'one', id: %s, budget: %p}", i == 0 ? "a" : "b",
                       pawl_v(budget));
    }
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_budget_is(r, "goal:x", 0, 100);
    rig_pay(r, 0.0001);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    rig_verify(r);
}

/* Budgets have no windows: what is spent stays spent, whatever the clock says. */
static void a_clock_that_jumps_gives_nothing_back(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 0.0001, parent: 'goal:x'}"));
    r->now_ms += INT64_C(400) * 86400000;
    r->jumped_ms += INT64_C(400) * 86400000;
    rig_run(r);
    rig_budget_is(r, "goal:x", 0, 100);
    r->now_ms -= INT64_C(800) * 86400000;
    r->jumped_ms -= INT64_C(800) * 86400000;
    rig_crash(r);
    rig_run(r);
    rig_budget_is(r, "goal:x", 100, 0); /* it was cut, and asks for more */
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    rig_verify(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(raising_what_a_step_with_a_limit_of_its_own_waits_for),
        RIG_TEST(room_in_one_unit_wakes_who_waits_for_that),
        RIG_TEST(the_question_of_a_held_step_goes_with_it_after_a_crash_too),
        RIG_TEST(an_attempt_that_begins_while_its_run_is_ended_is_paid),
        RIG_TEST(limits_of_groups_that_do_not_land_are_taken_back),
        RIG_TEST(a_group_behind_them_keeps_the_limits_it_counts_on),
        RIG_TEST(what_is_read_back_cost_what_was_set_aside),
        RIG_TEST(budgets_of_what_is_over_do_not_pile_up),
        RIG_TEST(what_has_no_price_is_not_free),
        RIG_TEST(amounts_that_are_none_are_refused_and_sums_do_not_overflow),
        RIG_TEST(of_two_runs_only_one_gets_the_last_dollar),
        RIG_TEST(a_clock_that_jumps_gives_nothing_back),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], true);
}
