/*
 * threads.cpp - runs a kernel: one block after the other, its threads on stacks of their own that take turns. A thread runs until it meets others (the block's
 * barrier, an exchange within its warp) or ends. Every second launch runs backwards, so that whoever reads what another thread has not yet written gets no
 * number, in one order or the other: shared memory is full of NaN when a block begins. Threads that wait for different things are found, and end the program.
 */
#include "threads.h"

#include "pawl_device.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Boost.Context, in assembly: a switch is a few instructions. */
extern "C" {
struct transfer_t {
    void *fctx;
    void *data;
};
transfer_t jump_fcontext(void *to, void *data);
void *make_fcontext(void *stack_top, size_t size, void (*fn)(transfer_t));
}

dim3 threadIdx, blockIdx, blockDim, gridDim;
alignas(128) uint4 pw_shared_room[emulated_shared_bytes_max / sizeof(uint4)];

namespace
{
constexpr size_t stack_bytes = size_t(128) << 10;
constexpr unsigned threads_max = 1024;

enum class waiting { none, block, warp, over };

struct thread {
    void *context;
    waiting at;
    emulated_op op;
    void *mine;
    unsigned index;
};

struct machine {
    thread threads[threads_max];
    char *stacks = nullptr;
    unsigned running = 0, len = 0;
    void *scheduler = nullptr;
    const emulated_work *kernel = nullptr;
};
machine m;

[[noreturn]] void stuck(const char *why)
{
    (void)fprintf(stderr, "emulated device: block %u, thread %u of %u: %s\n", blockIdx.x, m.running, m.len, why);
    abort();
}

void give_way()
{
    m.scheduler = jump_fcontext(m.scheduler, nullptr).fctx;
}

void run_thread(transfer_t from)
{
    m.scheduler = from.fctx;
    (*m.kernel)();
    m.threads[m.running].at = waiting::over;
    give_way();
    stuck("went on after its end");
}

void make_threads(unsigned len)
{
    if (m.stacks == nullptr) {
        void *at = mmap(nullptr, threads_max * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) {
            stuck("no memory for stacks");
        }
        m.stacks = static_cast<char *>(at);
    }
    m.len = len;
    for (unsigned i = 0; i < len; i++) {
        ASAN_UNPOISON_MEMORY_REGION(m.stacks + (i + 1) * stack_bytes - 1024, 1024); /* the frame of a thread that ended there */
        m.threads[i] = {make_fcontext(m.stacks + (i + 1) * stack_bytes, stack_bytes, run_thread), waiting::none, nullptr, nullptr, i};
    }
}

/* Runs a thread until it waits or ends. */
void resume(thread *t)
{
    m.running = t->index;
    threadIdx = dim3(t->index);
    t->context = jump_fcontext(t->context, nullptr).fctx;
}

/* All that are left have come to the barrier. */
bool open_barrier()
{
    unsigned waiting_len = 0, over = 0;
    for (unsigned i = 0; i < m.len; i++) {
        waiting_len += m.threads[i].at == waiting::block ? 1 : 0;
        over += m.threads[i].at == waiting::over ? 1 : 0;
    }
    if (waiting_len == 0 || waiting_len + over < m.len) {
        return false;
    }
    for (unsigned i = 0; i < m.len; i++) {
        m.threads[i].at = m.threads[i].at == waiting::block ? waiting::none : m.threads[i].at;
    }
    return true;
}

bool exchange(unsigned first)
{
    void *lanes[32];
    for (unsigned i = 0; i < 32; i++) {
        const thread &t = m.threads[first + i];
        if (t.at != waiting::warp) {
            return false;
        }
        if (t.op != m.threads[first].op) {
            stuck("the lanes of a warp exchange different things");
        }
        lanes[i] = t.mine;
    }
    m.threads[first].op(lanes);
    for (unsigned i = 0; i < 32; i++) {
        m.threads[first + i].at = waiting::none;
    }
    return true;
}

/* A warp runs until its lanes wait for others than each other. */
bool run_warp(unsigned first, bool backwards)
{
    bool moved = false;
    do {
        for (unsigned i = 0; i < 32; i++) {
            thread *t = &m.threads[first + (backwards ? 31 - i : i)];
            if (t->at == waiting::none) {
                resume(t);
                moved = true;
            }
        }
    } while (exchange(first));
    return moved;
}

void run_block(bool backwards, size_t shared_bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(pw_shared_room, emulated_shared_bytes_max);
    (void)memset(static_cast<void *>(pw_shared_room), 0xff, shared_bytes);
    ASAN_POISON_MEMORY_REGION(reinterpret_cast<char *>(pw_shared_room) + shared_bytes, emulated_shared_bytes_max - shared_bytes);
    make_threads(blockDim.x);
    bool moved = true;
    while (moved) {
        moved = false;
        for (unsigned warp = 0; warp < m.len / 32; warp++) {
            moved |= run_warp(32 * (backwards ? m.len / 32 - 1 - warp : warp), backwards);
        }
        moved |= open_barrier();
    }
    for (unsigned i = 0; i < m.len; i++) {
        if (m.threads[i].at != waiting::over) {
            m.running = i;
            stuck("waits for threads that never come");
        }
    }
    ASAN_UNPOISON_MEMORY_REGION(pw_shared_room, emulated_shared_bytes_max);
}

void wait_at(waiting what)
{
    m.threads[m.running].at = what;
    give_way();
}
} // namespace

void emulated_run(const dim3 &grid, const dim3 &block, size_t shared_bytes, bool backwards, const emulated_work &thread)
{
    m.kernel = &thread;
    gridDim = grid;
    blockDim = block;
    for (unsigned i = 0; i < grid.x; i++) {
        blockIdx = dim3(backwards ? grid.x - 1 - i : i);
        run_block(backwards, shared_bytes);
    }
}

void emulated_block(void)
{
    wait_at(waiting::block);
}

void emulated_warp(emulated_op op, void *mine, unsigned mask)
{
    if (mask != 0xffffffffu) {
        stuck("exchanges with a part of its warp");
    }
    m.threads[m.running].op = op;
    m.threads[m.running].mine = mine;
    wait_at(waiting::warp);
}
