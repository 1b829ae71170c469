/*
 * cli_token.c - `token`: the tokens of remote workers, made, listed and revoked in their file. A relay that uses the file sees it within a second; no
 * engine is asked.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "tools/cli_session.h"
#include "tools/worker_token.h"

#define NAMES_MAX 64

/* "a,b" as a list; nil when the option is not there. */
static const pawl_value *names(pw_cli *cli, pw_cli_opt option)
{
    const char *text = cli->args->value[option];
    const pawl_value *items[NAMES_MAX];
    size_t n = 0;
    if (text == NULL) {
        return NULL;
    }
    for (const char *at = text + strspn(text, ", "); *at != '\0' && n < NAMES_MAX;
         at += strspn(at, ", ")) {
        size_t size = strcspn(at, ", ");
        items[n++] = pawl_make_strn(cli->scope, at, size);
        at += size;
    }
    return pawl_make_array(cli->scope, items, n);
}

static int make(pw_cli *cli, const char *path, const char *name)
{
    char token[PW_WORKER_TOKEN_BYTES_MAX];
    pawl_error err = {0};
    if (pw_name_check(name, strlen(name), &err) != PAWL_OK) {
        return pw_cli_usage(cli, "%s", err.message);
    }
    pawl_status s =
        pw_worker_token_add(path, name, (int64_t)time(NULL) * 1000, names(cli, PW_OPT_QUEUE),
                            names(cli, PW_OPT_ACTIVITY), token, &err);
    if (s != PAWL_OK) {
        cli->way_out =
            s == PAWL_EXISTS ? "choose another name, or take that one out: --revoke" : NULL;
        cli->next = "";
        return pw_cli_fail(cli, s, &err, "cannot make a token");
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pawl_build(cli->scope, "{name: %s, token: %s}", name, token));
    } else {
        pw_out_puts(&cli->out, token);
        pw_out_puts(&cli->out, "\n");
        pw_cli_note(cli, "it is shown this once; the file has its hash only");
    }
    return PW_EXIT_OK;
}

static int revoke(pw_cli *cli, const char *path, const char *name)
{
    pawl_error err = {0};
    pawl_status s = pw_worker_token_revoke(path, name, &err);
    if (s != PAWL_OK) {
        cli->next = "";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pawl_build(cli->scope, "{name: %s, revoked: true}", name));
    }
    return PW_EXIT_OK;
}

static const pawl_value *as_value(pawl_scope *scope, const pw_worker_grant *g)
{
    const pawl_value *v = pawl_build(scope, "{name: %s, id: %s, created_ms: %lld}", g->name, g->id,
                                     (long long)g->created_ms);
    v = g->queues != NULL ? pawl_with(scope, v, "queues", g->queues) : v;
    return g->activities != NULL ? pawl_with(scope, v, "activities", g->activities) : v;
}

static const char *joined(pawl_scope *scope, const pawl_value *list)
{
    const char *text = list == NULL ? "any" : "";
    for (size_t i = 0; i < pawl_len(list); i++) {
        text =
            pw_sprintf(scope, "%s%s%s", text, i > 0 ? "," : "", pawl_str(pawl_at(list, i), "", ""));
    }
    return text;
}

static int list(pw_cli *cli, const char *path)
{
    static const char *const headings[] = {"NAME", "ID", "QUEUES", "ACTIVITIES"};
    pw_worker_grants *g = NULL;
    pawl_error err = {0};
    pw_cli_grid grid;
    pawl_status s = pw_worker_grants_read(path, &g, &err);
    if (s != PAWL_OK) {
        cli->next = "";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    pw_grid_init(&grid, PW_COUNT(headings));
    for (size_t i = 0; i < g->len; i++) {
        const pw_worker_grant *one = &g->list[i];
        if (cli->out.format != PW_FORMAT_TEXT) {
            pw_out_json_item(&cli->out, as_value(cli->scope, one), i);
            continue;
        }
        pw_grid_str(&grid, PW_PLAIN, one->name);
        pw_grid_str(&grid, PW_DIM, one->id);
        pw_grid_str(&grid, PW_PLAIN, joined(cli->scope, one->queues));
        pw_grid_str(&grid, PW_PLAIN, joined(cli->scope, one->activities));
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_end(&cli->out, g->len);
    } else if (g->len > 0) {
        (void)pw_grid_print(&cli->out, &grid, headings, 0);
    }
    pw_grid_deinit(&grid);
    pw_worker_grants_free(g);
    return PW_EXIT_OK;
}

int pw_verb_token(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const char *path = a->value[PW_OPT_WORKER_TOKENS];
    const char *name = a->operand_count > 0 ? a->operand[0] : NULL;
    bool narrows = pw_cli_has(a, PW_OPT_QUEUE) || pw_cli_has(a, PW_OPT_ACTIVITY);
    if (path == NULL) {
        return pw_cli_usage(cli, "which file? --worker-tokens FILE");
    }
    if (name == NULL && (narrows || pw_cli_has(a, PW_OPT_REVOKE))) {
        return pw_cli_usage(cli, "which token? pawl token NAME --worker-tokens FILE");
    }
    if (narrows && pw_cli_has(a, PW_OPT_REVOKE)) {
        return pw_cli_usage(cli, "--revoke takes the whole token out");
    }
    if (name == NULL) {
        return list(cli, path);
    }
    return pw_cli_has(a, PW_OPT_REVOKE) ? revoke(cli, path, name) : make(cli, path, name);
}
