/*
 * server.h - the MCP server: one loop, any number of clients, both eras; a client of the control protocol itself.
 *
 *   transport (http.c, stdio.c) --request--> take: era, checks --> method --> end(result) --> transport
 *                                                                    |  ^
 *                                                          up.c: ask |  | answer
 *                                                                    v  |
 *                                                                the engine, which has its own threads
 *
 * An exchange is one request on its way to its one answer. It holds no fact that the journal does not: what a call started is a run, and the
 * names of a task, of a stream and of a state that a client brings back are names of runs, sealed where a client must not change them.
 *
 * Thread: everything here belongs to the loop's.
 */
#ifndef PW_MCP_SERVER_H
#define PW_MCP_SERVER_H

#include "sdk/base/limits.h"
#include "tools/mcp/era.h"
#include "tools/mcp/rights.h"
#include "tools/mcp/up.h"

typedef struct pw_mcpd pw_mcpd;
typedef struct pw_mcpd_x pw_mcpd_x;
typedef struct pw_mcpd_session pw_mcpd_session;

/* ---- transports ---- */

/** Where messages of an exchange go. */
typedef struct pw_mcpd_sink {
    /** Before the answer: a notification, or a request of ours. event_id NULL = none. The first one opens a stream. */
    void (*message)(void *user, const char *event_id, const char *text, size_t size);
    /** The answer; the exchange is gone when it returns. status: as HTTP has it. text NULL = none. */
    void (*end)(void *user, int status, const char *text, size_t size);
    /** To look whether the peer is still there: if not, the exchange is dropped now. NULL = it is told at once anyway. */
    void (*look)(void *user);
    /** There was no memory for a message: a stream is cut, and its client comes back, rather than wait for what is not said. NULL = it cannot be. */
    void (*lost)(void *user);
} pw_mcpd_sink;

/** One message as a transport brings it. Views are valid during the call. */
typedef struct pw_mcpd_given {
    const char *text;
    size_t size;
    /** A header, NULL when it is not there. NULL on a transport without any. */
    const char *(*header)(void *user, const char *name);
    const pw_mcpd_sink *sink;
    void *user;
    const char *principal; /* who it is; "" = whoever can reach us */
    pw_who *who;           /* and what it may do; NULL = everything. Shared */
    /** Before an end of status 403: the scopes that a signed token would need, "" = none would do. With who. */
    void (*challenge)(void *user, const char *scopes);
    pw_mcpd_session **
        hosted; /* a transport that is one session keeps it there; NULL = sessions are named by a header */
} pw_mcpd_given;

/** Carries one message out. The sink's end is called exactly once, now or later, unless the exchange is dropped. *ret_x (may be
 * NULL: it is never dropped) is NULL once it is over. */
void pw_mcpd_take(pw_mcpd *s, const pw_mcpd_given *given, pw_mcpd_x **ret_x);
/** A request of a legacy session without a message: GET (a stream of news, or with Last-Event-ID one taken up again), else DELETE. The transport
 * has headers. */
void pw_mcpd_take_session(pw_mcpd *s, const pw_mcpd_given *given, bool get, pw_mcpd_x **ret_x);
/** Its client has gone: nothing is said any more. */
void pw_mcpd_drop(pw_mcpd_x *x);
/** It follows a run, or listens: it lasts for as long as that does. False: its answer comes by itself, soon. */
bool pw_mcpd_lasts(const pw_mcpd_x *x);

/* ---- the server ---- */

typedef enum pw_mcpd_tools {
    PW_MCPD_TOOLS_PINNED,
    PW_MCPD_TOOLS_META,
    PW_MCPD_TOOLS_ALL
} pw_mcpd_tools;

typedef struct pw_mcpd_options {
    const char *journal;
    pw_mcpd_tools tools;
    int64_t bound_ms;    /* a call without a task is answered by then; 0 = 45 s */
    int64_t task_ttl_ms; /* a task's handle goes so long after its run has closed; 0 = a week */
    void *user;
    void (*no_owner)(void *user); /* nobody owns the journal. May be NULL */
    /** What workflows are searched with (activities/chooser.h), NULL = words; called by threads of the pool, several at once. May be NULL. */
    struct pawl_chooser *(*chooser)(void *user);
    void *chooser_user;
    const char *
        workspace; /* whose concepts clients without a principal search; NULL = the shared ones alone */
} pw_mcpd_options;

/** NULL when out of memory. */
pw_mcpd *pw_mcpd_open(uv_loop_t *loop, const pw_mcpd_options *options);
/** Drops every exchange. Accepts NULL. */
void pw_mcpd_close(pw_mcpd *s);

#endif
