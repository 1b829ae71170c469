/*
 * warp.cpp - what the lanes of a warp do together: exchange numbers, multiply small matrices, read matrices turned. Written from the PTX manual, element by
 * element, and not for speed.
 */
#include "pawl_device.cuh"

namespace
{
struct shuffled {
    float in, out;
    int step;
};

void shuffle(void *const lanes[32])
{
    for (int i = 0; i < 32; i++) {
        shuffled *const s = static_cast<shuffled *>(lanes[i]);
        s->out = static_cast<shuffled *>(lanes[i ^ s->step])->in;
    }
}

struct voted {
    unsigned in, out;
};

void vote(void *const lanes[32])
{
    unsigned all = 0;
    for (unsigned i = 0; i < 32; i++) {
        all |= (static_cast<voted *>(lanes[i])->in != 0 ? 1u : 0u) << i;
    }
    for (unsigned i = 0; i < 32; i++) {
        static_cast<voted *>(lanes[i])->out = all;
    }
}

struct product {
    const uint32_t *a;
    uint32_t b[2];
    float *d;
};

float half_of(uint32_t pair, int which)
{
    return pw_float_of_half(uint16_t(which == 0 ? pair & 0xffff : pair >> 16));
}

/* D[row][column] += A[row][k] B[k][column]: who holds what is said in the kernels' pawl_device.cuh. */
void multiply(void *const lanes[32])
{
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const product *const p = static_cast<const product *>(lanes[lane]);
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 8; i++) { /* element i of the lane's eight of A */
            a[i / 2 % 2 == 0 ? g : g + 8][2 * t + i % 2 + (i >= 4 ? 8 : 0)] = half_of(p->a[i / 2], i % 2);
        }
        for (int i = 0; i < 4; i++) {
            b[2 * t + i % 2 + (i >= 2 ? 8 : 0)][g] = half_of(p->b[i / 2], i % 2);
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        float *const d = static_cast<const product *>(lanes[lane])->d;
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + (i >= 2 ? 8 : 0), column = lane % 4 * 2 + i % 2;
            for (int k = 0; k < 16; k++) {
                d[i] += a[row][k] * b[k][column];
            }
        }
    }
}

struct turned {
    const __half *row;
    uint32_t *r;
};

void turn(void *const lanes[32])
{
    for (int lane = 0; lane < 32; lane++) {
        for (int matrix = 0; matrix < 4; matrix++) {
            const int column = lane / 4, row = lane % 4 * 2;
            const __half upper = static_cast<const turned *>(lanes[8 * matrix + row])->row[column];
            const __half lower = static_cast<const turned *>(lanes[8 * matrix + row + 1])->row[column];
            static_cast<turned *>(lanes[lane])->r[matrix] = uint32_t(upper.bits) | uint32_t(lower.bits) << 16;
        }
    }
}
} // namespace

float __shfl_xor_sync(unsigned mask, float x, int step)
{
    shuffled s = {x, 0, step};
    emulated_warp(shuffle, &s, mask);
    return s.out;
}

unsigned __ballot_sync(unsigned mask, int v)
{
    voted s = {v != 0 ? 1u : 0u, 0};
    emulated_warp(vote, &s, mask);
    return s.out;
}

void pw_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    product p = {a, {b0, b1}, d};
    emulated_warp(multiply, &p, 0xffffffffu);
}

void pw_load_turned(uint32_t (&r)[4], const __half *row)
{
    turned t = {row, r};
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
        __builtin_trap(); /* a device would stop, too */
    }
    emulated_warp(turn, &t, 0xffffffffu);
}
