/*
 * mcp_process.c - the thread of a server process: everything is polled in one loop, as exec.c does for a program that ends by itself.
 *
 * Signals are blocked on the thread, SIGPIPE too: a program that closed its input is an error of write. Does not know eras, and does not
 * start a program again: mcp_server.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "activities/mcp_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activities/capture.h"
#include "activities/exec_spawn.h"
#include "activities/mcp_call.h"
#include "activities/supervisor.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum { READ_BYTES = 65536, STDERR_BYTES = 8192, GRACE_MS = 400 };

struct pw_mcp_process {
    atomic_int refs;
    pthread_mutex_t lock; /* over what callers see: out ... changed */
    pw_buf out;
    uint64_t queued;  /* bytes ever put into out */
    uint64_t written; /* bytes ever taken by the program */
    pw_mcp_waiter *waiters;
    bool stopping;
    bool ended;
    bool changed;
    int64_t used_ms;
    pw_capture err;
    int status;       /* as of waitpid, when ended normally */
    int failed_errno; /* it could not be started */

    int wake;
    pthread_t thread;
    pw_child child; /* the thread's */
    pw_buf line;
    int step; /* of stopping: 0 none, 1 input closed, 2 asked, 3 killed */
    int64_t step_at_ms;
    char name[100];
};

static void wake(const pw_mcp_process *p)
{
    const uint64_t one = 1;
    while (write(p->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* ---- lines that came; the lock is held ---- */

static pw_mcp_waiter *waiter_of(const pw_mcp_process *p, int64_t id)
{
    pw_mcp_waiter *w = p->waiters;
    while (w != NULL && w->id != id) {
        w = w->next;
    }
    return w;
}

static void out_put(pw_mcp_process *p, const char *text, size_t size)
{
    pw_buf_put(&p->out, text, size);
    pw_buf_putc(&p->out, '\n');
    p->queued += size + 1;
}

/* A question of the server that belongs to no call in particular goes to the one that waits longest. */
static pw_mcp_waiter *whose(pw_mcp_process *p, const pw_mcp_message *m)
{
    switch (m->kind) {
    case PW_MCP_RESULT:
    case PW_MCP_ERROR:
        return m->id >= 0 ? waiter_of(p, m->id) : NULL;
    case PW_MCP_REQUEST:
        return p->waiters;
    case PW_MCP_NOTIFICATION:
        p->changed |= strcmp(m->method, "notifications/tools/list_changed") == 0;
        return waiter_of(p, pawl_int(m->params, "progressToken", -1));
    case PW_MCP_BAD:
        break;
    }
    return NULL;
}

static void deliver(pw_mcp_process *p, const char *text, size_t size)
{
    pw_mcp_message m;
    pawl_error err;
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL || pw_mcp_read(scope, text, size, &m, &err) != PAWL_OK) {
        pawl_scope_free(scope); /* programs print all kinds of things */
        return;
    }
    pw_mcp_waiter *w = whose(p, &m);
    if (w != NULL) {
        if (!pw_mcp_inbox_put(w->inbox, text, size)) {
            pw_mcp_inbox_end(w->inbox);
        }
    } else if (m.kind == PW_MCP_REQUEST) {
        pw_buf answer = PW_BUF_INIT;
        if (strcmp(m.method, "ping") == 0) {
            pw_mcp_write_result(&answer, m.id_value, NULL);
        } else {
            pw_mcp_write_error(&answer, m.id_value, PW_MCP_METHOD_NOT_FOUND,
                               "nobody here answers that now");
        }
        out_put(p, pw_buf_cstr(&answer), answer.size);
        pw_buf_deinit(&answer);
    }
    pawl_scope_free(scope);
}

/* False: a line is longer than allowed. */
static bool take_lines(pw_mcp_process *p, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        const size_t part = end != NULL ? (size_t)(end - bytes) : size;
        pw_buf_put(&p->line, bytes, part);
        if (!pw_buf_ok(&p->line)) {
            return false;
        }
        if (end == NULL) {
            return true;
        }
        if (p->line.size > 0) {
            deliver(p, pw_buf_cstr(&p->line), p->line.size);
        }
        pw_buf_reset(&p->line);
        bytes += part + 1;
        size -= part + 1;
    }
    return true;
}

/* ---- descriptors ---- */

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void read_out(pw_mcp_process *p)
{
    char bytes[READ_BYTES];
    const ssize_t got = read(p->child.out, bytes, sizeof bytes);
    if (got > 0) {
        pthread_mutex_lock(&p->lock);
        p->stopping |= !take_lines(p, bytes, (size_t)got);
        pthread_mutex_unlock(&p->lock);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd_close(&p->child.out);
        pthread_mutex_lock(&p->lock);
        p->stopping = true; /* it has nothing to say any more */
        pthread_mutex_unlock(&p->lock);
    }
}

static void read_err(pw_mcp_process *p)
{
    char bytes[READ_BYTES];
    const ssize_t got = read(p->child.err, bytes, sizeof bytes);
    if (got > 0) {
        pthread_mutex_lock(&p->lock);
        pw_capture_put(&p->err, bytes, (size_t)got);
        pthread_mutex_unlock(&p->lock);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd_close(&p->child.err);
    }
}

static void write_in(pw_mcp_process *p)
{
    pthread_mutex_lock(&p->lock);
    const ssize_t wrote = p->out.size > 0 ? write(p->child.in, p->out.data, p->out.size) : 0;
    if (wrote > 0) {
        p->written += (uint64_t)wrote;
        p->out.size -= (size_t)wrote;
        memmove(p->out.data, p->out.data + wrote, p->out.size);
    }
    const bool broken = wrote < 0 && errno != EAGAIN && errno != EINTR;
    p->stopping |= broken;
    pthread_mutex_unlock(&p->lock);
    if (broken) {
        fd_close(&p->child.in);
    }
}

/* True when it has ended. */
static bool hear(pw_mcp_process *p)
{
    pw_sup_message m;
    const ssize_t got = recv(p->child.control, &m, sizeof m, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got == (ssize_t)sizeof m && m.kind == PW_SUP_STARTED) {
        return false;
    }
    if (got == (ssize_t)sizeof m) {
        pthread_mutex_lock(&p->lock);
        p->status = m.kind == PW_SUP_ENDED ? m.status : 0;
        p->failed_errno = m.kind == PW_SUP_FAILED ? m.error : 0;
        pthread_mutex_unlock(&p->lock);
    }
    return true;
}

/* ---- the loop ---- */

/* Input closed, asked, killed: a moment each. */
static void stop_steps(pw_mcp_process *p, int64_t now)
{
    static const char words[] = {0, 0, PW_SUP_TERM, PW_SUP_KILL};
    if (p->step > 0 && now - p->step_at_ms < GRACE_MS) {
        return;
    }
    fd_close(&p->child.in);
    p->step += p->step < 3;
    p->step_at_ms = now;
    if (words[p->step] != 0) {
        (void)send(p->child.control, &words[p->step], 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static int poll_ms(const pw_mcp_process *p, int64_t now, bool stopping)
{
    if (stopping) {
        const int64_t left = p->step_at_ms + GRACE_MS - now;
        return left > 0 ? (int)left : 0;
    }
    return 1000; /* to see that nobody uses it */
}

/* One turn. False: it has ended. */
static bool turn(pw_mcp_process *p)
{
    const int64_t now = pw_mono_ms();
    pthread_mutex_lock(&p->lock);
    p->stopping |= p->waiters == NULL && now - p->used_ms > PW_MCP_PROCESS_IDLE_MS;
    const bool stopping = p->stopping;
    const bool writes = p->out.size > 0;
    pthread_mutex_unlock(&p->lock);
    if (stopping) {
        stop_steps(p, now);
    }
    struct pollfd fds[5] = {{.fd = p->child.control, .events = POLLIN},
                            {.fd = p->child.out, .events = POLLIN},
                            {.fd = p->child.err, .events = POLLIN},
                            {.fd = p->wake, .events = POLLIN},
                            {.fd = writes ? p->child.in : -1, .events = POLLOUT}};
    if (poll(fds, 5, poll_ms(p, now, stopping)) < 0) {
        return true;
    }
    if (fds[1].revents != 0) {
        read_out(p);
    }
    if (fds[2].revents != 0) {
        read_err(p);
    }
    if (fds[3].revents != 0) {
        uint64_t count = 0;
        (void)!read(p->wake, &count, sizeof count);
    }
    if (fds[4].revents != 0) {
        write_in(p);
    }
    return fds[0].revents == 0 || !hear(p);
}

static void *thread_main(void *arg)
{
    pw_mcp_process *p = arg;
    (void)pthread_setname_np(pthread_self(), "pawl-mcp");
    while (turn(p)) {
    }
    while (p->child.out >= 0) { /* what it said before it ended */
        struct pollfd fd = {.fd = p->child.out, .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0) {
            break;
        }
        read_out(p);
    }
    pw_child_close(&p->child);
    pthread_mutex_lock(&p->lock);
    p->ended = true;
    for (pw_mcp_waiter *w = p->waiters; w != NULL; w = w->next) {
        pw_mcp_inbox_end(w->inbox);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- life ---- */

static void process_free(pw_mcp_process *p)
{
    if (p->wake >= 0) {
        close(p->wake);
    }
    pw_buf_deinit(&p->out);
    pw_buf_deinit(&p->line);
    pw_capture_deinit(&p->err);
    pthread_mutex_destroy(&p->lock);
    pw_free(p);
}

static int thread_start(pw_mcp_process *p)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&p->thread, NULL, thread_main, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static pawl_status process_begin(pw_mcp_process *p, const pawl_exec_options *options,
                                 pawl_error *err)
{
    pawl_exec_options o = *options;
    pawl_scope *scope = pawl_scope_new();
    o.stdin_text = ""; /* a pipe, not /dev/null */
    const bool spawned = scope != NULL && pw_child_spawn(&p->child, scope, &o, -1);
    const int why = errno;
    pawl_scope_free(scope);
    if (!spawned) {
        return pw_err(err, PAWL_IO, "%.100s cannot be started: %s", p->name, strerror(why));
    }
    if (thread_start(p) != 0) {
        pw_child_close(&p->child);
        return pw_err(err, PAWL_LIMIT, "the thread of %.100s cannot be started", p->name);
    }
    return PAWL_OK;
}

pawl_status pw_mcp_process_start(const pawl_exec_options *options, pw_mcp_process **ret_process,
                                 pawl_error *err)
{
    pw_mcp_process *p = pw_calloc(1, sizeof *p);
    if (p == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a server");
    }
    atomic_init(&p->refs, 1);
    pthread_mutex_init(&p->lock, NULL);
    pw_buf_init(&p->line, PW_MCP_MESSAGE_BYTES_MAX);
    pw_capture_init(&p->err, STDERR_BYTES);
    p->child = (pw_child){.control = -1, .in = -1, .out = -1, .err = -1};
    p->used_ms = pw_mono_ms();
    (void)snprintf(p->name, sizeof p->name, "%s", options->argv[0]);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const pawl_status status = p->wake >= 0 ? process_begin(p, options, err)
                                            : pw_err(err, PAWL_LIMIT, "no descriptor for a server");
    if (status != PAWL_OK) {
        process_free(p);
        return status;
    }
    *ret_process = p;
    return PAWL_OK;
}

pw_mcp_process *pw_mcp_process_take(pw_mcp_process *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void pw_mcp_process_give(pw_mcp_process *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    wake(p);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    process_free(p);
}

bool pw_mcp_process_alive(pw_mcp_process *p)
{
    pthread_mutex_lock(&p->lock);
    const bool alive = !p->ended && !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return alive;
}

/* ---- for calls ---- */

bool pw_mcp_process_enter(pw_mcp_process *p, pw_mcp_waiter *waiter, const char *text, size_t size)
{
    pthread_mutex_lock(&p->lock);
    const bool open = !p->ended && !p->stopping;
    if (open) {
        pw_mcp_waiter **last = &p->waiters;
        waiter->prev = NULL;
        waiter->next = NULL;
        while (*last != NULL) {
            waiter->prev = *last;
            last = &(*last)->next;
        }
        *last = waiter;
        waiter->begins_at = p->queued;
        out_put(p, text, size);
        p->stopping |= !pw_buf_ok(&p->out);
        wake(p);
    }
    pthread_mutex_unlock(&p->lock);
    return open;
}

void pw_mcp_process_leave(pw_mcp_process *p, pw_mcp_waiter *waiter)
{
    pthread_mutex_lock(&p->lock);
    *(waiter->prev != NULL ? &waiter->prev->next : &p->waiters) = waiter->next;
    if (waiter->next != NULL) {
        waiter->next->prev = waiter->prev;
    }
    p->used_ms = pw_mono_ms();
    pthread_mutex_unlock(&p->lock);
}

void pw_mcp_process_say(pw_mcp_process *p, const char *text, size_t size)
{
    pthread_mutex_lock(&p->lock);
    if (!p->ended) {
        out_put(p, text, size);
        wake(p);
    }
    pthread_mutex_unlock(&p->lock);
}

bool pw_mcp_process_sent(pw_mcp_process *p, const pw_mcp_waiter *waiter)
{
    pthread_mutex_lock(&p->lock);
    const bool sent = p->written > waiter->begins_at;
    pthread_mutex_unlock(&p->lock);
    return sent;
}

bool pw_mcp_process_tools_changed(pw_mcp_process *p)
{
    pthread_mutex_lock(&p->lock);
    const bool changed = p->changed;
    p->changed = false;
    pthread_mutex_unlock(&p->lock);
    return changed;
}

void pw_mcp_process_why(pw_mcp_process *p, char *ret, size_t size)
{
    char said[200];
    pthread_mutex_lock(&p->lock);
    pw_capture_last_line(&p->err, said, sizeof said);
    const char *colon = said[0] != '\0' ? ": " : "";
    if (p->failed_errno != 0) {
        (void)snprintf(ret, size, "%s cannot be run: %s", p->name, strerror(p->failed_errno));
    } else if (p->ended && WIFSIGNALED(p->status)) {
        (void)snprintf(ret, size, "%s was ended by signal %d%s%s", p->name, WTERMSIG(p->status),
                       colon, said);
    } else if (p->ended) {
        (void)snprintf(ret, size, "%s ended with status %d%s%s", p->name, WEXITSTATUS(p->status),
                       colon, said);
    } else {
        (void)snprintf(ret, size, "%s does not answer any more%s%s", p->name, colon, said);
    }
    pthread_mutex_unlock(&p->lock);
}
