/*
 * walk.h - a run's records in order, from history rows and log rows alike, each one checked.
 */
#ifndef PW_WALK_H
#define PW_WALK_H

#include "journal/db.h"

typedef struct pw_entry {
    int64_t pos;
    int64_t seq; /* events of the run before it */
    int64_t events;
    int64_t group;
    int64_t sum;
    pw_view bytes;
    bool compacted;
} pw_entry;
/** Return false to stop. */
typedef bool (*pw_entry_fn)(void *ctx, const pw_entry *e);

/**
 * Walks from the record that holds event from_seq to the end. The caller has a transaction open. A
 * record is handed out only if its checksum holds and it follows the one before; the end must be
 * where the run's row says [J3]; a walk from event 0 must lead to the row's chain head [J8].
 * Errors: NOTFOUND, DAMAGED, IO, NOMEM.
 */
pawl_status pw_walk(pw_db *db, int64_t run, int64_t from_seq, pw_entry_fn fn, void *ctx,
                    pawl_error *err);

#endif
