/*
 * http_sse.c - server-sent events out of bytes that are cut anywhere.
 *
 * Bytes gather in `line` until it ends; a line goes into data, type or id; an empty one hands the event over. The bound counts a line and
 * what the event has gathered together, so that neither one long line nor many short ones can grow.
 */
#include "activities/http_sse.h"

#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"

static const uint8_t bom[3] = {0xef, 0xbb, 0xbf};

void pw_sse_init(pw_sse *sse, size_t event_bytes_max, pw_sse_fn event, void *user)
{
    const size_t max = event_bytes_max == 0 ? PW_SSE_EVENT_BYTES_MAX : event_bytes_max;
    *sse = (pw_sse){.event = event, .user = user, .retry_ms = -1};
    pw_buf_init(&sse->line, max + 1); /* and a NUL */
    pw_buf_init(&sse->data, max + 1);
    pw_buf_init(&sse->type, PW_SSE_FIELD_BYTES_MAX + 1);
    pw_buf_init(&sse->id, PW_SSE_FIELD_BYTES_MAX + 1);
}

void pw_sse_deinit(pw_sse *sse)
{
    pw_buf_deinit(&sse->line);
    pw_buf_deinit(&sse->data);
    pw_buf_deinit(&sse->type);
    pw_buf_deinit(&sse->id);
}

static void field_set(pw_buf *buf, const uint8_t *value, size_t size)
{
    if (size <= PW_SSE_FIELD_BYTES_MAX && memchr(value, 0, size) == NULL) {
        pw_buf_reset(buf);
        pw_buf_put(buf, value, size);
    }
}

static void retry_set(pw_sse *sse, const uint8_t *value, size_t size)
{
    int64_t ms = 0;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9' || ms > PW_RETRY_AFTER_MS_MAX) {
            return;
        }
        ms = ms * 10 + (value[i] - '0');
    }
    sse->retry_ms = size > 0 ? ms : sse->retry_ms;
}

static void field(pw_sse *sse, const uint8_t *line, size_t size)
{
    const uint8_t *colon = memchr(line, ':', size);
    const size_t name = colon != NULL ? (size_t)(colon - line) : size;
    const uint8_t *value = colon != NULL ? colon + 1 : line + size;
    size_t value_size = (size_t)(line + size - value);
    if (value_size > 0 && *value == ' ') {
        value++;
        value_size--;
    }
    if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (sse->has_data) {
            pw_buf_putc(&sse->data, '\n');
        }
        pw_buf_put(&sse->data, value, value_size);
        sse->has_data = true;
    } else if (name == 5 && memcmp(line, "event", 5) == 0) {
        field_set(&sse->type, value, value_size);
    } else if (name == 2 && memcmp(line, "id", 2) == 0) {
        field_set(&sse->id, value, value_size);
    } else if (name == 5 && memcmp(line, "retry", 5) == 0) {
        retry_set(sse, value, value_size);
    }
}

static void hand_over(pw_sse *sse)
{
    if (sse->has_data && pw_buf_ok(&sse->data)) {
        const char *type = pw_buf_cstr(&sse->type);
        const pw_sse_event event = {.type = type[0] != '\0' ? type : "message",
                                    .id = pw_buf_cstr(&sse->id),
                                    .data = pw_buf_cstr(&sse->data),
                                    .size = sse->data.size};
        sse->stopped = !sse->event(sse->user, &event);
    }
    sse->has_data = false;
    pw_buf_reset(&sse->data);
    pw_buf_reset(&sse->type);
}

static void line_end(pw_sse *sse)
{
    if (sse->line.size == 0) {
        hand_over(sse);
    } else {
        field(sse, sse->line.data, sse->line.size);
    }
    pw_buf_reset(&sse->line);
}

static pawl_status state_of(const pw_sse *sse, pawl_error *err)
{
    if (sse->stopped) {
        return pw_err(err, PAWL_CANCELED, "no more events are wanted");
    }
    const size_t max = sse->line.bytes_max - 1;
    if (sse->line.full || sse->data.full || sse->line.size + sse->data.size > max) {
        return pw_err(err, PAWL_LIMIT, "an event of the stream has more than %zu bytes", max);
    }
    const bool ok = pw_buf_ok(&sse->line) && pw_buf_ok(&sse->data) && pw_buf_ok(&sse->type) &&
                    pw_buf_ok(&sse->id);
    return ok ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for an event");
}

/* How many of the bytes belong to a BOM at the very start. */
static size_t bom_skip(pw_sse *sse, const uint8_t *p, size_t size)
{
    size_t at = 0;
    while (sse->bom < 3 && at < size && p[at] == bom[sse->bom]) {
        sse->bom++;
        at++;
    }
    if (at < size && sse->bom < 3) {
        pw_buf_put(&sse->line, bom, sse->bom); /* it only looked like one */
    }
    sse->bom = at < size || sse->bom == 3 ? 4 : sse->bom;
    return at;
}

static size_t line_part(const uint8_t *p, size_t size)
{
    size_t n = 0;
    while (n < size && p[n] != '\n' && p[n] != '\r') {
        n++;
    }
    return n;
}

pawl_status pw_sse_put(pw_sse *sse, const void *data, size_t size, pawl_error *err)
{
    const uint8_t *p = data;
    const uint8_t *end = p + size;
    pawl_status status = state_of(sse, err);
    if (sse->bom < 4 && size > 0) {
        p += bom_skip(sse, p, size);
    }
    while (p < end && status == PAWL_OK) {
        if (sse->after_cr && *p == '\n') {
            sse->after_cr = false;
            p++;
            continue;
        }
        sse->after_cr = false;
        const size_t n = line_part(p, (size_t)(end - p));
        pw_buf_put(&sse->line, p, n);
        p += n;
        status = state_of(sse, err);
        if (status == PAWL_OK && p < end) {
            sse->after_cr = *p++ == '\r';
            line_end(sse);
            status = state_of(sse, err);
        }
    }
    return status;
}

pawl_status pw_sse_end(pw_sse *sse, pawl_error *err)
{
    pawl_status status = state_of(sse, err);
    pw_buf_reset(&sse->line);
    if (status == PAWL_OK) {
        hand_over(sse);
        status = state_of(sse, err);
    }
    return status;
}
