/*
 * llm_dapr.c - the Conversation API of Dapr (v1.0-alpha2): a sidecar in front of whatever model its component names.
 *
 *   POST /v1.0-alpha2/conversation/MODEL/converse      MODEL: the component's name, from the request's model
 *   one message   -> one element of inputs[0].messages: {"ofUser": {"content": [{"text": ...}]}}, ofSystem, ofAssistant, ofTool
 *   n results     -> n elements
 *   max_tokens    -> parameters, as protobuf's JSON wants an integer of any kind
 *   counts        -> numbers, or texts of digits: 64-bit integers are texts in protobuf's JSON
 *
 * It does not stream: asked to, it answers as a whole all the same. It has no images, reasoning or field for a schema that all its releases know:
 * what a component takes beyond this goes into the request's `extra` (metadata, parameters, responseFormat ...). Source: Dapr's API reference.
 */
#include <stdlib.h>
#include <string.h>

#include "activities/llm_chat.h"
#include "activities/secret_form.h"
#include "sdk/base/amounts.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

#define PATH_DEFAULT "/v1.0-alpha2/conversation/{model}/converse"

/* ---- messages ---- */

static void put_content(pw_llm_writer *w, pw_view text)
{
    pw_llm_puts(w, "\"content\":[");
    if (text.size > 0) {
        pw_llm_puts(w, "{\"text\":");
        pw_llm_put_text(w, text);
        pw_buf_putc(w->out, '}');
    }
    pw_buf_putc(w->out, ']');
}

static void put_result(pw_llm_writer *w, pw_view part)
{
    const pw_view name = pw_field_text(part, "name");
    pw_llm_puts(w, "{\"ofTool\":{\"toolId\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    if (!pw_view_none(name)) {
        pw_llm_puts(w, ",\"name\":");
        pw_llm_put_text(w, name);
    }
    pw_llm_puts(w, ",\"content\":[{\"text\":");
    pw_llm_put_result_text(w, part);
    pw_llm_puts(w, "}]}}");
}

static void put_call(pw_llm_writer *w, pw_view message, pw_view call)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf arguments = PW_BUF_INIT;
    (void)message;
    pw_llm_puts(w, "{\"id\":");
    pw_llm_put_text(w, pw_field_text(call, "id"));
    pw_llm_puts(w, ",\"function\":{\"name\":");
    pw_llm_put_text(w, pw_field_text(call, "name"));
    pw_llm_puts(w, ",\"arguments\":");
    pw_llm_arguments_text(w, call, &arguments);
    pw_llm_put_text(w, (pw_view){arguments.data, arguments.size});
    pw_llm_puts(w, "}}");
    w->out->failed |= arguments.failed;
}

/* The texts of a message, joined; its results are written on the way. False: it has nothing else. */
static bool put_results(pw_llm_writer *w, pw_view message, pw_buf *ret_text, bool *ret_any)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool more = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_result")) {
            pw_llm_puts(w, *ret_any ? "," : "");
            put_result(w, part.self);
            *ret_any = true;
        } else if (pw_view_is(part.type, "image")) {
            pw_llm_refuse(w, "dapr takes no images");
        } else if (pw_view_is(part.type, "text") || pw_view_is(part.type, "refusal")) {
            pw_buf_puts(ret_text, ret_text->size > 0 ? "\n" : "");
            pw_buf_put(ret_text, part.text.data, part.text.size);
            more = true;
        } else {
            more |= pw_view_is(part.type, "tool_call");
        }
    }
    return more || !*ret_any;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const bool assistant = pw_field_is(message, "role", "assistant");
    bool any = false;
    if (!put_results(w, message, &text, &any)) {
        return;
    }
    pw_llm_puts(w, any ? "," : "");
    pw_llm_puts(w, assistant                                ? "{\"ofAssistant\":{"
                   : pw_field_is(message, "role", "system") ? "{\"ofSystem\":{"
                                                            : "{\"ofUser\":{");
    put_content(w, (pw_view){text.data, text.size});
    if (assistant) {
        pw_llm_put_calls(w, message, "toolCalls", put_call);
    }
    pw_llm_puts(w, "}}");
    w->out->failed |= text.failed;
}

/* ---- bodies ---- */

static void put_inputs(pw_llm_writer *w, const pw_llm_frame *frame)
{
    const pw_view system = pw_field(w->request, "system");
    if (!pw_llm_key(w, "inputs")) {
        return;
    }
    pw_llm_puts(w, "[{\"messages\":[");
    if (!pw_view_none(system)) {
        pw_llm_puts(w, "{\"ofSystem\":{\"content\":[{\"text\":");
        pw_llm_put_joined(w, system);
        pw_llm_puts(w, "}]}}");
        pw_llm_puts(w, frame->messages.size > 0 ? "," : "");
    }
    pw_buf_put(w->out, frame->messages.data, frame->messages.size);
    pw_llm_puts(w, "]}]");
}

static void put_tools(pw_llm_writer *w)
{
    const pw_view choice = pw_field(w->request, "tool_choice");
    const pw_view name = pw_field_text(choice, "name");
    if (pw_llm_put_chat_tools(w, "{\"function\":{")) {
        pw_llm_member_text(w, "toolChoice",
                           pw_view_type(choice) == PAWL_STRING ? pw_view_text(choice) : name);
    }
}

static void put_parameters(pw_llm_writer *w)
{
    const int64_t max = pw_field_int(w->request, "max_tokens", 0);
    if (!pw_llm_open(w, "parameters")) {
        return;
    }
    if (max > 0 && pw_llm_key(w, "max_tokens")) {
        pw_buf_printf(
            w->out,
            "{\"@type\":\"type.googleapis.com/google.protobuf.Int64Value\",\"value\":\"%lld\"}",
            (long long)max);
    }
    pw_llm_close(w);
}

static const char *path_of(const pw_llm_writer *w, const pw_llm_frame *frame)
{
    static const char place[] = "{model}";
    PW_CLEANUP(pw_buf_deinit) pw_buf path = PW_BUF_INIT;
    const char *form = w->endpoint->path != NULL ? w->endpoint->path : PATH_DEFAULT;
    const char *at = strstr(form, place);
    const pw_view model = pw_field_text(w->request, "model");
    pw_buf_put(&path, form, at != NULL ? (size_t)(at - form) : strlen(form));
    if (at != NULL) {
        pw_percent_put(&path, (const char *)model.data, model.size);
        pw_buf_puts(&path, at + sizeof place - 1);
    }
    return pw_buf_ok(&path) ? pw_strndup(frame->ask->scope, (const char *)path.data, path.size)
                            : NULL;
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    frame->call->path = path_of(w, frame);
    (void)pw_llm_open(w, NULL);
    put_inputs(w, frame);
    put_parameters(w);
    pw_llm_member_of(w, "temperature", "temperature");
    put_tools(w);
    pw_llm_close(w);
}

/* ---- answers ---- */

static pw_view first_of(pw_view list)
{
    pw_each each = pw_each_of(list);
    return !each.map && pw_each_next(&each) ? each.value : (pw_view){NULL, 0};
}

static int64_t count_of(pw_view map, const char *key)
{
    char digits[24];
    const pw_view text = pw_field_text(map, key);
    char *end = digits;
    if (pw_view_none(text)) {
        return pw_field_tokens(map, key);
    }
    pw_view_copy(digits, sizeof digits, text);
    const long long n = strtoll(digits, &end, 10);
    return end != digits && *end == '\0' && n >= 0 && n <= PW_AMOUNT_MAX ? n : PW_TOKENS_NONE;
}

static void read_usage(pw_llm_answer *a, pw_view usage)
{
    if (pw_view_type(usage) == PAWL_MAP) {
        a->usage = (pw_llm_usage){
            .known = true,
            .input = count_of(usage, "promptTokens"),
            .cache_read = count_of(pw_field(usage, "promptTokensDetails"), "cachedTokens"),
            .output = count_of(usage, "completionTokens"),
            .reasoning = count_of(pw_field(usage, "completionTokensDetails"), "reasoningTokens")};
        a->usage_raw = usage;
    }
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view output = first_of(pw_field(response, "outputs"));
    const pw_view choice = first_of(pw_field(output, "choices"));
    const pw_view message = pw_field(choice, "message");
    const pw_view text = pw_field_text(message, "content");
    const pw_view reason = pw_field_text(choice, "finishReason");
    if (pw_view_type(message) != PAWL_MAP) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a response without a message");
        return;
    }
    if (text.size > 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "text", .text = text});
    }
    pw_each calls = pw_each_of(pw_field(message, "toolCalls"));
    while (!calls.map && pw_each_next(&calls)) {
        const pw_view function = pw_field(calls.value, "function");
        pw_llm_say_call(a, &(pw_llm_tool_call){.id = pw_field_text(calls.value, "id"),
                                               .name = pw_field_text(function, "name"),
                                               .as_text = true,
                                               .arguments = pw_field_text(function, "arguments")});
    }
    read_usage(a, pw_field(output, "usage"));
    a->id = pw_field_text(response, "contextId");
    a->model = pw_field_text(output, "model");
    pw_llm_say_stop(a, PW_LLM_WIRE_CHAT, pw_view_none(reason) ? pw_view_of("stop") : reason);
}

/* ---- streams: there are none ---- */

static void take_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    (void)type;
    (void)event;
    pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "a stream, of a server that has none");
}

static void put_whole(pw_llm_stream *s, pw_buf *out)
{
    (void)s;
    pw_mp_map(out, 0);
}

const pw_llm_wire pw_llm_wire_dapr = {.name = "dapr",
                                      .kind = PW_LLM_WIRE_CHAT,
                                      .base_url = "http://127.0.0.1:3500",
                                      .path = PATH_DEFAULT,
                                      .auth = "dapr-api-token",
                                      .message = put_message,
                                      .body = put_body,
                                      .answer = read_answer,
                                      .event = take_event,
                                      .whole = put_whole};
