/*
 * memo.h - the memory store inside the engine: puts, drops and searches of runs, and of requests. The rows are the journal's (journal/memo.h).
 */
#ifndef PW_ENGINE_MEMO_H
#define PW_ENGINE_MEMO_H

#include "engine/parts.h"
#include "journal/memo.h"

struct pw_asker;

/** May a space, a key, be called so? Errors: INVALID says what is wrong. */
pawl_status pw_memo_names_ok(const char *space, const char *key, bool keyed, pawl_error *err);
/** A row as people and code see it: {key, text, data?, updated_ms, expires_ms?, score?}. */
const pawl_value *pw_memo_show(pawl_scope *scope, const pw_memo_row *row, int64_t score);
/** What a search finds, an array. Errors: DAMAGED, NOMEM, IO. */
pawl_status pw_memo_find(pw_reader *r, const pw_memo_query *q, pawl_scope *scope,
                         const pawl_value **ret_found, pawl_error *err);

/** Commands of code and of folded workflows. NULL = refused, or the turn is lost. */
pw_cmd *pw_memo_put(pawl_run *w, const pawl_memory_options *o, const struct pw_asker *by);
pw_cmd *pw_memo_drop(pawl_run *w, const char *space, const char *key, const struct pw_asker *by);
pw_cmd *pw_memo_ask(pawl_run *w, const pawl_memory_query *q, const struct pw_asker *by);
/** The turn after a search: what it finds goes into its event. */
void pw_memo_found(pw_live *live, const pw_cmd *cmd);
/** Requests memory_put and memory_delete. */
void pw_memo_request(pw_core *core, pw_request *rq);

#endif
