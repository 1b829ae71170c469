/*
 * fits_test.c - JSON Schemas that code gives: inputs and answers that do not fit are refused, and nothing has happened.
 * Does not test the validator: tests/schema does.
 */
#include "rig.h"

#include <string.h>

static const pawl_value *asks(pawl_run *w, const pawl_value *in)
{
    (void)in;
    const pawl_value *schema =
        pawl_json(w, "{type: %s, required: [%s], properties: {n: {minimum: 5}}}", "object", "n");
    const pawl_value *first = pawl_ask(w, "number", .prompt = "?", .schema = schema);
    const pawl_value *second =
        pawl_ask(w, "choice", .prompt = "?", .schema = schema, .choices = "yes|no");
    return pawl_json(w, "{n: %lld, choice: %s}", (long long)pawl_int(first, "data.n", 0),
                     pawl_str(second, "choice", ""));
}

static void an_answer_that_does_not_fit_is_refused_and_the_next_counts(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    rig_start(r, "wf", "a");
    const rig_reply *bad = rig_ask(r, "answer", "{id: %s, value: {data: {n: 3}}}", "a");
    assert_int_equal(bad->status, PAWL_INVALID);
    assert_non_null(strstr(bad->message, "/n: must be at least 5"));
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "yes")->status,
                     PAWL_INVALID);
    assert_int_equal(rig_count(r, "a", "WaitAnswered"), 0);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {data: {n: 7}}}", "a")->status, PAWL_OK);
    assert_int_equal(
        rig_ask(r, "answer", "{id: %s, value: {choice: %s, data: {n: 1}}}", "a", "yes")->status,
        PAWL_INVALID);
    assert_int_equal(rig_ask(r, "answer", "{id: %s, value: {choice: %s}}", "a", "yes")->status,
                     PAWL_OK);
    assert_int_equal(pawl_int(rig_result(r, "a"), "n", 0), 7);
}

static void an_input_that_does_not_fit_starts_nothing(void **state)
{
    rig *r = *state;
    pawl_error err;
    pawl_workflow_options o = {.struct_size = sizeof o,
                               .input_schema = "{\"required\":[\"name\"]}"};
    assert_int_equal(pw_core_workflow(r->core, "strict", "1", asks, NULL, &o, &err), PAWL_OK);
    const rig_reply *bad = rig_ask(r, "start", "{workflow: %s, id: %s, input: {}}", "strict", "a");
    assert_int_equal(bad->status, PAWL_INVALID);
    assert_non_null(
        strstr(bad->message, "the input does not fit its schema: the value lacks \"name\""));
    assert_int_equal(rig_ask(r, "start", "{workflow: %s, id: %s}", "strict", "a")->status,
                     PAWL_OK); /* null has no properties */
    assert_int_equal(
        rig_ask(r, "start", "{workflow: %s, id: %s, input: {name: 1}}", "strict", "b")->status,
        PAWL_OK);
}

static const pawl_value *never(pawl_run *w, const pawl_value *in)
{
    (void)in;
    return pawl_fail(w, "Begun", "code has begun with an input that does not fit");
}

static void strict(rig *r)
{
    pawl_error err;
    pawl_workflow_options o = {.struct_size = sizeof o,
                               .input_schema = "{\"required\":[\"name\"]}"};
    assert_int_equal(pw_core_workflow(r->core, "strict", "1", never, NULL, &o, &err), PAWL_OK);
}

static void post(rig *r, const char *conflict)
{
    rig_post_inbox(
        r, "start",
        rig_value(r, "{workflow: %s, id: %s, input: {}, conflict: %s}", "strict", "a", conflict),
        "");
}

/* Who posted it is gone, and was told that it is kept. */
static void a_posted_input_that_does_not_fit_is_a_run_that_says_so(void **state)
{
    rig *r = *state;
    strict(r);
    rig_kill(r);
    post(r, "fail");
    rig_boot(r);
    strict(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "terminated");
    assert_non_null(strstr(pawl_str(rig_event(r, "a", "RunTerminated", 0), "reason", ""),
                           "the input does not fit its schema: the value lacks \"name\""));
    assert_int_equal(rig_count(r, "a", "RunStarted"), 1);
    rig_crash(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "terminated");
}

static void a_posted_input_that_does_not_fit_ends_no_run_that_is_open(void **state)
{
    rig *r = *state;
    rig_workflow(r, "wf", asks);
    strict(r);
    rig_start(r, "wf", "a");
    rig_kill(r);
    post(r, "terminate");
    rig_boot(r);
    strict(r);
    rig_run(r);
    assert_string_equal(rig_status(r, "a"), "running");
    assert_true(rig_logged(r, "a posted start was not done: the input does not fit"));
}

static void a_schema_that_is_none_is_told_at_registration(void **state)
{
    rig *r = *state;
    pawl_error err;
    pawl_workflow_options o = {.struct_size = sizeof o, .input_schema = "{\"pattern\":\"(\"}"};
    assert_int_equal(pw_core_workflow(r->core, "bad", "1", asks, NULL, &o, &err), PAWL_INVALID);
    assert_non_null(strstr(err.message, "workflow \"bad\": the schema"));
    o.input_schema = "{";
    assert_int_equal(pw_core_workflow(r->core, "bad", "1", asks, NULL, &o, &err), PAWL_PARSE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        RIG_TEST(an_answer_that_does_not_fit_is_refused_and_the_next_counts),
        RIG_TEST(an_input_that_does_not_fit_starts_nothing),
        RIG_TEST(a_posted_input_that_does_not_fit_is_a_run_that_says_so),
        RIG_TEST(a_posted_input_that_does_not_fit_ends_no_run_that_is_open),
        RIG_TEST(a_schema_that_is_none_is_told_at_registration),
    };
    return rig_run_modes(tests, PW_COUNT(tests), false);
}
