/*
 * fuzz.h - what a fuzz target gives: the function libFuzzer calls, and inputs worth mutating.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_seed {
    const char *data;
    size_t size;
} fuzz_seed;

extern const fuzz_seed fuzz_seeds[]; /* ends with data NULL */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
