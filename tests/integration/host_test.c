/*
 * host_test.c - the host API on a real journal: what each call promises in pawl.h. Does not test the control socket (control_test.c) nor
 * crashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host_rig.h"

static int open_setup(void **state)
{
    if (rig_setup(state) != 0) {
        return -1;
    }
    rig_open(*state, NULL);
    return 0;
}

/* ---- starting and ending ---- */

static void a_started_run_gives_its_result(void **state)
{
    rig *r = *state;

    rig_start(r, "hello", "h-1", "{\"name\": \"Ada\"}");
    assert_string_equal(pawl_str(rig_result(r, "h-1"), "text", ""), "Ada");
    assert_string_equal(pawl_str(rig_describe(r, "h-1"), "status", ""), "completed");
}

static void a_start_without_an_id_gets_one(void **state)
{
    rig *r = *state;
    pawl_start_options o = {.workflow = "hello"};
    char id[201] = "";

    ok(r, pawl_start(r->engine, &o, sizeof o, id, &r->err));
    assert_int_equal(strlen(id), 36);
    (void)rig_result(r, id);
}

static void a_failed_run_gives_its_failure(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "flaky", "f-1", NULL);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "f-1", 20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "type", ""), "NotYet");
    assert_non_null(strstr(r->err.message, "NotYet"));
}

static void what_does_not_exist_is_not_found(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    pawl_start_options unknown = {.workflow = "nonsense", .id = "n-1"};

    expect(r, PAWL_NOTFOUND, pawl_result(r->engine, "ghost", 1000, r->scope, &v, &r->err));
    expect(r, PAWL_NOTFOUND, pawl_describe(r->engine, "ghost", r->scope, &v, &r->err));
    expect(r, PAWL_NOTFOUND, pawl_signal_post(r->engine, "ghost", "go", NULL, NULL, &r->err));
    expect(r, PAWL_NOTFOUND, pawl_cancel(r->engine, "ghost", NULL, &r->err));
    assert_non_null(strstr(r->err.message, "ghost"));
    expect(r, PAWL_NOCODE, pawl_start(r->engine, &unknown, sizeof unknown, NULL, &r->err));
    assert_non_null(strstr(r->err.message, "nonsense"));
}

static void bad_arguments_are_invalid_and_said_so(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    pawl_start_options space = {.workflow = "hello", .id = "two words"};
    pawl_start_options nobody = {.id = "x"};
    pawl_start_options empty = {.workflow = "hello", .id = ""};
    pawl_start_options bytes = {.workflow = "hello", .id = "\xff\xfe"};

    expect(r, PAWL_INVALID, pawl_start(r->engine, &space, sizeof space, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_start(r->engine, &empty, sizeof empty, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_start(r->engine, &bytes, sizeof bytes, NULL, &r->err));
    assert_non_null(strstr(r->err.message, "the id of a start"));
    expect(r, PAWL_INVALID, pawl_start(r->engine, &nobody, sizeof nobody, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_cancel(r->engine, NULL, NULL, &r->err));
    expect(r, PAWL_INVALID, pawl_request(r->engine, "nonsense", NULL, -1, r->scope, &v, &r->err));
    expect(r, PAWL_INVALID, pawl_list(r->engine, "colour = red", 0, 10, r->scope, &v, &r->err));
    expect(r, PAWL_INVALID, pawl_cancel(NULL, "x", NULL, &r->err));
}

static void a_result_that_does_not_come_times_out(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "go", "g-1", NULL);
    for (int i = 0; i < 3; i++) {
        expect(r, PAWL_TIMEOUT, pawl_result(r->engine, "g-1", 20, r->scope, &v, &r->err));
    }
    ok(r, pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", 1), NULL, &r->err));
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "0", 0), 1);
}

/* ---- talking to a run ---- */

static void signals_arrive_in_the_order_they_were_accepted(void **state)
{
    rig *r = *state;

    rig_start(r, "go", "g-1", "{\"count\": 10}");
    for (int i = 0; i < 10; i++) {
        ok(r,
           pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", i), NULL, &r->err));
    }
    const pawl_value *v = rig_result(r, "g-1");
    assert_int_equal(pawl_len(v), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(pawl_int(pawl_at(v, i), "", -1), i);
    }
}

static void a_signal_with_start_is_the_first_signal(void **state)
{
    rig *r = *state;
    pawl_start_options o = {.workflow = "go",
                            .id = "g-1",
                            .signal = "go",
                            .signal_value = pawl_build(r->scope, "%s", "first")};

    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    assert_string_equal(pawl_str(rig_result(r, "g-1"), "0", ""), "first");
}

static void a_signal_to_a_closed_run_is_refused(void **state)
{
    rig *r = *state;

    rig_start(r, "hello", "h-1", NULL);
    (void)rig_result(r, "h-1");
    expect(r, PAWL_CLOSED, pawl_signal_post(r->engine, "h-1", "go", NULL, NULL, &r->err));
}

static void queries_are_answered_from_keys_and_by_handlers(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "keys", "k-1", "{\"colour\": \"red\"}");
    rig_until(r, "k-1", "waiting", "signal go");
    ok(r, pawl_query(r->engine, "k-1", "colour", NULL, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "", ""), "red");
    ok(r, pawl_query(r->engine, "k-1", "double", pawl_build(r->scope, "{n: %d}", 21), r->scope, &v,
                     &r->err));
    assert_int_equal(pawl_int(v, "", 0), 42);
    expect(r, PAWL_NOTFOUND, pawl_query(r->engine, "k-1", "nonsense", NULL, r->scope, &v, &r->err));
    assert_int_equal(pawl_int(rig_describe(r, "k-1"), "progress.done", 0), 1);
    ok(r, pawl_signal_post(r->engine, "k-1", "go", NULL, NULL, &r->err));
    (void)rig_result(r, "k-1");
    ok(r,
       pawl_query(r->engine, "k-1", "colour", NULL, r->scope, &v, &r->err)); /* finished runs too */
}

static void the_first_answer_wins_and_the_second_is_told_so(void **state)
{
    rig *r = *state;
    const pawl_value *yes = pawl_build(r->scope, "{choice: \"yes\"}");
    const pawl_value *no = pawl_build(r->scope, "{choice: \"no\"}");
    const pawl_value *v = NULL;

    rig_start(r, "asker", "a-1", "{\"what\": 1}");
    rig_start(r, "go", "g-1", NULL);
    rig_until(r, "a-1", "waiting", pawl_str(rig_describe(r, "a-1"), "waiting", ""));
    ok(r, pawl_waits(r->engine, NULL, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(v), 1);
    assert_string_equal(pawl_str(v, "0.id", ""), "a-1");
    assert_string_equal(pawl_str(v, "0.name", ""), "approve");
    assert_string_equal(pawl_str(v, "0.prompt", ""), "Shall we?");
    ok(r, pawl_answer(r->engine, "a-1", NULL, yes, "ann", &r->err));
    v = rig_result(r, "a-1");
    assert_string_equal(pawl_str(v, "choice", ""), "yes");
    assert_string_equal(pawl_str(v, "by", ""), "ann");
    pawl_status late = pawl_answer(r->engine, "a-1", "approve", no, "bob", &r->err);
    assert_true(late == PAWL_CONFLICT || late == PAWL_CLOSED);
}

/* The same by the call that says everything: with a key, a reason, and what came of it. */
static void an_answer_with_a_key_is_given_once_and_late_ones_are_told_by_whom(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    pawl_answer_options later = {.by = "cid", .reason = "tomorrow", .defer = true};
    pawl_answer_options o = {.name = "approve", .choice = "yes", .by = "ann", .dedup = "k1"};
    pawl_answer_options other = {.name = "approve", .choice = "no", .by = "bob"};

    rig_start(r, "asker", "a-1", "{\"what\": 1}");
    rig_until(r, "a-1", "waiting", pawl_str(rig_describe(r, "a-1"), "waiting", ""));
    ok(r, pawl_answer_with(r->engine, "a-1", &later, sizeof later, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "outcome", ""), "deferred");
    ok(r, pawl_waits(r->engine, "a-1", r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "0.deferred.reason", ""), "tomorrow");
    assert_int_equal(pawl_int(v, "0.deferred.uid", -1), getuid());
    ok(r, pawl_answer_with(r->engine, "a-1", &o, sizeof o, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "outcome", ""), "decided");
    assert_false(pawl_bool(v, "again", false));
    ok(r, pawl_answer_with(r->engine, "a-1", &o, sizeof o, r->scope, &v, &r->err));
    assert_true(pawl_bool(v, "again", false));
    (void)rig_result(r, "a-1");
    expect(r, PAWL_CONFLICT,
           pawl_answer_with(r->engine, "a-1", &other, sizeof other, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(v, "by", ""), "ann");
    assert_string_equal(pawl_str(v, "choice", ""), "yes");
    assert_true(pawl_int(v, "at_ms", 0) > 0);
    assert_non_null(strstr(r->err.message, "yes by ann, at 20"));
    later.choice = "yes";
    expect(r, PAWL_INVALID,
           pawl_answer_with(r->engine, "a-1", &later, sizeof later, r->scope, &v, &r->err));
    expect(r, PAWL_INVALID, pawl_answer_with(r->engine, "a-1", NULL, 0, r->scope, &v, &r->err));
}

/* ---- changing a run ---- */

static void a_cancelled_run_ends_cancelled(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "sleeper", "s-1", NULL);
    ok(r, pawl_cancel(r->engine, "s-1", "enough", &r->err));
    expect(r, PAWL_CANCELED, pawl_result(r->engine, "s-1", 20000, r->scope, &v, &r->err));
    assert_string_equal(pawl_str(rig_describe(r, "s-1"), "status", ""), "canceled");
}

static void a_terminated_run_ends_at_once(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "sleeper", "s-1", NULL);
    ok(r, pawl_terminate(r->engine, "s-1", "enough", &r->err));
    expect(r, PAWL_TERMINATED, pawl_result(r->engine, "s-1", 20000, r->scope, &v, &r->err));
    expect(r, PAWL_CLOSED, pawl_terminate(r->engine, "s-1", NULL, &r->err));
}

static void a_paused_run_takes_signals_and_acts_on_them_when_resumed(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "go", "g-1", NULL);
    ok(r, pawl_pause(r->engine, "g-1", "lunch", &r->err));
    assert_string_equal(pawl_str(rig_describe(r, "g-1"), "status", ""), "paused");
    ok(r, pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", 5), NULL, &r->err));
    expect(r, PAWL_TIMEOUT, pawl_result(r->engine, "g-1", 50, r->scope, &v, &r->err));
    ok(r, pawl_resume(r->engine, "g-1", &r->err));
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "0", 0), 5);
}

static void a_retried_run_goes_on_at_the_step_that_failed(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "flaky", "f-1", NULL);
    expect(r, PAWL_FAILED, pawl_result(r->engine, "f-1", 20000, r->scope, &v, &r->err));
    atomic_store(&r->flaky_ok, 1);
    ok(r, pawl_retry(r->engine, "f-1", &r->err));
    assert_true(pawl_bool(rig_result(r, "f-1"), "ok", false));
}

/* ---- ids ---- */

static void an_open_id_is_refused_reused_or_taken_over_as_asked(void **state)
{
    rig *r = *state;
    pawl_start_options o = {.workflow = "go", .id = "g-1"};
    const pawl_value *v = NULL;

    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    expect(r, PAWL_EXISTS, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    o.conflict = PAWL_CONFLICT_USE_EXISTING;
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    ok(r, pawl_list(r->engine, "id = g-1", 0, 10, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "runs")), 1);
    o.conflict = PAWL_CONFLICT_TERMINATE;
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    ok(r, pawl_list(r->engine, "id = g-1", 0, 10, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "runs")), 2);
    assert_string_equal(pawl_str(v, "runs.0.status", ""), "running");
    assert_string_equal(pawl_str(v, "runs.1.status", ""), "terminated");
}

static void a_closed_id_is_reused_as_asked(void **state)
{
    rig *r = *state;
    pawl_start_options o = {.workflow = "hello", .id = "h-1", .reuse = PAWL_REUSE_REJECT};

    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    (void)rig_result(r, "h-1");
    expect(r, PAWL_EXISTS, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    o.reuse = PAWL_REUSE_IF_FAILED;
    expect(r, PAWL_EXISTS, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    o.reuse = PAWL_REUSE_ALLOW;
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    (void)rig_result(r, "h-1");
}

static void the_same_dedup_key_gets_the_first_outcome(void **state)
{
    rig *r = *state;
    pawl_start_options o = {
        .workflow = "hello", .id = "h-1", .dedup = "key-1", .reuse = PAWL_REUSE_REJECT};
    char id[201] = "";

    ok(r, pawl_start(r->engine, &o, sizeof o, id, &r->err));
    (void)rig_result(r, "h-1");
    ok(r, pawl_start(r->engine, &o, sizeof o, id, &r->err)); /* refused, but for the key */
    assert_string_equal(id, "h-1");
    rig_close(r);
    rig_open(r, NULL);
    ok(r, pawl_start(r->engine, &o, sizeof o, id, &r->err));
    rig_start(r, "go", "g-1", "{\"count\": 2}");
    for (int i = 0; i < 3; i++) {
        ok(r, pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", i), "sig-1",
                               &r->err));
    }
    ok(r,
       pawl_signal_post(r->engine, "g-1", "go", pawl_build(r->scope, "%d", 9), "sig-2", &r->err));
    assert_int_equal(pawl_int(rig_result(r, "g-1"), "1", 0), 9);
}

/* ---- reading ---- */

static void listings_are_filtered_and_paged_from_the_newest(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    char id[20];
    int64_t cursor = 0;
    int seen = 0;

    for (int i = 0; i < 25; i++) {
        (void)snprintf(id, sizeof id, "n-%02d", i);
        rig_start(r, i % 5 == 0 ? "sleeper" : "hello", id, NULL);
    }
    do {
        ok(r, pawl_list(r->engine, "workflow = hello", cursor, 6, r->scope, &v, &r->err));
        const pawl_value *runs = pawl_get(v, "runs");
        assert_true(pawl_len(runs) <= 6);
        seen += (int)pawl_len(runs);
        cursor = pawl_int(v, "next", 0);
    } while (cursor != 0);
    assert_int_equal(seen, 20);
    ok(r, pawl_list(r->engine, "id ~ n-2* and status = open", 0, 100, r->scope, &v, &r->err));
    ok(r, pawl_list(r->engine, "workflow = sleeper", 0, 100, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "runs")), 5);
    assert_string_equal(pawl_str(v, "runs.0.id", ""), "n-20");
}

static void a_history_is_read_in_pages_from_its_first_event(void **state)
{
    rig *r = *state;
    const pawl_value *all = NULL;
    const pawl_value *page = NULL;

    rig_start(r, "counter", "c-1", "{\"steps\": 5}");
    (void)rig_result(r, "c-1");
    ok(r, pawl_history(r->engine, "c-1", 1, 1000, r->scope, &all, &r->err));
    size_t len = pawl_len(all);
    assert_true(len >= 7); /* started, five steps, completed */
    assert_string_equal(pawl_str(all, "0.type", ""), "RunStarted");
    assert_int_equal(len, pawl_int(rig_describe(r, "c-1"), "events", 0));
    for (size_t i = 0; i < len; i++) {
        ok(r, pawl_history(r->engine, "c-1", (int64_t)i + 1, 1, r->scope, &page, &r->err));
        assert_int_equal(pawl_len(page), 1);
        assert_true(pawl_equal(pawl_at(page, 0), pawl_at(all, i)));
        assert_int_equal(pawl_int(pawl_at(all, i), "seq", 0), i + 1);
    }
    ok(r, pawl_history(r->engine, "c-1", (int64_t)len + 1, 10, r->scope, &page, &r->err));
    assert_int_equal(pawl_len(page), 0);
}

static void a_large_payload_is_shown_whole(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;
    size_t size = 3000000;
    char *text = malloc(size + 1);

    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    pawl_start_options o = {
        .workflow = "hello", .id = "h-1", .input = pawl_build(r->scope, "{name: %s}", text)};
    ok(r, pawl_start(r->engine, &o, sizeof o, NULL, &r->err));
    assert_int_equal(pawl_len(pawl_get(rig_result(r, "h-1"), "text")), size);
    ok(r, pawl_history(r->engine, "h-1", 1, 10, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(pawl_at(v, 0), "input.name")), size);
    free(text);
}

static void a_child_names_its_parent(void **state)
{
    rig *r = *state;
    const pawl_value *v = NULL;

    rig_start(r, "parent", "p-1", "{\"workflow\": \"go\", \"id\": \"kid\"}");
    rig_start(r, "go", "g-1", NULL);
    rig_watch(r);
    while (pawl_describe(r->engine, "kid", r->scope, &v, &r->err) == PAWL_NOTFOUND) {
        rig_event(r);
    }
    assert_string_equal(pawl_str(rig_describe(r, "kid"), "parent", ""), "p-1");
    ok(r, pawl_list(r->engine, "parent = p-1", 0, 10, r->scope, &v, &r->err));
    assert_int_equal(pawl_len(pawl_get(v, "runs")), 1);
    assert_string_equal(pawl_str(v, "runs.0.id", ""), "kid");
    ok(r, pawl_signal_post(r->engine, "kid", "go", NULL, NULL, &r->err));
    (void)rig_result(r, "p-1");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_started_run_gives_its_result),
        T(a_start_without_an_id_gets_one),
        T(a_failed_run_gives_its_failure),
        T(what_does_not_exist_is_not_found),
        T(bad_arguments_are_invalid_and_said_so),
        T(a_result_that_does_not_come_times_out),
        T(signals_arrive_in_the_order_they_were_accepted),
        T(a_signal_with_start_is_the_first_signal),
        T(a_signal_to_a_closed_run_is_refused),
        T(queries_are_answered_from_keys_and_by_handlers),
        T(the_first_answer_wins_and_the_second_is_told_so),
        T(an_answer_with_a_key_is_given_once_and_late_ones_are_told_by_whom),
        T(a_cancelled_run_ends_cancelled),
        T(a_terminated_run_ends_at_once),
        T(a_paused_run_takes_signals_and_acts_on_them_when_resumed),
        T(a_retried_run_goes_on_at_the_step_that_failed),
        T(an_open_id_is_refused_reused_or_taken_over_as_asked),
        T(a_closed_id_is_reused_as_asked),
        T(the_same_dedup_key_gets_the_first_outcome),
        T(listings_are_filtered_and_paged_from_the_newest),
        T(a_history_is_read_in_pages_from_its_first_event),
        T(a_large_payload_is_shown_whole),
        T(a_child_names_its_parent),
    };
#undef T

    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
