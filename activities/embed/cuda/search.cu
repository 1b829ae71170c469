/*
 * search.cu - rows on a device and a search among them: a few scans over ever larger parts of the rows, a cut of the lists after each. What comes back are
 * candidates: the caller computes their scores exactly. Holds no more rows than the device has room for, and does not split them over devices.
 */
#include "activities/embed/cuda/library.h"
#include "activities/embed/cuda/outcome.cuh"
#include "activities/embed/cuda/scan.cuh"

#include <new>
#include <string.h>
#include <vector>

struct pw_cuda_index {
    pw_outcome o;
    int device = 0, blocks_at_once[4] = {1, 1, 1, 1};
    uint32_t without = 0; /* of pw_cuda_without */
    float ms = 0;
    cudaStream_t stream = nullptr;
    cudaEvent_t begun = nullptr, ended = nullptr;
    search_there there = {};
    __half *rows = nullptr, *queries = nullptr;
    uint64_t *wanted = nullptr;
    float *errors = nullptr;
    uint32_t *answer = nullptr; /* pinned: [queries_max] lens, then [queries_max][candidates_max] rows; the last kernel writes there */
    uint32_t *answer_of_device = nullptr;
    std::vector<void *> memory;
};

namespace
{
constexpr size_t queries_max = PW_CUDA_QUERIES_MAX;
constexpr size_t cut_bytes = sizeof(cutting) + list_max * sizeof(listed);

template <typename T> bool take(pw_cuda_index *x, size_t len, T **ret)
{
    void *at = nullptr;
    if (!x->o.good(cudaMalloc(&at, len * sizeof(T)), "memory of the device")) {
        return false;
    }
    x->memory.push_back(at);
    *ret = static_cast<T *>(at);
    return true;
}

size_t scan_bytes(size_t tiles, uint32_t stride)
{
    return tiles * 8 * query_row(stride) * sizeof(__half);
}

/* ---- a search ---- */

template <int tiles> bool scan_by(pw_cuda_index *x, uint32_t first, uint32_t last, bool fill, const pw_cuda_question *q, int which)
{
    const unsigned wanted = (last - first + scan_threads / 32 - 1) / (scan_threads / 32), most = unsigned(x->blocks_at_once[which]);
    const pw_shape shape = {wanted < most ? wanted : most, scan_threads, scan_bytes(tiles, x->there.stride)};
    return pw_launch(&x->o, "a scan", shape, x->stream, (x->without & PW_CUDA_WITHOUT_TENSORS) != 0 ? scan<tiles, true> : scan<tiles, false>, x->there, first,
                     last, fill ? 1 : 0, uint32_t(q->len));
}

bool scan_groups(pw_cuda_index *x, uint32_t first, uint32_t last, bool fill, const pw_cuda_question *q)
{
    return q->len <= 8    ? scan_by<1>(x, first, last, fill, q, 0)
           : q->len <= 16 ? scan_by<2>(x, first, last, fill, q, 1)
           : q->len <= 32 ? scan_by<4>(x, first, last, fill, q, 2)
                          : scan_by<8>(x, first, last, fill, q, 3);
}

bool cut_lists(pw_cuda_index *x, const pw_cuda_question *q, uint32_t filled, bool last)
{
    return pw_launch(&x->o, "a cut", {unsigned(q->len), cut_threads, cut_bytes}, x->stream, cut, x->there, uint32_t(q->k), filled,
                     last ? x->answer_of_device + queries_max : static_cast<uint32_t *>(nullptr),
                     last ? x->answer_of_device : static_cast<uint32_t *>(nullptr));
}

/* Each part is so many times what was scanned before that the lists hold what it brings: k entries for each time. */
bool scan_all(pw_cuda_index *x, const pw_cuda_question *q)
{
    const uint64_t groups = x->there.groups, times = 4096 / q->k < 16 ? 4096 / q->k : 16;
    uint64_t done = groups < first_groups ? groups : first_groups;
    bool good = scan_groups(x, 0, uint32_t(done), true, q) && cut_lists(x, q, uint32_t(done) * group_rows, done == groups);
    while (good && done < groups) {
        const uint64_t next = done * times < groups ? done * times : groups;
        good = scan_groups(x, uint32_t(done), uint32_t(next), false, q) && cut_lists(x, q, 0, next == groups);
        done = next;
    }
    return good;
}

bool copy_question(pw_cuda_index *x, const pw_cuda_question *q)
{
    const size_t row = x->there.stride * sizeof(__half), words = (size_t(x->there.len) + 63) / 64;
    x->there.wanted = q->wanted != nullptr ? x->wanted : nullptr;
    return x->o.good(cudaMemsetAsync(x->queries, 0, queries_max * row, x->stream), "queries") &&
           x->o.good(cudaMemcpyAsync(x->queries, q->queries, q->len * row, cudaMemcpyHostToDevice, x->stream), "queries") &&
           x->o.good(cudaMemcpyAsync(x->errors, q->errors, q->len * sizeof *q->errors, cudaMemcpyHostToDevice, x->stream), "queries") &&
           (q->wanted == nullptr ||
            x->o.good(cudaMemcpyAsync(x->wanted, q->wanted, words * sizeof *q->wanted, cudaMemcpyHostToDevice, x->stream), "the filter"));
}

bool search_all(pw_cuda_index *x, const pw_cuda_question *q, uint32_t *ret_rows, uint32_t *ret_len)
{
    if (!x->o.good(cudaSetDevice(x->device), "the device") || !copy_question(x, q) || !x->o.good(cudaEventRecord(x->begun, x->stream), "an event") ||
        !scan_all(x, q) || !x->o.good(cudaEventRecord(x->ended, x->stream), "an event") || !x->o.good(cudaStreamSynchronize(x->stream), "a search") ||
        !x->o.good(cudaEventElapsedTime(&x->ms, x->begun, x->ended), "an event")) {
        return false;
    }
    for (size_t i = 0; i < q->len; i++) {
        const uint32_t len = x->answer[i], some = len < PW_CUDA_CANDIDATES_MAX ? len : PW_CUDA_CANDIDATES_MAX;
        ret_len[i] = len;
        (void)memcpy(ret_rows + i * PW_CUDA_CANDIDATES_MAX, x->answer + queries_max + i * PW_CUDA_CANDIDATES_MAX, some * sizeof *ret_rows);
    }
    return true;
}

/* ---- life ---- */

uint32_t greatest_common(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

template <int tiles> bool prepare(pw_cuda_index *x, int processors, int *ret_blocks)
{
    const size_t bytes = scan_bytes(tiles, x->there.stride);
    int blocks = 0;
    if (!x->o.good(cudaFuncSetAttribute(scan<tiles, false>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), "shared memory") ||
        !x->o.good(cudaFuncSetAttribute(scan<tiles, true>, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), "shared memory") ||
        !x->o.good(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, scan<tiles, false>, int(scan_threads), bytes), "the device")) {
        return false;
    }
    *ret_blocks = processors * (blocks > 0 ? blocks : 1);
    return true;
}

bool prepare_all(pw_cuda_index *x)
{
    int processors = 1;
    return x->o.good(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, x->device), "the device") &&
           x->o.good(cudaFuncSetAttribute(cut, cudaFuncAttributeMaxDynamicSharedMemorySize, int(cut_bytes)), "shared memory") &&
           prepare<1>(x, processors, &x->blocks_at_once[0]) && prepare<2>(x, processors, &x->blocks_at_once[1]) &&
           prepare<4>(x, processors, &x->blocks_at_once[2]) && prepare<8>(x, processors, &x->blocks_at_once[3]);
}

bool take_answer(pw_cuda_index *x)
{
    void *answer = nullptr, *of_device = nullptr;
    if (!x->o.good(cudaHostAlloc(&answer, queries_max * (1 + PW_CUDA_CANDIDATES_MAX) * sizeof(uint32_t), cudaHostAllocMapped), "pinned memory")) {
        return false;
    }
    x->answer = static_cast<uint32_t *>(answer);
    if (!x->o.good(cudaHostGetDevicePointer(&of_device, answer, 0), "pinned memory")) {
        return false;
    }
    x->answer_of_device = static_cast<uint32_t *>(of_device);
    return true;
}

bool open_all(pw_cuda_index *x, const pw_cuda_rows *rows)
{
    search_there *s = &x->there;
    const size_t numbers = rows->len * rows->stride;
    s->len = uint32_t(rows->len);
    s->stride = uint32_t(rows->stride);
    s->groups = uint32_t((rows->len + group_rows - 1) / group_rows);
    s->by = (rows->without & PW_CUDA_WITHOUT_SCATTER) != 0 ? 1 : uint32_t(double(s->groups) * 0.618) + 1;
    while (greatest_common(s->by, s->groups) != 1) {
        s->by++;
    }
    if (!x->o.good(cudaSetDevice(x->device), "the device") || !x->o.good(cudaStreamCreateWithFlags(&x->stream, cudaStreamNonBlocking), "a stream") ||
        !x->o.good(cudaEventCreate(&x->begun), "an event") || !x->o.good(cudaEventCreate(&x->ended), "an event") || !prepare_all(x) ||
        !take(x, numbers, &x->rows) || !take(x, queries_max * rows->stride, &x->queries) || !take(x, (rows->len + 63) / 64, &x->wanted) ||
        !take(x, queries_max, &x->errors) || !take(x, queries_max, &s->least) || !take(x, queries_max, &s->lens) || !take(x, queries_max, &s->over) ||
        !take(x, queries_max * list_max, &s->lists) || !take_answer(x)) {
        return false;
    }
    s->rows = x->rows;
    s->queries = x->queries;
    s->errors = x->errors;
    return x->o.good(cudaMemcpy(x->rows, rows->halves, numbers * sizeof(__half), cudaMemcpyHostToDevice), "rows") &&
           x->o.good(cudaDeviceSynchronize(), "rows"); /* a copy may return before it has arrived, and searches do not wait for it */
}
} // namespace

void pw_cuda_index_close(pw_cuda_index *x)
{
    if (x == nullptr) {
        return;
    }
    (void)cudaSetDevice(x->device);
    if (x->stream != nullptr) {
        (void)cudaStreamSynchronize(x->stream);
        (void)cudaStreamDestroy(x->stream);
    }
    if (x->begun != nullptr) {
        (void)cudaEventDestroy(x->begun);
    }
    if (x->ended != nullptr) {
        (void)cudaEventDestroy(x->ended);
    }
    for (void *at : x->memory) {
        (void)cudaFree(at);
    }
    if (x->answer != nullptr) {
        (void)cudaFreeHost(x->answer);
    }
    (void)cudaGetLastError();
    delete x;
}

pw_cuda_status pw_cuda_index_open(int device, const pw_cuda_rows *rows, pw_cuda_index **ret_index, char *message)
{
    if (rows->len < 1 || rows->len > 0xffffff00u || rows->stride < 32 || rows->stride % 32 != 0 || rows->stride > 1600) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "%zu rows of %zu numbers", rows->len, rows->stride);
        return PW_CUDA_UNSUPPORTED;
    }
    pw_cuda_index *x = new (std::nothrow) pw_cuda_index;
    if (x == nullptr) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "no memory");
        return PW_CUDA_NOMEM;
    }
    x->o.message = message;
    x->device = device;
    x->without = rows->without;
    try {
        (void)open_all(x, rows);
    } catch (const std::bad_alloc &) {
        (void)x->o.fail(PW_CUDA_NOMEM, "rows", "no memory");
    }
    const pw_cuda_status status = x->o.status;
    if (status != PW_CUDA_OK) {
        pw_cuda_index_close(x);
        return status;
    }
    *ret_index = x;
    return PW_CUDA_OK;
}

pw_cuda_status pw_cuda_index_search(pw_cuda_index *x, const pw_cuda_question *q, uint32_t *ret_rows, uint32_t *ret_len, char *message)
{
    x->o.message = message;
    if (x->o.status != PW_CUDA_OK) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "the device failed before");
        return x->o.status;
    }
    if (q->len < 1 || q->len > queries_max || q->k < 1 || q->k > PW_CUDA_CANDIDATES_MAX / 2) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "%zu queries for the %zu nearest", q->len, q->k);
        return PW_CUDA_UNSUPPORTED;
    }
    if (!search_all(x, q, ret_rows, ret_len)) {
        (void)cudaStreamSynchronize(x->stream); /* copies that were begun read the caller's memory */
    }
    return x->o.status;
}

float pw_cuda_index_ms(const pw_cuda_index *x)
{
    return x->ms;
}
