/*
 * threads.c - pthread_create with the signal mask set before the thread exists, so that it never sees a signal of the host; and the gate. Does not
 * join and keeps no list.
 *
 * The gate's flag is what orders memory; the semaphore only sleeps (sanitizers know the one and not sem_clockwait).
 */
#include "engine/threads.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void pw_signals_block(sigset_t *ret_before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;

    sigfillset(&blocked);
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        sigdelset(&blocked, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &blocked, ret_before);
}

void pw_signals_restore(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

pawl_status pw_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg),
                            void *arg, pawl_error *err)
{
    sigset_t before;

    pw_signals_block(&before);
    int rc = pthread_create(ret_thread, NULL, fn, arg);
    pw_signals_restore(&before);
    if (rc != 0) {
        return pw_err(err, rc == EAGAIN ? PAWL_LIMIT : PAWL_NOMEM, "cannot start the thread %s: %s",
                      name, strerror(rc));
    }
    pthread_setname_np(*ret_thread, name);
    return PAWL_OK;
}

/* ---- the gate ---- */

void pw_gate_init(pw_gate *g)
{
    sem_init(&g->sem, 0, 0);
    atomic_init(&g->open, false);
}

void pw_gate_deinit(pw_gate *g)
{
    sem_destroy(&g->sem);
}

void pw_gate_open(pw_gate *g)
{
    atomic_store_explicit(&g->open, true, memory_order_release);
    sem_post(&g->sem);
}

static int wait_until(pw_gate *g, int64_t timeout_ms)
{
    struct timespec until;
    int rc;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while ((rc = sem_clockwait(&g->sem, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR) {
    }
    return rc;
}

bool pw_gate_wait(pw_gate *g, int64_t timeout_ms)
{
    int rc = 0;

    if (timeout_ms >= 0) {
        rc = wait_until(g, timeout_ms);
    } else {
        while ((rc = sem_wait(&g->sem)) != 0 && errno == EINTR) {
        }
    }
    return rc == 0 && atomic_load_explicit(&g->open, memory_order_acquire);
}
