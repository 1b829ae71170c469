/*
 * gpu_library.h - libpawl_cuda.so, loaded when it is asked for.
 */
#ifndef PW_EMBED_GPU_LIBRARY_H
#define PW_EMBED_GPU_LIBRARY_H

#include "activities/embed/cuda.h"
#include "sdk/pawl_value.h"

/** Its functions. path NULL: libpawl_cuda.so where the loader looks. Errors: NOTFOUND, UNSUPPORTED (another version, or no such library). */
pawl_status pw_gpu_library(const char *path, const pw_cuda_ops **ret_ops,
                           pawl_error *err) PAWL_MUST_USE;
/** How many devices it sees; 0 without it. */
int pw_gpu_devices(const char *path);
/** What devices are to do without (pw_cuda_without): as the environment variable PAWL_GPU_WITHOUT says, words with commas. It is asked at each opening. */
uint32_t pw_gpu_without(void);
/** UNSUPPORTED, NOMEM, IO. */
pawl_status pw_gpu_status(pw_cuda_status status, const char *message, pawl_error *err);

#endif
