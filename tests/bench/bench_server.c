/*
 * bench_server.c - the loopback server of the network sections, in a process of its own, so that its CPU is nobody's: `pawl-bench --server`
 * prints its port and serves until it is killed. One thread, epoll, answers made once.
 *
 *   GET /small                       a JSON object of 60 bytes
 *   POST /stream/..., /hold/...      a streamed chat answer of TOKENS tokens; /hold stops after the first one until /release
 *   POST /agent/...                  a streamed call of the tool "echo"; once /turns/N such have been made, a last word
 *   GET /held, /size                 how many streams are held; bytes of the body that was read last
 *
 * Does not look into bodies, and knows no client but curl: one request at a time on a connection.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <signal.h>

#include "tests/bench/bench.h"

enum { FDS_MAX = 16384, HEAD_BYTES = 8192, TOKENS = 20, ANSWER_BYTES = 8192 };

typedef struct conn {
    size_t head_size;
    size_t body_left;
    bool in_body;
    bool held;
    char head[HEAD_BYTES];
} conn;

static conn *conns[FDS_MAX];
static char small[256], begin_stream[1024], end_stream[ANSWER_BYTES], last_word[1024];
static long turns_left, held, body_size, calls;

static void put(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return;
        }
        if (sent < 0) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, -1);
            continue;
        }
        text += sent;
        size -= (size_t)sent;
    }
}

/* Appends one chunk of chunked coding. */
static void chunk(char *ret, size_t room, const char *data)
{
    size_t used = strlen(ret);
    (void)snprintf(ret + used, room - used, "%zx\r\n%s\r\n", strlen(data), data);
}

/* The last chunk. */
static void chunk_end(char *ret, size_t room)
{
    size_t used = strlen(ret);
    (void)snprintf(ret + used, room - used, "0\r\n\r\n");
}

#define STREAM_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EVENT(delta, finish)                                                              \
    "data: {\"id\":\"c1\",\"model\":\"stub\",\"choices\":[{\"index\":0,\"delta\":{" delta \
    "},\"finish_reason\":" finish "}]}\n\n"
#define TAIL                                                                                            \
    "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n" \
    "data: [DONE]\n\n"

static void answers_make(void)
{
    static const char body[] =
        "{\"ok\": true, \"name\": \"something small\", \"values\": [1, 2, 3]}\n";
    (void)snprintf(
        small, sizeof small,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    (void)snprintf(begin_stream, sizeof begin_stream, STREAM_HEAD);
    chunk(begin_stream, sizeof begin_stream,
          EVENT("\"role\":\"assistant\",\"content\":\"Once\"", "null"));
    for (int i = 1; i < TOKENS; i++) {
        chunk(end_stream, sizeof end_stream, EVENT("\"content\":\" upon\"", "null"));
    }
    chunk(end_stream, sizeof end_stream, EVENT("", "\"stop\"") TAIL);
    chunk_end(end_stream, sizeof end_stream);
    (void)snprintf(last_word, sizeof last_word, STREAM_HEAD);
    chunk(last_word, sizeof last_word,
          EVENT("\"role\":\"assistant\",\"content\":\"Done.\"", "\"stop\"") TAIL);
    chunk_end(last_word, sizeof last_word);
}

static void answer_agent(int fd)
{
    char event[1024], all[2048] = STREAM_HEAD;
    if (turns_left-- <= 0) {
        put(fd, last_word, strlen(last_word));
        return;
    }
    calls++;
    (void)snprintf(
        event, sizeof event,
        EVENT("\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"t%ld\",\"type\":"
              "\"function\",\"function\":{\"name\":\"echo\",\"arguments\":\"{\\\"n\\\":%ld}\"}}]",
              "null") EVENT("", "\"tool_calls\"") TAIL,
        calls, calls);
    chunk(all, sizeof all, event);
    chunk_end(all, sizeof all);
    put(fd, all, strlen(all));
}

static void answer_number(int fd, long n)
{
    char text[200];
    (void)snprintf(text, sizeof text,
                   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n%12ld", n);
    put(fd, text, strlen(text));
}

static void release_all(void)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (conns[fd] != NULL && conns[fd]->held) {
            conns[fd]->held = false;
            put(fd, end_stream, strlen(end_stream));
        }
    }
    held = 0;
}

static void answer(int fd, conn *c)
{
    const char *path = strchr(c->head, ' ');
    path = path != NULL ? path + 1 : "";
    if (strncmp(path, "/small", 6) == 0) {
        put(fd, small, strlen(small));
    } else if (strncmp(path, "/stream", 7) == 0) {
        put(fd, begin_stream, strlen(begin_stream));
        put(fd, end_stream, strlen(end_stream));
    } else if (strncmp(path, "/hold", 5) == 0 && strncmp(path, "/held", 5) != 0) {
        put(fd, begin_stream, strlen(begin_stream));
        c->held = true;
        held++;
    } else if (strncmp(path, "/agent", 6) == 0) {
        answer_agent(fd);
    } else if (strncmp(path, "/held", 5) == 0) {
        answer_number(fd, held);
    } else if (strncmp(path, "/size", 5) == 0) {
        answer_number(fd, body_size);
    } else if (strncmp(path, "/turns/", 7) == 0) {
        turns_left = strtol(path + 7, NULL, 10);
        answer_number(fd, turns_left);
    } else {
        release_all();
        answer_number(fd, 0);
    }
    c->head_size = 0;
    c->in_body = false;
}

static void drop(int fd)
{
    held -= conns[fd] != NULL && conns[fd]->held;
    free(conns[fd]);
    conns[fd] = NULL;
    (void)close(fd);
}

/* Takes what came; true while the connection lives. */
static bool take(int fd, conn *c)
{
    static char sink[262144];
    ssize_t got;
    if (c->in_body) {
        got = read(fd, sink, sizeof sink);
        c->body_left -= got > 0 && (size_t)got <= c->body_left ? (size_t)got : 0;
    } else {
        got = read(fd, c->head + c->head_size, sizeof c->head - 1 - c->head_size);
        c->head_size += got > 0 ? (size_t)got : 0;
        c->head[c->head_size] = '\0';
        char *end = strstr(c->head, "\r\n\r\n");
        if (got > 0 && end != NULL) {
            const char *length = strcasestr(c->head, "\r\ncontent-length:");
            size_t size = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
            size_t have = c->head_size - (size_t)(end + 4 - c->head);
            c->in_body = true;
            c->body_left = size > have ? size - have : 0;
            body_size = size > 0 ? (long)size : body_size;
        }
    }
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        return false;
    }
    if (c->in_body && c->body_left == 0) {
        answer(fd, c);
    }
    return true;
}

static void welcome(int poller, int listener)
{
    int one = 1;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        conns[fd < FDS_MAX ? fd : 0] = fd < FDS_MAX ? calloc(1, sizeof(conn)) : NULL;
        if (fd >= FDS_MAX || conns[fd] == NULL) {
            (void)close(fd);
            continue;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        (void)epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev);
    }
}

int bench_server_child(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_files_raise();
    answers_make();
    if (bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &size) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev) != 0) {
        return 1;
    }
    (void)printf("%d\n", ntohs(at.sin_port));
    (void)fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                welcome(poller, listener);
            } else if (conns[fd] != NULL && !take(fd, conns[fd])) {
                drop(fd);
            }
        }
    }
}
