/*
 * cli_stream.c - `stream`: what a run's activities say while they run, as it comes, until the run closes.
 *
 * Nothing of it is in the journal: it needs the engine that serves it, begins with the last that running attempts said, and an attempt that
 * ends without a result has said nothing that stands. Does not show events: `show -f` does.
 */
#include <inttypes.h>
#include <string.h>

#include "tools/cli_event.h"
#include "tools/cli_follow.h"

typedef struct source {
    int64_t command, index, attempt;
    char channel[65];
} source;

typedef struct streaming {
    pw_cli *cli;
    source now;      /* who spoke last */
    int64_t next_at; /* where what it says goes on */
    size_t count;
    bool mid_line;
} streaming;

static source source_of(const pawl_value *event)
{
    source s = {.command = pawl_int(event, "command", 0),
                .index = pawl_int(event, "index", -1),
                .attempt = pawl_int(event, "attempt", 0)};
    (void)snprintf(s.channel, sizeof s.channel, "%s", pawl_str(event, "channel", ""));
    return s;
}

static bool same(const source *a, const source *b)
{
    return a->command == b->command && a->index == b->index && a->attempt == b->attempt &&
           strcmp(a->channel, b->channel) == 0;
}

static void line_end(streaming *s)
{
    if (s->mid_line) {
        pw_out_puts(&s->cli->out, "\n");
        s->mid_line = false;
    }
}

/* "-- build (#3), attempt 2, stdout", whenever somebody else speaks. */
static void heading(streaming *s, const pawl_value *event, const source *from)
{
    pw_cli_out *o = &s->cli->out;
    line_end(s);
    pw_out_style(o, PW_DIM);
    pw_out_puts(o, "-- ");
    (void)pw_out_str(o, pawl_str(event, "activity", ""));
    pw_out_printf(o, " (#%" PRId64, from->command);
    if (from->index >= 0) {
        pw_out_printf(o, ", item %" PRId64, from->index);
    }
    pw_out_puts(o, ")");
    if (from->attempt > 1) {
        pw_out_printf(o, ", attempt %" PRId64, from->attempt);
    }
    pw_out_puts(o, ", ");
    (void)pw_out_str(o, from->channel);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, "\n");
}

static void show_piece(streaming *s, const pawl_value *event)
{
    pw_cli_out *o = &s->cli->out;
    source from = source_of(event);
    size_t size = 0;
    const char *data = pawl_data(event, "data", &size);
    int64_t at = pawl_int(event, "at", 0);
    if (!same(&from, &s->now)) {
        bool other = from.command != s->now.command || from.index != s->now.index ||
                     from.attempt != s->now.attempt;
        s->next_at = other ? 0 : s->next_at;
        heading(s, event, &from);
        s->now = from;
    }
    if (at > s->next_at) {
        line_end(s);
        pw_out_style(o, PW_DIM);
        pw_out_printf(o, "-- %" PRId64 " bytes before this were missed\n", at - s->next_at);
        pw_out_style(o, PW_PLAIN);
    }
    s->next_at = at + (int64_t)size;
    size_t ends =
        0; /* pw_out_lines takes text that is whole, and leaves out the end of its last line */
    while (ends < size && data[size - ends - 1] == '\n') {
        ends++;
    }
    pw_out_lines(o, data, size - ends, 0);
    for (size_t i = 0; i < ends; i++) {
        pw_out_puts(o, "\n");
    }
    s->mid_line = size > 0 && ends == 0;
}

static void show_end(streaming *s, const pawl_value *event)
{
    if (pawl_bool(event, "stands", true)) {
        return;
    }
    pw_cli_out *o = &s->cli->out;
    line_end(s);
    pw_out_style(o, PW_WARN);
    pw_out_puts(o, "-- ");
    (void)pw_out_str(o, pawl_str(event, "activity", ""));
    pw_out_printf(o,
                  " (#%" PRId64 "): attempt %" PRId64
                  " ended without a result; what it said does not stand\n",
                  pawl_int(event, "command", 0), pawl_int(event, "attempt", 0));
    pw_out_style(o, PW_PLAIN);
}

/* False when the run has closed. */
static bool show(streaming *s, const pawl_value *event)
{
    const char *type = pawl_str(event, "type", "");
    bool output = strncmp(type, "Output", 6) == 0;
    if (s->cli->out.format != PW_FORMAT_TEXT) {
        if (output) {
            pw_out_json_item(&s->cli->out, event, s->count++);
        }
    } else if (strcmp(type, "Output") == 0) {
        show_piece(s, event);
    } else if (output) {
        show_end(s, event);
    } else if (strcmp(type, "Lost") == 0) {
        line_end(s);
        pw_cli_note(s->cli, "this terminal was too slow: something was missed");
    }
    return output || !pw_cli_event_closes(type);
}

static int closed_already(pw_cli *cli, const pawl_value *run)
{
    pw_cli_note(
        cli, "%s is %s: what activities say while they run is not kept; its events: pawl%s show %s",
        cli->run_id, pawl_str(run, "status", "closed"), pw_cli_db_words(cli),
        pw_cli_shell_word(cli->scope, cli->run_id));
    return PW_EXIT_OK;
}

/* Nothing of what is there already is left to a wait: a reply may be buffered. True: Ctrl-C. */
static bool piece_wait(pw_cli *cli, const pw_follow *f, int64_t number, pawl_scope *scope,
                       const pawl_value **ret_event, pawl_status *ret_status, pawl_error *err)
{
    *ret_status = pw_client_next(cli->client, number, 0, scope, ret_event, err);
    while (*ret_status == PAWL_TIMEOUT) {
        if (pw_follow_wait(f, pw_client_fd(cli->client), -1)) {
            return true;
        }
        *ret_status = pw_client_next(cli->client, number, 0, scope, ret_event, err);
    }
    return pw_follow_wait(f, -1, 0);
}

static int pieces(streaming *s, const pw_follow *f, int64_t number)
{
    pw_cli *cli = s->cli;
    pawl_error err = {0};
    pawl_status status = PAWL_OK;
    bool open = true, stopped = false;
    while (open && !stopped && status == PAWL_OK) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *event = NULL;
        stopped = piece_wait(cli, f, number, scope, &event, &status, &err);
        open = status != PAWL_OK || show(s, event);
        pawl_scope_free(scope);
        if (!pw_cli_out_flush(&cli->out)) {
            return PW_EXIT_OK; /* nobody reads */
        }
    }
    line_end(s);
    return stopped && open     ? pw_follow_stopped(cli, "stream")
           : status == PAWL_OK ? PW_EXIT_OK
                               : pw_cli_fail(cli, status, &err, "the stream ended");
}

static int follow(streaming *s)
{
    pw_cli *cli = s->cli;
    pawl_error err = {0};
    int64_t number = 0;
    const pawl_value *run = NULL;
    pawl_status status = pw_client_watch(
        cli->client, pawl_build(cli->scope, "{id: %s, output: true}", cli->run_id), &number, &err);
    int code =
        status == PAWL_OK ? pw_cli_describe(cli, &run) : pw_cli_fail(cli, status, &err, NULL);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (pawl_int(run, "closed_ms", 0) != 0) {
        return closed_already(
            cli, run); /* looked at after the watch began: its end is either seen here or there */
    }
    pw_follow f;
    pw_follow_init(&f);
    code = pieces(s, &f, number);
    pw_follow_deinit(&f);
    return code;
}

int pw_verb_stream(pw_cli *cli)
{
    streaming s = {.cli = cli, .now = {.command = -1}};
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (cli->out.format == PW_FORMAT_JSON) {
        return pw_cli_usage(cli, "one JSON document cannot be followed; use -o jsonl");
    }
    if (!pw_cli_live(cli)) {
        pawl_error err = {0};
        (void)pw_error_set(&err, PAWL_UNSUPPORTED, __FILE__, __LINE__,
                           "no engine runs on this journal, so nothing is being said");
        return pw_cli_fail(cli, PAWL_UNSUPPORTED, &err, NULL);
    }
    return follow(&s);
}
