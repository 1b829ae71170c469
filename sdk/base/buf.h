/*
 * buf.h - a growable byte buffer born with a maximum. Writing past the maximum or out of memory sets `failed`
 * (sticky); writers need not check each call, the one who takes the bytes asks pw_buf_ok.
 */
#ifndef PW_BUF_H
#define PW_BUF_H

#include "sdk/pawl_value.h"

typedef struct pw_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t bytes_max; /* 0 = PW_BUF_BYTES_MAX */
    bool failed;
    bool full; /* it failed because of bytes_max, not of memory */
} pw_buf;

#define PW_BUF_INIT                 \
    {                               \
        NULL, 0, 0, 0, false, false \
    }

void pw_buf_init(pw_buf *buf, size_t bytes_max);
void pw_buf_deinit(
    pw_buf *buf); /* frees; usable as a cleanup function; the buffer is as after init */
void pw_buf_reset(pw_buf *buf); /* empty and not failed, keeps the memory */
bool pw_buf_reserve(pw_buf *buf, size_t more);
void pw_buf_put(pw_buf *buf, const void *data, size_t size);
void pw_buf_putc(pw_buf *buf, int byte);
void pw_buf_puts(pw_buf *buf, const char *text);
void pw_buf_printf(pw_buf *buf, const char *fmt, ...) PAWL_PRINTF(2, 3);
static inline bool pw_buf_ok(const pw_buf *buf)
{
    return !buf->failed;
}
/** NUL-terminates (not counted in size) and returns the text, or "" when failed. Owns: the buffer. */
const char *pw_buf_cstr(pw_buf *buf);

#endif
