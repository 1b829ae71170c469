/*
 * sqlite_ledger.c - budgets and the ledger: what an entry changes in the sums of its budget and of those above it, and reading both.
 *
 * [J19] a budget's sums are those of the entries of it and of the budgets below: what the entry that is replaced had counted is taken out in
 * the same operation. Does not know what a limit is for: the engine does.
 */
#include "journal/sqlite.h"

#include <string.h>

#include "journal/ledger.h"

/* ---- columns ---- */

static void bind_amounts(pw_bind *b, const pw_amounts *a)
{
    for (int u = 0; u < PW_UNITS; u++) {
        pw_bind_int(b, a->n[u]);
    }
}

static void col_amounts(pw_cols *c, pw_amounts *ret)
{
    for (int u = 0; u < PW_UNITS; u++) {
        ret->n[u] = pw_col_int(c);
    }
}

static void bind_key(pw_bind *b, const pw_ledger_row *row)
{
    pw_bind_int(b, row->run);
    pw_bind_int(b, row->cmd);
    pw_bind_int(b, row->item);
    pw_bind_int(b, row->attempt);
    pw_bind_int(b, row->round);
}

static void col_ledger(pw_cols *c, pw_ledger_row *ret)
{
    ret->run = pw_col_int(c);
    ret->cmd = pw_col_int(c);
    ret->item = pw_col_int(c);
    ret->attempt = pw_col_int(c);
    ret->round = pw_col_int(c);
    ret->state = (int)pw_col_int(c);
    ret->at_ms = pw_col_int(c);
    ret->unpriced = pw_col_int(c) != 0;
    ret->budget = pw_col_view(c);
    ret->workflow = pw_col_view(c);
    ret->activity = pw_col_view(c);
    ret->model = pw_col_view(c);
    col_amounts(c, &ret->estimate);
    col_amounts(c, &ret->spent);
}

/* ---- writing ---- */

static pawl_status budget_set(pw_sqlite *j, const pw_budget_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_BUDGET_SET, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, row->name);
    pw_bind_text(&b, row->parent);
    bind_amounts(&b, &row->limits.soft);
    bind_amounts(&b, &row->limits.hard);
    return pw_db_run(&j->db, PW_SQL_BUDGET_SET, st, NULL, err);
}

static pawl_status make_budget(pw_sqlite *j, pw_view name, pw_view parent, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_BUDGET_MAKE, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    pw_bind_text(&b, name);
    pw_bind_text(&b, parent);
    return pw_db_run(&j->db, PW_SQL_BUDGET_MAKE, st, NULL, err);
}

static pawl_status add_to_budget(pw_sqlite *j, pw_view name, const pw_ledger_change *change,
                                 pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_BUDGET_ADD, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    bind_amounts(&b, &change->spent);
    bind_amounts(&b, &change->reserved);
    pw_bind_text(&b, name);
    return pw_db_run(&j->db, PW_SQL_BUDGET_ADD, st, NULL, err);
}

/* The entry that is there, into the change. */
static pawl_status take_old(pw_sqlite *j, const pw_ledger_row *row, pw_ledger_change *change,
                            pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_LEDGER_GET, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    bool has = false;
    pw_bind b = {st, 0};
    bind_key(&b, row);
    pawl_status status = pw_db_step(&j->db, st, &has, err);
    if (status == PAWL_OK && has) {
        pw_ledger_row old;
        pw_cols c = {st, 0};
        col_ledger(&c, &old);
        pw_ledger_count(change, &old, -1);
    }
    pw_db_give(&j->db, PW_SQL_LEDGER_GET, st);
    return status;
}

static pawl_status put_row(pw_sqlite *j, const pw_ledger_row *row, pawl_error *err)
{
    pw_sql id = row->state == PW_LEDGER_RELEASED ? PW_SQL_LEDGER_DROP : PW_SQL_LEDGER_PUT;
    sqlite3_stmt *st = pw_db_take(&j->db, id, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    bind_key(&b, row);
    if (id == PW_SQL_LEDGER_PUT) {
        pw_bind_int(&b, row->state);
        pw_bind_int(&b, row->at_ms);
        pw_bind_int(&b, row->unpriced);
        pw_bind_text(&b, row->budget);
        pw_bind_text(&b, row->workflow);
        pw_bind_text(&b, row->activity);
        pw_bind_text(&b, row->model);
        bind_amounts(&b, &row->estimate);
        bind_amounts(&b, &row->spent);
    }
    return pw_db_run(&j->db, id, st, NULL, err);
}

static pawl_status ledger_put(pw_sqlite *j, const pw_ledger_op *op, pawl_error *err)
{
    pw_ledger_change change = {0};
    pawl_status st = pw_ledger_check(op, err);
    st = st == PAWL_OK ? take_old(j, &op->row, &change, err) : st;
    pw_ledger_count(&change, &op->row, 1);
    for (size_t i = op->chain_len; i > 0 && st == PAWL_OK; i--) {
        pw_view parent = i < op->chain_len ? op->chain[i] : (pw_view){(const uint8_t *)"", 0};
        st = make_budget(j, op->chain[i - 1], parent, err);
        st = st == PAWL_OK ? add_to_budget(j, op->chain[i - 1], &change, err) : st;
    }
    return st == PAWL_OK ? put_row(j, &op->row, err) : st;
}

static pawl_status ledger_begin(pw_sqlite *j, const pw_ledger_row *row, pawl_error *err)
{
    sqlite3_stmt *st = pw_db_take(&j->db, PW_SQL_LEDGER_BEGIN, err);
    if (st == NULL) {
        return pw_db_untaken(&j->db);
    }
    pw_bind b = {st, 0};
    bind_key(&b, row);
    return pw_db_run(&j->db, PW_SQL_LEDGER_BEGIN, st, NULL, err);
}

pawl_status pw_sqlite_ledger_apply(pw_sqlite *j, const pw_op *op, pawl_error *err)
{
    if (op->type == PW_OP_BUDGET_SET) {
        return budget_set(j, &op->u.budget->row, err);
    }
    return op->type == PW_OP_LEDGER_PUT ? ledger_put(j, op->u.ledger, err)
                                        : ledger_begin(j, &op->u.ledger->row, err);
}

/* ---- reading ---- */

static pawl_status rows(pw_sqlite_reader *r, pw_sql id, sqlite3_stmt *st, pw_budget_fn budget,
                        pw_ledger_fn ledger, void *ctx, pawl_error *err)
{
    bool row = true;
    pawl_status status = PAWL_OK;
    while (status == PAWL_OK && row) {
        status = pw_db_step(&r->db, st, &row, err);
        pw_cols c = {st, 0};
        if (status == PAWL_OK && row && budget != NULL) {
            pw_budget_row b = {.name = pw_col_view(&c)};
            b.parent = pw_col_view(&c);
            col_amounts(&c, &b.limits.soft);
            col_amounts(&c, &b.limits.hard);
            col_amounts(&c, &b.spent);
            col_amounts(&c, &b.reserved);
            row = budget(ctx, &b);
        } else if (status == PAWL_OK && row) {
            pw_ledger_row l;
            col_ledger(&c, &l);
            row = ledger(ctx, &l);
        }
    }
    pw_db_give(&r->db, id, st);
    return status;
}

pawl_status pw_sqlite_budgets(pw_reader *base, pw_view name, pw_budget_fn fn, void *ctx,
                              pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pw_sql id = name.size > 0 ? PW_SQL_BUDGET_GET : PW_SQL_BUDGETS;
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    sqlite3_stmt *st = pw_db_take(&r->db, id, err);
    pw_bind b = {st, 0};
    if (st != NULL && name.size > 0) {
        pw_bind_text(&b, name);
    }
    status = st != NULL ? rows(r, id, st, fn, NULL, ctx, err) : pw_db_untaken(&r->db);
    pw_reader_leave(r);
    return status;
}

pawl_status pw_sqlite_ledger(pw_reader *base, int64_t run, bool open_only, pw_ledger_fn fn,
                             void *ctx, pawl_error *err)
{
    pw_sqlite_reader *r = pw_sqlite_reader_of(base);
    pw_sql id = run != 0 ? PW_SQL_RUN_LEDGER : open_only ? PW_SQL_LEDGER_OPEN : PW_SQL_LEDGER;
    pw_ledger_filter f = {fn, ctx, open_only};
    pawl_status status = pw_reader_enter(r, err);
    if (status != PAWL_OK) {
        return status;
    }
    sqlite3_stmt *st = pw_db_take(&r->db, id, err);
    pw_bind b = {st, 0};
    if (st != NULL && run != 0) {
        pw_bind_int(&b, run);
    }
    status = st != NULL ? rows(r, id, st, NULL, pw_ledger_give, &f, err) : pw_db_untaken(&r->db);
    pw_reader_leave(r);
    return status;
}
