/*
 * texts.cuh - what a pass over some texts is, as the device sees it: one block of numbers, copied at once, whose places depend on the room of the pass alone, so
 * that a recorded graph of kernels serves every pass of that room.
 */
#ifndef PW_EMBED_CUDA_TEXTS_H
#define PW_EMBED_CUDA_TEXTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct pw_pass_head {
    uint32_t rows; /* that belong to texts; the room may have more, with id 0 */
    uint32_t texts;
    uint32_t unused[2];
} pw_pass_head;

/* Pointers into that block, of the host or of the device. */
typedef struct pw_pass_texts {
    pw_pass_head *head;
    uint32_t *ids;    /* [room] */
    uint32_t *places; /* [room]: of a row in its text */
    uint32_t *begins; /* [texts + 1] of [room + 1] */
    uint32_t *
        order; /* [texts] of [room]: the longest first, so that no block is left with it at the end */
} pw_pass_texts;

static inline size_t pw_pass_bytes(size_t room)
{
    return sizeof(pw_pass_head) + (4 * room + 4) * sizeof(uint32_t);
}

static inline pw_pass_texts pw_pass_of(void *block, size_t room)
{
    pw_pass_head *const head = static_cast<pw_pass_head *>(block);
    uint32_t *const at = reinterpret_cast<uint32_t *>(head + 1);
    return {head, at, at + room, at + 2 * room, at + 3 * room + 4};
}

#endif
