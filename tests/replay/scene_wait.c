/*
 * scene_wait.c - scenes of what waits and of a run's own life: timers, signals, questions, shields, pauses, deadlines, new code.
 * Does not check how each behaves: tests/engine does.
 */
#include <stdio.h>

#include "scene.h"

/* ---- timers ---- */

static const pawl_value *timer(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 1);
    (void)pawl_sleep_until(w, RIG_START_MS + 5000);
    (void)pawl_sleep(w, 3600);
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{type: %s}", f != NULL ? f->type : "");
}

void scene_timer_code(rig *r)
{
    rig_workflow(r, "timer", timer);
}

void scene_timer_play(rig *r)
{
    rig_start(r, "timer", "a");
    rig_advance(r, 6000);
    scene_ok(r, "cancel", "a");
    scene_end(r, "a", "completed");
}

/* ---- signals ---- */

static const pawl_value *receiver(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_signal(w, "go");
    const pawl_value *b = pawl_signal(w, "go", .timeout_s = 60);
    (void)pawl_signal(w, "none", .timeout_s = 1);
    bool late = pawl_timed_out(w);
    (void)pawl_signal(w, "never");
    return pawl_json(w, "{a: %p, b: %p, late: %d}", pawl_v(a), pawl_v(b), late ? 1 : 0);
}

static const pawl_value *sender(pawl_run *w, const pawl_value *in)
{
    pawl_signal_send(w, pawl_str(in, "to", ""), "go", pawl_json(w, "{from: %s}", pawl_run_id(w)));
    return NULL;
}

void scene_signal_code(rig *r)
{
    rig_workflow(r, "receiver", receiver);
    rig_workflow(r, "sender", sender);
}

void scene_signal_play(rig *r)
{
    rig_start(r, "receiver", "a");
    for (int i = 0; i < 2; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "s%d", i);
        rig_start_with(r, "sender", id, rig_value(r, "{to: %s}", "a"));
    }
    rig_advance(r, 1000);
    scene_ok(r, "cancel", "a");
    scene_end(r, "a", "canceled");
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 2);
}

/* ---- questions ---- */

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v =
        pawl_ask(w, .name = "ship", .prompt = "Ship it?", .choices = "yes|no", .show = in,
                 .deadline_s = 60, .on_deadline = pawl_str(in, "on_deadline", NULL));
    return pawl_json(w, "{answer: %p}", pawl_v(v));
}

void scene_ask_code(rig *r)
{
    rig_workflow(r, "ask", ask);
}

void scene_ask_play(rig *r)
{
    rig_start(r, "ask", "answered");
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {why: 1}}, by: %s}",
                             "answered", "yes", "me")
                         ->status,
                     PAWL_OK);
    scene_end(r, "answered", "completed");
    rig_start_with(r, "ask", "expired", rig_value(r, "{on_deadline: %s}", "no"));
    rig_advance(r, 60000);
    scene_end(r, "expired", "completed");
    rig_start(r, "ask", "failed");
    rig_advance(r, 60000);
    scene_end(r, "failed", "failed");
    rig_start(r, "ask", "canceled");
    scene_ok(r, "cancel", "canceled");
    scene_end(r, "canceled", "canceled");
}

/* ---- several people ---- */

static const pawl_value *approve(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v =
        pawl_ask(w, .name = "pay", .choices = "approve|modify|reject", .quorum = 2,
                 .who = "ann|bob|cid", .barred = "eve", .deadline_s = 60, .on_deadline = "reject",
                 .escalate_s = 30, .escalate_to = "boss", .defer_max_s = 60);
    return pawl_json(w, "{answer: %p}", pawl_v(v));
}

typedef struct approving {
    bool asked, done;
    int64_t votes;
} approving;

static void *approve_folded_new(void *user)
{
    (void)user;
    return calloc(1, sizeof(approving));
}

static void approve_folded_free(void *state)
{
    free(state);
}

static void approve_folded_apply(void *state, const pawl_fold_event *e)
{
    approving *j = state;
    j->asked |= strcmp(e->type, "WaitCreated") == 0;
    j->votes += strcmp(e->type, "WaitVoted") == 0 ? 1 : 0;
    j->done |= strcmp(e->type, "WaitAnswered") == 0 || strcmp(e->type, "WaitExpired") == 0;
}

static void approve_folded_decide(void *state, pawl_fold *f)
{
    const approving *j = state;
    pawl_ask_options ask = {.name = "pay", .choices = "approve|reject", .quorum = 2};
    if (!j->asked) {
        (void)pawl_fold_ask(f, &ask, sizeof ask);
    } else if (j->done) {
        pawl_fold_complete(f, pawl_make_int(pawl_fold_scope(f), j->votes));
    }
}

void scene_approve_code(rig *r)
{
    static const pawl_folded folded = {.struct_size = sizeof folded,
                                       .init = approve_folded_new,
                                       .apply = approve_folded_apply,
                                       .decide = approve_folded_decide,
                                       .deinit = approve_folded_free};
    rig_workflow(r, "approve", approve);
    rig_folded(r, "approve-folded", &folded);
}

static void vote(rig *r, const char *id, const char *by, const char *choice)
{
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s, reason: %s}, by: %s}", id,
                             choice, "so be it", by)
                         ->status,
                     PAWL_OK);
}

static void put_off(rig *r, const char *id, int64_t until_ms)
{
    assert_int_equal(rig_ask(r, "answer",
                             "{id: %s, value: {defer: {until_ms: %lld}, reason: %s}, by: %s}", id,
                             (long long)until_ms, "not now", "ann")
                         ->status,
                     PAWL_OK);
}

void scene_approve_play(rig *r)
{
    rig_start(r, "approve", "agreed");
    vote(r, "agreed", "ann", "approve");
    vote(r, "agreed", "bob", "modify");
    vote(r, "agreed", "cid", "approve");
    scene_end(r, "agreed", "completed");
    rig_start(r, "approve", "rejected");
    vote(r, "rejected", "ann", "reject");
    scene_end(r, "rejected", "completed");
    rig_start(r, "approve", "escalated");
    put_off(r, "escalated", r->now_ms + 90000);
    rig_advance(r, 30000);
    vote(r, "escalated", "boss", "approve");
    vote(r, "escalated", "bob", "approve");
    scene_end(r, "escalated", "completed");
    rig_start(r, "approve", "expired");
    put_off(r, "expired", r->now_ms + 90000);
    rig_advance(r, 90000);
    scene_end(r, "expired", "completed");
    rig_start(r, "approve", "canceled");
    vote(r, "canceled", "ann", "approve");
    scene_ok(r, "cancel", "canceled");
    scene_end(r, "canceled", "canceled");
    rig_start(r, "approve-folded", "folded");
    vote(r, "folded", "ann", "approve");
    vote(r, "folded", "bob", "approve");
    scene_end(r, "folded", "completed");
}

/* ---- shields ---- */

static const pawl_value *shield(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 10);
    (void)pawl_sleep(w, 20);
    const pawl_failure *f = pawl_catch(w);
    pawl_unshield(w);
    return pawl_json(w, "{inside: %s}", f != NULL ? f->type : "ok");
}

static const pawl_value *quick_shield(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 100);
    (void)pawl_sleep(w, 1);
    pawl_unshield(w);
    return NULL;
}

void scene_shield_code(rig *r)
{
    rig_workflow(r, "shield", shield);
    rig_workflow(r, "quick-shield", quick_shield);
}

void scene_shield_play(rig *r)
{
    rig_start(r, "quick-shield", "left");
    rig_advance(r, 1000);
    scene_end(r, "left", "completed");
    rig_start(r, "shield", "expired");
    scene_ok(r, "cancel", "expired");
    rig_advance(r, 10000);
    scene_end(r, "expired", "completed");
    assert_int_equal(rig_count(r, "expired", "ShieldExpired"), 1);
    rig_start(r, "shield", "outlived"); /* nobody cancels: the sleep goes on without it */
    rig_advance(r, 20000);
    scene_end(r, "outlived", "completed");
}

/* ---- a run's own life ---- */

static const pawl_value *life(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_signal(w, "go");
}

void scene_life_code(rig *r)
{
    rig_workflow(r, "life", life);
}

static void start_short(rig *r, const char *id)
{
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, timeout_s: 5}", "life", id)->status, PAWL_OK);
}

static void signal_go(rig *r, const char *id)
{
    assert_int_equal(
        rig_ask(r, "signal", "{id: %s, name: %s, value: 1, by: %s}", id, "go", "me")->status,
        PAWL_OK);
}

void scene_life_play(rig *r)
{
    rig_start(r, "life", "paused");
    assert_int_equal(
        rig_ask(r, "pause", "{id: %s, reason: %s, by: %s}", "paused", "lunch", "me")->status,
        PAWL_OK);
    scene_end(r, "paused", "paused");
    rig_crash(r); /* it is resumed without its code, which then has nothing to ask for: TurnTaken */
    scene_ok(r, "resume", "paused");
    signal_go(r, "paused");
    scene_end(r, "paused", "completed");
    rig_start(r, "life", "pause-cancel");
    scene_ok(r, "pause", "pause-cancel");
    assert_int_equal(rig_ask(r, "cancel", "{id: %s, reason: %s}", "pause-cancel", "no use")->status,
                     PAWL_OK);
    scene_ok(r, "resume", "pause-cancel");
    scene_end(r, "pause-cancel", "canceled");
    rig_start(r, "life", "terminated");
    assert_int_equal(
        rig_ask(r, "terminate", "{id: %s, reason: %s, by: %s}", "terminated", "enough", "me")
            ->status,
        PAWL_OK);
    rig_start(r, "life", "pause-terminate");
    scene_ok(r, "pause", "pause-terminate");
    scene_ok(r, "terminate", "pause-terminate");
    start_short(r, "timed-out");
    start_short(r, "pause-timed-out");
    scene_ok(r, "pause", "pause-timed-out");
    rig_advance(r, 5000);
    scene_end(r, "timed-out", "timed-out");
    scene_end(r, "pause-timed-out", "timed-out");
    scene_ok(r, "retry", "timed-out");
    signal_go(r, "timed-out");
    scene_end(r, "timed-out", "completed");
    scene_ok(r, "retry", "pause-timed-out");
    signal_go(r, "pause-timed-out");
    scene_end(r, "pause-timed-out", "completed");
}

static const pawl_value *again(pawl_run *w, const pawl_value *in)
{
    int64_t n = pawl_int(in, "n", 0);
    if (n >= 2) {
        return pawl_signal(w, "go");
    }
    (void)pawl_sleep(w, 1);
    return pawl_continue_as_new(w, pawl_json(w, "{n: %lld}", (long long)n + 1));
}

void scene_continue_code(rig *r)
{
    rig_workflow(r, "again", again);
}

void scene_continue_play(rig *r)
{
    rig_start_with(r, "again", "a", rig_value(r, "{n: 0}"));
    signal_go(r, "a"); /* unread: it crosses over twice */
    signal_go(r, "a");
    rig_advance(r, 3000);
    scene_end(r, "a", "completed");
}

/* ---- new code under open runs ---- */

static void deploy(rig *r, const char *name, pawl_workflow_fn fn)
{
    rig_kill(r);
    rig_replace(r, name, fn);
    r->build++;
    rig_boot(r);
    rig_run(r);
}

static const pawl_value *patch_old(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 1);
    (void)pawl_call(w, "work", .input = pawl_json(w, "{old: true}"));
    (void)pawl_sleep(w, 1);
    return NULL;
}

static const pawl_value *patch_new(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 1);
    if (pawl_patched(w, "new-input")) {
        (void)pawl_call(w, "work", .input = pawl_json(w, "{old: false}"));
    } else {
        (void)pawl_call(w, "work", .input = pawl_json(w, "{old: true}"));
    }
    (void)pawl_sleep(w, 1);
    return pawl_json(w, "{new: %d}", pawl_patched(w, "new-input") ? 1 : 0);
}

void scene_patch_code(rig *r)
{
    rig_workflow(r, "patch", patch_old);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_patch_newest(rig *r)
{
    rig_replace(r, "patch", patch_new);
}

void scene_patch_play(rig *r)
{
    rig_start(r, "patch", "old");
    rig_advance(r, 1000);
    rig_start(r, "patch", "new");
    deploy(r, "patch", patch_new);
    rig_advance(r, 1000);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_advance(r, 1000);
    scene_end(r, "old", "completed");
    scene_end(r, "new", "completed");
    assert_int_equal(pawl_int(rig_result(r, "old"), "new", -1), 0);
    assert_int_equal(pawl_int(rig_result(r, "new"), "new", -1), 1);
}

static const pawl_value *drift_old(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "work", .input = pawl_json(w, "{prompt: %s}", "old words"));
    return pawl_signal(w, "go");
}

static const pawl_value *drift_new(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "work", .input = pawl_json(w, "{prompt: %s}", "new words"));
    return pawl_signal(w, "go");
}

void scene_drift_code(rig *r)
{
    rig_workflow(r, "drift", drift_old);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

void scene_drift_newest(rig *r)
{
    rig_replace(r, "drift", drift_new);
}

void scene_drift_play(rig *r)
{
    rig_start(r, "drift", "a");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    deploy(r, "drift", drift_new);
    signal_go(r, "a");
    scene_end(r, "a", "completed");
    assert_int_equal(rig_count(r, "a", "DriftNoted"), 1);
}

static const pawl_value *other_kind(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 5);
    return NULL;
}

void scene_mismatch_code(rig *r)
{
    rig_workflow(r, "life", life);
}

void scene_mismatch_play(rig *r)
{
    rig_start(r, "life", "a");
    deploy(r, "life", other_kind);
    signal_go(r, "a");
    scene_end(r, "a", "paused");
    deploy(r, "life", life);
    scene_ok(r, "resume", "a");
    scene_end(r, "a", "completed");
}

/* ---- a first turn that fits nowhere ---- */

static const pawl_value *too_big(pawl_run *w, const pawl_value *in)
{
    (void)in;
    char text[4001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    const pawl_value *v = pawl_json(w, "%s", text);
    for (int i = 0; i < 9000; i++) {
        pawl_set(w, "k", v);
    }
    return NULL;
}

void scene_too_big_code(rig *r)
{
    rig_workflow(r, "too-big", too_big);
}

void scene_too_big_play(rig *r)
{
    rig_start(r, "too-big", "a");
    scene_end(r, "a", "terminated");
}
