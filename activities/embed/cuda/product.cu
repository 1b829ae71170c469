/*
 * product.cu - matrix products by cuBLASLt. What is row-major here is column-major there, so the product is of the turned ones: y' = weight x'. Has no kernel of
 * its own and chooses no GELU epilogue: there is only an inexact one (tanh).
 */
#include "activities/embed/cuda/product.cuh"

#include <initializer_list>

namespace
{
constexpr const char *what = "a matrix product";
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

bool pw_product::make(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, size_t rows)
{
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    if (made) {
        return true;
    }
    if (!describe(o, m) || !lay_out(o, m, rows) || !o->good(cublasLtMatmulAlgoGetHeuristic(lt, desc, weight, x, y, y, preference, 1, &best, &found), what)) {
        return false;
    }
    if (found == 0 || !o->good(best.state, what)) {
        return o->fail(PW_CUDA_UNSUPPORTED, what, "cuBLASLt has none of this size");
    }
    algo = best.algo;
    made = true;
    return true;
}

bool pw_product::run(pw_outcome *o, cublasLtHandle_t lt, const pw_matrix &m, const __half *from, __half *to, void *workspace, cudaStream_t stream)
{
    const float one = 1, zero = 0;
    return o->good(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &m.bias, sizeof m.bias), what) &&
           o->good(cublasLtMatmul(lt, desc, &one, m.weight, weight, from, x, &zero, to, y, to, y, &algo, workspace, pw_workspace_bytes, stream), what);
}
