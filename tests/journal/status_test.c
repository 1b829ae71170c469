/*
 * status_test.c - what an operation says when the file is not as it should be, or no longer ours. Does not look at faults of the disk: tests/fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "journal/sqlite.h"
#include "tests/journal/rig.h"

/* ---- a table that is gone: every statement on it cannot even be made ---- */

static bool any_timer(void *ctx, const pw_timer_row *row)
{
    (void)ctx;
    (void)row;
    return true;
}

static bool any_entry(void *ctx, const pw_ledger_row *row)
{
    (void)ctx;
    (void)row;
    return true;
}

static bool any_budget(void *ctx, const pw_budget_row *row)
{
    (void)ctx;
    (void)row;
    return true;
}

static bool any_page(void *ctx, const pw_page_row *row)
{
    (void)ctx;
    (void)row;
    return true;
}

static void a_statement_that_cannot_be_made_is_damage_and_no_want_of_memory(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    const pw_journal_ops *ops = t->r->ops;
    const pw_view name = {(const uint8_t *)"goal:x", 6};
    int64_t id = 0;
    rig_run a = rig_start(t, "a");
    rig_tamper(t, "DROP TABLE pawl_timers; DROP TABLE pawl_ledger; DROP TABLE pawl_budgets;"
                  "DROP TABLE pawl_map_pages; DROP TABLE pawl_inbox");
    assert_int_equal(ops->run_timers(t->r, a.key, any_timer, NULL, &t->err), PAWL_DAMAGED);
    assert_int_equal(ops->ledger(t->r, a.key, true, any_entry, NULL, &t->err), PAWL_DAMAGED);
    assert_int_equal(ops->budgets(t->r, name, any_budget, NULL, &t->err), PAWL_DAMAGED);
    assert_int_equal(
        ops->map_pages(t->r, &(pw_page_range){a.key, 1, 0, 9, false}, any_page, NULL, &t->err),
        PAWL_DAMAGED);
    assert_non_null(strstr(t->err.message, "no such table"));
    t->r->ops->reader_close(t->r);
    t->j->ops->close(t->j);
    t->r = NULL;
    t->j = NULL;
    assert_int_equal(pw_sqlite_post(t->path, (pw_view){NULL, 0}, name, 1, &id, &t->err),
                     PAWL_DAMAGED);
    rig_close(t);
}

/* ---- another owner ---- */

static int64_t chunks(const rig *t)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(t->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM pawl_chunks", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return n;
}

/* [J4] */
static void an_owner_whose_epoch_is_over_sweeps_nothing(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    const uint8_t digest[PW_DIGEST_SIZE] = {1};
    uint64_t epoch = 0, group = 0;
    assert_int_equal(t->j->ops->stage(t->j, digest, 0, rig_text("a piece"), &t->err), PAWL_OK);
    rig_restart(t);
    assert_int_equal(chunks(t), 1); /* an orphan now */
    pw_journal *other = rig_second(t);
    assert_int_equal(other->ops->lease(other, &epoch, &group, &t->err), PAWL_OK);
    (void)t->j->ops->idle(t->j);
    assert_int_equal(chunks(t), 1);
    (void)other->ops->idle(other);
    assert_int_equal(chunks(t), 0);
    other->ops->close(other);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_that_cannot_be_made_is_damage_and_no_want_of_memory),
        cmocka_unit_test(an_owner_whose_epoch_is_over_sweeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
