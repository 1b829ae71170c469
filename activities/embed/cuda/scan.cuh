/*
 * scan.cuh - kernels of the search: scores of all rows with up to 64 queries by the tensor cores, each row read once; what may be among the best goes to a short
 * list of each query, and no score is written otherwise. In between the lists are cut: the k-th best score so far says what need not be looked at.
 */
#ifndef PW_EMBED_SCAN_CUH
#define PW_EMBED_SCAN_CUH

#include "activities/embed/cuda.h"

#include <pawl_device.cuh>

#include <math.h>

namespace
{
constexpr unsigned scan_threads = 256, cut_threads = 256; /* as many as a digit has values */
constexpr uint32_t group_rows = 16;      /* that a warp scores at a time */
constexpr uint32_t list_max = 8192;      /* entries of a query's list */
constexpr uint32_t first_groups = 256;   /* the first rows, that all are on the list: half of it */
constexpr int chunk = 32, at_once = 4;   /* numbers of a row that a warp takes in one step; steps whose loads are under way together */

struct listed {
    float score;
    uint32_t row;
};

/* The rows and what is asked, as the device has them. */
struct search_there {
    const __half *rows, *queries; /* [len][stride]; [tiles * 8][stride], those beyond the last are zero */
    const uint64_t *wanted;       /* or null */
    const float *errors;          /* of each query */
    float *least;                 /* of each query: what scores less is not looked at */
    uint32_t *lens;               /* of the lists, also when they should be longer than they can */
    uint32_t *over;               /* whether a list was too short */
    listed *lists;                /* [queries][list_max] */
    uint32_t len, stride, groups, by; /* the groups are taken in the order 0, by, 2 by ... modulo groups: any beginning is a sample of all */
};

__device__ inline bool is_wanted(const search_there &s, uint32_t row)
{
    return row < s.len && (s.wanted == nullptr || (s.wanted[row / 64] >> (row % 64) & 1) != 0);
}

__device__ inline void offer(const search_there &s, uint32_t query, uint32_t row, float score)
{
    if (score >= s.least[query] && is_wanted(s, row)) {
        const uint32_t at = atomicAdd(&s.lens[query], 1u);
        if (at < list_max) {
            s.lists[size_t(query) * list_max + at] = {score, row};
        }
    }
}

/* How many halves apart queries lie in shared memory: so that those of two lie in different banks. */
__host__ __device__ inline uint32_t query_row(uint32_t stride)
{
    return stride % 64 == 0 ? stride + 32 : stride;
}

/* Scores of 16 rows, of which the lane's are upper and lower, with 8 tiles queries. The numbers of a row are taken in an order that suits 16-byte loads, the same
 * for rows and queries: a product does not mind. */
template <int tiles>
__device__ inline void score_group(const __half *upper, const __half *lower, const __half *queries, uint32_t stride, uint32_t apart, float (&scores)[tiles][4])
{
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < tiles; n++) {
        scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0;
    }
    for (uint32_t from = 8 * t; from < stride; from += chunk * at_once) {
        uint4 a[at_once], b[at_once];
#pragma unroll
        for (int i = 0; i < at_once; i++) {
            const uint32_t at = from + uint32_t(chunk * i);
            a[i] = at < stride ? pw_load_once(reinterpret_cast<const uint4 *>(upper + at)) : make_uint4(0, 0, 0, 0);
            b[i] = at < stride ? pw_load_once(reinterpret_cast<const uint4 *>(lower + at)) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int i = 0; i < at_once; i++) {
            const uint32_t at = from + uint32_t(chunk * i), first[4] = {a[i].x, b[i].x, a[i].y, b[i].y}, second[4] = {a[i].z, b[i].z, a[i].w, b[i].w};
            if (at - 8 * t < stride) { /* of the whole warp alike */
#pragma unroll
                for (int n = 0; n < tiles; n++) {
                    const uint4 query = *reinterpret_cast<const uint4 *>(queries + (8 * uint32_t(n) + g) * apart + at);
                    pw_mma(scores[n], first, query.x, query.y);
                    pw_mma(scores[n], second, query.z, query.w);
                }
            }
        }
    }
}

/* The same by plain loops. */
template <int tiles>
__device__ inline void score_plainly(const __half *upper, const __half *lower, const __half *queries, uint32_t stride, uint32_t apart, float (&scores)[tiles][4])
{
    const uint32_t t = threadIdx.x % 4;
    for (int i = 0; i < 4 * tiles; i++) {
        const __half *const row = i % 4 < 2 ? upper : lower, *const query = queries + (8 * uint32_t(i / 4) + 2 * t + uint32_t(i % 2)) * apart;
        float sum = 0;
        for (uint32_t k = 0; k < stride; k++) {
            sum += __half2float(row[k]) * __half2float(query[k]);
        }
        scores[i / 4][i % 4] = sum;
    }
}

/* Groups first to last - 1, in the order of the search. fill: all of them are listed, each in its place. */
template <int tiles, bool plain> __global__ void scan(search_there s, uint32_t first, uint32_t last, int fill, uint32_t queries_len)
{
    __half *const queries = reinterpret_cast<__half *>(pw_shared_room);
    const uint32_t apart = query_row(s.stride), eights = s.stride / 8;
    for (uint32_t i = threadIdx.x; i < tiles * 8 * eights; i += blockDim.x) {
        *reinterpret_cast<uint4 *>(queries + i / eights * apart + i % eights * 8) = reinterpret_cast<const uint4 *>(s.queries)[i];
    }
    __syncthreads();
    const uint32_t warps = gridDim.x * (blockDim.x / 32), g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    for (uint32_t at = first + blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; at < last; at += warps) {
        const uint32_t row = uint32_t(uint64_t(at) * s.by % s.groups) * group_rows + g, end = s.len - 1;
        float scores[tiles][4];
        const __half *const upper = s.rows + size_t(row < end ? row : end) * s.stride, *const lower = s.rows + size_t(row + 8 < end ? row + 8 : end) * s.stride;
        if (plain) {
            score_plainly<tiles>(upper, lower, queries, s.stride, apart, scores);
        } else {
            score_group<tiles>(upper, lower, queries, s.stride, apart, scores);
        }
#pragma unroll
        for (int i = 0; i < 4 * tiles; i++) {
            const uint32_t query = uint32_t(8 * (i / 4)) + 2 * t + uint32_t(i % 2), which = row + 8 * uint32_t(i % 4 / 2);
            if (query < queries_len && fill) {
                s.lists[size_t(query) * list_max + size_t(at) * group_rows + which % group_rows] = {is_wanted(s, which) ? scores[i / 4][i % 4] : -INFINITY, which};
            } else if (query < queries_len) {
                offer(s, query, which, scores[i / 4][i % 4]);
            }
        }
    }
}

/* As a number without a sign, in the same order. */
__device__ inline uint32_t key_of(float score)
{
    const uint32_t bits = __float_as_uint(score);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

__device__ inline float score_of(uint32_t key)
{
    return __uint_as_float(key >> 31 != 0 ? key & 0x7fffffffu : ~key);
}

/* What a block shares while it cuts a list; the list itself follows. */
struct cutting {
    uint32_t counts[256]; /* of the keys with the digits found so far, by their next */
    uint32_t found, left, kept, unused;
};

/* Of each count the sum from it to the last. A thread for each. */
__device__ inline void sum_from_the_top(cutting *c)
{
    for (uint32_t step = 1; step < 256; step *= 2) {
        const uint32_t more = threadIdx.x + step < 256 ? c->counts[threadIdx.x + step] : 0;
        __syncthreads();
        c->counts[threadIdx.x] += more;
        __syncthreads();
    }
}

/* The k-th largest key among len entries: digit by digit from the top. There are at least k. */
__device__ inline uint32_t kth_key(cutting *c, const listed *list, uint32_t len, uint32_t k)
{
    uint32_t found = 0, left = k;
    for (int shift = 24; shift >= 0; shift -= 8) {
        c->counts[threadIdx.x] = 0;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < len; i += blockDim.x) {
            const uint32_t key = key_of(list[i].score);
            if (shift == 24 || key >> (shift + 8) == found >> (shift + 8)) {
                (void)atomicAdd(&c->counts[key >> shift & 255], 1u);
            }
        }
        __syncthreads();
        sum_from_the_top(c);
        const uint32_t digit = threadIdx.x, above = digit < 255 ? c->counts[digit + 1] : 0;
        if (c->counts[digit] >= left && above < left) { /* one thread */
            c->found = found | digit << shift;
            c->left = left - above;
        }
        __syncthreads();
        found = c->found;
        left = c->left;
    }
    return found;
}

/* A block for each query: its list without what cannot be among the k best, whose k-th has at least the score of the k-th listed less the error; a row among
 * them then scores at most one error less. filled: so many entries the first scan has left. rows: the last cut writes the rows there, and how many to lens. */
__global__ void cut(search_there s, uint32_t k, uint32_t filled, uint32_t *rows, uint32_t *lens)
{
    cutting *const c = reinterpret_cast<cutting *>(pw_shared_room);
    listed *const list = reinterpret_cast<listed *>(c + 1), *const there = s.lists + size_t(blockIdx.x) * list_max;
    const uint32_t asked = filled > 0 ? filled : s.lens[blockIdx.x], len = asked < list_max ? asked : list_max;
    const uint32_t none = key_of(-INFINITY);
    if (threadIdx.x == 0) {
        c->kept = 0;
    }
    for (uint32_t i = threadIdx.x; i < len; i += blockDim.x) {
        list[i] = there[i];
    }
    __syncthreads();
    const uint32_t key = len < k ? none : kth_key(c, list, len, k);
    const float least = key == none ? -INFINITY : score_of(key) - 2 * s.errors[blockIdx.x];
    for (uint32_t i = threadIdx.x; i < len; i += blockDim.x) {
        if (list[i].score >= least && list[i].score > -INFINITY) {
            const uint32_t at = atomicAdd(&c->kept, 1u);
            there[at] = list[i];
            if (rows != nullptr && at < PW_CUDA_CANDIDATES_MAX) {
                rows[size_t(blockIdx.x) * PW_CUDA_CANDIDATES_MAX + at] = list[i].row;
            }
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        const uint32_t over = (filled > 0 ? 0 : s.over[blockIdx.x]) | (asked > list_max ? 1u : 0u);
        s.over[blockIdx.x] = over;
        s.least[blockIdx.x] = least;
        s.lens[blockIdx.x] = c->kept;
        if (lens != nullptr) {
            lens[blockIdx.x] = over != 0 ? 0xffffffffu : c->kept;
        }
    }
}
} // namespace

#endif
