/*
 * cli_meant.c - which workflow was meant, when one was mistyped: by those that the engine has, or, where none runs, by those that the
 * journal has had runs of. Refuses nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"
#include "tools/word.h"

#define NAMES_MAX 256
#define SHOWN_MAX 8

/* ---- of an engine ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The versions there are of what has the name. */
static const char *versions_of(pw_cli *cli, const pawl_value *list, const char *workflow)
{
    const char *all = "";
    for (size_t i = 0; i < pawl_len(list) && all != NULL; i++) {
        if (pawl_is(pawl_at(list, i), "name", workflow)) {
            all = pw_sprintf(cli->scope, "%s%s%s", all, all[0] != 0 ? ", " : "",
                             pawl_str(pawl_at(list, i), "version", ""));
        }
    }
    return all == NULL ? NULL : pw_sprintf(cli->scope, "%s has version %s", workflow, all);
}

/* What the engine has instead: the name that was meant, else some. NULL: it does not say. */
const char *pw_cli_meant_instead(pw_cli *cli, const char *workflow)
{
    const pawl_value *reply = NULL, *list;
    const char *names[NAMES_MAX], *some = "";
    size_t len = 0;
    pawl_error err = {0};
    if (!pw_cli_live(cli) || pw_cli_request(cli, "tools", NULL, -1, &reply, &err) != PAWL_OK) {
        return NULL;
    }
    list = pawl_get(reply, "workflows");
    while (len < pawl_len(list) && len < NAMES_MAX) {
        names[len] = pawl_str(pawl_at(list, len), "name", "");
        len++;
    }
    qsort(names, len, sizeof names[0], by_text);
    size_t near = pw_word_near(workflow, names, len);
    if (near < len && strcmp(names[near], workflow) == 0) {
        return versions_of(cli, list, workflow);
    }
    if (near < len) {
        return pw_sprintf(cli->scope, "did you mean %s? Code comes with --module FILE.so",
                          names[near]);
    }
    for (size_t i = 0; i < len && i < SHOWN_MAX && some != NULL; i++) {
        some = pw_sprintf(cli->scope, "%s%s%s", some, i > 0 ? ", " : "", names[i]);
    }
    return some == NULL || len == 0
               ? NULL
               : pw_sprintf(cli->scope, "it has %s%s; more code comes with --module FILE.so", some,
                            len > SHOWN_MAX ? " ..." : "");
}

/* ---- of a journal ---- */

typedef struct before {
    pw_cli *cli;
    const char *names[NAMES_MAX];
    size_t len;
} before;

static bool name_take(void *ctx, pw_view row_map)
{
    before *b = ctx;
    const pawl_value *row = pw_value_copy(b->cli->scope, row_map.data, row_map.size);
    b->names[b->len++] = pawl_str(row, "workflow", "");
    return b->len < NAMES_MAX;
}

static bool is_among(const before *b, const char *workflow)
{
    for (size_t i = 0; i < b->len; i++) {
        if (strcmp(b->names[i], workflow) == 0) {
            return true;
        }
    }
    return false;
}

const char *pw_cli_meant_before(pw_cli *cli, const char *workflow)
{
    /* The last runs: there is no index of names, and all of them would be a long way for a hint. */
    static const char sql[] = "SELECT DISTINCT workflow FROM (SELECT workflow FROM pawl_runs ORDER "
                              "BY key DESC LIMIT 10000)";
    before b = {.cli = cli};
    pawl_error err = {0};
    if (pw_sqlite_query(cli->db, sql, name_take, &b, &err) != PAWL_OK) {
        return NULL;
    }
    const pawl_value *builtins =
        is_among(&b, workflow) ? NULL : pw_cli_builtins(cli); /* (some milliseconds) */
    for (size_t i = 0; i < pawl_len(builtins) && b.len < NAMES_MAX; i++) {
        b.names[b.len++] = pawl_str(pawl_at(builtins, i), "name", "");
    }
    const size_t near = is_among(&b, workflow) ? b.len : pw_word_near(workflow, b.names, b.len);
    return near < b.len ? b.names[near] : NULL;
}
