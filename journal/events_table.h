/*
 * events_table.h - pawl_events: histories as a table, for people's SQL.
 *
 *   SELECT seq, type, body FROM pawl_events('order-1');        or  WHERE run = 'order-1', or WHERE key = 7
 *   columns: run, seq, time (ms), type, cmd, body (JSON), key
 */
#ifndef PW_EVENTS_TABLE_H
#define PW_EVENTS_TABLE_H

#include "journal/db.h"

/** Registers it on a reading connection; db must outlive the connection's statements. */
pawl_status pw_events_table_register(pw_db *db, pawl_error *err);

#endif
