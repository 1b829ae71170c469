/*
 * llm_openai_chat_stream.c - the chunks of a chat completion, folded into the completion they are pieces of.
 *
 *   data: {"choices":[{"index":0,"delta":{...},"finish_reason":null}]} ...  {"choices":[],"usage":{...}}  [DONE]
 *
 * Of several choices only the first is kept. A server that forgets [DONE] or the usage has still answered once a finish_reason came. Calls go
 * by index; some servers give every call the index 0 and another id. Does not decode: the wire's own decoder reads what whole() gives.
 */
#include <string.h>

#include "activities/llm_chat.h"
#include "sdk/base/error.h"

static pw_fold *call_of(pw_llm_stream *s, pw_view piece)
{
    const pw_view id = pw_field_text(piece, "id");
    const int64_t index =
        pw_field_int(piece, "index",
                     s->items.len > 0 && id.size == 0 ? s->items.items[s->items.len - 1].index
                                                      : (int64_t)s->items.len);
    pw_fold *call = pw_folds_find(&s->items, index);
    if (call != NULL && id.size > 0) {
        const pw_view known = pw_fold_text(call, "id");
        call = known.size == 0 || pw_view_eq(known, id) ? call : NULL;
    }
    return call != NULL ? call : pw_folds_add(s, &s->items, index);
}

/* A name comes once, or again and again, or in pieces. */
static bool take_name(pw_llm_stream *s, pw_fold *call, pw_view name)
{
    const pw_view known = pw_fold_text(call, "name");
    return name.size == 0 || pw_view_eq(known, name) ||
           pw_fold_append(s, call, pw_view_of("name"), name);
}

static void take_call(pw_llm_stream *s, pw_view piece)
{
    const pw_view function = pw_field(piece, "function");
    const pw_view id = pw_field_text(piece, "id");
    const pw_view arguments = pw_field(function, "arguments");
    pw_fold *call = pw_view_type(piece) == PAWL_MAP ? call_of(s, piece) : NULL;
    if (call == NULL) {
        return;
    }
    bool ok = id.size == 0 || pw_fold_set(s, call, pw_view_of("id"), pw_field(piece, "id"));
    ok = ok && take_name(s, call, pw_field_text(function, "name"));
    ok = ok && pw_fold_merge(s, call, pw_view_of("arguments"), arguments);
    ok = ok && (pw_view_none(pw_field(piece, "type")) ||
                pw_fold_set(s, call, pw_view_of("type"), pw_field(piece, "type")));
    ok = ok && pw_fold_merge_all(s, call, piece, "id index type function name arguments");
    if (ok) {
        pw_llm_emit_call(s, (size_t)(call - s->items.items), call,
                         pw_view_type(arguments) == PAWL_STRING ? pw_view_text(arguments)
                                                                : pw_view_of(""));
    }
}

static void take_delta(pw_llm_stream *s, pw_view delta)
{
    pw_each each = pw_each_of(delta);
    while (each.map && pw_each_next(&each) && s->status == PAWL_OK) {
        const pw_view text =
            pw_view_type(each.value) == PAWL_STRING ? pw_view_text(each.value) : (pw_view){NULL, 0};
        if (pw_view_is(each.key, "tool_calls")) {
            pw_each calls = pw_each_of(each.value);
            while (!calls.map && pw_each_next(&calls) && s->status == PAWL_OK) {
                take_call(s, calls.value);
            }
        } else if (pw_view_is(each.key, "role")) {
            (void)pw_fold_set(s, &s->message, each.key, each.value);
        } else if (pw_fold_merge(s, &s->message, each.key, each.value)) {
            const bool thought = pw_view_is(each.key, "reasoning_content") ||
                                 (pw_view_is(each.key, "reasoning") &&
                                  pw_view_none(pw_fold_text(&s->message, "reasoning_content")));
            if (pw_view_is(each.key, "content") || pw_view_is(each.key, "refusal") || thought) {
                pw_llm_emit(s,
                            thought                           ? PW_LLM_DELTA_REASONING
                            : pw_view_is(each.key, "content") ? PW_LLM_DELTA_TEXT
                                                              : PW_LLM_DELTA_REFUSAL,
                            text);
            }
        }
    }
}

void pw_llm_chat_event(pw_llm_stream *s, pw_view type, pw_view event)
{
    (void)type;
    pw_each root = pw_each_of(event);
    while (pw_each_next(&root) && s->status == PAWL_OK) {
        const bool kept = pw_view_is(root.key, "id") || pw_view_is(root.key, "model") ||
                          pw_view_is(root.key, "usage");
        if (kept && pw_view_type(root.value) != PAWL_NIL) {
            (void)pw_fold_set(s, &s->root, root.key, root.value);
        }
    }
    pw_each choices = pw_each_of(pw_field(event, "choices"));
    while (!choices.map && pw_each_next(&choices) && s->status == PAWL_OK) {
        if (pw_field_int(choices.value, "index", 0) != 0) {
            continue;
        }
        take_delta(s, pw_field(choices.value, "delta"));
        const pw_view finish = pw_field(choices.value, "finish_reason");
        if (!pw_view_none(finish) &&
            pw_fold_set(s, &s->root, pw_view_of("finish_reason"), finish)) {
            s->complete = true;
        }
    }
}

static void put_call(const pw_fold *call, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf pairs = PW_BUF_INIT;
    size_t len = 1;
    pw_fold_write(call, "name arguments", &pairs, &len);
    pw_mp_map(out, len);
    pw_buf_put(out, pairs.data, pairs.size);
    pw_mp_str(out, "function");
    pw_mp_map(out, 2);
    const pw_fold_entry *arguments = pw_fold_find(call, "arguments");
    const pw_view name = pw_fold_text(call, "name");
    pw_mp_str(out, "name");
    pw_mp_strn(out, (const char *)name.data, name.size);
    pw_mp_str(out, "arguments");
    if (arguments != NULL && arguments->kind == PW_FOLD_VALUE) {
        pw_buf_put(out, arguments->bytes.data, arguments->bytes.size);
    } else {
        const pw_view text = pw_fold_text(call, "arguments");
        pw_mp_strn(out, (const char *)text.data, text.size);
    }
    out->failed |= pairs.failed;
}

void pw_llm_chat_whole(pw_llm_stream *s, pw_buf *out)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf message = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf root = PW_BUF_INIT;
    size_t message_len = 1;
    size_t root_len = 1;
    pw_fold_write(&s->message, "tool_calls", &message, &message_len);
    pw_fold_write(&s->root, "finish_reason choices", &root, &root_len);
    const pw_view finish = pw_fold_text(&s->root, "finish_reason");
    pw_mp_map(out, root_len);
    pw_buf_put(out, root.data, root.size);
    pw_mp_str(out, "choices");
    pw_mp_array(out, 1);
    pw_mp_map(out, 2);
    pw_mp_str(out, "finish_reason");
    pw_mp_strn(out, (const char *)finish.data, finish.size);
    pw_mp_str(out, "message");
    pw_mp_map(out, message_len);
    pw_buf_put(out, message.data, message.size);
    pw_mp_str(out, "tool_calls");
    pw_mp_array(out, s->items.len);
    for (size_t i = 0; i < s->items.len; i++) {
        put_call(&s->items.items[i], out);
    }
    out->failed |= message.failed || root.failed;
}
