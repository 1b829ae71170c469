/*
 * llm_mend.c - the mistakes that models make in JSON, undone in one pass over the letters:
 *
 *   {a: 'x', "b": True, "c": [1, 2,],} // why   ->   {"a": "x", "b": true, "c": [1, 2]}
 *
 * Does not invent anything: what is open stays open, a missing comma stays missing, NaN stays refused.
 */
#include "activities/llm_mend.h"

#include <ctype.h>
#include <string.h>

#include "sdk/base/error.h"

typedef struct mender {
    const uint8_t *p, *end;
    pw_buf *out;
} mender;

/* The end of a comment that begins at p, or p. */
static const uint8_t *past_comment(const uint8_t *p, const uint8_t *end)
{
    if (end - p < 2 || p[0] != '/' || (p[1] != '/' && p[1] != '*')) {
        return p;
    }
    const bool line = p[1] == '/';
    for (p += 2; p < end; p++) {
        if (line && *p == '\n') {
            return p;
        }
        if (!line && *p == '*' && end - p > 1 && p[1] == '/') {
            return p + 2;
        }
    }
    return end;
}

/* The next letter that is neither space nor comment; 0 at the end. */
static int peek_after(const mender *m, const uint8_t *p)
{
    while (p < m->end) {
        const uint8_t *past = past_comment(p, m->end);
        if (past == p && !isspace(*p)) {
            return *p;
        }
        p = past > p ? past : p + 1;
    }
    return 0;
}

static void put_escape(mender *m)
{
    static const char known[] = "\"\\/bfnrtu";
    m->p++;
    if (m->p == m->end) {
        pw_buf_puts(m->out, "\\");
        return;
    }
    if (*m->p == '\'') {
        pw_buf_putc(m->out, '\'');
    } else {
        pw_buf_puts(m->out, *m->p != 0 && strchr(known, *m->p) != NULL ? "\\" : "\\\\");
        pw_buf_putc(m->out, *m->p);
    }
    m->p++;
}

static void put_string(mender *m)
{
    const uint8_t quote = *m->p++;
    pw_buf_putc(m->out, '"');
    while (m->p < m->end && *m->p != quote) {
        if (*m->p == '\\') {
            put_escape(m);
            continue;
        }
        if (*m->p == '"') { /* inside single quotes */
            pw_buf_putc(m->out, '\\');
        }
        pw_buf_putc(m->out, *m->p++);
    }
    if (m->p < m->end) {
        m->p++;
        pw_buf_putc(m->out, '"');
    }
}

static bool in_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c == '-';
}

static void put_word(mender *m)
{
    static const struct {
        const char *word, *json;
    } words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"}, {"undefined", "null"}};
    const uint8_t *from = m->p;
    while (m->p < m->end && in_word(*m->p)) {
        m->p++;
    }
    const pw_view word = {from, (size_t)(m->p - from)};
    if (peek_after(m, m->p) == ':') {
        pw_buf_putc(m->out, '"');
        pw_buf_put(m->out, word.data, word.size);
        pw_buf_putc(m->out, '"');
        return;
    }
    for (size_t i = 0; i < PW_COUNT(words); i++) {
        if (pw_view_is(word, words[i].word)) {
            pw_buf_puts(m->out, words[i].json);
            return;
        }
    }
    pw_buf_put(m->out, word.data, word.size);
}

void pw_llm_mend(pw_buf *out, pw_view text)
{
    mender m = {.p = text.data, .end = text.data + text.size, .out = out};
    while (m.p < m.end) {
        const uint8_t *past = past_comment(m.p, m.end);
        if (past > m.p) {
            m.p = past;
        } else if (*m.p == '"' || *m.p == '\'') {
            put_string(&m);
        } else if (isalpha(*m.p) || *m.p == '_' || *m.p == '$') {
            put_word(&m);
        } else if (*m.p == ',' &&
                   (peek_after(&m, m.p + 1) == '}' || peek_after(&m, m.p + 1) == ']')) {
            m.p++;
        } else {
            pw_buf_putc(out, *m.p++);
        }
    }
}
