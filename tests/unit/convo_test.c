/*
 * convo_test.c - conversations as tasks read them: many threads on one reader, and a journal that goes away under them.
 * Does not append by a workflow: tests/engine/convo_test.c does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "engine/convo.h"
#include "sdk/base/arena.h"

enum { NODES = 50, THREADS = 4, READS = 40 };

typedef struct fixture {
    pw_journal *journal;
    pw_convos *convos;
    pw_convo head;
    pawl_scope *scope;
} fixture;

typedef struct reading {
    fixture *f;
    pthread_t thread;
    int whole; /* reads that were; -1: one that was neither whole nor CLOSED */
} reading;

static void put_nodes(fixture *f, pw_group *group, pw_op *ops)
{
    pawl_error err;
    pw_reader *reader;
    uint8_t key[PW_KEY_SIZE];
    assert_int_equal(f->journal->ops->reader_open(f->journal, &reader, &err), PAWL_OK);
    reader->ops->blob_key(reader, key);
    reader->ops->reader_close(reader);
    for (int i = 0; i < NODES; i++) {
        pw_buf body = PW_BUF_INIT;
        pw_convo next;
        pw_convo_node(&f->head, pawl_build(f->scope, "[{n: %d}, {n: %d}]", 2 * i, 2 * i + 1), key,
                      &body, &next);
        ops[i] = (pw_op){.type = PW_OP_NODE_PUT};
        memcpy(ops[i].u.node.id, next.id, PW_DIGEST_SIZE);
        memcpy(ops[i].u.node.parent, f->head.id, PW_DIGEST_SIZE);
        ops[i].u.node.body = (pw_view){pw_memdup(f->scope, body.data, body.size), body.size};
        pw_buf_deinit(&body);
        f->head = next;
    }
    group->ops = ops;
    group->len = NODES;
    assert_int_equal(f->journal->ops->commit(f->journal, group, &err), PAWL_OK);
}

static void open_fixture(fixture *f)
{
    pawl_error err;
    pw_op ops[NODES];
    *f = (fixture){.scope = pawl_scope_new()};
    pw_group group = {.scope = f->scope};
    assert_int_equal(pw_memory_open(&f->journal, &err), PAWL_OK);
    assert_int_equal(f->journal->ops->lease(f->journal, &group.epoch, &group.number, &err),
                     PAWL_OK);
    group.number++;
    put_nodes(f, &group, ops);
    f->convos = pw_convos_new(f->journal);
    assert_non_null(f->convos);
}

static void close_fixture(fixture *f)
{
    pw_convos_close(f->convos);
    pw_convos_unref(f->convos);
    f->journal->ops->close(f->journal);
    pawl_scope_free(f->scope);
}

static void *read_often(void *arg)
{
    reading *r = arg;
    for (int i = 0; i < READS && r->whole >= 0; i++) {
        pw_convo_want want = {.convo = r->f->head, .first = i, .scope = pawl_scope_new()};
        const pawl_value *messages = NULL;
        pawl_error err;
        pawl_status st = pw_convos_read(r->f->convos, "", &want, &messages, &err);
        bool right = st == PAWL_OK && pawl_len(messages) == (size_t)(2 * NODES - i) &&
                     pawl_int(messages, "0.n", -1) == i;
        r->whole = right ? r->whole + 1 : st == PAWL_CLOSED ? r->whole : -1;
        pawl_scope_free(want.scope);
    }
    pw_convos_unref(r->f->convos);
    return NULL;
}

static void start_readers(fixture *f, reading readings[THREADS])
{
    for (int i = 0; i < THREADS; i++) {
        readings[i] = (reading){.f = f};
        (void)pw_convos_ref(f->convos);
        assert_int_equal(pthread_create(&readings[i].thread, NULL, read_often, &readings[i]), 0);
    }
}

static void many_threads_read_one_conversation(void **state)
{
    (void)state;
    fixture f;
    reading readings[THREADS];
    open_fixture(&f);
    start_readers(&f, readings);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readings[i].thread, NULL), 0);
        assert_int_equal(readings[i].whole, READS);
    }
    close_fixture(&f);
}

static void a_journal_that_goes_away_is_closed_to_readers_and_never_half_read(void **state)
{
    (void)state;
    fixture f;
    reading readings[THREADS];
    open_fixture(&f);
    start_readers(&f, readings);
    pw_convos_close(f.convos);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readings[i].thread, NULL), 0);
        assert_true(readings[i].whole >= 0);
    }
    close_fixture(&f);
}

static void without_an_engine_and_without_a_file_there_is_nothing_to_read(void **state)
{
    (void)state;
    pw_convo_want want = {.convo = {.id = {1}, .len = 1}, .scope = pawl_scope_new()};
    const pawl_value *messages = NULL;
    pawl_error err;
    assert_int_equal(pw_convos_read(NULL, "", &want, &messages, &err), PAWL_NOTFOUND);
    assert_int_equal(pw_convos_read(NULL, "/nowhere/x.db", &want, &messages, &err), PAWL_NOTFOUND);
    pawl_scope_free(want.scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_read_one_conversation),
        cmocka_unit_test(a_journal_that_goes_away_is_closed_to_readers_and_never_half_read),
        cmocka_unit_test(without_an_engine_and_without_a_file_there_is_nothing_to_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
