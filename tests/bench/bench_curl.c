/*
 * bench_curl.c - the raw side of the network sections: the same load by libcurl alone, with multi_socket_action and epoll, in a process of its own:
 * `pawl-bench --curl MODE URL N AT_ONCE BODY_BYTES` prints "seconds cpu_us bytes first_p50_us first_p99_us", the second and third for each request.
 *
 *   get     N requests, AT_ONCE at a time, after AT_ONCE to warm up        post    the same with a body
 *   hold    AT_ONCE posts whose streams are held; memory is read when each has begun, then they are released
 *
 * Does not parse what comes: that is what the activities do beyond it.
 */
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/bench.h"

typedef struct transfer {
    CURL *easy;
    int64_t begun;
    int64_t first; /* when the first byte of the body came */
} transfer;

typedef struct load {
    CURLM *multi;
    int poller;
    int64_t due; /* curl's timer; -1 = none */
    const char *url;
    struct curl_slist *headers;
    char *body; /* NULL = GET */
    long body_size;
    int64_t left; /* to begin */
    int64_t ended;
    int64_t begun_streams;
    int64_t *firsts; /* samples, ns */
    size_t firsts_len, firsts_max;
} load;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    load *l = user;
    struct epoll_event ev = {.data.fd = fd};
    (void)easy;
    ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(l->poller, EPOLL_CTL_DEL, fd, NULL);
    } else {
        (void)epoll_ctl(l->poller, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
        (void)curl_multi_assign(l->multi, fd, l);
    }
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
    load *l = user;
    (void)multi;
    l->due = ms < 0 ? -1 : bench_ns() + ms * 1000000;
    return 0;
}

static load *current; /* curl hands the transfer alone to its callbacks */

static size_t on_body(char *data, size_t one, size_t size, void *user)
{
    transfer *t = user;
    (void)data;
    (void)one;
    if (t->first == 0) {
        t->first = bench_ns();
        current->begun_streams++;
        if (current->firsts_len < current->firsts_max) {
            current->firsts[current->firsts_len++] = t->first - t->begun;
        }
    }
    return size;
}

static void begin(load *l, transfer *t)
{
    CURL *c = t->easy;
    curl_easy_reset(c);
    (void)curl_easy_setopt(c, CURLOPT_URL, l->url);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "pawl");
    (void)curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, l->headers);
    if (l->body != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, l->body_size);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, l->body);
    }
    t->first = 0;
    t->begun = bench_ns();
    l->left--;
    (void)curl_multi_add_handle(l->multi, c);
}

static void reap(load *l)
{
    int queued;
    for (CURLMsg *m; (m = curl_multi_info_read(l->multi, &queued)) != NULL;) {
        transfer *t = NULL;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        if (m->data.result != CURLE_OK) {
            (void)fprintf(stderr, "pawl-bench: curl: %s\n", curl_easy_strerror(m->data.result));
            exit(1);
        }
        (void)curl_multi_remove_handle(l->multi, m->easy_handle);
        l->ended++;
        if (l->left > 0) {
            begin(l, t);
        }
    }
}

/* Until *counter is as much as wanted. */
static void turn_until(load *l, const int64_t *counter, int64_t wanted)
{
    int running;
    while (*counter < wanted) {
        struct epoll_event events[256];
        int64_t wait = l->due < 0 ? 1000 : (l->due - bench_ns()) / 1000000;
        int n = epoll_wait(l->poller, events, 256, wait < 0 ? 0 : (int)wait);
        for (int i = 0; i < n; i++) {
            int flags = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                        (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                        (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
            (void)curl_multi_socket_action(l->multi, events[i].data.fd, flags, &running);
        }
        if (l->due >= 0 && bench_ns() >= l->due) {
            l->due = -1;
            (void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        reap(l);
    }
}

static void go(load *l, transfer *all, int64_t n, int64_t at_once)
{
    l->left = n;
    l->ended = 0;
    l->begun_streams = 0;
    l->firsts_len = 0;
    for (int64_t i = 0; i < at_once && l->left > 0; i++) {
        begin(l, &all[i]);
    }
}

int bench_curl_child(char **argv)
{
    bool hold = strcmp(argv[2], "hold") == 0;
    int64_t n = strtoll(argv[4], NULL, 10), at_once = strtoll(argv[5], NULL, 10);
    load l = {.url = argv[3], .due = -1, .body_size = strtol(argv[6], NULL, 10)};
    transfer *all = calloc((size_t)at_once, sizeof *all);
    int64_t bytes = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_files_raise();
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    current = &l;
    l.firsts_max = (size_t)n;
    l.firsts = calloc((size_t)n, sizeof *l.firsts);
    l.body = strcmp(argv[2], "get") != 0 ? calloc(1, (size_t)l.body_size + 1) : NULL;
    l.headers = curl_slist_append(NULL, "Expect:");
    l.headers =
        l.body != NULL ? curl_slist_append(l.headers, "Content-Type: application/json") : l.headers;
    l.multi = curl_multi_init();
    l.poller = epoll_create1(EPOLL_CLOEXEC);
    (void)curl_multi_setopt(l.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(l.multi, CURLMOPT_SOCKETDATA, &l);
    (void)curl_multi_setopt(l.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(l.multi, CURLMOPT_TIMERDATA, &l);
    if (!hold) {
        for (int64_t i = 0; i < at_once; i++) {
            all[i].easy = curl_easy_init();
        }
        go(&l, all, at_once, at_once);
        turn_until(&l, &l.ended, at_once);
    }
    int64_t rss = bench_rss(), cpu = bench_cpu_ns(), from = bench_ns();
    for (int64_t i = 0; hold && i < at_once; i++) {
        all[i].easy = curl_easy_init();
    }
    go(&l, all, n, at_once);
    if (hold) {
        turn_until(&l, &l.begun_streams, n);
        bytes = (bench_rss() - rss) / n;
        (void)bench_ask(bench_port_of(l.url), "/release");
    }
    turn_until(&l, &l.ended, n);
    double s = (double)(bench_ns() - from) / 1e9;
    (void)printf("%.6f %.3f %lld %.3f %.3f\n", s, (double)(bench_cpu_ns() - cpu) / 1000 / (double)n,
                 (long long)bytes, bench_percentile(l.firsts, l.firsts_len, 0.5) / 1000,
                 bench_percentile(l.firsts, l.firsts_len, 0.99) / 1000);
    return 0;
}
