/*
 * memory_ledger.c - budgets and the ledger in the ordered map: the same sums as sqlite_ledger.c keeps, found by the same suite [J19].
 *
 * Rows are msgpack arrays. Does not check limits.
 */
#include "journal/memory_ledger.h"

#include <string.h>

#include "journal/ledger.h"

/* ---- rows ---- */

static void put_view(pw_buf *b, pw_view v)
{
    pw_mp_bin(b, v.data, v.size);
}

static void put_amounts(pw_buf *b, const pw_amounts *a)
{
    for (int u = 0; u < PW_UNITS; u++) {
        pw_mp_int(b, a->n[u]);
    }
}

static void get_amounts(pw_mp *r, pw_amounts *ret)
{
    for (int u = 0; u < PW_UNITS; u++) {
        ret->n[u] = pw_mp_read_int(r);
    }
}

static void put_budget_row(pw_buf *b, const pw_budget_row *row)
{
    pw_mp_array(b, 2 + 4 * PW_UNITS);
    put_view(b, row->name);
    put_view(b, row->parent);
    put_amounts(b, &row->limits.soft);
    put_amounts(b, &row->limits.hard);
    put_amounts(b, &row->spent);
    put_amounts(b, &row->reserved);
}

static bool get_budget_row(pw_view value, pw_budget_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->name = pw_mp_read_str(&r);
    ret->parent = pw_mp_read_str(&r);
    get_amounts(&r, &ret->limits.soft);
    get_amounts(&r, &ret->limits.hard);
    get_amounts(&r, &ret->spent);
    get_amounts(&r, &ret->reserved);
    return pw_mp_ok(&r);
}

static void put_ledger_row(pw_buf *b, const pw_ledger_row *row)
{
    const int64_t ints[] = {row->run,   row->cmd,   row->item,  row->attempt,
                            row->round, row->state, row->at_ms, row->unpriced};
    pw_mp_array(b, PW_COUNT(ints) + 4 + 2 * PW_UNITS);
    for (size_t i = 0; i < PW_COUNT(ints); i++) {
        pw_mp_int(b, ints[i]);
    }
    put_view(b, row->budget);
    put_view(b, row->workflow);
    put_view(b, row->activity);
    put_view(b, row->model);
    put_amounts(b, &row->estimate);
    put_amounts(b, &row->spent);
}

static bool get_ledger_row(pw_view value, pw_ledger_row *ret)
{
    pw_mp r = pw_mp_reader(value.data, value.size);
    (void)pw_mp_read_array(&r);
    ret->run = pw_mp_read_int(&r);
    ret->cmd = pw_mp_read_int(&r);
    ret->item = pw_mp_read_int(&r);
    ret->attempt = pw_mp_read_int(&r);
    ret->round = pw_mp_read_int(&r);
    ret->state = (int)pw_mp_read_int(&r);
    ret->at_ms = pw_mp_read_int(&r);
    ret->unpriced = pw_mp_read_int(&r) != 0;
    ret->budget = pw_mp_read_str(&r);
    ret->workflow = pw_mp_read_str(&r);
    ret->activity = pw_mp_read_str(&r);
    ret->model = pw_mp_read_str(&r);
    get_amounts(&r, &ret->estimate);
    get_amounts(&r, &ret->spent);
    return pw_mp_ok(&r);
}

static pw_row_key budget_key(pw_view name)
{
    pw_row_key key = {.whole = true};
    pw_row_key_start(&key, PW_TABLE_BUDGET);
    pw_row_key_bytes(&key, name.data, name.size);
    return key;
}

static pw_row_key ledger_key(const pw_ledger_row *row)
{
    return PW_ROW_KEY(PW_TABLE_LEDGER, row->run, row->cmd, row->item, row->attempt, row->round);
}

static pawl_status store(pw_memory_store *s, const pw_row_key *key, pw_buf *value, pawl_error *err)
{
    bool ok = pw_buf_ok(value) && key->whole &&
              pw_kv_put(s->kv, pw_row_key_view(key), (pw_view){value->data, value->size});
    return ok ? PAWL_OK : pw_err(err, PAWL_NOMEM, "out of memory");
}

/* False: there is none. */
static bool find_budget(pw_memory_store *s, pw_view name, pw_budget_row *ret)
{
    pw_row_key key = budget_key(name);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    return node != NULL && get_budget_row(pw_kv_value(node), ret);
}

static pawl_status store_budget(pw_memory_store *s, const pw_budget_row *row, pawl_error *err)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    pw_row_key key = budget_key(row->name);
    put_budget_row(&b, row);
    return store(s, &key, &b, err);
}

/* ---- operations ---- */

static pawl_status set_limits(pw_memory_store *s, const pw_budget_row *given, pawl_error *err)
{
    pw_budget_row row = *given;
    pw_budget_row old;
    if (find_budget(s, given->name, &old)) {
        row = old;
        row.limits = given->limits;
    } else {
        memset(&row.spent, 0, sizeof row.spent);
        memset(&row.reserved, 0, sizeof row.reserved);
    }
    return store_budget(s, &row, err);
}

static pawl_status add_to_budget(pw_memory_store *s, pw_view name, pw_view parent,
                                 const pw_ledger_change *change, pawl_error *err)
{
    pw_budget_row row = {.name = name, .parent = parent, .limits = pw_limits_none()};
    (void)find_budget(s, name, &row);
    for (int u = 0; u < PW_UNITS; u++) {
        row.spent.n[u] += change->spent.n[u];
        row.reserved.n[u] += change->reserved.n[u];
    }
    return store_budget(s, &row, err);
}

static pawl_status put_entry(pw_memory_store *s, const pw_ledger_op *op, pawl_error *err)
{
    pw_ledger_change change = {0};
    pw_ledger_row old;
    pw_row_key key = ledger_key(&op->row);
    pawl_status st = pw_ledger_check(op, err);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    if (node != NULL && get_ledger_row(pw_kv_value(node), &old)) {
        pw_ledger_count(&change, &old, -1);
    }
    pw_ledger_count(&change, &op->row, 1);
    for (size_t i = op->chain_len; i > 0 && st == PAWL_OK; i--) {
        pw_view parent = i < op->chain_len ? op->chain[i] : (pw_view){(const uint8_t *)"", 0};
        st = add_to_budget(s, op->chain[i - 1], parent, &change, err);
    }
    if (st != PAWL_OK) {
        return st;
    }
    if (op->row.state == PW_LEDGER_RELEASED) {
        return pw_kv_delete(s->kv, pw_row_key_view(&key), NULL)
                   ? PAWL_OK
                   : pw_err(err, PAWL_NOMEM, "out of memory");
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    put_ledger_row(&b, &op->row);
    return store(s, &key, &b, err);
}

static pawl_status begin(pw_memory_store *s, const pw_ledger_row *given, pawl_error *err)
{
    pw_row_key key = ledger_key(given);
    const pw_kv_node *node = pw_kv_find(s->kv, pw_row_key_view(&key));
    pw_ledger_row row;
    if (node == NULL || !get_ledger_row(pw_kv_value(node), &row) ||
        row.state != PW_LEDGER_RESERVED) {
        return PAWL_OK;
    }
    PW_CLEANUP(pw_buf_deinit) pw_buf b = PW_BUF_INIT;
    row.state = PW_LEDGER_BEGUN;
    put_ledger_row(&b, &row);
    return store(s, &key, &b, err);
}

pawl_status pw_memory_ledger_apply(pw_memory_store *s, const pw_op *op, pawl_error *err)
{
    return op->type == PW_OP_BUDGET_SET   ? set_limits(s, &op->u.budget->row, err)
           : op->type == PW_OP_LEDGER_PUT ? put_entry(s, op->u.ledger, err)
                                          : begin(s, &op->u.ledger->row, err);
}

/* ---- reading ---- */

pawl_status pw_memory_budgets(pw_reader *base, pw_view name, pw_budget_fn fn, void *ctx,
                              pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(base);
    pw_budget_row row;
    (void)err;
    pthread_mutex_lock(&s->lock);
    pw_row_key from = budget_key(name);
    const pw_kv_node *at = pw_kv_seek(s->kv, pw_row_key_view(&from));
    bool more = true;
    for (; more && at != NULL && pw_kv_key(at).data[0] == PW_TABLE_BUDGET; at = pw_kv_next(at)) {
        bool wanted =
            get_budget_row(pw_kv_value(at), &row) && (name.size == 0 || pw_view_eq(row.name, name));
        more = wanted && fn(ctx, &row) && name.size == 0;
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

pawl_status pw_memory_ledger(pw_reader *base, int64_t run, bool open_only, pw_ledger_fn fn,
                             void *ctx, pawl_error *err)
{
    pw_memory_store *s = pw_memory_reader_of(base);
    pw_ledger_filter f = {fn, ctx, open_only};
    pw_ledger_row row;
    (void)err;
    pthread_mutex_lock(&s->lock);
    pw_row_key from = PW_ROW_KEY(PW_TABLE_LEDGER, run != 0 ? run : INT64_MIN);
    const pw_kv_node *at = pw_kv_seek(s->kv, pw_row_key_view(&from));
    bool more = true;
    for (; more && at != NULL && pw_kv_key(at).data[0] == PW_TABLE_LEDGER; at = pw_kv_next(at)) {
        more = get_ledger_row(pw_kv_value(at), &row) && (run == 0 || row.run == run) &&
               pw_ledger_give(&f, &row);
    }
    pthread_mutex_unlock(&s->lock);
    return PAWL_OK;
}

/* ---- checking ---- */

static bool is_below(pw_memory_store *s, pw_view budget, pw_view top)
{
    pw_budget_row row;
    pw_view at = budget;
    for (int depth = 0; at.size > 0 && depth < PW_DEPTH_MAX; depth++) {
        if (pw_view_eq(at, top)) {
            return true;
        }
        if (!find_budget(s, at, &row)) {
            return false;
        }
        at = row.parent;
    }
    return false;
}

static bool sums_hold(pw_memory_store *s, const pw_budget_row *budget)
{
    pw_ledger_change sum = {0};
    pw_ledger_row row;
    pw_row_key from = PW_ROW_KEY(PW_TABLE_LEDGER, INT64_MIN);
    const pw_kv_node *at = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (; at != NULL && pw_kv_key(at).data[0] == PW_TABLE_LEDGER; at = pw_kv_next(at)) {
        if (get_ledger_row(pw_kv_value(at), &row) && is_below(s, row.budget, budget->name)) {
            pw_ledger_count(&sum, &row, 1);
        }
    }
    return memcmp(&sum.spent, &budget->spent, sizeof sum.spent) == 0 &&
           memcmp(&sum.reserved, &budget->reserved, sizeof sum.reserved) == 0;
}

bool pw_memory_budgets_hold(pw_memory_store *s)
{
    pw_budget_row row;
    pw_row_key from = budget_key((pw_view){NULL, 0});
    const pw_kv_node *at = pw_kv_seek(s->kv, pw_row_key_view(&from));
    for (; at != NULL && pw_kv_key(at).data[0] == PW_TABLE_BUDGET; at = pw_kv_next(at)) {
        if (!get_budget_row(pw_kv_value(at), &row) || !sums_hold(s, &row)) {
            return false;
        }
    }
    return true;
}
