/*
 * net_loop.c - the network thread: a libuv loop under a curl multi handle, and a queue that any thread may post to.
 *
 *   curl wants a descriptor watched --> socket_wanted --> uv_poll --> curl_multi_socket_action --> finished transfers: done()
 *   curl wants to be called later   --> timer_wanted  --> uv_timer, uv_idle -'
 *
 * Transfers beyond what may be under way at a time wait in line here, so that their timeouts begin when they do. Knows nothing of requests
 * (http_client.c), of tasks (http_activity.c), or of what may be reached (egress.c).
 */
#include "activities/net_loop.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "activities/net_watch.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

enum {
    DESCRIPTORS_SPARED = 128, /* left to the journal, to programs and to the host */
    TRANSFERS_MIN = 16
};

typedef struct list {
    pw_net_transfer *first, *last;
    uint32_t len;
} list;

struct pw_net {
    pw_net_options options;
    char *proxy;
    char *ca_file;
    pthread_t thread;
    pthread_mutex_t lock; /* over queue_*, stopped */
    pw_net_job *queue_first;
    pw_net_job *queue_last;
    bool stopped;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;   /* curl's */
    uv_idle_t soon;     /* curl's "at once": once in each turn of the loop, after the clocks */
    uv_timer_t restart; /* ends of transfers let others begin: not from inside of an end */
    CURLM *multi;
    pw_net_watch *watch;
    bool closing;
    list active;
    list waiting;
};

/** One descriptor that curl wants watched. */
typedef struct watch {
    uv_poll_t poll;
    pw_net *net;
    curl_socket_t fd;
    int events; /* wanted */
} watch;

/* ---- lists of transfers ---- */

static void list_append(list *l, pw_net_transfer *t)
{
    t->next = NULL;
    t->prev = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = t;
    l->last = t;
    l->len++;
}

static void list_remove(list *l, pw_net_transfer *t)
{
    *(t->prev != NULL ? &t->prev->next : &l->first) = t->next;
    *(t->next != NULL ? &t->next->prev : &l->last) = t->prev;
    t->prev = t->next = NULL;
    l->len--;
}

/* ---- curl under libuv ---- */

static void ended_transfers(pw_net *net)
{
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(net->multi, &left); m != NULL;
         m = curl_multi_info_read(net->multi, &left)) {
        if (m->msg != CURLMSG_DONE) {
            continue;
        }
        const CURLcode code = m->data.result; /* m does not survive what follows */
        pw_net_transfer *t = NULL;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        PW_CHECK(t != NULL);
        t->done(t, code);
    }
}

static void act(pw_net *net, curl_socket_t fd, int events)
{
    int running = 0;
    pw_net_watch_enter(net->watch);
    (void)curl_multi_socket_action(net->multi, fd, events, &running);
    pw_net_watch_leave(net->watch);
    ended_transfers(net);
}

/* An error is no end: a peer that sent everything and then reset is read to its end. libuv has stopped watching then. */
static void watch_fired(uv_poll_t *poll, int status, int events)
{
    watch *w = poll->data;
    const int seen = status < 0 ? w->events : events;
    if (status < 0) {
        (void)uv_poll_start(poll, w->events, watch_fired);
    }
    act(w->net, w->fd,
        (seen & UV_READABLE ? CURL_CSELECT_IN : 0) | (seen & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void watch_closed(uv_handle_t *handle)
{
    pw_free(handle->data);
}

static void watch_drop(watch *w)
{
    (void)uv_poll_stop(&w->poll);
    uv_close((uv_handle_t *)&w->poll, watch_closed);
}

static watch *watch_new(pw_net *net, curl_socket_t fd)
{
    watch *w = pw_calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->net = net;
    w->fd = fd;
    if (uv_poll_init_socket(&net->loop, &w->poll, fd) != 0) {
        pw_free(w);
        return NULL;
    }
    w->poll.data = w;
    return w;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket)
{
    (void)easy;
    pw_net *net = user;
    watch *w = of_socket;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            (void)curl_multi_assign(net->multi, fd, NULL);
            watch_drop(w);
        }
        return 0;
    }
    if (w == NULL) {
        w = watch_new(net, fd);
        if (w == NULL) {
            return -1; /* curl fails the transfers of this call */
        }
        (void)curl_multi_assign(net->multi, fd, w);
    }
    const int events =
        (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    w->events = events;
    return uv_poll_start(&w->poll, events, watch_fired) == 0 ? 0 : -1;
}

static void timer_fired(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void soon_fired(uv_idle_t *soon)
{
    (void)uv_idle_stop(soon);
    act(soon->data, CURL_SOCKET_TIMEOUT, 0);
}

/* A timer of 0 that is set anew as it fires fires again in the same pass of libuv, whose time stands still meanwhile: as long as a peer sent
 * faster than curl read, curl wanted to be called at once, and no other clock ran. */
static int timer_wanted(CURLM *multi, long ms, void *user)
{
    (void)multi;
    pw_net *net = user;
    (void)uv_idle_stop(&net->soon);
    (void)uv_timer_stop(&net->timer);
    if (ms == 0) {
        (void)uv_idle_start(&net->soon, soon_fired);
    } else if (ms > 0) {
        (void)uv_timer_start(&net->timer, timer_fired, (uint64_t)ms, 0);
    }
    return 0;
}

bool pw_net_add(pw_net *net, CURL *easy)
{
    return curl_multi_add_handle(net->multi, easy) == CURLM_OK;
}

void pw_net_remove(pw_net *net, CURL *easy)
{
    (void)curl_multi_remove_handle(net->multi, easy);
}

/* ---- whose turn it is ---- */

static void start_waiting(pw_net *net)
{
    while (!net->closing && net->waiting.first != NULL &&
           net->active.len < net->options.transfers_max) {
        pw_net_transfer *t = net->waiting.first;
        list_remove(&net->waiting, t);
        list_append(&net->active, t);
        t->active = true;
        if (net->active.len == 1) {
            pw_net_watch_busy(net->watch, true);
        }
        t->start(t);
    }
}

static void restart_fired(uv_timer_t *timer)
{
    start_waiting(timer->data);
}

bool pw_net_enter(pw_net *net, pw_net_transfer *t)
{
    if (net->waiting.len >= PW_NET_WAITING_MAX) {
        return false;
    }
    t->active = false;
    list_append(&net->waiting, t);
    (void)uv_timer_start(&net->restart, restart_fired, 0, 0);
    return true;
}

void pw_net_leave(pw_net *net, pw_net_transfer *t)
{
    list_remove(t->active ? &net->active : &net->waiting, t);
    if (t->active && net->active.len == 0) {
        pw_net_watch_busy(net->watch, false);
    }
    if (net->waiting.first != NULL && !net->closing) {
        (void)uv_timer_start(&net->restart, restart_fired, 0, 0);
    }
}

/* ---- the queue ---- */

bool pw_net_post(pw_net *net, pw_net_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&net->lock);
    const bool taken = !net->stopped;
    if (taken) {
        *(net->queue_last != NULL ? &net->queue_last->next : &net->queue_first) = job;
        net->queue_last = job;
        (void)uv_async_send(
            &net->wake); /* under the lock: the handle is not closed while it is held and stopped is false */
    }
    pthread_mutex_unlock(&net->lock);
    return taken;
}

static pw_net_job *queue_take(pw_net *net, bool *ret_stopped)
{
    pthread_mutex_lock(&net->lock);
    pw_net_job *first = net->queue_first;
    net->queue_first = net->queue_last = NULL;
    *ret_stopped = net->stopped;
    pthread_mutex_unlock(&net->lock);
    return first;
}

static void close_all(pw_net *net)
{
    net->closing = true;
    while (net->active.first != NULL) {
        net->active.first->stop(net->active.first);
    }
    while (net->waiting.first != NULL) {
        net->waiting.first->stop(net->waiting.first);
    }
    (void)curl_multi_cleanup(
        net->multi); /* closes the connections that it kept, and so their watches */
    net->multi = NULL;
    uv_close((uv_handle_t *)&net->timer, NULL);
    uv_close((uv_handle_t *)&net->soon, NULL);
    uv_close((uv_handle_t *)&net->restart, NULL);
    uv_close((uv_handle_t *)&net->wake, NULL);
}

static void woken(uv_async_t *wake)
{
    pw_net *net = wake->data;
    bool stopped = false;
    pw_net_job *job = queue_take(net, &stopped);
    net->closing = net->closing || stopped;
    while (job != NULL) {
        pw_net_job *next = job->next; /* the job may be gone, or posted again, after its run */
        job->run(job);
        job = next;
    }
    if (stopped && net->multi != NULL) {
        close_all(net);
    }
}

static void *thread_main(void *arg)
{
    pw_net *net = arg;
    (void)pthread_setname_np(pthread_self(), "pawl-net");
    (void)uv_run(&net->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
    return NULL;
}

/* ---- life ---- */

const pw_net_options *pw_net_settings(const pw_net *net)
{
    return &net->options;
}

uv_loop_t *pw_net_uv(pw_net *net)
{
    return &net->loop;
}

pw_net_watch *pw_net_watch_of(pw_net *net)
{
    return net->watch;
}

bool pw_net_closing(const pw_net *net)
{
    return net->closing;
}

int64_t pw_net_now_ms(pw_net *net)
{
    return (int64_t)uv_now(&net->loop);
}

/* A transfer takes a descriptor, and another one while it looks up a name. */
static uint32_t transfers_allowed(uint32_t wanted)
{
    struct rlimit files = {0};
    uint32_t max = wanted == 0 ? PW_NET_TRANSFERS_MAX : wanted;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
        const rlim_t spare =
            files.rlim_cur > DESCRIPTORS_SPARED ? (files.rlim_cur - DESCRIPTORS_SPARED) / 2 : 0;
        max = spare < max ? (uint32_t)spare : max;
    }
    return max < TRANSFERS_MIN ? TRANSFERS_MIN : max;
}

static bool text_copy(const char *text, char **ret_copy)
{
    if (text == NULL) {
        return true;
    }
    const size_t size = strlen(text) + 1;
    *ret_copy = pw_malloc(size);
    if (*ret_copy != NULL) {
        memcpy(*ret_copy, text, size);
    }
    return *ret_copy != NULL;
}

static void net_free(pw_net *net)
{
    pw_net_watch_stop(net->watch);
    pthread_mutex_destroy(&net->lock);
    pw_free(net->proxy);
    pw_free(net->ca_file);
    pw_free(net);
}

static pawl_status curl_ready(pawl_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return pw_err(err, PAWL_NOMEM, "curl cannot be initialised");
    }
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    const int needed = CURL_VERSION_SSL | CURL_VERSION_ASYNCHDNS | CURL_VERSION_THREADSAFE;
    return (v->features & needed) == needed
               ? PAWL_OK
               : pw_err(err, PAWL_UNSUPPORTED,
                        "curl %s lacks TLS, resolving in the background or a safe start in threads",
                        v->version);
}

static void multi_configure(pw_net *net)
{
    (void)curl_multi_setopt(net->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    (void)curl_multi_setopt(net->multi, CURLMOPT_SOCKETDATA, net);
    (void)curl_multi_setopt(net->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    (void)curl_multi_setopt(net->multi, CURLMOPT_TIMERDATA, net);
    (void)curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, (long)PW_NET_IDLE_CONNECTIONS_MAX);
}

static bool loop_init(pw_net *net)
{
    net->multi = curl_multi_init();
    if (net->multi == NULL) {
        return false;
    }
    if (uv_loop_init(&net->loop) != 0) {
        (void)curl_multi_cleanup(net->multi);
        return false;
    }
    multi_configure(net);
    (void)uv_timer_init(&net->loop, &net->timer);
    (void)uv_timer_init(&net->loop, &net->restart);
    (void)uv_idle_init(&net->loop, &net->soon);
    net->timer.data = net->soon.data = net->restart.data = net->wake.data = net;
    const bool ok = uv_async_init(&net->loop, &net->wake, woken) == 0;
    net->wake.data = net;
    if (!ok) {
        uv_close((uv_handle_t *)&net->timer, NULL);
        uv_close((uv_handle_t *)&net->soon, NULL);
        uv_close((uv_handle_t *)&net->restart, NULL);
        (void)uv_run(&net->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&net->loop);
        (void)curl_multi_cleanup(net->multi);
    }
    return ok;
}

/* Signals are the host's; SIGPIPE of a TLS write must not reach it. */
static int thread_start(pw_net *net)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t block;
    sigset_t before;
    sigfillset(&block);
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        sigdelset(&block, faults[i]);
    }
    pthread_sigmask(SIG_SETMASK, &block, &before);
    const int rc = pthread_create(&net->thread, NULL, thread_main, net);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

pawl_status pw_net_start(const pw_net_options *options, pw_net **ret_net, pawl_error *err)
{
    const pawl_status ready = curl_ready(err);
    if (ready != PAWL_OK) {
        return ready;
    }
    pw_net *net = pw_calloc(1, sizeof *net);
    if (net == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the network thread");
    }
    pthread_mutex_init(&net->lock, NULL);
    net->options = *options;
    net->options.transfers_max = transfers_allowed(options->transfers_max);
    net->watch = pw_net_watch_start();
    if (net->watch == NULL || !text_copy(options->proxy, &net->proxy) ||
        !text_copy(options->ca_file, &net->ca_file) || !loop_init(net)) {
        net_free(net);
        return pw_err(err, PAWL_NOMEM, "no memory for the network thread");
    }
    net->options.proxy = net->proxy;
    net->options.ca_file = net->ca_file;
    if (thread_start(net) != 0) {
        close_all(net);
        (void)uv_run(&net->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&net->loop);
        net_free(net);
        return pw_err(err, PAWL_LIMIT, "the network thread cannot be started");
    }
    *ret_net = net;
    return PAWL_OK;
}

void pw_net_stop(pw_net *net)
{
    if (net == NULL) {
        return;
    }
    pthread_mutex_lock(&net->lock);
    net->stopped = true;
    (void)uv_async_send(&net->wake);
    pthread_mutex_unlock(&net->lock);
    pthread_join(net->thread, NULL);
    (void)uv_loop_close(&net->loop);
    net_free(net);
}
