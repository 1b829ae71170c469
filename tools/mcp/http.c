/*
 * http.c - the endpoint /mcp: POST a message; its answer is JSON, or a stream of events as soon as something is said before the answer.
 *
 *   request --body whole--> pw_mcpd_take --nothing yet--> suspended --message--> a stream --end--> the stream ends
 *                                                               `--end, nothing said before--> one JSON
 *
 * With rights, a request's head is looked at before its body is taken (http_pass.c): who it is, and whether there is room for it. A body that is
 * refused is read and dropped, so that its client gets to the answer; connections that make no headway are cut (http_conn.c).
 *
 * GET /runs/{id}/stream is the other thing that is here: its stream begins when the run is found (http_stream.c).
 *
 * libmicrohttpd runs on our loop through its epoll descriptor. It does not see that the peer of a suspended connection has gone: a poll of our
 * own does. Answers 403 to a Host or Origin that is not ours, 413 to a body that is too large, 503 when all of
 * them together are. TLS is libmicrohttpd's own.
 */
#include "tools/mcp/http_inside.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sdk/base/mem.h"

#define BODY_BYTES_MAX (4u << 20)
#define STREAM_BYTES_MAX (8u << 20) /* that a client has not read: it is cut */
#define CONNECTIONS_MAX 20000
#define CONNECTION_BYTES \
    (16u << 10) /* its headers, ours, and a piece of its body; cleared for each request */
/* What the kernel holds of it: left alone it takes megabytes for a client that never reads, and nothing is known of them here. */
#define SEND_BYTES (256 << 10)
#define IDLE_S 300
#define HALF_S 1  /* when it has closed its side */
#define TAKE_S 10 /* without a byte taken of an answer that is whole: the client is cut */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define LOOK_MS 500 /* at files of rights, and at connections that make no headway */
#define BEAT_MS 15000
#define VAIN_MAX 64   /* rounds of nothing */
#define VAIN_MS 10    /* then, between two of them */
#define LINGER_MS 50  /* a peer that goes is noticed within twice that */
#define DEAF_MS 100   /* after a connection that could not be taken, for want of a descriptor */
#define GONE_MS 30000 /* a peer that acknowledges nothing for so long is gone */

typedef pw_mcpd_http_request request;

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

static void kick(pw_mcpd_http *http);
static void on_linger(uv_timer_t *timer);

int64_t pw_http_now_ms(const pw_mcpd_http *http)
{
    return (int64_t)uv_now(http->loop);
}

/* ---- waking and sleeping ---- */

void pw_http_wake(request *r)
{
    pw_http_account(r);
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
        kick(r->http);
    }
}

/* A watch of its own is begun for it later, unless it has its answer by then. */
static void linger(request *r)
{
    r->since = uv_now(r->http->loop);
    if (!uv_is_active((uv_handle_t *)r->http->linger)) {
        uv_timer_start(r->http->linger, on_linger, LINGER_MS, 0);
    }
}

static void no_gone(request *r)
{
    if (r->gone != NULL) {
        uv_poll_stop(r->gone);
        uv_close((uv_handle_t *)r->gone, free_handle);
        r->gone = NULL;
    }
}

/* The peer has closed: the request is cancelled, and libmicrohttpd is woken to see it. */
static void peer_gone(request *r)
{
    no_gone(r);
    pw_mcpd_drop(r->x);
    pw_follower_drop(r->follower);
    r->follower = NULL;
    r->ended = true;
    r->status = 500;
    pw_http_wake(r);
}

/* A peer that says no more may be one that only waits for its answer. So it is looked at again, until the answer is there or is one that may never
 * come. Keys that its token needs come, or do not, in a bounded time. */
static void on_gone(uv_poll_t *poll, int status, int events)
{
    request *r = poll->data;
    (void)status;
    (void)events;
    const bool soon = r->pass.waiting || (r->x != NULL && !r->stream && !pw_mcpd_lasts(r->x));
    if (!soon) {
        peer_gone(r);
        return;
    }
    no_gone(r);
    linger(r);
}

static void watch_gone(request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    uv_poll_t *poll = r->gone == NULL && info != NULL ? pw_calloc(1, sizeof *poll) : NULL;
    if (poll == NULL || uv_poll_init(r->http->loop, poll, info->connect_fd) != 0) {
        pw_free(poll);
        return;
    }
    poll->data = r;
    r->gone = poll;
    (void)uv_poll_start(poll, UV_DISCONNECT, on_gone);
}

static void on_linger(uv_timer_t *timer)
{
    pw_mcpd_http *http = timer->data;
    const uint64_t now = uv_now(http->loop);
    bool again = false;
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (!r->suspended || r->gone != NULL) {
            continue;
        }
        if (now - r->since >= LINGER_MS) {
            watch_gone(r);
        } else {
            again = true;
        }
    }
    if (again) {
        uv_timer_start(timer, on_linger, LINGER_MS, 0);
    }
}

/* Another call like it has come: its client may have gone and asks again. */
static void sink_look(void *user)
{
    request *r = user;
    const union MHD_ConnectionInfo *info =
        r->suspended ? MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                     : NULL;
    char byte;
    if (info != NULL && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
        peer_gone(r);
    }
}

/* Most are answered before their peer is worth a watch of its own, which costs as much as half a request. */
void pw_http_sleep(request *r)
{
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    if (r->gone == NULL) {
        linger(r);
    }
}

static void set_timeout(struct MHD_Connection *connection, unsigned seconds)
{
    (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

/* Nothing more is put into the answer. What is left of it is held for a client that takes it, and not for one that never reads. Its time begins now:
 * libmicrohttpd counts from the last byte that went, which may be long ago, unless there was no timeout before. */
void pw_http_end(request *r)
{
    r->ended = true;
    set_timeout(r->connection, 0);
    set_timeout(r->connection, TAKE_S);
    pw_http_wake(r);
}

/* ---- the sink of exchanges ---- */

static void put_event(request *r, const char *event_id, const char *text, size_t size)
{
    if (event_id != NULL) {
        pw_buf_printf(&r->out, "id: %s\n", event_id);
        if (size == 0) {
            pw_buf_puts(&r->out, "retry: 500\n");
        }
    }
    if (text != NULL) {
        pw_buf_puts(&r->out, "data: ");
        pw_buf_put(&r->out, text, size);
        pw_buf_puts(&r->out, "\n\n");
    }
}

static void sink_message(void *user, const char *event_id, const char *text, size_t size)
{
    request *r = user;
    r->stream = true;
    put_event(r, event_id, text, size);
    pw_http_wake(r);
}

static void say_too_large(request *r, const pawl_value *id)
{
    pw_buf_reset(&r->out);
    r->status = 500;
    pw_mcpd_write_error(&r->out, id, PW_MCPD_INTERNAL, "the answer is too large", NULL);
}

static void sink_end(void *user, int status, const char *text, size_t size)
{
    request *r = user;
    const pawl_value *id = r->x != NULL ? r->x->id : NULL;
    if (r->x != NULL && r->x->method == PW_MCPD_INITIALIZE && r->x->session != NULL) {
        pw_pass_session_out(&r->http->front, &r->pass, r->x->session->id, r->session,
                            sizeof r->session);
    }
    if (r->x != NULL) {
        (void)snprintf(r->answers, sizeof r->answers, "%s", pw_mcpd_answers(r->x));
    }
    r->x = NULL;
    r->status = status;
    if (r->stream) {
        put_event(r, NULL, text, size);
    } else if (text != NULL) {
        pw_buf_put(&r->out, text, size);
        if (!pw_buf_ok(&r->out)) {
            say_too_large(r, id);
        }
    }
    pw_http_end(r);
}

static void sink_challenge(void *user, const char *scopes)
{
    request *r = user;
    pw_pass_scopes(&r->http->front, &r->pass, scopes);
}

static void sink_lost(void *user)
{
    request *r = user;
    r->stream = true;
    r->out.failed = true;
    pw_http_wake(r);
}

static const pw_mcpd_sink sink = {sink_message, sink_end, sink_look, sink_lost};

const char *pw_http_header(void *user, const char *name)
{
    request *r = user;
    const char *value = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
    if (value != NULL && r->pass.who != NULL && strcmp(name, "Mcp-Session-Id") == 0) {
        pw_pass_session_in(&r->http->front, &r->pass, value, r->named, sizeof r->named);
        return r->named;
    }
    return value;
}

/* ---- requests ---- */

static bool is_ours(request *r)
{
    const pw_http_target *target = pw_conn_target(r->connection);
    const char *host = target != NULL && target->authority[0] != '\0' ? target->authority
                                                                      : pw_http_header(r, "Host");
    const char *origin = pw_http_header(r, "Origin");
    return host != NULL && pw_http_host_ok(&r->http->address, host) &&
           (origin == NULL || pw_http_origin_ok(&r->http->address, origin));
}

static pw_mcpd_given given_of(request *r)
{
    return (pw_mcpd_given){.text = (const char *)r->body.data,
                           .size = r->body.size,
                           .header = pw_http_header,
                           .sink = &sink,
                           .user = r,
                           .principal = r->pass.who != NULL ? r->pass.who->principal : "",
                           .who = r->pass.who,
                           .challenge = sink_challenge};
}

static void begin_post(request *r)
{
    const char *type = pw_http_header(r, "Content-Type");
    const pw_mcpd_given given = given_of(r);
    if (r->no_room) {
        r->pass.retry_after_s = 1;
        pw_http_refuse(r, 503, "too much is being said at a time");
    } else if (r->too_large || !pw_buf_ok(&r->body)) {
        pw_http_refuse(r, 413, "the message is too large");
    } else if (type == NULL || strncmp(type, "application/json", 16) != 0) {
        pw_http_refuse(r, 415, "a message is application/json");
    } else {
        pw_mcpd_take(r->http->server, &given, &r->x);
    }
    pw_buf_deinit(&r->body); /* it has been read */
    pw_http_account(r);
}

/* GET and DELETE are of legacy sessions; a modern client has none, whatever it names. */
static void begin_session(request *r, bool get)
{
    const char *version = pw_http_header(r, "MCP-Protocol-Version");
    const pw_mcpd_given given = given_of(r);
    if (pw_http_header(r, "Mcp-Session-Id") == NULL ||
        (version != NULL && strcmp(version, PW_MCPD_MODERN) == 0)) {
        r->allow = "POST";
        pw_http_refuse(r, 405, "only POST is taken without a session");
    } else {
        pw_mcpd_take_session(r->http->server, &given, get, &r->x);
    }
}

static void begin_stream(request *r, const char *id, bool get)
{
    if (!get) {
        r->allow = "GET";
        pw_http_refuse_stream(r, 405, "a run's stream is read with GET");
    } else if (id[0] == '\0') {
        pw_http_refuse_stream(r, 404, "no run has such an id");
    } else {
        pw_http_begin_follow(r, id);
    }
}

static void begin(request *r, const char *url, const char *method)
{
    const pw_http_target *target = pw_conn_target(r->connection);
    url += target != NULL ? target->path_at : 0;
    const bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    char id[PW_ID_BYTES_MAX + 1];
    if (!is_ours(r)) {
        pw_http_refuse(r, 403,
                       "this Host or Origin is not served: serve --host names more of them");
    } else if (target != NULL &&
               target->every) { /* OPTIONS *: what there is, of all that is here */
        r->allow = "GET, POST, DELETE, OPTIONS";
        r->status = 204;
        r->ended = true;
    } else if (pw_pass_is_metadata(url)) {
        pw_http_begin_metadata(r, get);
    } else if (r->pass.status != 0) {
        pw_http_refuse(r, r->pass.status, r->pass.why);
    } else if (!pw_front_lets_in(&r->http->front, &r->pass)) {
        pw_http_refuse(
            r, 401, "a token is needed"); /* [T22] its peer went while it was found out who it is */
    } else if (pw_streams_path(url, id, sizeof id)) {
        begin_stream(r, id, get);
    } else if (strcmp(url, "/mcp") != 0) {
        pw_http_refuse(r, 404, "there is nothing here: the endpoint is /mcp, or /runs/ID/stream");
    } else if (strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
        begin_post(r);
    } else if (get || strcmp(method, MHD_HTTP_METHOD_DELETE) == 0) {
        begin_session(r, get);
    } else {
        r->allow = "POST";
        pw_http_refuse(r, 405, "POST is taken");
    }
}

static request *request_new(pw_mcpd_http *http, struct MHD_Connection *connection)
{
    request *r = pw_calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->http = http;
    r->connection = connection;
    r->status = 500;
    pw_buf_init(&r->body, BODY_BYTES_MAX);
    pw_buf_init(&r->out, STREAM_BYTES_MAX + BODY_BYTES_MAX);
    r->next = http->requests;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    http->requests = r;
    return r;
}

static void expect_body(request *r)
{
    pw_conn_set(r->connection, PW_CONN_BODY, pw_http_now_ms(r->http));
    pw_conn_moved(r->connection, r->chunked, pw_http_now_ms(r->http));
}

static void take_head(request *r)
{
    pw_mcpd_http *http = r->http;
    expect_body(r);
    pw_http_set_peer(r);
    pw_pass_head(&http->front, &r->pass, pw_http_header(r, "Authorization"), pw_http_now_ms(http));
    if (r->pass.waiting) { /* its body is not read meanwhile, and it is not its fault */
        pw_conn_set(r->connection, PW_CONN_WORK, pw_http_now_ms(http));
        r->head_again = true;
        pw_http_sleep(r);
    }
}

/* A part of the body: kept, or dropped when it is refused in the end. */
static void take_body(request *r, const char *data, size_t size)
{
    pw_mcpd_http *http = r->http;
    const size_t held_max = (size_t)pw_front_rights(&http->front)->held_bytes;
    pw_conn_moved(r->connection, r->chunked, pw_http_now_ms(http));
    r->too_large |= r->body.size + size > BODY_BYTES_MAX;
    r->no_room |= http->held + size > held_max;
    if (r->too_large || r->no_room || r->pass.status != 0) {
        pw_buf_deinit(&r->body);
    } else {
        pw_buf_put(&r->body, data, size);
    }
    pw_http_account(r);
}

/* [T27] A head that can be read in two ways is answered before its body, and that ends the connection. */
static enum MHD_Result begin_head(request *r, const pw_http_line *line)
{
    const char *why = pw_http_frame_problem(r->connection, line, &r->chunked);
    if (why == NULL) {
        take_head(r);
        return MHD_YES;
    }
    r->misframed = true;
    r->begun = true;
    pw_http_refuse(r, 400, why);
    return pw_http_respond(r);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    pw_conn_begin(connection, pw_http_now_ms(cls));
    return pw_http_frame_target(target, connection);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    request *r = *state;
    const pw_http_line line = {method, url, version};
    if (((const pw_mcpd_http *)cls)->closing && (r == NULL || !r->begun)) {
        return MHD_NO; /* libmicrohttpd ends the process when something still sleeps as it is stopped */
    }
    ((pw_mcpd_http *)cls)->moves++;
    if (r == NULL) {
        r = request_new(cls, connection);
        *state = r;
        return r != NULL ? begin_head(r, &line) : MHD_NO;
    }
    if (r->head_again) { /* libmicrohttpd gives a head again that went to sleep */
        r->head_again = false;
        expect_body(r);
        if (*size == 0) {
            return MHD_YES;
        }
    }
    if (*size > 0) {
        take_body(r, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!r->begun) {
        r->begun = true;
        pw_conn_set(connection, PW_CONN_WORK, pw_http_now_ms(r->http));
        begin(r, url, method);
    }
    if (r->queued) {
        return MHD_YES;
    }
    if (!r->ended && !r->stream) {
        pw_http_sleep(r);
        return MHD_YES;
    }
    return pw_http_respond(r);
}

/* What it was answered went into a buffer that nobody will read. A peer that read all of it may close at once too: then it has acknowledged
 * everything; the system of one that leaves something unread, or went before, answers with a reset. */
static bool has_closed(struct MHD_Connection *connection, bool *ret_half)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fd = {.fd = info != NULL ? info->connect_fd : -1, .events = POLLRDHUP};
    int unheard = 0;
    *ret_half = false;
    if (poll(&fd, 1, 0) <= 0 || (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) {
        return false;
    }
    *ret_half = true;
    return (fd.revents & (POLLHUP | POLLERR)) != 0 || ioctl(fd.fd, SIOCOUTQ, &unheard) != 0 ||
           unheard > 0;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    request *r = *state;
    (void)cls;
    bool half = false; /* its peer has closed its side: no request comes but what is here already */
    const bool answered = why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    const bool closed = answered && has_closed(connection, &half);
    if (answered) {
        set_timeout(connection, half ? HALF_S : IDLE_S); /* until the next request */
    }
    if (r == NULL) {
        return;
    }
    *state = NULL;
    r->http->moves++;
    if (why != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN && (!answered || closed)) {
        pw_mcpd_lose(r->http->server, r->answers);
    }
    no_gone(r);
    pw_mcpd_drop(r->x);
    pw_follower_drop(r->follower);
    if (r->asking) {
        pw_up_forget(r->http->server->up, r);
    }
    pw_pass_end(&r->pass);
    pw_conn_set(connection, PW_CONN_IDLE, pw_http_now_ms(r->http));
    r->http->held -= r->counted;
    *(r->prev != NULL ? &r->prev->next : &r->http->requests) = r->next;
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    pw_buf_deinit(&r->body);
    pw_buf_deinit(&r->out);
    pw_free(r);
}

/* A peer whose machine or network went away sends nothing that would say so: the system asks it, and what it held is released. */
static void notice_gone(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const int fd = info != NULL ? info->connect_fd : -1;
    const int on = 1;
    const int idle_s = GONE_MS / 1000 / 2;
    const int every_s = 5;
    const int count = 3;
    const unsigned unheard_ms = GONE_MS;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unheard_ms, sizeof unheard_ms);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    pw_mcpd_http *http = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const int size = SEND_BYTES;
    http->moves++;
    pw_conn_notify(&http->conns, connection, state, what, pw_http_now_ms(http));
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        if (info != NULL) {
            (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        }
        atomic_fetch_add(&http->clients, 1);
        notice_gone(connection);
    } else {
        atomic_fetch_sub(&http->clients, 1);
        http->again = true; /* when it had no descriptor left, the next run listens again */
    }
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *timer);

static void on_more(uv_idle_t *more)
{
    pw_http_run(more->data);
}

/* In the next round of the loop. Not by a timer: one of 0 ms that is started again by itself is run again before anything else is. */
static void kick(pw_mcpd_http *http)
{
    (void)uv_idle_start(http->more, on_more);
}

/* What has something to do and does nothing, again and again, waits: a connection that libmicrohttpd neither goes on with nor gives up (http_conn.h)
 * takes no processor of its own until it is cut. */
void pw_http_run(pw_mcpd_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    const uint64_t before = http->moves;
    uv_timer_stop(http->timer);
    (void)uv_idle_stop(http->more);
    http->again = false;
    (void)MHD_run(http->daemon);
    http->vain = http->moves == before ? http->vain + 1 : 0;
    const bool timed = MHD_get_timeout(http->daemon, &ms) == MHD_YES;
    if (http->again || (timed && ms == 0 && http->vain < VAIN_MAX)) {
        kick(http);
    } else if (timed) {
        uv_timer_start(http->timer, on_timer, ms > 0 ? ms : VAIN_MS, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    pw_http_run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_deaf_end(uv_timer_t *timer)
{
    pw_mcpd_http *http = timer->data;
    uv_poll_start(http->poll, UV_READABLE, on_poll);
}

/* Woken though nobody was connected, and nobody is now: a connection could not be taken, for want of a descriptor. libmicrohttpd stops listening
 * only when one of its own may give one back; without any it would be woken for ever. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    pw_mcpd_http *http = poll->data;
    const bool alone = atomic_load(&http->clients) == 0;
    (void)status;
    (void)events;
    pw_http_run(http);
    if (alone && atomic_load(&http->clients) == 0) {
        uv_poll_stop(http->poll);
        uv_timer_start(http->deaf, on_deaf_end, DEAF_MS, 0);
    }
}

/* A comment on every stream, so that a peer that has gone is seen, and those in between keep the connection. */
static void on_beat(uv_timer_t *timer)
{
    pw_mcpd_http *http = timer->data;
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (r->stream && !r->ended && r->suspended) {
            pw_buf_puts(&r->out, r->follower != NULL ? ": heartbeat\n\n" : ": \n\n");
            pw_http_wake(r);
        }
    }
    pw_http_run(http); /* and it looks for connections that time out */
}

/* ---- life ---- */

static unsigned port_of(const pw_http_address *a)
{
    return ntohs(a->at.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->at)->sin6_port
                                             : ((const struct sockaddr_in *)&a->at)->sin_port);
}

static pawl_status start_daemon(pw_mcpd_http *http, pawl_error *err)
{
    const bool tls = http->cert != NULL;
    const struct MHD_OptionItem items[] = {
        {MHD_OPTION_SOCK_ADDR, 0, &http->address.at},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, pw_http_frame_strict(), NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, http},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)pw_http_frame_unescape, NULL},
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)(uintptr_t)http->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)http->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    errno = 0;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL,
        on_request, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (http->daemon == NULL) {
        const int why = errno;
        return why == EADDRINUSE
                   ? pw_err(
                         err, PAWL_IO,
                         "port %u of %s is taken by another program; --http 0 takes one that is free",
                         port_of(&http->address), http->address.host)
                   : pw_err(err, PAWL_IO, "cannot listen on port %u of %s: %s",
                            port_of(&http->address), http->address.host,
                            why != 0 ? strerror(why) : "the HTTP library does not say why");
    }
    const union MHD_DaemonInfo *port = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    (void)snprintf(http->url, sizeof http->url, "http%s://%s:%u/mcp", tls ? "s" : "",
                   http->address.host, port != NULL ? (unsigned)port->port : 0);
    return PAWL_OK;
}

static void close_daemon(pw_mcpd_http *http)
{
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    pw_streams_close(http->streams);
    pw_front_close(&http->front);
    pawl_scope_free(http->tls);
}

/* [T24] Listens when everything else is there: nobody gets in before the rights do. */
static pawl_status open_daemon(pw_mcpd_http *http, pawl_error *err)
{
    http->streams = pw_streams_open(http->loop, http->server->journal);
    pawl_status st = http->streams != NULL ? pw_http_read_tls(http, err)
                                           : pw_err(err, PAWL_NOMEM, "no memory for a server");
    st = st == PAWL_OK ? start_daemon(http, err) : st;
    return st == PAWL_OK ? pw_http_open_front(http, err) : st;
}

static bool timer_new(pw_mcpd_http *http, uv_timer_t **ret_timer)
{
    uv_timer_t *timer = pw_calloc(1, sizeof *timer);
    if (timer == NULL) {
        return false;
    }
    (void)uv_timer_init(http->loop, timer);
    timer->data = http;
    *ret_timer = timer;
    return true;
}

static bool idle_new(pw_mcpd_http *http)
{
    uv_idle_t *more = pw_calloc(1, sizeof *more);
    if (more == NULL) {
        return false;
    }
    (void)uv_idle_init(http->loop, more);
    more->data = http;
    http->more = more;
    return true;
}

static bool poll_new(pw_mcpd_http *http)
{
    const union MHD_DaemonInfo *fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_t *poll = fd != NULL ? pw_calloc(1, sizeof *poll) : NULL;
    if (poll == NULL || uv_poll_init(http->loop, poll, fd->epoll_fd) != 0) {
        pw_free(poll);
        return false;
    }
    poll->data = http;
    http->poll = poll;
    return true;
}

static void close_handle(void *handle)
{
    if (handle != NULL) {
        uv_close(handle, free_handle);
    }
}

pawl_status pw_mcpd_http_open(uv_loop_t *loop, pw_mcpd *server, const pw_mcpd_http_options *options,
                              pw_mcpd_http **ret_http, pawl_error *err)
{
    pw_http_address a;
    pawl_status status = pw_http_address_parse(options->address, &a, err);
    a.names = options->names;
    if (status != PAWL_OK) {
        return status;
    }
    pw_mcpd_http *http = pw_calloc(1, sizeof *http);
    if (http == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a server");
    }
    *http = (pw_mcpd_http){.loop = loop, .server = server, .address = a, .options = *options};
    status = open_daemon(http, err);
    if (status == PAWL_OK &&
        !(timer_new(http, &http->timer) && timer_new(http, &http->beat) &&
          timer_new(http, &http->deaf) && timer_new(http, &http->look) &&
          timer_new(http, &http->linger) && idle_new(http) && poll_new(http))) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a server");
    }
    if (status != PAWL_OK) {
        pw_mcpd_http_close(http);
        return status;
    }
    uv_poll_start(http->poll, UV_READABLE, on_poll);
    uv_timer_start(http->beat, on_beat, BEAT_MS, BEAT_MS);
    uv_timer_start(http->look, pw_http_on_look, LOOK_MS, LOOK_MS);
    *ret_http = http;
    return PAWL_OK;
}

void pw_mcpd_http_close(pw_mcpd_http *http)
{
    if (http == NULL) {
        return;
    }
    http->closing = true;
    pw_mcpd_farewell(http->server);
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (r->x != NULL) {
            r->x->run.cancel_on_drop = false; /* we go, not the client */
        }
        r->ended = true;
        pw_http_wake(r);
    }
    close_handle(http->poll);
    close_handle(http->deaf);
    if (http->daemon != NULL) {
        (void)MHD_run(http->daemon);
    }
    close_daemon(http);
    close_handle(http->look);
    close_handle(http->timer);
    close_handle(http->more);
    close_handle(http->beat);
    close_handle(http->linger);
    pw_free(http);
}

size_t pw_mcpd_http_clients(const pw_mcpd_http *http)
{
    return atomic_load(&http->clients);
}

const char *pw_mcpd_http_url(const pw_mcpd_http *http)
{
    return http->url;
}
