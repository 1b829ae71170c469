/*
 * choose.c - lists of scores into one list of the best. Does not make scores (choose_words.c; cosines come from whoever has a model).
 */
#include "activities/choose.h"

#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"

static const char *const names[] = {"words", "meaning", "hybrid"};

bool pw_choose_by_of(const char *name, pw_choose_by *ret_by)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_by = (pw_choose_by)i;
            return true;
        }
    }
    return false;
}

const char *pw_choose_by_name(pw_choose_by by)
{
    return (unsigned)by < sizeof names / sizeof names[0] ? names[by] : "?";
}

static int best_first(const void *a, const void *b)
{
    const pw_choice *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->index > y->index) - (x->index < y->index);
}

/* Those with a score above least, sorted. */
static size_t sorted(const double *scores, size_t len, double least, pw_choice *ret_list)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (scores[i] > least) {
            ret_list[n++] = (pw_choice){i, scores[i]};
        }
    }
    if (n > 0) {
        qsort(ret_list, n, sizeof *ret_list, best_first);
    }
    return n;
}

static void add_ranks(const pw_choice *list, size_t len, size_t deep, double *sums)
{
    for (size_t i = 0; i < len && i < deep; i++) {
        sums[list[i].index] += 1.0 / (PW_CHOOSE_RANK + 1.0 + (double)i);
    }
}

/* What is too far away is not chosen, in whichever list it stands. */
static void drop_far(const pw_choose *c, double *scores, double none)
{
    for (size_t i = 0; i < c->len && c->by != PW_CHOOSE_WORDS; i++) {
        scores[i] = c->cosines[i] >= c->at_least ? scores[i] : none;
    }
}

static void join(const pw_choose *c, const double *words, pw_choice *list, double *sums)
{
    const size_t deep = 4 * c->k > PW_CHOOSE_DEEP ? 4 * c->k : PW_CHOOSE_DEEP;
    memset(sums, 0, c->len * sizeof *sums);
    add_ranks(list, sorted(words, c->len, 0, list), deep, sums);
    add_ranks(list, sorted(c->cosines, c->len, -2, list), deep, sums);
}

bool pw_choose_best(pawl_scope *scope, const pw_choose *c, pw_choice *ret_best, size_t *ret_len)
{
    double *scores = pw_alloc(scope, (c->len + 1) * sizeof *scores);
    double *words = pw_alloc(scope, (c->len + 1) * sizeof *words);
    pw_choice *list = pw_alloc(scope, (c->len + 1) * sizeof *list);
    if (scores == NULL || words == NULL || list == NULL) {
        return false;
    }
    if (c->by != PW_CHOOSE_MEANING && !pw_choose_words(scope, c, words)) {
        return false;
    }
    if (c->by == PW_CHOOSE_HYBRID) {
        join(c, words, list, scores);
    } else {
        memcpy(scores, c->by == PW_CHOOSE_WORDS ? words : c->cosines, c->len * sizeof *scores);
    }
    const double none = c->by == PW_CHOOSE_MEANING ? -2 : 0;
    drop_far(c, scores, none);
    const size_t len = sorted(scores, c->len, none, list);
    *ret_len = len < c->k ? len : c->k;
    memcpy(ret_best, list, *ret_len * sizeof *list);
    return true;
}
