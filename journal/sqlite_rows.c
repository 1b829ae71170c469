/*
 * sqlite_rows.c - the reader half: timers, tasks, waits, keys, maps, snapshots, blobs, nodes,
 * inbox, outcomes.
 *
 * Every list is one statement and one row function; `list` does the rest. Single things (snapshot,
 * blob, node, outcome) copy their bytes into the caller's buffer after checking them. Does not
 * interpret any body.
 */
#include "journal/sqlite.h"

#include <string.h>

#include "journal/bugs.h"
#include "journal/map_page.h"
#include "journal/record_sum.h"

/* ---- lists ---- */

typedef union row_fn {
    pw_timer_fn timer;
    pw_task_fn task;
    pw_wait_fn wait;
    pw_key_fn key;
    pw_map_fn map;
    pw_inbox_fn inbox;
} row_fn;
typedef bool (*give_fn)(pw_cols *c, row_fn fn, void *ctx);

/** What a list binds: integers, then one text. */
typedef struct list_args {
    pw_sql id;
    int64_t ints[6];
    size_t len;
    pw_view text;
    bool with_text;
} list_args;

static pawl_status list_rows(pw_sqlite_reader *r, const list_args *a, give_fn give, row_fn fn,
                             void *ctx, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, a->id, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = true;
    pawl_status status = PAWL_OK;
    pw_bind b = {st, 0};
    for (size_t i = 0; i < a->len; i++) {
        pw_bind_int(&b, a->ints[i]);
    }
    if (a->with_text) {
        pw_bind_text(&b, a->text);
    }
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {st, 0};
            row = give(&c, fn, ctx);
        }
    }
    pw_db_give(&r->db, a->id, st);
    return status;
}

static pawl_status list(pw_reader *base, const list_args *a, give_fn give, row_fn fn, void *ctx,
                        pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = list_rows(r, a, give, fn, ctx, err);
        pw_reader_leave(r);
    }
    return st;
}

static int64_t page(size_t rows_max)
{
    return rows_max > 0 && rows_max < INT64_MAX ? (int64_t)rows_max : -1; /* LIMIT -1: all */
}

static bool give_timer(pw_cols *c, row_fn fn, void *ctx)
{
    pw_timer_row t = {0};
    t.due_ms = pw_col_int(c);
    t.run = pw_col_int(c);
    t.cmd = pw_col_int(c);
    t.kind = (int)pw_col_int(c);
    return fn.timer(ctx, &t);
}

pawl_status pw_sqlite_timers(pw_reader *r, int64_t until_ms, const pw_timer_row *after,
                             size_t rows_max, pw_timer_fn fn, void *ctx, pawl_error *err)
{
    list_args a = {
        PW_SQL_TIMERS, {until_ms, INT64_MIN, 0, 0, 0, page(rows_max)}, 6, {NULL, 0}, false};
    if (after != NULL) {
        a.ints[1] = after->due_ms;
        a.ints[2] = after->run;
        a.ints[3] = after->cmd;
        a.ints[4] = after->kind;
    }
    return list(r, &a, give_timer, (row_fn){.timer = fn}, ctx, err);
}

pawl_status pw_sqlite_run_timers(pw_reader *r, int64_t run, pw_timer_fn fn, void *ctx,
                                 pawl_error *err)
{
    list_args a = {PW_SQL_RUN_TIMERS, {run}, 1, {NULL, 0}, false};
    return list(r, &a, give_timer, (row_fn){.timer = fn}, ctx, err);
}

static bool give_task(pw_cols *c, row_fn fn, void *ctx)
{
    pw_task_row t = {0};
    t.run = pw_col_int(c);
    t.cmd = pw_col_int(c);
    t.attempt = pw_col_int(c);
    t.state = (int)pw_col_int(c);
    t.due_ms = pw_col_int(c);
    t.scheduled_ms = pw_col_int(c);
    t.name = pw_col_view(c);
    t.queue = pw_col_view(c);
    t.priority = pw_col_int(c);
    t.detail = pw_col_view(c);
    t.failure = pw_col_view(c);
    t.body = pw_col_view(c);
    return fn.task(ctx, &t);
}

pawl_status pw_sqlite_tasks(pw_reader *r, int64_t run, pw_task_fn fn, void *ctx, pawl_error *err)
{
    list_args a = {
        run != 0 ? PW_SQL_RUN_TASKS : PW_SQL_TASKS, {run}, run != 0 ? 1 : 0, {NULL, 0}, false};
    return list(r, &a, give_task, (row_fn){.task = fn}, ctx, err);
}

static bool give_wait(pw_cols *c, row_fn fn, void *ctx)
{
    pw_wait_row w = {0};
    w.run = pw_col_int(c);
    w.cmd = pw_col_int(c);
    w.name = pw_col_view(c);
    w.kind = pw_col_view(c);
    w.created_ms = pw_col_int(c);
    w.deadline_ms = pw_col_int(c);
    w.body = pw_col_view(c);
    return fn.wait(ctx, &w);
}

pawl_status pw_sqlite_waits(pw_reader *r, int64_t run, pw_wait_fn fn, void *ctx, pawl_error *err)
{
    list_args a = {
        run != 0 ? PW_SQL_RUN_WAITS : PW_SQL_WAITS, {run}, run != 0 ? 1 : 0, {NULL, 0}, false};
    return list(r, &a, give_wait, (row_fn){.wait = fn}, ctx, err);
}

static bool give_key(pw_cols *c, row_fn fn, void *ctx)
{
    pw_view key = pw_col_view(c);
    return fn.key(ctx, key, pw_col_view(c));
}

pawl_status pw_sqlite_keys(pw_reader *r, int64_t run, pw_view key, pw_key_fn fn, void *ctx,
                           pawl_error *err)
{
    list_args a = {key.size > 0 ? PW_SQL_KEY_GET : PW_SQL_KEYS, {run}, 1, key, key.size > 0};
    return list(r, &a, give_key, (row_fn){.key = fn}, ctx, err);
}

static bool give_map(pw_cols *c, row_fn fn, void *ctx)
{
    pw_map_row m = {0};
    m.run = pw_col_int(c);
    m.cmd = pw_col_int(c);
    m.total = pw_col_int(c);
    m.done = pw_col_int(c);
    m.failed = pw_col_int(c);
    m.body = pw_col_view(c);
    return fn.map(ctx, &m);
}

pawl_status pw_sqlite_maps(pw_reader *r, int64_t run, pw_map_fn fn, void *ctx, pawl_error *err)
{
    list_args a = {
        run != 0 ? PW_SQL_RUN_MAPS : PW_SQL_MAPS, {run}, run != 0 ? 1 : 0, {NULL, 0}, false};
    return list(r, &a, give_map, (row_fn){.map = fn}, ctx, err);
}

/* Not a list: a row may be damaged. */
static pawl_status give_page(pw_cols *c, const pw_page_range *range, pw_page_fn fn, void *ctx,
                             bool *ret_more, pawl_error *err)
{
    pw_page_row p = {0};
    p.run = pw_col_int(c);
    p.cmd = pw_col_int(c);
    p.page = pw_col_int(c);
    p.part = pw_col_int(c);
    int64_t sum = pw_col_int(c);
    int64_t body_sum = pw_col_int(c);
    p.head = pw_col_view(c);
    p.body = range->heads_only ? (pw_view){NULL, 0} : pw_col_view(c);
    bool whole = pw_page_sum(&p, body_sum) == sum &&
                 (range->heads_only || pw_page_body_sum(p.body) == body_sum);
    if (!whole && !PW_BUG_NO_CHECKSUM) {
        return pw_page_damaged(&p, err);
    }
    *ret_more = fn(ctx, &p);
    return PAWL_OK;
}

pawl_status pw_sqlite_map_pages(pw_reader *base, const pw_page_range *range, pw_page_fn fn,
                                void *ctx, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pw_sql id = range->heads_only ? PW_SQL_PAGE_HEADS : PW_SQL_PAGES;
    bool row = true;
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    sqlite3_stmt *st = pw_db_take(&r->db, id, err);
    pw_bind b = {st, 0};
    int64_t ints[] = {range->run, range->cmd, range->from, range->to};
    for (size_t i = 0; st != NULL && i < PW_COUNT(ints); i++) {
        pw_bind_int(&b, ints[i]);
    }
    while (st != NULL && status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {st, 0};
            status = give_page(&c, range, fn, ctx, &row, err);
        }
    }
    if (st != NULL) {
        pw_db_give(&r->db, id, st);
    } else {
        status = pw_db_untaken(&r->db);
    }
    pw_reader_leave(r);
    return status;
}

static bool give_inbox(pw_cols *c, row_fn fn, void *ctx)
{
    pw_inbox_row i = {0};
    i.id = pw_col_int(c);
    i.posted_ms = pw_col_int(c);
    i.dedup = pw_col_view(c);
    i.body = pw_col_view(c);
    return fn.inbox(ctx, &i);
}

pawl_status pw_sqlite_inbox(pw_reader *r, int64_t after_id, size_t rows_max, pw_inbox_fn fn,
                            void *ctx, pawl_error *err)
{
    list_args a = {PW_SQL_INBOX, {after_id, page(rows_max)}, 2, {NULL, 0}, false};
    return list(r, &a, give_inbox, (row_fn){.inbox = fn}, ctx, err);
}

/* ---- single things ---- */

static pawl_status copy_out(pw_buf *ret, pw_view bytes, pawl_error *err)
{
    pw_buf_put(ret, bytes.data, bytes.size);
    return pw_buf_ok(ret) ? PAWL_OK
                          : pw_err(err, PAWL_NOMEM, "no memory for %zu bytes", bytes.size);
}

static pawl_status get_snapshot(pw_sqlite_reader *r, int64_t run, int64_t *ret_seq,
                                pw_buf *ret_body, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_SNAPSHOT, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_int(&b, run);
    pawl_status status = pw_db_step(&r->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_NOTFOUND, "run %lld has no snapshot", (long long)run);
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 0};
        int64_t seq = pw_col_int(&c);
        int64_t sum = pw_col_int(&c);
        pw_view body = pw_col_view(&c);
        if (pw_record_sum(run, seq, 0, body) != sum && !PW_BUG_NO_CHECKSUM) {
            status = pw_err(err, PAWL_DAMAGED,
                            "the snapshot of run %lld does not match its checksum", (long long)run);
        } else {
            status = copy_out(ret_body, body, err);
        }
        *ret_seq = status == PAWL_OK ? seq : *ret_seq;
    }
    pw_db_give(&r->db, PW_SQL_SNAPSHOT, st);
    return status;
}

pawl_status pw_sqlite_snapshot(pw_reader *base, int64_t run, int64_t *ret_seq, pw_buf *ret_body,
                               pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = get_snapshot(r, run, ret_seq, ret_body, err);
        pw_reader_leave(r);
    }
    return st;
}

static pawl_status get_chunks(pw_sqlite_reader *r, const uint8_t *digest, pw_buf *ret,
                              pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_CHUNKS, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = true;
    int64_t next = 0;
    pawl_status status = PAWL_OK;
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        if (status != PAWL_OK || !row) {
            break;
        }
        pw_cols c = {st, 0};
        if (pw_col_int(&c) != next++) {
            status = pw_err(err, PAWL_DAMAGED, "a blob lacks its chunk %lld", (long long)next - 1);
        } else {
            status = copy_out(ret, pw_col_view(&c), err);
        }
    }
    pw_db_give(&r->db, PW_SQL_CHUNKS, st);
    return status;
}

static pawl_status check_blob(pw_sqlite_reader *r, const uint8_t *digest, pw_view body,
                              pawl_error *err)
{
    uint8_t found[PW_DIGEST_SIZE];
    char hex[2 * PW_DIGEST_SIZE + 1];
    pw_blob_digest(found, r->blob_key, body.data, body.size);
    if (memcmp(found, digest, PW_DIGEST_SIZE) == 0 || PW_BUG_NO_CHECKSUM) {
        return PAWL_OK;
    }
    pw_hex(hex, digest, PW_DIGEST_SIZE);
    return pw_err(err, PAWL_DAMAGED, "blob %s does not match its digest", hex);
}

static pawl_status get_blob(pw_sqlite_reader *r, const uint8_t *digest, pw_buf *ret,
                            pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_BLOB, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = false;
    bool chunked = false;
    size_t before = ret->size;
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pawl_status status = pw_db_step(&r->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_NOTFOUND, "no such blob");
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 1};
        chunked = sqlite3_column_type(st, 1) == SQLITE_NULL;
        status = chunked ? PAWL_OK : copy_out(ret, pw_col_view(&c), err);
    }
    pw_db_give(&r->db, PW_SQL_BLOB, st);
    if (status == PAWL_OK && chunked) {
        status = get_chunks(r, digest, ret, err);
    }
    if (status == PAWL_OK) {
        status = check_blob(
            r, digest, (pw_view){ret->data != NULL ? ret->data + before : NULL, ret->size - before},
            err);
    }
    return status;
}

pawl_status pw_sqlite_blob(pw_reader *base, const uint8_t digest[PW_DIGEST_SIZE], pw_buf *ret_body,
                           pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = get_blob(r, digest, ret_body, err);
        pw_reader_leave(r);
    }
    return st;
}

static pawl_status get_node(pw_sqlite_reader *r, const uint8_t *id, uint8_t *ret_parent,
                            pw_buf *ret_body, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_NODE, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = false;
    uint8_t found[PW_DIGEST_SIZE];
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, id, PW_DIGEST_SIZE);
    pawl_status status = pw_db_step(&r->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_NOTFOUND, "no such conversation node");
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 0};
        pw_view parent = pw_col_view(&c);
        pw_view body = pw_col_view(&c);
        bool sound = parent.size == PW_DIGEST_SIZE;
        if (sound) {
            pw_node_id(found, r->blob_key, parent.data, body);
            sound = memcmp(found, id, PW_DIGEST_SIZE) == 0 || PW_BUG_NO_CHECKSUM;
        }
        status = sound ? copy_out(ret_body, body, err)
                       : pw_err(err, PAWL_DAMAGED, "a conversation node does not match its id");
        if (status == PAWL_OK) {
            memcpy(ret_parent, parent.data, PW_DIGEST_SIZE);
        }
    }
    pw_db_give(&r->db, PW_SQL_NODE, st);
    return status;
}

pawl_status pw_sqlite_node(pw_reader *base, const uint8_t id[PW_DIGEST_SIZE],
                           uint8_t ret_parent[PW_DIGEST_SIZE], pw_buf *ret_body, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = get_node(r, id, ret_parent, ret_body, err);
        pw_reader_leave(r);
    }
    return st;
}

static pawl_status get_outcome(pw_sqlite_reader *r, pw_view dedup, pw_buf *ret_body,
                               pw_outcome *ret, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&r->db, PW_SQL_OUTCOME, err);
    if (st == NULL) {
        return pw_db_untaken(&r->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_text(&b, dedup);
    pawl_status status = pw_db_step(&r->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_NOTFOUND, "no outcome under that key");
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 0};
        pw_outcome o = {0};
        size_t before = ret_body->size;
        o.status = (int)pw_col_int(&c);
        o.at_ms = pw_col_int(&c);
        status = copy_out(ret_body, pw_col_view(&c), err);
        if (status == PAWL_OK) {
            o.body = (pw_view){ret_body->data != NULL ? ret_body->data + before : NULL,
                               ret_body->size - before};
            *ret = o;
        }
    }
    pw_db_give(&r->db, PW_SQL_OUTCOME, st);
    return status;
}

pawl_status pw_sqlite_outcome(pw_reader *base, pw_view dedup, pw_buf *ret_body,
                              pw_outcome *ret_outcome, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pawl_status st = pw_reader_enter(r, err);
    if (st == PAWL_OK) {
        st = get_outcome(r, dedup, ret_body, ret_outcome, err);
        pw_reader_leave(r);
    }
    return st;
}
