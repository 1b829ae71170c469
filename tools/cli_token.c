/*
 * cli_token.c - `token`: the tokens of remote workers and of MCP clients, made, listed and revoked in their file. A server that uses the file sees it
 * within a second; no engine is asked. Which roles there are beside the usual ones is known with --rights; without it, serve --rights knows.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sdk/base/arena.h"
#include "sdk/base/id.h"
#include "tools/cli_session.h"
#include "tools/mcp/rights.h"
#include "tools/token.h"
#include "tools/word.h"

#define NAMES_MAX 64
#define WORKSPACE_BYTES_MAX 90

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

/* [T21] "ISSUER:WORKSPACE" is one that an authorization server gives: whoever could name it would share its runs. What else is refused is no name of a space of
 * concepts. */
static bool fits_workspace(pw_cli *cli, const char *workspace)
{
    const char *colon = strrchr(workspace, ':');
    bool fits = strlen(workspace) <= WORKSPACE_BYTES_MAX;
    for (const char *p = workspace; *p != '\0' && fits; p++) {
        fits = *p > ' ' && *p <= '~' && *p != '/';
    }
    if (colon != NULL) {
        (void)pw_cli_usage(cli,
                           "a workspace has no colon: \"ISSUER:NAME\" is one that an authorization "
                           "server gives; try --workspace %s",
                           colon[1] != '\0' ? colon + 1 : "NAME");
    } else if (!fits) {
        (void)pw_cli_usage(
            cli, "a workspace is at most %d letters, digits and signs, without blanks and slashes",
            WORKSPACE_BYTES_MAX);
    }
    return colon == NULL && fits;
}

/* What the command line says of a token. False: it said why not. */
static bool describe(pw_cli *cli, const char *name, pw_token_grant *ret_grant)
{
    const pw_cli_args *a = cli->args;
    const int64_t now_ms = (int64_t)time(NULL) * 1000;
    const char *principal = pw_cli_has(a, PW_OPT_PRINCIPAL) ? a->value[PW_OPT_PRINCIPAL] : name;
    pawl_error err = {0};
    if (pw_name_check(name, strlen(name), &err) != PAWL_OK ||
        pw_name_check(principal, strlen(principal), &err) != PAWL_OK) {
        (void)pw_cli_usage(cli, "%s", err.message);
        return false;
    }
    if (strchr(principal, ':') != NULL) { /* [T21] those of authorization servers have one */
        (void)pw_cli_usage(cli, "a principal has no colon: \"ISSUER:SUBJECT\" is one whose "
                                "authorization server says so");
        return false;
    }
    const char *workspace = pw_cli_has(a, PW_OPT_WORKSPACE) ? a->value[PW_OPT_WORKSPACE] : "";
    if (!fits_workspace(cli, workspace)) {
        return false;
    }
    *ret_grant = (pw_token_grant){
        .kind = pw_cli_has(a, PW_OPT_CLIENT_TOKENS) ? PW_TOKEN_CLIENT : PW_TOKEN_WORKER,
        .name = name,
        .created_ms = now_ms,
        .expires_ms = pw_cli_has(a, PW_OPT_TTL) ? now_ms + a->number[PW_OPT_TTL] : 0,
        .queues = names(cli, PW_OPT_QUEUE),
        .activities = names(cli, PW_OPT_ACTIVITY),
        .principal = principal,
        .workspace = workspace,
        .roles = names(cli, PW_OPT_ROLE)};
    return true;
}

/* Those that there are: always, and of --rights. Their list in a line, and the one that was meant. */
static void role_unknown(const pw_rights *rights, const char *role, pw_buf *list,
                         const char **ret_near)
{
    const char *names[NAMES_MAX];
    size_t len = 0;
    while (len < rights->roles_len && len < NAMES_MAX) {
        names[len] = rights->roles[len].name;
        len++;
    }
    for (size_t i = 0; i < len; i++) {
        pw_buf_printf(list, "%s%s", i == 0 ? "" : i + 1 < len ? ", " : " or ", names[i]);
    }
    size_t near = pw_word_near(role, names, len);
    *ret_near = near < len ? names[near] : NULL;
}

/* Where the rights are known a role that is none is refused; else it may be of those that serve has, and is doubted. */
static int check_role(pw_cli *cli, const pw_rights *rights, const char *role)
{
    PW_CLEANUP(pw_buf_deinit) pw_buf list = PW_BUF_INIT;
    const char *near = NULL;
    if (pw_rights_role(rights, role) != NULL) {
        return PW_EXIT_OK;
    }
    role_unknown(rights, role, &list, &near);
    const char *meant = near != NULL ? pw_sprintf(cli->scope, "; did you mean %s?", near) : "";
    if (pw_cli_has(cli->args, PW_OPT_RIGHTS)) {
        return pw_cli_usage(cli, "there is no role \"%.60s\" in %.80s; it is %.120s%s", role,
                            cli->args->value[PW_OPT_RIGHTS], pw_buf_cstr(&list), meant);
    }
    pw_cli_note(cli, "\"%.60s\" is not %s%s", role, pw_buf_cstr(&list), meant);
    pw_cli_note(
        cli,
        "it gives nothing unless the file of serve --rights has it: --rights FILE checks that");
    return PW_EXIT_OK;
}

/* What it lets its holder do, where that is not what one may think. 0, or an exit code after having said why it is refused. */
static int check_roles(pw_cli *cli, const pw_token_grant *g)
{
    pawl_error err = {0};
    pw_rights *rights = NULL;
    int code = PW_EXIT_OK;
    if (g->kind != PW_TOKEN_CLIENT) {
        return code;
    }
    pawl_status s = pw_rights_read(cli->args->value[PW_OPT_RIGHTS], &rights, &err);
    if (s != PAWL_OK) {
        cli->next = "";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (pawl_len(g->roles) == 0) {
        pw_cli_note(cli, "it gives no role: it may do what --rights says of \"%s\", else nothing",
                    g->principal);
    }
    for (size_t i = 0; i < pawl_len(g->roles) && code == PW_EXIT_OK; i++) {
        code = check_role(cli, rights, pawl_str(pawl_at(g->roles, i), "", ""));
    }
    pw_rights_release(rights);
    return code;
}

static int make(pw_cli *cli, const char *path, const char *name)
{
    char token[PW_TOKEN_BYTES_MAX];
    pw_token_grant grant;
    pawl_error err = {0};
    if (!describe(cli, name, &grant)) {
        return PW_EXIT_USAGE;
    }
    int code = check_roles(cli, &grant);
    if (code != PW_EXIT_OK) {
        return code;
    }
    pawl_status s = pw_token_add(path, &grant, token, &err);
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
    pawl_status s = pw_token_revoke(path, name, &err);
    if (s != PAWL_OK) {
        cli->next = "";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&cli->out, pawl_build(cli->scope, "{name: %s, revoked: true}", name));
    } else {
        (void)pw_out_str(&cli->out, name);
        pw_out_puts(&cli->out, " is revoked; who holds it is cut off within a second\n");
    }
    return PW_EXIT_OK;
}

static const pawl_value *as_value(pawl_scope *scope, const pw_token_grant *g)
{
    const pawl_value *v = pawl_build(scope, "{name: %s, id: %s, created_ms: %lld}", g->name, g->id,
                                     (long long)g->created_ms);
    v = g->queues != NULL ? pawl_with(scope, v, "queues", g->queues) : v;
    v = g->activities != NULL ? pawl_with(scope, v, "activities", g->activities) : v;
    v = g->expires_ms != 0 ? pawl_with(scope, v, "expires_ms", pawl_make_int(scope, g->expires_ms))
                           : v;
    if (g->kind == PW_TOKEN_CLIENT) {
        v = pawl_with(scope, v, "principal", pawl_make_str(scope, g->principal));
        v = pawl_with(scope, v, "workspace", pawl_make_str(scope, g->workspace));
        v = pawl_with(scope, v, "roles", g->roles);
    }
    return v;
}

static const char *joined(pawl_scope *scope, const pawl_value *list, const char *none)
{
    const char *text = list == NULL || pawl_len(list) == 0 ? none : "";
    for (size_t i = 0; i < pawl_len(list); i++) {
        text =
            pw_sprintf(scope, "%s%s%s", text, i > 0 ? "," : "", pawl_str(pawl_at(list, i), "", ""));
    }
    return text;
}

static void row_of_client(pw_cli *cli, pw_cli_grid *grid, const pw_token_grant *g)
{
    pw_grid_str(grid, PW_PLAIN, g->name);
    pw_grid_str(grid, PW_DIM, g->id);
    pw_grid_str(grid, PW_PLAIN, g->principal);
    pw_grid_str(grid, PW_PLAIN, g->workspace[0] != '\0' ? g->workspace : "-");
    pw_grid_str(grid, PW_PLAIN, joined(cli->scope, g->roles, "none"));
    if (g->expires_ms == 0) {
        pw_grid_str(grid, PW_DIM, "never");
    } else {
        char text[32];
        const bool over = g->expires_ms <= (int64_t)time(NULL) * 1000;
        pw_cli_iso(text, g->expires_ms);
        pw_grid_str(grid, over ? PW_BAD : PW_PLAIN,
                    over ? pw_sprintf(cli->scope, "%s (over)", text) : text);
    }
}

static void row_of_worker(pw_cli *cli, pw_cli_grid *grid, const pw_token_grant *g)
{
    pw_grid_str(grid, PW_PLAIN, g->name);
    pw_grid_str(grid, PW_DIM, g->id);
    pw_grid_str(grid, PW_PLAIN, joined(cli->scope, g->queues, "any"));
    pw_grid_str(grid, PW_PLAIN, joined(cli->scope, g->activities, "any"));
}

static int list(pw_cli *cli, const char *path, pw_token_kind kind)
{
    static const char *const of_workers[] = {"NAME", "ID", "QUEUES", "ACTIVITIES"};
    static const char *const of_clients[] = {"NAME",      "ID",    "PRINCIPAL",
                                             "WORKSPACE", "ROLES", "EXPIRES"};
    const bool clients = kind == PW_TOKEN_CLIENT;
    pw_token_grants *g = NULL;
    pawl_error err = {0};
    pw_cli_grid grid;
    size_t shown = 0;
    pawl_status s = pw_token_grants_read(path, &g, &err);
    if (s != PAWL_OK) {
        cli->next = "";
        return pw_cli_fail(cli, s, &err, NULL);
    }
    pw_grid_init(&grid, clients ? PW_COUNT(of_clients) : PW_COUNT(of_workers));
    for (size_t i = 0; i < g->len; i++) {
        const pw_token_grant *one = &g->list[i];
        if (one->kind != kind) {
            continue;
        }
        if (cli->out.format != PW_FORMAT_TEXT) {
            pw_out_json_item(&cli->out, as_value(cli->scope, one), shown++);
            continue;
        }
        shown++;
        (clients ? row_of_client : row_of_worker)(cli, &grid, one);
    }
    if (cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json_end(&cli->out, shown);
    } else if (shown > 0) {
        (void)pw_grid_print(&cli->out, &grid, clients ? of_clients : of_workers, 0);
    } else {
        pw_cli_note(cli, "there are no tokens of %s in %s", clients ? "clients" : "workers", path);
    }
    pw_grid_deinit(&grid);
    pw_token_grants_free(g);
    return PW_EXIT_OK;
}

/* What is wrong with the options together; NULL = nothing. */
static const char *mismatch(const pw_cli_args *a)
{
    const bool worker = pw_cli_has(a, PW_OPT_QUEUE) || pw_cli_has(a, PW_OPT_ACTIVITY);
    const bool client = pw_cli_has(a, PW_OPT_ROLE) || pw_cli_has(a, PW_OPT_RIGHTS) ||
                        pw_cli_has(a, PW_OPT_PRINCIPAL) || pw_cli_has(a, PW_OPT_WORKSPACE) ||
                        pw_cli_has(a, PW_OPT_TTL);
    const bool clients = pw_cli_has(a, PW_OPT_CLIENT_TOKENS);
    if (clients == pw_cli_has(a, PW_OPT_WORKER_TOKENS)) {
        return clients ? "one file at a time: --client-tokens FILE or --worker-tokens FILE"
                       : "which file? --client-tokens FILE or --worker-tokens FILE";
    }
    if (clients ? worker : client) {
        return clients
                   ? "--queue and --activity are of workers' tokens"
                   : "--role, --rights, --principal, --workspace and --ttl are of clients' tokens";
    }
    if (a->operand_count == 0 && (worker || client || pw_cli_has(a, PW_OPT_REVOKE))) {
        return "which token? pawl token NAME";
    }
    if ((worker || client) && pw_cli_has(a, PW_OPT_REVOKE)) {
        return "--revoke takes the whole token out";
    }
    return NULL;
}

int pw_verb_token(pw_cli *cli)
{
    const pw_cli_args *a = cli->args;
    const bool clients = pw_cli_has(a, PW_OPT_CLIENT_TOKENS);
    const char *path = a->value[clients ? PW_OPT_CLIENT_TOKENS : PW_OPT_WORKER_TOKENS];
    const char *name = a->operand_count > 0 ? a->operand[0] : NULL;
    const char *why = mismatch(a);
    if (why != NULL) {
        return pw_cli_usage(cli, "%s", why);
    }
    if (name == NULL) {
        return list(cli, path, clients ? PW_TOKEN_CLIENT : PW_TOKEN_WORKER);
    }
    return pw_cli_has(a, PW_OPT_REVOKE) ? revoke(cli, path, name) : make(cli, path, name);
}
