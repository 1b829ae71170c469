/*
 * compact_test.c - a run that an idle journal has compacted: its history, its result, a query of its code and its next run are what they were.
 * Does not use threads or real time: the rig has none. Which runs are compacted is tested with the journal.
 */
#include "rig.h"

#include <stdio.h>

#include "journal/sqlite.h"

static const pawl_value *steps_taken(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    return pawl_json(w, "%d", *(const int *)arg);
}

static const pawl_value *sleeps(pawl_run *w, const pawl_value *in)
{
    int *n = pawl_alloc(w, sizeof *n);
    pawl_on_query(w, "taken", steps_taken, n);
    for (*n = 0; *n < 5; ++*n) {
        (void)pawl_sleep(w, 10);
    }
    if (pawl_bool(in, "fail", false)) {
        return pawl_fail(w, "Late", "at the end");
    }
    return pawl_json(w, "{n: %d}", *n);
}

static int64_t rows(rig *r, const char *table, const char *id)
{
    char sql[100];
    int64_t n = -1;
    pawl_error err;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM %s WHERE run=%lld", table,
                   (long long)rig_key(r, id));
    assert_int_equal(pw_db_int(&pw_sqlite_of(r->journal)->db, sql, &n, &err), PAWL_OK);
    return n;
}

static void looks_as_before(rig *r, const char *history, int64_t seq)
{
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_string_equal(rig_history(r, "a"), history);
    assert_int_equal(rig_seq(r, "a"), seq);
    assert_int_equal(pawl_int(rig_result(r, "a"), "n", 0), 5);
    assert_int_equal(
        pawl_int(rig_ask(r, "query", "{id: %s, name: %s}", "a", "taken")->value, "", 0),
        5); /* its code runs again */
}

static void a_compacted_run_is_what_it_was(void **state)
{
    (void)state;
    rig *r = rig_open(RIG_SQLITE);
    rig_workflow(r, "wf", sleeps);
    rig_start(r, "wf", "a");
    rig_finish(r, "a", 100000);
    const char *history = pw_strdup(r->scope, rig_history(r, "a"));
    int64_t seq = rig_seq(r, "a");
    assert_true(rows(r, "pawl_log", "a") > 5);
    assert_false(r->journal->ops->idle(r->journal));
    assert_int_equal(rows(r, "pawl_log", "a"), 0);
    assert_int_equal(rows(r, "pawl_history", "a"), 1);
    looks_as_before(r, history, seq);
    rig_crash(r);
    looks_as_before(r, history, seq);
    rig_start(r, "wf", "b"); /* group numbers and positions go on */
    rig_finish(r, "b", 100000);
    assert_string_equal(rig_status(r, "b"), "completed");
    rig_crash(r);
    looks_as_before(r, history, seq);
    rig_close(r);
}

static void what_may_be_retried_is_not_compacted(void **state)
{
    (void)state;
    rig *r = rig_open(RIG_SQLITE);
    rig_workflow(r, "wf", sleeps);
    rig_start_with(r, "wf", "a", rig_value(r, "{fail: true}"));
    rig_finish(r, "a", 100000);
    assert_string_equal(rig_status(r, "a"), "failed");
    int64_t before = rows(r, "pawl_log", "a");
    assert_false(r->journal->ops->idle(r->journal));
    assert_int_equal(rows(r, "pawl_log", "a"), before);
    rig_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compacted_run_is_what_it_was),
        cmocka_unit_test(what_may_be_retried_is_not_compacted),
    };
    return cmocka_run_group_tests_name("compact", tests, NULL, NULL);
}
