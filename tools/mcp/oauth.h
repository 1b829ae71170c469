/*
 * oauth.h - signed tokens (JWT, RFC 9068) of an authorization server that is believed: is it one of its, for us, and still good?
 *
 *   token --header: alg of the list, kid--> a key of the issuer --signature--> claims: iss, aud, exp, nbf, iat, sub --> pw_claims
 *
 * [T22] Nothing of a token is believed before its signature is: neither a key in its header (jwk, jku, x5u: refused), nor "none", nor a key of
 * another kind than its algorithm's. Only its `iss` is read before, to choose whose keys must fit, and compared again after.
 *
 * libcjose does the signatures; without it (oauth_none.c) there are static tokens only. Thread: any, one at a time for a key set.
 */
#ifndef PW_MCP_OAUTH_H
#define PW_MCP_OAUTH_H

#include "tools/mcp/rights.h"

#define PW_OAUTH_TOKEN_BYTES_MAX 8192

typedef struct pw_jwks pw_jwks;

typedef struct pw_claims {
    char subject[200];
    char workspace[128]; /* "" = none */
    char scopes[1024];   /* with one space between them */
    int64_t expires_ms;
    uint8_t key[PW_DIGEST_SIZE]; /* that signed it: pw_jwks_has */
} pw_claims;

typedef enum pw_oauth_verdict {
    PW_OAUTH_OK,
    PW_OAUTH_BAD,    /* why says it, without anything of the token */
    PW_OAUTH_NO_KEY, /* no such kid: the issuer may have a new one */
} pw_oauth_verdict;

bool pw_oauth_is_built_in(void);

/** The public keys for signatures of a JWK set; others are left out. Errors: INVALID, LIMIT, NOMEM, UNSUPPORTED. */
pawl_status pw_jwks_read(const char *json, size_t size, pw_jwks **ret_keys, pawl_error *err);
void pw_jwks_free(pw_jwks *keys); /* accepts NULL */
size_t pw_jwks_len(const pw_jwks *keys);
/** A key that once was there still is, under whatever name. */
bool pw_jwks_has(const pw_jwks *keys, const uint8_t print[PW_DIGEST_SIZE]);

/** Whose keys are to be tried; NULL = nobody's whom we believe. */
const pw_issuer *pw_oauth_issuer(const pw_rights *rights, const char *token);
/** What a token must be. */
typedef struct pw_oauth_want {
    const pw_issuer *issuer;
    const char *resource; /* what `aud` must name, unless the issuer has an audience of its own */
    int64_t now_ms;
} pw_oauth_want;

/** *ret_why: static. */
pw_oauth_verdict pw_oauth_check(const pw_jwks *keys, const pw_oauth_want *want, const char *token,
                                pw_claims *ret_claims, const char **ret_why);

#endif
