/*
 * tx_test.c - transactional steps as workflow code sees them: on SQLite, where they are, and in memory, where they are refused.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

static pawl_status add_row(pawl_tx *tx, pawl_scope *scope, const pawl_value *in,
                           const pawl_value **ret_value, pawl_error *err)
{
    pawl_status st = pawl_tx_exec(tx, "CREATE TABLE IF NOT EXISTS ledger(n INTEGER)", NULL, err);
    if (st == PAWL_OK) {
        st = pawl_tx_exec(tx, "INSERT INTO ledger(n) VALUES (?)", in, err);
    }
    if (st == PAWL_OK && pawl_int(pawl_at(in, 0), "", 0) < 0) {
        return pawl_tx_exec(tx, "this is no SQL", NULL, err);
    }
    return st == PAWL_OK ? pawl_tx_query(tx, scope, "SELECT count(*) AS c, sum(n) AS s FROM ledger",
                                         NULL, ret_value, err)
                         : st;
}

static const pawl_value *adds(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_transact(w, "add", add_row, pawl_json(w, "[1]"));
    (void)pawl_sleep(w, 10);
    (void)pawl_transact(w, "add", add_row, pawl_json(w, "[-5]"));
    const pawl_failure *f = pawl_catch(w);
    const pawl_value *rows = pawl_transact(w, "add", add_row, pawl_json(w, "[2]"));
    return pawl_json(w, "{rows: %p, type: %s}", pawl_v(rows), f != NULL ? f->type : "");
}

static void a_transactional_step_happens_exactly_once_and_a_failed_one_not_at_all(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", adds);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_advance(r, 10000);
    if (r->store != NULL) {
        assert_string_equal(rig_status(r, "a"), "failed");
        assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Unsupported");
        return;
    }
    assert_string_equal(rig_status(r, "a"), "completed");
    const pawl_value *v = rig_result(r, "a");
    assert_string_equal(pawl_str(v, "type", ""), "TransactionFailed");
    assert_int_equal(pawl_int(pawl_at(pawl_get(v, "rows"), 0), "c", 0), 2);
    assert_int_equal(pawl_int(pawl_at(pawl_get(v, "rows"), 0), "s", 0), 3);
    assert_string_equal(
        rig_history(r, "a"),
        "RunStarted StepCompleted:add TimerStarted TimerFired StepFailed:add StepCompleted:add RunCompleted");
    rig_crash(r);
    assert_int_equal(pawl_int(pawl_at(pawl_get(rig_result(r, "a"), "rows"), 0), "c", 0), 2);
}

static const pawl_value *adds_in_branch(pawl_run *w, void *arg)
{
    (void)arg;
    return pawl_transact(w, "add", add_row, pawl_json(w, "[1]"));
}

static const pawl_value *adds_in_branches(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[5];
    for (int i = 0; i < 5; i++) {
        f[i] = pawl_go(w, adds_in_branch, NULL);
    }
    (void)pawl_await_all(w, f, 5);
    (void)pawl_catch(w);
    return pawl_future_value(f[4]);
}

static void several_branches_take_turns(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", adds_in_branches);
    rig_start(r, "wf", "a");
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    if (r->store == NULL) {
        assert_int_equal(pawl_int(pawl_at(rig_result(r, "a"), 0), "c", 0), 5);
    }
}

static void a_watch_sees_transactional_steps_too(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", adds_in_branches);
    const rig_reply *watch = rig_post(r, "watch", "{id: %s}", "a");
    rig_start(r, "wf", "a");
    rig_run(r);
    assert_int_equal(watch->replies, rig_seq(r, "a"));
    assert_int_equal(pawl_int(watch->value, "seq", 0), watch->replies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_watch_sees_transactional_steps_too),
        RIG_TEST(a_transactional_step_happens_exactly_once_and_a_failed_one_not_at_all),
        RIG_TEST(several_branches_take_turns),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
