/*
 * request.c - requests as objects and as bytes: the names of the operations, making and freeing one, the two messages of the control
 * protocol.
 *
 * Bytes that come from outside are checked whole before anything is read from them. This file does not carry anything out (core_*.c does)
 * and does no I/O (control_*.c, sdk/base/frame.c).
 */
#include "engine/request.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

static const struct {
    const char *name;
    pw_op_kind kind;
} ops[PW_REQ_COUNT] = {
    [PW_REQ_NONE] = {"none", PW_REQ_LIVE},
#define X(name, text, kind, help) [PW_REQ_##name] = {text, PW_REQ_##kind},
#include "engine/ops.def"
#undef X
};

const char *pw_req_name(pw_req_op op)
{
    return (int)op >= 0 && op < PW_REQ_COUNT ? ops[op].name : "none";
}

pw_req_op pw_req_from_name(pw_view name)
{
    for (int i = PW_REQ_NONE + 1; i < PW_REQ_COUNT; i++) {
        if (pw_view_is(name, ops[i].name)) {
            return (pw_req_op)i;
        }
    }
    return PW_REQ_NONE;
}

pw_op_kind pw_req_kind(pw_req_op op)
{
    PW_CHECK(op > PW_REQ_NONE && op < PW_REQ_COUNT);
    return ops[op].kind;
}

static pawl_status check_args(pw_view args, pawl_error *err)
{
    pw_mp r = pw_mp_reader(args.data, args.size);

    if (pw_mp_peek(&r) != PAWL_MAP) {
        return pw_err(err, PAWL_INVALID, "the arguments of a request must be a map");
    }
    return pw_mp_check_given(args.data, args.size, err);
}

pawl_status pw_request_new(pw_view op, pw_view args, pw_request_fn reply, void *user,
                           pw_request **ret_request, pawl_error *err)
{
    static const uint8_t empty_map = 0x80;
    pw_req_op number = pw_req_from_name(op);

    if (number == PW_REQ_NONE) {
        return pw_err(err, PAWL_INVALID, "there is no operation \"%.*s\"",
                      (int)(op.size < 40 ? op.size : 40), (const char *)op.data);
    }
    if (args.size == 0) {
        args = (pw_view){&empty_map, 1};
    }
    pawl_status status = check_args(args, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_request *rq = pw_calloc(1, sizeof *rq);
    pawl_scope *scope = pw_scope_new(0);
    if (rq == NULL || scope == NULL) {
        pw_free(rq);
        pawl_scope_free(scope);
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    *rq = (pw_request){.op = number,
                       .scope = scope,
                       .args = pw_value_copy(scope, args.data, args.size),
                       .reply = reply,
                       .user = user,
                       .peer_uid = -1};
    if (rq->args == NULL) {
        pw_request_free(rq);
        return pw_err(err, PAWL_NOMEM, "no memory for the %zu bytes of a request", args.size);
    }
    *ret_request = rq;
    return PAWL_OK;
}

void pw_request_free(pw_request *rq)
{
    if (rq != NULL) {
        pawl_scope_free(rq->scope);
        pw_free(rq);
    }
}

/* ---- as bytes ---- */

void pw_request_write(pw_buf *out, int64_t number, const char *op, pw_view args)
{
    pw_mp_array(out, 4);
    pw_mp_int(out, PW_WIRE_VERSION);
    pw_mp_int(out, number);
    pw_mp_str(out, op);
    if (args.size == 0) {
        pw_mp_map(out, 0);
    } else {
        pw_buf_put(out, args.data, args.size);
    }
}

/** The head both messages share: an array of four, a version, a number. */
static pawl_status open_message(pw_view message, pw_mp *ret_reader, int64_t *ret_number,
                                pawl_error *err)
{
    pawl_status status = pw_mp_check(message.data, message.size, err);
    if (status != PAWL_OK) {
        return status;
    }
    pw_mp r = pw_mp_reader(message.data, message.size);
    if (pw_mp_peek(&r) != PAWL_ARRAY || pw_mp_read_array(&r) != 4 || pw_mp_peek(&r) != PAWL_INT) {
        return pw_err(err, PAWL_PARSE,
                      "a message is an array of four: version, number, operation or status, body");
    }
    int64_t version = pw_mp_read_int(&r);
    if (pw_mp_peek(&r) != PAWL_INT) {
        return pw_err(err, PAWL_PARSE, "the number of a message must be an integer");
    }
    *ret_number = pw_mp_read_int(&r);
    if (version != PW_WIRE_VERSION) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "a message of protocol version %lld; this pawl speaks version %d",
                      (long long)version, PW_WIRE_VERSION);
    }
    *ret_reader = r;
    return PAWL_OK;
}

pawl_status pw_request_parse(pw_view message, int64_t *ret_number, pw_view *ret_op,
                             pw_view *ret_args, pawl_error *err)
{
    pw_mp r;
    pawl_status status = open_message(message, &r, ret_number, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (pw_mp_peek(&r) != PAWL_STRING) {
        return pw_err(err, PAWL_PARSE, "the operation of a request must be a string");
    }
    pw_view op = pw_mp_read_str(&r);
    if (pw_mp_peek(&r) != PAWL_MAP) {
        return pw_err(err, PAWL_PARSE, "the arguments of a request must be a map");
    }
    *ret_op = op;
    *ret_args = pw_mp_read_raw(&r);
    return PAWL_OK;
}

/** {message: text} and the pairs of body, if that is a map. */
static void write_problem(pw_buf *out, pawl_status status, pw_view body, const pawl_error *err)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = body.size > 0 && pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;

    pw_mp_map(out, pairs + 1);
    pw_mp_str(out, "message");
    pw_mp_str(out,
              err != NULL && err->message[0] != '\0' ? err->message : pawl_status_text(status));
    for (size_t i = 0; i < 2 * pairs; i++) {
        pw_view raw = pw_mp_read_raw(&r);
        pw_buf_put(out, raw.data, raw.size);
    }
}

void pw_reply_write(pw_buf *out, int64_t number, pawl_status status, pw_view body,
                    const pawl_error *err)
{
    pw_mp_array(out, 4);
    pw_mp_int(out, PW_WIRE_VERSION);
    pw_mp_int(out, number);
    pw_mp_int(out, status);
    if (status != PAWL_OK) {
        write_problem(out, status, body, err);
    } else if (body.size == 0) {
        pw_mp_nil(out);
    } else {
        pw_buf_put(out, body.data, body.size);
    }
}

static void take_message(pw_view body, pawl_status status, pawl_error *err)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;

    for (size_t i = 0; i < pairs; i++) {
        pw_view key = pw_mp_read_str(&r);
        if (pw_view_is(key, "message") && pw_mp_peek(&r) == PAWL_STRING) {
            pw_view text = pw_mp_read_str(&r);
            (void)pw_err(err, status, "%.*s", (int)(text.size < 250 ? text.size : 250),
                         (const char *)text.data);
            return;
        }
        pw_mp_skip(&r);
    }
    (void)pw_err(err, status, "%s", pawl_status_text(status));
}

pawl_status pw_reply_parse(pw_view message, int64_t *ret_number, pawl_status *ret_status,
                           pw_view *ret_body, pawl_error *err)
{
    pw_mp r;
    pawl_status status = open_message(message, &r, ret_number, err);

    if (status != PAWL_OK) {
        return status;
    }
    if (pw_mp_peek(&r) != PAWL_INT) {
        return pw_err(err, PAWL_PARSE, "the status of a reply must be an integer");
    }
    int64_t said = pw_mp_read_int(&r);
    if (said < PAWL_OK || said > PAWL_DONE) {
        said = PAWL_UNKNOWN; /* a newer engine's: the message says more */
    }
    *ret_status = (pawl_status)said;
    *ret_body = pw_mp_read_raw(&r);
    if (said != PAWL_OK) {
        take_message(*ret_body, *ret_status, err);
    }
    return PAWL_OK;
}
