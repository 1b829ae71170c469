/*
 * library.cu - the table that libpawl_cuda.so shows, and nothing else.
 */
#include "activities/embed/cuda/library.h"

#include <cuda_runtime.h>

#include <stdio.h>

namespace
{
int devices(char *message)
{
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        count = 0;
    }
    if (count == 0 && message != nullptr) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "%s", cudaGetErrorString(error != cudaSuccess ? error : cudaErrorNoDevice));
    }
    return count;
}

const pw_cuda_ops ops = {PW_CUDA_VERSION,
                         devices,
                         pw_cuda_encoder_open,
                         pw_cuda_encoder_close,
                         pw_cuda_encoder_put,
                         pw_cuda_encoder_finish,
                         pw_cuda_encoder_ms,
                         pw_cuda_index_open,
                         pw_cuda_index_close,
                         pw_cuda_index_search,
                         pw_cuda_index_ms};
} // namespace

extern "C" __attribute__((visibility("default"))) const pw_cuda_ops *pw_cuda_ops_get(void)
{
    return &ops;
}
