/*
 * llm.c - the table of wires, endpoints, and the frame of a request: path, headers, messages, digest. What stands in a body is the wires'
 * own (llm_openai_chat.c and its siblings). Does not send and does not resolve secrets.
 */
#include "activities/llm.h"

#include <stdio.h>
#include <string.h>

#include "activities/llm_wire.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/kept.h"
#include "sdk/base/value.h"

static const pw_llm_wire *const wires[] = {
    &pw_llm_wire_chat,   &pw_llm_wire_compatible, &pw_llm_wire_responses, &pw_llm_wire_anthropic,
    &pw_llm_wire_gemini, &pw_llm_wire_ollama,     &pw_llm_wire_dapr};

const char *pw_llm_wire_name(size_t index)
{
    return index < PW_COUNT(wires) ? wires[index]->name : NULL;
}

static const pw_llm_wire *wire_find(pw_view name)
{
    for (size_t i = 0; i < PW_COUNT(wires); i++) {
        if (pw_view_is(name, wires[i]->name)) {
            return wires[i];
        }
    }
    return NULL;
}

/* ---- endpoints ---- */

/* A text that goes into a header or a path: no control characters, so that nothing can be smuggled behind it. */
static bool is_clean(pw_view text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

#define ENDPOINT_KNOWN "wire base_url provider path key auth version headers options model"
#define REQUEST_KNOWN                                                                                                                           \
    "model system messages max_tokens temperature top_p top_k seed stop tools tool_choice parallel response reasoning cache metadata user key " \
    "background extra"

/* A word that nobody knows is a mistake, not something to leave out. */
static pawl_status check_known(pw_view map, const char *known, const char *what, pawl_error *err)
{
    pw_each each = pw_each_of(map);
    while (each.map && pw_each_next(&each)) {
        if (!pw_llm_is_known(each.key, known)) {
            char name[60];
            pw_view_copy(name, sizeof name, each.key);
            return pw_err(err, PAWL_INVALID, "%s has no \"%s\"", what, name);
        }
    }
    return PAWL_OK;
}

typedef struct reading {
    pawl_scope *scope;
    pw_view from;
    pawl_error *err;
    pawl_status status;
} reading;

static const char *text_of(reading *r, const char *key, const char *otherwise)
{
    const pw_view value = pw_field(r->from, key);
    if (pw_view_none(value) || r->status != PAWL_OK) {
        return otherwise;
    }
    const pw_view text = pw_field_text(r->from, key);
    if (pw_view_none(text) || text.size == 0 || !is_clean(text)) {
        r->status = pw_err(r->err, PAWL_INVALID,
                           "endpoint.%s must be a text without control characters", key);
        return otherwise;
    }
    const char *copy = pw_strndup(r->scope, (const char *)text.data, text.size);
    if (copy == NULL) {
        r->status = pw_err(r->err, PAWL_NOMEM, "no memory for an endpoint");
    }
    return copy;
}

/* A reference as text, or as {"$secret": reference}. */
static const char *key_of(reading *r)
{
    const reading whole = *r;
    const pw_view key = pw_field(r->from, "key");
    if (pw_view_type(key) != PAWL_MAP) {
        return text_of(r, "key", NULL);
    }
    r->from = key;
    const char *ref = text_of(r, "$secret", NULL);
    r->from = whole.from;
    if (ref == NULL && r->status == PAWL_OK) {
        r->status = pw_err(r->err, PAWL_INVALID, "endpoint.key must be a reference to a secret");
    }
    return ref;
}

static pw_view map_of(reading *r, const char *key)
{
    const pw_view value = pw_field(r->from, key);
    if (pw_view_none(value) || r->status != PAWL_OK) {
        return (pw_view){NULL, 0};
    }
    if (pw_view_type(value) != PAWL_MAP) {
        r->status = pw_err(r->err, PAWL_INVALID, "endpoint.%s must be a map", key);
        return (pw_view){NULL, 0};
    }
    const uint8_t *copy = pw_memdup(r->scope, value.data, value.size);
    if (copy == NULL) {
        r->status = pw_err(r->err, PAWL_NOMEM, "no memory for an endpoint");
        return (pw_view){NULL, 0};
    }
    return (pw_view){copy, value.size};
}

pawl_status pw_llm_endpoint_read(pawl_scope *scope, const pawl_value *endpoint,
                                 pw_llm_endpoint *ret_endpoint, pawl_error *err)
{
    reading r = {.scope = scope, .from = pw_value_bytes(endpoint), .err = err};
    const pw_llm_wire *wire = wire_find(pw_field_text(r.from, "wire"));
    const pawl_status known = check_known(r.from, ENDPOINT_KNOWN, "an endpoint", err);
    if (known != PAWL_OK) {
        return known;
    }
    if (wire == NULL) {
        return pw_err(
            err, PAWL_INVALID,
            "endpoint.wire must be openai-chat, openai-compatible, openai-responses, anthropic, gemini or ollama");
    }
    const pw_llm_endpoint e = {.wire = wire,
                               .provider = text_of(&r, "provider", wire->name),
                               .base_url = text_of(&r, "base_url", wire->base_url),
                               .path = text_of(&r, "path", NULL),
                               .key = key_of(&r),
                               .auth = text_of(&r, "auth", wire->auth),
                               .version = text_of(&r, "version", NULL),
                               .headers = map_of(&r, "headers"),
                               .options = map_of(&r, "options")};
    if (r.status != PAWL_OK) {
        return r.status;
    }
    *ret_endpoint = e;
    return PAWL_OK;
}

/* ---- headers ---- */

bool pw_llm_add_header(pw_llm_writer *w, pw_llm_call *call, const char *name, const char *value,
                       const char *secret)
{
    if (call->headers_len == PW_LLM_HEADERS_MAX) {
        pw_llm_refuse(w, "more than %d headers", PW_LLM_HEADERS_MAX);
        return false;
    }
    if (name == NULL || value == NULL) {
        w->status =
            w->status == PAWL_OK ? pw_err(w->err, PAWL_NOMEM, "no memory for a header") : w->status;
        return false;
    }
    call->headers[call->headers_len++] =
        (pw_llm_header){.name = name, .value = value, .secret = secret};
    return true;
}

static void add_auth(pw_llm_writer *w, pw_llm_call *call)
{
    const pw_llm_endpoint *e = w->endpoint;
    if (e->key == NULL || strcmp(e->auth, "none") == 0) {
        return;
    }
    const bool bearer = strcmp(e->auth, "bearer") == 0;
    (void)pw_llm_add_header(w, call, bearer ? "authorization" : e->auth, bearer ? "Bearer " : "",
                            e->key);
}

static void add_own(pw_llm_writer *w, pawl_scope *scope, pw_llm_call *call)
{
    pw_each each = pw_each_of(w->endpoint->headers);
    while (pw_each_next(&each) && w->status == PAWL_OK) {
        const bool text = pw_view_type(each.value) == PAWL_STRING;
        const pw_view prefix =
            text ? pw_view_text(each.value) : pw_field_text(each.value, "prefix");
        const pw_view secret = pw_field_text(each.value, "secret");
        if ((!text && pw_view_none(secret)) || !is_clean(prefix) || !is_clean(each.key) ||
            each.key.size == 0) {
            pw_llm_refuse(w, "endpoint.headers must be texts, or {secret, prefix}");
            return;
        }
        (void)pw_llm_add_header(
            w, call, pw_strndup(scope, (const char *)each.key.data, each.key.size),
            pw_strndup(scope, prefix.data != NULL ? (const char *)prefix.data : "", prefix.size),
            pw_view_none(secret) ? NULL
                                 : pw_strndup(scope, (const char *)secret.data, secret.size));
    }
}

static void add_headers(pw_llm_writer *w, const pw_llm_ask *ask, pw_llm_call *call)
{
    if (strcmp(call->method, "POST") == 0) {
        (void)pw_llm_add_header(w, call, "content-type", "application/json", NULL);
    }
    (void)pw_llm_add_header(
        w, call, "accept",
        ask->stream ? (w->endpoint->wire->lines ? "application/x-ndjson" : "text/event-stream")
                    : "application/json",
        NULL);
    add_auth(w, call);
    add_own(w, ask->scope, call);
}

/* ---- messages ---- */

static pw_llm_writer writer_of(const pw_llm_endpoint *endpoint, pw_buf *out, pw_view request,
                               pawl_error *err)
{
    return (pw_llm_writer){
        .out = out, .endpoint = endpoint, .request = request, .status = PAWL_OK, .err = err};
}

static pawl_status outcome(const pw_llm_writer *w)
{
    if (w->out->failed && w->status == PAWL_OK) {
        return pw_err(w->err, w->out->full ? PAWL_LIMIT : PAWL_NOMEM, "no room for a request");
    }
    return w->status;
}

/* A type that nobody knows is a mistake of the caller's, not something to leave out. */
static bool parts_are_known(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    while (pw_llm_parts_next(&parts, &part)) {
        if (!pw_llm_is_known(part.type,
                             "text image reasoning tool_call tool_result refusal other")) {
            char type[60];
            pw_view_copy(type, sizeof type, part.type);
            pw_llm_refuse(w, "a part of unknown type '%s'", type);
            return false;
        }
    }
    return true;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    const pw_view role = pw_field_text(message, "role");
    const pw_view parts = pw_field(message, "parts");
    bool known = false;
    for (size_t i = 0; i < PW_COUNT(roles); i++) {
        known |= pw_view_is(role, roles[i]);
    }
    if (!known) {
        pw_llm_refuse(w, "a message's role must be system, user, assistant or tool");
    } else if (pw_view_type(parts) != PAWL_ARRAY &&
               (!pw_view_none(parts) || pw_view_none(pw_field_text(message, "text")))) {
        pw_llm_refuse(w, "a message needs parts (an array) or text");
    } else if (parts_are_known(w, message)) {
        w->endpoint->wire->message(w, message);
    }
}

pawl_status pw_llm_encode_message(const pw_llm_endpoint *endpoint, const pawl_value *message,
                                  pw_buf *out, pawl_error *err)
{
    const size_t before = out->size;
    pw_llm_writer w = writer_of(endpoint, out, (pw_view){NULL, 0}, err);
    put_message(&w, pw_value_bytes(message));
    const pawl_status st = outcome(&w);
    if (st != PAWL_OK) {
        out->size = before;
    }
    return st;
}

/* What, besides a message itself, may determine its bytes. */
static void family_of(const pw_llm_endpoint *e, uint8_t ret[PW_DIGEST_SIZE])
{
    const char *const texts[] = {e->wire->name, e->provider, e->version != NULL ? e->version : ""};
    memset(ret, 0, PW_DIGEST_SIZE);
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        pw_chain_next(ret, ret, texts[i], strlen(texts[i]) + 1);
    }
    pw_chain_next(ret, ret, e->options.data != NULL ? e->options.data : (const uint8_t *)"",
                  e->options.size);
}

static void digest_of(pw_view bytes, uint8_t ret_digest[PW_DIGEST_SIZE])
{
    static const uint8_t none[PW_DIGEST_SIZE];
    pw_chain_next(ret_digest, none, bytes.data != NULL ? bytes.data : none, bytes.size);
}

/* The bytes of one message, and their digest. */
static void put_message_kept(pw_llm_writer *w, pw_kept *kept, const uint8_t family[PW_DIGEST_SIZE],
                             pw_view message, uint8_t ret_digest[PW_DIGEST_SIZE])
{
    pw_view bytes;
    const size_t from = w->out->size;
    if (kept != NULL && pw_kept_find(kept, family, message, &bytes, ret_digest)) {
        pw_buf_put(w->out, bytes.data, bytes.size);
        return;
    }
    put_message(w, message);
    if (w->status == PAWL_OK && pw_buf_ok(w->out)) {
        bytes = (pw_view){w->out->data != NULL ? w->out->data + from : NULL, w->out->size - from};
        digest_of(bytes, ret_digest);
        if (kept != NULL) {
            pw_kept_put(kept, family, message, bytes, ret_digest);
        }
    }
}

/* All messages, joined by commas. The digest is one of digests, one a message: so it does not matter which of them were ready or kept, and
 * those are not digested again. */
static void put_messages(pw_llm_writer *w, const pw_llm_ask *ask, uint8_t digest[PW_DIGEST_SIZE])
{
    uint8_t own[PW_DIGEST_SIZE] = {0};
    for (size_t i = 0; i < ask->ready_len; i++) {
        const pw_view bytes = ask->ready[i];
        if (bytes.size > 0 && w->out->size > 0) {
            pw_buf_putc(w->out, ',');
        }
        pw_buf_put(w->out, bytes.data, bytes.size);
        digest_of(bytes, own);
        pw_chain_next(digest, digest, own, sizeof own);
    }
    uint8_t family[PW_DIGEST_SIZE];
    if (!pw_view_none(w->messages) && pw_view_type(w->messages) != PAWL_ARRAY) {
        pw_llm_refuse(w, "messages must be an array");
    }
    family_of(w->endpoint, family);
    pw_each each = pw_each_of(w->messages);
    while (w->status == PAWL_OK && pw_each_next(&each)) {
        const size_t comma = w->out->size;
        if (comma > 0) {
            pw_buf_putc(w->out, ',');
        }
        const size_t from = w->out->size;
        put_message_kept(w, ask->kept, family, each.value, own);
        const size_t size = w->out->size - from;
        pw_chain_next(digest, digest, own, sizeof own);
        w->out->size = size > 0 ? w->out->size : comma;
    }
    if (w->status == PAWL_OK && w->out->size == 0) {
        pw_llm_refuse(w, "a request needs messages");
    }
}

/* ---- the digest ---- */

/* The settings that determine an answer: all but these. */
#define BESIDE "messages cache metadata key user background"

static bool digest_settings(const pw_llm_writer *w, uint8_t digest[PW_DIGEST_SIZE])
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf map = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf canon = PW_BUF_INIT;
    size_t len = 0;
    pw_each each = pw_each_of(w->request);
    while (pw_each_next(&each)) {
        if (!pw_llm_is_known(each.key, BESIDE) && pw_view_type(each.value) != PAWL_NIL) {
            pw_mp_strn(&pairs, (const char *)each.key.data, each.key.size);
            pw_buf_put(&pairs, each.value.data, each.value.size);
            len++;
        }
    }
    const char *whose[] = {"pawl llm 2", w->endpoint->wire->name, w->endpoint->provider,
                           w->endpoint->base_url, w->endpoint->path};
    pw_mp_array(&map, PW_COUNT(whose) + 1);
    for (size_t i = 0; i < PW_COUNT(whose); i++) {
        pw_mp_str(&map, whose[i]);
    }
    pw_mp_map(&map, len);
    pw_buf_put(&map, pairs.data, pairs.size);
    if (pairs.failed || map.failed || !pw_canon(&canon, map.data, map.size)) {
        return false;
    }
    memset(digest, 0, PW_DIGEST_SIZE);
    pw_chain_next(digest, digest, canon.data, canon.size);
    return true;
}

/* ---- requests ---- */

static void check_request(pw_llm_writer *w)
{
    const pw_view tools = pw_field(w->request, "tools");
    pw_each each = pw_each_of(tools);
    w->status = w->status == PAWL_OK ? check_known(w->request, REQUEST_KNOWN, "a request", w->err)
                                     : w->status;
    if (pw_view_none(pw_field_text(w->request, "model")) ||
        !is_clean(pw_field_text(w->request, "model"))) {
        pw_llm_refuse(w, "a request needs a model");
    }
    if (!pw_view_none(tools) && pw_view_type(tools) != PAWL_ARRAY) {
        pw_llm_refuse(w, "tools must be an array");
    }
    while (pw_each_next(&each)) {
        if (pw_view_none(pw_field_text(each.value, "name")) &&
            pw_view_none(pw_field(each.value, "raw"))) {
            pw_llm_refuse(w, "tool %zu needs a name", each.index);
        }
    }
    const pw_view extra = pw_field(w->request, "extra");
    if (!pw_view_none(extra) && pw_view_type(extra) != PAWL_MAP) {
        pw_llm_refuse(w, "extra must be a map");
    }
}

static void build(pw_llm_writer *w, const pw_llm_ask *ask, pw_buf *messages, pw_llm_call *call)
{
    if (w->status == PAWL_OK) {
        check_request(w);
    }
    if (w->status == PAWL_OK && !digest_settings(w, call->digest)) {
        w->status = pw_err(w->err, PAWL_NOMEM, "no memory for a digest");
    }
    if (w->status != PAWL_OK) {
        return;
    }
    w->out = messages;
    put_messages(w, ask, call->digest);
    if (w->status == PAWL_OK && messages->failed) {
        w->status = outcome(w);
    }
    if (w->status != PAWL_OK) {
        return;
    }
    w->out = &call->body;
    (void)pw_buf_reserve(&call->body, messages->size + 4096);
    add_headers(w, ask, call);
    w->endpoint->wire->body(
        w, &(pw_llm_frame){.ask = ask, .messages = {messages->data, messages->size}, .call = call});
    w->status = outcome(w);
    if (w->status == PAWL_OK && call->path == NULL) {
        w->status = pw_err(w->err, PAWL_NOMEM, "no memory for a path");
    }
}

/* The request, its messages apart. What is no map stays as it is, and is refused later. */
static void take_apart(pw_llm_writer *w, const pw_llm_ask *ask, pw_buf *rest)
{
    const pw_view whole = pw_value_bytes(ask->request);
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    size_t len = 0;
    pw_each each = pw_each_of(whole);
    w->request = whole;
    if (!each.map) {
        return;
    }
    while (pw_each_next(&each)) {
        if (pw_view_is(each.key, "messages")) {
            w->messages = each.value;
        } else if (ask->model == NULL || !pw_view_is(each.key, "model")) {
            pw_mp_strn(&pairs, (const char *)each.key.data, each.key.size);
            pw_buf_put(&pairs, each.value.data, each.value.size);
            len++;
        }
    }
    if (ask->model != NULL) {
        pw_mp_str(&pairs, "model");
        pw_mp_value(&pairs, ask->model);
        len++;
    }
    pw_mp_map(rest, len);
    pw_buf_put(rest, pairs.data, pairs.size);
    if (!pw_buf_ok(&pairs) || !pw_buf_ok(rest)) {
        w->status = pw_err(w->err, PAWL_NOMEM, "no memory for a request");
    }
    w->request = (pw_view){rest->data, rest->size};
}

pawl_status pw_llm_encode(const pw_llm_endpoint *endpoint, const pw_llm_ask *ask,
                          pw_llm_call *ret_call, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf messages = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf rest = PW_BUF_INIT;
    pw_llm_call call = {.method = "POST",
                        .path = endpoint->path != NULL ? endpoint->path : endpoint->wire->path,
                        .body = PW_BUF_INIT};
    pw_llm_writer w = writer_of(endpoint, &call.body, (pw_view){NULL, 0}, err);
    take_apart(&w, ask, &rest);
    build(&w, ask, &messages, &call);
    if (w.status != PAWL_OK) {
        pw_buf_deinit(&call.body);
        return w.status;
    }
    *ret_call = call;
    return PAWL_OK;
}

pawl_status pw_llm_encode_poll(const pw_llm_endpoint *endpoint, pawl_scope *scope, const char *id,
                               bool cancel, pw_llm_call *ret_call, pawl_error *err)
{
    pw_llm_call call = {.method = cancel ? "POST" : "GET", .body = PW_BUF_INIT};
    pw_llm_writer w = writer_of(endpoint, &call.body, (pw_view){NULL, 0}, err);
    if (endpoint->wire->kind != PW_LLM_WIRE_RESPONSES) {
        return pw_err(err, PAWL_UNSUPPORTED, "%s has no answers in the background",
                      endpoint->wire->name);
    }
    if (id == NULL || id[0] == '\0' || strlen(id) > 200 ||
        strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
            strlen(id)) {
        return pw_err(err, PAWL_INVALID, "not the id of a response");
    }
    call.path =
        pw_sprintf(scope, "%s/%s%s", endpoint->path != NULL ? endpoint->path : endpoint->wire->path,
                   id, cancel ? "/cancel" : "");
    add_headers(&w, &(pw_llm_ask){.scope = scope}, &call);
    if (w.status == PAWL_OK && call.path == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a path");
    }
    if (w.status == PAWL_OK) {
        *ret_call = call;
    }
    return w.status;
}

void pw_llm_call_deinit(pw_llm_call *call)
{
    pw_buf_deinit(&call->body);
}

/* "https://h/v1" + "/v1/x": the last segment of the base that begins the path stands once. */
const char *pw_llm_url(pawl_scope *scope, const char *base_url, const char *path)
{
    size_t size = strlen(base_url);
    while (size > 0 && base_url[size - 1] == '/') {
        size--;
    }
    const char *second = path[0] == '/' ? strchr(path + 1, '/') : NULL;
    const size_t first = second != NULL ? (size_t)(second - path) : 0;
    const bool twice = first > 1 && path[1] == 'v' && size > first &&
                       memcmp(base_url + size - first, path, first) == 0;
    return pw_sprintf(scope, "%.*s%s%s", (int)size, base_url, path[0] == '/' ? "" : "/",
                      twice ? path + first : path);
}
