/*
 * budget_damage_test.c - rows of budgets that cannot be: whoever needs one is paused and told why, the others go on, and `verify` finds it. On a file:
 * its rows are changed between two processes. Does not look at damaged records: replay_test.c does.
 */
#include <sqlite3.h>
#include <stdio.h>

#include "rig_budget.h"

/* ---- code ---- */

static const pawl_value *mapped(pawl_run *w, const pawl_value *in)
{
    const pawl_value *items[6];
    (void)in;
    for (int i = 0; i < 6; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), i);
    }
    (void)pawl_map(w, "llm", pawl_make_array(pawl_run_scope(w), items, 6), .width = 2,
                   .max_cost = 0.01, .reserve = pawl_json(w, "{usd: 0.0001}"));
    return NULL;
}

static const pawl_value *stepped(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 10);
    (void)pawl_call(w, "llm", .reserve = pawl_json(w, "{usd: 0.0001}"));
    return NULL;
}

static const pawl_value *plain(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "free", .input = in);
}

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 10);
    return pawl_child(w, .workflow = "stepped", .id = "c", .budget = pawl_json(w, "{usd: 0.5}"));
}

static rig *begin(void)
{
    rig *r = rig_open(RIG_SQLITE);
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "mapped", mapped);
    rig_workflow(r, "stepped", stepped);
    rig_workflow(r, "plain", plain);
    rig_held(r, "llm", PAWL_EFFECT_DEFAULT);
    rig_held(r, "free", PAWL_EFFECT_DEFAULT);
    return r;
}

/* ---- damage ---- */

static void change(rig *r, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(r->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
    (void)sqlite3_close(db);
}

static void damage(rig *r, const char *sql)
{
    rig_kill(r);
    change(r, "CREATE TABLE kept_budgets AS SELECT * FROM pawl_budgets;"
              "CREATE TABLE kept_runs AS SELECT * FROM pawl_runs");
    change(r, sql);
    rig_boot(r);
}

static void mend(rig *r)
{
    rig_kill(r);
    change(r,
           "DELETE FROM pawl_budgets; INSERT INTO pawl_budgets SELECT * FROM kept_budgets;"
           "UPDATE pawl_runs SET parent=(SELECT parent FROM kept_runs k WHERE k.key=pawl_runs.key)"
           " WHERE key IN (SELECT key FROM kept_runs)");
    rig_boot(r);
}

static void finding(void *ctx, const pw_verify_finding *f)
{
    *(bool *)ctx |= strcmp(f->invariant, "J19") == 0 || strcmp(f->invariant, "J14") == 0;
}

static bool found(rig *r)
{
    pw_verify_stats stats;
    pawl_error err;
    bool it = false;
    assert_int_equal(pw_sqlite_verify(r->path, finding, &it, &stats, &err), PAWL_OK);
    return it;
}

static const char *const damages[] = {
    "DELETE FROM pawl_budgets WHERE name LIKE 'step:%'",
    "UPDATE pawl_budgets SET parent='run:1' WHERE name='goal:x'",
    "UPDATE pawl_budgets SET parent='goal:x' WHERE name='goal:x'",
    "UPDATE pawl_budgets SET parent='goal:y' WHERE name='goal:x'",
    "UPDATE pawl_budgets SET reserved_usd=-7 WHERE name='goal:x'",
    "UPDATE pawl_budgets SET spent_usd=9223372036854775807 WHERE name='goal:x'",
    "UPDATE pawl_budgets SET hard_usd=-9 WHERE name='goal:x'",
    "DELETE FROM pawl_budgets WHERE name LIKE 'run:%'; UPDATE pawl_runs SET parent=1 WHERE key=1",
};

/* ---- tests ---- */

static void check_told(rig *r, const char *id, const char *sql)
{
    if (strcmp(rig_status(r, id), "paused") != 0 || strstr(rig_reason(r, id), "budget") == NULL) {
        fail_msg("after %s: %s is %s, %s", sql, id, rig_status(r, id), rig_reason(r, id));
    }
}

static void map_after(const char *sql)
{
    rig *r = begin();
    rig_start_budget(r, "mapped", "m", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}"));
    assert_int_equal(rig_tasks(r, "llm"), 2);
    assert_int_equal(rig_ask(r, "pause", "{id: 'm'}")->status, PAWL_OK);
    rig_pay(r, 0.00001);
    rig_pay(r, 0.00001);
    damage(r, sql);
    assert_true(found(r));
    assert_int_equal(rig_ask(r, "resume", "{id: 'm'}")->status, PAWL_OK);
    rig_run(r);
    rig_start(r, "plain", "p");
    if (rig_tasks(r, "free") != 1) { /* nobody stands behind it */
        fail_msg("after %s: it holds up another run", sql);
    }
    rig_advance(r, 3000);
    check_told(r, "m", sql);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    assert_int_equal(rig_ask(r, "resume", "{id: 'm'}")->status, PAWL_OK); /* for nothing */
    rig_advance(r, 3000);
    check_told(r, "m", sql);
    mend(r);
    assert_int_equal(rig_ask(r, "resume", "{id: 'm'}")->status, PAWL_OK);
    rig_advance(r, 3000);
    assert_int_equal(rig_tasks(r, "llm"), 2);
    for (int i = 0; i < 4; i++) {
        rig_pay(r, 0.00001);
    }
    assert_string_equal(rig_status(r, "m"), "completed");
    assert_false(found(r));
    rig_close(r);
}

static void a_map_whose_budget_cannot_be_is_paused_and_holds_up_nobody(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(damages); i++) {
        map_after(damages[i]);
    }
}

static void step_after(const char *sql)
{
    rig *r = begin();
    rig_start_budget(r, "stepped", "s", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}"));
    damage(r, sql);
    rig_advance(r, 10000);
    rig_start(r, "plain", "p");
    assert_int_equal(rig_tasks(r, "free"), 1);
    rig_advance(r, 3000);
    check_told(r, "s", sql);
    mend(r);
    assert_int_equal(rig_ask(r, "resume", "{id: 's'}")->status, PAWL_OK);
    rig_advance(r, 3000);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "s"), "completed");
    rig_close(r);
}

static void a_step_whose_budget_cannot_be_pauses_its_run(void **state)
{
    (void)state;
    for (size_t i = 1; i < PW_COUNT(damages); i++) { /* (it has no budget of its own) */
        step_after(damages[i]);
    }
}

/* It is held, by a limit of its run: that is looked at again when the engine opens. */
static void held_after(const char *sql)
{
    rig *r = begin();
    rig_start_budget(r, "stepped", "s",
                     rig_value(r, "{usd: 0.00005, parent: {name: 'goal:x', usd: 5}}"));
    rig_advance(r, 10000);
    assert_int_equal(rig_tasks(r, "llm"), 0);
    damage(r, sql);
    rig_advance(r, 3000);
    check_told(r, "s", sql);
    mend(r);
    assert_int_equal(rig_ask(r, "resume", "{id: 's'}")->status, PAWL_OK);
    assert_int_equal(rig_ask(r, "budget_set", "{id: 's', limits: {usd: 1}}")->status, PAWL_OK);
    rig_advance(r, 3000);
    assert_int_equal(rig_tasks(r, "llm"), 1);
    rig_pay(r, 0.00001);
    assert_string_equal(rig_status(r, "s"), "completed");
    rig_close(r);
}

static void a_held_step_whose_budget_cannot_be_pauses_its_run(void **state)
{
    (void)state;
    for (size_t i = 1; i < PW_COUNT(damages); i++) {
        held_after(damages[i]);
    }
}

/* Nothing is begun, and whoever asks hears why. */
static void start_after(const char *sql)
{
    rig *r = begin();
    rig_start_budget(r, "stepped", "s", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}"));
    damage(r, sql);
    const rig_reply *reply =
        rig_ask(r, "start", "{workflow: %s, id: %s, budget: %p}", "stepped", "t",
                pawl_v(rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}")));
    if (reply->status != PAWL_DAMAGED || strstr(reply->message, "goal:") == NULL) {
        fail_msg("after %s: %s, %s", sql, pawl_status_name(reply->status), reply->message);
    }
    mend(r);
    rig_start_budget(r, "stepped", "t", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}"));
    rig_close(r);
}

static void a_start_below_a_budget_that_cannot_be_is_refused(void **state)
{
    (void)state;
    for (size_t i = 1; i + 1 < PW_COUNT(damages); i++) { /* (and not of runs) */
        start_after(damages[i]);
    }
}

static void child_after(const char *sql)
{
    rig *r = begin();
    rig_start_budget(r, "parent", "p", rig_value(r, "{usd: 1, parent: {name: 'goal:x', usd: 5}}"));
    damage(r, sql);
    rig_advance(r, 20000);
    if (strcmp(rig_status(r, "p"), "failed") != 0) { /* its child could not be begun */
        fail_msg("after %s: p is %s, %s", sql, rig_status(r, "p"), rig_reason(r, "p"));
    }
    rig_close(r);
}

static void a_child_below_a_budget_that_cannot_be_is_refused(void **state)
{
    (void)state;
    for (size_t i = 1; i < PW_COUNT(damages); i++) {
        child_after(damages[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_whose_budget_cannot_be_is_paused_and_holds_up_nobody),
        cmocka_unit_test(a_step_whose_budget_cannot_be_pauses_its_run),
        cmocka_unit_test(a_held_step_whose_budget_cannot_be_pauses_its_run),
        cmocka_unit_test(a_child_below_a_budget_that_cannot_be_is_refused),
        cmocka_unit_test(a_start_below_a_budget_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
