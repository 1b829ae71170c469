/*
 * llm_part.c - neutral parts as every wire reads them: originals, texts, images, arguments, results. Does not know any wire.
 */
#include <string.h>

#include "activities/llm_wire.h"
#include "activities/secret_form.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

/* [L1] */
pw_view pw_llm_original(const pw_llm_writer *w, pw_view message, pw_view part)
{
    const pw_view raw = pw_field(part, "raw");
    pw_view whose = pw_field_text(part, "provider");
    if (pw_view_none(whose)) {
        whose = pw_field_text(message, "provider");
    }
    const bool ours = pw_view_none(whose) || pw_view_is(whose, w->endpoint->provider);
    return ours ? raw : (pw_view){NULL, 0};
}

pw_view pw_llm_tool_original(const pw_llm_writer *w, pw_view tool)
{
    return pw_llm_original(w, (pw_view){NULL, 0}, tool);
}

/* ---- walking ---- */

pw_llm_parts pw_llm_parts_of(pw_view message)
{
    const pw_view parts = pw_field(message, "parts");
    pw_llm_parts p = {.each = pw_each_of(parts), .text = pw_field_text(message, "text")};
    p.only_text = pw_view_none(parts) && !pw_view_none(p.text);
    if (p.each.map) {
        p.each.left = 0;
    }
    return p;
}

bool pw_llm_parts_next(pw_llm_parts *parts, pw_llm_part *ret_part)
{
    if (parts->only_text) {
        parts->only_text = false;
        *ret_part = (pw_llm_part){.type = pw_view_of("text"), .text = parts->text, .covers = 1};
        return true;
    }
    if (!pw_each_next(&parts->each)) {
        return false;
    }
    const pw_view self = parts->each.value;
    const int64_t covers = pw_field_int(self, "covers", 1);
    *ret_part = (pw_llm_part){.self = self,
                              .type = pw_field_text(self, "type"),
                              .text = pw_field_text(self, "text"),
                              .covers = covers > 1 ? (size_t)covers : 1};
    if (pw_view_type(self) == PAWL_STRING) { /* a bare text is a text part */
        ret_part->type = pw_view_of("text");
        ret_part->text = pw_view_text(self);
    }
    return true;
}

void pw_llm_parts_skip(pw_llm_parts *parts, size_t count)
{
    while (count-- > 0 && pw_each_next(&parts->each)) {
    }
}

bool pw_llm_is_plain(const pw_llm_writer *w, pw_view message)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    size_t count = 0;
    while (pw_llm_parts_next(&parts, &part)) {
        if (!pw_view_is(part.type, "text") || !pw_view_none(pw_field(part.self, "cache")) ||
            !pw_view_none(pw_llm_original(w, message, part.self))) {
            return false;
        }
        count++;
    }
    return count <= 1;
}

void pw_llm_put_joined(pw_llm_writer *w, pw_view texts)
{
    if (pw_view_type(texts) == PAWL_STRING) {
        pw_llm_put_text(w, pw_view_text(texts));
        return;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf joined = PW_BUF_INIT;
    pw_view list = pw_view_type(texts) == PAWL_MAP ? pw_field(texts, "parts") : texts;
    if (pw_view_none(list)) {
        pw_llm_put_text(w, pw_field_text(texts, "text"));
        return;
    }
    pw_each each = pw_each_of(list);
    bool any = false;
    while (pw_each_next(&each)) {
        const pw_view text = pw_view_type(each.value) == PAWL_STRING
                                 ? pw_view_text(each.value)
                                 : pw_field_text(each.value, "text");
        if (any && !pw_view_none(text)) {
            pw_buf_putc(&joined, '\n');
        }
        any |= !pw_view_none(text);
        pw_buf_put(&joined, text.data, text.size);
    }
    pw_llm_put_text(w, (pw_view){joined.data, joined.size});
    w->out->failed |= joined.failed;
}

/* ---- images ---- */

pw_view pw_llm_image_mime(pw_view part)
{
    static const struct {
        const char *starts, *base64, *mime;
    } kinds[] = {{"\x89PNG", "iVBOR", "image/png"},
                 {"\xff\xd8\xff", "/9j/", "image/jpeg"},
                 {"GIF8", "R0lGOD", "image/gif"},
                 {"RIFF", "UklGR", "image/webp"}};
    const pw_view mime = pw_field_text(part, "mime");
    if (!pw_view_none(mime)) {
        return mime;
    }
    const pw_view data = pw_field(part, "data");
    const pw_view bytes = pw_view_text(data);
    const bool text = pw_view_type(data) == PAWL_STRING;
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        if (pw_view_starts(bytes, text ? kinds[i].base64 : kinds[i].starts)) {
            return pw_view_of(kinds[i].mime);
        }
    }
    return pw_view_of("image/png");
}

void pw_llm_put_image_data(pw_llm_writer *w, pw_view part)
{
    const pw_view data = pw_field(part, "data");
    const pw_view bytes = pw_view_text(data);
    if (pw_view_none(bytes)) {
        pw_llm_refuse(w, "an image needs data (this wire takes no url)");
    } else if (pw_view_type(data) == PAWL_BYTES) {
        pw_base64_put(w->out, bytes.data, bytes.size);
    } else {
        for (size_t i = 0; i < bytes.size;
             i++) { /* it stands between quotes: only the letters of base64 may */
            if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=",
                       bytes.data[i]) == NULL ||
                bytes.data[i] == 0) {
                pw_llm_refuse(w, "an image's data is not base64");
                return;
            }
        }
        pw_buf_put(w->out, bytes.data, bytes.size);
    }
}

bool pw_llm_has_image(pw_view content)
{
    pw_each each = pw_each_of(content);
    while (!each.map && pw_each_next(&each)) {
        if (pw_field_is(each.value, "type", "image")) {
            return true;
        }
    }
    return false;
}

/* ---- calls and results ---- */

void pw_llm_arguments_text(pw_llm_writer *w, pw_view part, pw_buf *ret_text)
{
    const pw_view sent = pw_field_text(part, "arguments_text");
    const pw_view value = pw_field(part, "arguments");
    if (!pw_view_none(sent)) {
        pw_buf_put(ret_text, sent.data, sent.size);
    } else if (pw_view_none(value)) {
        pw_buf_puts(ret_text, "{}");
    } else if (w->status == PAWL_OK) {
        w->status = pw_json_print(ret_text, value.data, value.size, 0, w->err);
    }
}

void pw_llm_put_arguments(pw_llm_writer *w, pw_view part)
{
    const pw_view value = pw_field(part, "arguments");
    const pw_view sent = pw_field_text(part, "arguments_text");
    if (pw_view_type(value) == PAWL_MAP) {
        pw_llm_put_json(w, value);
    } else if (!pw_view_none(sent) &&
               sent.size > 0) { /* what could not be read: the model shall see what it wrote */
        pw_buf_puts(w->out, "{\"unreadable\":");
        pw_llm_put_text(w, sent);
        pw_buf_putc(w->out, '}');
    } else {
        pw_buf_puts(w->out, "{}");
    }
}

static bool is_texts(pw_view content)
{
    pw_each each = pw_each_of(content);
    if (pw_view_type(content) != PAWL_ARRAY || each.left == 0) {
        return false;
    }
    while (pw_each_next(&each)) {
        if (!pw_field_is(each.value, "type", "text")) {
            return false;
        }
    }
    return true;
}

void pw_llm_put_result_text(pw_llm_writer *w, pw_view part)
{
    const pw_view content = pw_field(part, "content");
    if (pw_view_none(content)) {
        pw_buf_puts(w->out, "\"\"");
    } else if (pw_view_type(content) == PAWL_STRING || is_texts(content)) {
        pw_llm_put_joined(w, content);
    } else {
        PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
        if (w->status == PAWL_OK) {
            w->status = pw_json_print(&json, content.data, content.size, 0, w->err);
        }
        pw_llm_put_text(w, (pw_view){json.data, json.size});
        w->out->failed |= json.failed;
    }
}

void pw_llm_put_calls(pw_llm_writer *w, pw_view message, const char *key, pw_llm_call_fn put)
{
    pw_llm_parts parts = pw_llm_parts_of(message);
    pw_llm_part part;
    bool any = false;
    while (pw_llm_parts_next(&parts, &part)) {
        if (pw_view_is(part.type, "tool_call")) {
            pw_llm_puts(w, any ? "," : ",\"");
            pw_llm_puts(w, any ? "" : key);
            pw_llm_puts(w, any ? "" : "\":[");
            put(w, message, part.self);
            any = true;
        }
    }
    pw_llm_puts(w, any ? "]" : "");
}
