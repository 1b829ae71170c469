/*
 * embedder.c - the public face of a model: opened, asked what it is, and given texts. Tokenises on the caller's thread, encodes in batches with what
 * other threads ask at the time (batch.h), on the devices or the processor (encoders.h). Does not cache.
 */
#include "activities/embed/embedder.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"

#define THREADS_MAX 64
#define BATCH_TOKENS_OF_THREAD 512u
#define BATCH_WAIT_US 1000

static pawl_embed_options options_take(const pawl_embed_options *given)
{
    pawl_embed_options o;
    memset(&o, 0, sizeof o);
    if (given != NULL) {
        const size_t size = given->struct_size == 0 || given->struct_size > sizeof o
                                ? sizeof o
                                : given->struct_size;
        memcpy(&o, given, size);
    }
    return o;
}

static unsigned threads_of(uint32_t asked)
{
    const long there = sysconf(_SC_NPROCESSORS_ONLN);
    const long wanted = asked > 0 ? (long)asked : there > 0 ? there : 1;
    return (unsigned)(wanted < THREADS_MAX ? wanted : THREADS_MAX);
}

static uint32_t switches_of(const pw_normal *n)
{
    return (n->clean ? 1u : 0) | (n->chinese ? 2u : 0) | (n->strip ? 4u : 0) | (n->lower ? 8u : 0);
}

/* Everything that a vector depends on, in a fixed order; the chain hash is BLAKE2b-256. */
static void identify(const pawl_embedder *e, char identity[2 * PW_DIGEST_SIZE + 1])
{
    const pw_model *m = e->model;
    const pw_model_config *c = &m->config;
    const uint32_t numbers[] = {1,
                                c->layers,
                                c->width,
                                c->heads,
                                c->inner,
                                c->vocabulary,
                                c->positions,
                                c->types,
                                e->tokens_max,
                                (uint32_t)c->pooling,
                                c->normalize ? 1 : 0,
                                e->plain ? 1 : 0,
                                m->tokenizer->word_chars_max,
                                switches_of(&m->tokenizer->normal)};
    const pw_wordpiece *t = m->tokenizer;
    uint8_t digest[PW_DIGEST_SIZE] = {0};
    pw_chain_next(digest, digest, numbers, sizeof numbers);
    pw_chain_next(digest, digest, &c->epsilon, sizeof c->epsilon);
    pw_chain_next(digest, digest, m->numbers, m->numbers_len * sizeof *m->numbers);
    pw_chain_next(digest, digest, t->pieces.slots,
                  ((size_t)1 << t->pieces.bits) * sizeof *t->pieces.slots);
    pw_chain_next(digest, digest, t->pieces.bytes.data, t->pieces.bytes.size);
    pw_chain_next(digest, digest, t->specials, t->specials_len * sizeof *t->specials);
    pw_chain_next(digest, digest, c->text.data, c->text.size);
    pw_chain_next(digest, digest, c->query.data, c->query.size);
    if (!t->usual_ends) { /* others change no identity that is stored already */
        pw_chain_next(digest, digest, (const uint32_t[]){t->cls, t->sep, t->unk},
                      3 * sizeof(uint32_t));
    }
    pw_hex(identity, digest, sizeof digest);
}

static pawl_status encode_batch(void *user, const pw_ids *texts, size_t len, float *ret_vectors,
                                pawl_error *err)
{
    const pawl_embedder *e = user;
    return pw_encoders_encode(e->encoders, texts, len, e->threads, ret_vectors, err);
}

/* Enough for each thread, or each device, to have work. */
static pawl_status open_batcher(pawl_embedder *e, const pawl_embed_options *o, pawl_error *err)
{
    const size_t gpus = pw_encoders_devices(e->encoders);
    const size_t usual =
        gpus > 0 ? gpus * PW_PASS_TOKENS : (size_t)e->threads * BATCH_TOKENS_OF_THREAD;
    const pw_batch_options options = {
        .tokens = o->batch_tokens > 0 ? o->batch_tokens : usual,
        .longest = e->tokens_max,
        .width = e->model->config.width,
        .wait_us = o->batch_wait_us > 0 ? o->batch_wait_us : BATCH_WAIT_US,
        .encode = encode_batch,
        .user = e,
    };
    return pw_batcher_open(&options, &e->batcher, err);
}

/* gpu: as of the options; what they leave open the environment may say. */
static pawl_status open_encoders(pawl_embedder *e, const char *gpu, pawl_error *err)
{
    const char *said = gpu != NULL ? gpu : getenv("PAWL_GPU");
    const bool off = said != NULL && strcmp(said, "off") == 0;
    const pw_encoders_options options = {
        .processor_only = off,
        .library = off || said == NULL || said[0] == '\0' ? NULL : said,
    };
    return pw_encoders_open(e->model, &options, &e->encoders, err);
}

static pawl_status open_model(pawl_embedder *e, const char *folder, const pawl_embed_options *o,
                              pawl_error *err)
{
    pawl_status status = pw_model_open(folder, &e->model, err);
    if (status != PAWL_OK) {
        return status;
    }
    const pw_model_config *c = &e->model->config;
    e->tokens_max = o->tokens_max > 0 ? o->tokens_max : c->tokens_max;
    if (e->tokens_max < 2 || e->tokens_max > c->positions) {
        return pw_err(err, PAWL_INVALID, "tokens_max is %u, 2 to %u allowed", e->tokens_max,
                      c->positions);
    }
    return open_encoders(e, o->gpu, err);
}

pawl_status pawl_embed_open(const char *folder, const pawl_embed_options *options,
                            pawl_embedder **ret_embedder, pawl_error *err)
{
    const pawl_embed_options o = options_take(options);
    pawl_embedder *e = pw_calloc(1, sizeof *e);
    if (e == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for a model");
    }
    e->threads = threads_of(o.threads);
    e->plain = o.plain;
    pawl_status status = open_model(e, folder, &o, err);
    status = status == PAWL_OK ? open_batcher(e, &o, err) : status;
    if (status != PAWL_OK) {
        pawl_embed_close(e);
        return pw_error_wrap(err, status, "model %s", folder);
    }
    identify(e, e->identity);
    pw_model_trim(e->model); /* every encoder has packed or loaded its own */
    *ret_embedder = e;
    return PAWL_OK;
}

void pawl_embed_close(pawl_embedder *embedder)
{
    if (embedder != NULL) {
        pw_batcher_close(embedder->batcher);
        pw_encoders_close(embedder->encoders);
        pw_model_close(embedder->model);
        pw_free(embedder);
    }
}

void pawl_embed_about(const pawl_embedder *embedder, pawl_embed_info *ret_info)
{
    const pw_model_config *c = &embedder->model->config;
    *ret_info = (pawl_embed_info){.width = c->width,
                                  .tokens_max = embedder->tokens_max,
                                  .normalized = c->normalize,
                                  .pooling = c->pooling == PW_POOL_MEAN ? "mean" : "cls",
                                  .kernels = pw_kernels_best()->name,
                                  .gpus = pw_encoders_devices(embedder->encoders)};
    memcpy(ret_info->identity, embedder->identity, sizeof ret_info->identity);
}

static pw_view prefix_of(const pawl_embedder *e, pawl_embed_role role)
{
    const pw_model_config *c = &e->model->config;
    const pw_prefix *p = role == PAWL_EMBED_QUERY ? &c->query : &c->text;
    return role == PAWL_EMBED_RAW ? (pw_view){NULL, 0}
                                  : (pw_view){(const uint8_t *)p->data, p->size};
}

static pw_encoding tokenize(const pawl_embedder *e, pw_view prefix, const pawl_embed_text *text,
                            uint32_t *ids)
{
    const pw_view view = {(const uint8_t *)text->data, text->size};
    return pw_wordpiece_encode_after(e->model->tokenizer, prefix, view, e->plain, ids,
                                     e->tokens_max);
}

/* So many texts at a time: what they need of memory has an end, however many there are. */
#define AT_ONCE 1024u

/* Texts of a request, first to first + len - 1, with their ids. */
typedef struct portion {
    const pawl_embedder *e;
    const pawl_embed_request *r;
    size_t first, len, tokens;
    pw_ids *all;
    uint32_t *ids;
} portion;

static portion portion_at(const pawl_embedder *e, const pawl_embed_request *r, size_t first)
{
    const size_t left = r->len - first;
    return (portion){.e = e, .r = r, .first = first, .len = left < AT_ONCE ? left : AT_ONCE};
}

/* Without memory it stays as it was. */
static void *portion_tokenize(void *arg)
{
    portion *p = arg;
    const pawl_embed_request *r = p->r;
    const pw_view prefix = prefix_of(p->e, r->role);
    p->all = pw_malloc(p->len * sizeof *p->all);
    p->ids = pw_malloc(p->len * p->e->tokens_max * sizeof *p->ids);
    for (size_t i = 0; i < p->len && p->all != NULL && p->ids != NULL; i++) {
        const pw_encoding n = tokenize(p->e, prefix, &r->texts[p->first + i], p->ids + p->tokens);
        p->all[i] = (pw_ids){p->ids + p->tokens, n.len};
        p->tokens += n.len;
        if (r->counts != NULL) {
            r->counts[p->first + i] = (pawl_embed_count){n.len, n.total};
        }
    }
    return NULL;
}

/* Weights are numbers, but sums of large ones may be none: such a vector would be found by nothing, or everywhere. */
static pawl_status portion_check(const portion *p, pawl_error *err)
{
    const size_t width = p->e->model->config.width;
    const float *v = p->r->vectors + p->first * width;
    for (size_t i = 0; i < p->len; i++, v += width) {
        float sum = 0;
        for (size_t k = 0; k < width; k++) {
            sum += v[k] - v[k]; /* 0, or no number */
        }
        if (!(sum == 0)) {
            return pw_err(err, PAWL_LIMIT,
                          "text %zu has no vector: the model's numbers become too large on the way",
                          p->first + i);
        }
    }
    return PAWL_OK;
}

/* What fills a device by itself need not wait for others. */
static pawl_status portion_encode(const portion *p, pawl_error *err)
{
    const pawl_embed_request *r = p->r;
    float *vectors = r->vectors + p->first * p->e->model->config.width;
    if (p->all == NULL || p->ids == NULL) {
        return pw_err(err, PAWL_NOMEM, "no memory for %zu texts", p->len);
    }
    if (p->tokens >= PW_PASS_TOKENS && pw_encoders_devices(p->e->encoders) > 0) {
        return r->stop != NULL && r->stop(r->user)
                   ? pw_err(err, PAWL_CANCELED, "the call is cancelled")
                   : pw_encoders_encode(p->e->encoders, p->all, p->len, p->e->threads, vectors,
                                        err);
    }
    const pw_batch_call call = {
        .texts = p->all, .len = p->len, .vectors = vectors, .stop = r->stop, .user = r->user};
    return pw_batcher_run(p->e->batcher, &call, err);
}

static void portion_deinit(portion *p)
{
    pw_free(p->all);
    pw_free(p->ids);
}

/* Encodes one portion; where devices do that, the next is tokenised meanwhile. */
static pawl_status step(const portion *now, portion *next, pawl_error *err)
{
    pthread_t thread = 0;
    const bool ahead = next->len > 0 && pw_encoders_devices(now->e->encoders) > 0 &&
                       pthread_create(&thread, NULL, portion_tokenize, next) == 0;
    pawl_status status = portion_encode(now, err);
    status = status == PAWL_OK ? portion_check(now, err) : status;
    if (ahead) {
        (void)pthread_join(thread, NULL);
    } else if (next->len > 0 && status == PAWL_OK) {
        (void)portion_tokenize(next);
    }
    return status;
}

pawl_status pawl_embed_run(const pawl_embedder *embedder, const pawl_embed_request *request,
                           pawl_error *err)
{
    pawl_status status = PAWL_OK;
    if (request->struct_size != sizeof *request || (unsigned)request->role > PAWL_EMBED_RAW) {
        return pw_err(err, PAWL_INVALID, "a request of another size, or of no known role");
    }
    portion now = portion_at(embedder, request, 0);
    if (now.len > 0) {
        (void)portion_tokenize(&now);
    }
    while (now.len > 0 && status == PAWL_OK) {
        portion next = portion_at(embedder, request, now.first + now.len);
        status = step(&now, &next, err);
        portion_deinit(&now);
        now = next;
    }
    portion_deinit(&now);
    return status;
}

pawl_status pawl_embed_texts(const pawl_embedder *embedder, const pawl_embed_text *texts,
                             size_t len, float *ret_vectors, pawl_embed_count *ret_counts,
                             pawl_error *err)
{
    const pawl_embed_request r = {.struct_size = sizeof r,
                                  .role = PAWL_EMBED_TEXT,
                                  .texts = texts,
                                  .len = len,
                                  .vectors = ret_vectors,
                                  .counts = ret_counts};
    return pawl_embed_run(embedder, &r, err);
}
