/*
 * threads.h - one kernel, run to its end.
 */
#ifndef TEST_EMULATED_THREADS_H
#define TEST_EMULATED_THREADS_H

#include "cuda_runtime.h"

constexpr size_t emulated_shared_bytes_max = size_t(227)
                                             << 10; /* of a block, on the device that is meant */

void emulated_run(const dim3 &grid, const dim3 &block, size_t shared_bytes, bool backwards,
                  const emulated_work &thread);

#endif
