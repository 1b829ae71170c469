/*
 * session.c - sessions of the legacy era. The id is a sealed text that holds version and capabilities, so that a session outlives the process
 * that began it; the least level of logs, what it subscribed to and that it was ended are kept in memory alone. Does not
 * know who a client is.
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

#define SESSION_MS INT64_C(2592000000) /* thirty days */

/* Of a client's capabilities, what the server uses: short, for it travels in a header. */
static const char *const known[] = {"elicitation.form", "elicitation.url", "sampling", "roots"};

static const pawl_value *flags_of(pawl_scope *scope, const pawl_value *caps)
{
    const pawl_value *e = pawl_get(caps, "elicitation");
    int64_t flags = 0;
    for (size_t i = 0; i < PW_COUNT(known); i++) {
        flags |= (int64_t)(pawl_typeof(pawl_get(caps, known[i])) == PAWL_MAP) << i;
    }
    flags |= pawl_typeof(e) == PAWL_MAP && pawl_len(e) == 0; /* {} means form */
    return pawl_make_int(scope, flags);
}

static const pawl_value *caps_of(pawl_scope *scope, int64_t flags)
{
    const pawl_value *empty = pawl_build(scope, "{}");
    const pawl_value *e = NULL;
    const pawl_value *caps = empty;
    e = flags & 1 ? pawl_with(scope, e, "form", empty) : e;
    e = flags & 2 ? pawl_with(scope, e, "url", empty) : e;
    caps = e != NULL ? pawl_with(scope, caps, "elicitation", e) : caps;
    caps = flags & 4 ? pawl_with(scope, caps, "sampling", empty) : caps;
    return flags & 8 ? pawl_with(scope, caps, "roots", empty) : caps;
}

static void session_free(pw_mcpd_session *session)
{
    for (size_t i = 0; i < session->uris_len; i++) {
        pw_free(session->uris[i]);
    }
    pawl_scope_free(session->scope);
    pw_free(session);
}

static bool in_use(const pw_mcpd *s, const pw_mcpd_session *session)
{
    const pw_mcpd_x *x = s->xs;
    while (x != NULL && x->session != session) {
        x = x->next;
    }
    return x != NULL;
}

/* The oldest that nobody uses: one that listens must not keep all that came after it. */
static void forget_oldest(pw_mcpd *s)
{
    pw_mcpd_session *old = s->sessions;
    while (old->next != NULL) {
        old = old->next;
    }
    while (old != NULL && in_use(s, old)) {
        old = old->prev;
    }
    if (old != NULL && old != s->sessions) { /* the first is new */
        old->prev->next = old->next;
        if (old->next != NULL) {
            old->next->prev = old->prev;
        }
        session_free(old);
        s->sessions_len--;
    }
}

static pw_mcpd_session *keep(pw_mcpd *s, const char *id, const char *version, int64_t flags)
{
    pw_mcpd_session *session = pw_calloc(1, sizeof *session);
    pawl_scope *scope = session != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL || strlen(id) >= sizeof session->id) {
        pawl_scope_free(scope);
        pw_free(session);
        return NULL;
    }
    session->scope = scope;
    session->caps = caps_of(scope, flags);
    session->log_level = pw_mcpd_level("info");
    (void)snprintf(session->id, sizeof session->id, "%s", id);
    (void)snprintf(session->version, sizeof session->version, "%s", version);
    session->next = s->sessions;
    if (s->sessions != NULL) {
        s->sessions->prev = session;
    }
    s->sessions = session;
    if (++s->sessions_len > PW_MCPD_SESSIONS_MAX) {
        forget_oldest(s);
    }
    return session;
}

pw_mcpd_session *pw_mcpd_session_new(pw_mcpd *s, const char *version, const pawl_value *caps)
{
    uint8_t random[12];
    pawl_scope *scope = pawl_scope_new();
    pw_mcpd_session *session = NULL;
    if (scope == NULL) {
        return NULL;
    }
    pw_random(random, sizeof random);
    const pawl_value *flags = flags_of(scope, caps);
    const pawl_value *name =
        pawl_build(scope, "[%s, %s, %p, %lld]", pw_mcpd_base64(scope, random, sizeof random),
                   version, pawl_v(flags), (long long)(pw_mcpd_now_ms() + SESSION_MS));
    const char *id = pw_mcpd_seal(s, scope, "session", name);
    if (!pw_scope_failed(scope)) {
        session = keep(s, id, version, pawl_int(flags, "", 0));
    }
    pawl_scope_free(scope);
    return session;
}

pw_mcpd_session *pw_mcpd_session_find(pw_mcpd *s, const char *id)
{
    for (pw_mcpd_session *session = s->sessions; session != NULL; session = session->next) {
        if (strcmp(session->id, id) == 0) {
            return session->ended ? NULL : session;
        }
    }
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *name = scope != NULL ? pw_mcpd_unseal(s, scope, "session", id) : NULL;
    pw_mcpd_session *session =
        pawl_int(name, "3", 0) > pw_mcpd_now_ms()
            ? keep(s, id, pawl_str(name, "1", PW_MCPD_LEGACY), pawl_int(name, "2", 0))
            : NULL;
    pawl_scope_free(scope);
    return session;
}

void pw_mcpd_session_end(pw_mcpd *s, pw_mcpd_session *session)
{
    session->ended = true;
    for (pw_mcpd_x *x = s->xs, *next = NULL; x != NULL; x = next) {
        next = x->next;
        if (x->session == session && x->listen != NULL) {
            x->sink->end(x->sink_user, 200, NULL, 0);
            pw_mcpd_drop(x);
        }
    }
}

void pw_mcpd_sessions_free(pw_mcpd *s)
{
    while (s->sessions != NULL) {
        pw_mcpd_session *next = s->sessions->next;
        session_free(s->sessions);
        s->sessions = next;
    }
}
