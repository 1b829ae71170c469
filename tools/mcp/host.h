/*
 * host.h - the MCP server in a thread of its own, beside an engine in the same process or elsewhere.
 */
#ifndef PW_MCP_HOST_H
#define PW_MCP_HOST_H

#include "tools/mcp/http.h"

typedef struct pw_mcpd_host pw_mcpd_host;

/** Listens on the address, then starts the thread. Errors: as pw_mcpd_http_open. */
pawl_status pw_mcpd_host_start(const pw_mcpd_options *options, const pw_mcpd_http_options *http,
                               pw_mcpd_host **ret_host, pawl_error *err);
/** Ends every connection and joins. Accepts NULL. */
void pw_mcpd_host_stop(pw_mcpd_host *host);
/** How many are connected over HTTP, and whether the server itself is one of the engine's clients. Any thread. */
size_t pw_mcpd_host_clients(const pw_mcpd_host *host, bool *ret_of_engine);
const char *pw_mcpd_host_url(const pw_mcpd_host *host);

#endif
