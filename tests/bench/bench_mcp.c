/*
 * bench_mcp.c - (o) `pawl serve --http` beside a server on the official TypeScript SDK (mcp_peer.cjs), which keeps everything in memory: tools/list, a
 * trivial tools/call whose run is on disk before it is answered ("durable"), one that starts no run and writes nothing ("no run": pawl_describe), by
 * 1, 64 and 512 connections that each wait for their answer; and what a stream costs that is open. "Raw" is the peer; the two take turns in
 * blocks, with the same bodies. When npm cannot be reached the raw columns are empty, and it says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench_mcp.h"
#include "tools/client.h"

enum { STREAMS = 1000, BLOCKS = 3, CALLS_MAX = 200000 };

static const int connections[] = {1, 64, 512};

static void die(const char *what)
{
    (void)fprintf(stderr, "pawl-bench: %s\n", what);
    exit(1);
}

/* ---- the servers ---- */

static char db[4096], listed[4200];

static void serve(bench_mcp_server *ret)
{
    char line[1024] = "";
    const char *const argv[] = {"pawl",           "serve",  "--db", db,   "--module",
                                BENCH_MCP_MODULE, "--http", "0",    "-o", "jsonl",
                                "--log-level",    "error",  NULL};
    ret->pid = bench_spawn(BENCH_PAWL, argv, &ret->out);
    const char *url = ret->out != NULL && fgets(line, sizeof line, ret->out) != NULL
                          ? strstr(line, "http://")
                          : NULL;
    if (url == NULL) {
        die("`pawl serve --http` did not start");
    }
    ret->port = (int)strtol(strchr(url + 7, ':') + 1, NULL, 10);
}

/* node, the packages' folder, and why there are none. */
static char node[2048], modules[2048];

static bool peer_find(void)
{
    const char *const argv[] = {"/usr/bin/env",
                                "python3",
                                "-B",
                                BENCH_NPM_RIG,
                                BENCH_NPM,
                                "@modelcontextprotocol/server",
                                "@modelcontextprotocol/node",
                                "--",
                                "/bin/sh",
                                "-c",
                                "echo \"$NPM_NODE\"; echo \"$NPM_MODULES\"",
                                NULL};
    FILE *out = NULL;
    const pid_t pid = bench_spawn(argv[0], argv, &out);
    bool found = out != NULL && fgets(node, sizeof node, out) != NULL && node[0] == '/' &&
                 fgets(modules, sizeof modules, out) != NULL;
    bench_end(pid, out);
    node[strcspn(node, "\n")] = '\0';
    modules[strcspn(modules, "\n")] = '\0';
    if (!found) {
        (void)fprintf(stderr, "pawl-bench: no peer to compare with: %s\n",
                      node[0] != '\0' ? node : "python3 did not run");
    }
    return found;
}

/* What pawl lists is what the peer will offer. */
static void write_listed(const bench_mcp_server *ours)
{
    char *body = bench_mcp_once(ours, BENCH_MCP_LIST);
    const char *from = strchr(body, '[');
    const char *end = strstr(body, "],\"ttlMs\"");
    FILE *f = fopen(listed, "w");
    if (from == NULL || end == NULL || f == NULL) {
        die("tools/list of pawl is not as it was");
    }
    (void)fwrite(from, 1, (size_t)(end + 1 - from), f);
    (void)fclose(f);
    free(body);
}

static void peer(bench_mcp_server *ret)
{
    const char *const argv[] = {node, BENCH_MCP_PEER, modules, listed, NULL};
    if (!peer_find()) {
        return;
    }
    ret->pid = bench_spawn(node, argv, &ret->out);
    if (ret->out == NULL || fscanf(ret->out, "%d", &ret->port) != 1) {
        die("the peer did not start");
    }
}

static int64_t commits(void)
{
    pw_client *c = NULL;
    pawl_error err;
    const pawl_value *stats = NULL;
    pawl_scope *s = pawl_scope_new();
    if (pw_client_open(db, PW_CLIENT_PATIENCE_MS, &c, &err) != PAWL_OK ||
        pw_client_request(c, "stats", NULL, 10000, s, &stats, &err) != PAWL_OK) {
        die("the engine says nothing of itself");
    }
    const int64_t n = pawl_int(stats, "commits", 0);
    pw_client_close(c);
    pawl_scope_free(s);
    return n;
}

/* ---- load ---- */

typedef struct cell {
    bench_mcp_sum ours, theirs;
    int64_t commits;
} cell;

static void warm(const bench_mcp_server *server, int64_t ns)
{
    bench_mcp_sum none = {0};
    if (server->pid != 0) {
        for (bench_mcp_ask ask = BENCH_MCP_LIST; ask <= BENCH_MCP_DESCRIBE; ask++) {
            bench_mcp_load(server, ask, 64, ns, CALLS_MAX, &none);
        }
    }
}

static double per_s(const bench_mcp_sum *sum)
{
    return sum->ns > 0 ? (double)sum->calls / ((double)sum->ns / 1e9) : 0;
}

static double cpu_us(const bench_mcp_sum *sum)
{
    return sum->calls > 0 ? (double)sum->cpu_ns / 1000 / (double)sum->calls : 0;
}

static double at(bench_mcp_sum *sum, double p)
{
    return sum->len > 0 ? bench_percentile(sum->samples, sum->len, p) / 1000 : 0;
}

static void report(cell *c, const char *what, int n)
{
    char name[128];
    const double ours = cpu_us(&c->ours), theirs = cpu_us(&c->theirs);
    (void)snprintf(name, sizeof name, "o. %s, %d connection%s", what, n, n > 1 ? "s" : "");
    const size_t used = strlen(name);
    bench_result(name, per_s(&c->ours), "1/s", per_s(&c->theirs));
    (void)snprintf(name + used, sizeof name - used, ", p50");
    bench_result(name, at(&c->ours, 0.5), "us", at(&c->theirs, 0.5));
    (void)snprintf(name + used, sizeof name - used, ", p99");
    bench_result(name, at(&c->ours, 0.99), "us", at(&c->theirs, 0.99));
    (void)snprintf(name + used, sizeof name - used, ", CPU");
    bench_result(name, ours, "us", theirs);
    (void)snprintf(name + used, sizeof name - used, ", per CPU-second");
    bench_result(name, 1e6 / ours, "1/s", theirs > 0 ? 1e6 / theirs : 0);
    if (c->commits >= 0) {
        (void)snprintf(name + used, sizeof name - used, ", commits each");
        bench_result(name, (double)c->commits / (double)c->ours.calls, "", 0);
        for (int i = 0; i < 4; i++) {
            (void)snprintf(name + used, sizeof name - used, ", CPU of the thread %s",
                           bench_mcp_threads[i]);
            bench_result(name, (double)c->ours.threads_ns[i] / 1000 / (double)c->ours.calls, "us",
                         0);
        }
    }
}

static void measure(const bench_mcp_server *ours, const bench_mcp_server *theirs, bench_mcp_ask ask,
                    const char *what, bool full)
{
    const int64_t ns = full ? 2000000000 : 500000000;
    for (size_t i = 0; i < sizeof connections / sizeof connections[0]; i++) {
        cell c = {.commits = ask == BENCH_MCP_ECHO ? 0 : -1};
        c.ours.samples = calloc(BENCH_MCP_SAMPLES_MAX, sizeof *c.ours.samples);
        c.theirs.samples = calloc(BENCH_MCP_SAMPLES_MAX, sizeof *c.theirs.samples);
        for (int block = 0; block < BLOCKS; block++) {
            bench_note("(o) %s, %d connections, block %d of %d", what, connections[i], block + 1,
                       BLOCKS);
            const int64_t before = commits();
            bench_mcp_load(ours, ask, connections[i], ns, CALLS_MAX, &c.ours);
            c.commits += ask == BENCH_MCP_ECHO ? commits() - before : 0;
            if (theirs->pid != 0) {
                bench_mcp_load(theirs, ask, connections[i], ns, CALLS_MAX, &c.theirs);
            }
        }
        report(&c, what, connections[i]);
        free(c.ours.samples);
        free(c.theirs.samples);
    }
}

/* ---- streams ---- */

/* On servers that have just been started and answered each question once: what is freed after a load would hide what a stream takes. */
static double stream_bytes(const bench_mcp_server *server)
{
    int fds[STREAMS], first[10];
    if (server->pid == 0) {
        return 0;
    }
    bench_mcp_streams(server, 10, first);
    const int64_t before = bench_mcp_pss(server->pid);
    bench_mcp_streams(server, STREAMS, fds);
    const int64_t after = bench_mcp_pss(server->pid);
    for (int i = 0; i < STREAMS; i++) {
        (void)close(fds[i]);
    }
    for (int i = 0; i < 10; i++) {
        (void)close(first[i]);
    }
    return (double)(after - before) / STREAMS;
}

void bench_mcp(bool full)
{
    bench_mcp_server ours = {0}, theirs = {0};
    bench_files_raise();
    bench_file("o.db", db);
    (void)snprintf(listed, sizeof listed, "%s.tools.json", db);
    serve(&ours);
    write_listed(&ours);
    bench_note("(o) the peer starts");
    peer(&theirs);
    warm(&ours, 20000000);
    warm(&theirs, 20000000);
    bench_note("(o) streams");
    const double bytes = stream_bytes(&ours);
    bench_result("o. memory of a stream that is open, 1,000 at once (raw: the TypeScript SDK)",
                 bytes / 1024, "KiB", stream_bytes(&theirs) / 1024);
    bench_note("(o) warm up");
    warm(&ours, 700000000);
    warm(&theirs, 700000000);
    measure(&ours, &theirs, BENCH_MCP_LIST, "tools/list", full);
    measure(&ours, &theirs, BENCH_MCP_DESCRIBE, "tools/call, no run", full);
    measure(&ours, &theirs, BENCH_MCP_ECHO, "tools/call, durable", full);
    bench_end(ours.pid, ours.out);
    if (theirs.pid != 0) {
        bench_end(theirs.pid, theirs.out);
    }
    const char *const over_stdio[] = {node, BENCH_MCP_PEER, modules, listed, "--stdio", NULL};
    bench_mcp_starts(full, theirs.pid != 0 ? over_stdio : NULL);
    (void)unlink(listed);
    bench_file("o.db", db);
}
