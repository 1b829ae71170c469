/*
 * relay_session.c - the engine's side of a remote worker: one connection of the control socket, kept over a break of the worker's own.
 *
 * While a worker is away its polls are taken back, and a task that was on its way to it is handed back as never begun. When it comes back it
 * says which tasks it has: any other that it was given was lost on the way, and is handed back, too. Numbers go on counting over the
 * break, so that an old answer is never taken for a new one; the relay's own requests have numbers below zero.
 *
 * Does not see the network: relay_link.c does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/relay_inside.h"

#define READ_BYTES 65536
#define HELD_MAX 4096
#define OWN_NUMBER (-1)

bool pw_relay_bytes_frame(pw_relay_bytes *b, pw_view message)
{
    size_t begin = pw_frame_begin(&b->buf);
    pw_buf_put(&b->buf, message.data, message.size);
    if (pw_buf_ok(&b->buf)) {
        pw_frame_end(&b->buf, begin);
    }
    return pw_buf_ok(&b->buf);
}

void pw_relay_bytes_gone(pw_relay_bytes *b, size_t size)
{
    b->sent += size;
    if (b->sent == b->buf.size) {
        pw_buf_deinit(&b->buf);
        b->sent = 0;
    } else if (b->sent > PW_RELAY_AHEAD_BYTES) {
        memmove(b->buf.data, b->buf.data + b->sent, b->buf.size - b->sent);
        b->buf.size -= b->sent;
        b->sent = 0;
    }
}

/* ---- tasks that it was given ---- */

static void held_add(pw_relay_session *s, pw_view token)
{
    pw_relay_held *h = pw_malloc(sizeof *h + token.size);
    if (h == NULL) {
        return; /* it is not missed when the worker comes back without it: its attempt times out */
    }
    h->size = token.size;
    memcpy(h->token, token.data, token.size);
    h->next = s->held;
    s->held = h;
    if (++s->held_len > HELD_MAX) {
        pw_relay_held **at = &s->held;
        while ((*at)->next != NULL) {
            at = &(*at)->next;
        }
        pw_free(*at);
        *at = NULL;
        s->held_len--;
    }
}

static void held_take(pw_relay_session *s, pw_view token)
{
    for (pw_relay_held **at = &s->held; *at != NULL; at = &(*at)->next) {
        pw_relay_held *h = *at;
        if (pw_view_eq((pw_view){(const uint8_t *)h->token, h->size}, token)) {
            *at = h->next;
            pw_free(h);
            s->held_len--;
            return;
        }
    }
}

/* ---- to the engine ---- */

static void ask(pw_relay_session *s, pw_view message)
{
    s->over |= !pw_relay_bytes_frame(&s->out, message);
}

void pw_relay_session_ask(pw_relay_session *s, const pw_vet *vet)
{
    bool final = vet->op == PW_REQ_TASK_DONE || vet->op == PW_REQ_TASK_FAIL ||
                 vet->op == PW_REQ_TASK_CANCELED;
    if (final) {
        held_take(s, pw_relay_text(vet->args, "token"));
    }
    s->last_number = vet->number > s->last_number ? vet->number : s->last_number;
    ask(s, vet->out);
}

static void ask_own(pw_relay_session *s, const char *op, pw_view args)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_request_write(&out, OWN_NUMBER, op, args);
    s->over |= !pw_buf_ok(&out);
    ask(s, (pw_view){out.data, out.size});
}

/* Nobody began it: somebody else gets it. */
static void hand_back(pw_relay_session *s, pw_view token)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf args = PW_BUF_INIT;
    pw_mp_map(&args, 2);
    pw_mp_str(&args, "token");
    pw_mp_strn(&args, (const char *)token.data, token.size);
    pw_mp_str(&args, "begun");
    pw_mp_bool(&args, false);
    s->over |= !pw_buf_ok(&args);
    ask_own(s, "task_canceled", (pw_view){args.data, args.size});
}

/* ---- life ---- */

static int engine_connect(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (socket_path[0] == '\0' || strlen(socket_path) >= sizeof address.sun_path) {
        return -1;
    }
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static pawl_status session_new(pw_relay *r, const pw_token_grant *grant, pw_view worker,
                               pw_relay_session **ret_session, pawl_error *err)
{
    char path[108];
    int64_t pid = 0;
    uint64_t epoch = 0;
    uint8_t random[PW_RELAY_SECRET_BYTES];
    if (r->sessions_len >= PW_RELAY_LINKS_MAX) {
        return pw_err(err, PAWL_FULL, "%d remote workers are here already", PW_RELAY_LINKS_MAX);
    }
    pawl_status st = pw_owner_probe(r->options.journal_path, &pid, &epoch, path, err);
    int fd = st == PAWL_OK && pid > 0 ? engine_connect(path) : -1;
    if (fd < 0) {
        return pw_err(err, PAWL_BUSY, "no engine answers at this moment");
    }
    pw_relay_session *s = pw_calloc(1, sizeof *s);
    if (s == NULL) {
        close(fd);
        return pw_err(err, PAWL_NOMEM, "no memory for a worker");
    }
    pw_random(random, sizeof random);
    pw_hex(s->id, random, sizeof random);
    size_t size = worker.size <= PW_RELAY_ID_MAX ? worker.size : 0;
    if (size > 0) {
        memcpy(s->worker, worker.data, size);
    }
    (void)snprintf(s->grant, sizeof s->grant, "%s", grant->id);
    s->fd = fd;
    s->slot = -1;
    pw_frames_init(&s->in, PW_FRAME_BYTES_MAX);
    s->next = r->sessions;
    r->sessions = s;
    r->sessions_len++;
    *ret_session = s;
    return PAWL_OK;
}

void pw_relay_session_free(pw_relay_session *s)
{
    while (s->held != NULL) {
        pw_relay_held *h = s->held;
        s->held = h->next;
        pw_free(h);
    }
    close(s->fd);
    pw_frames_deinit(&s->in);
    pw_buf_deinit(&s->out.buf);
    pw_free(s);
}

void pw_relay_session_leave(pw_relay *r, pw_relay_session *s)
{
    s->link = NULL;
    s->gone_ms = r->now_ms;
    s->floor = s->last_number;
    if (s->worker[0] == '\0') {
        s->over = true;
        return;
    }
    ask_own(s, "task_unpoll", (pw_view){NULL, 0});
}

/* ---- coming back ---- */

/* In one pass: the list is as long as the peer likes. */
static bool lists(const pawl_value *tasks, const pw_relay_held *h)
{
    const pw_view bytes = pw_value_bytes(tasks);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    size_t len = pw_mp_peek(&r) == PAWL_ARRAY ? pw_mp_read_array(&r) : 0;
    for (size_t i = 0; i < len && pw_mp_ok(&r); i++) {
        if (pw_mp_peek(&r) != PAWL_STRING) {
            pw_mp_skip(&r);
        } else if (pw_view_eq(pw_mp_read_str(&r), (pw_view){(const uint8_t *)h->token, h->size})) {
            return true;
        }
    }
    return false;
}

/* What it was given and does not know of was lost on the way. */
static void settle(pw_relay_session *s, const pawl_value *tasks)
{
    for (pw_relay_held **at = &s->held; *at != NULL;) {
        pw_relay_held *h = *at;
        if (lists(tasks, h)) {
            at = &h->next;
            continue;
        }
        hand_back(s, (pw_view){(const uint8_t *)h->token, h->size});
        *at = h->next;
        pw_free(h);
        s->held_len--;
    }
}

static pw_relay_session *session_find(const pw_relay *r, const char *grant, pw_view id)
{
    pw_relay_session *s = r->sessions;
    while (s != NULL && (s->over || strcmp(s->grant, grant) != 0 || !pw_view_is(id, s->id))) {
        s = s->next;
    }
    return s;
}

/* Another process of the same worker has come: the one before is no more, and what it had is lost now rather than later. */
static void drop_older(pw_relay *r, const char *grant, pw_view worker)
{
    for (pw_relay_session *s = r->sessions; s != NULL; s = s->next) {
        if (s->worker[0] != '\0' && strcmp(s->grant, grant) == 0 && pw_view_is(worker, s->worker)) {
            s->over = true;
        }
    }
}

pawl_status pw_relay_session_join(pw_relay *r, pw_relay_link *link, const pw_token_grant *grant,
                                  pw_view hello, bool *ret_resumed, pawl_error *err)
{
    pw_relay_session *s = session_find(r, grant->id, pw_relay_text(hello, "session"));
    pw_view worker = pw_relay_text(hello, "worker");
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a worker");
    }
    bool resumed = s != NULL;
    pawl_status st = PAWL_OK;
    if (resumed) {
        if (s->link != NULL) {
            pw_relay_link_cut(r, s->link, false);
        }
        settle(s, pawl_get(pw_value_view(scope, hello.data, hello.size), "tasks"));
    } else {
        drop_older(r, grant->id, worker);
        st = session_new(r, grant, worker, &s, err);
    }
    pawl_scope_free(scope);
    if (st == PAWL_OK) {
        s->link = link;
        link->session = s;
        *ret_resumed = resumed;
    }
    return st;
}

/* ---- from the engine ---- */

static void take_reply(pw_relay *r, pw_relay_session *s, pw_view frame)
{
    int64_t number = 0;
    pawl_status said = PAWL_OK;
    pw_view body;
    pawl_error why;
    if (pw_reply_parse(frame, &number, &said, &body, &why) != PAWL_OK) {
        s->over = true;
        return;
    }
    s->over |= number == 0; /* an error of the connection itself */
    if (number < 0) {
        return;
    }
    pw_view token = said == PAWL_OK ? pw_relay_text(body, "token") : (pw_view){NULL, 0};
    bool late = s->link == NULL || (number != 0 && number <= s->floor);
    if (late && token.size > 0) {
        hand_back(s, token);
    }
    if (late) {
        return;
    }
    if (token.size > 0) {
        held_add(s, token);
    }
    pw_relay_link_send(r, s->link, frame);
}

static void receive(pw_relay *r, pw_relay_session *s)
{
    uint8_t space[READ_BYTES];
    pw_view frame;
    pawl_error err;
    ssize_t n = recv(s->fd, space, sizeof space, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        s->over = true;
        return;
    }
    pawl_status st = n > 0 ? pw_frames_put(&s->in, space, (size_t)n, &err) : PAWL_DONE;
    while (st == PAWL_OK && !s->over) {
        st = pw_frames_next(&s->in, &frame, &err);
        if (st == PAWL_OK) {
            take_reply(r, s, frame);
        }
    }
    s->over |= st != PAWL_OK && st != PAWL_DONE;
}

static void transmit(pw_relay_session *s)
{
    while (pw_relay_bytes_left(&s->out) > 0) {
        ssize_t n =
            send(s->fd, s->out.buf.data + s->out.sent, pw_relay_bytes_left(&s->out), MSG_NOSIGNAL);
        if (n <= 0) {
            s->over |= n < 0 && errno != EAGAIN && errno != EINTR;
            return;
        }
        pw_relay_bytes_gone(&s->out, (size_t)n);
    }
}

short pw_relay_session_events(const pw_relay_session *s)
{
    bool room = s->link == NULL || pw_relay_bytes_left(&s->link->out) < PW_RELAY_AHEAD_BYTES;
    return (short)((room ? POLLIN : 0) | (pw_relay_bytes_left(&s->out) > 0 ? POLLOUT : 0));
}

void pw_relay_session_serve(pw_relay *r, pw_relay_session *s, short revents)
{
    if (!s->over && (revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(r, s);
    }
    if (!s->over && pw_relay_bytes_left(&s->out) > 0) {
        transmit(s);
    }
}
