/*
 * engine_story.c - the workflows of the story, its client, and what must be true at its end. See engine_story.h.
 * Does not choose what fails: engine_alloc_test.c does.
 */
#include "engine_story.h"

#include <stdio.h>

#include "sdk/base/mem.h"

enum { TRIES = 60, TRIES_WITHOUT = 3 };

/* ---- code ---- */

static const pawl_value *work(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    (void)pawl_task_heartbeat(t, in);
    (void)pawl_task_spend(t, pawl_task_build(t, "{usd: 0.01, calls: 1, model: 'm'}"));
    return pawl_task_build(t, "%lld", (long long)pawl_int(in, "n", pawl_int(in, "", -1000)));
}

static const pawl_value *flaky(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    if (pawl_task_attempt(t) == 1) {
        return pawl_task_fail(t, "Flaky", "the first time always");
    }
    return pawl_task_build(t, "%lld", (long long)pawl_int(in, "n", -1000));
}

static const pawl_value *listen(pawl_task *t, const pawl_value *in, void *user)
{
    (void)user;
    const pawl_value *said = pawl_task_convo(t, in, 0);
    return said != NULL ? pawl_task_build(t, "%zu", pawl_len(said)) : NULL;
}

static const pawl_value *plus_one(pawl_step *s, const pawl_value *in)
{
    return pawl_step_build(s, "%lld", (long long)pawl_int(in, "n", -1000) + 1);
}

static const pawl_value *twice(pawl_run *w, const pawl_value *in)
{
    return pawl_json(w, "{n: %lld}", 2 * (long long)pawl_int(in, "n", -1000));
}

static const pawl_value *beside(pawl_run *b, void *arg)
{
    (void)arg;
    (void)pawl_sleep(b, 1);
    return pawl_json(b, "3");
}

static const pawl_value *where(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    (void)arg;
    return pawl_json(w, "%s", "here");
}

static long long n_of(const pawl_value *v, const char *path)
{
    return (long long)pawl_int(v, path, -1000);
}

static long long sum_of(const pawl_value *v)
{
    long long sum = 0;
    for (size_t i = 0; i < pawl_len(v); i++) {
        sum += n_of(pawl_at(v, i), "");
    }
    return sum;
}

/* Appends to a conversation twice, and reads it both ways: 3 + 3. */
static long long talk(pawl_run *w)
{
    const pawl_value *convo = pawl_convo_append(w, NULL, pawl_json(w, "[{n: 1}, {n: 2}]"));
    convo = pawl_convo_append(w, convo, pawl_json(w, "{n: 3}"));
    long long heard = n_of(pawl_call(w, "listen", .input = convo), "");
    return heard + n_of(pawl_convo_read(w, convo, 2), "0.n");
}

/* 1 + 5 + 7 + 2 + 6 (conversation) + 10 (signal) + 100 (yes) + 8 + 10 (map) + 3 = 152 in each of two rounds */
static const pawl_value *whole(pawl_run *w, const pawl_value *in)
{
    long long round = n_of(in, "round");
    const pawl_value *text = pawl_get(in, "text");
    pawl_on_query(w, "where", where, NULL);
    long long sum = n_of(pawl_local(w, "plus", plus_one, pawl_json(w, "{n: 0}")), "");
    sum += n_of(pawl_call(w, "work", .input = pawl_json(w, "{n: 5, text: %p}", pawl_v(text)),
                          .reserve = pawl_json(w, "{usd: 0.02}")),
                "");
    sum += n_of(pawl_call(w, "unsafe", .input = pawl_json(w, "{n: 7}"),
                          .effect = PAWL_EFFECT_UNSAFE, .reserve = pawl_json(w, "{calls: 1}")),
                "");
    sum += n_of(pawl_call(w, "flaky", .input = pawl_json(w, "{n: 2}"),
                          .reserve = pawl_json(w, "{usd: 0.01}"), .max_cost = 5),
                "");
    (void)pawl_budget(w);
    sum += talk(w);
    pawl_set(w, "sum", pawl_json(w, "%lld", sum));
    pawl_progress(w, round, 2, "on its way");
    pawl_future *side = pawl_go(w, beside, NULL);
    sum += n_of(pawl_signal(w, "go", .timeout_s = 36000), "");
    const pawl_value *agreed =
        pawl_ask(w, "approve", .prompt = "?", .choices = "yes|no", .quorum = 2, .barred = "eve",
                 .deadline_s = 36000, .escalate_s = 18000, .defer_max_s = 36000);
    sum += pawl_is(agreed, "choice", "yes") ? 98 + (int64_t)pawl_len(pawl_get(agreed, "votes"))
                                            : -1000;
    sum += n_of(pawl_child(w, "twice", .input = pawl_json(w, "{n: 4}")), "n");
    sum += sum_of(pawl_map(w, "work", pawl_json(w, "[0, 1, 2, 3, 4]"), .width = 2));
    sum += n_of(pawl_await(w, side), "");
    (void)pawl_sleep(w, 2);
    if (!pawl_ok(w)) {
        return NULL;
    }
    if (round == 0) {
        return pawl_continue_as_new(
            w, pawl_json(w, "{round: 1, before: %lld, text: %p}", sum, pawl_v(text)));
    }
    return pawl_json(w, "{sum: %lld, text: %p}", sum + n_of(in, "before"), pawl_v(text));
}

static const pawl_value *refused(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "work", .input = pawl_json(w, "{n: 1}"), .undo = "work");
    return pawl_fail(w, "Refused", "on purpose");
}

static const pawl_value *sleeper(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 100000);
    return NULL;
}

/* ---- the folded one ---- */

typedef struct tally {
    int64_t done, sum;
    bool waits;
} tally;

static void *tally_new(void *user)
{
    (void)user;
    return pw_calloc(1, sizeof(tally));
}

static void tally_apply(void *state, const pawl_fold_event *e)
{
    tally *t = state;
    if (strcmp(e->type, "ActivityScheduled") == 0) {
        t->waits = true;
    } else if (strcmp(e->type, "ActivityCompleted") == 0) {
        t->waits = false;
        t->done++;
        t->sum += pawl_int(e->value, "", -1000);
    }
}

static void tally_decide(void *state, pawl_fold *f)
{
    tally *t = state;
    if (t->done >= 3) {
        pawl_fold_complete(f, pawl_build(pawl_fold_scope(f), "%lld", (long long)t->sum));
    } else if (!t->waits) {
        pawl_call_options o = {.name = "work",
                               .input = pawl_make_int(pawl_fold_scope(f), t->done + 1)};
        (void)pawl_fold_call(f, &o, sizeof o);
    }
}

static const pawl_folded tally_code = {.struct_size = sizeof tally_code,
                                       .init = tally_new,
                                       .apply = tally_apply,
                                       .decide = tally_decide,
                                       .deinit = pw_free};

/* ---- the client ---- */

typedef struct story {
    rig *r;
    bool out;    /* memory is out, or will be */
    bool failed; /* it was */
} story;

static void memory_back(story *s)
{
    bool failed;
    (void)pw_mem_count(&failed);
    s->failed |= failed;
    s->out = false;
    pw_mem_fail(0, false);
}

static bool may_ask_again(pawl_status st)
{
    return st == PAWL_NOMEM || st == PAWL_NOT;
}

static void trace(story *s)
{
    if (getenv("STORY_TRACE") != NULL) {
        (void)fprintf(stderr, "%s\n%s\n", pw_buf_cstr(&s->r->log), rig_history(s->r, "a"));
    }
}

static void wait_for(story *s, const rig_reply *reply)
{
    rig_run(s->r);
    for (int i = 0; i < 2 * TRIES && !reply->done; i++) {
        if (i == TRIES_WITHOUT) {
            memory_back(s);
        }
        rig_advance(s->r, 1100);
    }
}

/* Asks until it is done. A refusal for want of memory says that it was not done: the second time it must be. */
static const rig_reply *must(story *s, const char *op, const pawl_value *args)
{
    const rig_reply *reply = NULL;
    for (int i = 0; i < TRIES; i++) {
        if (i == TRIES_WITHOUT) {
            memory_back(s);
        }
        reply = rig_post_value(s->r, op, args);
        wait_for(s, reply);
        if (!reply->done || !may_ask_again(reply->status)) {
            break;
        }
        rig_advance(s->r, 1100);
    }
    if (!reply->done || reply->status != PAWL_OK) {
        trace(s);
        fail_msg("%s %s: %s %s", op, pawl_to_json(s->r->scope, args, 0),
                 reply->done ? pawl_status_name(reply->status) : "not answered", reply->message);
    }
    return reply;
}

static void until(story *s, const char *id, const char *event, int times)
{
    rig_run(s->r);
    for (int i = 0; i < 2 * TRIES && rig_count(s->r, id, event) < times; i++) {
        if (i == 2 * TRIES_WITHOUT) {
            memory_back(s);
        }
        rig_advance(s->r, 1100);
    }
    if (rig_count(s->r, id, event) < times) {
        trace(s);
        fail_msg("%s never has %d %s: it is %s, waits for \"%s\"; %s", id, times, event,
                 rig_status(s->r, id), rig_waiting(s->r, id), rig_history(s->r, id));
    }
}

static void until_status(story *s, const char *id, const char *status)
{
    rig_run(s->r);
    for (int i = 0; i < 2 * TRIES && strcmp(rig_status(s->r, id), status) != 0; i++) {
        if (i == 2 * TRIES_WITHOUT) {
            memory_back(s);
        }
        rig_advance(s->r, 1100);
    }
    if (strcmp(rig_status(s->r, id), status) != 0) {
        trace(s);
        fail_msg("%s is %s (%s) and not %s, waits for \"%s\"; %s", id, rig_status(s->r, id),
                 rig_reason(s->r, id), status, rig_waiting(s->r, id), rig_history(s->r, id));
    }
}

static void restart(story *s)
{
    pawl_error err = {0};
    rig_kill(s->r);
    for (int i = 0; i < TRIES; i++) {
        if (i == TRIES_WITHOUT) {
            memory_back(s);
        }
        pawl_status st = rig_try_boot(s->r, &err);
        if (st == PAWL_OK) {
            return;
        }
        if (st != PAWL_NOMEM) {
            break;
        }
    }
    fail_msg("open: %s", err.message);
}

/* ---- the story ---- */

static void open_engine(story *s, rig_mode mode)
{
    bool was = pw_mem_hold(true);
    (void)was;
    s->r = rig_open(mode);
    s->r->careful = true;
    rig_workflow(s->r, "whole", whole);
    rig_workflow(s->r, "twice", twice);
    rig_workflow(s->r, "refused", refused);
    rig_workflow(s->r, "sleeper", sleeper);
    rig_folded(s->r, "tally", &tally_code);
    rig_activity(s->r, "work", work);
    rig_activity(s->r, "unsafe", work);
    rig_activity(s->r, "flaky", flaky);
    rig_activity(s->r, "listen", listen);
}

static const pawl_value *long_text(rig *r)
{
    char text[6001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    return pawl_make_str(r->scope, text);
}

static void a_round(story *s, const char *signal_key)
{
    rig *r = s->r;
    until(s, "a", "SignalAwaited", 1);
    (void)must(s, "signal",
               rig_value(r, "{id: %s, name: %s, value: 10, dedup: %s}", "a", "go", signal_key));
    until(s, "a", "WaitCreated", 1);
    (void)must(s, "answer",
               rig_value(r, "{id: %s, name: %s, value: {choice: %s, data: {n: 1}}, by: %s}", "a",
                         "approve", "yes", "ann"));
    (void)must(s, "answer",
               rig_value(r, "{id: %s, value: {defer: {for_ms: 40000000}}, by: %s}", "a", "bob"));
    (void)must(s, "answer",
               rig_value(r, "{id: %s, name: %s, value: {choice: %s, data: {n: 1}}, by: %s}", "a",
                         "approve", "yes", "bob"));
}

static void others(story *s)
{
    rig *r = s->r;
    (void)must(s, "start", rig_value(r, "{workflow: %s, id: %s}", "refused", "b"));
    (void)must(s, "start", rig_value(r, "{workflow: %s, id: %s}", "sleeper", "c"));
    (void)must(s, "start", rig_value(r, "{workflow: %s, id: %s, dedup: %s}", "tally", "d", "sd"));
    (void)must(s, "start",
               rig_value(r, "{workflow: %s, id: %s, signal: %s, signal_value: 1}", "sleeper", "e",
                         "hello"));
    (void)must(s, "cancel", rig_value(r, "{id: %s, reason: %s}", "c", "no more"));
    (void)must(s, "terminate", rig_value(r, "{id: %s}", "e"));
}

static void check_end(story *s)
{
    rig *r = s->r;
    until_status(s, "a", "completed");
    until_status(s, "b", "failed");
    until_status(s, "c", "canceled");
    until_status(s, "d", "completed");
    until_status(s, "e", "terminated");
    const rig_reply *a = must(s, "result", rig_value(r, "{id: %s}", "a"));
    assert_int_equal(pawl_int(a->value, "result.sum", 0), 304);
    assert_int_equal(strlen(pawl_str(a->value, "result.text", "")), 6000);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), 1);
    assert_int_equal(rig_count(r, "e", "SignalReceived"), 1);
    assert_int_equal(pawl_int(must(s, "result", rig_value(r, "{id: %s}", "d"))->value, "result", 0),
                     6);
    assert_string_equal(
        pawl_str(must(s, "result", rig_value(r, "{id: %s}", "b"))->value, "failure.type", ""),
        "Refused");
    assert_int_equal(rig_count(r, "b", "ActivityCompleted"), 2); /* done, and taken back */
}

static bool nothing_set_aside(void *ctx, const pw_budget_row *row)
{
    int64_t *spent = ctx;
    assert_true(pw_amounts_none(&row->reserved));
    *spent = pw_view_is(row->name, "goal:story") ? row->spent.n[PW_UNIT_USD] : *spent;
    return true;
}

/* Two rounds, in each of which work and unsafe spend a cent; flaky says nothing, and counts as what it reserved. */
static void check_ledger(story *s)
{
    int64_t spent = 0;
    pawl_error err;
    assert_int_equal(s->r->reader->ops->budgets(s->r->reader, (pw_view){NULL, 0}, nothing_set_aside,
                                                &spent, &err),
                     PAWL_OK);
    assert_true(spent >= 4 * 10000);
}

static void no_finding(void *ctx, const pw_verify_finding *f)
{
    (void)ctx;
    (void)fprintf(stderr, "verify: %s run %lld: %s\n", f->invariant, (long long)f->run, f->message);
}

static void check_journal(story *s)
{
    pw_verify_stats stats = {0};
    pawl_error err = {0};
    check_ledger(s);
    rig_kill(s->r);
    pawl_status st = s->r->store != NULL
                         ? pw_memory_verify(s->r->store, no_finding, NULL, &stats, &err)
                         : pw_sqlite_verify(s->r->path, no_finding, NULL, &stats, &err);
    if (st != PAWL_OK || stats.findings != 0) {
        fail_msg("the journal: %s, %lld findings", st == PAWL_OK ? "sound" : err.message,
                 (long long)stats.findings);
    }
}

static rig *told; /* a failed assertion leaves by longjmp, and somebody has to close it */

bool story_close(void)
{
    bool half = told != NULL;
    pw_mem_fail(0, false);
    rig_close(told);
    told = NULL;
    (void)pw_mem_hold(false);
    return half;
}

bool story_tell(const story_fault *fault)
{
    story s = {.out = true};
    open_engine(&s, fault->mode);
    rig *r = s.r;
    told = r;
    pw_mem_fail(fault->nth, fault->sticky);
    (void)must(&s, "start",
               rig_value(r,
                         "{workflow: %s, id: %s, input: {round: 0, text: %p}, dedup: %s, "
                         "budget: {usd: 50, parent: 'goal:story'}}",
                         "whole", "a", pawl_v(long_text(r)), "sa"));
    const rig_reply *watch = rig_post(r, "watch", "{id: %s}", "a");
    const rig_reply *result = rig_post(r, "result", "{id: %s}", "a");
    a_round(&s, "g0");
    others(&s);
    until(&s, "a", "RunStarted", 1);
    for (int i = 0; i < TRIES && rig_count(r, "a", "WaitAnswered") > 0;
         i++) { /* the first of its two runs */
        if (i == 4 * TRIES_WITHOUT) {
            memory_back(&s);
        }
        rig_advance(r, 1100);
    }
    until(&s, "a", "SignalAwaited", 1);
    (void)must(&s, "query", rig_value(r, "{id: %s, name: %s}", "a", "where"));
    (void)must(&s, "stack", rig_value(r, "{id: %s}", "a"));
    (void)must(&s, "pause", rig_value(r, "{id: %s}", "a"));
    (void)must(&s, "resume", rig_value(r, "{id: %s}", "a"));
    bool lives = result->done ? may_ask_again(result->status) : true;
    assert_true(lives &&
                (!watch->done || watch->status == PAWL_OK || may_ask_again(watch->status)));
    restart(&s);
    a_round(&s, "g1");
    until_status(&s, "a", "completed");
    memory_back(&s);
    check_end(&s);
    check_journal(&s);
    (void)story_close();
    return s.failed;
}
