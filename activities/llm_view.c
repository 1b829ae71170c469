/*
 * llm_view.c - fields and elements of msgpack, in place. Every lookup walks its map: they are small. Does not check well-formedness beyond
 * what the reader does, and does not copy.
 */
#include "activities/llm_view.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "sdk/base/amounts.h"
#include "sdk/base/limits.h"

pw_view pw_view_of(const char *text)
{
    return text != NULL ? (pw_view){(const uint8_t *)text, strlen(text)} : (pw_view){NULL, 0};
}

pawl_type pw_view_type(pw_view v)
{
    pw_mp r = pw_mp_reader(v.data, v.size);
    return v.data != NULL ? pw_mp_peek(&r) : PAWL_NIL;
}

pw_view pw_view_text(pw_view v)
{
    const pawl_type type = pw_view_type(v);
    if (type != PAWL_STRING && type != PAWL_BYTES) {
        return (pw_view){NULL, 0};
    }
    pw_mp r = pw_mp_reader(v.data, v.size);
    const pw_view text = pw_mp_read_str(&r);
    if (r.bad) { /* an extension */
        return (pw_view){NULL, 0};
    }
    return text.data != NULL ? text : (pw_view){(const uint8_t *)"", 0};
}

bool pw_view_starts(pw_view text, const char *with)
{
    const size_t n = strlen(with);
    return text.size >= n && memcmp(text.data, with, n) == 0;
}

bool pw_view_has(pw_view text, const char *part)
{
    const size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.size; i++) {
        if (strncasecmp((const char *)text.data + i, part, n) == 0) {
            return true;
        }
    }
    return false;
}

int pw_view_depth(pw_view v)
{
    size_t left[PW_DEPTH_MAX];
    int depth = 0;
    int deepest = 0;
    pw_mp r = pw_mp_reader(v.data, v.size);
    do {
        const pawl_type type = pw_mp_peek(&r);
        size_t inner = 0;
        if (type == PAWL_MAP) {
            inner = 2 * pw_mp_read_map(&r);
        } else if (type == PAWL_ARRAY) {
            inner = pw_mp_read_array(&r);
        } else {
            pw_mp_skip(&r);
        }
        if (r.bad || (inner > 0 && depth == PW_DEPTH_MAX)) {
            return INT_MAX;
        }
        const int here = depth + (type == PAWL_MAP || type == PAWL_ARRAY ? 1 : 0);
        deepest = here > deepest ? here : deepest;
        if (inner > 0) {
            left[depth++] = inner;
            continue;
        }
        while (depth > 0 && --left[depth - 1] == 0) {
            depth--;
        }
    } while (depth > 0);
    return deepest;
}

void pw_view_copy(char *ret, size_t size, pw_view text)
{
    size_t n = text.size < size - 1 ? text.size : size - 1;
    while (n > 0 && n < text.size && (text.data[n] & 0xc0) == 0x80) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        ret[i] = text.data[i] < 0x20 ? ' ' : (char)text.data[i];
    }
    ret[n] = '\0';
}

/* ---- maps ---- */

pw_each pw_each_of(pw_view v)
{
    pw_each each = {.r = pw_mp_reader(v.data, v.size)};
    const pawl_type type = pw_view_type(v);
    each.map = type == PAWL_MAP;
    each.left = each.map             ? pw_mp_read_map(&each.r)
                : type == PAWL_ARRAY ? pw_mp_read_array(&each.r)
                                     : 0;
    each.index = SIZE_MAX;
    return each;
}

bool pw_each_next(pw_each *each)
{
    if (each->left == 0) {
        return false;
    }
    each->left--;
    each->index++;
    each->key = each->map ? pw_mp_read_str(&each->r) : (pw_view){NULL, 0};
    each->value = pw_mp_read_raw(&each->r);
    return !each->r.bad;
}

pw_view pw_field(pw_view map, const char *key)
{
    pw_each each = pw_each_of(map);
    if (!each.map) {
        return (pw_view){NULL, 0};
    }
    while (pw_each_next(&each)) {
        if (pw_view_is(each.key, key)) {
            return *each.value.data == 0xc0 ? (pw_view){NULL, 0} : each.value;
        }
    }
    return (pw_view){NULL, 0};
}

pw_view pw_field_in(pw_view map, const char *outer, const char *key)
{
    return pw_field(pw_field(map, outer), key);
}

pw_view pw_field_text(pw_view map, const char *key)
{
    const pw_view v = pw_field(map, key);
    return pw_view_type(v) == PAWL_STRING ? pw_view_text(v) : (pw_view){NULL, 0};
}

bool pw_field_is(pw_view map, const char *key, const char *text)
{
    return pw_view_is(pw_field_text(map, key), text);
}

int64_t pw_field_int(pw_view map, const char *key, int64_t otherwise)
{
    const pw_view v = pw_field(map, key);
    const pawl_type type = pw_view_type(v);
    pw_mp r = pw_mp_reader(v.data, v.size);
    if (type == PAWL_DOUBLE) {
        const double d = pw_mp_read_double(&r);
        return d >= -9.2e18 && d <= 9.2e18 ? (int64_t)d : otherwise;
    }
    const int64_t n = type == PAWL_INT ? pw_mp_read_int(&r) : otherwise;
    return r.bad ? otherwise : n;
}

int64_t pw_field_tokens(pw_view map, const char *key)
{
    const pawl_type type = pw_view_type(pw_field(map, key));
    const int64_t n = pw_field_int(map, key, type == PAWL_NIL ? 0 : PW_TOKENS_NONE);
    return n >= 0 && n <= PW_AMOUNT_MAX ? n : PW_TOKENS_NONE;
}

bool pw_field_bool(pw_view map, const char *key, bool otherwise)
{
    const pw_view v = pw_field(map, key);
    pw_mp r = pw_mp_reader(v.data, v.size);
    return pw_view_type(v) == PAWL_BOOL ? pw_mp_read_bool(&r) : otherwise;
}
