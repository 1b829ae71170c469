/*
 * powercut_test.c - the power fails at any write: everything that was acked is there afterwards.
 *
 * A scenario runs on disk 0. Before each write, sync and truncation an image is taken, as a power
 * cut at this moment could leave it, and opened on disk 1. In half of the scenarios a sync fails
 * somewhere: then the rite, or a killed process and a new one, and on it goes under the same
 * scrutiny. PAWL_LONG=1 takes five million images, PAWL_IMAGES=n sets the number of
 * images, PAWL_SEED=n runs one scenario. Does not model a disk that lies about a sync.
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

#ifndef POWERCUT_IMAGES
#define POWERCUT_IMAGES 52000
#endif

typedef struct cutter {
    world *w;
    uint64_t seed;
    int64_t images;
    int64_t images_max;   /* of this scenario */
    int64_t after_failed; /* images taken after a failed sync */
    int64_t failed_syncs;
    bool sync_failed;
    bool killed;      /* the process died within an operation */
    pw_wal_mark mark; /* as it was then */
    int64_t kills;
    bool bad;
} cutter;

static int64_t failed_ops(void)
{
    int64_t failed = 0;
    (void)ram_ops(0, &failed);
    return failed;
}

static void cut_here(void *ctx, ram_op op)
{
    cutter *c = ctx;
    (void)op;
    if (!c->killed && ram_random(&c->seed) % 400 == 0) {
        c->killed = true;
        c->mark = c->w->mark;
        c->kills++;
        ram_freeze(0);
        return;
    }
    /* one moment in three, so that a run covers many scenarios */
    if (c->bad || c->images >= c->images_max || ram_random(&c->seed) % 3 != 0) {
        return;
    }
    ram_cut cut = (ram_cut)(ram_random(&c->seed) % 3);
    ram_image(1, 0, cut, &c->seed);
    c->images++;
    c->after_failed += failed_ops() > 0 || c->sync_failed ? 1 : 0;
    c->bad = !world_check(c->w, 1, c->images % 64 == 0);
}

/** A new process takes over, and may be killed or meet a failed sync in turn. What the dead one noted after it died it never
 * noted. */
static void take_over(cutter *c)
{
    world *w = c->w;
    for (int tries = 0; tries < 8; tries++) {
        if (c->killed) {
            c->killed = false;
            w->mark = c->mark;
        }
        if (failed_ops() > 0) {
            ram_fail(0, 0, RAM_EIO, 0, false, 0);
            c->sync_failed = true;
            c->failed_syncs++;
        }
        world_kill(w);
        if (world_open(w) == PAWL_OK) {
            return;
        }
        if (!c->killed && failed_ops() == 0) {
            break;
        }
    }
    c->bad = true;
    snprintf(w->problem, sizeof(w->problem), "opening after a crash: %s", w->err.message);
}

/** What the owner does after UNKNOWN, or what a new process does after it died of it. */
static void mend(cutter *c)
{
    world *w = c->w;
    bool rite = w->j != NULL && !c->killed && ram_random(&c->seed) % 2 == 0;
    if (!rite) {
        take_over(c);
        return;
    }
    ram_fail(0, 0, RAM_EIO, 0, false, 0);
    c->sync_failed = true;
    c->failed_syncs++;
    if (world_recover(w) != PAWL_OK && !c->killed) {
        c->bad = true;
        snprintf(w->problem, sizeof(w->problem), "the rite failed on a sound disk: %s",
                 w->err.message);
    }
}

static void step(cutter *c)
{
    world *w = c->w;
    uint64_t lot = ram_random(&c->seed) % 40;
    pawl_status st = PAWL_OK;
    if (lot == 0) {
        world_close(w);
        st = world_open(w);
    } else if (lot == 1) {
        take_over(c);
    } else if (lot < 5) {
        world_toggle_reader(w);
    } else if (lot == 5) {
        w->j->ops->idle(w->j);
    } else {
        st = world_step(w);
    }
    bool disturbed = c->killed || failed_ops() > 0;
    if (!c->bad && failed_ops() > 0) {
        mend(c);
    }
    if (!c->bad && c->killed) {
        take_over(c);
    }
    if (!c->bad && !disturbed && st != PAWL_OK && st != PAWL_FULL) {
        c->bad = true;
        snprintf(w->problem, sizeof(w->problem), "status %d without a fault: %s", (int)st,
                 w->err.message);
    }
}

/** One scenario; false when something was lost. */
static bool run_scenario(cutter *c, uint64_t scenario, world *w)
{
    bool with_failure = scenario % 5 != 0;
    c->w = w;
    c->seed = scenario * 0x51ed27u + 1;
    c->images = 0;
    c->images_max = 400;
    c->sync_failed = false;
    c->killed = false;
    c->bad = false;
    ram_format(0);
    world_init(w, 0, scenario);
    ram_on_io(0, cut_here, c);
    take_over(c); /* the first owner */
    for (int i = 0; !c->bad && i < 60 && w->acked + 2 < WORLD_GROUPS; i++) {
        if (with_failure && i % 12 == 2) {
            ram_fail(0, RAM_SYNC, RAM_EIO, 1 + (int64_t)(ram_random(&c->seed) % 8),
                     ram_random(&c->seed) % 3 == 0, c->seed);
        }
        step(c);
    }
    ram_on_io(0, NULL, NULL);
    ram_fail(0, 0, RAM_EIO, 0, false, 0);
    world_deinit(w);
    if (!c->bad && w->problem[0] == '\0') { /* at last, a cut without any I/O in flight */
        ram_image(1, 0, RAM_DROP_ALL, &c->seed);
        c->bad = !world_check(w, 1, true);
    }
    return !c->bad && w->problem[0] == '\0';
}

/** Which scenarios, and how many images of them. */
typedef struct plan {
    int64_t first;
    int64_t images;
} plan;

static int64_t env_number(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoll(text, NULL, 10) : otherwise;
}

/* [J1] [J9] [J11] */
static void nothing_acked_is_lost_when_the_power_fails(void **state)
{
    const plan *p = *state;
    world *w = calloc(1, sizeof(*w));
    cutter c = {0};
    int64_t images = 0;
    int64_t target = getenv("PAWL_LONG") != NULL ? 5000000 : p->images;
    bool single = getenv("PAWL_SEED") != NULL;
    uint64_t first = (uint64_t)env_number("PAWL_SEED", p->first);
    uint64_t scenario = first;
    assert_non_null(w);
    while (images < target) {
        if (!run_scenario(&c, scenario, w)) {
            print_message("reproduce: PAWL_SEED=%llu %s\n", (unsigned long long)scenario,
                          "bin/fault_powercut");
            fail_msg("scenario %llu: %s", (unsigned long long)scenario, w->problem);
        }
        images += c.images;
        scenario++;
        if (single) {
            break;
        }
    }
    print_message("%lld images of %llu scenarios, %lld of them after a failed sync (%lld of "
                  "those), %lld kills in between\n",
                  (long long)images, (unsigned long long)(scenario - first),
                  (long long)c.after_failed, (long long)c.failed_syncs, (long long)c.kills);
    if (!single && target >= 10000) {
        assert_true(c.after_failed * 2 >= images);
    }
    free(w);
}

int main(int argc, char **argv)
{
    plan p = {argc > 1 ? strtoll(argv[1], NULL, 10) : 1,
              argc > 2 ? strtoll(argv[2], NULL, 10) : POWERCUT_IMAGES};
    p.images = env_number("PAWL_IMAGES", p.images);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(nothing_acked_is_lost_when_the_power_fails, &p),
    };
    /* its statistics of memory cost a fifth of the time, and nobody asks for them */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    ram_register();
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
