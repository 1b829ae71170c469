/*
 * budget_test.c - budgets: what is set aside before an attempt and spent after it, what holds a step and lets it go on, after a crash at any
 * point too. Each test looks at the journal's own sums.
 * Does not use a model: tests/agent and tests/llm do.
 */
#include <stdio.h>

#include "engine/parts.h"
#include "engine/view.h"
#include "rig_budget.h"

/* ---- code ---- */

static const pawl_value *one(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001, calls: 1}"),
                     .retries = 2, .retry_initial_s = 1);
}

static const pawl_value *three(pawl_run *w, const pawl_value *in)
{
    for (int i = 0; i < 3; i++) {
        (void)pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    }
    return pawl_budget(w);
}

static const pawl_value *both(pawl_run *w, const pawl_value *in)
{
    pawl_future *f[2];
    for (int i = 0; i < 2; i++) {
        f[i] = pawl_call_start(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    }
    (void)pawl_await_all(w, f, 2);
    return NULL;
}

static const pawl_value *kept(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"),
                     .cache_s = 60);
}

static void code(rig *r)
{
    rig_workflow(r, "kept", kept);
    rig_workflow(r, "one", one);
    rig_workflow(r, "three", three);
    rig_workflow(r, "both", both);
    rig_held(r, "llm", PAWL_EFFECT_DEFAULT);
}

/* ---- setting aside and settling ---- */

static void an_attempt_sets_aside_and_settles_at_what_it_says_it_spent(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_spent(r, "a", 0, 100);
    rig_entries(r, "a", "1.1.1B100 ");
    rig_pay(r, 0.00003);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 30, 0);
    rig_entries(r, "a", "1.1.1S30 ");
    assert_true(pawl_num(rig_event(r, "a", "ActivityCompleted", 0), "spent.usd", 0) > 0.00002);
    rig_verify(r);
}

static void a_result_that_another_run_has_paid_for_costs_nothing(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "kept", "a", rig_value(r, "{usd: 1}"));
    rig_pay(r, 0.00003);
    rig_spent(r, "a", 30, 0);
    rig_start_budget(r, "kept", "b", rig_value(r, "{usd: 1}"));
    assert_string_equal(rig_status(r, "b"), "completed");
    assert_true(pawl_is(rig_event(r, "b", "ActivityCompleted", 0), "cached.run", "a"));
    rig_spent(r, "b", 0, 0);
    rig_crash(r);
    rig_run(r);
    rig_spent(r, "b", 0, 0);
    rig_verify(r);
}

static void without_a_budget_what_is_spent_is_booked_all_the_same(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", NULL);
    rig_pay(r, 0.00003);
    rig_spent(r, "a", 30, 0);
    rig_verify(r);
}

static void each_attempt_reserves_anew_and_a_failed_one_is_paid_too(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_spend(r, 0.00002);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_entries(r, "a", "1.1.1S20 1.2.1R100 ");
    rig_spent(r, "a", 20, 100);
    rig_advance(r, 1000);
    rig_entries(r, "a", "1.1.1S20 1.2.1B100 ");
    rig_pay(r, 0.00001);
    rig_spent(r, "a", 30, 0);
    rig_verify(r);
}

static void one_that_says_nothing_counts_as_what_it_set_aside(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_done(r, rig_task_find(r, "llm"), NULL);
    rig_entries(r, "a", "1.1.1E100 ");
    rig_spent(r, "a", 100, 0);
    rig_verify(r);
}

static const pawl_value *slow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"), .retries = 1,
                     .retry_initial_s = 1, .timeout_s = 10);
}

static void one_that_took_too_long_counts_as_what_it_set_aside(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "slow", slow);
    rig_start_budget(r, "slow", "a", rig_value(r, "{usd: 1}"));
    rig_begin(r, rig_task_find(r, "llm"));
    rig_run(r);
    rig_drop(r, rig_task_find(r, "llm"));
    rig_advance(r, 10000);
    rig_entries(r, "a", "1.1.1E100 1.2.1R100 ");
    rig_advance(r, 1000);
    rig_pay(r, 0.00001);
    rig_spent(r, "a", 110, 0);
    rig_verify(r);
}

static const pawl_value *unsafe(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"),
                     .effect = PAWL_EFFECT_UNSAFE);
}

static void an_unsafe_one_that_nobody_heard_of_counts_and_its_next_attempt_reserves(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "unsafe", unsafe);
    rig_start_budget(r, "unsafe", "a", rig_value(r, "{usd: 1}"));
    rig_entries(r, "a", "1.1.1B100 ");
    rig_crash(r);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 ");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 1.2.1B100 ");
    rig_pay(r, 0.00001);
    rig_start_budget(r, "unsafe", "b",
                     NULL); /* the same without a restart: its run is ended under it */
    (void)rig_ask(r, "terminate", "{id: %s}", "b");
    rig_run(r);
    rig_entries(r, "b", "1.1.1E100 ");
    rig_verify(r);
}

static void what_never_began_is_given_back(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_ask(r, "queue_set", "{name: %s, concurrency: 1}", "default");
    rig_start_budget(r, "both", "a", rig_value(r, "{usd: 1}"));
    rig_entries(r, "a", "1.1.1B100 2.1.1R100 ");
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 "); /* nobody will hear what the first used */
    rig_spent(r, "a", 100, 0);
    rig_verify(r);
}

/* ---- crashes ---- */

/* [B2] */
static void an_attempt_begins_only_after_that_is_on_record(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "one", "a");
    for (int i = 0; i < 100 && rig_task_find(r, "llm") == NULL; i++) {
        rig_step(r);
        if (rig_commit(r)) {
            assert_null(rig_task_find(r, "llm"));
        }
        (void)rig_answer(r);
    }
    assert_non_null(rig_task_find(r, "llm"));
    rig_entries(r, "a", "1.1.1B100 ");
}

static void a_crash_before_it_began_costs_nothing(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "one", "a");
    rig_step(r);
    (void)rig_commit(r);
    (void)rig_answer(r);
    rig_entries(r, "a", "1.1.1R100 ");
    rig_crash(r);
    rig_run(r);
    rig_entries(r, "a", "1.1.1B100 ");
    rig_pay(r, 0.00003);
    rig_spent(r, "a", 30, 0);
    rig_verify(r);
}

static void a_crash_while_it_ran_costs_what_it_set_aside(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_crash(r);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 1.1.2B100 ");
    assert_true(pawl_bool(rig_event(r, "a", "ActivityReserved", 0), "lost", false));
    rig_crash(r);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 1.1.2E100 1.1.3B100 ");
    rig_pay(r, 0.00003);
    rig_spent(r, "a", 230, 0);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_verify(r);
}

/* At every group: what the provider got is never more than what the ledger says. */
static void killed_at_every_group_the_ledger_is_never_below_what_was_bought(void **state)
{
    rig *r = *state;
    code(r);
    int bought = 0;
    char id[16];
    for (int kill_at = 0; kill_at < 16; kill_at++) {
        int steps = 0, mine = 0;
        (void)snprintf(id, sizeof id, "r%d", kill_at);
        rig_start_budget(r, "one", id, rig_value(r, "{usd: 1}"));
        for (int i = 0; i < 200 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            rig_task *t = rig_task_find(r, "llm");
            if (t != NULL) {
                mine++; /* it is bought as soon as it runs */
                rig_spend(r, 0.0001);
                rig_end(r, t, rig_value(r, "{ok: true}"));
            }
            if (steps++ == kill_at) {
                rig_crash(r);
            }
            rig_step(r);
            if (steps++ == kill_at) {
                rig_crash(r);
            }
            (void)rig_deliver(r);
            rig_step(r);
            (void)rig_commit(r);
            if (steps++ == kill_at) {
                rig_crash(r);
            }
            (void)rig_answer(r);
        }
        assert_string_equal(rig_status(r, id), "completed");
        char name[40];
        rig_budget_name(r, id, name);
        assert_true(rig_budget(r, name).spent >= 100 * mine);
        assert_int_equal(rig_budget(r, name).reserved, 0);
        bought += mine;
    }
    assert_true(bought >= 16);
    rig_verify(r);
}

/* ---- limits ---- */

static void a_step_that_does_not_fit_is_held_and_asks(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "three", "a", rig_value(r, "{usd: 0.00025}"));
    rig_pay(r, 0.0001);
    rig_pay(r, 0.0001);
    assert_null(rig_task_find(r, "llm"));
    rig_entries(r, "a", "1.1.1S100 2.1.1S100 ");
    const pawl_value *waits = rig_open_waits(r);
    const pawl_value *wait = pawl_at(waits, 0);
    assert_int_equal(pawl_len(waits), 1);
    assert_string_equal(pawl_str(wait, "kind", ""), "budget");
    assert_string_equal(pawl_str(wait, "choices", ""), "raise|stop");
    assert_string_equal(pawl_str(wait, "show.unit", ""), "usd");
    assert_non_null(strstr(rig_waiting(r, "a"), "budget"));
    rig_crash(r);
    rig_advance(r, 3600000);
    assert_null(rig_task_find(r, "llm"));
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}}", "a", "budget", "raise")
            ->status,
        PAWL_INVALID);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 0.00026}}}", "a", "raise")
            ->status,
        PAWL_INVALID);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 2}}}", "a", "raise")->status,
        PAWL_OK);
    rig_run(r);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_entries(r, "a", "1.1.1S100 2.1.1S100 3.1.1B100 ");
    rig_pay(r, 0.00005);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 250, 0);
    assert_true(pawl_num(rig_result(r, "a"), "left.usd", 0) > 1.9);
    rig_verify(r);
}

static void a_step_that_is_stopped_fails_and_the_run_may_go_on(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{calls: 0}"));
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "stop")->status,
                     PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BudgetExceeded");
    rig_entries(r, "a", "");
    rig_verify(r);
}

static void a_paused_run_can_be_answered(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{calls: 0}"));
    (void)rig_ask(r, "pause", "{id: %s}", "a");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {calls: 5}}}", "a", "raise")
            ->status,
        PAWL_OK);
    rig_run(r);
    assert_null(rig_task_find(r, "llm"));
    (void)rig_ask(r, "resume", "{id: %s}", "a");
    rig_run(r);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_verify(r);
}

static void an_attempt_after_a_failed_one_may_be_held_as_well(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{usd: 0.00015}"));
    rig_spend(r, 0.0001);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_advance(r, 5000);
    assert_null(rig_task_find(r, "llm"));
    assert_non_null(pawl_get(rig_event(r, "a", "ActivityRetried", 0), "held"));
    rig_crash(r);
    rig_run(r);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 1}}}", "a", "raise")->status,
        PAWL_OK);
    rig_advance(r, 5000);
    assert_int_equal(pawl_task_attempt(rig_task_find(r, "llm")->task), 2);
    rig_pay(r, 0.00001);
    rig_entries(r, "a", "1.1.1S100 1.2.1S10 ");
    rig_verify(r);
}

static void a_held_step_can_be_cancelled(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "one", "a", rig_value(r, "{calls: 0}"));
    (void)rig_ask(r, "cancel", "{id: %s}", "a");
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_entries(r, "a", "");
    rig_verify(r);
}

/* [B3] */
static void what_others_set_aside_is_waited_for_and_nobody_is_asked(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "both", "a", rig_value(r, "{usd: 0.00015}"));
    assert_int_equal(rig_tasks(r, "llm"), 1);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_spent(r, "a", 0, 100);
    rig_crash(r);
    rig_run(r); /* the first counts as 100 now: nothing that comes back helps */
    assert_int_equal(rig_tasks(r, "llm"), 0);
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, name: %s, value: {choice: %s, data: {usd: 0.00025}}}", "a",
                             "budget:1", "raise")
                         ->status,
                     PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_pay(r, 0.00001);
    rig_run(r);
    rig_pay(r, 0.00002);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 130, 0);
    rig_verify(r);
}

/* ---- nesting ---- */

static void budgets_nest_and_runs_share_what_is_above_them(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *b =
        rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 0.00015, parent: 'workspace:acme'}}");
    rig_start_budget(r, "one", "a", b);
    rig_start_budget(r, "one", "b", b);
    rig_start_budget(r, "one", "c", b);
    assert_int_equal(rig_tasks(r, "llm"), 1); /* never more than fits */
    rig_budget_is(r, "goal:x", 0, 100);
    rig_pay(r, 0.00004);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_pay(r, 0.00001);
    rig_run(r);
    rig_pay(r, 0.00001);
    rig_budget_is(r, "goal:x", 60, 0);
    rig_budget_is(r, "workspace:acme", 60, 0);
    rig_spent(r, "b", 10, 0);
    rig_verify(r);
}

static void raising_what_is_above_lets_every_run_go_on(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *b = rig_value(r, "{parent: {name: 'goal:x', calls: 0}}");
    rig_start_budget(r, "one", "a", b);
    rig_start_budget(r, "one", "b", b);
    assert_int_equal(pawl_len(rig_open_waits(r)), 2);
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, value: {choice: %s, data: {budget: %s, calls: 9}}}", "a",
                             "raise", "goal:x")
                         ->status,
                     PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_pay(r, 0.00001);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "b"), "completed");
    rig_verify(r);
}

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    return pawl_child(w, "one", .input = in, .id = "kid", .budget = pawl_json(w, "{usd: 0.0002}"));
}

static void a_child_counts_in_its_parents_budget(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "parent", parent);
    rig_start_budget(r, "parent", "a", rig_value(r, "{usd: 1, parent: 'goal:x'}"));
    rig_spent(r, "a", 0, 100);
    rig_crash(r);
    rig_run(r);
    rig_pay(r, 0.00003);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "kid", 130, 0);
    rig_spent(r, "a", 130, 0);
    rig_budget_is(r, "goal:x", 130, 0);
    char name[40];
    rig_budget_name(r, "kid", name);
    assert_int_equal(rig_budget(r, name).hard, 200);
    rig_verify(r);
}

static const pawl_value *again(pawl_run *w, const pawl_value *in)
{
    (void)pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    int64_t n = pawl_int(in, "n", 0);
    return n == 0 ? pawl_budget(w)
                  : pawl_continue_as_new(w, pawl_json(w, "{n: %lld}", (long long)n - 1));
}

static void a_run_that_continues_as_new_goes_on_in_its_budget(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "again", again);
    const rig_reply *reply = rig_ask(
        r, "start", "{workflow: %s, id: %s, input: {n: 3}, budget: {usd: 0.00035}}", "again", "a");
    assert_int_equal(reply->status, PAWL_OK);
    char first[40];
    rig_budget_name(r, "a", first);
    for (int i = 0; i < 3; i++) {
        rig_run(r);
        rig_pay(r, 0.0001);
    }
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 0); /* the fourth does not fit what the first was given */
    rig_budget_is(r, first, 300, 0);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 1}}}", "a", "raise")->status,
        PAWL_OK);
    rig_run(r);
    rig_pay(r, 0.00001);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_budget_is(r, first, 310, 0);
    rig_verify(r);
}

static const pawl_value *capped(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .max_cost = 0.0003, .retries = 5, .retry_initial_s = 1);
}

static void a_step_has_a_limit_over_all_its_attempts(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "capped", capped);
    rig_start_budget(r, "capped", "a", NULL);
    rig_spent(r, "a", 0, 300);
    rig_spend(r, 0.0002);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_advance(r, 1000);
    rig_spent(r, "a", 200, 100); /* what is left of it */
    rig_spend(r, 0.0001);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_advance(r, 5000);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "stop")->status,
                     PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_verify(r);
}

/* ---- soft ---- */

static const pawl_value *looks(pawl_run *w, const pawl_value *in)
{
    (void)pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    const pawl_value *first = pawl_budget(w);
    (void)pawl_sleep(w, 60);
    return pawl_json(w, "{first: %p, soft: %p}", pawl_v(first),
                     pawl_v(pawl_get(pawl_budget(w), "soft")));
}

static void what_is_left_is_journaled_and_replay_gives_the_same(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "looks", looks);
    rig_start_budget(r, "looks", "a", rig_value(r, "{usd: {soft: 0.00005, hard: 1}}"));
    rig_pay(r, 0.00006);
    rig_crash(r);
    rig_run(r);
    rig_advance(r, 60000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_count(r, "a", "BudgetRead"), 2);
    assert_true(pawl_bool(rig_result(r, "a"), "soft", false));
    assert_true(pawl_num(rig_result(r, "a"), "first.left.usd", 0) > 0.9999);
    rig_spent(r, "a", 60, 0); /* replaying costs nothing */
    rig_verify(r);
}

/* ---- what cannot be ---- */

static void a_budget_that_is_none_is_refused(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *bad[] = {
        rig_value(r, "{eur: 1}"),           rig_value(r, "{usd: %g}", -1.0),
        rig_value(r, "{usd: {mid: 1}}"),    rig_value(r, "{parent: 'run:1'}"),
        rig_value(r, "{parent: {usd: 1}}"), rig_value(r, "[1]"),
    };
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        assert_non_null(bad[i]);
        const rig_reply *reply =
            rig_ask(r, "start", "{workflow: %s, budget: %p}", "one", pawl_v(bad[i]));
        assert_int_equal(reply->status, PAWL_INVALID);
    }
}

static const pawl_value *bad_reserve(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = in, .reserve = pawl_json(w, "{euros: 1}"));
}

static void a_reserve_that_is_none_fails_the_call(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "bad", bad_reserve);
    rig_start(r, "bad", "a");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BadOption");
}

/* ---- a failed run is opened again ---- */

static const pawl_value *then_fails(pawl_run *w, const pawl_value *in)
{
    pawl_future *f =
        pawl_call_start(w, "llm", .input = in, .reserve = pawl_json(w, "{usd: 0.0001}"));
    if (!pawl_sleep(w, 5)) {
        return NULL;
    }
    (void)pawl_call(w, "check", .retries = PAWL_RETRY_NONE);
    return pawl_await(w, f);
}

static void a_retried_run_reserves_for_what_was_open(void **state)
{
    rig *r = *state;
    code(r);
    rig_workflow(r, "then", then_fails);
    rig_held(r, "check", PAWL_EFFECT_DEFAULT);
    rig_start_budget(r, "then", "a", rig_value(r, "{usd: 0.00015}"));
    rig_advance(r, 5000);
    rig_fail(r, rig_task_find(r, "check"), "No", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_spent(r, "a", 100, 0); /* it ran, and nobody heard of it */
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 1}}}", "a", "raise")->status,
        PAWL_OK);
    rig_run(r);
    rig_done(r, rig_task_find(r, "check"), NULL);
    while (rig_tasks(r, "llm") > 1) { /* the one of before is not heard */
        rig_drop(r, rig_task_find(r, "llm"));
    }
    rig_pay(r, 0.00002);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 120, 0);
    rig_verify(r);
}

/* ---- groups that do not land ---- */

static void a_group_that_does_not_land_leaves_nothing_set_aside(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        return; /* faults are ordered of the journal in memory */
    }
    code(r);
    for (uint64_t at = 0; at < 12; at++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%d", (int)at);
        pw_memory_fail_commit(r->store, PW_FAULT_NOT, at);
        rig_reply *reply =
            rig_post(r, "start", "{workflow: %s, id: %s, budget: {usd: 1}}", "one", id);
        rig_advance(r, 2000);
        if (reply->status != PAWL_OK) {
            rig_start_budget(r, "one", id, rig_value(r, "{usd: 1}"));
        }
        rig_advance(r, 2000);
        assert_non_null(rig_task_find(r, "llm"));
        rig_pay(r, 0.00003);
        rig_advance(r, 2000);
        assert_string_equal(rig_status(r, id), "completed");
        rig_spent(r, id, 30, 0);
        rig_verify(r);
    }
}

/* ---- showing ---- */

static void what_it_cost_is_shown_by_run_and_in_totals(void **state)
{
    rig *r = *state;
    code(r);
    rig_start_budget(r, "three", "a", rig_value(r, "{usd: 1, parent: 'goal:x'}"));
    rig_pay(r, 0.00003);
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(pw_view_request(r->reader, PW_REQ_COST, rig_value(r, "{id: 'a'}"), &out, &err),
                     PAWL_OK);
    const pawl_value *v = pw_value_view(r->scope, out.data, out.size);
    assert_int_equal(pawl_len(pawl_get(v, "budgets")), 2);
    assert_int_equal(pawl_len(pawl_get(v, "entries")), 2);
    assert_string_equal(pawl_str(v, "entries.0.state", ""), "settled");
    assert_string_equal(pawl_str(v, "entries.1.state", ""), "begun");
    assert_int_equal(pawl_int(v, "spent.tokens", 0), 15);
    assert_int_equal(pawl_int(v, "spent.calls", 0), 1);
    static const char *const by[] = {"workflow", "model", "day"};
    static const char *const keys[] = {"three", "", "2023-11-14"};
    for (size_t i = 0; i < PW_COUNT(by); i++) {
        PW_CLEANUP(pw_buf_deinit) pw_buf t = PW_BUF_INIT;
        assert_int_equal(
            pw_view_request(r->reader, PW_REQ_COST, rig_value(r, "{by: %s}", by[i]), &t, &err),
            PAWL_OK);
        const pawl_value *totals = pw_value_view(r->scope, t.data, t.size);
        assert_string_equal(pawl_str(totals, "totals.0.key", "?"), keys[i]);
        assert_true(pawl_num(totals, "spent.usd", 0) > 0.00002);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(an_attempt_sets_aside_and_settles_at_what_it_says_it_spent),
        RIG_TEST(a_result_that_another_run_has_paid_for_costs_nothing),
        RIG_TEST(without_a_budget_what_is_spent_is_booked_all_the_same),
        RIG_TEST(each_attempt_reserves_anew_and_a_failed_one_is_paid_too),
        RIG_TEST(one_that_says_nothing_counts_as_what_it_set_aside),
        RIG_TEST(one_that_took_too_long_counts_as_what_it_set_aside),
        RIG_TEST(an_unsafe_one_that_nobody_heard_of_counts_and_its_next_attempt_reserves),
        RIG_TEST(what_never_began_is_given_back),
        RIG_TEST(an_attempt_begins_only_after_that_is_on_record),
        RIG_TEST(a_crash_before_it_began_costs_nothing),
        RIG_TEST(a_crash_while_it_ran_costs_what_it_set_aside),
        RIG_TEST(killed_at_every_group_the_ledger_is_never_below_what_was_bought),
        RIG_TEST(a_step_that_does_not_fit_is_held_and_asks),
        RIG_TEST(a_step_that_is_stopped_fails_and_the_run_may_go_on),
        RIG_TEST(a_paused_run_can_be_answered),
        RIG_TEST(an_attempt_after_a_failed_one_may_be_held_as_well),
        RIG_TEST(a_held_step_can_be_cancelled),
        RIG_TEST(what_others_set_aside_is_waited_for_and_nobody_is_asked),
        RIG_TEST(budgets_nest_and_runs_share_what_is_above_them),
        RIG_TEST(raising_what_is_above_lets_every_run_go_on),
        RIG_TEST(a_child_counts_in_its_parents_budget),
        RIG_TEST(a_run_that_continues_as_new_goes_on_in_its_budget),
        RIG_TEST(a_step_has_a_limit_over_all_its_attempts),
        RIG_TEST(what_is_left_is_journaled_and_replay_gives_the_same),
        RIG_TEST(a_budget_that_is_none_is_refused),
        RIG_TEST(a_reserve_that_is_none_fails_the_call),
        RIG_TEST(a_retried_run_reserves_for_what_was_open),
        RIG_TEST(a_group_that_does_not_land_leaves_nothing_set_aside),
        RIG_TEST(what_it_cost_is_shown_by_run_and_in_totals),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], true);
}
