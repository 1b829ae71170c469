/*
 * base_value_test.c - values, templates, msgpack, scopes, buffers, ids and hashes, one sentence each.
 * Does not test JSON: base_json_test.c does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"
#include "sdk/base/value.h"

static pawl_scope *scope_of(void **state)
{
    return *state;
}

static int with_scope(void **state)
{
    *state = pawl_scope_new();
    return *state == NULL;
}

static int without_scope(void **state)
{
    pawl_scope_free(*state);
    return 0;
}

static void a_template_builds_what_it_says(void **state)
{
    pawl_scope *s = scope_of(state);
    const pawl_value *inner = pawl_build(s, "[%s, %lld]", "q", (long long)1 << 40);
    const pawl_value *v = pawl_build(
        s,
        "{a: %d, b: [1, -2, {x: %s}], 'c d': null, e: [], f: {}, t: true, g: 1.5, v: %p, u: %zu}",
        5, "hi", pawl_v(inner), (size_t)7);
    assert_int_equal(pawl_typeof(v), PAWL_MAP);
    assert_int_equal(pawl_len(v), 9);
    assert_int_equal(pawl_int(v, "a", 0), 5);
    assert_int_equal(pawl_int(v, "b.1", 0), -2);
    assert_string_equal(pawl_str(v, "b.2.x", ""), "hi");
    assert_null(pawl_get(v, "c d"));
    assert_int_equal(pawl_len(pawl_get(v, "e")), 0);
    assert_true(pawl_bool(v, "t", false));
    assert_true(pawl_num(v, "g", 0) == 1.5);
    assert_int_equal(pawl_int(v, "v.1", 0), (int64_t)1 << 40);
    assert_int_equal(pawl_int(v, "u", 0), 7);
}

static void a_malformed_template_is_nil(void **state)
{
    static const char *const bad[] = {"{a}", "{a: }", "[1,]",  "{a: 1",  "1 2", "{a: 1,, b: 2}",
                                      "",    "tru",   "{: 1}", "\"open", "]"};
    /* through a pointer, so that the compiler does not refuse these formats first */
    const pawl_value *(*build)(pawl_scope *, const char *, va_list) = pawl_vbuild;
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        va_list none;
        memset(&none, 0, sizeof none);
        assert_null(build(scope_of(state), bad[i], none));
    }
}

static void nil_is_accepted_everywhere(void **state)
{
    (void)state;
    size_t size = 3;
    assert_int_equal(pawl_typeof(NULL), PAWL_NIL);
    assert_null(pawl_get(NULL, "a.b"));
    assert_null(pawl_at(NULL, 0));
    assert_null(pawl_key_at(NULL, 0));
    assert_int_equal(pawl_len(NULL), 0);
    assert_string_equal(pawl_str(NULL, "", "none"), "none");
    assert_int_equal(pawl_int(NULL, "", 4), 4);
    assert_false(pawl_is(NULL, "", "x"));
    assert_null(pawl_data(NULL, "", &size));
    assert_int_equal(size, 3);
    assert_true(pawl_equal(NULL, NULL));
    pawl_scope_free(NULL);
}

static void one_and_one_point_zero_differ_and_key_order_does_not_matter(void **state)
{
    pawl_scope *s = scope_of(state);
    assert_false(pawl_equal(pawl_make_int(s, 1), pawl_make_num(s, 1.0)));
    assert_true(pawl_equal(pawl_build(s, "{a: 1, b: [2, {c: 3, d: 4}]}"),
                           pawl_build(s, "{b: [2, {d: 4, c: 3}], a: 1}")));
    const pawl_value *x = pawl_build(s, "{a: 1, b: 2}"), *y = pawl_build(s, "{b: 2, a: 1}");
    pw_view bx = pw_value_bytes(x), by = pw_value_bytes(y);
    assert_true(pw_input_digest(bx.data, bx.size) == pw_input_digest(by.data, by.size));
    assert_true(pw_checksum(bx.data, bx.size) != pw_checksum(by.data, by.size));
}

/* The vectors of FIPS 180-4. */
static void sha_256_is_the_standard_one(void **state)
{
    static const char *const vectors[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < PW_COUNT(vectors); i++) {
        uint8_t digest[PW_DIGEST_SIZE];
        char hex[2 * PW_DIGEST_SIZE + 1];
        pw_sha256(digest, vectors[i][0], strlen(vectors[i][0]));
        pw_hex(hex, digest, sizeof digest);
        assert_string_equal(hex, vectors[i][1]);
    }
}

static void with_replaces_or_adds_one_key(void **state)
{
    pawl_scope *s = scope_of(state);
    const pawl_value *v = pawl_with(s, pawl_build(s, "{a: 1, b: 2}"), "a", pawl_make_str(s, "x"));
    assert_int_equal(pawl_len(v), 2);
    assert_string_equal(pawl_str(v, "a", ""), "x");
    assert_int_equal(pawl_len(pawl_with(s, NULL, "k", NULL)), 1);
}

static void integers_keep_their_shortest_form(void **state)
{
    (void)state;
    static const int64_t ints[] = {
        0,         1,  127, 128, 255,  256,  65535,  65536,  4294967295,    4294967296,
        INT64_MAX, -1, -32, -33, -128, -129, -32768, -32769, -2147483648LL, -2147483649LL,
        INT64_MIN};
    static const size_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9};
    for (size_t i = 0; i < PW_COUNT(ints); i++) {
        PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
        pw_mp_int(&b, ints[i]);
        assert_int_equal(b.size, sizes[i]);
        pw_mp r = pw_mp_reader(b.data, b.size);
        assert_true(pw_mp_read_int(&r) == ints[i] && pw_mp_ok(&r) && pw_mp_at_end(&r));
    }
}

static const pawl_value *rich(pawl_scope *s)
{
    char text[300];
    memset(text, 'x', sizeof text);
    return pawl_build(
        s,
        "{text: %p, bytes: %p, n: [1, -1, 70000, 1.25, true, null], deep: [[[[{a: 'b'}]]]], big: %lld}",
        pawl_v(pawl_make_strn(s, text, sizeof text)), pawl_v(pawl_make_bytes(s, "\0\1\2", 3)),
        (long long)INT64_MIN);
}

static void every_prefix_of_a_value_is_refused(void **state)
{
    pw_view bytes = pw_value_bytes(rich(scope_of(state)));
    pawl_error err;
    assert_int_equal(pw_mp_check(bytes.data, bytes.size, &err), PAWL_OK);
    for (size_t n = 0; n < bytes.size; n++) {
        assert_int_equal(pw_mp_check(bytes.data, n, &err), PAWL_PARSE);
    }
}

/* Whatever the check accepts, the reader, the canonical form and the getters walk to the end. */
static void every_flipped_byte_is_refused_or_walked(void **state)
{
    pawl_scope *s = scope_of(state);
    pw_view bytes = pw_value_bytes(rich(s));
    uint8_t *copy = pw_memdup(s, bytes.data, bytes.size);
    size_t accepted = 0;
    for (size_t i = 0; i < bytes.size * 8; i++) {
        copy[i / 8] = (uint8_t)(copy[i / 8] ^ 1u << (i % 8));
        pawl_error err;
        if (pw_mp_check(copy, bytes.size, &err) == PAWL_OK) {
            PW_CLEANUP(pw_buf_deinit) pw_buf out = PW_BUF_INIT;
            pw_mp r = pw_mp_reader(copy, bytes.size);
            pw_mp_skip(&r);
            assert_true(pw_mp_ok(&r) && pw_mp_at_end(&r));
            assert_true(pw_canon(&out, copy, bytes.size));
            accepted++;
        }
        copy[i / 8] = (uint8_t)(copy[i / 8] ^ 1u << (i % 8));
    }
    assert_true(accepted > 100);
}

static void a_claimed_count_is_never_believed(void **state)
{
    (void)state;
    static const uint8_t arrays[][6] = {{0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0},
                                        {0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0},
                                        {0xdb, 0xff, 0xff, 0xff, 0xff, 'x'},
                                        {0xc6, 0xff, 0xff, 0xff, 0xff, 'x'},
                                        {0xc9, 0xff, 0xff, 0xff, 0xff, 1}};
    for (size_t i = 0; i < PW_COUNT(arrays); i++) {
        pawl_error err;
        pw_mp r = pw_mp_reader(arrays[i], 6);
        assert_int_equal(pw_mp_check(arrays[i], 6, &err), PAWL_PARSE);
        pw_mp_skip(&r);
        assert_false(pw_mp_ok(&r));
    }
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    uint8_t deep[PW_DEPTH_MAX + 2];
    memset(deep, 0x91, sizeof deep);
    deep[sizeof deep - 1] = 0xc0;
    pawl_error err;
    assert_int_equal(pw_mp_check(deep, sizeof deep, &err), PAWL_LIMIT);
    assert_int_equal(pw_mp_check(deep + 1, sizeof deep - 1, &err), PAWL_OK);
}

static void keys_are_strings_and_strings_are_utf8(void **state)
{
    (void)state;
    static const uint8_t number_key[] = {0x81, 0x01, 0xc0}, latin[] = {0xa1, 0xe9},
                         surrogate[] = {0xa3, 0xed, 0xa0, 0x80};
    pawl_error err;
    assert_int_equal(pw_mp_check(number_key, sizeof number_key, &err), PAWL_PARSE);
    assert_int_equal(pw_mp_check(latin, sizeof latin, &err), PAWL_PARSE);
    assert_int_equal(pw_mp_check(surrogate, sizeof surrogate, &err), PAWL_PARSE);
}

static void a_number_of_many_digits_has_only_digits(void **state)
{
    (void)state;
    static const char *const good[] = {"18446744073709551616", "-9223372036854775809",
                                       "100000000000000000000"};
    static const char *const wrong[] = {"", "-", "0012", "1}, {\"a\": 1", "1e5", "12 ", "\"", "+5"};
    for (size_t i = 0; i < PW_COUNT(good) + PW_COUNT(wrong); i++) {
        const char *text = i < PW_COUNT(good) ? good[i] : wrong[i - PW_COUNT(good)];
        PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
        pawl_error err;
        pw_mp_ext(&b, PW_EXT_BIGINT, text, strlen(text));
        assert_int_equal(pw_mp_check(b.data, b.size, &err),
                         i < PW_COUNT(good) ? PAWL_OK : PAWL_PARSE);
    }
}

static void a_reference_to_a_blob_does_not_come_from_outside(void **state)
{
    pawl_scope *s = scope_of(state);
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    const uint8_t ref[PW_DIGEST_SIZE + 8] = {0};
    const pawl_value *v = NULL;
    pawl_error err;
    pw_mp_array(&b, 1);
    pw_mp_ext(&b, PW_EXT_BLOB, ref, sizeof ref);
    assert_int_equal(pw_mp_check(b.data, b.size, &err),
                     PAWL_OK); /* in a reply it stands for what does not fit */
    assert_int_equal(pawl_from_msgpack(s, b.data, b.size, &v, &err), PAWL_INVALID);
}

static void a_text_that_is_no_utf8_becomes_one(void **state)
{
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"caf\xe9", "caf\xef\xbf\xbd"},
        {"\xc3\xa9t\xc3", "\xc3\xa9t\xef\xbf\xbd"}, /* cut in the middle */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\x80\xf5", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80 \xe2\x82\xac 12345678", "\xf0\x9f\x98\x80 \xe2\x82\xac 12345678"},
    };
    pawl_scope *s = scope_of(state);
    pawl_error err;
    for (size_t i = 0; i < PW_COUNT(cases); i++) {
        const pawl_value *v =
            pawl_build(s, "[%s, %p]", cases[i].given, pawl_v(pawl_make_str(s, cases[i].given)));
        pw_view bytes = pw_value_bytes(v);
        assert_int_equal(pw_mp_check(bytes.data, bytes.size, &err), PAWL_OK);
        assert_string_equal(pawl_str(v, "0", ""), cases[i].kept);
        assert_string_equal(pawl_str(v, "1", ""), cases[i].kept);
    }
}

static void a_scope_goes_back_to_its_mark(void **state)
{
    pawl_scope *s = scope_of(state);
    (void)pw_alloc(s, 10);
    size_t before = pw_scope_bytes(s);
    pw_mark mark = pw_scope_mark(s);
    for (int i = 0; i < 100; i++) {
        uint8_t *p = pw_alloc(s, 1000);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xab, 1000);
    }
    pw_scope_rewind(s, mark);
    assert_int_equal(pw_scope_bytes(s), before);
}

static void a_scope_and_a_buffer_keep_their_maximum(void **state)
{
    (void)state;
    pawl_scope *small = pw_scope_new(100000);
    assert_null(pw_alloc(small, 200000));
    assert_non_null(pw_alloc(small, 50000));
    pawl_scope_free(small);
    pw_buf b;
    pw_buf_init(&b, 1000);
    for (int i = 0; i < 300; i++) {
        pw_buf_puts(&b, "1234");
    }
    assert_false(pw_buf_ok(&b));
    assert_int_equal(b.size, 1000);
    pw_buf_deinit(&b);
}

static void large_blocks_of_a_scope_come_back_from_its_pool(void **state)
{
    (void)state;
    pw_pool pool = {.len_max = 2};
    for (int round = 0; round < 3; round++) {
        pawl_scope *s = pw_scope_new_in(&pool);
        assert_non_null(s);
        for (int i = 0; i < 3000; i++) { /* 3 MB: several blocks of the largest size */
            memset(pw_alloc(s, 1000), 0xee, 1000);
        }
        assert_int_equal(pool.len, 0);
        const uint8_t *zeros = pawl_scope_alloc(s, 1000);
        assert_int_equal(zeros[0] | zeros[999], 0);
        pawl_scope_free(s);
        assert_int_equal(pool.len, 2);
    }
    pw_pool_trim(&pool);
    assert_int_equal(pool.len, 0);
    assert_null(pool.blocks);
}

/* The buffers are exactly as large as they claim: the address sanitizer sees a reader that goes on. */
static void no_head_makes_a_reader_pass_the_end(void **state)
{
    (void)state;
    for (int lead = 0; lead < 256; lead++) {
        for (size_t size = 1; size < 40; size++) {
            uint8_t *bytes = calloc(1, size);
            assert_non_null(bytes);
            bytes[0] = (uint8_t)lead;
            pw_mp whole = pw_mp_reader(bytes, size), i = whole, u = whole, t = whole, a = whole,
                  m = whole;
            pw_view raw = pw_mp_read_raw(&whole);
            (void)pw_mp_read_int(&i);
            (void)pw_mp_read_uint(&u);
            pw_view text = pw_mp_read_str(&t);
            (void)pw_mp_read_array(&a);
            (void)pw_mp_read_map(&m);
            assert_true(raw.size <= size && text.size < size &&
                        (pw_mp_ok(&whole) ? raw.size > 0 : raw.size == 0));
            assert_true(i.p <= i.end && u.p <= u.end && t.p <= t.end && a.p <= a.end &&
                        m.p <= m.end);
            assert_true(!pw_mp_ok(&t) || !pw_mp_ok(&whole) || t.p == whole.p);
            assert_true(!pw_mp_ok(&i) || (pw_mp_ok(&whole) && i.p == whole.p));
            free(bytes);
        }
    }
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        bool failed;
        pw_mem_fail(nth, nth % 2 == 0);
        pawl_scope *s = pawl_scope_new();
        if (s != NULL) {
            const pawl_value *v = rich(s);
            (void)pawl_str(pawl_with(s, v, "k", v), "deep.0.0.0.0.a", "");
            (void)pawl_equal(v, pawl_copy(s, v));
            pawl_scope_free(s);
        }
        (void)pw_mem_count(&failed);
        pw_mem_fail(0, false);
        if (!failed) {
            assert_true(nth > 5);
            return;
        }
    }
}

static void names_and_ids_are_checked_byte_by_byte(void **state)
{
    (void)state;
    pawl_error err;
    char long_id[PW_ID_BYTES_MAX + 2];
    memset(long_id, 'a', sizeof long_id);
    assert_int_equal(pw_id_check("order-17/charge", 15, &err), PAWL_OK);
    assert_int_equal(pw_id_check(long_id, PW_ID_BYTES_MAX, &err), PAWL_OK);
    assert_int_equal(pw_id_check(long_id, PW_ID_BYTES_MAX + 1, &err), PAWL_INVALID);
    static const char *const bad[] = {"", "a b", "a\n", "a\"", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < PW_COUNT(bad); i++) {
        assert_int_equal(pw_id_check(bad[i], strlen(bad[i]), &err), PAWL_INVALID);
    }
    assert_int_equal(pw_name_check("fix_issue.v2", 12, &err), PAWL_OK);
    assert_int_equal(pw_name_check("2fast", 5, &err), PAWL_INVALID);
    assert_int_equal(pw_name_check("a/b", 3, &err), PAWL_INVALID);
}

static void uuids_have_their_version(void **state)
{
    (void)state;
    uint8_t random[16];
    char a[37], b[37];
    pw_random(random, sizeof random);
    pw_uuid7(a, 1700000000000, random);
    pw_uuid4(b, random);
    assert_int_equal(a[14], '7');
    assert_int_equal(b[14], '4');
    assert_memory_equal(a, "018bcfe5-6800", 13);
}

static void a_context_is_prepended_to_an_error_and_cut_to_its_size(void **state)
{
    (void)state;
    pawl_error err;
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[299] = 0;
    assert_int_equal(pw_err(&err, PAWL_IO, "disk"), PAWL_IO);
    assert_int_equal(pw_error_wrap(&err, err.status, "open %s", "x.db"), PAWL_IO);
    assert_string_equal(err.message, "open x.db: disk");
    (void)pw_error_wrap(&err, err.status, "%s", longest);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_string_equal(pawl_status_name(PAWL_NOTFOUND), "notfound");
    assert_string_equal(pawl_status_text((pawl_status)999), "an unknown status");
}

static void the_chain_depends_on_every_link(void **state)
{
    (void)state;
    uint8_t a[PW_DIGEST_SIZE] = {0}, b[PW_DIGEST_SIZE] = {0};
    pw_chain_next(a, a, "one", 3);
    pw_chain_next(a, a, "two", 3);
    pw_chain_next(b, b, "one", 3);
    pw_chain_next(b, b, "twO", 3);
    assert_memory_not_equal(a, b, PW_DIGEST_SIZE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, with_scope, without_scope)
    const struct CMUnitTest tests[] = {
        T(a_template_builds_what_it_says),
        T(a_malformed_template_is_nil),
        T(nil_is_accepted_everywhere),
        T(one_and_one_point_zero_differ_and_key_order_does_not_matter),
        T(sha_256_is_the_standard_one),
        T(with_replaces_or_adds_one_key),
        T(integers_keep_their_shortest_form),
        T(every_prefix_of_a_value_is_refused),
        T(every_flipped_byte_is_refused_or_walked),
        T(a_claimed_count_is_never_believed),
        T(nesting_has_a_limit),
        T(keys_are_strings_and_strings_are_utf8),
        T(a_number_of_many_digits_has_only_digits),
        T(a_reference_to_a_blob_does_not_come_from_outside),
        T(a_text_that_is_no_utf8_becomes_one),
        T(a_scope_goes_back_to_its_mark),
        T(a_scope_and_a_buffer_keep_their_maximum),
        T(large_blocks_of_a_scope_come_back_from_its_pool),
        T(no_head_makes_a_reader_pass_the_end),
        T(every_failed_allocation_is_survived),
        T(names_and_ids_are_checked_byte_by_byte),
        T(uuids_have_their_version),
        T(a_context_is_prepended_to_an_error_and_cut_to_its_size),
        T(the_chain_depends_on_every_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
