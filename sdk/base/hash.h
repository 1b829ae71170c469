/*
 * hash.h - the hashes: XXH3 (record checksums, input digests), BLAKE2b-256 (chain), keyed BLAKE2b-256 (blobs); SHA-256 for others.
 */
#ifndef PW_HASH_H
#define PW_HASH_H

#include "sdk/base/mp.h"

#define PW_DIGEST_SIZE 32
#define PW_KEY_SIZE 32

uint64_t pw_checksum(const void *data, size_t size);
/** next = BLAKE2b-256(prev || bytes). next may be prev. */
void pw_chain_next(uint8_t next[PW_DIGEST_SIZE], const uint8_t prev[PW_DIGEST_SIZE],
                   const void *data, size_t size);
/** SHA-256, where another's protocol wants it. */
void pw_sha256(uint8_t ret[PW_DIGEST_SIZE], const void *data, size_t size);
void pw_blob_digest(uint8_t ret[PW_DIGEST_SIZE], const uint8_t key[PW_KEY_SIZE], const void *data,
                    size_t size);
/** XXH3 of the canonical form (sorted keys, shortest integers, doubles kept; version 1) of msgpack bytes; cheap when they are
 * canonical already. */
uint64_t pw_input_digest(const void *data, size_t size);
/** Writes the canonical form. False when the bytes are malformed or memory is out. */
bool pw_canon(pw_buf *out, const void *data, size_t size);
/** Cryptographic random bytes (the environment table of the engine wraps this; the core never calls it). */
void pw_random(void *ret, size_t size);
/** Lower-case hex, NUL-terminated: ret must hold 2 * size + 1. */
void pw_hex(char *ret, const void *data, size_t size);

#endif
