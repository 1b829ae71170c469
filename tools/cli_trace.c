/*
 * cli_trace.c - building the tree of a run from its events.
 *
 * One function a kind of event, found by a table; events that say nothing about steps are passed over, so a type added later is
 * harmless. Does not draw.
 */
#include "tools/cli_trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/limits.h"
#include "sdk/base/record.h"
#include "sdk/base/value.h"

#define COMMANDS_INDEXED_MAX 1000000
#define STACK_TIMEOUT_MS 3000

const char *pw_node_kind_name(pw_node_kind kind)
{
    static const char *const names[] = {"activity", "step", "timer", "signal", "send",
                                        "child",    "map",  "wait",  "life"};
    return names[kind];
}

const char *pw_node_state_name(pw_node_state state)
{
    static const char *const names[] = {"open", "done",    "failed", "canceled",
                                        "late", "unknown", "note"};
    return names[state];
}

/* ---- nodes ---- */

static const char *keep(pw_trace *t, const pawl_value *event, const char *key)
{
    const char *text = pawl_str(event, key, "");
    const char *copy = *text != '\0' ? pw_strdup(t->scope, text) : "";
    t->failed = t->failed || copy == NULL;
    return copy != NULL ? copy : "";
}

static bool grow(pawl_scope *scope, void *array, size_t *capacity, size_t len, size_t item)
{
    void *old = *(void **)array;
    size_t next = *capacity == 0 ? 64 : *capacity;
    while (next <= len) {
        next *= 2;
    }
    if (next == *capacity) {
        return true;
    }
    void *now = pawl_scope_alloc(scope, next * item);
    if (now == NULL) {
        return false;
    }
    if (*capacity > 0) {
        memcpy(now, old, *capacity * item);
    }
    memcpy(array, &now, sizeof now);
    *capacity = next;
    return true;
}

/* Where compensation asks for a step it says what it takes back: "compensation:3". */
#define UNDO_AT "compensation:"

static pw_node *node_add(pw_trace *t, pw_node_kind kind, const pawl_value *event)
{
    int64_t command = pawl_int(event, "command", 0);
    if (!grow(t->scope, &t->nodes, &t->capacity, t->len, sizeof *t->nodes)) {
        t->failed = true;
        return NULL;
    }
    size_t index = t->len++;
    if (command > 0 && command < COMMANDS_INDEXED_MAX) {
        if (!grow(t->scope, &t->by_command, &t->by_command_len, (size_t)command,
                  sizeof *t->by_command)) {
            t->failed = true;
            return NULL;
        }
        t->by_command[command] = index + 1;
    }
    pw_node *n = &t->nodes[index];
    *n = (pw_node){.kind = kind,
                   .command = command,
                   .seq = pawl_int(event, "seq", 0),
                   .branch = pawl_int(event, "branch", 0),
                   .start_ms = pawl_int(event, "time_ms", 0),
                   .due_ms = pawl_int(event, "due_ms", 0),
                   .attempts = 1,
                   .name = keep(t, event, "name"),
                   .kind_text = keep(t, event, "kind"),
                   .at = keep(t, event, "at"),
                   .said = "",
                   .note = "",
                   .kept = ""};
    if (strncmp(n->at, UNDO_AT, strlen(UNDO_AT)) == 0) {
        n->undoes = strtoll(n->at + strlen(UNDO_AT), NULL, 10);
        n->at = "";
    }
    return n;
}

static pw_node *node_find(pw_trace *t, int64_t command)
{
    if (command > 0 && command < COMMANDS_INDEXED_MAX) {
        size_t index = (size_t)command < t->by_command_len ? t->by_command[command] : 0;
        return index > 0 ? &t->nodes[index - 1] : NULL;
    }
    for (size_t i = t->len; command > 0 && i > 0; i--) {
        if (t->nodes[i - 1].command == command) {
            return &t->nodes[i - 1];
        }
    }
    return NULL;
}

static void node_end(pw_node *n, pw_node_state state, const pawl_value *event)
{
    if (n != NULL) {
        n->state = state;
        n->end_ms = pawl_int(event, "time_ms", 0);
        n->end_seq = pawl_int(event, "seq", 0);
    }
}

static void node_failure(pw_trace *t, pw_node *n, const pawl_value *event)
{
    const pawl_value *failure = pawl_get(event, "failure");
    if (n != NULL && failure != NULL) {
        n->failure = pawl_copy(t->scope, failure);
    }
}

/* ---- events ---- */

static void on_scheduled(pw_trace *t, pw_node_kind kind, const pawl_value *event)
{
    pw_node *n = node_add(t, kind, event);
    if (n != NULL) {
        n->total = pawl_int(event, "total", 0);
        n->note = kind == PW_NODE_CHILD  ? keep(t, event, "id")
                  : kind == PW_NODE_WAIT ? keep(t, event, "prompt")
                                         : "";
    }
}

static void on_ended(pw_trace *t, pw_node_state state, const pawl_value *event)
{
    pw_node *n = node_find(t, pawl_int(event, "command", 0));
    node_end(n, state, event);
    node_failure(t, n, event);
    if (n == NULL) {
        return;
    }
    n->attempts = pawl_int(event, "attempt", n->attempts);
    if (pawl_get(event, "cached") != NULL) { /* none was made */
        const char *note =
            pw_sprintf(t->scope, "kept result of %s", pawl_str(event, "cached.run", "?"));
        n->attempts = 0;
        n->note = note != NULL ? note : "";
    }
    n->total = pawl_int(event, "total", n->total);
    n->failed = pawl_int(event, "failed", n->failed);
    n->done = n->kind == PW_NODE_MAP && state == PW_STATE_DONE ? n->total : n->done;
    if (n->kind == PW_NODE_ACTIVITY) {
        n->note = pawl_is(event, "by", "read-back") ? "read back: it had happened" : "";
    }
    if (n->kind == PW_NODE_WAIT) {
        const char *choice = pawl_str(event, "choice", "");
        const char *by = pawl_str(event, "by", "");
        const char *note =
            state == PW_STATE_LATE
                ? pw_sprintf(t->scope, "%s%s", choice,
                             *choice != '\0' ? ", by its deadline" : "timed out")
                : pw_sprintf(t->scope, "%s%s%s", choice,
                             *by != '\0' ? (*choice != '\0' ? " by " : "answered by ") : "", by);
        n->note = note != NULL ? note : "";
    }
}

/* A whole step in one event. */
static void on_step(pw_trace *t, pw_node_state state, const pawl_value *event)
{
    pw_node *n = node_add(t, PW_NODE_STEP, event);
    node_end(n, state, event);
    node_failure(t, n, event);
}

static void on_retried(pw_trace *t, const pawl_value *event)
{
    pw_node *n = node_find(t, pawl_int(event, "command", 0));
    if (n != NULL) {
        n->attempts = pawl_int(event, "attempt", n->attempts) + 1;
        n->due_ms = pawl_int(event, "due_ms", 0);
        node_failure(t, n, event);
    }
}

static void on_unknown(pw_trace *t, const pawl_value *event)
{
    pw_node *n = node_find(t, pawl_int(event, "command", 0));
    if (n != NULL) {
        n->state = PW_STATE_UNKNOWN;
    }
}

/* Votes, "not now", escalation: one after the other. */
static void on_said(pw_trace *t, const pawl_value *event)
{
    pw_node *n = node_find(t, pawl_int(event, "command", 0));
    const char *by = pawl_str(event, "by", ""), *choice = pawl_str(event, "choice", "data");
    const char *said = NULL;
    if (n == NULL) {
        return;
    }
    n->due_ms = pawl_int(event, "due_ms", n->due_ms); /* deferring moved it */
    if (pawl_is(event, "type", "WaitVoted")) {
        said = pw_sprintf(t->scope, "%s %s", by, choice);
    } else if (pawl_is(event, "type", "WaitDeferred")) {
        said = pw_sprintf(t->scope, "deferred by %s", by);
    } else {
        said = "escalated";
    }
    const char *all = *n->said != '\0' ? pw_sprintf(t->scope, "%s, %s", n->said, said) : said;
    n->said = all != NULL ? all : n->said;
}

/* Signals carry no command: the first open wait for the name takes it, else it stays unread. */
static void on_signal(pw_trace *t, const pawl_value *event)
{
    const char *name = pawl_str(event, "name", "");
    for (size_t i = 0; i < t->len; i++) {
        pw_node *n = &t->nodes[i];
        if (n->kind == PW_NODE_SIGNAL && n->state == PW_STATE_OPEN && !n->dropped &&
            strcmp(n->name, name) == 0) {
            node_end(n, PW_STATE_DONE, event);
            return;
        }
    }
    if (!grow(t->scope, &t->unread, &t->unread_capacity, t->unread_len, sizeof *t->unread)) {
        t->failed = true;
        return;
    }
    t->unread[t->unread_len++] = keep(t, event, "name");
}

static void on_awaited(pw_trace *t, const pawl_value *event)
{
    pw_node *n = node_add(t, PW_NODE_SIGNAL, event);
    for (size_t i = 0; n != NULL && i < t->unread_len; i++) {
        if (strcmp(t->unread[i], n->name) == 0) {
            node_end(n, PW_STATE_DONE, event);
            t->unread_len--;
            memmove(&t->unread[i], &t->unread[i + 1], (t->unread_len - i) * sizeof *t->unread);
            return;
        }
    }
}

static void life(pw_trace *t, const pawl_value *event, const char *what)
{
    pw_node *n = node_add(t, PW_NODE_LIFE, event);
    bool asked = pawl_is(event, "reason", "asked"); /* a pause; why stands beside it */
    const char *reason = pawl_str(event, asked ? "text" : "reason", "");
    const char *by = pawl_str(event, "by", "");
    if (n != NULL) {
        const char *note = pw_sprintf(t->scope, "%s%s%s%s", *by != '\0' ? "by " : "", by,
                                      *reason != '\0' && *by != '\0' ? ": " : "", reason);
        n->state = PW_STATE_NOTE;
        n->name = what;
        n->note = note != NULL ? note : "";
    }
}

/* The run was opened again: what was asked for since `from` no longer counts, nor what ended since then. */
static void on_run_retried(pw_trace *t, const pawl_value *event)
{
    int64_t from = pawl_int(event, "from", INT64_MAX);
    for (size_t i = 0; i < t->len; i++) {
        pw_node *n = &t->nodes[i];
        if (n->seq >= from && n->kind != PW_NODE_LIFE) {
            n->dropped = true;
        } else if (n->end_ms != 0 && n->end_seq >= from) {
            n->state = PW_STATE_OPEN;
            n->end_ms = 0;
            n->failure = NULL;
        }
    }
    t->end = NULL;
    life(t, event, "opened again");
}

static void on_end(pw_trace *t, const pawl_value *event)
{
    t->end = pawl_build(t->scope, "{result: %p, failure: %p}", pawl_v(pawl_get(event, "result")),
                        pawl_v(pawl_get(event, "failure")));
}

static void on_event(pw_trace *t, pw_event_type type, const pawl_value *event);

static bool event_take(void *ctx, const pawl_value *event)
{
    pw_trace *t = ctx;
    static const struct {
        pw_event_type type;
        const char *name;
    } types[] = {
#define X(number, name, text, kind) {PW_EV_##name, text},
#include "sdk/base/events.def"
#undef X
    };
    const char *name = pawl_str(event, "type", "");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) == 0) {
            on_event(t, types[i].type, event);
            break;
        }
    }
    return !t->failed;
}

static void on_sent(pw_trace *t, const pawl_value *event)
{
    pw_node *n = node_add(t, PW_NODE_SEND, event);
    node_end(n, PW_STATE_DONE, event);
    if (n != NULL) {
        n->note = keep(t, event, "to");
    }
}

static void on_event(pw_trace *t, pw_event_type type, const pawl_value *event)
{
    switch ((int)type) {
#define SCHEDULED(name, kind)                   \
    case PW_EV_##name:                          \
        on_scheduled(t, PW_NODE_##kind, event); \
        break;
#define ENDED(name, state)                    \
    case PW_EV_##name:                        \
        on_ended(t, PW_STATE_##state, event); \
        break;
#define OTHER(name, call) \
    case PW_EV_##name:    \
        call;             \
        break;
#include "tools/cli_trace.def"
#undef SCHEDULED
#undef ENDED
#undef OTHER
    default:
        break;
    }
}

/* ---- what it waits for now ---- */

static void stack_merge(pw_cli *cli, pw_trace *t, int64_t key)
{
    const pawl_value *stack = NULL;
    pawl_error err = {0};
    const pawl_value *args =
        pawl_build(t->scope, "{id: %s, key: %lld}", pawl_str(t->run, "id", ""), (long long)key);
    if (pw_client_request(cli->client, "stack", args, STACK_TIMEOUT_MS, t->scope, &stack, &err) !=
        PAWL_OK) {
        return;
    }
    const pawl_value *waiting = pawl_get(stack, "waiting");
    for (size_t i = 0; i < pawl_len(waiting); i++) {
        const pawl_value *w = pawl_at(waiting, i);
        pw_node *n = node_find(t, pawl_int(w, "command", 0));
        if (n != NULL && n->state == PW_STATE_OPEN) {
            const char *why = pawl_str(w, "why", "");
            n->note = n->kind == PW_NODE_ACTIVITY && *why != '\0' ? why : n->note;
            n->attempts = pawl_int(w, "attempt", n->attempts);
            n->due_ms = pawl_int(w, "due_ms", n->due_ms);
        }
    }
}

/* The run is over: what was under way was cut with it. */
static void cut_open(pw_trace *t, int64_t closed_ms)
{
    for (size_t i = 0; i < t->len; i++) {
        pw_node *n = &t->nodes[i];
        if (n->state == PW_STATE_OPEN && !n->dropped) {
            n->state = PW_STATE_CANCELED;
            n->end_ms = closed_ms;
            n->cut = true;
        }
    }
}

static bool map_row(void *ctx, pw_view row_map)
{
    pw_trace *t = ctx;
    const pawl_value *row = pw_value_copy(t->scope, row_map.data, row_map.size);
    pw_node *n = node_find(t, pawl_int(row, "cmd", 0));
    if (n != NULL && n->state == PW_STATE_OPEN) {
        n->done = pawl_int(row, "done", 0);
        n->failed = pawl_int(row, "failed", 0);
    }
    return true;
}

/* Items of a map are no events: how far it is stands in its row. */
static void maps_merge(pw_cli *cli, pw_trace *t, int64_t key)
{
    pawl_error err = {0};
    for (size_t i = 0; i < t->len; i++) {
        if (t->nodes[i].kind == PW_NODE_MAP && t->nodes[i].state == PW_STATE_OPEN) {
            const char *sql = pw_sprintf(
                t->scope, "SELECT cmd, done, failed FROM pawl_maps WHERE run = %" PRId64, key);
            if (sql != NULL) {
                (void)pw_sqlite_query(cli->db, sql, map_row, t, &err);
            }
            return;
        }
    }
}

static void children_build(pw_cli *cli, pw_trace *t, int level)
{
    pawl_error err = {0};
    for (size_t i = 0; i < t->len && level < PW_TRACE_LEVELS_MAX; i++) {
        pw_node *n = &t->nodes[i];
        const pawl_value *run = NULL;
        if (n->kind == PW_NODE_CHILD && !n->dropped &&
            pw_client_request(cli->client, "describe", pawl_build(t->scope, "{id: %s}", n->note),
                              -1, t->scope, &run, &err) == PAWL_OK) {
            (void)pw_trace_build(cli, run, t->scope, level + 1, &n->child, &err);
        }
    }
}

pawl_status pw_trace_build(pw_cli *cli, const pawl_value *run, pawl_scope *scope, int level,
                           pw_trace **ret_trace, pawl_error *err)
{
    pw_trace *t = pawl_scope_alloc(scope, sizeof *t);
    if (t == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    *t = (pw_trace){.run = run, .scope = scope};
    int64_t key = pawl_int(run, "key", 0);
    pawl_status s = pw_cli_events(cli, key, 1, event_take, t, err);
    if (s != PAWL_OK || t->failed) {
        return s != PAWL_OK ? s : pw_err(err, PAWL_NOMEM, "the history is too long to draw");
    }
    if (pawl_int(run, "closed_ms", 0) == 0) {
        stack_merge(cli, t, key);
        maps_merge(cli, t, key);
        pw_trace_kept(cli, t);
    } else {
        cut_open(t, pawl_int(run, "closed_ms", 0));
    }
    t->refused =
        pw_cli_refusals(cli, pawl_str(run, "id", ""), pawl_int(run, "created_ms", INT64_MAX));
    children_build(cli, t, level);
    *ret_trace = t;
    return PAWL_OK;
}

/* ---- JSON ---- */

static const pawl_value *node_json(const pw_node *n, pawl_scope *scope)
{
    const pawl_value *v = pawl_build(
        scope,
        "{command: %lld, kind: %s, name: %s, state: %s, branch: %lld, start_ms: %lld, end_ms: %lld, "
        "due_ms: %lld, attempts: %lld, at: %s}",
        (long long)n->command, n->kind == PW_NODE_WAIT ? "wait" : pw_node_kind_name(n->kind),
        n->name, pw_node_state_name(n->state), (long long)n->branch, (long long)n->start_ms,
        (long long)n->end_ms, (long long)n->due_ms, (long long)n->attempts, n->at);
    if (n->kind == PW_NODE_MAP) {
        v = pawl_with(scope, v, "progress",
                      pawl_build(scope, "{done: %lld, total: %lld, failed: %lld}",
                                 (long long)n->done, (long long)n->total, (long long)n->failed));
    }
    if (*n->said != '\0') {
        v = pawl_with(scope, v, "said", pawl_make_str(scope, n->said));
    }
    if (*n->note != '\0') {
        v = pawl_with(scope, v, "note", pawl_make_str(scope, n->note));
    }
    if (*n->kept != '\0') {
        v = pawl_with(scope, v, "kept", pawl_make_str(scope, n->kept));
    }
    if (n->failure != NULL) {
        v = pawl_with(scope, v, "failure", n->failure);
    }
    return n->child != NULL ? pawl_with(scope, v, "child", pw_trace_json(n->child, scope)) : v;
}

const pawl_value *pw_trace_json(const pw_trace *trace, pawl_scope *scope)
{
    const pawl_value **steps = pawl_scope_alloc(scope, (trace->len + 1) * sizeof *steps);
    size_t len = 0;
    for (size_t i = 0; steps != NULL && i < trace->len; i++) {
        if (!trace->nodes[i].dropped) {
            steps[len++] = node_json(&trace->nodes[i], scope);
        }
    }
    const pawl_value *v = pawl_with(scope, trace->run, "steps", pawl_make_array(scope, steps, len));
    const pawl_value *failure = pawl_get(trace->end, "failure");
    v = trace->refused != NULL ? pawl_with(scope, v, "refused", trace->refused) : v;
    v = pawl_with(scope, v, "result", pawl_get(trace->end, "result"));
    return failure != NULL ? pawl_with(scope, v, "failure", failure) : v;
}
