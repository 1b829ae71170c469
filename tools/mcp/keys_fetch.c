/*
 * keys_fetch.c - key sets and metadata over the HTTP client of the network activities. Each issuer whose keys are fetched has a network thread of
 * its own from its first fetch on, so that none reaches what only another may.
 *
 *   loop --get--> net thread: one GET, at most 256 KiB --> done, kept in its slot --wake--> loop: fn
 *
 * Egress is the host of the jwks_uri and nothing else. Where that is found first, every public address is allowed, for keys are often at another
 * host than their issuer. A host that is written as an address, or loopback, is allowed as that. Redirects are not followed. Does not read what comes.
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
#include "tools/mcp/keys_find.h"

#define BODY_BYTES_MAX (256u << 10)

/** The fetch of one issuer. The net thread writes into it until `done`, which is the last it does; the loop reads after. */
struct slot {
    pw_fetcher *fetcher;
    pw_egress *egress; /* NULL = its keys are in a file */
    pw_net *net;       /* NULL = nothing was fetched yet */
    pw_http *http;
    pw_buf body;
    char url[PW_KEYS_URI_BYTES_MAX];
    char why[300];
    int status;
    bool ok, busy;
    atomic_bool done;
};

struct pw_fetcher {
    uv_async_t *wake; /* freed by its close callback */
    const char *ca_file;
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
    s->status = result->status;
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
        const pw_fetched got = {.text = s->ok ? (const char *)s->body.data : NULL,
                                .size = s->body.size,
                                .status = s->status,
                                .why = s->why};
        f->fn(f->user, i, &got);
        if (wake->data == NULL) {
            return; /* closed by what it told */
        }
    }
}

/* Its network thread; it is there from the first fetch on. */
static pawl_status net_of(struct slot *s, pawl_error *err)
{
    const pw_net_options net = {.egress = s->egress, .ca_file = s->fetcher->ca_file};
    return s->net != NULL ? PAWL_OK : pw_net_start(&net, &s->net, err);
}

static pawl_status start(struct slot *s, int64_t total_ms, pawl_error *err)
{
    const pw_http_header accept = {.name = "Accept",
                                   .value = "application/jwk-set+json, application/json"};
    const pw_http_request request = {.url = s->url,
                                     .headers = &accept,
                                     .headers_len = 1,
                                     .total_ms = total_ms,
                                     .body_bytes_max = BODY_BYTES_MAX};
    const pw_http_callbacks callbacks = {.user = s, .data = on_data, .end = on_end};
    const pawl_status st = net_of(s, err);
    return st == PAWL_OK ? pw_http_start(s->net, &request, &callbacks, &s->http, err) : st;
}

bool pw_fetcher_get(pw_fetcher *f, size_t index, const char *url, int64_t total_ms)
{
    struct slot *s = &f->slots[index];
    pawl_error err = {0};
    if (s->busy || s->egress == NULL || strlen(url) >= sizeof s->url) {
        return false;
    }
    (void)snprintf(s->url, sizeof s->url, "%s", url);
    pw_buf_reset(&s->body);
    atomic_store(&s->done, false);
    s->busy = true;
    if (start(s, total_ms, &err) != PAWL_OK) {
        s->ok = false;
        s->status = 0;
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

static pawl_status slot_begin(pw_fetcher *f, struct slot *s, const pw_issuer *issuer,
                              pawl_error *err)
{
    const char *rules[4] = {NULL};
    size_t len = 0;
    *s = (struct slot){.fetcher = f};
    pw_buf_init(&s->body, BODY_BYTES_MAX);
    if (issuer->jwks_file != NULL) {
        return PAWL_OK;
    }
    rules[len++] = rule_of(f->scope, issuer->jwks_uri != NULL ? issuer->jwks_uri : issuer->issuer);
    if (issuer->jwks_uri == NULL) {
        rules[len++] = "*";
    }
    if (issuer->jwks_address != NULL) {
        rules[len++] = issuer->jwks_address;
    }
    return rules[0] != NULL ? pw_egress_new(rules, &s->egress, err)
                            : pw_err(err, PAWL_NOMEM, "no memory for keys");
}

static pawl_status slots_begin(pw_fetcher *f, const pw_rights *rights, const char *ca_file,
                               pawl_error *err)
{
    pawl_status st = PAWL_OK;
    f->ca_file = ca_file != NULL ? pw_strdup(f->scope, ca_file) : NULL;
    for (size_t i = 0; st == PAWL_OK && i < rights->issuers_len; i++) {
        st = slot_begin(f, &f->slots[i], &rights->issuers[i], err);
        f->len = i + 1;
    }
    return st == PAWL_OK && pw_scope_failed(f->scope)
               ? pw_err(err, PAWL_NOMEM, "no memory for keys")
               : st;
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
    const pawl_status st = slots_begin(f, rights, ca_file, err);
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
    for (size_t i = 0; i < f->len; i++) {
        struct slot *s = &f->slots[i];
        pw_net_stop(s->net); /* its fetch has ended after it */
        pw_http_free(s->http);
        pw_buf_deinit(&s->body);
        pw_egress_free(s->egress);
    }
    f->wake->data = NULL;
    uv_close((uv_handle_t *)f->wake, free_handle);
    pawl_scope_free(f->scope);
    pw_free(f->slots);
    pw_free(f);
}
