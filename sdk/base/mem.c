/*
 * mem.c - malloc with a test hook: one predictable branch on an atomic counter that is zero outside tests.
 * Does not keep statistics.
 */
#include "sdk/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The one mutable global of the tree: a fault cannot be injected through objects that do not exist yet. */
static atomic_llong fail_at;
static atomic_llong seen;
static atomic_bool fail_sticky;
static atomic_bool did_fail;
static atomic_bool held;

static bool must_fail(void)
{
    long long at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0 || atomic_load(&held)) {
        return false;
    }
    long long n = atomic_fetch_add(&seen, 1) + 1;
    bool hit = n == at || (n > at && atomic_load(&fail_sticky));
    if (hit) {
        atomic_store(&did_fail, true);
    }
    return hit;
}

void *pw_malloc(size_t size)
{
    return must_fail() ? NULL : malloc(size > 0 ? size : 1);
}

void *pw_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count > 0 ? count : 1, size > 0 ? size : 1);
}

void *pw_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : realloc(old, size > 0 ? size : 1);
}

void pw_free(void *p)
{
    free(p);
}

void pw_mem_fail(int64_t nth, bool sticky)
{
    atomic_store(&seen, 0);
    atomic_store(&did_fail, false);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_at, nth);
}

bool pw_mem_hold(bool hold)
{
    return atomic_exchange(&held, hold);
}

int64_t pw_mem_count(bool *ret_failed)
{
    *ret_failed = atomic_load(&did_fail);
    return atomic_load(&seen);
}
