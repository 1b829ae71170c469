/*
 * index_test.c - collections of texts and vectors through the public calls, on the journal in memory and on a file: the same tests on both. Vectors are
 * given: whether a model makes them well is not asked here. [J21] [V11] [V12] [V13]
 */
#include "index_rig.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activities/embed/index.h"
#include "activities/embed/nearest.h"

#define RANDOM_ROWS 300

static const float east[WIDTH] = {1}, north[WIDTH] = {0, 1}, between[WIDTH] = {0.8f, 0.6f};

static pawl_index_query vector_query(const float *vector, uint32_t k)
{
    return (pawl_index_query){.struct_size = sizeof(pawl_index_query),
                              .vector = vector,
                              .mode = PAWL_INDEX_VECTOR,
                              .k = k};
}

static pawl_index_query words_query(const char *words, uint32_t k)
{
    return (pawl_index_query){.struct_size = sizeof(pawl_index_query),
                              .text = {words, strlen(words)},
                              .mode = PAWL_INDEX_WORDS,
                              .k = k};
}

static index_rig *with_drinks(void **state)
{
    index_rig *r = *state;
    must(r, pawl_index_create(r->index, "docs", "what is drunk", &r->err));
    index_put_one(r, "docs", "tea", "How green tea is brewed", east, LABELS("acme", "hot leaf"));
    index_put_one(r, "docs", "coffee", "Coffee is brewed hot", between, LABELS("acme", "hot bean"));
    index_put_one(r, "docs", "juice", "Juice of green apples", north, LABELS("other", "cold"));
    index_put_one(r, "docs", "water", "Water", north, LABELS(NULL, "cold"));
    return r;
}

static void items_are_found_by_vector_best_first_and_equal_ones_by_id(void **state)
{
    index_rig *r = with_drinks(state);
    pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
    q = vector_query(north, 2);
    assert_string_equal(index_find(r, "docs", &q), "juice water ");
    q.at_least = 0.5;
    q.k = 10;
    assert_string_equal(index_find(r, "docs", &q), "juice water coffee ");
}

static void items_are_found_by_words_whatever_signs_stand_between_them(void **state)
{
    static const char *const hostile[] = {
        "\"",     "green AND", "tea NOT coffee", "text:green*",  "(((",
        "NEAR(a", "^green ''", "- + : {",        "\xff\xfe tea", "' OR 1=1; --"};
    index_rig *r = with_drinks(state);
    const pawl_value *found = NULL;
    pawl_index_query q = words_query("Brewed GREEN", 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice ");
    q = words_query("nothing of this", 10); /* "of" is in one */
    assert_string_equal(index_find(r, "docs", &q), "juice ");
    q = words_query("?!", 10);
    assert_string_equal(index_find(r, "docs", &q), "");
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        q = words_query(hostile[i], 10);
        must(r, pawl_index_search(r->index, "docs", &q, r->scope, &found, &r->err));
    }
    q.text = (pawl_embed_text){"tea\0green", 9};
    assert_string_equal(index_find(r, "docs", &q), "tea juice ");
}

static void filters_apply_before_ranking(void **state)
{
    static const char *const hot[] = {"hot"}, *const hot_bean[] = {"hot", "bean"},
                             *const none[] = {"x"};
    index_rig *r = with_drinks(state);
    pawl_index_query q = vector_query(north, 1);
    q.workspace = "acme";
    assert_string_equal(index_find(r, "docs", &q), "coffee ");
    q.workspace = "other";
    q.shared = true;
    q.k = 10;
    assert_string_equal(index_find(r, "docs", &q), "juice water ");
    q.workspace = NULL;
    q.tags = hot;
    q.tags_len = 1;
    assert_string_equal(index_find(r, "docs", &q), "coffee tea ");
    q.tags = hot_bean;
    q.tags_len = 2;
    assert_string_equal(index_find(r, "docs", &q), "coffee ");
    q.tags = none;
    q.tags_len = 1;
    assert_string_equal(index_find(r, "docs", &q), "");
    q = words_query("green brewed", 1);
    q.workspace = "other";
    assert_string_equal(index_find(r, "docs", &q), "juice ");
    q.workspace = NULL;
    q.tags = hot_bean;
    q.tags_len = 2;
    assert_string_equal(index_find(r, "docs", &q), "coffee ");
}

static void both_ways_are_joined_by_their_ranks(void **state)
{
    index_rig *r = with_drinks(state);
    const pawl_value *found = NULL;
    pawl_index_query q = words_query("green juice", 10);
    q.mode = PAWL_INDEX_DEFAULT;
    q.vector = east;
    must(r, pawl_index_search(r->index, "docs", &q, r->scope, &found, &r->err));
    /* by vector: tea coffee juice water; by words: juice tea */
    assert_string_equal(index_keys(found, r->scope), "tea juice coffee water ");
    assert_true(fabs(pawl_num(found, "0.score", 0) - (1.0 / 61 + 1.0 / 62)) < 1e-12);
    assert_true(fabs(pawl_num(found, "1.score", 0) - (1.0 / 61 + 1.0 / 63)) < 1e-12);
    assert_true(fabs(pawl_num(found, "2.score", 0) - 1.0 / 62) < 1e-12);
    assert_null(pawl_get(found, "2.words"));
    assert_true(pawl_num(found, "1.words", 0) > pawl_num(found, "0.words", 0));
    assert_string_equal(pawl_str(found, "0.text", ""), "How green tea is brewed");
    assert_string_equal(pawl_str(found, "0.workspace", ""), "acme");
    assert_int_equal(pawl_len(pawl_get(found, "0.tags")), 2);
    q.brief = true;
    must(r, pawl_index_search(r->index, "docs", &q, r->scope, &found, &r->err));
    assert_null(pawl_get(found, "0.text"));
}

static void a_replaced_item_is_found_by_what_it_is_now(void **state)
{
    index_rig *r = with_drinks(state);
    pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
    index_put_one(r, "docs", "tea", "Black leaves", north, LABELS(NULL, NULL));
    assert_string_equal(index_find(r, "docs", &q), "coffee juice water tea ");
    q = words_query("green", 10);
    assert_string_equal(index_find(r, "docs", &q), "juice ");
    q = words_query("leaves", 10);
    assert_string_equal(index_find(r, "docs", &q), "tea ");
    must(r, pawl_index_delete(r->index, "docs", (const char *const[]){"tea", "never", "juice"}, 3,
                              &r->err));
    assert_string_equal(index_find(r, "docs", &q), "");
    q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "coffee water ");
}

static void an_item_that_is_there_just_so_is_not_written_again(void **state)
{
    index_rig *r = with_drinks(state);
    const char *const tags[] = {"hot", "leaf"};
    const pawl_value *before = NULL, *after = NULL;
    pawl_index_counts counts;
    pawl_index_item items[] = {{.key = "tea",
                                .text = {"How green tea is brewed", 23},
                                .vector = east,
                                .workspace = "acme",
                                .tags = tags,
                                .tags_len = 2},
                               {.key = "cola", .text = {"Cola", 4}, .vector = north}};
    must(r, pawl_index_info(r->index, "docs", r->scope, &before, &r->err));
    must(r, pawl_index_put(r->index, "docs", items, 1, &counts, &r->err));
    assert_int_equal(counts.unchanged, 1);
    assert_int_equal(counts.put, 0);
    must(r, pawl_index_info(r->index, "docs", r->scope, &after, &r->err));
    assert_true(pawl_equal(before, after));
    items[0].tags_len = 1;
    must(r, pawl_index_put(r->index, "docs", items, 2, &counts, &r->err));
    assert_int_equal(counts.put, 2);
    items[0].vector = north;
    must(r, pawl_index_put(r->index, "docs", items, 2, &counts, &r->err));
    assert_int_equal(counts.put, 1);
    assert_int_equal(counts.unchanged, 1);
}

static void a_given_vector_is_not_kept_for_a_text_that_has_no_model(void **state)
{
    index_rig *r = with_drinks(state);
    const char *const texts[] = {"Coffee is brewed hot", "Something else"};
    for (size_t i = 0; i < 2; i++) {
        const pawl_index_item item = {.key = "coffee",
                                      .text = {texts[i], strlen(texts[i])},
                                      .workspace = "acme",
                                      .tags = (const char *const[]){"hot", "bean"},
                                      .tags_len = 2};
        must_be(r, pawl_index_put(r->index, "docs", &item, 1, NULL, &r->err), PAWL_UNSUPPORTED);
        assert_non_null(strstr(r->err.message, "without a model"));
    }
}

static void another_model_is_refused_by_name(void **state)
{
    index_rig *r = with_drinks(state);
    pawl_index *other = index_other(r, "model two", WIDTH), *wide = index_other(r, "model one", 16);
    const pawl_index_item item = {.key = "x", .text = {"x", 1}, .vector = north};
    const pawl_value *found = NULL;
    pawl_index_query q = vector_query(north, 1);
    must_be(r, pawl_index_create(other, "docs", NULL, &r->err), PAWL_CONFLICT);
    assert_non_null(strstr(r->err.message, "model one"));
    assert_non_null(strstr(r->err.message, "model two"));
    must_be(r, pawl_index_put(other, "docs", &item, 1, NULL, &r->err), PAWL_CONFLICT);
    assert_non_null(strstr(r->err.message, "model two"));
    must_be(r, pawl_index_search(other, "docs", &q, r->scope, &found, &r->err), PAWL_CONFLICT);
    must_be(r, pawl_index_create(wide, "docs", NULL, &r->err), PAWL_CONFLICT);
    assert_non_null(strstr(r->err.message, "16 numbers"));
    q = words_query("coffee", 1); /* words need no model */
    must(r, pawl_index_search(other, "docs", &q, r->scope, &found, &r->err));
    must(r, pawl_index_create(r->index, "docs", NULL, &r->err));
    pawl_index_close(other);
    pawl_index_close(wide);
}

static void what_may_not_be_kept_is_refused_whole(void **state)
{
    index_rig *r = with_drinks(state);
    float bad[WIDTH] = {NAN}, huge[WIDTH] = {3, 3}, far[WIDTH] = {INFINITY};
    const char *const long_tags[] = {"a\nb"};
    char long_key[300];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = 0;
    const pawl_index_item items[] = {
        {.key = "a", .vector = bad},
        {.key = "a", .vector = huge},
        {.key = "a", .vector = far},
        {.key = "", .vector = east},
        {.key = NULL, .vector = east},
        {.key = long_key, .vector = east},
        {.key = "two\nlines", .vector = east},
        {.key = "a", .vector = east, .tags = long_tags, .tags_len = 1},
        {.key = "a", .vector = east, .workspace = long_key},
        {.key = "a"},
    };
    const pawl_value *before = NULL, *after = NULL;
    must(r, pawl_index_info(r->index, "docs", r->scope, &before, &r->err));
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        const pawl_index_item two[] = {{.key = "good", .vector = east}, items[i]};
        must_be(r, pawl_index_put(r->index, "docs", two, 2, NULL, &r->err), PAWL_INVALID);
    }
    must_be(r, pawl_index_put(r->index, "nowhere", items, 1, NULL, &r->err), PAWL_NOTFOUND);
    must_be(r, pawl_index_create(r->index, "bad name", NULL, &r->err), PAWL_INVALID);
    must_be(r, pawl_index_create(r->index, "", NULL, &r->err), PAWL_INVALID);
    must_be(r, pawl_index_remove(r->index, "nowhere", &r->err), PAWL_NOTFOUND);
    must(r, pawl_index_info(r->index, "docs", r->scope, &after, &r->err));
    assert_true(pawl_equal(before, after));
    pawl_index_query q = vector_query(bad, 1);
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &after, &r->err), PAWL_INVALID);
    q = vector_query(east, 2000);
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &after, &r->err), PAWL_INVALID);
    q = vector_query(NULL, 2);
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &after, &r->err), PAWL_INVALID);
    q = (pawl_index_query){.struct_size = sizeof q, .text = {"x", 1}, .mode = PAWL_INDEX_WORDS};
    q.at_least = NAN; /* it would let all through */
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &after, &r->err), PAWL_INVALID);
}

static void a_removed_collection_is_gone_and_its_name_is_free(void **state)
{
    index_rig *r = with_drinks(state);
    const pawl_value *found = NULL;
    pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
    must(r, pawl_index_remove(r->index, "docs", &r->err));
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &found, &r->err), PAWL_NOTFOUND);
    must(r, pawl_index_create(r->index, "docs", NULL, &r->err));
    assert_string_equal(index_find(r, "docs", &q), "");
    index_put_one(r, "docs", "new", "new", east, LABELS(NULL, NULL));
    assert_string_equal(index_find(r, "docs", &q), "new ");
    q = words_query("new green", 10);
    assert_string_equal(index_find(r, "docs", &q), "new ");
}

/* A door that looks at what goes through it. */
typedef struct watched {
    pawl_engine *engine;
    size_t ids_max;
} watched;

static pawl_status watch_ids(void *user, const char *op, const pawl_value *args, pawl_scope *scope,
                             const pawl_value **ret_reply, pawl_error *err)
{
    watched *w = user;
    const size_t ids = pawl_len(pawl_get(args, "ids"));
    w->ids_max = ids > w->ids_max ? ids : w->ids_max;
    return pawl_request(w->engine, op, args, -1, scope, ret_reply, err);
}

/* 256 items fit into a frame of the control protocol, 1,000 need not. */
static void what_is_found_is_read_in_portions(void **state)
{
    index_rig *r = *state;
    watched w = {r->engine, 0};
    const pawl_index_options o = {
        .struct_size = sizeof o, .ask = watch_ids, .ask_user = &w, .width = WIDTH};
    pawl_index *index = NULL;
    const pawl_value *found = NULL;
    pawl_index_item items[600];
    char keys[600][8];
    const pawl_index_query q = vector_query(east, 600);
    for (size_t i = 0; i < 600; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        items[i] = (pawl_index_item){.key = keys[i], .vector = east};
    }
    must(r, pawl_index_open(&o, &index, &r->err));
    must(r, pawl_index_create(index, "many", NULL, &r->err));
    must(r, pawl_index_put(index, "many", items, 600, NULL, &r->err));
    must(r, pawl_index_search(index, "many", &q, r->scope, &found, &r->err));
    assert_int_equal(pawl_len(found), 600);
    for (size_t i = 0; i < 600; i++) {
        assert_string_equal(pawl_str(pawl_at(found, i), "key", ""), keys[i]);
    }
    assert_int_equal(w.ids_max, 256);
    pawl_index_close(index);
}

/* Whoever removed it. */
static void what_is_removed_is_kept_in_no_memory(void **state)
{
    index_rig *r = with_drinks(state);
    pawl_index *other = index_other(r, "another", WIDTH);
    const pawl_value *found = NULL;
    const pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
    assert_non_null(pw_index_copy(r->index, "docs")->halves);
    must(r, pawl_index_remove(r->index, "docs", &r->err));
    assert_null(pw_index_copy(r->index, "docs")->halves);
    must(r, pawl_index_create(r->index, "docs", NULL, &r->err));
    index_put_one(r, "docs", "new", "new", east, LABELS(NULL, NULL));
    assert_string_equal(index_find(r, "docs", &q), "new ");
    must(r, pawl_index_remove(other, "docs", &r->err));
    must_be(r, pawl_index_search(r->index, "docs", &q, r->scope, &found, &r->err), PAWL_NOTFOUND);
    assert_null(pw_index_copy(r->index, "docs")->halves);
    pawl_index_close(other);
}

static void a_collection_says_what_it_is_and_lists_its_items(void **state)
{
    index_rig *r = with_drinks(state);
    const pawl_value *all = NULL, *items = NULL;
    must(r, pawl_index_create(r->index, "another", NULL, &r->err));
    must(r, pawl_index_info(r->index, NULL, r->scope, &all, &r->err));
    assert_int_equal(pawl_len(all), 2);
    assert_string_equal(pawl_str(all, "0.name", ""), "another");
    assert_string_equal(pawl_str(all, "1.name", ""), "docs");
    assert_string_equal(pawl_str(all, "1.about", ""), "what is drunk");
    assert_string_equal(pawl_str(all, "1.dtype", ""), "float16");
    assert_int_equal(pawl_int(all, "1.items", 0), 4);
    must(r, pawl_index_items(r->index, "docs", 0, 3, r->scope, &items, &r->err));
    assert_string_equal(index_keys(items, r->scope), "tea coffee juice ");
    must(r, pawl_index_items(r->index, "docs", pawl_int(items, "2.id", 0), 3, r->scope, &items,
                             &r->err));
    assert_string_equal(index_keys(items, r->scope), "water ");
}

static int next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (int)(*seed >> 8);
}

/* The copy is brought up to date by changes, closed up, and made anew when it is too old: it always finds what a fresh one does. */
static void a_copy_finds_what_a_fresh_one_finds_after_any_changes(void **state)
{
    index_rig *r = *state;
    pawl_index *fresh = NULL;
    must(r, pawl_index_create(r->index, "many", NULL, &r->err));
    uint32_t seed = 5;
    for (int round = 0; round < 8; round++) {
        float vectors[250][WIDTH];
        char keys[250][16];
        pawl_index_item items[250];
        for (int i = 0; i < 250; i++) {
            for (int j = 0; j < WIDTH; j++) {
                vectors[i][j] = (float)(next(&seed) % 9 - 4) / 8.0f;
            }
            (void)snprintf(keys[i], sizeof keys[i], "k%d", next(&seed) % 1200);
            items[i] = (pawl_index_item){.key = keys[i], .vector = vectors[i]};
        }
        must(r, pawl_index_put(r->index, "many", items, 250, NULL, &r->err));
        const char *gone[200];
        for (int i = 0; i < 200; i++) {
            gone[i] = keys[next(&seed) % 250];
        }
        must(r, pawl_index_delete(r->index, "many", gone, round % 2 ? 200 : 3, &r->err));
        pawl_index_query q = vector_query(vectors[7], 50);
        const char *found = index_find(r, "many", &q);
        pawl_index *mine = r->index;
        fresh = index_other(r, "model one", WIDTH);
        r->index = fresh;
        assert_string_equal(found, index_find(r, "many", &q));
        r->index = mine;
        pawl_index_close(fresh);
    }
}

/* ---- strangers at the protocol ---- */

static void many_searches_at_once_find_what_each_finds_alone(void **state)
{
    static const char *const hot[] = {"hot"};
    index_rig *r = with_drinks(state);
    pawl_index_query q[12];
    const pawl_value *found[12], *alone = NULL;
    for (size_t i = 0; i < 12; i++) {
        q[i] = i % 3 == 0 ? words_query("green brewed", 5) : vector_query(i % 2 ? east : north, 3);
        q[i].k = (uint32_t)(1 + i % 4);
        q[i].workspace = i > 7 ? "acme" : NULL;
        q[i].tags = hot;
        q[i].tags_len = i == 4 || i == 5 ? 1 : 0;
        if (i == 10) {
            q[i] = words_query("green", 4);
            q[i].vector = between;
            q[i].mode = PAWL_INDEX_HYBRID;
        }
    }
    must(r, pawl_index_search_all(r->index, "docs", q, 12, r->scope, found, &r->err));
    for (size_t i = 0; i < 12; i++) {
        must(r, pawl_index_search(r->index, "docs", &q[i], r->scope, &alone, &r->err));
        assert_true(pawl_equal(alone, found[i]));
    }
    must_be(r, pawl_index_search_all(r->index, "docs", q, 0, r->scope, found, &r->err),
            PAWL_INVALID);
    q[7].k = 5000;
    must_be(r, pawl_index_search_all(r->index, "docs", q, 12, r->scope, found, &r->err),
            PAWL_INVALID);
}

static const struct {
    const char *op, *args;
    pawl_status status;
} senseless[] = {
    {"index_create", "{}", PAWL_INVALID},
    {"index_create", "{\"collection\": 5, \"width\": 8}", PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 0}", PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": -1}", PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 5000}", PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 8, \"model\": {\"a\": \"long\"}}",
     PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 8, \"identity\": [\"long\"]}",
     PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 8, \"dtype\": [\"long\"]}", PAWL_INVALID},
    {"index_create", "{\"collection\": \"x\", \"width\": 8, \"tokens_max\": [\"long\"]}",
     PAWL_INVALID},
    {"index_put", "{\"collection\": \"docs\", \"identity\": \"model one\"}", PAWL_LIMIT},
    {"index_put", "{\"collection\": \"docs\", \"identity\": \"model one\", \"items\": {}}",
     PAWL_LIMIT},
    {"index_put", "{\"collection\": \"docs\", \"identity\": \"model one\", \"items\": [1]}",
     PAWL_INVALID},
    {"index_put",
     "{\"collection\": \"docs\", \"identity\": \"model one\", \"items\": [{\"key\": \"a\"}]}",
     PAWL_INVALID},
    {"index_put",
     "{\"collection\": \"docs\", \"identity\": \"model one\", \"items\": [{\"key\": \"a\", \"row\": "
     "\"text\"}]}",
     PAWL_INVALID},
    {"index_put",
     "{\"collection\": \"docs\", \"identity\": \"model one\", \"items\": [{\"key\": \"a\", \"row\": "
     "{\"$bytes\": \"AAAA\"}}]}",
     PAWL_INVALID},
    {"index_put", "{\"collection\": \"docs\", \"items\": []}", PAWL_CONFLICT},
    {"index_delete", "{\"collection\": \"docs\", \"keys\": \"tea\"}", PAWL_LIMIT},
    {"index_delete", "{\"collection\": \"docs\", \"keys\": [\"\"]}", PAWL_INVALID},
    {"index_delete", "{\"collection\": \"docs\", \"keys\": [null]}", PAWL_INVALID},
    {"index_remove", "{}", PAWL_INVALID},
    {"index_delete", "{\"keys\": [\"tea\"]}", PAWL_INVALID},
    {"index_put", "{\"items\": []}", PAWL_INVALID},
    {"index", "{\"collection\": \"none\"}", PAWL_NOTFOUND},
    {"index_items", "{}", PAWL_INVALID},
    {"index_items", "{\"collection\": \"docs\", \"keys\": 5}", PAWL_LIMIT},
    {"index_items", "{\"collection\": \"docs\", \"ids\": {\"a\": 1}}", PAWL_LIMIT},
    {"index_items", "{\"collection\": \"docs\", \"ids\": [-5, 0, 9223372036854775807, \"x\"]}",
     PAWL_OK},
    {"index_items", "{\"collection\": \"docs\", \"keys\": [5, null, \"\"]}", PAWL_OK},
    {"index_items", "{\"collection\": \"docs\", \"after\": -9223372036854775807, \"limit\": -1}",
     PAWL_OK},
    {"index_items", "{\"collection\": \"docs\", \"after\": 9223372036854775807}", PAWL_OK},
    {"index_changes", "{\"number\": 9223372036854775807}", PAWL_NOTFOUND},
    {"index_changes", "{\"number\": 77}", PAWL_NOTFOUND},
    {"index_changes", "{\"number\": 1, \"since\": -9223372036854775807, \"after\": -1}", PAWL_OK},
    {"index_words", "{\"number\": 77, \"query\": \"tea\"}", PAWL_NOTFOUND},
    {"index_words", "{\"number\": 1, \"query\": 5}", PAWL_OK},
    {"index_words", "{\"number\": 1, \"query\": \"tea\", \"tags\": \"hot\"}", PAWL_INVALID},
    {"index_words", "{\"number\": 1, \"query\": \"tea\", \"tags\": [5, {}], \"limit\": -4}",
     PAWL_OK},
};

static void requests_that_make_no_sense_are_refused_and_change_nothing(void **state)
{
    index_rig *r = with_drinks(state);
    const pawl_value *before = NULL, *after = NULL;
    must(r, pawl_index_info(r->index, NULL, r->scope, &before, &r->err));
    for (size_t i = 0; i < sizeof senseless / sizeof senseless[0]; i++) {
        const pawl_value *args = NULL, *reply = NULL;
        must(r, pawl_parse_json(r->scope, senseless[i].args, strlen(senseless[i].args), &args,
                                &r->err));
        const pawl_status st =
            pawl_request(r->engine, senseless[i].op, args, -1, r->scope, &reply, &r->err);
        if (st != senseless[i].status) {
            fail_msg("%s %s: %s, %s expected", senseless[i].op, senseless[i].args,
                     pawl_status_name(st), pawl_status_name(senseless[i].status));
        }
    }
    must(r, pawl_index_info(r->index, NULL, r->scope, &after, &r->err));
    assert_true(pawl_equal(before, after));
}

/* ---- several at a time ---- */

typedef struct searcher {
    index_rig *rig;
    pthread_t thread;
    atomic_bool *stop;
    size_t searches;
    bool bad;
} searcher;

/* What is found is alive, in order, and no more than asked for. */
static void *search_on(void *arg)
{
    searcher *s = arg;
    pawl_error err;
    while (!atomic_load(s->stop) || s->searches < 3) {
        pawl_scope *scope = pawl_scope_new();
        const pawl_value *found = NULL;
        pawl_index_query q = vector_query(s->searches % 2 == 0 ? east : between, 5);
        q.workspace = s->searches % 3 == 0 ? "acme" : NULL;
        s->bad |= pawl_index_search(s->rig->index, "docs", &q, scope, &found, &err) != PAWL_OK ||
                  pawl_len(found) > 5;
        for (size_t i = 1; i < pawl_len(found); i++) {
            s->bad |= pawl_num(pawl_at(found, i), "score", 0) >
                      pawl_num(pawl_at(found, i - 1), "score", 0);
        }
        s->searches++;
        pawl_scope_free(scope);
    }
    return NULL;
}

static void searches_go_on_while_items_are_put_and_deleted(void **state)
{
    index_rig *r = with_drinks(state);
    atomic_bool stop = false;
    searcher searchers[3];
    for (size_t i = 0; i < 3; i++) {
        searchers[i] = (searcher){.rig = r, .stop = &stop};
        assert_int_equal(pthread_create(&searchers[i].thread, NULL, search_on, &searchers[i]), 0);
    }
    for (int round = 0; round < 40; round++) {
        index_put_one(r, "docs", "tea", "tea", round % 2 == 0 ? north : east,
                      LABELS("acme", "a b"));
        index_put_one(r, "docs", "new", "new", between, LABELS(NULL, "c"));
        must(r, pawl_index_delete(r->index, "docs", (const char *const[]){"new"}, 1, &r->err));
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(searchers[i].thread, NULL), 0);
        assert_false(searchers[i].bad);
    }
    pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
}

/* What the file holds, sorted by exact products: the oracle. */
typedef struct held {
    size_t len;
    int64_t ids[RANDOM_ROWS];
    uint16_t rows[RANDOM_ROWS][32];
} held;

static held read_file(index_rig *r)
{
    static held h;
    h.len = 0;
    for (const pawl_value *page = NULL; page == NULL || pawl_len(page) > 0;) {
        const int64_t after = h.len > 0 ? h.ids[h.len - 1] : 0;
        must(r, pawl_index_items(r->index, "many", after, 0, r->scope, &page, &r->err));
        for (size_t i = 0; i < pawl_len(page); i++) {
            const pawl_value *one = NULL;
            size_t size = 0;
            const char *key = pawl_str(pawl_at(page, i), "key", "");
            const pawl_value *args =
                pawl_build(r->scope, "{collection: \"many\", keys: [%s], rows: true}", key);
            must(r, pawl_request(r->engine, "index_items", args, -1, r->scope, &one, &r->err));
            const void *row = pawl_data(one, "0.row", &size);
            assert_int_equal(size, WIDTH * sizeof(uint16_t));
            memset(h.rows[h.len], 0, sizeof h.rows[0]);
            memcpy(h.rows[h.len], row, size);
            h.ids[h.len++] = pawl_int(one, "0.id", 0);
        }
    }
    return h;
}

static int by_score(const void *a, const void *b)
{
    const pw_near *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->id > y->id) - (x->id < y->id);
}

static void same_list(index_rig *r, const held *h, const float *vector)
{
    static pw_near all[RANDOM_ROWS];
    uint16_t query[32];
    const pawl_value *found = NULL;
    pawl_index_query q = vector_query(vector, 10);
    q.brief = true;
    assert_int_equal(pw_row_put(vector, WIDTH, query, &r->err), PAWL_OK);
    for (size_t i = 0; i < h->len; i++) {
        all[i] = (pw_near){.id = h->ids[i], .score = pw_row_dot(h->rows[i], query, 32)};
    }
    qsort(all, h->len, sizeof *all, by_score);
    pawl_scope *scope = pawl_scope_new();
    must(r, pawl_index_search(r->index, "many", &q, scope, &found, &r->err));
    assert_int_equal(pawl_len(found), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_true(pawl_int(pawl_at(found, i), "id", 0) == all[i].id);
        assert_true(pawl_num(pawl_at(found, i), "score", 0) == all[i].score);
    }
    pawl_scope_free(scope);
}

/* nearest_test.c asks ten thousand queries of every set of kernels; these go all the way through a journal. Few values: many ties. */
static void random_queries_find_what_a_sort_of_the_files_rows_finds(void **state)
{
    index_rig *r = *state;
    uint32_t seed = 9;
    float vectors[RANDOM_ROWS][WIDTH], query[WIDTH];
    char keys[RANDOM_ROWS][16];
    pawl_index_item items[RANDOM_ROWS];
    must(r, pawl_index_create(r->index, "many", NULL, &r->err));
    for (int i = 0; i < RANDOM_ROWS; i++) {
        for (int j = 0; j < WIDTH; j++) {
            vectors[i][j] = (float)(next(&seed) % 7 - 3) / 8.0f;
        }
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        items[i] = (pawl_index_item){.key = keys[i], .vector = vectors[i]};
    }
    must(r, pawl_index_put(r->index, "many", items, RANDOM_ROWS, NULL, &r->err));
    must(r, pawl_index_delete(r->index, "many", (const char *const[]){"k7", "k8", "k100"}, 3,
                              &r->err));
    const held h = read_file(r);
    assert_int_equal(h.len, RANDOM_ROWS - 3);
    for (int n = 0; n < 1000; n++) {
        for (int j = 0; j < WIDTH; j++) {
            query[j] = n % 2 == 0 ? (float)(next(&seed) % 7 - 3) / 8.0f
                                  : (float)(next(&seed) % 2001 - 1000) / 1001.0f;
        }
        same_list(r, &h, query);
    }
}

static void everything_is_there_after_the_engine_is_opened_again(void **state)
{
    index_rig *r = with_drinks(state);
    index_reopen(r);
    pawl_index_query q = vector_query(east, 10);
    assert_string_equal(index_find(r, "docs", &q), "tea coffee juice water ");
    q = words_query("green", 10);
    assert_string_equal(index_find(r, "docs", &q), "juice tea ");
}

/* ---- a collection that is made anew while vectors of the old one are on their way ---- */

typedef struct gate {
    index_rig *rig;
    const char *op; /* before the nth of these the collection is removed, and made again */
    int nth;
    bool again;
} gate;

static pawl_status ask_through(void *user, const char *op, const pawl_value *args,
                               pawl_scope *scope, const pawl_value **ret_reply, pawl_error *err)
{
    gate *g = user;
    if (strcmp(op, g->op) == 0 && --g->nth == 0) {
        must(g->rig, pawl_index_remove(g->rig->index, "docs", &g->rig->err));
        if (g->again) {
            must(g->rig, pawl_index_create(g->rig->index, "docs", "another", &g->rig->err));
        }
    }
    return pawl_request(g->rig->engine, op, args, -1, scope, ret_reply, err);
}

/* Puts len items by an index that stands behind the gate; what is in the collection then is counted. */
static void put_through(index_rig *r, gate *g, size_t len, pawl_status expected)
{
    static char keys[300][24];
    static pawl_index_item items[300];
    const pawl_value *about = NULL;
    pawl_index *index = NULL;
    const pawl_index_options o = {.struct_size = sizeof o,
                                  .ask = ask_through,
                                  .ask_user = g,
                                  .width = WIDTH,
                                  .identity = "model one",
                                  .model = "model one"};
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        items[i] = (pawl_index_item){.key = keys[i], .vector = east};
    }
    g->rig = r;
    must(r, pawl_index_create(r->index, "docs", "what is drunk", &r->err));
    must(r, pawl_index_open(&o, &index, &r->err));
    must_be(r, pawl_index_put(index, "docs", items, len, NULL, &r->err), expected);
    assert_true(g->nth <= 0);
    if (g->again) {
        assert_non_null(strstr(r->err.message, "made again"));
        must(r, pawl_index_info(r->index, "docs", r->scope, &about, &r->err));
        assert_int_equal(pawl_int(about, "items", -1), 0);
        must(r, pawl_index_remove(r->index, "docs", &r->err));
    }
    pawl_index_close(index);
}

/* [V17] */
static void vectors_made_for_a_collection_are_not_put_into_another_of_its_name(void **state)
{
    put_through(*state, &(gate){.op = "index_put", .nth = 1, .again = true}, 1, PAWL_CONFLICT);
    put_through(*state, &(gate){.op = "index_items", .nth = 1, .again = true}, 1, PAWL_CONFLICT);
    put_through(*state, &(gate){.op = "index", .nth = 2, .again = true}, 300, PAWL_CONFLICT);
    put_through(*state, &(gate){.op = "index_put", .nth = 2, .again = true}, 300, PAWL_CONFLICT);
    put_through(*state, &(gate){.op = "index_put", .nth = 1}, 1, PAWL_NOTFOUND);
}

#define ON_BOTH(test)                                                   \
    {"memory: " #test, test, index_setup_memory, index_teardown, NULL}, \
    {                                                                   \
        "file: " #test, test, index_setup_file, index_teardown, NULL    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(items_are_found_by_vector_best_first_and_equal_ones_by_id),
        ON_BOTH(items_are_found_by_words_whatever_signs_stand_between_them),
        ON_BOTH(filters_apply_before_ranking),
        ON_BOTH(both_ways_are_joined_by_their_ranks),
        ON_BOTH(a_replaced_item_is_found_by_what_it_is_now),
        ON_BOTH(an_item_that_is_there_just_so_is_not_written_again),
        ON_BOTH(a_given_vector_is_not_kept_for_a_text_that_has_no_model),
        ON_BOTH(another_model_is_refused_by_name),
        ON_BOTH(what_may_not_be_kept_is_refused_whole),
        ON_BOTH(a_removed_collection_is_gone_and_its_name_is_free),
        ON_BOTH(what_is_removed_is_kept_in_no_memory),
        ON_BOTH(what_is_found_is_read_in_portions),
        ON_BOTH(a_collection_says_what_it_is_and_lists_its_items),
        ON_BOTH(a_copy_finds_what_a_fresh_one_finds_after_any_changes),
        ON_BOTH(many_searches_at_once_find_what_each_finds_alone),
        ON_BOTH(requests_that_make_no_sense_are_refused_and_change_nothing),
        ON_BOTH(searches_go_on_while_items_are_put_and_deleted),
        ON_BOTH(vectors_made_for_a_collection_are_not_put_into_another_of_its_name),
        ON_BOTH(random_queries_find_what_a_sort_of_the_files_rows_finds),
        {"file: everything_is_there_after_the_engine_is_opened_again",
         everything_is_there_after_the_engine_is_opened_again, index_setup_file, index_teardown,
         NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
