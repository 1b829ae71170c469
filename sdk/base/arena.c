/*
 * arena.c - bump allocation in a chain of blocks; the first block is part of the scope's own allocation. Large blocks may come from a pool.
 * Does not free single objects and does not run destructors.
 */
#include "sdk/base/arena.h"

#include <stdio.h>
#include <string.h>

#include "sdk/base/error.h"
#include "sdk/base/limits.h"
#include "sdk/base/mem.h"

#define FIRST_BYTES \
    928 /* with both headers 1 KiB: the largest that malloc still keeps ready per thread */
#define BLOCK_BYTES_MAX (256u << 10)
#define ALIGN 16u

typedef struct block {
    struct block *prev;
    size_t used, capacity;
    size_t pad;
    max_align_t data[];
} block;

struct pawl_scope {
    block *top;
    size_t bytes, bytes_max;
    size_t next_size;
    block *first; /* right behind this struct */
    pw_pool *pool;
    bool failed;
    size_t pad[1];
};
_Static_assert(sizeof(struct pawl_scope) % ALIGN == 0, "the first block is aligned");

pawl_scope *pw_scope_new(size_t bytes_max)
{
    pawl_scope *s = pw_malloc(sizeof *s + sizeof(block) + FIRST_BYTES);
    if (s == NULL) {
        return NULL;
    }
    s->bytes_max = bytes_max > 0 ? bytes_max : PW_SCOPE_BYTES_MAX;
    s->bytes = FIRST_BYTES;
    s->failed = false;
    s->next_size = 4096;
    s->first = (block *)(s + 1);
    *s->first = (block){.prev = NULL, .used = 0, .capacity = FIRST_BYTES};
    s->top = s->first;
    s->pool = NULL;
    return s;
}

pawl_scope *pw_scope_new_in(pw_pool *pool)
{
    pawl_scope *s = pw_scope_new(0);
    if (s != NULL) {
        s->pool = pool;
    }
    return s;
}

void pw_pool_trim(pw_pool *pool)
{
    while (pool->blocks != NULL) {
        block *b = pool->blocks;
        pool->blocks = b->prev;
        pw_free(b);
    }
    pool->len = 0;
}

static void drop_block(pw_pool *pool, block *b)
{
    if (pool == NULL || b->capacity != BLOCK_BYTES_MAX || pool->len >= pool->len_max) {
        pw_free(b);
        return;
    }
    b->prev = pool->blocks;
    pool->blocks = b;
    pool->len++;
}

static block *make_block(pw_pool *pool, size_t capacity)
{
    if (pool == NULL || capacity != BLOCK_BYTES_MAX || pool->blocks == NULL) {
        return pw_malloc(sizeof(block) + capacity);
    }
    block *b = pool->blocks;
    pool->blocks = b->prev;
    pool->len--;
    return b;
}

pawl_scope *pawl_scope_new(void)
{
    return pw_scope_new(0);
}

static void pop(pawl_scope *s)
{
    block *b = s->top;
    s->top = b->prev;
    s->bytes -= b->capacity;
    drop_block(s->pool, b);
}

void pw_scope_reset(pawl_scope *s)
{
    while (s->top != s->first) {
        pop(s);
    }
    s->first->used = 0;
    s->next_size = 4096;
    s->failed = false;
}

void pawl_scope_free(pawl_scope *s)
{
    if (s != NULL) {
        pw_scope_reset(s);
        pw_free(s);
    }
}

static block *grow(pawl_scope *s, size_t size)
{
    size_t capacity = size > s->next_size ? size : s->next_size;
    if (capacity > s->bytes_max || s->bytes > s->bytes_max - capacity) {
        return NULL;
    }
    block *b = make_block(s->pool, capacity);
    if (b == NULL) {
        return NULL;
    }
    *b = (block){.prev = s->top, .used = 0, .capacity = capacity};
    s->top = b;
    s->bytes += capacity;
    if (s->next_size < BLOCK_BYTES_MAX) {
        s->next_size *= 2;
    }
    return b;
}

void *pw_alloc(pawl_scope *s, size_t size)
{
    if (size > SIZE_MAX / 2) {
        s->failed = true;
        return NULL;
    }
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (need == 0) {
        need = ALIGN;
    }
    block *b = s->top;
    if (b->capacity - b->used < need) {
        b = grow(s, need);
        if (b == NULL) {
            s->failed = true;
            return NULL;
        }
    }
    void *p = (uint8_t *)b->data + b->used;
    b->used += need;
    return p;
}

void *pawl_scope_alloc(pawl_scope *s, size_t size)
{
    void *p = pw_alloc(s, size);
    return p != NULL ? memset(p, 0, size) : NULL;
}

void *pw_memdup(pawl_scope *s, const void *data, size_t size)
{
    void *p = pw_alloc(s, size);
    if (p != NULL && size > 0) {
        memcpy(p, data, size);
    }
    return p;
}

char *pw_strndup(pawl_scope *s, const char *text, size_t size)
{
    char *p = pw_alloc(s, size + 1);
    if (p != NULL) {
        if (size > 0) {
            memcpy(p, text, size);
        }
        p[size] = 0;
    }
    return p;
}

char *pw_strdup(pawl_scope *s, const char *text)
{
    return pw_strndup(s, text, strlen(text));
}

char *pw_sprintf(pawl_scope *s, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n >= 0 ? pw_alloc(s, (size_t)n + 1) : NULL;
    if (p != NULL) {
        (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    return p;
}

pw_mark pw_scope_mark(const pawl_scope *s)
{
    return (pw_mark){s->top, s->top->used};
}

void pw_scope_rewind(pawl_scope *s, pw_mark mark)
{
    while (s->top != mark.block) {
        PW_CHECK(s->top != s->first);
        pop(s);
    }
    s->top->used = mark.used;
}

bool pw_scope_failed(const pawl_scope *s)
{
    return s->failed;
}

void pw_scope_fail(pawl_scope *s)
{
    s->failed = true;
}

void pw_scope_heal(pawl_scope *s)
{
    s->failed = false;
}

size_t pw_scope_bytes(const pawl_scope *s)
{
    return s->bytes;
}
