/*
 * view_show.h - shared by the view_*.c files: what one thing looks like.
 */
#ifndef PW_VIEW_SHOW_H
#define PW_VIEW_SHOW_H

#include "engine/view.h"

/** A run row whose texts live in a scope. */
pawl_status pw_view_keep_run(pawl_scope *scope, const pw_run_row *row, pw_run_row *ret_row,
                             pawl_error *err);
/** The run that args name: {id}, or {key} for one that is not the newest of its id. Errors: NOTFOUND, INVALID. */
pawl_status pw_view_find_run(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                             pw_run_row *ret_row, pawl_error *err);
/** Appends the map that describe and list show. */
pawl_status pw_view_show_run(pw_reader *reader, const pw_run_row *row, bool keys, pw_buf *out,
                             pawl_error *err);
/** Appends a msgpack value with its blob references replaced by what they stand for. */
pawl_status pw_view_show_value(pw_reader *reader, pw_view raw, pw_buf *out, pawl_error *err);

/** Leaves room for the count of an array that is not known yet, and fills it in. */
size_t pw_view_array_begin(pw_buf *out);
void pw_view_array_end(pw_buf *out, size_t begin, size_t len);

/** A pair of a map. */
static inline void pw_view_put_text(pw_buf *out, const char *key, pw_view text)
{
    pw_mp_str(out, key);
    pw_mp_strn(out, text.size > 0 ? (const char *)text.data : "", text.size);
}

static inline void pw_view_put_int(pw_buf *out, const char *key, int64_t number)
{
    pw_mp_str(out, key);
    pw_mp_int(out, number);
}

/** The pairs that every budget is shown with, of which there are so many. */
enum { PW_VIEW_BUDGET_FIELDS = 5 };
void pw_view_put_budget(pw_buf *out, const pw_budget_row *row);

/* one per operation; args are a map */
pawl_status pw_view_list(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                         pawl_error *err);
pawl_status pw_view_history(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err);
pawl_status pw_view_result(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                           pw_buf *out, pawl_error *err);
pawl_status pw_view_waits(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                          pawl_error *err);
pawl_status pw_view_budgets(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err);
pawl_status pw_view_cost(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                         pawl_error *err);
pawl_status pw_view_stack(pw_reader *reader, const pawl_value *args, pawl_scope *scope, pw_buf *out,
                          pawl_error *err);
pawl_status pw_view_memories(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                             pw_buf *out, pawl_error *err);
pawl_status pw_view_memory_search(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                  pw_buf *out, pawl_error *err);
pawl_status pw_view_indexes(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                            pw_buf *out, pawl_error *err);
pawl_status pw_view_index_items(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                pw_buf *out, pawl_error *err);
pawl_status pw_view_index_changes(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                  pw_buf *out, pawl_error *err);
pawl_status pw_view_index_words(pw_reader *reader, const pawl_value *args, pawl_scope *scope,
                                pw_buf *out, pawl_error *err);

#endif
