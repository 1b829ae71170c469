/*
 * net_hostile_test.c - the HTTP client against servers that mean harm: floods of every part of a response, lengths that lie, answers that nobody
 * asked for, bombs, and redirects to addresses in disguise. Whatever comes, a request ends once, under a name, with no more memory than allowed.
 *
 * Does not test the rules by themselves: net_egress_test.c does.
 */
#include "net_rig.h"

#include <stdio.h>
#include <stdlib.h>

static void lengths_that_lie_are_no_response(void **state)
{
    net_rig *r = *state;
    static const struct {
        const char *name;
        pw_http_error error;
    } cases[] = {{"lengths", PW_HTTP_BAD_RESPONSE},    {"lengthlist", PW_HTTP_BAD_RESPONSE},
                 {"negative", PW_HTTP_BAD_RESPONSE},   {"plus", PW_HTTP_BAD_RESPONSE},
                 {"hex", PW_HTTP_BAD_RESPONSE},        {"word", PW_HTTP_BAD_RESPONSE},
                 {"huge", PW_HTTP_BAD_RESPONSE},       {"same", PW_HTTP_DONE},
                 {"both", PW_HTTP_BAD_RESPONSE},       {"chunkhuge", PW_HTTP_CUT},
                 {"chunkmost", PW_HTTP_CUT},           {"chunkminus", PW_HTTP_CUT},
                 {"chunkword", PW_HTTP_CUT},           {"chunknoend", PW_HTTP_CUT},
                 {"extension", PW_HTTP_DONE},          {"status99", PW_HTTP_BAD_RESPONSE},
                 {"status1000", PW_HTTP_BAD_RESPONSE}, {"statusword", PW_HTTP_BAD_RESPONSE},
                 {"version", PW_HTTP_BAD_RESPONSE},    {"switch", PW_HTTP_BAD_RESPONSE},
                 {"nested", PW_HTTP_BAD_ENCODING},     {"unknown", PW_HTTP_BAD_ENCODING}};
    int wrong = 0;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const pw_http_request q = {.url = net_url(r, "/raw/%s", cases[i].name), .total_ms = 20000};
        const net_reply *p = net_ask(r, &q);
        const bool body =
            p->error != PW_HTTP_DONE || (p->body.size == 2 && memcmp(p->body.data, "ok", 2) == 0);
        if (p->error != cases[i].error || p->ends != 1 || !body) {
            print_error("%s ended as %s: %s\n", cases[i].name, pw_http_error_type(p->error),
                        p->message);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void a_flood_of_any_part_ends_at_a_limit(void **state)
{
    net_rig *r = *state;
    static const struct {
        const char *name;
        pw_http_error error;
    } cases[] = {{"early", PW_HTTP_HEAD_TOO_LARGE},   {"bare", PW_HTTP_HEAD_TOO_LARGE},
                 {"head", PW_HTTP_HEAD_TOO_LARGE},    {"line", PW_HTTP_HEAD_TOO_LARGE},
                 {"fold", PW_HTTP_HEAD_TOO_LARGE},    {"status", PW_HTTP_HEAD_TOO_LARGE},
                 {"trailer", PW_HTTP_HEAD_TOO_LARGE}, {"trailerline", PW_HTTP_CUT},
                 {"bytes", PW_HTTP_TOO_LARGE},        {"zeros", PW_HTTP_CUT},
                 {"extension", PW_HTTP_IDLE_TIMEOUT}};
    int wrong = 0;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        /* in a flood a server without a processor is not silent */
        const bool silent = cases[i].error == PW_HTTP_IDLE_TIMEOUT;
        const pw_http_request q = {.url = net_url(r, "/flood/%s", cases[i].name),
                                   .body_bytes_max = 100000,
                                   .idle_ms = silent ? 300 : 10000,
                                   .total_ms = 20000};
        const net_reply *p = net_ask(r, &q);
        /* curl itself now and then calls it a day in the middle of a folded line, a little before our limit */
        const bool early = strcmp(cases[i].name, "fold") == 0 && p->error == PW_HTTP_CUT;
        if ((p->error != cases[i].error && !early) || p->ends != 1 || p->body.size > 100000 ||
            p->total_ms > 10000) {
            print_error("%s ended as %s after %lld ms: %s\n", cases[i].name,
                        pw_http_error_type(p->error), (long long)p->total_ms, p->message);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void an_answer_that_nobody_asked_for_answers_nothing(void **state)
{
    net_rig *r = *state;
    for (int i = 0; i < 20; i++) {
        const net_reply *p = net_get(r, net_url(r, "/smuggle/now"));
        is_error(p, PW_HTTP_DONE);
        assert_string_equal((const char *)p->body.data, "ok");
        p = net_get(r, net_url(r, "/echo"));
        is_error(p, PW_HTTP_DONE);
        assert_non_null(strstr((const char *)p->body.data, "\"target\": \"/echo\""));
    }
}

static void a_bomb_in_a_bomb_is_no_larger_than_a_body(void **state)
{
    net_rig *r = *state;
    const pw_http_request q = {.url = net_url(r, "/russian"), .body_bytes_max = 1 << 20};
    is_error(net_ask(r, &q), PW_HTTP_TOO_LARGE);
    assert_true(r->reply.body.size <= 1 << 20);
}

/* Every way to write 127.0.0.1 and 169.254.169.254 that a client, an IDN library or a resolver might read as them. */
static const char *const disguises[] = {"2130706433",
                                        "017700000001",
                                        "0x7f000001",
                                        "0x7f.1",
                                        "127.1",
                                        "127.0.1",
                                        "0177.0.0.1",
                                        "127.0.0.1.",
                                        "0",
                                        "0.0.0.0",
                                        "localhost",
                                        "LOCALHOST.",
                                        "a.localhost",
                                        "[::1]",
                                        "[::]",
                                        "[0:0:0:0:0:0:0:1]",
                                        "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]",
                                        "[::127.0.0.1]",
                                        "[64:ff9b::7f00:1]",
                                        "[2002:7f00:1::]",
                                        "[fe80::1%25lo]",
                                        "127%2e0%2e0%2e1",
                                        "%31%32%37.0.0.1",
                                        "127\xe3\x80\x82"
                                        "0\xe3\x80\x82"
                                        "0\xe3\x80\x82"
                                        "1",
                                        "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1",
                                        "169.254.169.254",
                                        "2852039166",
                                        "0xa9fea9fe",
                                        "0251.0376.0251.0376",
                                        "[::ffff:169.254.169.254]",
                                        "[::ffff:a9fe:a9fe]",
                                        "[fd00:ec2::254]"};

static bool is_denial(pw_http_error e)
{
    return e == PW_HTTP_DENIED || e == PW_HTTP_BAD_REDIRECT || e == PW_HTTP_RESOLVE;
}

static void no_disguise_of_an_address_opens_it(void **state)
{
    net_rig *r = *state;
    static const char *const none[] = {"api.example", "*.example", NULL};
    static const char *const names[] = {"*", NULL};
    const char *const *const lists[] = {NULL, none, names};
    char url[300];
    for (size_t k = 0; k < PW_COUNT(lists); k++) {
        net_rules(r, lists[k]);
        for (size_t i = 0; i < PW_COUNT(disguises); i++) {
            (void)snprintf(url, sizeof url, "http://%s:%d/echo?id=disguised", disguises[i],
                           r->server.port);
            const pw_http_request q = {.url = url, .connect_ms = 2000};
            const net_reply *p = net_try(r, &q);
            if (p != NULL && !is_denial(p->error)) {
                fail_msg("%s ended as %s", url, pw_http_error_type(p->error));
            }
        }
    }
    static const char *const loopback[] = {"127.0.0.1", NULL};
    net_rules(r, loopback);
    assert_int_equal(net_count(r, "disguised"), 0);
}

static void no_redirect_in_disguise_leads_to_a_denied_address(void **state)
{
    net_rig *r = *state;
    char rule[40];
    char target[200];
    (void)snprintf(rule, sizeof rule, "127.0.0.1:%d", r->server.port);
    const char *const rules[] = {rule, NULL};
    net_rules(r, rules);
    for (size_t i = 0; i < PW_COUNT(disguises); i++) {
        size_t used = 0;
        for (const char *c = disguises[i]; *c != '\0'; c++) { /* for the query that asks for it */
            used +=
                (size_t)snprintf(target + used, sizeof target - used, "%%%02x", (unsigned char)*c);
        }
        const pw_http_request q = {.url = net_url(r, "/redirect?to=http://%s:%d/echo%%3Fid=led",
                                                  target,
                                                  r->server.tls_port > 0 ? r->server.tls_port : 1),
                                   .redirects_max = 5,
                                   .connect_ms = 2000};
        const net_reply *p = net_ask(r, &q);
        if (!is_denial(p->error) || p->heads != 0) {
            fail_msg("%s ended as %s: %s", disguises[i], pw_http_error_type(p->error), p->message);
        }
    }
    assert_int_equal(net_count(r, "led"), 0);
}

static void a_place_to_go_that_is_no_place_is_refused(void **state)
{
    net_rig *r = *state;
    static const char *const to[] = {
        "http://a%20b/",          "http://127.0.0.1%5C@x/", "http://x%23@127.0.0.1/",
        "http://127.0.0.1:0x50/", "http://127.0.0.1:-1/",   "http://[::1/",
        "javascript:alert(1)",    "data:text/plain,x",      "unix:/run/x",
        "http://a%00.example/"};
    for (size_t i = 0; i < PW_COUNT(to); i++) {
        const pw_http_request q = {.url = net_url(r, "/redirect?to=%s", to[i]), .redirects_max = 5};
        const net_reply *p = net_ask(r, &q);
        if (!is_denial(p->error) && p->error != PW_HTTP_BAD_RESPONSE) {
            fail_msg("%s ended as %s: %s", to[i], pw_http_error_type(p->error), p->message);
        }
    }
}

static void a_client_shows_its_certificate_and_no_other(void **state)
{
    net_rig *r = *state;
    if (r->server.tls_port == 0) {
        printf("skipped: openssl is not installed\n");
        skip();
    }
    static const char *const both[] = {"127.0.0.0/8", "[::1]", NULL};
    char ca[100];
    char key[100];
    net_rules(r, both);
    (void)snprintf(ca, sizeof ca, "%s/cert.pem", r->server.folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", r->server.folder);
    const pw_http_request nobody = {.url = net_tls_url(r, "/peer"), .ca_file = ca};
    const net_reply *p = net_ask(r, &nobody);
    is_error(p, PW_HTTP_DONE);
    assert_non_null(strstr((const char *)p->body.data, "\"subject\": null"));
    const pw_http_request wrong = {
        .url = net_tls_url(r, "/peer"), .ca_file = ca, .cert_file = ca, .key_file = "/dev/null"};
    is_error(net_ask(r, &wrong), PW_HTTP_TLS);
    assert_false(r->reply.sent);
    const pw_http_request known = {
        .url = net_tls_url(r, "/peer"), .ca_file = ca, .cert_file = ca, .key_file = key};
    p = net_ask(r, &known);
    is_error(p, PW_HTTP_DONE);
    assert_non_null(strstr((const char *)p->body.data, "localhost"));
    assert_non_null(strstr((const char *)p->body.data, "TLSv1."));
    p = net_ask(r, &nobody); /* the connection of the one is not the other's */
    assert_non_null(strstr((const char *)p->body.data, "\"subject\": null"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(lengths_that_lie_are_no_response),
        T(a_flood_of_any_part_ends_at_a_limit),
        T(an_answer_that_nobody_asked_for_answers_nothing),
        T(a_bomb_in_a_bomb_is_no_larger_than_a_body),
        T(no_disguise_of_an_address_opens_it),
        T(no_redirect_in_disguise_leads_to_a_denied_address),
        T(a_place_to_go_that_is_no_place_is_refused),
        T(a_client_shows_its_certificate_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
