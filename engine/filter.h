/*
 * filter.h - the little language of a listing.
 *
 *     status = running and workflow = "release" and (id ~ "nightly-*" or created > -1h)
 *
 *     expression := term { (and | or) term }          and binds tighter; not, ( ) as usual
 *     term       := field op value
 *     field      := status | workflow | version | id | waiting | reason | parent | created | updated | closed
 *     op         := = != < <= > >= ~                  ~ matches a pattern: * any text, ? one character
 *     value      := word | "text" | 'text'            quotes where a word would end: spaces, ( ) = ! < > ~ " '
 *
 * status takes a status's name, or open, or closed. Times are 2026-01-31, 2026-01-31T10:00:00Z, or back from now: -90s -30m -1h -7d.
 */
#ifndef PW_FILTER_H
#define PW_FILTER_H

#include "journal/journal.h"

typedef struct pw_filter pw_filter;

/** Errors: INVALID (says the column and what was expected). Owns: the scope. */
pawl_status pw_filter_parse(pawl_scope *scope, const char *text, int64_t now_ms,
                            pw_filter **ret_filter, pawl_error *err);
/** `parent` terms hold ids; each must be bound to run keys before matching. i counts from 0; NULL when there is no such term. */
const char *pw_filter_parent(const pw_filter *f, size_t i);
void pw_filter_bind_parent(pw_filter *f, size_t i, const int64_t *keys, size_t keys_len);
bool pw_filter_match(const pw_filter *f, const pw_run_row *row);
/** What every match has in common, for the journal's scan: open runs only; a prefix of the id ("" = any). */
bool pw_filter_open_only(const pw_filter *f);
const char *pw_filter_id_prefix(const pw_filter *f);

#endif
