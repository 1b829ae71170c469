/*
 * mcp_use.h - a tool used: the call, the rounds of questions, the task it may become; what the next attempt must know; how it fails.
 *
 *   note (of an attempt before) --task--> poll --.
 *                               --sent--> unknown \
 *   tools/list --> tools/call --result------------+--> result
 *                             --input_required--> answers? --yes--> again, --no--> InputRequired
 *                             --task--> note --> poll
 *
 * [M1] A call of a tool that neither only reads nor is idempotent is sent at most once without somebody having been told.
 * [M2] The id of a task is on the disk before it is asked for.
 * [M3] Answers and states of one call never reach another.
 */
#ifndef PW_MCP_USE_H
#define PW_MCP_USE_H

#include "activities/mcp_server.h"

/* mcp_use.c: the result of tools/call, or NULL with the task failed */
const pawl_value *pw_mcp_use(pw_mcp_call *call);

/* mcp_task.c */

/** Follows a task {id, poll_ms} to its end; answers with what the input has for it. As pw_mcp_use. */
const pawl_value *pw_mcp_task_follow(pw_mcp_call *call, const pawl_value *task);

/* mcp_output.c */

/** The result, if it is what the tool's outputSchema promises or there is none; else NULL with the failure BadOutput set. NULL for NULL. */
const pawl_value *pw_mcp_output_check(pw_mcp_call *call, const pawl_value *tool,
                                      const pawl_value *result);

/* mcp_note.c */

/** Written down when it returns. False: it could not be. */
bool pw_mcp_note_put(pw_mcp_call *call, const pawl_value *detail);
/** What the attempt before wrote down, or nil. */
const pawl_value *pw_mcp_note_get(pw_mcp_call *call);
void pw_mcp_note_drop(pw_mcp_call *call);

/* mcp_failure.c */

/** Sets the failure of a request that has no result. `repeatable`: it may be sent again, whatever happened to it. Always NULL. */
const pawl_value *pw_mcp_fail_reply(pw_mcp_call *call, const pw_mcp_reply *reply, bool repeatable);
/** Sets a failure, redacted. Always NULL. */
const pawl_value *pw_mcp_fail(pw_mcp_call *call, const char *type, const char *message,
                              const pawl_value *details, bool retryable);
/** InputRequired, with call->question and what the next call must give back. Always NULL. */
const pawl_value *pw_mcp_fail_question(pw_mcp_call *call, const pawl_value *resume);
/** OutcomeUnknown. Always NULL. */
const pawl_value *pw_mcp_fail_unknown(pw_mcp_call *call, const char *cause, const char *message);
/** A value without secrets, in the task's scope; NULL with the failure set when there is no memory for it. */
const pawl_value *pw_mcp_clean(pw_mcp_call *call, const pawl_value *v);

#endif
