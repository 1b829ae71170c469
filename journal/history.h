/*
 * history.h - the bytes of a history row: a compacted run's records, end to end.
 *
 *   row = entry entry ...       entry = pos u64, group u64, checksum u64, events u32, size u32 (little-endian), record
 *
 * The first entry begins at the row's seq, the next one where it ends. The record's bytes are what the log held, so its
 * checksum and the run's chain stay what they were.
 */
#ifndef PW_HISTORY_H
#define PW_HISTORY_H

#include "journal/walk.h"

#define PW_HISTORY_ENTRY_BYTES 32
#define PW_HISTORY_ROW_BYTES (1u << 20)

void pw_history_put(pw_buf *row, const pw_entry *e);

typedef struct pw_history_reader {
    pw_view rest;
    int64_t seq;
} pw_history_reader;
/** The next entry; false at the end or where the bytes make no sense (then rest is not empty). */
bool pw_history_next(pw_history_reader *r, pw_entry *ret);

#endif
