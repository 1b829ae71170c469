/*
 * threads.h - how the engine starts a thread of its own: named, with the signals of the host blocked.
 *
 * Faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS) stay unblocked: the kernel kills a process whose thread faults with the
 * signal blocked, past every handler of the host.
 */
#ifndef PW_THREADS_H
#define PW_THREADS_H

#include <pthread.h>

#include "sdk/base/error.h"

pawl_status pw_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg), void *arg, pawl_error *err);

#endif
