/*
 * kernels_plain.c - the kernels with what every processor of a kind has: 4 floats at a time. Not run where the processor lacks them: kernels.c asks.
 */
#define LANES 4
#define ROWS_MAX 4
#define DOT_ROWS 2
#define CASE(n)         \
    case n:             \
        tile(m, at, n); \
        break;
#define CASES CASE(1) CASE(2) CASE(3) CASE(4)

#include "activities/embed/kernels_vector.h"

#include "activities/embed/half.h"

static INLINE vec load_halves(const uint16_t *p)
{
    return (vec){pw_float_of_half(p[0]), pw_float_of_half(p[1]), pw_float_of_half(p[2]),
                 pw_float_of_half(p[3])};
}

static INLINE float sum_of(vec v)
{
    return (v[0] + v[1]) + (v[2] + v[3]);
}

static INLINE float most_of(vec v)
{
    const float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
    return a > b ? a : b;
}

#include "activities/embed/kernels_body.h"

const pw_kernels pw_kernels_plain = {"plain", PANEL, multiply, softmax, norm, dots, widen};
