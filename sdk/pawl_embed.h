/*
 * pawl_embed.h - text to vectors and exact search among them: a library of its own (libpawl_embed), so that the core carries no model code.
 *
 *     pawl_embedder *e = NULL;
 *     pawl_embed_open("all-MiniLM-L6-v2", NULL, &e, &err);        // a folder: config.json, model.safetensors, tokenizer.json or vocab.txt
 *     float vectors[2 * 384];
 *     const pawl_embed_text texts[] = {{"eating food", 11}, {"a piece of bread", 16}};
 *     pawl_embed_texts(e, texts, 2, vectors, NULL, &err);
 *
 *     pawl_embed_register(engine, e, &err);                       // the activities "embed" and "nearest", before pawl_resume_all
 *     pawl_call(w, "embed", .input = pawl_json(w, "{texts: [%s, %s]}", "eating food", "a piece of bread"));
 *     pawl_call(w, "nearest", .input = pawl_json(w, "{query: %s, among: [%s, %s], k: 1}", "lunch", "eating food", "a red car"));
 *
 * A model is one of the BERT family (model_type "bert", gelu, absolute positions) with a WordPiece tokenizer, cased or not; its ids are exactly those of the
 * Hugging Face tokenizers. How many tokens of a text count, how its rows become one vector, and what stands before a text and before a query is said by the
 * folder: pawl.json {tokens_max, pooling: "mean" | "cls", normalize, prefix_text, prefix_query}, or sentence_bert_config.json, 1_Pooling/config.json and
 * config_sentence_transformers.json (prompts); else 256, mean, length 1, nothing. Nothing is ever downloaded.
 *
 * Texts that several threads, runs or callers have at the same time are encoded together.
 *
 * The activity "embed" takes
 *
 *     text | texts         a text, or up to 1024 of them
 *     role                 "text" (default), "query" or "raw": which of the model's prefixes stands before it
 *     as                   "half" (default: bytes of 16-bit numbers, little-endian), "float" (of 32-bit numbers) or "numbers" (an array)
 *
 * and gives {vectors: [..], width, tokens: [how many each has], truncated: [which of them, by index], model: the identity below}. The activity "nearest"
 * takes
 *
 *     query                a text (as role "query"), or the bytes of a vector ("half")
 *     among                up to 1024 texts or such bytes
 *     k                    how many at most; default 10
 *     at_least             the least score; default: any
 *
 * and gives {nearest: [{index, score}], model}, best first; equal scores by the lower index. Both are pure; they fail with BadInput, NoMemory.
 *
 * The same text gives the same bits, whatever is encoded beside it, on however many threads, with one kind of processor; kinds of processors agree to
 * 1e-6. A GPU computes with numbers of 16 bits: its vectors differ from the processor's by up to 1e-3 in a number (cosine above 0.99999), and a text's by
 * as little among others. Vectors of different identities must not be compared.
 *
 * Owns: an embedder is who opened it's; vectors go where the caller says.
 * Replay: the functions are the host's; a workflow calls "embed" or "nearest" (pawl_call), and what they gave is in its journal.
 * Thread: any, several at once. Clean as C99 and C++11.
 */
#ifndef PAWL_EMBED_H
#define PAWL_EMBED_H

#include "pawl.h"

struct pawl_choose_vectors;

#ifdef __cplusplus
extern "C" {
#endif

/** A model, opened: its weights, its tokenizer, and the kernels of this processor. */
typedef struct pawl_embedder pawl_embedder;

typedef struct pawl_embed_options {
    size_t struct_size; /**< sizeof(pawl_embed_options) */
    uint32_t threads;   /**< that one call uses; 0 = as many as there are processors, at most 64 */
    uint32_t
        tokens_max; /**< of one text; 0 = what the model says; at most its positions. INVALID */
    bool plain;     /**< "[MASK]" and the like in a text are text: for texts of strangers */
    uint32_t
        batch_tokens; /**< of texts that are encoded at a time, of all callers; 0 = 512 for each thread */
    uint32_t
        batch_wait_us; /**< how long a text waits for others to come, at most, when others came just before; 0 = 1000 */
    /** "off": the processor only; else the path of libpawl_cuda.so. NULL = what the environment variable PAWL_GPU says in the same words, else where the loader
     * looks. Where no device is found, the processor is used. */
    const char *gpu;
} pawl_embed_options;

typedef struct pawl_embed_info {
    uint32_t width;      /**< numbers of a vector */
    uint32_t tokens_max; /**< of one text; the rest is left out, and counted */
    bool normalized;     /**< vectors have length 1 */
    const char *pooling; /**< "mean" or "cls" */
    const char *kernels; /**< the instructions that are used: "avx512", "avx2", "plain" */
    uint32_t
        gpus; /**< devices that are in use; one that failed is not, and its texts went elsewhere */
    char identity
        [65]; /**< of weights, tokenizer, tokens_max, pooling, prompts and plain: what vectors must share to be compared */
} pawl_embed_info;

/** UTF-8; bytes that are none are left out. */
typedef struct pawl_embed_text {
    const char *data;
    size_t size;
} pawl_embed_text;

typedef struct pawl_embed_count {
    uint32_t tokens;     /**< that became the vector, the two at the ends included */
    uint64_t tokens_all; /**< that the whole text has: more than tokens if it was cut */
} pawl_embed_count;

/** What a text is to the model: many want a prefix that says so. */
typedef enum pawl_embed_role {
    PAWL_EMBED_TEXT = 0,  /**< one of those that are found */
    PAWL_EMBED_QUERY = 1, /**< what is looked for */
    PAWL_EMBED_RAW = 2    /**< as it is, whatever the model wants */
} pawl_embed_role;

typedef struct pawl_embed_request {
    size_t struct_size; /**< sizeof(pawl_embed_request) */
    pawl_embed_role role;
    const pawl_embed_text *texts;
    size_t len;
    float *vectors;           /**< width numbers for each text, one after the other */
    pawl_embed_count *counts; /**< one for each; may be NULL */
    /** True: it is no longer wanted. NULL: it always is. Asked now and then on the caller's thread, under a lock: it must not call this library. */
    bool (*stop)(void *user);
    void *user; /**< for stop */
} pawl_embed_request;

/** Opens a model's folder. options NULL = defaults. Owns: the caller, pawl_embed_close. Errors: NOTFOUND, PARSE, UNSUPPORTED (another kind of model
 * or tokenizer), INVALID, LIMIT, NOMEM, IO. */
PAWL_API PAWL_MUST_USE pawl_status pawl_embed_open(const char *folder,
                                                   const pawl_embed_options *options,
                                                   pawl_embedder **ret_embedder, pawl_error *err);
/** Closes it. Accepts NULL; engines it is registered with must be closed before. */
PAWL_API void pawl_embed_close(pawl_embedder *embedder);
/** What it is. */
PAWL_API void pawl_embed_about(const pawl_embedder *embedder, pawl_embed_info *ret_info);
/** The vectors of texts (PAWL_EMBED_TEXT), width numbers each, one after the other; ret_counts (may be NULL) has one for each. Errors: NOMEM,
 * LIMIT (the model makes no finite numbers of a text). */
PAWL_API PAWL_MUST_USE pawl_status pawl_embed_texts(const pawl_embedder *embedder,
                                                    const pawl_embed_text *texts, size_t len,
                                                    float *ret_vectors,
                                                    pawl_embed_count *ret_counts, pawl_error *err);
/** The same, of texts in a role, until it is stopped; vectors then are not to be read. Errors: INVALID, NOMEM, CANCELED,
 * LIMIT. */
PAWL_API PAWL_MUST_USE pawl_status pawl_embed_run(const pawl_embedder *embedder,
                                                  const pawl_embed_request *request,
                                                  pawl_error *err);
/** The same with the registrar of a worker process or a module (pawl_module.h): the embedder must outlive what registers. Errors: EXISTS, NOMEM. */
struct pawl_module_registrar;
PAWL_API PAWL_MUST_USE pawl_status pawl_embed_register_worker(struct pawl_module_registrar *reg,
                                                              pawl_embedder *embedder,
                                                              pawl_error *err);
/** What a chooser makes its vectors with (pawl_choose.h): pawl_chooser_open(&vectors, ..). The embedder must outlive the chooser. */
PAWL_API void pawl_embed_vectors(pawl_embedder *embedder, struct pawl_choose_vectors *ret_vectors);
/** Registers the activities "embed" and "nearest"; the embedder must outlive the engine. Errors: EXISTS, MISUSE, NOMEM. */
PAWL_API PAWL_MUST_USE pawl_status pawl_embed_register(pawl_engine *engine, pawl_embedder *embedder,
                                                       pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
