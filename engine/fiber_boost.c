/*
 * fiber_boost.c - stack switching by Boost.Context's assembly (fcontext), linked statically: about ten nanoseconds a
 * switch, no system call. The three declarations below are its stable C ABI; its headers are C++ and are not used.
 *
 * Does not map stacks, count them or tell sanitizers: fiber.c does.
 */
#include <stdint.h>

#include "engine/fiber_backend.h"

typedef void *fcontext_t;
typedef struct transfer_t {
    fcontext_t fctx; /* where the jump came from */
    void *data;
} transfer_t;
extern transfer_t jump_fcontext(fcontext_t to, void *data);
extern fcontext_t make_fcontext(void *stack_top, size_t size, void (*fn)(transfer_t));

struct pw_ctx {
    fcontext_t self;
    fcontext_t other;
    void (*entry)(void *arg);
    void *arg;
};

static void first_entry(transfer_t from)
{
    pw_ctx *ctx = from.data;
    ctx->other = from.fctx;
    ctx->entry(ctx->arg);
    __builtin_trap(); /* entry leaves, it never returns */
}

pw_ctx *pw_ctx_init(void *low, size_t size, void (*entry)(void *arg), void *arg)
{
    const size_t room = (sizeof(pw_ctx) + 63u) & ~(size_t)63u;
    pw_ctx *ctx = (pw_ctx *)(void *)((char *)low + size - room);
    ctx->entry = entry;
    ctx->arg = arg;
    ctx->other = NULL;
    ctx->self = make_fcontext(ctx, size - room, first_entry);
    return ctx->self != NULL ? ctx : NULL;
}

void pw_ctx_enter(pw_ctx *ctx)
{
    ctx->self = jump_fcontext(ctx->self, ctx).fctx;
}

void pw_ctx_leave(pw_ctx *ctx)
{
    ctx->other = jump_fcontext(ctx->other, ctx).fctx;
}

const char *pw_ctx_backend(void)
{
    return "boost";
}
