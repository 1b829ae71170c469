/*
 * bench_mcp_start.c - (o) how long after it is started an MCP server on standard input and output has answered its first two questions, server/discover
 * and tools/list, which are sent at once: `pawl mcp` beside an engine that runs, where none runs (it starts one), and with the engine inside it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench_mcp.h"
#include "tools/client.h"

enum { ROUNDS = 15, ROUNDS_FULL = 60 };

typedef struct start {
    int64_t discover[ROUNDS_FULL], list[ROUNDS_FULL];
} start;

static void die(const char *what)
{
    (void)fprintf(stderr, "pawl-bench: %s\n", what);
    exit(1);
}

static pid_t spawn(const char *const *argv, int ret_fds[2])
{
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) {
        die("no pipes");
    }
    const pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)close(in[0]);
        (void)close(in[1]);
        (void)close(out[0]);
        (void)close(out[1]);
        (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    ret_fds[0] = in[1];
    ret_fds[1] = out[0];
    return pid;
}

/* Until that many lines have come. */
static void read_lines(int fd, int wanted)
{
    char space[65536];
    for (int lines = 0; lines < wanted;) {
        const ssize_t n = read(fd, space, sizeof space);
        if (n <= 0) {
            die("an MCP server on standard output ended before it answered");
        }
        for (ssize_t i = 0; i < n; i++) {
            lines += space[i] == '\n';
        }
    }
}

static void once(const char *const *argv, start *s, int round)
{
    char text[2048];
    int fds[2];
    static const char discover[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{\"_meta\":{"
        "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
        "\"io.modelcontextprotocol/clientCapabilities\":{}}}}\n";
    size_t size = bench_mcp_body(text, sizeof text - 1, BENCH_MCP_LIST, 1);
    text[size++] = '\n';
    const int64_t from = bench_ns();
    const pid_t pid = spawn(argv, fds);
    if (write(fds[0], discover, sizeof discover - 1) < 0) {
        die("an MCP server does not read");
    }
    read_lines(fds[1], 1);
    s->discover[round] = bench_ns() - from;
    if (write(fds[0], text, size) < 0) {
        die("an MCP server does not read");
    }
    read_lines(fds[1], 1);
    s->list[round] = bench_ns() - from;
    (void)close(fds[0]);
    (void)close(fds[1]);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
}

/* The engine that `pawl mcp` left behind is not our child: it is told to end, and its lock is waited for. */
static void end_engine(const char *db)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 2000; i++) {
        pw_client *c = NULL;
        pawl_error err;
        if (pw_client_open(db, PW_CLIENT_PATIENCE_MS, &c, &err) != PAWL_OK) {
            return;
        }
        const int64_t pid = pw_client_pid(c);
        pw_client_close(c);
        if (pid <= 0) {
            return;
        }
        if (i == 0) {
            (void)kill((pid_t)pid, SIGTERM);
        }
        (void)nanosleep(&moment, NULL);
    }
    die("the engine of a `pawl mcp` does not end");
}

static void report(const char *what, start *ours, start *theirs, int rounds)
{
    char name[128];
    const double discover =
        theirs != NULL ? bench_percentile(theirs->discover, (size_t)rounds, 0.5) / 1e6 : 0;
    const double list =
        theirs != NULL ? bench_percentile(theirs->list, (size_t)rounds, 0.5) / 1e6 : 0;
    (void)snprintf(name, sizeof name, "o. stdio, start to server/discover, %s, p50", what);
    bench_result(name, bench_percentile(ours->discover, (size_t)rounds, 0.5) / 1e6, "ms", discover);
    (void)snprintf(name, sizeof name, "o. stdio, start to tools/list, %s, p50", what);
    bench_result(name, bench_percentile(ours->list, (size_t)rounds, 0.5) / 1e6, "ms", list);
}

void bench_mcp_starts(bool full, const char *const *peer)
{
    const int rounds = full ? ROUNDS_FULL : ROUNDS;
    char db[4096];
    FILE *out = NULL;
    start *all = calloc(4, sizeof *all);
    bench_file("o-start.db", db);
    const char *const serve[] = {"pawl",        "serve", "--db",     db,
                                 "-o",          "jsonl", "--module", BENCH_MCP_MODULE,
                                 "--log-level", "error", NULL};
    const char *const beside[] = {BENCH_PAWL,       "mcp", "--db", db, "--module",
                                  BENCH_MCP_MODULE, NULL};
    const char *const inside[] = {BENCH_PAWL,       "mcp",          "--db", db, "--module",
                                  BENCH_MCP_MODULE, "--in-process", NULL};
    const char *const joined[] = {BENCH_PAWL, "mcp", "--db", db, NULL};
    for (int i = 0; i < rounds; i++) {
        bench_note("(o) start %d of %d", i + 1, rounds);
        once(beside, &all[0], i);
        end_engine(db);
        once(inside, &all[1], i);
        if (peer != NULL) {
            once(peer, &all[3], i);
        }
    }
    const pid_t pid = bench_spawn(BENCH_PAWL, serve, &out);
    char line[512];
    if (out == NULL || fgets(line, sizeof line, out) == NULL) {
        die("`pawl serve` did not start");
    }
    for (int i = 0; i < rounds; i++) {
        once(joined, &all[2], i);
    }
    bench_end(pid, out);
    start *theirs = peer != NULL ? &all[3] : NULL;
    report("an engine runs", &all[2], theirs, rounds);
    report("no engine runs", &all[0], theirs, rounds);
    report("--in-process", &all[1], theirs, rounds);
    free(all);
    bench_file("o-start.db", db);
}
