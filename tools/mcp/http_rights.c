/*
 * http_rights.c - the HTTP side's rights: its files, looked at again and again; what all requests hold together; what strangers are told.
 *
 * Does not judge tokens (guard.c) and does not know messages.
 */
#include "tools/mcp/http_inside.h"
#include "tools/mcp/http_tls.h"

#include "sdk/base/arena.h"

#define UNREAD_BYTES 65536 /* of a stream, which is cut at more when all hold too much */

typedef pw_mcpd_http_request request;

/* ---- what is held ---- */

void pw_http_account(request *r)
{
    const size_t size = r->body.capacity + r->out.capacity;
    pw_mcpd_http *http = r->http;
    http->held += size - r->counted;
    r->counted = size;
    if (r->stream && r->out.size - r->sent > UNREAD_BYTES &&
        http->held > (size_t)pw_front_rights(&http->front)->held_bytes) {
        r->out.failed = true;
    }
}

/* ---- who it is ---- */

/* For everybody: it says how to get a token. */
void pw_http_begin_metadata(request *r, bool get)
{
    const char *text =
        r->http->front.guard != NULL ? pw_guard_metadata(r->http->front.guard) : NULL;
    r->pass = (pw_pass){.who = r->pass.who, .limit = r->pass.limit};
    if (text == NULL || !get) {
        r->allow = text != NULL ? "GET" : NULL;
        pw_http_refuse_stream(r, text != NULL ? 405 : 404,
                              "no authorization server is believed here");
        return;
    }
    pw_buf_puts(&r->out, text);
    r->status = 200;
    r->ended = true;
}

/* Keys have come for those that waited, or the news that there are none. */
static void on_keys(void *user)
{
    pw_mcpd_http *http = user;
    for (request *r = http->requests; r != NULL; r = r->next) {
        if (r->pass.waiting) {
            pw_pass_head(&http->front, &r->pass, pw_http_header(r, "Authorization"),
                         pw_http_now_ms(http));
            if (!r->pass.waiting) {
                pw_http_wake(r);
            }
        }
    }
}

/* [T23] What its principal may do has changed: a request that is under way goes on as that; a stream, which was let in before, is cut. */
static void renew(request *r)
{
    bool same = true;
    if (!pw_pass_renew(&r->http->front, &r->pass, &same) || (!same && r->stream)) {
        pw_conn_cut(r->connection);
        return;
    }
    if (r->x != NULL && r->pass.who != NULL) {
        pw_who_release(r->x->who);
        r->x->who = pw_who_share(r->pass.who);
    }
}

static void http_log(void *user, pawl_level level, const char *text)
{
    const pw_mcpd_http *http = user;
    if (http->options.log != NULL) {
        http->options.log(http->options.user, level, text);
    }
}

void pw_http_on_look(uv_timer_t *timer)
{
    pw_mcpd_http *http = timer->data;
    const bool changed = http->front.guard != NULL && pw_guard_look(http->front.guard);
    for (request *r = http->requests; r != NULL; r = r->next) {
        const pw_who *who = r->pass.who;
        if (who != NULL && (changed || who->expires_ms != 0)) {
            renew(r);
        }
    }
    pw_conns_look(&http->conns, pw_front_rights(&http->front), pw_http_now_ms(http));
    pw_http_run(http);
}

/* ---- the beginning ---- */

pawl_status pw_http_read_tls(pw_mcpd_http *http, pawl_error *err)
{
    const pw_mcpd_http_options *o = &http->options;
    http->tls = pawl_scope_new();
    return http->tls == NULL      ? pw_err(err, PAWL_NOMEM, "no memory for a server")
           : o->cert_file == NULL ? PAWL_OK
                                  : pw_http_tls_read(http->tls, o->cert_file, o->key_file,
                                                     &http->cert, &http->key, err);
}

pawl_status pw_http_open_front(pw_mcpd_http *http, pawl_error *err)
{
    const pw_mcpd_http_options *o = &http->options;
    const bool rights = o->rights_file != NULL || o->tokens_file != NULL;
    const pw_guard_options options = {.rights_file = o->rights_file,
                                      .tokens_file = o->tokens_file,
                                      .resource = http->url,
                                      .ca_file = o->ca_file,
                                      .user = http,
                                      .came = on_keys,
                                      .log = http_log};
    return pw_front_open(&http->front, http->loop, http->server, rights ? &options : NULL, err);
}
