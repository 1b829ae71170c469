/*
 * multiply.cuh - products of few rows by own kernels: y [rows][out] = x [rows][in] times weight [out][in] plus bias, with GELU where it is wanted. A block has 16
 * rows and 8 columns, its warps share what is summed: for a single short text there is nothing to read twice, and each kernel less counts. Right for any number
 * of rows, and slow for many.
 */
#ifndef PW_EMBED_MULTIPLY_CUH
#define PW_EMBED_MULTIPLY_CUH

#include "activities/embed/cuda/product.cuh"
#include "activities/embed/cuda/rows.cuh"

namespace
{
constexpr int multiply_warps = 8, multiply_rows = 16, multiply_columns = 8;
constexpr size_t multiply_bytes = size_t(multiply_warps * multiply_rows * multiply_columns) * sizeof(float);

__device__ inline uint4 eight_at(const __half *row, int at, int in)
{
    return at < in ? *reinterpret_cast<const uint4 *>(row + at) : make_uint4(0, 0, 0, 0);
}

/* This warp's part of 16 x 8 sums. The numbers of a row are taken in an order that suits 16-byte loads, the same for both sides: a product does not mind. */
__device__ inline void multiply_part(const __half *upper, const __half *weight, int in, float (&sums)[4])
{
    const int t = int(threadIdx.x % 4), warp = int(threadIdx.x / 32);
    const __half *const lower = upper + size_t(8) * in;
    sums[0] = sums[1] = sums[2] = sums[3] = 0;
#pragma unroll 4
    for (int from = 32 * warp; from < in; from += 32 * multiply_warps) {
        const uint4 a = eight_at(upper, from + 8 * t, in), b = eight_at(lower, from + 8 * t, in), w = eight_at(weight, from + 8 * t, in);
        const uint32_t first[4] = {a.x, b.x, a.y, b.y}, second[4] = {a.z, b.z, a.w, b.w};
        pw_mma(sums, first, w.x, w.y);
        pw_mma(sums, second, w.z, w.w);
    }
}

/* curved: GELU. in and out are multiples of 8, the rows of 16. */
__global__ void multiply(const __half *x, const __half *weight, const __half *bias, int out, int in, int curved, __half *y)
{
    float *const parts = reinterpret_cast<float *>(pw_shared_room);
    const int columns = out / multiply_columns, g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
    const size_t row = size_t(blockIdx.x / unsigned(columns)) * multiply_rows;
    const int column = int(blockIdx.x % unsigned(columns)) * multiply_columns;
    float sums[4];
    multiply_part(x + (row + size_t(g)) * size_t(in), weight + size_t(column + g) * size_t(in), in, sums);
    float *const mine = parts + threadIdx.x / 32 * (multiply_rows * multiply_columns) + multiply_columns * g + 2 * t;
    mine[0] = sums[0];
    mine[1] = sums[1];
    mine[8 * multiply_columns] = sums[2];
    mine[8 * multiply_columns + 1] = sums[3];
    __syncthreads();
    const int at = int(threadIdx.x);
    if (at < multiply_rows * multiply_columns) {
        const int which = column + at % multiply_columns;
        float sum = __half2float(bias[which]);
        for (int warp = 0; warp < multiply_warps; warp++) {
            sum += parts[warp * (multiply_rows * multiply_columns) + at];
        }
        y[(row + size_t(at / multiply_columns)) * size_t(out) + size_t(which)] = __float2half_rn(curved ? gelu_of(sum) : sum);
    }
}
} // namespace

#endif
