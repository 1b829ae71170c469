/*
 * cli_show.c - `show`: a run's events, once or as they come.
 *
 * Following reads the history again whenever the engine hints that something was committed (and now and then without a hint), so a
 * lost hint loses no event and none is shown twice [T6]. With no engine running it looks at the file, and takes up with the engine that comes.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/record.h"
#include "tools/cli_event.h"
#include "tools/cli_follow.h"

#define LOOK_EVERY_MS 500

typedef struct showing {
    pw_cli *cli;
    pw_follow ctrl_c; /* of -f */
    int64_t key;
    int64_t next_key; /* of the run this one continued as; 0 = not yet */
    int64_t last;     /* number of the last event shown */
    int64_t started_ms;
    int64_t count;
    int64_t max; /* 0 = all */
    bool closed;
    bool broken;  /* the reader of our output is gone */
    bool stopped; /* Ctrl-C */
} showing;

static bool show_event(void *ctx, const pawl_value *event)
{
    showing *s = ctx;
    pw_cli_out *o = &s->cli->out;
    const char *type = pawl_str(event, "type", "");
    s->last = pawl_int(event, "seq", s->last + 1);
    if (s->started_ms == 0) {
        s->started_ms = pawl_int(event, "time_ms", 0);
    }
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json_item(o, event, (size_t)s->count);
    } else {
        pw_out_event_line(o, event, s->started_ms);
    }
    s->count++;
    s->closed = pw_cli_event_closes(type);
    if (strcmp(type, pw_event_name(PW_EV_RUN_CONTINUED)) == 0) {
        s->next_key = pawl_int(event, "next", 0);
    }
    if (o->text.size > 65536) {
        s->broken = !pw_cli_out_flush(o);
        s->stopped = pw_follow_wait(&s->ctrl_c, -1, 0);
    }
    return !s->broken && !s->stopped && (s->max == 0 || s->count < s->max);
}

/* Shows what is new. A run that continued as new goes on under the same id and another key, with numbers from 1. */
static pawl_status show_new(showing *s, pawl_error *err)
{
    bool follow = pw_cli_has(s->cli->args, PW_OPT_FOLLOW);
    pawl_status status = pw_cli_events(s->cli, s->key, s->last + 1, show_event, s, err);
    while (follow && status == PAWL_OK && s->next_key != 0) {
        s->key = s->next_key;
        s->next_key = 0;
        s->last = 0;
        s->started_ms = 0;
        status = pw_cli_events(s->cli, s->key, 1, show_event, s, err);
    }
    if (!pw_cli_out_flush(&s->cli->out)) {
        s->broken = true;
    }
    return status;
}

/* Connects again when the engine has gone or come. *number 0: no engine says when something is new. */
static void watch_again(pw_cli *cli, int64_t *number)
{
    pawl_error err = {0};
    pw_client *next = NULL;
    *number = 0;
    if (pw_client_open(cli->db, 0, &next, &err) == PAWL_OK) {
        pw_client_close(cli->client);
        cli->client = next;
        if (pw_client_is_live(next) &&
            pw_client_watch(next, pawl_build(cli->scope, "{id: %s}", cli->run_id), number, &err) !=
                PAWL_OK) {
            *number = 0;
        }
    }
}

/* Waits for a hint, or for a while. */
static void hint_wait(showing *s, int64_t *number)
{
    pw_cli *cli = s->cli;
    const pawl_value *event = NULL;
    pawl_error err = {0};
    pawl_scope *scope = pawl_scope_new();
    pawl_status status = PAWL_TIMEOUT;
    if (*number != 0) {
        status = pw_client_next(cli->client, *number, 0, scope, &event, &err);
    }
    if (status == PAWL_TIMEOUT) {
        s->stopped = pw_follow_wait(&s->ctrl_c, *number != 0 ? pw_client_fd(cli->client) : -1,
                                    LOOK_EVERY_MS);
        status = *number != 0 && !s->stopped
                     ? pw_client_next(cli->client, *number, 0, scope, &event, &err)
                     : status;
    }
    while (status == PAWL_OK) { /* what several hints are about is read at once */
        status = pw_client_next(cli->client, *number, 0, scope, &event, &err);
    }
    pawl_scope_free(scope);
    if (!s->stopped && (*number == 0 || status != PAWL_TIMEOUT)) {
        watch_again(cli, number);
    }
}

static int follow(showing *s)
{
    pw_cli *cli = s->cli;
    pawl_error err = {0};
    int64_t number = 0;
    if (pw_cli_live(cli) &&
        pw_client_watch(cli->client, pawl_build(cli->scope, "{id: %s}", cli->run_id), &number,
                        &err) != PAWL_OK) {
        number = 0;
    }
    for (;;) {
        pawl_status status = show_new(s, &err);
        if (status != PAWL_OK && status != PAWL_IO && status != PAWL_SHUTDOWN) {
            return pw_cli_fail(cli, status, &err, NULL);
        }
        if (s->closed || s->broken || (s->max != 0 && s->count >= s->max)) {
            return PW_EXIT_OK;
        }
        if (!s->stopped) {
            hint_wait(s, &number);
        }
        if (s->stopped) {
            return pw_follow_stopped(cli, "show");
        }
    }
}

int pw_verb_show(pw_cli *cli)
{
    showing s = {.cli = cli, .max = cli->args->number[PW_OPT_LIMIT], .ctrl_c = {.fd = -1}};
    pawl_error err = {0};
    const pawl_value *run = NULL;
    int code = pw_cli_target(cli, false);
    code = code == PW_EXIT_OK ? pw_cli_describe(cli, &run) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    s.key = pawl_int(run, "key", 0);
    if (pw_cli_has(cli->args, PW_OPT_FOLLOW)) {
        if (cli->out.format == PW_FORMAT_JSON) {
            return pw_cli_usage(cli, "one JSON document cannot be followed; use -o jsonl");
        }
        pw_follow_init(&s.ctrl_c);
        code = follow(&s);
        pw_follow_deinit(&s.ctrl_c);
        return code;
    }
    pawl_status status = show_new(&s, &err);
    if (status != PAWL_OK) {
        return pw_cli_fail(cli, status, &err, NULL);
    }
    pw_out_json_end(&cli->out, (size_t)s.count);
    return PW_EXIT_OK;
}
