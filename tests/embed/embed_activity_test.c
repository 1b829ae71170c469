/*
 * embed_activity_test.c - a model's folder opened and refused, texts through the public calls, and the activities "embed" and "nearest" in an engine. The
 * model is a tiny one: whether vectors are right is not asked here but by encode_cpu_test.c.
 */
#include "embed_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "activities/embed/half.h"
#include "sdk/pawl_embed.h"
#include "sdk/pawl_workflow.h"
#include "tests/integration/host_rig.h"
#include "tiny_model.h"

typedef struct embed_rig {
    rig *host;
    char folder[80];
    pawl_embedder *e;
} embed_rig;

static const pawl_value *use(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, pawl_str(in, "activity", ""), .input = pawl_get(in, "input"), .retries = 0);
}

static int setup(void **state)
{
    embed_rig *r = calloc(1, sizeof *r);
    void *part = NULL;
    assert_non_null(r);
    assert_int_equal(rig_setup(&part), 0);
    r->host = part;
    (void)snprintf(r->folder, sizeof r->folder, "%s", r->host->folder);
    tiny_model_write(r->folder);
    ok(r->host, pawl_embed_open(r->folder, NULL, &r->e, &r->host->err));
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    rig_open(r->host, &o);
    ok(r->host, pawl_register_workflow(r->host->engine, "use", "1", use, NULL, &r->host->err));
    ok(r->host, pawl_embed_register(r->host->engine, r->e, &r->host->err));
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    embed_rig *r = *state;
    void *part = r->host;
    rig_close(r->host);
    pawl_embed_close(r->e);
    (void)rig_teardown(&part);
    free(r);
    return 0;
}

static const pawl_value *asked(embed_rig *r, const char *id, const char *activity,
                               const pawl_value *input, bool fails)
{
    const pawl_value *v = NULL;
    const pawl_start_options o = {
        .workflow = "use",
        .id = id,
        .input = pawl_build(r->host->scope, "{activity: %s, input: %p}", activity, pawl_v(input))};
    ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
    expect(r->host, fails ? PAWL_FAILED : PAWL_OK,
           pawl_result(r->host->engine, id, 20000, r->host->scope, &v, &r->host->err));
    return v;
}
#define input_of(r, ...) pawl_build((r)->host->scope, __VA_ARGS__)

/* ---- the public calls ---- */

static void texts_become_vectors_of_length_one_and_what_was_cut_is_counted(void **state)
{
    embed_rig *r = *state;
    static const char longer[] = "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a";
    const pawl_embed_text texts[] = {
        {"eating food", 11}, {"", 0}, {longer, sizeof longer - 1}, {"eating food", 11}};
    float v[4 * TINY_WIDTH];
    pawl_embed_count counts[4];
    pawl_embed_info info;
    ok(r->host, pawl_embed_texts(r->e, texts, 4, v, counts, &r->host->err));
    for (size_t i = 0; i < 4; i++) {
        double square = 0;
        for (size_t k = 0; k < TINY_WIDTH; k++) {
            square += (double)v[i * TINY_WIDTH + k] * (double)v[i * TINY_WIDTH + k];
        }
        assert_true(fabs(square - 1) < 1e-6);
    }
    assert_memory_equal(v, v + 3 * TINY_WIDTH, TINY_WIDTH * sizeof *v);
    assert_true(counts[0].tokens == 4 && counts[0].tokens_all == 4 && counts[1].tokens == 2);
    assert_true(counts[2].tokens == TINY_POSITIONS && counts[2].tokens_all == 32);
    pawl_embed_about(r->e, &info);
    assert_true(info.width == TINY_WIDTH && info.tokens_max == TINY_POSITIONS && info.normalized);
    assert_string_equal(info.pooling, "mean");
}

static void whatever_changes_a_vector_changes_the_identity(void **state)
{
    embed_rig *r = *state;
    pawl_embed_info info, other;
    pawl_embedder *e = NULL;
    const pawl_embed_options options[] = {{.struct_size = sizeof options[0], .threads = 1},
                                          {.struct_size = sizeof options[0], .tokens_max = 8},
                                          {.struct_size = sizeof options[0], .plain = true}};
    pawl_embed_about(r->e, &info);
    assert_int_equal(strlen(info.identity), 64);
    for (size_t i = 0; i < 3; i++) {
        ok(r->host, pawl_embed_open(r->folder, &options[i], &e, &r->host->err));
        pawl_embed_about(e, &other);
        assert_int_equal(strcmp(info.identity, other.identity) == 0, i == 0);
        pawl_embed_close(e);
    }
    tiny_file_write(r->folder, "pawl.json", "{\"pooling\": \"cls\"}", 18);
    ok(r->host, pawl_embed_open(r->folder, NULL, &e, &r->host->err));
    pawl_embed_about(e, &other);
    assert_string_equal(other.pooling, "cls");
    assert_string_not_equal(info.identity, other.identity);
    pawl_embed_close(e);
}

static void same_as_raw(embed_rig *r, const pawl_embedder *e, pawl_embed_role role,
                        const char *text, const char *whole)
{
    float got[TINY_WIDTH], expected[TINY_WIDTH];
    pawl_embed_text t = {text, strlen(text)};
    pawl_embed_count count, whole_count;
    pawl_embed_request ask = {.struct_size = sizeof ask,
                              .role = role,
                              .texts = &t,
                              .len = 1,
                              .vectors = got,
                              .counts = &count};
    ok(r->host, pawl_embed_run(e, &ask, &r->host->err));
    t = (pawl_embed_text){whole, strlen(whole)};
    ask.role = PAWL_EMBED_RAW;
    ask.vectors = expected;
    ask.counts = &whole_count;
    ok(r->host, pawl_embed_run(e, &ask, &r->host->err));
    assert_memory_equal(got, expected, sizeof got);
    assert_int_equal(count.tokens, whole_count.tokens);
}

/* [V8] */
static void what_a_model_wants_before_texts_and_queries_is_put_there(void **state)
{
    static const char prompts[] = "{\"prompts\": {\"query\": \"red \", \"passage\": \"food: \"}}";
    static const char own[] = "{\"prefix_query\": \"\", \"prefix_text\": \"a \"}";
    embed_rig *r = *state;
    pawl_embed_info info, other;
    pawl_embedder *e = NULL;
    pawl_embed_about(r->e, &info);
    same_as_raw(r, r->e, PAWL_EMBED_QUERY, "car", "car");
    tiny_file_write(r->folder, "config_sentence_transformers.json", prompts, sizeof prompts - 1);
    ok(r->host, pawl_embed_open(r->folder, NULL, &e, &r->host->err));
    same_as_raw(r, e, PAWL_EMBED_QUERY, "car", "red car");
    same_as_raw(r, e, PAWL_EMBED_TEXT, "lunch", "food: lunch");
    pawl_embed_about(e, &other);
    assert_string_not_equal(info.identity, other.identity);
    pawl_embed_close(e);
    tiny_file_write(r->folder, "pawl.json", own, sizeof own - 1);
    ok(r->host, pawl_embed_open(r->folder, NULL, &e, &r->host->err));
    same_as_raw(r, e, PAWL_EMBED_QUERY, "car", "car");
    same_as_raw(r, e, PAWL_EMBED_TEXT, "car", "a car");
    pawl_embed_close(e);
    const pawl_embed_request bad = {.struct_size = sizeof bad, .role = (pawl_embed_role)3};
    assert_int_equal(pawl_embed_run(r->e, &bad, &r->host->err), PAWL_INVALID);
}

static void the_files_of_sentence_transformers_say_pooling_and_limit(void **state)
{
    static const char pooling[] =
        "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}";
    static const char neither[] =
        "{\"pooling_mode_cls_token\": false, \"pooling_mode_mean_tokens\": false}";
    static const char limit[] = "{\"max_seq_length\": 9}";
    embed_rig *r = *state;
    char folder[120];
    pawl_embed_info info;
    pawl_embedder *e = NULL;
    (void)snprintf(folder, sizeof folder, "%s/1_Pooling", r->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    tiny_file_write(folder, "config.json", pooling, sizeof pooling - 1);
    tiny_file_write(r->folder, "sentence_bert_config.json", limit, sizeof limit - 1);
    ok(r->host, pawl_embed_open(r->folder, NULL, &e, &r->host->err));
    pawl_embed_about(e, &info);
    assert_string_equal(info.pooling, "cls");
    assert_int_equal(info.tokens_max, 9);
    const pawl_embed_text text = {"a a a a a a a a a a a a", 23};
    pawl_embed_count count;
    float vector[TINY_WIDTH];
    ok(r->host, pawl_embed_texts(e, &text, 1, vector, &count, &r->host->err));
    assert_true(count.tokens == 9 && count.tokens_all == 14);
    pawl_embed_close(e);
    tiny_file_write(folder, "config.json", neither, sizeof neither - 1);
    assert_int_equal(pawl_embed_open(r->folder, NULL, &e, &r->host->err), PAWL_UNSUPPORTED);
    (void)snprintf(folder, sizeof folder, "%s/1_Pooling/config.json", r->folder);
    (void)unlink(folder);
    *strrchr(folder, '/') = 0;
    (void)rmdir(folder);
}

/* [V9] */
static void runs_at_the_same_time_get_what_each_would_get_alone(void **state)
{
    enum { RUNS = 24 };
    static const char *const words[] = {"eating", "food", "a", "red", "cars", "lunch", "bread."};
    embed_rig *r = *state;
    char texts[RUNS][200] = {{0}};
    for (size_t i = 0; i < RUNS; i++) {
        char id[20];
        for (size_t k = 0, at = 0; k <= i % 19; k++) {
            at += (size_t)snprintf(texts[i] + at, sizeof texts[i] - at, "%s ",
                                   words[(i + k * k) % PW_COUNT(words)]);
        }
        (void)snprintf(id, sizeof id, "run-%zu", i);
        const pawl_start_options o = {
            .workflow = "use",
            .id = id,
            .input =
                input_of(r, "{activity: \"embed\", input: {text: %s, as: \"float\"}}", texts[i])};
        ok(r->host, pawl_start(r->host->engine, &o, sizeof o, NULL, &r->host->err));
    }
    for (size_t i = 0; i < RUNS; i++) {
        char id[20];
        float alone[TINY_WIDTH];
        size_t size = 0;
        const pawl_value *v = NULL;
        const pawl_embed_text text = {texts[i], strlen(texts[i])};
        (void)snprintf(id, sizeof id, "run-%zu", i);
        ok(r->host, pawl_result(r->host->engine, id, 20000, r->host->scope, &v, &r->host->err));
        ok(r->host, pawl_embed_texts(r->e, &text, 1, alone, NULL, &r->host->err));
        const void *got = pawl_data(v, "vectors.0", &size);
        assert_int_equal(size, sizeof alone);
        assert_memory_equal(got, alone, sizeof alone);
    }
}

static void a_folder_that_is_no_model_is_refused(void **state)
{
    static const struct {
        const char *file, *text;
        pawl_status status;
    } samples[] = {
        {"pawl.json", "{\"pooling\": \"max\"}", PAWL_UNSUPPORTED},
        {"pawl.json", "{\"tokens_max\": 25}", PAWL_INVALID},
        {"pawl.json", "{", PAWL_PARSE},
        {"pawl.json", "{}", PAWL_OK},
        {"vocab.txt", "a\nb\n", PAWL_PARSE},
        {"vocab.txt", "[UNK]\n[CLS]\n[SEP]\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n",
         PAWL_PARSE}, /* an id that the weights lack */
        {"vocab.txt", "[UNK]\n[CLS]\n[SEP]\n", PAWL_OK},
        {"config.json", "{\"model_type\": \"t5\"}", PAWL_UNSUPPORTED},
        {"config.json",
         "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"num_hidden_layers\": 100}",
         PAWL_LIMIT},
        {"config.json",
         "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 33, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
         " \"intermediate_size\": 40, \"vocab_size\": 16, \"max_position_embeddings\": 24, \"type_vocab_size\": 2}",
         PAWL_PARSE},
        {"config.json",
         "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 2,"
         " \"intermediate_size\": 40, \"vocab_size\": 16, \"max_position_embeddings\": 24, \"type_vocab_size\": 2}",
         PAWL_NOTFOUND},
        {"config.json",
         "{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 32, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
         " \"intermediate_size\": 44, \"vocab_size\": 16, \"max_position_embeddings\": 24, \"type_vocab_size\": 2}",
         PAWL_PARSE},
        {"model.safetensors", "short", PAWL_PARSE},
    };
    embed_rig *r = *state;
    pawl_error err;
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        pawl_embedder *e = NULL;
        tiny_file_write(r->folder, samples[i].file, samples[i].text, strlen(samples[i].text));
        const pawl_status status = pawl_embed_open(r->folder, NULL, &e, &err);
        if (status != samples[i].status) {
            fail_msg("sample %zu: %s, %s", i, pawl_status_name(status), err.message);
        }
        assert_true((e != NULL) == (status == PAWL_OK));
        pawl_embed_close(e);
    }
    pawl_embedder *e = NULL;
    assert_int_equal(pawl_embed_open("no-such-folder", NULL, &e, &err), PAWL_NOTFOUND);
}

/* ---- the activities ---- */

static void embed_gives_vectors_in_the_form_that_was_asked_for(void **state)
{
    embed_rig *r = *state;
    const pawl_embed_text text = {"red cars.", 9};
    float expected[TINY_WIDTH];
    size_t size = 0;
    ok(r->host, pawl_embed_texts(r->e, &text, 1, expected, NULL, &r->host->err));
    const pawl_value *v = asked(r, "half", "embed", input_of(r, "{text: \"red cars.\"}"), false);
    const uint16_t *half = pawl_data(v, "vectors.0", &size);
    assert_int_equal(size, 2 * TINY_WIDTH);
    const pawl_value *f = asked(
        r, "float", "embed", input_of(r, "{texts: [\"a\", \"red cars.\"], as: \"float\"}"), false);
    const float *floats = pawl_data(f, "vectors.1", &size);
    assert_int_equal(size, 4 * TINY_WIDTH);
    const pawl_value *n =
        asked(r, "numbers", "embed", input_of(r, "{text: \"red cars.\", as: \"numbers\"}"), false);
    for (size_t i = 0; i < TINY_WIDTH; i++) {
        uint16_t h;
        memcpy(&h, half + i, sizeof h);
        assert_int_equal(h, pw_half_of_float(expected[i]));
        assert_true(pawl_num(pawl_at(pawl_get(n, "vectors.0"), i), "", 9) == (double)expected[i]);
    }
    assert_memory_equal(floats, expected, sizeof expected);
    assert_int_equal(pawl_int(v, "tokens.0", 0), 6);
    assert_int_equal(pawl_int(v, "width", 0), TINY_WIDTH);
    assert_int_equal(pawl_len(pawl_get(v, "truncated")), 0);
    v = asked(
        r, "cut", "embed",
        input_of(r, "{texts: [\"a\", \"a a a a a a a a a a a a a a a a a a a a a a a a a\"]}"),
        false);
    assert_int_equal(pawl_len(pawl_get(v, "truncated")), 1);
    assert_int_equal(pawl_int(v, "truncated.0", 0), 1);
}

static void nearest_lists_the_best_first_and_equal_ones_by_their_place(void **state)
{
    embed_rig *r = *state;
    const pawl_value *v = asked(
        r, "texts", "nearest",
        input_of(
            r,
            "{query: \"a red car\", among: [\"food\", \"a red car\", \"lunch\", \"a red car\"], k: 3}"),
        false);
    assert_int_equal(pawl_len(pawl_get(v, "nearest")), 3);
    assert_int_equal(pawl_int(v, "nearest.0.index", -1), 1);
    assert_int_equal(pawl_int(v, "nearest.1.index", -1), 3);
    assert_true(fabs(pawl_num(v, "nearest.0.score", 0) - 1) < 1e-3);
    assert_true(pawl_num(v, "nearest.0.score", 0) == pawl_num(v, "nearest.1.score", 1));
    assert_true(pawl_num(v, "nearest.2.score", 2) < pawl_num(v, "nearest.1.score", 0));
    const pawl_value *embedded =
        asked(r, "vectors", "embed", input_of(r, "{texts: [\"a red car\", \"lunch\"]}"), false);
    v = asked(r, "bytes", "nearest",
              input_of(r, "{query: %p, among: [%p, \"a red car\", %p], at_least: 0.999}",
                       pawl_v(pawl_get(embedded, "vectors.0")),
                       pawl_v(pawl_get(embedded, "vectors.1")),
                       pawl_v(pawl_get(embedded, "vectors.0"))),
              false);
    assert_int_equal(pawl_len(pawl_get(v, "nearest")), 2);
    assert_int_equal(pawl_int(v, "nearest.0.index", -1), 1);
    assert_int_equal(pawl_int(v, "nearest.1.index", -1), 2);
    v = asked(r, "none", "nearest", input_of(r, "{query: \"a\", among: []}"), false);
    assert_int_equal(pawl_len(pawl_get(v, "nearest")), 0);
}

static void what_is_no_text_is_bad_input(void **state)
{
    static const struct {
        const char *activity, *input;
    } samples[] = {
        {"embed", "{}"},
        {"embed", "{\"text\": 5}"},
        {"embed", "{\"texts\": \"a\"}"},
        {"embed", "{\"texts\": [\"a\", null]}"},
        {"embed", "{\"text\": \"a\", \"texts\": [\"a\"]}"},
        {"embed", "{\"text\": \"a\", \"as\": \"words\"}"},
        {"embed", "{\"text\": \"a\", \"as\": 5}"},
        {"embed", "{\"text\": \"a\", \"role\": \"nobody\"}"},
        {"nearest", "{\"query\": \"a\"}"},
        {"nearest", "{\"query\": \"a\", \"among\": [5]}"},
        {"nearest", "{\"among\": [\"a\"]}"},
        {"nearest", "{\"query\": \"a\", \"among\": [\"a\"], \"k\": 0}"},
        {"nearest", "{\"query\": \"a\", \"among\": [\"a\"], \"k\": 100000}"},
    };
    embed_rig *r = *state;
    for (size_t i = 0; i < PW_COUNT(samples); i++) {
        char id[20];
        (void)snprintf(id, sizeof id, "bad-%zu", i);
        const pawl_value *input = NULL;
        ok(r->host, pawl_parse_json(r->host->scope, samples[i].input, strlen(samples[i].input),
                                    &input, &r->host->err));
        const pawl_value *v = asked(r, id, samples[i].activity, input, true);
        if (!pawl_is(v, "type", "BadInput")) {
            fail_msg("sample %zu: %s: %s", i, pawl_str(v, "type", "?"),
                     pawl_str(v, "message", "?"));
        }
    }
    uint8_t wild[2 * TINY_WIDTH];
    memset(wild, 0x7b, sizeof wild); /* numbers of 60,000: too long to be exact */
    const pawl_value *v =
        asked(r, "wild", "nearest",
              input_of(r, "{query: %p, among: []}",
                       pawl_v(pawl_make_bytes(r->host->scope, wild, sizeof wild))),
              true);
    assert_true(pawl_is(v, "type", "BadInput"));
    v = asked(
        r, "short", "nearest",
        input_of(r, "{query: %p, among: []}", pawl_v(pawl_make_bytes(r->host->scope, wild, 10))),
        true);
    assert_true(pawl_is(v, "type", "BadInput"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            texts_become_vectors_of_length_one_and_what_was_cut_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(whatever_changes_a_vector_changes_the_identity, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_a_model_wants_before_texts_and_queries_is_put_there,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_files_of_sentence_transformers_say_pooling_and_limit,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(runs_at_the_same_time_get_what_each_would_get_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_is_no_model_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(embed_gives_vectors_in_the_form_that_was_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nearest_lists_the_best_first_and_equal_ones_by_their_place,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_text_is_bad_input, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
