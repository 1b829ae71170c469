/*
 * events_table.c - the eponymous table function pawl_events.
 *
 * A cursor holds one batch of a run's records (copied, at most BATCH_BYTES and one record) and
 * decodes event by event; so memory is bounded for histories of any length. Records are checked as
 * everywhere (walk.h): a damaged one ends the query with an error. Does not write, and is
 * registered on reading connections only.
 */
#include "journal/events_table.h"

#include <string.h>

#include "journal/walk.h"
#include "sdk/base/json.h"
#include "sdk/base/mem.h"
#include "sdk/base/record.h"

#define BATCH_BYTES (64u << 10)

enum column { COL_RUN, COL_SEQ, COL_TIME, COL_TYPE, COL_CMD, COL_BODY, COL_KEY, COL_OF };
enum plan { PLAN_ALL, PLAN_ID, PLAN_KEY };

typedef struct events_table {
    sqlite3_vtab base;
    pw_db *db;
} events_table;

typedef struct batch_entry {
    int64_t seq;
    size_t offset;
    size_t size;
} batch_entry;

typedef struct events_cursor {
    sqlite3_vtab_cursor base;
    sqlite3_stmt *runs; /* key, id, events */
    pw_buf batch;       /* records, end to end */
    pw_buf entries;     /* batch_entry, of those */
    size_t entry;       /* next to open */
    int64_t seq;        /* first event not read into the batch */
    int64_t rowid;
    bool eof;
    bool in_record;
    pw_record record;
    pw_event event;
} events_cursor;

static int fail(sqlite3_vtab *table, const pawl_error *err)
{
    sqlite3_free(table->zErrMsg);
    table->zErrMsg = sqlite3_mprintf("%s", err->message);
    return err->status == PAWL_NOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
}

static int connect_table(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **ret, char **ret_error)
{
    (void)argc;
    (void)argv;
    (void)ret_error;
    int rc = sqlite3_declare_vtab(
        db, "CREATE TABLE x(run TEXT, seq INTEGER, time INTEGER, type TEXT, command INTEGER,"
            " body TEXT, key INTEGER, of HIDDEN)");
    events_table *t = rc == SQLITE_OK ? pw_calloc(1, sizeof(*t)) : NULL;
    if (t == NULL) {
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    }
    t->db = aux;
    *ret = &t->base;
    return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *table)
{
    pw_free(table);
    return SQLITE_OK;
}

/** run = ? or of = ? reads one id's runs, key = ? one run; everything else reads all. */
static int choose_plan(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->idxNum = PLAN_ALL;
    info->estimatedCost = 1e9;
    for (int i = 0; i < info->nConstraint; i++) {
        int column = info->aConstraint[i].iColumn;
        bool usable =
            info->aConstraint[i].usable && info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_EQ;
        bool by_id = column == COL_RUN || column == COL_OF;
        if (!usable || !(by_id || column == COL_KEY) || info->idxNum != PLAN_ALL) {
            continue;
        }
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = column == COL_OF;
        info->idxNum = by_id ? PLAN_ID : PLAN_KEY;
        info->estimatedCost = 1000;
    }
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **ret)
{
    (void)table;
    events_cursor *c = pw_calloc(1, sizeof(*c));
    if (c == NULL) {
        return SQLITE_NOMEM;
    }
    *ret = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    events_cursor *c = (events_cursor *)base;
    sqlite3_finalize(c->runs);
    pw_buf_deinit(&c->batch);
    pw_buf_deinit(&c->entries);
    pw_free(c);
    return SQLITE_OK;
}

/* ---- moving ---- */

static bool add_entry(void *ctx, const pw_entry *e)
{
    events_cursor *c = ctx;
    batch_entry entry = {e->seq, c->batch.size, e->bytes.size};
    if (e->seq + e->events <= c->seq) {
        return true; /* read before */
    }
    pw_buf_put(&c->batch, e->bytes.data, e->bytes.size);
    pw_buf_put(&c->entries, &entry, sizeof(entry));
    c->seq = e->seq + e->events;
    return pw_buf_ok(&c->batch) && pw_buf_ok(&c->entries) && c->batch.size < BATCH_BYTES;
}

/** Reads the next batch of the run that `runs` stands on; an empty one means that there is no more of it. */
static int fill(events_cursor *c)
{
    events_table *t = (events_table *)c->base.pVtab;
    pawl_error err = {0};
    pw_buf_reset(&c->batch);
    pw_buf_reset(&c->entries);
    c->entry = 0;
    if (c->seq >= sqlite3_column_int64(c->runs, 2)) {
        return SQLITE_OK;
    }
    pawl_status st = pw_walk(t->db, sqlite3_column_int64(c->runs, 0), c->seq, add_entry, c, &err);
    if (st != PAWL_OK) {
        return fail(c->base.pVtab, &err);
    }
    return pw_buf_ok(&c->batch) && pw_buf_ok(&c->entries) ? SQLITE_OK : SQLITE_NOMEM;
}

static int open_record(events_cursor *c)
{
    pawl_error err = {0};
    batch_entry entry;
    memcpy(&entry, c->entries.data + c->entry++ * sizeof(entry), sizeof(entry));
    if (pw_record_open(c->batch.data + entry.offset, entry.size, &c->record, &err) != PAWL_OK) {
        return fail(c->base.pVtab, &err);
    }
    c->event = (pw_event){.seq = entry.seq - 1};
    c->in_record = true;
    return SQLITE_OK;
}

static int next_event(sqlite3_vtab_cursor *base)
{
    events_cursor *c = (events_cursor *)base;
    int rc = SQLITE_OK;
    c->rowid++;
    while (rc == SQLITE_OK && !c->eof) {
        if (c->in_record && pw_record_next(&c->record, &c->event)) {
            c->event.seq++;
            return SQLITE_OK;
        }
        c->in_record = false;
        if (c->entry * sizeof(batch_entry) < c->entries.size) {
            rc = open_record(c);
            continue;
        }
        rc = fill(c);
        if (rc == SQLITE_OK && c->entries.size == 0) {
            int step = sqlite3_step(c->runs);
            c->seq = 0;
            c->eof = step == SQLITE_DONE;
            rc = step == SQLITE_DONE || step == SQLITE_ROW ? SQLITE_OK : step;
        }
    }
    return rc;
}

static int start(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
                 sqlite3_value **argv)
{
    static const char *const queries[] = {
        [PLAN_ALL] = "SELECT key, id, seq FROM pawl_runs ORDER BY key",
        [PLAN_ID] = "SELECT key, id, seq FROM pawl_runs WHERE id=?1 ORDER BY key",
        [PLAN_KEY] = "SELECT key, id, seq FROM pawl_runs WHERE key=?1",
    };
    events_cursor *c = (events_cursor *)base;
    events_table *t = (events_table *)base->pVtab;
    (void)text;
    sqlite3_finalize(c->runs);
    c->runs = NULL;
    pw_buf_reset(&c->batch);
    pw_buf_reset(&c->entries);
    c->entry = 0;
    c->seq = 0;
    c->in_record = false;
    c->rowid = 0;
    int rc = sqlite3_prepare_v2(t->db->db, queries[plan], -1, &c->runs, NULL);
    if (rc == SQLITE_OK && argc > 0) {
        rc = sqlite3_bind_value(c->runs, 1, argv[0]);
    }
    int step = rc == SQLITE_OK ? sqlite3_step(c->runs) : rc;
    c->eof = step != SQLITE_ROW;
    if (step == SQLITE_DONE) {
        return SQLITE_OK;
    }
    return step == SQLITE_ROW ? next_event(base) : step;
}

static int at_eof(sqlite3_vtab_cursor *base)
{
    return ((events_cursor *)base)->eof ? 1 : 0;
}

/* ---- columns ---- */

static void give_body(sqlite3_context *ctx, pw_view body)
{
    pw_buf json = PW_BUF_INIT;
    pawl_error err;
    if (pw_json_print(&json, body.data, body.size, 0, &err) == PAWL_OK && pw_buf_ok(&json)) {
        sqlite3_result_text64(ctx, (const char *)json.data, json.size, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
    } else {
        sqlite3_result_null(ctx);
    }
    pw_buf_deinit(&json);
}

static int give_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int column)
{
    events_cursor *c = (events_cursor *)base;
    switch (column) {
    case COL_RUN:
    case COL_OF:
        sqlite3_result_value(ctx, sqlite3_column_value(c->runs, 1));
        break;
    case COL_SEQ:
        sqlite3_result_int64(ctx, c->event.seq + 1); /* as everywhere else that people see it */
        break;
    case COL_TIME:
        sqlite3_result_int64(ctx, c->record.now_ms);
        break;
    case COL_TYPE:
        sqlite3_result_text(ctx, pw_event_name((int)c->event.type), -1, SQLITE_STATIC);
        break;
    case COL_CMD:
        sqlite3_result_int64(ctx, c->event.cmd);
        break;
    case COL_BODY:
        give_body(ctx, c->event.body);
        break;
    default:
        sqlite3_result_value(ctx, sqlite3_column_value(c->runs, 0));
        break;
    }
    return SQLITE_OK;
}

static int give_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = ((events_cursor *)base)->rowid;
    return SQLITE_OK;
}

pawl_status pw_events_table_register(pw_db *db, pawl_error *err)
{
    static const sqlite3_module module = {
        .iVersion = 0,
        .xConnect = connect_table, /* no xCreate: it is there without CREATE VIRTUAL TABLE */
        .xBestIndex = choose_plan,
        .xDisconnect = disconnect_table,
        .xOpen = open_cursor,
        .xClose = close_cursor,
        .xFilter = start,
        .xNext = next_event,
        .xEof = at_eof,
        .xColumn = give_column,
        .xRowid = give_rowid,
    };
    int rc = sqlite3_create_module_v2(db->db, "pawl_events", &module, db, NULL);
    if (rc != SQLITE_OK) {
        return pw_db_error(db, rc, "pawl_events", err);
    }
    /* declares its columns now, before an authorizer of the caller's could refuse that */
    return pw_db_exec(db, "SELECT 1 FROM pawl_events LIMIT 0", err);
}
