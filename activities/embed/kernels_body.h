/*
 * kernels_body.h - the kernels over vectors of LANES floats, in the compilers' vector types. Included once by each kernels_*.c, which says LANES, the
 * rows of a tile (ROWS_MAX, with CASES for each number of them) and of scalar products with several vectors (DOT_ROWS), how 16-bit numbers are read
 * (load_halves) and a vector comes to one number (sum_of, most_of), and has the table of them at its end. The compiler turns each line into the set's
 * instructions.
 *
 * A tile is ROWS_MAX rows by two vectors: its sums stay in registers while it walks down a panel, and a row of the left matrix is read as it lies.
 */
#ifndef PW_EMBED_KERNELS_BODY_H
#define PW_EMBED_KERNELS_BODY_H

#include <math.h>

#include "activities/embed/kernels.h"

#define PANEL (2 * LANES)
#define BASES ((ROWS_MAX + 2) / 3)
#define LINE_BYTES 64 /* of the cache: what is read ahead at a time */
/* So far ahead the rows of a search are fetched: one query took a third longer with the processor's own prefetching alone. */
#define AHEAD_BYTES 4096

static INLINE vec splat(float x)
{
    return x - (vec){0};
}

static INLINE vec larger(vec a, vec b)
{
    const ivec m = a > b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

static INLINE vec smaller(vec a, vec b)
{
    const ivec m = a < b;
    return (vec)(((ivec)a & m) | ((ivec)b & ~m));
}

/* e^x for x <= 0, to 1 unit of the last place: 2^n times Taylor's series on half of ln 2 around 0. Below -87 as -87. */
static INLINE vec exp_of(vec x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: what is added to it loses its fraction */
    x = larger(x, splat(-87.0f));
    const vec shifted = x * 1.44269504f + round;
    const vec n = shifted - round;
    const vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    vec p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (vec)((ivec)p + ((ivec)shifted << 23));
}

/* erf, to 1e-7: x P(x^2) / Q(x^2), fitted by weighted least squares on -3.9 .. 3.9, beyond which erf is 1 in single precision. */
static INLINE vec erf_of(vec x)
{
    x = larger(smaller(x, splat(3.9f)), splat(-3.9f));
    const vec z = x * x;
    vec p = z * 2.011679889e-08f - 1.996718765e-06f;
    p = p * z + 1.474553137e-04f;
    p = p * z + 3.895765403e-03f;
    p = p * z + 5.114764720e-02f;
    p = p * z + 2.042148560e-01f;
    p = p * z + 1.128378749e+00f;
    vec q = z * 1.006451901e-03f + 1.472960506e-02f;
    q = q * z + 1.167813987e-01f;
    q = q * z + 5.143097043e-01f;
    q = q * z + 1.0f;
    return x * p / q;
}

static INLINE vec gelu_of(vec x)
{
    const vec half = x * 0.5f;
    return half + half * erf_of(x * 0.707106781f);
}

/* Where a tile begins, and what is read ahead while it walks down its panel: the next panel comes from memory, all others from the cache. */
typedef struct place {
    const float *a;
    float *c;
    size_t column;
    const char *ahead;
    size_t ahead_step;
} place;

/* One tile: `rows` is a constant where this is called, so that the loops over it unroll and acc is registers. */
static INLINE void tile(const pw_multiply *m, const place *at, const size_t rows)
{
    const float *b = m->panels + at->column * m->depth;
    const char *ahead = at->ahead;
    const size_t stride = m->a_stride, ahead_step = at->ahead_step;
    const float *base[BASES];
    vec acc[ROWS_MAX][2];
#pragma GCC unroll 16
    for (size_t g = 0; g < BASES; g++) {
        base[g] = at->a + (3 * g < rows ? 3 * g : 0) * stride;
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        acc[r][0] = m->bias != NULL ? load(m->bias + at->column) : splat(0);
        acc[r][1] = m->bias != NULL ? load(m->bias + at->column + LANES) : splat(0);
    }
    for (size_t k = 0; k < m->depth; k++, b += PANEL, ahead += ahead_step) {
        const vec low = load(b), high = load(b + LANES);
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + LINE_BYTES, 0, 2);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            const vec x = splat(base[r / 3][r % 3 * stride]);
            acc[r][0] += x * low;
            acc[r][1] += x * high;
        }
#pragma GCC unroll 16
        for (size_t g = 0; g < BASES; g++) {
            base[g]++;
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++) {
        float *to = at->c + r * m->c_stride;
        store(to, m->finish == PW_ADD ? load(to) + acc[r][0] : acc[r][0]);
        store(to + LANES, m->finish == PW_ADD ? load(to + LANES) + acc[r][1] : acc[r][1]);
    }
}

static void gelu_rows(float *c, size_t stride, size_t rows)
{
    for (size_t r = 0; r < rows; r++, c += stride) {
        store(c, gelu_of(load(c)));
        store(c + LANES, gelu_of(load(c + LANES)));
    }
}

static void tile_of(const pw_multiply *m, const place *at, size_t rows)
{
    switch (rows) {
        CASES
    default:
        break;
    }
    if (m->finish == PW_PUT_GELU) {
        gelu_rows(at->c, m->c_stride, rows);
    }
}

/* The rows part evenly into tiles: no small rest that would waste a walk down the panel. Each tile reads its share of the next panel ahead. */
static void multiply(const pw_multiply *m)
{
    const size_t tiles = (m->rows + ROWS_MAX - 1) / ROWS_MAX;
    const size_t step = (PANEL * sizeof(float) + tiles - 1) / tiles;
    for (size_t column = 0; column < m->columns; column += PANEL) {
        const char *next = (const char *)(m->panels + (column + PANEL) * m->depth);
        for (size_t i = 0; i < tiles; i++) {
            const size_t from = m->rows * i / tiles;
            const place at = {m->a + from * m->a_stride, m->c + from * m->c_stride + column, column,
                              next + i * m->depth * step, step};
            tile_of(m, &at, m->rows * (i + 1) / tiles - from);
        }
    }
}

static void softmax(float *row, size_t len, float scale)
{
    vec top = load(row), sum = splat(0);
    for (size_t i = LANES; i < len; i += LANES) {
        top = larger(top, load(row + i));
    }
    const float most = most_of(top);
    for (size_t i = 0; i < len; i += LANES) {
        const vec e = exp_of((load(row + i) - most) * scale);
        store(row + i, e);
        sum += e;
    }
    const float share = 1 / sum_of(sum);
    for (size_t i = 0; i < len; i += LANES) {
        store(row + i, load(row + i) * share);
    }
}

static void norm_rest(float *row, size_t len, const float *scale, const float *shift, float epsilon)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < len; i++) {
        mean += (double)row[i];
    }
    mean /= (double)len;
    for (size_t i = 0; i < len; i++) {
        square += ((double)row[i] - mean) * ((double)row[i] - mean);
    }
    const double by = 1 / sqrt(square / (double)len + (double)epsilon);
    for (size_t i = 0; i < len; i++) {
        row[i] = (float)(((double)row[i] - mean) * by) * scale[i] + shift[i];
    }
}

static void norm(float *row, size_t len, const float *scale, const float *shift, float epsilon)
{
    vec sum = splat(0), square = splat(0);
    if (len % LANES != 0) {
        norm_rest(row, len, scale, shift, epsilon);
        return;
    }
    for (size_t i = 0; i < len; i += LANES) {
        sum += load(row + i);
    }
    const float mean = sum_of(sum) / (float)len;
    for (size_t i = 0; i < len; i += LANES) {
        const vec d = load(row + i) - mean;
        square += d * d;
    }
    const float by = 1 / sqrtf(sum_of(square) / (float)len + epsilon);
    for (size_t i = 0; i < len; i += LANES) {
        store(row + i, (load(row + i) - mean) * by * load(scale + i) + load(shift + i));
    }
}

/* Two sums for each of four rows: enough to hide how long one addition takes. */
static INLINE void dots_of(const uint16_t *rows, size_t stride, const float *vector,
                           float *ret_dots, const size_t count)
{
    vec sums[4][2];
#pragma GCC unroll 4
    for (size_t r = 0; r < count; r++) {
        sums[r][0] = sums[r][1] = splat(0);
    }
    for (size_t k = 0; k < stride; k += PANEL) {
        const vec low = load(vector + k), high = load(vector + k + LANES);
#pragma GCC unroll 4
        for (size_t r = 0; r < count; r++) {
            const uint16_t *at = rows + r * stride + k;
            __builtin_prefetch((const char *)at + AHEAD_BYTES, 0, 0);
            sums[r][0] += low * load_halves(at);
            sums[r][1] += high * load_halves(at + LANES);
        }
    }
    for (size_t r = 0; r < count; r++) {
        ret_dots[r] = sum_of(sums[r][0] + sums[r][1]);
    }
}

/* Several vectors: each row is read and widened once for all of them. rows and count are constants where this is called. */
static INLINE void dots_for(const pw_dots *d, size_t first, size_t vector, const size_t rows,
                            const size_t count)
{
    const uint16_t *at = d->rows + first * d->stride;
    const float *with = d->vectors + vector * d->stride;
    vec sums[DOT_ROWS][PW_DOT_VECTORS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < count; v++) {
            sums[r][v] = splat(0);
        }
    }
    for (size_t k = 0; k < d->stride; k += LANES) {
        vec row[DOT_ROWS];
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            __builtin_prefetch((const char *)(at + r * d->stride + k) + AHEAD_BYTES, 0, 0);
            row[r] = load_halves(at + r * d->stride + k);
        }
#pragma GCC unroll 4
        for (size_t v = 0; v < count; v++) {
            const vec x = load(with + v * d->stride + k);
#pragma GCC unroll 4
            for (size_t r = 0; r < rows; r++) {
                sums[r][v] += x * row[r];
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t v = 0; v < count; v++) {
            d->ret_dots[(vector + v) * d->len + first + r] = sum_of(sums[r][v]);
        }
    }
}

static INLINE void dots_with(const pw_dots *d, size_t vector, const size_t count)
{
    size_t i = 0;
    for (; i + DOT_ROWS <= d->len; i += DOT_ROWS) {
        dots_for(d, i, vector, DOT_ROWS, count);
    }
    for (; i < d->len; i++) {
        dots_for(d, i, vector, 1, count);
    }
}

static void dots_one(const pw_dots *d, size_t vector)
{
    const float *with = d->vectors + vector * d->stride;
    float *to = d->ret_dots + vector * d->len;
    size_t i = 0;
    for (; i + 4 <= d->len; i += 4) {
        dots_of(d->rows + i * d->stride, d->stride, with, to + i, 4);
    }
    for (; i < d->len; i++) {
        dots_of(d->rows + i * d->stride, d->stride, with, to + i, 1);
    }
}

static void dots(const pw_dots *d)
{
    size_t v = 0;
    for (; v + 4 <= d->count; v += 4) {
        dots_with(d, v, 4);
    }
    switch (d->count - v) {
    case 3:
        dots_with(d, v, 3);
        break;
    case 2:
        dots_with(d, v, 2);
        break;
    case 1:
        dots_one(d, v);
        break;
    default:
        break;
    }
}

static void widen(const uint16_t *from, size_t len, float *to)
{
    for (size_t i = 0; i < len; i += LANES) {
        store(to + i, load_halves(from + i));
    }
}

#endif
