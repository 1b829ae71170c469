/*
 * http_pass.c - the guard and the limits as HTTP says them. Does not know connections (http.c).
 */
#include "tools/mcp/http_pass.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/mem.h"

#define TAG_LEN 22 /* of a digest */

pawl_status pw_front_open(pw_front *front, uv_loop_t *loop, pw_mcpd *server,
                          const pw_guard_options *options, pawl_error *err)
{
    *front = (pw_front){.server = server, .limits = pw_limits_new()};
    pawl_status st = front->limits != NULL ? pw_rights_read(NULL, &front->defaults, err)
                                           : pw_err(err, PAWL_NOMEM, "no memory for limits");
    return st == PAWL_OK && options != NULL ? pw_guard_open(loop, options, &front->guard, err) : st;
}

void pw_front_close(pw_front *front)
{
    pw_guard_close(front->guard);
    pw_limits_free(front->limits);
    pw_rights_release(front->defaults);
    *front = (pw_front){.guard = NULL};
}

const pw_rights *pw_front_rights(const pw_front *front)
{
    return front->guard != NULL ? pw_guard_rights(front->guard) : front->defaults;
}

/* ---- refusing ---- */

/* Bearer, with what a client needs to get a token that does. */
static void challenge(pw_front *front, pw_pass *pass, const char *error, const char *scopes)
{
    const char *url = pw_guard_metadata_url(front->guard);
    const bool described = error[0] != '\0';
    (void)snprintf(pass->challenge, sizeof pass->challenge, "Bearer%s%s%s%s%s%s%s%s%s",
                   described ? " error=\"" : "", error, described ? "\"" : "",
                   url != NULL ? (described ? ", resource_metadata=\"" : " resource_metadata=\"")
                               : "",
                   url != NULL ? url : "", url != NULL ? "\"" : "",
                   scopes[0] != '\0' ? (described || url != NULL ? ", scope=\"" : " scope=\"") : "",
                   scopes, scopes[0] != '\0' ? "\"" : "");
}

static void refuse(pw_pass *pass, int status, int64_t retry_after_s, const char *why)
{
    pass->status = status;
    pass->retry_after_s = retry_after_s;
    (void)snprintf(pass->why, sizeof pass->why, "%s", why);
}

void pw_pass_scopes(pw_front *front, pw_pass *pass, const char *scopes)
{
    if (front->guard != NULL) {
        challenge(front, pass, "insufficient_scope", scopes);
    }
}

void pw_pass_out(pw_front *front, pw_pass *pass, bool out)
{
    refuse(pass, out ? 401 : 403, 0,
           out ? "this token counts no longer" : "you may do less now: ask again");
    challenge(front, pass, out ? "invalid_token" : "insufficient_scope",
              pw_guard_scopes(front->guard));
}

/* ---- letting in ---- */

static void enter(pw_front *front, pw_pass *pass, int64_t now_ms)
{
    int64_t after_s = 0;
    switch (pw_limit_enter(front->limits, pass->who, now_ms, &pass->limit, &after_s)) {
    case PW_LIMIT_OK:
        return;
    case PW_LIMIT_RATE:
        refuse(pass, 429, after_s, "you ask too often");
        return;
    case PW_LIMIT_CONCURRENT:
        refuse(pass, 429, after_s, "as many requests of yours are under way as may be");
        return;
    }
}

void pw_pass_head(pw_front *front, pw_pass *pass, const char *authorization, int64_t now_ms)
{
    const char *why = "";
    char text[200];
    if (front->guard == NULL || pass->who != NULL || pass->status != 0) {
        return;
    }
    pass->waiting = false;
    switch (pw_guard_ask(front->guard, authorization, &pass->peer, &pass->who, &why)) {
    case PW_GUARD_PASSED:
        enter(front, pass, now_ms);
        return;
    case PW_GUARD_LATER:
        pass->waiting = true;
        return;
    case PW_GUARD_BUSY:
        refuse(pass, 429, 1, "too many tokens that are none have come: ask again in a second");
        return;
    case PW_GUARD_REFUSED:
        (void)snprintf(text, sizeof text, "a token is needed%s%s", why[0] != '\0' ? ": " : "", why);
        refuse(pass, 401, 0, text);
        challenge(front, pass, why[0] != '\0' ? "invalid_token" : "",
                  pw_guard_scopes(front->guard));
        return;
    }
}

bool pw_front_lets_in(const pw_front *front, const pw_pass *pass)
{
    return front->guard == NULL || (pass->who != NULL && pass->status == 0);
}

void pw_pass_end(pw_pass *pass)
{
    pw_limit_leave(pass->limit);
    pw_who_release(pass->who);
    pass->limit = NULL;
    pass->who = NULL;
}

void pw_pass_renew(pw_front *front, pw_pass *pass, pw_renewed *ret_now)
{
    *ret_now = PW_RENEWED_SAME;
    if (pass->who == NULL) {
        return;
    }
    pw_who *now = pw_guard_renew(front->guard, pass->who);
    if (now == NULL) {
        *ret_now = PW_RENEWED_OUT;
        return;
    }
    *ret_now = pw_who_same(pass->who, now)     ? PW_RENEWED_SAME
               : pw_who_covers(now, pass->who) ? PW_RENEWED_OTHER
                                               : PW_RENEWED_LESS;
    pw_who_release(pass->who);
    pass->who = now;
}

/* ---- sessions ---- */

static const char *tag_of(const pw_front *front, pawl_scope *scope, const pw_pass *pass,
                          const char *id)
{
    const pawl_value *v = pawl_build(scope, "[\"session of\", %s, %s]", pass->who->principal, id);
    const char *tag = pw_mcpd_digest(front->server, scope, v);
    return !pw_scope_failed(scope) && strlen(tag) == TAG_LEN ? tag : NULL;
}

/* Takes the same time wherever they differ: who may guess as often as they like learns nothing of it. */
static bool is_tag(const char *tag, const char *given)
{
    unsigned differs = 0;
    if (strlen(given) != TAG_LEN) {
        return false;
    }
    for (size_t i = 0; i < TAG_LEN; i++) {
        differs |= (unsigned)(unsigned char)tag[i] ^ (unsigned)(unsigned char)given[i];
    }
    return differs == 0;
}

void pw_pass_session_out(const pw_front *front, const pw_pass *pass, const char *id, char *ret,
                         size_t size)
{
    pawl_scope *scope = pass->who != NULL ? pawl_scope_new() : NULL;
    const char *tag = scope != NULL ? tag_of(front, scope, pass, id) : NULL;
    (void)snprintf(ret, size, "%s%s%s", id, tag != NULL ? "." : "", tag != NULL ? tag : "");
    pawl_scope_free(scope);
}

void pw_pass_session_in(const pw_front *front, const pw_pass *pass, const char *given, char *ret,
                        size_t size)
{
    const char *dot = strrchr(given, '.');
    ret[0] = '\0';
    if (pass->who == NULL) {
        (void)snprintf(ret, size, "%s", strlen(given) < size ? given : "");
        return;
    }
    if (dot == NULL || (size_t)(dot - given) >= size) {
        return;
    }
    memcpy(ret, given, (size_t)(dot - given));
    ret[dot - given] = '\0';
    pawl_scope *scope = pawl_scope_new();
    const char *tag = scope != NULL ? tag_of(front, scope, pass, ret) : NULL;
    if (tag == NULL || !is_tag(tag, dot + 1)) {
        ret[0] = '\0';
    }
    pawl_scope_free(scope);
}

/* ---- metadata ---- */

bool pw_pass_is_metadata(const char *path)
{
    static const char known[] = "/.well-known/oauth-protected-resource";
    return strcmp(path, known) == 0 || (strncmp(path, known, sizeof known - 1) == 0 &&
                                        strcmp(path + sizeof known - 1, "/mcp") == 0);
}
