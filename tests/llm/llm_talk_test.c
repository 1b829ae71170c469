/*
 * llm_talk_test.c - the activity "llm" on a conversation: messages, tools and system by reference, what stands after them, tools by name, and the answer as
 * it comes. Against stub.py. Not here: what else "llm" does (llm_activity_test.c).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "sdk/pawl_net.h"
#include "tests/integration/host_rig.h"
#include "tests/net/net_rig.h"

typedef struct talk_world {
    rig *host;
    net_rig *net;
} talk_world;

/* {endpoint, system, tools, first, second, more, request}: what it is given goes into conversations, and the request names them. */
static const pawl_value *talk(pawl_run *w, const pawl_value *in)
{
    pawl_scope *s = pawl_run_scope(w);
    const pawl_value *request = pawl_json(w, "{model: 'm'}");
    static const char *const lists[] = {"system", "tools"};
    for (size_t i = 0; i < PW_COUNT(lists); i++) {
        const pawl_value *list = pawl_get(in, lists[i]);
        request = list != NULL ? pawl_with(s, request, lists[i], pawl_convo_append(w, NULL, list))
                               : request;
    }
    const pawl_value *convo = pawl_get(in, "convo");
    convo = convo != NULL ? convo : pawl_convo_append(w, NULL, pawl_get(in, "first"));
    convo = pawl_get(in, "second") != NULL ? pawl_convo_append(w, convo, pawl_get(in, "second"))
                                           : convo;
    request = pawl_with(s, request, "messages", convo);
    request = pawl_get(in, "more") != NULL ? pawl_with(s, request, "more", pawl_get(in, "more"))
                                           : request;
    request = pawl_get(in, "only") != NULL
                  ? pawl_with(s, request, "tools_only", pawl_get(in, "only"))
                  : request;
    return pawl_call(w, "llm",
                     .input = pawl_json(w, "{endpoint: %p, request: %p}",
                                        pawl_v(pawl_get(in, "endpoint")), pawl_v(request)),
                     .retries = PAWL_RETRY_NONE);
}

static int setup(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    static const char *const secrets[] = {"env:PAWL_TEST_*", NULL};
    const pawl_net_options net = {
        .struct_size = sizeof net, .egress = loopback, .secrets = secrets};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    talk_world *w = calloc(1, sizeof *w);
    void *part = NULL;
    assert_non_null(w);
    assert_int_equal(net_setup(&part), 0);
    w->net = part;
    assert_int_equal(rig_setup(&part), 0);
    w->host = part;
    rig_open(w->host, &o);
    ok(w->host, pawl_register_workflow(w->host->engine, "talk", "1", talk, NULL, &w->host->err));
    ok(w->host, pawl_net_register(w->host->engine, &net, &w->host->err));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    talk_world *w = *state;
    void *part = w->host;
    (void)rig_teardown(&part);
    part = w->net;
    (void)net_teardown(&part);
    free(w);
    return 0;
}

static void start(talk_world *w, const char *id, const char *steps, const char *more)
{
    const pawl_value *in = NULL;
    ok(w->host, pawl_parse_json(w->host->scope, more, strlen(more), &in, &w->host->err));
    const pawl_value *at =
        pawl_build(w->host->scope, "{wire: 'openai-chat', base_url: %s, key: %p}",
                   net_url(w->net, "/%s/%s", steps, id), pawl_v(pawl_get(in, "key")));
    const pawl_start_options o = {
        .workflow = "talk", .id = id, .input = pawl_with(w->host->scope, in, "endpoint", at)};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

static const char *text_of(const pawl_value *answer)
{
    return pawl_str(pawl_at(pawl_get(answer, "message.parts"), 0), "text", "");
}

static const pawl_value *body_of(talk_world *w, const char *id)
{
    const net_reply *reply = net_get(w->net, net_url(w->net, "/seen/%s", id));
    const pawl_value *seen = NULL, *body = NULL;
    ok(w->host, pawl_parse_json(w->host->scope, (const char *)reply->body.data, reply->body.size,
                                &seen, &w->host->err));
    const char *text = pawl_str(pawl_at(pawl_get(seen, "bodies"), 0), "", "{}");
    ok(w->host, pawl_parse_json(w->host->scope, text, strlen(text), &body, &w->host->err));
    return body;
}

static void said(const pawl_value *body, size_t index, const char *text)
{
    const char *is = pawl_str(pawl_at(pawl_get(body, "messages"), index), "content", "?");
    if (strcmp(is, text) != 0) {
        fail_msg("message %zu is \"%s\", not \"%s\"", index, is, text);
    }
}

#define TALK                                               \
    "\"first\": {\"role\": \"user\", \"text\": \"one\"}, " \
    "\"second\": [{\"role\": \"assistant\", \"text\": \"two\"}, {\"role\": \"user\", \"text\": \"three\"}]"

static void what_a_request_refers_to_is_sent_and_journaled_once(void **state)
{
    talk_world *w = *state;
    start(
        w, "a", "ok",
        "{" TALK
        ", \"more\": [{\"role\": \"user\", \"text\": \"four\"}], \"system\": [{\"type\": \"text\", \"text\": \"zero\"}],"
        "\"tools\": [{\"name\": \"dig\", \"description\": \"digs\", \"schema\": {\"type\": \"object\"}}]}");
    assert_string_equal(text_of(rig_result(w->host, "a")), "Hello w\xc3\xb6rld");
    const pawl_value *body = body_of(w, "a");
    static const char *const texts[] = {"zero", "one", "two", "three", "four"};
    assert_int_equal(pawl_len(pawl_get(body, "messages")), PW_COUNT(texts));
    for (size_t i = 1; i < PW_COUNT(texts); i++) {
        said(body, i, texts[i]);
    }
    assert_true(pawl_is(pawl_at(pawl_get(body, "tools"), 0), "function.name", "dig"));
    const pawl_value *history = NULL;
    ok(w->host, pawl_history(w->host->engine, "a", 2, 100, w->host->scope, &history,
                             &w->host->err)); /* without the start */
    const char *shown = pawl_to_json(w->host->scope, history, 0);
    const char *scheduled = strstr(shown, "ActivityScheduled");
    assert_non_null(scheduled);
    assert_null(strstr(scheduled, "three"));
    assert_null(strstr(scheduled, "digs"));
    assert_non_null(strstr(scheduled, "four"));
}

static void of_many_tools_those_that_are_named_are_sent(void **state)
{
    talk_world *w = *state;
    start(w, "only", "ok",
          "{" TALK ", \"tools\": [{\"name\": \"dig\"}, {\"name\": \"fill\"}, {\"name\": \"bury\"}],"
          "\"only\": [\"bury\", \"dig\", \"nobody\"]}");
    assert_string_equal(text_of(rig_result(w->host, "only")), "Hello w\xc3\xb6rld");
    const pawl_value *body = body_of(w, "only");
    assert_int_equal(pawl_len(pawl_get(body, "tools")), 2);
    assert_true(pawl_is(pawl_get(body, "tools"), "0.function.name", "dig"));
    assert_true(pawl_is(pawl_get(body, "tools"), "1.function.name", "bury"));
    assert_null(pawl_get(body, "tools_only"));
}

static void what_stands_after_plain_messages_is_sent_too(void **state)
{
    talk_world *w = *state;
    start(
        w, "a", "ok",
        "{\"convo\": [{\"role\": \"user\", \"text\": \"one\"}], \"more\": [{\"role\": \"user\", \"text\": \"two\"}]}");
    (void)rig_result(w->host, "a");
    const pawl_value *body = body_of(w, "a");
    said(body, 0, "one");
    said(body, 1, "two");
}

static void a_reference_to_nothing_fails_the_call_and_nothing_is_sent(void **state)
{
    talk_world *w = *state;
    static const struct {
        const char *in, *type;
    } cases[] = {
        {"{\"convo\": {\"$convo\": \"00000000000000000000000000000000000000000000000000000000000000ff\", \"len\": 2}}",
         "ConvoUnreadable"},
        {"{\"convo\": {\"words\": 1}}", "ConvoUnreadable"},
        {"{" TALK ", \"more\": 7}", "BadInput"},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        char id[20];
        const pawl_value *f = NULL;
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        start(w, id, "ok", cases[i].in);
        expect(w->host, PAWL_FAILED,
               pawl_result(w->host->engine, id, 20000, w->host->scope, &f, &w->host->err));
        if (!pawl_is(f, "type", cases[i].type)) {
            fail_msg("%s: %s, not %s", id, pawl_to_json(w->host->scope, f, 0), cases[i].type);
        }
        assert_null(pawl_get(body_of(w, id), "messages"));
    }
}

/* ---- as it comes ---- */

typedef struct heard {
    char text[20000]; /* of the channel "text" */
    struct {
        char channel[32], text[500];
    } others[4];
    int pieces, anew, ended;
} heard;

static void on_output(void *user, const pawl_value *event)
{
    heard *h = user;
    size_t size = 0;
    const char *data = pawl_data(event, "data", &size);
    h->ended += pawl_is(event, "type", "OutputEnded");
    if (!pawl_is(event, "type", "Output")) {
        return;
    }
    if (pawl_is(event, "channel", "anew")) {
        h->text[0] = '\0';
        h->anew++;
        return;
    }
    char *text = h->text;
    size_t size_max = sizeof h->text;
    for (size_t i = 0; i < PW_COUNT(h->others) && !pawl_is(event, "channel", "text"); i++) {
        if (h->others[i].channel[0] == '\0' || pawl_is(event, "channel", h->others[i].channel)) {
            (void)snprintf(h->others[i].channel, sizeof h->others[i].channel, "%s",
                           pawl_str(event, "channel", ""));
            text = h->others[i].text;
            size_max = sizeof h->others[i].text;
            break;
        }
    }
    const size_t used = strlen(text);
    assert_true(used + size < size_max);
    memcpy(text + used, data, size);
    text[used + size] = '\0';
    h->pieces++;
}

static void hear(talk_world *w, const heard *h, int ended)
{
    while (h->ended < ended) {
        struct pollfd fd = {.fd = pawl_poll_fd(w->host->engine), .events = POLLIN};
        if (poll(&fd, 1, 20000) <= 0) {
            fail_msg("nothing for 20 s; heard \"%s\"", h->text);
        }
        (void)pawl_dispatch(w->host->engine);
    }
}

static const char *heard_on(const heard *h, const char *channel)
{
    for (size_t i = 0; i < PW_COUNT(h->others); i++) {
        if (strcmp(h->others[i].channel, channel) == 0) {
            return h->others[i].text;
        }
    }
    return "";
}

static void reasoning_and_calls_are_shown_as_they_come_each_on_its_own_channel(void **state)
{
    talk_world *w = *state;
    heard h = {0};
    assert_int_equal(setenv("PAWL_TEST_KEY", "sk-planted-4711", 1), 0);
    ok(w->host, pawl_watch_output(w->host->engine, "a", on_output, &h, &w->host->err));
    start(w, "a", "thinks", "{" TALK ", \"key\": \"env:PAWL_TEST_KEY\"}");
    hear(w, &h, 1);
    assert_string_equal(heard_on(&h, "reasoning"), "I must dig");
    assert_string_equal(heard_on(&h, "call-0"), "dig {\"n\": 4711}");
    assert_string_equal(heard_on(&h, "call-1"), "tell {\"key\": \"Bearer [redacted]\"}");
    assert_string_equal(h.text, "");
    assert_true(h.pieces >= 6);
    const pawl_value *parts = pawl_get(rig_result(w->host, "a"), "message.parts");
    assert_string_equal(pawl_str(pawl_at(parts, 0), "type", ""), "reasoning");
    assert_int_equal(pawl_int(pawl_at(parts, 1), "arguments.n", 0), 4711);
}

static void an_answer_is_shown_as_it_comes(void **state)
{
    talk_world *w = *state;
    heard h = {0};
    ok(w->host, pawl_watch_output(w->host->engine, "a", on_output, &h, &w->host->err));
    start(w, "a", "ok", "{" TALK "}");
    hear(w, &h, 1);
    assert_string_equal(h.text, "Hello w\xc3\xb6rld");
    assert_true(h.pieces > 1);
    (void)rig_result(w->host, "a");
}

static void a_secret_that_comes_back_in_pieces_is_not_shown(void **state)
{
    talk_world *w = *state;
    heard h = {0};
    assert_int_equal(setenv("PAWL_TEST_KEY", "sk-planted-4711", 1), 0);
    ok(w->host, pawl_watch_output(w->host->engine, "a", on_output, &h, &w->host->err));
    start(w, "a", "told", "{" TALK ", \"key\": \"env:PAWL_TEST_KEY\"}");
    hear(w, &h, 1);
    assert_null(strstr(h.text, "sk-pl"));
    assert_non_null(strstr(h.text, "Bearer [redacted]"));
    assert_string_equal(h.text, text_of(rig_result(w->host, "a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_request_refers_to_is_sent_and_journaled_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(of_many_tools_those_that_are_named_are_sent, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_stands_after_plain_messages_is_sent_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reference_to_nothing_fails_the_call_and_nothing_is_sent,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_is_shown_as_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(
            reasoning_and_calls_are_shown_as_they_come_each_on_its_own_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(a_secret_that_comes_back_in_pieces_is_not_shown, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
