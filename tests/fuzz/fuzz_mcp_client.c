/*
 * fuzz_mcp_client.c - libFuzzer target: messages that a foreign MCP server sends to the activity `mcp`: their kind, their tools, the headers that a
 * tool wants repeated, the forms it asks to be filled in. Does not talk to anybody.
 */
#include "fuzz.h"

#include <string.h>

#include "activities/mcp_rpc.h"
#include "activities/mcp_tool.h"
#include "sdk/base/error.h"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\","
        "\"x-mcp-header\":\"A\"},\"b\":{\"type\":\"object\","
        "\"properties\":{\"c\":{\"type\":\"integer\",\"x-mcp-header\":\"C\"}}}}}}],\"resultType\":\"complete\"}}"),
    SEED(
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32022,\"message\":\"m\",\"data\":{\"supported\":[\"2026-07-28\"]}}}"),
    SEED(
        "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"elicitation/create\",\"params\":{\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"x\":"
        "{\"type\":\"string\",\"default\":\"d\"}},\"required\":[\"x\"]}}}"),
    SEED(
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":0.5}}"),
    SEED(
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"resultType\":\"task\",\"taskId\":\"t\",\"status\":\"working\"}}"),
    {NULL, 0},
};

static void use_tools(pawl_scope *scope, const pawl_value *result)
{
    const pawl_value *tools = pw_mcp_tools_fit(scope, pawl_get(result, "tools"));
    const pawl_value *arguments = pawl_build(scope, "{a: %s, b: {c: %d}}", "\xc3\xa4\n", 7);
    for (size_t i = 0; i < pawl_len(tools); i++) {
        const pawl_value *tool = pawl_at(tools, i);
        pw_http_header *headers = NULL;
        size_t len = 0;
        (void)pw_mcp_tool_repeatable(tool);
        PW_CHECK(pw_mcp_tool_headers(scope, tool, arguments, &headers, &len));
        PW_CHECK(len <= PW_MCP_HEADERS_MAX);
        for (size_t k = 0; k < len; k++) {
            PW_CHECK(strpbrk(headers[k].name, "\r\n") == NULL &&
                     strpbrk(headers[k].value, "\r\n") == NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pawl_scope *scope = pawl_scope_new();
    pw_mcp_message m;
    pawl_error err;
    pw_buf header = PW_BUF_INIT;
    PW_CHECK(scope != NULL);
    if (pw_mcp_read(scope, (const char *)data, size, &m, &err) == PAWL_OK) {
        (void)pw_mcp_result_kind_of(PW_MCP_MODERN, m.result);
        (void)pw_mcp_result_kind_of(PW_MCP_LEGACY, m.result);
        (void)pw_mcp_code_type(m.code);
        PW_CHECK(pawl_typeof(pw_mcp_defaults(scope, m.params)) == PAWL_MAP);
        use_tools(scope, m.result);
    } else {
        PW_CHECK(err.message[0] != '\0');
    }
    pw_mcp_header_put(&header, (const char *)data, size);
    PW_CHECK(memchr(header.data != NULL ? (const char *)header.data : "", '\n', header.size) ==
             NULL);
    pw_buf_deinit(&header);
    pawl_scope_free(scope);
    return 0;
}
