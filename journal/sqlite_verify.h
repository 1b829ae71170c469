/*
 * sqlite_verify.h - between sqlite_verify.c and the files that check rows of their own: what they read, and how they tell what is wrong.
 */
#ifndef PW_SQLITE_VERIFY_H
#define PW_SQLITE_VERIFY_H

#include "journal/sqlite.h"

/** What is wrong with a row, by its number. */
typedef void (*pw_row_finding_fn)(void *ctx, int64_t row, const char *what);
/** Of which collection, which item of it; 0: of none. */
typedef void (*pw_item_finding_fn)(void *ctx, int64_t collection, int64_t item, const char *what);

/** Reads every kept result. */
pawl_status pw_sqlite_verify_cache(pw_sqlite_reader *r, pw_row_finding_fn fn, void *ctx,
                                   pawl_error *err);
/** Reads every item of every collection. */
pawl_status pw_sqlite_verify_items(pw_sqlite_reader *r, pw_item_finding_fn fn, void *ctx,
                                   pawl_error *err);
/** 'collection "docs", item "tea"', as far as it can be told. */
void pw_sqlite_item_place(pw_sqlite_reader *r, int64_t collection, int64_t item, char *to,
                          size_t size);

#endif
