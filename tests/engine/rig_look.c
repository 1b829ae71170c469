/*
 * rig_look.c - what the journal says: rows, histories, keys. A test asserts on this, as a stranger with a reader would see it.
 * Does not change anything.
 */
#include "rig.h"

#include <stdio.h>

#include "rig_inside.h"

const pawl_value *rig_value(rig *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_vbuild(r->scope, fmt, args);
    va_end(args);
    assert_non_null(v);
    return v;
}

/* ---- rows ---- */

typedef struct found_row {
    rig *r;
    int64_t key, progress, unread, seq;
    const char *status, *waiting, *reason;
} found_row;

static const char *copy(rig *r, pw_view v)
{
    return pw_strndup(r->scope, (const char *)v.data, v.size);
}

static bool take_row(void *ctx, const pw_run_row *row)
{
    found_row *f = ctx;
    f->key = row->key;
    f->progress = row->progress_done;
    f->unread = row->unread;
    f->seq = row->seq;
    f->status = pw_run_status_name(row->status);
    f->waiting = copy(f->r, row->waiting);
    f->reason = copy(f->r, row->reason);
    return false;
}

static found_row row_of(rig *r, const char *id)
{
    found_row f = {.r = r, .status = "", .waiting = "", .reason = ""};
    pawl_error err = {0};
    pw_view name = {(const uint8_t *)id, strlen(id)};
    pawl_status st = r->reader->ops->run_find(r->reader, name, take_row, &f, &err);
    if (st != PAWL_OK && st != PAWL_NOTFOUND) {
        fail_msg("run %s: %s", id, err.message);
    }
    return f;
}

const char *rig_status(rig *r, const char *id)
{
    return row_of(r, id).status;
}

const char *rig_waiting(rig *r, const char *id)
{
    return row_of(r, id).waiting;
}

const char *rig_reason(rig *r, const char *id)
{
    return row_of(r, id).reason;
}

int64_t rig_progress(rig *r, const char *id)
{
    return row_of(r, id).progress;
}

int64_t rig_unread(rig *r, const char *id)
{
    return row_of(r, id).unread;
}

int64_t rig_seq(rig *r, const char *id)
{
    return row_of(r, id).seq;
}

int64_t rig_key(rig *r, const char *id)
{
    return row_of(r, id).key;
}

const pawl_value *rig_result(rig *r, const char *id)
{
    const rig_reply *reply = rig_ask(r, "result", "{id: %s}", id);
    assert_int_equal(reply->status, PAWL_OK);
    return pawl_get(reply->value, "result");
}

const pawl_value *rig_failure(rig *r, const char *id)
{
    const rig_reply *reply = rig_ask(r, "result", "{id: %s}", id);
    assert_int_equal(reply->status, PAWL_OK);
    return pawl_get(reply->value, "failure");
}

/* ---- history ---- */

typedef struct walk {
    rig *r;
    pw_buf *out;      /* names, or NULL */
    const char *want; /* an event to find, or NULL */
    int nth;
    int count;
    const pawl_value *found;
} walk;

static void see(walk *w, const pw_event *ev)
{
    const char *name = pw_event_name((int)ev->type);
    if (w->out != NULL) {
        const pawl_value *body = pw_value_copy(w->r->scope, ev->body.data, ev->body.size);
        const char *own = pawl_str(body, "name", "");
        pw_buf_printf(w->out, "%s%s%s%s", w->out->size > 0 ? " " : "", name, own[0] != 0 ? ":" : "",
                      own);
    }
    if (w->want != NULL && strcmp(name, w->want) == 0 && w->count++ == w->nth) {
        const pawl_value *body = pw_value_copy(w->r->scope, ev->body.data, ev->body.size);
        body = pawl_with(w->r->scope, body, "seq", pawl_make_int(w->r->scope, ev->seq));
        w->found = pawl_with(w->r->scope, body, "command_id", pawl_make_int(w->r->scope, ev->cmd));
    }
}

static bool see_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    walk *w = ctx;
    pw_record rec;
    pawl_error err = {0};
    assert_int_equal(pw_record_open(record.data, record.size, &rec, &err), PAWL_OK);
    pw_event ev = {.seq = first_seq + 1};
    int64_t n = 0;
    while (pw_record_next(&rec, &ev)) {
        see(w, &ev);
        ev.seq++;
        n++;
    }
    assert_false(rec.body.bad);
    assert_int_equal(n, events);
    return true;
}

static void walk_key(rig *r, int64_t key, walk *w)
{
    pawl_error err = {0};
    if (r->reader->ops->read(r->reader, key, 0, see_record, w, &err) != PAWL_OK) {
        fail_msg("the history of run %lld: %s", (long long)key, err.message);
    }
}

void rig_history_of_key(rig *r, int64_t key, pw_buf *out)
{
    walk w = {.r = r, .out = out};
    walk_key(r, key, &w);
}

const char *rig_history(rig *r, const char *id)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t key = rig_key(r, id);
    assert_true(key > 0);
    rig_history_of_key(r, key, &out);
    return pw_strdup(r->scope, pw_buf_cstr(&out));
}

int rig_count(rig *r, const char *id, const char *event)
{
    walk w = {.r = r, .want = event, .nth = -1};
    walk_key(r, rig_key(r, id), &w);
    return w.count;
}

const pawl_value *rig_event(rig *r, const char *id, const char *event, int nth)
{
    walk w = {.r = r, .want = event, .nth = nth};
    walk_key(r, rig_key(r, id), &w);
    return w.found;
}

/* ---- the rest ---- */

typedef struct found_key {
    rig *r;
    const pawl_value *value;
} found_key;

static bool take_key(void *ctx, pw_view key, pw_view value)
{
    (void)key;
    found_key *f = ctx;
    f->value = pw_value_copy(f->r->scope, value.data, value.size);
    return false;
}

const pawl_value *rig_key_value(rig *r, const char *id, const char *key)
{
    found_key f = {.r = r};
    pawl_error err = {0};
    pw_view name = {(const uint8_t *)key, strlen(key)};
    assert_int_equal(r->reader->ops->keys(r->reader, rig_key(r, id), name, take_key, &f, &err),
                     PAWL_OK);
    return f.value;
}

int64_t rig_stat(rig *r, const char *name)
{
    return pawl_int(pw_core_stats(r->core, r->scope), name, -1);
}

bool rig_logged(const rig *r, const char *text)
{
    return r->log.size > 0 && memmem(r->log.data, r->log.size, text, strlen(text)) != NULL;
}
