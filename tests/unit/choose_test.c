/*
 * choose_test.c - texts cut into words, ranked by words, by given cosines, and by both. Does not ask whether the list is a good one
 * (tests/embed/tools_found_test.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "activities/choose.h"
#include "sdk/base/arena.h"
#include "sdk/base/buf.h"

#define TOOL(name, text)                                      \
    {                                                         \
        name, sizeof(name) - 1, text, sizeof(text) - 1, "", 0 \
    }

static const pw_choose_doc tools[] = {
    TOOL("slack_post_message", "Writes into a channel or a direct conversation."),
    TOOL("gmail_send_message", "Sends an email, with copies and attachments."),
    TOOL("stripe_create_refund", "Gives a payment back, wholly or in part."),
    TOOL("weather_get_forecast", "Tells temperature, rain and wind of the coming days."),
};
#define LEN (sizeof tools / sizeof tools[0])

static const char *words_of(pawl_scope *scope, const char *text)
{
    size_t size = strlen(text);
    const char *all = "";
    pw_word w;
    while (pw_word_next(&text, &size, false, &w)) {
        all = pw_sprintf(scope, "%s%s%.*s", all, all[0] != '\0' ? " " : "", (int)w.size, w.text);
    }
    return all;
}

static void words_lose_case_endings_and_what_says_nothing(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    (void)state;
    assert_string_equal(words_of(scope, "The parcel was CHARGED; it charges, charging!"),
                        "parcel charg charg charg");
    assert_string_equal(words_of(scope, "postMessage post_messages HTTPServer"),
                        "post messag post messag httpserver");
    assert_string_equal(words_of(scope, "stopped stops stop queries query"),
                        "stop stop stop query query");
    assert_string_equal(words_of(scope, "who are you? -- "), "");
    assert_string_equal(words_of(scope, "K\xc3\xb6ln 42"), "k\xc3\xb6ln 42");
    pawl_scope_free(scope);
}

static void a_word_longer_than_any_is_cut_and_not_overrun(void **state)
{
    char text[200];
    const char *p = text;
    size_t size = sizeof text;
    pw_word w;
    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(pw_word_next(&p, &size, false, &w));
    assert_int_equal(w.size, sizeof w.text);
    assert_false(pw_word_next(&p, &size, false, &w));
}

static size_t best(const pw_choose *c, pw_choice *ret_best)
{
    pawl_scope *scope = pawl_scope_new();
    size_t len = 0;
    assert_true(pw_choose_best(scope, c, ret_best, &len));
    pawl_scope_free(scope);
    return len;
}

/* The query is the caller's, as long as the question is. */
static pw_choose asked(pw_choose_query *q, const char *query, const double *cosines,
                       pw_choose_by by)
{
    *q = (pw_choose_query){query, strlen(query), cosines};
    return (pw_choose){.docs = tools,
                       .len = LEN,
                       .queries = q,
                       .queries_len = 1,
                       .by = by,
                       .k = LEN,
                       .at_least = -2};
}

static void by_words_only_what_has_one_of_them_is_chosen_names_first(void **state)
{
    pw_choice list[LEN];
    pw_choose_query q;
    pw_choose c = asked(&q, "email the message to Tom", NULL, PW_CHOOSE_WORDS);
    (void)state;
    assert_int_equal(best(&c, list), 2);
    assert_int_equal(list[0].index, 1);
    assert_int_equal(list[1].index, 0);
    c.k = 1;
    assert_int_equal(best(&c, list), 1);
    c = asked(&q, "who are you", NULL, PW_CHOOSE_WORDS);
    assert_int_equal(best(&c, list), 0);
}

static void by_meaning_what_is_too_far_is_not_chosen_and_ties_go_to_the_first(void **state)
{
    static const double cosines[LEN] = {0.3, 0.1, 0.3, -0.2};
    pw_choice list[LEN];
    pw_choose_query q;
    pw_choose c = asked(&q, "money back", cosines, PW_CHOOSE_MEANING);
    (void)state;
    assert_int_equal(best(&c, list), LEN);
    assert_int_equal(list[0].index, 0);
    assert_int_equal(list[1].index, 2);
    assert_int_equal(list[3].index, 3);
    c.at_least = 0.1;
    assert_int_equal(best(&c, list), 3);
    c.at_least = 0.31;
    assert_int_equal(best(&c, list), 0);
}

static void both_lists_count_by_rank_and_the_least_cosine_holds_for_both(void **state)
{
    static const double cosines[LEN] = {0.1, 0.2, 0.9, 0.3};
    pw_choice list[LEN];
    pw_choose_query q;
    pw_choose c = asked(&q, "rain payment", cosines, PW_CHOOSE_HYBRID);
    (void)state;
    assert_int_equal(best(&c, list), LEN);
    assert_int_equal(list[0].index, 2);
    assert_int_equal(list[1].index, 3);
    assert_true(list[0].score > 1.0 / 61 && list[0].score <= 2.0 / 61);
    c.at_least = 0.5;
    assert_int_equal(best(&c, list), 1);
}

/* The parts by words of the scores of the first two tools, of which the first is first by words, the second by meaning. */
static void parts_by_words(const char *query, double parts[2])
{
    static const double cosines[LEN] = {0.1, 0.9, 0.05, 0.04};
    pw_choice list[LEN];
    pw_choose_query q;
    const pw_choose c = asked(&q, query, cosines, PW_CHOOSE_HYBRID);
    assert_int_equal(best(&c, list), LEN);
    for (size_t i = 0; i < LEN; i++) {
        if (list[i].index < 2) {
            parts[list[i].index] = list[i].score - pw_choose_worth(list[i].index == 1 ? 1 : 2);
        }
    }
}

static void a_place_by_words_counts_as_much_as_the_tool_has_of_the_request(void **state)
{
    double all[2], half[2], less[2];
    (void)state;
    parts_by_words("slack channel", all);
    assert_true(all[0] > 0.999 / 61 && all[0] < 1.001 / 61); /* both words: the place in full */
    assert_true(all[1] > -1e-9 && all[1] < 1e-9);
    parts_by_words("slack parsnip", half); /* the other word, which nobody has, weighs more */
    assert_true(half[0] > 0.5 / 61 && half[0] < 0.71 / 61);
    parts_by_words("slack parsnip turnip swede celeriac", less);
    assert_true(less[0] > 0.2 / 61 && less[0] < half[0]);
}

static void a_request_without_a_word_that_says_anything_goes_by_meaning(void **state)
{
    static const double cosines[LEN] = {0.3, 0.9, 0.2, 0.1};
    pw_choice list[LEN];
    pw_choose_query q;
    const pw_choose c = asked(&q, "what of it", cosines, PW_CHOOSE_HYBRID);
    (void)state;
    assert_int_equal(best(&c, list), LEN);
    for (size_t i = 0; i < LEN; i++) {
        const double worth = pw_choose_worth(i + 1);
        assert_true(list[i].score > worth - 1e-12 && list[i].score < worth + 1e-12);
    }
}

/* A doc of its own; what is said of it is in the scope. */
static pw_choose_doc said(pawl_scope *scope, const char *name, const pawl_value *v)
{
    pw_choose_doc doc = {name, strlen(name), "Does it.", 8, "", 0};
    assert_non_null(v);
    pw_choose_say(scope, &doc, pawl_get(v, "tags"), pawl_get(v, "in"), pawl_get(v, "out"));
    return doc;
}

/* Which of them a request finds first, by words and by both, though the model says that it is opposite; len = none. */
static size_t found(const pw_choose_doc *docs, size_t len, const char *query)
{
    static const double cosines[8] = {0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1, -0.1};
    const pw_choose_query q = {query, strlen(query), cosines};
    pw_choose c = {
        .docs = docs, .len = len, .queries = &q, .queries_len = 1, .by = PW_CHOOSE_WORDS, .k = 2};
    pw_choice words[2], both[2];
    const bool hit = best(&c, words) > 0;
    c.by = PW_CHOOSE_HYBRID;
    for (size_t i = 0, n = best(&c, both); hit && i < n; i++) {
        if (both[i].index == words[0].index) {
            return words[0].index;
        }
    }
    return len;
}

static void a_tag_a_parameter_or_one_of_its_values_finds_what_has_it(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    const pw_choose_doc docs[] = {
        said(scope, "first", pawl_build(scope, "{}")),
        said(scope, "second", pawl_build(scope, "{tags: ['finance', 'month-end']}")),
        said(scope, "third",
             pawl_build(scope, "{in: {properties: {ledger_account: {type: 'string'}}}}")),
        said(scope, "fourth",
             pawl_build(scope, "{in: {properties: {mode: {enum: ['squash', 'rebase', 3]}}}}")),
        said(
            scope, "fifth",
            pawl_build(
                scope,
                "{in: {properties: {a: {items: {properties: {zip: {description: 'of the warehouse'}}}}}}}")),
        said(scope, "sixth",
             pawl_build(
                 scope,
                 "{in: {oneOf: [{properties: {b: {title: 'Carrier'}}}, {const: 'pickup'}]}}")),
        said(
            scope, "seventh",
            pawl_build(
                scope,
                "{out: {properties: {tracking: {}}}, in: {title: 'root', description: 'of all'}}")),
    };
    static const struct {
        const char *query;
        size_t index;
    } rows[] = {{"the finance people", 1},
                {"at each month end", 1},
                {"which ledger account?", 2},
                {"rebase it", 3},
                {"our warehouse", 4},
                {"which carriers", 5},
                {"she comes for pickup", 5},
                {"tracking", 6},
                {"root", 7}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(found(docs, 7, rows[i].query), rows[i].index);
    }
    pawl_scope_free(scope);
}

static void a_name_weighs_more_than_a_description_and_that_more_than_a_schema(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    pw_choose_doc docs[] = {
        said(scope, "one", pawl_build(scope, "{in: {properties: {invoice: {}}}}")),
        said(scope, "two", pawl_build(scope, "{}")),
        said(scope, "invoice", pawl_build(scope, "{}"))};
    const pw_choose_query q = {"invoice", 7, NULL};
    const pw_choose c = {.docs = docs, .len = 3, .queries = &q, .queries_len = 1, .k = 3};
    pw_choice list[3];
    (void)state;
    docs[1].text = "Invoice it.";
    docs[1].text_size = 11;
    assert_int_equal(best(&c, list), 3);
    assert_int_equal(list[0].index, 2);
    assert_int_equal(list[1].index, 1);
    assert_int_equal(list[2].index, 0);
    pawl_scope_free(scope);
}

static void a_schema_without_end_is_cut(void **state)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *deep = pawl_build(scope, "{}"), *wide = pawl_build(scope, "{}");
    pw_choose_doc doc = {"x", 1, "", 0, "", 0};
    (void)state;
    for (int i = 0; i < 20; i++) {
        deep = pawl_build(scope, "{properties: {deeper: %p}}", pawl_v(deep));
    }
    for (int i = 0; i < 1000; i++) {
        wide = pawl_with(scope, wide, pw_sprintf(scope, "property_%d", i), pawl_build(scope, "{}"));
    }
    assert_non_null(deep);
    pw_choose_say(scope, &doc, NULL, deep, pawl_build(scope, "{properties: %p}", pawl_v(wide)));
    assert_memory_equal(doc.more, "deeper deeper", 13);
    assert_true(doc.more_size > 3000 && doc.more_size <= 4001);
    pw_choose_say(scope, &doc, pawl_build(scope, "'no list'"), pawl_build(scope, "[1, {}]"), NULL);
    assert_int_equal(doc.more_size, 0);
    pawl_scope_free(scope);
}

/* Seconds of the processor to say a schema: one property of many numbers, and so many others. */
static double cost_of(size_t others)
{
    pawl_scope *scope = pawl_scope_new();
    pw_buf json = PW_BUF_INIT;
    const pawl_value *schema = NULL;
    pawl_error err;
    pw_choose_doc doc = {"x", 1, "", 0, "", 0};
    pw_buf_puts(&json, "{\"properties\":{\"first\":{\"default\":[0");
    for (size_t i = 0; i < 30000; i++) {
        pw_buf_puts(&json, ",0");
    }
    pw_buf_puts(&json, "]}");
    for (size_t i = 0; i < others; i++) {
        pw_buf_printf(&json, ",\"%zx\":{}", i);
    }
    pw_buf_puts(&json, "}}");
    assert_int_equal(pawl_parse_json(scope, (const char *)json.data, json.size, &schema, &err),
                     PAWL_OK);
    const clock_t begun = clock();
    pw_choose_say(scope, &doc, NULL, schema, NULL);
    const double cost = (double)(clock() - begun) / CLOCKS_PER_SEC;
    assert_memory_equal(doc.more, "first", 5);
    assert_int_equal(doc.more_size > 1000, others > 0);
    pw_buf_deinit(&json);
    pawl_scope_free(scope);
    return cost;
}

static void a_large_property_is_not_read_again_for_each_that_follows(void **state)
{
    const double one = cost_of(0), many = cost_of(1000);
    (void)state;
    assert_true(many < 30 * one + 0.1);
}

static void several_queries_and_what_else_speaks_for_a_tool_are_joined(void **state)
{
    static const double extra[LEN] = {[3] = 1};
    const pw_choose_query queries[] = {{"an email", 8, NULL}, {"give the payment back", 21, NULL}};
    pw_choose c = {.docs = tools, .len = LEN, .queries = queries, .queries_len = 2, .k = LEN};
    pw_choice list[LEN];
    (void)state;
    assert_int_equal(best(&c, list), 2);
    assert_int_equal(list[0].index, 1);
    assert_int_equal(list[1].index, 2);
    c.extra = extra;
    assert_int_equal(best(&c, list), 3);
    assert_int_equal(list[0].index, 3);
}

static void nothing_to_choose_from_gives_nothing(void **state)
{
    pw_choice list[1];
    pw_choose_query q;
    pw_choose c = asked(&q, "anything", NULL, PW_CHOOSE_WORDS);
    (void)state;
    c.len = 0;
    assert_int_equal(best(&c, list), 0);
}

static void the_ways_have_names(void **state)
{
    pw_choose_by by = PW_CHOOSE_WORDS;
    (void)state;
    assert_true(pw_choose_by_of("hybrid", &by));
    assert_int_equal(by, PW_CHOOSE_HYBRID);
    assert_string_equal(pw_choose_by_name(PW_CHOOSE_MEANING), "meaning");
    assert_false(pw_choose_by_of("luck", &by));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_lose_case_endings_and_what_says_nothing),
        cmocka_unit_test(a_word_longer_than_any_is_cut_and_not_overrun),
        cmocka_unit_test(by_words_only_what_has_one_of_them_is_chosen_names_first),
        cmocka_unit_test(by_meaning_what_is_too_far_is_not_chosen_and_ties_go_to_the_first),
        cmocka_unit_test(both_lists_count_by_rank_and_the_least_cosine_holds_for_both),
        cmocka_unit_test(a_place_by_words_counts_as_much_as_the_tool_has_of_the_request),
        cmocka_unit_test(a_request_without_a_word_that_says_anything_goes_by_meaning),
        cmocka_unit_test(a_tag_a_parameter_or_one_of_its_values_finds_what_has_it),
        cmocka_unit_test(a_name_weighs_more_than_a_description_and_that_more_than_a_schema),
        cmocka_unit_test(a_schema_without_end_is_cut),
        cmocka_unit_test(a_large_property_is_not_read_again_for_each_that_follows),
        cmocka_unit_test(several_queries_and_what_else_speaks_for_a_tool_are_joined),
        cmocka_unit_test(nothing_to_choose_from_gives_nothing),
        cmocka_unit_test(the_ways_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
