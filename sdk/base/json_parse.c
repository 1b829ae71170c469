/*
 * json_parse.c - JSON text to msgpack in one pass: no tree, no recursion.
 *
 * A container's header is one byte of guess (fewer than 16 entries, by far the most common); at its end the count is known, and only a
 * larger one moves its bytes. Strings are scanned eight bytes at a time up to the first byte that needs a look.
 * Duplicate keys are kept in order: RFC 8259 allows them, and getters take the first. {"$bytes": "..."} becomes bytes.
 */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"

typedef struct frame {
    size_t at;    /* of the header byte */
    size_t count; /* entries so far */
    bool map;
} frame;

typedef struct parser {
    const uint8_t *from, *p, *end;
    pw_buf *out;
    pw_json_notes notes;
    frame stack[PW_DEPTH_MAX];
    int depth;
    bool lenient;
    const char *why;
    pawl_status status;
} parser;

static bool fail(parser *s, const char *why)
{
    if (s->why == NULL) {
        s->why = why;
        s->status = PAWL_PARSE;
    }
    return false;
}

static void skip_space(parser *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t')) {
        s->p++;
    }
}

/* ---- strings ---- */

#define ONES 0x0101010101010101u
#define HIGH 0x8080808080808080u

/* True if a byte of the word is below 0x20, a quote, a backslash, or not ASCII. */
static bool needs_look(uint64_t w)
{
    uint64_t quote = w ^ (ONES * '"');
    uint64_t slash = w ^ (ONES * '\\');
    uint64_t hit =
        ((w - ONES * 0x20) & ~w) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash) | w;
    return (hit & HIGH) != 0;
}

static const uint8_t *plain_run(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        if (needs_look(w)) {
            break;
        }
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

static size_t utf8_len(const uint8_t *p, const uint8_t *end)
{
    size_t n = *p >= 0xc2 && *p < 0xe0   ? 2
               : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    if (n == 0 || (size_t)(end - p) < n) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90);
    return bad ? 0 : n;
}

static void put_utf8(pw_buf *b, uint32_t c)
{
    uint8_t u[4];
    size_t n = 0;
    if (c < 0x80) {
        u[n++] = (uint8_t)c;
    } else if (c < 0x800) {
        u[n++] = (uint8_t)(0xc0 | c >> 6);
        u[n++] = (uint8_t)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        u[n++] = (uint8_t)(0xe0 | c >> 12);
        u[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        u[n++] = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        u[n++] = (uint8_t)(0xf0 | c >> 18);
        u[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        u[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        u[n++] = (uint8_t)(0x80 | (c & 0x3f));
    }
    pw_buf_put(b, u, n);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool hex4(parser *s, uint32_t *ret)
{
    if (s->end - s->p < 4) {
        return fail(s, "an escape ends early");
    }
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(s->p[i]);
        if (d < 0) {
            return fail(s, "\\u needs four hex digits");
        }
        v = v << 4 | (uint32_t)d;
    }
    s->p += 4;
    *ret = v;
    return true;
}

static bool replace(parser *s, const char *why)
{
    if (!s->lenient) {
        return fail(s, why);
    }
    s->notes.replaced++;
    put_utf8(s->out, 0xfffd);
    return true;
}

static bool unicode_escape(parser *s)
{
    uint32_t c;
    if (!hex4(s, &c)) {
        return false;
    }
    if (c == 0 && !s->lenient) {
        return fail(s, "\\u0000 is not allowed");
    }
    if (c >= 0xd800 && c < 0xdc00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u') {
        const uint8_t *mark = s->p;
        uint32_t low;
        s->p += 2;
        if (!hex4(s, &low)) {
            return false;
        }
        if (low >= 0xdc00 && low < 0xe000) {
            put_utf8(s->out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
            return true;
        }
        s->p = mark;
    }
    if (c >= 0xd800 && c < 0xe000) {
        return replace(s, "a lone surrogate");
    }
    put_utf8(s->out, c);
    return true;
}

static bool escape(parser *s)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    s->p++;
    if (s->p == s->end) {
        return fail(s, "an escape ends early");
    }
    uint8_t c = *s->p++;
    if (c == 'u') {
        return unicode_escape(s);
    }
    const char *at = c != 0 ? strchr(from, c) : NULL;
    if (at == NULL) {
        return fail(s, "an unknown escape");
    }
    pw_buf_putc(s->out, to[at - from]);
    return true;
}

static bool odd_byte(parser *s)
{
    uint8_t c = *s->p;
    if (c == '\\') {
        return escape(s);
    }
    if (c < 0x20) {
        if (!s->lenient) {
            return fail(s, c == 0 ? "a NUL byte" : "a control character must be escaped");
        }
        pw_buf_putc(s->out, c);
        s->p++;
        return true;
    }
    size_t n = utf8_len(s->p, s->end);
    if (n == 0) {
        s->p++;
        return replace(s, "bytes that are not UTF-8");
    }
    pw_buf_put(s->out, s->p, n);
    s->p += n;
    return true;
}

/* Header of a string of which `size` bytes stand at `at` already: most are short and were given one byte. */
static bool seal_string(parser *s, size_t at, size_t guess)
{
    size_t size = s->out->size - at - guess;
    size_t need = size < 32 ? 1 : size <= UINT8_MAX ? 2 : size <= UINT16_MAX ? 3 : 5;
    if (need != guess) {
        if (need > guess && !pw_buf_reserve(s->out, need - guess)) {
            return false;
        }
        memmove(s->out->data + at + need, s->out->data + at + guess, size);
        s->out->size = at + need + size;
    }
    uint8_t *h = s->out->data + at;
    if (need == 1) {
        h[0] = (uint8_t)(0xa0 | size);
    } else {
        h[0] = need == 2 ? 0xd9 : need == 3 ? 0xda : 0xdb;
        for (size_t i = 1; i < need; i++) {
            h[i] = (uint8_t)(size >> (8 * (need - 1 - i)));
        }
    }
    return true;
}

static bool string(parser *s)
{
    const uint8_t *from = ++s->p;
    const uint8_t *stop = plain_run(from, s->end);
    if (stop < s->end && *stop == '"') { /* nothing to look at: one copy */
        pw_mp_strn(s->out, (const char *)from, (size_t)(stop - from));
        s->p = stop + 1;
        return true;
    }
    size_t at = s->out->size;
    pw_buf_putc(s->out, 0);
    for (;;) {
        const uint8_t *run = plain_run(s->p, s->end);
        pw_buf_put(s->out, s->p, (size_t)(run - s->p));
        s->p = run;
        if (s->p == s->end) {
            return fail(s, "a string has no end");
        }
        if (*s->p == '"') {
            s->p++;
            return pw_buf_ok(s->out) && seal_string(s, at, 1);
        }
        if (!odd_byte(s)) {
            return false;
        }
    }
}

/* ---- numbers ---- */

static bool is_digit(const parser *s, const uint8_t *p)
{
    return p < s->end && *p >= '0' && *p <= '9';
}

static bool real(parser *s, const uint8_t *from)
{
    char text[400];
    size_t n = (size_t)(s->p - from);
    if (n >= sizeof text) {
        return fail(s, "a number is too long");
    }
    memcpy(text, from, n);
    text[n] = 0;
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    char *end = NULL;
    double d = c != (locale_t)0 ? strtod_l(text, &end, c) : 0;
    if (c != (locale_t)0) {
        freelocale(c);
    }
    if (end != text + n || d - d != 0) {
        return fail(s, "a number beyond double");
    }
    pw_mp_double(s->out, d);
    return true;
}

/* Exact when the digits fit 2^53 and the power of ten is small: the common case of prices and scores. */
static bool real_fast(parser *s, uint64_t digits, int exponent, bool negative)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (digits > ((uint64_t)1 << 53) || exponent < -22 || exponent > 22) {
        return false;
    }
    double d = (double)digits;
    d = exponent < 0 ? d / powers[-exponent] : d * powers[exponent];
    pw_mp_double(s->out, negative ? -d : d);
    return true;
}

static bool integer(parser *s, const uint8_t *from, uint64_t digits, bool overflow, bool negative)
{
    if (!overflow && digits <= (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        pw_mp_int(s->out, negative ? (int64_t)(0 - digits) : (int64_t)digits);
        return true;
    }
    size_t n = (size_t)(s->p - from);
    if (n > 1000) {
        return fail(s, "a number is too long");
    }
    s->notes.bigints++;
    pw_mp_ext(s->out, PW_EXT_BIGINT, from, n);
    return true;
}

static bool number(parser *s)
{
    const uint8_t *from = s->p;
    bool negative = *s->p == '-';
    s->p += negative ? 1 : 0;
    if (!is_digit(s, s->p)) {
        return fail(s, "a number needs digits");
    }
    uint64_t digits = 0;
    bool overflow = false;
    bool zero = *s->p == '0';
    const uint8_t *first = s->p;
    for (; is_digit(s, s->p); s->p++) {
        overflow |= digits > (UINT64_MAX - 9) / 10;
        digits = digits * 10 + (uint64_t)(*s->p - '0');
    }
    if (zero && s->p - first > 1) {
        return fail(s, "a number starts with zero");
    }
    bool fraction = s->p < s->end && *s->p == '.';
    bool power = s->p < s->end && (*s->p == 'e' || *s->p == 'E');
    if (!fraction && !power) {
        return integer(s, from, digits, overflow, negative);
    }
    int exponent = 0;
    if (fraction) {
        s->p++;
        if (!is_digit(s, s->p)) {
            return fail(s, "a fraction needs digits");
        }
        for (; is_digit(s, s->p); s->p++) {
            overflow |= digits > (UINT64_MAX - 9) / 10;
            digits = digits * 10 + (uint64_t)(*s->p - '0');
            exponent--;
        }
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        s->p += s->p < s->end && (*s->p == '+' || *s->p == '-') ? 1 : 0;
        if (!is_digit(s, s->p)) {
            return fail(s, "an exponent needs digits");
        }
        while (is_digit(s, s->p)) {
            s->p++;
        }
        return real(s, from);
    }
    return (!overflow && real_fast(s, digits, exponent, negative)) || real(s, from);
}

/* ---- bytes ---- */

static int base64_digit(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static bool base64_decode(pw_buf *out, pw_view text)
{
    size_t n = text.size;
    if (n % 4 != 0) {
        return false;
    }
    size_t pad = n > 0 && text.data[n - 1] == '=' ? (text.data[n - 2] == '=' ? 2u : 1u) : 0;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t v = 0;
        size_t real_digits = i + 4 == n ? 4 - pad : 4;
        for (size_t k = 0; k < 4; k++) {
            int d = k < real_digits ? base64_digit(text.data[i + k]) : 0;
            if (d < 0) {
                return false;
            }
            v = v << 6 | (uint32_t)d;
        }
        uint8_t three[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        pw_buf_put(out, three, real_digits - 1);
    }
    return pw_buf_ok(out);
}

/* A map of the one pair "$bytes": text is bytes. Anything else stays a map. */
static void bytes_of(parser *s, size_t at)
{
    pw_mp r = pw_mp_reader(s->out->data + at, s->out->size - at);
    if (pw_mp_read_map(&r) != 1 || !pw_view_is(pw_mp_read_str(&r), "$bytes") ||
        pw_mp_peek(&r) != PAWL_STRING) {
        return;
    }
    pw_view text = pw_mp_read_str(&r);
    pw_buf decoded = PW_BUF_INIT;
    if (!r.bad && base64_decode(&decoded, text)) {
        s->out->size = at;
        pw_mp_bin(s->out, decoded.data, decoded.size);
    }
    pw_buf_deinit(&decoded);
}

/* ---- structure ---- */

static bool open_frame(parser *s, bool map)
{
    if (s->depth == PW_DEPTH_MAX) {
        (void)fail(s, "nested too deep");
        s->status = PAWL_LIMIT;
        return false;
    }
    s->stack[s->depth++] = (frame){.at = s->out->size, .count = 0, .map = map};
    pw_buf_putc(s->out, 0);
    s->p++;
    return true;
}

static bool close_frame(parser *s)
{
    frame f = s->stack[--s->depth];
    s->p++;
    pw_buf *b = s->out;
    if (b->failed) {
        return false;
    }
    if (f.count < 16) {
        b->data[f.at] = (uint8_t)((f.map ? 0x80 : 0x90) | f.count);
    } else {
        size_t extra = f.count <= UINT16_MAX ? 2 : 4;
        if (!pw_buf_reserve(b, extra)) {
            return false;
        }
        memmove(b->data + f.at + 1 + extra, b->data + f.at + 1, b->size - f.at - 1);
        b->size += extra;
        b->data[f.at] = (uint8_t)((f.map ? 0xde : 0xdc) + (extra == 4));
        for (size_t i = 0; i < extra; i++) {
            b->data[f.at + 1 + i] = (uint8_t)(f.count >> (8 * (extra - 1 - i)));
        }
    }
    if (f.map && f.count == 1) {
        bytes_of(s, f.at);
    }
    return true;
}

static bool word(parser *s, const char *text, int byte)
{
    size_t n = strlen(text);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, text, n) != 0) {
        return fail(s, "an unknown word");
    }
    s->p += n;
    pw_buf_putc(s->out, byte);
    return true;
}

static bool key(parser *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"') {
        return fail(s, "a key in quotes is missing");
    }
    if (!string(s)) {
        return false;
    }
    skip_space(s);
    if (s->p == s->end || *s->p != ':') {
        return fail(s, "a colon is missing");
    }
    s->p++;
    return true;
}

/* One value; true in *ret_opened when it was the start of a container that is not empty. */
static bool value(parser *s, bool *ret_opened)
{
    skip_space(s);
    if (s->p == s->end) {
        return fail(s, "the text ends early");
    }
    *ret_opened = false;
    switch (*s->p) {
    case '{':
    case '[': {
        bool map = *s->p == '{';
        if (!open_frame(s, map)) {
            return false;
        }
        skip_space(s);
        if (s->p < s->end && *s->p == (map ? '}' : ']')) {
            return close_frame(s);
        }
        *ret_opened = true;
        return true;
    }
    case '"':
        return string(s);
    case 't':
        return word(s, "true", 0xc3);
    case 'f':
        return word(s, "false", 0xc2);
    case 'n':
        return word(s, "null", 0xc0);
    default:
        return *s->p == '-' || is_digit(s, s->p)
                   ? number(s)
                   : fail(s, "no value begins like this; a text is in quotes");
    }
}

/* After a value: counts it, closes what ends. False in *ret_more when the document is complete. */
static bool after(parser *s, bool *ret_more)
{
    for (;;) {
        if (s->depth == 0) {
            *ret_more = false;
            return true;
        }
        frame *top = &s->stack[s->depth - 1];
        top->count++;
        skip_space(s);
        if (s->p == s->end) {
            return fail(s, "the text ends inside a container");
        }
        if (*s->p == ',') {
            s->p++;
            return true;
        }
        if (*s->p != (top->map ? '}' : ']')) {
            return fail(s, "a comma is missing");
        }
        if (!close_frame(s)) {
            return false;
        }
    }
}

static bool document(parser *s)
{
    bool more = true;
    while (more) {
        bool opened;
        if (s->depth > 0 && s->stack[s->depth - 1].map && !key(s)) {
            return false;
        }
        if (!value(s, &opened)) {
            return false;
        }
        if (!opened && !after(s, &more)) {
            return false;
        }
    }
    skip_space(s);
    return s->p == s->end || fail(s, "bytes follow the value");
}

static void place(const parser *s, size_t *ret_line, size_t *ret_column)
{
    *ret_line = 1;
    const uint8_t *line = s->from;
    for (const uint8_t *p = s->from; p < s->p; p++) {
        if (*p == '\n') {
            (*ret_line)++;
            line = p + 1;
        }
    }
    *ret_column = (size_t)(s->p - line) + 1;
}

pawl_status pw_json_parse(pw_buf *out, const char *text, size_t size, pw_json_mode mode,
                          pw_json_notes *notes, pawl_error *err)
{
    if (size > PW_VALUE_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "JSON of %zu bytes is larger than %u", size,
                      PW_VALUE_BYTES_MAX);
    }
    const uint8_t *from = size > 0 ? (const uint8_t *)text : (const uint8_t *)"";
    parser s = {.from = from,
                .p = from,
                .end = from + size,
                .out = out,
                .lenient = mode == PW_JSON_LENIENT};
    size_t before = out->size;
    bool ok = pw_buf_reserve(out, size / 2 + 16) && document(&s);
    if (ok && pw_buf_ok(out)) {
        if (notes != NULL) {
            *notes = s.notes;
        }
        return PAWL_OK;
    }
    bool memory = out->failed;
    out->size = before;
    out->failed = false;
    if (memory) {
        return pw_err(err, PAWL_NOMEM, "no memory for a JSON value");
    }
    size_t line, column;
    place(&s, &line, &column);
    return pw_err(err, s.status, "%s at line %zu, column %zu", s.why != NULL ? s.why : "malformed",
                  line, column);
}
