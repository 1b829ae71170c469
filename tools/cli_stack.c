/*
 * cli_stack.c - `stack`: what a run waits for now, and where in its code; for a paused run, why, with both sides when its code does
 * not match its history.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/record.h"
#include "tools/cli_event.h"

#define STACK_TIMEOUT_MS 10000

static void waiting_row(pw_cli *cli, pw_cli_grid *grid, const pawl_value *w)
{
    char text[256];
    char since[32];
    const char *kind = pawl_str(w, "kind", "?");
    const char *name = pawl_str(w, "name", "");
    (void)snprintf(text, sizeof text, "#%" PRId64, pawl_int(w, "command", 0));
    pw_grid_str(grid, PW_DIM, text);
    (void)snprintf(text, sizeof text, "%s%s%s", kind, *name != '\0' ? " " : "", name);
    pw_grid_str(grid, PW_NOW, text);
    text[0] = '\0';
    if (pawl_int(w, "attempt", 0) > 1) {
        (void)snprintf(text, sizeof text, "attempt %" PRId64, pawl_int(w, "attempt", 0));
    } else if (pawl_get(w, "total") != NULL) {
        (void)snprintf(text, sizeof text, "%" PRId64 " of %" PRId64, pawl_int(w, "done", 0), pawl_int(w, "total", 0));
    }
    pw_grid_str(grid, PW_PLAIN, text);
    pw_cli_span(since, cli->out.now_ms - pawl_int(w, "since_ms", cli->out.now_ms));
    (void)snprintf(text, sizeof text, "for %s", since);
    pw_grid_str(grid, PW_PLAIN, text);
    text[0] = '\0';
    if (pawl_int(w, "due_ms", 0) != 0) {
        pw_cli_relative(since, pawl_int(w, "due_ms", 0), cli->out.now_ms);
        (void)snprintf(text, sizeof text, "until %s", since);
    }
    pw_grid_str(grid, PW_PLAIN, text);
    text[0] = '\0';
    if (pawl_int(w, "branch", 0) > 0) {
        (void)snprintf(text, sizeof text, "branch %" PRId64, pawl_int(w, "branch", 0));
    }
    pw_grid_str(grid, PW_DIM, text);
    const char *file = pawl_str(w, "file", "");
    text[0] = '\0';
    if (*file != '\0') {
        (void)snprintf(text, sizeof text, "%s:%" PRId64, file, pawl_int(w, "line", 0));
    } else {
        (void)snprintf(text, sizeof text, "%s", pawl_str(w, "at", ""));
    }
    pw_grid_str(grid, PW_PLAIN, text);
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

static void stack_print(pw_cli *cli, const pawl_value *stack)
{
    pw_cli_out *o = &cli->out;
    const char *status = pawl_str(stack, "status", "?");
    const pawl_value *waiting = pawl_get(stack, "waiting");
    size_t len = pawl_typeof(waiting) == PAWL_ARRAY ? pawl_len(waiting) : 0;
    pw_out_styled(o, PW_BOLD, pawl_str(stack, "id", cli->run_id));
    pw_out_puts(o, " ");
    pw_out_styled(o, pw_cli_status_style(status), status);
    pw_out_puts(o, "\n");
    if (strcmp(status, pw_run_status_name(PW_RUN_PAUSED)) == 0) {
        pause_print(cli);
    }
    pw_cli_grid grid;
    pw_grid_init(&grid, 7);
    for (size_t i = 0; i < len; i++) {
        waiting_row(cli, &grid, pawl_at(waiting, i));
    }
    (void)pw_grid_print(o, &grid, NULL, 2);
    pw_grid_deinit(&grid);
    if (len == 0 && strcmp(status, pw_run_status_name(PW_RUN_RUNNING)) == 0) {
        pw_out_puts(o, pw_cli_live(cli) ? "  ready to go on\n" : "  ready to go on; no engine runs\n");
    }
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
