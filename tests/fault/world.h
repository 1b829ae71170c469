/*
 * world.h - a journal on a ramdisk, and what it must hold: groups are made from a seed, the model
 * remembers each.
 *
 * Group g sets timer g and turns some runs. So the timers that are found must be exactly 1..n for
 * some n, n must be the stored group number, and the histories must be those the model had after
 * group n: nothing acked is lost, nothing half landed, nothing came out of nowhere.
 */
#ifndef PW_WORLD_H
#define PW_WORLD_H

#include "journal/journal.h"
#include "journal/sqlite.h"

#define WORLD_RUNS 6
#define WORLD_GROUPS 64
#define WORLD_OPS 40
#define WORLD_KEYS 3

typedef struct world_run {
    int64_t seq;
    uint8_t chain[PW_DIGEST_SIZE];
    bool created;
    bool closed;
    bool compacted;
    uint8_t turns; /* so far */
} world_run;

typedef struct world_state {
    world_run runs[WORLD_RUNS];
    uint8_t turn_group[WORLD_RUNS][WORLD_GROUPS]; /* which group made a run's turn i */
    uint8_t turn_events[WORLD_RUNS][WORLD_GROUPS];
    bool blob[WORLD_GROUPS];    /* group g put blob g */
    int64_t collection;         /* of texts and vectors; 0: there is none */
    uint64_t items[WORLD_KEYS]; /* which group put what stands under a key; 0: nothing does */
} world_state;

typedef struct world {
    int disk;
    char path[16];
    uint64_t seed;
    bool collects; /* one scenario in four: FTS5 has tables of its own, which cost time */
    pw_sqlite_env env;
    pw_wal_mark mark; /* outlives the process, not the power */
    pw_journal *j;
    pw_reader *reader; /* may hold a read transaction open */
    bool reader_busy;
    uint64_t epoch;
    uint64_t acked;                   /* last group that was answered OK, or resolved as landed */
    uint64_t tried;                   /* the group in flight or unknown: acked or acked + 1 */
    world_state states[WORLD_GROUPS]; /* states[g]: after group g */
    pw_op ops[WORLD_OPS];
    size_t len;
    pawl_scope *scope;
    pawl_error err;
    char problem[600]; /* what a check found; "" = sound */
} world;

void world_init(world *w, int disk, uint64_t seed);
void world_deinit(world *w);
pawl_status world_open(world *w);
void world_close(world *w);
/** The process dies: nothing is closed in order, the disk stays as it is. */
void world_kill(world *w);
/** Makes and commits the next group; follows its outcome in the model. FULL when the model has no room for more. */
pawl_status world_step(world *w);
/** After UNKNOWN: the rite, then what landed. */
pawl_status world_recover(world *w);
/** A short life: opens, makes groups, reads, idles, closes, as far as faults let it. */
void world_live(world *w, int steps);
/** A reader that begins or ends a read transaction, so that checkpoints stay partial. */
void world_toggle_reader(world *w);

/** Opens the journal on `disk` as a new owner would and compares all of it with the model; deep: also verify and one more
 * commit. False: problem says what is wrong. The image's disk is left as the check left it. */
bool world_check(world *w, int disk, bool deep);

#endif
