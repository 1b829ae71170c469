/*
 * fuzz_safetensors.c - libFuzzer target: any bytes as a file of weights are read or refused, and every number of a tensor that was taken can be read.
 * Builds no model.
 */
#include "fuzz.h"

#include "activities/embed/safetensors.h"
#include "sdk/base/error.h"

#define SEED(text)            \
    {                         \
        text, sizeof text - 1 \
    }
const fuzz_seed fuzz_seeds[] = {
    SEED(
        "\x38\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F16\",\"shape\":[2,1],\"data_offsets\":[0,4]}}\x3c\x3c\x3c\x3c"),
    SEED("\x6c\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[4,6]}}abcdef"),
    {NULL, 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pw_tensors t;
    pawl_error err;
    if (pw_tensors_init(&t, data, size, &err) != PAWL_OK) {
        return 0;
    }
    for (size_t i = 0; i < t.len; i++) {
        for (uint64_t k = 0; k < pw_tensor_len(&t.list[i]); k++) {
            float number = 0;
            pw_tensor_floats(&t, &t.list[i], k, &number, 1);
        }
        PW_CHECK(t.list[i].end <= t.data_size && t.list[i].begin <= t.list[i].end);
    }
    pw_tensors_deinit(&t);
    return 0;
}
