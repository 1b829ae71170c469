/*
 * nearest.h - exact search: the k rows with the largest scalar product with a query, ties by the lowest id. Rows are 16-bit numbers.
 *
 * A query is rounded to 16 bits, too. A product of two such numbers is a multiple of 2^-48, and no partial sum is larger than the two lengths
 * multiplied: with lengths up to 4 each, every sum in double is exact, in whatever order it is taken. That is what makes the list the same on every
 * processor and on a GPU: single precision only says which rows cannot be on it.
 */
#ifndef PW_EMBED_NEAREST_H
#define PW_EMBED_NEAREST_H

#include <stdbool.h>

#include "activities/embed/kernels.h"
#include "sdk/pawl_value.h"

#define PW_ROW_LENGTH_MAX 4.0 /* of a row and of a query */
#define PW_ROW_PAD 32u /* a row takes its width rounded up to so many numbers, the rest zero */

typedef struct pw_rows {
    const uint16_t *halves; /* [len][stride] */
    size_t len;
    size_t width;
    size_t stride;
    const int64_t *ids;     /* [len], NULL: a row's id is its index */
    const uint64_t *wanted; /* a bit for each row, NULL: all */
} pw_rows;

typedef struct pw_near {
    int64_t id;
    size_t row;
    double score; /* exact */
} pw_near;

/** Numbers of a padded row. */
size_t pw_row_stride(size_t width);
/** Rounds a vector to a padded row, which is written also when it is refused. Errors: INVALID (longer than PW_ROW_LENGTH_MAX, or no number in it). */
pawl_status pw_row_put(const float *vector, size_t width, uint16_t *ret_row,
                       pawl_error *err) PAWL_MUST_USE;
/** Whether a padded row that came from elsewhere is one that pw_row_put could have made. Errors: INVALID. */
pawl_status pw_row_check(const uint16_t *row, size_t stride, pawl_error *err) PAWL_MUST_USE;
/** The exact scalar product of two rows. */
double pw_row_dot(const uint16_t *a, const uint16_t *b, size_t stride);

typedef struct pw_search {
    const uint16_t *queries; /* [len], each a padded row */
    size_t len;
    size_t k;                  /* at least 1 */
    const pw_kernels *kernels; /* NULL: the best */
    unsigned threads;          /* that share the rows, each at least 64 of them; 0 = one */
} pw_search;

/** The k nearest of each query, best first, in ret_near[query * k ...], and how many there are in ret_len[query]. Rows and queries must have been made
 * by pw_row_put. Errors: INVALID (k is 0), NOMEM. Thread: any. */
pawl_status pw_nearest(const pw_rows *rows, const pw_search *search, pw_near *ret_near,
                       size_t *ret_len, pawl_error *err) PAWL_MUST_USE;

#endif
