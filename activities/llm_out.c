/*
 * llm_out.c - the writer of request bodies: JSON members straight into a buffer, with the request's `extra` merged in.
 *
 * At every level a member of extra wins over ours; objects are merged member by member. So what a provider invents tomorrow can be sent
 * today. Does not know any wire.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "activities/llm_wire.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"

void pw_llm_refuse(pw_llm_writer *w, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->status == PAWL_OK) {
        w->status = pw_err(w->err, PAWL_INVALID, "%s", text);
    }
}

/* The member of extra at this level, and its number; missing when there is none. */
static pw_view extra_of(const pw_llm_writer *w, const char *key, size_t *ret_index)
{
    pw_each each = pw_each_of(w->levels[w->depth - 1].extra);
    while (pw_each_next(&each)) {
        if (each.map && pw_view_is(each.key, key)) {
            *ret_index = each.index;
            return each.value;
        }
    }
    return (pw_view){NULL, 0};
}

static void put_key(pw_llm_writer *w, pw_view key)
{
    pw_llm_level *level = &w->levels[w->depth - 1];
    if (level->any) {
        pw_buf_putc(w->out, ',');
    }
    level->any = true;
    pw_json_quote(w->out, (const char *)key.data, key.size);
    pw_buf_putc(w->out, ':');
}

bool pw_llm_key(pw_llm_writer *w, const char *key)
{
    size_t index = 0;
    if (!pw_view_none(extra_of(w, key, &index))) {
        return false;
    }
    put_key(w, pw_view_of(key));
    return true;
}

bool pw_llm_open(pw_llm_writer *w, const char *key)
{
    PW_CHECK(w->depth < PW_LLM_LEVELS_MAX);
    pw_llm_level next = {.before = w->out->size};
    if (w->depth == 0) {
        next.extra = pw_field(w->request, "extra");
    } else {
        size_t index = 0;
        const pw_view extra = extra_of(w, key, &index);
        if (!pw_view_none(extra) && (pw_view_type(extra) != PAWL_MAP || index >= 64)) {
            return false;
        }
        if (!pw_view_none(extra)) {
            w->levels[w->depth - 1].merged |= (uint64_t)1 << index;
            next.extra = extra;
        }
        next.any = w->levels[w->depth - 1].any; /* to be taken back to */
        put_key(w, pw_view_of(key));
    }
    pw_buf_putc(w->out, '{');
    const bool outer_any = next.any;
    next.any = false;
    w->levels[w->depth++] = next;
    if (w->depth > 1) {
        w->levels[w->depth - 2].any = outer_any; /* settled by close */
    }
    return true;
}

void pw_llm_close(pw_llm_writer *w)
{
    pw_llm_level *level = &w->levels[w->depth - 1];
    pw_each each = pw_each_of(level->extra);
    while (pw_each_next(&each)) {
        const bool merged = each.index < 64 && (level->merged >> each.index & 1) != 0;
        if (each.map && !merged) {
            put_key(w, each.key);
            pw_llm_put_json(w, each.value);
        }
    }
    pw_buf_putc(w->out, '}');
    w->depth--;
    if (w->depth == 0) {
        return;
    }
    if (!level->any) {
        w->out->size = w->out->failed ? w->out->size : level->before;
    } else {
        w->levels[w->depth - 1].any = true;
    }
}

void pw_llm_put_json(pw_llm_writer *w, pw_view value)
{
    if (pw_view_none(value)) {
        pw_buf_puts(w->out, "null");
    } else if (w->status == PAWL_OK) {
        w->status = pw_json_print(w->out, value.data, value.size, 0, w->err);
    }
}

void pw_llm_put_text(pw_llm_writer *w, pw_view text)
{
    pw_json_quote(w->out, text.data != NULL ? (const char *)text.data : "", text.size);
}

void pw_llm_puts(pw_llm_writer *w, const char *json)
{
    pw_buf_puts(w->out, json);
}

void pw_llm_member_text(pw_llm_writer *w, const char *key, pw_view text)
{
    if (!pw_view_none(text) && pw_llm_key(w, key)) {
        pw_llm_put_text(w, text);
    }
}

void pw_llm_member_int(pw_llm_writer *w, const char *key, int64_t n)
{
    if (pw_llm_key(w, key)) {
        pw_buf_printf(w->out, "%lld", (long long)n);
    }
}

void pw_llm_member_bool(pw_llm_writer *w, const char *key, bool b)
{
    if (pw_llm_key(w, key)) {
        pw_buf_puts(w->out, b ? "true" : "false");
    }
}

void pw_llm_member_json(pw_llm_writer *w, const char *key, pw_view value)
{
    if (!pw_view_none(value) && pw_llm_key(w, key)) {
        pw_llm_put_json(w, value);
    }
}

void pw_llm_member_of(pw_llm_writer *w, const char *key, const char *name)
{
    pw_llm_member_json(w, key, pw_field(w->request, name));
}
