/*
 * bench_runs.c - (d) replay, (e) sleeping runs, (f) recovery after kill -9, (g) map, (h) cold start.
 * Does not judge: no figure fails a build.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* ---- (d) ---- */

static double replay_rate(pawl_engine *e, const char *workflow, int64_t n, int64_t size)
{
    pawl_scope *s = pawl_scope_new();
    pawl_error err;
    const pawl_value *v;
    char id[48];
    (void)snprintf(id, sizeof id, "d-%s-%lld", workflow, (long long)size);
    bench_start(e, workflow, id, n, size);
    do { /* evicted at every wait: each stack request rebuilds the run */
        (void)usleep(20000);
        (void)pawl_dispatch(e);
    } while (pawl_describe(e, id, s, &v, &err) != PAWL_OK ||
             strncmp(pawl_str(v, "waiting", ""), "signal", 6) != 0);
    int64_t events = bench_stat(e, "replayed_events");
    int64_t from = bench_ns();
    int times = 0;
    while (bench_ns() - from < 1000000000 || times < 3) {
        if (pawl_request(e, "stack", pawl_build(s, "{id: %s}", id), 60000, s, &v, &err) !=
            PAWL_OK) {
            (void)fprintf(stderr, "pawl-bench: %s\n", err.message);
            exit(1);
        }
        times++;
    }
    double ns = (double)(bench_ns() - from);
    double rate = (double)(bench_stat(e, "replayed_events") - events) / ns * 1e9;
    pawl_scope_free(s);
    return rate;
}

void bench_replay(bool full)
{
    int64_t n = full ? 100000 : 20000;
    char path[4096];
    bench_file("d.db", path);
    bench_note("(d) replay");
    pawl_engine *e = bench_open(path, -1, false);
    bench_result("d. replay from the file, one turn an event", replay_rate(e, "history", n, 0),
                 "events/s", 0);
    bench_result("d. replay from the file, 5000 events a turn", replay_rate(e, "wide", n, 0),
                 "events/s", 0);
    pawl_close(e, 0);
    bench_file("d.db", path);
    e = bench_open("", -1, true);
    bench_result("d. replay in memory, one turn an event", replay_rate(e, "history", n, 0),
                 "events/s", 0);
    bench_result("d. replay in memory, nil inputs", replay_rate(e, "wide", n, 0), "events/s", 0);
    bench_result("d. replay in memory, inputs of 200 bytes", replay_rate(e, "wide", n, 200),
                 "events/s", 0);
    pawl_close(e, 0);
}

/* ---- (e) ---- */

static void wait_open(pawl_engine *e, int64_t turns)
{
    while (bench_stat(e, "turns") < turns) {
        (void)pawl_dispatch(e);
        (void)usleep(1000);
    }
}

static void sleepers(int64_t n, int64_t seconds, const char *what)
{
    char path[4096], id[48], name[96];
    bench_file("e.db", path);
    pawl_engine *e = bench_open(path, -1, false);
    int64_t rss = bench_rss();
    int64_t from = bench_ns();
    for (int64_t i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "e-%lld", (long long)i);
        bench_start(e, "sleeper", id, seconds, 0);
        if (i % 10000 == 0) {
            bench_note("(e) %lld of %lld sleepers", (long long)i, (long long)n);
        }
    }
    wait_open(e, n);
    double start_s = (double)(bench_ns() - from) / 1e9;
    (void)pawl_dispatch(e);
    (void)sleep(1);
    double growth = (double)(bench_rss() - rss);
    (void)snprintf(name, sizeof name, "e. start rate, %lld runs that sleep %s", (long long)n, what);
    bench_result(name, (double)n / start_s, "1/s", 0);
    (void)snprintf(name, sizeof name, "e. timer bytes in memory per run, due %s", what);
    bench_result(name, (double)bench_stat(e, "timer_bytes") / (double)n, "bytes", 0);
    (void)snprintf(name, sizeof name, "e. resident growth per run (caches included), due %s", what);
    bench_result(name, growth / (double)n, "bytes", 0);
    pawl_close(e, 0);
    from = bench_ns();
    e = bench_open(path, -1, false);
    (void)bench_stat(e, "turns");
    (void)snprintf(name, sizeof name, "e. time to open with %lld sleeping", (long long)n);
    bench_result(name, (double)(bench_ns() - from) / 1e6, "ms", 0);
    pawl_close(e, 0);
    bench_file("e.db", path);
}

static void wake_latency(void)
{
    char path[4096], id[32];
    bench_file("e2.db", path);
    pawl_engine *e = bench_open(path, -1, false);
    int64_t late[50];
    pawl_scope *s = pawl_scope_new();
    pawl_error err;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(id, sizeof id, "w-%d", i);
        bench_start(e, "sleeper", id, 1, 0);
    }
    for (int i = 0; i < 50; i++) {
        const pawl_value *v = NULL;
        (void)snprintf(id, sizeof id, "w-%d", i);
        bench_result_of(e, id);
        if (pawl_describe(e, id, s, &v, &err) == PAWL_OK) {
            late[i] = (pawl_int(v, "closed_ms", 0) - pawl_int(v, "created_ms", 0) - 1000) * 1000000;
        }
    }
    bench_result("e. wake latency of an evicted run, p50", bench_percentile(late, 50, 0.5) / 1e6,
                 "ms", 0);
    pawl_scope_free(s);
    pawl_close(e, 0);
    bench_file("e2.db", path);
}

void bench_sleepers(bool full)
{
    sleepers(full ? 1000000 : 100000, 86400, "in a day");
    sleepers(full ? 100000 : 20000, 300, "in five minutes");
    wake_latency();
}

/* ---- (f) ---- */

static int64_t spawn(const char *mode, const char *path, const char *arg, bool wait)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "pawl-bench", mode, path, arg, (char *)NULL);
        _exit(127);
    }
    if (wait) {
        int status = 0;
        (void)waitpid(pid, &status, 0);
    }
    return pid;
}

int bench_flight_child(const char *path, int64_t runs)
{
    pawl_engine *e = bench_open(path, 16000, false);
    char id[48];
    for (int64_t i = 0; i < runs; i++) {
        (void)snprintf(id, sizeof id, "f-%lld", (long long)i);
        bench_start(e, "flight", id, i, 0);
    }
    for (int64_t i = 0; i < runs; i++) {
        while (__atomic_load_n(&bench_progress[i], __ATOMIC_RELAXED) == 0) {
            (void)usleep(1000);
        }
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}

void bench_recovery(bool full)
{
    (void)full;
    int64_t runs = 10000;
    char path[4096];
    bench_file("f.db", path);
    int fds[2];
    if (pipe(fds) != 0) {
        return;
    }
    int out = dup(STDOUT_FILENO);
    (void)fflush(stdout);
    (void)dup2(fds[1], STDOUT_FILENO);
    pid_t pid = (pid_t)spawn("--flight", path, "10000", false);
    (void)dup2(out, STDOUT_FILENO);
    (void)close(out);
    (void)close(fds[1]);
    char line[16];
    bench_note("(f) 10000 runs get into flight");
    bool ready = read(fds[0], line, sizeof line) > 0;
    (void)close(fds[0]);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    if (!ready) {
        (void)fprintf(stderr, "pawl-bench: the child ended early\n");
        return;
    }
    memset(bench_progress, 0, (size_t)runs * sizeof bench_progress[0]);
    int64_t from = bench_ns();
    pawl_engine *e = bench_open(path, 16000, false);
    double opened = (double)(bench_ns() - from) / 1e6;
    for (int64_t i = 0; i < runs;
         i++) { /* each step counted again was replayed from history: the code has been resumed */
        while (__atomic_load_n(&bench_progress[i], __ATOMIC_RELAXED) == 0 &&
               bench_ns() - from < 60000000000) {
            (void)usleep(200);
        }
    }
    bench_result("f. kill -9 with 10000 runs in flight: opened after", opened, "ms", 0);
    bench_result("f. kill -9 with 10000 runs in flight: all resumed after",
                 (double)(bench_ns() - from) / 1e6, "ms", 0);
    pawl_close(e, 0);
    bench_file("f.db", path);
}

/* ---- (g) ---- */

void bench_map(bool full)
{
    int64_t n = full ? 1000000 : 100000;
    char path[4096], name[64];
    bench_file("g.db", path);
    pawl_engine *e = bench_open(path, 0, false);
    int64_t from = bench_ns();
    bench_note("(g) map over %lld items", (long long)n);
    bench_start(e, "fan", "g", n, 0);
    bench_result_of(e, "g");
    double s = (double)(bench_ns() - from) / 1e9;
    (void)snprintf(name, sizeof name, "g. map over %lld items", (long long)n);
    bench_result(name, s, "s", 0);
    bench_result("g. items/s", (double)n / s, "1/s", 0);
    pawl_close(e, 0);
    bench_result("g. journal bytes per item", (double)bench_file_bytes(path) / (double)n, "bytes",
                 0);
    bench_file("g.db", path);
}

/* ---- (h) ---- */

int bench_cold_child(const char *path)
{
    pawl_engine *e = bench_open(path, 0, false);
    bench_start(e, "steps", "h", 1, 0);
    bench_result_of(e, "h");
    pawl_close(e, 0);
    return 0;
}

/* A new file, its WAL, the tables, the owner, two commits, the checkpoint at closing: the same twelve syncs without pawl. */
static int64_t raw_life(void)
{
    char path[4096];
    bench_file("h-raw.db", path);
    int64_t from = bench_ns();
    bench_raw *raw = bench_raw_open(path, 1);
    bench_raw_commit(raw, 1, 90);
    bench_raw_commit(raw, 1, 90);
    bench_raw_close(raw);
    int64_t ns = bench_ns() - from;
    bench_file("h-raw.db", path);
    return ns;
}

void bench_cold(bool full)
{
    enum { TIMES = 20 };
    (void)full;
    char path[4096];
    int64_t wall[TIMES], cpu[TIMES], syncs[TIMES], over[TIMES];
    for (int i = 0; i < TIMES; i++) {
        bench_file("h.db", path);
        struct rusage before, after;
        (void)getrusage(RUSAGE_CHILDREN, &before);
        int64_t from = bench_ns();
        (void)spawn("--cold", path, "", true);
        wall[i] = bench_ns() - from;
        (void)getrusage(RUSAGE_CHILDREN, &after);
        cpu[i] = ((int64_t)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
                  (after.ru_stime.tv_sec - before.ru_stime.tv_sec)) *
                     1000000000 +
                 ((int64_t)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) +
                  (after.ru_stime.tv_usec - before.ru_stime.tv_usec)) *
                     1000;
        syncs[i] = raw_life();
        over[i] = wall[i] - syncs[i];
    }
    bench_result("h. cold start to a finished run, CPU", bench_percentile(cpu, TIMES, 0.5) / 1e6,
                 "ms", 0);
    bench_result("h. cold start to a finished run, wall (raw: SQLite's, alone)",
                 bench_percentile(wall, TIMES, 0.5) / 1e6, "ms",
                 bench_percentile(syncs, TIMES, 0.5) / 1e6);
    bench_result("h. wall beyond SQLite's of the same round",
                 bench_percentile(over, TIMES, 0.5) / 1e6, "ms", 0);
    bench_file("h.db", path);
}
