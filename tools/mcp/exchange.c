/*
 * exchange.c - one message from its text to its method, and one answer from a value to its text.
 *
 *   take: read --> which era --> session or _meta, headers --> what is published, if the method needs it --> method
 *
 * Does not carry methods out and does not know transports.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

static const struct {
    const char *name;
    bool legacy, modern, catalog;
    pw_mcpd_fn fn;
} methods[PW_MCPD_METHODS] = {
#define NOTHING false
#define CATALOG true
#define X(id, text, in_legacy, in_modern, header, needs) \
    [PW_MCPD_##id] = {text, in_legacy, in_modern, needs, pw_mcpd_on_##id},
#include "tools/mcp/methods.def"
#undef X
#undef NOTHING
#undef CATALOG
};

static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                     "error", "critical", "alert",  "emergency"};

int64_t pw_mcpd_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int pw_mcpd_level(const char *name)
{
    for (size_t i = 0; i < PW_COUNT(levels); i++) {
        if (strcmp(levels[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- life ---- */

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

pw_mcpd_x *pw_mcpd_x_new(pw_mcpd *s, const pw_mcpd_given *given)
{
    pw_mcpd_x *x = pw_calloc(1, sizeof *x);
    pawl_scope *scope = x != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(x);
        return NULL;
    }
    *x = (pw_mcpd_x){.server = s,
                     .scope = scope,
                     .sink = given->sink,
                     .sink_user = given->user,
                     .header = given->header,
                     .hosted = given->hosted,
                     .era = &pw_mcpd_legacy,
                     .log_level = PW_MCPD_LEVEL_NONE,
                     .principal = pw_strdup(scope, given->principal),
                     .who = pw_who_share(given->who),
                     .challenge = given->challenge,
                     .may_answer = pw_who_may(given->who, PW_OP_ANSWER),
                     .next = s->xs};
    if (x->principal == NULL) { /* never somebody else */
        pw_who_release(x->who);
        pawl_scope_free(scope);
        pw_free(x);
        return NULL;
    }
    if (s->xs != NULL) {
        s->xs->prev = x;
    }
    s->xs = x;
    return x;
}

void pw_mcpd_no_timer(pw_mcpd_x *x)
{
    if (x->timer != NULL) {
        uv_timer_stop(x->timer);
        uv_close((uv_handle_t *)x->timer, free_handle);
        x->timer = NULL;
    }
}

static void x_free(pw_mcpd_x *x)
{
    pw_mcpd *s = x->server;
    pw_mcpd_no_timer(x);
    pw_mcpd_call_over(x);
    pw_mcpd_search_forget(x);
    pw_mcpd_looks_free(x);
    pw_up_forget(s->up, x);
    *(x->prev != NULL ? &x->prev->next : &s->xs) = x->next;
    if (x->next != NULL) {
        x->next->prev = x->prev;
    }
    if (x->slot != NULL) {
        *x->slot = NULL;
    }
    pw_who_release(x->who);
    pawl_scope_free(x->scope);
    pw_free(x);
}

void pw_mcpd_drop(pw_mcpd_x *x)
{
    if (x != NULL) {
        pw_mcpd_call_dropped(x);
        x_free(x);
    }
}

bool pw_mcpd_lasts(const pw_mcpd_x *x)
{
    return x->run.id[0] != '\0' || x->listen != NULL;
}

static void on_timer(uv_timer_t *timer)
{
    pw_mcpd_x *x = timer->data;
    x->on_time(x);
}

void pw_mcpd_after(pw_mcpd_x *x, int64_t ms, pw_mcpd_fn fn)
{
    if (x->timer == NULL) {
        x->timer = pw_calloc(1, sizeof *x->timer);
        if (x->timer == NULL) {
            pw_scope_fail(x->scope);
            pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "out of memory");
            return;
        }
        (void)uv_timer_init(x->server->loop, x->timer);
        x->timer->data = x;
    }
    x->on_time = fn;
    uv_timer_start(x->timer, on_timer, (uint64_t)ms, 0);
}

/* ---- saying ---- */

static const char no_memory[] = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,"
                                "\"message\":\"out of memory\"}}";

/* [T26] What could not be written is an error to that request, under its id if there is memory for so much; a run of its own goes on, and counts as
 * one whose answer was lost. */
static void end_without_memory(pw_mcpd_x *x)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pw_mcpd_write_error(&text, x->id, PW_MCPD_INTERNAL, "out of memory", NULL);
    const bool ok = pw_buf_ok(&text);
    pw_mcpd_lose(x->server, pw_mcpd_answers(x));
    x->sink->end(x->sink_user, 500, ok ? (const char *)text.data : no_memory,
                 ok ? text.size : sizeof no_memory - 1);
    x_free(x);
}

static void end_text(pw_mcpd_x *x, int http, pw_buf *text)
{
    if (!pw_buf_ok(text) || pw_scope_failed(x->scope)) { /* what was made without memory is wrong */
        pw_buf_deinit(text);
        end_without_memory(x);
        return;
    }
    pw_mcpd_delivered(x); /* unless the transport finds otherwise */
    x->sink->end(x->sink_user, http, (const char *)text->data, text->size);
    pw_buf_deinit(text);
    x_free(x);
}

void pw_mcpd_end_as(pw_mcpd_x *x, const pawl_value *result, const char *type)
{
    pw_buf text = PW_BUF_INIT;
    pw_buf tail = PW_BUF_INIT;
    if (x->era->tail != NULL && x->era->tail(&tail, result, type)) {
        pw_mcpd_write_result(&text, x->id, result);
        text.size -= pw_buf_ok(&text) ? 2 : 0; /* the braces of the result and of the message */
        pw_buf_put(&text, tail.data, tail.size);
        pw_buf_putc(&text, '}');
        text.failed |= tail.failed;
    } else {
        pw_mcpd_write_result(&text, x->id, x->era->stamp(x->scope, result, type));
    }
    pw_buf_deinit(&tail);
    text.failed |= pw_scope_failed(x->scope);
    end_text(x, 200, &text);
}

void pw_mcpd_end_written(pw_mcpd_x *x, const char *result, size_t size)
{
    pw_buf text = PW_BUF_INIT;
    pw_mcpd_write_written(&text, x->id, result, size);
    end_text(x, 200, &text);
}

void pw_mcpd_end(pw_mcpd_x *x, const pawl_value *result)
{
    pw_mcpd_end_as(x, result, "complete");
}

void pw_mcpd_fail(pw_mcpd_x *x, int64_t code, const pawl_value *data, const char *fmt, ...)
{
    pw_buf text = PW_BUF_INIT;
    char why[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    pw_mcpd_write_error(&text, x->id, code, why, data);
    end_text(x, x->era->http_status ? pw_mcpd_code_http(code) : 200, &text);
}

void pw_mcpd_fail_lost(pw_mcpd_x *x, const char *what, const char *why)
{
    char run[sizeof x->run.id];
    pw_mcpd *s = x->server;
    (void)snprintf(run, sizeof run, "%s", pw_mcpd_answers(x));
    pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "%s: %s", what, why);
    pw_mcpd_lose(s, run);
}

void pw_mcpd_fail_plain(pw_mcpd_x *x, int http, int64_t code, const char *why)
{
    pw_buf text = PW_BUF_INIT;
    pw_mcpd_write_error(&text, x->id, code, why, NULL);
    end_text(x, http, &text);
}

void pw_mcpd_end_empty(pw_mcpd_x *x, int http)
{
    x->sink->end(x->sink_user, http, NULL, 0);
    x_free(x);
}

static void say(pw_mcpd_x *x, pw_buf *text)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf event = PW_BUF_INIT; /* as long as what its client calls it */
    if (x->stream != NULL) {
        pw_buf_printf(&event, "%s.%lld", x->stream, (long long)++x->events);
    }
    const char *id = x->stream != NULL ? pw_buf_cstr(&event) : NULL;
    if (pw_buf_ok(text)) {
        x->sink->message(x->sink_user, pw_buf_ok(&event) ? id : NULL, (const char *)text->data,
                         text->size);
    } else if (x->sink->lost != NULL) {
        x->sink->lost(x->sink_user);
    }
    pw_buf_deinit(text);
}

void pw_mcpd_notify(pw_mcpd_x *x, const char *method, const pawl_value *params)
{
    pw_buf text = PW_BUF_INIT;
    pw_mcpd_write_notification(&text, method, params);
    say(x, &text);
}

void pw_mcpd_request(pw_mcpd_x *x, const char *id, const char *method, const pawl_value *params)
{
    pw_buf text = PW_BUF_INIT;
    pw_mcpd_write_request(&text, id, method, params);
    say(x, &text);
}

void pw_mcpd_prime(pw_mcpd_x *x)
{
    if (x->stream != NULL && !x->primed) {
        x->primed = true;
        x->sink->message(x->sink_user, pw_sprintf(x->scope, "%s.0", x->stream), "", 0);
    }
}

/* ---- what a client can do ---- */

bool pw_mcpd_has_cap(const pw_mcpd_x *x, const char *name)
{
    return pawl_typeof(pawl_get(x->caps, name)) == PAWL_MAP;
}

bool pw_mcpd_has_tasks(const pw_mcpd_x *x)
{
    return x->era->meta && pw_mcpd_key(pawl_get(x->caps, "extensions"), PW_MCPD_TASKS) != NULL;
}

void pw_mcpd_need_cap(pw_mcpd_x *x, const pawl_value *caps)
{
    pw_mcpd_fail(x, PW_MCPD_NO_CAPABILITY,
                 pawl_build(x->scope, "{requiredCapabilities: %p}", pawl_v(caps)),
                 "the client has not declared what this needs");
}

/* ---- what is published ---- */

static void carry_out(pw_mcpd_x *x)
{
    pw_mcpd_fn fn = x->then;
    x->then = NULL;
    pw_mcpd_gate(x, fn);
}

static void on_catalog(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    if (status != PAWL_OK || !pw_mcpd_published(x->server, reply)) {
        pw_mcpd_fail(x, PW_MCPD_INTERNAL, NULL, "what is published cannot be read: %s", why);
        return;
    }
    carry_out(x);
}

static void with_catalog(pw_mcpd_x *x)
{
    pw_mcpd *s = x->server;
    const int64_t now = pw_mcpd_now_ms();
    const int64_t age = now - s->catalog.at_ms;
    const int64_t asked = now - s->catalog.asked_ms;
    const bool have = s->catalog.scope != NULL && s->catalog.at_ms != 0;
    /* the first of many finds out whether it has changed; they do not all ask */
    const bool being_asked = asked >= 0 && asked < PW_MCPD_CATALOG_MS;
    if (have && ((age >= 0 && age < PW_MCPD_CATALOG_MS) || being_asked)) {
        carry_out(x);
    } else {
        s->catalog.asked_ms = now;
        pw_up_ask(s->up, "tools", &pw_up_none, on_catalog, x);
    }
}

/* ---- taking ---- */

static pw_mcpd_method method_of(const char *name, const pw_mcpd_era *era)
{
    for (int i = 1; i < PW_MCPD_METHODS; i++) {
        if (strcmp(methods[i].name, name) == 0 &&
            (era->meta ? methods[i].modern : methods[i].legacy)) {
            return (pw_mcpd_method)i;
        }
    }
    return PW_MCPD_NO_SUCH_METHOD;
}

/* A request is modern when it says so itself, when its header does, or when only that era has its method. */
static bool is_modern(const pw_mcpd_message *m, const pw_mcpd_given *given)
{
    const char *header =
        given->header != NULL ? given->header(given->user, "MCP-Protocol-Version") : NULL;
    if (pw_mcpd_has(pawl_get(m->params, "_meta"), PW_MCPD_META "protocolVersion") ||
        (header != NULL && strcmp(header, PW_MCPD_MODERN) == 0)) {
        return true;
    }
    return m->method != NULL && method_of(m->method, &pw_mcpd_legacy) == PW_MCPD_NO_SUCH_METHOD &&
           method_of(m->method, &pw_mcpd_modern) != PW_MCPD_NO_SUCH_METHOD &&
           (given->header == NULL || given->header(given->user, "Mcp-Session-Id") == NULL);
}

/* Goes on with then when the session is there, and known. */
static void with_session(pw_mcpd_x *x, const pw_mcpd_given *given, pw_mcpd_fn then)
{
    if (given->hosted != NULL) {
        x->session = *given->hosted;
        then(x);
        return;
    }
    const char *id = given->header(given->user, "Mcp-Session-Id");
    const char *version = given->header(given->user, "MCP-Protocol-Version");
    if (id == NULL) {
        pw_mcpd_fail_plain(x, 400, PW_MCPD_INVALID_REQUEST, "the header Mcp-Session-Id is missing");
        return;
    }
    x->session = pw_mcpd_session_find(x->server, id);
    if (x->session == NULL) {
        pw_mcpd_no_session(x);
    } else if (version != NULL && pw_mcpd_era_of(version) != &pw_mcpd_legacy) {
        pw_mcpd_fail_plain(
            x, 400, PW_MCPD_INVALID_REQUEST,
            "the header MCP-Protocol-Version names a version that is not spoken here");
    } else {
        pw_mcpd_session_known(x, then);
    }
}

static void go_legacy(pw_mcpd_x *x)
{
    const pw_mcpd_message *m = &x->message;
    if (x->session != NULL) {
        x->caps = x->session->caps;
        x->log_level = x->session->log_level;
    }
    if (m->kind == PW_MCPD_ANSWER) {
        pw_mcpd_answered(x, m);
        return;
    }
    x->token = pawl_get(m->params, "_meta.progressToken");
    x->method = method_of(m->method, x->era);
    if (x->method == PW_MCPD_NO_SUCH_METHOD) {
        pw_mcpd_fail(x, PW_MCPD_NO_METHOD, NULL, "there is no method \"%.100s\"", m->method);
        return;
    }
    x->then = methods[x->method].fn;
    (methods[x->method].catalog ? with_catalog : carry_out)(x);
}

static void take_legacy(pw_mcpd_x *x, const pw_mcpd_given *given)
{
    const char *method = x->message.method;
    if (method != NULL && strcmp(method, "initialize") == 0) {
        go_legacy(x);
    } else {
        with_session(x, given, go_legacy);
    }
}

static void take_modern(pw_mcpd_x *x, const pw_mcpd_message *m)
{
    x->era = &pw_mcpd_modern;
    if (m->kind == PW_MCPD_ANSWER) {
        pw_mcpd_fail_plain(x, 400, PW_MCPD_INVALID_REQUEST,
                           "a client of this era sends no answers");
        return;
    }
    x->method = method_of(m->method, x->era);
    if (!pw_mcpd_check_meta(x) || !pw_mcpd_check_headers(x, m->method)) {
        return;
    }
    if (x->method == PW_MCPD_NO_SUCH_METHOD) {
        pw_mcpd_fail(x, PW_MCPD_NO_METHOD, NULL, "there is no method \"%.100s\"", m->method);
        return;
    }
    x->then = methods[x->method].fn;
    (methods[x->method].catalog ? with_catalog : carry_out)(x);
}

/* Cancels a request of the same peer: of its connection, or of its session. */
static void take_cancel(pw_mcpd_x *x, const pawl_value *id)
{
    for (pw_mcpd_x *o = x->server->xs; o != NULL && id != NULL; o = o->next) {
        const bool same = x->hosted != NULL ? o->hosted == x->hosted
                                            : o->session != NULL && o->session == x->session;
        if (o != x && same && pawl_equal(o->id, id)) {
            /* [T20] Said in so many words; but who only watches, or may stop no run, stops none. */
            o->run.cancel_on_drop |= o->run.calls && pw_who_may(o->who, PW_OP_CANCEL);
            o->sink->end(o->sink_user, 200, NULL, 0);
            pw_mcpd_drop(o);
            return;
        }
    }
}

static void note(pw_mcpd_x *x)
{
    const pw_mcpd_message *m = &x->message;
    if (strcmp(m->method, "notifications/cancelled") == 0) {
        take_cancel(x, pawl_get(m->params, "requestId"));
    } else if (strcmp(m->method, "notifications/initialized") == 0 && x->hosted != NULL &&
               x->session != NULL) {
        pw_mcpd_listen_hosted(x);
    }
    pw_mcpd_end_empty(x, 202);
}

static void take_notification(pw_mcpd_x *x, const pw_mcpd_given *given)
{
    if (is_modern(&x->message, given)) {
        note(x);
    } else {
        with_session(x, given, note);
    }
}

void pw_mcpd_take(pw_mcpd *s, const pw_mcpd_given *given, pw_mcpd_x **ret_x)
{
    pw_mcpd_x *x = pw_mcpd_x_new(s, given);
    if (ret_x != NULL) {
        *ret_x = x;
    }
    if (x == NULL) {
        given->sink->end(given->user, 503, no_memory, sizeof no_memory - 1);
        return;
    }
    x->slot = ret_x;
    pw_mcpd_message *m = &x->message;
    pw_mcpd_read(x->scope, given->text, given->size, m);
    x->id = m->id;
    x->params = m->params;
    if (m->kind == PW_MCPD_NOT_JSON || m->kind == PW_MCPD_NOT_RPC) {
        pw_mcpd_fail_plain(
            x, 400, m->kind == PW_MCPD_NOT_JSON ? PW_MCPD_PARSE : PW_MCPD_INVALID_REQUEST, m->why);
    } else if (m->kind == PW_MCPD_NOTIFICATION) {
        take_notification(x, given);
    } else if (is_modern(m, given)) {
        take_modern(x, m);
    } else {
        take_legacy(x, given);
    }
}
