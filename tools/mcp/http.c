/*
 * http.c - the endpoint /mcp: POST a message; its answer is JSON, or a stream of events as soon as something is said before the answer.
 *
 *   request --body whole--> pw_mcpd_take --nothing yet--> suspended --message--> a stream --end--> the stream ends
 *                                                               `--end, nothing said before--> one JSON
 *
 * GET /runs/{id}/stream is the other thing that is here: its stream begins when the run is found (http_stream.c).
 *
 * libmicrohttpd runs on our loop through its epoll descriptor. It does not see that the peer of a suspended connection has gone: a poll of our
 * own does. Answers 403 to a Host or Origin that is not ours, 413 to a body that is too large; does not do TLS.
 */
#include "tools/mcp/http.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sdk/base/mem.h"
#include "tools/mcp/http_address.h"
#include "tools/mcp/http_stream.h"
#include "tools/mcp/inside.h"

#define BODY_BYTES_MAX (4u << 20)
#define STREAM_BYTES_MAX (8u << 20) /* that a client has not read: it is cut */
#define CONNECTIONS_MAX 20000
#define CONNECTION_BYTES \
    (16u << 10) /* its headers, ours, and a piece of its body; cleared for each request */
#define IDLE_S 300
#define BEAT_MS 15000
#define LINGER_MS 50 /* a peer that goes is noticed within twice that */

typedef struct request request;

struct pw_mcpd_http {
    uv_loop_t *loop;
    pw_mcpd *server;
    pw_streams *streams;
    struct MHD_Daemon *daemon;
    pw_http_address address;
    char url[128];
    uv_poll_t *poll;
    uv_timer_t *timer; /* what libmicrohttpd waits for */
    uv_timer_t *beat;
    uv_timer_t *linger; /* for sleepers whose peers nobody watches yet */
    request *requests;
    atomic_size_t clients;
};

struct request {
    request *prev, *next;
    pw_mcpd_http *http;
    struct MHD_Connection *connection;
    pw_mcpd_x *x;          /* NULL: answered, or none yet */
    pw_follower *follower; /* of a run; NULL: as above */
    const char *allow;     /* of a 405 */
    uv_poll_t *gone;
    uint64_t since; /* it sleeps */
    pw_buf body;
    pw_buf out; /* of the answer, or of the stream; from `sent` */
    size_t sent;
    int status;
    char session[200];
    char run[PW_ID_BYTES_MAX + 1]; /* whose answer this is */
    bool begun, too_large, suspended, stream, ended, queued;
};

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

static void kick(pw_mcpd_http *http);

/* ---- waking and sleeping ---- */

static void wake(request *r)
{
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
        kick(r->http);
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
    wake(r);
}

static void on_gone(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    peer_gone(poll->data);
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
static void sleep_until_woken(request *r)
{
    r->suspended = true;
    r->since = uv_now(r->http->loop);
    MHD_suspend_connection(r->connection);
    if (r->gone == NULL && !uv_is_active((uv_handle_t *)r->http->linger)) {
        uv_timer_start(r->http->linger, on_linger, LINGER_MS, 0);
    }
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
    wake(r);
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
        (void)snprintf(r->session, sizeof r->session, "%s", r->x->session->id);
    }
    if (r->x != NULL) {
        memcpy(r->run, r->x->run.id, sizeof r->run);
    }
    r->x = NULL;
    r->status = status;
    r->ended = true;
    if (r->stream) {
        put_event(r, NULL, text, size);
    } else if (text != NULL) {
        pw_buf_put(&r->out, text, size);
        if (!pw_buf_ok(&r->out)) {
            say_too_large(r, id);
        }
    }
    wake(r);
}

static const pw_mcpd_sink sink = {sink_message, sink_end, sink_look};

/* ---- the sink of followers ---- */

static void follower_put(void *user, const char *text, size_t size)
{
    request *r = user;
    r->stream = true;
    pw_buf_put(&r->out, text, size);
    wake(r);
}

static size_t follower_unread(const void *user)
{
    const request *r = user;
    return r->out.size - r->sent;
}

static void follower_end(void *user, int status, const char *text)
{
    request *r = user;
    r->follower = NULL;
    r->status = status;
    r->ended = true;
    if (!r->stream) {
        pw_buf_puts(&r->out, text);
    }
    wake(r);
}

static void follower_cut(void *user)
{
    request *r = user;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    r->follower = NULL;
    r->ended = true;
    if (info != NULL) {
        (void)shutdown(info->connect_fd, SHUT_RDWR); /* libmicrohttpd sees it and closes */
    }
    wake(r);
}

static const pw_follower_sink follower_sink = {follower_put, follower_unread, follower_end,
                                               follower_cut};

static const char *header_of(void *user, const char *name)
{
    request *r = user;
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

/* ---- answers ---- */

static ssize_t read_stream(void *user, uint64_t at, char *space, size_t size)
{
    request *r = user;
    (void)at;
    const size_t left = r->out.size - r->sent;
    if (!pw_buf_ok(&r->out)) {
        pw_mcpd_drop(r->x); /* too slow, or no memory */
        r->x = NULL;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (left == 0 && r->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (left == 0) {
        sleep_until_woken(r);
        return 0;
    }
    const size_t n = left < size ? left : size;
    memcpy(space, r->out.data + r->sent, n);
    r->sent += n;
    if (r->sent == r->out.size) {
        pw_buf_reset(&r->out);
        r->sent = 0;
        pw_follower_drained(r->follower);
    }
    return (ssize_t)n;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static struct MHD_Response *stream_response(request *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, r, NULL);
    if (response != NULL) {
        add_header(response, "Content-Type", "text/event-stream");
        add_header(response, "Cache-Control", "no-cache, no-transform");
        add_header(response, "X-Accel-Buffering", "no");
    }
    return response;
}

static struct MHD_Response *plain_response(request *r)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->out.size, r->out.data, MHD_RESPMEM_MUST_COPY);
    if (response != NULL && r->out.size > 0) {
        add_header(response, "Content-Type", "application/json");
    }
    if (response != NULL && r->allow != NULL) {
        add_header(response, "Allow", r->allow);
    }
    return response;
}

static enum MHD_Result respond(request *r)
{
    struct MHD_Response *response = r->stream ? stream_response(r) : plain_response(r);
    if (response == NULL) {
        return MHD_NO;
    }
    if (r->session[0] != '\0') {
        add_header(response, "Mcp-Session-Id", r->session);
    }
    const unsigned status = r->stream ? 200 : (unsigned)r->status;
    const enum MHD_Result queued = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    r->queued = true;
    return queued;
}

static void refuse(request *r, int status, const char *why)
{
    r->status = status;
    r->ended = true;
    pw_buf_puts(&r->out,
                "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"");
    pw_buf_puts(&r->out, why);
    pw_buf_puts(&r->out, "\"}}");
}

/* ---- requests ---- */

static bool is_ours(request *r)
{
    const char *host = header_of(r, "Host");
    const char *origin = header_of(r, "Origin");
    return host != NULL && pw_http_host_ok(&r->http->address, host) &&
           (origin == NULL || pw_http_origin_ok(&r->http->address, origin));
}

static pw_mcpd_given given_of(request *r)
{
    return (pw_mcpd_given){.text = (const char *)r->body.data,
                           .size = r->body.size,
                           .header = header_of,
                           .sink = &sink,
                           .user = r,
                           .principal = ""};
}

static void begin_post(request *r)
{
    const char *type = header_of(r, "Content-Type");
    const pw_mcpd_given given = given_of(r);
    if (r->too_large || !pw_buf_ok(&r->body)) {
        refuse(r, 413, "the message is too large");
    } else if (type == NULL || strncmp(type, "application/json", 16) != 0) {
        refuse(r, 415, "a message is application/json");
    } else {
        pw_mcpd_take(r->http->server, &given, &r->x);
    }
}

/* GET and DELETE are of legacy sessions. */
static void begin_session(request *r, bool get)
{
    pw_mcpd *s = r->http->server;
    const char *id = header_of(r, "Mcp-Session-Id");
    const char *last = header_of(r, "Last-Event-ID");
    const pw_mcpd_given given = given_of(r);
    pw_mcpd_session *session = id != NULL ? pw_mcpd_session_find(s, id) : NULL;
    if (id == NULL) {
        r->allow = "POST";
        refuse(r, 405, "only POST is taken without a session");
    } else if (session == NULL) {
        refuse(r, 404, "there is no such session");
    } else if (!get) {
        pw_mcpd_session_end(s, session);
        r->status = 200;
        r->ended = true;
    } else if (last == NULL) {
        pw_mcpd_listen_legacy(s, &given, session, &r->x);
    } else if (!pw_mcpd_resume(s, &given, session, last, &r->x)) {
        refuse(r, 400, "there is no stream with this event");
    }
}

/* Refusals of a run's stream are no JSON-RPC. */
static void refuse_stream(request *r, int status, const char *why)
{
    r->status = status;
    r->ended = true;
    pw_buf_printf(&r->out, "{\"error\":\"%s\"}", why);
}

static void begin_stream(request *r, const char *id, bool get)
{
    if (!get) {
        r->allow = "GET";
        refuse_stream(r, 405, "a run's stream is read with GET");
    } else if (id[0] == '\0') {
        refuse_stream(r, 404, "no run has such an id");
    } else {
        r->follower = pw_streams_follow(r->http->streams, id, &follower_sink, r);
        if (r->follower == NULL) {
            refuse_stream(r, 503, "as many follow runs as there can be");
        }
    }
}

static void begin(request *r, const char *url, const char *method)
{
    const bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    char id[PW_ID_BYTES_MAX + 1];
    if (!is_ours(r)) {
        refuse(r, 403, "this Host or Origin is not served");
    } else if (pw_streams_path(url, id, sizeof id)) {
        begin_stream(r, id, get);
    } else if (strcmp(url, "/mcp") != 0) {
        refuse(r, 404, "there is nothing here: the endpoint is /mcp, or /runs/ID/stream");
    } else if (strcmp(method, MHD_HTTP_METHOD_POST) == 0) {
        begin_post(r);
    } else if (get || strcmp(method, MHD_HTTP_METHOD_DELETE) == 0) {
        begin_session(r, get);
    } else {
        r->allow = "POST";
        refuse(r, 405, "POST is taken");
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

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    request *r = *state;
    (void)version;
    if (r == NULL) {
        *state = request_new(cls, connection);
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*size > 0) {
        r->too_large |= r->body.size + *size > BODY_BYTES_MAX;
        if (!r->too_large) {
            pw_buf_put(&r->body, data, *size);
        }
        *size = 0;
        return MHD_YES;
    }
    if (!r->begun) {
        r->begun = true;
        begin(r, url, method);
    }
    if (r->queued) {
        return MHD_YES;
    }
    if (!r->ended && !r->stream) {
        sleep_until_woken(r);
        return MHD_YES;
    }
    return respond(r);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    request *r = *state;
    (void)cls;
    (void)connection;
    if (r == NULL) {
        return;
    }
    *state = NULL;
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK &&
        why != MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN) {
        pw_mcpd_lose(r->http->server, r->run);
    }
    no_gone(r);
    pw_mcpd_drop(r->x);
    pw_follower_drop(r->follower);
    *(r->prev != NULL ? &r->prev->next : &r->http->requests) = r->next;
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    pw_buf_deinit(&r->body);
    pw_buf_deinit(&r->out);
    pw_free(r);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    pw_mcpd_http *http = cls;
    (void)connection;
    (void)state;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&http->clients, 1);
    } else {
        atomic_fetch_sub(&http->clients, 1);
    }
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *timer);

static void run(pw_mcpd_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    uv_timer_stop(http->timer);
    (void)MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &ms) == MHD_YES) {
        uv_timer_start(http->timer, on_timer, ms, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void kick(pw_mcpd_http *http)
{
    uv_timer_start(http->timer, on_timer, 0, 0);
}

/* A comment on every stream, so that a peer that has gone is seen, and those in between keep the connection. */
static void on_beat(uv_timer_t *timer)
{
    pw_mcpd_http *http = timer->data;
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (r->stream && !r->ended && r->suspended) {
            pw_buf_puts(&r->out, r->follower != NULL ? ": heartbeat\n\n" : ": \n\n");
            wake(r);
        }
    }
    run(http); /* and it looks for connections that time out */
}

/* ---- life ---- */

static pawl_status open_daemon(pw_mcpd_http *http, pawl_error *err)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&http->address.at, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_END);
    if (http->daemon == NULL) {
        return pw_err(err, PAWL_IO, "cannot listen on %s: is the port taken?", http->address.host);
    }
    const union MHD_DaemonInfo *port = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    (void)snprintf(http->url, sizeof http->url, "http://%s:%u/mcp", http->address.host,
                   port != NULL ? (unsigned)port->port : 0);
    return PAWL_OK;
}

static uv_timer_t *timer_new(pw_mcpd_http *http)
{
    uv_timer_t *timer = pw_calloc(1, sizeof *timer);
    PW_CHECK(timer != NULL);
    (void)uv_timer_init(http->loop, timer);
    timer->data = http;
    return timer;
}

pawl_status pw_mcpd_http_open(uv_loop_t *loop, pw_mcpd *server, const char *address,
                              pw_mcpd_http **ret_http, pawl_error *err)
{
    pw_http_address a;
    pawl_status status = pw_http_address_parse(address, &a, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_mcpd_http *http = pw_calloc(1, sizeof *http);
    if (http == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a server");
    }
    *http = (pw_mcpd_http){.loop = loop, .server = server, .address = a};
    http->streams = pw_streams_open(loop, server->journal);
    status = http->streams != NULL ? open_daemon(http, err)
                                   : pw_err(err, PAWL_NOMEM, "no memory for a server");
    if (status != PAWL_OK) {
        pw_streams_close(http->streams);
        pw_free(http);
        return status;
    }
    const union MHD_DaemonInfo *fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    http->timer = timer_new(http);
    http->beat = timer_new(http);
    http->linger = timer_new(http);
    http->poll = pw_calloc(1, sizeof *http->poll);
    PW_CHECK(http->poll != NULL && fd != NULL);
    (void)uv_poll_init(loop, http->poll, fd->epoll_fd);
    http->poll->data = http;
    uv_poll_start(http->poll, UV_READABLE, on_poll);
    uv_timer_start(http->beat, on_beat, BEAT_MS, BEAT_MS);
    *ret_http = http;
    return PAWL_OK;
}

void pw_mcpd_http_close(pw_mcpd_http *http)
{
    if (http == NULL) {
        return;
    }
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (r->x != NULL) {
            r->x->run.cancel_on_drop = false; /* we go, not the client */
        }
        r->ended = true;
        wake(r);
    }
    uv_poll_stop(http->poll);
    uv_close((uv_handle_t *)http->poll, free_handle);
    (void)MHD_run(http->daemon);
    MHD_stop_daemon(http->daemon);
    pw_streams_close(http->streams);
    uv_timer_stop(http->timer);
    uv_close((uv_handle_t *)http->timer, free_handle);
    uv_timer_stop(http->beat);
    uv_close((uv_handle_t *)http->beat, free_handle);
    uv_timer_stop(http->linger);
    uv_close((uv_handle_t *)http->linger, free_handle);
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
