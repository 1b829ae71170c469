/*
 * fuzz_run.c - runs the fuzz target without libFuzzer, on random bytes and on mutated seeds: fuzz_run [COUNT [SEED]].
 * Does not measure coverage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

int main(int argc, char **argv)
{
    static const char *const seeds[] = {"{\"a\":[1,2.5,\"x\",null,true],\"b\":{\"c\":\"\\u00e9\"}}",
                                        "\x82\xa1" "a\x93\x01\xcb?\xf8\0\0\0\0\0\0\xc0\xa1" "b\xc4\x02xy",
                                        "\x95\x01\x00\x05\x06\x91\x93\x14\x01\x81\xa4name\xa1x"};
    static const size_t sizes[] = {46, 22, 16};
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) | 1 : 7;
    for (long i = 0; i < count; i++) {
        uint8_t bytes[256];
        size_t which = next_random(&seed) % 4, size = next_random(&seed) % sizeof bytes;
        for (size_t k = 0; k < sizeof bytes; k++) {
            bytes[k] = (uint8_t)next_random(&seed);
        }
        if (which < 3) {
            size = sizes[which];
            memcpy(bytes, seeds[which], size);
            for (uint64_t k = next_random(&seed) % 6; k > 0; k--) {
                bytes[next_random(&seed) % size] = (uint8_t)next_random(&seed);
            }
        }
        (void)LLVMFuzzerTestOneInput(bytes, size);
    }
    (void)printf("%ld inputs, none ended the program\n", count);
    return 0;
}
