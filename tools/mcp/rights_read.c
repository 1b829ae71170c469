/*
 * rights_read.c - a rights file into roles, issuers and limits. Strict: a key that is not known is a mistake in what protects, and is named.
 *
 * Everything stays in the scope of the rights. Does not fetch keys (keys.h) and does not know tokens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "sdk/base/mem.h"
#include "tools/mcp/keys_find.h"
#include "tools/mcp/rights.h"

#define FILE_BYTES_MAX (1u << 20)
#define ISSUERS_MAX 16
#define SCOPE_BYTES_MAX 128
#define SKEW_S_DEFAULT 60
#define SKEW_S_MAX 300
#define RATE_DEFAULT 100
#define BURST_DEFAULT 200
#define CONCURRENT_DEFAULT 256
#define HELD_BYTES_DEFAULT (INT64_C(256) << 20)
#define HEAD_S_DEFAULT 30
#define BODY_S_DEFAULT 60

#define O(name) (1u << PW_OP_##name)
static const pw_role built_in[] = {
#define X(role, bits, every, text) \
    {.name = role, .operations = bits, .any = true, .all_runs = every},
#include "tools/mcp/roles.def"
#undef X
};

static const char *const operation_names[] = {
#define X(name, text, help) text,
#include "tools/mcp/operations.def"
#undef X
};

/** What is being read: the first thing that is wrong stays in err. */
struct reading {
    pw_rights *rights;
    pw_role *roles;
    pw_issuer *issuers;
    pawl_status status;
    pawl_error *err;
};

static void wrong(struct reading *r, const char *where, const char *what)
{
    if (r->status == PAWL_OK) {
        r->status = pw_err(r->err, PAWL_INVALID, "%.120s %.160s", where, what);
    }
}

static void only_keys(struct reading *r, const pawl_value *map, const char *where,
                      const char *const *known)
{
    if (pawl_typeof(map) != PAWL_MAP) {
        wrong(r, where, "is no object");
        return;
    }
    for (size_t i = 0; i < pawl_len(map); i++) {
        const char *key = pawl_key_at(map, i);
        size_t k = 0;
        while (known[k] != NULL && strcmp(known[k], key) != 0) {
            k++;
        }
        if (known[k] == NULL) {
            const char *all = known[0];
            for (k = 1; known[k] != NULL; k++) {
                all = pw_sprintf(r->rights->scope, "%s, %s", all, known[k]);
            }
            wrong(r, where,
                  pw_sprintf(r->rights->scope, "may not have \"%.60s\", only %s", key, all));
        }
    }
}

static const char *text_of(struct reading *r, const pawl_value *map, const char *key,
                           const char *where)
{
    const pawl_value *v = pawl_get(map, key);
    if (v != NULL && (pawl_typeof(v) != PAWL_STRING || pawl_str(v, "", "")[0] == '\0')) {
        wrong(r, where, pw_sprintf(r->rights->scope, "\"%s\" is a text", key));
    }
    return pawl_str(v, "", NULL);
}

static pw_names texts_in(struct reading *r, const pawl_value *v, const char *key, const char *where)
{
    const size_t len = pawl_len(v);
    const char **list = pw_alloc(r->rights->scope, (len + 1) * sizeof *list);
    bool ok = v == NULL || pawl_typeof(v) == PAWL_ARRAY;
    for (size_t i = 0; ok && list != NULL && i < len; i++) {
        list[i] = pawl_str(pawl_at(v, i), "", NULL);
        ok = list[i] != NULL;
    }
    if (!ok) {
        wrong(r, where, pw_sprintf(r->rights->scope, "\"%s\" is a list of texts", key));
    }
    return (pw_names){list, ok && list != NULL ? len : 0};
}

static pw_names texts_of(struct reading *r, const pawl_value *map, const char *key,
                         const char *where)
{
    return texts_in(r, pawl_get(map, key), key, where);
}

/* ---- roles ---- */

static unsigned operations_of(struct reading *r, pw_names list, const char *where)
{
    unsigned bits = 0;
    for (size_t i = 0; i < list.len; i++) {
        const char *name = list.list[i];
        size_t op = 0;
        while (op < PW_COUNT(operation_names) && strcmp(operation_names[op], name) != 0) {
            op++;
        }
        if (op == PW_COUNT(operation_names)) {
            wrong(
                r, where,
                pw_sprintf(
                    r->rights->scope,
                    "there is no operation \"%.40s\": list, call, read, answer and cancel are all",
                    name));
        } else {
            bits |= 1u << op;
        }
    }
    return bits;
}

static void read_role(struct reading *r, const char *name, const pawl_value *v)
{
    static const char *const known[] = {"operations", "tools", "workflows", "runs", NULL};
    pawl_error err;
    const char *where = pw_sprintf(r->rights->scope, "the role \"%.80s\":", name);
    const char *runs = pawl_str(v, "runs", "own");
    if (pw_name_check(name, strlen(name), &err) != PAWL_OK) {
        wrong(r, where, err.message);
    }
    if (pw_rights_role(r->rights, name) != NULL) {
        wrong(r, where, "there is one of that name always; choose another");
    }
    only_keys(r, v, where, known);
    if (strcmp(runs, "own") != 0 && strcmp(runs, "all") != 0) {
        wrong(r, where, "\"runs\" is \"own\" or \"all\"");
    }
    r->roles[r->rights->roles_len] = (pw_role){
        .name = name,
        .operations = operations_of(r, texts_of(r, v, "operations", where), where),
        .tools = texts_of(r, v, "tools", where),
        .workflows = texts_of(r, v, "workflows", where),
        .all_runs = strcmp(runs, "all") == 0,
    };
    r->rights->roles_len++;
}

static void read_roles(struct reading *r, const pawl_value *map)
{
    const size_t len = pawl_len(map) + PW_COUNT(built_in);
    r->roles = pw_alloc(r->rights->scope, len * sizeof *r->roles);
    if (r->roles == NULL) {
        return;
    }
    memcpy(r->roles, built_in, sizeof built_in);
    r->rights->roles = r->roles;
    r->rights->roles_len = PW_COUNT(built_in);
    if (map != NULL && pawl_typeof(map) != PAWL_MAP) {
        wrong(r, "\"roles\"", "is an object: a name, and what the role allows");
        return;
    }
    for (size_t i = 0; i < pawl_len(map); i++) {
        read_role(r, pawl_key_at(map, i), pawl_at(map, i));
    }
}

static pw_names roles_in(struct reading *r, const pawl_value *v, const char *where)
{
    const pw_names roles = texts_in(r, v, "roles", where);
    for (size_t i = 0; i < roles.len; i++) {
        if (pw_rights_role(r->rights, roles.list[i]) == NULL) {
            wrong(r, where,
                  pw_sprintf(r->rights->scope, "there is no role \"%.80s\"", roles.list[i]));
        }
    }
    return roles;
}

/* ---- principals ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const pw_principal *)a)->name, ((const pw_principal *)b)->name);
}

static void read_principals(struct reading *r, const pawl_value *map)
{
    static const char *const known[] = {"roles", "workspace", NULL};
    if (map != NULL && pawl_typeof(map) != PAWL_MAP) {
        wrong(r, "\"principals\"", "is an object: a name, and what is given to it");
        return;
    }
    const size_t len = pawl_len(map);
    pw_principal *list = pw_alloc(r->rights->scope, (len + 1) * sizeof *list);
    for (size_t i = 0; list != NULL && i < len; i++) {
        const pawl_value *v = pawl_at(map, i);
        const char *name = pawl_key_at(map, i);
        const char *where = pw_sprintf(r->rights->scope, "the principal \"%.80s\":", name);
        only_keys(r, v, where, known);
        const char *workspace = text_of(r, v, "workspace", where);
        list[i] = (pw_principal){.name = name,
                                 .workspace = workspace != NULL ? workspace : "",
                                 .roles = roles_in(r, pawl_get(v, "roles"), where)};
    }
    if (list != NULL && len > 0) {
        qsort(list, len, sizeof *list, by_name);
    }
    r->rights->principals = list;
    r->rights->principals_len = list != NULL ? len : 0;
}

/* ---- issuers ---- */

static void read_scopes(struct reading *r, const pawl_value *map, const char *where,
                        pw_issuer *issuer)
{
    const size_t len = pawl_len(map);
    pw_scope_roles *list = pw_alloc(r->rights->scope, (len + 1) * sizeof *list);
    if (map != NULL && pawl_typeof(map) != PAWL_MAP) {
        wrong(r, where, "\"scopes\" is an object: a scope, and the roles that it gives");
        return;
    }
    for (size_t i = 0; list != NULL && i < len; i++) {
        const char *key = pawl_key_at(map, i);
        if (key[0] == '\0' || strlen(key) > SCOPE_BYTES_MAX ||
            strpbrk(key, " \"\\\t\r\n") != NULL) {
            wrong(r, where, "a scope is a word without quotes");
        }
        list[i] = (pw_scope_roles){key, roles_in(r, pawl_at(map, i), where)};
    }
    issuer->scopes = list;
    issuer->scopes_len = list != NULL ? len : 0;
}

static pw_names audience_of(struct reading *r, const pawl_value *v, const char *where)
{
    const pawl_value *given = pawl_get(v, "audience");
    if (pawl_typeof(given) == PAWL_STRING) {
        given = pawl_make_array(r->rights->scope, &given, 1);
    }
    return texts_in(r, given, "audience", where);
}

static void read_issuer(struct reading *r, const pawl_value *v)
{
    static const char *const known[] = {
        "name",       "issuer", "jwks_uri", "jwks_file",       "jwks_address", "audience",
        "algorithms", "scopes", "typ",      "workspace_claim", "skew_s",       NULL};
    const char *name = pawl_str(v, "name", "");
    const char *where = pw_sprintf(r->rights->scope, "the issuer \"%.80s\":", name);
    pawl_error err;
    only_keys(r, v, where, known);
    pw_issuer i = {.name = text_of(r, v, "name", where),
                   .issuer = text_of(r, v, "issuer", where),
                   .jwks_uri = text_of(r, v, "jwks_uri", where),
                   .jwks_file = text_of(r, v, "jwks_file", where),
                   .jwks_address = text_of(r, v, "jwks_address", where),
                   .audience = audience_of(r, v, where),
                   .algorithms = texts_of(r, v, "algorithms", where),
                   .workspace_claim = text_of(r, v, "workspace_claim", where),
                   .typ = text_of(r, v, "typ", where),
                   .skew_s = pawl_int(v, "skew_s", SKEW_S_DEFAULT)};
    if (pw_name_check(name, strlen(name), &err) != PAWL_OK || strchr(name, ':') != NULL) {
        wrong(r, where, "\"name\" is a word without a colon: it stands before the subject");
    }
    if (i.issuer == NULL || (i.jwks_uri != NULL && i.jwks_file != NULL)) {
        wrong(r, where, "needs \"issuer\", and has \"jwks_uri\" or \"jwks_file\", or neither");
    } else if (i.jwks_uri == NULL && i.jwks_file == NULL && !pw_keys_findable(i.issuer)) {
        wrong(r, where,
              "has no \"jwks_uri\", and its keys can only be found when \"issuer\" is an https URL "
              "without query and fragment");
    }
    if (i.jwks_uri != NULL && !pw_keys_uri_is_safe(i.jwks_uri)) {
        wrong(r, where,
              "\"jwks_uri\" is https: keys that anybody on the way can change prove nothing");
    }
    if (i.skew_s < 0 || i.skew_s > SKEW_S_MAX) {
        wrong(r, where, "\"skew_s\" is 0 to 300");
    }
    read_scopes(r, pawl_get(v, "scopes"), where, &i);
    for (size_t k = 0; k < r->rights->issuers_len; k++) {
        if (r->status == PAWL_OK && (strcmp(r->issuers[k].name, name) == 0 ||
                                     strcmp(r->issuers[k].issuer, i.issuer) == 0)) {
            wrong(r, where, "is there twice");
        }
    }
    r->issuers[r->rights->issuers_len++] = i;
}

static void read_issuers(struct reading *r, const pawl_value *list)
{
    const size_t len = pawl_len(list);
    if (list != NULL && (pawl_typeof(list) != PAWL_ARRAY || len > ISSUERS_MAX)) {
        wrong(r, "\"issuers\"", "is a list of at most 16");
        return;
    }
    r->issuers = pw_alloc(r->rights->scope, (len + 1) * sizeof *r->issuers);
    r->rights->issuers = r->issuers;
    for (size_t i = 0; r->issuers != NULL && i < len; i++) {
        read_issuer(r, pawl_at(list, i));
    }
}

/* ---- proxies ---- */

static void read_proxies(struct reading *r, const pawl_value *v)
{
    const pw_names list = texts_in(r, v, "proxies", "the file:");
    pw_peer_range *ranges = pw_alloc(r->rights->scope, (list.len + 1) * sizeof *ranges);
    for (size_t i = 0; ranges != NULL && i < list.len; i++) {
        if (!pw_peer_range_parse(list.list[i], &ranges[i])) {
            wrong(r, "\"proxies\":", "are addresses: 10.0.0.7, or 10.0.0.0/8");
            return;
        }
    }
    r->rights->proxies = (pw_peer_ranges){ranges, ranges != NULL ? list.len : 0};
}

/* ---- the file ---- */

static void read_limits(struct reading *r, const pawl_value *v)
{
    static const char *const known[] = {"rate",   "burst",  "concurrent", "held_bytes",
                                        "head_s", "body_s", NULL};
    pw_rights *rights = r->rights;
    if (v != NULL) {
        only_keys(r, v, "\"limits\"", known);
    }
    rights->rate = pawl_num(v, "rate", RATE_DEFAULT);
    rights->burst =
        pawl_num(v, "burst",
                 rights->rate > 0 && v != NULL && pawl_get(v, "rate") != NULL ? 2 * rights->rate
                                                                              : BURST_DEFAULT);
    rights->concurrent = pawl_int(v, "concurrent", CONCURRENT_DEFAULT);
    rights->held_bytes = pawl_int(v, "held_bytes", HELD_BYTES_DEFAULT);
    rights->head_s = pawl_int(v, "head_s", HEAD_S_DEFAULT);
    rights->body_s = pawl_int(v, "body_s", BODY_S_DEFAULT);
    if (rights->held_bytes < 1 || rights->head_s < 1 || rights->body_s < 1) {
        wrong(r, "\"limits\":", "\"held_bytes\", \"head_s\" and \"body_s\" are at least 1");
    }
    if (rights->rate < 0 || rights->concurrent < 0 || (rights->rate > 0 && rights->burst < 1)) {
        wrong(r, "\"limits\"", "are not below 0, and \"burst\" is at least 1");
    }
}

static pawl_status file_text(const char *path, pawl_scope *scope, const char **ret_text,
                             size_t *ret_size, pawl_error *err)
{
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? pw_alloc(scope, FILE_BYTES_MAX + 1) : NULL;
    if (f == NULL) {
        return pw_err(err, errno == ENOENT ? PAWL_NOTFOUND : PAWL_IO, "rights %.180s: %s", path,
                      strerror(errno));
    }
    const size_t size = text != NULL ? fread(text, 1, FILE_BYTES_MAX + 1, f) : 0;
    const bool bad = ferror(f) != 0;
    (void)fclose(f);
    if (text == NULL || bad || size > FILE_BYTES_MAX) {
        return pw_err(err,
                      text == NULL ? PAWL_NOMEM
                      : bad        ? PAWL_IO
                                   : PAWL_LIMIT,
                      "rights %.180s: cannot be read, or more than 1 MiB", path);
    }
    *ret_text = text;
    *ret_size = size;
    return PAWL_OK;
}

static pawl_status read_value(struct reading *r, const char *path)
{
    static const char *const known[] = {"resource", "roles",   "principals", "issuers",
                                        "limits",   "proxies", NULL};
    const pawl_value *v = NULL;
    const char *text = "{}";
    size_t size = 2;
    pawl_status st =
        path != NULL ? file_text(path, r->rights->scope, &text, &size, r->err) : PAWL_OK;
    st = st == PAWL_OK ? pawl_parse_json(r->rights->scope, text, size, &v, r->err) : st;
    if (st != PAWL_OK) {
        return st;
    }
    only_keys(r, v, "the file", known);
    r->rights->resource = text_of(r, v, "resource", "the file:");
    if (r->rights->resource != NULL && !pw_keys_uri_is_safe(r->rights->resource)) {
        wrong(r, "the file:", "\"resource\" is the URL of the server as clients know it, https");
    }
    read_roles(r, pawl_get(v, "roles"));
    read_principals(r, pawl_get(v, "principals"));
    read_issuers(r, pawl_get(v, "issuers"));
    read_limits(r, pawl_get(v, "limits"));
    read_proxies(r, pawl_get(v, "proxies"));
    return pw_scope_failed(r->rights->scope)
               ? pw_err(r->err, PAWL_NOMEM, "no memory for the rights")
               : r->status;
}

pawl_status pw_rights_read(const char *path, pw_rights **ret_rights, pawl_error *err)
{
    pw_rights *rights = pw_calloc(1, sizeof *rights);
    pawl_scope *scope = rights != NULL ? pawl_scope_new() : NULL;
    if (scope == NULL) {
        pw_free(rights);
        return pw_err(err, PAWL_NOMEM, "no memory for the rights");
    }
    rights->refs = 1;
    rights->scope = scope;
    struct reading r = {.rights = rights, .err = err};
    pawl_status st = read_value(&r, path);
    if (st != PAWL_OK) {
        pw_rights_release(rights);
        return path != NULL && (st == PAWL_INVALID || st == PAWL_PARSE)
                   ? pw_error_wrap(err, st, "%.100s", path)
                   : st;
    }
    *ret_rights = rights;
    return PAWL_OK;
}
