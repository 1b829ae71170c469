/*
 * supervisor.c - starts one program, waits for its end, and leaves nothing of it behind.
 *
 *   starting --exec ok--> running --program ended--> sweeping --nothing left--> ended
 *      |                    | 'T': SIGTERM to the group, what ends may end
 *      +--failed            | 'K', end of the control socket, engine gone: sweeping at once
 *
 * It is a subreaper: what the program leaves behind becomes its child, in whatever session that is, and is found in
 * /proc/thread-self/children. Without /proc the group is killed, and the rest is waited for. If somebody kills the supervisor itself, the
 * program dies with it (PR_SET_PDEATHSIG is sound here: a supervisor has one thread).
 *
 * It runs in the child of a fork of a threaded process: no allocation, no stdio, no locks. It does not read the program's
 * output, keep time or decide anything: the engine's side (exec.c) does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "activities/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* [stage, errno] of a program that could not be started. */
typedef struct start_failure {
    int32_t stage;
    int32_t error;
} start_failure;

typedef struct sup {
    const pw_program *program;
    pw_sup_fds fds;
    pid_t pid;  /* the program, leader of its session and group */
    int status; /* of the program, once it was reaped */
    int others; /* children beside it, when last counted */
    bool ended;
    bool terminating; /* it was asked to end: what it started may take its time */
} sup;

/* ---- descriptors ---- */

static void close_span(unsigned first, unsigned last)
{
    if (first > last || close_range(first, last, 0) == 0) {
        return;
    }
    struct rlimit limit = {0}; /* a kernel before 5.9 */
    const unsigned max = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536
                             ? (unsigned)limit.rlim_cur
                             : 65536;
    for (unsigned fd = first; fd <= last && fd < max; fd++) {
        close((int)fd);
    }
}

/* Everything but what a supervisor needs: also the control sockets of other supervisors, which must end with the engine. */
static void close_others(const pw_sup_fds *fds)
{
    int keep[5] = {fds->control, fds->in, fds->out, fds->err, fds->lock};
    for (size_t i = 1; i < 5; i++) {
        for (size_t j = i; j > 0 && keep[j - 1] > keep[j]; j--) {
            const int swap = keep[j];
            keep[j] = keep[j - 1];
            keep[j - 1] = swap;
        }
    }
    unsigned next = 0;
    for (size_t i = 0; i < 5; i++) {
        if (keep[i] < 0) {
            continue;
        }
        if ((unsigned)keep[i] > next) {
            close_span(next, (unsigned)keep[i] - 1);
        }
        next = (unsigned)keep[i] + 1;
    }
    close_span(next, ~0u);
}

/* 0, 1 and 2 stay taken: what the supervisor opens must not land where the program's streams go. */
static void streams_fill(int fd)
{
    for (int stream = 0; stream < 3; stream++) {
        (void)dup2(fd, stream);
    }
}

static void signals_reset(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int sig = 1; sig < NSIG; sig++) {
        (void)sigaction(sig, &dfl,
                        NULL); /* fails for those that cannot be set, and for none else */
    }
}

/* ---- the program ---- */

static _Noreturn void program_failed(int errno_fd, pw_sup_stage stage)
{
    const start_failure failure = {(int32_t)stage, errno};
    (void)!write(errno_fd, &failure, sizeof failure);
    _exit(127);
}

static void program_exec(const pw_program *program)
{
    int denied = 0;
    for (size_t i = 0; program->paths[i] != NULL; i++) {
        execve(program->paths[i], program->argv, program->envp);
        if (errno == EACCES) {
            denied = EACCES; /* as a shell does: look on, but say so if nothing else is found */
        } else if (errno != ENOENT && errno != ENOTDIR) {
            return;
        }
    }
    errno = denied != 0 ? denied : ENOENT;
}

/* The engine's own limit stays the ceiling. `grace` is what is left between being told and being killed. */
static bool limit(unsigned resource, uint64_t most, uint64_t grace)
{
    struct rlimit now;
    if (most == 0) {
        return true;
    }
    if (getrlimit(resource, &now) != 0) {
        return false;
    }
    now.rlim_max = now.rlim_max < most + grace ? now.rlim_max : most + grace;
    now.rlim_cur = now.rlim_max < most ? now.rlim_max : most;
    return setrlimit(resource, &now) == 0; /* a plain system call, as getrlimit */
}

static bool limit_all(const pw_exec_limits *l)
{
    return limit(RLIMIT_CPU, l->cpu_s, 1) && limit(RLIMIT_FSIZE, l->file_bytes, 0) &&
           limit(RLIMIT_NOFILE, l->files, 0) && limit(RLIMIT_AS, l->memory_bytes, 0);
}

static _Noreturn void program_main(const sup *s, int errno_fd, pid_t supervisor)
{
    sigset_t none;
    sigemptyset(&none);
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor) {
        _exit(127);
    }
    if (s->program->cwd != NULL && chdir(s->program->cwd) != 0) {
        program_failed(errno_fd, PW_STAGE_CWD);
    }
    if (dup2(s->fds.in, 0) < 0 || dup2(s->fds.out, 1) < 0 || dup2(s->fds.err, 2) < 0) {
        program_failed(errno_fd, PW_STAGE_STDIO);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (!limit_all(&s->program->limits)) { /* last: nothing of ours must run into them */
        program_failed(errno_fd, PW_STAGE_LIMIT);
    }
    program_exec(s->program);
    program_failed(errno_fd, PW_STAGE_EXEC);
}

/* Shares memory with the child until it has become the program: the supervisor has the engine's mappings, and copying those of
 * thousands of stacks once was enough. */
static pid_t program_fork(const sup *s, int errno_fd, pid_t supervisor)
{
    const pid_t pid = vfork();
    if (pid == 0) {
        program_main(s, errno_fd, supervisor);
    }
    return pid;
}

static void say(const sup *s, const pw_sup_message *message)
{
    (void)send(s->fds.control, message, sizeof *message,
               MSG_NOSIGNAL); /* an engine that is gone is noticed elsewhere */
}

/* True if it runs; else the engine has been told why not. */
static bool program_start(sup *s)
{
    start_failure failure = {PW_STAGE_FORK, 0};
    const pid_t self = getpid();
    int pipe_fds[2];
    ssize_t got = (ssize_t)sizeof failure;
    if (pipe2(pipe_fds, O_CLOEXEC) == 0) {
        s->pid = program_fork(s, pipe_fds[1], self);
        failure.error = errno;
        close(pipe_fds[1]);
        while (s->pid > 0 && (got = read(pipe_fds[0], &failure, sizeof failure)) < 0 &&
               errno == EINTR) {
        }
        close(pipe_fds[0]);
    } else {
        failure.error = errno;
    }
    close(s->fds.in);
    close(s->fds.out);
    close(s->fds.err);
    const bool ok = got == 0; /* exec closed the pipe with nothing in it */
    const pw_sup_message started = {.kind = PW_SUP_STARTED, .pid = s->pid};
    const pw_sup_message failed = {
        .kind = PW_SUP_FAILED, .stage = failure.stage, .error = failure.error};
    say(s, ok ? &started : &failed);
    return ok;
}

/* ---- children: the program, and what became ours when its parent died ---- */

typedef void (*child_fn)(sup *s, pid_t pid);

static void children_listed(sup *s, const char *text, size_t size, long *number, child_fn fn)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            *number = *number * 10 + (text[i] - '0');
        } else if (*number > 1) {
            fn(s, (pid_t)*number);
            *number = 0;
        }
    }
}

/* A listed child cannot vanish, nor its pid be used again, before we reap it. Without /proc there are none to be seen. */
static void children_each(sup *s, child_fn fn)
{
    const int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    char text[1024];
    long number = 0;
    for (ssize_t got = 0; (got = read(fd, text, sizeof text)) > 0;) {
        children_listed(s, text, (size_t)got, &number, fn);
    }
    children_listed(s, " ", 1, &number, fn);
    close(fd);
}

static void child_kill(sup *s, pid_t pid)
{
    (void)s;
    (void)kill(pid, SIGKILL);
}

static void child_reap(sup *s, pid_t pid)
{
    if (pid != s->pid) {
        (void)waitpid(pid, NULL, WNOHANG);
    }
}

static void child_count(sup *s, pid_t pid)
{
    s->others += pid != s->pid ? 1 : 0;
}

/* The program itself is not reaped before the end: its pid names the group, and must not name another one. Returns true when
 * the program has ended and nothing else is left. */
static bool reap(sup *s)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == s->pid) {
        s->ended = true;
    }
    children_each(s, child_reap);
    s->others = 0;
    children_each(s, child_count); /* a second look: reaping disturbs the first */
    return s->ended && s->others == 0;
}

/* Kills and reaps until nothing is left. A process that dies hands its children to us before it can be reaped, so each round
 * reaches one generation further. */
static void sweep(sup *s)
{
    (void)kill(-s->pid, SIGKILL);
    for (;;) {
        int status = 0;
        children_each(s, child_kill);
        const pid_t pid = waitpid(-1, &status, 0);
        if (pid == s->pid) {
            s->status = status;
        }
        if (pid < 0 && errno == ECHILD) {
            return;
        }
    }
}

/* ---- running ---- */

/* True when all has to end now. */
static bool told_to_kill(sup *s)
{
    char byte = 0;
    const ssize_t got = recv(s->fds.control, &byte, 1, MSG_DONTWAIT);
    if (got < 0) {
        return errno != EAGAIN && errno != EINTR;
    }
    if (got == 1 && byte == PW_SUP_TERM) {
        s->terminating = true;
        (void)kill(-s->pid, SIGTERM);
        return false;
    }
    return true; /* 'K', or the end of the socket: the engine is gone */
}

static int child_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void run(sup *s, int signals, int engine)
{
    struct pollfd fds[3] = {{.fd = s->fds.control, .events = POLLIN},
                            {.fd = signals, .events = POLLIN},
                            {.fd = engine, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0) {
        }
        if (reap(s)) {
            return;
        }
        if (s->ended && !s->terminating) {
            return; /* what it left behind is swept */
        }
        if (poll(fds, 3, signals < 0 ? 100 : -1) < 0) {
            continue;
        }
        if (fds[2].revents != 0 || (fds[0].revents != 0 && told_to_kill(s))) {
            return;
        }
    }
}

_Noreturn void pw_supervise(const pw_program *program, const pw_sup_fds *fds, pid_t engine)
{
    sup s = {.program = program, .fds = *fds};
    close_others(fds);
    streams_fill(fds->control);
    signals_reset();
    (void)setsid();
    (void)prctl(PR_SET_NAME, "pawl-supervisor");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    const int engine_fd =
        (int)syscall(SYS_pidfd_open, engine,
                     0); /* beside the socket, for a copy of it held by a fork of the host */
    const int signals = child_signals();
    if (getppid() != engine || !program_start(&s)) {
        _exit(1);
    }
    run(&s, signals, engine_fd);
    sweep(&s);
    const pw_sup_message ended = {.kind = PW_SUP_ENDED, .status = s.status};
    say(&s, &ended);
    _exit(0);
}
