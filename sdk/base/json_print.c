/*
 * json_print.c - msgpack to JSON text in one pass, and the two public functions at the edge.
 *
 * Does not sort and does not escape more than JSON asks for. A double always prints so that it reads back as the same double.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

typedef struct frame {
    size_t left; /* values to come; a map counts keys and values */
    bool map;
    bool first;
} frame;

typedef struct printer {
    pw_buf *out;
    pw_mp r;
    frame stack[PW_DEPTH_MAX];
    int depth;
    int indent;
} printer;

/* ---- leaves ---- */

void pw_json_quote(pw_buf *out, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    pw_buf_putc(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        pw_buf_put(out, text + from, i - from);
        from = i + 1;
        const char *at = strchr("\"\\\b\f\n\r\t", c);
        if (c != 0 && at != NULL) {
            char two[2] = {'\\', "\"\\bfnrt"[at - "\"\\\b\f\n\r\t"]};
            pw_buf_put(out, two, 2);
        } else {
            char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            pw_buf_put(out, six, 6);
        }
    }
    pw_buf_put(out, text + from, size - from);
    pw_buf_putc(out, '"');
}

static void put_double(pw_buf *out, double d)
{
    if (d - d != 0) { /* NaN and infinities cannot be JSON */
        pw_buf_puts(out, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d) {
            break;
        }
    }
    for (char *p = text; *p != 0; p++) { /* whatever the host's locale says */
        bool plain = (*p >= '0' && *p <= '9') || *p == '-' || *p == '+' || *p == 'e';
        if (!plain) {
            *p = '.';
        }
    }
    pw_buf_puts(out, text);
    if (strpbrk(text, ".e") == NULL) {
        pw_buf_puts(out, ".0");
    }
}

static void put_base64(pw_buf *out, pw_view v)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < v.size; i += 3) {
        size_t n = v.size - i < 3 ? v.size - i : 3;
        uint32_t w = (uint32_t)v.data[i] << 16 | (n > 1 ? (uint32_t)v.data[i + 1] << 8 : 0) |
                     (n > 2 ? v.data[i + 2] : 0);
        char four[4] = {digits[w >> 18], digits[w >> 12 & 63], n > 1 ? digits[w >> 6 & 63] : '=',
                        n > 2 ? digits[w & 63] : '='};
        pw_buf_put(out, four, 4);
    }
}

static void put_bytes(printer *s)
{
    pw_view v;
    if (pw_mp_read_ext(&s->r, PW_EXT_BLOB, &v)) {
        char hex[2 * PW_DIGEST_SIZE + 1] = "";
        uint64_t size = 0;
        if (v.size == PW_DIGEST_SIZE + 8) {
            pw_hex(hex, v.data, PW_DIGEST_SIZE);
            for (size_t i = 0; i < 8; i++) {
                size = size << 8 | v.data[PW_DIGEST_SIZE + i];
            }
        }
        pw_buf_printf(s->out, "{\"$blob\":\"%s\",\"$size\":%llu}", hex, (unsigned long long)size);
        return;
    }
    pw_mp probe = s->r;
    v = pw_mp_read_str(&probe);
    if (probe.bad) { /* an extension of somebody else's */
        v = pw_mp_read_raw(&s->r);
    } else {
        s->r = probe;
    }
    pw_buf_puts(s->out, "{\"$bytes\":\"");
    put_base64(s->out, v);
    pw_buf_puts(s->out, "\"}");
}

static void put_int(printer *s)
{
    pw_mp probe = s->r;
    int64_t n = pw_mp_read_int(&probe);
    if (probe.bad) {
        pw_buf_printf(s->out, "%llu", (unsigned long long)pw_mp_read_uint(&s->r));
        return;
    }
    s->r = probe;
    pw_buf_printf(s->out, "%lld", (long long)n);
}

static void put_leaf(printer *s, pawl_type type)
{
    pw_view v;
    switch (type) {
    case PAWL_NIL:
        if (!pw_mp_read_nil(&s->r)) {
            s->r.bad = true;
        }
        pw_buf_puts(s->out, "null");
        break;
    case PAWL_BOOL:
        pw_buf_puts(s->out, pw_mp_read_bool(&s->r) ? "true" : "false");
        break;
    case PAWL_INT:
        put_int(s);
        break;
    case PAWL_DOUBLE:
        put_double(s->out, pw_mp_read_double(&s->r));
        break;
    case PAWL_STRING:
        v = pw_mp_read_str(&s->r);
        pw_json_quote(s->out, (const char *)v.data, v.size);
        break;
    case PAWL_BIGINT:
        if (pw_mp_read_ext(&s->r, PW_EXT_BIGINT, &v)) {
            pw_buf_put(s->out, v.data, v.size);
        }
        break;
    case PAWL_BYTES:
        put_bytes(s);
        break;
    case PAWL_ARRAY:
    case PAWL_MAP:
        break;
    }
}

/* ---- structure ---- */

static void newline(printer *s)
{
    if (s->indent > 0) {
        pw_buf_putc(s->out, '\n');
        for (int i = 0; i < s->depth * s->indent; i++) {
            pw_buf_putc(s->out, ' ');
        }
    }
}

static void before_value(printer *s)
{
    if (s->depth == 0) {
        return;
    }
    frame *top = &s->stack[s->depth - 1];
    bool is_value_of_key = top->map && top->left % 2 == 1;
    if (is_value_of_key) {
        pw_buf_puts(s->out, s->indent > 0 ? ": " : ":");
        return;
    }
    if (!top->first) {
        pw_buf_putc(s->out, ',');
    }
    top->first = false;
    newline(s);
}

static void after_value(printer *s)
{
    while (s->depth > 0 && --s->stack[s->depth - 1].left == 0) {
        frame f = s->stack[--s->depth];
        newline(s);
        pw_buf_putc(s->out, f.map ? '}' : ']');
    }
}

static bool one(printer *s)
{
    before_value(s);
    pawl_type type = pw_mp_peek(&s->r);
    if (type != PAWL_ARRAY && type != PAWL_MAP) {
        put_leaf(s, type);
        after_value(s);
        return !s->r.bad;
    }
    bool map = type == PAWL_MAP;
    size_t n = map ? 2 * pw_mp_read_map(&s->r) : pw_mp_read_array(&s->r);
    if (s->r.bad || (n > 0 && s->depth == PW_DEPTH_MAX)) {
        return false;
    }
    if (n == 0) {
        pw_buf_puts(s->out, map ? "{}" : "[]");
        after_value(s);
        return true;
    }
    pw_buf_putc(s->out, map ? '{' : '[');
    s->stack[s->depth++] = (frame){.left = n, .map = map, .first = true};
    return true;
}

pawl_status pw_json_print(pw_buf *out, const void *data, size_t size, int indent, pawl_error *err)
{
    printer s = {.out = out, .r = pw_mp_reader(data, size), .indent = indent};
    size_t before = out->size;
    bool ok;
    do {
        ok = one(&s);
    } while (ok && s.depth > 0);
    if (!ok || !pw_mp_at_end(&s.r)) {
        out->size = before;
        return pw_err(err, PAWL_PARSE, "the value is not well-formed msgpack");
    }
    return pw_buf_ok(out) ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for JSON text");
}

/* ---- the public edge ---- */

pawl_status pawl_parse_json(pawl_scope *scope, const char *text, size_t size,
                            const pawl_value **ret_value, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_status st = pw_json_parse(&out, text, size, PW_JSON_STRICT, NULL, err);
    if (st != PAWL_OK) {
        return st;
    }
    const pawl_value *v = pw_value_copy(scope, out.data, out.size);
    if (v == NULL && out.data[0] != 0xc0) {
        return pw_err(err, PAWL_NOMEM, "no memory for a JSON value");
    }
    *ret_value = v;
    return PAWL_OK;
}

const char *pawl_to_json(pawl_scope *scope, const pawl_value *v, int indent)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_view bytes = pw_value_bytes(v);
    pawl_error err;
    if (pw_json_print(&out, bytes.data, bytes.size, indent, &err) != PAWL_OK) {
        return NULL;
    }
    return pw_strndup(scope, (const char *)out.data, out.size);
}
