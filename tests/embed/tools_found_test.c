/*
 * tools_found_test.c - the data set is what it says it is; words find what they found; and on a sample, meaning finds what words do not. `published FOLDER`:
 * the same of tools in their publishers' words (published_tools.py), all of them. The whole table: tools_found.c.
 */
#include "embed_rig.h"

#include <stdio.h>
#include <string.h>

#include "tools_rig.h"

#define SOME 3    /* for words: each third request, tools as they are needed and each third */
#define SAMPLE 12 /* each so-manieth request and tool: seconds under sanitizers */

static const char *published; /* its folder */

static void check_set(const char *folder)
{
    tools_set *s = tools_read(folder, 1);
    size_t unnamed = 0;
    for (size_t i = 0; i < s->requests_len; i++) {
        unnamed += !s->requests[i].named;
    }
    assert_true(s->len >= 200 && s->requests_len >= 300);
    assert_true(2 * unnamed >= s->requests_len);
    for (size_t i = 0; i < s->len; i++) {
        const char *json = tools_json(s, s->scope, i);
        assert_non_null(json);
        assert_true(*s->params[i] == '\0' || strstr(json, "{}") == NULL);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(s->docs[i].name, s->docs[k].name);
        }
    }
    tools_free(s);
}

static void there_are_enough_tools_and_half_of_the_requests_name_none_of_them(void **state)
{
    (void)state;
    check_set(TOOLS_FOLDER);
}

static void there_are_enough_published_tools_and_most_requests_name_none_of_them(void **state)
{
    (void)state;
    check_set(published);
}

static void print(const char *way, const tools_score *s)
{
    print_message("%-14s recall@5 %.3f, recall@10 %.3f, MRR %.3f\n", way, s->recall[2],
                  s->recall[3], s->mrr);
}

static void words_find_most_of_what_is_named_and_half_of_what_is_not(void **state)
{
    tools_set *s = tools_read(TOOLS_FOLDER, SOME);
    tools_score bm25[TOOLS_GROUPS], words[TOOLS_GROUPS];
    (void)state;
    tools_measure(s, TOOLS_BM25, bm25);
    tools_measure(s, TOOLS_WORDS, words);
    print(tools_way_name(TOOLS_BM25), &bm25[TOOLS_ALL]);
    print(tools_way_name(TOOLS_WORDS), &words[TOOLS_ALL]);
    assert_true(words[TOOLS_NAMED].recall[2] > 0.98);
    assert_true(words[TOOLS_UNNAMED].recall[2] > 0.5 && words[TOOLS_UNNAMED].recall[2] < 0.7);
    assert_true(words[TOOLS_ALL].recall[2] > bm25[TOOLS_ALL].recall[2] - 0.05);
    tools_free(s);
}

/* By every way; says what comes of this group. */
static void measure_all(tools_set *s, tools_score scores[TOOLS_WAYS][TOOLS_GROUPS],
                        tools_group group)
{
    pawl_embedder *e = NULL;
    pawl_error err;
    assert_int_equal(pawl_embed_open(rig_model(), NULL, &e, &err), PAWL_OK);
    tools_embed(s, e, TOOLS_FORM);
    for (tools_way way = 0; way < TOOLS_WAYS; way++) {
        tools_measure(s, way, scores[way]);
        print(tools_way_name(way), &scores[way][group]);
    }
    pawl_embed_close(e);
}

static void what_is_not_named_is_found_by_meaning_more_often_than_by_words(void **state)
{
    tools_set *s = tools_read(TOOLS_FOLDER, SAMPLE);
    tools_score scores[TOOLS_WAYS][TOOLS_GROUPS];
    (void)state;
    measure_all(s, scores, TOOLS_UNNAMED);
    print_message("(a sample: %zu tools, %zu requests, %zu of them name none)\n", s->len,
                  s->requests_len, scores[0][TOOLS_UNNAMED].requests);
    assert_true(scores[TOOLS_MEANING][TOOLS_UNNAMED].recall[2] >
                scores[TOOLS_WORDS][TOOLS_UNNAMED].recall[2]);
    assert_true(scores[TOOLS_HYBRID][TOOLS_UNNAMED].recall[2] >=
                scores[TOOLS_BM25][TOOLS_UNNAMED].recall[2]);
    assert_true(scores[TOOLS_HYBRID][TOOLS_UNNAMED].recall[3] > 0.8);
    assert_true(scores[TOOLS_HYBRID][TOOLS_NAMED].recall[2] > 0.98);
    tools_free(s);
}

static void words_find_what_is_named_in_the_publishers_words_and_little_else(void **state)
{
    tools_set *s = tools_read(published, 1);
    tools_score words[TOOLS_GROUPS];
    (void)state;
    tools_measure(s, TOOLS_WORDS, words);
    print(tools_way_name(TOOLS_WORDS), &words[TOOLS_NAMED]);
    print(tools_way_name(TOOLS_WORDS), &words[TOOLS_UNNAMED]);
    assert_true(words[TOOLS_NAMED].recall[2] > 0.85);
    assert_true(words[TOOLS_UNNAMED].recall[2] > 0.1 && words[TOOLS_UNNAMED].recall[2] < 0.3);
    tools_free(s);
}

static void meaning_finds_twice_as_much_of_it_as_words(void **state)
{
    tools_set *s = tools_read(published, 1);
    tools_score scores[TOOLS_WAYS][TOOLS_GROUPS];
    (void)state;
    measure_all(s, scores, TOOLS_ALL);
    assert_true(scores[TOOLS_MEANING][TOOLS_UNNAMED].recall[2] >
                2 * scores[TOOLS_WORDS][TOOLS_UNNAMED].recall[2]);
    assert_true(scores[TOOLS_HYBRID][TOOLS_ALL].recall[2] > 0.51);
    assert_true(scores[TOOLS_HYBRID][TOOLS_NAMED].recall[2] > 0.9);
    /* Words must not cost what meaning finds; a request or two among 303 either way is chance. */
    for (size_t d = 0; d < TOOLS_DEPTHS; d++) {
        assert_true(scores[TOOLS_HYBRID][TOOLS_ALL].recall[d] >
                    scores[TOOLS_MEANING][TOOLS_ALL].recall[d] - 0.01);
    }
    assert_true(scores[TOOLS_HYBRID][TOOLS_ALL].mrr > scores[TOOLS_MEANING][TOOLS_ALL].mrr - 0.005);
    assert_true(scores[TOOLS_HYBRID][TOOLS_ALL].recall[3] >
                scores[TOOLS_MEANING][TOOLS_ALL].recall[3]);
    assert_true(scores[TOOLS_HYBRID][TOOLS_ALL].recall[2] >
                scores[TOOLS_PLAIN][TOOLS_ALL].recall[2]);
    tools_free(s);
}

static int run_published(const char *folder)
{
    const struct CMUnitTest words[] = {
        cmocka_unit_test(there_are_enough_published_tools_and_most_requests_name_none_of_them),
        cmocka_unit_test(words_find_what_is_named_in_the_publishers_words_and_little_else),
    };
    const struct CMUnitTest meaning[] = {
        cmocka_unit_test(meaning_finds_twice_as_much_of_it_as_words),
    };
    published = folder;
    const int failed = cmocka_run_group_tests(words, NULL, NULL);
    if (failed != 0) {
        return failed;
    }
    rig_need_models();
    return cmocka_run_group_tests(meaning, NULL, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest words[] = {
        cmocka_unit_test(there_are_enough_tools_and_half_of_the_requests_name_none_of_them),
        cmocka_unit_test(words_find_most_of_what_is_named_and_half_of_what_is_not),
    };
    const struct CMUnitTest meaning[] = {
        cmocka_unit_test(what_is_not_named_is_found_by_meaning_more_often_than_by_words),
    };
    if (argc == 3 && strcmp(argv[1], "published") == 0) {
        return run_published(argv[2]);
    }
    if (argc < 2) {
        return cmocka_run_group_tests(words, NULL, NULL);
    }
    rig_need_models();
    return cmocka_run_group_tests(meaning, NULL, NULL);
}
