/*
 * cli_stack.c - `stack`: what a run waits for now, and where in its code; for a paused run, why, with both sides when its code does
 * not match its history.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "sdk/base/record.h"
#include "tools/cli_event.h"

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
    const char *file = pawl_str(w, "file", "");
    cell(grid, PW_DIM, pawl_int(w, "command", 0) != 0 ? "#%" PRId64 : "%.0" PRId64, pawl_int(w, "command", 0));
    cell(grid, PW_NOW, "%s%s%s", kind_word(pawl_str(w, "kind", "?")), *name != '\0' ? " " : "", name);
    if (pawl_get(w, "total") != NULL) {
        cell(grid, PW_PLAIN, "%" PRId64 " of %" PRId64, pawl_int(w, "done", 0), pawl_int(w, "total", 0));
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
    cell(grid, PW_PLAIN, "%s", due != 0 ? span : "");
    cell(grid, PW_DIM, pawl_int(w, "branch", 0) > 0 ? "branch %" PRId64 : "%.0" PRId64, pawl_int(w, "branch", 0));
    if (*file != '\0') {
        cell(grid, PW_PLAIN, "%s:%" PRId64, file, pawl_int(w, "line", 0));
    } else {
        cell(grid, PW_PLAIN, "%s", pawl_str(w, "at", ""));
    }
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
        pw_cli_events(cli, pawl_int(run, "key", 0), 1, pause_find, &p, &err) != PAWL_OK || p.event == NULL) {
        return;
    }
    const char *text = pawl_str(p.event, "text", "");
    const pawl_value *report = pawl_get(p.event, "report");
    pw_out_puts(o, "  ");
    pw_out_styled(o, PW_WARN, "paused");
    pw_out_puts(o, ": ");
    (void)pw_out_str(o, pawl_str(p.event, "reason", "?"));
    if (*text != '\0') {
        pw_out_puts(o, ", ");
        pw_out_lines(o, text, strlen(text), 4);
    }
    pw_out_puts(o, "\n");
    if (report != NULL) {
        pw_out_printf(o, "    the code does not match the history at event %" PRId64 ", command #%" PRId64 ": ",
                      pawl_int(report, "seq", 0), pawl_int(report, "command", 0));
        (void)pw_out_str(o, pawl_str(report, "reason", ""));
        pw_out_puts(o, "\n      history  ");
        (void)pw_out_str(o, pawl_str(report, "history", "-"));
        pw_out_puts(o, "\n      code     ");
        (void)pw_out_str(o, pawl_str(report, "code", "-"));
        pw_out_puts(o, "\n");
    }
    pw_out_puts(o, "  ");
    pw_out_style(o, PW_DIM);
    pw_out_puts(o, "pawl");
    pw_out_puts(o, pw_cli_db_words(cli));
    pw_out_puts(o, " resume ");
    pw_out_puts(o, pw_cli_shell_word(cli->scope, cli->run_id));
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, "\n");
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

static void stack_print(pw_cli *cli, const pawl_value *stack)
{
    pw_cli_out *o = &cli->out;
    const char *status = pawl_str(stack, "status", "?");
    const pawl_value *waiting = pawl_get(stack, "waiting");
    size_t len = pawl_typeof(waiting) == PAWL_ARRAY ? pawl_len(waiting) : 0;
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
    const char *why = len == 1 ? pawl_str(pawl_at(waiting, 0), "why", NULL) : NULL;
    for (size_t i = 0; i < len && (why == NULL || !paused); i++) {
        waiting_row(cli, &grid, pawl_at(waiting, i));
    }
    (void)pw_grid_print(o, &grid, NULL, 2);
    pw_grid_deinit(&grid);
    if (why != NULL && !paused) {
        pw_out_puts(o, "    ");
        (void)pw_out_str(o, why);
        pw_out_puts(o, "\n");
    }
    if (len == 0 && strcmp(status, pw_run_status_name(PW_RUN_RUNNING)) == 0) {
        pw_out_puts(o, pw_cli_live(cli) ? "  ready to go on\n" : "  ready to go on; no engine runs\n");
    }
}

/* A run whose code is not there, or does not fit its history, has no stack to look at, but it waits all the same: for code. */
static int stack_without_code(pw_cli *cli, bool missing, const char *why, const pawl_value **ret_stack)
{
    const pawl_value *run = NULL;
    int code = pw_cli_describe(cli, &run);
    *ret_stack = pawl_build(cli->scope, "{id: %s, status: %s, waiting: [{command: 0, kind: %s, name: %s, since_ms: %lld, why: %s}]}",
                            cli->run_id, pawl_str(run, "status", "?"), missing ? "code" : "matching code", pawl_str(run, "workflow", "?"),
                            (long long)pawl_int(run, "updated_ms", 0), why);
    return code;
}

int pw_verb_stack(pw_cli *cli)
{
    const pawl_value *stack = NULL;
    pawl_error err = {0};
    int64_t timeout = pw_cli_has(cli->args, PW_OPT_TIMEOUT) ? cli->args->number[PW_OPT_TIMEOUT] : STACK_TIMEOUT_MS;
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_cli_request(cli, "stack", pawl_build(cli->scope, "{id: %s}", cli->run_id), timeout, &stack, &err);
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
