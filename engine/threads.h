/*
 * threads.h - how the engine starts a thread of its own: named, with the signals of the host blocked.
 *
 * Faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS) stay unblocked: the kernel kills a process whose thread faults with the
 * signal blocked, past every handler of the host.
 */
#ifndef PW_THREADS_H
#define PW_THREADS_H

#include <pthread.h>
#include <signal.h>

#include "sdk/base/error.h"

pawl_status pw_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg), void *arg, pawl_error *err);
/** The same mask for a while on the calling thread: threads that others start in between inherit it. */
void pw_signals_block(sigset_t *ret_before);
void pw_signals_restore(const sigset_t *before);

#endif
