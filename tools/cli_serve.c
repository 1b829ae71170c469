/*
 * cli_serve.c - `serve`: hosts an engine until a signal, or until nothing has happened for --idle-exit.
 *
 * The first signal lets running activities finish within --drain, then tells them to stop (the engine's log names them); signals are then as
 * usual again, so a second one ends the process at once. Nothing acknowledged is lost either way.
 */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "journal/journal.h"
#include "sdk/base/limits.h"
#include "sdk/base/record.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"
#include "tools/mcp/host.h"
#include "tools/mcp/http_address.h"

#define DRAIN_MS_DEFAULT 10000
#define LOOK_EVERY_MS 1000
#define LOOK_EVERY_MS_MIN 50

static bool count_take(void *ctx, pw_view row_map)
{
    pawl_scope *scope = pawl_scope_new();
    *(int64_t *)ctx = pawl_int(pw_value_copy(scope, row_map.data, row_map.size), "n", 0);
    pawl_scope_free(scope);
    return false;
}

/* From the file: the engine has not met them all when it gets ready. */
static int64_t open_runs_count(pw_cli *cli)
{
    char sql[100];
    int64_t n = 0;
    pawl_error err = {0};
    (void)snprintf(sql, sizeof sql, "SELECT count(*) AS n FROM pawl_runs WHERE status IN (%d, %d)",
                   (int)PW_RUN_RUNNING, (int)PW_RUN_PAUSED);
    (void)pw_sqlite_query(cli->db, sql, count_take, &n, &err);
    return n;
}

static void ready(pw_cli *cli, const pw_relay *relay, const pw_mcpd_host *mcp)
{
    pw_cli_out *o = &cli->out;
    pawl_error err = {0};
    const pawl_value *stats = NULL;
    bool inbox_read =
        pawl_stats(cli->engine, cli->scope, &stats, &err) == PAWL_OK; /* it answers after that */
    int64_t open_runs = inbox_read ? open_runs_count(cli) : 0;
    if (o->format != PW_FORMAT_TEXT) {
        const pawl_value *v =
            pawl_build(cli->scope, "{ready: true, pid: %d, journal: %s, runs_open: %lld}",
                       (int)getpid(), cli->db, (long long)open_runs);
        if (relay != NULL) {
            v = pawl_with(cli->scope, v, "workers",
                          pawl_make_str(cli->scope, pw_relay_address(relay)));
        }
        if (mcp != NULL) {
            v = pawl_with(cli->scope, v, "mcp", pawl_make_str(cli->scope, pw_mcpd_host_url(mcp)));
        }
        pw_out_json(o, v);
    } else {
        pw_out_styled(o, PW_GOOD, "ready");
        pw_out_puts(o, " ");
        (void)pw_out_str(o, cli->db);
        pw_out_style(o, PW_DIM);
        pw_out_printf(o, " (pid %d, %" PRId64 " open run%s)", (int)getpid(), open_runs,
                      open_runs == 1 ? "" : "s");
        if (relay != NULL) {
            pw_out_printf(o, ", workers on %s", pw_relay_address(relay));
        }
        pw_out_style(o, PW_PLAIN);
        pw_out_printf(o, mcp != NULL ? "  MCP at %s\n" : "\n",
                      mcp != NULL ? pw_mcpd_host_url(mcp) : "");
    }
    (void)pw_cli_out_flush(o);
}

static bool is_loopback(const char *address)
{
    pw_http_address a = {.loopback = false};
    pawl_error err = {0};
    return pw_http_address_parse(address, &a, &err) == PAWL_OK && a.loopback;
}

/* Starts the MCP server, if it was asked for. 0 or an exit code after having said why. */
static int start_mcp(pw_cli *cli, pw_mcpd_host **ret_mcp)
{
    pw_mcpd_options options = {.journal = cli->db,
                               .tools = (pw_mcpd_tools)cli->args->number[PW_OPT_TOOLS]};
    pawl_error err = {0};
    if (!pw_cli_has(cli->args, PW_OPT_HTTP)) {
        return PW_EXIT_OK;
    }
    pawl_status status = pw_mcpd_host_start(&options, cli->args->value[PW_OPT_HTTP], ret_mcp, &err);
    if (status != PAWL_OK) {
        return pw_cli_fail(cli, status, &err, "cannot serve MCP");
    }
    if (!is_loopback(cli->args->value[PW_OPT_HTTP])) {
        pw_cli_note(
            cli, "whoever reaches the MCP port can start workflows here: it asks for no token yet");
    }
    return PW_EXIT_OK;
}

/* A number that changes whenever anything happened, or -1 while something is under way. */
static int64_t activity_mark(pw_cli *cli, const pw_mcpd_host *mcp)
{
    static const char *const counters[] = {"turns",    "commits",      "groups",       "steps",
                                           "requests", "jobs_started", "timers_fired", "stale"};
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *stats = NULL;
    pawl_error err = {0};
    int64_t mark = 0;
    bool own = false;
    int64_t clients = mcp != NULL ? (int64_t)pw_mcpd_host_clients(mcp, &own) : 0;
    if (scope == NULL || pawl_stats(cli->engine, scope, &stats, &err) != PAWL_OK) {
        pawl_scope_free(scope);
        return -1;
    }
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        mark += pawl_int(stats, counters[i], 0);
    }
    clients += pawl_int(stats, "clients", 0) - own; /* our MCP server is nobody */
    mark = pawl_int(stats, "tasks_running", 0) > 0 || clients > 0 ? -1 : mark;
    pawl_scope_free(scope);
    return mark;
}

/* The signal that ends it; 0 = it was idle for long enough. */
static int serve_until(pw_cli *cli, const pw_mcpd_host *mcp, int64_t idle_ms)
{
    int64_t mark = -1;
    int64_t since = pw_cli_now_ms();
    int64_t look = idle_ms == 0 || idle_ms / 4 > LOOK_EVERY_MS ? LOOK_EVERY_MS : idle_ms / 4;
    look = look < LOOK_EVERY_MS_MIN ? LOOK_EVERY_MS_MIN : look;
    for (;;) {
        int number = pw_cli_signal_take(look);
        if (number != 0) {
            return number;
        }
        if (idle_ms == 0) {
            continue;
        }
        int64_t now_mark = activity_mark(cli, mcp);
        int64_t now = pw_cli_now_ms();
        if (now_mark < 0 || now_mark != mark) {
            mark = now_mark;
            since = now;
        } else if (now - since >= idle_ms) {
            return 0;
        }
    }
}

int pw_verb_serve(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    pw_relay *relay = NULL;
    static const pawl_level levels[] = {PAWL_DEBUG, PAWL_INFO, PAWL_WARN, PAWL_ERROR};
    pw_cli_host_options options = {
        .socket = true, .log_level = PAWL_INFO, .watchdog_ms = PW_WATCHDOG_ABORT_MS};
    if (pw_cli_has(a, PW_OPT_LOG_LEVEL)) {
        options.log_level = levels[a->number[PW_OPT_LOG_LEVEL]];
    }
    options.threads = (uint32_t)a->number[PW_OPT_THREADS];
    if (pw_cli_has(a, PW_OPT_LIVE_RUNS)) {
        options.max_live_runs =
            a->number[PW_OPT_LIVE_RUNS] == 0 ? -1 : (int)a->number[PW_OPT_LIVE_RUNS];
    }
    options.debug_held = pw_cli_has(a, PW_OPT_DEBUG_HELD);
    if (options.debug_held && !pw_cli_has(a, PW_OPT_LOG_LEVEL)) {
        options.log_level = PAWL_DEBUG; /* what is held as it should be is said there */
    }
    int code = pw_cli_relay_check(cli);
    code = code == PW_EXIT_OK ? pw_cli_host(cli, &options) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_mcpd_host *mcp = NULL;
    code = pw_cli_relay_begin(cli, options.log_level, &relay);
    code = code == PW_EXIT_OK ? start_mcp(cli, &mcp) : code;
    if (code != PW_EXIT_OK) {
        pw_relay_stop(relay);
        pw_cli_unhost(cli, 0);
        return code;
    }
    ready(cli, relay, mcp);
    int64_t drain = pw_cli_has(a, PW_OPT_DRAIN) ? a->number[PW_OPT_DRAIN] : DRAIN_MS_DEFAULT;
    int number = serve_until(cli, mcp, a->number[PW_OPT_IDLE_EXIT]);
    if (number != 0 && cli->complain.terminal) {
        pw_out_puts(&cli->complain, "\r"); /* over the ^C that the terminal shows */
        pw_cli_note(cli, "stopping; ^C again stops at once");
    }
    pw_cli_signals_unblock();
    pw_mcpd_host_stop(mcp);
    pw_cli_unhost(cli, drain); /* its remote workers may report until then */
    pw_relay_stop(relay);
    return PW_EXIT_OK;
}
