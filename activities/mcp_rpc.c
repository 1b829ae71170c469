/*
 * mcp_rpc.c - JSON-RPC messages written and read, and what differs between the eras of MCP.
 *
 * A modern request carries everything in _meta; a legacy one carries a progress token there at most. Ids of ours are integers. Does not
 * match answers to requests, and does not judge methods.
 */
#include "activities/mcp_rpc.h"

#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/value.h"
#include "sdk/pawl.h"

static const struct {
    int64_t code;
    const char *type;
    bool refused;
} codes[] = {
#define X(name, code, type, refused) {code, type, refused},
#include "activities/mcp_errors.def"
#undef X
};

static const struct {
    const char *version;
    pw_mcp_era era;
} versions[] = {
    {"2024-11-05", PW_MCP_LEGACY},          {"2025-03-26", PW_MCP_LEGACY},
    {"2025-06-18", PW_MCP_LEGACY},          {PW_MCP_LEGACY_VERSION, PW_MCP_LEGACY},
    {PW_MCP_MODERN_VERSION, PW_MCP_MODERN},
};

const char *pw_mcp_code_type(int64_t code)
{
    for (size_t i = 0; i < PW_COUNT(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].type;
        }
    }
    return "ServerError";
}

bool pw_mcp_code_refused(int64_t code)
{
    for (size_t i = 0; i < PW_COUNT(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].refused;
        }
    }
    return false;
}

const char *pw_mcp_era_name(pw_mcp_era era)
{
    static const char *const names[] = {"unknown", "legacy", "modern"};
    return names[era];
}

pw_mcp_era pw_mcp_version_era(const char *version)
{
    for (size_t i = 0; i < PW_COUNT(versions); i++) {
        if (strcmp(versions[i].version, version) == 0) {
            return versions[i].era;
        }
    }
    return PW_MCP_UNKNOWN_ERA;
}

const pawl_value *pw_mcp_key(const pawl_value *map, const char *key)
{
    const size_t len = pawl_typeof(map) == PAWL_MAP ? pawl_len(map) : 0;
    for (size_t i = 0; i < len; i++) {
        const char *k = pawl_key_at(map, i);
        if (k != NULL && strcmp(k, key) == 0) {
            return pawl_at(map, i);
        }
    }
    return NULL;
}

/* ---- writing ---- */

/* An empty map, which a template cannot spell beside a key. */
static const pawl_value *empty(pawl_scope *scope)
{
    return pawl_build(scope, "{}");
}

const pawl_value *pw_mcp_capabilities(pawl_scope *scope, const pw_mcp_dialect *d)
{
    const pawl_value *c = d->asks ? pawl_build(scope, "{elicitation: {form: {}}}") : empty(scope);
    if (d->era == PW_MCP_MODERN) {
        const pawl_value *tasks = pawl_with(scope, NULL, PW_MCP_TASKS_EXTENSION, empty(scope));
        return pawl_with(scope, c, "extensions", tasks);
    }
    return c;
}

static const pawl_value *client_info(pawl_scope *scope)
{
    return pawl_build(scope, "{name: \"pawl\", version: %s}", PAWL_VERSION);
}

const pawl_value *pw_mcp_initialize(pawl_scope *scope, const pw_mcp_dialect *d)
{
    return pawl_build(scope, "{protocolVersion: %s, capabilities: %p, clientInfo: %p}", d->version,
                      pawl_v(pw_mcp_capabilities(scope, d)), pawl_v(client_info(scope)));
}

/* The caller's _meta stays; what the protocol puts there goes over it. */
static const pawl_value *meta_of(pawl_scope *scope, const pw_mcp_dialect *d,
                                 const pawl_value *given, const pw_mcp_request *rq)
{
    const pawl_value *m = pawl_typeof(given) == PAWL_MAP ? given : NULL;
    if (rq != NULL && rq->progress) {
        m = pawl_with(scope, m, "progressToken", pawl_make_int(scope, rq->id));
    }
    if (d->era == PW_MCP_MODERN && rq != NULL) {
        m = pawl_with(scope, m, PW_MCP_PREFIX "protocolVersion", pawl_make_str(scope, d->version));
        m = pawl_with(scope, m, PW_MCP_PREFIX "clientInfo", client_info(scope));
        m = pawl_with(scope, m, PW_MCP_PREFIX "clientCapabilities", pw_mcp_capabilities(scope, d));
    }
    return m;
}

static const pawl_value *params_of(pawl_scope *scope, const pw_mcp_dialect *d,
                                   const pawl_value *params, const pw_mcp_request *rq)
{
    const pawl_value *meta = meta_of(scope, d, pawl_get(params, "_meta"), rq);
    return meta != NULL ? pawl_with(scope, params, "_meta", meta) : params;
}

static void put(pw_buf *out, const pawl_value *v)
{
    const pw_view bytes = pw_value_bytes(v);
    pawl_error err;
    if (pw_json_print(out, bytes.data, bytes.size, 0, &err) != PAWL_OK) {
        out->failed = true;
    }
}

static void put_member(pw_buf *out, const char *key, const pawl_value *v)
{
    pw_buf_printf(out, ",\"%s\":", key);
    put(out, v);
}

static void put_method(pw_buf *out, const char *method)
{
    pw_buf_puts(out, ",\"method\":");
    pw_json_quote(out, method, strlen(method));
}

static void put_params(pw_buf *out, const pw_mcp_dialect *d, const pawl_value *params,
                       const pw_mcp_request *rq)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        out->failed = true;
        return;
    }
    const pawl_value *all = params_of(scope, d, params, rq);
    if (all != NULL) {
        put_member(out, "params", all);
    }
    if (pw_scope_failed(scope)) {
        out->failed = true;
    }
    pawl_scope_free(scope);
}

void pw_mcp_write_request(pw_buf *out, const pw_mcp_dialect *d, const pw_mcp_request *rq)
{
    pw_buf_printf(out, "{\"jsonrpc\":\"2.0\",\"id\":%lld", (long long)rq->id);
    put_method(out, rq->method);
    put_params(out, d, rq->params, rq);
    pw_buf_putc(out, '}');
}

void pw_mcp_write_notification(pw_buf *out, const pw_mcp_dialect *d, const char *method,
                               const pawl_value *params)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\"");
    put_method(out, method);
    put_params(out, d, params, NULL);
    pw_buf_putc(out, '}');
}

void pw_mcp_write_result(pw_buf *out, const pawl_value *id, const pawl_value *result)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\"");
    put_member(out, "id", id);
    if (result != NULL) {
        put_member(out, "result", result);
    } else {
        pw_buf_puts(out, ",\"result\":{}");
    }
    pw_buf_putc(out, '}');
}

void pw_mcp_write_error(pw_buf *out, const pawl_value *id, int64_t code, const char *text)
{
    pw_buf_puts(out, "{\"jsonrpc\":\"2.0\"");
    put_member(out, "id", id);
    pw_buf_printf(out, ",\"error\":{\"code\":%lld,\"message\":", (long long)code);
    pw_json_quote(out, text, strlen(text));
    pw_buf_puts(out, "}}");
}

/* ---- reading ---- */

static pawl_status bad(pawl_error *err, const char *why)
{
    return pw_err(err, PAWL_PARSE, "no message of JSON-RPC: %s", why);
}

static pawl_status read_error(const pawl_value *v, pw_mcp_message *m, pawl_error *err)
{
    const pawl_value *e = pawl_get(v, "error");
    if (pawl_typeof(e) != PAWL_MAP || pawl_typeof(pawl_get(e, "code")) != PAWL_INT) {
        return bad(err, "an error without a code");
    }
    m->kind = PW_MCP_ERROR;
    m->code = pawl_int(e, "code", 0);
    m->text = pawl_str(e, "message", "");
    m->data = pawl_get(e, "data");
    return PAWL_OK;
}

/* An answer. One to no request of ours (its id null, or a text) keeps id -1. */
static pawl_status read_answer(const pawl_value *v, pw_mcp_message *m, pawl_error *err)
{
    const pawl_value *id = pawl_get(v, "id");
    m->id = pawl_typeof(id) == PAWL_INT ? pawl_int(id, "", -1) : -1;
    if (pawl_get(v, "error") != NULL) {
        return read_error(v, m, err);
    }
    m->result = pawl_get(v, "result");
    if (pawl_typeof(m->result) != PAWL_MAP) {
        return bad(err, "neither method, result nor error");
    }
    m->kind = PW_MCP_RESULT;
    return PAWL_OK;
}

static pawl_status read_call(const pawl_value *v, pw_mcp_message *m, pawl_error *err)
{
    const pawl_value *id = pawl_get(v, "id");
    m->method = pawl_str(v, "method", NULL);
    m->params = pawl_get(v, "params");
    if (m->method == NULL) {
        return bad(err, "a method that is no text");
    }
    if (id != NULL && pawl_typeof(id) != PAWL_INT && pawl_typeof(id) != PAWL_STRING) {
        return bad(err, "an id that is neither a number nor a text");
    }
    m->kind = id != NULL ? PW_MCP_REQUEST : PW_MCP_NOTIFICATION;
    m->id_value = id;
    return PAWL_OK;
}

pawl_status pw_mcp_read(pawl_scope *scope, const char *text, size_t size,
                        pw_mcp_message *ret_message, pawl_error *err)
{
    pw_buf bytes = PW_BUF_INIT;
    pawl_status status = pw_json_parse(&bytes, text, size, PW_JSON_LENIENT, NULL, err);
    const pawl_value *v = status == PAWL_OK ? pw_value_copy(scope, bytes.data, bytes.size) : NULL;
    pw_buf_deinit(&bytes);
    if (status != PAWL_OK) {
        return status;
    }
    if (pw_scope_failed(scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a message");
    }
    if (pawl_typeof(v) != PAWL_MAP || !pawl_is(v, "jsonrpc", "2.0")) {
        return bad(err, pawl_typeof(v) == PAWL_ARRAY ? "batches are not allowed"
                                                     : "it does not say \"jsonrpc\": \"2.0\"");
    }
    pw_mcp_message m = {.kind = PW_MCP_BAD, .id = -1};
    status = pawl_get(v, "method") != NULL ? read_call(v, &m, err) : read_answer(v, &m, err);
    if (status == PAWL_OK) {
        *ret_message = m;
    }
    return status;
}

pw_mcp_result_kind pw_mcp_result_kind_of(pw_mcp_era era, const pawl_value *result)
{
    const pawl_value *type = pawl_get(result, "resultType");
    if (era != PW_MCP_MODERN) {
        return pawl_str(result, "task.taskId", NULL) != NULL ? PW_MCP_TASK : PW_MCP_COMPLETE;
    }
    if (type == NULL || pawl_is(type, "", "complete")) {
        return PW_MCP_COMPLETE;
    }
    if (pawl_is(type, "", "input_required")) {
        const bool has = pawl_typeof(pawl_get(result, "inputRequests")) == PAWL_MAP ||
                         pawl_str(result, "requestState", NULL) != NULL;
        return has ? PW_MCP_INPUT_REQUIRED : PW_MCP_STRANGE;
    }
    return pawl_is(type, "", "task") && pawl_str(result, "taskId", NULL) != NULL ? PW_MCP_TASK
                                                                                 : PW_MCP_STRANGE;
}
