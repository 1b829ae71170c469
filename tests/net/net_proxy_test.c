/*
 * net_proxy_test.c - requests through a proxy: a tunnel for https, what it is told, and what a proxy that does not help comes to.
 *
 * Does not test the egress rules of proxies: net_egress_test.c does.
 */
#include "net_rig.h"

#include <stdio.h>
#include <stdlib.h>

static void https_goes_through_a_tunnel_that_sees_nothing_of_it(void **state)
{
    net_rig *r = *state;
    if (r->server.tls_port == 0) {
        printf("skipped: openssl is not installed\n");
        skip();
    }
    char ca[100];
    char url[100];
    char proxy[100];
    static const pw_http_header key = {"Authorization", "Bearer word", true};
    (void)snprintf(ca, sizeof ca, "%s/cert.pem", r->server.folder);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/echo", r->server.tls_port);
    (void)snprintf(proxy, sizeof proxy, "http://me:pass@127.0.0.1:%d", r->server.port);
    const pw_http_request q = {
        .url = url, .ca_file = ca, .proxy = proxy, .headers = &key, .headers_len = 1};
    const net_reply *p = net_ask(r, &q);
    is_error(p, PW_HTTP_DONE);
    assert_non_null(strstr((const char *)p->body.data, "Bearer word"));
    assert_null(strstr((const char *)p->body.data, "proxy-authorization"));
    assert_int_equal(net_count(r, "tunnel"), 1);
    p = net_get(r, net_url(r, "/heads?of=tunnel"));
    assert_non_null(
        strstr((const char *)p->body.data, "\"proxy-authorization\", \"Basic bWU6cGFzcw==\""));
    assert_null(strstr((const char *)p->body.data, "Bearer"));
}

static void without_a_tunnel_nothing_was_sent(void **state)
{
    net_rig *r = *state;
    static const char *const names[] = {"refused", "known", "broken", "noise",
                                        "flood",   "cut",   "silent"};
    static const char *const rules[] = {"*.invalid", "127.0.0.1", NULL};
    net_rules(r, rules);
    int wrong = 0;
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        char url[100];
        char proxy[100];
        const bool silent = strcmp(names[i], "silent") == 0;
        (void)snprintf(url, sizeof url, "https://%s.invalid/", names[i]);
        (void)snprintf(proxy, sizeof proxy, "http://me:s3cretpass@127.0.0.1:%d", r->server.port);
        const pw_http_request q = {.url = url,
                                   .method = "POST",
                                   .body = "x",
                                   .body_size = 1,
                                   .proxy = proxy,
                                   .connect_ms = silent ? 1000 : 20000};
        const net_reply *p = net_ask(r, &q);
        const pw_http_error wanted = silent ? PW_HTTP_CONNECT_TIMEOUT : PW_HTTP_PROXY;
        if (p->error != wanted || p->sent || p->heads != 0 || p->body.size > 0 ||
            strstr(p->message, "s3cretpass") != NULL) {
            print_error("%s ended as %s%s: %s\n", names[i], pw_http_error_type(p->error),
                        p->sent ? ", sent" : "", p->message);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void a_proxy_that_is_not_there_is_said(void **state)
{
    net_rig *r = *state;
    const pw_http_request q = {.url = net_url(r, "/echo?id=none"), .proxy = "http://127.0.0.1:1"};
    const net_reply *p = net_ask(r, &q);
    is_error(p, PW_HTTP_CONNECT);
    assert_false(p->sent);
    assert_int_equal(net_count(r, "none"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(https_goes_through_a_tunnel_that_sees_nothing_of_it),
        T(without_a_tunnel_nothing_was_sent),
        T(a_proxy_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
