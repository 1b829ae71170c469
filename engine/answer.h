/*
 * answer.h - what people say to an open wait: an answer, a vote, "not now"; and what those are told who come late.
 */
#ifndef PW_ANSWER_H
#define PW_ANSWER_H

#include "engine/parts.h"

/** In the run's turn. The request is answered after the commit. */
void pw_answer_take(pw_live *live, pw_request *rq);
/** The time has come at which an open wait is shown to further people. */
void pw_answer_escalate(pw_live *live, const pw_cmd *cmd);
/** An answer to a run that is closed: true when a wait is found that it may have meant, and the request was answered. */
bool pw_answer_closed(pw_core *core, pw_live *live, pw_request *rq);

/** What this turn has answered or ended, which rows do not show yet. False: no memory; the turn fails. */
bool pw_answered_note(pw_live *live, int64_t cmd, bool ended, pw_view body);
bool pw_answered_ended(const pw_live *live, int64_t cmd);

#endif
