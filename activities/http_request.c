/*
 * http_request.c - checking and copying what is asked, and taking URLs apart.
 *
 * A request that could be read in two ways is refused: line ends in headers, lengths and connection headers that the client itself must
 * say, a host that is not the URL's, a user in the URL (it would be written down with it).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "activities/http_transfer.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

/* ---- URLs ---- */

static void url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

/* A part in the request's scope; NULL when it has none. */
static const char *part(pw_http *h, CURLU *url, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, what, &text, flags) != CURLUE_OK) {
        return NULL;
    }
    const char *copy = pw_strdup(h->scope, text);
    curl_free(text);
    return copy;
}

/* The whole in ASCII, and from here on its host too: asked for a host in punycode, some curls lose a copy of it. */
static const char *ascii_url(pw_http *h, CURLU *url)
{
    const char *text = part(h, url, CURLUPART_URL, CURLU_PUNYCODE);
    return text != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK ? text : NULL;
}

static pawl_status bad_url(const pw_http *h, const char *why, pawl_error *err)
{
    return h->request.url_secret ? pw_err(err, PAWL_INVALID, "the URL %s", why)
                                 : pw_err(err, PAWL_INVALID, "the URL %s: %.120s", why,
                                          h->request.url != NULL ? h->request.url : "");
}

/* Without brackets and zone: "[fe80::1%25eth0]" is fe80::1. */
static const char *plain_host(pw_http *h, const char *host)
{
    if (host == NULL || host[0] != '[') {
        return host;
    }
    return pw_strndup(h->scope, host + 1, strcspn(host + 1, "]%"));
}

pawl_status pw_http_place_of(pw_http *h, const char *base, const char *url,
                             pw_http_place *ret_place, pawl_error *err)
{
    PW_CLEANUP(url_free) CURLU *u = curl_url();
    if (u == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a URL");
    }
    if (base != NULL && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK) {
        return bad_url(h, "is malformed", err);
    }
    const CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER);
    if (rc != CURLUE_OK) {
        return bad_url(h,
                       rc == CURLUE_USER_NOT_ALLOWED ? "holds a user: use auth, or a header"
                                                     : curl_url_strerror(rc),
                       err);
    }
    (void)curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    const char *scheme = part(h, u, CURLUPART_SCHEME, 0);
    const char *port = part(h, u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    pw_http_place p = {.url = ascii_url(h, u)};
    p.host = plain_host(h, part(h, u, CURLUPART_HOST, 0));
    if (pw_scope_failed(h->scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a URL");
    }
    if (scheme == NULL || p.url == NULL || p.host == NULL || p.host[0] == '\0' || port == NULL) {
        return bad_url(h, "has no scheme or host", err);
    }
    p.tls = strcmp(scheme, "https") == 0;
    p.port = (int)strtol(port, NULL, 10);
    if (!p.tls && strcmp(scheme, "http") != 0) {
        return bad_url(h, "is neither http nor https", err);
    }
    *ret_place = p;
    return PAWL_OK;
}

pawl_status pw_http_host(const char *url, char ret_host[256], pawl_error *err)
{
    PW_CLEANUP(url_free) CURLU *u = curl_url();
    char *host = NULL;
    char *whole = NULL;
    const bool ok = u != NULL &&
                    curl_url_set(u, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_URL, &whole, CURLU_PUNYCODE) == CURLUE_OK &&
                    curl_url_set(u, CURLUPART_URL, whole, 0) == CURLUE_OK &&
                    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    curl_free(whole);
    if (!ok) {
        return pw_err(err, PAWL_INVALID, "the URL is malformed, or holds a user");
    }
    const size_t size = host[0] == '[' ? strcspn(host + 1, "]%") : strlen(host);
    const bool fits = size > 0 && size < 256;
    for (size_t i = 0; fits && i < size; i++) {
        ret_host[i] = (char)tolower((unsigned char)host[i + (host[0] == '[')]);
    }
    ret_host[fits ? size : 0] = '\0';
    curl_free(host);
    return fits ? PAWL_OK : pw_err(err, PAWL_INVALID, "the URL has no usable host");
}

/* ---- egress ---- */

const char *pw_http_proxy(const pw_http *h)
{
    const char *proxy =
        h->request.proxy != NULL ? h->request.proxy : pw_net_settings(h->net)->proxy;
    return proxy != NULL ? proxy : "";
}

bool pw_http_allowed(pw_http *h, const pw_http_place *place, pw_egress_why *ret_why)
{
    const bool tunneled = pw_http_proxy(h)[0] != '\0';
    return pw_egress_name(pw_net_settings(h->net)->egress, place->host, place->port, tunneled,
                          ret_why);
}

/* ---- headers and method ---- */

static bool is_token(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("!#$%&'*+-.^_`|~", *p) == NULL) {
            return false;
        }
    }
    return text[0] != '\0';
}

/* RFC 9110 5.5: visible bytes, spaces and tabs; bytes above 127 are opaque. */
static bool is_field_value(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {
        "connection", "content-length",      "expect",           "host",
        "keep-alive", "proxy-authorization", "proxy-connection", "te",
        "trailer",    "transfer-encoding",   "upgrade"};
    for (size_t i = 0; i < PW_COUNT(ours); i++) {
        if (strcasecmp(name, ours[i]) == 0) {
            return true;
        }
    }
    return false;
}

static pawl_status check_header(const pw_http_header *x, pawl_error *err)
{
    if (x->name == NULL || !is_token(x->name)) {
        return pw_err(err, PAWL_INVALID, "\"%.60s\" is no header name",
                      x->name != NULL ? x->name : "");
    }
    if (is_ours(x->name)) {
        return pw_err(err, PAWL_INVALID, "the header %s is the client's own", x->name);
    }
    if (x->value == NULL || !is_field_value(x->value)) {
        return pw_err(err, PAWL_INVALID,
                      "the value of the header %s holds a line end or another control character",
                      x->name);
    }
    return PAWL_OK;
}

static pawl_status take_headers(pw_http *h, const pw_http_request *r, pawl_error *err)
{
    size_t bytes = 0;
    h->headers = pawl_scope_alloc(h->scope, (r->headers_len + 1) * sizeof *h->headers);
    for (size_t i = 0; h->headers != NULL && i < r->headers_len; i++) {
        const pawl_status status = check_header(&r->headers[i], err);
        if (status != PAWL_OK) {
            return status;
        }
        bytes += strlen(r->headers[i].name) + strlen(r->headers[i].value) + 4;
        h->headers[i] =
            (pw_http_header){pw_strdup(h->scope, r->headers[i].name),
                             pw_strdup(h->scope, r->headers[i].value), r->headers[i].secret};
    }
    h->headers_len = r->headers_len;
    return bytes <= PW_HTTP_REQUEST_HEAD_BYTES_MAX
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID, "the headers have %zu bytes; at most %d", bytes,
                        PW_HTTP_REQUEST_HEAD_BYTES_MAX);
}

/* ---- the whole ---- */

static const char *copy(pw_http *h, const char *text)
{
    return text != NULL ? pw_strdup(h->scope, text) : NULL;
}

static int64_t time_of(int64_t wanted_ms, int64_t default_ms)
{
    const int64_t ms = wanted_ms == 0 ? default_ms : wanted_ms;
    return ms < 0 || ms > PW_HTTP_TIMEOUT_MS_MAX ? PW_HTTP_TIMEOUT_MS_MAX : ms;
}

static void take_rest(pw_http *h, const pw_http_request *r)
{
    pw_http_request *q = &h->request;
    q->method = copy(h, r->method != NULL ? r->method : "GET");
    q->proxy = copy(h, r->proxy);
    q->ca_file = copy(h, r->ca_file);
    q->cert_file = copy(h, r->cert_file);
    q->key_file = copy(h, r->key_file);
    q->body = r->body != NULL ? pw_memdup(h->scope, r->body, r->body_size) : NULL;
    q->connect_ms = time_of(r->connect_ms, PW_HTTP_CONNECT_MS);
    q->first_byte_ms = time_of(r->first_byte_ms, PW_HTTP_FIRST_BYTE_MS);
    q->idle_ms = time_of(r->idle_ms, PW_HTTP_IDLE_MS);
    q->total_ms = time_of(r->total_ms, PW_HTTP_TOTAL_MS);
    q->body_bytes_max = r->body_bytes_max == 0 ? PW_HTTP_BODY_BYTES_DEFAULT : r->body_bytes_max;
}

/* Its host, for the egress rules; a proxy may have a user. */
static pawl_status take_proxy(pw_http *h, pawl_error *err)
{
    const char *proxy = h->request.proxy;
    if (proxy == NULL || proxy[0] == '\0') {
        return PAWL_OK;
    }
    PW_CLEANUP(url_free) CURLU *u = curl_url();
    if (u == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a URL");
    }
    const char *scheme = curl_url_set(u, CURLUPART_URL, proxy, 0) == CURLUE_OK
                             ? part(h, u, CURLUPART_SCHEME, 0)
                             : NULL;
    h->proxy_host = ascii_url(h, u) != NULL ? plain_host(h, part(h, u, CURLUPART_HOST, 0)) : NULL;
    const bool ok = scheme != NULL && h->proxy_host != NULL &&
                    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    return ok ? PAWL_OK
              : pw_err(err, PAWL_INVALID,
                       "a proxy is written http://host:port or https://host:port");
}

static pawl_status check_rest(const pw_http_request *r, pawl_error *err)
{
    if (r->url == NULL || strlen(r->url) > PW_HTTP_URL_BYTES_MAX) {
        return pw_err(err, PAWL_INVALID,
                      r->url == NULL ? "the URL is missing" : "the URL is longer than allowed");
    }
    if (r->method != NULL && (!is_token(r->method) || strcasecmp(r->method, "CONNECT") == 0)) {
        return pw_err(err, PAWL_INVALID, "\"%.40s\" is no method", r->method);
    }
    if (r->method != NULL && strcmp(r->method, "HEAD") == 0 && r->body != NULL) {
        return pw_err(err, PAWL_INVALID, "HEAD has no body");
    }
    if (r->redirects_max < 0 || r->redirects_max > PW_HTTP_REDIRECTS_MAX) {
        return pw_err(err, PAWL_INVALID, "%d redirects; at most %d", r->redirects_max,
                      PW_HTTP_REDIRECTS_MAX);
    }
    return PAWL_OK;
}

pawl_status pw_http_take_request(pw_http *h, const pw_http_request *request, pawl_error *err)
{
    h->request = *request;
    pawl_status status = check_rest(request, err);
    if (status == PAWL_OK) {
        status = take_headers(h, request, err);
    }
    if (status != PAWL_OK) {
        return status;
    }
    take_rest(h, request);
    h->request.url = copy(h, request->url);
    if (pw_scope_failed(h->scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    status = take_proxy(h, err);
    if (status != PAWL_OK) {
        return status;
    }
    status = pw_http_place_of(h, NULL, h->request.url, &h->place, err);
    pw_egress_why why;
    if (status == PAWL_OK && !pw_http_allowed(h, &h->place, &why)) {
        return pw_err(err, PAWL_DENIED, "%s", why.text);
    }
    h->method = h->request.method;
    h->with_body = h->request.body != NULL;
    return status;
}
