/*
 * stress_test.c - one writer that checkpoints all the time, and readers beside it: every read is
 * of one moment.
 *
 * Readers on threads of their own read whole histories, checked by walk.c against the run's row,
 * while the journal thread commits, checkpoints, compacts and runs the rite. Run under TSan too.
 * Does not test two writers: there are none.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "journal/sqlite.h"
#include "journal/writer.h"
#include "tests/journal/rig.h"

#define RUNS 8
#define READERS 3
#define ROUNDS 150

typedef struct watcher {
    rig *t;
    pthread_t thread;
    bool foreign; /* a reader without an owner, as another process has */
    _Atomic bool *stop;
    int64_t reads;
    pawl_status status;
    pawl_error err;
} watcher;

static bool pass(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)first_seq;
    (void)record;
    *(int64_t *)ctx += events;
    return true;
}

static void *watch(void *arg)
{
    watcher *w = arg;
    pw_reader *r = NULL;
    int64_t seen[RUNS + 1] = {0};
    w->status = w->foreign ? pw_sqlite_reader_open(w->t->path, &r, &w->err)
                           : w->t->j->ops->reader_open(w->t->j, &r, &w->err);
    while (w->status == PAWL_OK && !*w->stop) {
        int64_t run = 1 + w->reads++ % RUNS;
        int64_t events = 0;
        w->status = r->ops->read(r, run, 0, pass, &events, &w->err);
        if (w->status == PAWL_OK && events < seen[run]) {
            w->status = pw_err(&w->err, PAWL_DAMAGED, "run %lld went back from %lld to %lld events",
                               (long long)run, (long long)seen[run], (long long)events);
        }
        seen[run] = events;
    }
    if (r != NULL) {
        r->ops->reader_close(r);
    }
    return NULL;
}

typedef struct answer {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
} answer;

static void note(void *ctx, pw_group *group)
{
    answer *a = ctx;
    pthread_mutex_lock(&a->lock);
    a->done = group->status == PAWL_OK;
    pthread_cond_signal(&a->came);
    pthread_mutex_unlock(&a->lock);
}

static void commit(rig *t, pw_writer *w, answer *a)
{
    pw_group g = {
        .epoch = t->epoch, .number = ++t->number, .ops = t->ops, .len = t->len, .scope = t->scope};
    a->done = false;
    pw_writer_submit(w, &g);
    pthread_mutex_lock(&a->lock);
    while (!a->done) {
        pthread_cond_wait(&a->came, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    t->len = 0;
}

static void readers_see_whole_moments_beside_a_busy_writer(void **state)
{
    (void)state;
    _Atomic bool stop = false;
    rig *t = rig_open("sqlite");
    rig_run runs[RUNS];
    watcher watchers[READERS] = {0};
    answer a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pw_writer *w = NULL;
    pw_sqlite_of(t->j)->env.checkpoint_frames = 8;
    for (int i = 0; i < RUNS; i++) {
        runs[i] = rig_start(t, "run");
    }
    assert_int_equal(pw_writer_start(t->j, note, &a, &w, &t->err), PAWL_OK);
    for (int i = 0; i < READERS; i++) {
        watchers[i] = (watcher){.t = t, .foreign = i == 0, .stop = &stop};
        assert_int_equal(pthread_create(&watchers[i].thread, NULL, watch, &watchers[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < RUNS; i++) {
            rig_op_turn(t, &runs[i], 1 + round % 3, "a turn of some length, so that pages fill");
        }
        commit(t, w, &a);
        for (size_t i = 0; i < RUNS; i++) {
            rig_moved(t, i, &runs[i]);
        }
        pw_scope_reset(t->scope);
    }
    stop = true;
    for (int i = 0; i < READERS; i++) {
        pthread_join(watchers[i].thread, NULL);
        if (watchers[i].status != PAWL_OK) {
            fail_msg("reader %d: %s", i, watchers[i].err.message);
        }
        assert_true(watchers[i].reads > 0);
    }
    pw_writer_stop(w);
    rig_close(t);
}

static void the_rite_takes_readers_along(void **state)
{
    (void)state;
    _Atomic bool stop = false;
    rig *t = rig_open("sqlite");
    answer a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pw_writer *w = NULL;
    watcher beside = {.t = t, .stop = &stop};
    rig_run runs[RUNS];
    for (int i = 0; i < RUNS; i++) {
        runs[i] = rig_start(t, "run");
    }
    assert_int_equal(pw_writer_start(t->j, note, &a, &w, &t->err), PAWL_OK);
    assert_int_equal(pthread_create(&beside.thread, NULL, watch, &beside), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pw_writer_reopen(w, &t->err), PAWL_OK);
        rig_op_turn(t, &runs[0], 1, "x");
        commit(t, w, &a);
        rig_moved(t, 0, &runs[0]);
    }
    stop = true;
    pthread_join(beside.thread, NULL);
    if (beside.status != PAWL_OK) {
        fail_msg("reader: %s", beside.err.message);
    }
    pw_writer_stop(w);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_moments_beside_a_busy_writer),
        cmocka_unit_test(the_rite_takes_readers_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
