/*
 * llm_ollama.c - Ollama's own chat: requests, answers, and its stream of lines.
 *
 *   one message   -> one element of messages; a tool message with n results -> n elements
 *   settings      -> options; max_tokens is num_predict there; cache.ttl is keep_alive
 *   calls         -> without ids in older servers: ids are then ours
 *   images        -> by their data: this wire takes no url
 *
 * Has no tool_choice and counts no cache. Does not pull models.
 */
#include <string.h>

#include "activities/llm_chat.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

/* ---- messages ---- */

static void put_images(pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "image")) {
            pw_llm_puts(w, any ? ",\"" : ",\"images\":[\"");
            pw_llm_put_image_data(w, part.self);
            pw_buf_putc(w->out, '"');
            any = true;
        }
    }
    pw_llm_puts(w, any ? "]" : "");
}

static void put_call(pw_llm_writer *w, pw_view message, pw_view call)
{
    const pw_view raw = pw_llm_original(w, message, call);
    if (!pw_view_none(raw)) {
        pw_llm_put_json(w, raw);
        return;
    }
    pw_llm_puts(w, "{\"function\":{\"name\":");
    pw_llm_put_text(w, pw_field_text(call, "name"));
    pw_llm_puts(w, ",\"arguments\":");
    pw_llm_put_arguments(w, call);
    pw_llm_puts(w, "}}");
}

/* All texts (or all reasoning) of a message, joined. False: there is none. */
static bool join(pw_view message, const char *type, const char *or_type, pw_buf *out)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, type) || pw_view_is(part.type, or_type)) {
            pw_buf_puts(out, any ? "\n" : "");
            pw_buf_put(out, part.text.data, part.text.size);
            any = true;
        }
    }
    return any;
}

static void put_result(pw_llm_writer *w, pw_view part)
{
    const pw_view name = pw_field_text(part, "name");
    pw_llm_puts(w, "{\"role\":\"tool\",\"content\":");
    pw_llm_put_result_text(w, part);
    if (!pw_view_none(name)) {
        pw_llm_puts(w, ",\"tool_name\":");
        pw_llm_put_text(w, name);
    }
    pw_buf_putc(w->out, '}');
}

/* True when the message holds nothing else. */
static bool put_results(pw_llm_writer *w, pw_view message, bool *any)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool only = true;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_result")) {
            pw_llm_puts(w, *any ? "," : "");
            put_result(w, part.self);
            *any = true;
        } else {
            only = false;
        }
    }
    return only && *any;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf thoughts = PW_BUF_INIT;
    const bool assistant = pw_field_is(message, "role", "assistant");
    bool any = false;
    if (put_results(w, message, &any)) {
        return;
    }
    (void)join(message, "text", "refusal", &text);
    pw_llm_puts(w, any ? ",{\"role\":" : "{\"role\":");
    pw_llm_puts(w, assistant                                ? "\"assistant\""
                   : pw_field_is(message, "role", "system") ? "\"system\""
                                                            : "\"user\"");
    pw_llm_puts(w, ",\"content\":");
    pw_llm_put_text(w, (pw_view){text.data, text.size});
    if (assistant && pw_field_is(message, "provider", w->endpoint->provider) &&
        join(message, "reasoning", "reasoning", &thoughts)) {
        pw_llm_puts(w, ",\"thinking\":");
        pw_llm_put_text(w, (pw_view){thoughts.data, thoughts.size});
    }
    put_images(w, message);
    if (assistant) {
        pw_llm_put_calls(w, message, "tool_calls", put_call);
    }
    pw_buf_putc(w->out, '}');
    w->out->failed |= text.failed || thoughts.failed;
}

/* ---- bodies ---- */

static void put_options(pw_llm_writer *w)
{
    static const char *const same[] = {"temperature", "top_p", "top_k", "seed", "stop"};
    if (!pw_llm_open(w, "options")) {
        return;
    }
    pw_llm_member_of(w, "num_predict", "max_tokens");
    for (size_t i = 0; i < PW_COUNT(same); i++) {
        pw_llm_member_of(w, same[i], same[i]);
    }
    pw_llm_close(w);
}

static void put_messages(pw_llm_writer *w, const pw_llm_frame *frame)
{
    const pw_view system = pw_field(w->request, "system");
    if (!pw_llm_key(w, "messages")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    if (!pw_view_none(system)) {
        pw_llm_puts(w, "{\"role\":\"system\",\"content\":");
        pw_llm_put_joined(w, system);
        pw_llm_puts(w, "},");
    }
    pw_buf_put(w->out, frame->messages.data, frame->messages.size);
    pw_buf_putc(w->out, ']');
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    const pw_view response = pw_field(w->request, "response");
    const pw_view schema = pw_field(response, "schema");
    const pw_view reasoning = pw_field(w->request, "reasoning");
    (void)pw_llm_open(w, NULL);
    pw_llm_member_of(w, "model", "model");
    put_messages(w, frame);
    (void)pw_llm_put_chat_tools(w, PW_LLM_CHAT_TOOL);
    if (!pw_view_none(schema)) {
        pw_llm_member_json(w, "format", schema);
    } else if (!pw_view_none(response)) {
        pw_llm_member_text(w, "format", pw_view_of("json"));
    }
    put_options(w);
    if (!pw_view_none(reasoning)) {
        pw_llm_member_bool(w, "think", !pw_field_is(reasoning, "effort", "none"));
    }
    pw_llm_member_text(w, "keep_alive", pw_field_text(pw_field(w->request, "cache"), "ttl"));
    pw_llm_member_bool(w, "stream", frame->ask->stream);
    pw_llm_close(w);
}

/* ---- answers ---- */

static void read_call(pw_llm_answer *a, pw_view call)
{
    const pw_view function = pw_field(call, "function");
    const bool more =
        pw_llm_has_other(call, "id function") || pw_llm_has_other(function, "name arguments index");
    pw_llm_say_call(a, &(pw_llm_tool_call){.id = pw_field_text(call, "id"),
                                           .name = pw_field_text(function, "name"),
                                           .arguments = pw_field(function, "arguments"),
                                           .raw = more ? call : (pw_view){NULL, 0}});
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view error = pw_field(response, "error");
    const pw_view message = pw_field(response, "message");
    const pw_view reason = pw_field_text(response, "done_reason");
    if (!pw_view_none(error)) {
        a->status = PAWL_FAILED;
        pw_llm_failure_read(PW_LLM_WIRE_OLLAMA, 0, error, a->failure);
        return;
    }
    if (pw_view_type(message) != PAWL_MAP || !pw_field_bool(response, "done", false)) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a response without a message that is done");
        return;
    }
    const pw_view thoughts = pw_field_text(message, "thinking");
    const pw_view text = pw_field_text(message, "content");
    if (thoughts.size > 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "reasoning", .text = thoughts, .field = "thinking"});
    }
    if (text.size > 0) {
        pw_llm_say(a, &(pw_llm_said){.type = "text", .text = text});
    }
    pw_each calls = pw_each_of(pw_field(message, "tool_calls"));
    while (!calls.map && pw_each_next(&calls)) {
        read_call(a, calls.value);
    }
    if (!pw_view_none(pw_field(response, "eval_count")) ||
        !pw_view_none(pw_field(response, "prompt_eval_count"))) {
        a->usage = (pw_llm_usage){.known = true,
                                  .input = pw_field_tokens(response, "prompt_eval_count"),
                                  .output = pw_field_tokens(response, "eval_count")};
    }
    a->model = pw_field_text(response, "model");
    pw_llm_say_stop(a, PW_LLM_WIRE_OLLAMA, pw_view_none(reason) ? pw_view_of("stop") : reason);
}

/* ---- streams ---- */

static void take_call(pw_llm_stream *s, pw_view call)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    const pw_view function = pw_field(call, "function");
    const pw_view arguments = pw_field(function, "arguments");
    const pw_view known[] = {pw_field(call, "id"), pw_field(function, "name")};
    static const char *const names[] = {"id", "name"};
    pawl_error err;
    pw_fold *fold = pw_folds_add(s, &s->items, (int64_t)s->items.len);
    bool ok = fold != NULL && pw_fold_push(s, &s->message, pw_view_of("tool_calls"), call);
    for (size_t i = 0; ok && i < PW_COUNT(names); i++) {
        ok = pw_view_none(known[i]) || pw_fold_set(s, fold, pw_view_of(names[i]), known[i]);
    }
    if (ok && (pw_view_none(arguments) ||
               pw_json_print(&text, arguments.data, arguments.size, 0, &err) == PAWL_OK)) {
        pw_llm_emit_call(s, s->items.len - 1, fold, (pw_view){text.data, text.size});
    }
}

static void take_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    (void)type;
    static const struct {
        const char *field;
        pw_llm_delta_kind kind;
    } fields[] = {{"thinking", PW_LLM_DELTA_REASONING}, {"content", PW_LLM_DELTA_TEXT}};
    const pw_view message = pw_field(event, "message");
    for (size_t i = 0; i < PW_COUNT(fields); i++) {
        const pw_view text = pw_field_text(message, fields[i].field);
        if (text.size > 0 && pw_fold_append(s, &s->message, pw_view_of(fields[i].field), text)) {
            pw_llm_emit(s, fields[i].kind, text);
        }
    }
    pw_each calls = pw_each_of(pw_field(message, "tool_calls"));
    while (!calls.map && pw_each_next(&calls) && s->status == PAWL_OK) {
        take_call(s, calls.value);
    }
    if (pw_field_bool(event, "done", false) && pw_fold_merge_all(s, &s->root, event, "message")) {
        s->complete = true;
        s->last = true;
    }
}

static void put_whole(pw_llm_stream *s, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf root = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf message = PW_BUF_INIT;
    size_t root_len = 1;
    size_t message_len = 0;
    pw_fold_write(&s->root, "", &root, &root_len);
    pw_fold_write(&s->message, "", &message, &message_len);
    pw_mp_map(out, root_len);
    pw_buf_put(out, root.data, root.size);
    pw_mp_str(out, "message");
    pw_mp_map(out, message_len);
    pw_buf_put(out, message.data, message.size);
    out->failed |= root.failed || message.failed;
}

const pw_llm_wire pw_llm_wire_ollama = {.name = "ollama",
                                        .kind = PW_LLM_WIRE_OLLAMA,
                                        .base_url = "http://127.0.0.1:11434",
                                        .path = "/api/chat",
                                        .auth = "bearer",
                                        .lines = true,
                                        .message = put_message,
                                        .body = put_body,
                                        .answer = read_answer,
                                        .event = take_event,
                                        .whole = put_whole};
