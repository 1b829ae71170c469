/*
 * uri.c - resolving references. Does not check that what comes is a URI: what is none gives a name that nothing has.
 */
#include "sdk/base/uri.h"

#include <string.h>

typedef struct parts {
    const char *scheme, *authority, *path; /* with ':' and '//' left out */
    size_t scheme_len, authority_len, path_len;
    bool has_authority;
    const char *query;
    size_t query_len; /* with '?' */
} parts;

static parts split(const char *uri)
{
    parts p = {.scheme = uri};
    size_t end = strcspn(uri, "#");
    size_t colon = strcspn(uri, ":/?#");
    if (uri[colon] == ':' && colon > 0) {
        p.scheme_len = colon;
        uri += colon + 1;
        end -= colon + 1;
    }
    if (end >= 2 && uri[0] == '/' && uri[1] == '/') {
        p.has_authority = true;
        p.authority = uri + 2;
        p.authority_len = strcspn(uri + 2, "/?#");
        uri += 2 + p.authority_len;
        end -= 2 + p.authority_len;
    }
    p.path = uri;
    p.path_len = strcspn(uri, "?#");
    p.query = uri + p.path_len;
    p.query_len = end - p.path_len;
    return p;
}

/* Takes "." and ".." out of a path, in place. */
static void remove_dots(char *path)
{
    char *out = path, *at = path;
    while (*at != 0) {
        size_t n = strcspn(at + (*at == '/'), "/") + (*at == '/');
        const char *name = at + (*at == '/');
        size_t name_len = n - (size_t)(*at == '/');
        bool last = at[n] == 0;
        if (name_len == 1 && name[0] == '.') {
            if (last) {
                *out++ = '/';
            }
        } else if (name_len == 2 && name[0] == '.' && name[1] == '.') {
            while (out > path && *--out != '/') {
            }
            if (last) {
                *out++ = '/';
            }
        } else {
            memmove(out, at, n);
            out += n;
        }
        at += n;
    }
    *out = 0;
}

static const char *compose(pawl_scope *scope, const parts *base, const parts *authority,
                           const char *path, const parts *query)
{
    return pw_sprintf(scope, "%.*s%s%s%.*s%s%.*s", (int)base->scheme_len, base->scheme,
                      base->scheme_len > 0 ? ":" : "", authority->has_authority ? "//" : "",
                      (int)authority->authority_len,
                      authority->authority != NULL ? authority->authority : "", path,
                      (int)query->query_len, query->query);
}

const char *pw_uri_join(pawl_scope *scope, const char *base, const char *ref)
{
    parts b = split(base), r = split(ref);
    if (r.scheme_len > 0) {
        return pw_strndup(scope, ref, strcspn(ref, "#"));
    }
    if (r.has_authority) {
        return compose(scope, &b, &r, pw_strndup(scope, r.path, r.path_len), &r);
    }
    if (r.path_len == 0) {
        const char *path = pw_strndup(scope, b.path, b.path_len);
        return path == NULL ? NULL : compose(scope, &b, &b, path, r.query_len > 0 ? &r : &b);
    }
    size_t keep = r.path[0] == '/' ? 0 : b.path_len;
    while (keep > 0 && b.path[keep - 1] != '/') {
        keep--;
    }
    const char *slash = keep == 0 && r.path[0] != '/' && b.has_authority ? "/" : "";
    char *path = pw_sprintf(scope, "%.*s%s%.*s", (int)keep, b.path, slash, (int)r.path_len, r.path);
    if (path == NULL) {
        return NULL;
    }
    if (path[0] == '/') {
        remove_dots(path);
    }
    return compose(scope, &b, &b, path, &r);
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != 0 ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

const char *pw_uri_fragment(pawl_scope *scope, const char *ref)
{
    const char *mark = strchr(ref, '#');
    char *out = mark != NULL ? pw_strdup(scope, mark + 1) : NULL;
    if (out == NULL) {
        return mark != NULL ? NULL : "";
    }
    char *to = out;
    for (const char *at = out; *at != 0; at++) {
        if (at[0] == '%' && hex(at[1]) >= 0 && hex(at[2]) >= 0) {
            *to++ = (char)(hex(at[1]) * 16 + hex(at[2]));
            at += 2;
        } else {
            *to++ = *at;
        }
    }
    *to = 0;
    return out;
}
