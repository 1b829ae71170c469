/*
 * bench_worker.c - (m) how long it takes until the code of an activity runs in a `pawl worker` process, and until its result is there; raw is the
 * same activity on a thread of the engine's own. Both times begin when the workflow asks, so the commit of the command is in both.
 * Does not judge: no figure fails a build.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { STEPS_MAX = 20000 };

static int64_t entered[STEPS_MAX]; /* from asking to the first line of the activity */
static int64_t back[STEPS_MAX];    /* from asking to the line after it */

/* The clock is one for all processes of a machine. */
static const pawl_value *here(pawl_task *t, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_build(t, "{at: %lld}", (long long)bench_ns());
}

/* n calls; size 1: of the activity that only the worker has. */
static const pawl_value *hops(pawl_run *w, const pawl_value *in)
{
    bool away = pawl_int(in, "size", 0) == 1;
    for (int64_t i = 0; i < pawl_int(in, "n", 1) && i < STEPS_MAX && pawl_ok(w); i++) {
        int64_t asked = bench_ns();
        const pawl_value *v = pawl_call(w, away ? "bench_away" : "bench_here");
        entered[i] = pawl_int(v, "at", 0) - asked;
        back[i] = bench_ns() - asked;
    }
    return NULL;
}

static void need(pawl_status status, const pawl_error *err)
{
    if (status != PAWL_OK) {
        (void)fprintf(stderr, "pawl-bench: %s: %s\n", pawl_status_name(status), err->message);
        exit(1);
    }
}

typedef struct hop {
    double entered_p50, entered_p99, back_p50, back_p99;
} hop;

static hop measure(pawl_engine *e, const char *id, int64_t n, bool away)
{
    bench_start(e, "hops", id, n, away ? 1 : 0);
    bench_result_of(e, id);
    return (hop){bench_percentile(entered, (size_t)n, 0.5) / 1000,
                 bench_percentile(entered, (size_t)n, 0.99) / 1000,
                 bench_percentile(back, (size_t)n, 0.5) / 1000,
                 bench_percentile(back, (size_t)n, 0.99) / 1000};
}

static void add(hop *sum, const hop *h, int blocks)
{
    sum->entered_p50 += h->entered_p50 / blocks;
    sum->entered_p99 += h->entered_p99 / blocks;
    sum->back_p50 += h->back_p50 / blocks;
    sum->back_p99 += h->back_p99 / blocks;
}

/* Its first call ends when the worker has connected. */
static void await_worker(pawl_engine *e)
{
    pawl_error err;
    const pawl_value *v = NULL;
    pawl_scope *s = pawl_scope_new();
    bench_start(e, "hops", "m-warm-away", 20, 1);
    if (pawl_result(e, "m-warm-away", 30000, s, &v, &err) != PAWL_OK) {
        (void)fprintf(stderr, "pawl-bench: no worker came: %s\n", err.message);
        exit(1);
    }
    pawl_scope_free(s);
}

void bench_worker(bool full)
{
    enum { BLOCKS = 5 };
    int64_t n = full ? 2000 : 400;
    char path[4096], id[48];
    hop here_sum = {0}, away_sum = {0};
    pawl_engine *e = NULL;
    pawl_error err;
    FILE *out = NULL;
    const pawl_options o = {.struct_size = sizeof o};
    bench_file("m.db", path);
    need(pawl_open(path, &o, &e, &err), &err);
    need(pawl_register_activity(e, "bench_here", here, NULL, &err), &err);
    need(pawl_register_workflow(e, "hops", "1", hops, NULL, &err), &err);
    need(pawl_resume_all(e, &err), &err);
    const char *const argv[] = {"pawl", "worker", "--db", path, "--module", BENCH_MODULE, NULL};
    pid_t pid = bench_spawn(BENCH_PAWL, argv, &out);
    bench_note("(m) the worker connects");
    await_worker(e);
    (void)measure(e, "m-warm-here", 20, false);
    for (int i = 0; i < BLOCKS; i++) {
        bench_note("(m) block %d of %d", i + 1, BLOCKS);
        (void)snprintf(id, sizeof id, "m-away-%d", i);
        hop h = measure(e, id, n, true);
        add(&away_sum, &h, BLOCKS);
        (void)snprintf(id, sizeof id, "m-here-%d", i);
        h = measure(e, id, n, false);
        add(&here_sum, &h, BLOCKS);
    }
    bench_result("m. worker process, from asking to its code, p50 (raw: own thread)",
                 away_sum.entered_p50, "us", here_sum.entered_p50);
    bench_result("m. worker process, from asking to its code, p99", away_sum.entered_p99, "us",
                 here_sum.entered_p99);
    bench_result("m. worker process, whole step, p50", away_sum.back_p50, "us", here_sum.back_p50);
    bench_result("m. worker process, whole step, p99", away_sum.back_p99, "us", here_sum.back_p99);
    bench_end(pid, out);
    pawl_close(e, 0);
    bench_file("m.db", path);
}
