/*
 * tools_rig.h - tools and what people ask for (tests/embed/tools/, or what published_tools.py makes), and how often a ranking finds the tool that is meant.
 */
#ifndef TEST_TOOLS_RIG_H
#define TEST_TOOLS_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "activities/choose.h"
#include "sdk/pawl_embed.h"

#define TOOLS_MAX 400u
#define REQUESTS_MAX 500u
#define MEANT_MAX 4u /* tools of a request, each of which is right */

typedef struct tools_request {
    const char *text;
    size_t meant[MEANT_MAX];
    size_t meant_len;
    bool named; /* one of its words stands in the name of a tool that is meant */
} tools_request;

typedef struct tools_set {
    pawl_scope *scope;
    pw_choose_doc docs[TOOLS_MAX];
    const char *params[TOOLS_MAX];
    size_t len;
    tools_request requests[REQUESTS_MAX];
    size_t requests_len;
    float *
        vectors; /* of the tools, then of the requests, then the tools' second ones; NULL = no model */
    size_t width;
    bool second;
} tools_set;

typedef enum tools_way {
    TOOLS_BM25,
    TOOLS_WORDS,
    TOOLS_MEANING,
    TOOLS_PLAIN, /* both lists, each place in full: what hybrid is better than */
    TOOLS_HYBRID,
    TOOLS_WAYS
} tools_way;
typedef enum tools_group { TOOLS_ALL, TOOLS_NAMED, TOOLS_UNNAMED, TOOLS_GROUPS } tools_group;

#define TOOLS_DEPTHS 5
extern const size_t tools_depths[TOOLS_DEPTHS];

typedef struct tools_score {
    size_t requests;
    double recall
        [TOOLS_DEPTHS]; /* share of requests with a tool that is meant among the first so many */
    double mrr;         /* mean of 1 / its rank; 0 where it is not among the first 20 */
} tools_score;

/** Reads both files of a folder. every > 1: only each n-th request, the tools meant by them, and each n-th tool beside. Ends the program if they are
 * not as they should be. */
tools_set *tools_read(const char *folder, size_t every);
void tools_free(tools_set *s);
/** What is looked at of a tool: "name in words: description" as a vector, and the names of its parameters beside it as words. Others: no such words (BARE); the
 * names in the vector, too (PARAMS), or in a second one that counts a quarter (SECOND); descriptions alone as vectors (TEXT). LONG: as TOOLS_FORM, and before
 * each request stand sixty words that have nothing to do with it, as people write. */
typedef enum tools_form {
    TOOLS_FORM,
    TOOLS_FORM_BARE,
    TOOLS_FORM_PARAMS,
    TOOLS_FORM_SECOND,
    TOOLS_FORM_TEXT,
    TOOLS_FORM_LONG
} tools_form;
/** Vectors of all tools and requests. Ends the program if that fails. */
void tools_embed(tools_set *s, const pawl_embedder *e, tools_form form);
/** The rank of what is meant by each request, one way, from 1; 0: not among the first 20. */
void tools_ranks(const tools_set *s, tools_way way, size_t ret_ranks[REQUESTS_MAX]);
/** How often one way finds it. */
void tools_measure(const tools_set *s, tools_way way, tools_score ret_scores[TOOLS_GROUPS]);
/** The first k tools of a request, one way; gives how many. */
size_t tools_first(const tools_set *s, tools_way way, size_t request, size_t k, size_t *ret_tools);
/** A tool as a model is told of it, in JSON. */
const char *tools_json(const tools_set *s, pawl_scope *scope, size_t tool);
const char *tools_way_name(tools_way way);
const char *tools_group_name(tools_group group);

#endif
