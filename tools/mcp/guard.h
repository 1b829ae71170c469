/*
 * guard.h - who a request is: a token of the file, or one that an authorization server signed; both files read again when they change.
 *
 *   Authorization: Bearer T --> known already? --> token of the file --> signed token --> principal, roles
 *
 * [T23] A token that is revoked, expired, no longer allowed, or signed with a key that its issuer has withdrawn is out within a second of being
 * known to be that, also on streams that are open: `pw_guard_renew` is asked for each of them whenever something has changed, and by time.
 *
 * [T25] A flood of bad tokens from one address shuts out that address: peer.h. What is refused is in the log, counted when it is much (refusals.h).
 *
 * Thread: the loop's.
 */
#ifndef PW_MCP_GUARD_H
#define PW_MCP_GUARD_H

#include "tools/mcp/keys.h"

typedef struct pw_guard pw_guard;

typedef struct pw_guard_options {
    const char *rights_file, *tokens_file; /* NULL = none; one of them is there */
    const char *resource;                  /* of the server, when the rights name none */
    const char *ca_file;
    void *user;
    void (*came)(void *user); /* what was LATER may be asked again */
    void (*log)(void *user, pawl_level level, const char *text);
} pw_guard_options;

typedef enum pw_guard_verdict {
    PW_GUARD_PASSED,
    PW_GUARD_REFUSED,
    PW_GUARD_LATER, /* keys are on their way */
    PW_GUARD_BUSY,  /* too many bad tokens came from there: ask again in a second */
} pw_guard_verdict;

/** Errors: NOTFOUND, IO, INVALID, LIMIT, UNSUPPORTED, NOMEM. */
pawl_status pw_guard_open(uv_loop_t *loop, const pw_guard_options *options, pw_guard **ret_guard,
                          pawl_error *err);
void pw_guard_close(pw_guard *g); /* accepts NULL */

/** authorization: the header, NULL = none; peer: from where it comes. PASSED: *ret_who is the caller's. Else *ret_why is for people, and "" when no
 * token came. */
pw_guard_verdict pw_guard_ask(pw_guard *g, const char *authorization, const pw_peer *peer,
                              pw_who **ret_who, const char **ret_why);
/** Reads files again that have changed. True: something has, or keys have come. */
bool pw_guard_look(pw_guard *g);
/** The same principal as it is now, the caller's; NULL = it is out. */
pw_who *pw_guard_renew(pw_guard *g, pw_who *who);

/** RFC 9728: what clients are told about whose tokens are taken. NULL = no authorization server is believed. Owns: the guard, until the next. */
const char *pw_guard_metadata(pw_guard *g);
/** The same, as a URL. */
const char *pw_guard_metadata_url(const pw_guard *g);
const pw_rights *pw_guard_rights(const pw_guard *g); /* until it looks again */
const char *pw_guard_resource(const pw_guard *g);
/** Every scope that gives something, with spaces between them. Owns: the guard, until it looks again. */
const char *pw_guard_scopes(const pw_guard *g);

#endif
