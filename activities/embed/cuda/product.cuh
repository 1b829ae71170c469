/*
 * product.cuh - one matrix product by cuBLASLt: y [rows][out] = x [rows][in] times weight [out][in] plus bias, 16-bit numbers, sums in 32 bits. Described and
 * chosen once for each kind and number of rows: the first that cuBLASLt names, or the fastest of those in a trial.
 */
#ifndef PW_EMBED_CUDA_PRODUCT_H
#define PW_EMBED_CUDA_PRODUCT_H

#include "activities/embed/cuda/outcome.cuh"

#include <cuda_fp16.h>

constexpr size_t pw_workspace_bytes = size_t(32)
                                      << 20; /* what the vendor advises for this generation */

struct pw_matrix {
    __half *weight = nullptr; /* [out][in] */
    __half *bias = nullptr;
    int out = 0, in = 0;
};

/* Where products may be tried: numbers to read, room for the result, a stream and events that nobody uses at the time. */
struct pw_trial {
    const __half *from;
    __half *to;
    void *workspace;
    cudaStream_t stream;
    cudaEvent_t begun, ended;
};

struct pw_product {
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t weight = nullptr, x = nullptr, y = nullptr;
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulAlgo_t algo;
    bool made = false;

    pw_product() = default;
    pw_product(const pw_product &) = delete;
    pw_product &operator=(const pw_product &) = delete;
    ~pw_product();

    /* trial: NULL takes the first. */
    bool make(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, size_t rows, const pw_trial *trial);
    bool run(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, const __half *from, __half *to,
             void *workspace, cudaStream_t stream);

  private:
    bool describe(pw_outcome *o, const pw_matrix &m);
    bool lay_out(pw_outcome *o, const pw_matrix &m, size_t rows);
    cublasStatus_t multiply(cublasLtHandle_t lt, const pw_matrix &m, const cublasLtMatmulAlgo_t *by, const pw_trial &at);
    float trial_ms(cublasLtHandle_t lt, const pw_matrix &m, const cublasLtMatmulAlgo_t *by, const pw_trial &at);
};

#endif
