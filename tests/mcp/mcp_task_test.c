/*
 * mcp_task_test.c - calls that take longer than a connection: tasks of both generations, questions of the server, and what a restart makes
 * of them.
 *
 * Not here: plain calls (mcp_http_test.c).
 */
#include "mcp_rig.h"

#include <stdio.h>

static const char *const paths[] = {"/modern", "/legacy"};
static const char *const eras[] = {"modern", "legacy"};

/* ---- tasks ---- */

static void a_task_is_followed_to_its_end_in_both_generations(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "task",
                           .arguments = request_of(r, "{id: %s, looks: 3}", eras[i])};
        assert_string_equal(mcp_text(mcp_result(r, &u)), "task is done");
        char key[40];
        (void)snprintf(key, sizeof key, "task:%s", eras[i]);
        assert_int_equal(net_count(r->net, key), 1);
        (void)snprintf(key, sizeof key, "look:%s", eras[i]);
        assert_int_equal(net_count(r->net, key), 4);
    }
}

static void a_task_that_fails_says_why(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "task",
                           .arguments = request_of(r, "{id: 1, end: \"failed\"}"),
                           .with = request_of(r, "{retries: 2}")};
        const pawl_value *f = mcp_failing(r, &u, "TaskFailed");
        assert_non_null(strstr(pawl_str(f, "message", ""), "the task broke"));
    }
}

/* [M2] */
static void a_task_is_looked_at_again_after_a_restart(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char key[40];
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "task",
                           .arguments = request_of(r, "{id: %s, looks: 40}", eras[i])};
        mcp_start(r, &u);
        (void)snprintf(key, sizeof key, "look:%s", eras[i]);
        http_seen(r, key, 2);
        rig_close(r->host);
        mcp_open(r);
        assert_string_equal(mcp_text(http_end(r, eras[i])), "task is done");
        (void)snprintf(key, sizeof key, "task:%s", eras[i]);
        assert_int_equal(net_count(r->net, key), 1);
        (void)snprintf(key, sizeof key, "cancel:%s", eras[i]);
        assert_int_equal(net_count(r->net, key), 0);
    }
}

static void a_cancelled_run_cancels_its_task(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char key[40];
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "task",
                           .arguments = request_of(r, "{id: %s, looks: 1000000}", eras[i])};
        mcp_start(r, &u);
        (void)snprintf(key, sizeof key, "look:%s", eras[i]);
        http_seen(r, key, 1);
        ok(r->host, pawl_cancel(r->host->engine, eras[i], "enough", &r->host->err));
        (void)snprintf(key, sizeof key, "cancel:%s", eras[i]);
        http_seen(r, key, 1);
    }
}

static void a_task_that_takes_its_time_gives_the_thread_back(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/modern"),
                       .tool = "task",
                       .arguments = request_of(r, "{id: 1, poll: 3600000}")};
    mcp_start(r, &u);
    const pawl_value *h = NULL;
    for (bool seen = false; !seen;) {
        ok(r->host, pawl_history(r->host->engine, "a", 1, 100, r->host->scope, &h, &r->host->err));
        for (size_t i = 0; i < pawl_len(h); i++) {
            seen |= pawl_is(pawl_at(h, i), "failure.type", "TaskPending") &&
                    pawl_int(pawl_at(h, i), "failure.retry_ms", 0) == 60000;
        }
    }
    ok(r->host, pawl_cancel(r->host->engine, "a", "enough", &r->host->err));
}

/* ---- questions ---- */

static void wait_for_question(http_rig *r, const char *id, const char *name)
{
    char text[60];
    (void)snprintf(text, sizeof text, "answer %s", name);
    rig_until(r->host, id, "waiting", text);
}

static void answer(http_rig *r, const char *id, const char *name, const char *said)
{
    wait_for_question(r, id, name);
    ok(r->host, pawl_answer(r->host->engine, id, name, request_of(r, "{data: {name: %s}}", said),
                            NULL, &r->host->err));
}

static void a_question_is_a_failure_that_carries_it(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "ask",
                           .arguments = request_of(r, "{id: 7}"),
                           .with = request_of(r, "{retries: 2}")};
        const pawl_value *f = mcp_failing(r, &u, "InputRequired");
        const pawl_value *question = pawl_at(pawl_get(f, "details.questions"), 0);
        assert_true(pawl_is(question, "params.message", "Who are you?"));
        assert_true(pawl_is(f, "details.resume.state", i == 0 ? "state of 7" : "") || i == 1);
    }
}

static void a_person_answers_and_the_call_goes_on(void **state)
{
    http_rig *r = *state;
    static const char *const keys[] = {"who", "ask-1"};
    static const char *const wanted[] = {"accept {\"name\": \"Bob\"} state of 7",
                                         "accept {\"name\": \"Bob\"} None"};
    for (size_t i = 0; i < 2; i++) {
        const mcp_use u = {.id = eras[i],
                           .workflow = "consult",
                           .server = mcp_url(r, paths[i]),
                           .tool = "ask",
                           .arguments = request_of(r, "{id: 7}")};
        mcp_start(r, &u);
        answer(r, eras[i], keys[i], "Bob");
        assert_string_equal(mcp_text(http_end(r, eras[i])), wanted[i]);
    }
}

static void a_task_asks_and_is_answered_after_a_restart(void **state)
{
    http_rig *r = *state;
    static const char *const keys[] = {"k1", "ask-1"};
    for (size_t i = 0; i < 2; i++) {
        char key[40];
        const mcp_use u = {.id = eras[i],
                           .workflow = "consult",
                           .server = mcp_url(r, paths[i]),
                           .tool = "task",
                           .arguments = request_of(r, "{id: %s, ask: true}", eras[i])};
        mcp_start(r, &u);
        wait_for_question(r, eras[i], keys[i]);
        rig_close(r->host);
        mcp_open(r);
        answer(r, eras[i], keys[i], "Eve");
        assert_string_equal(mcp_text(http_end(r, eras[i])), "task is done by Eve");
        (void)snprintf(key, sizeof key, "task:%s", eras[i]);
        assert_int_equal(net_count(r->net, key), 1);
    }
}

static void a_rule_answers_where_nobody_is_to_be_asked(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "defaults-%s", eras[i]);
        mcp_use u = {.id = id,
                     .server = mcp_url(r, paths[i]),
                     .tool = "ask",
                     .more = request_of(r, "{elicit: \"defaults\"}")};
        assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "accept {\"name\": \"Ann\"}"));
        (void)snprintf(id, sizeof id, "decline-%s", eras[i]);
        u.more = request_of(r, "{elicit: \"decline\"}");
        assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "decline"));
    }
}

/* [M3] */
static void an_answer_given_before_is_used_once(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {
        .id = "a",
        .server = mcp_url(r, "/modern"),
        .tool = "ask_twice",
        .more = request_of(r, "{answers: {one: {action: \"accept\", content: {name: \"x\"}}}}")};
    const pawl_value *f = mcp_failing(r, &u, "InputRequired");
    assert_non_null(pawl_get(f, "details.questions.two"));
    assert_null(pawl_get(f, "details.questions.one"));
    assert_true(pawl_is(f, "details.resume.state", "s2"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mcp_setup, mcp_teardown)
    const struct CMUnitTest tests[] = {
        T(a_task_is_followed_to_its_end_in_both_generations),
        T(a_task_that_fails_says_why),
        T(a_task_is_looked_at_again_after_a_restart),
        T(a_cancelled_run_cancels_its_task),
        T(a_task_that_takes_its_time_gives_the_thread_back),
        T(a_question_is_a_failure_that_carries_it),
        T(a_person_answers_and_the_call_goes_on),
        T(a_task_asks_and_is_answered_after_a_restart),
        T(a_rule_answers_where_nobody_is_to_be_asked),
        T(an_answer_given_before_is_used_once),
    };
    return cmocka_run_group_tests_name("mcp_task", tests, NULL, NULL);
}
