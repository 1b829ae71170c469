/*
 * vocabulary.h - the pieces of words and their numbers: an open-addressed table over the bytes of all pieces.
 *
 * A piece that continues a word is stored without its prefix ("##ing" as "ing") under another seed, so that a word is cut without copying. Once
 * read it does not change: any thread may look things up.
 */
#ifndef PW_EMBED_VOCABULARY_H
#define PW_EMBED_VOCABULARY_H

#include <string.h>

#include "sdk/base/buf.h"

#define PW_PIECE_NONE UINT32_MAX
#define PW_HASH_WORD 0x243f6a8885a308d3u      /* seed: begins a word */
#define PW_HASH_CONTINUED 0x13198a2e03707344u /* seed: continues one */

typedef struct pw_slot {
    uint32_t check; /* middle bits of the hash */
    uint32_t id;    /* PW_PIECE_NONE: empty */
    uint32_t begin; /* in bytes */
    uint32_t span;  /* pw_piece_span */
} pw_slot;

typedef struct pw_vocabulary {
    pw_buf bytes;
    pw_slot *slots; /* 1 << bits of them */
    unsigned bits;
    size_t len;       /* filled slots */
    size_t longest;   /* bytes of the longest piece */
    uint32_t ids_end; /* one more than the largest id */
} pw_vocabulary;

/** Zero bytes make an empty one. */
void pw_vocabulary_deinit(pw_vocabulary *v);
/** Adds a piece, continued or not; an equal one gets the new id. Errors: LIMIT (id, size, how many), NOMEM. */
pawl_status pw_vocabulary_add(pw_vocabulary *v, bool continued, const void *text, size_t size,
                              uint32_t id) PAWL_MUST_USE;

static inline uint64_t pw_piece_hash(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x9e3779b97f4a7c15u;
}

/** Bytes and kind of a piece in one number. */
static inline uint32_t pw_piece_span(size_t size, bool continued)
{
    return (uint32_t)size << 1 | (continued ? 1u : 0u);
}

/** The id of the piece with these bytes, whose hash from its seed is known; PW_PIECE_NONE. */
static inline uint32_t pw_vocabulary_find(const pw_vocabulary *v, uint64_t hash,
                                          const uint8_t *text, uint32_t span)
{
    const size_t mask = ((size_t)1 << v->bits) - 1;
    size_t at = (size_t)(hash >> (64 - v->bits));
    while (v->slots[at].id != PW_PIECE_NONE) {
        const pw_slot *s = &v->slots[at];
        if (s->check == (uint32_t)(hash >> 16) && s->span == span &&
            memcmp(v->bytes.data + s->begin, text, span >> 1) == 0) {
            return s->id;
        }
        at = (at + 1) & mask;
    }
    return PW_PIECE_NONE;
}

#endif
