/*
 * product.cu - matrix products by cuBLASLt. What is row-major here is column-major there, so the product is of the turned ones: y' = weight x'. Has no kernel of
 * its own and chooses no GELU epilogue: there is only an inexact one (tanh).
 */
#include "activities/embed/cuda/product.cuh"

#include <initializer_list>
#include <math.h>

namespace
{
constexpr const char *what = "a matrix product";
constexpr int candidates = 8;
}

pw_product::~pw_product()
{
    if (preference != nullptr) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    for (cublasLtMatrixLayout_t layout : {weight, x, y}) {
        if (layout != nullptr) {
            (void)cublasLtMatrixLayoutDestroy(layout);
        }
    }
    if (desc != nullptr) {
        (void)cublasLtMatmulDescDestroy(desc);
    }
}

bool pw_product::describe(pw_outcome *o, const pw_matrix &m)
{
    const cublasOperation_t turned = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t bias_type = CUDA_R_16F;
    return o->good(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), what) &&
           o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned), what) &&
           o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue), what) &&
           o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type), what) &&
           o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m.bias, sizeof m.bias), what);
}

bool pw_product::lay_out(pw_outcome *o, const pw_matrix &m, size_t rows)
{
    const uint64_t out = uint64_t(m.out), in = uint64_t(m.in);
    return o->good(cublasLtMatrixLayoutCreate(&weight, CUDA_R_16F, in, out, m.in), what) &&
           o->good(cublasLtMatrixLayoutCreate(&x, CUDA_R_16F, in, rows, m.in), what) &&
           o->good(cublasLtMatrixLayoutCreate(&y, CUDA_R_16F, out, rows, m.out), what) && o->good(cublasLtMatmulPreferenceCreate(&preference), what) &&
           o->good(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &pw_workspace_bytes,
                                                        sizeof pw_workspace_bytes),
                   what);
}

cublasStatus_t pw_product::multiply(cublasLtHandle_t lt, const pw_matrix &m, const cublasLtMatmulAlgo_t *by, const pw_trial &at)
{
    const float one = 1, zero = 0;
    return cublasLtMatmul(lt, desc, &one, m.weight, weight, at.from, x, &zero, at.to, y, at.to, y, by, at.workspace, pw_workspace_bytes, at.stream);
}

/* How long one of them takes, after a first time that does not count; infinite if it cannot be used. */
float pw_product::trial_ms(cublasLtHandle_t lt, const pw_matrix &m, const cublasLtMatmulAlgo_t *by, const pw_trial &at)
{
    constexpr int rounds = 5;
    float ms = 0;
    bool good = multiply(lt, m, by, at) == CUBLAS_STATUS_SUCCESS && cudaEventRecord(at.begun, at.stream) == cudaSuccess;
    for (int i = 0; i < rounds && good; i++) {
        good = multiply(lt, m, by, at) == CUBLAS_STATUS_SUCCESS;
    }
    good = good && cudaEventRecord(at.ended, at.stream) == cudaSuccess && cudaEventSynchronize(at.ended) == cudaSuccess &&
           cudaEventElapsedTime(&ms, at.begun, at.ended) == cudaSuccess;
    if (!good) {
        (void)cudaStreamSynchronize(at.stream);
        (void)cudaGetLastError(); /* a device that is lost says so again at the next call */
    }
    return good ? ms : INFINITY;
}

bool pw_product::make(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, size_t rows, const pw_trial *trial)
{
    cublasLtMatmulHeuristicResult_t some[candidates];
    int found = 0, best = -1;
    float least = INFINITY;
    if (made) {
        return true;
    }
    if (!describe(o, m) || !lay_out(o, m, rows) ||
        !o->good(cublasLtMatmulAlgoGetHeuristic(lt, desc, weight, x, y, y, preference, trial != nullptr ? candidates : 1, some, &found), what)) {
        return false;
    }
    for (int i = 0; i < found; i++) {
        const bool usable = some[i].state == CUBLAS_STATUS_SUCCESS;
        const float ms = usable && trial != nullptr && found > 1 ? trial_ms(lt, m, &some[i].algo, *trial) : INFINITY;
        if (usable && (best < 0 || ms < least)) {
            best = i;
            least = ms;
        }
    }
    if (best < 0) {
        return o->fail(PW_CUDA_UNSUPPORTED, what, "cuBLASLt has none of this size");
    }
    algo = some[best].algo;
    made = true;
    return true;
}

bool pw_product::run(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, const __half *from, __half *to, void *workspace, cudaStream_t stream)
{
    const pw_trial at = {from, to, workspace, stream, nullptr, nullptr};
    return o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m.bias, sizeof m.bias), what) &&
           o->good(multiply(lt, m, &algo, at), what);
}
