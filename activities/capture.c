/*
 * capture.c - keeps the tail of a stream. The buffer grows to twice the maximum and is then moved down at once, so that each
 * byte is moved once at most on average.
 *
 * Does not read descriptors and does not decode anything but UTF-8.
 */
#include "activities/capture.h"

#include <string.h>

#include "sdk/base/mem.h"
#include "sdk/base/mp.h"

enum { FIRST_BYTES = 4096 };

void pw_capture_init(pw_capture *capture, size_t bytes_max)
{
    *capture = (pw_capture){.bytes_max = bytes_max};
}

void pw_capture_deinit(pw_capture *capture)
{
    pw_free(capture->data);
    *capture = (pw_capture){0};
}

static void keep_tail(pw_capture *c)
{
    if (c->size > c->bytes_max) {
        memmove(c->data, c->data + (c->size - c->bytes_max), c->bytes_max);
        c->size = c->bytes_max;
        c->truncated = true;
    }
}

static bool grow(pw_capture *c, size_t size)
{
    size_t wider = c->capacity == 0 ? FIRST_BYTES : c->capacity;
    while (wider < size) {
        wider *= 2;
    }
    char *data = pw_realloc(c->data, wider);
    if (data == NULL) {
        return false;
    }
    c->data = data;
    c->capacity = wider;
    return true;
}

void pw_capture_put(pw_capture *c, const void *data, size_t size)
{
    const char *from = data;
    c->seen += size;
    if (size > c->bytes_max) {
        from += size - c->bytes_max;
        size = c->bytes_max;
        c->truncated = true;
    }
    if (c->size + size > 2 * c->bytes_max) {
        keep_tail(c);
    }
    if (c->size + size > c->capacity && !grow(c, c->size + size)) {
        c->truncated = true; /* without memory the output has a hole, the program goes on */
        return;
    }
    if (size > 0) {
        memcpy(c->data + c->size, from, size);
        c->size += size;
    }
}

size_t pw_text_clean(char *ret, const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        const size_t len = p[at] == 0 ? 0 : pw_utf8_len(p + at, size - at);
        if (len == 0) {
            memcpy(ret + used, "\xef\xbf\xbd", 3);
            used += 3;
            at++;
            continue;
        }
        memcpy(ret + used, p + at, len);
        used += len;
        at += len;
    }
    return used;
}

/* Where the text begins: a character cut in two by the tail is left out. */
static size_t tail_start(const pw_capture *c)
{
    size_t at = 0;
    while (c->truncated && at < 3 && at < c->size && ((uint8_t)c->data[at] & 0xc0) == 0x80) {
        at++;
    }
    return at;
}

const pawl_value *pw_capture_text(pw_capture *c, pawl_scope *scope)
{
    keep_tail(c);
    const size_t start = tail_start(c);
    char *clean = pw_malloc(3 * (c->size - start) + 1);
    if (clean == NULL) {
        return NULL;
    }
    const size_t size = pw_text_clean(clean, c->size > 0 ? c->data + start : "", c->size - start);
    const pawl_value *v = pawl_make_strn(scope, clean, size);
    pw_free(clean);
    return v;
}

const pawl_value *pw_capture_bytes(pw_capture *c, pawl_scope *scope)
{
    keep_tail(c);
    return pawl_make_bytes(scope, c->size > 0 ? c->data : "", c->size);
}

void pw_capture_last_line(const pw_capture *c, char *ret, size_t ret_size)
{
    size_t end = c->size;
    while (end > 0 && (uint8_t)c->data[end - 1] <= ' ') {
        end--;
    }
    size_t start = end;
    while (start > 0 && end - start < ret_size - 1 && c->data[start - 1] != '\n' &&
           c->data[start - 1] != '\r') {
        start--;
    }
    size_t used = 0;
    for (size_t at = start; at < end; at++) { /* plain ASCII: this is for a glance */
        const uint8_t byte = (uint8_t)c->data[at];
        ret[used++] = byte >= ' ' && byte < 0x7f ? (char)byte : '?';
    }
    ret[used] = '\0';
}
