/*
 * cli_value.c - values for people: no braces, no quotes, aligned.
 *
 *   name: Ada                 Strings stand as they are, maps as "key: value" lines with the values aligned, what is nested is
 *   tags:                     indented. The program's JSON output is the place for exactness; this is for eyes.
 *     - a
 *
 * Does not recurse deeper than values nest (PW_DEPTH_MAX), and shows what is nested deeper than LEVELS_MAX on one line.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"

#define LEVELS_MAX 12
#define KEY_COLUMNS_MAX 24

static bool is_nested(const pawl_value *v)
{
    pawl_type t = pawl_typeof(v);
    return (t == PAWL_MAP || t == PAWL_ARRAY) && pawl_len(v) > 0;
}

/* A scalar as plain text. */
static void scalar(pw_buf *b, const pawl_value *v)
{
    char size[32];
    size_t bytes = 0;
    switch (pawl_typeof(v)) {
    case PAWL_NIL:
        pw_buf_puts(b, "null");
        return;
    case PAWL_BOOL:
        pw_buf_puts(b, pawl_bool(v, "", false) ? "true" : "false");
        return;
    case PAWL_STRING:
    case PAWL_BIGINT: {
        const void *data = pawl_data(v, "", &bytes);
        if (data != NULL) {
            pw_buf_put(b, data, bytes);
        } else {
            pw_buf_puts(b, pawl_str(v, "", ""));
        }
        return;
    }
    case PAWL_BYTES:
        (void)pawl_data(v, "", &bytes);
        pw_cli_bytes(size, bytes);
        pw_buf_printf(b, "<%s of bytes>", size);
        return;
    case PAWL_MAP:
    case PAWL_ARRAY:
        pw_buf_puts(b, "none");
        return;
    case PAWL_INT:
    case PAWL_DOUBLE:
        break;
    }
    pw_view bytes_of = pw_value_bytes(v);
    (void)pw_json_print(b, bytes_of.data, bytes_of.size, 0, NULL);
}

static void out_scalar(pw_cli_out *out, const pawl_value *v, size_t indent)
{
    pw_buf b = PW_BUF_INIT;
    scalar(&b, v);
    pw_out_lines(out, b.size > 0 ? (const char *)b.data : "", b.size, indent);
    pw_buf_deinit(&b);
    pw_buf_putc(&out->text, '\n');
}

static void out_level(pw_cli_out *out, const pawl_value *v, size_t indent, int level);

static void out_line(pw_cli_out *out, const pawl_value *v)
{
    pw_buf b = PW_BUF_INIT;
    pw_value_line(&b, v, 4000);
    (void)pw_out_text(out, b.size > 0 ? (const char *)b.data : "", b.size, 0);
    pw_buf_deinit(&b);
    pw_buf_putc(&out->text, '\n');
}

static void out_map(pw_cli_out *out, const pawl_value *v, size_t indent, int level)
{
    size_t len = pawl_len(v);
    size_t widest = 0;
    for (size_t i = 0; i < len; i++) {
        const char *key = pawl_key_at(v, i);
        size_t columns = key != NULL ? pw_out_columns(out, key, strlen(key)) : 0;
        if (!is_nested(pawl_at(v, i)) && columns <= KEY_COLUMNS_MAX && columns > widest) {
            widest = columns;
        }
    }
    for (size_t i = 0; i < len; i++) {
        const char *key = pawl_key_at(v, i) != NULL ? pawl_key_at(v, i) : "";
        const pawl_value *item = pawl_at(v, i);
        if (i > 0) {
            pw_out_pad(out, indent);
        }
        size_t columns = pw_out_columns(out, key, strlen(key));
        pw_out_style(out, PW_DIM);
        (void)pw_out_str(out, key);
        pw_buf_putc(&out->text, ':');
        pw_out_style(out, PW_PLAIN);
        if (is_nested(item)) {
            pw_buf_putc(&out->text, '\n');
            pw_out_pad(out, indent + 2);
            out_level(out, item, indent + 2, level + 1);
        } else {
            size_t gap = columns < widest ? widest - columns + 1 : 1;
            pw_out_pad(out, gap);
            out_scalar(out, item, indent + columns + 1 + gap);
        }
    }
}

static void out_array(pw_cli_out *out, const pawl_value *v, size_t indent, int level)
{
    size_t len = pawl_len(v);
    for (size_t i = 0; i < len; i++) {
        if (i > 0) {
            pw_out_pad(out, indent);
        }
        pw_out_puts(out, "- ");
        out_level(out, pawl_at(v, i), indent + 2, level + 1);
    }
}

/* The cursor stands at column indent. */
static void out_level(pw_cli_out *out, const pawl_value *v, size_t indent, int level)
{
    if (!is_nested(v)) {
        out_scalar(out, v, indent);
    } else if (level >= LEVELS_MAX) {
        out_line(out, v);
    } else if (pawl_typeof(v) == PAWL_MAP) {
        out_map(out, v, indent, level);
    } else {
        out_array(out, v, indent, level);
    }
}

void pw_out_value(pw_cli_out *out, const pawl_value *value, size_t indent)
{
    size_t bytes = 0;
    const void *data = pawl_typeof(value) == PAWL_STRING ? pawl_data(value, "", &bytes) : NULL;
    pw_out_pad(out, indent);
    if (data != NULL && !out->terminal && indent == 0) {
        pw_buf_put(&out->text, data, bytes); /* a file gets the bytes as they are */
        pw_buf_putc(&out->text, '\n');
        return;
    }
    out_level(out, value, indent, 0);
}

static void line_level(pw_buf *b, const pawl_value *v, size_t bytes_max, int level)
{
    size_t len = is_nested(v) ? pawl_len(v) : 0;
    bool map = pawl_typeof(v) == PAWL_MAP;
    if (len == 0) {
        scalar(b, v);
        return;
    }
    if (level > 0) {
        pw_buf_putc(b, map ? '(' : '[');
    }
    for (size_t i = 0; i < len && b->size < bytes_max; i++) {
        pw_buf_puts(b, i > 0 ? ", " : "");
        if (map) {
            pw_buf_printf(b, "%s: ", pawl_key_at(v, i) != NULL ? pawl_key_at(v, i) : "");
        }
        if (level >= LEVELS_MAX) {
            pw_buf_puts(b, "...");
        } else {
            line_level(b, pawl_at(v, i), bytes_max, level + 1);
        }
    }
    if (level > 0) {
        pw_buf_putc(b, map ? ')' : ']');
    }
}

void pw_value_line(pw_buf *text, const pawl_value *value, size_t bytes_max)
{
    size_t from = text->size;
    line_level(text, value, from + bytes_max, 0);
    if (text->size > from + bytes_max) {
        text->size = from + bytes_max;
    }
}

void pw_out_failure(pw_cli_out *out, const pawl_value *failure, size_t indent)
{
    for (int level = 0; failure != NULL && level < LEVELS_MAX; level++) {
        const char *message = pawl_str(failure, "message", "");
        pw_out_pad(out, indent);
        if (level > 0) {
            pw_out_puts(out, "because ");
        }
        pw_out_styled(out, PW_BAD, pawl_str(failure, "type", "Unknown"));
        if (*message != '\0') {
            pw_out_puts(out, ": ");
            const char *type = pawl_str(failure, "type", "Unknown");
            size_t column = indent + (level > 0 ? strlen("because ") : 0) + strlen(type) + 2;
            pw_out_wrap_from(out, message, indent + 2, column);
        }
        pw_buf_putc(&out->text, '\n');
        if (pawl_get(failure, "details") != NULL) {
            pw_out_value(out, pawl_get(failure, "details"), indent + 2);
        }
        failure = pawl_get(failure, "cause");
    }
}
