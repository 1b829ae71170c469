/*
 * sqlite_open.c - opening and closing as the owner; the lease.
 *
 * Order at opening: path, file system, owner lock, rite if the last owner left the file suspect,
 * connection, identity, settings, the WAL made durable and emptied, schema. The last but one is
 * not for speed: frames that a dead owner wrote and could not sync may be in the page cache only,
 * and a commit on top of them would be lost with them (sqlite_rite.c). Settings are per
 * connection: sqlite3_config belongs to the host. Does not bump the epoch at opening: lease does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal/bugs.h"
#include "journal/sqlite.h"
#include "sdk/base/clock.h"
#include "sdk/base/mem.h"

static int count_frames(void *ctx, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    pw_sqlite *j = ctx;
    j->wal_frames = frames;
    j->commit_frames = frames;
    return SQLITE_OK;
}

/** A file system without shared memory makes SQLite stay in another mode, without a word. */
static pawl_status check_wal(pw_sqlite *j, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(j->db.db, "PRAGMA journal_mode", -1, &st, NULL);
    rc = rc == SQLITE_OK ? sqlite3_step(st) : rc;
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    pawl_status status = PAWL_OK;
    if (mode == NULL) {
        status = pw_db_error(&j->db, rc, "journal mode", err);
    } else if (strcmp(mode, "wal") != 0) {
        status =
            pw_err(err, PAWL_UNSUPPORTED,
                   "%.150s cannot have a write-ahead log here: put it on a local disk", j->path);
    }
    sqlite3_finalize(st);
    return status;
}

static pawl_status set_up(pw_sqlite *j, pawl_error *err)
{
    char sql[400];
    int page = j->env.page_bytes > 0 ? j->env.page_bytes : PW_SQLITE_PAGE_BYTES;
    sqlite3_db_config(j->db.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_db_config(j->db.db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
    sqlite3_db_config(j->db.db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
    snprintf(sql, sizeof(sql),
             "PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=%s; PRAGMA "
             "secure_delete=OFF;"
             "PRAGMA cache_size=-65536; PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=0; "
             "PRAGMA temp_store=MEMORY",
             page, PW_BUG_NORMAL_SYNC ? "NORMAL" : "FULL");
    pawl_status st = pw_db_exec(&j->db, sql, err);
    sqlite3_wal_hook(j->db.db, count_frames, j);
    return st == PAWL_OK ? check_wal(j, err) : st;
}

/** SQLite opens a file it may not write as read-only without a word; and a write to it would fail late. */
static pawl_status check_writable(pw_sqlite *j, pawl_error *err)
{
    if (sqlite3_db_readonly(j->db.db, "main") != 1) {
        return PAWL_OK;
    }
    return pw_err(
        err, PAWL_READONLY,
        "%s cannot be written: give its user write permission, or open it with read-only commands",
        j->path);
}

/** For the lock of checkpoints SQLite does not wait, whatever its busy timeout is. A reader that came first after a death
 * holds it to the end of its recovery, which others do not see any more once the index is written. */
static int truncate_patiently(pw_sqlite *j)
{
    int64_t until_ms = pw_mono_after_ms(pw_sqlite_busy_ms(&j->env));
    int rc;
    do {
        rc = sqlite3_wal_checkpoint_v2(j->db.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    } while (rc == SQLITE_BUSY && pw_mono_ms() < until_ms && sqlite3_sleep(1) >= 0);
    return rc;
}

/** Frames that a dead owner wrote and did not sync are synced by this before the database is touched. */
static pawl_status empty_wal(pw_sqlite *j, pawl_error *err)
{
    int rc = truncate_patiently(j);
    if (rc == SQLITE_OK) {
        j->wal_frames = 0;
        pw_wal_mark_empty(j->mark);
        return PAWL_OK;
    }
    if ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_NOMEM) {
        j->mark->state =
            PW_WAL_SUSPECT; /* the next one to open must not believe what it reads either */
    }
    if (rc == SQLITE_BUSY) {
        return pw_err(
            err, PAWL_BUSY,
            "%s: another process has been reading it all the time: end it, and open again",
            j->path);
    }
    return pw_db_error(&j->db, rc, "checkpoint at opening", err);
}

pawl_status pw_sqlite_connect(pw_sqlite *j, pawl_error *err)
{
    int version = 0;
    pawl_status st =
        pw_db_open(&j->db, j->path, j->env.vfs, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                   pw_sqlite_busy_ms(&j->env), err);
    if (st == PAWL_OK) {
        st = check_writable(j, err);
    }
    if (st == PAWL_OK) {
        st = pw_schema_identify(&j->db, j->path, true, &version, err);
    }
    if (st == PAWL_OK) {
        st = set_up(j, err);
    }
    if (st == PAWL_OK && !PW_BUG_READBACK_AFTER_FAILED_SYNC) {
        st = empty_wal(j, err);
    }
    if (st == PAWL_OK) {
        st = pw_schema_migrate(j, version, err);
    }
    if (st == PAWL_OK) {
        st = pw_sqlite_load(j, err);
    }
    j->ready = st == PAWL_OK;
    return st;
}

static pawl_status load_key(pw_sqlite *j, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_META_GET, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_text(&b, (pw_view){(const uint8_t *)"blob_key", 8});
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    pw_view key = status == PAWL_OK && row ? pw_col_view(&c) : (pw_view){NULL, 0};
    if (status == PAWL_OK && key.size != PW_KEY_SIZE) {
        status = pw_err(err, PAWL_DAMAGED, "%s has no blob key", j->path);
    }
    if (status == PAWL_OK) {
        memcpy(j->blob_key, key.data, PW_KEY_SIZE);
    }
    pw_db_give(&j->db, PW_SQL_META_GET, st);
    return status;
}

pawl_status pw_sqlite_load(pw_sqlite *j, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OWNER_GET, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_DAMAGED, "%s has no owner row", j->path);
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 0};
        uint64_t epoch = (uint64_t)pw_col_int(&c);
        j->group_no = (uint64_t)pw_col_int(&c);
        j->pos = pw_col_int(&c);
        if (j->epoch != 0 && epoch != j->epoch) {
            status =
                pw_err(err, PAWL_FENCED, "epoch %llu has taken over", (unsigned long long)epoch);
        }
    }
    pw_db_give(&j->db, PW_SQL_OWNER_GET, st);
    return status == PAWL_OK ? load_key(j, err) : status;
}

/* ---- open and close ---- */

static pawl_status claim_place(pw_sqlite *j, const char *path, const char *socket, pawl_error *err)
{
    char real[PATH_MAX];
    if (j->env.bare) {
        j->path = pw_place_copy(path);
        return j->path != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    pawl_status st = pw_place_resolve(path, real, err);
    if (st == PAWL_OK) {
        st = pw_place_check(real, j->env.statfs_fn != NULL ? j->env.statfs_fn : statfs, err);
    }
    if (st == PAWL_OK) {
        j->path = pw_place_copy(real);
        st = j->path != NULL ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    bool there = st == PAWL_OK && faccessat(AT_FDCWD, real, F_OK, AT_EACCESS) == 0;
    if (there && faccessat(AT_FDCWD, real, W_OK, AT_EACCESS) != 0) {
        return pw_err(
            err, PAWL_READONLY,
            "%s cannot be written: %s; read-only commands (list, show, sql, verify) still work",
            real, strerror(errno));
    }
    st = st == PAWL_OK ? pw_owner_take(real, socket, j->env.guest, &j->owner, err) : st;
    if (st == PAWL_OK && !there && j->env.vfs == NULL) {
        pw_place_make_private(real);
    }
    return st;
}

/** What the last owner left behind when it died. A failed sync asks for the whole rite. A death within a commit asks for the
 * cut only if nobody is in the way: that its sync failed just then is a window of microseconds. */
static pawl_status mend(pw_sqlite *j, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    j->mark = j->owner != NULL      ? pw_owner_mark(j->owner)
              : j->env.mark != NULL ? j->env.mark
                                    : &j->own_mark;
    if (PW_BUG_READBACK_AFTER_FAILED_SYNC) {
        j->mark->state = PW_WAL_CALM;
    }
    if (j->mark->state == PW_WAL_SUSPECT) {
        st = pw_sqlite_rite(j->path, &j->env, j->mark, err);
    } else if (j->mark->state == PW_WAL_COMMITTING) {
        pw_sqlite_env brief = j->env;
        brief.busy_ms = PW_SQLITE_CUT_MS;
        st = pw_sqlite_cut_tail(j->path, &brief, j->mark, err);
        st = st == PAWL_BUSY ? PAWL_OK : st;
    }
    return st;
}

/** A TRUNCATE checkpoint if no reader is in the way. */
static void truncate_wal(pw_sqlite *j)
{
    sqlite3_busy_timeout(j->db.db, 0);
    int rc = sqlite3_wal_checkpoint_v2(j->db.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(j->db.db, pw_sqlite_busy_ms(&j->env));
    if (rc == SQLITE_OK) {
        j->wal_frames = 0;
        pw_wal_mark_empty(j->mark);
    } else if ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_NOMEM) {
        pw_sqlite_fail(j);
    }
}

static void sqlite_close(pw_journal *base)
{
    if (base == NULL) {
        return;
    }
    pw_sqlite *j = pw_sqlite_of(base);
    if (j->pid ==
        getpid()) { /* a forked child must not touch the connection: closing it would write */
        if (j->ready && !j->failed) {
            truncate_wal(j);
        }
        pw_db_close(&j->db);
    }
    pw_owner_give(j->owner);
    pthread_mutex_destroy(&j->readers_lock);
    pw_free(j->path);
    pw_free(j);
}

/** The last owner's end first, whatever comes of it: what it left suspect is not read before. */
static pawl_status enter(pw_sqlite *j, pawl_error *err)
{
    pawl_status st = mend(j, err);
    return st == PAWL_OK ? pw_sqlite_connect(j, err) : st;
}

/** Opening writes: the header of a WAL, the epoch, perhaps a schema. The ballast is there for whoever finds no room for that, too. */
static bool makes_room(pw_sqlite *j, pawl_status st)
{
    return st == PAWL_NOSPACE && pw_sqlite_ballast(&j->base, true);
}

pawl_status pw_sqlite_open_env(const char *path, const char *socket, const pw_sqlite_env *env,
                               pw_journal **ret_journal, pawl_error *err)
{
    pw_sqlite *j = pw_calloc(1, sizeof(*j));
    if (j == NULL) {
        return pw_err(err, PAWL_NOMEM, "out of memory");
    }
    j->base.ops = &pw_sqlite_ops;
    j->env = *env;
    j->pid = getpid();
    pthread_mutex_init(&j->readers_lock, NULL);
    pawl_status st = claim_place(j, path, socket, err);
    const bool ours = st == PAWL_OK; /* the ballast, too */
    st = ours ? enter(j, err) : st;
    if (ours && makes_room(j, st)) {
        pw_db_close(&j->db);
        st = enter(j, err);
    }
    if (st != PAWL_OK) {
        sqlite_close(&j->base);
        return st;
    }
    if (j->owner != NULL) {
        pw_owner_bind(j->owner, j->path);
    }
    *ret_journal = &j->base;
    return PAWL_OK;
}

pawl_status pw_sqlite_open(const char *path, const char *socket, pw_journal **ret_journal,
                           pawl_error *err)
{
    pw_sqlite_env env = {0};
    return pw_sqlite_open_env(path, socket, &env, ret_journal, err);
}

/* ---- the lease ---- */

static pawl_status next_epoch(pw_sqlite *j, pawl_error *err)
{
    pawl_status st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    if (st == PAWL_OK) {
        st = pw_db_simple(&j->db, PW_SQL_OWNER_LEASE, err);
        st = pw_sqlite_finish(j, st, err);
    }
    return st;
}

/** What a person can do who is told that there is no room. */
static pawl_status say_room(const pw_sqlite *j, pawl_status st, pawl_error *err)
{
    return st == PAWL_NOSPACE ? pw_err(err, st,
                                       "the disk that holds %.140s is full, and to open it for "
                                       "writing takes %u KiB, for its -wal file",
                                       j->path, PW_SQLITE_OPEN_BYTES >> 10)
                              : st;
}

pawl_status pw_sqlite_lease(pw_journal *base, uint64_t *ret_epoch, uint64_t *ret_group_no,
                            pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st == PAWL_OK && j->failed) {
        st = pw_err(err, PAWL_NOT, "the journal must be reopened first");
    }
    st = st == PAWL_OK ? next_epoch(j, err) : st;
    st = makes_room(j, st) ? next_epoch(j, err) : st;
    if (st != PAWL_OK) {
        return say_room(j, st, err);
    }
    j->epoch = 0; /* any epoch is ours now */
    int64_t epoch = 0;
    st = pw_db_int(&j->db, "SELECT epoch FROM pawl_owner WHERE id=1", &epoch, err);
    if (st == PAWL_OK) {
        st = pw_sqlite_load(j, err);
    }
    if (st == PAWL_OK) {
        j->epoch = (uint64_t)epoch;
        *ret_epoch = j->epoch;
        *ret_group_no = j->group_no;
    }
    if (st == PAWL_OK && j->owner != NULL) {
        pw_owner_set_epoch(j->owner, j->epoch);
    }
    return st;
}

pawl_status pw_sqlite_renew(pw_journal *base, uint64_t epoch, pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    int64_t now = 0;
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st == PAWL_OK) {
        st = pw_db_int(&j->db, "SELECT epoch FROM pawl_owner WHERE id=1", &now, err);
    }
    if (st == PAWL_OK && (uint64_t)now != epoch) {
        return pw_err(err, PAWL_FENCED, "epoch %lld has taken over from epoch %llu", (long long)now,
                      (unsigned long long)epoch);
    }
    return st;
}

bool pw_sqlite_idle(pw_journal *base)
{
    pw_sqlite *j = pw_sqlite_of(base);
    if (j->failed || pw_sqlite_check_pid(j, NULL) != PAWL_OK) {
        return false;
    }
    pw_sqlite_sweep(j);
    const bool purged = !j->failed && pw_sqlite_purge_some(j);
    bool more = !j->failed && pw_sqlite_compact_some(j);
    if (j->failed) {
        return false;
    }
    truncate_wal(j);
    (void)pw_sqlite_ballast(base, false);
    return (more || purged) && !j->failed;
}

/* ---- the table ---- */

const pw_journal_ops pw_sqlite_ops = {
    .name = "sqlite",
    .caps = PW_CAP_TX | PW_CAP_FEED,
    .close = sqlite_close,
    .lease = pw_sqlite_lease,
    .renew = pw_sqlite_renew,
    .commit = pw_sqlite_commit,
    .stage = pw_sqlite_stage,
    .reopen = pw_sqlite_reopen,
    .resolve = pw_sqlite_resolve,
    .settle = pw_sqlite_settle,
    .idle = pw_sqlite_idle,
    .ballast = pw_sqlite_ballast,
    .reader_open = pw_sqlite_reader_open_journal,
    .reader_close = pw_sqlite_reader_close,
    .run_get = pw_sqlite_run_get,
    .run_find = pw_sqlite_run_find,
    .run_scan = pw_sqlite_run_scan,
    .run_children = pw_sqlite_run_children,
    .key_max = pw_sqlite_key_max,
    .read = pw_sqlite_read,
    .timers = pw_sqlite_timers,
    .run_timers = pw_sqlite_run_timers,
    .tasks = pw_sqlite_tasks,
    .waits = pw_sqlite_waits,
    .keys = pw_sqlite_keys,
    .maps = pw_sqlite_maps,
    .map_pages = pw_sqlite_map_pages,
    .snapshot = pw_sqlite_snapshot,
    .blob = pw_sqlite_blob,
    .node = pw_sqlite_node,
    .inbox = pw_sqlite_inbox,
    .outcome = pw_sqlite_outcome,
    .budgets = pw_sqlite_budgets,
    .ledger = pw_sqlite_ledger,
    .cached = pw_sqlite_cached,
    .memo = pw_sqlite_memo,
    .memos = pw_sqlite_memos,
    .memo_words = pw_sqlite_memo_words,
    .memo_spaces = pw_sqlite_memo_spaces,
    .collections = pw_sqlite_collections,
    .collections_made = pw_sqlite_collections_made,
    .items = pw_sqlite_items,
    .item = pw_sqlite_item,
    .changes = pw_sqlite_changes,
    .item_words = pw_sqlite_item_words,
    .blob_key = pw_sqlite_blob_key,
};
