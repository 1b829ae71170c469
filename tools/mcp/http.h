/*
 * http.h - Streamable HTTP at /mcp, for both eras: libmicrohttpd on the server's own loop.
 */
#ifndef PW_MCP_HTTP_H
#define PW_MCP_HTTP_H

#include "tools/mcp/server.h"

typedef struct pw_mcpd_http pw_mcpd_http;

/** Listens. address: "HOST:PORT", "PORT"; HOST is a numeric address or localhost, default 127.0.0.1; port 0 = any. Errors: INVALID, IO, NOMEM. */
pawl_status pw_mcpd_http_open(uv_loop_t *loop, pw_mcpd *server, const char *address,
                              pw_mcpd_http **ret_http, pawl_error *err);
/** Ends every connection. Before the server is closed. Accepts NULL. */
void pw_mcpd_http_close(pw_mcpd_http *http);
/** How many are connected. Any thread. */
size_t pw_mcpd_http_clients(const pw_mcpd_http *http);
/** "http://127.0.0.1:8080/mcp". Owns: http. */
const char *pw_mcpd_http_url(const pw_mcpd_http *http);

#endif
