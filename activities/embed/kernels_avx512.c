/*
 * kernels_avx512.c - the kernels with 32 registers of 16 floats (AVX-512F). Not run where the processor lacks them: kernels.c asks.
 */
#define LANES 16
#define ROWS_MAX 14
#define DOT_ROWS 4
#define CASE(n)         \
    case n:             \
        tile(m, at, n); \
        break;
#define CASES \
    CASE(1)   \
    CASE(2)   \
    CASE(3)   \
    CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)

#include "activities/embed/kernels_vector.h"

#include <immintrin.h>

static INLINE vec load_halves(const uint16_t *p)
{
    __m256i h;
    memcpy(&h, p, sizeof h);
    return (vec)_mm512_cvtph_ps(h);
}

static INLINE float sum_of(vec v)
{
    return _mm512_reduce_add_ps((__m512)v);
}

static INLINE float most_of(vec v)
{
    return _mm512_reduce_max_ps((__m512)v);
}

#include "activities/embed/kernels_body.h"

const pw_kernels pw_kernels_avx512 = {"avx512", PANEL, multiply, softmax, norm, dots, widen};
