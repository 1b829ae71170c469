/*
 * rig.c - the journal under test. Fails the test at once when its own steps fail. Does not check
 * histories beyond their form: tests do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/map_page.h"
#include "journal/sqlite.h"
#include "tests/journal/rig.h"

static void attach(rig *t)
{
    memset(&t->err, 0, sizeof(t->err));
    pw_sqlite_env env = {.page_bytes = strcmp(t->backend, "sqlite-small") == 0 ? 512 : 0};
    pawl_status st = t->store != NULL ? pw_memory_attach(t->store, &t->j, &t->err)
                                      : pw_sqlite_open_env(t->path, "", &env, &t->j, &t->err);
    if (st == PAWL_OK) {
        st = t->j->ops->lease(t->j, &t->epoch, &t->number, &t->err);
    }
    if (st == PAWL_OK) {
        st = t->j->ops->reader_open(t->j, &t->r, &t->err);
    }
    if (st != PAWL_OK) {
        fail_msg("%s: %s", t->backend, t->err.message);
    }
}

void rig_detach(rig *t)
{
    if (t->r != NULL) {
        t->r->ops->reader_close(t->r);
    }
    if (t->j != NULL) {
        t->j->ops->close(t->j);
    }
    t->r = NULL;
    t->j = NULL;
}

rig *rig_open(const char *backend)
{
    rig *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    const char *tmp = getenv("TMPDIR");
    t->backend = backend;
    snprintf(t->folder, sizeof(t->folder), "%s/pawl-journal-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof(t->path), "%s/j.db", t->folder);
    t->scope = pawl_scope_new();
    t->ops = calloc(RIG_OPS_MAX, sizeof(*t->ops));
    assert_non_null(t->scope);
    assert_non_null(t->ops);
    if (strcmp(backend, "memory") == 0) {
        t->store = pw_memory_store_new();
        assert_non_null(t->store);
    }
    attach(t);
    return t;
}

void rig_close(rig *t)
{
    char command[PATH_MAX];
    rig_detach(t);
    pw_memory_store_free(t->store);
    pawl_scope_free(t->scope);
    free(t->ops);
    snprintf(command, sizeof(command), "rm -rf '%s'", t->folder);
    assert_int_equal(system(command), 0);
    free(t);
}

pawl_status rig_try(const char *path, pawl_error *err)
{
    pw_journal *j = NULL;
    memset(err, 0, sizeof(*err));
    pawl_status st = pw_sqlite_open(path, "/tmp/x.sock", &j, err);
    if (st == PAWL_OK) {
        j->ops->close(j);
    }
    return st;
}

void rig_restart(rig *t)
{
    rig_detach(t);
    attach(t);
}

pw_journal *rig_second(rig *t)
{
    pw_journal *second = NULL;
    pw_sqlite_env env = {.bare = true};
    pawl_status st = t->store != NULL ? pw_memory_attach(t->store, &second, &t->err)
                                      : pw_sqlite_open_env(t->path, "", &env, &second, &t->err);
    if (st != PAWL_OK) {
        fail_msg("second owner: %s", t->err.message);
    }
    return second;
}

void rig_tamper(rig *t, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(t->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

pw_view rig_text(const char *text)
{
    return (pw_view){(const uint8_t *)text, strlen(text)};
}

pw_page_row rig_page(rig *t, int64_t run, int64_t cmd, int64_t page, int64_t part,
                     const char *items)
{
    pw_page_head head = {0};
    pw_buf body = PW_BUF_INIT;
    char *at = NULL;
    for (int64_t n = strtoll(items, &at, 10); at != items; n = strtoll(items, &at, 10)) {
        pw_buf value = PW_BUF_INIT;
        pw_mp_int(&value, n);
        pw_page_item_put(&body, &(pw_page_item){n, 1, {value.data, value.size}});
        pw_buf_deinit(&value);
        pw_page_set(head.finished, n);
        if (*at == 'f') {
            pw_page_set(head.failed, n);
            at++;
        }
        items = at;
    }
    pw_page_row row = {.run = run,
                       .cmd = cmd,
                       .page = page,
                       .part = part,
                       .head = {pw_memdup(t->scope, &head, sizeof head), sizeof head},
                       .body = {pw_memdup(t->scope, body.data, body.size), body.size}};
    assert_true(pw_buf_ok(&body) && row.head.data != NULL && row.body.data != NULL);
    pw_buf_deinit(&body);
    return row;
}

pw_view rig_record(pawl_scope *scope, int64_t events, const char *text)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_array(&b, 5);
    pw_mp_int(&b, PW_RECORD_VERSION);
    pw_mp_int(&b, 0);
    pw_mp_int(&b, 1700000000000);
    pw_mp_int(&b, 7);
    pw_mp_array(&b, (size_t)events);
    for (int64_t i = 0; i < events; i++) {
        pw_mp_array(&b, 3);
        pw_mp_int(&b, PW_EV_KEY_SET);
        pw_mp_int(&b, i);
        pw_mp_map(&b, 1);
        pw_mp_str(&b, "t");
        pw_mp_str(&b, text);
    }
    assert_true(pw_buf_ok(&b));
    pw_view v = {pw_memdup(scope, b.data, b.size), b.size};
    assert_non_null(v.data);
    pw_buf_deinit(&b);
    return v;
}

pw_op *rig_op(rig *t, pw_op_type type)
{
    assert_true(t->len < RIG_OPS_MAX);
    pw_op *op = &t->ops[t->len++];
    memset(op, 0, sizeof(*op));
    op->type = type;
    return op;
}

pw_op *rig_op_create(rig *t, int64_t key, const char *id)
{
    pw_op *op = rig_op(t, PW_OP_RUN_CREATE);
    op->u.run.key = key;
    op->u.run.id = rig_text(id);
    op->u.run.workflow = rig_text("test");
    op->u.run.version = rig_text("1");
    op->u.run.created_ms = 1000 + key;
    op->u.run.status = PW_RUN_RUNNING;
    op->u.run.updated_ms = 1000 + key;
    return op;
}

pw_op *rig_op_turn(rig *t, const rig_run *run, int64_t events, const char *text)
{
    pw_op *op = rig_op(t, PW_OP_TURN);
    op->u.turn.run = run->key;
    op->u.turn.expected_seq = run->seq;
    op->u.turn.events = events;
    op->u.turn.record = rig_record(t->scope, events, text);
    memcpy(op->u.turn.chain_prev, run->chain, PW_DIGEST_SIZE);
    op->u.turn.row.status = PW_RUN_RUNNING;
    op->u.turn.row.updated_ms = 2000 + run->seq;
    op->u.turn.row.waiting = rig_text("timer");
    op->u.turn.row.build = 0xf000000000000001u;
    return op;
}

pawl_status rig_commit(rig *t)
{
    pw_group g = {.epoch = t->epoch,
                  .number = t->number + 1,
                  .ops = t->ops,
                  .len = t->len,
                  .scope = t->scope};
    memset(&t->err, 0, sizeof(t->err));
    pawl_status st = t->j->ops->commit(t->j, &g, &t->err);
    if (t->j->ops->settle != NULL) {
        t->j->ops->settle(t->j);
    }
    if (st == PAWL_OK) {
        t->number++;
    } else {
        assert_int_equal(t->err.status, st);
    }
    t->len = 0;
    return st;
}

void rig_moved(rig *t, size_t op, rig_run *run)
{
    assert_int_equal(t->ops[op].type, PW_OP_TURN);
    run->seq = t->ops[op].u.turn.expected_seq + t->ops[op].u.turn.events;
    memcpy(run->chain, t->ops[op].u.turn.chain_next, PW_DIGEST_SIZE);
}

rig_run rig_start(rig *t, const char *id)
{
    rig_run run = {.key = ++t->key};
    rig_op_create(t, run.key, id);
    rig_op_turn(t, &run, 1, "start");
    pawl_status st = rig_commit(t);
    if (st != PAWL_OK) {
        fail_msg("start %s: %s", id, t->err.message);
    }
    rig_moved(t, 1, &run);
    return run;
}

pawl_status rig_turn(rig *t, rig_run *run, int64_t events, const char *text)
{
    rig_op_turn(t, run, events, text);
    pawl_status st = rig_commit(t);
    if (st == PAWL_OK) {
        rig_moved(t, 0, run);
    }
    return st;
}

pawl_status rig_finish(rig *t, rig_run *run)
{
    pw_op *op = rig_op_turn(t, run, 1, "end");
    op->u.turn.row.status = PW_RUN_COMPLETED;
    op->u.turn.row.closed_ms = 9000;
    pawl_status st = rig_commit(t);
    if (st == PAWL_OK) {
        rig_moved(t, 0, run);
    }
    return st;
}

static bool note_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view bytes)
{
    rig_history *h = ctx;
    pw_record record;
    pw_event event = {.seq = first_seq};
    pawl_error err;
    assert_int_equal(pw_record_open(bytes.data, bytes.size, &record, &err), PAWL_OK);
    assert_int_equal((int64_t)record.events, events);
    if (h->records++ == 0) {
        h->first_seq = first_seq;
    }
    assert_true(pos > h->last_pos);
    h->last_pos = pos;
    h->events += events;
    if (pw_record_next(&record, &event)) {
        pw_mp r = pw_mp_reader(event.body.data, event.body.size);
        (void)pw_mp_read_map(&r);
        (void)pw_mp_read_str(&r);
        pw_view text = pw_mp_read_str(&r);
        size_t used = strlen(h->texts);
        snprintf(h->texts + used, sizeof(h->texts) - used, "%.*s ", (int)text.size,
                 (const char *)text.data);
    }
    return true;
}

pawl_status rig_read(rig *t, int64_t run, int64_t from_seq, rig_history *ret)
{
    memset(ret, 0, sizeof(*ret));
    return t->r->ops->read(t->r, run, from_seq, note_record, ret, &t->err);
}
