/*
 * keys_find.c - URLs of metadata, and the two members of it that count. Fetches nothing (keys.c), and reads no keys.
 */
#include "tools/mcp/keys_find.h"

#include <stdio.h>
#include <string.h>

static const char *const loopback[] = {"http://127.0.0.1", "http://[::1]"};

/* The length of "https://host:port". */
static size_t origin_size(const char *url)
{
    const char *at = strstr(url, "://");
    return at != NULL ? (size_t)(at + 3 - url) + strcspn(at + 3, "/?#") : 0;
}

/* Something stands there, and nothing that is read differently by some. */
static bool is_clean(const char *url)
{
    for (const char *p = url; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("\"<>\\^`{|}", *p)) {
            return false;
        }
    }
    const char *host = strstr(url, "://");
    const size_t origin = origin_size(url);
    return host != NULL && url + origin > host + 3 && memchr(url, '@', origin) == NULL &&
           strlen(url) < PW_KEYS_URI_BYTES_MAX;
}

bool pw_keys_uri_is_safe(const char *url)
{
    bool safe = strncmp(url, "https://", 8) == 0;
    for (size_t i = 0; i < PW_COUNT(loopback); i++) {
        const size_t size = strlen(loopback[i]);
        /* "http://127.0.0.1.example.com" is somebody's name */
        safe |= strncmp(url, loopback[i], size) == 0 && strchr(":/", url[size]) != NULL;
    }
    return safe && is_clean(url);
}

bool pw_keys_findable(const char *issuer)
{
    return pw_keys_uri_is_safe(issuer) && strpbrk(issuer, "?#") == NULL;
}

bool pw_keys_place(const char *issuer, unsigned number, char ret_url[PW_KEYS_URI_BYTES_MAX])
{
    static const char oauth[] = "/.well-known/oauth-authorization-server";
    static const char openid[] = "/.well-known/openid-configuration";
    const int origin = (int)origin_size(issuer);
    const char *path = issuer + origin;
    int size = (int)strlen(path);
    int len = 0;
    while (size > 0 && path[size - 1] == '/') { /* of its end, both say */
        size--;
    }
    if (number > (size > 0 ? 2u : 1u)) {
        return false;
    }
    if (number < 2) {
        len = snprintf(ret_url, PW_KEYS_URI_BYTES_MAX, "%.*s%s%.*s", origin, issuer,
                       number == 0 ? oauth : openid, size, path);
    } else {
        len = snprintf(ret_url, PW_KEYS_URI_BYTES_MAX, "%.*s%s", origin + size, issuer, openid);
    }
    return len > 0 && len < PW_KEYS_URI_BYTES_MAX;
}

/* [T28] */
static bool leads_out(const char *issuer, const char *uri)
{
    const size_t origin = origin_size(issuer);
    return pw_keys_uri_is_safe(uri) &&
           (strncmp(uri, "https://", 8) == 0 ||
            (origin_size(uri) == origin && strncmp(uri, issuer, origin) == 0));
}

/* The parser lets no NUL through. */
static pawl_status read_value(const char *issuer, const pawl_value *v,
                              char ret_uri[PW_KEYS_URI_BYTES_MAX], pawl_error *err)
{
    const char *whose = pawl_str(v, "issuer", NULL);
    const char *uri = pawl_str(v, "jwks_uri", NULL);
    if (whose == NULL || strcmp(whose, issuer) != 0) {
        return pw_err(err, PAWL_DENIED, "the metadata say that they are of %.100s, not of %.100s",
                      whose != NULL ? whose : "nobody", issuer);
    }
    if (uri == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "the metadata of %.150s name no jwks_uri", issuer);
    }
    if (!leads_out(issuer, uri)) {
        return pw_err(err, PAWL_DENIED,
                      "the metadata name a jwks_uri that is not https, or no address: %.120s", uri);
    }
    (void)snprintf(ret_uri, PW_KEYS_URI_BYTES_MAX, "%s", uri);
    return PAWL_OK;
}

pawl_status pw_keys_place_read(const char *issuer, const char *json, size_t size,
                               char ret_uri[PW_KEYS_URI_BYTES_MAX], pawl_error *err)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = NULL;
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for metadata");
    }
    pawl_status st = pawl_parse_json(scope, json, size, &v, err);
    st = st == PAWL_OK && pawl_typeof(v) != PAWL_MAP
             ? pw_err(err, PAWL_PARSE, "the metadata are no object")
             : st;
    st = st == PAWL_OK ? read_value(issuer, v, ret_uri, err) : st;
    pawl_scope_free(scope);
    return st;
}
