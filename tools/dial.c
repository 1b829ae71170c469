/*
 * dial.c - one thread for one connection: resolve, connect, shake hands, then carry bytes both ways until one side ends.
 *
 * The thread and whoever started it hold the dial together: the last one frees it, so that a resolver that hangs holds up nobody. Does not
 * look into the bytes and does not try again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tools/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/threads.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"
#include "tools/tls.h"

#define CONNECT_MS 10000 /* an address; and the handshake */
#define FLUSH_MS 2000    /* for what was written before the end */
#define CHUNK 65536

struct pw_dialer {
    char host[256];
    char port[16];
    pw_tls_ctx *tls;
    atomic_int users;
};

struct pw_dial {
    pw_dialer *dialer;
    atomic_int users;
    atomic_bool polite;
    int fd; /* our end of the pair */
    pthread_mutex_t lock;
    char problem[300];
};

/* One direction. */
typedef struct lane {
    uint8_t data[CHUNK];
    size_t from, to;
} lane;

/* ---- where to ---- */

static void dialer_unref(pw_dialer *d)
{
    if (atomic_fetch_sub(&d->users, 1) == 1) {
        pw_tls_ctx_free(d->tls);
        pw_free(d);
    }
}

static bool target_split(pw_dialer *d, const char *target)
{
    const char *colon = strrchr(target, ':');
    size_t size = colon != NULL ? (size_t)(colon - target) : 0;
    if (size >= 2 && target[0] == '[' && target[size - 1] == ']') {
        target++;
        size -= 2;
    }
    if (size == 0 || size >= sizeof d->host || strlen(colon + 1) >= sizeof d->port ||
        colon[1] == '\0') {
        return false;
    }
    memcpy(d->host, target, size);
    d->host[size] = '\0';
    (void)snprintf(d->port, sizeof d->port, "%s", colon + 1);
    return true;
}

pawl_status pw_dialer_new(const char *target, const char *ca_file, pw_dialer **ret_dialer,
                          pawl_error *err)
{
    pw_dialer *d = pw_calloc(1, sizeof *d);
    if (d == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a connection");
    }
    atomic_init(&d->users, 1);
    pawl_status st = target_split(d, target)
                         ? pw_tls_client_new(ca_file, &d->tls, err)
                         : pw_err(err, PAWL_INVALID, "\"%.200s\" is not HOST:PORT", target);
    if (st != PAWL_OK) {
        dialer_unref(d);
        return st;
    }
    *ret_dialer = d;
    return PAWL_OK;
}

void pw_dialer_free(pw_dialer *d)
{
    if (d != NULL) {
        dialer_unref(d);
    }
}

/* ---- one connection ---- */

static void dial_unref(pw_dial *d)
{
    if (atomic_fetch_sub(&d->users, 1) == 1) {
        pthread_mutex_destroy(&d->lock);
        dialer_unref(d->dialer);
        pw_free(d);
    }
}

static void problem(pw_dial *d, const char *what, const char *why)
{
    pthread_mutex_lock(&d->lock);
    int used = snprintf(d->problem, sizeof d->problem, "%.200s:%.10s %.40s", d->dialer->host,
                        d->dialer->port, what);
    if (why[0] != '\0') {
        (void)snprintf(d->problem + used, sizeof d->problem - (size_t)used, ": %s", why);
    }
    pthread_mutex_unlock(&d->lock);
}

void pw_dial_problem(pw_dial *d, char *text, size_t size)
{
    pthread_mutex_lock(&d->lock);
    (void)snprintf(text, size, "%s", d->problem);
    pthread_mutex_unlock(&d->lock);
}

/* False: the time is up, or nobody wants it any more. */
static bool wait_for(const pw_dial *d, int fd, short events, int64_t until_ms)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = d->fd, .events = 0}};
        int64_t left = until_ms - pw_mono_ms();
        int n = poll(fds, 2, left < 0 ? 0 : (int)left);
        if (n > 0 && fds[1].revents != 0) {
            return false;
        }
        if (n > 0 && fds[0].revents != 0) {
            return true;
        }
        if (n == 0 && left <= 0) {
            return false;
        }
    }
}

static int connect_one(const pw_dial *d, const struct addrinfo *a)
{
    int number = 0;
    socklen_t size = sizeof number;
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    bool ok = connect(fd, a->ai_addr, a->ai_addrlen) == 0;
    if (!ok && errno == EINPROGRESS) {
        ok = wait_for(d, fd, POLLOUT, pw_mono_after_ms(CONNECT_MS)) &&
             getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 && number == 0;
        errno = number != 0 ? number : ETIMEDOUT;
    }
    if (!ok) {
        number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

static int connect_any(pw_dial *d)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(d->dialer->host, d->dialer->port, &hints, &list);
    if (rc != 0) {
        problem(d, "is not found", gai_strerror(rc));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = connect_one(d, a);
    }
    if (fd < 0) {
        problem(d, "does not answer", strerror(errno));
    }
    freeaddrinfo(list);
    return fd;
}

static bool shake_hands(pw_dial *d, pw_tls *tls, int fd)
{
    int64_t until_ms = pw_mono_after_ms(CONNECT_MS);
    for (;;) {
        pw_tls_io io = pw_tls_handshake(tls);
        if (io == PW_TLS_DONE) {
            return true;
        }
        bool waits = io == PW_TLS_WANT_READ || io == PW_TLS_WANT_WRITE;
        if (!waits) {
            problem(d, "does not shake hands", pw_tls_problem(tls));
            return false;
        }
        if (!wait_for(d, fd, io == PW_TLS_WANT_READ ? POLLIN : POLLOUT, until_ms)) {
            problem(d, "does not shake hands", "in time");
            return false;
        }
    }
}

/* ---- bytes ---- */

static size_t lane_left(const lane *l)
{
    return l->to - l->from;
}

static void lane_gone(lane *l, size_t size)
{
    l->from += size;
    if (l->from == l->to) {
        l->from = l->to = 0;
    }
}

/* False when that side has ended. */
static bool from_pair(const pw_dial *d, lane *out)
{
    if (lane_left(out) > 0) {
        return true;
    }
    ssize_t n = recv(d->fd, out->data, sizeof out->data, 0);
    out->to = n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool to_pair(const pw_dial *d, lane *in)
{
    while (lane_left(in) > 0) {
        ssize_t n = send(d->fd, in->data + in->from, lane_left(in), MSG_NOSIGNAL);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
        lane_gone(in, (size_t)n);
    }
    return true;
}

static bool to_tls(pw_dial *d, pw_tls *tls, lane *out)
{
    while (lane_left(out) > 0) {
        size_t size = 0;
        pw_tls_io io = pw_tls_write(tls, out->data + out->from, lane_left(out), &size);
        if (io != PW_TLS_DONE) {
            if (io == PW_TLS_BROKEN) {
                problem(d, "is cut", pw_tls_problem(tls));
            }
            return io == PW_TLS_WANT_READ || io == PW_TLS_WANT_WRITE;
        }
        lane_gone(out, size);
    }
    return true;
}

/* *ret_more: there may be more already. */
static bool from_tls(pw_dial *d, pw_tls *tls, lane *in, bool *ret_more)
{
    size_t size = 0;
    *ret_more = false;
    if (lane_left(in) > 0) {
        return true;
    }
    pw_tls_io io = pw_tls_read(tls, in->data, sizeof in->data, &size);
    if (io == PW_TLS_DONE) {
        in->to = size;
        *ret_more = true;
        return true;
    }
    if (io == PW_TLS_BROKEN) {
        problem(d, "is cut", pw_tls_problem(tls));
    }
    return io == PW_TLS_WANT_READ || io == PW_TLS_WANT_WRITE;
}

/* What was written before the end still leaves. */
static void flush(pw_dial *d, pw_tls *tls, int fd, lane *out)
{
    int64_t until_ms = pw_mono_after_ms(FLUSH_MS);
    while (lane_left(out) > 0 && pw_mono_ms() < until_ms && to_tls(d, tls, out)) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        (void)poll(&p, 1, 100);
    }
}

static void carry(pw_dial *d, pw_tls *tls, int fd, lane lanes[2])
{
    lane *out = &lanes[0];
    lane *in = &lanes[1];
    bool more = true;
    bool alive = true;
    while (alive) {
        short pair =
            (short)((lane_left(out) == 0 ? POLLIN : 0) | (lane_left(in) > 0 ? POLLOUT : 0));
        short net = (short)((lane_left(in) == 0 ? POLLIN : 0) | (lane_left(out) > 0 ? POLLOUT : 0));
        struct pollfd fds[] = {{.fd = pair != 0 ? d->fd : -1, .events = pair},
                               {.fd = net != 0 ? fd : -1, .events = net}};
        (void)poll(fds, 2, more && lane_left(in) == 0 ? 0 : -1);
        if (!from_pair(d, out)) { /* nobody is there to hear the rest */
            flush(d, tls, fd, out);
            return;
        }
        alive = to_tls(d, tls, out) && from_tls(d, tls, in, &more) && to_pair(d, in);
    }
}

static void *run(void *arg)
{
    pw_dial *d = arg;
    pw_tls *tls = NULL;
    pawl_error err;
    lane *lanes = pw_calloc(2, sizeof *lanes);
    int fd = lanes != NULL ? connect_any(d) : -1;
    if (fd >= 0 && pw_tls_open(d->dialer->tls, fd, d->dialer->host, &tls, &err) != PAWL_OK) {
        problem(d, "cannot be spoken to", err.message);
    }
    if (tls != NULL && shake_hands(d, tls, fd)) {
        carry(d, tls, fd, lanes);
    }
    pw_tls_close(tls, atomic_load(&d->polite));
    if (fd >= 0) {
        close(fd);
    }
    close(d->fd);
    pw_free(lanes);
    dial_unref(d);
    return NULL;
}

pawl_status pw_dial_start(pw_dialer *dialer, pw_dial **ret_dial, int *ret_fd, pawl_error *err)
{
    int ends[2];
    pthread_t thread;
    pw_dial *d = pw_calloc(1, sizeof *d);
    if (d == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        pw_free(d);
        return pw_err(err, PAWL_IO, "no socket for a connection: %s", strerror(errno));
    }
    d->dialer = dialer;
    d->fd = ends[0];
    atomic_fetch_add(&dialer->users, 1);
    atomic_init(&d->users, 2);
    atomic_init(&d->polite, false);
    pthread_mutex_init(&d->lock, NULL);
    pawl_status st = pw_thread_start(&thread, "pawl-dial", run, d, err);
    if (st != PAWL_OK) {
        close(ends[0]);
        close(ends[1]);
        dial_unref(d);
        dial_unref(d);
        return st;
    }
    (void)pthread_detach(thread);
    *ret_dial = d;
    *ret_fd = ends[1];
    return PAWL_OK;
}

void pw_dial_polite(pw_dial *d)
{
    atomic_store(&d->polite, true);
}

void pw_dial_end(pw_dial *d)
{
    if (d != NULL) {
        dial_unref(d);
    }
}
