/*
 * llm_openai_chat.c - OpenAI Chat Completions, and every server that speaks it: requests and answers. The stream is llm_openai_chat_stream.c.
 *
 *   one message     -> one element of messages; a tool message with n results -> n elements
 *   reasoning       -> the field it came in (reasoning_content, reasoning), for servers that want it back (options.replay_reasoning)
 *   unknown fields  -> message.raw, and back to the same provider
 *
 * Does not know which fields a certain server refuses: endpoint.options and request.extra say that.
 */
#include <string.h>

#include "activities/llm_chat.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

static bool is_compatible(const pw_llm_writer *w)
{
    return w->endpoint->wire == &pw_llm_wire_compatible;
}

static const char *option(const pw_llm_writer *w, const char *name, const char *openai,
                          const char *compatible, char ret[64])
{
    const pw_view said = pw_field_text(w->endpoint->options, name);
    if (pw_view_none(said)) {
        return is_compatible(w) ? compatible : openai;
    }
    pw_view_copy(ret, 64, said);
    return ret;
}

/* ---- messages ---- */

void pw_llm_put_image_url(pw_llm_writer *w, pw_view part)
{
    const pw_view url = pw_field_text(part, "url");
    const pw_view mime = pw_llm_image_mime(part);
    if (!pw_view_none(url)) {
        pw_llm_put_text(w, url);
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf start = PW_BUF_INIT;
    pw_buf_puts(&start, "data:");
    pw_buf_put(&start, mime.data, mime.size);
    pw_buf_puts(&start, ";base64,");
    pw_llm_put_text(w, (pw_view){start.data, start.size});
    w->out->size -= w->out->failed ? 0 : 1; /* its closing quote comes after the data */
    pw_llm_put_image_data(w, part);
    pw_buf_putc(w->out, '"');
    w->out->failed |= start.failed;
}

static void put_image(pw_llm_writer *w, pw_view part)
{
    const pw_view detail = pw_field_text(part, "detail");
    pw_llm_puts(w, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
    pw_llm_put_image_url(w, part);
    if (!pw_view_none(detail)) {
        pw_llm_puts(w, ",\"detail\":");
        pw_llm_put_text(w, detail);
    }
    pw_llm_puts(w, "}}");
}

/* The parts that stand in `content`, as an array; calls, results, reasoning and refusals stand elsewhere. */
static void put_content_array(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    pw_buf_putc(w->out, '[');
    while (pw_llm_parts_next(&parts, &part)) {
        const pw_view raw = pw_llm_original(w, message, part.self);
        const bool text = pw_view_is(part.type, "text");
        const bool image = pw_view_is(part.type, "image");
        const bool other = !pw_view_none(raw) && !pw_view_is(part.type, "tool_call");
        if (!text && !image && !other) {
            continue;
        }
        pw_llm_puts(w, any ? "," : "");
        any = true;
        if (other) {
            pw_llm_put_json(w, raw);
            pw_llm_parts_skip(&parts, part.covers - 1);
        } else if (image) {
            put_image(w, part.self);
        } else {
            pw_llm_puts(w, "{\"type\":\"text\",\"text\":");
            pw_llm_put_text(w, part.text);
            pw_buf_putc(w->out, '}');
        }
    }
    pw_buf_putc(w->out, ']');
}

/* One text stands as a string, none as null (only an answer may have none); anything else as an array. */
static void put_content(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    pw_view text = {NULL, 0};
    size_t count = 0;
    bool array = false;
    while (pw_llm_parts_next(&parts, &part)) {
        const bool elsewhere = pw_view_is(part.type, "tool_call") ||
                               pw_view_is(part.type, "refusal") ||
                               pw_view_is(part.type, "reasoning");
        const bool raw = !pw_view_none(pw_llm_original(w, message, part.self)) &&
                         !pw_view_is(part.type, "tool_call");
        if (pw_view_is(part.type, "text") && !raw) {
            text = part.text;
            count++;
        } else if (raw || !elsewhere) {
            array |= raw || pw_view_is(part.type, "image");
        }
    }
    pw_llm_puts(w, ",\"content\":");
    if (array || count > 1) {
        put_content_array(w, message);
    } else if (count == 1) {
        pw_llm_put_text(w, text);
    } else {
        pw_llm_puts(w, pw_field_is(message, "role", "assistant") ? "null" : "\"\"");
    }
}

static void put_call(pw_llm_writer *w, pw_view message, pw_view part)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf arguments = PW_BUF_INIT;
    const pw_view raw = pw_llm_original(w, message, part);
    if (!pw_view_none(raw)) {
        pw_llm_put_json(w, raw);
        return;
    }
    pw_llm_puts(w, "{\"id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    pw_llm_puts(w, ",\"type\":\"function\",\"function\":{\"name\":");
    pw_llm_put_text(w, pw_field_text(part, "name"));
    pw_llm_puts(w, ",\"arguments\":");
    pw_llm_arguments_text(w, part, &arguments);
    pw_llm_put_text(w, (pw_view){arguments.data, arguments.size});
    pw_llm_puts(w, "}}");
    w->out->failed |= arguments.failed;
}

/* Reasoning and refusals, in the fields that they came in; then the fields that no part stands for. */
static void put_rest(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    const bool same = pw_field_is(message, "provider", w->endpoint->provider);
    const bool replay =
        same && pw_field_bool(w->endpoint->options, "replay_reasoning", is_compatible(w));
    while (pw_llm_parts_next(&parts, &part)) {
        const pw_view field = pw_field_text(part.self, "field");
        if (pw_view_is(part.type, "reasoning") && replay && !pw_view_none(field)) {
            pw_buf_putc(w->out, ',');
            pw_llm_put_text(w, field);
            pw_buf_putc(w->out, ':');
            pw_llm_put_text(w, part.text);
        } else if (pw_view_is(part.type, "refusal") &&
                   pw_view_none(pw_llm_original(w, message, part.self))) {
            pw_llm_puts(w, ",\"refusal\":");
            pw_llm_put_text(w, part.text);
        }
    }
    pw_each each = pw_each_of(same ? pw_field(message, "raw") : (pw_view){NULL, 0});
    while (pw_each_next(&each) && each.map) {
        pw_buf_putc(w->out, ',');
        pw_llm_put_text(w, each.key);
        pw_buf_putc(w->out, ':');
        pw_llm_put_json(w, each.value);
    }
}

static void put_result(pw_llm_writer *w, pw_view part)
{
    const pw_view content = pw_field(part, "content");
    pw_llm_puts(w, "{\"role\":\"tool\",\"tool_call_id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    if (pw_llm_has_image(content)) { /* as parts: some servers see them */
        PW_CLEANUP(pw_buf_deinit) pw_buf as_message = PW_BUF_INIT;
        pw_mp_map(&as_message, 1);
        pw_mp_str(&as_message, "parts");
        pw_buf_put(&as_message, content.data, content.size);
        pw_llm_puts(w, ",\"content\":");
        put_content_array(w, (pw_view){as_message.data, as_message.size});
        w->out->failed |= as_message.failed;
    } else {
        pw_llm_puts(w, ",\"content\":");
        pw_llm_put_result_text(w, part);
    }
    pw_buf_putc(w->out, '}');
}

/* The results of a message, one element each. True when it had any. */
static bool put_results(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_result")) {
            pw_llm_puts(w, any ? "," : "");
            put_result(w, part.self);
            any = true;
        }
    }
    return any;
}

static bool has_more_than_results(pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    while (pw_llm_parts_next(&parts, &part)) {
        if (!pw_view_is(part.type, "tool_result")) {
            return true;
        }
    }
    return false;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    char storage[64];
    const bool assistant = pw_field_is(message, "role", "assistant");
    const bool results = !assistant && put_results(w, message);
    if (results && !has_more_than_results(message)) {
        return;
    }
    const bool system = pw_field_is(message, "role", "system");
    pw_llm_puts(w, results ? ",{\"role\":" : "{\"role\":");
    pw_llm_put_text(w, system ? pw_view_of(option(w, "system_role", "developer", "system", storage))
                              : pw_view_of(assistant ? "assistant" : "user"));
    put_content(w, message);
    if (assistant) {
        put_rest(w, message);
        pw_llm_put_calls(w, message, "tool_calls", put_call);
    }
    pw_buf_putc(w->out, '}');
}

/* ---- bodies ---- */

bool pw_llm_put_chat_tools(pw_llm_writer *w, const char *open)
{
    const pw_view tools = pw_field(w->request, "tools");
    pw_each each = pw_each_of(tools);
    if (each.left == 0 || !pw_llm_key(w, "tools")) {
        return false;
    }
    bool any = false;
    pw_buf_putc(w->out, '[');
    while (pw_each_next(&each)) {
        const pw_view raw = pw_llm_tool_original(w, each.value);
        pw_llm_puts(w, any ? "," : "");
        any = true;
        if (!pw_view_none(raw)) {
            pw_llm_put_json(w, raw);
            continue;
        }
        pw_llm_puts(w, open);
        pw_llm_put_tool(w, each.value);
        pw_llm_puts(w, "}}");
    }
    pw_buf_putc(w->out, ']');
    return true;
}

void pw_llm_put_tool(pw_llm_writer *w, pw_view tool)
{
    const pw_view description = pw_field_text(tool, "description");
    const pw_view schema = pw_field(tool, "schema");
    const pw_view strict = pw_field(tool, "strict");
    pw_llm_puts(w, "\"name\":");
    pw_llm_put_text(w, pw_field_text(tool, "name"));
    if (!pw_view_none(description)) {
        pw_llm_puts(w, ",\"description\":");
        pw_llm_put_text(w, description);
    }
    pw_llm_puts(w, ",\"parameters\":");
    if (pw_view_none(schema)) {
        pw_llm_puts(w, "{\"type\":\"object\",\"properties\":{}}");
    } else {
        pw_llm_put_json(w, schema);
    }
    if (!pw_view_none(strict)) {
        pw_llm_puts(w, ",\"strict\":");
        pw_llm_put_json(w, strict);
    }
}

static void put_tool_choice(pw_llm_writer *w)
{
    const pw_view choice = pw_field(w->request, "tool_choice");
    const pw_view name = pw_field_text(choice, "name");
    if (pw_view_type(choice) == PAWL_STRING) {
        pw_llm_member_json(w, "tool_choice", choice);
    } else if (!pw_view_none(name) && pw_llm_key(w, "tool_choice")) {
        pw_llm_puts(w, "{\"type\":\"function\",\"function\":{\"name\":");
        pw_llm_put_text(w, name);
        pw_llm_puts(w, "}}");
    }
    pw_llm_member_of(w, "parallel_tool_calls", "parallel");
}

static void put_schema(pw_llm_writer *w, pw_view response)
{
    const pw_view name = pw_field_text(response, "name");
    pw_llm_puts(w, "{\"type\":\"json_schema\",\"json_schema\":{\"name\":");
    pw_llm_put_text(w, pw_view_none(name) ? pw_view_of("answer") : name);
    pw_llm_puts(w, ",\"schema\":");
    pw_llm_put_json(w, pw_field(response, "schema"));
    pw_llm_puts(w, pw_field_bool(response, "strict", true) ? ",\"strict\":true}}"
                                                           : ",\"strict\":false}}");
}

static void put_response_format(pw_llm_writer *w)
{
    char storage[64];
    const pw_view response = pw_field(w->request, "response");
    const bool schema = !pw_view_none(pw_field(response, "schema"));
    const char *how = option(w, "schema", "json_schema", "json_schema", storage);
    if (pw_view_none(response) || strcmp(how, "none") == 0) {
        return;
    }
    if (schema && strcmp(how, "structured_outputs") == 0) {
        if (pw_llm_open(w, "structured_outputs")) {
            pw_llm_member_json(w, "json", pw_field(response, "schema"));
            pw_llm_close(w);
        }
    } else if (schema && strcmp(how, "json_schema") == 0) {
        if (pw_llm_key(w, "response_format")) {
            put_schema(w, response);
        }
    } else if (pw_llm_key(w, "response_format")) {
        pw_llm_puts(w, "{\"type\":\"json_object\"}");
    }
}

static void put_cache(pw_llm_writer *w)
{
    const pw_view cache = pw_field(w->request, "cache");
    const pw_view ttl = pw_field_text(cache, "ttl");
    pw_llm_member_text(w, "prompt_cache_key", pw_field_text(cache, "key"));
    if ((pw_view_is(ttl, "30m") || pw_view_is(ttl, "12h")) &&
        pw_llm_open(w, "prompt_cache_options")) {
        pw_llm_member_text(w, "ttl", ttl);
        pw_llm_close(w);
    }
}

void pw_llm_put_openai_cache(pw_llm_writer *w)
{
    put_cache(w);
}

static void put_settings(pw_llm_writer *w)
{
    static const char *const same[] = {"temperature", "top_p", "seed", "stop", "metadata", "user"};
    char storage[64];
    pw_llm_member_of(w,
                     option(w, "max_tokens_field", "max_completion_tokens", "max_tokens", storage),
                     "max_tokens");
    for (size_t i = 0; i < PW_COUNT(same); i++) {
        pw_llm_member_of(w, same[i], same[i]);
    }
    if (is_compatible(w)) { /* OpenAI has none */
        pw_llm_member_of(w, "top_k", "top_k");
    }
    pw_llm_member_text(w, "reasoning_effort",
                       pw_field_text(pw_field(w->request, "reasoning"), "effort"));
}

static void put_messages(pw_llm_writer *w, const pw_llm_frame *frame)
{
    char storage[64];
    const pw_view system = pw_field(w->request, "system");
    if (!pw_llm_key(w, "messages")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    if (!pw_view_none(system)) {
        pw_llm_puts(w, "{\"role\":");
        pw_llm_put_text(w, pw_view_of(option(w, "system_role", "developer", "system", storage)));
        pw_llm_puts(w, ",\"content\":");
        pw_llm_put_joined(w, system);
        pw_llm_puts(w, "},");
    }
    pw_buf_put(w->out, frame->messages.data, frame->messages.size);
    pw_buf_putc(w->out, ']');
}

void pw_llm_add_key_header(pw_llm_writer *w, const pw_llm_frame *frame, const char *openai,
                           const char *compatible)
{
    char storage[64];
    const pw_view key = pw_field_text(w->request, "key");
    char *text =
        pw_view_none(key) ? NULL : pw_strndup(frame->ask->scope, (const char *)key.data, key.size);
    if (text == NULL) {
        return;
    }
    pw_view_copy(text, key.size + 1, key); /* no control characters in a header */
    const char *name = option(w, "key_header", openai, compatible, storage);
    (void)pw_llm_add_header(w, frame->call, pw_strdup(frame->ask->scope, name), text, NULL);
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    (void)pw_llm_open(w, NULL);
    pw_llm_member_of(w, "model", "model");
    put_messages(w, frame);
    (void)pw_llm_put_chat_tools(w, PW_LLM_CHAT_TOOL);
    put_tool_choice(w);
    put_response_format(w);
    put_settings(w);
    put_cache(w);
    if (frame->ask->stream) {
        pw_llm_member_bool(w, "stream", true);
        if (pw_field_bool(w->endpoint->options, "stream_usage", true) &&
            pw_llm_open(w, "stream_options")) {
            pw_llm_member_bool(w, "include_usage", true);
            pw_llm_close(w);
        }
    }
    pw_llm_close(w);
    pw_llm_add_key_header(w, frame, "x-client-request-id", "x-request-id");
}

/* ---- answers ---- */

#define CALL_KNOWN "id type index function"
#define FUNCTION_KNOWN "name arguments"
#define MESSAGE_KNOWN "role content refusal reasoning_content reasoning tool_calls function_call"

static void read_content(pw_llm_answer *a, pw_view content)
{
    const pw_view text =
        pw_view_type(content) == PAWL_STRING ? pw_view_text(content) : (pw_view){NULL, 0};
    if (text.size > 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "text", .text = text});
    }
    pw_each each = pw_each_of(content);
    while (!each.map && pw_each_next(&each)) { /* some servers answer in parts */
        const pw_view type = pw_field_text(each.value, "type");
        const pw_view said = pw_field_text(each.value, "text");
        if (pw_view_is(type, "text") && !pw_llm_has_other(each.value, "type text")) {
            pw_llm_say(a, &(pw_llm_said){.type = "text", .text = said});
        } else if (pw_view_is(type, "refusal")) {
            pw_llm_say(a, &(pw_llm_said){.type = "refusal",
                                         .text = pw_field_text(each.value, "refusal"),
                                         .raw = each.value});
        } else {
            pw_llm_say(a, &(pw_llm_said){.type = pw_view_is(type, "text") ? "text" : "other",
                                         .text = said,
                                         .raw = each.value});
        }
    }
}

static void read_calls(pw_llm_answer *a, pw_view calls)
{
    pw_each each = pw_each_of(calls);
    while (!each.map && pw_each_next(&each)) {
        const pw_view function = pw_field(each.value, "function");
        const pw_view arguments = pw_field(function, "arguments");
        const bool text = pw_view_type(arguments) == PAWL_STRING || pw_view_none(arguments);
        if (pw_view_type(function) != PAWL_MAP) { /* custom tools, or what will be invented */
            pw_llm_say(a, &(pw_llm_said){.type = "other", .raw = each.value});
            continue;
        }
        const bool more =
            pw_llm_has_other(each.value, CALL_KNOWN) || pw_llm_has_other(function, FUNCTION_KNOWN);
        pw_llm_say_call(a,
                        &(pw_llm_tool_call){.id = pw_field_text(each.value, "id"),
                                            .name = pw_field_text(function, "name"),
                                            .as_text = text,
                                            .arguments = text ? pw_view_text(arguments) : arguments,
                                            .raw = more ? each.value : (pw_view){NULL, 0}});
    }
}

static void read_message(pw_llm_answer *a, pw_view message)
{
    static const char *const thoughts[] = {"reasoning_content", "reasoning"};
    bool thought = false;
    for (size_t i = 0; i < PW_COUNT(thoughts); i++) {
        const pw_view text = pw_field_text(message, thoughts[i]);
        if (text.size > 0 && !thought) { /* some say the same in both */
            pw_llm_say(a, &(pw_llm_said){.type = "reasoning", .text = text, .field = thoughts[i]});
            thought = true;
        }
    }
    read_content(a, pw_field(message, "content"));
    const pw_view refusal = pw_field_text(message, "refusal");
    if (refusal.size > 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "refusal", .text = refusal});
    }
    read_calls(a, pw_field(message, "tool_calls"));
    pw_each each = pw_each_of(message);
    while (pw_each_next(&each)) {
        if (!pw_llm_is_known(each.key, MESSAGE_KNOWN)) {
            pw_llm_say_rest(a, each.key, each.value);
        }
    }
}

void pw_llm_read_openai_usage(pw_llm_answer *a, pw_view usage, bool chat)
{
    if (pw_view_type(usage) != PAWL_MAP) {
        return;
    }
    const pw_view in = pw_field(usage, chat ? "prompt_tokens_details" : "input_tokens_details");
    const pw_view out =
        pw_field(usage, chat ? "completion_tokens_details" : "output_tokens_details");
    a->usage = (pw_llm_usage){
        .known = true,
        .input = pw_field_tokens(usage, chat ? "prompt_tokens" : "input_tokens"),
        .cache_read = pw_field_tokens(in, "cached_tokens"),
        .cache_write = pw_field_tokens(in, "cache_write_tokens"),
        .output = pw_field_tokens(usage, chat ? "completion_tokens" : "output_tokens"),
        .reasoning = pw_field_tokens(out, "reasoning_tokens")};
    a->usage_raw = usage;
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view error = pw_field(response, "error");
    pw_each choices = pw_each_of(pw_field(response, "choices"));
    if (!pw_view_none(error)) { /* gateways say 200 and mean it not */
        a->status = PAWL_FAILED;
        pw_llm_failure_read(PW_LLM_WIRE_CHAT, 0, error, a->failure);
        return;
    }
    if (choices.map || !pw_each_next(&choices) ||
        pw_view_type(pw_field(choices.value, "message")) != PAWL_MAP) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a chat completion without choices[0].message");
        return;
    }
    const pw_view message = pw_field(choices.value, "message");
    read_message(a, message);
    pw_llm_read_openai_usage(a, pw_field(response, "usage"), true);
    a->id = pw_field_text(response, "id");
    a->model = pw_field_text(response, "model");
    pw_llm_say_stop(a, PW_LLM_WIRE_CHAT, pw_field_text(choices.value, "finish_reason"));
    if (a->stop == PW_LLM_STOP_END && pw_field_text(message, "refusal").size > 0) {
        a->stop = PW_LLM_STOP_REFUSAL;
    }
}

const pw_llm_wire pw_llm_wire_chat = {.name = "openai-chat",
                                      .kind = PW_LLM_WIRE_CHAT,
                                      .base_url = "https://api.openai.com",
                                      .path = "/v1/chat/completions",
                                      .auth = "bearer",
                                      .message = put_message,
                                      .body = put_body,
                                      .answer = read_answer,
                                      .event = pw_llm_chat_event,
                                      .whole = pw_llm_chat_whole};

const pw_llm_wire pw_llm_wire_compatible = {.name = "openai-compatible",
                                            .kind = PW_LLM_WIRE_CHAT,
                                            .path = "/v1/chat/completions",
                                            .auth = "bearer",
                                            .message = put_message,
                                            .body = put_body,
                                            .answer = read_answer,
                                            .event = pw_llm_chat_event,
                                            .whole = pw_llm_chat_whole};
