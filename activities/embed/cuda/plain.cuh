/*
 * plain.cuh - what the tensor cores do, as in a book: a product and attention by plain loops, a thread for each number or row. Slow, and kept: what these compute
 * and the fast ones do not is a fault of the fast ones (PW_CUDA_WITHOUT_TENSORS).
 */
#ifndef PW_EMBED_PLAIN_CUH
#define PW_EMBED_PLAIN_CUH

#include "activities/embed/cuda/rows.cuh"

namespace
{
constexpr unsigned plain_threads = 128;

__global__ void multiply_plain(const __half *x, const __half *weight, const __half *bias, int out, int in, int curved, size_t rows, __half *y)
{
    const size_t all = rows * size_t(out), step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += step) {
        const __half *const row = x + i / size_t(out) * size_t(in), *const column = weight + i % size_t(out) * size_t(in);
        float sum = __half2float(bias[i % size_t(out)]);
        for (int k = 0; k < in; k++) {
            sum += __half2float(row[k]) * __half2float(column[k]);
        }
        y[i] = __float2half_rn(curved ? gelu_of(sum) : sum);
    }
}

/* One query of one head with all keys of its text, stride halves apart. scale: with log2(e). */
__device__ inline void attend_row(const __half *query, const __half *keys, const __half *values, size_t stride, int len, float scale, __half *out)
{
    float sum[PW_CUDA_HEAD] = {0}, most = -1e30f, shares = 0;
    for (int key = 0; key < len; key++) {
        float score = 0;
        for (unsigned k = 0; k < PW_CUDA_HEAD; k++) {
            score += __half2float(query[k]) * __half2float(keys[size_t(key) * stride + k]);
        }
        score *= scale;
        const float above = fmaxf(most, score), less = pw_power_of_two(most - above), share = pw_power_of_two(score - above);
        most = above;
        shares = shares * less + share;
        for (unsigned k = 0; k < PW_CUDA_HEAD; k++) {
            sum[k] = sum[k] * less + share * __half2float(values[size_t(key) * stride + k]);
        }
    }
    for (unsigned k = 0; k < PW_CUDA_HEAD; k++) {
        out[k] = __float2half_rn(sum[k] / shares);
    }
}

__global__ void attend_plain(const __half *mix, pw_pass_texts texts, int width, int heads, float scale, __half *out)
{
    const size_t stride = size_t(3) * size_t(width);
    for (uint32_t text = blockIdx.x; text < texts.head->texts; text += gridDim.x) {
        const uint32_t begin = texts.begins[text];
        const int len = int(texts.begins[text + 1] - begin);
        for (int i = int(threadIdx.x); i < len * heads; i += int(blockDim.x)) {
            const size_t row = begin + uint32_t(i / heads), at = size_t(i % heads) * PW_CUDA_HEAD;
            const __half *const first = mix + begin * stride + at;
            attend_row(mix + row * stride + at, first + width, first + 2 * width, stride, len, scale, out + row * size_t(width) + at);
        }
    }
}
} // namespace

#endif
