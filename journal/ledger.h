/*
 * ledger.h - what an entry of the ledger counts for, the same for both backends.
 *
 *   RESERVED, BEGUN: its estimate is set aside        SETTLED, ESTIMATED: it is spent        RELEASED: nothing
 */
#ifndef PW_LEDGER_H
#define PW_LEDGER_H

#include "journal/journal.h"

/** What is added to the sums of a budget. Unlike amounts elsewhere these may be negative. */
typedef struct pw_ledger_change {
    pw_amounts spent, reserved;
} pw_ledger_change;

/** Adds what the row counts for, so many times. */
void pw_ledger_count(pw_ledger_change *change, const pw_ledger_row *row, int64_t times);
/** Errors: INVALID, when no budget is named or the chain does not begin with it. */
pawl_status pw_ledger_check(const pw_ledger_op *op, pawl_error *err);

/** Gives rows on, all or those that are open. */
typedef struct pw_ledger_filter {
    pw_ledger_fn fn;
    void *ctx;
    bool open_only;
} pw_ledger_filter;
bool pw_ledger_give(void *filter, const pw_ledger_row *row);
static inline bool pw_ledger_is_open(int state)
{
    return state == PW_LEDGER_RESERVED || state == PW_LEDGER_BEGUN;
}

#endif
