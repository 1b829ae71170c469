/*
 * walk.c - reading a run's records and believing none of them unchecked.
 *
 * The log is asked first: a run that was never compacted, the common case, costs no second query.
 * Only when its first log row lies behind the event asked for are the history rows before it
 * walked. Does not decode events.
 */
#include "journal/walk.h"

#include <string.h>

#include "journal/bugs.h"
#include "journal/history.h"
#include "journal/record_sum.h"

typedef struct walk {
    pw_db *db;
    int64_t run;
    int64_t from_seq;
    int64_t next_seq; /* where the next record must begin; -1 = before the first */
    bool whole;       /* from event 0: the chain is followed too */
    bool stopped;
    uint8_t chain[PW_DIGEST_SIZE];
    pw_entry_fn fn;
    void *ctx;
} walk;

static pawl_status damaged(const walk *w, int64_t seq, const char *what, pawl_error *err)
{
    return pw_err(err, PAWL_DAMAGED,
                  "run %lld, event %lld: %s; pawl verify shows all of it, a backup is the way back",
                  (long long)w->run, (long long)seq, what);
}

static pawl_status give(walk *w, const pw_entry *e, pawl_error *err)
{
    if (pw_record_sum(w->run, e->seq, e->events, e->bytes) != e->sum && !PW_BUG_NO_CHECKSUM) {
        return damaged(w, e->seq, "the record does not match its checksum", err);
    }
    bool first = w->next_seq < 0;
    if (first ? e->seq > w->from_seq : e->seq != w->next_seq) {
        return damaged(w, e->seq, "the history has a gap before it", err);
    }
    w->next_seq = e->seq + e->events;
    if (w->whole) {
        pw_chain_next(w->chain, w->chain, e->bytes.data, e->bytes.size);
    }
    w->stopped = !w->fn(w->ctx, e);
    return PAWL_OK;
}

/* ---- history rows ---- */

static pawl_status walk_page(walk *w, int64_t seq, int64_t events, int64_t sum, pw_view page,
                             pawl_error *err)
{
    pw_history_reader r = {page, seq};
    pw_entry e;
    if (pw_record_sum(w->run, seq, events, page) != sum && !PW_BUG_NO_CHECKSUM) {
        return damaged(w, seq, "the history row does not match its checksum", err);
    }
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK && !w->stopped && pw_history_next(&r, &e)) {
        bool wanted = w->next_seq >= 0 || e.seq + e.events > w->from_seq;
        st = wanted ? give(w, &e, err) : PAWL_OK;
    }
    if (st == PAWL_OK && !w->stopped && (r.rest.size != 0 || r.seq != seq + events)) {
        return damaged(w, r.seq, "the history row is not well formed", err);
    }
    return st;
}

static pawl_status walk_history(walk *w, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(w->db, PW_SQL_HISTORY_READ, err);
    if (st == NULL) {
        return pw_db_untaken(w->db);
    }
    bool row = true;
    pawl_status status = PAWL_OK;
    pw_bind b = {st, 0};
    pw_bind_int(&b, w->run);
    pw_bind_int(&b, w->from_seq);
    while (status == PAWL_OK && row && !w->stopped) {
        status = pw_db_step(w->db, st, &row, err);
        if (status == PAWL_OK && row) {
            pw_cols c = {st, 0};
            int64_t seq = pw_col_int(&c);
            int64_t events = pw_col_int(&c);
            int64_t sum = pw_col_int(&c);
            status = walk_page(w, seq, events, sum, pw_col_view(&c), err);
        }
    }
    pw_db_give(w->db, PW_SQL_HISTORY_READ, st);
    return status;
}

/* ---- log rows ---- */

static pawl_status walk_log_row(walk *w, sqlite3_stmt *st, pawl_error *err)
{
    pw_cols c = {st, 0};
    pw_entry e = {0};
    e.pos = pw_col_int(&c);
    e.seq = pw_col_int(&c);
    e.events = pw_col_int(&c);
    e.group = pw_col_int(&c);
    e.sum = pw_col_int(&c);
    e.bytes = pw_col_view(&c);
    pawl_status status = PAWL_OK;
    if (w->next_seq < 0 && e.seq > w->from_seq) {
        status = walk_history(w, err);
    }
    return status == PAWL_OK && !w->stopped ? give(w, &e, err) : status;
}

static pawl_status walk_log(walk *w, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(w->db, PW_SQL_LOG_READ, err);
    if (st == NULL) {
        return pw_db_untaken(w->db);
    }
    bool row = true;
    pawl_status status = PAWL_OK;
    pw_bind b = {st, 0};
    pw_bind_int(&b, w->run);
    pw_bind_int(&b, w->from_seq);
    while (status == PAWL_OK && row && !w->stopped) {
        status = pw_db_step(w->db, st, &row, err);
        if (status == PAWL_OK && row) {
            status = walk_log_row(w, st, err);
        }
    }
    pw_db_give(w->db, PW_SQL_LOG_READ, st);
    return status;
}

/* ---- the run's row ---- */

static pawl_status read_head(walk *w, int64_t *ret_seq, uint8_t ret_chain[PW_DIGEST_SIZE],
                             pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(w->db, PW_SQL_RUN_HEAD, err);
    if (st == NULL) {
        return pw_db_untaken(w->db);
    }
    bool row = false;
    pw_bind b = {st, 0};
    pw_bind_int(&b, w->run);
    pawl_status status = pw_db_step(w->db, st, &row, err);
    if (status == PAWL_OK && !row) {
        status = pw_err(err, PAWL_NOTFOUND, "no run with key %lld", (long long)w->run);
    }
    if (status == PAWL_OK) {
        pw_cols c = {st, 0};
        *ret_seq = pw_col_int(&c);
        pw_view chain = pw_col_view(&c);
        if (chain.size != PW_DIGEST_SIZE) {
            status = damaged(w, *ret_seq, "the run's chain head is not a digest", err);
        } else {
            memcpy(ret_chain, chain.data, PW_DIGEST_SIZE);
        }
    }
    pw_db_give(w->db, PW_SQL_RUN_HEAD, st);
    return status;
}

pawl_status pw_walk(pw_db *db, int64_t run, int64_t from_seq, pw_entry_fn fn, void *ctx,
                    pawl_error *err)
{
    int64_t seq = 0;
    uint8_t chain[PW_DIGEST_SIZE];
    walk w = {.db = db,
              .run = run,
              .from_seq = from_seq > 0 ? from_seq : 0,
              .next_seq = -1,
              .whole = from_seq <= 0,
              .fn = fn,
              .ctx = ctx};
    pawl_status st = read_head(&w, &seq, chain, err);
    if (st == PAWL_OK) {
        st = walk_log(&w, err);
    }
    if (st == PAWL_OK && !w.stopped && w.next_seq < 0 && w.from_seq < seq) {
        st = walk_history(&w, err); /* the log holds nothing of this run */
    }
    if (st != PAWL_OK || w.stopped) {
        return st;
    }
    if (w.next_seq >= 0 ? w.next_seq != seq : w.from_seq < seq) {
        return damaged(&w, w.next_seq >= 0 ? w.next_seq : w.from_seq,
                       "the history ends before the run's row says", err);
    }
    if (w.whole && memcmp(w.chain, chain, PW_DIGEST_SIZE) != 0) {
        return damaged(&w, seq, "the history does not lead to the run's chain head", err);
    }
    return PAWL_OK;
}
