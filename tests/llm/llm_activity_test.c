/*
 * llm_activity_test.c - the activity "llm" in a whole engine, against stub.py: what is asked, of whom next, again, never again; what pauses,
 * what is repaired, looked for after a restart, cancelled, scrubbed and redacted.
 *
 * Not here: what each wire sends and means (the wires' own tests), real models.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "activities/secret_form.h"
#include "sdk/pawl_net.h"
#include "tests/integration/host_rig.h"
#include "tests/net/net_rig.h"

typedef struct llm_world {
    rig *host;
    net_rig *net; /* the stub */
} llm_world;

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = pawl_get(in, "call"),
                     .retries = (int)pawl_int(in, "retries", 0), .retry_initial_s = 0.01,
                     .effect =
                         pawl_bool(in, "unsafe", false) ? PAWL_EFFECT_UNSAFE : PAWL_EFFECT_DEFAULT);
}

static const char *scrub(void *user, pawl_scope *scope, const char *text, size_t size)
{
    (void)user;
    (void)size;
    if (strstr(text, "forbidden") != NULL) {
        return NULL;
    }
    return strcmp(text, "Ada Lovelace") == 0 ? pawl_str(pawl_make_str(scope, "[name]"), "", "")
                                             : text;
}

static void open_world(llm_world *w)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    static const char *const secrets[] = {"env:PAWL_TEST_*", NULL};
    const pawl_net_options net = {
        .struct_size = sizeof net, .egress = loopback, .secrets = secrets, .llm_scrub = scrub};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    rig_open(w->host, &o);
    ok(w->host, pawl_register_workflow(w->host->engine, "ask", "1", ask, NULL, &w->host->err));
    ok(w->host, pawl_net_register(w->host->engine, &net, &w->host->err));
}

static int setup(void **state)
{
    llm_world *w = calloc(1, sizeof *w);
    void *part = NULL;
    assert_non_null(w);
    assert_int_equal(net_setup(&part), 0);
    w->net = part;
    assert_int_equal(rig_setup(&part), 0);
    w->host = part;
    open_world(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    llm_world *w = *state;
    void *part = w->host;
    (void)rig_teardown(&part);
    part = w->net;
    (void)net_teardown(&part);
    free(w);
    return 0;
}

/* ---- asking ---- */

static const pawl_value *endpoint(llm_world *w, const char *wire, const char *steps, const char *id)
{
    char url[1000];
    (void)snprintf(url, sizeof url, "%s", net_url(w->net, "/%s/%s", steps, id));
    return pawl_build(w->host->scope, "{wire: %s, base_url: %s}", wire, url);
}

/* {endpoint, request} with the members of `more` on top. */
static const pawl_value *call_of(llm_world *w, const pawl_value *at, const char *more)
{
    pawl_scope *scope = w->host->scope;
    const pawl_value *call = pawl_build(
        scope, "{endpoint: %p, request: {model: 'm', messages: [{role: 'user', text: 'Hi'}]}}",
        pawl_v(at));
    const pawl_value *extra = NULL;
    if (more != NULL) {
        ok(w->host, pawl_parse_json(scope, more, strlen(more), &extra, &w->host->err));
    }
    for (size_t i = 0; i < pawl_len(extra); i++) {
        call = pawl_with(scope, call, pawl_key_at(extra, i), pawl_at(extra, i));
    }
    return call;
}

static void start(llm_world *w, const char *id, const pawl_value *call, int retries)
{
    assert_non_null(call);
    const pawl_value *input =
        pawl_build(w->host->scope, "{call: %p, retries: %d}", pawl_v(call), retries);
    const pawl_start_options o = {.workflow = "ask", .id = id, .input = input};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
}

static const pawl_value *failure_of(llm_world *w, const char *id, const char *type)
{
    const pawl_value *v = NULL;
    expect(w->host, PAWL_FAILED,
           pawl_result(w->host->engine, id, 30000, w->host->scope, &v, &w->host->err));
    if (!pawl_is(v, "type", type)) {
        fail_msg("%s: failed with %s: %s; %s was expected", id, pawl_str(v, "type", "?"),
                 pawl_str(v, "message", "?"), type);
    }
    return v;
}

static const pawl_value *seen(llm_world *w, const char *id)
{
    const net_reply *reply = net_get(w->net, net_url(w->net, "/seen/%s", id));
    const pawl_value *v = NULL;
    ok(w->host, pawl_parse_json(w->host->scope, (const char *)reply->body.data, reply->body.size,
                                &v, &w->host->err));
    return v;
}

static void seen_times(llm_world *w, const char *id, int times)
{
    const int64_t count = pawl_int(seen(w, id), "count", -1);
    if (count != times) {
        fail_msg("%s: the stub was asked %lld times, not %d", id, (long long)count, times);
    }
}

static const char *text_of(const pawl_value *answer)
{
    return pawl_str(pawl_at(pawl_get(answer, "message.parts"), 0), "text", "");
}

#define HELLO "Hello w\xc3\xb6rld"

static void is_hello(const char *what, const pawl_value *v)
{
    if (strcmp(text_of(v), HELLO) != 0) {
        fail_msg("%s: \"%s\"", what, text_of(v));
    }
    assert_true(pawl_is(v, "stop", "end"));
    assert_int_equal(strlen(pawl_str(v, "digest", "")), 64);
}

/* ---- answers ---- */

static const char *const wires[] = {
    "openai-chat", "openai-compatible", "openai-responses", "anthropic", "gemini", "ollama"};

static void every_wire_answers_whole_streamed_and_byte_by_byte(void **state)
{
    llm_world *w = *state;
    static const char *const ways[][2] = {
        {"ok", "{\"stream\": false}"}, {"ok", "{\"stream\": true}"}, {"split", NULL}};
    char id[60];
    for (size_t i = 0; i < PW_COUNT(wires); i++) {
        for (size_t k = 0; k < PW_COUNT(ways); k++) {
            (void)snprintf(id, sizeof id, "%s-%zu", wires[i], k);
            start(w, id, call_of(w, endpoint(w, wires[i], ways[k][0], id), ways[k][1]), 0);
        }
    }
    for (size_t i = 0; i < PW_COUNT(wires); i++) {
        for (size_t k = 0; k < PW_COUNT(ways); k++) {
            (void)snprintf(id, sizeof id, "%s-%zu", wires[i], k);
            const pawl_value *v = rig_result(w->host, id);
            is_hello(id, v);
            assert_int_equal(pawl_int(v, "usage.input", 0), 10);
            assert_int_equal(pawl_int(v, "usage.output", 0), 4);
            assert_true(pawl_is(v, "provider", wires[i]));
            assert_int_equal(pawl_int(v, "endpoint", -1), 0);
            assert_true(k == 0 || pawl_get(v, "first_ms") != NULL || pawl_int(v, "ms", -1) >= 0);
            seen_times(w, id, 1);
        }
    }
}

static void a_server_that_does_not_stream_though_asked_is_understood(void **state)
{
    llm_world *w = *state;
    start(w, "a", call_of(w, endpoint(w, "openai-chat", "whole", "a"), NULL), 0);
    is_hello("whole", rig_result(w->host, "a"));
}

static void an_answer_that_was_whole_counts_though_the_connection_broke(void **state)
{
    llm_world *w = *state;
    start(w, "a", call_of(w, endpoint(w, "openai-chat", "unsaid", "a"), NULL), 0);
    const pawl_value *v = rig_result(w->host, "a");
    is_hello("unsaid", v);
    assert_null(pawl_get(v, "usage")); /* it came after: unknown, not nothing */
    seen_times(w, "a", 1);
}

static int64_t commits(llm_world *w)
{
    const pawl_value *stats = NULL;
    ok(w->host, pawl_stats(w->host->engine, w->host->scope, &stats, &w->host->err));
    return pawl_int(stats, "commits", -1);
}

/* Of several, since a machine that is busy for a second may see a heartbeat. */
static void a_quick_answer_costs_its_command_and_its_result_and_no_heartbeat(void **state)
{
    llm_world *w = *state;
    char id[16];
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof id, "q%d", i);
        const int64_t before = commits(w);
        start(w, id, call_of(w, endpoint(w, "openai-chat", "ok", id), NULL), 0);
        is_hello(id, rig_result(w->host, id));
        const int64_t took = commits(w) - before;
        least = took < least ? took : least;
    }
    assert_int_equal(least, 2);
}

static void a_sidecar_that_never_streams_answers_as_a_whole(void **state)
{
    llm_world *w = *state;
    start(w, "a", call_of(w, endpoint(w, "dapr", "ok", "a"), NULL), 0); /* it is asked to */
    const pawl_value *v = rig_result(w->host, "a");
    is_hello("dapr", v);
    assert_int_equal(pawl_int(v, "usage.input", 0), 10);
    assert_string_equal(pawl_str(pawl_at(pawl_get(seen(w, "a"), "paths"), 0), "", ""),
                        "/ok/a/v1.0-alpha2/conversation/m/converse");
}

/* ---- again, and never again ---- */

static void a_429_waits_as_it_says_and_costs_no_retry(void **state)
{
    llm_world *w = *state;
    static const char *const forms[] = {"seconds", "fraction", "date",   "ms",
                                        "zero",    "reset",    "moment", "body"};
    char id[40], steps[60];
    for (size_t i = 0; i < PW_COUNT(forms); i++) {
        (void)snprintf(id, sizeof id, "wait-%s", forms[i]);
        (void)snprintf(steps, sizeof steps, "wait-%s+ok", forms[i]);
        start(w, id,
              call_of(
                  w,
                  endpoint(w, strcmp(forms[i], "body") == 0 ? "gemini" : "openai-chat", steps, id),
                  NULL),
              0);
    }
    for (size_t i = 0; i < PW_COUNT(forms); i++) {
        (void)snprintf(id, sizeof id, "wait-%s", forms[i]);
        is_hello(id, rig_result(w->host, id));
        seen_times(w, id, 2);
    }
}

static void what_may_get_better_is_tried_again(void **state)
{
    llm_world *w = *state;
    static const char *const steps[] = {"s529+ok",   "s500+ok",  "page+ok",
                                        "broken+ok", "ended+ok", "malformed+ok"};
    for (size_t i = 0; i < PW_COUNT(steps); i++) {
        start(w, steps[i], call_of(w, endpoint(w, "openai-chat", steps[i], steps[i]), NULL), 1);
    }
    for (size_t i = 0; i < PW_COUNT(steps); i++) {
        is_hello(steps[i], rig_result(w->host, steps[i]));
        seen_times(w, steps[i], 2);
    }
}

static void what_does_not_get_better_fails_with_its_name(void **state)
{
    llm_world *w = *state;
    static const struct {
        const char *steps, *more, *type, *action;
        int times;
    } cases[] = {
        {"s404", NULL, "ModelNotFound", "give_up", 1},
        {"s400", NULL, "BadModelRequest", "give_up", 1},
        {"oversized", NULL, "BadModelResponse", "retry", 2},
        {"malformed", NULL, "BadModelResponse", "retry", 2},
        {"malformed", "{\"stream\": false}", "BadModelResponse", "retry", 2},
        {"ended", NULL, "StreamTruncated", "retry", 2},
        {"broken", NULL, "ConnectionCut", "retry", 2},
        {"slow", "{\"idle_timeout_s\": 0.3}", "IdleTimeout", "retry", 2},
        {"loris", "{\"timeout_s\": 2}", "TotalTimeout", "retry", 2},
        {"silent", "{\"first_byte_timeout_s\": 0.3}", "FirstByteTimeout", "retry", 2},
        {"money", "{\"pause\": false}", "BudgetExhausted", "pause", 1},
        {"key", "{\"pause\": false}", "NotAuthorized", "pause", 1},
    };
    char id[40];
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        (void)snprintf(id, sizeof id, "%zu-%s", i, cases[i].steps);
        start(w, id, call_of(w, endpoint(w, "openai-chat", cases[i].steps, id), cases[i].more), 1);
    }
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        (void)snprintf(id, sizeof id, "%zu-%s", i, cases[i].steps);
        const pawl_value *f = failure_of(w, id, cases[i].type);
        if (!pawl_is(f, "details.action", cases[i].action)) {
            fail_msg("%s: action %s", id, pawl_str(f, "details.action", "?"));
        }
        assert_int_equal(pawl_len(pawl_get(f, "details.tried")), 1);
        seen_times(w, id, cases[i].times);
    }
}

static void an_unsafe_call_whose_answer_was_lost_is_asked_about(void **state)
{
    llm_world *w = *state;
    const pawl_value *call = call_of(w, endpoint(w, "openai-chat", "broken", "a"), NULL);
    const pawl_start_options o = {
        .workflow = "ask",
        .id = "a",
        .input = pawl_build(w->host->scope, "{call: %p, unsafe: true}", pawl_v(call))};
    ok(w->host, pawl_start(w->host->engine, &o, sizeof o, NULL, &w->host->err));
    rig_watch(w->host);
    while (pawl_len(pawl_get(rig_describe(w->host, "a"), "waiting")) == 0 ||
           pawl_int(seen(w, "a"), "count", 0) == 0) {
        rig_event(w->host);
    }
    seen_times(w, "a", 1);
}

/* ---- endpoints ---- */

static const pawl_value *two(llm_world *w, const char *first, const char *second, const char *id)
{
    char other[60];
    (void)snprintf(other, sizeof other, "%s-2", id);
    const pawl_value *b = pawl_with(w->host->scope, endpoint(w, "anthropic", second, other),
                                    "model", pawl_make_str(w->host->scope, "other"));
    return pawl_build(
        w->host->scope,
        "{endpoints: [%p, %p], request: {model: 'm', messages: [{role: 'user', text: 'Hi'}]}}",
        pawl_v(endpoint(w, "openai-chat", first, id)), pawl_v(b));
}

static void the_next_endpoint_is_asked_when_one_does_not_answer(void **state)
{
    llm_world *w = *state;
    static const char *const first[] = {"money", "key",    "wait-long", "s529",
                                        "s404",  "broken", "malformed"};
    for (size_t i = 0; i < PW_COUNT(first); i++) {
        start(w, first[i], two(w, first[i], "ok", first[i]), 0);
    }
    for (size_t i = 0; i < PW_COUNT(first); i++) {
        const pawl_value *v = rig_result(w->host, first[i]);
        char other[60];
        (void)snprintf(other, sizeof other, "%s-2", first[i]);
        is_hello(first[i], v);
        assert_true(pawl_is(v, "provider", "anthropic"));
        assert_int_equal(pawl_int(v, "endpoint", -1), 1);
        assert_int_equal(pawl_len(pawl_get(v, "tried")), 1);
        assert_true(pawl_is(pawl_at(pawl_get(v, "tried"), 0), "provider", "openai-chat"));
        seen_times(w, first[i], 1);
        assert_non_null(strstr(pawl_str(pawl_at(pawl_get(seen(w, other), "bodies"), 0), "", ""),
                               "\"model\":\"other\""));
    }
}

static void of_all_failures_the_one_that_says_best_what_to_do_is_told(void **state)
{
    llm_world *w = *state;
    start(w, "a", two(w, "s404", "s529", "a"), 0);
    start(w, "b", two(w, "s529", "s404", "b"), 0);
    start(w, "c", two(w, "s400", "ok", "c"), 0);
    assert_int_equal(pawl_int(failure_of(w, "a", "ModelOverloaded"), "details.endpoint", -1), 1);
    const pawl_value *f = failure_of(w, "b", "ModelOverloaded");
    assert_int_equal(pawl_int(f, "details.endpoint", -1), 0);
    assert_int_equal(pawl_len(pawl_get(f, "details.tried")), 2);
    assert_int_equal(pawl_len(pawl_get(failure_of(w, "c", "BadModelRequest"), "details.tried")),
                     1); /* nobody else will understand it */
    seen_times(w, "c-2", 0);
}

/* ---- money ---- */

static void without_money_the_run_pauses_and_goes_on_when_it_is_resumed(void **state)
{
    llm_world *w = *state;
    start(w, "a", call_of(w, endpoint(w, "openai-chat", "money+ok", "a"), NULL), 0);
    rig_until(w->host, "a", "status", "paused");
    seen_times(w, "a", 1);
    ok(w->host, pawl_resume(w->host->engine, "a", &w->host->err));
    is_hello("resumed", rig_result(w->host, "a"));
    seen_times(w, "a", 2);
}

static void without_a_key_the_run_pauses_and_survives_a_restart(void **state)
{
    llm_world *w = *state;
    start(w, "a", call_of(w, endpoint(w, "openai-chat", "key+ok", "a"), NULL), 0);
    rig_until(w->host, "a", "status", "paused");
    rig_close(w->host);
    open_world(w);
    ok(w->host, pawl_resume_all(w->host->engine, &w->host->err));
    assert_true(pawl_is(rig_describe(w->host, "a"), "status", "paused"));
    seen_times(w, "a", 1);
    ok(w->host, pawl_resume(w->host->engine, "a", &w->host->err));
    is_hello("resumed", rig_result(w->host, "a"));
}

/* ---- structured output ---- */

#define SCHEMA                                                                                                                                   \
    "{\"request\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"text\": \"Hi\"}], \"response\": {\"schema\": {\"type\": \"object\"," \
    "\"required\": [\"a\"], \"properties\": {\"a\": {\"type\": \"integer\"}}}}}, \"repairs\": %d}"

static const pawl_value *structured(llm_world *w, const char *id, int repairs,
                                    const char *const *said, size_t len)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf steps = PW_BUF_INIT;
    char more[400];
    (void)snprintf(more, sizeof more, SCHEMA, repairs);
    for (size_t i = 0; i < len; i++) {
        pw_buf_puts(&steps, i > 0 ? "+say-" : "say-");
        pw_base64_put(&steps, said[i], strlen(said[i]));
    }
    return call_of(w, endpoint(w, "openai-chat", pw_buf_cstr(&steps), id), more);
}

static void an_answer_that_does_not_fit_is_sent_back_with_what_is_wrong(void **state)
{
    llm_world *w = *state;
    static const char *const said[] = {"I do not know", "{\"a\": \"x\"}",
                                       "Sure: ```json\n{\"a\": 7}\n```"};
    start(w, "a", structured(w, "a", 2, said, 3), 0);
    const pawl_value *v = rig_result(w->host, "a");
    assert_int_equal(pawl_int(v, "value.a", 0), 7);
    assert_int_equal(pawl_int(v, "repairs", 0), 2);
    assert_int_equal(pawl_int(v, "usage.input", 0), 30);
    const pawl_value *bodies = pawl_get(seen(w, "a"), "bodies");
    assert_int_equal(pawl_len(bodies), 3);
    assert_non_null(strstr(pawl_str(pawl_at(bodies, 1), "", ""), "there is no JSON in it"));
    assert_non_null(strstr(pawl_str(pawl_at(bodies, 2), "", ""), "/a: "));
    assert_non_null(strstr(pawl_str(pawl_at(bodies, 2), "", ""), "I do not know"));
}

static void repairs_are_bounded(void **state)
{
    llm_world *w = *state;
    static const char *const said[] = {"{\"a\": \"x\"}"};
    start(w, "a", structured(w, "a", 1, said, 1), 3);
    const pawl_value *f = failure_of(w, "a", "InvalidAnswer");
    assert_int_equal(pawl_len(pawl_get(f, "details.problems")), 1);
    assert_true(pawl_is(f, "details.text", said[0]));
    assert_int_equal(pawl_int(f, "details.usage.output", 0), 8);
    seen_times(w, "a", 2);
}

/* ---- in the background ---- */

#define BACKGROUND \
    "{\"request\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"text\": \"Hi\"}], \"background\": true}}"

static void an_answer_in_the_background_is_looked_for_and_found_after_a_restart(void **state)
{
    llm_world *w = *state;
    start(
        w, "a",
        call_of(w, endpoint(w, "openai-responses", "pending+pending+s500+whole", "a"), BACKGROUND),
        0);
    start(w, "b",
          call_of(w, endpoint(w, "openai-responses", "pending+pending+pending+whole", "b"),
                  BACKGROUND),
          0);
    while (pawl_int(seen(w, "b"), "count", 0) < 2) {
    }
    rig_close(w->host);
    open_world(w);
    ok(w->host, pawl_resume_all(w->host->engine, &w->host->err));
    is_hello("a", rig_result(w->host, "a"));
    is_hello("b", rig_result(w->host, "b"));
    assert_int_equal(pawl_int(seen(w, "a"), "posts", 0), 1); /* bought once */
    assert_int_equal(pawl_int(seen(w, "b"), "posts", 0), 1);
}

/* ---- cancel ---- */

static void a_call_is_cancelled_wherever_it_is(void **state)
{
    llm_world *w = *state;
    start(w, "slow", call_of(w, endpoint(w, "openai-chat", "slow", "slow"), NULL), 0);
    start(w, "silent", call_of(w, endpoint(w, "openai-chat", "silent", "silent"), NULL), 0);
    start(w, "pending",
          call_of(w, endpoint(w, "openai-responses", "pending", "pending"), BACKGROUND), 0);
    static const char *const ids[] = {"slow", "silent", "pending"};
    for (size_t i = 0; i < PW_COUNT(ids); i++) {
        const pawl_value *v = NULL;
        while (pawl_int(seen(w, ids[i]), "count", 0) < (i == 2 ? 2 : 1)) {
        }
        ok(w->host, pawl_cancel(w->host->engine, ids[i], "enough", &w->host->err));
        expect(w->host, PAWL_CANCELED,
               pawl_result(w->host->engine, ids[i], 20000, w->host->scope, &v, &w->host->err));
    }
    /* the provider was told to stop what it did in the background, once its id was known */
    while (pawl_int(seen(w, "pending"), "posts", 0) < 2) {
    }
    const pawl_value *paths = pawl_get(seen(w, "pending"), "paths");
    assert_non_null(strstr(pawl_str(pawl_at(paths, pawl_len(paths) - 1), "", ""),
                           "/v1/responses/resp_9/cancel"));
}

/* ---- what leaves, and what is kept ---- */

static void a_key_is_sent_and_nowhere_kept(void **state)
{
    llm_world *w = *state;
    assert_int_equal(setenv("PAWL_TEST_KEY", "sk-planted-4711", 1), 0);
    const pawl_value *at =
        pawl_with(w->host->scope, endpoint(w, "openai-chat", "told", "a"), "key",
                  pawl_build(w->host->scope, "{\"$secret\": 'env:PAWL_TEST_KEY'}"));
    start(w, "a", call_of(w, at, NULL), 0);
    const char *text = text_of(rig_result(w->host, "a"));
    assert_non_null(strstr(text, "Bearer [redacted]"));
    assert_null(strstr(text, "sk-planted-4711"));
    const pawl_value *head = pawl_at(pawl_get(seen(w, "a"), "heads"), 0);
    bool sent = false;
    for (size_t i = 0; i < pawl_len(head); i++) {
        sent |= pawl_is(pawl_at(pawl_at(head, i), 1), "", "Bearer sk-planted-4711");
    }
    assert_true(sent);
    at = pawl_with(w->host->scope, endpoint(w, "openai-chat", "ok", "b"), "key",
                   pawl_make_str(w->host->scope, "env:HOME"));
    start(w, "b", call_of(w, at, NULL), 0);
    (void)failure_of(w, "b", "SecretFailed");
    seen_times(w, "b", 0);
}

static void texts_are_scrubbed_before_they_leave(void **state)
{
    llm_world *w = *state;
    start(
        w, "a",
        call_of(
            w, endpoint(w, "openai-chat", "ok", "a"),
            "{\"request\": {\"model\": \"Ada Lovelace\", \"system\": \"Ada Lovelace\", \"messages\": ["
            "{\"role\": \"user\", \"text\": \"Ada Lovelace\"},"
            "{\"role\": \"assistant\", \"parts\": [{\"type\": \"tool_call\", \"id\": \"c\", \"name\": \"f\","
            "\"arguments\": {\"name\": \"Ada Lovelace\"}}]},"
            "{\"role\": \"tool\", \"parts\": [{\"type\": \"tool_result\", \"id\": \"c\", \"name\": \"f\","
            "\"content\": [{\"x\": [\"Ada Lovelace\", 1]}]}]}]}}"),
        0);
    start(
        w, "b",
        call_of(
            w, endpoint(w, "openai-chat", "ok", "b"),
            "{\"request\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"text\": \"forbidden\"}]}}"),
        0);
    (void)rig_result(w->host, "a");
    const char *body = pawl_str(pawl_at(pawl_get(seen(w, "a"), "bodies"), 0), "", "");
    assert_null(strstr(strstr(body, "messages"), "Ada Lovelace"));
    assert_non_null(strstr(body, "{\\\"name\\\":\\\"[name]\\\"}"));
    assert_non_null(strstr(body, "[{\\\"x\\\":[\\\"[name]\\\",1]}]"));
    assert_non_null(strstr(body, "\"model\":\"Ada Lovelace\""));
    (void)failure_of(w, "b", "ScrubRefused");
    seen_times(w, "b", 0);
}

static void an_input_that_is_wrong_is_named_and_nothing_is_sent(void **state)
{
    llm_world *w = *state;
    static const char *const more[] = {
        "{\"endpoint\": {\"wire\": \"telepathy\"}}",
        "{\"endpoint\": {\"wire\": \"openai-compatible\"}}",
        "{\"endpoint\": {\"wire\": \"ollama\", \"colour\": 1}}",
        "{\"endpoints\": []}",
        "{\"request\": 5}",
        "{\"request\": {\"messages\": []}}",
        "{\"request\": {\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"text\": \"x\"}], \"max_token\": 5}}",
        "{\"repairs\": 99}",
        "{\"timeout_s\": 0}",
        "{\"temperature\": 1}",
    };
    for (size_t i = 0; i < PW_COUNT(more); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        start(w, id, call_of(w, endpoint(w, "openai-chat", "ok", "bad"), more[i]), 3);
        assert_true(strlen(pawl_str(failure_of(w, id, "BadInput"), "message", "")) > 10);
    }
    start(
        w, "denied",
        call_of(w,
                pawl_build(w->host->scope, "{wire: 'openai-chat', base_url: 'http://127.0.0.2:9'}"),
                NULL),
        3);
    (void)failure_of(w, "denied", "EgressDenied");
    seen_times(w, "bad", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_wire_answers_whole_streamed_and_byte_by_byte, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_stream_though_asked_is_understood,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_quick_answer_costs_its_command_and_its_result_and_no_heartbeat, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sidecar_that_never_streams_answers_as_a_whole, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_was_whole_counts_though_the_connection_broke,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_429_waits_as_it_says_and_costs_no_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(what_may_get_better_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_get_better_fails_with_its_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unsafe_call_whose_answer_was_lost_is_asked_about, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_next_endpoint_is_asked_when_one_does_not_answer, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(of_all_failures_the_one_that_says_best_what_to_do_is_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(without_money_the_run_pauses_and_goes_on_when_it_is_resumed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_key_the_run_pauses_and_survives_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_does_not_fit_is_sent_back_with_what_is_wrong,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(repairs_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(
            an_answer_in_the_background_is_looked_for_and_found_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_call_is_cancelled_wherever_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_is_sent_and_nowhere_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_scrubbed_before_they_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(an_input_that_is_wrong_is_named_and_nothing_is_sent, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
