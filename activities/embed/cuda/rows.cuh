/*
 * rows.cuh - kernels for rows: a warp for each, statistics in 32 bits. Of a row a lane has every 32nd group of four numbers, so that a warp reads whole lines.
 */
#ifndef PW_EMBED_ROWS_CUH
#define PW_EMBED_ROWS_CUH

#include "activities/embed/cuda/texts.cuh"

#include <pawl_device.cuh>

namespace
{
constexpr unsigned row_warps = 4; /* rows of a block */
constexpr unsigned all_lanes = 0xffffffffu;

__device__ inline float warp_sum(float x)
{
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(all_lanes, x, step);
    }
    return x;
}

__device__ inline float4 four_of(const __half *at)
{
    const uint2 both = *reinterpret_cast<const uint2 *>(at);
    const float2 a = __half22float2(*reinterpret_cast<const __half2 *>(&both.x)), b = __half22float2(*reinterpret_cast<const __half2 *>(&both.y));
    return make_float4(a.x, a.y, b.x, b.y);
}

__device__ inline void put_four(__half *at, float4 v)
{
    const __half2 a = __float22half2_rn(make_float2(v.x, v.y)), b = __float22half2_rn(make_float2(v.z, v.w));
    uint2 both;
    both.x = *reinterpret_cast<const uint32_t *>(&a);
    both.y = *reinterpret_cast<const uint32_t *>(&b);
    *reinterpret_cast<uint2 *>(at) = both;
}

__device__ inline float4 plus(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

/* A row with mean 0 and deviation 1, scaled: steps groups of a lane, those beyond fours are none. */
template <int steps>
__device__ void norm_row(float4 (&row)[steps], int fours, const float4 *scale, const float4 *shift, float epsilon, __half *out)
{
    const int lane = int(threadIdx.x % 32);
    const float width = 4.0f * float(fours);
    float sum = 0, square = 0;
#pragma unroll
    for (int i = 0; i < steps; i++) {
        sum += lane + 32 * i < fours ? row[i].x + row[i].y + row[i].z + row[i].w : 0;
    }
    const float mean = warp_sum(sum) / width;
#pragma unroll
    for (int i = 0; i < steps; i++) {
        row[i] = make_float4(row[i].x - mean, row[i].y - mean, row[i].z - mean, row[i].w - mean);
        square += lane + 32 * i < fours ? row[i].x * row[i].x + row[i].y * row[i].y + row[i].z * row[i].z + row[i].w * row[i].w : 0;
    }
    const float by = rsqrtf(warp_sum(square) / width + epsilon);
#pragma unroll
    for (int i = 0; i < steps; i++) {
        const int at = lane + 32 * i;
        if (at < fours) {
            const float4 s = scale[at], t = shift[at];
            put_four(out + 4 * at, make_float4(row[i].x * by * s.x + t.x, row[i].y * by * s.y + t.y, row[i].z * by * s.z + t.z, row[i].w * by * s.w + t.w));
        }
    }
}

/* The rows of the words and of their places, summed and normed. Every row of the pass has an id, those after the last text too. */
template <int steps>
__global__ void gather_norm(const uint32_t *ids, const uint32_t *places, const __half *words, const __half *positions, const float4 *types,
                            const float4 *scale, const float4 *shift, int fours, float epsilon, __half *x)
{
    const size_t r = size_t(blockIdx.x) * row_warps + threadIdx.x / 32;
    const __half *word = words + size_t(ids[r]) * 4 * fours, *place = positions + size_t(places[r]) * 4 * fours;
    float4 row[steps];
#pragma unroll
    for (int i = 0; i < steps; i++) {
        const int at = int(threadIdx.x % 32) + 32 * i;
        row[i] = at < fours ? plus(plus(four_of(word + 4 * at), four_of(place + 4 * at)), types[at]) : make_float4(0, 0, 0, 0);
    }
    norm_row<steps>(row, fours, scale, shift, epsilon, x + r * 4 * fours);
}

/* x = norm(x + y) */
template <int steps>
__global__ void add_norm(__half *x, const __half *y, const float4 *scale, const float4 *shift, int fours, float epsilon)
{
    const size_t r = (size_t(blockIdx.x) * row_warps + threadIdx.x / 32) * 4 * fours;
    float4 row[steps];
#pragma unroll
    for (int i = 0; i < steps; i++) {
        const int at = int(threadIdx.x % 32) + 32 * i;
        row[i] = at < fours ? plus(four_of(x + r + 4 * at), four_of(y + r + 4 * at)) : make_float4(0, 0, 0, 0);
    }
    norm_row<steps>(row, fours, scale, shift, epsilon, x + r);
}

/* x times the share of the normal distribution below x, by Abramowitz and Stegun 7.1.26: off by at most 1.5e-7 of x, where 16 bits are off by 2.4e-4. erff has
 * a branch, and took longer than the memory. */
__device__ inline float gelu_of(float x)
{
    const float a = fabsf(x) * 0.70710678f, t = pw_one_by(1 + 0.3275911f * a);
    const float tail = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    const float half = 0.5f * tail * pw_power_of_two(-1.44269504f * a * a); /* what is beyond |x| */
    return x * (x < 0 ? half : 1 - half);
}

__device__ inline uint32_t gelu_of_pair(uint32_t pair)
{
    const float2 v = __half22float2(*reinterpret_cast<const __half2 *>(&pair));
    const __half2 both = __float22half2_rn(make_float2(gelu_of(v.x), gelu_of(v.y)));
    return *reinterpret_cast<const uint32_t *>(&both);
}

/* Eight numbers a thread, read and written at once. */
__global__ void gelu(__half *x, size_t eights)
{
    const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < eights) {
        const uint4 v = reinterpret_cast<const uint4 *>(x)[i];
        reinterpret_cast<uint4 *>(x)[i] = make_uint4(gelu_of_pair(v.x), gelu_of_pair(v.y), gelu_of_pair(v.z), gelu_of_pair(v.w));
    }
}

/* Numbers to try a product on: no zeros, which are multiplied faster than others. */
__global__ void some_numbers(__half *x, size_t len)
{
    const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < len) {
        x[i] = __float2half_rn(float((uint32_t(i) * 2654435761u) >> 20) / 2048 - 1);
    }
}

/* The sum of a text's rows in one group of four columns, as the warps of the block left it. */
__device__ inline float4 sum_of_warps(const float4 *parts, int fours, int at)
{
    float4 sum = parts[at];
    for (unsigned warp = 1; warp < blockDim.x / 32; warp++) {
        sum = plus(sum, parts[size_t(warp) * fours + at]);
    }
    return sum;
}

/* Texts to vectors: the mean of a text's rows, or its first. The warps of a block share a text's rows, and their sums are added in order, so that the result is
 * always the same; each warp does so for the length, and writes its part. Shared memory: a row of floats for each warp. */
__global__ void pool(const __half *x, pw_pass_texts texts, int fours, int first, int normalize, float *vectors)
{
    float4 *const parts = reinterpret_cast<float4 *>(pw_shared_room);
    const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32), warps = int(blockDim.x / 32);
    for (uint32_t text = blockIdx.x; text < texts.head->texts; text += gridDim.x) {
        const uint32_t begin = texts.begins[text], end = first ? begin + 1 : texts.begins[text + 1];
        for (int at = lane; at < fours; at += 32) {
            float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 8
            for (uint32_t r = begin + uint32_t(warp); r < end; r += uint32_t(warps)) {
                sum = plus(sum, four_of(x + (size_t(r) * fours + at) * 4));
            }
            parts[size_t(warp) * fours + at] = sum;
        }
        __syncthreads();
        float square = 0;
        for (int at = lane; at < fours; at += 32) {
            const float4 v = sum_of_warps(parts, fours, at);
            square += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        }
        const float mean = 1 / float(end - begin);
        const float by = normalize ? mean / fmaxf(sqrtf(warp_sum(square)) * mean, 1e-12f) : mean;
        for (int at = lane + 32 * warp; at < fours; at += 32 * warps) {
            const float4 v = sum_of_warps(parts, fours, at);
            reinterpret_cast<float4 *>(vectors)[size_t(text) * fours + at] = make_float4(v.x * by, v.y * by, v.z * by, v.w * by);
        }
        __syncthreads(); /* the parts have been read */
    }
}
} // namespace

#endif
