/*
 * attend.cuh - attention over packed texts, heads of 32 numbers: keys and values of a text in shared memory, 16 queries a warp, products by the tensor cores,
 * softmax as it goes (the largest score so far scales what was added up). Nothing of the size of texts x texts is written.
 */
#ifndef PW_EMBED_ATTEND_CUH
#define PW_EMBED_ATTEND_CUH

#include "activities/embed/cuda.h"
#include "activities/embed/cuda/texts.cuh"

#include <pawl_device.cuh>

namespace
{
constexpr int head_size = PW_CUDA_HEAD;
constexpr int head_row = head_size + 8; /* halves of a row in shared memory: 80 bytes, so that eight rows lie in different banks */
constexpr int tile = 16;                /* queries of a warp, keys of a step */

/* What a warp knows of its 16 queries. A lane has rows g and g + 8: g = lane / 4. */
struct attending {
    uint32_t query[2][4]; /* for pw_mma: two steps of 16 of the head's numbers */
    float sum[4][4];      /* four times 8 numbers of the values, weighed and added */
    float most[2];        /* the largest score of the two rows */
    float shares[2];      /* this lane's part of the sum of the weights */
};

__device__ inline uint32_t pair_at(const __half *at)
{
    return *reinterpret_cast<const uint32_t *>(at);
}

__device__ inline uint32_t pair_of(float a, float b)
{
    const __half2 both = __float22half2_rn(make_float2(a, b));
    return *reinterpret_cast<const uint32_t *>(&both);
}

__device__ inline float sum_of_pair(uint32_t pair)
{
    const float2 v = __half22float2(*reinterpret_cast<const __half2 *>(&pair));
    return v.x + v.y;
}

/* queries: the first of 16 rows of which left are there, stride halves apart. */
__device__ inline void attend_begin(attending *a, const __half *queries, size_t stride, int left)
{
    const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const __half *upper = queries + size_t(g) * stride + 16 * i + 2 * t, *lower = upper + 8 * stride;
        a->query[i][0] = g < left ? pair_at(upper) : 0;
        a->query[i][1] = g + 8 < left ? pair_at(lower) : 0;
        a->query[i][2] = g < left ? pair_at(upper + 8) : 0;
        a->query[i][3] = g + 8 < left ? pair_at(lower + 8) : 0;
        a->most[i] = -1e30f;
        a->shares[i] = 0;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        a->sum[i][0] = a->sum[i][1] = a->sum[i][2] = a->sum[i][3] = 0;
    }
}

/* Scores of 16 queries with 16 keys, two times 8, those beyond the last key so low that they weigh nothing. */
__device__ inline void attend_scores(const attending *a, const __half *keys, int left, float scale, float (&scores)[2][4])
{
    const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
#pragma unroll
    for (int n = 0; n < 2; n++) {
        scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const __half *key = keys + (8 * n + g) * head_row + 16 * i + 2 * t;
            pw_mma(scores[n], a->query[i], pair_at(key), pair_at(key + 8));
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            scores[n][i] = 8 * n + 2 * t + i % 2 < left ? scores[n][i] * scale : -1e30f;
        }
    }
}

/* One step: 16 keys and their values. */
__device__ inline void attend_step(attending *a, const __half *keys, const __half *values, int left, float scale)
{
    const int lane = int(threadIdx.x % 32);
    float scores[2][4];
    uint32_t share[4];
    attend_scores(a, keys, left, scale, scores);
#pragma unroll
    for (int row = 0; row < 2; row++) { /* of the lane: the numbers 2 row, 2 row + 1 of scores and sums are its */
        float most = fmaxf(fmaxf(scores[0][2 * row], scores[0][2 * row + 1]), fmaxf(scores[1][2 * row], scores[1][2 * row + 1]));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        most = fmaxf(most, a->most[row]);
        const float less = pw_power_of_two(a->most[row] - most);
        a->most[row] = most;
        share[row] = pair_of(pw_power_of_two(scores[0][2 * row] - most), pw_power_of_two(scores[0][2 * row + 1] - most));
        share[2 + row] = pair_of(pw_power_of_two(scores[1][2 * row] - most), pw_power_of_two(scores[1][2 * row + 1] - most));
        a->shares[row] = a->shares[row] * less + sum_of_pair(share[row]) + sum_of_pair(share[2 + row]);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            a->sum[n][2 * row] *= less;
            a->sum[n][2 * row + 1] *= less;
        }
    }
    const __half *value = values + (lane % 8 + 8 * (lane / 8 % 2)) * head_row + 8 * (lane / 16);
#pragma unroll
    for (int n = 0; n < 4; n += 2) { /* rows 0-7, 8-15 of 8 columns, then of the next 8 */
        uint32_t turned[4];
        pw_load_turned(turned, value + 8 * n);
        pw_mma(a->sum[n], share, turned[0], turned[1]);
        pw_mma(a->sum[n + 1], share, turned[2], turned[3]);
    }
}

__device__ inline void attend_end(const attending *a, __half *out, size_t stride, int left)
{
    const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float shares = a->shares[row];
        shares += __shfl_xor_sync(0xffffffffu, shares, 1);
        shares += __shfl_xor_sync(0xffffffffu, shares, 2);
        const float by = 1 / shares;
        if (g + 8 * row < left) {
#pragma unroll
            for (int n = 0; n < 4; n++) {
                *reinterpret_cast<uint32_t *>(out + size_t(g + 8 * row) * stride + 8 * n + 2 * t) = pair_of(a->sum[n][2 * row] * by, a->sum[n][2 * row + 1] * by);
            }
        }
    }
}

/* Keys and values of some heads of a text: [heads][room][head_row], those up to the next whole step are zero. */
__device__ inline void attend_load(const __half *mix, int width, int heads, int len, int room, __half *keys, __half *values)
{
    const int whole = (len + tile - 1) / tile * tile;
    for (int i = int(threadIdx.x); i < heads * whole * 4; i += int(blockDim.x)) {
        const int eight = i % 4, row = i / 4 % whole, head = i / 4 / whole;
        const int to = (head * room + row) * head_row + 8 * eight;
        const uint4 none = make_uint4(0, 0, 0, 0);
        const __half *from = mix + size_t(row) * 3 * width + head * head_size + 8 * eight;
        *reinterpret_cast<uint4 *>(keys + to) = row < len ? *reinterpret_cast<const uint4 *>(from + width) : none;
        *reinterpret_cast<uint4 *>(values + to) = row < len ? *reinterpret_cast<const uint4 *>(from + 2 * width) : none;
    }
}

/* mix is [rows][3 width]: queries, keys, values. A block takes some heads of a text at a time, so many that short texts fill its warps, too; the shared memory
 * holds room keys and values of each. */
__global__ void attend(const __half *mix, pw_pass_texts texts, int width, int heads, int heads_at_once, int room, float scale, __half *out)
{
    __half *const keys = reinterpret_cast<__half *>(pw_shared_room), *const values = keys + heads_at_once * room * head_row;
    const int warp = int(threadIdx.x / 32), warps = int(blockDim.x / 32), parts = heads / heads_at_once;
    for (uint32_t item = blockIdx.x; item < texts.head->texts * uint32_t(parts); item += gridDim.x) {
        const uint32_t text = texts.order[item / uint32_t(parts)], begin = texts.begins[text];
        const int len = int(texts.begins[text + 1] - begin), tiles = (len + tile - 1) / tile;
        const int first = int(item % uint32_t(parts)) * heads_at_once * head_size;
        const __half *const queries = mix + size_t(begin) * 3 * width + first;
        attend_load(queries, width, heads_at_once, len, room, keys, values);
        __syncthreads();
        for (int i = warp; i < heads_at_once * tiles; i += warps) {
            const int head = i / tiles, q = i % tiles * tile;
            attending a;
            attend_begin(&a, queries + size_t(q) * 3 * width + head * head_size, size_t(3) * width, len - q);
            for (int key = 0; key < len; key += tile) {
                const int at = (head * room + key) * head_row;
                attend_step(&a, keys + at, values + at, len - key, scale);
            }
            attend_end(&a, out + size_t(begin + q) * width + first + head * head_size, size_t(width), len - q);
        }
        __syncthreads(); /* keys and values have been read */
    }
}
} // namespace

#endif
