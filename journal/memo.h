/*
 * memo.h - the memory store: texts under (space, key), found by their words. What a word is, and which text comes first, is the same for every
 * backend: they keep rows, words and counts, and are asked for them in order.
 *
 *   put ("team/bot", "tea", {text: "She drinks green tea"})  -->  row 7; words drinks 7, green 7, she 7, tea 7; "team/bot": 1 row
 *   search ("team/bot", "green teapots")                     -->  rows with words that begin with "green" or with "teapots": 7
 *
 * A word: letters and digits of ASCII in lower case, and every byte of a character beyond ASCII; one of a script without spaces (from U+2E80 on)
 * is a word of its own. Words are cut after 32 bytes, a text has 512.
 *
 * The order: a row's score is the sum over the words of the query: 2 if it has the very word, 1 if it has one that begins with it, times
 * 17 minus the binary digits of how many rows have any of them. Higher first, then what was put later.
 */
#ifndef PW_MEMO_H
#define PW_MEMO_H

#include "journal/journal.h"

/** Each distinct word of a text, in the order of their bytes; false from fn stops it. Errors: NOMEM. */
typedef bool (*pw_word_fn)(void *ctx, pw_view word);
pawl_status pw_memo_words(pw_view text, pw_word_fn fn, void *ctx, pawl_error *err);
/** The text in a row's body {text, data?}; empty when there is none. */
pw_view pw_memo_text(pw_view body);
/** Covers all of a row. */
int64_t pw_memo_sum(const pw_memo_row *row);

typedef struct pw_memo_query {
    pw_view space;
    pw_view text;   /* no word in it: the first rows by key */
    int64_t now_ms; /* what has expired by then is not there */
    size_t rows_max;
} pw_memo_query;
/** Errors: DAMAGED, NOMEM, IO. */
typedef bool (*pw_memo_found_fn)(void *ctx, const pw_memo_row *row, int64_t score);
pawl_status pw_memo_search(pw_reader *r, const pw_memo_query *q, pw_memo_found_fn fn, void *ctx,
                           pawl_error *err);

#endif
