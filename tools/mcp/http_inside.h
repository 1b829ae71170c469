/*
 * http_inside.h - what the files of the HTTP side share: the server, a request, and who does what with them.
 *
 *   http.c           a request's head and body, and when it sleeps
 *   http_daemon.c    libmicrohttpd on our loop: its life, its connections, when it is run
 *   http_answer.c    its answer
 *   http_rights.c    files of rights, what is held, metadata
 *   http_follow.c    GET /runs/{id}/stream: whose run it is, and the sink
 */
#ifndef PW_MCP_HTTP_INSIDE_H
#define PW_MCP_HTTP_INSIDE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "tools/mcp/http.h"
#include "tools/mcp/http_address.h"
#include "tools/mcp/http_conn.h"
#include "tools/mcp/http_frame.h"
#include "tools/mcp/http_pass.h"
#include "tools/mcp/http_stream.h"
#include "tools/mcp/inside.h"

#define PW_HTTP_IDLE_S 300 /* a connection between two requests */

typedef struct pw_mcpd_http_request pw_mcpd_http_request;

struct pw_mcpd_http {
    uv_loop_t *loop;
    pw_mcpd *server;
    pw_streams *streams;
    struct MHD_Daemon *daemon;
    pw_http_address address;
    char url[128];
    pw_mcpd_http_options options;
    pawl_scope *tls; /* certificate and key */
    const char *cert, *key;
    pw_front front;
    pw_conns conns;
    size_t held; /* bytes of bodies and of answers that are not read yet */
    uv_timer_t *look;
    uv_poll_t *poll;
    uv_timer_t *timer; /* what libmicrohttpd waits for */
    uv_timer_t *beat;
    uv_timer_t *linger; /* for sleepers whose peers nobody watches yet */
    uv_timer_t *deaf;
    pw_mcpd_http_request *requests;
    atomic_size_t clients;
    uv_idle_t *more; /* libmicrohttpd has something to do in the next round of the loop */
    uint64_t moves;  /* whatever it does for a request, counted */
    int vain;        /* rounds in a row in which it had something to do, and did nothing */
    bool closing;    /* nothing may begin, and nothing sleep */
    bool again;      /* libmicrohttpd has more to do than it says */
};

struct pw_mcpd_http_request {
    pw_mcpd_http_request *prev, *next;
    pw_mcpd_http *http;
    struct MHD_Connection *connection;
    pw_mcpd_x *x;          /* NULL: answered, or none yet */
    pw_follower *follower; /* of a run; NULL: as above */
    const char *allow;     /* of a 405 */
    pw_pass pass;
    size_t counted; /* of http.held */
    uv_poll_t *gone;
    uint64_t since; /* it sleeps */
    pw_buf body;
    pw_buf out; /* of the answer, or of the stream; from `sent` */
    size_t sent;
    int status;
    char session[256];                 /* as its client gets it */
    char named[256];                   /* as it brings it, for the server */
    char answers[PW_ID_BYTES_MAX + 1]; /* the run whose answer this is: it may get lost */
    char run[PW_ID_BYTES_MAX + 1];     /* that is to be followed: its client may go at any time */
    bool begun, too_large, no_room, asking, head_again, suspended, stream, ended, queued, chunked,
        misframed;
};

/* ---- http.c ---- */

int64_t pw_http_now_ms(const pw_mcpd_http *http);
/** Lets libmicrohttpd go on with it; what it holds is counted. */
void pw_http_wake(pw_mcpd_http_request *r);
/** Nothing more is put into the answer. What is left of it is held for a client that takes it, and not for one that never reads. */
void pw_http_end(pw_mcpd_http_request *r);
const char *pw_http_header(void *user, const char *name);
/** Nothing is done for it until it is woken; its peer is watched. */
void pw_http_sleep(pw_mcpd_http_request *r);

/** libmicrohttpd's: a target before it is read, a request as it comes, and its end. */
void *pw_http_on_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result pw_http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *size, void **state);
void pw_http_on_completed(void *cls, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode why);

/* ---- http_daemon.c ---- */

void pw_http_run(pw_mcpd_http *http);
/** In the next round of the loop. */
void pw_http_kick(pw_mcpd_http *http);
/** Of the heap; NULL is fine. */
void pw_http_close_handle(void *handle);

/* ---- http_answer.c ---- */

/** Begins its answer: a stream, or all of what is there. */
enum MHD_Result pw_http_respond(pw_mcpd_http_request *r);
/** An answer instead of what it asks for. */
void pw_http_refuse(pw_mcpd_http_request *r, int status, const char *why);

/* ---- http_rights.c ---- */

/** Whenever its buffers have changed. A stream that is not read is cut when all hold too much. */
void pw_http_account(pw_mcpd_http_request *r);
/** Who asks: the other end of the connection, or whom a proxy of ours says. */
void pw_http_set_peer(pw_mcpd_http_request *r);
void pw_http_begin_metadata(pw_mcpd_http_request *r, bool get);
void pw_http_on_look(uv_timer_t *timer);
pawl_status pw_http_read_tls(pw_mcpd_http *http, pawl_error *err);
pawl_status pw_http_open_front(pw_mcpd_http *http, pawl_error *err);

/* ---- http_follow.c ---- */

/** Refusals of a run's stream are no JSON-RPC. */
void pw_http_refuse_stream(pw_mcpd_http_request *r, int status, const char *why);
void pw_http_begin_follow(pw_mcpd_http_request *r, const char *id);

#endif
