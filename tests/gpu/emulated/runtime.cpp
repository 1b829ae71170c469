/*
 * runtime.cpp - the host's side of the emulated runtime: memory, streams, events, graphs. Work of a stream is kept until somebody waits for it, which is later
 * than any device would begin: who reads a result too early, or reuses memory that a copy still needs, is found. Calls can be made to fail.
 */
#include "cuda_runtime.h"

#include "emulated.h"
#include "threads.h"

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <stdlib.h>
#include <vector>

struct emulated_graph {
    std::vector<emulated_work> work;
};

struct emulated_stream {
    int device;
    std::deque<emulated_work> work;
    emulated_graph *recorded;
};

struct emulated_event {
    emulated_stream *stream;
    bool done;
    std::chrono::steady_clock::time_point when;
};

namespace
{
struct world {
    std::recursive_mutex mutex;
    int devices = 1;
    unsigned long calls = 0, fail_at = 0, graphs = 0, kernels = 0, memory_max = 0, memory = 0;
    bool lose = false, failed = false;
    int lost = -1;
    std::set<emulated_stream *> streams;
    std::map<void *, size_t> allocations;
    std::map<const void *, int> shared_bytes_max;
};

world &w()
{
    static world the;
    return the;
}

thread_local int current;

typedef std::lock_guard<std::recursive_mutex> locked;

void drain(emulated_stream *s, const bool *until)
{
    while (!s->work.empty() && !(until != nullptr && *until)) {
        const emulated_work work = s->work.front();
        s->work.pop_front();
        work();
    }
}

constexpr size_t workspace_bytes = size_t(32) << 20; /* what is as large is written by nobody but the emulated library of products */

/* Aligned as a device's memory, unless its size does not allow it: the sanitizer must see the very end. */
void *allocate(size_t bytes)
{
    size_t align = 256;
    while (bytes % align != 0 && align > 16) {
        align /= 2;
    }
    return bytes % align == 0 ? aligned_alloc(align, bytes) : malloc(bytes);
}
} // namespace

cudaError_t emulated_step(bool allocates)
{
    locked lock(w().mutex);
    w().calls++;
    if (w().fail_at != 0 && w().calls == w().fail_at) {
        w().failed = true;
        w().lost = w().lose ? current : -1;
        return allocates && !w().lose ? cudaErrorMemoryAllocation : cudaErrorUnknown;
    }
    return w().lost >= 0 && w().lost == current ? cudaErrorUnknown : cudaSuccess;
}

cudaError_t emulated_put(cudaStream_t stream, emulated_work work)
{
    locked lock(w().mutex);
    if (stream->recorded != nullptr) {
        stream->recorded->work.push_back(std::move(work));
    } else {
        stream->work.push_back(std::move(work));
    }
    return cudaSuccess;
}

cudaError_t emulated_launch(const cudaLaunchConfig_t *config, const void *kernel, emulated_work thread)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    const cudaLaunchConfig_t c = *config;
    const auto most = w().shared_bytes_max.find(kernel);
    const size_t shared_max = most != w().shared_bytes_max.end() ? size_t(most->second) : size_t(48) << 10;
    if (error != cudaSuccess) {
        return error;
    }
    if (c.gridDim.x == 0 || c.blockDim.x == 0 || c.blockDim.x > 1024 || c.blockDim.x % 32 != 0 || c.dynamicSmemBytes > shared_max) {
        return cudaErrorInvalidConfiguration;
    }
    return emulated_put(c.stream, [c, thread] { emulated_run(c.gridDim, c.blockDim, c.dynamicSmemBytes, w().kernels++ % 2 == 1, thread); });
}

cudaError_t emulated_attribute(const void *kernel, int bytes)
{
    locked lock(w().mutex);
    if (size_t(bytes) > emulated_shared_bytes_max) {
        return cudaErrorInvalidValue;
    }
    w().shared_bytes_max[kernel] = bytes;
    return emulated_step(false);
}

/* ---- devices ---- */

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaErrorMemoryAllocation ? "out of memory" : "an emulated error";
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = w().devices;
    return w().devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int device)
{
    if (device < 0 || device >= w().devices) {
        return cudaErrorInvalidDevice;
    }
    current = device;
    return emulated_step(false);
}

cudaError_t cudaDeviceSynchronize(void)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    for (emulated_stream *s : w().streams) {
        if (s->device == current) {
            drain(s, nullptr);
        }
    }
    return error;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr, int)
{
    *value = 3; /* processors: so few that blocks have more than one piece of work */
    return emulated_step(false);
}

/* ---- memory ---- */

cudaError_t cudaMalloc(void **at, size_t bytes)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(true);
    if (error != cudaSuccess) {
        return error;
    }
    if (w().memory_max != 0 && w().memory + bytes > w().memory_max) {
        return cudaErrorMemoryAllocation;
    }
    *at = allocate(bytes);
    if (*at == nullptr) {
        return cudaErrorMemoryAllocation;
    }
    (void)memset(*at, 0xff, bytes < workspace_bytes ? bytes : 64); /* no number: who counts on zeros is found */
    w().allocations[*at] = bytes;
    w().memory += bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *at)
{
    locked lock(w().mutex);
    if (at != nullptr) {
        w().memory -= w().allocations.at(at);
        w().allocations.erase(at);
        free(at);
    }
    return emulated_step(false);
}

cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned)
{
    const cudaError_t error = emulated_step(true);
    *at = error == cudaSuccess ? malloc(bytes) : nullptr;
    if (*at != nullptr) {
        (void)memset(*at, 0xff, bytes);
    }
    return error;
}

cudaError_t cudaHostGetDevicePointer(void **at, void *host, unsigned)
{
    *at = host;
    return emulated_step(false);
}

cudaError_t cudaFreeHost(void *at)
{
    free(at);
    return emulated_step(false);
}

cudaError_t cudaMemset(void *at, int value, size_t bytes)
{
    const cudaError_t error = emulated_step(false);
    if (error == cudaSuccess) {
        (void)memset(at, value, bytes);
    }
    return error;
}

cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream)
{
    const cudaError_t error = emulated_step(false);
    return error == cudaSuccess ? emulated_put(stream, [at, value, bytes] { (void)memset(at, value, bytes); }) : error;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    const cudaError_t error = emulated_step(false);
    if (error == cudaSuccess) {
        (void)memcpy(to, from, bytes);
    }
    return error;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream)
{
    const cudaError_t error = emulated_step(false);
    return error == cudaSuccess ? emulated_put(stream, [to, from, bytes] { (void)memcpy(to, from, bytes); }) : error;
}

/* ---- streams, events, graphs ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(true);
    if (error == cudaSuccess) {
        *stream = new emulated_stream{current, {}, nullptr};
        w().streams.insert(*stream);
    }
    return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    if (stream->recorded != nullptr) {
        return cudaErrorStreamCaptureUnsupported;
    }
    if (error == cudaSuccess) {
        drain(stream, nullptr);
    } else {
        stream->work.clear(); /* a device that is lost does no more work */
    }
    return error;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    w().streams.erase(stream);
    delete stream->recorded;
    delete stream;
    return error;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    const cudaError_t error = emulated_step(false);
    if (error == cudaSuccess) {
        stream->recorded = new emulated_graph;
    }
    return error;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    const cudaError_t error = emulated_step(false);
    *graph = stream->recorded;
    stream->recorded = nullptr;
    if (error != cudaSuccess) {
        delete *graph;
        *graph = nullptr;
    }
    return error;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    const cudaError_t error = emulated_step(true);
    if (error == cudaSuccess) {
        *exec = new emulated_graph(*graph);
    }
    return error;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    for (size_t i = 0; error == cudaSuccess && i < exec->work.size(); i++) {
        (void)emulated_put(stream, exec->work[i]);
    }
    w().graphs++;
    return error;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return emulated_step(false);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return emulated_step(false);
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    const cudaError_t error = emulated_step(true);
    if (error == cudaSuccess) {
        *event = new emulated_event{nullptr, false, {}};
    }
    return error;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    const cudaError_t error = emulated_step(false);
    if (error != cudaSuccess || stream->recorded != nullptr) {
        return error != cudaSuccess ? error : cudaErrorStreamCaptureUnsupported;
    }
    event->stream = stream;
    event->done = false;
    return emulated_put(stream, [event] {
        event->done = true;
        event->when = std::chrono::steady_clock::now();
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    locked lock(w().mutex);
    const cudaError_t error = emulated_step(false);
    if (error == cudaSuccess && event->stream != nullptr) {
        drain(event->stream, &event->done);
    }
    return error;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begun, cudaEvent_t ended)
{
    const cudaError_t error = emulated_step(false);
    if (!begun->done || !ended->done) {
        return cudaErrorNotReady;
    }
    *ms = std::chrono::duration<float, std::milli>(ended->when - begun->when).count();
    return error;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return emulated_step(false);
}

/* ---- control ---- */

namespace
{
void set_devices(int count)
{
    w().devices = count;
    w().lost = -1;
}

void set_fail(unsigned long nth, int lost)
{
    w().calls = 0;
    w().fail_at = nth;
    w().lose = lost != 0;
    w().failed = false;
    w().lost = -1;
}

unsigned long get_calls(void)
{
    return w().calls;
}

int get_failed(void)
{
    return w().failed ? 1 : 0;
}

unsigned long get_graphs(void)
{
    return w().graphs;
}

unsigned long get_kernels(void)
{
    return w().kernels;
}

void set_memory(unsigned long bytes)
{
    w().memory_max = bytes;
}

const emulated_control control = {set_devices, set_fail, get_calls, get_failed, get_graphs, get_kernels, set_memory};
} // namespace

extern "C" __attribute__((visibility("default"))) const emulated_control *emulated_control_get(void)
{
    return &control;
}
