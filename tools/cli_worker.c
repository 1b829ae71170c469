/*
 * cli_worker.c - `worker`: a process that runs activities for the engine of a journal, and a second one that watches over it.
 *
 *   pawl worker (watches) --fork--> child: limits, modules, worker.c
 *        ^  a byte now and then         |
 *        `------------------------------'     crashed, hung or silent: killed if need be, and a new one is started
 *
 * What crashes, hangs or eats its memory is the child: the engine sees its connection end, and what ran there is a failed attempt, or
 * an unknown one. SIGTERM drains, a second one stops at once. Does not speak the protocol: worker.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "tools/cli_model.h"
#include "tools/cli_session.h"
#include "tools/worker.h"

#define PARALLEL_DEFAULT 4
#define GRACE_MS_DEFAULT 30000
#define DRAIN_MS_DEFAULT 10000
#define SILENT_MS 20000 /* the child's loop turns twice a second */
#define RESTART_MS_MIN 100
#define RESTART_MS_MAX 10000
#define HEALTHY_MS 60000 /* after so long the next restart is a quick one again */
#define CRASHED 1000     /* beside every exit code */
#define TOKEN_BYTES_MAX 4096

/* ---- the child ---- */

static void say(void *ctx, const char *text)
{
    pw_cli_note(ctx, "worker %d: %s", (int)getpid(), text);
}

static int limit(pw_cli *cli, unsigned resource, uint64_t value, const char *name)
{
    struct rlimit r = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit(resource, &r) != 0) {
        pw_cli_note(cli, "the limit --%s cannot be set: %s", name, strerror(errno));
        return PW_EXIT_ERROR;
    }
    return PW_EXIT_OK;
}

static int set_limits(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    int code = PW_EXIT_OK;
    if (pw_cli_has(a, PW_OPT_MEMORY)) {
        code = limit(cli, RLIMIT_AS, (uint64_t)a->number[PW_OPT_MEMORY] << 20, "memory");
    }
    if (code == PW_EXIT_OK && pw_cli_has(a, PW_OPT_CPU)) {
        code = limit(cli, RLIMIT_CPU, ((uint64_t)a->number[PW_OPT_CPU] + 999) / 1000, "cpu");
    }
    return code;
}

static int64_t number_or(const pw_cli_args *a, pw_cli_opt option, int64_t otherwise)
{
    return pw_cli_has(a, option) ? a->number[option] : otherwise;
}

/* NULL with the reason: there is none. */
static const char *token_read(pw_cli *cli, pawl_error *err)
{
    const char *from = cli->args->value[PW_OPT_TOKEN];
    const char *text = NULL;
    size_t size = 0;
    if (strncmp(from, "env:", 4) == 0) {
        text = getenv(from + 4);
        size = text != NULL ? strlen(text) : 0;
    } else if (pw_cli_file_read(cli, from + 5, TOKEN_BYTES_MAX, &text, &size, err) != PAWL_OK) {
        return NULL;
    }
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' ')) {
        size--;
    }
    if (size == 0) {
        (void)pw_err(err, PAWL_NOTFOUND, "there is no token in %.150s", from);
        return NULL;
    }
    return pw_strndup(cli->scope, text, size);
}

static pawl_status make_worker(pw_cli *cli, const char *worker_id, int beat_fd,
                               pw_worker **ret_worker, pawl_error *err)
{
    const pw_cli_args *a = cli->args;
    const char *path = cli->db;
    if (path[0] != '/') {
        char *cwd = getcwd(NULL, 0);
        path = cwd != NULL ? pw_sprintf(cli->scope, "%s/%s", cwd, cli->db) : cli->db;
        free(cwd);
    }
    bool far = pw_cli_has(a, PW_OPT_CONNECT);
    pw_worker_options o = {.journal_path = far ? "" : path,
                           .connect = a->value[PW_OPT_CONNECT],
                           .token = far ? token_read(cli, err) : NULL,
                           .ca_file = a->value[PW_OPT_CA],
                           .worker_id = worker_id,
                           .queue = a->value[PW_OPT_QUEUE],
                           .parallel = (uint32_t)number_or(a, PW_OPT_PARALLEL, PARALLEL_DEFAULT),
                           .grace_ms = number_or(a, PW_OPT_GRACE, GRACE_MS_DEFAULT),
                           .drain_ms = number_or(a, PW_OPT_DRAIN, DRAIN_MS_DEFAULT),
                           .beat_fd = beat_fd,
                           .say = say,
                           .ctx = cli};
    pw_worker *w = NULL;
    if (far && o.token == NULL) {
        return PAWL_NOTFOUND;
    }
    pawl_status st = pw_worker_new(&o, &w, err);
    for (size_t i = 0; st == PAWL_OK && i < a->module_count; i++) {
        st = pw_worker_module(w, a->module[i], err);
    }
    if (st == PAWL_OK && pw_cli_has(a, PW_OPT_NET)) {
        st = pw_worker_code(w, pw_cli_net_worker, NULL, err);
    }
    if (st == PAWL_OK && cli->embedder != NULL) {
        st = pw_worker_code(w, pw_cli_model_worker, cli->embedder, err);
    }
    if (st == PAWL_OK && pw_worker_activities(w) == 0) {
        st = pw_err(err, PAWL_INVALID, "the modules register no activity");
    }
    if (st != PAWL_OK) {
        pw_worker_free(w);
        return st;
    }
    *ret_worker = w;
    return PAWL_OK;
}

static int child_main(pw_cli *cli, const char *worker_id, int beat_fd, pid_t parent)
{
    pawl_error err = {0};
    pw_worker *w = NULL;
    sigset_t set;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)prctl(
        PR_SET_PDEATHSIG,
        SIGKILL); /* the thread that forked is the parent's main one: it ends with its process */
    if (getppid() != parent) {
        return PW_EXIT_ERROR;
    }
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int code = set_limits(cli);
    code = code == PW_EXIT_OK ? pw_cli_model_host(cli) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status st = make_worker(cli, worker_id, beat_fd, &w, &err);
    if (st != PAWL_OK) {
        return pw_cli_fail(cli, st, &err, "the worker cannot start");
    }
    code = pw_worker_run(w, signals);
    pw_worker_free(w);
    pw_cli_model_close(cli);
    close(signals);
    return code;
}

/* ---- watching over it ---- */

typedef struct watch {
    pw_cli *cli;
    char id[33]; /* the same for every child: a relay knows by it that the one before is no more */
    sigset_t signals;
    int signal_fd;
    int beats; /* read end; -1 = no child */
    pid_t child;
    int64_t begun_ms;
    int64_t beat_ms;
    int64_t pause_ms; /* before the next start */
    int asked;        /* signals that wanted the end */
    bool silent;      /* the child was killed for that */
    bool worked;      /* it came as far as its loop: what ends it from then on is a crash */
} watch;

static bool child_start(watch *w)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        close(w->signal_fd);
        _exit(child_main(w->cli, w->id, ends[1],
                         parent)); /* the output of the parent is not the child's to flush */
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    w->child = pid;
    w->beats = ends[0];
    w->silent = false;
    w->worked = false;
    w->begun_ms = w->beat_ms = pw_cli_now_ms();
    return true;
}

static void take_signals(watch *w)
{
    struct signalfd_siginfo info;
    while (read(w->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            continue;
        }
        w->asked++;
        if (w->child > 0) {
            (void)kill(w->child, w->asked == 1 ? SIGTERM : SIGKILL);
        }
    }
}

static void take_beats(watch *w)
{
    char space[256];
    int64_t now = pw_cli_now_ms();
    ssize_t n = 0;
    while ((n = read(w->beats, space, sizeof space)) > 0) {
        w->beat_ms = now;
        w->worked = true;
    }
    if (now - w->beat_ms > SILENT_MS && !w->silent) {
        w->silent = true;
        pw_cli_note(w->cli, "worker %d is silent: it is killed", (int)w->child);
        (void)kill(w->child, SIGKILL);
    }
}

/* The child's exit code, CRASHED when it has none, -1 while it lives. */
static int take_end(watch *w)
{
    int status = 0;
    pid_t pid = waitpid(w->child, &status, WNOHANG);
    if (pid != w->child) {
        return -1;
    }
    take_beats(w);
    close(w->beats);
    w->beats = -1;
    w->child = 0;
    if (WIFEXITED(status) && !w->worked) {
        return WEXITSTATUS(status);
    }
    if (WIFEXITED(status) && w->asked == 0) {
        pw_cli_note(w->cli, "worker %d ended with exit code %d", (int)pid, WEXITSTATUS(status));
    } else if (w->asked == 0) {
        pw_cli_note(w->cli, "worker %d was ended by signal %d", (int)pid, WTERMSIG(status));
    }
    return CRASHED;
}

static void pause_restart(watch *w)
{
    int64_t lived = pw_cli_now_ms() - w->begun_ms;
    w->pause_ms = w->pause_ms == 0 || lived > HEALTHY_MS ? RESTART_MS_MIN : w->pause_ms * 2;
    w->pause_ms = w->pause_ms > RESTART_MS_MAX ? RESTART_MS_MAX : w->pause_ms;
    struct pollfd p = {.fd = w->signal_fd, .events = POLLIN};
    int64_t until = pw_cli_now_ms() + w->pause_ms;
    for (int64_t left = w->pause_ms; left > 0 && w->asked == 0; left = until - pw_cli_now_ms()) {
        (void)poll(&p, 1, (int)left);
        take_signals(w);
    }
}

static int watch_child(watch *w)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = w->signal_fd, .events = POLLIN},
                               {.fd = w->beats, .events = POLLIN}};
        (void)poll(fds, 2, 1000);
        take_signals(w);
        int code = take_end(w);
        if (code >= 0) {
            return code;
        }
        take_beats(w);
    }
}

static int watch_children(watch *w)
{
    while (w->asked == 0) {
        if (!child_start(w)) {
            pw_cli_note(w->cli, "no worker process can be started: %s", strerror(errno));
            return PW_EXIT_ERROR;
        }
        int code = watch_child(w);
        if (w->asked != 0) {
            return PW_EXIT_OK;
        }
        if (code != CRASHED) {
            return code; /* it never began: it said why, and would again */
        }
        pause_restart(w);
    }
    return PW_EXIT_OK;
}

static int far_options(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *from = a->value[PW_OPT_TOKEN];
    if (!pw_cli_has(a, PW_OPT_CONNECT)) {
        bool alone = pw_cli_has(a, PW_OPT_TOKEN) || pw_cli_has(a, PW_OPT_CA);
        return alone ? pw_cli_usage(cli, "--token and --ca are for --connect HOST:PORT")
                     : PW_EXIT_OK;
    }
    if (from == NULL || (strncmp(from, "env:", 4) != 0 && strncmp(from, "file:", 5) != 0)) {
        return pw_cli_usage(cli, "--connect needs --token env:NAME or file:PATH: a token on the "
                                 "command line would be seen by everybody on this machine");
    }
    return PW_EXIT_OK;
}

int pw_verb_worker(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    watch w = {.cli = cli, .beats = -1};
    uint8_t random[16];
    if (a->module_count == 0 && !pw_cli_has(a, PW_OPT_NET) && pw_cli_model_wanted(cli) == NULL) {
        return pw_cli_usage(cli,
                            "a worker needs activities: --module FILE.so, --net, or --model NAME");
    }
    if (pw_cli_has(a, PW_OPT_PARALLEL) &&
        (a->number[PW_OPT_PARALLEL] == 0 || a->number[PW_OPT_PARALLEL] > PW_WORKER_PARALLEL_MAX)) {
        return pw_cli_usage(cli, "--parallel is between 1 and %d", PW_WORKER_PARALLEL_MAX);
    }
    int code = far_options(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_random(random, sizeof random);
    pw_hex(w.id, random, sizeof random);
    (void)sigemptyset(&w.signals);
    (void)sigaddset(&w.signals, SIGINT);
    (void)sigaddset(&w.signals, SIGTERM);
    (void)sigaddset(&w.signals, SIGHUP);
    (void)sigaddset(&w.signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &w.signals, NULL);
    w.signal_fd = signalfd(-1, &w.signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w.signal_fd < 0) {
        pw_cli_note(cli, "signalfd: %s", strerror(errno));
        return PW_EXIT_ERROR;
    }
    code = watch_children(&w);
    close(w.signal_fd);
    return code;
}
