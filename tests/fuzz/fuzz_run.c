/*
 * fuzz_run.c - runs a fuzz target without libFuzzer, on random bytes and on mutated seeds: fuzz_run [COUNT [SEED]]. fuzz_run --seeds FOLDER writes
 * the seeds, as libFuzzer's corpus to begin with.
 * Does not measure coverage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define RANDOM_BYTES 512
#define SEED_BYTES_MAX 2048

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int write_seeds(const char *folder)
{
    for (size_t i = 0; fuzz_seeds[i].data != NULL; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%zu", folder, i);
        FILE *file = fopen(path, "wb");
        if (file == NULL ||
            fwrite(fuzz_seeds[i].data, 1, fuzz_seeds[i].size, file) != fuzz_seeds[i].size ||
            fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    size_t seeds = 0;
    while (fuzz_seeds[seeds].data != NULL) {
        if (fuzz_seeds[seeds++].size > SEED_BYTES_MAX) {
            (void)fprintf(stderr, "seed %zu is too large\n", seeds - 1);
            return 1;
        }
    }
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        return write_seeds(argv[2]);
    }
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 7;
    for (long i = 0; i < count; i++) {
        uint8_t bytes[SEED_BYTES_MAX];
        size_t which = next_random(&seed) % (seeds + 1), size = next_random(&seed) % RANDOM_BYTES;
        for (size_t k = 0; k < RANDOM_BYTES; k++) {
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
