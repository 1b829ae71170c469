/*
 * mcp_oauth.c - from a 401 or 403 to a token, or to why there is none.
 *
 *   grant "authorization_code" (default): the authorization endpoint is asked and must send us back at once, as it does for a client whose
 *   consent was given; one that wants to show a page is a failure that carries the URL
 *   grant "client_credentials": the token endpoint alone
 *
 * Tokens live in memory, with the server. Does not open a browser and does not listen for one.
 */
#include "activities/mcp_oauth.h"

#include <stdio.h>
#include <string.h>

#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"

enum { ROUNDS_MAX = 2, RANDOM_BYTES = 32 };

/* ---- PKCE ---- */

/* Base64 as URLs have it, without padding. */
static const char *base64url(pawl_scope *scope, const void *data, size_t size)
{
    pw_buf out = PW_BUF_INIT;
    pw_base64_put(&out, data, size);
    while (out.size > 0 && out.data[out.size - 1] == '=') {
        out.size--;
    }
    for (size_t i = 0; i < out.size; i++) {
        out.data[i] = out.data[i] == '+' ? '-' : out.data[i] == '/' ? '_' : out.data[i];
    }
    const char *text = pw_strndup(scope, (const char *)out.data, out.size);
    pw_buf_deinit(&out);
    return text;
}

static const char *random_text(pawl_scope *scope)
{
    uint8_t bytes[RANDOM_BYTES];
    pw_random(bytes, sizeof bytes);
    return base64url(scope, bytes, sizeof bytes);
}

static const char *challenge_of(pawl_scope *scope, const char *verifier)
{
    uint8_t digest[PW_DIGEST_SIZE];
    pw_sha256(digest, verifier, strlen(verifier));
    return base64url(scope, digest, sizeof digest);
}

/* ---- tokens ---- */

static void keep_text(pw_buf *out, const char *text)
{
    if (out->data != NULL) {
        explicit_bzero(out->data, out->capacity);
    }
    pw_buf_reset(out);
    pw_buf_puts(out, text);
}

static bool keep_token(pw_mcp_oauth *o, const pawl_value *json)
{
    pw_mcp_server *s = o->call->server;
    const char *token = pawl_str(json, "access_token", NULL);
    const char *refresh = pawl_str(json, "refresh_token", NULL);
    if (token == NULL || !pw_secret_hide(o->call->secrets, token)) {
        (void)pw_err(&o->err, PAWL_DENIED, "%.100s gave no token", o->issuer);
        return false;
    }
    pthread_mutex_lock(&s->lock);
    keep_text(&s->token, token);
    keep_text(&s->scope, o->scope);
    keep_text(&s->issuer, o->issuer);
    if (refresh != NULL) {
        keep_text(&s->refresh, refresh);
    }
    pthread_mutex_unlock(&s->lock);
    return true;
}

/* Sends a form to the token endpoint. */
static bool ask_token(pw_mcp_oauth *o, pw_buf *form)
{
    pw_mcp_fetch what = {.url = pawl_str(o->metadata, "token_endpoint", ""),
                         .content_type = "application/x-www-form-urlencoded"};
    pw_mcp_fetched got;
    pw_mcp_oauth_say(o, form, &what.authorization);
    pw_mcp_oauth_put(form, "resource", o->resource);
    what.body = pw_buf_cstr(form);
    if (!pw_buf_ok(form) || !pw_mcp_oauth_fetch(o, &what, &got)) {
        return false;
    }
    if (got.status != 200) {
        (void)pw_err(&o->err, PAWL_DENIED, "%.100s gave no token: status %d, %.60s", o->issuer,
                     got.status, pawl_str(got.json, "error", "no error"));
        return false;
    }
    return keep_token(o, got.json);
}

/* [O3] Only the issuer that gave the refresh token gets it back. */
static bool refresh(pw_mcp_oauth *o)
{
    pw_mcp_server *s = o->call->server;
    pw_buf form = PW_BUF_INIT;
    pthread_mutex_lock(&s->lock);
    const bool can = s->refresh.size > 0 && strcmp(pw_buf_cstr(&s->issuer), o->issuer) == 0;
    if (can) {
        pw_mcp_oauth_put(&form, "grant_type", "refresh_token");
        pw_mcp_oauth_put(&form, "refresh_token", pw_buf_cstr(&s->refresh));
        keep_text(&s->refresh, ""); /* it is tried once */
    }
    pthread_mutex_unlock(&s->lock);
    const bool ok = can && ask_token(o, &form);
    pw_buf_deinit(&form);
    return ok;
}

static bool by_credentials(pw_mcp_oauth *o)
{
    pw_buf form = PW_BUF_INIT;
    pw_mcp_oauth_put(&form, "grant_type", "client_credentials");
    if (o->scope[0] != '\0') {
        pw_mcp_oauth_put(&form, "scope", o->scope);
    }
    const bool ok = ask_token(o, &form);
    pw_buf_deinit(&form);
    return ok;
}

/* ---- authorization ---- */

/* A parameter of a query, decoded; NULL: it has none. */
static const char *query_param(pw_mcp_oauth *o, const char *url, const char *name)
{
    const char *p = strchr(url, '?');
    const size_t name_size = strlen(name);
    while (p != NULL) {
        p++;
        if (strncmp(p, name, name_size) == 0 && p[name_size] == '=') {
            const char *value = p + name_size + 1;
            const size_t size = strcspn(value, "&#");
            char *out = pw_alloc(o->call->private_scope, size + 1);
            size_t len = 0;
            for (size_t i = 0; out != NULL && i < size; i++) {
                unsigned byte = 0;
                const bool escaped =
                    value[i] == '%' && i + 2 < size && sscanf(value + i + 1, "%2x", &byte) == 1;
                out[len++] = escaped ? (char)byte : value[i] == '+' ? ' ' : value[i];
                i += escaped ? 2 : 0;
            }
            if (out != NULL) {
                out[len] = '\0';
            }
            return out;
        }
        p = strchr(p, '&');
    }
    return NULL;
}

/* What came back: is it for us, from whom it should be, and what is the code? */
static const char *code_of(pw_mcp_oauth *o, const char *location, const char *redirect,
                           const char *state)
{
    const bool back = location != NULL && strncmp(location, redirect, strlen(redirect)) == 0 &&
                      strchr("?&#", location[strlen(redirect)]) != NULL;
    const char *iss = back ? query_param(o, location, "iss") : NULL;
    const char *said = back ? query_param(o, location, "state") : NULL;
    const char *code = back ? query_param(o, location, "code") : NULL;
    if (!back) {
        (void)pw_err(&o->err, PAWL_DENIED,
                     "%.100s wants to show somebody a page before it gives a token", o->issuer);
        return NULL;
    }
    if (said == NULL || strcmp(said, state) != 0) {
        (void)pw_err(&o->err, PAWL_DENIED, "the answer of %.100s is to another request", o->issuer);
        return NULL;
    }
    const bool promised =
        pawl_bool(o->metadata, "authorization_response_iss_parameter_supported", false);
    if ((iss == NULL && promised) || (iss != NULL && strcmp(iss, o->issuer) != 0)) { /* [O2] */
        (void)pw_err(&o->err, PAWL_DENIED, "the answer is not of %.100s: its iss is %.100s",
                     o->issuer, iss != NULL ? iss : "missing");
        return NULL;
    }
    if (code == NULL) {
        const char *error = query_param(o, location, "error");
        (void)pw_err(&o->err, PAWL_DENIED, "%.100s refuses: %.60s", o->issuer,
                     error != NULL ? error : "no code");
    }
    return code;
}

static const char *authorize_url(pw_mcp_oauth *o, const char *redirect, const char *state,
                                 const char *verifier)
{
    const char *endpoint = pawl_str(o->metadata, "authorization_endpoint", "");
    pw_buf url = PW_BUF_INIT;
    pw_buf_puts(&url, endpoint);
    if (strchr(endpoint, '?') == NULL) {
        pw_buf_putc(&url, '?');
    }
    pw_mcp_oauth_put(&url, "response_type", "code");
    pw_mcp_oauth_put(&url, "client_id", o->client_id);
    pw_mcp_oauth_put(&url, "redirect_uri", redirect);
    pw_mcp_oauth_put(&url, "code_challenge", challenge_of(o->call->private_scope, verifier));
    pw_mcp_oauth_put(&url, "code_challenge_method", "S256");
    pw_mcp_oauth_put(&url, "state", state);
    pw_mcp_oauth_put(&url, "resource", o->resource);
    if (o->scope[0] != '\0') {
        pw_mcp_oauth_put(&url, "scope", o->scope);
    }
    const char *copy = pw_strdup(o->call->private_scope, pw_buf_cstr(&url));
    pw_buf_deinit(&url);
    return copy;
}

static bool by_code(pw_mcp_oauth *o)
{
    pawl_scope *scope = o->call->private_scope;
    const char *redirect = pawl_str(o->config, "redirect_uri", PW_MCP_REDIRECT);
    const char *state = random_text(scope);
    const char *verifier = random_text(scope);
    pw_mcp_fetched got;
    if (!pw_mcp_oauth_lists(pawl_get(o->metadata, "code_challenge_methods_supported"),
                            "S256")) { /* [O4] */
        (void)pw_err(&o->err, PAWL_DENIED, "%.100s does not say that it does PKCE with S256",
                     o->issuer);
        return false;
    }
    if (state == NULL || verifier == NULL) {
        (void)pw_err(&o->err, PAWL_NOMEM, "no memory for an authorization");
        return false;
    }
    const pw_mcp_fetch what = {.url = authorize_url(o, redirect, state, verifier)};
    if (what.url == NULL || !pw_mcp_oauth_fetch(o, &what, &got)) {
        return false;
    }
    const char *code = code_of(o, got.location, redirect, state);
    if (code == NULL) {
        return false;
    }
    pw_buf form = PW_BUF_INIT;
    pw_mcp_oauth_put(&form, "grant_type", "authorization_code");
    pw_mcp_oauth_put(&form, "code", code);
    pw_mcp_oauth_put(&form, "redirect_uri", redirect);
    pw_mcp_oauth_put(&form, "code_verifier", verifier);
    const bool ok = ask_token(o, &form);
    pw_buf_deinit(&form);
    return ok;
}

/* ---- the whole ---- */

static bool get_token(pw_mcp_oauth *o)
{
    const bool credentials = pawl_is(o->config, "grant", "client_credentials");
    if (!pw_mcp_oauth_find(o) || !pw_mcp_oauth_client(o)) {
        return false;
    }
    return refresh(o) || (credentials ? by_credentials(o) : by_code(o));
}

bool pw_mcp_authorize(pw_mcp_call *call, int rounds, pw_mcp_reply *reply)
{
    pw_mcp_oauth o = {.call = call,
                      .config = pawl_get(call->input, "server.auth.oauth"),
                      .challenge = reply->challenge != NULL ? reply->challenge : ""};
    if (o.config == NULL || call->process != NULL || rounds >= ROUNDS_MAX) {
        return false;
    }
    if (get_token(&o)) {
        return true;
    }
    const pw_mcp_cut cut = pw_mcp_call_over(call, INT64_MAX);
    const int status = reply->status;
    pw_mcp_cut_set(reply, cut != PW_MCP_ANSWERED ? cut : PW_MCP_HTTP, "Unauthorized",
                   "the server wants a token: %s", o.err.message);
    reply->status = status;
    return false;
}
