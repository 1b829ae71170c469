/*
 * fuzz_llm.c - libFuzzer target: whatever a model's provider sends, whole or as a stream, and however that is cut, is an answer, a failure with
 * a name, or no memory; an answer can be sent back, to whom it came from and to anybody else, as JSON. The first byte picks the wire and what
 * is done. Does not know of HTTP.
 */
#include "fuzz.h"

#include <string.h>

#include "activities/llm.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/json.h"
#include "sdk/base/value.h"

#define WIRES 6

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED(
        "\x00"
        "{\"choices\":[{\"message\":{\"content\":\"x\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{a:1,}\"}}]},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}"),
    SEED(
        "\x06"
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\",\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"),
    SEED(
        "\x02"
        "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\"},{\"type\":\"refusal\"}]},"
        "{\"type\":\"reasoning\",\"summary\":[{\"text\":\"h\"}],\"encrypted_content\":\"e\"}]}"),
    SEED(
        "\x08"
        "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"arguments\":\"{}\"}}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n"),
    SEED(
        "\x03"
        "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"s\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
        "\"input\":{}}],\"stop_reason\":\"tool_use\"}"),
    SEED(
        "\x09"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n"
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n"),
    SEED(
        "\x04"
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\",\"thought\":true},{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]},"
        "\"finishReason\":\"STOP\"}]}"),
    SEED(
        "\x0a"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}]}\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"y\",\"thoughtSignature\":\"s\"}]},\"finishReason\":\"STOP\"}]}\n\n"),
    SEED(
        "\x05"
        "{\"message\":{\"content\":\"x\",\"thinking\":\"h\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":true}"),
    SEED("\x0b"
         "{\"message\":{\"content\":\"x\"}}\n{\"message\":{},\"done\":true,\"eval_count\":1}\n"),
    SEED(
        "\x0c"
        "{\"error\":{\"message\":\"x\",\"code\":\"insufficient_quota\",\"details\":[{\"retryDelay\":\"1.5s\"}]}}"),
    SEED("\x12"
         "Sure: ```json\n{a: 'x', /* c */ \"b\": [1,2,],}\n``` <think>{</think>"),
    {NULL, 0},
};

static pw_llm_endpoint endpoint(pawl_scope *scope, size_t wire)
{
    pw_llm_endpoint e;
    pawl_error err;
    const pawl_value *v = pawl_build(scope, "{wire: %s}", pw_llm_wire_name(wire));
    PW_CHECK(pw_llm_endpoint_read(scope, v, &e, &err) == PAWL_OK);
    return e;
}

static pawl_status stream(const pw_llm_endpoint *e, pawl_scope *scope, pw_view body, size_t step,
                          const pawl_value **ret_answer)
{
    static const uint8_t salt[PW_DIGEST_SIZE];
    pw_llm_stream *s = pw_llm_stream_open(e, salt, NULL, NULL);
    pawl_status st = PAWL_OK;
    PW_CHECK(s != NULL);
    for (size_t at = 0; at < body.size && st == PAWL_OK; at += step) {
        st = pw_llm_stream_put(s, body.data + at, body.size - at < step ? body.size - at : step);
    }
    st = pw_llm_stream_end(s, scope, ret_answer);
    PW_CHECK(st == PAWL_OK || (st == PAWL_FAILED && pw_llm_stream_failure(s)->message[0] != '\0'));
    PW_CHECK(pw_llm_stream_bytes(s) < 200 * body.size + 20000);
    pw_llm_stream_close(s);
    return st;
}

static void same(const pawl_value *a, const pawl_value *b)
{
    const pw_view x = pw_value_bytes(a);
    const pw_view y = pw_value_bytes(b);
    PW_CHECK(x.size == y.size && memcmp(x.data, y.data, x.size) == 0);
}

/* What is written stands in an array, and is JSON there. */
static void send_back(const pw_llm_endpoint *e, const pawl_value *message)
{
    pw_buf sent = PW_BUF_INIT;
    pw_buf read = PW_BUF_INIT;
    pawl_error err;
    pw_buf_putc(&sent, '[');
    const pawl_status st = pw_llm_encode_message(e, message, &sent, &err);
    PW_CHECK(st == PAWL_OK || st == PAWL_INVALID);
    pw_buf_putc(&sent, ']');
    const pawl_status parsed =
        pw_json_parse(&read, (const char *)sent.data, sent.size, PW_JSON_STRICT, NULL, &err);
    PW_CHECK(st != PAWL_OK || parsed == PAWL_OK || parsed == PAWL_LIMIT ||
             memchr(sent.data, 'u', sent.size) != NULL); /* NUL is lenient */
    pw_buf_deinit(&sent);
    pw_buf_deinit(&read);
}

static void answer(pawl_scope *scope, size_t wire, bool streamed, pw_view body)
{
    static const uint8_t salt[PW_DIGEST_SIZE];
    const pw_llm_endpoint e = endpoint(scope, wire);
    const pw_llm_endpoint other = endpoint(scope, (wire + 1) % WIRES);
    const pawl_value *a = NULL;
    const pawl_value *b = NULL;
    pw_llm_failure f;
    const pawl_status st = streamed ? stream(&e, scope, body, body.size > 0 ? body.size : 1, &a)
                                    : pw_llm_decode(&e, scope, body, salt, &a, &f);
    PW_CHECK(st == PAWL_OK || st == PAWL_FAILED);
    if (streamed) {
        PW_CHECK(stream(&e, scope, body, 3, &b) == st);
        same(a, b);
    }
    if (st == PAWL_OK) {
        send_back(&e, pawl_get(a, "message"));
        send_back(&other, pawl_get(a, "message"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    pawl_scope *scope = pawl_scope_new();
    const size_t what = data[0] / WIRES % 4;
    const pw_view body = {data + 1, size - 1};
    PW_CHECK(scope != NULL);
    if (what < 2) {
        answer(scope, data[0] % WIRES, what == 1, body);
    } else if (what == 2) {
        const pw_llm_endpoint e = endpoint(scope, data[0] % WIRES);
        pw_llm_failure f;
        pw_llm_failure_of(&e,
                          &(pw_llm_reply){.status = 400 + data[0],
                                          .body = body.data,
                                          .body_size = body.size,
                                          .retry_after_ms = -1},
                          &f);
        PW_CHECK(f.message[0] != '\0' && memchr(f.message, 0, sizeof f.message) != NULL);
    } else {
        const pawl_value *v = NULL;
        pw_llm_found how;
        pawl_error err;
        const pawl_status st = pw_llm_extract(scope, body, &v, &how, &err);
        PW_CHECK(st == PAWL_OK || st == PAWL_NOTFOUND || st == PAWL_LIMIT);
    }
    pawl_scope_free(scope);
    return 0;
}
