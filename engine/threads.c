/*
 * threads.c - pthread_create with the signal mask set before the thread exists, so that it never sees a signal of the host. Does not join
 * and keeps no list.
 */
#include "engine/threads.h"

#include <errno.h>
#include <string.h>

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

pawl_status pw_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg), void *arg, pawl_error *err)
{
    sigset_t before;

    pw_signals_block(&before);
    int rc = pthread_create(ret_thread, NULL, fn, arg);
    pw_signals_restore(&before);
    if (rc != 0) {
        return pw_err(err, rc == EAGAIN ? PAWL_LIMIT : PAWL_NOMEM, "cannot start the thread %s: %s", name, strerror(rc));
    }
    pthread_setname_np(*ret_thread, name);
    return PAWL_OK;
}
