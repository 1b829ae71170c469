/*
 * cli_out.c - output of the commands: styles, safe text, times, JSON. Tables are in cli_grid.c, values in cli_value.c.
 *
 * Does not decide what to show. Writes to nothing but the file it was given.
 */
#include "tools/cli_out.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

#define COLUMNS_MIN 40

static const char *const style_codes[PW_STYLE_COUNT] = {
    [PW_PLAIN] = "\033[0m", [PW_BOLD] = "\033[1m",  [PW_DIM] = "\033[2m",  [PW_GOOD] = "\033[32m",
    [PW_BAD] = "\033[31m",  [PW_WARN] = "\033[33m", [PW_NOW] = "\033[36m",
};

int64_t pw_cli_now_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool color_wanted(const pw_cli_args *args, bool terminal)
{
    const char *none = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (pw_cli_has(args, PW_OPT_COLOR) && args->number[PW_OPT_COLOR] != 0) {
        return args->number[PW_OPT_COLOR] == 1;
    }
    return terminal && (none == NULL || *none == '\0') && term != NULL && strcmp(term, "dumb") != 0;
}

static size_t terminal_width(FILE *file)
{
    struct winsize size = {0};
    if (ioctl(fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return 80;
    }
    return size.ws_col < COLUMNS_MIN ? COLUMNS_MIN : size.ws_col;
}

void pw_cli_out_init(pw_cli_out *out, FILE *file, const pw_cli_args *args)
{
    *out = (pw_cli_out){.file = file};
    out->format = pw_cli_has(args, PW_OPT_OUTPUT) ? (pw_cli_format)args->number[PW_OPT_OUTPUT]
                                                  : PW_FORMAT_TEXT;
    out->times = pw_cli_has(args, PW_OPT_TIME_FORMAT)
                     ? (pw_cli_time)args->number[PW_OPT_TIME_FORMAT]
                     : PW_TIME_RELATIVE;
    out->terminal = isatty(fileno(file)) == 1;
    out->color = color_wanted(args, out->terminal);
    out->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    out->width = out->terminal ? terminal_width(file) : 0;
    out->now_ms = pw_cli_now_ms();
    pw_buf_init(&out->text, 0);
}

void pw_cli_out_deinit(pw_cli_out *out)
{
    pw_buf_deinit(&out->text);
}

bool pw_cli_out_flush(pw_cli_out *out)
{
    bool ok = pw_buf_ok(&out->text);
    if (ok && out->text.size > 0) {
        ok = fwrite(out->text.data, 1, out->text.size, out->file) == out->text.size;
    }
    pw_buf_reset(&out->text);
    return fflush(out->file) == 0 && ok;
}

void pw_out_style(pw_cli_out *out, pw_cli_style style)
{
    if (out->color) {
        pw_buf_puts(&out->text, style_codes[style]);
    }
}

void pw_out_puts(pw_cli_out *out, const char *text)
{
    pw_buf_puts(&out->text, text);
}

void pw_out_printf(pw_cli_out *out, const char *fmt, ...)
{
    char text[1024];
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    pw_buf_puts(&out->text, text);
}

void pw_out_styled(pw_cli_out *out, pw_cli_style style, const char *text)
{
    if (style != PW_PLAIN) {
        pw_out_style(out, style);
    }
    (void)pw_out_str(out, text);
    if (style != PW_PLAIN) {
        pw_out_style(out, PW_PLAIN);
    }
}

/* ---- foreign text [T2] ---- */

/* The code point at text, and its bytes; 0 bytes of it are trusted: bad UTF-8 is one byte and code -1. */
static long decode(const char *text, size_t size, size_t *ret_bytes)
{
    const unsigned char *p = (const unsigned char *)text;
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = p[0] < 0x80       ? 1
                   : p[0] >> 5 == 6  ? 2
                   : p[0] >> 4 == 14 ? 3
                   : p[0] >> 3 == 30 ? 4
                                     : 0;
    *ret_bytes = 1;
    if (bytes == 0 || bytes > size) {
        return -1;
    }
    long code = bytes == 1 ? p[0] : p[0] & (0xff >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) {
        if (p[i] >> 6 != 2) {
            return -1;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        return -1;
    }
    *ret_bytes = bytes;
    return code;
}

/* Marks that reorder or hide text on a terminal. */
static bool is_deceptive(long code)
{
    return (code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || code == 0x2028 ||
           code == 0x2029 || code == 0xad || code == 0x61c;
}

/* One character as it may be shown: its text, bytes and columns. */
typedef struct glyph {
    char text[16];
    size_t size;
    size_t columns;
} glyph;

static void glyph_escape(glyph *g, const char *fmt, unsigned long code)
{
    int n = 0;
    switch (code) {
    case '\n':
        n = snprintf(g->text, sizeof g->text, "\\n");
        break;
    case '\r':
        n = snprintf(g->text, sizeof g->text, "\\r");
        break;
    case '\t':
        n = snprintf(g->text, sizeof g->text, "\\t");
        break;
    default:
        if (strcmp(fmt, "x") == 0) {
            n = snprintf(g->text, sizeof g->text, "\\x%02lx", code & 0xff);
        } else {
            n = snprintf(g->text, sizeof g->text, "\\u{%lx}", code);
        }
        break;
    }
    g->size = (size_t)n;
    g->columns = (size_t)n;
}

static size_t glyph_next(const pw_cli_out *out, const char *text, size_t size, glyph *g)
{
    size_t bytes = 0;
    long code = decode(text, size, &bytes);
    if (code < 0) {
        glyph_escape(g, "x", (unsigned char)text[0]);
    } else if (code < 32 || code == 127) {
        glyph_escape(g, "x", (unsigned long)code);
    } else if (code >= 0x80 && (code < 0xa0 || is_deceptive(code) || !out->unicode)) {
        glyph_escape(g, "u", (unsigned long)code);
    } else {
        int columns = code < 0x80 ? 1 : wcwidth((wchar_t)code);
        memcpy(g->text, text, bytes);
        g->size = bytes;
        g->columns = columns < 0 ? 1 : (size_t)columns;
    }
    return bytes;
}

size_t pw_out_columns(const pw_cli_out *out, const char *text, size_t size)
{
    size_t columns = 0;
    glyph g;
    for (size_t i = 0; i < size;) {
        i += glyph_next(out, text + i, size - i, &g);
        columns += g.columns;
    }
    return columns;
}

size_t pw_out_text(pw_cli_out *out, const char *text, size_t size, size_t columns_max)
{
    const char *more = out->unicode ? "…" : "...";
    size_t more_columns = out->unicode ? 1 : 3;
    bool cut = columns_max > 0 && pw_out_columns(out, text, size) > columns_max;
    size_t room = cut ? (columns_max > more_columns ? columns_max - more_columns : 0) : SIZE_MAX;
    size_t columns = 0;
    glyph g;
    for (size_t i = 0; i < size;) {
        i += glyph_next(out, text + i, size - i, &g);
        if (columns + g.columns > room) {
            break;
        }
        pw_buf_put(&out->text, g.text, g.size);
        columns += g.columns;
    }
    if (cut) {
        pw_buf_puts(&out->text, more);
        columns += more_columns;
    }
    return columns;
}

size_t pw_out_str(pw_cli_out *out, const char *text)
{
    return pw_out_text(out, text, strlen(text), 0);
}

void pw_out_pad(pw_cli_out *out, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        pw_buf_putc(&out->text, ' ');
    }
}

void pw_out_lines(pw_cli_out *out, const char *text, size_t size, size_t indent)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end != NULL ? (size_t)(end - text) - at : size - at;
        size_t done = 0;
        while (done < line) {
            const char *tab = memchr(text + at + done, '\t', line - done);
            size_t part = tab != NULL ? (size_t)(tab - (text + at)) - done : line - done;
            (void)pw_out_text(out, text + at + done, part, 0);
            if (tab != NULL) {
                pw_buf_putc(&out->text, '\t');
                part++;
            }
            done += part;
        }
        at += line + 1;
        if (at < size) {
            pw_buf_putc(&out->text, '\n');
            pw_out_pad(out, indent);
        }
    }
}

static void break_line(pw_cli_out *o, size_t indent)
{
    pw_buf_putc(&o->text, '\n');
    pw_out_pad(o, indent);
}

/* One line of foreign text that begins in a column, broken between words. */
static void wrap_line(pw_cli_out *o, const char *text, size_t size, size_t indent, size_t column)
{
    for (size_t at = 0; at < size;) {
        size_t word = 0;
        while (at + word < size && text[at + word] != ' ') {
            word++;
        }
        size_t columns = pw_out_columns(o, text + at, word);
        if (column > indent && o->width != 0 && column + 1 + columns > o->width) {
            break_line(o, indent);
            column = indent;
        } else if (at > 0) {
            pw_buf_putc(&o->text, ' ');
            column++;
        }
        column += pw_out_text(o, text + at, word, 0);
        at += word + 1;
    }
}

void pw_out_wrap(pw_cli_out *o, const char *text, size_t indent)
{
    pw_out_wrap_from(o, text, indent, indent);
}

void pw_out_wrap_from(pw_cli_out *o, const char *text, size_t indent, size_t column)
{
    if (strchr(text, '\t') != NULL) { /* it is laid out already */
        pw_out_lines(o, text, strlen(text), indent);
        return;
    }
    for (; *text != '\0'; column = indent) {
        size_t line = strcspn(text, "\n");
        wrap_line(o, text, line, indent, column);
        text += line;
        if (*text == '\n' && *++text != '\0') {
            break_line(o, indent);
        }
    }
}

/* ---- times ---- */

void pw_cli_iso(char ret[32], int64_t ms)
{
    int64_t seconds = ms / 1000 - (ms % 1000 < 0);
    unsigned part = (unsigned)(ms - seconds * 1000) % 1000;
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900) {
        (void)snprintf(ret, 32, "%" PRId64 " ms", ms);
        return;
    }
    size_t n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    if (part != 0) {
        (void)snprintf(ret + n, 32 - n, ".%03uZ", part);
    } else {
        (void)snprintf(ret + n, 32 - n, "Z");
    }
}

void pw_cli_span(char ret[32], int64_t ms)
{
    static const struct {
        int64_t from_ms, big, small;
        const char *big_name, *small_name;
    } units[] = {{86400000, 86400000, 3600000, "d", "h"},
                 {3600000, 3600000, 60000, "h", "min"},
                 {60000, 60000, 1000, "min", "s"}};
    ms = ms < 0 ? 0 : ms;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms >= units[i].from_ms) {
            int64_t big = ms / units[i].big;
            int64_t small = ms % units[i].big / units[i].small;
            if (small == 0 || big >= 100) {
                (void)snprintf(ret, 32, "%" PRId64 " %s", big, units[i].big_name);
            } else {
                (void)snprintf(ret, 32, "%u %s %u %s", (unsigned)big % 100U, units[i].big_name,
                               (unsigned)small % 100U, units[i].small_name);
            }
            return;
        }
    }
    if (ms < 1000) {
        (void)snprintf(ret, 32, "%" PRId64 " ms", ms);
    } else if (ms < 10000 && ms % 1000 >= 100) {
        (void)snprintf(ret, 32, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
    } else {
        (void)snprintf(ret, 32, "%" PRId64 " s", ms / 1000);
    }
}

void pw_cli_relative(char ret[32], int64_t ms, int64_t now_ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    int64_t far = ms > now_ms ? ms - now_ms : now_ms - ms;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (far >= units[i].ms) {
            (void)snprintf(ret, 32, ms > now_ms ? "in %" PRId64 " %s" : "%" PRId64 " %s ago",
                           far / units[i].ms, units[i].name);
            return;
        }
    }
    (void)snprintf(ret, 32, "now");
}

void pw_cli_left(char ret[48], int64_t due_ms, int64_t now_ms)
{
    char span[32];
    pw_cli_span(span, due_ms > now_ms ? due_ms - now_ms : now_ms - due_ms);
    (void)snprintf(ret, 48, due_ms > now_ms ? "%s left" : "due %s ago", span);
}

void pw_out_time(pw_cli_out *out, int64_t ms)
{
    char text[32] = "-";
    if (ms != 0 && out->times == PW_TIME_RELATIVE) {
        pw_cli_relative(text, ms, out->now_ms);
    } else if (ms != 0 && out->times == PW_TIME_ISO) {
        pw_cli_iso(text, ms);
    } else if (ms != 0) {
        (void)snprintf(text, sizeof text, "%" PRId64, ms);
    }
    pw_out_puts(out, text);
}

void pw_cli_bytes(char ret[32], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    uint64_t rest = 0;
    while (bytes >= 1024) {
        rest = bytes % 1024;
        bytes /= 1024;
        unit++;
    }
    if (unit > 0 && bytes < 10) {
        (void)snprintf(ret, 32, "%" PRIu64 ".%" PRIu64 " %s", bytes, rest * 10 / 1024, units[unit]);
    } else {
        (void)snprintf(ret, 32, "%" PRIu64 " %s", bytes, units[unit]);
    }
}

/* [T1]: what JSON modes print comes through here, or is brackets and commas around it. */
void pw_out_json(pw_cli_out *out, const pawl_value *value)
{
    pw_view bytes = pw_value_bytes(value);
    if (pw_json_print(&out->text, bytes.data, bytes.size, out->format == PW_FORMAT_JSON ? 2 : 0,
                      NULL) != PAWL_OK) {
        out->text.failed = true;
    }
    pw_buf_putc(&out->text, '\n');
}

void pw_out_json_item(pw_cli_out *out, const pawl_value *value, size_t index)
{
    if (out->format != PW_FORMAT_JSON) {
        pw_out_json(out, value);
        return;
    }
    pw_view bytes = pw_value_bytes(value);
    pw_buf text = PW_BUF_INIT;
    if (pw_json_print(&text, bytes.data, bytes.size, 2, NULL) != PAWL_OK) {
        out->text.failed = true;
    }
    pw_out_puts(out, index == 0 ? "[\n  " : ",\n  ");
    for (size_t i = 0; i < text.size; i++) { /* strings hold no raw line end */
        pw_buf_putc(&out->text, text.data[i]);
        if (text.data[i] == '\n') {
            pw_buf_puts(&out->text, "  ");
        }
    }
    pw_buf_deinit(&text);
}

void pw_out_json_end(pw_cli_out *out, size_t count)
{
    if (out->format == PW_FORMAT_JSON) {
        pw_out_puts(out, count == 0 ? "[]\n" : "\n]\n");
    }
}
