/*
 * build.c - pawl_build: a JSON template with printf arguments, straight into msgpack.
 *
 * One pass with a small stack: a container's header is written as a five-byte hole and closed to its shortest form at its end.
 * Numbers in the template are read by strtod/strtoll on the template's own text. Does not evaluate anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

typedef struct level {
    size_t at;    /* offset of the container's first inner byte */
    size_t count; /* values so far; a map counts pairs */
    bool map;
} level;

typedef struct builder {
    const char *p;
    pw_buf out;
    bool nomem; /* not its template is bad */
    level stack[PW_DEPTH_MAX];
    int depth;
    bool bad;
} builder;

static void skip_space(builder *b)
{
    while (*b->p == ' ' || *b->p == '\n' || *b->p == '\t' || *b->p == '\r') {
        b->p++;
    }
}

static void open_level(builder *b, bool map)
{
    if (b->depth == PW_DEPTH_MAX) {
        b->bad = true;
        return;
    }
    b->stack[b->depth++] = (level){.at = b->out.size, .count = 0, .map = map};
    b->p++;
}

/* Puts the header in front of what was written. */
static void close_level(builder *b)
{
    level l = b->stack[--b->depth];
    b->p++;
    pw_buf head = PW_BUF_INIT;
    if (l.map) {
        pw_mp_map(&head, l.count);
    } else {
        pw_mp_array(&head, l.count);
    }
    size_t inner = b->out.size - l.at;
    if (head.failed || !pw_buf_reserve(&b->out, head.size)) {
        b->nomem |= head.failed;
        b->bad = true;
    } else {
        memmove(b->out.data + l.at + head.size, b->out.data + l.at, inner);
        memcpy(b->out.data + l.at, head.data, head.size);
        b->out.size += head.size;
    }
    pw_buf_deinit(&head);
}

static int escape_of(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return c;
    }
}

static void put_quoted(builder *b)
{
    char quote = *b->p++;
    pw_buf text = PW_BUF_INIT;
    while (*b->p != 0 && *b->p != quote) {
        char c = *b->p++;
        if (c == '\\' && *b->p != 0) {
            c = (char)escape_of(*b->p++);
        }
        pw_buf_putc(&text, c);
    }
    if (*b->p != quote || text.failed) {
        b->nomem |= text.failed;
        b->bad = true;
    } else {
        b->p++;
        pw_mp_text(&b->out, (const char *)text.data, text.size);
    }
    pw_buf_deinit(&text);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '-';
}

static void put_key(builder *b)
{
    if (*b->p == '"' || *b->p == '\'') {
        put_quoted(b);
    } else {
        const char *from = b->p;
        while (is_word(*b->p)) {
            b->p++;
        }
        b->bad |= b->p == from;
        pw_mp_strn(&b->out, from, (size_t)(b->p - from));
    }
    skip_space(b);
    b->bad |= *b->p != ':';
    if (!b->bad) {
        b->p++;
        skip_space(b);
    }
}

static void put_number(builder *b)
{
    const char *from = b->p;
    const char *q = from;
    bool real = false;
    while (*q == '-' || *q == '+' || *q == '.' || *q == 'e' || *q == 'E' ||
           (*q >= '0' && *q <= '9')) {
        real |= *q == '.' || *q == 'e' || *q == 'E';
        q++;
    }
    char *end = NULL;
    errno = 0;
    if (real) {
        pw_mp_double(&b->out, strtod(from, &end));
    } else {
        pw_mp_int(&b->out, (int64_t)strtoll(from, &end, 10));
    }
    b->bad |= end != q || errno != 0;
    b->p = q;
}

static bool put_word(builder *b)
{
    static const struct {
        const char *word;
        int byte;
    } words[] = {{"null", 0xc0}, {"nil", 0xc0}, {"true", 0xc3}, {"false", 0xc2}};
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (strncmp(b->p, words[i].word, n) == 0 && !is_word(b->p[n])) {
            pw_buf_putc(&b->out, words[i].byte);
            b->p += n;
            return true;
        }
    }
    return false;
}

/* The argument list travels by pointer: va_list is an array on some machines. */
typedef struct arguments {
    va_list list;
} arguments;

static void put_integer(builder *b, arguments *a, int longs, bool size, bool is_unsigned)
{
    if (is_unsigned) {
        uint64_t v = size         ? va_arg(a->list, size_t)
                     : longs >= 2 ? va_arg(a->list, unsigned long long)
                     : longs == 1 ? va_arg(a->list, unsigned long)
                                  : va_arg(a->list, unsigned);
        pw_mp_uint(&b->out, v);
        return;
    }
    int64_t v = size         ? (int64_t)va_arg(a->list, size_t)
                : longs >= 2 ? (int64_t)va_arg(a->list, long long)
                : longs == 1 ? (int64_t)va_arg(a->list, long)
                             : (int64_t)va_arg(a->list, int);
    pw_mp_int(&b->out, v);
}

static void put_argument(builder *b, arguments *a)
{
    b->p++;
    int longs = 0;
    bool size = false;
    for (; *b->p == 'l' || *b->p == 'z'; b->p++) {
        longs += *b->p == 'l';
        size |= *b->p == 'z';
    }
    char c = *b->p;
    if (c != 0) {
        b->p++;
    }
    if (c == 's') {
        pw_mp_str(&b->out, va_arg(a->list, const char *));
    } else if (c == 'p') {
        pw_mp_value(&b->out, va_arg(a->list, const pawl_value *));
    } else if (c == 'f' || c == 'g') {
        pw_mp_double(&b->out, va_arg(a->list, double));
    } else if (c == 'd' || c == 'i' || c == 'u') {
        put_integer(b, a, longs, size, c == 'u');
    } else {
        b->bad = true;
    }
}

static void put_value(builder *b, arguments *a)
{
    char c = *b->p;
    if (c == '{' || c == '[') {
        open_level(b, c == '{');
    } else if (c == '%') {
        put_argument(b, a);
    } else if (c == '"' || c == '\'') {
        put_quoted(b);
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        put_number(b);
    } else {
        b->bad |= !put_word(b);
    }
}

/* After a value: a comma, or the ends of containers. True when the next thing is a value (or a key). */
static bool next(builder *b)
{
    for (;;) {
        skip_space(b);
        if (b->depth == 0) {
            return false;
        }
        level *top = &b->stack[b->depth - 1];
        if (*b->p == (top->map ? '}' : ']')) {
            close_level(b);
            if (b->depth > 0) {
                b->stack[b->depth - 1].count++;
            }
            continue;
        }
        b->bad |= *b->p != ',';
        if (!b->bad) {
            b->p++;
            skip_space(b);
        }
        return !b->bad;
    }
}

static void run(builder *b, arguments *a)
{
    skip_space(b);
    bool more = true;
    while (more && !b->bad) {
        if (b->depth > 0 && b->stack[b->depth - 1].map) {
            put_key(b);
        }
        if (b->bad) {
            return;
        }
        int depth = b->depth;
        put_value(b, a);
        skip_space(b);
        bool opened = b->depth > depth;
        bool empty = opened && (*b->p == '}' || *b->p == ']');
        if (opened && !empty) {
            continue;
        }
        if (!opened && b->depth > 0) {
            b->stack[b->depth - 1].count++;
        }
        more = !b->bad && next(b);
    }
}

const pawl_value *pw_vbuild(pawl_scope *scope, const char *fmt, va_list args, pawl_error *err)
{
    builder b = {.p = fmt};
    arguments a;
    va_copy(a.list, args);
    run(&b, &a);
    va_end(a.list);
    skip_space(&b);
    const pawl_value *v = NULL;
    if (!b.bad && *b.p == 0 && b.depth == 0 && pw_buf_ok(&b.out)) {
        v = pw_value_copy(scope, b.out.data, b.out.size);
    }
    if ((b.out.failed && !b.out.full) || b.nomem) {
        pw_scope_fail(scope);
    } else if (b.out.full) {
        (void)pw_err(err, PAWL_LIMIT, "the value is larger than a value may be");
    } else if (b.bad || *b.p != 0 || b.depth != 0) {
        (void)pw_err(err, PAWL_INVALID,
                     "column %zu of the template %.120s: what may stand there is said at "
                     "pawl_build in pawl_value.h",
                     (size_t)(b.p - fmt) + 1, fmt);
    }
    pw_buf_deinit(&b.out);
    return v;
}

const pawl_value *pawl_vbuild(pawl_scope *scope, const char *fmt, va_list args)
{
    pawl_error err;
    return pw_vbuild(scope, fmt, args, &err);
}

const pawl_value *pawl_build(pawl_scope *scope, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const pawl_value *v = pawl_vbuild(scope, fmt, args);
    va_end(args);
    return v;
}
