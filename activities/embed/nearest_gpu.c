/*
 * nearest_gpu.c - the host's side of a search on a device: says how far off its scores may be, scores the candidates exactly and sorts them. The list is that
 * of nearest.c, because every row that can be on it is a candidate: the k best exact scores are at least the k-th best of the device's less the error, so a row
 * among them scores there at least that less the error once more.
 *
 * Keeps no list of its own and splits no rows over devices.
 */
#include "activities/embed/nearest_gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/gpu_library.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"

struct pw_index_gpu {
    const pw_cuda_ops *ops;
    pw_cuda_index *index;
    size_t len, stride;
    uint32_t *candidates; /* [PW_CUDA_QUERIES_MAX][PW_CUDA_CANDIDATES_MAX] */
    pw_near *near;        /* [PW_CUDA_CANDIDATES_MAX]: of one query */
};

/* Sums of the tensor cores are cut off, not rounded, and with fewer bits to spare than single precision has: four times the bound of nearest.c. */
static float error_of(const uint16_t *query, size_t stride)
{
    const double length = sqrt(pw_row_dot(query, query, stride));
    return (float)((double)(stride + 8) * 0x1p-22 * length * PW_ROW_LENGTH_MAX * 1.01 + 1e-30);
}

static pawl_status open_index(pw_index_gpu *x, const pw_rows *rows, int device, pawl_error *err)
{
    char message[PW_CUDA_MESSAGE_BYTES] = "";
    const int there = x->ops->devices(message);
    if (device >= there) {
        return pw_err(err, PAWL_NOTFOUND, "no GPU: %d devices%s%s", there,
                      message[0] != '\0' ? ", " : "", message);
    }
    x->candidates =
        pw_malloc((size_t)PW_CUDA_QUERIES_MAX * PW_CUDA_CANDIDATES_MAX * sizeof *x->candidates);
    x->near = pw_malloc(PW_CUDA_CANDIDATES_MAX * sizeof *x->near);
    if (x->candidates == NULL || x->near == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an index");
    }
    x->len = rows->len;
    x->stride = rows->stride;
    const pw_cuda_rows all = {rows->halves, rows->len, rows->stride, pw_gpu_without()};
    return pw_gpu_status(x->ops->index_open(device, &all, &x->index, message), message, err);
}

pawl_status pw_index_gpu_open(const pw_rows *rows, const char *path, int device,
                              pw_index_gpu **ret_index, pawl_error *err)
{
    pw_index_gpu *x = pw_calloc(1, sizeof *x);
    if (x == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for an index");
    }
    pawl_status status = pw_gpu_library(path, &x->ops, err);
    status = status == PAWL_OK ? open_index(x, rows, device, err) : status;
    if (status != PAWL_OK) {
        pw_index_gpu_close(x);
        return status;
    }
    *ret_index = x;
    return PAWL_OK;
}

void pw_index_gpu_close(pw_index_gpu *x)
{
    if (x != NULL) {
        if (x->index != NULL) {
            x->ops->index_close(x->index);
        }
        pw_free(x->candidates);
        pw_free(x->near);
        pw_free(x);
    }
}

/* ---- one query ---- */

static int by_score(const void *a, const void *b)
{
    const pw_near *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id ? 1 : 0;
}

typedef struct asked {
    const pw_rows *rows;
    const uint16_t *queries;
    size_t len; /* at most PW_CUDA_QUERIES_MAX */
    size_t k;
} asked;

/* The k best of the candidates of one query; how many there are. */
static size_t choose(pw_index_gpu *x, const asked *a, size_t which, size_t len, pw_near *ret_near)
{
    const pw_rows *rows = a->rows;
    for (size_t i = 0; i < len; i++) {
        const size_t row = x->candidates[which * PW_CUDA_CANDIDATES_MAX + i];
        x->near[i] = (pw_near){.id = rows->ids != NULL ? rows->ids[row] : (int64_t)row,
                               .row = row,
                               .score = pw_row_dot(rows->halves + row * x->stride,
                                                   a->queries + which * x->stride, x->stride)};
    }
    qsort(x->near, len, sizeof *x->near, by_score);
    const size_t some = len < a->k ? len : a->k;
    if (some > 0) {
        memcpy(ret_near, x->near, some * sizeof *ret_near);
    }
    return some;
}

static pawl_status search_some(pw_index_gpu *x, const asked *a, pw_near *ret_near, size_t *ret_len,
                               pawl_error *err)
{
    char message[PW_CUDA_MESSAGE_BYTES] = "";
    float errors[PW_CUDA_QUERIES_MAX];
    uint32_t lens[PW_CUDA_QUERIES_MAX];
    for (size_t i = 0; i < a->len; i++) {
        errors[i] = error_of(a->queries + i * x->stride, x->stride);
    }
    const pw_cuda_question q = {a->queries, errors, a->len, a->k, a->rows->wanted};
    pawl_status status =
        pw_gpu_status(x->ops->search(x->index, &q, x->candidates, lens, message), message, err);
    for (size_t i = 0; i < a->len && status == PAWL_OK; i++) {
        if (lens[i] <= PW_CUDA_CANDIDATES_MAX) {
            ret_len[i] = choose(x, a, i, lens[i], ret_near + i * a->k);
        } else {
            const pw_search one = {.queries = a->queries + i * x->stride, .len = 1, .k = a->k};
            status = pw_nearest(a->rows, &one, ret_near + i * a->k, &ret_len[i], err);
        }
    }
    return status;
}

pawl_status pw_nearest_gpu(pw_index_gpu *x, const pw_rows *rows, const pw_search *search,
                           pw_near *ret_near, size_t *ret_len, pawl_error *err)
{
    if (search->k == 0 || rows->len != x->len || rows->stride != x->stride) {
        return pw_err(err, PAWL_INVALID,
                      search->k == 0 ? "k is 0" : "other rows than the device's");
    }
    if (search->k > PW_NEAREST_GPU_K_MAX) {
        return pw_nearest(rows, search, ret_near, ret_len, err);
    }
    pawl_status status = PAWL_OK;
    for (size_t at = 0; at < search->len && status == PAWL_OK; at += PW_CUDA_QUERIES_MAX) {
        const size_t left = search->len - at;
        const asked a = {rows, search->queries + at * x->stride,
                         left < PW_CUDA_QUERIES_MAX ? left : PW_CUDA_QUERIES_MAX, search->k};
        status = search_some(x, &a, ret_near + at * a.k, ret_len + at, err);
    }
    return status;
}

double pw_nearest_gpu_ms(const pw_index_gpu *x)
{
    return (double)x->ops->search_ms(x->index);
}
