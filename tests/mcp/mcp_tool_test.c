/*
 * mcp_tool_test.c - tools as a client sees them: which may be used, which arguments become headers, what may be repeated, what a form's
 * defaults answer.
 *
 * Not here: that the headers are sent, and that nothing is sent twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/mcp_tool.h"
#include "sdk/base/error.h"

static const pawl_value *json(pawl_scope *scope, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    if (pawl_parse_json(scope, text, strlen(text), &v, &err) != PAWL_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

#define P(properties) \
    "{\"name\": \"t\", \"inputSchema\": {\"type\": \"object\", \"properties\": {" properties "}}}"
#define H(name) "\"x-mcp-header\": " name

static const struct {
    const char *tool;
    bool fit;
} tools[] = {
    {P(""), true},
    {P("\"a\": {\"type\": \"string\", " H("\"Region\"") "}"), true},
    {P("\"a\": {\"type\": \"object\", \"properties\": {\"b\": {\"type\": \"integer\", " H(
         "\"N\"") "}}}"),
     true},
    {P("\"a\": {\"type\": \"boolean\", " H("\"X\"") "}, \"b\": {\"type\": \"string\", " H(
         "\"Y\"") "}"),
     true},
    {P("\"a\": {\"type\": \"string\", " H("\"\"") "}"), false},
    {P("\"a\": {\"type\": \"string\", " H("5") "}"), false},
    {P("\"a\": {\"type\": \"number\", " H("\"N\"") "}"), false},
    {P("\"a\": {\"type\": \"object\", " H("\"N\"") "}"), false},
    {P("\"a\": {\"type\": \"null\", " H("\"N\"") "}"), false},
    {P("\"a\": {" H("\"N\"") "}"), false},
    {P("\"a\": {\"type\": \"string\", " H("\"A\"") "}, \"b\": {\"type\": \"string\", " H(
         "\"a\"") "}"),
     false},
    {P("\"a\": {\"type\": \"string\", " H("\"My Region\"") "}"), false},
    {P("\"a\": {\"type\": \"string\", " H("\"A:B\"") "}"), false},
    {P("\"a\": {\"type\": \"string\", " H("\"R\xc3\xa9gion\"") "}"), false},
    {P("\"a\": {\"type\": \"string\", " H("\"R\\t1\"") "}"), false},
    {P("\"a\": {\"type\": \"array\", \"items\": {\"type\": \"string\", " H("\"A\"") "}}"), false},
    {"{\"name\": \"t\"}", false},
    {"{\"inputSchema\": {}}", false},
    {"{\"name\": \"\", \"inputSchema\": {}}", false},
};

static void a_tool_with_a_wrong_header_is_not_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(tools); i++) {
        pawl_scope *scope = pawl_scope_new();
        pawl_error err = {0};
        const pawl_status status = pw_mcp_tool_check(json(scope, tools[i].tool), &err);
        if ((status == PAWL_OK) != tools[i].fit) {
            fail_msg("%s: %s %s", tools[i].tool, pawl_status_name(status),
                     status != PAWL_OK ? err.message : "");
        }
        pawl_scope_free(scope);
    }
}

static void a_bad_tool_does_not_hide_the_good_ones(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *all = json(
        scope,
        "[{\"name\": \"a\", \"inputSchema\": {}}, {\"name\": \"b\"}, 5, {\"name\": \"c\", \"inputSchema\": {}}]");
    const pawl_value *fit = pw_mcp_tools_fit(scope, all);
    assert_int_equal(pawl_len(fit), 2);
    assert_non_null(pw_mcp_tool_find(fit, "c"));
    assert_null(pw_mcp_tool_find(fit, "b"));
    assert_int_equal(pawl_len(pw_mcp_tools_fit(scope, NULL)), 0);
    pawl_scope_free(scope);
}

static const struct {
    const char *argument;
    const char *header; /* NULL = none */
} values[] = {
    {"\"us-west1\"", "us-west1"},
    {"\"us west 1\"", "us west 1"},
    {"\"\"", ""},
    {"\" padded \"", "=?base64?IHBhZGRlZCA=?="},
    {"\"Hello, \xe4\xb8\x96\xe7\x95\x8c\"", "=?base64?SGVsbG8sIOS4lueVjA==?="},
    {"\"line1\\nline2\"", "=?base64?bGluZTEKbGluZTI=?="},
    {"\"\\tx\"", "=?base64?CXg=?="},
    {"\"=?base64?eA==?=\"", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="},
    {"42", "42"},
    {"-9007199254740993", "-9007199254740993"},
    {"false", "false"},
    {"null", NULL},
    {"[1]", NULL},
};

static void an_argument_becomes_a_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(values); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_http_header *headers = NULL;
        size_t len = 9;
        const pawl_value *tool = json(
            scope,
            P("\"a\": {\"type\": \"object\", \"properties\": {\"b.c\": {\"type\": \"string\", " H(
                "\"N\"") "}}}"));
        const pawl_value *arguments =
            pawl_build(scope, "{a: {\"b.c\": %p}}", pawl_v(json(scope, values[i].argument)));
        assert_true(pw_mcp_tool_headers(scope, tool, arguments, &headers, &len));
        assert_int_equal(len, values[i].header != NULL);
        if (len == 1) {
            assert_string_equal(headers[0].name, "Mcp-Param-N");
            assert_string_equal(headers[0].value, values[i].header);
        }
        pawl_scope_free(scope);
    }
}

static void only_what_says_so_is_repeated(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    assert_true(pw_mcp_tool_repeatable(json(scope, "{\"annotations\": {\"readOnlyHint\": true}}")));
    assert_true(pw_mcp_tool_repeatable(
        json(scope, "{\"annotations\": {\"idempotentHint\": true, \"readOnlyHint\": false}}")));
    assert_false(
        pw_mcp_tool_repeatable(json(scope, "{\"annotations\": {\"destructiveHint\": false}}")));
    assert_false(
        pw_mcp_tool_repeatable(json(scope, "{\"annotations\": {\"readOnlyHint\": \"true\"}}")));
    assert_false(pw_mcp_tool_repeatable(json(scope, "{}")));
    assert_false(pw_mcp_tool_repeatable(NULL));
    pawl_scope_free(scope);
}

static const struct {
    const char *params;
    const char *answer;
} forms[] = {
    {"{\"requestedSchema\": {\"properties\": {\"a\": {\"type\": \"string\", \"default\": \"x\"}, \"b\": {\"type\": \"boolean\", \"default\": false}}}}",
     "{\"action\": \"accept\", \"content\": {\"a\": \"x\", \"b\": false}}"},
    {"{\"mode\": \"form\", \"requestedSchema\": {\"properties\": {\"a\": {\"type\": \"string\"}}}}",
     "{\"action\": \"accept\", \"content\": {}}"},
    {"{\"requestedSchema\": {\"properties\": {\"a\": {\"type\": \"string\"}}, \"required\": [\"a\"]}}",
     "{\"action\": \"decline\"}"},
    {"{\"mode\": \"url\", \"url\": \"https://x\"}", "{\"action\": \"decline\"}"},
    {"{}", "{\"action\": \"decline\"}"},
};

static void defaults_answer_a_form_or_decline(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(forms); i++) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *answer = pw_mcp_defaults(scope, json(scope, forms[i].params));
        if (!pawl_equal(answer, json(scope, forms[i].answer))) {
            fail_msg("%s: %s", forms[i].params, pawl_to_json(scope, answer, 0));
        }
        pawl_scope_free(scope);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tool_with_a_wrong_header_is_not_used),
        cmocka_unit_test(a_bad_tool_does_not_hide_the_good_ones),
        cmocka_unit_test(an_argument_becomes_a_header),
        cmocka_unit_test(only_what_says_so_is_repeated),
        cmocka_unit_test(defaults_answer_a_form_or_decline),
    };
    return cmocka_run_group_tests_name("mcp_tool", tests, NULL, NULL);
}
