/*
 * http_events_test.c - the activity "http" where it reads a stream of events, and where a header says whether to try again, in a whole engine.
 * Does not test the reader by itself: net_sse_test.c does.
 */
#include "http_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static const pawl_value *events(http_rig *r, const char *id, const char *url,
                                const pawl_value *more)
{
    const pawl_value *request = request_of(r, "{url: %s, as: \"events\"}", url);
    for (size_t i = 0; i < pawl_len(more); i++) {
        request = pawl_with(r->host->scope, request, pawl_key_at(more, i), pawl_at(more, i));
    }
    return pawl_get(http_ask(r, id, request), "body");
}

static void a_stream_of_events_becomes_a_list(void **state)
{
    http_rig *r = *state;
    const pawl_value *list = events(r, "a", http_url(r, "/events?n=3"), NULL);
    assert_int_equal(pawl_typeof(list), PAWL_ARRAY);
    assert_int_equal(pawl_len(list), 3);
    for (size_t i = 0; i < 3; i++) {
        char data[20];
        char id[4];
        (void)snprintf(data, sizeof data, "one %zu\ntwo", i);
        (void)snprintf(id, sizeof id, "%zu", i);
        assert_true(pawl_is(pawl_at(list, i), "event", "tick"));
        assert_true(pawl_is(pawl_at(list, i), "data", data));
        assert_true(pawl_is(pawl_at(list, i), "id", id));
    }
    assert_int_equal(pawl_len(events(r, "none", http_url(r, "/events?n=0"), NULL)), 0);
}

static void a_stream_is_left_at_the_event_that_was_wanted(void **state)
{
    http_rig *r = *state;
    const char *endless = http_url(r, "/events?n=100000000");
    const pawl_value *list =
        events(r, "data", endless, request_of(r, "{until: {data: %s}}", "one 4\ntwo"));
    assert_int_equal(pawl_len(list), 5);
    assert_true(pawl_is(pawl_at(list, 4), "id", "4"));
    list = events(r, "event", endless, request_of(r, "{until: {event: \"tick\"}}"));
    assert_int_equal(pawl_len(list), 1);
    list = events(r, "max", endless, request_of(r, "{max_events: 7}"));
    assert_int_equal(pawl_len(list), 7);
    (void)http_ask_failing(r, "large",
                           request_of(r, "{url: %s, as: \"events\", max_bytes: 1000}", endless),
                           "ResponseTooLarge");
}

static void a_stream_that_breaks_is_no_result(void **state)
{
    http_rig *r = *state;
    http_start(r, "a",
               request_of(r, "{url: %s, as: \"events\"}", http_url(r, "/events?cut=1&id=cut")),
               request_of(r, "{retries: 1}"));
    assert_true(pawl_is(http_failure(r, "a"), "type", "ConnectionCut"));
    assert_int_equal(net_count(r->net, "cut"), 2);
}

static void a_status_that_is_no_result_is_no_stream(void **state)
{
    http_rig *r = *state;
    const pawl_value *f = http_ask_failing(
        r, "a", request_of(r, "{url: %s, as: \"events\"}", http_url(r, "/status/404?body=gone")),
        "HttpStatus");
    assert_true(pawl_is(f, "details.body", "gone"));
}

static void options_of_events_are_checked(void **state)
{
    http_rig *r = *state;
    const char *url = http_url(r, "/events?id=checked");
    const pawl_value *bad[] = {
        request_of(r, "{url: %s, as: \"stream\"}", url),
        request_of(r, "{url: %s, until: {data: \"x\"}}", url),
        request_of(r, "{url: %s, as: \"events\", until: \"x\"}", url),
        request_of(r, "{url: %s, as: \"events\", until: {data: 5}}", url),
        request_of(r, "{url: %s, as: \"events\", max_events: 0}", url),
        request_of(r, "{url: %s, as: \"events\", max_events: 100001}", url),
        request_of(r, "{url: %s, retry_headers: [1]}", url),
    };
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        (void)http_ask_failing(r, id, bad[i], "BadInput");
    }
    assert_int_equal(net_count(r->net, "checked"), 0);
}

typedef struct heard {
    int lines;
    bool ended;
    char last[200];
} heard;

static void on_output(void *user, const pawl_value *event)
{
    heard *h = user;
    if (pawl_is(event, "type", "Output")) {
        size_t size = 0;
        const char *data = pawl_data(event, "data", &size);
        assert_true(pawl_is(event, "channel", "events"));
        for (size_t i = 0; i < size; i++) {
            h->lines += data[i] == '\n';
        }
        (void)snprintf(h->last, sizeof h->last, "%.*s", (int)size, data);
    }
    h->ended = h->ended || pawl_is(event, "type", "OutputEnded");
}

static void follow(http_rig *r, const heard *h)
{
    while (!h->ended) {
        struct pollfd fd = {.fd = pawl_poll_fd(r->host->engine), .events = POLLIN};
        assert_true(poll(&fd, 1, 20000) > 0);
        (void)pawl_dispatch(r->host->engine);
    }
}

static void who_follows_the_run_hears_each_event_and_no_secret(void **state)
{
    http_rig *r = *state;
    heard all = {0}, secret = {0};
    ok(r->host, pawl_watch_output(r->host->engine, "a", on_output, &all, &r->host->err));
    ok(r->host, pawl_watch_output(r->host->engine, "s", on_output, &secret, &r->host->err));
    (void)events(r, "a", http_url(r, "/events?n=3"), NULL);
    follow(r, &all);
    assert_int_equal(all.lines, 3);
    assert_non_null(strstr(all.last, "\"data\":\"one 2\\ntwo\""));
    (void)setenv("PAWL_SECRET_SAID", "s3cret-word-77", 1);
    const pawl_value *list = events(
        r, "s", http_url(r, "/events"),
        request_of(r,
                   "{query: {say: {\"$secret\": \"env:PAWL_SECRET_SAID\", prefix: \"it is \"}}}"));
    (void)unsetenv("PAWL_SECRET_SAID");
    assert_true(pawl_is(pawl_at(list, 0), "data", "it is [redacted]"));
    follow(r, &secret);
    assert_int_equal(secret.lines, 1);
    assert_null(strstr(secret.last, "s3cret"));
    assert_non_null(strstr(secret.last, "it is [redacted]"));
}

static void a_header_may_say_that_it_is_worth_another_attempt(void **state)
{
    http_rig *r = *state;
    http_start(r, "says",
               request_of(r, "{url: %s, retry_headers: {\"X-Again\": \"yes\"}}",
                          http_url(r, "/flaky?id=says&times=2&code=418&h=x-again:%%20yes")),
               request_of(r, "{retries: 5}"));
    assert_int_equal(pawl_int(http_end(r, "says"), "body.tries", 0), 3);
    http_start(r, "there",
               request_of(r, "{url: %s, retry_headers: {\"x-again\": true}}",
                          http_url(r, "/flaky?id=there&times=1&code=400&h=X-Again:%%20whatever")),
               request_of(r, "{retries: 5}"));
    assert_int_equal(pawl_int(http_end(r, "there"), "body.tries", 0), 2);
    http_start(r, "other",
               request_of(r, "{url: %s, retry_headers: {\"x-again\": \"yes\"}}",
                          http_url(r, "/flaky?id=other&times=1&code=400&h=X-Again:%%20no")),
               request_of(r, "{retries: 5}"));
    (void)http_failure(r, "other");
    assert_int_equal(net_count(r->net, "other"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, http_setup, http_teardown)
    const struct CMUnitTest tests[] = {
        T(a_stream_of_events_becomes_a_list),
        T(a_stream_is_left_at_the_event_that_was_wanted),
        T(a_stream_that_breaks_is_no_result),
        T(a_status_that_is_no_result_is_no_stream),
        T(options_of_events_are_checked),
        T(who_follows_the_run_hears_each_event_and_no_secret),
        T(a_header_may_say_that_it_is_worth_another_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
