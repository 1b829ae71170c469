/*
 * fuzz_token.c - libFuzzer target: the token of a request, as a token of the file and as a signed one, against a key set, with the claims that would
 * be right. Whatever its bytes, nobody gets in: no input holds a secret or a signature. And a key set of any bytes. Opens no socket and fetches
 * nothing: oauth_server_test.py does.
 */
#include "fuzz.h"

#include <string.h>

#include "sdk/base/mem.h"
#include "tools/mcp/oauth.h"
#include "tools/token.h"

#define TOKEN_MAX 9000

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2kiLCJhdWQiOiJodHRwczovL3IiLCJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.AA"),
    SEED("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2kifQ."),
    SEED("eyJhbGciOiJIUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2kifQ.AAAA"),
    SEED(
        "pawl-client-0123456789abcdef-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    SEED(
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"oct\",\"k\":\"AA\"}]}"),
    {NULL, 0},
};

/* The key of RFC 7515, A.3. */
static const char keys_json[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void as_signed(const char *token)
{
    const pw_issuer issuer = {.name = "i", .issuer = "https://i", .skew_s = 60};
    const pw_rights rights = {.issuers = &issuer, .issuers_len = 1};
    const pw_oauth_want want = {&issuer, "https://r", 1700000000000};
    const char *why = NULL;
    pw_claims claims;
    pw_jwks *keys = NULL;
    pawl_error err;
    if (!pw_oauth_is_built_in()) {
        return;
    }
    PW_CHECK(pw_jwks_read(keys_json, sizeof keys_json - 1, &keys, &err) == PAWL_OK);
    PW_CHECK(pw_oauth_check(keys, &want, token, &claims, &why) != PW_OAUTH_OK);
    PW_CHECK(why != NULL && why[0] != '\0');
    (void)pw_oauth_issuer(&rights, token);
    pw_jwks_free(keys);
}

static void as_static(const char *token)
{
    pw_token_grant grant = {.kind = PW_TOKEN_CLIENT, .id = "0123456789abcdef", .name = "a"};
    const pw_token_grants grants = {.list = &grant, .len = 1};
    PW_CHECK(pw_token_grant_of(&grants, PW_TOKEN_CLIENT, token) == NULL);
    PW_CHECK(pw_token_grant_of(&grants, PW_TOKEN_WORKER, token) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char token[TOKEN_MAX + 1];
    pw_jwks *keys = NULL;
    pawl_error err;
    if (size > TOKEN_MAX) {
        return 0;
    }
    memcpy(token, data, size);
    token[size] = '\0';
    as_static(token);
    as_signed(token);
    if (pw_jwks_read((const char *)data, size, &keys, &err) == PAWL_OK) {
        PW_CHECK(pw_jwks_len(keys) > 0);
    }
    pw_jwks_free(keys);
    return 0;
}
