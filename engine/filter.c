/*
 * filter.c - parsing and matching listing filters.
 *
 * The text becomes a postfix program of at most PW_FILTER_TERMS_MAX items (shunting-yard, explicit stack: no recursion on what people type),
 * which is run over each row on a stack of booleans. Does not read the journal: the ids of `parent` terms are bound from outside.
 */
#include "engine/filter.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "sdk/base/arena.h"
#include "sdk/base/limits.h"

enum field {
#define X(name, word, kind) FIELD_##name,
#include "engine/filter_fields.def"
#undef X
    FIELD_COUNT
};

enum kind { KIND_TEXT, KIND_STATUS, KIND_TIME, KIND_PARENT };

static const struct {
    const char *word;
    enum kind kind;
} fields[FIELD_COUNT] = {
#define X(name, word, kind) [FIELD_##name] = {word, KIND_##kind},
#include "engine/filter_fields.def"
#undef X
};

enum compare { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_LIKE, CMP_COUNT };
static const char *const compare_words[CMP_COUNT] = {"=", "!=", "<", "<=", ">", ">=", "~"};

enum { STATUS_OPEN = -1, STATUS_CLOSED = -2 }; /* beside the numbers of enum pw_run_status */

enum item_kind { ITEM_TERM, ITEM_NOT, ITEM_AND, ITEM_OR, ITEM_PAREN };

struct item {
    enum item_kind kind;
    enum field field;
    enum compare compare;
    const char *text;
    int64_t number;      /* status or time */
    const char *prefix;  /* of a text: what stands before the first wildcard */
    const int64_t *keys; /* of a bound parent */
    size_t keys_len;
};

struct pw_filter {
    struct item items[PW_FILTER_TERMS_MAX]; /* postfix */
    size_t len;
};

struct parser {
    pawl_scope *scope;
    const char *text;
    const char *p;
    int64_t now_ms;
    pw_filter *filter;
    struct item ops[PW_FILTER_TERMS_MAX]; /* operators not placed yet */
    size_t ops_len;
    pawl_error *err;
};

static pawl_status fail(struct parser *ps, const char *at, const char *what)
{
    return pw_err(ps->err, PAWL_INVALID, "filter, column %d: %s", (int)(at - ps->text) + 1, what);
}

/* ---- words ---- */

static void skip_space(struct parser *ps)
{
    while (isspace((unsigned char)*ps->p)) {
        ps->p++;
    }
}

static bool ends_word(char c)
{
    return c == '\0' || isspace((unsigned char)c) || strchr("()=!<>~\"'", c) != NULL;
}

/** A bare word at p; its size. */
static size_t word_size(const char *p)
{
    size_t size = 0;

    while (!ends_word(p[size])) {
        size++;
    }
    return size;
}

static bool take_word(struct parser *ps, const char *word)
{
    size_t size = word_size(ps->p);

    if (size == 0 || size != strlen(word) || strncasecmp(ps->p, word, size) != 0) {
        return false;
    }
    ps->p += size;
    return true;
}

static pawl_status take_quoted(struct parser *ps, char quote, const char **ret_text)
{
    const char *begin = ps->p++;
    char *text = pw_alloc(ps->scope, strlen(begin) + 1);
    size_t size = 0;

    if (text == NULL) {
        return pw_err(ps->err, PAWL_NOMEM, "no memory for a filter");
    }
    while (*ps->p != quote) {
        if (*ps->p == '\\' && ps->p[1] != '\0') {
            ps->p++;
        }
        if (*ps->p == '\0') {
            return fail(ps, begin, "a quote that does not end");
        }
        text[size++] = *ps->p++;
    }
    ps->p++;
    text[size] = '\0';
    *ret_text = text;
    return PAWL_OK;
}

static pawl_status take_value(struct parser *ps, const char **ret_text)
{
    skip_space(ps);
    if (*ps->p == '"' || *ps->p == '\'') {
        return take_quoted(ps, *ps->p, ret_text);
    }
    size_t size = word_size(ps->p);
    if (size == 0) {
        return fail(ps, ps->p, "a value was expected: a word or a text in quotes");
    }
    *ret_text = pw_strndup(ps->scope, ps->p, size);
    ps->p += size;
    return *ret_text != NULL ? PAWL_OK : pw_err(ps->err, PAWL_NOMEM, "no memory for a filter");
}

static pawl_status take_field(struct parser *ps, enum field *ret_field)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (take_word(ps, fields[i].word)) {
            *ret_field = (enum field)i;
            return PAWL_OK;
        }
    }
    return fail(
        ps, ps->p,
        "a field was expected: status, workflow, version, id, waiting, reason, parent, created, updated or closed");
}

static pawl_status take_compare(struct parser *ps, enum compare *ret_compare)
{
    skip_space(ps);
    for (int i = CMP_COUNT - 1; i >= 0; i--) { /* ">=" before ">" */
        size_t size = strlen(compare_words[i]);
        if (size == 2 && strncmp(ps->p, compare_words[i], 2) == 0) {
            ps->p += 2;
            *ret_compare = (enum compare)i;
            return PAWL_OK;
        }
    }
    for (int i = 0; i < CMP_COUNT; i++) {
        if (compare_words[i][1] == '\0' && *ps->p == compare_words[i][0]) {
            ps->p += ps->p[0] == '=' && ps->p[1] == '=' ? 2 : 1;
            *ret_compare = (enum compare)i;
            return PAWL_OK;
        }
    }
    return fail(ps, ps->p, "one of = != < <= > >= ~ was expected");
}

/* ---- values ---- */

/** Milliseconds of "-90s", "-30m", "-1h", "-7d"; false when it is none. */
static bool parse_ago(const char *text, int64_t *ret_ms)
{
    static const char units[] = "smhdw";
    static const int64_t unit_ms[] = {1000, 60000, 3600000, 86400000, 604800000};
    char *end = NULL;

    if (text[0] != '-' || !isdigit((unsigned char)text[1])) {
        return false;
    }
    long long n = strtoll(text + 1, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (unit == NULL || end[1] != '\0' || n > 100000000) {
        return false;
    }
    *ret_ms = n * unit_ms[unit - units];
    return true;
}

static bool parse_iso(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int used = 0;
    int got = sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used);

    if (got != 3 || used < 8) {
        return false;
    }
    const char *rest = text + used;
    if (*rest == 'T' || *rest == ' ') {
        used = 0;
        got =
            sscanf(rest + 1, "%2d:%2d%n:%2d%n", &tm.tm_hour, &tm.tm_min, &used, &tm.tm_sec, &used);
        if (got < 2) {
            return false;
        }
        rest += 1 + used;
    }
    if (*rest == 'Z') {
        rest++;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return *rest == '\0' && tm.tm_mon >= 0 && tm.tm_mon < 12;
}

static pawl_status set_time(struct parser *ps, const char *at, struct item *item)
{
    int64_t ms = 0;
    char *end = NULL;

    if (strcmp(item->text, "now") == 0) {
        item->number = ps->now_ms;
    } else if (parse_ago(item->text, &ms)) {
        item->number = ps->now_ms - ms;
    } else if (parse_iso(item->text, &ms)) {
        item->number = ms;
    } else {
        item->number = strtoll(item->text, &end, 10); /* milliseconds, as the listing prints them */
        if (*end != '\0' || end == item->text) {
            return fail(
                ps, at,
                "a time was expected: 2026-01-31, 2026-01-31T10:00:00Z, or back from now as -90s, -30m, -1h, -7d");
        }
    }
    return item->compare == CMP_LIKE ? fail(ps, at, "a time cannot be matched by ~") : PAWL_OK;
}

static pawl_status set_status(struct parser *ps, const char *at, struct item *item)
{
    if (item->compare != CMP_EQ && item->compare != CMP_NE) {
        return fail(ps, at, "a status is compared by = or !=");
    }
    if (strcmp(item->text, "open") == 0) {
        item->number = STATUS_OPEN;
    } else if (strcmp(item->text, "closed") == 0) {
        item->number = STATUS_CLOSED;
    } else {
        item->number = pw_run_status_from_name(item->text);
    }
    if (item->number == 0) {
        return fail(
            ps, at,
            "a status is running, paused, completed, failed, canceled, terminated, continued or timed-out; or open, or closed");
    }
    return PAWL_OK;
}

static pawl_status set_value(struct parser *ps, const char *at, struct item *item)
{
    switch (fields[item->field].kind) {
    case KIND_STATUS:
        return set_status(ps, at, item);
    case KIND_TIME:
        return set_time(ps, at, item);
    case KIND_PARENT:
        return item->compare == CMP_EQ || item->compare == CMP_NE
                   ? PAWL_OK
                   : fail(ps, at, "a parent is compared by = or !=");
    case KIND_TEXT:
        item->prefix = item->compare == CMP_LIKE
                           ? pw_strndup(ps->scope, item->text, strcspn(item->text, "*?"))
                       : item->compare == CMP_EQ ? item->text
                                                 : "";
        return item->prefix != NULL ? PAWL_OK
                                    : pw_err(ps->err, PAWL_NOMEM, "no memory for a filter");
    }
    return PAWL_OK;
}

/* ---- the program ---- */

static pawl_status put(struct parser *ps, const struct item *item)
{
    if (ps->filter->len >= PW_FILTER_TERMS_MAX) {
        return fail(ps, ps->p, "the filter is too long");
    }
    ps->filter->items[ps->filter->len++] = *item;
    return PAWL_OK;
}

static pawl_status push(struct parser *ps, enum item_kind kind)
{
    if (ps->ops_len >= PW_FILTER_TERMS_MAX) {
        return fail(ps, ps->p, "the filter is too deep");
    }
    ps->ops[ps->ops_len++] = (struct item){.kind = kind};
    return PAWL_OK;
}

/** Places operators that bind at least as tight as kind. */
static pawl_status reduce(struct parser *ps, enum item_kind kind)
{
    while (ps->ops_len > 0 && ps->ops[ps->ops_len - 1].kind <= kind &&
           ps->ops[ps->ops_len - 1].kind != ITEM_PAREN) {
        pawl_status status = put(ps, &ps->ops[--ps->ops_len]);
        if (status != PAWL_OK) {
            return status;
        }
    }
    return PAWL_OK;
}

/** Everything that may stand where an operand is due, but the operand: ( and not. */
static pawl_status take_prefixes(struct parser *ps)
{
    for (;;) {
        skip_space(ps);
        enum item_kind kind = ITEM_TERM;
        if (*ps->p == '(') {
            ps->p++;
            kind = ITEM_PAREN;
        } else if (take_word(ps, "not")) {
            kind = ITEM_NOT;
        } else {
            return PAWL_OK;
        }
        pawl_status status = push(ps, kind);
        if (status != PAWL_OK) {
            return status;
        }
    }
}

static pawl_status take_term(struct parser *ps)
{
    struct item item = {.kind = ITEM_TERM};
    pawl_status status = take_field(ps, &item.field);

    if (status == PAWL_OK) {
        status = take_compare(ps, &item.compare);
    }
    skip_space(ps);
    const char *at = ps->p;
    if (status == PAWL_OK) {
        status = take_value(ps, &item.text);
    }
    if (status == PAWL_OK) {
        status = set_value(ps, at, &item);
    }
    return status == PAWL_OK ? put(ps, &item) : status;
}

/** Closing parentheses behind an operand. */
static pawl_status take_closes(struct parser *ps)
{
    for (;;) {
        skip_space(ps);
        if (*ps->p != ')') {
            return PAWL_OK;
        }
        pawl_status status = reduce(ps, ITEM_OR);
        if (status != PAWL_OK) {
            return status;
        }
        if (ps->ops_len == 0) {
            return fail(ps, ps->p, "a ) that closes nothing");
        }
        ps->ops_len--;
        ps->p++;
    }
}

/** and, or: true when another term follows. */
static pawl_status take_connective(struct parser *ps, bool *ret_more)
{
    enum item_kind kind;

    skip_space(ps);
    *ret_more = *ps->p != '\0';
    if (!*ret_more) {
        return PAWL_OK;
    }
    if (take_word(ps, "and")) {
        kind = ITEM_AND;
    } else if (take_word(ps, "or")) {
        kind = ITEM_OR;
    } else {
        return fail(ps, ps->p, "and, or, or the end was expected");
    }
    pawl_status status = reduce(ps, kind);
    return status == PAWL_OK ? push(ps, kind) : status;
}

static pawl_status parse(struct parser *ps)
{
    bool more = true;

    while (more) {
        pawl_status status = take_prefixes(ps);
        if (status == PAWL_OK) {
            status = take_term(ps);
        }
        if (status == PAWL_OK) {
            status = take_closes(ps);
        }
        if (status == PAWL_OK) {
            status = take_connective(ps, &more);
        }
        if (status != PAWL_OK) {
            return status;
        }
    }
    pawl_status status = reduce(ps, ITEM_OR);
    if (status == PAWL_OK && ps->ops_len > 0) {
        return fail(ps, ps->p, "a ( is not closed");
    }
    return status;
}

pawl_status pw_filter_parse(pawl_scope *scope, const char *text, int64_t now_ms,
                            pw_filter **ret_filter, pawl_error *err)
{
    struct parser ps = {.scope = scope, .text = text, .p = text, .now_ms = now_ms, .err = err};

    ps.filter = pawl_scope_alloc(scope, sizeof *ps.filter);
    if (ps.filter == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a filter");
    }
    skip_space(&ps);
    if (*ps.p != '\0') {
        pawl_status status = parse(&ps);
        if (status != PAWL_OK) {
            return status;
        }
    }
    *ret_filter = ps.filter;
    return PAWL_OK;
}

/* ---- parents ---- */

static const struct item *find_parent(const pw_filter *f, size_t i)
{
    for (size_t at = 0; at < f->len; at++) {
        if (f->items[at].kind == ITEM_TERM && f->items[at].field == FIELD_PARENT && i-- == 0) {
            return &f->items[at];
        }
    }
    return NULL;
}

const char *pw_filter_parent(const pw_filter *f, size_t i)
{
    const struct item *item = find_parent(f, i);

    return item != NULL ? item->text : NULL;
}

void pw_filter_bind_parent(pw_filter *f, size_t i, const int64_t *keys, size_t keys_len)
{
    const struct item *item = find_parent(f, i);
    struct item *mine = &f->items[item - f->items];

    mine->keys = keys;
    mine->keys_len = keys_len;
}

/* ---- matching ---- */

/** Pattern with * and ?, by the two-finger walk: linear but for what a * covers. */
static bool like(pw_view text, const char *pattern)
{
    size_t at = 0;
    size_t star_at = 0;
    const char *star = NULL;

    while (at < text.size) {
        if (*pattern == '*') {
            star = ++pattern;
            star_at = at;
        } else if (*pattern == '?' || (*pattern != '\0' && (uint8_t)*pattern == text.data[at])) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static int order_text(pw_view a, const char *b)
{
    size_t b_size = strlen(b);
    size_t least = a.size < b_size ? a.size : b_size;
    int order = least > 0 ? memcmp(a.data, b, least) : 0;

    return order != 0 ? order : (a.size > b_size) - (a.size < b_size);
}

static bool compare_order(enum compare compare, int order)
{
    switch (compare) {
    case CMP_EQ:
        return order == 0;
    case CMP_NE:
        return order != 0;
    case CMP_LT:
        return order < 0;
    case CMP_LE:
        return order <= 0;
    case CMP_GT:
        return order > 0;
    case CMP_GE:
        return order >= 0;
    case CMP_LIKE:
    case CMP_COUNT:
        break;
    }
    return false;
}

static bool match_text(const struct item *item, pw_view text)
{
    return item->compare == CMP_LIKE ? like(text, item->text)
                                     : compare_order(item->compare, order_text(text, item->text));
}

/** A time that is not there yet (closed, of an open run) compares with nothing. */
static bool match_time(const struct item *item, int64_t ms)
{
    return ms != 0 && compare_order(item->compare, (ms > item->number) - (ms < item->number));
}

static bool match_status(const struct item *item, int status)
{
    bool same = item->number == STATUS_OPEN     ? pw_run_status_is_open(status)
                : item->number == STATUS_CLOSED ? !pw_run_status_is_open(status)
                                                : status == item->number;
    return same == (item->compare == CMP_EQ);
}

static bool match_parent(const struct item *item, int64_t parent)
{
    bool same = false;

    for (size_t i = 0; i < item->keys_len; i++) {
        same = same || item->keys[i] == parent;
    }
    return same == (item->compare == CMP_EQ);
}

static bool match_term(const struct item *item, const pw_run_row *row)
{
    switch (item->field) {
    case FIELD_STATUS:
        return match_status(item, row->status);
    case FIELD_WORKFLOW:
        return match_text(item, row->workflow);
    case FIELD_VERSION:
        return match_text(item, row->version);
    case FIELD_ID:
        return match_text(item, row->id);
    case FIELD_WAITING:
        return match_text(item, row->waiting);
    case FIELD_REASON:
        return match_text(item, row->reason);
    case FIELD_PARENT:
        return match_parent(item, row->parent_key);
    case FIELD_CREATED:
        return match_time(item, row->created_ms);
    case FIELD_UPDATED:
        return match_time(item, row->updated_ms);
    case FIELD_CLOSED:
        return match_time(item, row->closed_ms);
    case FIELD_COUNT:
        break;
    }
    return false;
}

bool pw_filter_match(const pw_filter *f, const pw_run_row *row)
{
    bool stack[PW_FILTER_TERMS_MAX + 1];
    size_t depth = 0;

    for (size_t i = 0; i < f->len; i++) {
        const struct item *item = &f->items[i];
        if (item->kind == ITEM_TERM) {
            stack[depth++] = match_term(item, row);
        } else if (item->kind == ITEM_NOT) {
            stack[depth - 1] = !stack[depth - 1];
        } else {
            depth--;
            stack[depth - 1] = item->kind == ITEM_AND ? stack[depth - 1] && stack[depth]
                                                      : stack[depth - 1] || stack[depth];
        }
    }
    return depth == 0 || stack[0];
}

/* ---- hints: only a filter that is one chain of `and` has any ---- */

static bool is_chain(const pw_filter *f)
{
    for (size_t i = 0; i < f->len; i++) {
        if (f->items[i].kind == ITEM_OR || f->items[i].kind == ITEM_NOT) {
            return false;
        }
    }
    return true;
}

bool pw_filter_open_only(const pw_filter *f)
{
    if (!is_chain(f)) {
        return false;
    }
    for (size_t i = 0; i < f->len; i++) {
        const struct item *item = &f->items[i];
        if (item->kind == ITEM_TERM && item->field == FIELD_STATUS && item->compare == CMP_EQ &&
            (item->number == STATUS_OPEN ||
             (item->number > 0 && pw_run_status_is_open((int)item->number)))) {
            return true;
        }
    }
    return false;
}

const char *pw_filter_id_prefix(const pw_filter *f)
{
    for (size_t i = 0; i < f->len && is_chain(f); i++) {
        const struct item *item = &f->items[i];
        if (item->kind == ITEM_TERM && item->field == FIELD_ID && item->prefix[0] != '\0') {
            return item->prefix;
        }
    }
    return "";
}
