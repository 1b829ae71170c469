/*
 * net_client_test.c - the HTTP client against a server that does what its path says: ends, timeouts, sizes, heads, redirects, headers.
 *
 * Not here: the egress rules by themselves (net_egress_test.c), the activity (http_activity_test.c).
 */
#include "net_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static bool says(const pw_buf *buf, const char *text)
{
    return buf->data != NULL && strstr((const char *)buf->data, text) != NULL;
}

static void a_request_is_answered_with_head_and_body(void **state)
{
    net_rig *r = *state;
    const net_reply *p = net_get(r, net_url(r, "/echo?a=1"));
    is_error(p, PW_HTTP_DONE);
    assert_int_equal(p->status, 200);
    assert_true(p->sent);
    assert_true(says(&p->head, "content-type: application/json\n"));
    assert_true(says(&p->body, "\"target\": \"/echo?a=1\""));
    assert_int_equal(p->ends, 1);
    assert_int_equal(p->heads, 1);
}

static void every_method_carries_its_body_and_no_header_of_curl(void **state)
{
    net_rig *r = *state;
    static const char *const methods[] = {"POST",    "PUT", "PATCH", "DELETE",
                                          "OPTIONS", "GET", "REPORT"};
    for (size_t i = 0; i < PW_COUNT(methods); i++) {
        const pw_http_request q = {
            .url = net_url(r, "/echo"), .method = methods[i], .body = "abc", .body_size = 3};
        const net_reply *p = net_ask(r, &q);
        char method[40];
        (void)snprintf(method, sizeof method, "\"method\": \"%s\"", methods[i]);
        is_error(p, PW_HTTP_DONE);
        assert_true(says(&p->body, method));
        assert_true(says(&p->body, "\"body\": \"abc\""));
        assert_false(says(&p->body, "content-type"));
        assert_false(says(&p->body, "expect"));
    }
    const pw_http_request head = {.url = net_url(r, "/status/200"), .method = "HEAD"};
    const net_reply *p = net_ask(r, &head);
    is_error(p, PW_HTTP_DONE);
    assert_int_equal(p->body.size, 0);
}

static void what_cannot_be_sent_safely_is_refused(void **state)
{
    net_rig *r = *state;
    static const struct {
        pw_http_header header;
        const char *said;
    } bad[] = {
        {{"X", "a\r\nY: b", false}, "control"},
        {{"X", "a\nY: b", false}, "control"},
        {{"X\r\nY", "a", false}, "no header name"},
        {{"", "a", false}, "no header name"},
        {{"A B", "a", false}, "no header name"},
        {{"X:", "a", false}, "no header name"},
        {{"Host", "other", false}, "own"},
        {{"content-LENGTH", "5", false}, "own"},
        {{"Transfer-Encoding", "chunked", false}, "own"},
        {{"Connection", "close", false}, "own"},
        {{"X", "\x01", false}, "control"},
    };
    static const char *const urls[] = {"",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "http://",
                                       "http://user:word@127.0.0.1/",
                                       "gopher://127.0.0.1",
                                       "http://127.0.0.1:99999/",
                                       "http://127.0.0.1/a b\r\nX: y",
                                       "127.0.0.1/x y"};
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        const pw_http_request q = {
            .url = net_url(r, "/echo?id=refused"), .headers = &bad[i].header, .headers_len = 1};
        net_refused(r, &q, PAWL_INVALID);
        if (strstr(r->err.message, bad[i].said) == NULL) {
            fail_msg("%s", r->err.message);
        }
    }
    for (size_t i = 0; i < PW_COUNT(urls); i++) {
        const pw_http_request q = {.url = urls[i]};
        net_refused(r, &q, PAWL_INVALID);
    }
    assert_int_equal(net_count(r, "refused"), 0);
}

static void a_password_in_a_url_is_not_repeated(void **state)
{
    net_rig *r = *state;
    const pw_http_request q = {.url = "http://user:s3cretword@127.0.0.1/", .url_secret = true};
    net_refused(r, &q, PAWL_INVALID);
    assert_null(strstr(r->err.message, "s3cretword"));
}

static void an_end_in_the_middle_says_that_something_was_sent(void **state)
{
    net_rig *r = *state;
    static const char *const where[] = {"now", "head", "body", "chunk"};
    for (size_t i = 0; i < PW_COUNT(where); i++) {
        const net_reply *p = net_get(r, net_url(r, "/cut/%s", where[i]));
        is_error(p, PW_HTTP_CUT);
        assert_true(p->sent);
        assert_int_equal(p->ends, 1);
    }
}

static void nothing_was_sent_when_nobody_listens(void **state)
{
    net_rig *r = *state;
    const pw_http_request q = {
        .url = "http://127.0.0.1:1/", .method = "POST", .body = "x", .body_size = 1};
    const net_reply *p = net_ask(r, &q);
    is_error(p, PW_HTTP_CONNECT);
    assert_false(p->sent);
    assert_non_null(strstr(p->message, "127.0.0.1:1"));
    assert_int_equal(p->status, 0);
}

static void nothing_was_sent_when_a_name_has_no_address(void **state)
{
    net_rig *r = *state;
    static const char *const all[] = {"*", NULL};
    net_rules(r, all);
    const net_reply *p = net_get(r, "http://no-such-host.invalid/");
    is_error(p, PW_HTTP_RESOLVE);
    assert_false(p->sent);
}

static void each_clock_ends_a_request_under_its_own_name(void **state)
{
    net_rig *r = *state;
    const pw_http_request first = {.url = net_url(r, "/slow/head"), .first_byte_ms = 300};
    is_error(net_ask(r, &first), PW_HTTP_FIRST_BYTE_TIMEOUT);
    assert_true(r->reply.sent);
    const pw_http_request idle = {.url = net_url(r, "/slow/stall"), .idle_ms = 60};
    is_error(net_ask(r, &idle), PW_HTTP_IDLE_TIMEOUT);
    const pw_http_request total = {.url = net_url(r, "/slow/body"),
                                   .total_ms = 150,
                                   .idle_ms = 5000}; /* a byte now and then, for ever */
    is_error(net_ask(r, &total), PW_HTTP_TOTAL_TIMEOUT);
    assert_true(r->reply.total_ms >= 140 && r->reply.total_ms < 5000);
}

static void a_body_ends_at_its_limit_however_it_was_packed(void **state)
{
    net_rig *r = *state;
    const pw_http_request big = {.url = net_url(r, "/big?n=100001"), .body_bytes_max = 100000};
    is_error(net_ask(r, &big), PW_HTTP_TOO_LARGE);
    const pw_http_request fits = {.url = net_url(r, "/big?n=100000"), .body_bytes_max = 100000};
    is_error(net_ask(r, &fits), PW_HTTP_DONE);
    assert_int_equal(r->reply.body.size, 100000);
    const pw_http_request bomb = {.url = net_url(r, "/bomb"), .body_bytes_max = 1 << 20};
    is_error(net_ask(r, &bomb), PW_HTTP_TOO_LARGE); /* 256 MiB of zeros in 260 KB */
    assert_true(r->reply.body.size <= 1 << 20);
}

static void compression_is_asked_for_and_undone(void **state)
{
    net_rig *r = *state;
    const net_reply *p = net_get(r, net_url(r, "/packed"));
    is_error(p, PW_HTTP_DONE);
    assert_string_equal((const char *)p->body.data, "{\"packed\": true}");
    is_error(net_get(r, net_url(r, "/packed?bad=1")), PW_HTTP_BAD_ENCODING);
    p = net_get(r, net_url(r, "/echo"));
    assert_true(says(&p->body, "accept-encoding"));
    const pw_http_request plain = {.url = net_url(r, "/echo"), .no_compression = true};
    p = net_ask(r, &plain);
    assert_false(says(&p->body, "accept-encoding"));
}

static void a_bad_head_is_no_response(void **state)
{
    net_rig *r = *state;
    static const struct {
        const char *name;
        pw_http_error error;
    } cases[] = {{"noise", PW_HTTP_BAD_RESPONSE},   {"nine", PW_HTTP_BAD_RESPONSE},
                 {"nocolon", PW_HTTP_BAD_RESPONSE}, {"nul", PW_HTTP_BAD_RESPONSE},
                 {"space", PW_HTTP_BAD_RESPONSE},   {"many", PW_HTTP_HEAD_TOO_LARGE},
                 {"long", PW_HTTP_HEAD_TOO_LARGE},  {"fold", PW_HTTP_DONE},
                 {"early", PW_HTTP_DONE},           {"trailer", PW_HTTP_DONE}};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const net_reply *p = net_get(r, net_url(r, "/raw/%s", cases[i].name));
        if (p->error != cases[i].error) {
            fail_msg("%s ended as %s: %s", cases[i].name, pw_http_error_type(p->error), p->message);
        }
        if (p->error == PW_HTTP_DONE) {
            assert_int_equal(p->status, 200);
            assert_string_equal((const char *)p->body.data, "ok");
            assert_int_equal(p->heads, 1);
        }
    }
    assert_false(says(&r->reply.head, "late"));
    const net_reply *p = net_get(r, net_url(r, "/raw/fold"));
    assert_true(says(&p->head, "a: one two\n"));
}

static void redirects_are_followed_as_far_as_allowed(void **state)
{
    net_rig *r = *state;
    pw_http_request q = {.url = net_url(r, "/redirect?to=/echo"), .redirects_max = 5};
    const net_reply *p = net_ask(r, &q);
    is_error(p, PW_HTTP_DONE);
    assert_int_equal(p->status, 200);
    assert_int_equal(p->redirects, 1);
    assert_int_equal(p->heads, 1);
    q.redirects_max = 0;
    p = net_ask(r, &q);
    is_error(p, PW_HTTP_DONE);
    assert_int_equal(p->status, 302);
    const pw_http_request loop = {.url = net_url(r, "/loop?id=loop"), .redirects_max = 3};
    is_error(net_ask(r, &loop), PW_HTTP_TOO_MANY_REDIRECTS);
    assert_int_equal(net_count(r, "loop"), 4);
}

static void a_redirect_changes_the_method_as_the_standard_says(void **state)
{
    net_rig *r = *state;
    static const struct {
        const char *code;
        const char *method;
        const char *then;
    } cases[] = {{"301", "POST", "GET"},  {"302", "POST", "GET"}, {"303", "PUT", "GET"},
                 {"307", "POST", "POST"}, {"308", "PUT", "PUT"},  {"302", "PUT", "PUT"}};
    static const pw_http_header type = {"Content-Type", "text/plain", false};
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const pw_http_request q = {.url = net_url(r, "/redirect?to=/echo&code=%s", cases[i].code),
                                   .method = cases[i].method,
                                   .body = "abc",
                                   .body_size = 3,
                                   .redirects_max = 1,
                                   .headers = &type,
                                   .headers_len = 1};
        const net_reply *p = net_ask(r, &q);
        char method[40];
        (void)snprintf(method, sizeof method, "\"method\": \"%s\"", cases[i].then);
        is_error(p, PW_HTTP_DONE);
        assert_true(says(&p->body, method));
        const bool get = strcmp(cases[i].then, "GET") == 0;
        assert_int_equal(says(&p->body, "\"body\": \"abc\""), !get);
        assert_int_equal(says(&p->body, "text/plain"), !get);
    }
}

static void private_headers_stay_with_their_origin(void **state)
{
    net_rig *r = *state;
    static const pw_http_header headers[] = {{"Authorization", "Bearer one", false},
                                             {"X-Api-Key", "two", true},
                                             {"X-Plain", "three", false}};
    pw_http_request q = {.url = net_url(r, "/redirect?to=/echo"),
                         .redirects_max = 1,
                         .headers = headers,
                         .headers_len = 3};
    const net_reply *p = net_ask(r, &q);
    assert_true(says(&p->body, "Bearer one") && says(&p->body, "two") && says(&p->body, "three"));
    static const char *const both[] = {"127.0.0.0/8", NULL};
    net_rules(r, both);
    q.url = net_url(r, "/redirect?to=http://127.0.0.2:%d/echo",
                    r->server.port); /* the server listens on 127.0.0.1 only */
    is_error(net_ask(r, &q), PW_HTTP_CONNECT);
    q.url = net_url(r, "/redirect?to=http://localhost:%d/echo", r->server.port);
    p = net_ask(r, &q);
    is_error(p, PW_HTTP_DONE);
    assert_false(says(&p->body, "Bearer one"));
    assert_false(says(&p->body, "two"));
    assert_true(says(&p->body, "three"));
}

static void a_secret_body_goes_to_no_other_origin(void **state)
{
    net_rig *r = *state;
    static const char *const both[] = {"127.0.0.0/8", NULL};
    net_rules(r, both);
    const pw_http_request q = {
        .url = net_url(r, "/redirect?code=307&to=http://localhost:%d/echo?id=leak", r->server.port),
        .method = "POST",
        .body = "secret",
        .body_size = 6,
        .body_secret = true,
        .redirects_max = 1};
    is_error(net_ask(r, &q), PW_HTTP_BAD_REDIRECT);
    assert_int_equal(net_count(r, "leak"), 0);
}

static void a_redirect_leads_nowhere_odd(void **state)
{
    net_rig *r = *state;
    static const char *const to[] = {"file:///etc/passwd", "ftp://127.0.0.1/",
                                     "http://user:word@127.0.0.1/", "gopher://x", "http://"};
    for (size_t i = 0; i < PW_COUNT(to); i++) {
        const pw_http_request q = {.url = net_url(r, "/redirect?to=%s", to[i]), .redirects_max = 5};
        const net_reply *p = net_ask(r, &q);
        is_error(p, PW_HTTP_BAD_REDIRECT);
        assert_true(p->sent);
        assert_null(strstr(p->message, "word"));
    }
}

static void tls_is_verified_and_plain_http_is_no_way_out(void **state)
{
    net_rig *r = *state;
    if (r->server.tls_port == 0) {
        printf("skipped: openssl is not installed\n");
        skip();
    }
    static const char *const both[] = {"127.0.0.0/8", "[::1]", NULL};
    char ca[100];
    char key[100];
    char path[200];
    net_rules(r, both);
    (void)snprintf(ca, sizeof ca, "%s/cert.pem", r->server.folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", r->server.folder);
    const net_reply *p = net_get(r, net_tls_url(r, "/echo?id=tls"));
    is_error(p, PW_HTTP_TLS);
    assert_false(p->sent);
    assert_int_equal(net_count(r, "tls"), 0);
    const pw_http_request known = {
        .url = net_tls_url(r, "/echo"), .ca_file = ca, .cert_file = ca, .key_file = key};
    is_error(net_ask(r, &known), PW_HTTP_DONE);
    (void)snprintf(path, sizeof path, "/redirect?to=http://127.0.0.1:%d/echo?id=down",
                   r->server.port);
    const pw_http_request down = {.url = net_tls_url(r, path), .ca_file = ca, .redirects_max = 5};
    is_error(net_ask(r, &down), PW_HTTP_BAD_REDIRECT);
    assert_int_equal(net_count(r, "down"), 0);
    const pw_http_request plain = {.url = net_url(r, "/echo")};
    is_error(net_ask(r, &plain), PW_HTTP_DONE);
    char wrong[100];
    (void)snprintf(wrong, sizeof wrong, "https://127.0.0.1:%d/",
                   r->server.port); /* TLS at a server that speaks none */
    const pw_http_request deaf = {.url = wrong, .connect_ms = 200};
    is_error(net_ask(r, &deaf), PW_HTTP_CONNECT_TIMEOUT);
    assert_false(r->reply.sent);
}

static void what_must_not_be_sent_twice_takes_a_connection_of_its_own(void **state)
{
    net_rig *r = *state;
    is_error(net_get(r, net_url(r, "/keep")),
             PW_HTTP_DONE); /* a kept connection that dies at the next request */
    const pw_http_request q = {.url = net_url(r, "/echo?id=once"),
                               .method = "POST",
                               .body = "x",
                               .body_size = 1,
                               .no_resend = true};
    is_error(net_ask(r, &q), PW_HTTP_DONE);
    assert_int_equal(net_count(r, "once"), 1);
}

/* ---- many, cancelled, stopped ---- */

typedef struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ended;
    int good;
    int canceled;
    int shut;
    int heads;
} crowd;

static void crowd_end(void *user, const pw_http_result *result)
{
    crowd *c = user;
    pthread_mutex_lock(&c->lock);
    c->ended++;
    c->good += result->error == PW_HTTP_DONE && result->status == 200;
    c->canceled += result->error == PW_HTTP_CANCELED;
    c->shut += result->error == PW_HTTP_SHUTDOWN;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void crowd_head(void *user, const pw_http_head *head)
{
    (void)head;
    crowd *c = user;
    pthread_mutex_lock(&c->lock);
    c->heads++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void crowd_wait(crowd *c, const int *what, int wanted)
{
    pthread_mutex_lock(&c->lock);
    while (*what < wanted) {
        pthread_cond_wait(&c->changed, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

static void many_requests_share_the_thread_and_wait_their_turn(void **state)
{
    net_rig *r = *state;
    enum { MANY = 400 };
    static pw_http *all[MANY];
    crowd c = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const pw_http_callbacks callbacks = {.user = &c, .head = crowd_head, .end = crowd_end};
    for (size_t i = 0; i < MANY; i++) {
        const pw_http_request q = {.url = net_url(r, "/echo?id=many")};
        assert_int_equal(pw_http_start(r->net, &q, &callbacks, &all[i], &r->err), PAWL_OK);
    }
    crowd_wait(&c, &c.ended, MANY);
    for (size_t i = 0; i < MANY; i++) {
        pw_http_free(all[i]);
    }
    assert_int_equal(c.good, MANY);
    assert_int_equal(net_count(r, "many"), MANY);
}

static void a_cancel_from_another_thread_ends_it_once(void **state)
{
    net_rig *r = *state;
    crowd c = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const pw_http_callbacks callbacks = {.user = &c, .head = crowd_head, .end = crowd_end};
    pw_http *http = NULL;
    const pw_http_request q = {.url = net_url(r, "/slow/stall")};
    assert_int_equal(pw_http_start(r->net, &q, &callbacks, &http, &r->err), PAWL_OK);
    crowd_wait(&c, &c.heads, 1);
    pw_http_cancel(http);
    pw_http_cancel(http);
    crowd_wait(&c, &c.ended, 1);
    pw_http_cancel(http); /* after the end: nothing */
    pw_http_free(http);
    assert_int_equal(pw_http_start(r->net, &q, &callbacks, &http, &r->err), PAWL_OK);
    pw_http_cancel(http); /* before anything happened */
    pw_http_free(http);
    crowd_wait(&c, &c.ended, 2);
    net_rules(r, NULL); /* stops the thread: whatever would come has come */
    assert_int_equal(c.ended, 2);
    assert_int_equal(c.canceled, 2);
}

static void a_stop_ends_what_is_under_way_and_what_waits(void **state)
{
    net_rig *r = *state;
    enum { MANY = 40 };
    static pw_http *all[MANY];
    crowd c = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const pw_http_callbacks callbacks = {.user = &c, .head = crowd_head, .end = crowd_end};
    pw_net *net = NULL;
    const pw_net_options options = {.egress = r->egress, .transfers_max = 16};
    assert_int_equal(pw_net_start(&options, &net, &r->err), PAWL_OK);
    for (size_t i = 0; i < MANY; i++) {
        const pw_http_request q = {.url = net_url(r, "/slow/stall")};
        assert_int_equal(pw_http_start(net, &q, &callbacks, &all[i], &r->err), PAWL_OK);
    }
    crowd_wait(&c, &c.heads, 16);
    pw_net_stop(net);
    assert_int_equal(c.ended, MANY);
    assert_int_equal(c.shut, MANY);
    assert_int_equal(c.heads, 16);
    for (size_t i = 0; i < MANY; i++) {
        pw_http_free(all[i]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_is_answered_with_head_and_body),
        T(every_method_carries_its_body_and_no_header_of_curl),
        T(what_cannot_be_sent_safely_is_refused),
        T(a_password_in_a_url_is_not_repeated),
        T(an_end_in_the_middle_says_that_something_was_sent),
        T(nothing_was_sent_when_nobody_listens),
        T(nothing_was_sent_when_a_name_has_no_address),
        T(each_clock_ends_a_request_under_its_own_name),
        T(a_body_ends_at_its_limit_however_it_was_packed),
        T(compression_is_asked_for_and_undone),
        T(a_bad_head_is_no_response),
        T(redirects_are_followed_as_far_as_allowed),
        T(a_redirect_changes_the_method_as_the_standard_says),
        T(private_headers_stay_with_their_origin),
        T(a_secret_body_goes_to_no_other_origin),
        T(a_redirect_leads_nowhere_odd),
        T(tls_is_verified_and_plain_http_is_no_way_out),
        T(what_must_not_be_sent_twice_takes_a_connection_of_its_own),
        T(many_requests_share_the_thread_and_wait_their_turn),
        T(a_cancel_from_another_thread_ends_it_once),
        T(a_stop_ends_what_is_under_way_and_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
