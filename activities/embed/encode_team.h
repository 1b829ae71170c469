/*
 * encode_team.h - groups of texts through the layers by several threads at once, for calls that have too few rows to give each thread a group.
 */
#ifndef PW_EMBED_ENCODE_TEAM_H
#define PW_EMBED_ENCODE_TEAM_H

#include "activities/embed/encode_group.h"

typedef struct pw_team_work {
    const pw_group *groups; /* one after the other */
    size_t len;
    size_t rows;    /* of the largest */
    size_t longest; /* of all texts */
} pw_team_work;

#define PW_TEAM_THREADS_MAX 64u

/** On at most so many threads, of which the caller's is one; what cannot be had of them, or of their memory, is done without. False: no memory at all. */
bool pw_team_encode(const pw_encoder_cpu *e, const pw_team_work *work,
                    unsigned threads) PAWL_MUST_USE;

#endif
