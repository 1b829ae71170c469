/*
 * http.h - Streamable HTTP at /mcp, for both eras: libmicrohttpd on the server's own loop.
 */
#ifndef PW_MCP_HTTP_H
#define PW_MCP_HTTP_H

#include "sdk/pawl_workflow.h"
#include "tools/mcp/server.h"

typedef struct pw_mcpd_http pw_mcpd_http;

typedef struct pw_mcpd_http_options {
    const char *address;
    const char *names;                /* more names by which clients call it: "a,b"; NULL = none */
    const char *cert_file, *key_file; /* NULL = no TLS */
    const char *rights_file, *tokens_file; /* both NULL = whoever reaches it may do everything */
    const char *ca_file; /* whom to trust when keys are fetched; NULL = whom the system does */
    void *user;
    void (*log)(void *user, pawl_level level,
                const char *text); /* from the loop's thread; NULL = nobody listens */
} pw_mcpd_http_options;

/** Listens. address: "HOST:PORT", "PORT"; HOST is a numeric address or localhost, default 127.0.0.1; port 0 = any. Options are copied but for what
 * they point to, which outlives the server. Errors: INVALID, IO, NOMEM, and those of pw_guard_open. */
pawl_status pw_mcpd_http_open(uv_loop_t *loop, pw_mcpd *server, const pw_mcpd_http_options *options,
                              pw_mcpd_http **ret_http, pawl_error *err);
/** Ends every connection. Before the server is closed. Accepts NULL. */
void pw_mcpd_http_close(pw_mcpd_http *http);
/** How many are connected. Any thread. */
size_t pw_mcpd_http_clients(const pw_mcpd_http *http);
/** "http://127.0.0.1:8080/mcp". Owns: http. */
const char *pw_mcpd_http_url(const pw_mcpd_http *http);

#endif
