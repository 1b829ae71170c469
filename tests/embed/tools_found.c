/*
 * tools_found.c - is a tool found by what people say they want? tools_found FOLDER MODEL [bare|params|second|text|long]: recall and reciprocal rank of each
 * way to look for it, by how much hybrid differs from others, and how many tokens of a prompt the tools take, all of them and the chosen. The last word: other
 * ways to look at a tool, or longer requests (tools_form). Judges nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "activities/embed/embedder.h"
#include "sdk/base/error.h"
#include "tools_rig.h"

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void print_group(tools_score scores[TOOLS_WAYS][TOOLS_GROUPS], tools_group g)
{
    (void)printf("\n%s (%zu requests)\n%-14s", tools_group_name(g), scores[0][g].requests, "");
    for (size_t d = 0; d < TOOLS_DEPTHS; d++) {
        (void)printf("  recall@%-2zu", tools_depths[d]);
    }
    (void)printf("    MRR\n");
    for (tools_way way = 0; way < TOOLS_WAYS; way++) {
        const tools_score *s = &scores[way][g];
        (void)printf("%-14s", tools_way_name(way));
        for (size_t d = 0; d < TOOLS_DEPTHS; d++) {
            (void)printf("  %9.3f", s->recall[d]);
        }
        (void)printf("  %5.3f\n", s->mrr);
    }
}

/* ---- differences ---- */

#define DRAWS 4000u

static double gain(size_t rank, size_t depth)
{
    return depth > 0 ? (double)(rank > 0 && rank <= depth) : rank > 0 ? 1.0 / (double)rank : 0;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the mean difference: what 95 of 100 draws of as many requests, with repetition, lie between (paired bootstrap). depth 0: of reciprocal ranks. */
static void print_difference(const size_t *a, const size_t *b, size_t len, size_t depth)
{
    static double means[DRAWS];
    uint64_t random = 88172645463325252u;
    double mean = 0;
    for (size_t i = 0; i < len; i++) {
        mean += (gain(a[i], depth) - gain(b[i], depth)) / (double)len;
    }
    for (size_t d = 0; d < DRAWS; d++) {
        means[d] = 0;
        for (size_t i = 0; i < len; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            const size_t at = (size_t)(random >> 11) % len;
            means[d] += (gain(a[at], depth) - gain(b[at], depth)) / (double)len;
        }
    }
    qsort(means, DRAWS, sizeof *means, rising);
    (void)printf("  %+.3f (%+.3f .. %+.3f)", mean, means[DRAWS / 40], means[DRAWS - DRAWS / 40]);
}

static void print_differences(const tools_set *s)
{
    static size_t hybrid[REQUESTS_MAX], other[REQUESTS_MAX];
    static const tools_way others[] = {TOOLS_MEANING, TOOLS_PLAIN, TOOLS_WORDS};
    static const size_t depths[] = {1, 5, 10, 0};
    tools_ranks(s, TOOLS_HYBRID, hybrid);
    (void)printf(
        "\nhybrid, less the others: recall@1, @5, @10, MRR (between these in 95 of 100)\n");
    for (size_t i = 0; i < PW_COUNT(others); i++) {
        tools_ranks(s, others[i], other);
        (void)printf("%-14s", tools_way_name(others[i]));
        for (size_t d = 0; d < PW_COUNT(depths); d++) {
            print_difference(hybrid, other, s->requests_len, depths[d]);
        }
        (void)printf("\n");
    }
}

/* ---- what it costs ---- */

static size_t tokens_of(const pawl_embedder *e, const char *text)
{
    uint32_t ids[8];
    const pw_view view = {(const uint8_t *)text, strlen(text)};
    return (size_t)pw_wordpiece_encode(e->model->tokenizer, view, true, ids, 8).total - 2;
}

static void print_tokens(const tools_set *s, const pawl_embedder *e)
{
    static size_t tokens[TOOLS_MAX];
    size_t all = 0;
    pawl_scope *scope = pawl_scope_new();
    for (size_t i = 0; i < s->len; i++) {
        tokens[i] = tokens_of(e, tools_json(s, scope, i));
        all += tokens[i];
    }
    (void)printf(
        "\ntokens of the tools in a prompt (of this model's tokenizer): all %zu tools %zu\n",
        s->len, all);
    for (size_t d = 1; d < TOOLS_DEPTHS; d++) {
        size_t chosen[TOOLS_MAX], sum = 0;
        for (size_t r = 0; r < s->requests_len; r++) {
            const size_t len = tools_first(s, TOOLS_HYBRID, r, tools_depths[d], chosen);
            for (size_t i = 0; i < len; i++) {
                sum += tokens[chosen[i]];
            }
        }
        const double mean = (double)sum / (double)s->requests_len;
        (void)printf("  %2zu chosen: %5.0f on average, %.1f %% of all\n", tools_depths[d], mean,
                     100 * mean / (double)all);
    }
    pawl_scope_free(scope);
}

static void print_time(const tools_set *s, const pawl_embedder *e)
{
    float vector[4096];
    size_t chosen[10];
    double embed = 1e9, rank = 1e9;
    for (size_t r = 0; r < s->requests_len; r++) {
        const pawl_embed_text text = {s->requests[r].text, strlen(s->requests[r].text)};
        pawl_error err;
        const double begun = now_s();
        if (pawl_embed_texts(e, &text, 1, vector, NULL, &err) != PAWL_OK) {
            exit(1);
        }
        const double between = now_s();
        (void)tools_first(s, TOOLS_HYBRID, r, 10, chosen);
        const double end = now_s();
        embed = between - begun < embed ? between - begun : embed;
        rank = end - between < rank ? end - between : rank;
    }
    (void)printf("\none choice at best: %.2f ms for the vector, %.2f ms to rank %zu tools\n",
                 embed * 1e3, rank * 1e3, s->len);
}

static tools_form form_of(int argc, char **argv)
{
    static const char *const names[] = {[TOOLS_FORM_BARE] = "bare",
                                        [TOOLS_FORM_PARAMS] = "params",
                                        [TOOLS_FORM_SECOND] = "second",
                                        [TOOLS_FORM_TEXT] = "text",
                                        [TOOLS_FORM_LONG] = "long"};
    for (size_t i = 1; argc > 3 && i < PW_COUNT(names); i++) {
        if (strcmp(argv[3], names[i]) == 0) {
            return (tools_form)i;
        }
    }
    return TOOLS_FORM;
}

int main(int argc, char **argv)
{
    pawl_embedder *e = NULL;
    pawl_error err;
    if (argc != 3 && argc != 4) {
        (void)fprintf(stderr, "usage: tools_found FOLDER MODEL [bare|params|second|text|long]\n");
        return 2;
    }
    if (pawl_embed_open(argv[2], NULL, &e, &err) != PAWL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    tools_set *s = tools_read(argv[1], 1);
    tools_score scores[TOOLS_WAYS][TOOLS_GROUPS];
    tools_embed(s, e, form_of(argc, argv));
    for (tools_way way = 0; way < TOOLS_WAYS; way++) {
        tools_measure(s, way, scores[way]);
    }
    (void)printf("%zu tools, %zu requests\n", s->len, s->requests_len);
    for (tools_group g = 0; g < TOOLS_GROUPS; g++) {
        print_group(scores, g);
    }
    print_differences(s);
    print_tokens(s, e);
    print_time(s, e);
    tools_free(s);
    pawl_embed_close(e);
    return 0;
}
