/*
 * bench_mcp.h - what the files of section o share: the load that is put on an MCP server, and what was seen of it.
 */
#ifndef PW_BENCH_MCP_H
#define PW_BENCH_MCP_H

#include "tests/bench/bench.h"

enum { BENCH_MCP_SAMPLES_MAX = 2000000 };

/** What clients ask for. */
typedef enum bench_mcp_ask {
    BENCH_MCP_LIST,     /* tools/list */
    BENCH_MCP_ECHO,     /* tools/call of the workflow: its start is on disk before the answer */
    BENCH_MCP_DESCRIBE, /* tools/call of pawl_describe: no run is started, nothing is written */
    BENCH_MCP_LISTEN    /* subscriptions/listen: a stream that stays open */
} bench_mcp_ask;

/** A server under test: a process that listens on loopback. */
typedef struct bench_mcp_server {
    pid_t pid; /* 0 = it is not there */
    FILE *out;
    int port;
} bench_mcp_server;

/** What blocks of load added up to. Zero it before the first. */
typedef struct bench_mcp_sum {
    int64_t calls, ns, cpu_ns;
    int64_t threads_ns[4]; /* of it, by bench_mcp_threads */
    int64_t *samples;      /* the time of each call; freed by its owner */
    size_t len;
} bench_mcp_sum;

/** Names of pawl's threads; the MCP server's is named as the program. */
extern const char *const bench_mcp_threads[4];
/** CPU of a process of ours so far, all its threads, in nanoseconds (/proc/PID/task/.../schedstat: what /proc/PID/stat counts in ticks of 10 ms).
 * ret_threads, unless NULL: of pawl's threads. */
int64_t bench_mcp_cpu_ns(pid_t pid, int64_t ret_threads[4]);
/** The memory that is the process's own, shared pages in part (PSS), in bytes. */
int64_t bench_mcp_pss(pid_t pid);

/** The body of a message; all of one ask have the same size. Text of an echo: the number. */
size_t bench_mcp_body(char *ret, size_t size, bench_mcp_ask ask, int64_t number);

/** Clients that each send the next request when they have the answer to the last, for that long and no more than calls_max. Every answer is looked at:
 * exits when one is not a result. */
void bench_mcp_load(const bench_mcp_server *server, bench_mcp_ask ask, int clients, int64_t ns,
                    int64_t calls_max, bench_mcp_sum *sum);
/** One call, and its answer's body. Owns: the caller (free). */
char *bench_mcp_once(const bench_mcp_server *server, bench_mcp_ask ask);
/** Opens n streams that stay open, each acknowledged; ret holds their descriptors. */
void bench_mcp_streams(const bench_mcp_server *server, int n, int *ret);

/** Start to first answer over stdio (bench_mcp_start.c). peer: the command of the peer; NULL = there is none. */
void bench_mcp_starts(bool full, const char *const *peer);

#endif
