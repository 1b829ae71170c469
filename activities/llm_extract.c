/*
 * llm_extract.c - JSON out of what a model wrote, and the message that asks for a better one.
 *
 * In this order: the whole text; fenced blocks; the first object or array that closes; and then all of these mended. An object that never
 * closes ends the search: what stands inside it is a piece of an answer, not an answer. Does not know schemas.
 */
#include <ctype.h>
#include <string.h>

#include "activities/llm.h"
#include "activities/llm_mend.h"
#include "activities/llm_view.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/value.h"

typedef struct search {
    pawl_scope *scope;
    bool mend;
    int tries;
    pw_buf json; /* a mended text */
    pw_buf value;
    pawl_status status;
} search;

static pw_view trimmed(pw_view v)
{
    if (pw_view_starts(v, "\xef\xbb\xbf")) {
        v = (pw_view){v.data + 3, v.size - 3};
    }
    while (v.size > 0 && isspace(v.data[0])) {
        v = (pw_view){v.data + 1, v.size - 1};
    }
    while (v.size > 0 && isspace(v.data[v.size - 1])) {
        v.size--;
    }
    return v;
}

static bool parses(search *s, pw_view text)
{
    pawl_error err;
    text = trimmed(text);
    if (text.size == 0 || s->status != PAWL_OK || s->tries >= PW_LLM_EXTRACT_TRIES_MAX) {
        return false;
    }
    s->tries++;
    if (s->mend) {
        pw_buf_reset(&s->json);
        pw_llm_mend(&s->json, text);
        text = (pw_view){s->json.data, s->json.size};
    }
    pw_buf_reset(&s->value);
    const pawl_status st =
        pw_json_parse(&s->value, (const char *)text.data, text.size, PW_JSON_LENIENT, NULL, &err);
    s->status = st == PAWL_NOMEM || s->json.failed ? PAWL_NOMEM : PAWL_OK;
    return st == PAWL_OK;
}

/* What a model thought aloud is not its answer. */
static pw_view after_thoughts(pw_view text)
{
    static const char mark[] = "</think>";
    for (size_t i = text.size; i >= sizeof mark - 1; i--) {
        if (memcmp(text.data + i - (sizeof mark - 1), mark, sizeof mark - 1) == 0) {
            return (pw_view){text.data + i, text.size - i};
        }
    }
    return text;
}

static const uint8_t *find(const uint8_t *from, const uint8_t *end, const char *mark)
{
    return from < end ? memmem(from, (size_t)(end - from), mark, strlen(mark)) : NULL;
}

static bool in_fences(search *s, pw_view text)
{
    const uint8_t *end = text.data + text.size;
    const uint8_t *open = find(text.data, end, "```");
    while (open != NULL && s->tries < PW_LLM_EXTRACT_TRIES_MAX) {
        const uint8_t *line = memchr(open, '\n', (size_t)(end - open));
        const uint8_t *close = line != NULL ? find(line, end, "```") : NULL;
        if (close == NULL) {
            return false;
        }
        const pw_view block = {line + 1, close > line ? (size_t)(close - line - 1) : 0};
        if (parses(s, block)) {
            return true;
        }
        open = find(close + 3, end, "```");
    }
    return false;
}

/* Past the bracket that closes the one at p; NULL when none does. */
static const uint8_t *past_close(const uint8_t *p, const uint8_t *end)
{
    size_t depth = 0;
    bool quoted = false;
    for (; p < end; p++) {
        if (quoted) {
            p += *p == '\\' ? 1 : 0;
            quoted = p >= end || *p != '"';
        } else if (*p == '"') {
            quoted = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

static bool looks_meant(const uint8_t *p, const uint8_t *end)
{
    const uint8_t open = *p++;
    while (p < end && isspace(*p)) {
        p++;
    }
    return p < end && (*p == '"' || (open == '[' && *p == '{'));
}

static bool inside(search *s, pw_view text)
{
    const uint8_t *p = text.data;
    const uint8_t *end = text.data + text.size;
    int looks = 0;
    while (p < end && looks < PW_LLM_EXTRACT_TRIES_MAX) {
        if (*p != '{' && *p != '[') {
            p++;
            continue;
        }
        looks++;
        const uint8_t *past = past_close(p, end);
        if (past == NULL && looks_meant(p, end)) {
            return false;
        }
        if (past != NULL && parses(s, (pw_view){p, (size_t)(past - p)})) {
            return true;
        }
        p = past != NULL ? past : p + 1;
    }
    return false;
}

static bool search_all(search *s, pw_view text, pw_llm_found *ret_found)
{
    const pw_view said = after_thoughts(text);
    for (int pass = 0; pass < 2; pass++) {
        s->mend = pass == 1;
        s->tries = 0;
        *ret_found = PW_LLM_WHOLE;
        if (parses(s, text)) {
            return true;
        }
        *ret_found = PW_LLM_INSIDE;
        if (said.size != text.size && parses(s, said)) {
            return true;
        }
        *ret_found = PW_LLM_FENCED;
        if (in_fences(s, said)) {
            return true;
        }
        *ret_found = PW_LLM_INSIDE;
        if (inside(s, said)) {
            return true;
        }
    }
    return false;
}

pawl_status pw_llm_extract(pawl_scope *scope, pw_view text, const pawl_value **ret_value,
                           pw_llm_found *ret_found, pawl_error *err)
{
    if (text.size > PW_VALUE_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a text of %zu bytes", text.size);
    }
    search s = {.scope = scope, .status = PAWL_OK};
    pw_llm_found how = PW_LLM_WHOLE;
    const bool found = text.size > 0 && search_all(&s, text, &how);
    pawl_status st = s.status != PAWL_OK ? pw_err(err, s.status, "no memory for JSON")
                     : !found
                         ? pw_err(err, PAWL_NOTFOUND, "no JSON in %zu bytes of text", text.size)
                         : pawl_from_msgpack(scope, s.value.data, s.value.size, ret_value, err);
    if (st == PAWL_OK) {
        *ret_found = s.mend ? PW_LLM_REPAIRED : how;
    }
    pw_buf_deinit(&s.json);
    pw_buf_deinit(&s.value);
    return st;
}

/* ---- repair ---- */

/* Text cut at a whole character, so that all of the message stays within its bound. */
static void put_cut(pw_buf *b, pw_view text, size_t size_max)
{
    size_t n = text.size < size_max ? text.size : size_max;
    while (n > 0 && n < text.size && (text.data[n] & 0xc0) == 0x80) {
        n--;
    }
    pw_buf_put(b, text.data, n);
    pw_buf_puts(b, n < text.size ? " ..." : "");
}

const pawl_value *pw_llm_repair_message(pawl_scope *scope, const pw_llm_repair *repair)
{
    const int max = repair->attempts_max > 0 ? repair->attempts_max : PW_LLM_REPAIRS_MAX;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    if (repair->attempt > max) {
        return NULL;
    }
    pw_buf_puts(&b, "Your answer is not what was asked for:\n");
    size_t told = 0;
    for (; told < repair->problems_len && b.size < PW_LLM_REPAIR_BYTES_MAX / 2; told++) {
        pw_buf_puts(&b, "- ");
        put_cut(&b, pw_view_of(repair->problems[told]), 400);
        pw_buf_putc(&b, '\n');
    }
    if (told < repair->problems_len) {
        pw_buf_printf(&b, "- and %zu more\n", repair->problems_len - told);
    }
    if (repair->answer.size > 0) {
        pw_buf_puts(&b, "You answered:\n");
        put_cut(&b, repair->answer, PW_LLM_REPAIR_BYTES_MAX / 3);
        pw_buf_putc(&b, '\n');
    }
    pw_buf_printf(&b, "Answer again with all of the corrected JSON and nothing else.%s",
                  repair->attempt == max ? " This is the last try." : "");
    return pw_buf_ok(&b) ? pawl_build(scope, "{role: 'user', parts: [{type: 'text', text: %s}]}",
                                      pw_buf_cstr(&b))
                         : NULL;
}
