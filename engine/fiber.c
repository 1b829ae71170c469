/*
 * fiber.c - stacks for workflow code: mapping, pooling, measuring and telling the sanitizers.
 *
 *   map:  [ guard, no access | ............ stack ............ | context ]
 *          low end                                     grows <-- top
 *
 * A mapping goes through new -> live -> pooled -> live -> ... -> unmapped. The pool and the registry of mappings belong to the
 * process, because a signal handler has no other way to them; they are the only mutable globals of the engine. The registry
 * is written under the mutex and read without it: slots are never freed, and their fields are atomic.
 *
 * Depth is measured by what is not zero: a fresh mapping is zero, and a pooled stack is made zero again when it is given back
 * (deep pages are returned to the kernel, the warm ones are cleared).
 *
 * Does not schedule, does not move fibers between threads, does not run destructors of what a discarded stack held.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "engine/fiber.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/fiber_annotate.h"
#include "engine/fiber_backend.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

typedef enum fiber_state { FIBER_NEW, FIBER_SUSPENDED, FIBER_RUNNING, FIBER_DONE } fiber_state;

/* Where a guard is, for the signal handler. */
typedef struct guard_slot {
    atomic_uintptr_t low; /* of the guard; 0 = free slot */
    _Atomic(void *) arg;
    atomic_bool live;
    struct guard_slot *next_free;
} guard_slot;

enum { SLOTS_PER_BLOCK = 512 };
typedef struct guard_block {
    _Atomic(struct guard_block *) next;
    guard_slot slots[SLOTS_PER_BLOCK];
} guard_block;

struct pw_fiber {
    pw_fiber_fn fn;
    void *arg;
    char *map;
    char *low; /* of the stack, above the guard */
    size_t size;
    pw_ctx *ctx;
    fiber_state state;
    pw_side self;
    pw_side host;
    guard_slot *slot;
    pw_fiber *next; /* in the pool */
};

static struct {
    pthread_mutex_t lock;
    pw_fiber *pooled;
    size_t pooled_len;
    guard_slot *free_slots;
    _Atomic(guard_block *) blocks;
} stacks = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the registry of guards ---- */

static bool slots_grow(void)
{
    guard_block *block = pw_calloc(1, sizeof *block);
    if (block == NULL) {
        return false;
    }
    for (size_t i = 0; i < SLOTS_PER_BLOCK; i++) {
        block->slots[i].next_free = stacks.free_slots;
        stacks.free_slots = &block->slots[i];
    }
    atomic_store(&block->next, atomic_load(&stacks.blocks));
    atomic_store(&stacks.blocks, block);
    return true;
}

static guard_slot *slot_take(const char *guard)
{
    pthread_mutex_lock(&stacks.lock);
    guard_slot *slot = NULL;
    if (stacks.free_slots != NULL || slots_grow()) {
        slot = stacks.free_slots;
        stacks.free_slots = slot->next_free;
        atomic_store(&slot->low, (uintptr_t)guard);
    }
    pthread_mutex_unlock(&stacks.lock);
    return slot;
}

static void slot_give(guard_slot *slot)
{
    pthread_mutex_lock(&stacks.lock);
    atomic_store(&slot->low, 0);
    slot->next_free = stacks.free_slots;
    stacks.free_slots = slot;
    pthread_mutex_unlock(&stacks.lock);
}

bool pw_fiber_guard_hit(const void *addr, void **ret_arg)
{
    const uintptr_t at = (uintptr_t)addr;
    for (guard_block *b = atomic_load(&stacks.blocks); b != NULL; b = atomic_load(&b->next)) {
        for (size_t i = 0; i < SLOTS_PER_BLOCK; i++) {
            const uintptr_t low = atomic_load(&b->slots[i].low);
            if (low != 0 && at >= low && at - low < PW_STACK_GUARD_BYTES &&
                atomic_load(&b->slots[i].live)) {
                *ret_arg = atomic_load(&b->slots[i].arg);
                return true;
            }
        }
    }
    return false;
}

/* ---- mappings ---- */

static size_t page_round(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static void stack_unmap(pw_fiber *f)
{
    if (f->slot != NULL) {
        slot_give(f->slot);
    }
    if (f->map != NULL) {
        pw_note_valgrind_dead(&f->self);
        munmap(f->map, PW_STACK_GUARD_BYTES + f->size);
    }
    pw_free(f);
}

static pw_fiber *stack_map(size_t size)
{
    pw_fiber *f = pw_calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    char *map = mmap(NULL, PW_STACK_GUARD_BYTES + size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        pw_free(f);
        return NULL;
    }
    f->map = map;
    f->low = map + PW_STACK_GUARD_BYTES;
    f->size = size;
    f->self.low = f->low;
    f->self.size = size;
    pw_note_valgrind_live(&f->self);
    if (mprotect(f->low, size, PROT_READ | PROT_WRITE) != 0 || (f->slot = slot_take(map)) == NULL) {
        stack_unmap(f);
        return NULL;
    }
    (void)madvise(f->low, size,
                  MADV_NOHUGEPAGE); /* else one touched page may cost 2 MiB; may be unsupported */
    return f;
}

static pw_fiber *pool_take(size_t size)
{
    pthread_mutex_lock(&stacks.lock);
    pw_fiber *f = size == page_round(PW_STACK_BYTES) ? stacks.pooled : NULL;
    if (f != NULL) {
        stacks.pooled = f->next;
        stacks.pooled_len--;
    }
    pthread_mutex_unlock(&stacks.lock);
    return f;
}

static bool pool_give(pw_fiber *f)
{
    pthread_mutex_lock(&stacks.lock);
    const bool room =
        stacks.pooled_len < PW_STACKS_POOLED_MAX && f->size == page_round(PW_STACK_BYTES);
    if (room) {
        f->next = stacks.pooled;
        stacks.pooled = f;
        stacks.pooled_len++;
    }
    pthread_mutex_unlock(&stacks.lock);
    return room;
}

void pw_fiber_trim(void)
{
    pthread_mutex_lock(&stacks.lock);
    pw_fiber *f = stacks.pooled;
    stacks.pooled = NULL;
    stacks.pooled_len = 0;
    pthread_mutex_unlock(&stacks.lock);
    while (f != NULL) {
        pw_fiber *next = f->next;
        stack_unmap(f);
        f = next;
    }
}

/* ---- depth ---- */

enum { PAGES_AT_A_TIME = 512 };

/* Offset of the lowest page that is in memory; size when none is. */
static size_t lowest_resident(const pw_fiber *f)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char in_memory[PAGES_AT_A_TIME];
    for (size_t at = 0; at < f->size; at += PAGES_AT_A_TIME * page) {
        const size_t len =
            f->size - at < PAGES_AT_A_TIME * page ? f->size - at : PAGES_AT_A_TIME * page;
        if (mincore(f->low + at, len, in_memory) != 0) {
            return at;
        }
        for (size_t i = 0; i < len / page; i++) {
            if ((in_memory[i] & 1u) != 0) {
                return at + i * page;
            }
        }
    }
    return f->size;
}

enum { LINE = 64 }; /* looked at together; a stack is whole pages of them */

/* Reads frames that are poisoned for everybody else. */
PW_NO_ASAN static bool is_zero(const char *line)
{
    const uint64_t *w = (const uint64_t *)(const void *)line;
    return (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]) == 0;
}

PW_NO_ASAN size_t pw_fiber_peak(const pw_fiber *f)
{
    size_t at = lowest_resident(f);
    while (!pw_note_valgrind_on() && at < f->size && is_zero(f->low + at)) {
        at += LINE;
    }
    while (!pw_note_valgrind_on() && at < f->size &&
           *(const uint64_t *)(const void *)(f->low + at) == 0) {
        at += sizeof(uint64_t);
    }
    return f->size - at;
}

/* Zero again, and no more than the warm pages in memory: above the peak it is zero already. Gives the peak. */
static size_t stack_clear(pw_fiber *f)
{
    const size_t peak = pw_fiber_peak(f);
    const size_t low = f->size - peak;
    const size_t warm = pw_note_valgrind_on() ? f->size : f->size - PW_STACK_WARM_BYTES;
    if (low < warm) {
        (void)madvise(f->low, warm, MADV_DONTNEED);
    }
    const size_t from = low > warm ? low : warm;
    memset(f->low + from, 0, f->size - from);
    return peak;
}

/* ---- life ---- */

static void fiber_main(void *arg)
{
    pw_fiber *f = arg;
    pw_note_asan_arrive(&f->self, &f->host);
    f->fn(f->arg);
    f->state = FIBER_DONE;
    pw_note_asan_leave(&f->self, &f->host, true);
    pw_note_tsan_leave(&f->host);
    pw_ctx_leave(f->ctx);
}

size_t pw_fiber_bytes(size_t stack_bytes)
{
    if (stack_bytes == 0) {
        stack_bytes = PW_STACK_BYTES;
    }
    return page_round(stack_bytes < PW_STACK_BYTES_MIN ? PW_STACK_BYTES_MIN : stack_bytes);
}

pawl_status pw_fiber_new(pw_fiber_fn fn, void *arg, size_t stack_bytes, pw_fiber **ret_fiber,
                         pawl_error *err)
{
    if (stack_bytes > PW_STACK_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT, "a stack of %zu bytes is more than %u", stack_bytes,
                      PW_STACK_BYTES_MAX);
    }
    const size_t size = pw_fiber_bytes(stack_bytes);
    pw_fiber *f = pool_take(size);
    if (f == NULL) {
        f = stack_map(size);
    }
    if (f == NULL) {
        return pw_err(
            err, PAWL_NOMEM,
            "no memory for a stack of %zu bytes (two mappings each: see vm.max_map_count)", size);
    }
    f->fn = fn;
    f->arg = arg;
    f->next = NULL;
    f->state = FIBER_NEW;
    f->ctx = pw_ctx_init(f->low, f->size, fiber_main, f);
    if (f->ctx == NULL) {
        stack_unmap(f);
        return pw_err(err, PAWL_NOMEM, "a stack of %zu bytes cannot be prepared", size);
    }
    pw_note_asan_live(&f->self);
    pw_note_tsan_live(&f->self);
    atomic_store(&f->slot->arg, arg);
    atomic_store(&f->slot->live, true);
    *ret_fiber = f;
    return PAWL_OK;
}

bool pw_fiber_resume(pw_fiber *f)
{
    PW_CHECK(f->state == FIBER_NEW || f->state == FIBER_SUSPENDED);
    f->state = FIBER_RUNNING;
    pw_note_tsan_self(&f->host);
    pw_note_asan_leave(&f->host, &f->self, false);
    pw_note_tsan_leave(&f->self);
    pw_ctx_enter(f->ctx);
    pw_note_asan_arrive(&f->host, NULL);
    return f->state != FIBER_DONE;
}

void pw_fiber_yield(pw_fiber *f)
{
    PW_CHECK(f->state == FIBER_RUNNING);
    f->state = FIBER_SUSPENDED;
    pw_note_asan_leave(&f->self, &f->host, false);
    pw_note_tsan_leave(&f->host);
    pw_ctx_leave(f->ctx);
    pw_note_asan_arrive(&f->self, &f->host);
}

size_t pw_fiber_free(pw_fiber *f)
{
    if (f == NULL) {
        return 0;
    }
    PW_CHECK(f->state != FIBER_RUNNING);
    atomic_store(&f->slot->live, false);
    pw_note_asan_dead(&f->self);
    pw_note_tsan_dead(&f->self);
    const size_t peak = stack_clear(f);
    if (!pool_give(f)) {
        stack_unmap(f);
    }
    return peak;
}
