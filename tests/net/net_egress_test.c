/*
 * net_egress_test.c - the egress rules: what they allow by name and by address, what is special, and what a denial says. And through the
 * client: the address that is connected to decides, at every redirect, behind every name and every proxy. Does not look up public names.
 */
#include "net_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})

static pw_egress *rules(const char *const *list)
{
    pw_egress *e = NULL;
    pawl_error err;
    if (pw_egress_new(list, &e, &err) != PAWL_OK) {
        fail_msg("%s", err.message);
    }
    return e;
}

static bool allows(const char *const *list, const char *host, const char *address, int port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } at;
    memset(&at, 0, sizeof at);
    at.four.sin_family = AF_INET;
    at.four.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, address, &at.four.sin_addr) != 1) {
        at.six.sin6_family = AF_INET6;
        at.six.sin6_port = htons((uint16_t)port);
        assert_int_equal(inet_pton(AF_INET6, address, &at.six.sin6_addr), 1);
    }
    pw_egress *e = rules(list);
    pw_egress_why why = {""};
    const bool ok = pw_egress_address(e, host, &at.any, &why);
    assert_int_equal(ok, why.text[0] == '\0');
    pw_egress_free(e);
    return ok;
}

static void without_rules_every_public_address_is_allowed_and_no_other(void **state)
{
    (void)state;
    static const char *const good[] = {"93.184.216.34",    "1.1.1.1",         "172.32.0.1",
                                       "100.128.0.1",      "2606:4700::1111", "::ffff:8.8.8.8",
                                       "64:ff9b::808:808", "2002:808:808::1"};
    static const char *const bad[] = {"127.0.0.1",
                                      "127.255.0.9",
                                      "0.0.0.0",
                                      "10.1.2.3",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.168.1.1",
                                      "169.254.169.254",
                                      "100.64.0.1",
                                      "100.100.100.200",
                                      "168.63.129.16",
                                      "192.0.0.192",
                                      "198.18.0.1",
                                      "224.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "fe80::1",
                                      "fd00:ec2::254",
                                      "fc00::1",
                                      "fec0::1",
                                      "ff02::1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:169.254.169.254",
                                      "::ffff:10.0.0.1",
                                      "::127.0.0.1",
                                      "64:ff9b::7f00:1",
                                      "64:ff9b::a9fe:a9fe",
                                      "64:ff9b:1::1",
                                      "2002:7f00:1::1",
                                      "2002:a00:1::",
                                      "2001::1",
                                      "2001:db8::1",
                                      "100::1"};
    for (size_t i = 0; i < PW_COUNT(good); i++) {
        if (!allows(NULL, "x.example", good[i], 443)) {
            fail_msg("%s is denied", good[i]);
        }
    }
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        if (allows(NULL, "x.example", bad[i], 443) ||
            allows(RULES("*", "x.example", "*.example"), "x.example", bad[i], 443)) {
            fail_msg("%s is allowed", bad[i]);
        }
    }
}

static void an_empty_list_allows_nothing(void **state)
{
    (void)state;
    assert_false(allows((const char *const[]){NULL}, "x.example", "93.184.216.34", 443));
}

static void a_name_rule_allows_that_name_and_port(void **state)
{
    (void)state;
    const char *const at = "93.184.216.34";
    assert_true(allows(RULES("api.example"), "api.example", at, 443));
    assert_true(allows(RULES("API.Example."), "api.example", at, 443));
    assert_true(allows(RULES("api.example"), "API.EXAMPLE.", at, 443));
    assert_false(allows(RULES("api.example"), "xapi.example", at, 443));
    assert_false(allows(RULES("api.example"), "www.api.example", at, 443));
    assert_true(allows(RULES("*.example"), "a.b.example", at, 443));
    assert_false(allows(RULES("*.example"), "example", at, 443));
    assert_false(allows(RULES("*.example"), "badexample", at, 443));
    assert_true(allows(RULES("api.example:443"), "api.example", at, 443));
    assert_false(allows(RULES("api.example:443"), "api.example", at, 80));
    assert_true(allows(RULES("api.example:8000-8999"), "api.example", at, 8500));
    assert_false(allows(RULES("api.example:8000-8999"), "api.example", at, 9000));
    assert_true(allows(RULES("*"), "anything.at.all", at, 1));
    assert_false(allows(RULES("10.0.0.0/8"), "api.example", at, 443));
}

static void an_address_rule_allows_whatever_leads_there(void **state)
{
    (void)state;
    assert_true(allows(RULES("10.0.0.0/8"), "any.name", "10.9.9.9", 1));
    assert_true(allows(RULES("10.0.0.0/8"), "any.name", "::ffff:10.9.9.9", 1));
    assert_false(allows(RULES("10.0.0.0/8"), "any.name", "11.0.0.1", 1));
    assert_true(allows(RULES("10.0.0.0/9:443"), "x", "10.127.0.1", 443));
    assert_false(allows(RULES("10.0.0.0/9:443"), "x", "10.128.0.1", 443));
    assert_false(allows(RULES("10.0.0.0/9:443"), "x", "10.127.0.1", 444));
    assert_true(allows(RULES("127.0.0.1:8080"), "localhost", "127.0.0.1", 8080));
    assert_true(allows(RULES("[::1]:8080"), "localhost", "::1", 8080));
    assert_false(allows(RULES("[::1]:8080"), "localhost", "::1", 8081));
    assert_true(allows(RULES("::1"), "localhost", "::1", 9));
    assert_true(allows(RULES("[fd00::/8]"), "x", "fd12::1", 9));
    assert_false(allows(RULES("0.0.0.0/0"), "x", "::1", 9));
    assert_false(allows(RULES("::/0"), "x", "127.0.0.1", 9));
    assert_true(allows(RULES("0.0.0.0/0"), "x", "127.0.0.1", 9));
}

static void a_rule_that_is_none_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         ":",    ":80",     "a:b",   "a:0-70000", "a:9-8",       "10.0.0.0/33",
        "10.0.0/8", "[::1", "::1/129", "a b",   "*.",        "a*",          "**",
        "http://a", "a/b",  "[a]:80",  "a:80x", "10.0.0.0/", "fd00::/8:80x"};
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        pw_egress *e = NULL;
        pawl_error err = {0};
        if (pw_egress_new(RULES("good.example", bad[i]), &e, &err) != PAWL_INVALID ||
            (bad[i][0] != '\0' && strstr(err.message, bad[i]) == NULL)) {
            fail_msg("\"%s\": %s", bad[i], err.message);
        }
    }
}

static void a_denial_says_what_and_how_to_allow_it(void **state)
{
    (void)state;
    pw_egress *e = rules(RULES("api.example"));
    pw_egress_why why;
    assert_false(pw_egress_name(e, "evil.example", 443, false, &why));
    assert_non_null(strstr(why.text, "evil.example port 443"));
    assert_non_null(strstr(why.text, "\"evil.example:443\""));
    assert_false(pw_egress_name(e, "169.254.169.254", 80, false, &why));
    assert_non_null(strstr(why.text, "metadata"));
    assert_non_null(strstr(why.text, "\"169.254.169.254:80\""));
    assert_false(pw_egress_name(e, "::1", 80, false, &why));
    assert_non_null(strstr(why.text, "\"[::1]:80\""));
    assert_true(pw_egress_name(e, "api.example", 443, false, &why));
    pw_egress_of_setting(e);
    assert_false(pw_egress_name(e, "evil.example", 443, false, &why));
    assert_non_null(strstr(why.text, "add \"evil.example:443\" to PAWL_EGRESS"));
    pw_egress_free(e);
    e = rules(NULL);
    pw_egress_of_setting(e); /* one that has the new rule alone would close what is public */
    assert_false(pw_egress_name(e, "127.0.0.1", 8000, false, &why));
    assert_non_null(strstr(why.text, "PAWL_EGRESS=\"*,127.0.0.1:8000\""));
    assert_true(strlen(why.text) < sizeof((pawl_error *)NULL)->message);
    pw_egress_free(e);
    const char *const widened[] = {"*", "127.0.0.1:8000", NULL};
    e = rules(widened);
    assert_true(pw_egress_name(e, "127.0.0.1", 8000, false, &why));
    assert_true(pw_egress_name(e, "api.example", 443, false, &why));
    pw_egress_free(e);
}

static void behind_a_proxy_the_name_decides(void **state)
{
    (void)state;
    pw_egress *e = rules(NULL);
    pw_egress_why why;
    assert_true(pw_egress_name(e, "api.example", 443, true, &why));
    assert_false(pw_egress_name(e, "localhost", 443, true, &why));
    assert_false(pw_egress_name(e, "x.localhost", 443, true, &why));
    assert_false(pw_egress_name(e, "metadata.google.internal", 80, true, &why));
    assert_false(pw_egress_name(e, "127.0.0.1", 443, true, &why));
    pw_egress_free(e);
    e = rules(RULES("10.0.0.0/8"));
    assert_false(pw_egress_name(e, "api.example", 443, true,
                                &why)); /* nobody knows where a proxy finds it */
    assert_true(pw_egress_name(e, "10.0.0.1", 443, true, &why));
    pw_egress_free(e);
}

/* ---- through the client ---- */

static void nothing_is_sent_to_loopback_unless_allowed(void **state)
{
    net_rig *r = *state;
    net_rules(r, NULL);
    static const char *const spellings[] = {"127.0.0.1",  "127.1",      "2130706433",
                                            "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]",
                                            "localhost",  "0"};
    for (size_t i = 0; i < PW_COUNT(spellings); i++) {
        char url[200];
        (void)snprintf(url, sizeof url, "http://%s:%d/echo?id=denied", spellings[i],
                       r->server.port);
        const pw_http_request q = {.url = url};
        if (strcmp(spellings[i], "localhost") == 0) { /* a name: its address decides */
            is_error(net_ask(r, &q), PW_HTTP_DENIED);
            assert_false(r->reply.sent);
            assert_non_null(strstr(r->reply.message, "loopback"));
            assert_non_null(strstr(r->reply.message, "egress rule"));
        } else {
            net_refused(r, &q, PAWL_DENIED);
        }
    }
    net_rules(r, RULES("localhost", "*")); /* names never open loopback */
    char url[200];
    (void)snprintf(url, sizeof url, "http://localhost:%d/echo?id=denied", r->server.port);
    is_error(net_get(r, url), PW_HTTP_DENIED);
    net_rules(r, RULES("127.0.0.1"));
    assert_int_equal(net_count(r, "denied"), 0);
}

static void a_redirect_is_a_new_question(void **state)
{
    net_rig *r = *state;
    char rule[40];
    (void)snprintf(rule, sizeof rule, "127.0.0.1:%d", r->server.port);
    net_rules(r, RULES(rule));
    static const char *const to[] = {"http://169.254.169.254/latest/meta-data/",
                                     "http://127.0.0.1:1/",
                                     "http://[::1]/",
                                     "http://10.0.0.1/",
                                     "http://evil.invalid/",
                                     "//127.0.0.2/"};
    for (size_t i = 0; i < PW_COUNT(to); i++) {
        const pw_http_request q = {.url = net_url(r, "/redirect?to=%s", to[i]), .redirects_max = 5};
        const net_reply *p = net_ask(r, &q);
        is_error(p, PW_HTTP_DENIED);
        assert_non_null(strstr(p->message, "allow"));
        assert_int_equal(p->heads, 0);
        assert_int_equal(p->body.size, 0);
    }
}

static void a_proxy_of_the_request_is_under_the_rules_and_the_operators_is_not(void **state)
{
    net_rig *r = *state;
    const char *proxy = net_url(r, "/");
    net_rules(r, RULES("api.example"));
    const pw_http_request q = {.url = "http://api.example/echo?id=proxied", .proxy = proxy};
    is_error(net_ask(r, &q), PW_HTTP_DENIED);
    net_rules(r, RULES("api.example", "127.0.0.1"));
    const net_reply *p = net_ask(r, &q);
    is_error(p, PW_HTTP_DONE);
    assert_non_null(
        strstr((const char *)p->body.data, "\"target\": \"http://api.example/echo?id=proxied\""));
    net_rules_proxy(r, RULES("api.example"), proxy);
    const pw_http_request plain = {.url = "http://api.example/echo"};
    is_error(net_ask(r, &plain), PW_HTTP_DONE);
    const pw_http_request hidden = {.url = "http://169.254.169.254/echo?id=hidden"};
    net_refused(r, &hidden, PAWL_DENIED);
    const pw_http_request direct = {.url = "http://nothing.invalid/", .proxy = ""};
    net_refused(r, &direct, PAWL_DENIED);
}

static void the_environments_proxy_is_not_asked(void **state)
{
    net_rig *r = *state;
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    const net_reply *p = net_get(r, net_url(r, "/echo"));
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
    is_error(p, PW_HTTP_DONE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_every_public_address_is_allowed_and_no_other),
        cmocka_unit_test(an_empty_list_allows_nothing),
        cmocka_unit_test(a_name_rule_allows_that_name_and_port),
        cmocka_unit_test(an_address_rule_allows_whatever_leads_there),
        cmocka_unit_test(a_rule_that_is_none_is_refused_by_name),
        cmocka_unit_test(a_denial_says_what_and_how_to_allow_it),
        cmocka_unit_test(behind_a_proxy_the_name_decides),
        T(nothing_is_sent_to_loopback_unless_allowed),
        T(a_redirect_is_a_new_question),
        T(a_proxy_of_the_request_is_under_the_rules_and_the_operators_is_not),
        T(the_environments_proxy_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
