/*
 * conformance_test.c - turns, groups, runs, compaction: what every backend must do with them. Run
 * once per backend: journal_conformance sqlite|memory. Does not test the smaller rows:
 * conformance_rows_test.c does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/journal/rig.h"

static const char *backend_of(void **state)
{
    return *state;
}
#define OPEN() rig *t = rig_open(backend_of(state))

/* ---- turns ---- */

static void a_turn_that_was_acked_is_read_back_in_order(void **state)
{
    OPEN();
    rig_history h;
    rig_run a = rig_start(t, "a");
    assert_int_equal(rig_turn(t, &a, 3, "one"), PAWL_OK);
    assert_int_equal(rig_turn(t, &a, 2, "two"), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_int_equal(h.records, 3);
    assert_int_equal(h.events, 6);
    assert_string_equal(h.texts, "start one two ");
    rig_close(t);
}

static void reading_from_an_event_gives_the_record_that_holds_it_and_the_rest(void **state)
{
    OPEN();
    rig_history h;
    rig_run a = rig_start(t, "a");                        /* 0 */
    assert_int_equal(rig_turn(t, &a, 3, "one"), PAWL_OK); /* 1 2 3 */
    assert_int_equal(rig_turn(t, &a, 2, "two"), PAWL_OK); /* 4 5 */
    assert_int_equal(rig_read(t, a.key, 1, &h), PAWL_OK);
    assert_string_equal(h.texts, "one two ");
    assert_int_equal(rig_read(t, a.key, 3, &h), PAWL_OK);
    assert_string_equal(h.texts, "one two ");
    assert_int_equal(h.first_seq, 1);
    assert_int_equal(rig_read(t, a.key, 4, &h), PAWL_OK);
    assert_string_equal(h.texts, "two ");
    assert_int_equal(rig_read(t, a.key, 6, &h), PAWL_OK);
    assert_int_equal(h.records, 0);
    assert_int_equal(rig_read(t, 99, 0, &h), PAWL_NOTFOUND);
    rig_close(t);
}

static void a_turn_at_the_wrong_sequence_number_lands_nothing_of_its_group(void **state)
{
    OPEN();
    rig_history h;
    rig_run a = rig_start(t, "a");
    rig_run b = rig_start(t, "b");
    rig_run stale = a;
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_OK);
    rig_op_turn(t, &b, 1, "would land");
    rig_op_turn(t, &stale, 1, "again");
    assert_int_equal(rig_commit(t), PAWL_CONFLICT); /* [J3] */
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start one "); /* [J2] */
    assert_int_equal(rig_read(t, b.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start ");
    assert_int_equal(rig_turn(t, &b, 1, "now"), PAWL_OK);
    rig_close(t);
}

static void a_turn_on_another_chain_is_a_conflict(void **state)
{
    OPEN();
    rig_run a = rig_start(t, "a");
    rig_run fork = a;
    fork.chain[5] ^= 1;
    assert_int_equal(rig_turn(t, &fork, 1, "fork"), PAWL_CONFLICT);
    fork = a;
    fork.key = 77;
    assert_int_equal(rig_turn(t, &fork, 1, "nobody"), PAWL_CONFLICT);
    assert_int_equal(rig_turn(t, &a, 1, "one"), PAWL_OK);
    rig_close(t);
}

static void the_chain_is_the_hash_of_what_came_before(void **state)
{
    OPEN();
    uint8_t chain[PW_DIGEST_SIZE] = {0};
    rig_run a = rig_start(t, "a");
    pw_view record = rig_record(t->scope, 1, "start");
    pw_chain_next(chain, chain, record.data, record.size);
    assert_memory_equal(chain, a.chain, PW_DIGEST_SIZE); /* [J8] */
    rig_close(t);
}

static void an_empty_or_oversized_turn_is_refused(void **state)
{
    OPEN();
    rig_run a = rig_start(t, "a");
    pw_op *op = rig_op_turn(t, &a, 1, "x");
    op->u.turn.events = 0;
    assert_int_equal(rig_commit(t), PAWL_NOT);
    op = rig_op_turn(t, &a, 1, "x");
    op->u.turn.record.size = (size_t)PW_RECORD_BYTES_MAX + 1;
    assert_int_equal(rig_commit(t), PAWL_NOT);
    assert_int_equal(rig_turn(t, &a, 1, "y"), PAWL_OK);
    rig_close(t);
}

static bool keep_row(void *ctx, const pw_run_row *row)
{
    pw_run_row *kept = ctx;
    *kept = *row;
    kept->reason = (pw_view){NULL, row->reason.size};
    assert_true(pw_view_is(row->id, "a"));
    assert_true(pw_view_is(row->workflow, "test"));
    return true;
}

static void a_turn_writes_its_half_of_the_run_row_and_no_more(void **state)
{
    OPEN();
    pw_run_row row;
    rig_run a = rig_start(t, "a");
    pw_op *op = rig_op_turn(t, &a, 4, "x");
    op->u.turn.row.reason = rig_text("because");
    op->u.turn.row.progress_done = 3;
    op->u.turn.row.progress_total = 9;
    op->u.turn.row.crashes = 2;
    op->u.turn.row.unread = 5;
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_moved(t, 0, &a);
    assert_int_equal(t->r->ops->run_get(t->r, a.key, keep_row, &row, &t->err), PAWL_OK);
    assert_int_equal(row.created_ms, 1001);
    assert_int_equal(row.seq, 5);
    assert_int_equal(row.reason.size, 7);
    assert_int_equal(row.progress_done, 3);
    assert_int_equal(row.progress_total, 9);
    assert_int_equal(row.crashes, 2);
    assert_int_equal(row.unread, 5);
    assert_int_equal(row.closed_ms, 0);
    assert_true(row.build == 0xf000000000000001u);
    assert_memory_equal(row.chain, a.chain, PW_DIGEST_SIZE);
    rig_close(t);
}

/* ---- groups, epochs, outcomes ---- */

static void a_stale_epoch_lands_nothing(void **state)
{
    OPEN();
    uint64_t epoch = 0;
    uint64_t number = 0;
    rig_history h;
    rig_run a = rig_start(t, "a");
    pw_journal *second = rig_second(t);
    assert_int_equal(second->ops->lease(second, &epoch, &number, &t->err), PAWL_OK);
    assert_true(epoch > t->epoch);
    assert_true(number == t->number);
    assert_int_equal(t->j->ops->renew(t->j, t->epoch, &t->err), PAWL_FENCED);
    assert_int_equal(second->ops->renew(second, epoch, &t->err), PAWL_OK);
    assert_int_equal(rig_turn(t, &a, 1, "late"), PAWL_FENCED); /* [J4] */
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start ");
    second->ops->close(second);
    rig_close(t);
}

static void a_group_that_landed_cannot_land_again(void **state)
{
    OPEN();
    rig_start(t, "a");
    rig_op_create(t, 50, "b");
    t->number--;
    assert_int_equal(rig_commit(t), PAWL_CONFLICT); /* [J5] */
    t->number += 2;
    rig_op_create(t, 51, "c");
    assert_int_equal(rig_commit(t), PAWL_CONFLICT);
    rig_close(t);
}

static void the_epoch_grows_with_each_lease_and_the_group_number_goes_on(void **state)
{
    OPEN();
    rig_run a = rig_start(t, "a");
    uint64_t epoch = t->epoch;
    uint64_t number = t->number;
    rig_restart(t);
    assert_true(t->epoch == epoch + 1);
    assert_true(t->number == number);
    assert_int_equal(rig_turn(t, &a, 1, "after"), PAWL_OK);
    rig_close(t);
}

static void everything_acked_is_there_after_a_restart(void **state)
{
    OPEN();
    rig_history h;
    rig_run runs[20];
    for (int i = 0; i < 20; i++) {
        char id[20];
        snprintf(id, sizeof(id), "run-%d", i);
        runs[i] = rig_start(t, id);
        assert_int_equal(rig_turn(t, &runs[i], 2, "x"), PAWL_OK);
    }
    rig_restart(t);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rig_read(t, runs[i].key, 0, &h), PAWL_OK);
        assert_int_equal(h.events, 3);
    }
    rig_close(t);
}

static void a_run_key_is_given_once(void **state)
{
    OPEN();
    rig_start(t, "a");
    rig_op_create(t, 1, "b");
    assert_int_equal(rig_commit(t), PAWL_CONFLICT);
    rig_close(t);
}

/* ---- runs ---- */

static bool add_key(void *ctx, const pw_run_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld ", (long long)row->key);
    return true;
}

static void the_newest_run_of_an_id_is_found(void **state)
{
    OPEN();
    char keys[200] = "";
    rig_start(t, "a");
    rig_start(t, "b");
    rig_start(t, "a");
    rig_start(t, "ab");
    assert_int_equal(t->r->ops->run_find(t->r, rig_text("a"), add_key, keys, &t->err), PAWL_OK);
    assert_string_equal(keys, "3 ");
    assert_int_equal(t->r->ops->run_find(t->r, rig_text("zz"), add_key, keys, &t->err),
                     PAWL_NOTFOUND);
    assert_int_equal(t->r->ops->run_get(t->r, 9, add_key, keys, &t->err), PAWL_NOTFOUND);
    int64_t max = 0;
    assert_int_equal(t->r->ops->key_max(t->r, &max, &t->err), PAWL_OK);
    assert_int_equal(max, 4);
    rig_close(t);
}

static void scan(rig *t, pw_scan filter, const char *expected)
{
    char keys[200] = "";
    assert_int_equal(t->r->ops->run_scan(t->r, &filter, add_key, keys, &t->err), PAWL_OK);
    assert_string_equal(keys, expected);
}

static void a_scan_goes_from_the_newest_and_filters_and_pages(void **state)
{
    OPEN();
    rig_start(t, "aa");
    rig_run b = rig_start(t, "ab");
    rig_start(t, "b");
    rig_start(t, "ab-2");
    assert_int_equal(rig_finish(t, &b), PAWL_OK);
    scan(t, (pw_scan){0}, "4 3 2 1 ");
    scan(t, (pw_scan){.rows_max = 2}, "4 3 ");
    scan(t, (pw_scan){.rows_max = 2, .before_key = 3}, "2 1 ");
    scan(t, (pw_scan){.open_only = true}, "4 3 1 ");
    scan(t, (pw_scan){.id_prefix = rig_text("ab")}, "4 2 ");
    scan(t, (pw_scan){.id_prefix = rig_text("ab"), .open_only = true}, "4 ");
    scan(t, (pw_scan){.id_prefix = rig_text("a"), .before_key = 4}, "2 1 ");
    scan(t, (pw_scan){.id_prefix = rig_text("x")}, "");
    rig_close(t);
}

static void a_closed_run_can_be_opened_again(void **state)
{
    OPEN();
    rig_run a = rig_start(t, "a");
    assert_int_equal(rig_finish(t, &a), PAWL_OK);
    scan(t, (pw_scan){.open_only = true}, "");
    assert_int_equal(rig_turn(t, &a, 1, "retried"), PAWL_OK);
    scan(t, (pw_scan){.open_only = true}, "1 ");
    rig_close(t);
}

static void children_are_listed_by_their_parent(void **state)
{
    OPEN();
    char keys[200] = "";
    rig_start(t, "parent");
    rig_op_create(t, 11, "c1")->u.run.parent_key = 1;
    rig_op_create(t, 12, "c2")->u.run.parent_key = 1;
    rig_op_create(t, 13, "other")->u.run.parent_key = 2;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->run_children(t->r, 1, add_key, keys, &t->err), PAWL_OK);
    assert_string_equal(keys, "11 12 ");
    rig_close(t);
}

static void a_crash_count_is_kept_without_a_turn(void **state)
{
    OPEN();
    pw_run_row row;
    rig_run a = rig_start(t, "a");
    pw_op *op = rig_op(t, PW_OP_RUN_CRASHES);
    op->u.run.key = a.key;
    op->u.run.crashes = 2;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->run_get(t->r, a.key, keep_row, &row, &t->err), PAWL_OK);
    assert_int_equal(row.crashes, 2);
    assert_int_equal(row.seq, 1);
    assert_int_equal(rig_turn(t, &a, 1, "x"), PAWL_OK);
    rig_close(t);
}

/* ---- compaction ---- */

static void set_timer(rig *t, pw_op_type type, int64_t due, int64_t run, int64_t cmd, int kind)
{
    rig_op(t, type)->u.timer = (pw_timer_row){due, run, cmd, kind};
}

static bool add_timer(void *ctx, const pw_timer_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld/%lld/%lld/%d ", (long long)row->due_ms,
             (long long)row->run, (long long)row->cmd, row->kind);
    return true;
}

static bool add_task(void *ctx, const pw_task_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld/%lld/%lld %.*s %.*s|", (long long)row->run,
             (long long)row->cmd, (long long)row->attempt, (int)row->name.size,
             (const char *)row->name.data, (int)row->detail.size, (const char *)row->detail.data);
    return true;
}

static void put_task(rig *t, int64_t run, int64_t cmd, int64_t attempt, const char *detail)
{
    pw_task_row *row = &rig_op(t, PW_OP_TASK_PUT)->u.task;
    row->run = run;
    row->cmd = cmd;
    row->attempt = attempt;
    row->name = rig_text("build");
    row->queue = rig_text("q");
    row->detail = rig_text(detail);
    row->body = rig_text("body");
}

static void a_compacted_run_reads_as_before(void **state)
{
    OPEN();
    rig_history before;
    rig_history after;
    char out[200] = "";
    rig_run a = rig_start(t, "a");
    rig_run other = rig_start(t, "other");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(rig_turn(t, &a, 2, i % 2 == 0 ? "x" : "y"), PAWL_OK);
    }
    set_timer(t, PW_OP_TIMER_SET, 5, a.key, 1, 1);
    set_timer(t, PW_OP_TIMER_SET, 5, other.key, 1, 1);
    put_task(t, a.key, 1, 1, "d");
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = a.key;
    assert_int_equal(rig_commit(t), PAWL_CONFLICT); /* open */
    assert_int_equal(rig_finish(t, &a), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &before), PAWL_OK);
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = a.key;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(rig_read(t, a.key, 50, &after), PAWL_OK);
    assert_int_equal(after.first_seq, 49);
    assert_int_equal(t->r->ops->tasks(t->r, 0, add_task, out, &t->err), PAWL_OK);
    assert_string_equal(out, "");
    assert_int_equal(t->r->ops->timers(t->r, 100, NULL, 0, add_timer, out, &t->err), PAWL_OK);
    assert_string_equal(out, "5/2/1/1 ");
    /* a compacted run may go on, and be compacted again */
    assert_int_equal(rig_turn(t, &a, 1, "retried"), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_int_equal(after.records, before.records + 1);
    assert_int_equal(rig_finish(t, &a), PAWL_OK);
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = a.key;
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_int_equal(after.records, before.records + 2);
    rig_restart(t);
    assert_int_equal(rig_read(t, a.key, 0, &after), PAWL_OK);
    assert_int_equal(rig_read(t, other.key, 0, &after), PAWL_OK);
    rig_close(t);
}

/* ---- reading while reading ---- */

typedef struct nested {
    rig *t;
    int depth;
    int runs;
} nested;

static bool read_inside(void *ctx, const pw_run_row *row)
{
    nested *n = ctx;
    rig_history h;
    assert_int_equal(rig_read(n->t, row->key, 0, &h), PAWL_OK);
    n->runs++;
    if (n->depth++ == 0) {
        pw_scan all = {0};
        assert_int_equal(n->t->r->ops->run_scan(n->t->r, &all, read_inside, n, &n->t->err),
                         PAWL_OK);
    }
    return true;
}

static void reads_nest_in_row_callbacks(void **state)
{
    OPEN();
    rig_start(t, "a");
    rig_start(t, "b");
    nested n = {t, 0, 0};
    pw_scan all = {0};
    assert_int_equal(t->r->ops->run_scan(t->r, &all, read_inside, &n, &t->err), PAWL_OK);
    assert_int_equal(n.runs, 4);
    rig_close(t);
}

static bool stop_at_once(void *ctx, const pw_run_row *row)
{
    (void)row;
    ++*(int *)ctx;
    return false;
}

static void a_callback_that_returns_false_ends_the_list(void **state)
{
    OPEN();
    int rows = 0;
    pw_scan all = {0};
    rig_start(t, "a");
    rig_start(t, "b");
    assert_int_equal(t->r->ops->run_scan(t->r, &all, stop_at_once, &rows, &t->err), PAWL_OK);
    assert_int_equal(rows, 1);
    rig_close(t);
}

int main(int argc, char **argv)
{
    char *backend = argc > 1 ? argv[1] : (char[]){"sqlite"};
    struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_that_was_acked_is_read_back_in_order),
        cmocka_unit_test(reading_from_an_event_gives_the_record_that_holds_it_and_the_rest),
        cmocka_unit_test(a_turn_at_the_wrong_sequence_number_lands_nothing_of_its_group),
        cmocka_unit_test(a_turn_on_another_chain_is_a_conflict),
        cmocka_unit_test(the_chain_is_the_hash_of_what_came_before),
        cmocka_unit_test(an_empty_or_oversized_turn_is_refused),
        cmocka_unit_test(a_turn_writes_its_half_of_the_run_row_and_no_more),
        cmocka_unit_test(a_stale_epoch_lands_nothing),
        cmocka_unit_test(a_group_that_landed_cannot_land_again),
        cmocka_unit_test(the_epoch_grows_with_each_lease_and_the_group_number_goes_on),
        cmocka_unit_test(everything_acked_is_there_after_a_restart),
        cmocka_unit_test(a_run_key_is_given_once),
        cmocka_unit_test(the_newest_run_of_an_id_is_found),
        cmocka_unit_test(a_scan_goes_from_the_newest_and_filters_and_pages),
        cmocka_unit_test(a_closed_run_can_be_opened_again),
        cmocka_unit_test(children_are_listed_by_their_parent),
        cmocka_unit_test(a_crash_count_is_kept_without_a_turn),
        cmocka_unit_test(a_compacted_run_reads_as_before),
        cmocka_unit_test(reads_nest_in_row_callbacks),
        cmocka_unit_test(a_callback_that_returns_false_ends_the_list),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = backend;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
