/*
 * sqlite_rite.c - the way back after UNKNOWN: the reopening rite, then the read-back.
 *
 * After a failed sync the page cache shows what the disk may lack, in the WAL or in the database,
 * and a later sync that succeeds proves nothing: the kernel has marked those pages clean. So
 * nothing that is merely read back may be believed. The rite makes it true instead. [J9]
 *
 *   1. close every connection of ours, readers too
 *   2. open one with locking_mode=EXCLUSIVE: it gets in only when no process has the file open, and so rebuilds the WAL's
 *      index from nothing. An index that lived on could hold "these frames are in the database already" from a checkpoint
 *      whose sync failed, and the frames would never be written again
 *   3. cut the WAL behind the last frame that is known to be synced (wal_mark.h). A checkpoint of frames that the disk may
 *      lack would put half a group into the database if the power failed during it: the power-cut test found that
 *   4. open once more, TRUNCATE checkpoint: every frame is written to the database anew, synced, and the WAL emptied
 *   5. quick_check, and the checksum of every record
 *   6. open as usual; the group number says what landed
 *
 * Opening after an owner died without a word does 1 to 4 as far as it can. If a step fails the
 * journal stays closed. Does not repair anything.
 */
#include "journal/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "journal/bugs.h"
#include "journal/record_sum.h"

static pawl_status check_pages(pw_db *db, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    pawl_status status = PAWL_OK;
    int rc = sqlite3_prepare_v2(db->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
    }
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (text == NULL) {
        status = pw_db_error(db, rc, "quick_check", err);
    } else if (strcmp(text, "ok") != 0) {
        status = pw_err(err, PAWL_DAMAGED, "quick_check: %s", text);
    }
    sqlite3_finalize(st);
    return status;
}

static pawl_status check_row(pw_cols *c, pawl_error *err)
{
    int64_t run = pw_col_int(c);
    int64_t seq = pw_col_int(c);
    int64_t events = pw_col_int(c);
    int64_t sum = pw_col_int(c);
    pw_view bytes = pw_col_view(c);
    if (pw_record_sum(run, seq, events, bytes) == sum) {
        return PAWL_OK;
    }
    return pw_err(err, PAWL_DAMAGED, "run %lld, event %lld: the record does not match its checksum",
                  (long long)run, (long long)seq);
}

/** Every row of the log and of the history. */
static pawl_status check_records(pw_db *db, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    pawl_status status = PAWL_OK;
    bool row = true;
    int rc = sqlite3_prepare_v2(db->db,
                                "SELECT run,seq,n,sum,bytes FROM pawl_log UNION ALL"
                                " SELECT run,seq,n,sum,bytes FROM pawl_history",
                                -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(db, rc, "record check", err);
    }
    while (status == PAWL_OK && row) {
        status = pw_db_step(db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {st, 0};
            status = check_row(&c, err);
        }
    }
    sqlite3_finalize(st);
    return status;
}

/* ---- the steps ---- */

static pawl_status named_busy(pawl_status st, pawl_error *err)
{
    if (st != PAWL_BUSY) {
        return st;
    }
    return pw_err(err, PAWL_BUSY,
                  "another process reads the journal: end it, then the journal can be reopened");
}

static pawl_status open_alone(const char *path, const pw_sqlite_env *env, pw_db *ret,
                              pawl_error *err)
{
    pawl_status st =
        pw_db_open(ret, path, env->vfs, SQLITE_OPEN_READWRITE, pw_sqlite_busy_ms(env), err);
    if (st != PAWL_OK) {
        return st;
    }
    sqlite3_db_config(ret->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    st = named_busy(pw_db_exec(ret, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL", err),
                    err);
    if (st != PAWL_OK) {
        pw_db_close(ret);
    }
    return st;
}

pawl_status pw_sqlite_cut_tail(const char *path, const pw_sqlite_env *env, const pw_wal_mark *mark,
                               pawl_error *err)
{
    pw_db db;
    pawl_status st = open_alone(path, env, &db, err);
    if (st == PAWL_OK) {
        st = named_busy(pw_wal_mark_cut(mark, &db, err), err);
        pw_db_close(&db);
    }
    return st;
}

static pawl_status write_anew(pw_db *db, pawl_error *err)
{
    int frames = 0;
    int moved = 0;
    pawl_status st = named_busy(pw_db_exec(db, "BEGIN IMMEDIATE; COMMIT", err), err);
    if (st != PAWL_OK) {
        return st;
    }
    int rc = sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &frames, &moved);
    return rc == SQLITE_OK ? PAWL_OK : pw_db_error(db, rc, "checkpoint", err);
}

static pawl_status write_and_check(const char *path, const pw_sqlite_env *env, pawl_error *err)
{
    pw_db db;
    int version = 0;
    pawl_status st = open_alone(path, env, &db, err);
    if (st != PAWL_OK) {
        return st;
    }
    st = write_anew(&db, err);
    if (st == PAWL_OK) {
        st = pw_schema_identify(&db, path, true, &version, err);
    }
    if (st == PAWL_OK && version > 0) {
        st = check_pages(&db, err);
    }
    if (st == PAWL_OK &&
        version ==
            pw_schema_version()) { /* an older file is migrated next, and its records are the same */
        st = check_records(&db, err);
    }
    pw_db_close(&db);
    return st;
}

pawl_status pw_sqlite_rite(const char *path, const pw_sqlite_env *env, const pw_wal_mark *mark,
                           pawl_error *err)
{
    pawl_status st = pw_sqlite_cut_tail(path, env, mark, err);
    if (st == PAWL_OK) {
        st = write_and_check(path, env, err);
    }
    return st == PAWL_OK ? st : pw_error_wrap(err, st, "reopening %s", path);
}

static void hold_readers(pw_sqlite *j)
{
    pthread_mutex_lock(&j->readers_lock);
    for (pw_sqlite_reader *r = j->readers; r != NULL; r = r->next) {
        pthread_mutex_lock(&r->lock);
        pw_db_close(&r->db);
    }
}

static void free_readers(pw_sqlite *j)
{
    for (pw_sqlite_reader *r = j->readers; r != NULL; r = r->next) {
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_unlock(&j->readers_lock);
}

pawl_status pw_sqlite_reopen(pw_journal *base, pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st != PAWL_OK) {
        return st;
    }
    pw_sqlite_fail(j); /* until the end of the rite, whatever happens on the way */
    j->told = true;
    hold_readers(j);
    pw_db_close(&j->db);
    j->ready = false;
    if (!PW_BUG_READBACK_AFTER_FAILED_SYNC) {
        st = pw_sqlite_rite(j->path, &j->env, j->mark, err);
    }
    if (st == PAWL_OK) {
        st = pw_sqlite_connect(j, err);
    }
    if (st == PAWL_OK) {
        j->failed = false;
        j->told = false;
    } else {
        pw_db_close(&j->db);
    }
    free_readers(j);
    return st;
}

pawl_status pw_sqlite_resolve(pw_journal *base, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                              pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    if (j->failed) {
        return pw_err(err, PAWL_NOT,
                      "whether a group landed can be told only after a successful reopening");
    }
    pawl_status st = pw_sqlite_renew(base, epoch, err);
    if (st == PAWL_OK) {
        st = pw_sqlite_load(j, err);
    }
    if (st == PAWL_OK) {
        *ret_landed = j->group_no >= group_no;
    }
    return st;
}
