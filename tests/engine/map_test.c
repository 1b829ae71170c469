/*
 * map_test.c - one activity over many items: width, order, the two modes, cancel, pause, crashes, and that the journal sees one command.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

static const pawl_value *square(pawl_task *task, const pawl_value *in, void *user)
{
    (void)user;
    int64_t n = pawl_int(in, "", -1);
    if (n % 10 == 7) {
        return pawl_task_fail_with(task, "Seven", "ends with seven", NULL, false);
    }
    return pawl_task_build(task, "%lld", (long long)(n * n));
}

static const pawl_value *numbers(pawl_run *w, int64_t from, int64_t count)
{
    const pawl_value **items = pawl_alloc(w, (size_t)count * sizeof *items);
    for (int64_t i = 0; i < count; i++) {
        items[i] = pawl_make_int(pawl_run_scope(w), from + i);
    }
    return pawl_make_array(pawl_run_scope(w), items, (size_t)count);
}

static const pawl_value *map_all(pawl_run *w, const pawl_value *in)
{
    const pawl_value *items = numbers(w, pawl_int(in, "from", 0), pawl_int(in, "count", 5));
    pawl_map_mode mode = pawl_bool(in, "collect", false) ? PAWL_MAP_COLLECT : PAWL_MAP_FAIL_FAST;
    return pawl_map(w, "square", items, .width = (int)pawl_int(in, "width", 3), .mode = mode);
}

static void results_stand_in_item_order(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_activity(r, "square", square);
    rig_start(r, "wf", "a");
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_len(v), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(pawl_int(pawl_at(v, i), "", -1), (int64_t)(i * i));
    }
    assert_string_equal(rig_history(r, "a"),
                        "RunStarted MapScheduled:square MapCompleted RunCompleted");
}

static void an_empty_map_completes_with_an_empty_array(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_activity(r, "square", square);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 0}"));
    assert_int_equal(pawl_typeof(rig_result(r, "a")), PAWL_ARRAY);
    assert_int_equal(pawl_len(rig_result(r, "a")), 0);
}

static void no_more_than_width_run_at_a_time(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 20, width: 4}"));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rig_tasks(r, "square"), i < 16 ? 4 : 20 - i);
        rig_done(r, rig_task_find(r, "square"), rig_value(r, "%d", i));
    }
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void the_first_final_failure_ends_a_fail_fast_map(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_activity(r, "square", square);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 100, width: 2}"));
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Seven");
    assert_int_equal(rig_count(r, "a", "MapFailed"), 1);
    assert_null(rig_task_find(r, "square"));
}

static void collect_keeps_failures_in_their_places(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_activity(r, "square", square);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 20, collect: true}"));
    const pawl_value *v = rig_result(r, "a");
    assert_int_equal(pawl_len(v), 20);
    assert_string_equal(pawl_str(pawl_at(v, 7), "$failure.type", ""), "Seven");
    assert_string_equal(pawl_str(pawl_at(v, 17), "$failure.type", ""), "Seven");
    assert_int_equal(pawl_int(pawl_at(v, 18), "", 0), 324);
    assert_int_equal(pawl_int(rig_event(r, "a", "MapCompleted", 0), "failed", 0), 2);
}

static const pawl_value *sums(pawl_run *w, const pawl_value *in)
{
    int64_t count = pawl_int(in, "count", 10);
    pawl_items *items =
        pawl_map_cursor(w, "square", numbers(w, 0, count), .width = 64, .mode = PAWL_MAP_COLLECT);
    int64_t sum = 0, failed = 0, seen = 0;
    const pawl_value *v;
    const pawl_failure *f;
    while (pawl_items_next(items, &v, &f)) {
        seen++;
        sum += pawl_int(v, "", 0);
        failed += f != NULL ? 1 : 0;
    }
    (void)pawl_sleep(w, 1); /* the cursor is behind us: a rebuilt stack walks it again */
    return pawl_json(w, "{seen: %lld, sum: %lld, failed: %lld}", (long long)seen, (long long)sum,
                     (long long)failed);
}

static void ten_thousand_items_are_one_command_and_a_cursor_walks_them(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", sums);
    rig_activity(r, "square", square);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 10000}"));
    rig_crash(r);
    rig_advance(r, 1000);
    const pawl_value *v = rig_result(r, "a");
    int64_t sum = 0;
    for (int64_t i = 0; i < 10000; i++) {
        sum += i % 10 == 7 ? 0 : i * i;
    }
    assert_int_equal(pawl_int(v, "seen", 0), 10000);
    assert_int_equal(pawl_int(v, "failed", 0), 1000);
    assert_int_equal(pawl_int(v, "sum", 0), sum);
    assert_string_equal(
        rig_history(r, "a"),
        "RunStarted MapScheduled:square MapCompleted TimerStarted TimerFired RunCompleted");
}

static void a_crash_in_the_middle_repeats_only_what_had_not_landed(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 12, width: 3}"));
    for (int i = 0; i < 5; i++) {
        rig_done(r, rig_task_find(r, "square"), rig_value(r, "%d", 100 + i));
    }
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_tasks(r, "square"), 3);
    for (int i = 5; i < 12; i++) {
        assert_int_equal(pawl_int(pawl_task_input(rig_task_find(r, "square")->task), "", -1), i);
        rig_done(r, rig_task_find(r, "square"), rig_value(r, "%d", 100 + i));
    }
    const pawl_value *v = rig_result(r, "a");
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(pawl_int(pawl_at(v, i), "", -1), (int64_t)i + 100);
    }
}

static const pawl_value *map_retries(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_map(w, "square", numbers(w, 0, 2), .retries = 2, .retry_initial_s = 5,
                    .timeout_s = 60);
}

static void an_item_has_its_own_retries_and_timeout(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_retries);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    rig_fail(r, rig_task_find(r, "square"), "Boom", true);
    rig_task *slow = rig_task_find(r, "square");
    rig_begin(r, slow);
    rig_advance(r, 5000);
    assert_int_equal(rig_tasks(r, "square"), 2);
    rig_advance(r, 55000);
    assert_true(slow->cancel_asked);
    rig_drop(r, slow);
    rig_advance(r, 5000);
    assert_int_equal(rig_tasks(r, "square"), 2);
    rig_done(r, rig_task_find(r, "square"), rig_value(r, "1"));
    rig_done(r, rig_task_find(r, "square"), rig_value(r, "2"));
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void cancelling_a_run_cancels_its_map(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 10, width: 2}"));
    rig_done(r, rig_task_find(r, "square"), rig_value(r, "0"));
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    assert_int_equal(rig_tasks(r, "square"), 2);
    assert_true(rig_task_find(r, "square")->cancel_asked);
    rig_stop(r, rig_task_find(r, "square"));
    rig_stop(r, rig_task_find(r, "square"));
    assert_string_equal(rig_status(r, "a"), "canceled");
    assert_int_equal(rig_count(r, "a", "MapCanceled"), 1);
    assert_null(rig_task_find(r, "square"));
}

static void
a_cancelled_map_whose_request_is_on_record_is_still_cancelled_after_a_crash(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 10, width: 2}"));
    assert_int_equal(rig_ask(r, "cancel", "{id: %s}", "a")->status, PAWL_OK);
    rig_crash(r);
    rig_run(r);
    while (rig_task_find(r, "square") != NULL) {
        assert_true(rig_task_find(r, "square")->cancel_asked);
        rig_stop(r, rig_task_find(r, "square"));
    }
    assert_string_equal(rig_status(r, "a"), "canceled");
}

static void a_paused_run_starts_no_further_items(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", map_all);
    rig_held(r, "square", PAWL_EFFECT_DEFAULT);
    rig_start_with(r, "wf", "a", rig_value(r, "{count: 6, width: 2}"));
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "a")->status, PAWL_OK);
    rig_done(r, rig_task_find(r, "square"), rig_value(r, "1"));
    rig_done(r, rig_task_find(r, "square"), rig_value(r, "2"));
    assert_null(rig_task_find(r, "square"));
    rig_crash(r);
    rig_run(r);
    assert_null(rig_task_find(r, "square"));
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "a")->status, PAWL_OK);
    for (int i = 2; i < 6; i++) {
        assert_int_equal(pawl_int(pawl_task_input(rig_task_find(r, "square")->task), "", -1), i);
        rig_done(r, rig_task_find(r, "square"), rig_value(r, "3"));
    }
    assert_string_equal(rig_status(r, "a"), "completed");
}

static void a_group_of_items_that_does_not_land_is_written_again(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    rig_workflow(r, "wf", map_all);
    rig_activity(r, "square", square);
    rig_start_with(r, "wf", "z", rig_value(r, "{count: 3}"));
    for (uint64_t at = 0; at < 8; at++) {
        for (int fault = PW_FAULT_NOT; fault <= PW_FAULT_CHECKPOINT; fault++) {
            char id[16];
            (void)snprintf(id, sizeof id, "m%d-%d", (int)at, fault);
            pw_memory_fail_commit(r->store, (pw_memory_fault)fault, at + 1);
            (void)rig_post(r, "start", "{workflow: %s, id: %s, input: {count: 6, width: 2}}", "wf",
                           id);
            rig_advance(r, 5000);
            if (strcmp(rig_status(r, id), "") == 0) {
                pw_memory_fail_commit(r->store, PW_FAULT_NONE, 0);
                continue;
            }
            rig_advance(r, 5000);
            assert_string_equal(rig_status(r, id), "completed");
            assert_int_equal(pawl_len(rig_result(r, id)), 6);
            assert_int_equal(pawl_int(pawl_at(rig_result(r, id), 5), "", 0), 25);
            pw_memory_fail_commit(r->store, PW_FAULT_NONE, 0);
        }
    }
}

static const pawl_value *bad_maps(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_map(w, "square", pawl_json(w, "{a: 1}"));
    const pawl_failure *one = pawl_catch(w);
    return pawl_json(w, "{one: %s}", one != NULL ? one->type : "");
}

static void items_that_are_no_array_are_refused(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", bad_maps);
    rig_start(r, "wf", "a");
    assert_string_equal(pawl_str(rig_result(r, "a"), "one", ""), "InvalidMap");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(results_stand_in_item_order),
        RIG_TEST(an_empty_map_completes_with_an_empty_array),
        RIG_TEST(no_more_than_width_run_at_a_time),
        RIG_TEST(the_first_final_failure_ends_a_fail_fast_map),
        RIG_TEST(collect_keeps_failures_in_their_places),
        RIG_TEST(ten_thousand_items_are_one_command_and_a_cursor_walks_them),
        RIG_TEST(a_crash_in_the_middle_repeats_only_what_had_not_landed),
        RIG_TEST(an_item_has_its_own_retries_and_timeout),
        RIG_TEST(cancelling_a_run_cancels_its_map),
        RIG_TEST(a_cancelled_map_whose_request_is_on_record_is_still_cancelled_after_a_crash),
        RIG_TEST(a_paused_run_starts_no_further_items),
        RIG_TEST(a_group_of_items_that_does_not_land_is_written_again),
        RIG_TEST(items_that_are_no_array_are_refused),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
