/*
 * stdio.h - MCP over standard input and output: one message a line, one client, until its end of file.
 */
#ifndef PW_MCP_STDIO_H
#define PW_MCP_STDIO_H

#include "tools/mcp/server.h"

typedef struct pw_mcpd_stdio_options {
    pw_mcpd_options server;
    /** Detached program that owns the journal when nobody does, argv[0] a path; NULL = none is started. NULL-terminated. */
    const char *const *engine;
    const char *engine_log; /* where it says what is wrong */
} pw_mcpd_stdio_options;

/** Serves until end of file, a signal of those blocked in the caller, or the death of the parent. Errors: IO (the engine could not be started, with
 * where it says why), NOMEM. */
pawl_status pw_mcpd_stdio_serve(const pw_mcpd_stdio_options *options, pawl_error *err);

#endif
