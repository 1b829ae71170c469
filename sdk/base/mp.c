/*
 * mp.c - the msgpack writer and the reader that trusts nothing. Neither recurses; skipping keeps a small stack of counts.
 */
#include "sdk/base/mp.h"

#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

/* ---- writing ---- */

static void put_be(pw_buf *b, int lead, uint64_t v, int bytes)
{
    uint8_t out[9];
    out[0] = (uint8_t)lead;
    for (int i = 0; i < bytes; i++) {
        out[1 + i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    }
    pw_buf_put(b, out, (size_t)bytes + 1);
}

void pw_mp_nil(pw_buf *b)
{
    pw_buf_putc(b, 0xc0);
}

void pw_mp_bool(pw_buf *b, bool v)
{
    pw_buf_putc(b, v ? 0xc3 : 0xc2);
}

void pw_mp_uint(pw_buf *b, uint64_t v)
{
    if (v < 128) {
        pw_buf_putc(b, (int)v);
    } else if (v <= UINT8_MAX) {
        put_be(b, 0xcc, v, 1);
    } else if (v <= UINT16_MAX) {
        put_be(b, 0xcd, v, 2);
    } else if (v <= UINT32_MAX) {
        put_be(b, 0xce, v, 4);
    } else {
        put_be(b, 0xcf, v, 8);
    }
}

void pw_mp_int(pw_buf *b, int64_t v)
{
    if (v >= 0) {
        pw_mp_uint(b, (uint64_t)v);
    } else if (v >= -32) {
        pw_buf_putc(b, (int)(uint8_t)v);
    } else if (v >= INT8_MIN) {
        put_be(b, 0xd0, (uint64_t)v, 1);
    } else if (v >= INT16_MIN) {
        put_be(b, 0xd1, (uint64_t)v, 2);
    } else if (v >= INT32_MIN) {
        put_be(b, 0xd2, (uint64_t)v, 4);
    } else {
        put_be(b, 0xd3, (uint64_t)v, 8);
    }
}

void pw_mp_double(pw_buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_be(b, 0xcb, bits, 8);
}

static void str_head(pw_buf *b, size_t size)
{
    if (size < 32) {
        pw_buf_putc(b, 0xa0 | (int)size);
    } else if (size <= UINT8_MAX) {
        put_be(b, 0xd9, size, 1);
    } else if (size <= UINT16_MAX) {
        put_be(b, 0xda, size, 2);
    } else {
        put_be(b, 0xdb, size, 4);
    }
}

void pw_mp_strn(pw_buf *b, const char *text, size_t size)
{
    str_head(b, size);
    pw_buf_put(b, text, size);
}

size_t pw_utf8_len(const uint8_t *p, size_t left)
{
    if (left == 0 || p[0] < 0x80) {
        return left > 0 ? 1 : 0;
    }
    size_t n = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
               : (p[0] & 0xf0) == 0xe0       ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    uint32_t cp = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        cp = cp << 6 | (p[i] & 0x3f);
    }
    bool overlong = cp < (n == 3 ? 0x800u : n == 4 ? 0x10000u : 0x80u);
    return overlong || (cp >= 0xd800 && cp < 0xe000) || cp > 0x10ffff ? 0 : n;
}

static bool is_ascii(const char *text, size_t size)
{
    uint64_t all = 0;
    for (; size >= 8; text += 8, size -= 8) {
        uint64_t eight;
        memcpy(&eight, text, 8);
        all |= eight;
    }
    for (; size > 0; text++, size--) {
        all |= (unsigned char)*text;
    }
    return (all & 0x8080808080808080u) == 0;
}

void pw_mp_text(pw_buf *b, const char *text, size_t size)
{
    if (is_ascii(text, size)) {
        pw_mp_strn(b, text, size);
        return;
    }
    const uint8_t *p = (const uint8_t *)text;
    size_t clean = 0, n;
    for (size_t i = 0; i<size; i += n> 0 ? n : 1) {
        n = pw_utf8_len(p + i, size - i);
        clean += n > 0 ? n : 3;
    }
    str_head(b, clean);
    for (size_t i = 0; i<size; i += n> 0 ? n : 1) {
        n = pw_utf8_len(p + i, size - i);
        pw_buf_put(b, n > 0 ? text + i : "\xef\xbf\xbd", n > 0 ? n : 3);
    }
}

void pw_mp_str(pw_buf *b, const char *text)
{
    if (text == NULL) {
        pw_mp_nil(b);
    } else {
        pw_mp_text(b, text, strlen(text));
    }
}

void pw_mp_bin(pw_buf *b, const void *data, size_t size)
{
    if (size <= UINT8_MAX) {
        put_be(b, 0xc4, size, 1);
    } else if (size <= UINT16_MAX) {
        put_be(b, 0xc5, size, 2);
    } else {
        put_be(b, 0xc6, size, 4);
    }
    pw_buf_put(b, data, size);
}

static void put_count(pw_buf *b, size_t n, int fix, int lead16)
{
    if (n < 16) {
        pw_buf_putc(b, fix | (int)n);
    } else if (n <= UINT16_MAX) {
        put_be(b, lead16, n, 2);
    } else {
        put_be(b, lead16 + 1, n, 4);
    }
}

void pw_mp_array(pw_buf *b, size_t len)
{
    put_count(b, len, 0x90, 0xdc);
}

void pw_mp_map(pw_buf *b, size_t pairs)
{
    put_count(b, pairs, 0x80, 0xde);
}

void pw_mp_ext(pw_buf *b, int type, const void *data, size_t size)
{
    int fixed = size == 1    ? 0xd4
                : size == 2  ? 0xd5
                : size == 4  ? 0xd6
                : size == 8  ? 0xd7
                : size == 16 ? 0xd8
                             : 0;
    if (fixed != 0) {
        pw_buf_putc(b, fixed);
    } else if (size <= UINT8_MAX) {
        put_be(b, 0xc7, size, 1);
    } else if (size <= UINT16_MAX) {
        put_be(b, 0xc8, size, 2);
    } else {
        put_be(b, 0xc9, size, 4);
    }
    pw_buf_putc(b, type);
    pw_buf_put(b, data, size);
}

void pw_mp_value(pw_buf *b, const pawl_value *v)
{
    pw_view bytes = pw_value_bytes(v);
    pw_buf_put(b, bytes.data, bytes.size);
}

/* ---- reading: every value starts with a head ---- */

typedef struct head {
    pawl_type type;
    bool is_uint; /* beyond int64 */
    bool is_ext;
    int ext_type;
    size_t head_size;
    size_t body_size; /* bytes after the head: strings, bin, ext */
    size_t count;     /* elements (a map counts pairs) */
    uint64_t bits;    /* ints, bool, double */
} head;

static uint64_t be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static bool head_int(head *h, int lead, const uint8_t *p, size_t left)
{
    size_t n = (size_t)1 << (lead & 3);
    if (left < 1 + n) {
        return false;
    }
    h->type = PAWL_INT;
    h->head_size = 1 + n;
    h->bits = be(p + 1, n);
    if (lead >= 0xd0 && n < 8) { /* sign extend */
        uint64_t sign = (uint64_t)1 << (8 * n - 1);
        h->bits = (h->bits ^ sign) - sign;
    }
    h->is_uint = lead == 0xcf && h->bits > INT64_MAX;
    return true;
}

static bool head_sized(head *h, pawl_type type, size_t size_bytes, const uint8_t *p, size_t left)
{
    size_t extra = h->is_ext ? 1 : 0;
    if (left < 1 + size_bytes + extra) {
        return false;
    }
    h->type = type;
    h->body_size = (size_t)be(p + 1, size_bytes);
    h->head_size = 1 + size_bytes + extra;
    if (h->is_ext) {
        h->ext_type = (int8_t)p[1 + size_bytes];
        h->type = h->ext_type == PW_EXT_BIGINT ? PAWL_BIGINT : PAWL_BYTES;
    }
    return h->body_size <= left - h->head_size;
}

static bool head_counted(head *h, pawl_type type, size_t size_bytes, const uint8_t *p, size_t left)
{
    if (left < 1 + size_bytes) {
        return false;
    }
    h->type = type;
    h->count = (size_t)be(p + 1, size_bytes);
    h->head_size = 1 + size_bytes;
    size_t least = type == PAWL_MAP ? 2 : 1;
    return h->count <= (left - h->head_size) / least;
}

static bool head_float(head *h, int lead, const uint8_t *p, size_t left)
{
    size_t n = lead == 0xca ? 4 : 8;
    if (left < 1 + n) {
        return false;
    }
    h->type = PAWL_DOUBLE;
    h->head_size = 1 + n;
    h->bits = be(p + 1, n);
    if (n == 4) {
        float f;
        uint32_t small = (uint32_t)h->bits;
        memcpy(&f, &small, sizeof f);
        double d = (double)f;
        memcpy(&h->bits, &d, sizeof d);
    }
    return true;
}

static bool head_fix(head *h, int lead, size_t left)
{
    h->head_size = 1;
    if (lead < 0x80 || lead >= 0xe0) {
        h->type = PAWL_INT;
        h->bits = (uint64_t)(int64_t)(int8_t)lead;
        return true;
    }
    if (lead < 0xa0) {
        h->type = lead < 0x90 ? PAWL_MAP : PAWL_ARRAY;
        h->count = (size_t)(lead & 0x0f);
        return h->count * (h->type == PAWL_MAP ? 2 : 1) <= left - 1;
    }
    h->type = PAWL_STRING;
    h->body_size = (size_t)(lead & 0x1f);
    return h->body_size <= left - 1;
}

static bool read_head(const pw_mp *r, head *h)
{
    size_t left = (size_t)(r->end - r->p);
    *h = (head){0};
    if (r->bad || left == 0) {
        return false;
    }
    int lead = r->p[0];
    if (lead < 0xc0 || lead >= 0xe0) {
        return head_fix(h, lead, left);
    }
    switch (lead) {
    case 0xc0:
        h->type = PAWL_NIL;
        h->head_size = 1;
        return true;
    case 0xc2:
    case 0xc3:
        h->type = PAWL_BOOL;
        h->head_size = 1;
        h->bits = (uint64_t)(lead & 1);
        return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return head_sized(h, PAWL_BYTES, (size_t)1 << (lead - 0xc4), r->p, left);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        h->is_ext = true;
        return head_sized(h, PAWL_BYTES, (size_t)1 << (lead - 0xc7), r->p, left);
    case 0xca:
    case 0xcb:
        return head_float(h, lead, r->p, left);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        h->is_ext = true;
        if (!head_sized(h, PAWL_BYTES, 0, r->p, left)) {
            return false;
        }
        h->body_size = (size_t)1 << (lead - 0xd4);
        return h->body_size <= left - h->head_size;
    case 0xd9:
    case 0xda:
    case 0xdb:
        return head_sized(h, PAWL_STRING, (size_t)1 << (lead - 0xd9), r->p, left);
    case 0xdc:
    case 0xdd:
        return head_counted(h, PAWL_ARRAY, (size_t)2 << (lead - 0xdc), r->p, left);
    case 0xde:
    case 0xdf:
        return head_counted(h, PAWL_MAP, (size_t)2 << (lead - 0xde), r->p, left);
    case 0xc1:
        return false;
    default:
        return head_int(h, lead, r->p, left);
    }
}

/* ---- the short forms, which nearly everything has; each returns false to leave the rest to read_head ---- */

static inline bool has(const pw_mp *r, size_t size)
{
    return !r->bad && (size_t)(r->end - r->p) >= size;
}

static bool short_int(pw_mp *r, int64_t *ret)
{
    if (!has(r, 1) || (r->p[0] >= 0x80 && r->p[0] < 0xe0)) {
        return false;
    }
    *ret = (int8_t)*r->p++;
    return true;
}

static bool long_uint(pw_mp *r, uint64_t *ret)
{
    if (!has(r, 9) || r->p[0] != 0xcf) {
        return false;
    }
    uint64_t v;
    memcpy(&v, r->p + 1, sizeof v);
    *ret = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(v) : v;
    r->p += 9;
    return true;
}

static inline bool short_str(pw_mp *r, pw_view *ret)
{
    if (has(r, 2) && r->p[0] == 0xd9 && has(r, 2 + (size_t)r->p[1])) {
        *ret = (pw_view){r->p + 2, (size_t)r->p[1]};
        r->p += 2 + ret->size;
        return true;
    }
    if (!has(r, 1) || (r->p[0] & 0xe0) != 0xa0 || !has(r, 1 + (size_t)(r->p[0] & 0x1f))) {
        return false;
    }
    *ret = (pw_view){r->p + 1, (size_t)(r->p[0] & 0x1f)};
    r->p += 1 + ret->size;
    return true;
}

/* lead: 0x80 for maps, 0x90 for arrays. */
static bool short_count(pw_mp *r, int lead, size_t least, size_t *ret)
{
    if (!has(r, 1) || (r->p[0] & 0xf0) != lead || !has(r, 1 + least * (size_t)(r->p[0] & 0x0f))) {
        return false;
    }
    *ret = (size_t)(*r->p++ & 0x0f);
    return true;
}

/* Bytes of a whole leaf; 0 = not a leaf of a known length, or cut. */
static inline size_t leaf_size(const pw_mp *r)
{
    static const uint8_t sizes[32] = {
        1, 0, 1, 1, 0, 0, 0, 0, 0, 0,
        5, 9, 2, 3, 5, 9, 2, 3, 5, 9}; /* from 0xc0; 0 = has a length or counts */
    if (!has(r, 1)) {
        return 0;
    }
    int lead = r->p[0];
    if (lead < 0x80 || lead >= 0xe0) {
        return 1;
    }
    size_t size = 0;
    if (lead >= 0xc0) {
        bool short_size = (lead == 0xd9 || lead == 0xc4) && has(r, 2); /* ids, digests */
        size = short_size ? 2 + (size_t)r->p[1] : sizes[lead - 0xc0];
    } else if (lead >= 0xa0) {
        size = 1 + (size_t)(lead & 0x1f);
    }
    return has(r, size) ? size : 0;
}

static bool take(pw_mp *r, head *h, pawl_type want)
{
    if (read_head(r, h) && h->type == want) {
        return true;
    }
    r->bad = true;
    return false;
}

pw_mp pw_mp_reader(const void *data, size_t size)
{
    return (pw_mp){.p = data, .end = size > 0 ? (const uint8_t *)data + size : data, .bad = false};
}

bool pw_mp_ok(const pw_mp *r)
{
    return !r->bad;
}

bool pw_mp_at_end(const pw_mp *r)
{
    return r->p == r->end;
}

pawl_type pw_mp_peek(const pw_mp *r)
{
    head h;
    if (has(r, 1) && (r->p[0] < 0x80 || r->p[0] >= 0xe0)) {
        return PAWL_INT;
    }
    if (has(r, 1) && (r->p[0] & 0xf0) == 0x80 && has(r, 1 + 2 * (size_t)(r->p[0] & 0x0f))) {
        return PAWL_MAP;
    }
    return read_head(r, &h) ? h.type : PAWL_NIL;
}

bool pw_mp_read_nil(pw_mp *r)
{
    if (r->bad || r->p == r->end || *r->p != 0xc0) {
        return false;
    }
    r->p++;
    return true;
}

bool pw_mp_read_bool(pw_mp *r)
{
    head h;
    if (!take(r, &h, PAWL_BOOL)) {
        return false;
    }
    r->p += h.head_size;
    return h.bits != 0;
}

int64_t pw_mp_read_int(pw_mp *r)
{
    head h;
    int64_t n;
    if (short_int(r, &n)) {
        return n;
    }
    if (!take(r, &h, PAWL_INT) || h.is_uint) {
        r->bad = true;
        return 0;
    }
    r->p += h.head_size;
    return (int64_t)h.bits;
}

uint64_t pw_mp_read_uint(pw_mp *r)
{
    head h;
    uint64_t n;
    if (long_uint(r, &n)) {
        return n;
    }
    if (has(r, 1) && r->p[0] < 0x80) {
        return *r->p++;
    }
    if (!take(r, &h, PAWL_INT) || (!h.is_uint && (int64_t)h.bits < 0)) {
        r->bad = true;
        return 0;
    }
    r->p += h.head_size;
    return h.bits;
}

double pw_mp_read_double(pw_mp *r)
{
    head h;
    if (!read_head(r, &h) || (h.type != PAWL_DOUBLE && h.type != PAWL_INT)) {
        r->bad = true;
        return 0;
    }
    r->p += h.head_size;
    if (h.type == PAWL_INT) {
        return h.is_uint ? (double)h.bits : (double)(int64_t)h.bits;
    }
    double d;
    memcpy(&d, &h.bits, sizeof d);
    return d;
}

pw_view pw_mp_read_str(pw_mp *r)
{
    head h;
    pw_view text;
    if (short_str(r, &text)) {
        return text;
    }
    if (pw_mp_read_nil(r)) {
        return (pw_view){NULL, 0};
    }
    if (!read_head(r, &h) || h.is_ext || (h.type != PAWL_STRING && h.type != PAWL_BYTES)) {
        r->bad = true;
        return (pw_view){NULL, 0};
    }
    pw_view v = {r->p + h.head_size, h.body_size};
    r->p += h.head_size + h.body_size;
    return v;
}

static size_t read_count(pw_mp *r, pawl_type type)
{
    head h;
    size_t n;
    if (short_count(r, type == PAWL_MAP ? 0x80 : 0x90, type == PAWL_MAP ? 2 : 1, &n)) {
        return n;
    }
    if (!take(r, &h, type)) {
        return 0;
    }
    r->p += h.head_size;
    return h.count;
}

size_t pw_mp_read_array(pw_mp *r)
{
    return read_count(r, PAWL_ARRAY);
}

size_t pw_mp_read_map(pw_mp *r)
{
    return read_count(r, PAWL_MAP);
}

/* Passes one leaf, or the head of what holds others, and says how many; false: not well formed. */
static bool pass_one(pw_mp *r, size_t *ret_inner)
{
    size_t leaf = leaf_size(r);
    *ret_inner = 0;
    if (leaf > 0) {
        r->p += leaf;
        return true;
    }
    head h;
    if (!read_head(r, &h)) {
        return false;
    }
    r->p += h.head_size + h.body_size;
    *ret_inner = h.type == PAWL_MAP ? 2 * h.count : h.type == PAWL_ARRAY ? h.count : 0;
    return true;
}

/* Apart, so that a leaf needs no kilobyte of stack: workflow code has small stacks, and each page of them is touched for every run. */
__attribute__((noinline)) static pw_view read_nested(pw_mp *r)
{
    const uint8_t *from = r->p;
    size_t left[PW_DEPTH_MAX];
    size_t inner = 0;
    int depth = 0;
    while (pass_one(r, &inner)) {
        if (inner > 0) {
            if (depth == PW_DEPTH_MAX) {
                break;
            }
            left[depth++] = inner;
            continue;
        }
        while (depth > 0 && --left[depth - 1] == 0) {
            depth--;
        }
        if (depth == 0) {
            return (pw_view){from, (size_t)(r->p - from)};
        }
    }
    r->p = from;
    r->bad = true;
    return (pw_view){NULL, 0};
}

pw_view pw_mp_read_raw(pw_mp *r)
{
    size_t leaf = leaf_size(r);
    if (leaf == 0) {
        return read_nested(r);
    }
    r->p += leaf;
    return (pw_view){r->p - leaf, leaf};
}

void pw_mp_skip(pw_mp *r)
{
    (void)pw_mp_read_raw(r);
}

/* Most keys are short, and most values leaves. False: not well formed. */
static inline bool next_pair(pw_mp *r, pw_view *ret_key, pw_view *ret)
{
    if (!short_str(r, ret_key)) {
        *ret_key = pw_mp_read_str(r);
    }
    size_t leaf = leaf_size(r);
    *ret = (pw_view){r->p, leaf};
    if (leaf > 0) {
        r->p += leaf;
    } else {
        *ret = read_nested(r);
    }
    return !r->bad;
}

bool pw_mp_find(pw_mp *r, pw_view key, pw_view *ret)
{
    pw_view k, v;
    for (size_t n = pw_mp_read_map(r); n > 0 && next_pair(r, &k, &v); n--) {
        if (pw_view_eq(k, key)) {
            *ret = v;
            return true;
        }
    }
    return false;
}

void pw_mp_pick(pw_mp *r, const pw_view *keys, size_t len, pw_view *ret)
{
    pw_view k, v;
    memset(ret, 0, len * sizeof *ret);
    for (size_t n = pw_mp_read_map(r); n > 0 && next_pair(r, &k, &v); n--) {
        for (size_t i = 0; i < len; i++) {
            if (keys[i].size == k.size && ret[i].data == NULL &&
                memcmp(keys[i].data, k.data, k.size) == 0) {
                ret[i] = v;
                break;
            }
        }
    }
}

bool pw_mp_read_ext(pw_mp *r, int type, pw_view *ret_data)
{
    head h;
    if (!has(r, 1) || r->p[0] < 0xc7 || r->p[0] > 0xd8) { /* no extension begins like that */
        return false;
    }
    if (!read_head(r, &h) || !h.is_ext || h.ext_type != type) {
        return false;
    }
    *ret_data = (pw_view){r->p + h.head_size, h.body_size};
    r->p += h.head_size + h.body_size;
    return true;
}

/* ---- checking ---- */

bool pw_utf8_ok(const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size;) {
        size_t n = pw_utf8_len(p + i, size - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

/* What the JSON reader makes of an integer that int64 does not hold. */
static bool digits_ok(const uint8_t *p, size_t size)
{
    size_t sign = size > 0 && p[0] == '-' ? 1 : 0;
    if (size == sign || p[sign] == '0') {
        return false;
    }
    for (size_t i = sign; i < size; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
    }
    return true;
}

typedef struct check_level {
    size_t left;
    bool map;
} check_level;

static const char *check_one(pw_mp *r, bool is_key, head *h)
{
    if (!read_head(r, h)) {
        return "the bytes end early or are not msgpack";
    }
    if (is_key && h->type != PAWL_STRING) {
        return "a map key is not a string";
    }
    if (h->type == PAWL_STRING && !pw_utf8_ok(r->p + h->head_size, h->body_size)) {
        return "a string is not UTF-8";
    }
    if (h->type == PAWL_BIGINT && !digits_ok(r->p + h->head_size, h->body_size)) {
        return "a number of many digits has more than digits";
    }
    r->p += h->head_size + h->body_size;
    return NULL;
}

static pawl_status check(const void *data, size_t size, bool refs, pawl_error *err)
{
    if (size > PW_VALUE_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a value of %zu bytes is larger than %u", size,
                      PW_VALUE_BYTES_MAX);
    }
    pw_mp r = pw_mp_reader(data, size);
    check_level stack[PW_DEPTH_MAX];
    int depth = 0;
    do {
        bool is_key = depth > 0 && stack[depth - 1].map && stack[depth - 1].left % 2 == 0;
        head h;
        const char *why = check_one(&r, is_key, &h);
        if (why != NULL) {
            return pw_err(err, PAWL_PARSE, "%s (byte %zu)", why, size - (size_t)(r.end - r.p));
        }
        if (!refs && h.is_ext && h.ext_type == PW_EXT_BLOB) {
            return pw_err(
                err, PAWL_INVALID,
                "a reference to a payload in a journal stands where the payload itself should");
        }
        size_t inner = h.type == PAWL_MAP ? 2 * h.count : h.type == PAWL_ARRAY ? h.count : 0;
        if (inner > 0) {
            if (depth == PW_DEPTH_MAX) {
                return pw_err(err, PAWL_LIMIT, "nested deeper than %d", PW_DEPTH_MAX);
            }
            stack[depth++] = (check_level){inner, h.type == PAWL_MAP};
            continue;
        }
        while (depth > 0 && --stack[depth - 1].left == 0) {
            depth--;
        }
    } while (depth > 0);
    return pw_mp_at_end(&r) ? PAWL_OK
                            : pw_err(err, PAWL_PARSE, "bytes follow the value (byte %zu)",
                                     size - (size_t)(r.end - r.p));
}

pawl_status pw_mp_check(const void *data, size_t size, pawl_error *err)
{
    return check(data, size, true, err);
}

pawl_status pw_mp_check_given(const void *data, size_t size, pawl_error *err)
{
    return check(data, size, false, err);
}

bool pw_view_eq(pw_view a, pw_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool pw_view_is(pw_view a, const char *text)
{
    size_t n = strlen(text);
    return a.size == n && (n == 0 || memcmp(a.data, text, n) == 0);
}
