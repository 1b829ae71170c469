/*
 * batch.h - texts of calls that come at the same time, encoded together: a queue before an encoder, whichever it is.
 *
 *   call a: [a0 a1 a2 ...]  --\
 *   call b: [b0]              --> a batch of at most so many tokens: a0 b0 c0 a1 c1 a2 ... --> encode --> each vector to its call
 *   call c: [c0 c1]         --/   (one text of each call by turns, so that a large call does not keep a small one waiting)
 *
 * No thread of its own: the first call that waits leads, encodes batches until its texts are done, and hands the lead on. While a batch runs, what comes is
 * gathered for the next; an encoder that is idle begins at once, unless the batch before had several calls: then it waits for as long as wait_us allows,
 * or until the batch is full. What a text comes to does not depend on its batch: that is the encoders' own promise.
 *
 * Memory: one batch, tokens and vectors, copied: a call that is cancelled leaves at once, even from a batch that runs.
 */
#ifndef PW_EMBED_BATCH_H
#define PW_EMBED_BATCH_H

#include "activities/embed/encode_cpu.h"

typedef struct pw_batcher pw_batcher;

typedef struct pw_batch_options {
    size_t tokens;   /* of one batch; a longer text is a batch of its own. 0 = 1024 */
    size_t longest;  /* ids of one text, at most */
    size_t width;    /* numbers of a vector */
    int64_t wait_us; /* for others, at most */
    /** Encodes a batch; called by one thread at a time. */
    pawl_status (*encode)(void *user, const pw_ids *texts, size_t len, float *ret_vectors,
                          pawl_error *err);
    void *user;
} pw_batch_options;

/** Errors: NOMEM. */
pawl_status pw_batcher_open(const pw_batch_options *options, pw_batcher **ret_batcher,
                            pawl_error *err) PAWL_MUST_USE;
void pw_batcher_close(pw_batcher *b); /* accepts NULL; no call may be in it */

typedef struct pw_batch_call {
    const pw_ids *texts;
    size_t len;
    float *vectors;           /* len x width numbers */
    bool (*stop)(void *user); /* true: the call is cancelled. NULL: never */
    void *user;
} pw_batch_call;

/** Returns when all its vectors are there. Errors: CANCELED, and those of the encoder. Thread: any, several at once. */
pawl_status pw_batcher_run(pw_batcher *b, const pw_batch_call *call, pawl_error *err) PAWL_MUST_USE;

typedef struct pw_batch_counts {
    uint64_t batches;
    uint64_t shared; /* with texts of more than one call */
    uint64_t texts;
    size_t waiting; /* texts of calls that are in no batch yet */
} pw_batch_counts;
pw_batch_counts pw_batcher_counts(pw_batcher *b);

#endif
