/*
 * kernels.c - which set of kernels this processor has, and the order of numbers they want. Computes nothing itself.
 */
#include "activities/embed/kernels.h"

#if defined(__x86_64__)
static size_t find_all(const pw_kernels *ret_all[4])
{
    size_t len = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) {
        ret_all[len++] = &pw_kernels_avx512;
    }
    /* Every processor with both has F16C, too, for which clang 14 knows no name. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        ret_all[len++] = &pw_kernels_avx2;
    }
    ret_all[len++] = &pw_kernels_plain;
    return len;
}
#else
static size_t find_all(const pw_kernels *ret_all[4])
{
    ret_all[0] = &pw_kernels_plain;
    return 1;
}
#endif

size_t pw_kernels_all(const pw_kernels *ret_all[4])
{
    const size_t len = find_all(ret_all);
    ret_all[len] = NULL;
    return len;
}

const pw_kernels *pw_kernels_best(void)
{
    const pw_kernels *all[4];
    (void)find_all(all);
    return all[0];
}

void pw_pack_part(const float *from, size_t stride, size_t columns, size_t depth, size_t panel,
                  float *to)
{
    for (size_t first = 0; first < columns; first += panel) {
        for (size_t k = 0; k < depth; k++) {
            for (size_t c = first; c < first + panel; c++) {
                *to++ = c < columns ? from[c * stride + k] : 0;
            }
        }
    }
}

void pw_pack_columns(const float *from, size_t columns, size_t depth, size_t panel, float *to)
{
    pw_pack_part(from, depth, columns, depth, panel, to);
}
