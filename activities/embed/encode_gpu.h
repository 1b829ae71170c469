/*
 * encode_gpu.h - the encoder on a GPU, if there is one: libpawl_cuda.so loaded when it is asked for, and spoken to by cuda.h.
 */
#ifndef PW_EMBED_ENCODE_GPU_H
#define PW_EMBED_ENCODE_GPU_H

#include "activities/embed/encode_cpu.h"

typedef struct pw_encoder_gpu pw_encoder_gpu;

/** Loads the library (path NULL: libpawl_cuda.so where the loader looks) and opens one device, with room for so many tokens at a time. Errors: NOTFOUND (no
 * library, or no device), UNSUPPORTED (a model that the kernels do not compute, another version of the library), NOMEM, IO. */
pawl_status pw_encoder_gpu_open(const pw_model *m, const char *path, int device, size_t tokens,
                                pw_encoder_gpu **ret_encoder, pawl_error *err) PAWL_MUST_USE;
void pw_encoder_gpu_close(pw_encoder_gpu *e); /* accepts NULL */

/** Begins with texts: while the device works, more can be put. ids are copied; ret_vectors is written until finish. Errors: UNSUPPORTED (a text that it cannot
 * take: none of these was begun), NOMEM and IO (the device is lost: close this, and go on elsewhere). Thread: one at a time. */
pawl_status pw_encode_gpu_put(pw_encoder_gpu *e, const pw_ids *texts, size_t len,
                              float *ret_vectors, pawl_error *err) PAWL_MUST_USE;
/** Waits for all that was put. Errors: as put. */
pawl_status pw_encode_gpu_finish(pw_encoder_gpu *e, pawl_error *err) PAWL_MUST_USE;
/** Both, as pw_encode_cpu. */
pawl_status pw_encode_gpu(pw_encoder_gpu *e, const pw_ids *texts, size_t len, float *ret_vectors,
                          pawl_error *err) PAWL_MUST_USE;
/** Milliseconds that the device's kernels took for all that the last finish waited for, copies left out. */
double pw_encode_gpu_kernel_ms(const pw_encoder_gpu *e);

#endif
