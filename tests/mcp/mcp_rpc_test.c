/*
 * mcp_rpc_test.c - the messages of MCP as text: what is written in each era, and what is made of what comes.
 *
 * Tables. Not here: who sends them, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "activities/mcp_rpc.h"
#include "sdk/base/error.h"

static const pw_mcp_dialect legacy = {PW_MCP_LEGACY, PW_MCP_LEGACY_VERSION, true};
static const pw_mcp_dialect modern = {PW_MCP_MODERN, PW_MCP_MODERN_VERSION, true};
static const pw_mcp_dialect silent = {PW_MCP_MODERN, PW_MCP_MODERN_VERSION, false};

static const pawl_value *json(pawl_scope *scope, const char *text)
{
    const pawl_value *v = NULL;
    pawl_error err;
    if (pawl_parse_json(scope, text, strlen(text), &v, &err) != PAWL_OK) {
        fail_msg("%s: %s", text, err.message);
    }
    return v;
}

/* ---- written ---- */

#define MODERN_META(caps)                                                                                                               \
    "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":{\"name\":\"pawl\",\"version\":" \
    "\"0.1.0\"},\"io.modelcontextprotocol/clientCapabilities\":{" caps                                                                  \
    "\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}"
#define ASKS "\"elicitation\":{\"form\":{}},"

static const struct {
    const char *name;
    const pw_mcp_dialect *dialect;
    const char *params;
    bool progress;
    const char *wanted; /* from "params" on, without the last brace */
} requests[] = {
    {"legacy, nothing", &legacy, "null", false, ""},
    {"legacy, params stay as they are", &legacy, "{\"a\": 1}", false, ",\"params\":{\"a\":1}"},
    {"legacy, progress", &legacy, "null", true, ",\"params\":{\"_meta\":{\"progressToken\":7}}"},
    {"legacy, the caller's meta stays", &legacy, "{\"_meta\": {\"k\": 2}}", true,
     ",\"params\":{\"_meta\":{\"k\":2,\"progressToken\":7}}"},
    {"modern, always meta", &modern, "null", false,
     ",\"params\":{\"_meta\":{" MODERN_META(ASKS) "}}"},
    {"modern, progress", &modern, "{\"a\": 1}", true,
     ",\"params\":{\"a\":1,\"_meta\":{\"progressToken\":7," MODERN_META(ASKS) "}}"},
    {"modern, nobody to ask", &silent, "null", false,
     ",\"params\":{\"_meta\":{" MODERN_META("") "}}"},
};

static void a_request_says_what_its_era_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(requests); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_buf out = PW_BUF_INIT;
        pw_buf wanted = PW_BUF_INIT;
        const pw_mcp_request rq = {.id = 7,
                                   .method = "tools/list",
                                   .params = json(scope, requests[i].params),
                                   .progress = requests[i].progress};
        pw_mcp_write_request(&out, requests[i].dialect, &rq);
        pw_buf_printf(&wanted, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\"%s}",
                      requests[i].wanted);
        if (strcmp(pw_buf_cstr(&out), pw_buf_cstr(&wanted)) != 0) {
            fail_msg("%s:\n%s\n%s", requests[i].name, pw_buf_cstr(&out), pw_buf_cstr(&wanted));
        }
        pw_buf_deinit(&out);
        pw_buf_deinit(&wanted);
        pawl_scope_free(scope);
    }
}

static void a_notification_and_answers_are_one_line_each(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    pw_buf out = PW_BUF_INIT;
    pw_mcp_write_notification(&out, &modern, "notifications/cancelled",
                              json(scope, "{\"requestId\": 3, \"reason\": \"a\\nb\"}"));
    assert_string_equal(
        pw_buf_cstr(&out),
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3,\"reason\":\"a\\nb\"}}");
    pw_buf_reset(&out);
    pw_mcp_write_result(&out, json(scope, "\"x-1\""), NULL);
    assert_string_equal(pw_buf_cstr(&out), "{\"jsonrpc\":\"2.0\",\"id\":\"x-1\",\"result\":{}}");
    pw_buf_reset(&out);
    pw_mcp_write_error(&out, json(scope, "4"), PW_MCP_METHOD_NOT_FOUND, "no \"that\"");
    assert_string_equal(
        pw_buf_cstr(&out),
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"error\":{\"code\":-32601,\"message\":\"no \\\"that\\\"\"}}");
    pw_buf_deinit(&out);
    pawl_scope_free(scope);
}

static void initialize_says_who_we_are(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = pw_mcp_initialize(scope, &legacy);
    assert_true(pawl_is(v, "protocolVersion", "2025-11-25"));
    assert_true(pawl_is(v, "clientInfo.name", "pawl"));
    assert_int_equal(pawl_typeof(pawl_get(v, "capabilities.elicitation")), PAWL_MAP);
    assert_null(pawl_get(v, "capabilities.extensions"));
    pawl_scope_free(scope);
}

/* ---- read ---- */

static const struct {
    const char *text;
    pw_mcp_kind kind; /* BAD: refused */
    int64_t id;
    const char *method;
    int64_t code;
} messages[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", PW_MCP_RESULT, 1, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}", PW_MCP_RESULT, -1, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}",
     PW_MCP_ERROR, -1, NULL, -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":5}}", PW_MCP_ERROR, 2, NULL, 5},
    {"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}", PW_MCP_REQUEST, -1, "ping", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"ping\",\"params\":{}}", PW_MCP_REQUEST, -1,
     "ping", 0},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}",
     PW_MCP_NOTIFICATION, -1, "notifications/progress", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"message\":\"m\"}}", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":5}", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1}", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"method\":5}", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":{}}", PW_MCP_BAD, 0, NULL, 0},
    {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]", PW_MCP_BAD, 0, NULL, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}", PW_MCP_BAD, 0, NULL, 0},
    {"null", PW_MCP_BAD, 0, NULL, 0},
    {"", PW_MCP_BAD, 0, NULL, 0},
};

static void a_message_is_what_its_members_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(messages); i++) {
        pawl_scope *scope = pawl_scope_new();
        pw_mcp_message m = {.kind = PW_MCP_BAD};
        pawl_error err;
        const pawl_status status =
            pw_mcp_read(scope, messages[i].text, strlen(messages[i].text), &m, &err);
        if ((status == PAWL_OK) != (messages[i].kind != PW_MCP_BAD) || m.kind != messages[i].kind) {
            fail_msg("%s: %s, kind %d, not %d", messages[i].text, pawl_status_name(status),
                     (int)m.kind, (int)messages[i].kind);
        }
        if (m.kind != PW_MCP_BAD) {
            assert_int_equal(m.id, messages[i].id);
            assert_int_equal(m.code, messages[i].code);
            assert_true(messages[i].method == NULL ? m.method == NULL
                                                   : strcmp(m.method, messages[i].method) == 0);
        }
        pawl_scope_free(scope);
    }
}

static const struct {
    pw_mcp_era era;
    const char *result;
    pw_mcp_result_kind kind;
} results[] = {
    {PW_MCP_MODERN, "{\"content\": []}", PW_MCP_COMPLETE},
    {PW_MCP_MODERN, "{\"resultType\": \"complete\"}", PW_MCP_COMPLETE},
    {PW_MCP_MODERN, "{\"resultType\": \"input_required\", \"inputRequests\": {}}",
     PW_MCP_INPUT_REQUIRED},
    {PW_MCP_MODERN, "{\"resultType\": \"input_required\", \"requestState\": \"s\"}",
     PW_MCP_INPUT_REQUIRED},
    {PW_MCP_MODERN, "{\"resultType\": \"input_required\"}", PW_MCP_STRANGE},
    {PW_MCP_MODERN, "{\"resultType\": \"task\", \"taskId\": \"t\"}", PW_MCP_TASK},
    {PW_MCP_MODERN, "{\"resultType\": \"task\"}", PW_MCP_STRANGE},
    {PW_MCP_MODERN, "{\"resultType\": \"later\"}", PW_MCP_STRANGE},
    {PW_MCP_MODERN, "{\"task\": {\"taskId\": \"t\"}}", PW_MCP_COMPLETE},
    {PW_MCP_LEGACY, "{\"task\": {\"taskId\": \"t\"}}", PW_MCP_TASK},
    {PW_MCP_LEGACY, "{\"resultType\": \"task\", \"taskId\": \"t\"}", PW_MCP_COMPLETE},
};

static void a_result_says_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < PW_COUNT(results); i++) {
        pawl_scope *scope = pawl_scope_new();
        const pw_mcp_result_kind kind =
            pw_mcp_result_kind_of(results[i].era, json(scope, results[i].result));
        if (kind != results[i].kind) {
            fail_msg("%s %s: %d, not %d", pw_mcp_era_name(results[i].era), results[i].result,
                     (int)kind, (int)results[i].kind);
        }
        pawl_scope_free(scope);
    }
}

static void a_code_has_a_type_and_says_whether_anything_happened(void **state)
{
    (void)state;
    assert_string_equal(pw_mcp_code_type(-32602), "BadParams");
    assert_true(pw_mcp_code_refused(-32602));
    assert_string_equal(pw_mcp_code_type(-32603), "ServerError");
    assert_false(pw_mcp_code_refused(-32603));
    assert_string_equal(pw_mcp_code_type(17), "ServerError");
    assert_false(pw_mcp_code_refused(17));
}

static void a_version_has_an_era_if_we_speak_it(void **state)
{
    (void)state;
    assert_int_equal(pw_mcp_version_era("2026-07-28"), PW_MCP_MODERN);
    assert_int_equal(pw_mcp_version_era("2025-06-18"), PW_MCP_LEGACY);
    assert_int_equal(pw_mcp_version_era("2027-01-01"), PW_MCP_UNKNOWN_ERA);
}

static void keys_with_dots_are_found(void **state)
{
    (void)state;
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *v = json(scope, "{\"io.x/y\": 5, \"a\": {\"b\": 6}}");
    assert_int_equal(pawl_int(pw_mcp_key(v, "io.x/y"), "", 0), 5);
    assert_null(pw_mcp_key(v, "a.b"));
    assert_null(pw_mcp_key(NULL, "a"));
    pawl_scope_free(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_what_its_era_wants),
        cmocka_unit_test(a_notification_and_answers_are_one_line_each),
        cmocka_unit_test(initialize_says_who_we_are),
        cmocka_unit_test(a_message_is_what_its_members_say),
        cmocka_unit_test(a_result_says_what_it_is),
        cmocka_unit_test(a_code_has_a_type_and_says_whether_anything_happened),
        cmocka_unit_test(a_version_has_an_era_if_we_speak_it),
        cmocka_unit_test(keys_with_dots_are_found),
    };
    return cmocka_run_group_tests_name("mcp_rpc", tests, NULL, NULL);
}
