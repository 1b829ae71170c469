/*
 * mcp_fetch.h - one plain HTTP exchange of a call, waited for: documents and tokens of an authorization server.
 */
#ifndef PW_MCP_FETCH_H
#define PW_MCP_FETCH_H

#include "activities/mcp_server.h"

typedef struct pw_mcp_fetched {
    int status;
    const pawl_value *json; /* the body, when it is JSON; else nil */
    const char *location;   /* or NULL */
} pw_mcp_fetched;

/** What is asked: a GET, or a POST when there is a body. */
typedef struct pw_mcp_fetch {
    const char *url;
    const char *body; /* NULL = none */
    const char *content_type;
    const char *authorization; /* NULL = none */
} pw_mcp_fetch;

/** Waits for it. False: no response; why says why not (256 bytes). */
bool pw_mcp_fetch_wait(pw_mcp_call *call, const pw_mcp_fetch *what, pw_mcp_fetched *ret,
                       pawl_error *err);

#endif
