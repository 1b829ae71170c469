/*
 * rig.h - a journal under test: opens either backend, builds groups, remembers what was acked.
 *
 *   rig *t = rig_open("sqlite");
 *   rig_run a = rig_start(t, "order-1");          create + first turn in one group
 *   assert_int_equal(rig_turn(t, &a, 2, "x"), PAWL_OK);
 *   rig_close(t);                                 removes the folder
 */
#ifndef PW_RIG_H
#define PW_RIG_H

#include <limits.h>

#include "journal/journal.h"
#include "journal/memory.h"
#include "sdk/base/arena.h"

#define RIG_OPS_MAX 4096

typedef struct rig {
    const char *backend;
    char folder[PATH_MAX / 2];
    char path[PATH_MAX];
    pw_memory_store *store;
    pw_journal *j;
    pw_reader *r;
    uint64_t epoch;
    uint64_t number;
    int64_t key;
    pawl_scope *scope;
    pw_op *ops;
    size_t len;
    pawl_error err;
} rig;

typedef struct rig_run {
    int64_t key;
    int64_t seq;
    uint8_t chain[PW_DIGEST_SIZE];
} rig_run;

/** "sqlite", "sqlite-small" (pages of 512 bytes: small files) or "memory". */
rig *rig_open(const char *backend);
void rig_close(rig *t);
/** Closes and opens again, as a restarted process would. The epoch moves on. */
void rig_restart(rig *t);
/** Closes journal and reader, and lets the file be. */
void rig_detach(rig *t);
/** What opening the file as its owner says; it is closed again. */
pawl_status rig_try(const char *path, pawl_error *err);
/** A second journal over the same store or file, past the owner lock. */
pw_journal *rig_second(rig *t);

/** Changes the file behind the journal's back. */
void rig_tamper(rig *t, const char *sql);

pw_view rig_text(const char *text);
/** A well-formed record of `events` events whose body says `text`. Owns: the scope. */
pw_view rig_record(pawl_scope *scope, int64_t events, const char *text);

/** A page of a map with these items: "3 4f 5" = 3 and 5 done, 4 failed; each value is its offset. Owns: the rig. */
pw_page_row rig_page(rig *t, int64_t run, int64_t cmd, int64_t page, int64_t part,
                     const char *items);

/** Collecting a group. */
pw_op *rig_op(rig *t, pw_op_type type);
pw_op *rig_op_create(rig *t, int64_t key, const char *id);
pw_op *rig_op_turn(rig *t, const rig_run *run, int64_t events, const char *text);
/** Commits what was collected. After OK the number moves on; the collection is empty either way. */
pawl_status rig_commit(rig *t);
/** The chain head that the turn at index `op` of the last commit led to. */
void rig_moved(rig *t, size_t op, rig_run *run);

rig_run rig_start(rig *t, const char *id);
pawl_status rig_turn(rig *t, rig_run *run, int64_t events, const char *text);
/** A turn that closes the run. */
pawl_status rig_finish(rig *t, rig_run *run);

/** What a read gives. */
typedef struct rig_history {
    int64_t records;
    int64_t events;
    int64_t first_seq; /* of the first record */
    int64_t last_pos;
    char texts[2048]; /* of every record's first event, each followed by a space */
} rig_history;
pawl_status rig_read(rig *t, int64_t run, int64_t from_seq, rig_history *ret);

#endif
