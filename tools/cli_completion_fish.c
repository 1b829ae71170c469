/*
 * cli_completion_fish.c - the fish completions, from the tables: commands and options with what they say of themselves, choices, words, files, and run
 * ids, for which it asks pawl itself, quietly. Does not look at what is right of the cursor.
 */
#include <string.h>

#include "tools/cli_help.h"

static const char head[] =
    "# fish completion for pawl, made by: pawl help --completion fish\n"
    "function __pawl_words --description 'the command and its operands, left of the cursor'\n"
    "    set -l skip 0\n"
    "    for word in (commandline -opc)[2..]\n"
    "        if test $skip = 1\n"
    "            set skip 0\n"
    "            continue\n"
    "        end\n"
    "        switch $word\n"
    "            case";

static const char functions[] =
    "\n"
    "                set skip 1\n"
    "            case '-*'\n"
    "            case '*'\n"
    "                echo $word\n"
    "        end\n"
    "    end\n"
    "end\n"
    "function __pawl_bare --description 'no command yet'\n"
    "    test (count (__pawl_words)) = 0\n"
    "end\n"
    "function __pawl_of --argument-names name --description 'that command'\n"
    "    set -l words (__pawl_words)\n"
    "    test \"$words[1]\" = $name\n"
    "end\n"
    "function __pawl_at --argument-names name place --description 'that command, so many operands'\n"
    "    set -l words (__pawl_words)\n"
    "    test \"$words[1]\" = $name; and test (count $words) = (math $place + 1)\n"
    "end\n"
    "function __pawl_after --argument-names name --description 'that command, and one of its words'\n"
    "    set -l words (__pawl_words)\n"
    "    test \"$words[1]\" = $name; and test (count $words) = 2; and contains -- $words[2] $argv[2..]\n"
    "end\n"
    "function __pawl_ids\n"
    "    set -l tokens (commandline -opc)\n"
    "    set -l db (string replace -rf '^--db=' '' -- $tokens)\n"
    "    set -l at (contains -i -- --db $tokens); and set db $tokens[(math $at + 1)]\n"
    "    set -q db[1]; and set db --db $db[1]\n"
    "    command pawl $db list -o jsonl --limit 200 2>/dev/null |\n"
    "        string replace -rf '^\\{\"id\":\"([^\"]*)\".*' '$1' | sort -u\n"
    "end\n"
    "complete -c pawl -f\n";

static void quoted(pw_buf *b, const char *text)
{
    pw_buf_putc(b, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\') {
            pw_buf_putc(b, '\\');
        }
        pw_buf_putc(b, (unsigned char)*text);
    }
    pw_buf_putc(b, '\'');
}

/* "a|b" as 'a b'. */
static void list_put(pw_buf *b, const char *list, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        pw_buf_putc(b, list[i] == '|' ? ' ' : (unsigned char)list[i]);
    }
}

static void option_put(pw_buf *b, const pw_cli_command *command, pw_cli_opt option)
{
    const pw_cli_option o = pw_cli_option_of(command, option);
    pw_buf_puts(b, "complete -c pawl");
    if (command != NULL) {
        pw_buf_printf(b, " -n '__pawl_of %s'", command->name);
    }
    if (o.letter != 0) {
        pw_buf_printf(b, " -s %c", o.letter);
    }
    pw_buf_printf(b, " -l %s", o.word);
    if (o.type == PW_TYPE_FILE) {
        pw_buf_puts(b, " -r -F");
    } else if (o.value != NULL) {
        pw_buf_puts(b, " -x");
    }
    if (o.type == PW_TYPE_CHOICE) {
        pw_buf_puts(b, " -a '");
        list_put(b, o.value, strlen(o.value));
        pw_buf_puts(b, "'");
    } else if (o.type == PW_TYPE_ID || o.type == PW_TYPE_DIR) {
        pw_buf_puts(b, o.type == PW_TYPE_ID ? " -a '(__pawl_ids)'"
                                            : " -a '(__fish_complete_directories)'");
    }
    pw_buf_puts(b, " -d ");
    quoted(b, o.help);
    pw_buf_putc(b, '\n');
}

static void operands_put(pw_buf *b, const pw_cli_command *c)
{
    const size_t size = pw_cli_words_size(c);
    const bool id = c->operand_option[0] == PW_OPT_WORKFLOW_ID;
    if (size > 0) {
        pw_buf_printf(b, "complete -c pawl -n '__pawl_at %s 0' -a '", c->name);
        list_put(b, c->operands + 1, size);
        pw_buf_puts(b, "'\n");
    }
    if (id) {
        pw_buf_printf(b, "complete -c pawl -n '__pawl_at %s 0' -a '(__pawl_ids)'\n", c->name);
    }
    if (id && size > 0) {
        pw_buf_printf(b, "complete -c pawl -n '__pawl_after %s ", c->name);
        list_put(b, c->operands + 1, size);
        pw_buf_puts(b, "' -a '(__pawl_ids)'\n");
    }
    if (strstr(c->operands, "FILE") != NULL || strstr(c->operands, "DIR") != NULL) {
        pw_buf_printf(b, "complete -c pawl -n '__pawl_of %s' -F\n", c->name);
    }
    for (size_t i = 0; c->verb == PW_CMD_HELP && i < PW_CMD_COUNT; i++) {
        pw_buf_printf(b, "complete -c pawl -n '__pawl_at help 0' -a %s -d ",
                      pw_cli_command_at(i)->name);
        quoted(b, pw_cli_command_at(i)->summary);
        pw_buf_putc(b, '\n');
    }
}

void pw_completion_fish(pw_buf *b)
{
    const pw_cli_opts global = pw_cli_global_options();
    pw_buf_puts(b, head);
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        const pw_cli_option *o = pw_cli_option_get((pw_cli_opt)i);
        if (o->value != NULL && o->letter != 0) {
            pw_buf_printf(b, " -%c", o->letter);
        }
        if (o->value != NULL) {
            pw_buf_printf(b, " --%s", o->word);
        }
    }
    pw_buf_puts(b, functions);
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        pw_buf_printf(b, "complete -c pawl -n __pawl_bare -a %s -d ", c->name);
        quoted(b, c->summary);
        pw_buf_putc(b, '\n');
    }
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if ((global >> i & 1u) != 0) {
            option_put(b, NULL, (pw_cli_opt)i);
        }
    }
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        for (unsigned o = 0; o < PW_OPT_COUNT; o++) {
            if (((c->options & ~global) >> o & 1u) != 0) {
                option_put(b, c, (pw_cli_opt)o);
            }
        }
        operands_put(b, c);
    }
}
