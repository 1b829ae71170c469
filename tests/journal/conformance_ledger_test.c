/*
 * conformance_ledger_test.c - budgets and the ledger: what every backend must do with them. Run once per backend:
 * journal_conformance_ledger sqlite|memory. Does not decide what fits: the engine does (tests/engine/budget_test.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/memory.h"
#include "tests/journal/rig.h"

static const char *backend_of(void **state)
{
    return *state;
}
#define OPEN() rig *t = rig_open(backend_of(state))

static pw_amounts usd(int64_t micro, int64_t calls)
{
    pw_amounts a = {0};
    a.n[PW_UNIT_USD] = micro;
    a.n[PW_UNIT_CALLS] = calls;
    return a;
}

typedef struct entry {
    int64_t cmd, attempt, round;
    pw_ledger_state state;
    pw_amounts estimate, spent;
} entry;

/* run:1 under goal:g under workspace:w. */
static void put(rig *t, const entry *e)
{
    pw_view *chain = pawl_scope_alloc(t->scope, 3 * sizeof *chain);
    pw_ledger_op *op = pawl_scope_alloc(t->scope, sizeof *op);
    chain[0] = rig_text("run:1");
    chain[1] = rig_text("goal:g");
    chain[2] = rig_text("workspace:w");
    *op = (pw_ledger_op){.chain = chain, .chain_len = 3};
    op->row = (pw_ledger_row){.run = 1,
                              .cmd = e->cmd,
                              .attempt = e->attempt,
                              .round = e->round,
                              .state = (int)e->state,
                              .at_ms = 7,
                              .budget = chain[0],
                              .workflow = rig_text("w"),
                              .activity = rig_text("llm"),
                              .model = rig_text("m"),
                              .estimate = e->estimate,
                              .spent = e->spent};
    rig_op(t, PW_OP_LEDGER_PUT)->u.ledger = op;
}

static bool add_budget(void *ctx, const pw_budget_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 400 - used, "%.*s<%.*s %lld/%lld %lld+%lld; ", (int)row->name.size,
             (const char *)row->name.data, (int)row->parent.size, (const char *)row->parent.data,
             (long long)row->limits.soft.n[PW_UNIT_USD], (long long)row->limits.hard.n[PW_UNIT_USD],
             (long long)row->spent.n[PW_UNIT_USD], (long long)row->reserved.n[PW_UNIT_USD]);
    return true;
}

static void expect_budgets(rig *t, const char *name, const char *expected)
{
    char out[400] = "";
    assert_int_equal(t->r->ops->budgets(t->r, rig_text(name), add_budget, out, &t->err), PAWL_OK);
    assert_string_equal(out, expected);
}

static bool add_entry(void *ctx, const pw_ledger_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 400 - used, "%lld.%lld.%lld.%lld:%d %lld/%lld %.*s; ", (long long)row->run,
             (long long)row->cmd, (long long)row->attempt, (long long)row->round, row->state,
             (long long)row->estimate.n[PW_UNIT_USD], (long long)row->spent.n[PW_UNIT_USD],
             (int)row->model.size, (const char *)row->model.data);
    return true;
}

static void expect_entries(rig *t, int64_t run, bool open_only, const char *expected)
{
    char out[400] = "";
    assert_int_equal(t->r->ops->ledger(t->r, run, open_only, add_entry, out, &t->err), PAWL_OK);
    assert_string_equal(out, expected);
}

/* J19 */
static void an_entry_counts_in_its_budget_and_in_all_above_it(void **state)
{
    OPEN();
    (void)rig_start(t, "a");
    put(t, &(entry){1, 1, 1, PW_LEDGER_RESERVED, usd(100, 1), usd(0, 0)});
    put(t, &(entry){2, 1, 1, PW_LEDGER_BEGUN, usd(50, 1), usd(0, 0)});
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_budgets(t, "",
                   "goal:g<workspace:w -1/-1 0+150; run:1<goal:g -1/-1 0+150; "
                   "workspace:w< -1/-1 0+150; ");
    put(t, &(entry){1, 1, 1, PW_LEDGER_SETTLED, usd(100, 1), usd(30, 1)});
    put(t, &(entry){2, 1, 1, PW_LEDGER_ESTIMATED, usd(50, 1), usd(50, 1)});
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_budgets(t, "workspace:w", "workspace:w< -1/-1 80+0; ");
    expect_budgets(t, "run:1", "run:1<goal:g -1/-1 80+0; ");
    rig_close(t);
}

static void an_entry_that_is_put_again_counts_once(void **state)
{
    OPEN();
    (void)rig_start(t, "a");
    put(t, &(entry){1, 1, 1, PW_LEDGER_SETTLED, usd(100, 1), usd(30, 1)});
    put(t, &(entry){1, 1, 1, PW_LEDGER_SETTLED, usd(100, 1), usd(40, 1)});
    assert_int_equal(rig_commit(t), PAWL_OK);
    put(t, &(entry){1, 1, 1, PW_LEDGER_SETTLED, usd(100, 1), usd(40, 1)});
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_budgets(t, "run:1", "run:1<goal:g -1/-1 40+0; ");
    expect_entries(t, 1, false, "1.1.1.1:3 100/40 m; ");
    rig_close(t);
}

static void what_is_released_is_gone_and_what_begins_stays_set_aside(void **state)
{
    OPEN();
    (void)rig_start(t, "a");
    put(t, &(entry){1, 1, 1, PW_LEDGER_RESERVED, usd(100, 1), usd(0, 0)});
    put(t, &(entry){1, 2, 1, PW_LEDGER_RESERVED, usd(10, 1), usd(0, 0)});
    put(t, &(entry){3, 1, 1, PW_LEDGER_SETTLED, usd(10, 1), usd(5, 0)});
    assert_int_equal(rig_commit(t), PAWL_OK);
    put(t, &(entry){1, 1, 1, PW_LEDGER_RELEASED, usd(100, 1), usd(0, 0)});
    pw_ledger_op begin = {.row = {.run = 1, .cmd = 1, .attempt = 2, .round = 1}};
    rig_op(t, PW_OP_LEDGER_BEGIN)->u.ledger = &begin;
    pw_ledger_op settled = {.row = {.run = 1, .cmd = 3, .attempt = 1, .round = 1}};
    rig_op(t, PW_OP_LEDGER_BEGIN)->u.ledger = &settled;
    pw_ledger_op none = {.row = {.run = 1, .cmd = 9, .attempt = 1, .round = 1}};
    rig_op(t, PW_OP_LEDGER_BEGIN)->u.ledger = &none;
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_budgets(t, "goal:g", "goal:g<workspace:w -1/-1 5+10; ");
    expect_entries(t, 0, false, "1.1.2.1:2 10/0 m; 1.3.1.1:3 10/5 m; ");
    expect_entries(t, 0, true, "1.1.2.1:2 10/0 m; ");
    expect_entries(t, 2, false, "");
    rig_close(t);
}

static void limits_are_set_and_leave_the_sums_alone(void **state)
{
    OPEN();
    (void)rig_start(t, "a");
    put(t, &(entry){1, 1, 1, PW_LEDGER_SETTLED, usd(1, 1), usd(3, 1)});
    pw_budget_op set = {.row = {.name = rig_text("goal:g"),
                                .parent = rig_text("elsewhere"),
                                .limits = pw_limits_none()}};
    set.row.limits.soft.n[PW_UNIT_USD] = 5;
    set.row.limits.hard.n[PW_UNIT_USD] = 9;
    rig_op(t, PW_OP_BUDGET_SET)->u.budget = &set;
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_budgets(t, "goal:g", "goal:g<workspace:w 5/9 3+0; ");
    rig_restart(t);
    expect_budgets(t, "goal:g", "goal:g<workspace:w 5/9 3+0; ");
    rig_close(t);
}

static void an_entry_without_a_budget_does_not_land(void **state)
{
    OPEN();
    (void)rig_start(t, "a");
    pw_ledger_op op = {.row = {.run = 1, .cmd = 1, .attempt = 1, .round = 1, .state = 1}};
    rig_op(t, PW_OP_LEDGER_PUT)->u.ledger = &op;
    assert_int_not_equal(rig_commit(t), PAWL_OK);
    expect_entries(t, 0, false, "");
    rig_close(t);
}

int main(int argc, char **argv)
{
    char *backend = argc > 1 ? argv[1] : (char[]){"sqlite"};
    struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_counts_in_its_budget_and_in_all_above_it),
        cmocka_unit_test(an_entry_that_is_put_again_counts_once),
        cmocka_unit_test(what_is_released_is_gone_and_what_begins_stays_set_aside),
        cmocka_unit_test(limits_are_set_and_leave_the_sums_alone),
        cmocka_unit_test(an_entry_without_a_budget_does_not_land),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = backend;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
