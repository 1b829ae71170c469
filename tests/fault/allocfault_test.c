/*
 * allocfault_test.c - every allocation of ours and of SQLite's fails once: no crash, no leak,
 * nothing acked lost.
 *
 * A loop that ends by itself: the first allocation fails, the second, ... until a run in which
 * none was left. Once, and from there on. Afterwards memory is there again and the journal must
 * open and hold what the model says. Does not fail the test's own allocations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sdk/base/mem.h"
#include "tests/fault/ramdisk.h"
#include "tests/fault/world.h"

/* ---- SQLite's allocator, with a fault ---- */

static sqlite3_mem_methods real;
static int64_t sqlite_count;
static int64_t sqlite_nth;
static bool sqlite_sticky;
static bool sqlite_failed;

static bool refuses(void)
{
    sqlite_count++;
    bool refused = sqlite_nth > 0 &&
                   (sqlite_count == sqlite_nth || (sqlite_sticky && sqlite_count > sqlite_nth));
    sqlite_failed |= refused;
    return refused;
}

static void *sqlite_malloc_or_not(int size)
{
    return refuses() ? NULL : real.xMalloc(size);
}

static void *sqlite_realloc_or_not(void *old, int size)
{
    return refuses() ? NULL : real.xRealloc(old, size);
}

static void fail_sqlite(int64_t nth, bool sticky)
{
    sqlite_count = 0;
    sqlite_nth = nth;
    sqlite_sticky = sticky;
    sqlite_failed = false;
}

/* ---- the loop ---- */

/** One fault. False: nothing was left to fail. */
static bool try_fault(world *w, bool of_sqlite, uint64_t seed, int64_t nth, bool sticky)
{
    bool failed = false;
    ram_format(0);
    world_init(w, 0, seed);
    w->env.checkpoint_frames = 12;
    world_live(w, 3);
    if (of_sqlite) {
        fail_sqlite(nth, sticky);
        world_live(w, 4);
        failed = sqlite_failed;
        fail_sqlite(0, false);
    } else {
        pw_mem_fail(nth, sticky);
        world_live(w, 4);
        (void)pw_mem_count(&failed);
        pw_mem_fail(0, false);
    }
    world_kill(w);
    if (w->problem[0] == '\0') {
        (void)world_open(w);
        if (w->j == NULL) {
            snprintf(w->problem, sizeof(w->problem), "does not open when memory is back: %s",
                     w->err.message);
        }
        world_kill(w);
    }
    if (w->problem[0] == '\0') {
        uint64_t lots = 1;
        ram_image(1, 0, RAM_DROP_ALL, &lots);
        (void)world_check(w, 1, nth % 16 == 0);
    }
    if (w->problem[0] != '\0') {
        fail_msg("allocation %lld of %s%s, seed %llu: %s", (long long)nth,
                 of_sqlite ? "SQLite" : "pawl", sticky ? ", sticky" : "", (unsigned long long)seed,
                 w->problem);
    }
    world_deinit(w);
    return failed;
}

static void loop(bool of_sqlite)
{
    world *w = calloc(1, sizeof(*w));
    int64_t faults = 0;
    /* SQLite makes some 2,600 allocations in such a life: every one of them in the long run, one in seven otherwise */
    int64_t stride = of_sqlite && getenv("PAWL_LONG") == NULL ? 7 : 1;
    assert_non_null(w);
    for (int sticky = 0; sticky < 2; sticky++) {
        int64_t nth = 1;
        while (try_fault(w, of_sqlite, 2, nth, sticky != 0)) {
            nth += stride;
            faults++;
        }
    }
    print_message("%lld faults\n", (long long)faults);
    assert_true(faults > 10);
    free(w);
}

static void no_failed_allocation_of_ours_loses_anything(void **state)
{
    (void)state;
    loop(false);
}

static void no_failed_allocation_of_sqlites_loses_anything(void **state)
{
    (void)state;
    loop(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_allocation_of_ours_loses_anything),
        cmocka_unit_test(no_failed_allocation_of_sqlites_loses_anything),
    };
    /* a test may configure SQLite: nobody else is in this process */
    sqlite3_mem_methods mine;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK) {
        return 1;
    }
    mine = real;
    mine.xMalloc = sqlite_malloc_or_not;
    mine.xRealloc = sqlite_realloc_or_not;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) != SQLITE_OK) {
        return 1;
    }
    ram_register();
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
