/*
 * sqlite_post.c - a message for a journal that nobody owns: take the lock, insert into the inbox,
 * give the lock back. Whoever wants the lock meanwhile, an owner too, waits for that (owner.h).
 *
 * Goes through the same opening as an owner, so a suspect file is mended and an old one migrated
 * first. Does not bump the epoch: the next owner does. With an owner alive the answer is BUSY, and
 * the way is its socket.
 */
#include "journal/sqlite.h"

static pawl_status find_waiting(pw_sqlite *j, pw_view dedup, int64_t *ret_id, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_INBOX_FIND, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_text(&b, dedup);
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    *ret_id = status == PAWL_OK && row ? pw_col_int(&c) : 0;
    pw_db_give(&j->db, PW_SQL_INBOX_FIND, st);
    return status;
}

static pawl_status was_answered(pw_sqlite *j, pw_view dedup, bool *ret, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OUTCOME, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, dedup);
    pawl_status status = pw_db_step(&j->db, st, ret, err);
    pw_db_give(&j->db, PW_SQL_OUTCOME, st);
    return status;
}

static pawl_status insert(pw_sqlite *j, pw_view dedup, pw_view body, int64_t now_ms,
                          int64_t *ret_id, pawl_error *err)
{
    bool answered = false;
    int64_t id = 0;
    pawl_status st = dedup.size > 0 ? was_answered(j, dedup, &answered, err) : PAWL_OK;
    if (st == PAWL_OK && dedup.size > 0 && !answered) {
        st = find_waiting(j, dedup, &id, err);
    }
    if (st != PAWL_OK || answered || id != 0) {
        *ret_id = id;
        return st;
    }
    sqlite3_stmt *put = pw_db_take(&j->db, PW_SQL_INBOX_PUT, err);
    if (put == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {put, 0};
    pw_bind_int(&b, now_ms);
    pw_bind_text(&b, dedup);
    pw_bind_blob(&b, body);
    st = pw_db_run(&j->db, PW_SQL_INBOX_PUT, put, NULL, err);
    *ret_id = sqlite3_last_insert_rowid(j->db.db);
    return st;
}

pawl_status pw_sqlite_make(const char *path, pawl_error *err)
{
    pw_journal *base = NULL;
    const pw_sqlite_env guest = {.guest = true};
    pawl_status st = pw_sqlite_open_env(path, "", &guest, &base, err);
    if (st == PAWL_OK) {
        base->ops->close(base);
    }
    return st;
}

pawl_status pw_sqlite_post(const char *path, pw_view dedup, pw_view body, int64_t now_ms,
                           int64_t *ret_inbox_id, pawl_error *err)
{
    pw_journal *base = NULL;
    int64_t id = 0;
    const pw_sqlite_env guest = {.guest = true};
    pawl_status st = pw_sqlite_open_env(path, "", &guest, &base, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_sqlite *j = pw_sqlite_of(base);
    st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    if (st == PAWL_OK) {
        st = pw_sqlite_finish(j, insert(j, dedup, body, now_ms, &id, err), err);
    }
    base->ops->close(base);
    if (st == PAWL_OK) {
        *ret_inbox_id = id;
    }
    return st;
}
