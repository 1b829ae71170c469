/*
 * wordpiece_reference_test.c - the ids of the 68 reference texts are those of the Hugging Face tokenizers, from tokenizer.json and from vocab.txt. Does
 * not look at vectors.
 */
#include "embed_rig.h"

#include "activities/embed/json_file.h"
#include "activities/embed/wordpiece.h"
#include "sdk/base/arena.h"

#define IDS_MAX 512

static void check_ids(const pawl_value *expected, const uint32_t *ids, uint32_t len, size_t text)
{
    if (pawl_len(expected) != len) {
        fail_msg("text %zu: %u ids, expected %zu", text, len, pawl_len(expected));
    }
    for (uint32_t i = 0; i < len; i++) {
        if (pawl_int(pawl_at(expected, i), "", -1) != (int64_t)ids[i]) {
            fail_msg("text %zu, id %u is %u", text, i, ids[i]);
        }
    }
}

static void check_all(const pw_wordpiece *t)
{
    pawl_scope *scope = pawl_scope_new();
    const pawl_value *texts = rig_texts(scope);
    for (size_t i = 0; i < pawl_len(texts); i++) {
        uint32_t ids[IDS_MAX];
        const rig_text text = rig_text_at(texts, i);
        const pawl_value *at = pawl_at(texts, i);
        const pw_view view = {text.data, text.size};
        pw_encoding e = pw_wordpiece_encode(t, view, false, ids, 256);
        check_ids(pawl_get(at, "ids"), ids, e.len, i);
        assert_int_equal(e.total > 256, pawl_get(at, "ids_max512") != NULL);
        if (e.total > 256) {
            e = pw_wordpiece_encode(t, view, false, ids, 512);
            check_ids(pawl_get(at, "ids_max512"), ids, e.len, i);
        }
    }
    pawl_scope_free(scope);
}

static void the_ids_are_those_of_the_reference_from_tokenizer_json(void **state)
{
    pw_wordpiece *t = NULL;
    pawl_error err;
    assert_int_equal(pw_wordpiece_open(rig_model(), &t, &err), PAWL_OK);
    check_all(t);
    pw_wordpiece_close(t);
    (void)state;
}

static void the_ids_are_those_of_the_reference_from_vocab_txt(void **state)
{
    pw_buf list = PW_BUF_INIT;
    pw_wordpiece *t = NULL;
    pawl_error err;
    assert_int_equal(pw_model_file_read(rig_model(), "vocab.txt", 1u << 20, &list, &err), PAWL_OK);
    assert_int_equal(pw_wordpiece_of_list((const char *)list.data, list.size, NULL, &t, &err),
                     PAWL_OK);
    check_all(t);
    pw_buf_deinit(&list);
    pw_wordpiece_close(t);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ids_are_those_of_the_reference_from_tokenizer_json),
        cmocka_unit_test(the_ids_are_those_of_the_reference_from_vocab_txt),
    };
    rig_need_models();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
