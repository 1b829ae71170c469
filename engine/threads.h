/*
 * threads.h - how the engine starts a thread of its own: named, with the signals of the host blocked.
 *
 * Faults (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS) stay unblocked: the kernel kills a process whose thread faults with the
 * signal blocked, past every handler of the host.
 *
 * And the gate: how one thread waits for another to have done one thing.
 */
#ifndef PW_THREADS_H
#define PW_THREADS_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

#include "sdk/base/error.h"

pawl_status pw_thread_start(pthread_t *ret_thread, const char *name, void *(*fn)(void *arg),
                            void *arg, pawl_error *err);
/** The same mask for a while on the calling thread: threads that others start in between inherit it. */
void pw_signals_block(sigset_t *ret_before);
void pw_signals_restore(const sigset_t *before);

/** Opened once, by one thread; what it wrote before is seen by whoever has waited. May be freed as soon as wait has said true. */
typedef struct pw_gate {
    sem_t sem;
    atomic_bool open;
} pw_gate;

void pw_gate_init(pw_gate *g);
void pw_gate_deinit(pw_gate *g);
void pw_gate_open(pw_gate *g);
/** False when it was not opened within timeout_ms (< 0 = for ever). */
bool pw_gate_wait(pw_gate *g, int64_t timeout_ms);

#endif
