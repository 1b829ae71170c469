/*
 * request.h - one operation on an engine, as data. The host API, the control socket and the inbox all make these; the core answers.
 *
 * On the wire (control protocol) and in the inbox a request is msgpack [1, id, "op", {args}], a reply [1, id, status number, body]
 * where body is the result, or {message} when status is not OK. ops.def lists the operations.
 */
#ifndef PW_REQUEST_H
#define PW_REQUEST_H

#include "sdk/base/error.h"
#include "sdk/base/mp.h"

typedef enum pw_op_kind {
    PW_REQ_WRITE, /* changes runs: journaled, acked after commit; may wait in the inbox when no owner lives */
    PW_REQ_READ, /* from the journal's rows: any reader can answer it (view.h) */
    PW_REQ_LIVE, /* needs the running engine */
} pw_op_kind;

typedef enum pw_req_op {
    PW_REQ_NONE = 0,
#define X(name, text, kind, help) PW_REQ_##name,
#include "engine/ops.def"
#undef X
    PW_REQ_COUNT
} pw_req_op;

const char *pw_req_name(pw_req_op op);
pw_req_op pw_req_from_name(pw_view name); /* PW_REQ_NONE when unknown */
pw_op_kind pw_req_kind(pw_req_op op);

typedef struct pw_request pw_request;

#define PW_CLIENT_HOST \
    ((uint64_t)1 << 62) /* calls of the host are numbered from here; connections stay below */

/** Answers on the engine's thread; must only hand the bytes over. more = further replies follow (watch). body is valid during the call.
 * err is set when status is not OK. */
typedef void (*pw_request_fn)(pw_request *rq, pawl_status status, pw_view body,
                              const pawl_error *err, bool more);

struct pw_request {
    pw_req_op op;
    pawl_scope *scope;      /* owns args; freed by pw_request_free */
    const pawl_value *args; /* a map */
    pw_request_fn reply;    /* NULL = nobody waits */
    void *user;
    uint64_t
        client; /* who: groups the live requests of one connection; 0, or from PW_CLIENT_HOST on: the host */
    int64_t
        peer_uid; /* user that the system says is at the other end; -1 = not known (the inbox) */
    bool outside; /* another process waits for the reply */
    int64_t inbox_id;        /* taken from the inbox; 0 = not */
    bool holds_key;          /* the core's: its dedup key is held until it is answered */
    int64_t number;          /* the client's own number of it: UNWATCH names it by that; 0 = none */
    struct pw_request *next; /* list link of whoever holds it */
};

/** Copies args. Errors: NOMEM, INVALID (unknown op, args not a map). */
pawl_status pw_request_new(pw_view op, pw_view args, pw_request_fn reply, void *user,
                           pw_request **ret_request, pawl_error *err);
void pw_request_free(pw_request *rq); /* accepts NULL */

/* ---- as bytes ---- */

#define PW_WIRE_VERSION 1

/** Appends [1, number, op, args]; empty args write an empty map. */
void pw_request_write(pw_buf *out, int64_t number, const char *op, pw_view args);
/** Takes one apart after checking all of it (pw_mp_check). The views point into message. Errors: PARSE, LIMIT, UNSUPPORTED (another
 * version; *ret_number is set even then). */
pawl_status pw_request_parse(pw_view message, int64_t *ret_number, pw_view *ret_op,
                             pw_view *ret_args, pawl_error *err);
/** Appends [1, number, status, body]: body as given when OK, else {message} with what body (a map) holds beside it. */
void pw_reply_write(pw_buf *out, int64_t number, pawl_status status, pw_view body,
                    const pawl_error *err);
/** Takes a reply apart; *ret_status is what the engine said and err then its message. Errors: PARSE, LIMIT, UNSUPPORTED. */
pawl_status pw_reply_parse(pw_view message, int64_t *ret_number, pawl_status *ret_status,
                           pw_view *ret_body, pawl_error *err);

#endif
