/*
 * cli_relay.c - workers of other machines: the options of their port, its place in `serve`, and `relay`, which has it alone, for an engine in
 * another program. Does not speak TLS and does not look at tokens: relay*.c do.
 */
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "tools/cli_session.h"

#define WAIT_MS 60000

int pw_cli_relay_check(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    static const pw_cli_opt others[] = {PW_OPT_TLS_CERT, PW_OPT_TLS_KEY, PW_OPT_WORKER_TOKENS};
    bool listens = pw_cli_has(a, PW_OPT_WORKER_LISTEN);
    for (size_t i = 0; i < PW_COUNT(others); i++) {
        if (listens && !pw_cli_has(a, others[i])) {
            return pw_cli_usage(cli, "--worker-listen needs --tls-cert, --tls-key and "
                                     "--worker-tokens: nobody works without TLS and a token");
        }
        if (!listens && pw_cli_has(a, others[i]) &&
            !(pw_cli_has(a, PW_OPT_HTTP) && others[i] != PW_OPT_WORKER_TOKENS)) {
            return pw_cli_usage(cli, "--%s is for --worker-listen%s",
                                pw_cli_option_get(others[i])->word,
                                others[i] != PW_OPT_WORKER_TOKENS ? " or --http" : "");
        }
    }
    return PW_EXIT_OK;
}

typedef struct say {
    pw_cli *cli;
    pawl_level least;
} say;

static void say_line(void *ctx, pawl_level level, const char *text)
{
    const say *s = ctx;
    if (level >= s->least) {
        pw_cli_log(s->cli, level, NULL, 0, text);
    }
}

int pw_cli_relay_begin(pw_cli *cli, pawl_level least, pw_relay **ret_relay)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    say *s = pw_alloc(cli->scope, sizeof *s);
    const pw_relay_options o = {.journal_path = cli->db,
                                .listen = a->value[PW_OPT_WORKER_LISTEN],
                                .cert_file = a->value[PW_OPT_TLS_CERT],
                                .key_file = a->value[PW_OPT_TLS_KEY],
                                .tokens_file = a->value[PW_OPT_WORKER_TOKENS],
                                .grace_ms = a->number[PW_OPT_WORKER_GRACE],
                                .log = say_line,
                                .log_ctx = s};
    if (o.listen == NULL) {
        return PW_EXIT_OK;
    }
    if (s == NULL) {
        return PW_EXIT_ERROR;
    }
    *s = (say){cli, least};
    pawl_status st = pw_relay_start(&o, ret_relay, &err);
    cli->next = "";
    return st == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, st, &err, "remote workers");
}

static void ready(pw_cli *cli, const pw_relay *relay)
{
    pw_cli_out *o = &cli->out;
    if (o->format != PW_FORMAT_TEXT) {
        pw_out_json(o, pawl_build(cli->scope, "{ready: true, pid: %d, journal: %s, workers: %s}",
                                  (int)getpid(), cli->db, pw_relay_address(relay)));
    } else {
        pw_out_styled(o, PW_GOOD, "ready");
        pw_out_puts(o, " ");
        (void)pw_out_str(o, cli->db);
        pw_out_printf(o, " (pid %d, workers on %s)\n", (int)getpid(), pw_relay_address(relay));
    }
    (void)pw_cli_out_flush(o);
}

int pw_verb_relay(pw_cli *cli)
{
    pw_relay *relay = NULL;
    if (!pw_cli_has(cli->args, PW_OPT_WORKER_LISTEN)) {
        return pw_cli_usage(cli, "on which port? --worker-listen [ADDRESS:]PORT");
    }
    int code = pw_cli_relay_check(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pw_cli_signals_block();
    code = pw_cli_relay_begin(cli, PAWL_INFO, &relay);
    if (code != PW_EXIT_OK) {
        return code;
    }
    ready(cli, relay);
    while (pw_cli_signal_take(WAIT_MS) == 0) {
    }
    pw_relay_stop(relay);
    return PW_EXIT_OK;
}
