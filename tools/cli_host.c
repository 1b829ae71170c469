/*
 * cli_host.c - an engine in this process: the built-in code, the modules of the command line, logging, signals.
 *
 * The command then talks to it through the control socket, as it would to any other engine, so there is one way only. Does not
 * install signal handlers: signals are blocked before the engine's threads start, and taken when asked.
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "sdk/base/clock.h"
#include "tools/cli_concept.h"
#include "tools/cli_model.h"
#include "tools/cli_session.h"
#include "workflows/workflows.h"

#define OPEN_WAITED_MS 3000 /* no owner: that is told at once */

/* ---- signals ---- */

static void stop_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGHUP);
}

void pw_cli_signals_block(void)
{
    sigset_t set;
    stop_signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void pw_cli_signals_unblock(void)
{
    sigset_t set;
    stop_signals(&set);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int pw_cli_signal_take(int64_t timeout_ms)
{
    sigset_t set;
    stop_signals(&set);
    struct timespec t = {.tv_sec = (time_t)(timeout_ms / 1000),
                         .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int number = sigtimedwait(&set, NULL, &t);
    return number > 0 ? number : 0;
}

/* ---- log ---- */

/* "12:00:01.123 warn  release-42 #3: text": one write a line, from any thread. */
void pw_cli_log(void *user, pawl_level level, const char *run_id, int64_t command, const char *text)
{
    static const struct {
        const char *name;
        pw_cli_style style;
    } levels[] = {{"debug", PW_DIM}, {"info", PW_PLAIN}, {"warn", PW_WARN}, {"error", PW_BAD}};
    const pw_cli *cli = user;
    pw_cli_out out = cli->complain;
    size_t at = (size_t)level < sizeof levels / sizeof levels[0] ? (size_t)level : 3;
    struct timespec now = {0};
    struct tm tm = {0};
    char clock[16] = "";
    pw_buf_init(&out.text, 0);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &tm);
    (void)strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    pw_out_style(&out, PW_DIM);
    pw_out_printf(&out, "%s.%03ld ", clock, now.tv_nsec / 1000000);
    pw_out_style(&out, PW_PLAIN);
    pw_out_styled(&out, levels[at].style, levels[at].name);
    pw_out_pad(&out, 6 - strlen(levels[at].name));
    if (run_id != NULL && *run_id != '\0') {
        (void)pw_out_str(&out, run_id);
        if (command > 0) {
            pw_out_printf(&out, " #%" PRId64, command);
        }
        pw_out_puts(&out, ": ");
    }
    pw_out_lines(&out, text, strlen(text), 19);
    pw_out_puts(&out, "\n");
    (void)pw_cli_out_flush(&out);
    pw_cli_out_deinit(&out);
}

/* ---- the engine ---- */

static pawl_status code_register(pw_cli *cli, pawl_error *err)
{
    pawl_status s = pawl_workflows_register(cli->engine, err);
    s = s == PAWL_OK ? pw_cli_model_register(cli, err) : s;
    s = s == PAWL_OK ? pw_cli_chooser_register(cli, err) : s; /* before the agent's own */
    s = s == PAWL_OK ? pw_cli_net_register(cli->engine, pw_cli_has(cli->args, PW_OPT_NO_NET), err)
                     : s;
    for (size_t i = 0; s == PAWL_OK && i < cli->args->module_count; i++) {
        s = pawl_load_module(cli->engine, cli->args->module[i], err);
        cli->way_out = s == PAWL_NOTFOUND || s == PAWL_INVALID
                           ? "a module is a shared library: make, in its folder, builds it; a new "
                             "one is written by"
                           : NULL;
        cli->next = cli->way_out != NULL ? "pawl new NAME" : NULL;
    }
    return s;
}

static int served_already(pw_cli *cli)
{
    pw_cli_out *o = &cli->complain;
    pw_out_styled(o, PW_BAD, "pawl:");
    pw_out_puts(o, " an engine serves ");
    (void)pw_out_str(o, cli->db);
    pw_out_printf(
        o,
        " already: process %" PRId64
        "\n      every command reaches it by itself; to replace it, stop that process first\n",
        pw_client_pid(cli->client));
    (void)pw_cli_out_flush(o);
    return PW_EXIT_BUSY;
}

/* Again when the owner that was in the way has gone meanwhile: pawl_open tells of one at once. What it has waited for itself is somebody else, who
 * is waited for no longer: another program has the file locked, or reads it all the time. BUSY: with a live client, or err says who it is. */
static pawl_status open_or_meet(pw_cli *cli, const pawl_options *o, pawl_error *err)
{
    const int64_t since_ms = pw_mono_ms();
    for (;;) {
        pawl_error met;
        pw_client_close(cli->client);
        cli->client = NULL;
        const int64_t from_ms = pw_mono_ms();
        pawl_status s = pawl_open(cli->db, o, &cli->engine, err);
        const int64_t now_ms = pw_mono_ms();
        if (s != PAWL_BUSY) {
            return s;
        }
        if (pw_client_open(cli->db, PW_CLIENT_PATIENCE_MS, &cli->client, &met) != PAWL_OK) {
            *err = met;
            return s;
        }
        if (pw_cli_live(cli) || now_ms - from_ms >= OPEN_WAITED_MS ||
            now_ms - since_ms >= PW_CLIENT_PATIENCE_MS) {
            return s;
        }
    }
}

int pw_cli_host(pw_cli *cli, const pw_cli_host_options *options)
{
    pawl_error err = {0};
    pawl_options o = {
        .struct_size = sizeof o,
        .max_live_runs = options->max_live_runs,
        .pool_threads = options->threads,
        .no_socket = !options->socket,
        .watchdog_abort_ms = options->watchdog_ms,
        .debug_held = options->debug_held,
        .log_level = options->log_level,
        .log = pw_cli_log,
        .log_user = cli,
        .identity = pw_cli_by(cli),
    };
    const int code = pw_cli_model_host(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_cli_signals_block();
    pawl_status s = open_or_meet(cli, &o, &err);
    if (s != PAWL_OK) { /* what an engine of its own would have needed */
        pw_cli_model_close(cli);
    }
    if (s == PAWL_BUSY && pw_cli_live(cli)) {
        return options->shared ? PW_EXIT_OK : served_already(cli);
    }
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    s = code_register(cli, &err);
    if (s == PAWL_OK && !options->still) {
        s = pawl_resume_all(cli->engine, &err);
    }
    if (s != PAWL_OK) {
        bool told = s == PAWL_ABI &&
                    strstr(err.message, "headers") != NULL; /* the module has said it already */
        if (s == PAWL_EXISTS || told) { /* EXISTS: no run has that name, but other code */
            cli->way_out = "";
        }
        if (s == PAWL_EXISTS) {
            cli->next = "";
        }
        pw_cli_unhost(cli, 0);
        return pw_cli_fail(cli, s, &err, NULL);
    }
    return PW_EXIT_OK;
}

int pw_cli_host_nowhere(pw_cli *cli)
{
    pawl_error err = {0};
    const pawl_options o = {.struct_size = sizeof o,
                            .no_socket = true,
                            .memory = true,
                            .pool_threads = 1,
                            .log_level = PAWL_WARN,
                            .log = pw_cli_log,
                            .log_user = cli};
    pawl_status s = pawl_open("", &o, &cli->engine, &err);
    s = s == PAWL_OK ? code_register(cli, &err) : s;
    if (s != PAWL_OK) {
        pw_cli_unhost(cli, 0);
        return pw_cli_fail(cli, s, &err, NULL);
    }
    return PW_EXIT_OK;
}

void pw_cli_unhost(pw_cli *cli, int64_t drain_ms)
{
    if (cli->engine == NULL) {
        return;
    }
    pw_client_close(cli->client);
    cli->client = NULL;
    pawl_close(cli->engine, drain_ms);
    cli->engine = NULL;
    pw_cli_chooser_close(cli);
    pw_cli_model_close(cli);
}

const pawl_value *pw_cli_builtins(pw_cli *cli)
{
    pawl_error err = {0};
    pawl_engine *e = NULL;
    const pawl_value *tools = NULL;
    pawl_options o = {
        .struct_size = sizeof o, .no_socket = true, .memory = true, .pool_threads = 1};
    if (cli->builtins != NULL) {
        return cli->builtins;
    }
    if (pawl_open("", &o, &e, &err) == PAWL_OK && pawl_workflows_register(e, &err) == PAWL_OK &&
        pw_cli_net_register(e, true, &err) == PAWL_OK &&
        pawl_request(e, "tools", NULL, 5000, cli->scope, &tools, &err) == PAWL_OK) {
        cli->builtins = pawl_get(tools, "workflows");
    }
    pawl_close(e, 0);
    return cli->builtins;
}

bool pw_cli_is_builtin(pw_cli *cli, const char *workflow)
{
    const pawl_value *list = pw_cli_builtins(cli);
    for (size_t i = 0; i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(list, i), "name", workflow)) {
            return true;
        }
    }
    return false;
}
