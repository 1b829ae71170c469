/*
 * http_output.c - the result, or the failure, out of a response.
 *
 *   status in `ok`?  --yes--> body as JSON, text or bytes --> {status, headers, body}
 *                    --no---> RateLimited or HttpStatus, with status, headers and the first bytes of the body
 *                               worth another attempt?  a time that the server gave?  surely not done?
 *
 * Everything that leaves here has been redacted. Does not talk to anybody.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "activities/http_activity.h"
#include "activities/secret.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

enum { WAIT_MS_MIN = 1000 }; /* "retry-after: 0" must not become a storm */

bool pw_http_response_init(pw_http_response *r, size_t body_bytes_max)
{
    *r = (pw_http_response){.retry_after_ms = -1, .scope = pawl_scope_new()};
    pw_buf_init(&r->body, body_bytes_max + 1);
    return r->scope != NULL;
}

void pw_http_response_deinit(pw_http_response *r)
{
    pw_buf_deinit(&r->headers);
    pw_buf_deinit(&r->body);
    pw_http_events_free(r->events);
    pawl_scope_free(r->scope);
    r->scope = NULL;
}

/* ---- headers ---- */

/* Bytes that are no UTF-8 become question marks: peers say Latin-1 and worse. */
void pw_http_text_put(pw_buf *out, const void *data, size_t size)
{
    pw_buf clean = PW_BUF_INIT;
    pw_buf check = PW_BUF_INIT;
    pawl_error err;
    pw_mp_strn(&check, data, size);
    const bool good = pw_buf_ok(&check) && pw_mp_check(check.data, check.size, &err) == PAWL_OK;
    for (size_t i = 0; !good && i < size; i++) {
        const uint8_t byte = ((const uint8_t *)data)[i];
        pw_buf_putc(&clean, byte < 0x80 ? byte : '?');
    }
    pw_mp_strn(out, good ? data : clean.data, size);
    out->failed = out->failed || !pw_buf_ok(&clean);
    pw_buf_deinit(&clean);
    pw_buf_deinit(&check);
}

static bool seen_before(const pw_http_head *head, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(head->headers[i].name, head->headers[at].name) == 0) {
            return true;
        }
    }
    return false;
}

/* Several of one name are one list, joined by commas (RFC 9110 5.3); Set-Cookie cannot be joined. */
static void put_values(pw_buf *out, const pw_http_head *head, const char *name)
{
    const bool array = strcmp(name, "set-cookie") == 0;
    pw_buf joined = PW_BUF_INIT;
    size_t count = 0;
    for (size_t i = 0; i < head->len; i++) {
        count += strcmp(head->headers[i].name, name) == 0;
    }
    if (array) {
        pw_mp_array(out, count);
    }
    for (size_t i = 0; i < head->len; i++) {
        const char *value = head->headers[i].value;
        if (strcmp(head->headers[i].name, name) != 0) {
            continue;
        }
        if (array) {
            pw_http_text_put(out, value, strlen(value));
        } else {
            pw_buf_printf(&joined, "%s%s", joined.size > 0 ? ", " : "", value);
        }
    }
    if (!array) {
        pw_http_text_put(out, joined.data != NULL ? (const void *)joined.data : "", joined.size);
    }
    out->failed = out->failed || !pw_buf_ok(&joined);
    pw_buf_deinit(&joined);
}

/* {name: text | true}: a header that says so, or is there at all, makes a failure worth another attempt. */
static bool header_says(const pw_http_head *head, const pawl_value *rules)
{
    for (size_t i = 0; i < pawl_len(rules); i++) {
        const pawl_value *wanted = pawl_at(rules, i);
        for (size_t k = 0; k < head->len; k++) {
            if (strcasecmp(head->headers[k].name, pawl_key_at(rules, i)) == 0 &&
                (pawl_bool(wanted, "", false) || pawl_is(wanted, "", head->headers[k].value))) {
                return true;
            }
        }
    }
    return false;
}

void pw_http_response_head(pw_http_response *r, const pw_http_head *head, const pawl_value *input)
{
    const char *should = pw_http_head_find(head, "x-should-retry");
    const char *type = pw_http_head_find(head, "content-type");
    size_t names = 0;
    for (size_t i = 0; i < head->len; i++) {
        names += !seen_before(head, i);
    }
    r->status = head->status;
    r->retry_header = header_says(head, pawl_get(input, "retry_headers"));
    r->should_retry = should != NULL ? pw_strdup(r->scope, should) : NULL;
    r->content_type = type != NULL ? pw_strdup(r->scope, type) : NULL;
    pw_mp_map(&r->headers, names);
    for (size_t i = 0; i < head->len; i++) {
        if (!seen_before(head, i)) {
            pw_http_text_put(&r->headers, head->headers[i].name, strlen(head->headers[i].name));
            put_values(&r->headers, head, head->headers[i].name);
        }
    }
}

static void fail(pawl_task *task, const char *type, const char *message, const pawl_value *details,
                 bool retryable)
{
    (void)pawl_task_fail_with(task, type, message, details, retryable);
}

/* ---- the body ---- */

static bool is_json(const char *type)
{
    if (type == NULL) {
        return false;
    }
    const size_t size = strcspn(type, "; ");
    return (size == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (size > 5 && strncasecmp(type + size - 5, "+json", 5) == 0);
}

static bool put_json(pw_buf *out, const pw_buf *body, pawl_error *err)
{
    return pw_json_parse(out, body->data != NULL ? (const char *)body->data : "", body->size,
                         PW_JSON_LENIENT, NULL, err) == PAWL_OK;
}

static bool is_utf8(const pw_buf *body)
{
    pw_buf check = PW_BUF_INIT;
    pawl_error err;
    pw_mp_strn(&check, (const char *)body->data, body->size);
    const bool ok = pw_buf_ok(&check) && pw_mp_check(check.data, check.size, &err) == PAWL_OK;
    pw_buf_deinit(&check);
    return ok;
}

/* Appends it. False: it was to be JSON and is none. */
static bool put_body(pw_http_response *r, const char *as, pw_buf *out, pawl_error *err)
{
    const void *data = r->body.data != NULL ? (const void *)r->body.data : "";
    if (r->events != NULL) {
        pw_http_events_list(r->events, out);
        return true;
    }
    const bool by_type = strcmp(as, "auto") == 0 && is_json(r->content_type) && r->body.size > 0;
    if (strcmp(as, "json") == 0 || by_type) {
        const size_t before = out->size;
        if (put_json(out, &r->body, err)) {
            return true;
        }
        out->size = before;
        if (!by_type) {
            return false;
        }
    }
    if (strcmp(as, "bytes") == 0 || (strcmp(as, "text") != 0 && !is_utf8(&r->body))) {
        pw_mp_bin(out, data, r->body.size);
    } else {
        pw_http_text_put(out, data, r->body.size);
    }
    return true;
}

static const pawl_value *whole(pw_http_response *r, const pw_secrets *secrets, const char *as,
                               pawl_task *task, pawl_error *err)
{
    pw_buf out = PW_BUF_INIT;
    pw_mp_map(&out, 3);
    pw_mp_str(&out, "status");
    pw_mp_int(&out, r->status);
    pw_mp_str(&out, "headers");
    pw_buf_put(&out, r->headers.data, r->headers.size);
    pw_mp_str(&out, "body");
    const bool ok = put_body(r, as, &out, err);
    const bool clean = ok && pw_secret_redact_value(secrets, &out);
    const pawl_value *v = clean ? pw_value_copy(pawl_task_scope(task), out.data, out.size) : NULL;
    if (v == NULL && ok) {
        (void)pw_err(err, PAWL_NOMEM, "no memory for the response");
    }
    pw_buf_deinit(&out);
    return v;
}

/* ---- statuses ---- */

static bool listed(const pawl_value *list, int status)
{
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_int(pawl_at(list, i), "", -1) == status) {
            return true;
        }
    }
    return false;
}

static bool is_result(const pawl_value *input, int status)
{
    const pawl_value *ok = pawl_get(input, "ok");
    if (pawl_is(ok, "", "any")) {
        return true;
    }
    return pawl_typeof(ok) == PAWL_ARRAY
               ? listed(ok, status)
               : status >= 200 && status < 400; /* a 3xx here was not to be followed */
}

static bool is_retryable(const pw_http_response *r, const pawl_value *input)
{
    static const int usual[] = {408, 425, 429, 500, 502, 503, 504, 529};
    const pawl_value *retry = pawl_get(input, "retry");
    if (r->retry_header) {
        return true;
    }
    if (r->should_retry != NULL) {
        return strcmp(r->should_retry, "true") == 0;
    }
    if (pawl_typeof(retry) == PAWL_ARRAY) {
        return listed(retry, r->status);
    }
    for (size_t i = 0; i < PW_COUNT(usual); i++) {
        if (usual[i] == r->status) {
            return true;
        }
    }
    return false;
}

/* May the request have been carried out, whatever this status says? A gateway does not know, a crash in the middle neither. */
static bool may_have_happened(int status)
{
    return status == 500 || status == 502 || status == 504;
}

static void fail_status(pw_http_response *r, const pw_secrets *secrets, pawl_task *task)
{
    const pawl_value *input = pawl_task_input(task);
    char message[80];
    pawl_error err;
    const bool retryable = is_retryable(r, input);
    r->body.size =
        r->body.size < PW_HTTP_ERROR_BODY_BYTES_MAX ? r->body.size : PW_HTTP_ERROR_BODY_BYTES_MAX;
    (void)snprintf(message, sizeof message, "the server answered with status %d", r->status);
    fail(task, r->status == 429 ? "RateLimited" : "HttpStatus", message,
         whole(r, secrets, "text", task, &err), retryable);
    if (retryable && r->retry_after_ms >= 0 &&
        (r->status == 429 || r->status == 503 || r->status == 529)) {
        const int64_t ms = r->retry_after_ms < WAIT_MS_MIN ? WAIT_MS_MIN : r->retry_after_ms;
        (void)pawl_task_retry_after(task, (double)ms / 1000);
    }
    if (may_have_happened(r->status)) {
        pawl_task_outcome_unknown(task);
    }
}

const pawl_value *pw_http_response_end(pw_http_response *r, const pw_secrets *secrets,
                                       pawl_task *task)
{
    const pawl_value *input = pawl_task_input(task);
    const char *as = pawl_str(input, "as", "auto");
    pawl_error err = {0};
    if (!pw_secret_redact(secrets,
                          &r->body)) { /* the whole of it, before a failure shows its first bytes */
        fail(task, "OutOfMemory", "no memory for the response", NULL, true);
        return NULL;
    }
    if (!is_result(input, r->status)) {
        fail_status(r, secrets, task);
        return NULL;
    }
    const pawl_value *v = whole(r, secrets, as, task, &err);
    if (v == NULL) {
        fail(task, err.status == PAWL_NOMEM ? "OutOfMemory" : "BadBody", err.message, NULL,
             err.status == PAWL_NOMEM);
    }
    return v;
}

void pw_http_failure_set(const pw_http_result *result, const pw_secrets *secrets, pawl_task *task)
{
    pw_buf message = PW_BUF_INIT;
    pw_buf_puts(&message, result->message);
    const bool ok = pw_secret_redact(secrets, &message) && pw_buf_ok(&message);
    fail(task, pw_http_error_type(result->error),
         ok ? pw_buf_cstr(&message) : pw_http_error_text(result->error), NULL,
         pw_http_error_retryable(result->error));
    if (result->sent) {
        pawl_task_outcome_unknown(task);
    }
    pw_buf_deinit(&message);
}
