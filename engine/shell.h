/*
 * shell.h - what a run that is only its row (paused, or without code) knows of itself from its history.
 *
 * Only in its turn, and only of a shell: a whole run has it in memory. What cannot be read fails the turn, which comes again.
 */
#ifndef PW_SHELL_H
#define PW_SHELL_H

#include "engine/parts.h"

/** What became of a wait. */
typedef struct pw_wait_end {
    const char *name;
    pw_event_type how;  /* WAIT_ANSWERED, WAIT_EXPIRED or WAIT_CANCELED */
    const char *choice; /* "" when it had none */
    const char *by;     /* "" when nobody did */
    int64_t at_ms;      /* 0 = not on record */
} pw_wait_end;

bool pw_shell_cancel_asked(pw_live *live);
bool pw_shell_child_ended(pw_live *live, int64_t cmd);
/** The last wait of that name, or "name:command" ("" = the only one that there was), if it has ended. Of any run. Owns: the scope. */
bool pw_shell_wait_ended(pw_live *live, pawl_scope *scope, const char *asked, pw_wait_end *ret_end);
/** Signals that no wait has taken. */
int64_t pw_shell_unread(pw_live *live);

#endif
