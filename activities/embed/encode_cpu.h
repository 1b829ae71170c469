/*
 * encode_cpu.h - the fast encoder on the processor: rows of many texts packed without padding, weights in panels, the fastest kernels it has.
 *
 * What a text comes to does not depend on the texts beside it, nor on the number of threads: bit by bit.
 */
#ifndef PW_EMBED_ENCODE_CPU_H
#define PW_EMBED_ENCODE_CPU_H

#include "activities/embed/kernels.h"
#include "activities/embed/model.h"

typedef struct pw_encoder_cpu pw_encoder_cpu;

typedef struct pw_ids {
    const uint32_t *ids;
    size_t len;
} pw_ids;

/** Packs a model's weights, which must outlive it. kernels NULL: the best. Errors: NOMEM. */
pawl_status pw_encoder_cpu_open(const pw_model *m, const pw_kernels *kernels,
                                pw_encoder_cpu **ret_encoder, pawl_error *err) PAWL_MUST_USE;
void pw_encoder_cpu_close(pw_encoder_cpu *e); /* accepts NULL */

/** The vectors of texts, one after the other (config.width numbers each), on at most so many threads, of which the caller's is one.
 * Errors: INVALID (no ids, too many, or one that the model lacks), NOMEM. Thread: any, several at once. */
pawl_status pw_encode_cpu(const pw_encoder_cpu *e, const pw_ids *texts, size_t len,
                          unsigned threads, float *ret_vectors, pawl_error *err) PAWL_MUST_USE;

#endif
