/*
 * overflow.c - the handler that explains a stack overflow of workflow code.
 *
 *   SIGSEGV in the guard of the stack that runs here --> one line on standard error --+
 *   any other SIGSEGV ----------------------------------------------------------------+--> the handler of before; none: the default
 *
 * It runs on the alternate stack that the loop has (watchdog.h), writes with write(2) alone, and reads only what the thread that faults was
 * itself using. The breadcrumb needs no word of it: it names the run already, and the next open counts that. The handler is the process's, so
 * what it must find again is global: it has no other way to know anything. Does not catch an overflow of other threads' stacks.
 */
#include "engine/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/misuse.h"

static struct {
    pthread_mutex_t lock;
    size_t watchers;
    bool installed; /* ours is the handler, or beneath one that was put over it */
    struct sigaction before;
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- saying it ---- */

typedef struct line {
    char text[512];
    size_t size;
} line;

static void put(line *l, const char *text)
{
    for (size_t i = 0; text != NULL && text[i] != '\0' && i < 120 && l->size < sizeof l->text;
         i++) {
        l->text[l->size++] = text[i];
    }
}

static void put_number(line *l, uint64_t number)
{
    char text[24];
    size_t at = sizeof text - 1;

    text[at] = '\0';
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(l, text + at);
}

/** "pawl: workflow order, run order-17: its stack of 256 KiB is full, after command 3 (charge): ..." */
static void say(const pawl_run *w)
{
    const pw_live *live = w->live;
    line l = {.size = 0};

    put(&l, "pawl: workflow ");
    put(&l, live->def->name);
    put(&l, ", run ");
    put(&l, live->id);
    put(&l, " overflowed its stack of ");
    put_number(&l, pw_fiber_bytes(live->def->stack_bytes) / 1024);
    put(&l, " KiB, ");
    if (live->cmds_len == 0) {
        put(&l, "before its first command");
    } else {
        const pw_cmd *last = live->cmds[live->cmds_len - 1];
        put(&l, "after command ");
        put_number(&l, (uint64_t)last->id);
        if (last->name != NULL && last->name[0] != '\0') {
            put(&l, " (");
            put(&l, last->name);
            put(&l, ")");
        }
    }
    put(&l, ": less recursion, smaller locals, or more stack_bytes in its pawl_workflow_options\n");
    ssize_t n = write(STDERR_FILENO, l.text, l.size);
    (void)n;
}

/* ---- the handler ---- */

/** Nobody handles it: the default comes when the instruction faults again; a signal that somebody sent must be sent again. */
static void fall_through(int number, const siginfo_t *info)
{
    struct sigaction none = {.sa_handler = SIG_DFL};

    sigemptyset(&none.sa_mask);
    sigaction(number, &none, NULL);
    if (info->si_code <= 0) {
        raise(number); /* blocked until we return */
    }
}

static void hand_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *before = &process.before;

    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
        fall_through(number, info);
    } else {
        before->sa_handler(number);
    }
}

static void on_segv(int number, siginfo_t *info, void *context)
{
    int error = errno;
    void *owner = NULL;

    if (info->si_code > 0 && pw_fiber_guard_hit(info->si_addr, &owner) &&
        owner == (void *)pw_running) {
        say(owner);
    }
    errno = error;
    hand_on(number, info, context);
}

static bool is_ours(const struct sigaction *act)
{
    return (act->sa_flags & SA_SIGINFO) != 0 && act->sa_sigaction == on_segv;
}

/* ---- putting it in and out; the lock is held ---- */

static pawl_status install(pawl_error *err)
{
    struct sigaction act = {.sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&act.sa_mask);
    act.sa_sigaction = on_segv;
    if (sigaction(SIGSEGV, NULL, &process.before) != 0 || sigaction(SIGSEGV, &act, NULL) != 0) {
        return pw_err(err, PAWL_IO, "sigaction: %s", strerror(errno));
    }
    process.installed = true;
    return PAWL_OK;
}

static void uninstall(void)
{
    struct sigaction now;

    if (process.installed && sigaction(SIGSEGV, NULL, &now) == 0 && is_ours(&now)) {
        sigaction(SIGSEGV, &process.before, NULL);
        process.installed = false;
    }
}

pawl_status pw_overflow_watch(pawl_error *err)
{
    pthread_mutex_lock(&process.lock);
    pawl_status status = process.installed ? PAWL_OK : install(err);
    process.watchers += status == PAWL_OK ? 1 : 0;
    pthread_mutex_unlock(&process.lock);
    return status;
}

void pw_overflow_unwatch(void)
{
    pthread_mutex_lock(&process.lock);
    if (--process.watchers == 0) {
        uninstall();
    }
    pthread_mutex_unlock(&process.lock);
}
