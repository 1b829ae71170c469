/*
 * damage_test.c - bytes of the file change by themselves: what is read is right or refused, never
 * wrong.
 *
 * A sound journal on a ramdisk is copied, a few bits are flipped or a sector is wiped, and
 * everything is read. A history that reads OK must be the model's, record for record [J8]; where a
 * run has vanished, verify must say so. Thousands of times, and nothing may crash or hang. Does
 * not cover columns without a checksum: a run's progress text may lie.
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

typedef struct reading {
    const world_state *s;
    int run;
    int turn;
    bool wrong;
} reading;

static bool compare_record(void *ctx, int64_t pos, int64_t first_seq, int64_t events, pw_view bytes)
{
    reading *r = ctx;
    pw_record record;
    pawl_error err;
    (void)pos;
    (void)first_seq;
    bool same = r->turn < r->s->runs[r->run].turns &&
                pw_record_open(bytes.data, bytes.size, &record, &err) == PAWL_OK &&
                record.now_ms == r->s->turn_group[r->run][r->turn] &&
                events == r->s->turn_events[r->run][r->turn];
    r->wrong = r->wrong || !same;
    r->turn++;
    return same;
}

static void count_finding(void *ctx, const pw_verify_finding *f)
{
    (void)f;
    ++*(int *)ctx;
}

typedef struct tally {
    int64_t refused; /* did not open, or a read said DAMAGED */
    int64_t unseen;  /* everything read as before */
} tally;

/** Reads all of it on disk 1. What is wrong without being said goes into w->problem. */
static void read_all(world *w, tally *sum)
{
    pw_reader *r = NULL;
    pawl_error err = {0};
    pw_sqlite_env env = w->env;
    env.mark = NULL;
    if (pw_sqlite_reader_open_env("/1/j.db", &env, &r, &err) != PAWL_OK) {
        sum->refused++;
        return;
    }
    int refused = 0;
    int vanished = 0;
    reading at = {.s = &w->states[w->acked]};
    for (at.run = 0; at.run < WORLD_RUNS; at.run++) {
        at.turn = 0;
        pawl_status st = r->ops->read(r, at.run + 1, 0, compare_record, &at, &err);
        if (at.wrong || (st == PAWL_OK && at.turn != at.s->runs[at.run].turns)) {
            snprintf(w->problem, sizeof(w->problem),
                     "run %d reads wrong at turn %d and nobody says so", at.run + 1, at.turn);
        }
        refused += st != PAWL_OK && st != PAWL_NOTFOUND ? 1 : 0;
        vanished += st == PAWL_NOTFOUND && at.s->runs[at.run].created ? 1 : 0;
    }
    r->ops->reader_close(r);
    int findings = 0;
    pw_verify_stats stats;
    pawl_status st = pw_sqlite_verify_env("/1/j.db", &env, count_finding, &findings, &stats, &err);
    if ((vanished > 0 || refused > 0) && st == PAWL_OK && findings == 0) {
        snprintf(w->problem, sizeof(w->problem),
                 "%d runs vanished, %d are damaged, and verify finds nothing", vanished, refused);
    }
    sum->refused += refused > 0 || findings > 0 || st != PAWL_OK ? 1 : 0;
    sum->unseen += refused == 0 && findings == 0 && st == PAWL_OK ? 1 : 0;
}

static void damage(uint64_t *seed)
{
    int64_t size = ram_size(1, "j.db");
    if (ram_random(seed) % 4 == 0) { /* a sector wiped */
        int64_t sector = (int64_t)(ram_random(seed) % (uint64_t)(size / 512)) * 512;
        uint8_t bits = (uint8_t)ram_random(seed);
        for (int64_t i = 0; i < 512; i++) {
            (void)ram_flip(1, "j.db", sector + i, bits);
        }
        return;
    }
    for (uint64_t flips = 1 + ram_random(seed) % 4; flips > 0; flips--) {
        (void)ram_flip(1, "j.db", (int64_t)(ram_random(seed) % (uint64_t)size),
                       (uint8_t)(1u << ram_random(seed) % 8));
    }
}

static void damage_is_refused_or_harmless_but_never_read(void **state)
{
    (void)state;
    int times = getenv("PAWL_LONG") != NULL ? 200000 : 1500;
    uint64_t seed = 5;
    tally sum = {0};
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    ram_format(0);
    ram_format(1);
    world_init(w, 0, 11);
    assert_int_equal(world_open(w), PAWL_OK);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(world_step(w), PAWL_OK);
    }
    w->j->ops->idle(w->j);
    world_close(w);
    for (int i = 0; i < times; i++) {
        uint64_t before = seed;
        ram_image(1, 0, RAM_KEEP_ALL, &seed);
        damage(&seed);
        read_all(w, &sum);
        if (w->problem[0] != '\0') {
            fail_msg("damage number %d, seed %llu: %s", i, (unsigned long long)before, w->problem);
        }
    }
    print_message("%d damages, %lld refused, %lld harmless\n", times, (long long)sum.refused,
                  (long long)sum.unseen);
    assert_true(sum.refused * 4 > times);
    world_deinit(w);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_refused_or_harmless_but_never_read),
    };
    ram_register();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
