/*
 * legacy_stream.c - what a client of the legacy era does with its session besides posting: GET waits for what belongs to no request, GET with
 * Last-Event-ID takes a stream of a call up again, DELETE ends the session. A client on standard input has one such stream, its output.
 *
 *   Last-Event-ID --unseal--> the run, the request, whose session it is --> the run is followed as its call would: open questions, its end
 *
 * [T14] A stream is taken up by its own session alone, and says again only what is still open: never what was said before, however often its client
 * comes back. Does not hear events (news.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mcp/inside.h"

#define EVENTS_MAX INT64_C(0xffffffffffff) /* of one stream */

static void hear_news(pw_mcpd_x *x)
{
    x->listen = pawl_build(x->scope, "{toolsListChanged: true, promptsListChanged: true, "
                                     "resourcesListChanged: true}");
    if (pw_scope_failed(x->scope)) {
        pw_mcpd_fail_plain(x, 503, PW_MCPD_INTERNAL, "out of memory");
        return;
    }
    x->sink->message(x->sink_user, NULL, NULL, 0); /* opens the stream */
    pw_mcpd_hear(x);
}

void pw_mcpd_listen_hosted(pw_mcpd_x *from)
{
    pw_mcpd *s = from->server;
    const pw_mcpd_given given = {.sink = from->sink,
                                 .user = from->sink_user,
                                 .principal = from->principal,
                                 .hosted = from->hosted};
    pw_mcpd_x *x = s->xs;
    while (x != NULL && (x->listen == NULL || x->hosted != from->hosted || x->era->meta)) {
        x = x->next;
    }
    x = x != NULL ? x : pw_mcpd_x_new(s, &given);
    if (x != NULL) { /* else: nobody is told of news */
        x->session = *from->hosted;
        hear_news(x);
    }
}

/* x->params: what the name of the stream says. A refusal before this is no answer to the call: it has its id from here on. */
static void resume_allowed(pw_mcpd_x *x)
{
    const pawl_value *name = x->params;
    x->params = NULL;
    x->id = pawl_get(name, "1");
    x->token = pawl_get(name, "2");
    x->sink->message(x->sink_user, NULL, NULL, 0);
    pw_mcpd_follow(x, pawl_str(name, "0", ""), NULL, (pw_mcpd_shape)pawl_int(name, "3", 0));
}

static void resume(pw_mcpd_x *x)
{
    const char *last = x->header(x->sink_user, "Last-Event-ID");
    const char *dot = last != NULL ? strrchr(last, '.') : NULL;
    const char *stream = dot != NULL ? pw_strndup(x->scope, last, (size_t)(dot - last)) : NULL;
    const pawl_value *name =
        stream != NULL ? pw_mcpd_unseal(x->server, x->scope, "stream", stream) : NULL;
    if (!pawl_is(name, "4", x->session->name)) {
        pw_mcpd_fail_plain(x, 400, PW_MCPD_INVALID_REQUEST, "there is no stream with this event");
        return;
    }
    x->caps = x->session->caps;
    x->log_level = x->session->log_level;
    x->method = PW_MCPD_TASKS_RESULT; /* no bound: the run's end is waited for */
    x->resumed = true;
    x->run.calls = pawl_bool(name, "5", false);
    x->params = name;
    x->stream = stream;
    x->events = strtoll(dot + 1, NULL, 10) & EVENTS_MAX; /* it is the client's to say */
    x->primed = true;
    pw_mcpd_gate_run(x, pawl_str(name, "0", ""), resume_allowed);
}

static void on_ended(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    (void)reply;
    if (status != PAWL_OK) {
        x->session->ending = false;
        pw_mcpd_fail_plain(x, 503, PW_MCPD_INTERNAL, why);
        return;
    }
    pw_mcpd_session_end(x->server, x->session);
    pw_mcpd_end_empty(x, 200);
}

static void wait_for_news(pw_mcpd_x *x)
{
    pw_mcpd_gate_news(x, hear_news);
}

static void end_session(pw_mcpd_x *x)
{
    pw_mcpd_session_keep(x, true, on_ended);
}

void pw_mcpd_take_session(pw_mcpd *s, const pw_mcpd_given *given, bool get, pw_mcpd_x **ret_x)
{
    const char *id = given->header(given->user, "Mcp-Session-Id");
    const bool again = given->header(given->user, "Last-Event-ID") != NULL;
    pw_mcpd_x *x = pw_mcpd_x_new(s, given);
    *ret_x = x;
    if (x == NULL) {
        given->sink->end(given->user, 503, NULL, 0);
        return;
    }
    x->slot = ret_x;
    x->session = id != NULL ? pw_mcpd_session_find(s, id) : NULL;
    if (x->session == NULL) {
        pw_mcpd_no_session(x);
        return;
    }
    pw_mcpd_session_known(x, !get ? end_session : again ? resume : wait_for_news);
}
