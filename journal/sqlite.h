/*
 * sqlite.h - the inside of the SQLite journal, shared by its files; tests reach the environment
 * table through it.
 *
 *   sqlite_open.c    open, close, lease, renew       sqlite_read.c    the reader half: runs and records
 *   sqlite_commit.c  groups                          sqlite_rows.c    the reader half: the smaller rows
 *   sqlite_op.c      what each operation writes      sqlite_blob.c    staging, sweeping, reading blobs
 *   sqlite_rite.c    reopening after UNKNOWN         sqlite_tx.c      transactional steps
 *   schema.c         versions and migration          sqlite_post.c    the inbox without an owner
 *   compact.c        which runs, when idle
 *   sqlite_memo.c    the memory store              sqlite_collection.c, sqlite_collection_read.c   texts and vectors
 *   history.c        compacted runs                  walk.c           a run's records, checked, in order
 *   sqlite_verify.c  every invariant of a file       sqlite_query.c   SQL of people, with pawl_events
 */
#ifndef PW_SQLITE_H
#define PW_SQLITE_H

#include <limits.h>
#include <pthread.h>
#include <sys/types.h>

#include "journal/db.h"
#include "journal/journal.h"
#include "journal/owner.h"
#include "journal/place.h"
#include "journal/wal_mark.h"
#include "sdk/base/limits.h"

#define PW_SQLITE_APPLICATION_ID 0x7061776c /* "pawl" */
#define PW_SQLITE_PAGE_BYTES 8192
#define PW_SQLITE_OPEN_BYTES \
    (1u << 20) /* what a full disk is asked for: opening and a small group fit in it */
#define PW_SQLITE_CHECKPOINT_FRAMES 1000
#define PW_SQLITE_BUSY_MS \
    5000 /* how long an owner waits for readers of other processes at opening and in the rite */
#define PW_SQLITE_CUT_MS \
    200 /* how long for the cut after a death within a commit, which may be left out */

/** What surrounds a journal; tests put stand-ins here. */
typedef struct pw_sqlite_env {
    const char *vfs; /* NULL = the system's */
    bool bare; /* no files but SQLite's: no lock, no ballast, the path as it is (a VFS in memory) */
    pw_statfs_fn statfs_fn;  /* NULL = statfs */
    const uint8_t *blob_key; /* NULL = random */
    int page_bytes;          /* 0 = PW_SQLITE_PAGE_BYTES */
    int checkpoint_frames;   /* 0 = PW_SQLITE_CHECKPOINT_FRAMES */
    int busy_ms;             /* 0 = PW_SQLITE_BUSY_MS */
    bool guest;              /* no owner: puts something in and goes (owner.h) */
    pw_wal_mark *mark; /* bare: where the mark lives when the process dies; NULL = it dies too */
} pw_sqlite_env;

typedef struct pw_sqlite_reader pw_sqlite_reader;

typedef struct pw_sqlite {
    pw_journal base;
    pw_db db; /* the one connection that writes and checkpoints */
    pw_sqlite_env env;
    char *path;
    pw_owner *owner; /* NULL when bare */
    pid_t pid;
    uint64_t epoch;    /* 0 until lease */
    uint64_t group_no; /* last that landed */
    int64_t pos;       /* last position given out */
    int64_t compacted; /* runs up to this key have been looked at (compact.c) */
    uint8_t blob_key[PW_KEY_SIZE];
    bool ready;          /* connected, identified, migrated */
    _Atomic bool failed; /* after a failed sync, until reopen: [J9] nothing is acked */
    bool told;           /* the engine has had its UNKNOWN for that */
    int wal_frames;      /* since the last checkpoint that got through */
    int commit_frames;   /* told by SQLite during the commit; 0 = it wrote none */
    int64_t cache_left;  /* what may be kept before those above the bounds go (sqlite_cache.c) */
    pw_wal_mark *mark;   /* the owner's, the test's, or own_mark */
    pw_wal_mark own_mark;
    pthread_mutex_t readers_lock;
    pw_sqlite_reader *readers;
} pw_sqlite;

struct pw_sqlite_reader {
    pw_reader base;
    pw_sqlite *owner; /* NULL: opened without one */
    pw_sqlite_reader *next;
    pthread_mutex_t
        lock; /* held during a read; the rite takes it to close the connection under an idle reader */
    pw_db db; /* closed by the rite, opened again by the next read */
    pw_sqlite_env env;
    char *path;
    uint8_t blob_key[PW_KEY_SIZE];
};

extern const pw_journal_ops pw_sqlite_ops;

static inline pw_sqlite *pw_sqlite_of(pw_journal *j)
{
    return (pw_sqlite *)j; /* base is the first member */
}
static inline pw_sqlite_reader *pw_sqlite_reader_of(pw_reader *r)
{
    return (pw_sqlite_reader *)r;
}

/* ---- opening ---- */

pawl_status pw_sqlite_open_env(const char *path, const char *socket, const pw_sqlite_env *env,
                               pw_journal **ret_journal, pawl_error *err);
pawl_status pw_sqlite_reader_open_env(const char *path, const pw_sqlite_env *env,
                                      pw_reader **ret_reader, pawl_error *err);
/** Opens the writing connection: settings, identity, schema, migration, TRUNCATE checkpoint. */
pawl_status pw_sqlite_connect(pw_sqlite *j, pawl_error *err);
/** Reads epoch, group number, position and blob key. */
pawl_status pw_sqlite_load(pw_sqlite *j, pawl_error *err);
/** FORKED in a child of the process that opened it. */
pawl_status pw_sqlite_check_pid(const pw_sqlite *j, pawl_error *err);

/* ---- schema ---- */

/** OK for a journal of this version, or an empty file when `may_be_empty`; *ret_version 0 = empty. Errors: FOREIGN, NEWER, DAMAGED. */
pawl_status pw_schema_identify(pw_db *db, const char *path, bool may_be_empty, int *ret_version,
                               pawl_error *err);
/** Brings a file from `version` (0 = empty) to the newest, a backup beside it first unless it was empty. */
pawl_status pw_schema_migrate(pw_sqlite *j, int version, pawl_error *err);

/* ---- writing ---- */

pawl_status pw_sqlite_commit(pw_journal *base, pw_group *group, pawl_error *err);
void pw_sqlite_settle(pw_journal *base);
/** Writes one operation inside the group's transaction. */
pawl_status pw_sqlite_apply(pw_sqlite *j, const pw_group *group, pw_op *op, pawl_error *err);
/** Do the two create a run and land its first turn? Then they are one INSERT. */
bool pw_sqlite_is_birth(const pw_op *op, const pw_op *next);
pawl_status pw_sqlite_birth(pw_sqlite *j, const pw_group *group, const pw_op *op, pw_op *next,
                            pawl_error *err);
/** Ends a transaction that one of our writers opened: COMMIT if st is OK, else ROLLBACK. Decides NOT, NOSPACE or UNKNOWN. */
pawl_status pw_sqlite_finish(pw_sqlite *j, pawl_status st, pawl_error *err);
/** After a failed sync, or an outcome nobody knows: fail-stop. */
void pw_sqlite_fail(pw_sqlite *j);
pawl_status pw_sqlite_lease(pw_journal *base, uint64_t *ret_epoch, uint64_t *ret_group_no,
                            pawl_error *err);
pawl_status pw_sqlite_renew(pw_journal *base, uint64_t epoch, pawl_error *err);
bool pw_sqlite_idle(pw_journal *base);

/** Runs a transactional step of a turn: fills record and events. */
pawl_status pw_sqlite_tx_run(pw_sqlite *j, const pw_tx_call *call, pw_buf *record,
                             int64_t *ret_events, pawl_error *err);

/** Inside a group: a closed run's log rows become history rows, every record and the chain checked on the way. */
pawl_status pw_sqlite_compact(pw_sqlite *j, int64_t run, pawl_error *err);
/** Some closed runs, in a transaction of its own. True: there is more to do. */
bool pw_sqlite_compact_some(pw_sqlite *j);

pawl_status pw_sqlite_stage(pw_journal *base, const uint8_t digest[PW_DIGEST_SIZE], int64_t chunk,
                            pw_view bytes, pawl_error *err);
pawl_status pw_sqlite_blob_put(pw_sqlite *j, const uint8_t digest[PW_DIGEST_SIZE], pw_view body,
                               pawl_error *err);
void pw_sqlite_sweep(pw_sqlite *j);
pawl_status pw_sqlite_ledger_apply(pw_sqlite *j, const pw_op *op, pawl_error *err);
pawl_status pw_sqlite_memo_apply(pw_sqlite *j, const pw_op *op, pawl_error *err);
pawl_status pw_sqlite_collection_apply(pw_sqlite *j, const pw_op *op, pawl_error *err);
/** Some items of collections that were dropped, in a transaction of its own. True: there is more to do. */
bool pw_sqlite_purge_some(pw_sqlite *j);

/* ---- the rite ---- */

pawl_status pw_sqlite_reopen(pw_journal *base, pawl_error *err);
pawl_status pw_sqlite_resolve(pw_journal *base, uint64_t epoch, uint64_t group_no, bool *ret_landed,
                              pawl_error *err);
/** On a file that no connection of ours has open: cut, TRUNCATE checkpoint of a rebuilt WAL index, quick_check, checksums. */
pawl_status pw_sqlite_rite(const char *path, const pw_sqlite_env *env, const pw_wal_mark *mark,
                           pawl_error *err);
/** The cut alone. BUSY when another process has the file open. */
pawl_status pw_sqlite_cut_tail(const char *path, const pw_sqlite_env *env, const pw_wal_mark *mark,
                               pawl_error *err);
static inline int pw_sqlite_busy_ms(const pw_sqlite_env *env)
{
    return env->busy_ms > 0 ? env->busy_ms : PW_SQLITE_BUSY_MS;
}

/* ---- ballast ---- */

bool pw_sqlite_ballast(pw_journal *base, bool release);

/* ---- reading ---- */

pawl_status pw_sqlite_verify_env(const char *path, const pw_sqlite_env *env, pw_verify_fn fn,
                                 void *ctx, pw_verify_stats *ret_stats, pawl_error *err);
/** Locks the reader and opens its connection again if the rite closed it. After OK always pw_reader_leave. */
pawl_status pw_reader_enter(pw_sqlite_reader *r, pawl_error *err);
void pw_reader_leave(pw_sqlite_reader *r);
pawl_status pw_sqlite_reader_open_journal(pw_journal *j, pw_reader **ret_reader, pawl_error *err);
void pw_sqlite_reader_close(pw_reader *r);

pawl_status pw_sqlite_run_get(pw_reader *r, int64_t key, pw_run_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_run_find(pw_reader *r, pw_view id, pw_run_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_run_scan(pw_reader *r, const pw_scan *scan, pw_run_fn fn, void *ctx,
                               pawl_error *err);
pawl_status pw_sqlite_run_children(pw_reader *r, int64_t parent, pw_run_fn fn, void *ctx,
                                   pawl_error *err);
pawl_status pw_sqlite_key_max(pw_reader *r, int64_t *ret_key, pawl_error *err);
pawl_status pw_sqlite_read(pw_reader *r, int64_t run, int64_t from_seq, pw_record_fn fn, void *ctx,
                           pawl_error *err);
pawl_status pw_sqlite_timers(pw_reader *r, int64_t until_ms, const pw_timer_row *after,
                             size_t rows_max, pw_timer_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_run_timers(pw_reader *r, int64_t run, pw_timer_fn fn, void *ctx,
                                 pawl_error *err);
pawl_status pw_sqlite_tasks(pw_reader *r, int64_t run, pw_task_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_waits(pw_reader *r, int64_t run, pw_wait_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_keys(pw_reader *r, int64_t run, pw_view key, pw_key_fn fn, void *ctx,
                           pawl_error *err);
pawl_status pw_sqlite_maps(pw_reader *r, int64_t run, pw_map_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_map_pages(pw_reader *r, const pw_page_range *range, pw_page_fn fn, void *ctx,
                                pawl_error *err);
pawl_status pw_sqlite_snapshot(pw_reader *r, int64_t run, int64_t *ret_seq, pw_buf *ret_body,
                               pawl_error *err);
/** One statement read by a reader: begin, bind, step, end. */
typedef struct pw_reading {
    pw_sqlite_reader *r;
    pw_sql sql;
    sqlite3_stmt *st;
    pw_bind bind;
} pw_reading;
/** The reader is entered and the statement taken; when it fails, neither is. */
pawl_status pw_reading_begin(pw_reading *ret, pw_reader *base, pw_sql sql, pawl_error *err);
/** Gives back what begin took. Returns status. */
pawl_status pw_reading_end(pw_reading *reading, pawl_status status);

pawl_status pw_sqlite_blob(pw_reader *r, const uint8_t digest[PW_DIGEST_SIZE], pw_buf *ret_body,
                           pawl_error *err);
pawl_status pw_sqlite_node(pw_reader *r, const uint8_t id[PW_DIGEST_SIZE],
                           uint8_t ret_parent[PW_DIGEST_SIZE], pw_buf *ret_body, pawl_error *err);
pawl_status pw_sqlite_inbox(pw_reader *r, int64_t after_id, size_t rows_max, pw_inbox_fn fn,
                            void *ctx, pawl_error *err);
pawl_status pw_sqlite_cache_put(pw_sqlite *j, const pw_cache_row *row, pawl_error *err);
pawl_status pw_sqlite_cached(pw_reader *r, const uint8_t key[PW_DIGEST_SIZE], pw_buf *ret_body,
                             pw_cache_row *ret_row, pawl_error *err);
pawl_status pw_sqlite_outcome(pw_reader *r, pw_view dedup, pw_buf *ret_body,
                              pw_outcome *ret_outcome, pawl_error *err);
pawl_status pw_sqlite_budgets(pw_reader *r, pw_view name, pw_budget_fn fn, void *ctx,
                              pawl_error *err);
pawl_status pw_sqlite_ledger(pw_reader *r, int64_t run, bool open_only, pw_ledger_fn fn, void *ctx,
                             pawl_error *err);
pawl_status pw_sqlite_memo(pw_reader *base, int64_t id, pw_memo_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_memos(pw_reader *base, pw_view space, pw_view after, size_t rows_max,
                            pw_memo_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_memo_words(pw_reader *base, pw_view space, pw_view prefix, size_t rows_max,
                                 pw_memo_word_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_memo_spaces(pw_reader *base, pw_view only, pw_memo_space_fn fn, void *ctx,
                                  pawl_error *err);
pawl_status pw_sqlite_collections(pw_reader *r, pw_view only, pw_collection_fn fn, void *ctx,
                                  pawl_error *err);
pawl_status pw_sqlite_collections_made(pw_reader *r, int64_t *ret_number, pawl_error *err);
pawl_status pw_sqlite_items(pw_reader *r, int64_t collection, int64_t after, size_t rows_max,
                            pw_item_fn fn, void *ctx, pawl_error *err);
pawl_status pw_sqlite_item(pw_reader *r, int64_t collection, pw_view key, pw_item_fn fn, void *ctx,
                           pawl_error *err);
pawl_status pw_sqlite_changes(pw_reader *r, const pw_changes *changes, pawl_error *err);
pawl_status pw_sqlite_item_words(pw_reader *r, const pw_words_query *query, pw_item_words_fn fn,
                                 void *ctx, pawl_error *err);
void pw_sqlite_blob_key(pw_reader *r, uint8_t ret_key[PW_KEY_SIZE]);

#endif
