/*
 * safetensors.h - the weights of a model as they lie in a file: named tensors, checked against the file's size before anything is read of them.
 *
 *   [8 bytes: size of the header, little-endian][header: JSON {name: {dtype, shape, data_offsets}}][data]
 *
 * Checked, since a file comes from anywhere: the header's size, its JSON, known types, that shape and offsets agree, that the tensors cover the data
 * without a gap or an overlap, that no name is there twice. https://github.com/huggingface/safetensors#format
 */
#ifndef PW_EMBED_SAFETENSORS_H
#define PW_EMBED_SAFETENSORS_H

#include "activities/embed/limits.h"
#include "sdk/base/mp.h"

typedef enum pw_dtype { PW_F32, PW_F16, PW_BF16, PW_OTHER } pw_dtype;

typedef struct pw_tensor {
    pw_view name; /* in the header */
    pw_dtype dtype;
    size_t dims_len;
    uint64_t dims[PW_TENSOR_DIMS_MAX];
    uint64_t begin; /* in the data */
    uint64_t end;
} pw_tensor;

typedef struct pw_tensors {
    pw_buf header;   /* as msgpack: the names lie in it */
    pw_tensor *list; /* in the order of the data */
    size_t len;
    const uint8_t *data;
    uint64_t data_size;
} pw_tensors;

/** Reads the header of a file's bytes, which must outlive what is read. Errors: PARSE (says what is wrong), LIMIT, NOMEM. */
pawl_status pw_tensors_init(pw_tensors *t, const void *file, size_t size,
                            pawl_error *err) PAWL_MUST_USE;
void pw_tensors_deinit(pw_tensors *t);
/** NULL when there is none of that name. Borrowed. */
const pw_tensor *pw_tensors_find(const pw_tensors *t, const char *name);
/** Numbers from..from+len of a floating tensor as float. The caller stays within its size. */
void pw_tensor_floats(const pw_tensors *t, const pw_tensor *tensor, uint64_t from, float *to,
                      size_t len);
/** How many numbers it has; 0 when it is not of floating numbers. */
uint64_t pw_tensor_len(const pw_tensor *tensor);

#endif
