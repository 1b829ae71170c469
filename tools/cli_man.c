/*
 * cli_man.c - man pages, from the tables. Plain man(7) macros, no dates: the same program writes the same bytes.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sdk/base/error.h"
#include "sdk/pawl.h"
#include "tools/cli_help.h"

/* Text as roff wants it: no macro at the beginning of a line, hyphens that can be copied. */
static void roff(pw_buf *b, const char *text)
{
    bool line_start = b->size == 0 || b->data[b->size - 1] == '\n';
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            pw_buf_puts(b, "\\&");
        }
        if (*text == '\\') {
            pw_buf_puts(b, "\\e");
        } else if (*text == '-') {
            pw_buf_puts(b, "\\-");
        } else {
            pw_buf_putc(b, (unsigned char)*text);
        }
        line_start = *text == '\n';
    }
}

static void roff_line(pw_buf *b, const char *text)
{
    roff(b, text);
    pw_buf_putc(b, '\n');
}

static void options_page(pw_buf *b, const pw_cli_command *command, pw_cli_opts which)
{
    for (unsigned i = 0; i < PW_OPT_COUNT; i++) {
        if ((which >> i & 1u) == 0) {
            continue;
        }
        const pw_cli_option o = pw_cli_option_of(command, (pw_cli_opt)i);
        pw_buf_puts(b, ".TP\n\\fB");
        if (o.letter != 0) {
            pw_buf_printf(b, "\\-%c\\fR, \\fB", o.letter);
        }
        pw_buf_puts(b, "\\-\\-");
        roff(b, o.word);
        pw_buf_puts(b, "\\fR");
        if (o.value != NULL) {
            pw_buf_puts(b, " \\fI");
            roff(b, o.value);
            pw_buf_puts(b, "\\fR");
        }
        pw_buf_putc(b, '\n');
        roff_line(b, o.help);
    }
}

static void environment_page(pw_buf *b)
{
    pw_buf_puts(b, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < pw_cli_environment_count(); i++) {
        const char *name = "", *text = "";
        pw_cli_environment_at(i, &name, &text);
        pw_buf_printf(b, ".TP\n.B %s\n", name);
        roff_line(b, text);
    }
}

static void exits_page(pw_buf *b)
{
    pw_buf_puts(b, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < pw_cli_exit_count(); i++) {
        int number = 0;
        const char *text = "";
        pw_cli_exit_at(i, &number, &text);
        pw_buf_printf(b, ".TP\n.B %d\n", number);
        roff_line(b, text);
    }
}

static void commands_page(pw_buf *b)
{
    pw_buf_puts(b, ".SH COMMANDS\n");
    for (unsigned g = 0; g < PW_GROUP_COUNT; g++) {
        pw_buf_puts(b, ".SS ");
        roff_line(b, pw_cli_group_title((pw_cli_group)g));
        for (size_t i = 0; i < PW_CMD_COUNT; i++) {
            const pw_cli_command *c = pw_cli_command_at(i);
            if (c->group == (pw_cli_group)g) {
                pw_buf_printf(b, ".TP\n.BR pawl\\-%s (1)\n", c->name);
                roff_line(b, c->summary);
            }
        }
    }
}

static void main_page(pw_buf *b)
{
    pw_buf_puts(
        b,
        ".TH PAWL 1 \"\" \"pawl " PAWL_VERSION "\" \"pawl\"\n.SH NAME\n"
        "pawl \\- durable workflows for agents\n.SH SYNOPSIS\n.B pawl\n.I COMMAND\n[OPTIONS]\n"
        ".SH DESCRIPTION\nRuns workflows whose steps, once they have happened, stay happened: through crashes,\n"
        "restarts and days of waiting. Everything is kept in one file, the journal. One engine at a time owns it;\n"
        "commands talk to that engine, or, when none runs, read the file and leave in it what they ask for.\n");
    commands_page(b);
    pw_buf_puts(b, ".SH OPTIONS\nEvery command takes these; its own page has the others.\n");
    options_page(b, NULL, pw_cli_global_options());
    environment_page(b);
    exits_page(b);
}

static void command_page(pw_buf *b, const pw_cli_command *c)
{
    pw_buf_puts(b, ".TH PAWL\\-");
    for (const char *p = c->name; *p != '\0'; p++) {
        pw_buf_putc(b, toupper((unsigned char)*p));
    }
    pw_buf_printf(b, " 1 \"\" \"pawl " PAWL_VERSION "\" \"pawl\"\n.SH NAME\npawl\\-%s \\- ",
                  c->name);
    roff_line(b, c->summary);
    pw_buf_printf(b, ".SH SYNOPSIS\n.B pawl %s\n", c->name);
    if (c->operands[0] != '\0') {
        pw_buf_puts(b, ".I ");
        roff_line(b, c->operands);
    }
    pw_buf_puts(b, "[OPTIONS]\n");
    if (c->text[0] != '\0') {
        pw_buf_puts(b, ".SH DESCRIPTION\n");
        roff_line(b, c->text);
    }
    pw_buf_puts(b, ".SH OPTIONS\n");
    options_page(b, c, c->options & ~pw_cli_global_options());
    options_page(b, c, pw_cli_global_options());
    pw_buf_puts(b, ".SH EXAMPLES\n.nf\n");
    roff_line(b, c->examples);
    pw_buf_puts(b, ".fi\n");
    exits_page(b);
    pw_buf_puts(b, ".SH SEE ALSO\n.BR pawl (1)\n");
}

void pw_man_page(pw_buf *text, const pw_cli_command *command)
{
    if (command == NULL) {
        main_page(text);
    } else {
        command_page(text, command);
    }
}

static pawl_status page_write(const char *folder, const pw_cli_command *command, pawl_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/pawl%s%s.1", folder, command != NULL ? "-" : "",
                     command != NULL ? command->name : "");
    if (n < 0 || (size_t)n >= sizeof path) {
        return pw_err(err, PAWL_INVALID, "the folder's name is too long");
    }
    pw_buf text = PW_BUF_INIT;
    pw_man_page(&text, command);
    FILE *file = pw_buf_ok(&text) ? fopen(path, "we") : NULL;
    bool ok = file != NULL && fwrite(text.data, 1, text.size, file) == text.size;
    ok = (file == NULL || fclose(file) == 0) && ok;
    int code = errno;
    pw_buf_deinit(&text);
    return ok ? PAWL_OK : pw_err(err, PAWL_IO, "write %s: %s", path, strerror(code));
}

pawl_status pw_man_write(const char *folder, size_t *ret_count, pawl_error *err)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        return pw_err(err, PAWL_IO, "make the folder %s: %s", folder, strerror(errno));
    }
    pawl_status s = page_write(folder, NULL, err);
    for (size_t i = 0; s == PAWL_OK && i < PW_CMD_COUNT; i++) {
        s = page_write(folder, pw_cli_command_at(i), err);
    }
    if (s == PAWL_OK) {
        *ret_count = PW_CMD_COUNT + 1;
    }
    return s;
}
