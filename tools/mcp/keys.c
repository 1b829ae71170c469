/*
 * keys.c - key sets by issuer, where they are, and when to get them again. Does not speak HTTP (keys_fetch.c), knows no metadata (keys_find.c) and
 * reads no tokens.
 */
#include "tools/mcp/keys.h"
#include "tools/mcp/keys_find.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sdk/base/mem.h"

#define FRESH_MS INT64_C(600000)     /* then they are fetched again, in use meanwhile */
#define STALE_MS INT64_C(86400000)   /* then they are no longer believed */
#define FETCH_AGAIN_MS INT64_C(5000) /* between two: no stranger makes us call more often */
#define FAILED_DOUBLINGS 4           /* of that, while it fails: 80 s between two fetches at most */
#define FETCH_MS INT64_C(10000)      /* for all steps of one fetch: somebody waits for it */
#define FOUND_MS FRESH_MS            /* then it is asked again where the keys are */
#define FILE_BYTES_MAX (256u << 10)

struct set {
    pw_jwks *keys;    /* NULL = none yet */
    int64_t came_ms;  /* when they did */
    int64_t tried_ms; /* when the last fetch began */
    int64_t ended_ms; /* and when it did */
    bool tried, fetching;
    unsigned failed; /* fetches in a row */
    struct stat file;
    /* of an issuer whose keys have to be found: */
    char uri[PW_KEYS_URI_BYTES_MAX]; /* "" = not found */
    int64_t found_ms;
    bool finding;   /* the step is a place of its metadata, else the keys */
    bool found_now; /* in this very fetch */
    unsigned place;
    char why[300]; /* "" = the last fetch did not fail */
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

static void end(pw_keys *keys, size_t index)
{
    struct set *s = &keys->sets[index];
    s->fetching = false;
    s->ended_ms = now_ms(keys);
    if (s->why[0] != '\0') {
        s->failed++;
        say(keys, PAWL_WARN, &keys->rights->issuers[index], "cannot be fetched", s->why);
    } else {
        s->failed = 0;
    }
    keys->options.came(keys->options.user);
}

/* The step that the fetch is at, in what time it has left. False: there is none. */
static bool step(pw_keys *keys, size_t index)
{
    struct set *s = &keys->sets[index];
    const pw_issuer *issuer = &keys->rights->issuers[index];
    const int64_t left = s->tried_ms + FETCH_MS - now_ms(keys);
    char place[PW_KEYS_URI_BYTES_MAX];
    const char *url = issuer->jwks_uri != NULL ? issuer->jwks_uri : s->uri;
    if (s->finding) {
        url = pw_keys_place(issuer->issuer, s->place, place) ? place : NULL;
    }
    return url != NULL && left > 0 && pw_fetcher_get(keys->fetcher, index, url, left);
}

static bool find(pw_keys *keys, size_t index)
{
    struct set *s = &keys->sets[index];
    s->uri[0] = '\0';
    s->finding = true;
    s->place = 0;
    if (!step(keys, index)) {
        return false;
    }
    s->why[0] = '\0';
    return true;
}

/* A place of the metadata has answered, or nobody did: then nobody does at the others. Of what is wrong, a document says more than that there was none. */
static void on_place(pw_keys *keys, size_t index, const pw_fetched *got)
{
    struct set *s = &keys->sets[index];
    const pw_issuer *issuer = &keys->rights->issuers[index];
    pawl_error err = {0};
    if (got->text != NULL &&
        pw_keys_place_read(issuer->issuer, got->text, got->size, s->uri, &err) == PAWL_OK) {
        s->found_ms = now_ms(keys);
        s->found_now = true;
        s->finding = false;
        s->why[0] = '\0';
        if (s->came_ms == 0) {
            say(keys, PAWL_INFO, issuer, "were found", s->uri);
        }
        if (step(keys, index)) {
            return;
        }
        (void)snprintf(s->why, sizeof s->why, "finding them took too long");
    } else {
        if (got->text != NULL || got->status != 404 || s->why[0] == '\0') {
            (void)snprintf(s->why, sizeof s->why, "%s", got->text != NULL ? err.message : got->why);
        }
        s->place++;
        if (got->status != 0 && step(keys, index)) {
            return;
        }
    }
    end(keys, index);
}

static void on_keys(pw_keys *keys, size_t index, const pw_fetched *got)
{
    struct set *s = &keys->sets[index];
    pw_jwks *fresh = NULL;
    pawl_error err = {0};
    if (got->text != NULL && pw_jwks_read(got->text, got->size, &fresh, &err) == PAWL_OK) {
        pw_jwks_free(s->keys);
        s->keys = fresh;
        s->came_ms = now_ms(keys);
        s->why[0] = '\0';
    } else {
        (void)snprintf(s->why, sizeof s->why, "%s", got->text != NULL ? err.message : got->why);
        /* they may have moved; what was found just now is found anew the next time */
        if (keys->rights->issuers[index].jwks_uri == NULL && !s->found_now && find(keys, index)) {
            return;
        }
        s->uri[0] = '\0';
    }
    end(keys, index);
}

static void on_fetched(void *user, size_t index, const pw_fetched *got)
{
    pw_keys *keys = user;
    if (keys->sets[index].finding) {
        on_place(keys, index, got);
    } else {
        on_keys(keys, index, got);
    }
}

/* From the end of one to the beginning of the next, longer each time that it fails again. Whoever waited for one has its answer when it ends: another
 * cannot be begun then. */
static int64_t again_ms(const struct set *s)
{
    const unsigned more = s->failed > 1 ? s->failed - 1 : 0;
    return FETCH_AGAIN_MS << (more < FAILED_DOUBLINGS ? more : FAILED_DOUBLINGS);
}

static void fetch(pw_keys *keys, size_t index)
{
    struct set *s = &keys->sets[index];
    const int64_t now = now_ms(keys);
    if (s->fetching || (s->tried && now - s->ended_ms < again_ms(s))) {
        return;
    }
    s->tried = true;
    s->tried_ms = now;
    s->found_now = false;
    s->finding = false;
    const bool known = keys->rights->issuers[index].jwks_uri != NULL ||
                       (s->uri[0] != '\0' && now - s->found_ms < FOUND_MS);
    s->fetching = known ? step(keys, index) : find(keys, index);
    if (!s->fetching) {
        s->ended_ms = now;
        s->failed++;
        (void)snprintf(s->why, sizeof s->why, "a fetch could not be begun");
    }
}

const pw_jwks *pw_keys_of(pw_keys *keys, const pw_issuer *issuer, bool missing, bool *ret_wait)
{
    const size_t index = (size_t)(issuer - keys->rights->issuers);
    struct set *s = &keys->sets[index];
    const int64_t age = now_ms(keys) - s->came_ms;
    *ret_wait = false;
    if (issuer->jwks_file != NULL) {
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
        if (s->keys != NULL && issuer->jwks_file == NULL && now_ms(keys) - s->came_ms > FRESH_MS) {
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

void pw_keys_state_of(const pw_keys *keys, const pw_issuer *issuer, pw_keys_state *ret_state)
{
    const struct set *s = &keys->sets[issuer - keys->rights->issuers];
    *ret_state = (pw_keys_state){.uri = issuer->jwks_file != NULL  ? issuer->jwks_file
                                        : issuer->jwks_uri != NULL ? issuer->jwks_uri
                                        : s->uri[0] != '\0'        ? s->uri
                                                                   : NULL,
                                 .found = issuer->jwks_file == NULL && issuer->jwks_uri == NULL,
                                 .under_way = s->fetching,
                                 .len = pw_jwks_len(s->keys),
                                 .why = s->why};
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
