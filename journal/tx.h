/*
 * tx.h - bounds of transactional steps, and turning SQL rows into msgpack. The host's calls are in
 * sdk/pawl_workflow.h.
 */
#ifndef PW_TX_H
#define PW_TX_H

#include <sqlite3.h>

#include "sdk/base/mp.h"

/** Thousands of steps of SQLite's virtual machine per transactional step: about a second; LIMIT. */
#define PW_TX_KILOSTEPS_MAX 20000

/** One column of the current row, as msgpack. */
void pw_sql_put_column(pw_buf *b, sqlite3_stmt *st, int column);
/** The current row as a map of column names to values. */
void pw_sql_put_row(pw_buf *b, sqlite3_stmt *st);

#endif
