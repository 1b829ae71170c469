/*
 * mcp_oauth.h - a token for a server that wants one (OAuth 2.1 as MCP has it; RFC 9728, 8414, 7591, 7636, 8707, 9207).
 *
 *   401, 403 --> who protects it: protected resource metadata --> which authorization server: its metadata
 *            --> who are we there: client id given, a document of ours, or registered now
 *            --> refresh token | client credentials | authorization with PKCE --> token
 *
 * [O1] The resource that the metadata names is the server that was asked, or above it.
 * [O2] An authorization server is who its metadata says it is, byte for byte; and so says `iss`.
 * [O3] What one authorization server gave us, another never sees.
 * [O4] No authorization without PKCE, and none with another method than S256.
 * [O5] What we say to an authorization server goes over TLS, or stays on this machine.
 */
#ifndef PW_MCP_OAUTH_H
#define PW_MCP_OAUTH_H

#include "activities/mcp_fetch.h"

#define PW_MCP_REDIRECT "http://127.0.0.1/callback"

/** One round of getting a token. Texts live in the call's private scope. */
typedef struct pw_mcp_oauth {
    pw_mcp_call *call;
    const pawl_value *config; /* server.auth.oauth */
    const char *challenge;    /* WWW-Authenticate, or "" */
    const char *resource;     /* as its metadata has it */
    const char *issuer;
    const pawl_value *prm;
    const pawl_value *metadata; /* of the authorization server */
    const char *scope;          /* "" = none is asked for */
    const char *client_id;
    const char *client_secret; /* NULL = none */
    const char *method;        /* of authentication at the token endpoint */
    pawl_error err;            /* why not */
} pw_mcp_oauth;

/* mcp_oauth_find.c: fill prm ... metadata, scope; false with err */
bool pw_mcp_oauth_find(pw_mcp_oauth *o);
/** pw_mcp_fetch_wait, where it is safe to ask. */
bool pw_mcp_oauth_fetch(pw_mcp_oauth *o, const pw_mcp_fetch *what, pw_mcp_fetched *ret);
/** A parameter of the challenge, or NULL. */
const char *pw_mcp_oauth_param(pw_mcp_oauth *o, const char *name);

/* mcp_oauth_client.c: fill client_id ... method; false with err */
bool pw_mcp_oauth_client(pw_mcp_oauth *o);
/** Appends what the client says of itself in a form, or makes the header it says it in. */
void pw_mcp_oauth_say(pw_mcp_oauth *o, pw_buf *form, const char **ret_authorization);

/** name=value, percent-encoded, to a form or a query. */
void pw_mcp_oauth_put(pw_buf *form, const char *name, const char *value);
bool pw_mcp_oauth_lists(const pawl_value *list, const char *word);

#endif
