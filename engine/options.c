/*
 * options.c - what a command's options may be: one place for code and for folded workflows, so that neither takes what the other refuses.
 *
 * A check looks at nothing but the options and the run's open waits, so a replay comes to the same answer. What is refused fails the branch of
 * a code workflow; fold.c logs it and gives no command. Does not look at registered code: an activity may be registered later.
 */
#include "engine/options.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "engine/ballot.h"
#include "engine/budget.h"
#include "engine/convo.h"
#include "engine/memo.h"
#include "engine/wf.h"
#include "sdk/base/error.h"

/* One command being checked. */
typedef struct check {
    pawl_run *w;
    const pw_asker *by;
    const char *name; /* the command's, once it is known to be one */
    bool refused;
} check;

static void refuse(check *c, const char *type, const char *fmt, ...) PAWL_PRINTF(3, 4);
static void refuse(check *c, const char *type, const char *fmt, ...)
{
    if (c->refused) {
        return;
    }
    char why[PW_TEXT_BYTES_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    char place[200] = "";
    if (c->by->file != NULL) {
        const char *base = strrchr(c->by->file, '/');
        (void)snprintf(place, sizeof place, " at %.150s:%d", base != NULL ? base + 1 : c->by->file,
                       c->by->line);
    }
    const char *quote = c->name != NULL ? "\"" : "";
    char text[PW_TEXT_BYTES_MAX + 400];
    (void)snprintf(text, sizeof text, "pawl_%s%s%s%s%s%s: %s", c->by->call,
                   c->name != NULL ? " " : "", quote, c->name != NULL ? c->name : "", quote, place,
                   why);
    pw_set_failure(c->w, pw_failure_new(c->w->live->scope, type, text, NULL, false, NULL), 0);
    c->refused = true;
}

/* ---- fields ---- */

static void check_name(check *c, const char *what, const char *name)
{
    pawl_error err;
    if (name == NULL || pw_name_check(name, strlen(name), &err) != PAWL_OK) {
        refuse(c, "InvalidName", "%s: %s", what, name != NULL ? err.message : "no name given");
    }
}

/* The first check of a command: what is said of the others names it. */
static void check_own_name(check *c, const char *what, const char *name)
{
    check_name(c, what, name);
    c->name = c->refused ? NULL : name;
}

static bool control_byte(unsigned char byte)
{
    return (byte < ' ' && byte != '\n' && byte != '\t' && byte != '\r') || byte == 0x7f;
}

static bool is_utf8(check *c, const char *text, size_t size)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_mp_strn(&b, text, size);
    if (!pw_buf_ok(&b)) {
        pw_scope_fail(c->w->live->scope);
        return true;
    }
    pawl_error err;
    return pw_mp_check(b.data, b.size, &err) == PAWL_OK;
}

/* NULL and "" are fine: not given. */
static void check_text(check *c, const char *field, const char *text, size_t bytes_max)
{
    size_t size = text != NULL ? strnlen(text, bytes_max + 1) : 0;
    if (size > bytes_max) {
        refuse(c, "BadOption", "%s has more than %zu bytes", field, bytes_max);
        return;
    }
    bool ascii = true;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        ascii &= byte < 0x80;
        if (control_byte(byte)) {
            refuse(c, "BadOption", "byte %zu of %s is 0x%02x", i + 1, field, byte);
            return;
        }
    }
    if (!ascii && !is_utf8(c, text, size)) {
        refuse(c, "BadOption", "%s is not UTF-8", field);
    }
}

static void check_seconds(check *c, const char *field, double seconds)
{
    if (!(seconds >= 0) || seconds > (double)PW_TIMER_MS_MAX / 1000) {
        refuse(c, "BadOption", "%s is %g: it is 0 to a hundred years, in seconds", field, seconds);
    }
}

static void check_choice_of(check *c, const char *field, int value, int max)
{
    if (value < 0 || value > max) {
        refuse(c, "BadOption", "%s is %d: there is no such one", field, value);
    }
}

static void check_value(check *c, const char *field, const pawl_value *value)
{
    size_t size = pw_value_bytes(value).size;
    if (size > PW_VALUE_BYTES_MAX) {
        refuse(c, "BadOption", "%s has %zu bytes: a value has at most %u", field, size,
               PW_VALUE_BYTES_MAX);
    }
}

typedef struct retry_fields {
    int retries;
    double initial_s, factor, max_s;
    const char *no_retry;
} retry_fields;

static void check_retry(check *c, const retry_fields *r)
{
    if (r->retries < PAWL_RETRY_NONE) {
        refuse(c, "BadOption", "retries is %d: it is 0 or more, or PAWL_RETRY_NONE", r->retries);
    }
    check_seconds(c, "retry_initial_s", r->initial_s);
    check_seconds(c, "retry_max_s", r->max_s);
    if (r->factor != 0.0 && !(r->factor >= 1 && isfinite(r->factor))) {
        refuse(c, "BadOption", "retry_factor is %g: it is 1 or more", r->factor);
    }
    check_text(c, "no_retry", r->no_retry, PW_TEXT_BYTES_MAX);
}

/* What happened once for another run has not happened for this one: such a step is done, and can be taken back. */
static void check_cache(check *c, const pawl_call_options *o)
{
    check_seconds(c, "cache_s", o->cache_s);
    check_text(c, "cache_scope", o->cache_scope, PW_TEXT_BYTES_MAX);
    if (o->cache_s > 0 &&
        (o->effect == PAWL_EFFECT_UNSAFE || (o->undo != NULL && o->undo[0] != 0))) {
        refuse(c, "BadOption", "cache_s is not for unsafe effects, nor for what is to be undone");
    }
}

/* ---- commands ---- */

static void check_reserve(check *c, const pawl_value *reserve, double max_cost, bool of_map)
{
    pw_amounts amounts = {0};
    pawl_error err;
    pw_view bytes = pw_value_bytes(reserve);
    if (bytes.size > PW_BUDGET_RESERVE_BYTES_MAX) {
        refuse(c, "BadOption", "reserve has %zu bytes: it is a few amounts", bytes.size);
    } else if (pw_amounts_read(bytes, NULL, &amounts, &err) != PAWL_OK) {
        refuse(c, "BadOption", "reserve: %s", err.message);
    }
    if (!(max_cost >= 0) || max_cost > 1e9) {
        refuse(c, "BadOption", "max_cost is %g: it is 0 to a billion dollars", max_cost);
    } else if (of_map && max_cost > 0 && amounts.n[PW_UNIT_USD] == 0) {
        refuse(c, "BadOption", "max_cost of a map needs reserve.usd: what one item may use");
    }
}

bool pw_call_ok(pawl_run *w, const pawl_call_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "activity", o->name);
    check_value(&c, "input", o->input);
    check_seconds(&c, "timeout_s", o->timeout_s);
    check_seconds(&c, "schedule_timeout_s", o->schedule_timeout_s);
    check_seconds(&c, "heartbeat_s", o->heartbeat_s);
    check_retry(&c, &(retry_fields){o->retries, o->retry_initial_s, o->retry_factor, o->retry_max_s,
                                    o->no_retry});
    check_choice_of(&c, "effect", (int)o->effect, PAWL_EFFECT_UNSAFE);
    check_choice_of(&c, "on_cancel", (int)o->on_cancel, PAWL_CANCEL_ABANDON);
    if (o->undo != NULL && o->undo[0] != 0) {
        check_name(&c, "undo", o->undo);
    }
    check_text(&c, "queue", o->queue, PW_NAME_BYTES_MAX);
    check_text(&c, "limit_key", o->limit_key, PW_NAME_BYTES_MAX);
    check_reserve(&c, o->reserve, o->max_cost, false);
    check_cache(&c, o);
    return !c.refused;
}

bool pw_map_ok(pawl_run *w, const pawl_map_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "activity", o->name);
    if (o->items != NULL && pawl_typeof(o->items) != PAWL_ARRAY) {
        refuse(&c, "InvalidMap", "the items of a map must be an array");
    }
    if (pawl_len(o->items) > PW_MAP_ITEMS_MAX) {
        refuse(&c, "InvalidMap", "a map holds at most %d items", PW_MAP_ITEMS_MAX);
    }
    check_value(&c, "items", o->items);
    if (o->width < 0) {
        refuse(&c, "BadOption", "width is %d: it is 1 or more, or 0 for 16", o->width);
    }
    check_choice_of(&c, "mode", (int)o->mode, PAWL_MAP_COLLECT);
    check_seconds(&c, "timeout_s", o->timeout_s);
    check_seconds(&c, "heartbeat_s", o->heartbeat_s);
    check_retry(&c, &(retry_fields){o->retries, o->retry_initial_s, o->retry_factor, o->retry_max_s,
                                    o->no_retry});
    check_choice_of(&c, "effect", (int)o->effect, PAWL_EFFECT_UNSAFE);
    check_text(&c, "queue", o->queue, PW_NAME_BYTES_MAX);
    check_text(&c, "limit_key", o->limit_key, PW_NAME_BYTES_MAX);
    check_reserve(&c, o->reserve, o->max_cost, true);
    return !c.refused;
}

bool pw_seconds_ok(pawl_run *w, double seconds, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_seconds(&c, "the time", seconds);
    return !c.refused;
}

bool pw_signal_ok(pawl_run *w, const pawl_signal_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "signal", o->name);
    check_seconds(&c, "timeout_s", o->timeout_s);
    return !c.refused;
}

static void check_id(check *c, const char *what, const char *id)
{
    pawl_error err;
    if (id == NULL || pw_id_check(id, strlen(id), &err) != PAWL_OK) {
        refuse(c, "InvalidName", "%s: %s", what, id != NULL ? err.message : "no id given");
    }
}

bool pw_signal_send_ok(pawl_run *w, const pw_letter *letter, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "signal", letter->name);
    check_id(&c, "the run it is for", letter->to);
    check_value(&c, "value", letter->value);
    return !c.refused;
}

bool pw_set_ok(pawl_run *w, const char *key, const pawl_value *value, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "key", key);
    check_value(&c, "value", value);
    return !c.refused;
}

bool pw_child_ok(pawl_run *w, const pawl_child_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "workflow", o->workflow);
    if (o->id != NULL) {
        check_id(&c, "id", o->id);
    }
    check_text(&c, "version", o->version, PW_NAME_BYTES_MAX);
    check_value(&c, "input", o->input);
    check_choice_of(&c, "policy", (int)o->policy, PAWL_PARENT_ABANDON);
    check_seconds(&c, "timeout_s", o->timeout_s);
    pawl_error err;
    if (pw_budget_check(o->budget, &err) != PAWL_OK) {
        refuse(&c, "BadOption", "budget: %s", err.message);
    } else if (pawl_get(o->budget, "parent") != NULL) {
        refuse(&c, "BadOption",
               "budget: that of a child is below its parent's, and below no other");
    }
    return !c.refused;
}

/* ---- described waits ---- */

static void check_kind(check *c, const char *kind)
{
    static const char *const kinds[] = {"approval", "question", "form", "url", "other"};
    bool known = false;
    for (size_t i = 0; i < PW_COUNT(kinds); i++) {
        known |= kind == NULL || strcmp(kind, kinds[i]) == 0;
    }
    if (!known) {
        refuse(c, "InvalidName", "the kind of a wait is approval, question, form, url or other");
    }
}

static void check_name_is_free(check *c)
{
    const pw_cmd *cmd;
    DL_FOREACH (c->w->live->open, cmd) {
        if (c->name != NULL && cmd->state == PW_S_WAIT_CREATED && strcmp(cmd->name, c->name) == 0) {
            refuse(c, "InvalidName", "a wait of that name is open already");
        }
    }
}

static bool given(const char *text)
{
    return text != NULL && text[0] != 0;
}

static void check_choices(check *c, const char *choices)
{
    check_text(c, "choices", choices, PW_CHOICES_BYTES_MAX);
    if (given(choices) && (choices[0] == '|' || choices[strlen(choices) - 1] == '|' ||
                           strstr(choices, "||") != NULL)) {
        refuse(c, "BadOption", "choices has an empty one: \"%s\"", choices);
    }
}

static void check_schema(check *c, const pawl_value *schema)
{
    pawl_error err;
    check_value(c, "schema", schema);
    pawl_status st = c->refused ? PAWL_OK : pw_fits_compiles(schema, &err);
    if (st == PAWL_NOMEM) {
        pw_scope_fail(c->w->live->scope);
    } else if (st != PAWL_OK) {
        refuse(c, "BadOption", "%s", err.message);
    }
}

/* What is taken at the deadline must be what a person could have answered. */
static void check_deadline(check *c, const pawl_ask_options *o)
{
    check_seconds(c, "deadline_s", o->deadline_s);
    check_text(c, "on_deadline", o->on_deadline, PW_CHOICES_BYTES_MAX);
    if (c->refused || !given(o->on_deadline)) {
        return;
    }
    pawl_error err;
    pawl_status st = given(o->choices) ? PAWL_OK
                                       : pw_fits_value(o->schema, (pw_view){NULL, 0},
                                                       "an answer without data", &err);
    if (given(o->choices) && !pw_one_of(o->choices, o->on_deadline)) {
        refuse(c, "BadOption", "on_deadline is \"%s\", which is not one of the choices %s",
               o->on_deadline, o->choices);
    } else if (st == PAWL_NOMEM) {
        pw_scope_fail(c->w->live->scope);
    } else if (st != PAWL_OK) {
        refuse(c, "BadOption", "on_deadline is \"%s\", which brings no data: %s", o->on_deadline,
               err.message);
    }
}

/* "ann|bob": none of them empty. */
static void check_people(check *c, const char *field, const char *people)
{
    check_text(c, field, people, PW_CHOICES_BYTES_MAX);
    if (!c->refused && given(people) &&
        (people[0] == '|' || people[strlen(people) - 1] == '|' || strstr(people, "||") != NULL)) {
        refuse(c, "BadOption", "%s has an empty one: \"%s\"", field, people);
    }
}

static void check_count(check *c, const char *field, int n)
{
    if (n < 0 || n > PW_VOTES_MAX) {
        refuse(c, "BadOption", "%s is %d: it is 0 to %d", field, n, PW_VOTES_MAX);
    }
}

/* Each of those must be a choice: one that is misspelt would need the whole quorum. */
static void check_reject(check *c, const pawl_ask_options *o)
{
    check_people(c, "reject", o->reject);
    char one[PW_CHOICES_BYTES_MAX + 1];
    for (const char *at = o->reject; !c->refused && given(at); at += strspn(at, "|")) {
        size_t n = strcspn(at, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)n, at);
        if (!given(o->choices) || !pw_one_of(o->choices, one)) {
            refuse(c, "BadOption", "reject has \"%s\", which is not one of the choices %s", one,
                   given(o->choices) ? o->choices : "(there are none)");
        }
        at += n;
    }
}

static void check_starter(check *c, const pawl_ask_options *o)
{
    const char *starter = c->w->live->started_by;
    if (!o->four_eyes || c->refused) {
        return;
    }
    if (!given(starter)) {
        refuse(c, "BadOption", "four_eyes: nobody is on record as who started the run");
    } else if (strchr(starter, '|') != NULL || strlen(starter) > PW_CHOICES_BYTES_MAX) {
        refuse(c, "BadOption", "four_eyes: who started the run has no name that can be listed");
    }
}

/* Who answers, how many, and what happens when they do not. */
static void check_rules(check *c, const pawl_ask_options *o)
{
    check_count(c, "quorum", o->quorum);
    check_count(c, "rejects", o->rejects);
    check_reject(c, o);
    check_people(c, "who", o->who);
    check_people(c, "barred", o->barred);
    check_people(c, "escalate_to", o->escalate_to);
    check_starter(c, o);
    check_seconds(c, "escalate_s", o->escalate_s);
    check_seconds(c, "defer_max_s", o->defer_max_s);
    if (o->escalate_s > 0 && o->deadline_s > 0 && o->escalate_s >= o->deadline_s) {
        refuse(c, "BadOption", "escalate_s is %g: it comes before the deadline, %g", o->escalate_s,
               o->deadline_s);
    } else if (given(o->escalate_to) && !(o->escalate_s > 0)) {
        refuse(c, "BadOption", "escalate_to is given, and escalate_s does not say when");
    }
}

bool pw_ask_ok(pawl_run *w, const pawl_ask_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_own_name(&c, "wait", o->name);
    check_kind(&c, o->kind);
    check_name_is_free(&c);
    check_text(&c, "prompt", o->prompt, PW_PROMPT_BYTES_MAX);
    check_choices(&c, o->choices);
    check_value(&c, "show", o->show);
    check_value(&c, "request", o->request);
    check_schema(&c, o->schema);
    check_deadline(&c, o);
    check_rules(&c, o);
    return !c.refused;
}

/* ---- conversations ---- */

bool pw_convo_ok(pawl_run *w, const pawl_value *convo, const pawl_value *messages,
                 const pw_asker *by)
{
    check c = {.w = w, .by = by};
    pw_convo head;
    pawl_type type = pawl_typeof(messages);
    if (!pw_convo_of(convo, &head)) {
        refuse(&c, "BadOption", "this is no reference to a conversation");
    }
    if (messages == NULL || type == PAWL_NIL || (type == PAWL_ARRAY && pawl_len(messages) == 0)) {
        refuse(&c, "BadOption", "there is no message to append");
    }
    size_t size = pw_value_bytes(messages).size;
    if (size > PW_CONVO_BYTES_MAX) {
        refuse(&c, "BadOption", "the messages have %zu bytes: one append takes %u", size,
               PW_CONVO_BYTES_MAX);
    }
    return !c.refused;
}

/* ---- the memory store ---- */

static void check_memory_names(check *c, const char *space, const char *key, bool keyed)
{
    pawl_error err;
    if (pw_memo_names_ok(space, key, keyed, &err) != PAWL_OK) {
        refuse(c, "InvalidName", "%s", err.message);
    }
}

bool pw_memory_ok(pawl_run *w, const pawl_memory_options *o, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_memory_names(&c, o->space, o->key, true);
    check_text(&c, "text", o->text, PW_MEMO_BYTES_MAX);
    if (pw_value_bytes(o->data).size + (o->text != NULL ? strlen(o->text) : 0) >
        PW_MEMO_BYTES_MAX) {
        refuse(&c, "BadOption", "a memory has at most %u bytes", PW_MEMO_BYTES_MAX);
    }
    if (o->text == NULL && o->data == NULL) {
        refuse(&c, "BadOption", "there is nothing to keep: neither text nor data");
    }
    check_seconds(&c, "ttl_s", o->ttl_s);
    return !c.refused;
}

bool pw_memory_name_ok(pawl_run *w, const char *space, const char *key, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_memory_names(&c, space, key, true);
    return !c.refused;
}

bool pw_memory_query_ok(pawl_run *w, const pawl_memory_query *q, const pw_asker *by)
{
    check c = {.w = w, .by = by};
    check_memory_names(&c, q->space, NULL, false);
    check_text(&c, "query", q->query, PW_TEXT_BYTES_MAX);
    if (q->limit < 0 || q->limit > PW_MEMO_FOUND_MAX) {
        refuse(&c, "BadOption", "limit is %d: it is 1 to %d, or 0 for 10", q->limit,
               PW_MEMO_FOUND_MAX);
    }
    return !c.refused;
}
