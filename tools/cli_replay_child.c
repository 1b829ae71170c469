/*
 * cli_replay_child.c - the process in which `replay` runs code that is to be deployed: an engine that stands still, asked for the stack of each run.
 *
 * Ends with its parent. Does not judge, and prints nothing but why it cannot begin: cli_replay.c does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sdk/base/error.h"
#include "tools/cli_replay.h"

#define PAGE 100

_Static_assert(sizeof(pw_replay_note) <= PIPE_BUF, "a note comes whole");

typedef struct child {
    pw_cli *cli;
    int notes;
    size_t left; /* runs that are still wanted */
} child;

static bool say(const child *c, const pw_replay_note *note)
{
    ssize_t n;
    do {
        n = write(c->notes, note, sizeof *note);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *note;
}

static void name(pw_replay_note *note, const pawl_value *run)
{
    (void)snprintf(note->id, sizeof note->id, "%s", pawl_str(run, "id", "?"));
    (void)snprintf(note->workflow, sizeof note->workflow, "%s", pawl_str(run, "workflow", "?"));
    (void)snprintf(note->version, sizeof note->version, "%s", pawl_str(run, "version", ""));
}

/* False: nobody listens. Waits for ever: how long it may take is the parent's to say. */
static bool replay_one(child *c, const pawl_value *run, pw_replay_place place)
{
    pawl_error err = {0};
    const pawl_value *stack = NULL;
    pw_replay_note note = {.kind = PW_REPLAY_BEGINS, .place = place};
    name(&note, run);
    if (!say(c, &note)) {
        return false;
    }
    pawl_scope *scope = pawl_scope_new();
    note.status = pawl_request(c->cli->engine, "stack", pawl_build(scope, "{id: %s}", note.id), -1,
                               scope, &stack, &err);
    pawl_scope_free(scope);
    const bool gone = note.status == PAWL_NOTFOUND || note.status == PAWL_CLOSED;
    note.kind = gone ? PW_REPLAY_SKIPPED : PW_REPLAY_ENDED;
    (void)memcpy(note.message, err.message, sizeof note.message);
    c->left -= gone ? 0 : 1;
    return say(c, &note);
}

static pawl_status replay_page(child *c, const pawl_value *page, pw_replay_place from)
{
    const pawl_value *runs = pawl_get(page, "runs");
    bool heard = true;
    for (size_t i = from.index; heard && i < pawl_len(runs) && c->left > 0; i++) {
        const pawl_value *run = pawl_at(runs, i);
        heard = pawl_int(run, "closed_ms", 0) != 0 ||
                replay_one(c, run, (pw_replay_place){from.cursor, i});
    }
    return heard ? PAWL_OK : PAWL_CLOSED;
}

static pawl_status replay_all(child *c, pw_replay_place from, pawl_error *err)
{
    const char *filter = c->cli->args->value[PW_OPT_QUERY];
    pawl_status s = PAWL_OK;
    do {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *page = NULL;
        s = pawl_list(c->cli->engine, filter != NULL ? filter : "status = open", from.cursor, PAGE,
                      scope, &page, err);
        s = s == PAWL_OK ? replay_page(c, page, from) : s;
        from = (pw_replay_place){s == PAWL_OK ? pawl_int(page, "next", 0) : 0, 0};
        pawl_scope_free(scope);
    } while (from.cursor != 0 && c->left > 0);
    return s;
}

static int child_main(child *c, pw_replay_place from, pid_t parent)
{
    const pw_cli_host_options options = {.log_level = PAWL_ERROR, .quiet = true, .still = true};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    pawl_error err = {0};
    /* (the thread that forked is the parent's only one: it ends with its process) */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        return PW_EXIT_ERROR;
    }
    (void)sigaction(SIGPIPE, &ignore, NULL);
    int code = pw_cli_host(c->cli, &options);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = replay_all(c, from, &err);
    const pw_replay_note done = {.kind = PW_REPLAY_DONE};
    if (s != PAWL_OK && s != PAWL_CLOSED) {
        code = pw_cli_fail(c->cli, s, &err, NULL);
    } else if (!say(c, &done)) {
        code = PW_EXIT_ERROR;
    }
    pw_cli_unhost(c->cli, 0);
    return code;
}

pawl_status pw_replay_spawn(pw_cli *cli, pw_replay_place from, size_t len,
                            pw_replay_child *ret_child, pawl_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return pw_err(err, PAWL_IO, "a pipe: %s", strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        child c = {.cli = cli, .notes = ends[1], .left = len};
        close(ends[0]);
        const int code = child_main(&c, from, parent);
        (void)pw_cli_out_flush(&cli->complain);
        _exit(code); /* the output of the parent is not the child's to flush */
    }
    const int code = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pw_err(err, PAWL_IO, "a process: %s", strerror(code));
    }
    *ret_child = (pw_replay_child){pid, ends[0]};
    return PAWL_OK;
}
