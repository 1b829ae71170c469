/*
 * stand_in.c - pawl-stand-in: a scripted stand-in for a model server, on loopback, for demonstrations and tests. It is no model: it reads how many
 * results of tools a conversation has and says the next line of its script. Every answer says so.
 *
 *     pawl-stand-in          prints "http://127.0.0.1:PORT/v1", then a line for each request: when it came, and when it was answered whole
 *     POST /v1/chat/completions     OpenAI's chat wire, streamed slowly or whole     GET /count     {"came": n, "answered": n}
 *
 * It counts its own calls, as a provider does that sends a bill: what a journal says it paid can be held against that. Serves one request after
 * the other until its standard input ends. Does not check keys and does not know any other wire.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sdk/pawl_value.h"

enum { BYTES_MAX = 1 << 20, PIECE_MS = 120, PATIENCE_MS = 5000 };

typedef struct counts {
    int came, answered;
} counts;

/* ---- the script ---- */

/* One answer: a call of a tool, or text. */
typedef struct line {
    const char *tool, *arguments, *text;
} line;

static const line script[] = {
    {"count_files", "{}", NULL},
    {"note", "{\"text\": \"I counted the files of this folder.\"}", NULL},
    {NULL, NULL, "I counted, and asked for a note. (Says a scripted stand-in, not a model.)"},
};

static size_t results_in(const pawl_value *messages)
{
    size_t n = 0;
    for (size_t i = 0; i < pawl_len(messages); i++) {
        n += pawl_is(pawl_at(messages, i), "role", "tool");
    }
    return n;
}

static const pawl_value *delta_of(pawl_scope *scope, const line *l, size_t step)
{
    char id[20];
    (void)snprintf(id, sizeof id, "call-%zu", step + 1);
    return l->tool == NULL
               ? pawl_build(scope, "{role: 'assistant', content: %s}", l->text)
               : pawl_build(
                     scope,
                     "{role: 'assistant', content: null, tool_calls: [{index: 0, id: %s, type: 'function',"
                     "function: {name: %s, arguments: %s}}]}",
                     id, l->tool, l->arguments);
}

/* ---- sockets ---- */

static bool send_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        const ssize_t n = send(fd, text + strlen(text) - left, left, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        left -= (size_t)n;
    }
    return true;
}

/* A model takes its time; so there is something to interrupt. */
static void think(void)
{
    const struct timespec t = {0, PIECE_MS * 1000000L};
    (void)nanosleep(&t, NULL);
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) > 0;
}

/* The whole of a request: its head, and as much body as that says. */
static size_t receive(int fd, char *into)
{
    size_t size = 0, wanted = BYTES_MAX;
    while (size < wanted && size < BYTES_MAX - 1 && readable(fd, PATIENCE_MS)) {
        const ssize_t n = recv(fd, into + size, BYTES_MAX - 1 - size, 0);
        if (n <= 0) {
            break;
        }
        size += (size_t)n;
        into[size] = '\0';
        const char *end = strstr(into, "\r\n\r\n");
        const char *length = strcasestr(into, "content-length:");
        if (end != NULL) {
            wanted = (size_t)(end + 4 - into) +
                     (length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    return size;
}

/* ---- one answer ---- */

static bool send_piece(int fd, pawl_scope *scope, const pawl_value *delta, const char *finish,
                       const pawl_value *usage)
{
    char head[] = "data: ";
    const pawl_value *v = pawl_build(
        scope,
        "{id: 'stand-in', object: 'chat.completion.chunk', model: 'stand-in', choices: [{index: 0, delta: %p, finish_reason: %s}], usage: %p}",
        pawl_v(delta), finish, pawl_v(usage));
    think();
    return send_all(fd, head) && send_all(fd, pawl_to_json(scope, v, 0)) && send_all(fd, "\n\n");
}

static bool answer_stream(int fd, pawl_scope *scope, const pawl_value *delta, const char *finish,
                          const pawl_value *usage)
{
    const pawl_value *nothing = pawl_build(scope, "{role: 'assistant', content: ''}");
    return send_all(
               fd,
               "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n") &&
           send_piece(fd, scope, nothing, NULL, NULL) &&
           send_piece(fd, scope, nothing, NULL, NULL) && send_piece(fd, scope, delta, NULL, NULL) &&
           send_piece(fd, scope, pawl_build(scope, "{}"), finish, usage) &&
           send_all(fd, "data: [DONE]\n\n");
}

static bool answer_whole(int fd, pawl_scope *scope, const pawl_value *body)
{
    char head[200];
    const char *text = pawl_to_json(scope, body, 0);
    (void)snprintf(head, sizeof head,
                   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   strlen(text));
    return send_all(fd, head) && send_all(fd, text);
}

static bool converse(int fd, pawl_scope *scope, const pawl_value *request, size_t bytes)
{
    const size_t last = sizeof script / sizeof script[0] - 1;
    const size_t results = results_in(pawl_get(request, "messages"));
    const size_t step = results < last ? results : last;
    const char *finish = script[step].tool != NULL ? "tool_calls" : "stop";
    const pawl_value *delta = delta_of(scope, &script[step], step);
    const pawl_value *usage =
        pawl_build(scope, "{prompt_tokens: %zu, completion_tokens: %d, total_tokens: %zu}",
                   bytes / 4, 20, bytes / 4 + 20);
    if (pawl_bool(request, "stream", false)) {
        return answer_stream(fd, scope, delta, finish, usage);
    }
    think();
    return answer_whole(
        fd, scope,
        pawl_build(
            scope,
            "{id: 'stand-in', object: 'chat.completion', model: 'stand-in', choices: [{index: 0, message: %p, finish_reason: %s}], usage: %p}",
            pawl_v(delta), finish, pawl_v(usage)));
}

static void serve_one(int fd, counts *c)
{
    char *text = malloc(BYTES_MAX);
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *request = NULL;
    pawl_error err;
    const size_t size = text != NULL && scope != NULL ? receive(fd, text) : 0;
    const char *body = size > 0 ? strstr(text, "\r\n\r\n") : NULL;
    if (body != NULL && strncmp(text, "GET /count", 10) == 0) {
        (void)answer_whole(fd, scope,
                           pawl_build(scope, "{came: %d, answered: %d}", c->came, c->answered));
    } else if (body != NULL && strncmp(text, "POST ", 5) == 0 &&
               pawl_parse_json(scope, body + 4, size - (size_t)(body + 4 - text), &request, &err) ==
                   PAWL_OK) {
        printf("%d came\n", ++c->came);
        if (converse(fd, scope, request, size)) {
            printf("%d answered\n", ++c->answered);
        }
    } else if (size > 0) {
        (void)send_all(
            fd, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    (void)shutdown(fd, SHUT_WR);
    close(fd);
    pawl_scope_free(scope);
    free(text);
}

int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    counts c = {0, 0};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        fprintf(stderr, "pawl-stand-in: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    printf("http://127.0.0.1:%d/v1\n", (int)ntohs(at.sin_port));
    for (;;) {
        struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        if (poll(both, 2, -1) < 0 && errno != EINTR) {
            return EXIT_FAILURE;
        }
        if ((both[0].revents & POLLIN) != 0) {
            const int client = accept(fd, NULL, NULL);
            if (client >= 0) {
                serve_one(client, &c);
            }
        } else if (both[1].revents != 0) {
            char dump[64];
            if (read(0, dump, sizeof dump) <= 0) {
                return EXIT_SUCCESS;
            }
        }
    }
}
