/*
 * retry_test.c - attempts of activities: retry policies, timeouts, heartbeats, concurrency, priority, stale reports.
 */
#include "rig.h"

static const pawl_value *call_once(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "work", .retries = 3, .retry_initial_s = 2, .retry_factor = 3, .retry_max_s = 10, .no_retry = "Denied|BadInput");
}

static void a_failed_attempt_waits_initial_times_factor_and_at_most_max(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", call_once);
    rig_held(r, "work", PAWL_EFFECT_DEFAULT);
    rig_start(r, "wf", "a");
    static const int64_t waits[] = {2000, 6000, 10000};
    for (size_t i = 0; i < 3; i++) {
        rig_fail(r, rig_task_find(r, "work"), "Boom", true);
        rig_advance(r, waits[i] - 1);
        assert_null(rig_task_find(r, "work"));
        rig_advance(r, 1);
        assert_int_equal(pawl_task_attempt(rig_task_find(r, "work")->task), (int)i + 2);
    }
    rig_fail(r, rig_task_find(r, "work"), "Boom", true);
    assert_string_equal(rig_status(r, "a"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "a"), "type", ""), "Boom");
    assert_int_equal(rig_count(r, "a", "ActivityRetried"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_failed_attempt_waits_initial_times_factor_and_at_most_max),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
