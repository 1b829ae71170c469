/*
 * cli_serve.c - `serve`: hosts an engine until a signal, or until nothing has happened for --idle-exit.
 *
 * The first signal lets running activities finish within --drain, then tells them to stop (the engine's log names them); signals are then as
 * usual again, so a second one ends the process at once. Nothing acknowledged is lost either way.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/record.h"
#include "sdk/base/value.h"
#include "tools/cli_concept.h"
#include "tools/cli_serve.h"
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
    if (open_runs > 0 && cli->args->module_count == 0 && o->format == PW_FORMAT_TEXT) {
        pw_cli_note(cli, "without --module it has pawl's own workflows alone: runs of others wait "
                         "for their code");
    }
}

/* [T24] Beyond this machine a port asks who it is, and over TLS: a token in the clear is everybody's on the way. What is in front may do both, and
 * then --insecure says so. 0 or an exit code after having said why. */
static int check_exposed(pw_cli *cli, const pw_http_address *a)
{
    const pw_cli_args *args = cli->args;
    const bool tls = pw_cli_has(args, PW_OPT_TLS_CERT);
    const bool rights = pw_cli_has(args, PW_OPT_RIGHTS) || pw_cli_has(args, PW_OPT_CLIENT_TOKENS);
    if (a->every && !pw_cli_has(args, PW_OPT_HOST)) {
        return pw_cli_usage(
            cli,
            "%s is every address of this machine, and no client calls it by that: say by which "
            "names they do, as --host pawl.example.com,192.0.2.7",
            a->host);
    }
    if (a->loopback || (tls && rights)) {
        return PW_EXIT_OK;
    }
    const char *missing = tls      ? "nobody is asked who it is: --client-tokens or --rights"
                          : rights ? "tokens would be in the clear: --tls-cert and --tls-key"
                                   : "nobody is asked who it is, and there is no TLS: "
                                     "--client-tokens or --rights, --tls-cert and --tls-key";
    if (!pw_cli_has(args, PW_OPT_INSECURE)) {
        return pw_cli_usage(cli,
                            "%s is reached from other machines, and %s; or --insecure, when "
                            "something in front does that",
                            a->host, missing);
    }
    pw_cli_note(cli, "%s is reached from other machines, and %s", a->host, missing);
    return PW_EXIT_OK;
}

/* The options of --http belong together. 0 or an exit code after having said why. */
static int check_mcp(pw_cli *cli)
{
    const pw_cli_args *args = cli->args;
    static const pw_cli_opt own[] = {PW_OPT_RIGHTS, PW_OPT_CLIENT_TOKENS, PW_OPT_HOST,
                                     PW_OPT_INSECURE};
    pw_http_address a;
    pawl_error err = {0};
    for (size_t i = 0; i < PW_COUNT(own) && !pw_cli_has(args, PW_OPT_HTTP); i++) {
        if (pw_cli_has(args, own[i])) {
            return pw_cli_usage(cli, "--%s is for --http", pw_cli_option_get(own[i])->word);
        }
    }
    if (pw_cli_has(args, PW_OPT_TLS_CERT) != pw_cli_has(args, PW_OPT_TLS_KEY)) {
        return pw_cli_usage(cli, "--tls-cert and --tls-key go together");
    }
    if (!pw_cli_has(args, PW_OPT_HTTP)) {
        return PW_EXIT_OK;
    }
    return pw_http_address_parse(args->value[PW_OPT_HTTP], &a, &err) == PAWL_OK
               ? check_exposed(cli, &a)
               : pw_cli_usage(cli, "%s", err.message);
}

/** Where the MCP server's thread says something: outlives it. */
typedef struct mcp_log {
    pw_cli *cli;
    pawl_level least;
} mcp_log;

static void say_line(void *user, pawl_level level, const char *text)
{
    const mcp_log *log = user;
    if (level >= log->least) {
        pw_cli_log(log->cli, level, NULL, 0, text);
    }
}

/* Starts the MCP server, if it was asked for. 0 or an exit code after having said why. */
static int start_mcp(pw_cli *cli, pawl_level least, pw_mcpd_host **ret_mcp)
{
    const pw_cli_args *args = cli->args;
    pw_mcpd_options options = {.journal = cli->db,
                               .tools = (pw_mcpd_tools)args->number[PW_OPT_TOOLS],
                               .bound_ms = args->number[PW_OPT_CALL_BOUND],
                               .task_ttl_ms = args->number[PW_OPT_TASK_TTL]};
    mcp_log *log = pw_alloc(cli->scope, sizeof *log);
    pw_cli_late *late = pw_alloc(cli->scope, sizeof *late);
    if (cli->embedder != NULL && late != NULL) {
        late->cli = cli;
        options.chooser = pw_cli_chooser_now;
        options.chooser_user = late;
    }
    pawl_error err = {0};
    const pw_mcpd_http_options http = {.address = args->value[PW_OPT_HTTP],
                                       .names = args->value[PW_OPT_HOST],
                                       .cert_file = args->value[PW_OPT_TLS_CERT],
                                       .key_file = args->value[PW_OPT_TLS_KEY],
                                       .rights_file = args->value[PW_OPT_RIGHTS],
                                       .tokens_file = args->value[PW_OPT_CLIENT_TOKENS],
                                       .ca_file = getenv("PAWL_CA_FILE"),
                                       .user = log,
                                       .log = say_line};
    if (http.address == NULL || log == NULL) {
        return log != NULL ? PW_EXIT_OK : PW_EXIT_ERROR;
    }
    *log = (mcp_log){cli, least};
    pawl_status status = pw_mcpd_host_start(&options, &http, ret_mcp, &err);
    cli->next = status != PAWL_OK ? "" : cli->next;
    return status == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, status, &err, "cannot serve MCP");
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
    if (pw_cli_has(a, PW_OPT_CHECK)) {
        return pw_cli_serve_check(cli);
    }
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
    code = code == PW_EXIT_OK ? check_mcp(cli) : code;
    code = code == PW_EXIT_OK ? pw_cli_host(cli, &options) : code;
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_mcpd_host *mcp = NULL;
    code = pw_cli_relay_begin(cli, options.log_level, &relay);
    code = code == PW_EXIT_OK ? start_mcp(cli, options.log_level, &mcp) : code;
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
