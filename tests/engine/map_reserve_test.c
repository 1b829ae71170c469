/*
 * map_reserve_test.c - items of a map that reserve: nothing is begun that does not fit, what was begun is paid whatever crashes, and one question
 * is asked for all of them. Each test looks at the journal's own sums.
 * Does not look at maps that reserve nothing: map_budget_test.c does.
 */
#include <stdio.h>

#include "engine/map.h"
#include "rig_budget.h"

/* ---- code ---- */

/* Each attempt of an item may use 100 micro-dollars. */
static const pawl_value *mapped(pawl_run *w, const pawl_value *in)
{
    int64_t count = pawl_int(in, "count", 4);
    const pawl_value **items = pawl_alloc(w, (size_t)count * sizeof *items);
    for (int64_t i = 0; i < count; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), i);
    }
    (void)pawl_map(w, pawl_str(in, "activity", "llm"),
                   pawl_make_array(pawl_run_scope(w), items, (size_t)count),
                   .mode = pawl_bool(in, "fast", false) ? PAWL_MAP_FAIL_FAST : PAWL_MAP_COLLECT,
                   .width = (int)pawl_int(in, "width", 4), .retries = 1, .retry_initial_s = 1,
                   .timeout_s = 60, .max_cost = pawl_num(in, "max_cost", 0),
                   .reserve = pawl_json(w, "{usd: 0.0001, calls: 1}"));
    return pawl_budget(w);
}

static const pawl_value *llm_now(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    assert_true(pawl_task_spend(
        task, pawl_build(pawl_task_scope(task), "{usd: %g, calls: 1, model: %s}", 0.00001, "m")));
    return pawl_task_build(task, "{ok: true}");
}

static void code(rig *r, pawl_effect effect)
{
    rig_workflow(r, "wf", mapped);
    rig_held(r, "llm", effect);
    rig_activity(r, "llm_now", llm_now);
}

static const pawl_value *parsed(rig *r, const char *json)
{
    const pawl_value *v = NULL;
    pawl_error err;
    assert_int_equal(pawl_parse_json(r->scope, json, strlen(json), &v, &err), PAWL_OK);
    return v;
}

static void start(rig *r, const char *id, const char *input, double usd)
{
    rig_start_budget_with(r, "wf", id, parsed(r, input),
                          rig_value(r, "{usd: %g, parent: 'goal:x'}", usd));
}

static rig_sums sums(rig *r, const char *id)
{
    char name[40];
    rig_budget_name(r, id, name);
    return rig_budget(r, name);
}

static int answer(rig *r, const char *id, const char *value)
{
    return (int)rig_ask(r, "answer", "{id: %s, name: 'budget', value: %p}", id,
                        pawl_v(parsed(r, value)))
        ->status;
}

/* ---- what is under way ---- */

static void no_more_items_are_under_way_than_fit(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 10, \"width\": 8}", 0.00035);
    assert_int_equal(rig_tasks(r, "llm"), 3);
    rig_spent(r, "a", 0, 300);
    rig_budget_is(r, "goal:x", 0, 300);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    for (int i = 0; i < 10; i++) { /* each gives back the rest of what it reserved */
        size_t fit = (size_t)(350 - 10 * i) / 100, left = (size_t)(10 - i);
        assert_int_equal(rig_tasks(r, "llm"), left < fit ? left : fit);
        rig_pay(r, 0.00001);
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 100, 0);
    assert_true(pawl_num(rig_result(r, "a"), "left.usd", 0) > 0.0002499);
    rig_verify(r);
}

static void an_item_begins_only_after_that_is_on_record(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    (void)rig_post(r, "start", "{workflow: 'wf', id: 'a', budget: {usd: 1}}");
    for (int i = 0; i < 20; i++) {
        rig_step(r);
        if (rig_tasks(r, "llm") > 0) {
            assert_int_equal(sums(r, "a").reserved, 400);
        }
        (void)rig_commit(r);
        (void)rig_answer(r);
    }
    assert_int_equal(rig_tasks(r, "llm"), 4);
    rig_entries(r, "a", "1.1.1B100 1.1.1B100 1.1.1B100 1.1.1B100 ");
}

static void one_that_says_nothing_costs_what_it_reserved(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 2, \"fast\": true}", 1);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true); /* another attempt follows */
    rig_spent(r, "a", 100, 100);
    rig_pay(r, 0.00003);
    rig_advance(r, 1000);
    rig_entries(r, "a", "1.1.1E100 1.2.1B100 1.1.1S30 ");
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_spent(r, "a", 230, 0);
    rig_verify(r);
}

static void what_a_map_that_failed_had_under_way_counts(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 8, \"fast\": true}", 1);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    rig_spent(r, "a", 400, 0); /* three were dropped while they ran */
    while (rig_task_find(r, "llm") != NULL) {
        rig_stop(r, rig_task_find(r, "llm"));
    }
    assert_int_equal(rig_ask(r, "retry", "{id: 'a'}")->status, PAWL_OK);
    rig_run(r);
    for (int i = 0; i < 8; i++) {
        rig_pay(r, 0.00001);
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 480, 0);
    rig_verify(r);
}

static void a_run_that_is_ended_pays_for_what_ran(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 8, \"width\": 2}", 1);
    rig_pay(r, 0.00002);
    (void)rig_ask(r, "terminate", "{id: 'a'}");
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "terminated");
    rig_spent(r, "a", 220, 0); /* two ran */
    rig_verify(r);
}

static void a_cancelled_item_that_never_began_costs_nothing(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    (void)rig_post(r, "start", "{workflow: 'wf', id: 'a', budget: {usd: 1}}");
    while (sums(r, "a").reserved <= 0) { /* set aside, and its ack is still under way */
        rig_step(r);
        (void)rig_commit(r);
        if (sums(r, "a").reserved <= 0) {
            (void)rig_answer(r);
        }
    }
    assert_int_equal(rig_tasks(r, "llm"), 0);
    (void)rig_ask(r, "cancel", "{id: 'a'}");
    rig_run(r);
    while (rig_task_find(r, "llm") != NULL) {
        rig_stop(r, rig_task_find(r, "llm"));
    }
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(sums(r, "a").reserved, 0);
    rig_verify(r);
}

static void an_unsafe_item_reserves_before_it_is_sent(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_UNSAFE);
    start(r, "a", "{\"count\": 4, \"width\": 4}", 0.00025);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    rig_spent(r, "a", 0, 200);
    rig_crash(r); /* both may have happened */
    rig_run(r);
    rig_spent(r, "a", 200, 0);
    assert_int_equal(rig_tasks(r, "llm"), 0); /* 50 are left: it asks */
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 1}}"), PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    rig_pay(r, 0.00001);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 220, 0);
    rig_verify(r);
}

/* ---- held ---- */

static void a_map_that_does_not_fit_asks_once_when_nothing_of_it_runs(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 10, \"width\": 8}", 0.00025);
    rig_pay(r, 0.0001);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0); /* one runs: it may cost less */
    rig_pay(r, 0.0001);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    for (int crashes = 0; crashes < 2; crashes++) {
        const pawl_value *waits = rig_open_waits(r);
        assert_int_equal(pawl_len(waits), 1);
        assert_string_equal(pawl_str(pawl_at(waits, 0), "kind", ""), "budget");
        assert_string_equal(pawl_str(pawl_at(waits, 0), "show.unit", ""), "usd");
        assert_int_equal(rig_count(r, "a", "MapHeld"), 1);
        assert_non_null(strstr(rig_waiting(r, "a"), "budget"));
        rig_crash(r);
        rig_advance(r, 3600000);
        assert_int_equal(rig_tasks(r, "llm"), 0);
    }
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 0.00026}}"),
                     PAWL_INVALID);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 2}}"), PAWL_OK);
    rig_run(r);
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    for (int i = 0; i < 8; i++) {
        rig_pay(r, 0.00001);
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 280, 0);
    assert_int_equal(rig_count(r, "a", "MapFreed"), 1);
    rig_verify(r);
}

static void a_map_that_is_stopped_fails_and_keeps_what_it_paid_for(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 4, \"width\": 2}", 0.00025);
    rig_pay(r, 0.0001);
    rig_pay(r, 0.0001);
    assert_int_equal(answer(r, "a", "{\"choice\": \"stop\"}"), PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BudgetExceeded");
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    assert_int_equal(rig_ask(r, "retry", "{id: 'a'}")->status, PAWL_OK);
    rig_run(r);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 1}}"), PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 2); /* the two that were paid are not bought again */
    rig_pay(r, 0.00001);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 220, 0);
    rig_verify(r);
}

static void a_paused_map_can_be_answered_and_a_held_one_cancelled(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 3, \"width\": 2}", 0.00005);
    start(r, "b", "{\"count\": 3, \"width\": 2}", 0.00005);
    (void)rig_ask(r, "pause", "{id: 'a'}");
    rig_crash(r);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 1}}"), PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    (void)rig_ask(r, "resume", "{id: 'a'}");
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    (void)rig_ask(r, "cancel", "{id: 'b'}");
    rig_run(r);
    assert_string_equal(rig_status(r, "b"), "canceled");
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    rig_verify(r);
}

static void a_map_waits_for_what_others_have_set_aside_and_asks_nobody(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 2, \"width\": 2}", 1);
    (void)rig_ask(r, "start",
                  "{workflow: 'wf', id: 'b', input: {count: 2, width: 2}, "
                  "budget: {parent: {name: 'goal:y', usd: 0.0002}}}");
    (void)rig_ask(r, "start",
                  "{workflow: 'wf', id: 'c', input: {count: 2, width: 2}, "
                  "budget: {parent: 'goal:y'}}");
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 4); /* two of a, two of b */
    assert_int_equal(pawl_len(rig_open_waits(r)), 0);
    for (int i = 0; i < 6 && rig_task_find(r, "llm") != NULL; i++) {
        assert_true(rig_budget(r, "goal:y").spent + rig_budget(r, "goal:y").reserved <= 200);
        rig_pay(r, 0.00002);
    }
    assert_string_equal(rig_status(r, "c"), "completed");
    rig_budget_is(r, "goal:y", 80, 0);
    rig_verify(r);
}

static void all_items_of_a_map_have_a_limit_of_their_own(void **state)
{
    rig *r = *state;
    char step[48];
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 4, \"width\": 4, \"max_cost\": 0.00025}", 1);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    (void)snprintf(step, sizeof step, "step:%lld.1", (long long)rig_key(r, "a"));
    assert_int_equal(rig_budget(r, step).hard, 250);
    rig_pay(r, 0.0001);
    rig_pay(r, 0.0001);
    rig_budget_is(r, step, 200, 0);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 0.0004}}"),
                     PAWL_OK);
    rig_run(r);
    rig_pay(r, 0.0001);
    rig_pay(r, 0.0001);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_verify(r);
}

static const pawl_value *no_price(pawl_run *w, const pawl_value *in)
{
    (void)pawl_map(w, "llm", in, .max_cost = 1, .reserve = pawl_json(w, "{calls: 1}"));
    return NULL;
}

static const pawl_value *no_amount(pawl_run *w, const pawl_value *in)
{
    (void)pawl_map(w, "llm", in, .reserve = pawl_json(w, "{usd: -1}"));
    return NULL;
}

static void a_reserve_that_is_none_fails_the_map(void **state)
{
    rig *r = *state;
    rig_workflow(r, "no_price", no_price);
    rig_workflow(r, "no_amount", no_amount);
    rig_start(r, "no_price", "a");
    rig_start(r, "no_amount", "b");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BadOption");
    assert_string_equal(pawl_str(rig_failure(r, "b"), "type", ""), "BadOption");
}

/* ---- crashes ---- */

/* Killed at every point: never more under way and spent than the limit, never less booked than was bought. */
static void killed_at_any_point_the_ledger_is_never_below_what_was_bought(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    char id[16];
    for (int kill_at = 0; kill_at < 40; kill_at++) {
        int bought = 0, points = 0;
        (void)snprintf(id, sizeof id, "r%d", kill_at);
        start(r, id, "{\"count\": 6, \"width\": 3}", 0.0021); /* even if everything is cut once */
        for (int i = 0; i < 400 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            rig_task *t = i % 4 == 0 ? rig_task_find(r, "llm") : NULL;
            if (t != NULL) {
                bought++;
                rig_spend(r, 0.0001);
                rig_end(r, t, rig_value(r, "{ok: true}"));
            }
            (void)(i % 4 == 1 ? rig_deliver(r) : i % 4 == 2 ? rig_commit(r) : rig_answer(r));
            if (points++ == kill_at) {
                rig_crash(r);
                rig_crash(r);
            }
            rig_step(r);
            assert_true(sums(r, id).spent + sums(r, id).reserved <= 2100);
        }
        rig_run(r);
        assert_string_equal(rig_status(r, id), "completed");
        assert_true(bought >= 6);
        assert_true(sums(r, id).spent >= 100 * bought);
        assert_int_equal(sums(r, id).reserved, 0);
        rig_verify(r);
    }
}

static void a_crash_leaves_no_room_taken_for_good(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 3, \"width\": 3}", 0.00035);
    assert_int_equal(rig_tasks(r, "llm"), 3);
    rig_crash(r); /* three were cut: they count, and nothing fits any more */
    rig_run(r);
    rig_spent(r, "a", 300, 0);
    assert_int_equal(pawl_len(rig_open_waits(r)), 1);
    rig_crash(r);
    rig_run(r);
    rig_spent(r, "a", 300, 0);
    assert_int_equal(answer(r, "a", "{\"choice\": \"raise\", \"data\": {\"usd\": 1}}"), PAWL_OK);
    rig_run(r);
    rig_entries(r, "a", "1.1.1E100 1.1.2B100 1.1.1E100 1.1.2B100 1.1.1E100 1.1.2B100 ");
    for (int i = 0; i < 3; i++) {
        rig_pay(r, 0.00001);
    }
    rig_spent(r, "a", 330, 0);
    rig_verify(r);
}

/* [B1] */
static void a_group_that_does_not_land_leaves_nothing_set_aside(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip(); /* faults are ordered of the journal in memory */
    }
    code(r, PAWL_EFFECT_DEFAULT);
    for (uint64_t at = 0; at < 12; at++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%d", (int)at);
        pw_memory_fail_commit(r->store, PW_FAULT_NOT, at);
        (void)rig_post(r, "start", "{workflow: 'wf', id: %s, budget: {usd: 0.00025}}", id);
        rig_run(r);
        if (rig_status(r, id)[0] == '\0') { /* its start did not land */
            start(r, id, "{\"count\": 4}", 0.00025);
        }
        for (int i = 0; i < 20 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            if (rig_task_find(r, "llm") != NULL) {
                rig_pay(r, 0.00002);
            }
            rig_advance(r, 2000);
            assert_true(sums(r, id).spent + sums(r, id).reserved <= 250);
        }
        assert_string_equal(rig_status(r, id), "completed");
        rig_spent(r, id, 80, 0);
        rig_verify(r);
    }
}

/* ---- many ---- */

static void thousands_of_items_keep_to_their_budget(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", "{\"count\": 2000, \"width\": 64, \"activity\": \"llm_now\"}", 1);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_spent(r, "a", 20000, 0);
    start(r, "b", "{\"count\": 2000, \"width\": 64, \"activity\": \"llm_now\"}", 0.01);
    rig_run(r);
    assert_string_equal(rig_status(r, "b"), "running");
    assert_true(sums(r, "b").spent > 9900 && sums(r, "b").spent <= 10000);
    rig_verify(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(no_more_items_are_under_way_than_fit),
        RIG_TEST(an_item_begins_only_after_that_is_on_record),
        RIG_TEST(one_that_says_nothing_costs_what_it_reserved),
        RIG_TEST(what_a_map_that_failed_had_under_way_counts),
        RIG_TEST(a_run_that_is_ended_pays_for_what_ran),
        RIG_TEST(a_cancelled_item_that_never_began_costs_nothing),
        RIG_TEST(an_unsafe_item_reserves_before_it_is_sent),
        RIG_TEST(a_map_that_does_not_fit_asks_once_when_nothing_of_it_runs),
        RIG_TEST(a_map_that_is_stopped_fails_and_keeps_what_it_paid_for),
        RIG_TEST(a_paused_map_can_be_answered_and_a_held_one_cancelled),
        RIG_TEST(a_map_waits_for_what_others_have_set_aside_and_asks_nobody),
        RIG_TEST(all_items_of_a_map_have_a_limit_of_their_own),
        RIG_TEST(a_reserve_that_is_none_fails_the_map),
        RIG_TEST(killed_at_any_point_the_ledger_is_never_below_what_was_bought),
        RIG_TEST(a_crash_leaves_no_room_taken_for_good),
        RIG_TEST(a_group_that_does_not_land_leaves_nothing_set_aside),
        RIG_TEST(thousands_of_items_keep_to_their_budget),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], true);
}
