/*
 * http_activity_test.c - the activity "http" in a whole engine: what is sent, what comes back, what is tried again and when, what is asked
 * about, cancelled, and done again after a restart.
 *
 * Not here: secrets (secret_test.c), the client by itself (net_client_test.c).
 */
#include "http_rig.h"

#include <stdio.h>
#include <time.h>

static bool sent_header(const pawl_value *result, const char *name, const char *value)
{
    const pawl_value *list = pawl_get(result, "body.headers");
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(pawl_at(list, i), 0), "", name)) {
            return value == NULL || pawl_is(pawl_at(pawl_at(list, i), 1), "", value);
        }
    }
    return false;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what is sent, what comes back ---- */

static void a_result_has_status_headers_and_a_parsed_body(void **state)
{
    http_rig *r = *state;
    const pawl_value *v = http_ask(
        r, "a",
        request_of(
            r, "{url: %s}",
            http_url(r,
                     "/echo?h=Set-Cookie:%%20a&h=Set-Cookie:%%20b&h=X-One:%%201&h=X-One:%%202")));
    assert_int_equal(pawl_int(v, "status", 0), 200);
    assert_true(pawl_is(v, "body.method", "GET"));
    assert_true(pawl_is(v, "headers.content-type", "application/json"));
    assert_int_equal(pawl_len(pawl_get(v, "headers.set-cookie")), 2);
    assert_true(pawl_is(v, "headers.x-one", "1, 2"));
    assert_false(sent_header(v, "idempotency-key", NULL));
    assert_true(sent_header(v, "user-agent", "pawl"));
}

static void each_kind_of_body_is_sent_with_its_type(void **state)
{
    http_rig *r = *state;
    const char *url = http_url(r, "/echo");
    const pawl_value *v =
        http_ask(r, "json", request_of(r, "{url: %s, json: {a: [1, true, null]}}", url));
    assert_true(pawl_is(v, "body.method", "POST"));
    assert_true(pawl_is(v, "body.body", "{\"a\":[1,true,null]}"));
    assert_true(sent_header(v, "content-type", "application/json"));
    v = http_ask(r, "text", request_of(r, "{url: %s, text: %s, method: \"PUT\"}", url, "hello"));
    assert_true(pawl_is(v, "body.method", "PUT"));
    assert_true(pawl_is(v, "body.body", "hello"));
    assert_true(sent_header(v, "content-type", "text/plain; charset=utf-8"));
    v = http_ask(r, "bytes",
                 request_of(r, "{url: %s, bytes: %p}", url,
                            pawl_v(pawl_make_bytes(r->host->scope, "\x01\x02", 2))));
    assert_true(pawl_is(v, "body.body", "\x01\x02"));
    v = http_ask(r, "form",
                 request_of(r, "{url: %s, form: {\"a b\": \"1&2\", c: [3, true]}}", url));
    assert_true(pawl_is(v, "body.body", "a%20b=1%262&c=3&c=true"));
    v = http_ask(
        r, "typed",
        request_of(r, "{url: %s, json: null, headers: {\"content-type\": \"application/x-own\"}}",
                   url));
    assert_true(pawl_is(v, "body.body", "null"));
    assert_true(sent_header(v, "content-type", "application/x-own"));
}

static void a_query_is_added_and_encoded(void **state)
{
    http_rig *r = *state;
    const pawl_value *v =
        http_ask(r, "a",
                 request_of(r, "{url: %s, query: {q: \"a b&c=\xc3\xa9\", n: 5, l: [1, 2]}}",
                            http_url(r, "/echo?x=1#part")));
    assert_true(pawl_is(v, "body.target", "/echo?x=1&q=a%20b%26c%3D%C3%A9&n=5&l=1&l=2"));
    v = http_ask(r, "b", request_of(r, "{url: %s, query: {q: 1}}", http_url(r, "/echo")));
    assert_true(pawl_is(v, "body.target", "/echo?q=1"));
}

static void a_body_comes_as_asked(void **state)
{
    http_rig *r = *state;
    const pawl_value *v = http_ask(r, "packed", request_of(r, "{url: %s}", http_url(r, "/packed")));
    assert_true(pawl_bool(v, "body.packed", false));
    v = http_ask(r, "text", request_of(r, "{url: %s, as: \"text\"}", http_url(r, "/packed")));
    assert_true(pawl_is(v, "body", "{\"packed\": true}"));
    v = http_ask(r, "bytes", request_of(r, "{url: %s, as: \"bytes\"}", http_url(r, "/big?n=5")));
    assert_int_equal(pawl_typeof(pawl_get(v, "body")), PAWL_BYTES);
    v = http_ask(r, "plain", request_of(r, "{url: %s}", http_url(r, "/big?n=5")));
    assert_true(pawl_is(v, "body", "xxxxx"));
    (void)http_ask_failing(
        r, "bad", request_of(r, "{url: %s, as: \"json\"}", http_url(r, "/big?n=5")), "BadBody");
}

static void an_input_that_is_wrong_is_named_and_nothing_is_sent(void **state)
{
    http_rig *r = *state;
    const char *url = http_url(r, "/echo?id=wrong");
    const pawl_value *bad[] = {
        request_of(r, "{}"),
        request_of(r, "\"http://x\""),
        request_of(r, "{url: 5}"),
        request_of(r, "{url: %s, metod: \"GET\"}", url),
        request_of(r, "{url: %s, json: 1, text: \"x\"}", url),
        request_of(r, "{url: %s, headers: {a: \"b\\r\\nc: d\"}}", url),
        request_of(r, "{url: %s, headers: {\"a\\r\\nb\": \"c\"}}", url),
        request_of(r, "{url: %s, headers: {\"Content-Length\": \"0\"}}", url),
        request_of(r, "{url: %s, headers: [1]}", url),
        request_of(r, "{url: %s, headers: {a: {b: 1}}}", url),
        request_of(r, "{url: %s, query: 5}", url),
        request_of(r, "{url: %s, method: \"GET /x HTTP/1.1\"}", url),
        request_of(r, "{url: %s, timeout_s: 0}", url),
        request_of(r, "{url: %s, timeout_s: 1e9}", url),
        request_of(r, "{url: %s, redirects: 21}", url),
        request_of(r, "{url: %s, max_bytes: 0}", url),
        request_of(r, "{url: %s, version: \"3\"}", url),
        request_of(r, "{url: %s, auth: {basic: {user: \"a:b\", password: \"c\"}}}", url),
        request_of(r, "{url: %s, proxy: \"socks5://x\"}", url),
        request_of(r, "{url: %s}", "http://u:p@127.0.0.1/"),
        request_of(r, "{url: %s}", "ftp://127.0.0.1/"),
    };
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        const pawl_value *f = http_ask_failing(r, id, bad[i], "BadInput");
        assert_true(strlen(pawl_str(f, "message", "")) > 5);
    }
    assert_int_equal(net_count(r->net, "wrong"), 0);
}

/* ---- what is tried again ---- */

static void a_status_that_is_no_result_fails_with_what_the_server_said(void **state)
{
    http_rig *r = *state;
    const pawl_value *f = http_ask_failing(
        r, "gone",
        request_of(r, "{url: %s}", http_url(r, "/status/410?id=gone&body=moved%%20away")),
        "HttpStatus");
    assert_int_equal(pawl_int(f, "details.status", 0), 410);
    assert_true(pawl_is(f, "details.body", "moved away"));
    assert_int_equal(net_count(r->net, "gone"), 1);
    const pawl_value *v =
        http_ask(r, "ok", request_of(r, "{url: %s, ok: [200, 404]}", http_url(r, "/status/404")));
    assert_int_equal(pawl_int(v, "status", 0), 404);
    v = http_ask(r, "any", request_of(r, "{url: %s, ok: \"any\"}", http_url(r, "/status/500")));
    assert_int_equal(pawl_int(v, "status", 0), 500);
    v = http_ask(r, "there",
                 request_of(r, "{url: %s, redirects: 0}", http_url(r, "/redirect?to=/echo")));
    assert_int_equal(pawl_int(v, "status", 0), 302);
}

static void what_is_worth_another_attempt_gets_one_under_the_same_key(void **state)
{
    http_rig *r = *state;
    http_start(r, "a",
               request_of(r, "{url: %s, json: {}}", http_url(r, "/flaky?id=fa&times=2&code=503")),
               request_of(r, "{retries: 2}"));
    const pawl_value *v = http_end(r, "a");
    assert_int_equal(pawl_int(v, "body.tries", 0), 3);
    const pawl_value *key = pawl_get(v, "body.key");
    assert_true(strlen(pawl_str(key, "", "")) > 2);
    http_start(r, "b", request_of(r, "{url: %s}", http_url(r, "/flaky?id=fb&times=2&code=503")),
               request_of(r, "{retries: 1}"));
    (void)http_failure(r, "b");
    assert_int_equal(net_count(r->net, "fb"), 2);
    http_start(r, "c",
               request_of(r, "{url: %s, retry: []}", http_url(r, "/flaky?id=fc&times=2&code=503")),
               request_of(r, "{retries: 5}"));
    (void)http_failure(r, "c");
    assert_int_equal(net_count(r->net, "fc"), 1);
    http_start(
        r, "d",
        request_of(r, "{url: %s, retry: [418]}", http_url(r, "/flaky?id=fd&times=2&code=418")),
        request_of(r, "{retries: 5}"));
    assert_int_equal(pawl_int(http_end(r, "d"), "body.tries", 0), 3);
    http_start(r, "e",
               request_of(r, "{url: %s}",
                          http_url(r, "/flaky?id=fe&times=2&code=503&h=x-should-retry:%%20false")),
               request_of(r, "{retries: 5}"));
    (void)http_failure(r, "e");
    assert_int_equal(net_count(r->net, "fe"), 1);
}

static void a_server_that_says_when_is_asked_then_and_no_retry_is_spent(void **state)
{
    http_rig *r = *state;
    const int64_t start = now_ms();
    http_start(r, "a",
               request_of(r, "{url: %s}",
                          http_url(r, "/flaky?id=wa&times=2&code=429&h=Retry-After:%%201")),
               request_of(r, "{retries: -1}"));
    http_start(r, "b",
               request_of(r, "{url: %s}",
                          http_url(r, "/flaky?id=wb&times=2&code=503&h=Retry-After-Ms:%%201200")),
               request_of(r, "{retries: -1}"));
    assert_int_equal(pawl_int(http_end(r, "a"), "body.tries", 0), 3);
    assert_true(now_ms() - start >= 2000);
    assert_int_equal(pawl_int(http_end(r, "b"), "body.tries", 0), 3);
    assert_true(now_ms() - start >= 2400);
    const pawl_value *h = NULL;
    ok(r->host, pawl_history(r->host->engine, "a", 1, 100, r->host->scope, &h, &r->host->err));
    int retried = 0;
    for (size_t i = 0; i < pawl_len(h); i++) {
        if (pawl_is(pawl_at(h, i), "type", "ActivityRetried")) {
            retried++;
            assert_true(pawl_is(pawl_at(h, i), "failure.type", "RateLimited"));
            assert_int_equal(pawl_int(pawl_at(h, i), "failure.retry_ms", 0), 1000);
        }
    }
    assert_int_equal(retried, 2);
}

static void a_wait_for_later_survives_a_restart(void **state)
{
    http_rig *r = *state;
    http_start(r, "a",
               request_of(r, "{url: %s}",
                          http_url(r, "/flaky?id=later&times=1&code=429&h=Retry-After:%%202")),
               NULL);
    http_seen(r, "later", 1);
    rig_watch(r->host);
    rig_close(r->host);
    http_open(r, NULL);
    assert_int_equal(pawl_int(http_end(r, "a"), "body.tries", 0), 2);
}

/* ---- how it ends otherwise ---- */

static void each_bad_end_has_its_type(void **state)
{
    http_rig *r = *state;
    const struct {
        const pawl_value *request;
        const char *type;
    } cases[] = {
        {request_of(r, "{url: %s}", "http://10.0.0.1/"), "EgressDenied"},
        {request_of(r, "{url: %s}", http_url(r, "/redirect?to=http://169.254.169.254/")),
         "EgressDenied"},
        {request_of(r, "{url: %s}", http_url(r, "/raw/noise")), "BadResponse"},
        {request_of(r, "{url: %s, max_bytes: 100}", http_url(r, "/big?n=101")), "ResponseTooLarge"},
        {request_of(r, "{url: %s, max_bytes: 1000000}", http_url(r, "/bomb")), "ResponseTooLarge"},
        {request_of(r, "{url: %s}", http_url(r, "/loop")), "TooManyRedirects"},
        {request_of(r, "{url: %s}", http_url(r, "/packed?bad=1")), "BadEncoding"},
        {request_of(r, "{url: %s, tls: {ca: \"/nonexistent\"}}", net_tls_url(r->net, "/")),
         "EgressDenied"},
    };
    for (size_t i = 0; i + (r->net->server.tls_port == 0) < PW_COUNT(cases); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "end-%zu", i);
        if (i + 1 == PW_COUNT(cases)) {
            break; /* localhost may be ::1, which is denied, or 127.0.0.1: looked at in net_client_test */
        }
        (void)http_ask_failing(r, id, cases[i].request, cases[i].type);
    }
    const pawl_value *retries = request_of(r, "{retries: -1}");
    http_start(r, "cut", request_of(r, "{url: %s}", http_url(r, "/cut/body")), retries);
    assert_true(pawl_is(http_failure(r, "cut"), "type", "ConnectionCut"));
    http_start(r, "slow", request_of(r, "{url: %s, timeout_s: 0.1}", http_url(r, "/slow/body")),
               retries);
    assert_true(pawl_is(http_failure(r, "slow"), "type", "TotalTimeout"));
    http_start(r, "mute",
               request_of(r, "{url: %s, first_byte_timeout_s: 0.1}", http_url(r, "/slow/head")),
               retries);
    assert_true(pawl_is(http_failure(r, "mute"), "type", "FirstByteTimeout"));
    http_start(r, "stall",
               request_of(r, "{url: %s, idle_timeout_s: 0.1}", http_url(r, "/slow/stall")),
               retries);
    assert_true(pawl_is(http_failure(r, "stall"), "type", "IdleTimeout"));
}

static void an_unsafe_request_without_an_answer_is_asked_about(void **state)
{
    http_rig *r = *state;
    http_start(r, "a", request_of(r, "{url: %s, json: {}}", http_url(r, "/cut/now?id=cut")),
               request_of(r, "{unsafe: true}"));
    rig_until(r->host, "a", "waiting", "answer: outcome unknown of http");
    assert_int_equal(net_count(r->net, "cut"), 1);
    ok(r->host,
       pawl_answer(r->host->engine, "a", NULL,
                   request_of(r, "{choice: \"done\", data: {status: 200}}"), NULL, &r->host->err));
    assert_int_equal(pawl_int(http_end(r, "a"), "status", 0), 200);
    assert_int_equal(net_count(r->net, "cut"), 1);
}

static void an_unsafe_request_that_surely_did_not_leave_is_tried_again(void **state)
{
    http_rig *r = *state;
    http_start(r, "a", request_of(r, "{url: \"http://127.0.0.1:1/\", json: {}}"),
               request_of(r, "{unsafe: true, retries: 2}"));
    assert_true(pawl_is(http_failure(r, "a"), "type", "ConnectFailed"));
    const pawl_value *h = NULL;
    ok(r->host, pawl_history(r->host->engine, "a", 1, 100, r->host->scope, &h, &r->host->err));
    int sent = 0;
    for (size_t i = 0; i < pawl_len(h); i++) {
        sent += pawl_is(pawl_at(h, i), "type", "ActivitySent");
    }
    assert_int_equal(sent, 3);
}

static void a_cancelled_run_hangs_up(void **state)
{
    http_rig *r = *state;
    const pawl_value *v = NULL;
    http_start(r, "a", request_of(r, "{url: %s}", http_url(r, "/slow/head?id=hang")), NULL);
    http_seen(r, "hang", 1);
    ok(r->host, pawl_cancel(r->host->engine, "a", "enough", &r->host->err));
    expect(r->host, PAWL_CANCELED,
           pawl_result(r->host->engine, "a", 5000, r->host->scope, &v, &r->host->err));
}

static void what_was_under_way_at_the_end_is_done_again(void **state)
{
    http_rig *r = *state;
    http_start(
        r, "a",
        request_of(r, "{url: %s, first_byte_timeout_s: 600}", http_url(r, "/slow/head?id=again")),
        request_of(r, "{retries: -1}"));
    http_seen(r, "again", 1);
    pawl_close(r->host->engine, 0);
    r->host->engine = NULL;
    r->host->watched = NULL;
    http_open(r, NULL);
    http_seen(r, "again", 2);
    ok(r->host, pawl_terminate(r->host->engine, "a", "seen", &r->host->err));
}

static void a_hundred_runs_wait_at_once_on_four_threads(void **state)
{
    http_rig *r = *state;
    enum { MANY = 100 };
    char id[20];
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "crowd-%d", i);
        http_start(r, id, request_of(r, "{url: %s}", http_url(r, "/slow/head?id=crowd")), NULL);
    }
    http_seen(r, "crowd", MANY); /* all are under way: nobody was answered */
    assert_int_equal(
        pawl_int(http_ask(r, "beside", request_of(r, "{url: %s}", http_url(r, "/echo"))), "status",
                 0),
        200);
    pawl_close(r->host->engine, 0);
    r->host->engine = NULL;
}

static void a_second_registration_is_refused_and_harmless(void **state)
{
    http_rig *r = *state;
    expect(r->host, PAWL_EXISTS, pawl_net_register(r->host->engine, NULL, &r->host->err));
    static const char *const wrong[] = {"http://x", NULL};
    const pawl_net_options egress = {.struct_size = sizeof egress, .egress = wrong};
    expect(r->host, PAWL_INVALID, pawl_net_register(r->host->engine, &egress, &r->host->err));
    const pawl_net_options secrets = {.struct_size = sizeof secrets, .secrets = wrong};
    expect(r->host, PAWL_INVALID, pawl_net_register(r->host->engine, &secrets, &r->host->err));
    assert_int_equal(
        pawl_int(http_ask(r, "a", request_of(r, "{url: %s}", http_url(r, "/echo"))), "status", 0),
        200);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, http_setup, http_teardown)
    const struct CMUnitTest tests[] = {
        T(a_result_has_status_headers_and_a_parsed_body),
        T(each_kind_of_body_is_sent_with_its_type),
        T(a_query_is_added_and_encoded),
        T(a_body_comes_as_asked),
        T(an_input_that_is_wrong_is_named_and_nothing_is_sent),
        T(a_status_that_is_no_result_fails_with_what_the_server_said),
        T(what_is_worth_another_attempt_gets_one_under_the_same_key),
        T(a_server_that_says_when_is_asked_then_and_no_retry_is_spent),
        T(a_wait_for_later_survives_a_restart),
        T(each_bad_end_has_its_type),
        T(an_unsafe_request_without_an_answer_is_asked_about),
        T(an_unsafe_request_that_surely_did_not_leave_is_tried_again),
        T(a_cancelled_run_hangs_up),
        T(what_was_under_way_at_the_end_is_done_again),
        T(a_hundred_runs_wait_at_once_on_four_threads),
        T(a_second_registration_is_refused_and_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
