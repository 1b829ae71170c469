/*
 * iofault_test.c - every read, write, sync, truncation and opening fails once: nothing acked is
 * lost, nothing is made up.
 *
 * A loop that ends by itself: the first operation fails, the second, ... until a run in which none
 * was left to fail. Each with EIO, ENOSPC and a short read, once and from there on; then the fault
 * goes away, or the power does, and the journal must open and hold exactly what the model says.
 * PAWL_LONG=1 takes more scenarios. Does not fail two things at a time.
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

#include "tests/fault/ramdisk.h"
#include "tests/fault/world.h"

typedef struct kind {
    const char *name;
    unsigned ops;
    ram_error error;
} kind;

static const kind kinds[] = {
    {"EIO on reads", RAM_READ, RAM_EIO},   {"short reads", RAM_READ, RAM_SHORT},
    {"EIO on writes", RAM_WRITE, RAM_EIO}, {"ENOSPC on writes", RAM_WRITE, RAM_ENOSPC},
    {"EIO on syncs", RAM_SYNC, RAM_EIO},   {"EIO on truncations", RAM_TRUNCATE, RAM_EIO},
    {"failed opens", RAM_OPEN, RAM_EIO},   {"EIO on anything", RAM_ANY, RAM_EIO},
};

/** One fault. False: nothing was left to fail. */
static bool try_fault(world *w, const kind *k, uint64_t seed, int64_t nth, bool sticky, bool cut)
{
    uint64_t lots = seed * 31 + (uint64_t)nth;
    int64_t failed = 0;
    ram_format(0);
    world_init(w, 0, seed);
    w->env.checkpoint_frames = 12;
    world_live(w, 4); /* sound so far: the fault meets an old file, too */
    ram_fail(0, k->ops, k->error, nth, sticky, lots);
    world_live(w, 6);
    (void)ram_ops(0, &failed);
    ram_fail(0, 0, RAM_EIO, 0, false, 0);
    world_kill(w);
    if (w->problem[0] == '\0') {
        if (cut) {
            ram_image(1, 0, (ram_cut)(ram_random(&lots) % 3), &lots);
            (void)world_check(w, 1, nth % 8 == 0);
        } else {
            pw_wal_mark mark = w->mark;
            (void)world_open(w);
            if (w->j == NULL) {
                snprintf(w->problem, sizeof(w->problem),
                         "does not open when the fault is over (mark %u): %s", mark.state,
                         w->err.message);
            }
            world_kill(w);
        }
    }
    if (w->problem[0] != '\0') {
        fail_msg("%s, number %lld%s%s, seed %llu: %s", k->name, (long long)nth,
                 sticky ? ", sticky" : "", cut ? ", then a power cut" : "",
                 (unsigned long long)seed, w->problem);
    }
    world_deinit(w);
    return failed > 0;
}

/** Every operation of one kind, one after the other. Variants: once or from there on, with or without a power cut. */
static int64_t sweep(world *w, const kind *k, uint64_t seed, unsigned variant)
{
    int64_t nth = 1;
    while (try_fault(w, k, seed, nth, (variant & 1) != 0, (variant & 2) != 0)) {
        nth++;
    }
    return nth - 1;
}

static void no_failed_operation_loses_or_invents_anything(void **state)
{
    (void)state;
    int64_t faults = 0;
    uint64_t seeds = getenv("PAWL_LONG") != NULL ? 200 : 1;
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        for (unsigned i = 0; i < 4 * sizeof(kinds) / sizeof(kinds[0]); i++) {
            faults += sweep(w, &kinds[i / 4], seed, i % 4);
        }
    }
    print_message("%lld faults\n", (long long)faults);
    assert_true(faults > 1000);
    free(w);
}

/* False: no sync was left to fail. */
static bool try_idle_sync(world *w, int64_t nth)
{
    int64_t failed = 0;
    ram_format(0);
    world_init(w, 0, 7);
    assert_int_equal(world_open(w), PAWL_OK);
    for (int i = 0; i < 60; i++) {
        (void)world_step(w);
    }
    ram_fail(0, RAM_SYNC, RAM_EIO, nth, false, (uint64_t)nth);
    (void)w->j->ops->idle(w->j);
    (void)ram_ops(0, &failed);
    ram_fail(0, 0, RAM_EIO, 0, false, 0);
    if (failed > 0) {
        pawl_status st = world_step(w);
        if (st != PAWL_UNKNOWN) { /* NOT would be for ever: nobody would reopen */
            fail_msg("after sync %lld of idleness failed the next group ends as %s", (long long)nth,
                     pawl_status_name(st));
        }
        assert_int_equal(world_recover(w), PAWL_OK);
        assert_int_equal(world_step(w), PAWL_OK);
    }
    assert_string_equal(w->problem, "");
    world_kill(w);
    world_deinit(w);
    return failed > 0;
}

static void a_sync_that_fails_in_idleness_is_told_to_the_next_group(void **state)
{
    (void)state;
    int64_t nth = 1;
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    while (try_idle_sync(w, nth)) {
        nth++;
    }
    assert_true(nth > 2); /* the compaction's and the checkpoint's */
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failed_operation_loses_or_invents_anything),
        cmocka_unit_test(a_sync_that_fails_in_idleness_is_told_to_the_next_group),
    };
    /* its statistics of memory cost a fifth of the time, and nobody asks for them */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    ram_register();
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
