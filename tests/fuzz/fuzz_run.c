/*
 * fuzz_run.c - runs a fuzz target without libFuzzer, on random bytes and on mutated seeds: fuzz_run [COUNT [SEED]].
 * Does not measure coverage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

int main(int argc, char **argv)
{
    size_t seeds = 0;
    while (fuzz_seeds[seeds].data != NULL) {
        seeds++;
    }
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 7;
    for (long i = 0; i < count; i++) {
        uint8_t bytes[512];
        size_t which = next_random(&seed) % (seeds + 1), size = next_random(&seed) % sizeof bytes;
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (uint8_t)next_random(&seed);
        }
        if (which < seeds) {
            size = fuzz_seeds[which].size;
            memcpy(bytes, fuzz_seeds[which].data, size);
            for (uint64_t k = next_random(&seed) % 6; k > 0; k--) {
                bytes[next_random(&seed) % size] = (uint8_t)next_random(&seed);
            }
        }
        (void)LLVMFuzzerTestOneInput(bytes, size);
    }
    (void)printf("%ld inputs, none ended the program\n", count);
    return 0;
}
