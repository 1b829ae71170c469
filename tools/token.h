/*
 * token.h - the tokens that let somebody in, workers of other machines or clients over HTTP: a file of lines, without the tokens themselves.
 *
 *     pawl-worker-<id>-<secret>      what a worker holds; id: 16 hex digits, secret: 64, random
 *     pawl-client-<id>-<secret>      what a client of the MCP server holds
 *     {"id": "..", "hash": "<BLAKE2b-256 of the whole token>", "name": "..", "created_ms": .., "queues": [..], "activities": [..]}
 *     {"id": "..", "hash": "..", "name": "..", "created_ms": .., "kind": "client", "principal": "..", "roles": [..], "workspace": "..",
 *      "expires_ms": ..}
 *
 * A secret is 256 random bits, so a plain hash cannot be turned back; it is compared in constant time. One kind never passes for the other, also
 * in one file. The file is replaced whole, mode 0600. Who uses it reads it again whenever it has changed: a token that is no longer in it is out
 * within a second.
 */
#ifndef PW_TOKEN_H
#define PW_TOKEN_H

#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/pawl_value.h"

#define PW_TOKEN_ID_HEX 16
#define PW_TOKEN_BYTES_MAX 128

typedef enum pw_token_kind { PW_TOKEN_WORKER, PW_TOKEN_CLIENT } pw_token_kind;

/** One line of the file. */
typedef struct pw_token_grant {
    pw_token_kind kind;
    const char *id;
    const char *name;
    int64_t created_ms;
    int64_t expires_ms; /* 0 = never */
    uint8_t hash[PW_DIGEST_SIZE];
    /* of a worker */
    const pawl_value *queues;     /* nil = any */
    const pawl_value *activities; /* nil = any; a last * matches the rest of a name */
    /* of a client */
    const char *principal; /* who it is, in the journal and everywhere */
    const char *workspace; /* whose runs it shares; "" = its own only */
    const pawl_value *roles;
} pw_token_grant;

typedef struct pw_token_grants {
    pawl_scope *scope;
    pw_token_grant *list;
    size_t len;
} pw_token_grants;

/** All of a file. Errors: NOTFOUND, IO, LIMIT, INVALID (names the line), NOMEM. */
pawl_status pw_token_grants_read(const char *path, pw_token_grants **ret_grants, pawl_error *err);
void pw_token_grants_free(pw_token_grants *g); /* accepts NULL */
/** NULL when no token of that id is there. */
const pw_token_grant *pw_token_grant_find(const pw_token_grants *g, const char *id);
/** Whose token that is; NULL = nobody's, or another kind's. Does not look at expires_ms. */
const pw_token_grant *pw_token_grant_of(const pw_token_grants *g, pw_token_kind kind,
                                        const char *token);
bool pw_token_grant_activity(const pw_token_grant *grant, const char *name);
bool pw_token_grant_queue(const pw_token_grant *grant, const char *name);
/** True when a list of names, in which a last * matches the rest of one, has that name. */
bool pw_token_listed(const pawl_value *list, const char *name);

/** Makes a token and adds its line; the file is made when there is none. Of `grant`, id and hash are made here. Errors: EXISTS (that name), IO,
 * INVALID, NOMEM. */
pawl_status pw_token_add(const char *path, const pw_token_grant *grant,
                         char ret_token[PW_TOKEN_BYTES_MAX], pawl_error *err);
/** Takes the line of that name or id out. Errors: NOTFOUND, IO, INVALID, NOMEM. */
pawl_status pw_token_revoke(const char *path, const char *name, pawl_error *err);

#endif
