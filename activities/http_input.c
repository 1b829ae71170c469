/*
 * http_input.c - an HTTP request out of the input of the activity "http".
 *
 *   input --the URL first: its host decides which secrets may be used--> place
 *         --every reference replaced--> expanded, in memory that is overwritten --> url, headers, body
 *
 * What is wrong is named by its key, never by its value: that may hold a secret. Does not send anything.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "activities/http_activity.h"
#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

enum { NUMBER_BYTES = 40 };

/* What is read: the input as it was written, to see where secrets are, and with them in place. Both have the same keys in the same order. */
typedef struct reading {
    pw_http_input *in;
    pawl_task *task;
    const pawl_value *given;
    const pawl_value *full;
    pawl_error *err;
} reading;

static pawl_status bad(const reading *r, const char *key, const char *why)
{
    return pw_err(r->err, PAWL_INVALID, "%s %s", key, why);
}

/* ---- scalars as text ---- */

/* Text of a scalar; false when it is none. A string with a NUL is cut nowhere: it is none. */
static bool scalar(const pawl_value *v, char room[NUMBER_BYTES], const char **ret, size_t *ret_size)
{
    size_t size = 0;
    const void *data = pawl_data(v, "", &size);
    switch (pawl_typeof(v)) {
    case PAWL_STRING:
        *ret = pawl_str(v, "", "");
        *ret_size = size;
        return memchr(data, '\0', size) == NULL;
    case PAWL_BIGINT:
        *ret = pawl_str(v, "", "");
        *ret_size = strlen(*ret);
        return true;
    case PAWL_BOOL:
        *ret = pawl_bool(v, "", false) ? "true" : "false";
        break;
    case PAWL_INT:
        (void)snprintf(room, NUMBER_BYTES, "%lld", (long long)pawl_int(v, "", 0));
        *ret = room;
        break;
    case PAWL_DOUBLE:
        (void)snprintf(room, NUMBER_BYTES, "%.17g", pawl_num(v, "", 0));
        *ret = room;
        break;
    case PAWL_NIL:
    case PAWL_BYTES:
    case PAWL_ARRAY:
    case PAWL_MAP:
        return false;
    }
    *ret_size = strlen(*ret);
    return true;
}

/* The i-th of a list, or a scalar as a list of one. */
static size_t list_len(const pawl_value *v)
{
    return pawl_typeof(v) == PAWL_ARRAY ? pawl_len(v) : v != NULL;
}

static const pawl_value *list_at(const pawl_value *v, size_t i)
{
    return pawl_typeof(v) == PAWL_ARRAY ? pawl_at(v, i) : v;
}

/* name=value&... percent-encoded. */
static pawl_status pairs_put(const reading *r, pw_buf *out, const char *key, const pawl_value *map)
{
    char room[NUMBER_BYTES];
    const char *text = "";
    size_t size = 0;
    if (map != NULL && pawl_typeof(map) != PAWL_MAP) {
        return bad(r, key, "must be a map");
    }
    bool first = out->size == 0 || out->data[out->size - 1] == '?';
    for (size_t i = 0; i < pawl_len(map); i++) {
        const pawl_value *v = pawl_at(map, i);
        for (size_t j = 0; j < list_len(v); j++) {
            if (!scalar(list_at(v, j), room, &text, &size)) {
                return bad(r, key, "must map names to texts, numbers, bools or lists of them");
            }
            pw_buf_puts(out, first ? "" : "&");
            pw_percent_put(out, pawl_key_at(map, i), strlen(pawl_key_at(map, i)));
            pw_buf_putc(out, '=');
            pw_percent_put(out, text, size);
            first = false;
        }
    }
    return PAWL_OK;
}

/* ---- URL ---- */

static pawl_status read_url(reading *r)
{
    pw_http_input *in = r->in;
    const char *url = pawl_str(r->full, "url", NULL);
    const pawl_value *query = pawl_get(r->full, "query");
    if (url == NULL) {
        return bad(r, "url", "is missing, or no text");
    }
    const size_t plain = strcspn(url, "#");
    pw_buf_put(&in->url, url, plain);
    if (pawl_len(query) > 0) {
        const char *mark = memchr(url, '?', plain);
        pw_buf_puts(&in->url, mark == NULL ? "?" : mark[1] == '\0' ? "" : "&");
        if (mark != NULL && in->url.size > 0 && in->url.data[in->url.size - 1] == '&') {
            in->url.size--; /* pairs_put writes it */
        }
    }
    const pawl_status status = pairs_put(r, &in->url, "query", query);
    in->request.url = pw_buf_cstr(&in->url);
    in->request.url_secret =
        pw_secret_any(pawl_get(r->given, "url")) || pw_secret_any(pawl_get(r->given, "query"));
    return status;
}

/* ---- headers ---- */

static bool has_header(const pw_http_input *in, const char *name)
{
    for (size_t i = 0; i < in->headers_len; i++) {
        if (strcasecmp(in->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_header(pw_http_input *in, const char *name, const char *value, bool secret)
{
    if (in->headers != NULL) {
        in->headers[in->headers_len++] = (pw_http_header){name, value, secret};
    }
}

static size_t headers_count(const pawl_value *map)
{
    size_t n = 5; /* content-type, authorization, idempotency, accept */
    for (size_t i = 0; i < pawl_len(map); i++) {
        n += list_len(pawl_at(map, i));
    }
    return n;
}

static pawl_status read_headers(reading *r)
{
    pw_http_input *in = r->in;
    const pawl_value *map = pawl_get(r->full, "headers");
    const pawl_value *given = pawl_get(r->given, "headers");
    if (map != NULL && pawl_typeof(map) != PAWL_MAP) {
        return bad(r, "headers", "must be a map");
    }
    in->headers = pawl_scope_alloc(in->scope, headers_count(map) * sizeof *in->headers);
    for (size_t i = 0; i < pawl_len(map); i++) {
        const pawl_value *v = pawl_at(map, i);
        const bool secret = pw_secret_any(pawl_at(given, i));
        for (size_t j = 0; j < list_len(v); j++) {
            char room[NUMBER_BYTES];
            const char *text = "";
            size_t size = 0;
            if (!scalar(list_at(v, j), room, &text, &size)) {
                return bad(r, "headers", "must map names to texts without NUL, or lists of them");
            }
            add_header(in, pawl_key_at(map, i), text == room ? pw_strdup(in->scope, text) : text,
                       secret);
        }
    }
    return PAWL_OK;
}

static pawl_status read_auth(reading *r, pw_secrets *secrets)
{
    pw_http_input *in = r->in;
    const pawl_value *auth = pawl_get(r->full, "auth");
    const char *bearer = pawl_str(auth, "bearer", NULL);
    const char *user = pawl_str(auth, "basic.user", NULL);
    const char *password = pawl_str(auth, "basic.password", NULL);
    if (auth == NULL) {
        return PAWL_OK;
    }
    if (bearer != NULL) {
        pw_buf_printf(&in->auth, "Bearer %s", bearer);
    } else if (user != NULL && password != NULL && strchr(user, ':') == NULL) {
        pw_buf pair = PW_BUF_INIT;
        pw_buf_printf(&pair, "%s:%s", user, password);
        pw_buf_puts(&in->auth, "Basic ");
        pw_base64_put(&in->auth, pair.data, pair.size);
        if (pair.data != NULL) {
            explicit_bzero(pair.data, pair.capacity);
        }
        pw_buf_deinit(&pair);
    } else {
        return bad(r, "auth", "must be {bearer: text} or {basic: {user: text, password: text}}");
    }
    const char *value = pw_buf_cstr(&in->auth);
    add_header(in, "Authorization", value, true);
    if (pw_secret_any(pawl_get(r->given, "auth")) && bearer == NULL &&
        !pw_secret_hide(secrets, value + strlen("Basic "))) {
        return pw_err(r->err, PAWL_NOMEM, "no memory for a secret");
    }
    return PAWL_OK;
}

/* ---- body ---- */

static pawl_status read_json(reading *r)
{
    const pw_view bytes = pw_value_bytes(pawl_get(r->full, "json"));
    return pw_json_print(&r->in->body, bytes.data, bytes.size, 0, r->err);
}

static pawl_status read_raw(reading *r, const char *key)
{
    size_t size = 0;
    const void *data = pawl_data(r->full, key, &size);
    if (data == NULL) {
        return bad(r, key, "must be text or bytes");
    }
    pw_buf_put(&r->in->body, data, size);
    return PAWL_OK;
}

static bool has_key(const pawl_value *map, const char *key)
{
    for (size_t i = 0; i < pawl_len(map); i++) {
        if (strcmp(pawl_key_at(map, i), key) == 0) {
            return true;
        }
    }
    return false;
}

static pawl_status read_body(reading *r)
{
    static const struct {
        const char *key;
        const char *type;
    } kinds[] = {{"json", "application/json"},
                 {"text", "text/plain; charset=utf-8"},
                 {"bytes", "application/octet-stream"},
                 {"form", "application/x-www-form-urlencoded"}};
    pw_http_input *in = r->in;
    const char *found = NULL;
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        const char *key = kinds[i].key;
        if (!has_key(r->full, key)) {
            continue;
        }
        if (found != NULL) {
            return pw_err(r->err, PAWL_INVALID, "there is more than one body: %s and %s", found,
                          key);
        }
        found = key;
        const pawl_status status = i == 0   ? read_json(r)
                                   : i == 3 ? pairs_put(r, &in->body, key, pawl_get(r->full, key))
                                            : read_raw(r, key);
        if (status != PAWL_OK) {
            return status;
        }
        if (!has_header(in, "content-type")) {
            add_header(in, "Content-Type", kinds[i].type, false);
        }
    }
    if (found != NULL) {
        in->request.body = pw_buf_cstr(&in->body);
        in->request.body_size = in->body.size;
        in->request.body_secret = pw_secret_any(pawl_get(r->given, found));
    }
    return PAWL_OK;
}

/* ---- the rest ---- */

static pawl_status read_method(reading *r)
{
    pw_http_request *q = &r->in->request;
    q->method = pawl_str(r->full, "method", q->body != NULL ? "POST" : "GET");
    const bool reads = strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0 ||
                       strcmp(q->method, "OPTIONS") == 0;
    const char *header = pawl_str(r->full, "idempotency_header", "Idempotency-Key");
    if (!reads && header[0] != '\0' && !has_header(r->in, header)) {
        add_header(r->in, header, pawl_task_key(r->task), false);
    }
    q->no_resend = pawl_task_effect(r->task) == PAWL_EFFECT_UNSAFE;
    return PAWL_OK;
}

static pawl_status read_time(const reading *r, const char *key, int64_t *ret_ms)
{
    const pawl_value *v = pawl_get(r->full, key);
    const double seconds = pawl_num(v, "", -1);
    if (v == NULL) {
        return PAWL_OK;
    }
    if (!(seconds > 0) || seconds * 1000 > PW_HTTP_TIMEOUT_MS_MAX) {
        return bad(r, key, "must be seconds, above 0 and at most a day");
    }
    *ret_ms = seconds * 1000 < 1 ? 1 : (int64_t)(seconds * 1000);
    return PAWL_OK;
}

static pawl_status read_times(reading *r)
{
    pw_http_request *q = &r->in->request;
    struct timespec now;
    pawl_status status = read_time(r, "timeout_s", &q->total_ms);
    status = status == PAWL_OK ? read_time(r, "connect_timeout_s", &q->connect_ms) : status;
    status = status == PAWL_OK ? read_time(r, "first_byte_timeout_s", &q->first_byte_ms) : status;
    status = status == PAWL_OK ? read_time(r, "idle_timeout_s", &q->idle_ms) : status;
    const int64_t deadline = pawl_task_deadline_ms(r->task);
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t left = deadline - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    if (deadline > 0 && left > 0 && (q->total_ms == 0 ? left > PW_HTTP_TOTAL_MS : false)) {
        q->total_ms = left; /* the call said how long it may take */
    }
    return status;
}

static pawl_status read_reading(const reading *r)
{
    static const char *const ways[] = {"auto", "json", "text", "bytes", "events"};
    const char *as = pawl_str(r->full, "as", "auto");
    const pawl_value *rules = pawl_get(r->full, "retry_headers");
    const char *why = pw_http_events_check(r->full);
    size_t at = 0;
    while (at < PW_COUNT(ways) && strcmp(ways[at], as) != 0) {
        at++;
    }
    if (at == PW_COUNT(ways)) {
        return bad(r, "as", "must be \"auto\", \"json\", \"text\", \"bytes\" or \"events\"");
    }
    if (why != NULL) {
        return pw_err(r->err, PAWL_INVALID, "%s", why);
    }
    if (rules != NULL && pawl_typeof(rules) != PAWL_MAP) {
        return bad(r, "retry_headers", "must be a map from names to texts or true");
    }
    if (strcmp(as, "events") == 0 && !has_header(r->in, "accept")) {
        add_header(r->in, "Accept", "text/event-stream", false);
    }
    return PAWL_OK;
}

static pawl_status read_limits(reading *r)
{
    pw_http_request *q = &r->in->request;
    const int64_t bytes = pawl_int(r->full, "max_bytes", PW_HTTP_BODY_BYTES_DEFAULT);
    const int64_t redirects = pawl_int(r->full, "redirects", PW_HTTP_REDIRECTS_DEFAULT);
    if (bytes < 1 || bytes > PW_HTTP_BODY_BYTES_MAX) {
        return bad(r, "max_bytes", "must be from 1 to 67108864");
    }
    if (redirects < 0 || redirects > PW_HTTP_REDIRECTS_MAX) {
        return bad(r, "redirects", "must be from 0 to 20");
    }
    q->body_bytes_max = (size_t)bytes;
    q->redirects_max = (int)redirects;
    return read_times(r);
}

static pawl_status read_way(reading *r)
{
    pw_http_request *q = &r->in->request;
    const char *version = pawl_str(r->full, "version", "");
    q->version = strcmp(version, "1.1") == 0 ? PW_HTTP_1_1
                 : strcmp(version, "2") == 0 ? PW_HTTP_2_ONLY
                                             : PW_HTTP_NEGOTIATED;
    if (version[0] != '\0' && q->version == PW_HTTP_NEGOTIATED) {
        return bad(r, "version", "must be \"1.1\" or \"2\"");
    }
    q->proxy = pawl_str(r->full, "proxy", NULL);
    q->ca_file = pawl_str(r->full, "tls.ca", NULL);
    q->cert_file = pawl_str(r->full, "tls.cert", NULL);
    q->key_file = pawl_str(r->full, "tls.key", NULL);
    q->no_compression = !pawl_bool(r->full, "compression", true);
    return PAWL_OK;
}

static pawl_status check_keys(const reading *r)
{
    static const char *const known[] = {
#define X(name) #name,
#include "activities/http_options.def"
#undef X
    };
    if (pawl_typeof(r->given) != PAWL_MAP) {
        return pw_err(r->err, PAWL_INVALID, "the input must be a map with a url");
    }
    for (size_t i = 0; i < pawl_len(r->given); i++) {
        const char *key = pawl_key_at(r->given, i);
        size_t at = 0;
        while (at < PW_COUNT(known) && strcmp(known[at], key) != 0) {
            at++;
        }
        if (at == PW_COUNT(known)) {
            return pw_err(r->err, PAWL_INVALID, "\"%.60s\" is no option of http", key);
        }
    }
    return PAWL_OK;
}

/* ---- secrets ---- */

/* Its host, to bind secrets to; a URL that is a secret is read first, and its own rule looked at once its host is known. */
static pawl_status host_of(reading *r, pw_secrets *secrets, char ret[256])
{
    const char *url = pawl_str(r->given, "url", NULL);
    const char *ref = pw_secret_ref(pawl_get(r->given, "url"));
    pw_buf text = PW_BUF_INIT;
    pawl_status status = PAWL_OK;
    const pawl_value *full = NULL;
    if (ref != NULL) {
        status = pw_secret_expand(secrets, r->task, pawl_get(r->given, "url"), NULL, &text, r->err);
        full = status == PAWL_OK ? pw_value_view(r->in->scope, text.data, text.size) : NULL;
        url = pawl_str(full, "", NULL);
    }
    if (status == PAWL_OK) {
        status =
            url != NULL ? pw_http_host(url, ret, r->err) : bad(r, "url", "is missing, or no text");
    }
    if (text.data != NULL) {
        explicit_bzero(text.data, text.capacity);
    }
    pw_buf_deinit(&text);
    return status;
}

static pawl_status expand(reading *r, pw_secrets *secrets)
{
    char host[256] = "";
    r->full = r->given;
    if (!pw_secret_any(r->given)) {
        return PAWL_OK;
    }
    pawl_status status = host_of(r, secrets, host);
    if (status == PAWL_OK) {
        status = pw_secret_expand(secrets, r->task, r->given, host, &r->in->expanded, r->err);
    }
    if (status == PAWL_OK) {
        r->full = pw_value_view(r->in->scope, r->in->expanded.data, r->in->expanded.size);
    }
    return status;
}

/* ---- the whole ---- */

pawl_status pw_http_input_read(pw_http_input *in, pw_secrets *secrets, pawl_task *task,
                               pawl_error *err)
{
    reading r = {.in = in, .task = task, .given = pawl_task_input(task), .err = err};
    *in = (pw_http_input){.scope = pawl_scope_new()};
    if (in->scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    pawl_status status = check_keys(&r);
    status = status == PAWL_OK ? expand(&r, secrets) : status;
    status = status == PAWL_OK ? read_url(&r) : status;
    status = status == PAWL_OK ? read_headers(&r) : status;
    status = status == PAWL_OK ? read_auth(&r, secrets) : status;
    status = status == PAWL_OK ? read_body(&r) : status;
    status = status == PAWL_OK ? read_method(&r) : status;
    status = status == PAWL_OK ? read_reading(&r) : status;
    status = status == PAWL_OK ? read_limits(&r) : status;
    status = status == PAWL_OK ? read_way(&r) : status;
    in->request.headers = in->headers;
    in->request.headers_len = in->headers_len;
    if (status == PAWL_OK && (pw_scope_failed(in->scope) || !pw_buf_ok(&in->url) ||
                              !pw_buf_ok(&in->body) || !pw_buf_ok(&in->auth))) {
        status = pw_err(err, PAWL_NOMEM, "no memory for a request");
    }
    return status;
}

static void wipe(pw_buf *buf)
{
    if (buf->data != NULL) {
        explicit_bzero(buf->data, buf->capacity);
    }
    pw_buf_deinit(buf);
}

void pw_http_input_deinit(pw_http_input *in)
{
    wipe(&in->expanded);
    wipe(&in->url);
    wipe(&in->body);
    wipe(&in->auth);
    pawl_scope_free(in->scope);
    in->scope = NULL;
}
