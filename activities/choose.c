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

double pw_choose_worth(size_t rank)
{
    return 1.0 / (PW_CHOOSE_RANK + (double)rank);
}

/* shares: of its worth that a place counts; NULL = all of it. */
static void add_ranks(const pw_choice *list, size_t len, size_t deep, const double *shares,
                      double *sums)
{
    for (size_t i = 0; i < len && i < deep; i++) {
        const size_t at = list[i].index;
        sums[at] += (shares != NULL ? shares[at] : 1) * pw_choose_worth(i + 1);
    }
}

/* hit: a word of a query stands in it, which is enough unless a cosine above 0 is asked for. */
static bool is_far(const pw_choose *c, size_t doc, bool hit)
{
    bool far = c->by != PW_CHOOSE_WORDS && (c->extra == NULL || !(c->extra[doc] > 0)) &&
               (!hit || c->at_least > 0);
    for (size_t q = 0; q < c->queries_len && far; q++) {
        far = !(c->queries[q].cosines[doc] >= c->at_least);
    }
    return far;
}

/* What one query says of each, one list of it or two; and which of them have a word of it. */
static bool join(pawl_scope *scope, const pw_choose *c, const pw_choose_query *q, pw_choice *list,
                 double *sums, bool *hits)
{
    const size_t deep = 4 * c->k > PW_CHOOSE_DEEP ? 4 * c->k : PW_CHOOSE_DEEP;
    double *words =
        c->by != PW_CHOOSE_MEANING ? pw_alloc(scope, (2 * c->len + 1) * sizeof *words) : NULL;
    if (c->by != PW_CHOOSE_MEANING) {
        double *shares = words != NULL ? words + c->len : NULL;
        if (words == NULL || !pw_choose_words(scope, c->docs, c->len, q, words, shares)) {
            return false;
        }
        add_ranks(list, sorted(words, c->len, 0, list), deep,
                  c->by == PW_CHOOSE_HYBRID ? shares : NULL, sums);
        for (size_t i = 0; i < c->len; i++) {
            hits[i] |= words[i] > 0;
        }
    }
    if (c->by != PW_CHOOSE_WORDS) {
        add_ranks(list, sorted(q->cosines, c->len, -2, list), deep, NULL, sums);
    }
    return true;
}

static bool join_all(pawl_scope *scope, const pw_choose *c, pw_choice *list, double *sums,
                     bool *hits)
{
    bool ok = true;
    for (size_t i = 0; i < c->len; i++) {
        sums[i] = c->extra != NULL ? c->extra[i] : 0;
    }
    for (size_t q = 0; q < c->queries_len && ok; q++) {
        ok = join(scope, c, &c->queries[q], list, sums, hits);
    }
    return ok;
}

/* One list: its own numbers are the scores. */
static bool take_one(pawl_scope *scope, const pw_choose *c, double *scores)
{
    if (c->by == PW_CHOOSE_WORDS) {
        return pw_choose_words(scope, c->docs, c->len, c->queries, scores, NULL);
    }
    memcpy(scores, c->queries[0].cosines, c->len * sizeof *scores);
    return true;
}

bool pw_choose_best(pawl_scope *scope, const pw_choose *c, pw_choice *ret_best, size_t *ret_len)
{
    double *scores = pw_alloc(scope, (c->len + 1) * sizeof *scores);
    pw_choice *list = pw_alloc(scope, (c->len + 1) * sizeof *list);
    bool *hits = pw_alloc(scope, (c->len + 1) * sizeof *hits);
    const bool one = c->queries_len == 1 && c->extra == NULL && c->by != PW_CHOOSE_HYBRID;
    if (scores == NULL || list == NULL || hits == NULL) {
        return false;
    }
    memset(hits, 0, c->len * sizeof *hits);
    if (!(one ? take_one(scope, c, scores) : join_all(scope, c, list, scores, hits))) {
        return false;
    }
    const double none = one && c->by == PW_CHOOSE_MEANING ? -2 : 0;
    for (size_t i = 0; i < c->len; i++) {
        scores[i] = is_far(c, i, hits[i]) ? none : scores[i];
    }
    const size_t len = sorted(scores, c->len, none, list);
    *ret_len = len < c->k ? len : c->k;
    memcpy(ret_best, list, *ret_len * sizeof *list);
    return true;
}
