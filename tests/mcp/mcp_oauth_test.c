/*
 * mcp_oauth_test.c - servers that want a token: whom it is asked of, how, and when it is not asked for at all; it is used and never written.
 *
 * Not here: all the places where documents may lie, which the conformance suite of the protocol looks at.
 */
#include "mcp_rig.h"

#include <stdio.h>
#include <stdlib.h>

static const pawl_value *guarded(http_rig *r, const char *name, const char *oauth)
{
    char path[60];
    const pawl_value *config = NULL;
    (void)snprintf(path, sizeof path, "/oauth/%s", name);
    ok(r->host, pawl_parse_json(r->host->scope, oauth, strlen(oauth), &config, &r->host->err));
    return request_of(r, "{url: %s, auth: {oauth: %p}}", http_url(r, "%s", path), pawl_v(config));
}

/* Nothing that begins as our tokens do is in the journal or the log. */
static void nothing_is_written(http_rig *r, const char *id)
{
    const pawl_value *h = NULL;
    ok(r->host, pawl_history(r->host->engine, id, 1, 1000, r->host->scope, &h, &r->host->err));
    const char *text = pawl_to_json(r->host->scope, h, 0);
    assert_null(strstr(text, "Bearer token-"));
    assert_null(strstr(text, "refresh-"));
    assert_null(strstr(text, "open sesame"));
    pthread_mutex_lock(&r->lock); /* the watchdog logs when it likes, on a busy machine */
    bool logged = strstr(pw_buf_cstr(&r->log), "Bearer token-") != NULL;
    pthread_mutex_unlock(&r->lock);
    assert_false(logged);
}

static void a_token_is_got_kept_and_never_written(void **state)
{
    http_rig *r = *state;
    const pawl_value *server = guarded(r, "good", "{}");
    mcp_use u = {.id = "a", .server = server, .tool = "whoami"};
    assert_true(
        pawl_is(mcp_result(r, &u), "structuredContent.headers.authorization", "Bearer [redacted]"));
    nothing_is_written(r, "a");
    u.id = "b";
    assert_true(
        pawl_is(mcp_result(r, &u), "structuredContent.headers.authorization", "Bearer [redacted]"));
    nothing_is_written(r, "b");
    assert_int_equal(net_count(r->net, "register:good"), 1);
    assert_int_equal(net_count(r->net, "authorize:good"), 1);
    assert_int_equal(net_count(r->net, "token:good"), 1);
}

static void a_token_that_is_worth_nothing_any_more_is_refreshed(void **state)
{
    http_rig *r = *state;
    const pawl_value *server = guarded(r, "good", "{}");
    mcp_use u = {.id = "a",
                 .server = server,
                 .tool = "echo",
                 .arguments = request_of(r, "{text: \"1\", expire: true}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "1");
    u.id = "b";
    u.arguments = request_of(r, "{text: \"2\"}");
    assert_string_equal(mcp_text(mcp_result(r, &u)), "2");
    assert_int_equal(net_count(r->net, "refresh:good"), 1);
    assert_int_equal(net_count(r->net, "authorize:good"), 1);
    nothing_is_written(r, "b");
}

/* [O3] */
static void a_secret_goes_to_the_issuer_it_is_for_and_to_no_other(void **state)
{
    http_rig *r = *state;
    char config[300];
    assert_int_equal(setenv("MCP_TEST_SECRET", "open sesame", 1), 0);
    for (int wrong = 0; wrong < 2; wrong++) {
        (void)snprintf(
            config, sizeof config,
            "{\"client_id\": \"known\", \"client_secret\": {\"$secret\": \"env:MCP_TEST_SECRET\"}, \"issuer\": \"%s%s\"}",
            wrong ? "https://other.example" : http_url(r, "/as/secret"), "");
        mcp_use u = {.id = wrong ? "b" : "a",
                     .server = guarded(r, "secret", config),
                     .tool = "echo",
                     .arguments = request_of(r, "{text: \"in\"}")};
        if (wrong) {
            (void)mcp_failing(r, &u, "Unauthorized");
        } else {
            assert_string_equal(mcp_text(mcp_result(r, &u)), "in");
        }
        nothing_is_written(r, u.id);
    }
    assert_int_equal(net_count(r->net, "token:secret"), 1);
    const mcp_use u = {
        .id = "c",
        .server = guarded(r, "secret", "{\"client_id\": \"known\", \"client_secret\": \"x\"}"),
        .tool = "echo"};
    (void)mcp_failing(r, &u, "BadInput"); /* whom is it for? */
}

static void credentials_of_the_client_alone_are_enough_where_they_are(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a",
                       .server = guarded(r, "good", "{\"grant\": \"client_credentials\"}"),
                       .tool = "echo",
                       .arguments = request_of(r, "{text: \"in\"}")};
    assert_string_equal(mcp_text(mcp_result(r, &u)), "in");
    assert_int_equal(net_count(r->net, "authorize:good"), 0);
}

/* [O1] [O2] [O4] [O5] */
static void no_token_is_asked_of_one_who_is_not_who_he_should_be(void **state)
{
    static const struct {
        const char *name;
        const char *why;
    } cases[] = {{"resource", "another resource"},
                 {"issuer", "https://evil.example"},
                 {"iss", "https://evil.example"},
                 {"pkce", "PKCE"},
                 {"page", "page"},
                 {"plain", "plain http"}};
    http_rig *r = *state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        char key[40];
        const mcp_use u = {.id = cases[i].name,
                           .server = guarded(r, cases[i].name, "{}"),
                           .tool = "echo",
                           .with = request_of(r, "{retries: 3}")};
        const pawl_value *f = mcp_failing(r, &u, "Unauthorized");
        if (strstr(pawl_str(f, "message", ""), cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].name, pawl_str(f, "message", ""));
        }
        (void)snprintf(key, sizeof key, "token:%s", cases[i].name);
        assert_int_equal(net_count(r->net, key), 0);
    }
}

static void without_a_way_to_get_a_token_it_is_a_failure(void **state)
{
    http_rig *r = *state;
    const mcp_use u = {.id = "a", .server = mcp_url(r, "/oauth/good"), .tool = "echo"};
    (void)mcp_failing(r, &u, "Unauthorized");
    const mcp_use w = {
        .id = "b", .server = guarded(r, "good", "{\"clientid\": \"x\"}"), .tool = "echo"};
    (void)mcp_failing(r, &w, "BadInput");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, mcp_setup, mcp_teardown)
    const struct CMUnitTest tests[] = {
        T(a_token_is_got_kept_and_never_written),
        T(a_token_that_is_worth_nothing_any_more_is_refreshed),
        T(a_secret_goes_to_the_issuer_it_is_for_and_to_no_other),
        T(credentials_of_the_client_alone_are_enough_where_they_are),
        T(no_token_is_asked_of_one_who_is_not_who_he_should_be),
        T(without_a_way_to_get_a_token_it_is_a_failure),
    };
    return cmocka_run_group_tests_name("mcp_oauth", tests, NULL, NULL);
}
