/*
 * queue_test.c - task queues: limits, rates by key, priorities, turns between keys, and that nothing holds up what it need not.
 */
#include <stdio.h>

#include "tests/engine/rig.h"

/* {queue, key, priority, activity, effect}: one call. */
static const pawl_value *flow(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, pawl_str(in, "activity", "work"), .queue = pawl_str(in, "queue", NULL),
                     .limit_key = pawl_str(in, "key", NULL),
                     .priority = (int)pawl_int(in, "priority", 0),
                     .effect = (pawl_effect)pawl_int(in, "effect", 0), .retries = PAWL_RETRY_NONE);
}

static rig *begin(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", flow);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_held(r, "other", PAWL_EFFECT_DEFAULT);
    return r;
}

static void limit(rig *r, const char *queue, int concurrency, double rate, int burst)
{
    const pawl_value *args =
        pawl_build(r->scope, "{name: %s, concurrency: %d, rate: %p, burst: %d}", queue, concurrency,
                   pawl_v(pawl_make_num(r->scope, rate)), burst);
    rig_reply *reply = rig_post_value(r, "queue_set", args);
    rig_run(r);
    assert_int_equal(reply->status, PAWL_OK);
}

/* A run "name" of one call. */
static void call(rig *r, const char *name, const char *queue, const char *key, int priority)
{
    rig_start_with(r, "wf", name,
                   rig_value(r, "{queue: %s, key: %s, priority: %d}", queue, key, priority));
}

static void call_of(rig *r, const char *name, const char *activity, int effect)
{
    rig_start_with(r, "wf", name, rig_value(r, "{activity: %s, effect: %d}", activity, effect));
}

/* Ends the attempts one after the other, as they are: the runs they belong to, in order. */
static const char *order(rig *r)
{
    static char text[4096]; /* NOLINT: of the test alone */
    size_t size = 0;
    text[0] = 0;
    for (rig_task *t = rig_task_find(r, "work"); t != NULL; t = rig_task_find(r, "work")) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", size > 0 ? " " : "",
                                 pawl_task_run_id(t->task));
        rig_done(r, t, NULL);
        rig_run(r);
    }
    return text;
}

static const pawl_value *queue_of(rig *r, const char *name)
{
    const rig_reply *reply = rig_ask(r, "queues", "{}");
    for (size_t i = 0; i < pawl_len(reply->value); i++) {
        if (pawl_is(pawl_at(reply->value, i), "name", name)) {
            return pawl_at(reply->value, i);
        }
    }
    return NULL;
}

static void calls(rig *r, const char *prefix, int n, const char *queue, const char *key,
                  int priority)
{
    char name[32];
    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "%s%d", prefix, i);
        call(r, name, queue, key, priority);
    }
}

/* [Q1] */
static void no_more_are_under_way_than_the_queue_allows(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 2, 0, 0);
    calls(r, "a", 6, "q", "", 0);
    assert_int_equal(rig_tasks(r, "work"), 2);
    assert_int_equal(pawl_int(queue_of(r, "q"), "running", 0), 2);
    assert_int_equal(pawl_int(queue_of(r, "q"), "queued", 0), 4);
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "work"), 2);
    call(r, "elsewhere", "p", "", 0); /* another queue is another matter */
    assert_int_equal(rig_tasks(r, "work"), 3);
    assert_string_equal(order(r), "a1 a2 elsewhere a3 a4 a5");
    assert_int_equal(pawl_int(queue_of(r, "q"), "running", -1), 0);
    assert_int_equal(pawl_int(queue_of(r, "q"), "keys", -1), 0);
}

static void a_limit_counts_over_all_activities_of_the_queue(void **state)
{
    rig *r = begin(state);
    limit(r, "default", 1, 0, 0);
    call_of(r, "a", "work", 0);
    call_of(r, "b", "other", 0);
    assert_int_equal(rig_tasks(r, "work") + rig_tasks(r, "other"), 1);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "other"), 1);
}

static void limits_may_be_changed_while_tasks_wait(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 1, 0, 0);
    calls(r, "a", 6, "q", "", 0);
    limit(r, "q", 4, 0, 0);
    assert_int_equal(rig_tasks(r, "work"), 4);
    limit(r, "q", 2, 0, 0); /* what is under way goes on */
    assert_int_equal(rig_tasks(r, "work"), 4);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_done(r, rig_task_find(r, "work"), NULL);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "work"), 2);
    limit(r, "q", 0, 0, 0);
    assert_int_equal(rig_tasks(r, "work"), 4);
}

/* [Q2] */
static void higher_priority_first_and_then_in_the_order_they_came(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 1, 0, 0);
    call(r, "first", "q", "", 0);
    call(r, "low", "q", "", -5);
    call(r, "mid1", "q", "", 0);
    call(r, "high1", "q", "", 7);
    call(r, "mid2", "q", "", 0);
    call(r, "high2", "q", "", 7);
    assert_string_equal(order(r), "first high1 high2 mid1 mid2 low");
}

/* [Q2] */
static void keys_take_turns_however_many_one_has_queued(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 1, 0, 0);
    calls(r, "a", 5, "q", "ada", 0);
    calls(r, "b", 2, "q", "bob", 0);
    calls(r, "c", 2, "q", "cyd", 0);
    assert_string_equal(order(r), "a0 a1 b0 c0 a2 b1 c1 a3 a4");
}

static void a_key_that_comes_back_each_time_gets_its_turn_and_no_more(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 1, 0, 0);
    calls(r, "a", 8, "q", "ada", 0);
    char got[8] = "", name[16];
    for (int i = 0; i < 6; i++) { /* bob has one at a time */
        (void)snprintf(name, sizeof name, "b%d", i);
        if (strcmp(rig_status(r, name), "") == 0 &&
            (i == 0 || strcmp(rig_waiting(r, name), "") == 0)) {
            call(r, name, "q", "bob", 0);
        }
        rig_task *t = rig_task_find(r, "work");
        got[i] = pawl_task_run_id(t->task)[0];
        rig_done(r, t, NULL);
        rig_run(r);
    }
    assert_string_equal(got, "aababa"); /* never two of bob's in a row while ada waits */
}

static void a_key_starts_no_more_than_its_rate_and_its_burst(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 0, 2, 3); /* three at once, then one each half second */
    calls(r, "a", 8, "q", "ada", 0);
    assert_int_equal(rig_tasks(r, "work"), 3);
    for (int i = 4; i <= 8; i++) {
        rig_advance(r, 499);
        assert_int_equal(rig_tasks(r, "work"), i - 1);
        rig_advance(r, 1);
        assert_int_equal(rig_tasks(r, "work"), i);
    }
    (void)order(r);
    rig_advance(r, 1000); /* two tokens came meanwhile */
    calls(r, "b", 4, "q", "ada", 0);
    assert_int_equal(rig_tasks(r, "work"), 2);
}

/* [Q3] */
static void a_key_without_a_token_holds_up_no_other(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 0, 1, 1);
    calls(r, "a", 4, "q", "ada", 9);
    calls(r, "b", 1, "q", "bob", 0);
    call(r, "none", "q", "", 0);
    assert_int_equal(rig_tasks(r, "work"), 3);
    assert_string_equal(order(r), "a0 b0 none");
}

/* [Q3] */
static void an_activity_without_room_holds_up_no_other(void **state)
{
    rig *r = begin(state);
    limit(r, "default", 3, 0, 0);
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        call_of(r, name, "nobody-has-this", 0);
    }
    call_of(r, "a", "work", 0);
    assert_int_equal(rig_tasks(r, "work"), 1);
}

/* [Q1] */
static void limits_and_rates_hold_across_crashes(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 0, 1, 2);
    calls(r, "a", 40, "q", "ada", 0);
    int64_t from = r->now_ms;
    int started = 0;
    for (int i = 0; i < 30; i++) { /* a crash every 700 ms, and each attempt counts, done or not */
        for (rig_task *t = rig_task_find(r, "work"); t != NULL; t = rig_task_find(r, "work")) {
            started++;
            rig_done(r, t, NULL);
            rig_run(r);
        }
        assert_true(started <= 2 + (r->now_ms - from) / 1000);
        rig_advance(r, 700);
        if (i % 3 == 2) {
            rig_crash(r);
            rig_run(r);
        }
    }
    assert_true(started >= 8);
    assert_true(pawl_num(queue_of(r, "q"), "rate", 0) == 1);
    assert_int_equal(pawl_int(queue_of(r, "q"), "burst", 0), 2);
}

/* [Q1] An engine that dies sooner than a token comes starts nothing: it never bursts, whatever the burst. */
static void a_crash_loop_starts_less_than_the_rate_and_never_more(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 0, 2, 10);
    calls(r, "a", 40, "q", "ada", 0);
    size_t first = rig_tasks(r, "work");
    assert_int_equal(first, 10);
    while (rig_task_find(r, "work") != NULL) {
        rig_done(r, rig_task_find(r, "work"), NULL);
    }
    int started = 0;
    for (int i = 0; i < 50; i++) { /* ten seconds: 20 tokens */
        rig_crash(r);
        rig_advance(r, 200);
        for (; rig_task_find(r, "work") != NULL; started++) {
            rig_done(r, rig_task_find(r, "work"), NULL);
        }
    }
    assert_int_equal(started, 0);
    rig_advance(r, 500); /* as soon as it lives that long */
    assert_int_equal(rig_tasks(r, "work"), 1);
}

static void an_unsafe_effect_is_sent_only_when_it_may_start(void **state)
{
    rig *r = begin(state);
    limit(r, "default", 1, 0, 0);
    call_of(r, "a", "work", PAWL_EFFECT_UNSAFE);
    call_of(r, "b", "work", PAWL_EFFECT_UNSAFE);
    assert_int_equal(rig_count(r, "a", "ActivitySent"), 1);
    assert_int_equal(rig_count(r, "b", "ActivitySent"), 0);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "ActivityUnknown"),
                     1); /* and b is surely not sent: it goes on */
    assert_int_equal(rig_count(r, "b", "ActivitySent"), 1);
    rig_done(r, rig_task_find(r, "work"), NULL);
    assert_string_equal(rig_status(r, "b"), "completed");
}

static void what_is_paused_or_cancelled_gives_its_place_to_others(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 1, 0, 0);
    calls(r, "a", 4, "q", "", 0);
    (void)rig_ask(r, "pause", "{id: \"a1\"}");
    (void)rig_ask(r, "cancel", "{id: \"a2\"}");
    assert_string_equal(rig_status(r, "a2"), "canceled");
    (void)rig_ask(r, "terminate", "{id: \"a0\"}");
    rig_run(r);
    assert_string_equal(order(r), "a0 a3"); /* a0's code still runs here, and a3 had its place */
    (void)rig_ask(r, "resume", "{id: \"a1\"}");
    assert_string_equal(order(r), "a1");
}

static void a_clock_that_jumps_back_stops_no_key_for_longer_than_its_burst(void **state)
{
    rig *r = begin(state);
    limit(r, "q", 0, 1, 1);
    calls(r, "a", 3, "q", "ada", 0);
    assert_int_equal(rig_tasks(r, "work"), 1);
    r->now_ms -= 3600000;
    r->jumped_ms -= 3600000;
    pw_core_clock_changed(r->core);
    rig_advance(r, 1000);
    assert_int_equal(rig_tasks(r, "work"), 2);
}

static void wrong_limits_are_refused(void **state)
{
    rig *r = begin(state);
    assert_int_equal(rig_ask(r, "queue_set", "{concurrency: 1}")->status, PAWL_INVALID);
    assert_int_equal(rig_ask(r, "queue_set", "{name: \"q\", concurrency: -1}")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "queue_set", "{name: \"q\", rate: -0.5}")->status, PAWL_INVALID);
    assert_int_equal(rig_ask(r, "queue_set", "{name: \"q\", rate: 1, burst: 99999999999}")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_ask(r, "queue_set", "{name: \"q\", rate: 0.0000000000001}")->status,
                     PAWL_INVALID);
    assert_null(queue_of(r, "q"));
}

/* ---- at random, against a model ---- */

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void whatever_happens_limits_hold_and_all_is_done(void **state)
{
    rig *r = begin(state);
    static const char *const keys[] = {"", "ada", "bob", "cyd"};
    uint64_t seed = 20240601;
    char name[16];
    limit(r, "q", 3, 20, 2);
    for (int i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof name, "r%d", i);
        rig_start_with(r, "wf", name,
                       rig_value(r, "{queue: %s, key: %s, priority: %d, effect: %d}",
                                 draw(&seed) % 4 == 0 ? "p" : "q", keys[draw(&seed) % 4],
                                 (int)(draw(&seed) % 3), (int)(1 + draw(&seed) % 3)));
        for (rig_task *t = rig_task_find(r, "work"); t != NULL && draw(&seed) % 2 == 0;
             t = rig_task_find(r, "work")) {
            rig_done(r, t, NULL);
        }
        if (draw(&seed) % 25 == 0) {
            limit(r, "q", (int)(draw(&seed) % 4), (double)(draw(&seed) % 30),
                  (int)(draw(&seed) % 3));
        }
        rig_advance(r, (int64_t)(draw(&seed) % 40));
        pw_core_check(r->core);
    }
    for (int i = 0;
         i < 2000 && rig_tasks(r, "work") + (size_t)pawl_int(queue_of(r, "q"), "queued", 0) > 0;
         i++) {
        (void)order(r);
        rig_advance(r, 50);
        pw_core_check(r->core);
    }
    for (int i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof name, "r%d", i);
        assert_string_equal(rig_status(r, name), "completed");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(no_more_are_under_way_than_the_queue_allows),
        RIG_TEST(a_limit_counts_over_all_activities_of_the_queue),
        RIG_TEST(limits_may_be_changed_while_tasks_wait),
        RIG_TEST(higher_priority_first_and_then_in_the_order_they_came),
        RIG_TEST(keys_take_turns_however_many_one_has_queued),
        RIG_TEST(a_key_that_comes_back_each_time_gets_its_turn_and_no_more),
        RIG_TEST(a_key_starts_no_more_than_its_rate_and_its_burst),
        RIG_TEST(a_key_without_a_token_holds_up_no_other),
        RIG_TEST(an_activity_without_room_holds_up_no_other),
        RIG_TEST(limits_and_rates_hold_across_crashes),
        RIG_TEST(a_crash_loop_starts_less_than_the_rate_and_never_more),
        RIG_TEST(an_unsafe_effect_is_sent_only_when_it_may_start),
        RIG_TEST(what_is_paused_or_cancelled_gives_its_place_to_others),
        RIG_TEST(a_clock_that_jumps_back_stops_no_key_for_longer_than_its_burst),
        RIG_TEST(wrong_limits_are_refused),
        RIG_TEST(whatever_happens_limits_hold_and_all_is_done),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
