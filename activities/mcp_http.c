/*
 * mcp_http.c - Streamable HTTP: one POST a message; its answer is JSON or a stream of events. A legacy stream that ends before the answer
 * is taken up again with a GET from its last event.
 *
 *   network thread: head, events, body, end --> inbox --> next(): the call's thread
 *                                                          '-- ended without the answer --> wait `retry` --> GET, Last-Event-ID
 *
 * Does not look into messages, and sends nothing twice by itself.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "activities/http_sse.h"
#include "activities/mcp_farewell.h"
#include "activities/mcp_listen.h"
#include "activities/mcp_tool.h"
#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum {
    HEADERS_OWN = 8,
    RESUMES_MAX = 20, /* in a row, without an event */
    RETRY_MS = 1000,  /* when the stream says nothing */
    RETRY_MS_MAX = 60000,
    ID_BYTES = 512
};

typedef struct http_wire {
    pw_mcp_wire base; /* first */
    pw_mcp_call *call;
    bool is_request;
    pw_http *http;
    pw_mcp_inbox inbox;
    pw_mcp_listen *listen; /* NULL = nothing comes aside */
    bool is_tool;
    atomic_int_least64_t touched_ms;

    /* the network thread's until the inbox has ended */
    pw_sse sse;
    pw_buf body;
    pw_buf challenge;
    char session[256];
    int status;
    bool is_stream;
    pw_http_error error;
    bool sent;
    int64_t retry_after_ms;
    char message[600];

    /* the call's thread's */
    bool ever_sent;
    bool body_given;
    int resumes;
    int64_t retry_ms;
    char last_id[ID_BYTES];
} http_wire;

static http_wire *of(pw_mcp_wire *wire)
{
    return (http_wire *)(void *)wire;
}

/* ---- on the network thread ---- */

static bool on_event(void *user, const pw_sse_event *event)
{
    http_wire *w = user;
    const bool message = event->size > 0 && strcmp(event->type, "message") == 0;
    return !message || pw_mcp_inbox_put(&w->inbox, event->data, event->size);
}

static bool is_type(const char *value, const char *type)
{
    const size_t size = strlen(type);
    return value != NULL && strncasecmp(value, type, size) == 0 &&
           (value[size] == '\0' || value[size] == ';' || value[size] == ' ');
}

static void on_head(void *user, const pw_http_head *head)
{
    http_wire *w = user;
    const char *session = pw_http_head_find(head, "mcp-session-id");
    const char *challenge = pw_http_head_find(head, "www-authenticate");
    w->status = head->status;
    w->is_stream =
        head->status < 300 && is_type(pw_http_head_find(head, "content-type"), "text/event-stream");
    if (session != NULL && strlen(session) < sizeof w->session) {
        (void)snprintf(w->session, sizeof w->session, "%s", session);
    }
    if (challenge != NULL) {
        pw_buf_puts(&w->challenge, challenge);
    }
}

static bool on_data(void *user, const void *data, size_t size)
{
    http_wire *w = user;
    pawl_error err;
    if (w->is_stream) {
        return pw_sse_put(&w->sse, data, size, &err) == PAWL_OK;
    }
    pw_buf_put(&w->body, data, size);
    return pw_buf_ok(&w->body);
}

static void on_progress(void *user)
{
    http_wire *w = user;
    atomic_store(&w->touched_ms, pw_mono_ms());
}

static void on_end(void *user, const pw_http_result *result)
{
    http_wire *w = user;
    pawl_error err;
    w->error = result->error;
    w->sent = result->sent;
    w->retry_after_ms = result->retry_after_ms;
    (void)snprintf(w->message, sizeof w->message, "%s", result->message);
    if (w->is_stream) {
        (void)!pw_sse_end(&w->sse, &err);
    } else if (result->error == PW_HTTP_DONE && w->status < 300 && w->body.size > 0) {
        (void)pw_mcp_inbox_put(&w->inbox, (const char *)w->body.data, w->body.size);
    }
    pw_mcp_inbox_end(&w->inbox);
}

/* ---- headers ---- */

/** Headers of one request, in the scope of the call. */
typedef struct headers {
    pawl_scope *scope;
    pw_http_header *at;
    size_t len;
} headers;

static void header_add(headers *h, const char *name, const char *value, bool secret)
{
    if (h->at != NULL && name != NULL && value != NULL) {
        h->at[h->len++] = (pw_http_header){.name = name, .value = value, .secret = secret};
    }
}

static const char *bearer_of(pw_mcp_call *call, pawl_scope *scope)
{
    const char *given = pawl_str(call->input, "server.auth.bearer", NULL);
    const char *line = NULL;
    pthread_mutex_lock(&call->server->lock);
    const char *own = call->server->token.size > 0 ? pw_buf_cstr(&call->server->token) : NULL;
    const bool hidden =
        own == NULL || pw_secret_hide(call->secrets, own); /* another call may have got it */
    if (hidden && (own != NULL || given != NULL)) {
        line = pw_sprintf(scope, "Bearer %s", own != NULL ? own : given);
    }
    pthread_mutex_unlock(&call->server->lock);
    return line;
}

static const char *session_of(pw_mcp_call *call, pawl_scope *scope)
{
    pthread_mutex_lock(&call->server->lock);
    const char *session =
        call->server->session[0] != '\0' ? pw_strdup(scope, call->server->session) : NULL;
    pthread_mutex_unlock(&call->server->lock);
    return session;
}

/* Of every request to the server, whatever its method. */
static void headers_begin(headers *h, pw_mcp_call *call, pawl_scope *scope, size_t more)
{
    const pawl_value *given = pawl_get(call->input, "server.headers");
    h->scope = scope;
    h->len = 0;
    h->at = pw_alloc(scope, (HEADERS_OWN + more + pawl_len(given)) * sizeof *h->at);
    for (size_t i = 0; i < pawl_len(given); i++) {
        header_add(h, pawl_key_at(given, i), pawl_str(pawl_at(given, i), "", NULL), true);
    }
    header_add(h, "Authorization", bearer_of(call, scope), true);
    header_add(h, "Mcp-Session-Id",
               call->dialect.era == PW_MCP_LEGACY ? session_of(call, scope) : NULL, false);
    header_add(h, "MCP-Protocol-Version", call->dialect.version, false);
}

static const char *encoded(pawl_scope *scope, const char *name)
{
    pw_buf value = PW_BUF_INIT;
    if (name == NULL) {
        return NULL;
    }
    pw_mcp_header_put(&value, name, strlen(name));
    const char *copy = pw_strdup(scope, pw_buf_cstr(&value));
    pw_buf_deinit(&value);
    return copy;
}

/* ---- starting ---- */

static bool start(pw_mcp_call *call, const pw_http_request *request,
                  const pw_http_callbacks *callbacks, pw_http **ret_http, pw_mcp_reply *reply)
{
    pw_net *net = NULL;
    pawl_error err;
    pawl_status status = pw_mcp_hub_net(call->hub, &net, &err);
    status = status == PAWL_OK ? pw_http_start(net, request, callbacks, ret_http, &err) : status;
    if (status == PAWL_SHUTDOWN) {
        pw_mcp_cut_set(reply, PW_MCP_CANCELED, "Canceled", "the engine closes");
    } else if (status != PAWL_OK) {
        const char *type = status == PAWL_DENIED    ? "EgressDenied"
                           : status == PAWL_INVALID ? "BadInput"
                                                    : "OutOfMemory";
        pw_mcp_cut_set(reply, PW_MCP_FAILED, type, "%s", err.message);
        reply->retryable = status != PAWL_DENIED && status != PAWL_INVALID;
    }
    return status == PAWL_OK;
}

static pw_http_callbacks callbacks_of(http_wire *w)
{
    atomic_store(&w->touched_ms, pw_mono_ms());
    return (pw_http_callbacks){
        .user = w, .head = on_head, .data = on_data, .progress = on_progress, .end = on_end};
}

/* What all have in common: time is kept by the call. */
static pw_http_request request_of(pw_mcp_call *call, const headers *h)
{
    return (pw_http_request){.url = pawl_str(call->input, "server.url", ""),
                             .headers = h->at,
                             .headers_len = h->len,
                             .first_byte_ms = -1,
                             .idle_ms = -1,
                             .total_ms = -1,
                             .body_bytes_max = PW_HTTP_BODY_BYTES_MAX};
}

static bool post(http_wire *w, const pw_mcp_send *send, pw_mcp_reply *reply)
{
    pawl_scope *scope = pawl_scope_new();
    headers h;
    if (scope == NULL) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a request");
        return false;
    }
    headers_begin(&h, w->call, scope, send->headers_len);
    if (send->method != NULL && strcmp(send->method, "initialize") == 0) {
        h.len--; /* nothing is agreed upon yet */
    }
    header_add(&h, "Content-Type", "application/json", false);
    header_add(&h, "Accept", "application/json, text/event-stream", false);
    if (w->call->dialect.era == PW_MCP_MODERN) {
        header_add(&h, "Mcp-Method", send->method, false);
        header_add(&h, "Mcp-Name", encoded(scope, send->name), false);
    }
    for (size_t i = 0; i < send->headers_len; i++) {
        header_add(&h, send->headers[i].name, send->headers[i].value, false);
    }
    pw_http_request request = request_of(w->call, &h);
    request.method = "POST";
    request.body = send->text;
    request.body_size = send->size;
    request.no_resend = send->once;
    bool ok = !pw_scope_failed(scope);
    if (!ok) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a request");
    }
    const pw_http_callbacks callbacks = callbacks_of(w);
    ok = ok && start(w->call, &request, &callbacks, &w->http, reply);
    pawl_scope_free(scope);
    return ok;
}

bool pw_mcp_http_get(pw_mcp_call *call, const char *last_id, const pw_http_callbacks *callbacks,
                     pw_http **ret_http, pw_mcp_reply *reply)
{
    pawl_scope *scope = pawl_scope_new();
    headers h;
    if (scope == NULL) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a request");
        return false;
    }
    headers_begin(&h, call, scope, 0);
    header_add(&h, "Accept", "text/event-stream", false);
    header_add(&h, "Last-Event-ID", last_id, false);
    const pw_http_request request = request_of(call, &h);
    const bool ok = !pw_scope_failed(scope) && start(call, &request, callbacks, ret_http, reply);
    pawl_scope_free(scope);
    return ok;
}

/* ---- ending and resuming ---- */

/* Waits for the end of what is under way; it comes at once after a cancel. */
static void drain(http_wire *w)
{
    pw_buf text = PW_BUF_INIT;
    if (w->http == NULL) {
        return;
    }
    pw_http_cancel(w->http);
    while (pw_mcp_inbox_take(&w->inbox, &text) != PW_MCP_GOT_END) {
        struct pollfd fd = {.fd = w->inbox.event, .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    pw_http_free(w->http);
    w->http = NULL;
    pw_buf_deinit(&text);
}

static void wire_free(http_wire *w)
{
    pw_mcp_listen_close(w->listen);
    drain(w);
    if (w->is_tool) {
        (void)pw_mcp_server_tool_calls(w->call->server, -1);
    }
    pw_mcp_inbox_deinit(&w->inbox);
    pw_sse_deinit(&w->sse);
    pw_buf_deinit(&w->body);
    pw_buf_deinit(&w->challenge);
    pw_free(w);
}

/* What one response came to is kept, and the wire is ready for the next. */
static void renew(http_wire *w)
{
    w->ever_sent |= w->sent;
    if (w->sse.id.size > 0 && w->sse.id.size < sizeof w->last_id) {
        const bool moved = strcmp(w->last_id, pw_buf_cstr(&w->sse.id)) != 0;
        w->resumes = moved ? 0 : w->resumes;
        (void)snprintf(w->last_id, sizeof w->last_id, "%s", pw_buf_cstr(&w->sse.id));
    }
    w->retry_ms = w->sse.retry_ms >= 0 ? w->sse.retry_ms : w->retry_ms;
    pw_http_free(w->http);
    w->http = NULL;
    pw_mcp_inbox_reopen(&w->inbox);
    pw_sse_deinit(&w->sse);
    pw_sse_init(&w->sse, PW_MCP_MESSAGE_BYTES_MAX, on_event, w);
}

static bool wait_retry(http_wire *w, pw_mcp_reply *reply)
{
    const int64_t asked = w->retry_ms >= 0 ? w->retry_ms : RETRY_MS;
    const int64_t until = pw_mono_ms() + (asked < RETRY_MS_MAX ? asked : RETRY_MS_MAX);
    while (pw_mono_ms() < until) {
        const pw_mcp_cut cut = pw_mcp_call_over(w->call, INT64_MAX);
        if (cut != PW_MCP_ANSWERED) {
            pw_mcp_cut_set(reply, cut, cut == PW_MCP_CANCELED ? "Canceled" : "Timeout",
                           "it ended while a stream was to be resumed");
            return false;
        }
        pw_mcp_call_wait(w->call, -1, until);
    }
    return true;
}

/* True: a GET is under way. */
static bool resume(http_wire *w, pw_mcp_reply *reply)
{
    const bool was_stream = w->is_stream;
    renew(w);
    if (w->call->dialect.era != PW_MCP_LEGACY || !was_stream || w->last_id[0] == '\0' ||
        w->resumes++ >= RESUMES_MAX) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "ConnectionCut", "the stream ended before the answer");
        reply->retryable = true;
        return false;
    }
    if (!wait_retry(w, reply)) {
        return false;
    }
    const pw_http_callbacks callbacks = callbacks_of(w);
    return pw_mcp_http_get(w->call, w->last_id, &callbacks, &w->http, reply);
}

static bool is_message(http_wire *w)
{
    pw_mcp_message m;
    pawl_error err;
    pawl_scope *scope = pawl_scope_new();
    const bool is =
        scope != NULL && w->body.size > 0 &&
        pw_mcp_read(scope, (const char *)w->body.data, w->body.size, &m, &err) == PAWL_OK &&
        m.kind == PW_MCP_ERROR;
    pawl_scope_free(scope);
    return is;
}

static void keep_session(http_wire *w)
{
    pw_mcp_server *s = w->call->server;
    if (w->session[0] == '\0' || w->call->dialect.era != PW_MCP_LEGACY) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    const bool fresh = strcmp(s->session, w->session) != 0; /* many say it with every answer */
    memcpy(s->session, w->session, sizeof w->session);
    pthread_mutex_unlock(&s->lock);
    if (fresh) {
        pw_mcp_farewell_note(w->call);
    }
}

typedef enum after { AFTER_TEXT, AFTER_AGAIN, AFTER_OVER } after;

static after ended(http_wire *w, pw_buf *ret_text, pw_mcp_reply *reply)
{
    reply->sent = w->ever_sent || w->sent;
    reply->status = w->status;
    reply->retry_after_ms = w->retry_after_ms;
    reply->challenge =
        w->challenge.size > 0 ? pw_strdup(w->call->scope, pw_buf_cstr(&w->challenge)) : NULL;
    if (w->error == PW_HTTP_CANCELED || w->error == PW_HTTP_SHUTDOWN) {
        pw_mcp_cut_set(reply, PW_MCP_CANCELED, "Canceled", "it was cancelled");
    } else if (w->error == PW_HTTP_DONE && w->status >= 300) {
        if (!w->body_given && is_message(w)) {
            w->body_given = true;
            pw_buf_reset(ret_text);
            pw_buf_put(ret_text, w->body.data, w->body.size);
            return AFTER_TEXT;
        }
        pw_mcp_cut_set(reply, PW_MCP_HTTP, "HttpStatus", "the server answered with status %d",
                       w->status);
    } else if (!w->is_request) {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "", "it was taken"); /* nothing else was to come */
    } else if (w->is_stream && (w->error == PW_HTTP_DONE || w->error == PW_HTTP_CUT)) {
        return resume(w, reply) ? AFTER_AGAIN : AFTER_OVER;
    } else if (w->error == PW_HTTP_DONE) {
        pw_mcp_cut_set(reply, PW_MCP_MALFORMED, "BadAnswer", "status %d, and no answer", w->status);
    } else {
        pw_mcp_cut_set(reply, PW_MCP_FAILED, pw_http_error_type(w->error), "%s", w->message);
        reply->retryable = pw_http_error_retryable(w->error);
    }
    return AFTER_OVER;
}

static bool next(pw_mcp_wire *wire, pw_buf *ret_text, pw_mcp_reply *reply)
{
    http_wire *w = of(wire);
    for (;;) {
        const pw_mcp_got got = pw_mcp_inbox_take(&w->inbox, ret_text);
        reply->aside = got == PW_MCP_GOT_NOTHING && w->listen != NULL &&
                       pw_mcp_listen_take(w->listen, ret_text);
        if (reply->aside) {
            return true;
        }
        if (got == PW_MCP_GOT_TEXT) {
            reply->status = 200;
            keep_session(w);
            return true;
        }
        if (got == PW_MCP_GOT_END) {
            keep_session(w);
            const after a = ended(w, ret_text, reply);
            if (a != AFTER_AGAIN) {
                return a == AFTER_TEXT;
            }
            continue;
        }
        const int64_t silent = w->call->idle_ms == INT64_MAX
                                   ? INT64_MAX
                                   : atomic_load(&w->touched_ms) + w->call->idle_ms;
        const pw_mcp_cut cut = pw_mcp_call_over(w->call, silent);
        if (cut != PW_MCP_ANSWERED) {
            reply->sent = true;
            pw_mcp_cut_set(reply, cut, cut == PW_MCP_CANCELED ? "Canceled" : "Timeout",
                           "no answer came in time");
            return false;
        }
        pw_mcp_call_wait(w->call, w->inbox.event, silent);
    }
}

static void wire_close(pw_mcp_wire *wire, bool answered)
{
    (void)
        answered; /* closing the stream says it to a modern server; to a legacy one the call says it itself */
    wire_free(of(wire));
}

/* Only a tool asks, and only a legacy session has a stream beside the request's own. */
static void listen_aside(http_wire *w, const pw_mcp_send *send)
{
    pw_mcp_server *s = w->call->server;
    w->is_tool = w->is_request && w->call->dialect.era == PW_MCP_LEGACY &&
                 strcmp(send->method, "tools/call") == 0;
    if (!w->is_tool) {
        return;
    }
    (void)pw_mcp_server_tool_calls(s, 1);
    pthread_mutex_lock(&s->lock);
    const bool has_stream = s->session[0] != '\0' && !s->deaf;
    pthread_mutex_unlock(&s->lock);
    w->listen = has_stream ? pw_mcp_listen_open(w->call, &w->inbox) : NULL;
}

bool pw_mcp_http_open(pw_mcp_call *call, const pw_mcp_send *send, pw_mcp_wire **ret_wire,
                      pw_mcp_reply *reply)
{
    static const pw_mcp_wire_ops ops = {next, wire_close};
    http_wire *w = pw_calloc(1, sizeof *w);
    if (w == NULL || !pw_mcp_inbox_init(&w->inbox)) {
        pw_free(w);
        pw_mcp_cut_set(reply, PW_MCP_FAILED, "OutOfMemory", "no memory for a request");
        reply->retryable = true;
        return false;
    }
    w->base.ops = &ops;
    w->call = call;
    w->is_request = send->id >= 0;
    w->retry_ms = -1;
    w->retry_after_ms = -1;
    pw_sse_init(&w->sse, PW_MCP_MESSAGE_BYTES_MAX, on_event, w);
    pw_buf_init(&w->body, PW_MCP_MESSAGE_BYTES_MAX);
    listen_aside(w, send);
    if (!post(w, send, reply)) {
        wire_free(w);
        return false;
    }
    *ret_wire = &w->base;
    return true;
}
