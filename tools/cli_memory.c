/*
 * cli_memory.c - `memory`: the memory store looked at, searched, and changed by hand. Does not need an engine: a put is kept for one to come.
 */
#include <inttypes.h>
#include <string.h>

#include "tools/cli_session.h"
#include "tools/cli_table.h"

static const char *operand(const pw_cli *cli, size_t i)
{
    return i < cli->args->operand_count ? cli->args->operand[i] : NULL;
}

/* ---- looking ---- */

static void count_cell(pw_cli_grid *grid, int64_t n)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    pw_grid_str(grid, PW_PLAIN, text);
}

static void row(pw_cli *cli, pw_cli_grid *grid, const pawl_value *v, bool spaces)
{
    if (spaces) {
        pw_grid_str(grid, PW_PLAIN, pawl_str(v, "space", "?"));
        count_cell(grid, pawl_int(v, "memories", 0));
        count_cell(grid, pawl_int(v, "bytes", 0));
        return;
    }
    const char *text = pawl_str(v, "text", NULL);
    pw_grid_str(grid, PW_PLAIN, pawl_str(v, "key", "?"));
    pw_grid_str(grid, text != NULL ? PW_PLAIN : PW_DIM,
                text != NULL ? text : pawl_to_json(cli->scope, pawl_get(v, "data"), 0));
}

static int show(pw_cli *cli, const char *op, const pawl_value *args)
{
    static const char *const of_spaces[] = {"SPACE", "MEMORIES", "BYTES"};
    static const char *const of_rows[] = {"KEY", "TEXT"};
    const bool spaces = pawl_get(args, "space") == NULL;
    const pawl_value *list = NULL;
    pawl_error err = {0};
    pawl_status s = pw_cli_request(cli, op, args, -1, &list, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        for (size_t i = 0; i < pawl_len(list); i++) {
            pw_out_json_item(&cli->out, pawl_at(list, i), i);
        }
        pw_out_json_end(&cli->out, pawl_len(list));
        return PW_EXIT_OK;
    }
    if (pawl_len(list) == 0) {
        pw_cli_note(cli,
                    strcmp(op, "memories") == 0 ? "nothing is remembered" : "nothing is found");
        return PW_EXIT_OK;
    }
    pw_cli_grid grid;
    pw_grid_init(&grid, spaces ? 3 : 2);
    for (size_t i = 0; i < pawl_len(list); i++) {
        row(cli, &grid, pawl_at(list, i), spaces);
    }
    (void)pw_grid_print(&cli->out, &grid, spaces ? of_spaces : of_rows, 0);
    pw_grid_deinit(&grid);
    return PW_EXIT_OK;
}

static int list(pw_cli *cli)
{
    const int64_t limit = cli->args->number[PW_OPT_LIMIT];
    const char *space = operand(cli, 0);
    if (operand(cli, 1) != NULL) {
        return pw_cli_usage(cli, "pawl memory list, search, put or delete; not \"%s\"", space);
    }
    return show(cli, "memories",
                pawl_build(cli->scope, "{space: %s, limit: %lld}", space,
                           (long long)(limit > 0 ? limit : 100)));
}

static int search(pw_cli *cli)
{
    const int64_t limit = cli->args->number[PW_OPT_LIMIT];
    if (operand(cli, 1) == NULL) {
        return pw_cli_usage(cli, "search where, for what? pawl memory search SPACE 'WORDS'");
    }
    return show(cli, "memory_search",
                pawl_build(cli->scope, "{space: %s, query: %s, limit: %lld}", operand(cli, 0),
                           operand(cli, 1), (long long)(limit > 0 ? limit : 10)));
}

/* ---- changing ---- */

/* done: " is remembered"; doing: the same of what waits for an engine, "kept: remember ". */
static int change(pw_cli *cli, const char *op, const pawl_value *args, const char *done,
                  const char *doing)
{
    pawl_error err = {0};
    pawl_status s = pw_cli_request(cli, op, args, -1, NULL, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    const bool kept = pw_cli_kept(cli);
    if (cli->out.format != PW_FORMAT_TEXT) {
        const pawl_value *what =
            pawl_build(cli->scope, "{space: %s, key: %s}", operand(cli, 0), operand(cli, 1));
        pw_out_json_item(&cli->out,
                         pawl_with(cli->scope, what, "kept", pawl_make_bool(cli->scope, kept)), 0);
        pw_out_json_end(&cli->out, 1);
        return PW_EXIT_OK;
    }
    pw_out_puts(&cli->out, kept ? doing : "");
    pw_out_styled(&cli->out, PW_BOLD, pawl_str(args, "key", ""));
    pw_out_printf(&cli->out, "%s in ", kept ? "" : done);
    (void)pw_out_str(&cli->out, pawl_str(args, "space", ""));
    pw_out_puts(&cli->out, "\n");
    if (kept) {
        pw_cli_say_kept(cli);
    }
    return PW_EXIT_OK;
}

static int put(pw_cli *cli)
{
    const pawl_value *data = NULL;
    const double ttl = (double)cli->args->number[PW_OPT_TTL] / 1000.0;
    int code = pw_cli_json_arg(cli, PW_OPT_DATA, &data);
    if (code != PW_EXIT_OK) {
        return code;
    }
    if (operand(cli, 1) == NULL || (operand(cli, 2) == NULL && data == NULL)) {
        return pw_cli_usage(cli, "remember what? pawl memory put SPACE KEY 'TEXT'");
    }
    const pawl_value *args =
        pawl_build(cli->scope, "{space: %s, key: %s, text: %s, data: %p, ttl_s: %p, by: %s}",
                   operand(cli, 0), operand(cli, 1), operand(cli, 2), pawl_v(data),
                   pawl_v(ttl > 0 ? pawl_make_num(cli->scope, ttl) : NULL), pw_cli_by(cli));
    return change(cli, "memory_put", args, " is remembered", "kept: remember ");
}

static int drop(pw_cli *cli)
{
    if (operand(cli, 1) == NULL) {
        return pw_cli_usage(cli, "forget what? pawl memory delete SPACE KEY");
    }
    return change(cli, "memory_delete",
                  pawl_build(cli->scope, "{space: %s, key: %s, by: %s}", operand(cli, 0),
                             operand(cli, 1), pw_cli_by(cli)),
                  " is forgotten", "kept: forget ");
}

int pw_verb_memory(pw_cli *cli)
{
    static const struct {
        const char *name;
        int (*fn)(pw_cli *cli);
    } actions[] = {{"list", list}, {"search", search}, {"put", put}, {"delete", drop}};
    const char *name = cli->args->word != NULL ? cli->args->word : "list";
    size_t i = 0;
    while (i + 1 < sizeof actions / sizeof actions[0] && strcmp(name, actions[i].name) != 0) {
        i++;
    }
    const int code = pw_cli_connect(cli);
    return code == PW_EXIT_OK ? actions[i].fn(cli) : code;
}
