/*
 * cli_table.c - the .def lists as arrays, and finding things in them, also when mistyped.
 *
 * Does not parse command lines (cli_args.c) and prints nothing (cli_help.c).
 */
#include "tools/cli_table.h"

#include <string.h>

#include "tools/word.h"

#define B(name) ((pw_cli_opts)1 << PW_OPT_##name)
#define GLOBAL (B(DB) | B(OUTPUT) | B(COLOR) | B(TIME_FORMAT) | B(HELP))

static const pw_cli_option options[] = {
#define X(name, letter, word, value, type, help) {letter, word, value, PW_TYPE_##type, help},
#include "tools/cli_options.def"
#undef X
};

static const pw_cli_command commands[] = {
#define X(name, verb, group, operands, max, op1, op2, opts, summary, text, examples) \
    {PW_CMD_##name,   #verb,   PW_GROUP_##group,                                     \
     operands,        max,     {PW_OPT_##op1, PW_OPT_##op2, PW_OPT_NONE},            \
     GLOBAL | (opts), summary, text,                                                 \
     examples},
#include "tools/cli_commands.def"
#undef X
};

static const char *const group_titles[] = {
#define X(name, title) title,
#include "tools/cli_groups.def"
#undef X
};

static const struct {
    int number;
    const char *text;
} exits[] = {
#define X(number, name, text) {number, text},
#include "tools/cli_exits.def"
#undef X
};

static const struct {
    pw_cli_verb command;
    pw_cli_opt option;
    const char *value, *help;
} says[] = {
#define X(command, option, value, help) {PW_CMD_##command, PW_OPT_##option, value, help},
#include "tools/cli_says.def"
#undef X
};

static const struct {
    const char *name, *text;
} environment[] = {
#define X(name, text) {name, text},
#include "tools/cli_environment.def"
#undef X
};

_Static_assert(PW_OPT_COUNT <= 128, "options are bits of one word");

pw_cli_opts pw_cli_global_options(void)
{
    return GLOBAL;
}

const pw_cli_command *pw_cli_command_at(size_t index)
{
    return &commands[index];
}

const pw_cli_command *pw_cli_command_find(const char *name)
{
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

size_t pw_cli_words_size(const pw_cli_command *command)
{
    const char *o = command->operands;
    return o[0] == '[' && o[1] >= 'a' && o[1] <= 'z' ? strcspn(o + 1, "]") : 0;
}

bool pw_cli_is_word_of(const pw_cli_command *command, const char *word)
{
    const char *at = command->operands + 1;
    size_t left = pw_cli_words_size(command);
    while (left > 0) {
        const char *bar = memchr(at, '|', left);
        size_t size = bar != NULL ? (size_t)(bar - at) : left;
        if (strlen(word) == size && memcmp(at, word, size) == 0) {
            return true;
        }
        left -= bar != NULL ? size + 1 : size;
        at += size + 1;
    }
    return false;
}

const pw_cli_command *pw_cli_command_near(const char *name)
{
    size_t size = strlen(name);
    const pw_cli_command *best = NULL;
    size_t best_far = PW_WORD_FAR;
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        size_t far = pw_word_distance(name, size, commands[i].name);
        if (far < best_far) {
            best_far = far;
            best = &commands[i];
        }
    }
    return pw_word_is_near(best_far, size) ? best : NULL;
}

const pw_cli_option *pw_cli_option_get(pw_cli_opt option)
{
    return &options[option];
}

pw_cli_option pw_cli_option_of(const pw_cli_command *command, pw_cli_opt option)
{
    pw_cli_option shown = *pw_cli_option_get(option);
    for (size_t i = 0; command != NULL && i < sizeof says / sizeof says[0]; i++) {
        if (says[i].command == command->verb && says[i].option == option) {
            shown.value = says[i].value;
            shown.help = says[i].help;
        }
    }
    return shown;
}

size_t pw_cli_environment_count(void)
{
    return sizeof environment / sizeof environment[0];
}

void pw_cli_environment_at(size_t index, const char **ret_name, const char **ret_text)
{
    *ret_name = environment[index].name;
    *ret_text = environment[index].text;
}

pw_cli_opt pw_cli_option_find(const char *word, size_t size)
{
    for (size_t i = 0; i < PW_OPT_COUNT; i++) {
        if (strlen(options[i].word) == size && memcmp(options[i].word, word, size) == 0) {
            return (pw_cli_opt)i;
        }
    }
    return PW_OPT_NONE;
}

pw_cli_opt pw_cli_option_letter(char letter)
{
    for (size_t i = 0; i < PW_OPT_COUNT; i++) {
        if (letter != 0 && options[i].letter == letter) {
            return (pw_cli_opt)i;
        }
    }
    return PW_OPT_NONE;
}

pw_cli_opt pw_cli_option_near(const char *word, size_t size, pw_cli_opts among)
{
    pw_cli_opt best = PW_OPT_NONE;
    size_t best_far = PW_WORD_FAR;
    for (size_t i = 0; i < PW_OPT_COUNT; i++) {
        size_t far =
            (among >> i & 1u) != 0 ? pw_word_distance(word, size, options[i].word) : PW_WORD_FAR;
        if (far < best_far) {
            best_far = far;
            best = (pw_cli_opt)i;
        }
    }
    return pw_word_is_near(best_far, size) ? best : PW_OPT_NONE;
}

const char *pw_cli_group_title(pw_cli_group group)
{
    return group_titles[group];
}

size_t pw_cli_exit_count(void)
{
    return sizeof exits / sizeof exits[0];
}

void pw_cli_exit_at(size_t index, int *ret_number, const char **ret_text)
{
    *ret_number = exits[index].number;
    *ret_text = exits[index].text;
}
