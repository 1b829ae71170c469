/*
 * cli_replay.c - `replay`: do the open runs of a journal fit the code of a module? Asked before a deploy.
 *
 *     an engine in this process, standing still --stack of each run--> the run is rebuilt from its history by that code | how it differs
 *
 * No run moves, no activity starts, and what does not fit is said, not paused. Does not look at closed runs: nothing replays them again.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "tools/cli_session.h"

#define REPLAY_TIMEOUT_MS 30000
#define PAGE 100

typedef struct replaying {
    pw_cli *cli;
    pw_cli_grid grid;
    size_t items; /* printed as JSON */
    size_t len, misfits, codeless;
    size_t max;
    int64_t said_ms;
} replaying;

/* A sign of life a second, on a terminal. */
static void sign(replaying *r)
{
    pw_cli_out *o = &r->cli->complain;
    const int64_t now = pw_cli_now_ms();
    if (o->terminal && now - r->said_ms >= 1000) {
        pw_out_printf(o, "\rreplayed %zu runs\033[K", r->len);
        (void)pw_cli_out_flush(o);
        r->said_ms = now;
    }
}

static void take(replaying *r, const pawl_value *run, pawl_status s, const char *why)
{
    pw_cli *cli = r->cli;
    const char *id = pawl_str(run, "id", "?"), *workflow = pawl_str(run, "workflow", "?");
    const char *version = pawl_str(run, "version", "");
    r->len++;
    r->codeless += s == PAWL_NOCODE ? 1 : 0;
    r->misfits += s != PAWL_OK && s != PAWL_NOCODE ? 1 : 0;
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_item(
            &cli->out,
            pawl_build(cli->scope,
                       "{id: %s, workflow: %s, version: %s, fits: %p, status: %s, message: %s}", id,
                       workflow, version, pawl_v(pawl_make_bool(cli->scope, s == PAWL_OK)),
                       pawl_status_name(s), s == PAWL_OK ? NULL : why),
            r->items++);
    } else if (s != PAWL_OK) {
        pw_grid_str(&r->grid, PW_PLAIN, id);
        pw_grid_str(
            &r->grid, PW_PLAIN,
            pw_sprintf(cli->scope, "%s%s%s", workflow, *version != '\0' ? "@" : "", version));
        pw_grid_str(&r->grid, s == PAWL_NOCODE ? PW_WARN : PW_BAD, why);
    }
}

static pawl_status replay_one(replaying *r, const pawl_value *run)
{
    pawl_error err = {0};
    const pawl_value *stack = NULL;
    pw_cli *cli = r->cli;
    const int64_t timeout = pw_cli_has(cli->args, PW_OPT_TIMEOUT)
                                ? cli->args->number[PW_OPT_TIMEOUT]
                                : REPLAY_TIMEOUT_MS;
    pawl_scope *scope = pawl_scope_new();
    pawl_status s =
        pawl_request(cli->engine, "stack", pawl_build(scope, "{id: %s}", pawl_str(run, "id", "")),
                     timeout, scope, &stack, &err);
    pawl_scope_free(scope);
    if (s == PAWL_NOTFOUND || s == PAWL_CLOSED) {
        return PAWL_OK;
    }
    take(r, run, s, err.message);
    sign(r);
    return PAWL_OK;
}

static pawl_status replay_all(replaying *r, pawl_error *err)
{
    const char *filter = r->cli->args->value[PW_OPT_QUERY];
    int64_t cursor = 0;
    pawl_status s = PAWL_OK;
    do {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *page = NULL;
        s = pawl_list(r->cli->engine, filter != NULL ? filter : "status = open", cursor, PAGE,
                      scope, &page, err);
        const pawl_value *runs = pawl_get(page, "runs");
        for (size_t i = 0; s == PAWL_OK && i < pawl_len(runs) && r->len < r->max; i++) {
            const pawl_value *run = pawl_at(runs, i);
            s = pawl_int(run, "closed_ms", 0) == 0 ? replay_one(r, run) : PAWL_OK;
        }
        cursor = s == PAWL_OK ? pawl_int(page, "next", 0) : 0;
        pawl_scope_free(scope);
    } while (cursor != 0 && r->len < r->max);
    return s;
}

static int verdict(replaying *r)
{
    static const char *const headings[] = {"ID", "WORKFLOW", "WHY IT DOES NOT FIT"};
    pw_cli_out *o = &r->cli->out;
    const size_t fits = r->len - r->misfits - r->codeless;
    if (r->said_ms != 0 && r->cli->complain.terminal) {
        pw_out_puts(&r->cli->complain, "\r\033[K");
        (void)pw_cli_out_flush(&r->cli->complain);
    }
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json_end(o, r->items);
    } else {
        if (fits < r->len) {
            (void)pw_grid_print(o, &r->grid, headings, 0);
            pw_out_puts(o, "\n");
        }
        pw_out_printf(o, r->len == 1 ? "%zu of %zu open run fits\n" : "%zu of %zu open runs fit\n",
                      fits, r->len);
    }
    return r->misfits > 0 ? PW_EXIT_ERROR : r->codeless > 0 ? PW_EXIT_NOCODE : PW_EXIT_OK;
}

/* An engine has the journal: its runs are where it is, and only it may open the file as owner. */
static int served(pw_cli *cli)
{
    pawl_error err = {0};
    (void)pw_error_set(&err, PAWL_BUSY, __FILE__, __LINE__,
                       "an engine serves %.120s: process %" PRId64, cli->db,
                       pw_client_pid(cli->client));
    cli->way_out = "ask a copy of it";
    cli->next = "pawl%d backup copy.db && pawl replay --db copy.db --module FILE.so";
    return pw_cli_fail(cli, PAWL_BUSY, &err, NULL);
}

int pw_verb_replay(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const pw_cli_host_options options = {.log_level = PAWL_ERROR, .quiet = true, .still = true};
    pawl_error err = {0};
    if (a->module_count == 0) {
        return pw_cli_usage(cli, "which code? --module FILE.so");
    }
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (pw_cli_live(cli)) {
        return served(cli);
    }
    pw_client_close(cli->client);
    cli->client = NULL;
    code = pw_cli_host(cli, &options);
    if (code != PW_EXIT_OK) {
        return code;
    }
    replaying r = {.cli = cli, .max = SIZE_MAX, .said_ms = pw_cli_now_ms()};
    if (a->number[PW_OPT_LIMIT] > 0) {
        r.max = (size_t)a->number[PW_OPT_LIMIT];
    }
    pw_grid_init(&r.grid, 3);
    pawl_status s = replay_all(&r, &err);
    code = s == PAWL_OK ? verdict(&r) : pw_cli_fail(cli, s, &err, NULL);
    pw_grid_deinit(&r.grid);
    return code;
}
