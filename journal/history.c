/*
 * history.c - compaction: a closed run's log rows become a few history rows, inside a group.
 *
 * Records are copied, never decoded, and only after the walk has checked every one and the chain:
 * a damaged run is not compacted, so that what verify could still show is not rewritten. Does not
 * compress: no record would be readable by SQL's functions any more, and the gain is the row and
 * index overhead, not the bytes.
 */
#include "journal/history.h"

#include <endian.h>
#include <string.h>

#include "journal/record_sum.h"
#include "journal/sqlite.h"

/* ---- the bytes ---- */

static void put64(pw_buf *b, int64_t v)
{
    uint64_t le = htole64((uint64_t)v);
    pw_buf_put(b, &le, sizeof(le));
}

static void put32(pw_buf *b, uint32_t v)
{
    uint32_t le = htole32(v);
    pw_buf_put(b, &le, sizeof(le));
}

void pw_history_put(pw_buf *row, const pw_entry *e)
{
    put64(row, e->pos);
    put64(row, e->group);
    put64(row, e->sum);
    put32(row, (uint32_t)e->events);
    put32(row, (uint32_t)e->bytes.size);
    pw_buf_put(row, e->bytes.data, e->bytes.size);
}

static int64_t get64(const uint8_t *p)
{
    uint64_t le;
    memcpy(&le, p, sizeof(le));
    return (int64_t)le64toh(le);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t le;
    memcpy(&le, p, sizeof(le));
    return le32toh(le);
}

bool pw_history_next(pw_history_reader *r, pw_entry *ret)
{
    if (r->rest.size < PW_HISTORY_ENTRY_BYTES) {
        return false;
    }
    const uint8_t *p = r->rest.data;
    size_t size = get32(p + 28);
    if (size > r->rest.size - PW_HISTORY_ENTRY_BYTES) {
        return false;
    }
    *ret = (pw_entry){.pos = get64(p),
                      .seq = r->seq,
                      .events = get32(p + 24),
                      .group = get64(p + 8),
                      .sum = get64(p + 16),
                      .bytes = {p + PW_HISTORY_ENTRY_BYTES, size},
                      .compacted = true};
    r->seq += ret->events;
    r->rest.data += PW_HISTORY_ENTRY_BYTES + size;
    r->rest.size -= PW_HISTORY_ENTRY_BYTES + size;
    return true;
}

/* ---- the operation ---- */

typedef struct packer {
    pw_sqlite *j;
    int64_t run;
    pw_buf row;
    int64_t seq;    /* of the row's first entry */
    int64_t events; /* in the row */
    pawl_status status;
    pawl_error *err;
} packer;

static pawl_status flush(packer *p)
{
    sqlite3_stmt *st = p->row.size > 0 ? pw_db_take(&p->j->db, PW_SQL_HISTORY_PUT, p->err) : NULL;
    if (p->row.size == 0 || st == NULL) {
        return p->row.size == 0 ? PAWL_OK : pw_db_untaken(&p->j->db);
    }
    pw_view bytes = {p->row.data, p->row.size};
    pw_bind b = {st, 0};
    pw_bind_int(&b, p->run);
    pw_bind_int(&b, p->seq);
    pw_bind_int(&b, p->events);
    pw_bind_int(&b, pw_record_sum(p->run, p->seq, p->events, bytes));
    pw_bind_blob(&b, bytes);
    pawl_status status = pw_db_run(&p->j->db, PW_SQL_HISTORY_PUT, st, NULL, p->err);
    pw_buf_reset(&p->row);
    p->events = 0;
    return status;
}

static bool pack(void *ctx, const pw_entry *e)
{
    packer *p = ctx;
    if (e->compacted) {
        return true; /* by an earlier compaction: the walk has checked it, it stays where it is */
    }
    if (p->row.size > 0 &&
        p->row.size + e->bytes.size + PW_HISTORY_ENTRY_BYTES > PW_HISTORY_ROW_BYTES) {
        p->status = flush(p);
    }
    if (p->row.size == 0) {
        p->seq = e->seq;
    }
    pw_history_put(&p->row, e);
    p->events += e->events;
    if (p->status == PAWL_OK && !pw_buf_ok(&p->row)) {
        p->status = pw_err(p->err, PAWL_NOMEM, "out of memory for a history row");
    }
    return p->status == PAWL_OK;
}

static pawl_status check_closed(pw_sqlite *j, int64_t run, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_RUN_CLOSED, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_int(&b, run);
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    bool closed = status == PAWL_OK && row && pw_col_int(&c) != 0;
    pw_db_give(&j->db, PW_SQL_RUN_CLOSED, st);
    if (status == PAWL_OK && !closed) {
        return pw_err(err, PAWL_CONFLICT,
                      "run %lld is open or does not exist: only closed runs are compacted",
                      (long long)run);
    }
    return status;
}

static pawl_status drop_rows(pw_sqlite *j, int64_t run, pawl_error *err)
{
    static const pw_sql drops[] = {PW_SQL_LOG_DROP, PW_SQL_TIMERS_DROP, PW_SQL_TASKS_DROP,
                                   PW_SQL_WAITS_DROP, PW_SQL_MAPS_DROP};
    pawl_status status = PAWL_OK;
    for (size_t i = 0; status == PAWL_OK && i < PW_COUNT(drops); i++) {
        sqlite3_stmt *st = pw_db_take(&j->db, drops[i], err);
        if (st == NULL) {
            return pw_db_untaken(&j->db);
        }
        pw_bind b = {st, 0};
        pw_bind_int(&b, run);
        status = pw_db_run(&j->db, drops[i], st, NULL, err);
    }
    return status;
}

pawl_status pw_sqlite_compact(pw_sqlite *j, int64_t run, pawl_error *err)
{
    packer p = {.j = j, .run = run, .err = err};
    pawl_status st = check_closed(j, run, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_buf_init(&p.row, (size_t)PW_HISTORY_ROW_BYTES + PW_RECORD_BYTES_MAX);
    st = pw_walk(&j->db, run, 0, pack, &p, err);
    if (st == PAWL_OK) {
        st = p.status;
    }
    if (st == PAWL_OK) {
        st = flush(&p);
    }
    pw_buf_deinit(&p.row);
    return st == PAWL_OK ? drop_rows(j, run, err) : st;
}
