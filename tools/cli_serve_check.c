/*
 * cli_serve_check.c - `serve --check`: the rights file read, and the keys of each of its issuers fetched as a server would, now and once.
 *
 *   rights --> keys of each issuer: its file, its jwks_uri, or its metadata first --> what was found, or why not
 *
 * Listens nowhere, hosts nothing and touches no journal. Does not look at tokens.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/base/arena.h"
#include "sdk/base/error.h"
#include "sdk/base/mem.h"
#include "tools/cli_serve.h"
#include "tools/mcp/keys.h"

typedef struct survey {
    pw_cli *cli;
    uv_loop_t loop;
    pw_rights *rights;
    pw_keys *keys;
    bool failed; /* some issuer has no keys */
} survey;

static void on_came(void *user)
{
    (void)user; /* the loop is asked after each of its rounds */
}

/* Until none is under way: each has its own bound. */
static void wait_for_all(survey *s)
{
    bool wait = true;
    for (size_t i = 0; i < s->rights->issuers_len; i++) {
        (void)pw_keys_of(s->keys, &s->rights->issuers[i], false, &wait);
    }
    for (wait = true; wait;) {
        wait = false;
        for (size_t i = 0; i < s->rights->issuers_len; i++) {
            pw_keys_state state;
            pw_keys_state_of(s->keys, &s->rights->issuers[i], &state);
            wait |= state.under_way;
        }
        if (wait) {
            (void)uv_run(&s->loop, UV_RUN_ONCE);
        }
    }
}

static const char *problem_of(const pw_keys_state *state)
{
    return state->why[0] != '\0' ? state->why : state->len == 0 ? "there are none" : "";
}

static const char *way_of(const pw_issuer *issuer)
{
    return issuer->jwks_file != NULL  ? "file"
           : issuer->jwks_uri != NULL ? "written down"
                                      : "found by its metadata";
}

/* ---- for people ---- */

static void print(survey *s)
{
    static const char *const headings[] = {"NAME", "ISSUER", "KEYS", "AT", ""};
    pw_cli_out *o = &s->cli->out;
    pw_cli_grid grid;
    pw_grid_init(&grid, 5);
    for (size_t i = 0; i < s->rights->issuers_len; i++) {
        const pw_issuer *issuer = &s->rights->issuers[i];
        char len[24];
        pw_keys_state state;
        pw_keys_state_of(s->keys, issuer, &state);
        const char *problem = problem_of(&state);
        (void)snprintf(len, sizeof len, "%4zu", state.len);
        pw_grid_str(&grid, PW_BOLD, issuer->name);
        pw_grid_str(&grid, PW_PLAIN, issuer->issuer);
        pw_grid_str(&grid, PW_PLAIN, len);
        pw_grid_str(&grid, PW_PLAIN, state.uri != NULL ? state.uri : "-");
        pw_grid_str(&grid, problem[0] != '\0' ? PW_BAD : PW_DIM,
                    problem[0] != '\0' ? problem : way_of(issuer));
    }
    if (s->rights->issuers_len > 0) {
        (void)pw_grid_print(o, &grid, headings, 0);
    }
    pw_grid_deinit(&grid);
    pw_out_printf(o, "%s%zu roles, %zu principals, %zu issuers\n",
                  s->rights->issuers_len > 0 ? "\n" : "", s->rights->roles_len,
                  s->rights->principals_len, s->rights->issuers_len);
}

/* ---- for programs ---- */

static const pawl_value *value(survey *s)
{
    pawl_scope *scope = s->cli->scope;
    const size_t len = s->rights->issuers_len;
    const pawl_value **items = pw_alloc(scope, (len + 1) * sizeof(const pawl_value *));
    for (size_t i = 0; i < len && items != NULL; i++) {
        const pw_issuer *issuer = &s->rights->issuers[i];
        pw_keys_state state;
        pw_keys_state_of(s->keys, issuer, &state);
        items[i] = pawl_build(scope, "{name: %s, issuer: %s, keys: %lld, way: %s}", issuer->name,
                              issuer->issuer, (long long)state.len, way_of(issuer));
        if (state.uri != NULL) {
            items[i] = pawl_with(scope, items[i], "at", pawl_make_str(scope, state.uri));
        }
        if (problem_of(&state)[0] != '\0') {
            items[i] =
                pawl_with(scope, items[i], "problem", pawl_make_str(scope, problem_of(&state)));
        }
    }
    return pawl_build(scope, "{issuers: %p, roles: %lld, principals: %lld}",
                      pawl_v(pawl_make_array(scope, items, items != NULL ? len : 0)),
                      (long long)s->rights->roles_len, (long long)s->rights->principals_len);
}

static void show(survey *s)
{
    for (size_t i = 0; i < s->rights->issuers_len; i++) {
        pw_keys_state state;
        pw_keys_state_of(s->keys, &s->rights->issuers[i], &state);
        s->failed |= problem_of(&state)[0] != '\0';
    }
    if (s->cli->out.format != PW_FORMAT_TEXT) {
        pw_out_json(&s->cli->out, value(s));
    } else {
        print(s);
    }
}

int pw_cli_serve_check(pw_cli *cli)
{
    survey s = {.cli = cli};
    pawl_error err = {0};
    const pw_keys_options options = {.came = on_came, .ca_file = getenv("PAWL_CA_FILE")};
    if (!pw_cli_has(cli->args, PW_OPT_RIGHTS)) {
        return pw_cli_usage(cli, "--check looks at --rights FILE: give one");
    }
    if (uv_loop_init(&s.loop) != 0) {
        return pw_cli_fail(cli, PAWL_NOMEM, NULL, "cannot look at the rights");
    }
    pawl_status st = pw_rights_read(cli->args->value[PW_OPT_RIGHTS], &s.rights, &err);
    st = st == PAWL_OK ? pw_keys_open(&s.loop, s.rights, &options, &s.keys, &err) : st;
    if (st == PAWL_OK) {
        wait_for_all(&s);
        show(&s);
    }
    pw_keys_close(s.keys);
    pw_rights_release(s.rights);
    (void)uv_run(&s.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&s.loop);
    return st != PAWL_OK ? pw_cli_fail(cli, st, &err, "the rights are not as they should be")
           : s.failed    ? PW_EXIT_ERROR
                         : PW_EXIT_OK;
}
