/*
 * settings_test.c - the settings that keep a file whole are really in force: each is read back from the connection that has it, after
 * opening and after the rite. Does not test what they are for (fault tests do).
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

enum { SYNC_FULL = 2 };

static int64_t pragma(pw_db *db, const char *name)
{
    char sql[64];
    int64_t value = -1;
    pawl_error err;
    (void)snprintf(sql, sizeof sql, "PRAGMA %s", name);
    if (pw_db_int(db, sql, &value, &err) != PAWL_OK) {
        fail_msg("%s: %s", sql, err.message);
    }
    return value;
}

static int config(pw_db *db, int what)
{
    int value = -1;
    assert_int_equal(sqlite3_db_config(db->db, what, -1, &value), SQLITE_OK);
    return value;
}

static void both_have_these(pw_db *db)
{
    assert_int_equal(config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE), 1);
    assert_int_equal(config(db, SQLITE_DBCONFIG_DEFENSIVE), 1);
    assert_int_equal(config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA), 0);
    assert_int_equal(pragma(db, "wal_autocheckpoint"), 0); /* the owner counts frames itself */
    assert_int_equal(pragma(db, "page_size"), PW_SQLITE_PAGE_BYTES);
    assert_int_equal(pragma(db, "page_size"), 8192);
}

static void owner_has_these(rig *t)
{
    pw_db *db = &pw_sqlite_of(t->j)->db;
    char mode[8] = "";
    sqlite3_stmt *st = NULL;
    both_have_these(db);
    assert_int_equal(pragma(db, "synchronous"), SYNC_FULL); /* [J1] */
    assert_int_equal(pragma(db, "query_only"), 0);
    assert_int_equal(pragma(db, "mmap_size"), 0);
    assert_int_equal(sqlite3_prepare_v2(db->db, "PRAGMA journal_mode", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    (void)snprintf(mode, sizeof mode, "%s", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    assert_string_equal(mode, "wal");
}

static void reader_has_these(rig *t)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(t->r);
    pawl_error err;
    assert_int_equal(pw_reader_enter(r, &err), PAWL_OK); /* connects it again after the rite */
    both_have_these(&r->db);
    assert_int_equal(pragma(&r->db, "query_only"), 1);
    assert_int_equal(pw_db_exec(&r->db, "UPDATE pawl_owner SET epoch=epoch+1", &err),
                     PAWL_READONLY);
    assert_int_equal(pw_db_exec(&r->db, "CREATE TABLE mine(x)", &err), PAWL_READONLY);
    pw_reader_leave(r);
}

static void the_owner_and_its_readers_have_their_settings(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    owner_has_these(t);
    reader_has_these(t);
    rig_close(t);
}

static void after_the_rite_they_have_them_again(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    assert_int_equal(t->j->ops->reopen(t->j, &t->err), PAWL_OK);
    owner_has_these(t);
    reader_has_these(t);
    assert_int_equal(rig_turn(t, &a, 1, "x"), PAWL_OK);
    rig_close(t);
}

static void a_reader_without_an_owner_in_its_process_has_them_too(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_reader *own = t->r;
    pawl_error err;
    assert_int_equal(pw_sqlite_reader_open(t->path, &t->r, &err), PAWL_OK);
    reader_has_these(t);
    t->r->ops->reader_close(t->r);
    t->r = own;
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_and_its_readers_have_their_settings),
        cmocka_unit_test(after_the_rite_they_have_them_again),
        cmocka_unit_test(a_reader_without_an_owner_in_its_process_has_them_too),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
