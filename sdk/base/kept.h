/*
 * kept.h - bytes that were made or checked lately, by what they were made from: one block of memory that never grows.
 *
 * Thread: one at a time, the owner's to see to.
 */
#ifndef PW_KEPT_H
#define PW_KEPT_H

#include "sdk/base/hash.h"

typedef struct pw_kept pw_kept;

/** How large the block must be for a ring of so many bytes: zeroed memory, aligned as malloc's. */
size_t pw_kept_bytes(size_t ring_bytes);
pw_kept *pw_kept_init(void *block, size_t ring_bytes);
/** family: whatever, besides the key, determines the bytes. The view is good until something is put. */
bool pw_kept_find(const pw_kept *kept, const uint8_t family[PW_DIGEST_SIZE], pw_view key,
                  pw_view *ret_bytes, uint8_t ret_note[PW_DIGEST_SIZE]);
/** note: 32 bytes to go with them. Forgets the oldest to make room; what is larger than an eighth of the ring is not kept. */
void pw_kept_put(pw_kept *kept, const uint8_t family[PW_DIGEST_SIZE], pw_view key, pw_view bytes,
                 const uint8_t note[PW_DIGEST_SIZE]);

#endif
