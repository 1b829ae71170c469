/*
 * products.cpp - the emulated cuBLASLt: checks what it is given as the real one would, and multiplies by plain loops.
 */
#include "cublasLt.h"

#include "cuda_fp16.h"

#include <vector>

struct emulated_lt {
    int unused;
};
struct emulated_desc {
    cublasOperation_t a;
    cublasLtEpilogue_t epilogue;
    const __half *bias;
    cudaDataType_t bias_type;
};
struct emulated_layout {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t leading;
};
struct emulated_preference {
    size_t workspace_bytes;
};

namespace
{
cublasStatus_t step(bool allocates)
{
    const cudaError_t error = emulated_step(allocates);
    return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

template <typename T> cublasStatus_t create(T **ret, T value)
{
    const cublasStatus_t status = step(true);
    if (status == CUBLAS_STATUS_SUCCESS) {
        *ret = new T(value);
    }
    return status;
}

template <typename T> cublasStatus_t destroy(T *at)
{
    delete at;
    return step(false);
}

/* D = A^T B + bias, all of them column by column: rows of A are columns of the weights as they lie. */
struct job {
    const __half *a, *b, *bias;
    __half *d;
    emulated_layout la, lb, ld;
};

/* The innermost loop, of two copies whose sizes are known: the sanitizers have seen what they were copied from. */
__attribute__((no_sanitize("address", "undefined"))) float dot(const float *a, const float *b, size_t len)
{
    float sum[8] = {0};
    for (size_t k = 0; k < len; k += 8) {
        for (size_t i = 0; i < 8; i++) {
            sum[i] += a[k + i] * b[k + i];
        }
    }
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

void run(const job &j)
{
    const size_t out = j.ld.rows, rows = j.ld.columns, in = j.la.rows; /* in is a multiple of 8 */
    std::vector<float> weight(in * out), x(in);
    for (size_t o = 0; o < out; o++) {
        for (size_t k = 0; k < in; k++) {
            weight[o * in + k] = __half2float(j.a[o * size_t(j.la.leading) + k]);
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < in; k++) {
            x[k] = __half2float(j.b[r * size_t(j.lb.leading) + k]);
        }
        for (size_t o = 0; o < out; o++) {
            const float all = dot(&weight[o * in], x.data(), in);
            j.d[r * size_t(j.ld.leading) + o] = __float2half_rn(all + __half2float(j.bias[o]));
        }
    }
}
} // namespace

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_ALLOC_FAILED ? "out of memory" : "an emulated error of cuBLASLt";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *lt)
{
    return create(lt, emulated_lt{0});
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lt)
{
    return destroy(lt);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale)
{
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return create(desc, emulated_desc{CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr, CUDA_R_32F});
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void *value, size_t bytes)
{
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        (void)memcpy(&desc->a, value, sizeof desc->a);
        return bytes == sizeof desc->a ? step(false) : CUBLAS_STATUS_INVALID_VALUE;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        (void)memcpy(&desc->epilogue, value, sizeof desc->epilogue);
        return bytes == sizeof desc->epilogue ? step(false) : CUBLAS_STATUS_INVALID_VALUE;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        (void)memcpy(&desc->bias, value, sizeof desc->bias);
        return bytes == sizeof desc->bias ? step(false) : CUBLAS_STATUS_INVALID_VALUE;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        (void)memcpy(&desc->bias_type, value, sizeof desc->bias_type);
        return bytes == sizeof desc->bias_type ? step(false) : CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    return destroy(desc);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows, uint64_t columns, int64_t leading)
{
    if (leading < int64_t(rows)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return create(layout, emulated_layout{type, rows, columns, leading});
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    return destroy(layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    return create(preference, emulated_preference{0});
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t, const void *value, size_t bytes)
{
    if (bytes != sizeof preference->workspace_bytes) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    (void)memcpy(&preference->workspace_bytes, value, bytes);
    return step(false);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    return destroy(preference);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *found)
{
    const bool fit = desc->a == CUBLAS_OP_T && a->rows == b->rows && d->rows == a->columns && d->columns == b->columns;
    const bool known = desc->epilogue == CUBLASLT_EPILOGUE_BIAS && desc->bias_type == CUDA_R_16F && a->type == CUDA_R_16F && b->type == CUDA_R_16F;
    if (!fit || !known || wanted < 1 || a->rows % 8 != 0) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    *found = wanted < 3 ? wanted : 3;
    for (int i = 0; i < *found; i++) {
        results[i] = {};
        results[i].workspaceSize = preference->workspace_bytes;
        results[i].state = i == 1 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
    }
    return step(false);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void *, const void *a_data, cublasLtMatrixLayout_t a, const void *b_data,
                              cublasLtMatrixLayout_t b, const void *, const void *, cublasLtMatrixLayout_t, void *d_data, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *, void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    const cublasStatus_t status = step(false);
    const job j = {static_cast<const __half *>(a_data), static_cast<const __half *>(b_data), desc->bias, static_cast<__half *>(d_data), *a, *b, *d};
    if (status == CUBLAS_STATUS_SUCCESS) {
        (void)emulated_put(stream, [j, workspace, workspace_bytes] {
            (void)memset(workspace, 0xff, workspace_bytes < 64 ? workspace_bytes : 64); /* it is the product's to write */
            run(j);
        });
    }
    return status;
}
