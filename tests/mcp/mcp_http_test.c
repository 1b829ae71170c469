/*
 * mcp_http_test.c - tools of a server over HTTP, in both eras: what is asked, what comes back, what is asked again and what never is.
 *
 * Not here: servers that are programs (mcp_stdio_test.c), tasks and questions (mcp_task_test.c).
 */
#include "mcp_rig.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const paths[] = {"/modern", "/legacy", "/old"};
static const char *const eras[] = {"modern", "legacy", "legacy"};

static void a_tool_answers_in_both_eras(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < PW_COUNT(paths); i++) {
        const mcp_use u = {.id = paths[i] + 1,
                           .server = mcp_url(r, paths[i]),
                           .tool = "add",
                           .arguments = request_of(r, "{a: 2, b: 3}")};
        const pawl_value *v = mcp_result(r, &u);
        assert_string_equal(mcp_text(v), "5");
        assert_int_equal(pawl_int(v, "structuredContent.sum", 0), 5);
        assert_true(pawl_is(v, "server.era", eras[i]));
        assert_true(pawl_is(v, "server.name", "scripted"));
        assert_null(pawl_get(v, "resultType"));
    }
}

static void a_list_has_all_pages_and_only_tools_that_fit(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        const pawl_value *input = request_of(r, "{request: {server: %p, method: \"tools/list\"}}",
                                             pawl_v(mcp_url(r, paths[i])));
        const pawl_start_options o = {.workflow = "use", .id = paths[i] + 1, .input = input};
        ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
        const pawl_value *v = http_end(r, o.id);
        assert_int_equal(pawl_len(pawl_get(v, "tools")), 20);
        assert_true(pawl_is(v, "tools.0.name", "echo"));
        assert_true(pawl_is(v, "server.era", eras[i]));
    }
}

static void a_verdict_and_a_list_are_kept(void **state)
{
    http_rig *r = *state;
    for (int i = 0; i < 3; i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "r%d", i);
        const mcp_use u = {.id = id,
                           .server = mcp_url(r, "/modern"),
                           .tool = "echo",
                           .arguments = request_of(r, "{text: \"x\"}")};
        assert_string_equal(mcp_text(mcp_result(r, &u)), "x");
    }
    assert_int_equal(net_count(r->net, "discover"), 1);
    assert_int_equal(net_count(r->net, "tools/list"), 3); /* one list of three pages */
}

static void a_tool_that_says_it_failed_is_a_result_unless_asked_otherwise(void **state)
{
    http_rig *r = *state;
    mcp_use u = {.id = "a", .server = mcp_url(r, "/modern"), .tool = "fails"};
    assert_true(pawl_bool(mcp_result(r, &u), "isError", false));
    u.id = "b";
    u.more = request_of(r, "{check: true}");
    const pawl_value *f = mcp_failing(r, &u, "ToolError");
    assert_true(pawl_is(f, "message", "it did not work"));
}

static void a_result_is_what_its_tool_promises_or_a_failure(void **state)
{
    http_rig *r = *state;
    mcp_use u = {.id = "a", .server = mcp_url(r, "/modern"), .tool = "sum"};
    assert_int_equal(pawl_int(mcp_result(r, &u), "structuredContent.sum", 0), 3);
    u.id = "b";
    u.tool = "half";
    u.with = request_of(r, "{retries: 3}");
    u.arguments = request_of(r, "{id: \"wrong\", gives: {sum: \"three\"}}");
    const pawl_value *f = mcp_failing(r, &u, "BadOutput");
    assert_true(pawl_is(f, "details.errors.0.at", "/sum"));
    assert_true(pawl_is(f, "details.result.structuredContent.sum", "three"));
    assert_int_equal(net_count(r->net, "half:wrong"), 1);
    u.id = "c";
    u.arguments = NULL;
    (void)mcp_failing(r, &u, "BadOutput");
    u.id = "d";
    u.tool = "fails"; /* an error keeps no promise */
    assert_true(pawl_bool(mcp_result(r, &u), "isError", false));
}

static void a_session_ends_with_the_engine(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/legacy"),
                       .tool = "echo",
                       .arguments = request_of(r, "{text: \"1\"}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "1");
    rig_close(r->host);
    assert_int_equal(net_count(r->net, "deleted"), 1);
    mcp_open(r);
}

static void an_error_says_what_the_server_said(void **state)
{
    http_rig *r = *state;
    mcp_use u = {.id = "a",
                 .server = mcp_url(r, "/modern"),
                 .tool = "refused",
                 .arguments = request_of(r, "{id: 1}"),
                 .with = request_of(r, "{retries: 3}")};
    const pawl_value *f = mcp_failing(r, &u, "BadParams");
    assert_int_equal(pawl_int(f, "details.code", 0), -32602);
    assert_int_equal(net_count(r->net, "refused:1"), 1);
    u.id = "b";
    u.tool = "broken";
    (void)mcp_failing(r, &u, "ServerError");
    assert_int_equal(net_count(r->net, "broken:1"), 1);
    u.id = "c";
    u.tool = "bad"; /* its description is not fit for use */
    (void)mcp_failing(r, &u, "UnknownTool");
    u.id = "d";
    u.tool = "strange";
    (void)mcp_failing(r, &u, "OutcomeUnknown");
}

/* [M1] */
static void a_lost_reply_is_asked_for_again_only_where_that_is_safe(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "lost-%s", eras[i]);
        mcp_use u = {.id = id,
                     .server = mcp_url(r, paths[i]),
                     .tool = "lost",
                     .arguments = request_of(r, "{id: %s}", id),
                     .with = request_of(r, "{retries: 3}")};
        const pawl_value *f = mcp_failing(r, &u, "OutcomeUnknown");
        assert_false(pawl_bool(f, "retryable", true));
        char key[60];
        (void)snprintf(key, sizeof key, "lost:%s", id);
        assert_int_equal(net_count(r->net, key), 1);
        (void)snprintf(id, sizeof id, "same-%s", eras[i]);
        u.tool = "lost_same";
        u.arguments = request_of(r, "{id: %s}", id);
        assert_string_equal(mcp_text(mcp_result(r, &u)), "found again");
        (void)snprintf(key, sizeof key, "lost_same:%s", id);
        assert_int_equal(net_count(r->net, key), 2);
        (void)snprintf(id, sizeof id, "never-%s", eras[i]);
        u.arguments = request_of(r, "{id: %s}", id);
        u.more = request_of(r, "{resend: \"never\"}");
        (void)mcp_failing(r, &u, "OutcomeUnknown");
    }
}

static void an_unsafe_call_without_an_answer_is_asked_about(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/modern"),
                       .tool = "lost",
                       .arguments = request_of(r, "{id: 1}"),
                       .with = request_of(r, "{unsafe: true}")};
    mcp_start(r, &u);
    rig_until(r->host, "a", "waiting", "answer: outcome unknown of mcp");
    ok(r->host,
       pawl_answer(r->host->engine, "a", NULL,
                   request_of(r, "{choice: \"done\", data: {content: []}}"), NULL, &r->host->err));
    assert_non_null(pawl_get(http_end(r, "a"), "content"));
}

static void a_call_that_surely_did_not_leave_is_tried_again(void **state)
{
    http_rig *r = *state;
    const pawl_value *server = request_of(r, "{url: \"http://127.0.0.1:1/\"}");
    const mcp_use u = {
        .id = "a", .server = server, .tool = "lost", .with = request_of(r, "{retries: 2}")};
    (void)mcp_failing(r, &u, "ConnectFailed");
    const pawl_value *h = NULL;
    ok(r->host, pawl_history(r->host->engine, "a", 1, 100, r->host->scope, &h, &r->host->err));
    int retried = 0;
    for (size_t i = 0; i < pawl_len(h); i++) {
        retried += pawl_is(pawl_at(h, i), "type", "ActivityRetried");
    }
    assert_int_equal(retried, 2);
}

static void an_argument_is_said_again_in_a_header(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/modern"),
                       .tool = "region",
                       .arguments = request_of(r, "{region: \"us-west1\"}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "us-west1");
    const mcp_use w = {.id = "b", .server = mcp_url(r, "/modern"), .tool = "whoami"};
    const pawl_value *v = mcp_result(r, &w);
    assert_true(pawl_is(v, "structuredContent.headers.mcp-method", "tools/call"));
    assert_true(pawl_is(v, "structuredContent.headers.mcp-name", "whoami"));
    assert_true(pawl_is(v, "structuredContent.headers.mcp-protocol-version", "2026-07-28"));
}

static void every_call_says_its_key(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < PW_COUNT(paths); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "k-%zu", i);
        const pawl_value *server = mcp_url(r, paths[i]);
        const mcp_use u = {.id = id, .server = server, .tool = "whoami"};
        const char *said = strstr(mcp_text(mcp_result(r, &u)), "\"dev.pawl/idempotency-key\": \"");
        assert_non_null(said);
        assert_true(strcspn(said + strlen("\"dev.pawl/idempotency-key\": \""), "\"") > 2);
        (void)snprintf(id, sizeof id, "own-%zu", i);
        const mcp_use own = {
            .id = id,
            .server = server,
            .tool = "whoami",
            .more = request_of(r, "{meta: {\"dev.pawl/idempotency-key\": \"mine\", k: 5}}")};
        const char *text = mcp_text(mcp_result(r, &own));
        assert_non_null(strstr(text, "\"dev.pawl/idempotency-key\": \"mine\""));
        assert_non_null(strstr(text, "\"k\": 5"));
    }
}

static void a_legacy_stream_that_is_cut_is_taken_up_again(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/legacy"),
                       .tool = "cut",
                       .arguments = request_of(r, "{id: 1}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "resumed");
    assert_int_equal(net_count(r->net, "resumed"), 1);
    assert_int_equal(net_count(r->net, "cut:1"), 1);
}

static void a_question_beside_the_request_is_answered(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/aside"),
                       .tool = "ask",
                       .more = request_of(r, "{elicit: \"defaults\"}")};
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "accept {\"name\": \"Ann\"}"));
    assert_int_equal(net_count(r->net, "listened"), 1);
}

/* [M3] Whose question is it, when two are under way? */
static void a_question_beside_two_requests_is_answered_by_neither(void **state)
{
    http_rig *r = *state;
    const mcp_use hang = {.id = "h",
                          .server = mcp_url(r, "/aside"),
                          .tool = "hang",
                          .arguments = request_of(r, "{id: \"h\"}")};
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/aside"),
                       .tool = "ask",
                       .more = request_of(r, "{elicit: \"defaults\"}")};
    mcp_start(r, &hang);
    while (net_count(r->net, "hang-began:h") == 0) {
    }
    assert_non_null(strstr(mcp_text(mcp_result(r, &u)), "cancel null"));
    ok(r->host, pawl_cancel(r->host->engine, "h", "enough", &r->host->err));
}

static void a_session_that_is_gone_is_opened_again(void **state)
{
    http_rig *r = *state;
    mcp_use u = {.id = "a",
                 .server = mcp_url(r, "/legacy"),
                 .tool = "echo",
                 .arguments = request_of(r, "{text: \"1\", forget: true}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "1");
    u.id = "b";
    u.arguments = request_of(r, "{text: \"2\"}");
    assert_string_equal(mcp_text(mcp_result(r, &u)), "2");
    assert_int_equal(net_count(r->net, "initialize"), 2);
}

static void a_cancelled_run_tells_the_server(void **state)
{
    http_rig *r = *state;
    for (size_t i = 0; i < 2; i++) {
        char key[60];
        const mcp_use u = {.id = eras[i],
                           .server = mcp_url(r, paths[i]),
                           .tool = "hang",
                           .arguments = request_of(r, "{id: %s}", eras[i])};
        mcp_start(r, &u);
        (void)snprintf(key, sizeof key, "hang-began:%s", eras[i]);
        http_seen(r, key, 1);
        ok(r->host, pawl_cancel(r->host->engine, eras[i], "enough", &r->host->err));
        const pawl_value *v = NULL;
        expect(r->host, PAWL_CANCELED,
               pawl_result(r->host->engine, eras[i], 20000, r->host->scope, &v, &r->host->err));
        (void)snprintf(key, sizeof key, "hang-ended:%s", eras[i]);
        http_seen(r, key, 1);
    }
    http_seen(r, "cancelled", 1); /* said to the legacy one; a modern one sees its stream closed */
}

static void a_timeout_is_an_unknown_outcome(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = mcp_url(r, "/modern"),
                       .tool = "hang",
                       .arguments = request_of(r, "{id: 1}"),
                       .more = request_of(r, "{timeout_s: 2}"),
                       .with = request_of(r, "{retries: 3}")};
    const pawl_value *f = mcp_failing(r, &u, "OutcomeUnknown");
    assert_true(pawl_is(f, "details.cause", "Timeout"));
    assert_int_equal(net_count(r->net, "hang:1"), 1);
}

static void a_secret_is_sent_and_never_written(void **state)
{
    http_rig *r = *state;
    assert_int_equal(setenv("MCP_TEST_TOKEN", "opensesame", 1), 0);
    const pawl_value *server = request_of(
        r, "{url: %s, auth: {bearer: {$secret: \"env:MCP_TEST_TOKEN\"}}}", http_url(r, "/guarded"));
    const mcp_use u = {.id = "a", .server = server, .tool = "whoami"};
    const pawl_value *v = mcp_result(r, &u);
    assert_true(pawl_is(v, "structuredContent.headers.authorization", "Bearer [redacted]"));
    assert_null(strstr(mcp_text(v), "opensesame"));
    const mcp_use w = {.id = "b", .server = mcp_url(r, "/guarded"), .tool = "whoami"};
    (void)mcp_failing(r, &w, "Unauthorized");
}

static void a_server_that_says_when_is_asked_then(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a", .server = mcp_url(r, "/silent"), .tool = "echo"};
    mcp_start(r, &u);
    const pawl_value *h = NULL;
    for (bool seen = false; !seen;) {
        ok(r->host, pawl_history(r->host->engine, "a", 1, 100, r->host->scope, &h, &r->host->err));
        for (size_t i = 0; i < pawl_len(h); i++) {
            seen |= pawl_is(pawl_at(h, i), "type", "ActivityRetried") &&
                    pawl_is(pawl_at(h, i), "failure.type", "RateLimited");
        }
    }
    ok(r->host, pawl_cancel(r->host->engine, "a", "enough", &r->host->err));
}

static void an_input_that_is_wrong_is_named(void **state)
{
    http_rig *r = *state;
    const pawl_value *bad[] = {
        request_of(r, "{tool: \"x\"}"),
        request_of(r, "{server: {}, tool: \"x\"}"),
        request_of(r, "{server: {url: \"http://x\", command: [\"y\"]}, tool: \"x\"}"),
        request_of(r, "{server: {command: \"y\"}, tool: \"x\"}"),
        request_of(r, "{server: {command: []}, tool: \"x\"}"),
        request_of(r, "{server: {command: [5]}, tool: \"x\"}"),
        request_of(r, "{server: {url: \"http://x\", aut: 1}, tool: \"x\"}"),
        request_of(r, "{server: {url: \"http://x\", era: \"new\"}, tool: \"x\"}"),
        request_of(r, "{server: {url: \"http://x\"}}"),
        request_of(r, "{server: {url: \"http://x\"}, tool: 5}"),
        request_of(r, "{server: {url: \"http://x\"}, method: \"tools/call\"}"),
        request_of(r, "{server: {url: \"http://x\"}, tool: \"x\", method: \"tools/list\"}"),
        request_of(r, "{server: {url: \"http://x\"}, tool: \"x\", elicit: \"guess\"}"),
        request_of(r, "{server: {url: \"http://x\"}, tool: \"x\", argument: {}}"),
    };
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        const pawl_start_options o = {
            .workflow = "use", .id = id, .input = request_of(r, "{request: %p}", pawl_v(bad[i]))};
        ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
        const pawl_value *f = http_failure(r, id);
        if (!pawl_is(f, "type", "BadInput")) {
            fail_msg("%s: %s", id, pawl_str(f, "type", "?"));
        }
    }
}

static void a_denied_address_is_not_reached(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = request_of(r, "{url: \"http://169.254.169.254/mcp\"}"),
                       .tool = "echo"};
    (void)mcp_failing(r, &u, "EgressDenied");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mcp_setup, mcp_teardown)
    const struct CMUnitTest tests[] = {
        T(a_tool_answers_in_both_eras),
        T(a_list_has_all_pages_and_only_tools_that_fit),
        T(a_verdict_and_a_list_are_kept),
        T(a_tool_that_says_it_failed_is_a_result_unless_asked_otherwise),
        T(a_result_is_what_its_tool_promises_or_a_failure),
        T(a_session_ends_with_the_engine),
        T(an_error_says_what_the_server_said),
        T(a_lost_reply_is_asked_for_again_only_where_that_is_safe),
        T(an_unsafe_call_without_an_answer_is_asked_about),
        T(a_call_that_surely_did_not_leave_is_tried_again),
        T(an_argument_is_said_again_in_a_header),
        T(every_call_says_its_key),
        T(a_legacy_stream_that_is_cut_is_taken_up_again),
        T(a_question_beside_the_request_is_answered),
        T(a_question_beside_two_requests_is_answered_by_neither),
        T(a_session_that_is_gone_is_opened_again),
        T(a_cancelled_run_tells_the_server),
        T(a_timeout_is_an_unknown_outcome),
        T(a_secret_is_sent_and_never_written),
        T(a_server_that_says_when_is_asked_then),
        T(an_input_that_is_wrong_is_named),
        T(a_denied_address_is_not_reached),
    };
    return cmocka_run_group_tests_name("mcp_http", tests, NULL, NULL);
}
