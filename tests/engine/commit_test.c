/*
 * commit_test.c - nothing leaves before its group has landed, a run is frozen until its ack, and groups that do not land lose nothing.
 */
#include "rig.h"

#include <stdio.h>

static const pawl_value *one_call(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work");
}

static const pawl_value *two_signals(pawl_run *w, const pawl_value *in)
{
    (void)in;
    int64_t a = pawl_int(pawl_signal(w, "go"), "", 0);
    int64_t b = pawl_int(pawl_signal(w, "go"), "", 0);
    return pawl_json(w, "%lld", (long long)(a * 10 + b));
}

static void open_call(rig *r)
{
    rig_workflow(r, "wf", one_call);
    rig_workflow(r, "signals", two_signals);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
}

/* [E1] */
static void nothing_is_acked_or_dispatched_before_its_group_has_landed(void **state)
{
    rig *r = *state;
    open_call(r);
    const rig_reply *start = rig_post(r, "start", "{workflow: %s, id: %s}", "wf", "a");
    rig_step(r);
    rig_step(r);
    assert_false(start->done);
    assert_null(rig_task_find(r, "work"));
    assert_true(rig_commit(r));
    rig_step(r);
    assert_false(start->done);
    assert_null(rig_task_find(r, "work"));
    assert_true(rig_answer(r));
    assert_true(start->done);
    rig_step(r);
    assert_non_null(rig_task_find(r, "work"));
}

static void when_the_engine_stops_for_good_everybody_who_waits_is_told_at_once(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    open_call(r);
    rig_start(r, "signals", "a");
    rig_start(r, "signals", "b");
    enum { ASKED = 7 };
    const rig_reply *asked[ASKED];
    asked[0] = rig_post(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go");
    rig_step(r);
    asked[1] =
        rig_post(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go"); /* waits for the thaw, */
    asked[2] = rig_post(r, "stack", "{id: %s}", "a");                     /* as does this, */
    asked[3] = rig_post(r, "result", "{id: %s}", "a");                    /* and this for its end */
    asked[4] = rig_post(r, "signal", "{id: %s, name: %s}", "nobody", "go");
    asked[5] = rig_post(r, "signal", "{id: %s, name: %s, dedup: %s}", "nobody", "go",
                        "k"); /* its outcome is in the group being built */
    asked[6] = rig_post(r, "start", "{workflow: %s, id: %s}", "signals", "c");
    pw_memory_fail_commit(r->store, PW_FAULT_UNKNOWN_LOST, 0);
    pw_memory_fail_reopen(r->store, 1);
    assert_true(rig_commit(r) && rig_answer(r));
    assert_true(r->failed);
    for (int i = 0; i < ASKED; i++) {
        if (!asked[i]->done) {
            fail_msg("request %d waits", i);
        }
        assert_int_not_equal(asked[i]->status, PAWL_OK);
    }
}

/* [E2] */
static void a_run_is_frozen_until_its_ack_and_others_go_on_in_a_second_group(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    rig_start(r, "signals", "b");
    int64_t turns = rig_stat(r, "turns");
    (void)rig_post(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go");
    rig_step(r);
    (void)rig_post(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go");
    (void)rig_post(r, "signal", "{id: %s, name: %s, value: 1}", "b", "go");
    rig_step(r);
    assert_int_equal(rig_stat(r, "turns"), turns + 2); /* a once, b once */
    rig_step(r);
    assert_int_equal(rig_stat(r, "turns"), turns + 2);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_string_equal(rig_status(r, "b"), "running");
}

static void a_query_of_a_frozen_run_is_answered_after_its_ack(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    (void)rig_post(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go");
    rig_step(r);
    const rig_reply *stack = rig_post(r, "stack", "{id: %s}", "a");
    rig_step(r);
    assert_false(stack->done);
    rig_run(r);
    assert_true(stack->done);
    assert_int_equal(stack->status, PAWL_OK);
}

static void at_most_two_groups_are_in_flight(void **state)
{
    rig *r = *state;
    open_call(r);
    for (int i = 0; i < 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", i);
        (void)rig_post(r, "start", "{workflow: %s, id: %s}", "wf", id);
        rig_step(r);
    }
    int n = 0;
    for (const pw_group *g = r->groups; g != NULL; g = g->next) {
        n++;
    }
    assert_int_equal(n, PW_GROUPS_IN_FLIGHT_MAX);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "work"), 5);
}

static const pawl_value *some_step(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_build(s, "7");
}

static const pawl_value *step_then_log(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *v = pawl_local(w, "some", some_step, NULL);
    pawl_log(w, PAWL_INFO, "the code behind the step runs");
    return v;
}

static void what_stands_behind_a_local_step_runs_once_its_result_has_landed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "step", step_then_log);
    (void)rig_post(r, "start", "{workflow: %s, id: %s}", "step", "a");
    for (int i = 0; i < 3; i++) {
        rig_step(r);
    }
    assert_true(rig_commit(r)); /* RunStarted and StepCompleted */
    rig_step(r);
    assert_false(rig_logged(r, "the code behind the step runs"));
    assert_true(rig_answer(r));
    rig_step(r);
    assert_true(rig_logged(r, "the code behind the step runs"));
}

/* ---- groups that do not land ---- */

/* [E6] */
static void
a_group_that_was_not_written_is_a_no_to_its_callers_and_the_runs_are_as_before(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    const char *before = rig_history(r, "a");
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_NOT);
    assert_string_equal(rig_history(r, "a"), before);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 3}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 4}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 34);
}

static void a_start_that_was_not_written_did_not_happen(void **state)
{
    rig *r = *state;
    open_call(r);
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "wf", "a")->status, PAWL_NOT);
    assert_string_equal(rig_status(r, "a"), "");
    assert_null(rig_task_find(r, "work"));
    rig_start(r, "wf", "a");
    assert_non_null(rig_task_find(r, "work"));
}

static void
a_result_whose_group_was_not_written_is_written_with_the_next_and_not_asked_for_again(void **state)
{
    rig *r = *state;
    static const pw_memory_fault faults[] = {PW_FAULT_NOT, PW_FAULT_NOSPACE, PW_FAULT_UNKNOWN_LOST,
                                             PW_FAULT_UNKNOWN_LANDED, PW_FAULT_CHECKPOINT};
    open_call(r);
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "r%zu", i);
        rig_start(r, "wf", id);
        pw_memory_fail_commit(r->store, faults[i], 0);
        rig_done(r, rig_task_find(r, "work"), rig_value(r, "%zu", i));
        rig_advance(r, 3000);
        assert_null(rig_task_find(r, "work"));
        assert_string_equal(rig_status(r, id), "completed");
        assert_int_equal(pawl_int(rig_result(r, id), "", -1), (int64_t)i);
        assert_int_equal(rig_count(r, id, "ActivityCompleted"), 1);
    }
}

static void on_a_full_disk_the_core_waits_and_goes_on(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_NOSPACE, 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_NOSPACE);
    assert_in_range(r->next_ms, 1, 1000);
    rig_advance(r, 1000);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go")->status,
                     PAWL_OK);
}

static void an_unknown_outcome_is_resolved_by_reading_back(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_UNKNOWN_LANDED, 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_OK);
    pw_memory_fail_commit(r->store, PW_FAULT_UNKNOWN_LOST, 0);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go")->status,
                     PAWL_NOT);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 3}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 13);
    assert_false(r->failed);
}

static void when_it_cannot_be_resolved_the_core_stops_for_good_and_says_so(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "wf", "b");
    rig_start(r, "signals", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_UNKNOWN_LANDED, 0);
    pw_memory_fail_reopen(r->store, 1);
    const rig_reply *reply = rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go");
    assert_true(reply->status != PAWL_OK);
    assert_true(r->failed);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go")->status,
                     PAWL_IO);
    rig_done(r, rig_task_find(r, "work"), NULL);
    assert_string_equal(rig_status(r, "b"), "running");
    rig_crash(r); /* a new start tells what there is */
    rig_run(r);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 5}", "a", "go")->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "", 0), 15);
}

static void a_core_that_lost_its_lease_stops(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "signals", "a");
    pw_journal *other;
    pawl_error err;
    uint64_t epoch, group_no;
    assert_int_equal(pw_memory_attach(r->store, &other, &err), PAWL_OK);
    assert_int_equal(other->ops->lease(other, &epoch, &group_no, &err), PAWL_OK);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 1}", "a", "go")->status,
                     PAWL_FENCED);
    assert_true(r->failed);
    other->ops->close(other);
}

static void what_was_submitted_behind_a_group_that_failed_is_done_again(void **state)
{
    rig *r = *state;
    static const pw_memory_fault faults[] = {PW_FAULT_NOT, PW_FAULT_UNKNOWN_LOST,
                                             PW_FAULT_UNKNOWN_LANDED, PW_FAULT_CHECKPOINT};
    open_call(r);
    for (size_t i = 0; i < PW_COUNT(faults); i++) {
        char a[8], b[8];
        (void)snprintf(a, sizeof a, "a%zu", i);
        (void)snprintf(b, sizeof b, "b%zu", i);
        rig_start(r, "wf", a);
        rig_start(r, "wf", b);
        rig_task *ta = r->tasks, *tb = r->tasks->next;
        pw_memory_fail_commit(r->store, faults[i], 0);
        rig_end(r, ta, rig_value(r, "1"));
        while (rig_deliver(r)) {
        }
        rig_step(r);
        rig_end(r, tb, rig_value(r, "2"));
        while (rig_deliver(r)) {
        }
        rig_step(r); /* two groups in flight */
        rig_advance(r, 5000);
        assert_string_equal(rig_status(r, a), "completed");
        assert_string_equal(rig_status(r, b), "completed");
        assert_int_equal(rig_count(r, a, "ActivityCompleted"), 1);
        assert_int_equal(rig_count(r, b, "ActivityCompleted"), 1);
        assert_null(r->tasks);
    }
}

/* Every construct at once, and the n-th commit fails, for every n until none was left. */
static const pawl_value *everything_child(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "auto");
}

static const pawl_value *one(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_build(task, "1");
}

static const pawl_value *step_one(pawl_step *s, const pawl_value *in)
{
    (void)in;
    return pawl_step_build(s, "1");
}

static const pawl_value *everything(pawl_run *w, const pawl_value *in)
{
    (void)in;
    int64_t sum = pawl_int(pawl_call(w, "auto"), "", 0);
    sum += pawl_int(pawl_local(w, "s", step_one, NULL), "", 0);
    sum += (int64_t)pawl_len(pawl_map(w, "auto", pawl_json(w, "[1, 2, 3]"), .width = 2));
    (void)pawl_sleep(w, 1);
    sum += pawl_int(pawl_child(w, .workflow = "child"), "", 0);
    sum += pawl_int(pawl_call(w, "auto", .effect = PAWL_EFFECT_UNSAFE), "", 0);
    (void)pawl_signal(w, "none", .timeout_s = 1);
    pawl_set(w, "sum", pawl_json(w, "%lld", (long long)sum));
    return pawl_json(w, "{sum: %lld}", (long long)sum);
}

static void any_commit_may_fail_in_any_way_and_the_run_ends_the_same(void **state)
{
    rig *r = *state;
    static const pw_memory_fault faults[] = {PW_FAULT_NOT, PW_FAULT_NOSPACE, PW_FAULT_UNKNOWN_LOST,
                                             PW_FAULT_UNKNOWN_LANDED, PW_FAULT_CHECKPOINT};
    rig_workflow(r, "everything", everything);
    rig_workflow(r, "child", everything_child);
    rig_activity(r, "auto", one);
    for (size_t f = 0; f < PW_COUNT(faults); f++) {
        bool injected = true;
        for (uint64_t n = 0; injected; n++) {
            char id[16];
            (void)snprintf(id, sizeof id, "e%zu-%llu", f, (unsigned long long)n);
            while (rig_ask(r, "start", "{workflow: %s, id: %s}", "everything", id)->status !=
                   PAWL_OK) {
                assert_int_equal(faults[f],
                                 PW_FAULT_CHECKPOINT); /* that one is met by the group after it */
            }
            uint64_t before = pw_memory_commits(r->store);
            pw_memory_fail_commit(r->store, faults[f], n);
            rig_finish(r, id, 100000);
            injected = pw_memory_commits(r->store) - before > n;
            pw_memory_fail_commit(r->store, PW_FAULT_NONE, 0);
            rig_advance(r, 2000);
            if (strcmp(rig_status(r, id), "completed") != 0) {
                fail_msg("%s is %s: %s", id, rig_status(r, id), rig_history(r, id));
            }
            assert_int_equal(pawl_int(rig_result(r, id), "sum", 0), 7);
            assert_int_equal(rig_count(r, id, "ActivityCompleted"), 2);
            assert_int_equal(rig_count(r, id, "StepCompleted"), 1);
        }
    }
}

static void a_crash_at_any_point_and_the_run_ends_the_same(void **state)
{
    rig *r = *state;
    rig_workflow(r, "everything", everything);
    rig_workflow(r, "child", everything_child);
    rig_activity(r, "auto", one);
    for (int n = 0; n < 120; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%d", n);
        rig_start(r, "everything", id);
        for (int i = 0; i < n; i++) {
            rig_step(r);
            bool moved =
                i % 2 == 0 ? rig_commit(r) || rig_deliver(r) : rig_answer(r) || rig_work(r);
            r->now_ms += moved ? 0 : 100;
        }
        rig_crash(r);
        rig_finish(r, id, 1000);
        while (strcmp(rig_status(r, id), "running") == 0) { /* unsafe, and cut: it asks */
            rig_advance(r, 2000);
            if (strstr(rig_waiting(r, id), "unknown") != NULL) {
                assert_int_equal(
                    rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: 1}}", id, "done")
                        ->status,
                    PAWL_OK);
            }
        }
        assert_string_equal(rig_status(r, id), "completed");
        assert_int_equal(pawl_int(rig_result(r, id), "sum", 0), 7);
    }
}

/* ---- closing ---- */

static void after_a_shutdown_nothing_starts_and_what_runs_is_still_kept(void **state)
{
    rig *r = *state;
    open_call(r);
    rig_start(r, "wf", "a");
    rig_task *t = rig_task_find(r, "work");
    pw_core_shutdown(r->core);
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "wf", "b")->status,
                     PAWL_SHUTDOWN);
    rig_done(r, t, rig_value(r, "4"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(nothing_is_acked_or_dispatched_before_its_group_has_landed),
        RIG_TEST(when_the_engine_stops_for_good_everybody_who_waits_is_told_at_once),
        RIG_TEST(a_run_is_frozen_until_its_ack_and_others_go_on_in_a_second_group),
        RIG_TEST(a_query_of_a_frozen_run_is_answered_after_its_ack),
        RIG_TEST(at_most_two_groups_are_in_flight),
        RIG_TEST(what_stands_behind_a_local_step_runs_once_its_result_has_landed),
        RIG_TEST(a_group_that_was_not_written_is_a_no_to_its_callers_and_the_runs_are_as_before),
        RIG_TEST(a_start_that_was_not_written_did_not_happen),
        RIG_TEST(
            a_result_whose_group_was_not_written_is_written_with_the_next_and_not_asked_for_again),
        RIG_TEST(on_a_full_disk_the_core_waits_and_goes_on),
        RIG_TEST(an_unknown_outcome_is_resolved_by_reading_back),
        RIG_TEST(when_it_cannot_be_resolved_the_core_stops_for_good_and_says_so),
        RIG_TEST(a_core_that_lost_its_lease_stops),
        RIG_TEST(what_was_submitted_behind_a_group_that_failed_is_done_again),
        RIG_TEST(any_commit_may_fail_in_any_way_and_the_run_ends_the_same),
        RIG_TEST(a_crash_at_any_point_and_the_run_ends_the_same),
        RIG_TEST(after_a_shutdown_nothing_starts_and_what_runs_is_still_kept),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
