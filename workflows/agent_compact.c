/*
 * agent_compact.c - a conversation made shorter: steps on record that can be taken back.
 *
 *   [ task | answers, results ............ | the last turns ]      from: stays in the journal as it is
 *   [ task | answers, [cleared] .......... | the last turns ]      1. results of tools become stubs that name what was cleared
 *   [ task, pinned, summary                | the last turns ]      2. if that was not enough: the beginning in the model's own words
 *
 * Each step is a new chain in the journal and an event: the key "compaction" {step, from, to ...}. Between two of them the conversation only grows
 * at its end, so what a provider has cached of it stays good. "uncompact" puts `from`, with what was said since, in its place again.
 *
 *   COMPACTING --> cleared --> enough? --yes--> READY
 *                                 '--no--> SUMMARISE --> SUMMARISING --> SUMMED --> READY
 *
 * decide computes (pw_agent_compact), apply takes what it wrote (pw_agent_compacted). Does not look inside messages but for their size and parts.
 */
#include "workflows/agent.h"

#include <stdio.h>
#include <string.h>

enum { CLEAR_BYTES_MIN = 200, ENOUGH_PERCENT = 30, PARTS_MAX = 10000 };

static int64_t size_of(const pawl_value *v)
{
    size_t size = 0;
    return v != NULL && pawl_to_msgpack(v, &size) != NULL ? (int64_t)size : 0;
}

/* ---- when ---- */

static int64_t keep_turns(const pw_agent *a)
{
    const int64_t n = pawl_int(a->config, "compact.keep_turns", PW_AGENT_KEEP_TURNS);
    return n > 0 ? n : 1;
}

static bool is_off(const pw_agent *a)
{
    return pawl_typeof(pawl_get(a->config, "compact")) == PAWL_BOOL &&
           !pawl_bool(a->config, "compact", true);
}

static bool is_full(const pw_agent *a)
{
    const int64_t tokens = pawl_int(a->config, "compact.tokens", 0);
    const int64_t bytes = pawl_int(a->config, "compact.bytes", 0);
    const bool full = (tokens > 0 && a->tokens >= tokens) || (bytes > 0 && a->bytes >= bytes);
    const bool again = a->compacted_turn > 0 && a->turn - a->compacted_turn < keep_turns(a);
    return full && !again && !a->compact_off;
}

void pw_agent_ready(pw_agent *a)
{
    a->phase = PW_AGENT_READY;
    if (a->relist) {
        pw_agent_list_begin(a);
    } else if (a->restore_asked) {
        a->restore_asked = false;
        a->phase = pawl_len(a->before) > 0 ? PW_AGENT_RESTORING : PW_AGENT_READY;
    } else if (a->convo != NULL && (a->compact_asked || is_full(a))) {
        a->phase = PW_AGENT_COMPACTING;
    }
}

bool pw_agent_squeeze(pw_agent *a, const char *type)
{
    const bool may = strcmp(type, "ContextTooLong") == 0 && !a->squeezed && !is_off(a);
    if (may) {
        a->squeezed = true;
        a->turn--; /* it said nothing */
        a->command = 0;
        a->phase = PW_AGENT_COMPACTING;
    }
    return may;
}

/* ---- reading a conversation ---- */

/* What is to be made shorter: messages[0 .. bar). */
typedef struct talk {
    const pawl_value **messages;
    size_t len, bar, task; /* the first messages, before any answer */
    int64_t bytes;
} talk;

static bool talk_read(const pw_agent *a, pawl_fold *f, const pawl_value *convo, talk *ret)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *list = pawl_fold_convo_read(f, convo, 0);
    talk t = {.len = pawl_len(list), .bytes = size_of(list)};
    t.messages = t.len > 0 ? pawl_scope_alloc(scope, t.len * sizeof(const pawl_value *)) : NULL;
    if (t.messages == NULL) {
        return false;
    }
    for (size_t i = 0; i < t.len; i++) {
        t.messages[i] = pawl_at(list, i);
    }
    while (t.task < t.len && !pawl_is(t.messages[t.task], "role", "assistant")) {
        t.task++;
    }
    int64_t left = keep_turns(a);
    t.bar = t.len;
    while (t.bar > t.task && left > 0) {
        t.bar--;
        left -= pawl_is(t.messages[t.bar], "role", "assistant");
    }
    *ret = t;
    return true;
}

static const pawl_value *slice(pawl_scope *scope, const talk *t, size_t from, size_t to)
{
    return pawl_make_array(scope, t->messages + from, to - from);
}

/* ---- 1. results are cleared ---- */

static const pawl_value *stub_of(pawl_scope *scope, const pawl_value *part)
{
    char text[300];
    (void)snprintf(text, sizeof text,
                   "[engine] cleared to save room: what %.64s gave to call %.80s, %lld bytes. Call "
                   "it again if it is needed.",
                   pawl_str(part, "name", "a tool"), pawl_str(part, "id", "?"),
                   (long long)size_of(pawl_get(part, "content")));
    return pawl_with(scope, part, "content", pawl_make_str(scope, text));
}

static const pawl_value *cleared(pawl_scope *scope, const pawl_value *message)
{
    const pawl_value *parts = pawl_get(message, "parts");
    const size_t len = pawl_len(parts);
    const pawl_value **kept =
        len > 0 && len < PARTS_MAX ? pawl_scope_alloc(scope, len * sizeof *kept) : NULL;
    if (kept == NULL || !pawl_is(message, "role", "tool") || pawl_bool(message, "pinned", false)) {
        return message;
    }
    for (size_t i = 0; i < len; i++) {
        const pawl_value *part = pawl_at(parts, i);
        const bool large = pawl_is(part, "type", "tool_result") &&
                           size_of(pawl_get(part, "content")) > CLEAR_BYTES_MIN;
        kept[i] = large ? stub_of(scope, part) : part;
    }
    return pawl_with(scope, message, "parts", pawl_make_array(scope, kept, len));
}

/* A new chain: the beginning, then the rest after it. */
static const pawl_value *chain(pawl_fold *f, const pawl_value *first, const pawl_value *rest,
                               const pawl_value **ret_first)
{
    const pawl_value *ref = pawl_fold_convo_append(f, NULL, first);
    *ret_first = ref;
    return ref != NULL && pawl_len(rest) > 0 ? pawl_fold_convo_append(f, ref, rest) : ref;
}

static const pawl_value *note(pawl_fold *f, const pawl_value *compaction)
{
    pawl_fold_set(f, "compaction", compaction);
    return compaction;
}

static const pawl_value *nothing(const pw_agent *a, pawl_fold *f)
{
    return note(
        f, pawl_build(pawl_fold_scope(f), "{step: 'nothing', turn: %lld}", (long long)a->turn));
}

static const pawl_value *clear(const pw_agent *a, pawl_fold *f, const pawl_value *convo)
{
    pawl_scope *scope = pawl_fold_scope(f);
    talk t;
    if (!talk_read(a, f, convo, &t) || t.bar <= t.task) {
        return nothing(a, f);
    }
    int64_t after = t.bytes;
    for (size_t i = t.task; i < t.bar; i++) {
        const pawl_value *shorter = cleared(scope, t.messages[i]);
        after += size_of(shorter) - size_of(t.messages[i]);
        t.messages[i] = shorter;
    }
    const pawl_value *to = convo, *head = convo;
    if (after < t.bytes) {
        to = chain(f, slice(scope, &t, 0, t.bar), slice(scope, &t, t.bar, t.len), &head);
    }
    const bool sums = (t.bytes - after) * 100 < t.bytes * ENOUGH_PERCENT &&
                      pawl_bool(a->config, "compact.summary", true);
    if (after >= t.bytes && !sums) {
        return nothing(a, f);
    }
    return note(
        f,
        pawl_build(
            scope,
            "{step: 'cleared', turn: %lld, from: %p, to: %p, head: %p, bar: %lld, bytes_before: %lld, bytes_after: %lld,"
            "summarise: %p}",
            (long long)a->turn, pawl_v(convo), pawl_v(to), pawl_v(head), (long long)t.bar,
            (long long)t.bytes, (long long)after, pawl_v(pawl_make_bool(scope, sums))));
}

/* ---- 2. a summary ---- */

const pawl_value *pw_agent_summary_of(const pw_agent *a)
{
    return pawl_get(a->compaction, "head");
}

const pawl_value *pw_agent_summary_words(const pw_agent *a, pawl_scope *scope)
{
    return pawl_build(
        scope, "[{role: 'user', text: %s}]",
        pawl_str(
            a->config, "compact.prompt",
            "[engine] The conversation is getting long. Summarise what was said and done so far, for yourself: the "
            "task, what was found out (names, numbers, paths, as they are), what was decided and why, what is "
            "still to do. Only the summary; call no tool."));
}

void pw_agent_summed(pw_agent *a, const pawl_value *result)
{
    const pawl_value *text =
        pw_agent_text(a->scope, pawl_get(pawl_get(result, "message"), "parts"));
    a->command = 0;
    if (pawl_len(text) > 0) {
        pw_agent_usage_add(a, pawl_get(result, "usage"));
        a->summary = text;
        a->phase = PW_AGENT_SUMMED;
        return;
    }
    a->phase = PW_AGENT_READY; /* results are cleared; it goes on with that */
}

/* The task, what is pinned, the summary. An earlier summary is in the new one. */
static const pawl_value *beginning(const pw_agent *a, pawl_scope *scope, const talk *t, size_t bar)
{
    const pawl_value **kept = pawl_scope_alloc(scope, (bar + 1) * sizeof *kept);
    size_t len = 0;
    for (size_t i = 0; i < bar && kept != NULL; i++) {
        const bool stays = (i < t->task && !pawl_bool(t->messages[i], "summary", false)) ||
                           pawl_bool(t->messages[i], "pinned", false);
        if (stays) {
            kept[len++] = t->messages[i];
        }
    }
    if (kept == NULL) {
        return NULL;
    }
    static const char said[] = "[engine] What was said and done before this, summarised:\n\n";
    const size_t size = sizeof said + pawl_len(a->summary);
    char *text = pawl_scope_alloc(scope, size);
    if (text == NULL) {
        return NULL;
    }
    (void)snprintf(text, size, "%s%s", said, pawl_str(a->summary, "", ""));
    kept[len++] = pawl_build(scope, "{role: 'user', text: %s, summary: true}", text);
    return pawl_make_array(scope, kept, len);
}

static const pawl_value *replace(const pw_agent *a, pawl_fold *f, const pawl_value *convo)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const size_t bar = (size_t)pawl_int(a->compaction, "bar", 0);
    const pawl_value *head = NULL, *to = NULL, *first = NULL;
    talk t;
    if (talk_read(a, f, convo, &t) && bar <= t.len) {
        first = beginning(a, scope, &t, bar);
        to = chain(f, first, slice(scope, &t, bar, t.len), &head);
    }
    if (to == NULL) {
        return nothing(a, f);
    }
    return note(
        f,
        pawl_build(
            scope,
            "{step: 'summary', turn: %lld, from: %p, to: %p, bytes_before: %p, bytes_after: %lld}",
            (long long)a->turn, pawl_v(pawl_get(a->compaction, "from")), pawl_v(to),
            pawl_v(pawl_get(a->compaction, "bytes_before")),
            (long long)(size_of(first) + size_of(slice(scope, &t, bar, t.len)))));
}

/* ---- back ---- */

static const pawl_value *restore(const pw_agent *a, pawl_fold *f, const pawl_value *convo)
{
    pawl_scope *scope = pawl_fold_scope(f);
    const pawl_value *last = pawl_at(a->before, pawl_len(a->before) - 1);
    const pawl_value *from = pawl_get(last, "from");
    const pawl_value *since = pawl_fold_convo_read(f, convo, pawl_convo_len(pawl_get(last, "to")));
    const pawl_value *to = pawl_len(since) > 0 ? pawl_fold_convo_append(f, from, since) : from;
    return note(f, pawl_build(scope, "{step: 'restored', turn: %lld, from: %p, to: %p}",
                              (long long)a->turn, pawl_v(convo), pawl_v(to)));
}

const pawl_value *pw_agent_compact(const pw_agent *a, pawl_fold *f, const pawl_value *convo)
{
    return a->phase == PW_AGENT_RESTORING ? restore(a, f, convo)
           : a->phase == PW_AGENT_SUMMED  ? replace(a, f, convo)
                                          : clear(a, f, convo);
}

/* ---- what is on record ---- */

static void remember(pw_agent *a, const pawl_value *v, bool anew)
{
    const pawl_value *entry = pawl_build(a->scope, "{from: %p, to: %p}",
                                         pawl_v(pawl_get(v, "from")), pawl_v(pawl_get(v, "to")));
    const size_t len = pawl_len(a->before);
    const size_t keep =
        anew || len == 0 ? len : len - 1; /* a summary goes on from what was cleared */
    const pawl_value *list = NULL;
    for (size_t i = keep >= PW_AGENT_BEFORE_MAX ? 1 : 0; i < keep; i++) {
        list = pw_agent_push(a->scope, list, pawl_at(a->before, i));
    }
    a->before = pw_agent_push(a->scope, list, entry);
}

static void take_back(pw_agent *a)
{
    const pawl_value *list = NULL;
    for (size_t i = 0; i + 1 < pawl_len(a->before); i++) {
        list = pw_agent_push(a->scope, list, pawl_at(a->before, i));
    }
    a->before = list;
    a->compact_off = true; /* until "compact": it was wanted as it was */
}

void pw_agent_compacted(pw_agent *a, const pawl_value *v)
{
    const bool clears = pawl_is(v, "step", "cleared");
    const bool useless = pawl_is(v, "step", "nothing");
    a->phase = PW_AGENT_READY;
    a->compacted_turn = a->turn > 0 ? a->turn : 1;
    if (useless && a->squeezed) {
        pw_agent_fail(a, "ContextTooLong",
                      "the conversation is too long for the model, and has nothing to leave out");
    }
    if (useless) {
        a->compact_asked = false;
        return;
    }
    a->compaction = pawl_copy(a->scope, v);
    a->convo = pawl_copy(a->scope, pawl_get(v, "to"));
    a->bytes = pawl_int(v, "bytes_after", a->bytes);
    a->tokens = 0; /* not known before the next answer */
    if (pawl_is(v, "step", "restored")) {
        take_back(a);
        return;
    }
    remember(a, v, clears);
    a->compact_off = a->compact_off && !a->compact_asked;
    a->compact_asked = false;
    if (clears && pawl_bool(v, "summarise", false)) {
        a->phase = PW_AGENT_SUMMARISE;
    }
}
