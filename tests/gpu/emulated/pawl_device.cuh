/*
 * pawl_device.cuh - the warp's small matrices in plain C++, element by element as the PTX manual lays them out over the lanes. Stands in for the file of the same
 * name beside the kernels.
 */
#ifndef TEST_EMULATED_DEVICE_CUH
#define TEST_EMULATED_DEVICE_CUH

#include "cuda_fp16.h"
#include "cuda_runtime.h"

extern uint4 pw_shared_room[];

void pw_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void pw_load_turned(uint32_t (&r)[4], const __half *row);

inline float pw_power_of_two(float x)
{
    return exp2f(x);
}

inline float pw_one_by(float x)
{
    return 1 / x;
}

inline uint4 pw_load_once(const uint4 *at)
{
    return *at;
}

#endif
