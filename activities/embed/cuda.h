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

#define PW_CUDA_VERSION 3u /* of this border: both sides must have the same */
#define PW_CUDA_LAYERS_MAX 48u
#define PW_CUDA_MESSAGE_BYTES 200u
#define PW_CUDA_TOKENS_MAX 512u /* of one text: its keys and values lie in shared memory */
#define PW_CUDA_HEAD 32u        /* numbers of a head */
#define PW_CUDA_WIDTH_MAX 4096u
#define PW_CUDA_QUERIES_MAX 64u      /* of one search: each row is read once for all of them */
#define PW_CUDA_CANDIDATES_MAX 4096u /* of one query: more is said, and not kept */

typedef enum pw_cuda_status {
    PW_CUDA_OK,
    PW_CUDA_UNSUPPORTED, /* sizes that the kernels do not compute */
    PW_CUDA_NOMEM,       /* the device has no room */
    PW_CUDA_LOST         /* anything else: the device is not to be used again */
} pw_cuda_status;

/** What a device is to do without: the same result by slower ways, to find out which of the faster ones is at fault, or to go on without it. */
typedef enum pw_cuda_without {
    PW_CUDA_WITHOUT_GRAPHS = 1,  /* kernels go one by one */
    PW_CUDA_WITHOUT_TENSORS = 2, /* attention, own products and scores by plain loops */
    PW_CUDA_WITHOUT_LT = 4,      /* no product by cuBLASLt */
    PW_CUDA_WITHOUT_OWN = 8,     /* every product by cuBLASLt; with LT too: by plain loops */
    PW_CUDA_WITHOUT_TRIAL = 16,  /* products are those that cuBLASLt puts first, none is timed */
    PW_CUDA_WITHOUT_SCATTER = 32 /* rows are scanned as they lie */
} pw_cuda_without;

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
    uint32_t without; /* of pw_cuda_without */
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

/** Rows to search, as they lie in the host's memory; read while opening. */
typedef struct pw_cuda_rows {
    const uint16_t *halves; /* [len][stride] */
    size_t len;
    size_t stride; /* a multiple of 32 */
    uint32_t without;
} pw_cuda_rows;

typedef struct pw_cuda_question {
    const uint16_t *queries; /* [len][stride] */
    const float *errors;     /* [len]: by how much a score may be off, at most */
    size_t len;              /* 1 to PW_CUDA_QUERIES_MAX */
    size_t k;                /* 1 to PW_CUDA_CANDIDATES_MAX / 2 */
    const uint64_t *wanted;  /* a bit for each row, NULL: all */
} pw_cuda_question;

typedef struct pw_cuda_encoder pw_cuda_encoder;
typedef struct pw_cuda_index pw_cuda_index;

typedef struct pw_cuda_ops {
    uint32_t version;
    /** 0 when there is none, or no driver; message then says why, unless NULL: PW_CUDA_MESSAGE_BYTES. */
    int (*devices)(char *message);
    /** A context for one device, with room for so many tokens at a time. message: PW_CUDA_MESSAGE_BYTES. */
    pw_cuda_status (*open)(int device, const pw_cuda_model *m, size_t tokens,
                           pw_cuda_encoder **ret_encoder, char *message);
    void (*close)(pw_cuda_encoder *e);
    /** Begins with texts, which are copied: while the device works, more can be put. Their vectors are there after finish, not before. UNSUPPORTED: a text
     * that cannot be encoded, and none of these was begun. After NOMEM and LOST only close is allowed. Thread: one at a time for each encoder. */
    pw_cuda_status (*put)(pw_cuda_encoder *e, const pw_cuda_texts *texts, float *ret_vectors,
                          char *message);
    /** Waits for all that was put. */
    pw_cuda_status (*finish)(pw_cuda_encoder *e, char *message);
    /** Milliseconds on the device from the last finish but one to the last, copies left out; passes that ran beside each other count twice. */
    float (*kernel_ms)(const pw_cuda_encoder *e);

    /** Rows on a device, to be searched. */
    pw_cuda_status (*index_open)(int device, const pw_cuda_rows *rows, pw_cuda_index **ret_index,
                                 char *message);
    void (*index_close)(pw_cuda_index *x);
    /** Rows that can be among the k nearest of each query, in no order: all whose score is not below the k-th best by more than twice the query's error.
     * ret_rows is [len][PW_CUDA_CANDIDATES_MAX]; ret_len[query] above that says that there are more, and that the list is to be had elsewhere.
     * Thread: one at a time for each index. */
    pw_cuda_status (*search)(pw_cuda_index *x, const pw_cuda_question *q, uint32_t *ret_rows,
                             uint32_t *ret_len, char *message);
    /** Milliseconds on the device of the last search, copies left out. */
    float (*search_ms)(const pw_cuda_index *x);
} pw_cuda_ops;

/** The only name that the library shows. */
typedef const pw_cuda_ops *(*pw_cuda_entry)(void);
#define PW_CUDA_ENTRY "pw_cuda_ops_get"

#ifdef __cplusplus
}
#endif
#endif
