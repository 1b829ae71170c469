/*
 * cli_trace_page.c - `trace`: the tree of a run once, or drawn anew over itself as the run moves. Does not build it and does not draw it.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "sdk/base/record.h"
#include "tools/cli_follow.h"
#include "tools/cli_trace.h"

#define FOLLOW_MS 500

static size_t terminal_rows(const pw_cli_out *out)
{
    struct winsize size = {0};
    return out->terminal && ioctl(fileno(out->file), TIOCGWINSZ, &size) == 0 && size.ws_row > 2
               ? size.ws_row
               : 24;
}

/* Draws over what was drawn before; of a tree taller than the terminal the end is shown. */
static void redraw(pw_cli *cli, const pw_trace *t, size_t *lines_before)
{
    pw_cli_out *o = &cli->out;
    pw_cli_out page = *o;
    pw_buf_init(&page.text, 0);
    page.now_ms = pw_cli_now_ms();
    (void)pw_trace_draw(cli, &page, t);
    const char *text = pw_buf_cstr(&page.text);
    size_t rows = terminal_rows(o) - 1;
    size_t lines = 0;
    for (const char *p = text; *p != '\0'; p++) {
        lines += *p == '\n';
    }
    for (; lines > rows; lines--) {
        text = strchr(text, '\n') + 1;
    }
    if (*lines_before > 0) {
        pw_out_printf(o, "\033[%zuA\033[J", *lines_before);
    }
    pw_out_puts(o, text);
    *lines_before = lines;
    pw_buf_deinit(&page.text);
}

static int trace_once(pw_cli *cli, size_t *lines_before, bool *ret_closed)
{
    const pawl_value *run = NULL;
    pw_trace *t = NULL;
    pawl_error err = {0};
    pawl_scope *scope = pawl_scope_new();
    pawl_status s = scope == NULL ? PAWL_NOMEM
                                  : pw_client_request(cli->client, "describe",
                                                      pawl_build(scope, "{id: %s}", cli->run_id),
                                                      -1, scope, &run, &err);
    s = s == PAWL_OK ? pw_trace_build(cli, run, scope, 0, &t, &err) : s;
    if (s == PAWL_OK && cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pw_trace_json(t, scope));
    } else if (s == PAWL_OK && lines_before != NULL) {
        redraw(cli, t, lines_before);
    } else if (s == PAWL_OK) {
        (void)pw_trace_draw(cli, &cli->out, t);
    }
    *ret_closed = s == PAWL_OK &&
                  !pw_run_status_is_open(pw_run_status_from_name(pawl_str(run, "status", "")));
    pawl_scope_free(scope);
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
}

static int follow(pw_cli *cli, const pw_follow *f)
{
    bool closed = false;
    size_t lines = 0;
    for (;;) {
        int code = trace_once(cli, &lines, &closed);
        if (!pw_cli_out_flush(&cli->out) || closed || code != PW_EXIT_OK) {
            return code;
        }
        if (pw_follow_wait(f, -1, FOLLOW_MS)) {
            return pw_follow_stopped(cli, "trace");
        }
    }
}

int pw_verb_trace(pw_cli *cli)
{
    bool closed = false;
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (!pw_cli_has(cli->args, PW_OPT_FOLLOW)) {
        code = trace_once(cli, NULL, &closed);
        if (code == PW_EXIT_OK && !closed) {
            pw_cli_say_still(cli);
        }
        return code;
    }
    if (!cli->out.terminal || cli->out.format != PW_FORMAT_TEXT) {
        return pw_cli_usage(
            cli,
            "a tree can be followed on a terminal only; for a program: pawl%s show %s -f -o jsonl",
            pw_cli_db_words(cli), pw_cli_shell_word(cli->scope, cli->run_id));
    }
    pw_follow f;
    pw_follow_init(&f);
    code = follow(cli, &f);
    pw_follow_deinit(&f);
    return code;
}
