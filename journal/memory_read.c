/*
 * memory_read.c - the reader half of the journal in memory, and the table of its functions.
 *
 * Same order, same filters, same checks of records as the SQLite reader. Callbacks run under the
 * store's lock. Does not copy rows: views point into the store.
 */
#include <string.h>

#include "journal/memory.h"
#include "journal/memory_ledger.h"
#include "journal/record_sum.h"
#include "sdk/base/mem.h"

static pawl_status reader_open(pw_journal *base, pw_reader **ret_reader, pawl_error *err)
{
    pw_memory_reader *r = pw_calloc(1, sizeof(*r));
    if (r == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    r->base.ops = &pw_memory_ops;
    r->base.journal = base;
    r->store = pw_memory_of(base)->store;
    *ret_reader = &r->base;
    return PAWL_OK;
}

static void reader_close(pw_reader *r)
{
    pw_free(r);
}

static bool starts_with(const pw_kv_node *node, const pw_row_key *prefix)
{
    pw_view key = pw_kv_key(node);
    return key.size >= prefix->size && memcmp(key.data, prefix->data, prefix->size) == 0;
}

static const pw_kv_node *find(pw_memory_store *s, const pw_row_key *key)
{
    return pw_kv_find(s->kv, pw_row_key_view(key));
}

/* ---- runs ---- */

static pawl_status get_run(pw_memory_store *s, int64_t key, pw_run_row *ret, pawl_error *err)
{
    pw_row_key k = PW_ROW_KEY(PW_TABLE_RUN, key);
    const pw_kv_node *node = find(s, &k);
    if (node == NULL || !pw_row_get_run(pw_kv_value(node), ret)) {
        return pw_err(err, PAWL_NOTFOUND, "no run with key %lld", (long long)key);
    }
    return PAWL_OK;
}

static pawl_status run_get(pw_reader *r, int64_t key, pw_run_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_run_row row;
    pthread_mutex_lock(&s->lock);
    pawl_status st = get_run(s, key, &row, err);
    if (st == PAWL_OK) {
        (void)fn(ctx, &row);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static pawl_status run_find(pw_reader *r, pw_view id, pw_run_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key prefix;
    pw_row_key_start(&prefix, PW_TABLE_RUN_ID);
    pw_row_key_bytes(&prefix, id.data, id.size);
    pw_row_key_bytes(&prefix, "", 1);
    pw_row_key end = prefix;
    pw_row_key_bytes(&end, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_before(s->kv, pw_row_key_view(&end));
    pw_run_row row;
    pawl_status st = PAWL_NOTFOUND;
    if (node != NULL && starts_with(node, &prefix) && pw_kv_key(node).size == prefix.size + 8) {
        pw_view tail = {pw_kv_key(node).data + prefix.size - 1, 9};
        st = get_run(s, pw_row_key_get(tail, 0), &row, err);
        if (st == PAWL_OK) {
            (void)fn(ctx, &row);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (st == PAWL_NOTFOUND) {
        return pw_err(err, PAWL_NOTFOUND, "no run with id %.*s",
                      (int)(id.size > 150 ? 150 : id.size), (const char *)id.data);
    }
    return st;
}

static bool scan_wants(const pw_scan *scan, const pw_run_row *row)
{
    if (scan->open_only && row->closed_ms != 0) {
        return false;
    }
    return scan->id_prefix.size == 0 ||
           (row->id.size >= scan->id_prefix.size &&
            memcmp(row->id.data, scan->id_prefix.data, scan->id_prefix.size) == 0);
}

static pawl_status run_scan(pw_reader *r, const pw_scan *scan, pw_run_fn fn, void *ctx,
                            pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    size_t left = scan->rows_max > 0 ? scan->rows_max : PW_PAGE_ROWS_MAX;
    pw_row_key at = PW_ROW_KEY(PW_TABLE_RUN, scan->before_key > 0 ? scan->before_key : INT64_MAX);
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_before(s->kv, pw_row_key_view(&at));
    while (left > 0 && node != NULL && pw_kv_key(node).data[0] == PW_TABLE_RUN) {
        pw_run_row row;
        if (pw_row_get_run(pw_kv_value(node), &row) && scan_wants(scan, &row)) {
            left--;
            if (!fn(ctx, &row)) {
                break;
            }
        }
        node = pw_kv_before(s->kv, pw_kv_key(node));
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

static pawl_status run_children(pw_reader *r, int64_t parent, pw_run_fn fn, void *ctx,
                                pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key prefix = PW_ROW_KEY(PW_TABLE_CHILD, parent);
    pawl_status st = PAWL_OK;
    bool more = true;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&prefix));
    while (st == PAWL_OK && more && node != NULL && starts_with(node, &prefix)) {
        pw_run_row row;
        st = get_run(s, pw_row_key_get(pw_kv_key(node), 1), &row, err);
        more = st == PAWL_OK && fn(ctx, &row);
        node = pw_kv_next(node);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static pawl_status key_max(pw_reader *r, int64_t *ret_key, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key end = PW_ROW_KEY(PW_TABLE_RUN, INT64_MAX);
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_before(s->kv, pw_row_key_view(&end));
    *ret_key = node != NULL && pw_kv_key(node).data[0] == PW_TABLE_RUN
                   ? pw_row_key_get(pw_kv_key(node), 0)
                   : 0;
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

/* ---- records ---- */

static pawl_status damaged(int64_t run, int64_t seq, const char *what, pawl_error *err)
{
    return pw_err(err, PAWL_DAMAGED, "run %lld, event %lld: %s", (long long)run, (long long)seq,
                  what);
}

/** The node that holds event from_seq, or the first one of the run after it. */
static const pw_kv_node *first_record(pw_memory_store *s, int64_t run, int64_t from_seq)
{
    pw_row_key key = PW_ROW_KEY(PW_TABLE_LOG, run, from_seq + 1);
    const pw_kv_node *node = pw_kv_before(s->kv, pw_row_key_view(&key));
    if (node != NULL && pw_kv_key(node).data[0] == PW_TABLE_LOG &&
        pw_row_key_get(pw_kv_key(node), 0) == run) {
        return node;
    }
    return pw_kv_seek(s->kv, pw_row_key_view(&key));
}

static pw_known_head *known_of(pw_memory_store *s, int64_t run)
{
    return &s->known[(uint64_t)run % PW_KNOWN_HEADS];
}

/** Records that led to this very head once lead to it still: their checksums are looked at every time. */
static bool head_known(pw_memory_store *s, const pw_run_row *row)
{
    const pw_known_head *k = known_of(s, row->key);
    return k->run == row->key && k->seq == row->seq &&
           memcmp(k->chain, row->chain, sizeof(k->chain)) == 0;
}

static void note_head(pw_memory_store *s, const pw_run_row *row)
{
    pw_known_head *k = known_of(s, row->key);
    k->run = row->key;
    k->seq = row->seq;
    memcpy(k->chain, row->chain, sizeof(k->chain));
}

pawl_status pw_memory_walk(pw_memory_store *s, int64_t run, int64_t from_seq, pw_record_fn fn,
                           void *ctx, pawl_error *err)
{
    pw_run_row row;
    pw_row_key prefix = PW_ROW_KEY(PW_TABLE_LOG, run);
    uint8_t chain[PW_DIGEST_SIZE] = {0};
    bool whole = from_seq <= 0;
    int64_t next = -1;
    pawl_status st = get_run(s, run, &row, err);
    const pw_kv_node *node = st == PAWL_OK ? first_record(s, run, whole ? 0 : from_seq) : NULL;
    bool follow = st == PAWL_OK && whole && !head_known(s, &row);
    for (; st == PAWL_OK && node != NULL && starts_with(node, &prefix); node = pw_kv_next(node)) {
        int64_t seq = pw_row_key_get(pw_kv_key(node), 1);
        int64_t pos = 0;
        int64_t events = 0;
        int64_t sum = 0;
        pw_view bytes;
        if (!pw_row_get_sealed(pw_kv_value(node), &pos, &events, &sum, &bytes) ||
            pw_record_sum(run, seq, events, bytes) != sum) {
            return damaged(run, seq, "the record does not match its checksum", err);
        }
        if (next < 0 ? seq > (whole ? 0 : from_seq) : seq != next) {
            return damaged(run, seq, "the history has a gap", err);
        }
        next = seq + events;
        if (follow) {
            pw_chain_next(chain, chain, bytes.data, bytes.size);
        }
        if (next > from_seq && !fn(ctx, pos, seq, events, bytes)) {
            return PAWL_OK;
        }
    }
    if (st == PAWL_OK && (next < 0 ? 0 : next) != row.seq) {
        return damaged(run, next, "the history ends before the run's row says", err);
    }
    if (follow && memcmp(chain, row.chain, sizeof(chain)) != 0) {
        return damaged(run, next, "the history does not lead to the run's chain head", err);
    }
    if (follow) {
        note_head(s, &row);
    }
    return st;
}

static pawl_status read_records(pw_reader *r, int64_t run, int64_t from_seq, pw_record_fn fn,
                                void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pthread_mutex_lock(&s->lock);
    pawl_status st = pw_memory_walk(s, run, from_seq, fn, ctx, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- lists ---- */

static pw_timer_row timer_of(pw_view key, bool by_run)
{
    pw_timer_row t = {0};
    t.due_ms = pw_row_key_get(key, by_run ? 1 : 0);
    t.run = pw_row_key_get(key, by_run ? 0 : 1);
    t.cmd = pw_row_key_get(key, 2);
    t.kind = (int)pw_row_key_get(key, 3);
    return t;
}

static pawl_status timers(pw_reader *r, int64_t until_ms, const pw_timer_row *after,
                          size_t rows_max, pw_timer_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    size_t left = rows_max > 0 ? rows_max : SIZE_MAX;
    pw_row_key from = PW_ROW_KEY(PW_TABLE_TIMER, INT64_MIN);
    if (after != NULL) {
        from = PW_ROW_KEY(PW_TABLE_TIMER, after->due_ms, after->run, after->cmd,
                          (int64_t)after->kind + 1);
    }
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (; left > 0 && node != NULL && pw_kv_key(node).data[0] == PW_TABLE_TIMER;
         node = pw_kv_next(node), left--) {
        pw_timer_row t = timer_of(pw_kv_key(node), false);
        if (t.due_ms > until_ms || !fn(ctx, &t)) {
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

static pawl_status run_timers(pw_reader *r, int64_t run, pw_timer_fn fn, void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key prefix = PW_ROW_KEY(PW_TABLE_RUN_TIMER, run);
    bool more = true;
    (void)err;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&prefix));
    for (; more && node != NULL && starts_with(node, &prefix); node = pw_kv_next(node)) {
        pw_timer_row t = timer_of(pw_kv_key(node), true);
        more = fn(ctx, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

typedef union row_fn {
    pw_task_fn task;
    pw_wait_fn wait;
    pw_map_fn map;
    pw_inbox_fn inbox;
    pw_key_fn key;
} row_fn;

static bool give(pw_table table, const pw_kv_node *node, row_fn fn, void *ctx)
{
    union {
        pw_task_row task;
        pw_wait_row wait;
        pw_map_row map;
        pw_inbox_row inbox;
    } row;
    pw_view value = pw_kv_value(node);
    pw_view key = pw_kv_key(node);
    switch ((int)table) {
    case PW_TABLE_TASK:
        return pw_row_get_task(value, &row.task) && fn.task(ctx, &row.task);
    case PW_TABLE_WAIT:
        return pw_row_get_wait(value, &row.wait) && fn.wait(ctx, &row.wait);
    case PW_TABLE_MAP:
        return pw_row_get_map(value, &row.map) && fn.map(ctx, &row.map);
    case PW_TABLE_INBOX:
        return pw_row_get_inbox(value, &row.inbox) && fn.inbox(ctx, &row.inbox);
    default:
        return fn.key(ctx, (pw_view){key.data + 9, key.size - 9}, value);
    }
}

/** Rows from key `from` on, while they begin with its first prefix_size bytes. */
static pawl_status list(pw_reader *r, pw_row_key from, size_t prefix_size, size_t rows_max,
                        row_fn fn, void *ctx)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key prefix = from;
    prefix.size = prefix_size;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (; rows_max > 0 && node != NULL && starts_with(node, &prefix);
         node = pw_kv_next(node), rows_max--) {
        if (!give((pw_table)from.data[0], node, fn, ctx)) {
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

static pawl_status list_of_run(pw_reader *r, pw_table table, int64_t run, row_fn fn, void *ctx)
{
    pw_row_key from = PW_ROW_KEY(table, run);
    if (run == 0) {
        pw_row_key_start(&from, table);
    }
    return list(r, from, from.size, SIZE_MAX, fn, ctx);
}

static pawl_status tasks(pw_reader *r, int64_t run, pw_task_fn fn, void *ctx, pawl_error *err)
{
    (void)err;
    return list_of_run(r, PW_TABLE_TASK, run, (row_fn){.task = fn}, ctx);
}

static pawl_status waits(pw_reader *r, int64_t run, pw_wait_fn fn, void *ctx, pawl_error *err)
{
    (void)err;
    return list_of_run(r, PW_TABLE_WAIT, run, (row_fn){.wait = fn}, ctx);
}

static pawl_status maps(pw_reader *r, int64_t run, pw_map_fn fn, void *ctx, pawl_error *err)
{
    (void)err;
    return list_of_run(r, PW_TABLE_MAP, run, (row_fn){.map = fn}, ctx);
}

static pawl_status keys(pw_reader *r, int64_t run, pw_view key, pw_key_fn fn, void *ctx,
                        pawl_error *err)
{
    pw_row_key from = PW_ROW_KEY(PW_TABLE_KEY, run);
    size_t prefix = from.size;
    (void)err;
    if (key.size == 0) {
        return list(r, from, prefix, SIZE_MAX, (row_fn){.key = fn}, ctx);
    }
    pw_row_key_bytes(&from, key.data, key.size);
    pw_memory_store *s = pw_memory_reader_of(r);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = find(s, &from);
    if (node != NULL) {
        (void)give(PW_TABLE_KEY, node, (row_fn){.key = fn}, ctx);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

static pawl_status map_pages(pw_reader *r, const pw_page_range *range, pw_page_fn fn, void *ctx,
                             pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key from = PW_ROW_KEY(PW_TABLE_PAGE, range->run, range->cmd, range->from);
    pw_row_key prefix = PW_ROW_KEY(PW_TABLE_PAGE, range->run, range->cmd);
    pawl_status st = PAWL_OK;
    bool more = true;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (; more && node != NULL && starts_with(node, &prefix); node = pw_kv_next(node)) {
        pw_page_row row;
        st = pw_row_get_page(pw_kv_key(node), pw_kv_value(node), &row, err);
        if (st != PAWL_OK || row.page > range->to) {
            break;
        }
        if (range->heads_only) {
            row.body = (pw_view){NULL, 0};
        }
        more = fn(ctx, &row);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static pawl_status inbox(pw_reader *r, int64_t after_id, size_t rows_max, pw_inbox_fn fn, void *ctx,
                         pawl_error *err)
{
    (void)err;
    pw_row_key from = PW_ROW_KEY(PW_TABLE_INBOX, after_id + 1);
    return list(r, from, 1, rows_max > 0 ? rows_max : SIZE_MAX, (row_fn){.inbox = fn}, ctx);
}

/* ---- single things ---- */

static pawl_status copy_out(pw_buf *ret, pw_view bytes, pawl_error *err)
{
    pw_buf_put(ret, bytes.data, bytes.size);
    return pw_buf_ok(ret) ? PAWL_OK
                          : pw_err(err, PAWL_NOMEM, "no memory for %zu bytes", bytes.size);
}

static pawl_status snapshot(pw_reader *r, int64_t run, int64_t *ret_seq, pw_buf *ret_body,
                            pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key key = PW_ROW_KEY(PW_TABLE_SNAPSHOT, run);
    int64_t seq = 0;
    int64_t events = 0;
    int64_t sum = 0;
    pw_view body;
    pawl_status st = PAWL_OK;
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = find(s, &key);
    if (node == NULL) {
        st = pw_err(err, PAWL_NOTFOUND, "run %lld has no snapshot", (long long)run);
    } else if (!pw_row_get_sealed(pw_kv_value(node), &seq, &events, &sum, &body) ||
               pw_record_sum(run, seq, 0, body) != sum) {
        st = pw_err(err, PAWL_DAMAGED, "the snapshot of run %lld does not match its checksum",
                    (long long)run);
    } else {
        st = copy_out(ret_body, body, err);
        *ret_seq = st == PAWL_OK ? seq : *ret_seq;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static void put_chunks(pw_memory_store *s, const uint8_t *digest, pw_buf *ret)
{
    pw_row_key prefix;
    pw_row_key_start(&prefix, PW_TABLE_CHUNK);
    pw_row_key_bytes(&prefix, digest, PW_DIGEST_SIZE);
    const pw_kv_node *node = pw_kv_seek(s->kv, pw_row_key_view(&prefix));
    for (; node != NULL && starts_with(node, &prefix); node = pw_kv_next(node)) {
        pw_buf_put(ret, pw_kv_value(node).data, pw_kv_value(node).size);
    }
}

static pawl_status blob(pw_reader *r, const uint8_t digest[PW_DIGEST_SIZE], pw_buf *ret_body,
                        pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    uint8_t found[PW_DIGEST_SIZE];
    size_t before = ret_body->size;
    pw_row_key key;
    pw_row_key_start(&key, PW_TABLE_BLOB);
    pw_row_key_bytes(&key, digest, PW_DIGEST_SIZE);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *node = find(s, &key);
    if (node != NULL && pw_kv_value(node).data[0] == 1) {
        put_chunks(s, digest, ret_body);
    } else if (node != NULL) {
        pw_buf_put(ret_body, pw_kv_value(node).data + 1, pw_kv_value(node).size - 1);
    }
    pthread_mutex_unlock(&s->lock);
    if (node == NULL) {
        return pw_err(err, PAWL_NOTFOUND, "no such blob");
    }
    if (!pw_buf_ok(ret_body)) {
        return pw_err(err, PAWL_NOMEM, "no memory for a blob");
    }
    pw_blob_digest(found, s->blob_key,
                   ret_body->data != NULL ? ret_body->data + before : (const uint8_t *)"",
                   ret_body->size - before);
    return memcmp(found, digest, PW_DIGEST_SIZE) == 0
               ? PAWL_OK
               : pw_err(err, PAWL_DAMAGED, "a blob does not match its digest");
}

static pawl_status node(pw_reader *r, const uint8_t id[PW_DIGEST_SIZE],
                        uint8_t ret_parent[PW_DIGEST_SIZE], pw_buf *ret_body, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key key;
    pawl_status st = PAWL_OK;
    pw_row_key_start(&key, PW_TABLE_NODE);
    pw_row_key_bytes(&key, id, PW_DIGEST_SIZE);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *found = find(s, &key);
    if (found == NULL) {
        st = pw_err(err, PAWL_NOTFOUND, "no such conversation node");
    } else {
        pw_view value = pw_kv_value(found);
        memcpy(ret_parent, value.data, PW_DIGEST_SIZE);
        st = copy_out(ret_body, (pw_view){value.data + PW_DIGEST_SIZE, value.size - PW_DIGEST_SIZE},
                      err);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static pawl_status outcome(pw_reader *r, pw_view dedup, pw_buf *ret_body, pw_outcome *ret_outcome,
                           pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key key;
    pw_outcome o;
    pawl_status st = PAWL_OK;
    size_t before = ret_body->size;
    pw_row_key_start(&key, PW_TABLE_OUTCOME);
    pw_row_key_bytes(&key, dedup.data, dedup.size);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *found = find(s, &key);
    if (found == NULL || !pw_row_get_outcome(pw_kv_value(found), &o)) {
        st = pw_err(err, PAWL_NOTFOUND, "no outcome under that key");
    } else {
        st = copy_out(ret_body, o.body, err);
    }
    pthread_mutex_unlock(&s->lock);
    if (st == PAWL_OK) {
        o.body = (pw_view){ret_body->data != NULL ? ret_body->data + before : NULL,
                           ret_body->size - before};
        *ret_outcome = o;
    }
    return st;
}

static pawl_status cached(pw_reader *r, const uint8_t wanted[PW_DIGEST_SIZE], pw_buf *ret_body,
                          pw_cache_row *ret_row, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(r);
    pw_row_key key;
    pw_cache_row row;
    pw_row_key_start(&key, PW_TABLE_CACHE);
    pw_row_key_bytes(&key, wanted, PW_DIGEST_SIZE);
    pthread_mutex_lock(&s->lock);
    const pw_kv_node *found = find(s, &key);
    pawl_status st = found != NULL ? pw_row_get_cache(pw_kv_value(found), wanted, &row, err)
                                   : pw_err(err, PAWL_NOTFOUND, "nothing is kept under that key");
    st = st == PAWL_OK ? pw_cache_copy(ret_body, &row, ret_row, err) : st;
    pthread_mutex_unlock(&s->lock);
    return st;
}

static void blob_key(pw_reader *r, uint8_t ret_key[PW_KEY_SIZE])
{
    memcpy(ret_key, pw_memory_reader_of(r)->blob_key, PW_KEY_SIZE);
}

const pw_journal_ops pw_memory_ops = {
    .name = "memory",
    .caps = 0,
    .close = pw_memory_close,
    .lease = pw_memory_lease,
    .renew = pw_memory_renew,
    .commit = pw_memory_commit,
    .stage = pw_memory_stage,
    .reopen = pw_memory_reopen,
    .resolve = pw_memory_resolve,
    .settle = NULL,
    .idle = pw_memory_idle,
    .ballast = pw_memory_ballast,
    .reader_open = reader_open,
    .reader_close = reader_close,
    .run_get = run_get,
    .run_find = run_find,
    .run_scan = run_scan,
    .run_children = run_children,
    .key_max = key_max,
    .read = read_records,
    .timers = timers,
    .run_timers = run_timers,
    .tasks = tasks,
    .waits = waits,
    .keys = keys,
    .maps = maps,
    .map_pages = map_pages,
    .snapshot = snapshot,
    .blob = blob,
    .node = node,
    .inbox = inbox,
    .outcome = outcome,
    .budgets = pw_memory_budgets,
    .ledger = pw_memory_ledger,
    .cached = cached,
    .memo = pw_memory_memo,
    .memos = pw_memory_memos,
    .memo_words = pw_memory_memo_words,
    .memo_spaces = pw_memory_memo_spaces,
    .collections = pw_memory_collections,
    .collections_made = pw_memory_collections_made,
    .items = pw_memory_items,
    .item = pw_memory_item,
    .changes = pw_memory_changes,
    .item_words = pw_memory_item_words,
    .blob_key = blob_key,
};
