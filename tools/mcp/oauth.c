/*
 * oauth.c - libcjose, called here and nowhere else: keys of a JWK set, and the signature of a token; then its claims.
 *
 * The header is read twice, by us and by libcjose, and both must find the same algorithm: a key that stands there twice is no way round the list.
 * Does not fetch keys (keys.c), does not know roles (guard.c), and keeps nothing of a token.
 */
#include "tools/mcp/oauth.h"

#include <cjose/cjose.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/mem.h"

#define KEYS_MAX 64
#define JWKS_BYTES_MAX (256u << 10)
#define RSA_BITS_MIN 2048

struct key {
    cjose_jwk_t *jwk;
    char kid[256];
    char alg[8];                   /* "" = any of its kind */
    uint8_t print[PW_DIGEST_SIZE]; /* of what it is, whatever it is called */
};

struct pw_jwks {
    struct key list[KEYS_MAX];
    size_t len;
};

static const struct {
    const char *name;
    cjose_jwk_kty_t kty;
    cjose_jwk_ec_curve curve; /* of an EC key */
} algorithms[] = {
    {"RS256", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"RS384", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"RS512", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS256", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS384", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"PS512", CJOSE_JWK_KTY_RSA, CJOSE_JWK_EC_INVALID},
    {"ES256", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_256},
    {"ES384", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_384},
    {"ES512", CJOSE_JWK_KTY_EC, CJOSE_JWK_EC_P_521},
};

bool pw_oauth_is_built_in(void)
{
    return true;
}

/* Base64url of at least a byte. libcjose asserts what is checked here: it would end the process. */
static bool is_base64(const char *text, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return size > 1 && size % 4 != 1 && strspn(text, letters) >= size;
}

/* ---- keys ---- */

/* The numbers of a key, as far as they are there. */
static bool numbers_ok(const pawl_value *v)
{
    static const char *const names[] = {"n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"};
    for (size_t i = 0; i < PW_COUNT(names); i++) {
        const char *text = pawl_str(v, names[i], "");
        if (pawl_get(v, names[i]) != NULL && !is_base64(text, strlen(text))) {
            return false;
        }
    }
    return true;
}

static bool is_good(const cjose_jwk_t *jwk)
{
    cjose_err err;
    const cjose_jwk_kty_t kty = cjose_jwk_get_kty(jwk, &err);
    return kty == CJOSE_JWK_KTY_EC ||
           (kty == CJOSE_JWK_KTY_RSA && cjose_jwk_get_keysize(jwk, &err) >= RSA_BITS_MIN);
}

/* Its numbers, each with its end. */
static void key_print(uint8_t ret[PW_DIGEST_SIZE], const pawl_value *v)
{
    static const char *const parts[] = {"kty", "crv", "n", "e", "x", "y"};
    PW_CLEANUP(pw_buf_deinit) pw_buf text = PW_BUF_INIT;
    pw_buf_init(&text, JWKS_BYTES_MAX);
    for (size_t i = 0; i < PW_COUNT(parts); i++) {
        pw_buf_puts(&text, pawl_str(v, parts[i], ""));
        pw_buf_putc(&text, '\n');
    }
    pw_sha256(ret, text.data, text.size);
}

static void key_add(pw_jwks *keys, pawl_scope *scope, const pawl_value *v)
{
    cjose_err err;
    struct key k = {.jwk = NULL};
    const char *kid = pawl_str(v, "kid", "");
    const char *alg = pawl_str(v, "alg", "");
    const bool kind = pawl_is(v, "kty", "RSA") || pawl_is(v, "kty", "EC");
    if (!kind || !numbers_ok(v) || strcmp(pawl_str(v, "use", "sig"), "sig") != 0 ||
        strlen(kid) >= sizeof k.kid || strlen(alg) >= sizeof k.alg || keys->len == KEYS_MAX) {
        return;
    }
    const char *json = pawl_to_json(scope, v, 0);
    k.jwk = json != NULL ? cjose_jwk_import(json, strlen(json), &err) : NULL;
    if (k.jwk == NULL || !is_good(k.jwk)) {
        cjose_jwk_release(k.jwk);
        return;
    }
    memcpy(k.kid, kid, strlen(kid) + 1);
    memcpy(k.alg, alg, strlen(alg) + 1);
    key_print(k.print, v);
    keys->list[keys->len++] = k;
}

pawl_status pw_jwks_read(const char *json, size_t size, pw_jwks **ret_keys, pawl_error *err)
{
    pawl_scope *scope = size <= JWKS_BYTES_MAX ? pawl_scope_new() : NULL;
    pw_jwks *keys = scope != NULL ? pw_calloc(1, sizeof *keys) : NULL;
    const pawl_value *v = NULL;
    if (keys == NULL) {
        pawl_scope_free(scope);
        return size > JWKS_BYTES_MAX ? pw_err(err, PAWL_LIMIT, "a key set has at most 256 KiB")
                                     : pw_err(err, PAWL_NOMEM, "no memory for keys");
    }
    pawl_status st = pawl_parse_json(scope, json, size, &v, err);
    const pawl_value *list = st == PAWL_OK ? pawl_get(v, "keys") : NULL;
    for (size_t i = 0; i < pawl_len(list); i++) {
        key_add(keys, scope, pawl_at(list, i));
    }
    pawl_scope_free(scope);
    if (keys->len == 0) {
        pw_jwks_free(keys);
        return pw_err(
            err, PAWL_INVALID,
            "a JWK set with a public key for signatures was expected: RSA of 2048 bits, or EC");
    }
    *ret_keys = keys;
    return PAWL_OK;
}

void pw_jwks_free(pw_jwks *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->len; i++) {
        cjose_jwk_release(keys->list[i].jwk);
    }
    pw_free(keys);
}

size_t pw_jwks_len(const pw_jwks *keys)
{
    return keys != NULL ? keys->len : 0;
}

bool pw_jwks_has(const pw_jwks *keys, const uint8_t print[PW_DIGEST_SIZE])
{
    for (size_t i = 0; keys != NULL && i < keys->len; i++) {
        if (memcmp(keys->list[i].print, print, PW_DIGEST_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the parts of a token ---- */

/* Three parts, and nothing else. */
static bool is_compact(const char *token)
{
    const char *at = token;
    for (int i = 0; i < 3; i++) {
        const size_t size = strcspn(at, ".");
        if (!is_base64(at, size) || at[size] != (i < 2 ? '.' : '\0')) {
            return false;
        }
        at += size + 1;
    }
    return strlen(token) <= PW_OAUTH_TOKEN_BYTES_MAX;
}

static const pawl_value *part(pawl_scope *scope, const char *at, size_t size)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    cjose_err err;
    pawl_error why;
    const pawl_value *v = NULL;
    if (size > 0 && cjose_base64url_decode(at, size, &bytes, &len, &err)) {
        if (pawl_parse_json(scope, (const char *)bytes, len, &v, &why) != PAWL_OK ||
            pawl_typeof(v) != PAWL_MAP) {
            v = NULL;
        }
        cjose_get_dealloc()(bytes);
    }
    return v;
}

const pw_issuer *pw_oauth_issuer(const pw_rights *rights, const char *token)
{
    const pw_issuer *found = NULL;
    pawl_scope *scope = is_compact(token) ? pawl_scope_new() : NULL;
    const char *payload = scope != NULL ? strchr(token, '.') + 1 : "";
    const pawl_value *claims = scope != NULL ? part(scope, payload, strcspn(payload, ".")) : NULL;
    const char *iss = pawl_str(claims, "iss", "");
    for (size_t i = 0; i < rights->issuers_len; i++) {
        found = strcmp(rights->issuers[i].issuer, iss) == 0 ? &rights->issuers[i] : found;
    }
    pawl_scope_free(scope);
    return found;
}

/* ---- the signature ---- */

/** A token under way. */
struct check {
    pawl_scope *scope;
    const pw_issuer *issuer;
    const pw_oauth_want *want;
    const char *why; /* the first thing that is wrong */
};

static bool wrong(struct check *c, const char *why)
{
    c->why = c->why != NULL ? c->why : why;
    return false;
}

static size_t algorithm_of(const char *alg)
{
    size_t i = 0;
    while (i < PW_COUNT(algorithms) && strcmp(algorithms[i].name, alg) != 0) {
        i++;
    }
    return i;
}

static bool header_ok(struct check *c, const pawl_value *header)
{
    static const char *const refused[] = {"crit", "jwk", "jku", "x5u", "b64"};
    const char *alg = pawl_str(header, "alg", "");
    const char *typ = pawl_str(header, "typ", NULL);
    const bool listed =
        c->issuer->algorithms.len == 0 || pw_names_match(&c->issuer->algorithms, alg);
    if (header == NULL || algorithm_of(alg) == PW_COUNT(algorithms) || !listed) {
        return wrong(c, "its algorithm is none of those that are taken");
    }
    for (size_t i = 0; i < PW_COUNT(refused); i++) {
        if (pawl_get(header, refused[i]) != NULL) {
            return wrong(c, "its header brings a key along, or wants what is not understood");
        }
    }
    const bool known = typ == NULL || strcmp(typ, "at+jwt") == 0 ||
                       strcmp(typ, "application/at+jwt") == 0 || strcmp(typ, "JWT") == 0;
    if (c->issuer->typ != NULL ? typ == NULL || strcmp(typ, c->issuer->typ) != 0 : !known) {
        return wrong(c, "it is of a type that is not taken");
    }
    return true;
}

static bool fits(const struct key *k, size_t algorithm)
{
    cjose_err err;
    const cjose_jwk_kty_t kty = cjose_jwk_get_kty(k->jwk, &err);
    return kty == algorithms[algorithm].kty &&
           (k->alg[0] == '\0' || strcmp(k->alg, algorithms[algorithm].name) == 0) &&
           (kty != CJOSE_JWK_KTY_EC ||
            cjose_jwk_EC_get_curve(k->jwk, &err) == algorithms[algorithm].curve);
}

/* By its kid; without one there must be one key only that fits. NULL: *ret_known says whether there is such a kid at all. */
static const struct key *key_find(const pw_jwks *keys, const char *kid, size_t algorithm,
                                  bool *ret_known)
{
    const struct key *found = NULL;
    size_t count = 0;
    *ret_known = false;
    for (size_t i = 0; keys != NULL && i < keys->len; i++) {
        const struct key *k = &keys->list[i];
        const bool named = kid == NULL || strcmp(k->kid, kid) == 0;
        *ret_known |= named;
        if (named && fits(k, algorithm)) {
            found = found == NULL ? k : found;
            count++;
        }
    }
    return kid != NULL || count == 1 ? found : NULL;
}

static bool signature_ok(struct check *c, const char *token, const char *alg, const struct key *k)
{
    cjose_err err;
    cjose_jws_t *jws = cjose_jws_import(token, strlen(token), &err);
    const char *same =
        jws != NULL ? cjose_header_get(cjose_jws_get_protected(jws), CJOSE_HDR_ALG, &err) : NULL;
    const bool ok = same != NULL && strcmp(same, alg) == 0 && cjose_jws_verify(jws, k->jwk, &err);
    cjose_jws_release(jws);
    return ok ? true : wrong(c, "its signature does not fit");
}

/* ---- claims ---- */

static bool names_us(const pawl_value *aud, const pw_issuer *issuer, const char *resource)
{
    const pw_names ours = issuer->audience.len > 0 ? issuer->audience : (pw_names){&resource, 1};
    const size_t len = pawl_typeof(aud) == PAWL_ARRAY ? pawl_len(aud) : 1;
    for (size_t i = 0; i < len; i++) {
        const char *one =
            pawl_str(pawl_typeof(aud) == PAWL_ARRAY ? pawl_at(aud, i) : aud, "", NULL);
        for (size_t k = 0; one != NULL && k < ours.len; k++) {
            if (strcmp(one, ours.list[k]) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Seconds, perhaps with a fraction; -1 = not there or no time. */
static int64_t time_of(const pawl_value *claims, const char *key)
{
    const pawl_value *v = pawl_get(claims, key);
    const double s = pawl_num(claims, key, -1);
    const bool number = pawl_typeof(v) == PAWL_INT || pawl_typeof(v) == PAWL_DOUBLE;
    return number && s >= 0 && s < 1e12 ? (int64_t)(s * 1000) : -1;
}

static bool times_ok(struct check *c, const pawl_value *claims, int64_t now_ms)
{
    const int64_t skew = c->issuer->skew_s * 1000;
    const int64_t exp = time_of(claims, "exp");
    const int64_t nbf = pawl_get(claims, "nbf") != NULL ? time_of(claims, "nbf") : 0;
    const int64_t iat = pawl_get(claims, "iat") != NULL ? time_of(claims, "iat") : 0;
    if (exp < 0 || nbf < 0 || iat < 0) {
        return wrong(c, "its exp is missing, or a time of it is none");
    }
    if (exp <= now_ms - skew) {
        return wrong(c, "it has expired");
    }
    return nbf <= now_ms + skew && iat <= now_ms + skew ? true : wrong(c, "it is not valid yet");
}

/* A text with a NUL in it is cut where C ends it: it is no name. */
static const char *name_in(const pawl_value *claims, const char *key)
{
    size_t size = 0;
    const char *text = pawl_str(claims, key, "");
    return text[0] == '\0' || (pawl_data(claims, key, &size) != NULL && strlen(text) == size)
               ? text
               : "\n";
}

static bool is_clean(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x21 || *p == 0x7f || *p == '"' || *p == '\\') {
            return false;
        }
    }
    return text[0] != '\0';
}

/* "a b", or ["a", "b"] as some servers say it. A scope with a space or a quote in it is none. */
static void put_scopes(const pawl_value *claims, char *ret, size_t size)
{
    const pawl_value *v = pawl_get(claims, "scope");
    v = v != NULL ? v : pawl_get(claims, "scp");
    size_t at = 0;
    ret[0] = '\0';
    if (pawl_typeof(v) == PAWL_STRING) {
        const char *text = pawl_str(v, "", "");
        (void)snprintf(ret, size, "%s", strlen(text) < size ? text : "");
        return;
    }
    for (size_t i = 0; i < pawl_len(v); i++) {
        const char *one = pawl_str(pawl_at(v, i), "", "");
        if (is_clean(one) && at + strlen(one) + 2 < size) {
            at += (size_t)snprintf(ret + at, size - at, "%s%s", at > 0 ? " " : "", one);
        }
    }
}

static bool claims_ok(struct check *c, const pawl_value *claims, pw_claims *ret)
{
    const char *sub = name_in(claims, "sub");
    const char *workspace =
        c->issuer->workspace_claim != NULL ? name_in(claims, c->issuer->workspace_claim) : "";
    if (!pawl_is(claims, "iss", c->issuer->issuer)) {
        return wrong(c, "it is of another issuer");
    }
    if (!names_us(pawl_get(claims, "aud"), c->issuer, c->want->resource)) {
        return wrong(c, "it is for another audience");
    }
    if (!times_ok(c, claims, c->want->now_ms)) {
        return false;
    }
    if (!is_clean(sub) || strlen(sub) >= sizeof ret->subject ||
        strlen(workspace) >= sizeof ret->workspace ||
        (workspace[0] != '\0' && !is_clean(workspace))) {
        return wrong(c, "its subject, or its workspace, is no name");
    }
    (void)snprintf(ret->subject, sizeof ret->subject, "%s", sub);
    (void)snprintf(ret->workspace, sizeof ret->workspace, "%s", workspace);
    put_scopes(claims, ret->scopes, sizeof ret->scopes);
    ret->expires_ms = time_of(claims, "exp") + c->issuer->skew_s * 1000;
    return true;
}

static pw_oauth_verdict verdict(struct check *c, const pw_jwks *keys, const char *token,
                                pw_claims *ret)
{
    bool known = false;
    if (!is_compact(token)) {
        (void)wrong(c, "it is no signed token");
        return PW_OAUTH_BAD;
    }
    const char *payload = strchr(token, '.') + 1;
    const pawl_value *header = part(c->scope, token, (size_t)(payload - token) - 1);
    const char *alg = pawl_str(header, "alg", "");
    const char *kid = pawl_str(header, "kid", NULL);
    if (!header_ok(c, header)) {
        return PW_OAUTH_BAD;
    }
    const struct key *k = key_find(keys, kid, algorithm_of(alg), &known);
    if (k == NULL) {
        (void)wrong(c, "no key of its issuer is the one that it names");
        return known ? PW_OAUTH_BAD : PW_OAUTH_NO_KEY;
    }
    memcpy(ret->key, k->print, sizeof ret->key);
    return signature_ok(c, token, alg, k) &&
                   claims_ok(c, part(c->scope, payload, strcspn(payload, ".")), ret)
               ? PW_OAUTH_OK
               : PW_OAUTH_BAD;
}

pw_oauth_verdict pw_oauth_check(const pw_jwks *keys, const pw_oauth_want *want, const char *token,
                                pw_claims *ret_claims, const char **ret_why)
{
    struct check c = {.scope = pawl_scope_new(), .issuer = want->issuer, .want = want};
    const pw_oauth_verdict v =
        c.scope != NULL ? verdict(&c, keys, token, ret_claims) : PW_OAUTH_BAD;
    *ret_why = c.why != NULL ? c.why : "no memory for it";
    pawl_scope_free(c.scope);
    return v;
}
