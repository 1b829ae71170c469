/*
 * cli_mcp.h - the parts of the command `mcp`.
 */
#ifndef PW_CLI_MCP_H
#define PW_CLI_MCP_H

#include "tools/cli_session.h"

/** Prints what an MCP client would see. live: an engine owns the journal and is asked; else our own modules tell. An exit code. */
int pw_cli_mcp_check(pw_cli *cli, bool live);

#endif
