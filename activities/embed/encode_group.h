/*
 * encode_group.h - some texts through all layers, on one thread: the packed weights, the scratch that a thread needs, and the walk.
 */
#ifndef PW_EMBED_ENCODE_GROUP_H
#define PW_EMBED_ENCODE_GROUP_H

#include "activities/embed/encode_cpu.h"

/* Strides are rounded up to the panel, so that whole vectors can be read and written. */
typedef struct pw_packed {
    const float *panels;
    const float *bias;
} pw_packed;

typedef struct pw_packed_layer {
    pw_packed mix; /* query, key, value side by side */
    pw_packed out;
    pw_packed up;
    pw_packed down;
} pw_packed_layer;

struct pw_encoder_cpu {
    const pw_model *m;
    const pw_kernels *kernels;
    size_t width; /* of a row, padded */
    size_t inner;
    size_t head; /* numbers of a head, padded */
    pw_packed_layer layers[PW_EMBED_LAYERS_MAX];
    float *numbers;
};

typedef struct pw_scratch {
    float *x;      /* [rows][width] */
    float *mix;    /* [rows][3 width] */
    float *heads;  /* [rows][width + panel]: a head's last panel may reach beyond it */
    float *inner;  /* [rows][inner] */
    float *keys;   /* one head's keys of one text, as panels over its rows */
    float *values; /* its values, as panels over the head's numbers */
    float *scores; /* [PW_SCORE_ROWS][rows, padded] */
    float *all;
} pw_scratch;

#define PW_SCORE_ROWS 64u

/** For texts of at most rows ids together, and none longer than longest. False: out of memory. */
bool pw_scratch_init(pw_scratch *s, const pw_encoder_cpu *e, size_t rows, size_t longest);
void pw_scratch_deinit(pw_scratch *s);

/** Their vectors, one after the other. */
void pw_encode_group(const pw_encoder_cpu *e, const pw_scratch *s, const pw_ids *texts, size_t len,
                     float *vectors);

#endif
