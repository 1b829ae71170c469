/*
 * embedder.c - the public face of a model: opened, asked what it is, and given texts. Tokenises on the caller's thread; does not cache and does not
 * batch across calls.
 */
#include "activities/embed/embedder.h"

#include <unistd.h>

#include "activities/embed/encode_cpu.h"
#include "sdk/base/error.h"
#include "sdk/base/hash.h"
#include "sdk/base/mem.h"

#define THREADS_MAX 64

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
                                m->tokenizer->word_chars_max};
    const pw_wordpiece *t = m->tokenizer;
    uint8_t digest[PW_DIGEST_SIZE] = {0};
    pw_chain_next(digest, digest, numbers, sizeof numbers);
    pw_chain_next(digest, digest, &c->epsilon, sizeof c->epsilon);
    pw_chain_next(digest, digest, m->numbers, m->numbers_len * sizeof *m->numbers);
    pw_chain_next(digest, digest, t->pieces.slots,
                  ((size_t)1 << t->pieces.bits) * sizeof *t->pieces.slots);
    pw_chain_next(digest, digest, t->pieces.bytes.data, t->pieces.bytes.size);
    pw_chain_next(digest, digest, t->specials, t->specials_len * sizeof *t->specials);
    pw_hex(identity, digest, sizeof digest);
}

static pawl_status open_model(pawl_embedder *e, const char *folder, uint32_t tokens_max,
                              pawl_error *err)
{
    pawl_status status = pw_model_open(folder, &e->model, err);
    if (status != PAWL_OK) {
        return status;
    }
    const pw_model_config *c = &e->model->config;
    e->tokens_max = tokens_max > 0 ? tokens_max : c->tokens_max;
    if (e->tokens_max < 2 || e->tokens_max > c->positions) {
        return pw_err(err, PAWL_INVALID, "tokens_max is %u, 2 to %u allowed", e->tokens_max,
                      c->positions);
    }
    return pw_encoder_cpu_open(e->model, NULL, &e->encoder, err);
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
    const pawl_status status = open_model(e, folder, o.tokens_max, err);
    if (status != PAWL_OK) {
        pawl_embed_close(e);
        return pw_error_wrap(err, status, "model %s", folder);
    }
    identify(e, e->identity);
    *ret_embedder = e;
    return PAWL_OK;
}

void pawl_embed_close(pawl_embedder *embedder)
{
    if (embedder != NULL) {
        pw_encoder_cpu_close(embedder->encoder);
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
                                  .kernels = pw_kernels_best()->name};
    memcpy(ret_info->identity, embedder->identity, sizeof ret_info->identity);
}

static void tokenize(const pawl_embedder *e, const pawl_embed_text *texts, pw_ids *to,
                     uint32_t *ids, pawl_embed_count *counts)
{
    pw_encoding encoding;
    const pw_view view = {(const uint8_t *)texts->data, texts->size};
    encoding = pw_wordpiece_encode(e->model->tokenizer, view, e->plain, ids, e->tokens_max);
    *to = (pw_ids){ids, encoding.len};
    if (counts != NULL) {
        *counts = (pawl_embed_count){encoding.len, encoding.total};
    }
}

/* So many texts at a time: what they need of memory has an end, however many there are. */
#define AT_ONCE 1024u

static pawl_status embed_some(const pawl_embedder *e, const pawl_embed_text *texts, size_t len,
                              float *ret_vectors, pawl_embed_count *ret_counts, pawl_error *err)
{
    pw_ids *all = pw_malloc(len * sizeof *all);
    uint32_t *ids = pw_malloc(len * e->tokens_max * sizeof *ids);
    pawl_status status = all != NULL && ids != NULL
                             ? PAWL_OK
                             : pw_err(err, PAWL_NOMEM, "no memory for %zu texts", len);
    for (size_t i = 0, at = 0; i < len && status == PAWL_OK; i++) {
        tokenize(e, &texts[i], &all[i], ids + at, ret_counts != NULL ? &ret_counts[i] : NULL);
        at += all[i].len;
    }
    status = status == PAWL_OK ? pw_encode_cpu(e->encoder, all, len, e->threads, ret_vectors, err)
                               : status;
    pw_free(all);
    pw_free(ids);
    return status;
}

pawl_status pawl_embed_texts(const pawl_embedder *embedder, const pawl_embed_text *texts,
                             size_t len, float *ret_vectors, pawl_embed_count *ret_counts,
                             pawl_error *err)
{
    pawl_status status = PAWL_OK;
    for (size_t at = 0; at < len && status == PAWL_OK; at += AT_ONCE) {
        const size_t some = len - at < AT_ONCE ? len - at : AT_ONCE;
        status =
            embed_some(embedder, texts + at, some, ret_vectors + at * embedder->model->config.width,
                       ret_counts != NULL ? ret_counts + at : NULL, err);
    }
    return status;
}
