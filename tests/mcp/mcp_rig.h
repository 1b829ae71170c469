/*
 * mcp_rig.h - an engine with the activity "mcp" in it (http_rig.h), and the scripted server (server.py) beside it, over HTTP and as a program.
 */
#ifndef MCP_RIG_H
#define MCP_RIG_H

#include "tests/net/http_rig.h"

int mcp_setup(void **state);
int mcp_teardown(void **state);
/** Opens the journal again, with the workflows "use" (one call of "mcp" with in.request) and "consult" (asks a person what the server wants to
 * know, and goes on). */
void mcp_open(http_rig *r);

/** {url} of the scripted server at that path, or {command} of it in that era ("modern", "legacy") with a log of what was called. */
const pawl_value *mcp_url(http_rig *r, const char *path);
const pawl_value *mcp_command(http_rig *r, const char *era);
/** How often the program was called for that key, "tool:id". */
int mcp_logged(http_rig *r, const char *key);

/** Starts a run of `workflow` with {request: {server, tool, arguments}} and what `more` adds to the request; `with` adds to the input. */
typedef struct mcp_use {
    const char *id;
    const char *workflow; /* NULL = "use" */
    const pawl_value *server;
    const char *tool;
    const pawl_value *arguments;
    const pawl_value *more; /* of the request; nil */
    const pawl_value *with; /* of the input; nil */
} mcp_use;
void mcp_start(http_rig *r, const mcp_use *u);
/** Its result; fails the test when it failed. */
const pawl_value *mcp_result(http_rig *r, const mcp_use *u);
/** Its failure, which must be of that type. */
const pawl_value *mcp_failing(http_rig *r, const mcp_use *u, const char *type);
const char *mcp_text(const pawl_value *result); /* of the first content */

#endif
