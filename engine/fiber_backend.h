/*
 * fiber_backend.h - what one way of switching stacks must offer. fiber_boost.c and fiber_ucontext.c are the two; the build
 * compiles exactly one of them. A context knows two places: its own stack and whoever entered it last.
 */
#ifndef PW_FIBER_BACKEND_H
#define PW_FIBER_BACKEND_H

#include <stddef.h>

typedef struct pw_ctx pw_ctx;

/** Carves a context from the top of [low, low + size); entry(arg) starts at the first enter and must never return.
 * NULL when the stack cannot be used. Freed with the stack. */
pw_ctx *pw_ctx_init(void *low, size_t size, void (*entry)(void *arg), void *arg);
/** From outside: onto the context's stack, until it leaves. */
void pw_ctx_enter(pw_ctx *ctx);
/** From inside: back to the one who entered. */
void pw_ctx_leave(pw_ctx *ctx);
/** "boost" or "ucontext", for listings. */
const char *pw_ctx_backend(void);

#endif
