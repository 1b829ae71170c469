/*
 * state_test.c - what others see of a run, and what a run may call that is the same in every replay.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

/* ---- keys and queries ---- */

typedef struct counter {
    int n;
} counter;

static const pawl_value *how_many(pawl_run *w, const pawl_value *in, void *arg)
{
    const counter *c = arg;
    return pawl_json(w, "{n: %d, asked: %p}", c->n, pawl_v(in));
}

static const pawl_value *bad_handler(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    (void)arg;
    (void)pawl_sleep(w, 1);
    pawl_set(w, "written", NULL);
    return NULL;
}

static const pawl_value *unshields(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    (void)arg;
    pawl_unshield(w);
    pawl_shield(w, 1);
    return NULL;
}

static const pawl_value *shows(pawl_run *w, const pawl_value *in)
{
    (void)in;
    counter *c = pawl_alloc(w, sizeof *c);
    pawl_on_query(w, "how-many", how_many, c);
    pawl_on_query(w, "bad", bad_handler, NULL);
    pawl_on_query(w, "unshields", unshields, NULL);
    pawl_shield(w, 0);
    for (int i = 1; i <= 2; i++) {
        c->n = i;
        pawl_set(w, "step", pawl_json(w, "{i: %d}", i));
        (void)pawl_sleep(w, 100);
    }
    pawl_set(w, "step", NULL);
    return NULL;
}

static int64_t asked(rig *r, const char *name, const char *path)
{
    const rig_reply *reply = rig_ask(r, "query", "{id: %s, name: %s, input: {x: 3}}", "a", name);
    assert_int_equal(reply->status, PAWL_OK);
    return pawl_int(reply->value, path, -1);
}

static void keys_and_handlers_answer_live_evicted_recovered_and_finished_runs(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shows);
    rig_start(r, "wf", "a");
    assert_int_equal(asked(r, "step", "i"), 1);
    assert_int_equal(asked(r, "how-many", "n"), 1);
    assert_int_equal(asked(r, "how-many", "asked.x"), 3);
    rig_advance(r, 50000); /* idle for long: its stack is gone */
    assert_int_equal(asked(r, "how-many", "n"), 1);
    rig_crash(r);
    assert_int_equal(asked(r, "how-many", "n"), 1);
    rig_advance(r, 50000);
    assert_int_equal(asked(r, "step", "i"), 2);
    rig_advance(r, 200000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(asked(r, "how-many", "n"), 2);
    rig_crash(r);
    assert_int_equal(asked(r, "how-many", "n"), 2);
}

static void a_key_set_to_nil_is_gone(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shows);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_int(rig_key_value(r, "a", "step"), "i", 0), 1);
    rig_advance(r, 300000);
    assert_null(rig_key_value(r, "a", "step"));
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "step")->status, PAWL_NOTFOUND);
}

static void a_handler_that_asks_for_commands_is_told_off_and_changes_nothing(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shows);
    rig_start(r, "wf", "a");
    const char *before = rig_history(r, "a");
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "bad")->status, PAWL_MISUSE);
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "unshields")->status,
                     PAWL_MISUSE);
    assert_string_equal(rig_history(r, "a"), before);
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_int_equal(rig_count(r, "a", "TimerCanceled"), 0); /* it is shielded as it was */
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "none")->status, PAWL_NOTFOUND);
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "none", "none")->status,
                     PAWL_NOTFOUND);
    rig_advance(r, 300000);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_query_takes_no_turn(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shows);
    rig_start(r, "wf", "a");
    int64_t turns = rig_stat(r, "turns");
    for (int i = 0; i < 20; i++) {
        (void)asked(r, "how-many", "n");
    }
    assert_int_equal(rig_stat(r, "turns"), turns);
}

/* ---- progress ---- */

static const pawl_value *progresses(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_progress(w, 1, 4, "one of four");
    (void)pawl_sleep(w, 10);
    pawl_progress(w, 2, 4, "two of four");
    (void)pawl_sleep(w, 10);
    return NULL;
}

typedef struct progress_row {
    int64_t done, total;
    char text[64];
} progress_row;

static bool take_progress(void *ctx, const pw_run_row *row)
{
    progress_row *p = ctx;
    p->done = row->progress_done;
    p->total = row->progress_total;
    (void)snprintf(p->text, sizeof p->text, "%.*s", (int)row->progress_text.size,
                   (const char *)row->progress_text.data);
    return false;
}

static progress_row progress_of(rig *r, const char *id)
{
    progress_row p = {0};
    pawl_error err = {0};
    pw_view name = {(const uint8_t *)id, strlen(id)};
    assert_int_equal(r->reader->ops->run_find(r->reader, name, take_progress, &p, &err), PAWL_OK);
    return p;
}

static void progress_is_the_latest_and_no_event(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", progresses);
    rig_start(r, "wf", "a");
    progress_row p = progress_of(r, "a");
    assert_int_equal(p.done, 1);
    assert_int_equal(p.total, 4);
    assert_string_equal(p.text, "one of four");
    rig_crash(r);
    rig_advance(r, 10000);
    p = progress_of(r, "a");
    assert_int_equal(p.done, 2);
    assert_string_equal(p.text, "two of four");
    assert_string_equal(rig_history(r, "a"), "RunStarted TimerStarted TimerFired TimerStarted");
    rig_crash(r);
    rig_run(r);
    assert_string_equal(progress_of(r, "a").text, "two of four");
}

/* ---- the same in every replay ---- */

static const pawl_value *draws(pawl_run *w, const pawl_value *in)
{
    (void)in;
    uint64_t a = pawl_random(w);
    const char *u = pawl_uuid(w);
    int64_t t = pawl_now_ms(w);
    pawl_set(
        w, "before",
        pawl_json(w, "{a: %llu, u: %s, t: %lld}", (unsigned long long)(a >> 12), u, (long long)t));
    (void)pawl_sleep(w, 100);
    return pawl_json(w, "{a: %llu, u: %s, t: %lld, later: %lld, next: %llu}",
                     (unsigned long long)(a >> 12), u, (long long)t, (long long)pawl_now_ms(w),
                     (unsigned long long)(pawl_random(w) >> 12));
}

static void random_uuid_and_now_are_the_same_in_replay(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", draws);
    rig_start(r, "wf", "a");
    rig_start(r, "wf", "b");
    const pawl_value *before = rig_key_value(r, "a", "before");
    rig_crash(r);
    rig_advance(r, 60000);
    rig_crash(r);
    rig_advance(r, 60000);
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_int(v, "a", 0), pawl_int(before, "a", 1));
    assert_string_equal(pawl_str(v, "u", ""), pawl_str(before, "u", "?"));
    assert_int_equal(pawl_int(v, "t", 0), RIG_START_MS);
    assert_int_equal(pawl_int(v, "later", 0), RIG_START_MS + 100000);
    assert_true(pawl_int(rig_result(r, "b"), "a", 0) !=
                pawl_int(v, "a", 0)); /* another run, another seed */
    assert_true(pawl_int(v, "next", 0) != pawl_int(v, "a", 0));
}

static const pawl_value *logs(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_log(w, PAWL_WARN, "before %s", "the wait");
    (void)pawl_sleep(w, 10);
    pawl_log(w, PAWL_INFO, "after");
    (void)pawl_sleep(w, 10);
    return NULL;
}

static int lines(const rig *r, const char *text)
{
    int n = 0;
    const char *at = (const char *)r->log.data;
    const char *end = at + r->log.size;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        n++;
        at++;
    }
    return n;
}

static void a_log_line_of_workflow_code_comes_once_with_run_and_step(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", logs);
    rig_start(r, "wf", "a");
    rig_crash(r);
    rig_advance(r, 10000);
    rig_crash(r);
    rig_advance(r, 10000);
    assert_int_equal(lines(r, "WARN a 0 before the wait"), 1);
    assert_int_equal(lines(r, "INFO a 1 after"), 1);
}

/* ---- patches ---- */

static const pawl_value *old_code(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 10);
    (void)pawl_call(w, "old");
    (void)pawl_sleep(w, 10);
    return NULL;
}

static const pawl_value *new_code(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 10);
    if (pawl_patched(w, "use-new")) {
        (void)pawl_call(w, "new");
    } else {
        (void)pawl_call(w, "old");
    }
    (void)pawl_sleep(w, 10);
    return pawl_json(w, "{patched: %d}", pawl_patched(w, "use-new"));
}

static void open_patch(rig *r)
{
    rig_workflow(r, "wf", old_code);
    rig_held(r, "old", PAWL_EFFECT_DEFAULT);
    rig_held(r, "new", PAWL_EFFECT_DEFAULT);
}

static void redeploy(rig *r, pawl_workflow_fn fn)
{
    rig_kill(r);
    rig_replace(r, "wf", fn);
    r->build++;
    rig_boot(r);
}

static void a_patch_is_off_for_runs_that_passed_it_before(void **state)
{
    rig *r = *state;
    open_patch(r);
    rig_start(r, "wf", "a");
    rig_advance(r, 10000);
    redeploy(r, new_code);
    rig_run(r);
    rig_done(r, rig_task_find(r, "old"), NULL);
    rig_advance(r, 10000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "patched", -1), 0);
}

static void a_patch_is_on_for_runs_that_reach_it_first_with_the_new_code(void **state)
{
    rig *r = *state;
    open_patch(r);
    rig_start(r, "wf", "a");
    redeploy(r, new_code); /* it has not come there yet */
    rig_advance(r, 10000);
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "new"), NULL);
    rig_advance(r, 10000);
    assert_int_equal(pawl_int(rig_result(r, "a"), "patched", -1), 1);
    assert_int_equal(rig_count(r, "a", "Patched"), 1);
}

static const pawl_value *newest_code(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 10);
    (void)pawl_call(w, "new");
    (void)pawl_sleep(w, 10);
    return NULL;
}

static void a_patch_may_be_taken_out_of_the_code_once_the_old_runs_are_gone(void **state)
{
    rig *r = *state;
    open_patch(r);
    redeploy(r, new_code);
    rig_start(r, "wf", "a");
    rig_advance(r, 10000);
    redeploy(r, newest_code);
    rig_run(r);
    rig_done(r, rig_task_find(r, "new"), NULL);
    rig_advance(r, 10000);
    assert_string_equal(rig_status(r, "a"), "completed");
}

/* ---- time ---- */

static const pawl_value *long_sleep(pawl_run *w, const pawl_value *in)
{
    (void)pawl_sleep(w, pawl_num(in, "s", 0));
    return pawl_json(w, "%lld", (long long)pawl_now_ms(w));
}

static void sleeps_of_a_millisecond_and_of_ten_years_end_on_time(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", long_sleep);
    rig_start_with(r, "wf", "ms", rig_value(r, "{s: 0.001}"));
    rig_start_with(r, "wf", "none", rig_value(r, "{s: 0}"));
    rig_start_with(r, "wf", "years", rig_value(r, "{s: %g}", 315360000.0));
    rig_advance(r, 1);
    assert_string_equal(rig_status(r, "ms"), "completed");
    assert_string_equal(rig_status(r, "none"), "completed");
    int64_t year = INT64_C(31536000000);
    for (int i = 0; i < 10; i++) {
        assert_string_equal(rig_status(r, "years"), "running");
        rig_kill(r);
        r->now_ms += year; /* switched off */
        rig_boot(r);
        rig_run(r);
    }
    assert_string_equal(rig_status(r, "years"), "completed");
}

static void a_sleep_that_is_due_later_than_ten_minutes_is_not_in_memory(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", long_sleep);
    for (int i = 0; i < 50; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "s%d", i);
        rig_start_with(r, "wf", id, rig_value(r, "{s: 3600}"));
    }
    assert_int_equal(rig_stat(r, "timers"), 0);
    rig_advance(r, 3600000);
    assert_string_equal(rig_status(r, "s49"), "completed");
}

static void
a_clock_that_jumps_ahead_fires_what_is_due_in_order_and_one_that_jumps_back_waits(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", long_sleep);
    rig_start_with(r, "wf", "later", rig_value(r, "{s: 7200}"));
    rig_start_with(r, "wf", "sooner", rig_value(r, "{s: 3600}"));
    r->now_ms -= 600000;
    pw_core_clock_changed(r->core);
    rig_advance(r, 3600000);
    assert_string_equal(rig_status(r, "sooner"), "running");
    r->now_ms += 100000000;
    pw_core_clock_changed(r->core);
    rig_run(r);
    assert_string_equal(rig_status(r, "sooner"), "completed");
    assert_string_equal(rig_status(r, "later"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(keys_and_handlers_answer_live_evicted_recovered_and_finished_runs),
        RIG_TEST(a_key_set_to_nil_is_gone),
        RIG_TEST(a_handler_that_asks_for_commands_is_told_off_and_changes_nothing),
        RIG_TEST(a_query_takes_no_turn),
        RIG_TEST(progress_is_the_latest_and_no_event),
        RIG_TEST(random_uuid_and_now_are_the_same_in_replay),
        RIG_TEST(a_log_line_of_workflow_code_comes_once_with_run_and_step),
        RIG_TEST(a_patch_is_off_for_runs_that_passed_it_before),
        RIG_TEST(a_patch_is_on_for_runs_that_reach_it_first_with_the_new_code),
        RIG_TEST(a_patch_may_be_taken_out_of_the_code_once_the_old_runs_are_gone),
        RIG_TEST(sleeps_of_a_millisecond_and_of_ten_years_end_on_time),
        RIG_TEST(a_sleep_that_is_due_later_than_ten_minutes_is_not_in_memory),
        RIG_TEST(a_clock_that_jumps_ahead_fires_what_is_due_in_order_and_one_that_jumps_back_waits),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
