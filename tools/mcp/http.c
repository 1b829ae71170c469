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
 * libmicrohttpd (http_daemon.c) does not see that the peer of a suspended connection has gone: a poll of our own does. Answers 403 to a Host or
 * Origin that is not ours, 413 to a body that is too large, 503 when all of them together are.
 */
#include "tools/mcp/http_inside.h"

#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sdk/base/mem.h"

#define BODY_BYTES_MAX (4u << 20)
#define STREAM_BYTES_MAX (8u << 20) /* that a client has not read: it is cut */
#define HALF_S 1                    /* when it has closed its side */
#define TAKE_S 10    /* without a byte taken of an answer that is whole: the client is cut */
#define LINGER_MS 50 /* a peer that goes is noticed within twice that */

typedef pw_mcpd_http_request request;

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
        pw_http_kick(r->http);
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
        pw_http_close_handle(r->gone);
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

void *pw_http_on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    pw_conn_begin(connection, pw_http_now_ms(cls));
    return pw_http_frame_target(target, connection);
}

enum MHD_Result pw_http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
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

void pw_http_on_completed(void *cls, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode why)
{
    request *r = *state;
    (void)cls;
    bool half = false; /* its peer has closed its side: no request comes but what is here already */
    const bool answered = why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    const bool closed = answered && has_closed(connection, &half);
    if (answered) {
        set_timeout(connection, half ? HALF_S : PW_HTTP_IDLE_S); /* until the next request */
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
