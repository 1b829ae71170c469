/*
 * encoders.h - every encoder of a model: one for each device that libpawl_cuda.so sees, and that of the processor. Chooses, tries again elsewhere, and ends with
 * the processor: a device that runs out of memory or is lost costs time, never a text.
 */
#ifndef PW_EMBED_ENCODERS_H
#define PW_EMBED_ENCODERS_H

#include "activities/embed/encode_gpu.h"

#define PW_DEVICES_MAX 16
#define PW_PASS_TOKENS 8192u /* of a device's pass: fills it, and fits its second cache twice */

typedef struct pw_encoders pw_encoders;

typedef struct pw_encoders_options {
    bool processor_only; /* no device is looked for */
    const char *library; /* path of libpawl_cuda.so, NULL: where the loader looks */
    size_t pass_tokens;  /* 0 = PW_PASS_TOKENS */
} pw_encoders_options;

/** Opens the processor's encoder, and one on each device that takes the model: devices that do not are left out. The model must outlive it. Errors: NOMEM. */
pawl_status pw_encoders_open(const pw_model *m, const pw_encoders_options *options,
                             pw_encoders **ret_encoders, pawl_error *err) PAWL_MUST_USE;
void pw_encoders_close(pw_encoders *e); /* accepts NULL */

/** How many devices are in use: those that failed are not. Thread: any. */
unsigned pw_encoders_devices(pw_encoders *e);
/** As pw_encode_cpu; many texts go to all devices at once. Thread: any, several at once. */
pawl_status pw_encoders_encode(pw_encoders *e, const pw_ids *texts, size_t len, unsigned threads,
                               float *ret_vectors, pawl_error *err) PAWL_MUST_USE;

#endif
