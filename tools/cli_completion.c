/*
 * cli_completion.c - the bash completion script and the README's tables, from the tables.
 *
 * The script needs bash alone, not the bash-completion package. It asks pawl itself for run ids, quietly.
 */
#include <string.h>

#include "tools/cli_help.h"

static const char script_head[] =
    "# bash completion for pawl, made by: pawl help --completion bash\n"
    "_pawl_ids() {\n"
    "    pawl ${_pawl_db:+--db \"$_pawl_db\"} list -o jsonl --limit 200 2>/dev/null |\n"
    "        sed -n 's/^{\"id\":\"\\([^\"]*\\)\".*/\\1/p' | sort -u\n"
    "}\n"
    "_pawl_offer() { # what comes from a journal is text: compgen -W would run a $(...) in it\n"
    "    local id quoted\n"
    "    while IFS= read -r id; do\n"
    "        [ -n \"$id\" ] || continue\n"
    "        printf -v quoted %q \"$id\"\n"
    "        [[ $id != \"$current\"* && $quoted != \"$current\"* ]] || COMPREPLY+=(\"$quoted\")\n"
    "    done <<< \"$(_pawl_ids)\"\n"
    "}\n"
    "_pawl_words() {\n"
    "    echo '';\n";

static const char script_main[] =
    "}\n"
    "_pawl() {\n"
    "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "    local _pawl_db='' command='' place=0 i word\n"
    "    COMPREPLY=()\n"
    "    if [ \"$current\" = = ]; then current=''; fi # bash makes three words of --db=FILE\n"
    "    if [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        case $word in\n"
    "            --db=*) _pawl_db=${word#--db=} ;;\n"
    "            --db) if [ \"${COMP_WORDS[i+1]}\" = = ]; then i=$((i + 1)); fi\n"
    "                _pawl_db=${COMP_WORDS[i+1]}; i=$((i + 1)) ;;\n";

static const char script_words[] =
    "            -*) ;;\n"
    "            *) if [ -z \"$command\" ]; then command=$word; elif ! _pawl_words | grep -qx \"$command $word\"; then\n"
    "                   place=$((place + 1)); fi ;;\n"
    "        esac\n"
    "    done\n"
    "    _pawl_db=${_pawl_db/#\\~\\//\"$HOME/\"}\n"
    "    case $before in\n";

static void option_pattern(pw_buf *b, const pw_cli_option *o)
{
    if (o->letter != 0) {
        pw_buf_printf(b, "-%c|", o->letter);
    }
    pw_buf_printf(b, "--%s", o->word);
}

static void values_skip(pw_buf *b)
{
    pw_buf_puts(b, "            ");
    bool first = true;
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        const pw_cli_option *o = pw_cli_option_get((pw_cli_opt)i);
        if (o->value != NULL && i != PW_OPT_DB) {
            pw_buf_puts(b, first ? "" : "|");
            option_pattern(b, o);
            first = false;
        }
    }
    pw_buf_puts(b, ")\n"
                   "                if [ \"${COMP_WORDS[i+1]}\" = = ]; then i=$((i + 1)); fi\n"
                   "                i=$((i + 1)) ;;\n");
}

static void choices_put(pw_buf *b, const char *choices)
{
    for (; *choices != '\0'; choices++) {
        pw_buf_putc(b, *choices == '|' ? ' ' : (unsigned char)*choices);
    }
}

static void value_case(pw_buf *b, const pw_cli_option *o)
{
    static const char *const actions[] = {
        [PW_TYPE_FILE] = "$(compgen -f -- \"$current\")",
        [PW_TYPE_DIR] = "$(compgen -d -- \"$current\")",
    };
    pw_buf_puts(b, "        ");
    option_pattern(b, o);
    if (o->type == PW_TYPE_CHOICE) {
        pw_buf_puts(b, ") COMPREPLY=($(compgen -W \"");
        choices_put(b, o->value);
        pw_buf_puts(b, "\" -- \"$current\")); return ;;\n");
    } else if (o->type == PW_TYPE_ID) {
        pw_buf_puts(b, ") _pawl_offer; return ;;\n");
    } else if (o->type == PW_TYPE_FILE || o->type == PW_TYPE_DIR) {
        pw_buf_printf(b, ") compopt -o filenames 2>/dev/null; COMPREPLY=(%s); return ;;\n",
                      actions[o->type]);
    } else {
        pw_buf_puts(b, ") return ;;\n");
    }
}

static void command_case(pw_buf *b, const pw_cli_command *c)
{
    pw_buf_printf(b, "        %s) options=\"", c->name);
    bool first = true;
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if (pw_cli_takes(c, (pw_cli_opt)i)) {
            pw_buf_printf(b, "%s--%s", first ? "" : " ", pw_cli_option_get((pw_cli_opt)i)->word);
            first = false;
        }
    }
    pw_buf_printf(b, "\"; operand=%s ;;\n",
                  c->operand_option[0] == PW_OPT_WORKFLOW_ID ? "id"
                  : c->verb == PW_CMD_HELP                   ? "command"
                                                             : "none");
}

/* "wait list": words that follow a command's name, one a line. */
static void words_put(pw_buf *b)
{
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        const char *at = c->operands + 1;
        size_t left = pw_cli_words_size(c);
        while (left > 0) {
            size_t size = strcspn(at, "|]");
            pw_buf_printf(b, "    echo '%s %.*s';\n", c->name, (int)size, at);
            left -= size < left ? size + 1 : size;
            at += size + 1;
        }
    }
}

void pw_completion_bash(pw_buf *b)
{
    pw_buf_puts(b, script_head);
    words_put(b);
    pw_buf_puts(b, script_main);
    values_skip(b);
    pw_buf_puts(b, script_words);
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        const pw_cli_option *o = pw_cli_option_get((pw_cli_opt)i);
        if (o->value != NULL) {
            value_case(b, o);
        }
    }
    pw_buf_puts(b, "    esac\n    local options='' operand=none\n    local commands=\"");
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        pw_buf_printf(b, "%s%s", i == 0 ? "" : " ", pw_cli_command_at(i)->name);
    }
    pw_buf_puts(b, "\"\n    case $command in\n");
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        command_case(b, pw_cli_command_at(i));
    }
    pw_buf_puts(
        b,
        "    esac\n"
        "    if [[ $current == -* ]]; then\n"
        "        COMPREPLY=($(compgen -W \"${options:---db --output --color --help}\" -- \"$current\"))\n"
        "    elif [ -z \"$command\" ] || { [ $operand = command ] && [ $place = 0 ]; }; then\n"
        "        COMPREPLY=($(compgen -W \"$commands\" -- \"$current\"))\n"
        "    elif [ $operand = id ] && [ $place = 0 ]; then\n"
        "        COMPREPLY=($(compgen -W \"$(_pawl_words | sed -n \"s/^$command //p\")\" -- \"$current\"))\n"
        "        _pawl_offer\n"
        "    fi\n"
        "}\n"
        "complete -F _pawl pawl\n");
}

/* ---- README ---- */

/* In a table cell, '|' must be escaped. */
static void cell_put(pw_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            pw_buf_putc(b, '\\');
        }
        pw_buf_putc(b, *text == '\n' ? ' ' : (unsigned char)*text);
    }
}

void pw_markdown_tables(pw_buf *b)
{
    pw_buf_puts(b, "| command | does | own options |\n|---|---|---|\n");
    for (size_t i = 0; i < PW_CMD_COUNT; i++) {
        const pw_cli_command *c = pw_cli_command_at(i);
        pw_cli_opts own = c->options & ~pw_cli_global_options();
        pw_buf_printf(b, "| `%s%s", c->name, c->operands[0] != '\0' ? " " : "");
        cell_put(b, c->operands);
        pw_buf_puts(b, "` | ");
        cell_put(b, c->summary);
        pw_buf_puts(b, " |");
        for (unsigned o = 0; o < PW_OPT_COUNT; o++) {
            if ((own >> o & 1u) != 0) {
                pw_buf_printf(b, " `--%s`", pw_cli_option_get((pw_cli_opt)o)->word);
            }
        }
        pw_buf_puts(b, " |\n");
    }
    pw_buf_puts(b, "\n| option | meaning |\n|---|---|\n");
    for (unsigned o = 0; o < PW_OPT_COUNT; o++) {
        pw_buf option = PW_BUF_INIT;
        pw_help_option(&option, pw_cli_option_get((pw_cli_opt)o), false);
        pw_buf_puts(b, "| `");
        cell_put(b, pw_buf_cstr(&option));
        pw_buf_puts(b, "` | ");
        cell_put(b, pw_cli_option_get((pw_cli_opt)o)->help);
        pw_buf_puts(b, " |\n");
        pw_buf_deinit(&option);
    }
    pw_buf_puts(b, "\n| exit | meaning |\n|---|---|\n");
    for (size_t i = 0; i < pw_cli_exit_count(); i++) {
        int number = 0;
        const char *text = "";
        pw_cli_exit_at(i, &number, &text);
        pw_buf_printf(b, "| %d | %s |\n", number, text);
    }
}
