/*
 * chooser_concept.c - concepts: words of a business with links to what serves them. One that is meant speaks for what it links to.
 *
 *   "Customer" -> crm_*, billing       "what does she owe us?" --hits--> Customer (1st) --> crm_get_account, billing: + 1 / (60 + 1) each
 *
 * Concepts are memories of a space ("concepts/WORKSPACE", or "concepts~" and a digest): key, text, data {links: [name or prefix*]}. A workspace sees its own
 * and those of "default", never those of another. Does not read them: whoever asks has.
 */
#include <string.h>

#include "activities/chooser.h"
#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"

#define SHARED "default"
#define NEAR 0.3 /* least cosine: unrelated texts of the usual model are at 0.1 */

/* A workspace that an authorization server gives may be longer than a space's name, or no name at all: its space is that of its digest. No name that is
 * written out begins with "concepts~", so the two are never one. */
const char *pw_concept_space(pawl_scope *scope, const char *workspace)
{
    const char *plain =
        pw_sprintf(scope, "concepts/%s", pw_concept_shared(workspace) ? SHARED : workspace);
    const size_t size = plain != NULL ? strlen(plain) : 0;
    uint8_t digest[PW_DIGEST_SIZE];
    char hex[2 * PW_DIGEST_SIZE + 1];
    if (plain == NULL ||
        (size <= PW_MEMO_NAME_BYTES_MAX && pw_id_check(plain, size, NULL) == PAWL_OK)) {
        return plain;
    }
    pw_sha256(digest, workspace, strlen(workspace));
    pw_hex(hex, digest, sizeof digest);
    return pw_sprintf(scope, "concepts~%s", hex);
}

bool pw_concept_shared(const char *workspace)
{
    return workspace == NULL || *workspace == '\0' || strcmp(workspace, SHARED) == 0;
}

static bool among(const char *const *keys, size_t len, const char *key)
{
    size_t i = 0;
    while (i < len && strcmp(keys[i], key) != 0) {
        i++;
    }
    return i < len;
}

const pawl_value *pw_concepts_join(pawl_scope *scope, const pawl_value *own,
                                   const pawl_value *shared)
{
    const size_t owned = pawl_len(own), most = owned + pawl_len(shared);
    const pawl_value **list = pw_alloc(scope, (most + 1) * sizeof *list);
    const char **keys = pw_alloc(scope, (owned + 1) * sizeof *keys);
    size_t len = 0;
    if (list == NULL || keys == NULL) {
        return own;
    }
    for (; len < owned; len++) {
        list[len] = pawl_at(own, len);
        keys[len] = pawl_str(list[len], "key", "");
    }
    for (size_t i = 0; i < pawl_len(shared); i++) {
        const pawl_value *c = pawl_at(shared, i);
        if (!among(keys, owned, pawl_str(c, "key", ""))) {
            list[len++] = c;
        }
    }
    return pawl_make_array(scope, list, len);
}

bool pw_concept_links(const pawl_value *concept, const char *name, size_t size)
{
    const pawl_value *links = pawl_get(concept, "data.links");
    for (size_t i = 0; i < pawl_len(links); i++) {
        const char *link = pawl_str(pawl_at(links, i), "", "");
        const size_t len = strlen(link);
        const bool prefix = len > 0 && link[len - 1] == '*';
        if (prefix ? size >= len - 1 && memcmp(link, name, len - 1) == 0
                   : size == len && memcmp(link, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void speak_for(const pawl_value *concept, size_t rank, const pw_chooser_ask *ask,
                      double *extra)
{
    const double worth = pw_choose_worth(rank);
    for (size_t i = 0; i < ask->len; i++) {
        const pw_choose_doc *d = &ask->docs[i];
        if (extra[i] < worth && pw_concept_links(concept, d->name, d->name_size)) {
            extra[i] = worth;
        }
    }
}

pawl_status pw_chooser_extra(pawl_chooser *chooser, pawl_scope *scope, const pw_chooser_ask *ask,
                             pw_chooser_found *hit, double **ret_extra, pawl_error *err)
{
    const size_t len = pawl_len(ask->concepts);
    pw_choose_doc *docs = pw_alloc(scope, (len + 1) * sizeof *docs);
    double *extra = pw_alloc(scope, (ask->len + 1) * sizeof *extra);
    pw_chooser_ask about = *ask;
    pw_chooser_found found;
    if (docs == NULL || extra == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu concepts", len);
    }
    for (size_t i = 0; i < len; i++) {
        const pawl_value *c = pawl_at(ask->concepts, i);
        const char *name = pawl_str(c, "key", ""), *text = pawl_str(c, "text", "");
        docs[i] = (pw_choose_doc){name, strlen(name), text, strlen(text), "", 0};
    }
    memset(extra, 0, ask->len * sizeof *extra);
    about.docs = docs;
    about.len = len;
    about.concepts = NULL;
    about.k = PW_CONCEPT_HITS;
    about.at_least = NEAR;
    const pawl_status status = pw_chooser_best(chooser, scope, &about, &found, err);
    for (size_t i = 0; status == PAWL_OK && i < found.len; i++) {
        hit->hits[hit->hits_len++] = found.best[i].index;
        speak_for(pawl_at(ask->concepts, found.best[i].index), i + 1, ask, extra);
    }
    *ret_extra = extra;
    return status;
}
