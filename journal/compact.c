/*
 * compact.c - when nothing else is to be written: closed runs are compacted, oldest first, a bounded piece at a time.
 *
 *   keys looked at .. | PW_COMPACT_KEYS at a time | ..          a run that closes behind the mark takes it back (sqlite_op.c)
 *
 * Only what will not be opened again (completed, continued) and waits for nothing; only where rows are saved; not what would hold up the
 * next commit. A run whose history is damaged is left as it is, for verify to show. Does not give space back to the file system: freed pages
 * are used again.
 */
#include "journal/history.h"
#include "journal/sqlite.h"
#include "sdk/base/limits.h"

typedef struct chosen {
    int64_t keys[PW_COMPACT_RUNS];
    size_t len;
    int64_t rows;
    int64_t looked; /* all keys up to here have been looked at */
} chosen;

static pawl_status choose(pw_sqlite *j, chosen *c, pawl_error *err)
{
    c->looked = j->compacted + PW_COMPACT_KEYS;
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_COMPACT_NEXT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, j->compacted);
    pw_bind_int(&b, c->looked);
    pw_bind_int(&b, PW_COMPACT_ROWS + 1);
    bool row = true;
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    while (status == PAWL_OK && row) {
        pw_cols cols = {st, 0};
        int64_t key = pw_col_int(&cols);
        int64_t rows = pw_col_int(&cols);
        bool fits = rows > 1 && rows <= PW_COMPACT_ROWS && pw_col_int(&cols) <= PW_COMPACT_BYTES;
        if (fits &&
            (c->len == PW_COMPACT_RUNS || (c->len > 0 && c->rows + rows > PW_COMPACT_ROWS))) {
            c->looked = key - 1;
            break;
        }
        if (fits) {
            c->keys[c->len++] = key;
            c->rows += rows;
        }
        status = pw_db_step(&j->db, st, &row, err);
    }
    pw_db_give(&j->db, PW_SQL_COMPACT_NEXT, st);
    return status;
}

/* The last group may be known by a log row that is about to go: the owner's row takes it over [J5]. */
static pawl_status keep_number(pw_sqlite *j, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OWNER_GROUP, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, (int64_t)j->group_no);
    pw_bind_int(&b, j->pos);
    return pw_db_run(&j->db, PW_SQL_OWNER_GROUP, st, NULL, err);
}

/* All of them in one transaction, or none; *ret_done: how many went well before the first that did not. */
static pawl_status compact_all(pw_sqlite *j, const chosen *c, size_t len, size_t *ret_done,
                               pawl_error *err)
{
    *ret_done = 0;
    pawl_status st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    if (st != PAWL_OK) {
        return st;
    }
    int64_t epoch = 0;
    st = pw_db_int(&j->db, "SELECT epoch FROM pawl_owner WHERE id=1", &epoch, err);
    if (st == PAWL_OK && (uint64_t)epoch != j->epoch) {
        st = PAWL_FENCED; /* [J4] */
    }
    for (size_t i = 0; st == PAWL_OK && i < len; i++) {
        st = pw_sqlite_compact(j, c->keys[i], err);
        *ret_done += st == PAWL_OK;
    }
    st = st == PAWL_OK ? keep_number(j, err) : st;
    return pw_sqlite_finish(j, st, err);
}

bool pw_sqlite_compact_some(pw_sqlite *j)
{
    chosen c = {.len = 0};
    pawl_error err;
    int64_t last = 0;
    if (j->epoch == 0 ||
        pw_db_int(&j->db, "SELECT coalesce(max(key),0) FROM pawl_runs", &last, &err) != PAWL_OK ||
        j->compacted >= last || choose(j, &c, &err) != PAWL_OK) {
        return false;
    }
    size_t done = 0;
    pawl_status st = c.len > 0 ? compact_all(j, &c, c.len, &done, &err) : PAWL_OK;
    if (st == PAWL_DAMAGED) { /* those before it; it is passed by */
        c.looked = c.keys[done];
        st = done > 0 ? compact_all(j, &c, done, &done, &err) : PAWL_OK;
    }
    if (st != PAWL_OK || c.looked <= j->compacted) {
        return false; /* a full disk, no memory: at another time. Or a table out of order: never */
    }
    j->compacted = c.looked < last ? c.looked : last;
    return j->compacted < last;
}
