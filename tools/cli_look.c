/*
 * cli_look.c - the commands that look at runs: list, describe, query, result. Events are in cli_show.c, the tree in
 * cli_trace.c, questions in cli_wait.c.
 *
 * Nothing here changes a run. query may host an engine to ask code, with no run moving.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/record.h"
#include "tools/cli_session.h"

#define LIST_DEFAULT 100
#define PAGE 500
#define QUERY_DRAIN_MS 1000

pw_cli_style pw_cli_status_style(const char *status)
{
    switch (pw_run_status_from_name(status)) {
    case PW_RUN_RUNNING:
        return PW_NOW;
    case PW_RUN_PAUSED:
        return PW_WARN;
    case PW_RUN_COMPLETED:
        return PW_GOOD;
    case PW_RUN_FAILED:
    case PW_RUN_TIMED_OUT:
        return PW_BAD;
    default:
        return PW_DIM;
    }
}

/* ---- list ---- */

/* What a run waits for, for people: the journal's word for missing code is told as trace tells it. */
static const char *waits_for(const pawl_value *run)
{
    return pawl_is(run, "waiting", "no-code") ? "its code is not here"
                                              : pawl_str(run, "waiting", "");
}

/* "activity build, 3 of 10 files", "NotFound: no such branch" ... */
static void doing_text(pw_buf *b, const pawl_value *run)
{
    const char *waiting = waits_for(run);
    const char *reason = pawl_str(run, "reason", "");
    const char *text = pawl_str(run, "progress.text", "");
    int64_t total = pawl_int(run, "progress.total", 0);
    bool open = pawl_int(run, "closed_ms", 0) == 0;
    if (open) {
        pw_buf_puts(b, waiting);
        if (total > 0 || *text != '\0') {
            pw_buf_puts(b, *waiting != '\0' ? ", " : "");
        }
        if (total > 0) {
            pw_buf_printf(b, "%" PRId64 " of %" PRId64 "%s", pawl_int(run, "progress.done", 0),
                          total, *text != '\0' ? " " : "");
        }
        pw_buf_puts(b, text);
    }
    if (*reason != '\0') {
        pw_buf_printf(b, "%s%s", b->size > 0 ? ", " : "", reason);
    }
}

static void list_row(pw_cli *cli, pw_cli_grid *grid, const pawl_value *run)
{
    char text[256];
    const char *status = pawl_str(run, "status", "?");
    int64_t created = pawl_int(run, "created_ms", 0);
    int64_t closed = pawl_int(run, "closed_ms", 0);
    pw_grid_str(grid, PW_PLAIN, pawl_str(run, "id", "?"));
    const char *version = pawl_str(run, "version", "");
    (void)snprintf(text, sizeof text, "%s%s%s", pawl_str(run, "workflow", "?"),
                   *version != '\0' ? "@" : "", version);
    pw_grid_str(grid, PW_PLAIN, text);
    pw_grid_str(grid, pw_cli_status_style(status), status);
    if (cli->out.times == PW_TIME_RELATIVE) {
        pw_cli_relative(text, created, cli->out.now_ms);
    } else if (cli->out.times == PW_TIME_ISO) {
        pw_cli_iso(text, created);
    } else {
        (void)snprintf(text, sizeof text, "%" PRId64, created);
    }
    pw_grid_str(grid, PW_PLAIN, text);
    pw_cli_span(text, (closed != 0 ? closed : cli->out.now_ms) - created);
    pw_grid_str(grid, closed != 0 ? PW_PLAIN : PW_DIM, text);
    pw_buf doing = PW_BUF_INIT;
    doing_text(&doing, run);
    pw_grid_add(grid, PW_PLAIN, doing.size > 0 ? (const char *)doing.data : "", doing.size);
    pw_buf_deinit(&doing);
}

typedef struct listing {
    pw_cli *cli;
    pw_cli_grid grid;
    const pawl_value **all; /* json */
    size_t len;
    size_t max;
    size_t open; /* how many of them are not closed */
    bool more;
} listing;

static bool list_take(listing *l, const pawl_value *run)
{
    pw_cli_out *o = &l->cli->out;
    if (o->format == PW_FORMAT_TEXT) {
        list_row(l->cli, &l->grid, run);
    } else if (o->format == PW_FORMAT_JSONL) {
        pw_out_json(o, run);
    } else {
        if (l->len % PAGE == 0) {
            const pawl_value **all = pawl_scope_alloc(l->cli->scope, (l->len + PAGE) * sizeof *all);
            if (all == NULL) {
                return false;
            }
            if (l->len > 0) {
                memcpy(all, l->all, l->len * sizeof *all);
            }
            l->all = all;
        }
        l->all[l->len] = pawl_copy(l->cli->scope, run);
    }
    l->len++;
    l->open += pawl_int(run, "closed_ms", 0) == 0 ? 1 : 0;
    return true;
}

static pawl_status list_pages(listing *l, pawl_error *err)
{
    int64_t cursor = 0;
    pawl_status s = PAWL_OK;
    do {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *page = NULL;
        size_t left = l->max - l->len;
        const pawl_value *args = pawl_build(scope, "{filter: %s, limit: %zu, cursor: %lld}",
                                            l->cli->args->value[PW_OPT_QUERY],
                                            left < PAGE ? left : (size_t)PAGE, (long long)cursor);
        s = pw_client_request(l->cli->client, "list", args, -1, scope, &page, err);
        const pawl_value *runs = pawl_get(page, "runs");
        for (size_t i = 0; s == PAWL_OK && i < pawl_len(runs) && l->len < l->max; i++) {
            s = list_take(l, pawl_at(runs, i)) ? PAWL_OK : PAWL_NOMEM;
        }
        cursor = s == PAWL_OK ? pawl_int(page, "next", 0) : 0;
        pawl_scope_free(scope);
        if (l->cli->out.format == PW_FORMAT_JSONL && !pw_cli_out_flush(&l->cli->out)) {
            return pw_err(err, PAWL_IO, "the output cannot be written");
        }
    } while (cursor != 0 && l->len < l->max);
    l->more = cursor != 0;
    return s;
}

/* Starts that wait in the inbox are no runs yet, but who asked for them looks for them here. */
static void list_kept(listing *l, const pawl_value *kept)
{
    for (size_t i = 0; i < pawl_len(kept) && !pw_cli_has(l->cli->args, PW_OPT_QUERY); i++) {
        const pawl_value *item = pawl_at(kept, i);
        const pawl_value *args = pawl_get(item, "args");
        if (pawl_is(item, "op", "start")) {
            list_row(
                l->cli, &l->grid,
                pawl_build(
                    l->cli->scope,
                    "{id: %s, workflow: %s, version: %s, status: %s, created_ms: %lld, reason: %s}",
                    pawl_str(item, "id", "?"), pawl_str(args, "workflow", "?"),
                    pawl_str(args, "version", ""), "kept",
                    (long long)pawl_int(item, "posted_ms", 0), "its start waits for an engine"));
            l->len++;
        }
    }
}

/* On a terminal: what ids are cut to when they leave no room for what runs do. */
static void list_short(listing *l)
{
    pw_cli_grid *g = &l->grid;
    const char **ids = pawl_scope_alloc(l->cli->scope, (l->len + 1) * sizeof *ids);
    for (size_t i = 0; i < l->len && ids != NULL; i++) {
        char *id = pw_grid_text(g, i * g->columns);
        ids[i] = id != NULL ? pw_strdup(l->cli->scope, id) : NULL;
        free(id);
        ids = ids[i] != NULL ? ids : NULL;
    }
    if (ids == NULL || !pw_cli_prefixes(l->cli, ids, l->len)) {
        return;
    }
    for (size_t i = 0; i < l->len; i++) {
        pw_grid_short(g, i * g->columns, ids[i]);
    }
}

static void list_print(listing *l)
{
    static const char *const headings[] = {"ID", "WORKFLOW", "STATUS", "STARTED", "TOOK", "DOING"};
    pw_cli *cli = l->cli;
    const pawl_value *inbox = pw_cli_inbox(cli);
    size_t kept = pawl_len(inbox);
    if (cli->out.format == PW_FORMAT_TEXT) {
        list_kept(l, inbox);
    }
    if (cli->out.format == PW_FORMAT_JSON) {
        pw_out_json(&cli->out, pawl_make_array(cli->scope, l->all, l->len));
    } else if (cli->out.format == PW_FORMAT_TEXT && l->len > 0) {
        if (cli->out.width != 0) {
            list_short(l);
        }
        (void)pw_grid_print(&cli->out, &l->grid, headings, 0);
    }
    if (l->len == 0 && cli->out.format == PW_FORMAT_TEXT && kept == 0) {
        pw_cli_note(cli, pw_cli_has(cli->args, PW_OPT_QUERY)
                             ? "no run matches"
                             : "no runs yet; to start one: pawl start TYPE");
    }
    if (l->more) {
        pw_cli_note(cli, "there are more: --limit 0 shows all");
    }
    if (kept > 0) {
        pw_cli_note(cli, "%zu request%s kept for the next engine: pawl%s serve", kept,
                    kept == 1 ? " is" : "s are", pw_cli_db_words(cli));
    } else if (l->open > 0) {
        pw_cli_say_still(cli);
    }
}

int pw_verb_list(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    listing l = {.cli = cli, .max = LIST_DEFAULT};
    if (pw_cli_has(a, PW_OPT_LIMIT)) {
        l.max = a->number[PW_OPT_LIMIT] == 0 ? SIZE_MAX : (size_t)a->number[PW_OPT_LIMIT];
    }
    pw_grid_init(&l.grid, 6);
    l.grid.yields = 1;
    pawl_status s = list_pages(&l, &err);
    if (s == PAWL_OK) {
        list_print(&l);
    } else {
        cli->next = s == PAWL_INVALID ? "pawl help list" : NULL;
        code = pw_cli_fail(cli, s, &err, NULL);
    }
    pw_grid_deinit(&l.grid);
    return code;
}

/* ---- describe ---- */

static void field(pw_cli_out *o, const char *label)
{
    pw_out_puts(o, "  ");
    pw_out_style(o, PW_DIM);
    pw_out_printf(o, "%-10s", label);
    pw_out_style(o, PW_PLAIN);
    pw_out_puts(o, " ");
}

static void field_str(pw_cli_out *o, const char *label, const char *text)
{
    if (text != NULL && *text != '\0') {
        field(o, label);
        pw_out_wrap(o, text, 13);
        pw_out_puts(o, "\n");
    }
}

static void field_time(pw_cli_out *o, const char *label, int64_t ms)
{
    char iso[32];
    if (ms == 0) {
        return;
    }
    field(o, label);
    pw_out_time(o, ms);
    if (o->times == PW_TIME_RELATIVE) {
        pw_cli_iso(iso, ms);
        pw_out_style(o, PW_DIM);
        pw_out_printf(o, "  %s", iso);
        pw_out_style(o, PW_PLAIN);
    }
    pw_out_puts(o, "\n");
}

static void field_int(pw_cli_out *o, const char *label, int64_t n)
{
    if (n != 0) {
        field(o, label);
        pw_out_printf(o, "%" PRId64 "\n", n);
    }
}

static void describe_text(pw_cli *cli, const pawl_value *run)
{
    pw_cli_out *o = &cli->out;
    const char *status = pawl_str(run, "status", "?");
    int64_t created = pawl_int(run, "created_ms", 0);
    int64_t closed = pawl_int(run, "closed_ms", 0);
    char span[32];
    pw_out_styled(o, PW_BOLD, pawl_str(run, "id", "?"));
    pw_out_puts(o, "\n");
    field(o, "status");
    pw_out_styled(o, pw_cli_status_style(status), status);
    pw_cli_span(span, (closed != 0 ? closed : o->now_ms) - created);
    pw_out_printf(o, closed != 0 ? " after %s\n" : " for %s\n", span);
    field(o, "workflow");
    (void)pw_out_str(o, pawl_str(run, "workflow", "?"));
    if (pawl_get(run, "version") != NULL) {
        pw_out_puts(o, " version ");
        (void)pw_out_str(o, pawl_str(run, "version", "?"));
    }
    pw_out_puts(o, "\n");
    field_str(o, closed == 0 ? "waits for" : "waited for", closed == 0 ? waits_for(run) : "");
    field_str(o, "reason", pawl_str(run, "reason", ""));
    if (pawl_int(run, "progress.total", 0) > 0 || *pawl_str(run, "progress.text", "") != '\0') {
        field(o, "progress");
        pw_out_printf(o, "%" PRId64, pawl_int(run, "progress.done", 0));
        if (pawl_int(run, "progress.total", 0) > 0) {
            pw_out_printf(o, " of %" PRId64, pawl_int(run, "progress.total", 0));
        }
        pw_out_puts(o, " ");
        (void)pw_out_str(o, pawl_str(run, "progress.text", ""));
        pw_out_puts(o, "\n");
    }
    const pawl_value *waits = closed == 0 ? pw_cli_waits(cli, pawl_str(run, "id", "")) : NULL;
    for (size_t i = 0; i < pawl_len(waits); i++) {
        field(o, i == 0 ? "asks" : "");
        pw_out_wrap(o, pw_cli_wait_line(cli, pawl_at(waits, i)), 13);
        pw_out_puts(o, "\n");
    }
    const pawl_value *refused = pawl_get(run, "refused");
    for (size_t i = 0; i < pawl_len(refused); i++) {
        field_str(o, i == 0 ? "refused" : "", pw_cli_refusal_line(cli, pawl_at(refused, i)));
    }
    field_time(o, "started", created);
    field_time(o, "changed", pawl_int(run, "updated_ms", 0));
    field_time(o, "closed", closed);
    field_int(o, "events", pawl_int(run, "events", 0));
    field_str(o, "parent", pawl_str(run, "parent", ""));
    field_str(o, "trace", pawl_str(run, "traceparent", ""));
    field_int(o, "unread", pawl_int(run, "unread", 0));
    field_int(o, "crashes", pawl_int(run, "crashes", 0));
    const pawl_value *keys = pawl_get(run, "keys");
    if (pawl_len(keys) > 0) {
        field(o, "publishes");
        for (size_t i = 0; i < pawl_len(keys); i++) {
            pw_out_puts(o, i > 0 ? ", " : "");
            (void)pw_out_str(o, pawl_str(pawl_at(keys, i), "", "?"));
        }
        pw_out_puts(o, "\n");
    }
}

int pw_verb_describe(pw_cli *cli)
{
    const pawl_value *run = NULL;
    pawl_error err = {0};
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", cli->run_id),
                                   -1, &run, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    const pawl_value *refused =
        pw_cli_refusals(cli, pawl_str(run, "id", ""), pawl_int(run, "created_ms", 0));
    run = refused != NULL ? pawl_with(cli->scope, run, "refused", refused) : run;
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, run);
    } else {
        describe_text(cli, run);
        if (pawl_int(run, "closed_ms", 0) == 0) {
            pw_cli_say_still(cli);
        }
    }
    return PW_EXIT_OK;
}

/* ---- query ---- */

/* Nobody runs: code can still answer when the caller brings it. No run moves meanwhile, so that over the socket what needs code would wait. */
static int query_host(pw_cli *cli)
{
    pw_client_close(cli->client);
    cli->client = NULL;
    pw_cli_host_options options = {
        .log_level = PAWL_WARN, .quiet = true, .socket = true, .still = true};
    return pw_cli_host(cli, &options);
}

static int query_ask(pw_cli *cli, const char *name, const pawl_value *input,
                     const pawl_value **ret_reply)
{
    pawl_error err = {0};
    int64_t timeout =
        pw_cli_has(cli->args, PW_OPT_TIMEOUT) ? cli->args->number[PW_OPT_TIMEOUT] : 30000;
    const pawl_value *args = pawl_build(cli->scope, "{id: %s, name: %s}", cli->run_id, name);
    args = input != NULL ? pawl_with(cli->scope, args, "input", input) : args;
    pawl_status s = pw_cli_request(cli, "query", args, timeout, ret_reply, &err);
    bool offline =
        !pw_cli_live(cli) && (s == PAWL_NOT || s == PAWL_UNSUPPORTED || s == PAWL_NOTFOUND);
    if (offline && cli->args->module_count > 0) {
        int code = query_host(cli);
        if (code != PW_EXIT_OK) {
            return code;
        }
        s = pawl_request(cli->engine, "query", args, timeout, cli->scope, ret_reply, &err);
    } else if (offline) {
        (void)pw_error_set(
            &err, PAWL_NOCODE, __FILE__, __LINE__,
            "%.80s publishes no \"%.80s\"; a query handler may answer it, but no engine runs",
            cli->run_id, name);
        s = PAWL_NOCODE;
        const char *quoted = pw_cli_shell_word(cli->scope, name);
        cli->next = pw_sprintf(cli->scope, "pawl%%d query %%w %s --module FILE.so",
                               strchr(quoted, '%') == NULL ? quoted : "NAME");
    } else if (s == PAWL_NOTFOUND) {
        cli->way_out = "what it publishes is shown by";
        cli->next = "pawl%d query %w";
    }
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
}

/* Every published key: {key: value, ...}. */
static int query_all(pw_cli *cli, const pawl_value **ret_reply)
{
    const pawl_value *run = NULL;
    const pawl_value *all = pawl_build(cli->scope, "{}");
    pawl_error err = {0};
    pawl_status s = pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", cli->run_id),
                                   -1, &run, &err);
    const pawl_value *keys = s == PAWL_OK ? pawl_get(run, "keys") : NULL;
    for (size_t i = 0; s == PAWL_OK && i < pawl_len(keys); i++) {
        const pawl_value *value = NULL;
        const char *key = pawl_str(pawl_at(keys, i), "", "");
        s = pw_cli_request(cli, "query",
                           pawl_build(cli->scope, "{id: %s, name: %s}", cli->run_id, key), 30000,
                           &value, &err);
        all = pawl_with(cli->scope, all, key, value);
    }
    if (s == PAWL_OK && pawl_len(all) == 0) {
        pw_cli_note(cli, "it publishes nothing");
    }
    *ret_reply = all;
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, NULL);
}

int pw_verb_query(pw_cli *cli)
{
    const pawl_value *input = NULL;
    const pawl_value *reply = NULL;
    const char *name = cli->args->value[PW_OPT_NAME];
    int code = pw_cli_json_arg(cli, PW_OPT_INPUT, &input);
    code = code == PW_EXIT_OK ? pw_cli_target(cli, false) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    code = name == NULL ? query_all(cli, &reply) : query_ask(cli, name, input, &reply);
    if (code == PW_EXIT_OK && cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, reply);
    } else if (code == PW_EXIT_OK && (name != NULL || pawl_len(reply) > 0)) {
        pw_out_value(&cli->out, reply, 0);
    }
    (void)pw_cli_out_flush(&cli->out);
    pw_cli_unhost(cli, QUERY_DRAIN_MS);
    return code;
}

/* ---- result ---- */

int pw_verb_result(pw_cli *cli)
{
    const pawl_value *end = NULL;
    int64_t timeout =
        pw_cli_has(cli->args, PW_OPT_TIMEOUT) ? cli->args->number[PW_OPT_TIMEOUT] : -1;
    int code = pw_cli_target(cli, false);
    code = code == PW_EXIT_OK ? pw_cli_await(cli, cli->run_id, timeout, &end) : code;
    return code == PW_EXIT_OK ? pw_cli_end_print(cli, end) : code;
}
