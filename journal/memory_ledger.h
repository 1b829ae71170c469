/*
 * memory_ledger.h - budgets and the ledger of the journal in memory, for its other files.
 */
#ifndef PW_MEMORY_LEDGER_H
#define PW_MEMORY_LEDGER_H

#include "journal/memory_row.h"

/** BUDGET_SET, LEDGER_PUT and LEDGER_BEGIN; inside a transaction of the map. */
pawl_status pw_memory_ledger_apply(pw_memory_store *s, const pw_op *op, pawl_error *err);
pawl_status pw_memory_budgets(pw_reader *base, pw_view name, pw_budget_fn fn, void *ctx,
                              pawl_error *err);
pawl_status pw_memory_ledger(pw_reader *base, int64_t run, bool open_only, pw_ledger_fn fn,
                             void *ctx, pawl_error *err);
/** [J19]: every budget's sums are those of the entries of it and below. With the lock held. */
bool pw_memory_budgets_hold(pw_memory_store *s);

#endif
