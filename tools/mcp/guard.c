/*
 * guard.c - rights, tokens and keys together, and a table of the tokens that were looked at, by their digest: a signature is checked once.
 *
 * Does not know HTTP but for the word Bearer, and does not know runs (gate.c).
 */
#include "tools/mcp/guard.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "engine/hash.h"
#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/clock.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"
#include "tools/mcp/refusals.h"
#include "tools/token.h"

#define KNOWN_MAX 4096
#define WELL_KNOWN "/.well-known/oauth-protected-resource"

/** A token that has been looked at. */
struct known {
    UT_hash_handle hh;
    uint8_t digest[PW_DIGEST_SIZE];
    pw_who *who;
};

struct pw_guard {
    uv_loop_t *loop;
    pw_guard_options options;
    pw_rights *rights;
    pw_token_grants *tokens; /* NULL = no file of them */
    pw_keys *keys;
    struct stat rights_stat, tokens_stat;
    struct known *known;
    uint8_t key[PW_KEY_SIZE]; /* of digests of tokens */
    pw_peers *peers;
    pw_refusals refusals;
    bool keys_came; /* since the last look: what was signed with one that is gone is over */
    pw_buf metadata, metadata_url, scopes;
};

static void say(const pw_guard *g, pawl_level level, const char *text)
{
    if (g->options.log != NULL) {
        g->options.log(g->options.user, level, text);
    }
}

static void on_log(void *user, pawl_level level, const char *text)
{
    say(user, level, text);
}

/* ---- what was looked at ---- */

static void known_drop(pw_guard *g, struct known *k)
{
    HASH_DEL(g->known, k);
    pw_who_release(k->who);
    pw_free(k);
}

static void known_clear(pw_guard *g)
{
    while (g->known != NULL) {
        known_drop(g, g->known);
    }
}

static void known_add(pw_guard *g, const uint8_t digest[PW_DIGEST_SIZE], pw_who *who)
{
    struct known *k = NULL;
    if (HASH_COUNT(g->known) >= KNOWN_MAX) {
        known_drop(g, g->known); /* the oldest */
    }
    k = pw_calloc(1, sizeof *k);
    if (k == NULL) {
        return;
    }
    memcpy(k->digest, digest, sizeof k->digest);
    HASH_ADD(hh, g->known, digest, sizeof k->digest, k);
    if (k->hh.tbl == NULL) {
        pw_free(k);
        return;
    }
    k->who = pw_who_share(who);
}

static bool is_over(const pw_who *who)
{
    return who->expires_ms != 0 && who->expires_ms <= pw_wall_ms();
}

/* The keys of an issuer have come: what was signed with one that is no longer there counts no more. */
static void on_keys(void *user)
{
    pw_guard *g = user;
    struct known *next = NULL;
    for (struct known *k = g->known; k != NULL; k = next) {
        next = k->hh.next;
        if (k->who->issuer != NULL &&
            pw_keys_have(g->keys, k->who->issuer, k->who->key) != PW_KEYS_THERE) {
            known_drop(g, k);
        }
    }
    g->keys_came = true;
    g->options.came(g->options.user);
}

/* ---- tokens of the file ---- */

static pw_who *who_of_grant(pw_guard *g, const pw_token_grant *grant)
{
    const size_t len = pawl_len(grant->roles);
    const char *names[PW_WHO_ROLES_MAX];
    pw_names roles = {names, 0};
    for (size_t i = 0; i < len && roles.len < PW_WHO_ROLES_MAX; i++) {
        names[roles.len++] = pawl_str(pawl_at(grant->roles, i), "", "");
    }
    pw_who *who = pw_who_new(g->rights, grant->principal, grant->workspace, &roles);
    if (who != NULL) {
        (void)snprintf(who->token_id, sizeof who->token_id, "%s", grant->id);
        who->expires_ms = grant->expires_ms;
    }
    return who;
}

/* ---- signed tokens ---- */

/* Every scope that it has, and what each gives. */
static void add_scopes(pw_who *who, const pw_issuer *issuer, const char *scopes)
{
    who->issuer = issuer;
    (void)snprintf(who->scopes, sizeof who->scopes, "%s", scopes);
    for (const char *at = scopes + strspn(scopes, " "); *at != '\0'; at += strspn(at, " ")) {
        const size_t size = strcspn(at, " ");
        for (size_t i = 0; i < issuer->scopes_len; i++) {
            const pw_scope_roles *s = &issuer->scopes[i];
            for (size_t k = 0;
                 strlen(s->scope) == size && memcmp(s->scope, at, size) == 0 && k < s->roles.len;
                 k++) {
                pw_who_add(who, s->roles.list[k]);
            }
        }
        at += size;
    }
}

static int64_t now_ms(const pw_guard *g)
{
    return (int64_t)uv_now(g->loop);
}

static pw_who *who_of_claims(pw_guard *g, const pw_issuer *issuer, const char *principal,
                             const char *workspace, const pw_claims *claims)
{
    pw_who *who = pw_who_new(g->rights, principal, workspace, NULL);
    if (who != NULL) {
        add_scopes(who, issuer, claims->scopes);
        who->expires_ms = claims->expires_ms;
        memcpy(who->key, claims->key, sizeof who->key);
    }
    return who;
}

static pw_guard_verdict look_at(pw_guard *g, const char *token, const pw_peer *peer,
                                pw_who **ret_who, const char **ret_why)
{
    const pw_issuer *issuer = pw_oauth_issuer(g->rights, token);
    pw_claims claims = {.expires_ms = 0};
    char principal[PW_PRINCIPAL_BYTES_MAX];
    char workspace[256] = "";
    bool wait = false;
    if (issuer == NULL) {
        *ret_why = "this one is not known here: mistyped, revoked, or of an issuer that is not "
                   "believed";
        return PW_GUARD_REFUSED;
    }
    if (!pw_peers_may(g->peers, peer, now_ms(g))) {
        return PW_GUARD_BUSY;
    }
    const pw_jwks *keys = pw_keys_of(g->keys, issuer, false, &wait);
    if (keys == NULL && wait) {
        return PW_GUARD_LATER;
    }
    const pw_oauth_want want = {issuer, pw_guard_resource(g), pw_wall_ms()};
    pw_oauth_verdict v = pw_oauth_check(keys, &want, token, &claims, ret_why);
    if (v == PW_OAUTH_NO_KEY) {
        (void)pw_keys_of(g->keys, issuer, true, &wait);
        if (wait) {
            return PW_GUARD_LATER;
        }
    }
    if (v != PW_OAUTH_OK) {
        pw_peers_bad(g->peers, peer, now_ms(g));
        return PW_GUARD_REFUSED;
    }
    (void)snprintf(principal, sizeof principal, "%s:%s", issuer->name, claims.subject);
    if (claims.workspace[0] != '\0') {
        (void)snprintf(workspace, sizeof workspace, "%s:%s", issuer->name, claims.workspace);
    }
    pw_peers_good(g->peers, peer);
    *ret_who = who_of_claims(g, issuer, principal, workspace, &claims);
    *ret_why = "its names are too long";
    return *ret_who != NULL ? PW_GUARD_PASSED : PW_GUARD_REFUSED;
}

/* ---- asking ---- */

/* What stands behind "Bearer "; NULL = another scheme, or none. */
static const char *bearer(const char *authorization)
{
    static const char word[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, word, sizeof word - 1) != 0) {
        return NULL;
    }
    authorization += sizeof word - 1;
    return authorization + strspn(authorization, " ");
}

static pw_guard_verdict ask_new(pw_guard *g, const char *token, const pw_peer *peer,
                                pw_who **ret_who, const char **ret_why)
{
    const pw_token_grant *grant =
        g->tokens != NULL ? pw_token_grant_of(g->tokens, PW_TOKEN_CLIENT, token) : NULL;
    if (grant == NULL) {
        return look_at(g, token, peer, ret_who, ret_why);
    }
    *ret_who = who_of_grant(g, grant);
    *ret_why = "its names are too long";
    return *ret_who != NULL ? PW_GUARD_PASSED : PW_GUARD_REFUSED;
}

static pw_guard_verdict ask(pw_guard *g, const char *authorization, const pw_peer *peer,
                            pw_who **ret_who, const char **ret_why)
{
    const char *token = bearer(authorization);
    uint8_t digest[PW_DIGEST_SIZE];
    struct known *k = NULL;
    pw_who *who = NULL;
    *ret_why = "";
    if (token == NULL || token[0] == '\0' || strlen(token) > PW_OAUTH_TOKEN_BYTES_MAX) {
        *ret_why = token == NULL ? "" : "it is empty, or too long";
        return PW_GUARD_REFUSED;
    }
    pw_blob_digest(digest, g->key, token, strlen(token));
    HASH_FIND(hh, g->known, digest, sizeof digest, k);
    if (k != NULL) {
        who = pw_who_share(k->who);
    } else {
        const pw_guard_verdict v = ask_new(g, token, peer, &who, ret_why);
        if (v != PW_GUARD_PASSED) {
            return v;
        }
        known_add(g, digest, who);
    }
    if (is_over(who)) {
        pw_who_release(who);
        *ret_why = "it has expired";
        return PW_GUARD_REFUSED;
    }
    *ret_who = who;
    return PW_GUARD_PASSED;
}

pw_guard_verdict pw_guard_ask(pw_guard *g, const char *authorization, const pw_peer *peer,
                              pw_who **ret_who, const char **ret_why)
{
    const pw_guard_verdict v = ask(g, authorization, peer, ret_who, ret_why);
    const char *why = v == PW_GUARD_BUSY ? "too many bad ones have come from there" : *ret_why;
    if ((v == PW_GUARD_REFUSED || v == PW_GUARD_BUSY) && why[0] != '\0') {
        pw_refusals_add(&g->refusals, peer, why, now_ms(g), on_log, g);
    }
    return v;
}

static const pw_issuer *issuer_like(const pw_rights *rights, const pw_issuer *was)
{
    for (size_t i = 0; i < rights->issuers_len; i++) {
        const pw_issuer *now = &rights->issuers[i];
        if (strcmp(now->name, was->name) == 0 && strcmp(now->issuer, was->issuer) == 0) {
            return now;
        }
    }
    return NULL;
}

/* [T23] As long as its issuer is believed, and the key that signed it is one of its. */
static pw_who *renew_signed(pw_guard *g, const pw_who *who)
{
    const pw_issuer *issuer = issuer_like(g->rights, who->issuer);
    pw_claims claims = {.expires_ms = who->expires_ms};
    if (issuer == NULL || pw_keys_have(g->keys, issuer, who->key) == PW_KEYS_GONE) {
        return NULL;
    }
    memcpy(claims.scopes, who->scopes, sizeof claims.scopes);
    memcpy(claims.key, who->key, sizeof claims.key);
    return who_of_claims(g, issuer, who->principal, who->workspace, &claims);
}

pw_who *pw_guard_renew(pw_guard *g, pw_who *who)
{
    pw_who *fresh = NULL;
    if (is_over(who)) {
        return NULL;
    }
    if (who->issuer == NULL) {
        const pw_token_grant *grant =
            g->tokens != NULL ? pw_token_grant_find(g->tokens, who->token_id) : NULL;
        const bool same = grant != NULL && grant->kind == PW_TOKEN_CLIENT &&
                          strcmp(grant->principal, who->principal) == 0;
        fresh = same ? who_of_grant(g, grant) : NULL;
    } else {
        fresh = renew_signed(g, who);
    }
    if (fresh != NULL && strcmp(fresh->owner, who->owner) != 0) {
        pw_who_release(fresh); /* it has moved to another workspace: it comes again as that */
        fresh = NULL;
    }
    return fresh;
}

/* ---- what clients are told ---- */

const pw_rights *pw_guard_rights(const pw_guard *g)
{
    return g->rights;
}

const char *pw_guard_resource(const pw_guard *g)
{
    return g->rights->resource != NULL ? g->rights->resource : g->options.resource;
}

static void put_json(pw_buf *out, const pawl_value *v, pawl_scope *scope)
{
    const char *json = pawl_to_json(scope, v, 0);
    pw_buf_reset(out);
    pw_buf_puts(out, json != NULL ? json : "{}");
}

static bool has_word(const char *words, const char *word)
{
    const size_t size = strlen(word);
    for (const char *at = words; at != NULL && *at != '\0'; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, word, size) == 0 && (at[size] == ' ' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

static void make_scopes(pw_guard *g)
{
    pw_buf_reset(&g->scopes);
    for (size_t i = 0; i < g->rights->issuers_len; i++) {
        const pw_issuer *issuer = &g->rights->issuers[i];
        for (size_t k = 0; k < issuer->scopes_len; k++) {
            if (!has_word(pw_buf_cstr(&g->scopes), issuer->scopes[k].scope)) {
                pw_buf_printf(&g->scopes, "%s%s", g->scopes.size > 0 ? " " : "",
                              issuer->scopes[k].scope);
            }
        }
    }
    (void)pw_buf_cstr(&g->scopes); /* with its end */
}

/* "https://host/mcp" is told about at "https://host/.well-known/oauth-protected-resource/mcp". */
static void make_metadata(pw_guard *g)
{
    pawl_scope *scope = pawl_scope_new();
    const char *resource = pw_guard_resource(g);
    const char *host = strstr(resource, "://");
    const size_t origin = host != NULL ? (size_t)(host + 3 - resource) + strcspn(host + 3, "/") : 0;
    const pawl_value *servers[64];
    const pawl_value *scopes[256];
    size_t servers_len = 0;
    size_t scopes_len = 0;
    make_scopes(g);
    for (size_t i = 0; i < g->rights->issuers_len; i++) {
        servers[servers_len++] = pawl_make_str(scope, g->rights->issuers[i].issuer);
    }
    for (const char *at = pw_guard_scopes(g); *at != '\0' && scopes_len < PW_COUNT(scopes);) {
        const size_t size = strcspn(at, " ");
        scopes[scopes_len++] = pawl_make_strn(scope, at, size);
        at += size + (at[size] == ' ');
    }
    const pawl_value *v =
        pawl_build(scope,
                   "{resource: %s, authorization_servers: %p, scopes_supported: %p, "
                   "bearer_methods_supported: [\"header\"], resource_name: \"pawl workflows\"}",
                   resource, pawl_v(pawl_make_array(scope, servers, servers_len)),
                   pawl_v(pawl_make_array(scope, scopes, scopes_len)));
    put_json(&g->metadata, v, scope);
    pw_buf_reset(&g->metadata_url);
    pw_buf_printf(&g->metadata_url, "%.*s" WELL_KNOWN "%s", (int)origin, resource,
                  resource + origin);
    (void)pw_buf_cstr(&g->metadata_url);
    pawl_scope_free(scope);
}

const char *pw_guard_metadata(pw_guard *g)
{
    return g->rights->issuers_len > 0 ? pw_buf_cstr(&g->metadata) : NULL;
}

const char *pw_guard_metadata_url(const pw_guard *g)
{
    return g->rights->issuers_len > 0 ? (const char *)g->metadata_url.data : NULL;
}

const char *pw_guard_scopes(const pw_guard *g)
{
    return g->scopes.size > 0 ? (const char *)g->scopes.data : "";
}

/* ---- files ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* True: it has changed since, and *was is how it is now. */
static bool changed(const char *path, struct stat *was)
{
    struct stat now;
    if (path == NULL || stat(path, &now) != 0 || same_file(&now, was)) {
        return false;
    }
    *was = now;
    return true;
}

/* Without its file no token counts; one that could not be looked at just now is looked at again. */
static bool tokens_gone(pw_guard *g)
{
    struct stat now;
    if (g->tokens == NULL || stat(g->options.tokens_file, &now) == 0 || errno != ENOENT) {
        return false;
    }
    pw_token_grants_free(g->tokens);
    g->tokens = NULL;
    g->tokens_stat = (struct stat){.st_size = -1};
    say(g, PAWL_ERROR, "the file of tokens is gone, so none of them counts");
    return true;
}

static pawl_status rights_take(pw_guard *g, pawl_error *err)
{
    pw_rights *rights = NULL;
    pw_keys *keys = NULL;
    const pw_keys_options options = {
        .user = g, .came = on_keys, .log = on_log, .ca_file = g->options.ca_file};
    pawl_status st = pw_rights_read(g->options.rights_file, &rights, err);
    st = st == PAWL_OK ? pw_keys_open(g->loop, rights, &options, &keys, err) : st;
    if (st != PAWL_OK) {
        pw_rights_release(rights);
        return st;
    }
    pw_keys_close(g->keys);
    pw_rights_release(g->rights);
    g->keys = keys;
    g->rights = rights;
    make_metadata(g);
    return PAWL_OK;
}

static pawl_status tokens_take(pw_guard *g, pawl_error *err)
{
    pw_token_grants *tokens = NULL;
    const pawl_status st = pw_token_grants_read(g->options.tokens_file, &tokens, err);
    if (st == PAWL_OK) {
        pw_token_grants_free(g->tokens);
        g->tokens = tokens;
    }
    return st;
}

/* What is wrong with a file is said once; what only could not be read now is read again at the next look. */
static void taken(pw_guard *g, pawl_status status, const pawl_error *err, struct stat *seen)
{
    char text[500];
    if (status == PAWL_OK) {
        return;
    }
    if (status == PAWL_NOMEM || status == PAWL_IO) {
        *seen = (struct stat){.st_size = -1};
    }
    (void)snprintf(text, sizeof text, "what was allowed before stays as it was: %s", err->message);
    say(g, PAWL_ERROR, text);
}

/* [T23] Each file counts by itself: a token that is taken out is out, whatever is wrong with the rights. */
bool pw_guard_look(pw_guard *g)
{
    pawl_error err = {0};
    const bool rights = changed(g->options.rights_file, &g->rights_stat);
    const bool gone = tokens_gone(g);
    const bool tokens = changed(g->options.tokens_file, &g->tokens_stat) || gone;
    if (rights) {
        taken(g, rights_take(g, &err), &err, &g->rights_stat);
    }
    if (tokens && !gone) {
        taken(g, tokens_take(g, &err), &err, &g->tokens_stat);
    }
    /* Before keys may come: who is known names issuers of the rights before. */
    if (rights || tokens) {
        known_clear(g);
    }
    if (g->keys != NULL) {
        pw_keys_look(g->keys);
    }
    const bool keys = g->keys_came;
    g->keys_came = false;
    pw_refusals_look(&g->refusals, now_ms(g), on_log, g);
    if (rights) {
        g->options.came(
            g->options.user); /* who waited for keys waits for others now, or for none */
    }
    return rights || tokens || keys;
}

/* ---- life ---- */

pawl_status pw_guard_open(uv_loop_t *loop, const pw_guard_options *options, pw_guard **ret_guard,
                          pawl_error *err)
{
    pw_guard *g = pw_calloc(1, sizeof *g);
    if (g == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for rights");
    }
    *g = (pw_guard){.loop = loop, .options = *options, .peers = pw_peers_new()};
    pw_buf_init(&g->metadata, 1u << 20);
    pw_buf_init(&g->metadata_url, 4096);
    pw_buf_init(&g->scopes, 64u << 10);
    pw_random(g->key, sizeof g->key);
    (void)changed(options->rights_file, &g->rights_stat);
    (void)changed(options->tokens_file, &g->tokens_stat);
    pawl_status st =
        g->peers != NULL ? rights_take(g, err) : pw_err(err, PAWL_NOMEM, "no memory for rights");
    st = st == PAWL_OK && options->tokens_file != NULL ? tokens_take(g, err) : st;
    if (st != PAWL_OK) {
        pw_guard_close(g);
        return st;
    }
    *ret_guard = g;
    return PAWL_OK;
}

void pw_guard_close(pw_guard *g)
{
    if (g == NULL) {
        return;
    }
    known_clear(g);
    pw_peers_free(g->peers);
    pw_keys_close(g->keys);
    pw_token_grants_free(g->tokens);
    pw_rights_release(g->rights);
    pw_buf_deinit(&g->metadata);
    pw_buf_deinit(&g->metadata_url);
    pw_buf_deinit(&g->scopes);
    pw_free(g);
}
