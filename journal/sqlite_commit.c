/*
 * sqlite_commit.c - landing a group: fence, operations, COMMIT, and what the outcome is called.
 *
 *   BEGIN IMMEDIATE
 *   SELECT epoch FROM pawl_owner      not ours: FENCED; a number that does not follow: CONFLICT    [J4] [J5]
 *   operations in order               a failed one: ROLLBACK                                       [J2] [J3]
 *   COMMIT                            synced (synchronous=FULL)                                    [J1]
 *
 * The group's number stands in the log rows it adds. Only a group that adds none, or takes some
 * away, writes it into the owner row: one page less in the WAL for every other group, a quarter of
 * what a single step writes.
 *
 * Outcomes. Before COMMIT every error is a NOT: SQLite has written nothing that counts. At COMMIT,
 * SQLITE_FULL is still a NOT: it means that a write was refused, frames are written in order, and
 * the one that makes the group count is the last. Any other failure at COMMIT is UNKNOWN: a failed
 * sync can leave a group that is whole in the page cache, absent on the disk, and durable after
 * all. Then the journal fail-stops until the rite (sqlite_rite.c).
 *
 * Of a group that is still being built (feed.h) what is shown is applied at once, and the rest when it comes; COMMIT follows when it is whole. One
 * that is taken back meanwhile is rolled back: a NOT that nobody hears.
 *
 * Does not retry, does not dispatch, and does not checkpoint inside the commit: settle does, after
 * the answer.
 */
#include "journal/sqlite.h"

#include <unistd.h>

#include "journal/bugs.h"
#include "journal/feed.h"
#include "sdk/base/clock.h"

pawl_status pw_sqlite_check_pid(const pw_sqlite *j, pawl_error *err)
{
    if (getpid() == j->pid) {
        return PAWL_OK;
    }
    return pw_err(err, PAWL_FORKED,
                  "this journal belongs to process %ld; a forked child cannot use it",
                  (long)j->pid);
}

void pw_sqlite_fail(pw_sqlite *j)
{
    j->failed = true;
    j->mark->state = PW_WAL_SUSPECT;
}

static pawl_status unknown(pw_sqlite *j, const char *what, int rc, pawl_error *err)
{
    pawl_error detail = {0};
    pw_db_error(&j->db, rc, what, &detail);
    pw_sqlite_fail(j);
    return pw_err(err, PAWL_UNKNOWN,
                  "%.180s; nothing more is written until the journal is reopened", detail.message);
}

static pawl_status commit_now(pw_sqlite *j, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_COMMIT, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    j->commit_frames = 0;
    j->mark->state = PW_WAL_COMMITTING;
    int rc = sqlite3_step(st);
    pw_db_give(&j->db, PW_SQL_COMMIT, st);
    if (rc == SQLITE_DONE) {
        if (j->commit_frames > 0) {
            pw_wal_mark_set(j->mark, &j->db, j->commit_frames);
        }
        j->mark->state = PW_WAL_CALM;
        return PAWL_OK;
    }
    if ((rc & 0xff) == SQLITE_BUSY || rc == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM) {
        pawl_status status = pw_db_error(&j->db, rc, "commit", err);
        if (!sqlite3_get_autocommit(j->db.db)) {
            j->mark->state = PW_WAL_CALM;
            return status; /* nothing was written: the transaction is still open */
        }
        return unknown(j, "commit", rc, err);
    }
    if ((rc & 0xff) == SQLITE_FULL) {
        j->mark->state = PW_WAL_CALM;
        return pw_db_error(&j->db, rc, "commit", err);
    }
    return unknown(j, "commit", rc, err);
}

pawl_status pw_sqlite_finish(pw_sqlite *j, pawl_status st, pawl_error *err)
{
    if (st == PAWL_OK) {
        st = commit_now(j, err);
    }
    if (st != PAWL_OK && !sqlite3_get_autocommit(j->db.db)) {
        pawl_error ignored;
        if (pw_db_simple(&j->db, PW_SQL_ROLLBACK, &ignored) != PAWL_OK &&
            !sqlite3_get_autocommit(j->db.db)) {
            pw_sqlite_fail(j);
            return pw_err(err, PAWL_UNKNOWN,
                          "a transaction could neither be committed nor rolled back");
        }
    }
    return st;
}

static pawl_status read_epoch(pw_sqlite *j, uint64_t *ret_epoch, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OWNER_EPOCH, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool row = false;
    pawl_status status = pw_db_step(&j->db, st, &row, err);
    pw_cols c = {st, 0};
    *ret_epoch = status == PAWL_OK && row ? (uint64_t)pw_col_int(&c) : 0;
    pw_db_give(&j->db, PW_SQL_OWNER_EPOCH, st);
    return status;
}

static pawl_status fence(pw_sqlite *j, const pw_group *g, pawl_error *err)
{
    uint64_t epoch = 0;
    pawl_status st = read_epoch(j, &epoch, err);
    if (st != PAWL_OK || PW_BUG_NO_FENCE) {
        return st;
    }
    if (epoch != g->epoch) {
        return pw_err(err, PAWL_FENCED, "epoch %llu has taken over from epoch %llu",
                      (unsigned long long)epoch, (unsigned long long)g->epoch);
    }
    if (g->number != j->group_no + 1) {
        return pw_err(err, PAWL_CONFLICT, "group %llu cannot follow group %llu",
                      (unsigned long long)g->number, (unsigned long long)j->group_no);
    }
    return PAWL_OK;
}

/** Do the group's own log rows say which group came last? */
static bool number_is_in_log(const pw_group *g)
{
    bool turns = false;
    for (size_t i = 0; i < g->len; i++) {
        if (g->ops[i].type == PW_OP_RUN_COMPACT) {
            return false;
        }
        turns = turns || g->ops[i].type == PW_OP_TURN;
    }
    return turns;
}

static pawl_status note_number(pw_sqlite *j, const pw_group *g, pawl_error *err)
{
    if (number_is_in_log(g)) {
        return PAWL_OK;
    }
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_OWNER_GROUP, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_int(&b, (int64_t)g->number);
    pw_bind_int(&b, j->pos);
    return pw_db_run(&j->db, PW_SQL_OWNER_GROUP, st, NULL, err);
}

static pawl_status apply_from(pw_sqlite *j, pw_group *g, size_t from, size_t to, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    for (size_t i = from; st == PAWL_OK && i < to; i++) {
        if (i + 1 < to && pw_sqlite_is_birth(&g->ops[i], &g->ops[i + 1])) {
            st = pw_sqlite_birth(j, g, &g->ops[i], &g->ops[i + 1], err);
            i++;
        } else {
            st = pw_sqlite_apply(j, g, &g->ops[i], err);
        }
        if (st != PAWL_OK) {
            pw_error_wrap(err, st, "operation %zu of group %llu", i, (unsigned long long)g->number);
        }
    }
    return st;
}

static pawl_status apply_as_it_grows(pw_sqlite *j, pw_group *g, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    pw_feed_state state = PW_FEED_OPEN;
    size_t have = 0;
    size_t shown = 0;
    while (st == PAWL_OK && state == PW_FEED_OPEN) {
        state = pw_feed_wait(g->feed, have, &shown);
        st = state == PW_FEED_WANTED ? pw_err(err, PAWL_NOT, "the group was taken back")
                                     : apply_from(j, g, have, shown, err);
        have = shown;
    }
    return st;
}

static pawl_status apply_all(pw_sqlite *j, pw_group *g, pawl_error *err)
{
    pawl_status st = fence(j, g, err);
    if (st == PAWL_OK) {
        st = g->feed != NULL ? apply_as_it_grows(j, g, err) : apply_from(j, g, 0, g->len, err);
    }
    return st == PAWL_OK ? note_number(j, g, err) : st;
}

/** What a group may end as: everything that wrote nothing and has no name of its own is NOT. */
static pawl_status outcome_of(pawl_status st, pawl_error *err)
{
    switch ((int)st) {
    case PAWL_OK:
    case PAWL_CONFLICT:
    case PAWL_FENCED:
    case PAWL_NOSPACE:
    case PAWL_UNKNOWN:
        return st;
    default:
        if (err != NULL) {
            err->status = PAWL_NOT;
        }
        return PAWL_NOT;
    }
}

/** Then nobody hears its outcome: the one that asks to reopen is kept for the next. */
static bool is_taken_back(const pw_group *g)
{
    return g->feed != NULL && !pw_feed_whole(g->feed);
}

/** A failed checkpoint, chunk, sweep or compaction has no caller to tell: the next group hears UNKNOWN, so that the engine reopens. */
static pawl_status refuse(pw_sqlite *j, pawl_error *err)
{
    if (!j->told) {
        j->told = true;
        return pw_err(
            err, PAWL_UNKNOWN,
            "a checkpoint or an idle commit failed: nothing more is written until the journal is reopened");
    }
    return pw_err(err, PAWL_NOT,
                  "an earlier commit failed at its sync: the journal must be reopened first");
}

pawl_status pw_sqlite_commit(pw_journal *base, pw_group *group, pawl_error *err)
{
    pw_sqlite *j = pw_sqlite_of(base);
    pawl_status st = pw_sqlite_check_pid(j, err);
    if (st != PAWL_OK) {
        return st;
    }
    if (j->failed) {
        return is_taken_back(group) ? pw_err(err, PAWL_NOT, "taken back") : refuse(j, err);
    }
    int64_t pos = j->pos;
    st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    if (st == PAWL_OK) {
        st = apply_all(j, group, err);
        int64_t from_ns = pw_mono_ns();
        st = st == PAWL_OK && PW_BUG_ACK_BEFORE_COMMIT ? st : pw_sqlite_finish(j, st, err);
        group->sync_ns = pw_mono_ns() - from_ns;
    }
    if (st == PAWL_OK) {
        j->group_no = group->number;
    } else {
        j->pos = pos;
    }
    j->told = j->told || (st == PAWL_UNKNOWN && !is_taken_back(group));
    return outcome_of(st, err);
}

void pw_sqlite_settle(pw_journal *base)
{
    pw_sqlite *j = pw_sqlite_of(base);
    int limit =
        j->env.checkpoint_frames > 0 ? j->env.checkpoint_frames : PW_SQLITE_CHECKPOINT_FRAMES;
    if (PW_BUG_ACK_BEFORE_COMMIT && !j->failed && !sqlite3_get_autocommit(j->db.db)) {
        (void)pw_sqlite_finish(j, PAWL_OK, NULL);
    }
    if (j->failed || j->wal_frames < limit) {
        return;
    }
    int frames = 0;
    int moved = 0;
    int rc = sqlite3_wal_checkpoint_v2(j->db.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if (rc == SQLITE_OK) {
        j->wal_frames = 0;
    } else if ((rc & 0xff) == SQLITE_IOERR && rc != SQLITE_IOERR_NOMEM) {
        pw_sqlite_fail(
            j); /* a failed sync of the database: pages may be clean in the cache and absent on the disk */
    }
}
