/*
 * encoder.cuh - an encoder on one device: weights, and two slots in which passes over texts are prepared, computed and read while the other one is busy.
 */
#ifndef PW_EMBED_CUDA_ENCODER_H
#define PW_EMBED_CUDA_ENCODER_H

#include "activities/embed/cuda/product.cuh"
#include "activities/embed/cuda/texts.cuh"

#include <memory>
#include <vector>

constexpr int pw_products = 4; /* mix, out, up, down */
constexpr int pw_slots = 2;

struct pw_norm_pair {
    float4 *scale = nullptr;
    float4 *shift = nullptr;
};

struct pw_layer_there {
    pw_matrix of[pw_products];
    pw_norm_pair after_attention, after_inner;
};

struct pw_weights {
    __half *words = nullptr, *positions = nullptr;
    float4 *types = nullptr;
    pw_norm_pair norm;
    pw_layer_there layer[PW_CUDA_LAYERS_MAX];
};

/* A recorded pass: the first of its kind is computed kernel by kernel, which also loads them; the second is recorded, the others replay it. */
struct pw_graph {
    int uses = 0;
    cudaGraphExec_t exec = nullptr;
};

struct pw_slot {
    cudaStream_t stream = nullptr;
    cudaEvent_t begun = nullptr, ended = nullptr;
    void *workspace = nullptr;
    void *staged = nullptr, *texts = nullptr; /* the pass: of the host, pinned; of the device */
    float *vectors = nullptr,
          *vectors_of_device =
              nullptr; /* the same memory, of the host and pinned: the last kernel writes there */
    __half *x = nullptr, *mix = nullptr, *heads = nullptr, *y = nullptr, *up = nullptr;
    std::unique_ptr<pw_graph[]> graphs; /* [rooms][lengths] */
    bool busy = false;
    float *to = nullptr; /* of the pass under way: where its vectors go, and how many numbers */
    size_t numbers = 0;
};

struct pw_cuda_encoder {
    pw_outcome o;
    int device = 0, blocks_at_once = 1;
    int width = 0, inner = 0, heads = 0, layers = 0, first = 0, normalize = 0;
    uint32_t vocabulary = 0, positions = 0;
    float epsilon = 0, kernel_ms = 0, kernel_ms_so_far = 0;
    size_t tokens = 0; /* of a pass, at most: one of the rooms */
    uint32_t without = 0; /* of pw_cuda_without */
    cublasLtHandle_t lt = nullptr;
    pw_weights weights;
    std::unique_ptr<pw_product[]> product; /* [rooms][products] */
    pw_slot slot[pw_slots];
    int next = 0;               /* slot */
    std::vector<void *> memory; /* of the device, and pinned: to be freed */
    std::vector<void *> pinned;

    template <typename T> bool take(size_t len, T **ret)
    {
        void *at = nullptr;
        if (!o.good(cudaMalloc(&at, len * sizeof(T)), "memory of the device")) {
            return false;
        }
        memory.push_back(at);
        *ret = static_cast<T *>(at);
        return true;
    }

    template <typename T> bool take_pinned(size_t len, T **ret)
    {
        void *at = nullptr;
        if (!o.good(cudaHostAlloc(&at, len * sizeof(T), cudaHostAllocMapped), "pinned memory")) {
            return false;
        }
        pinned.push_back(at);
        *ret = static_cast<T *>(at);
        return true;
    }
};

/* weights.cu: a model's weights onto the device, as 16-bit numbers. */
bool pw_weights_put(pw_cuda_encoder *e, const pw_cuda_model *m);

/* pass.cu: the kernels of a pass in order. */
constexpr size_t pw_rooms_len = 24;
extern const size_t pw_rooms[pw_rooms_len]; /* how many tokens a pass can have; the last is 0 */
constexpr size_t pw_lengths_len = 5;
bool pw_pass_init(pw_cuda_encoder *e);
/* Begins a pass in a slot whose texts are staged, over room pw_rooms[room], whose longest text has so many tokens. */
bool pw_pass_begin(pw_cuda_encoder *e, pw_slot *s, size_t room, uint32_t longest);

#endif
