/*
 * safetensors.c - the header of a safetensors file, checked. Maps no file and trusts no number in it; metadata of the header is not read.
 */
#include "activities/embed/safetensors.h"

#include <stdlib.h>

#include "activities/embed/half.h"
#include "activities/embed/json_file.h"
#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/mem.h"

#define HEAD_BYTES 8u

typedef struct dtype_row {
    const char *name;
    pw_dtype dtype;
    unsigned size;
} dtype_row;

static const dtype_row dtypes[] = {
    {"F32", PW_F32, 4},    {"F16", PW_F16, 2},   {"BF16", PW_BF16, 2}, {"F64", PW_OTHER, 8},
    {"I64", PW_OTHER, 8},  {"U64", PW_OTHER, 8}, {"I32", PW_OTHER, 4}, {"U32", PW_OTHER, 4},
    {"I16", PW_OTHER, 2},  {"U16", PW_OTHER, 2}, {"I8", PW_OTHER, 1},  {"U8", PW_OTHER, 1},
    {"BOOL", PW_OTHER, 1},
};

#define bad(err, tensor, why)                                            \
    pw_err(err, PAWL_PARSE, "tensor %.*s: %s",                           \
           (int)((tensor)->name.size < 100 ? (tensor)->name.size : 100), \
           (const char *)(tensor)->name.data, why)

static pawl_status read_shape(pw_tensor *tensor, pw_mp at, uint64_t *ret_len, pawl_error *err)
{
    uint64_t len = 1;
    if (pw_mp_peek(&at) != PAWL_ARRAY) {
        return bad(err, tensor, "no shape");
    }
    tensor->dims_len = pw_mp_read_array(&at);
    if (tensor->dims_len > PW_TENSOR_DIMS_MAX) {
        return pw_err(err, PAWL_LIMIT, "a tensor has %zu dimensions, %u allowed", tensor->dims_len,
                      PW_TENSOR_DIMS_MAX);
    }
    for (size_t i = 0; i < tensor->dims_len; i++) {
        const int64_t dim = pw_mp_peek(&at) == PAWL_INT ? pw_mp_read_int(&at) : -1;
        if (dim < 0 || __builtin_mul_overflow(len, (uint64_t)dim, &len)) {
            return bad(err, tensor, "the shape is not one");
        }
        tensor->dims[i] = (uint64_t)dim;
    }
    *ret_len = len;
    return PAWL_OK;
}

static const dtype_row *dtype_of(pw_view name)
{
    for (size_t i = 0; i < PW_COUNT(dtypes); i++) {
        if (pw_view_is(name, dtypes[i].name)) {
            return &dtypes[i];
        }
    }
    return NULL;
}

static pawl_status read_tensor(const pw_tensors *t, pw_tensor *tensor, pw_mp row, pawl_error *err)
{
    pw_mp shape;
    uint64_t size = 0;
    const dtype_row *dtype = dtype_of(pw_json_text(row, "dtype"));
    if (dtype == NULL) {
        return bad(err, tensor, "its dtype is not known");
    }
    tensor->dtype = dtype->dtype;
    if (!pw_json_find(row, "shape", &shape)) {
        return bad(err, tensor, "no shape");
    }
    const pawl_status status = read_shape(tensor, shape, &size, err);
    if (status != PAWL_OK) {
        return status;
    }
    const int64_t begin = pw_json_int(row, "data_offsets.0", -1);
    const int64_t end = pw_json_int(row, "data_offsets.1", -1);
    if (begin < 0 || end < begin || (uint64_t)end > t->data_size) {
        return bad(err, tensor, "its data_offsets do not lie in the file");
    }
    if (__builtin_mul_overflow(size, (uint64_t)dtype->size, &size) ||
        size != (uint64_t)(end - begin)) {
        return bad(err, tensor, "its shape and its data_offsets disagree");
    }
    tensor->begin = (uint64_t)begin;
    tensor->end = (uint64_t)end;
    return PAWL_OK;
}

static pawl_status read_rows(pw_tensors *t, pw_mp rows, size_t pairs, pawl_error *err)
{
    for (; pairs > 0; pairs--) {
        const pw_view name = pw_mp_read_str(&rows);
        const pw_view row = pw_mp_read_raw(&rows);
        if (pw_view_is(name, "__metadata__")) {
            continue;
        }
        pw_tensor *tensor = &t->list[t->len];
        *tensor = (pw_tensor){.name = name};
        const pawl_status status = read_tensor(t, tensor, pw_mp_reader(row.data, row.size), err);
        if (status != PAWL_OK) {
            return status;
        }
        t->len++;
    }
    return PAWL_OK;
}

static int by_begin(const void *a, const void *b)
{
    const pw_tensor *x = a, *y = b;
    return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1)
                                : (x->end > y->end) - (x->end < y->end);
}

static int compare_names(pw_view a, pw_view b)
{
    const size_t size = a.size < b.size ? a.size : b.size;
    const int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_name(const void *a, const void *b)
{
    return compare_names(((const pw_tensor *)a)->name, ((const pw_tensor *)b)->name);
}

static pawl_status check_names(pw_tensors *t, pawl_error *err)
{
    qsort(t->list, t->len, sizeof *t->list, by_name);
    for (size_t i = 1; i < t->len; i++) {
        if (by_name(&t->list[i - 1], &t->list[i]) == 0) {
            return bad(err, &t->list[i], "it is there twice");
        }
    }
    return PAWL_OK;
}

static pawl_status check_cover(pw_tensors *t, pawl_error *err)
{
    uint64_t at = 0;
    qsort(t->list, t->len, sizeof *t->list, by_begin);
    for (size_t i = 0; i < t->len; i++) {
        if (t->list[i].begin != at) {
            return bad(err, &t->list[i],
                       t->list[i].begin < at ? "it lies over another" : "there is a gap before it");
        }
        at = t->list[i].end;
    }
    return at == t->data_size ? PAWL_OK
                              : pw_err(err, PAWL_PARSE, "%llu bytes after the last tensor",
                                       (unsigned long long)(t->data_size - at));
}

static pawl_status read_header(pw_tensors *t, pawl_error *err)
{
    pw_mp rows = pw_mp_reader(t->header.data, t->header.size);
    if (pw_mp_peek(&rows) != PAWL_MAP) {
        return pw_err(err, PAWL_PARSE, "the header is not an object");
    }
    const size_t pairs = pw_mp_read_map(&rows);
    if (pairs > PW_TENSORS_MAX) {
        return pw_err(err, PAWL_LIMIT, "%zu tensors, %u allowed", pairs, PW_TENSORS_MAX);
    }
    t->list = pw_malloc((pairs > 0 ? pairs : 1) * sizeof *t->list);
    if (t->list == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu tensors", pairs);
    }
    pawl_status status = read_rows(t, rows, pairs, err);
    status = status == PAWL_OK ? check_names(t, err) : status;
    return status == PAWL_OK ? check_cover(t, err) : status;
}

pawl_status pw_tensors_init(pw_tensors *t, const void *file, size_t size, pawl_error *err)
{
    const uint8_t *bytes = file;
    uint64_t header = 0;
    *t = (pw_tensors){.len = 0};
    for (size_t i = HEAD_BYTES; i > 0 && size >= HEAD_BYTES; i--) {
        header = header << 8 | bytes[i - 1];
    }
    if (size < HEAD_BYTES || header > size - HEAD_BYTES) {
        return pw_err(err, PAWL_PARSE, "the file is shorter than its header");
    }
    if (header > PW_TENSOR_HEADER_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a header of %llu bytes, %u allowed",
                      (unsigned long long)header, PW_TENSOR_HEADER_BYTES_MAX);
    }
    t->data = bytes + HEAD_BYTES + header;
    t->data_size = size - HEAD_BYTES - header;
    pawl_status status = pw_json_parse(&t->header, (const char *)bytes + HEAD_BYTES, (size_t)header,
                                       PW_JSON_STRICT, NULL, err);
    status = status == PAWL_OK ? read_header(t, err) : status;
    if (status != PAWL_OK) {
        pw_tensors_deinit(t);
    }
    return status;
}

void pw_tensors_deinit(pw_tensors *t)
{
    pw_buf_deinit(&t->header);
    pw_free(t->list);
    *t = (pw_tensors){.len = 0};
}

const pw_tensor *pw_tensors_find(const pw_tensors *t, const char *name)
{
    for (size_t i = 0; i < t->len; i++) {
        if (pw_view_is(t->list[i].name, name)) {
            return &t->list[i];
        }
    }
    return NULL;
}

uint64_t pw_tensor_len(const pw_tensor *tensor)
{
    return tensor->dtype == PW_OTHER
               ? 0
               : (tensor->end - tensor->begin) / (tensor->dtype == PW_F32 ? 4 : 2);
}

static void halves(const uint8_t *p, float *to, size_t len, bool brain)
{
    for (size_t i = 0; i < len; i++) {
        const uint16_t h = (uint16_t)(p[2 * i] | p[2 * i + 1] << 8);
        to[i] = brain ? pw_float_of_bfloat(h) : pw_float_of_half(h);
    }
}

/* The file's numbers are little-endian and may lie at any address. */
void pw_tensor_floats(const pw_tensors *t, const pw_tensor *tensor, uint64_t from, float *to,
                      size_t len)
{
    const uint8_t *p = t->data + tensor->begin;
    if (tensor->dtype != PW_F32) {
        halves(p + from * 2, to, len, tensor->dtype == PW_BF16);
        return;
    }
    p += from * 4;
    for (size_t i = 0; i < len; i++, p += 4) {
        to[i] = pw_float_of_bits(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                                 (uint32_t)p[3] << 24);
    }
}
