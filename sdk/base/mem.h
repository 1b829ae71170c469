/*
 * mem.h - the one door to the heap. Everything of ours allocates through it, so that a test can fail the n-th allocation.
 */
#ifndef PW_MEM_H
#define PW_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *pw_malloc(size_t size);
void *pw_calloc(size_t count, size_t size); /* zeroed */
void *pw_realloc(void *old, size_t size);
void pw_free(void *p); /* accepts NULL */

/** Tests: the n-th allocation from now on fails (1 = the next); sticky: all after it too. 0 switches it off. */
void pw_mem_fail(int64_t nth, bool sticky);
/** Tests: while held, allocations neither fail nor count: the test's own. Returns what was. */
bool pw_mem_hold(bool hold);
/** Allocations since the last pw_mem_fail, and whether one was made to fail. */
int64_t pw_mem_count(bool *ret_failed);

#endif
