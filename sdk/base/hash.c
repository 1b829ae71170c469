/*
 * hash.c - checksums, chains, blob digests and the canonical form.
 *
 * Canonical form, version 1: map keys sorted by their bytes, shortest integers and lengths, doubles kept as they are. Most values are
 * canonical already (our writers are), so a scan decides whether the bytes can be hashed as they stand.
 * Does not keep secrets: the key of a journal makes its digests private, not its contents.
 */
#include "sdk/base/hash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

uint64_t pw_checksum(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

void pw_chain_next(uint8_t next[PW_DIGEST_SIZE], const uint8_t prev[PW_DIGEST_SIZE],
                   const void *data, size_t size)
{
    crypto_generichash_state st;
    (void)crypto_generichash_init(&st, NULL, 0, PW_DIGEST_SIZE);
    (void)crypto_generichash_update(&st, prev, PW_DIGEST_SIZE);
    (void)crypto_generichash_update(&st, data, size);
    (void)crypto_generichash_final(&st, next, PW_DIGEST_SIZE);
}

void pw_blob_digest(uint8_t ret[PW_DIGEST_SIZE], const uint8_t key[PW_KEY_SIZE], const void *data,
                    size_t size)
{
    (void)crypto_generichash(ret, PW_DIGEST_SIZE, data, size, key, PW_KEY_SIZE);
}

void pw_sha256(uint8_t ret[PW_DIGEST_SIZE], const void *data, size_t size)
{
    (void)crypto_hash_sha256(ret, data, size);
}

void pw_random(void *ret, size_t size)
{
    randombytes_buf(ret, size);
}

void pw_hex(char *ret, const void *data, size_t size)
{
    (void)sodium_bin2hex(ret, 2 * size + 1, data, size);
}

/* ---- canonical form ---- */

static int key_cmp(pw_view a, pw_view b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return c != 0 ? c : a.size < b.size ? -1 : a.size > b.size;
}

/* Maps that hold at most one pair, and every value without maps, are sorted by nature. One pass, no memory. */
typedef struct level {
    size_t left;
    bool map;
    pw_view last;
} level;

__attribute__((noinline)) static bool
is_sorted(const void *data, size_t size) /* its stack is four kilobytes: see mp.c */
{
    pw_mp r = pw_mp_reader(data, size);
    level stack[PW_DEPTH_MAX];
    int depth = 0;
    do {
        level *top = depth > 0 ? &stack[depth - 1] : NULL;
        if (top != NULL && top->map && top->left % 2 == 0) {
            bool first = top->last.data == NULL;
            pw_view key = pw_mp_read_str(&r);
            if (r.bad || (!first && key_cmp(top->last, key) >= 0)) {
                return false;
            }
            top->last = key;
            top->left--;
            continue;
        }
        pawl_type t = pw_mp_peek(&r);
        size_t inner = 0;
        if (t == PAWL_MAP) {
            inner = 2 * pw_mp_read_map(&r);
        } else if (t == PAWL_ARRAY) {
            inner = pw_mp_read_array(&r);
        } else {
            pw_mp_skip(&r);
        }
        if (r.bad || (inner > 0 && depth == PW_DEPTH_MAX)) {
            return false;
        }
        if (inner > 0) {
            stack[depth++] = (level){inner, t == PAWL_MAP, {NULL, 0}};
            continue;
        }
        while (depth > 0 && --stack[depth - 1].left == 0) {
            depth--;
        }
    } while (depth > 0);
    return true;
}

static bool is_canonical(const void *data, size_t size)
{
    pw_mp r = pw_mp_reader(data, size);
    int lead = size > 0 ? *(const uint8_t *)data : 0xc1;
    bool holds_others = (lead >= 0x80 && lead < 0xa0) || (lead >= 0xdc && lead < 0xe0);
    if (holds_others) {
        return is_sorted(data, size);
    }
    pw_mp_skip(&r);
    return pw_mp_ok(&r);
}

typedef struct pair {
    pw_view key;
    pw_view value;
} pair;

static int pair_cmp(const void *a, const void *b)
{
    return key_cmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static bool canon_one(pw_buf *out, pw_mp *r, int depth);

static bool canon_map(pw_buf *out, pw_mp *r, int depth)
{
    size_t n = pw_mp_read_map(r);
    pair *pairs = pw_malloc((n + 1) * sizeof *pairs);
    if (pairs == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        pairs[i].key = pw_mp_read_str(r);
        pairs[i].value = pw_mp_read_raw(r);
    }
    bool ok = !r->bad;
    if (ok) {
        qsort(pairs, n, sizeof *pairs, pair_cmp);
        pw_mp_map(out, n);
    }
    for (size_t i = 0; ok && i < n; i++) {
        pw_mp_strn(out, (const char *)pairs[i].key.data, pairs[i].key.size);
        pw_mp inner = pw_mp_reader(pairs[i].value.data, pairs[i].value.size);
        ok = canon_one(out, &inner, depth + 1);
    }
    pw_free(pairs);
    return ok;
}

static void canon_leaf(pw_buf *out, pw_mp *r, pawl_type t)
{
    if (t == PAWL_INT) {
        pw_mp probe = *r;
        int64_t n = pw_mp_read_int(&probe);
        if (!probe.bad) {
            pw_mp_int(out, n);
            *r = probe;
        } else {
            pw_mp_uint(out, pw_mp_read_uint(r));
        }
    } else if (t == PAWL_DOUBLE) {
        pw_mp_double(out, pw_mp_read_double(r));
    } else if (t == PAWL_STRING) {
        pw_view s = pw_mp_read_str(r);
        pw_mp_strn(out, (const char *)s.data, s.size);
    } else {
        pw_view raw = pw_mp_read_raw(r);
        pw_buf_put(out, raw.data, raw.size);
    }
}

/* Depth is bounded by PW_DEPTH_MAX: the recursion is on checked nesting, not on input alone. */
static bool canon_one(pw_buf *out, pw_mp *r, int depth)
{
    if (depth > PW_DEPTH_MAX) {
        return false;
    }
    pawl_type t = pw_mp_peek(r);
    if (t == PAWL_MAP) {
        return canon_map(out, r, depth);
    }
    if (t == PAWL_ARRAY) {
        size_t n = pw_mp_read_array(r);
        pw_mp_array(out, n);
        for (size_t i = 0; i < n; i++) {
            if (!canon_one(out, r, depth + 1)) {
                return false;
            }
        }
        return !r->bad;
    }
    canon_leaf(out, r, t);
    return !r->bad && pw_buf_ok(out);
}

bool pw_canon(pw_buf *out, const void *data, size_t size)
{
    pw_mp r = pw_mp_reader(data, size);
    return canon_one(out, &r, 0) && pw_mp_at_end(&r) && pw_buf_ok(out);
}

uint64_t pw_input_digest(const void *data, size_t size)
{
    if (is_canonical(data, size)) {
        return XXH3_64bits(data, size);
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    return pw_canon(&out, data, size) ? XXH3_64bits(out.data, out.size) : XXH3_64bits(data, size);
}
