/*
 * pawl_choose.h - the activity "choose": which of many described things fit a text best. It is how an agent (pawl_agent.h, `choose`) picks its tools.
 *
 *     pawl_choose_register(engine, NULL, &err);             // by words; pawl_agent_register does so if nobody did before
 *
 *     pawl_chooser *chooser = NULL;                         // by meaning, too: vectors come from pawl_embed_vectors (pawl_embed.h), or from the host
 *     pawl_chooser_open(&vectors, &chooser, &err);
 *     pawl_choose_register(engine, chooser, &err);          // before pawl_agent_register and pawl_resume_all
 *
 *     pawl_call(w, "choose", .input = pawl_json(w, "{query: %s, tools: [{name: 'mail', description: 'Sends an email'}], k: 5}", "write to Tom"));
 *
 * It takes
 *
 *     query | queries      a text, or up to 8 of them, each looked for; their lists are joined
 *     tools                up to 10,000 of {name, description, tags: [text ..], schema | inputSchema, outputSchema}, or a reference to a conversation that
 *                          they are in (pawl_convo_append). Whoever may not use one must not give it
 *     always               names that are in any case among the chosen, beside the k
 *     k                    how many at most; default 10
 *     at_least             the least cosine (-1 to 1), unless it is by words alone; default 0: any that is not opposite, or has a word in common
 *     by                   "hybrid" (default with vectors), "meaning", "words"
 *     workspace            whose concepts count, beside those of "default", which are everybody's; default: those alone (with a chooser)
 *
 * and gives {chosen: [names: always first, then best first], scores: [of the chosen after `always`], by: as it was done, model: identity of the
 * vectors, if any; why: no vectors could be made}. Without vectors it is by words, whatever was asked
 * for. It is pure, and fails with BadInput, NoMemory.
 *
 * Concepts are words of a business with links to what serves them (`pawl concept`): memories (pawl_memory_put) of the space "concepts/WORKSPACE" (of a
 * workspace of more than 91 bytes, or of other signs than a space's name has, "concepts~" and its SHA-256 in small hex digits), with data
 * {links: [a name, or a prefix and *]}. Up to five that fit the texts (cosine 0.3 at least, or a common word) each speak for what they link to, as a further
 * list in which those stand at the concept's rank; such a tool need not be near itself.
 *
 * By words: BM25 over names (their parts are words, and count twice), descriptions, and, a quarter each, tags and what schemas say of parameters:
 * names, titles, descriptions, values (enum, const), up to 4000 bytes. English endings are cut. By meaning: the scalar product of vectors of
 * "name in words: description". Hybrid: 1 / (60 + rank) by meaning, and by words the same, times how much of the text's words the tool has
 * (the root of their share by inverse document frequency, 0 to 1). Equal scores: the first given first. Vectors are remembered by a digest of their
 * text, the last 16,384 of them: what did not change is not embedded again, and with the same query nothing is.
 *
 * Owns: a chooser is who opened it's; what it was opened with is copied, `user` and `store` excepted.
 * Replay: the functions are the host's; a workflow calls "choose" (pawl_call), and what was chosen is in its journal.
 * Thread: any. Clean as C99 and C++11.
 */
#ifndef PAWL_CHOOSE_H
#define PAWL_CHOOSE_H

#include "pawl.h"

#ifdef __cplusplus
extern "C" {
#endif

/** UTF-8, not ended by a NUL. */
typedef struct pawl_choose_text {
    const char *data;
    size_t size;
} pawl_choose_text;

/** Where vectors come from. */
typedef struct pawl_choose_vectors {
    size_t struct_size; /**< sizeof(pawl_choose_vectors) */
    /** Vectors of length 1, width numbers each, one after the other; of queries, or of what is looked for. Called by threads of the pool, several at once. */
    pawl_status (*embed)(void *user, bool queries, const pawl_choose_text *texts, size_t len,
                         float *ret_vectors, pawl_error *err);
    void *user;           /**< must outlive the chooser */
    uint32_t width;       /**< 1 to 4096 */
    const char *identity; /**< of the model, at most 100 bytes; NULL: none */
    /** Both or none: vectors kept beyond this process, each under a key of 32 digits; queries are not. recall sets ret_known of those that it has, and
     * their vectors. What they cannot do is done without. Called as embed is. */
    void (*recall)(void *store, const char *const *keys, size_t len, float *ret_vectors,
                   bool *ret_known);
    void (*keep)(void *store, const char *const *keys, const pawl_choose_text *texts,
                 const float *vectors, size_t len);
    void *store; /**< for both; must outlive the chooser */
} pawl_choose_vectors;

/** What remembers vectors of texts. */
typedef struct pawl_chooser pawl_chooser;

/** Opens one; vectors are copied, NULL: by words alone. Owns: the caller, pawl_chooser_close. Errors: INVALID (no embed, width), NOMEM. */
PAWL_API PAWL_MUST_USE pawl_status pawl_chooser_open(const pawl_choose_vectors *vectors,
                                                     pawl_chooser **ret_chooser, pawl_error *err);
/** Closes it; engines it is registered with must be closed before. Accepts NULL. */
PAWL_API void pawl_chooser_close(pawl_chooser *chooser);
/** Registers the activity "choose". chooser NULL: by words alone, without
 * concepts; one chooser serves one engine. Errors: EXISTS (there is one already), MISUSE, NOMEM. */
PAWL_API PAWL_MUST_USE pawl_status pawl_choose_register(pawl_engine *engine, pawl_chooser *chooser,
                                                        pawl_error *err);

#ifdef __cplusplus
}
#endif
#endif
