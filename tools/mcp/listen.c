/*
 * listen.c - streams that wait for news: subscriptions/listen, the GET stream of a legacy session, and streams of calls taken up again.
 *
 *   news: a list has changed (the engine's code was deployed), a run that somebody subscribed to has moved, a task has
 *
 * A listener says what it wants to hear and hears nothing else. News is a hint to look again; what is missed while nobody listens is not kept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

#define EVENTS_MAX INT64_C(0xffffffffffff) /* of one stream */

static const struct {
    const char *key, *method;
} lists[] = {
    {"toolsListChanged", "notifications/tools/list_changed"},
    {"promptsListChanged", "notifications/prompts/list_changed"},
    {"resourcesListChanged", "notifications/resources/list_changed"},
};

/* A listener's notifications carry the id of its request; those of a legacy session carry nothing. */
static const pawl_value *tagged(pw_mcpd_x *x, pawl_scope *scope, const pawl_value *params)
{
    if (!x->era->meta) {
        return params;
    }
    const pawl_value *meta = pawl_with(scope, NULL, PW_MCPD_META "subscriptionId", x->id);
    return pawl_with(scope, params, "_meta", meta);
}

void pw_mcpd_list_changed(pw_mcpd *s)
{
    for (pw_mcpd_x *x = s->xs; x != NULL; x = x->next) {
        for (size_t i = 0; x->listen != NULL && i < PW_COUNT(lists); i++) {
            if (pawl_bool(x->listen, lists[i].key, false)) {
                pw_mcpd_notify(x, lists[i].method, tagged(x, x->scope, NULL));
            }
        }
    }
}

/* ---- runs: a listener hears of all of them for as long as it likes, and so nothing of an event may stay in its scope ---- */

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

static void on_task(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    pawl_scope *scope = status == PAWL_OK ? pawl_scope_new() : NULL;
    (void)why;
    if (scope == NULL) {
        return;
    }
    const bool open = pawl_is(reply, "status", "running") || pawl_is(reply, "status", "paused");
    const bool stopped =
        pawl_is(reply, "status", "canceled") || pawl_is(reply, "status", "terminated");
    pw_mcpd_task t = {
        .id = pawl_str(reply, "id", ""),
        .status = open      ? "working"
                  : stopped ? "cancelled"
                            : "completed",
        .message = pawl_str(reply, "progress.text", ""),
        .created_ms = pawl_int(reply, "created_ms", 0),
        .updated_ms = pawl_int(reply, "updated_ms", 0),
    };
    pw_mcpd_notify(x, "notifications/tasks", tagged(x, scope, x->era->task(scope, &t)));
    pawl_scope_free(scope);
}

static void on_event(void *user, pawl_status status, const pawl_value *event, const char *why)
{
    pw_mcpd_x *x = user;
    const char *id = pawl_str(event, "id", "");
    char uri[sizeof PW_MCPD_RUN_URI + PW_ID_BYTES_MAX];
    const pw_view bytes = pw_value_bytes(x->listen);
    pawl_scope *scope = status == PAWL_OK ? pawl_scope_new() : NULL;
    (void)why;
    if (scope == NULL) {
        return;
    }
    const pawl_value *listen = pw_value_view(scope, bytes.data, bytes.size);
    (void)snprintf(uri, sizeof uri, PW_MCPD_RUN_URI "%s", id);
    const bool uri_wanted = listed(listen, "resourceSubscriptions", uri) || subscribed(x, uri);
    const bool task_wanted =
        listed(listen, "taskIds", id) && strncmp(pawl_str(event, "type", ""), "Run", 3) == 0;
    if ((uri_wanted || task_wanted) && !pw_mcpd_sees(x, id, NULL)) {
        pawl_scope_free(scope); /* to them there is no such run */
        return;
    }
    if (uri_wanted) {
        pw_mcpd_notify(x, "notifications/resources/updated",
                       tagged(x, scope, pawl_build(scope, "{uri: %s}", uri)));
    }
    if (task_wanted) {
        pw_up_ask(x->server->up, "describe", pawl_build(scope, "{id: %s}", id), on_task, x);
    }
    pawl_scope_free(scope);
}

/* One watch of all runs for each listener that wants to hear of some. */
static void hear(pw_mcpd_x *x)
{
    const bool some = pawl_len(pawl_get(x->listen, "resourceSubscriptions")) > 0 ||
                      pawl_len(pawl_get(x->listen, "taskIds")) > 0 || x->session != NULL;
    if (some) {
        pw_up_watch(x->server->up, NULL, on_event, x);
    }
}

/* ---- subscriptions/listen ---- */

static const pawl_value *honoured(pawl_scope *scope, const pawl_value *asked)
{
    static const char *const arrays[] = {"resourceSubscriptions", "taskIds"};
    const pawl_value *v = pawl_build(scope, "{}");
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        if (pawl_bool(asked, lists[i].key, false)) {
            v = pawl_with(scope, v, lists[i].key, pawl_make_bool(scope, true));
        }
    }
    for (size_t i = 0; i < PW_COUNT(arrays); i++) {
        const pawl_value *a = pawl_get(asked, arrays[i]);
        if (pawl_typeof(a) == PAWL_ARRAY && pawl_len(a) <= PW_MCPD_SUBSCRIPTIONS_MAX) {
            v = pawl_with(scope, v, arrays[i], a);
        }
    }
    return v;
}

void pw_mcpd_on_LISTEN(pw_mcpd_x *x)
{
    const pawl_value *asked = pawl_get(x->params, "notifications");
    if (pawl_typeof(asked) != PAWL_MAP) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "notifications is an object");
        return;
    }
    if (pawl_get(asked, "taskIds") != NULL && !pw_mcpd_has_tasks(x)) {
        const pawl_value *tasks =
            pawl_with(x->scope, NULL, PW_MCPD_TASKS, pawl_build(x->scope, "{}"));
        pw_mcpd_need_cap(x, pawl_build(x->scope, "{extensions: %p}", pawl_v(tasks)));
        return;
    }
    x->listen = honoured(x->scope, asked);
    pw_mcpd_notify(
        x, "notifications/subscriptions/acknowledged",
        tagged(x, x->scope, pawl_build(x->scope, "{notifications: %p}", pawl_v(x->listen))));
    hear(x);
}

/* ---- legacy ---- */

void pw_mcpd_listen_legacy(pw_mcpd *s, const pw_mcpd_given *given, pw_mcpd_session *session,
                           pw_mcpd_x **ret_x)
{
    pw_mcpd_x *x = pw_mcpd_x_new(s, given);
    *ret_x = x;
    if (x == NULL) {
        given->sink->end(given->user, 503, NULL, 0);
        return;
    }
    x->slot = ret_x;
    x->session = session;
    x->listen = pawl_build(x->scope, "{toolsListChanged: true, promptsListChanged: true, "
                                     "resourcesListChanged: true}");
    x->sink->message(x->sink_user, NULL, NULL, 0); /* opens the stream */
    hear(x);
}

bool pw_mcpd_resume(pw_mcpd *s, const pw_mcpd_given *given, pw_mcpd_session *session,
                    const char *event_id, pw_mcpd_x **ret_x)
{
    const char *dot = strrchr(event_id, '.');
    pw_mcpd_x *x = dot != NULL ? pw_mcpd_x_new(s, given) : NULL;
    if (x == NULL) {
        return false;
    }
    const char *stream = pw_strndup(x->scope, event_id, (size_t)(dot - event_id));
    const pawl_value *name = stream != NULL ? pw_mcpd_unseal(s, x->scope, "stream", stream) : NULL;
    *ret_x = x;
    x->slot = ret_x;
    if (name == NULL) {
        x->sink = NULL;
        pw_mcpd_drop(x);
        return false;
    }
    x->session = session;
    x->caps = session->caps;
    x->log_level = session->log_level;
    x->method = PW_MCPD_TASKS_RESULT; /* no bound: the run's end is waited for */
    x->id = pawl_get(name, "1");
    x->token = pawl_get(name, "2");
    x->stream = stream;
    x->events = strtoll(dot + 1, NULL, 10) & EVENTS_MAX; /* it is the client's to say */
    x->primed = true;
    x->sink->message(x->sink_user, NULL, NULL, 0);
    pw_mcpd_follow(x, pawl_str(name, "0", ""), NULL, (pw_mcpd_shape)pawl_int(name, "3", 0));
    return true;
}

static size_t subscription_find(const pw_mcpd_session *session, const char *uri)
{
    size_t i = 0;
    while (i < session->uris_len && strcmp(session->uris[i], uri) != 0) {
        i++;
    }
    return i;
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
    if (subscription_find(session, uri) < session->uris_len) {
        pw_mcpd_end(x, NULL);
        return;
    }
    if (session->uris_len == PW_MCPD_SUBSCRIPTIONS_MAX) {
        pw_mcpd_fail(x, PW_MCPD_BAD_PARAMS, NULL, "%d subscriptions are as many as there can be",
                     PW_MCPD_SUBSCRIPTIONS_MAX);
        return;
    }
    char *mine = pw_malloc(strlen(uri) + 1);
    if (mine == NULL) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "no memory for a subscription");
        return;
    }
    memcpy(mine, uri, strlen(uri) + 1);
    session->uris[session->uris_len++] = mine;
    pw_mcpd_end(x, NULL);
}

void pw_mcpd_on_RESOURCES_UNSUBSCRIBE(pw_mcpd_x *x)
{
    const char *uri = pawl_str(x->params, "uri", "");
    pw_mcpd_session *session = x->session;
    const size_t i = session != NULL ? subscription_find(session, uri) : 0;
    if (session != NULL && i < session->uris_len) {
        pw_free(session->uris[i]);
        session->uris[i] = session->uris[--session->uris_len];
    }
    pw_mcpd_end(x, NULL);
}
