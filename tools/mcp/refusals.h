/*
 * refusals.h - tokens that were refused, for the log: the first few each minute in a line of their own, the rest counted in one. A line says from
 * which address, and why; never anything of the token. Thread: the loop's.
 */
#ifndef PW_MCP_REFUSALS_H
#define PW_MCP_REFUSALS_H

#include "sdk/pawl.h"
#include "tools/mcp/peer.h"

typedef void (*pw_refusals_fn)(void *user, pawl_level level, const char *text);

/** Zero bytes are none. */
typedef struct pw_refusals {
    int64_t since_ms; /* this minute began */
    int said;         /* in it */
    int64_t unsaid;
    char last[PW_PEER_TEXT_BYTES]; /* of those that are not said */
    char why[160];
} pw_refusals;

/** why: for people, of ours. */
void pw_refusals_add(pw_refusals *r, const pw_peer *peer, const char *why, int64_t now_ms,
                     pw_refusals_fn say, void *user);
/** By time: says how many were not said. */
void pw_refusals_look(pw_refusals *r, int64_t now_ms, pw_refusals_fn say, void *user);

#endif
