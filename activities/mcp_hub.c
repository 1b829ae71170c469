/*
 * mcp_hub.c - the runner of "mcp": a thread for each call, started when one is needed; and the servers that the calls share.
 *
 *   start(task) --> [waiting] --> thread: pw_mcp_task_run --> next of [waiting], or idle
 *   cancel      --> one that waits for a thread ends; the others have the task's descriptor
 *   stop        --> the hub's descriptor wakes all: each ends as cancelled, and runs again after the next open
 *
 * Threads, not callbacks: a call is a sequence of dozens of requests, and reads as one. A call of a server that answers with a task does not
 * hold its thread for hours: mcp_task.c gives it back between two looks.
 *
 * Does not know what is said to a server.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "activities/mcp_farewell.h"
#include "sdk/base/clock.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

enum { FAREWELL_MS = 1000 };

struct pw_mcp_job {
    pw_mcp_job *next;
    pawl_task *task;
};

static pw_mcp_hub *hub_of(pawl_runner *base)
{
    return (pw_mcp_hub *)(void *)base;
}

/* ---- threads ---- */

static pw_mcp_job *job_shift(pw_mcp_hub *h)
{
    pw_mcp_job *job = h->first;
    if (job != NULL) {
        h->first = job->next;
        h->last = job->next != NULL ? h->last : NULL;
    }
    return job;
}

static void *thread_main(void *arg)
{
    pw_mcp_hub *h = arg;
    (void)pthread_setname_np(pthread_self(), "pawl-mcp-call");
    pthread_mutex_lock(&h->lock);
    for (;;) {
        pw_mcp_job *job = job_shift(h);
        if (job != NULL) {
            pthread_mutex_unlock(&h->lock);
            pw_mcp_task_run(h, job->task);
            pw_free(job);
            pthread_mutex_lock(&h->lock);
            continue;
        }
        if (atomic_load(&h->stopping)) {
            break;
        }
        h->idle++;
        pthread_cond_wait(&h->work, &h->lock);
        h->idle--;
    }
    h->threads--;
    pthread_cond_signal(&h->gone);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* The lock is held. Detached: stop counts them. */
static bool thread_add(pw_mcp_hub *h)
{
    sigset_t all;
    sigset_t before;
    pthread_t id;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&id, &attr, thread_main, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    h->threads += started;
    return started;
}

static void runner_start(pawl_runner *base, pawl_task *task)
{
    pw_mcp_hub *h = hub_of(base);
    pw_mcp_job *job = pw_calloc(1, sizeof *job);
    if (job == NULL) {
        pawl_task_finish(task, pawl_task_fail(task, "OutOfMemory", "no memory to queue the task"));
        return;
    }
    job->task = task;
    pthread_mutex_lock(&h->lock);
    const bool served =
        h->idle > 0 || h->threads >= PW_MCP_CALLS_MAX || thread_add(h) || h->threads > 0;
    if (served) {
        *(h->last != NULL ? &h->last->next : &h->first) = job;
        h->last = job;
        pthread_cond_signal(&h->work);
    }
    pthread_mutex_unlock(&h->lock);
    if (!served) {
        pw_free(job);
        pawl_task_finish(task, pawl_task_fail(task, "OutOfMemory", "no thread for the task"));
    }
}

/* One that has no thread yet. The lock is held. */
static pw_mcp_job *job_take(pw_mcp_hub *h, const pawl_task *task)
{
    pw_mcp_job *before = NULL;
    for (pw_mcp_job *job = h->first; job != NULL; before = job, job = job->next) {
        if (job->task == task) {
            *(before != NULL ? &before->next : &h->first) = job->next;
            h->last = h->last == job ? before : h->last;
            return job;
        }
    }
    return NULL;
}

/* One that has a thread sees it by itself. */
static void runner_cancel(pawl_runner *base, pawl_task *task)
{
    pw_mcp_hub *h = hub_of(base);
    pthread_mutex_lock(&h->lock);
    pw_mcp_job *job = job_take(h, task);
    pthread_mutex_unlock(&h->lock);
    if (job != NULL) {
        pw_free(job);
        pawl_task_finish_canceled(task);
    }
}

static struct timespec time_after(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static void hub_free(pw_mcp_hub *h)
{
    while (h->servers != NULL) {
        pw_mcp_server *s = h->servers;
        h->servers = s->next;
        pw_mcp_server_free(s);
    }
    pw_net_stop(h->net);
    pw_egress_free(h->egress);
    pw_secret_rules_free(h->secrets);
    pw_free(h->proxy);
    pw_free(h->ca_file);
    if (h->stop_event >= 0) {
        close(h->stop_event);
    }
    pthread_cond_destroy(&h->work);
    pthread_cond_destroy(&h->gone);
    pthread_mutex_destroy(&h->lock);
    pw_free(h);
}

/* A thread that does not come back in time keeps the hub; nothing is freed under it. */
static void runner_stop(pawl_runner *base, int64_t deadline_ms)
{
    pw_mcp_hub *h = hub_of(base);
    const uint64_t one = 1;
    const struct timespec until = time_after(deadline_ms > 0 ? deadline_ms : 0);
    atomic_store(&h->stopping, true);
    while (write(h->stop_event, &one, sizeof one) < 0 && errno == EINTR) {
    }
    pthread_mutex_lock(&h->lock);
    pthread_cond_broadcast(&h->work);
    int waited = 0;
    while (h->threads > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&h->gone, &h->lock, &until);
    }
    const bool left = h->threads > 0;
    pthread_mutex_unlock(&h->lock);
    if (!left) {
        if (h->net != NULL) {
            pw_mcp_farewell_say(h->net, h->servers, pw_mono_ms() + FAREWELL_MS);
        }
        hub_free(h);
    }
}

/* ---- life ---- */

static bool text_copy(const char *text, char **ret_copy)
{
    const size_t size = text != NULL ? strlen(text) + 1 : 0;
    *ret_copy = size > 0 ? pw_malloc(size) : NULL;
    if (*ret_copy != NULL) {
        memcpy(*ret_copy, text, size);
    }
    return size == 0 || *ret_copy != NULL;
}

static void clocks_init(pw_mcp_hub *h)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->work, NULL);
    pthread_cond_init(&h->gone, &attr);
    pthread_condattr_destroy(&attr);
}

pawl_status pw_mcp_hub_start(pw_egress *egress, pw_secret_rules *secrets,
                             const pw_net_options *options, pw_mcp_hub **ret_hub, pawl_error *err)
{
    static const pawl_runner_ops ops = {.struct_size = sizeof ops,
                                        .name = "mcp",
                                        .start = runner_start,
                                        .cancel = runner_cancel,
                                        .stop = runner_stop};
    pw_mcp_hub *h = pw_calloc(1, sizeof *h);
    if (h == NULL) {
        pw_egress_free(egress);
        pw_secret_rules_free(secrets);
        return pw_err(err, PAWL_NOMEM, "no memory for the calls of servers");
    }
    h->base.ops = &ops;
    h->egress = egress;
    h->secrets = secrets;
    h->options = *options;
    atomic_init(&h->stopping, false);
    clocks_init(h);
    h->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const bool ok =
        text_copy(options->proxy, &h->proxy) && text_copy(options->ca_file, &h->ca_file);
    if (!ok || h->stop_event < 0) {
        hub_free(h);
        return pw_err(err, ok ? PAWL_LIMIT : PAWL_NOMEM,
                      "no memory, or no descriptor, for the calls of servers");
    }
    h->options.proxy = h->proxy;
    h->options.ca_file = h->ca_file;
    h->options.egress = egress;
    *ret_hub = h;
    return PAWL_OK;
}

pawl_runner *pw_mcp_hub_runner(pw_mcp_hub *hub)
{
    return &hub->base;
}

pawl_status pw_mcp_hub_net(pw_mcp_hub *hub, pw_net **ret_net, pawl_error *err)
{
    pthread_mutex_lock(&hub->lock);
    const pawl_status status =
        hub->net != NULL ? PAWL_OK : pw_net_start(&hub->options, &hub->net, err);
    if (status == PAWL_OK) {
        *ret_net = hub->net;
    }
    pthread_mutex_unlock(&hub->lock);
    return status;
}

/* ---- servers ---- */

/* One that nobody uses makes room: the one that was used longest ago. The lock is held. */
static pw_mcp_server *oldest_take(pw_mcp_hub *h)
{
    pw_mcp_server **oldest = NULL;
    for (pw_mcp_server **s = &h->servers; *s != NULL; s = &(*s)->next) {
        if ((*s)->users == 0 && (oldest == NULL || (*s)->used_ms < (*oldest)->used_ms)) {
            oldest = s;
        }
    }
    pw_mcp_server *taken = oldest != NULL ? *oldest : NULL;
    if (taken != NULL) {
        *oldest = taken->next;
        h->servers_len--;
    }
    return taken;
}

static pw_mcp_server *find(const pw_mcp_hub *h, const pw_buf *key)
{
    pw_mcp_server *s = h->servers;
    while (s != NULL && (s->key_size != key->size || memcmp(s->key, key->data, key->size) != 0)) {
        s = s->next;
    }
    return s;
}

pw_mcp_server *pw_mcp_hub_server(pw_mcp_hub *hub, const pawl_value *description)
{
    pw_buf key = PW_BUF_INIT;
    pawl_error err;
    const pw_view bytes = pw_value_bytes(description);
    if (pw_json_print(&key, bytes.data, bytes.size, 0, &err) != PAWL_OK) {
        pw_buf_deinit(&key);
        return NULL;
    }
    pw_mcp_server *old = NULL;
    pthread_mutex_lock(&hub->lock);
    pw_mcp_server *s = find(hub, &key);
    if (s == NULL) {
        old = hub->servers_len >= PW_MCP_SERVERS_MAX ? oldest_take(hub) : NULL;
        s = pw_mcp_server_new((const char *)key.data, key.size);
        if (s != NULL) {
            s->next = hub->servers;
            hub->servers = s;
            hub->servers_len++;
        }
    }
    if (s != NULL) {
        s->users++;
    }
    pthread_mutex_unlock(&hub->lock);
    pw_mcp_server_free(old);
    pw_buf_deinit(&key);
    return s;
}

void pw_mcp_hub_give(pw_mcp_hub *hub, pw_mcp_server *server)
{
    if (server == NULL) {
        return;
    }
    pthread_mutex_lock(&hub->lock);
    server->users--;
    server->used_ms = pw_mono_ms();
    pthread_mutex_unlock(&hub->lock);
}
