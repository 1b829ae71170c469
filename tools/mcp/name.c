/*
 * name.c - the ids of runs that calls begin, which say without any table whose a run is and which call it answers.
 *
 *   WORKFLOW-TIME-CALL-RANDOM-OWNER   CALL: a keyed digest of principal, tool and arguments    OWNER: one of the rest and whose it is
 *   WORKFLOW-KEY--OWNER               KEY:  a keyed digest of principal, tool and idempotency key
 *
 * TIME comes first and grows: calls that come together stand together in the journal's index of ids. Digests there would make every call write,
 * and every look for it read, a page of its own.
 *
 * [T8] So an id cannot be guessed; one of another principal is known for what it is; a call that is made again under its key finds its run by
 * starting it; and one without a key finds the run of the identical call whose answer was lost:
 *   - this process knows which answers it could not deliver;
 *   - of what a process before it did, an answer was surely not delivered when the run was still open, and counts as lost when the run closed
 *     within LATE_MS before we began, for it is better to give an old answer once than to do a thing twice.
 * Each is attached to once, within ten minutes, and not at all when the tool says "repeat". Does not start or follow runs (call.c).
 */
#include <stdio.h>
#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/inside.h"

#define AGAIN_MS INT64_C(600000)
#define LATE_MS 10000
#define TAG_BYTES 6
#define CALL_LEN 22
#define TIME_LEN 9         /* of 45 bits: a thousand years */
#define NOBODYS "anyone--" /* a tag that no owner's is, but for one chance in 2^48 */
#define NEWEST 500         /* runs that are looked at for lost calls, all at once */

/* Whose runs they are: the principal's own, or those of its workspace. */
static const char *owner_of(const pw_mcpd_x *x)
{
    return x->who != NULL ? x->who->owner : x->principal;
}

/* NULL: no memory, and the scope says so. What a digest without memory gives is nobody's tag. */
static const char *tag_of(pw_mcpd *s, pawl_scope *scope, const char *owner, const char *head,
                          size_t head_size)
{
    if (owner[0] == '\0') {
        return NOBODYS; /* whoever reaches us owns all: nothing is proved by it */
    }
    const pawl_value *v = pawl_build(scope, "[\"owner\", %s, %p]", owner,
                                     pawl_v(pawl_make_strn(scope, head, head_size)));
    const char *digest = pw_mcpd_digest(s, scope, v);
    return pw_scope_failed(scope) ? NULL : pw_strndup(scope, digest, 8);
}

/* Milliseconds as nine digits that sort as they do. */
static void put_time(char ret[TIME_LEN + 1], int64_t ms)
{
    for (int i = TIME_LEN - 1; i >= 0; i--, ms >>= 5) {
        ret[i] = "0123456789abcdefghijklmnopqrstuv"[ms & 31];
    }
    ret[TIME_LEN] = '\0';
}

/* What times from then to then begin with: a list reads no other ids of the workflow. */
static void put_times(char ret[TIME_LEN + 1], int64_t from_ms, int64_t to_ms)
{
    char last[TIME_LEN + 1];
    size_t same = 0;
    put_time(ret, from_ms);
    put_time(last, to_ms);
    while (ret[same] != '\0' && ret[same] == last[same]) {
        same++;
    }
    ret[same] = '\0';
}

/* time: "" or TIME with its dash. */
static void put_id(pw_mcpd_x *x, const char *workflow, const char *time, const char *call,
                   const char *random)
{
    pw_mcpd_run *r = &x->run;
    const int n = snprintf(r->id, sizeof r->id, "%.100s-%s%s-%s", workflow, time, call, random);
    const char *tag = tag_of(x->server, x->scope, owner_of(x), r->id, (size_t)n);
    (void)snprintf(r->id + n, sizeof r->id - (size_t)n, "-%s", tag != NULL ? tag : NOBODYS);
}

/* From a store that is filled now and then: the system is asked once for many calls. */
static void take_random(pw_mcpd *s, uint8_t ret[TAG_BYTES])
{
    if (s->random_left < TAG_BYTES) {
        pw_random(s->random, sizeof s->random);
        s->random_left = sizeof s->random;
    }
    s->random_left -= TAG_BYTES;
    memcpy(ret, s->random + s->random_left, TAG_BYTES);
}

void pw_mcpd_name_run(pw_mcpd_x *x, const char *workflow, const pawl_value *input)
{
    uint8_t random[TAG_BYTES];
    const char *key =
        pawl_str(pw_mcpd_key(pawl_get(x->params, "_meta"), PW_MCPD_IDEMPOTENCY), "", x->run.key);
    const pawl_value *call =
        key != NULL
            ? pawl_build(x->scope, "[\"key\", %s, %s, %s]", x->principal, workflow, key)
            : pawl_build(x->scope, "[\"call\", %s, %s, %p]", x->principal, workflow, pawl_v(input));
    take_random(x->server, random);
    x->run.keyed = key != NULL;
    x->run.call = pw_mcpd_digest(x->server, x->scope, call);
    if (key != NULL) {
        put_id(x, workflow, "", x->run.call, "");
        return;
    }
    char time[TIME_LEN + 2];
    put_time(time, pw_mcpd_now_ms());
    (void)memcpy(time + TIME_LEN, "-", 2);
    put_id(x, workflow, time, x->run.call, pw_mcpd_base64(x->scope, random, sizeof random));
}

static bool has_tag(pw_mcpd *s, const char *owner, const char *id, size_t size)
{
    pawl_scope *scope = size > 9 && id[size - 9] == '-' ? pawl_scope_new() : NULL;
    const char *tag = scope != NULL ? tag_of(s, scope, owner, id, size - 9) : NULL;
    const bool has = tag != NULL && strlen(tag) == 8 && memcmp(id + size - 8, tag, 8) == 0;
    pawl_scope_free(scope);
    return has;
}

/* A child that was given no id is called after its parent: "a/7", and so it is its parent's owner's. */
bool pw_mcpd_owner_has(pw_mcpd *s, const char *owner, const char *run_id)
{
    bool has = owner[0] == '\0' || has_tag(s, owner, run_id, strlen(run_id));
    for (const char *at = strchr(run_id, '/'); !has && at != NULL; at = strchr(at + 1, '/')) {
        has = has_tag(s, owner, run_id, (size_t)(at - run_id));
    }
    return has;
}

bool pw_mcpd_owns(pw_mcpd_x *x, const char *run_id)
{
    return pw_mcpd_owner_has(x->server, owner_of(x), run_id);
}

bool pw_mcpd_began(pw_mcpd_x *x, const char *run_id)
{
    return has_tag(x->server, owner_of(x), run_id, strlen(run_id));
}

/* ---- calls whose answers were lost ---- */

static pw_mcpd_lost *slot_of(pw_mcpd *s, const char *call)
{
    pw_mcpd_lost *l = NULL;
    HASH_FIND_STR(s->lost_by_call, call, l);
    return l;
}

static pw_mcpd_lost *keep(pw_mcpd *s, const char *call)
{
    pw_mcpd_lost *l = slot_of(s, call);
    if (l == NULL) {
        l = &s->lost[s->lost_next++ % PW_MCPD_LOST_MAX];
        if (l->hh.tbl != NULL) {
            HASH_DEL(s->lost_by_call, l);
        }
        *l = (pw_mcpd_lost){.at_ms = 0};
        (void)snprintf(l->call, sizeof l->call, "%s", call);
        HASH_ADD_STR(s->lost_by_call, call,
                     l); /* without memory it is not found: as if it had been long ago */
    }
    l->at_ms = pw_mcpd_now_ms();
    l->run[0] = '\0';
    return l;
}

/* The CALL of an id; "" when it has none. */
static void call_of(const char *run_id, char ret[CALL_LEN + 1])
{
    const size_t tail = CALL_LEN + 1 + 8 + 1 + 8;
    const size_t size = strlen(run_id);
    const char *at = size > tail ? run_id + size - tail : NULL;
    ret[0] = '\0';
    if (at != NULL && at[-1] == '-' && at[CALL_LEN] == '-' && at[CALL_LEN + 9] == '-') {
        memcpy(ret, at, CALL_LEN);
        ret[CALL_LEN] = '\0';
    }
}

const char *pw_mcpd_answers(pw_mcpd_x *x)
{
    const bool own = x->run.call != NULL || (x->run.started && pw_mcpd_began(x, x->run.id));
    return own ? x->run.id : ""; /* who watches a run of another loses no answer of theirs */
}

void pw_mcpd_lose(pw_mcpd *s, const char *run_id)
{
    char call[CALL_LEN + 1];
    call_of(run_id, call);
    if (call[0] != '\0') {
        (void)snprintf(keep(s, call)->run, sizeof s->lost[0].run, "%s", run_id);
    }
}

void pw_mcpd_delivered(pw_mcpd_x *x)
{
    char call[CALL_LEN + 1];
    call_of(x->run.id, call);
    pw_mcpd_lost *l = call[0] != '\0' ? slot_of(x->server, call) : NULL;
    if (l != NULL) {
        l->run[0] = '\0';
    } else if (call[0] != '\0' && x->run.taken_up) {
        (void)keep(x->server, call);
    }
}

/* ---- calls under way ---- */

static void begin(pw_mcpd_x *x)
{
    pw_mcpd *s = x->server;
    pw_mcpd_x *first = NULL;
    HASH_FIND_STR(s->calls, x->run.call, first);
    if (first == NULL) {
        HASH_ADD_KEYPTR(hh, s->calls, x->run.call, strlen(x->run.call), x);
        x->run.under_way = x->hh.tbl != NULL;
        return;
    }
    x->run.under_way = true;
    x->same_prev = first;
    x->same_next = first->same_next;
    first->same_next = x;
    if (x->same_next != NULL) {
        x->same_next->same_prev = x;
    }
}

void pw_mcpd_call_over(pw_mcpd_x *x)
{
    pw_mcpd *s = x->server;
    pw_mcpd_x *next = x->same_next;
    if (!x->run.under_way) {
        return;
    }
    x->run.under_way = false;
    if (next != NULL) {
        next->same_prev = x->same_prev;
    }
    if (x->same_prev != NULL) {
        x->same_prev->same_next = next;
        return;
    }
    HASH_DEL(s->calls, x);
    if (next != NULL) {
        HASH_ADD_KEYPTR(hh, s->calls, next->run.call, strlen(next->run.call), next);
    }
    for (pw_mcpd_x *o = next; o != NULL && next->hh.tbl == NULL; o = o->same_next) {
        o->run.under_way = false; /* no memory: they are not found, as if each had come alone */
    }
}

/* A client that lost its connection asks again at once: before we know of it, unless we look. */
static void look_at_same(pw_mcpd_x *x)
{
    pw_mcpd_x *o = NULL;
    HASH_FIND_STR(x->server->calls, x->run.call, o);
    for (pw_mcpd_x *next = NULL; o != NULL; o = next) {
        next = o->same_next;
        if (o->sink->look != NULL) {
            o->sink->look(o->sink_user);
        }
    }
}

/* ---- calls that an earlier process may have lost ---- */

static bool is_lost(const pw_mcpd *s, const pawl_value *run)
{
    const int64_t closed = pawl_int(run, "closed_ms", 0);
    return run != NULL && pawl_int(run, "created_ms", 0) < s->began_ms &&
           (closed == 0 || closed > s->began_ms - LATE_MS);
}

/* From before this process: it is looked for in the journal, and once only. */
static void on_list(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd_x *x = user;
    const pawl_value *run = pawl_get(reply, "runs.0");
    (void)why;
    (void)keep(x->server, x->run.call);
    const char *id = pawl_str(run, "id", "");
    char call[CALL_LEN + 1];
    call_of(id, call);
    /* the filter is made of what the client says: only a run of this very call is taken */
    const bool same = strcmp(call, x->run.call) == 0 && pw_mcpd_began(x, id);
    x->run.found =
        status == PAWL_OK && same && is_lost(x->server, run) ? pw_strdup(x->scope, id) : NULL;
    x->then(x);
}

/* The newest runs: when they reach back as far as is looked, all that an earlier process may have lost is known from here on. */
static void on_newest(void *user, pawl_status status, const pawl_value *reply, const char *why)
{
    pw_mcpd *s = user;
    const pawl_value *runs = pawl_get(reply, "runs");
    const size_t len = pawl_len(runs);
    (void)why;
    const int64_t oldest = pawl_int(pawl_at(runs, len - 1), "created_ms", 0);
    if (status != PAWL_OK || (len == NEWEST && oldest > s->began_ms - AGAIN_MS)) {
        return; /* each call is looked for, for as long as that matters */
    }
    for (size_t i = 0; i < len; i++) { /* newest first: of several of one call it stands */
        const pawl_value *run = pawl_at(runs, i);
        char call[CALL_LEN + 1];
        call_of(pawl_str(run, "id", ""), call);
        if (call[0] == '\0' || slot_of(s, call) != NULL ||
            pawl_int(run, "created_ms", 0) <= s->began_ms - AGAIN_MS) {
            continue;
        }
        if (is_lost(s, run)) {
            pw_mcpd_lose(s, pawl_str(run, "id", ""));
        } else {
            (void)keep(s, call);
        }
    }
    s->lost_known = true;
}

void pw_mcpd_find_lost(pw_mcpd_x *x, const char *workflow, pw_mcpd_fn then)
{
    pw_mcpd *s = x->server;
    const int64_t now = pw_mcpd_now_ms();
    look_at_same(x);
    begin(x);
    pw_mcpd_lost *l = slot_of(s, x->run.call);
    const bool fresh = l != NULL && now - l->at_ms < AGAIN_MS;
    if (fresh && l->run[0] != '\0') {
        x->run.found = pw_strdup(x->scope, l->run);
        l->run[0] = '\0';
    }
    if (fresh || s->lost_known || now - s->began_ms > AGAIN_MS || x->run.keyed) {
        then(x);
        return;
    }
    if (!s->lost_asked) {
        s->lost_asked = true;
        pw_up_ask(s->up, "list", pawl_build(x->scope, "{limit: %d}", NEWEST), on_newest, s);
    }
    x->then = then;
    const int64_t back_ms = AGAIN_MS + pw_mcpd_bound_ms(s);
    char time[TIME_LEN + 1];
    put_times(time, now - back_ms, now);
    const char *filter = pw_sprintf(x->scope, "id ~ \"%.100s-%s*-%s-*\" and created > -%llds",
                                    workflow, time, x->run.call, (long long)back_ms / 1000);
    pw_up_ask(s->up, "list", pawl_build(x->scope, "{filter: %s, limit: 1}", filter), on_list, x);
}

void pw_mcpd_lost_deinit(pw_mcpd *s)
{
    HASH_CLEAR(hh, s->lost_by_call);
}
