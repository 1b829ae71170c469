/*
 * kernels_vector.h - vectors of LANES floats, in the compilers' vector types: what a kernels_*.c needs before it can say how 16-bit numbers are read.
 */
#ifndef PW_EMBED_KERNELS_VECTOR_H
#define PW_EMBED_KERNELS_VECTOR_H

#include <stdint.h>
#include <string.h>

#define INLINE inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ivec __attribute__((vector_size(LANES * 4)));

static INLINE vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static INLINE void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}

#endif
