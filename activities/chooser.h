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

/** What is asked; texts of docs are made of name and text, unless a doc has no name. */
typedef struct pw_chooser_ask {
    const pw_choose_doc *docs;
    size_t len;
    const pawl_choose_text *queries;
    size_t queries_len;  /* at most PW_CHOOSER_QUERIES_MAX */
    const double *extra; /* as of pw_choose; may be NULL */
    size_t k;
    double at_least;
    pw_choose_by by; /* without vectors it is by words */
} pw_chooser_ask;

typedef struct pw_chooser_found {
    pw_choice *best; /* [len], in the scope */
    size_t len;
    pw_choose_by by; /* as it was done */
    size_t embedded; /* texts whose vectors had to be made */
} pw_chooser_found;

/** chooser NULL: by words. Errors: NOMEM, and those of who makes vectors. Thread: any. */
pawl_status pw_chooser_best(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                            pw_chooser_found *ret_found, pawl_error *err) PAWL_MUST_USE;
/** Cosine of each doc with each query, [queries_len][len], in the scope. Errors: as above. */
pawl_status pw_chooser_cosines(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                               double **ret_cosines, size_t *ret_embedded,
                               pawl_error *err) PAWL_MUST_USE;
/** NULL: it has none. */
const char *pw_chooser_identity(const pawl_chooser *chooser);

#endif
