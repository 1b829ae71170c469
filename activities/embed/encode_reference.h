/*
 * encode_reference.h - the encoder as it reads in a book, in double precision: what every faster one is checked against. Slow, and kept for ever.
 */
#ifndef PW_EMBED_ENCODE_REFERENCE_H
#define PW_EMBED_ENCODE_REFERENCE_H

#include "activities/embed/model.h"

/** The vector (config.width numbers) of 1 to config.positions ids below config.vocabulary. Errors: INVALID, NOMEM. Thread: any. */
pawl_status pw_encode_reference(const pw_model *m, const uint32_t *ids, size_t len,
                                float *ret_vector, pawl_error *err) PAWL_MUST_USE;

#endif
