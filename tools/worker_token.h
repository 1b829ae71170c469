/*
 * worker_token.h - the tokens that let workers in from other machines: a file of lines, without the tokens themselves.
 *
 *     pawl-worker-<id>-<secret>      what a worker holds; id: 16 hex digits, secret: 64, random
 *     {"id": "..", "hash": "<BLAKE2b-256 of the whole token>", "name": "..", "created_ms": .., "queues": [..], "activities": [..]}
 *
 * A secret is 256 random bits, so a plain hash cannot be turned back; it is compared in constant time. The file is replaced whole, mode 0600. A
 * relay reads it again whenever it has changed: a token that is no longer in it is out within a second.
 */
#ifndef PW_WORKER_TOKEN_H
#define PW_WORKER_TOKEN_H

#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/pawl_value.h"

#define PW_WORKER_TOKEN_ID_HEX 16
#define PW_WORKER_TOKEN_BYTES_MAX 128

/** One line of the file. */
typedef struct pw_worker_grant {
    const char *id;
    const char *name;
    int64_t created_ms;
    uint8_t hash[PW_DIGEST_SIZE];
    const pawl_value *queues;     /* nil = any */
    const pawl_value *activities; /* nil = any; a last * matches the rest of a name */
} pw_worker_grant;

typedef struct pw_worker_grants {
    pawl_scope *scope;
    pw_worker_grant *list;
    size_t len;
} pw_worker_grants;

/** All of a file. Errors: NOTFOUND, IO, LIMIT, INVALID (names the line), NOMEM. */
pawl_status pw_worker_grants_read(const char *path, pw_worker_grants **ret_grants, pawl_error *err);
void pw_worker_grants_free(pw_worker_grants *g); /* accepts NULL */
/** NULL when no token of that id is there. */
const pw_worker_grant *pw_worker_grant_find(const pw_worker_grants *g, const char *id);
/** Whose token that is; NULL = nobody's. */
const pw_worker_grant *pw_worker_grant_of(const pw_worker_grants *g, const char *token);
bool pw_worker_grant_activity(const pw_worker_grant *grant, const char *name);
bool pw_worker_grant_queue(const pw_worker_grant *grant, const char *name);

/** Makes a token and adds its line; the file is made when there is none. queues, activities: arrays, nil = any. Errors: EXISTS (that name), IO,
 * INVALID, NOMEM. */
pawl_status pw_worker_token_add(const char *path, const char *name, int64_t now_ms,
                                const pawl_value *queues, const pawl_value *activities,
                                char ret_token[PW_WORKER_TOKEN_BYTES_MAX], pawl_error *err);
/** Takes the line of that name or id out. Errors: NOTFOUND, IO, INVALID, NOMEM. */
pawl_status pw_worker_token_revoke(const char *path, const char *name, pawl_error *err);

#endif
