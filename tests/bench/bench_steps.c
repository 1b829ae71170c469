/*
 * bench_steps.c - (a) latency of one run's durable steps, (b) throughput of many, (c) CPU per step, (i) bytes per step.
 * Raw and pawl take turns in blocks, so that a noisy machine is noisy for both.
 * Does not judge: no figure fails a build.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

#define BLOCK 300
#define RECORD_BYTES 90 /* what a step's record measures; see (i) */
#define TURNS 11        /* of a run with ten steps */

static size_t pawl_block(pawl_engine *e, int64_t *out, const char *id)
{
    static int64_t stamps[BLOCK];
    bench_stamps = stamps;
    bench_stamps_len = BLOCK;
    bench_start(e, "steps", id, BLOCK, 0);
    bench_result_of(e, id);
    bench_stamps = NULL;
    for (size_t i = 1; i < BLOCK; i++) {
        out[i - 1] = stamps[i] - stamps[i - 1];
    }
    return BLOCK - 1;
}

static size_t raw_block(bench_raw *r, int64_t *out)
{
    for (size_t i = 0; i < BLOCK; i++) {
        int64_t from = bench_ns();
        bench_raw_commit(r, 1, RECORD_BYTES);
        out[i] = bench_ns() - from;
    }
    return BLOCK;
}

void bench_latency(bool full)
{
    int blocks = full ? 40 : 10;
    char path[4096], raw_path[4096];
    bench_file("a.db", path);
    bench_file("a-raw.db", raw_path);
    pawl_engine *e = bench_open(path, 0, false);
    bench_raw *raw = bench_raw_open(raw_path, 1);
    int64_t *ours = calloc((size_t)blocks * BLOCK, sizeof *ours);
    int64_t *theirs = calloc((size_t)blocks * BLOCK, sizeof *theirs);
    size_t n = 0, m = 0;
    for (int i = 0; i < blocks; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "a-%d", i);
        bench_note("(a) latency, block %d of %d", i + 1, blocks);
        m += raw_block(raw, theirs + m);
        n += pawl_block(e, ours + n, id);
    }
    double raw_p50 = bench_percentile(theirs, m, 0.5), raw_p99 = bench_percentile(theirs, m, 0.99);
    bench_result("a. durable step, one run, p50", bench_percentile(ours, n, 0.5) / 1000, "us",
                 raw_p50 / 1000);
    bench_result("a. durable step, one run, p99", bench_percentile(ours, n, 0.99) / 1000, "us",
                 raw_p99 / 1000);
    free(ours);
    free(theirs);
    bench_raw_close(raw);
    pawl_close(e, 0);
    bench_file("a.db", path);
    bench_file("a-raw.db", raw_path);
}

/* ---- (b) and (c) ---- */

typedef struct round {
    double steps_per_s;
    double batch;
    double engine_us, journal_us, all_us;
} round;

static round pawl_round(pawl_engine *e, int64_t runs, int block)
{
    char id[48];
    int64_t turns = bench_stat(e, "turns"), commits = bench_stat(e, "commits"),
            steps = bench_stat(e, "steps");
    int64_t engine = bench_thread_ns("pawl-engine"), journal = bench_thread_ns("pawl-journal"),
            all = bench_cpu_ns();
    int64_t from = bench_ns();
    for (int64_t i = 0; i < runs; i++) {
        (void)snprintf(id, sizeof id, "b-%lld-%d-%lld", (long long)runs, block, (long long)i);
        bench_start(e, "steps", id, 10, 0);
    }
    int64_t left = runs;
    for (int64_t i = 0; i < runs; i++) {
        (void)snprintf(id, sizeof id, "b-%lld-%d-%lld", (long long)runs, block, (long long)i);
        bench_ask_result(e, id, &left);
    }
    bench_await(e, &left);
    double ns = (double)(bench_ns() - from);
    double done = (double)(bench_stat(e, "steps") - steps);
    round r = {.steps_per_s = done / ns * 1e9};
    r.batch =
        (double)(bench_stat(e, "turns") - turns) / (double)(bench_stat(e, "commits") - commits);
    r.engine_us = (double)(bench_thread_ns("pawl-engine") - engine) / done / 1000;
    r.journal_us = (double)(bench_thread_ns("pawl-journal") - journal) / done / 1000;
    r.all_us = (double)(bench_cpu_ns() - all) / done / 1000;
    return r;
}

/* A run of ten steps is eleven turns: the start comes with the first step, the end has its own. */
static double raw_round(bench_raw *raw, int64_t runs, double batch)
{
    int64_t all = runs * TURNS;
    int64_t turns = batch < 1 ? 1 : (int64_t)(batch + 0.5);
    int64_t from = bench_ns();
    bench_raw_generation(raw, TURNS);
    for (int64_t done = 0; done < all; done += turns) {
        bench_raw_commit(raw, turns < all - done ? turns : all - done, RECORD_BYTES);
    }
    return (double)(runs * 10) / (double)(bench_ns() - from) * 1e9;
}

static void throughput(int64_t runs, int blocks)
{
    char path[4096], raw_path[4096], name[96];
    bench_file("b.db", path);
    bench_file("b-raw.db", raw_path);
    pawl_engine *e = bench_open(path, 0, false);
    bench_raw *raw = bench_raw_open(raw_path, runs);
    round sum = {0};
    double raw_sum = 0;
    (void)pawl_round(e, runs, -1);
    for (int i = 0; i < blocks; i++) {
        bench_note("(b) %lld runs, block %d of %d", (long long)runs, i + 1, blocks);
        round r = pawl_round(e, runs, i);
        raw_sum += raw_round(raw, runs, r.batch);
        sum.steps_per_s += r.steps_per_s;
        sum.batch += r.batch;
        sum.engine_us += r.engine_us;
        sum.journal_us += r.journal_us;
        sum.all_us += r.all_us;
    }
    (void)snprintf(name, sizeof name, "b. steps/s, %lld runs (batch %.0f)", (long long)runs,
                   sum.batch / blocks);
    bench_result(name, sum.steps_per_s / blocks, "1/s", raw_sum / blocks);
    (void)snprintf(name, sizeof name, "c. CPU per step, %lld runs, engine thread", (long long)runs);
    bench_result(name, sum.engine_us / blocks, "us", 0);
    (void)snprintf(name, sizeof name, "c. CPU per step, %lld runs, journal thread",
                   (long long)runs);
    bench_result(name, sum.journal_us / blocks, "us", 0);
    bench_raw_close(raw);
    pawl_close(e, 0);
    bench_file("b.db", path);
    bench_file("b-raw.db", raw_path);
}

void bench_throughput(bool full)
{
    throughput(64, full ? 100 : 30);
    throughput(1024, full ? 20 : 5);
}

void bench_bytes(bool full)
{
    int64_t n = full ? 100000 : 20000;
    char path[4096];
    bench_file("i.db", path);
    pawl_engine *e = bench_open(path, 0, false);
    bench_start(e, "steps", "i", 1, 0);
    bench_result_of(e, "i");
    pawl_close(e, 0);
    int64_t before = bench_file_bytes(path);
    e = bench_open(path, 0, false);
    bench_start(e, "steps", "i2", n, 0);
    bench_result_of(e, "i2");
    pawl_close(e, 0);
    bench_result("i. journal bytes per step", (double)(bench_file_bytes(path) - before) / (double)n,
                 "bytes", 0);
    bench_file("i.db", path);
}
