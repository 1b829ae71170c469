/*
 * stream.h - what an attempt says while it runs (tokens, lines of a log), to whoever follows its run at that moment. Never in the journal.
 *
 *   pawl_task_output -> report -> [the last PW_STREAM_TAIL_BYTES of the attempt] -> watches that asked for output
 *
 * A watch that begins late is given the tail first. A piece has its place in the attempt's whole output ("at"): who misses one sees it.
 * The end of an attempt is told too, with whether its output stands: one without a result does not, the next attempt says it anew.
 */
#ifndef PW_STREAM_H
#define PW_STREAM_H

#include "engine/parts.h"

/** A piece as a report or a worker brings it, {channel, data, at?}: NULL, or what is wrong with it. */
const char *pw_stream_problem(const pawl_value *piece);
/** Does not fail: without memory a piece is lost, and its place tells. */
void pw_stream_piece(pw_core *core, pw_job *job, const pawl_value *piece);
/** The attempt is over; stands = with a result. */
void pw_stream_end(pw_core *core, pw_job *job, bool stands);
/** What a new watch missed of the attempts that run. */
void pw_stream_tails(pw_core *core, const pw_watcher *w);
/** How far a run says it is, after the commit that keeps it. */
void pw_stream_progress(pw_core *core, const pw_live *live, const pw_run_row *row);

#endif
