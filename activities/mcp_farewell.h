/*
 * mcp_farewell.h - the end of a legacy session: when the engine closes, servers are told that nobody comes back (DELETE).
 */
#ifndef PW_MCP_FAREWELL_H
#define PW_MCP_FAREWELL_H

#include "activities/mcp_server.h"

/** Keeps with the server, beside its session, what is needed to end that: no call is there when the engine closes. */
void pw_mcp_farewell_note(pw_mcp_call *call);
/** Ends the sessions of a list of servers, all at a time, until a moment (monotonic). What they answer does not matter. */
void pw_mcp_farewell_say(pw_net *net, pw_mcp_server *servers, int64_t until_ms);

#endif
