/*
 * cli_help.c - help on a terminal, from the tables.
 *
 * Does not know any command: what it says of one is in cli_commands.def.
 */
#include "tools/cli_help.h"

#include <string.h>

#define WIDTH_MAX 100
#define OPTION_COLUMN 30
#define COMMAND_COLUMN 14
#define ENVIRONMENT_COLUMN 16
#define EXIT_COLUMN 6
#define USAGE_COLUMN 7 /* "usage: " */
#define EXAMPLE_INDENT 4

/* Where no terminal is (a pipe into grep, a file, a program that reads) nothing is broken: a line is an option, or a paragraph. */
static size_t help_width(const pw_cli_out *out)
{
    if (!out->terminal) {
        return SIZE_MAX;
    }
    return out->width > WIDTH_MAX ? WIDTH_MAX : out->width;
}

void pw_help_wrap(pw_cli_out *out, const char *text, size_t indent, size_t width)
{
    size_t column = indent;
    while (*text != '\0') {
        size_t word = strcspn(text, " \n");
        if (column > indent && column + 1 + word > width) {
            pw_buf_putc(&out->text, '\n');
            pw_out_pad(out, indent);
            column = indent;
        } else if (column > indent) {
            pw_buf_putc(&out->text, ' ');
            column++;
        }
        pw_buf_put(&out->text, text, word);
        column += word;
        text += word;
        text += strspn(text, " \n");
    }
    pw_buf_putc(&out->text, '\n');
}

void pw_help_option(pw_buf *text, const pw_cli_option *option, bool align)
{
    if (option->letter != 0) {
        pw_buf_printf(text, "-%c, ", option->letter);
    } else if (align) {
        pw_buf_puts(text, "    ");
    }
    pw_buf_printf(text, "--%s", option->word);
    if (option->value != NULL) {
        pw_buf_printf(text, " %s", option->value);
    }
}

void pw_help_usage(pw_buf *text, const pw_cli_command *command)
{
    pw_buf_printf(text, "pawl %s", command->name);
    if (command->operands[0] != '\0') {
        pw_buf_printf(text, " %s", command->operands);
    }
    pw_buf_puts(text, " [OPTIONS]");
}

static void options_print(pw_cli_out *out, const pw_cli_command *command, pw_cli_opts which)
{
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if ((which >> i & 1u) == 0) {
            continue;
        }
        const pw_cli_option o = pw_cli_option_of(command, (pw_cli_opt)i);
        pw_out_puts(out, "  ");
        size_t from = out->text.size;
        pw_help_option(&out->text, &o, true);
        size_t used = 2 + out->text.size - from;
        if (used + 2 > OPTION_COLUMN && help_width(out) == SIZE_MAX) {
            pw_out_puts(out, "  ");
            used = OPTION_COLUMN;
        } else if (used + 2 > OPTION_COLUMN) {
            pw_buf_putc(&out->text, '\n');
            used = 0;
        }
        pw_out_pad(out, OPTION_COLUMN - used);
        pw_help_wrap(out, o.help, OPTION_COLUMN, help_width(out));
    }
}

static void heading(pw_cli_out *out, const char *text)
{
    pw_buf_putc(&out->text, '\n');
    pw_out_styled(out, PW_BOLD, text);
    pw_buf_putc(&out->text, '\n');
}

static void environment_print(pw_cli_out *out)
{
    heading(out, "Environment");
    for (size_t i = 0; i < pw_cli_environment_count(); i++) {
        const char *name = "", *text = "";
        pw_cli_environment_at(i, &name, &text);
        pw_out_printf(out, "  %-*s", ENVIRONMENT_COLUMN - 2, name);
        if (strlen(name) + 3 > ENVIRONMENT_COLUMN) { /* as a long option */
            pw_out_puts(out, help_width(out) == SIZE_MAX ? "  " : "\n");
            pw_out_pad(out, help_width(out) == SIZE_MAX ? 0 : ENVIRONMENT_COLUMN);
        }
        pw_help_wrap(out, text, ENVIRONMENT_COLUMN, help_width(out));
    }
}

void pw_help_all(pw_cli_out *out)
{
    pw_out_styled(out, PW_BOLD, "pawl");
    pw_out_puts(out, " - durable workflows for agents: a step that has happened stays happened\n\n"
                     "usage: pawl COMMAND [OPTIONS]\n");
    for (unsigned g = 0; g < PW_GROUP_COUNT; g++) {
        heading(out, pw_cli_group_title((pw_cli_group)g));
        for (size_t i = 0; i < PW_CMD_COUNT; i++) {
            const pw_cli_command *c = pw_cli_command_at(i);
            if (c->group == (pw_cli_group)g) {
                pw_out_printf(out, "  %-11s ", c->name);
                pw_help_wrap(out, c->summary, COMMAND_COLUMN, help_width(out));
            }
        }
    }
    heading(out, "Options of every command");
    options_print(out, NULL, pw_cli_global_options());
    environment_print(out);
    heading(out, "Exit codes");
    for (size_t i = 0; i < pw_cli_exit_count(); i++) {
        int number = 0;
        const char *text = "";
        pw_cli_exit_at(i, &number, &text);
        pw_out_printf(out, " %3d  ", number);
        pw_help_wrap(out, text, EXIT_COLUMN, help_width(out));
    }
    pw_out_puts(out, "\n\"pawl help COMMAND\" shows its options and examples.\n");
}

/* Where to break a line that has room for so many bytes: 0 = nowhere. A command is broken before an option rather than behind it. */
static size_t example_break(const char *line, size_t room, bool comment)
{
    size_t end = room;
    while (end > 0 && line[end] != ' ') {
        end--;
    }
    for (size_t at = end; !comment && at > room / 2; at--) {
        if (line[at] == ' ' && line[at + 1] == '-') {
            return at;
        }
    }
    return end;
}

/* A line that the terminal would break is broken between words, as a shell takes it. */
static void example_fold(pw_cli_out *out, const char *line, size_t size)
{
    const bool comment = *line == '#';
    size_t room = out->width > 2 * EXAMPLE_INDENT + 4 ? out->width - EXAMPLE_INDENT - 2 : size;
    while (size > room) {
        size_t end = example_break(line, room, comment);
        if (end == 0) {
            break;
        }
        pw_buf_put(&out->text, line, end);
        pw_out_puts(out, comment ? "\n  # " : " \\\n    ");
        line += end + 1;
        size -= end + 1;
    }
    pw_buf_put(&out->text, line, size);
}

static void examples_print(pw_cli_out *out, const char *examples)
{
    heading(out, "Examples");
    while (*examples != '\0') {
        size_t line = strcspn(examples, "\n");
        pw_out_puts(out, "  ");
        if (*examples == '#') {
            pw_out_style(out, PW_DIM);
        }
        example_fold(out, examples, line);
        if (*examples == '#') {
            pw_out_style(out, PW_PLAIN);
        }
        pw_buf_putc(&out->text, '\n');
        examples += line + (examples[line] == '\n');
    }
}

void pw_help_command(pw_cli_out *out, const pw_cli_command *c)
{
    pw_out_styled(out, PW_BOLD, "pawl ");
    pw_out_styled(out, PW_BOLD, c->name);
    pw_out_puts(out, " - ");
    pw_help_wrap(out, c->summary, strlen("pawl  - ") + strlen(c->name), help_width(out));
    pw_out_puts(out, "\nusage: ");
    pw_buf usage = PW_BUF_INIT;
    pw_help_usage(&usage, c);
    pw_help_wrap(out, pw_buf_cstr(&usage), USAGE_COLUMN, help_width(out));
    pw_buf_deinit(&usage);
    if (c->text[0] != '\0') {
        pw_buf_putc(&out->text, '\n');
        pw_help_wrap(out, c->text, 0, help_width(out));
    }
    pw_cli_opts own = c->options & ~pw_cli_global_options();
    if (own != 0) {
        heading(out, "Options");
        options_print(out, c, own);
    }
    heading(out, "Options of every command");
    options_print(out, c, pw_cli_global_options());
    examples_print(out, c->examples);
}
