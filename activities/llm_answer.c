/*
 * llm_answer.c - the neutral answer, written as msgpack while a wire reads its response. Arguments of tool calls are read leniently here,
 * for all wires. Does not know any wire.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "activities/llm_wire.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

/* Room that the answer's own nesting takes of PW_DEPTH_MAX. */
#define NESTING 8

void pw_llm_answer_fail(pw_llm_answer *a, pw_llm_class class, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (a->status == PAWL_OK) {
        a->status = PAWL_FAILED;
        pw_llm_failure_set(a->failure, class, "%s", text);
    }
}

bool pw_llm_is_known(pw_view key, const char *known)
{
    for (const char *p = known; *p != '\0';) {
        const size_t n = strcspn(p, " ");
        if (key.size == n && memcmp(key.data, p, n) == 0) {
            return true;
        }
        p += n + (p[n] == ' ' ? 1 : 0);
    }
    return false;
}

static bool says_something(pw_view value)
{
    const pawl_type type = pw_view_type(value);
    return type != PAWL_NIL && !(type == PAWL_ARRAY && pw_each_of(value).left == 0);
}

bool pw_llm_has_other(pw_view map, const char *known)
{
    pw_each each = pw_each_of(map);
    while (pw_each_next(&each)) {
        if (each.map && !pw_llm_is_known(each.key, known) && says_something(each.value)) {
            return true;
        }
    }
    return false;
}

void pw_llm_say_rest(pw_llm_answer *a, pw_view key, pw_view value)
{
    if (!says_something(value)) {
        return;
    }
    pw_mp_strn(&a->rest, (const char *)key.data, key.size);
    pw_buf_put(&a->rest, value.data, value.size);
    a->rest_len++;
}

/* ---- pairs ---- */

static void pair_text(pw_buf *b, size_t *pairs, const char *key, pw_view text)
{
    if (!pw_view_none(text)) {
        pw_mp_str(b, key);
        pw_mp_strn(b, (const char *)text.data, text.size);
        (*pairs)++;
    }
}

static void pair_raw(pw_buf *b, size_t *pairs, const char *key, pw_view value)
{
    if (!pw_view_none(value)) {
        pw_mp_str(b, key);
        pw_buf_put(b, value.data, value.size);
        (*pairs)++;
    }
}

static void pair_int(pw_buf *b, size_t *pairs, const char *key, int64_t n)
{
    pw_mp_str(b, key);
    pw_mp_int(b, n);
    (*pairs)++;
}

static void pair_true(pw_buf *b, size_t *pairs, const char *key)
{
    pw_mp_str(b, key);
    pw_mp_bool(b, true);
    (*pairs)++;
}

static void put_map(pw_buf *out, size_t pairs, const pw_buf *inside)
{
    pw_mp_map(out, pairs);
    pw_buf_put(out, inside->data, inside->size);
    out->failed |= inside->failed;
}

/* ---- parts ---- */

void pw_llm_say(pw_llm_answer *a, const pw_llm_said *said)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t pairs = 0;
    pair_text(&b, &pairs, "type", pw_view_of(said->type));
    pair_text(&b, &pairs, "text", said->text);
    pair_text(&b, &pairs, "field", pw_view_of(said->field));
    pair_raw(&b, &pairs, "raw", said->raw);
    if (said->covers > 1) {
        pair_int(&b, &pairs, "covers", (int64_t)said->covers);
    }
    put_map(&a->parts, pairs, &b);
    a->parts_len++;
}

static void mint_id(const pw_llm_answer *a, char ret[40])
{
    uint8_t digest[PW_DIGEST_SIZE];
    char number[24];
    (void)snprintf(number, sizeof number, "call %zu", a->calls);
    pw_chain_next(digest, a->salt, number, strlen(number));
    memcpy(ret, PW_LLM_MINTED, sizeof PW_LLM_MINTED - 1);
    pw_hex(ret + sizeof PW_LLM_MINTED - 1, digest, 12);
}

/* Reads arguments as a map into value; true when it is one. */
static bool is_arguments(const pw_buf *value)
{
    const pw_view v = {value->data, value->size};
    return pw_view_type(v) == PAWL_MAP && pw_view_depth(v) <= PW_DEPTH_MAX - NESTING;
}

static bool read_json(pw_buf *value, pw_view text, pawl_error *err)
{
    pw_buf_reset(value);
    return pw_json_parse(value, (const char *)text.data, text.size, PW_JSON_LENIENT, NULL, err) ==
           PAWL_OK;
}

/* JSON text of an object; or JSON text in a JSON string (some models say it twice). */
static bool read_arguments(pw_buf *value, pw_view text, pawl_error *err)
{
    if (!read_json(value, text, err)) {
        return false;
    }
    if (pw_view_type((pw_view){value->data, value->size}) == PAWL_STRING) {
        PW_CLEANUP(pw_buf_deinit) pw_buf inner = PW_BUF_INIT;
        pw_buf_put(&inner, value->data, value->size);
        if (!read_json(value, pw_view_text((pw_view){inner.data, inner.size}), err)) {
            return false;
        }
    }
    if (!is_arguments(value)) {
        (void)pw_err(err, PAWL_PARSE, "not an object that can be kept");
        return false;
    }
    return true;
}

static bool mend_arguments(pw_buf *value, pw_view text)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *found = NULL;
    pw_llm_found how;
    pawl_error err;
    bool ok = scope != NULL && pw_llm_extract(scope, text, &found, &how, &err) == PAWL_OK &&
              pawl_typeof(found) == PAWL_MAP;
    if (ok) {
        const pw_view v = pw_value_bytes(found);
        pw_buf_reset(value);
        pw_buf_put(value, v.data, v.size);
        ok = is_arguments(value);
    }
    pawl_scope_free(scope);
    return ok;
}

static void arguments_of_text(pw_buf *b, size_t *pairs, pw_view text)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf value = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf print = PW_BUF_INIT;
    pawl_error err = {.status = PAWL_OK};
    const bool blank = text.size == 0;
    if (blank) {
        pw_mp_map(&value, 0);
    }
    const bool read = blank || read_arguments(&value, text, &err);
    const bool mended = !read && mend_arguments(&value, text);
    if (read || mended) {
        pair_raw(b, pairs, "arguments", (pw_view){value.data, value.size});
        pawl_error ignored;
        (void)pw_json_print(&print, value.data, value.size, 0, &ignored);
    } else {
        pair_text(b, pairs, "arguments_error", pw_view_of(err.message));
    }
    if (mended) {
        pair_true(b, pairs, "repaired");
    }
    if (!pw_view_eq(text, (pw_view){print.data, print.size})) {
        pair_text(b, pairs, "arguments_text", text.data != NULL ? text : pw_view_of(""));
    }
    b->failed |= value.failed || print.failed;
}

static void arguments_of_value(pw_buf *b, size_t *pairs, pw_view value)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pawl_error err;
    if (pw_view_none(value)) {
        pw_mp_str(b, "arguments");
        pw_mp_map(b, 0);
        (*pairs)++;
    } else if (pw_view_type(value) == PAWL_STRING) {
        arguments_of_text(b, pairs, pw_view_text(value));
    } else if (pw_view_type(value) == PAWL_MAP && pw_view_depth(value) <= PW_DEPTH_MAX - NESTING) {
        pair_raw(b, pairs, "arguments", value);
    } else {
        pair_text(b, pairs, "arguments_error", pw_view_of("not an object that can be kept"));
        (void)pw_json_print(&text, value.data, value.size, 0, &err);
        pair_text(b, pairs, "arguments_text", (pw_view){text.data, text.size});
        b->failed |= text.failed;
    }
}

void pw_llm_say_call(pw_llm_answer *a, const pw_llm_tool_call *call)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t pairs = 0;
    char minted[40];
    const bool mint = call->id.size == 0;
    pair_text(&b, &pairs, "type", pw_view_of("tool_call"));
    if (mint) {
        mint_id(a, minted);
        pair_text(&b, &pairs, "id", pw_view_of(minted));
        pair_true(&b, &pairs, "minted");
    } else {
        pair_text(&b, &pairs, "id", call->id);
    }
    pair_text(&b, &pairs, "name", pw_view_none(call->name) ? pw_view_of("") : call->name);
    if (call->as_text) {
        arguments_of_text(&b, &pairs, call->arguments);
    } else {
        arguments_of_value(&b, &pairs, call->arguments);
    }
    pair_raw(&b, &pairs, "raw", call->raw);
    put_map(&a->parts, pairs, &b);
    a->parts_len++;
    a->calls++;
}

/* ---- the end ---- */

void pw_llm_say_stop(pw_llm_answer *a, pw_llm_kind kind, pw_view word)
{
    static const struct {
        pw_llm_kind kind;
        pw_llm_stop stop;
        const char *word;
    } words[] = {
#define W(wire, text, name) {PW_LLM_WIRE_##wire, PW_LLM_STOP_##name, text},
#include "activities/llm_stops.def"
#undef W
    };
    a->stop_raw = word;
    a->stop = PW_LLM_STOP_OTHER;
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        if (words[i].kind == kind && pw_view_is(word, words[i].word)) {
            a->stop = words[i].stop;
            break;
        }
    }
    if (a->stop == PW_LLM_STOP_END && a->calls > 0) {
        a->stop = PW_LLM_STOP_CALLS;
    }
}

static const char *stop_word(pw_llm_stop stop)
{
    static const char *const words[] = {
#define X(name, word) word,
#include "activities/llm_stops.def"
#undef X
    };
    return words[stop];
}

static void put_usage(pw_buf *b, size_t *pairs, const pw_llm_answer *a)
{
    const struct {
        const char *name;
        int64_t n;
    } classes[] = {{"input", a->usage.input},
                   {"cache_read", a->usage.cache_read},
                   {"cache_write", a->usage.cache_write},
                   {"cache_write_1h", a->usage.cache_write_1h},
                   {"output", a->usage.output},
                   {"reasoning", a->usage.reasoning}};
    bool known = a->usage.known && a->usage.input + a->usage.output > 0;
    for (size_t i = 0; i < PW_COUNT(classes); i++) {
        known &= classes[i].n >= 0;
    }
    if (!known) { /* an answer of no tokens, or of fewer: it counts as what was reserved, not as nothing */
        return;
    }
    pw_mp_str(b, "usage");
    pw_mp_map(b, PW_COUNT(classes) + (pw_view_none(a->usage_raw) ? 0 : 1));
    for (size_t i = 0; i < PW_COUNT(classes); i++) {
        pw_mp_str(b, classes[i].name);
        pw_mp_int(b, classes[i].n);
    }
    size_t ignored = 0;
    pair_raw(b, &ignored, "raw", a->usage_raw);
    (*pairs)++;
}

static void put_message(pw_buf *b, const pw_llm_answer *a)
{
    pw_mp_str(b, "message");
    pw_mp_map(b, a->rest_len > 0 ? 4 : 3);
    pw_mp_str(b, "role");
    pw_mp_str(b, "assistant");
    pw_mp_str(b, "parts");
    pw_mp_array(b, a->parts_len);
    pw_buf_put(b, a->parts.data, a->parts.size);
    pw_mp_str(b, "provider");
    pw_mp_str(b, a->endpoint->provider);
    if (a->rest_len > 0) {
        pw_mp_str(b, "raw");
        put_map(b, a->rest_len, &a->rest);
    }
}

static void put_answer(pw_buf *out, const pw_llm_answer *a)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    size_t pairs = 1;
    put_message(&b, a);
    pair_text(&b, &pairs, "stop", pw_view_of(stop_word(a->stop)));
    pair_text(&b, &pairs, "stop_raw", a->stop_raw);
    pair_text(&b, &pairs, "stop_detail", a->stop_detail);
    put_usage(&b, &pairs, a);
    pair_text(&b, &pairs, "model", a->model);
    pair_text(&b, &pairs, "id", a->id);
    put_map(out, pairs, &b);
}

static pawl_status answer_value(pw_llm_answer *a, pawl_scope *scope, const pawl_value **ret_answer)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error err;
    put_answer(&out, a);
    if (out.failed || a->parts.failed || a->rest.failed) {
        return PAWL_NOMEM;
    }
    const pawl_status st = pawl_from_msgpack(scope, out.data, out.size, ret_answer, &err);
    if (st == PAWL_OK || st == PAWL_NOMEM) {
        return st;
    }
    pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "the answer cannot be kept: %s", err.message);
    return PAWL_FAILED;
}

static pawl_status decode(const pw_llm_endpoint *endpoint, pawl_scope *scope, pw_view body,
                          pw_llm_answer *a, const pawl_value **ret_answer)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf response = PW_BUF_INIT;
    pawl_error err;
    const pawl_status st =
        pw_json_parse(&response, (const char *)body.data, body.size, PW_JSON_LENIENT, NULL, &err);
    if (st == PAWL_NOMEM) {
        return st;
    }
    const pw_view view = {response.data, response.size};
    if (st != PAWL_OK || pw_view_type(view) != PAWL_MAP) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "not a JSON object: %s",
                           st != PAWL_OK ? err.message : "another value");
        return PAWL_FAILED;
    }
    endpoint->wire->answer(a, view);
    return a->status == PAWL_OK ? answer_value(a, scope, ret_answer) : a->status;
}

pawl_status pw_llm_decode(const pw_llm_endpoint *endpoint, pawl_scope *scope, pw_view body,
                          const uint8_t salt[PW_DIGEST_SIZE], const pawl_value **ret_answer,
                          pw_llm_failure *ret_failure)
{
    pw_llm_answer a = {
        .endpoint = endpoint, .salt = salt, .failure = ret_failure, .stop = PW_LLM_STOP_OTHER};
    const pawl_status st = decode(endpoint, scope, body, &a, ret_answer);
    pw_buf_deinit(&a.parts);
    pw_buf_deinit(&a.rest);
    return st;
}

pawl_status pw_llm_answer_of(const pw_llm_stream *s, pw_view response, pawl_scope *scope,
                             const pawl_value **ret_answer, pw_llm_failure *ret_failure)
{
    pw_llm_answer a = {.endpoint = s->endpoint,
                       .salt = s->salt,
                       .failure = ret_failure,
                       .stop = PW_LLM_STOP_OTHER};
    s->endpoint->wire->answer(&a, response);
    const pawl_status st = a.status == PAWL_OK ? answer_value(&a, scope, ret_answer) : a.status;
    pw_buf_deinit(&a.parts);
    pw_buf_deinit(&a.rest);
    return st;
}
