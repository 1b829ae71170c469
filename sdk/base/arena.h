/*
 * arena.h - the memory behind pawl_scope: bump allocation in blocks, all freed at once.
 *
 *   scope -> [block 4K] -> [block 8K] -> ...     a big request gets a block of its own
 *
 * Does not run destructors and does not free single objects.
 */
#ifndef PW_ARENA_H
#define PW_ARENA_H

#include "sdk/pawl_value.h"

typedef struct pw_mark {
    void *block;
    size_t used;
} pw_mark;

/** Blocks of the largest size that scopes gave back: a scope made with a pool takes them again, already in memory, instead of returning them to
 * the system page by page. One thread's; outlives its scopes; zero bytes make an empty one. */
typedef struct pw_pool {
    void *blocks;
    size_t len;
    size_t len_max;
} pw_pool;
/** NULL when out of memory. */
pawl_scope *pw_scope_new_in(pw_pool *pool);
void pw_pool_trim(pw_pool *pool);

/** As pawl_scope_new, with a byte maximum (0 = PW_SCOPE_BYTES_MAX); beyond it pw_alloc gives NULL. */
pawl_scope *pw_scope_new(size_t bytes_max);
/** Not zeroed, 16-byte aligned. NULL when out of memory or over the maximum. size 0 gives a valid pointer. */
void *pw_alloc(pawl_scope *scope, size_t size);
void *pw_memdup(pawl_scope *scope, const void *data, size_t size);
char *pw_strdup(pawl_scope *scope, const char *text);
char *pw_strndup(pawl_scope *scope, const char *text, size_t size);
char *pw_sprintf(pawl_scope *scope, const char *fmt, ...) PAWL_PRINTF(2, 3);
pw_mark pw_scope_mark(const pawl_scope *scope);
/** Frees everything allocated after the mark. */
void pw_scope_rewind(pawl_scope *scope, pw_mark mark);
/** Frees everything, keeps the first block. */
void pw_scope_reset(pawl_scope *scope);
/** Something that was to be in it is not: an allocation failed, or pw_scope_fail was called. What was built of it cannot be trusted: values
 * that found no memory look like nil. Stays so until the scope is reset or healed. */
bool pw_scope_failed(const pawl_scope *scope);
void pw_scope_fail(pawl_scope *scope);
void pw_scope_heal(pawl_scope *scope); /* everything built since has been thrown away */
size_t pw_scope_bytes(const pawl_scope *scope);

#endif
