/*
 * schema.c - which version a file has, and the steps that bring it to ours.
 *
 * application_id says that a file is a pawl journal, user_version which steps of schema.def it has
 * seen. Both are written in the transaction of the steps, so a file is at one version or at the
 * next. Goes forward only: a newer file is refused, and the backup that stands beside a migrated
 * file is the way back. Does not change a released step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "journal/map_page.h"
#include "journal/sqlite.h"
#include "sdk/base/hash.h"

static const struct step {
    int version;
    const char *sql;
} steps[] = {
#define X(version, sql) {version, sql},
#include "journal/schema.def"
#undef X
};

int pw_schema_version(void)
{
    return steps[PW_COUNT(steps) - 1].version;
}

const char *pw_sqlite_version(void)
{
    return sqlite3_libversion();
}

static pawl_status refuse_newer(const char *path, int64_t version, pawl_error *err)
{
    return pw_err(err, PAWL_NEWER,
                  "%s has journal version %lld, this pawl knows %d: use the newer pawl, or restore "
                  "the backup it made",
                  path, (long long)version, pw_schema_version());
}

pawl_status pw_schema_identify(pw_db *db, const char *path, bool may_be_empty, int *ret_version,
                               pawl_error *err)
{
    int64_t app = 0;
    int64_t version = 0;
    int64_t tables = 0;
    pawl_status st = pw_db_int(db, "PRAGMA application_id", &app, err);
    if (st == PAWL_OK) {
        st = pw_db_int(db, "PRAGMA user_version", &version, err);
    }
    if (st == PAWL_OK && app == 0) {
        st = pw_db_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    }
    if (st == PAWL_FOREIGN) {
        return pw_err(err, PAWL_FOREIGN,
                      "%s is not a pawl journal (or its first page is destroyed: restore a backup)",
                      path);
    }
    if (st != PAWL_OK) {
        return pw_error_wrap(err, st, "%s", path);
    }
    if (app == 0 && version == 0 && tables == 0 && may_be_empty) {
        *ret_version = 0;
        return PAWL_OK;
    }
    if (app == 0 && version == 0 && tables == 0) {
        return pw_err(err, PAWL_FOREIGN,
                      "%s is empty: it becomes a journal with the first run, or with pawl serve",
                      path);
    }
    if (app != PW_SQLITE_APPLICATION_ID || version < 1) {
        return pw_err(
            err, PAWL_FOREIGN,
            "%s is not a pawl journal, it belongs to another program: choose another path", path);
    }
    if (version > pw_schema_version()) {
        return refuse_newer(path, version, err);
    }
    *ret_version = (int)version;
    return PAWL_OK;
}

/* ---- the backup before a migration ---- */

static pawl_status sync_path(const char *path, int flags, pawl_error *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
        }
        return pw_err(err, PAWL_IO, "sync %s: %s", path, strerror(code));
    }
    close(fd);
    return PAWL_OK;
}

/** A consistent copy as <journal>.v<version>.bak. VACUUM INTO does not sync, so this does; no connection has the copy open. */
static pawl_status back_up(pw_sqlite *j, int version, pawl_error *err)
{
    char target[PATH_MAX];
    char draft[PATH_MAX];
    char suffix[40];
    snprintf(suffix, sizeof(suffix), ".v%d.bak", version);
    pawl_status st = pw_place_beside(j->path, suffix, target, err);
    if (st == PAWL_OK) {
        st = pw_place_beside(target, "~", draft, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    unlink(draft);
    if (j->env.vfs == NULL) {
        pw_place_make_private(draft); /* VACUUM INTO takes an empty file */
    }
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", draft);
    st = sql == NULL ? pw_err(err, PAWL_NOMEM, "out of memory") : pw_db_exec(&j->db, sql, err);
    sqlite3_free(sql);
    if (st == PAWL_OK) {
        st = sync_path(draft, O_RDWR, err);
    }
    if (st == PAWL_OK && rename(draft, target) != 0) {
        st = pw_err(err, PAWL_IO, "rename %s: %s", draft, strerror(errno));
    }
    if (st != PAWL_OK) {
        unlink(draft);
        return pw_error_wrap(err, st, "backup before the migration from version %d", version);
    }
    char *slash = strrchr(target, '/');
    if (slash != NULL) {
        slash[slash == target ? 1 : 0] = '\0';
        st = sync_path(target, O_RDONLY | O_DIRECTORY, err);
    }
    return st;
}

/* ---- steps ---- */

static pawl_status put_first_rows(pw_sqlite *j, pawl_error *err)
{
    uint8_t key[PW_KEY_SIZE];
    if (j->env.blob_key != NULL) {
        memcpy(key, j->env.blob_key, sizeof(key));
    } else {
        pw_random(key, sizeof(key));
    }
    pawl_status st =
        pw_db_exec(&j->db, "INSERT INTO pawl_owner(id,epoch,grp,pos) VALUES(1,0,0,0)", err);
    sqlite3_stmt *put = st == PAWL_OK ? pw_db_take(&j->db, PW_SQL_META_PUT, err) : NULL;
    if (put == NULL) {
        return st != PAWL_OK ? st : pw_db_untaken(&j->db);
    }
    pw_bind b = {put, 0};
    pw_bind_text(&b, (pw_view){(const uint8_t *)"blob_key", 8});
    pw_bind_bytes(&b, key, sizeof(key));
    return pw_db_run(&j->db, PW_SQL_META_PUT, put, NULL, err);
}

/* Version 2 had a row per item of a map: each becomes a part of its own. (index, state, attempt, value, 0 = head, 1 = body) */
static bool old_item(sqlite3_value **v, pw_page_head *ret_head, pw_buf *ret_body)
{
    int64_t offset = sqlite3_value_int64(v[0]) % PW_MAP_PAGE_ITEMS;
    pw_view value = {sqlite3_value_blob(v[3]), (size_t)sqlite3_value_bytes(v[3])};
    pw_mp r = pw_mp_reader(value.data, value.size);
    pw_mp_skip(&r);
    PW_CLEANUP(pw_buf_deinit) pw_buf bin = PW_BUF_INIT;
    if (value.size == 0 || !pw_mp_ok(&r) ||
        !pw_mp_at_end(&r)) { /* no value of ours: kept as bytes */
        pw_mp_bin(&bin, value.data, value.size);
        value = (pw_view){bin.data, bin.size};
    }
    *ret_head = (pw_page_head){0};
    pw_page_set(ret_head->finished, offset < 0 ? 0 : offset);
    if (sqlite3_value_int64(v[1]) == 2) {
        pw_page_set(ret_head->failed, offset < 0 ? 0 : offset);
    }
    pw_page_item_put(ret_body,
                     &(pw_page_item){offset < 0 ? 0 : offset, sqlite3_value_int64(v[2]), value});
    return pw_buf_ok(&bin) && pw_buf_ok(ret_body);
}

static void sql_old_item(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    pw_page_head head;
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    (void)n;
    if (!old_item(v, &head, &body)) {
        sqlite3_result_error_nomem(ctx);
    } else if (sqlite3_value_int(v[4]) == 0) {
        sqlite3_result_blob(ctx, &head, sizeof(head), SQLITE_TRANSIENT);
    } else {
        sqlite3_result_blob(ctx, body.data, (int)body.size, SQLITE_TRANSIENT);
    }
}

/* (run, cmd, index, state, attempt, value, 0 = the row's sum, 1 = its body's) */
static void sql_old_item_sum(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    pw_page_head head;
    PW_CLEANUP(pw_buf_deinit) pw_buf body = PW_BUF_INIT;
    (void)n;
    if (!old_item(v + 2, &head, &body)) {
        sqlite3_result_error_nomem(ctx);
        return;
    }
    int64_t index = sqlite3_value_int64(v[2]);
    int64_t body_sum = pw_page_body_sum((pw_view){body.data, body.size});
    pw_page_row row = {.run = sqlite3_value_int64(v[0]),
                       .cmd = sqlite3_value_int64(v[1]),
                       .page = index / PW_MAP_PAGE_ITEMS,
                       .part = index % PW_MAP_PAGE_ITEMS,
                       .head = {(const uint8_t *)&head, sizeof(head)}};
    sqlite3_result_int64(ctx,
                         sqlite3_value_int(v[6]) == 0 ? pw_page_sum(&row, body_sum) : body_sum);
}

static pawl_status migration_functions(pw_sqlite *j, bool on, pawl_error *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function_v2(j->db.db, "pawl_old_item", 5, flags, NULL,
                                        on ? sql_old_item : NULL, NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_create_function_v2(j->db.db, "pawl_old_item_sum", 7, flags, NULL,
                                        on ? sql_old_item_sum : NULL, NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? PAWL_OK : pw_db_error(&j->db, rc, "functions of the migration", err);
}

static pawl_status run_steps(pw_sqlite *j, int from, pawl_error *err)
{
    char pragmas[96];
    pawl_status st = PAWL_OK;
    for (size_t i = 0; st == PAWL_OK && i < PW_COUNT(steps); i++) {
        if (steps[i].version > from) {
            st = pw_db_exec(&j->db, steps[i].sql, err);
        }
    }
    if (st == PAWL_OK && from == 0) {
        st = put_first_rows(j, err);
    }
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d",
             PW_SQLITE_APPLICATION_ID, pw_schema_version());
    return st == PAWL_OK ? pw_db_exec(&j->db, pragmas, err) : st;
}

pawl_status pw_schema_migrate(pw_sqlite *j, int version, pawl_error *err)
{
    pawl_status st = PAWL_OK;
    if (version == pw_schema_version()) {
        return PAWL_OK;
    }
    if (version > 0 && !j->env.bare) {
        st = back_up(j, version, err);
    }
    if (st == PAWL_OK) {
        st = pw_db_simple(&j->db, PW_SQL_BEGIN_WRITE, err);
    }
    if (st == PAWL_OK) {
        st = migration_functions(j, true, err);
        st = pw_sqlite_finish(j, st == PAWL_OK ? run_steps(j, version, err) : st, err);
        (void)migration_functions(j, false, NULL);
    }
    return st == PAWL_OK
               ? st
               : pw_error_wrap(err, st, "%s: to journal version %d", j->path, pw_schema_version());
}
