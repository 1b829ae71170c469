/*
 * replay_test.c - the replay check's three cases and its report, code that is not there, quarantine, and drift.
 */
#include "rig.h"

#include <stdio.h>

static void redeploy(rig *r, pawl_workflow_fn fn, bool other_build)
{
    rig_kill(r);
    rig_replace(r, "wf", fn);
    r->build += other_build ? 1 : 0;
    rig_boot(r);
    rig_run(r);
}

static const pawl_value *original(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_call(w, "first", .input = pawl_json(w, "{prompt: %s}", "old words"));
    (void)pawl_sleep(w, 100);
    const pawl_value *b = pawl_call(w, "second");
    return pawl_json(w, "{a: %p, b: %p}", pawl_v(a), pawl_v(b));
}

static const pawl_value *other_name(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "renamed", .input = pawl_json(w, "{prompt: %s}", "old words"));
    return NULL;
}

static const pawl_value *other_kind(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_sleep(w, 5);
    return NULL;
}

static const pawl_value *other_input(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *a = pawl_call(w, "first", .input = pawl_json(w, "{prompt: %s}", "new words"));
    (void)pawl_sleep(w, 100);
    const pawl_value *b = pawl_call(w, "second");
    return pawl_json(w, "{a: %p, b: %p}", pawl_v(a), pawl_v(b));
}

static const pawl_value *one_more(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "first", .input = pawl_json(w, "{prompt: %s}", "old words"));
    pawl_set(w, "extra", NULL);
    (void)pawl_sleep(w, 100);
    return NULL;
}

static const pawl_value *one_less(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_signal(w, "nothing like it");
    return NULL;
}

static const pawl_value *returns_early(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_call(w, "first", .input = pawl_json(w, "{prompt: %s}", "old words"));
    return NULL;
}

/* In the middle of the sleep, with one result on record. */
static void open_run(rig *r)
{
    rig_workflow(r, "wf", original);
    rig_held(r, "first", PAWL_EFFECT_DEFAULT);
    rig_held(r, "second", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_done(r, rig_task_find(r, "first"), rig_value(r, "1"));
}

/* Something has to make the code run again. */
static void wake(rig *r)
{
    rig_advance(r, 100000);
}

static const pawl_value *report_of(rig *r)
{
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_string_equal(rig_reason(r, "a"), "nondeterminism");
    const pawl_value *ev = rig_event(r, "a", "RunPaused", 0);
    assert_string_equal(pawl_str(ev, "reason", ""), "nondeterminism");
    return pawl_get(ev, "report");
}

static void mend_and_finish(rig *r)
{
    redeploy(r, original, true);
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    rig_advance(r, 100000);
    rig_done(r, rig_task_find(r, "second"), rig_value(r, "2"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "a", 0), 1);
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 2);
}

static void another_kind_of_command_pauses_with_both_sides_in_the_report(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_kind, true);
    wake(r);
    const pawl_value *report = report_of(r);
    assert_string_equal(pawl_str(report, "reason", ""), "kind");
    assert_int_equal(pawl_int(report, "command", 0), 1);
    assert_int_equal(pawl_int(report, "seq", 0), 2);
    assert_non_null(
        strstr(pawl_str(report, "history", ""), "ActivityScheduled \"first\" at replay_test.c:"));
    assert_non_null(strstr(pawl_str(report, "code", ""), "TimerStarted at replay_test.c:"));
    mend_and_finish(r);
}

static void another_name_pauses(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_name, true);
    wake(r);
    const pawl_value *report = report_of(r);
    assert_string_equal(pawl_str(report, "reason", ""), "name");
    assert_non_null(strstr(pawl_str(report, "code", ""), "\"renamed\""));
    mend_and_finish(r);
}

static void one_command_more_pauses(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, one_more, true);
    wake(r);
    assert_non_null(
        strstr(pawl_str(report_of(r), "code", ""), "KeySet \"extra\" at replay_test.c:"));
    mend_and_finish(r);
}

static void one_command_less_pauses(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, one_less, true);
    wake(r);
    (void)report_of(r);
    mend_and_finish(r);
}

static void code_that_returns_where_history_goes_on_pauses(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, returns_early, true);
    wake(r);
    assert_non_null(
        strstr(pawl_str(report_of(r), "code", ""), "RunCompleted after replay_test.c:"));
    mend_and_finish(r);
}

static const pawl_value *shielded(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_shield(w, 5);
    return pawl_signal(w, .name = "never");
}

static const pawl_value *undoing(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_undo(w, "second", NULL);
    return pawl_signal(w, .name = "never");
}

static void shields_and_undos_have_their_place_in_the_report(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", shielded);
    rig_start(r, "wf", "a");
    redeploy(r, undoing, true);
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "other");
    const pawl_value *report = report_of(r);
    assert_non_null(strstr(pawl_str(report, "history", ""), "ShieldEntered at replay_test.c:"));
    assert_non_null(
        strstr(pawl_str(report, "code", ""), "UndoRegistered \"second\" at replay_test.c:"));
}

static void another_input_under_the_same_build_pauses(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_input, false);
    wake(r);
    assert_string_equal(pawl_str(report_of(r), "reason", ""), "input");
    mend_and_finish(r);
}

static void
another_input_under_another_build_goes_on_with_the_journals_result_and_notes_it_once(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_input, true);
    wake(r);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_int_equal(rig_count(r, "a", "DriftNoted"), 1);
    const pawl_value *drift = rig_event(r, "a", "DriftNoted", 0);
    assert_string_equal(pawl_str(drift, "name", ""), "first");
    assert_int_equal(pawl_int(drift, "of", 0), 1);
    assert_non_null(strstr(pawl_str(drift, "at", ""), "replay_test.c:"));
    assert_non_null(strstr(pawl_str(drift, "was_at", ""), "replay_test.c:"));
    assert_string_not_equal(pawl_str(drift, "at", ""), pawl_str(drift, "was_at", ""));
    rig_crash(r);
    rig_run(r);
    rig_done(r, rig_task_find(r, "second"), rig_value(r, "2"));
    assert_string_equal(rig_status(r, "a"), "completed");
    assert_int_equal(pawl_int(rig_result(r, "a"), "a", 0), 1);
    assert_int_equal(rig_count(r, "a", "DriftNoted"), 1);
}

static void strict_replay_pauses_at_drift_too(void **state)
{
    rig *r = *state;
    r->strict = true;
    rig_crash(r);
    open_run(r);
    redeploy(r, other_input, true);
    wake(r);
    assert_string_equal(pawl_str(report_of(r), "reason", ""), "input");
    assert_int_equal(rig_count(r, "a", "DriftNoted"), 0);
    mend_and_finish(r);
}

static void a_mismatch_discards_the_whole_turn_and_loses_no_input(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_kind, true);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 5}", "a", "go")->status,
                     PAWL_OK);
    (void)report_of(r);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    assert_int_equal(rig_count(r, "a", "TimerStarted"), 1); /* nothing of the wrong code */
    mend_and_finish(r);
}

static void resumed_with_the_wrong_code_it_is_paused_again_and_not_lost(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_kind, true);
    wake(r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
        assert_string_equal(rig_status(r, "a"), "paused");
    }
    mend_and_finish(r);
}

static void a_mismatching_run_spares_the_others(void **state)
{
    rig *r = *state;
    open_run(r);
    redeploy(r, other_kind, true);
    rig_start(r, "wf", "b");
    wake(r);
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_string_equal(rig_status(r, "b"), "completed");
}

/* ---- code that is not there ---- */

static void
a_run_whose_code_is_missing_waits_keeps_inputs_and_goes_on_when_it_is_registered(void **state)
{
    rig *r = *state;
    open_run(r);
    rig_kill(r);
    rig_replace(r, "wf", NULL);
    rig_boot(r);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
    rig_advance(r, 200000);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_string_equal(rig_waiting(r, "a"), "no-code");
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "wf", "c")->status, PAWL_NOCODE);
    rig_workflow_version(r, "wf", "1", original);
    rig_run(r);
    rig_done(r, rig_task_find(r, "second"), rig_value(r, "2"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static const pawl_value *says_two(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_json(w, "{version: 2}");
}

static void runs_stay_with_the_version_they_started_with(void **state)
{
    rig *r = *state;
    open_run(r);
    rig_workflow_version(r, "wf", "2", says_two);
    rig_start(r, "wf", "b");
    assert_int_equal(pawl_int(rig_result(r, "b"), "version", 0), 2);
    rig_crash(r);
    rig_advance(r, 100000);
    rig_done(r, rig_task_find(r, "second"), rig_value(r, "2"));
    assert_int_equal(pawl_int(rig_result(r, "a"), "b", 0), 2);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, version: %s}", "wf", "c", "1")->status,
        PAWL_OK);
    assert_string_equal(rig_status(r, "c"), "running");
}

/* ---- quarantine ---- */

static void a_run_that_ended_its_process_three_times_opens_paused_as_crashed(void **state)
{
    rig *r = *state;
    open_run(r);
    rig_start(r, "wf", "b");
    int64_t key = rig_key(r, "a");
    for (int i = 1; i <= 3; i++) {
        assert_string_equal(rig_status(r, "a"), "running");
        rig_kill(r);
        r->crumb = (pw_crumb_found){.run = key, .site = "a in wf"};
        rig_boot(r);
        rig_run(r);
    }
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_string_equal(rig_reason(r, "a"), "crashed");
    assert_true(rig_logged(r, "a in wf"));
    wake(r);
    assert_null(rig_task_find(r, "second"));
    assert_string_equal(rig_status(r, "b"), "running");
    mend_and_finish(r);
}

static int
    entered; /* a workflow has its own stack, and the process it ends is this one: it only counts */

static const pawl_value *deadly(pawl_run *w, const pawl_value *in)
{
    (void)in;
    entered++;
    (void)pawl_signal(w, "go");
    return NULL;
}

static void crash_inside(rig *r, int64_t key)
{
    rig_kill(r);
    r->crumb = (pw_crumb_found){.run = key, .site = "a in wf"};
    rig_boot(r);
}

/* [E7] The process dies at the very moment its code is entered, before any group is handed over after it: the count must have landed before. */
static void a_run_that_ends_its_process_whenever_it_is_entered_is_quarantined(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", deadly);
    rig_start(r, "wf", "a");
    int64_t key = rig_key(r, "a");
    for (int i = 1; i <= 3; i++) {
        crash_inside(r, key);
        entered = 0;
        (void)rig_post(r, "signal", "{id: %s, name: %s}", "a", "go");
        (void)rig_post(r, "stack", "{id: %s}", "a");
        rig_step(r);
        assert_int_equal(entered, 0); /* the count is handed over, and nothing else */
        assert_true(rig_commit(r));
    }
    rig_crash(r);
    rig_run(r);
    assert_int_equal(entered, 0);
    assert_string_equal(rig_status(r, "a"), "paused");
    assert_string_equal(rig_reason(r, "a"), "crashed");
    assert_int_equal(rig_ask(r, "stack", "{id: %s}", "a")->status, PAWL_CONFLICT);
    assert_int_equal(entered, 0);
    (void)rig_ask(r, "resume", "{id: %s}", "a");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_crash_whose_count_was_not_written_is_counted_again(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    rig_workflow(r, "wf", deadly);
    rig_start(r, "wf", "a");
    int64_t key = rig_key(r, "a");
    for (int i = 1; i <= 3; i++) {
        crash_inside(r, key);
        entered = 0;
        pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
        rig_step(r);
        assert_true(rig_commit(r) && rig_answer(r));
        rig_step(r);
        assert_int_equal(entered, 0);
        assert_true(rig_commit(r));
    }
    rig_crash(r);
    rig_run(r);
    assert_string_equal(rig_reason(r, "a"), "crashed");
}

static void a_turn_that_ends_well_forgets_earlier_crashes(void **state)
{
    rig *r = *state;
    open_run(r);
    int64_t key = rig_key(r, "a");
    for (int i = 0; i < 6; i++) {
        rig_kill(r);
        r->crumb = (pw_crumb_found){.run = key, .site = "wf"};
        rig_boot(r);
        assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status, PAWL_OK);
        assert_string_equal(rig_status(r, "a"), "running");
    }
}

static void a_crash_of_a_run_that_never_landed_harms_nobody(void **state)
{
    rig *r = *state;
    open_run(r);
    rig_kill(r);
    r->crumb = (pw_crumb_found){.run = 4711, .site = "gone"};
    rig_boot(r);
    wake(r);
    assert_non_null(rig_task_find(r, "second"));
}

/* ---- damage ---- */

static void a_damaged_record_stops_the_run_it_belongs_to_and_no_other(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    open_run(r);
    rig_start(r, "wf", "b");
    int64_t key = rig_key(r, "a");
    rig_kill(r);
    assert_true(pw_memory_damage(r->store, key, 2));
    rig_boot(r);
    wake(r);
    assert_string_equal(rig_status(r, "a"),
                        "running"); /* not failed, not replayed: its history is not to be trusted */
    assert_true(rig_logged(r, "rebuilt"));
    assert_int_equal(rig_ask(r, "query", "{id: %s, name: %s}", "a", "x")->status, PAWL_DAMAGED);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "x")->status, PAWL_DAMAGED);
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_OK);
    assert_string_equal(rig_status(r, "a"), "terminated"); /* the way out */
    rig_done(r, rig_task_find(r, "first"), NULL);
    wake(r);
    rig_done(r, rig_task_find(r, "second"), NULL);
    assert_string_equal(rig_status(r, "b"), "completed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(another_kind_of_command_pauses_with_both_sides_in_the_report),
        RIG_TEST(another_name_pauses),
        RIG_TEST(one_command_more_pauses),
        RIG_TEST(one_command_less_pauses),
        RIG_TEST(code_that_returns_where_history_goes_on_pauses),
        RIG_TEST(shields_and_undos_have_their_place_in_the_report),
        RIG_TEST(another_input_under_the_same_build_pauses),
        RIG_TEST(
            another_input_under_another_build_goes_on_with_the_journals_result_and_notes_it_once),
        RIG_TEST(strict_replay_pauses_at_drift_too),
        RIG_TEST(a_mismatch_discards_the_whole_turn_and_loses_no_input),
        RIG_TEST(resumed_with_the_wrong_code_it_is_paused_again_and_not_lost),
        RIG_TEST(a_mismatching_run_spares_the_others),
        RIG_TEST(a_run_whose_code_is_missing_waits_keeps_inputs_and_goes_on_when_it_is_registered),
        RIG_TEST(runs_stay_with_the_version_they_started_with),
        RIG_TEST(a_run_that_ended_its_process_three_times_opens_paused_as_crashed),
        RIG_TEST(a_run_that_ends_its_process_whenever_it_is_entered_is_quarantined),
        RIG_TEST(a_crash_whose_count_was_not_written_is_counted_again),
        RIG_TEST(a_turn_that_ends_well_forgets_earlier_crashes),
        RIG_TEST(a_crash_of_a_run_that_never_landed_harms_nobody),
        RIG_TEST(a_damaged_record_stops_the_run_it_belongs_to_and_no_other),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
