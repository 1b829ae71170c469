/*
 * cli_target.c - which runs a command is about: one by its id or a prefix of it, or many by a filter, after asking.
 *
 * Does not change anything.
 */
#include <string.h>
#include <unistd.h>

#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "sdk/base/limits.h"
#include "tools/cli_session.h"

#define CANDIDATES_SHOWN 8
#define TARGETS_MAX 1000000

static int ambiguous(pw_cli *cli, const char *prefix, const char *const *ids, size_t len)
{
    pw_cli_out *o = &cli->complain;
    pw_out_styled(o, PW_BAD, "pawl:");
    pw_out_puts(o, " more than one run's id begins with \"");
    (void)pw_out_str(o, prefix);
    pw_out_puts(o, "\":\n");
    for (size_t i = 0; i < len && i < CANDIDATES_SHOWN; i++) {
        pw_out_puts(o, "        ");
        (void)pw_out_str(o, ids[i]);
        pw_buf_putc(&o->text, '\n');
    }
    if (len > CANDIDATES_SHOWN) {
        pw_out_puts(o, "        and more\n");
    }
    pw_out_puts(o, "      give more of it\n");
    (void)pw_cli_out_flush(o);
    return PW_EXIT_USAGE;
}

static bool exists(pw_cli *cli, const char *id, pawl_error *err)
{
    const pawl_value *run = NULL;
    return pw_cli_request(cli, "describe", pawl_build(cli->scope, "{id: %s}", id), -1, &run, err) ==
           PAWL_OK;
}

static bool is_among(const char *const *ids, size_t len, const char *id)
{
    for (size_t i = 0; i < len; i++) {
        if (strcmp(ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

/* Who types "wall" means wall-1, not its child wall-1/7: an id stands for what is above it, if that is a run and begins with the prefix too. */
static const char *root_of(pw_cli *cli, const char *id, size_t prefix_size, const char *const *ids,
                           size_t len)
{
    pawl_error err = {0};
    const char *slash = strchr(id + prefix_size, '/');
    const char *root =
        slash != NULL && slash > id ? pw_sprintf(cli->scope, "%.*s", (int)(slash - id), id) : NULL;
    return root != NULL && (is_among(ids, len, root) || exists(cli, root, &err)) ? root : id;
}

/* The distinct ids that begin with prefix, at most CANDIDATES_SHOWN + 1 of them. */
static pawl_status candidates(pw_cli *cli, const char *prefix, const char **ids, size_t *ret_len,
                              pawl_error *err)
{
    int64_t cursor = 0;
    const char *filter =
        pw_sprintf(cli->scope, "id ~ \"%s*\"",
                   prefix); /* ids hold no quotes; a * in one matches more: checked below */
    *ret_len = 0;
    do {
        const pawl_value *page = NULL;
        const pawl_value *args = pawl_build(cli->scope, "{filter: %s, limit: 100, cursor: %lld}",
                                            filter, (long long)cursor);
        pawl_status s = pw_cli_request(cli, "list", args, -1, &page, err);
        if (s != PAWL_OK) {
            return s;
        }
        const pawl_value *runs = pawl_get(page, "runs");
        for (size_t i = 0; i < pawl_len(runs) && *ret_len <= CANDIDATES_SHOWN; i++) {
            const char *id = pawl_str(pawl_at(runs, i), "id", "");
            id = strncmp(id, prefix, strlen(prefix)) == 0
                     ? root_of(cli, id, strlen(prefix), ids, *ret_len)
                     : NULL;
            if (id != NULL && !is_among(ids, *ret_len, id)) {
                ids[(*ret_len)++] = id;
            }
        }
        cursor = pawl_int(page, "next", 0);
    } while (cursor != 0 && *ret_len <= CANDIDATES_SHOWN);
    return PAWL_OK;
}

/* A start that was kept and refused left no run. */
static void say_refusals(pw_cli *cli, const char *id)
{
    const pawl_value *refused = pw_cli_refusals(cli, id, 0);
    for (size_t i = 0; i < pawl_len(refused); i++) {
        pw_cli_note(cli, "      %s", pw_cli_refusal_line(cli, pawl_at(refused, i)));
    }
}

static int kept_only(pw_cli *cli)
{
    pawl_error err = {0};
    (void)pw_error_set(&err, PAWL_NOCODE, __FILE__, __LINE__,
                       "the start of %s is kept, and no engine runs: it begins with the next",
                       cli->run_id);
    return pw_cli_fail(cli, PAWL_NOCODE, &err, NULL);
}

static int not_there(pw_cli *cli, const char *given)
{
    pawl_error err = {0};
    cli->run_id[0] = '\0';
    (void)pw_error_set(&err, PAWL_NOTFOUND, __FILE__, __LINE__,
                       "there is no run whose id is \"%s\" or begins with it", given);
    (void)pw_cli_fail(cli, PAWL_NOTFOUND, &err, NULL);
    say_refusals(cli, given);
    pw_cli_note(cli, "      try: pawl%s list", pw_cli_db_words(cli));
    return PW_EXIT_NOTFOUND;
}

/* "019ab3c4-5d6f/7": a child, by a prefix of the run above it. */
static bool child_find(pw_cli *cli, const char *given)
{
    const char *ids[CANDIDATES_SHOWN + 1];
    const char *slash = strchr(given, '/');
    size_t len = 0;
    pawl_error err = {0};
    const char *above =
        slash != NULL ? pw_strndup(cli->scope, given, (size_t)(slash - given)) : NULL;
    if (above == NULL || candidates(cli, above, ids, &len, &err) != PAWL_OK || len != 1) {
        return false;
    }
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s%s", ids[0], slash);
    return exists(cli, cli->run_id, &err);
}

/* No run has this very id: the one whose id begins with it. */
static int prefix_find(pw_cli *cli, const char *given, bool writing)
{
    const char *ids[CANDIDATES_SHOWN + 1];
    size_t len = 0;
    pawl_error err = {0};
    pawl_status s = candidates(cli, given, ids, &len, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (len > 1) {
        return ambiguous(cli, given, ids, len);
    }
    if (len == 1) {
        (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", ids[0]);
        return PW_EXIT_OK;
    }
    if (child_find(cli, given)) {
        return PW_EXIT_OK;
    }
    const char *kept = !pw_cli_live(cli) ? pw_cli_inbox_start_of(cli, given) : NULL;
    if (kept == NULL) {
        return not_there(cli, given);
    }
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", kept);
    return writing ? PW_EXIT_OK : kept_only(cli);
}

int pw_cli_target(pw_cli *cli, bool writing)
{
    const char *given = cli->args->value[PW_OPT_WORKFLOW_ID];
    pawl_error err = {0};
    if (given == NULL) {
        return pw_cli_usage(cli, "which run? give its id");
    }
    if (pw_id_check(given, strlen(given), &err) != PAWL_OK) {
        return pw_cli_usage(cli, "%s", err.message);
    }
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    (void)snprintf(cli->run_id, sizeof cli->run_id, "%s", given);
    if (exists(cli, given, &err)) {
        return PW_EXIT_OK;
    }
    if (!pw_cli_live(cli) && pw_cli_inbox_starts(cli, given)) {
        return writing ? PW_EXIT_OK : kept_only(cli);
    }
    return err.status == PAWL_NOTFOUND ? prefix_find(cli, given, writing)
                                       : pw_cli_fail(cli, err.status, &err, NULL);
}

/* ---- many ---- */

static bool target_add(pawl_scope *scope, pw_cli_targets *targets, size_t *capacity, const char *id)
{
    if (targets->len == *capacity) {
        size_t more = *capacity == 0 ? 64 : *capacity * 2;
        const char **ids = pawl_scope_alloc(scope, more * sizeof *ids);
        if (ids == NULL) {
            return false;
        }
        if (*capacity > 0) {
            memcpy(ids, targets->ids, *capacity * sizeof *ids);
        }
        targets->ids = ids;
        *capacity = more;
    }
    targets->ids[targets->len++] = id;
    return true;
}

static pawl_status matches(pw_cli *cli, const char *filter, size_t max, pw_cli_targets *targets,
                           pawl_error *err)
{
    size_t capacity = 0;
    int64_t cursor = 0;
    do {
        const pawl_value *page = NULL;
        const pawl_value *args = pawl_build(cli->scope, "{filter: %s, limit: 500, cursor: %lld}",
                                            filter, (long long)cursor);
        pawl_status s = pw_cli_request(cli, "list", args, -1, &page, err);
        if (s != PAWL_OK) {
            return s;
        }
        const pawl_value *runs = pawl_get(page, "runs");
        for (size_t i = 0; i < pawl_len(runs) && targets->len < max; i++) {
            if (!target_add(cli->scope, targets, &capacity, pawl_str(pawl_at(runs, i), "id", ""))) {
                return pw_err(err, PAWL_NOMEM, "out of memory");
            }
        }
        cursor = pawl_int(page, "next", 0);
    } while (cursor != 0 && targets->len < max);
    return PAWL_OK;
}

/* Asks on the terminal. 0 when the answer is yes. */
static int confirm(pw_cli *cli, const char *verb, size_t len)
{
    char line[32] = "";
    if (pw_cli_has(cli->args, PW_OPT_YES)) {
        return PW_EXIT_OK;
    }
    if (isatty(STDIN_FILENO) != 1) {
        return pw_cli_usage(cli, "%s %zu runs? say yes with -y", verb, len);
    }
    pw_out_printf(&cli->complain, "%s %zu runs? [y/N] ", verb, len);
    (void)pw_cli_out_flush(&cli->complain);
    if (fgets(line, sizeof line, stdin) == NULL || (line[0] != 'y' && line[0] != 'Y')) {
        pw_cli_note(cli, "nothing was done");
        return PW_EXIT_ERROR;
    }
    return PW_EXIT_OK;
}

int pw_cli_targets_get(pw_cli *cli, const char *verb, pw_cli_targets *ret_targets)
{
    const pw_cli_args *a = cli->args;
    pawl_error err = {0};
    *ret_targets = (pw_cli_targets){0};
    if (!pw_cli_has(a, PW_OPT_QUERY)) {
        int code = pw_cli_target(cli, true);
        const char **one = code == PW_EXIT_OK ? pawl_scope_alloc(cli->scope, sizeof *one) : NULL;
        if (one != NULL) {
            one[0] = cli->run_id;
            *ret_targets = (pw_cli_targets){one, 1};
        }
        return code;
    }
    if (pw_cli_has(a, PW_OPT_WORKFLOW_ID)) {
        return pw_cli_usage(cli, "give either the id of one run or a filter for many");
    }
    int code = pw_cli_connect(cli);
    if (code != PW_EXIT_OK) {
        return code;
    }
    size_t max = a->number[PW_OPT_LIMIT] > 0 ? (size_t)a->number[PW_OPT_LIMIT] : TARGETS_MAX;
    pawl_status s = matches(cli, a->value[PW_OPT_QUERY], max, ret_targets, &err);
    if (s != PAWL_OK) {
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (ret_targets->len == 0) {
        pw_cli_note(cli, "no run matches");
        return PW_EXIT_OK;
    }
    return confirm(cli, verb, ret_targets->len);
}
