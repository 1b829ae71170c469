/*
 * http_sse.h - a reader of server-sent events (WHATWG HTML 9.2), fed piece by piece, bounded.
 *
 *   bytes, cut anywhere --> pw_sse_put --> event(), once for each whole event
 *
 * Lines end with LF, CR or CRLF; a BOM at the start is skipped; comments and unknown fields are ignored; an event without data is none.
 * Does not reconnect, and keeps no more than one event.
 */
#ifndef PW_HTTP_SSE_H
#define PW_HTTP_SSE_H

#include "sdk/base/buf.h"

/** Valid inside the callback. */
typedef struct pw_sse_event {
    const char *type; /* "message" when the stream says none */
    const char *id;   /* the last that the stream has said; "" */
    const char *data; /* lines joined by LF; NUL-terminated, and may hold NUL */
    size_t size;
} pw_sse_event;

/** False: no more. */
typedef bool (*pw_sse_fn)(void *user, const pw_sse_event *event);

typedef struct pw_sse {
    pw_sse_fn event;
    void *user;
    pw_buf line;
    pw_buf data;
    pw_buf type;
    pw_buf id;
    size_t bom;    /* bytes of a BOM seen at the start; 4 = past it */
    bool after_cr; /* an LF that comes now belongs to the line before */
    bool has_data;
    bool stopped;
    int64_t retry_ms; /* the last that the stream has said; -1 */
} pw_sse;

void pw_sse_init(pw_sse *sse, size_t event_bytes_max, pw_sse_fn event,
                 void *user); /* 0 = PW_SSE_EVENT_BYTES_MAX */
void pw_sse_deinit(pw_sse *sse);
/** Errors: LIMIT (an event larger than allowed), NOMEM, CANCELED (the callback had enough); the reader is then at its end. */
PAWL_MUST_USE pawl_status pw_sse_put(pw_sse *sse, const void *data, size_t size, pawl_error *err);
/** The stream has ended: an event whose lines are whole but whose empty line never came is handed over, as servers that forget it mean it;
 * a line that was cut is dropped. */
PAWL_MUST_USE pawl_status pw_sse_end(pw_sse *sse, pawl_error *err);

#endif
