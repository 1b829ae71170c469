/*
 * index_activity_test.c - a workflow fills a collection and searches it by the activities "index" and "nearest", with a tiny model; and what they refuse.
 * Whether what is found is near in meaning is not asked here.
 */
#include "embed_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/pawl_index.h"
#include "sdk/pawl_workflow.h"
#include "tests/integration/host_rig.h"
#include "tiny_model.h"

typedef struct act_rig {
    rig *host;
    char folder[80];
    pawl_embedder *e;
    pawl_index *index;
    bool no_model;
} act_rig;

static const pawl_value *use(pawl_run *w, const pawl_value *in)
{
    return pawl_call(w, pawl_str(in, "activity", ""), .input = pawl_get(in, "input"), .retries = 0);
}

static int set_up(void **state, bool model)
{
    act_rig *r = calloc(1, sizeof *r);
    void *part = NULL;
    assert_non_null(r);
    assert_int_equal(rig_setup(&part), 0);
    r->host = part;
    (void)snprintf(r->folder, sizeof r->folder, "%s", r->host->folder);
    tiny_model_write(r->folder);
    if (model) {
        ok(r->host, pawl_embed_open(r->folder, NULL, &r->e, &r->host->err));
    }
    const pawl_options o = {.struct_size = sizeof o, .no_socket = true};
    rig_open(r->host, &o);
    const pawl_index_options io = {
        .struct_size = sizeof io, .engine = r->host->engine, .embedder = r->e, .model = "tiny"};
    ok(r->host, pawl_index_open(&io, &r->index, &r->host->err));
    ok(r->host, pawl_register_workflow(r->host->engine, "use", "1", use, NULL, &r->host->err));
    ok(r->host, pawl_index_register(r->host->engine, r->index, &r->host->err));
    *state = r;
    return 0;
}

static int setup(void **state)
{
    return set_up(state, true);
}

static int setup_without_model(void **state)
{
    return set_up(state, false);
}

static int teardown(void **state)
{
    act_rig *r = *state;
    void *part = r->host;
    rig_close(r->host);
    pawl_index_close(r->index);
    pawl_embed_close(r->e);
    (void)rig_teardown(&part);
    free(r);
    return 0;
}

static const pawl_value *asked(act_rig *r, const char *id, const char *activity,
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

static void a_workflow_fills_a_collection_and_searches_it(void **state)
{
    act_rig *r = *state;
    const pawl_value *v = asked(
        r, "put", "index",
        input_of(r, "{collection: \"c\", create: true, put: [{key: \"a\", text: \"eating food\", "
                    "tags: [\"x\"], data: {n: 1}}, {key: \"b\", text: \"a piece of bread\"}]}"),
        false);
    assert_int_equal(pawl_int(v, "put", 0), 2);
    v = asked(r, "again", "index",
              input_of(r, "{collection: \"c\", create: true, put: [{key: \"b\", text: \"a piece of "
                          "bread\"}], delete: [\"z\"]}"),
              false);
    assert_int_equal(pawl_int(v, "unchanged", 0), 1);
    assert_int_equal(pawl_int(v, "deleted", -1), 0); /* there is no z */
    v = asked(r, "find", "nearest",
              input_of(r, "{collection: \"c\", query: \"eating food\", mode: \"vector\"}"), false);
    assert_string_equal(pawl_str(v, "found.0.key", ""), "a");
    assert_true(pawl_num(v, "found.0.score", 0) > 0.999);
    assert_int_equal(pawl_int(v, "found.0.data.n", 0), 1);
    assert_int_equal(strlen(pawl_str(v, "model", "")), 64);
    v = asked(r, "both", "nearest", input_of(r, "{collection: \"c\", query: \"bread\", k: 1}"),
              false);
    assert_int_equal(pawl_len(pawl_get(v, "found")), 1);
    v = asked(r, "tags", "nearest",
              input_of(r, "{collection: \"c\", query: \"bread\", tags: [\"x\"]}"), false);
    assert_string_equal(pawl_str(v, "found.0.key", ""), "a");
    assert_int_equal(pawl_len(pawl_get(v, "found")), 1);
    v = asked(r, "list", "nearest",
              input_of(r, "{query: \"eating food\", among: [\"bread\", \"eating food\"], k: 1}"),
              false);
    assert_int_equal(pawl_int(v, "nearest.0.index", -1), 1);
    v = asked(r, "gone", "index", input_of(r, "{collection: \"c\", delete: [\"a\", \"z\", \"a\"]}"),
              false);
    assert_int_equal(pawl_int(v, "deleted", 0), 1);
    v = asked(r, "less", "nearest", input_of(r, "{collection: \"c\", query: \"food\"}"), false);
    assert_int_equal(pawl_len(pawl_get(v, "found")), 1);
}

static void a_vector_of_embed_goes_into_a_collection_and_finds_itself(void **state)
{
    act_rig *r = *state;
    const pawl_value *v =
        asked(r, "embed", "embed", input_of(r, "{text: \"a piece of bread\"}"), false);
    const pawl_value *vector = pawl_get(v, "vectors.0");
    asked(r, "put", "index",
          input_of(r, "{collection: \"c\", create: true, put: [{key: \"v\", vector: %p}]}",
                   pawl_v(vector)),
          false);
    v = asked(r, "find", "nearest", input_of(r, "{collection: \"c\", query: %p}", pawl_v(vector)),
              false);
    assert_string_equal(pawl_str(v, "found.0.key", ""), "v");
    assert_true(pawl_num(v, "found.0.score", 0) > 0.999);
}

/* What counts is what the item is now: its text, and no vector that was given once. */
static void an_item_that_is_put_again_without_a_vector_gets_its_texts(void **state)
{
    act_rig *r = *state;
    const pawl_value *v = asked(r, "embed", "embed", input_of(r, "{text: \"a red car\"}"), false);
    const pawl_value *given = pawl_get(v, "vectors.0");
    const char *const texts[] = {"eating food", "a piece of bread"};
    for (size_t i = 0; i < 2; i++) { /* the same text, then another */
        char id[3][16];
        for (size_t n = 0; n < 3; n++) {
            (void)snprintf(id[n], sizeof id[n], "round-%zu-%zu", i, n);
        }
        asked(r, id[0], "index",
              input_of(r,
                       "{collection: \"c\", create: true, put: [{key: \"v\", text: \"eating "
                       "food\", vector: %p}]}",
                       pawl_v(given)),
              false);
        v = asked(r, id[1], "index",
                  input_of(r, "{collection: \"c\", put: [{key: \"v\", text: %s}]}", texts[i]),
                  false);
        assert_int_equal(pawl_int(v, "put", 0), 1);
        v = asked(r, id[2], "nearest",
                  input_of(r, "{collection: \"c\", query: %s, mode: \"vector\"}", texts[i]), false);
        assert_true(pawl_num(v, "found.0.score", 0) > 0.999);
    }
}

static void what_cannot_be_done_fails_by_its_kind(void **state)
{
    static const struct {
        const char *activity, *input, *type;
    } cases[] = {
        {"nearest", "{}", "BadInput"},
        {"nearest", "{\"collection\": \"c\"}", "BadInput"},
        {"nearest", "{\"collection\": \"c\", \"query\": \"x\", \"k\": 0}", "BadInput"},
        {"nearest", "{\"collection\": \"c\", \"query\": \"x\", \"mode\": \"best\"}", "BadInput"},
        {"nearest", "{\"collection\": \"c\", \"query\": \"x\", \"tags\": \"x\"}", "BadInput"},
        {"nearest", "{\"collection\": \"c\", \"query\": \"x\", \"workspace\": 7}", "BadInput"},
        {"nearest",
         "{\"collection\": \"c\", \"query\": \"x\", \"mode\": \"words\", \"workspace\": [\"a\"]}",
         "BadInput"},
        {"nearest", "{\"collection\": \"none\", \"query\": \"x\"}", "NotFound"},
        {"index",
         "{\"collection\": \"c\", \"create\": true, \"put\": [{\"key\": \"a\", \"text\": \"b\", "
         "\"workspace\": 7}]}",
         "BadInput"},
        {"index", "{\"put\": [{\"key\": \"a\", \"text\": \"b\"}]}", "BadInput"},
        {"index", "{\"collection\": \"none\", \"put\": [{\"key\": \"a\", \"text\": \"b\"}]}",
         "NotFound"},
        {"index", "{\"collection\": \"c\", \"create\": true, \"put\": {}}", "BadInput"},
        {"index", "{\"collection\": \"c\", \"create\": true, \"put\": [{\"text\": \"b\"}]}",
         "BadInput"},
        {"index", "{\"collection\": \"c\", \"create\": true, \"put\": [{\"key\": \"a\"}]}",
         "BadInput"},
        {"index", "{\"collection\": \"c\", \"create\": true, \"delete\": [1]}", "BadInput"},
        {"index", "{\"collection\": \"a b\", \"create\": true}", "BadInput"},
    };
    act_rig *r = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "case-%zu", i);
        const pawl_value *input = input_of(r, "{}");
        pawl_scope *scope = r->host->scope;
        ok(r->host,
           pawl_parse_json(scope, cases[i].input, strlen(cases[i].input), &input, &r->host->err));
        const pawl_value *v = asked(r, id, cases[i].activity, input, true);
        if (strcmp(pawl_str(v, "type", ""), cases[i].type) != 0) {
            print_error("%s: %s, %s expected\n", cases[i].input, pawl_to_json(r->host->scope, v, 0),
                        cases[i].type);
            fail();
        }
    }
}

/* JSON for people has no NUL, but code may build one: nothing behind it gets lost on the way. */
static void a_key_with_a_nul_is_refused(void **state)
{
    act_rig *r = *state;
    const pawl_value *key = pawl_make_strn(r->host->scope, "a\0b", 3);
    const pawl_value *v =
        asked(r, "put", "index",
              input_of(r, "{collection: \"c\", create: true, put: [{key: %p, text: \"x\"}]}",
                       pawl_v(key)),
              true);
    assert_string_equal(pawl_str(v, "type", ""), "BadInput");
    v = asked(r, "gone", "index",
              input_of(r, "{collection: \"c\", create: true, delete: [%p]}", pawl_v(key)), true);
    assert_string_equal(pawl_str(v, "type", ""), "BadInput");
    v = asked(r, "tag", "nearest",
              input_of(r, "{collection: \"c\", query: \"x\", tags: [%p]}", pawl_v(key)), true);
    assert_string_equal(pawl_str(v, "type", ""), "BadInput");
}

static void without_a_model_what_needs_one_says_so(void **state)
{
    act_rig *r = *state;
    const pawl_value *v = asked(r, "embed", "embed", input_of(r, "{text: \"x\"}"), true);
    assert_string_equal(pawl_str(v, "type", ""), "NoModel");
    assert_non_null(strstr(pawl_str(v, "message", ""), "--model"));
    v = asked(r, "near", "nearest", input_of(r, "{query: \"x\", among: [\"y\"]}"), true);
    assert_string_equal(pawl_str(v, "type", ""), "NoModel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_workflow_fills_a_collection_and_searches_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_vector_of_embed_goes_into_a_collection_and_finds_itself,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(an_item_that_is_put_again_without_a_vector_gets_its_texts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_done_fails_by_its_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_with_a_nul_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_model_what_needs_one_says_so, setup_without_model,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
