/*
 * cli_wait.h - between the two files that show questions.
 */
#ifndef PW_CLI_WAIT_H
#define PW_CLI_WAIT_H

#include "tools/cli_session.h"

/* ---- cli_wait.c ---- */

/** A label with what it names below it. */
void pw_wait_heading(pw_cli_out *o, const char *text);
/** "in 2 d", "3 min ago", or as --time-format says. */
void pw_wait_put_time(const pw_cli_out *o, pw_buf *b, int64_t ms);
/** "a|b|c" for eyes: "a, b, c". */
void pw_wait_put_list(pw_buf *b, const char *list);

/* ---- cli_wait_show.c ---- */

/** The data of an answer, key by key; a schema of another form stands as it is. */
void pw_wait_schema(pw_cli *cli, const pawl_value *schema);
/** The events about one question of cli->run_id, in order. Owns: the session. */
const pawl_value *pw_wait_events(pw_cli *cli, const pawl_value *wait);
void pw_wait_history(pw_cli *cli, const pawl_value *events);

#endif
