/*
 * encode_cuda.cu - the encoder on a GPU: 16-bit rows, sums in 32 bits, matrix products by cuBLASLt, the rest by the kernels here. Rows of many texts lie
 * packed, without padding; a pass takes as many whole texts as there is room for.
 *
 * No exit, no global: every call is checked, and what fails is said to the caller, who goes on without the device. GELU is the exact one (erf), which
 * is why it is a kernel and not an epilogue of the product. Does not tokenise and does not choose a device.
 */
#include "activities/embed/cuda.h"

#include <cublasLt.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <memory>
#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vector>

namespace
{
constexpr int row_threads = 128;
constexpr size_t workspace_bytes = size_t(32) << 20;
constexpr int products = 4;    /* mix, out, up, down */
constexpr size_t row_step = 64; /* products are of so many rows or a multiple: what lies beyond the last row is computed and not looked at */

/* ---- kernels: a block for each row ---- */

__device__ float sum_of_block(float x)
{
    __shared__ float warps[32];
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    __syncthreads(); /* the last sum has been read */
    if (threadIdx.x % 32 == 0) {
        warps[threadIdx.x / 32] = x;
    }
    __syncthreads();
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x / 32; i++) {
        sum += warps[i];
    }
    return sum;
}

/* row (floats in shared memory) becomes out, with mean 0 and deviation 1, scaled. */
__device__ void norm_row(const float *row, int width, const float *scale, const float *shift, float epsilon, __half *out)
{
    float sum = 0, square = 0;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        sum += row[k];
    }
    const float mean = sum_of_block(sum) / width;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        square += (row[k] - mean) * (row[k] - mean);
    }
    const float by = rsqrtf(sum_of_block(square) / width + epsilon);
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        out[k] = __float2half_rn((row[k] - mean) * by * scale[k] + shift[k]);
    }
}

__global__ void gather_norm(const uint32_t *ids, const uint32_t *places, const __half *words, const __half *positions, const float *types,
                            const float *scale, const float *shift, int width, float epsilon, __half *x)
{
    extern __shared__ float row[];
    const size_t word = size_t(ids[blockIdx.x]) * width, place = size_t(places[blockIdx.x]) * width;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        row[k] = __half2float(words[word + k]) + __half2float(positions[place + k]) + types[k];
    }
    __syncthreads();
    norm_row(row, width, scale, shift, epsilon, x + size_t(blockIdx.x) * width);
}

/* x = norm(x + y) */
__global__ void add_norm(__half *x, const __half *y, const float *scale, const float *shift, int width, float epsilon)
{
    extern __shared__ float row[];
    const size_t at = size_t(blockIdx.x) * width;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        row[k] = __half2float(x[at + k]) + __half2float(y[at + k]);
    }
    __syncthreads();
    norm_row(row, width, scale, shift, epsilon, x + at);
}

__global__ void gelu(__half2 *x, size_t len)
{
    const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < len) {
        float2 v = __half22float2(x[i]);
        v.x = 0.5f * v.x * (1 + erff(v.x * 0.70710678f));
        v.y = 0.5f * v.y * (1 + erff(v.y * 0.70710678f));
        x[i] = __float22half2_rn(v);
    }
}

/* One head of one text: its keys and values in shared memory, a thread for each query, softmax as it goes (the largest score so far scales what was
 * added up). mix is [tokens][3 width]: queries, keys, values. */
__global__ void attend(const __half *mix, const uint32_t *begins, int width, float scale, __half *out)
{
    extern __shared__ __half2 shared[];
    constexpr int half_head = PW_CUDA_HEAD / 2;
    const uint32_t begin = begins[blockIdx.x], len = begins[blockIdx.x + 1] - begin;
    const int from = blockIdx.y * PW_CUDA_HEAD;
    __half2 *keys = shared, *values = shared + size_t(len) * half_head;
    for (uint32_t i = threadIdx.x; i < len * half_head; i += blockDim.x) {
        const __half *row = mix + size_t(begin + i / half_head) * 3 * width + from;
        keys[i] = reinterpret_cast<const __half2 *>(row + width)[i % half_head];
        values[i] = reinterpret_cast<const __half2 *>(row + 2 * width)[i % half_head];
    }
    __syncthreads();
    for (uint32_t q = threadIdx.x; q < len; q += blockDim.x) {
        const __half2 *query = reinterpret_cast<const __half2 *>(mix + size_t(begin + q) * 3 * width + from);
        float2 asked[half_head], sum[half_head];
        float most = -1e30f, shares = 0;
        for (int k = 0; k < half_head; k++) {
            const float2 v = __half22float2(query[k]);
            asked[k] = make_float2(v.x * scale, v.y * scale); /* log2(e) is in the scale: exp2 is the cheaper one */
            sum[k] = make_float2(0, 0);
        }
        for (uint32_t j = 0; j < len; j++) {
            float score = 0;
#pragma unroll
            for (int k = 0; k < half_head; k++) {
                const float2 v = __half22float2(keys[size_t(j) * half_head + k]);
                score += asked[k].x * v.x + asked[k].y * v.y;
            }
            if (score > most) {
                const float less = exp2f(most - score);
                shares *= less;
#pragma unroll
                for (int k = 0; k < half_head; k++) {
                    sum[k].x *= less;
                    sum[k].y *= less;
                }
                most = score;
            }
            const float share = exp2f(score - most);
            shares += share;
#pragma unroll
            for (int k = 0; k < half_head; k++) {
                const float2 v = __half22float2(values[size_t(j) * half_head + k]);
                sum[k].x += share * v.x;
                sum[k].y += share * v.y;
            }
        }
        __half2 *to = reinterpret_cast<__half2 *>(out + size_t(begin + q) * width + from);
        const float by = 1 / shares;
#pragma unroll
        for (int k = 0; k < half_head; k++) {
            to[k] = __float22half2_rn(make_float2(sum[k].x * by, sum[k].y * by));
        }
    }
}

__global__ void pool(const __half *x, const uint32_t *begins, int width, int first, int normalize, float *vectors)
{
    extern __shared__ float row[];
    const uint32_t begin = begins[blockIdx.x], end = first ? begin + 1 : begins[blockIdx.x + 1];
    float square = 0;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        float sum = 0;
        for (uint32_t i = begin; i < end; i++) {
            sum += __half2float(x[size_t(i) * width + k]);
        }
        row[k] = sum / float(end - begin);
        square += row[k] * row[k];
    }
    const float length = normalize ? fmaxf(sqrtf(sum_of_block(square)), 1e-12f) : 1;
    for (int k = threadIdx.x; k < width; k += blockDim.x) {
        vectors[size_t(blockIdx.x) * width + k] = row[k] / length;
    }
}

/* ---- the encoder ---- */

struct linear {
    __half *weight = nullptr; /* [out][in] */
    __half *bias = nullptr;
    int out = 0, in = 0;
};

struct norm_pair {
    float *scale = nullptr;
    float *shift = nullptr;
};

/* One kind of product for one number of rows: described and chosen once, used by every layer. */
struct plan {
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulAlgo_t algo;
    bool made = false;
    ~plan()
    {
        (void)cublasLtMatmulPreferenceDestroy(preference);
        (void)cublasLtMatrixLayoutDestroy(c);
        (void)cublasLtMatrixLayoutDestroy(b);
        (void)cublasLtMatrixLayoutDestroy(a);
        (void)cublasLtMatmulDescDestroy(desc);
    }
};

struct layer {
    linear of[products];
    norm_pair after_attention, after_inner;
};

} // namespace

struct pw_cuda_encoder {
    int device = 0;
    int width = 0, inner = 0, heads = 0, layers = 0, positions = 0, first = 0, normalize = 0;
    uint32_t vocabulary = 0;
    float epsilon = 0, kernel_ms = 0;
    size_t tokens = 0;
    cudaStream_t stream = nullptr;
    cudaEvent_t begun = nullptr, ended = nullptr;
    cublasLtHandle_t lt = nullptr;
    void *workspace = nullptr;
    __half *words = nullptr, *position_rows = nullptr;
    float *types = nullptr;
    norm_pair first_norm;
    layer layer_of[PW_CUDA_LAYERS_MAX];
    uint32_t *ids = nullptr, *places = nullptr, *begins = nullptr;
    __half *x = nullptr, *mix = nullptr, *heads_out = nullptr, *y = nullptr, *up = nullptr;
    float *vectors = nullptr;
    std::unique_ptr<plan[]> plans; /* [tokens / row_step][products] */
    std::vector<void *> memory;    /* all of it, to be freed */
    char *message = nullptr;    /* of the call at hand */
};

namespace
{
pw_cuda_status failed(pw_cuda_encoder *e, const char *what, const char *why, bool memory)
{
    (void)snprintf(e->message, PW_CUDA_MESSAGE_BYTES, "%s: %s", what, why);
    return memory ? PW_CUDA_NOMEM : PW_CUDA_LOST;
}

pw_cuda_status check(pw_cuda_encoder *e, cudaError_t error, const char *what)
{
    return error == cudaSuccess ? PW_CUDA_OK : failed(e, what, cudaGetErrorString(error), error == cudaErrorMemoryAllocation);
}

pw_cuda_status check_lt(pw_cuda_encoder *e, cublasStatus_t status, const char *what)
{
    return status == CUBLAS_STATUS_SUCCESS ? PW_CUDA_OK : failed(e, what, cublasLtGetStatusString(status), status == CUBLAS_STATUS_ALLOC_FAILED);
}

template <typename T> pw_cuda_status take(pw_cuda_encoder *e, size_t len, T **ret)
{
    void *at = nullptr;
    const pw_cuda_status status = check(e, cudaMalloc(&at, len * sizeof(T)), "memory of the device");
    if (status == PW_CUDA_OK) {
        e->memory.push_back(at);
        *ret = static_cast<T *>(at);
    }
    return status;
}

pw_cuda_status put_floats(pw_cuda_encoder *e, const float *from, size_t len, float **ret)
{
    const pw_cuda_status status = take(e, len, ret);
    return status == PW_CUDA_OK ? check(e, cudaMemcpy(*ret, from, len * sizeof *from, cudaMemcpyHostToDevice), "weights") : status;
}

pw_cuda_status put_halves(pw_cuda_encoder *e, const std::vector<__half> &from, __half **ret)
{
    const pw_cuda_status status = take(e, from.size(), ret);
    return status == PW_CUDA_OK ? check(e, cudaMemcpy(*ret, from.data(), from.size() * sizeof(__half), cudaMemcpyHostToDevice), "weights") : status;
}

void add_halves(std::vector<__half> &to, const float *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to.push_back(__float2half_rn(from[i]));
    }
}

/* Matrices [out][in] side by side, as one product. */
pw_cuda_status put_linear(pw_cuda_encoder *e, const pw_cuda_linear *const *from, int count, int out, int in, linear *to)
{
    std::vector<__half> weight, bias;
    for (int i = 0; i < count; i++) {
        add_halves(weight, from[i]->weight, size_t(out) * in);
        add_halves(bias, from[i]->bias, out);
    }
    to->out = count * out;
    to->in = in;
    const pw_cuda_status status = put_halves(e, weight, &to->weight);
    return status == PW_CUDA_OK ? put_halves(e, bias, &to->bias) : status;
}

pw_cuda_status put_norm(pw_cuda_encoder *e, const pw_cuda_norm &from, norm_pair *to)
{
    const pw_cuda_status status = put_floats(e, from.scale, e->width, &to->scale);
    return status == PW_CUDA_OK ? put_floats(e, from.shift, e->width, &to->shift) : status;
}

pw_cuda_status put_layer(pw_cuda_encoder *e, const pw_cuda_layer &from, layer *to)
{
    const pw_cuda_linear *const mix[] = {&from.query, &from.key, &from.value};
    const pw_cuda_linear *const out[] = {&from.out}, *const up[] = {&from.up}, *const down[] = {&from.down};
    pw_cuda_status status = put_linear(e, mix, 3, e->width, e->width, &to->of[0]);
    status = status == PW_CUDA_OK ? put_linear(e, out, 1, e->width, e->width, &to->of[1]) : status;
    status = status == PW_CUDA_OK ? put_linear(e, up, 1, e->inner, e->width, &to->of[2]) : status;
    status = status == PW_CUDA_OK ? put_linear(e, down, 1, e->width, e->inner, &to->of[3]) : status;
    status = status == PW_CUDA_OK ? put_norm(e, from.after_attention, &to->after_attention) : status;
    return status == PW_CUDA_OK ? put_norm(e, from.after_inner, &to->after_inner) : status;
}

pw_cuda_status put_model(pw_cuda_encoder *e, const pw_cuda_model *m)
{
    std::vector<__half> words, positions;
    add_halves(words, m->words, size_t(m->vocabulary) * m->width);
    add_halves(positions, m->position_rows, size_t(m->positions) * m->width);
    pw_cuda_status status = put_halves(e, words, &e->words);
    status = status == PW_CUDA_OK ? put_halves(e, positions, &e->position_rows) : status;
    status = status == PW_CUDA_OK ? put_floats(e, m->types, m->width, &e->types) : status;
    status = status == PW_CUDA_OK ? put_norm(e, m->norm, &e->first_norm) : status;
    for (uint32_t i = 0; i < m->layers && status == PW_CUDA_OK; i++) {
        status = put_layer(e, m->layer[i], &e->layer_of[i]);
    }
    return status;
}

pw_cuda_status take_room(pw_cuda_encoder *e)
{
    const size_t t = e->tokens, width = e->width;
    pw_cuda_status status = take(e, t, &e->ids);
    status = status == PW_CUDA_OK ? take(e, t, &e->places) : status;
    status = status == PW_CUDA_OK ? take(e, t + 1, &e->begins) : status;
    status = status == PW_CUDA_OK ? take(e, t * width, &e->x) : status;
    status = status == PW_CUDA_OK ? take(e, t * 3 * width, &e->mix) : status;
    status = status == PW_CUDA_OK ? take(e, t * width, &e->heads_out) : status;
    status = status == PW_CUDA_OK ? take(e, t * width, &e->y) : status;
    status = status == PW_CUDA_OK ? take(e, t * e->inner, &e->up) : status;
    status = status == PW_CUDA_OK ? take(e, t * width, &e->vectors) : status;
    unsigned char *workspace = nullptr;
    status = status == PW_CUDA_OK ? take(e, workspace_bytes, &workspace) : status;
    e->workspace = workspace;
    return status;
}

/* ---- one product: y [rows][out] = x [rows][in] times weight plus bias ---- */

/* What is row-major here is column-major there, so that the product is of the transposed: y' = weight x'. */
cublasStatus_t describe(plan *p, const linear &l, size_t rows)
{
    const cublasOperation_t turned = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t bias_type = CUDA_R_16F;
    cublasStatus_t s = cublasLtMatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &l.bias, sizeof l.bias) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatrixLayoutCreate(&p->a, CUDA_R_16F, l.in, l.out, l.in) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatrixLayoutCreate(&p->b, CUDA_R_16F, l.in, rows, l.in) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatrixLayoutCreate(&p->c, CUDA_R_16F, l.out, rows, l.out) : s;
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulPreferenceCreate(&p->preference) : s;
    return s == CUBLAS_STATUS_SUCCESS
               ? cublasLtMatmulPreferenceSetAttribute(p->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes)
               : s;
}

cublasStatus_t make(pw_cuda_encoder *e, plan *p, const linear &l, size_t rows)
{
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    cublasStatus_t s = describe(p, l, rows);
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulAlgoGetHeuristic(e->lt, p->desc, p->a, p->b, p->c, p->c, p->preference, 1, &best, &found) : s;
    s = s == CUBLAS_STATUS_SUCCESS && found == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : s;
    if (s == CUBLAS_STATUS_SUCCESS) {
        p->algo = best.algo;
        p->made = true;
    }
    return s;
}

pw_cuda_status multiply(pw_cuda_encoder *e, const layer &of, int kind, const __half *x, size_t rows, __half *y)
{
    const float one = 1, zero = 0;
    const size_t steps = (rows + row_step - 1) / row_step;
    const linear &l = of.of[kind];
    plan *p = &e->plans[(steps - 1) * products + kind];
    cublasStatus_t s = p->made ? CUBLAS_STATUS_SUCCESS : make(e, p, l, steps * row_step);
    s = s == CUBLAS_STATUS_SUCCESS ? cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &l.bias, sizeof l.bias) : s;
    if (s == CUBLAS_STATUS_SUCCESS) {
        s = cublasLtMatmul(e->lt, p->desc, &one, l.weight, p->a, x, p->b, &zero, y, p->c, y, p->c, &p->algo, e->workspace, workspace_bytes, e->stream);
    }
    return check_lt(e, s, "a matrix product");
}

/* ---- a pass ---- */

pw_cuda_status run_layer(pw_cuda_encoder *e, const layer &l, size_t rows, size_t texts, uint32_t longest)
{
    const int width = e->width;
    const size_t row = width * sizeof(float);
    const unsigned threads = longest >= 128 ? 128 : (longest + 31) / 32 * 32;
    const size_t shared = size_t(longest) * PW_CUDA_HEAD * 2 * sizeof(__half);
    const float scale = 1.44269504f / sqrtf(float(PW_CUDA_HEAD));
    pw_cuda_status status = multiply(e, l, 0, e->x, rows, e->mix);
    if (status != PW_CUDA_OK) {
        return status;
    }
    attend<<<dim3(unsigned(texts), e->heads), threads, shared, e->stream>>>(e->mix, e->begins, width, scale, e->heads_out);
    status = multiply(e, l, 1, e->heads_out, rows, e->y);
    if (status != PW_CUDA_OK) {
        return status;
    }
    add_norm<<<unsigned(rows), row_threads, row, e->stream>>>(e->x, e->y, l.after_attention.scale, l.after_attention.shift, width, e->epsilon);
    status = multiply(e, l, 2, e->x, rows, e->up);
    if (status != PW_CUDA_OK) {
        return status;
    }
    const size_t pairs = rows * e->inner / 2;
    gelu<<<unsigned((pairs + 255) / 256), 256, 0, e->stream>>>(reinterpret_cast<__half2 *>(e->up), pairs);
    status = multiply(e, l, 3, e->up, rows, e->y);
    if (status != PW_CUDA_OK) {
        return status;
    }
    add_norm<<<unsigned(rows), row_threads, row, e->stream>>>(e->x, e->y, l.after_inner.scale, l.after_inner.shift, width, e->epsilon);
    return check(e, cudaGetLastError(), "a layer");
}

struct pass {
    std::vector<uint32_t> ids, places, begins;
    uint32_t longest = 0;
};

pw_cuda_status copy_in(pw_cuda_encoder *e, const pass &p)
{
    const size_t size = p.ids.size() * sizeof(uint32_t);
    pw_cuda_status status = check(e, cudaMemcpyAsync(e->ids, p.ids.data(), size, cudaMemcpyHostToDevice, e->stream), "ids");
    status = status == PW_CUDA_OK ? check(e, cudaMemcpyAsync(e->places, p.places.data(), size, cudaMemcpyHostToDevice, e->stream), "places") : status;
    return status == PW_CUDA_OK
               ? check(e, cudaMemcpyAsync(e->begins, p.begins.data(), p.begins.size() * sizeof(uint32_t), cudaMemcpyHostToDevice, e->stream), "texts")
               : status;
}

pw_cuda_status run_pass(pw_cuda_encoder *e, const pass &p, float *vectors)
{
    const size_t rows = p.ids.size(), texts = p.begins.size() - 1, row = e->width * sizeof(float);
    float ms = 0;
    pw_cuda_status status = copy_in(e, p);
    status = status == PW_CUDA_OK ? check(e, cudaEventRecord(e->begun, e->stream), "an event") : status;
    if (status != PW_CUDA_OK) {
        return status;
    }
    gather_norm<<<unsigned(rows), row_threads, row, e->stream>>>(e->ids, e->places, e->words, e->position_rows, e->types, e->first_norm.scale,
                                                                 e->first_norm.shift, e->width, e->epsilon, e->x);
    for (int i = 0; i < e->layers && status == PW_CUDA_OK; i++) {
        status = run_layer(e, e->layer_of[i], rows, texts, p.longest);
    }
    if (status != PW_CUDA_OK) {
        return status;
    }
    pool<<<unsigned(texts), row_threads, row, e->stream>>>(e->x, e->begins, e->width, e->first, e->normalize, e->vectors);
    status = check(e, cudaGetLastError(), "pooling");
    status = status == PW_CUDA_OK ? check(e, cudaEventRecord(e->ended, e->stream), "an event") : status;
    status = status == PW_CUDA_OK ? check(e, cudaMemcpyAsync(vectors, e->vectors, texts * row, cudaMemcpyDeviceToHost, e->stream), "vectors") : status;
    status = status == PW_CUDA_OK ? check(e, cudaStreamSynchronize(e->stream), "a pass") : status;
    status = status == PW_CUDA_OK ? check(e, cudaEventElapsedTime(&ms, e->begun, e->ended), "an event") : status;
    e->kernel_ms += ms;
    return status;
}

pw_cuda_status check_texts(pw_cuda_encoder *e, const pw_cuda_texts *texts)
{
    for (size_t i = 0; i < texts->len; i++) {
        const uint32_t len = texts->begins[i + 1] - texts->begins[i];
        if (len < 1 || len > PW_CUDA_TOKENS_MAX || len > uint32_t(e->positions) || len > e->tokens) {
            (void)snprintf(e->message, PW_CUDA_MESSAGE_BYTES, "text %zu has %u ids", i, len);
            return PW_CUDA_UNSUPPORTED;
        }
        for (uint32_t k = texts->begins[i]; k < texts->begins[i + 1]; k++) {
            if (texts->ids[k] >= e->vocabulary) {
                (void)snprintf(e->message, PW_CUDA_MESSAGE_BYTES, "text %zu has the id %u", i, texts->ids[k]);
                return PW_CUDA_UNSUPPORTED;
            }
        }
    }
    return PW_CUDA_OK;
}

pw_cuda_status encode_all(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *vectors)
{
    pw_cuda_status status = check_texts(e, texts);
    status = status == PW_CUDA_OK ? check(e, cudaSetDevice(e->device), "the device") : status;
    for (size_t at = 0; at < texts->len && status == PW_CUDA_OK;) {
        pass p;
        const size_t first = at;
        p.begins.push_back(0);
        while (at < texts->len && p.ids.size() + texts->begins[at + 1] - texts->begins[at] <= e->tokens) {
            const uint32_t len = texts->begins[at + 1] - texts->begins[at];
            for (uint32_t k = 0; k < len; k++) {
                p.ids.push_back(texts->ids[texts->begins[at] + k]);
                p.places.push_back(k);
            }
            p.begins.push_back(uint32_t(p.ids.size()));
            p.longest = len > p.longest ? len : p.longest;
            at++;
        }
        status = run_pass(e, p, vectors + first * e->width);
    }
    return status;
}

pw_cuda_status encode(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *vectors, char *message)
{
    e->message = message;
    e->kernel_ms = 0;
    try {
        return encode_all(e, texts, vectors);
    } catch (const std::bad_alloc &) {
        return failed(e, "texts", "no memory", true);
    }
}

/* ---- life ---- */

void close_encoder(pw_cuda_encoder *e)
{
    if (e == nullptr) {
        return;
    }
    (void)cudaSetDevice(e->device);
    e->plans.reset();
    for (void *at : e->memory) {
        (void)cudaFree(at);
    }
    if (e->lt != nullptr) {
        (void)cublasLtDestroy(e->lt);
    }
    if (e->begun != nullptr) {
        (void)cudaEventDestroy(e->begun);
    }
    if (e->ended != nullptr) {
        (void)cudaEventDestroy(e->ended);
    }
    if (e->stream != nullptr) {
        (void)cudaStreamDestroy(e->stream);
    }
    delete e;
}

bool fits(const pw_cuda_model *m)
{
    return m->width == m->heads * PW_CUDA_HEAD && m->width % 8 == 0 && m->inner % 8 == 0 && m->width <= 8192 && m->layers <= PW_CUDA_LAYERS_MAX;
}

pw_cuda_status open_all(pw_cuda_encoder *e, const pw_cuda_model *m)
{
    constexpr int shared = PW_CUDA_TOKENS_MAX * PW_CUDA_HEAD * 2 * sizeof(__half);
    pw_cuda_status status = check(e, cudaSetDevice(e->device), "the device");
    status = status == PW_CUDA_OK ? check(e, cudaStreamCreateWithFlags(&e->stream, cudaStreamNonBlocking), "a stream") : status;
    status = status == PW_CUDA_OK ? check(e, cudaEventCreate(&e->begun), "an event") : status;
    status = status == PW_CUDA_OK ? check(e, cudaEventCreate(&e->ended), "an event") : status;
    status = status == PW_CUDA_OK ? check_lt(e, cublasLtCreate(&e->lt), "cuBLASLt") : status;
    status = status == PW_CUDA_OK ? check(e, cudaFuncSetAttribute(attend, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), "shared memory") : status;
    status = status == PW_CUDA_OK ? put_model(e, m) : status;
    return status == PW_CUDA_OK ? take_room(e) : status;
}

pw_cuda_status open_encoder(int device, const pw_cuda_model *m, size_t tokens, pw_cuda_encoder **ret_encoder, char *message)
{
    if (!fits(m) || tokens < 1) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "heads of %u numbers are what the kernels compute", PW_CUDA_HEAD);
        return PW_CUDA_UNSUPPORTED;
    }
    pw_cuda_encoder *e = new (std::nothrow) pw_cuda_encoder;
    if (e == nullptr) {
        (void)snprintf(message, PW_CUDA_MESSAGE_BYTES, "no memory");
        return PW_CUDA_NOMEM;
    }
    e->device = device;
    e->message = message;
    e->width = int(m->width);
    e->inner = int(m->inner);
    e->heads = int(m->heads);
    e->layers = int(m->layers);
    e->positions = int(m->positions);
    e->vocabulary = m->vocabulary;
    e->epsilon = m->epsilon;
    e->first = m->first;
    e->normalize = m->normalize;
    e->tokens = (tokens + row_step - 1) / row_step * row_step;
    pw_cuda_status status;
    try {
        e->plans.reset(new plan[e->tokens / row_step * products]);
        status = open_all(e, m);
    } catch (const std::bad_alloc &) {
        status = failed(e, "a model", "no memory", true);
    }
    if (status != PW_CUDA_OK) {
        close_encoder(e);
        return status;
    }
    *ret_encoder = e;
    return PW_CUDA_OK;
}

int devices(void)
{
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

float kernel_ms(const pw_cuda_encoder *e)
{
    return e->kernel_ms;
}

const pw_cuda_ops ops = {PW_CUDA_VERSION, devices, open_encoder, close_encoder, encode, kernel_ms};
} // namespace

extern "C" __attribute__((visibility("default"))) const pw_cuda_ops *pw_cuda_ops_get(void)
{
    return &ops;
}
