/*
 * seal.c - text that a client holds for us and may not change: a keyed BLAKE2b-256 over purpose and bytes, then the bytes of a value, in base64.
 *
 * [T9] The key belongs to the journal, so a seal outlives the process. A seal is not secret: what stands in it the client may read. Does not expire
 * by itself; who seals puts a time in. Without memory a seal is "" and nothing is unsealed: the scope remembers why.
 */
#include <string.h>

#include "sdk/base/value.h"
#include "tools/mcp/inside.h"

#define MAC_SIZE 16

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const char *pw_mcpd_base64(pawl_scope *scope, const void *data, size_t size)
{
    const uint8_t *p = data;
    char *text = pw_alloc(scope, size * 4 / 3 + 5);
    char *at = text;
    for (size_t i = 0; text != NULL && i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t n = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                           (left > 2 ? p[i + 2] : 0);
        *at++ = letters[n >> 18];
        *at++ = letters[n >> 12 & 63];
        if (left > 1) {
            *at++ = letters[n >> 6 & 63];
        }
        if (left > 2) {
            *at++ = letters[n & 63];
        }
    }
    if (text != NULL) {
        *at = '\0';
    }
    return text;
}

/* Bytes, or -1: strict, so that one value has one spelling. */
static int64_t unbase64(uint8_t *ret, const char *text)
{
    uint32_t bits = 0;
    unsigned have = 0;
    int64_t size = 0;
    for (; *text != '\0'; text++) {
        const char *at = strchr(letters, *text);
        if (at == NULL) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)(at - letters);
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[size++] = (uint8_t)(bits >> have);
        }
    }
    return have >= 6 || (bits & ((1u << have) - 1)) != 0 ? -1 : size;
}

/* False: no memory, and the scope says so. */
static bool mac(pw_mcpd *s, pawl_scope *scope, uint8_t ret[PW_DIGEST_SIZE], const char *purpose,
                pw_view bytes)
{
    const size_t before = strlen(purpose) + 1;
    uint8_t *all = pw_alloc(scope, before + bytes.size);
    if (all == NULL) {
        return false;
    }
    memcpy(all, purpose, before);
    memcpy(all + before, bytes.data, bytes.size);
    pw_blob_digest(ret, s->key, all, before + bytes.size);
    return true;
}

const char *pw_mcpd_seal(pw_mcpd *s, pawl_scope *scope, const char *purpose,
                         const pawl_value *value)
{
    uint8_t sum[PW_DIGEST_SIZE];
    const pw_view bytes = pw_value_bytes(value);
    uint8_t *all = pw_alloc(scope, MAC_SIZE + bytes.size);
    if (all == NULL || !mac(s, scope, sum, purpose, bytes)) {
        return "";
    }
    memcpy(all, sum, MAC_SIZE);
    memcpy(all + MAC_SIZE, bytes.data, bytes.size);
    const char *text = pw_mcpd_base64(scope, all, MAC_SIZE + bytes.size);
    return text != NULL ? text : "";
}

const pawl_value *pw_mcpd_unseal(pw_mcpd *s, pawl_scope *scope, const char *purpose,
                                 const char *text)
{
    uint8_t sum[PW_DIGEST_SIZE];
    uint8_t differs = 0;
    uint8_t *all = pw_alloc(scope, strlen(text) + 4);
    const pawl_value *v = NULL;
    pawl_error err;
    const int64_t size = all != NULL ? unbase64(all, text) : -1;
    if (size <= MAC_SIZE ||
        !mac(s, scope, sum, purpose, (pw_view){all + MAC_SIZE, (size_t)size - MAC_SIZE})) {
        return NULL;
    }
    for (size_t i = 0; i < MAC_SIZE; i++) {
        differs |= (uint8_t)(sum[i] ^ all[i]);
    }
    return differs == 0 && pawl_from_msgpack(scope, all + MAC_SIZE, (size_t)size - MAC_SIZE, &v,
                                             &err) == PAWL_OK
               ? v
               : NULL;
}

const char *pw_mcpd_digest(pw_mcpd *s, pawl_scope *scope, const pawl_value *v)
{
    pw_buf canon = PW_BUF_INIT;
    uint8_t sum[PW_DIGEST_SIZE];
    static const uint8_t nil = 0xc0;
    const pw_view bytes = v != NULL ? pw_value_bytes(v) : (pw_view){&nil, 1};
    const char *text = "";
    if (pw_canon(&canon, bytes.data, bytes.size) && pw_buf_ok(&canon)) {
        pw_blob_digest(sum, s->key, canon.data, canon.size);
        text = pw_mcpd_base64(scope, sum, MAC_SIZE);
    } else {
        pw_scope_fail(scope);
    }
    pw_buf_deinit(&canon);
    return text != NULL ? text : "";
}
