/*
 * convo_task.c - conversations as activities read them: on their own threads, through one reader beside the core's.
 *
 * An activity was dispatched after the commit of the turn that asked for it, so what its input refers to is in the journal. The reader is
 * opened at the first read, shared under a lock, and goes with the core; a task that outlives it hears CLOSED.
 * Does not read for workers on another machine: they have no file.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/convo.h"
#include "engine/task.h"
#include "sdk/base/error.h"
#include "sdk/base/kept.h"
#include "sdk/base/mem.h"

struct pw_convos {
    atomic_int refs;
    pthread_mutex_t lock;
    pw_journal *journal; /* NULL once closed */
    pw_reader *reader;   /* NULL before the first read */
    pw_kept *kept;       /* behind this, in the same block; under the lock */
    _Alignas(8) uint8_t end[];
};

pw_convos *pw_convos_new(pw_journal *journal)
{
    pw_convos *c = pw_calloc(1, sizeof *c + pw_kept_bytes(PW_CONVO_KEPT_BYTES));
    if (c == NULL) {
        return NULL;
    }
    atomic_init(&c->refs, 1);
    (void)pthread_mutex_init(&c->lock, NULL);
    c->journal = journal;
    c->kept = pw_kept_init(c->end, PW_CONVO_KEPT_BYTES);
    return c;
}

pw_convos *pw_convos_ref(pw_convos *c)
{
    if (c != NULL) {
        atomic_fetch_add(&c->refs, 1);
    }
    return c;
}

void pw_convos_unref(pw_convos *c)
{
    if (c != NULL && atomic_fetch_sub(&c->refs, 1) == 1) {
        pw_convos_close(c);
        (void)pthread_mutex_destroy(&c->lock);
        pw_free(c);
    }
}

void pw_convos_close(pw_convos *c)
{
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    if (c->reader != NULL) {
        c->reader->ops->reader_close(c->reader);
    }
    c->reader = NULL;
    c->journal = NULL;
    pthread_mutex_unlock(&c->lock);
}

static pawl_status read_with(pw_reader *reader, pw_kept *kept, const pw_convo_want *want,
                             const pawl_value **ret_messages, pawl_error *err)
{
    return pw_convo_read(&(pw_convo_from){.reader = reader, .kept = kept}, want->scope,
                         &want->convo, want->first, ret_messages, err);
}

static pawl_status read_file(const char *path, const pw_convo_want *want,
                             const pawl_value **ret_messages, pawl_error *err)
{
    pw_reader *reader = NULL;
    pawl_status st = path[0] != 0 ? pw_sqlite_reader_open(path, &reader, err)
                                  : pw_err(err, PAWL_NOTFOUND, "there is no journal here");
    if (st == PAWL_OK) {
        st = read_with(reader, NULL, want, ret_messages, err);
        reader->ops->reader_close(reader);
    }
    return st;
}

pawl_status pw_convos_read(pw_convos *c, const char *path, const pw_convo_want *want,
                           const pawl_value **ret_messages, pawl_error *err)
{
    if (c == NULL) {
        return read_file(path, want, ret_messages, err);
    }
    pthread_mutex_lock(&c->lock);
    pawl_status st =
        c->journal != NULL ? PAWL_OK : pw_err(err, PAWL_CLOSED, "the engine has closed");
    if (st == PAWL_OK && c->reader == NULL) {
        st = c->journal->ops->reader_open(c->journal, &c->reader, err);
    }
    st = st == PAWL_OK ? read_with(c->reader, c->kept, want, ret_messages, err) : st;
    pthread_mutex_unlock(&c->lock);
    return st;
}

const pawl_value *pawl_task_convo(pawl_task *task, const pawl_value *convo, int64_t from)
{
    pw_convo_want want = {.first = from, .scope = pawl_task_scope(task)};
    const pawl_value *messages = NULL;
    pawl_error err;
    if (!pw_convo_of(convo, &want.convo)) {
        return pawl_task_fail_with(task, "ConvoUnreadable",
                                   "this is no reference to a conversation", NULL, false);
    }
    pawl_status st =
        pw_convos_read(pw_task_convos(task), pw_task_journal(task), &want, &messages, &err);
    if (st == PAWL_OK) {
        return messages;
    }
    bool passing = st == PAWL_NOMEM || st == PAWL_IO || st == PAWL_BUSY || st == PAWL_CLOSED;
    return pawl_task_fail_with(task, "ConvoUnreadable", err.message, NULL, passing);
}
