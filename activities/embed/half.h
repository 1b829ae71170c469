/*
 * half.h - numbers of 16 bits (IEEE binary16, bfloat16) to float and back, rounded to the nearest, ties to even.
 */
#ifndef PW_EMBED_HALF_H
#define PW_EMBED_HALF_H

#include <stdint.h>
#include <string.h>

static inline float pw_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t pw_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float pw_float_of_bfloat(uint16_t b)
{
    return pw_float_of_bits((uint32_t)b << 16);
}

static inline float pw_float_of_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t rest = h & 0x7fffu;
    if (rest >= 0x7c00) { /* infinite or no number */
        return pw_float_of_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    }
    if (rest >= 0x400) {
        return pw_float_of_bits(sign | ((rest << 13) + (112u << 23)));
    }
    const float small = (float)rest * 0x1p-24f; /* exact */
    return sign != 0 ? -small : small;
}

static inline uint16_t pw_half_of_float(float f)
{
    const uint32_t bits = pw_bits_of_float(f);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const uint32_t rest = bits & 0x7fffffffu;
    if (rest >= 0x47800000u) { /* 65536 and more, infinite, no number */
        return (uint16_t)(sign | (rest > 0x7f800000u ? 0x7e00u : 0x7c00u));
    }
    if (rest < 0x38800000u) { /* below 2^-14: the sum rounds to a multiple of 2^-24 */
        const float sum = pw_float_of_bits(rest) + 0.5f;
        return (uint16_t)(sign | (pw_bits_of_float(sum) - 0x3f000000u));
    }
    const uint32_t odd = rest >> 13 & 1;
    return (uint16_t)(sign | ((rest - 0x38000000u + 0xfffu + odd) >> 13));
}

#endif
