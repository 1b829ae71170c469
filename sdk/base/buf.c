/*
 * buf.c - the growable buffer. Doubles until its maximum; a failed write leaves what was there.
 * Does not shrink and does not share.
 */
#include "sdk/base/buf.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

void pw_buf_init(pw_buf *buf, size_t bytes_max)
{
    *buf = (pw_buf){.bytes_max = bytes_max};
}

void pw_buf_deinit(pw_buf *buf)
{
    pw_free(buf->data);
    *buf = (pw_buf){.bytes_max = buf->bytes_max};
}

void pw_buf_reset(pw_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->full = false;
}

bool pw_buf_reserve(pw_buf *buf, size_t more)
{
    if (buf->failed) {
        return false;
    }
    if (buf->capacity - buf->size >= more) {
        return true;
    }
    size_t max = buf->bytes_max > 0 ? buf->bytes_max : PW_BUF_BYTES_MAX;
    if (more > max || buf->size > max - more) {
        buf->failed = true;
        buf->full = true;
        return false;
    }
    size_t capacity = buf->capacity > 0 ? buf->capacity * 2 : 256;
    while (capacity < buf->size + more) {
        capacity *= 2;
    }
    capacity = capacity < max ? capacity : max;
    uint8_t *grown = pw_realloc(buf->data, capacity);
    if (grown == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = grown;
    buf->capacity = capacity;
    return true;
}

void pw_buf_put(pw_buf *buf, const void *data, size_t size)
{
    if (size > 0 && pw_buf_reserve(buf, size)) {
        memcpy(buf->data + buf->size, data, size);
        buf->size += size;
    }
}

void pw_buf_putc(pw_buf *buf, int byte)
{
    if (pw_buf_reserve(buf, 1)) {
        buf->data[buf->size++] = (uint8_t)byte;
    }
}

void pw_buf_puts(pw_buf *buf, const char *text)
{
    pw_buf_put(buf, text, strlen(text));
}

void pw_buf_printf(pw_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && pw_buf_reserve(buf, (size_t)n + 1)) {
        (void)vsnprintf((char *)buf->data + buf->size, (size_t)n + 1, fmt, again);
        buf->size += (size_t)n;
    }
    va_end(again);
}

const char *pw_buf_cstr(pw_buf *buf)
{
    if (!pw_buf_reserve(buf, 1)) {
        return "";
    }
    buf->data[buf->size] = 0;
    return (const char *)buf->data;
}
