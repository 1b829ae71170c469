/*
 * kernels.h - the inner loops of the fast encoder, once for each set of instructions. What a row comes to does not depend on how many rows are
 * computed beside it: every sum runs over the same numbers in the same order.
 *
 *   a panel is so many columns of a matrix, one row of them after the other:   weights [out][in]  ->  [out / panel][in][panel]
 */
#ifndef PW_EMBED_KERNELS_H
#define PW_EMBED_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum pw_finish { PW_PUT, PW_PUT_GELU, PW_ADD } pw_finish;

/** c = finish(a x panels + bias): rows x depth times depth x columns. */
typedef struct pw_multiply {
    const float *a; /* [rows][a_stride] */
    size_t a_stride;
    size_t rows;
    size_t depth;
    const float *panels;
    size_t columns;    /* a multiple of the panel */
    const float *bias; /* [columns], or NULL */
    float *c;          /* [rows][c_stride] */
    size_t c_stride;
    pw_finish finish;
} pw_multiply;

#define PW_DOT_VECTORS 4u /* for so many a row is widened once */

/** Scalar products of some vectors with rows of 16-bit numbers. */
typedef struct pw_dots {
    const uint16_t
        *rows; /* [len][stride]; stride is a multiple of 32, what lies beyond the width is zero */
    size_t len;
    size_t stride;
    const float *vectors; /* [count][stride] */
    size_t count;
    float *ret_dots; /* [count][len] */
} pw_dots;

typedef struct pw_kernels {
    const char *name;
    size_t panel;
    void (*multiply)(const pw_multiply *m);
    /** Numbers that add up to 1, of scale times each; len is a multiple of half a panel. */
    void (*softmax)(float *row, size_t len, float scale);
    /** row = (row - mean) / deviation * scale + shift. */
    void (*norm)(float *row, size_t len, const float *scale, const float *shift, float epsilon);
    void (*dots)(const pw_dots *d);
    /** 16-bit numbers as floats; len is a multiple of 32. */
    void (*widen)(const uint16_t *from, size_t len, float *to);
} pw_kernels;

extern const pw_kernels pw_kernels_plain;
#if defined(__x86_64__)
extern const pw_kernels pw_kernels_avx2;
extern const pw_kernels pw_kernels_avx512;
#endif

/** The fastest that this processor has; NULL-terminated list of all that it has, fastest first. Borrowed: static. */
const pw_kernels *pw_kernels_best(void);
size_t pw_kernels_all(const pw_kernels *ret_all[4]);

/** A matrix [columns][depth] into panels, columns beyond it as zeros. `to` has room for columns rounded up to the panel. */
void pw_pack_columns(const float *from, size_t columns, size_t depth, size_t panel, float *to);
/** The same of a part of a matrix: its rows are `stride` numbers apart. */
void pw_pack_part(const float *from, size_t stride, size_t columns, size_t depth, size_t panel,
                  float *to);

#endif
