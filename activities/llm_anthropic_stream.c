/*
 * llm_anthropic_stream.c - the events of an Anthropic stream, folded into the message that they are pieces of.
 *
 *   message_start -> (content_block_start -> content_block_delta* -> content_block_stop)* -> message_delta -> message_stop
 *
 * root holds the message, items its blocks by index, message the usage, whose numbers are totals so far. The input of a tool comes as
 * pieces of JSON text, kept as `partial_json` until the end. Events and deltas nobody knows are passed over, or kept as fields of their block.
 * Does not decode: the wire's own decoder reads what whole() gives.
 */
#include <string.h>

#include "activities/llm_anthropic.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

static void take_map(pw_llm_stream *s, pw_fold *fold, pw_view map, const char *but)
{
    pw_each each = pw_each_of(map);
    while (each.map && pw_each_next(&each) && s->status == PAWL_OK) {
        if (!pw_llm_is_known(each.key, but) && pw_view_type(each.value) != PAWL_NIL) {
            (void)pw_fold_set(s, fold, each.key, each.value);
        }
    }
}

/* Which of the calls it is. */
static size_t call_number(const pw_llm_stream *s, const pw_fold *call)
{
    size_t n = 0;
    for (const pw_fold *item = s->items.items; item < call; item++) {
        n += pw_view_is(pw_fold_text(item, "type"), "tool_use");
    }
    return n;
}

static void start_block(pw_llm_stream *s, pw_view event)
{
    const pw_view block = pw_field(event, "content_block");
    const int64_t index = pw_field_int(event, "index", (int64_t)s->items.len);
    if (pw_view_type(block) != PAWL_MAP || pw_folds_find(&s->items, index) != NULL) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE,
                           "event %zu starts no block, or one that had begun", s->events);
        return;
    }
    pw_fold *fold = pw_folds_add(s, &s->items, index);
    if (fold == NULL) {
        return;
    }
    take_map(s, fold, block, "");
    if (pw_field_is(block, "type", "tool_use")) {
        pw_llm_emit_call(s, call_number(s, fold), fold, pw_view_of(""));
    } else {
        pw_llm_emit(s, PW_LLM_DELTA_TEXT, pw_field_text(block, "text"));
        pw_llm_emit(s, PW_LLM_DELTA_REASONING, pw_field_text(block, "thinking"));
    }
}

/* Text that belongs to the field `to` of the block. */
static void grow(pw_llm_stream *s, pw_fold *block, const char *to, pw_view text)
{
    if (!pw_view_none(text)) {
        (void)pw_fold_append(s, block, pw_view_of(to), text);
    }
}

static void take_delta(pw_llm_stream *s, pw_view event)
{
    const pw_view delta = pw_field(event, "delta");
    const pw_view type = pw_field_text(delta, "type");
    pw_fold *block = pw_folds_find(&s->items, pw_field_int(event, "index", -1));
    if (block == NULL) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "event %zu continues a block that never began",
                           s->events);
        return;
    }
    if (pw_view_is(type, "text_delta")) {
        grow(s, block, "text", pw_field_text(delta, "text"));
        pw_llm_emit(s, PW_LLM_DELTA_TEXT, pw_field_text(delta, "text"));
    } else if (pw_view_is(type, "thinking_delta")) {
        grow(s, block, "thinking", pw_field_text(delta, "thinking"));
        pw_llm_emit(s, PW_LLM_DELTA_REASONING, pw_field_text(delta, "thinking"));
    } else if (pw_view_is(type, "signature_delta")) {
        grow(s, block, "signature", pw_field_text(delta, "signature"));
    } else if (pw_view_is(type, "input_json_delta")) {
        grow(s, block, "partial_json", pw_field_text(delta, "partial_json"));
        if (pw_view_is(pw_fold_text(block, "type"), "tool_use")) {
            pw_llm_emit_call(s, call_number(s, block), block, pw_field_text(delta, "partial_json"));
        }
    } else if (pw_view_is(type, "citations_delta")) {
        const pw_view citation = pw_field(delta, "citation");
        (void)(pw_view_none(citation) || pw_fold_push(s, block, pw_view_of("citations"), citation));
    } else {
        (void)pw_fold_merge_all(s, block, delta, "type");
    }
}

static void take_end(pw_llm_stream *s, pw_view event)
{
    take_map(s, &s->root, pw_field(event, "delta"), "");
    take_map(s, &s->message, pw_field(event, "usage"), "");
    s->complete |= !pw_view_none(pw_field_in(event, "delta", "stop_reason"));
}

void pw_llm_anthropic_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    const pw_view said = pw_field_text(event, "type");
    type = pw_view_none(said) ? type : said;
    if (pw_view_is(type, "message_start")) {
        take_map(s, &s->root, pw_field(event, "message"), "content usage");
        take_map(s, &s->message, pw_field_in(event, "message", "usage"), "");
    } else if (pw_view_is(type, "content_block_start")) {
        start_block(s, event);
    } else if (pw_view_is(type, "content_block_delta")) {
        take_delta(s, event);
    } else if (pw_view_is(type, "message_delta")) {
        take_end(s, event);
    } else if (pw_view_is(type, "message_stop")) {
        s->last = true;
    }
}

/* The input of a tool: JSON, or the text that was to be JSON, which the decoder knows how to tell. */
static void put_input(pw_buf *out, pw_view text)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf value = PW_BUF_INIT;
    pawl_error err;
    pw_mp_str(out, "input");
    if (text.size == 0) {
        pw_mp_map(out, 0);
    } else if (pw_json_parse(&value, (const char *)text.data, text.size, PW_JSON_LENIENT, NULL,
                             &err) == PAWL_OK) {
        pw_buf_put(out, value.data, value.size);
    } else {
        pw_mp_strn(out, (const char *)text.data, text.size);
    }
    out->failed |= value.failed;
}

static void put_block(const pw_fold *block, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    const bool tool = pw_fold_find(block, "partial_json") != NULL;
    size_t len = tool ? 1 : 0;
    pw_fold_write(block, tool ? "partial_json input" : "", &pairs, &len);
    pw_mp_map(out, len);
    pw_buf_put(out, pairs.data, pairs.size);
    if (tool) {
        put_input(out, pw_fold_text(block, "partial_json"));
    }
    out->failed |= pairs.failed;
}

void pw_llm_anthropic_whole(pw_llm_stream *s, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf root = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf usage = PW_BUF_INIT;
    size_t root_len = 1;
    size_t usage_len = 0;
    pw_fold_write(&s->message, "", &usage, &usage_len);
    root_len += usage_len > 0 ? 1 : 0;
    pw_fold_write(&s->root, "", &root, &root_len);
    pw_mp_map(out, root_len);
    pw_buf_put(out, root.data, root.size);
    if (usage_len > 0) {
        pw_mp_str(out, "usage");
        pw_mp_map(out, usage_len);
        pw_buf_put(out, usage.data, usage.size);
    }
    pw_mp_str(out, "content");
    pw_mp_array(out, s->items.len);
    for (size_t i = 0; i < s->items.len; i++) {
        put_block(&s->items.items[i], out);
    }
    out->failed |= root.failed || usage.failed;
}
