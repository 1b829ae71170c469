/*
 * bench_mcp_load.c - clients of an MCP server over HTTP/1.1, kept alive, on one epoll: the requests of both servers are the same bytes but for the
 * port in Host. A client of this file is as cheap as it gets, since it shares the machine with what it measures. Does not do TLS.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench_mcp.h"

enum { SPACE = 65536, REQUEST_MAX = 2048 };

#define META                                                                 \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"," \
    "\"io.modelcontextprotocol/clientCapabilities\":{},"                     \
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"pawl-bench\",\"version\":\"1\"}}"

typedef struct client {
    int fd;
    int64_t begun, number;
    size_t size; /* of the answer, as far as it is there */
    char space[SPACE];
} client;

static const char *const methods[] = {"tools/list", "tools/call", "tools/call",
                                      "subscriptions/listen"};
static const char *const names[] = {NULL, "echo", "pawl_describe", NULL};

static void die(const char *what)
{
    (void)fprintf(stderr, "pawl-bench: %s\n", what);
    exit(1);
}

/* ---- what is sent ---- */

size_t bench_mcp_body(char *ret, size_t size, bench_mcp_ask ask, int64_t number)
{
    char params[256] = "";
    if (ask == BENCH_MCP_ECHO) {
        (void)snprintf(params, sizeof params,
                       "\"name\":\"echo\",\"arguments\":{\"text\":\"hello %012lld\"},",
                       (long long)number);
    } else if (ask == BENCH_MCP_DESCRIBE) {
        (void)snprintf(params, sizeof params,
                       "\"name\":\"pawl_describe\",\"arguments\":{\"workflow\":\"echo\"},");
    } else if (ask == BENCH_MCP_LISTEN) {
        (void)snprintf(params, sizeof params, "\"notifications\":{\"toolsListChanged\":true},");
    }
    return (size_t)snprintf(
        ret, size, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":{%s" META "}}",
        1000000 + (int)(number % 1000000), methods[ask], params);
}

static size_t request(char ret[REQUEST_MAX], int port, bench_mcp_ask ask, int64_t number)
{
    char body[1024], name[64] = "";
    const size_t size = bench_mcp_body(body, sizeof body, ask, number);
    if (names[ask] != NULL) {
        (void)snprintf(name, sizeof name, "Mcp-Name: %s\r\n", names[ask]);
    }
    return (size_t)snprintf(
        ret, REQUEST_MAX,
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        "Mcp-Method: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
        port, methods[ask], name, size, body);
}

static int connect_to(int port)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        die("the MCP server does not take a connection");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_next(client *c, int port, bench_mcp_ask ask, int64_t number)
{
    char text[REQUEST_MAX];
    const size_t size = request(text, port, ask, number);
    c->number = number;
    c->size = 0;
    c->begun = bench_ns();
    if (send(c->fd, text, size, MSG_NOSIGNAL) != (ssize_t)size) {
        die("the MCP server does not take a request");
    }
}

/* ---- what comes ---- */

/* The answer's body, when all of it is there; chunks are small and few: the last one ends it. */
static const char *whole(const client *c)
{
    const char *head = memmem(c->space, c->size, "\r\n\r\n", 4);
    const char *length =
        head != NULL ? memmem(c->space, (size_t)(head - c->space), "\r\nContent-Length: ", 18)
                     : NULL;
    if (head == NULL) {
        return NULL;
    }
    head += 4;
    const size_t have = c->size - (size_t)(head - c->space);
    if (length != NULL) {
        return have >= strtoull(length + 18, NULL, 10) ? head : NULL;
    }
    return have >= 5 && memcmp(c->space + c->size - 5, "0\r\n\r\n", 5) == 0 ? head : NULL;
}

/* A quick server must not be quick at refusing. */
static void judge(client *c, bench_mcp_ask ask, const char *body)
{
    char wanted[64];
    static const char *const parts[] = {"\"tools\":[", NULL, "\"content\":[", NULL};
    const char *part = parts[ask];
    if (ask == BENCH_MCP_ECHO) {
        (void)snprintf(wanted, sizeof wanted, "\"text\":\"hello %012lld\"", (long long)c->number);
        part = wanted;
    }
    c->space[c->size < SPACE ? c->size : SPACE - 1] = '\0';
    if (strncmp(c->space, "HTTP/1.1 200 ", 13) != 0 || strstr(body, part) == NULL ||
        strstr(body, "\"isError\"") != NULL) {
        (void)fprintf(stderr, "%s\n", c->space);
        die("the MCP server answers something else");
    }
}

/* True: its answer is there. */
static bool take(client *c, bench_mcp_ask ask)
{
    const ssize_t n = recv(c->fd, c->space + c->size, sizeof c->space - 1 - c->size, 0);
    if (n <= 0) {
        die("the MCP server closes a connection");
    }
    c->size += (size_t)n;
    const char *body = whole(c);
    if (body != NULL) {
        judge(c, ask, body);
    }
    return body != NULL;
}

/* ---- load ---- */

static int64_t next_number = 1; /* no two calls of a run of the bench are alike */

static client *clients_open(int port, int n, int poller)
{
    client *all = calloc((size_t)n, sizeof *all);
    for (int i = 0; all != NULL && i < n; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &all[i]};
        all[i].fd = connect_to(port);
        (void)epoll_ctl(poller, EPOLL_CTL_ADD, all[i].fd, &ev);
    }
    return all;
}

static void clients_close(client *all, int n)
{
    for (int i = 0; i < n; i++) {
        (void)close(all[i].fd);
    }
    free(all);
}

static void sample(bench_mcp_sum *sum, int64_t ns)
{
    if (sum->samples != NULL && sum->len < BENCH_MCP_SAMPLES_MAX) {
        sum->samples[sum->len++] = ns;
    }
}

void bench_mcp_load(const bench_mcp_server *server, bench_mcp_ask ask, int clients, int64_t ns,
                    int64_t calls_max, bench_mcp_sum *sum)
{
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    client *all = clients_open(server->port, clients, poller);
    int64_t before[4], after[4];
    const int64_t cpu = bench_mcp_cpu_ns(server->pid, before);
    const int64_t from = bench_ns();
    int64_t sent = 0, came = 0;
    for (; sent < clients; sent++) {
        send_next(&all[sent], server->port, ask, next_number++);
    }
    while (came < sent) {
        struct epoll_event events[128];
        const int n = epoll_wait(poller, events, 128, 30000);
        if (n <= 0) {
            die("the MCP server does not answer within 30 s");
        }
        for (int i = 0; i < n; i++) {
            client *c = events[i].data.ptr;
            if (!take(c, ask)) {
                continue;
            }
            const int64_t now = bench_ns();
            came++;
            sample(sum, now - c->begun);
            if (now - from < ns && sent < calls_max) {
                sent++;
                send_next(c, server->port, ask, next_number++);
            }
        }
    }
    sum->calls += came;
    sum->ns += bench_ns() - from;
    sum->cpu_ns += bench_mcp_cpu_ns(server->pid, after) - cpu;
    for (int i = 0; i < 4; i++) {
        sum->threads_ns[i] += after[i] - before[i];
    }
    clients_close(all, clients);
    (void)close(poller);
}

char *bench_mcp_once(const bench_mcp_server *server, bench_mcp_ask ask)
{
    client *c = calloc(1, sizeof *c);
    c->fd = connect_to(server->port);
    send_next(c, server->port, ask, next_number++);
    while (!take(c, ask)) {
    }
    char *body = strdup(whole(c));
    clients_close(c, 1);
    return body;
}

void bench_mcp_streams(const bench_mcp_server *server, int n, int *ret)
{
    char text[REQUEST_MAX];
    const size_t size = request(text, server->port, BENCH_MCP_LISTEN, next_number++);
    for (int i = 0; i < n; i++) {
        size_t have = 0;
        char space[4096] = "";
        ret[i] = connect_to(server->port);
        (void)send(ret[i], text, size, MSG_NOSIGNAL);
        while (strstr(space, "subscriptions/acknowledged") == NULL) {
            const ssize_t got = recv(ret[i], space + have, sizeof space - 1 - have, 0);
            if (got <= 0) {
                die("the MCP server does not open a stream");
            }
            have += (size_t)got;
            space[have] = '\0';
        }
    }
}

/* ---- what it costs the server ---- */

const char *const bench_mcp_threads[4] = {"pawl", "pawl-engine", "pawl-journal", "pawl-io"};

static bool read_line(const char *path, char *ret, int size)
{
    FILE *f = fopen(path, "r");
    const bool read = f != NULL && fgets(ret, size, f) != NULL;
    if (f != NULL) {
        (void)fclose(f);
    }
    ret[read ? strcspn(ret, "\n") : 0] = '\0';
    return read;
}

static int64_t thread_ns(pid_t pid, const char *tid, int64_t threads[4])
{
    char path[300], line[128], name[32];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)pid, tid);
    const int64_t ns = read_line(path, line, sizeof line) ? strtoll(line, NULL, 10) : 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/comm", (int)pid, tid);
    if (threads != NULL && read_line(path, name, sizeof name)) {
        for (int i = 0; i < 4; i++) {
            threads[i] += strcmp(name, bench_mcp_threads[i]) == 0 ? ns : 0;
        }
    }
    return ns;
}

int64_t bench_mcp_cpu_ns(pid_t pid, int64_t ret_threads[4])
{
    char path[64];
    int64_t sum = 0;
    if (ret_threads != NULL) {
        memset(ret_threads, 0, 4 * sizeof *ret_threads);
    }
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
        sum += e->d_name[0] != '.' ? thread_ns(pid, e->d_name, ret_threads) : 0;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return sum;
}

int64_t bench_mcp_pss(pid_t pid)
{
    char path[64], line[200];
    long long kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL &&
           sscanf(line, "Pss: %lld", &kb) != 1) {
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return kb * 1024;
}
