/*
 * mcp_fetch.c - one plain HTTP exchange, waited for on the call's thread.
 *
 * Follows no redirect: where one leads is what the asker wants to know. Does not retry.
 */
#include "activities/mcp_fetch.h"

#include <poll.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/value.h"

enum { FETCH_MS = 30000, DOCUMENT_BYTES_MAX = 1 << 20 };

typedef struct fetch {
    pw_mcp_inbox inbox; /* only its end is used */
    pw_buf body;
    pw_buf location;
    int status;
    pw_http_error error;
    char message[200];
} fetch;

static void on_head(void *user, const pw_http_head *head)
{
    fetch *f = user;
    const char *location = pw_http_head_find(head, "location");
    f->status = head->status;
    if (location != NULL) {
        pw_buf_puts(&f->location, location);
    }
}

static bool on_data(void *user, const void *data, size_t size)
{
    fetch *f = user;
    pw_buf_put(&f->body, data, size);
    return pw_buf_ok(&f->body);
}

static void on_end(void *user, const pw_http_result *result)
{
    fetch *f = user;
    f->error = result->error;
    const size_t size = strlen(result->message);
    const size_t kept = size < sizeof f->message ? size : sizeof f->message - 1;
    memcpy(f->message, result->message, kept);
    f->message[kept] = '\0';
    pw_mcp_inbox_end(&f->inbox);
}

static const pawl_value *json_of(pw_mcp_call *call, const pw_buf *body)
{
    pw_buf bytes = PW_BUF_INIT;
    pawl_error err;
    const bool ok = body->size > 0 && pw_json_parse(&bytes, (const char *)body->data, body->size,
                                                    PW_JSON_LENIENT, NULL, &err) == PAWL_OK;
    const pawl_value *v = ok ? pw_value_copy(call->private_scope, bytes.data, bytes.size) : NULL;
    pw_buf_deinit(&bytes);
    return v;
}

static void wait_end(pw_mcp_call *call, fetch *f, pw_http *http)
{
    pw_buf none = PW_BUF_INIT;
    while (pw_mcp_inbox_take(&f->inbox, &none) != PW_MCP_GOT_END) {
        if (pw_mcp_call_over(call, INT64_MAX) == PW_MCP_ANSWERED) {
            pw_mcp_call_wait(call, f->inbox.event, INT64_MAX);
            continue;
        }
        pw_http_cancel(http); /* its end comes at once */
        struct pollfd fd = {.fd = f->inbox.event, .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    pw_buf_deinit(&none);
}

static pawl_status run(pw_mcp_call *call, fetch *f, const pw_mcp_fetch *what, pawl_error *err)
{
    const pw_http_callbacks callbacks = {
        .user = f, .head = on_head, .data = on_data, .end = on_end};
    pw_http_header headers[3] = {{.name = "Accept", .value = "application/json"}};
    size_t len = 1;
    pw_net *net = NULL;
    pw_http *http = NULL;
    if (what->content_type != NULL) {
        headers[len++] = (pw_http_header){.name = "Content-Type", .value = what->content_type};
    }
    if (what->authorization != NULL) {
        headers[len++] =
            (pw_http_header){.name = "Authorization", .value = what->authorization, .secret = true};
    }
    const pw_http_request request = {.url = what->url,
                                     .method = what->body != NULL ? "POST" : "GET",
                                     .headers = headers,
                                     .headers_len = len,
                                     .body = what->body,
                                     .body_size = what->body != NULL ? strlen(what->body) : 0,
                                     .body_secret = true,
                                     .total_ms = FETCH_MS,
                                     .body_bytes_max = DOCUMENT_BYTES_MAX,
                                     .no_resend = what->body != NULL};
    pawl_status status = pw_mcp_hub_net(call->hub, &net, err);
    status = status == PAWL_OK ? pw_http_start(net, &request, &callbacks, &http, err) : status;
    if (status != PAWL_OK) {
        return status;
    }
    wait_end(call, f, http);
    pw_http_free(http);
    return f->error == PW_HTTP_DONE ? PAWL_OK : pw_err(err, PAWL_IO, "%s", f->message);
}

bool pw_mcp_fetch_wait(pw_mcp_call *call, const pw_mcp_fetch *what, pw_mcp_fetched *ret,
                       pawl_error *err)
{
    fetch f = {.status = 0};
    if (!pw_mcp_inbox_init(&f.inbox)) {
        (void)pw_err(err, PAWL_NOMEM, "no memory for a request");
        return false;
    }
    const bool ok = run(call, &f, what, err) == PAWL_OK;
    if (ok) {
        *ret = (pw_mcp_fetched){.status = f.status,
                                .json = json_of(call, &f.body),
                                .location =
                                    f.location.size > 0
                                        ? pw_strdup(call->private_scope, pw_buf_cstr(&f.location))
                                        : NULL};
    }
    if (f.body.data != NULL) {
        explicit_bzero(f.body.data, f.body.capacity);
    }
    pw_buf_deinit(&f.body);
    pw_buf_deinit(&f.location);
    pw_mcp_inbox_deinit(&f.inbox);
    return ok;
}
