/*
 * session.c - sessions of the legacy era. The id is a sealed text that holds version and capabilities, so that a session outlives the process
 * that began it; what has become of it since is kept in the journal (session_state.c). Does not know who a client is.
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

/* The oldest that nobody uses: one that listens must not keep all that came after it. */
static void forget_oldest(pw_mcpd *s)
{
    pw_mcpd_session *old = NULL;
    for (pw_mcpd_session *session = s->sessions; session != NULL; session = session->next) {
        session->used = false;
    }
    for (const pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        if (x->session != NULL) {
            x->session->used = true;
        }
    }
    for (pw_mcpd_session *session = s->sessions; session != NULL; session = session->next) {
        old = session->used ? old : session;
    }
    if (old != NULL && old != s->sessions) { /* the first is new */
        old->prev->next = old->next;
        if (old->next != NULL) {
            old->next->prev = old->prev;
        }
        HASH_DEL(s->sessions_by_id, old);
        session_free(old);
        s->sessions_len--;
    }
}

/* name: what its id was sealed of. */
static pw_mcpd_session *keep(pw_mcpd *s, const char *id, const pawl_value *name)
{
    pw_mcpd_session *session = pw_calloc(1, sizeof *session);
    pawl_scope *scope = session != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL || strlen(id) >= sizeof session->id) {
        pawl_scope_free(scope);
        pw_free(session);
        return NULL;
    }
    session->scope = scope;
    session->caps = caps_of(scope, pawl_int(name, "2", 0));
    session->expires_ms = pawl_int(name, "3", 0);
    session->catalog = (uint64_t)pawl_int(name, "4", 0);
    (void)snprintf(session->name, sizeof session->name, "%s", pawl_str(name, "0", ""));
    session->log_level = pw_mcpd_level("info");
    (void)snprintf(session->id, sizeof session->id, "%s", id);
    (void)snprintf(session->version, sizeof session->version, "%s",
                   pawl_str(name, "1", PW_MCPD_LEGACY));
    HASH_ADD_STR(s->sessions_by_id, id, session);
    if (session->hh.tbl == NULL) { /* no memory */
        session_free(session);
        return NULL;
    }
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
    const pawl_value *name = pawl_build(
        scope, "[%s, %s, %p, %lld, %lld]", pw_mcpd_base64(scope, random, sizeof random), version,
        pawl_v(flags), (long long)(pw_mcpd_now_ms() + SESSION_MS), (long long)s->catalog.digest);
    const char *id = pw_mcpd_seal(s, scope, "session", name);
    if (!pw_scope_failed(scope)) {
        session = keep(s, id, name);
    }
    if (session != NULL) {
        session->ours = true;
        session->known = true;
    }
    pawl_scope_free(scope);
    return session;
}

pw_mcpd_session *pw_mcpd_session_find(pw_mcpd *s, const char *id)
{
    pw_mcpd_session *session = NULL;
    HASH_FIND_STR(s->sessions_by_id, id, session);
    if (session != NULL) {
        return session->ended ? NULL : session;
    }
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *name = scope != NULL ? pw_mcpd_unseal(s, scope, "session", id) : NULL;
    session = pawl_int(name, "3", 0) > pw_mcpd_now_ms() ? keep(s, id, name) : NULL;
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

/* ---- what it subscribed to, and the tasks it knows ---- */

static size_t subscription_find(const pw_mcpd_session *session, const char *uri, size_t *ret_bytes)
{
    size_t at = session->uris_len;
    *ret_bytes = 0;
    for (size_t i = 0; i < session->uris_len; i++) {
        at = strcmp(session->uris[i], uri) == 0 ? i : at;
        *ret_bytes += strlen(session->uris[i]);
    }
    return at;
}

pawl_status pw_mcpd_session_subscribe(pw_mcpd_session *session, const char *uri)
{
    size_t bytes = 0;
    const size_t size = strlen(uri) + 1;
    if (subscription_find(session, uri, &bytes) < session->uris_len) {
        return PAWL_OK;
    }
    if (session->uris_len == PW_MCPD_SUBSCRIPTIONS_MAX || bytes + size > PW_MCPD_URIS_BYTES_MAX) {
        return PAWL_LIMIT;
    }
    char *mine = pw_malloc(size);
    if (mine == NULL) {
        return PAWL_NOMEM;
    }
    memcpy(mine, uri, size);
    session->uris[session->uris_len++] = mine;
    return PAWL_OK;
}

bool pw_mcpd_session_unsubscribe(pw_mcpd_session *session, const char *uri)
{
    size_t bytes = 0;
    const size_t i = subscription_find(session, uri, &bytes);
    if (i == session->uris_len) {
        return false;
    }
    pw_free(session->uris[i]);
    session->uris[i] = session->uris[--session->uris_len];
    return true;
}

/* The last few, by a checksum: a collision tells a client of a task that it may see, and did not ask for. */
void pw_mcpd_session_task(pw_mcpd_session *session, const char *run_id)
{
    const uint64_t sum = pw_checksum(run_id, strlen(run_id));
    for (size_t i = 0; session != NULL && i < PW_MCPD_SESSION_TASKS; i++) {
        if (session->tasks[i] == sum) {
            return;
        }
    }
    if (session != NULL) {
        session->tasks[session->tasks_next++ % PW_MCPD_SESSION_TASKS] = sum;
    }
}

void pw_mcpd_sessions_free(pw_mcpd *s)
{
    HASH_CLEAR(hh, s->sessions_by_id);
    while (s->sessions != NULL) {
        pw_mcpd_session *next = s->sessions->next;
        session_free(s->sessions);
        s->sessions = next;
    }
}
