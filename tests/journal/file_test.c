/*
 * file_test.c - what only the SQLite file can show: owners, foreign and damaged files, migration,
 * verify. Does not repeat what the conformance suite says of both backends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/map_page.h"
#include "journal/sqlite.h"
#include "tests/journal/stored.h"

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void copy_file(const char *from, const char *to)
{
    char command[3 * PATH_MAX];
    snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* ---- owners ---- */

static void a_forked_child_is_told_that_it_is_one(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        pw_reader *r = NULL;
        pawl_error err;
        uint64_t n = 0;
        pw_group g = {.epoch = t->epoch, .number = t->number + 1};
        bool ok = t->j->ops->commit(t->j, &g, &err) == PAWL_FORKED &&
                  t->j->ops->lease(t->j, &n, &n, &err) == PAWL_FORKED &&
                  t->j->ops->reader_open(t->j, &r, &err) == PAWL_FORKED &&
                  t->j->ops->reopen(t->j, &err) == PAWL_FORKED;
        t->j->ops->close(t->j);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(rig_turn(t, &a, 1, "the parent goes on"), PAWL_OK);
    rig_close(t);
}

/* ---- posting without an owner ---- */

static bool count_inbox(void *ctx, const pw_inbox_row *row)
{
    (void)row;
    ++*(int *)ctx;
    return true;
}

static void a_post_without_an_owner_waits_in_the_inbox(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    int64_t id = 0;
    int64_t again = 0;
    int rows = 0;
    pawl_error err;
    assert_int_equal(pw_sqlite_post(t->path, rig_text("k"), rig_text("b"), 5, &id, &err),
                     PAWL_BUSY);
    rig_detach(t);
    assert_int_equal(pw_sqlite_post(t->path, rig_text("k"), rig_text("b"), 5, &id, &err), PAWL_OK);
    assert_int_equal(pw_sqlite_post(t->path, rig_text("k"), rig_text("b"), 6, &again, &err),
                     PAWL_OK);
    assert_int_equal(id, again);
    rig_restart(t);
    assert_int_equal(t->r->ops->inbox(t->r, 0, 0, count_inbox, &rows, &err), PAWL_OK);
    assert_int_equal(rows, 1);
    pw_op *op = rig_op(t, PW_OP_INBOX_TAKE);
    op->u.take.inbox_id = id;
    op->u.take.dedup = rig_text("k");
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_detach(t);
    assert_int_equal(pw_sqlite_post(t->path, rig_text("k"), rig_text("b"), 7, &again, &err),
                     PAWL_OK);
    assert_int_equal(again, 0);
    rig_restart(t);
    rig_close(t);
}

/* ---- bad files ---- */

static void a_foreign_file_is_named_and_left_alone(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char path[PATH_MAX];
    char text[200];
    pawl_error err;
    pw_reader *r = NULL;
    snprintf(path, sizeof(path), "%s/notes.txt", t->folder);
    memset(text, 'x', sizeof(text));
    write_file(path, text, sizeof(text));
    assert_int_equal(rig_try(path, &err), PAWL_FOREIGN);
    assert_non_null(strstr(err.message, "notes.txt"));
    assert_int_equal(pw_sqlite_reader_open(path, &r, &err), PAWL_FOREIGN);
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, sizeof(text));
    rig_close(t);
}

static void another_programs_database_is_foreign(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pawl_error err;
    rig_detach(t);
    snprintf(t->path, sizeof(t->path), "%s/other.db", t->folder);
    rig_tamper(t, "CREATE TABLE mine(a); INSERT INTO mine VALUES(1)");
    assert_int_equal(rig_try(t->path, &err), PAWL_FOREIGN);
    assert_non_null(strstr(err.message, "another program"));
    rig_tamper(t, "SELECT a FROM mine");
    rig_close(t);
}

static void a_newer_journal_is_refused_with_the_way_out(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pawl_error err;
    pw_reader *r = NULL;
    rig_detach(t);
    rig_tamper(t, "PRAGMA user_version=99");
    assert_int_equal(rig_try(t->path, &err), PAWL_NEWER);
    assert_non_null(strstr(err.message, "99"));
    assert_non_null(strstr(err.message, "backup"));
    assert_int_equal(pw_sqlite_reader_open(t->path, &r, &err), PAWL_NEWER);
    rig_close(t);
}

static void an_empty_file_becomes_a_journal_and_a_missing_folder_is_named(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char path[PATH_MAX];
    pawl_error err;
    pw_reader *r = NULL;
    snprintf(path, sizeof(path), "%s/empty.db", t->folder);
    write_file(path, "", 0);
    assert_int_equal(rig_try(path, &err), PAWL_OK);
    snprintf(path, sizeof(path), "%s/no/such.db", t->folder);
    assert_int_equal(rig_try(path, &err), PAWL_NOTFOUND);
    snprintf(path, sizeof(path), "%s/none.db", t->folder);
    assert_int_equal(pw_sqlite_reader_open(path, &r, &err), PAWL_NOTFOUND);
    assert_int_not_equal(access(path, F_OK), 0);
    rig_close(t);
}

static void a_read_only_file_is_refused_to_owners_and_read_by_readers(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pawl_error err;
    stored_fill(t);
    rig_detach(t);
    bool root = geteuid() == 0; /* root may write anything: be nobody meanwhile */
    assert_int_equal(chmod(t->path, 0400), 0);
    if (root) {
        char command[PATH_MAX];
        snprintf(command, sizeof(command), "chown -R 65534 '%s'", t->folder);
        assert_int_equal(system(command), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    pawl_status owner = rig_try(t->path, &err);
    pawl_status reader = pw_sqlite_reader_open(t->path, &t->r, &t->err);
    if (reader == PAWL_OK) {
        stored_check(t);
    }
    if (root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_int_equal(owner, PAWL_READONLY);
    assert_non_null(strstr(err.message, "read-only"));
    assert_int_equal(reader, PAWL_OK);
    t->r->ops->reader_close(t->r);
    t->r = NULL;
    rig_close(t);
}

static int says_nfs(const char *path, struct statfs *ret)
{
    (void)path;
    memset(ret, 0, sizeof(*ret));
    ret->f_type = 0x6969;
    return 0;
}

static int says_cifs(const char *path, struct statfs *ret)
{
    (void)path;
    memset(ret, 0, sizeof(*ret));
    ret->f_type = (__typeof__(ret->f_type))0xff534d42;
    return 0;
}

static void a_network_file_system_is_refused_by_name(void **state)
{
    (void)state;
    pw_journal *j = NULL;
    pawl_error err;
    rig *t = rig_open("sqlite");
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/net.db", t->folder);
    pw_sqlite_env env = {.statfs_fn = says_nfs};
    assert_int_equal(pw_sqlite_open_env(path, "", &env, &j, &err), PAWL_UNSUPPORTED);
    assert_non_null(strstr(err.message, "NFS"));
    env.statfs_fn = says_cifs;
    assert_int_equal(pw_sqlite_open_env(path, "", &env, &j, &err), PAWL_UNSUPPORTED);
    assert_non_null(strstr(err.message, "CIFS"));
    assert_int_not_equal(access(path, F_OK), 0);
    rig_close(t);
}

static void a_long_path_gets_its_socket_elsewhere(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char longer[PATH_MAX];
    char a[108];
    char b[108];
    pawl_error err;
    char fill[120];
    memset(fill, 'd', sizeof(fill) - 1);
    fill[sizeof(fill) - 1] = '\0';
    assert_int_equal(setenv("XDG_RUNTIME_DIR", t->folder, 1), 0);
    assert_int_equal(pw_socket_path(t->path, a, &err), PAWL_OK);
    assert_true(strncmp(a, t->path, strlen(t->path)) == 0);
    snprintf(longer, sizeof(longer), "%s/%s.db", t->folder, fill);
    assert_int_equal(pw_socket_path(longer, a, &err), PAWL_OK);
    assert_int_equal(pw_socket_path(longer, b, &err), PAWL_OK);
    assert_string_equal(a, b);
    assert_true(strlen(a) < 108);
    assert_non_null(strstr(a, "/pawl/"));
    rig_close(t);
}

/* ---- damage ---- */

static void flip_record(rig *t, int64_t run, int64_t seq)
{
    char sql[300];
    rig_detach(t);
    snprintf(sql, sizeof(sql),
             "UPDATE pawl_log SET bytes = CAST(substr(bytes,1,length(bytes)-1) || "
             "char(unicode(substr(bytes,-1)) + 1) AS BLOB)"
             " WHERE run=%lld AND seq=%lld",
             (long long)run, (long long)seq);
    rig_tamper(t, sql);
    rig_restart(t);
}

static void a_damaged_record_is_found_when_read_and_never_handed_out(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_history h;
    stored_fill(t);
    flip_record(t, 2, 1);
    assert_int_equal(rig_read(t, 2, 0, &h), PAWL_DAMAGED);
    assert_string_equal(h.texts, "start ");
    assert_non_null(strstr(t->err.message, "checksum"));
    assert_int_equal(rig_read(t, 2, 2, &h), PAWL_OK);
    assert_string_equal(h.texts, "b ");
    assert_int_equal(rig_read(t, 1, 0, &h), PAWL_OK);
    rig_close(t);
}

typedef struct findings {
    int64_t count;
    char names[300];
} findings;

static void note_finding(void *ctx, const pw_verify_finding *f)
{
    findings *all = ctx;
    all->count++;
    size_t used = strlen(all->names);
    snprintf(all->names + used, sizeof(all->names) - used, "%s ", f->invariant);
}

static findings verify(rig *t)
{
    findings all = {0};
    pw_verify_stats stats = {0};
    pawl_error err;
    if (pw_sqlite_verify(t->path, note_finding, &all, &stats, &err) != PAWL_OK) {
        fail_msg("verify: %s", err.message);
    }
    assert_int_equal(stats.findings, all.count);
    return all;
}

static void a_sound_file_has_no_findings(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    stored_fill(t);
    findings f = verify(t); /* beside a living owner */
    assert_string_equal(f.names, "");
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = 1;
    assert_int_equal(rig_commit(t), PAWL_OK);
    f = verify(t);
    assert_string_equal(f.names, "");
    stored_check(t);
    rig_close(t);
}

typedef struct seeded {
    const char *sql;
    const char *invariant;
} seeded;

/* [J0] [J2] [J3] [J5] [J8] [J12] [J13] [J14] [J15] [J16] [J17] */
#define NIL(name, key) ",0"
#define ONE(name, key) ",1"
static const seeded damages[] = {
    {"UPDATE pawl_log SET grp=1 WHERE pos=9", "J2"},
    {"DELETE FROM pawl_log WHERE run=1 AND seq=4", "J3"},
    {"DELETE FROM pawl_log WHERE run=2 AND seq=2", "J3"},
    {"UPDATE pawl_log SET run=77 WHERE run=2 AND seq=2", "J3"},
    {"UPDATE pawl_runs SET seq=seq+1 WHERE key=2", "J3"},
    {"UPDATE pawl_owner SET grp=2", "J5"},
    {"UPDATE pawl_log SET grp=0 WHERE pos=1", "J5"},
    {"DELETE FROM pawl_owner", "J5"},
    {"UPDATE pawl_log SET bytes=zeroblob(30) WHERE pos=4", "J8"},
    {"UPDATE pawl_log SET sum=sum+1 WHERE pos=4", "J8"},
    {"UPDATE pawl_runs SET chain=zeroblob(32) WHERE key=1", "J8"},
    {"UPDATE pawl_blobs SET body=zeroblob(10) WHERE id=1", "J12"},
    {"DELETE FROM pawl_chunks WHERE n=1", "J12"},
    {"INSERT INTO pawl_chunks(digest,n,body) VALUES(zeroblob(32),0,'x')", "J12"},
    {"UPDATE pawl_timers SET run=77", "J13"},
    {"UPDATE pawl_tasks SET run=77", "J13"},
    {"UPDATE pawl_waits SET run=77", "J13"},
    {"UPDATE pawl_keys SET run=77", "J13"},
    {"UPDATE pawl_maps SET run=77", "J13"},
    {"UPDATE pawl_map_pages SET run=77", "J13"},
    {"UPDATE pawl_map_pages SET body=zeroblob(3)", "J17"},
    {"UPDATE pawl_map_pages SET head=zeroblob(64)", "J17"},
    {"UPDATE pawl_map_pages SET part=5", "J17"},
    {"DELETE FROM pawl_map_pages", "J17"},
    {"UPDATE pawl_maps SET done=2", "J17"},
    {"UPDATE pawl_maps SET total=0", "J17"},
    {"UPDATE pawl_runs SET closed_ms=5 WHERE key=2", "J14"},
    {"UPDATE pawl_runs SET parent=77 WHERE key=2", "J14"},
    {"UPDATE pawl_runs SET prev=key WHERE key=2", "J14"},
    {"UPDATE pawl_snapshots SET seq=99", "J15"},
    {"UPDATE pawl_snapshots SET body='other'", "J15"},
    {"UPDATE pawl_nodes SET body='other' WHERE pos=2", "J16"},
    {"UPDATE pawl_log SET n=n+1 WHERE run=2 AND seq=2; UPDATE pawl_runs SET seq=seq+1 WHERE "
     "key=2",
     "J8"},
    {"DELETE FROM pawl_nodes WHERE pos=1", "J16"},
    {"INSERT INTO pawl_budgets VALUES('a',''" PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) PW_UNITS_LIST(ONE) ")",
     "J19"},
    {"INSERT INTO pawl_budgets VALUES('a','a'" PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL) ")",
     "J19"},
    {"INSERT INTO pawl_budgets VALUES('a',''" PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL) "); UPDATE pawl_budgets SET hard_usd=-9",
     "J19"},
    {"INSERT INTO pawl_budgets VALUES('a','b'" PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL) ")",
     "J19"},
    {"INSERT INTO pawl_ledger VALUES(1,1,0,1,1,3,0,0,'a','','',''" PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) ")",
     "J19"},
    {"INSERT INTO pawl_budgets VALUES('a',''" PW_UNITS_LIST(NIL) PW_UNITS_LIST(NIL)
         PW_UNITS_LIST(NIL) PW_UNITS_LIST(
             NIL) "); INSERT INTO pawl_ledger VALUES(77,1,0,1,1,3,0,0,'a','','',''" PW_UNITS_LIST(NIL)
             PW_UNITS_LIST(NIL) ")",
     "J19"},
    {"UPDATE pawl_memos SET key='other'", "J20"}, /* [J20] */
    {"DELETE FROM pawl_memos", "J20"},
    {"DELETE FROM pawl_memo_words WHERE word=CAST('tea' AS BLOB)", "J20"},
    {"UPDATE pawl_memo_spaces SET n=2", "J20"},
    {"DELETE FROM pawl_memo_spaces", "J20"},
    {"UPDATE pawl_items SET key='other'", "J21"}, /* [J21] */
    {"UPDATE pawl_items SET body=x'81a474657874a9626c61636b20746561'", "J21"},
    {"DELETE FROM pawl_items", "J21"},
    {"DELETE FROM pawl_vectors", "J21"},
    {"UPDATE pawl_vectors SET halves=x'003c003d'", "J21"},
    {"UPDATE pawl_vectors SET halves=x'003c'", "J21"},
    {"UPDATE pawl_collections SET items=7", "J21"},
    {"UPDATE pawl_collections SET last=0", "J21"},
    {"DELETE FROM pawl_collections", "J21"},
    {"INSERT INTO pawl_items_gone VALUES(1,1,1)", "J21"},
    {"INSERT INTO pawl_words_1(rowid,text) VALUES(9,'more')", "J21"},
    {"INSERT INTO pawl_words_1(pawl_words_1,rowid,text) VALUES('delete',1,'green tea')", "J21"},
    {"DELETE FROM pawl_words_1_docsize", "J21"},
    {"DROP TABLE pawl_words_1", "J21"},
    {"UPDATE pawl_cache SET body='other'", "J22"}, /* [J22] */
    {"UPDATE pawl_cache SET key='short'", "J22"},
    {"UPDATE pawl_cache SET expires_ms=1", "J22"},
};
#undef NIL
#undef ONE

/* [["k", two halves, {text: "green tea"}]] */
static const char one_item[] = "\x91\x93\xa1k\xc4\x04\x00\x3c\x00\x3c\xc4\x10"
                               "\x81\xa4text\xa9green tea";

static void every_seeded_damage_is_found_under_its_number(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite-small");
    char sound[PATH_MAX];
    stored_fill(t);
    rig_op(t, PW_OP_MEMO_PUT)->u.memo =
        (pw_memo_row){.space = rig_text("s"),
                      .key = rig_text("k"),
                      .updated_ms = 5,
                      .body = rig_text("\x81\xa4text\xa9green tea")};
    rig_op(t, PW_OP_COLLECTION_CREATE)->u.collection =
        (pw_collection_row){.name = rig_text("c"), .width = 2, .body = rig_text("\x80")};
    rig_op(t, PW_OP_CACHE_PUT)->u.cache = (pw_cache_row){
        .at_ms = 5, .expires_ms = 9, .run_id = rig_text("a"), .body = rig_text("result")};
    assert_int_equal(rig_commit(t), PAWL_OK);
    pw_op *op = rig_op(t, PW_OP_ITEMS_PUT);
    op->u.items.collection = 1;
    op->u.items.list = (pw_view){(const uint8_t *)one_item, sizeof one_item - 1};
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_detach(t);
    snprintf(sound, sizeof(sound), "%s/sound.db", t->folder);
    copy_file(t->path, sound);
    for (size_t i = 0; i < PW_COUNT(damages); i++) {
        copy_file(sound, t->path);
        rig_tamper(t, damages[i].sql);
        findings f = verify(t);
        if (strstr(f.names, damages[i].invariant) == NULL) {
            fail_msg("%s: found '%s', expected %s", damages[i].sql, f.names, damages[i].invariant);
        }
    }
    rig_close(t);
}

static void a_record_that_does_not_decode_is_found(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_run a = rig_start(t, "a");
    rig_op_turn(t, &a, 2, "says two, holds one")->u.turn.record = rig_record(t->scope, 1, "x");
    assert_int_equal(rig_commit(t), PAWL_OK); /* the journal does not look into records */
    rig_moved(t, 0, &a);
    rig_op_turn(t, &a, 1, "x")->u.turn.record = rig_text("not msgpack at all");
    assert_int_equal(rig_commit(t), PAWL_OK);
    findings f = verify(t);
    assert_string_equal(f.names, "J18 J18 "); /* [J18] */
    rig_close(t);
}

static void a_damaged_page_is_reported_not_crashed_over(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite-small");
    stored_fill(t);
    rig_detach(t);
    FILE *f = fopen(t->path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, 512 * 5, SEEK_SET), 0);
    char junk[512 * 8];
    memset(junk, 0x5a, sizeof(junk));
    assert_int_equal(fwrite(junk, 1, sizeof(junk), f), sizeof(junk));
    assert_int_equal(fclose(f), 0);
    findings all = {0};
    pw_verify_stats stats = {0};
    pawl_error err = {0};
    pawl_status st = pw_sqlite_verify(t->path, note_finding, &all, &stats, &err);
    assert_true((st == PAWL_OK && all.count > 0) || st == PAWL_DAMAGED);
    rig_close(t);
}

/* ---- after a failed sync ---- */

/** The owner sees a sync fail, and dies without the rite. */
static void die_suspect(rig *t)
{
    pw_sqlite_fail(pw_sqlite_of(t->j));
    rig_detach(t);
}

static void a_suspect_journal_is_opened_by_the_rite_and_only_alone(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_reader *other = NULL;
    pw_journal *j = NULL;
    pw_sqlite_env brief = {.busy_ms = 1};
    pawl_error err;
    stored_fill(t);
    assert_int_equal(pw_sqlite_reader_open(t->path, &other, &err), PAWL_OK);
    die_suspect(t);
    assert_int_equal(pw_sqlite_open_env(t->path, "", &brief, &j, &err), PAWL_BUSY); /* [J9] */
    assert_non_null(strstr(err.message, "reads the journal"));
    pw_sqlite_reader_close(other);
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

static void a_death_within_a_commit_does_not_keep_readers_out(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    pw_reader *other = NULL;
    pawl_error err;
    stored_fill(t);
    assert_int_equal(pw_sqlite_reader_open(t->path, &other, &err), PAWL_OK);
    pw_sqlite *j = pw_sqlite_of(t->j);
    j->failed = true; /* no checkpoint at the end, as after SIGKILL */
    j->mark->state = PW_WAL_COMMITTING;
    rig_detach(t);
    rig_restart(t);
    stored_check(t);
    pw_sqlite_reader_close(other);
    rig_close(t);
}

static void what_was_never_acked_is_cut_off(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    rig_history h;
    rig_run a = rig_start(t, "a");
    assert_int_equal(rig_turn(t, &a, 1, "acked"), PAWL_OK);
    pw_wal_mark mark = *pw_sqlite_of(t->j)->mark;
    assert_int_equal(rig_turn(t, &a, 1, "not acked"), PAWL_OK);
    *pw_sqlite_of(t->j)->mark = mark; /* [J11] as if this commit's sync had failed */
    die_suspect(t);
    rig_restart(t);
    assert_int_equal(rig_read(t, a.key, 0, &h), PAWL_OK);
    assert_string_equal(h.texts, "start acked ");
    rig_close(t);
}

static void a_backup_put_in_a_suspect_journals_place_is_not_cut(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char command[4 * PATH_MAX];
    stored_fill(t);
    /* a copy with its WAL, of a moment when nobody writes */
    snprintf(command, sizeof(command), "cd '%s' && cp j.db b.db && cp j.db-wal b.db-wal",
             t->folder);
    assert_int_equal(system(command), 0);
    die_suspect(t);
    snprintf(command, sizeof(command),
             "cd '%s' && rm -f j.db j.db-wal j.db-shm && mv b.db j.db && mv b.db-wal j.db-wal",
             t->folder);
    assert_int_equal(system(command), 0);
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

/* ---- migration ---- */

typedef struct page_sums {
    int64_t items, failed, sum;
} page_sums;

static bool add_sums(void *ctx, const pw_page_row *row)
{
    page_sums *all = ctx;
    pw_page_head head;
    pw_page_item item;
    pw_mp body = pw_mp_reader(row->body.data, row->body.size);
    assert_true(pw_page_head_read(row->head, &head));
    while (pw_page_item_next(&body, &item)) {
        pw_mp value = pw_mp_reader(item.value.data, item.value.size);
        all->items++;
        all->failed += pw_page_bit(head.failed, item.offset) ? 1 : 0;
        all->sum += pw_mp_read_int(&value);
        assert_int_equal((row->page * PW_MAP_PAGE_ITEMS + item.offset) % 100, item.value.data[0]);
    }
    return true;
}

static void migrate_stored(int version)
{
    char name[PATH_MAX];
    rig *t = rig_open("sqlite");
    char backup[PATH_MAX + 10];
    pawl_error err;
    pw_reader *r = NULL;
    rig_detach(t);
    snprintf(t->path, sizeof(t->path), "%s/old.db", t->folder);
    snprintf(name, sizeof(name), "%s/v%d.db", PAWL_TEST_DATA, version);
    copy_file(name, t->path);
    assert_int_equal(pw_sqlite_reader_open(t->path, &r, &err), PAWL_UNSUPPORTED);
    assert_non_null(strstr(err.message, "pawl serve"));
    rig_restart(t);
    stored_check(t);
    findings f = verify(t);
    assert_string_equal(f.names, "");
    t->key = 3;
    rig_run next = rig_start(t, "after");
    assert_int_equal(rig_finish(t, &next), PAWL_OK);
    rig_op(t, PW_OP_RUN_COMPACT)->u.run.key = next.key;
    assert_int_equal(rig_commit(t), PAWL_OK);
    rig_detach(t);
    /* the way back: the backup is the old file, whole */
    snprintf(backup, sizeof(backup), "%s.v%d.bak", t->path, version);
    snprintf(t->path, sizeof(t->path), "%s/restored.db", t->folder);
    struct stat s;
    assert_int_equal(stat(backup, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    copy_file(backup, t->path);
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

static void a_stored_version_1_file_is_backed_up_and_migrated(void **state)
{
    (void)state;
    migrate_stored(1);
}

static void a_stored_version_2_file_is_backed_up_and_migrated(void **state)
{
    (void)state;
    migrate_stored(2);
}

static void a_stored_version_3_file_is_backed_up_and_migrated(void **state)
{
    (void)state;
    migrate_stored(3);
}

/* Version 2 wrote a row per item, and the counts in the map's row when it had time. */
static void the_items_of_a_version_2_map_move_into_pages(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    page_sums sums = {0};
    rig_detach(t);
    snprintf(t->path, sizeof(t->path), "%s/old.db", t->folder);
    copy_file(PAWL_TEST_DATA "/v2.db", t->path);
    rig_tamper(
        t,
        "DELETE FROM pawl_map_items; UPDATE pawl_maps SET total=1000, done=3; WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL"
        " SELECT i+1 FROM n WHERE i<599) INSERT INTO pawl_map_items SELECT 2, 4, i, CASE WHEN i%100=99 THEN 2 ELSE 1 END, 1,"
        " CAST(char(i%100) AS BLOB) FROM n");
    rig_restart(t);
    assert_int_equal(
        t->r->ops->map_pages(t->r, &(pw_page_range){2, 4, 0, 9, false}, add_sums, &sums, &t->err),
        PAWL_OK);
    assert_int_equal(sums.items, 600);
    assert_int_equal(sums.failed, 6);
    assert_int_equal(sums.sum, 6 * 4950);
    assert_string_equal(verify(t).names, ""); /* the counts are right now */
    rig_close(t);
}

static void a_migration_that_cannot_back_up_does_not_begin(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char draft[PATH_MAX + 16];
    pawl_error err;
    rig_detach(t);
    snprintf(t->path, sizeof(t->path), "%s/old.db", t->folder);
    copy_file(PAWL_TEST_DATA "/v1.db", t->path);
    snprintf(draft, sizeof(draft), "%s.v1.bak~", t->path);
    assert_int_equal(mkdir(draft, 0700), 0); /* in the way of the backup */
    assert_int_not_equal(rig_try(t->path, &err), PAWL_OK);
    assert_non_null(strstr(err.message, "backup"));
    assert_int_equal(rmdir(draft), 0);
    rig_tamper(t,
               "SELECT 1 FROM (SELECT 1) WHERE (SELECT user_version FROM pragma_user_version) = 1");
    rig_restart(t);
    stored_check(t);
    rig_close(t);
}

/* ---- ballast and breadcrumb's neighbours ---- */

static void the_ballast_is_taken_when_idle_and_given_up_on_demand(void **state)
{
    (void)state;
    rig *t = rig_open("sqlite");
    char path[PATH_MAX + 16];
    struct stat s;
    snprintf(path, sizeof(path), "%s.ballast", t->path);
    t->j->ops->idle(t->j);
    if (stat(path, &s) != 0) {
        print_message("skipped: this file system cannot promise room\n");
        rig_close(t);
        skip();
    }
    assert_int_equal(s.st_size, PW_BALLAST_BYTES);
    assert_true(t->j->ops->ballast(t->j, true));
    assert_int_not_equal(stat(path, &s), 0);
    assert_false(t->j->ops->ballast(t->j, true));
    assert_true(t->j->ops->ballast(t->j, false));
    assert_int_equal(stat(path, &s), 0);
    rig_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_is_told_that_it_is_one),
        cmocka_unit_test(a_post_without_an_owner_waits_in_the_inbox),
        cmocka_unit_test(a_foreign_file_is_named_and_left_alone),
        cmocka_unit_test(another_programs_database_is_foreign),
        cmocka_unit_test(a_newer_journal_is_refused_with_the_way_out),
        cmocka_unit_test(an_empty_file_becomes_a_journal_and_a_missing_folder_is_named),
        cmocka_unit_test(a_read_only_file_is_refused_to_owners_and_read_by_readers),
        cmocka_unit_test(a_network_file_system_is_refused_by_name),
        cmocka_unit_test(a_long_path_gets_its_socket_elsewhere),
        cmocka_unit_test(a_damaged_record_is_found_when_read_and_never_handed_out),
        cmocka_unit_test(a_sound_file_has_no_findings),
        cmocka_unit_test(every_seeded_damage_is_found_under_its_number),
        cmocka_unit_test(a_record_that_does_not_decode_is_found),
        cmocka_unit_test(a_damaged_page_is_reported_not_crashed_over),
        cmocka_unit_test(a_suspect_journal_is_opened_by_the_rite_and_only_alone),
        cmocka_unit_test(a_death_within_a_commit_does_not_keep_readers_out),
        cmocka_unit_test(what_was_never_acked_is_cut_off),
        cmocka_unit_test(a_backup_put_in_a_suspect_journals_place_is_not_cut),
        cmocka_unit_test(a_stored_version_1_file_is_backed_up_and_migrated),
        cmocka_unit_test(a_stored_version_2_file_is_backed_up_and_migrated),
        cmocka_unit_test(a_stored_version_3_file_is_backed_up_and_migrated),
        cmocka_unit_test(the_items_of_a_version_2_map_move_into_pages),
        cmocka_unit_test(a_migration_that_cannot_back_up_does_not_begin),
        cmocka_unit_test(the_ballast_is_taken_when_idle_and_given_up_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
