/*
 * writer.c - the journal thread: a queue of groups, blobs and rites, taken in order.
 *
 * One mutex guards the queue and nothing else; commits run outside it. Groups are linked through
 * their own `next`, so handing one over cannot fail. A blob's note is allocated; when that fails
 * the blob is not staged, and the group that refers to it ends NOT, which is the truth. After a
 * quiet second idle() is called, once, or until it has nothing more to do. A group may come while it
 * is still being built (feed.h): nothing else is queued until it is whole. Does not look into groups.
 */
#include "journal/writer.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "journal/feed.h"
#include "sdk/base/mem.h"

#define BUSY_GROUPS_MAX \
    20000 /* an engine that is never idle does what idleness does, now and then */

typedef enum item_type { ITEM_BLOB, ITEM_REOPEN } item_type;

/** What is queued beside groups; it goes before the group that was submitted after it. */
typedef struct item {
    struct item *next;
    item_type type;
    const pw_group *before; /* the last group submitted when it came; NULL = none is queued */
    uint8_t digest[PW_DIGEST_SIZE];
    pw_view bytes;
    pawl_status status;
    pawl_error error;
    bool done;
} item;

typedef struct entry {
    pw_group *group;
    item *item;
} entry;

struct pw_writer {
    pw_journal *journal;
    pw_commit_fn done;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;     /* something came, or stop */
    pthread_cond_t answered; /* a rite has ended */
    pw_group *groups;
    pw_group *last_group;
    item *items;
    item *last_item;
    pw_feed feed; /* of the one group that is still being built */
    bool stop;
    atomic_bool scarce; /* the ballast is given up */
    int busy;           /* groups since it was idle */
    pawl_status
        staged; /* what the last chunks ended as, when they did not get through; until the next group */
    pawl_error staged_error;
};

/* ---- the thread ---- */

/** An item goes first unless groups that came before it are still queued. */
static entry pop(pw_writer *w)
{
    entry e = {NULL, NULL};
    if (w->items != NULL && w->items->before == NULL) {
        e.item = w->items;
        w->items = e.item->next;
        w->last_item = w->items != NULL ? w->last_item : NULL;
        return e;
    }
    if (w->groups != NULL) {
        e.group = w->groups;
        w->groups = e.group->next;
        w->last_group = w->groups != NULL ? w->last_group : NULL;
        for (item *i = w->items; i != NULL && i->before == e.group; i = i->next) {
            i->before = NULL;
        }
    }
    return e;
}

static entry wait_for(pw_writer *w, bool *ret_stop, bool *ret_idle, bool was_idle)
{
    was_idle = was_idle && !atomic_load(&w->scarce);
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&w->lock);
    while (w->groups == NULL && w->items == NULL && !w->stop && rc != ETIMEDOUT) {
        rc = was_idle ? pthread_cond_wait(&w->wake, &w->lock)
                      : pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    entry e = pop(w);
    *ret_stop = w->stop && e.group == NULL && e.item == NULL;
    *ret_idle = e.group == NULL && e.item == NULL && !w->stop;
    pthread_mutex_unlock(&w->lock);
    return e;
}

/* True: it can be let rest until something comes. */
static bool be_idle(pw_writer *w)
{
    const pw_journal_ops *ops = w->journal->ops;
    w->busy = 0;
    if (!atomic_load(&w->scarce)) {
        return ops->idle == NULL || !ops->idle(w->journal);
    }
    if (ops->ballast(w->journal, false)) {
        atomic_store(&w->scarce, false);
    }
    return true;
}

/** A group that lacks its blob because the disk was full for it ends as a full disk does: the reason is what the engine acts on. */
static void tell_of_chunks(pw_writer *w, pw_group *g)
{
    if (g->status == PAWL_NOT && w->staged == PAWL_NOSPACE) {
        g->status = PAWL_NOSPACE;
        g->error = w->staged_error;
    }
    w->staged = PAWL_OK;
}

static void commit_one(pw_writer *w, pw_group *g)
{
    const pw_journal_ops *ops = w->journal->ops;
    const bool feeds = g->feed != NULL && (ops->caps & PW_CAP_FEED) != 0;
    if (g->feed == NULL || feeds || pw_feed_whole(g->feed)) {
        g->status = ops->commit(w->journal, g, &g->error);
    }
    if (g->feed != NULL && !pw_feed_whole(g->feed)) {
        pw_feed_let_go(g->feed); /* nothing was written, and nobody waits for an answer */
        return;
    }
    tell_of_chunks(w, g);
    if (g->status == PAWL_NOSPACE && ops->ballast != NULL && ops->ballast(w->journal, true)) {
        atomic_store(&w->scarce, true);
    }
    atomic_store_explicit(&g->answered, true, memory_order_relaxed);
    w->done(w->ctx, g); /* hands the group over: g is not ours any more */
    if (ops->settle != NULL) {
        ops->settle(w->journal);
    }
    if (++w->busy >= BUSY_GROUPS_MAX) {
        (void)be_idle(w);
    }
}

static void stage_one(pw_writer *w, item *i)
{
    pawl_status st = PAWL_OK;
    int64_t chunk = 0;
    for (size_t at = 0; st == PAWL_OK && at < i->bytes.size; at += PW_BLOB_CHUNK_BYTES) {
        size_t left = i->bytes.size - at;
        pw_view part = {i->bytes.data + at,
                        left < PW_BLOB_CHUNK_BYTES ? left : PW_BLOB_CHUNK_BYTES};
        st = w->journal->ops->stage(w->journal, i->digest, chunk++, part, &i->error);
    }
    if (w->journal->ops->settle != NULL) {
        w->journal->ops->settle(w->journal);
    }
    if (st != PAWL_OK) { /* not staged: the group that refers to it will be told */
        w->staged = st;
        w->staged_error = i->error;
    }
    pw_free(i);
}

static void run_item(pw_writer *w, item *i)
{
    if (i->type == ITEM_BLOB) {
        stage_one(w, i);
        return;
    }
    pawl_status st = w->journal->ops->reopen(w->journal, &i->error);
    pthread_mutex_lock(&w->lock);
    i->status = st;
    i->done = true;
    pthread_cond_broadcast(&w->answered);
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    pw_writer *w = arg;
    bool stop = false;
    bool idle = false;
    while (!stop) {
        entry e = wait_for(w, &stop, &idle, idle);
        if (e.item != NULL) {
            run_item(w, e.item);
        } else if (e.group != NULL) {
            commit_one(w, e.group);
        } else if (idle) {
            idle = be_idle(w); /* else again after another quiet second */
        }
    }
    return NULL;
}

/* ---- the owner's side ---- */

static void init_locks(pw_writer *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_cond_init(&w->answered, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    pw_feed_init(&w->feed);
}

static void free_writer(pw_writer *w)
{
    pw_feed_deinit(&w->feed);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->answered);
    pthread_mutex_destroy(&w->lock);
    pw_free(w);
}

pawl_status pw_writer_start(pw_journal *journal, pw_commit_fn done, void *ctx,
                            pw_writer **ret_writer, pawl_error *err)
{
    pw_writer *w = pw_calloc(1, sizeof(*w));
    if (w == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    w->journal = journal;
    w->done = done;
    w->ctx = ctx;
    init_locks(w);
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0) {
        free_writer(w);
        return pw_err(err, PAWL_NOMEM, "the journal thread could not be started: %s", strerror(rc));
    }
    (void)pthread_setname_np(w->thread, "pawl-journal");
    *ret_writer = w;
    return PAWL_OK;
}

static void put_group(pw_writer *w, pw_group *group)
{
    group->next = NULL;
    group->status = PAWL_NOT;
    memset(&group->error, 0, sizeof(group->error));
    pthread_mutex_lock(&w->lock);
    if (w->last_group != NULL) {
        w->last_group->next = group;
    } else {
        w->groups = group;
    }
    w->last_group = group;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(
        &w->wake); /* after: who wakes finds the lock free, and is not put to sleep again */
}

static void put_item(pw_writer *w, item *i)
{
    i->before = w->last_group;
    if (w->last_item != NULL) {
        w->last_item->next = i;
    } else {
        w->items = i;
    }
    w->last_item = i;
    pthread_cond_signal(&w->wake);
}

void pw_writer_submit(pw_writer *w, pw_group *group)
{
    group->feed = NULL;
    put_group(w, group);
}

void pw_writer_open(pw_writer *w, pw_group *group, size_t shown)
{
    pw_feed_open(&w->feed, shown);
    group->feed = &w->feed;
    put_group(w, group);
}

void pw_writer_show(pw_writer *w, pw_group *group, size_t shown, bool whole)
{
    PW_CHECK(group->feed == &w->feed);
    pw_feed_show(&w->feed, shown, whole);
}

void pw_writer_take_back(pw_writer *w, pw_group *group)
{
    PW_CHECK(group->feed == &w->feed);
    pw_feed_take_back(&w->feed);
    group->feed = NULL;
}

void pw_writer_stage(pw_writer *w, const uint8_t digest[PW_DIGEST_SIZE], pw_view bytes)
{
    item *i = pw_calloc(1, sizeof(*i));
    if (i == NULL) {
        return;
    }
    i->type = ITEM_BLOB;
    i->bytes = bytes;
    memcpy(i->digest, digest, PW_DIGEST_SIZE);
    pthread_mutex_lock(&w->lock);
    put_item(w, i);
    pthread_mutex_unlock(&w->lock);
}

pawl_status pw_writer_reopen(pw_writer *w, pawl_error *err)
{
    item i = {.type = ITEM_REOPEN};
    pthread_mutex_lock(&w->lock);
    put_item(w, &i);
    while (!i.done) {
        pthread_cond_wait(&w->answered, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    if (i.status != PAWL_OK && err != NULL) {
        *err = i.error;
    }
    return i.status;
}

void pw_writer_stop(pw_writer *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    free_writer(w);
}

bool pw_writer_scarce(const pw_writer *w)
{
    return atomic_load_explicit(&w->scarce, memory_order_relaxed);
}

int64_t pw_writer_cpu_us(pw_writer *w)
{
    clockid_t clock;
    struct timespec t;
    if (pthread_getcpuclockid(w->thread, &clock) != 0 || clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
