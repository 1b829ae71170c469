/*
 * cli_args.h - one parsed command line. Options may stand anywhere, also before the command; "--" ends them.
 *
 *     pawl --db x.db signal order-7 paid -i '{"amount": 40}' -ojson
 */
#ifndef PW_CLI_ARGS_H
#define PW_CLI_ARGS_H

#include "tools/cli_table.h"

#define PW_CLI_MODULES_MAX 64

typedef struct pw_cli_args {
    const pw_cli_command *command;   /* NULL: none was given */
    pw_cli_opts given;               /* bits of the options given, by operand too */
    const char *value[PW_OPT_COUNT]; /* as written; NULL when not given */
    int64_t number
        [PW_OPT_COUNT]; /* COUNT: the count; DURATION: milliseconds; CHOICE: index of the choice */
    const char *word;   /* "list" of "pawl wait list"; NULL = none */
    const char *operand[PW_CLI_OPERANDS_MAX];
    size_t operand_count;
    const char *module[PW_CLI_MODULES_MAX];
    size_t module_count;
} pw_cli_args;

/** What is wrong with a command line, and what to do. */
typedef struct pw_cli_complaint {
    char message[300];
    char hint[300];                /* "" when there is none */
    const pw_cli_command *command; /* whose help to point at; may be NULL */
} pw_cli_complaint;

/** Parses; false fills the complaint. The strings are those of argv. */
bool pw_cli_args_parse(int argc, char *const argv[], pw_cli_args *ret_args,
                       pw_cli_complaint *complaint);

static inline bool pw_cli_has(const pw_cli_args *args, pw_cli_opt option)
{
    return (args->given >> option & 1u) != 0;
}

/** "500ms", "30s", "5m", "2h", "3d", or seconds; true and milliseconds. Rejects signs, overflow and a hundred years and more. */
bool pw_cli_duration_parse(const char *text, int64_t *ret_ms);

#endif
