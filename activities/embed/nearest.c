/*
 * nearest.c - one pass over the rows in single precision; a row that could be among the k best so far is looked at again in double, where its product is
 * exact. A few queries are bound by memory, and their products are taken side by side; more go through the matrix kernel. Threads have a range of
 * rows each, and their lists are joined: exact scores make the joined list that of one thread.
 *
 * Keeps no index and skips no row that is wanted: what it returns is exact.
 */
#include "activities/embed/nearest.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "activities/embed/half.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

#define BLOCK_ROWS 64u
#define QUERIES_MAX 128u /* at a time: their panels stay in a core's cache */
#define FEW_QUERIES \
    16u /* so many are faster by scalar products than by the matrix kernel, which fills a panel */
#define THREADS_MAX 64u

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
    size_t first, end; /* of them */
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
        const pw_dots d = {halves, len, rows->stride, p->asked, p->queries_len, p->scores};
        p->kernels->dots(&d);
        for (size_t q = 0; q < p->queries_len; q++) {
            consider(p, first, len, q, p->scores + q * len, 1);
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
    for (size_t first = p->first; first < p->end; first += BLOCK_ROWS) {
        if (p->rows->wanted == NULL || p->rows->wanted[first / 64] != 0) {
            take_block(p, first, p->end - first < BLOCK_ROWS ? p->end - first : BLOCK_ROWS);
        }
    }
    for (size_t q = 0; q < p->queries_len; q++) {
        sort_heap(&p->best[q]);
        ret_len[q] = p->best[q].len;
    }
    pw_free(p->scores);
    return PAWL_OK;
}

/* A range of rows, whole: its lists. */
typedef struct part {
    const pw_rows *rows;
    const pw_search *search;
    size_t first, end;
    pw_near *near;
    size_t *len;
    pthread_t thread;
    bool started;
    pawl_status status;
    pawl_error err;
} part;

static void part_run(part *t)
{
    const pw_search *search = t->search;
    pass *p = pw_malloc(sizeof *p);
    t->status = p != NULL ? PAWL_OK : pw_err(&t->err, PAWL_NOMEM, "no memory to search");
    for (size_t first = 0; first < search->len && t->status == PAWL_OK; first += QUERIES_MAX) {
        p->rows = t->rows;
        p->first = t->first;
        p->end = t->end;
        p->kernels = search->kernels != NULL ? search->kernels : pw_kernels_best();
        p->queries = search->queries + first * t->rows->stride;
        p->queries_len = search->len - first < QUERIES_MAX ? search->len - first : QUERIES_MAX;
        t->status = run(p, search->k, t->near + first * search->k, t->len + first, &t->err);
    }
    pw_free(p);
}

static void *part_thread(void *arg)
{
    part_run(arg);
    return NULL;
}

/* The best of all parts' lists, each best first. */
static void join(const part *parts, size_t parts_len, size_t query, pw_near *ret_near,
                 size_t *ret_len)
{
    const size_t k = parts[0].search->k;
    size_t at[THREADS_MAX] = {0};
    *ret_len = 0;
    while (*ret_len < k) {
        const pw_near *top = NULL;
        size_t of = 0;
        for (size_t i = 0; i < parts_len; i++) {
            const pw_near *next =
                at[i] < parts[i].len[query] ? &parts[i].near[query * k + at[i]] : NULL;
            if (next != NULL && (top == NULL || is_worse(top, next))) {
                top = next;
                of = i;
            }
        }
        if (top == NULL) {
            return;
        }
        at[of]++;
        ret_near[(*ret_len)++] = *top;
    }
}

static void parts_run(part *parts, size_t len)
{
    for (size_t i = 1; i < len; i++) {
        parts[i].started = pthread_create(&parts[i].thread, NULL, part_thread, &parts[i]) == 0;
    }
    part_run(&parts[0]);
    for (size_t i = 1; i < len; i++) {
        if (parts[i].started) {
            (void)pthread_join(parts[i].thread, NULL);
        } else {
            part_run(&parts[i]);
        }
    }
}

static pawl_status spread(const part *whole, size_t len, pw_near *ret_near, size_t *ret_len,
                          pawl_error *err)
{
    const pw_search *search = whole->search;
    const size_t each = search->len * (search->k * sizeof *ret_near + sizeof *ret_len);
    const size_t blocks = (whole->end + BLOCK_ROWS - 1) / BLOCK_ROWS;
    part parts[THREADS_MAX];
    char *room = pw_malloc(len * each);
    pawl_status status = PAWL_OK;
    if (room == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory to search");
    }
    for (size_t i = 0; i < len; i++) {
        const size_t end = (i + 1) * blocks / len * BLOCK_ROWS;
        parts[i] = *whole;
        parts[i].first = i * blocks / len * BLOCK_ROWS;
        parts[i].end = end < whole->end ? end : whole->end;
        parts[i].near = (pw_near *)(void *)(room + i * each);
        parts[i].len = (size_t *)(void *)(parts[i].near + search->len * search->k);
    }
    parts_run(parts, len);
    for (size_t i = 0; i < len && status == PAWL_OK; i++) {
        status = parts[i].status;
        if (status != PAWL_OK && err != NULL) {
            *err = parts[i].err;
        }
    }
    for (size_t q = 0; q < search->len && status == PAWL_OK; q++) {
        join(parts, len, q, ret_near + q * search->k, &ret_len[q]);
    }
    pw_free(room);
    return status;
}

pawl_status pw_nearest(const pw_rows *rows, const pw_search *search, pw_near *ret_near,
                       size_t *ret_len, pawl_error *err)
{
    part whole = {
        .rows = rows, .search = search, .end = rows->len, .near = ret_near, .len = ret_len};
    size_t threads = search->threads < THREADS_MAX ? search->threads : THREADS_MAX;
    threads = threads < rows->len / BLOCK_ROWS ? threads : rows->len / BLOCK_ROWS;
    if (search->k == 0 || rows->stride != pw_row_stride(rows->width)) {
        return pw_err(err, PAWL_INVALID, search->k == 0 ? "k is 0" : "the rows are not padded");
    }
    if (threads > 1) {
        return spread(&whole, threads, ret_near, ret_len, err);
    }
    part_run(&whole);
    if (whole.status != PAWL_OK && err != NULL) {
        *err = whole.err;
    }
    return whole.status;
}
