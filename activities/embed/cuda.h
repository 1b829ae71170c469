/*
 * cuda.h - the border to libpawl_cuda.so: plain C on both sides, one table of functions, numbers and pointers only. The library is loaded when it runs,
 * so that a program needs no CUDA where there is none.
 */
#ifndef PW_EMBED_CUDA_H
#define PW_EMBED_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PW_CUDA_VERSION 1u /* of this border: both sides must have the same */
#define PW_CUDA_LAYERS_MAX 48u
#define PW_CUDA_MESSAGE_BYTES 200u
#define PW_CUDA_TOKENS_MAX 512u /* of one text: its keys and values lie in shared memory */
#define PW_CUDA_HEAD 32u        /* numbers of a head */

typedef enum pw_cuda_status {
    PW_CUDA_OK,
    PW_CUDA_UNSUPPORTED, /* sizes that the kernels do not compute */
    PW_CUDA_NOMEM,       /* the device has no room */
    PW_CUDA_LOST         /* anything else: the device is not to be used again */
} pw_cuda_status;

typedef struct pw_cuda_linear {
    const float *weight; /* [out][in] */
    const float *bias;
} pw_cuda_linear;

typedef struct pw_cuda_norm {
    const float *scale;
    const float *shift;
} pw_cuda_norm;

typedef struct pw_cuda_layer {
    pw_cuda_linear query, key, value, out, up, down;
    pw_cuda_norm after_attention, after_inner;
} pw_cuda_layer;

/** A model as it lies in the host's memory; read while opening, not after. */
typedef struct pw_cuda_model {
    uint32_t layers, width, heads, inner, vocabulary, positions;
    float epsilon;
    int first; /* the first row is the vector, not the mean */
    int normalize;
    const float *words, *position_rows, *types;
    pw_cuda_norm norm;
    pw_cuda_layer layer[PW_CUDA_LAYERS_MAX];
} pw_cuda_model;

/** Texts packed without padding: ids of text i are ids[begins[i]] to ids[begins[i + 1] - 1]. */
typedef struct pw_cuda_texts {
    const uint32_t *ids;
    const uint32_t *begins; /* [len + 1] */
    size_t len;
} pw_cuda_texts;

typedef struct pw_cuda_encoder pw_cuda_encoder;

typedef struct pw_cuda_ops {
    uint32_t version;
    int (*devices)(void); /* 0 when there is none, or no driver */
    /** A context for one device, with room for so many tokens at a time. message: PW_CUDA_MESSAGE_BYTES. */
    pw_cuda_status (*open)(int device, const pw_cuda_model *m, size_t tokens,
                           pw_cuda_encoder **ret_encoder, char *message);
    void (*close)(pw_cuda_encoder *e);
    /** The vectors of texts. Thread: one at a time for each encoder. */
    pw_cuda_status (*encode)(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *ret_vectors,
                             char *message);
    /** Milliseconds on the device of the last encode, copies left out. */
    float (*kernel_ms)(const pw_cuda_encoder *e);
} pw_cuda_ops;

/** The only name that the library shows. */
typedef const pw_cuda_ops *(*pw_cuda_entry)(void);
#define PW_CUDA_ENTRY "pw_cuda_ops_get"

#ifdef __cplusplus
}
#endif
#endif
