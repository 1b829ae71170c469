/*
 * cli_replay.c - `replay`: do the open runs of a journal fit the code of a module? Asked before a deploy.
 *
 *     a process with an engine that stands still --each run--> rebuilt from its history by that code | how it differs
 *         '--it ends, or does not come back--> which run's code that was; another process goes on behind that run
 *
 * No run moves, no activity starts, and what does not fit is said, not paused. The code never runs in this process (cli_replay.h). One process
 * replays many runs, so what ends it may be what an earlier run's code did to it: a run whose process had replayed others before is replayed once
 * more as the first of a new one, and what is said of it tells the two apart. Does not look at closed runs: nothing replays them again.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "tools/cli_replay.h"

#define REPLAY_TIMEOUT_MS 30000
#define TICK_MS 1000

typedef struct replaying {
    pw_cli *cli;
    pw_cli_grid grid;
    size_t items; /* printed as JSON */
    size_t len, misfits, codeless;
    size_t max;
    int64_t said_ms;
    int64_t timeout_ms; /* of one run */
    size_t nameless;    /* ends of the process between two runs */
    /* of the process that is asked */
    pw_replay_place from;
    pw_replay_note now; /* the run whose code runs, if one does */
    int64_t due_ms;     /* 0 = none does */
    size_t seen;        /* runs it has replayed */
    bool done, late;
    char suspect
        [96]; /* what ended the process before, in the run that this one began with; "" = nothing */
} replaying;

/* A sign of life a second, on a terminal. */
static void sign(replaying *r)
{
    pw_cli_out *o = &r->cli->complain;
    const int64_t now = pw_cli_now_ms();
    if (o->terminal && now - r->said_ms >= 1000) {
        pw_out_printf(o, "\rreplayed %zu runs\033[K", r->len);
        (void)pw_cli_out_flush(o);
        r->said_ms = now;
    }
}

static void take(replaying *r, const pw_replay_note *n, const char *status, int number)
{
    pw_cli *cli = r->cli;
    const bool fits = strcmp(status, pawl_status_name(PAWL_OK)) == 0;
    const bool codeless = strcmp(status, pawl_status_name(PAWL_NOCODE)) == 0;
    r->len++;
    r->codeless += codeless ? 1 : 0;
    r->misfits += !fits && !codeless ? 1 : 0;
    if (cli->out.format != PW_FORMAT_TEXT) {
        const pawl_value *item = pawl_build(
            cli->scope, "{id: %s, workflow: %s, version: %s, fits: %p, status: %s, message: %s}",
            n->id, n->workflow, n->version, pawl_v(pawl_make_bool(cli->scope, fits)), status,
            fits ? NULL : n->message);
        item = number > 0 ? pawl_with(cli->scope, item, "signal", pawl_make_int(cli->scope, number))
                          : item;
        pw_out_json_item(&cli->out, item, r->items++);
    } else if (!fits) {
        pw_grid_str(&r->grid, PW_PLAIN, n->id);
        pw_grid_str(&r->grid, PW_PLAIN,
                    pw_sprintf(cli->scope, "%s%s%s", n->workflow, n->version[0] != '\0' ? "@" : "",
                               n->version));
        pw_grid_str(&r->grid, codeless ? PW_WARN : PW_BAD, n->message);
    }
}

/* ---- one process ---- */

static void behind(replaying *r, pw_replay_place place)
{
    r->from = (pw_replay_place){place.cursor, place.index + 1};
    r->due_ms = 0;
    r->suspect[0] = '\0';
}

static void hear(replaying *r, pw_replay_note *n)
{
    if (n->kind == PW_REPLAY_BEGINS) {
        r->now = *n;
        r->due_ms = pw_cli_now_ms() + r->timeout_ms;
    } else if (n->kind == PW_REPLAY_DONE) {
        r->done = true;
        r->due_ms = pw_cli_now_ms() + r->timeout_ms; /* the engine's close */
    } else {
        const char *status = pawl_status_name(n->status);
        if (r->suspect[0] != '\0' && n->status == PAWL_OK) {
            (void)snprintf(n->message, sizeof n->message,
                           "its process ended behind other runs (%s), and not when it came first: "
                           "code of another run may have done it",
                           r->suspect);
            status = "crashed";
        }
        if (n->kind == PW_REPLAY_ENDED) {
            take(r, n, status, 0);
        }
        r->seen++;
        behind(r, n->place);
    }
}

/* All that is there. False: there will be no more. */
static bool hear_all(replaying *r, int fd)
{
    pw_replay_note n;
    ssize_t got;
    while ((got = read(fd, &n, sizeof n)) == (ssize_t)sizeof n) {
        hear(r, &n);
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until the process has ended, by itself or by us. Not by the end of the pipe alone: what the code started may hold that. */
static int attend(replaying *r, const pw_replay_child *child)
{
    int status = 0;
    bool open = true;
    for (;;) {
        const int64_t now = pw_cli_now_ms();
        const int64_t left = r->due_ms != 0 ? r->due_ms - now : TICK_MS;
        struct pollfd p = {.fd = open ? child->notes : -1, .events = POLLIN};
        if (left <= 0) {
            r->late = true;
            (void)kill(child->pid, SIGKILL);
            (void)waitpid(child->pid, &status, 0);
            break;
        }
        (void)poll(&p, 1, !open ? 1 : left < TICK_MS ? (int)left : TICK_MS);
        const bool ended = waitpid(child->pid, &status, WNOHANG) == child->pid;
        open = hear_all(r, child->notes) && open;
        sign(r);
        if (ended) {
            break;
        }
    }
    close(child->notes);
    return status;
}

/* ---- what its end says ---- */

static const char *ending(const replaying *r, int status)
{
    pawl_scope *scope = r->cli->scope;
    return WIFSIGNALED(status)
               ? pw_sprintf(scope, "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)))
               : pw_sprintf(scope, "exit status %d", WEXITSTATUS(status));
}

static void run_ended_it(replaying *r, int status)
{
    pw_replay_note *n = &r->now;
    const int number = WIFSIGNALED(status) && !r->late ? WTERMSIG(status) : 0;
    if (r->late) {
        (void)snprintf(n->message, sizeof n->message,
                       "its code did not come back within %" PRId64 " ms: the process was ended",
                       r->timeout_ms);
    } else if (r->seen > 0) { /* others were here before: it is asked alone */
        (void)snprintf(r->suspect, sizeof r->suspect, "%s", ending(r, status));
        r->from = n->place;
        return;
    } else {
        (void)snprintf(n->message, sizeof n->message, "its code ended the process: %s",
                       ending(r, status));
    }
    take(r, n, r->late ? pawl_status_name(PAWL_TIMEOUT) : "crashed", number);
    behind(r, n->place);
}

/* PW_EXIT_OK: another process goes on, or all is done. */
static int judge(replaying *r, int status)
{
    const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == PW_EXIT_OK && r->done;
    if (clean || (r->due_ms != 0 && !r->done)) {
        if (!clean) {
            run_ended_it(r, status);
        }
        return PW_EXIT_OK;
    }
    if (r->done || r->seen > 0) {
        r->nameless++;
        pw_cli_note(r->cli, "the process ended %s: %s",
                    r->done ? "as it closed" : "between two runs",
                    r->late ? "it did not come back" : ending(r, status));
        return PW_EXIT_OK;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != PW_EXIT_OK) {
        return WEXITSTATUS(status); /* it has said why */
    }
    pw_cli_note(r->cli, "the process ended before the first run: %s", ending(r, status));
    return PW_EXIT_ERROR;
}

static int replay_all(replaying *r)
{
    pawl_error err = {0};
    int code = PW_EXIT_OK;
    while (code == PW_EXIT_OK && !r->done && r->len < r->max) {
        pw_replay_child child;
        (void)pw_cli_out_flush(&r->cli->complain);
        pawl_status s = pw_replay_spawn(r->cli, r->from, r->max - r->len, &child, &err);
        if (s != PAWL_OK) {
            return pw_cli_fail(r->cli, s, &err, NULL);
        }
        r->seen = 0;
        r->due_ms = 0;
        r->late = false;
        code = judge(r, attend(r, &child));
    }
    return code;
}

static int verdict(replaying *r)
{
    static const char *const headings[] = {"ID", "WORKFLOW", "WHY IT DOES NOT FIT"};
    pw_cli_out *o = &r->cli->out;
    const size_t fits = r->len - r->misfits - r->codeless;
    if (r->said_ms != 0 && r->cli->complain.terminal) {
        pw_out_puts(&r->cli->complain, "\r\033[K");
        (void)pw_cli_out_flush(&r->cli->complain);
    }
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json_end(o, r->items);
    } else {
        if (fits < r->len) {
            (void)pw_grid_print(o, &r->grid, headings, 0);
            pw_out_puts(o, "\n");
        }
        pw_out_printf(o, r->len == 1 ? "%zu of %zu open run fits\n" : "%zu of %zu open runs fit\n",
                      fits, r->len);
    }
    return r->misfits + r->nameless > 0 ? PW_EXIT_ERROR
           : r->codeless > 0            ? PW_EXIT_NOCODE
                                        : PW_EXIT_OK;
}

/* An engine has the journal: its runs are where it is, and only it may open the file as owner. */
static int served(pw_cli *cli)
{
    pawl_error err = {0};
    (void)pw_error_set(&err, PAWL_BUSY, __FILE__, __LINE__,
                       "an engine serves %.120s: process %" PRId64, cli->db,
                       pw_client_pid(cli->client));
    cli->way_out = "ask a copy of it";
    cli->next = "pawl%d backup copy.db && pawl replay --db copy.db --module FILE.so";
    return pw_cli_fail(cli, PAWL_BUSY, &err, NULL);
}

int pw_verb_replay(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    if (a->module_count == 0) {
        return pw_cli_usage(cli, "which code? --module FILE.so");
    }
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (pw_cli_live(cli)) {
        return served(cli);
    }
    pw_client_close(cli->client);
    cli->client = NULL;
    replaying r = {.cli = cli,
                   .max = SIZE_MAX,
                   .said_ms = pw_cli_now_ms(),
                   .timeout_ms = pw_cli_has(a, PW_OPT_TIMEOUT) ? a->number[PW_OPT_TIMEOUT]
                                                               : REPLAY_TIMEOUT_MS};
    if (a->number[PW_OPT_LIMIT] > 0) {
        r.max = (size_t)a->number[PW_OPT_LIMIT];
    }
    pw_grid_init(&r.grid, 3);
    code = replay_all(&r);
    code = code == PW_EXIT_OK ? verdict(&r) : code;
    pw_grid_deinit(&r.grid);
    return code;
}
