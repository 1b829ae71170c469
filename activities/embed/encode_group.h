/*
 * encode_group.h - some texts through all layers: the packed weights, the scratch that a thread needs, and the walk.
 */
#ifndef PW_EMBED_ENCODE_GROUP_H
#define PW_EMBED_ENCODE_GROUP_H

#include <pthread.h>

#include "activities/embed/encode_cpu.h"

/* Strides are rounded up to the panel, so that whole vectors can be read and written. */
typedef struct pw_packed {
    const float *panels;
    const float *bias;
} pw_packed;

/** In the order in which they are read, so that what is read ahead is what comes next: heads x {query, key, value}, out, chunks x {up, down}. */
typedef struct pw_packed_layer {
    pw_packed mix; /* of one head: query, key, value side by side, each padded; head after head */
    pw_packed out;
    const float *
        chunks; /* PW_CHUNK columns of the first matrix, and what the second makes of them; chunk after chunk */
    const float *up_bias;
    const float *down_bias;
} pw_packed_layer;

/** So many columns of a feed-forward layer at a time: rows x chunk numbers stay in the cache between its two matrices. A multiple of every panel. */
#define PW_CHUNK 192u

/** Memory that begins a line of the cache: a vector that lies in two lines takes twice as long to read. */
typedef struct pw_block {
    void *memory; /* as it was given */
    float *numbers;
    size_t len;
} pw_block;

/** A block of len numbers, `align` a power of two; false: out of memory. */
bool pw_block_init(pw_block *b, size_t len, size_t align);
void pw_block_deinit(pw_block *b);

#define PW_LINE_BYTES 64u
#define PW_HUGE_BYTES (2u << 20)
#define PW_SPARES_MAX 4u

/** Scratch that the last calls are done with: fresh memory would be cleared by the system, page by page, each time. */
typedef struct pw_spares {
    pthread_mutex_t lock;
    pw_block blocks[PW_SPARES_MAX];
    size_t len;
} pw_spares;

struct pw_encoder_cpu {
    const pw_model *m;
    const pw_kernels *kernels;
    size_t width; /* of a row, padded */
    size_t inner;
    size_t head; /* numbers of a head, padded */
    pw_packed_layer layers[PW_EMBED_LAYERS_MAX];
    pw_block weights;
    pw_spares *spares; /* the only thing that changes */
};

typedef struct pw_scratch {
    float *x[2];   /* [rows][width + panel]: a layer reads one, and what it makes is in the other */
    float *inner;  /* [rows][PW_CHUNK] */
    float *asked;  /* [rows][2 head]: one head's queries and keys */
    float *values; /* [head / panel][rows][panel]: its values, as panels over its numbers */
    float *keys;   /* its keys of one text, as panels over the rows */
    float *scores; /* [PW_SCORE_ROWS][rows, padded] */
    size_t rows;
    size_t text_len; /* of the text that is attended to */
    pw_block block;
} pw_scratch;

#define PW_SCORE_ROWS 64u

/** For texts of at most rows ids together, and none longer than longest. */
typedef struct pw_scratch_need {
    size_t rows;
    size_t longest;
    const pw_scratch *of; /* whose x and inner are used, by threads that share a group; NULL: own */
} pw_scratch_need;

/** False: out of memory. */
bool pw_scratch_take(pw_scratch *s, const pw_encoder_cpu *e, const pw_scratch_need *need);
void pw_scratch_give(pw_scratch *s, const pw_encoder_cpu *e);

typedef struct pw_group {
    const pw_encoder_cpu *e;
    const pw_ids *texts;
    size_t len;
    size_t rows;    /* of all its texts */
    float *vectors; /* to be, one after the other */
} pw_group;

typedef struct pw_span {
    size_t first, end;
} pw_span;

/** A group from texts to vectors. */
void pw_group_encode(const pw_group *g, pw_scratch *s);

/** Its steps: words; for each layer attend for all heads, then advance for all rows; pool. Heads of a layer may be attended to by several threads at once if
 * each fills its panels (pw_encoder_cpu.head is its size), and rows advanced in any parts; each thread with a scratch of its own. */
void pw_group_words(const pw_group *g, const pw_scratch *s);
void pw_group_attend(const pw_group *g, pw_scratch *s, uint32_t layer, const pw_span *heads);
void pw_group_advance(const pw_group *g, const pw_scratch *s, uint32_t layer, const pw_span *rows);
void pw_group_pool(const pw_group *g, const pw_scratch *s);

#endif
