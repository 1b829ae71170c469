/*
 * exec.c - runs a program from inside an activity: waits for the old group, starts a supervisor, feeds and reads, and says how it
 * ended.
 *
 *   lock --held by an old group: wait--> spawn --> pump [stdin, stdout, stderr, control, cancel] --> result or failure
 *                                                   cancel, timeout: SIGTERM, 2 s later SIGKILL
 *
 * Everything is polled in one loop on the caller's thread, so that a full pipe on one side never stops the other.
 *
 * Does not know which processes exist below the program: the supervisor does (supervisor.c).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "activities/capture.h"
#include "activities/exec_lock.h"
#include "activities/exec_spawn.h"
#include "activities/supervisor.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"
#include "sdk/pawl_activity.h"

enum {
    GRACE_MS = 2000, /* between SIGTERM and SIGKILL */
    BEAT_MS = 1000,
    LOCK_RETRY_MS = 25,
    BLIND_POLL_MS = 100, /* when there is no descriptor for cancellation */
    READ_BYTES = 65536,
    LINE_BYTES = 200, /* of output in a heartbeat */
};
#define OUTPUT_BYTES_CAP (16u << 20) /* whatever the options say */
#define NEVER INT64_MAX

typedef enum stop_reason { STOP_NONE, STOP_CANCELED, STOP_TIMEOUT } stop_reason;

typedef struct exec {
    pawl_task *task;
    const pawl_exec_options *o;
    pw_exec_lock lock;
    pw_child child;
    pw_capture out;
    pw_capture err;
    size_t fed;
    int64_t started;
    int64_t timeout_at; /* monotonic milliseconds, as all of these */
    int64_t kill_at;
    int64_t beat_at;
    stop_reason stop;
    pid_t program;
    pw_sup_message last; /* how it ended; kind 0 = not yet, or the supervisor vanished */
} exec;

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void exec_init(exec *x, pawl_task *task, const pawl_exec_options *o)
{
    const size_t max = o->output_bytes_max == 0 ? PW_OUTPUT_BYTES_MAX : o->output_bytes_max;
    const int64_t deadline = pawl_task_deadline_ms(task);
    *x = (exec){.task = task,
                .o = o,
                .lock = {.fd = -1, .path = ""},
                .kill_at = NEVER,
                .timeout_at = NEVER,
                .started = pw_mono_ms()};
    x->child = (pw_child){.control = -1, .in = -1, .out = -1, .err = -1};
    pw_capture_init(&x->out, max < OUTPUT_BYTES_CAP ? max : OUTPUT_BYTES_CAP);
    pw_capture_init(&x->err, max < OUTPUT_BYTES_CAP ? max : OUTPUT_BYTES_CAP);
    x->beat_at = x->started + BEAT_MS;
    if (o->timeout_ms > 0 && o->timeout_ms <= PW_TIMER_MS_MAX) { /* more is none */
        x->timeout_at = x->started + o->timeout_ms;
    }
    if (deadline > 0) {
        x->timeout_at = earlier(x->timeout_at, x->started + (deadline - pw_wall_ms()));
    }
}

static void exec_deinit(exec *x)
{
    pw_child_close(&x->child);
    pw_exec_lock_release(&x->lock);
    pw_capture_deinit(&x->out);
    pw_capture_deinit(&x->err);
}

/* ---- time and cancellation ---- */

/* Beats the heart with what the program printed last. */
static void beat(exec *x, int64_t now)
{
    char line[LINE_BYTES];
    if (now < x->beat_at) {
        return;
    }
    x->beat_at = now + BEAT_MS;
    pw_capture_last_line(x->err.size > 0 && x->out.size == 0 ? &x->err : &x->out, line,
                         sizeof line);
    pawl_scope *scope = pawl_scope_new(); /* the task's own would grow with every beat */
    const pawl_value *detail =
        line[0] == '\0' || x->o->quiet
            ? NULL
            : pawl_build(scope, "{line: %s, ms: %lld}", line, (long long)(now - x->started));
    if (!pawl_task_heartbeat(x->task, detail) && x->stop == STOP_NONE) {
        x->stop = STOP_CANCELED;
    }
    pawl_scope_free(scope);
}

static void look_around(exec *x, int64_t now)
{
    beat(x, now);
    if (x->stop == STOP_NONE && pawl_task_canceled(x->task)) {
        x->stop = STOP_CANCELED;
    }
    if (x->stop == STOP_NONE && now >= x->timeout_at) {
        x->stop = STOP_TIMEOUT;
    }
}

static int wait_ms(const exec *x, int64_t now, int cancel_fd)
{
    int64_t until = earlier(x->beat_at, x->kill_at);
    if (x->stop == STOP_NONE) {
        until = earlier(until, x->timeout_at);
        until = cancel_fd < 0 ? earlier(until, now + BLIND_POLL_MS) : until;
    }
    return until > now ? (int)(until - now) : 0;
}

static const pawl_value *captured(exec *x, pw_capture *capture)
{
    pawl_scope *scope = pawl_task_scope(x->task);
    return x->o->output_bytes ? pw_capture_bytes(capture, scope) : pw_capture_text(capture, scope);
}

static const pawl_value *stopped(exec *x)
{
    const pawl_value *details =
        pawl_task_build(x->task, "{stdout: %p, stderr: %p, ms: %lld}", pawl_v(captured(x, &x->out)),
                        pawl_v(captured(x, &x->err)), (long long)(pw_mono_ms() - x->started));
    char message[256];
    if (x->stop == STOP_CANCELED) {
        (void)snprintf(message, sizeof message, "%.200s was cancelled", x->o->argv[0]);
        return pawl_task_fail_with(x->task, "Canceled", message, details, false);
    }
    (void)snprintf(message, sizeof message, "%.200s did not end in %lld ms", x->o->argv[0],
                   (long long)(x->timeout_at - x->started));
    return pawl_task_fail_with(x->task, "Timeout", message, details, true);
}

/* ---- the lock ---- */

/* True when it is ours; else the task has been failed. */
static bool lock_wait(exec *x)
{
    static const char suffix[] = ".lock";
    const char *base = pawl_task_scratch_path(x->task);
    char *path = pawl_scope_alloc(pawl_task_scope(x->task), strlen(base) + sizeof suffix);
    if (path != NULL && base[0] != '\0') {
        (void)snprintf(path, strlen(base) + sizeof suffix, "%s%s", base, suffix);
    }
    x->lock.path = path != NULL ? path : "";
    const int cancel_fd = pawl_task_cancel_fd(x->task);
    for (;;) {
        const pawl_status status = pw_exec_lock_try(&x->lock);
        if (status == PAWL_OK) {
            return true;
        }
        if (status != PAWL_BUSY) {
            (void)pawl_task_fail(x->task, "ExecFailed", "lock %s: %s", path, strerror(errno));
            return false;
        }
        look_around(x, pw_mono_ms());
        if (x->stop != STOP_NONE) {
            (void)stopped(x);
            return false;
        }
        struct pollfd fd = {.fd = cancel_fd, .events = POLLIN};
        (void)poll(&fd, 1, LOCK_RETRY_MS);
    }
}

/* ---- pumping ---- */

static void close_end(int *fd)
{
    close(*fd);
    *fd = -1;
}

static void feed(exec *x)
{
    while (x->child.in >= 0 && x->fed < x->o->stdin_size) {
        const ssize_t wrote =
            write(x->child.in, x->o->stdin_text + x->fed, x->o->stdin_size - x->fed);
        if (wrote < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                return;
            }
            break; /* it does not want any more */
        }
        x->fed += (size_t)wrote;
    }
    close_end(&x->child.in);
}

/* What it prints is kept, and said to whoever follows the run. */
static void drain(const exec *x, int *fd, pw_capture *capture, const char *channel)
{
    char bytes[READ_BYTES];
    for (;;) {
        const ssize_t got = read(*fd, bytes, sizeof bytes);
        if (got > 0) {
            pw_capture_put(capture, bytes, (size_t)got);
            if (!x->o->quiet) {
                (void)pawl_task_output(x->task, channel, bytes, (size_t)got);
            }
        } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        } else {
            close_end(fd);
            return;
        }
    }
}

static void tell(exec *x, char what)
{
    (void)send(x->child.control, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* True when nothing more will come. */
static bool hear(exec *x)
{
    pw_sup_message m;
    const ssize_t got = recv(x->child.control, &m, sizeof m, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got != (ssize_t)sizeof m) {
        if (x->program > 0) {
            (void)kill(-x->program, SIGKILL); /* somebody killed the supervisor */
        }
        return true;
    }
    if (m.kind == PW_SUP_STARTED) {
        x->program = m.pid;
        return false;
    }
    x->last = m;
    return true;
}

static void stop_steps(exec *x, int64_t now)
{
    if (x->stop != STOP_NONE && x->kill_at == NEVER) {
        tell(x, PW_SUP_TERM);
        x->kill_at = now + GRACE_MS;
    } else if (now >= x->kill_at) {
        tell(x, PW_SUP_KILL);
        x->kill_at = now + GRACE_MS;
    }
}

static void pump(exec *x)
{
    const int cancel_fd = pawl_task_cancel_fd(x->task);
    for (;;) {
        const int64_t now = pw_mono_ms();
        look_around(x, now);
        stop_steps(x, now);
        struct pollfd fds[5] = {{.fd = x->child.control, .events = POLLIN},
                                {.fd = x->child.out, .events = POLLIN},
                                {.fd = x->child.err, .events = POLLIN},
                                {.fd = x->child.in, .events = POLLOUT},
                                {.fd = x->stop == STOP_NONE ? cancel_fd : -1, .events = POLLIN}};
        if (poll(fds, 5, wait_ms(x, now, cancel_fd)) < 0) {
            continue;
        }
        if (fds[1].revents != 0) {
            drain(x, &x->child.out, &x->out, "stdout");
        }
        if (fds[2].revents != 0) {
            drain(x, &x->child.err, &x->err, "stderr");
        }
        if (fds[3].revents != 0) {
            feed(x);
        }
        if (fds[0].revents != 0 && hear(x)) {
            break;
        }
    }
    if (x->child.out >= 0) {
        drain(x, &x->child.out, &x->out, "stdout"); /* what it wrote before it ended */
    }
    if (x->child.err >= 0) {
        drain(x, &x->child.err, &x->err, "stderr");
    }
}

/* ---- how it ended ---- */

static const pawl_value *not_started(exec *x, int stage, int error)
{
    const bool hopeless = error == ENOENT || error == EACCES || error == ENOTDIR ||
                          error == ENOEXEC || error == E2BIG || error == ELOOP;
    const bool in_folder = stage == PW_STAGE_CWD;
    char message[512];
    (void)snprintf(message, sizeof message, "could not %s %.300s: %s",
                   in_folder                 ? "enter"
                   : stage == PW_STAGE_EXEC  ? "run"
                   : stage == PW_STAGE_LIMIT ? "limit"
                                             : "start",
                   in_folder ? x->o->cwd : x->o->argv[0], strerror(error));
    return pawl_task_fail_with(x->task, "ExecFailed", message,
                               pawl_task_build(x->task, "{errno: %d}", error), !hopeless);
}

/* The limit that a signal speaks of; memory and descriptors are refused to a program, which says so itself. */
static const char *limit_of(const pawl_exec_options *o, int signal)
{
    return signal == SIGXCPU && o->limit_cpu_s > 0        ? "cpu_s"
           : signal == SIGXFSZ && o->limit_file_bytes > 0 ? "file_bytes"
                                                          : NULL;
}

static const pawl_value *result_of(exec *x)
{
    if (x->last.kind == PW_SUP_FAILED) {
        return not_started(x, x->last.stage, x->last.error);
    }
    if (x->stop != STOP_NONE) {
        return stopped(x);
    }
    if (x->last.kind != PW_SUP_ENDED) {
        return pawl_task_fail(x->task, "SupervisorLost", "the supervisor of %s ended before it did",
                              x->o->argv[0]);
    }
    const int status = x->last.status;
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    pawl_scope *scope = pawl_task_scope(x->task);
    const pawl_value *out = captured(x, &x->out);
    const pawl_value *err = captured(x, &x->err);
    const pawl_value *result = NULL;
    if (out != NULL && err != NULL) {
        result = pawl_task_build(
            x->task,
            "{exit: %d, signal: %d, stdout: %p, stderr: %p, stdout_size: %lld, stderr_size: %lld, "
            "truncated: %p, ms: %lld}",
            signal != 0 ? 128 + signal : WEXITSTATUS(status), signal, pawl_v(out), pawl_v(err),
            (long long)x->out.seen, (long long)x->err.seen,
            pawl_v(pawl_make_bool(scope, x->out.truncated || x->err.truncated)),
            (long long)(pw_mono_ms() - x->started));
    }
    const char *limit = limit_of(x->o, signal);
    if (result != NULL && limit != NULL) {
        result = pawl_with(scope, result, "limit", pawl_make_str(scope, limit));
    }
    return result != NULL ? result
                          : pawl_task_fail(x->task, "OutOfMemory", "no memory for the output of %s",
                                           x->o->argv[0]);
}

static const pawl_value *exec_run(exec *x)
{
    if (!lock_wait(x)) {
        return NULL;
    }
    if (!pw_child_spawn(&x->child, pawl_task_scope(x->task), x->o, x->lock.fd)) {
        return not_started(x, PW_STAGE_FORK, errno);
    }
    pump(x);
    return result_of(x);
}

/* Runs with SIGPIPE blocked and takes back the one that a program with a closed stdin causes. */
static const pawl_value *without_sigpipe(exec *x)
{
    sigset_t set;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigpending(&pending);
    const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    const pawl_value *result = exec_run(x);
    const struct timespec at_once = {0};
    while (!was_pending && sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

const pawl_value *pawl_exec(pawl_task *task, const pawl_exec_options *options)
{
    pawl_exec_options o = {0};
    const size_t known =
        options != NULL && options->struct_size < sizeof o ? options->struct_size : sizeof o;
    if (options == NULL || options->struct_size == 0 || options->argv == NULL ||
        options->argv[0] == NULL) {
        return pawl_task_fail_with(
            task, "BadInput", "argv must have at least one element, and struct_size must be set",
            NULL, false);
    }
    memcpy(&o, options, known);
    exec x;
    exec_init(&x, task, &o);
    const pawl_value *result = without_sigpipe(&x);
    exec_deinit(&x);
    return result;
}
