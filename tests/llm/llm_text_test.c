/*
 * llm_text_test.c - JSON out of what a model wrote, the message that asks for a better one, and what a usage costs.
 * Does not ask anybody.
 */
#include "llm_rig.h"

#include "sdk/base/limits.h"
#include "sdk/base/value.h"

typedef struct extract_case {
    const char *text;
    const char *value; /* NULL = none */
    pw_llm_found how;
} extract_case;

static void json_is_found_in_what_a_model_wrote(void **state)
{
    (void)state;
    static const extract_case cases[] = {
        {"{'a':1}", "{'a':1}", PW_LLM_WHOLE},
        {"  [1]\n", "[1]", PW_LLM_WHOLE},
        {"Sure!\n```json\n{'a':1}\n```\nDone.", "{'a':1}", PW_LLM_FENCED},
        {"```\nnot\n```\n```\n[2]\n```", "[2]", PW_LLM_FENCED},
        {"The answer is {'a':{'b':'}'}} as you see.", "{'a':{'b':'}'}}", PW_LLM_INSIDE},
        {"<think>{'a':0}</think>{'a':1}", "{'a':1}", PW_LLM_INSIDE},
        {"{'a':1,'b':[1,2,],}", "{'a':1,'b':[1,2]}", PW_LLM_REPAIRED},
        {"{a: True, b: None} // so", "{'a':true,'b':null}", PW_LLM_REPAIRED},
        {"{'a':{'b':1", NULL, PW_LLM_WHOLE},
        {"no JSON here", NULL, PW_LLM_WHOLE},
        {"", NULL, PW_LLM_WHOLE},
    };
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        pawl_scope *scope = pawl_scope_new();
        const char *text = llm_text(scope, cases[i].text);
        const pawl_value *v = NULL;
        pw_llm_found how = PW_LLM_WHOLE;
        pawl_error err = {0};
        const pawl_status st =
            pw_llm_extract(scope, (pw_view){(const uint8_t *)text, strlen(text)}, &v, &how, &err);
        if (st != (cases[i].value != NULL ? PAWL_OK : PAWL_NOTFOUND)) {
            fail_msg("%s: %d %s", text, (int)st, err.message);
        }
        if (cases[i].value != NULL) {
            llm_same(text, v, llm_json(scope, cases[i].value));
            assert_int_equal(how, cases[i].how);
        }
        pawl_scope_free(scope);
    }
}

static void a_repair_message_stays_within_its_bound(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    static char longest[100000];
    const char *problems[200];
    memset(longest, 'x', sizeof longest - 1);
    for (size_t i = 0; i < PW_COUNT(problems); i++) {
        problems[i] = longest;
    }
    const pw_llm_repair repair = {.attempt = 1,
                                  .problems = problems,
                                  .problems_len = PW_COUNT(problems),
                                  .answer = {(const uint8_t *)longest, sizeof longest - 1}};
    const pawl_value *m = pw_llm_repair_message(scope, &repair);
    const char *text = pawl_str(pawl_at(pawl_get(m, "parts"), 0), "text", NULL);
    assert_non_null(text);
    assert_true(strlen(text) <= PW_LLM_REPAIR_BYTES_MAX);
    assert_non_null(strstr(text, "more\n"));
    assert_null(pw_llm_repair_message(scope, &(pw_llm_repair){.attempt = PW_LLM_REPAIRS_MAX + 1}));
    pawl_scope_free(scope);
}

static void a_usage_costs_what_the_table_says_to_the_nano_dollar(void **state)
{
    (void)state;
    static const struct {
        const char *provider, *model, *usage;
        int64_t nano;
    } cases[] = {
        {"openai-chat", "big-1", "{'input':1000,'output':100}", 1000 * 2000 + 100 * 10000},
        {"openai-chat", "big-1",
         "{'input':1000,'cache_read':400,'cache_write':100,'output':100,'reasoning':50}",
         600 * 2000 + 400 * 200 + 100 * 10000},
        {"openai-chat", "big-1", "{'input':300000,'output':0}", (int64_t)300000 * 4000},
        {"anthropic", "small", "{'input':10,'cache_write':8,'cache_write_1h':4,'output':1}",
         2 * 1000 + 4 * 1250 + 4 * 2000 + 5000},
        {"x", "tiny", "{'input':1,'output':0}", 1},
    };
    const char *table =
        "{'currency':'USD','prices':[{'model':'big*','above_input':200000,'input':4,'output':20},"
        "{'model':'big*','input':2,'cache_read':0.2,'output':10},"
        "{'model':'small','provider':'anth*','input':1,'cache_write':1.25,'cache_write_1h':2,'output':5},"
        "{'model':'tiny','input':0.0000010,'output':0}]}";
    pawl_scope *scope = pawl_scope_new();
    const char *text = llm_text(scope, table);
    const pawl_value *prices = NULL;
    pawl_error err = {0};
    assert_int_equal(pw_llm_prices_read(scope, text, strlen(text), &prices, &err), PAWL_OK);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        int64_t nano = -1;
        assert_int_equal(pw_llm_cost(prices, cases[i].provider, cases[i].model,
                                     llm_json(scope, cases[i].usage), 0, &nano),
                         PAWL_OK);
        assert_int_equal(nano, cases[i].nano);
    }
    int64_t nano = -1;
    assert_int_equal(pw_llm_cost(prices, "x", "small", llm_json(scope, "{'input':1}"), 0, &nano),
                     PAWL_NOTFOUND);
    assert_int_equal(
        pw_llm_cost(prices, "x", "big", llm_json(scope, "{'input':9000000000000000000}"), 0, &nano),
        PAWL_OK);
    assert_int_equal(nano, INT64_MAX);
    pawl_scope_free(scope);
}

static void a_price_counts_from_its_day_on(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const char *text =
        llm_text(scope, "{'prices':[{'model':'m','from':'2026-02-01','input':2,'output':2},"
                        "{'model':'m','from':'2026-01-01','input':1,'output':1}]}");
    static const struct {
        int64_t at_ms;
        pawl_status status;
        int64_t nano;
    } cases[] = {{1767225599000, PAWL_NOTFOUND, -1}, /* a second before 2026 */
                 {1767225600000, PAWL_OK, 1000},
                 {1769903999000, PAWL_OK, 1000},
                 {1769904000000, PAWL_OK, 2000}};
    const pawl_value *prices = NULL;
    pawl_error err = {0};
    assert_int_equal(pw_llm_prices_read(scope, text, strlen(text), &prices, &err), PAWL_OK);
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        int64_t nano = -1;
        assert_int_equal(
            pw_llm_cost(prices, "x", "m", llm_json(scope, "{'input':1}"), cases[i].at_ms, &nano),
            cases[i].status);
        assert_int_equal(nano, cases[i].nano);
    }
    pawl_scope_free(scope);
}

static void a_price_table_that_is_wrong_says_where(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{'prices':{}}",
        "{'currency':'EUR','prices':[]}",
        "{'prices':[{'input':1,'output':1}]}",
        "{'prices':[{'model':'m','input':1}]}",
        "{'prices':[{'model':'m','input':-1,'output':1}]}",
        "{'prices':[{'model':'m','from':'soon','input':1,'output':1}]}",
        "{'prices':[{'model':'m','input':1e9,'output':1}]}"};
    pawl_scope *scope = pawl_scope_new();
    for (size_t i = 0; i < PW_COUNT(wrong); i++) {
        const char *text = llm_text(scope, wrong[i]);
        const pawl_value *prices = NULL;
        pawl_error err = {0};
        assert_int_equal(pw_llm_prices_read(scope, text, strlen(text), &prices, &err),
                         PAWL_INVALID);
        assert_non_null(strstr(err.message, "prices"));
    }
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_found_in_what_a_model_wrote),
        cmocka_unit_test(a_repair_message_stays_within_its_bound),
        cmocka_unit_test(a_usage_costs_what_the_table_says_to_the_nano_dollar),
        cmocka_unit_test(a_price_counts_from_its_day_on),
        cmocka_unit_test(a_price_table_that_is_wrong_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
