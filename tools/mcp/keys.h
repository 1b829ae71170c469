/*
 * keys.h - the keys of the issuers of a rights file: from a file, or fetched, kept, and fetched again when a token names one that is not there.
 *
 *   wanted --> kept and fresh --> they are there
 *          --> none yet, or too old --> fetch --> `came`, and whoever waits asks again
 *   unknown kid --> fetch, but not within FETCH_AGAIN_MS of the last, and ever less often while it fails --> `came`
 *
 *   fetch: jwks_uri of the rights file, or found before --> the keys
 *          else the issuer's metadata, place after place (keys_find.h) --> its jwks_uri --> the keys
 *
 * What is fetched from where is said by the rights file, and by the metadata of an issuer that stands there without a jwks_uri: no token changes it,
 * and no redirect leads anywhere. Of each issuer one fetch is under way at a time, and takes FETCH_MS at most, however many steps it has. Thread: the
 * loop's; fetching is done by network threads (keys_fetch.c).
 */
#ifndef PW_MCP_KEYS_H
#define PW_MCP_KEYS_H

#include <uv.h>

#include "sdk/pawl_workflow.h"
#include "tools/mcp/oauth.h"

typedef struct pw_keys pw_keys;

typedef struct pw_keys_options {
    void *user;
    void (*came)(void *user); /* keys, or the news that there are none: from the loop */
    void (*log)(void *user, pawl_level level, const char *text);
    const char *ca_file; /* whom to trust; NULL = whom the system does */
} pw_keys_options;

/** The rights are shared. Errors: INVALID (a file of keys), UNSUPPORTED (issuers, and no libcjose or no network), NOMEM. */
pawl_status pw_keys_open(uv_loop_t *loop, pw_rights *rights, const pw_keys_options *options,
                         pw_keys **ret_keys, pawl_error *err);
void pw_keys_close(pw_keys *keys); /* accepts NULL */

/** What there is of an issuer, perhaps nothing. *ret_wait: `came` will be called, and there may be more then. missing: what there was did not have
 * the key. */
const pw_jwks *pw_keys_of(pw_keys *keys, const pw_issuer *issuer, bool missing, bool *ret_wait);
typedef enum pw_keys_verdict {
    PW_KEYS_THERE,
    PW_KEYS_GONE,    /* withdrawn, so old that none of them are believed, or not to be had */
    PW_KEYS_UNKNOWN, /* none have come yet; they are on their way */
} pw_keys_verdict;

/** Whether a key that signed something is still one of its issuer's. */
pw_keys_verdict pw_keys_have(pw_keys *keys, const pw_issuer *issuer,
                             const uint8_t print[PW_DIGEST_SIZE]);
/** Reads files again that have changed, and fetches what is no longer fresh. */
void pw_keys_look(pw_keys *keys);

/** How an issuer stands, for people. Texts are the keys', until the next fetch. */
typedef struct pw_keys_state {
    const char *uri; /* where the keys are fetched, or their file; NULL = not found yet */
    bool found;      /* by the issuer's metadata */
    bool under_way;
    size_t len;      /* keys for signatures */
    const char *why; /* the last fetch failed; "" = it did not */
} pw_keys_state;
void pw_keys_state_of(const pw_keys *keys, const pw_issuer *issuer, pw_keys_state *ret_state);

/* ---- keys_fetch.c ---- */

typedef struct pw_fetcher pw_fetcher;

typedef struct pw_fetched {
    const char *text; /* NULL: it failed, and why says it */
    size_t size;
    int status; /* of HTTP; 0 = nothing was answered */
    const char *why;
} pw_fetched;
/** From the loop. It may ask for the next. */
typedef void (*pw_fetched_fn)(void *user, size_t index, const pw_fetched *got);

/** May reach what the issuers of these rights may: the host of a jwks_uri alone, or, to find one, every public address and the issuer itself. */
pawl_status pw_fetcher_open(uv_loop_t *loop, const pw_rights *rights, const char *ca_file,
                            pw_fetched_fn fn, void *user, pw_fetcher **ret_fetcher,
                            pawl_error *err);
/** Nothing is called after it. Accepts NULL. */
void pw_fetcher_close(pw_fetcher *f);
/** For an issuer, by its index; one at a time of each. False: it could not be begun. */
bool pw_fetcher_get(pw_fetcher *f, size_t index, const char *url, int64_t total_ms);

#endif
