/*
 * chooser.h - texts to cosines for choose.h, with a memory of vectors by digest of their text: what did not change is not embedded again.
 *
 *   ring of ids: [oldest ... newest], PW_CHOOSER_KEPT of them      table: digest -> id      vectors[id]
 *
 * The oldest gives its place to the newest. Locked while it is looked at; never while vectors are made.
 */
#ifndef PW_CHOOSER_H
#define PW_CHOOSER_H

#include "activities/choose.h"
#include "sdk/pawl_choose.h"

#define PW_CHOOSER_KEPT 16384u /* vectors: 25 MB at 384 numbers */
#define PW_CHOOSER_QUERIES_MAX 8u
#define PW_CONCEPTS_MAX 1000 /* of a workspace that are looked at */
#define PW_CONCEPT_HITS 5    /* that speak for what they link to */

/** What is asked; texts of docs are made of name and text, unless a doc has no name. */
typedef struct pw_chooser_ask {
    const pw_choose_doc *docs;
    size_t len;
    const pawl_choose_text *queries;
    size_t queries_len;         /* at most PW_CHOOSER_QUERIES_MAX */
    const pawl_value *concepts; /* as the operation memories gives them; NULL = none */
    size_t k;
    double at_least;
    pw_choose_by by; /* without vectors it is by words */
} pw_chooser_ask;

typedef struct pw_chooser_found {
    pw_choice *best; /* [len], in the scope */
    size_t len;
    pw_choose_by by;              /* as it was done */
    size_t embedded;              /* texts whose vectors had to be made */
    size_t hits[PW_CONCEPT_HITS]; /* concepts that are meant, best first */
    size_t hits_len;
} pw_chooser_found;

/** chooser NULL, or without vectors: by words. Errors: NOMEM, and those of who makes vectors. Thread: any. */
pawl_status pw_chooser_best(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                            pw_chooser_found *ret_found, pawl_error *err) PAWL_MUST_USE;
/** Cosine of each doc with each query, [queries_len][len], in the scope. Errors: as above. */
pawl_status pw_chooser_cosines(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                               double **ret_cosines, size_t *ret_embedded,
                               pawl_error *err) PAWL_MUST_USE;
/** Which concepts are hit, and what they add to each doc, [len], in the scope. Errors: as above. */
pawl_status pw_chooser_extra(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                             pw_chooser_found *found, double **ret_extra,
                             pawl_error *err) PAWL_MUST_USE;
/** Does it link to what has that name? */
bool pw_concept_links(const pawl_value *concept, const char *name, size_t size);
/** The space of a workspace's concepts; NULL or "" = that of "default", which all workspaces share. Any bytes: what is no name of a space, or too long
 * for one, has the space of its digest. NULL: no memory. */
const char *pw_concept_space(pawl_scope *scope, const char *workspace);
/** "default" alone: there is nothing else to look at. */
bool pw_concept_shared(const char *workspace);
/** Those of a workspace, then those of "default" that it has no other of the same name of. Either may be nil. */
const pawl_value *pw_concepts_join(pawl_scope *scope, const pawl_value *own,
                                   const pawl_value *shared);
/** What a workspace sees of the journal of the engine that the chooser is registered with: its own and those of "default"; NULL if there are none, or it is
 * with none. */
const pawl_value *pw_chooser_concepts(pawl_chooser *chooser, pawl_scope *scope,
                                      const char *workspace);
/** It looks at the concepts of that engine. */
void pw_chooser_of(pawl_chooser *chooser, pawl_engine *engine);
bool pw_chooser_by_words(const pawl_chooser *chooser);
/** NULL: it has none. */
const char *pw_chooser_identity(const pawl_chooser *chooser);

#endif
