/*
 * secret_match.c - a value in a text however it was written on the way: as it is, percent-encoded, in a form, as a JSON string, or as a JSON string
 * within one, with any choice of what an encoder escapes and of upper or lower case.
 *
 * An encoder is consistent: what it must escape it escapes everywhere. So a match goes at one depth of JSON (0 to 2), with or without percent signs,
 * from its first byte to its last, and needs no way back. Does not find base64 (secret_form.c) and does not change anything.
 */
#include "activities/secret_form.h"

#include <string.h>

#define JSON_DEPTH 2

typedef struct reader {
    const uint8_t *p, *end;
    int depth;    /* of JSON strings */
    bool percent; /* percent-encoded */
} reader;

static int nibble(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool take(reader *r, uint8_t c)
{
    if (r->p == r->end || *r->p != c) {
        return false;
    }
    r->p++;
    return true;
}

/* As many backslashes as that, and then c. */
static bool take_escape(reader *r, int backslashes, uint8_t c)
{
    const uint8_t *was = r->p;
    for (int i = 0; i < backslashes; i++) {
        if (!take(r, '\\')) {
            r->p = was;
            return false;
        }
    }
    if (!take(r, c)) {
        r->p = was;
        return false;
    }
    return true;
}

static bool take_hex(reader *r, uint32_t value, int digits)
{
    const uint8_t *was = r->p;
    for (int i = digits - 1; i >= 0; i--) {
        if (r->p == r->end || nibble(*r->p) != (int)(value >> (4 * i) & 15)) {
            r->p = was;
            return false;
        }
        r->p++;
    }
    return true;
}

static bool take_u(reader *r, uint32_t unit)
{
    const uint8_t *was = r->p;
    if (take_escape(r, 1 << (r->depth - 1), 'u') && take_hex(r, unit, 4)) {
        return true;
    }
    r->p = was;
    return false;
}

static bool take_code_point(reader *r, uint32_t c)
{
    const uint8_t *was = r->p;
    if (c < 0x10000) {
        return take_u(r, c);
    }
    c -= 0x10000;
    if (take_u(r, 0xd800 + (c >> 10)) && take_u(r, 0xdc00 + (c & 0x3ff))) {
        return true;
    }
    r->p = was;
    return false;
}

static bool take_json(reader *r, uint32_t c)
{
    static const char escaped[] = "\"\\/\b\f\n\r\t";
    static const char letters[] = "\"\\/bfnrt";
    const char *at = c < 128 && c != 0 ? strchr(escaped, (int)c) : NULL;
    int backslashes = 1 << (r->depth - 1);
    if (c == '"') {
        backslashes = (1 << r->depth) - 1;
    } else if (c == '\\') {
        backslashes = (1 << r->depth) - 1; /* and itself */
    }
    if (at != NULL && take_escape(r, backslashes, (uint8_t)letters[at - escaped])) {
        return true;
    }
    return take_code_point(r, c);
}

static bool take_percent(reader *r, const uint8_t *bytes, size_t size)
{
    const uint8_t *was = r->p;
    for (size_t i = 0; i < size; i++) {
        if (!take(r, '%') || !take_hex(r, bytes[i], 2)) {
            r->p = was;
            return false;
        }
    }
    return true;
}

static bool take_plain(reader *r, const uint8_t *bytes, size_t size)
{
    bool must_escape =
        (r->depth > 0 && (bytes[0] == '"' || bytes[0] == '\\')) || (r->percent && bytes[0] == '%');
    if (must_escape || (size_t)(r->end - r->p) < size || memcmp(r->p, bytes, size) != 0) {
        return false;
    }
    r->p += size;
    return true;
}

/* The next character of the value: 1 to 4 bytes, and its code point. Bytes that are no UTF-8 stand for themselves. */
static size_t next_char(const uint8_t *p, size_t left, uint32_t *ret_c)
{
    size_t size = pw_utf8_len(p, left);
    uint32_t c = p[0];
    if (size > 1) {
        c = p[0] & (0xffu >> (size + 1));
        for (size_t i = 1; i < size; i++) {
            c = c << 6 | (p[i] & 0x3fu);
        }
    }
    *ret_c = c;
    return size > 0 ? size : 1;
}

static bool take_char(reader *r, const uint8_t *bytes, size_t size, uint32_t c)
{
    if (take_plain(r, bytes, size) || (r->depth > 0 && take_json(r, c))) {
        return true;
    }
    return r->percent && (take_percent(r, bytes, size) || (c == ' ' && take(r, '+')));
}

static size_t match(reader r, const uint8_t *value, size_t size)
{
    const uint8_t *from = r.p;
    for (size_t at = 0; at < size;) {
        uint32_t c = 0;
        size_t n = next_char(value + at, size - at, &c);
        if (!take_char(&r, value + at, n, c)) {
            return 0;
        }
        at += n;
    }
    return (size_t)(r.p - from);
}

size_t pw_secret_match(const uint8_t *text, size_t left, const char *value)
{
    size_t size = strlen(value);
    for (int depth = 0; depth <= JSON_DEPTH; depth++) {
        for (int percent = 0; percent < 2; percent++) {
            reader r = {text, text + left, depth, percent != 0};
            size_t n = match(r, (const uint8_t *)value, size);
            if (n > 0) {
                return n;
            }
        }
    }
    return 0;
}
