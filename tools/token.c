/*
 * token.c - the file of tokens: reading, checking, adding and taking out lines.
 *
 * The file is small and is read and written whole: a new one is written beside it and renamed over it. Two commands that change it at
 * once hold a lock on the file beside it in turn. Does not know
 * wires: relay*.c and mcp/guard.c do.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tools/token.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/buf.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

#define PREFIX_LEN 12 /* of each */
#define SECRET_BYTES 32
#define ID_BYTES (PW_TOKEN_ID_HEX / 2)
#define TOKEN_LEN (PREFIX_LEN + PW_TOKEN_ID_HEX + 1 + 2 * SECRET_BYTES)

static const struct {
    const char *prefix, *name;
    uint8_t key[PW_KEY_SIZE];
} kinds[] = {
    [PW_TOKEN_WORKER] = {"pawl-worker-", "worker", "pawl: tokens of remote workers"},
    [PW_TOKEN_CLIENT] = {"pawl-client-", "client", "pawl: tokens of MCP clients"},
};

static void token_hash(uint8_t ret[PW_DIGEST_SIZE], pw_token_kind kind, const char *token)
{
    pw_blob_digest(ret, kinds[kind].key, token, strlen(token));
}

/* ---- reading ---- */

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hash_read(uint8_t ret[PW_DIGEST_SIZE], const char *hex)
{
    if (strlen(hex) != 2 * (size_t)PW_DIGEST_SIZE) {
        return false;
    }
    for (size_t i = 0; i < PW_DIGEST_SIZE; i++) {
        int high = nibble(hex[2 * i]);
        int low = nibble(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool names_ok(const pawl_value *list)
{
    bool ok = list == NULL || pawl_typeof(list) == PAWL_ARRAY;
    for (size_t i = 0; ok && i < pawl_len(list); i++) {
        ok = pawl_typeof(pawl_at(list, i)) == PAWL_STRING;
    }
    return ok;
}

static bool grant_read(const pawl_value *v, pw_token_grant *ret_grant)
{
    pw_token_grant g = {.id = pawl_str(v, "id", ""),
                        .name = pawl_str(v, "name", ""),
                        .created_ms = pawl_int(v, "created_ms", 0),
                        .queues = pawl_get(v, "queues"),
                        .expires_ms = pawl_int(v, "expires_ms", 0),
                        .activities = pawl_get(v, "activities"),
                        .principal = pawl_str(v, "principal", ""),
                        .workspace = pawl_str(v, "workspace", ""),
                        .roles = pawl_get(v, "roles")};
    const char *kind = pawl_str(v, "kind", kinds[PW_TOKEN_WORKER].name);
    g.kind = strcmp(kind, kinds[PW_TOKEN_CLIENT].name) == 0 ? PW_TOKEN_CLIENT : PW_TOKEN_WORKER;
    if (strlen(g.id) != PW_TOKEN_ID_HEX || !hash_read(g.hash, pawl_str(v, "hash", "")) ||
        strcmp(kind, kinds[g.kind].name) != 0 || !names_ok(g.queues) || !names_ok(g.activities) ||
        !names_ok(g.roles) || (g.kind == PW_TOKEN_CLIENT && g.principal[0] == '\0')) {
        return false;
    }
    *ret_grant = g;
    return true;
}

static pawl_status file_read(const char *path, pawl_scope *scope, const char **ret_text,
                             size_t *ret_size, pawl_error *err)
{
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? pawl_scope_alloc(scope, PW_TOKENS_BYTES_MAX + 1) : NULL;
    if (f == NULL) {
        return errno == ENOENT
                   ? pw_err(err, PAWL_NOTFOUND,
                            "there is no %.150s: the first `pawl token NAME` makes it", path)
                   : pw_err(err, PAWL_IO, "tokens %.180s: %s", path, strerror(errno));
    }
    size_t size = text != NULL ? fread(text, 1, PW_TOKENS_BYTES_MAX + 1, f) : 0;
    bool bad = ferror(f) != 0;
    (void)fclose(f);
    if (text == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for the tokens");
    }
    if (bad || size > PW_TOKENS_BYTES_MAX) {
        return pw_err(err, bad ? PAWL_IO : PAWL_LIMIT, "tokens %.150s: %s", path,
                      bad ? "cannot be read" : "more than 1 MiB");
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = size;
    return PAWL_OK;
}

static pawl_status lines_read(pw_token_grants *g, const char *text, const char *path,
                              pawl_error *err)
{
    pawl_status st = PAWL_OK;
    int number = 1;
    for (const char *at = text; st == PAWL_OK && *at != '\0'; number++) {
        size_t size = strcspn(at, "\n");
        const pawl_value *v = NULL;
        if (size > 0) {
            st = pawl_parse_json(g->scope, at, size, &v, err);
            if (st != PAWL_OK || !grant_read(v, &g->list[g->len++])) {
                st = pw_err(err, PAWL_INVALID, "tokens %.150s, line %d is none", path, number);
            }
        }
        at += size + (at[size] == '\n');
    }
    return st;
}

pawl_status pw_token_grants_read(const char *path, pw_token_grants **ret_grants, pawl_error *err)
{
    pw_token_grants *g = pw_calloc(1, sizeof *g);
    pawl_scope *scope = g != NULL ? pawl_scope_new() : NULL;
    const char *text = NULL;
    size_t size = 0;
    size_t lines = 1;
    if (scope == NULL) {
        pw_free(g);
        return pw_err(err, PAWL_NOMEM, "no memory for the tokens");
    }
    g->scope = scope;
    pawl_status st = file_read(path, scope, &text, &size, err);
    for (size_t i = 0; st == PAWL_OK && i < size; i++) {
        lines += text[i] == '\n';
    }
    g->list = st == PAWL_OK ? pawl_scope_alloc(scope, lines * sizeof *g->list) : NULL;
    st = st == PAWL_OK && g->list != NULL ? lines_read(g, text, path, err) : st;
    if (st == PAWL_OK && pw_scope_failed(scope)) {
        st = pw_err(err, PAWL_NOMEM, "no memory for the tokens");
    }
    if (st != PAWL_OK) {
        pw_token_grants_free(g);
        return st;
    }
    *ret_grants = g;
    return PAWL_OK;
}

void pw_token_grants_free(pw_token_grants *g)
{
    if (g != NULL) {
        pawl_scope_free(g->scope);
        pw_free(g);
    }
}

/* ---- checking ---- */

const pw_token_grant *pw_token_grant_find(const pw_token_grants *g, const char *id)
{
    for (size_t i = 0; i < g->len; i++) {
        if (strcmp(g->list[i].id, id) == 0) {
            return &g->list[i];
        }
    }
    return NULL;
}

/* Takes the same time wherever they differ. */
static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    unsigned differs = 0;
    for (size_t i = 0; i < PW_DIGEST_SIZE; i++) {
        differs |= (unsigned)a[i] ^ (unsigned)b[i];
    }
    return differs == 0;
}

const pw_token_grant *pw_token_grant_of(const pw_token_grants *g, pw_token_kind kind,
                                        const char *token)
{
    char id[PW_TOKEN_ID_HEX + 1];
    uint8_t hash[PW_DIGEST_SIZE];
    if (strlen(token) != TOKEN_LEN || memcmp(token, kinds[kind].prefix, PREFIX_LEN) != 0) {
        return NULL;
    }
    memcpy(id, token + PREFIX_LEN, PW_TOKEN_ID_HEX);
    id[PW_TOKEN_ID_HEX] = '\0';
    token_hash(hash, kind, token);
    const pw_token_grant *grant = pw_token_grant_find(g, id);
    return grant != NULL && grant->kind == kind && hash_equal(grant->hash, hash) ? grant : NULL;
}

bool pw_token_listed(const pawl_value *list, const char *name)
{
    const pw_view bytes = pw_value_bytes(list);
    const size_t size = strlen(name);
    pw_mp r = pw_mp_reader(bytes.data, bytes.size);
    const size_t len = pw_mp_peek(&r) == PAWL_ARRAY ? pw_mp_read_array(&r) : 0;
    for (size_t i = 0; i < len && pw_mp_ok(&r);
         i++) { /* asked often: takes no memory of the scope */
        const pw_view rule = pw_mp_read_str(&r);
        const bool rest = rule.size > 0 && rule.data[rule.size - 1] == '*';
        const size_t head = rest ? rule.size - 1 : rule.size;
        if ((rest ? size >= head : size == head) && memcmp(rule.data, name, head) == 0) {
            return true;
        }
    }
    return false;
}

bool pw_token_grant_activity(const pw_token_grant *grant, const char *name)
{
    return grant->activities == NULL || pw_token_listed(grant->activities, name);
}

bool pw_token_grant_queue(const pw_token_grant *grant, const char *name)
{
    return grant->queues == NULL || pw_token_listed(grant->queues, name);
}

/* ---- writing ---- */

static void line_put(pw_buf *out, pawl_scope *scope, const pw_token_grant *g)
{
    char hex[2 * PW_DIGEST_SIZE + 1];
    pw_hex(hex, g->hash, sizeof g->hash);
    const pawl_value *v = pawl_build(scope, "{id: %s, hash: %s, name: %s, created_ms: %lld}", g->id,
                                     hex, g->name, (long long)g->created_ms);
    v = g->queues != NULL ? pawl_with(scope, v, "queues", g->queues) : v;
    v = g->activities != NULL ? pawl_with(scope, v, "activities", g->activities) : v;
    v = g->expires_ms != 0 ? pawl_with(scope, v, "expires_ms", pawl_make_int(scope, g->expires_ms))
                           : v;
    if (g->kind == PW_TOKEN_CLIENT) {
        v = pawl_with(scope, v, "kind", pawl_make_str(scope, kinds[g->kind].name));
        v = pawl_with(scope, v, "principal", pawl_make_str(scope, g->principal));
        v = pawl_with(scope, v, "roles",
                      g->roles != NULL ? g->roles : pawl_make_array(scope, NULL, 0));
        v = g->workspace[0] != '\0'
                ? pawl_with(scope, v, "workspace", pawl_make_str(scope, g->workspace))
                : v;
    }
    pw_buf_puts(out, pawl_to_json(scope, v, 0));
    pw_buf_putc(out, '\n');
}

/* Else a token that was taken back might be there again after a power cut. */
static bool folder_sync(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (size >= sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(folder, path, size);
    folder[size] = '\0';
    const int fd = open(size > 0 ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = number;
    return ok;
}

/* A new file over the old one. */
static pawl_status file_write(const char *path, const char *beside, const pw_buf *text,
                              pawl_error *err)
{
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < text->size;) {
        ssize_t n = write(fd, text->data + at, text->size - at);
        ok = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0 && rename(beside, path) == 0 && folder_sync(path);
    int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    return ok ? PAWL_OK : pw_err(err, PAWL_IO, "tokens %.180s: %s", path, strerror(number));
}

typedef struct change {
    const pw_token_grant *add; /* NULL = none */
    const char *take;          /* a name or an id; NULL = none */
} change;

static bool is_named(const pw_token_grant *g, const char *name)
{
    return strcmp(g->name, name) == 0 || strcmp(g->id, name) == 0;
}

static pawl_status lines_make(const pw_token_grants *g, const change *c, pw_buf *out,
                              pawl_error *err)
{
    bool taken = false;
    for (size_t i = 0; i < g->len; i++) {
        if (c->add != NULL && is_named(&g->list[i], c->add->name)) {
            return pw_err(err, PAWL_EXISTS, "there is a token \"%.150s\" already", c->add->name);
        }
        bool take = c->take != NULL && is_named(&g->list[i], c->take);
        taken |= take;
        if (!take) {
            line_put(out, g->scope, &g->list[i]);
        }
    }
    if (c->take != NULL && !taken) {
        return pw_err(err, PAWL_NOTFOUND, "there is no token \"%.150s\"", c->take);
    }
    if (c->add != NULL) {
        line_put(out, g->scope, c->add);
    }
    if (!pw_buf_ok(out) || pw_scope_failed(g->scope)) {
        return pw_err(err, PAWL_NOMEM, "no memory for the tokens");
    }
    return PAWL_OK;
}

static pawl_status file_change(const char *path, const char *beside, const change *c,
                               pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pw_token_grants none = {.scope = pawl_scope_new()};
    pw_token_grants *g = NULL;
    pawl_status st = pw_token_grants_read(path, &g, err);
    if (st == PAWL_NOTFOUND && none.scope != NULL) {
        st = PAWL_OK;
    }
    st = st == PAWL_OK ? lines_make(g != NULL ? g : &none, c, &out, err) : st;
    st = st == PAWL_OK ? file_write(path, beside, &out, err) : st;
    pw_token_grants_free(g);
    pawl_scope_free(none.scope);
    return st;
}

/* One at a time: the lock is on a file of its own, since the other one is replaced. */
static pawl_status change_locked(const char *path, const change *c, pawl_error *err)
{
    pawl_scope *scope = pawl_scope_new();
    const char *beside = scope != NULL ? pw_sprintf(scope, "%s.new", path) : NULL;
    const char *lock = scope != NULL ? pw_sprintf(scope, "%s.lock", path) : NULL;
    pawl_status st = beside != NULL && lock != NULL
                         ? PAWL_OK
                         : pw_err(err, PAWL_NOMEM, "no memory for the tokens");
    int fd = st == PAWL_OK ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (st == PAWL_OK && (fd < 0 || flock(fd, LOCK_EX) != 0)) {
        st = pw_err(err, PAWL_IO, "tokens %.180s: %s", lock, strerror(errno));
    }
    st = st == PAWL_OK ? file_change(path, beside, c, err) : st;
    if (fd >= 0) {
        close(fd);
    }
    pawl_scope_free(scope);
    return st;
}

pawl_status pw_token_add(const char *path, const pw_token_grant *grant,
                         char ret_token[PW_TOKEN_BYTES_MAX], pawl_error *err)
{
    uint8_t random[ID_BYTES + SECRET_BYTES];
    char id[2 * ID_BYTES + 1];
    char secret[2 * SECRET_BYTES + 1];
    char token[PW_TOKEN_BYTES_MAX];
    pw_token_grant made = *grant;
    pw_random(random, sizeof random);
    pw_hex(id, random, ID_BYTES);
    pw_hex(secret, random + ID_BYTES, SECRET_BYTES);
    (void)snprintf(token, sizeof token, "%s%s-%s", kinds[grant->kind].prefix, id, secret);
    made.id = id;
    token_hash(made.hash, grant->kind, token);
    pawl_status st = change_locked(path, &(change){.add = &made}, err);
    if (st == PAWL_OK) {
        memcpy(ret_token, token, sizeof token);
    }
    return st;
}

pawl_status pw_token_revoke(const char *path, const char *name, pawl_error *err)
{
    return change_locked(path, &(change){.take = name}, err);
}
