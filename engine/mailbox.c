/*
 * mailbox.c - lists behind a mutex, and the wake-up of a sleeping loop.
 *
 * A poster writes to the eventfd only when the loop has said that it sleeps, and only the first poster of a sleep does. Does not run
 * anything and does not answer anything.
 */
#include "engine/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

struct pw_mailbox {
    atomic_size_t refs;
    pthread_mutex_t lock;
    int fd;
    atomic_bool mail; /* something is in; written under the lock, peeked at without */
    bool sleeping;
    bool shut;
    size_t requests_count;
    size_t beats_count;
    size_t said_bytes; /* of output */
    pw_mail box;
    pw_call **calls_end;
    pw_report **reports_end;
    pw_request **requests_end;
    pw_gone **gone_end;
};

static void empty(pw_mailbox *mb)
{
    mb->box.groups_len = 0;
    mb->box.calls = NULL;
    mb->box.reports = NULL;
    mb->box.requests = NULL;
    mb->box.gone = NULL;
    mb->calls_end = &mb->box.calls;
    mb->reports_end = &mb->box.reports;
    mb->requests_end = &mb->box.requests;
    mb->gone_end = &mb->box.gone;
    mb->requests_count = 0;
    mb->beats_count = 0;
    mb->said_bytes = 0;
    atomic_store_explicit(&mb->mail, false, memory_order_relaxed);
}

pawl_status pw_mailbox_new(pw_mailbox **ret_mailbox, pawl_error *err)
{
    pw_mailbox *mb = pw_calloc(1, sizeof *mb);

    if (mb == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a mailbox");
    }
    mb->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mb->fd < 0) {
        int number = errno;
        pw_free(mb);
        return pw_err(err, PAWL_IO, "eventfd: %s", strerror(number));
    }
    atomic_init(&mb->refs, 1);
    pthread_mutex_init(&mb->lock, NULL);
    empty(mb);
    *ret_mailbox = mb;
    return PAWL_OK;
}

void pw_mailbox_hold(pw_mailbox *mb)
{
    atomic_fetch_add(&mb->refs, 1);
}

void pw_mailbox_free(pw_mailbox *mb)
{
    if (mb == NULL || atomic_fetch_sub(&mb->refs, 1) > 1) {
        return;
    }
    while (mb->box.reports != NULL) {
        pw_report *report = mb->box.reports;
        mb->box.reports = report->next;
        pw_report_free(report);
    }
    while (mb->box.requests != NULL) {
        pw_request *rq = mb->box.requests;
        mb->box.requests = rq->next;
        pw_request_free(rq);
    }
    while (mb->box.gone != NULL) {
        pw_gone *gone = mb->box.gone;
        mb->box.gone = gone->next;
        pw_free(gone);
    }
    close(mb->fd);
    pthread_mutex_destroy(&mb->lock);
    pw_free(mb);
}

/** Ends a put: the lock is held and something was added. */
static void posted(pw_mailbox *mb)
{
    bool wake = mb->sleeping;
    int fd = mb->fd;

    mb->sleeping = false;
    atomic_store_explicit(&mb->mail, true, memory_order_release);
    pthread_mutex_unlock(&mb->lock);
    if (wake) {
        uint64_t one = 1;
        ssize_t n = write(fd, &one, sizeof one);
        (void)n; /* the counter cannot overflow: one write per sleep */
    }
}

pawl_status pw_mailbox_put_request(pw_mailbox *mb, pw_request *rq, pawl_error *err)
{
    pthread_mutex_lock(&mb->lock);
    if (mb->shut) {
        pthread_mutex_unlock(&mb->lock);
        return pw_err(err, PAWL_SHUTDOWN, "the engine is closing");
    }
    if (mb->requests_count >= PW_MAILBOX_ITEMS_MAX) {
        pthread_mutex_unlock(&mb->lock);
        return pw_err(err, PAWL_FULL, "%d requests wait already; try again", PW_MAILBOX_ITEMS_MAX);
    }
    rq->next = NULL;
    *mb->requests_end = rq;
    mb->requests_end = &rq->next;
    mb->requests_count++;
    posted(mb);
    return PAWL_OK;
}

void pw_mailbox_put_report(pw_mailbox *mb, pw_report *report)
{
    pthread_mutex_lock(&mb->lock);
    size_t said = report->kind == PW_REPORT_OUTPUT ? report->value.size : 0;
    if ((report->kind == PW_REPORT_BEAT && mb->beats_count >= PW_MAILBOX_ITEMS_MAX) ||
        (said > 0 && mb->said_bytes + said > PW_STREAM_MAIL_BYTES)) {
        pthread_mutex_unlock(&mb->lock);
        pw_report_free(report);
        return;
    }
    mb->beats_count += report->kind == PW_REPORT_BEAT;
    mb->said_bytes += said;
    report->next = NULL;
    *mb->reports_end = report;
    mb->reports_end = &report->next;
    posted(mb);
}

void pw_mailbox_put_group(pw_mailbox *mb, pw_group *group)
{
    pthread_mutex_lock(&mb->lock);
    PW_CHECK(mb->box.groups_len < PW_MAIL_GROUPS_MAX);
    mb->box.groups[mb->box.groups_len++] = group;
    posted(mb);
}

void pw_mailbox_put_call(pw_mailbox *mb, pw_call *call)
{
    pthread_mutex_lock(&mb->lock);
    call->next = NULL;
    *mb->calls_end = call;
    mb->calls_end = &call->next;
    posted(mb);
}

void pw_mailbox_put_gone(pw_mailbox *mb, pw_gone *gone)
{
    pthread_mutex_lock(&mb->lock);
    gone->next = NULL;
    *mb->gone_end = gone;
    mb->gone_end = &gone->next;
    posted(mb);
}

void pw_mailbox_shut(pw_mailbox *mb)
{
    pthread_mutex_lock(&mb->lock);
    mb->shut = true;
    pthread_mutex_unlock(&mb->lock);
}

/* ---- the loop's side ---- */

void pw_mailbox_take(pw_mailbox *mb, pw_mail *ret_mail)
{
    pthread_mutex_lock(&mb->lock);
    *ret_mail = mb->box;
    empty(mb);
    pthread_mutex_unlock(&mb->lock);
}

bool pw_mailbox_peek(const pw_mailbox *mb)
{
    return atomic_load_explicit(&mb->mail, memory_order_acquire);
}

bool pw_mailbox_rest(pw_mailbox *mb)
{
    pthread_mutex_lock(&mb->lock);
    bool rest = !atomic_load_explicit(&mb->mail, memory_order_relaxed);
    mb->sleeping = rest;
    pthread_mutex_unlock(&mb->lock);
    return rest;
}

void pw_mailbox_wake(pw_mailbox *mb)
{
    uint64_t count;

    pthread_mutex_lock(&mb->lock);
    mb->sleeping = false;
    pthread_mutex_unlock(&mb->lock);
    ssize_t n = read(mb->fd, &count, sizeof count);
    (void)n; /* EAGAIN: something else ended the sleep */
}

int pw_mailbox_fd(const pw_mailbox *mb)
{
    return mb->fd;
}
