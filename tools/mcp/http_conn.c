/*
 * http_conn.c - a list of connections, and since when each is at what. Does not know requests.
 */
#include "tools/mcp/http_conn.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sdk/base/mem.h"

struct pw_conn {
    pw_conn *prev, *next;
    struct MHD_Connection *connection;
    pw_conn_at at;
    int64_t since_ms;
    int64_t moved_ms; /* a piece of its body has come */
    pw_http_target target;
    bool chunked;
    bool stuck; /* at the last look bytes waited for it */
};

static pw_conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void pw_conn_notify(pw_conns *conns, struct MHD_Connection *connection, void **state,
                    enum MHD_ConnectionNotificationCode what, int64_t now_ms)
{
    pw_conn *c = *state;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = pw_calloc(1, sizeof *c);
        if (c == NULL) {
            return; /* libmicrohttpd's timeout is left */
        }
        *c = (pw_conn){.next = conns->first, .connection = connection, .since_ms = now_ms};
        if (c->next != NULL) {
            c->next->prev = c;
        }
        conns->first = c;
        *state = c;
    } else if (c != NULL) {
        *(c->prev != NULL ? &c->prev->next : &conns->first) = c->next;
        if (c->next != NULL) {
            c->next->prev = c->prev;
        }
        *state = NULL;
        pw_free(c);
    }
}

pw_http_target *pw_conn_target(struct MHD_Connection *connection)
{
    pw_conn *c = conn_of(connection);
    return c != NULL ? &c->target : NULL;
}

void pw_conn_begin(struct MHD_Connection *connection, int64_t now_ms)
{
    const pw_conn *c = conn_of(connection);
    if (c != NULL && c->at == PW_CONN_IDLE) {
        pw_conn_set(connection, PW_CONN_NEW, now_ms);
    }
}

void pw_conn_set(struct MHD_Connection *connection, pw_conn_at at, int64_t now_ms)
{
    pw_conn *c = conn_of(connection);
    if (c != NULL) {
        c->at = at;
        c->since_ms = now_ms;
        c->chunked = false;
        c->stuck = false;
    }
}

void pw_conn_moved(struct MHD_Connection *connection, bool chunked, int64_t now_ms)
{
    pw_conn *c = conn_of(connection);
    if (c != NULL) {
        c->chunked = chunked;
        c->moved_ms = now_ms;
        c->stuck = false;
    }
}

static bool has_bytes(const pw_conn *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int size = 0;
    return info != NULL && ioctl(info->connect_fd, FIONREAD, &size) == 0 && size > 0;
}

/* True: what it sends is not taken, and never will be. */
static bool is_stuck(pw_conn *c, int64_t now_ms)
{
    if (c->at != PW_CONN_BODY || !c->chunked) {
        return false;
    }
    const bool before = c->stuck;
    c->stuck = has_bytes(c);
    return (before && c->stuck) || now_ms - c->moved_ms > PW_CONN_CHUNK_MS;
}

static int64_t patience_ms(const pw_conn *c, const pw_rights *rights)
{
    switch (c->at) {
    case PW_CONN_NEW:
        return rights->head_s * 1000;
    case PW_CONN_BODY:
        return rights->body_s * 1000;
    case PW_CONN_IDLE:
        return PW_CONN_IDLE_MS;
    case PW_CONN_ANSWER:
        return PW_CONN_ANSWER_MS;
    case PW_CONN_WORK:
        break;
    }
    return INT64_MAX;
}

void pw_conns_look(pw_conns *conns, const pw_rights *rights, int64_t now_ms)
{
    for (pw_conn *c = conns->first; c != NULL; c = c->next) {
        if (now_ms - c->since_ms > patience_ms(c, rights) || is_stuck(c, now_ms)) {
            c->since_ms = now_ms; /* once is enough */
            pw_conn_cut(c->connection);
        }
    }
}

void pw_conn_cut(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) {
        (void)shutdown(info->connect_fd, SHUT_RDWR);
    }
}
