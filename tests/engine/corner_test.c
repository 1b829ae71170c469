/*
 * corner_test.c - where two things meet: questions and groups that fail, code that changed under a closed door, ends that come twice,
 * memory that runs out in the middle of a turn, and code that loops where it must not.
 */
#include "rig.h"

#include <stdio.h>

#include "sdk/base/mem.h"

static const pawl_value *keyed(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_set(w, "where", pawl_json(w, "1"));
    (void)pawl_signal(w, "go");
    return pawl_signal(w, "go");
}

static const pawl_value *keyed_changed(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 1);
    return NULL;
}

static void a_key_of_a_frozen_run_is_answered_after_its_ack(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", keyed);
    rig_start(r, "wf", "a");
    (void)rig_post(r, "signal", "{id: %s, name: %s}", "a", "go");
    rig_step(r);
    const rig_reply *reply = rig_post(r, "query", "{id: %s, name: %s}", "a", "where");
    rig_run(r);
    assert_true(reply->done);
    assert_int_equal(reply->status, PAWL_OK);
    assert_int_equal(pawl_int(reply->value, "", 0), 1);
}

static void who_asked_about_a_start_that_was_not_written_is_told(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", keyed);
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    const rig_reply *start = rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    const rig_reply *result = rig_post(r, "result", "{id: %s}", "a");
    const rig_reply *query = rig_post(r, "query", "{id: %s, name: %s}", "a", "where");
    rig_run(r);
    assert_int_equal(start->status, PAWL_NOT);
    assert_true(result->done);
    assert_int_equal(result->status, PAWL_NOTFOUND);
    assert_true(query->done);
    assert_int_equal(query->status, PAWL_NOTFOUND);
}

static void a_query_of_a_run_whose_group_was_not_written_is_answered(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", keyed);
    rig_start(r, "wf", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    (void)rig_post(r, "signal", "{id: %s, name: %s}", "a", "go");
    rig_step(r);
    const rig_reply *query = rig_post(r, "query", "{id: %s, name: %s}", "a", "where");
    rig_run(r);
    assert_true(query->done);
    assert_int_equal(query->status, PAWL_OK);
}

static const pawl_value *shows_progress(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_signal(w, "go");
    pawl_progress(w, 1, 2, "half");
    (void)pawl_signal(w, "go");
    return pawl_signal(w, "go");
}

/* [E6] */
static void what_a_turn_that_was_not_written_changed_in_the_row_is_not_in_a_later_one(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    rig_workflow(r, "wf", shows_progress);
    rig_start(r, "wf", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_NOT);
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_NOT);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "other")->status, PAWL_OK);
    assert_string_equal(rig_reason(r, "a"), "");
    assert_int_equal(rig_progress(r, "a"), 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
    assert_int_equal(rig_progress(r, "a"), 1);
}

enum { QUESTIONS = 12 };

static const pawl_value *asks_much(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *all[QUESTIONS];
    for (int i = 0; i < QUESTIONS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%d", i);
        all[i] = pawl_ask_start(w, name, .choices = "yes|no");
    }
    (void)pawl_await_all(w, all, QUESTIONS);
    return NULL;
}

static void many_answers_to_a_run_that_is_not_in_memory_count_once_each(void **state)
{
    rig *r = *state;
    const rig_reply *replies[2 * QUESTIONS];
    rig_workflow(r, "wf", asks_much);
    rig_start(r, "wf", "a");
    (void)rig_ask(r, "pause", "{id: %s}", "a");
    rig_crash(r);
    for (int i = 0; i < 2 * QUESTIONS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%d", i % QUESTIONS);
        replies[i] = rig_post(r, "answer", "{id: %s, name: %s, value: {choice: %s}}", "a", name,
                              i < QUESTIONS ? "yes" : "no");
    }
    rig_run(r);
    for (int i = 0; i < 2 * QUESTIONS; i++) {
        assert_true(replies[i]->done);
        assert_int_equal(replies[i]->status == PAWL_OK, i < QUESTIONS);
    }
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), QUESTIONS);
    (void)rig_ask(r, "resume", "{id: %s}", "a");
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void asking_a_paused_run_whose_code_changed_writes_nothing_into_its_history(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", keyed);
    rig_start(r, "wf", "a");
    (void)rig_ask(r, "pause", "{id: %s}", "a");
    rig_replace(r, "wf", keyed_changed);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "none")->status,
                     PAWL_NONDETERMINISM);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(rig_count(r, "a", "RunPaused"), 1);
    rig_replace(r, "wf", keyed);
    rig_crash(r);
    rig_run(r);
    (void)rig_ask(r, "resume", "{id: %s}", "a");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go")->status,
                     PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 2);
}

static const pawl_value *parent(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_child(w, .workflow = "child", .id = "kid");
    const pawl_failure *f = pawl_catch(w);
    (void)pawl_signal(w, "go");
    return pawl_json(w, "{first: %s}", f != NULL ? f->type : "none");
}

static const pawl_value *child(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in, .retries = PAWL_RETRY_NONE);
}

static void a_child_that_ends_twice_ends_once_for_a_paused_parent(void **state)
{
    rig *r = *state;
    rig_workflow(r, "parent", parent);
    rig_workflow(r, "child", child);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "parent", "p");
    rig_fail(r, rig_task_find(r, "work"), "Boom", false);
    (void)rig_ask(r, "pause", "{id: %s}", "p");
    rig_crash(r); /* the parent is a shell now */
    rig_run(r);
    assert_int_equal(rig_ask(r, "retry", "{id: %s}", "kid")->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "1"));
    assert_string_equal(rig_status(r, "kid"), "completed");
    assert_int_equal(rig_count(r, "p", "ChildFailed"), 1);
    assert_int_equal(rig_count(r, "p", "ChildCompleted"), 0);
    (void)rig_ask(r, "resume", "{id: %s}", "p");
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "p", "go");
    assert_string_equal(rig_status(r, "p"), "completed");
    assert_string_equal(pawl_str(rig_result(r, "p"), "first", ""), "ChildFailed");
}

/* ---- code that loops ---- */

static void *fold_new(void *user)
{
    (void)user;
    return calloc(1, 1);
}

static void fold_apply(void *state, const pawl_fold_event *e)
{
    (void)state;
    (void)e;
}

static void fold_decide(void *state, pawl_fold *f)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        pawl_fold_set(f, "k", NULL);
    }
}

static void a_folded_run_that_asks_for_too_much_fails(void **state)
{
    rig *r = *state;
    static const pawl_folded folded = {.struct_size = sizeof folded,
                                       .init = fold_new,
                                       .apply = fold_apply,
                                       .decide = fold_decide,
                                       .deinit = free};
    rig_folded(r, "fold", &folded);
    rig_start(r, "fold", "a");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "TooManyCommands");
}

static const pawl_value *progresses_for_ever(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_fail(w, "Boom", "at once");
    for (int64_t i = 0; i < INT64_MAX; i++) {
        pawl_progress(w, i, 2, "on and on");
    }
    return NULL;
}

static void progress_after_a_failure_ends_in_replay_as_it_did_in_life(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", progresses_for_ever);
    rig_start(r, "wf", "a");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "IgnoredFailure");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "none")->status, PAWL_NOTFOUND);
}

static const pawl_value *commanding(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    (void)arg;
    for (int i = 0; i < 2 * PW_NOOP_COMMANDS_MAX; i++) {
        pawl_set(w, "k", NULL);
    }
    return NULL;
}

static const pawl_value *clearing(pawl_run *w, const pawl_value *in, void *arg)
{
    (void)in;
    (void)arg;
    (void)pawl_catch(w);
    pawl_set(w, "k", NULL);
    return NULL;
}

static const pawl_value *handles(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_on_query(w, "commanding", commanding, NULL);
    pawl_on_query(w, "clearing", clearing, NULL);
    return pawl_signal(w, "go");
}

static void a_query_handler_that_commands_is_told_off_and_the_run_goes_on(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", handles);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "commanding")->status,
                     PAWL_MISUSE);
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "clearing")->status,
                     PAWL_MISUSE);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 3}", "a", "go")->status,
                     PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 3);
}

/* ---- memory ---- */

static int failures_left;

static const pawl_value *hungry(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *got = pawl_call(w, "work");
    (void)pawl_signal(w, "go");
    char big[3000]; /* more than any buffer that is kept: setting it has to ask for memory */
    memset(big, 'x', sizeof big);
    const pawl_value *value = pawl_make_strn(pawl_run_scope(w), big, sizeof big);
    if (failures_left > 0) {
        failures_left--;
        pw_mem_fail(1, false);
    }
    pawl_set(w, "k", value);
    return got;
}

static void a_turn_without_memory_is_dropped_and_tried_again(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", hungry);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a",
                  "go"); /* unread: the result below brings the code to the bad place */
    failures_left = 3;
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "7"));
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 5000);
    assert_int_equal(failures_left, 0);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 7);
    assert_int_equal(rig_count(r, "a", "ActivityCompleted"), 1);
}

static void a_caller_hears_that_its_turn_had_no_memory(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", hungry);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_done(r, rig_task_find(r, "work"), rig_value(r, "7"));
    failures_left = 1;
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_NOMEM);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_advance(r, 2000);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
}

static const pawl_value *leaves_timers(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_timer_start(w, 2);
    (void)pawl_signal_start(w, .name = "go", .timeout_s = 2);
    (void)pawl_ask_start(w, .name = "which", .deadline_s = 2);
    pawl_shield(w, 2);
    return NULL;
}

static void a_timer_of_a_run_that_has_ended_writes_nothing_into_its_history(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", leaves_timers);
    rig_start(r, "wf", "a");
    const char *history = rig_history(r, "a");
    assert_string_equal(rig_status(r, "a"), "completed");
    rig_advance(r, 4000);
    assert_string_equal(rig_history(r, "a"), history);
    rig_crash(r);
    rig_advance(r, 4000);
    assert_string_equal(rig_history(r, "a"), history);
}

static int ran;

static const pawl_value *counts_itself(pawl_run *w, const pawl_value *in)
{
    (void)in;
    ran++;
    return pawl_signal(w, "go");
}

static void after_a_death_in_a_first_turn_starts_land_before_their_code_runs(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", counts_itself);
    rig_kill(r);
    r->crumb =
        (pw_crumb_found){.run = 77, .site = "a in wf"}; /* a run that the journal does not have */
    rig_boot(r);
    ran = 0;
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    rig_step(r);
    (void)rig_commit(r);
    assert_int_equal(ran, 0);
    assert_int_equal(rig_count(r, "a", "RunStarted"), 1);
    rig_run(r);
    assert_true(ran > 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void no_code_runs_before_a_crash_that_was_found_is_counted_on_disk(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", counts_itself);
    rig_start(r, "wf", "a");
    rig_start(r, "wf", "b");
    (void)rig_ask(r, "pause", "{id: %s}", "b");
    (void)rig_ask(r, "resume", "{id: %s}", "b"); /* it goes on by itself after a restart */
    int64_t key = rig_key(r, "a");
    rig_kill(r);
    r->crumb = (pw_crumb_found){.run = key, .site = "a in wf"};
    rig_boot(r);
    ran = 0;
    const rig_reply *signal = rig_post(r, "signal", "{id: %s, name: %s}", "b", "go");
    for (int i = 0; i < 5; i++) {
        rig_step(r);
    }
    assert_int_equal(ran, 0);
    rig_run(r);
    assert_int_equal(signal->status, PAWL_OK);
    assert_string_equal(rig_status(r, "b"), "completed");
    assert_true(ran > 0);
}

static const pawl_value *calling(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "work", .input = in);
}

static void output_stands_at_no_place_that_cannot_be(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", calling);
    const rig_reply *task = rig_post(r, "task_poll", "{activities: [%s]}", "work");
    rig_start(r, "wf", "a");
    assert_true(task->done);
    const char *token = pawl_str(task->value, "token", "");
    static const struct {
        int64_t at;
        pawl_status status;
    } said[] = {
        {INT64_MAX, PAWL_INVALID}, {INT64_MIN, PAWL_INVALID}, {-1, PAWL_INVALID}, {7, PAWL_OK}};
    for (size_t i = 0; i < PW_COUNT(said); i++) {
        assert_int_equal(rig_ask(r, "task_output", "{token: %s, channel: %s, data: %s, at: %lld}",
                                 token, "text", "two", (long long)said[i].at)
                             ->status,
                         said[i].status);
    }
    assert_int_equal(rig_ask(r, "task_done", "{token: %s, result: 1}", token)->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(a_key_of_a_frozen_run_is_answered_after_its_ack),
        RIG_TEST(after_a_death_in_a_first_turn_starts_land_before_their_code_runs),
        RIG_TEST(no_code_runs_before_a_crash_that_was_found_is_counted_on_disk),
        RIG_TEST(who_asked_about_a_start_that_was_not_written_is_told),
        RIG_TEST(a_query_of_a_run_whose_group_was_not_written_is_answered),
        RIG_TEST(what_a_turn_that_was_not_written_changed_in_the_row_is_not_in_a_later_one),
        RIG_TEST(many_answers_to_a_run_that_is_not_in_memory_count_once_each),
        RIG_TEST(asking_a_paused_run_whose_code_changed_writes_nothing_into_its_history),
        RIG_TEST(a_child_that_ends_twice_ends_once_for_a_paused_parent),
        RIG_TEST(a_folded_run_that_asks_for_too_much_fails),
        RIG_TEST(progress_after_a_failure_ends_in_replay_as_it_did_in_life),
        RIG_TEST(a_query_handler_that_commands_is_told_off_and_the_run_goes_on),
        RIG_TEST(a_turn_without_memory_is_dropped_and_tried_again),
        RIG_TEST(a_caller_hears_that_its_turn_had_no_memory),
        RIG_TEST(a_timer_of_a_run_that_has_ended_writes_nothing_into_its_history),
        RIG_TEST(output_stands_at_no_place_that_cannot_be),
    };
    return rig_run_modes(tests, sizeof tests / sizeof tests[0], false);
}
