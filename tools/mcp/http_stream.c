/*
 * http_stream.c - runs that are followed over HTTP, and who follows them.
 *
 *   hub: a run that is followed --> its attempts that run, each with the last it said (for who comes later)
 *                               `-> followers
 *
 * One watch of a run is enough for any number of followers: the engine says a thing once, it is made into text once, and copied here. The line
 * to the engine is not that of the MCP server, whose calls do not wait behind output. A follower that does not read loses pieces and is told
 * how many; one that has let too much pass is cut. Nothing is kept of a run that nobody follows.
 *
 * Does not number events for a client that reconnects: output is not kept anywhere, `at` says what was missed.
 */
#include "tools/mcp/http_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "tools/mcp/up.h"

#define FOLLOWERS_MAX 1000
#define UNREAD_BYTES_MAX (256u << 10) /* of one follower; more output is lost to it */
#define PASSED_BYTES_MAX (8u << 20)   /* lost while it read nothing, */
#define PASSED_MS 1000 /* for so long: it is cut. A burst alone is no fault of its client's */
#define TAIL_BYTES_MAX (64u << 10) /* of an attempt; text is longer than what the engine keeps */
#define HUB_BYTES_MAX (4u << 20)   /* of all attempts of a run */
#define EVENT_BYTES_MAX \
    (256u << 10) /* a piece is 16 KiB, of which JSON may make six times as much */

typedef struct piece {
    struct piece *next;
    size_t size;
    char text[];
} piece;

typedef struct attempt {
    struct attempt *next;
    int64_t command, index, number;
    piece *first, *last;
    size_t size;
} attempt;

typedef struct hub {
    struct hub *prev, *next;
    pw_streams *streams;
    char id[PW_ID_BYTES_MAX + 1];
    bool known; /* there is such a run */
    attempt *attempts;
    size_t size; /* of all their pieces */
    pw_follower *followers;
} hub;

struct pw_follower {
    pw_follower *prev, *next;
    hub *hub;
    const pw_follower_sink *sink;
    void *user;
    bool open;
    int64_t lost_pieces, lost_bytes;
    size_t passed;  /* lost since it last read something */
    uint64_t since; /* the first of it, by the loop's clock */
    size_t unread;  /* when it last lost something */
};

struct pw_streams {
    uv_loop_t *loop;
    char *journal;
    pw_up *up; /* NULL = nobody has followed yet */
    hub *hubs;
    size_t followers;
};

/* ---- the last that attempts said ---- */

static void trim(hub *h, attempt *a)
{
    piece *old = a->first;
    a->first = old->next;
    a->last = a->first != NULL ? a->last : NULL;
    a->size -= old->size;
    h->size -= old->size;
    pw_free(old);
}

static void attempt_free(hub *h, attempt *a)
{
    while (a->first != NULL) {
        trim(h, a);
    }
    pw_free(a);
}

static bool is_of(const attempt *a, const pawl_value *event)
{
    return a->command == pawl_int(event, "command", 0) &&
           a->index == pawl_int(event, "index", -1) && a->number == pawl_int(event, "attempt", 0);
}

/* Takes it out of the list; NULL = it has said nothing yet. */
static attempt *attempt_take(hub *h, const pawl_value *event)
{
    attempt **at = &h->attempts;
    while (*at != NULL && !is_of(*at, event)) {
        at = &(*at)->next;
    }
    attempt *a = *at;
    if (a != NULL) {
        *at = a->next;
    }
    return a;
}

static attempt *attempt_new(const pawl_value *event)
{
    attempt *a = pw_calloc(1, sizeof *a);
    if (a != NULL) {
        a->command = pawl_int(event, "command", 0);
        a->index = pawl_int(event, "index", -1);
        a->number = pawl_int(event, "attempt", 0);
    }
    return a;
}

/* Who spoke last stands first, where it is found at once. */
static void keep(hub *h, const pawl_value *event, const pw_buf *text)
{
    attempt *a = attempt_take(h, event);
    a = a != NULL ? a : attempt_new(event);
    piece *p = a != NULL ? pw_malloc(sizeof *p + text->size) : NULL;
    if (a == NULL) {
        return; /* who comes later sees by `at` that something was said before */
    }
    a->next = h->attempts;
    h->attempts = a;
    if (p == NULL) {
        return;
    }
    p->next = NULL;
    p->size = text->size;
    memcpy(p->text, text->data, text->size);
    *(a->last != NULL ? &a->last->next : &a->first) = p;
    a->last = p;
    a->size += p->size;
    h->size += p->size;
    while (a->first != NULL && (a->size > TAIL_BYTES_MAX || h->size > HUB_BYTES_MAX)) {
        trim(h, a);
    }
}

static void attempts_free(hub *h)
{
    for (attempt *a = h->attempts, *next = NULL; a != NULL; a = next) {
        next = a->next;
        attempt_free(h, a);
    }
    h->attempts = NULL;
}

/* ---- followers ---- */

static void unlink_follower(pw_follower *f)
{
    hub *h = f->hub;
    *(f->prev != NULL ? &f->prev->next : &h->followers) = f->next;
    if (f->next != NULL) {
        f->next->prev = f->prev;
    }
    h->streams->followers--;
    pw_free(f);
}

static void say_lost(pw_follower *f)
{
    char text[128];
    if (f->lost_pieces == 0) {
        return;
    }
    const int size = snprintf(
        text, sizeof text, "event: lost\ndata: {\"pieces\":%" PRId64 ",\"bytes\":%" PRId64 "}\n\n",
        f->lost_pieces, f->lost_bytes);
    f->lost_pieces = 0;
    f->lost_bytes = 0;
    f->sink->put(f->user, text, (size_t)size);
}

/* False: it was cut. */
static bool pass(pw_follower *f, size_t size, size_t said)
{
    f->lost_pieces++;
    f->lost_bytes += (int64_t)said;
    const size_t unread = f->sink->unread(f->user);
    const uint64_t now = uv_now(f->hub->streams->loop);
    if (f->passed == 0 || unread < f->unread) { /* a slow one reads, too */
        f->passed = 0;
        f->since = now;
    }
    f->passed += size;
    f->unread = unread;
    if (f->passed <= PASSED_BYTES_MAX || now - f->since < PASSED_MS) {
        return true;
    }
    f->sink->cut(f->user);
    unlink_follower(f);
    return false;
}

/* Output, of so many bytes. Once something is lost the rest is too, until there is room for half as much as there may be. False: it was cut. */
static bool give_output(pw_follower *f, const char *text, size_t size, size_t said)
{
    const size_t unread = f->sink->unread(f->user);
    const size_t room = f->lost_pieces > 0 ? UNREAD_BYTES_MAX / 2 : UNREAD_BYTES_MAX;
    if (unread + size > room) {
        return pass(f, size, said);
    }
    say_lost(f);
    f->passed = 0; /* there is room again: it reads */
    f->sink->put(f->user, text, size);
    return true;
}

/* What must not be missed: it has as much room again. False: it was cut. */
static bool give_fact(pw_follower *f, const char *text, size_t size)
{
    if (f->sink->unread(f->user) + size > 2 * UNREAD_BYTES_MAX) {
        return pass(f, size, 0);
    }
    say_lost(f);
    f->sink->put(f->user, text, size);
    return true;
}

static void open_follower(pw_follower *f)
{
    static const char hello[] = ": following\n\n";
    hub *h = f->hub;
    f->open = true;
    f->sink->put(f->user, hello, sizeof hello - 1);
    for (attempt *a = h->attempts; a != NULL; a = a->next) {
        for (piece *p = a->first; p != NULL; p = p->next) {
            if (f->sink->unread(f->user) + p->size <= UNREAD_BYTES_MAX) { /* else `at` tells */
                f->sink->put(f->user, p->text, p->size);
            }
        }
    }
}

static void give_fact_all(hub *h, const char *text, size_t size)
{
    for (pw_follower *f = h->followers, *next = NULL; f != NULL; f = next) {
        next = f->next;
        if (f->open) {
            (void)give_fact(f, text, size);
        }
    }
}

/* ---- hubs ---- */

static hub *hub_find(pw_streams *s, const char *id)
{
    hub *h = s->hubs;
    while (h != NULL && strcmp(h->id, id) != 0) {
        h = h->next;
    }
    return h;
}

static void hub_free(hub *h)
{
    pw_streams *s = h->streams;
    pw_up_forget(s->up, h);
    attempts_free(h);
    *(h->prev != NULL ? &h->prev->next : &s->hubs) = h->next;
    if (h->next != NULL) {
        h->next->prev = h->prev;
    }
    pw_free(h);
}

/* Ends every follower, and the hub. */
static void end_all(hub *h, int status, const char *text)
{
    while (h->followers != NULL) {
        pw_follower *f = h->followers;
        f->sink->end(f->user, status, text);
        unlink_follower(f);
    }
    hub_free(h);
}

static void close_all(hub *h, const char *status)
{
    char text[128];
    const int size =
        snprintf(text, sizeof text, "event: closed\ndata: {\"status\":\"%s\"}\n\n", status);
    for (pw_follower *f = h->followers; f != NULL; f = f->next) {
        say_lost(f);
        f->sink->put(f->user, text, (size_t)size);
    }
    end_all(h, 200, NULL);
}

static void on_run(void *user, pawl_status status, const pawl_value *run, const char *why)
{
    hub *h = user;
    if (status != PAWL_OK) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *said = pawl_build(scope, "{error: %s}", why);
        const char *text = pawl_to_json(scope, said, 0);
        end_all(h, status == PAWL_NOTFOUND ? 404 : 503, text != NULL ? text : "{}");
        pawl_scope_free(scope);
        return;
    }
    h->known = true;
    for (pw_follower *f = h->followers; f != NULL; f = f->next) {
        if (!f->open) {
            open_follower(f);
        }
    }
    if (pawl_int(run, "closed_ms", 0) != 0) {
        close_all(h, pawl_str(run, "status", "closed"));
    }
}

static void on_watched(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    hub *h = user;
    pawl_scope *scope = pawl_scope_new();
    (void)status;
    (void)reply;
    (void)why;
    pw_up_ask(h->streams->up, "describe",
              scope != NULL ? pawl_build(scope, "{id: %s}", h->id) : NULL, on_run,
              h); /* without memory it is told so, from the loop */
    pawl_scope_free(scope);
}

/* Reads are answered beside the engine's thread and may be older than the watch; an operation of the engine's own comes behind it. */
static void look(hub *h)
{
    pw_up_ask(h->streams->up, "stats", &pw_up_none, on_watched, h);
}

static void on_event(void *user, pawl_status status, const pawl_value *event, const char *why);

/* The run is looked at after the watch began: its end is either seen here or there. */
static void watch(hub *h)
{
    pawl_scope *scope = pawl_scope_new();
    pw_up_watch(h->streams->up,
                scope != NULL ? pawl_build(scope, "{id: %s, output: true}", h->id) : NULL, on_event,
                h);
    pawl_scope_free(scope);
    look(h);
}

/* ---- what the engine says ---- */

static const pawl_value *with_source(pawl_scope *scope, const pawl_value *event)
{
    static const char *const keys[] = {"command", "index", "attempt", "activity"};
    const pawl_value *v = NULL;
    for (size_t i = 0; i < PW_COUNT(keys); i++) {
        const pawl_value *given = pawl_get(event, keys[i]);
        v = given != NULL ? pawl_with(scope, v, keys[i], given) : v;
    }
    return v;
}

/* {"$bytes":"BASE64"} is how JSON has bytes here: the inner text. */
static const pawl_value *base64_of(pawl_scope *scope, const pawl_value *bytes)
{
    static const char before[] = "{\"$bytes\":\"";
    static const char after[] = "\"}";
    const size_t around = sizeof before - 1 + sizeof after - 1;
    const char *json = pawl_to_json(scope, bytes, 0);
    const size_t size = json != NULL ? strlen(json) : 0;
    return size >= around ? pawl_make_strn(scope, json + sizeof before - 1, size - around) : NULL;
}

static void put_event(pw_buf *out, pawl_scope *scope, const char *name, const pawl_value *v)
{
    const char *json = pawl_to_json(scope, v, 0);
    pw_buf_printf(out, "event: %s\ndata: ", name);
    pw_buf_puts(out, json != NULL ? json : "{}");
    pw_buf_puts(out, "\n\n");
}

static void on_output(hub *h, pawl_scope *scope, const pawl_value *event)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pawl_value *data = pawl_get(event, "data");
    const bool bytes = pawl_typeof(data) == PAWL_BYTES;
    const pawl_value *v = with_source(scope, event);
    size_t said = 0;
    (void)pawl_data(event, "data", &said);
    v = pawl_with(scope, v, "channel", pawl_get(event, "channel"));
    v = pawl_with(scope, v, "at", pawl_get(event, "at"));
    v = pawl_with(scope, v, bytes ? "bytes" : "text", bytes ? base64_of(scope, data) : data);
    pw_buf_init(&text, EVENT_BYTES_MAX);
    put_event(&text, scope, "output", v);
    if (pw_scope_failed(scope) || !pw_buf_ok(&text)) {
        return; /* no memory: `at` tells */
    }
    keep(h, event, &text);
    for (pw_follower *f = h->followers, *next = NULL; f != NULL; f = next) {
        next = f->next;
        if (f->open) {
            (void)give_output(f, (const char *)text.data, text.size, said);
        }
    }
}

static void on_ended(hub *h, pawl_scope *scope, const pawl_value *event)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pawl_value *v =
        pawl_with(scope, with_source(scope, event), "stands", pawl_get(event, "stands"));
    attempt *a = attempt_take(h, event);
    if (a != NULL) {
        attempt_free(h, a);
    }
    pw_buf_init(&text, EVENT_BYTES_MAX);
    put_event(&text, scope, "ended", v);
    if (!pw_scope_failed(scope) && pw_buf_ok(&text)) {
        give_fact_all(h, (const char *)text.data, text.size);
    }
}

static void on_event(void *user, pawl_status status, const pawl_value *event, const char *why)
{
    hub *h = user;
    const char *type = pawl_str(event, "type", "");
    if (status != PAWL_OK) {
        on_run(h, status, NULL, why); /* the watch is over, and with it what can be said */
        return;
    }
    pawl_scope *scope = pawl_scope_new();
    if (scope == NULL) {
        return;
    }
    if (strcmp(type, "Output") == 0) {
        on_output(h, scope, event);
    } else if (strcmp(type, "OutputEnded") == 0) {
        on_ended(h, scope, event);
    } else if (strncmp(type, "Run", 3) == 0) {
        look(h); /* it may have closed; how, and whether it goes on under its id, the run says */
    }
    pawl_scope_free(scope);
    if (h->followers == NULL) { /* the last one was cut */
        hub_free(h);
    }
}

/* The line broke: what was said meanwhile is not known, the watch begins with the last of it again, and the run may have closed. */
static void on_back(void *user)
{
    static const char again[] = "event: lost\ndata: {\"again\":true}\n\n";
    pw_streams *s = user;
    for (hub *h = s->hubs, *next = NULL; h != NULL; h = next) {
        next = h->next;
        attempts_free(h);
        give_fact_all(h, again, sizeof again - 1);
        pw_up_forget(s->up, h);
        if (h->followers == NULL) {
            hub_free(h);
        } else {
            watch(h);
        }
    }
}

/* ---- life ---- */

pw_streams *pw_streams_open(uv_loop_t *loop, const char *journal)
{
    pw_streams *s = pw_calloc(1, sizeof *s);
    const size_t size = strlen(journal) + 1;
    char *path = pw_malloc(size);
    if (s == NULL || path == NULL) {
        pw_free(s);
        pw_free(path);
        return NULL;
    }
    memcpy(path, journal, size);
    *s = (pw_streams){.loop = loop, .journal = path};
    return s;
}

void pw_streams_close(pw_streams *s)
{
    if (s == NULL) {
        return;
    }
    while (s->hubs != NULL) {
        end_all(s->hubs, 503, "{}");
    }
    pw_up_close(s->up);
    pw_free(s->journal);
    pw_free(s);
}

bool pw_streams_path(const char *path, char *ret_id, size_t size)
{
    static const char before[] = "/runs/";
    static const char after[] = "/stream";
    const size_t len = strlen(path);
    const size_t around = sizeof before - 1 + sizeof after - 1;
    if (len <= around || strncmp(path, before, sizeof before - 1) != 0 ||
        strcmp(path + len - (sizeof after - 1), after) != 0) {
        return false;
    }
    const size_t id_len = len - around;
    ret_id[0] = '\0';
    if (id_len < size) {
        memcpy(ret_id, path + sizeof before - 1, id_len);
        ret_id[id_len] = '\0';
    }
    return true;
}

static hub *hub_new(pw_streams *s, const char *id)
{
    const pw_up_hooks hooks = {.user = s, .back = on_back};
    s->up = s->up != NULL ? s->up : pw_up_open(s->loop, s->journal, &hooks);
    hub *h = s->up != NULL ? pw_calloc(1, sizeof *h) : NULL;
    if (h == NULL) {
        return NULL;
    }
    h->streams = s;
    (void)snprintf(h->id, sizeof h->id, "%s", id);
    h->next = s->hubs;
    if (h->next != NULL) {
        h->next->prev = h;
    }
    s->hubs = h;
    watch(h);
    return h;
}

pw_follower *pw_streams_follow(pw_streams *s, const char *id, const pw_follower_sink *sink,
                               void *user)
{
    pw_follower *f = s->followers < FOLLOWERS_MAX ? pw_calloc(1, sizeof *f) : NULL;
    hub *h = f != NULL ? hub_find(s, id) : NULL;
    h = f == NULL || h != NULL ? h : hub_new(s, id);
    if (h == NULL) {
        pw_free(f);
        return NULL;
    }
    *f = (pw_follower){.hub = h, .sink = sink, .user = user, .next = h->followers};
    if (f->next != NULL) {
        f->next->prev = f;
    }
    h->followers = f;
    s->followers++;
    if (h->known) {
        open_follower(f);
    }
    return f;
}

void pw_follower_drop(pw_follower *f)
{
    if (f == NULL) {
        return;
    }
    hub *h = f->hub;
    unlink_follower(f);
    if (h->followers == NULL) {
        hub_free(h);
    }
}

void pw_follower_drained(pw_follower *f)
{
    if (f != NULL) {
        f->passed = 0;
        say_lost(f);
    }
}
