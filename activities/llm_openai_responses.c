/*
 * llm_openai_responses.c - OpenAI Responses: requests and answers. The stream is llm_openai_responses_stream.c.
 *
 *   one message     -> items of input: results, then a message; of an assistant, its items in the order they came
 *   items as sent   -> the first part of an item carries the whole of it, and goes back as it was: ids, phases, encrypted reasoning
 *   reasoning       -> unless options.store, its item goes back only if it carries its content: the provider has not kept it
 *   background      -> store, and the answer may be `pending`: pw_llm_encode_poll asks for it by id
 *
 * Does not use previous_response_id or conversations: the journal holds the conversation.
 */
#include <string.h>

#include "activities/llm_chat.h"
#include "sdk/base/error.h"

static bool is_stored(const pw_llm_writer *w)
{
    return pw_field_bool(w->endpoint->options, "store", false);
}

/* ---- items ---- */

static void put_part(pw_llm_writer *w, const pw_llm_part *part, pw_view raw)
{
    const pw_view detail = pw_field_text(part->self, "detail");
    if (!pw_view_none(raw)) {
        pw_llm_put_json(w, raw);
    } else if (pw_view_is(part->type, "image")) {
        pw_llm_puts(w, "{\"type\":\"input_image\",\"image_url\":");
        pw_llm_put_image_url(w, part->self);
        pw_llm_puts(w, ",\"detail\":");
        pw_llm_put_text(w, pw_view_none(detail) ? pw_view_of("auto") : detail);
        pw_buf_putc(w->out, '}');
    } else {
        pw_llm_puts(w, "{\"type\":\"input_text\",\"text\":");
        pw_llm_put_text(w, part->text);
        pw_buf_putc(w->out, '}');
    }
}

/* What stands in the content of a message that is no answer: texts, images, originals. */
static void put_content(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    pw_buf_putc(w->out, '[');
    while (pw_llm_parts_next(&parts, &part)) {
        const pw_view raw = pw_llm_original(w, message, part.self);
        const bool shown =
            pw_view_is(part.type, "text") || pw_view_is(part.type, "image") || !pw_view_none(raw);
        if (shown && !pw_view_is(part.type, "tool_result")) {
            pw_llm_puts(w, any ? "," : "");
            any = true;
            put_part(w, &part, raw);
        }
    }
    pw_buf_putc(w->out, ']');
}

static void put_result(pw_llm_writer *w, pw_view part)
{
    const pw_view content = pw_field(part, "content");
    pw_llm_puts(w, "{\"type\":\"function_call_output\",\"call_id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    pw_llm_puts(w, ",\"output\":");
    if (pw_llm_has_image(content)) {
        PW_CLEANUP(pw_buf_deinit) pw_buf as_message = PW_BUF_INIT;
        pw_mp_map(&as_message, 1);
        pw_mp_str(&as_message, "parts");
        pw_buf_put(&as_message, content.data, content.size);
        put_content(w, (pw_view){as_message.data, as_message.size});
        w->out->failed |= as_message.failed;
    } else {
        pw_llm_put_result_text(w, part);
    }
    pw_buf_putc(w->out, '}');
}

static void put_call(pw_llm_writer *w, pw_view part)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf arguments = PW_BUF_INIT;
    pw_llm_puts(w, "{\"type\":\"function_call\",\"call_id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    pw_llm_puts(w, ",\"name\":");
    pw_llm_put_text(w, pw_field_text(part, "name"));
    pw_llm_puts(w, ",\"arguments\":");
    pw_llm_arguments_text(w, part, &arguments);
    pw_llm_put_text(w, (pw_view){arguments.data, arguments.size});
    pw_buf_putc(w->out, '}');
    w->out->failed |= arguments.failed;
}

/* An item of reasoning that the provider has not kept, and that holds nothing, names something that is not there. */
static bool is_hollow(const pw_llm_writer *w, pw_view raw)
{
    return !is_stored(w) && pw_field_is(raw, "type", "reasoning") &&
           pw_view_none(pw_field(raw, "encrypted_content")) &&
           pw_each_of(pw_field(raw, "content")).left == 0;
}

/* One part of an answer; false when it has no form here, and nothing was written. */
static bool put_item(pw_llm_writer *w, const pw_llm_part *part, pw_view raw)
{
    if (!pw_view_none(raw)) {
        if (is_hollow(w, raw)) {
            return false;
        }
        pw_llm_put_json(w, raw);
    } else if (pw_view_is(part->type, "tool_call")) {
        put_call(w, part->self);
    } else if (pw_view_is(part->type, "text") || pw_view_is(part->type, "refusal")) {
        pw_llm_puts(w, "{\"role\":\"assistant\",\"content\":");
        pw_llm_put_text(w, part->text);
        pw_buf_putc(w->out, '}');
    } else {
        return false;
    }
    return true;
}

static void put_answer(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    while (pw_llm_parts_next(&parts, &part)) {
        const size_t before = w->out->size;
        const pw_view raw = pw_llm_original(w, message, part.self);
        pw_llm_puts(w, any ? "," : "");
        if (put_item(w, &part, raw)) {
            any = true;
        } else if (!w->out->failed) {
            w->out->size = before;
        }
        pw_llm_parts_skip(&parts, pw_view_none(raw) ? 0 : part.covers - 1);
    }
}

/* The results of a message; true when it holds more than them. */
static bool put_results(pw_llm_writer *w, pw_view message, bool *any)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool more = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_result")) {
            pw_llm_puts(w, *any ? "," : "");
            put_result(w, part.self);
            *any = true;
        } else {
            more = true;
        }
    }
    return more;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    bool any = false;
    if (pw_field_is(message, "role", "assistant")) {
        put_answer(w, message);
        return;
    }
    if (!put_results(w, message, &any)) {
        return;
    }
    pw_llm_puts(w, any ? ",{\"role\":" : "{\"role\":");
    pw_llm_puts(w, pw_field_is(message, "role", "system") ? "\"developer\",\"content\":"
                                                          : "\"user\",\"content\":");
    if (!any && pw_llm_is_plain(w, message)) {
        pw_llm_put_joined(w, message);
    } else {
        put_content(w, message);
    }
    pw_buf_putc(w->out, '}');
}

/* ---- bodies ---- */

/* The provider takes a tool without a word for strict: so the word is said. */
static void put_tools(pw_llm_writer *w)
{
    pw_each each = pw_each_of(pw_field(w->request, "tools"));
    if (each.left == 0 || !pw_llm_key(w, "tools")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    while (pw_each_next(&each)) {
        const pw_view raw = pw_llm_tool_original(w, each.value);
        pw_llm_puts(w, each.index > 0 ? "," : "");
        if (!pw_view_none(raw)) {
            pw_llm_put_json(w, raw);
            continue;
        }
        pw_llm_puts(w, "{\"type\":\"function\",");
        pw_llm_put_tool(w, each.value);
        pw_llm_puts(w, pw_view_none(pw_field(each.value, "strict")) ? ",\"strict\":false}" : "}");
    }
    pw_buf_putc(w->out, ']');
}

static void put_tool_choice(pw_llm_writer *w)
{
    const pw_view choice = pw_field(w->request, "tool_choice");
    const pw_view name = pw_field_text(choice, "name");
    if (pw_view_type(choice) == PAWL_STRING) {
        pw_llm_member_json(w, "tool_choice", choice);
    } else if (!pw_view_none(name) && pw_llm_open(w, "tool_choice")) {
        pw_llm_member_text(w, "type", pw_view_of("function"));
        pw_llm_member_text(w, "name", name);
        pw_llm_close(w);
    }
    pw_llm_member_of(w, "parallel_tool_calls", "parallel");
}

static void put_format(pw_llm_writer *w)
{
    const pw_view response = pw_field(w->request, "response");
    const pw_view schema = pw_field(response, "schema");
    const pw_view name = pw_field_text(response, "name");
    if (pw_view_none(response) || !pw_llm_open(w, "text")) {
        return;
    }
    if (pw_llm_open(w, "format")) {
        pw_llm_member_text(w, "type",
                           pw_view_of(pw_view_none(schema) ? "json_object" : "json_schema"));
        if (!pw_view_none(schema)) {
            pw_llm_member_text(w, "name", pw_view_none(name) ? pw_view_of("answer") : name);
            pw_llm_member_json(w, "schema", schema);
            pw_llm_member_bool(w, "strict", pw_field_bool(response, "strict", true));
        }
        pw_llm_close(w);
    }
    pw_llm_close(w);
}

static void put_reasoning(pw_llm_writer *w, bool stored)
{
    const pw_view reasoning = pw_field(w->request, "reasoning");
    if (pw_llm_open(w, "reasoning")) {
        pw_llm_member_text(w, "effort", pw_field_text(reasoning, "effort"));
        pw_llm_member_text(w, "summary", pw_field_text(reasoning, "summary"));
        pw_llm_close(w);
    }
    /* models that do not reason refuse it */
    if (!stored &&
        pw_field_bool(w->endpoint->options, "encrypted_reasoning", !pw_view_none(reasoning)) &&
        pw_llm_key(w, "include")) {
        pw_llm_puts(w, "[\"reasoning.encrypted_content\"]");
    }
}

static void put_metadata(pw_llm_writer *w)
{
    pw_each each = pw_each_of(pw_field(w->request, "metadata"));
    if (!pw_llm_open(w, "metadata")) {
        return;
    }
    while (each.map && pw_each_next(&each)) {
        char key[65]; /* the provider takes 64 */
        pw_view_copy(key, sizeof key, each.key);
        pw_llm_member_json(w, key, each.value);
    }
    if (is_stored(w) || pw_field_bool(w->request, "background",
                                      false)) { /* to be found by, when the reply was lost */
        pw_llm_member_of(w, "pawl_key", "key");
    }
    pw_llm_close(w);
}

static void put_settings(pw_llm_writer *w)
{
    const bool background = pw_field_bool(w->request, "background", false);
    const bool stored = background || is_stored(w);
    pw_llm_member_of(w, "max_output_tokens", "max_tokens");
    pw_llm_member_of(w, "temperature", "temperature");
    pw_llm_member_of(w, "top_p", "top_p");
    pw_llm_member_of(w, "user", "user");
    put_reasoning(w, stored);
    pw_llm_member_bool(w, "store", stored);
    if (background) {
        pw_llm_member_bool(w, "background", true);
    }
    put_metadata(w);
    pw_llm_put_openai_cache(w);
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    const pw_view system = pw_field(w->request, "system");
    (void)pw_llm_open(w, NULL);
    pw_llm_member_of(w, "model", "model");
    if (!pw_view_none(system) && pw_llm_key(w, "instructions")) {
        pw_llm_put_joined(w, system);
    }
    if (pw_llm_key(w, "input")) {
        pw_buf_putc(w->out, '[');
        pw_buf_put(w->out, frame->messages.data, frame->messages.size);
        pw_buf_putc(w->out, ']');
    }
    put_tools(w);
    put_tool_choice(w);
    put_format(w);
    put_settings(w);
    if (frame->ask->stream) {
        pw_llm_member_bool(w, "stream", true);
    }
    pw_llm_close(w);
    pw_llm_add_key_header(w, frame, "x-client-request-id", "x-client-request-id");
}

/* ---- answers ---- */

/* An item with the parts that it stands for: the first carries it. */
static void read_message(pw_llm_answer *a, pw_view item)
{
    pw_each each = pw_each_of(pw_field(item, "content"));
    const size_t len = each.map ? 0 : each.left;
    if (len == 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "other", .raw = item});
    }
    while (len > 0 && pw_each_next(&each)) {
        const bool refusal = pw_field_is(each.value, "type", "refusal");
        const pw_view text = pw_field_text(each.value, refusal ? "refusal" : "text");
        pw_llm_say(a, &(pw_llm_said){.type = refusal ? "refusal" : "text",
                                     .text = pw_view_none(text) ? pw_view_of("") : text,
                                     .raw = each.index == 0 ? item : (pw_view){NULL, 0},
                                     .covers = each.index == 0 ? len : 1});
    }
}

static void join(pw_buf *out, pw_view texts)
{
    pw_each each = pw_each_of(texts);
    while (!each.map && pw_each_next(&each)) {
        const pw_view text = pw_field_text(each.value, "text");
        if (out->size > 0 && text.size > 0) {
            pw_buf_puts(out, "\n");
        }
        pw_buf_put(out, text.data, text.size);
    }
}

static void read_reasoning(pw_llm_answer *a, pw_view item)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    join(&text, pw_field(item, "summary"));
    if (text.size == 0) {
        join(&text, pw_field(item, "content"));
    }
    pw_llm_say(
        a, &(pw_llm_said){.type = "reasoning",
                          .text = text.size > 0 ? (pw_view){text.data, text.size} : pw_view_of(""),
                          .raw = item});
    a->parts.failed |= text.failed;
}

static void read_item(pw_llm_answer *a, pw_view item)
{
    const pw_view type = pw_field_text(item, "type");
    if (pw_view_is(type, "message")) {
        read_message(a, item);
    } else if (pw_view_is(type, "reasoning")) {
        read_reasoning(a, item);
    } else if (pw_view_is(type, "function_call")) {
        const bool more = pw_llm_has_other(item, "type call_id name arguments");
        pw_llm_say_call(a, &(pw_llm_tool_call){.id = pw_field_text(item, "call_id"),
                                               .name = pw_field_text(item, "name"),
                                               .as_text = true,
                                               .arguments = pw_field_text(item, "arguments"),
                                               .raw = more ? item : (pw_view){NULL, 0}});
    } else {
        pw_llm_say(a, &(pw_llm_said){.type = "other", .raw = item});
    }
}

static pw_view stop_word(pw_view response)
{
    const pw_view status = pw_field_text(response, "status");
    const pw_view reason = pw_field_text(pw_field(response, "incomplete_details"), "reason");
    if (pw_view_is(status, "incomplete") && !pw_view_none(reason)) {
        return reason;
    }
    return pw_view_none(status) ? pw_view_of("completed") : status; /* some servers leave it out */
}

static bool has_refused(pw_view output)
{
    pw_each items = pw_each_of(output);
    while (!items.map && pw_each_next(&items)) {
        pw_each parts = pw_each_of(pw_field(items.value, "content"));
        while (!parts.map && pw_each_next(&parts)) {
            if (pw_field_is(parts.value, "type", "refusal")) {
                return true;
            }
        }
    }
    return false;
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view error = pw_field(response, "error");
    const pw_view output = pw_field(response, "output");
    if (!pw_view_none(error) || pw_field_is(response, "status", "failed")) {
        a->status = PAWL_FAILED;
        pw_llm_failure_read(PW_LLM_WIRE_RESPONSES, 0, error, a->failure);
        return;
    }
    if (pw_view_type(output) != PAWL_ARRAY) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a response without output");
        return;
    }
    pw_each each = pw_each_of(output);
    while (pw_each_next(&each)) {
        read_item(a, each.value);
    }
    pw_llm_read_openai_usage(a, pw_field(response, "usage"), false);
    a->id = pw_field_text(response, "id");
    a->model = pw_field_text(response, "model");
    pw_llm_say_stop(a, PW_LLM_WIRE_RESPONSES, stop_word(response));
    if (a->stop == PW_LLM_STOP_END && has_refused(output)) {
        a->stop = PW_LLM_STOP_REFUSAL;
    }
}

const pw_llm_wire pw_llm_wire_responses = {.name = "openai-responses",
                                           .kind = PW_LLM_WIRE_RESPONSES,
                                           .base_url = "https://api.openai.com",
                                           .path = "/v1/responses",
                                           .auth = "bearer",
                                           .message = put_message,
                                           .body = put_body,
                                           .answer = read_answer,
                                           .event = pw_llm_responses_event,
                                           .whole = pw_llm_responses_whole};
