/*
 * amounts.c - amounts of units, from values and back.
 *
 * Does not know budgets: engine/budget.c does.
 */
#include "sdk/base/amounts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/error.h"

#define MICRO 1e6

static const char *const keys[PW_UNITS] = {
#define U(name, key) #key,
    PW_UNITS_LIST(U)
#undef U
};

const char *const pw_spent_beside[] = {"model", "unpriced", "unknown", NULL};

const char *pw_unit_key(pw_unit unit)
{
    return unit < PW_UNITS ? keys[unit] : "";
}

pw_unit pw_unit_named(pw_view key)
{
    pw_unit u = PW_UNIT_USD;
    while (u < PW_UNITS && !pw_view_is(key, keys[u])) {
        u++;
    }
    return u;
}

static bool is_other(pw_view key, const char *const *others)
{
    for (size_t i = 0; others != NULL && others[i] != NULL; i++) {
        if (pw_view_is(key, others[i])) {
            return true;
        }
    }
    return false;
}

/* 0.1 + 0.2 is not a micro-dollar more than 0.3. */
static int64_t rounded(double d, bool up)
{
    double whole = nearbyint(d);
    return (int64_t)(up && fabs(d - whole) > 1e-6 ? ceil(d) : whole);
}

static pawl_status read_one(pw_view raw, pw_unit unit, bool up, int64_t *ret, pawl_error *err)
{
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    pawl_type type = pw_mp_peek(&r);
    double d = type == PAWL_INT || type == PAWL_DOUBLE ? pw_mp_read_double(&r) : -1;
    d = unit == PW_UNIT_USD ? d * MICRO : d;
    if (!(d >= 0 && d <= (double)PW_AMOUNT_MAX)) {
        return pw_err(err, PAWL_INVALID, "%s must be a number, 0 or more", keys[unit]);
    }
    *ret = rounded(d, up);
    return PAWL_OK;
}

static pawl_status open_map(pw_view map, pw_mp *ret_reader, size_t *ret_pairs, pawl_error *err)
{
    *ret_reader = pw_mp_reader(map.data, map.size);
    *ret_pairs = 0;
    if (map.size == 0 || pw_mp_peek(ret_reader) == PAWL_NIL) {
        return PAWL_OK;
    }
    if (pw_mp_peek(ret_reader) != PAWL_MAP) {
        return pw_err(err, PAWL_INVALID, "amounts are a map, as {usd: 0.25, calls: 3}");
    }
    *ret_pairs = pw_mp_read_map(ret_reader);
    return PAWL_OK;
}

static pawl_status unknown_unit(pw_view key, pawl_error *err)
{
    char all[200] = "";
    size_t used = 0;
    for (pw_unit u = PW_UNIT_USD; u < PW_UNITS && used < sizeof all; u++) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", u > 0 ? ", " : "", keys[u]);
    }
    return pw_err(err, PAWL_INVALID, "\"%.*s\" is no unit: there are %s",
                  (int)(key.size < 40 ? key.size : 40), (const char *)key.data, all);
}

pawl_status pw_amounts_read(pw_view map, const char *const *others, pw_amounts *ret,
                            pawl_error *err)
{
    pw_mp r;
    size_t pairs;
    bool tokens = false;
    memset(ret, 0, sizeof *ret);
    pawl_status st = open_map(map, &r, &pairs, err);
    for (size_t i = 0; i < pairs && st == PAWL_OK; i++) {
        pw_view key = pw_mp_read_str(&r);
        pw_view raw = pw_mp_read_raw(&r);
        pw_unit u = pw_unit_named(key);
        tokens |= u == PW_UNIT_TOKENS;
        if (u < PW_UNITS) {
            st = read_one(raw, u, true, &ret->n[u], err);
        } else if (!is_other(key, others)) {
            st = unknown_unit(key, err);
        }
    }
    if (!tokens) {
        ret->n[PW_UNIT_TOKENS] = pw_sum(ret->n[PW_UNIT_INPUT], ret->n[PW_UNIT_OUTPUT]);
    }
    return st;
}

static pawl_status read_pair(pw_view raw, pw_unit u, pw_limits *l, pawl_error *err)
{
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    if (pw_mp_peek(&r) != PAWL_MAP) {
        return read_one(raw, u, false, &l->hard.n[u], err);
    }
    pawl_status st = PAWL_OK;
    size_t pairs = pw_mp_read_map(&r);
    for (size_t i = 0; i < pairs && st == PAWL_OK; i++) {
        pw_view key = pw_mp_read_str(&r);
        pw_view one = pw_mp_read_raw(&r);
        bool soft = pw_view_is(key, "soft");
        if (!soft && !pw_view_is(key, "hard")) {
            return pw_err(err, PAWL_INVALID, "%s has a soft and a hard limit, and no \"%.*s\"",
                          keys[u], (int)(key.size < 40 ? key.size : 40), (const char *)key.data);
        }
        st = read_one(one, u, false, soft ? &l->soft.n[u] : &l->hard.n[u], err);
    }
    return st;
}

pw_limits pw_limits_none(void)
{
    pw_limits l = {0};
    for (int u = 0; u < PW_UNITS; u++) {
        l.soft.n[u] = l.hard.n[u] = PW_NO_LIMIT;
    }
    return l;
}

pawl_status pw_limits_read(pw_view map, const char *const *others, pw_limits *ret, pawl_error *err)
{
    pw_mp r;
    size_t pairs;
    *ret = pw_limits_none();
    pawl_status st = open_map(map, &r, &pairs, err);
    for (size_t i = 0; i < pairs && st == PAWL_OK; i++) {
        pw_view key = pw_mp_read_str(&r);
        pw_view raw = pw_mp_read_raw(&r);
        pw_unit u = pw_unit_named(key);
        if (u < PW_UNITS) {
            st = read_pair(raw, u, ret, err);
        } else if (!is_other(key, others)) {
            st = unknown_unit(key, err);
        }
    }
    return st;
}

int64_t pw_sum(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void pw_amounts_add(pw_amounts *sum, const pw_amounts *more)
{
    for (int u = 0; u < PW_UNITS; u++) {
        sum->n[u] = pw_sum(sum->n[u], more->n[u]);
    }
}

void pw_amounts_sub(pw_amounts *sum, const pw_amounts *less)
{
    for (int u = 0; u < PW_UNITS; u++) {
        sum->n[u] = sum->n[u] > less->n[u] ? sum->n[u] - less->n[u] : 0;
    }
}

bool pw_amounts_none(const pw_amounts *a)
{
    for (int u = 0; u < PW_UNITS; u++) {
        if (a->n[u] != 0) {
            return false;
        }
    }
    return true;
}

void pw_amount_put(pw_buf *b, pw_unit unit, int64_t n)
{
    if (unit == PW_UNIT_USD) {
        pw_mp_double(b, (double)n / MICRO);
    } else {
        pw_mp_int(b, n);
    }
}

static void put_other_than(pw_buf *b, const pw_amounts *a, int64_t nothing)
{
    size_t len = 0;
    for (int u = 0; u < PW_UNITS; u++) {
        len += a->n[u] != nothing;
    }
    pw_mp_map(b, len);
    for (pw_unit u = PW_UNIT_USD; u < PW_UNITS; u++) {
        if (a->n[u] != nothing) {
            pw_mp_str(b, keys[u]);
            pw_amount_put(b, u, a->n[u]);
        }
    }
}

void pw_amounts_put(pw_buf *b, const pw_amounts *a)
{
    put_other_than(b, a, 0);
}

void pw_amounts_put_limits(pw_buf *b, const pw_amounts *a)
{
    put_other_than(b, a, PW_NO_LIMIT);
}

void pw_amount_text(pw_unit unit, int64_t n, char *ret, size_t size)
{
    if (unit == PW_UNIT_USD) {
        (void)snprintf(ret, size, "%g usd", (double)n / MICRO);
    } else {
        (void)snprintf(ret, size, "%lld %s", (long long)n, pw_unit_key(unit));
    }
}
