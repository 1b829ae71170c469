/*
 * cli_budget.h - amounts and limits as text: between cli_cost.c and cli_budget.c.
 */
#ifndef PW_CLI_BUDGET_H
#define PW_CLI_BUDGET_H

#include "tools/cli_session.h"

enum { PW_AMOUNT_TEXT = 160 };

/** "$0.25", "3 calls". */
void pw_cli_amount_text(const char *unit, double n, char ret[PW_AMOUNT_TEXT]);
/** True: some limit, hard or soft. */
bool pw_cli_budget_limited(const pawl_value *budget);
/** A line for each unit that is limited: a bar, what is spent, set aside and left. */
void pw_cli_budget_limits(pw_cli *cli, const pawl_value *budget, size_t indent);

#endif
