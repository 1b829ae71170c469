/*
 * http_conn.h - connections by what they are at, so that one that makes no headway is cut: before its first request, between two of them, in the
 * body of one, in an answer that is not read. libmicrohttpd's own timeout begins again with every byte; this one does not.
 *
 * A line between chunks that is longer than its buffer libmicrohttpd neither takes nor refuses: it has something to do for ever. Such a connection is
 * cut when bytes wait for it and nothing of it has been taken from one look to the next, else when no piece has come for PW_CONN_CHUNK_MS.
 *
 * Thread: the loop's.
 */
#ifndef PW_MCP_HTTP_CONN_H
#define PW_MCP_HTTP_CONN_H

#include <microhttpd.h>

#include "tools/mcp/http_frame.h"
#include "tools/mcp/rights.h"

#define PW_CONN_IDLE_MS INT64_C(300000)   /* between two requests */
#define PW_CONN_CHUNK_MS INT64_C(5000)    /* between two pieces of a body in chunks */
#define PW_CONN_ANSWER_MS INT64_C(300000) /* for an answer that is no stream to be read */

typedef struct pw_conn pw_conn;
typedef struct pw_conns {
    pw_conn *first;
} pw_conns;

typedef enum pw_conn_at {
    PW_CONN_NEW,
    PW_CONN_BODY,
    PW_CONN_WORK,
    PW_CONN_ANSWER,
    PW_CONN_IDLE
} pw_conn_at;

/** As libmicrohttpd tells it; *state is its socket context. */
void pw_conn_notify(pw_conns *conns, struct MHD_Connection *connection, void **state,
                    enum MHD_ConnectionNotificationCode what, int64_t now_ms);
/** The target of the request that is coming: the connection's, NULL without memory. */
struct pw_http_target *pw_conn_target(struct MHD_Connection *connection);
/** The first line of a request has come: the rest of its head has as long as that of a first one. */
void pw_conn_begin(struct MHD_Connection *connection, int64_t now_ms);
/** The connection is at something else from now on. */
void pw_conn_set(struct MHD_Connection *connection, pw_conn_at at, int64_t now_ms);
/** A piece of its body has come. chunked: in chunks. */
void pw_conn_moved(struct MHD_Connection *connection, bool chunked, int64_t now_ms);
/** Cuts those that have been at one thing for too long. */
void pw_conns_look(pw_conns *conns, const pw_rights *rights, int64_t now_ms);
/** libmicrohttpd sees it and closes. */
void pw_conn_cut(struct MHD_Connection *connection);

#endif
