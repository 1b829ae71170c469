/*
 * shell_test.c - runs that are only their row, paused and evicted: what they are told, and what they tell, is as if they were in memory.
 * Also requests with bounds of their own: reasons that are cut, one of two watches, options of an older caller. Does not look at time.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

static const pawl_value *listens(pawl_run *w, const pawl_value *in)
{
    (void)in;
    (void)pawl_signal(w, "go");
    (void)pawl_signal(w, "other", .timeout_s = 1);
    return pawl_ask(w, "ok", .prompt = "?", .choices = "yes|no");
}

/* Paused, and out of memory. */
static void make_shell(rig *r, const char *id)
{
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", id)->status, PAWL_OK);
    rig_crash(r);
    rig_run(r);
    assert_string_equal(rig_status(r, id), "paused");
}

static void a_shell_that_ends_says_how_many_signals_nobody_read(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", listens);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go")->status,
                     PAWL_OK); /* is read */
    rig_advance(r, 2000);      /* "other" takes none */
    make_shell(r, "a");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            rig_ask(r, "signal", "{id: %s, name: %s}", "a", i < 2 ? "go" : "other")->status,
            PAWL_OK);
    }
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_OK);
    assert_int_equal(rig_unread(r, "a"), 3);
}

static void a_shell_takes_no_more_signals_than_any_run(void **state)
{
    rig *r = *state;
    if (r->mode != RIG_NORMAL) {
        return; /* the same for a shell, and long */
    }
    rig_workflow(r, "wf", listens);
    rig_start(r, "wf", "a");
    make_shell(r, "a");
    const rig_reply *last = NULL;
    for (int i = 0; i <= PW_SIGNALS_MAX; i++) {
        last = rig_post(r, "signal", "{id: %s, name: %s}", "a", "extra");
    }
    rig_run(r);
    assert_int_equal(last->status, PAWL_FULL);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), PW_SIGNALS_MAX);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", "a", "extra")->status, PAWL_FULL);
}

static void the_second_answer_is_told_of_the_first_also_by_a_shell(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", listens);
    rig_start(r, "wf", "a");
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    rig_advance(r, 2000);
    make_shell(r, "a");
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s}, by: %s}", "a", "yes", "ada")->status,
        PAWL_OK);
    rig_crash(r);
    rig_run(r);
    const rig_reply *again = rig_ask(r, "answer", "{id: %s, name: %s, value: {choice: %s}, by: %s}",
                                     "a", "ok", "no", "bob");
    assert_int_equal(again->status, PAWL_CONFLICT);
    assert_string_equal(pawl_str(again->value, "by", ""), "ada");
    assert_string_equal(pawl_str(again->value, "choice", ""), "yes");
}

static void a_long_reason_is_cut_between_two_characters(void **state)
{
    rig *r = *state;
    char reason[3 * PW_TEXT_BYTES_MAX + 1] = "";
    for (size_t i = 0; i + 3 < sizeof reason; i += 3) {
        memcpy(reason + i, "\xe2\x82\xac", 4); /* the euro sign */
    }
    rig_workflow(r, "wf", listens);
    rig_start(r, "wf", "a");
    assert_int_equal(rig_ask(r, "pause", "{id: %s, reason: %s}", "a", reason)->status, PAWL_OK);
    size_t size = strlen(pawl_str(rig_event(r, "a", "RunPaused", 0), "text", ""));
    assert_int_equal(size, PW_TEXT_BYTES_MAX / 3 * 3);
}

static void one_of_two_watches_can_be_ended(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", listens);
    rig_start(r, "wf", "a");
    const rig_reply *first = rig_post(r, "watch", "{id: %s}", "a");
    const rig_reply *second = rig_post(r, "watch", "{id: %s}", "a");
    rig_run(r);
    (void)rig_ask(r, "unwatch", "{request: %lld}", (long long)first->number);
    assert_int_equal(first->status, PAWL_DONE);
    int before = second->replies;
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_true(second->replies > before);
}

static const pawl_value *waits_for_a_slot(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "narrow", .schedule_timeout_s = 2);
}

static const pawl_value *two_slots(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_call(w, "narrow");
}

static const pawl_value *not_called(pawl_task *task, const pawl_value *in, void *user)
{
    (void)in;
    (void)user;
    return pawl_task_fail(task, "Held", "the test ends it");
}

static void narrow(rig *r)
{
    pawl_activity_options one = {.struct_size = sizeof one, .concurrency = 1};
    rig_activity_options(r, "narrow", not_called, &one);
    r->code[r->code_len - 1].held = true;
    rig_workflow(r, "first", two_slots);
    rig_workflow(r, "second", waits_for_a_slot);
    rig_start(r, "first", "a");
    rig_start(r, "second", "b");
}

static void
an_attempt_that_is_paused_beyond_its_schedule_to_start_fails_when_it_goes_on(void **state)
{
    rig *r = *state;
    narrow(r);
    assert_int_equal(rig_ask(r, "pause", "{id: %s}", "b")->status, PAWL_OK);
    rig_advance(r, 3000);
    assert_int_equal(rig_ask(r, "resume", "{id: %s}", "b")->status, PAWL_OK);
    rig_advance(r, 1000);
    assert_string_equal(rig_status(r, "b"), "failed");
    assert_string_equal(pawl_str(rig_failure(r, "b"), "type", ""), "ScheduleTimeout");
}

static void the_schedule_to_start_counts_over_a_restart(void **state)
{
    rig *r = *state;
    narrow(r);
    rig_advance(r, 1500);
    rig_crash(r);
    rig_run(r);
    rig_advance(r, 700);
    assert_string_equal(rig_status(r, "b"), "failed");
}

static void options_of_an_older_caller_are_read_as_far_as_they_go(void **state)
{
    rig *r = *state;
    pawl_error err;
    struct {
        size_t struct_size;
        const char *description;
        const char *beyond; /* not a schema: what follows belongs to somebody else */
    } old = {.struct_size = 2 * sizeof(size_t),
             .description = "old",
             .beyond = (const char *)(uintptr_t)1};
    pawl_status st = pw_core_workflow(r->core, "old", "1", listens, NULL,
                                      (const pawl_workflow_options *)(const void *)&old, &err);
    assert_int_equal(st, PAWL_OK);
}

static const struct CMUnitTest tests[] = {
    RIG_TEST(a_shell_that_ends_says_how_many_signals_nobody_read),
    RIG_TEST(a_shell_takes_no_more_signals_than_any_run),
    RIG_TEST(the_second_answer_is_told_of_the_first_also_by_a_shell),
    RIG_TEST(a_long_reason_is_cut_between_two_characters),
    RIG_TEST(one_of_two_watches_can_be_ended),
    RIG_TEST(an_attempt_that_is_paused_beyond_its_schedule_to_start_fails_when_it_goes_on),
    RIG_TEST(the_schedule_to_start_counts_over_a_restart),
    RIG_TEST(options_of_an_older_caller_are_read_as_far_as_they_go),
};

int main(void)
{
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
