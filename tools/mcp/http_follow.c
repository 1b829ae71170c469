/*
 * http_follow.c - a request that follows a run: may it, and where what it hears goes. Does not know what runs say (http_stream.c).
 */
#include "tools/mcp/http_inside.h"

#include <stdio.h>

typedef pw_mcpd_http_request request;

/* ---- the sink of followers ---- */

static void follower_put(void *user, const char *text, size_t size)
{
    request *r = user;
    r->stream = true;
    pw_buf_put(&r->out, text, size);
    pw_http_wake(r);
}

static size_t follower_unread(const void *user)
{
    const request *r = user;
    return r->out.size - r->sent;
}

static void follower_end(void *user, int status, const char *text)
{
    request *r = user;
    r->follower = NULL;
    r->status = status;
    if (!r->stream) {
        pw_buf_puts(&r->out, text);
    }
    pw_http_end(r);
}

static void follower_cut(void *user)
{
    request *r = user;
    r->follower = NULL;
    r->ended = true;
    pw_conn_cut(r->connection);
    pw_http_wake(r);
}

static const pw_follower_sink follower_sink = {follower_put, follower_unread, follower_end,
                                               follower_cut};

/* Refusals of a run's stream are no JSON-RPC. */
void pw_http_refuse_stream(request *r, int status, const char *why)
{
    r->status = status;
    r->ended = true;
    pw_buf_printf(&r->out, "{\"error\":\"%s\"}", why);
}

static void follow(request *r)
{
    r->follower = pw_streams_follow(r->http->streams, r->run, &follower_sink, r);
    if (r->follower == NULL) {
        pw_http_refuse_stream(r, 503, "as many follow runs as there can be");
    }
}

/* [T21] Whose run it is only the engine knows, and what a stranger is told is what it is told of no run. */
static void on_run(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    request *r = user;
    const char *workflow = status == PAWL_OK ? pawl_str(reply, "workflow", NULL) : NULL;
    (void)why;
    r->asking = false;
    if (workflow != NULL && pw_who_may_run(r->pass.who, PW_OP_READ, false, workflow)) {
        follow(r);
    } else {
        pw_http_refuse_stream(r, 404, "there is no such run");
    }
    pw_http_wake(r);
}

void pw_http_begin_follow(request *r, const char *id)
{
    const pw_who *who = r->pass.who;
    pw_mcpd *s = r->http->server;
    (void)snprintf(r->run, sizeof r->run, "%s", id);
    if (!pw_who_may(who, PW_OP_READ)) {
        char scopes[1200];
        pw_who_needs(who, PW_OP_READ, NULL, NULL, scopes, sizeof scopes);
        pw_pass_scopes(&r->http->front, &r->pass, scopes);
        pw_http_refuse_stream(r, 403, "no role of yours allows this");
    } else if (pw_who_may_run(who, PW_OP_READ, who == NULL || pw_mcpd_owner_has(s, who->owner, id),
                              NULL)) {
        follow(r);
    } else {
        pawl_scope *scope = pawl_scope_new();
        r->asking = true;
        pw_up_ask(s->up, "describe", pawl_build(scope, "{id: %s}", id), on_run, r);
        pawl_scope_free(scope);
    }
}
