/*
 * mcp_listen.h - the stream of a legacy session that belongs to no request: some servers ask there what they want to know for a call.
 *
 * It is open while a tool is called. What comes there belongs to that call only if it is the only one that the session has under way.
 */
#ifndef PW_MCP_LISTEN_H
#define PW_MCP_LISTEN_H

#include "activities/mcp_server.h"

typedef struct pw_mcp_listen pw_mcp_listen;

/** Opens it, and waits a moment until the server has said that it is open. `nudged` is woken when something comes, and must outlive it.
 * NULL: the server has none, or there is no memory; the call goes on without. */
pw_mcp_listen *pw_mcp_listen_open(pw_mcp_call *call, pw_mcp_inbox *nudged);
/** The next text, if there is one. */
bool pw_mcp_listen_take(pw_mcp_listen *listen, pw_buf *ret_text);
void pw_mcp_listen_close(pw_mcp_listen *listen); /* accepts NULL */

#endif
