/*
 * exec_spawn.c - prepares everything a supervisor needs before the fork, because after it nothing may be allocated.
 *
 * The program sees PATH, HOME, LANG, LC_ALL, TMPDIR and USER of the engine, what the options name of it, and what they add: secrets in the
 * engine's environment stay there.
 *
 * Does not wait for the program or read from it: exec.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "activities/exec_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "activities/supervisor.h"

static const char *const inherited[] = {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER"};
enum { INHERITED = sizeof inherited / sizeof inherited[0] };

static size_t list_len(const char *const *list)
{
    size_t len = 0;
    while (list != NULL && list[len] != NULL) {
        len++;
    }
    return len;
}

/* ---- environment and paths ---- */

static bool same_key(const char *pair, const char *key)
{
    const size_t size = strlen(key);
    return strncmp(pair, key, size) == 0 && pair[size] == '=';
}

static bool has_key(const char *const *env, const char *key)
{
    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        if (same_key(env[i], key)) {
            return true;
        }
    }
    return false;
}

static char *pair_make(pawl_scope *scope, const char *key, const char *value)
{
    const size_t size = strlen(key) + strlen(value) + 2;
    char *pair = pawl_scope_alloc(scope, size);
    if (pair != NULL) {
        (void)snprintf(pair, size, "%s=%s", key, value);
    }
    return pair;
}

/* The engine's value of that name, unless the program has one already. False when memory is out. */
static bool env_inherit(pawl_scope *scope, const char *name, const char *const *extra, char **env,
                        size_t *len)
{
    if (has_key(extra, name) || has_key((const char *const *)env, name)) {
        return true;
    }
    const char *value = getenv(name);
    return value == NULL || (env[(*len)++] = pair_make(scope, name, value)) != NULL;
}

static char **env_make(pawl_scope *scope, const char *const *pass, const char *const *extra)
{
    char **env =
        pawl_scope_alloc(scope, (INHERITED + list_len(pass) + list_len(extra) + 1) * sizeof *env);
    size_t len = 0;
    if (env == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < INHERITED; i++) {
        if (!env_inherit(scope, inherited[i], extra, env, &len)) {
            return NULL;
        }
    }
    for (size_t i = 0; i < list_len(pass); i++) {
        if (!env_inherit(scope, pass[i], extra, env, &len)) {
            return NULL;
        }
    }
    for (size_t i = 0; i < list_len(extra); i++) {
        memcpy(&env[len++], &extra[i],
               sizeof env[0]); /* execve takes char *const *, and does not write */
    }
    return env;
}

static const char *path_of(char *const *env)
{
    for (size_t i = 0; env[i] != NULL; i++) {
        if (same_key(env[i], "PATH")) {
            return env[i] + 5;
        }
    }
    return "/usr/local/bin:/usr/bin:/bin";
}

static const char *path_join(pawl_scope *scope, const char *folder, size_t folder_size,
                             const char *name)
{
    const size_t size = folder_size + strlen(name) + 3;
    char *path = pawl_scope_alloc(scope, size);
    if (path != NULL) {
        (void)snprintf(path, size, "%.*s/%s", folder_size == 0 ? 1 : (int)folder_size,
                       folder_size == 0 ? "." : folder, name);
    }
    return path;
}

/* Where argv[0] may be, in order. */
static const char *const *paths_make(pawl_scope *scope, const char *name, char *const *env)
{
    const char *path = path_of(env);
    size_t len = 1;
    for (const char *p = path; *p != '\0'; p++) {
        len += *p == ':' ? 1 : 0;
    }
    const char **paths = pawl_scope_alloc(scope, (len + 1) * sizeof *paths);
    if (paths == NULL) {
        return NULL;
    }
    if (strchr(name, '/') != NULL || name[0] == '\0') {
        paths[0] = name;
        return paths;
    }
    for (size_t i = 0; i < len; i++) {
        const size_t size = strcspn(path, ":");
        paths[i] = path_join(scope, path, size, name);
        if (paths[i] == NULL) {
            return NULL;
        }
        path += path[size] == ':' ? size + 1 : size;
    }
    return paths;
}

static uint64_t at_least_none(int64_t most)
{
    return most > 0 ? (uint64_t)most : 0;
}

static bool program_make(pw_program *program, pawl_scope *scope, const pawl_exec_options *o)
{
    char **env = env_make(scope, o->pass_env, o->env);
    const size_t args = list_len(o->argv);
    char **argv = pawl_scope_alloc(scope, (args + 1) * sizeof *argv);
    if (env == NULL || argv == NULL) {
        errno = ENOMEM;
        return false;
    }
    memcpy(argv, o->argv, args * sizeof *argv);
    *program = (pw_program){.paths = paths_make(scope, o->argv[0], env),
                            .argv = argv,
                            .envp = env,
                            .cwd = o->cwd,
                            .limits = {.cpu_s = at_least_none(o->limit_cpu_s),
                                       .memory_bytes = at_least_none(o->limit_memory_bytes),
                                       .files = at_least_none(o->limit_files),
                                       .file_bytes = at_least_none(o->limit_file_bytes)}};
    errno = ENOMEM;
    return program->paths != NULL;
}

/* ---- descriptors ---- */

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* The same at 3 or above: the supervisor puts 0, 1 and 2 in place by dup2, which would overwrite them. */
static bool fd_raise(int *fd)
{
    if (*fd < 0 || *fd > 2) {
        return *fd >= 0;
    }
    const int high = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    close(*fd);
    *fd = high;
    return high >= 0;
}

static bool fd_nonblocking(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* *ours is non-blocking, *theirs is not. */
static bool pipe_make(int *read_end, int *write_end, const int *ours)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }
    *read_end = fds[0];
    *write_end = fds[1];
    const bool raised = fd_raise(read_end);
    return fd_raise(write_end) && raised && fd_nonblocking(*ours);
}

static bool control_make(int *ours, int *theirs)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
        return false;
    }
    *ours = fds[0];
    *theirs = fds[1];
    const bool raised = fd_raise(ours);
    return fd_raise(theirs) && raised && fd_nonblocking(*ours);
}

static bool stdin_make(pw_child *child, pw_sup_fds *theirs, bool feeds)
{
    if (feeds) {
        return pipe_make(&theirs->in, &child->in, &child->in);
    }
    theirs->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd_raise(&theirs->in);
}

static bool pipes_make(pw_child *child, pw_sup_fds *theirs, bool feeds)
{
    return stdin_make(child, theirs, feeds) && pipe_make(&child->out, &theirs->out, &child->out) &&
           pipe_make(&child->err, &theirs->err, &child->err) &&
           control_make(&child->control, &theirs->control);
}

/* ---- the fork ---- */

/* Signals stay blocked over the fork, so that no handler of the host runs in the child. */
static pid_t fork_supervisor(const pw_program *program, const pw_sup_fds *fds)
{
    sigset_t all;
    sigset_t before;
    const pid_t engine = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        pw_supervise(program, fds, engine);
    }
    const int saved = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return pid;
}

bool pw_child_spawn(pw_child *child, pawl_scope *scope, const pawl_exec_options *o, int lock_fd)
{
    *child = (pw_child){.control = -1, .in = -1, .out = -1, .err = -1};
    pw_sup_fds theirs = {.control = -1, .in = -1, .out = -1, .err = -1, .lock = lock_fd};
    pw_program program;
    pid_t pid = -1;
    if (program_make(&program, scope, o) && pipes_make(child, &theirs, o->stdin_text != NULL)) {
        pid = fork_supervisor(&program, &theirs);
    }
    const int saved = errno;
    fd_close(&theirs.in);
    fd_close(&theirs.out);
    fd_close(&theirs.err);
    fd_close(&theirs.control);
    child->supervisor = pid > 0 ? pid : 0;
    if (pid < 0) {
        pw_child_close(child);
    }
    errno = saved;
    return pid > 0;
}

void pw_child_close(pw_child *child)
{
    fd_close(&child->control); /* the supervisor takes this as the end of the engine */
    fd_close(&child->in);
    fd_close(&child->out);
    fd_close(&child->err);
    while (child->supervisor > 0 && waitpid(child->supervisor, NULL, 0) < 0 && errno == EINTR) {
    }
    child->supervisor = 0;
}
