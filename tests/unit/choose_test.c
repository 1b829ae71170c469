/*
 * choose_test.c - texts cut into words, ranked by words, by given cosines, and by both. Does not ask whether the list is a good one
 * (tests/embed/tools_found_test.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/choose.h"
#include "sdk/base/arena.h"

#define TOOL(name, text)                               \
    {                                                  \
        name, sizeof(name) - 1, text, sizeof(text) - 1 \
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
        cmocka_unit_test(several_queries_and_what_else_speaks_for_a_tool_are_joined),
        cmocka_unit_test(nothing_to_choose_from_gives_nothing),
        cmocka_unit_test(the_ways_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
