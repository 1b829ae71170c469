/*
 * up.c - requests to the engine that are kept until they are answered, over a tools/client.h that is opened anew whenever it breaks.
 *
 * Reading never blocks; writing may, for as long as the engine's I/O thread needs to take a request, which is not long. Does not know what any
 * request means, but that a write needs a dedup key.
 */
#include "tools/mcp/up.h"

#include "engine/hash.h"
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "engine/request.h"
#include "sdk/base/arena.h"
#include "sdk/base/hash.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"
#include "tools/client.h"

#define TRY_AGAIN_MS 100
#define TRY_SOON_MS \
    4 /* while an engine may be on its way: it needs some 10 ms to take its journal */
#define TRY_SOON_TIMES 100
#define READY_AGAIN_MS 5
#define TAKE_MAX \
    256 /* answers in one go: the loop has others to serve, however fast the engine talks */
#define READY_MS 5000 /* an engine whose host does not let runs go on is asked all the same */
#define SPARE 256     /* requests that found no memory and are not told so yet */

/** One request that is not answered yet, or is answered many times. */
struct asked {
    struct asked *prev, *next;
    const void *user; /* NULL = forgotten: only what is to be written is still sent again */
    pw_up_fn fn;
    pw_up_fn began; /* of a start that follows its run: takes the first answer; then NULL */
    const char *op;
    const pawl_value *args;
    pawl_scope *scope;
    int64_t number; /* on the connection there is; 0 = not sent */
    bool many;
    bool write;
    UT_hash_handle hh; /* by number, once it is sent */
    bool spare;        /* one of up->spare */
    UT_hash_handle hu; /* by user, until it is forgotten */
    pawl_status
        refused; /* no request that an engine takes, or no memory: it is not sent, and told so from the loop */
};

struct pw_up {
    uv_loop_t *loop;
    char *path;
    pw_up_hooks hooks;
    pw_client *client;
    uv_poll_t *poll;     /* freed by its close callback, as the timer */
    uv_timer_t *timer;   /* the next try, or what waits to be said from the loop */
    uv_prepare_t *flush; /* sends what was asked in this round of the loop */
    struct asked *first, *last;
    struct asked *sent;  /* table by number */
    struct asked *users; /* table by user: several of one are found one after the other */
    size_t unlisted;     /* that are in the list only: a table had no memory for them */
    struct asked *at;    /* being answered: may be forgotten meanwhile */
    int64_t probe;  /* the request that finds out whether the engine is ready; 0 = none is out */
    uint64_t since; /* connected */
    int tries;      /* to connect, since it was connected; no further than TRY_SOON_TIMES */
    bool ready;
    atomic_bool connected;
    struct asked spare[SPARE]; /* fn NULL = free */
};

static void free_handle(uv_handle_t *h)
{
    pw_free(h);
}

/* Without memory a table leaves it out: then the list is gone through for it. */
static void set_number(pw_up *up, struct asked *a, int64_t number)
{
    if (a->hh.tbl != NULL) {
        HASH_DEL(up->sent, a);
    }
    up->unlisted -= a->number != 0 && a->hh.tbl == NULL;
    a->hh.tbl = NULL;
    a->number = number;
    if (number != 0) {
        HASH_ADD(hh, up->sent, number, sizeof a->number, a);
        up->unlisted += a->hh.tbl == NULL;
    }
}

static void set_user(pw_up *up, struct asked *a, const void *user)
{
    if (a->hu.tbl != NULL) {
        HASH_DELETE(hu, up->users, a);
    }
    up->unlisted -= a->user != NULL && a->hu.tbl == NULL;
    a->hu.tbl = NULL;
    a->user = user;
    if (user != NULL) {
        HASH_ADD(hu, up->users, user, sizeof a->user, a);
        up->unlisted += a->hu.tbl == NULL;
    }
}

static void drop(pw_up *up, struct asked *a)
{
    set_number(up, a, 0);
    set_user(up, a, NULL);
    *(a->prev != NULL ? &a->prev->next : &up->first) = a->next;
    *(a->next != NULL ? &a->next->prev : &up->last) = a->prev;
    if (up->at == a) {
        up->at = NULL;
    }
    pawl_scope_free(a->scope);
    if (a->spare) {
        *a = (struct asked){.fn = NULL};
    } else {
        pw_free(a);
    }
}

static void on_timer(uv_timer_t *timer);

static void disconnect(pw_up *up)
{
    if (up->poll != NULL) {
        uv_poll_stop(up->poll);
        uv_close((uv_handle_t *)up->poll, free_handle);
        up->poll = NULL;
    }
    pw_client_close(up->client);
    up->client = NULL;
    atomic_store(&up->connected, false);
    up->ready = false;
    up->probe = 0;
    for (struct asked *a = up->first; a != NULL; a = a->next) {
        set_number(up, a, 0);
    }
    uv_prepare_stop(up->flush);
    const bool soon = up->tries < TRY_SOON_TIMES;
    up->tries += soon;
    uv_timer_start(up->timer, on_timer, soon ? TRY_SOON_MS : TRY_AGAIN_MS, 0);
}

static void on_flush(uv_prepare_t *flush)
{
    pw_up *up = flush->data;
    pawl_error err;
    uv_prepare_stop(flush);
    if (up->client != NULL && pw_client_flush(up->client, &err) != PAWL_OK) {
        disconnect(up);
    }
}

/* Before the loop sleeps, together with what else is asked until then. */
static bool send_one(pw_up *up, struct asked *a)
{
    pawl_error err;
    int64_t number = 0;
    pawl_status status = pw_client_queue(up->client, a->op, a->args, &number, &err);
    if (status == PAWL_LIMIT || status == PAWL_PARSE) {
        a->refused = status;
        uv_timer_start(up->timer, on_timer, 0, 0);
        return true;
    }
    if (status != PAWL_OK) {
        return false;
    }
    set_number(up, a, number);
    uv_prepare_start(up->flush, on_flush);
    return true;
}

static void end_watch(pw_up *up, int64_t number)
{
    pawl_scope *scope = pawl_scope_new();
    pawl_error err;
    int64_t ours = 0;
    if (scope != NULL && up->client != NULL) {
        (void)pw_client_queue(up->client, "unwatch",
                              pawl_build(scope, "{request: %lld}", (long long)number), &ours, &err);
        uv_prepare_start(up->flush, on_flush);
    }
    pawl_scope_free(scope);
}

/* A start is answered: its run has ended, or this request has become a watch of it, also for the next engine. */
static void begin_following(struct asked *a, const pawl_value *reply)
{
    a->write = false;
    a->many = pawl_bool(reply, "following", false);
    if (a->many) {
        a->op = "watch";
        a->args =
            pawl_build(a->scope, "{id: %s, output: true, tail: false}", pawl_str(reply, "id", ""));
    }
}

static void answer(pw_up *up, struct asked *a, pawl_status status, const pawl_value *reply,
                   const char *why)
{
    pw_up_fn fn = a->began != NULL ? a->began : a->fn;
    up->at = a;
    if (a->began != NULL && status == PAWL_OK) {
        begin_following(a, reply);
    }
    a->began = NULL;
    if (a->user != NULL) {
        fn((void *)(uintptr_t)a->user, status, reply, why);
    } else if (a->many && status == PAWL_OK) {
        end_watch(up, a->number); /* of a start whose client has gone meanwhile */
        a->many = false;
    }
    if (up->at == a && !(a->many && status == PAWL_OK)) {
        drop(up, a);
    }
    up->at = NULL;
}

static struct asked *find(pw_up *up, int64_t number)
{
    struct asked *a = NULL;
    HASH_FIND(hh, up->sent, &number, sizeof number, a);
    if (a == NULL && number != 0 && up->unlisted > 0) {
        for (a = up->first; a != NULL && a->number != number;) {
            a = a->next;
        }
    }
    return a;
}

static void send_all(pw_up *up)
{
    for (struct asked *a = up->first; a != NULL && up->client != NULL; a = a->next) {
        if (a->number == 0 && a->refused == PAWL_OK && !send_one(up, a)) {
            disconnect(up);
        }
    }
}

static struct asked *first_refused(pw_up *up)
{
    struct asked *a = up->first;
    while (a != NULL && a->refused == PAWL_OK) {
        a = a->next;
    }
    return a;
}

static void answer_refused(pw_up *up)
{
    for (struct asked *a = first_refused(up); a != NULL; a = first_refused(up)) {
        a->many = false;
        answer(up, a, a->refused, NULL,
               a->refused == PAWL_NOMEM ? "out of memory"
                                        : "a request that is nested too deep or too large");
    }
}

/* [T10] An engine is reached as soon as it owns the journal, before its host has registered all its code: it is asked nothing else until it is ready. */
static void send_probe(pw_up *up)
{
    pawl_error err;
    if (pw_client_send(up->client, "tools", NULL, &up->probe, &err) != PAWL_OK) {
        disconnect(up);
    }
}

static void take_probe(pw_up *up, pawl_status status, const pawl_value *reply)
{
    up->probe = 0;
    up->ready = status != PAWL_OK || pawl_bool(reply, "ready", true) ||
                uv_now(up->loop) - up->since > READY_MS;
    if (!up->ready) {
        uv_timer_start(up->timer, on_timer, READY_AGAIN_MS, 0);
        return;
    }
    send_all(up); /* first: what is asked now must be behind the watches that were there before */
    if (up->ready && up->hooks.back != NULL) {
        up->hooks.back(up->hooks.user);
    }
}

/* True: there may be more. */
static bool take_one(pw_up *up)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *reply = NULL;
    pawl_error err = {0};
    if (scope == NULL) { /* what was read already no poll tells of */
        uv_timer_start(up->timer, on_timer, READY_AGAIN_MS, 0);
        return false;
    }
    pawl_status status = pw_client_next(up->client, 0, 0, scope, &reply, &err);
    int64_t number = pw_client_taken(up->client);
    struct asked *a = number > 0 && number != up->probe ? find(up, number) : NULL;
    if (number > 0 && number == up->probe) {
        take_probe(up, status, reply);
    } else if (a != NULL && (status == PAWL_SHUTDOWN || status == PAWL_BUSY)) {
        set_number(up, a, 0); /* the engine is going: the next one is asked */
    } else if (a != NULL) {
        answer(up, a, status, reply, status == PAWL_OK ? "" : err.message);
    }
    pawl_scope_free(scope);
    if (number >= 0 && number != 0) {
        return true;
    }
    if (status != PAWL_TIMEOUT && status != PAWL_OK) {
        disconnect(up);
    }
    return false;
}

static void take_some(pw_up *up)
{
    int taken = 0;
    while (up->client != NULL && take_one(up)) {
        if (up->ready && ++taken == TAKE_MAX) {
            uv_timer_start(up->timer, on_timer, 0, 0); /* some may be read already: no poll tells */
            return;
        }
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    take_some(poll->data);
}

static bool watch_socket(pw_up *up)
{
    uv_poll_t *poll = pw_calloc(1, sizeof *poll);
    if (poll == NULL || uv_poll_init(up->loop, poll, pw_client_fd(up->client)) != 0) {
        pw_free(poll);
        return false;
    }
    poll->data = up;
    up->poll = poll;
    return uv_poll_start(poll, UV_READABLE | UV_DISCONNECT, on_readable) == 0;
}

static void connect_now(pw_up *up)
{
    pawl_error err;
    pawl_status status = pw_client_open(up->path, 0, &up->client, &err);
    if (status != PAWL_OK || !pw_client_is_live(up->client)) {
        bool none = status == PAWL_OK || status == PAWL_NOTFOUND;
        disconnect(up);
        if (none && up->hooks.no_owner != NULL) {
            up->hooks.no_owner(up->hooks.user);
        }
        return;
    }
    if (!watch_socket(up)) {
        disconnect(up);
        return;
    }
    up->since = uv_now(up->loop);
    up->tries = 0;
    atomic_store(&up->connected, true);
}

static void on_timer(uv_timer_t *timer)
{
    pw_up *up = timer->data;
    answer_refused(up);
    if (up->client == NULL) {
        connect_now(up);
    }
    if (up->client != NULL && !up->ready) {
        send_probe(up);
    } else if (up->client != NULL) {
        take_some(up);
    }
}

pw_up *pw_up_open(uv_loop_t *loop, const char *journal_path, const pw_up_hooks *hooks)
{
    pw_up *up = pw_calloc(1, sizeof *up);
    size_t size = strlen(journal_path) + 1;
    char *path = pw_malloc(size);
    uv_timer_t *timer = pw_calloc(1, sizeof *timer);
    uv_prepare_t *flush = pw_calloc(1, sizeof *flush);
    if (up == NULL || path == NULL || timer == NULL || flush == NULL) {
        pw_free(up);
        pw_free(path);
        pw_free(timer);
        pw_free(flush);
        return NULL;
    }
    memcpy(path, journal_path, size);
    *up = (pw_up){.loop = loop, .path = path, .hooks = *hooks, .timer = timer, .flush = flush};
    (void)uv_timer_init(loop, timer);
    (void)uv_prepare_init(loop, flush);
    timer->data = up;
    flush->data = up;
    uv_timer_start(timer, on_timer, 0, 0);
    return up;
}

void pw_up_close(pw_up *up)
{
    if (up == NULL) {
        return;
    }
    disconnect(up);
    uv_timer_stop(up->timer);
    uv_close((uv_handle_t *)up->timer, free_handle);
    uv_close((uv_handle_t *)up->flush, free_handle);
    while (up->first != NULL) {
        drop(up, up->first);
    }
    pw_free(up->path);
    pw_free(up);
}

bool pw_up_is_live(const pw_up *up)
{
    return up->ready;
}

bool pw_up_is_connected(const pw_up *up)
{
    return atomic_load(&up->connected);
}

/* ---- asking ---- */

static const pawl_value *with_dedup(pawl_scope *scope, const pawl_value *args)
{
    struct timespec now;
    uint8_t random[10];
    char text[37];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    pw_random(random, sizeof random);
    pw_uuid7(text, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, random);
    return pawl_with(scope, args, "dedup", pawl_make_str(scope, text));
}

static void append(pw_up *up, struct asked *a)
{
    a->prev = up->last;
    *(up->last != NULL ? &up->last->next : &up->first) = a;
    up->last = a;
}

static const uint8_t empty_map = 0x80;
const pawl_value pw_up_none = {.data = &empty_map, .size = 1};

/* Its arguments, as they are sent. False: no memory. */
static bool fill(struct asked *a, const pawl_value *args)
{
    pw_req_op op = pw_req_from_name((pw_view){(const uint8_t *)a->op, strlen(a->op)});
    a->scope = pawl_scope_new();
    if (a->scope == NULL || args == NULL || (args->scope != NULL && pw_scope_failed(args->scope))) {
        return false; /* what the caller built is not what it meant */
    }
    a->args = pawl_copy(a->scope, args);
    a->write = op != PW_REQ_NONE && pw_req_kind(op) == PW_REQ_WRITE;
    if (a->write && a->began == NULL && pawl_get(a->args, "dedup") == NULL) {
        a->args = with_dedup(a->scope, a->args);
    }
    return !pw_scope_failed(a->scope);
}

static struct asked *take_spare(pw_up *up)
{
    for (size_t i = 0; i < SPARE; i++) {
        if (up->spare[i].fn == NULL) {
            return &up->spare[i];
        }
    }
    return NULL;
}

/* Without memory it is kept in a place that is there already, until the loop tells. When those are used up too it is not told: whoever waits
 * for it is let go by its bound, or by its client. */
static void ask(pw_up *up, const struct asked *given, const pawl_value *args)
{
    struct asked *mine = pw_calloc(1, sizeof *mine);
    struct asked *a = mine != NULL ? mine : take_spare(up);
    if (a == NULL) {
        return;
    }
    *a = *given;
    a->spare = mine == NULL;
    a->user = NULL;
    set_user(up, a, given->user);
    append(up, a);
    a->refused = !a->spare && fill(a, args) ? PAWL_OK : PAWL_NOMEM;
    if (a->refused != PAWL_OK) {
        uv_timer_start(up->timer, on_timer, 0, 0);
    } else if (up->ready && !send_one(up, a)) {
        disconnect(up);
    }
}

void pw_up_ask(pw_up *up, const char *op, const pawl_value *args, pw_up_fn fn, void *user)
{
    ask(up, &(struct asked){.op = op, .fn = fn, .user = user}, args);
}

void pw_up_watch(pw_up *up, const pawl_value *args, pw_up_fn fn, void *user)
{
    ask(up, &(struct asked){.op = "watch", .fn = fn, .user = user, .many = true}, args);
}

void pw_up_follow(pw_up *up, const pawl_value *args, pw_up_fn began, pw_up_fn fn, void *user)
{
    ask(up, &(struct asked){.op = "start", .began = began, .fn = fn, .user = user}, args);
}

static struct asked *first_of(pw_up *up, const void *user)
{
    struct asked *a = NULL;
    HASH_FIND(hu, up->users, &user, sizeof user, a);
    if (a == NULL && up->unlisted > 0) {
        for (a = up->first; a != NULL && a->user != user;) {
            a = a->next;
        }
    }
    return a;
}

void pw_up_forget(pw_up *up, const void *user)
{
    for (struct asked *a = first_of(up, user); a != NULL; a = first_of(up, user)) {
        set_user(up, a, NULL);
        if (a->many && a->number > 0 && up->ready) {
            end_watch(up, a->number);
        }
        if (!a->write) {
            drop(up, a);
        }
    }
}
