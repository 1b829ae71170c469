/*
 * nearest.c - one pass over the rows in single precision; a row that could be among the k best so far is looked at again in double, where its product is
 * exact. One query at a time is bound by memory; more go through the matrix kernel, so that each row is read once for all of them.
 *
 * Keeps no index and skips no row: what it returns is exact.
 */
#include "activities/embed/nearest.h"

#include <math.h>
#include <string.h>

#include "activities/embed/half.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define BLOCK_ROWS 64u
#define QUERIES_MAX 128u /* at a time: their panels stay in a core's cache */
#define FEW_QUERIES 3u   /* so many are faster one by one */

/* ---- rows ---- */

size_t pw_row_stride(size_t width)
{
    return (width + PW_ROW_PAD - 1) / PW_ROW_PAD * PW_ROW_PAD;
}

pawl_status pw_row_check(const uint16_t *row, size_t stride, pawl_error *err)
{
    const double square = pw_row_dot(row, row, stride);
    return square <= PW_ROW_LENGTH_MAX * PW_ROW_LENGTH_MAX
               ? PAWL_OK
               : pw_err(err, PAWL_INVALID, "a vector of length %g, %g allowed", sqrt(square),
                        PW_ROW_LENGTH_MAX);
}

pawl_status pw_row_put(const float *vector, size_t width, uint16_t *ret_row, pawl_error *err)
{
    for (size_t i = 0; i < pw_row_stride(width); i++) {
        ret_row[i] = i < width ? pw_half_of_float(vector[i]) : 0;
    }
    return pw_row_check(ret_row, pw_row_stride(width), err);
}

double pw_row_dot(const uint16_t *a, const uint16_t *b, size_t stride)
{
    double sum = 0;
    for (size_t i = 0; i < stride; i++) {
        sum += (double)pw_float_of_half(a[i]) * (double)pw_float_of_half(b[i]);
    }
    return sum;
}

/* ---- the k best so far: a heap with the worst on top ---- */

typedef struct best {
    pw_near *near; /* [k] */
    size_t len;
    size_t k;
    float least; /* a single-precision score below this is not among them */
    float error; /* of such a score, at most */
} best;

static bool is_worse(const pw_near *a, const pw_near *b)
{
    return a->score < b->score || (a->score == b->score && a->id > b->id);
}

static void sink(best *b, size_t at)
{
    const pw_near moved = b->near[at];
    for (size_t child; (child = 2 * at + 1) < b->len; at = child) {
        if (child + 1 < b->len && is_worse(&b->near[child + 1], &b->near[child])) {
            child++;
        }
        if (!is_worse(&b->near[child], &moved)) {
            break;
        }
        b->near[at] = b->near[child];
    }
    b->near[at] = moved;
}

static void rise(best *b, size_t at)
{
    const pw_near moved = b->near[at];
    while (at > 0 && is_worse(&moved, &b->near[(at - 1) / 2])) {
        b->near[at] = b->near[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    b->near[at] = moved;
}

/* Rounded down, so that nothing is lost by comparing in single precision. */
static void raise_least(best *b)
{
    if (b->len == b->k) {
        b->least = nextafterf((float)b->near[0].score - b->error, -INFINITY);
    }
}

static void offer(best *b, const pw_near *n)
{
    if (b->len < b->k) {
        b->near[b->len++] = *n;
        rise(b, b->len - 1);
    } else if (is_worse(&b->near[0], n)) {
        b->near[0] = *n;
        sink(b, 0);
    }
    raise_least(b);
}

/* Best first. */
static void sort_heap(best *b)
{
    const size_t len = b->len;
    while (b->len > 1) {
        const pw_near worst = b->near[0];
        b->near[0] = b->near[--b->len];
        sink(b, 0);
        b->near[b->len] = worst;
    }
    b->len = len;
}

/* ---- the pass ---- */

typedef struct pass {
    const pw_rows *rows;
    const pw_kernels *kernels;
    const uint16_t *queries;
    size_t queries_len;
    best best[QUERIES_MAX];
    float *scores; /* [BLOCK_ROWS][columns] */
    float *block;  /* [BLOCK_ROWS][stride]: rows as floats */
    float *asked;  /* the queries as floats */
    float *panels; /* and as panels */
    size_t columns;
} pass;

static bool is_wanted(const pw_rows *rows, size_t row)
{
    return rows->wanted == NULL || (rows->wanted[row / 64] >> row % 64 & 1) != 0;
}

static void consider(pass *p, size_t first, size_t len, size_t query, const float *scores,
                     size_t step)
{
    best *b = &p->best[query];
    const pw_rows *rows = p->rows;
    for (size_t i = 0; i < len; i++) {
        const size_t row = first + i;
        if (scores[i * step] < b->least || !is_wanted(rows, row)) {
            continue;
        }
        const pw_near n = {.id = rows->ids != NULL ? rows->ids[row] : (int64_t)row,
                           .row = row,
                           .score = pw_row_dot(rows->halves + row * rows->stride,
                                               p->queries + query * rows->stride, rows->stride)};
        offer(b, &n);
    }
}

static void take_block(pass *p, size_t first, size_t len)
{
    const pw_rows *rows = p->rows;
    const uint16_t *halves = rows->halves + first * rows->stride;
    if (p->queries_len <= FEW_QUERIES) {
        for (size_t q = 0; q < p->queries_len; q++) {
            p->kernels->dots(halves, len, rows->stride, p->asked + q * rows->stride, p->scores);
            consider(p, first, len, q, p->scores, 1);
        }
        return;
    }
    p->kernels->widen(halves, len * rows->stride, p->block);
    const pw_multiply m = {p->block,   rows->stride, len,       rows->stride, p->panels,
                           p->columns, NULL,         p->scores, p->columns,   PW_PUT};
    p->kernels->multiply(&m);
    for (size_t q = 0; q < p->queries_len; q++) {
        consider(p, first, len, q, p->scores + q, p->columns);
    }
}

/* A sum of n exact products in single precision, in any order, is off by at most n * 2^-24 times the sum of their sizes,
 * which is at most the two lengths multiplied; eight more steps for what rounding the least score and this bound may cost. */
static float error_of(const uint16_t *query, size_t stride)
{
    const double length = sqrt(pw_row_dot(query, query, stride));
    return (float)((double)(stride + 8) * 0x1p-24 * length * PW_ROW_LENGTH_MAX * 1.01 + 1e-30);
}

static bool pass_init(pass *p)
{
    const size_t stride = p->rows->stride, panel = p->kernels->panel;
    p->columns = (p->queries_len + panel - 1) / panel * panel;
    const size_t scores = BLOCK_ROWS * p->columns, block = BLOCK_ROWS * stride,
                 asked = p->queries_len * stride;
    p->scores = pw_malloc((scores + block + asked + p->columns * stride) * sizeof *p->scores);
    if (p->scores == NULL) {
        return false;
    }
    p->block = p->scores + scores;
    p->asked = p->block + block;
    p->panels = p->asked + asked;
    p->kernels->widen(p->queries, asked, p->asked);
    pw_pack_columns(p->asked, p->queries_len, stride, panel, p->panels);
    return true;
}

static pawl_status run(pass *p, size_t k, pw_near *ret_near, size_t *ret_len, pawl_error *err)
{
    if (!pass_init(p)) {
        return pw_err(err, PAWL_NOMEM, "no memory to search");
    }
    for (size_t q = 0; q < p->queries_len; q++) {
        p->best[q] = (best){.near = ret_near + q * k,
                            .k = k,
                            .least = -INFINITY,
                            .error = error_of(p->queries + q * p->rows->stride, p->rows->stride)};
    }
    for (size_t first = 0; first < p->rows->len; first += BLOCK_ROWS) {
        take_block(p, first, p->rows->len - first < BLOCK_ROWS ? p->rows->len - first : BLOCK_ROWS);
    }
    for (size_t q = 0; q < p->queries_len; q++) {
        sort_heap(&p->best[q]);
        ret_len[q] = p->best[q].len;
    }
    pw_free(p->scores);
    return PAWL_OK;
}

pawl_status pw_nearest(const pw_rows *rows, const pw_search *search, pw_near *ret_near,
                       size_t *ret_len, pawl_error *err)
{
    const size_t k = search->k;
    if (k == 0 || rows->stride != pw_row_stride(rows->width)) {
        return pw_err(err, PAWL_INVALID, k == 0 ? "k is 0" : "the rows are not padded");
    }
    pass *p = pw_malloc(sizeof *p);
    pawl_status status = p != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory to search");
    for (size_t first = 0; first < search->len && status == PAWL_OK; first += QUERIES_MAX) {
        p->rows = rows;
        p->kernels = search->kernels != NULL ? search->kernels : pw_kernels_best();
        p->queries = search->queries + first * rows->stride;
        p->queries_len = search->len - first < QUERIES_MAX ? search->len - first : QUERIES_MAX;
        status = run(p, k, ret_near + first * k, ret_len + first, err);
    }
    pw_free(p);
    return status;
}
