/*
 * branch_test.c - branches and futures: their order, what wins, what is left open at the end, and the bounds of one run.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

/* ---- order ---- */

typedef struct trace {
    char text[256];
} trace;

typedef struct walker {
    trace *t;
    int n;
} walker;

static const pawl_value *walk(pawl_run *w, void *arg)
{
    const walker *me = arg;
    for (int i = 0; i < 3; i++) {
        size_t used = strlen(me->t->text);
        (void)snprintf(me->t->text + used, sizeof me->t->text - used, "%d%c ", me->n, 'a' + i);
        (void)pawl_sleep(w, 10);
    }
    return NULL;
}

static const pawl_value *three_walkers(pawl_run *w, const pawl_value *in)
{
    (void)in;
    trace *t = pawl_alloc(w, sizeof *t);
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        walker *me = pawl_alloc(w, sizeof *me);
        *me = (walker){t, i};
        f[i] = pawl_go(w, walk, me);
    }
    (void)pawl_await_all(w, f, 3);
    return pawl_json(w, "{trace: %s}", t->text);
}

static void branches_go_on_in_the_order_they_were_made(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", three_walkers);
    rig_start(r, "wf", "a");
    rig_advance(r, 30000);
    assert_string_equal(pawl_str(rig_result(r, "a"), "trace", ""), "0a 1a 2a 0b 1b 2b 0c 1c 2c ");
}

static void a_crash_between_does_not_change_their_order(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", three_walkers);
    rig_start(r, "wf", "a");
    for (int i = 0; i < 3; i++) {
        rig_crash(r);
        rig_advance(r, 10000);
    }
    assert_string_equal(pawl_str(rig_result(r, "a"), "trace", ""), "0a 1a 2a 0b 1b 2b 0c 1c 2c ");
}

/* ---- any, all, first ---- */

static const pawl_value *any_of_three(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        f[i] = pawl_call_start(w, "work", .input = pawl_json(w, "{n: %d}", i),
                               .retries = PAWL_RETRY_NONE);
    }
    int first = pawl_await_any(w, f, 3);
    return pawl_json(w, "{first: %d, ok: %d}", first, pawl_ok(w) ? 1 : 0);
}

static rig_task *numbered(rig *r, int n)
{
    rig_task *t;
    for (t = r->tasks; t != NULL; t = t->next) {
        if (!t->orphan && pawl_int(pawl_task_input(t->task), "n", -1) == n) {
            return t;
        }
    }
    return NULL;
}

static void open_three(rig *r, pawl_workflow_fn fn)
{
    rig_workflow(r, "wf", fn);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
}

static void any_takes_the_one_whose_event_came_first_not_the_first_in_the_array(void **state)
{
    rig *r = *state;
    open_three(r, any_of_three);
    /* 2 and then 0 end, and one turn sees both */
    rig_end(r, numbered(r, 2), NULL);
    rig_end(r, numbered(r, 0), NULL);
    while (rig_deliver(r)) {
    }
    rig_run(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "first", -1), 2);
}

static void any_is_content_with_one_that_failed(void **state)
{
    rig *r = *state;
    open_three(r, any_of_three);
    rig_fail(r, numbered(r, 1), "Boom", true);
    assert_int_equal(pawl_int(rig_result(r, "a"), "first", -1), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "ok", -1), 1);
}

static const pawl_value *first_of_three(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        f[i] = pawl_call_start(w, "work", .input = pawl_json(w, "{n: %d}", i),
                               .retries = PAWL_RETRY_NONE);
    }
    int first = pawl_await_first(w, f, 3);
    return pawl_json(w, "{first: %d}", first);
}

static void first_waits_for_a_success(void **state)
{
    rig *r = *state;
    open_three(r, first_of_three);
    rig_fail(r, numbered(r, 1), "Boom", true);
    rig_fail(r, numbered(r, 0), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, numbered(r, 2), NULL);
    assert_int_equal(pawl_int(rig_result(r, "a"), "first", -1), 2);
}

static void when_all_failed_first_fails_with_the_first_failure_as_cause(void **state)
{
    rig *r = *state;
    open_three(r, first_of_three);
    rig_fail(r, numbered(r, 1), "Boom1", true);
    rig_fail(r, numbered(r, 0), "Boom0", true);
    rig_fail(r, numbered(r, 2), "Boom2", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "AllFailed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "cause.type", ""), "Boom0");
}

static const pawl_value *all_of_three(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f[3];
    for (int i = 0; i < 3; i++) {
        f[i] = pawl_call_start(w, "work", .input = pawl_json(w, "{n: %d}", i),
                               .retries = PAWL_RETRY_NONE);
    }
    (void)pawl_await_all(w, f, 3);
    return NULL;
}

static void all_waits_for_the_last_and_fails_with_the_first_of_the_array(void **state)
{
    rig *r = *state;
    open_three(r, all_of_three);
    rig_fail(r, numbered(r, 2), "Boom2", true);
    rig_fail(r, numbered(r, 1), "Boom1", true);
    assert_string_equal(rig_status(r, "a"), "running");
    rig_done(r, numbered(r, 0), NULL);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Boom1");
}

static const pawl_value *branch_fails(pawl_run *w, void *arg)
{
    (void)arg;
    (void)pawl_sleep(w, 1);
    return pawl_fail(w, "Inner", "in the branch");
}

static const pawl_value *awaits_a_branch(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_future *f = pawl_go(w, branch_fails, NULL);
    bool mine = pawl_ok(w);
    (void)pawl_sleep(w, 5);
    bool still = pawl_ok(w);
    (void)pawl_await(w, f);
    const pawl_failure *failure = pawl_catch(w);
    return pawl_json(w, "{mine: %d, still: %d, type: %s}", mine, still,
                     failure != NULL ? failure->type : "");
}

static void a_branch_has_its_own_failure_until_it_is_awaited(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", awaits_a_branch);
    rig_start(r, "wf", "a");
    rig_advance(r, 5000);
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_int(v, "mine", 0), 1);
    assert_int_equal(pawl_int(v, "still", 0), 1);
    assert_string_equal(pawl_str(v, "type", ""), "Inner");
}

/* ---- ending with things open ---- */

static const pawl_value *sits(pawl_run *w, void *arg)
{
    (void)arg;
    (void)pawl_signal(w, "never");
    return NULL;
}

static const pawl_value *leaves_all_open(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_go(w, sits, NULL);
    (void)pawl_call_start(w, "work");
    (void)pawl_timer_start(w, 500);
    (void)pawl_ask_start(w, "q", .deadline_s = 400);
    (void)pawl_child_start(w, .workflow = "child");
    (void)pawl_sleep(w, 1);
    return pawl_json(w, "{done: true}");
}

static const pawl_value *child_waits(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_signal(w, "never");
    return NULL;
}

static void a_run_that_returns_leaves_nothing_open(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", leaves_all_open);
    rig_workflow(r, "child", child_waits);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_task *t = rig_task_find(r, "work");
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_true(t->cancel_asked);
    assert_string_equal(rig_status(r, "a/4"), "terminated");
    rig_drop(r, t);
    const char *before = rig_history(r, "a");
    rig_advance(r, 1000000);
    assert_string_equal(rig_history(r, "a"), before);
    rig_crash(r);
    rig_advance(r, 1000);
    assert_null(rig_task_find(r, "work"));
}

/* ---- bounds ---- */

static const pawl_value *loops(pawl_run *w, const pawl_value *in)
{
    (void)in;
    for (unsigned i = 0;; i++) {
        pawl_set(w, "i", pawl_json(w, "%d", (int)(i & 0xffff)));
    }
    return NULL;
}

static void a_turn_that_never_waits_fails_the_run(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", loops);
    rig_start(r, "wf", "a");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "TooManyCommands");
}

static const pawl_value *ignores(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_fail(w, "Boom", "and nobody looks");
    while (!pawl_sleep(w, 1)) {
    }
    return NULL;
}

static void a_run_that_ignores_its_failure_for_ever_fails(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", ignores);
    rig_start(r, "wf", "a");
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "IgnoredFailure");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "cause.type", ""), "Boom");
}

static const pawl_value *many_branches(pawl_run *w, const pawl_value *in)
{
    (void)in;
    int made = 0;
    while (pawl_go(w, sits, NULL) != NULL) {
        made++;
    }
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{made: %d, type: %s}", made, f != NULL ? f->type : "");
}

static void a_run_has_at_most_1024_branches(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", many_branches);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "made", 0),
                     PW_BRANCHES_MAX - 1); /* and the main one */
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "LimitExceeded");
}

static const pawl_value *tick(pawl_step *s, const pawl_value *in)
{
    (void)s;
    return in;
}

static const pawl_value *many_open(pawl_run *w, const pawl_value *in)
{
    (void)in;
    int made = 0;
    for (int turn = 0; turn < 3 && pawl_ok(w); turn++) {
        for (int i = 0; i < 5000 && pawl_timer_start(w, 1000) != NULL; i++) {
            made++;
        }
        (void)pawl_local(w, "tick", tick, NULL);
    }
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{made: %d, type: %s}", made, f != NULL ? f->type : "");
}

static void a_run_has_at_most_10000_open_commands(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", many_open);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "made", 0), PW_OPEN_COMMANDS_MAX);
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "LimitExceeded");
}

static const pawl_value *big_step(pawl_step *s, const pawl_value *in)
{
    (void)in;
    size_t size = 3u << 20;
    char *text = pawl_scope_alloc(pawl_step_scope(s), size + 1);
    memset(text, 'x', size);
    return pawl_make_strn(pawl_step_scope(s), text, size);
}

static const pawl_value *big_values(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v = pawl_local(w, "big", big_step, NULL);
    const pawl_value *back = pawl_call(w, "echo", .input = v);
    return pawl_json(w, "{size: %zu, same: %d}", pawl_len(back), pawl_equal(v, back));
}

static const pawl_value *echo(pawl_task *task, const pawl_value *in, void *user)
{
    (void)task;
    (void)user;
    return in;
}

static void payloads_of_megabytes_go_through_steps_and_activities(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", big_values);
    rig_activity(r, "echo", echo);
    rig_start(r, "wf", "a");
    assert_int_equal(pawl_int(rig_result(r, "a"), "size", 0), 3 << 20);
    assert_int_equal(pawl_int(rig_result(r, "a"), "same", 0), 1);
    rig_crash(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "size", 0), 3 << 20);
}

static const pawl_value *failing_step(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_fail(s, "NoLuck", "key %s", pawl_step_key(s));
}

static const pawl_value *runs_a_failing_step(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_local(w, "try", failing_step, NULL);
    const pawl_failure *f = pawl_catch(w);
    return pawl_json(w, "{type: %s, message: %s}", f->type, f->message);
}

static void a_local_step_that_fails_is_on_record_as_failed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", runs_a_failing_step);
    rig_start(r, "wf", "a");
    assert_string_equal(pawl_str(rig_result(r, "a"), "type", ""), "NoLuck");
    assert_string_equal(pawl_str(rig_result(r, "a"), "message", ""), "key a/1");
    assert_int_equal(rig_count(r, "a", "StepFailed"), 1);
}

static const pawl_value *counts_steps(pawl_run *w, const pawl_value *in)
{
    (void)in;
    for (int i = 0; i < 4; i++) {
        (void)pawl_local(w, "tick", tick, NULL);
    }
    return NULL;
}

static void a_local_step_ends_the_turn_and_its_result_is_committed_before_what_follows(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", counts_steps);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    for (int i = 1; i <= 4; i++) {
        rig_step(r);
        assert_true(rig_commit(r));
        assert_int_equal(rig_count(r, "a", "StepCompleted"), i);
        assert_true(rig_answer(r));
    }
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(branches_go_on_in_the_order_they_were_made),
        RIG_TEST(a_crash_between_does_not_change_their_order),
        RIG_TEST(any_takes_the_one_whose_event_came_first_not_the_first_in_the_array),
        RIG_TEST(any_is_content_with_one_that_failed),
        RIG_TEST(first_waits_for_a_success),
        RIG_TEST(when_all_failed_first_fails_with_the_first_failure_as_cause),
        RIG_TEST(all_waits_for_the_last_and_fails_with_the_first_of_the_array),
        RIG_TEST(a_branch_has_its_own_failure_until_it_is_awaited),
        RIG_TEST(a_run_that_returns_leaves_nothing_open),
        RIG_TEST(a_turn_that_never_waits_fails_the_run),
        RIG_TEST(a_run_that_ignores_its_failure_for_ever_fails),
        RIG_TEST(a_run_has_at_most_1024_branches),
        RIG_TEST(a_run_has_at_most_10000_open_commands),
        RIG_TEST(payloads_of_megabytes_go_through_steps_and_activities),
        RIG_TEST(a_local_step_that_fails_is_on_record_as_failed),
        RIG_TEST(a_local_step_ends_the_turn_and_its_result_is_committed_before_what_follows),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
