/*
 * compact_test.c - an idle journal compacts closed runs: which ones, how many at a time, and that nobody who reads can tell.
 * Does not test the operation itself (conformance_test.c), nor power cuts in its middle (fault tests: their worlds go idle too).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "tests/journal/rig.h"

static int64_t count(rig *t, const char *table, int64_t run)
{
    char sql[100];
    int64_t n = -1;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE run=%lld", table,
                   (long long)run);
    assert_int_equal(pw_db_int(&pw_sqlite_of(t->j)->db, sql, &n, &t->err), PAWL_OK);
    return n;
}

static void note_finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    fail_msg("verify: %s: %s", f->invariant, f->message);
}

static void verify(rig *t)
{
    pw_verify_stats stats = {0};
    assert_int_equal(pw_sqlite_verify(t->path, note_finding, NULL, &stats, &t->err), PAWL_OK);
}

static rig_run run_of(rig *t, const char *id, int turns)
{
    rig_run r = rig_start(t, id);
    for (int i = 0; i < turns; i++) {
        assert_int_equal(rig_turn(t, &r, 2, i % 2 == 0 ? "x" : "y"), PAWL_OK);
    }
    return r;
}

static rig_run closed_run(rig *t, const char *id, int turns)
{
    rig_run r = run_of(t, id, turns);
    assert_int_equal(rig_finish(t, &r), PAWL_OK);
    return r;
}

static rig_run failed_run(rig *t)
{
    rig_run r = run_of(t, "failed", 3);
    pw_op *op = rig_op_turn(t, &r, 1, "end");
    op->u.turn.row.status = PW_RUN_FAILED;
    op->u.turn.row.closed_ms = 9000;
    assert_int_equal(rig_commit(t), PAWL_OK);
    return r;
}

static void closed_runs_are_compacted_when_idle_and_read_as_before(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_history before, after;
    rig_run a = closed_run(t, "a", 50);
    rig_run open = run_of(t, "open", 5);
    rig_run failed = failed_run(t);
    rig_run b = closed_run(t, "b", 2); /* its rows hold the number of the last group */
    uint64_t number = t->number;
    assert_int_equal(rig_read(t, a.key, 0, &before), PAWL_OK);
    assert_false(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", a.key) + count(t, "pawl_log", b.key), 0);
    assert_int_equal(count(t, "pawl_history", a.key), 1);
    assert_int_equal(count(t, "pawl_history", b.key), 1);
    assert_int_equal(count(t, "pawl_log", open.key), 6);
    assert_int_equal(count(t, "pawl_log", failed.key), 5); /* retry may open it again */
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_memory_equal(&before, &after, sizeof before);
    verify(t);
    rig_restart(t);
    assert_true(t->number == number); /* [J5] */
    assert_int_equal(rig_turn(t, &open, 1, "goes on"), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_memory_equal(&before, &after, sizeof before);
    verify(t);
    rig_close(t);
}

static void what_waits_for_something_or_saves_no_row_is_left(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run task = run_of(t, "task", 3);
    rig_op(t, PW_OP_TASK_PUT)->u.task = (pw_task_row){.run = task.key,
                                                      .cmd = 1,
                                                      .attempt = 1,
                                                      .name = rig_text("n"),
                                                      .queue = rig_text("q"),
                                                      .body = rig_text("\x80")};
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(rig_finish(t, &task), PAWL_OK);
    rig_run once = {.key = ++t->key};
    (void)rig_op_create(t, once.key, "once");
    pw_op *op = rig_op_turn(t, &once, 1, "at once");
    op->u.turn.row.status = PW_RUN_COMPLETED;
    op->u.turn.row.closed_ms = 9000;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_false(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", task.key), 5);
    assert_int_equal(count(t, "pawl_log", once.key), 1);
    verify(t);
    rig_close(t);
}

static void so_many_at_a_time_the_oldest_first_and_one_that_closes_late_too(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run late = run_of(t, "late", 3);
    rig_run last = {0};
    for (int i = 0; i < PW_COMPACT_RUNS + 1; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", i);
        last = closed_run(t, id, 1);
    }
    assert_true(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", last.key - 1), 0);
    assert_int_equal(count(t, "pawl_log", last.key), 3);
    assert_false(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", last.key), 0);
    assert_int_equal(rig_finish(t, &late), PAWL_OK);
    assert_false(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", late.key), 0);
    verify(t);
    rig_close(t);
}

static void a_damaged_run_is_passed_by_and_stays_as_it_is(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = closed_run(t, "a", 3);
    rig_run bad = closed_run(t, "bad", 3);
    rig_run c = closed_run(t, "c", 3);
    rig_tamper(t, "UPDATE pawl_log SET sum=sum+1 WHERE run=2 AND seq=1");
    assert_int_equal(bad.key, 2);
    assert_true(t->j->ops->idle(t->j));
    assert_false(t->j->ops->idle(t->j));
    assert_int_equal(count(t, "pawl_log", a.key), 0);
    assert_int_equal(count(t, "pawl_log", bad.key), 5);
    assert_int_equal(count(t, "pawl_history", bad.key), 0);
    assert_int_equal(count(t, "pawl_log", c.key), 0);
    rig_run next = run_of(t, "next", 1); /* nothing of it is in the way */
    (void)next;
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_runs_are_compacted_when_idle_and_read_as_before),
        cmocka_unit_test(what_waits_for_something_or_saves_no_row_is_left),
        cmocka_unit_test(so_many_at_a_time_the_oldest_first_and_one_that_closes_late_too),
        cmocka_unit_test(a_damaged_run_is_passed_by_and_stays_as_it_is),
    };
    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
