/*
 * bench_raw.c - "raw": one thread that runs the same SQL statements as the journal does, from the same lists, without pawl.
 * Does not compute what pawl computes (checksums, chains): it only writes the same rows.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/amounts.h" /* the lists are made of units */
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
    int64_t first,
        turns_of_a_run; /* of this generation: key of its first run; 0 = runs never end */
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
        check(r,
              sqlite3_prepare_v3(r->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, &r->st[which],
                                 NULL),
              texts[which]);
    }
    return r->st[which];
}

static void run(bench_raw *r, int which)
{
    sqlite3_stmt *st = use(r, which);
    int rc = sqlite3_step(st);
    check(r, rc, texts[which]);
    if (sqlite3_changes(r->db) == 0 && (which == SQL_RUN_TURN || which == SQL_RUN_CLOSE)) {
        (void)fprintf(stderr, "pawl-bench: raw: a statement changed nothing: %s\n", texts[which]);
        exit(1);
    }
    (void)sqlite3_reset(st);
}

static void make_runs(bench_raw *r)
{
    char sql[400];
    check(r, sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL), "begin");
    check(
        r,
        sqlite3_exec(
            r->db,
            "INSERT OR IGNORE INTO pawl_owner(id,epoch,grp,pos) VALUES(1,1,0,0); UPDATE pawl_owner SET epoch=1,grp=0",
            NULL, NULL, NULL),
        "owner");
    for (int64_t i = 1; i <= r->runs; i++) {
        (void)snprintf(
            sql, sizeof sql,
            "INSERT INTO pawl_runs VALUES(%lld,'run-%lld','steps','1','',0,0,0,0,0,1,0,zeroblob(32),0,0,'','',0,0,'',"
            "0,0,0)",
            (long long)i, (long long)i);
        check(r, sqlite3_exec(r->db, sql, NULL, NULL, NULL), "run");
    }
    check(r, sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL), "commit");
}

static void never_called(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    (void)argc;
    (void)argv;
    sqlite3_result_null(ctx);
}

/* What the steps of the schema that convert older files call, row by row: here there are no rows. */
static void add_functions(bench_raw *r)
{
    static const char *const names[] = {"pawl_old_item", "pawl_old_item_sum"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check(r,
              sqlite3_create_function(r->db, names[i], -1, SQLITE_UTF8, NULL, never_called, NULL,
                                      NULL),
              names[i]);
    }
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
    r->first = 1;
    r->seq = calloc((size_t)runs, sizeof *r->seq);
    check(r,
          sqlite3_open_v2(path, &r->db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
          "open");
    check(
        r,
        sqlite3_exec(
            r->db,
            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA "
            "cache_size=-65536; PRAGMA wal_autocheckpoint=1000",
            NULL, NULL, NULL),
        "pragmas");
    add_functions(r);
    check(r, sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL), "begin");
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++) {
        check(r, sqlite3_exec(r->db, schema[i], NULL, NULL, NULL), schema[i]);
    }
    check(r, sqlite3_exec(r->db, "COMMIT", NULL, NULL, NULL), "commit");
    make_runs(r);
    return r;
}

static void bind_ints(bench_raw *r, sqlite3_stmt *st, int from, const int64_t *ints, int len)
{
    for (int i = 0; i < len; i++) {
        check(r, sqlite3_bind_int64(st, from + i, ints[i]), "bind");
    }
}

static void bind_texts(bench_raw *r, sqlite3_stmt *st, const int *at, int len, const char *text)
{
    for (int i = 0; i < len; i++) {
        check(r, sqlite3_bind_text(st, at[i], text, -1, SQLITE_STATIC), "bind");
    }
}

static void put_run(bench_raw *r, int64_t key)
{
    static const int empty[] = {5, 14, 15, 18}, named[] = {3, 4};
    char id[40];
    sqlite3_stmt *st = use(r, SQL_RUN_CREATE);
    (void)snprintf(id, sizeof id, "b-%lld-%lld", (long long)r->runs, (long long)key);
    bind_ints(r, st, 1, (const int64_t[]){key}, 1);
    check(r, sqlite3_bind_text(st, 2, id, -1, SQLITE_STATIC), "bind");
    bind_texts(r, st, named, 2, "steps");
    bind_texts(r, st, empty, 4, "");
    bind_ints(r, st, 6, (const int64_t[]){1700000000000, 0, 0, 0, 0, 1, 1700000000000, 0}, 8);
    bind_ints(r, st, 16, (const int64_t[]){0, 0}, 2);
    bind_ints(r, st, 19, (const int64_t[]){0, 0, 42}, 3);
    run(r, SQL_RUN_CREATE);
}

static void put_log(bench_raw *r, int64_t key, int64_t seq, const char *bytes, size_t size)
{
    sqlite3_stmt *log = use(r, SQL_LOG_PUT);
    bind_ints(r, log, 1, (const int64_t[]){++r->pos, key, seq, 1, r->group, 12345}, 6);
    check(r, sqlite3_bind_blob(log, 7, bytes, (int)size, SQLITE_STATIC), "bind");
    run(r, SQL_LOG_PUT);
}

static void move_run(bench_raw *r, int64_t key, int64_t seq, bool close)
{
    static const char zeros[32];
    static const int empty[] = {5, 6, 9};
    sqlite3_stmt *up = use(r, close ? SQL_RUN_CLOSE : SQL_RUN_TURN);
    bind_ints(r, up, 1, (const int64_t[]){1, seq + 1, 0, 1700000000000}, 4);
    bind_ints(r, up, 7, (const int64_t[]){0, 0, 0, 0, 0, 42, key, seq}, 8);
    check(r, sqlite3_bind_blob(up, 3, zeros, 32, SQLITE_STATIC), "bind");
    check(r, sqlite3_bind_blob(up, 15, zeros, 32, SQLITE_STATIC), "bind");
    bind_texts(r, up, empty, 3, "");
    if (close) {
        bind_ints(r, up, 16, (const int64_t[]){1700000000000}, 1);
    }
    run(r, close ? SQL_RUN_CLOSE : SQL_RUN_TURN);
}

static void one_turn(bench_raw *r, const char *bytes, size_t size)
{
    int64_t index = r->turn++ % r->runs;
    int64_t key = r->first + index;
    int64_t seq = r->seq[index]++;
    if (seq == 0 && r->turns_of_a_run > 0) {
        put_run(r, key);
    }
    move_run(r, key, seq, seq + 1 == r->turns_of_a_run);
    put_log(r, key, seq, bytes, size);
}

void bench_raw_generation(bench_raw *r, int64_t turns_of_a_run)
{
    r->first += r->runs;
    r->turns_of_a_run = turns_of_a_run;
    r->turn = 0;
    memset(r->seq, 0, (size_t)r->runs * sizeof *r->seq);
}

void bench_raw_commit(bench_raw *r, int64_t turns, size_t record_bytes)
{
    static char bytes[4096];
    run(r, SQL_BEGIN_WRITE);
    r->group++;
    run(r, SQL_OWNER_EPOCH);
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
