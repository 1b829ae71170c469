/*
 * embedder.h - what an opened model is, for the activities that use it.
 */
#ifndef PW_EMBED_EMBEDDER_H
#define PW_EMBED_EMBEDDER_H

#include "activities/embed/batch.h"
#include "activities/embed/encoders.h"
#include "sdk/pawl_activity.h"
#include "sdk/pawl_embed.h"

struct pawl_embedder {
    pw_model *model;
    pw_encoders *encoders;
    pw_batcher *batcher; /* before them */
    unsigned threads;
    uint32_t tokens_max;
    bool plain;
    char identity[65];
};

/** The activities "embed" and "nearest"; user: the embedder. */
const pawl_value *pw_activity_embed(pawl_task *task, const pawl_value *input, void *user);
const pawl_value *pw_activity_nearest(pawl_task *task, const pawl_value *input, void *user);

#endif
