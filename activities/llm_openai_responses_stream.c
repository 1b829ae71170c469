/*
 * llm_openai_responses_stream.c - the events of a Responses stream. The last of them carries the whole response, so little is folded:
 *
 *   response.created -> (output_item.added -> *.delta ... -> output_item.done)* -> response.completed | incomplete | failed
 *
 * root holds the id, the response, and the items that were done, for servers whose last event forgets its output; items the calls, for their
 * deltas. Events nobody knows are passed over. Does not decode: the wire's own decoder reads what whole() gives.
 */
#include <string.h>

#include "activities/llm_chat.h"
#include "sdk/base/error.h"

static void start_item(pw_llm_stream *s, pw_view event)
{
    const pw_view item = pw_field(event, "item");
    if (!pw_field_is(item, "type", "function_call")) {
        return;
    }
    pw_fold *call = pw_folds_add(s, &s->items, pw_field_int(event, "output_index", -1));
    static const char *const kept[] = {"call_id", "name"};
    for (size_t i = 0; call != NULL && i < PW_COUNT(kept); i++) {
        const pw_view value = pw_field(item, kept[i]);
        if (!pw_view_none(value)) {
            (void)pw_fold_set(s, call, pw_view_of(kept[i]), value);
        }
    }
    if (call != NULL) {
        pw_llm_emit_call(s, (size_t)(call - s->items.items), call, pw_view_of(""));
    }
}

static void take_delta(pw_llm_stream *s, pw_view type, pw_view event)
{
    static const struct {
        const char *type;
        pw_llm_delta_kind kind;
    } kinds[] = {{"response.output_text.delta", PW_LLM_DELTA_TEXT},
                 {"response.refusal.delta", PW_LLM_DELTA_REFUSAL},
                 {"response.reasoning_summary_text.delta", PW_LLM_DELTA_REASONING},
                 {"response.reasoning_text.delta", PW_LLM_DELTA_REASONING}};
    const pw_view text = pw_field_text(event, "delta");
    if (pw_view_is(type, "response.function_call_arguments.delta")) {
        const pw_fold *call = pw_folds_find(&s->items, pw_field_int(event, "output_index", -1));
        if (call != NULL) {
            pw_llm_emit_call(s, (size_t)(call - s->items.items), call, text);
        }
    }
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        if (pw_view_is(type, kinds[i].type)) {
            pw_llm_emit(s, kinds[i].kind, text);
        }
    }
}

static void take_error(pw_llm_stream *s, pw_view event)
{
    const pw_view error = pw_field(event, "error");
    s->status = PAWL_FAILED;
    pw_llm_failure_read(PW_LLM_WIRE_RESPONSES, 0, pw_view_none(error) ? event : error, &s->failure);
}

static void take_response(pw_llm_stream *s, pw_view type, pw_view response)
{
    static const char ends[] =
        "response.completed response.incomplete response.failed response.cancelled";
    const pw_view id = pw_field(response, "id");
    if (pw_view_type(response) != PAWL_MAP) {
        pw_llm_stream_fail(s, PW_LLM_BAD_RESPONSE, "event %zu is to hold a response and does not",
                           s->events);
        return;
    }
    if (!pw_view_none(id)) {
        (void)pw_fold_set(s, &s->root, pw_view_of("id"), id);
    }
    if (pw_llm_is_known(type, ends) && pw_fold_set(s, &s->root, pw_view_of("response"), response)) {
        s->complete = true;
        s->last = true;
    }
}

void pw_llm_responses_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    const pw_view said = pw_field_text(event, "type");
    type = pw_view_none(said) ? type : said;
    if (pw_view_is(type, "error") ||
        (pw_view_none(said) && !pw_view_none(pw_field(event, "error")))) {
        take_error(s, event);
    } else if (pw_view_is(type, "response.output_item.added")) {
        start_item(s, event);
    } else if (pw_view_is(type, "response.output_item.done")) {
        const pw_view item = pw_field(event, "item");
        (void)(pw_view_none(item) || pw_fold_push(s, &s->root, pw_view_of("items"), item));
    } else if (
        pw_llm_is_known(
            type,
            "response.created response.in_progress response.queued response.completed response.incomplete "
            "response.failed response.cancelled")) {
        take_response(s, type, pw_field(event, "response"));
    } else {
        take_delta(s, type, event);
    }
}

void pw_llm_responses_whole(pw_llm_stream *s, pw_buf *out)
{
    const pw_fold_entry *response = pw_fold_find(&s->root, "response");
    const pw_fold_entry *items = pw_fold_find(&s->root, "items");
    const pw_view v = {response->bytes.data, response->bytes.size};
    if (items == NULL || pw_each_of(pw_field(v, "output")).left > 0) {
        pw_buf_put(out, v.data, v.size);
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    size_t len = 1;
    pw_each each = pw_each_of(v);
    while (pw_each_next(&each)) {
        if (!pw_view_is(each.key, "output")) {
            pw_mp_strn(&pairs, (const char *)each.key.data, each.key.size);
            pw_buf_put(&pairs, each.value.data, each.value.size);
            len++;
        }
    }
    pw_mp_map(out, len);
    pw_buf_put(out, pairs.data, pairs.size);
    pw_mp_str(out, "output");
    pw_mp_array(out, items->len);
    pw_buf_put(out, items->bytes.data, items->bytes.size);
    out->failed |= pairs.failed;
}
