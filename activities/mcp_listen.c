/*
 * mcp_listen.c - a GET of a legacy session's own stream, for as long as one call takes.
 *
 *   network thread: head, events, end --> inbox of its own --nudges--> the inbox of the request, where its thread waits
 *
 * A stream that ends is not opened again, and nothing is resumed on it: what was said there to nobody is the server's loss.
 */
#include "activities/mcp_listen.h"

#include <poll.h>

#include "activities/http_sse.h"
#include "sdk/base/clock.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum { OPEN_MS = 500, STATUS_CONFLICT = 409 };

struct pw_mcp_listen {
    pw_http *http;
    pw_mcp_inbox inbox;
    pw_mcp_inbox *nudged;
    pw_sse sse;        /* the network thread's */
    atomic_int status; /* 0 = no head came */
    atomic_bool over;
};

/* ---- on the network thread ---- */

static bool on_event(void *user, const pw_sse_event *event)
{
    pw_mcp_listen *l = user;
    if (event->size == 0 || !pw_mcp_inbox_put(&l->inbox, event->data, event->size)) {
        return event->size == 0;
    }
    pw_mcp_inbox_nudge(l->nudged);
    return true;
}

static void on_head(void *user, const pw_http_head *head)
{
    pw_mcp_listen *l = user;
    atomic_store(&l->status, head->status);
    pw_mcp_inbox_nudge(&l->inbox);
}

static bool on_data(void *user, const void *data, size_t size)
{
    pw_mcp_listen *l = user;
    pawl_error err;
    return atomic_load(&l->status) >= 300 || pw_sse_put(&l->sse, data, size, &err) == PAWL_OK;
}

static void on_end(void *user, const pw_http_result *result)
{
    pw_mcp_listen *l = user;
    (void)result;
    atomic_store(&l->over, true);
    pw_mcp_inbox_end(&l->inbox);
}

/* ---- on the call's thread ---- */

static void wait_open(pw_mcp_call *call, pw_mcp_listen *l)
{
    const int64_t until = pw_mono_ms() + OPEN_MS;
    while (atomic_load(&l->status) == 0 && !atomic_load(&l->over) &&
           pw_mcp_call_over(call, until) == PW_MCP_ANSWERED) {
        pw_mcp_call_wait(call, l->inbox.event, until);
    }
}

pw_mcp_listen *pw_mcp_listen_open(pw_mcp_call *call, pw_mcp_inbox *nudged)
{
    pw_mcp_listen *l = pw_calloc(1, sizeof *l);
    pw_mcp_reply *reply = pw_calloc(1, sizeof *reply); /* why not is nobody's concern */
    const pw_http_callbacks callbacks = {
        .user = l, .head = on_head, .data = on_data, .end = on_end};
    if (l == NULL || reply == NULL || !pw_mcp_inbox_init(&l->inbox)) {
        pw_free(l);
        pw_free(reply);
        return NULL;
    }
    l->nudged = nudged;
    pw_sse_init(&l->sse, PW_MCP_MESSAGE_BYTES_MAX, on_event, l);
    if (pw_mcp_http_get(call, NULL, &callbacks, &l->http, reply)) {
        wait_open(call, l);
    }
    pw_free(reply);
    const int status = atomic_load(&l->status);
    if (status >= 300 || l->http == NULL) {
        if (status != 0 && status != STATUS_CONFLICT) {
            pw_mcp_server_deaf(call->server);
        }
        pw_mcp_listen_close(l);
        return NULL;
    }
    return l;
}

bool pw_mcp_listen_take(pw_mcp_listen *l, pw_buf *ret_text)
{
    return pw_mcp_inbox_take(&l->inbox, ret_text) == PW_MCP_GOT_TEXT;
}

/* Its end comes at once after a cancel, and after its end nothing of it is called. */
void pw_mcp_listen_close(pw_mcp_listen *l)
{
    pw_buf text = PW_BUF_INIT;
    if (l == NULL) {
        return;
    }
    if (l->http != NULL) {
        pw_http_cancel(l->http);
        while (pw_mcp_inbox_take(&l->inbox, &text) != PW_MCP_GOT_END) {
            struct pollfd fd = {.fd = l->inbox.event, .events = POLLIN};
            (void)poll(&fd, 1, -1);
        }
        pw_http_free(l->http);
    }
    pw_buf_deinit(&text);
    pw_sse_deinit(&l->sse);
    pw_mcp_inbox_deinit(&l->inbox);
    pw_free(l);
}
