/*
 * cli_table.h - the commands, options and exit codes of the program, as data.
 *
 *   cli_commands.def + cli_options.def  -->  parsing, help, man pages, completion, README: one list, five readers
 *
 * Thread: any; everything is static.
 */
#ifndef PW_CLI_TABLE_H
#define PW_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pw_cli_exit {
#define X(number, name, text) PW_EXIT_##name = number,
#include "tools/cli_exits.def"
#undef X
} pw_cli_exit;

typedef enum pw_cli_opt {
#define X(name, letter, word, value, type, help) PW_OPT_##name,
#include "tools/cli_options.def"
#undef X
    PW_OPT_COUNT,
    PW_OPT_NONE = PW_OPT_COUNT
} pw_cli_opt;

/** A set of options: bits 1 << pw_cli_opt. They are more than 64 by now. */
__extension__ typedef unsigned __int128 pw_cli_opts;

typedef enum pw_cli_opt_type {
    PW_TYPE_FLAG,
    PW_TYPE_TEXT,
    PW_TYPE_FILE,
    PW_TYPE_DIR,
    PW_TYPE_ID,
    PW_TYPE_JSON,
    PW_TYPE_COUNT,
    PW_TYPE_DURATION,
    PW_TYPE_CHOICE,
    PW_TYPE_FILTER,
} pw_cli_opt_type;

typedef struct pw_cli_option {
    char letter; /* 0 = none */
    const char *word;
    const char *value; /* NULL = a flag; for a choice "a|b|c" */
    pw_cli_opt_type type;
    const char *help;
} pw_cli_option;

typedef enum pw_cli_verb {
#define X(name, verb, group, operands, max, op1, op2, options, summary, text, examples) \
    PW_CMD_##name,
#include "tools/cli_commands.def"
#undef X
    PW_CMD_COUNT
} pw_cli_verb;

typedef enum pw_cli_group {
#define X(name, title) PW_GROUP_##name,
#include "tools/cli_groups.def"
#undef X
    PW_GROUP_COUNT
} pw_cli_group;

#define PW_CLI_OPERANDS_MAX 3

typedef struct pw_cli_command {
    pw_cli_verb verb;
    const char *name;
    pw_cli_group group;
    const char *operands;
    size_t operands_max;
    pw_cli_opt operand_option[PW_CLI_OPERANDS_MAX]; /* PW_OPT_NONE = a plain operand */
    pw_cli_opts options; /* bits 1 << pw_cli_opt, the global ones included */
    const char *summary;
    const char *text;
    const char *examples;
} pw_cli_command;

/** Options every command takes. */
pw_cli_opts pw_cli_global_options(void);
const pw_cli_command *pw_cli_command_at(size_t index);       /* index < PW_CMD_COUNT */
const pw_cli_command *pw_cli_command_find(const char *name); /* may be NULL */
/** Is it one of the words that may follow the command's name, as "list" after "wait"? They open its operands: "[list|show] [ID]". */
bool pw_cli_is_word_of(const pw_cli_command *command, const char *word);
/** All of them, "list|show": so many bytes of command->operands from the second on; 0 = it has none. */
size_t pw_cli_words_size(const pw_cli_command *command);
/** The command whose name is nearest to a mistyped one; NULL when none is near. */
const pw_cli_command *pw_cli_command_near(const char *name);
const pw_cli_option *pw_cli_option_get(pw_cli_opt option);
/** As help shows it: with what it says of itself in this command; command may be NULL. */
pw_cli_option pw_cli_option_of(const pw_cli_command *command, pw_cli_opt option);
pw_cli_opt pw_cli_option_find(const char *word, size_t size); /* PW_OPT_NONE when there is none */
pw_cli_opt pw_cli_option_letter(char letter);
pw_cli_opt pw_cli_option_near(const char *word, size_t size, pw_cli_opts among);
const char *pw_cli_group_title(pw_cli_group group);
size_t pw_cli_environment_count(void);
void pw_cli_environment_at(size_t index, const char **ret_name, const char **ret_text);
size_t pw_cli_exit_count(void);
void pw_cli_exit_at(size_t index, int *ret_number, const char **ret_text);

static inline bool pw_cli_takes(const pw_cli_command *command, pw_cli_opt option)
{
    return option < PW_OPT_COUNT && (command->options >> option & 1u) != 0;
}

#endif
