/*
 * http_answer.c - the answer to a request, whole or as a stream. Does not know what is in it.
 */
#include "tools/mcp/http_inside.h"

#include <stdio.h>
#include <string.h>

typedef pw_mcpd_http_request request;

static ssize_t read_stream(void *user, uint64_t at, char *space, size_t size)
{
    request *r = user;
    (void)at;
    r->http->moves++;
    const size_t left = r->out.size - r->sent;
    if (!pw_buf_ok(&r->out)) {
        pw_mcpd_drop(r->x); /* too slow, or no memory */
        r->x = NULL;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (left == 0 && r->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (left == 0 && r->http->closing) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (left == 0) {
        pw_http_sleep(r);
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
    if (response != NULL && r->pass.challenge[0] != '\0') {
        add_header(response, "WWW-Authenticate", r->pass.challenge);
    }
    if (response != NULL && r->pass.retry_after_s > 0) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%lld", (long long)r->pass.retry_after_s);
        add_header(response, "Retry-After", seconds);
    }
    return response;
}

enum MHD_Result pw_http_respond(request *r)
{
    struct MHD_Response *response = r->stream ? stream_response(r) : plain_response(r);
    if (response == NULL) {
        return MHD_NO;
    }
    if (r->session[0] != '\0') {
        add_header(response, "Mcp-Session-Id", r->session);
    }
    if (r->misframed || r->chunked) { /* [T27] */
        add_header(response, "Connection", "close");
    }
    const unsigned status = r->stream ? 200 : (unsigned)r->status;
    const enum MHD_Result queued = MHD_queue_response(r->connection, status, response);
    MHD_destroy_response(response);
    r->queued = true;
    pw_conn_set(r->connection, r->stream ? PW_CONN_WORK : PW_CONN_ANSWER, pw_http_now_ms(r->http));
    return queued;
}

void pw_http_refuse(request *r, int status, const char *why)
{
    r->status = status;
    r->ended = true;
    pw_buf_puts(&r->out,
                "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"");
    pw_buf_puts(&r->out, why);
    pw_buf_puts(&r->out, "\"}}");
}
