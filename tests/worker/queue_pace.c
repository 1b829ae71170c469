/*
 * queue_pace.c - what one decision of a queue costs with 1,000, 10,000 and 100,000 tasks queued: putting one in, picking and granting the next,
 * taking one out [Q4]. Prints a table; a figure is no gate. The one thing it fails on is an order that is not the queue's.
 *
 *   queue_pace          with keys: all tasks under one, 100 keys, a key each
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/queue.h"
#include "sdk/base/mp.h"
#include "tests/engine/rig.h"

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

typedef struct pace {
    double sum, worst;
    size_t n;
} pace;

static void add(pace *p, double from_us)
{
    double us = now_us() - from_us;
    p->sum += us;
    p->worst = us > p->worst ? us : p->worst;
    p->n++;
}

static pw_job *make(rig *r, int64_t i, int64_t keys)
{
    pw_buf b = PW_BUF_INIT;
    char key[32];
    (void)snprintf(key, sizeof key, "key%lld", (long long)(i % keys));
    pw_mp_map(&b, 4);
    pw_mp_str(&b, "name");
    pw_mp_str(&b, i % 2 == 0 ? "work" : "other");
    pw_mp_str(&b, "queue");
    pw_mp_str(&b, "q");
    pw_mp_str(&b, "limit_key");
    pw_mp_str(&b, key);
    pw_mp_str(&b, "priority");
    pw_mp_int(&b, i % 3);
    pw_job *job =
        pw_job_new(r->core, (pw_job_key){1000000 + i, 1, 0}, "r", (pw_view){b.data, b.size}, NULL);
    pw_buf_deinit(&b);
    if (job == NULL) {
        abort();
    }
    return job;
}

/* Decisions one by one, as the engine makes them when an attempt ends: its place is given back, the next gets it. */
static bool drain(rig *r, pace *picks)
{
    pw_poll *poll = NULL;
    int64_t last = INT64_MAX;
    bool sorted = true;
    for (;;) {
        double from = now_us();
        pw_job *job = pw_queue_pick(r->core, &poll);
        if (job == NULL) {
            return sorted;
        }
        pw_queue_grant(r->core, job);
        pw_queue_end(r->core, job);
        add(picks, from);
        sorted = sorted && job->priority <= last;
        last = job->priority;
    }
}

static bool measure(int64_t n, int64_t keys)
{
    rig *r = rig_open(RIG_NORMAL);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_held(r, "other", PAWL_EFFECT_DEFAULT);
    rig_run(r);
    (void)rig_ask(r, "queue_set", "{name: \"q\", concurrency: 1}");
    pw_job **jobs = calloc((size_t)n, sizeof(pw_job *));
    pace puts = {0}, picks = {0}, outs = {0};
    for (int64_t i = 0; i < n; i++) {
        jobs[i] = make(r, i, keys);
    }
    for (int64_t i = 0; i < n; i++) {
        double from = now_us();
        pw_queue_put(r->core, jobs[i]);
        add(&puts, from);
    }
    for (int64_t i = 0; i < n; i += 10) { /* cancelled, anywhere */
        double from = now_us();
        pw_queue_out(r->core, jobs[i]);
        add(&outs, from);
    }
    bool sorted = drain(r, &picks);
    for (int64_t i = 0; i < n; i++) {
        pw_job_free(r->core, jobs[i]);
    }
    printf("| %7lld | %6lld | %5.2f (%6.0f) | %5.2f (%6.0f) | %5.2f (%6.0f) |\n", (long long)n,
           (long long)keys, puts.sum / (double)puts.n, puts.worst, picks.sum / (double)picks.n,
           picks.worst, outs.sum / (double)outs.n, outs.worst);
    free(jobs);
    rig_close(r);
    return sorted;
}

int main(void)
{
    bool good = true;
    printf(
        "| queued  | keys   | put us (worst) | next us (worst) | out us (worst) |\n|---|---|---|---|---|\n");
    for (int64_t n = 1000; n <= 100000; n *= 10) {
        good = measure(n, 1) && good;
        good = measure(n, 100) && good;
        good = measure(n, n) && good;
    }
    if (!good) {
        printf("a lower priority came first\nagain: queue_pace\n");
    }
    return good ? 0 : 1;
}
