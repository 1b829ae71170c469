/*
 * sqlite_verify.c - every numbered invariant that a file can show, checked on a file.
 *
 * Reads through an ordinary reader inside one read transaction: an owner may live meanwhile, and
 * goes on. The invariants and what they mean are in README.md; most are one query of verify.def
 * that must give no rows
 * [J2] [J5] [J13] [J14]; the rest are asked of SQLite [J0], or walked: histories [J3] [J8] [J18],
 * blobs [J12], nodes [J16], snapshots [J15], pages of maps [J17], the memory store [J20]. Goes on after a finding, and repairs nothing.
 */
#include <stdio.h>
#include <string.h>

#include "journal/map_page.h"
#include "journal/memo.h"
#include "journal/record_sum.h"
#include "journal/sqlite.h"
#include "journal/sqlite_collection.h"
#include "journal/sqlite_verify.h"
#include "journal/walk.h"

typedef struct check {
    pw_sqlite_reader *r;
    pw_verify_fn fn;
    void *ctx;
    pw_verify_stats stats;
    int64_t run; /* being walked */
} check;

static void tell(check *v, const pw_verify_finding *f)
{
    v->stats.findings++;
    if (v->fn != NULL) {
        v->fn(v->ctx, f);
    }
}

static void report(check *v, const char *invariant, int64_t run, int64_t pos, const char *message)
{
    pw_verify_finding f = {.invariant = invariant, .run = run, .pos = pos};
    snprintf(f.message, sizeof(f.message), "%s", message);
    tell(v, &f);
}

/* [J21] Collections have names, and their items keys. */
static void report_item(void *ctx, int64_t collection, int64_t item, const char *what)
{
    check *v = ctx;
    pw_verify_finding f = {.invariant = "J21", .pos = item};
    pw_sqlite_item_place(v->r, collection, item, f.place, sizeof f.place);
    snprintf(f.message, sizeof f.message, "%s", what);
    tell(v, &f);
}

/* [J22] */
static void report_kept(void *ctx, int64_t row, const char *what)
{
    pw_verify_finding f = {.invariant = "J22", .pos = row, .place = "kept results"};
    snprintf(f.message, sizeof f.message, "%s", what);
    tell(ctx, &f);
}

/* ---- queries that must give no rows ---- */

typedef struct rule {
    const char *invariant;
    const char *message;
    const char *sql;
} rule;

static const rule rules[] = {
#define X(invariant, message, sql) {invariant, message, sql},
#include "journal/verify.def"
#undef X
};

static void report_row(check *v, const rule *r, int64_t of, int64_t detail)
{
    char text[200];
    const bool item = detail > PW_ITEM_NUMBER_MAX; /* a row of items, and no count */
    snprintf(text, sizeof text, "%s (%lld)", r->message,
             (long long)(item ? pw_item_number(detail) : detail));
    if (strcmp(r->invariant, "J21") == 0) {
        report_item(v, of, item ? pw_item_number(detail) : 0, text);
    } else {
        snprintf(text, sizeof text, "%s (%lld)", r->message, (long long)detail);
        report(v, r->invariant, of, detail, text);
    }
}

static pawl_status run_rule(check *v, const rule *r, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    pawl_status status = PAWL_OK;
    bool row = true;
    int rc = sqlite3_prepare_v2(v->r->db.db, r->sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(&v->r->db, rc, r->invariant, err);
    }
    while (status == PAWL_OK && row) {
        status = pw_db_step(&v->r->db, st, &row, err);
        if (status == PAWL_OK && row) {
            report_row(v, r, sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1));
        }
    }
    sqlite3_finalize(st);
    return status;
}

static pawl_status check_pages(check *v, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    pawl_status status = PAWL_OK;
    bool row = true;
    int rc = sqlite3_prepare_v2(v->r->db.db, "PRAGMA integrity_check(20)", -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(&v->r->db, rc, "integrity_check", err);
    }
    while (status == PAWL_OK && row) {
        status = pw_db_step(&v->r->db, st, &row, err);
        const char *text =
            status == PAWL_OK && row ? (const char *)sqlite3_column_text(st, 0) : NULL;
        if (text != NULL && strcmp(text, "ok") != 0) {
            report(v, "J0", 0, 0, text);
        }
    }
    sqlite3_finalize(st);
    return status;
}

/* ---- histories ---- */

static bool well_formed(const pw_entry *e)
{
    pw_record record;
    pw_event event = {0};
    int64_t events = 0;
    if (pw_record_open(e->bytes.data, e->bytes.size, &record, NULL) != PAWL_OK) {
        return false;
    }
    while (pw_record_next(&record, &event)) {
        pw_mp r = pw_mp_reader(event.body.data, event.body.size);
        (void)pw_mp_read_map(&r);
        events += pw_mp_ok(&r) ? 1 : 0;
    }
    return !record.body.bad && pw_mp_at_end(&record.body) && events == e->events;
}

static bool check_entry(void *ctx, const pw_entry *e)
{
    check *v = ctx;
    v->stats.records++;
    v->stats.events += e->events;
    if (!well_formed(e)) {
        char text[120];
        snprintf(text, sizeof(text), "the record at event %lld does not decode to %lld events",
                 (long long)e->seq, (long long)e->events);
        report(v, "J18", v->run, e->pos, text);
    }
    return true;
}

static pawl_status check_history(check *v, int64_t run, pawl_error *err)
{
    pawl_error found = {0};
    v->run = run;
    v->stats.runs++;
    pawl_status st = pw_walk(&v->r->db, run, 0, check_entry, v, &found);
    if (st == PAWL_DAMAGED) {
        bool sum = strstr(found.message, "checksum") != NULL ||
                   strstr(found.message, "chain head") != NULL;
        report(v, sum ? "J8" : "J3", run, 0, found.message);
        return PAWL_OK;
    }
    if (st != PAWL_OK && err != NULL) {
        *err = found;
    }
    return st;
}

/** Every key of an integer column, one after the other, without a cursor that stays open meanwhile. */
static pawl_status next_key(check *v, const char *sql, int64_t after, int64_t *ret_key,
                            bool *ret_more, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(v->r->db.db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(&v->r->db, rc, "verify", err);
    }
    sqlite3_bind_int64(st, 1, after);
    pawl_status status = pw_db_step(&v->r->db, st, ret_more, err);
    if (status == PAWL_OK && *ret_more) {
        *ret_key = sqlite3_column_int64(st, 0);
        if (*ret_key <= after) { /* a damaged table may lead around in a circle */
            report(v, "J0", 0, *ret_key, "the rows of a table are out of order");
            *ret_more = false;
        }
    }
    sqlite3_finalize(st);
    return status;
}

static pawl_status check_histories(check *v, pawl_error *err)
{
    int64_t key = INT64_MIN;
    bool more = true;
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK) {
        st = next_key(v, "SELECT key FROM pawl_runs WHERE key>?1 ORDER BY key LIMIT 1", key, &key,
                      &more, err);
        if (st != PAWL_OK || !more) {
            break;
        }
        st = check_history(v, key, err);
    }
    return st;
}

/* ---- blobs, nodes, snapshots ---- */

typedef struct named {
    uint8_t digest[PW_DIGEST_SIZE];
} named;

static pawl_status get_digest(check *v, const char *sql, int64_t id, named *ret, bool *ret_whole,
                              pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    int rc = sqlite3_prepare_v2(v->r->db.db, sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(&v->r->db, rc, "verify", err);
    }
    sqlite3_bind_int64(st, 1, id);
    pawl_status status = pw_db_step(&v->r->db, st, &row, err);
    *ret_whole = status == PAWL_OK && row && sqlite3_column_bytes(st, 0) == PW_DIGEST_SIZE;
    if (*ret_whole) {
        memcpy(ret->digest, sqlite3_column_blob(st, 0), PW_DIGEST_SIZE);
    }
    sqlite3_finalize(st);
    return status;
}

static pawl_status check_one(check *v, bool node, int64_t id, pawl_error *err)
{
    named name;
    bool whole = false;
    uint8_t parent[PW_DIGEST_SIZE];
    pw_buf body;
    pawl_error found = {0};
    const char *sql = node ? "SELECT id FROM pawl_nodes WHERE pos=?1"
                           : "SELECT digest FROM pawl_blobs WHERE id=?1";
    pawl_status st = get_digest(v, sql, id, &name, &whole, err);
    if (st != PAWL_OK || !whole) {
        if (st == PAWL_OK) {
            report(v, node ? "J16" : "J12", 0, id, "the name is not a digest");
        }
        return st;
    }
    pw_buf_init(&body, PW_VALUE_BYTES_MAX + PW_BLOB_CHUNK_BYTES);
    st = node ? pw_sqlite_node(&v->r->base, name.digest, parent, &body, &found)
              : pw_sqlite_blob(&v->r->base, name.digest, &body, &found);
    pw_buf_deinit(&body);
    v->stats.blobs++;
    if (st == PAWL_DAMAGED) {
        report(v, node ? "J16" : "J12", 0, id, found.message);
        return PAWL_OK;
    }
    if (st != PAWL_OK && err != NULL) {
        *err = found;
    }
    return st;
}

static pawl_status check_names(check *v, bool node, pawl_error *err)
{
    const char *sql = node ? "SELECT pos FROM pawl_nodes WHERE pos>?1 ORDER BY pos LIMIT 1"
                           : "SELECT id FROM pawl_blobs WHERE id>?1 ORDER BY id LIMIT 1";
    int64_t id = INT64_MIN;
    bool more = true;
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK) {
        st = next_key(v, sql, id, &id, &more, err);
        if (st != PAWL_OK || !more) {
            break;
        }
        st = check_one(v, node, id, err);
    }
    return st;
}

static pawl_status check_snapshots(check *v, pawl_error *err)
{
    int64_t run = INT64_MIN;
    bool more = true;
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK) {
        int64_t seq = 0;
        pw_buf body = PW_BUF_INIT;
        pawl_error found = {0};
        st = next_key(v, "SELECT run FROM pawl_snapshots WHERE run>?1 ORDER BY run LIMIT 1", run,
                      &run, &more, err);
        if (st != PAWL_OK || !more) {
            break;
        }
        st = pw_sqlite_snapshot(&v->r->base, run, &seq, &body, &found);
        pw_buf_deinit(&body);
        if (st == PAWL_DAMAGED) {
            report(v, "J15", run, 0, found.message);
            st = PAWL_OK;
        }
    }
    return st;
}

/* ---- the memory store [J20] ---- */

typedef struct memo_check {
    check *v;
    int64_t id;
    pw_view space;
    bool lacks;
} memo_check;

static bool check_word(void *ctx, pw_view word)
{
    memo_check *m = ctx;
    pw_db *db = &m->v->r->db;
    sqlite3_stmt *st = pw_db_take(db, PW_SQL_MEMO_WORD_HAS, NULL);
    bool row = false;
    if (st != NULL) {
        pw_bind b = {st, 0};
        pw_bind_text(&b, m->space);
        pw_bind_blob(&b, word);
        pw_bind_int(&b, -m->id);
        m->lacks = pw_db_step(db, st, &row, NULL) == PAWL_OK && !row;
        pw_db_give(db, PW_SQL_MEMO_WORD_HAS, st);
    }
    return !m->lacks;
}

static bool check_memo(void *ctx, const pw_memo_row *row)
{
    memo_check m = {.v = ctx, .id = row->id, .space = row->space};
    pawl_error found;
    (void)pw_memo_words(pw_memo_text(row->body), check_word, &m, &found);
    if (m.lacks) {
        report(ctx, "J20", 0, row->id, "a memory is not found by one of its words");
    }
    return true;
}

static pawl_status check_memos(check *v, pawl_error *err)
{
    int64_t id = INT64_MIN;
    bool more = true;
    pawl_status st = PAWL_OK;
    while (st == PAWL_OK) {
        pawl_error found = {0};
        st = next_key(v, "SELECT id FROM pawl_memos WHERE id>?1 ORDER BY id LIMIT 1", id, &id,
                      &more, err);
        if (st != PAWL_OK || !more) {
            break;
        }
        st = pw_sqlite_memo(&v->r->base, id, check_memo, v, &found);
        if (st == PAWL_DAMAGED) {
            report(v, "J20", 0, id, found.message);
            st = PAWL_OK;
        }
    }
    return st;
}

/* ---- pages of maps [J17] ---- */

typedef struct map_check {
    int64_t run, cmd, page;
    int64_t done, failed, last; /* last: the highest page with an item */
    uint8_t seen[PW_MAP_BITS_BYTES];
} map_check;

/** An open map's row counts what its pages hold. A closed one has no row. */
static pawl_status check_map(check *v, const map_check *m, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    bool row = false;
    int rc = sqlite3_prepare_v2(v->r->db.db,
                                "SELECT total,done,failed FROM pawl_maps WHERE run=?1 AND cmd=?2",
                                -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(&v->r->db, rc, "verify", err);
    }
    sqlite3_bind_int64(st, 1, m->run);
    sqlite3_bind_int64(st, 2, m->cmd);
    pawl_status status = pw_db_step(&v->r->db, st, &row, err);
    if (status == PAWL_OK && row) {
        int64_t total = sqlite3_column_int64(st, 0);
        bool counted =
            sqlite3_column_int64(st, 1) == m->done && sqlite3_column_int64(st, 2) == m->failed;
        if (!counted || m->last * PW_MAP_PAGE_ITEMS >= total) {
            char text[200];
            snprintf(
                text, sizeof(text),
                "map %lld counts %lld done and %lld failed of %lld; its pages hold %lld and %lld",
                (long long)m->cmd, (long long)sqlite3_column_int64(st, 1),
                (long long)sqlite3_column_int64(st, 2), (long long)total, (long long)m->done,
                (long long)m->failed);
            report(v, "J17", m->run, m->cmd, text);
        }
    }
    sqlite3_finalize(st);
    return status;
}

static void check_page(check *v, map_check *m, pw_cols *c)
{
    pw_page_row p = {.run = m->run, .cmd = m->cmd};
    p.page = pw_col_int(c);
    p.part = pw_col_int(c);
    int64_t sum = pw_col_int(c);
    int64_t body_sum = pw_col_int(c);
    p.head = pw_col_view(c);
    p.body = pw_col_view(c);
    if (p.page != m->page) {
        memset(m->seen, 0, sizeof(m->seen));
        m->page = p.page;
    }
    int64_t done = 0, failed = 0;
    const char *fault = pw_page_sum(&p, body_sum) != sum || pw_page_body_sum(p.body) != body_sum
                            ? "it does not match its checksums"
                            : pw_page_fault(&p, m->seen, &done, &failed);
    if (fault != NULL) {
        char text[200];
        snprintf(text, sizeof(text), "page %lld.%lld of map %lld: %s", (long long)p.page,
                 (long long)p.part, (long long)p.cmd, fault);
        report(v, "J17", p.run, p.cmd, text);
    }
    m->done += done;
    m->failed += failed;
    m->last = p.page > m->last ? p.page : m->last;
}

static pawl_status check_maps(check *v, pawl_error *err)
{
    sqlite3_stmt *st = NULL;
    map_check m = {.run = INT64_MIN};
    bool row = true;
    const char *sql =
        "SELECT run,cmd,page,part,sum,body_sum,head,body FROM pawl_map_pages ORDER BY run,cmd,page,part";
    int rc = sqlite3_prepare_v2(v->r->db.db, sql, -1, &st, NULL);
    pawl_status status = rc == SQLITE_OK ? PAWL_OK : pw_db_error(&v->r->db, rc, "verify", err);
    while (status == PAWL_OK && row) {
        status = pw_db_step(&v->r->db, st, &row, err);
        pw_cols c = {st, 0};
        int64_t run = status == PAWL_OK && row ? pw_col_int(&c) : INT64_MIN;
        int64_t cmd = status == PAWL_OK && row ? pw_col_int(&c) : 0;
        if (status == PAWL_OK && (run != m.run || cmd != m.cmd)) {
            status = m.run != INT64_MIN ? check_map(v, &m, err) : PAWL_OK;
            m = (map_check){.run = run, .cmd = cmd, .page = INT64_MIN};
        }
        if (status == PAWL_OK && row) {
            check_page(v, &m, &c);
        }
    }
    sqlite3_finalize(st);
    return status;
}

/* ---- collections [J21], kept results [J22] ---- */

static pawl_status check_items(check *v, pawl_error *err)
{
    return pw_sqlite_verify_items(v->r, report_item, v, err);
}

static pawl_status check_cache(check *v, pawl_error *err)
{
    return pw_sqlite_verify_cache(v->r, report_kept, v, err);
}

/* ---- all of it ---- */

typedef pawl_status (*check_fn)(check *v, pawl_error *err);

static pawl_status check_blobs(check *v, pawl_error *err)
{
    return check_names(v, false, err);
}

static pawl_status check_nodes(check *v, pawl_error *err)
{
    return check_names(v, true, err);
}

/* A page that cannot be read ends one check, not the others. It is a finding of its own when SQLite's own check has not named it. */
static pawl_status noted(check *v, pawl_status st, const pawl_error *found, pawl_error *err)
{
    if (st != PAWL_OK && st != PAWL_DAMAGED && err != NULL) {
        *err = *found;
    }
    if (st == PAWL_DAMAGED && v->stats.findings == 0) {
        report(v, "J0", 0, 0, found->message);
    }
    return st == PAWL_DAMAGED ? PAWL_OK : st;
}

static pawl_status check_all(check *v, pawl_error *err)
{
    static const check_fn checks[] = {check_histories, check_blobs, check_nodes, check_maps,
                                      check_snapshots, check_memos, check_items, check_cache};
    pawl_error found = {0};
    pawl_status st = noted(v, check_pages(v, &found), &found, err);
    for (size_t i = 0; st == PAWL_OK && i < PW_COUNT(rules); i++) {
        st = noted(v, run_rule(v, &rules[i], &found), &found, err);
    }
    for (size_t i = 0; st == PAWL_OK && i < PW_COUNT(checks); i++) {
        st = noted(v, checks[i](v, &found), &found, err);
    }
    return st;
}

pawl_status pw_sqlite_verify_env(const char *path, const pw_sqlite_env *env, pw_verify_fn fn,
                                 void *ctx, pw_verify_stats *ret_stats, pawl_error *err)
{
    pw_reader *base = NULL;
    check v = {.fn = fn, .ctx = ctx};
    pawl_status st = pw_sqlite_reader_open_env(path, env, &base, err);
    if (st != PAWL_OK) {
        return st;
    }
    v.r = pw_sqlite_reader_of(base);
    st = pw_reader_enter(v.r, err);
    if (st == PAWL_OK) {
        st = pw_db_simple(&v.r->db, PW_SQL_BEGIN_READ, err);
        if (st == PAWL_OK) {
            st = check_all(&v, err);
        }
        if (!sqlite3_get_autocommit(v.r->db.db)) {
            (void)pw_db_simple(&v.r->db, PW_SQL_COMMIT, NULL);
        }
        pw_reader_leave(v.r);
    }
    pw_sqlite_reader_close(base);
    if (st == PAWL_OK) {
        *ret_stats = v.stats;
    }
    return st;
}

pawl_status pw_sqlite_verify(const char *path, pw_verify_fn fn, void *ctx,
                             pw_verify_stats *ret_stats, pawl_error *err)
{
    pw_sqlite_env env = {0};
    return pw_sqlite_verify_env(path, &env, fn, ctx, ret_stats, err);
}
