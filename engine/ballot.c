/*
 * ballot.c - what an open wait knows of itself, as bytes: ballot.h draws it.
 *
 * Votes are counted by who gave them and by what they say, and never by when: so a history comes to the same end whenever it is read.
 * Does not decide what follows: answer.c does.
 */
#include "engine/ballot.h"

#include <stdio.h>
#include <string.h>

#include "engine/parts.h"

/* ---- reading ---- */

/* Text of a key as it stands in the body; "" of one that is not there. */
static pw_view text_of(pw_view body, const char *key)
{
    pw_view raw = pw_body_get(body, key);
    pw_mp r = pw_mp_reader(raw.data, raw.size);
    return raw.size > 0 && pw_mp_peek(&r) == PAWL_STRING ? pw_mp_read_str(&r) : (pw_view){NULL, 0};
}

static bool view_one_of(pw_view list, const char *one)
{
    char text[PW_CHOICES_BYTES_MAX + 1];
    (void)snprintf(text, sizeof text, "%.*s", (int)list.size,
                   list.data != NULL ? (const char *)list.data : "");
    return pw_one_of(text, one);
}

bool pw_one_of(const char *choices, const char *choice)
{
    size_t n = strcspn(choice, "|");
    bool one = n > 0 && choice[n] == 0;
    for (const char *at = choices; one && at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, choice, n) == 0 && (at[n] == '|' || at[n] == 0)) {
            return true;
        }
    }
    return false;
}

pw_ballot_may pw_ballot_who(pw_view body, const char *by, const char *as)
{
    pw_view who = text_of(body, "who"), barred = text_of(body, "barred");
    pw_view then = pw_body_int(body, "escalated_ms", 0) != 0 ? text_of(body, "escalate_to")
                                                             : (pw_view){NULL, 0};
    by = by != NULL ? by : "";
    as = as != NULL ? as : "";
    bool asked = who.size > 0 || barred.size > 0 || pw_ballot_votes(body);
    if (asked && by[0] == 0) {
        return PW_MAY_NOT_NAMELESS;
    }
    if (view_one_of(barred, by)) {
        return PW_MAY_NOT_BARRED;
    }
    bool listed = who.size == 0 || view_one_of(who, by) || view_one_of(who, as) ||
                  view_one_of(then, by) || view_one_of(then, as);
    return listed ? PW_MAY : PW_MAY_NOT_LISTED;
}

bool pw_ballot_votes(pw_view body)
{
    return pw_body_int(body, "quorum", 1) > 1 || pw_body_int(body, "rejects", 1) > 1;
}

int64_t pw_ballot_needed(pw_view body, const char *choice)
{
    pw_view reject = text_of(body, "reject");
    bool rejects = reject.size > 0 ? view_one_of(reject, choice) : strcmp(choice, "reject") == 0;
    int64_t n = pw_body_int(body, rejects ? "rejects" : "quorum", 1);
    return n > 1 ? n : 1;
}

static size_t votes_of(pw_view body, pw_mp *ret_votes)
{
    pw_view raw = pw_body_get(body, "votes");
    *ret_votes = pw_mp_reader(raw.data, raw.size);
    return raw.size > 0 && pw_mp_peek(ret_votes) == PAWL_ARRAY ? pw_mp_read_array(ret_votes) : 0;
}

size_t pw_ballot_len(pw_view body)
{
    pw_mp votes;
    return votes_of(body, &votes);
}

pw_view pw_ballot_of(pw_view body, const char *by)
{
    pw_mp votes;
    size_t len = votes_of(body, &votes);
    for (size_t i = 0; i < len && pw_mp_ok(&votes); i++) {
        pw_view vote = pw_mp_read_raw(&votes);
        if (pw_view_is(text_of(vote, "by"), by)) {
            return vote;
        }
    }
    return (pw_view){NULL, 0};
}

static bool same_bytes(pw_view a, pw_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Data stands in canonical form, or as the digest of that: equal bytes are equal values. */
static bool says_the_same(pw_view a, pw_view b)
{
    return same_bytes(text_of(a, "choice"), text_of(b, "choice")) &&
           same_bytes(pw_body_get(a, "data"), pw_body_get(b, "data"));
}

pw_view pw_ballot_last(pw_view body, int64_t *ret_same)
{
    pw_mp votes;
    size_t len = votes_of(body, &votes);
    pw_view last = {NULL, 0};
    for (size_t i = 0; i < len && pw_mp_ok(&votes); i++) {
        last = pw_mp_read_raw(&votes);
    }
    *ret_same = 0;
    len = votes_of(body, &votes);
    for (size_t i = 0; i < len && pw_mp_ok(&votes); i++) {
        *ret_same += says_the_same(pw_mp_read_raw(&votes), last) ? 1 : 0;
    }
    return last;
}

int64_t pw_ballot_latest_ms(pw_view body)
{
    int64_t due = pw_body_int(body, "due_ms", 0);
    return due == 0 ? 0
                    : pw_body_int(body, "first_due_ms", due) + pw_body_int(body, "defer_max_ms", 0);
}

int64_t pw_ballot_escalates_ms(pw_view body)
{
    return pw_body_int(body, "escalated_ms", 0) == 0 ? pw_body_int(body, "escalate_ms", 0) : 0;
}

void pw_ballot_text(pw_view body, char *ret, size_t size)
{
    size_t len = pw_ballot_len(body);
    int64_t quorum = pw_body_int(body, "quorum", 1);
    bool deferred = pw_body_get(body, "deferred").size > 0;
    bool escalated = pw_body_int(body, "escalated_ms", 0) != 0;
    size_t used = 0;
    ret[0] = 0;
    if (pw_ballot_votes(body)) {
        used = (size_t)snprintf(ret, size, "%zu vote%s, %lld must agree", len, len == 1 ? "" : "s",
                                (long long)quorum);
    }
    if (used < size && (deferred || escalated)) {
        (void)snprintf(ret + used, size - used, "%s%s", used > 0 ? ", " : "",
                       deferred ? "deferred" : "escalated");
    }
}

/* ---- what an event makes of it ---- */

typedef struct rewrite {
    pw_buf pairs;
    size_t len;
} rewrite;

static void put_raw(rewrite *to, const char *key, pw_view raw)
{
    pw_mp_str(&to->pairs, key);
    pw_buf_put(&to->pairs, raw.data, raw.size);
    to->len++;
}

static void put_int(rewrite *to, const char *key, int64_t n)
{
    pw_mp_str(&to->pairs, key);
    pw_mp_int(&to->pairs, n);
    to->len++;
}

static bool is_among(pw_view key, const char *const *keys)
{
    while (*keys != NULL && !pw_view_is(key, *keys)) {
        keys++;
    }
    return *keys != NULL;
}

/* Every pair of the body but these. */
static void put_rest(rewrite *to, pw_view body, const char *const *without)
{
    pw_mp r = pw_mp_reader(body.data, body.size);
    size_t pairs = body.size > 0 ? pw_mp_read_map(&r) : 0;
    for (size_t i = 0; i < pairs && pw_mp_ok(&r); i++) {
        pw_view key = pw_mp_read_str(&r);
        pw_view raw = pw_mp_read_raw(&r);
        if (!is_among(key, without)) {
            pw_mp_strn(&to->pairs, (const char *)key.data, key.size);
            pw_buf_put(&to->pairs, raw.data, raw.size);
            to->len++;
        }
    }
}

static void voted(rewrite *to, pw_view body, const pw_event *ev)
{
    static const char *const without[] = {"votes", "deferred", NULL};
    pw_mp votes;
    size_t len = votes_of(body, &votes);
    put_rest(to, body, without);
    pw_mp_str(&to->pairs, "votes");
    pw_mp_array(&to->pairs, len + 1);
    for (size_t i = 0; i < len; i++) {
        pw_view one = pw_mp_read_raw(&votes);
        pw_buf_put(&to->pairs, one.data, one.size);
    }
    pw_buf_put(&to->pairs, ev->body.data, ev->body.size);
    to->len++;
}

static void deferred(rewrite *to, pw_view body, const pw_event *ev)
{
    static const char *const without[] = {"deferred", "deferrals", "due_ms", "first_due_ms", NULL};
    int64_t due = pw_body_int(body, "due_ms", 0);
    int64_t moved = pw_body_int(ev->body, "due_ms", due);
    put_rest(to, body, without);
    put_raw(to, "deferred", ev->body);
    put_int(to, "deferrals", pw_body_int(body, "deferrals", 0) + 1);
    if (moved != 0) {
        put_int(to, "due_ms", moved);
    }
    if (pw_body_int(body, "first_due_ms", 0) != 0 || moved != due) {
        put_int(to, "first_due_ms", pw_body_int(body, "first_due_ms", due));
    }
}

static void escalated(rewrite *to, pw_view body, const pw_event *ev)
{
    static const char *const without[] = {"deferred", "escalated_ms", NULL};
    put_rest(to, body, without);
    put_int(to, "escalated_ms", pw_body_int(ev->body, "at_ms", 1));
}

pw_view pw_ballot_next(pawl_scope *scope, pw_view body, const pw_event *ev)
{
    rewrite to = {PW_BUF_INIT, 0};
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    if (ev->type == PW_EV_WAIT_VOTED) {
        voted(&to, body, ev);
    } else if (ev->type == PW_EV_WAIT_DEFERRED) {
        deferred(&to, body, ev);
    } else {
        escalated(&to, body, ev);
    }
    pw_mp_map(&out, to.len);
    pw_buf_put(&out, to.pairs.data, to.pairs.size);
    bool ok = pw_buf_ok(&to.pairs) && pw_buf_ok(&out);
    pw_buf_deinit(&to.pairs);
    void *kept = ok ? pw_memdup(scope, out.data, out.size) : NULL;
    if (kept == NULL) {
        pw_scope_fail(scope);
        return (pw_view){NULL, 0};
    }
    return (pw_view){kept, out.size};
}
