/*
 * net_watch.c - see net_watch.h.
 *
 *   every second while transfers are under way:   same call of curl as a second ago?  --no--> nothing
 *                                                        yes, the third time: the socket that most has come from is shut down
 *
 * Curl reads a connection of HTTP/2 until a stream has data or the socket has none. Who sends frames without data (SETTINGS, PING, empty DATA)
 * faster than they are read keeps it in one call for ever: no clock fires, no cancel is heard, and every other request stands still. All our own
 * callbacks are short, so seconds in one call are always that.
 *
 * A descriptor is shut down under the lock that it is closed under: it is never somebody else's. Does not end requests: curl does, when its next
 * read says that the connection has ended.
 */
#include "activities/net_watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum { TICK_S = 1, TICKS_PATIENT = 3, FLOOD_BYTES_MIN = 65536, SOCKETS_FIRST = 64 };

typedef struct known {
    int fd;
    uint64_t received; /* when last looked at */
} known;

struct pw_net_watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopped; /* these are under the lock */
    bool busy;
    known *list;
    size_t len;
    size_t capacity;
    atomic_uint_fast64_t calls; /* odd: curl is at work */
};

/* ---- the sockets ---- */

static bool add(pw_net_watch *w, int fd)
{
    if (w->len == w->capacity) {
        const size_t wider = w->capacity == 0 ? SOCKETS_FIRST : 2 * w->capacity;
        known *list = pw_realloc(w->list, wider * sizeof *list);
        if (list == NULL) {
            return false;
        }
        w->list = list;
        w->capacity = wider;
    }
    w->list[w->len++] = (known){.fd = fd};
    return true;
}

int pw_net_watch_socket(pw_net_watch *w, int family, int type, int protocol)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        return -1;
    }
    pthread_mutex_lock(&w->lock);
    const bool added = add(w, fd);
    pthread_mutex_unlock(&w->lock);
    if (!added) {
        close(fd);
        return -1;
    }
    return fd;
}

void pw_net_watch_close(pw_net_watch *w, int fd)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->len; i++) {
        if (w->list[i].fd == fd) {
            w->list[i] = w->list[--w->len];
            break;
        }
    }
    close(fd);
    pthread_mutex_unlock(&w->lock);
}

static uint64_t received(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

/* How much has come since the last look; the socket that most has come from, or -1. */
static int loudest(pw_net_watch *w, uint64_t *ret_bytes)
{
    int fd = -1;
    *ret_bytes = 0;
    for (size_t i = 0; i < w->len; i++) {
        const uint64_t now = received(w->list[i].fd);
        const uint64_t came = now - w->list[i].received;
        w->list[i].received = now;
        if (came > *ret_bytes) {
            *ret_bytes = came;
            fd = w->list[i].fd;
        }
    }
    return fd;
}

/* ---- the thread ---- */

static void wait_a_tick(pw_net_watch *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    while (!w->stopped && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0) {
    }
}

static void *watch_main(void *arg)
{
    pw_net_watch *w = arg;
    uint64_t last = 0;
    int ticks = 0;
    (void)pthread_setname_np(pthread_self(), "pawl-net-watch");
    pthread_mutex_lock(&w->lock);
    while (!w->stopped) {
        if (!w->busy) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        wait_a_tick(w);
        const uint64_t now = atomic_load(&w->calls);
        ticks = now % 2 == 1 && now == last ? ticks + 1 : 0;
        last = now;
        if (ticks >=
            TICKS_PATIENT -
                1) { /* the look before the last one is what the last one is held against */
            uint64_t bytes = 0;
            const int fd = loudest(w, &bytes);
            if (ticks >= TICKS_PATIENT && fd >= 0 && bytes >= FLOOD_BYTES_MIN) {
                (void)shutdown(fd, SHUT_RDWR);
            }
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void pw_net_watch_busy(pw_net_watch *w, bool busy)
{
    pthread_mutex_lock(&w->lock);
    if (busy && !w->busy) {
        pthread_cond_signal(&w->changed);
    }
    w->busy = busy;
    pthread_mutex_unlock(&w->lock);
}

void pw_net_watch_enter(pw_net_watch *w)
{
    atomic_fetch_add(&w->calls, 1);
}

void pw_net_watch_leave(pw_net_watch *w)
{
    atomic_fetch_add(&w->calls, 1);
}

/* ---- life ---- */

static void watch_free(pw_net_watch *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    pw_free(w->list);
    pw_free(w);
}

pw_net_watch *pw_net_watch_start(void)
{
    pw_net_watch *w = pw_calloc(1, sizeof *w);
    pthread_condattr_t attr;
    sigset_t all;
    sigset_t before;
    if (w == NULL) {
        return NULL;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    atomic_init(&w->calls, 0);
    sigfillset(&all); /* signals are the host's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&w->thread, NULL, watch_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        watch_free(w);
        return NULL;
    }
    return w;
}

void pw_net_watch_stop(pw_net_watch *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stopped = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    watch_free(w);
}
