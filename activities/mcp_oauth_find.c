/*
 * mcp_oauth_find.c - who may give a token for a server: the documents that say so, looked for where the standards have them, and checked.
 *
 * A document is not believed for where it lies: it must name what it was asked about. Does not ask for tokens.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "activities/mcp_oauth.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

/* ---- the challenge ---- */

const char *pw_mcp_oauth_param(pw_mcp_oauth *o, const char *name)
{
    const size_t size = strlen(name);
    for (const char *p = o->challenge; *p != '\0'; p++) {
        const bool begins = p == o->challenge || p[-1] == ' ' || p[-1] == ',' || p[-1] == '\t';
        if (!begins || strncasecmp(p, name, size) != 0 || p[size] != '=') {
            continue;
        }
        const char *value = p + size + 1;
        const bool quoted = *value == '"';
        value += quoted;
        return pw_strndup(o->call->private_scope, value, strcspn(value, quoted ? "\"" : ", "));
    }
    return NULL;
}

/* ---- URLs ---- */

/* "https://host:port" of a URL; its path follows in *ret_path. NULL: it is none. */
static const char *origin_of(pw_mcp_oauth *o, const char *url, const char **ret_path)
{
    const char *host = strstr(url, "://");
    if (host == NULL) {
        return NULL;
    }
    const size_t size = (size_t)(host - url) + 3 + strcspn(host + 3, "/?#");
    const char *path = url + size;
    const size_t path_size = strcspn(path, "?#");
    const bool root = path_size == 1 && path[0] == '/';
    *ret_path = pw_strndup(o->call->private_scope, path, root ? 0 : path_size);
    return pw_strndup(o->call->private_scope, url, size);
}

/* [O1] The same place, or one above. */
static bool covers(const char *resource, const char *url)
{
    size_t size = strlen(resource);
    size -= size > 0 && resource[size - 1] == '/';
    return strncmp(resource, url, size) == 0 && strstr(resource, "://") != NULL &&
           (url[size] == '\0' || strchr("/?#", url[size]) != NULL);
}

/* [O5] */
static bool is_safe(const char *url)
{
    char host[256];
    pawl_error err;
    if (strncasecmp(url, "https://", 8) == 0) {
        return true;
    }
    return pw_http_host(url, host, &err) == PAWL_OK &&
           (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
            strcmp(host, "::1") == 0);
}

bool pw_mcp_oauth_fetch(pw_mcp_oauth *o, const pw_mcp_fetch *what, pw_mcp_fetched *ret)
{
    if (!is_safe(what->url)) {
        (void)pw_err(&o->err, PAWL_DENIED, "tokens are not asked for over plain http: %.120s",
                     what->url);
        return false;
    }
    return pw_mcp_fetch_wait(o->call, what, ret, &o->err);
}

/* The document as a map; NULL: it is not there. */
static const pawl_value *document(pw_mcp_oauth *o, const char *url)
{
    const pw_mcp_fetch what = {.url = url};
    pw_mcp_fetched got;
    if (url == NULL || !pw_mcp_oauth_fetch(o, &what, &got)) {
        return NULL;
    }
    return got.status == 200 && pawl_typeof(got.json) == PAWL_MAP ? got.json : NULL;
}

/* ---- the resource ---- */

static const pawl_value *prm_of(pw_mcp_oauth *o, const char *server)
{
    pawl_scope *scope = o->call->private_scope;
    const char *path = "";
    const char *told = pw_mcp_oauth_param(o, "resource_metadata");
    const char *origin = origin_of(o, server, &path);
    if (told != NULL || origin == NULL) {
        return document(o, told);
    }
    const pawl_value *prm =
        path[0] != '\0' ? document(o, pw_sprintf(scope, "%s/.well-known/oauth-protected-resource%s",
                                                 origin, path))
                        : NULL;
    return prm != NULL
               ? prm
               : document(o, pw_sprintf(scope, "%s/.well-known/oauth-protected-resource", origin));
}

static bool find_resource(pw_mcp_oauth *o)
{
    const char *server = pawl_str(o->call->input, "server.url", "");
    o->prm = prm_of(o, server);
    o->resource = pawl_str(o->prm, "resource", NULL);
    o->issuer = pawl_str(o->prm, "authorization_servers.0", NULL);
    if (o->resource == NULL || o->issuer == NULL) {
        (void)pw_err(
            &o->err, PAWL_NOTFOUND,
            "the server wants a token and does not say whose: it has no protected resource metadata");
        return false;
    }
    if (!covers(o->resource, server)) {
        (void)pw_err(&o->err, PAWL_DENIED,
                     "the server's metadata is about another resource: %.120s", o->resource);
        return false;
    }
    return true;
}

/* ---- the authorization server ---- */

static bool find_issuer(pw_mcp_oauth *o)
{
    pawl_scope *scope = o->call->private_scope;
    const char *path = "";
    const char *origin = origin_of(o, o->issuer, &path);
    o->metadata = origin == NULL
                      ? NULL
                      : document(o, pw_sprintf(scope, "%s/.well-known/oauth-authorization-server%s",
                                               origin, path));
    if (o->metadata == NULL && origin != NULL) {
        o->metadata =
            document(o, pw_sprintf(scope, "%s/.well-known/openid-configuration%s", origin, path));
    }
    if (o->metadata == NULL && origin != NULL && path[0] != '\0') {
        o->metadata =
            document(o, pw_sprintf(scope, "%s%s/.well-known/openid-configuration", origin, path));
    }
    if (o->metadata == NULL) {
        (void)pw_err(&o->err, PAWL_NOTFOUND, "the authorization server %.120s has no metadata",
                     o->issuer);
        return false;
    }
    if (!pawl_is(o->metadata, "issuer", o->issuer)) { /* [O2] */
        (void)pw_err(&o->err, PAWL_DENIED, "the metadata of %.100s say that they are of %.100s",
                     o->issuer, pawl_str(o->metadata, "issuer", "nobody"));
        return false;
    }
    return true;
}

/* ---- scopes ---- */

bool pw_mcp_oauth_lists(const pawl_value *list, const char *word)
{
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(list, i), "", word)) {
            return true;
        }
    }
    return false;
}

static bool has_word(const pw_buf *words, const char *word, size_t size)
{
    const char *p = (const char *)words->data;
    const char *end = p + words->size;
    while (p < end) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        const size_t len = (size_t)((space != NULL ? space : end) - p);
        if (len == size && memcmp(p, word, size) == 0) {
            return true;
        }
        p += len + 1;
    }
    return false;
}

static void add_words(pw_buf *words, const char *more)
{
    while (*more != '\0') {
        const size_t size = strcspn(more, " ");
        if (size > 0 && !has_word(words, more, size)) {
            pw_buf_puts(words, words->size > 0 ? " " : "");
            pw_buf_put(words, more, size);
        }
        more += size + (more[size] == ' ');
    }
}

/* What the challenge wants, else what the resource offers; and what was asked for before, so that nothing granted is lost. */
static bool choose_scope(pw_mcp_oauth *o)
{
    const char *wanted = pw_mcp_oauth_param(o, "scope");
    pw_mcp_server *s = o->call->server;
    pw_buf words = PW_BUF_INIT;
    pthread_mutex_lock(&s->lock);
    add_words(&words, s->scope.size > 0 ? pw_buf_cstr(&s->scope) : "");
    pthread_mutex_unlock(&s->lock);
    add_words(&words, pawl_str(o->config, "scope", ""));
    const pawl_value *offered = wanted == NULL ? pawl_get(o->prm, "scopes_supported") : NULL;
    add_words(&words, wanted != NULL ? wanted : "");
    for (size_t i = 0; i < pawl_len(offered); i++) {
        add_words(&words, pawl_str(pawl_at(offered, i), "", ""));
    }
    if (words.size > 0 &&
        pw_mcp_oauth_lists(pawl_get(o->metadata, "scopes_supported"), "offline_access")) {
        add_words(&words, "offline_access");
    }
    o->scope = pw_strdup(o->call->private_scope, pw_buf_cstr(&words));
    pw_buf_deinit(&words);
    return o->scope != NULL;
}

bool pw_mcp_oauth_find(pw_mcp_oauth *o)
{
    return find_resource(o) && find_issuer(o) && choose_scope(o);
}
