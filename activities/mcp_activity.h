/*
 * mcp_activity.h - the activity "mcp". The manual is sdk/pawl_net.h.
 */
#ifndef PW_MCP_ACTIVITY_H
#define PW_MCP_ACTIVITY_H

#include "activities/mcp_server.h"
#include "activities/net_runner.h"
#include "sdk/pawl.h"

/** Registers it; the engine takes the hub over, which is stopped when that fails. */
PAWL_MUST_USE pawl_status pw_mcp_register(pawl_engine *engine, pw_mcp_hub *hub, pawl_error *err);

#endif
