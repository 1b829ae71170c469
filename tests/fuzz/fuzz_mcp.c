/*
 * fuzz_mcp.c - libFuzzer target: messages that an MCP client sends, with their headers or without, in any era, and the engine's answers to what
 * follows. Whatever they are, each is answered at most once, with JSON-RPC on one line, and what must have an answer has one. No socket, no
 * engine; libmicrohttpd's own parsing of HTTP is not ours.
 *
 *   input   a byte: 1 = with headers, 2 = then a second message; then "Name: value" lines and an empty line, if with headers; then the message, up to
 *           a byte 0xfe; then the second; then bytes that choose among the engine's answers
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "fuzz_mcp.h"

#define HEADERS_MAX 16
#define MODERN(caps, rest)                                                                                                        \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{" caps \
    "}" rest "}"
#define TASKS "\"elicitation\":{},\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}"
#define HTTP(method, name) \
    "\x01MCP-Protocol-Version: 2026-07-28\nMcp-Method: " method "\nMcp-Name: " name "\n\n"
#define CALL(id, tool, caps, rest)                                                              \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool \
    "\",\"arguments\":{\"name\":\"a\"}," MODERN(caps, rest) "}}"
#define HELLO                                                                                                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"elicitation\":{}}," \
    "\"clientInfo\":{\"name\":\"f\",\"version\":\"1\"}}}"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED("\x02" HELLO "\xfe{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}"),
    SEED(
        "\x02" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"ask\",\"arguments\":{},\"task\":{\"ttl\":5}}}"),
    SEED(
        "\x02" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"id\":\"q:3\",\"result\":{\"action\":\"accept\",\"content\":{\"choice\":\"yes\"}}}"),
    SEED(
        "\x02" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"resources/subscribe\",\"params\":{\"uri\":\"t://a/x/b\"}}"),
    SEED(
        "\x02" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tasks/get\",\"params\":{\"taskId\":\"r\"}}"),
    SEED("\x02" CALL(
        "1", "greet", "",
        ",\"progressToken\":1,\"dev.pawl/idempotency-key\":\"k\"") "\xfe" CALL("2", "ask", TASKS,
                                                                               "")),
    SEED("\x00" CALL(
        "\"x\"", "ask", "\"elicitation\":{}",
        ",\"io.modelcontextprotocol/logLevel\":\"debug\"") "\xfe\x00\x01\x02\x03\x04\x05"),
    SEED(
        "\x01MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/call\nMcp-Name: =?base64?Z3JlZXQ=?=\nMcp-Param-Name: a\n\n" CALL(
            "1", "greet", "", "")),
    SEED(
        "\x03MCP-Protocol-Version: 2025-11-25\nMcp-Session-Id: @\n\n" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":"
        "{\"name\":\"greet\",\"arguments\":{},\"_meta\":{\"progressToken\":\"p\"}}}\xfe\x00\x03\x00"),
    SEED(
        "\x03Mcp-Session-Id: @\n\n" HELLO
        "\xfe{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}"),
    SEED(
        HTTP("resources/read", "t://a/x/b") "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"t://a/x/b\"," MODERN(
            "", "") "}}"),
    SEED(HTTP(
        "tasks/update",
        "r") "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tasks/update\",\"params\":{\"taskId\":\"r\",\"inputResponses\":{\"n.3\":"
             "{\"action\":\"accept\",\"content\":{\"choice\":\"yes\"}}}," MODERN(
                 TASKS, "") "}}\xfe\xfe\x00\x00"),
    SEED(
        "\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{\"notifications\":{\"toolsListChanged\":true,"
        "\"resourceSubscriptions\":"
        "[\"t://r\"],\"taskIds\":[\"r\"]}," MODERN(TASKS, "") "}}"),
    SEED(
        "\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/resource\",\"uri\":\"pawl://runs/{id}\"},"
        "\"argument\":{\"name\":\"id\",\"value\":\"r\"}," MODERN("", "") "}}"),
    SEED(
        "\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":\"pawl://runs/r/history\"," MODERN(
            "", "") "}}"),
    SEED("\x00" CALL("1", "pawl_search", "", "") "\xfe"),
    SEED(
        "\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"prompts/get\",\"params\":{\"name\":\"ask\",\"arguments\":{\"p\":\"x\"},\"requestState\":\"AAAA\","
        "\"inputResponses\":{\"n\":{}}," MODERN("", "") "}}"),
    SEED("\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" MODERN(
        "", "") "}}"),
    {NULL, 0},
};

typedef struct peer {
    char names[HEADERS_MAX][64];
    char values[HEADERS_MAX][512];
    size_t len;
    bool headers;
    const pawl_value *id; /* of the message under way */
    int ended;
    char session[256]; /* of the one that began */
} peer;

static const char *header(void *user, const char *name)
{
    const peer *p = user;
    for (size_t i = 0; i < p->len; i++) {
        if (strcasecmp(p->names[i], name) == 0) {
            return strcmp(p->values[i], "@") == 0 ? p->session : p->values[i];
        }
    }
    return NULL;
}

static void check_line(const char *text, size_t size)
{
    pw_mcpd_message m;
    pawl_scope *scope = pawl_scope_new();
    PW_CHECK(scope != NULL);
    pw_mcpd_read(scope, text, size, &m);
    PW_CHECK(m.kind != PW_MCPD_NOT_JSON && memchr(text, '\n', size) == NULL);
    PW_CHECK(m.kind != PW_MCPD_NOT_RPC || memmem(text, size, "\"id\":null", 9) != NULL);
    pawl_scope_free(scope);
}

static void on_message(void *user, const char *event_id, const char *text, size_t size)
{
    const peer *p = user;
    PW_CHECK(p->ended == 0 && (event_id == NULL || event_id[0] != '\0'));
    if (size > 0) {
        check_line(text, size);
    }
}

static void on_end(void *user, int status, const char *text, size_t size)
{
    peer *p = user;
    PW_CHECK(p->ended++ == 0 && status >= 200 && status < 600);
    if (text != NULL && size > 0) {
        check_line(text, size);
    }
}

/* "Name: value" lines up to an empty one; what is behind them. */
static const uint8_t *read_headers(peer *p, const uint8_t *data, const uint8_t *end)
{
    while (data < end && *data != '\n') {
        const uint8_t *stop = memchr(data, '\n', (size_t)(end - data));
        stop = stop != NULL ? stop : end;
        const uint8_t *colon = memchr(data, ':', (size_t)(stop - data));
        if (colon != NULL && p->len < HEADERS_MAX) {
            const size_t name = (size_t)(colon - data);
            const uint8_t *value = colon + 1 + (colon + 1 < stop && colon[1] == ' ');
            const size_t size = (size_t)(stop - value);
            if (name < sizeof p->names[0] && size < sizeof p->values[0]) {
                memcpy(p->names[p->len], data, name);
                memcpy(p->values[p->len], value, size);
                p->names[p->len][name] = p->values[p->len][size] = '\0';
                p->len++;
            }
        }
        data = stop < end ? stop + 1 : end;
    }
    return data < end ? data + 1 : end;
}

/* The next part: up to the byte 0xfe, which no UTF-8 has. */
static pw_view part(const uint8_t **data, const uint8_t *end)
{
    const uint8_t *stop = memchr(*data, 0xfe, (size_t)(end - *data));
    const pw_view v = {*data, (size_t)((stop != NULL ? stop : end) - *data)};
    *data = stop != NULL ? stop + 1 : end;
    return v;
}

static void take(fuzz_mcp *f, peer *p, pw_view text, pw_mcpd_session **hosted)
{
    static const pw_mcpd_sink sink = {.message = on_message, .end = on_end};
    const pw_mcpd_given given = {.text = (const char *)text.data,
                                 .size = text.size,
                                 .header = p->headers ? header : NULL,
                                 .sink = &sink,
                                 .user = p,
                                 .principal = "",
                                 .hosted = p->headers ? NULL : hosted};
    pw_mcpd_x *x = NULL;
    p->ended = 0;
    pw_mcpd_take(f->server, &given, &x);
    fuzz_mcp_answer();
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    fuzz_mcp_answer();
    PW_CHECK((x == NULL) == (p->ended == 1)); /* over, or under way */
    if (p->headers && f->server->sessions != NULL) {
        (void)memcpy(p->session, f->server->sessions->id, sizeof f->server->sessions->id);
    }
    if (x != NULL) {
        pw_mcpd_drop(x);
        PW_CHECK(x == NULL || p->ended == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    const uint8_t flags = size > 0 ? *data++ : 0;
    static peer empty;
    peer p = empty;
    fuzz_mcp f;
    pw_mcpd_session *session = NULL;
    p.headers = (flags & 1) != 0;
    data = p.headers ? read_headers(&p, data, end) : data;
    const pw_view first = part(&data, end);
    const pw_view second = (flags & 2) != 0 ? part(&data, end) : (pw_view){NULL, 0};
    fuzz_mcp_open(&f, data, (size_t)(end - data));
    take(&f, &p, first, &session);
    if ((flags & 2) != 0) {
        take(&f, &p, second, &session);
    }
    fuzz_mcp_close(&f);
    return 0;
}
