/*
 * conformance_rows_test.c - timers, tasks, waits, keys, maps, snapshots, blobs, nodes, inbox: what
 * every backend must do with them. Run once per backend: journal_conformance_rows sqlite|memory.
 * Does not test turns: conformance_test.c does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/map_page.h"
#include "tests/journal/rig.h"

static const char *backend_of(void **state)
{
    return *state;
}
#define OPEN() rig *t = rig_open(backend_of(state))

/* ---- timers ---- */

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

static void timers_come_in_order_of_due_time_then_run_then_command(void **state)
{
    OPEN();
    char out[200] = "";
    set_timer(t, PW_OP_TIMER_SET, 300, 1, 1, 1);
    set_timer(t, PW_OP_TIMER_SET, 100, 2, 1, 1);
    set_timer(t, PW_OP_TIMER_SET, 100, 1, 2, 1);
    set_timer(t, PW_OP_TIMER_SET, 100, 1, 1, 2);
    set_timer(t, PW_OP_TIMER_SET, 100, 1, 1, 1);
    set_timer(t, PW_OP_TIMER_SET, 200, 1, 1, 1);
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->timers(t->r, 200, NULL, 0, add_timer, out, &t->err), PAWL_OK);
    assert_string_equal(out, "100/1/1/1 100/1/1/2 100/1/2/1 100/2/1/1 200/1/1/1 ");
    pw_timer_row after = {100, 1, 1, 2};
    out[0] = '\0';
    assert_int_equal(t->r->ops->timers(t->r, 300, &after, 2, add_timer, out, &t->err), PAWL_OK);
    assert_string_equal(out, "100/1/2/1 100/2/1/1 ");
    out[0] = '\0';
    assert_int_equal(t->r->ops->run_timers(t->r, 1, add_timer, out, &t->err), PAWL_OK);
    assert_string_equal(out, "100/1/1/1 100/1/1/2 100/1/2/1 200/1/1/1 300/1/1/1 ");
    rig_close(t);
}

static void clearing_an_absent_timer_is_not_an_error(void **state)
{
    OPEN();
    char out[200] = "";
    set_timer(t, PW_OP_TIMER_SET, 5, 1, 1, 1);
    set_timer(t, PW_OP_TIMER_SET, 5, 1, 1, 1);
    set_timer(t, PW_OP_TIMER_CLEAR, 6, 1, 1, 1);
    assert_int_equal(rig_commit(t), PAWL_OK);
    set_timer(t, PW_OP_TIMER_CLEAR, 5, 1, 1, 1);
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->timers(t->r, INT64_MAX, NULL, 0, add_timer, out, &t->err), PAWL_OK);
    assert_int_equal(t->r->ops->run_timers(t->r, 1, add_timer, out, &t->err), PAWL_OK);
    assert_string_equal(out, "");
    rig_close(t);
}

/* ---- tasks, waits, keys, maps ---- */

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

static void a_task_is_replaced_beaten_and_cleared(void **state)
{
    OPEN();
    char out[200] = "";
    put_task(t, 2, 1, 1, "d");
    put_task(t, 1, 2, 1, "d");
    put_task(t, 1, 1, 1, "d");
    assert_int_equal(rig_commit(t), PAWL_OK);
    put_task(t, 1, 1, 2, "e");
    pw_op *beat = rig_op(t, PW_OP_TASK_BEAT);
    beat->u.task = (pw_task_row){.run = 1, .cmd = 2, .detail = rig_text("half")};
    beat = rig_op(t, PW_OP_TASK_BEAT);
    beat->u.task = (pw_task_row){.run = 9, .cmd = 9, .detail = rig_text("gone")};
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->tasks(t->r, 0, add_task, out, &t->err), PAWL_OK);
    assert_string_equal(out, "1/1/2 build e|1/2/1 build half|2/1/1 build d|");
    pw_op *clear = rig_op(t, PW_OP_TASK_CLEAR);
    clear->u.task = (pw_task_row){.run = 1, .cmd = 1};
    assert_int_equal(rig_commit(t), PAWL_OK);
    out[0] = '\0';
    assert_int_equal(t->r->ops->tasks(t->r, 1, add_task, out, &t->err), PAWL_OK);
    assert_string_equal(out, "1/2/1 build half|");
    rig_close(t);
}

static bool add_wait(void *ctx, const pw_wait_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld/%lld %.*s %.*s %lld|", (long long)row->run,
             (long long)row->cmd, (int)row->name.size, (const char *)row->name.data,
             (int)row->kind.size, (const char *)row->kind.data, (long long)row->deadline_ms);
    return true;
}

static void a_wait_is_listed_until_it_is_cleared(void **state)
{
    OPEN();
    char out[200] = "";
    pw_wait_row *row = &rig_op(t, PW_OP_WAIT_PUT)->u.wait;
    *row = (pw_wait_row){1, 4, rig_text("approve"), rig_text("approval"), 10, 20, rig_text("b")};
    row = &rig_op(t, PW_OP_WAIT_PUT)->u.wait;
    *row = (pw_wait_row){2, 1, rig_text("ask"), rig_text("question"), 10, 0, rig_text("b")};
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->waits(t->r, 0, add_wait, out, &t->err), PAWL_OK);
    assert_string_equal(out, "1/4 approve approval 20|2/1 ask question 0|");
    rig_op(t, PW_OP_WAIT_CLEAR)->u.wait = (pw_wait_row){.run = 1, .cmd = 4};
    assert_int_equal(rig_commit(t), PAWL_OK);
    out[0] = '\0';
    assert_int_equal(t->r->ops->waits(t->r, 1, add_wait, out, &t->err), PAWL_OK);
    assert_string_equal(out, "");
    rig_close(t);
}

static bool add_pair(void *ctx, pw_view key, pw_view value)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%.*s=%.*s|", (int)key.size, (const char *)key.data,
             (int)value.size, (const char *)value.data);
    return true;
}

static void put_key(rig *t, int64_t run, const char *key, const char *value)
{
    pw_op *op = rig_op(t, PW_OP_KEY_PUT);
    op->u.kv.run = run;
    op->u.kv.key = rig_text(key);
    op->u.kv.value = rig_text(value);
}

static void keys_of_a_run_are_replaced_and_sorted(void **state)
{
    OPEN();
    char out[200] = "";
    put_key(t, 1, "b", "1");
    put_key(t, 1, "a", "2");
    put_key(t, 1, "b", "3");
    put_key(t, 2, "c", "4");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->keys(t->r, 1, rig_text(""), add_pair, out, &t->err), PAWL_OK);
    assert_string_equal(out, "a=2|b=3|");
    out[0] = '\0';
    assert_int_equal(t->r->ops->keys(t->r, 1, rig_text("b"), add_pair, out, &t->err), PAWL_OK);
    assert_int_equal(t->r->ops->keys(t->r, 1, rig_text("c"), add_pair, out, &t->err), PAWL_OK);
    assert_string_equal(out, "b=3|");
    rig_close(t);
}

static bool add_map(void *ctx, const pw_map_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld/%lld %lld of %lld|", (long long)row->run,
             (long long)row->cmd, (long long)row->done, (long long)row->total);
    return true;
}

static bool add_page(void *ctx, const pw_page_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    pw_page_head head;
    pw_page_item item;
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    used += (size_t)snprintf(out + used, 200 - used, "%lld.%lld:", (long long)row->page,
                             (long long)row->part);
    if (row->page == PW_MAP_PAGE_OPEN) {
        used += (size_t)snprintf(out + used, 200 - used, "%.*s", (int)row->head.size,
                                 (const char *)row->head.data);
    } else {
        assert_true(pw_page_head_read(row->head, &head));
        used += (size_t)snprintf(out + used, 200 - used, "%lld",
                                 (long long)pw_page_count(head.finished));
    }
    while (pw_page_item_next(&body, &item)) {
        used += (size_t)snprintf(out + used, 200 - used, " %lld%s", (long long)item.offset,
                                 pw_page_bit(head.failed, item.offset) ? "f" : "");
    }
    snprintf(out + used, 200 - used, "|");
    return true;
}

static void map_pages_are_read_in_order_and_outlive_their_row(void **state)
{
    OPEN();
    char out[200] = "";
    rig_op(t, PW_OP_MAP_PUT)->u.map = (pw_map_row){1, 3, 800, 0, 0, rig_text("m")};
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 2, 7, "5 6");
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 1, 2, "9 255f");
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 1, 0, "7");
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 1, 0, "7 8f"); /* replaces */
    rig_op(t, PW_OP_MAP_PAGE)->u.page =
        (pw_page_row){.run = 1, .cmd = 3, .page = -1, .head = rig_text("open")};
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 4, 1, 0, "1");
    rig_op(t, PW_OP_MAP_PROGRESS)->u.map = (pw_map_row){.run = 1, .cmd = 3, .done = 4, .failed = 2};
    rig_op(t, PW_OP_MAP_PROGRESS)->u.map = (pw_map_row){.run = 1, .cmd = 9, .done = 4};
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->maps(t->r, 0, add_map, out, &t->err), PAWL_OK);
    assert_string_equal(out, "1/3 4 of 800|");
    rig_restart(t);
    out[0] = '\0';
    assert_int_equal(
        t->r->ops->map_pages(t->r, &(pw_page_range){1, 3, 1, 1, false}, add_page, out, &t->err),
        PAWL_OK);
    assert_string_equal(out, "1.0:2 7 8f|1.2:2 9 255f|");
    rig_op(t, PW_OP_MAP_CLEAR)->u.map = (pw_map_row){.run = 1, .cmd = 3};
    assert_int_equal(rig_commit(t), PAWL_OK);
    out[0] = '\0';
    assert_int_equal(t->r->ops->maps(t->r, 1, add_map, out, &t->err), PAWL_OK);
    assert_string_equal(out, "");
    assert_int_equal(
        t->r->ops->map_pages(t->r, &(pw_page_range){1, 3, -1, 9, true}, add_page, out, &t->err),
        PAWL_OK);
    assert_string_equal(out, "-1.0:open|1.0:2|1.2:2|2.7:2|");
    rig_close(t);
}

static bool first_page(void *ctx, const pw_page_row *row)
{
    (void)row;
    ++*(int *)ctx;
    return false;
}

static void a_reader_of_pages_may_stop_early(void **state)
{
    OPEN();
    int rows = 0;
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 0, 0, "1");
    rig_op(t, PW_OP_MAP_PAGE)->u.page = rig_page(t, 1, 3, 1, 0, "1");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(
        t->r->ops->map_pages(t->r, &(pw_page_range){1, 3, 0, 9, false}, first_page, &rows, &t->err),
        PAWL_OK);
    assert_int_equal(rows, 1);
    rig_close(t);
}

/* ---- snapshots, blobs, nodes ---- */

static void the_newest_snapshot_replaces_the_one_before(void **state)
{
    OPEN();
    int64_t seq = 0;
    pw_buf b = PW_BUF_INIT;
    assert_int_equal(t->r->ops->snapshot(t->r, 1, &seq, &b, &t->err), PAWL_NOTFOUND);
    for (int64_t i = 1; i <= 2; i++) {
        pw_op *op = rig_op(t, PW_OP_SNAPSHOT_PUT);
        op->u.snapshot.run = 1;
        op->u.snapshot.seq = i * 10;
        op->u.snapshot.body = rig_text(i == 1 ? "old" : "new");
        assert_int_equal(rig_commit(t), PAWL_OK);
    }
    assert_int_equal(t->r->ops->snapshot(t->r, 1, &seq, &b, &t->err), PAWL_OK);
    assert_int_equal(seq, 20);
    assert_int_equal(b.size, 3);
    assert_memory_equal(b.data, "new", 3);
    pw_buf_deinit(&b);
    rig_close(t);
}

static void digest_of(rig *t, pw_view body, uint8_t ret[PW_DIGEST_SIZE])
{
    uint8_t key[PW_KEY_SIZE];
    t->r->ops->blob_key(t->r, key);
    pw_blob_digest(ret, key, body.data, body.size);
}

static pw_view big_bytes(rig *t, size_t size)
{
    uint8_t *bytes = pw_alloc(t->scope, size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    return (pw_view){bytes, size};
}

static void put_blob(rig *t, const uint8_t *digest, pw_view body)
{
    pw_op *op = rig_op(t, PW_OP_BLOB_PUT);
    memcpy(op->u.blob.digest, digest, PW_DIGEST_SIZE);
    op->u.blob.body = body;
}

static void expect_blob(rig *t, const uint8_t *digest, pw_view body)
{
    pw_buf b = PW_BUF_INIT;
    assert_int_equal(t->r->ops->blob(t->r, digest, &b, &t->err), PAWL_OK);
    assert_int_equal(b.size, body.size);
    assert_true(body.size == 0 || memcmp(b.data, body.data, body.size) == 0);
    pw_buf_deinit(&b);
}

static void a_blob_is_kept_once_under_its_digest(void **state)
{
    OPEN();
    uint8_t digest[PW_DIGEST_SIZE];
    uint8_t empty[PW_DIGEST_SIZE];
    pw_buf b = PW_BUF_INIT;
    pw_view body = big_bytes(t, 100000);
    digest_of(t, body, digest);
    digest_of(t, rig_text(""), empty);
    assert_int_equal(t->r->ops->blob(t->r, digest, &b, &t->err), PAWL_NOTFOUND);
    put_blob(t, digest, body);
    put_blob(t, digest, body);
    put_blob(t, empty, rig_text(""));
    assert_int_equal(rig_commit(t), PAWL_OK);
    put_blob(t, digest, body);
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_blob(t, digest, body);
    expect_blob(t, empty, rig_text(""));
    rig_close(t);
}

static void stage(rig *t, const uint8_t *digest, pw_view body)
{
    int64_t chunk = 0;
    for (size_t at = 0; at < body.size; at += PW_BLOB_CHUNK_BYTES) {
        size_t left = body.size - at;
        pw_view part = {body.data + at, left < PW_BLOB_CHUNK_BYTES ? left : PW_BLOB_CHUNK_BYTES};
        assert_int_equal(t->j->ops->stage(t->j, digest, chunk++, part, &t->err), PAWL_OK);
    }
}

static void a_big_blob_is_staged_in_chunks_before_its_group(void **state)
{
    OPEN();
    uint8_t digest[PW_DIGEST_SIZE];
    pw_buf b = PW_BUF_INIT;
    pw_view body = big_bytes(t, 3 * PW_BLOB_CHUNK_BYTES + 17);
    digest_of(t, body, digest);
    put_blob(t, digest, (pw_view){NULL, body.size});
    assert_int_equal(rig_commit(t), PAWL_NOT);
    put_blob(t, digest, body);
    assert_int_equal(rig_commit(t), PAWL_NOT);
    stage(t, digest, body);
    assert_int_equal(t->r->ops->blob(t->r, digest, &b, &t->err), PAWL_NOTFOUND);
    put_blob(t, digest, (pw_view){NULL, body.size});
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_blob(t, digest, body);
    stage(t, digest, body);
    rig_restart(t);
    t->j->ops->idle(t->j);
    expect_blob(t, digest, body);
    pw_buf_deinit(&b);
    rig_close(t);
}

static void a_blob_whose_last_chunk_was_not_staged_is_not_taken_for_whole(void **state)
{
    OPEN();
    uint8_t digest[PW_DIGEST_SIZE];
    pw_buf b = PW_BUF_INIT;
    pw_view body = big_bytes(t, 2 * PW_BLOB_CHUNK_BYTES + 9);
    digest_of(t, body, digest);
    stage(t, digest,
          (pw_view){body.data, 2 * PW_BLOB_CHUNK_BYTES}); /* the disk was full for the third */
    put_blob(t, digest, (pw_view){NULL, body.size});
    assert_int_equal(rig_commit(t), PAWL_NOT);
    assert_int_equal(t->r->ops->blob(t->r, digest, &b, &t->err), PAWL_NOTFOUND);
    stage(t, digest, body);
    put_blob(t, digest, (pw_view){NULL, body.size});
    assert_int_equal(rig_commit(t), PAWL_OK);
    expect_blob(t, digest, body);
    pw_buf_deinit(&b);
    rig_close(t);
}

static void chunks_that_no_group_claimed_are_swept_in_the_next_epoch(void **state)
{
    OPEN();
    uint8_t digest[PW_DIGEST_SIZE];
    pw_view body = big_bytes(t, PW_BLOB_CHUNK_BYTES + 5);
    digest_of(t, body, digest);
    stage(t, digest, body);
    t->j->ops->idle(t->j); /* the same epoch: the group may still come */
    put_blob(t, digest, (pw_view){NULL, body.size});
    rig_restart(t);
    t->j->ops->idle(t->j);
    assert_int_equal(rig_commit(t), PAWL_NOT);
    rig_close(t);
}

static void a_conversation_is_a_chain_of_nodes(void **state)
{
    OPEN();
    uint8_t key[PW_KEY_SIZE];
    uint8_t root[PW_DIGEST_SIZE] = {0};
    uint8_t id[2][PW_DIGEST_SIZE];
    uint8_t parent[PW_DIGEST_SIZE];
    pw_buf b = PW_BUF_INIT;
    t->r->ops->blob_key(t->r, key);
    pw_node_id(id[0], key, root, rig_text("hello"));
    pw_node_id(id[1], key, id[0], rig_text("world"));
    for (int i = 0; i < 2; i++) {
        pw_op *op = rig_op(t, PW_OP_NODE_PUT);
        memcpy(op->u.node.id, id[i], PW_DIGEST_SIZE);
        memcpy(op->u.node.parent, i == 0 ? root : id[0], PW_DIGEST_SIZE);
        op->u.node.depth = i;
        op->u.node.body = rig_text(i == 0 ? "hello" : "world");
    }
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->node(t->r, id[1], parent, &b, &t->err), PAWL_OK);
    assert_memory_equal(parent, id[0], PW_DIGEST_SIZE);
    assert_memory_equal(b.data, "world", 5);
    assert_int_equal(t->r->ops->node(t->r, root, parent, &b, &t->err), PAWL_NOTFOUND);
    pw_op *op = rig_op(t, PW_OP_NODE_PUT);
    memcpy(op->u.node.id, id[1], PW_DIGEST_SIZE);
    op->u.node.body = rig_text("swapped");
    assert_int_equal(rig_commit(t), PAWL_NOT);
    pw_buf_deinit(&b);
    rig_close(t);
}

static void put_one_node(rig *t, const uint8_t parent[PW_DIGEST_SIZE], const char *text,
                         uint8_t ret_id[PW_DIGEST_SIZE])
{
    uint8_t key[PW_KEY_SIZE];
    t->r->ops->blob_key(t->r, key);
    pw_node_id(ret_id, key, parent, rig_text(text));
    pw_op *op = rig_op(t, PW_OP_NODE_PUT);
    memcpy(op->u.node.id, ret_id, PW_DIGEST_SIZE);
    memcpy(op->u.node.parent, parent, PW_DIGEST_SIZE);
    op->u.node.body = rig_text(text);
}

static void a_node_lands_only_on_a_parent_that_exists(void **state)
{
    OPEN();
    uint8_t stranger[PW_DIGEST_SIZE] = {1};
    uint8_t none[PW_DIGEST_SIZE] = {0};
    uint8_t a[PW_DIGEST_SIZE], b[PW_DIGEST_SIZE], c[PW_DIGEST_SIZE], parent[PW_DIGEST_SIZE];
    pw_buf body = PW_BUF_INIT;
    put_one_node(t, stranger, "lost", a);
    assert_int_equal(rig_commit(t), PAWL_NOT); /* [J16] */
    assert_int_equal(t->r->ops->node(t->r, a, parent, &body, &t->err), PAWL_NOTFOUND);
    put_one_node(t, none, "hello", a);
    put_one_node(t, a, "left", b); /* of the same group */
    assert_int_equal(rig_commit(t), PAWL_OK);
    put_one_node(t, a, "right", c); /* continued twice */
    put_one_node(t, a, "left", b);  /* and the same again */
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_restart(t);
    assert_int_equal(t->r->ops->node(t->r, c, parent, &body, &t->err), PAWL_OK);
    assert_memory_equal(parent, a, PW_DIGEST_SIZE);
    assert_memory_equal(body.data, "right", 5);
    pw_buf_deinit(&body);
    rig_close(t);
}

/* ---- inbox ---- */

static bool add_inbox(void *ctx, const pw_inbox_row *row)
{
    char *out = ctx;
    size_t used = strlen(out);
    snprintf(out + used, 200 - used, "%lld:%.*s:%.*s ", (long long)row->id, (int)row->dedup.size,
             (const char *)row->dedup.data, (int)row->body.size, (const char *)row->body.data);
    return true;
}

static void post(rig *t, const char *dedup, const char *body)
{
    rig_op(t, PW_OP_INBOX_PUT)->u.inbox = (pw_inbox_row){0, 5, rig_text(dedup), rig_text(body)};
}

static void take(rig *t, int64_t id, const char *dedup)
{
    pw_op *op = rig_op(t, PW_OP_INBOX_TAKE);
    op->u.take.inbox_id = id;
    op->u.take.dedup = rig_text(dedup);
    op->u.take.outcome = (pw_outcome){PAWL_CLOSED, 77, rig_text("reply")};
}

static void an_inbox_row_is_taken_once_and_its_outcome_kept(void **state)
{
    OPEN();
    char out[200] = "";
    pw_outcome o = {0};
    pw_buf b = PW_BUF_INIT;
    post(t, "k1", "a");
    post(t, "", "b");
    post(t, "k1", "again");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->inbox(t->r, 0, 0, add_inbox, out, &t->err), PAWL_OK);
    assert_string_equal(out, "1:k1:a 2::b ");
    take(t, 1, "k1");
    take(t, 2, "");
    assert_int_equal(rig_commit(t), PAWL_OK);
    take(t, 1, "k1");
    assert_int_equal(rig_commit(t), PAWL_CONFLICT);
    assert_int_equal(t->r->ops->outcome(t->r, rig_text("k1"), &b, &o, &t->err), PAWL_OK);
    assert_int_equal(o.status, PAWL_CLOSED);
    assert_int_equal(o.at_ms, 77);
    assert_memory_equal(o.body.data, "reply", 5);
    assert_int_equal(t->r->ops->outcome(t->r, rig_text("k2"), &b, &o, &t->err), PAWL_NOTFOUND);
    out[0] = '\0';
    post(t, "", "c");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_int_equal(t->r->ops->inbox(t->r, 2, 0, add_inbox, out, &t->err), PAWL_OK);
    assert_true(strtol(out, NULL, 10) > 2); /* ids are never given twice, though they may skip */
    assert_non_null(strstr(out, "::c "));
    pw_buf_deinit(&b);
    rig_close(t);
}

static void a_dedup_key_is_answered_once(void **state)
{
    OPEN();
    for (int i = 0; i < 2; i++) {
        pw_op *op = rig_op(t, PW_OP_OUTCOME_PUT);
        op->u.take.dedup = rig_text("k");
        op->u.take.outcome = (pw_outcome){PAWL_OK, 1, rig_text("r")};
        assert_int_equal(rig_commit(t), i == 0 ? PAWL_OK : PAWL_CONFLICT);
    }
    rig_close(t);
}

/* ---- kept results ---- */

static void keep(rig *t, uint8_t name, int64_t at_ms, int64_t expires_ms, const char *body)
{
    pw_cache_row *row = &rig_op(t, PW_OP_CACHE_PUT)->u.cache;
    memset(row->key, name, sizeof row->key);
    row->at_ms = at_ms;
    row->expires_ms = expires_ms;
    row->run_id = rig_text("run-1");
    row->cmd = 7;
    row->body = rig_text(body);
}

/* "body@expires", or the name of what was answered. */
static const char *kept(rig *t, uint8_t name)
{
    static char out[100];
    uint8_t key[PW_DIGEST_SIZE];
    pw_cache_row row;
    pw_buf b = PW_BUF_INIT;
    memset(key, name, sizeof key);
    const pawl_status st = t->r->ops->cached(t->r, key, &b, &row, &t->err);
    (void)snprintf(out, sizeof out, "%s", pawl_status_name(st));
    if (st == PAWL_OK) {
        assert_int_equal(row.cmd, 7);
        assert_memory_equal(row.run_id.data, "run-1", 5);
        assert_memory_equal(row.key, key, sizeof key);
        (void)snprintf(out, sizeof out, "%.*s@%lld", (int)row.body.size,
                       (const char *)row.body.data, (long long)row.expires_ms);
    }
    pw_buf_deinit(&b);
    return out;
}

static void a_kept_result_is_found_replaced_and_swept_when_it_has_expired(void **state)
{
    OPEN();
    keep(t, 1, 100, 200, "one");
    keep(t, 2, 100, 500, "two");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(kept(t, 1), "one@200");
    assert_string_equal(kept(t, 2), "two@500");
    assert_string_equal(kept(t, 3), pawl_status_name(PAWL_NOTFOUND));
    keep(t, 1, 150, 900, "one, again");
    assert_int_equal(rig_commit(t), PAWL_OK);
    keep(t, 3, 600, 700,
         "three"); /* at 600 the second has expired, and the first's old time means nothing */
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(kept(t, 1), "one, again@900");
    assert_string_equal(kept(t, 2), pawl_status_name(PAWL_NOTFOUND));
    assert_string_equal(kept(t, 3), "three@700");
    keep(t, 4, 5000, 6000, "");
    assert_int_equal(rig_commit(t), PAWL_OK);
    assert_string_equal(kept(t, 1), pawl_status_name(PAWL_NOTFOUND));
    assert_string_equal(kept(t, 3), pawl_status_name(PAWL_NOTFOUND));
    assert_string_equal(kept(t, 4), "@6000");
    rig_restart(t);
    assert_string_equal(kept(t, 4), "@6000");
    rig_close(t);
}

int main(int argc, char **argv)
{
    char *backend = argc > 1 ? argv[1] : (char[]){"sqlite"};
    struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_come_in_order_of_due_time_then_run_then_command),
        cmocka_unit_test(clearing_an_absent_timer_is_not_an_error),
        cmocka_unit_test(a_task_is_replaced_beaten_and_cleared),
        cmocka_unit_test(a_wait_is_listed_until_it_is_cleared),
        cmocka_unit_test(keys_of_a_run_are_replaced_and_sorted),
        cmocka_unit_test(map_pages_are_read_in_order_and_outlive_their_row),
        cmocka_unit_test(a_reader_of_pages_may_stop_early),
        cmocka_unit_test(the_newest_snapshot_replaces_the_one_before),
        cmocka_unit_test(a_blob_is_kept_once_under_its_digest),
        cmocka_unit_test(a_big_blob_is_staged_in_chunks_before_its_group),
        cmocka_unit_test(a_blob_whose_last_chunk_was_not_staged_is_not_taken_for_whole),
        cmocka_unit_test(chunks_that_no_group_claimed_are_swept_in_the_next_epoch),
        cmocka_unit_test(a_conversation_is_a_chain_of_nodes),
        cmocka_unit_test(a_node_lands_only_on_a_parent_that_exists),
        cmocka_unit_test(an_inbox_row_is_taken_once_and_its_outcome_kept),
        cmocka_unit_test(a_kept_result_is_found_replaced_and_swept_when_it_has_expired),
        cmocka_unit_test(a_dedup_key_is_answered_once),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = backend;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
