/*
 * kernels_avx2.c - the kernels with 16 registers of 8 floats (AVX2, FMA). Not run where the processor lacks them: kernels.c asks.
 */
#define LANES 8
#define ROWS_MAX 6
#define DOT_ROWS 2
#define CASE(n)         \
    case n:             \
        tile(m, at, n); \
        break;
#define CASES CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)

#include "activities/embed/kernels_vector.h"

#include <immintrin.h>

static INLINE vec load_halves(const uint16_t *p)
{
    __m128i h;
    memcpy(&h, p, sizeof h);
    return (vec)_mm256_cvtph_ps(h);
}

/* Both by halves: 8 numbers to 4, to 2, to 1. */
static INLINE float sum_of(vec v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static INLINE float most_of(vec v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#include "activities/embed/kernels_body.h"

const pw_kernels pw_kernels_avx2 = {"avx2", PANEL, multiply, softmax, norm, dots, widen};
