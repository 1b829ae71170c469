/*
 * query_test.c - people's SQL on a journal: pawl_events, and nothing that writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/journal/stored.h"

typedef struct answer {
    int rows;
    int64_t first;  /* first column of the last row, when it is a number */
    char text[200]; /* first column of the last row, when it is text */
} answer;

static bool note_row(void *ctx, pw_view row)
{
    answer *a = ctx;
    pw_mp r = pw_mp_reader(row.data, row.size);
    a->rows++;
    (void)pw_mp_read_map(&r);
    (void)pw_mp_read_str(&r);
    if (pw_mp_peek(&r) == PAWL_INT) {
        a->first = pw_mp_read_int(&r);
    } else if (pw_mp_peek(&r) == PAWL_STRING) {
        pw_view text = pw_mp_read_str(&r);
        snprintf(a->text, sizeof(a->text), "%.*s", (int)text.size, (const char *)text.data);
    }
    assert_true(pw_mp_ok(&r));
    return true;
}

static pawl_status ask(rig *t, const char *sql, answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    pawl_status st = pw_sqlite_query(t->path, sql, note_row, ret, &t->err);
    if (st != PAWL_OK) {
        print_message("%s: %s\n", sql, t->err.message);
    }
    return st;
}

static void pawl_events_gives_every_event_with_its_body_as_json(void **state)
{
    (void)state;
    answer a;
    rig *t = rig_open("sqlite");
    stored_fill(t);
    assert_int_equal(ask(t, "SELECT seq FROM pawl_events('one') ORDER BY seq", &a), PAWL_OK);
    assert_int_equal(a.rows, 21);
    assert_int_equal(a.first, 21);
    assert_int_equal(ask(t, "SELECT body FROM pawl_events WHERE run='two' AND seq=2", &a), PAWL_OK);
    assert_string_equal(a.text, "{\"t\":\"a\"}");
    assert_int_equal(ask(t, "SELECT type FROM pawl_events WHERE key=2 AND seq=4", &a), PAWL_OK);
    assert_string_equal(a.text, "KeySet");
    assert_int_equal(ask(t, "SELECT count(*) FROM pawl_events", &a), PAWL_OK);
    assert_int_equal(a.first, 25);
    assert_int_equal(ask(t, "SELECT max(time) FROM pawl_events('none')", &a), PAWL_OK);
    assert_int_equal(
        ask(t, "SELECT count(*) FROM pawl_runs r JOIN pawl_events e ON e.run = r.id", &a), PAWL_OK);
    assert_int_equal(a.first, 25);
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = 1;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(ask(t, "SELECT count(*) FROM pawl_events('one')", &a), PAWL_OK);
    assert_int_equal(a.first, 21);
    rig_close(t);
}

static void a_long_history_is_read_in_batches(void **state)
{
    (void)state;
    answer a;
    rig *t = rig_open("sqlite");
    rig_run run = rig_start(t, "long");
    char text[1200];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 300; i++) {
        assert_int_equal(rig_turn(t, &run, 2, text), PAWL_OK);
    }
    assert_int_equal(ask(t, "SELECT sum(seq) FROM pawl_events('long')", &a), PAWL_OK);
    assert_int_equal(a.first, 601 * 602 / 2);
    rig_close(t);
}

static void nothing_that_writes_is_run(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "DELETE FROM pawl_log",
        "UPDATE pawl_owner SET epoch=9",
        "CREATE TABLE x(a)",
        "PRAGMA query_only=0",
        "PRAGMA journal_mode=DELETE",
        "ATTACH ':memory:' AS x",
        "VACUUM",
        "BEGIN",
        "INSERT INTO pawl_meta VALUES('x','y')",
        "SELECT load_extension('x')",
        "WITH x AS (SELECT 1) DELETE FROM pawl_log",
    };
    answer a;
    rig *t = rig_open("sqlite");
    stored_fill(t);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        pawl_status st = ask(t, refused[i], &a);
        if (st != PAWL_DENIED && st != PAWL_INVALID) {
            fail_msg("%s: %d %s", refused[i], st, t->err.message);
        }
    }
    assert_int_equal(ask(t, "SELECT 1; SELECT 2", &a), PAWL_INVALID);
    assert_int_equal(ask(t, "", &a), PAWL_INVALID);
    assert_int_equal(ask(t, "SELECT nonsense FROM nowhere", &a), PAWL_INVALID);
    stored_check(t);
    rig_close(t);
}

static void a_damaged_record_ends_the_query_with_an_error(void **state)
{
    (void)state;
    answer a;
    rig *t = rig_open("sqlite");
    rig_run run = rig_start(t, "a");
    assert_int_equal(rig_turn(t, &run, 1, "x"), PAWL_OK);
    assert_int_equal(ask(t, "SELECT count(*) FROM pawl_events('a')", &a), PAWL_OK);
    t->r->ops->reader_close(t->r);
    t->j->ops->close(t->j);
    t->r = NULL;
    t->j = NULL;
    rig_tamper(t, "UPDATE pawl_log SET sum=sum+1 WHERE seq=1");
    assert_int_not_equal(ask(t, "SELECT count(*) FROM pawl_events('a')", &a), PAWL_OK);
    assert_non_null(strstr(t->err.message, "checksum"));
    assert_int_equal(ask(t, "SELECT count(*) FROM pawl_log", &a), PAWL_OK);
    assert_int_equal(pw_sqlite_query("/nowhere/x.db", "SELECT 1", note_row, &a, &t->err),
                     PAWL_NOTFOUND);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pawl_events_gives_every_event_with_its_body_as_json),
        cmocka_unit_test(a_long_history_is_read_in_batches),
        cmocka_unit_test(nothing_that_writes_is_run),
        cmocka_unit_test(a_damaged_record_ends_the_query_with_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
