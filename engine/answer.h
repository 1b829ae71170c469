/*
 * answer.h - what people say to an open wait: an answer, a vote, "not now"; and what those are told who come late.
 */
#ifndef PW_ANSWER_H
#define PW_ANSWER_H

#include "engine/shell.h"

/** In the run's turn. The request is answered after the commit. */
void pw_answer_take(pw_live *live, pw_request *rq);
/** The time has come at which an open wait is shown to further people. */
void pw_answer_escalate(pw_live *live, const pw_cmd *cmd);

/* ---- answer_late.c ---- */

/** An answer that no open wait fits, in the run's turn: true when a wait has ended that it may have meant, and the request was answered. */
bool pw_answer_late(pw_live *live, pw_request *rq, const char *asked);
/** An answer to a run that is closed: true when a wait is found that it may have meant, and the request was answered. */
bool pw_answer_closed(pw_core *core, pw_live *live, pw_request *rq);

/** Is that wait asked for? By name, or by "name:command", or (asked "") any. */
bool pw_answer_names(const char *name, int64_t cmd, const char *asked);
/** {name, outcome, by, choice, at_ms} for who comes late. */
void pw_answer_end_body(pw_buf *b, const pw_wait_end *end);
void pw_answer_iso(char ret[32], int64_t ms);

/* ---- answer.c, for input.c ---- */

/** What this turn has answered or ended, which rows do not show yet. False: no memory; the turn fails. */
bool pw_answered_note(pw_live *live, int64_t cmd, bool ended, pw_view body);
bool pw_answered_ended(const pw_live *live, int64_t cmd);

#endif
