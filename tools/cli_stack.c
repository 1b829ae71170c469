/*
 * cli_stack.c - `stack`: what a run waits for now, and where in its code; for a paused run, why, with both sides when its code does
 * not match its history.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/record.h"
#include "tools/cli_trace.h"

#define STACK_TIMEOUT_MS 10000

/* What a wait is called where people read it. */
static const char *kind_word(const char *kind)
{
    return strcmp(kind, "wait") == 0 ? "answer" : kind;
}

static void cell(pw_cli_grid *grid, pw_cli_style style, const char *fmt, ...) PAWL_PRINTF(3, 4);
static void cell(pw_cli_grid *grid, pw_cli_style style, const char *fmt, ...)
{
    char text[512];
    va_list list;
    va_start(list, fmt);
    (void)vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    pw_grid_str(grid, style, text);
}

static void waiting_row(pw_cli *cli, pw_cli_grid *grid, const pawl_value *w)
{
    char span[48] = "";
    int64_t now = cli->out.now_ms;
    int64_t due = pawl_int(w, "due_ms", 0);
    const char *name = pawl_str(w, "name", "");
    cell(grid, PW_DIM, pawl_int(w, "command", 0) != 0 ? "#%" PRId64 : "%.0" PRId64,
         pawl_int(w, "command", 0));
    const char *child = pawl_str(w, "child", "");
    if (*child != '\0') {
        cell(grid, PW_NOW, "child %s (%s)", child, name);
    } else {
        cell(grid, PW_NOW, "%s%s%s", kind_word(pawl_str(w, "kind", "?")), *name != '\0' ? " " : "",
             name);
    }
    if (pawl_get(w, "total") != NULL) {
        cell(grid, PW_PLAIN, "%" PRId64 " of %" PRId64, pawl_int(w, "done", 0),
             pawl_int(w, "total", 0));
    } else if (pawl_int(w, "attempt", 0) > 1) {
        cell(grid, PW_PLAIN, "attempt %" PRId64, pawl_int(w, "attempt", 0));
    } else {
        cell(grid, PW_PLAIN, "%s", "");
    }
    pw_cli_span(span, now - pawl_int(w, "since_ms", now));
    cell(grid, PW_PLAIN, pawl_int(w, "since_ms", 0) != 0 ? "for %s" : "%.0s", span);
    if (due != 0) {
        pw_cli_left(span, due, now);
    }
    if (due != 0 && pawl_bool(w, "retry", false)) {
        pw_cli_relative(span, due, now);
    }
    cell(grid, PW_PLAIN, "%s%s", due != 0 && pawl_bool(w, "retry", false) ? "retry " : "",
         due != 0 ? span : "");
    cell(grid, PW_DIM, pawl_int(w, "branch", 0) > 0 ? "branch %" PRId64 : "%.0" PRId64,
         pawl_int(w, "branch", 0));
    cell(grid, PW_PLAIN, "%s", pawl_str(w, "at", ""));
}

static void try_print(pw_cli *cli, const char *verb)
{
    pw_cli_out *o = &cli->out;
    pw_out_puts(o, "  ");
    pw_out_style(o, PW_DIM);
    pw_out_printf(o, "pawl%s %s ", pw_cli_db_words(cli), verb);
    pw_out_puts(o, pw_cli_shell_word(cli->scope, cli->run_id));
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, "\n");
}

typedef struct last_pause {
    pawl_scope *scope;
    const pawl_value *event;
} last_pause;

static bool pause_find(void *ctx, const pawl_value *event)
{
    last_pause *p = ctx;
    if (pawl_is(event, "type", pw_event_name(PW_EV_RUN_PAUSED))) {
        p->event = pawl_copy(p->scope, event);
    }
    return true;
}

/* Why a run is paused: the last word on it is in its history. */
static void pause_print(pw_cli *cli)
{
    const pawl_value *run = NULL;
    pw_cli_out *o = &cli->out;
    last_pause p = {.scope = cli->scope};
    pawl_error err = {0};
    if (pw_cli_describe(cli, &run) != PW_EXIT_OK ||
        pw_cli_events(cli, pawl_int(run, "key", 0), 1, pause_find, &p, &err) != PAWL_OK ||
        p.event == NULL) {
        return;
    }
    bool asked = pawl_is(p.event, "reason", "asked");
    const char *by = pawl_str(p.event, "by", "");
    const char *text = pawl_str(p.event, "text", "");
    const pawl_value *report = pawl_get(p.event, "report");
    pw_out_puts(o, "  ");
    pw_out_styled(o, PW_WARN, "paused");
    pw_out_puts(o, asked ? *by != '\0' ? " by " : "" : ": ");
    (void)pw_out_str(o, asked ? by : pawl_str(p.event, "reason", "?"));
    if (*text != '\0') {
        pw_out_puts(o, asked ? ": " : ", ");
        pw_out_lines(o, text, strlen(text), 4);
    }
    pw_out_puts(o, "\n");
    if (report != NULL) {
        pw_out_printf(o,
                      "    the code does not match the history at event %" PRId64
                      ", command #%" PRId64 ": ",
                      pawl_int(report, "seq", 0), pawl_int(report, "command", 0));
        (void)pw_out_str(o, pawl_str(report, "reason", ""));
        pw_out_puts(o, "\n      history  ");
        (void)pw_out_str(o, pawl_str(report, "history", "-"));
        pw_out_puts(o, "\n      code     ");
        (void)pw_out_str(o, pawl_str(report, "code", "-"));
        pw_out_puts(o, "\n");
    }
    try_print(cli, "resume");
}

/* How much of the stack that its code has was ever used: what to go by when stack_bytes is chosen. */
static void stack_use_print(pw_cli_out *o, int64_t peak, int64_t bytes)
{
    if (peak <= 0) {
        return;
    }
    pw_out_style(o, PW_DIM);
    pw_out_printf(o, "  stack %" PRId64 " of %" PRId64 " KiB", (peak + 1023) / 1024, bytes / 1024);
    pw_out_style(o, PW_PLAIN);
}

/* Under the rows: what keeps them, and the way out. */
static void whys_print(pw_cli *cli, const pawl_value *waiting, bool paused)
{
    pw_cli_out *o = &cli->out;
    const char *last = "";
    for (size_t i = 0; i < pawl_len(waiting); i++) {
        const pawl_value *w = pawl_at(waiting, i);
        const char *why = pawl_str(w, "why", "");
        if (*why == '\0' || strcmp(why, last) == 0 || (paused && pawl_int(w, "command", 0) == 0)) {
            continue;
        }
        pw_out_puts(o, "    ");
        (void)pw_out_str(o, why);
        pw_out_puts(o, "\n");
        if (pawl_int(w, "command", 0) != 0 && !pawl_bool(w, "held", false)) {
            pw_out_printf(o,
                          "    the engine needs it: pawl%s serve --module FILE.so, or a worker\n",
                          pw_cli_db_words(cli));
        }
        last = why;
    }
}

static bool end_find(void *ctx, const pawl_value *event)
{
    last_pause *p = ctx;
    if (pawl_get(event, "failure") != NULL) {
        p->event = pawl_copy(p->scope, event);
    }
    return true;
}

typedef struct made_at {
    int64_t command;
    pawl_scope *scope;
    const char *name, *at;
} made_at;

static bool made_find(void *ctx, const pawl_value *event)
{
    made_at *m = ctx;
    if (pawl_int(event, "command", 0) == m->command && pawl_get(event, "at") != NULL &&
        m->at == NULL) {
        m->at = pw_strdup(m->scope, pawl_str(event, "at", ""));
        m->name = pw_strdup(m->scope, pawl_str(event, "name", ""));
    }
    return true;
}

/* "#2 zoo.gate at zoo.c:52": the command that the run failed of. */
static void at_print(pw_cli *cli, int64_t key, int64_t command)
{
    made_at m = {.command = command, .scope = cli->scope};
    pawl_error err = {0};
    if (command != 0 && pw_cli_events(cli, key, 1, made_find, &m, &err) == PAWL_OK &&
        m.at != NULL && m.name != NULL) {
        pw_out_printf(&cli->out, "  #%" PRId64 " ", command);
        (void)pw_out_str(&cli->out, m.name);
        pw_out_puts(&cli->out, " at ");
        (void)pw_out_str(&cli->out, m.at);
        pw_out_puts(&cli->out, "\n");
    }
}

/* A closed run waits for nothing: what it failed of, where, and how it goes on. */
static void closed_print(pw_cli *cli, int status)
{
    const pawl_value *run = NULL;
    pw_cli_out *o = &cli->out;
    last_pause p = {.scope = cli->scope};
    pawl_error err = {0};
    if (status != PW_RUN_FAILED) {
        pw_out_puts(o, "  it waits for nothing any more\n");
        return;
    }
    if (pw_cli_describe(cli, &run) == PW_EXIT_OK &&
        pw_cli_events(cli, pawl_int(run, "key", 0), 1, end_find, &p, &err) == PAWL_OK &&
        p.event != NULL) {
        pw_out_puts(o, "  ");
        pw_out_failure(o, pawl_get(p.event, "failure"), 2);
        at_print(cli, pawl_int(run, "key", 0), pawl_int(p.event, "command", 0));
    }
    try_print(cli, "resume");
}

static void stack_print(pw_cli *cli, const pawl_value *stack)
{
    pw_cli_out *o = &cli->out;
    const char *status = pawl_str(stack, "status", "?");
    int number = pw_run_status_from_name(status);
    bool closed = number != 0 && !pw_run_status_is_open(number);
    const pawl_value *waiting = pawl_get(stack, "waiting");
    size_t len = pawl_typeof(waiting) == PAWL_ARRAY ? pawl_len(waiting) : 0;
    if (closed) {
        len = 0; /* what its code left behind waits for nothing any more */
    }
    pw_out_styled(o, PW_BOLD, pawl_str(stack, "id", cli->run_id));
    pw_out_puts(o, " ");
    pw_out_styled(o, pw_cli_status_style(status), status);
    stack_use_print(o, pawl_int(stack, "stack_peak", 0), pawl_int(stack, "stack_bytes", 0));
    pw_out_puts(o, "\n");
    bool paused = strcmp(status, pw_run_status_name(PW_RUN_PAUSED)) == 0;
    if (paused) {
        pause_print(cli);
    }
    pw_cli_grid grid;
    pw_grid_init(&grid, 7);
    grid.yields = 1;
    for (size_t i = 0; i < len && (!paused || pawl_int(pawl_at(waiting, i), "command", 0) != 0);
         i++) {
        waiting_row(cli, &grid, pawl_at(waiting, i));
    }
    (void)pw_grid_print(o, &grid, NULL, 2);
    pw_grid_deinit(&grid);
    whys_print(cli, waiting, paused);
    if (closed) {
        closed_print(cli, number);
    }
    if (len == 0 && strcmp(status, pw_run_status_name(PW_RUN_RUNNING)) == 0) {
        const char *summary = pawl_str(
            stack, "summary", ""); /* a wait that has no row of its own: for a signal, a child */
        pw_out_puts(o, "  ");
        (void)pw_out_str(o, *summary != '\0' ? summary : "ready to go on");
        pw_out_puts(o, "\n");
    }
    if (!closed) {
        pw_cli_say_still(cli);
    }
}

/* A run whose code is not there, or does not fit its history, has no stack to look at, but it waits all the same: for code. */
static int stack_without_code(pw_cli *cli, bool missing, const char *why,
                              const pawl_value **ret_stack)
{
    const pawl_value *run = NULL;
    int code = pw_cli_describe(cli, &run);
    *ret_stack = pawl_build(
        cli->scope,
        "{id: %s, status: %s, waiting: [{command: 0, kind: %s, name: %s, since_ms: %lld, why: %s}]}",
        cli->run_id, pawl_str(run, "status", "?"), missing ? "code" : "matching code",
        pawl_str(run, "workflow", "?"), (long long)pawl_int(run, "updated_ms", 0), why);
    return code;
}

/* ---- what rows do not say, and history does ---- */

static const pawl_value *with_text(pw_cli *cli, const pawl_value *map, const char *key,
                                   const char *text)
{
    return *text == '\0' || *pawl_str(map, key, "") != '\0'
               ? map
               : pawl_with(cli->scope, map, key, pawl_make_str(cli->scope, text));
}

static const pawl_value *with_int(pw_cli *cli, const pawl_value *map, const char *key,
                                  int64_t number)
{
    return number == 0 || pawl_int(map, key, 0) != 0
               ? map
               : pawl_with(cli->scope, map, key, pawl_make_int(cli->scope, number));
}

static const pw_node *node_of(const pw_trace *t, int64_t command)
{
    for (size_t i = 0; i < t->len; i++) {
        if (t->nodes[i].command == command && !t->nodes[i].dropped) {
            return &t->nodes[i];
        }
    }
    return NULL;
}

static bool has_row(const pawl_value *rows, int64_t command, bool timer)
{
    for (size_t i = 0; i < pawl_len(rows); i++) {
        const pawl_value *w = pawl_at(rows, i);
        if (pawl_int(w, "command", 0) == command && (timer || !pawl_is(w, "kind", "timer"))) {
            return true;
        }
    }
    return false;
}

static const pawl_value *row_told(pw_cli *cli, const pawl_value *w, const pw_node *n)
{
    w = with_text(cli, w, "name", n->name);
    w = with_text(cli, w, "at", n->at);
    w = n->kind == PW_NODE_CHILD ? with_text(cli, w, "child", n->note) : w;
    w = with_int(cli, w, "branch", n->branch);
    return with_int(cli, w, "since_ms", n->start_ms);
}

/* The timer of a deadline is said with what has the deadline. */
static size_t rows_told(pw_cli *cli, const pw_trace *t, const pawl_value *rows,
                        const pawl_value **all)
{
    size_t len = 0;
    for (size_t i = 0; i < pawl_len(rows); i++) {
        const pawl_value *w = pawl_at(rows, i);
        const int64_t command = pawl_int(w, "command", 0);
        const pw_node *n = node_of(t, command);
        const bool deadline = pawl_is(w, "kind", "timer") && n != NULL && n->kind != PW_NODE_TIMER;
        if (deadline && has_row(rows, command, false)) {
            continue;
        }
        if (deadline) {
            w = pawl_with(cli->scope, w, "kind",
                          pawl_make_str(cli->scope, pw_node_kind_name(n->kind)));
        }
        all[len++] = n != NULL ? row_told(cli, w, n) : w;
    }
    return len;
}

/* What a run waits for has a row of its own, but for signals and children. */
static pawl_status with_history(pw_cli *cli, const pawl_value **stack, pawl_error *err)
{
    const pawl_value *run = NULL, *rows = pawl_get(*stack, "waiting");
    pw_trace *t = NULL;
    pawl_status s = pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", cli->run_id),
                                   -1, &run, err);
    s = s == PAWL_OK ? pw_trace_build(cli, run, cli->scope, PW_TRACE_ALONE, &t, err) : s;
    const pawl_value **all =
        s == PAWL_OK ? pawl_scope_alloc(cli->scope, (t->len + pawl_len(rows) + 1) * sizeof *all)
                     : NULL;
    if (all == NULL) {
        return s;
    }
    size_t len = rows_told(cli, t, rows, all);
    for (size_t i = 0; i < t->len; i++) {
        const pw_node *n = &t->nodes[i];
        if ((n->kind == PW_NODE_SIGNAL || n->kind == PW_NODE_CHILD) && !n->dropped &&
            n->state == PW_STATE_OPEN && !has_row(rows, n->command, true)) {
            all[len++] = row_told(cli,
                                  pawl_build(cli->scope, "{command: %lld, kind: %s}",
                                             (long long)n->command, pw_node_kind_name(n->kind)),
                                  n);
        }
    }
    *stack = pawl_with(cli->scope, *stack, "waiting", pawl_make_array(cli->scope, all, len));
    return PAWL_OK;
}

int pw_verb_stack(pw_cli *cli)
{
    const pawl_value *stack = NULL;
    pawl_error err = {0};
    int64_t timeout = pw_cli_has(cli->args, PW_OPT_TIMEOUT) ? cli->args->number[PW_OPT_TIMEOUT]
                                                            : STACK_TIMEOUT_MS;
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_cli_request(cli, "stack", pawl_build(cli->scope, "{id: %s}", cli->run_id),
                                   timeout, &stack, &err);
    if (s == PAWL_OK && !pw_cli_live(cli)) {
        s = with_history(cli, &stack, &err);
    }
    if (s == PAWL_NOCODE || s == PAWL_NONDETERMINISM) {
        code = stack_without_code(cli, s == PAWL_NOCODE, err.message, &stack);
        s = PAWL_OK;
    }
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, stack);
    } else {
        stack_print(cli, stack);
    }
    return PW_EXIT_OK;
}
