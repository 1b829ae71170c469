/*
 * stream.c - partial output of attempts, from reports to watches.
 *
 * Each piece is kept as the event that watches get, so that a tail is only sent again. Does not write to the journal, does not slow an
 * attempt down for a slow watch (control.c and outbox.c bound what waits for one), does not put lines together.
 */
#include "engine/stream.h"

#include <string.h>

typedef struct said {
    struct said *next;
    size_t size;
    uint8_t event[];
} said;

struct pw_stream {
    said *first, *last;
    size_t size;
    int64_t at; /* where the next piece begins, if it does not say */
};

static bool wanted(const pw_watcher *w, const pw_job *job)
{
    return w->output && (w->id == NULL || strcmp(w->id, job->run_id) == 0);
}

static void send(const pw_watcher *w, pw_view event)
{
    w->rq->reply(w->rq, PAWL_OK, event, NULL, true);
}

static void tell(pw_core *core, const pw_job *job, pw_view event)
{
    for (pw_watcher *w = core->watchers; w != NULL; w = w->next) {
        if (wanted(w, job)) {
            send(w, event);
        }
    }
}

static const pawl_value *event_of(const pw_job *job, pawl_scope *scope, const char *type)
{
    const pawl_value *v =
        pawl_build(scope, "{type: %s, id: %s, command: %lld, attempt: %lld, activity: %s}", type,
                   job->run_id, (long long)job->key.cmd, (long long)job->attempt, job->name);
    return job->key.item == 0
               ? v
               : pawl_with(scope, v, "index", pawl_make_int(scope, job->key.item - 1));
}

const char *pw_stream_problem(const pawl_value *piece)
{
    size_t size = 0;
    const char *channel = pawl_str(piece, "channel", "");
    if (channel[0] == '\0' || strlen(channel) > PW_STREAM_CHANNEL_MAX) {
        return "a piece of output names its channel, in 64 bytes at most";
    }
    pawl_type type = pawl_typeof(pawl_get(piece, "data"));
    if (type != PAWL_STRING && type != PAWL_BYTES) {
        return "a piece of output is text or bytes";
    }
    int64_t at = pawl_int(piece, "at", 0); /* a worker's word: what follows is counted from there */
    if (at < 0 || at > INT64_MAX / 2) {
        return "a piece of output stands at a place in bytes, 0 or more";
    }
    (void)pawl_data(piece, "data", &size);
    return size > PW_STREAM_PIECE_MAX ? "a piece of output is too large: send it in several" : NULL;
}

static pw_stream *stream_of(pw_job *job)
{
    if (job->stream == NULL) {
        job->stream = pw_calloc(1, sizeof *job->stream);
    }
    return job->stream;
}

static void keep(pw_stream *s, pw_view event)
{
    said *p = pw_malloc(sizeof *p + event.size);
    if (p == NULL) {
        return;
    }
    p->next = NULL;
    p->size = event.size;
    memcpy(p->event, event.data, event.size);
    *(s->last != NULL ? &s->last->next : &s->first) = p;
    s->last = p;
    s->size += event.size;
    while (s->size > PW_STREAM_TAIL_BYTES && s->first != s->last) {
        said *old = s->first;
        s->first = old->next;
        s->size -= old->size;
        pw_free(old);
    }
}

void pw_stream_piece(pw_core *core, pw_job *job, const pawl_value *given)
{
    pw_stream *s = stream_of(job);
    pawl_scope *scope = s != NULL ? pawl_scope_new() : NULL;
    size_t size = 0;
    if (scope == NULL) {
        return;
    }
    (void)pawl_data(given, "data", &size);
    int64_t at = pawl_int(given, "at", s->at);
    const pawl_value *v = event_of(job, scope, "Output");
    v = pawl_with(scope, v, "channel", pawl_get(given, "channel"));
    v = pawl_with(scope, v, "at", pawl_make_int(scope, at));
    v = pawl_with(scope, v, "data", pawl_get(given, "data"));
    s->at = at + (int64_t)size;
    if (!pw_scope_failed(scope)) {
        tell(core, job, pw_value_bytes(v));
        keep(s, pw_value_bytes(v));
    }
    pawl_scope_free(scope);
}

void pw_stream_end(pw_core *core, pw_job *job, bool stands)
{
    pw_stream *s = job->stream;
    if (s == NULL) {
        return;
    }
    job->stream = NULL;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = scope != NULL ? event_of(job, scope, "OutputEnded") : NULL;
    v = scope != NULL ? pawl_with(scope, v, "stands", pawl_make_bool(scope, stands)) : NULL;
    if (scope != NULL && !pw_scope_failed(scope)) {
        tell(core, job, pw_value_bytes(v));
    }
    pawl_scope_free(scope);
    while (s->first != NULL) {
        said *p = s->first;
        s->first = p->next;
        pw_free(p);
    }
    pw_free(s);
}

void pw_stream_tails(pw_core *core, const pw_watcher *w)
{
    pw_job *job, *next;
    HASH_ITER (hh, core->jobs, job, next) {
        for (said *p = job->stream != NULL && wanted(w, job) ? job->stream->first : NULL; p != NULL;
             p = p->next) {
            send(w, (pw_view){p->event, p->size});
        }
    }
}

void pw_stream_progress(pw_core *core, const pw_live *live, const pw_run_row *row)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return;
    }
    const pawl_value *v =
        pawl_build(scope, "{type: \"Progress\", id: %s, done: %lld, total: %lld, text: %p}",
                   live->id, (long long)row->progress_done, (long long)row->progress_total,
                   pawl_v(pawl_make_strn(scope, (const char *)row->progress_text.data,
                                         row->progress_text.size)));
    for (pw_watcher *w = core->watchers; w != NULL && !pw_scope_failed(scope); w = w->next) {
        if (w->output && pw_watches(w, live)) {
            send(w, pw_value_bytes(v));
        }
    }
    pawl_scope_free(scope);
}
