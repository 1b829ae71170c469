/*
 * cuda_fp16.h - numbers of 16 bits as CUDA names them, in plain C++. Converts; computes nothing.
 */
#ifndef TEST_EMULATED_CUDA_FP16_H
#define TEST_EMULATED_CUDA_FP16_H

#include "activities/embed/half.h"

#include "cuda_types.h"

struct alignas(2) __half {
    uint16_t bits;
};
struct alignas(4) __half2 {
    __half x, y;
};

inline float __half2float(__half h)
{
    return pw_float_of_half(h.bits);
}
inline __half __float2half_rn(float f)
{
    return {pw_half_of_float(f)};
}
inline float2 __half22float2(__half2 h)
{
    return {__half2float(h.x), __half2float(h.y)};
}
inline __half2 __float22half2_rn(float2 f)
{
    return {__float2half_rn(f.x), __float2half_rn(f.y)};
}

#endif
