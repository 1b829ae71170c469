/*
 * model_files_test.c - a model's folder whose files ask for what is not done, or make no sense: each is refused by name [V3], for a model that is nearly
 * right gives vectors that are quietly wrong. Whether a good one is read right is asked by embed_activity_test.c and encode_reference_test.c.
 */
#include "embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sdk/base/error.h"
#include "sdk/pawl_embed.h"
#include "tiny_model.h"

#define OK_ANY "" /* it opens */

typedef struct sample {
    const char *file, *text;
    const char *why; /* of the message; OK_ANY: it opens */
} sample;

static int setup(void **state)
{
    char *folder = strdup("/tmp/pawl-model-files-XXXXXX"), pooling[80];
    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(pooling, sizeof pooling, "%s/1_Pooling", folder);
    assert_int_equal(mkdir(pooling, 0700), 0);
    tiny_model_write(folder);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"config.json",
                                        "vocab.txt",
                                        "model.safetensors",
                                        "tokenizer.json",
                                        "pawl.json",
                                        "1_Pooling/config.json",
                                        "modules.json",
                                        "sentence_bert_config.json",
                                        "config_sentence_transformers.json",
                                        "tokenizer_config.json",
                                        "1_Pooling",
                                        ""};
    for (size_t i = 0; i < PW_COUNT(files); i++) {
        char path[200];
        (void)snprintf(path, sizeof path, "%s/%s", (const char *)*state, files[i]);
        (void)remove(path);
    }
    free(*state);
    return 0;
}

static void try_each(const char *folder, const sample *samples, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const sample *s = &samples[i];
        char path[200];
        pawl_embedder *e = NULL;
        pawl_error err = {.status = PAWL_OK};
        tiny_file_write(folder, s->file, s->text, strlen(s->text));
        const pawl_status status = pawl_embed_open(folder, NULL, &e, &err);
        const bool opens = s->why[0] == 0;
        if ((status == PAWL_OK) != opens || (!opens && strstr(err.message, s->why) == NULL)) {
            fail_msg("%s: %s: %s, %s; wanted %s", s->file, s->text, pawl_status_name(status),
                     err.message, opens ? "OK" : s->why);
        }
        pawl_embed_close(e);
        (void)snprintf(path, sizeof path, "%s/%s", folder, s->file);
        assert_int_equal(unlink(path), 0);
    }
}

#define POOLING "1_Pooling/config.json"
#define MODULE(type, path) \
    "{\"type\": \"sentence_transformers.models." type "\", \"path\": \"" path "\"}"
#define CLASS "tokenizer_config.json"

static void what_sentence_transformers_would_do_besides_is_refused(void **state)
{
    static const sample samples[] = {
        {POOLING, "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": true}",
         "alone"},
        {POOLING, "{\"pooling_mode_cls_token\": true}", "alone"},
        {POOLING, "{\"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": true}",
         "alone"},
        {POOLING, "{\"pooling_mode_mean_tokens\": false, \"pooling_mode_lasttoken\": true}",
         "alone"},
        {POOLING, "{\"pooling_mode\": \"lasttoken\"}", "alone"},
        {POOLING, "{\"pooling_mode\": [\"mean\", \"max\"]}", "alone"},
        {POOLING, "{\"pooling_mode\": \"cls\"}", OK_ANY},
        {POOLING, "{\"pooling_mode\": \"mean\", \"pooling_mode_max_tokens\": false}", OK_ANY},
        {POOLING, "[]", "not an object"},
        {POOLING, "{\"include_prompt\": false}", OK_ANY}, /* there are none */
        {"modules.json", "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") "]",
         OK_ANY},
        {"modules.json",
         "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") "," MODULE(
             "Normalize", "2_Normalize") "]",
         OK_ANY},
        {"modules.json",
         "[" MODULE("Transformer", "") "," MODULE("Pooling", "1_Pooling") "," MODULE("Dense",
                                                                                     "2_Dense") "]",
         "more than a transformer"},
        {"modules.json", "[" MODULE("Transformer", "0_BERT") "]", "its weights"},
        {"modules.json", "[" MODULE("Transformer", "") "," MODULE("Pooling", "2_Pooling") "]",
         "its pooling"},
        {"modules.json", "{}", "not an array"},
        {"modules.json", "[5]", "more than a transformer"},
        {"sentence_bert_config.json", "{\"max_seq_length\": \"9\"}", "max_seq_length"},
        {"sentence_bert_config.json", "{\"max_seq_length\": -1}", "limit of tokens"},
        {"sentence_bert_config.json", "{\"max_seq_length\": null, \"do_lower_case\": false}",
         OK_ANY},
        {"sentence_bert_config.json", "{\"do_lower_case\": true}",
         OK_ANY}, /* as the tokenizer does */
    };
    try_each(*state, samples, PW_COUNT(samples));
    tiny_file_write(*state, CLASS, "{\"do_lower_case\": false}", 24);
    try_each(*state,
             &(sample){"sentence_bert_config.json", "{\"do_lower_case\": true}", "do_lower_case"},
             1);
    tiny_file_write(*state, "pawl.json", "{\"prefix_query\": \"ask: \"}", 25);
    try_each(*state, &(sample){POOLING, "{\"include_prompt\": false}", "include_prompt"}, 1);
}

static void a_setting_of_our_own_that_is_misspelt_or_of_another_type_is_refused(void **state)
{
    static const sample samples[] = {
        {"pawl.json", "{\"normalise\": false}", "normalise is not one of"},
        {"pawl.json", "{\"normalize\": \"no\"}", "normalize"},
        {"pawl.json", "{\"pooling\": 5}", "pooling"},
        {"pawl.json", "{\"tokens_max\": 8.5}", "tokens_max"},
        {"pawl.json", "{\"tokens_max\": -1}", "limit of tokens"},
        {"pawl.json", "{\"prefix_text\": null}", "prefix_text"},
        {"pawl.json", "[]", "not an object"},
        {"pawl.json", "{\"tokens_max\": 8, \"pooling\": \"cls\", \"normalize\": false}", OK_ANY},
    };
    try_each(*state, samples, PW_COUNT(samples));
}

static void a_list_of_pieces_for_another_tokenizer_is_refused(void **state)
{
    static const sample samples[] = {
        {CLASS, "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}", "tokenizer_class"},
        {CLASS, "{\"tokenizer_class\": \"BertTokenizer\", \"never_split\": [\"x\"]}",
         "never_split"},
        {CLASS, "{\"do_basic_tokenize\": false}", "do_basic_tokenize"},
        {CLASS, "{\"tokenizer_class\": \"BertTokenizerFast\", \"never_split\": null}", OK_ANY},
    };
    try_each(*state, samples, PW_COUNT(samples));
}

#define CONFIG(more)                                                                                      \
    "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 32, \"num_hidden_layers\": 1," \
    " \"num_attention_heads\": 2, \"intermediate_size\": 40, \"vocab_size\": 16,"                         \
    " \"max_position_embeddings\": 24, \"type_vocab_size\": 2" more "}"

static void a_configuration_that_is_not_computed_is_refused(void **state)
{
    static const sample samples[] = {
        {"config.json", CONFIG(""), OK_ANY},
        {"config.json", CONFIG(", \"is_decoder\": true"), "decoder"},
        {"config.json", CONFIG(", \"layer_norm_eps\": -1.0"), "layer_norm_eps"},
        {"config.json", CONFIG(", \"layer_norm_eps\": 1e300"), "layer_norm_eps"},
        {"config.json", CONFIG(", \"layer_norm_eps\": \"small\""), "layer_norm_eps"},
        {"config.json", CONFIG(", \"layer_norm_eps\": 0"), OK_ANY},
    };
    try_each(*state, samples, PW_COUNT(samples));
}

/* Sets the first len weights of the file: those of the pieces. */
static void set_weights(const char *folder, float value, size_t len)
{
    char path[200];
    uint64_t header = 0;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fread(&header, 1, sizeof header, file), sizeof header);
    assert_int_equal(fseek(file, (long)(sizeof header + header), SEEK_SET), 0);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(fwrite(&value, sizeof value, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void a_weight_that_is_no_finite_number_is_refused(void **state)
{
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < PW_COUNT(values); i++) {
        pawl_embedder *e = NULL;
        pawl_error err;
        set_weights(*state, values[i], 1);
        assert_int_equal(pawl_embed_open(*state, NULL, &e, &err), PAWL_PARSE);
        assert_non_null(strstr(err.message, "word_embeddings.weight"));
    }
}

static void a_text_whose_numbers_become_too_large_has_no_vector(void **state)
{
    pawl_embedder *e = NULL;
    pawl_error err;
    float vector[TINY_WIDTH];
    const pawl_embed_text text = {"a red car", 9};
    set_weights(*state, 3e38f, (size_t)16 * TINY_WIDTH);
    assert_int_equal(pawl_embed_open(*state, NULL, &e, &err), PAWL_OK);
    assert_int_equal(pawl_embed_texts(e, &text, 1, vector, NULL, &err), PAWL_LIMIT);
    assert_non_null(strstr(err.message, "text 0 has no vector"));
    pawl_embed_close(e);
}

#define TOKENIZER(cls)                                                                                    \
    "{\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": "    \
    "true, \"strip_accents\": null, \"lowercase\": true}, \"pre_tokenizer\": {\"type\": "                 \
    "\"BertPreTokenizer\"}, \"post_processor\": {\"type\": \"BertProcessing\", \"sep\": [\"[SEP]\", 2], " \
    "\"cls\": " cls "}, \"model\": {\"type\": \"WordPiece\", \"unk_token\": \"[UNK]\", "                  \
    "\"continuing_subword_prefix\": \"##\", \"vocab\": {\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, "       \
    "\"a\": 3}}}"

/* [V7] */
static void what_stands_before_a_text_is_in_the_identity(void **state)
{
    static const char *const files[] = {TOKENIZER("[\"[CLS]\", 1]"), TOKENIZER("[\"a\", 3]")};
    pawl_embed_info info[2];
    for (size_t i = 0; i < 2; i++) {
        pawl_embedder *e = NULL;
        pawl_error err = {.status = PAWL_OK};
        tiny_file_write(*state, "tokenizer.json", files[i], strlen(files[i]));
        if (pawl_embed_open(*state, NULL, &e, &err) != PAWL_OK) {
            fail_msg("%s", err.message);
        }
        pawl_embed_about(e, &info[i]);
        pawl_embed_close(e);
    }
    assert_string_not_equal(info[0].identity, info[1].identity);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_sentence_transformers_would_do_besides_is_refused),
        TEST(a_setting_of_our_own_that_is_misspelt_or_of_another_type_is_refused),
        TEST(a_list_of_pieces_for_another_tokenizer_is_refused),
        TEST(a_configuration_that_is_not_computed_is_refused),
        TEST(a_weight_that_is_no_finite_number_is_refused),
        TEST(a_text_whose_numbers_become_too_large_has_no_vector),
        TEST(what_stands_before_a_text_is_in_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
