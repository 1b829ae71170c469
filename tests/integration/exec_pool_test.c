/*
 * exec_pool_test.c - the blocking runner: order, cancellation, stop with a budget, threads.
 *
 * Activities here meet the test at barriers, never by time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sdk/base/limits.h"
#include "tests/integration/exec_rig.h"

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside;
    int most; /* inside at once */
} gate;

static gate the_gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_reset(void)
{
    the_gate.open = false;
    the_gate.inside = 0;
    the_gate.most = 0;
}

static void gate_open(void)
{
    pthread_mutex_lock(&the_gate.lock);
    the_gate.open = true;
    pthread_cond_broadcast(&the_gate.changed);
    pthread_mutex_unlock(&the_gate.lock);
}

static const pawl_value *pass_the_gate(pawl_task *task, const pawl_value *input, void *user)
{
    (void)user;
    pthread_mutex_lock(&the_gate.lock);
    the_gate.inside++;
    the_gate.most = the_gate.inside > the_gate.most ? the_gate.inside : the_gate.most;
    while (!the_gate.open) {
        pthread_cond_wait(&the_gate.changed, &the_gate.lock);
    }
    the_gate.inside--;
    pthread_mutex_unlock(&the_gate.lock);
    return pawl_task_build(task, "{n: %p}", pawl_v(input));
}

static pawl_runner *pool_of(uint32_t threads)
{
    pawl_error err;
    pawl_runner *pool = NULL;
    if (pawl_pool_start(threads, &pool, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    return pool;
}

static void as_many_tasks_run_at_once_as_there_are_threads(void **state)
{
    rig *r = *state;
    enum { TASKS = 40 };
    pawl_task *tasks[TASKS];
    gate_reset();
    pawl_runner *pool = pool_of(3);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = rig_task(r, pass_the_gate, i + 1, "5");
        pool->ops->start(pool, tasks[i]);
    }
    rig_wait_begun(r, 3);
    gate_open();
    rig_wait_finals(r, TASKS);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(pawl_int(rig_value(r, i + 1, PW_REPORT_DONE), "n", 0), 5);
        pw_task_unref(tasks[i]);
    }
    assert_in_range(the_gate.most, 1, 3);
    pool->ops->stop(pool, 5000);
}

static void a_task_cancelled_while_it_waits_never_runs(void **state)
{
    rig *r = *state;
    gate_reset();
    pawl_runner *pool = pool_of(1);
    pawl_task *running = rig_task(r, pass_the_gate, 1, "1");
    pawl_task *waiting = rig_task(r, pass_the_gate, 2, "2");
    pool->ops->start(pool, running);
    rig_wait_begun(r, 1);
    pool->ops->start(pool, waiting);
    pw_task_cancel(waiting);
    pool->ops->cancel(pool, waiting);
    (void)rig_value(r, 2, PW_REPORT_CANCELED); /* at once: the only thread is busy */
    assert_int_equal(r->begun, 1);
    pool->ops->cancel(pool, running); /* not in the ring: its code has to look */
    gate_open();
    rig_wait_finals(r, 2);
    (void)rig_value(r, 1, PW_REPORT_DONE);
    pw_task_unref(running);
    pw_task_unref(waiting);
    pool->ops->stop(pool, 5000);
}

static void stop_ends_what_waits_and_waits_for_what_runs(void **state)
{
    rig *r = *state;
    gate_reset();
    pawl_runner *pool = pool_of(1);
    pawl_task *one = rig_task(r, pass_the_gate, 1, "1");
    pawl_task *two = rig_task(r, pass_the_gate, 2, "2");
    pool->ops->start(pool, one);
    rig_wait_begun(r, 1);
    pool->ops->start(pool, two);
    gate_open();
    pool->ops->stop(pool, 20000);
    (void)rig_value(r, 1, PW_REPORT_DONE);
    assert_non_null(rig_final(r, 2));
    pw_task_unref(one);
    pw_task_unref(two);
}

static void stop_leaves_a_stuck_thread_behind_when_its_budget_is_spent(void **state)
{
    rig *r = *state;
    gate_reset();
    pawl_runner *pool = pool_of(1);
    pawl_task *stuck = rig_task(r, pass_the_gate, 1, "1");
    pool->ops->start(pool, stuck);
    rig_wait_begun(r, 1);
    pool->ops->stop(pool, 10);
    assert_null(rig_final(r, 1));
    gate_open(); /* it comes back, and frees the pool: the leak check watches */
    rig_wait_finals(r, 1);
    pw_task_unref(stuck);
}

static const pawl_value *blocked_signals(pawl_task *task, const pawl_value *input, void *user)
{
    (void)input;
    (void)user;
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return pawl_task_build(task, "[%d, %d, %d]", sigismember(&set, SIGTERM),
                           sigismember(&set, SIGCHLD), sigismember(&set, SIGSEGV));
}

static void pool_threads_take_no_signal_of_the_host(void **state)
{
    rig *r = *state;
    pawl_runner *pool = pool_of(0);
    pawl_task *task = rig_task(r, blocked_signals, 1, NULL);
    pool->ops->start(pool, task);
    rig_wait_finals(r, 1);
    const pawl_value *v = rig_value(r, 1, PW_REPORT_DONE);
    assert_int_equal(pawl_int(v, "0", 0), 1);
    assert_int_equal(pawl_int(v, "1", 0), 1);
    assert_int_equal(pawl_int(v, "2", 1), 0); /* faults stay with the thread that made them */
    pw_task_unref(task);
    pool->ops->stop(pool, 5000);
}

static void a_task_without_code_fails(void **state)
{
    rig *r = *state;
    pawl_runner *pool = pool_of(1);
    pawl_task *task = rig_task(r, NULL, 1, NULL);
    pool->ops->start(pool, task);
    rig_wait_finals(r, 1);
    assert_string_equal(pawl_str(rig_value(r, 1, PW_REPORT_FAILED), "type", ""), "NoCode");
    pw_task_unref(task);
    pool->ops->stop(pool, 5000);
}

static void too_many_threads_are_refused(void **state)
{
    (void)state;
    pawl_error err;
    pawl_runner *pool = NULL;
    assert_int_equal(pawl_pool_start(PW_POOL_THREADS_MAX + 1, &pool, &err), PAWL_LIMIT);
    assert_null(pool);
}

static int setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    rig_init(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_deinit(*state);
    free(*state);
    return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(as_many_tasks_run_at_once_as_there_are_threads),
        T(a_task_cancelled_while_it_waits_never_runs),
        T(stop_ends_what_waits_and_waits_for_what_runs),
        T(stop_leaves_a_stuck_thread_behind_when_its_budget_is_spent),
        T(pool_threads_take_no_signal_of_the_host),
        T(a_task_without_code_fails),
        T(too_many_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
