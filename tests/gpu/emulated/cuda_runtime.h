/*
 * cuda_runtime.h - as much of the CUDA runtime as libpawl_cuda uses, on the processor: kernels are C++ functions whose threads take turns (emulator.cpp), work
 * of a stream waits until somebody waits for it, and any call can be made to fail. No GPU is involved and nothing here says how fast one is.
 */
#ifndef TEST_EMULATED_CUDA_RUNTIME_H
#define TEST_EMULATED_CUDA_RUNTIME_H

#include "cuda_types.h"

#include <functional>
#include <math.h>
#include <string.h>
#include <utility>

#define __device__
#define __global__
#define __host__
#define __shared__

/* ---- the host's side ---- */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNotReady = 600,
    cudaErrorIllegalState = 401,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorUnknown = 999
};
enum cudaMemcpyKind {
    cudaMemcpyHostToDevice = 1,
    cudaMemcpyDeviceToHost = 2,
    cudaMemcpyDeviceToDevice = 3
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum { cudaStreamNonBlocking = 1, cudaHostAllocMapped = 2 };

typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t;
typedef struct emulated_graph *cudaGraphExec_t;

struct cudaLaunchAttribute;
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
};

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaMalloc(void **at, size_t bytes);
cudaError_t cudaFree(void *at);
cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned flags);
cudaError_t cudaHostGetDevicePointer(void **at, void *host, unsigned flags);
cudaError_t cudaFreeHost(void *at);
cudaError_t cudaMemset(void *at, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begun, cudaEvent_t ended);
cudaError_t cudaEventDestroy(cudaEvent_t event);

typedef std::function<void()> emulated_work;
cudaError_t emulated_launch(const cudaLaunchConfig_t *config, const void *kernel,
                            emulated_work thread);
cudaError_t emulated_attribute(const void *kernel, int bytes);
/* Puts work on a stream, or into what is being recorded. */
cudaError_t emulated_put(cudaStream_t stream, emulated_work work);
/* One more call: what it is to answer. allocates: running out of memory is what fails. */
cudaError_t emulated_step(bool allocates);

template <typename... Wanted, typename... Given>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Wanted...),
                               Given &&...given)
{
    return [&](Wanted... wanted) {
        return emulated_launch(config, reinterpret_cast<const void *>(kernel),
                               [kernel, wanted...] { kernel(wanted...); });
    }(std::forward<Given>(given)...);
}

template <typename... Wanted>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Wanted...), cudaFuncAttribute, int bytes)
{
    return emulated_attribute(reinterpret_cast<const void *>(kernel), bytes);
}

template <typename... Wanted>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void (*)(Wanted...), int,
                                                          size_t)
{
    *blocks = 1;
    return emulated_step(false);
}

/* ---- the kernels' side ---- */

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

/* Every thread of the warp comes here before one goes on: op then sees what each of them brought. */
typedef void (*emulated_op)(void *const lanes[32]);
void emulated_warp(emulated_op op, void *mine, unsigned mask);
void emulated_block(void);

inline void __syncthreads()
{
    emulated_block();
}
inline void __syncwarp()
{
    char none = 0;
    emulated_warp([](void *const *) {}, &none, 0xffffffffu);
}
float __shfl_xor_sync(unsigned mask, float x, int step);
unsigned __ballot_sync(unsigned mask, int vote);

inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
inline uint32_t __float_as_uint(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float __uint_as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
/* Threads take turns: what one does between two meetings is atomic. */
inline uint32_t atomicAdd(uint32_t *at, uint32_t x)
{
    const uint32_t before = *at;
    *at += x;
    return before;
}

#endif
