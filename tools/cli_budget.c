/*
 * cli_budget.c - `budget`: the budgets of a journal as a tree, with what is left, and the questions of steps that they hold; limits raised or set.
 * Looking works without an engine; a limit that is set without one is kept for the next.
 *
 * Does not show single attempts: cli_cost.c does.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/amounts.h"
#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "tools/cli_budget.h"
#include "tools/cli_table.h"

/* ---- reading ---- */

static pawl_status read_page(pw_cli *cli, const pawl_value *args, const pawl_value **ret_list,
                             pawl_error *err)
{
    const pawl_value *all = NULL, *page = NULL, *items[4096];
    size_t len = 0;
    const char *after = "";
    pawl_status s;
    do {
        const pawl_value *a = after[0] != '\0' ? pawl_with(cli->scope, args, "after",
                                                           pawl_make_str(cli->scope, after))
                                               : args;
        s = pw_cli_request(cli, "budgets", a, -1, &page, err);
        all = pawl_get(page, "budgets");
        for (size_t i = 0; s == PAWL_OK && i < pawl_len(all) && len < 4096; i++) {
            items[len++] = pawl_at(all, i);
        }
        after = s == PAWL_OK ? pawl_str(page, "next", "") : "";
    } while (after[0] != '\0' && len < 4096);
    *ret_list = pawl_make_array(cli->scope, items, len);
    return s;
}

/* ---- one ---- */

static void heading(pw_cli *cli, const pawl_value *b)
{
    const char *name = pawl_str(b, "name", "");
    const pawl_value *run = pawl_get(b, "run");
    const char *status = pawl_str(run, "status", "");
    if (run == NULL) {
        pw_out_style(&cli->out, PW_BOLD);
        (void)pw_out_str(&cli->out, name);
        pw_out_style(&cli->out, PW_PLAIN);
    } else {
        const char *dot = strncmp(name, "step:", 5) == 0 ? strchr(name, '.') : NULL;
        pw_out_puts(&cli->out, "run ");
        pw_out_style(&cli->out, PW_BOLD);
        (void)pw_out_str(&cli->out, pawl_str(run, "id", ""));
        pw_out_style(&cli->out, PW_PLAIN);
        pw_out_printf(&cli->out, dot != NULL ? ", step %s" : "%s", dot != NULL ? dot + 1 : "");
        pw_out_puts(&cli->out, "  ");
        (void)pw_out_str(&cli->out, pawl_str(run, "workflow", ""));
        pw_out_puts(&cli->out, "  ");
        pw_out_styled(&cli->out, pw_cli_status_style(status), status);
    }
    pw_out_puts(&cli->out, "\n");
}

/* Tokens and calls, too: a model without a price has spent those and no dollars. */
static void unlimited(pw_cli *cli, const pawl_value *b, size_t indent)
{
    static const char *const units[] = {"usd", "tokens", "calls"};
    const pawl_value *spent = pawl_get(b, "spent");
    char text[PW_AMOUNT_TEXT];
    bool any = false;
    pw_out_pad(&cli->out, indent);
    pw_out_puts(&cli->out, "no limit, ");
    for (size_t i = 0; i < PW_COUNT(units); i++) {
        const double amount = pawl_num(spent, units[i], 0);
        if (amount > 0) {
            pw_cli_amount_text(units[i], amount, text);
            pw_out_printf(&cli->out, "%s%s", any ? ", " : "", text);
            any = true;
        }
    }
    pw_out_puts(&cli->out, any ? " spent\n" : "nothing spent\n");
}

/* Which limit would let it go on, and what is to be typed. */
static void held(pw_cli *cli, const pawl_value *h, size_t indent)
{
    char asked[PW_AMOUNT_TEXT];
    const pawl_value *show = pawl_get(h, "show");
    const char *unit = pawl_str(show, "unit", "usd");
    double needs = pawl_num(show, "spent", 0) + pawl_num(show, "asked", 0);
    pw_cli_amount_text(unit, pawl_num(show, "asked", 0), asked);
    pw_out_pad(&cli->out, indent);
    pw_out_style(&cli->out, PW_WARN);
    pw_out_printf(&cli->out, "held: step %" PRId64 " of ", pawl_int(h, "command", 0));
    (void)pw_out_str(&cli->out, pawl_str(h, "id", ""));
    pw_out_printf(&cli->out, " asks for %s", asked);
    pw_out_style(&cli->out, PW_PLAIN);
    pw_out_puts(&cli->out, "\n");
    pw_out_pad(&cli->out, indent + 2);
    pw_out_puts(&cli->out, "pawl");
    (void)pw_out_str(&cli->out, pw_cli_db_words(cli));
    pw_out_puts(&cli->out, " answer ");
    (void)pw_out_str(&cli->out, pw_cli_shell_word(cli->scope, pawl_str(h, "id", "")));
    pw_out_printf(&cli->out, " --name budget raise --data '{\"%s\": %g}'\n", unit, needs);
}

static void set_by(pw_cli *cli, const pawl_value *set, size_t indent)
{
    if (set != NULL) {
        pw_out_pad(&cli->out, indent);
        pw_out_style(&cli->out, PW_DIM);
        pw_out_puts(&cli->out, "limits set ");
        pw_out_time(&cli->out, pawl_int(set, "at_ms", 0));
        pw_out_puts(&cli->out, " by ");
        (void)pw_out_str(&cli->out, pawl_str(set, "by", "?"));
        pw_out_style(&cli->out, PW_PLAIN);
        pw_out_puts(&cli->out, "\n");
    }
}

static void one(pw_cli *cli, const pawl_value *b, size_t depth)
{
    const size_t indent = depth * 2;
    const pawl_value *list = pawl_get(b, "held");
    pw_out_pad(&cli->out, indent);
    heading(cli, b);
    if (pw_cli_budget_limited(b)) {
        pw_cli_budget_limits(cli, b, indent + 2);
    } else {
        unlimited(cli, b, indent + 2);
    }
    set_by(cli, pawl_get(b, "set"), indent + 2);
    for (size_t i = 0; i < pawl_len(list); i++) {
        held(cli, pawl_at(list, i), indent + 2);
    }
}

/* ---- the tree: a child comes below its parent, or at the left when that is not shown ---- */

static bool is_shown(const pawl_value *list, const char *name)
{
    for (size_t i = 0; name[0] != '\0' && i < pawl_len(list); i++) {
        if (pawl_is(pawl_at(list, i), "name", name)) {
            return true;
        }
    }
    return false;
}

/* Not by recursion: the way down is kept. Budgets are at most so many above one another (PW_BUDGET_DEPTH_MAX). */
static void tree(pw_cli *cli, const pawl_value *list)
{
    enum { DEPTH = 32 };
    struct {
        const char *parent;
        size_t next;
    } way[DEPTH] = {{"", 0}};
    size_t depth = 0;
    for (;;) {
        if (way[depth].next >= pawl_len(list)) {
            if (depth == 0) {
                return;
            }
            depth--;
            continue;
        }
        const pawl_value *b = pawl_at(list, way[depth].next++);
        const char *parent = pawl_str(b, "parent", "");
        bool here = depth == 0 ? !is_shown(list, parent) : strcmp(parent, way[depth].parent) == 0;
        if (here) {
            one(cli, b, depth);
            if (depth + 1 < DEPTH) {
                depth++;
                way[depth].parent = pawl_str(b, "name", "");
                way[depth].next = 0;
            }
        }
    }
}

static int print(pw_cli *cli, const pawl_value *list)
{
    if (cli->out.format != PW_FORMAT_TEXT) {
        for (size_t i = 0; i < pawl_len(list); i++) {
            pw_out_json_item(&cli->out, pawl_at(list, i), i);
        }
        pw_out_json_end(&cli->out, pawl_len(list));
        return PW_EXIT_OK;
    }
    if (pawl_len(list) == 0) {
        pw_cli_note(cli,
                    "no budget has a limit or a name; `pawl budget all` shows those of every run");
    }
    tree(cli, list);
    return PW_EXIT_OK;
}

/* ---- verbs ---- */

/* A budget's name, else a run's id: {name} or {id}. */
static const pawl_value *whose(pw_cli *cli, const char *what, pawl_status *ret_status,
                               pawl_error *err)
{
    pawl_error no_name;
    const pawl_value *page = NULL;
    const pawl_value *by_name = pawl_build(cli->scope, "{name: %s}", what);
    const pawl_value *by_id = pawl_build(cli->scope, "{id: %s}", what);
    *ret_status = pw_cli_request(cli, "budgets", by_name, -1, &page, err);
    if (*ret_status != PAWL_NOTFOUND) {
        return by_name;
    }
    *ret_status = pw_cli_request(cli, "describe", by_id, -1, &page, err);
    if (*ret_status == PAWL_NOTFOUND && pw_cli_inbox_starts(cli, what)) {
        *ret_status = pw_error_set(
            err, PAWL_NOT, __FILE__, __LINE__,
            "the start of %.100s is kept for the next engine: it has no budget yet", what);
        cli->way_out = "set it when it has begun, or start it with one: --budget";
        cli->next = "pawl%d serve";
    } else if (*ret_status == PAWL_NOTFOUND) {
        (void)snprintf(err->message, sizeof err->message,
                       "no budget and no run is named \"%.100s\"", what);
        if (pw_name_check(what, strlen(what), &no_name) == PAWL_OK) {
            cli->way_out = "set makes a budget of that name, also before a run uses it";
            cli->next = pw_sprintf(cli->scope, "pawl%%d budget set %s usd=5", what);
        }
    }
    return by_id;
}

/* The budget that a run has of its own is "run:9" in the engine's words, which nobody typed: the run is told by its id. */
static int refused(pw_cli *cli, const char *what, pawl_status s, pawl_error *err)
{
    const char *from = what != NULL ? strstr(err->message, "\"run:") : NULL;
    const char *to = from != NULL ? strchr(from + 1, '"') : NULL;
    if (to != NULL && s == PAWL_NOTFOUND) {
        (void)snprintf(err->message, sizeof err->message, "run \"%.100s\" has no budget", what);
        cli->way_out = "set gives it its first limit";
        cli->next = pw_sprintf(cli->scope, "pawl%%d budget set %s usd=5", what);
    } else if (to != NULL) {
        const char *message = pw_sprintf(cli->scope, "%.*srun \"%.100s\"%s",
                                         (int)(from - err->message), err->message, what, to + 1);
        (void)snprintf(err->message, sizeof err->message, "%s", message);
    }
    return pw_cli_fail(cli, s, err, NULL);
}

static int look(pw_cli *cli, const char *what, bool all)
{
    pawl_error err = {0};
    const pawl_value *list = NULL;
    pawl_status s = PAWL_OK;
    const pawl_value *args =
        what != NULL ? whose(cli, what, &s, &err)
                     : pawl_build(cli->scope, "{all: %p}", pawl_v(pawl_make_bool(cli->scope, all)));
    s = s == PAWL_OK ? read_page(cli, args, &list, &err) : s;
    return s == PAWL_OK ? print(cli, list) : refused(cli, what, s, &err);
}

/* `usd=2,calls=50`, or the JSON of limits. NULL: neither. */
static const pawl_value *limits_of(pw_cli *cli, const char *text)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf json = PW_BUF_INIT;
    const pawl_value *v = NULL;
    pawl_error err;
    pw_buf_puts(&json, text[0] == '{' ? "" : "{\"");
    for (const char *at = text; *at != '\0'; at++) {
        bool pair = text[0] != '{';
        pw_buf_puts(&json, pair && *at == '=' ? "\":" : pair && *at == ',' ? ",\"" : "");
        if (!pair || (*at != '=' && *at != ',')) {
            pw_buf_putc(&json, *at);
        }
    }
    pw_buf_puts(&json, text[0] == '{' ? "" : "}");
    bool ok = pw_buf_ok(&json) &&
              pawl_parse_json(cli->scope, (const char *)json.data, json.size, &v, &err) == PAWL_OK;
    return ok && pawl_typeof(v) == PAWL_MAP ? v : NULL;
}

/* A name that neither a budget nor a run has: a slip of the key is seen, since it is said what it is good for. */
static void say_made(pw_cli *cli, const char *what, const pawl_value *limits)
{
    const pawl_value *parent = pawl_get(limits, "parent");
    pw_cli_note(cli, "no budget and no run was named \"%s\": that budget is made, %s%.100s", what,
                parent != NULL ? "below " : "with none above it",
                pawl_str(parent, "", pawl_str(parent, "name", "")));
    pw_cli_note(cli, "to start a run below it: pawl%s start TYPE --budget '{\"parent\": \"%s\"}'",
                pw_cli_db_words(cli), what);
}

/* What is there now; of one that is kept for the next engine and that nobody has made before there is nothing to see. */
static int changed(pw_cli *cli, const char *what, const pawl_value *done, bool made)
{
    const bool kept = pawl_bool(done, "kept", false);
    if (kept) {
        pw_cli_note(cli, "kept: the next engine sets it: pawl%s serve", pw_cli_db_words(cli));
    }
    if (kept && made && cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_item(&cli->out, pawl_build(cli->scope, "{name: %s, kept: true}", what), 0);
        pw_out_json_end(&cli->out, 1);
    }
    return kept && made ? PW_EXIT_OK : look(cli, what, false);
}

static int change(pw_cli *cli, const char *what, const char *text, bool raise)
{
    pawl_error err = {0};
    pawl_status s;
    const pawl_value *done = NULL;
    const pawl_value *limits = limits_of(cli, text);
    if (limits == NULL) {
        return pw_cli_usage(cli, "limits are usd=2,calls=50, or JSON as {\"usd\": 2}; not \"%s\"",
                            text);
    }
    const pawl_value *args = whose(cli, what, &s, &err);
    const bool made = s == PAWL_NOTFOUND && !raise;
    if (s != PAWL_OK && !made) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    args = made ? pawl_build(cli->scope, "{name: %s, make: true}", what) : args;
    cli->way_out = NULL;
    cli->next = NULL;
    args = pawl_with(cli->scope, args, "limits", limits);
    args = pawl_with(cli->scope, args, "raise", pawl_make_bool(cli->scope, raise));
    args = pawl_with(cli->scope, args, "by", pawl_make_str(cli->scope, pw_cli_by(cli)));
    if (pw_cli_has(cli->args, PW_OPT_DEDUP)) {
        args = pawl_with(cli->scope, args, "dedup",
                         pawl_make_str(cli->scope, cli->args->value[PW_OPT_DEDUP]));
    }
    s = pw_cli_request(cli, "budget_set", args, -1, &done, &err);
    if (s != PAWL_OK) {
        return refused(cli, what, s, &err);
    }
    if (made) {
        say_made(cli, what, limits);
    }
    return changed(cli, what, done, made);
}

int pw_verb_budget(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *verb = a->word != NULL ? a->word : "list";
    const char *what = a->operand_count > 0 ? a->operand[0] : NULL;
    bool changes = strcmp(verb, "raise") == 0 || strcmp(verb, "set") == 0;
    bool shows = strcmp(verb, "show") == 0 || (a->word == NULL && what != NULL);
    if (a->operand_count != (changes ? 2 : shows ? 1 : 0)) {
        return pw_cli_usage(cli,
                            changes ? "pawl budget %s NAME|ID usd=2,calls=50"
                            : shows ? "pawl budget %s NAME|ID"
                                    : "pawl budget %s takes nothing more",
                            verb);
    }
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    return changes ? change(cli, what, a->operand[1], strcmp(verb, "raise") == 0)
                   : look(cli, what, strcmp(verb, "all") == 0);
}
