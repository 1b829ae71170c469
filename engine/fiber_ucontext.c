/*
 * fiber_ucontext.c - stack switching by ucontext, for machines without Boost.Context. Each switch costs two system calls
 * (the signal mask), about half a microsecond.
 *
 * Does not map stacks, count them or tell sanitizers: fiber.c does.
 */
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "engine/fiber_backend.h"

struct pw_ctx {
    ucontext_t self;
    ucontext_t other;
    void (*entry)(void *arg);
    void *arg;
};

/* makecontext passes ints only: the pointer travels in two halves. */
static void first_entry(unsigned high, unsigned low)
{
    pw_ctx *ctx = (pw_ctx *)(uintptr_t)(((uint64_t)high << 32) | low);
    ctx->entry(ctx->arg);
    __builtin_trap(); /* entry leaves, it never returns */
}

/* getcontext returns once here, but compilers treat it as setjmp: it stands alone. */
static bool context_get(ucontext_t *ret_context)
{
    return getcontext(ret_context) == 0;
}

pw_ctx *pw_ctx_init(void *low, size_t size, void (*entry)(void *arg), void *arg)
{
    const size_t room = (sizeof(pw_ctx) + 63u) & ~(size_t)63u;
    pw_ctx *ctx = (pw_ctx *)(void *)((char *)low + size - room);
    if (!context_get(&ctx->self)) {
        return NULL;
    }
    const uint64_t bits = (uint64_t)(uintptr_t)ctx;
    ctx->entry = entry;
    ctx->arg = arg;
    ctx->self.uc_stack.ss_sp = low;
    ctx->self.uc_stack.ss_size = size - room;
    ctx->self.uc_link = NULL;
    makecontext(&ctx->self, (void (*)(void))(uintptr_t)first_entry, 2, (unsigned)(bits >> 32),
                (unsigned)bits);
    return ctx;
}

void pw_ctx_enter(pw_ctx *ctx)
{
    (void)swapcontext(&ctx->other, &ctx->self); /* fails only for a bad address */
}

void pw_ctx_leave(pw_ctx *ctx)
{
    (void)swapcontext(&ctx->self, &ctx->other);
}

const char *pw_ctx_backend(void)
{
    return "ucontext";
}
