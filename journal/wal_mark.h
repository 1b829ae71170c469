/*
 * wal_mark.h - how far the WAL is known to be on the disk.
 *
 *   WAL:  [header salts][frame 1] ... [frame n] [frame n+1 ...      n = frames: a commit that ended here was synced and acked
 *                                               \_ written by a commit that did not return OK: belongs to nobody
 *
 * After a failed sync the page cache shows frames that the disk may lack, and a later sync that
 * succeeds proves nothing. So frames behind the mark are cut off before anything is built on them
 * [J11]. They were never acked.
 *
 * The mark lives in mapped memory: it survives SIGKILL as the page cache does, and only as long.
 * After a reboot it is worthless and not needed: then what is read is what is on the disk.
 */
#ifndef PW_WAL_MARK_H
#define PW_WAL_MARK_H

#include "journal/db.h"

typedef enum pw_wal_state {
    PW_WAL_CALM = 0,
    PW_WAL_COMMITTING = 1, /* a sync may have failed and its owner died before saying so */
    PW_WAL_SUSPECT = 2     /* a sync has failed */
} pw_wal_state;

typedef struct pw_wal_mark {
    uint32_t state; /* enum pw_wal_state */
    uint32_t known; /* 1: salts and frames are those of an acked commit */
    uint32_t frames;
    uint8_t salts[8]; /* as in the WAL's header: which generation of the WAL */
} pw_wal_mark;

/** After a commit returned OK: notes where it ended. */
void pw_wal_mark_set(pw_wal_mark *mark, pw_db *db, int frames);
/** After a TRUNCATE checkpoint: whatever comes into the WAL next is behind the mark until a commit sets it. */
void pw_wal_mark_empty(pw_wal_mark *mark);
/** Cuts off what lies behind the mark, and syncs. db must hold the file alone, and be closed afterwards: its index of the
 * WAL is not true any more. Does nothing when the mark is not known. */
pawl_status pw_wal_mark_cut(const pw_wal_mark *mark, pw_db *db, pawl_error *err);

#endif
