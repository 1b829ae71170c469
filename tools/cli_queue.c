/*
 * cli_queue.c - `queue`: the limits of task queues, shown and set, at the engine that serves the journal. Does not work without one: what is
 * queued and under way is known to it alone.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/limits.h"
#include "tools/cli_session.h"

/* "5", "5/s", "100/m", "2.5/h": starts a second; -1 when it is none. */
static double rate_parse(const char *text)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/min", 60}, {"/h", 3600}, {"/d", 86400}};
    char *end = NULL;
    if (*text < '0' || *text > '9') {
        return -1;
    }
    double n = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].unit) == 0 && n <= PW_QUEUE_LIMIT_MAX) {
            return n / units[i].seconds;
        }
    }
    return -1;
}

static int set(pw_cli *cli, const char *name)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    double rate = pw_cli_has(a, PW_OPT_RATE) ? rate_parse(a->value[PW_OPT_RATE]) : 0;
    if (rate < 0) {
        return pw_cli_usage(cli, "--rate is a number a second, or 100/m, 5/h; not \"%s\"",
                            a->value[PW_OPT_RATE]);
    }
    const pawl_value *args =
        pawl_build(cli->scope, "{name: %s, concurrency: %lld, rate: %p, burst: %lld}", name,
                   (long long)a->number[PW_OPT_CONCURRENCY],
                   pawl_v(pawl_make_num(cli->scope, rate)), (long long)a->number[PW_OPT_BURST]);
    pawl_status s = pw_cli_request(cli, "queue_set", args, -1, NULL, &err);
    return s == PAWL_OK ? PW_EXIT_OK : pw_cli_fail(cli, s, &err, "cannot set the limits");
}

static void cell_count(pw_cli_grid *grid, const pawl_value *queue, const char *key, bool limit)
{
    char text[32];
    int64_t n = pawl_int(queue, key, 0);
    (void)snprintf(text, sizeof text, "%" PRId64, n);
    pw_grid_str(grid, n == 0 ? PW_DIM : PW_PLAIN, n == 0 && limit ? "-" : text);
}

static void row(pw_cli_grid *grid, const pawl_value *queue)
{
    char text[64];
    double rate = pawl_num(queue, "rate", 0);
    (void)snprintf(text, sizeof text,
                   rate >= 1 || rate == 0 ? "%.4g/s"
                   : rate * 60 >= 1       ? "%.4g/m"
                                          : "%.4g/h",
                   rate >= 1        ? rate
                   : rate * 60 >= 1 ? rate * 60
                                    : rate * 3600);
    pw_grid_str(grid, PW_PLAIN, pawl_str(queue, "name", "?"));
    cell_count(grid, queue, "queued", false);
    cell_count(grid, queue, "running", false);
    cell_count(grid, queue, "concurrency", true);
    pw_grid_str(grid, rate == 0 ? PW_DIM : PW_PLAIN, rate == 0 ? "-" : text);
    cell_count(grid, queue, "burst", rate == 0);
}

static int show(pw_cli *cli, const char *name)
{
    static const char *const headings[] = {"QUEUE",       "QUEUED", "RUNNING",
                                           "CONCURRENCY", "RATE",   "BURST"};
    const pawl_value *queues = NULL;
    pawl_error err = {0};
    pw_cli_grid grid;
    size_t shown = 0;
    pawl_status s = pw_cli_request(cli, "queues", NULL, -1, &queues, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, "cannot read the queues");
    }
    pw_grid_init(&grid, 6);
    for (size_t i = 0; i < pawl_len(queues); i++) {
        const pawl_value *queue = pawl_at(queues, i);
        if (name != NULL && !pawl_is(queue, "name", name)) {
            continue;
        }
        if (cli->out.format == PW_FORMAT_TEXT) {
            row(&grid, queue);
        } else {
            pw_out_json_item(&cli->out, queue, shown);
        }
        shown++;
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_end(&cli->out, shown);
    } else if (shown > 0) {
        (void)pw_grid_print(&cli->out, &grid, headings, 0);
    }
    pw_grid_deinit(&grid);
    if (shown == 0 && cli->out.format == PW_FORMAT_TEXT && name != NULL) {
        pw_cli_note(cli, "nothing is queued in \"%s\", and it has no limits", name);
    } else if (shown == 0 && cli->out.format == PW_FORMAT_TEXT) {
        pw_cli_note(cli, "nothing is queued, and no queue has limits");
    }
    return PW_EXIT_OK;
}

int pw_verb_queue(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *name = a->operand_count > 0 ? a->operand[0] : NULL;
    bool sets = pw_cli_has(a, PW_OPT_CONCURRENCY) || pw_cli_has(a, PW_OPT_RATE) ||
                pw_cli_has(a, PW_OPT_BURST);
    if (sets && name == NULL) {
        return pw_cli_usage(
            cli,
            "which queue? pawl queue NAME --concurrency 8; \"default\" is that of calls that name none");
    }
    int code = pw_cli_connect(cli);
    if (code == PW_EXIT_OK && sets) {
        code = set(cli, name);
    }
    return code == PW_EXIT_OK ? show(cli, name) : code;
}
