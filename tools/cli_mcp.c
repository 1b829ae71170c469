/*
 * cli_mcp.c - `mcp`: offers the journal's workflows to one MCP client on standard input and output.
 *
 *   an engine owns the journal    it is asked; its modules decide what there is
 *   nobody does                   a detached `pawl serve --idle-exit` with our modules, or with --in-process an engine here
 *
 * A note beside the journal says which modules the engine was started with, so that a client that comes back finds its own again and one with
 * other modules is told. Does not know the protocol (mcp/).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/error.h"
#include "tools/cli_concept.h"
#include "tools/cli_mcp.h"
#include "tools/cli_model.h"
#include "tools/cli_session.h"
#include "tools/mcp/stdio.h"

#define IDLE_DEFAULT "10m"

/* The modules of the command line as absolute paths, one a line. */
static const char *modules_text(pw_cli *cli)
{
    pw_buf b = PW_BUF_INIT;
    for (size_t i = 0; i < cli->args->module_count; i++) {
        char *path = realpath(cli->args->module[i], NULL);
        pw_buf_puts(&b, path != NULL ? path : cli->args->module[i]);
        pw_buf_putc(&b, '\n');
        free(path);
    }
    const char *text = pw_strdup(cli->scope, pw_buf_cstr(&b));
    pw_buf_deinit(&b);
    return text != NULL ? text : "";
}

static const char *note_path(pw_cli *cli)
{
    return pw_sprintf(cli->scope, "%s.mcp", cli->db);
}

static bool note_is(pw_cli *cli, const char *modules)
{
    const char *text = "";
    size_t size = 0;
    pawl_error err;
    return pw_cli_file_read(cli, note_path(cli), 65536, &text, &size, &err) == PAWL_OK &&
           strcmp(text, modules) == 0;
}

static void note_write(pw_cli *cli, const char *modules)
{
    const int fd = open(note_path(cli), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        const ssize_t n = write(fd, modules, strlen(modules));
        (void)n; /* a note that is cut differs, and says so */
        (void)close(fd);
    }
}

/* Modules are the owner's to choose: 0, or an exit code after having said so. */
static int check_owner(pw_cli *cli, const char *modules, bool *ret_live)
{
    pawl_error err = {0};
    if (pw_client_open(cli->db, PW_CLIENT_PATIENCE_MS, &cli->client, &err) != PAWL_OK ||
        !pw_client_is_live(cli->client)) {
        *ret_live = false;
        return PW_EXIT_OK;
    }
    *ret_live = true;
    if (cli->args->module_count == 0 || note_is(cli, modules)) {
        return PW_EXIT_OK;
    }
    pw_cli_out *o = &cli->complain;
    pw_out_styled(o, PW_BAD, "pawl:");
    pw_out_printf(o, " process %lld serves ", (long long)pw_client_pid(cli->client));
    (void)pw_out_str(o, cli->db);
    pw_out_puts(o, " with modules of its own: what it has loaded is what there is\n"
                   "      leave out --module, or stop that process first\n");
    (void)pw_cli_out_flush(o);
    return PW_EXIT_BUSY;
}

/* pawl serve --db FILE --idle-exit 10m --log-level warn --module ... */
static const char *const *engine_argv(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char **argv = pw_alloc(cli->scope, (14 + 2 * a->module_count) * sizeof *argv);
    char *self = realpath("/proc/self/exe", NULL);
    char *db = realpath(cli->db, NULL);
    size_t n = 0;
    if (argv == NULL) {
        free(self);
        free(db);
        return NULL;
    }
    argv[n++] = pw_strdup(cli->scope, self != NULL ? self : "pawl");
    argv[n++] = "serve";
    argv[n++] = "--db";
    argv[n++] = db != NULL ? pw_strdup(cli->scope, db) : cli->db;
    argv[n++] = "--idle-exit";
    argv[n++] = pw_cli_has(a, PW_OPT_IDLE_EXIT) ? a->value[PW_OPT_IDLE_EXIT] : IDLE_DEFAULT;
    argv[n++] = "--log-level";
    argv[n++] = pw_cli_has(a, PW_OPT_LOG_LEVEL) ? a->value[PW_OPT_LOG_LEVEL] : "warn";
    for (size_t i = 0; i < a->module_count; i++) {
        argv[n++] = "--module";
        argv[n++] = a->module[i];
    }
    if (pw_cli_has(a, PW_OPT_MODEL)) {
        argv[n++] = "--model";
        argv[n++] = a->value[PW_OPT_MODEL];
    }
    argv[n] = NULL;
    free(self);
    free(db);
    return argv;
}

static int host_here(pw_cli *cli)
{
    pw_cli_host_options options = {.socket = true, .log_level = PAWL_WARN};
    if (pw_cli_has(cli->args, PW_OPT_LOG_LEVEL)) {
        options.log_level = (pawl_level)cli->args->number[PW_OPT_LOG_LEVEL];
    }
    int code = pw_cli_host(cli, &options);
    pw_cli_signals_unblock();
    return code;
}

static int check(pw_cli *cli)
{
    bool live = false;
    const int code = check_owner(cli, modules_text(cli), &live);
    return code == PW_EXIT_OK ? pw_cli_mcp_check(cli, live) : code;
}

int pw_verb_mcp(pw_cli *cli)
{
    if (pw_cli_has(cli->args, PW_OPT_CHECK)) {
        return check(cli);
    }
    const bool here = pw_cli_has(cli->args, PW_OPT_IN_PROCESS);
    pw_mcpd_stdio_options options = {
        .server = {.journal = cli->db,
                   .tools = (pw_mcpd_tools)cli->args->number[PW_OPT_TOOLS],
                   .bound_ms = cli->args->number[PW_OPT_CALL_BOUND],
                   .task_ttl_ms = cli->args->number[PW_OPT_TASK_TTL],
                   .workspace = cli->args->value[PW_OPT_WORKSPACE]},
        .engine_log = pw_sprintf(cli->scope, "%s.mcp.log", cli->db),
    };
    pawl_error err = {0};
    const char *modules = modules_text(cli);
    bool live = false;
    int code = here ? host_here(cli) : check_owner(cli, modules, &live);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (!here && !live) {
        note_write(cli, modules);
    }
    if (isatty(STDIN_FILENO)) {
        pw_cli_note(
            cli,
            "this is for an MCP client, which starts it: a message a line, until the end of the input");
    }
    pw_client_close(cli->client);
    cli->client = NULL;
    pw_cli_late late = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (pw_cli_model_wanted(cli) != NULL) {
        options.server.chooser = here ? pw_cli_chooser_now : pw_cli_chooser_late;
        options.server.chooser_user = &late;
    }
    options.engine = here ? NULL : engine_argv(cli);
    pawl_status status = pw_mcpd_stdio_serve(&options, &err);
    pw_cli_unhost(cli, 0);
    pw_cli_chooser_close(cli);
    pw_cli_model_close(cli);
    return status == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, status, &err, "cannot serve MCP");
}
