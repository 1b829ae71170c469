/*
 * rig_budget.h - looking at budgets and the ledger in a test of the engine's core: micro-dollars, from the journal itself.
 */
#ifndef PW_RIG_BUDGET_H
#define PW_RIG_BUDGET_H

#include "rig.h"

typedef struct rig_sums {
    int64_t spent, reserved, hard;
} rig_sums;
/** -1 everywhere: there is none of that name. */
rig_sums rig_budget(rig *r, const char *budget);
/** Asserts what it has. */
void rig_budget_is(rig *r, const char *budget, int64_t spent, int64_t reserved);
/** The same, of a run. */
void rig_spent(rig *r, const char *id, int64_t spent, int64_t reserved);
void rig_budget_name(rig *r, const char *id, char ret[40]);
/** Asserts the entries of a run: "2.1.1S30 " is command 2, attempt 1, round 1, settled at 30. */
void rig_entries(rig *r, const char *id, const char *expected);
/** Asserts that the journal's own check finds nothing. */
void rig_verify(rig *r);
const pawl_value *rig_open_waits(rig *r);
/** Starts a run with that budget, and runs. */
void rig_start_budget(rig *r, const char *workflow, const char *id, const pawl_value *budget);
void rig_start_budget_with(rig *r, const char *workflow, const char *id, const pawl_value *input,
                           const pawl_value *budget);

/** The oldest attempt of "llm" says that it has spent that. */
void rig_spend(rig *r, double usd);
/** And ends well. */
void rig_pay(rig *r, double usd);

#endif
