/*
 * message.c - JSON-RPC messages read and written. Text is read leniently (what models send may hold lone surrogates), messages strictly.
 *
 * Does not judge methods or parameters, and does not know eras.
 */
#include "tools/mcp/message.h"

#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/value.h"

static const struct {
    int64_t code;
    int http;
} codes[] = {
#define X(name, code, http) {code, http},
#include "tools/mcp/codes.def"
#undef X
};

int pw_mcpd_code_http(int64_t code)
{
    for (size_t i = 0; i < PW_COUNT(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].http;
        }
    }
    return 200;
}

/* In one pass, however many keys a peer has thought of. */
static bool find_key(const pawl_value *map, const char *key, pw_view *ret)
{
    const pw_view bytes = pw_value_bytes(map);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    const size_t len = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;
    for (size_t i = 0; i < len && pw_mp_ok(&r); i++) {
        const bool found = pw_view_is(pw_mp_read_str(&r), key);
        *ret = pw_mp_read_raw(&r);
        if (found) {
            return pw_mp_ok(&r);
        }
    }
    return false;
}

/* One of those stands there twice: who is between us and its client may have read the other. */
static bool is_twice(const pawl_value *map, const char *const *keys, size_t keys_len)
{
    const pw_view bytes = pw_value_bytes(map);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    const size_t len = pw_mp_peek(&r) == PAWL_MAP ? pw_mp_read_map(&r) : 0;
    unsigned seen = 0;
    for (size_t i = 0; i < len && pw_mp_ok(&r); i++) {
        const pw_view key = pw_mp_read_str(&r);
        (void)pw_mp_read_raw(&r);
        size_t k = 0;
        while (k < keys_len && !pw_view_is(key, keys[k])) {
            k++;
        }
        if (k < keys_len && (seen >> k & 1u) != 0) {
            return true;
        }
        seen |= k < keys_len ? 1u << k : 0;
    }
    return false;
}

static bool says_twice(const pawl_value *message)
{
    static const char *const keys[] = {"jsonrpc", "id", "method", "params", "result", "error"};
    static const char *const params[] = {
        "_meta", "name", "uri", "arguments", "taskId", "cursor", "inputResponses", "requestState"};
    return is_twice(message, keys, PW_COUNT(keys)) ||
           is_twice(pw_mcpd_key(message, "params"), params, PW_COUNT(params));
}

const pawl_value *pw_mcpd_key(const pawl_value *map, const char *key)
{
    pw_view at;
    return find_key(map, key, &at) ? pw_value_view(map->scope, at.data, at.size) : NULL;
}

bool pw_mcpd_has(const pawl_value *map, const char *key)
{
    pw_view at;
    return find_key(map, key, &at);
}

/* ---- reading ---- */

static bool is_id(const pawl_value *id)
{
    return pawl_typeof(id) == PAWL_STRING || pawl_typeof(id) == PAWL_INT;
}

static void refuse(pw_mcpd_message *m, const char *why)
{
    m->kind = PW_MCPD_NOT_RPC;
    m->why = why;
}

static void read_answer(const pawl_value *v, pw_mcpd_message *m)
{
    m->result = pawl_get(v, "result");
    if (m->id == NULL || pw_mcpd_has(v, "result") == pw_mcpd_has(v, "error")) {
        refuse(m, "a message has a method, a result or an error");
        return;
    }
    m->kind = PW_MCPD_ANSWER;
}

static void read_object(const pawl_value *v, pw_mcpd_message *m)
{
    const pawl_value *id = pawl_get(v, "id");
    m->id = is_id(id) ? id : NULL;
    if (!pawl_is(v, "jsonrpc", "2.0")) {
        refuse(m, "it does not say \"jsonrpc\": \"2.0\"");
    } else if (pw_mcpd_has(v, "id") && m->id == NULL) {
        refuse(m, "an id is a text or an integer");
    } else if (says_twice(v)) {
        refuse(m, "a key stands there twice");
    } else if (!pw_mcpd_has(v, "method")) {
        read_answer(v, m);
    } else if (pawl_str(v, "method", NULL) == NULL) {
        refuse(m, "a method is a text");
    } else if (pw_mcpd_has(v, "params") && pawl_typeof(pawl_get(v, "params")) != PAWL_MAP) {
        refuse(m, "params is an object");
    } else {
        m->kind = m->id != NULL ? PW_MCPD_REQUEST : PW_MCPD_NOTIFICATION;
        m->method = pawl_str(v, "method", "");
        m->params = pawl_get(v, "params");
    }
}

void pw_mcpd_read(pawl_scope *scope, const char *text, size_t size, pw_mcpd_message *ret_message)
{
    pw_buf bytes = PW_BUF_INIT;
    pawl_error err = {0};
    *ret_message = (pw_mcpd_message){.kind = PW_MCPD_NOT_JSON, .why = "out of memory"};
    const pawl_status status = pw_json_parse(&bytes, text, size, PW_JSON_LENIENT, NULL, &err);
    if (status == PAWL_NOMEM) {
        pw_scope_fail(scope);
    } else if (status != PAWL_OK) {
        ret_message->why = pw_strdup(scope, err.message);
    } else {
        const pawl_value *v = pw_value_copy(scope, bytes.data, bytes.size);
        if (pawl_typeof(v) == PAWL_MAP) {
            read_object(v, ret_message);
        } else if (!pw_scope_failed(scope)) {
            refuse(ret_message, pawl_typeof(v) == PAWL_ARRAY ? "batches are not allowed"
                                                             : "a message is an object");
        }
    }
    pw_buf_deinit(&bytes);
}

/* ---- writing ---- */

static void put(pw_buf *out, const pawl_value *v)
{
    const pw_view bytes = pw_value_bytes(v);
    pawl_error err;
    if (pw_json_print(out, bytes.data, bytes.size, 0, &err) != PAWL_OK) {
        out->failed = true;
    }
}

static void put_text(pw_buf *out, const char *key, const char *text)
{
    pw_buf_printf(out, ",\"%s\":", key);
    pw_json_quote(out, text, strlen(text));
}

static void put_params(pw_buf *out, const pawl_value *params)
{
    if (params != NULL) {
        pw_buf_puts(out, ",\"params\":");
        put(out, params);
    }
    pw_buf_putc(out, '}');
}

void pw_mcpd_write_result(pw_buf *out, const pawl_value *id, const pawl_value *result)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(out, id);
    pw_buf_puts(out, ",\"result\":");
    if (result != NULL) {
        put(out, result);
    } else {
        pw_buf_puts(out, "{}");
    }
    pw_buf_putc(out, '}');
}

void pw_mcpd_write_written(pw_buf *out, const pawl_value *id, const char *result, size_t size)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(out, id);
    pw_buf_puts(out, ",\"result\":");
    pw_buf_put(out, result, size);
    pw_buf_putc(out, '}');
}

void pw_mcpd_write_error(pw_buf *out, const pawl_value *id, int64_t code, const char *text,
                         const pawl_value *data)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    put(out, id);
    pw_buf_printf(out, ",\"error\":{\"code\":%lld", (long long)code);
    put_text(out, "message", text);
    if (data != NULL) {
        pw_buf_puts(out, ",\"data\":");
        put(out, data);
    }
    pw_buf_puts(out, "}}");
}

void pw_mcpd_write_notification(pw_buf *out, const char *method, const pawl_value *params)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\"");
    put_text(out, "method", method);
    put_params(out, params);
}

void pw_mcpd_write_request(pw_buf *out, const char *id, const char *method,
                           const pawl_value *params)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\"");
    put_text(out, "id", id);
    put_text(out, "method", method);
    put_params(out, params);
}
