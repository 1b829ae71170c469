/*
 * outbox.c - a queue with a descriptor, delivered on the host's thread.
 *
 * Callbacks run without the lock, so they may ask the engine for more. Does not know requests or runs.
 */
#include "engine/outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

struct pw_watch {
    pawl_watch_fn fn;
    void *user;
    size_t queued;
    int64_t lost;
    struct pw_watch *next;
};

struct pw_slot {
    pawl_reply_fn fn; /* a completion; NULL = an event of watch */
    void *user;
    pw_watch *watch;
    pawl_status status;
    pawl_error err;
    uint8_t *data;
    size_t size, capacity;
    pawl_scope
        *scope; /* of the value that is handed out: whoever made the slot had the memory for it */
    struct pw_slot *next;
};

struct pw_outbox {
    atomic_size_t refs;
    atomic_bool shut;
    pthread_mutex_t lock;
    int fd;
    atomic_bool unseen; /* something is in, and nobody has rung since */
    pw_slot *first;
    pw_slot **end;
    pw_watch *watches;
};

pawl_status pw_outbox_new(pw_outbox **ret_outbox, pawl_error *err)
{
    pw_outbox *ob = pw_calloc(1, sizeof *ob);

    if (ob == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the outbox");
    }
    ob->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ob->fd < 0) {
        int number = errno;
        pw_free(ob);
        return pw_err(err, PAWL_IO, "eventfd: %s", strerror(number));
    }
    atomic_init(&ob->refs, 1);
    pthread_mutex_init(&ob->lock, NULL);
    ob->end = &ob->first;
    *ret_outbox = ob;
    return PAWL_OK;
}

void pw_slot_free(pw_slot *slot)
{
    if (slot != NULL) {
        pw_free(slot->data);
        pawl_scope_free(slot->scope);
        pw_free(slot);
    }
}

void pw_outbox_shut(pw_outbox *ob)
{
    atomic_store(&ob->shut, true);
}

void pw_outbox_hold(pw_outbox *ob)
{
    atomic_fetch_add(&ob->refs, 1);
}

void pw_outbox_free(pw_outbox *ob)
{
    if (ob == NULL || atomic_fetch_sub(&ob->refs, 1) > 1) {
        return;
    }
    while (ob->first != NULL) {
        pw_slot *slot = ob->first;
        ob->first = slot->next;
        pw_slot_free(slot);
    }
    while (ob->watches != NULL) {
        pw_watch *watch = ob->watches;
        ob->watches = watch->next;
        pw_free(watch);
    }
    close(ob->fd);
    pthread_mutex_destroy(&ob->lock);
    pw_free(ob);
}

int pw_outbox_fd(const pw_outbox *ob)
{
    return ob->fd;
}

/** The lock is held. */
static void append(pw_outbox *ob, pw_slot *slot)
{
    slot->next = NULL;
    *ob->end = slot;
    ob->end = &slot->next;
    atomic_store_explicit(&ob->unseen, true, memory_order_relaxed);
}

void pw_outbox_ring(pw_outbox *ob)
{
    uint64_t one = 1;

    if (!atomic_load_explicit(&ob->unseen, memory_order_relaxed) ||
        !atomic_exchange(&ob->unseen, false)) {
        return;
    }
    ssize_t n = write(ob->fd, &one, sizeof one);
    (void)n; /* readable already is as good */
}

static bool keep(pw_slot *slot, pw_view body)
{
    if (body.size > slot->capacity) {
        uint8_t *grown = pw_realloc(slot->data, body.size);
        if (grown == NULL) {
            return false;
        }
        slot->data = grown;
        slot->capacity = body.size;
    }
    if (body.size > 0) {
        memcpy(slot->data, body.data, body.size);
    }
    slot->size = body.size;
    return true;
}

/* With room for what a change of a run is answered with: what has been done is not told as "no memory". */
static pw_slot *slot_new(size_t capacity)
{
    pw_slot *slot = pw_calloc(1, sizeof *slot);
    if (slot == NULL) {
        return NULL;
    }
    slot->scope = pawl_scope_new();
    slot->data = pw_malloc(capacity);
    slot->capacity = slot->data != NULL ? capacity : 0;
    if (slot->scope == NULL || slot->data == NULL) {
        pw_slot_free(slot);
        return NULL;
    }
    return slot;
}

pw_slot *pw_outbox_slot(pawl_reply_fn fn, void *user)
{
    pw_slot *slot = slot_new(PW_REPLY_BYTES_SMALL);

    if (slot != NULL) {
        slot->fn = fn;
        slot->user = user;
    }
    return slot;
}

void pw_outbox_complete(pw_outbox *ob, pw_slot *slot, pawl_status status, pw_view body,
                        const pawl_error *err)
{
    slot->status = status;
    if (status != PAWL_OK && err != NULL) {
        slot->err = *err;
    }
    if (!keep(slot, body)) {
        slot->status =
            pw_err(&slot->err, PAWL_NOMEM, "no memory for a reply of %zu bytes", body.size);
    }
    pthread_mutex_lock(&ob->lock);
    append(ob, slot);
    pthread_mutex_unlock(&ob->lock);
}

/* ---- watches ---- */

pawl_status pw_outbox_watch(pw_outbox *ob, pawl_watch_fn fn, void *user, pw_watch **ret_watch,
                            pawl_error *err)
{
    pw_watch *watch = pw_calloc(1, sizeof *watch);

    if (watch == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a watch");
    }
    watch->fn = fn;
    watch->user = user;
    pthread_mutex_lock(&ob->lock);
    watch->next = ob->watches;
    ob->watches = watch;
    pthread_mutex_unlock(&ob->lock);
    *ret_watch = watch;
    return PAWL_OK;
}

void pw_outbox_event(pw_outbox *ob, pw_watch *watch, pw_view event)
{
    pw_slot *slot = slot_new(event.size);
    bool kept = slot != NULL && keep(slot, event);

    pthread_mutex_lock(&ob->lock);
    if (!kept || watch->queued >= PW_WATCH_EVENTS_MAX) {
        watch->lost++;
        pthread_mutex_unlock(&ob->lock);
        pw_slot_free(slot);
        return;
    }
    slot->watch = watch;
    watch->queued++;
    append(ob, slot);
    pthread_mutex_unlock(&ob->lock);
}

/* ---- delivery ---- */

static pw_slot *take_all(pw_outbox *ob)
{
    uint64_t count;

    pthread_mutex_lock(&ob->lock);
    ssize_t n = read(ob->fd, &count, sizeof count);
    (void)n;
    pw_slot *first = ob->first;
    ob->first = NULL;
    ob->end = &ob->first;
    for (pw_slot *slot = first; slot != NULL; slot = slot->next) {
        if (slot->watch != NULL) {
            slot->watch->queued--;
        }
    }
    pthread_mutex_unlock(&ob->lock);
    return first;
}

static void deliver(const pw_slot *slot)
{
    const pawl_value *body =
        slot->size > 0 ? pw_value_view(slot->scope, slot->data, slot->size) : NULL;

    if (slot->fn != NULL) {
        slot->fn(slot->user, slot->status, body, slot->status == PAWL_OK ? NULL : &slot->err);
    } else {
        slot->watch->fn(slot->watch->user, body);
    }
}

static bool tell_lost(const pw_watch *watch, int64_t lost)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v =
        scope != NULL ? pawl_build(scope, "{type: \"Lost\", count: %lld}", (long long)lost) : NULL;
    if (v != NULL) {
        watch->fn(watch->user, v);
    }
    pawl_scope_free(scope);
    return v != NULL;
}

/** Events are lost only while a watch's queue is full, so what was lost came after all that has just been delivered. */
static int deliver_lost(pw_outbox *ob)
{
    int count = 0;

    pthread_mutex_lock(&ob->lock);
    pw_watch *watch = ob->watches;
    pthread_mutex_unlock(&ob->lock);
    for (; watch != NULL && !atomic_load(&ob->shut); watch = watch->next) {
        pthread_mutex_lock(&ob->lock);
        int64_t lost = watch->lost;
        watch->lost = 0;
        pthread_mutex_unlock(&ob->lock);
        if (lost > 0 && tell_lost(watch, lost)) {
            count++;
        } else if (lost > 0) { /* it is told with the next */
            pthread_mutex_lock(&ob->lock);
            watch->lost += lost;
            pthread_mutex_unlock(&ob->lock);
        }
    }
    return count;
}

int pw_outbox_dispatch(pw_outbox *ob)
{
    int count = 0;

    for (pw_slot *slot = take_all(ob); slot != NULL;) {
        pw_slot *next = slot->next;
        if (!atomic_load(&ob->shut)) { /* a callback may have closed the engine */
            deliver(slot);
            count++;
        }
        pw_slot_free(slot);
        slot = next;
    }
    return count + deliver_lost(ob);
}
