/*
 * stored.c - the content of the stored journals.
 *
 * Runs 1 (closed, 12 turns), 2 (open, 3 turns, child of 1), 3 (open, never ran); a timer, a task,
 * a wait, a key, a map with one of its two items done, a snapshot, a small and a chunked blob, two nodes, an inbox
 * row and an outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/journal/stored.h"

static pw_view chunked_bytes(rig *t)
{
    size_t size = 150; /* chunks may be small, and stored files should be */
    uint8_t *bytes = pw_alloc(t->scope, size);
    assert_non_null(bytes);
    memset(bytes, 'z', size);
    return (pw_view){bytes, size};
}

static void digest_of(rig *t, pw_view body, uint8_t ret[PW_DIGEST_SIZE])
{
    uint8_t key[PW_KEY_SIZE];
    t->r->ops->blob_key(t->r, key);
    pw_blob_digest(ret, key, body.data, body.size);
}

static void node_ids(rig *t, uint8_t ret[2][PW_DIGEST_SIZE])
{
    uint8_t key[PW_KEY_SIZE];
    uint8_t root[PW_DIGEST_SIZE] = {0};
    t->r->ops->blob_key(t->r, key);
    pw_node_id(ret[0], key, root, rig_text("system"));
    pw_node_id(ret[1], key, ret[0], rig_text("user"));
}

static void fill_rows(rig *t)
{
    uint8_t ids[2][PW_DIGEST_SIZE];
    uint8_t digest[PW_DIGEST_SIZE];
    rig_op(t, PW_OP_TIMER_SET)->u.timer = (pw_timer_row){500, 2, 1, 1};
    rig_op(t, PW_OP_TASK_PUT)->u.task =
        (pw_task_row){.run = 2, .cmd = 2, .attempt = 3, .name = rig_text("build")};
    rig_op(t, PW_OP_WAIT_PUT)->u.wait =
        (pw_wait_row){2, 3, rig_text("approve"), rig_text("approval"), 1, 2, rig_text("b")};
    pw_op *op = rig_op(t, PW_OP_KEY_PUT);
    op->u.kv.run = 2;
    op->u.kv.key = rig_text("state");
    op->u.kv.value = rig_text("v");
    rig_op(t, PW_OP_MAP_PUT)->u.map = (pw_map_row){2, 4, 2, 1, 0, rig_text("m")};
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 2, 4, 0, 0, "0");
    op = rig_op(t, PW_OP_SNAPSHOT_PUT);
    op->u.snapshot.run = 2;
    op->u.snapshot.seq = 2;
    op->u.snapshot.body = rig_text("snap");
    node_ids(t, ids);
    for (int i = 0; i < 2; i++) {
        op = rig_op(t, PW_OP_NODE_PUT);
        memcpy(op->u.node.id, ids[i], PW_DIGEST_SIZE);
        if (i == 1) {
            memcpy(op->u.node.parent, ids[0], PW_DIGEST_SIZE);
        }
        op->u.node.depth = i;
        op->u.node.body = rig_text(i == 0 ? "system" : "user");
    }
    digest_of(t, rig_text("small blob"), digest);
    op = rig_op(t, PW_OP_BLOB_PUT);
    memcpy(op->u.blob.digest, digest, PW_DIGEST_SIZE);
    op->u.blob.body = rig_text("small blob");
    rig_op(t, PW_OP_INBOX_PUT)->u.inbox = (pw_inbox_row){0, 5, rig_text("d1"), rig_text("body")};
    op = rig_op(t, PW_OP_OUTCOME_PUT);
    op->u.take.dedup = rig_text("d0");
    op->u.take.outcome = (pw_outcome){PAWL_EXISTS, 6, rig_text("reply")};
    assert_int_equal(rig_commit(t), PAWL_OK);
}

void stored_fill(rig *t)
{
    uint8_t digest[PW_DIGEST_SIZE];
    pw_view big = chunked_bytes(t);
    rig_run one = rig_start(t, "one");
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rig_turn(t, &one, 1 + i % 3, "turn"), PAWL_OK);
    }
    assert_int_equal(rig_finish(t, &one), PAWL_OK);
    rig_run two = {.key = ++t->key};
    rig_op_create(t, two.key, "two")->u.run.parent_key = one.key;
    rig_op_turn(t, &two, 1, "start");
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_moved(t, 1, &two);
    assert_int_equal(rig_turn(t, &two, 1, "a"), PAWL_OK);
    assert_int_equal(rig_turn(t, &two, 2, "b"), PAWL_OK);
    rig_op_create(t, ++t->key, "three");
    assert_int_equal(rig_commit(t), PAWL_OK);
    fill_rows(t);
    digest_of(t, big, digest);
    assert_int_equal(t->j->ops->stage(t->j, digest, 0, (pw_view){big.data, 100}, &t->err), PAWL_OK);
    assert_int_equal(t->j->ops->stage(t->j, digest, 1, (pw_view){big.data + 100, 50}, &t->err),
                     PAWL_OK);
    pw_op *op = rig_op(t, PW_OP_BLOB_PUT);
    memcpy(op->u.blob.digest, digest, PW_DIGEST_SIZE);
    op->u.blob.body = (pw_view){NULL, big.size};
    assert_int_equal(rig_commit(t), PAWL_OK);
}

/* ---- checking ---- */

#define COUNTER(name, type)                      \
    static bool name(void *ctx, const type *row) \
    {                                            \
        (void)row;                               \
        ++*(int *)ctx;                           \
        return true;                             \
    }
COUNTER(count_run, pw_run_row)
COUNTER(count_timer, pw_timer_row)
COUNTER(count_task, pw_task_row)
COUNTER(count_wait, pw_wait_row)
COUNTER(count_map, pw_map_row)
COUNTER(count_page, pw_page_row)
COUNTER(count_inbox, pw_inbox_row)

static bool count_key(void *ctx, pw_view key, pw_view value)
{
    assert_true(pw_view_is(key, "state"));
    assert_true(pw_view_is(value, "v"));
    ++*(int *)ctx;
    return true;
}

static void check_histories(rig *t)
{
    rig_history h;
    assert_int_equal(rig_read(t, 1, 0, &h), PAWL_OK);
    assert_int_equal(h.records, 12);
    assert_int_equal(h.events, 21);
    assert_int_equal(rig_read(t, 2, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start a b ");
    assert_int_equal(rig_read(t, 3, 0, &h), PAWL_OK);
    assert_int_equal(h.records, 0);
}

static void check_lists(rig *t)
{
    const pw_journal_ops *ops = t->r->ops;
    pw_scan all = {0};
    pw_scan open = {.open_only = true};
    int rows = 0;
    assert_int_equal(ops->run_scan(t->r, &all, count_run, &rows, &t->err), PAWL_OK);
    assert_int_equal(rows, 3);
    assert_int_equal(ops->run_scan(t->r, &open, count_run, &rows, &t->err), PAWL_OK);
    assert_int_equal(rows, 5);
    assert_int_equal(ops->run_children(t->r, 1, count_run, &rows, &t->err), PAWL_OK);
    assert_int_equal(rows, 6);
    rows = 0;
    assert_int_equal(ops->timers(t->r, 1000, NULL, 0, count_timer, &rows, &t->err), PAWL_OK);
    assert_int_equal(ops->tasks(t->r, 2, count_task, &rows, &t->err), PAWL_OK);
    assert_int_equal(ops->waits(t->r, 2, count_wait, &rows, &t->err), PAWL_OK);
    assert_int_equal(ops->maps(t->r, 2, count_map, &rows, &t->err), PAWL_OK);
    assert_int_equal(
        ops->map_pages(t->r, &(pw_page_range){2, 4, 0, 9, false}, count_page, &rows, &t->err),
        PAWL_OK);
    assert_int_equal(ops->keys(t->r, 2, rig_text(""), count_key, &rows, &t->err), PAWL_OK);
    assert_int_equal(ops->inbox(t->r, 0, 0, count_inbox, &rows, &t->err), PAWL_OK);
    assert_int_equal(rows, 7);
}

static void check_things(rig *t)
{
    const pw_journal_ops *ops = t->r->ops;
    uint8_t ids[2][PW_DIGEST_SIZE];
    uint8_t digest[PW_DIGEST_SIZE];
    uint8_t parent[PW_DIGEST_SIZE];
    pw_outcome o;
    int64_t seq = 0;
    pw_buf b = PW_BUF_INIT;
    pw_view big = chunked_bytes(t);
    assert_int_equal(ops->snapshot(t->r, 2, &seq, &b, &t->err), PAWL_OK);
    assert_int_equal(seq, 2);
    pw_buf_reset(&b);
    node_ids(t, ids);
    assert_int_equal(ops->node(t->r, ids[1], parent, &b, &t->err), PAWL_OK);
    assert_memory_equal(parent, ids[0], PW_DIGEST_SIZE);
    pw_buf_reset(&b);
    digest_of(t, rig_text("small blob"), digest);
    assert_int_equal(ops->blob(t->r, digest, &b, &t->err), PAWL_OK);
    pw_buf_reset(&b);
    digest_of(t, big, digest);
    assert_int_equal(ops->blob(t->r, digest, &b, &t->err), PAWL_OK);
    assert_int_equal(b.size, big.size);
    pw_buf_reset(&b);
    assert_int_equal(ops->outcome(t->r, rig_text("d0"), &b, &o, &t->err), PAWL_OK);
    assert_int_equal(o.status, PAWL_EXISTS);
    pw_buf_deinit(&b);
}

void stored_check(rig *t)
{
    check_histories(t);
    check_lists(t);
    check_things(t);
}
