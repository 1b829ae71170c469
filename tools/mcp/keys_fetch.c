/*
 * keys_fetch.c - key sets over the HTTP client of the network activities, on a network thread of its own that is there only when an issuer has a
 * jwks_uri.
 *
 *   loop --get--> net thread: one GET, at most 256 KiB, 10 s --> done, kept in its slot --wake--> loop: fn
 *
 * Egress is the list of those hosts and nothing else; a host that is written as an address, or loopback, is allowed as that. Redirects are not
 * followed. Does not read what comes.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "activities/egress.h"
#include "activities/http_client.h"
#include "activities/net_loop.h"
#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/mem.h"
#include "tools/mcp/keys.h"

#define TOTAL_MS 10000
#define BODY_BYTES_MAX (256u << 10)

/** The fetch of one issuer. The net thread writes into it until `done`, which is the last it does; the loop reads after. */
struct slot {
    pw_fetcher *fetcher;
    const char *url;
    pw_http *http;
    pw_buf body;
    char why[300];
    bool ok, busy;
    atomic_bool done;
};

struct pw_fetcher {
    uv_async_t *wake; /* freed by its close callback */
    pw_net *net;
    pw_egress *egress;
    pawl_scope *scope;
    pw_fetched_fn fn;
    void *user;
    struct slot *slots;
    size_t len;
};

/* ---- net thread ---- */

static bool on_data(void *user, const void *data, size_t size)
{
    struct slot *s = user;
    pw_buf_put(&s->body, data, size);
    return pw_buf_ok(&s->body);
}

static void on_end(void *user, const pw_http_result *result)
{
    struct slot *s = user;
    uv_async_t *wake = s->fetcher->wake;
    s->ok = result->error == PW_HTTP_DONE && result->status == 200 && pw_buf_ok(&s->body);
    if (result->error != PW_HTTP_DONE) {
        (void)snprintf(s->why, sizeof s->why, "%s", result->message);
    } else {
        (void)snprintf(s->why, sizeof s->why, "status %d of %.200s", result->status, s->url);
    }
    atomic_store(&s->done, true);
    (void)uv_async_send(wake);
}

/* ---- loop ---- */

static void on_wake(uv_async_t *wake)
{
    pw_fetcher *f = wake->data;
    for (size_t i = 0; f != NULL && i < f->len; i++) {
        struct slot *s = &f->slots[i];
        if (!s->busy || !atomic_load(&s->done)) {
            continue;
        }
        s->busy = false;
        pw_http_free(s->http);
        s->http = NULL;
        f->fn(f->user, i, s->ok ? (const char *)s->body.data : NULL, s->body.size, s->why);
        if (wake->data == NULL) {
            return; /* closed by what it told */
        }
    }
}

bool pw_fetcher_get(pw_fetcher *f, size_t index)
{
    struct slot *s = &f->slots[index];
    pawl_error err = {0};
    const pw_http_header accept = {.name = "Accept",
                                   .value = "application/jwk-set+json, application/json"};
    const pw_http_request request = {.url = s->url,
                                     .headers = &accept,
                                     .headers_len = 1,
                                     .total_ms = TOTAL_MS,
                                     .body_bytes_max = BODY_BYTES_MAX};
    const pw_http_callbacks callbacks = {.user = s, .data = on_data, .end = on_end};
    if (s->busy) {
        return true;
    }
    pw_buf_reset(&s->body);
    atomic_store(&s->done, false);
    s->busy = true;
    if (pw_http_start(f->net, &request, &callbacks, &s->http, &err) != PAWL_OK) {
        s->ok = false;
        (void)snprintf(s->why, sizeof s->why, "%s", err.message);
        atomic_store(&s->done, true);
        (void)uv_async_send(f->wake);
    }
    return true;
}

/* ---- life ---- */

/* "https://HOST:PORT/..." as an egress rule: HOST, and the port when there is one. */
static const char *rule_of(pawl_scope *scope, const char *url)
{
    const char *at = strstr(url, "://");
    at = at != NULL ? at + 3 : url;
    return pw_strndup(scope, at, strcspn(at, "/?#"));
}

static pawl_status net_begin(pw_fetcher *f, const pw_rights *rights, const char *ca_file,
                             pawl_error *err)
{
    const char **rules = pw_alloc(f->scope, (2 * rights->issuers_len + 1) * sizeof *rules);
    size_t len = 0;
    for (size_t i = 0; rules != NULL && i < rights->issuers_len; i++) {
        const char *url = rights->issuers[i].jwks_uri;
        f->slots[i] =
            (struct slot){.fetcher = f, .url = pw_strdup(f->scope, url != NULL ? url : "")};
        pw_buf_init(&f->slots[i].body, BODY_BYTES_MAX);
        if (url != NULL) {
            rules[len++] = rule_of(f->scope, url);
        }
        if (url != NULL && rights->issuers[i].jwks_address != NULL) {
            rules[len++] = rights->issuers[i].jwks_address;
        }
    }
    if (rules == NULL || pw_scope_failed(f->scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for keys");
    }
    rules[len] = NULL;
    f->len = rights->issuers_len;
    pawl_status st = pw_egress_new(rules, &f->egress, err);
    const pw_net_options net = {.egress = f->egress, .ca_file = ca_file};
    return st == PAWL_OK ? pw_net_start(&net, &f->net, err) : st;
}

pawl_status pw_fetcher_open(uv_loop_t *loop, const pw_rights *rights, const char *ca_file,
                            pw_fetched_fn fn, void *user, pw_fetcher **ret_fetcher, pawl_error *err)
{
    pw_fetcher *f = pw_calloc(1, sizeof *f);
    struct slot *slots = pw_calloc(rights->issuers_len + 1, sizeof *slots);
    uv_async_t *wake = pw_calloc(1, sizeof *wake);
    pawl_scope *scope = pawl_scope_new();
    if (f == NULL || slots == NULL || wake == NULL || scope == NULL) {
        pw_free(f);
        pw_free(slots);
        pw_free(wake);
        pawl_scope_free(scope);
        return pw_err(err, PAWL_NOMEM, "no memory for keys");
    }
    *f = (pw_fetcher){.wake = wake, .scope = scope, .fn = fn, .user = user, .slots = slots};
    (void)uv_async_init(loop, wake, on_wake);
    wake->data = f;
    const pawl_status st = net_begin(f, rights, ca_file, err);
    if (st != PAWL_OK) {
        pw_fetcher_close(f);
        return st;
    }
    *ret_fetcher = f;
    return PAWL_OK;
}

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

void pw_fetcher_close(pw_fetcher *f)
{
    if (f == NULL) {
        return;
    }
    pw_net_stop(f->net); /* every fetch has ended after it */
    f->wake->data = NULL;
    uv_close((uv_handle_t *)f->wake, free_handle);
    for (size_t i = 0; i < f->len; i++) {
        pw_http_free(f->slots[i].http);
        pw_buf_deinit(&f->slots[i].body);
    }
    pw_egress_free(f->egress);
    pawl_scope_free(f->scope);
    pw_free(f->slots);
    pw_free(f);
}
