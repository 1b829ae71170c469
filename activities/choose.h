/*
 * choose.h - which of many described things fit a text best: by words, by meaning, or by both. Pure: the same input gives the same list everywhere.
 *
 *   names, texts, query --BM25--> words --.
 *                                         +--reciprocal ranks--> at least so near? --> the k best, ties by the lowest index
 *   cosines (of whoever has a model) -----'
 *
 * Both: 1 / (60 + place by meaning) + share / (60 + place by words), where share says how much of the query's words stand in it (pw_choose_words). A place in
 * a list of what has one common word in ten counts little so, and a query of which each word is known counts by words as by meaning: measured, embed/README.md.
 *
 * Rights come first, and not here: what may not be chosen is not among what is given.
 */
#ifndef PW_CHOOSE_H
#define PW_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "sdk/pawl_value.h"

#define PW_CHOOSE_RANK \
    60 /* added to each rank: what comes first in one list does not outweigh the other list */
#define PW_CHOOSE_DEEP 100      /* ranks of a list that count; at least 4 k */
#define PW_CHOOSE_WORDS_MAX 64u /* different words of a query; further ones are left out */

typedef enum pw_choose_by { PW_CHOOSE_WORDS, PW_CHOOSE_MEANING, PW_CHOOSE_HYBRID } pw_choose_by;

/** Views, that need not end with a NUL. A name's parts (post_message, postMessage) are words, and count twice; those of more (choose_more.c) a quarter, and
 * it has no vector. */
typedef struct pw_choose_doc {
    const char *name;
    size_t name_size;
    const char *text;
    size_t text_size;
    const char *more;
    size_t more_size;
} pw_choose_doc;

typedef struct pw_choose_query {
    const char *text;
    size_t size;
    const double *cosines; /* of each doc; needed unless by words */
} pw_choose_query;

typedef struct pw_choose {
    const pw_choose_doc *docs;
    size_t len;
    const pw_choose_query *queries; /* each is looked for; their lists are joined */
    size_t queries_len;
    const double *
        extra; /* added to what a doc's ranks are worth, when something else speaks for it; NULL = nothing does */
    pw_choose_by by;
    size_t k;
    double
        at_least; /* of the best cosine; of words alone, and up to 0 also of both, any common word is enough, and what has extra need not be near */
} pw_choose;

typedef struct pw_choice {
    size_t index;
    double score; /* BM25 or cosine if there is one list, else the sum of reciprocal ranks */
} pw_choice;

/** Makes `more` of a doc, in the scope: tags, and of the JSON Schemas of what goes in and comes out the names, titles, descriptions and values of properties,
 * at most 4000 bytes. Each may be nil; without memory there is none. */
void pw_choose_say(pawl_scope *scope, pw_choose_doc *doc, const pawl_value *tags,
                   const pawl_value *input, const pawl_value *output);
/** A whole doc of a workflow, as the operation "tools" gives it; its tags and title are in `publish`. */
void pw_choose_say_workflow(pawl_scope *scope, pw_choose_doc *doc, const pawl_value *workflow);
/** "words", "meaning" or "hybrid". False: none of them. */
bool pw_choose_by_of(const char *name, pw_choose_by *ret_by);
const char *pw_choose_by_name(pw_choose_by by);
/** BM25 (k1 1.2, b 0.75) of each, 0 where no word of the query stands; English endings and words that say nothing do not count. ret_shares (NULL: not
 * wanted): 0 to 1, the root of how much of the query's words stand in it, by inverse document frequency: as vectors of words, the cosine of the query and of
 * what the doc has of it. False: no memory. */
bool pw_choose_words(pawl_scope *scope, const pw_choose_doc *docs, size_t len,
                     const pw_choose_query *query, double *ret_scores, double *ret_shares);
/** What a place in one more list is worth, from 1. */
double pw_choose_worth(size_t rank);
/** Best first, at most k, in ret_best[k]. *ret_len is how many. False: no memory. */
bool pw_choose_best(pawl_scope *scope, const pw_choose *c, pw_choice *ret_best, size_t *ret_len);

/** The words of a text, one by one, as they are compared: lower case, without endings. all: also those that say nothing (choose_stop.def). */
typedef struct pw_word {
    char text[32];
    size_t size;
} pw_word;
bool pw_word_next(const char **text, size_t *size, bool all, pw_word *ret_word);

#endif
