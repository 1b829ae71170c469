/*
 * mcp_activity.h - the activity "mcp". The manual is sdk/pawl_net.h.
 */
#ifndef PW_MCP_ACTIVITY_H
#define PW_MCP_ACTIVITY_H

#include "activities/mcp_server.h"
#include "activities/net_runner.h"
#include "sdk/pawl.h"

/** How it is registered; whoever takes it takes the hub over, as its runner. */
pawl_activity_options pw_mcp_options(pw_mcp_hub *hub);

#endif
