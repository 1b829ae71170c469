/*
 * main.c - the pawl program: parse, run one command, write what it has to say, exit with its code.
 *
 * Does nothing else; the commands are in cli_*.c, listed in cli_commands.def.
 */
#include <locale.h>
#include <string.h>

#include "journal/journal.h"
#include "tools/cli_help.h"
#include "tools/cli_session.h"

static int complain(const pw_cli_complaint *complaint)
{
    static const pw_cli_args none = {0};
    pw_cli_out out;
    pw_cli_out_init(&out, stderr, &none);
    pw_cli_complaint_print(&out, complaint);
    pw_cli_out_deinit(&out);
    return PW_EXIT_USAGE;
}

static int run(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    if (pw_cli_has(a, PW_OPT_HELP) && a->command != NULL) {
        pw_help_command(&cli->out, a->command);
        return PW_EXIT_OK;
    }
    if (a->command == NULL) {
        pw_help_all(pw_cli_has(a, PW_OPT_HELP) ? &cli->out : &cli->complain);
        (void)pw_cli_out_flush(&cli->complain);
        return pw_cli_has(a, PW_OPT_HELP) ? PW_EXIT_OK : PW_EXIT_USAGE;
    }
    return pw_cli_function(a->command->verb)(cli);
}

int main(int argc, char *argv[])
{
    pw_cli_args args;
    pw_cli_complaint complaint;
    pw_cli cli;
    pw_sqlite_alone();
    (void)setlocale(LC_CTYPE, "");
    if (!pw_cli_args_parse(argc, argv, &args, &complaint)) {
        return complain(&complaint);
    }
    if (!pw_cli_init(&cli, &args)) {
        (void)fputs("pawl: out of memory\n", stderr);
        return PW_EXIT_ERROR;
    }
    int code = run(&cli);
    if (!pw_cli_out_flush(&cli.out) && code == PW_EXIT_OK) {
        (void)fputs("pawl: the output cannot be written\n", stderr);
        code = PW_EXIT_ERROR;
    }
    pw_cli_unhost(&cli, 0);
    pw_cli_deinit(&cli);
    return code;
}
