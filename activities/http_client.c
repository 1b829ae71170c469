/*
 * http_client.c - the life of a request: started by any thread, lived on the network thread, ended exactly once.
 *
 *   start --post--> begin --enter--> (waits) --> hop --> curl's end --> follow --> hop ...
 *                                                 |          '--> end
 *                  cancel --post-----------> end <+-- watch: first byte, idle
 *                  net stops --------------> end
 *
 * A reference counts the caller, one the network thread, and one each posted cancel. Everything that ends a request goes through finish().
 * Does not talk to curl: http_hop.c does.
 */
#include "activities/http_client.h"

#include <stdio.h>
#include <string.h>

#include "activities/http_transfer.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

/* ---- the table of ends ---- */

static const struct {
    const char *type;
    bool retryable;
    const char *text;
} errors[] = {
#define X(name, type, retryable, text) {type, retryable, text},
#include "activities/http_errors.def"
#undef X
};

const char *pw_http_error_type(pw_http_error error)
{
    return errors[error].type;
}

const char *pw_http_error_text(pw_http_error error)
{
    return errors[error].text;
}

bool pw_http_error_retryable(pw_http_error error)
{
    return errors[error].retryable;
}

/* ---- references ---- */

static void unref(pw_http *h)
{
    if (atomic_fetch_sub(&h->refs, 1) != 1) {
        return;
    }
    pw_buf_deinit(&h->head_text);
    pw_free(h->location);
    pawl_scope_free(h->scope);
    pw_free(h);
}

void pw_http_free(pw_http *http)
{
    if (http != NULL) {
        unref(http);
    }
}

/* ---- ending ---- */

static void timer_closed(uv_handle_t *handle)
{
    pw_free(handle);
}

static bool anything_sent(const pw_http *h)
{
    long bytes = 0;
    curl_off_t began = 0;
    if (h->easy == NULL) {
        return h->sent_before;
    }
    (void)curl_easy_getinfo(h->easy, CURLINFO_REQUEST_SIZE, &bytes);
    (void)curl_easy_getinfo(h->easy, CURLINFO_PRETRANSFER_TIME_T, &began);
    bytes = h->tunneled ? 0 : bytes; /* the CONNECT is counted, and is not for the server */
    return h->sent_before || bytes > 0 || began > 0 || h->status != 0;
}

static void message_make(const pw_http *h, pw_http_error error, char *ret, size_t size)
{
    const char *why = h->why.text;
    const char *detail = error == PW_HTTP_DENIED || error == PW_HTTP_BAD_REDIRECT ? why
                         : error == PW_HTTP_CANCELED || error == PW_HTTP_SHUTDOWN ? ""
                                                                                  : h->curl_error;
    (void)snprintf(ret, size, "%s %.200s:%d%s: %s%s%.250s", h->request.method, h->place.host,
                   h->place.port, h->redirects > 0 ? " (after a redirect)" : "", errors[error].text,
                   detail[0] != '\0' ? ": " : "", detail);
}

static void leave_curl(pw_http *h)
{
    if (h->added) {
        pw_net_remove(h->net, h->easy);
        h->added = false;
    }
}

static void leave_net(pw_http *h)
{
    leave_curl(h);
    if (h->easy != NULL) {
        curl_easy_cleanup(h->easy);
        h->easy = NULL;
    }
    curl_slist_free_all(h->lines);
    h->lines = NULL;
    if (h->timer != NULL) {
        uv_close((uv_handle_t *)h->timer, timer_closed);
        h->timer = NULL;
    }
    if (h->entered) {
        pw_net_leave(h->net, &h->transfer);
        h->entered = false;
    }
}

static void finish(pw_http *h, pw_http_error error)
{
    if (h->ended) {
        return;
    }
    h->ended = true;
    char message[800];
    const int64_t now = pw_net_now_ms(h->net);
    message_make(h, error, message, sizeof message);
    const pw_http_result result = {
        .error = error,
        .sent = anything_sent(h),
        .status = h->head_done ? h->status : 0,
        .retry_after_ms = h->head_done ? h->retry_after_ms : -1,
        .message = message,
        .redirects = h->redirects,
        .body_bytes = h->body_bytes,
        .first_byte_ms = h->first_byte_ms > 0 ? h->first_byte_ms - h->started_ms : 0,
        .total_ms = h->started_ms > 0 ? now - h->started_ms : 0,
    };
    leave_net(h);
    h->callbacks.end(h->callbacks.user, &result);
    unref(h);
}

/* ---- hops ---- */

static void watch_fired(uv_timer_t *timer);

/* The clock of silence: looked at when it would have run out, not set anew at every byte. */
void pw_http_watch(pw_http *h)
{
    const int64_t limit = h->head_seen_bytes == 0 ? h->request.first_byte_ms : h->request.idle_ms;
    const int64_t due = h->touched_ms + limit - pw_net_now_ms(h->net);
    (void)uv_timer_start(h->timer, watch_fired, due > 0 ? (uint64_t)due : 1, 0);
}

static void watch_fired(uv_timer_t *timer)
{
    pw_http *h = timer->data;
    const bool began = h->head_seen_bytes > 0;
    const int64_t limit = began ? h->request.idle_ms : h->request.first_byte_ms;
    if (pw_net_now_ms(h->net) - h->touched_ms >= limit) {
        finish(h, began ? PW_HTTP_IDLE_TIMEOUT : PW_HTTP_FIRST_BYTE_TIMEOUT);
    } else {
        pw_http_watch(h);
    }
}

static void hop_begin(pw_http *h)
{
    h->touched_ms = pw_net_now_ms(h->net);
    h->head_seen_bytes = 0;
    h->head_done = false;
    h->head_len = 0;
    h->status = 0;
    h->body_bytes = 0;
    h->uploaded = 0;
    h->sockets = 0;
    h->why.text[0] = '\0';
    h->curl_error[0] = '\0';
    pw_buf_reset(&h->head_text);
    pw_free(h->location);
    h->location = NULL;
    if (!pw_http_hop_configure(h)) {
        finish(h, PW_HTTP_NO_MEMORY);
        return;
    }
    h->added = pw_net_add(h->net, h->easy);
    if (!h->added) {
        finish(h, PW_HTTP_NO_MEMORY);
        return;
    }
    pw_http_watch(h);
}

static pw_http *of_transfer(pw_net_transfer *t)
{
    return (pw_http *)(void *)t; /* the first member */
}

static void turn_came(pw_net_transfer *t)
{
    pw_http *h = of_transfer(t);
    h->timer = pw_calloc(1, sizeof *h->timer);
    h->started_ms = pw_net_now_ms(h->net);
    if (h->timer == NULL) {
        finish(h, PW_HTTP_NO_MEMORY);
        return;
    }
    (void)uv_timer_init(pw_net_uv(h->net), h->timer);
    h->timer->data = h;
    hop_begin(h);
}

static void curl_ended(pw_net_transfer *t, CURLcode code)
{
    pw_http *h = of_transfer(t);
    if (h->location == NULL || h->cut_short) {
        finish(h, pw_http_hop_error(h, code));
        return;
    }
    h->sent_before = true; /* it was answered */
    const pw_http_error error = pw_http_hop_follow(h);
    if (error != PW_HTTP_DONE) {
        finish(h, error);
        return;
    }
    leave_curl(h);
    hop_begin(h);
}

static void net_stops(pw_net_transfer *t)
{
    finish(of_transfer(t), PW_HTTP_SHUTDOWN);
}

/* ---- starting and cancelling ---- */

static pw_http *of_start(pw_net_job *job)
{
    return (pw_http *)(void *)((char *)job - offsetof(pw_http, start_job));
}

static void begin(pw_net_job *job)
{
    pw_http *h = of_start(job);
    if (h->ended) {
        return;
    }
    h->entered = !pw_net_closing(h->net) && pw_net_enter(h->net, &h->transfer);
    if (!h->entered) {
        finish(h, pw_net_closing(h->net) ? PW_HTTP_SHUTDOWN : PW_HTTP_NO_MEMORY);
    }
}

static void cancel(pw_net_job *job)
{
    pw_http *h = (pw_http *)(void *)((char *)job - offsetof(pw_http, cancel_job));
    finish(h, PW_HTTP_CANCELED);
    unref(h);
}

void pw_http_cancel(pw_http *http)
{
    if (atomic_exchange(&http->cancel_posted, true)) {
        return;
    }
    atomic_fetch_add(&http->refs, 1);
    if (!pw_net_post(http->net, &http->cancel_job)) {
        unref(http); /* the net has stopped, or is about to end it */
    }
}

static pw_http *http_new(pw_net *net, const pw_http_callbacks *callbacks)
{
    pw_http *h = pw_calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    atomic_init(&h->refs, 1);
    atomic_init(&h->cancel_posted, false);
    h->transfer = (pw_net_transfer){.start = turn_came, .done = curl_ended, .stop = net_stops};
    h->start_job.run = begin;
    h->cancel_job.run = cancel;
    h->net = net;
    h->callbacks = *callbacks;
    h->retry_after_ms = -1;
    pw_buf_init(&h->head_text, (size_t)PW_HTTP_HEAD_BYTES_MAX * 2);
    h->scope = pawl_scope_new();
    if (h->scope == NULL) {
        unref(h);
        return NULL;
    }
    return h;
}

pawl_status pw_http_start(pw_net *net, const pw_http_request *request,
                          const pw_http_callbacks *callbacks, pw_http **ret_http, pawl_error *err)
{
    PW_CHECK(callbacks->end != NULL);
    pw_http *h = http_new(net, callbacks);
    if (h == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    pawl_status status = pw_http_take_request(h, request, err);
    if (status == PAWL_OK) {
        atomic_store(&h->refs, 2);
        *ret_http = h; /* before the post: a callback may look for it */
        if (pw_net_post(net, &h->start_job)) {
            return PAWL_OK;
        }
        atomic_store(&h->refs, 1);
        status = pw_err(err, PAWL_SHUTDOWN, "the network thread has stopped");
    }
    *ret_http = NULL;
    unref(h);
    return status;
}
