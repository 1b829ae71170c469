/*
 * llm_stream.c - a stream of any wire: events or lines out of bytes, JSON out of events, the wire's fold, and at the end the answer that the
 * wire's own decoder gives for it. A stream that ends before the answer does is a failure that says so. Does not wait and does not retry.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "activities/llm_wire.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

void pw_llm_stream_fail(pw_llm_stream *s, pw_llm_class class, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (s->status == PAWL_OK) {
        s->status = PAWL_FAILED;
        pw_llm_failure_set(&s->failure, class, "%s", text);
    }
}

void pw_llm_emit(pw_llm_stream *s, pw_llm_delta_kind kind, pw_view text)
{
    if (s->fn != NULL && s->status == PAWL_OK && text.size > 0) {
        const pw_llm_delta delta = {.kind = kind, .text = text};
        s->fn(s->user, &delta);
    }
}

void pw_llm_emit_call(pw_llm_stream *s, size_t index, const pw_fold *call, pw_view text)
{
    if (s->fn != NULL && s->status == PAWL_OK) {
        pw_view id = pw_fold_text(call, "call_id");
        id = pw_view_none(id) ? pw_fold_text(call, "id") : id;
        const pw_llm_delta delta = {.kind = PW_LLM_DELTA_CALL,
                                    .index = index,
                                    .id = id,
                                    .name = pw_fold_text(call, "name"),
                                    .text = text};
        s->fn(s->user, &delta);
    }
}

static bool is_blank(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (strchr(" \t\r\n", data[i]) == NULL || data[i] == 0) {
            return false;
        }
    }
    return true;
}

/* The error object of an event, wherever the wire puts it: {"error": {...} | "..."}. */
static bool is_error(pw_llm_stream *s, pw_view event)
{
    const pw_view error = pw_field(event, "error");
    if (pw_view_none(error) || s->endpoint->wire->kind == PW_LLM_WIRE_RESPONSES) {
        return false;
    }
    s->status = PAWL_FAILED;
    pw_llm_failure_read(s->endpoint->wire->kind, 0, error, &s->failure);
    pw_view_copy(s->failure.request_id, sizeof s->failure.request_id,
                 pw_field_text(event, "request_id"));
    return true;
}

static void take(pw_llm_stream *s, pw_view type, const uint8_t *data, size_t size)
{
    static const char done[] = "[DONE]";
    if (is_blank(data, size)) {
        return;
    }
    s->events++;
    if (size == sizeof done - 1 && memcmp(data, done, size) == 0) {
        s->last = true;
        return;
    }
    pawl_error err;
    pw_buf_reset(&s->event);
    const pawl_status st =
        pw_json_parse(&s->event, (const char *)data, size, PW_JSON_LENIENT, NULL, &err);
    if (st == PAWL_NOMEM) {
        s->status = st;
        return;
    }
    const pw_view event = {s->event.data, s->event.size};
    if (st != PAWL_OK || pw_view_type(event) != PAWL_MAP) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "event %zu is not a JSON object: %s", s->events,
                           st != PAWL_OK ? err.message : "another value");
    } else if (!is_error(s, event)) {
        s->endpoint->wire->event(s, type, event);
    }
}

static bool on_event(void *user, const pw_sse_event *event)
{
    pw_llm_stream *s = user;
    take(s, pw_view_of(event->type), (const uint8_t *)event->data, event->size);
    return s->status == PAWL_OK;
}

pw_llm_stream *pw_llm_stream_open(const pw_llm_endpoint *endpoint,
                                  const uint8_t salt[PW_DIGEST_SIZE], pw_llm_delta_fn fn,
                                  void *user)
{
    pw_llm_stream *s = pw_calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->endpoint = endpoint;
    s->fn = fn;
    s->user = user;
    s->failure.retry_after_ms = -1;
    memcpy(s->salt, salt, sizeof s->salt);
    pw_sse_init(&s->sse, 0, on_event, s);
    pw_buf_init(&s->line, PW_SSE_EVENT_BYTES_MAX);
    return s;
}

void pw_llm_stream_close(pw_llm_stream *s)
{
    if (s == NULL) {
        return;
    }
    pw_sse_deinit(&s->sse);
    pw_buf_deinit(&s->line);
    pw_buf_deinit(&s->event);
    pw_fold_deinit(&s->root);
    pw_fold_deinit(&s->message);
    pw_folds_deinit(&s->items);
    pw_free(s);
}

static void put_lines(pw_llm_stream *s, const uint8_t *data, size_t size)
{
    size_t from = 0;
    while (from < size && s->status == PAWL_OK) {
        const uint8_t *end = memchr(data + from, '\n', size - from);
        const size_t n = end != NULL ? (size_t)(end - data) - from : size - from;
        pw_buf_put(&s->line, data + from, n);
        if (s->line.failed) {
            s->status = s->line.full ? PAWL_OK : PAWL_NOMEM;
            pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "a line is longer than %u bytes",
                               PW_SSE_EVENT_BYTES_MAX);
            return;
        }
        from += n + 1;
        if (end != NULL) {
            take(s, (pw_view){NULL, 0}, s->line.data, s->line.size);
            pw_buf_reset(&s->line);
        }
    }
}

pawl_status pw_llm_stream_put(pw_llm_stream *s, const void *data, size_t size)
{
    if (s->status == PAWL_OK && s->endpoint->wire->lines) {
        put_lines(s, data, size);
    } else if (s->status == PAWL_OK) {
        pawl_error err;
        const pawl_status st = pw_sse_put(&s->sse, data, size, &err);
        if (st == PAWL_NOMEM) {
            s->status = st;
        } else if (st != PAWL_OK) {
            pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "%s",
                               err.message); /* or the event has failed it already */
        }
    }
    return s->status;
}

pawl_status pw_llm_stream_event(pw_llm_stream *s, const char *type, const void *data, size_t size)
{
    if (s->status == PAWL_OK) {
        take(s, pw_view_of(type), data, size);
    }
    return s->status;
}

static void put_rest(pw_llm_stream *s)
{
    pawl_error err;
    if (s->status != PAWL_OK) {
        return;
    }
    if (s->endpoint->wire->lines) {
        if (s->line.size > 0) {
            take(s, (pw_view){NULL, 0}, s->line.data, s->line.size);
            pw_buf_reset(&s->line);
        }
    } else if (pw_sse_end(&s->sse, &err) == PAWL_NOMEM) {
        s->status = PAWL_NOMEM;
    }
}

/* A last line that was cut is no JSON: that, too, is a stream that ended early. */
static void truncated(pw_llm_stream *s)
{
    s->status = PAWL_FAILED;
    pw_llm_failure_set(&s->failure, PW_LLM_TRUNCATED,
                       "the stream ended after %zu events, before the answer did", s->events);
}

/* [L2]: the decoder reads what the pieces were pieces of. */
pawl_status pw_llm_stream_end(pw_llm_stream *s, pawl_scope *scope, const pawl_value **ret_answer)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf response = PW_BUF_INIT;
    const bool was_ok = s->status == PAWL_OK;
    put_rest(s);
    const bool cut = was_ok && s->status == PAWL_FAILED && s->endpoint->wire->lines &&
                     s->failure.class == PW_LLM_BAD_RESPONSE;
    if (!s->complete && (s->status == PAWL_OK || cut)) {
        truncated(s);
    }
    if (s->status != PAWL_OK) {
        return s->status;
    }
    s->endpoint->wire->whole(s, &response);
    if (response.failed) {
        s->status = PAWL_NOMEM;
        return s->status;
    }
    s->status = pw_llm_answer_of(s, (pw_view){response.data, response.size}, scope, ret_answer,
                                 &s->failure);
    return s->status;
}

bool pw_llm_stream_done(const pw_llm_stream *s)
{
    return s->last || s->status != PAWL_OK;
}

const pw_llm_failure *pw_llm_stream_failure(const pw_llm_stream *s)
{
    return &s->failure;
}

pw_view pw_llm_stream_id(const pw_llm_stream *s)
{
    return pw_fold_text(&s->root, "id");
}

size_t pw_llm_stream_bytes(const pw_llm_stream *s)
{
    return sizeof *s + s->bytes + s->event.capacity + s->line.capacity + s->sse.line.capacity +
           s->sse.data.capacity;
}
