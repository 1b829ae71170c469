/*
 * bench.h - what the sections of pawl-bench share: clocks, percentiles, the table of results, a raw SQLite to compare with.
 */
#ifndef PW_BENCH_H
#define PW_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "sdk/pawl.h"

int64_t bench_ns(void);
/** CPU nanoseconds of this process's thread of that name so far. */
int64_t bench_thread_ns(const char *name);
int64_t bench_cpu_ns(void);
int64_t bench_rss(void);
/** Sorts in place. */
double bench_percentile(int64_t *samples, size_t len, double p);

/** One line of the table. raw and ratio are left out when raw is 0. */
void bench_result(const char *name, double value, const char *unit, double raw);
/** Progress, on a terminal only. */
void bench_note(const char *fmt, ...) PAWL_PRINTF(1, 2);

/** A file in the bench folder; files of an earlier use are removed. */
void bench_file(const char *name, char ret[4096]);
int64_t bench_file_bytes(const char *path);

/** An engine on that file with the bench workflows registered; exits with a message when it cannot. */
pawl_engine *bench_open(const char *path, int max_live_runs, bool memory);
void bench_start(pawl_engine *e, const char *workflow, const char *id, int64_t n, int64_t size);
void bench_result_of(pawl_engine *e, const char *id);
/** Asks without waiting; *left is one less once the run has ended. */
void bench_ask_result(pawl_engine *e, const char *id, int64_t *left);
/** Until *left is 0. */
void bench_await(pawl_engine *e, const int64_t *left);
int64_t bench_stat(pawl_engine *e, const char *name);

/** Raw: one thread, the same statements, one connection. */
typedef struct bench_raw bench_raw;
bench_raw *bench_raw_open(const char *path, int64_t runs);
/** From here on every run is a new one that ends after that many turns: its first creates its row, its last closes it. */
void bench_raw_generation(bench_raw *r, int64_t turns_of_a_run);
/** One transaction of `turns` turns, as a group of the engine is. */
void bench_raw_commit(bench_raw *r, int64_t turns, size_t record_bytes);
void bench_raw_close(bench_raw *r);

/* ---- processes beside the bench ---- */

/** As many descriptors as the machine lets us have, up to 16384. */
void bench_files_raise(void);
/** A program whose standard output is *ret_out; it dies with the bench. */
pid_t bench_spawn(const char *path, const char *const *argv, FILE **ret_out);
void bench_end(pid_t pid, FILE *out);

/** The loopback server (bench_server.c). */
typedef struct bench_server {
    pid_t pid;
    FILE *out;
    int port;
} bench_server;
int bench_server_start(bench_server *ret); /* its port */
void bench_server_end(bench_server *server);
/** Asks it for a number: /held, /size, /turns/N, /release. */
int64_t bench_ask(int port, const char *path);
int bench_port_of(const char *url);

/** What curl alone did under the same load, for each request. */
typedef struct bench_load {
    double seconds, cpu_us, bytes, first_p50_us, first_p99_us;
} bench_load;
bench_load bench_curl(const char *mode, const char *url, int64_t n, int64_t at_once, int64_t body);

/* workflows.c */
void bench_register(pawl_engine *e);
extern int64_t *bench_stamps; /* when set: the time at which each step of the one run returned */
extern int64_t bench_stamps_len;
extern int64_t bench_progress[]; /* steps by run, for recovery */
#define BENCH_RUNS_MAX 1000000

typedef struct bench_section {
    const char *name;
    const char *what;
    void (*run)(bool full);
} bench_section;

void bench_latency(bool full);
void bench_throughput(bool full);
void bench_replay(bool full);
void bench_sleepers(bool full);
void bench_recovery(bool full);
void bench_map(bool full);
void bench_cold(bool full);
void bench_bytes(bool full);
void bench_json(bool full);
void bench_http(bool full);
void bench_llm(bool full);
void bench_worker(bool full);
void bench_agent(bool full);
void bench_mcp(bool full);
int bench_server_child(void);
int bench_curl_child(char **argv);
int bench_cold_child(const char *path);
int bench_flight_child(const char *path, int64_t runs);

#endif
