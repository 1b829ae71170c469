/*
 * mcp_call.h - one attempt of the activity "mcp", and the ways its messages take.
 *
 *   activity --> use (tool, task) --> talk: one request, its notifications, questions of the server --> wire: HTTP or a process
 *
 * A call lives on a thread of its own and waits there: the sequence of requests is the sequence of lines. Every wait ends with the call's
 * cancel, its deadline, or the end of the engine.
 */
#ifndef PW_MCP_CALL_H
#define PW_MCP_CALL_H

#include <stdatomic.h>

#include "activities/http_client.h"
#include "activities/mcp_inbox.h"
#include "activities/mcp_rpc.h"
#include "activities/secret.h"

typedef struct pw_mcp_hub pw_mcp_hub;
typedef struct pw_mcp_server pw_mcp_server;

/** Why there is no answer. */
typedef enum pw_mcp_cut {
    PW_MCP_ANSWERED,  /* there is one: message */
    PW_MCP_CANCELED,  /* the run wants it to stop, or the engine closes */
    PW_MCP_TIMED_OUT, /* the deadline, or silence */
    PW_MCP_FAILED,    /* of the way there: type and text say how */
    PW_MCP_HTTP,      /* an HTTP status without a message */
    PW_MCP_MALFORMED, /* what came is no MCP */
    PW_MCP_ASKED      /* the server asks something that nobody has answered yet */
} pw_mcp_cut;

typedef struct pw_mcp_reply {
    pw_mcp_cut cut;
    bool sent; /* the request may have reached the server; false = surely not */
    bool retryable;
    const char *type; /* failure type of a cut; static */
    char text[600];
    int status; /* of HTTP; 0 = none */
    int64_t retry_after_ms;
    const char *challenge; /* WWW-Authenticate, or NULL */
    bool aside;            /* the text that came last belongs to no request */
    pw_mcp_message message;
} pw_mcp_reply;

/** How questions of the server are answered. */
typedef enum pw_mcp_manner { PW_MCP_ASK, PW_MCP_DECLINE, PW_MCP_DEFAULTS } pw_mcp_manner;

typedef struct pw_mcp_call {
    pawl_task *task;
    pawl_scope *scope;         /* the task's */
    pawl_scope *private_scope; /* of what holds secrets */
    const pawl_value *input;   /* secrets in it are in place: never copied into a result */
    pw_secrets *secrets;
    pw_mcp_hub *hub;
    pw_mcp_server *server;
    struct pw_mcp_process *process; /* of a server that is one; a reference */
    pw_mcp_dialect dialect;
    int64_t deadline_ms;      /* monotonic; INT64_MAX = none */
    int64_t task_deadline_ms; /* of the attempt alone */
    int64_t idle_ms;          /* silence that is allowed; INT64_MAX = any */
    int cancel_fd;
    int64_t
        leave_by_ms; /* above 0: cancelled already, and what is still said takes until then at most */
    const pawl_value *detail; /* what the next attempt must know: {sent}, {task}; nil = nothing */
    int64_t beaten_ms;
    pw_mcp_manner manner;
    const pawl_value *answers;  /* {key: result}, given with the input */
    size_t questions;           /* asked by a legacy server so far */
    const pawl_value *question; /* {key: {method, params}} that nobody has answered */
    bool ends_canceled;         /* as cancelled, whatever else was set */
    bool again;                 /* the failure that is set may be tried again */
} pw_mcp_call;

/** Why the call should stop now: ANSWERED = it should not. */
pw_mcp_cut pw_mcp_call_over(const pw_mcp_call *call, int64_t until_ms);
/** It is cancelled: does the run not want it any more? Else the engine closes, or an attempt took too long, and there is a next one. */
bool pw_mcp_call_unwanted(const pw_mcp_call *call);
/** Waits until fd (or -1) is readable, something is to be looked at, or until_ms. */
void pw_mcp_call_wait(pw_mcp_call *call, int fd, int64_t until_ms);
/** Tells the engine that it is alive, and how far (nil: not known), at most once a second unless `at_once`. */
void pw_mcp_call_beat(pw_mcp_call *call, const pawl_value *progress, bool at_once);
/** Fills a cut. */
void pw_mcp_cut_set(pw_mcp_reply *reply, pw_mcp_cut cut, const char *type, const char *fmt, ...)
    PAWL_PRINTF(4, 5);

/* ---- wires: one request under way ---- */

typedef struct pw_mcp_wire pw_mcp_wire;
typedef struct pw_mcp_wire_ops {
    /** The next text that belongs to the request: false = there is none any more, the reply says why; call->deadline and cancel count. */
    bool (*next)(pw_mcp_wire *wire, pw_buf *ret_text, pw_mcp_reply *reply);
    /** Leaves. `answered` false: the server is told, as its era wants, that nobody waits. */
    void (*close)(pw_mcp_wire *wire, bool answered);
} pw_mcp_wire_ops;
struct pw_mcp_wire {
    const pw_mcp_wire_ops *ops;
};

/** What is to be sent. */
typedef struct pw_mcp_send {
    const char *text;
    size_t size;
    int64_t id;         /* of a request; -1 = a notification or an answer */
    const char *method; /* of a request or notification; NULL */
    const char *name;   /* Mcp-Name; NULL = none */
    const pw_http_header *headers;
    size_t headers_len;
    bool once; /* may not be sent again by anybody: on a connection of its own */
} pw_mcp_send;

/* mcp_http.c, mcp_process.c: false = nothing was sent, the reply says why */
bool pw_mcp_http_open(pw_mcp_call *call, const pw_mcp_send *send, pw_mcp_wire **ret_wire,
                      pw_mcp_reply *reply);
bool pw_mcp_stdio_open(pw_mcp_call *call, const pw_mcp_send *send, pw_mcp_wire **ret_wire,
                       pw_mcp_reply *reply);

/** A GET of the server's URL for a stream of events, from last_id on (NULL = from now on). False: the reply says why not. */
bool pw_mcp_http_get(pw_mcp_call *call, const char *last_id, const pw_http_callbacks *callbacks,
                     pw_http **ret_http, pw_mcp_reply *reply);

/* mcp_talk.c */

/** One request to a server. */
typedef struct pw_mcp_ask {
    const char *method;
    const pawl_value *params;
    const char *name;              /* Mcp-Name */
    const pw_http_header *headers; /* further ones */
    size_t headers_len;
    bool progress;
    bool once;
} pw_mcp_ask;

/** Asks and waits for the answer; notifications and questions that come meanwhile are dealt with. True: reply->message is a RESULT. */
bool pw_mcp_talk(pw_mcp_call *call, const pw_mcp_ask *ask, pw_mcp_reply *reply);
/** Says something that has no answer. */
void pw_mcp_tell(pw_mcp_call *call, const char *method, const pawl_value *params);
/** What is said after a cancel takes a moment at most, from here on. */
void pw_mcp_leave_soon(pw_mcp_call *call);

/* mcp_question.c */

/** The answer to a question of the server, under that key; NULL: nobody has answered it, and call->question has it now. */
const pawl_value *pw_mcp_answer(pw_mcp_call *call, const char *key, const char *method,
                                const pawl_value *params);

/* mcp_oauth.c */

/** After a 401 or 403: gets a token for what the server wants. True: ask again. False: the reply says why not. */
bool pw_mcp_authorize(pw_mcp_call *call, int rounds, pw_mcp_reply *reply);

#endif
