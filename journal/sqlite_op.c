/*
 * sqlite_op.c - what each operation of a group writes.
 *
 * A turn is one INSERT into the log and one UPDATE of its run's row, whose WHERE is the
 * compare-and-swap: sequence number and chain head must be what the engine last saw [J3] [J8].
 * A run that is created and takes its first turn in one breath is one INSERT for both.
 * Everything else is one statement. Does not decide what a group's outcome is called
 * (sqlite_commit.c).
 */
#include "journal/map_page.h"
#include "journal/sqlite.h"

#include <string.h>

#include "journal/record_sum.h"

/* What a run's row says of where it comes from. */
static void bind_origin(pw_bind *b, const pw_run_row *r)
{
    pw_bind_int(b, r->key);
    pw_bind_text(b, r->id);
    pw_bind_text(b, r->workflow);
    pw_bind_text(b, r->version);
    pw_bind_text(b, r->traceparent);
    pw_bind_int(b, r->created_ms);
    pw_bind_int(b, r->parent_key);
    pw_bind_int(b, r->parent_cmd);
    pw_bind_int(b, r->prev_key);
    pw_bind_int(b, r->parent_policy);
}

/* What each turn says anew. */
static void bind_present(pw_bind *b, const pw_run_row *r)
{
    pw_bind_int(b, r->updated_ms);
    pw_bind_int(b, r->closed_ms);
    pw_bind_text(b, r->waiting);
    pw_bind_text(b, r->reason);
    pw_bind_int(b, r->progress_done);
    pw_bind_int(b, r->progress_total);
    pw_bind_text(b, r->progress_text);
    pw_bind_int(b, r->unread);
    pw_bind_int(b, r->crashes);
    pw_bind_int(b, (int64_t)r->build);
}

static pawl_status put_run(pw_sqlite *j, const pw_run_row *r, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_RUN_CREATE, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    bind_origin(&b, r);
    pw_bind_int(&b, r->status);
    bind_present(&b, r);
    return pw_db_run(&j->db, PW_SQL_RUN_CREATE, st, NULL, err);
}

/* The row as its first turn leaves it. That there is none yet is the compare-and-swap. */
static pawl_status put_born(pw_sqlite *j, const pw_run_row *r, const pw_turn_op *t, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_RUN_BORN, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    bind_origin(&b, r);
    pw_bind_int(&b, t->row.status);
    pw_bind_int(&b, t->events);
    pw_bind_bytes(&b, t->chain_next, PW_DIGEST_SIZE);
    bind_present(&b, &t->row);
    return pw_db_run(&j->db, PW_SQL_RUN_BORN, st, NULL, err);
}

static pawl_status put_log(pw_sqlite *j, const pw_group *g, const pw_turn_op *t, pw_view record,
                           pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_LOG_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, ++j->pos);
    pw_bind_int(&b, t->run);
    pw_bind_int(&b, t->expected_seq);
    pw_bind_int(&b, t->events);
    pw_bind_int(&b, (int64_t)g->number);
    pw_bind_int(&b, pw_record_sum(t->run, t->expected_seq, t->events, record));
    pw_bind_blob(&b, record);
    return pw_db_run(&j->db, PW_SQL_LOG_PUT, st, NULL, err);
}

static pawl_status move_run_by(pw_sqlite *j, pw_sql id, const pw_turn_op *t, int *ret_changes,
                               pawl_error *err)
{
    const pw_run_row *r = &t->row;
    sqlite3_stmt *st = pw_db_take(&j->db, id, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, r->status);
    pw_bind_int(&b, t->expected_seq + t->events);
    pw_bind_bytes(&b, t->chain_next, PW_DIGEST_SIZE);
    pw_bind_int(&b, r->updated_ms);
    pw_bind_text(&b, r->waiting);
    pw_bind_text(&b, r->reason);
    pw_bind_int(&b, r->progress_done);
    pw_bind_int(&b, r->progress_total);
    pw_bind_text(&b, r->progress_text);
    pw_bind_int(&b, r->unread);
    pw_bind_int(&b, r->crashes);
    pw_bind_int(&b, (int64_t)r->build);
    pw_bind_int(&b, t->run);
    pw_bind_int(&b, t->expected_seq);
    pw_bind_bytes(&b, t->chain_prev, PW_DIGEST_SIZE);
    if (id == PW_SQL_RUN_CLOSE) {
        pw_bind_int(&b, r->closed_ms);
    }
    return pw_db_run(&j->db, id, st, ret_changes, err);
}

/** The common case leaves closed_ms alone; the other statement closes a run, or opens a closed one again. */
static pawl_status move_run(pw_sqlite *j, const pw_turn_op *t, pawl_error *err)
{
    int changes = 0;
    pawl_status st = PAWL_OK;
    if (t->row.closed_ms == 0) {
        st = move_run_by(j, PW_SQL_RUN_TURN, t, &changes, err);
    }
    if (st == PAWL_OK && changes == 0) {
        st = move_run_by(j, PW_SQL_RUN_CLOSE, t, &changes, err);
    }
    if (st == PAWL_OK && changes == 0) {
        return pw_err(err, PAWL_CONFLICT, "run %lld is not at event %lld of the expected history",
                      (long long)t->run, (long long)t->expected_seq);
    }
    return st;
}

/** born: the row of a run that this turn begins, and that is not written yet; else NULL. */
static pawl_status land_turn(pw_sqlite *j, const pw_group *g, const pw_run_row *born, pw_turn_op *t,
                             pw_view record, pawl_error *err)
{
    if (t->events < 1 || record.size == 0 || record.size > PW_RECORD_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT,
                      "a turn's record must hold 1 event and at most %u bytes (run %lld)",
                      PW_RECORD_BYTES_MAX, (long long)t->run);
    }
    if (t->row.closed_ms != 0 && j->compacted >= t->run) {
        j->compacted = t->run - 1;
    }
    pw_chain_next(t->chain_next, t->chain_prev, record.data, record.size);
    pawl_status st = born != NULL ? put_born(j, born, t, err) : move_run(j, t, err);
    return st == PAWL_OK ? put_log(j, g, t, record, err) : st;
}

static pawl_status apply_turn(pw_sqlite *j, const pw_group *g, pw_turn_op *t, pawl_error *err)
{
    if (t->tx == NULL) {
        return land_turn(j, g, NULL, t, t->record, err);
    }
    pw_buf record;
    pw_buf_init(&record, PW_RECORD_BYTES_MAX);
    pawl_status st = pw_sqlite_tx_run(j, t->tx, &record, &t->events, err);
    if (st == PAWL_OK) {
        st = land_turn(j, g, NULL, t, (pw_view){record.data, record.size}, err);
    }
    pw_buf_deinit(&record);
    return st;
}

static pawl_status put_task(pw_sqlite *j, const pw_task_row *t, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_TASK_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, t->run);
    pw_bind_int(&b, t->cmd);
    pw_bind_int(&b, t->attempt);
    pw_bind_int(&b, t->state);
    pw_bind_int(&b, t->due_ms);
    pw_bind_int(&b, t->scheduled_ms);
    pw_bind_text(&b, t->name);
    pw_bind_text(&b, t->queue);
    pw_bind_int(&b, t->priority);
    pw_bind_blob(&b, t->detail);
    pw_bind_blob(&b, t->failure);
    pw_bind_blob(&b, t->body);
    return pw_db_run(&j->db, PW_SQL_TASK_PUT, st, NULL, err);
}

static pawl_status put_wait(pw_sqlite *j, const pw_wait_row *w, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_WAIT_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, w->run);
    pw_bind_int(&b, w->cmd);
    pw_bind_text(&b, w->name);
    pw_bind_text(&b, w->kind);
    pw_bind_int(&b, w->created_ms);
    pw_bind_int(&b, w->deadline_ms);
    pw_bind_blob(&b, w->body);
    return pw_db_run(&j->db, PW_SQL_WAIT_PUT, st, NULL, err);
}

/** Statements that take up to six integers and then up to one run of bytes. */
static pawl_status put_ints(pw_sqlite *j, pw_sql id, const int64_t *ints, size_t len,
                            const pw_view *blob, int *ret_changes, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, id, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    for (size_t i = 0; i < len; i++) {
        pw_bind_int(&b, ints[i]);
    }
    if (blob != NULL) {
        pw_bind_blob(&b, *blob);
    }
    return pw_db_run(&j->db, id, st, ret_changes, err);
}
#define INTS(...) \
    ((const int64_t[]){__VA_ARGS__}), (sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static pawl_status put_key(pw_sqlite *j, int64_t run, pw_view key, pw_view value, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_KEY_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, run);
    pw_bind_text(&b, key);
    pw_bind_blob(&b, value);
    return pw_db_run(&j->db, PW_SQL_KEY_PUT, st, NULL, err);
}

static pawl_status put_inbox(pw_sqlite *j, const pw_inbox_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_INBOX_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, row->posted_ms);
    pw_bind_text(&b, row->dedup);
    pw_bind_blob(&b, row->body);
    return pw_db_run(&j->db, PW_SQL_INBOX_PUT, st, NULL, err);
}

static pawl_status put_outcome(pw_sqlite *j, pw_view dedup, const pw_outcome *o, pawl_error *err)
{
    if (dedup.size == 0) {
        return PAWL_OK;
    }
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OUTCOME_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    int changes = 0;
    pw_bind b = {st, 0};
    pw_bind_text(&b, dedup);
    pw_bind_int(&b, o->status);
    pw_bind_int(&b, o->at_ms);
    pw_bind_blob(&b, o->body);
    pawl_status status = pw_db_run(&j->db, PW_SQL_OUTCOME_PUT, st, &changes, err);
    if (status == PAWL_OK && changes == 0) {
        return pw_err(err, PAWL_CONFLICT, "request %.*s has been answered before",
                      (int)(dedup.size > 80 ? 80 : dedup.size), (const char *)dedup.data);
    }
    return status;
}

static pawl_status take_inbox(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    int changes = 0;
    int64_t id = op->u.take.inbox_id;
    pawl_status st = put_ints(j, PW_SQL_INBOX_TAKE, INTS(id), NULL, &changes, err);
    if (st == PAWL_OK && changes == 0) {
        return pw_err(err, PAWL_CONFLICT, "inbox row %lld was taken before", (long long)id);
    }
    return st == PAWL_OK ? put_outcome(j, op->u.take.dedup, &op->u.take.outcome, err) : st;
}

/* [J16] */
static pawl_status has_parent(pw_sqlite *j, const uint8_t parent[PW_DIGEST_SIZE], pawl_error *err)
{
    static const uint8_t none[PW_DIGEST_SIZE];
    if (memcmp(parent, none, sizeof(none)) == 0) {
        return PAWL_OK;
    }
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_NODE_HAS, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool has = false;
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, parent, PW_DIGEST_SIZE);
    pawl_status status = pw_db_step(&j->db, st, &has, err);
    pw_db_give(&j->db, PW_SQL_NODE_HAS, st);
    return status == PAWL_OK && !has
               ? pw_err(err, PAWL_INVALID, "a conversation node's parent does not exist")
               : status;
}

static pawl_status put_node(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    uint8_t id[PW_DIGEST_SIZE];
    pw_node_id(id, j->blob_key, op->u.node.parent, op->u.node.body);
    if (memcmp(id, op->u.node.id, sizeof(id)) != 0) {
        return pw_err(err, PAWL_INVALID,
                      "a conversation node's id is not the digest of its content");
    }
    pawl_status parent = has_parent(j, op->u.node.parent, err);
    if (parent != PAWL_OK) {
        return parent;
    }
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_NODE_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, op->u.node.id, PW_DIGEST_SIZE);
    pw_bind_bytes(&b, op->u.node.parent, PW_DIGEST_SIZE);
    pw_bind_int(&b, op->u.node.depth);
    pw_bind_blob(&b, op->u.node.body);
    return pw_db_run(&j->db, PW_SQL_NODE_PUT, st, NULL, err);
}

static pawl_status put_snapshot(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    int64_t run = op->u.snapshot.run;
    int64_t seq = op->u.snapshot.seq;
    int64_t sum = pw_record_sum(run, seq, 0, op->u.snapshot.body);
    return put_ints(j, PW_SQL_SNAPSHOT_PUT, INTS(run, seq, sum), &op->u.snapshot.body, NULL, err);
}

static pawl_status put_page(pw_sqlite *j, const pw_page_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_PAGE_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    int64_t body_sum = pw_page_body_sum(row->body);
    int64_t ints[] = {row->run, row->cmd, row->page, row->part, pw_page_sum(row, body_sum),
                      body_sum};
    pw_bind b = {st, 0};
    for (size_t i = 0; i < PW_COUNT(ints); i++) {
        pw_bind_int(&b, ints[i]);
    }
    pw_bind_blob(&b, row->head);
    pw_bind_blob(&b, row->body);
    return pw_db_run(&j->db, PW_SQL_PAGE_PUT, st, NULL, err);
}

static pawl_status clear(pw_sqlite *j, pw_sql sql, int64_t run, int64_t cmd, pawl_error *err)
{
    return put_ints(j, sql, INTS(run, cmd), NULL, NULL, err);
}

/* What is kept to be found: memories, and texts with vectors. */
static pawl_status apply_found(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    return op->type == PW_OP_MEMO_PUT || op->type == PW_OP_MEMO_DROP
               ? pw_sqlite_memo_apply(j, op, err)
               : pw_sqlite_collection_apply(j, op, err);
}

bool pw_sqlite_is_birth(const pw_op *op, const pw_op *next)
{
    static const uint8_t zero[PW_DIGEST_SIZE];
    return op->type == PW_OP_RUN_CREATE && next->type == PW_OP_TURN &&
           next->u.turn.run == op->u.run.key && next->u.turn.tx == NULL &&
           next->u.turn.expected_seq == 0 &&
           memcmp(next->u.turn.chain_prev, zero, sizeof zero) == 0;
}

pawl_status pw_sqlite_birth(pw_sqlite *j, const pw_group *group, const pw_op *op, pw_op *next,
                            pawl_error *err)
{
    return land_turn(j, group, &op->u.run, &next->u.turn, next->u.turn.record, err);
}

pawl_status pw_sqlite_apply(pw_sqlite *j, const pw_group *group, pw_op *op, pawl_error *err)
{
    const pw_timer_row *timer = &op->u.timer;
    const pw_map_row *map = &op->u.map;
    switch (op->type) {
    case PW_OP_RUN_CREATE:
        return put_run(j, &op->u.run, err);
    case PW_OP_TURN:
        return apply_turn(j, group, &op->u.turn, err);
    case PW_OP_RUN_CRASHES:
        return put_ints(j, PW_SQL_RUN_CRASHES, INTS(op->u.run.key, op->u.run.crashes), NULL, NULL,
                        err);
    case PW_OP_TIMER_SET:
    case PW_OP_TIMER_CLEAR:
        return put_ints(j, op->type == PW_OP_TIMER_SET ? PW_SQL_TIMER_SET : PW_SQL_TIMER_CLEAR,
                        INTS(timer->due_ms, timer->run, timer->cmd, timer->kind), NULL, NULL, err);
    case PW_OP_TASK_PUT:
        return put_task(j, &op->u.task, err);
    case PW_OP_TASK_BEAT:
        return put_ints(j, PW_SQL_TASK_BEAT, INTS(op->u.task.run, op->u.task.cmd),
                        &op->u.task.detail, NULL, err);
    case PW_OP_TASK_CLEAR:
        return clear(j, PW_SQL_TASK_CLEAR, op->u.task.run, op->u.task.cmd, err);
    case PW_OP_WAIT_PUT:
        return put_wait(j, &op->u.wait, err);
    case PW_OP_WAIT_CLEAR:
        return clear(j, PW_SQL_WAIT_CLEAR, op->u.wait.run, op->u.wait.cmd, err);
    case PW_OP_KEY_PUT:
        return put_key(j, op->u.kv.run, op->u.kv.key, op->u.kv.value, err);
    case PW_OP_MAP_PUT:
        return put_ints(j, PW_SQL_MAP_PUT,
                        INTS(map->run, map->cmd, map->total, map->done, map->failed), &map->body,
                        NULL, err);
    case PW_OP_MAP_PROGRESS:
        return put_ints(j, PW_SQL_MAP_PROGRESS, INTS(map->run, map->cmd, map->done, map->failed),
                        NULL, NULL, err);
    case PW_OP_MAP_PAGE:
        return put_page(j, &op->u.page, err);
    case PW_OP_MAP_CLEAR:
        return clear(j, PW_SQL_MAP_CLEAR, map->run, map->cmd, err);
    case PW_OP_SNAPSHOT_PUT:
        return put_snapshot(j, op, err);
    case PW_OP_BLOB_PUT:
        return pw_sqlite_blob_put(j, op->u.blob.digest, op->u.blob.body, err);
    case PW_OP_NODE_PUT:
        return put_node(j, op, err);
    case PW_OP_INBOX_PUT:
        return put_inbox(j, &op->u.inbox, err);
    case PW_OP_INBOX_TAKE:
        return take_inbox(j, op, err);
    case PW_OP_OUTCOME_PUT:
        return put_outcome(j, op->u.take.dedup, &op->u.take.outcome, err);
    case PW_OP_BUDGET_SET:
    case PW_OP_LEDGER_PUT:
    case PW_OP_LEDGER_BEGIN:
        return pw_sqlite_ledger_apply(j, op, err);
    case PW_OP_CACHE_PUT:
        return pw_sqlite_cache_put(j, &op->u.cache, err);
    case PW_OP_MEMO_PUT:
    case PW_OP_MEMO_DROP:
    case PW_OP_COLLECTION_CREATE:
    case PW_OP_COLLECTION_DROP:
    case PW_OP_ITEMS_PUT:
    case PW_OP_ITEMS_DROP:
        return apply_found(j, op, err);
    case PW_OP_RUN_COMPACT:
        return pw_sqlite_compact(j, op->u.run.key, err);
    }
    return pw_err(err, PAWL_INVALID, "operation type %d is not known", (int)op->type);
}
