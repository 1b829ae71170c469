/*
 * model.h - a model of the BERT family: its sizes, its weights as floats, its tokenizer. Opened, it does not change: any thread may use it.
 *
 *   words[id] + positions[i] + types[0] -> norm -> layers x { attention, norm of the sum, feed-forward, norm of the sum } -> pooling
 */
#ifndef PW_EMBED_MODEL_H
#define PW_EMBED_MODEL_H

#include "activities/embed/wordpiece.h"

typedef enum pw_pooling { PW_POOL_MEAN, PW_POOL_FIRST } pw_pooling;

/** What stands before a text of a kind, to the model. */
typedef struct pw_prefix {
    char data[PW_EMBED_PREFIX_BYTES_MAX];
    size_t size;
} pw_prefix;

typedef struct pw_model_config {
    uint32_t layers;
    uint32_t width; /* numbers of a row; of the vector, too */
    uint32_t heads; /* of width / heads numbers each */
    uint32_t inner;
    uint32_t vocabulary;
    uint32_t positions;
    uint32_t types;
    uint32_t tokens_max; /* of one text, both ends included */
    float epsilon;       /* of the norms */
    pw_pooling pooling;
    bool normalize;  /* vectors have length 1 */
    bool lower;      /* the tokenizer must not tell upper from lower case */
    pw_prefix text;  /* of what is found */
    pw_prefix query; /* of what is looked for */
} pw_model_config;

typedef struct pw_linear {
    const float *weight; /* [out][in] */
    const float *bias;   /* [out] */
} pw_linear;

typedef struct pw_norm {
    const float *scale;
    const float *shift;
} pw_norm;

typedef struct pw_layer {
    pw_linear query, key, value, out;
    pw_norm after_attention;
    pw_linear up, down;
    pw_norm after_inner;
} pw_layer;

typedef struct pw_model {
    pw_model_config config;
    const float *words;     /* [vocabulary][width] */
    const float *positions; /* [positions][width] */
    const float *types;     /* [types][width] */
    pw_norm norm;
    pw_layer layers[PW_EMBED_LAYERS_MAX];
    float *numbers; /* all of the above, in this order */
    size_t numbers_len;
    pw_wordpiece *tokenizer;
} pw_model;

/** Opens a model's folder: config.json, model.safetensors or model.fp16.safetensors, a tokenizer; the limit of tokens, the pooling and prefixes
 * from pawl.json, or from the files of sentence-transformers, else 256, mean and none. Errors: NOTFOUND, PARSE, UNSUPPORTED (another architecture),
 * LIMIT, NOMEM, IO. */
pawl_status pw_model_open(const char *folder, pw_model **ret_model, pawl_error *err) PAWL_MUST_USE;
void pw_model_close(pw_model *m); /* accepts NULL */
/** Frees the matrices of the layers and their biases, which encoders have packed: half of the memory. The tables of words and positions and the norms stay;
 * the reference encoder, and encoders opened later, need what is gone. Nobody may be encoding. */
void pw_model_trim(pw_model *m);

/** The two halves of it. Errors: as open. */
pawl_status pw_model_config_read(const char *folder, pw_model_config *ret_config,
                                 pawl_error *err) PAWL_MUST_USE;
pawl_status pw_model_weights_read(pw_model *m, const void *file, size_t size,
                                  pawl_error *err) PAWL_MUST_USE;

#endif
