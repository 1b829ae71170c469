/*
 * news.c - what listeners are told: a list has changed, a run that somebody subscribed to has moved, a task is another than it was.
 *
 *   one watch of all runs, while anybody listens --> each listener that wants to hear of the run --> a notification, or a look at its task first
 *   the engine is back, or LOOK_MS passed        --> what is published is read again            --> another than before: list_changed
 *
 * A listener says what it wants to hear and hears nothing else. News is a hint to look again; what is missed while nobody listens is not kept. A
 * host may register code at any time and tells nobody: so it is looked at while somebody wants to know. Does not open streams (listen.c,
 * legacy_stream.c).
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

#define LOOK_MS 2000

static const struct {
    const char *key, *method;
} lists[] = {
    {"toolsListChanged", "notifications/tools/list_changed"},
    {"promptsListChanged", "notifications/prompts/list_changed"},
    {"resourcesListChanged", "notifications/resources/list_changed"},
};

/* A listener's notifications carry the id of its request; those of a legacy session carry nothing. */
const pawl_value *pw_mcpd_tagged(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *params)
{
    if (!x->era->meta) {
        return params;
    }
    const pawl_value *meta = pawl_with(scope, NULL, PW_MCPD_META "subscriptionId", x->id);
    return pawl_with(scope, params, "_meta", meta);
}

/* ---- lists ---- */

static void tell_lists(pw_mcpd_x *x)
{
    pawl_scope *scope = pawl_scope_new();
    for (size_t i = 0; scope != NULL && i < PW_COUNT(lists); i++) {
        if (pawl_bool(x->listen, lists[i].key, false)) {
            pw_mcpd_notify(x, lists[i].method, pw_mcpd_tagged(x, scope, NULL));
        }
    }
    pawl_scope_free(scope);
}

/* A session that an earlier process began: what was published then may not be what is. Told once, when it listens. */
static void tell_returned(pw_mcpd_x *x)
{
    pw_mcpd_session *session = x->session;
    if (session == NULL || session->told || x->server->catalog.scope == NULL) {
        return;
    }
    session->told = true;
    if (!session->ours && session->catalog != x->server->catalog.digest) {
        tell_lists(x);
    }
}

bool pw_mcpd_published(pw_mcpd *s, const pawl_value *reply)
{
    const uint64_t before = s->catalog.digest;
    const bool first = s->catalog.scope == NULL;
    if (!pw_mcpd_catalog_read(&s->catalog, reply, s->options.tools == PW_MCPD_TOOLS_ALL)) {
        return false;
    }
    s->catalog.at_ms = pw_mcpd_now_ms();
    for (pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        if (x->listen != NULL && first) {
            tell_returned(x);
        } else if (x->listen != NULL && s->catalog.digest != before) {
            tell_lists(x);
        }
    }
    return true;
}

static void on_published(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd *s = user;
    (void)why;
    s->news.looking = false;
    if (status == PAWL_OK) {
        (void)pw_mcpd_published(s, reply); /* without memory: the next look */
    }
}

static bool anybody_listens(const pw_mcpd *s)
{
    const pw_mcpd_x *x = s->xs;
    while (x != NULL && x->listen == NULL) {
        x = x->next;
    }
    return x != NULL;
}

void pw_mcpd_news_look(pw_mcpd *s)
{
    if (!s->news.looking) {
        s->news.looking = true;
        pw_up_ask(s->up, "tools", &pw_up_none, on_published, s);
    }
}

/* ---- runs ---- */

static bool listed(const pawl_value *listen, const char *key, const char *text)
{
    const pawl_value *list = pawl_get(listen, key);
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(list, i), "", text)) {
            return true;
        }
    }
    return false;
}

static bool subscribed(const pw_mcpd_x *x, const char *uri)
{
    for (size_t i = 0; x->session != NULL && i < x->session->uris_len; i++) {
        if (strcmp(x->session->uris[i], uri) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_task(const pw_mcpd_session *session, const char *run_id)
{
    for (size_t i = 0; session != NULL && i < PW_MCPD_SESSION_TASKS; i++) {
        if (session->tasks[i] == pw_checksum(run_id, strlen(run_id))) {
            return true;
        }
    }
    return false;
}

static void on_task(pw_mcpd_x *x, int64_t n, pawl_status status, const pawl_value *task,
                    pawl_scope *scope)
{
    (void)n;
    if (status == PAWL_OK && task != NULL) {
        pw_mcpd_notify(x, x->era->task_news, pw_mcpd_tagged(x, scope, task));
    }
}

/* What they see, or may when its workflow is one of theirs: a look finds that out. */
static bool may_see(pw_mcpd_x *x, const char *run_id)
{
    return pw_mcpd_sees(x, run_id, NULL) || pw_who_may_foreign(x->who, PW_OP_READ);
}

void pw_mcpd_tell_task(pw_mcpd_x *x, const char *run_id)
{
    if (!may_see(x, run_id)) {
        return; /* to them there is no such run */
    }
    (void)pw_mcpd_look_at(x, run_id, 0, on_task); /* without memory it is not told: it is a hint */
}

static void tell_moved(pw_mcpd_x *x, pawl_scope *scope, const char *id)
{
    char uri[sizeof PW_MCPD_RUN_URI + PW_ID_BYTES_MAX];
    (void)snprintf(uri, sizeof uri, PW_MCPD_RUN_URI "%s", id);
    pw_mcpd_notify(x, "notifications/resources/updated",
                   pw_mcpd_tagged(x, scope, pawl_build(scope, "{uri: %s}", uri)));
}

static void on_run(pw_mcpd_x *x, int64_t n, pawl_status status, const pawl_value *run,
                   pawl_scope *scope)
{
    (void)n;
    if (status == PAWL_OK && run != NULL) {
        tell_moved(x, scope, pawl_str(run, "id", ""));
    }
}

/* A listener hears of all runs for as long as it likes, and so nothing of an event may stay in its scope. */
static void tell_run(pw_mcpd_x *x, const char *id, bool state)
{
    char uri[sizeof PW_MCPD_RUN_URI + PW_ID_BYTES_MAX];
    const pw_view bytes = pw_value_bytes(x->listen);
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return;
    }
    const pawl_value *listen = pw_value_view(scope, bytes.data, bytes.size);
    (void)snprintf(uri, sizeof uri, PW_MCPD_RUN_URI "%s", id);
    const bool moved = listed(listen, "resourceSubscriptions", uri) || subscribed(x, uri);
    const bool task = state && (listed(listen, "taskIds", id) || has_task(x->session, id));
    if (moved && pw_mcpd_sees(x, id, NULL)) {
        tell_moved(x, scope, id);
    } else if (moved && may_see(x, id)) {
        (void)pw_mcpd_look_at_run(x, id, on_run); /* as of a task */
    }
    if (task) {
        pw_mcpd_tell_task(x, id);
    }
    pawl_scope_free(scope);
}

static void on_event(void *user, pawl_status status, const pawl_value *event, const char *why)
{
    pw_mcpd *s = ((struct pw_mcpd_news *)user)->server;
    const char *id = pawl_str(event, "id", "");
    const char *type = pawl_str(event, "type", "");
    const bool state = strncmp(type, "Run", 3) == 0 || strncmp(type, "Wait", 4) == 0;
    (void)why;
    if (status != PAWL_OK) {
        s->news.watching = false; /* the watch is over: the next look begins one */
        return;
    }
    for (pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        if (x->listen != NULL && x->hears) {
            tell_run(x, id, state);
        }
    }
}

/* ---- while anybody listens ---- */

static void watch(pw_mcpd *s)
{
    if (!s->news.watching) {
        s->news.watching = true;
        pw_up_watch(s->up, &pw_up_none, on_event, &s->news);
    }
}

static void on_time(uv_timer_t *timer)
{
    pw_mcpd *s = timer->data;
    bool some = false;
    for (const pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        some |= x->listen != NULL && x->hears;
    }
    if (some) {
        watch(s);
    } else if (s->news.watching) {
        s->news.watching = false;
        pw_up_forget(s->up, &s->news);
    }
    if (anybody_listens(s)) {
        pw_mcpd_news_look(s);
    } else {
        uv_timer_stop(timer);
    }
}

void pw_mcpd_hear(pw_mcpd_x *x)
{
    pw_mcpd *s = x->server;
    x->hears = pawl_len(pawl_get(x->listen, "resourceSubscriptions")) > 0 ||
               pawl_len(pawl_get(x->listen, "taskIds")) > 0 || x->session != NULL;
    if (x->hears) {
        watch(s);
    }
    if (!uv_is_active((uv_handle_t *)s->news.timer)) {
        uv_timer_start(s->news.timer, on_time, LOOK_MS, LOOK_MS);
        pw_mcpd_news_look(s); /* what it changes from has to be known */
    }
    tell_returned(x);
}

void pw_mcpd_news_back(pw_mcpd *s)
{
    pw_mcpd_news_look(s);
    for (pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        const pawl_value *ids = x->listen != NULL ? pawl_get(x->listen, "taskIds") : NULL;
        for (size_t i = 0; i < pawl_len(ids); i++) {
            pw_mcpd_tell_task(x, pawl_str(pawl_at(ids, i), "", ""));
        }
    }
}

bool pw_mcpd_news_open(pw_mcpd *s)
{
    s->news.server = s;
    s->news.timer = pw_calloc(1, sizeof *s->news.timer);
    if (s->news.timer == NULL) {
        return false;
    }
    (void)uv_timer_init(s->loop, s->news.timer);
    s->news.timer->data = s;
    return true;
}

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

void pw_mcpd_news_close(pw_mcpd *s)
{
    if (s->news.timer != NULL) {
        uv_close((uv_handle_t *)s->news.timer, free_handle);
    }
}
