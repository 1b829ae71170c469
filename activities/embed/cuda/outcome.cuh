/*
 * outcome.cuh - what a call to CUDA came to: every one is looked at, the first that fails is said to the caller. Knows no kernel.
 */
#ifndef PW_EMBED_CUDA_OUTCOME_H
#define PW_EMBED_CUDA_OUTCOME_H

#include "activities/embed/cuda.h"

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <stdio.h>
#include <utility>

struct pw_outcome {
    pw_cuda_status status = PW_CUDA_OK;
    char *message = nullptr; /* of the call at hand: PW_CUDA_MESSAGE_BYTES */

    /* Always false, to be returned. */
    bool fail(pw_cuda_status why, const char *what, const char *text)
    {
        if (status == PW_CUDA_OK) {
            status = why;
            (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "%s: %s", what, text);
        }
        return false;
    }

    bool good(cudaError_t error, const char *what)
    {
        if (error == cudaSuccess) {
            return true;
        }
        (void)cudaGetLastError(); /* or the next launch would answer with it */
        return fail(error == cudaErrorMemoryAllocation ? PW_CUDA_NOMEM : PW_CUDA_LOST, what,
                    cudaGetErrorString(error));
    }

    bool good(cublasStatus_t error, const char *what)
    {
        return error == CUBLAS_STATUS_SUCCESS ||
               fail(error == CUBLAS_STATUS_ALLOC_FAILED ? PW_CUDA_NOMEM : PW_CUDA_LOST, what,
                    cublasLtGetStatusString(error));
    }
};

struct pw_shape {
    unsigned blocks, threads;
    size_t shared_bytes;
};

template <typename... Wanted, typename... Given>
bool pw_launch(pw_outcome *o, const char *what, const pw_shape &shape, cudaStream_t stream,
               void (*kernel)(Wanted...), Given &&...given)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(shape.blocks);
    config.blockDim = dim3(shape.threads);
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = stream;
    return o->good(cudaLaunchKernelEx(&config, kernel, std::forward<Given>(given)...), what);
}

#endif
