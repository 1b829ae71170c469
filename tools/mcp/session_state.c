/*
 * session_state.c - what a session of the legacy era has become since it began, kept in the journal: the least level of its logs, what it
 * subscribed to, and that it was ended. One memory for each session that changed, in a space of the server's own; it goes when the session would.
 *
 *   a session that this process began        is known
 *   one that comes back to another process   its state is read before its first request is carried out
 *
 * [T13] A change is acknowledged when it is committed, so an ended session never lives again. A client on standard input ends with its process,
 * and its session with it: nothing of it is kept.
 */
#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

static const char *key_of(pawl_scope *scope, const pw_mcpd_session *session)
{
    return pw_sprintf(scope, "session.%s", session->name);
}

/* ---- reading ---- */

static void take_state(pw_mcpd_session *session, const pawl_value *data)
{
    const pawl_value *uris = pawl_get(data, "uris");
    session->log_level = (int)pawl_int(data, "level", session->log_level);
    session->ended = pawl_bool(data, "ended", false);
    for (size_t i = 0; i < pawl_len(uris) && i < PW_MCPD_SUBSCRIPTIONS_MAX; i++) {
        (void)pw_mcpd_session_subscribe(session, pawl_str(pawl_at(uris, i), "", ""));
    }
}

static void on_read(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    pw_mcpd_fn then = x->then;
    const pawl_value *row = pawl_at(reply, 0);
    x->then = NULL;
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the session cannot be read: %s", why);
        return;
    }
    if (!x->session->known && pawl_is(row, "key", key_of(x->scope, x->session))) {
        take_state(x->session, pawl_get(row, "data"));
    }
    x->session->known = true;
    if (x->session->ended) {
        pw_mcpd_no_session(x);
        return;
    }
    then(x);
}

void pw_mcpd_no_session(pw_mcpd_x *x)
{
    pw_mcpd_fail_plain(x, 404, PW_MCPD_INVALID_REQUEST,
                       "there is no such session: begin a new one with initialize");
}

/* Rows are given from behind a key on: the text before ours is ours without its last letter. */
void pw_mcpd_session_known(pw_mcpd_x *x, pw_mcpd_fn then)
{
    if (x->session->known) {
        then(x);
        return;
    }
    const char *key = key_of(x->scope, x->session);
    const char *before = key != NULL ? pw_strndup(x->scope, key, strlen(key) - 1) : NULL;
    x->then = then;
    pw_up_ask(x->server->up, "memories",
              pawl_build(x->scope, "{space: %s, after: %s, limit: 1}", PW_MCPD_SPACE, before),
              on_read, x);
}

/* ---- writing ---- */

static const pawl_value *uris_of(pawl_scope *scope, const pw_mcpd_session *session)
{
    const pawl_value *items[PW_MCPD_SUBSCRIPTIONS_MAX];
    for (size_t i = 0; i < session->uris_len; i++) {
        items[i] = pawl_make_str(scope, session->uris[i]);
    }
    return pawl_make_array(scope, items, session->uris_len);
}

void pw_mcpd_session_keep(pw_mcpd_x *x, bool ended, pw_up_fn fn)
{
    pw_mcpd_session *session = x->session;
    session->ending |= ended; /* what is kept behind its end does not take that back */
    const int64_t left_s = (session->expires_ms - pw_mcpd_now_ms()) / 1000;
    const pawl_value *data = pawl_build(x->scope, "{level: %d, uris: %p, ended: %p}",
                                        session->log_level, pawl_v(uris_of(x->scope, session)),
                                        pawl_v(pawl_make_bool(x->scope, session->ending)));
    pw_up_ask(x->server->up, "memory_put",
              pawl_build(x->scope, "{space: %s, key: %s, data: %p, ttl_s: %lld, by: \"mcp\"}",
                         PW_MCPD_SPACE, key_of(x->scope, session), pawl_v(data),
                         (long long)(left_s > 1 ? left_s : 1)),
              fn, x);
}

/* ---- what changes it ---- */

static void on_kept(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)reply;
    if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "the session cannot be kept: %s", why);
        return;
    }
    x->session->kept = x->keeping > x->session->kept ? x->keeping : x->session->kept;
    pw_mcpd_end(x, NULL);
}

/* The answer to a request whose session is as it wants it: also when that is not committed yet, or could not be for one before it. */
static void settle(pw_mcpd_x *x)
{
    if (x->hosted != NULL || x->session == NULL || x->session->kept == x->session->changes) {
        pw_mcpd_end(x, NULL);
    } else {
        x->keeping = x->session->changes;
        pw_mcpd_session_keep(x, false, on_kept);
    }
}

void pw_mcpd_on_LOGGING(pw_mcpd_x *x)
{
    const int level = pw_mcpd_level(pawl_str(x->params, "level", ""));
    if (level < 0) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "there is no such level");
    } else if (x->session == NULL) {
        pw_mcpd_end(x, NULL);
    } else {
        x->session->changes += x->session->log_level != level;
        x->session->log_level = level;
        settle(x);
    }
}

void pw_mcpd_on_RESOURCES_SUBSCRIBE(pw_mcpd_x *x)
{
    const char *uri = pawl_str(x->params, "uri", NULL);
    pw_mcpd_session *session = x->session;
    if (uri == NULL || session == NULL) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "uri is missing");
        return;
    }
    if (strlen(uri) > PW_MCPD_URI_BYTES_MAX) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "a uri has at most %d bytes",
                     PW_MCPD_URI_BYTES_MAX);
        return;
    }
    const size_t before = session->uris_len;
    const pawl_status status = pw_mcpd_session_subscribe(session, uri);
    if (status == PAWL_LIMIT) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL,
                     "%d subscriptions of %d bytes together are as many as there can be",
                     PW_MCPD_SUBSCRIPTIONS_MAX, PW_MCPD_URIS_BYTES_MAX);
    } else if (status != PAWL_OK) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "no memory for a subscription");
    } else {
        session->changes += session->uris_len != before;
        settle(x);
    }
}

void pw_mcpd_on_RESOURCES_UNSUBSCRIBE(pw_mcpd_x *x)
{
    if (x->session != NULL) {
        x->session->changes +=
            pw_mcpd_session_unsubscribe(x->session, pawl_str(x->params, "uri", ""));
    }
    settle(x);
}
