/*
 * view.h - reads: what a journal's rows can answer without a running engine. The host's calls, the control server and the CLI (on a file
 * nobody owns) ask here; the core is never in the way of a listing.
 */
#ifndef PW_VIEW_H
#define PW_VIEW_H

#include "engine/request.h"
#include "journal/journal.h"

/** Operations that rows answer fully: the READ ones. With `offline` also those that rows answer well enough when no engine runs: STACK,
 * QUERY (published keys only), RESULT (closed runs only). */
bool pw_view_can(pw_req_op op, bool offline);

/**
 * Appends the reply's body to out. Payloads kept as blobs are shown whole up to PW_VIEW_BLOB_BYTES_MAX, else as {"$blob": hex, "$size": n}.
 * Errors: NOTFOUND (names the id), INVALID (bad filter, with the column), NOT (offline RESULT of an open run; offline QUERY of a key that is not
 * there), UNSUPPORTED (an operation that needs the engine), DAMAGED, IO, NOMEM. out is as before then.
 */
pawl_status pw_view_request(pw_reader *reader, pw_req_op op, const pawl_value *args, pw_buf *out,
                            pawl_error *err);

#endif
