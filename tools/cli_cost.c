/*
 * cli_cost.c - `cost`: what a run used, from the ledger, and how much of its budgets; or totals of the journal. Works without an engine.
 *
 *   $0.0123 is known; ~$0.05 counts as much as was reserved, since nobody heard what became of it; <=$0.05 is set aside; unpriced: no price
 *
 * Does not price anything: that was done when it was spent.
 */
#include <inttypes.h>
#include <string.h>

#include "sdk/base/amounts.h"
#include "tools/cli_budget.h"

enum { BAR_COLUMNS = 20, TEXT_MAX = PW_AMOUNT_TEXT, KEY_MAX = 20 };

/* ---- amounts ---- */

/* 12345678 as "12,345,678". */
static void count_text(int64_t n, char ret[32])
{
    char digits[24];
    size_t used = 0;
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-') {
            ret[used++] = ',';
        }
        ret[used++] = digits[i];
    }
    ret[used] = '\0';
}

/* "$2.00", "$0.0123": cents, and more digits where they say something. */
static void usd_text(double usd, char ret[32])
{
    int len = snprintf(ret, 32, "$%.6f", usd);
    while (len > 0 && ret[len - 1] == '0' && len > 3 && ret[len - 3] != '.') {
        ret[--len] = '\0';
    }
}

void pw_cli_amount_text(const char *unit, double n, char ret[PW_AMOUNT_TEXT])
{
    char text[32];
    if (strcmp(unit, "usd") == 0) {
        usd_text(n, text);
        (void)snprintf(ret, TEXT_MAX, "%s", text);
        return;
    }
    count_text((int64_t)n, text);
    (void)snprintf(ret, TEXT_MAX, "%s %s", text, unit);
}

/* "$0.0123, 6 calls, 8,420 tokens"; no dollars when nothing of it has a price. */
static void sum_text(const pawl_value *a, bool priced, char ret[TEXT_MAX])
{
    char usd[32], tokens[32], calls[32];
    int64_t n = pawl_int(a, "calls", 0);
    usd_text(pawl_num(a, "usd", 0), usd);
    count_text(pawl_int(a, "tokens", 0), tokens);
    count_text(n, calls);
    const bool dollars = priced || (n == 0 && pawl_int(a, "tokens", 0) == 0);
    int used = snprintf(ret, TEXT_MAX, "%s", dollars ? usd : "");
    if (n > 0) {
        used += snprintf(ret + used, TEXT_MAX - (size_t)used, "%s%s call%s", used > 0 ? ", " : "",
                         calls, n == 1 ? "" : "s");
    }
    if (pawl_int(a, "tokens", 0) > 0) {
        (void)snprintf(ret + used, TEXT_MAX - (size_t)used, "%s%s tokens", used > 0 ? ", " : "",
                       tokens);
    }
}

/* "tokens    24,010 in, 16,000 of it cached; 695 out, 300 of it reasoning" */
static void token_line(pw_cli *cli, const pawl_value *a)
{
    static const struct {
        const char *key, *before, *after;
    } parts[] = {{"input", "", " in"},
                 {"cache_read", ", ", " of it cached"},
                 {"output", "; ", " out"},
                 {"reasoning", ", ", " of it reasoning"}};
    char text[32];
    if (pawl_int(a, "input", 0) + pawl_int(a, "output", 0) == 0) {
        return;
    }
    pw_out_puts(&cli->out, "tokens    ");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int64_t n = pawl_int(a, parts[i].key, 0);
        count_text(n, text);
        if (n > 0 || i % 2 == 0) {
            pw_out_printf(&cli->out, "%s%s%s", parts[i].before, text, parts[i].after);
        }
    }
    pw_out_puts(&cli->out, "\n");
}

static void line(pw_cli *cli, pw_cli_style style, const char *label, const pawl_value *amounts,
                 bool priced)
{
    char text[TEXT_MAX];
    if (pawl_len(amounts) == 0) {
        return;
    }
    sum_text(amounts, priced || pawl_num(amounts, "usd", 0) > 0, text);
    pw_out_printf(&cli->out, "%-10s", label);
    pw_out_styled(&cli->out, style, text);
    pw_out_puts(&cli->out, "\n");
}

static void sums(pw_cli *cli, const pawl_value *of)
{
    int64_t unpriced = pawl_int(of, "unpriced", 0);
    if (pawl_len(pawl_get(of, "spent")) == 0) {
        pw_out_puts(&cli->out, "spent     nothing\n");
    }
    line(cli, PW_BOLD, "spent", pawl_get(of, "spent"), unpriced == 0);
    token_line(cli, pawl_get(of, "spent"));
    line(cli, PW_WARN, "estimated", pawl_get(of, "estimated"), unpriced == 0);
    line(cli, PW_NOW, "reserved", pawl_get(of, "reserved"), unpriced == 0);
    if (unpriced > 0) {
        pw_out_printf(&cli->out, "unpriced  ");
        pw_out_style(&cli->out, PW_WARN);
        pw_out_printf(&cli->out,
                      "%" PRId64 " attempt%s of a model without a price: only tokens count",
                      unpriced, unpriced == 1 ? "" : "s");
        pw_out_style(&cli->out, PW_PLAIN);
        pw_out_puts(&cli->out, "\n");
    }
}

/* ---- the tree of budgets ---- */

/* "##########======----------": spent, set aside, left. */
static void bar(pw_cli *cli, double spent, double reserved, double limit)
{
    bool fine = cli->out.unicode;
    double part = limit > 0 ? BAR_COLUMNS / limit : 0;
    int full = limit > 0 ? (int)(spent * part + 0.5) : BAR_COLUMNS;
    int held = limit > 0 ? (int)((spent + reserved) * part + 0.5) : BAR_COLUMNS;
    pw_out_style(&cli->out, full >= BAR_COLUMNS ? PW_BAD : PW_GOOD);
    for (int i = 0; i < BAR_COLUMNS; i++) {
        pw_out_puts(&cli->out, i < full   ? (fine ? "\xe2\x96\x88" : "#")
                               : i < held ? (fine ? "\xe2\x96\x92" : "=")
                                          : (fine ? "\xe2\x96\x91" : "-"));
    }
    pw_out_style(&cli->out, PW_PLAIN);
}

static const char *shown_name(const pawl_value *budget, size_t index)
{
    const char *name = pawl_str(budget, "name", "");
    bool of_run = strncmp(name, "run:", 4) == 0;
    return !of_run ? name : index == 0 ? "this run" : "the run above";
}

bool pw_cli_budget_limited(const pawl_value *budget)
{
    return pawl_len(pawl_get(budget, "limits.hard")) > 0 ||
           pawl_len(pawl_get(budget, "limits.soft")) > 0;
}

static void one_limit(pw_cli *cli, const pawl_value *budget, const char *unit)
{
    char used[TEXT_MAX], of[TEXT_MAX], soft[TEXT_MAX];
    const pawl_value *hard = pawl_get(pawl_get(budget, "limits.hard"), unit);
    const pawl_value *warn = pawl_get(pawl_get(budget, "limits.soft"), unit);
    double spent = pawl_num(pawl_get(budget, "spent"), unit, 0);
    double reserved = pawl_num(pawl_get(budget, "reserved"), unit, 0);
    if (hard == NULL && warn == NULL) {
        return;
    }
    double limit = pawl_num(hard != NULL ? hard : warn, "", 0);
    pw_cli_amount_text(unit, spent, used);
    pw_cli_amount_text(unit, limit, of);
    if (strcmp(unit, "usd") != 0) {
        count_text((int64_t)spent, used); /* "1 of 3 calls" */
    }
    bar(cli, spent, reserved, limit);
    pw_out_printf(&cli->out, "  %s of %s", used, of);
    if (reserved > 0) {
        pw_cli_amount_text(unit, reserved, used);
        used[strcspn(used, " ")] = '\0';
        pw_out_printf(&cli->out, ", %s reserved", used);
    }
    if (hard != NULL) {
        double left = limit - spent - reserved;
        pw_cli_amount_text(unit, left > 0 ? left : 0, used);
        used[strcspn(used, " ")] = '\0';
        pw_out_printf(&cli->out, ", %s left", used);
    }
    if (warn != NULL && hard != NULL) {
        pw_cli_amount_text(unit, pawl_num(warn, "", 0), soft);
        soft[strcspn(soft, " ")] = '\0';
        pw_out_printf(&cli->out, " (soft %s)", soft);
    } else if (hard == NULL) {
        pw_out_puts(&cli->out, " (soft)");
    }
    pw_out_puts(&cli->out, "\n");
}

void pw_cli_budget_limits(pw_cli *cli, const pawl_value *budget, size_t indent)
{
    static const char *const units[] = {
#define U(name, key) #key,
        PW_UNITS_LIST(U)
#undef U
    };
    const pawl_value *limits = pawl_get(budget, "limits");
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        if (pawl_get(pawl_get(limits, "hard"), units[u]) != NULL ||
            pawl_get(pawl_get(limits, "soft"), units[u]) != NULL) {
            pw_out_pad(&cli->out, indent);
            one_limit(cli, budget, units[u]);
        }
    }
}

static void budgets(pw_cli *cli, const pawl_value *list)
{
    size_t indent = 0;
    bool any = false;
    for (size_t i = 0; i < pawl_len(list); i++) {
        any |= pw_cli_budget_limited(pawl_at(list, i));
    }
    if (!any) {
        return;
    }
    pw_out_puts(&cli->out, "\n");
    for (size_t i = pawl_len(list); i > 0; i--) { /* the outermost first */
        const pawl_value *b = pawl_at(list, i - 1);
        pw_out_pad(&cli->out, indent);
        (void)pw_out_str(&cli->out, shown_name(b, i - 1));
        pw_out_puts(&cli->out, pw_cli_budget_limited(b) ? "\n" : "  no limit\n");
        pw_cli_budget_limits(cli, b, indent + 2);
        indent += 2;
    }
}

/* ---- steps ---- */

static void cell_count(pw_cli_grid *grid, const pawl_value *amounts, const char *key)
{
    char text[32];
    int64_t n = pawl_int(amounts, key, 0);
    count_text(n, text);
    pw_grid_str(grid, PW_PLAIN, n == 0 ? "" : text);
}

static void cell_cost(pw_cli_grid *grid, const pawl_value *entry, bool open)
{
    char usd[32];
    char text[48];
    bool estimated = pawl_is(entry, "state", "estimated");
    double n = pawl_num(pawl_get(entry, open ? "estimate" : "spent"), "usd", 0);
    if (pawl_bool(entry, "unpriced", false) && n <= 0) {
        pw_grid_str(grid, PW_WARN, "unpriced");
        return;
    }
    usd_text(n, usd);
    (void)snprintf(text, sizeof text, "%s%s", open ? "<=" : estimated ? "~" : "", usd);
    pw_grid_str(grid,
                open        ? PW_NOW
                : estimated ? PW_WARN
                            : PW_PLAIN,
                n == 0 && (open || estimated) ? "" : text);
}

static void entry_row(pw_cli_grid *grid, const pawl_value *e)
{
    char step[48], attempt[48];
    int64_t items = pawl_int(e, "items", 0), round = pawl_int(e, "round", 1);
    bool open = pawl_is(e, "state", "reserved") || pawl_is(e, "state", "begun");
    bool estimated = pawl_is(e, "state", "estimated");
    const pawl_value *a = pawl_get(e, open ? "estimate" : "spent");
    (void)snprintf(step, sizeof step, items > 0 ? "%" PRId64 "[%" PRId64 "]" : "%" PRId64,
                   pawl_int(e, "command", 0), items); /* of a map: how many items, and attempts */
    (void)snprintf(attempt, sizeof attempt,
                   items > 0   ? "%" PRId64 " in all"
                   : round > 1 ? "%" PRId64 " again"
                               : "%" PRId64,
                   pawl_int(e, "attempt", 1));
    pw_grid_str(grid, PW_PLAIN, step);
    pw_grid_str(grid, PW_PLAIN, attempt);
    pw_grid_str(grid, open ? PW_NOW : estimated ? PW_WARN : PW_PLAIN, pawl_str(e, "state", ""));
    pw_grid_str(grid, PW_PLAIN, pawl_str(e, "activity", ""));
    pw_grid_str(grid, PW_PLAIN, pawl_str(e, "model", ""));
    cell_count(grid, a, "input");
    cell_count(grid, a, "cache_read");
    cell_count(grid, a, "cache_write");
    cell_count(grid, a, "output");
    cell_count(grid, a, "reasoning");
    cell_count(grid, a, "calls");
    cell_cost(grid, e, open);
}

static void entries(pw_cli *cli, const pawl_value *list)
{
    static const char *const headings[] = {"STEP", "TRY",   "STATE", "ACTIVITY", "MODEL", "IN",
                                           "READ", "WRITE", "OUT",   "REASON",   "CALLS", "COST"};
    pw_cli_grid grid;
    if (pawl_len(list) == 0) {
        return;
    }
    pw_grid_init(&grid, sizeof headings / sizeof headings[0]);
    grid.yields = 4;
    for (size_t i = 0; i < pawl_len(list); i++) {
        entry_row(&grid, pawl_at(list, i));
    }
    pw_out_puts(&cli->out, "\n");
    (void)pw_grid_print(&cli->out, &grid, headings, 0);
    pw_grid_deinit(&grid);
}

static int show_run(pw_cli *cli)
{
    const pawl_value *cost = NULL;
    pawl_error err = {0};
    int code = pw_cli_target(cli, false);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_cli_request(cli, "cost", pawl_build(cli->scope, "{id: %s}", cli->run_id), -1,
                                   &cost, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, cost);
        return PW_EXIT_OK;
    }
    const char *status = pawl_str(cost, "status", "");
    (void)pw_out_str(&cli->out, pawl_str(cost, "id", ""));
    pw_out_puts(&cli->out, "  ");
    (void)pw_out_str(&cli->out, pawl_str(cost, "workflow", ""));
    pw_out_puts(&cli->out, "  ");
    pw_out_styled(&cli->out, pw_cli_status_style(status), status);
    pw_out_puts(&cli->out, "\n");
    sums(cli, cost);
    budgets(cli, pawl_get(cost, "budgets"));
    entries(cli, pawl_get(cost, "entries"));
    return PW_EXIT_OK;
}

/* ---- totals ---- */

/* A long name is cut where a terminal has room for little else. */
static void cell_key(const pw_cli *cli, pw_cli_grid *grid, const char *key)
{
    char text[KEY_MAX + 4];
    const size_t width = cli->out.width;
    const size_t most = width == 0 || width >= 120 ? strlen(key) : KEY_MAX;
    if (strlen(key) <= most) {
        pw_grid_str(grid, PW_PLAIN, key);
        return;
    }
    (void)snprintf(text, sizeof text, "%.*s%s", KEY_MAX - (cli->out.unicode ? 1 : 3), key,
                   cli->out.unicode ? "\xe2\x80\xa6" : "...");
    pw_grid_str(grid, PW_PLAIN, text);
}

static void total_row(const pw_cli *cli, pw_cli_grid *grid, const pawl_value *t, const char *by)
{
    char usd[32];
    const pawl_value *spent = pawl_get(t, "spent");
    const char *key = pawl_str(t, "key", "");
    char text[64] = "";
    usd_text(pawl_num(spent, "usd", 0), usd);
    cell_key(cli, grid, key[0] != '\0' ? key : strcmp(by, "model") == 0 ? "(none)" : "-");
    cell_count(grid, spent, "input");
    cell_count(grid, spent, "cache_read");
    cell_count(grid, spent, "output");
    cell_count(grid, spent, "calls");
    const bool unpriced = pawl_num(spent, "usd", 0) <= 0 && pawl_int(t, "unpriced", 0) > 0;
    pw_grid_str(grid, PW_PLAIN, unpriced ? "" : usd);
    double estimated = pawl_num(pawl_get(t, "estimated"), "usd", 0);
    usd_text(estimated, text);
    pw_grid_str(grid, PW_WARN, estimated > 0 ? text : "");
    (void)snprintf(text, sizeof text, "%" PRId64, pawl_int(t, "unpriced", 0));
    pw_grid_str(grid, PW_WARN, pawl_int(t, "unpriced", 0) > 0 ? text : "");
}

static int show_totals(pw_cli *cli, const char *by)
{
    static const char *const keys[][2] = {
        {"workflow", "WORKFLOW"}, {"model", "MODEL"}, {"day", "DAY"}};
    const char *headings[] = {"", "IN", "CACHED", "OUT", "CALLS", "COST", "ESTIMATED", "UNPRICED"};
    const pawl_value *cost = NULL;
    pawl_error err = {0};
    pw_cli_grid grid;
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s =
        pw_cli_request(cli, "cost", pawl_build(cli->scope, "{by: %s}", by), -1, &cost, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, cost);
        return PW_EXIT_OK;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        headings[0] = strcmp(by, keys[i][0]) == 0 ? keys[i][1] : headings[0];
    }
    const pawl_value *totals = pawl_get(cost, "totals");
    pw_grid_init(&grid, sizeof headings / sizeof headings[0]);
    for (size_t i = 0; i < pawl_len(totals); i++) {
        total_row(cli, &grid, pawl_at(totals, i), by);
    }
    if (pawl_len(totals) > 0) {
        (void)pw_grid_print(&cli->out, &grid, headings, 0);
        pw_out_puts(&cli->out, "\n");
    }
    pw_grid_deinit(&grid);
    sums(cli, cost);
    return PW_EXIT_OK;
}

int pw_verb_cost(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *by = pw_cli_has(a, PW_OPT_BY) ? a->value[PW_OPT_BY] : "workflow";
    bool known = strcmp(by, "workflow") == 0 || strcmp(by, "model") == 0 || strcmp(by, "day") == 0;
    if (!known) {
        return pw_cli_usage(cli, "--by is workflow, model or day, not \"%s\"", by);
    }
    if (pw_cli_has(a, PW_OPT_WORKFLOW_ID) && pw_cli_has(a, PW_OPT_BY)) {
        return pw_cli_usage(cli, "--by is of totals; of one run every step is shown");
    }
    return pw_cli_has(a, PW_OPT_WORKFLOW_ID) ? show_run(cli) : show_totals(cli, by);
}
