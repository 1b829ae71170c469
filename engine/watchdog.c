/*
 * watchdog.c - a thread that looks at the breadcrumb; and the stack on which a handler runs (overflow.c) when the loop's own is full.
 *
 * Parking: the loop stores `asleep` and looks at `parked`; the watchdog stores `parked` and looks at `asleep`. Both are sequentially
 * consistent, so at least one of the two sees the other and no wake-up is lost.
 *
 * Nothing here reads the journal or takes a lock of the engine.
 */
#include "engine/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/threads.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

#define TICKS_BEFORE_PARKING (1000 / PW_WATCHDOG_TICK_MS)
#define ALTSTACK_BYTES ((size_t)64 << 10)

struct pw_watchdog {
    pw_watchdog_options options;
    pthread_t thread;
    sem_t wake;         /* posted to unpark and to stop */
    atomic_bool asleep; /* the loop's */
    atomic_bool parked;
    atomic_bool stop;
    int64_t since_ns[PW_CRUMB_SITES]; /* of the hold that was reported last */
    int64_t next_ms[PW_CRUMB_SITES];  /* when it is reported again */
};

/** True when somebody is in there. */
static bool look_at(pw_watchdog *wd, int slot)
{
    char site[PW_CRUMB_SITE_BYTES];
    int64_t since_ns = 0;
    int64_t run = pw_crumb_peek(wd->options.crumb, slot, &since_ns, site);

    if (run == 0 || since_ns == 0) {
        return false;
    }
    if (since_ns != wd->since_ns[slot]) {
        wd->since_ns[slot] = since_ns;
        wd->next_ms[slot] = wd->options.warn_ms;
    }
    int64_t held_ms = (pw_mono_ns() - since_ns) / 1000000;
    if (wd->options.abort_ms > 0 && held_ms >= wd->options.abort_ms) {
        wd->options.held(wd->options.ctx, slot, run, site, held_ms, true);
        abort();
    }
    if (held_ms > wd->next_ms[slot]) {
        wd->options.held(wd->options.ctx, slot, run, site, held_ms, false);
        wd->next_ms[slot] *= 10;
    }
    return true;
}

static bool look(pw_watchdog *wd)
{
    bool busy = false;

    for (int slot = 0; slot < PW_CRUMB_SITES; slot++) {
        busy |= look_at(wd, slot);
    }
    return busy;
}

/** Sleeps until the loop is awake again. */
static void park(pw_watchdog *wd)
{
    atomic_store(&wd->parked, true);
    if (!atomic_load(&wd->asleep) || atomic_load(&wd->stop)) {
        atomic_store(&wd->parked, false);
        return;
    }
    while (sem_wait(&wd->wake) != 0 && errno == EINTR) {
    }
    atomic_store(&wd->parked, false);
}

static void tick(pw_watchdog *wd)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PW_WATCHDOG_TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (sem_clockwait(&wd->wake, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR) {
    }
}

static void *run(void *arg)
{
    pw_watchdog *wd = arg;
    int idle = 0;

    while (!atomic_load(&wd->stop)) {
        tick(wd);
        bool busy = look(wd);
        idle = atomic_load(&wd->asleep) && !busy ? idle + 1 : 0;
        if (idle >= TICKS_BEFORE_PARKING) {
            park(wd);
            idle = 0;
        }
    }
    return NULL;
}

pawl_status pw_watchdog_start(const pw_watchdog_options *options, pw_watchdog **ret_watchdog,
                              pawl_error *err)
{
    pw_watchdog *wd = pw_calloc(1, sizeof *wd);

    if (wd == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the watchdog");
    }
    wd->options = *options;
    if (wd->options.warn_ms == 0) {
        wd->options.warn_ms = PW_LOCAL_STEP_WARN_MS;
    }
    sem_init(&wd->wake, 0, 0);
    pawl_status status = pw_thread_start(&wd->thread, "pawl-watchdog", run, wd, err);
    if (status != PAWL_OK) {
        sem_destroy(&wd->wake);
        pw_free(wd);
        return status;
    }
    *ret_watchdog = wd;
    return PAWL_OK;
}

void pw_watchdog_stop(pw_watchdog *wd)
{
    if (wd == NULL) {
        return;
    }
    atomic_store(&wd->stop, true);
    sem_post(&wd->wake);
    pthread_join(wd->thread, NULL);
    sem_destroy(&wd->wake);
    pw_free(wd);
}

void pw_watchdog_loop_awake(pw_watchdog *wd)
{
    if (wd == NULL) {
        return;
    }
    atomic_store(&wd->asleep, false);
    if (atomic_load(&wd->parked) && atomic_exchange(&wd->parked, false)) {
        sem_post(&wd->wake);
    }
}

void pw_watchdog_loop_asleep(pw_watchdog *wd)
{
    if (wd != NULL) {
        atomic_store_explicit(&wd->asleep, true, memory_order_release);
    }
}

/* ---- where a handler runs ---- */

void *pw_watchdog_altstack_init(void)
{
    stack_t before;

    if (sigaltstack(NULL, &before) == 0 && !(before.ss_flags & SS_DISABLE)) {
        return NULL; /* somebody (a sanitizer) has given this thread one */
    }
    void *memory =
        mmap(NULL, ALTSTACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    stack_t mine = {.ss_sp = memory, .ss_size = ALTSTACK_BYTES};
    sigaltstack(&mine, NULL);
    return memory;
}

void pw_watchdog_altstack_deinit(void *altstack)
{
    if (altstack != NULL) {
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
        munmap(altstack, ALTSTACK_BYTES);
    }
}
