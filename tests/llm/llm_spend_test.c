/*
 * llm_spend_test.c - what a model call tells the ledger, whatever its end: tokens by class, calls and dollars of every answer that was paid; no
 * less than what was reserved where nobody can know; nothing where surely nothing was used.
 *
 * Against stub.py, each of whose answers has 10 tokens in and 4 out. Not here: budgets themselves (tests/engine/budget_test.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sdk/base/hash.h"
#include "sdk/pawl_net.h"
#include "tests/integration/host_rig.h"
#include "tests/net/net_rig.h"

typedef struct world {
    rig *host;
    net_rig *net;
    char prices[300];
    int calls;
} world;

#define PRICE 0.00006 /* of one answer: 10 at $2 and 4 at $10 for a million */

static const pawl_value *ask(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, "llm", .input = pawl_get(in, "call"),
                     .retries = (int)pawl_int(in, "retries", PAWL_RETRY_NONE),
                     .retry_initial_s = 0.01,
                     .reserve = pawl_json(w, "{usd: 0.001, input: 100, output: 50, calls: 1}"));
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    void *part = NULL;
    assert_non_null(w);
    assert_int_equal(net_setup(&part), 0);
    w->net = part;
    assert_int_equal(rig_setup(&part), 0);
    w->host = part;
    (void)snprintf(w->prices, sizeof w->prices, "%s/prices", w->net->server.folder);
    FILE *f = fopen(w->prices, "w");
    assert_non_null(f);
    (void)fputs(
        "{\"prices\": [{\"model\": \"m*\", \"input\": 2, \"output\": 10, \"cache_read\": 0.1},"
        " {\"model\": \"dear\", \"input\": 20, \"output\": 100}]}",
        f);
    (void)fclose(f);
    static const char *const loopback[] = {"127.0.0.1", NULL};
    const pawl_net_options net = {
        .struct_size = sizeof net, .egress = loopback, .prices = w->prices};
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    rig_open(w->host, &o);
    ok(w->host, pawl_register_workflow(w->host->engine, "ask", "1", ask, NULL, &w->host->err));
    ok(w->host, pawl_net_register(w->host->engine, &net, &w->host->err));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    void *part = w->host;
    (void)rig_teardown(&part);
    (void)unlink(w->prices);
    part = w->net;
    (void)net_teardown(&part);
    free(w);
    return 0;
}

/* Calls, and gives the ledger's entries of it. */
static const pawl_value *entries_of(world *w, const char *endpoints, const char *request,
                                    int retries)
{
    rig *h = w->host;
    char id[16];
    const pawl_value *more = NULL, *at = NULL, *v = NULL;
    (void)snprintf(id, sizeof id, "a%d", w->calls);
    ok(h, pawl_parse_json(h->scope, request, strlen(request), &more, &h->err));
    ok(h, pawl_parse_json(h->scope, endpoints, strlen(endpoints), &at, &h->err));
    const pawl_value *input =
        pawl_build(h->scope, "{call: {endpoints: %p, request: %p}, retries: %d}", pawl_v(at),
                   pawl_v(more), retries);
    const pawl_start_options o = {.workflow = "ask", .id = id, .input = input};
    ok(h, pawl_start(h->engine, &o, sizeof o, NULL, &h->err));
    const pawl_status ended = pawl_result(h->engine, id, 30000, h->scope, &v, &h->err);
    assert_true(ended == PAWL_OK || ended == PAWL_FAILED);
    ok(h, pawl_cost(h->engine, id, NULL, h->scope, &v, &h->err));
    assert_int_equal(pawl_len(pawl_get(v, "reserved")), 0);
    return pawl_get(v, "entries");
}

static const char *url_of(world *w, const char *steps)
{
    return net_url(w->net, "/%s/a%d", steps, w->calls);
}

static const pawl_value *entries(world *w, const char *steps, const char *request, int retries)
{
    char endpoints[1200];
    w->calls++;
    (void)snprintf(endpoints, sizeof endpoints,
                   "[{\"wire\": \"openai-chat\", \"base_url\": \"%s\"}]", url_of(w, steps));
    return entries_of(w, endpoints, request, retries);
}

#define PLAIN "{\"model\": \"m1\", \"messages\": [{\"role\": \"user\", \"text\": \"Hi\"}]}"
#define STRUCTURED                                                                 \
    "{\"model\": \"m1\", \"messages\": [{\"role\": \"user\", \"text\": \"Hi\"}], " \
    "\"response\": {\"schema\": {\"type\": \"object\", \"required\": [\"a\"]}}}"

static void expect_entry(const pawl_value *list, size_t index, const char *state, int64_t calls,
                         int64_t in, double usd)
{
    const pawl_value *e = pawl_at(list, index);
    assert_string_equal(pawl_str(e, "state", ""), state);
    assert_int_equal(pawl_int(e, "spent.calls", 0), calls);
    assert_int_equal(pawl_int(e, "spent.input", 0), in);
    assert_true(pawl_num(e, "spent.usd", 0) > usd - 1e-9 &&
                pawl_num(e, "spent.usd", 0) < usd + 1e-9);
}

static void an_answer_costs_its_tokens(void **state)
{
    const pawl_value *list = entries(*state, "ok", PLAIN, PAWL_RETRY_NONE);
    assert_int_equal(pawl_len(list), 1);
    expect_entry(list, 0, "settled", 1, 10, PRICE);
    assert_int_equal(pawl_int(list, "0.spent.output", 0), 4);
    assert_int_equal(pawl_int(list, "0.spent.tokens", 0), 14);
    assert_string_equal(pawl_str(list, "0.model", ""), "m1");
    assert_false(pawl_bool(list, "0.unpriced", true));
}

static void repairs_are_paid_and_so_is_an_answer_that_never_fits(void **state)
{
    const pawl_value *list = entries(*state, "ok", STRUCTURED, PAWL_RETRY_NONE);
    assert_int_equal(pawl_len(list), 1);
    expect_entry(list, 0, "settled", 3, 30, 3 * PRICE); /* the call has failed: InvalidAnswer */
}

static void a_model_without_a_price_is_unpriced_and_its_tokens_count(void **state)
{
    const pawl_value *list =
        entries(*state, "ok",
                "{\"model\": \"other\", \"messages\": [{\"role\": \"user\", \"text\": \"Hi\"}]}",
                PAWL_RETRY_NONE);
    expect_entry(list, 0, "estimated", 1, 10, 0.001); /* dollars: no less than what was reserved */
    assert_true(pawl_bool(list, "0.unpriced", false));
}

/* usage-WHAT: the stand-in says that it used so much. */
static void a_usage_that_can_be_none_counts_as_what_was_reserved(void **state)
{
    static const char *const steps[] = {"usage-negative", "usage-huge", "usage-zero", "usage-text",
                                        "usage-empty"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const pawl_value *list = entries(*state, steps[i], PLAIN, PAWL_RETRY_NONE);
        assert_int_equal(pawl_len(list), 1);
        expect_entry(list, 0, "estimated", 1, 100, 0.001);
    }
}

static void more_than_was_reserved_is_booked_as_it_is(void **state)
{
    const pawl_value *list = entries(*state, "usage-more", PLAIN, PAWL_RETRY_NONE);
    expect_entry(list, 0, "settled", 1, 1000000, 6);
}

static void what_came_from_a_cache_has_its_own_price(void **state)
{
    const pawl_value *list = entries(*state, "usage-cached", PLAIN, PAWL_RETRY_NONE);
    expect_entry(list, 0, "settled", 1, 1000, 0.000040 + 200 * 2e-6 + 800 * 0.1e-6);
    assert_int_equal(pawl_int(list, "0.spent.cache_read", 0), 800);
}

static void a_stream_that_is_cut_in_the_middle_is_paid_and_so_is_the_attempt_after_it(void **state)
{
    const pawl_value *list = entries(*state, "broken+ok", PLAIN, 2);
    assert_int_equal(pawl_len(list), 2);
    expect_entry(list, 0, "estimated", 1, 100, 0.001);
    expect_entry(list, 1, "settled", 1, 10, PRICE);
}

static void what_another_model_answers_has_that_ones_price(void **state)
{
    world *w = *state;
    char first[500], endpoints[1200];
    w->calls++;
    (void)snprintf(first, sizeof first, "%s", url_of(w, "s404"));
    (void)snprintf(endpoints, sizeof endpoints,
                   "[{\"wire\": \"openai-chat\", \"base_url\": \"%s\"}, "
                   "{\"wire\": \"openai-chat\", \"base_url\": \"%sb\", \"model\": \"dear\"}]",
                   first, url_of(w, "ok"));
    const pawl_value *list = entries_of(w, endpoints, PLAIN, PAWL_RETRY_NONE);
    assert_int_equal(pawl_len(list), 1);
    expect_entry(list, 0, "settled", 1, 10, 10 * PRICE);
    assert_string_equal(pawl_str(list, "0.model", ""), "dear");
}

static void what_a_server_that_failed_has_used_counts_as_what_was_reserved(void **state)
{
    const pawl_value *list = entries(*state, "s500+ok", PLAIN, 2);
    assert_int_equal(pawl_len(list), 2);
    expect_entry(list, 0, "estimated", 1, 100, 0.001);
    expect_entry(list, 1, "settled", 1, 10, PRICE);
}

static void a_usage_that_was_not_said_counts_as_what_was_reserved(void **state)
{
    const pawl_value *list = entries(*state, "unsaid", PLAIN, PAWL_RETRY_NONE);
    assert_int_equal(pawl_len(list), 1);
    expect_entry(list, 0, "estimated", 1, 100, 0.001);
}

static void a_refused_request_costs_nothing(void **state)
{
    const pawl_value *list = entries(*state, "s404", PLAIN, PAWL_RETRY_NONE);
    assert_int_equal(pawl_len(list), 1);
    expect_entry(list, 0, "settled", 0, 0, 0);
}

static void a_wait_that_the_provider_asks_for_costs_nothing(void **state)
{
    const pawl_value *list = entries(*state, "s529+ok", PLAIN, 2);
    assert_int_equal(pawl_len(list), 2);
    expect_entry(list, 0, "settled", 0, 0, 0);
    expect_entry(list, 1, "settled", 1, 10, PRICE);
}

static void a_price_table_that_cannot_be_read_is_refused(void **state)
{
    world *w = *state;
    pawl_engine *e = NULL;
    pawl_error err;
    const pawl_options o = {.struct_size = sizeof o, .memory = true};
    const pawl_net_options none = {.struct_size = sizeof none, .prices = "/nowhere/prices"};
    const pawl_net_options bad = {.struct_size = sizeof bad, .prices = w->prices};
    FILE *f = fopen(w->prices, "w");
    assert_non_null(f);
    (void)fputs("{\"prices\": [{\"model\": \"m\"}]}", f);
    (void)fclose(f);
    assert_int_equal(pawl_open("memory", &o, &e, &err), PAWL_OK);
    assert_int_equal(pawl_net_register(e, &none, &err), PAWL_INVALID);
    assert_int_equal(pawl_net_register(e, &bad, &err), PAWL_INVALID);
    assert_non_null(strstr(err.message, "prices[0]"));
    pawl_close(e, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(an_answer_costs_its_tokens),
        T(repairs_are_paid_and_so_is_an_answer_that_never_fits),
        T(a_model_without_a_price_is_unpriced_and_its_tokens_count),
        T(what_a_server_that_failed_has_used_counts_as_what_was_reserved),
        T(a_usage_that_was_not_said_counts_as_what_was_reserved),
        T(a_refused_request_costs_nothing),
        T(a_wait_that_the_provider_asks_for_costs_nothing),
        T(a_usage_that_can_be_none_counts_as_what_was_reserved),
        T(more_than_was_reserved_is_booked_as_it_is),
        T(what_came_from_a_cache_has_its_own_price),
        T(a_stream_that_is_cut_in_the_middle_is_paid_and_so_is_the_attempt_after_it),
        T(what_another_model_answers_has_that_ones_price),
        T(a_price_table_that_cannot_be_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
