/*
 * http_hop.c - one hop of a request: how curl is told, what its codes mean, and where a redirect goes.
 *
 * The egress rules have their last word here, in `socket_open`: at the moment of the connection, for the address it goes to, whatever a
 * name, a redirect or a proxy made of it [N1]. Does not decide when a request ends: http_client.c does.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "activities/http_transfer.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

enum { REDIRECT_BODY_BYTES_MAX = 65536 }; /* of a page that leads on: more is not waited for */

/* ---- what curl calls ---- */

static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    pw_http *h = user;
    const pw_egress *egress = pw_net_settings(h->net)->egress;
    const bool trusted = h->proxy_host == NULL && pw_http_proxy(h)[0] != '\0';
    const char *host = h->proxy_host != NULL ? h->proxy_host : h->place.host;
    if (!trusted && !pw_egress_address(egress, host, &address->addr, &h->why)) {
        return CURL_SOCKET_BAD;
    }
    h->sockets++;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void touched(pw_http *h)
{
    h->touched_ms = pw_net_now_ms(h->net);
    if (h->callbacks.progress != NULL) {
        h->callbacks.progress(h->callbacks.user);
    }
}

static size_t head_came(char *line, size_t one, size_t size, void *user)
{
    (void)one;
    pw_http *h = user;
    if (h->first_byte_ms == 0) {
        h->first_byte_ms = pw_net_now_ms(h->net);
    }
    const bool first = h->head_seen_bytes == 0;
    touched(h);
    const bool more = pw_http_head_line(h, line, size);
    if (first) {
        pw_http_watch(h); /* from here on another clock counts */
    }
    return more ? size : 0;
}

static bool body_stop(pw_http *h, pw_http_error error)
{
    h->cut_short = true;
    h->error = error;
    return false;
}

static bool body_part(pw_http *h, const char *data, size_t size)
{
    h->body_bytes += (int64_t)size;
    if (h->location != NULL) {
        return h->body_bytes <= REDIRECT_BODY_BYTES_MAX;
    }
    if ((uint64_t)h->body_bytes > h->request.body_bytes_max) {
        return body_stop(h, PW_HTTP_TOO_LARGE);
    }
    return h->callbacks.data == NULL || h->callbacks.data(h->callbacks.user, data, size) ||
           body_stop(h, PW_HTTP_TOO_LARGE);
}

static size_t body_came(char *data, size_t one, size_t size, void *user)
{
    (void)one;
    pw_http *h = user;
    touched(h);
    return size == 0 || body_part(h, data, size) ? size : 0;
}

static int moved(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                 curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    pw_http *h = user;
    if (up != h->uploaded) {
        h->uploaded = up;
        touched(h);
    }
    return 0;
}

/* ---- how curl is told ---- */

static bool line_add(pw_http *h, const char *name, const char *value)
{
    pw_buf line = PW_BUF_INIT;
    pw_buf_puts(&line, name);
    pw_buf_puts(&line, value[0] != '\0' ? ": " : ";"); /* curl's way to say an empty one */
    pw_buf_puts(&line, value);
    struct curl_slist *longer =
        pw_buf_ok(&line) ? curl_slist_append(h->lines, pw_buf_cstr(&line)) : NULL;
    pw_buf_deinit(&line);
    h->lines = longer != NULL ? longer : h->lines;
    return longer != NULL;
}

static bool has_header(const pw_http *h, const char *name)
{
    for (size_t i = 0; i < h->headers_len; i++) {
        if (strcasecmp(h->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What curl would add by itself is switched off by a name with a colon and nothing after. */
static bool silence(pw_http *h, const char *line)
{
    struct curl_slist *longer = curl_slist_append(h->lines, line);
    h->lines = longer != NULL ? longer : h->lines;
    return longer != NULL;
}

static bool lines_make(pw_http *h)
{
    curl_slist_free_all(h->lines);
    h->lines = NULL;
    bool ok = silence(h, "Expect:");
    if (h->with_body && !has_header(h, "content-type")) {
        ok = ok && silence(h, "Content-Type:");
    }
    for (size_t i = 0; ok && i < h->headers_len; i++) {
        ok = line_add(h, h->headers[i].name, h->headers[i].value);
    }
    return ok;
}

static void configure_callbacks(pw_http *h)
{
    CURL *c = h->easy;
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, &h->transfer);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->curl_error);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, head_came);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, body_came);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, moved);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, h);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

static CURLcode configure_request(pw_http *h)
{
    CURL *c = h->easy;
    CURLcode rc = curl_easy_setopt(c, CURLOPT_URL, h->place.url);
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->lines);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "pawl");
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    if (h->with_body) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)h->request.body_size);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, h->request.body);
    }
    if (strcmp(h->method, "HEAD") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (rc == CURLE_OK) {
        rc = curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, h->method);
    }
    if (rc == CURLE_OK && !h->request.no_compression && !has_header(h, "accept-encoding")) {
        rc = curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    }
    return rc;
}

static CURLcode configure_tls(pw_http *h)
{
    CURL *c = h->easy;
    CURLcode rc = CURLE_OK;
    const char *ca =
        h->request.ca_file != NULL ? h->request.ca_file : pw_net_settings(h->net)->ca_file;
    (void)curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca != NULL) {
        rc = curl_easy_setopt(c, CURLOPT_CAINFO, ca);
        (void)curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    }
    if (rc == CURLE_OK && h->request.cert_file != NULL) {
        rc = curl_easy_setopt(c, CURLOPT_SSLCERT, h->request.cert_file);
    }
    if (rc == CURLE_OK && h->request.key_file != NULL) {
        rc = curl_easy_setopt(c, CURLOPT_SSLKEY, h->request.key_file);
    }
    return rc;
}

static CURLcode configure_way(pw_http *h)
{
    static const long versions[] = {
        [PW_HTTP_NEGOTIATED] = CURL_HTTP_VERSION_2TLS,
        [PW_HTTP_1_1] = CURL_HTTP_VERSION_1_1,
        [PW_HTTP_2_ONLY] = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
    };
    CURL *c = h->easy;
    const int64_t left_ms = h->request.total_ms - (pw_net_now_ms(h->net) - h->started_ms);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT,
                           1L); /* ending does not wait for a name that is being looked up */
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, versions[h->request.version]);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)h->request.connect_ms);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    (void)curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, h->request.no_resend ? 1L : 0L);
    (void)curl_easy_setopt(c, CURLOPT_NOPROXY, ""); /* else the environment's */
    return curl_easy_setopt(c, CURLOPT_PROXY, pw_http_proxy(h));
}

bool pw_http_hop_configure(pw_http *h)
{
    h->easy = h->easy != NULL ? h->easy : curl_easy_init();
    if (h->easy == NULL || !lines_make(h)) {
        return false;
    }
    curl_easy_reset(h->easy);
    configure_callbacks(h);
    return configure_request(h) == CURLE_OK && configure_tls(h) == CURLE_OK &&
           configure_way(h) == CURLE_OK;
}

/* ---- what its codes mean ---- */

static pw_http_error timeout_error(const pw_http *h)
{
    curl_off_t connected = 0;
    const bool over = pw_net_now_ms(h->net) - h->started_ms >= h->request.total_ms;
    (void)curl_easy_getinfo(h->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    return over || connected > 0 ? PW_HTTP_TOTAL_TIMEOUT : PW_HTTP_CONNECT_TIMEOUT;
}

static bool was_sent(const pw_http *h)
{
    curl_off_t began = 0;
    (void)curl_easy_getinfo(h->easy, CURLINFO_PRETRANSFER_TIME_T, &began);
    return began > 0;
}

pw_http_error pw_http_hop_error(const pw_http *h, CURLcode code)
{
    static const struct {
        CURLcode code;
        pw_http_error error;
    } table[] = {
        {CURLE_OK, PW_HTTP_DONE},
        {CURLE_COULDNT_RESOLVE_HOST, PW_HTTP_RESOLVE},
        {CURLE_COULDNT_RESOLVE_PROXY, PW_HTTP_PROXY},
        {CURLE_PROXY, PW_HTTP_PROXY},
        {CURLE_COULDNT_CONNECT, PW_HTTP_CONNECT},
        {CURLE_SSL_CONNECT_ERROR, PW_HTTP_HANDSHAKE},
        {CURLE_PEER_FAILED_VERIFICATION, PW_HTTP_TLS},
        {CURLE_SSL_CERTPROBLEM, PW_HTTP_TLS},
        {CURLE_SSL_CIPHER, PW_HTTP_TLS},
        {CURLE_SSL_CACERT_BADFILE, PW_HTTP_TLS},
        {CURLE_SSL_ISSUER_ERROR, PW_HTTP_TLS},
        {CURLE_SSL_ENGINE_NOTFOUND, PW_HTTP_TLS},
        {CURLE_WEIRD_SERVER_REPLY, PW_HTTP_BAD_RESPONSE},
        {CURLE_UNSUPPORTED_PROTOCOL, PW_HTTP_BAD_RESPONSE}, /* HTTP/0.9 */
        {CURLE_HTTP_RETURNED_ERROR, PW_HTTP_BAD_RESPONSE},
        {CURLE_BAD_CONTENT_ENCODING, PW_HTTP_BAD_ENCODING},
        {CURLE_WRITE_ERROR,
         PW_HTTP_BAD_ENCODING}, /* ours are cut_short: what is left is a decoder's */
        {CURLE_OUT_OF_MEMORY, PW_HTTP_NO_MEMORY},
    };
    if (h->cut_short) {
        return h->error;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return timeout_error(h);
    }
    if (h->sockets == 0 && h->why.text[0] != '\0') {
        return PW_HTTP_DENIED;
    }
    if (code == CURLE_OK && !h->head_done) {
        return PW_HTTP_CUT;
    }
    if (code == CURLE_OUT_OF_MEMORY && !h->head_done && was_sent(h)) {
        return PW_HTTP_HEAD_TOO_LARGE; /* so curl says that a line has filled its buffer (100 KiB) */
    }
    for (size_t i = 0; i < PW_COUNT(table); i++) {
        if (table[i].code == code) {
            return table[i].error;
        }
    }
    return PW_HTTP_CUT;
}

/* ---- redirects ---- */

static bool same_origin(const pw_http_place *a, const pw_http_place *b)
{
    return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static void drop_headers(pw_http *h, bool of_origin, bool of_body)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->headers_len; i++) {
        const char *name = h->headers[i].name;
        const bool private_one = h->headers[i].secret || strcasecmp(name, "authorization") == 0 ||
                                 strcasecmp(name, "cookie") == 0;
        if ((of_origin && private_one) || (of_body && strncasecmp(name, "content-", 8) == 0)) {
            continue;
        }
        h->headers[kept++] = h->headers[i];
    }
    h->headers_len = kept;
}

static pw_http_error refuse(pw_http *h, pw_http_error error, const char *why)
{
    (void)snprintf(h->why.text, sizeof h->why.text, "%s", why);
    return error;
}

pw_http_error pw_http_hop_follow(pw_http *h)
{
    pw_http_place next = {0};
    pawl_error err = {0};
    if (h->redirects >= h->request.redirects_max) {
        return PW_HTTP_TOO_MANY_REDIRECTS;
    }
    if (strlen(h->location) > PW_HTTP_URL_BYTES_MAX) {
        return refuse(h, PW_HTTP_BAD_REDIRECT, "its address is longer than allowed");
    }
    if (pw_http_place_of(h, h->place.url, h->location, &next, &err) != PAWL_OK) {
        return refuse(h, PW_HTTP_BAD_REDIRECT,
                      "its address is malformed, holds a user, or is neither http nor https");
    }
    if (h->place.tls && !next.tls) {
        return refuse(h, PW_HTTP_BAD_REDIRECT, "it leads from https to plain http");
    }
    if (!pw_http_allowed(h, &next, &h->why)) {
        return PW_HTTP_DENIED;
    }
    const bool elsewhere = !same_origin(&h->place, &next);
    const bool to_get = (h->status == 303 && strcmp(h->method, "HEAD") != 0) ||
                        ((h->status == 301 || h->status == 302) && strcmp(h->method, "POST") == 0);
    if (elsewhere && h->request.body_secret && h->with_body && !to_get) {
        return refuse(h, PW_HTTP_BAD_REDIRECT,
                      "a body that holds a secret would go to another origin");
    }
    drop_headers(h, elsewhere, to_get);
    h->method = to_get ? "GET" : h->method;
    h->with_body = h->with_body && !to_get;
    h->place = next;
    h->redirects++;
    return PW_HTTP_DONE;
}
