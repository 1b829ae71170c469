/*
 * relay.c - the relay's thread: its port, its poll loop, its tokens, its end.
 *
 * One loop of poll(2) serves all links and sessions in turn; a link or session that has ended is freed at the end of a turn and nowhere else. The file
 * of tokens is looked at once a second: whoever's token is no longer in it is out.
 *
 * Does not look into frames (relay_vet.c) and does not know OpenSSL (tls.c).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tools/relay.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/threads.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"
#include "tools/relay_inside.h"

#define LISTEN_BACKLOG 64
#define LOOK_EVERY_MS 1000
#define DEAF_MS 100 /* after a connection that could not be taken, for want of a descriptor */
#define POLL_MAX (2 + 2 * PW_RELAY_LINKS_MAX)

void pw_relay_log(const pw_relay *r, pawl_level level, const char *fmt, ...)
{
    char text[400];
    va_list args;
    if (r->options.log == NULL) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->options.log(r->options.log_ctx, level, text);
}

void pw_relay_refused(pw_relay *r, const pw_relay_link *link, const char *why)
{
    int64_t n = ++r->refused;
    if ((n & (n - 1)) == 0) {
        pw_relay_log(r, PAWL_WARN, "%s was refused: %s (%lld so far)",
                     link != NULL ? link->peer : "a connection", why, (long long)n);
    }
}

/* ---- the port ---- */

/* "7000", "127.0.0.1:7000", "[::1]:7000". */
static bool address_split(const char *text, char host[64], const char **ret_port)
{
    const char *colon = strrchr(text, ':');
    const char *from = text;
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    *ret_port = colon != NULL ? colon + 1 : text;
    if (colon == NULL) {
        (void)snprintf(host, 64, "127.0.0.1");
        return true;
    }
    if (size >= 2 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    if (size == 0 || size >= 64) {
        return false;
    }
    memcpy(host, from, size);
    host[size] = '\0';
    return true;
}

static void address_print(const struct sockaddr *address, socklen_t size, char *text, size_t room)
{
    char host[48] = "?";
    char port[8] = "?";
    (void)getnameinfo(address, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(text, room, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static int bound_socket(const struct addrinfo *a)
{
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (fd >= 0 && (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0)) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

static pawl_status port_open(pw_relay *r, pawl_error *err)
{
    char host[64];
    const char *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (!address_split(r->options.listen, host, &port) ||
        getaddrinfo(host, port, &hints, &list) != 0) {
        return pw_err(err, PAWL_INVALID, "\"%.100s\" is no address to listen on: [ADDRESS:]PORT",
                      r->options.listen);
    }
    r->listen_fd = bound_socket(list);
    int number = errno;
    freeaddrinfo(list);
    if (r->listen_fd < 0 || getsockname(r->listen_fd, (struct sockaddr *)&bound, &size) != 0) {
        return pw_err(err, PAWL_IO, "cannot listen on %.100s: %s", r->options.listen,
                      strerror(number));
    }
    address_print((struct sockaddr *)&bound, size, r->address, sizeof r->address);
    return PAWL_OK;
}

static size_t strangers(const pw_relay *r)
{
    size_t n = 0;
    for (const pw_relay_link *link = r->links; link != NULL; link = link->next) {
        n += link->state != PW_LINK_OPEN;
    }
    return n;
}

static void accept_one(pw_relay *r)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    const int on = 1;
    char peer[64];
    int fd = accept4(r->listen_fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            r->deaf_until_ms =
                r->now_ms +
                DEAF_MS; /* it waits; to be woken for it again and again would help nobody */
        }
        return;
    }
    if (r->links_len >= PW_RELAY_LINKS_MAX || strangers(r) >= PW_RELAY_STRANGERS_MAX) {
        pw_relay_refused(r, NULL, "too many connections");
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    address_print((struct sockaddr *)&from, size, peer, sizeof peer);
    pw_relay_link *link = pw_relay_link_new(r, fd, peer);
    if (link == NULL) {
        close(fd);
        return;
    }
    link->next = r->links;
    r->links = link;
    r->links_len++;
}

/* ---- tokens ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void evict_revoked(pw_relay *r)
{
    for (pw_relay_session *s = r->sessions; s != NULL; s = s->next) {
        if (!s->over && pw_token_grant_find(r->grants, s->grant) == NULL) {
            pw_relay_log(r, PAWL_INFO, "the token of a remote worker was revoked: it is out");
            s->over = true;
        }
    }
}

/* A file that cannot be read changes nothing: the tokens of before count. */
static void tokens_look(pw_relay *r)
{
    struct stat now;
    pw_token_grants *g = NULL;
    pawl_error err;
    if (stat(r->options.tokens_file, &now) != 0 || same_file(&now, &r->grants_stat)) {
        return;
    }
    r->grants_stat = now;
    if (pw_token_grants_read(r->options.tokens_file, &g, &err) != PAWL_OK) {
        pw_relay_log(r, PAWL_ERROR, "the tokens of before count on: %s", err.message);
        return;
    }
    pw_token_grants_free(r->grants);
    r->grants = g;
    evict_revoked(r);
}

/* ---- the loop ---- */

static int poll_set(pw_relay *r, struct pollfd fds[POLL_MAX], bool *ret_more)
{
    int n = 0;
    fds[n++] = (struct pollfd){.fd = r->wake_fd, .events = POLLIN};
    fds[n++] =
        (struct pollfd){.fd = r->deaf_until_ms > r->now_ms ? -1 : r->listen_fd, .events = POLLIN};
    *ret_more = false;
    for (pw_relay_link *link = r->links; link != NULL; link = link->next) {
        short events = pw_relay_link_events(link);
        link->slot = n;
        fds[n++] = (struct pollfd){.fd = events != 0 ? link->fd : -1, .events = events};
        *ret_more |= link->more && (events & POLLIN) != 0;
    }
    for (pw_relay_session *s = r->sessions; s != NULL; s = s->next) {
        short events = pw_relay_session_events(s);
        s->slot = n;
        fds[n++] = (struct pollfd){.fd = events != 0 ? s->fd : -1, .events = events};
    }
    return n;
}

static short happened(const struct pollfd *fds, int slot)
{
    return slot >= 0 ? fds[slot].revents : 0;
}

static void sweep_sessions(pw_relay *r)
{
    for (pw_relay_session **at = &r->sessions; *at != NULL;) {
        pw_relay_session *s = *at;
        s->over |= s->link == NULL && r->now_ms - s->gone_ms >= r->options.grace_ms;
        if (!s->over) {
            at = &s->next;
            continue;
        }
        if (s->link != NULL) {
            s->link->session = NULL;
            pw_relay_link_cut(r, s->link, true);
        }
        *at = s->next;
        pw_relay_session_free(s);
        r->sessions_len--;
    }
}

static void sweep_links(pw_relay *r)
{
    for (pw_relay_link **at = &r->links; *at != NULL;) {
        pw_relay_link *link = *at;
        pw_relay_link_deadline(r, link);
        if (link->state != PW_LINK_CLOSED) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        pw_relay_link_free(link);
        r->links_len--;
    }
}

static void turn(pw_relay *r)
{
    struct pollfd fds[POLL_MAX];
    bool more = false;
    uint64_t count = 0;
    int n = poll_set(r, fds, &more);
    const int wait_ms = r->deaf_until_ms > r->now_ms ? DEAF_MS : LOOK_EVERY_MS;
    (void)poll(fds, (nfds_t)n, more ? 0 : wait_ms);
    r->now_ms = pw_mono_ms();
    if (fds[0].revents != 0) {
        (void)!read(r->wake_fd, &count, sizeof count);
    }
    for (pw_relay_link *link = r->links; link != NULL; link = link->next) {
        pw_relay_link_serve(r, link, happened(fds, link->slot));
    }
    for (pw_relay_session *s = r->sessions; s != NULL; s = s->next) {
        pw_relay_session_serve(r, s,
                               happened(fds, s->slot)); /* one made in this turn has no slot */
    }
    if (fds[1].revents != 0) {
        accept_one(r);
    }
    if (r->now_ms - r->looked_ms >= LOOK_EVERY_MS) {
        r->looked_ms = r->now_ms;
        tokens_look(r);
    }
    sweep_sessions(r);
    sweep_links(r);
}

static void *run(void *arg)
{
    pw_relay *r = arg;
    while (!atomic_load(&r->stop)) {
        turn(r);
    }
    return NULL;
}

/* ---- life ---- */

static void relay_free(pw_relay *r)
{
    while (r->sessions != NULL) {
        pw_relay_session *s = r->sessions;
        r->sessions = s->next;
        pw_relay_session_free(s);
    }
    while (r->links != NULL) {
        pw_relay_link *link = r->links;
        r->links = link->next;
        pw_relay_link_free(link);
    }
    if (r->listen_fd >= 0) {
        close(r->listen_fd);
    }
    if (r->wake_fd >= 0) {
        close(r->wake_fd);
    }
    pw_token_grants_free(r->grants);
    pw_tls_ctx_free(r->tls);
    pw_free(r);
}

pawl_status pw_relay_start(const pw_relay_options *options, pw_relay **ret_relay, pawl_error *err)
{
    pw_relay *r = pw_calloc(1, sizeof *r);
    if (r == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the port of remote workers");
    }
    r->options = *options;
    r->options.grace_ms = options->grace_ms > 0 ? options->grace_ms : PW_RELAY_GRACE_MS;
    r->listen_fd = -1;
    r->now_ms = pw_mono_ms();
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pawl_status st = r->wake_fd < 0
                         ? pw_err(err, PAWL_IO, "eventfd: %s", strerror(errno))
                         : pw_tls_server_new(options->cert_file, options->key_file, &r->tls, err);
    if (st == PAWL_OK && stat(options->tokens_file, &r->grants_stat) != 0) {
        memset(&r->grants_stat, 0, sizeof r->grants_stat);
    }
    st = st == PAWL_OK ? pw_token_grants_read(options->tokens_file, &r->grants, err) : st;
    st = st == PAWL_OK ? port_open(r, err) : st;
    st = st == PAWL_OK ? pw_thread_start(&r->thread, "pawl-relay", run, r, err) : st;
    if (st != PAWL_OK) {
        relay_free(r);
        return st;
    }
    *ret_relay = r;
    return PAWL_OK;
}

const char *pw_relay_address(const pw_relay *r)
{
    return r->address;
}

void pw_relay_stop(pw_relay *r)
{
    const uint64_t one = 1;
    if (r == NULL) {
        return;
    }
    atomic_store(&r->stop, true);
    (void)!write(r->wake_fd, &one, sizeof one);
    pthread_join(r->thread, NULL);
    if (r->refused > 0) {
        pw_relay_log(r, PAWL_WARN, "remote workers: %lld requests and connections were refused",
                     (long long)r->refused);
    }
    relay_free(r);
}
