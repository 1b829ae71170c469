/*
 * relay_link.c - one connection of a remote worker: TLS, its frames, its token, its limits.
 *
 * A peer without a token has a few seconds and little room. What is no TLS, no frame, no message, too large, too slow or silent is cut here, on the
 * relay's thread; the engine never hears of it. A peer that does not read is not read from either, so that nothing piles up for it.
 *
 * Does not know the engine: relay_session.c does.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/relay_inside.h"

#define READ_BYTES 16384 /* one record of TLS */
#define READS_AT_ONCE 16 /* then it is another's turn */
#define LEAVING_MS 2000  /* for the last reply */

/* ---- life ---- */

pw_relay_link *pw_relay_link_new(pw_relay *r, int fd, const char *peer)
{
    pw_relay_link *link = pw_calloc(1, sizeof *link);
    pawl_error err;
    if (link == NULL || pw_tls_open(r->tls, fd, NULL, &link->tls, &err) != PAWL_OK) {
        pw_free(link);
        return NULL;
    }
    link->fd = fd;
    link->slot = -1;
    link->since_ms = link->heard_ms = link->wrote_ms = r->now_ms;
    (void)snprintf(link->peer, sizeof link->peer, "%s", peer);
    pw_frames_init(&link->in, PW_RELAY_HELLO_BYTES_MAX);
    return link;
}

void pw_relay_link_free(pw_relay_link *link)
{
    pw_tls_close(link->tls, link->state == PW_LINK_LEAVING);
    close(link->fd);
    pw_frames_deinit(&link->in);
    pw_buf_deinit(&link->out.buf);
    pw_free(link);
}

static void set_state(pw_relay *r, pw_relay_link *link, pw_relay_state state)
{
    link->state = state;
    link->since_ms = r->now_ms;
}

void pw_relay_link_cut(pw_relay *r, pw_relay_link *link, bool over)
{
    pw_relay_session *s = link->session;
    link->session = NULL;
    if (link->state != PW_LINK_LEAVING) {
        set_state(r, link, PW_LINK_CLOSED);
    }
    if (s != NULL) {
        pw_relay_session_leave(r, s);
        s->over |= over;
    }
}

/* After what is written has left. */
static void leave(pw_relay *r, pw_relay_link *link)
{
    set_state(r, link, PW_LINK_LEAVING);
    pw_relay_link_cut(r, link, true);
}

static void drop(pw_relay *r, pw_relay_link *link)
{
    set_state(r, link, PW_LINK_CLOSED);
    pw_relay_link_cut(r, link, false);
}

/* ---- sending ---- */

void pw_relay_link_send(pw_relay *r, pw_relay_link *link, pw_view message)
{
    if (pw_relay_bytes_left(&link->out) == 0) {
        link->wrote_ms = r->now_ms;
    }
    if (!pw_relay_bytes_frame(&link->out, message)) {
        drop(r, link);
    }
}

void pw_relay_link_reply(pw_relay *r, pw_relay_link *link, int64_t number, pawl_status status,
                         pw_view body, const pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_reply_write(&out, number, status, body, err);
    if (pw_buf_ok(&out)) {
        pw_relay_link_send(r, link, (pw_view){out.data, out.size});
    }
}

static void refuse(pw_relay *r, pw_relay_link *link, int64_t number, pawl_status status,
                   const pawl_error *err)
{
    pw_relay_refused(r, link, err->message);
    pw_relay_link_reply(r, link, number, status, (pw_view){NULL, 0}, err);
}

/* ---- hello ---- */

static const pawl_value *bounds(pawl_scope *scope, const pawl_value *v, const pw_token_grant *grant)
{
    v = grant->queues != NULL ? pawl_with(scope, v, "queues", grant->queues) : v;
    return grant->activities != NULL ? pawl_with(scope, v, "activities", grant->activities) : v;
}

static void welcome(pw_relay *r, pw_relay_link *link, int64_t number, const pw_token_grant *grant,
                    bool resumed)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = NULL;
    if (scope != NULL) {
        v = pawl_build(scope, "{version: %s, session: %s, resumed: %p, grace_ms: %lld}",
                       PAWL_VERSION, link->session->id, pawl_v(pawl_make_bool(scope, resumed)),
                       (long long)r->options.grace_ms);
        v = bounds(scope, v, grant);
    }
    if (scope == NULL || pw_scope_failed(scope)) {
        drop(r, link);
    } else {
        pw_relay_link_reply(r, link, number, PAWL_OK, pw_value_bytes(v), NULL);
        pw_relay_log(r, PAWL_INFO, "remote worker \"%s\" from %s %s", grant->name, link->peer,
                     resumed ? "is back" : "is connected");
    }
    pawl_scope_free(scope);
}

/* A copy that ends with 0; empty when it does not fit. */
static void token_copy(char ret[PW_TOKEN_BYTES_MAX], pw_view token)
{
    size_t size = token.size < PW_TOKEN_BYTES_MAX ? token.size : 0;
    if (size > 0) {
        memcpy(ret, token.data, size);
    }
    ret[size] = '\0';
}

static void greet(pw_relay *r, pw_relay_link *link, const pw_vet *vet)
{
    char token[PW_TOKEN_BYTES_MAX];
    pawl_error err;
    bool resumed = false;
    token_copy(token, pw_relay_text(vet->args, "token"));
    const pw_token_grant *grant = pw_token_grant_of(r->grants, PW_TOKEN_WORKER, token);
    if (grant == NULL) {
        refuse(r, link, vet->number,
               pw_err(&err, PAWL_DENIED, "that is no token of a worker, or it was revoked"), &err);
        leave(r, link);
        return;
    }
    pawl_status st = pw_relay_session_join(r, link, grant, vet->args, &resumed, &err);
    if (st != PAWL_OK) {
        pw_relay_link_reply(r, link, vet->number, st, (pw_view){NULL, 0}, &err);
        leave(r, link);
        return;
    }
    set_state(r, link, PW_LINK_OPEN);
    link->in.frame_bytes_max = PW_FRAME_BYTES_MAX;
    link->session->last_number =
        vet->number > link->session->last_number ? vet->number : link->session->last_number;
    welcome(r, link, vet->number, grant, resumed);
}

/* A sign of life, once it is known. */
static void answer_hello(pw_relay *r, pw_relay_link *link, const pw_vet *vet)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    if (link->state == PW_LINK_GREETING) {
        greet(r, link, vet);
        return;
    }
    pw_mp_map(&body, 1);
    pw_mp_str(&body, "version");
    pw_mp_str(&body, PAWL_VERSION);
    pw_relay_link_reply(r, link, vet->number, PAWL_OK, (pw_view){body.data, body.size}, NULL);
}

/* ---- frames ---- */

static const pw_token_grant *grant_of(const pw_relay *r, const pw_relay_link *link)
{
    return link->session != NULL ? pw_token_grant_find(r->grants, link->session->grant) : NULL;
}

static void take_frame(pw_relay *r, pw_relay_link *link, pw_view frame)
{
    pw_vet vet = {.space = PW_BUF_INIT};
    switch (pw_relay_vet(frame, grant_of(r, link), &vet)) {
    case PW_VET_PASS:
        pw_relay_session_ask(link->session, &vet);
        break;
    case PW_VET_HELLO:
        answer_hello(r, link, &vet);
        break;
    case PW_VET_REFUSED:
        refuse(r, link, vet.number, vet.status, &vet.err);
        if (++link->refusals >= PW_RELAY_REFUSALS_MAX) {
            leave(r, link);
        }
        break;
    case PW_VET_CUT:
        refuse(r, link, vet.number, vet.status, &vet.err);
        leave(r, link);
        break;
    }
    pw_buf_deinit(&vet.space);
}

static bool is_talking(const pw_relay_link *link)
{
    return link->state == PW_LINK_GREETING || link->state == PW_LINK_OPEN;
}

static void take_bytes(pw_relay *r, pw_relay_link *link, const uint8_t *data, size_t size)
{
    pw_view frame;
    pawl_error err;
    link->heard_ms = r->now_ms;
    pawl_status st = pw_frames_put(&link->in, data, size, &err);
    while (st == PAWL_OK && is_talking(link)) {
        st = pw_frames_next(&link->in, &frame, &err);
        if (st == PAWL_OK) {
            take_frame(r, link, frame);
            link->frame_ms = 0;
        }
    }
    if (st != PAWL_OK && st != PAWL_DONE && is_talking(link)) {
        refuse(r, link, 0, st, &err);
        leave(r, link);
    }
    if (!pw_frames_partial(&link->in)) {
        link->frame_ms = 0;
    } else if (link->frame_ms == 0) {
        link->frame_ms = r->now_ms;
    }
}

/* ---- bytes ---- */

static bool has_room(const pw_relay_link *link)
{
    size_t ahead = link->session != NULL ? pw_relay_bytes_left(&link->session->out) : 0;
    return ahead < PW_RELAY_AHEAD_BYTES && pw_relay_bytes_left(&link->out) < PW_RELAY_AHEAD_BYTES;
}

static void broken(pw_relay *r, pw_relay_link *link)
{
    bool known = link->session != NULL;
    pw_relay_log(r, known ? PAWL_INFO : PAWL_DEBUG, "the connection of %s ends: %s", link->peer,
                 pw_tls_problem(link->tls));
    if (!known) {
        pw_relay_refused(r, link, pw_tls_problem(link->tls));
    }
    drop(r, link);
}

static void receive(pw_relay *r, pw_relay_link *link)
{
    uint8_t space[READ_BYTES];
    link->more = true;
    for (int i = 0; i < READS_AT_ONCE && is_talking(link) && has_room(link); i++) {
        size_t size = 0;
        pw_tls_io io = pw_tls_read(link->tls, space, sizeof space, &size);
        if (io == PW_TLS_DONE) {
            take_bytes(r, link, space, size);
            continue;
        }
        link->more = false;
        if (io == PW_TLS_END) { /* it has said good-bye: it does not come back */
            set_state(r, link, PW_LINK_CLOSED);
            pw_relay_link_cut(r, link, true);
        } else if (io == PW_TLS_BROKEN) {
            broken(r, link);
        }
        return;
    }
}

static void transmit(pw_relay *r, pw_relay_link *link)
{
    while (pw_relay_bytes_left(&link->out) > 0) {
        size_t size = 0;
        pw_tls_io io = pw_tls_write(link->tls, link->out.buf.data + link->out.sent,
                                    pw_relay_bytes_left(&link->out), &size);
        if (io == PW_TLS_DONE) {
            pw_relay_bytes_gone(&link->out, size);
            link->wrote_ms = r->now_ms;
            continue;
        }
        if (io == PW_TLS_END || io == PW_TLS_BROKEN) {
            drop(r, link);
        }
        return;
    }
}

static void shake(pw_relay *r, pw_relay_link *link)
{
    pw_tls_io io = pw_tls_handshake(link->tls);
    link->want_write = io == PW_TLS_WANT_WRITE;
    if (io ==
        PW_TLS_DONE) { /* the time for both is one: a slow handshake leaves less for the token */
        link->state = PW_LINK_GREETING;
        link->more = true;
    } else if (io == PW_TLS_END || io == PW_TLS_BROKEN) {
        broken(r, link);
    }
}

short pw_relay_link_events(const pw_relay_link *link)
{
    if (link->state == PW_LINK_SHAKING) {
        return link->want_write ? POLLOUT : POLLIN;
    }
    bool reads = is_talking(link) && has_room(link);
    return (short)((reads ? POLLIN : 0) | (pw_relay_bytes_left(&link->out) > 0 ? POLLOUT : 0));
}

void pw_relay_link_serve(pw_relay *r, pw_relay_link *link, short revents)
{
    if (link->state == PW_LINK_SHAKING && revents != 0) {
        shake(r, link);
    }
    if (is_talking(link) && (link->more || (revents & (POLLIN | POLLHUP | POLLERR)) != 0)) {
        receive(r, link);
    }
    bool writes = is_talking(link) || link->state == PW_LINK_LEAVING;
    if (writes && pw_relay_bytes_left(&link->out) > 0) {
        transmit(r, link);
    }
    if (link->state == PW_LINK_LEAVING && pw_relay_bytes_left(&link->out) == 0) {
        pw_tls_close(link->tls, true);
        link->tls = NULL;
        link->state = PW_LINK_CLOSED;
    }
}

void pw_relay_link_deadline(pw_relay *r, pw_relay_link *link)
{
    int64_t now = r->now_ms;
    const char *late = NULL;
    if (link->state == PW_LINK_SHAKING || link->state == PW_LINK_GREETING) {
        late = now - link->since_ms > PW_RELAY_GREETING_MS ? "it never said who it is" : NULL;
    } else if (link->state == PW_LINK_OPEN && now - link->heard_ms > PW_RELAY_IDLE_MS) {
        late = "it is silent";
    } else if (link->state == PW_LINK_OPEN && link->frame_ms != 0 &&
               now - link->frame_ms > PW_RELAY_FRAME_MS) {
        late = "its frame does not end";
    } else if (link->state == PW_LINK_OPEN && pw_relay_bytes_left(&link->out) > 0 &&
               now - link->wrote_ms > PW_RELAY_IDLE_MS) {
        late = "it does not read";
    } else if (link->state == PW_LINK_LEAVING && now - link->since_ms > LEAVING_MS) {
        set_state(r, link, PW_LINK_CLOSED);
    }
    if (late != NULL) {
        pw_relay_refused(r, link, late);
        drop(r, link);
    }
}
