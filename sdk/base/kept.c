/*
 * kept.c - bytes that were made or checked lately, by what they were made from.
 *
 *   one block:  [ table: 4 places for each of 1,024 hashes ] [ ring: {hash, family, note, key, bytes} {...} ... -> the oldest is written over ]
 *
 * What is found is compared with the whole key, not with a digest of it: it cannot be mistaken for another's. Positions only grow; one that the
 * ring has passed is nothing. Does not lock, does not grow and frees nothing: the block is its owner's.
 */
#include "sdk/base/kept.h"

#include <string.h>

enum { SETS = 1024, WAYS = 4, ALIGN = 8 };

struct pw_kept {
    size_t size;                 /* of the ring */
    uint64_t written;            /* bytes, ever */
    uint64_t places[SETS][WAYS]; /* position + 1; 0 = none */
    _Alignas(ALIGN) uint8_t ring[];
};

typedef struct entry {
    uint64_t hash;
    uint8_t family[PW_DIGEST_SIZE];
    uint8_t note[PW_DIGEST_SIZE];
    uint32_t key_size, bytes_size; /* what follows */
} entry;

size_t pw_kept_bytes(size_t ring_bytes)
{
    return sizeof(pw_kept) + (ring_bytes / ALIGN * ALIGN);
}

pw_kept *pw_kept_init(void *block, size_t ring_bytes)
{
    pw_kept *k = block;
    k->size = ring_bytes / ALIGN * ALIGN;
    return k;
}

static size_t entry_bytes(size_t key_size, size_t bytes_size)
{
    return (sizeof(entry) + key_size + bytes_size + ALIGN - 1) / ALIGN * ALIGN;
}

/* NULL: none stands there any more. */
static const entry *entry_at(const pw_kept *k, uint64_t place)
{
    if (place == 0 || k->written - (place - 1) > k->size) {
        return NULL;
    }
    return (const entry *)(const void *)(k->ring + (place - 1) % k->size);
}

static bool is_of(const entry *e, uint64_t hash, const uint8_t family[PW_DIGEST_SIZE], pw_view key)
{
    return e != NULL && e->hash == hash && e->key_size == key.size &&
           memcmp(e->family, family, PW_DIGEST_SIZE) == 0 && memcmp(e + 1, key.data, key.size) == 0;
}

bool pw_kept_find(const pw_kept *kept, const uint8_t family[PW_DIGEST_SIZE], pw_view key,
                  pw_view *ret_bytes, uint8_t ret_note[PW_DIGEST_SIZE])
{
    const uint64_t hash = pw_checksum(key.data, key.size);
    for (size_t way = 0; way < WAYS; way++) {
        const entry *e = entry_at(kept, kept->places[hash % SETS][way]);
        if (is_of(e, hash, family, key)) {
            *ret_bytes = (pw_view){(const uint8_t *)(e + 1) + e->key_size, e->bytes_size};
            memcpy(ret_note, e->note, PW_DIGEST_SIZE);
            return true;
        }
    }
    return false;
}

void pw_kept_put(pw_kept *kept, const uint8_t family[PW_DIGEST_SIZE], pw_view key, pw_view bytes,
                 const uint8_t note[PW_DIGEST_SIZE])
{
    const uint64_t hash = pw_checksum(key.data, key.size);
    if (key.size > kept->size / 8 || bytes.size > kept->size / 8) {
        return;
    }
    const size_t size = entry_bytes(key.size, bytes.size);
    const size_t left = kept->size - kept->written % kept->size;
    kept->written += left < size ? left : 0; /* an entry does not go round the end */
    uint64_t *places = kept->places[hash % SETS];
    size_t oldest = 0;
    for (size_t way = 1; way < WAYS; way++) {
        oldest = places[way] < places[oldest] ? way : oldest;
    }
    places[oldest] = kept->written + 1;
    entry *e = (entry *)(void *)(kept->ring + kept->written % kept->size);
    kept->written += size;
    *e = (entry){.hash = hash, .key_size = (uint32_t)key.size, .bytes_size = (uint32_t)bytes.size};
    memcpy(e->family, family, PW_DIGEST_SIZE);
    memcpy(e->note, note, PW_DIGEST_SIZE);
    memcpy(e + 1, key.data, key.size);
    if (bytes.size > 0) {
        memcpy((uint8_t *)(e + 1) + key.size, bytes.data, bytes.size);
    }
}
