/*
 * cli_completion_zsh.c - the zsh completion function, _pawl, from the tables: commands and options with what they say of themselves, choices, words,
 * files, and run ids, for which it asks pawl itself, quietly. Does not depend on anything beyond zsh's own _arguments and _describe.
 */
#include <string.h>

#include "tools/cli_help.h"

static const char head[] =
    "#compdef pawl\n"
    "# zsh completion for pawl, made by: pawl help --completion zsh\n"
    "_pawl_ids() {\n"
    "    local db=${opt_args[--db]:-$_pawl_db}\n"
    "    [[ $db != *[\\(\\`]* ]] || return 1 # as it was typed: _call_program would run what is in it\n"
    "    local -a ids\n"
    "    ids=(${(fu)\"$(_call_program runs pawl ${db:+--db} $db list -o jsonl --limit 200 2>/dev/null |\n"
    "        sed -n 's/^{\"id\":\"\\([^\"]*\\)\".*/\\1/p')\"})\n"
    "    compadd -a ids\n"
    "}\n"
    "_pawl_words_ids() {\n"
    "    compadd -- \"$@\"\n"
    "    _pawl_ids\n"
    "}\n"
    "_pawl_commands() {\n"
    "    local -a commands\n"
    "    commands=(\n";

static const char middle[] = "    )\n"
                             "    _describe -t commands command commands\n"
                             "}\n"
                             "_pawl() {\n"
                             "    local curcontext=$curcontext state line _pawl_db\n"
                             "    typeset -A opt_args\n"
                             "    _arguments -C -s \\\n";

static const char inside[] = "        '1: :_pawl_commands' '*:: :->rest' && return\n"
                             "    [[ $state == rest ]] || return 1\n"
                             "    _pawl_db=${opt_args[--db]}\n"
                             "    case $words[1] in\n";

/* Text within single quotes; brackets and colons would end what they stand in. */
static void quoted(pw_buf *b, const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            pw_buf_puts(b, "'\\''");
            continue;
        }
        if (strchr(escaped, *text) != NULL) {
            pw_buf_putc(b, '\\');
        }
        pw_buf_putc(b, (unsigned char)*text);
    }
}

static void value_put(pw_buf *b, const pw_cli_option *o)
{
    pw_buf_puts(b, ":");
    quoted(b, o->type == PW_TYPE_CHOICE ? o->word : o->value, ":\\");
    pw_buf_puts(b, ":");
    if (o->type == PW_TYPE_CHOICE) {
        pw_buf_puts(b, "(");
        for (const char *at = o->value; *at != '\0'; at++) {
            pw_buf_putc(b, *at == '|' ? ' ' : (unsigned char)*at);
        }
        pw_buf_puts(b, ")");
    } else if (o->type == PW_TYPE_FILE || o->type == PW_TYPE_DIR || o->type == PW_TYPE_ID) {
        pw_buf_puts(b, o->type == PW_TYPE_FILE  ? "_files"
                       : o->type == PW_TYPE_DIR ? "_files -/"
                                                : "_pawl_ids");
    } else {
        pw_buf_puts(b, " ");
    }
}

/* '(-w --workflow-id)-w+[the run]:ID:_pawl_ids' and the same of the long one. */
static void option_put(pw_buf *b, const pw_cli_command *command, pw_cli_opt option)
{
    const pw_cli_option o = pw_cli_option_of(command, option);
    for (int form = o.letter != 0 ? 0 : 1; form < 2; form++) {
        pw_buf_puts(b, "        '");
        if (option == PW_OPT_MODULE) { /* it may be given again */
            pw_buf_puts(b, "*");
        } else if (o.letter != 0) {
            pw_buf_printf(b, "(-%c --%s)", o.letter, o.word);
        }
        if (form == 0) {
            pw_buf_printf(b, "-%c%s[", o.letter, o.value != NULL ? "+" : "");
        } else {
            pw_buf_printf(b, "--%s%s[", o.word, o.value != NULL ? "=" : "");
        }
        quoted(b, o.help, "[]\\");
        pw_buf_puts(b, "]");
        if (o.value != NULL) {
            value_put(b, &o);
        }
        pw_buf_puts(b, "' \\\n");
    }
}

static void options_put(pw_buf *b, const pw_cli_command *command, pw_cli_opts which)
{
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if ((which >> i & 1u) != 0) {
            option_put(b, command, (pw_cli_opt)i);
        }
    }
}

/* "list show" */
static void words_put(pw_buf *b, const pw_cli_command *c)
{
    const char *words = c->operands + 1;
    for (size_t i = 0; i < pw_cli_words_size(c); i++) {
        pw_buf_putc(b, words[i] == '|' ? ' ' : (unsigned char)words[i]);
    }
}

static void operands_put(pw_buf *b, const pw_cli_command *c)
{
    const bool words = pw_cli_words_size(c) > 0;
    const bool id = c->operand_option[0] == PW_OPT_WORKFLOW_ID;
    pw_buf_puts(b, "        ");
    if (words) {
        pw_buf_puts(b, id ? "'1: :{_pawl_words_ids " : "'1: :(");
        words_put(b, c);
        pw_buf_puts(b, id ? "}' '2: :_pawl_ids'" : ")'");
    } else if (id) {
        pw_buf_puts(b, "'1: :_pawl_ids'");
    } else if (c->verb == PW_CMD_HELP) {
        pw_buf_puts(b, "'1: :_pawl_commands'");
    }
    if (strstr(c->operands, "FILE") != NULL || strstr(c->operands, "DIR") != NULL) {
        pw_buf_puts(b, words ? " '*: :_files'" : "'*: :_files'");
    } else if (c->operands[0] != '\0' && c->verb != PW_CMD_HELP) {
        pw_buf_puts(b, words || id ? " '*: : '" : "'*: : '");
    }
    pw_buf_puts(b, " ;;\n");
}

void pw_completion_zsh(pw_buf *b)
{
    pw_buf_puts(b, head);
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        pw_buf_printf(b, "        '%s:", c->name);
        quoted(b, c->summary, ":\\");
        pw_buf_puts(b, "'\n");
    }
    pw_buf_puts(b, middle);
    options_put(b, NULL, pw_cli_global_options());
    pw_buf_puts(b, inside);
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        pw_buf_printf(b, "    %s) _arguments -s \\\n", c->name);
        options_put(b, c, c->options);
        operands_put(b, c);
    }
    pw_buf_puts(
        b, "    *) return 1 ;;\n"
           "    esac\n"
           "}\n"
           "if [[ $funcstack[1] == _pawl ]]; then _pawl \"$@\"; else compdef _pawl pawl; fi\n");
}
