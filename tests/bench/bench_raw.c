/*
 * bench_raw.c - "raw": one thread that runs the same SQL statements as the journal does, from the same lists, without pawl.
 * Does not compute what pawl computes (checksums, chains): it only writes the same rows.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

enum {
#define X(name, sql) SQL_##name,
#include "journal/sql.def"
#undef X
    SQL_COUNT
};

static const char *const texts[] = {
#define X(name, sql) sql,
#include "journal/sql.def"
#undef X
};

struct bench_raw {
    sqlite3 *db;
    sqlite3_stmt *st[SQL_COUNT];
    int64_t group, pos, runs, turn;
    int64_t *seq;
};

static void check(bench_raw *r, int rc, const char *what)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        (void)fprintf(stderr, "pawl-bench: raw %s: %s\n", what, sqlite3_errmsg(r->db));
        exit(1);
    }
}

static sqlite3_stmt *use(bench_raw *r, int which)
{
    if (r->st[which] == NULL) {
        check(r, sqlite3_prepare_v3(r->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, &r->st[which], NULL), texts[which]);
    }
    return r->st[which];
}

static void run(bench_raw *r, int which)
{
    sqlite3_stmt *st = use(r, which);
    int rc = sqlite3_step(st);
    check(r, rc, texts[which]);
    if (sqlite3_changes(r->db) == 0 && (which == SQL_RUN_TURN || which == SQL_OWNER_GROUP)) {
        (void)fprintf(stderr, "pawl-bench: raw: a statement changed nothing: %s\n", texts[which]);
        exit(1);
    }
    (void)sqlite3_reset(st);
}

static void make_runs(bench_raw *r)
{
    char sql[400];
    check(r, sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL), "begin");
    check(r, sqlite3_exec(r->db, "INSERT OR IGNORE INTO pawl_owner(id,epoch,grp,pos) VALUES(1,1,0,0); UPDATE pawl_owner SET epoch=1,grp=0",
                          NULL, NULL, NULL), "owner");
    for (int64_t i = 1; i <= r->runs; i++) {
        (void)snprintf(sql, sizeof sql, "INSERT INTO pawl_runs VALUES(%lld,'run-%lld','steps','1','',0,0,0,0,0,1,0,zeroblob(32),0,0,'','',0,0,'',"
                                        "0,0,0)", (long long)i, (long long)i);
        check(r, sqlite3_exec(r->db, sql, NULL, NULL, NULL), "run");
    }
    check(r, sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL), "commit");
}

bench_raw *bench_raw_open(const char *path, int64_t runs)
{
    static const char *const schema[] = {
#define X(version, sql) sql,
#include "journal/schema.def"
#undef X
    };
    bench_raw *r = calloc(1, sizeof *r);
    r->runs = runs;
    r->seq = calloc((size_t)runs + 1, sizeof *r->seq);
    check(r, sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL), "open");
    check(r, sqlite3_exec(r->db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA "
                                 "cache_size=-65536; PRAGMA wal_autocheckpoint=1000", NULL, NULL, NULL), "pragmas");
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++) {
        check(r, sqlite3_exec(r->db, schema[i], NULL, NULL, NULL), schema[i]);
    }
    make_runs(r);
    return r;
}

static void one_turn(bench_raw *r, const char *bytes, size_t size)
{
    static const char zeros[32];
    int64_t key = r->turn++ % r->runs + 1;
    sqlite3_stmt *log = use(r, SQL_LOG_PUT);
    const int64_t cols[] = {++r->pos, key, r->seq[key], 1, r->group, 12345};
    for (int i = 0; i < 6; i++) {
        check(r, sqlite3_bind_int64(log, i + 1, cols[i]), "bind");
    }
    check(r, sqlite3_bind_blob(log, 7, bytes, (int)size, SQLITE_STATIC), "bind");
    run(r, SQL_LOG_PUT);
    sqlite3_stmt *up = use(r, SQL_RUN_TURN);
    const int64_t fields[] = {1, ++r->seq[key], 0, 1700000000000, 0, 0, 0, 0, 0, 0, 0, 42, key, r->seq[key] - 1};
    for (int i = 0; i < 14; i++) {
        check(r, sqlite3_bind_int64(up, i + 1, fields[i]), "bind");
    }
    check(r, sqlite3_bind_blob(up, 3, zeros, 32, SQLITE_STATIC), "bind");
    check(r, sqlite3_bind_text(up, 5, "", 0, SQLITE_STATIC), "bind");
    check(r, sqlite3_bind_text(up, 6, "", 0, SQLITE_STATIC), "bind");
    check(r, sqlite3_bind_text(up, 9, "", 0, SQLITE_STATIC), "bind");
    check(r, sqlite3_bind_blob(up, 15, zeros, 32, SQLITE_STATIC), "bind");
    run(r, SQL_RUN_TURN);
}

void bench_raw_commit(bench_raw *r, int64_t turns, size_t record_bytes)
{
    static char bytes[4096];
    run(r, SQL_BEGIN_WRITE);
    r->group++;
    sqlite3_stmt *st = use(r, SQL_OWNER_GROUP);
    check(r, sqlite3_bind_int64(st, 1, r->group), "bind");
    check(r, sqlite3_bind_int64(st, 2, r->pos + turns), "bind");
    check(r, sqlite3_bind_int64(st, 3, 1), "bind");
    run(r, SQL_OWNER_GROUP);
    for (int64_t i = 0; i < turns; i++) {
        one_turn(r, bytes, record_bytes < sizeof bytes ? record_bytes : sizeof bytes);
    }
    run(r, SQL_COMMIT);
}

void bench_raw_close(bench_raw *r)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        (void)sqlite3_finalize(r->st[i]);
    }
    (void)sqlite3_close(r->db);
    free(r->seq);
    free(r);
}
