/*
 * map_budget_test.c - what items of a map say they spent: booked once, in the group that keeps their result, failure or retry, whatever
 * crashes or does not land. Each test looks at the journal's own sums.
 * Does not look at what steps reserve: budget_test.c does.
 */
#include <stdio.h>

#include "engine/parts.h"
#include "engine/view.h"
#include "rig.h"

/* ---- looking ---- */

static bool take_spent(void *ctx, const pw_budget_row *row)
{
    *(int64_t *)ctx = row->spent.n[PW_UNIT_USD];
    assert_int_equal(row->reserved.n[PW_UNIT_USD], 0);
    return false;
}

static int64_t spent_of(rig *r, const char *budget)
{
    int64_t spent = 0; /* of a budget that nothing was booked in */
    pawl_error err;
    pw_view name = {(const uint8_t *)budget, strlen(budget)};
    assert_int_equal(r->reader->ops->budgets(r->reader, name, take_spent, &spent, &err), PAWL_OK);
    return spent;
}

static int64_t spent(rig *r, const char *id)
{
    char name[40];
    (void)snprintf(name, sizeof name, "run:%lld", (long long)rig_key(r, id));
    return spent_of(r, name);
}

static bool add_entry(void *ctx, const pw_ledger_row *row)
{
    static const char states[] = "?RBSE";
    pw_buf_printf(ctx, "%lld.%lld.%lld%c%lld ", (long long)row->item - 1, (long long)row->attempt,
                  (long long)row->round, states[row->state], (long long)row->spent.n[PW_UNIT_USD]);
    return true;
}

/* "2.1.1S30": the item at index 2, attempt 1, round 1, settled at 30. */
static void expect_entries(rig *r, const char *id, const char *expected)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(
        r->reader->ops->ledger(r->reader, rig_key(r, id), false, add_entry, &out, &err), PAWL_OK);
    assert_string_equal(pw_buf_cstr(&out), expected);
}

/* [J19], by the journal's own check. */
static void finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    fail_msg("%s: %s", f->invariant, f->message);
}

static void verify(rig *r)
{
    pw_verify_stats stats;
    pawl_error err;
    if (r->store != NULL) {
        assert_int_equal(pw_memory_verify(r->store, finding, NULL, &stats, &err), PAWL_OK);
    } else {
        assert_int_equal(pw_sqlite_verify(r->path, finding, NULL, &stats, &err), PAWL_OK);
    }
}

/* How many results and failures are kept of the first map. */
static bool take_ends(void *ctx, const pw_map_row *row)
{
    *(int64_t *)ctx = row->done + row->failed;
    return true;
}

static int64_t kept(rig *r, const char *id)
{
    int64_t n = -1; /* no map is open */
    pawl_error err;
    assert_int_equal(r->reader->ops->maps(r->reader, rig_key(r, id), take_ends, &n, &err), PAWL_OK);
    return n;
}

/* ---- code ---- */

static const pawl_value *numbers(pawl_run *w, int64_t count)
{
    const pawl_value **items = pawl_alloc(w, (size_t)count * sizeof *items);
    for (int64_t i = 0; i < count; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), i);
    }
    return pawl_make_array(pawl_run_scope(w), items, (size_t)count);
}

/* Returns what is left, as its memory has it [B1]. */
static const pawl_value *mapped(pawl_run *w, const pawl_value *in)
{
    pawl_map_mode mode = pawl_bool(in, "fast", false) ? PAWL_MAP_FAIL_FAST : PAWL_MAP_COLLECT;
    const pawl_value *items = numbers(w, pawl_int(in, "count", 4));
    (void)pawl_map(w, pawl_str(in, "activity", "llm"), items, .mode = mode,
                   .width = (int)pawl_int(in, "width", 2), .retries = 1, .retry_initial_s = 1,
                   .timeout_s = 60);
    return pawl_budget(w);
}

static const pawl_value *llm_now(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    pawl_scope *scope = pawl_task_scope(task);
    assert_true(pawl_task_spend(
        task,
        pawl_build(scope, "{usd: %g, input: 10, output: 5, calls: 1, model: %s}", 0.00001, "m")));
    return pawl_int(in, "", 0) % 10 == 3
               ? pawl_task_fail_with(task, "Refused", "not this one", NULL, false)
               : pawl_task_build(task, "{ok: true}");
}

static void code(rig *r, pawl_effect effect)
{
    rig_workflow(r, "wf", mapped);
    rig_held(r, "llm", effect);
    rig_activity(r, "llm_now", llm_now);
}

static void start(rig *r, const char *id, const pawl_value *input)
{
    assert_int_equal(
        rig_ask(r, "start",
                "{workflow: 'wf', id: %s, input: %p, budget: {usd: 1, parent: 'goal:x'}}", id,
                pawl_v(input))
            ->status,
        PAWL_OK);
    rig_run(r);
}

static rig_task *task_of(rig *r, int64_t item)
{
    rig_task *t;
    for (t = r->tasks; t != NULL; t = t->next) {
        if (!t->orphan && pawl_int(pawl_task_input(t->task), "", -1) == item) {
            return t;
        }
    }
    fail_msg("item %lld does not run", (long long)item);
    return NULL;
}

static rig_task *spend(rig *r, rig_task *t, double usd)
{
    assert_true(pawl_task_spend(
        t->task, rig_value(r, "{usd: %g, input: 10, output: 5, calls: 1, model: 'm'}", usd)));
    return t;
}

static void pay(rig *r, rig_task *t, double usd)
{
    rig_done(r, spend(r, t, usd), rig_value(r, "{ok: true}"));
}

static void pay_all(rig *r)
{
    for (rig_task *t = rig_task_find(r, "llm"); t != NULL; t = rig_task_find(r, "llm")) {
        pay(r, t, 0.00001);
    }
}

static void deliver_all(rig *r)
{
    while (rig_deliver(r)) {
    }
}

/* What the run saw left of a dollar is what the journal says. */
static void expect_left(rig *r, const char *id)
{
    double left = pawl_num(rig_result(r, id), "left.usd", -1);
    double booked = (double)spent(r, id) / 1e6;
    assert_true(left > 1 - booked - 1e-9 && left < 1 - booked + 1e-9);
}

/* ---- ends ---- */

static void what_an_item_spent_is_booked_with_its_result(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", NULL);
    pay(r, task_of(r, 1), 0.00003);
    expect_entries(r, "a", "1.1.1S30 ");
    assert_int_equal(spent(r, "a"), 30);
    assert_int_equal(spent_of(r, "goal:x"), 30);
    assert_int_equal(kept(r, "a"), 1);
    pay_all(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_entries(r, "a", "0.1.1S10 1.1.1S30 2.1.1S10 3.1.1S10 ");
    expect_left(r, "a");
    verify(r);
}

static void an_item_that_says_nothing_costs_nothing(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", NULL);
    rig_done(r, task_of(r, 0), NULL);
    pay_all(r);
    expect_entries(r, "a", "1.1.1S10 2.1.1S10 3.1.1S10 ");
    expect_left(r, "a");
}

static void a_failed_attempt_of_an_item_is_paid_too(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", NULL);
    rig_fail(r, spend(r, task_of(r, 0), 0.00002), "Refused", true);
    expect_entries(r, "a", "0.1.1S20 ");
    rig_advance(r, 1000);
    rig_fail(r, spend(r, task_of(r, 0), 0.00005), "Refused", true); /* the last */
    expect_entries(r, "a", "0.1.1S20 0.2.1S50 ");
    pay_all(r);
    expect_entries(r, "a", "0.1.1S20 0.2.1S50 1.1.1S10 2.1.1S10 3.1.1S10 ");
    expect_left(r, "a");
    verify(r);
}

static void the_failure_that_ends_a_map_is_paid_and_a_retried_run_pays_anew(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", rig_value(r, "{fast: true}"));
    rig_end(r, spend(r, task_of(r, 1), 0.00004), rig_value(r, "{ok: true}"));
    rig_end_failed(r, spend(r, task_of(r, 0), 0.00002), "Refused", false);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    expect_entries(r, "a", "0.1.1S20 1.1.1S40 ");
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    pay_all(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_entries(r, "a", "0.1.1S20 0.2.1S10 1.1.1S40 2.2.1S10 3.2.1S10 ");
    expect_left(r, "a");
    verify(r);
}

static void a_cancelled_item_is_paid(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", NULL);
    (void)rig_ask(r, "cancel", "{id: %s}", "a");
    rig_end_canceled(r, spend(r, task_of(r, 0), 0.00002));
    rig_end_canceled(r, task_of(r, 1));
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "canceled");
    expect_entries(r, "a", "0.1.1S20 ");
    assert_int_equal(spent(r, "a"), 20);
    verify(r);
}

static void an_unsafe_item_that_does_not_know_what_came_of_it_is_paid(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_UNSAFE);
    start(r, "a", NULL);
    rig_task *t = spend(r, task_of(r, 0), 0.00002);
    pawl_task_outcome_unknown(t->task);
    rig_fail(r, t, "Dead", false);
    expect_entries(r, "a", "0.1.1S20 ");
    assert_int_equal(kept(r, "a"), 1);
    pay_all(r);
    assert_int_equal(spent(r, "a"), 50);
    expect_left(r, "a");
    verify(r);
}

/* Both ends have come when the run is ended under its map: the first is in a group, the other waits for it. */
static void what_waits_when_its_run_is_ended_is_booked(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", NULL);
    rig_end(r, spend(r, task_of(r, 0), 0.00002), rig_value(r, "{ok: true}"));
    deliver_all(r);
    rig_step(r);
    rig_end(r, spend(r, task_of(r, 1), 0.00003), rig_value(r, "{ok: true}"));
    (void)rig_post(r, "terminate", "{id: %s}", "a");
    deliver_all(r);
    rig_step(r);
    while (rig_commit(r)) {
    }
    while (rig_answer(r)) { /* both without a step in between: what waits is not in either */
    }
    expect_entries(r, "a", "0.1.1S20 ");
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "terminated");
    expect_entries(r, "a", "0.1.1S20 1.1.1S30 ");
    assert_int_equal(spent(r, "a"), 50);
    verify(r);
}

/* ---- crashes ---- */

/* One thing of each kind; false = nothing of that kind was there. */
static bool some_step(rig *r, int kind)
{
    switch (kind) {
    case 0: {
        rig_task *t = rig_task_find(r, "llm");
        if (t != NULL) {
            rig_end(r, spend(r, t, 0.00002), rig_value(r, "{ok: true}"));
        }
        return t != NULL;
    }
    case 1:
        return rig_deliver(r);
    case 2:
        rig_step(r);
        return true;
    case 3:
        return rig_commit(r);
    default:
        return rig_answer(r);
    }
}

/* At each point: what is kept has been paid once, and no more is booked than what is kept. */
static void killed_at_any_point_each_kept_result_is_paid_once(void **state)
{
    rig *r = *state;
    char id[16];
    code(r, PAWL_EFFECT_DEFAULT);
    for (int kill_at = 0; kill_at < 30; kill_at++) {
        (void)snprintf(id, sizeof id, "r%d", kill_at);
        start(r, id, NULL);
        for (int i = 0; i < 300 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            (void)some_step(r, i % 5);
            if (i == kill_at) {
                rig_crash(r);
            }
            int64_t n = kept(r, id);
            assert_true(n < 0 || spent(r, id) == 20 * n);
        }
        rig_run(r);
        assert_string_equal(rig_status(r, id), "completed");
        expect_entries(r, id, "0.1.1S20 1.1.1S20 2.1.1S20 3.1.1S20 ");
        assert_int_equal(spent(r, id), 80);
        expect_left(r, id);
    }
    assert_int_equal(spent_of(r, "goal:x"), 30 * 80);
    verify(r);
}

/* [B1] */
static void a_group_that_does_not_land_is_booked_when_it_lands(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip(); /* faults are ordered of the journal in memory */
    }
    code(r, PAWL_EFFECT_DEFAULT);
    for (uint64_t at = 0; at < 5; at++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%d", (int)at);
        start(r, id, NULL);
        pw_memory_fail_commit(r->store, PW_FAULT_NOT, at);
        for (int i = 0; i < 20 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            rig_task *t = rig_task_find(r, "llm");
            if (t != NULL) {
                pay(r, t, 0.00002);
            }
            rig_advance(r, 2000);
        }
        assert_string_equal(rig_status(r, id), "completed");
        expect_entries(r, id, "0.1.1S20 1.1.1S20 2.1.1S20 3.1.1S20 ");
        expect_left(r, id);
        verify(r);
    }
}

/* ---- many ---- */

static void thousands_of_items_are_one_line_of_what_it_cost(void **state)
{
    rig *r = *state;
    code(r, PAWL_EFFECT_DEFAULT);
    start(r, "a", rig_value(r, "{count: 3000, width: 64, activity: 'llm_now'}"));
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(spent(r, "a"), 30000);
    expect_left(r, "a");
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(pw_view_request(r->reader, PW_REQ_COST, rig_value(r, "{id: 'a'}"), &out, &err),
                     PAWL_OK);
    const pawl_value *v = pw_value_view(r->scope, out.data, out.size);
    assert_int_equal(pawl_len(pawl_get(v, "entries")), 1);
    assert_int_equal(pawl_int(v, "entries.0.items", 0), 3000);
    assert_int_equal(pawl_int(v, "entries.0.attempt", 0), 3000);
    assert_string_equal(pawl_str(v, "entries.0.state", ""), "settled");
    assert_string_equal(pawl_str(v, "entries.0.model", ""), "m");
    assert_int_equal(pawl_int(v, "entries.0.spent.calls", 0), 3000);
    assert_int_equal(pawl_int(v, "spent.tokens", 0), 45000);
    verify(r);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(what_an_item_spent_is_booked_with_its_result),
        RIG_TEST(an_item_that_says_nothing_costs_nothing),
        RIG_TEST(a_failed_attempt_of_an_item_is_paid_too),
        RIG_TEST(the_failure_that_ends_a_map_is_paid_and_a_retried_run_pays_anew),
        RIG_TEST(a_cancelled_item_is_paid),
        RIG_TEST(an_unsafe_item_that_does_not_know_what_came_of_it_is_paid),
        RIG_TEST(what_waits_when_its_run_is_ended_is_booked),
        RIG_TEST(killed_at_any_point_each_kept_result_is_paid_once),
        RIG_TEST(a_group_that_does_not_land_is_booked_when_it_lands),
        RIG_TEST(thousands_of_items_are_one_line_of_what_it_cost),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], true);
}
