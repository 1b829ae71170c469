/*
 * keys.c - key sets by issuer, and when to get them again. Does not speak HTTP (keys_fetch.c) and does not read tokens.
 */
#include "tools/mcp/keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sdk/base/mem.h"

#define FRESH_MS INT64_C(600000)     /* then they are fetched again, in use meanwhile */
#define STALE_MS INT64_C(86400000)   /* then they are no longer believed */
#define FETCH_AGAIN_MS INT64_C(5000) /* at the earliest: no stranger makes us call more often */
#define FILE_BYTES_MAX (256u << 10)

struct set {
    pw_jwks *keys;    /* NULL = none yet */
    int64_t came_ms;  /* when they did */
    int64_t tried_ms; /* when the last fetch began */
    bool tried, fetching;
    struct stat file;
};

struct pw_keys {
    uv_loop_t *loop;
    pw_rights *rights;
    pw_keys_options options;
    pw_fetcher *fetcher; /* NULL = all are files */
    struct set *sets;    /* of each issuer */
};

static int64_t now_ms(const pw_keys *keys)
{
    return (int64_t)uv_now(keys->loop); /* monotonic: a clock that is set back keeps no old key */
}

static void say(const pw_keys *keys, pawl_level level, const pw_issuer *issuer, const char *what,
                const char *why)
{
    char text[500];
    (void)snprintf(text, sizeof text, "the keys of issuer %s %s: %.300s", issuer->name, what, why);
    if (keys->options.log != NULL) {
        keys->options.log(keys->options.user, level, text);
    }
}

/* ---- files ---- */

static pawl_status file_take(const char *path, struct set *s, pawl_error *err)
{
    FILE *f = fopen(path, "re");
    char *text = f != NULL ? pw_malloc(FILE_BYTES_MAX + 1) : NULL;
    const size_t size = text != NULL ? fread(text, 1, FILE_BYTES_MAX + 1, f) : 0;
    pw_jwks *fresh = NULL;
    pawl_status st = f == NULL      ? pw_err(err, PAWL_NOTFOUND, "%.200s cannot be read", path)
                     : text == NULL ? pw_err(err, PAWL_NOMEM, "no memory for keys")
                                    : pw_jwks_read(text, size, &fresh, err);
    if (f != NULL) {
        (void)fclose(f);
    }
    pw_free(text);
    if (st == PAWL_OK) {
        pw_jwks_free(s->keys);
        s->keys = fresh;
    }
    return st;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* ---- what is fetched ---- */

static void on_fetched(void *user, size_t index, const char *text, size_t size, const char *why)
{
    pw_keys *keys = user;
    struct set *s = &keys->sets[index];
    pw_jwks *fresh = NULL;
    pawl_error err = {0};
    s->fetching = false;
    if (text != NULL && pw_jwks_read(text, size, &fresh, &err) == PAWL_OK) {
        pw_jwks_free(s->keys);
        s->keys = fresh;
        s->came_ms = now_ms(keys);
    } else {
        say(keys, PAWL_WARN, &keys->rights->issuers[index], "cannot be fetched",
            text != NULL ? err.message : why);
    }
    keys->options.came(keys->options.user);
}

static void fetch(pw_keys *keys, size_t index)
{
    struct set *s = &keys->sets[index];
    const int64_t now = now_ms(keys);
    if (s->fetching || (s->tried && now - s->tried_ms < FETCH_AGAIN_MS)) {
        return;
    }
    s->tried = true;
    s->tried_ms = now;
    s->fetching = pw_fetcher_get(keys->fetcher, index);
}

const pw_jwks *pw_keys_of(pw_keys *keys, const pw_issuer *issuer, bool missing, bool *ret_wait)
{
    const size_t index = (size_t)(issuer - keys->rights->issuers);
    struct set *s = &keys->sets[index];
    const int64_t age = now_ms(keys) - s->came_ms;
    *ret_wait = false;
    if (issuer->jwks_uri == NULL) {
        return s->keys;
    }
    if (s->keys != NULL && age > STALE_MS) {
        pw_jwks_free(s->keys);
        s->keys = NULL;
    }
    if (s->keys == NULL || missing || age > FRESH_MS) {
        fetch(keys, index);
    }
    *ret_wait = s->fetching && (s->keys == NULL || missing);
    return s->keys;
}

pw_keys_verdict pw_keys_have(pw_keys *keys, const pw_issuer *issuer,
                             const uint8_t print[PW_DIGEST_SIZE])
{
    const struct set *s = &keys->sets[issuer - keys->rights->issuers];
    bool wait = false;
    const pw_jwks *now = pw_keys_of(keys, issuer, false, &wait);
    const bool coming = now == NULL && s->fetching && s->came_ms == 0;
    return coming ? PW_KEYS_UNKNOWN : pw_jwks_has(now, print) ? PW_KEYS_THERE : PW_KEYS_GONE;
}

/* ---- again and again ---- */

void pw_keys_look(pw_keys *keys)
{
    for (size_t i = 0; i < keys->rights->issuers_len; i++) {
        const pw_issuer *issuer = &keys->rights->issuers[i];
        struct set *s = &keys->sets[i];
        struct stat now;
        pawl_error err = {0};
        if (s->keys != NULL && issuer->jwks_uri != NULL && now_ms(keys) - s->came_ms > FRESH_MS) {
            fetch(keys, i);
        }
        if (issuer->jwks_file == NULL || stat(issuer->jwks_file, &now) != 0 ||
            same_file(&now, &s->file)) {
            continue;
        }
        s->file = now;
        if (file_take(issuer->jwks_file, s, &err) != PAWL_OK) {
            say(keys, PAWL_ERROR, issuer, "stay as they were", err.message);
        } else {
            keys->options.came(keys->options.user);
        }
    }
}

/* ---- life ---- */

static pawl_status begin(pw_keys *keys, pawl_error *err)
{
    bool fetches = false;
    pawl_status st = PAWL_OK;
    if (keys->rights->issuers_len > 0 && !pw_oauth_is_built_in()) {
        return pw_err(err, PAWL_UNSUPPORTED,
                      "the rights name issuers of signed tokens, and this pawl was built without "
                      "libcjose: static tokens work");
    }
    for (size_t i = 0; st == PAWL_OK && i < keys->rights->issuers_len; i++) {
        const char *file = keys->rights->issuers[i].jwks_file;
        fetches |= file == NULL;
        if (file != NULL) {
            (void)stat(file, &keys->sets[i].file);
            st = file_take(file, &keys->sets[i], err);
        }
    }
    return st == PAWL_OK && fetches
               ? pw_fetcher_open(keys->loop, keys->rights, keys->options.ca_file, on_fetched, keys,
                                 &keys->fetcher, err)
               : st;
}

pawl_status pw_keys_open(uv_loop_t *loop, pw_rights *rights, const pw_keys_options *options,
                         pw_keys **ret_keys, pawl_error *err)
{
    pw_keys *keys = pw_calloc(1, sizeof *keys);
    struct set *sets = pw_calloc(rights->issuers_len + 1, sizeof *sets);
    if (keys == NULL || sets == NULL) {
        pw_free(keys);
        pw_free(sets);
        return pw_err(err, PAWL_NOMEM, "no memory for keys");
    }
    *keys = (pw_keys){
        .loop = loop, .rights = pw_rights_share(rights), .options = *options, .sets = sets};
    const pawl_status st = begin(keys, err);
    if (st != PAWL_OK) {
        pw_keys_close(keys);
        return st;
    }
    *ret_keys = keys;
    return PAWL_OK;
}

void pw_keys_close(pw_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    pw_fetcher_close(keys->fetcher);
    for (size_t i = 0; i < keys->rights->issuers_len; i++) {
        pw_jwks_free(keys->sets[i].keys);
    }
    pw_rights_release(keys->rights);
    pw_free(keys->sets);
    pw_free(keys);
}
