/*
 * pool.c - the blocking runner: threads that take tasks in the order they came and run the activity's function.
 *
 *   start --> [ring of tasks] --> thread: begin, function, finish
 *   cancel --> a task still in the ring ends at once; a running one sees pawl_task_canceled
 *
 * The first thread is started with the pool, further ones when a task finds none idle. The ring is unbounded: the engine
 * bounds what it dispatches. It is a user of sdk/pawl_activity.h like any other runner.
 *
 * Does not limit one activity's concurrency, does not time tasks out, cannot stop code that does not look at its cancel flag:
 * such a thread is left behind when the budget of stop is spent, and frees the pool when it comes back.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/pawl_activity.h"

typedef struct pool {
    pawl_runner base;
    pthread_mutex_t lock;
    pthread_cond_t work; /* a task came, or stop */
    pthread_cond_t gone; /* a thread ended */
    pawl_task **ring;    /* capacity slots, len tasks from first */
    size_t capacity;
    size_t first;
    size_t len;
    uint32_t threads_max;
    uint32_t started; /* ids filled */
    uint32_t running; /* of them, those that have not ended */
    uint32_t idle;
    bool stopping;
    bool orphaned; /* stop gave up waiting: the last thread frees */
    pthread_t ids[];
} pool;

static pool *pool_of(pawl_runner *runner)
{
    return (pool *)(void *)runner; /* base is the first member */
}

static void pool_free(pool *p)
{
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->gone);
    pthread_mutex_destroy(&p->lock);
    pw_free(p->ring);
    pw_free(p);
}

/* ---- the ring; the lock is held ---- */

static bool ring_push(pool *p, pawl_task *task)
{
    if (p->len == p->capacity) {
        const size_t wider = p->capacity == 0 ? 64 : 2 * p->capacity;
        pawl_task **ring = pw_calloc(wider, sizeof(*ring));
        if (ring == NULL) {
            return false;
        }
        for (size_t i = 0; i < p->len; i++) {
            ring[i] = p->ring[(p->first + i) % p->capacity];
        }
        pw_free(p->ring);
        p->ring = ring;
        p->capacity = wider;
        p->first = 0;
    }
    p->ring[(p->first + p->len) % p->capacity] = task;
    p->len++;
    return true;
}

static pawl_task *ring_shift(pool *p)
{
    if (p->len == 0) {
        return NULL;
    }
    pawl_task *task = p->ring[p->first];
    p->first = (p->first + 1) % p->capacity;
    p->len--;
    return task;
}

static bool ring_remove(pool *p, const pawl_task *task)
{
    for (size_t i = 0; i < p->len; i++) {
        if (p->ring[(p->first + i) % p->capacity] != task) {
            continue;
        }
        for (size_t j = i; j + 1 < p->len; j++) {
            p->ring[(p->first + j) % p->capacity] = p->ring[(p->first + j + 1) % p->capacity];
        }
        p->len--;
        return true;
    }
    return false;
}

/* ---- threads ---- */

static void task_run(pawl_task *task)
{
    if (pawl_task_canceled(task)) {
        pawl_task_finish_canceled(task);
        return;
    }
    void *user = NULL;
    const pawl_activity_fn fn = pawl_task_function(task, &user);
    pawl_task_begin(task);
    if (fn == NULL) {
        pawl_task_finish(task, pawl_task_fail(task, "NoCode", "no function is registered for %s",
                                              pawl_task_activity(task)));
        return;
    }
    pawl_task_finish(task, fn(task, pawl_task_input(task), user));
}

static void *thread_main(void *arg)
{
    pool *p = arg;
    (void)pthread_setname_np(pthread_self(), "pawl-pool");
    pthread_mutex_lock(&p->lock);
    for (;;) {
        pawl_task *task = ring_shift(p);
        if (task == NULL) {
            if (p->stopping) {
                break;
            }
            p->idle++;
            pthread_cond_wait(&p->work, &p->lock);
            p->idle--;
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        task_run(task);
        pthread_mutex_lock(&p->lock);
    }
    p->running--;
    const bool frees = p->orphaned && p->running == 0;
    pthread_cond_signal(&p->gone);
    pthread_mutex_unlock(&p->lock);
    if (frees) {
        pool_free(p);
    }
    return NULL;
}

/* What the host handles, other threads handle; faults stay with the thread that made them. */
static void signals_to_block(sigset_t *ret_set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(ret_set);
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        sigdelset(ret_set, faults[i]);
    }
}

/* The lock is held. */
static bool thread_add(pool *p)
{
    sigset_t block;
    sigset_t before;
    signals_to_block(&block);
    pthread_sigmask(SIG_SETMASK, &block, &before);
    const bool ok = pthread_create(&p->ids[p->started], NULL, thread_main, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok) {
        p->started++;
        p->running++;
    }
    return ok;
}

/* ---- the runner ---- */

static void pool_start(pawl_runner *runner, pawl_task *task)
{
    pool *p = pool_of(runner);
    pthread_mutex_lock(&p->lock);
    const bool stopping = p->stopping;
    const bool taken = !stopping && ring_push(p, task);
    if (taken && p->idle < p->len && p->started < p->threads_max) {
        (void)thread_add(p); /* without another one it waits for those that are there */
    }
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    if (stopping) {
        pawl_task_finish_canceled(task);
    } else if (!taken) {
        pawl_task_finish(task, pawl_task_fail(task, "OutOfMemory", "no memory to queue the task"));
    }
}

static void pool_cancel(pawl_runner *runner, pawl_task *task)
{
    pool *p = pool_of(runner);
    pthread_mutex_lock(&p->lock);
    const bool waiting = ring_remove(p, task);
    pthread_mutex_unlock(&p->lock);
    if (waiting) {
        pawl_task_finish_canceled(task);
    }
}

static struct timespec time_after(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* The lock is held and released: all threads have ended and the pool goes, or they are left behind and it goes with them. */
static void threads_leave(pool *p)
{
    p->orphaned = p->running > 0;
    const bool orphaned = p->orphaned;
    for (uint32_t i = 0; orphaned && i < p->started; i++) {
        pthread_detach(p->ids[i]);
    }
    pthread_mutex_unlock(&p->lock);
    if (orphaned) {
        return;
    }
    for (uint32_t i = 0; i < p->started; i++) {
        pthread_join(p->ids[i], NULL);
    }
    pool_free(p);
}

static void pool_stop(pawl_runner *runner, int64_t deadline_ms)
{
    pool *p = pool_of(runner);
    const struct timespec until = time_after(deadline_ms > 0 ? deadline_ms : 0);
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    for (pawl_task *task = ring_shift(p); task != NULL; task = ring_shift(p)) {
        pthread_mutex_unlock(&p->lock);
        pawl_task_finish_canceled(task);
        pthread_mutex_lock(&p->lock);
    }
    int waited = 0;
    while (p->running > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&p->gone, &p->lock, &until);
    }
    threads_leave(p);
}

static const pawl_runner_ops pool_ops = {
    .struct_size = sizeof(pawl_runner_ops),
    .name = "pool",
    .start = pool_start,
    .cancel = pool_cancel,
    .stop = pool_stop,
};

static pool *pool_new(uint32_t threads_max)
{
    pool *p = pw_calloc(1, sizeof *p + threads_max * sizeof p->ids[0]);
    if (p == NULL) {
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->gone, &monotonic);
    pthread_condattr_destroy(&monotonic);
    p->base.ops = &pool_ops;
    p->threads_max = threads_max;
    return p;
}

pawl_status pawl_pool_start(uint32_t threads, pawl_runner **ret_runner, pawl_error *err)
{
    const uint32_t threads_max = threads == 0 ? PW_POOL_THREADS_DEFAULT : threads;
    if (threads_max > PW_POOL_THREADS_MAX) {
        return pw_err(err, PAWL_LIMIT, "a pool may have %d threads, not %u", PW_POOL_THREADS_MAX,
                      threads_max);
    }
    pool *p = pool_new(threads_max);
    if (p == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the pool");
    }
    pthread_mutex_lock(&p->lock);
    const bool ok = thread_add(p);
    pthread_mutex_unlock(&p->lock);
    if (!ok) {
        pool_free(p);
        return pw_err(err, PAWL_LIMIT, "no thread could be started");
    }
    *ret_runner = &p->base;
    return PAWL_OK;
}
