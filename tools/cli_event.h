/*
 * cli_event.h - events of a run, read page by page, and one line of text for each.
 */
#ifndef PW_CLI_EVENT_H
#define PW_CLI_EVENT_H

#include "tools/cli_session.h"

/** Called with each event in order; false stops. The event lives as long as the call. */
typedef bool (*pw_cli_event_fn)(void *ctx, const pawl_value *event);
/** Reads the events of a run, named by its key, from number `from` (1 = the first) to the end or until fn stops. */
pawl_status pw_cli_events(pw_cli *cli, int64_t key, int64_t from, pw_cli_event_fn fn, void *ctx,
                          pawl_error *err);
/** Describes the newest run of cli->run_id; its key is in it. 0 or an exit code after having said why. */
int pw_cli_describe(pw_cli *cli, const pawl_value **ret_run);

/** "build, attempt 2: ExitStatus: make failed" and where in the code, on the rest of a line. columns 0 = no limit. */
void pw_out_event_summary(pw_cli_out *out, const pawl_value *event, size_t columns);
/** One whole line. started_ms: relative times count from there. */
void pw_out_event_line(pw_cli_out *out, const pawl_value *event, int64_t started_ms);
/** Green, red ... by what happened. */
pw_cli_style pw_cli_event_style(const char *type);
/** The run has closed with this event (not by continuing as new). */
bool pw_cli_event_closes(const char *type);

#endif
