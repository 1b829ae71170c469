/*
 * llm_gemini.c - Gemini generateContent: requests and answers. The stream is llm_gemini_stream.c.
 *
 *   model           -> part of the path; of an endpoint's own path, in the place of {model}
 *   calls           -> by name; an id goes along only when the provider gave it: ids of ours (`minted`) begin with "pawl_" and stay here
 *   signatures      -> part of the original of a part, and back where they were; a call of another provider's has none, and
 *                      options.foreign_signature is sent in its place when it is set, since newer models refuse a call without
 *   system          -> systemInstruction; a system message in the middle -> a user message
 *
 * Does not upload files, and does not create cached contents: cache.name names one.
 */
#include <string.h>

#include "activities/llm_gemini.h"
#include "activities/secret_form.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"

#define PATH_DEFAULT "/v1beta/models/{model}"

/* ---- parts ---- */

static void put_text(pw_llm_writer *w, pw_view text)
{
    pw_llm_puts(w, "{\"text\":");
    pw_llm_put_text(w, text);
    pw_buf_putc(w->out, '}');
}

static void put_image(pw_llm_writer *w, pw_view part)
{
    const pw_view url = pw_field_text(part, "url");
    pw_llm_puts(w, pw_view_none(url) ? "{\"inlineData\":{\"mimeType\":"
                                     : "{\"fileData\":{\"mimeType\":");
    pw_llm_put_text(w, pw_llm_image_mime(part));
    if (pw_view_none(url)) {
        pw_llm_puts(w, ",\"data\":\"");
        pw_llm_put_image_data(w, part);
        pw_buf_putc(w->out, '"');
    } else {
        pw_llm_puts(w, ",\"fileUri\":");
        pw_llm_put_text(w, url);
    }
    pw_llm_puts(w, "}}");
}

static void put_id(pw_llm_writer *w, pw_view part)
{
    const pw_view id = pw_field_text(part, "id");
    if (id.size > 0 && !pw_view_starts(id, PW_LLM_MINTED)) {
        pw_llm_puts(w, "\"id\":");
        pw_llm_put_text(w, id);
        pw_buf_putc(w->out, ',');
    }
}

static void put_call(pw_llm_writer *w, pw_view part)
{
    const pw_view signature = pw_field_text(w->endpoint->options, "foreign_signature");
    pw_llm_puts(w, "{\"functionCall\":{");
    put_id(w, part);
    pw_llm_puts(w, "\"name\":");
    pw_llm_put_text(w, pw_field_text(part, "name"));
    pw_llm_puts(w, ",\"args\":");
    pw_llm_put_arguments(w, part);
    pw_buf_putc(w->out, '}');
    if (!pw_view_none(signature)) {
        pw_llm_puts(w, ",\"thoughtSignature\":");
        pw_llm_put_text(w, signature);
    }
    pw_buf_putc(w->out, '}');
}

/* The response must be an object: a map is one, anything else stands in one. */
static void put_result(pw_llm_writer *w, pw_view part)
{
    const pw_view content = pw_field(part, "content");
    const pw_view name = pw_field_text(part, "name");
    const bool error = pw_field_bool(part, "is_error", false);
    if (pw_view_none(name)) {
        pw_llm_refuse(w, "a tool_result needs the name of its tool here");
    }
    pw_llm_puts(w, "{\"functionResponse\":{");
    put_id(w, part);
    pw_llm_puts(w, "\"name\":");
    pw_llm_put_text(w, name);
    pw_llm_puts(w, ",\"response\":");
    if (pw_view_type(content) == PAWL_MAP && !error) {
        pw_llm_put_json(w, content);
    } else {
        pw_llm_puts(w, error ? "{\"error\":" : "{\"output\":");
        pw_llm_put_result_text(w, part);
        pw_buf_putc(w->out, '}');
    }
    pw_llm_puts(w, "}}");
    pw_each each = pw_each_of(pw_llm_has_image(content) ? content : (pw_view){NULL, 0});
    while (pw_each_next(&each)) {
        if (pw_field_is(each.value, "type", "image")) {
            pw_buf_putc(w->out, ',');
            put_image(w, each.value);
        }
    }
}

/* One part; false when it has no form here, and nothing was written. */
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
        put_text(w, part->text);
    } else {
        return false;
    }
    return true;
}

static void put_message(pw_llm_writer *w, pw_view message)
{
    const size_t start = w->out->size;
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    pw_llm_puts(w, pw_field_is(message, "role", "assistant") ? "{\"role\":\"model\",\"parts\":["
                                                             : "{\"role\":\"user\",\"parts\":[");
    while (pw_llm_parts_next(&parts, &part)) {
        const size_t before = w->out->size;
        const pw_view raw = pw_llm_original(w, message, part.self);
        pw_llm_puts(w, any ? "," : "");
        if (put_part(w, &part, raw)) {
            any = true;
            pw_llm_parts_skip(&parts, pw_view_none(raw) ? 0 : part.covers - 1);
        } else if (!w->out->failed) {
            w->out->size = before;
        }
    }
    pw_llm_puts(w, "]}");
    if (!any && !w->out->failed) {
        w->out->size = start;
    }
}

/* ---- bodies ---- */

static void put_system(pw_llm_writer *w)
{
    const pw_view system = pw_field(w->request, "system");
    if (!pw_view_none(system) && pw_llm_key(w, "systemInstruction")) {
        pw_llm_puts(w, "{\"parts\":[{\"text\":");
        pw_llm_put_joined(w, system);
        pw_llm_puts(w, "}]}");
    }
}

static void put_function(pw_llm_writer *w, pw_view tool)
{
    const pw_view description = pw_field_text(tool, "description");
    const pw_view schema = pw_field(tool, "schema");
    pw_llm_puts(w, "{\"name\":");
    pw_llm_put_text(w, pw_field_text(tool, "name"));
    if (!pw_view_none(description)) {
        pw_llm_puts(w, ",\"description\":");
        pw_llm_put_text(w, description);
    }
    if (!pw_view_none(schema)) {
        pw_llm_puts(w, ",\"parametersJsonSchema\":");
        pw_llm_put_json(w, schema);
    }
    pw_buf_putc(w->out, '}');
}

/* Functions in one element, and each original as an element of its own. */
static void put_tools(pw_llm_writer *w)
{
    const pw_view tools = pw_field(w->request, "tools");
    pw_each each = pw_each_of(tools);
    size_t functions = 0;
    if (each.left == 0 || !pw_llm_key(w, "tools")) {
        return;
    }
    pw_buf_putc(w->out, '[');
    while (pw_each_next(&each)) {
        if (pw_view_none(pw_llm_tool_original(w, each.value))) {
            pw_llm_puts(w, functions++ > 0 ? "," : "{\"functionDeclarations\":[");
            put_function(w, each.value);
        }
    }
    pw_llm_puts(w, functions > 0 ? "]}" : "");
    bool any = functions > 0;
    each = pw_each_of(tools);
    while (pw_each_next(&each)) {
        const pw_view raw = pw_llm_tool_original(w, each.value);
        if (!pw_view_none(raw)) {
            pw_llm_puts(w, any ? "," : "");
            pw_llm_put_json(w, raw);
            any = true;
        }
    }
    pw_buf_putc(w->out, ']');
}

static void put_tool_choice(pw_llm_writer *w)
{
    static const struct {
        const char *said, *sent;
    } words[] = {{"auto", "AUTO"}, {"none", "NONE"}, {"required", "ANY"}};
    const pw_view choice = pw_field(w->request, "tool_choice");
    const pw_view name = pw_field_text(choice, "name");
    const char *mode = pw_view_none(name) ? "AUTO" : "ANY";
    for (size_t i = 0; pw_view_type(choice) == PAWL_STRING && i < PW_COUNT(words); i++) {
        mode = pw_view_is(pw_view_text(choice), words[i].said) ? words[i].sent : mode;
    }
    if (pw_view_none(choice) || !pw_llm_open(w, "toolConfig")) {
        return;
    }
    if (pw_llm_open(w, "functionCallingConfig")) {
        pw_llm_member_text(w, "mode", pw_view_of(mode));
        if (!pw_view_none(name) && pw_llm_key(w, "allowedFunctionNames")) {
            pw_buf_putc(w->out, '[');
            pw_llm_put_text(w, name);
            pw_buf_putc(w->out, ']');
        }
        pw_llm_close(w);
    }
    pw_llm_close(w);
}

static void put_thinking(pw_llm_writer *w)
{
    const pw_view reasoning = pw_field(w->request, "reasoning");
    const pw_view effort = pw_field_text(reasoning, "effort");
    const bool none = pw_view_is(effort, "none");
    if (pw_view_none(reasoning) || !pw_llm_open(w, "thinkingConfig")) {
        return;
    }
    if (none) {
        pw_llm_member_int(w, "thinkingBudget", 0);
    } else if (!pw_view_none(pw_field(reasoning, "budget_tokens"))) {
        pw_llm_member_json(w, "thinkingBudget", pw_field(reasoning, "budget_tokens"));
    } else {
        const bool most = pw_view_is(effort, "max") || pw_view_is(effort, "xhigh");
        pw_llm_member_text(w, "thinkingLevel", most ? pw_view_of("high") : effort);
    }
    pw_llm_member_json(w, "includeThoughts", pw_field(reasoning, "include"));
    pw_llm_close(w);
}

static void put_settings(pw_llm_writer *w)
{
    static const struct {
        const char *sent, *said;
    } same[] = {{"maxOutputTokens", "max_tokens"},
                {"temperature", "temperature"},
                {"topP", "top_p"},
                {"topK", "top_k"},
                {"seed", "seed"},
                {"stopSequences", "stop"}};
    const pw_view response = pw_field(w->request, "response");
    if (!pw_llm_open(w, "generationConfig")) {
        return;
    }
    for (size_t i = 0; i < PW_COUNT(same); i++) {
        pw_llm_member_of(w, same[i].sent, same[i].said);
    }
    if (!pw_view_none(response)) {
        pw_llm_member_text(w, "responseMimeType", pw_view_of("application/json"));
        pw_llm_member_json(w, "responseJsonSchema", pw_field(response, "schema"));
    }
    put_thinking(w);
    pw_llm_close(w);
}

/* "models/x" or "x", percent-encoded, in the place of {model}; then what is asked of it. */
static const char *path_of(const pw_llm_writer *w, const pw_llm_frame *frame)
{
    static const char place[] = "{model}";
    static const char prefix[] = "models/";
    PW_CLEANUP(pw_buf_deinit) pw_buf path = PW_BUF_INIT;
    const char *form = w->endpoint->path != NULL ? w->endpoint->path : PATH_DEFAULT;
    const char *at = strstr(form, place);
    pw_view model = pw_field_text(w->request, "model");
    if (pw_view_starts(model, prefix)) {
        model = (pw_view){model.data + sizeof prefix - 1, model.size - (sizeof prefix - 1)};
    }
    pw_buf_put(&path, form, at != NULL ? (size_t)(at - form) : strlen(form));
    if (at != NULL) {
        pw_percent_put(&path, (const char *)model.data, model.size);
        pw_buf_puts(&path, at + sizeof place - 1);
    }
    pw_buf_puts(&path, frame->ask->stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
    return pw_buf_ok(&path) ? pw_strndup(frame->ask->scope, (const char *)path.data, path.size)
                            : NULL;
}

static void put_body(pw_llm_writer *w, const pw_llm_frame *frame)
{
    frame->call->path = path_of(w, frame);
    (void)pw_llm_open(w, NULL);
    put_system(w);
    if (pw_llm_key(w, "contents")) {
        pw_buf_putc(w->out, '[');
        pw_buf_put(w->out, frame->messages.data, frame->messages.size);
        pw_buf_putc(w->out, ']');
    }
    put_tools(w);
    put_tool_choice(w);
    put_settings(w);
    pw_llm_member_text(w, "cachedContent", pw_field_text(pw_field(w->request, "cache"), "name"));
    pw_llm_close(w);
}

/* ---- answers ---- */

static void read_part(pw_llm_answer *a, pw_view part)
{
    const pw_view call = pw_field(part, "functionCall");
    const pw_view text = pw_field_text(part, "text");
    if (pw_view_type(call) == PAWL_MAP) {
        const bool more =
            pw_llm_has_other(part, "functionCall") || pw_llm_has_other(call, "id name args");
        pw_llm_say_call(a, &(pw_llm_tool_call){.id = pw_field_text(call, "id"),
                                               .name = pw_field_text(call, "name"),
                                               .arguments = pw_field(call, "args"),
                                               .raw = more ? part : (pw_view){NULL, 0}});
    } else if (!pw_view_none(text)) {
        const bool more = pw_llm_has_other(part, "text thought");
        pw_llm_say(
            a, &(pw_llm_said){.type = pw_field_bool(part, "thought", false) ? "reasoning" : "text",
                              .text = text,
                              .raw = more ? part : (pw_view){NULL, 0}});
    } else {
        pw_llm_say(a, &(pw_llm_said){.type = "other", .raw = part});
    }
}

/* Thoughts are counted beside the candidates, and what tools put into the prompt beside the prompt. */
static void read_usage(pw_llm_answer *a, pw_view usage)
{
    if (pw_view_type(usage) != PAWL_MAP) {
        return;
    }
    const int64_t thoughts = pw_field_tokens(usage, "thoughtsTokenCount");
    a->usage = (pw_llm_usage){.known = true,
                              .input = pw_field_tokens(usage, "promptTokenCount") +
                                       pw_field_tokens(usage, "toolUsePromptTokenCount"),
                              .cache_read = pw_field_tokens(usage, "cachedContentTokenCount"),
                              .output = pw_field_tokens(usage, "candidatesTokenCount") + thoughts,
                              .reasoning = thoughts};
    a->usage_raw = usage;
}

static void read_candidate(pw_llm_answer *a, pw_view candidate)
{
    pw_each parts = pw_each_of(pw_field_in(candidate, "content", "parts"));
    while (!parts.map && pw_each_next(&parts)) {
        read_part(a, parts.value);
    }
    pw_each each = pw_each_of(candidate);
    while (pw_each_next(&each)) {
        if (!pw_llm_is_known(each.key, PW_LLM_GEMINI_KNOWN)) {
            pw_llm_say_rest(a, each.key, each.value);
        }
    }
    a->stop_detail = pw_field_text(candidate, "finishMessage");
    pw_llm_say_stop(a, PW_LLM_WIRE_GEMINI, pw_field_text(candidate, "finishReason"));
}

static void read_answer(pw_llm_answer *a, pw_view response)
{
    const pw_view error = pw_field(response, "error");
    const pw_view blocked = pw_field_text(pw_field(response, "promptFeedback"), "blockReason");
    pw_each candidates = pw_each_of(pw_field(response, "candidates"));
    if (!pw_view_none(error)) {
        a->status = PAWL_FAILED;
        pw_llm_failure_read(PW_LLM_WIRE_GEMINI, 0, error, a->failure);
        return;
    }
    if (!pw_view_none(blocked)) {
        pw_llm_answer_fail(a, PW_LLM_FILTER, "the prompt was blocked: %.*s",
                           (int)(blocked.size < 100 ? blocked.size : 100),
                           (const char *)blocked.data);
        return;
    }
    if (candidates.map || !pw_each_next(&candidates) ||
        pw_view_none(pw_field_text(candidates.value, "finishReason"))) {
        pw_llm_answer_fail(a, PW_LLM_BAD_RESPONSE, "a response without candidates[0].finishReason");
        return;
    }
    read_candidate(a, candidates.value);
    read_usage(a, pw_field(response, "usageMetadata"));
    a->id = pw_field_text(response, "responseId");
    a->model = pw_field_text(response, "modelVersion");
}

const pw_llm_wire pw_llm_wire_gemini = {.name = "gemini",
                                        .kind = PW_LLM_WIRE_GEMINI,
                                        .base_url = "https://generativelanguage.googleapis.com",
                                        .path = PATH_DEFAULT,
                                        .auth = "x-goog-api-key",
                                        .message = put_message,
                                        .body = put_body,
                                        .answer = read_answer,
                                        .event = pw_llm_gemini_event,
                                        .whole = pw_llm_gemini_whole};
