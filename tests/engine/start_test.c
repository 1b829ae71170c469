/*
 * start_test.c - starting runs: policies for ids, dedup keys, signal-with-start, the inbox, and bad input at that door.
 * Does not use threads, files or real time: the rig has none.
 */
#include "rig.h"

#include <stdio.h>

static const pawl_value *waits(pawl_run *w, const pawl_value *in)
{
    const pawl_value *v = pawl_signal(w, "go");
    return pawl_json(w, "{in: %p, go: %p}", pawl_v(in), pawl_v(v));
}

static const pawl_value *ends(pawl_run *w, const pawl_value *in)
{
    return pawl_bool(in, "fail", false) ? pawl_fail(w, "Asked", "to") : in;
}

static void open_both(rig *r)
{
    rig_workflow(r, "waits", waits);
    rig_workflow(r, "ends", ends);
}

/* ---- ids ---- */

static void an_open_id_is_refused_shared_or_taken_over_as_the_policy_says(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    int64_t first = rig_key(r, "a");
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "waits", "a")->status,
                     PAWL_EXISTS);
    const rig_reply *shared =
        rig_ask(r, "start", "{workflow: %s, id: %s, conflict: %s}", "waits", "a", "use-existing");
    assert_int_equal(shared->status, PAWL_OK);
    assert_true(pawl_bool(shared->value, "existing", false));
    assert_int_equal(rig_key(r, "a"), first);
    const rig_reply *taken =
        rig_ask(r, "start", "{workflow: %s, id: %s, conflict: %s}", "waits", "a", "terminate");
    assert_int_equal(taken->status, PAWL_OK);
    assert_false(pawl_bool(taken->value, "existing", true));
    assert_true(rig_key(r, "a") > first);
    assert_string_equal(rig_status(r, "a"), "running");
}

static void a_closed_id_is_used_again_as_the_policy_says(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "ends", "good");
    rig_start_with(r, "ends", "bad", rig_value(r, "{fail: true}"));
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s}", "ends", "good", "reject")->status,
        PAWL_EXISTS);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s}", "ends", "bad", "reject")->status,
        PAWL_EXISTS);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s}", "ends", "good", "if-failed")
            ->status,
        PAWL_EXISTS);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s}", "ends", "bad", "if-failed")
            ->status,
        PAWL_OK);
    assert_string_equal(rig_status(r, "bad"), "completed");
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "ends", "good")->status,
                     PAWL_OK);
}

static void two_starts_of_one_id_in_one_breath_give_one_run(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *one = rig_post(r, "start", "{workflow: %s, id: %s}", "waits", "a");
    const rig_reply *two = rig_post(r, "start", "{workflow: %s, id: %s}", "waits", "a");
    const rig_reply *three =
        rig_post(r, "start", "{workflow: %s, id: %s, conflict: %s}", "waits", "a", "use-existing");
    rig_run(r);
    assert_int_equal(one->status, PAWL_OK);
    assert_int_equal(two->status, PAWL_EXISTS);
    assert_int_equal(three->status, PAWL_OK);
    assert_int_equal(rig_key(r, "a"), 1);
}

static void a_start_without_an_id_gets_a_fresh_one(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *one = rig_ask(r, "start", "{workflow: %s}", "waits");
    const rig_reply *two = rig_ask(r, "start", "{workflow: %s}", "waits");
    assert_int_equal(strlen(pawl_str(one->value, "id", "")), 36);
    assert_string_not_equal(pawl_str(one->value, "id", ""), pawl_str(two->value, "id", ""));
}

static void what_the_caller_got_wrong_is_named(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *unknown = rig_ask(r, "start", "{workflow: %s, id: %s}", "nothere", "a");
    assert_int_equal(unknown->status, PAWL_NOCODE);
    assert_non_null(strstr(unknown->message, "nothere"));
    static const char *const ids[] = {" a", "a b", "a\nb", "\x7f", "\xc3\xa9", "a\"b", "a\\b"};
    for (size_t i = 0; i < PW_COUNT(ids); i++) {
        assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "waits", ids[i])->status,
                         PAWL_INVALID);
    }
    char longest[PW_ID_BYTES_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "waits", longest)->status,
                     PAWL_INVALID);
    longest[PW_ID_BYTES_MAX] = 0;
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "waits", longest)->status,
                     PAWL_OK);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s}", "waits", "b", "sometimes")->status,
        PAWL_INVALID);
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s}", longest, "no spaces")->status,
                     PAWL_INVALID);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, version: %s}", "waits", "b", "9")->status,
        PAWL_NOCODE);
}

static void what_the_caller_said_is_on_the_record(void **state)
{
    rig *r = *state;
    open_both(r);
    const char *tp = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    (void)rig_ask(r, "start", "{workflow: %s, id: %s, traceparent: %s, by: %s, input: {n: 3}}",
                  "waits", "a", tp, "ann");
    const pawl_value *ev = rig_event(r, "a", "RunStarted", 0);
    assert_string_equal(pawl_str(ev, "traceparent", ""), tp);
    assert_string_equal(pawl_str(ev, "by", ""), "ann");
    assert_int_equal(pawl_int(ev, "input.n", 0), 3);
    (void)rig_ask(r, "signal", "{id: %s, name: %s, by: %s}", "a", "go", "bob");
    assert_string_equal(pawl_str(rig_event(r, "a", "SignalReceived", 0), "by", ""), "bob");
}

static void nobody_but_a_run_says_whose_child_it_is(void **state)
{
    rig *r = *state;
    open_both(r);
    int64_t next = rig_key(r, "a") > 0 ? rig_key(r, "a") + 1 : 1;
    for (int64_t parent = next - 1; parent < next + 3; parent++) {
        if (parent != 0) {
            assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s, parent: %lld}", "waits",
                                     "c", (long long)parent)
                                 ->status,
                             PAWL_INVALID);
        }
    }
    rig_kill(r);
    rig_post_inbox(r, "start", rig_value(r, "{workflow: %s, id: %s, parent: 77}", "waits", "d"),
                   "");
    rig_boot(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "c"), "");
    assert_string_equal(rig_status(r, "d"), "");
}

/* ---- dedup ---- */

static void the_same_key_gets_the_first_outcome_again(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *one = rig_ask(r, "start", "{workflow: %s, dedup: %s}", "waits", "k1");
    const char *id = pawl_str(one->value, "id", "");
    const rig_reply *two = rig_ask(r, "start", "{workflow: %s, dedup: %s}", "waits", "k1");
    assert_int_equal(two->status, PAWL_OK);
    assert_string_equal(pawl_str(two->value, "id", "?"), id);
    rig_crash(r);
    const rig_reply *three = rig_ask(r, "start", "{workflow: %s, dedup: %s}", "waits", "k1");
    assert_string_equal(pawl_str(three->value, "id", "?"), id);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            rig_ask(r, "signal", "{id: %s, name: %s, dedup: %s}", id, "other", "k2")->status,
            PAWL_OK);
    }
    assert_int_equal(rig_count(r, id, "SignalReceived"), 1);
}

static void a_refusal_is_an_outcome_too(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, dedup: %s}", "waits", "a", "k")->status,
        PAWL_EXISTS);
    assert_int_equal(rig_ask(r, "terminate", "{id: %s}", "a")->status, PAWL_OK);
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, dedup: %s}", "waits", "a", "k")->status,
        PAWL_EXISTS);
}

static void the_same_key_twice_at_once_is_done_once(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    rig_reply *replies[5];
    for (int i = 0; i < 5; i++) {
        replies[i] = rig_post(r, "signal", "{id: %s, name: %s, dedup: %s}", "a", "other", "k");
    }
    rig_run(r);
    for (int i = 0; i < 5; i++) {
        assert_true(replies[i]->done);
        assert_int_equal(replies[i]->status, PAWL_OK);
    }
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
}

static void a_key_whose_group_did_not_land_may_be_tried_again(void **state)
{
    rig *r = *state;
    if (r->store == NULL) {
        skip();
    }
    open_both(r);
    rig_start(r, "waits", "a");
    pw_memory_fail_commit(r->store, PW_FAULT_NOT, 0);
    assert_int_equal(
        rig_ask(r, "signal", "{id: %s, name: %s, dedup: %s}", "a", "other", "k")->status, PAWL_NOT);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 0);
    assert_int_equal(
        rig_ask(r, "signal", "{id: %s, name: %s, dedup: %s}", "a", "other", "k")->status, PAWL_OK);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
}

static void a_start_with_a_key_that_has_to_wait_for_the_run_before_it_is_answered(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    int64_t first = rig_key(r, "a");
    const rig_reply *reply = rig_ask(r, "start", "{workflow: %s, id: %s, conflict: %s, dedup: %s}",
                                     "waits", "a", "terminate", "k");
    assert_int_equal(reply->status, PAWL_OK);
    assert_true(rig_key(r, "a") > first);
    (void)rig_post(r, "signal", "{id: %s, name: %s}", "a", "other"); /* freezes it */
    rig_step(r);
    const rig_reply *shared = rig_ask(r, "start", "{workflow: %s, id: %s, conflict: %s, dedup: %s}",
                                      "waits", "a", "use-existing", "k2");
    assert_int_equal(shared->status, PAWL_OK);
}

/* ---- signal with start ---- */

static void signal_with_start_starts_and_signals_or_only_signals(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *one = rig_ask(
        r, "start", "{workflow: %s, id: %s, signal: %s, signal_value: 1}", "waits", "a", "other");
    assert_int_equal(one->status, PAWL_OK);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    const rig_reply *two = rig_ask(
        r, "start", "{workflow: %s, id: %s, signal: %s, signal_value: 2}", "waits", "a", "go");
    assert_int_equal(two->status, PAWL_OK);
    assert_true(pawl_bool(two->value, "existing", false));
    assert_int_equal(pawl_int(rig_result(r, "a"), "go", 0), 2);
}

static void signal_with_start_to_an_open_run_is_acked_after_its_commit(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    const rig_reply *reply =
        rig_post(r, "start", "{workflow: %s, id: %s, signal: %s}", "waits", "a", "go");
    rig_step(r);
    assert_false(reply->done);
    assert_true(rig_commit(r));
    assert_false(reply->done);
    assert_true(rig_answer(r));
    assert_true(reply->done);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "completed");
}

/* ---- the inbox ---- */

static void what_was_posted_while_nobody_ran_is_done_at_the_next_start_once(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_kill(r);
    rig_post_inbox(r, "start", rig_value(r, "{workflow: %s, id: %s}", "waits", "a"), "");
    rig_post_inbox(r, "signal",
                   rig_value(r, "{id: %s, name: %s, value: 6, dedup: %s}", "a", "go", "s1"), "s1");
    rig_boot(r);
    rig_step(r);
    rig_crash(r); /* before anything landed */
    rig_run(r);
    assert_int_equal(pawl_int(rig_result(r, "a"), "go", 0), 6);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_count(r, "a", "SignalReceived"), 1);
    const rig_reply *again = rig_ask(r, "signal", "{id: %s, name: %s, dedup: %s}", "a", "go", "s1");
    assert_int_equal(again->status,
                     PAWL_OK); /* the first outcome, though the run is closed by now */
}

static void a_posted_start_of_unknown_code_waits_for_it(void **state)
{
    rig *r = *state;
    rig_kill(r);
    rig_post_inbox(r, "start", rig_value(r, "{workflow: %s, id: %s}", "waits", "a"), "");
    rig_boot(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_string_equal(rig_waiting(r, "a"), "no-code");
    rig_workflow(r, "waits", waits);
    rig_run(r);
    assert_string_equal(rig_waiting(r, "a"), "signal go");
}

static void a_malformed_post_is_dropped_and_said(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_kill(r);
    rig_post_inbox(r, "nonsense", rig_value(r, "{a: 1}"), "");
    rig_post_inbox(r, "start", rig_value(r, "{workflow: %s, id: %s}", "waits", "a"), "");
    rig_boot(r);
    rig_run(r);
    assert_true(rig_logged(r, "malformed"));
    assert_string_equal(rig_status(r, "a"), "running");
    rig_crash(r);
    rig_run(r);
    assert_int_equal(rig_key(r, "a"), 1);
}

/* ---- watching and waiting for results ---- */

static void a_result_is_told_when_the_run_ends_and_a_watch_sees_each_event_once(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *watch = rig_post(r, "watch", "{id: %s}", "a");
    rig_start(r, "waits", "a");
    const rig_reply *result = rig_post(r, "result", "{id: %s}", "a");
    rig_advance(r, 100000);
    assert_false(result->done);
    assert_int_equal(watch->replies, 2); /* RunStarted SignalAwaited */
    assert_int_equal(rig_ask(r, "signal", "{id: %s, name: %s, value: 2}", "a", "go")->status,
                     PAWL_OK);
    assert_true(result->done);
    assert_string_equal(pawl_str(result->value, "status", ""), "completed");
    assert_int_equal(watch->replies, 4);
    assert_string_equal(pawl_str(watch->value, "type", ""), "RunCompleted");
    assert_int_equal(pawl_int(watch->value, "seq", 0), 4);
}

static void a_result_of_a_run_that_does_not_exist_is_not_found(void **state)
{
    rig *r = *state;
    assert_int_equal(rig_ask(r, "result", "{id: %s}", "nobody")->status, PAWL_NOTFOUND);
}

/* ---- starts that are followed ---- */

static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    pawl_progress(w, 1, 3, "asking");
    return pawl_ask(w, .name = "pay", .choices = "yes|no");
}

static rig_reply *follow(rig *r, const char *workflow, const char *id, bool fail)
{
    return rig_ask(r, "start", "{workflow: %s, id: %s, input: {fail: %p}, follow: true}", workflow,
                   id, pawl_v(pawl_make_bool(r->scope, fail)));
}

static void a_followed_start_that_ends_at_once_is_answered_with_its_end(void **state)
{
    rig *r = *state;
    open_both(r);
    const rig_reply *good = follow(r, "ends", "a", false);
    assert_true(good->done);
    assert_int_equal(good->replies, 1);
    assert_string_equal(pawl_str(good->value, "status", ""), "completed");
    assert_false(pawl_bool(good->value, "result.fail", true));
    assert_null(pawl_get(good->value, "following"));
    const rig_reply *bad = follow(r, "ends", "b", true);
    assert_true(bad->done);
    assert_int_equal(bad->status, PAWL_OK);
    assert_string_equal(pawl_str(bad->value, "status", ""), "failed");
    assert_string_equal(pawl_str(bad->value, "failure.type", ""), "Asked");
}

static void a_followed_start_that_waits_goes_on_as_a_watch(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_reply *f = follow(r, "waits", "a", false);
    assert_int_equal(f->replies, 1);
    assert_true(pawl_bool(f->value, "following", false));
    assert_string_equal(pawl_str(f->value, "status", ""), "running");
    const rig_reply *other = follow(r, "waits", "b", false);
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_int_equal(f->replies, 3); /* SignalReceived RunCompleted: nothing twice, nothing of b */
    assert_string_equal(pawl_str(f->value, "type", ""), "RunCompleted");
    assert_int_equal(other->replies, 1);
    (void)rig_ask(r, "unwatch", "{request: %lld}", (long long)other->number);
    assert_int_equal(other->status, PAWL_DONE);
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "b", "go");
    assert_int_equal(other->replies, 2);
}

static void a_followed_start_says_what_its_run_asks_and_how_far_it_is(void **state)
{
    rig *r = *state;
    rig_workflow(r, "asks", asks);
    const rig_reply *f = follow(r, "asks", "a", false);
    assert_true(pawl_bool(f->value, "asks", false));
    assert_int_equal(pawl_int(f->value, "progress.done", 0), 1);
    assert_string_equal(pawl_str(f->value, "progress.text", ""), "asking");
}

static void a_followed_start_of_a_run_that_there_is_follows_nothing(void **state)
{
    rig *r = *state;
    open_both(r);
    rig_start(r, "waits", "a");
    const rig_reply *f =
        rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s, conflict: %s, follow: true}",
                "waits", "a", "reject", "use-existing");
    assert_true(f->done);
    assert_true(pawl_bool(f->value, "existing", false));
    (void)rig_ask(r, "signal", "{id: %s, name: %s}", "a", "go");
    assert_int_equal(f->replies, 1);
    f = rig_ask(r, "start", "{workflow: %s, id: %s, reuse: %s, conflict: %s, follow: true}",
                "waits", "a", "reject", "use-existing");
    assert_int_equal(f->status, PAWL_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(an_open_id_is_refused_shared_or_taken_over_as_the_policy_says),
        RIG_TEST(a_closed_id_is_used_again_as_the_policy_says),
        RIG_TEST(two_starts_of_one_id_in_one_breath_give_one_run),
        RIG_TEST(a_start_without_an_id_gets_a_fresh_one),
        RIG_TEST(what_the_caller_got_wrong_is_named),
        RIG_TEST(what_the_caller_said_is_on_the_record),
        RIG_TEST(the_same_key_gets_the_first_outcome_again),
        RIG_TEST(a_refusal_is_an_outcome_too),
        RIG_TEST(the_same_key_twice_at_once_is_done_once),
        RIG_TEST(a_key_whose_group_did_not_land_may_be_tried_again),
        RIG_TEST(a_start_with_a_key_that_has_to_wait_for_the_run_before_it_is_answered),
        RIG_TEST(signal_with_start_starts_and_signals_or_only_signals),
        RIG_TEST(signal_with_start_to_an_open_run_is_acked_after_its_commit),
        RIG_TEST(what_was_posted_while_nobody_ran_is_done_at_the_next_start_once),
        RIG_TEST(a_posted_start_of_unknown_code_waits_for_it),
        RIG_TEST(a_malformed_post_is_dropped_and_said),
        RIG_TEST(a_result_is_told_when_the_run_ends_and_a_watch_sees_each_event_once),
        RIG_TEST(a_result_of_a_run_that_does_not_exist_is_not_found),
        RIG_TEST(a_followed_start_that_ends_at_once_is_answered_with_its_end),
        RIG_TEST(nobody_but_a_run_says_whose_child_it_is),
        RIG_TEST(a_followed_start_that_waits_goes_on_as_a_watch),
        RIG_TEST(a_followed_start_says_what_its_run_asks_and_how_far_it_is),
        RIG_TEST(a_followed_start_of_a_run_that_there_is_follows_nothing),
    };
    return rig_run_modes(tests, PW_COUNT(tests), true);
}
