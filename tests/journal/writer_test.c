/*
 * writer_test.c - the journal thread and the breadcrumb: order, staging, the rite, stopping. Run
 * under TSan too. Does not measure.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/crumb.h"
#include "journal/writer.h"
#include "tests/journal/rig.h"

#define GROUPS 200

/** Answers in the order they came. */
typedef struct answers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    uint64_t numbers[GROUPS];
    pawl_status statuses[GROUPS];
    size_t len;
} answers;

static void note(void *ctx, pw_group *group)
{
    answers *a = ctx;
    pthread_mutex_lock(&a->lock);
    a->numbers[a->len] = group->number;
    a->statuses[a->len++] = group->status;
    pthread_cond_signal(&a->more);
    pthread_mutex_unlock(&a->lock);
}

static void wait_for(answers *a, size_t len)
{
    pthread_mutex_lock(&a->lock);
    while (a->len < len) {
        pthread_cond_wait(&a->more, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}

static pw_writer *start(rig *t, answers *a)
{
    pw_writer *w = NULL;
    memset(a, 0, sizeof(*a));
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->more, NULL);
    assert_int_equal(pw_writer_start(t->j, note, a, &w, &t->err), PAWL_OK);
    return w;
}

static pw_op timer_op(int64_t due)
{
    pw_op op = {.type = PW_OP_TIMER_SET};
    op.u.timer = (pw_timer_row){due, 1, due, 1};
    return op;
}

static void groups_are_answered_in_the_order_they_were_submitted(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    pw_group groups[GROUPS] = {0};
    pw_op ops[GROUPS];
    for (size_t i = 0; i < GROUPS; i++) {
        ops[i] = timer_op((int64_t)i);
        groups[i] =
            (pw_group){.epoch = t->epoch, .number = t->number + 1 + i, .ops = &ops[i], .len = 1};
        pw_writer_submit(w, &groups[i]);
    }
    pw_writer_stop(w); /* finishes what was submitted */
    assert_int_equal(
        a.len,
        GROUPS); /* [J6]: answers only, each exactly once, and nothing else leaves the thread */
    for (size_t i = 0; i < GROUPS; i++) {
        assert_int_equal(a.statuses[i], PAWL_OK);
        assert_true(a.numbers[i] == t->number + 1 + i);
    }
    rig_close(t);
}

/* ---- groups that come while they are still being built ---- */

static bool count_timer(void *ctx, const pw_timer_row *row)
{
    int64_t *sum = ctx;
    *sum += row->due_ms;
    return true;
}

/** Of all timers: which there are, in one number. */
static int64_t sum_of_timers(rig *t)
{
    int64_t sum = 0;
    assert_int_equal(t->r->ops->timers(t->r, INT64_MAX, NULL, 0, count_timer, &sum, &t->err),
                     PAWL_OK);
    return sum;
}

static pw_group group_of(const rig *t, pw_op *ops, size_t len)
{
    return (pw_group){.epoch = t->epoch, .number = t->number + 1, .ops = ops, .len = len};
}

static void a_group_that_is_shown_bit_by_bit_lands_as_one(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    pw_op ops[4] = {timer_op(1), timer_op(10), timer_op(100), timer_op(1000)};
    pw_group g = group_of(t, ops, 2); /* what is not shown is not looked at, its length neither */
    pw_writer_open(w, &g, 1);
    pw_writer_show(w, &g, 2, false);
    assert_int_equal(sum_of_timers(t), 0); /* [J2] */
    pw_writer_show(w, &g, 3, false);
    g.len = 4;
    pw_writer_show(w, &g, 4, true);
    wait_for(&a, 1);
    assert_int_equal(a.statuses[0], PAWL_OK);
    assert_int_equal(sum_of_timers(t), 1111);
    pw_writer_stop(w);
    assert_int_equal(a.len, 1);
    rig_close(t);
}

static void a_group_that_is_taken_back_leaves_nothing_and_may_come_again(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    for (size_t round = 0; round < GROUPS; round++) { /* the journal is anywhere in it */
        pw_op ops[3] = {timer_op(1), timer_op(10), timer_op(100)};
        pw_group g = group_of(t, ops, 3);
        pw_writer_open(w, &g, 1);
        if (round % 3 > 0) {
            pw_writer_show(w, &g, 3, false);
        }
        pw_writer_take_back(w, &g);
        memset(ops, 0xee, sizeof ops); /* they are the builder's alone */
    }
    assert_int_equal(a.len, 0);
    assert_int_equal(sum_of_timers(t), 0);
    pw_op ops[2] = {timer_op(5), timer_op(50)};
    pw_group g = group_of(t, ops, 2);
    pw_writer_open(w, &g, 1);
    pw_writer_take_back(w, &g);
    pw_writer_submit(w, &g);
    wait_for(&a, 1);
    assert_int_equal(a.statuses[0], PAWL_OK);
    assert_int_equal(sum_of_timers(t), 55);
    pw_writer_stop(w);
    rig_close(t);
}

static void an_operation_that_fails_is_told_when_its_group_is_whole(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    pw_op ops[3] = {timer_op(1), {.type = PW_OP_INBOX_TAKE}, timer_op(100)};
    ops[1].u.take.inbox_id = 77; /* is not there */
    pw_group g = group_of(t, ops, 3);
    pw_writer_open(w, &g, 2);
    pw_writer_show(w, &g, 3, false);
    pw_writer_show(w, &g, 3, true);
    wait_for(&a, 1);
    assert_int_equal(a.statuses[0], PAWL_CONFLICT);
    assert_int_equal(sum_of_timers(t), 0);
    g = group_of(t, &ops[2], 1);
    pw_writer_open(w, &g, 1);
    pw_writer_show(w, &g, 1, true);
    wait_for(&a, 2);
    assert_int_equal(a.statuses[1], PAWL_OK);
    assert_int_equal(sum_of_timers(t), 100);
    pw_writer_stop(w);
    rig_close(t);
}

static void a_blob_is_staged_before_the_group_submitted_after_it(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    uint8_t key[PW_KEY_SIZE];
    size_t size = 2 * PW_BLOB_CHUNK_BYTES + 9;
    uint8_t *bytes = pw_alloc(t->scope, size);
    pw_op ops[2] = {timer_op(1), {.type = PW_OP_BLOB_PUT}};
    pw_group groups[2] = {{.epoch = t->epoch, .number = t->number + 1, .ops = &ops[0], .len = 1},
                          {.epoch = t->epoch, .number = t->number + 2, .ops = &ops[1], .len = 1}};
    memset(bytes, 'q', size);
    t->r->ops->blob_key(t->r, key);
    pw_blob_digest(ops[1].u.blob.digest, key, bytes, size);
    ops[1].u.blob.body = (pw_view){NULL, size};
    pw_writer_submit(w, &groups[0]);
    pw_writer_stage(w, ops[1].u.blob.digest, (pw_view){bytes, size});
    pw_writer_submit(w, &groups[1]);
    wait_for(&a, 2);
    assert_int_equal(a.statuses[0], PAWL_OK);
    assert_int_equal(a.statuses[1], PAWL_OK);
    pw_buf b = PW_BUF_INIT;
    assert_int_equal(t->r->ops->blob(t->r, ops[1].u.blob.digest, &b, &t->err), PAWL_OK);
    assert_int_equal(b.size, size);
    pw_buf_deinit(&b);
    pw_writer_stop(w);
    rig_close(t);
}

static void a_chunk_that_found_no_room_ends_its_group_as_a_full_disk_does(void **state)
{
    (void)state;
    answers a;
    rig *t = rig_open("memory");
    pw_writer *w = start(t, &a);
    uint8_t key[PW_KEY_SIZE];
    size_t size = 2 * PW_BLOB_CHUNK_BYTES + 9;
    uint8_t *bytes = pw_alloc(t->scope, size);
    pw_op ops[2] = {{.type = PW_OP_BLOB_PUT}, timer_op(1)};
    pw_group groups[2] = {{.epoch = t->epoch, .number = t->number + 1, .ops = &ops[0], .len = 1},
                          {.epoch = t->epoch, .number = t->number + 1, .ops = &ops[1], .len = 1}};
    memset(bytes, 'q', size);
    t->r->ops->blob_key(t->r, key);
    pw_blob_digest(ops[0].u.blob.digest, key, bytes, size);
    ops[0].u.blob.body = (pw_view){NULL, size};
    pw_memory_fail_stage(t->store, 2); /* the third chunk */
    pw_writer_stage(w, ops[0].u.blob.digest, (pw_view){bytes, size});
    pw_writer_submit(w, &groups[0]);
    wait_for(&a, 1);
    assert_int_equal(a.statuses[0],
                     PAWL_NOSPACE); /* so that the engine waits, and the ballast is given up */
    assert_int_equal(groups[0].error.status, PAWL_NOSPACE);
    assert_true(pw_writer_scarce(w));
    pw_writer_submit(w, &groups[1]);
    wait_for(&a, 2);
    assert_int_equal(a.statuses[1], PAWL_OK);
    pw_writer_stop(w);
    rig_close(t);
}

static void after_unknown_everything_is_refused_until_the_rite(void **state)
{
    (void)state;
    answers a;
    rig *t = rig_open("memory");
    pw_writer *w = start(t, &a);
    pw_op ops[3] = {timer_op(1), timer_op(2), timer_op(3)};
    pw_group g[3];
    bool landed = false;
    for (size_t i = 0; i < 3; i++) {
        g[i] = (pw_group){.epoch = t->epoch,
                          .number = t->number + 1 + (i == 2 ? 1 : i),
                          .ops = &ops[i],
                          .len = 1};
    }
    pw_memory_fail_commit(t->store, PW_FAULT_UNKNOWN_LANDED, 0);
    pw_writer_submit(w, &g[0]);
    pw_writer_submit(w, &g[1]);
    wait_for(&a, 2);
    assert_int_equal(a.statuses[0], PAWL_UNKNOWN);
    assert_int_equal(a.statuses[1], PAWL_NOT);
    pw_memory_fail_reopen(t->store, 1);
    assert_int_equal(pw_writer_reopen(w, &t->err), PAWL_IO);
    assert_int_equal(pw_writer_reopen(w, &t->err), PAWL_OK);
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, g[0].number, &landed, &t->err), PAWL_OK);
    assert_true(landed);
    pw_writer_submit(w, &g[2]);
    wait_for(&a, 3);
    assert_int_equal(a.statuses[2], PAWL_OK);
    pw_writer_stop(w);
    rig_close(t);
}

static void the_rite_on_a_sound_file_changes_nothing_and_readers_go_on(void **state)
{
    (void)state;
    answers a;
    rig_history h;
    rig *t = rig_open("sqlite");
    rig_run one = rig_start(t, "one");
    bool landed = false;
    assert_int_equal(rig_turn(t, &one, 2, "x"), PAWL_OK);
    assert_int_equal(rig_read(t, one.key, 0, &h), PAWL_OK);
    pw_writer *w = start(t, &a);
    assert_int_equal(pw_writer_reopen(w, &t->err), PAWL_OK);
    assert_int_equal(rig_read(t, one.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start x ");
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, t->number, &landed, &t->err), PAWL_OK);
    assert_true(landed);
    assert_int_equal(t->j->ops->resolve(t->j, t->epoch, t->number + 1, &landed, &t->err), PAWL_OK);
    assert_false(landed);
    pw_writer_stop(w);
    assert_int_equal(rig_turn(t, &one, 1, "y"), PAWL_OK);
    rig_close(t);
}

static void the_thread_says_how_much_processor_time_it_used(void **state)
{
    answers a;
    rig *t = rig_open(*state);
    pw_writer *w = start(t, &a);
    pw_op op = timer_op(1);
    pw_group g = {.epoch = t->epoch, .number = t->number + 1, .ops = &op, .len = 1};
    pw_writer_submit(w, &g);
    wait_for(&a, 1);
    assert_true(pw_writer_cpu_us(w) > 0);
    pw_writer_stop(w);
    pw_writer_stop(NULL);
    rig_close(t);
}

/* ---- the breadcrumb ---- */

static void a_crumb_survives_sigkill_and_is_cleared_by_a_clean_end(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_crumb *c = NULL;
    pw_crumb_found found;
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (pw_crumb_open(t->path, &c, &found, NULL) == PAWL_OK &&
            pw_crumb_own(c, NULL) == PAWL_OK) {
            pw_crumb_enter(c, PW_CRUMB_LOOP, 42, "step build", 7);
            (void)!write(ready[1], "x", 1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(found.run, 42);
    assert_string_equal(found.site, "step build");
    assert_int_equal(pw_crumb_own(c, &t->err), PAWL_OK);
    pw_crumb_enter(c, PW_CRUMB_LOOP, 43, "other", 9);
    pw_crumb_leave(c, PW_CRUMB_LOOP);
    pw_crumb_close(c, true);
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(found.run, 0);
    pw_crumb_close(c, true);
    pw_crumb_close(NULL, true);
    close(ready[0]);
    close(ready[1]);
    rig_close(t);
}

static void attempts_and_transactional_steps_leave_crumbs_of_their_own(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_crumb *c = NULL;
    pw_crumb_found found;
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(pw_crumb_own(c, &t->err), PAWL_OK);
    assert_int_equal(pw_crumb_own(c, &t->err), PAWL_OK);
    pw_crumb_enter(c, PW_CRUMB_JOURNAL, 5, "tx", 1);
    int first = pw_crumb_task_begin(c, &(pw_crumb_task){7, 1, 0, 2});
    int second = pw_crumb_task_begin(c, &(pw_crumb_task){8, 2, 3, 1});
    assert_true(first >= 0 && second >= 0 && first != second);
    pw_crumb_task_end(c, first);
    pw_crumb_close(c, false); /* as a process that ends: nothing is cleared */
    pw_crumb *late = c;       /* the second attempt's thread comes back later */
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(found.run, 0);
    assert_int_equal(found.tx_run, 5);
    assert_string_equal(found.tx_site, "tx");
    assert_int_equal(found.tasks_len, 1);
    assert_int_equal(found.tasks[0].run, 8);
    assert_int_equal(found.tasks[0].item, 3);
    assert_int_equal(found.tasks[0].attempt, 1);
    pw_crumb_enter(c, PW_CRUMB_LOOP, 6, "a look, and the end of its process", 1);
    pw_crumb_task_end(late, second);
    pw_crumb_close(c, false);
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(found.run, 0);
    assert_int_equal(found.tx_run, 5);
    assert_int_equal(found.tasks_len, 1);
    assert_int_equal(pw_crumb_own(c, &t->err), PAWL_OK); /* it is counted now */
    pw_crumb_close(c, true);
    assert_int_equal(pw_crumb_open(t->path, &c, &found, &t->err), PAWL_OK);
    assert_int_equal(found.tx_run + (int64_t)found.tasks_len, 0);
    pw_crumb_close(c, true);
    rig_close(t);
}

typedef struct watch {
    pw_crumb *crumb;
    _Atomic bool stop;
    int seen;
} watch;

static void *peek_on(void *arg)
{
    watch *w = arg;
    char site[PW_CRUMB_SITE_BYTES];
    int64_t since = 0;
    while (!w->stop) {
        int64_t run = pw_crumb_peek(w->crumb, PW_CRUMB_LOOP, &since, site);
        if (run != 0) {
            char expected[64];
            snprintf(expected, sizeof(expected), "site of run %lld", (long long)run);
            assert_string_equal(site, expected);
            assert_int_equal(since, run * 3);
            w->seen++;
        }
    }
    return NULL;
}

static void a_watchdog_never_sees_half_a_crumb(void **state)
{
    (void)state;
    watch w = {0};
    pw_crumb_found found;
    pawl_error err;
    pthread_t thread;
    assert_int_equal(pw_crumb_open(NULL, &w.crumb, &found, &err), PAWL_OK);
    assert_int_equal(found.run, 0);
    assert_int_equal(pthread_create(&thread, NULL, peek_on, &w), 0);
    for (int64_t run = 1; run < 100000; run++) {
        char site[64];
        snprintf(site, sizeof(site), "site of run %lld", (long long)run);
        pw_crumb_enter(w.crumb, PW_CRUMB_LOOP, run, site, run * 3);
        if (run % 3 == 0) {
            pw_crumb_leave(w.crumb, PW_CRUMB_LOOP);
        }
    }
    w.stop = true;
    pthread_join(thread, NULL);
    pw_crumb_close(w.crumb, true);
}

int main(void)
{
    char sqlite[] = "sqlite";
    char memory[] = "memory";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(groups_are_answered_in_the_order_they_were_submitted, sqlite),
        cmocka_unit_test_prestate(groups_are_answered_in_the_order_they_were_submitted, memory),
        cmocka_unit_test_prestate(a_group_that_is_shown_bit_by_bit_lands_as_one, sqlite),
        cmocka_unit_test_prestate(a_group_that_is_shown_bit_by_bit_lands_as_one, memory),
        cmocka_unit_test_prestate(a_group_that_is_taken_back_leaves_nothing_and_may_come_again,
                                  sqlite),
        cmocka_unit_test_prestate(a_group_that_is_taken_back_leaves_nothing_and_may_come_again,
                                  memory),
        cmocka_unit_test_prestate(an_operation_that_fails_is_told_when_its_group_is_whole, sqlite),
        cmocka_unit_test_prestate(an_operation_that_fails_is_told_when_its_group_is_whole, memory),
        cmocka_unit_test_prestate(a_blob_is_staged_before_the_group_submitted_after_it, sqlite),
        cmocka_unit_test_prestate(a_blob_is_staged_before_the_group_submitted_after_it, memory),
        cmocka_unit_test(a_chunk_that_found_no_room_ends_its_group_as_a_full_disk_does),
        cmocka_unit_test(after_unknown_everything_is_refused_until_the_rite),
        cmocka_unit_test(the_rite_on_a_sound_file_changes_nothing_and_readers_go_on),
        cmocka_unit_test_prestate(the_thread_says_how_much_processor_time_it_used, sqlite),
        cmocka_unit_test(a_crumb_survives_sigkill_and_is_cleared_by_a_clean_end),
        cmocka_unit_test(attempts_and_transactional_steps_leave_crumbs_of_their_own),
        cmocka_unit_test(a_watchdog_never_sees_half_a_crumb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
