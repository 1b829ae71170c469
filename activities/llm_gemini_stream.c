/*
 * llm_gemini_stream.c - the chunks of a Gemini stream: each is a response whose parts come after those of the one before.
 *
 * root holds the response, message the candidate, items the parts. A text that follows a text of the same kind continues it, unless one of
 * them carries more (a signature): then it is a part of its own, so that what goes back is what came. There is no last event.
 * Does not decode: the wire's own decoder reads what whole() gives.
 */
#include <string.h>

#include "activities/llm_gemini.h"
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

/* index of a fold: what may continue it. */
enum { WHOLE = -1, TEXT = 0, THOUGHT = 1 };

static int64_t kind_of(pw_view part)
{
    if (pw_view_none(pw_field_text(part, "text")) || pw_llm_has_other(part, "text thought")) {
        return WHOLE;
    }
    return pw_field_bool(part, "thought", false) ? THOUGHT : TEXT;
}

static void emit_call(pw_llm_stream *s, pw_fold *fold, pw_view call)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pw_fold named = {.entries = NULL};
    const pw_view args = pw_field(call, "args");
    size_t number = 0;
    pawl_error err;
    for (const pw_fold *item = s->items.items; item < fold; item++) {
        number += pw_fold_find(item, "functionCall") != NULL;
    }
    take_map(s, &named, call, "args");
    if (!pw_view_none(args) && pw_json_print(&text, args.data, args.size, 0, &err) == PAWL_OK) {
        pw_llm_emit_call(s, number, &named, (pw_view){text.data, text.size});
    }
    pw_fold_deinit(&named);
}

static void take_part(pw_llm_stream *s, pw_view part)
{
    const int64_t kind = kind_of(part);
    const pw_view text = pw_field_text(part, "text");
    pw_fold *last = s->items.len > 0 ? &s->items.items[s->items.len - 1] : NULL;
    if (kind != WHOLE && last != NULL && last->index == kind) {
        (void)pw_fold_append(s, last, pw_view_of("text"), text);
    } else if (kind == WHOLE || text.size > 0) {
        last = pw_folds_add(s, &s->items, kind);
        if (last == NULL) {
            return;
        }
        take_map(s, last, part, "");
    }
    pw_llm_emit(s,
                pw_field_bool(part, "thought", false) ? PW_LLM_DELTA_REASONING : PW_LLM_DELTA_TEXT,
                text);
    if (last != NULL && s->fn != NULL && !pw_view_none(pw_field(part, "functionCall"))) {
        emit_call(s, last, pw_field(part, "functionCall"));
    }
}

void pw_llm_gemini_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    (void)type;
    take_map(s, &s->root, event, "candidates");
    s->complete |= !pw_view_none(pw_field_text(pw_field(event, "promptFeedback"), "blockReason"));
    pw_each candidates = pw_each_of(pw_field(event, "candidates"));
    while (!candidates.map && pw_each_next(&candidates) && s->status == PAWL_OK) {
        if (pw_field_int(candidates.value, "index", 0) != 0) {
            continue;
        }
        pw_each parts = pw_each_of(pw_field_in(candidates.value, "content", "parts"));
        while (!parts.map && pw_each_next(&parts) && s->status == PAWL_OK) {
            take_part(s, parts.value);
        }
        take_map(s, &s->message, candidates.value, "content");
        s->complete |= !pw_view_none(pw_field_text(candidates.value, "finishReason"));
    }
}

static void put_candidate(pw_llm_stream *s, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    size_t len = 1;
    pw_fold_write(&s->message, "", &pairs, &len);
    pw_mp_map(out, len);
    pw_buf_put(out, pairs.data, pairs.size);
    pw_mp_str(out, "content");
    pw_mp_map(out, 1);
    pw_mp_str(out, "parts");
    pw_mp_array(out, s->items.len);
    for (size_t i = 0; i < s->items.len; i++) {
        PW_CLEANUP(pw_buf_deinit) pw_buf part = PW_BUF_INIT;
        size_t fields = 0;
        pw_fold_write(&s->items.items[i], "", &part, &fields);
        pw_mp_map(out, fields);
        pw_buf_put(out, part.data, part.size);
        out->failed |= part.failed;
    }
    out->failed |= pairs.failed;
}

void pw_llm_gemini_whole(pw_llm_stream *s, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf root = PW_BUF_INIT;
    size_t len = 1;
    pw_fold_write(&s->root, "", &root, &len);
    pw_mp_map(out, len);
    pw_buf_put(out, root.data, root.size);
    pw_mp_str(out, "candidates");
    pw_mp_array(out, 1);
    put_candidate(s, out);
    out->failed |= root.failed;
}
