/*
 * collection.h - collections of texts and vectors: what both backends keep of an item, and what they leave to be decided here: which items a filter
 * lets through, and which words a query has.
 *
 *   collection 3 "docs"     width 384, version 17, 2 items
 *   item (3, 5)             key "tea", body {text: "How green tea is brewed", tags: ["food"], ...}; its vector: 384 numbers of 16 bits
 *   words of 3              "green" -> 5, ...                      in a file: FTS5, one table for each collection, so that its BM25 is its own
 *   gone (3, version 16)    item 4: replaced by 5                  for copies that are brought up to date
 *
 * An item that takes another's place gets a new number, so that a copy that has all items up to n lacks those above n and keeps those that are gone.
 * Versions count operations. What is gone stays listed for PW_GONE_VERSIONS of them (the horizon); a copy older than that is made anew.
 */
#ifndef PW_COLLECTION_H
#define PW_COLLECTION_H

#include "journal/journal.h"

#define PW_GONE_VERSIONS 1024
#define PW_ITEM_BITS 40 /* an item's id in the tables: collection << 40 | number */
#define PW_ITEM_NUMBER_MAX (((int64_t)1 << PW_ITEM_BITS) - 1)
#define PW_COLLECTION_NUMBER_MAX (((int64_t)1 << (62 - PW_ITEM_BITS)) - 1)

/** Covers an item's id, key and body; and its id and vector. */
int64_t pw_item_sum(int64_t id, pw_view key, pw_view body);
int64_t pw_vector_sum(int64_t id, pw_view halves);

/** What stands in an item's body: {text?, workspace?, tags?, data?}. Views are of the body; tags is a msgpack array, or empty. */
typedef struct pw_item_body {
    pw_view text;
    pw_view workspace;
    pw_view tags;
} pw_item_body;
pw_item_body pw_item_body_read(pw_view body);

/** Does an item have what is asked for? */
bool pw_item_filter_takes(const pw_item_filter *filter, pw_view body);

/** A query's words, each once, in the order of the query: runs of ASCII letters and digits, in lower case, and of all bytes beyond ASCII. At most
 * PW_INDEX_QUERY_WORDS. false from fn stops it. */
typedef bool (*pw_query_word_fn)(void *ctx, pw_view word);
void pw_query_words(pw_view query, pw_query_word_fn fn, void *ctx);

/** Reads the next [key, halves, body] of PW_OP_ITEMS_PUT. */
typedef struct pw_item_put {
    pw_view key, halves, body;
} pw_item_put;
pw_item_put pw_item_put_read(pw_mp *r);

#endif
