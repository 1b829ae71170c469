/*
 * http_rights.c - the HTTP side's rights: its files, looked at again and again; what all requests hold together; what strangers are told.
 *
 * Does not judge tokens (guard.c) and does not know messages.
 */
#include "tools/mcp/http_inside.h"
#include "tools/mcp/http_tls.h"

#include <string.h>
#include <strings.h>

#include "sdk/base/arena.h"

#define FORWARDED_MAX 8    /* lines of X-Forwarded-For */
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

/** The lines of X-Forwarded-For: a proxy may have begun a new one behind those that a client wrote. */
struct lines {
    const char *list[FORWARDED_MAX];
    size_t len;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct lines *lines = cls;
    (void)kind;
    if (strcasecmp(name, "X-Forwarded-For") == 0 && value != NULL) {
        if (lines->len == FORWARDED_MAX) { /* the last ones count */
            memmove(lines->list, lines->list + 1, sizeof lines->list - sizeof lines->list[0]);
            lines->len--;
        }
        lines->list[lines->len++] = value;
    }
    return MHD_YES;
}

void pw_http_set_peer(request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const pw_peer_ranges *proxies = &pw_front_rights(&r->http->front)->proxies;
    struct lines lines = {.len = 0};
    pw_peer_of(info != NULL ? info->client_addr : NULL, &r->pass.peer);
    if (pw_peer_in(&r->pass.peer, proxies)) {
        (void)MHD_get_connection_values(r->connection, MHD_HEADER_KIND, on_header, &lines);
        pw_peer_forwarded(&r->pass.peer, proxies, lines.list, lines.len);
    }
}

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

/* It is told so when nothing was said to it yet, else it is cut. The run of a call goes on: it was not its client that went. */
static void put_out(request *r, pw_renewed now)
{
    const bool out = now == PW_RENEWED_OUT;
    if (r->x != NULL) {
        r->x->run.cancel_on_drop = false;
    }
    if (r->stream || r->queued || r->ended) {
        pw_conn_cut(r->connection);
        return;
    }
    pw_mcpd_drop(r->x);
    pw_follower_drop(r->follower);
    r->follower = NULL;
    if (r->asking) {
        pw_up_forget(r->http->server->up, r);
        r->asking = false;
    }
    pw_pass_out(&r->http->front, &r->pass, out);
    if (r->begun) { /* else its body is still coming: it is refused then */
        pw_http_refuse(r, r->pass.status, r->pass.why);
        pw_http_end(r);
    }
}

/* [T23] What its principal may do has changed: a request that is under way goes on as that, unless it was let in for what it may do no more. A stream
 * is begun again by its client. */
static void renew(request *r)
{
    pw_renewed now = PW_RENEWED_SAME;
    pw_pass_renew(&r->http->front, &r->pass, &now);
    if (now == PW_RENEWED_OUT || now == PW_RENEWED_LESS || (now == PW_RENEWED_OTHER && r->stream)) {
        put_out(r, now);
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
