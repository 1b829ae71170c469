/*
 * sqlite_blob.c - blobs: chunks ahead of their group, the row that makes them count, the sweep of
 * those that never got one.
 *
 * A blob is named by the keyed digest of its bytes, so the same bytes are kept once. Up to
 * PW_BLOB_CHUNK_BYTES they come with the group. Longer ones are staged in chunks, each its own
 * transaction, and noted in pawl_staged; the group's operation takes the note away. What is still
 * noted from an earlier epoch belongs to nobody and is swept [J12]. Does not count references:
 * blobs of deleted runs are retention's business.
 */
#include "journal/sqlite.h"

#include <string.h>

static pawl_status has_blob(pw_sqlite *j, const uint8_t *digest, bool *ret_has, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_BLOB_HAS, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pawl_status status = pw_db_step(&j->db, st, ret_has, err);
    pw_db_give(&j->db, PW_SQL_BLOB_HAS, st);
    return status;
}

static pawl_status by_digest(pw_sqlite *j, pw_sql id, const uint8_t *digest, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, id, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    return pw_db_run(&j->db, id, st, NULL, err);
}

static pawl_status put_row(pw_sqlite *j, const uint8_t *digest, int64_t size, pw_view body,
                           bool chunked, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_BLOB_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pw_bind_int(&b, size);
    if (chunked) {
        sqlite3_bind_null(st, 3);
    } else {
        pw_bind_blob(&b, body);
    }
    return pw_db_run(&j->db, PW_SQL_BLOB_PUT, st, NULL, err);
}

/** NOT when a chunk is missing, the last ones too: a disk that was full for a moment leaves the first ones [J12]. */
static pawl_status check_staged(pw_sqlite *j, const uint8_t *digest, int64_t size, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_CHUNK_SIZE, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    int64_t count = pw_col_int(&c);
    int64_t last = pw_col_int(&c);
    bool whole = count > 0 && count == last + 1 && pw_col_int(&c) == size;
    pw_db_give(&j->db, PW_SQL_CHUNK_SIZE, st);
    if (status == PAWL_OK && !whole) {
        return pw_err(err, PAWL_NOT, "a blob's chunks were not staged before its group");
    }
    return status;
}

pawl_status pw_sqlite_blob_put(pw_sqlite *j, const uint8_t digest[PW_DIGEST_SIZE], pw_view body,
                               pawl_error *err)
{
    bool has = false;
    int64_t size = (int64_t)body.size;
    bool chunked = body.data == NULL;
    pawl_status st = has_blob(j, digest, &has, err);
    if (st != PAWL_OK || has) {
        return st;
    }
    if (!chunked && body.size > PW_BLOB_CHUNK_BYTES) {
        return pw_err(err, PAWL_LIMIT, "a blob above %u bytes must be staged in chunks",
                      PW_BLOB_CHUNK_BYTES);
    }
    if (chunked) {
        st = check_staged(j, digest, size, err);
    }
    if (st == PAWL_OK) {
        st = put_row(j, digest, size, body, chunked, err);
    }
    return st == PAWL_OK && chunked ? by_digest(j, PW_SQL_STAGED_DROP, digest, err) : st;
}

static pawl_status put_staged(pw_sqlite *j, const uint8_t *digest, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_STAGED_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pw_bind_int(&b, (int64_t)j->epoch);
    return pw_db_run(&j->db, PW_SQL_STAGED_PUT, st, NULL, err);
}

static pawl_status put_chunk(pw_sqlite *j, const uint8_t *digest, int64_t chunk, pw_view bytes,
                             pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_CHUNK_PUT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_bytes(&b, digest, PW_DIGEST_SIZE);
    pw_bind_int(&b, chunk);
    pw_bind_blob(&b, bytes);
    return pw_db_run(&j->db, PW_SQL_CHUNK_PUT, st, NULL, err);
}

static pawl_status stage_one(pw_sqlite *j, const uint8_t *digest, int64_t chunk, pw_view bytes,
                             pawl_error *err)
{
    bool has = false;
    pawl_status st = pw_sqlite_renew(&j->base, j->epoch, err);
    if (st == PAWL_OK) {
        st = has_blob(j, digest, &has, err);
    }
    if (st != PAWL_OK || has) {
        return st;
    }
    st = put_staged(j, digest, err);
    return st == PAWL_OK ? put_chunk(j, digest, chunk, bytes, err) : st;
}

pawl_status pw_sqlite_stage(pw_journal *base, const uint8_t digest[PW_DIGEST_SIZE], int64_t chunk,
                            pw_view bytes, pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (j->failed || j->epoch == 0) {
        return pw_err(err, PAWL_NOT, "the journal must be reopened first");
    }
    if (bytes.size == 0 || bytes.size > PW_BLOB_CHUNK_BYTES || chunk < 0) {
        return pw_err(err, PAWL_LIMIT, "a chunk has 1 to %u bytes", PW_BLOB_CHUNK_BYTES);
    }
    st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    return st == PAWL_OK ? pw_sqlite_finish(j, stage_one(j, digest, chunk, bytes, err), err) : st;
}

/* ---- the sweep ---- */

static bool next_orphan(pw_sqlite *j, uint8_t digest[PW_DIGEST_SIZE])
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_STAGED_OLD, NULL);
    if (st == NULL) {
        return false;
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_int(&b, (int64_t)j->epoch);
    pawl_status status = pw_db_step(&j->db, st, &row, NULL);
    pw_cols c = {st, 0};
    pw_view found = status == PAWL_OK && row ? pw_col_view(&c) : (pw_view){NULL, 0};
    bool ok = found.size == PW_DIGEST_SIZE;
    if (ok) {
        memcpy(digest, found.data, PW_DIGEST_SIZE);
    }
    pw_db_give(&j->db, PW_SQL_STAGED_OLD, st);
    return ok;
}

static bool sweep_one(pw_sqlite *j, const uint8_t *digest)
{
    bool has = false;
    pawl_status st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, NULL);
    if (st != PAWL_OK) {
        return false;
    }
    st = pw_sqlite_renew(&j->base, j->epoch, NULL); /* [J4] */
    st = st == PAWL_OK ? has_blob(j, digest, &has, NULL) : st;
    if (st == PAWL_OK && !has) {
        st = by_digest(j, PW_SQL_CHUNK_DROP, digest, NULL);
    }
    if (st == PAWL_OK) {
        st = by_digest(j, PW_SQL_STAGED_DROP, digest, NULL);
    }
    return pw_sqlite_finish(j, st, NULL) == PAWL_OK;
}

void pw_sqlite_sweep(pw_sqlite *j)
{
    uint8_t digest[PW_DIGEST_SIZE];
    if (j->epoch == 0) {
        return;
    }
    while (next_orphan(j, digest) && sweep_one(j, digest)) {
    }
}
