/*
 * frame_test.c - frames cut from a stream in any pieces, and the two messages inside them. Does not open sockets: control_test.c does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/request.h"
#include "sdk/base/frame.h"
#include "sdk/base/limits.h"

static void put_frame(pw_buf *out, const char *text)
{
    size_t begin = pw_frame_begin(out);

    pw_buf_puts(out, text);
    pw_frame_end(out, begin);
}

static void frames_come_out_whole_however_the_bytes_come(void **state)
{
    static const char *const texts[] = {"", "a", "hello",
                                        "a longer frame that is cut in several places"};
    PW_CLEANUP(pw_buf_deinit) pw_buf bytes = PW_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < PW_COUNT(texts); i++) {
        put_frame(&bytes, texts[i]);
    }
    for (size_t piece = 1; piece <= bytes.size; piece++) {
        pw_frames frames;
        pw_view frame;
        pawl_error err;
        size_t got = 0;
        pw_frames_init(&frames, 0);
        for (size_t at = 0; at < bytes.size; at += piece) {
            size_t size = bytes.size - at < piece ? bytes.size - at : piece;
            assert_int_equal(pw_frames_put(&frames, bytes.data + at, size, &err), PAWL_OK);
            while (pw_frames_next(&frames, &frame, &err) == PAWL_OK) {
                assert_true(got < PW_COUNT(texts));
                assert_int_equal(frame.size, strlen(texts[got]));
                assert_memory_equal(frame.data, texts[got], frame.size);
                got++;
            }
        }
        assert_int_equal(got, PW_COUNT(texts));
        assert_false(pw_frames_partial(&frames));
        pw_frames_deinit(&frames);
    }
}

static void a_claimed_size_is_refused_before_any_of_it_came(void **state)
{
    pw_frames frames;
    pw_view frame;
    pawl_error err;

    (void)state;
    pw_frames_init(&frames, 1000);
    assert_int_equal(pw_frames_put(&frames, "\0\0\x03\xe9", 4, &err), PAWL_OK);
    assert_int_equal(pw_frames_next(&frames, &frame, &err), PAWL_LIMIT);
    assert_non_null(strstr(err.message, "1001"));
    pw_frames_deinit(&frames);
}

static void half_a_frame_is_partial(void **state)
{
    pw_frames frames;
    pw_view frame;
    pawl_error err;

    (void)state;
    pw_frames_init(&frames, 0);
    assert_int_equal(pw_frames_put(&frames, "\0\0\0\x02x", 5, &err), PAWL_OK);
    assert_int_equal(pw_frames_next(&frames, &frame, &err), PAWL_DONE);
    assert_true(pw_frames_partial(&frames));
    pw_frames_deinit(&frames);
}

/* ---- messages ---- */

static void a_request_reads_back_as_it_was_written(void **state)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf args = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = 0;
    pw_view op;
    pw_view got;
    pawl_error err;

    (void)state;
    pw_mp_map(&args, 1);
    pw_mp_str(&args, "id");
    pw_mp_str(&args, "run-1");
    pw_request_write(&out, 42, "describe", (pw_view){args.data, args.size});
    assert_int_equal(pw_request_parse((pw_view){out.data, out.size}, &number, &op, &got, &err),
                     PAWL_OK);
    assert_int_equal(number, 42);
    assert_true(pw_view_is(op, "describe"));
    assert_true(pw_view_eq(got, (pw_view){args.data, args.size}));
}

static void a_reply_carries_the_status_and_its_message(void **state)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    pawl_error sent;
    pawl_error got;
    int64_t number = 0;
    pawl_status said = PAWL_OK;
    pw_view body;

    (void)state;
    (void)pw_err(&sent, PAWL_NOTFOUND, "there is no run \"x\"");
    pw_reply_write(&out, 7, PAWL_NOTFOUND, (pw_view){NULL, 0}, &sent);
    assert_int_equal(pw_reply_parse((pw_view){out.data, out.size}, &number, &said, &body, &got),
                     PAWL_OK);
    assert_int_equal(number, 7);
    assert_int_equal(said, PAWL_NOTFOUND);
    assert_string_equal(got.message, "there is no run \"x\"");
}

static void a_failed_reply_keeps_what_its_body_says(void **state)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = 0;
    pawl_status said = PAWL_OK;
    pw_view got;
    pawl_error err;

    (void)state;
    pw_mp_map(&body, 1);
    pw_mp_str(&body, "by");
    pw_mp_str(&body, "ann");
    pw_reply_write(&out, 1, PAWL_CONFLICT, (pw_view){body.data, body.size}, NULL);
    assert_int_equal(pw_reply_parse((pw_view){out.data, out.size}, &number, &said, &got, &err),
                     PAWL_OK);
    pw_mp r = pw_mp_reader(got.data, got.size);
    assert_int_equal(pw_mp_read_map(&r), 2);
    assert_true(pw_view_is(pw_mp_read_str(&r), "message"));
    pw_mp_skip(&r);
    assert_true(pw_view_is(pw_mp_read_str(&r), "by"));
    assert_true(pw_view_is(pw_mp_read_str(&r), "ann"));
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        pawl_status status;
    } cases[] = {
        {"", 0, PAWL_PARSE},                               /* nothing */
        {"\xc1", 1, PAWL_PARSE},                           /* a byte msgpack does not have */
        {"\x93\x01\x01\xa4stop", 8, PAWL_PARSE},           /* three elements */
        {"\x94\x01\x01\xa4stop\xc0", 9, PAWL_PARSE},       /* arguments that are no map */
        {"\x94\x01\xa1x\xa4stop\x80", 10, PAWL_PARSE},     /* a number that is none */
        {"\x94\x02\x05\xa4stop\x80", 9, PAWL_UNSUPPORTED}, /* version 2 */
        {"\x94\x01\x01\xa2\xff\xfe\x80", 7, PAWL_PARSE},   /* bad UTF-8 */
        {"\xdd\xff\xff\xff\xff", 5, PAWL_PARSE},           /* a claimed count */
        {"\x94\x01\x01\xa4stop\x80\x00", 10, PAWL_PARSE},  /* bytes behind the end */
    };

    (void)state;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        int64_t number = 0;
        pw_view op;
        pw_view args;
        pawl_error err;
        pawl_status status = pw_request_parse(
            (pw_view){(const uint8_t *)cases[i].bytes, cases[i].size}, &number, &op, &args, &err);
        if (status != cases[i].status) {
            fail_msg("case %zu: %s, expected %s", i, pawl_status_name(status),
                     pawl_status_name(cases[i].status));
        }
    }
}

static void a_message_nested_too_deep_is_refused(void **state)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
    int64_t number = 0;
    pw_view op;
    pw_view args;
    pawl_error err;

    (void)state;
    pw_buf_put(&out, "\x94\x01\x01\xa4list\x81\xa1x", 11);
    for (int i = 0; i < 100000; i++) {
        pw_mp_array(&out, 1);
    }
    pw_mp_nil(&out);
    assert_int_equal(pw_request_parse((pw_view){out.data, out.size}, &number, &op, &args, &err),
                     PAWL_LIMIT);
}

static void every_operation_has_a_name_that_leads_back_to_it(void **state)
{
    (void)state;
    for (int op = PW_REQ_NONE + 1; op < PW_REQ_COUNT; op++) {
        const char *name = pw_req_name((pw_req_op)op);
        assert_int_equal(pw_req_from_name((pw_view){(const uint8_t *)name, strlen(name)}), op);
    }
    assert_int_equal(pw_req_from_name((pw_view){(const uint8_t *)"nonsense", 8}), PW_REQ_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_whole_however_the_bytes_come),
        cmocka_unit_test(a_claimed_size_is_refused_before_any_of_it_came),
        cmocka_unit_test(half_a_frame_is_partial),
        cmocka_unit_test(a_request_reads_back_as_it_was_written),
        cmocka_unit_test(a_reply_carries_the_status_and_its_message),
        cmocka_unit_test(a_failed_reply_keeps_what_its_body_says),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(a_message_nested_too_deep_is_refused),
        cmocka_unit_test(every_operation_has_a_name_that_leads_back_to_it),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
