/*
 * mcp_oauth_client.c - who we are to an authorization server: the id that the input has, a document of ours whose URL is the id, or an id
 * that is registered now and kept for that server alone.
 *
 * Does not keep secrets over the end of the engine: then it registers again.
 */
#include <stdio.h>
#include <string.h>

#include "activities/mcp_oauth.h"
#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/value.h"

void pw_mcp_oauth_put(pw_buf *form, const char *name, const char *value)
{
    const bool first = form->size == 0 || form->data[form->size - 1] == '?';
    pw_buf_printf(form, "%s%s=", first ? "" : "&", name);
    pw_percent_put(form, value, strlen(value));
}

/* ---- the way of authentication ---- */

static const char *method_for(const pw_mcp_oauth *o, const char *registered)
{
    static const char *const order[] = {"client_secret_basic", "client_secret_post"};
    const pawl_value *offered = pawl_get(o->metadata, "token_endpoint_auth_methods_supported");
    if (o->client_secret == NULL) {
        return "none";
    }
    if (registered != NULL && registered[0] != '\0') {
        return registered;
    }
    for (size_t i = 0; i < PW_COUNT(order); i++) {
        if (pw_mcp_oauth_lists(offered, order[i])) {
            return order[i];
        }
    }
    return offered != NULL && pw_mcp_oauth_lists(offered, "none") ? "none" : order[0];
}

void pw_mcp_oauth_say(pw_mcp_oauth *o, pw_buf *form, const char **ret_authorization)
{
    *ret_authorization = NULL;
    if (strcmp(o->method, "client_secret_basic") == 0) {
        pw_buf pair = PW_BUF_INIT;
        pw_buf line = PW_BUF_INIT;
        pw_percent_put(&pair, o->client_id, strlen(o->client_id));
        pw_buf_putc(&pair, ':');
        pw_percent_put(&pair, o->client_secret, strlen(o->client_secret));
        pw_buf_puts(&line, "Basic ");
        pw_base64_put(&line, pair.data, pair.size);
        *ret_authorization = pw_strdup(o->call->private_scope, pw_buf_cstr(&line));
        pw_buf_deinit(&pair);
        pw_buf_deinit(&line);
        return;
    }
    pw_mcp_oauth_put(form, "client_id", o->client_id);
    if (strcmp(o->method, "client_secret_post") == 0) {
        pw_mcp_oauth_put(form, "client_secret", o->client_secret);
    }
}

/* ---- registration ---- */

static const char *registration_body(pw_mcp_oauth *o, const char *redirect)
{
    static const char *const order[] = {"none", "client_secret_basic", "client_secret_post"};
    pawl_scope *scope = o->call->private_scope;
    const pawl_value *offered = pawl_get(o->metadata, "token_endpoint_auth_methods_supported");
    const char *method = order[1];
    for (size_t i = PW_COUNT(order); i-- > 0;) {
        method = pw_mcp_oauth_lists(offered, order[i]) ? order[i] : method;
    }
    const pawl_value *v = pawl_build(
        scope,
        "{client_name: \"pawl\", redirect_uris: [%s], grant_types: [\"authorization_code\", \"refresh_token\"], "
        "response_types: [\"code\"], token_endpoint_auth_method: %s, application_type: \"native\"}",
        redirect, method);
    if (o->scope[0] != '\0') {
        v = pawl_with(scope, v, "scope", pawl_make_str(scope, o->scope));
    }
    return pawl_to_json(scope, v, 0);
}

/* [O3] Kept with the issuer that gave it. */
static void keep_client(pw_mcp_oauth *o, const pawl_value *client)
{
    pw_mcp_server *s = o->call->server;
    const pawl_value *v =
        pawl_build(o->call->private_scope, "{issuer: %s, client: %p}", o->issuer, pawl_v(client));
    const pw_view bytes = pw_value_bytes(v);
    pthread_mutex_lock(&s->lock);
    pw_buf_reset(&s->client);
    pw_buf_put(&s->client, bytes.data, bytes.size);
    pthread_mutex_unlock(&s->lock);
}

static const pawl_value *kept_client(pw_mcp_oauth *o)
{
    pw_mcp_server *s = o->call->server;
    pthread_mutex_lock(&s->lock);
    const pawl_value *v =
        s->client.size > 0 && pw_buf_ok(&s->client)
            ? pw_value_copy(o->call->private_scope, s->client.data, s->client.size)
            : NULL;
    pthread_mutex_unlock(&s->lock);
    return pawl_is(v, "issuer", o->issuer) ? pawl_get(v, "client") : NULL;
}

static const pawl_value *registered(pw_mcp_oauth *o)
{
    const char *endpoint = pawl_str(o->metadata, "registration_endpoint", NULL);
    const pawl_value *known = kept_client(o);
    pw_mcp_fetched got;
    if (known != NULL) {
        return known;
    }
    if (endpoint == NULL) {
        (void)pw_err(&o->err, PAWL_NOTFOUND,
                     "%.100s registers no clients: auth.oauth needs a client_id", o->issuer);
        return NULL;
    }
    const pw_mcp_fetch what = {
        .url = endpoint,
        .body = registration_body(o, pawl_str(o->config, "redirect_uri", PW_MCP_REDIRECT)),
        .content_type = "application/json"};
    if (what.body == NULL || !pw_mcp_oauth_fetch(o, &what, &got)) {
        return NULL;
    }
    if (got.status >= 300 || pawl_str(got.json, "client_id", NULL) == NULL) {
        (void)pw_err(&o->err, PAWL_DENIED, "%.100s did not register this client: status %d, %.60s",
                     o->issuer, got.status, pawl_str(got.json, "error", "no client_id"));
        return NULL;
    }
    keep_client(o, got.json);
    return got.json;
}

bool pw_mcp_oauth_client(pw_mcp_oauth *o)
{
    const char *document = pawl_str(o->config, "client_metadata_url", NULL);
    const char *bound = pawl_str(o->config, "issuer", NULL);
    const char *own = NULL;
    o->client_id = pawl_str(o->config, "client_id", NULL);
    o->client_secret = pawl_str(o->config, "client_secret", NULL);
    if (o->client_id != NULL && bound != NULL && strcmp(bound, o->issuer) != 0) { /* [O3] */
        (void)pw_err(&o->err, PAWL_DENIED,
                     "the client_id is for %.100s, and the server's tokens are given by %.100s",
                     bound, o->issuer);
        return false;
    }
    if (o->client_id == NULL && document != NULL &&
        pawl_bool(o->metadata, "client_id_metadata_document_supported", false)) {
        o->client_id = document;
        o->client_secret = NULL;
    }
    if (o->client_id == NULL) {
        const pawl_value *client = registered(o);
        if (client == NULL) {
            return false;
        }
        o->client_id = pawl_str(client, "client_id", "");
        o->client_secret = pawl_str(client, "client_secret", NULL);
        own = pawl_str(client, "token_endpoint_auth_method", NULL);
    }
    o->method = method_for(o, own);
    return true;
}
