/*
 * sqlite_collection.h - shared by sqlite_collection.c (writing), sqlite_collection_read.c and `verify`: ids of items, and statements on a collection's
 * own table of words, whose name is not known beforehand.
 */
#ifndef PW_SQLITE_COLLECTION_H
#define PW_SQLITE_COLLECTION_H

#include "journal/collection.h"
#include "journal/sqlite.h"

static inline int64_t pw_item_id(int64_t collection, int64_t number)
{
    return (collection << PW_ITEM_BITS) + number;
}
static inline int64_t pw_item_number(int64_t id)
{
    return id & (((int64_t)1 << PW_ITEM_BITS) - 1);
}
/** The last id that an item of it could have. */
static inline int64_t pw_item_id_end(int64_t collection)
{
    return pw_item_id(collection + 1, 0) - 1;
}

/** Each # of the text is the collection's number. NULL: err is set. Owns: the caller, sqlite3_finalize. */
sqlite3_stmt *pw_words_prepare(pw_db *db, const char *text, int64_t collection, pawl_error *err);
/** The row of COLLECTION_COLUMNS. *ret_words: it has a table of words. */
void pw_collection_read(pw_cols *c, pw_collection_row *ret, bool *ret_words);
/** Finds one by number (name.data NULL) or by name; fn may be NULL. *ret_row's views are valid in fn only. Errors: NOTFOUND. */
pawl_status pw_collection_find(pw_db *db, int64_t number, pw_view name, pw_collection_row *ret_row,
                               bool *ret_words, pawl_error *err);

/** As pw_sqlite_items, all of them with their vectors. */
pawl_status pw_sqlite_items_whole(pw_reader *base, int64_t collection, int64_t after, pw_item_fn fn,
                                  void *ctx, pawl_error *err);

#endif
