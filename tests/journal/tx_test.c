/*
 * tx_test.c - transactional steps: exactly once, rolled back alone, and kept away from the
 * journal's own tables. Does not run an engine: tests/engine does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/base/value.h"
#include "sdk/pawl_workflow.h"
#include "tests/journal/rig.h"

/** One step under test: what it runs, and what became of it. */
typedef struct step {
    const char *sql[4];
    const pawl_value *params;
    const char *query;
    pawl_status fail_with;
    pawl_scope *scope;
    const pawl_value *rows;
    pawl_status status;
    char message[256];
    int runs;
} step;

static pawl_status run_step(void *ctx, pawl_tx *tx, pawl_error *err)
{
    step *s = ctx;
    pawl_status st = PAWL_OK;
    s->runs++;
    for (size_t i = 0; st == PAWL_OK && i < 4 && s->sql[i] != NULL; i++) {
        st = pawl_tx_exec(tx, s->sql[i], s->params, err);
    }
    if (st == PAWL_OK && s->query != NULL) {
        st = pawl_tx_query(tx, s->scope, s->query, NULL, &s->rows, err);
    }
    if (st == PAWL_OK && s->fail_with != PAWL_OK) {
        err->status = s->fail_with;
        snprintf(err->message, sizeof(err->message), "the step's own");
        return s->fail_with;
    }
    return st;
}

static void encode_step(void *ctx, pawl_status status, const pawl_error *err, pw_buf *record,
                        int64_t *ret_events)
{
    step *s = ctx;
    pawl_scope *scope = pawl_scope_new();
    s->status = status;
    snprintf(s->message, sizeof(s->message), "%s", status == PAWL_OK ? "" : err->message);
    pw_view bytes = rig_record(scope, 1, status == PAWL_OK ? "done" : "failed");
    pw_buf_put(record, bytes.data, bytes.size);
    pawl_scope_free(scope);
    *ret_events = 1;
}

static pawl_status commit_step(rig *t, rig_run *run, step *s)
{
    pw_tx_call call = {run_step, encode_step, s};
    pw_op *op = rig_op_turn(t, run, 1, "x");
    op->u.turn.record = (pw_view){NULL, 0};
    op->u.turn.tx = &call;
    s->scope = t->scope;
    pawl_status st = rig_commit(t);
    if (st == PAWL_OK) {
        rig_moved(t, 0, run);
    }
    return st;
}

static void a_step_writes_its_own_tables_in_the_turns_commit(void **state)
{
    (void)state;
    rig_history h;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    step s = {.sql = {"CREATE TABLE money(who TEXT PRIMARY KEY, n INTEGER)",
                      "CREATE INDEX money_n ON money(n)", "INSERT INTO money VALUES('ann', 5)",
                      "ALTER TABLE money ADD COLUMN note TEXT"},
              .query = "SELECT who, n, 2.5 AS half, x'00ff' AS raw, NULL AS none FROM money"};
    assert_int_equal(commit_step(t, &a, &s), PAWL_OK);
    assert_string_equal(s.message, "");
    assert_int_equal(s.status, PAWL_OK);
    assert_string_equal(pawl_str(s.rows, "0.who", ""), "ann");
    assert_int_equal(pawl_int(s.rows, "0.n", 0), 5);
    assert_int_equal(pawl_typeof(pawl_get(s.rows, "0.none")), PAWL_NIL);
    assert_int_equal(pawl_typeof(pawl_get(s.rows, "0.raw")), PAWL_BYTES);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start done ");
    step p = {.sql = {"INSERT INTO money(who, n) VALUES(?1, ?2)"},
              .params = pawl_build(t->scope, "[%s, %d]", "bob", 7),
              .query = NULL};
    assert_int_equal(commit_step(t, &a, &p), PAWL_OK);
    assert_int_equal(p.status, PAWL_OK);
    rig_restart(t);
    step q = {.query = "SELECT sum(n) AS total FROM money"};
    assert_int_equal(commit_step(t, &a, &q), PAWL_OK);
    assert_int_equal(pawl_int(q.rows, "0.total", 0), 12);
    rig_close(t);
}

static void a_failed_step_is_undone_alone_and_its_failure_recorded(void **state)
{
    (void)state;
    rig_history h;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    rig_run b = rig_start(t, "b");
    step make = {.sql = {"CREATE TABLE t(n INTEGER)"}};
    assert_int_equal(commit_step(t, &a, &make), PAWL_OK);
    step s = {.sql = {"INSERT INTO t VALUES(1)"}, .fail_with = PAWL_FAILED};
    pw_tx_call call = {run_step, encode_step, &s};
    rig_op_turn(t, &b, 1, "other");
    pw_op *op = rig_op_turn(t, &a, 1, "x");
    op->u.turn.tx = &call;
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_moved(t, 1, &a);
    assert_int_equal(s.status, PAWL_FAILED);
    assert_string_equal(s.message, "the step's own");
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start done failed ");
    assert_int_equal(rig_read(t, b.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start other ");
    step q = {.query = "SELECT count(*) AS n FROM t"};
    assert_int_equal(commit_step(t, &a, &q), PAWL_OK);
    assert_int_equal(pawl_int(q.rows, "0.n", -1), 0);
    rig_close(t);
}

static void a_step_in_a_refused_group_leaves_nothing(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    rig_run stale = a;
    step make = {.sql = {"CREATE TABLE t(n INTEGER)"}};
    assert_int_equal(commit_step(t, &a, &make), PAWL_OK);
    step s = {.sql = {"INSERT INTO t VALUES(1)"}};
    assert_int_equal(commit_step(t, &stale, &s), PAWL_CONFLICT);
    assert_int_equal(s.runs, 1);
    step q = {.query = "SELECT count(*) AS n FROM t"};
    assert_int_equal(commit_step(t, &a, &q), PAWL_OK);
    assert_int_equal(pawl_int(q.rows, "0.n", -1), 0);
    rig_close(t);
}

typedef struct refusal {
    const char *sql;
    pawl_status status;
} refusal;

static void what_a_step_may_not_do_is_refused_and_named(void **state)
{
    (void)state;
    static const refusal refused[] = {
        {"DELETE FROM pawl_log", PAWL_DENIED},
        {"SELECT * FROM pawl_runs", PAWL_DENIED},
        {"SELECT * FROM PAWL_owner", PAWL_DENIED},
        {"UPDATE pawl_owner SET epoch=9", PAWL_DENIED},
        {"DROP TABLE pawl_log", PAWL_DENIED},
        {"ALTER TABLE pawl_log ADD COLUMN x", PAWL_DENIED},
        {"CREATE TABLE pawl_mine(a)", PAWL_DENIED},
        {"CREATE INDEX mine ON pawl_log(run)", PAWL_DENIED},
        {"CREATE TABLE mine AS SELECT * FROM pawl_log", PAWL_DENIED},
        {"CREATE VIEW v AS SELECT 1", PAWL_DENIED},
        {"CREATE TEMP TABLE x(a)", PAWL_DENIED},
        {"CREATE TRIGGER g AFTER INSERT ON mine BEGIN SELECT 1; END", PAWL_DENIED},
        {"CREATE VIRTUAL TABLE f USING fts5(a)", PAWL_DENIED},
        {"ATTACH ':memory:' AS other", PAWL_DENIED},
        {"PRAGMA synchronous=OFF", PAWL_DENIED},
        {"PRAGMA journal_mode=DELETE", PAWL_DENIED},
        {"BEGIN", PAWL_DENIED},
        {"COMMIT", PAWL_DENIED},
        {"ROLLBACK", PAWL_DENIED},
        {"SAVEPOINT x", PAWL_DENIED},
        {"ROLLBACK TO pawl_step", PAWL_DENIED},
        {"RELEASE pawl_step", PAWL_DENIED},
        {"VACUUM", PAWL_DENIED},
        {"ANALYZE", PAWL_DENIED},
        {"UPDATE sqlite_schema SET sql='x'", PAWL_DENIED},
        {"SELECT load_extension('x')", PAWL_DENIED},
        {"SELECT 1; SELECT 2", PAWL_INVALID},
        {"", PAWL_INVALID},
        {"SELECT ?1", PAWL_INVALID},
        {"no sql at all", PAWL_INVALID},
        {"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT count(*) FROM c",
         PAWL_LIMIT},
    };
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    step make = {.sql = {"CREATE TABLE mine(a)"}};
    assert_int_equal(commit_step(t, &a, &make), PAWL_OK);
    for (size_t i = 0; i < PW_COUNT(refused); i++) {
        step s = {.sql = {refused[i].sql}};
        assert_int_equal(commit_step(t, &a, &s), PAWL_OK);
        if (s.status == PAWL_OK || (s.status != refused[i].status && s.status != PAWL_INVALID)) {
            fail_msg("%s: status %d (%s), expected %d", refused[i].sql, s.status, s.message,
                     refused[i].status);
        }
    }
    rig_history h;
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    rig_close(t);
}

static void parameters_that_sql_cannot_hold_are_invalid(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    step s = {.sql = {"SELECT ?1"}, .params = pawl_build(t->scope, "[[1]]")};
    assert_int_equal(commit_step(t, &a, &s), PAWL_OK);
    assert_int_equal(s.status, PAWL_INVALID);
    step few = {.sql = {"SELECT ?1, ?2"}, .params = pawl_build(t->scope, "[1]")};
    assert_int_equal(commit_step(t, &a, &few), PAWL_OK);
    assert_int_equal(few.status, PAWL_INVALID);
    rig_close(t);
}

static void the_journal_in_memory_refuses_transactional_steps(void **state)
{
    (void)state;
    rig *t = rig_open("memory");
    rig_run a = rig_start(t, "a");
    step s = {.query = NULL};
    assert_int_equal(t->j->ops->caps & PW_CAP_TX, 0);
    assert_int_equal(commit_step(t, &a, &s), PAWL_NOT);
    assert_int_equal(s.runs, 0);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_writes_its_own_tables_in_the_turns_commit),
        cmocka_unit_test(a_failed_step_is_undone_alone_and_its_failure_recorded),
        cmocka_unit_test(a_step_in_a_refused_group_leaves_nothing),
        cmocka_unit_test(what_a_step_may_not_do_is_refused_and_named),
        cmocka_unit_test(parameters_that_sql_cannot_hold_are_invalid),
        cmocka_unit_test(the_journal_in_memory_refuses_transactional_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
