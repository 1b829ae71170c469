/*
 * wordpiece_test.c - the rules of the tokenizer, one by one, on a vocabulary of a few pieces; and what is refused of a tokenizer's file. That all
 * rules together are those of the reference is wordpiece_reference_test.c and wordpiece_oracle.cjs, not this.
 */
#include "embed_rig.h"

#include <stdio.h>
#include <string.h>

#include "activities/embed/wordpiece.h"
#include "sdk/base/error.h"

static const char *const pieces[] = {"[PAD]",  "[UNK]", "[CLS]",        "[SEP]",
                                     "[MASK]", "un",    "##aff",        "##able",
                                     "a",      "b",     "ab",           "e",
                                     "!",      "中",    "文",           "##b",
                                     "ss",     ".",     "\xe1\x84\x80", "##\xe1\x85\xa1",
                                     "##a",    "["};
enum { UNK = 1, CLS = 2, SEP = 3, MASK = 4, A = 8, B = 9, AB = 10 };

static pw_wordpiece *opened(void)
{
    pw_buf list = PW_BUF_INIT;
    pawl_error err;
    pw_wordpiece *t = NULL;
    for (size_t i = 0; i < PW_COUNT(pieces); i++) {
        pw_buf_printf(&list, "%s\n", pieces[i]);
    }
    assert_int_equal(pw_wordpiece_of_list((const char *)list.data, list.size, NULL, &t, &err),
                     PAWL_OK);
    pw_buf_deinit(&list);
    return t;
}

static const char *encoded(const pw_wordpiece *t, const char *text, size_t size, bool plain)
{
    static char out[4096];
    uint32_t ids[600];
    const pw_encoding e =
        pw_wordpiece_encode(t, (pw_view){(const uint8_t *)text, size}, plain, ids, 600);
    size_t at = 0;
    assert_int_equal(e.len, e.total);
    assert_int_equal(ids[0], CLS);
    assert_int_equal(ids[e.len - 1], SEP);
    out[0] = 0;
    for (uint32_t i = 1; i + 1 < e.len; i++) {
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", i > 1 ? " " : "", pieces[ids[i]]);
    }
    return out;
}

typedef struct sample {
    const char *text;
    size_t size;
    const char *expected;
} sample;
#define TEXT(text) (text), sizeof(text) - 1

static void a_text_becomes_the_longest_pieces_of_its_words(void **state)
{
    static const sample samples[] = {
        {TEXT(""), ""},
        {TEXT(" \t\n "), ""},
        {TEXT("unaffable"), "un ##aff ##able"},
        {TEXT("UnAffAble"), "un ##aff ##able"},
        {TEXT("unaffablex"), "[UNK]"},
        {TEXT("a!b"), "a ! b"},
        {TEXT("a b  a"), "a b a"},
        {TEXT("\xc3\xa9"), "e"},                     /* composed */
        {TEXT("e\xcc\x81"), "e"},                    /* decomposed */
        {TEXT("\xe4\xb8\xad\xe6\x96\x87"), "中 文"}, /* each stands alone */
        {TEXT("a\xe4\xb8\xad"
              "b"),
         "a 中 b"},
        {TEXT("a\xc2\xad"
              "b"),
         "ab"},               /* soft hyphen: dropped, the word goes on */
        {TEXT("a\0b"), "ab"}, /* NUL, too */
        {TEXT("a\xc2\xa0"
              "b"),
         "a b"}, /* no-break space */
        {TEXT("a\xe2\x80\xa8"
              "b"),
         "a b"}, /* line separator */
        {TEXT("\xea\xb0\x80"),
         "\xe1\x84\x80 ##\xe1\x85\xa1"}, /* a syllable of Hangul is its letters */
        {TEXT("z"), "[UNK]"},
    };
    pw_wordpiece *t = opened();
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        assert_string_equal(encoded(t, samples[i].text, samples[i].size, false),
                            samples[i].expected);
    }
    pw_wordpiece_close(t);
    (void)state;
}

static void bytes_that_are_no_utf8_are_dropped_and_the_rest_is_kept(void **state)
{
    static const sample samples[] = {
        {TEXT("a\xff"
              "b"),
         "ab"},
        {TEXT("a\xe2\x82"
              "b"),
         "ab"}, /* cut short */
        {TEXT("a\xc0\xaf"
              "b"),
         "ab"}, /* overlong */
        {TEXT("a\xed\xa0\x80"
              "b"),
         "ab"}, /* a surrogate */
        {TEXT("a\xf4\x90\x80\x80"
              "b"),
         "ab"},
        {TEXT("b\xe4\xb8"), "b"},
        {TEXT("\x80\xbf"), ""},
    };
    pw_wordpiece *t = opened();
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        assert_string_equal(encoded(t, samples[i].text, samples[i].size, false),
                            samples[i].expected);
    }
    pw_wordpiece_close(t);
    (void)state;
}

static void a_special_token_is_cut_out_of_raw_text_unless_it_is_to_be_text(void **state)
{
    pw_wordpiece *t = opened();
    assert_string_equal(encoded(t, TEXT("a[MASK]b"), false), "a [MASK] b");
    assert_string_equal(encoded(t, TEXT("a[mask]b"), false), "a [ [UNK] [UNK] b");
    assert_string_equal(encoded(t, TEXT("[MASK"), false), "[ [UNK]");
    assert_string_equal(encoded(t, TEXT("[CLS][SEP]"), false), "[CLS] [SEP]");
    assert_string_equal(encoded(t, TEXT("a[MASK]b"), true), "a [ [UNK] [UNK] b");
    pw_wordpiece_close(t);
    (void)state;
}

static void a_word_of_more_than_a_hundred_characters_is_unknown(void **state)
{
    char text[400];
    pw_wordpiece *t = opened();
    for (size_t n = 98; n <= 102; n++) {
        uint32_t ids[300];
        memset(text, 'a', n);
        const pw_encoding e =
            pw_wordpiece_encode(t, (pw_view){(uint8_t *)text, n}, false, ids, 300);
        assert_int_equal(e.len, n <= 100 ? n + 2 : 3);
        assert_int_equal(ids[1], n <= 100 ? A : UNK);
    }
    for (size_t i = 0; i < 101; i++) { /* characters are counted, not bytes */
        memcpy(text + 2 * i, "\xc3\xa9", 2);
    }
    assert_string_equal(encoded(t, text, 2 * 101, false), "[UNK]");
    pw_wordpiece_close(t);
    (void)state;
}

static void what_does_not_fit_is_left_out_and_counted(void **state)
{
    pw_wordpiece *t = opened();
    for (size_t max = 2; max < 12; max++) {
        uint32_t ids[12] = {[11] = 77};
        const pw_encoding e = pw_wordpiece_encode(
            t, (pw_view){(const uint8_t *)TEXT("a b a b a b")}, false, ids, max);
        assert_int_equal(e.total, 8);
        assert_int_equal(e.len, max < 8 ? max : 8);
        assert_int_equal(ids[0], CLS);
        assert_int_equal(ids[e.len - 1], SEP);
        assert_int_equal(ids[11], 77);
        assert_true(max < 3 || ids[1] == A);
        assert_true(max < 4 || ids[2] == B);
    }
    pw_wordpiece_close(t);
    (void)state;
}

static const char *letters_of(const pw_normal *n, uint32_t point)
{
    static char out[100];
    uint32_t letters[PW_LETTERS_MAX];
    size_t at = 0;
    const size_t len = pw_normal_letters(n, point, letters);
    out[0] = 0;
    for (size_t i = 0; i < len; i++) {
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s%x", i > 0 ? " " : "",
                               letters[i] == PW_LETTER_SPACE         ? "space:"
                               : (letters[i] & PW_LETTER_ALONE) != 0 ? "alone:"
                                                                     : "",
                               letters[i] & PW_LETTER_POINT);
    }
    return out;
}

/* [V1] */
static void the_steps_one_by_one_make_what_the_one_table_has(void **state)
{
    const pw_normal all = PW_NORMAL_ALL;
    for (uint32_t point = 0; point < 0x110000; point++) {
        uint32_t slow[PW_LETTERS_MAX], fast[PW_LETTERS_MAX];
        const size_t len = pw_normal_letters_slow(&all, point, slow);
        const bool same =
            len == pw_codepoint_letters(point, fast) && memcmp(slow, fast, len * sizeof *slow) == 0;
        if (!same && (point < 0xd800 || point > 0xdfff)) {
            fail_msg("code point %x: %zu letters, the first %x", point, len, slow[0]);
        }
    }
    (void)state;
}

static void each_switch_does_its_own_step(void **state)
{
    static const struct {
        pw_normal n;
        uint32_t point;
        const char *letters;
    } samples[] = {
        {{true, true, false, false}, 0xc9, "c9"},
        {{true, true, true, false}, 0xc9, "45"},
        {{true, true, false, true}, 0xc9, "e9"},
        {{true, true, true, true}, 0xc9, "65"},
        {{true, true, false, false}, 0x301, "301"},
        {{true, true, true, false}, 0x301, ""},
        {{true, true, false, true}, 0x130, "69 307"},
        {{true, true, true, true}, 0x130, "69"},
        {{true, true, false, false}, 0xac01, "ac01"},
        {{true, true, true, false}, 0xac01, "1100 1161 11a8"},
        {{true, true, false, false}, 0x4e00, "alone:4e00"},
        {{true, false, false, false}, 0x4e00, "4e00"},
        {{true, true, false, false}, 0x7, ""},
        {{false, true, false, false}, 0x7, "7"},
        {{true, true, false, false}, 0xb, ""},
        {{false, true, false, false}, 0xb, "space:1fffff"},
        {{false, false, false, false}, 0x21, "alone:21"},
        {{false, false, true, false}, 0x37e, "alone:3b"},
    };
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        assert_string_equal(letters_of(&samples[i].n, samples[i].point), samples[i].letters);
    }
    (void)state;
}

static void a_cased_list_keeps_what_its_switches_keep(void **state)
{
    static const char list[] = "[UNK]\n[CLS]\n[SEP]\nA\na\n\xc3\xa9\ne\n##B\n##b\n\xc3\x89\nE\n";
    static const struct {
        pw_normal n;
        uint32_t ids[4]; /* of "AB \xc3\x89 \xc3\xa9 E" */
    } samples[] = {{{true, true, false, false}, {3, 9, 5, 10}},
                   {{true, true, true, false}, {3, 10, 6, 10}},
                   {{true, true, false, true}, {4, 5, 5, 6}},
                   {{true, true, true, true}, {4, 6, 6, 6}}};
    pawl_error err;
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        pw_wordpiece *t = NULL;
        uint32_t ids[10];
        assert_int_equal(pw_wordpiece_of_list(TEXT(list), &samples[i].n, &t, &err), PAWL_OK);
        const pw_view text = {(const uint8_t *)TEXT("AB \xc3\x89 \xc3\xa9 E")};
        const pw_encoding e = pw_wordpiece_encode(t, text, false, ids, 10);
        assert_int_equal(e.len, 7);
        assert_int_equal(ids[1], samples[i].ids[0]);
        assert_int_equal(ids[2], samples[i].n.lower ? 8 : 7);
        assert_memory_equal(ids + 3, samples[i].ids + 1, 3 * sizeof *ids);
        pw_wordpiece_close(t);
    }
    (void)state;
}

static void a_prefix_is_as_if_it_stood_in_the_text(void **state)
{
    pw_wordpiece *t = opened();
    uint32_t whole[40], parts[40];
    static const char text[] = "un[MASK] affable a";
    for (size_t cut = 0; cut < sizeof text; cut++) {
        const pw_view all = {(const uint8_t *)text, sizeof text - 1};
        const pw_view head = {all.data, cut}, tail = {all.data + cut, all.size - cut};
        const pw_encoding e = pw_wordpiece_encode(t, all, false, whole, 40);
        const pw_encoding p = pw_wordpiece_encode_after(t, head, tail, false, parts, 40);
        if (cut <= 2 || cut >= 8) { /* not within a special token */
            assert_int_equal(p.len, e.len);
            assert_int_equal(p.total, e.total);
            assert_memory_equal(parts, whole, e.len * sizeof *whole);
        }
    }
    const pw_view mask = {(const uint8_t *)TEXT("[MASK]")};
    const pw_encoding plain = pw_wordpiece_encode_after(t, mask, mask, true, parts, 40);
    assert_true(plain.len > 4 && parts[1] == MASK && parts[2] != MASK);
    pw_wordpiece_close(t);
    (void)state;
}

#define VOCAB "\"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"a\": 3}"
#define ENDS \
    "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], \"cls\": [\"[CLS]\", 1]}"
#define TEMPLATE(sequence, type, cls)                                                                             \
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"[CLS]\", " \
    "\"type_id\": 0}}, {\"Sequence\": {\"id\": \"" sequence "\", \"type_id\": " type                              \
    "}}, {\"SpecialToken\": {\"id\": "                                                                            \
    "\"[SEP]\", \"type_id\": 0}}], \"special_tokens\": {\"[CLS]\": {\"ids\": [" cls                               \
    "]}, \"[SEP]\": {\"ids\": [2]}}}"
#define ADDED(text, id) "\"added_tokens\": [{\"content\": \"" text "\", \"id\": " id "}], "
#define TOKENIZER(model, lower, ends)                                                                       \
    "{\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true," \
    " \"strip_accents\": null, \"lowercase\": " lower                                                       \
    "}, \"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, " ends                                         \
    ", \"model\": {\"type\": \"" model                                                                      \
    "\", \"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", " VOCAB "}}"

static void a_tokenizer_of_another_kind_is_refused_by_name(void **state)
{
    static const struct {
        const char *json;
        pawl_status status;
        const char *why;
    } samples[] = {
        {TOKENIZER("WordPiece", "true", ENDS), PAWL_OK, ""},
        {TOKENIZER("BPE", "true", ENDS), PAWL_UNSUPPORTED, "not WordPiece"},
        {TOKENIZER("WordPiece", "false", ENDS), PAWL_OK, ""},
        {TOKENIZER("WordPiece", "null", ENDS), PAWL_UNSUPPORTED, "lowercase"},
        {TOKENIZER("WordPiece", "true", "\"post_processor\": null"), PAWL_UNSUPPORTED,
         "post_processor"},
        {TOKENIZER("WordPiece", "true",
                   "\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"no\", 1]}"),
         PAWL_PARSE, "begins a text"},
        {"{", PAWL_PARSE, ""},
        {"[]", PAWL_UNSUPPORTED, ""},
        {TOKENIZER("WordPiece", "true", TEMPLATE("A", "0", "1")), PAWL_OK, ""},
        {TOKENIZER("WordPiece", "true", TEMPLATE("B", "0", "1")), PAWL_UNSUPPORTED,
         "post_processor"},
        {TOKENIZER("WordPiece", "true", TEMPLATE("A", "1", "1")), PAWL_UNSUPPORTED,
         "post_processor"},
        {TOKENIZER("WordPiece", "true", TEMPLATE("A", "0", "3")), PAWL_PARSE, "[CLS] otherwise"},
        {TOKENIZER("WordPiece", "true", TEMPLATE("A", "0", "1, 3")), PAWL_PARSE, "[CLS] otherwise"},
        {TOKENIZER("WordPiece", "true",
                   "\"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], "
                   "\"cls\": [\"[CLS]\", 3]}"),
         PAWL_PARSE, "[CLS] otherwise"},
        {TOKENIZER("WordPiece", "true", ADDED("a", "3") ENDS), PAWL_OK, ""},
        {TOKENIZER("WordPiece", "true", ADDED("a", "2") ENDS), PAWL_PARSE, "added_tokens"},
    };
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        pw_wordpiece *t = NULL;
        pawl_error err = {.status = PAWL_OK};
        const pawl_status status =
            pw_wordpiece_of_json(samples[i].json, strlen(samples[i].json), &t, &err);
        if (status != samples[i].status || strstr(err.message, samples[i].why) == NULL) {
            fail_msg("sample %zu: %s, %s", i, pawl_status_name(status), err.message);
        }
        assert_true((t != NULL) == (status == PAWL_OK));
        pw_wordpiece_close(t);
    }
    (void)state;
}

static void a_list_without_the_ends_of_a_text_is_refused(void **state)
{
    pw_wordpiece *t = NULL;
    pawl_error err;
    assert_int_equal(pw_wordpiece_of_list(TEXT("a\nb\n"), NULL, &t, &err), PAWL_PARSE);
    assert_int_equal(pw_wordpiece_of_list(TEXT(""), NULL, &t, &err), PAWL_PARSE);
    assert_int_equal(pw_wordpiece_of_list(TEXT("[CLS]\n[SEP]\n[UNK]\n\xff\n"), NULL, &t, &err),
                     PAWL_PARSE);
    assert_null(t);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_becomes_the_longest_pieces_of_its_words),
        cmocka_unit_test(bytes_that_are_no_utf8_are_dropped_and_the_rest_is_kept),
        cmocka_unit_test(a_special_token_is_cut_out_of_raw_text_unless_it_is_to_be_text),
        cmocka_unit_test(a_word_of_more_than_a_hundred_characters_is_unknown),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_counted),
        cmocka_unit_test(the_steps_one_by_one_make_what_the_one_table_has),
        cmocka_unit_test(each_switch_does_its_own_step),
        cmocka_unit_test(a_cased_list_keeps_what_its_switches_keep),
        cmocka_unit_test(a_prefix_is_as_if_it_stood_in_the_text),
        cmocka_unit_test(a_tokenizer_of_another_kind_is_refused_by_name),
        cmocka_unit_test(a_list_without_the_ends_of_a_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
