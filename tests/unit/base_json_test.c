/*
 * base_json_test.c - the transcoder: exact cases, round trips, hostile texts, mutations of a corpus, every failed allocation.
 * Does not compare with other parsers: json_oracle_test does.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/base/error.h"
#include "sdk/base/json.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

static pawl_status parse(pw_buf *out, const char *text, pw_json_mode mode, pw_json_notes *notes)
{
    pawl_error err;
    pw_buf_reset(out);
    return pw_json_parse(out, text, strlen(text), mode, notes, &err);
}

static void expect(const char *text, const char *printed)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
    pawl_error err;
    assert_int_equal(parse(&mp, text, PW_JSON_STRICT, NULL), PAWL_OK);
    assert_int_equal(pw_mp_check(mp.data, mp.size, &err), PAWL_OK);
    assert_int_equal(pw_json_print(&json, mp.data, mp.size, 0, &err), PAWL_OK);
    assert_string_equal(pw_buf_cstr(&json), printed);
}

static void what_is_valid_comes_back_the_same(void **state)
{
    (void)state;
    static const char *const same[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "-1",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1.5",
                                       "-0.0",
                                       "1e+300",
                                       "\"\"",
                                       "\"a\\\"b\\\\c\\n\\u0001\"",
                                       "[]",
                                       "{}",
                                       "[[[]]]",
                                       "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
                                       "123456789012345678901234567890",
                                       "-98765432109876543210",
                                       "{\"z\":1,\"a\":2}",
                                       "{\"a\":1,\"a\":2}",
                                       "{\"$bytes\":\"AAEC\"}",
                                       "{\"$bytes\":\"\"}",
                                       "{\"$bytes\":\"not base64!\"}"};
    for (size_t i = 0; i < PW_COUNT(same); i++) {
        expect(same[i], same[i]);
    }
    expect(" [ 1 , 2 ] ", "[1,2]");
    expect("1.0", "1.0");
    expect("1e2", "100.0");
    expect("0.1", "0.1");
    expect("\"\\u00e9\\ud83d\\ude00\\/\"", "\"\xc3\xa9\xf0\x9f\x98\x80/\"");
    expect("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]",
           "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]");
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "nul",
                                      "tru",
                                      "01",
                                      "-",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "NaN",
                                      "Infinity",
                                      "1e999",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\" 1}",
                                      "{\"a\":}",
                                      "[",
                                      "{",
                                      "\"",
                                      "\"\\x\"",
                                      "\"\\u12\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00x\"",
                                      "\"\\u0000\"",
                                      "\"\x01\"",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xed\xa0\x80\"",
                                      "1 1",
                                      "[]]",
                                      "\"a\"b",
                                      "'a'",
                                      "[1}",
                                      "{\"a\":1]"};
    PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        if (parse(&mp, bad[i], PW_JSON_STRICT, NULL) != PAWL_PARSE) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(mp.size, 0);
    }
}

static void lenient_repairs_what_models_send_and_counts_it(void **state)
{
    (void)state;
    PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
    pw_json_notes notes = {0};
    pawl_error err;
    assert_int_equal(parse(&mp, "[\"\\ud800\", \"a\xff\", \"\\u0000\", 99999999999999999999]",
                           PW_JSON_LENIENT, &notes),
                     PAWL_OK);
    assert_int_equal(notes.replaced, 2);
    assert_int_equal(notes.bigints, 1);
    assert_int_equal(pw_mp_check(mp.data, mp.size, &err), PAWL_OK);
    assert_int_equal(parse(&mp, "[1,]", PW_JSON_LENIENT, NULL), PAWL_PARSE);
    assert_int_equal(parse(&mp, "NaN", PW_JSON_LENIENT, NULL), PAWL_PARSE);
}

static void an_error_names_line_and_column(void **state)
{
    (void)state;
    PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
    pawl_error err;
    const char *text = "{\n  \"a\": 1,\n  \"b\" 2\n}";
    assert_int_equal(pw_json_parse(&mp, text, strlen(text), PW_JSON_STRICT, NULL, &err),
                     PAWL_PARSE);
    assert_string_equal(err.message, "a colon is missing at line 3, column 7");
}

static void depth_has_a_limit(void **state)
{
    (void)state;
    char deep[2 * (PW_DEPTH_MAX + 1) + 1];
    memset(deep, '[', PW_DEPTH_MAX + 1);
    memset(deep + PW_DEPTH_MAX + 1, ']', PW_DEPTH_MAX + 1);
    deep[sizeof deep - 1] = 0;
    PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
    assert_int_equal(parse(&mp, deep, PW_JSON_STRICT, NULL), PAWL_LIMIT);
    deep[sizeof deep - 2] = 0;
    assert_int_equal(parse(&mp, deep + 1, PW_JSON_STRICT, NULL), PAWL_OK);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void doubles_come_back_bit_by_bit_in_any_locale(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    (void)setlocale(LC_NUMERIC, "de_DE.UTF-8");
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&seed), back_bits;
        double d, back;
        memcpy(&d, &bits, sizeof d);
        if (d - d != 0) {
            continue;
        }
        PW_CLEANUP(pw_buf_deinit) pw_buf mp = PW_BUF_INIT;
        PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
        pawl_error err;
        pw_mp_double(&mp, d);
        assert_int_equal(pw_json_print(&json, mp.data, mp.size, 0, &err), PAWL_OK);
        assert_int_equal(parse(&mp, pw_buf_cstr(&json), PW_JSON_STRICT, NULL), PAWL_OK);
        pw_mp r = pw_mp_reader(mp.data, mp.size);
        back = pw_mp_read_double(&r);
        memcpy(&back_bits, &back, sizeof back);
        assert_true(back_bits == bits);
    }
    (void)setlocale(LC_NUMERIC, "C");
}

/* parse -> print -> parse gives the same bytes, whatever the mutation that was accepted. */
static void check_one(const char *text, size_t size, pw_json_mode mode)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf a = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
    pawl_error err;
    if (pw_json_parse(&a, text, size, mode, NULL, &err) != PAWL_OK) {
        return;
    }
    assert_int_equal(pw_mp_check(a.data, a.size, &err), PAWL_OK);
    assert_int_equal(pw_json_print(&json, a.data, a.size, 0, &err), PAWL_OK);
    assert_int_equal(
        pw_json_parse(&b, (const char *)json.data, json.size, PW_JSON_LENIENT, NULL, &err),
        PAWL_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
}

static void mutated_texts_are_refused_or_come_back(void **state)
{
    (void)state;
    static const char *const corpus[] = {
        ("{\"tools\":[{\"name\":\"get_weather\",\"description\":\"Caf\\u00e9 \\ud83d\\ude00\",\"inputSchema\":{\"type\":\"object\",\"n\":[1,-2.5e3,"
         "true,null,\"\"]}}],\"next\":12345678901234567890}"),
        "[{\"$bytes\":\"aGVsbG8=\"},{},[],[[]],0.1,1e-7,\"\\\\\\\"\\n\"]",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""};
    uint64_t seed = 42;
    const char *given = getenv("PAWL_SEED");
    if (given != NULL) {
        seed = strtoull(given, NULL, 10) | 1;
    }
    int times = getenv("PAWL_LONG") != NULL ? 2000000 : 60000;
    for (int i = 0; i < times; i++) {
        char text[400];
        const char *from = corpus[next_random(&seed) % PW_COUNT(corpus)];
        size_t size = strlen(from);
        memcpy(text, from, size);
        for (uint64_t k = next_random(&seed) % 4; k > 0; k--) {
            static const char bytes[] = "{}[]\",:\\u0019eE+-.tfn \xff\xc3\xed";
            text[next_random(&seed) % size] = bytes[next_random(&seed) % (sizeof bytes - 1)];
        }
        size -= next_random(&seed) % 5 == 0 ? next_random(&seed) % size : 0;
        check_one(text, size, (i & 1) != 0 ? PW_JSON_LENIENT : PW_JSON_STRICT);
    }
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18],\"b\":{\"$bytes\":\"aGVsbG8=\"},\"c\":\"a longer text of more than "
        "thirty-two bytes \\u00e9\"}";
    for (int64_t nth = 1;; nth++) {
        pw_buf mp = PW_BUF_INIT, json = PW_BUF_INIT;
        pawl_error err;
        bool failed;
        pw_mem_fail(nth, nth % 2 == 0);
        pawl_status st = pw_json_parse(&mp, text, sizeof text - 1, PW_JSON_STRICT, NULL, &err);
        if (st == PAWL_OK) {
            st = pw_json_print(&json, mp.data, mp.size, 2, &err);
        }
        (void)pw_mem_count(&failed);
        pw_mem_fail(0, false);
        pw_buf_deinit(&mp);
        pw_buf_deinit(&json);
        if (!failed) {
            assert_int_equal(st, PAWL_OK);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_valid_comes_back_the_same),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(lenient_repairs_what_models_send_and_counts_it),
        cmocka_unit_test(an_error_names_line_and_column),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(doubles_come_back_bit_by_bit_in_any_locale),
        cmocka_unit_test(mutated_texts_are_refused_or_come_back),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
