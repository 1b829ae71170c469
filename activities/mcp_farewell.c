/*
 * mcp_farewell.c - DELETE of every session that is open, as the engine closes.
 *
 * A courtesy: it waits a moment and no longer, and a server that is not there is not asked again. Sessions of servers that were forgotten for
 * want of room are not ended, nor those of an engine that is killed.
 */
#include "activities/mcp_farewell.h"

#include <poll.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

enum { HEADERS_MAX = 32 };

typedef struct bye {
    struct bye *next;
    pw_http *http;
    pw_mcp_inbox inbox; /* only its end is used */
} bye;

void pw_mcp_farewell_note(pw_mcp_call *call)
{
    pw_mcp_server *s = call->server;
    const pawl_value *v = pawl_build(call->private_scope, "{url: %p, headers: %p, bearer: %p}",
                                     pawl_v(pawl_get(call->input, "server.url")),
                                     pawl_v(pawl_get(call->input, "server.headers")),
                                     pawl_v(pawl_get(call->input, "server.auth.bearer")));
    const pw_view bytes = pw_value_bytes(v);
    pthread_mutex_lock(&s->lock);
    pw_buf_reset(&s->farewell);
    pw_buf_put(&s->farewell, bytes.data, bytes.size);
    pthread_mutex_unlock(&s->lock);
}

static void on_end(void *user, const pw_http_result *result)
{
    bye *b = user;
    (void)result;
    pw_mcp_inbox_end(&b->inbox);
}

static size_t headers_of(pawl_scope *scope, pw_mcp_server *s, const pawl_value *kept,
                         pw_http_header *headers)
{
    const pawl_value *given = pawl_get(kept, "headers");
    const char *token = s->token.size > 0 ? pw_buf_cstr(&s->token) : pawl_str(kept, "bearer", NULL);
    size_t len = 0;
    headers[len++] = (pw_http_header){.name = "Mcp-Session-Id", .value = s->session};
    headers[len++] = (pw_http_header){.name = "MCP-Protocol-Version", .value = s->version};
    if (token != NULL) {
        headers[len++] = (pw_http_header){.name = "Authorization",
                                          .value = pw_sprintf(scope, "Bearer %s", token),
                                          .secret = true};
    }
    for (size_t i = 0; i < pawl_len(given) && len < HEADERS_MAX; i++) {
        const char *value = pawl_str(pawl_at(given, i), "", NULL);
        if (value != NULL) {
            headers[len++] =
                (pw_http_header){.name = pawl_key_at(given, i), .value = value, .secret = true};
        }
    }
    return len;
}

/* NULL: nothing was sent. */
static bye *begin(pw_net *net, pw_mcp_server *s)
{
    pawl_scope *scope = pawl_scope_new();
    bye *b = pw_calloc(1, sizeof *b);
    pw_http_header headers[HEADERS_MAX];
    pawl_error err;
    bool ok = scope != NULL && b != NULL && pw_mcp_inbox_init(&b->inbox);
    const pawl_value *kept = ok ? pw_value_copy(scope, s->farewell.data, s->farewell.size) : NULL;
    if (kept != NULL) {
        const pw_http_callbacks callbacks = {.user = b, .end = on_end};
        const pw_http_request request = {.method = "DELETE",
                                         .url = pawl_str(kept, "url", ""),
                                         .headers = headers,
                                         .headers_len = headers_of(scope, s, kept, headers)};
        ok = !pw_scope_failed(scope) &&
             pw_http_start(net, &request, &callbacks, &b->http, &err) == PAWL_OK;
    }
    pawl_scope_free(scope);
    if (b != NULL && (!ok || b->http == NULL)) {
        pw_mcp_inbox_deinit(&b->inbox);
        pw_free(b);
        b = NULL;
    }
    return b;
}

static void finish(bye *b, int64_t until_ms)
{
    pw_buf none = PW_BUF_INIT;
    bool cancelled = false;
    while (pw_mcp_inbox_take(&b->inbox, &none) != PW_MCP_GOT_END) {
        const int64_t left = until_ms - pw_mono_ms();
        struct pollfd fd = {.fd = b->inbox.event, .events = POLLIN};
        if (left <= 0 && !cancelled) {
            pw_http_cancel(b->http); /* its end comes at once */
            cancelled = true;
        }
        (void)poll(&fd, 1, cancelled ? -1 : (int)left);
    }
    pw_http_free(b->http);
    pw_mcp_inbox_deinit(&b->inbox);
    pw_buf_deinit(&none);
    pw_free(b);
}

void pw_mcp_farewell_say(pw_net *net, pw_mcp_server *servers, int64_t until_ms)
{
    bye *all = NULL;
    for (pw_mcp_server *s = servers; s != NULL; s = s->next) {
        bye *b = s->session[0] != '\0' && s->farewell.size > 0 && pw_buf_ok(&s->farewell)
                     ? begin(net, s)
                     : NULL;
        if (b != NULL) {
            b->next = all;
            all = b;
        }
    }
    while (all != NULL) {
        bye *b = all;
        all = b->next;
        finish(b, until_ms);
    }
}
