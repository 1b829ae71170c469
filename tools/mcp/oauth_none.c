/*
 * oauth_none.c - a binary without libcjose: no signed token is believed, and a rights file that names issuers is refused (guard.c).
 */
#include "tools/mcp/oauth.h"

bool pw_oauth_is_built_in(void)
{
    return false;
}

pawl_status pw_jwks_read(const char *json, size_t size, pw_jwks **ret_keys, pawl_error *err)
{
    (void)json, (void)size, (void)ret_keys;
    return pw_err(err, PAWL_UNSUPPORTED, "this pawl was built without libcjose");
}

void pw_jwks_free(pw_jwks *keys)
{
    (void)keys;
}

size_t pw_jwks_len(const pw_jwks *keys)
{
    (void)keys;
    return 0;
}

bool pw_jwks_has(const pw_jwks *keys, const uint8_t print[PW_DIGEST_SIZE])
{
    (void)keys, (void)print;
    return false;
}

const pw_issuer *pw_oauth_issuer(const pw_rights *rights, const char *token)
{
    (void)rights, (void)token;
    return NULL;
}

pw_oauth_verdict pw_oauth_check(const pw_jwks *keys, const pw_oauth_want *want, const char *token,
                                pw_claims *ret_claims, const char **ret_why)
{
    (void)keys, (void)want, (void)token, (void)ret_claims;
    *ret_why = "signed tokens are not taken here";
    return PW_OAUTH_BAD;
}
