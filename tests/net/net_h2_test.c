/*
 * net_h2_test.c - HTTP/2 through the client, against h2.py: that it works, again and again, and what hostile frames come to.
 *
 * Does not test the protocol itself: nghttp2, inside curl, keeps it.
 */
#include "net_rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const net_reply *ask(net_rig *r, const char *script, size_t bytes_max)
{
    const pw_http_request q = {.url = net_url(r, "/"),
                               .method = "POST",
                               .body = script,
                               .body_size = strlen(script),
                               .version = PW_HTTP_2_ONLY,
                               .body_bytes_max = bytes_max,
                               .idle_ms = 10000,
                               .first_byte_ms = 10000,
                               .total_ms = 20000};
    return net_ask(r, &q);
}

static void one_request_after_another_is_answered(void **state)
{
    net_rig *r = *state;
    for (int i = 0; i < 3; i++) {
        const net_reply *p = ask(r, "hello", 0);
        is_error(p, PW_HTTP_DONE);
        assert_int_equal(p->status, 200);
        assert_string_equal((const char *)p->body.data, "hello there");
        assert_non_null(strstr((const char *)p->head.data, "content-type: text/plain\n"));
        assert_non_null(strstr((const char *)p->head.data, "x-stream: "));
    }
}

static void trailers_and_early_heads_are_no_part_of_the_response(void **state)
{
    net_rig *r = *state;
    const net_reply *p = ask(r, "trailers", 0);
    is_error(p, PW_HTTP_DONE);
    assert_string_equal((const char *)p->body.data, "hello there");
    assert_null(strstr((const char *)p->head.data, "late"));
    p = ask(r, "early", 0);
    is_error(p, PW_HTTP_DONE);
    assert_int_equal(p->status, 200);
    assert_int_equal(p->heads, 1);
    assert_null(strstr((const char *)p->head.data, "link"));
}

static void hostile_frames_end_under_a_name(void **state)
{
    net_rig *r = *state;
    static const struct {
        const char *script;
        pw_http_error error;
    } cases[] = {
        {"reset", PW_HTTP_CUT},       {"away", PW_HTTP_CUT},         {"cut", PW_HTTP_CUT},
        {"short", PW_HTTP_CUT},       {"long", PW_HTTP_CUT},         {"push", PW_HTTP_CUT},
        {"control", PW_HTTP_CUT},     {"continuation", PW_HTTP_CUT}, {"bomb", PW_HTTP_CUT},
        {"settings", PW_HTTP_CUT},    {"ping", PW_HTTP_CUT},         {"empty", PW_HTTP_CUT},
        {"window", PW_HTTP_TOO_LARGE}};
    /* settings and ping: curl would read them for ever in one call (net_watch.c) */
    int wrong = 0;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const net_reply *p = ask(r, cases[i].script, 1 << 20);
        if (p->error != cases[i].error || !p->sent || p->ends != 1 || p->body.size > 1 << 20) {
            print_error("%s ended as %s after %lld ms: %s\n", cases[i].script,
                        pw_http_error_type(p->error), (long long)p->total_ms, p->message);
            wrong++;
        }
        p = ask(r, "hello", 0); /* and the next one is well */
        is_error(p, PW_HTTP_DONE);
        assert_string_equal((const char *)p->body.data, "hello there");
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    if ((curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) == 0) {
        printf("skipped: this curl has no HTTP/2\n");
        return 77;
    }
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(one_request_after_another_is_answered),
        T(trailers_and_early_heads_are_no_part_of_the_response),
        T(hostile_frames_end_under_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
