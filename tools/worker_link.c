/*
 * worker_link.c - how a worker comes to its engine: the control socket of this machine, or a relay of another one.
 *
 *   here:       lost --> all attempts are over: the engine has forgotten them with the connection
 *   far away:   lost --> away --> back in time: its polls and waits are asked anew, final reports sent again
 *                         '-----> too late, or the engine is another one: all attempts are over
 *
 * Does not run attempts and does not decide what their ends mean.
 */
#include "tools/worker_inside.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/clock.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"

#define PING_MS 15000   /* of silence, before a sign of life is asked for */
#define SILENT_MS 35000 /* then the connection is taken for lost */
#define HELLO_MS 25000  /* to connect, shake hands and be let in */
#define PAUSE_MS_MIN 200
#define PAUSE_MS_MAX 10000

static bool is_far(const pw_worker *w)
{
    return w->far.dialer != NULL;
}

pawl_status pw_worker_link_init(pw_worker *w, pawl_error *err)
{
    w->far.scope = pawl_scope_new();
    if (w->far.scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a worker");
    }
    return w->options.connect == NULL
               ? PAWL_OK
               : pw_dialer_new(w->options.connect, w->options.ca_file, &w->far.dialer, err);
}

static void disconnect(pw_worker *w)
{
    pw_client_close(w->client);
    w->client = NULL;
    pw_dial_end(w->far.dial);
    w->far.dial = NULL;
    w->far.hello = w->far.ping = 0;
}

void pw_worker_link_deinit(pw_worker *w)
{
    if (w->far.dial != NULL && w->attempts == NULL && w->unheard == NULL) {
        pw_dial_polite(w->far.dial);
    }
    disconnect(w);
    pw_dialer_free(w->far.dialer);
    w->far.dialer = NULL;
    pawl_scope_free(w->far.scope);
    w->far.scope = NULL;
}

bool pw_worker_ready(const pw_worker *w)
{
    return w->client != NULL && w->far.hello == 0;
}

bool pw_worker_away(const pw_worker *w)
{
    return is_far(w) && w->far.session[0] != '\0';
}

/* ---- losing it ---- */

static void give_up(pw_worker *w)
{
    w->far.session[0] = '\0';
    pw_worker_free_unheard(w);
    for (pw_attempt *a = w->attempts; a != NULL; a = a->next) {
        a->over = true;
        a->wait_number = 0;
        pw_attempt_tell_to_stop(a);
    }
}

/* The next try is later each time, and not at the same moment as that of all the others. */
static void pause_next(pw_worker *w)
{
    uint16_t random = 0;
    pw_worker_far *f = &w->far;
    f->pause_ms = f->pause_ms == 0 ? PAUSE_MS_MIN : f->pause_ms * 2;
    f->pause_ms = f->pause_ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : f->pause_ms;
    pw_random(&random, sizeof random);
    f->next_ms = pw_mono_ms() + f->pause_ms / 2 + f->pause_ms * random / 131072;
}

/* What was asked of the connection that was; reports that nobody answered are sent again on the next. */
static void forget_requests(pw_worker *w)
{
    w->polls_len = 0;
    w->unpoll = 0;
    w->offer_changed = false;
    for (pw_attempt *a = w->attempts; a != NULL; a = a->next) {
        a->wait_number = 0;
    }
    for (pw_attempt *a = w->unheard; a != NULL; a = a->next) {
        a->final_number = 0;
        a->again_ms = 0;
    }
}

static void say_lost(pw_worker *w)
{
    char why[300] = "";
    if (w->far.dial != NULL) {
        pw_dial_problem(w->far.dial, why, sizeof why);
    }
    if (is_far(w) && w->far.hello != 0) {
        if (!w->waiting_said) {
            pw_worker_say(w, "waiting: %s", why[0] != '\0' ? why : "the relay does not answer");
            w->waiting_said = true;
        }
    } else {
        pw_worker_say(w, "the engine is gone%s%s", why[0] != '\0' ? ": " : "", why);
    }
}

void pw_worker_lost(pw_worker *w)
{
    if (w->client == NULL) {
        return;
    }
    say_lost(w);
    disconnect(w);
    forget_requests(w);
    if (is_far(w)) {
        w->far.lost_ms = w->far.lost_ms == 0 ? pw_mono_ms() : w->far.lost_ms;
        pause_next(w);
    }
    if (!pw_worker_away(w)) {
        give_up(w);
    }
}

int64_t pw_worker_send(pw_worker *w, const char *op, const pawl_value *args)
{
    int64_t number = 0;
    pawl_error err;
    if (!pw_worker_ready(w)) {
        return 0;
    }
    pawl_status st = pw_client_send(w->client, op, args, &number, &err);
    if (st == PAWL_LIMIT) {
        return -1;
    }
    if (st != PAWL_OK) {
        pw_worker_lost(w);
        return 0;
    }
    w->far.last_number = number;
    return number;
}

/* ---- an engine of this machine ---- */

static void connect_here(pw_worker *w)
{
    pawl_error err;
    pw_client *c = NULL;
    pawl_status st = pw_client_open(w->options.journal_path, 0, &c, &err);
    if (st == PAWL_OK && pw_client_is_live(c)) {
        w->client = c;
        w->waiting_said = false;
        pw_worker_say(w, "connected");
        return;
    }
    pw_client_close(c);
    if (!w->waiting_said) {
        pw_worker_say(w, st == PAWL_OK ? "no engine serves the journal yet" : "waiting: %s",
                      err.message);
        w->waiting_said = true;
    }
}

/* ---- a relay ---- */

/* The tokens of all that it has, running or not answered yet. */
static const pawl_value *tasks_of(const pw_worker *w, pawl_scope *scope)
{
    size_t n = 0;
    const pw_attempt *const lists[] = {w->attempts, w->unheard};
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        for (const pw_attempt *a = lists[i]; a != NULL; a = a->next) {
            n++;
        }
    }
    const pawl_value **items = pawl_scope_alloc(scope, (n + 1) * sizeof *items);
    n = 0;
    for (size_t i = 0; items != NULL && i < PW_COUNT(lists); i++) {
        for (const pw_attempt *a = lists[i]; a != NULL; a = a->next) {
            items[n++] = pawl_make_str(scope, a->token);
        }
    }
    return pawl_make_array(scope, items, n);
}

static pawl_status say_hello(pw_worker *w, pawl_error *err)
{
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory to say hello");
    }
    const pawl_value *v =
        pawl_build(scope, "{token: %s, worker: %s}", w->options.token, w->options.worker_id);
    if (w->far.session[0] != '\0') {
        v = pawl_with(scope, v, "session", pawl_make_str(scope, w->far.session));
        v = pawl_with(scope, v, "tasks", tasks_of(w, scope));
    }
    pawl_status st = pw_scope_failed(scope)
                         ? pw_err(err, PAWL_NOMEM, "no memory to say hello")
                         : pw_client_send(w->client, "hello", v, &w->far.hello, err);
    w->far.last_number = st == PAWL_OK ? w->far.hello : w->far.last_number;
    pawl_scope_free(scope);
    return st;
}

static void connect_far(pw_worker *w)
{
    pw_worker_far *f = &w->far;
    pawl_error err;
    int fd = -1;
    if (pw_mono_ms() < f->next_ms) {
        return;
    }
    pawl_status st = pw_dial_start(f->dialer, &f->dial, &fd, &err);
    st = st == PAWL_OK ? pw_client_over(fd, f->last_number, &w->client, &err) : st;
    f->heard_ms = pw_mono_ms();
    st = st == PAWL_OK ? say_hello(w, &err) : st;
    if (st != PAWL_OK) {
        pw_worker_say(w, "waiting: %s", err.message);
        disconnect(w);
        pause_next(w);
    }
}

static void keep_bounds(pw_worker *w, const pawl_value *v)
{
    pw_scope_reset(w->far.scope);
    w->far.bounds = (pw_token_grant){
        .queues = pawl_copy(w->far.scope, pawl_get(v, "queues")),
        .activities = pawl_copy(w->far.scope, pawl_get(v, "activities")),
    };
}

static void welcomed(pw_worker *w, const pawl_value *v)
{
    pw_worker_far *f = &w->far;
    bool resumed = pawl_bool(v, "resumed", false);
    if (f->session[0] != '\0' && !resumed) {
        give_up(w);
    }
    (void)snprintf(f->session, sizeof f->session, "%s", pawl_str(v, "session", ""));
    f->grace_ms = pawl_int(v, "grace_ms", 0);
    f->lost_ms = f->pause_ms = f->next_ms = 0;
    w->waiting_said = false;
    keep_bounds(w, v);
    pw_worker_say(w, resumed ? "connected again" : "connected");
    for (pw_attempt *a = w->attempts; a != NULL && pw_worker_ready(w); a = a->next) {
        if (!a->over) {
            pw_attempt_wait(w, a);
        }
    }
}

static void turned_away(pw_worker *w, pawl_status status, const char *message)
{
    if (!w->waiting_said) {
        pw_worker_say(w, "waiting: %s", message);
        w->waiting_said = true;
    }
    if (status == PAWL_DENIED) { /* what it had is nobody's any more */
        give_up(w);
    }
    pw_worker_lost(w);
}

bool pw_worker_link_reply(pw_worker *w, int64_t number, pawl_status status, const pawl_value *v,
                          const char *message)
{
    pw_worker_far *f = &w->far;
    f->heard_ms = pw_mono_ms();
    if (number > 0 && number == f->ping) {
        f->ping = 0;
        return true;
    }
    if (number <= 0 || number != f->hello) {
        return false;
    }
    if (status == PAWL_OK) {
        f->hello = 0;
        welcomed(w, v);
    } else {
        turned_away(w, status, message);
    }
    return true;
}

static void look_alive(pw_worker *w)
{
    pw_worker_far *f = &w->far;
    int64_t silent_ms = pw_mono_ms() - f->heard_ms;
    if (silent_ms > (f->hello != 0 ? HELLO_MS : SILENT_MS)) {
        pw_worker_lost(w);
    } else if (silent_ms > PING_MS && f->hello == 0 && f->ping == 0) {
        int64_t number = pw_worker_send(w, "hello", NULL);
        f->ping = number > 0 ? number : 0;
    }
}

void pw_worker_link_look(pw_worker *w)
{
    bool stopping = w->draining || w->hung;
    bool unsaid = pw_worker_away(w) && (w->attempts != NULL || w->unheard != NULL);
    if (w->client == NULL && (!stopping || unsaid)) {
        if (is_far(w)) {
            connect_far(w);
        } else {
            connect_here(w);
        }
    }
    if (is_far(w) && w->client != NULL) {
        look_alive(w);
    }
    bool late = w->far.lost_ms != 0 && pw_mono_ms() - w->far.lost_ms > w->far.grace_ms;
    if (late && pw_worker_away(w)) {
        pw_worker_say(w, "it was away for too long: what it had is tried again elsewhere");
        give_up(w);
    }
}
