/*
 * cli_help.h - the tables for people: help on a terminal, man pages, completion in three shells, the README's tables.
 */
#ifndef PW_CLI_HELP_H
#define PW_CLI_HELP_H

#include "tools/cli_out.h"

void pw_help_all(pw_cli_out *out);
void pw_help_command(pw_cli_out *out, const pw_cli_command *command);
/** "pawl start [OPTIONS] TYPE" */
void pw_help_usage(pw_buf *text, const pw_cli_command *command);
/** "-w, --workflow-id ID"; letters apart = false leaves out the room of a missing letter. */
void pw_help_option(pw_buf *text, const pw_cli_option *option, bool align);
/** Words of text from column `indent` on, lines at most `width` columns. The cursor must stand at indent. */
void pw_help_wrap(pw_cli_out *out, const char *text, size_t indent, size_t width);

/** One page: roff source. command NULL = pawl(1). */
void pw_man_page(pw_buf *text, const pw_cli_command *command);
/** pawl.1 and pawl-COMMAND.1 into a folder, created when missing. *ret_count pages. Errors: IO, NOTFOUND, NOMEM. */
pawl_status pw_man_write(const char *folder, size_t *ret_count, pawl_error *err);

void pw_completion_bash(pw_buf *text);
void pw_completion_zsh(pw_buf *text);
void pw_completion_fish(pw_buf *text);
void pw_markdown_tables(pw_buf *text);

#endif
