/*
 * memory_commit.c - what each operation of a group does to the ordered map.
 *
 * The same rules as sqlite_op.c, found by the same conformance suite: compare-and-swap of the run
 * row, one outcome per dedup key, an inbox row taken once. Knows nothing of faults: memory.c
 * orders those.
 */
#include <string.h>

#include "journal/memory_ledger.h"
#include "journal/record_sum.h"

static pawl_status no_memory(pawl_error *err)
{
    return pw_err(err, PAWL_NOMEM, "out of memory");
}

static pawl_status put(pw_memory_store *s, const pw_row_key *key, pw_view value, pawl_error *err)
{
    if (!key->whole) {
        return pw_err(err, PAWL_LIMIT, "a key is longer than %d bytes", PW_ROW_KEY_BYTES);
    }
    return pw_kv_put(s->kv, pw_row_key_view(key), value) ? PAWL_OK : no_memory(err);
}

static pawl_status put_buf(pw_memory_store *s, const pw_row_key *key, pw_buf *value,
                           pawl_error *err)
{
    pawl_status st =
        pw_buf_ok(value) ? put(s, key, (pw_view){value->data, value->size}, err) : no_memory(err);
    pw_buf_deinit(value);
    return st;
}

static pawl_status drop(pw_memory_store *s, pw_row_key key, bool *ret_found, pawl_error *err)
{
    return pw_kv_delete(s->kv, pw_row_key_view(&key), ret_found) ? PAWL_OK : no_memory(err);
}

static bool has(pw_memory_store *s, const pw_row_key *key)
{
    return pw_kv_find(s->kv, pw_row_key_view(key)) != NULL;
}

/** Deletes every row of a table whose first integer is `run`. */
static pawl_status drop_all(pw_memory_store *s, pw_table table, int64_t run, pawl_error *err)
{
    pw_row_key from = PW_ROW_KEY(table, run);
    for (;;) {
        const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
        if (node == NULL || pw_kv_key(node).size < from.size ||
            memcmp(pw_kv_key(node).data, from.data, from.size) != 0) {
            return PAWL_OK;
        }
        if (!pw_kv_delete(s->kv, pw_kv_key(node), NULL)) {
            return no_memory(err);
        }
    }
}

/* ---- runs and turns ---- */

static pawl_status put_run_row(pw_memory_store *s, const pw_run_row *r, pawl_error *err)
{
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_RUN, r->key);
    pw_row_put_run(&b, r);
    return put_buf(s, &key, &b, err);
}

static pawl_status create_run(pw_memory_store *s, const pw_run_row *given, pawl_error *err)
{
    pw_run_row r = *given;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_RUN, r.key);
    if (has(s, &key)) {
        return pw_err(err, PAWL_CONFLICT, "run %lld exists", (long long)r.key);
    }
    r.seq = 0;
    memset(r.chain, 0, sizeof(r.chain));
    pawl_status st = put_run_row(s, &r, err);
    if (st == PAWL_OK) {
        pw_row_key id;
        pw_row_key_start(&id, PW_TABLE_RUN_ID);
        pw_row_key_bytes(&id, r.id.data, r.id.size);
        pw_row_key_bytes(&id, "", 1);
        pw_row_key_int(&id, r.key);
        st = put(s, &id, (pw_view){NULL, 0}, err);
    }
    if (st == PAWL_OK && r.parent_key != 0) {
        pw_row_key child = PW_ROW_KEY(PW_TABLE_CHILD, r.parent_key, r.key);
        st = put(s, &child, (pw_view){NULL, 0}, err);
    }
    return st;
}

static pawl_status find_run(pw_memory_store *s, int64_t key, pw_run_row *ret, pawl_error *err)
{
    pw_row_key k = PW_ROW_KEY(PW_TABLE_RUN, key);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&k));
    if (node == NULL || !pw_row_get_run(pw_kv_value(node), ret)) {
        return pw_err(err, PAWL_CONFLICT, "run %lld does not exist", (long long)key);
    }
    return PAWL_OK;
}

/** The half of the row that a turn writes; the other half stays. */
static void move_row(pw_run_row *row, const pw_turn_op *t)
{
    const pw_run_row *to = &t->row;
    row->status = to->status;
    row->seq = t->expected_seq + t->events;
    memcpy(row->chain, t->chain_next, PW_DIGEST_SIZE);
    row->updated_ms = to->updated_ms;
    row->closed_ms = to->closed_ms;
    row->waiting = to->waiting;
    row->reason = to->reason;
    row->progress_done = to->progress_done;
    row->progress_total = to->progress_total;
    row->progress_text = to->progress_text;
    row->unread = to->unread;
    row->crashes = to->crashes;
    row->build = to->build;
}

static pawl_status land_turn(pw_memory_store *s, pw_turn_op *t, pw_memory_owner *owner,
                             pawl_error *err)
{
    pw_run_row row;
    pw_view record = t->record;
    if (t->tx != NULL) {
        return pw_err(err, PAWL_UNSUPPORTED, "the journal in memory has no transactional steps");
    }
    if (t->events < 1 || record.size == 0 || record.size > PW_RECORD_BYTES_MAX) {
        return pw_err(err, PAWL_LIMIT,
                      "a turn's record must hold 1 event and at most %u bytes (run %lld)",
                      PW_RECORD_BYTES_MAX, (long long)t->run);
    }
    pawl_status st = find_run(s, t->run, &row, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (row.seq != t->expected_seq || memcmp(row.chain, t->chain_prev, PW_DIGEST_SIZE) != 0) {
        return pw_err(err, PAWL_CONFLICT, "run %lld is not at event %lld of the expected history",
                      (long long)t->run, (long long)t->expected_seq);
    }
    pw_chain_next(t->chain_next, t->chain_prev, record.data, record.size);
    move_row(&row, t);
    st = put_run_row(s, &row, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_LOG, t->run, t->expected_seq);
    pw_row_put_sealed(&b, ++owner->pos, t->events,
                      pw_record_sum(t->run, t->expected_seq, t->events, record), record);
    return put_buf(s, &key, &b, err);
}

static pawl_status set_crashes(pw_memory_store *s, const pw_run_row *given, pawl_error *err)
{
    pw_run_row row;
    if (find_run(s, given->key, &row, NULL) != PAWL_OK) {
        return PAWL_OK;
    }
    row.crashes = given->crashes;
    return put_run_row(s, &row, err);
}

static pawl_status compact(pw_memory_store *s, int64_t run, pawl_error *err)
{
    static const pw_table tables[] = {PW_TABLE_TASK, PW_TABLE_WAIT, PW_TABLE_MAP};
    pw_run_row row;
    pawl_status st = find_run(s, run, &row, err);
    if (st == PAWL_OK && row.closed_ms == 0) {
        return pw_err(err, PAWL_CONFLICT, "run %lld is open: only closed runs are compacted",
                      (long long)run);
    }
    for (size_t i = 0; st == PAWL_OK && i < PW_COUNT(tables); i++) {
        st = drop_all(s, tables[i], run, err);
    }
    pw_row_key from = PW_ROW_KEY(PW_TABLE_RUN_TIMER, run);
    const pw_kv_node *node = NULL;
    while (st == PAWL_OK && (node = pw_kv_seek(s->kv, pw_row_key_view(&from))) != NULL &&
           pw_kv_key(node).size >= from.size &&
           memcmp(pw_kv_key(node).data, from.data, from.size) == 0) {
        pw_view k = pw_kv_key(node);
        st = drop(s,
                  PW_ROW_KEY(PW_TABLE_TIMER, pw_row_key_get(k, 1), run, pw_row_key_get(k, 2),
                             pw_row_key_get(k, 3)),
                  NULL, err);
        if (st == PAWL_OK && !pw_kv_delete(s->kv, k, NULL)) {
            st = no_memory(err);
        }
    }
    return st;
}

/* ---- the rest ---- */

static pawl_status set_timer(pw_memory_store *s, const pw_timer_row *t, bool set, pawl_error *err)
{
    pw_row_key by_due = PW_ROW_KEY(PW_TABLE_TIMER, t->due_ms, t->run, t->cmd, t->kind);
    pw_row_key by_run = PW_ROW_KEY(PW_TABLE_RUN_TIMER, t->run, t->due_ms, t->cmd, t->kind);
    if (!set) {
        pawl_status st = drop(s, by_due, NULL, err);
        return st == PAWL_OK ? drop(s, by_run, NULL, err) : st;
    }
    pawl_status st = put(s, &by_due, (pw_view){NULL, 0}, err);
    return st == PAWL_OK ? put(s, &by_run, (pw_view){NULL, 0}, err) : st;
}

static pawl_status beat(pw_memory_store *s, const pw_task_row *given, pawl_error *err)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_TASK, given->run, given->cmd);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_task_row row;
    if (node == NULL || !pw_row_get_task(pw_kv_value(node), &row)) {
        return PAWL_OK;
    }
    pw_buf b = PW_BUF_INIT;
    row.detail = given->detail;
    pw_row_put_task(&b, &row);
    return put_buf(s, &key, &b, err);
}

static pawl_status put_progress(pw_memory_store *s, const pw_map_row *given, pawl_error *err)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_MAP, given->run, given->cmd);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_map_row row;
    if (node == NULL || !pw_row_get_map(pw_kv_value(node), &row)) {
        return PAWL_OK;
    }
    pw_buf b = PW_BUF_INIT;
    row.done = given->done;
    row.failed = given->failed;
    pw_row_put_map(&b, &row);
    return put_buf(s, &key, &b, err);
}

static pawl_status put_key(pw_memory_store *s, int64_t run, pw_view name, pw_view value,
                           pawl_error *err)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_KEY, run);
    pw_row_key_bytes(&key, name.data, name.size);
    return put(s, &key, value, err);
}

/** The bytes that were staged under a digest. */
static size_t staged_size(pw_memory_store *s, const uint8_t *digest)
{
    pw_row_key from = {.whole = true};
    size_t size = 0;
    pw_row_key_start(&from, PW_TABLE_CHUNK);
    pw_row_key_bytes(&from, digest, PW_DIGEST_SIZE);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    while (node != NULL && pw_kv_key(node).size > from.size &&
           memcmp(pw_kv_key(node).data, from.data, from.size) == 0) {
        size += pw_kv_value(node).size;
        node = pw_kv_next(node);
    }
    return size;
}

static pawl_status put_blob(pw_memory_store *s, const uint8_t *digest, pw_view body,
                            pawl_error *err)
{
    pw_row_key key = {.whole = true};
    pw_row_key staged;
    pw_row_key_start(&key, PW_TABLE_BLOB);
    pw_row_key_bytes(&key, digest, PW_DIGEST_SIZE);
    pw_row_key_start(&staged, PW_TABLE_STAGED);
    pw_row_key_bytes(&staged, digest, PW_DIGEST_SIZE);
    if (has(s, &key)) {
        return PAWL_OK;
    }
    bool chunked = body.data == NULL;
    if (!chunked && body.size > PW_BLOB_CHUNK_BYTES) {
        return pw_err(err, PAWL_LIMIT, "a blob above %u bytes must be staged in chunks",
                      PW_BLOB_CHUNK_BYTES);
    }
    if (chunked && (!has(s, &staged) || staged_size(s, digest) != body.size)) {
        return pw_err(err, PAWL_NOT, "a blob's chunks were not staged before its group");
    }
    pw_buf b = PW_BUF_INIT;
    pw_buf_putc(&b, chunked ? 1 : 0);
    pw_buf_put(&b, body.data, chunked ? 0 : body.size);
    pawl_status st = put_buf(s, &key, &b, err);
    return st == PAWL_OK && chunked ? drop(s, staged, NULL, err) : st;
}

static pawl_status put_node(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    uint8_t id[PW_DIGEST_SIZE];
    pw_row_key key;
    pw_node_id(id, s->blob_key, op->u.node.parent, op->u.node.body);
    if (memcmp(id, op->u.node.id, sizeof(id)) != 0) {
        return pw_err(err, PAWL_INVALID,
                      "a conversation node's id is not the digest of its content");
    }
    static const uint8_t none[PW_DIGEST_SIZE];
    pw_row_key_start(&key, PW_TABLE_NODE); /* [J16] */
    pw_row_key_bytes(&key, op->u.node.parent, PW_DIGEST_SIZE);
    if (memcmp(op->u.node.parent, none, sizeof(none)) != 0 && !has(s, &key)) {
        return pw_err(err, PAWL_INVALID, "a conversation node's parent does not exist");
    }
    pw_row_key_start(&key, PW_TABLE_NODE);
    pw_row_key_bytes(&key, id, sizeof(id));
    pw_buf b = PW_BUF_INIT;
    pw_buf_put(&b, op->u.node.parent, PW_DIGEST_SIZE);
    pw_buf_put(&b, op->u.node.body.data, op->u.node.body.size);
    return put_buf(s, &key, &b, err);
}

static pw_row_key dedup_key(pw_table table, pw_view dedup)
{
    pw_row_key key;
    pw_row_key_start(&key, table);
    pw_row_key_bytes(&key, dedup.data, dedup.size);
    return key;
}

static pawl_status put_inbox(pw_memory_store *s, const pw_inbox_row *given, pw_memory_owner *owner,
                             pawl_error *err)
{
    pw_inbox_row row = *given;
    pw_row_key dedup = dedup_key(PW_TABLE_DEDUP, row.dedup);
    if (row.dedup.size > 0 && has(s, &dedup)) {
        return PAWL_OK;
    }
    row.id = ++owner->inbox;
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_INBOX, row.id);
    pw_row_put_inbox(&b, &row);
    pawl_status st = put_buf(s, &key, &b, err);
    return st == PAWL_OK && row.dedup.size > 0 ? put(s, &dedup, (pw_view){NULL, 0}, err) : st;
}

static pawl_status put_outcome(pw_memory_store *s, pw_view dedup, const pw_outcome *o,
                               pawl_error *err)
{
    pw_row_key key = dedup_key(PW_TABLE_OUTCOME, dedup);
    if (dedup.size == 0) {
        return PAWL_OK;
    }
    if (has(s, &key)) {
        return pw_err(err, PAWL_CONFLICT, "request %.*s has been answered before",
                      (int)(dedup.size > 80 ? 80 : dedup.size), (const char *)dedup.data);
    }
    pw_buf b = PW_BUF_INIT;
    pw_row_put_outcome(&b, o);
    return put_buf(s, &key, &b, err);
}

static pawl_status take_inbox(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_INBOX, op->u.take.inbox_id);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_inbox_row row;
    if (node == NULL || !pw_row_get_inbox(pw_kv_value(node), &row)) {
        return pw_err(err, PAWL_CONFLICT, "inbox row %lld was taken before",
                      (long long)op->u.take.inbox_id);
    }
    pawl_status st =
        row.dedup.size > 0 ? drop(s, dedup_key(PW_TABLE_DEDUP, row.dedup), NULL, err) : PAWL_OK;
    if (st == PAWL_OK) {
        st = drop(s, key, NULL, err);
    }
    return st == PAWL_OK ? put_outcome(s, op->u.take.dedup, &op->u.take.outcome, err) : st;
}

static pw_row_key cache_key(const uint8_t key[PW_DIGEST_SIZE])
{
    pw_row_key k;
    pw_row_key_start(&k, PW_TABLE_CACHE);
    pw_row_key_bytes(&k, key, PW_DIGEST_SIZE);
    return k;
}

static pw_row_key expiry_key(int64_t expires_ms, const uint8_t key[PW_DIGEST_SIZE])
{
    pw_row_key k = PW_ROW_KEY(PW_TABLE_EXPIRY, expires_ms);
    pw_row_key_bytes(&k, key, PW_DIGEST_SIZE);
    return k;
}

/* The first to expire goes, if it has. True: there may be more. */
static bool sweep_one(pw_memory_store *s, int64_t now_ms, pawl_status *ret_st, pawl_error *err)
{
    pw_row_key from;
    uint8_t key[PW_DIGEST_SIZE];
    pw_row_key_start(&from, PW_TABLE_EXPIRY);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    const pw_view found = node != NULL ? pw_kv_key(node) : (pw_view){NULL, 0};
    if (found.size < sizeof key || found.data[0] != PW_TABLE_EXPIRY ||
        pw_row_key_get(found, 0) > now_ms) {
        return false;
    }
    const int64_t expires_ms = pw_row_key_get(found, 0);
    memcpy(key, found.data + found.size - sizeof key, sizeof key);
    *ret_st = drop(s, expiry_key(expires_ms, key), NULL, err);
    *ret_st = *ret_st == PAWL_OK ? drop(s, cache_key(key), NULL, err) : *ret_st;
    return *ret_st == PAWL_OK;
}

/* What stood there before has an expiry of its own, which must not take the new one along. */
static pawl_status forget_expiry(pw_memory_store *s, const uint8_t key[PW_DIGEST_SIZE],
                                 pawl_error *err)
{
    const pw_row_key at = cache_key(key);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&at));
    pw_cache_row row;
    return node != NULL && pw_row_get_cache(pw_kv_value(node), key, &row, err) == PAWL_OK
               ? drop(s, expiry_key(row.expires_ms, key), NULL, err)
               : PAWL_OK;
}

/* The simulator's runs are few: only time is looked at here. */
static pawl_status put_cached(pw_memory_store *s, const pw_cache_row *row, pawl_error *err)
{
    const pw_row_key at = cache_key(row->key);
    const pw_row_key expiry = expiry_key(row->expires_ms, row->key);
    pw_buf b = PW_BUF_INIT;
    pawl_status st = forget_expiry(s, row->key, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_row_put_cache(&b, row);
    st = put_buf(s, &at, &b, err);
    st = st == PAWL_OK ? put(s, &expiry, (pw_view){NULL, 0}, err) : st;
    for (int i = 0; i < PW_CACHE_SWEEP_ROWS && st == PAWL_OK && sweep_one(s, row->at_ms, &st, err);
         i++) {
    }
    return st;
}

static pawl_status put_snapshot(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    int64_t run = op->u.snapshot.run;
    int64_t seq = op->u.snapshot.seq;
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = PW_ROW_KEY(PW_TABLE_SNAPSHOT, run);
    pw_row_put_sealed(&b, seq, 0, pw_record_sum(run, seq, 0, op->u.snapshot.body),
                      op->u.snapshot.body);
    return put_buf(s, &key, &b, err);
}

static pawl_status put_row(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    pw_buf b = PW_BUF_INIT;
    pw_row_key key = {.whole = true};
    switch ((int)op->type) {
    case PW_OP_TASK_PUT:
        key = PW_ROW_KEY(PW_TABLE_TASK, op->u.task.run, op->u.task.cmd);
        pw_row_put_task(&b, &op->u.task);
        break;
    case PW_OP_WAIT_PUT:
        key = PW_ROW_KEY(PW_TABLE_WAIT, op->u.wait.run, op->u.wait.cmd);
        pw_row_put_wait(&b, &op->u.wait);
        break;
    case PW_OP_MAP_PUT:
        key = PW_ROW_KEY(PW_TABLE_MAP, op->u.map.run, op->u.map.cmd);
        pw_row_put_map(&b, &op->u.map);
        break;
    default:
        key = PW_ROW_KEY(PW_TABLE_PAGE, op->u.page.run, op->u.page.cmd, op->u.page.page,
                         op->u.page.part);
        pw_row_put_page(&b, &op->u.page);
        break;
    }
    return put_buf(s, &key, &b, err);
}

pawl_status pw_memory_apply(pw_memory_store *s, pw_op *op, pw_memory_owner *owner, pawl_error *err)
{
    switch (op->type) {
    case PW_OP_RUN_CREATE:
        return create_run(s, &op->u.run, err);
    case PW_OP_TURN:
        return land_turn(s, &op->u.turn, owner, err);
    case PW_OP_RUN_CRASHES:
        return set_crashes(s, &op->u.run, err);
    case PW_OP_TIMER_SET:
        return set_timer(s, &op->u.timer, true, err);
    case PW_OP_TIMER_CLEAR:
        return set_timer(s, &op->u.timer, false, err);
    case PW_OP_TASK_PUT:
    case PW_OP_WAIT_PUT:
    case PW_OP_MAP_PUT:
    case PW_OP_MAP_PAGE:
        return put_row(s, op, err);
    case PW_OP_MAP_PROGRESS:
        return put_progress(s, &op->u.map, err);
    case PW_OP_TASK_BEAT:
        return beat(s, &op->u.task, err);
    case PW_OP_TASK_CLEAR:
        return drop(s, PW_ROW_KEY(PW_TABLE_TASK, op->u.task.run, op->u.task.cmd), NULL, err);
    case PW_OP_WAIT_CLEAR:
        return drop(s, PW_ROW_KEY(PW_TABLE_WAIT, op->u.wait.run, op->u.wait.cmd), NULL, err);
    case PW_OP_KEY_PUT:
        return put_key(s, op->u.kv.run, op->u.kv.key, op->u.kv.value, err);
    case PW_OP_MAP_CLEAR:
        return drop(s, PW_ROW_KEY(PW_TABLE_MAP, op->u.map.run, op->u.map.cmd), NULL, err);
    case PW_OP_SNAPSHOT_PUT:
        return put_snapshot(s, op, err);
    case PW_OP_BLOB_PUT:
        return put_blob(s, op->u.blob.digest, op->u.blob.body, err);
    case PW_OP_NODE_PUT:
        return put_node(s, op, err);
    case PW_OP_INBOX_PUT:
        return put_inbox(s, &op->u.inbox, owner, err);
    case PW_OP_INBOX_TAKE:
        return take_inbox(s, op, err);
    case PW_OP_OUTCOME_PUT:
        return put_outcome(s, op->u.take.dedup, &op->u.take.outcome, err);
    case PW_OP_BUDGET_SET:
    case PW_OP_LEDGER_PUT:
    case PW_OP_LEDGER_BEGIN:
        return pw_memory_ledger_apply(s, op, err);
    case PW_OP_CACHE_PUT:
        return put_cached(s, &op->u.cache, err);
    case PW_OP_MEMO_PUT:
        return pw_memory_memo_put(s, &op->u.memo, err);
    case PW_OP_MEMO_DROP:
        return pw_memory_memo_drop(s, &op->u.memo, err);
    case PW_OP_COLLECTION_CREATE:
    case PW_OP_COLLECTION_DROP:
    case PW_OP_ITEMS_PUT:
    case PW_OP_ITEMS_DROP:
        return pw_memory_collection_apply(s, op, err);
    case PW_OP_RUN_COMPACT:
        return compact(s, op->u.run.key, err);
    }
    return pw_err(err, PAWL_INVALID, "operation type %d is not known", (int)op->type);
}
