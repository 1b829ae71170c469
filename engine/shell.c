/*
 * shell.c - what a run that is only its row must know of itself is read from its history, when it is asked: whether it was told to
 * cancel, which child has ended, who answered what, and how many signals nobody has read.
 *
 * Each costs a pass over the history, of a run that is paused or has no code. Does not decide: input.c does.
 */
#include "engine/shell.h"

#include <stdio.h>
#include <string.h>

typedef struct walk {
    void (*each)(void *ctx, const pw_event *ev);
    void *ctx;
} walk;

static bool walk_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view record)
{
    (void)pos;
    (void)events;
    const walk *w = ctx;
    pw_record rec;
    pawl_error err;
    pw_event ev = {.seq = first_seq + 1};
    if (pw_record_open(record.data, record.size, &rec, &err) != PAWL_OK) {
        return false;
    }
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        w->each(w->ctx, &ev);
    }
    return true;
}

/* What cannot be read now fails the turn, which comes again; a run that is not written yet, or damaged, has no more than this. */
static void read_all(pw_live *live, void (*each)(void *ctx, const pw_event *ev), void *ctx)
{
    walk w = {each, ctx};
    pawl_error err;
    pawl_status st =
        live->core->jops->read(live->core->reader, live->key, 0, walk_record, &w, &err);
    if (st != PAWL_OK && st != PAWL_NOTFOUND && st != PAWL_DAMAGED) {
        pw_scope_fail(live->scope);
    }
}

/* What this turn has added, and the journal does not have yet. */
static void see_turn(const pw_live *live, void (*each)(void *ctx, const pw_event *ev), void *ctx)
{
    pw_record rec = {.events = (size_t)live->record_events,
                     .body = pw_mp_reader(live->record->data, live->record->size)};
    pw_event ev = {.seq = live->row.seq + 1};
    for (; pw_record_next(&rec, &ev); ev.seq++) {
        each(ctx, &ev);
    }
}

/* ---- cancelled? ---- */

static void see_cancel(void *ctx, const pw_event *ev)
{
    bool *asked = ctx;
    *asked = ev->type == PW_EV_CANCEL_REQUESTED || (*asked && ev->type != PW_EV_RUN_RETRIED);
}

bool pw_shell_cancel_asked(pw_live *live)
{
    bool asked = false;
    read_all(live, see_cancel, &asked);
    return asked;
}

/* ---- has a child ended? ---- */

typedef struct child_end {
    int64_t cmd;
    int64_t seq; /* of the event that ended it; 0 = open */
} child_end;

static void see_child(void *ctx, const pw_event *ev)
{
    child_end *end = ctx;
    bool ends = ev->type == PW_EV_CHILD_COMPLETED || ev->type == PW_EV_CHILD_FAILED ||
                ev->type == PW_EV_CHILD_CANCELED;
    if (ends && ev->cmd == end->cmd) {
        end->seq = ev->seq;
    } else if (ev->type == PW_EV_RUN_RETRIED &&
               end->seq >= pw_body_int(ev->body, "from", ev->seq)) {
        end->seq = 0; /* void */
    }
}

bool pw_shell_child_ended(pw_live *live, int64_t cmd)
{
    child_end end = {.cmd = cmd};
    read_all(live, see_child, &end);
    return end.seq != 0;
}

/* ---- who answered? ---- */

typedef struct end_find {
    pawl_scope *scope;
    const char *asked;
    int64_t cmd;  /* the last wait that fits */
    size_t waits; /* of all that fit */
    pw_wait_end *end;
} end_find;

static bool wait_fits(const end_find *f, const char *name, int64_t cmd)
{
    char exact[PW_NAME_BYTES_MAX + 32];
    (void)snprintf(exact, sizeof exact, "%s:%lld", name, (long long)cmd);
    return f->asked[0] == 0 || strcmp(name, f->asked) == 0 || strcmp(exact, f->asked) == 0;
}

static void see_wait(void *ctx, const pw_event *ev)
{
    end_find *f = ctx;
    if (ev->type == PW_EV_WAIT_CREATED) {
        const char *name = pw_body_str(f->scope, ev->body, "name", "");
        if (wait_fits(f, name, ev->cmd)) {
            f->waits++;
            f->cmd = ev->cmd;
            *f->end = (pw_wait_end){.name = name, .choice = "", .by = ""};
        }
        return;
    }
    bool ends = ev->type == PW_EV_WAIT_ANSWERED || ev->type == PW_EV_WAIT_EXPIRED ||
                ev->type == PW_EV_WAIT_CANCELED;
    if (ends && ev->cmd == f->cmd && f->cmd != 0) {
        f->end->how = ev->type;
        f->end->choice = pw_body_str(f->scope, ev->body, "choice", "");
        f->end->by = pw_body_str(f->scope, ev->body, "by", "");
        f->end->at_ms = pw_body_int(ev->body, "at_ms", 0);
    }
}

bool pw_shell_wait_ended(pw_live *live, pawl_scope *scope, const char *asked, pw_wait_end *ret_end)
{
    *ret_end = (pw_wait_end){.name = ""};
    end_find f = {.scope = scope, .asked = asked, .end = ret_end};
    read_all(live, see_wait, &f);
    return ret_end->how != 0 && (asked[0] != 0 || f.waits == 1);
}

/* ---- signals nobody has read ---- */

/* Of one name, signals received less waits that took one. */
typedef struct pending {
    const char *name;
    int64_t received, awaited;
    struct pending *next;
} pending;

typedef struct asked {
    int64_t cmd;
    pending *of;
    struct asked *next;
} asked;

typedef struct unread {
    pawl_scope *scope;
    pending *names;
    asked *open; /* waits by command: one that timed out took none */
} unread;

static pending *pending_of(unread *u, const pw_event *ev)
{
    const char *name = pw_body_str(u->scope, ev->body, "name", "");
    pending *p = u->names;
    while (p != NULL && strcmp(p->name, name) != 0) {
        p = p->next;
    }
    if (p == NULL) {
        p = pawl_scope_alloc(u->scope, sizeof *p);
        if (p == NULL) {
            return NULL;
        }
        *p = (pending){.name = name, .next = u->names};
        u->names = p;
    }
    return p;
}

static void see_awaited(unread *u, const pw_event *ev)
{
    pending *p = pending_of(u, ev);
    asked *a = pawl_scope_alloc(u->scope, sizeof *a);
    if (p == NULL || a == NULL) {
        return;
    }
    p->awaited++;
    *a = (asked){.cmd = ev->cmd, .of = p, .next = u->open};
    u->open = a;
}

static void see_signal(void *ctx, const pw_event *ev)
{
    unread *u = ctx;
    if (ev->type == PW_EV_SIGNAL_RECEIVED) {
        pending *p = pending_of(u, ev);
        if (p != NULL) {
            p->received++;
        }
    } else if (ev->type == PW_EV_SIGNAL_AWAITED) {
        see_awaited(u, ev);
    } else if (ev->type == PW_EV_SIGNAL_TIMED_OUT || ev->type == PW_EV_SIGNAL_ABANDONED) {
        asked *a = u->open;
        while (a != NULL && a->cmd != ev->cmd) {
            a = a->next;
        }
        if (a != NULL) {
            a->of->awaited--;
        }
    }
}

int64_t pw_shell_unread(pw_live *live)
{
    unread u = {.scope = pawl_scope_new()};
    int64_t n = 0;
    if (u.scope == NULL) {
        pw_scope_fail(live->scope);
        return 0;
    }
    read_all(live, see_signal, &u);
    see_turn(live, see_signal, &u);
    if (pw_scope_failed(u.scope)) {
        pw_scope_fail(live->scope);
    }
    for (const pending *p = u.names; p != NULL; p = p->next) {
        n += p->received > p->awaited ? p->received - p->awaited : 0;
    }
    pawl_scope_free(u.scope);
    return n;
}
