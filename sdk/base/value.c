/*
 * value.c - reading values by path, comparing, and making single ones. Building from templates is build.c.
 *
 * A value is a view of msgpack; getters walk the bytes each time. Does not index: values are small or walked once.
 */
#include "sdk/base/value.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/limits.h"

const pawl_value *pw_value_view(pawl_scope *scope, const void *data, size_t size)
{
    if (size == 0 || *(const uint8_t *)data == 0xc0) {
        return NULL;
    }
    pawl_value *v = pw_alloc(scope, sizeof *v);
    if (v != NULL) {
        *v = (pawl_value){.data = data, .size = size, .scope = scope};
    }
    return v;
}

const pawl_value *pw_value_copy(pawl_scope *scope, const void *data, size_t size)
{
    if (size == 0 || *(const uint8_t *)data == 0xc0) {
        return NULL;
    }
    void *copy = pw_memdup(scope, data, size);
    return copy != NULL ? pw_value_view(scope, copy, size) : NULL;
}

pw_view pw_value_bytes(const pawl_value *v)
{
    static const uint8_t nil[1] = {0xc0};
    return v != NULL ? (pw_view){v->data, v->size} : (pw_view){nil, 1};
}

static pw_mp reader(const pawl_value *v)
{
    pw_view bytes = pw_value_bytes(v);
    return pw_mp_reader(bytes.data, bytes.size);
}

pawl_type pawl_typeof(const pawl_value *v)
{
    pw_mp r = reader(v);
    return pw_mp_peek(&r);
}

/* ---- walking ---- */

static bool find_index(pw_mp *r, size_t index, pw_view *ret)
{
    bool map = pw_mp_peek(r) == PAWL_MAP;
    size_t n = map ? pw_mp_read_map(r) : pw_mp_read_array(r);
    if (index >= n) {
        return false;
    }
    for (size_t i = 0; i <= index && pw_mp_ok(r); i++) {
        if (map) {
            pw_mp_skip(r);
        }
        *ret = pw_mp_read_raw(r);
    }
    return pw_mp_ok(r);
}

static bool parse_index(pw_view part, size_t *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < part.size; i++) {
        if (part.data[i] < '0' || part.data[i] > '9' || n > SIZE_MAX / 20) {
            return false;
        }
        n = n * 10 + (size_t)(part.data[i] - '0');
    }
    *ret = n;
    return part.size > 0;
}

static bool walk(const pawl_value *v, const char *path, pw_view *ret)
{
    *ret = pw_value_bytes(v);
    while (path != NULL && path[0] != 0) {
        const char *dot = strchr(path, '.');
        size_t len = dot != NULL ? (size_t)(dot - path) : strlen(path);
        pw_view part = {(const uint8_t *)path, len};
        pw_mp r = pw_mp_reader(ret->data, ret->size);
        pawl_type t = pw_mp_peek(&r);
        size_t index;
        bool found = (t == PAWL_MAP && pw_mp_find(&r, part, ret)) ||
                     (t == PAWL_ARRAY && parse_index(part, &index) && find_index(&r, index, ret));
        if (!found) {
            return false;
        }
        path = dot != NULL ? dot + 1 : NULL;
    }
    return true;
}

const pawl_value *pawl_get(const pawl_value *v, const char *path)
{
    pw_view at;
    if (v == NULL || !walk(v, path, &at)) {
        return NULL;
    }
    return pw_value_view(v->scope, at.data, at.size);
}

const pawl_value *pawl_at(const pawl_value *v, size_t index)
{
    pw_view at;
    pw_mp r = reader(v);
    pawl_type t = pw_mp_peek(&r);
    if (v == NULL || (t != PAWL_ARRAY && t != PAWL_MAP) || !find_index(&r, index, &at)) {
        return NULL;
    }
    return pw_value_view(v->scope, at.data, at.size);
}

const char *pawl_key_at(const pawl_value *v, size_t index)
{
    pw_mp r = reader(v);
    if (v == NULL || pw_mp_peek(&r) != PAWL_MAP) {
        return NULL;
    }
    size_t n = pw_mp_read_map(&r);
    for (size_t i = 0; i < n && pw_mp_ok(&r); i++) {
        pw_view key = pw_mp_read_str(&r);
        if (i == index && pw_mp_ok(&r)) {
            return pw_strndup(v->scope, (const char *)key.data, key.size);
        }
        pw_mp_skip(&r);
    }
    return NULL;
}

size_t pawl_len(const pawl_value *v)
{
    pw_mp r = reader(v);
    switch (pw_mp_peek(&r)) {
    case PAWL_ARRAY:
        return pw_mp_read_array(&r);
    case PAWL_MAP:
        return pw_mp_read_map(&r);
    case PAWL_STRING:
    case PAWL_BYTES:
        return pw_mp_read_str(&r).size;
    case PAWL_NIL:
    case PAWL_BOOL:
    case PAWL_INT:
    case PAWL_DOUBLE:
    case PAWL_BIGINT:
        break;
    }
    return 0;
}

/* ---- scalars ---- */

const char *pawl_str(const pawl_value *v, const char *path, const char *otherwise)
{
    pw_view at;
    if (v == NULL || !walk(v, path, &at)) {
        return otherwise;
    }
    pw_mp r = pw_mp_reader(at.data, at.size);
    pw_view text;
    if (!pw_mp_read_ext(&r, PW_EXT_BIGINT, &text)) {
        if (pw_mp_peek(&r) != PAWL_STRING) {
            return otherwise;
        }
        text = pw_mp_read_str(&r);
    }
    const char *copy = pw_strndup(v->scope, (const char *)text.data, text.size);
    return copy != NULL ? copy : otherwise;
}

static bool scalar(const pawl_value *v, const char *path, pw_mp *ret, pawl_type *ret_type)
{
    pw_view at;
    if (v == NULL || !walk(v, path, &at)) {
        return false;
    }
    *ret = pw_mp_reader(at.data, at.size);
    *ret_type = pw_mp_peek(ret);
    return true;
}

int64_t pawl_int(const pawl_value *v, const char *path, int64_t otherwise)
{
    pw_mp r;
    pawl_type t;
    if (!scalar(v, path, &r, &t)) {
        return otherwise;
    }
    if (t == PAWL_DOUBLE) {
        double d = pw_mp_read_double(&r);
        return d >= -9.2e18 && d <= 9.2e18 ? (int64_t)d : otherwise;
    }
    int64_t n = t == PAWL_INT ? pw_mp_read_int(&r) : otherwise;
    return pw_mp_ok(&r) ? n : otherwise;
}

double pawl_num(const pawl_value *v, const char *path, double otherwise)
{
    pw_mp r;
    pawl_type t;
    return scalar(v, path, &r, &t) && (t == PAWL_DOUBLE || t == PAWL_INT) ? pw_mp_read_double(&r)
                                                                          : otherwise;
}

bool pawl_bool(const pawl_value *v, const char *path, bool otherwise)
{
    pw_mp r;
    pawl_type t;
    return scalar(v, path, &r, &t) && t == PAWL_BOOL ? pw_mp_read_bool(&r) : otherwise;
}

bool pawl_is(const pawl_value *v, const char *path, const char *text)
{
    pw_mp r;
    pawl_type t;
    return scalar(v, path, &r, &t) && t == PAWL_STRING && pw_view_is(pw_mp_read_str(&r), text);
}

const void *pawl_data(const pawl_value *v, const char *path, size_t *ret_size)
{
    pw_mp r;
    pawl_type t;
    if (!scalar(v, path, &r, &t) || (t != PAWL_STRING && t != PAWL_BYTES)) {
        return NULL;
    }
    pw_view bytes = pw_mp_read_str(&r);
    if (!pw_mp_ok(&r)) {
        return NULL;
    }
    *ret_size = bytes.size;
    return bytes.data;
}

bool pawl_equal(const pawl_value *a, const pawl_value *b)
{
    pw_view x = pw_value_bytes(a);
    pw_view y = pw_value_bytes(b);
    if (pw_view_eq(x, y)) {
        return true;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf ca = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf cb = PW_BUF_INIT;
    return pw_canon(&ca, x.data, x.size) && pw_canon(&cb, y.data, y.size) && ca.size == cb.size &&
           memcmp(ca.data, cb.data, ca.size) == 0;
}

/* ---- making ---- */

static const pawl_value *from_buf(pawl_scope *scope, pw_buf *buf)
{
    const pawl_value *v = pw_buf_ok(buf) ? pw_value_copy(scope, buf->data, buf->size) : NULL;
    if (buf->failed && !buf->full) {
        pw_scope_fail(scope);
    }
    pw_buf_deinit(buf);
    return v;
}

const pawl_value *pawl_make_strn(pawl_scope *scope, const char *text, size_t size)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_text(&b, text, size);
    return from_buf(scope, &b);
}

const pawl_value *pawl_make_str(pawl_scope *scope, const char *text)
{
    return text != NULL ? pawl_make_strn(scope, text, strlen(text)) : NULL;
}

const pawl_value *pawl_make_bytes(pawl_scope *scope, const void *data, size_t size)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_bin(&b, data, size);
    return from_buf(scope, &b);
}

const pawl_value *pawl_make_int(pawl_scope *scope, int64_t n)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_int(&b, n);
    return from_buf(scope, &b);
}

const pawl_value *pawl_make_num(pawl_scope *scope, double n)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_double(&b, n);
    return from_buf(scope, &b);
}

const pawl_value *pawl_make_bool(pawl_scope *scope, bool n)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_bool(&b, n);
    return from_buf(scope, &b);
}

const pawl_value *pawl_make_array(pawl_scope *scope, const pawl_value *const *items, size_t len)
{
    pw_buf b = PW_BUF_INIT;
    pw_mp_array(&b, len);
    for (size_t i = 0; i < len; i++) {
        pw_mp_value(&b, items[i]);
    }
    return from_buf(scope, &b);
}

const pawl_value *pawl_with(pawl_scope *scope, const pawl_value *map, const char *key,
                            const pawl_value *value)
{
    pw_mp r = reader(map);
    size_t n = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;
    pw_buf pairs = PW_BUF_INIT;
    size_t kept = 0;
    for (size_t i = 0; i < n && pw_mp_ok(&r); i++) {
        pw_view k = pw_mp_read_str(&r);
        pw_view v = pw_mp_read_raw(&r);
        if (!pw_view_is(k, key)) {
            pw_mp_strn(&pairs, (const char *)k.data, k.size);
            pw_buf_put(&pairs, v.data, v.size);
            kept++;
        }
    }
    pw_buf b = PW_BUF_INIT;
    pw_mp_map(&b, kept + 1);
    pw_buf_put(&b, pairs.data, pairs.size);
    b.failed |= pairs.failed;
    b.full |= pairs.full;
    pw_buf_deinit(&pairs);
    pw_mp_str(&b, key);
    pw_mp_value(&b, value);
    return from_buf(scope, &b);
}

const pawl_value *pawl_copy(pawl_scope *scope, const pawl_value *v)
{
    return v != NULL ? pw_value_copy(scope, v->data, v->size) : NULL;
}

const void *pawl_to_msgpack(const pawl_value *v, size_t *ret_size)
{
    pw_view bytes = pw_value_bytes(v);
    *ret_size = bytes.size;
    return bytes.data;
}

pawl_status pawl_from_msgpack(pawl_scope *scope, const void *data, size_t size,
                              const pawl_value **ret_value, pawl_error *err)
{
    pawl_status st = pw_mp_check_given(data, size, err);
    if (st != PAWL_OK) {
        return st;
    }
    const pawl_value *v = pw_value_copy(scope, data, size);
    if (v == NULL && *(const uint8_t *)data != 0xc0) {
        return pw_err(err, PAWL_NOMEM, "no memory for a value of %zu bytes", size);
    }
    *ret_value = v;
    return PAWL_OK;
}
