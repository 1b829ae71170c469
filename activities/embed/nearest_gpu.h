/*
 * nearest_gpu.h - rows on a device, and the same search as nearest.h has: the same list, whatever computes it.
 */
#ifndef PW_EMBED_NEAREST_GPU_H
#define PW_EMBED_NEAREST_GPU_H

#include "activities/embed/nearest.h"

#define PW_NEAREST_GPU_K_MAX 2048u /* more is searched by the processor */

typedef struct pw_index_gpu pw_index_gpu;

/** Copies rows (made by pw_row_put; their filter is left out) onto a device. path: as of pw_gpu_library. Errors: NOTFOUND (no library, or no device), UNSUPPORTED
 * (another version of it, or rows it does not take), NOMEM, IO. */
pawl_status pw_index_gpu_open(const pw_rows *rows, const char *path, int device,
                              pw_index_gpu **ret_index, pawl_error *err) PAWL_MUST_USE;
void pw_index_gpu_close(pw_index_gpu *x); /* accepts NULL */

/** As pw_nearest. rows: the same as when it was opened, and still there, for the candidates' exact scores; with the filter of this search. Queries that have too
 * many candidates (thousands of equal rows), and a k above PW_NEAREST_GPU_K_MAX, are searched by the processor. Errors: INVALID (k is 0, or other rows), NOMEM,
 * IO (the device is lost: close this, and go on with pw_nearest). Thread: one at a time. */
pawl_status pw_nearest_gpu(pw_index_gpu *x, const pw_rows *rows, const pw_search *search,
                           pw_near *ret_near, size_t *ret_len, pawl_error *err) PAWL_MUST_USE;
/** Milliseconds that the device took for the last 64 queries, copies left out. */
double pw_nearest_gpu_ms(const pw_index_gpu *x);

#endif
