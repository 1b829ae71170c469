/*
 * loop.c - the engine's thread.
 *
 *     take the mail -> feed it to the core -> step -> nothing more to do? sleep : again
 *
 * Groups that landed are fed first, since they unfreeze runs; then task reports, requests, gone clients and, last, calls: whoever calls to
 * end something (a client, the loop) knows that what was posted before has reached the core. The timer is armed again only
 * when the next time is earlier than the armed one: waking too early costs one step that finds nothing.
 *
 * There is no spin while a group is in flight: a hand-off to the journal thread or back costs 3-4 us of a step's 280 (the commit is the rest),
 * and spinning over a sync would cost the CPU time of one.
 *
 * This file knows nothing of runs, and does no I/O but for its own wake-up.
 */
#include "engine/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/threads.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

struct pw_loop {
    pw_core *core;
    pw_mailbox *mailbox;
    pw_watchdog *watchdog;
    pthread_t thread;
    int timer_fd;
    int64_t armed_ms;        /* wall time the timer is armed for */
    bool stop;               /* the thread's own */
    struct settler *settler; /* the thread's own: who waits for idleness */
};

/* ---- the timer ---- */

static void arm(pw_loop *loop, int64_t at_ms)
{
    struct itimerspec spec = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};

    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL);
    loop->armed_ms = at_ms;
}

/** Far away, but armed: only an armed timer tells of a clock that was set. */
static void arm_far(pw_loop *loop)
{
    arm(loop, pw_wall_ms() + PW_TIMER_WINDOW_MS * (int64_t)1000);
}

static void arm_for(pw_loop *loop, int64_t wait_ms)
{
    if (wait_ms < 0) {
        return;
    }
    int64_t at_ms = pw_wall_ms() + wait_ms;
    if (at_ms < loop->armed_ms) {
        arm(loop, at_ms);
    }
}

/** The descriptor was readable: it expired, or the clock was set. */
static void timer_fired(pw_loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->timer_fd, &count, sizeof count);

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n < 0 && errno == ECANCELED) {
        pw_core_clock_changed(loop->core);
    }
    arm_far(loop);
}

/* ---- the mail ---- */

static void feed_live(pw_loop *loop, pw_mail *mail)
{
    while (mail->reports != NULL) {
        pw_report *report = mail->reports;
        mail->reports = report->next;
        report->next = NULL;
        pw_core_report(loop->core, report);
    }
    while (mail->requests != NULL) {
        pw_request *rq = mail->requests;
        mail->requests = rq->next;
        rq->next = NULL;
        pw_core_request(loop->core, rq);
    }
    while (mail->gone != NULL) {
        pw_gone *gone = mail->gone;
        mail->gone = gone->next;
        pw_core_client_gone(loop->core, gone->client);
        pw_free(gone);
    }
}

static void feed(pw_loop *loop)
{
    pw_mail mail;

    if (!pw_mailbox_peek(loop->mailbox)) {
        return;
    }
    pw_mailbox_take(loop->mailbox, &mail);
    for (size_t i = 0; i < mail.groups_len; i++) {
        pw_core_committed(loop->core, mail.groups[i]);
    }
    feed_live(loop, &mail);
    while (mail.calls != NULL) {
        pw_call *call = mail.calls;
        mail.calls = call->next; /* run may free it */
        call->run(call);
    }
}

static void sleep_until_due(pw_loop *loop, int64_t wait_ms)
{
    struct pollfd fds[2] = {{.fd = pw_mailbox_fd(loop->mailbox), .events = POLLIN},
                            {.fd = loop->timer_fd, .events = POLLIN}};

    arm_for(loop, wait_ms);
    if (!pw_mailbox_rest(loop->mailbox)) {
        return;
    }
    pw_watchdog_loop_asleep(loop->watchdog);
    int n = poll(fds, 2, -1);
    pw_watchdog_loop_awake(loop->watchdog);
    pw_mailbox_wake(loop->mailbox);
    if (n > 0 && fds[1].revents != 0) {
        timer_fired(loop);
    }
}

/* ---- waiting for idleness ---- */

struct settler {
    pw_call call;
    pw_loop *loop;
    bool tasks;
    pw_gate done;
};

static void settle_begin(pw_call *call)
{
    struct settler *s = (struct settler *)(void *)((char *)call - offsetof(struct settler, call));

    s->loop->settler = s;
}

static void settle_check(pw_loop *loop)
{
    struct settler *s = loop->settler;

    if (s == NULL || pw_mailbox_peek(loop->mailbox) || !pw_core_idle(loop->core)) {
        return;
    }
    if (s->tasks && pw_core_tasks_running(loop->core) > 0) {
        return;
    }
    loop->settler = NULL;
    pw_gate_open(&s->done);
}

static pawl_status settle_end(void *ctx, pawl_error *err)
{
    pw_loop *loop = ctx;

    (void)err;
    loop->settler = NULL;
    return PAWL_OK;
}

bool pw_loop_settle(pw_loop *loop, bool tasks, int64_t timeout_ms)
{
    struct settler s = {.call = {.run = settle_begin}, .loop = loop, .tasks = tasks};

    pw_gate_init(&s.done);
    pw_mailbox_put_call(loop->mailbox, &s.call);
    bool settled = pw_gate_wait(&s.done, timeout_ms);
    if (!settled) {
        pawl_error err;
        (void)!pw_loop_call(loop, settle_end, loop,
                            &err); /* from here on the loop does not know s */
        settled = pw_gate_wait(&s.done, 0);
    }
    pw_gate_deinit(&s.done);
    return settled;
}

/* ---- the thread ---- */

static void *run(void *arg)
{
    pw_loop *loop = arg;
    void *altstack = pw_watchdog_altstack_init();

    arm_far(loop);
    while (!loop->stop) {
        feed(loop);
        int64_t wait_ms = pw_core_step(loop->core);
        settle_check(loop);
        if (wait_ms != 0 && !loop->stop) {
            sleep_until_due(loop, wait_ms);
        }
    }
    pw_watchdog_altstack_deinit(altstack);
    return NULL;
}

pawl_status pw_loop_start(pw_core *core, pw_mailbox *mailbox, pw_watchdog *watchdog,
                          pw_loop **ret_loop, pawl_error *err)
{
    pw_loop *loop = pw_calloc(1, sizeof *loop);

    if (loop == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the engine's loop");
    }
    *loop = (pw_loop){.core = core, .mailbox = mailbox, .watchdog = watchdog};
    loop->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->timer_fd < 0) {
        int number = errno;
        pw_free(loop);
        return pw_err(err, PAWL_IO, "timerfd: %s", strerror(number));
    }
    pawl_status status = pw_thread_start(&loop->thread, "pawl-engine", run, loop, err);
    if (status != PAWL_OK) {
        close(loop->timer_fd);
        pw_free(loop);
        return status;
    }
    *ret_loop = loop;
    return PAWL_OK;
}

/* ---- calls ---- */

struct call {
    pw_call link;
    pawl_status (*fn)(void *ctx, pawl_error *err);
    void *ctx;
    pawl_status status;
    pawl_error err;
    pw_gate done;
};

static void run_call(pw_call *link)
{
    struct call *c = (struct call *)(void *)((char *)link - offsetof(struct call, link));

    c->status = c->fn(c->ctx, &c->err);
    pw_gate_open(&c->done);
}

pawl_status pw_loop_call(pw_loop *loop, pawl_status (*fn)(void *ctx, pawl_error *err), void *ctx,
                         pawl_error *err)
{
    struct call c = {.link = {.run = run_call}, .fn = fn, .ctx = ctx};

    PW_CHECK(!pw_loop_is_self(loop));
    pw_gate_init(&c.done);
    pw_mailbox_put_call(loop->mailbox, &c.link);
    (void)pw_gate_wait(&c.done, -1);
    pw_gate_deinit(&c.done);
    if (c.status != PAWL_OK && err != NULL) {
        *err = c.err;
    }
    return c.status;
}

static pawl_status stop(void *ctx, pawl_error *err)
{
    pw_loop *loop = ctx;

    (void)err;
    loop->stop = true;
    return PAWL_OK;
}

void pw_loop_stop(pw_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    pawl_error err;
    (void)!pw_loop_call(loop, stop, loop, &err);
    pthread_join(loop->thread, NULL);
}

void pw_loop_free(pw_loop *loop)
{
    if (loop != NULL) {
        close(loop->timer_fd);
        pw_free(loop);
    }
}

bool pw_loop_is_self(const pw_loop *loop)
{
    return pthread_equal(loop->thread, pthread_self()) != 0;
}

int64_t pw_loop_cpu_us(const pw_loop *loop)
{
    clockid_t clock;
    struct timespec ts;

    if (pthread_getcpuclockid(loop->thread, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        return 0;
    }
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
