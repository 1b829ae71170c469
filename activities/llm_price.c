/*
 * llm_price.c - price tables, and what a usage costs. Prices are kept as whole pico-dollars for a token, so that sums are exact; the end is
 * rounded up to nano-dollars. Does not ship prices (they would be old) and does not guess one that is missing.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "activities/llm.h"
#include "activities/llm_view.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

/* A dollar for each token: more is a mistake in the table. */
#define DOLLARS_PER_MILLION_MAX 1e6

static const char *const classes[] = {"input",          "cache_read", "cache_write",
                                      "cache_write_1h", "output",     "reasoning"};

static bool read_price(pw_view row, const char *class, int64_t *ret_pico)
{
    const pw_view v = pw_field(row, class);
    const pawl_type type = pw_view_type(v);
    pw_mp r = pw_mp_reader(v.data, v.size);
    const double d = type == PAWL_INT || type == PAWL_DOUBLE ? pw_mp_read_double(&r) : -1;
    if (!(d >= 0 && d <= DOLLARS_PER_MILLION_MAX)) {
        return false;
    }
    *ret_pico = llround(d * 1e6);
    return true;
}

/* "2026-01-31" as the milliseconds it begins at, UTC; -1 when it is no day. */
static int64_t day_of(pw_view text)
{
    char s[11] = "";
    struct tm day = {0};
    int year = 0, month = 0, mday = 0, end = 0;
    if (text.size != 10) {
        return -1;
    }
    memcpy(s, text.data, 10);
    if (sscanf(s, "%4d-%2d-%2d%n", &year, &month, &mday, &end) != 3 || end != 10 || year < 1970 ||
        month < 1 || month > 12 || mday < 1 || mday > 31) {
        return -1;
    }
    day.tm_year = year - 1900;
    day.tm_mon = month - 1;
    day.tm_mday = mday;
    return (int64_t)timegm(&day) * 1000;
}

static pawl_status read_from(pw_view row, size_t index, int64_t *ret_ms, pawl_error *err)
{
    const pw_view from = pw_field(row, "from");
    *ret_ms = pw_view_none(from) ? 0 : day_of(pw_field_text(row, "from"));
    return *ret_ms >= 0
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID, "prices[%zu].from must be a day, as 2026-01-31", index);
}

static pawl_status put_row(pw_buf *out, pw_view row, size_t index, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    size_t len = 4;
    int64_t from_ms = 0;
    const pw_view model = pw_field_text(row, "model");
    const pw_view provider = pw_field_text(row, "provider");
    if (pw_view_none(model) || pw_field_int(row, "above_input", 0) < 0) {
        return pw_err(err, PAWL_INVALID,
                      "prices[%zu] needs a model, and above_input is a number of tokens", index);
    }
    for (size_t i = 0; i < PW_COUNT(classes); i++) {
        int64_t pico = 0;
        const bool said = !pw_view_none(pw_field(row, classes[i]));
        const bool needed = strcmp(classes[i], "input") == 0 || strcmp(classes[i], "output") == 0;
        if ((said || needed) && !read_price(row, classes[i], &pico)) {
            return pw_err(err, PAWL_INVALID, "prices[%zu].%s must be dollars for a million tokens",
                          index, classes[i]);
        }
        if (said) {
            pw_mp_str(&pairs, classes[i]);
            pw_mp_int(&pairs, pico);
            len++;
        }
    }
    const pawl_status st = read_from(row, index, &from_ms, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_mp_map(out, len);
    pw_mp_str(out, "from");
    pw_mp_int(out, from_ms);
    pw_mp_str(out, "model");
    pw_mp_strn(out, (const char *)model.data, model.size);
    pw_mp_str(out, "provider");
    pw_mp_strn(out, pw_view_none(provider) ? "*" : (const char *)provider.data,
               pw_view_none(provider) ? 1 : provider.size);
    pw_mp_str(out, "above_input");
    pw_mp_int(out, pw_field_int(row, "above_input", -1));
    pw_buf_put(out, pairs.data, pairs.size);
    out->failed |= pairs.failed;
    return PAWL_OK;
}

pawl_status pw_llm_prices_read(pawl_scope *scope, const char *text, size_t size,
                               const pawl_value **ret_prices, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    const pawl_value *table = NULL;
    pawl_status st = pawl_parse_json(scope, text, size, &table, err);
    if (st != PAWL_OK) {
        return st;
    }
    const pw_view v = pw_value_bytes(table);
    const pw_view rows = pw_field(v, "prices");
    const pw_view currency = pw_field_text(v, "currency");
    if (pw_view_type(rows) != PAWL_ARRAY ||
        (!pw_view_none(currency) && !pw_view_is(currency, "USD"))) {
        return pw_err(err, PAWL_INVALID, "a price table needs prices: [...], in USD");
    }
    pw_each each = pw_each_of(rows);
    pw_mp_array(&out, each.left);
    while (st == PAWL_OK && pw_each_next(&each)) {
        st = put_row(&out, each.value, each.index, err);
    }
    return st == PAWL_OK && !out.failed
               ? pawl_from_msgpack(scope, out.data, out.size, ret_prices, err)
           : st == PAWL_OK ? pw_err(err, PAWL_NOMEM, "no memory for a price table")
                           : st;
}

/* `*` stands for anything; one place to come back to is enough. */
static bool matches(pw_view pattern, pw_view text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.size && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.size;
}

static void add(uint64_t *sum, int64_t tokens, int64_t pico)
{
    uint64_t cost;
    if (tokens <= 0 || pico <= 0) {
        return;
    }
    if (__builtin_mul_overflow((uint64_t)tokens, (uint64_t)pico, &cost) ||
        __builtin_add_overflow(*sum, cost, sum)) {
        *sum = UINT64_MAX;
    }
}

static int64_t part(int64_t whole, int64_t of)
{
    return whole < 0 ? 0 : whole < of ? whole : of;
}

static int64_t cost_of(pw_view row, pw_view usage)
{
    const int64_t input = pw_field_int(usage, "input", 0);
    const int64_t output = pw_field_int(usage, "output", 0);
    const int64_t cache_read = part(pw_field_int(usage, "cache_read", 0), input);
    const int64_t cache_write = part(pw_field_int(usage, "cache_write", 0), input - cache_read);
    const int64_t hour = part(pw_field_int(usage, "cache_write_1h", 0), cache_write);
    const int64_t reasoning = part(pw_field_int(usage, "reasoning", 0), output);
    const int64_t in_price = pw_field_int(row, "input", 0);
    const int64_t out_price = pw_field_int(row, "output", 0);
    const int64_t write_price = pw_field_int(row, "cache_write", in_price);
    uint64_t pico = 0;
    add(&pico, input - cache_read - cache_write, in_price);
    add(&pico, cache_read, pw_field_int(row, "cache_read", in_price));
    add(&pico, cache_write - hour, write_price);
    add(&pico, hour, pw_field_int(row, "cache_write_1h", write_price));
    add(&pico, output - reasoning, out_price);
    add(&pico, reasoning, pw_field_int(row, "reasoning", out_price));
    return pico == UINT64_MAX ? INT64_MAX : (int64_t)(pico / 1000 + (pico % 1000 > 0 ? 1 : 0));
}

pawl_status pw_llm_cost(const pawl_value *prices, const char *provider, const char *model,
                        const pawl_value *usage, int64_t at_ms, int64_t *ret_nano_dollars)
{
    const pw_view used = pw_value_bytes(usage);
    pw_each each = pw_each_of(pw_value_bytes(prices));
    while (pw_each_next(&each)) {
        if (matches(pw_field_text(each.value, "model"), pw_view_of(model)) &&
            matches(pw_field_text(each.value, "provider"), pw_view_of(provider)) &&
            pw_field_int(each.value, "from", 0) <= at_ms &&
            pw_field_int(used, "input", 0) > pw_field_int(each.value, "above_input", -1)) {
            *ret_nano_dollars = cost_of(each.value, used);
            return PAWL_OK;
        }
    }
    return PAWL_NOTFOUND;
}
