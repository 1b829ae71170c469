/*
 * budget_test.c - budgets: what is set aside before an attempt and spent after it, what holds a step and lets it go on, after a crash at any
 * point too. Each test looks at the journal's own sums.
 * Does not use a model: tests/agent and tests/llm do.
 */
#include <stdio.h>

#include "engine/parts.h"
#include "engine/view.h"
#include "rig.h"

/* ---- looking ---- */

typedef struct sums {
    int64_t spent, reserved, hard;
} sums;

static bool take_sums(void *ctx, const pw_budget_row *row)
{
    *(sums *)ctx = (sums){row->spent.n[PW_UNIT_USD], row->reserved.n[PW_UNIT_USD],
                          row->limits.hard.n[PW_UNIT_USD]};
    return false;
}

static sums of(rig *r, const char *budget)
{
    sums s = {-1, -1, -1};
    pawl_error err;
    pw_view name = {(const uint8_t *)budget, strlen(budget)};
    assert_int_equal(r->reader->ops->budgets(r->reader, name, take_sums, &s, &err), PAWL_OK);
    return s;
}

static void expect(rig *r, const char *budget, int64_t spent, int64_t reserved)
{
    sums s = of(r, budget);
    assert_int_equal(s.spent, spent);
    assert_int_equal(s.reserved, reserved);
}

static bool add_entry(void *ctx, const pw_ledger_row *row)
{
    static const char states[] = "?RBSE";
    pw_buf *out = ctx;
    pw_buf_printf(out, "%lld.%lld.%lld%c%lld ", (long long)row->cmd, (long long)row->attempt,
                  (long long)row->round, states[row->state],
                  (long long)(row->state < PW_LEDGER_SETTLED ? row->estimate.n[PW_UNIT_USD]
                                                             : row->spent.n[PW_UNIT_USD]));
    return true;
}

/* "2.1.1S30": command 2, attempt 1, round 1, settled at 30. */
static void expect_entries(rig *r, const char *id, const char *expected)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(
        r->reader->ops->ledger(r->reader, rig_key(r, id), false, add_entry, &out, &err), PAWL_OK);
    assert_string_equal(pw_buf_cstr(&out), expected);
}

static void own(rig *r, const char *id, char ret[40])
{
    (void)snprintf(ret, 40, "run:%lld", (long long)rig_key(r, id));
}

static void expect_run(rig *r, const char *id, int64_t spent, int64_t reserved)
{
    char name[40];
    own(r, id, name);
    expect(r, name, spent, reserved);
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

static const pawl_value *open_waits(rig *r)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(pw_view_request(r->reader, PW_REQ_WAITS, NULL, &out, &err), PAWL_OK);
    return pw_value_copy(r->scope, out.data, out.size);
}

static void spend(rig *r, double usd)
{
    assert_true(pawl_task_spend(
        rig_task_find(r, "llm")->task,
        rig_value(r, "{usd: %g, input: 10, output: 5, calls: 1, model: %s}", usd, "m")));
}

static void pay(rig *r, double usd)
{
    spend(r, usd);
    rig_done(r, rig_task_find(r, "llm"), rig_value(r, "{ok: true}"));
}

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

static void start(rig *r, const char *workflow, const char *id, const pawl_value *budget)
{
    const rig_reply *reply =
        rig_ask(r, "start", "{workflow: %s, id: %s, budget: %p}", workflow, id, pawl_v(budget));
    assert_int_equal(reply->status, PAWL_OK);
    rig_run(r);
}

/* ---- setting aside and settling ---- */

static void an_attempt_sets_aside_and_settles_at_what_it_says_it_spent(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{usd: 1}"));
    expect_run(r, "a", 0, 100);
    expect_entries(r, "a", "1.1.1B100 ");
    pay(r, 0.00003);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_run(r, "a", 30, 0);
    expect_entries(r, "a", "1.1.1S30 ");
    assert_true(pawl_num(rig_event(r, "a", "ActivityCompleted", 0), "spent.usd", 0) > 0.00002);
    verify(r);
}

static void a_result_that_another_run_has_paid_for_costs_nothing(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "kept", "a", rig_value(r, "{usd: 1}"));
    pay(r, 0.00003);
    expect_run(r, "a", 30, 0);
    start(r, "kept", "b", rig_value(r, "{usd: 1}"));
    assert_string_equal(rig_status(r, "b"), "completed");
    assert_true(pawl_is(rig_event(r, "b", "ActivityCompleted", 0), "cached.run", "a"));
    expect_run(r, "b", 0, 0);
    rig_crash(r);
    rig_run(r);
    expect_run(r, "b", 0, 0);
    verify(r);
}

static void without_a_budget_what_is_spent_is_booked_all_the_same(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", NULL);
    pay(r, 0.00003);
    expect_run(r, "a", 30, 0);
    verify(r);
}

static void each_attempt_reserves_anew_and_a_failed_one_is_paid_too(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{usd: 1}"));
    spend(r, 0.00002);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    expect_entries(r, "a", "1.1.1S20 1.2.1R100 ");
    expect_run(r, "a", 20, 100);
    rig_advance(r, 1000);
    expect_entries(r, "a", "1.1.1S20 1.2.1B100 ");
    pay(r, 0.00001);
    expect_run(r, "a", 30, 0);
    verify(r);
}

static void one_that_says_nothing_counts_as_what_it_set_aside(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_done(r, rig_task_find(r, "llm"), NULL);
    expect_entries(r, "a", "1.1.1E100 ");
    expect_run(r, "a", 100, 0);
    verify(r);
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
    start(r, "slow", "a", rig_value(r, "{usd: 1}"));
    rig_begin(r, rig_task_find(r, "llm"));
    rig_run(r);
    rig_drop(r, rig_task_find(r, "llm"));
    rig_advance(r, 10000);
    expect_entries(r, "a", "1.1.1E100 1.2.1R100 ");
    rig_advance(r, 1000);
    pay(r, 0.00001);
    expect_run(r, "a", 110, 0);
    verify(r);
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
    start(r, "unsafe", "a", rig_value(r, "{usd: 1}"));
    expect_entries(r, "a", "1.1.1B100 ");
    rig_crash(r);
    rig_run(r);
    expect_entries(r, "a", "1.1.1E100 ");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "retry")->status,
                     PAWL_OK);
    rig_run(r);
    expect_entries(r, "a", "1.1.1E100 1.2.1B100 ");
    pay(r, 0.00001);
    start(r, "unsafe", "b", NULL); /* the same without a restart: its run is ended under it */
    (void)rig_ask(r, "terminate", "{id: %s}", "b");
    rig_run(r);
    expect_entries(r, "b", "1.1.1E100 ");
    verify(r);
}

static void what_never_began_is_given_back(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_ask(r, "queue_set", "{name: %s, concurrency: 1}", "default");
    start(r, "both", "a", rig_value(r, "{usd: 1}"));
    expect_entries(r, "a", "1.1.1B100 2.1.1R100 ");
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    expect_entries(r, "a", "1.1.1E100 "); /* nobody will hear what the first used */
    expect_run(r, "a", 100, 0);
    verify(r);
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
    expect_entries(r, "a", "1.1.1B100 ");
}

static void a_crash_before_it_began_costs_nothing(void **state)
{
    rig *r = *state;
    code(r);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "one", "a");
    rig_step(r);
    (void)rig_commit(r);
    (void)rig_answer(r);
    expect_entries(r, "a", "1.1.1R100 ");
    rig_crash(r);
    rig_run(r);
    expect_entries(r, "a", "1.1.1B100 ");
    pay(r, 0.00003);
    expect_run(r, "a", 30, 0);
    verify(r);
}

static void a_crash_while_it_ran_costs_what_it_set_aside(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{usd: 1}"));
    rig_crash(r);
    rig_run(r);
    expect_entries(r, "a", "1.1.1E100 1.1.2B100 ");
    assert_true(pawl_bool(rig_event(r, "a", "ActivityReserved", 0), "lost", false));
    rig_crash(r);
    rig_run(r);
    expect_entries(r, "a", "1.1.1E100 1.1.2E100 1.1.3B100 ");
    pay(r, 0.00003);
    expect_run(r, "a", 230, 0);
    assert_string_equal(rig_status(r, "a"), "completed");
    verify(r);
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
        start(r, "one", id, rig_value(r, "{usd: 1}"));
        for (int i = 0; i < 200 && strcmp(rig_status(r, id), "completed") != 0; i++) {
            rig_task *t = rig_task_find(r, "llm");
            if (t != NULL) {
                mine++; /* it is bought as soon as it runs */
                spend(r, 0.0001);
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
        own(r, id, name);
        assert_true(of(r, name).spent >= 100 * mine);
        assert_int_equal(of(r, name).reserved, 0);
        bought += mine;
    }
    assert_true(bought >= 16);
    verify(r);
}

/* ---- limits ---- */

static void a_step_that_does_not_fit_is_held_and_asks(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "three", "a", rig_value(r, "{usd: 0.00025}"));
    pay(r, 0.0001);
    pay(r, 0.0001);
    assert_null(rig_task_find(r, "llm"));
    expect_entries(r, "a", "1.1.1S100 2.1.1S100 ");
    const pawl_value *waits = open_waits(r);
    const pawl_value *wait = pawl_at(waits, 0);
    assert_int_equal(pawl_len(waits), 1);
    assert_string_equal(pawl_str(wait, "kind", ""), "budget");
    assert_string_equal(pawl_str(wait, "choices", ""), "raise|stop");
    assert_string_equal(pawl_str(wait, "show.unit", ""), "usd");
    assert_non_null(strstr(rig_waiting(r, "a"), "budget"));
    rig_crash(r);
    rig_advance(r, 3600000);
    assert_null(rig_task_find(r, "llm"));
    assert_int_equal(pawl_len(open_waits(r)), 1);
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
    assert_int_equal(pawl_len(open_waits(r)), 0);
    expect_entries(r, "a", "1.1.1S100 2.1.1S100 3.1.1B100 ");
    pay(r, 0.00005);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_run(r, "a", 250, 0);
    assert_true(pawl_num(rig_result(r, "a"), "left.usd", 0) > 1.9);
    verify(r);
}

static void a_step_that_is_stopped_fails_and_the_run_may_go_on(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{calls: 0}"));
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "stop")->status,
                     PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "BudgetExceeded");
    expect_entries(r, "a", "");
    verify(r);
}

static void a_paused_run_can_be_answered(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{calls: 0}"));
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
    pay(r, 0.00001);
    assert_string_equal(rig_status(r, "a"), "completed");
    verify(r);
}

static void an_attempt_after_a_failed_one_may_be_held_as_well(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{usd: 0.00015}"));
    spend(r, 0.0001);
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
    pay(r, 0.00001);
    expect_entries(r, "a", "1.1.1S100 1.2.1S10 ");
    verify(r);
}

static void a_held_step_can_be_cancelled(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "one", "a", rig_value(r, "{calls: 0}"));
    (void)rig_ask(r, "cancel", "{id: %s}", "a");
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(pawl_len(open_waits(r)), 0);
    expect_entries(r, "a", "");
    verify(r);
}

/* [B3] */
static void what_others_set_aside_is_waited_for_and_nobody_is_asked(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "both", "a", rig_value(r, "{usd: 0.00015}"));
    assert_int_equal(rig_tasks(r, "llm"), 1);
    assert_int_equal(pawl_len(open_waits(r)), 0);
    expect_run(r, "a", 0, 100);
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
    pay(r, 0.00001);
    rig_run(r);
    pay(r, 0.00002);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_run(r, "a", 130, 0);
    verify(r);
}

/* ---- nesting ---- */

static void budgets_nest_and_runs_share_what_is_above_them(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *b =
        rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 0.00015, parent: 'workspace:acme'}}");
    start(r, "one", "a", b);
    start(r, "one", "b", b);
    start(r, "one", "c", b);
    assert_int_equal(rig_tasks(r, "llm"), 1); /* never more than fits */
    expect(r, "goal:x", 0, 100);
    pay(r, 0.00004);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    pay(r, 0.00001);
    rig_run(r);
    pay(r, 0.00001);
    expect(r, "goal:x", 60, 0);
    expect(r, "workspace:acme", 60, 0);
    expect_run(r, "b", 10, 0);
    verify(r);
}

static void raising_what_is_above_lets_every_run_go_on(void **state)
{
    rig *r = *state;
    code(r);
    const pawl_value *b = rig_value(r, "{parent: {name: 'goal:x', calls: 0}}");
    start(r, "one", "a", b);
    start(r, "one", "b", b);
    assert_int_equal(pawl_len(open_waits(r)), 2);
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, value: {choice: %s, data: {budget: %s, calls: 9}}}", "a",
                             "raise", "goal:x")
                         ->status,
                     PAWL_OK);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    assert_int_equal(pawl_len(open_waits(r)), 0);
    pay(r, 0.00001);
    pay(r, 0.00001);
    assert_string_equal(rig_status(r, "b"), "completed");
    verify(r);
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
    start(r, "parent", "a", rig_value(r, "{usd: 1, parent: 'goal:x'}"));
    expect_run(r, "a", 0, 100);
    rig_crash(r);
    rig_run(r);
    pay(r, 0.00003);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_run(r, "kid", 130, 0);
    expect_run(r, "a", 130, 0);
    expect(r, "goal:x", 130, 0);
    char name[40];
    own(r, "kid", name);
    assert_int_equal(of(r, name).hard, 200);
    verify(r);
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
    own(r, "a", first);
    for (int i = 0; i < 3; i++) {
        rig_run(r);
        pay(r, 0.0001);
    }
    rig_run(r);
    assert_int_equal(rig_tasks(r, "llm"), 0); /* the fourth does not fit what the first was given */
    expect(r, first, 300, 0);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 1}}}", "a", "raise")->status,
        PAWL_OK);
    rig_run(r);
    pay(r, 0.00001);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect(r, first, 310, 0);
    verify(r);
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
    start(r, "capped", "a", NULL);
    expect_run(r, "a", 0, 300);
    spend(r, 0.0002);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_advance(r, 1000);
    expect_run(r, "a", 200, 100); /* what is left of it */
    spend(r, 0.0001);
    rig_fail(r, rig_task_find(r, "llm"), "Refused", true);
    rig_advance(r, 5000);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "stop")->status,
                     PAWL_OK);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "failed");
    verify(r);
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
    start(r, "looks", "a", rig_value(r, "{usd: {soft: 0.00005, hard: 1}}"));
    pay(r, 0.00006);
    rig_crash(r);
    rig_run(r);
    rig_advance(r, 60000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_count(r, "a", "BudgetRead"), 2);
    assert_true(pawl_bool(rig_result(r, "a"), "soft", false));
    assert_true(pawl_num(rig_result(r, "a"), "first.left.usd", 0) > 0.9999);
    expect_run(r, "a", 60, 0); /* replaying costs nothing */
    verify(r);
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
    start(r, "then", "a", rig_value(r, "{usd: 0.00015}"));
    rig_advance(r, 5000);
    rig_fail(r, rig_task_find(r, "check"), "No", false);
    assert_string_equal(rig_status(r, "a"), "failed");
    expect_run(r, "a", 100, 0); /* it ran, and nobody heard of it */
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "a")->status, PAWL_OK);
    rig_run(r);
    assert_int_equal(pawl_len(open_waits(r)), 1);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {usd: 1}}}", "a", "raise")->status,
        PAWL_OK);
    rig_run(r);
    rig_done(r, rig_task_find(r, "check"), NULL);
    while (rig_tasks(r, "llm") > 1) { /* the one of before is not heard */
        rig_drop(r, rig_task_find(r, "llm"));
    }
    pay(r, 0.00002);
    assert_string_equal(rig_status(r, "a"), "completed");
    expect_run(r, "a", 120, 0);
    verify(r);
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
            start(r, "one", id, rig_value(r, "{usd: 1}"));
        }
        rig_advance(r, 2000);
        assert_non_null(rig_task_find(r, "llm"));
        pay(r, 0.00003);
        rig_advance(r, 2000);
        assert_string_equal(rig_status(r, id), "completed");
        expect_run(r, id, 30, 0);
        verify(r);
    }
}

/* ---- showing ---- */

static void what_it_cost_is_shown_by_run_and_in_totals(void **state)
{
    rig *r = *state;
    code(r);
    start(r, "three", "a", rig_value(r, "{usd: 1, parent: 'goal:x'}"));
    pay(r, 0.00003);
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
