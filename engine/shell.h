/*
 * shell.h - what a run that is only its row (paused, or without code) knows of itself from its history.
 *
 * Only in its turn, and only of a shell: a whole run has it in memory. What cannot be read fails the turn, which comes again.
 */
#ifndef PW_SHELL_H
#define PW_SHELL_H

#include "engine/parts.h"

typedef struct pw_shell_answer {
    const char *name;
    const char *choice; /* "data" when the answer had none */
    const char *by;     /* "deadline" when nobody did */
} pw_shell_answer;

bool pw_shell_cancel_asked(pw_live *live);
bool pw_shell_child_ended(pw_live *live, int64_t cmd);
/** The last wait of that name ("" = any), if it has been answered. Owns: the turn's batch. */
bool pw_shell_answered(pw_live *live, const char *name, pw_shell_answer *ret_answer);
/** Signals that no wait has taken. */
int64_t pw_shell_unread(pw_live *live);

#endif
