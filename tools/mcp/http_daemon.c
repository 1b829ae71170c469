/*
 * http_daemon.c - libmicrohttpd on our loop: its start and end, when it is run, its connections. What a request says is http.c; TLS is
 * libmicrohttpd's own. Does not look into requests.
 *
 * It is run whenever its epoll descriptor is readable, when it wants to be, and in the next round of the loop after something was woken.
 */
#include "tools/mcp/http_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sdk/base/mem.h"

#define CONNECTIONS_MAX 20000
#define CONNECTION_BYTES \
    (16u << 10) /* its headers, ours, and a piece of its body; cleared for each request */
/* What the kernel holds of it: left alone it takes megabytes for a client that never reads, and nothing is known of them here. */
#define SEND_BYTES (256 << 10)
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define LOOK_MS 500 /* at files of rights, and at connections that make no headway */
#define BEAT_MS 15000
#define VAIN_MAX 64   /* rounds of nothing */
#define VAIN_MS 10    /* then, between two of them */
#define DEAF_MS 100   /* after a connection that could not be taken, for want of a descriptor */
#define GONE_MS 30000 /* a peer that acknowledges nothing for so long is gone */

/* ---- connections ---- */

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
void pw_http_kick(pw_mcpd_http *http)
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
        pw_http_kick(http);
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
    for (pw_mcpd_http_request *r = http->requests; r != NULL; r = r->next) {
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
        {MHD_OPTION_CONNECTION_TIMEOUT, PW_HTTP_IDLE_S, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, pw_http_frame_strict(), NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)pw_http_on_target, http},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)pw_http_frame_unescape, NULL},
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)(uintptr_t)http->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)http->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    errno = 0;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0u), 0, NULL, NULL,
        pw_http_on_request, http, MHD_OPTION_NOTIFY_COMPLETED, pw_http_on_completed, NULL,
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

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

void pw_http_close_handle(void *handle)
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
    for (pw_mcpd_http_request *r = http->requests; r != NULL; r = r->next) {
        if (r->x != NULL) {
            r->x->run.cancel_on_drop = false; /* we go, not the client */
        }
        r->ended = true;
        pw_http_wake(r);
    }
    pw_http_close_handle(http->poll);
    pw_http_close_handle(http->deaf);
    if (http->daemon != NULL) {
        (void)MHD_run(http->daemon);
    }
    close_daemon(http);
    pw_http_close_handle(http->look);
    pw_http_close_handle(http->timer);
    pw_http_close_handle(http->more);
    pw_http_close_handle(http->beat);
    pw_http_close_handle(http->linger);
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
