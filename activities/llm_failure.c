/*
 * llm_failure.c - what a provider's error means: its class (llm_errors.def), whether to try again, and when.
 *
 * When: retry-after-ms, then retry-after in seconds, then what the HTTP client made of it (dates), then RetryInfo of the body (Gemini), then
 * the reset of a limit that is used up. Does not wait, and does not count attempts.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "activities/llm_wire.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"

typedef struct class_row {
    const char *type;
    pw_llm_action action;
    bool retryable;
    const char *text;
} class_row;

static const class_row rows[] = {
#define X(name, type, action, retryable, text) {type, action, retryable, text},
#include "activities/llm_classes.def"
#undef X
};

const char *pw_llm_class_type(pw_llm_class class)
{
    return rows[class].type;
}

const char *pw_llm_class_text(pw_llm_class class)
{
    return rows[class].text;
}

pw_llm_action pw_llm_class_action(pw_llm_class class)
{
    return rows[class].action;
}

static void set_class(pw_llm_failure *f, pw_llm_class class)
{
    f->class = class;
    f->retryable = rows[class].retryable;
}

void pw_llm_failure_set(pw_llm_failure *ret_failure, pw_llm_class class, const char *fmt, ...)
{
    char text[sizeof ret_failure->message];
    *ret_failure = (pw_llm_failure){.retry_after_ms = -1};
    set_class(ret_failure, class);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pw_view_copy(ret_failure->message, sizeof ret_failure->message, pw_view_of(text));
}

/* ---- the body ---- */

typedef struct words {
    pw_view said[4]; /* code, type, status, reason of a detail */
    pw_view message;
} words;

/* {"error": {...}}, {"error": "text"}, [{"error": ...}] (Gemini's streams), or the error itself; vLLM and others: {"message", "type"},
 * {"detail": "text"}. */
static pw_view error_in(pw_view body)
{
    if (pw_view_type(body) == PAWL_ARRAY) {
        pw_each each = pw_each_of(body);
        body = pw_each_next(&each) ? each.value : body;
    }
    const pw_view error = pw_field(body, "error");
    return pw_view_none(error) ? body : error;
}

/* A finer word than the type: of a list of details (Gemini), of a map of them (Anthropic), or beside the message. */
static pw_view reason_of(pw_view error)
{
    pw_each each = pw_each_of(pw_field(error, "details"));
    const pw_view code = pw_field_text(pw_field(error, "details"), "error_code");
    if (!pw_view_none(code)) {
        return code;
    }
    while (!each.map && pw_each_next(&each)) {
        const pw_view reason = pw_field_text(each.value, "reason");
        if (!pw_view_none(reason)) {
            return reason;
        }
    }
    return pw_field_text(error, "reason");
}

static words words_of(pw_view error)
{
    if (pw_view_type(error) == PAWL_STRING) {
        return (words){.message = pw_view_text(error)};
    }
    words w = {.said = {pw_field_text(error, "code"), pw_field_text(error, "type"),
                        pw_field_text(error, "status"), reason_of(error)},
               .message = pw_field_text(error, "message")};
    if (pw_view_none(w.message)) {
        w.message = pw_field_text(error, "detail");
    }
    return w;
}

/* Gemini's day is not over soon: a quota by the day is money, one by the minute is a rate. */
static bool is_daily(pw_view error)
{
    pw_each details = pw_each_of(pw_field(error, "details"));
    while (!details.map && pw_each_next(&details)) {
        pw_each broken = pw_each_of(pw_field(details.value, "violations"));
        while (!broken.map && pw_each_next(&broken)) {
            if (pw_view_has(pw_field_text(broken.value, "quotaId"), "PerDay")) {
                return true;
            }
        }
    }
    return false;
}

/* A rate limit may well speak of the context window: its message does not make it one. */
static bool class_of_words(const words *w, int status, pw_llm_class *ret_class)
{
    static const struct {
        const char *word;
        pw_llm_class class;
    } codes[] =
        {
#define C(word, name) {word, PW_LLM_##name},
#include "activities/llm_errors.def"
#undef C
        },
      messages[] = {
#define M(part, name) {part, PW_LLM_##name},
#include "activities/llm_errors.def"
#undef M
      };
    for (size_t i = 0; i < PW_COUNT(codes); i++) {
        for (size_t k = 0; k < PW_COUNT(w->said); k++) {
            if (pw_view_is(w->said[k], codes[i].word)) {
                *ret_class = codes[i].class;
                return true;
            }
        }
    }
    for (size_t i = 0; i < PW_COUNT(messages); i++) {
        const bool fits = status != 429 || messages[i].class != PW_LLM_CONTEXT;
        if (fits && pw_view_has(w->message, messages[i].word)) {
            *ret_class = messages[i].class;
            return true;
        }
    }
    return false;
}

static pw_llm_class class_of_status(int status)
{
    static const struct {
        int from, to;
        pw_llm_class class;
    } statuses[] = {
#define S(from, to, name) {from, to, PW_LLM_##name},
#include "activities/llm_errors.def"
#undef S
    };
    for (size_t i = 0; i < PW_COUNT(statuses); i++) {
        if (status >= statuses[i].from && status <= statuses[i].to) {
            return statuses[i].class;
        }
    }
    return status == 0 ? PW_LLM_SERVER : PW_LLM_BAD_RESPONSE;
}

/* Whatever the host's locale says. */
static double decimal(const char *digits, size_t size)
{
    double n = 0;
    double place = 0;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] == '.') {
            place = place > 0 ? place : 1;
        } else {
            n = n * 10 + (digits[i] - '0');
            place *= 10;
        }
    }
    return place > 0 ? n / place : n;
}

/* "34s", "1.5s", "6m0s", "1h2m3s", "120ms", "12": milliseconds, or -1. */
static int64_t duration_ms(const char *text)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    double sum = 0;
    const char *p = text;
    while (*p != '\0') {
        const char *digits = p;
        const size_t n = strspn(p, "0123456789.");
        if (n == 0 || n > 24) {
            return -1;
        }
        p += n;
        double unit = *p == '\0' ? 1e3 : 0;
        for (size_t i = 0; unit <= 0 && i < PW_COUNT(units); i++) {
            const size_t len = strlen(units[i].name);
            if (strncmp(p, units[i].name, len) == 0 && !isalpha((unsigned char)p[len])) {
                unit = units[i].ms;
                p += len;
            }
        }
        if (unit <= 0) {
            return -1;
        }
        sum += decimal(digits, n) * unit;
    }
    return p == text                             ? -1
           : sum < (double)PW_RETRY_AFTER_MS_MAX ? (int64_t)(sum + 0.999)
                                                 : PW_RETRY_AFTER_MS_MAX;
}

static int64_t retry_info_ms(pw_view error)
{
    pw_each each = pw_each_of(pw_field(error, "details"));
    while (!each.map && pw_each_next(&each)) {
        const pw_view delay = pw_field_text(each.value, "retryDelay");
        if (!pw_view_none(delay)) {
            char text[40];
            pw_view_copy(text, sizeof text, delay);
            return duration_ms(text);
        }
    }
    return -1;
}

void pw_llm_failure_read(pw_llm_kind kind, int status, pw_view error, pw_llm_failure *ret_failure)
{
    const words w = words_of(error);
    pw_llm_class class;
    pw_llm_failure f = {.status = status, .retry_after_ms = -1};
    if (status == 0 && pw_view_type(pw_field(error, "code")) ==
                           PAWL_INT) { /* gateways and Gemini: the status stands in the body */
        f.status = (int)pw_field_int(error, "code", 0) % 1000;
    }
    if (kind == PW_LLM_WIRE_GEMINI && is_daily(error)) {
        class = PW_LLM_MONEY;
    } else if (!class_of_words(&w, f.status, &class)) {
        class = class_of_status(f.status);
    }
    set_class(&f, class);
    for (size_t i = 0; i < PW_COUNT(w.said) && f.code[0] == '\0'; i++) {
        pw_view_copy(f.code, sizeof f.code, w.said[i]);
    }
    pw_view_copy(f.message, sizeof f.message,
                 pw_view_none(w.message) ? pw_view_of(rows[class].text) : w.message);
    f.retry_after_ms = retry_info_ms(error);
    *ret_failure = f;
}

/* ---- the headers ---- */

static const char *header(const pw_llm_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->headers_len; i++) {
        if (strcasecmp(reply->headers[i].name, name) == 0) {
            return reply->headers[i].value;
        }
    }
    return NULL;
}

/* "2026-11-21T09:10:11Z" (RFC 3339, as Anthropic's limits say it): UTC milliseconds, or -1. */
static int64_t moment_ms(const char *text)
{
    int y, m, d, h, min, s;
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &y, &m, &d, &h, &min, &s, &used) != 6 || m < 1 ||
        m > 12 || d < 1 || d > 31) {
        return -1;
    }
    int off_h = 0, off_m = 0;
    char sign = '+';
    const char *zone = text + used + strspn(text + used, ".0123456789");
    if (strcmp(zone, "Z") != 0 && sscanf(zone, "%c%2d:%2d", &sign, &off_h, &off_m) != 3) {
        return -1;
    }
    const int64_t offset = (int64_t)(off_h * 60 + off_m) * (sign == '-' ? -60 : 60);
    struct tm tm = {.tm_year = y - 1900,
                    .tm_mon = m - 1,
                    .tm_mday = d,
                    .tm_hour = h,
                    .tm_min = min,
                    .tm_sec = s};
    return ((int64_t)timegm(&tm) - offset) * 1000;
}

static int64_t until(const char *text, int64_t now_ms)
{
    const int64_t at = moment_ms(text);
    const int64_t left = at < 0 ? duration_ms(text) : at > now_ms ? at - now_ms : 0;
    return left < PW_RETRY_AFTER_MS_MAX ? left : PW_RETRY_AFTER_MS_MAX;
}

/* The longest wait of the limits of which nothing remains. */
static int64_t reset_ms(const pw_llm_reply *reply)
{
    static const struct {
        const char *remaining, *reset;
    } limits[] = {
        {"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
        {"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
        {"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
        {"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"},
        {"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"},
        {"anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"}};
    int64_t longest = -1;
    for (size_t i = 0; i < PW_COUNT(limits); i++) {
        const char *left = header(reply, limits[i].remaining);
        const char *reset = header(reply, limits[i].reset);
        if (left != NULL && reset != NULL && strcmp(left, "0") == 0) {
            const int64_t ms = until(reset, reply->now_ms);
            longest = ms > longest ? ms : longest;
        }
    }
    return longest;
}

static int64_t retry_after(const pw_llm_reply *reply, int64_t of_body)
{
    const char *ms = header(reply, "retry-after-ms");
    const char *s = header(reply, "retry-after");
    const size_t digits = ms != NULL ? strspn(ms, "0123456789.") : 0;
    if (digits > 0 && digits < 24 && ms[digits] == '\0') {
        const double n = decimal(ms, digits);
        return n < (double)PW_RETRY_AFTER_MS_MAX ? (int64_t)(n + 0.999) : PW_RETRY_AFTER_MS_MAX;
    }
    if (s != NULL && duration_ms(s) >= 0) {
        return duration_ms(s);
    }
    return reply->retry_after_ms >= 0 ? reply->retry_after_ms
           : of_body >= 0             ? of_body
                                      : reset_ms(reply);
}

static void read_body(pw_llm_kind kind, const pw_llm_reply *reply, pw_llm_failure *f)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    pawl_error err;
    if (pw_json_parse(&body, reply->body, reply->body_size, PW_JSON_LENIENT, NULL, &err) ==
        PAWL_OK) {
        const pw_view v = {body.data, body.size};
        pw_llm_failure_read(kind, reply->status, error_in(v), f);
        pw_view_copy(f->request_id, sizeof f->request_id, pw_field_text(v, "request_id"));
        return;
    }
    set_class(f, class_of_status(reply->status)); /* a proxy's page, or nothing */
    pw_view_copy(f->message, sizeof f->message,
                 reply->body_size > 0 ? (pw_view){reply->body, reply->body_size}
                                      : pw_view_of(rows[f->class].text));
}

void pw_llm_failure_of(const pw_llm_endpoint *endpoint, const pw_llm_reply *reply,
                       pw_llm_failure *ret_failure)
{
    static const char *const ids[] = {"x-request-id", "request-id", "x-goog-request-id"};
    *ret_failure = (pw_llm_failure){.status = reply->status, .retry_after_ms = -1};
    read_body(endpoint->wire->kind, reply, ret_failure);
    ret_failure->status = reply->status;
    ret_failure->retry_after_ms = retry_after(reply, ret_failure->retry_after_ms);
    for (size_t i = 0; i < PW_COUNT(ids) && ret_failure->request_id[0] == '\0'; i++) {
        pw_view_copy(ret_failure->request_id, sizeof ret_failure->request_id,
                     pw_view_of(header(reply, ids[i])));
    }
    const char *should = header(reply, "x-should-retry");
    if (should != NULL &&
        ret_failure->class !=
            PW_LLM_MONEY) { /* [L4] money errors are never retried, whoever says so */
        ret_failure->retryable =
            strcmp(should, "true") == 0 || (ret_failure->retryable && strcmp(should, "false") != 0);
    }
}
