/*
 * pawl_device.cuh - what the kernels use of the device beyond CUDA C++: products of small matrices by a whole warp, and matrices read turned. Another file of
 * this name, of the tests, does the same in plain C++, so that the kernels also run where there is no device.
 */
#ifndef PW_EMBED_DEVICE_CUH
#define PW_EMBED_DEVICE_CUH

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdint.h>

/* The shared memory of a block, as much as it was launched with. */
extern __shared__ uint4 pw_shared_room[];

/* d [16][8] += a [16][16] b [16][8], each spread over the warp (PTX: mma.m16n8k16): with g = lane / 4 and t = lane % 4, a has (row g | g + 8, columns 2t, 2t + 1 |
 * 2t + 8, 2t + 9) in the order (g, 2t) (g + 8, 2t) (g, 2t + 8) (g + 8, 2t + 8); b has (rows 2t, 2t + 1 | 2t + 8, 2t + 9, column g); d has (g, 2t) (g, 2t + 1)
 * (g + 8, 2t) (g + 8, 2t + 1). */
__device__ inline void pw_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Four matrices of 8 x 8 in shared memory, turned (PTX: ldmatrix.x4.trans): lane i points to row i % 8 of matrix i / 8, on 16 bytes; of each matrix a lane gets
 * rows 2t, 2t + 1 of column g, which is what pw_mma wants of b. */
__device__ inline void pw_load_turned(uint32_t (&r)[4], const __half *row)
{
    const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

/* 2 to the power of x, to 2 units of the last place; 0 far below. */
__device__ inline float pw_power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* 1 / x, to 1 unit of the last place. */
__device__ inline float pw_one_by(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Bytes that are read once: they need not stay in the caches. */
__device__ inline uint4 pw_load_once(const uint4 *at)
{
    return __ldcs(at);
}

#endif
