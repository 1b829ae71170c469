/*
 * batch.c - the queue before an encoder. Everything is under one lock but the encoding itself. A call's record lies on its thread's stack, in a list; the
 * batch that runs names calls by pointer, and a call that leaves takes its name out of it.
 *
 * Does not encode and does not tokenize: those who call have done the one, options.encode does the other.
 */
#include "activities/embed/batch.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <utlist.h>

#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define TEXTS_MAX 256u       /* of one batch: their vectors are kept until it ends */
#define TOKENS_DEFAULT 1024u /* eight groups of rows of the encoder on the processor */
#define STOP_LOOK_MS 20      /* how often a waiting call asks whether it is cancelled */

typedef struct waiting {
    const pw_batch_call *call;
    size_t taken; /* texts that are or were in a batch */
    size_t done;
    uint64_t served;    /* the last batch that took a text of it */
    pawl_status status; /* of the first batch that failed */
    pawl_error err;
    struct waiting *prev, *next;
} waiting;

typedef struct slot {
    waiting *from; /* NULL: it has left */
    size_t text;
} slot;

struct pw_batcher {
    pw_batch_options o;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    waiting *calls;
    size_t texts; /* of them, in no batch yet */
    bool led;     /* a call leads */
    bool crowded; /* the last batch had several calls */
    pw_batch_counts counts;
    slot slots[TEXTS_MAX];
    pw_ids list[TEXTS_MAX];
    size_t len;
    uint32_t *ids;  /* [max(tokens, longest)] */
    float *vectors; /* [TEXTS_MAX][width] */
};

pawl_status pw_batcher_open(const pw_batch_options *options, pw_batcher **ret_batcher,
                            pawl_error *err)
{
    pthread_condattr_t clock;
    pw_batcher *b = pw_calloc(1, sizeof *b);
    if (b == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a queue of texts");
    }
    b->o = *options;
    b->o.tokens = b->o.tokens > 0 ? b->o.tokens : TOKENS_DEFAULT;
    const size_t most = b->o.tokens > b->o.longest ? b->o.tokens : b->o.longest;
    b->ids = pw_malloc(most * sizeof *b->ids);
    b->vectors = pw_malloc(TEXTS_MAX * b->o.width * sizeof *b->vectors);
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&b->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    if (b->ids == NULL || b->vectors == NULL) {
        pw_batcher_close(b);
        return pw_err(err, PAWL_NOMEM, "no memory for a batch of %zu tokens", most);
    }
    *ret_batcher = b;
    return PAWL_OK;
}

void pw_batcher_close(pw_batcher *b)
{
    if (b != NULL) {
        (void)pthread_cond_destroy(&b->changed);
        (void)pthread_mutex_destroy(&b->lock);
        pw_free(b->ids);
        pw_free(b->vectors);
        pw_free(b);
    }
}

/* False when it came to that time. */
static bool wait_until(pw_batcher *b, const struct timespec *at)
{
    return pthread_cond_timedwait(&b->changed, &b->lock, at) != ETIMEDOUT;
}

static struct timespec after_us(int64_t us)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t ns = t.tv_nsec + us % 1000000 * 1000;
    return (struct timespec){.tv_sec = t.tv_sec + us / 1000000 + ns / 1000000000,
                             .tv_nsec = ns % 1000000000};
}

/* ---- a batch ---- */

static bool take(pw_batcher *b, waiting *w, size_t *tokens)
{
    const pw_ids *text = &w->call->texts[w->taken];
    if (b->len == TEXTS_MAX || (b->len > 0 && *tokens + text->len > b->o.tokens)) {
        return false;
    }
    memcpy(b->ids + *tokens, text->ids, text->len * sizeof *b->ids);
    b->list[b->len] = (pw_ids){b->ids + *tokens, text->len};
    b->slots[b->len++] = (slot){w, w->taken++};
    *tokens += text->len;
    b->texts--;
    w->served = b->counts.batches;
    return true;
}

/* The calls that were served go to the end, in their order: the next batch begins with those that were not. */
static void rotate(pw_batcher *b)
{
    const waiting *last = b->calls != NULL ? b->calls->prev : NULL;
    for (waiting *w = b->calls; w != NULL && w->served == b->counts.batches;
         w = w == last ? NULL : b->calls) {
        DL_DELETE(b->calls, w);
        DL_APPEND(b->calls, w);
    }
}

/* One text of each call by turns, until the next does not fit. */
static void gather(pw_batcher *b)
{
    size_t tokens = 0;
    bool fits = true;
    b->len = 0;
    b->counts.batches++;
    for (size_t before = SIZE_MAX; fits && b->len != before;) {
        waiting *w;
        before = b->len;
        DL_FOREACH (b->calls, w) {
            fits = fits && (w->taken == w->call->len || take(b, w, &tokens));
        }
    }
    rotate(b);
    b->crowded = false;
    for (size_t i = 1; i < b->len; i++) {
        b->crowded = b->crowded || b->slots[i].from != b->slots[0].from;
    }
    b->counts.shared += b->crowded ? 1 : 0;
    b->counts.texts += b->len;
}

static void hand_out(pw_batcher *b, pawl_status status, const pawl_error *err)
{
    const size_t width = b->o.width;
    for (size_t i = 0; i < b->len; i++) {
        waiting *w = b->slots[i].from;
        if (w == NULL) {
            continue;
        }
        w->done++;
        if (status == PAWL_OK) {
            memcpy(w->call->vectors + b->slots[i].text * width, b->vectors + i * width,
                   width * sizeof *b->vectors);
        } else if (w->status == PAWL_OK) {
            w->status = status;
            w->err = *err;
        }
    }
    b->len = 0;
}

/* No more than is worth knowing: a full batch. */
static size_t queued_tokens(const pw_batcher *b)
{
    size_t tokens = 0;
    const waiting *w;
    DL_FOREACH (b->calls, w) {
        for (size_t i = w->taken; i < w->call->len && tokens < b->o.tokens; i++) {
            tokens += w->call->texts[i].len;
        }
    }
    return tokens;
}

/* As leader, under the lock, which is let go while the encoder works. */
static void run_batch(pw_batcher *b)
{
    pawl_error err = {.status = PAWL_OK};
    if (b->crowded && b->o.wait_us > 0) {
        const struct timespec at = after_us(b->o.wait_us);
        while (queued_tokens(b) < b->o.tokens && wait_until(b, &at)) {
        }
    }
    gather(b);
    if (b->len > 0) {
        (void)pthread_mutex_unlock(&b->lock);
        const pawl_status status = b->o.encode(b->o.user, b->list, b->len, b->vectors, &err);
        (void)pthread_mutex_lock(&b->lock);
        hand_out(b, status, &err);
    }
    (void)pthread_cond_broadcast(&b->changed);
}

/* ---- a call ---- */

static void leave(pw_batcher *b, waiting *w)
{
    b->texts -= w->call->len - w->taken;
    DL_DELETE(b->calls, w);
    for (size_t i = 0; i < b->len; i++) {
        if (b->slots[i].from == w) {
            b->slots[i].from = NULL;
        }
    }
}

static bool ended(const waiting *w)
{
    return w->status != PAWL_OK || w->done == w->call->len;
}

static void follow(pw_batcher *b, const waiting *w)
{
    if (w->call->stop != NULL) {
        const struct timespec at = after_us(STOP_LOOK_MS * 1000);
        (void)wait_until(b, &at);
    } else {
        (void)pthread_cond_wait(&b->changed, &b->lock);
    }
}

pawl_status pw_batcher_run(pw_batcher *b, const pw_batch_call *call, pawl_error *err)
{
    waiting w = {.call = call, .status = PAWL_OK};
    bool stopped = false;
    (void)pthread_mutex_lock(&b->lock);
    DL_APPEND(b->calls, &w);
    b->texts += call->len;
    (void)pthread_cond_broadcast(&b->changed); /* a leader that waits for others */
    while (!ended(&w) && !stopped) {
        if (b->led) {
            follow(b, &w);
        } else {
            b->led = true;
            run_batch(b);
            b->led = false;
        }
        stopped = !ended(&w) && call->stop != NULL && call->stop(call->user);
    }
    leave(b, &w);
    (void)pthread_cond_broadcast(&b->changed); /* the lead is free */
    (void)pthread_mutex_unlock(&b->lock);
    if (w.status != PAWL_OK && err != NULL) {
        *err = w.err;
    }
    return stopped ? pw_err(err, PAWL_CANCELED, "cancelled before %zu of %zu texts were embedded",
                            call->len - w.done, call->len)
                   : w.status;
}

pw_batch_counts pw_batcher_counts(pw_batcher *b)
{
    (void)pthread_mutex_lock(&b->lock);
    pw_batch_counts counts = b->counts;
    counts.waiting = b->texts;
    (void)pthread_mutex_unlock(&b->lock);
    return counts;
}
