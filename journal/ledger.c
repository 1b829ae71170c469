/*
 * ledger.c - the arithmetic of the ledger, beside no table. Does not store anything.
 */
#include "journal/ledger.h"

void pw_ledger_count(pw_ledger_change *change, const pw_ledger_row *row, int64_t times)
{
    for (int u = 0; u < PW_UNITS; u++) {
        if (pw_ledger_is_open(row->state)) {
            change->reserved.n[u] += times * row->estimate.n[u];
        } else if (row->state != PW_LEDGER_RELEASED) {
            change->spent.n[u] += times * row->spent.n[u];
        }
    }
}

pawl_status pw_ledger_check(const pw_ledger_op *op, pawl_error *err)
{
    if (op->chain_len == 0 || op->chain[0].size == 0 || !pw_view_eq(op->chain[0], op->row.budget)) {
        return pw_err(err, PAWL_INVALID, "an entry of the ledger names no budget");
    }
    return PAWL_OK;
}

bool pw_ledger_give(void *filter, const pw_ledger_row *row)
{
    const pw_ledger_filter *f = filter;
    return (f->open_only && !pw_ledger_is_open(row->state)) || f->fn(f->ctx, row);
}
