/*
 * safetensors_test.c - what is refused of a file of weights, and that 16-bit numbers are what IEEE says they are. The real file is read by
 * encode_reference_test.c, not here.
 */
#include "embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "activities/embed/half.h"
#include "activities/embed/safetensors.h"
#include "sdk/base/error.h"

/* A file of the header and so many bytes of data, all 0x3c. */
static pawl_status read_file(pw_tensors *t, pw_buf *file, const char *header, size_t data,
                             pawl_error *err)
{
    const size_t size = strlen(header);
    pw_buf_reset(file);
    for (unsigned i = 0; i < 8; i++) {
        pw_buf_putc(file, (int)(size >> (8 * i) & 0xff));
    }
    pw_buf_puts(file, header);
    for (size_t i = 0; i < data; i++) {
        pw_buf_putc(file, 0x3c);
    }
    return pw_tensors_init(t, file->data, file->size, err);
}

static void tensors_are_found_by_name_and_read_as_floats(void **state)
{
    pw_buf file = PW_BUF_INIT;
    pw_tensors t;
    pawl_error err;
    float numbers[3];
    assert_int_equal(
        read_file(
            &t, &file,
            "{\"__metadata__\": {\"format\": \"pt\"}, \"b.x\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [6, 10]}, "
            "\"a\": {\"dtype\": \"F16\", \"shape\": [3, 1], \"data_offsets\": [0, 6]}}  ",
            10, &err),
        PAWL_OK);
    assert_int_equal(t.len, 2);
    assert_null(pw_tensors_find(&t, "b"));
    const pw_tensor *a = pw_tensors_find(&t, "a");
    assert_int_equal(pw_tensor_len(a), 3);
    pw_tensor_floats(&t, a, 0, numbers, 3);
    assert_true(numbers[2] == pw_float_of_half(0x3c3c));
    pw_tensor_floats(&t, pw_tensors_find(&t, "b.x"), 0, numbers, 1);
    assert_true(numbers[0] == pw_float_of_bits(0x3c3c3c3c));
    pw_tensors_deinit(&t);
    pw_buf_deinit(&file);
    (void)state;
}

#define ROW(dtype, shape, offsets) \
    "{\"a\": {\"dtype\": \"" dtype "\", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static void a_header_that_is_not_true_of_the_file_is_refused(void **state)
{
    static const struct {
        const char *header;
        size_t data;
        const char *why;
    } samples[] = {
        {ROW("F16", "[2]", "[0, 4]"), 3, "do not lie in the file"},
        {ROW("F16", "[2]", "[0, 4]"), 5, "after the last tensor"},
        {ROW("F16", "[2]", "[2, 6]"), 6, "a gap"},
        {ROW("F16", "[3]", "[0, 4]"), 4, "disagree"},
        {ROW("F16", "[2]", "[4, 0]"), 4, "do not lie in the file"},
        {ROW("F16", "[-2]", "[0, 4]"), 4, "the shape"},
        {ROW("F16", "[4294967296, 4294967296]", "[0, 0]"), 0, "the shape"},
        {ROW("F16", "[9223372036854775807]", "[0, 0]"), 0, "disagree"},
        {ROW("F16", "2", "[0, 4]"), 4, "no shape"},
        {ROW("F15", "[2]", "[0, 4]"), 4, "dtype"},
        {ROW("F16", "[1,1,1,1,1,1,1,1,1]", "[0, 2]"), 2, "dimensions"},
        {"{\"a\": 5}", 0, "dtype"},
        {"[]", 0, "not an object"},
        {"{", 0, ""},
        {"", 0, ""},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [2], \"data_offsets\": [0, 2]}, \"b\": {\"dtype\": \"U8\", \"shape\": [2], \"data_offsets\": [1, 3]}}",
         3, "over another"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [0, 1]}, \"a\": {\"dtype\": \"U8\", \"shape\": [1], \"data_offsets\": [1, 2]}}",
         2, "twice"},
    };
    pw_buf file = PW_BUF_INIT;
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        pw_tensors t;
        pawl_error err = {.status = PAWL_OK};
        const pawl_status status = read_file(&t, &file, samples[i].header, samples[i].data, &err);
        if ((status != PAWL_PARSE && status != PAWL_LIMIT) ||
            strstr(err.message, samples[i].why) == NULL) {
            fail_msg("sample %zu: %s, %s", i, pawl_status_name(status), err.message);
        }
    }
    pw_buf_deinit(&file);
    (void)state;
}

static void a_file_shorter_than_its_header_is_refused(void **state)
{
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    pw_tensors t;
    pawl_error err;
    for (size_t size = 0; size <= sizeof huge; size++) {
        assert_int_equal(pw_tensors_init(&t, huge, size, &err), PAWL_PARSE);
    }
    (void)state;
}

static void a_half_is_what_ieee_says_and_survives_the_way_there_and_back(void **state)
{
    assert_true(pw_float_of_half(0x3c00) == 1.0f && pw_float_of_half(0xc000) == -2.0f);
    assert_true(pw_float_of_half(0x7bff) == 65504.0f && pw_float_of_half(0x0001) == 0x1p-24f);
    assert_true(isinf(pw_float_of_half(0x7c00)) && isnan(pw_float_of_half(0x7c01)));
    for (uint32_t h = 0; h <= 0xffff; h++) {
        const float f = pw_float_of_half((uint16_t)h);
        if (!isnan(f)) {
            assert_int_equal(pw_half_of_float(f), h);
        }
    }
    for (uint32_t h = 0; h < 0x7bff;
         h++) { /* half-way goes to the even one, a little more or less to the nearest */
        const float a = pw_float_of_half((uint16_t)h), b = pw_float_of_half((uint16_t)(h + 1)),
                    middle = a + (b - a) / 2;
        assert_int_equal(pw_half_of_float(middle), (h & 1) == 0 ? h : h + 1);
        assert_int_equal(pw_half_of_float(nextafterf(middle, 0)), h);
        assert_int_equal(pw_half_of_float(nextafterf(middle, 1e9f)), h + 1);
    }
    assert_int_equal(pw_half_of_float(65520.0f), 0x7c00);
    assert_int_equal(pw_half_of_float(65519.0f), 0x7bff);
    assert_int_equal(pw_half_of_float(-1e30f), 0xfc00);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_found_by_name_and_read_as_floats),
        cmocka_unit_test(a_header_that_is_not_true_of_the_file_is_refused),
        cmocka_unit_test(a_file_shorter_than_its_header_is_refused),
        cmocka_unit_test(a_half_is_what_ieee_says_and_survives_the_way_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
