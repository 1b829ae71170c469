/*
 * chooser.c - vectors remembered, and cosines out of them. Does not rank (choose.c) and does not make vectors: who opened it says how.
 */
#include "activities/chooser.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"

#define SLOTS (4u * PW_CHOOSER_KEPT) /* of the table: a power of two, a quarter full */
#define FREE UINT32_MAX
#define AT_ONCE 64u /* texts of one call for vectors */

typedef struct digest {
    uint8_t bytes[PW_DIGEST_SIZE];
} digest;

struct pawl_chooser {
    pawl_choose_vectors from;
    char identity[101];
    pawl_engine *engine; /* whose concepts it looks at; NULL until it is registered */
    pthread_mutex_t lock;
    uint32_t *slots; /* [SLOTS] ids, FREE = none; a run of slots ends at a free one */
    digest *digests; /* [PW_CHOOSER_KEPT] by id */
    float *vectors;  /* [PW_CHOOSER_KEPT][width] by id */
    uint32_t len, next;
};

static bool room_make(pawl_chooser *c)
{
    c->slots = pw_malloc(SLOTS * sizeof *c->slots);
    c->digests = pw_malloc(PW_CHOOSER_KEPT * sizeof *c->digests);
    c->vectors = pw_malloc((size_t)PW_CHOOSER_KEPT * c->from.width * sizeof *c->vectors);
    if (c->slots != NULL) {
        memset(c->slots, 0xff, SLOTS * sizeof *c->slots);
    }
    return c->slots != NULL && c->digests != NULL && c->vectors != NULL;
}

pawl_status pawl_chooser_open(const pawl_choose_vectors *vectors, pawl_chooser **ret_chooser,
                              pawl_error *err)
{
    if (vectors != NULL &&
        (vectors->struct_size < sizeof *vectors || vectors->embed == NULL || vectors->width < 1 ||
         vectors->width > 4096 || (vectors->identity != NULL && strlen(vectors->identity) > 100))) {
        return pw_err(
            err, PAWL_INVALID,
            "a chooser needs embed, a width of 1 to 4096, and an identity of at most 100 bytes");
    }
    pawl_chooser *c = pw_calloc(1, sizeof *c);
    if (c == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a chooser");
    }
    (void)pthread_mutex_init(&c->lock, NULL);
    if (vectors != NULL) {
        c->from = *vectors;
        (void)snprintf(c->identity, sizeof c->identity, "%s",
                       vectors->identity != NULL ? vectors->identity : "");
    }
    if (vectors != NULL && !room_make(c)) {
        pawl_chooser_close(c);
        return pw_err(err, PAWL_NOMEM, "no memory for the vectors of a chooser");
    }
    *ret_chooser = c;
    return PAWL_OK;
}

void pawl_chooser_close(pawl_chooser *c)
{
    if (c != NULL) {
        (void)pthread_mutex_destroy(&c->lock);
        pw_free(c->slots);
        pw_free(c->digests);
        pw_free(c->vectors);
        pw_free(c);
    }
}

const char *pw_chooser_identity(const pawl_chooser *c)
{
    return c != NULL && c->identity[0] != '\0' ? c->identity : NULL;
}

/* ---- the memory ---- */

static uint32_t home(const digest *d)
{
    uint32_t h = 0;
    memcpy(&h, d->bytes, sizeof h);
    return h & (SLOTS - 1);
}

static uint32_t slot_of(const pawl_chooser *c, const digest *d)
{
    uint32_t i = home(d);
    while (c->slots[i] != FREE && memcmp(&c->digests[c->slots[i]], d, sizeof *d) != 0) {
        i = (i + 1) & (SLOTS - 1);
    }
    return i;
}

/* Linear probing without tombstones: what follows in the run is moved up. */
static void slot_free(pawl_chooser *c, uint32_t i)
{
    c->slots[i] = FREE;
    for (uint32_t k = (i + 1) & (SLOTS - 1); c->slots[k] != FREE; k = (k + 1) & (SLOTS - 1)) {
        const uint32_t id = c->slots[k];
        c->slots[k] = FREE;
        c->slots[slot_of(c, &c->digests[id])] = id;
    }
}

static void keep(pawl_chooser *c, const digest *d, const float *vector)
{
    uint32_t slot = slot_of(c, d);
    if (c->slots[slot] != FREE) {
        return; /* another thread was first */
    }
    const uint32_t id = c->next;
    if (c->len == PW_CHOOSER_KEPT) {
        slot_free(c, slot_of(c, &c->digests[id]));
        slot = slot_of(c, d);
    }
    c->len += c->len < PW_CHOOSER_KEPT;
    c->next = (c->next + 1) % PW_CHOOSER_KEPT;
    c->digests[id] = *d;
    c->slots[slot] = id;
    memcpy(c->vectors + (size_t)id * c->from.width, vector, c->from.width * sizeof *vector);
}

/* ---- vectors of texts ---- */

typedef struct wanted {
    pawl_choose_text *texts; /* [len] */
    digest *digests;         /* [len] */
    float *vectors;          /* [len][width] */
    size_t *missing;         /* [missing_len] indices */
    size_t len, docs_len, missing_len;
} wanted;

/* "post message: Writes into a channel" */
static pawl_choose_text text_of(pawl_scope *scope, const pw_choose_doc *d)
{
    if (d->name_size == 0) {
        return (pawl_choose_text){d->text, d->text_size};
    }
    char *text =
        pw_sprintf(scope, "%.*s: %.*s", (int)d->name_size, d->name, (int)d->text_size, d->text);
    for (size_t i = 0; text != NULL && i < d->name_size; i++) {
        text[i] = text[i] == '_' ? ' ' : text[i];
    }
    return (pawl_choose_text){text, text != NULL ? strlen(text) : 0};
}

static bool wanted_make(const pawl_chooser *c, pawl_scope *scope, const pw_chooser_ask *ask,
                        wanted *w)
{
    static const uint8_t roles[2][PW_DIGEST_SIZE] = {{0},
                                                     {1}}; /* the same text is another as a query */
    w->docs_len = ask->len;
    w->len = ask->len + ask->queries_len;
    w->texts = pw_alloc(scope, (w->len + 1) * sizeof *w->texts);
    w->digests = pw_alloc(scope, (w->len + 1) * sizeof *w->digests);
    w->missing = pw_alloc(scope, (w->len + 1) * sizeof *w->missing);
    w->vectors = pw_alloc(scope, (w->len + 1) * c->from.width * sizeof *w->vectors);
    if (w->texts == NULL || w->digests == NULL || w->missing == NULL || w->vectors == NULL) {
        return false;
    }
    for (size_t i = 0; i < w->len; i++) {
        w->texts[i] = i < ask->len ? text_of(scope, &ask->docs[i]) : ask->queries[i - ask->len];
        pw_chain_next(w->digests[i].bytes, roles[i >= ask->len], w->texts[i].data,
                      w->texts[i].size);
    }
    return !pw_scope_failed(scope);
}

static void recall(pawl_chooser *c, wanted *w)
{
    const size_t width = c->from.width;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < w->len; i++) {
        const uint32_t id = c->slots[slot_of(c, &w->digests[i])];
        if (id == FREE) {
            w->missing[w->missing_len++] = i;
        } else {
            memcpy(w->vectors + i * width, c->vectors + (size_t)id * width, width * sizeof(float));
        }
    }
    pthread_mutex_unlock(&c->lock);
}

/* How many of the missing, from at on, can be made in one call: queries and others are made apart. */
static size_t together(const wanted *w, size_t at)
{
    const bool queries = w->missing[at] >= w->docs_len;
    size_t len = 0;
    while (len < AT_ONCE && at + len < w->missing_len &&
           (w->missing[at + len] >= w->docs_len) == queries) {
        len++;
    }
    return len;
}

#define KEY_SIZE 33u

static const char *key_of(pawl_scope *scope, const digest *d)
{
    char *key = pw_alloc(scope, KEY_SIZE);
    if (key != NULL) {
        pw_hex(key, d->bytes, (KEY_SIZE - 1) / 2);
    }
    return key;
}

/* What the store has of the missing docs is missing no more. */
static void recall_stored(pawl_chooser *c, pawl_scope *scope, wanted *w)
{
    const size_t width = c->from.width;
    const char **keys = pw_alloc(scope, (w->missing_len + 1) * sizeof *keys);
    bool *known = pw_alloc(scope, (w->missing_len + 1) * sizeof *known);
    float *vectors = pw_alloc(scope, (w->missing_len + 1) * width * sizeof *vectors);
    size_t docs = 0, still = 0;
    while (docs < w->missing_len && w->missing[docs] < w->docs_len && keys != NULL) {
        keys[docs] = key_of(scope, &w->digests[w->missing[docs]]);
        docs++;
    }
    if (docs == 0 || known == NULL || vectors == NULL || pw_scope_failed(scope)) {
        return;
    }
    memset(known, 0, docs * sizeof *known);
    c->from.recall(c->from.store, keys, docs, vectors, known);
    (void)pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < w->missing_len; i++) {
        const size_t to = w->missing[i];
        if (i < docs && known[i]) {
            memcpy(w->vectors + to * width, vectors + i * width, width * sizeof *vectors);
            keep(c, &w->digests[to], vectors + i * width);
        } else {
            w->missing[still++] = to;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    w->missing_len = still;
}

static void store(pawl_chooser *c, pawl_scope *scope, const wanted *w, size_t at, size_t len,
                  const float *made)
{
    const char *keys[AT_ONCE];
    pawl_choose_text texts[AT_ONCE];
    for (size_t i = 0; i < len; i++) {
        keys[i] = key_of(scope, &w->digests[w->missing[at + i]]);
        texts[i] = w->texts[w->missing[at + i]];
    }
    if (!pw_scope_failed(scope)) {
        c->from.keep(c->from.store, keys, texts, made, len);
    }
}

static pawl_status make(pawl_chooser *c, pawl_scope *scope, wanted *w, pawl_error *err)
{
    const size_t width = c->from.width;
    float *made = pw_alloc(scope, AT_ONCE * width * sizeof *made);
    pawl_choose_text texts[AT_ONCE];
    pawl_status status = made != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "no memory for vectors");
    for (size_t at = 0, len; at < w->missing_len && status == PAWL_OK; at += len) {
        len = together(w, at);
        for (size_t i = 0; i < len; i++) {
            texts[i] = w->texts[w->missing[at + i]];
        }
        status = c->from.embed(c->from.user, w->missing[at] >= w->docs_len, texts, len, made, err);
        pthread_mutex_lock(&c->lock);
        for (size_t i = 0; i < len && status == PAWL_OK; i++) {
            const size_t to = w->missing[at + i];
            memcpy(w->vectors + to * width, made + i * width, width * sizeof *made);
            keep(c, &w->digests[to], made + i * width);
        }
        pthread_mutex_unlock(&c->lock);
        if (status == PAWL_OK && c->from.keep != NULL && w->missing[at] < w->docs_len) {
            store(c, scope, w, at, len, made);
        }
    }
    return status;
}

static double product(const float *a, const float *b, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

pawl_status pw_chooser_cosines(pawl_chooser *c, pawl_scope *scope, const pw_chooser_ask *ask,
                               double **ret_cosines, size_t *ret_embedded, pawl_error *err)
{
    wanted w = {.len = 0};
    const size_t width = c->from.width;
    double *cosines = pw_alloc(scope, (ask->len * ask->queries_len + 1) * sizeof *cosines);
    if (cosines == NULL || !wanted_make(c, scope, ask, &w)) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", ask->len);
    }
    recall(c, &w);
    if (w.missing_len > 0 && c->from.recall != NULL) {
        recall_stored(c, scope, &w);
    }
    const pawl_status status = w.missing_len > 0 ? make(c, scope, &w, err) : PAWL_OK;
    for (size_t q = 0; q < ask->queries_len && status == PAWL_OK; q++) {
        for (size_t i = 0; i < ask->len; i++) {
            cosines[q * ask->len + i] =
                product(w.vectors + i * width, w.vectors + (ask->len + q) * width, width);
        }
    }
    *ret_cosines = cosines;
    *ret_embedded = w.missing_len;
    return status;
}

/* ---- concepts of the engine ---- */

static const pawl_value *concepts_of(pawl_chooser *c, pawl_scope *scope, const char *workspace)
{
    const pawl_value *list = NULL;
    pawl_error err;
    const pawl_value *args = pawl_build(scope, "{space: %s, limit: %d}",
                                        pw_concept_space(scope, workspace), (int)PW_CONCEPTS_MAX);
    return pawl_request(c->engine, "memories", args, 5000, scope, &list, &err) == PAWL_OK ? list
                                                                                          : NULL;
}

const pawl_value *pw_chooser_concepts(pawl_chooser *c, pawl_scope *scope, const char *workspace)
{
    if (c == NULL || c->engine == NULL) {
        return NULL;
    }
    const pawl_value *shared = concepts_of(c, scope, NULL);
    return pw_concept_shared(workspace)
               ? shared
               : pw_concepts_join(scope, concepts_of(c, scope, workspace), shared);
}

void pw_chooser_of(pawl_chooser *c, pawl_engine *engine)
{
    c->engine = engine;
}

/* ---- the best ---- */

bool pw_chooser_by_words(const pawl_chooser *c)
{
    return c == NULL || c->from.embed == NULL;
}

pawl_status pw_chooser_best(pawl_chooser *c, pawl_scope *scope, const pw_chooser_ask *ask,
                            pw_chooser_found *ret_found, pawl_error *err)
{
    pw_choose_query queries[PW_CHOOSER_QUERIES_MAX];
    double *cosines = NULL, *extra = NULL;
    pawl_status status = PAWL_OK;
    *ret_found = (pw_chooser_found){.by = pw_chooser_by_words(c) ? PW_CHOOSE_WORDS : ask->by};
    if (ret_found->by != PW_CHOOSE_WORDS) {
        status = pw_chooser_cosines(c, scope, ask, &cosines, &ret_found->embedded, err);
    }
    if (status == PAWL_OK && pawl_len(ask->concepts) > 0) {
        status = pw_chooser_extra(c, scope, ask, ret_found, &extra, err);
    }
    for (size_t q = 0; q < ask->queries_len; q++) {
        queries[q] = (pw_choose_query){ask->queries[q].data, ask->queries[q].size,
                                       cosines != NULL ? cosines + q * ask->len : NULL};
    }
    const pw_choose choose = {.docs = ask->docs,
                              .len = ask->len,
                              .queries = queries,
                              .queries_len = ask->queries_len,
                              .extra = extra,
                              .by = ret_found->by,
                              .k = ask->k,
                              .at_least = ask->at_least};
    ret_found->best = pw_alloc(scope, (ask->k + 1) * sizeof *ret_found->best);
    if (status == PAWL_OK && (ret_found->best == NULL ||
                              !pw_choose_best(scope, &choose, ret_found->best, &ret_found->len))) {
        status = pw_err(err, PAWL_NOMEM, "no memory to rank %zu texts", ask->len);
    }
    return status;
}
