/*
 * llm_anthropic.c - Anthropic Messages: requests and answers. The stream is llm_anthropic_stream.c.
 *
 *   system          -> system; a system message in the middle -> a user message, which is the nearest this wire has
 *   tool results    -> blocks of a user message, before anything else in it
 *   thinking        -> back as it came, to the same provider; otherwise left out
 *   cache marks     -> cache_control of the block; cache.auto marks the end of what comes first, and the end of the conversation
 *
 * Since version 2026-10-21 the provider refuses temperature, top_p and top_k: they are then left out. Does not count cache marks: more than
 * four are the provider's to refuse.
 */
#include <string.h>

#include "activities/llm_anthropic.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"

#define VERSION_DEFAULT "2023-06-01"
#define VERSION_WITHOUT_SAMPLING "2026-10-21"

static const char *version_of(const pw_llm_writer *w)
{
    return w->endpoint->version != NULL ? w->endpoint->version : VERSION_DEFAULT;
}

/* ---- blocks ---- */

/* `,"cache_control":{...}` for true, "5m" or "1h". */
static void put_mark(pw_llm_writer *w, pw_view cache)
{
    const bool text = pw_view_type(cache) == PAWL_STRING;
    pw_mp r = pw_mp_reader(cache.data, cache.size);
    if (pw_view_none(cache) ||
        (!text && !(pw_view_type(cache) == PAWL_BOOL && pw_mp_read_bool(&r)))) {
        return;
    }
    pw_llm_puts(w, ",\"cache_control\":{\"type\":\"ephemeral\"");
    if (text) {
        pw_llm_puts(w, ",\"ttl\":");
        pw_llm_put_text(w, pw_view_text(cache));
    }
    pw_buf_putc(w->out, '}');
}

static void put_text(pw_llm_writer *w, pw_view text, pw_view cache)
{
    pw_llm_puts(w, "{\"type\":\"text\",\"text\":");
    pw_llm_put_text(w, text);
    put_mark(w, cache);
    pw_buf_putc(w->out, '}');
}

static void put_image(pw_llm_writer *w, pw_view part)
{
    const pw_view url = pw_field_text(part, "url");
    pw_llm_puts(w, "{\"type\":\"image\",\"source\":{");
    if (!pw_view_none(url)) {
        pw_llm_puts(w, "\"type\":\"url\",\"url\":");
        pw_llm_put_text(w, url);
    } else {
        pw_llm_puts(w, "\"type\":\"base64\",\"media_type\":");
        pw_llm_put_text(w, pw_llm_image_mime(part));
        pw_llm_puts(w, ",\"data\":\"");
        pw_llm_put_image_data(w, part);
        pw_buf_putc(w->out, '"');
    }
    pw_buf_putc(w->out, '}');
    put_mark(w, pw_field(part, "cache"));
    pw_buf_putc(w->out, '}');
}

static void put_call(pw_llm_writer *w, pw_view part)
{
    pw_llm_puts(w, "{\"type\":\"tool_use\",\"id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    pw_llm_puts(w, ",\"name\":");
    pw_llm_put_text(w, pw_field_text(part, "name"));
    pw_llm_puts(w, ",\"input\":");
    pw_llm_put_arguments(w, part);
    put_mark(w, pw_field(part, "cache"));
    pw_buf_putc(w->out, '}');
}

/* What a tool gave, with its images. */
static void put_result_parts(pw_llm_writer *w, pw_view content)
{
    pw_each each = pw_each_of(content);
    bool any = false;
    pw_buf_putc(w->out, '[');
    while (pw_each_next(&each)) {
        const bool image = pw_field_is(each.value, "type", "image");
        const pw_view text = pw_field_text(each.value, "text");
        if (image || text.size > 0) {
            pw_llm_puts(w, any ? "," : "");
            any = true;
        }
        if (image) {
            put_image(w, each.value);
        } else if (text.size > 0) {
            put_text(w, text, (pw_view){NULL, 0});
        }
    }
    pw_buf_putc(w->out, ']');
}

static void put_result(pw_llm_writer *w, pw_view part)
{
    pw_llm_puts(w, "{\"type\":\"tool_result\",\"tool_use_id\":");
    pw_llm_put_text(w, pw_field_text(part, "id"));
    pw_llm_puts(w, ",\"content\":");
    if (pw_llm_has_image(pw_field(part, "content"))) {
        put_result_parts(w, pw_field(part, "content"));
    } else {
        pw_llm_put_result_text(w, part);
    }
    if (pw_field_bool(part, "is_error", false)) {
        pw_llm_puts(w, ",\"is_error\":true");
    }
    put_mark(w, pw_field(part, "cache"));
    pw_buf_putc(w->out, '}');
}

/* One part; false when it has no form here, and nothing was written. The provider refuses empty texts. */
static bool put_part(pw_llm_writer *w, const pw_llm_part *part, pw_view raw)
{
    if (!pw_view_none(raw)) {
        pw_llm_put_json(w, raw);
    } else if (pw_view_is(part->type, "image")) {
        put_image(w, part->self);
    } else if (pw_view_is(part->type, "tool_call")) {
        put_call(w, part->self);
    } else if (pw_view_is(part->type, "tool_result")) {
        put_result(w, part->self);
    } else if ((pw_view_is(part->type, "text") || pw_view_is(part->type, "refusal")) &&
               part->text.size > 0) {
        put_text(w, part->text, pw_field(part->self, "cache"));
    } else {
        return false;
    }
    return true;
}

/* The parts of a message that are results, or those that are not. */
static void put_parts(pw_llm_writer *w, pw_view message, bool results, bool *any)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_result") != results) {
            continue;
        }
        const size_t before = w->out->size;
        const pw_view raw = pw_llm_original(w, message, part.self);
        pw_llm_puts(w, *any ? "," : "");
        if (put_part(w, &part, raw)) {
            *any = true;
            pw_llm_parts_skip(&parts, pw_view_none(raw) ? 0 : part.covers - 1);
        } else if (!w->out->failed) {
            w->out->size = before;
        }
    }
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    const size_t before = w->out->size;
    const bool assistant = pw_field_is(message, "role", "assistant");
    bool any = false;
    pw_llm_puts(w, assistant ? "{\"role\":\"assistant\",\"content\":["
                             : "{\"role\":\"user\",\"content\":[");
    put_parts(w, message, true, &any);
    put_parts(w, message, false, &any);
    pw_llm_puts(w, "]}");
    if (!any && !w->out->failed) {
        w->out->size = before;
    }
}

/* ---- bodies ---- */

/* The mark that cache.auto asks for: true, or its ttl. */
static pw_view auto_mark(const pw_llm_writer *w)
{
    static const uint8_t yes[] = {0xc3};
    const pw_view cache = pw_field(w->request, "cache");
    const pw_view ttl = pw_field(cache, "ttl");
    if (!pw_field_bool(cache, "auto", false)) {
        return (pw_view){NULL, 0};
    }
    return pw_view_is(pw_field_text(cache, "ttl"), "5m") ||
                   pw_view_is(pw_field_text(cache, "ttl"), "1h")
               ? ttl
               : (pw_view){yes, 1};
}

static void put_system(pw_llm_writer *w)
{
    const pw_view system = pw_field(w->request, "system");
    const pw_view mark = auto_mark(w);
    if (pw_view_none(system) || !pw_llm_key(w, "system")) {
        return;
    }
    if (pw_view_type(system) == PAWL_STRING && pw_view_none(mark)) {
        pw_llm_put_json(w, system);
        return;
    }
    pw_each each = pw_each_of(system);
    bool any = false;
    pw_buf_putc(w->out, '[');
    if (pw_view_type(system) == PAWL_STRING) {
        put_text(w, pw_view_text(system), mark);
    }
    while (pw_each_next(&each)) {
        const pw_view text = pw_view_type(each.value) == PAWL_STRING
                                 ? pw_view_text(each.value)
                                 : pw_field_text(each.value, "text");
        const pw_view own = pw_field(each.value, "cache");
        if (text.size > 0) {
            pw_llm_puts(w, any ? "," : "");
            put_text(w, text, pw_view_none(own) && each.left == 0 ? mark : own);
            any = true;
        }
    }
    pw_buf_putc(w->out, ']');
}

static void put_tool(pw_llm_writer *w, pw_view tool, pw_view mark)
{
    const pw_view description = pw_field_text(tool, "description");
    const pw_view schema = pw_field(tool, "schema");
    const pw_view strict = pw_field(tool, "strict");
    pw_llm_puts(w, "{\"name\":");
    pw_llm_put_text(w, pw_field_text(tool, "name"));
    if (!pw_view_none(description)) {
        pw_llm_puts(w, ",\"description\":");
        pw_llm_put_text(w, description);
    }
    pw_llm_puts(w, ",\"input_schema\":");
    if (pw_view_none(schema)) {
        pw_llm_puts(w, "{\"type\":\"object\",\"properties\":{}}");
    } else {
        pw_llm_put_json(w, schema);
    }
    if (!pw_view_none(strict)) {
        pw_llm_puts(w, ",\"strict\":");
        pw_llm_put_json(w, strict);
    }
    put_mark(w, mark);
    pw_buf_putc(w->out, '}');
}

static void put_tools(pw_llm_writer *w)
{
    pw_each each = pw_each_of(pw_field(w->request, "tools"));
    const bool alone = pw_view_none(pw_field(w->request, "system"));
    if (each.left == 0 || !pw_llm_key(w, "tools")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    while (pw_each_next(&each)) {
        const pw_view raw = pw_llm_tool_original(w, each.value);
        const pw_view own = pw_field(each.value, "cache");
        pw_llm_puts(w, each.index > 0 ? "," : "");
        if (!pw_view_none(raw)) {
            pw_llm_put_json(w, raw);
        } else {
            put_tool(w, each.value,
                     pw_view_none(own) && alone && each.left == 0 ? auto_mark(w) : own);
        }
    }
    pw_buf_putc(w->out, ']');
}

static void put_tool_choice(pw_llm_writer *w)
{
    static const struct {
        const char *said, *sent;
    } words[] = {{"auto", "auto"}, {"none", "none"}, {"required", "any"}};
    const pw_view choice = pw_field(w->request, "tool_choice");
    const pw_view name = pw_field_text(choice, "name");
    const bool one = !pw_field_bool(w->request, "parallel", true);
    const char *type = pw_view_none(name) ? "auto" : "tool";
    for (size_t i = 0; pw_view_type(choice) == PAWL_STRING && i < PW_COUNT(words); i++) {
        type = pw_view_is(pw_view_text(choice), words[i].said) ? words[i].sent : type;
    }
    if (pw_each_of(pw_field(w->request, "tools")).left == 0 || (pw_view_none(choice) && !one) ||
        !pw_llm_open(w, "tool_choice")) {
        return;
    }
    pw_llm_member_text(w, "type", pw_view_of(type));
    pw_llm_member_text(w, "name", name);
    if (one && strcmp(type, "none") != 0) {
        pw_llm_member_bool(w, "disable_parallel_tool_use", true);
    }
    pw_llm_close(w);
}

static void put_output(pw_llm_writer *w)
{
    const pw_view effort = pw_field_text(pw_field(w->request, "reasoning"), "effort");
    const pw_view schema = pw_field_in(w->request, "response", "schema");
    if (!pw_llm_open(w, "output_config")) {
        return;
    }
    if (!pw_view_is(effort, "none")) {
        pw_llm_member_text(w, "effort", pw_view_is(effort, "minimal") ? pw_view_of("low") : effort);
    }
    if (!pw_view_none(schema) && pw_llm_open(w, "format")) {
        pw_llm_member_text(w, "type", pw_view_of("json_schema"));
        pw_llm_member_json(w, "schema", schema);
        pw_llm_close(w);
    }
    pw_llm_close(w);
}

static void put_thinking(pw_llm_writer *w)
{
    const pw_view reasoning = pw_field(w->request, "reasoning");
    const int64_t budget = pw_field_int(reasoning, "budget_tokens", 0);
    const bool none = pw_field_is(reasoning, "effort", "none");
    if (pw_view_none(reasoning) || !pw_llm_open(w, "thinking")) {
        return;
    }
    pw_llm_member_text(w, "type",
                       pw_view_of(none         ? "disabled"
                                  : budget > 0 ? "enabled"
                                               : "adaptive"));
    if (budget > 0 && !none) {
        pw_llm_member_int(w, "budget_tokens", budget);
    }
    pw_llm_close(w);
}

static void put_settings(pw_llm_writer *w)
{
    static const char *const sampling[] = {"temperature", "top_p", "top_k"};
    const bool sampled = strcmp(version_of(w), VERSION_WITHOUT_SAMPLING) < 0;
    pw_llm_member_int(w, "max_tokens",
                      pw_field_int(w->request, "max_tokens", PW_LLM_MAX_TOKENS_DEFAULT));
    for (size_t i = 0; sampled && i < PW_COUNT(sampling); i++) {
        pw_llm_member_of(w, sampling[i], sampling[i]);
    }
    pw_llm_member_of(w, "stop_sequences", "stop");
    put_thinking(w);
    put_output(w);
    if (pw_llm_open(w, "metadata")) {
        pw_llm_member_of(w, "user_id", "user");
        pw_llm_close(w);
    }
}

/* The conversation, with the mark of cache.auto on its last block, unless that has one. Blocks of ours end as the text below says. */
static void put_messages(pw_llm_writer *w, const pw_llm_frame *frame)
{
    static const char end[] = "}]}";
    static const char mark[] = "\"cache_control\":{\"type\":\"ephemeral\"";
    const pw_view m = frame->messages;
    const size_t tail = m.size < 70 ? m.size : 70;
    if (!pw_llm_key(w, "messages")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    const bool ends =
        m.size > sizeof end && memcmp(m.data + m.size - (sizeof end - 1), end, sizeof end - 1) == 0;
    if (pw_view_none(auto_mark(w)) || !ends ||
        memmem(m.data + m.size - tail, tail, mark, sizeof mark - 1) != NULL) {
        pw_buf_put(w->out, m.data, m.size);
    } else {
        pw_buf_put(w->out, m.data, m.size - (sizeof end - 1));
        put_mark(w, auto_mark(w));
        pw_llm_puts(w, end);
    }
    pw_buf_putc(w->out, ']');
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    (void)pw_llm_open(w, NULL);
    pw_llm_member_of(w, "model", "model");
    put_settings(w);
    put_tools(w);
    put_tool_choice(w);
    put_system(w);
    put_messages(w, frame);
    if (frame->ask->stream) {
        pw_llm_member_bool(w, "stream", true);
    }
    pw_llm_close(w);
    (void)pw_llm_add_header(w, frame->call, "anthropic-version", version_of(w), NULL);
}

/* ---- answers ---- */

static void read_block(pw_llm_answer *a, pw_view block)
{
    const pw_view type = pw_field_text(block, "type");
    if (pw_view_is(type, "text")) {
        const bool more = pw_llm_has_other(block, "type text");
        pw_llm_say(a, &(pw_llm_said){.type = "text",
                                     .text = pw_field_text(block, "text"),
                                     .raw = more ? block : (pw_view){NULL, 0}});
    } else if (pw_view_is(type, "thinking") || pw_view_is(type, "redacted_thinking")) {
        const pw_view text = pw_field_text(block, "thinking");
        pw_llm_say(a, &(pw_llm_said){.type = "reasoning",
                                     .text = pw_view_none(text) ? pw_view_of("") : text,
                                     .raw = block});
    } else if (pw_view_is(type, "tool_use")) {
        const bool more = pw_llm_has_other(block, "type id name input");
        pw_llm_say_call(a, &(pw_llm_tool_call){.id = pw_field_text(block, "id"),
                                               .name = pw_field_text(block, "name"),
                                               .arguments = pw_field(block, "input"),
                                               .raw = more ? block : (pw_view){NULL, 0}});
    } else {
        pw_llm_say(a, &(pw_llm_said){.type = "other", .raw = block});
    }
}

/* The provider counts what it read from the cache, and wrote to it, beside input_tokens. */
static void read_usage(pw_llm_answer *a, pw_view usage)
{
    if (pw_view_type(usage) != PAWL_MAP) {
        return;
    }
    const int64_t read = pw_field_tokens(usage, "cache_read_input_tokens");
    const int64_t written = pw_field_tokens(usage, "cache_creation_input_tokens");
    a->usage = (pw_llm_usage){
        .known = true,
        .input = pw_field_tokens(usage, "input_tokens") + read + written,
        .cache_read = read,
        .cache_write = written,
        .cache_write_1h =
            pw_field_tokens(pw_field(usage, "cache_creation"), "ephemeral_1h_input_tokens"),
        .output = pw_field_tokens(usage, "output_tokens"),
        .reasoning = pw_field_tokens(pw_field(usage, "output_tokens_details"), "thinking_tokens")};
    a->usage_raw = usage;
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view content = pw_field(response, "content");
    const pw_view error = pw_field(response, "error");
    if (!pw_view_none(error)) {
        a->status = PAWL_FAILED;
        pw_llm_failure_read(PW_LLM_WIRE_ANTHROPIC, 0, error, a->failure);
        return;
    }
    if (pw_view_type(content) != PAWL_ARRAY ||
        pw_view_none(pw_field_text(response, "stop_reason"))) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a message without content or stop_reason");
        return;
    }
    pw_each each = pw_each_of(content);
    while (pw_each_next(&each)) {
        read_block(a, each.value);
    }
    read_usage(a, pw_field(response, "usage"));
    a->id = pw_field_text(response, "id");
    a->model = pw_field_text(response, "model");
    const pw_view refused = pw_field(response, "stop_details");
    const pw_view why = pw_field_text(refused, "explanation");
    a->stop_detail = pw_field_text(response, "stop_sequence");
    a->stop_detail = !pw_view_none(a->stop_detail) ? a->stop_detail
                     : !pw_view_none(why)          ? why
                                                   : pw_field_text(refused, "category");
    pw_llm_say_stop(a, PW_LLM_WIRE_ANTHROPIC, pw_field_text(response, "stop_reason"));
}

const pw_llm_wire pw_llm_wire_anthropic = {.name = "anthropic",
                                           .kind = PW_LLM_WIRE_ANTHROPIC,
                                           .base_url = "https://api.anthropic.com",
                                           .path = "/v1/messages",
                                           .auth = "x-api-key",
                                           .message = put_message,
                                           .body = put_body,
                                           .answer = read_answer,
                                           .event = pw_llm_anthropic_event,
                                           .whole = pw_llm_anthropic_whole};
