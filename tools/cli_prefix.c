/*
 * cli_prefix.c - ids for a narrow terminal: as much of each as tells it from every other run of the journal, which every command takes for the
 * whole. A child's is that of the run above it, and what follows: "019ab3c4-5d6f/7".
 *
 * Decides nothing of widths (cli_grid.c), and finds no run by a prefix (cli_target.c).
 */
#include <string.h>

#include "journal/journal.h"
#include "sdk/base/arena.h"
#include "sdk/base/value.h"
#include "tools/cli_session.h"

#define PREFIX_MIN 8
#define ASKED_AT_ONCE 200
#define LONG_FROM 24 /* names that people give are left as they are */

typedef struct prefixes {
    pw_cli *cli;
    const pawl_value *kept; /* starts that wait for an engine have ids, too */
    size_t least;
} prefixes;

static size_t alike(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] != '\0' && a[n] == b[n]) {
        n++;
    }
    return n;
}

static void tell_from(prefixes *p, const char *id, const char *other)
{
    const size_t n = other != NULL && strcmp(id, other) != 0 ? alike(id, other) + 1 : 0;
    p->least = n > p->least ? n : p->least;
}

static bool row_take(void *ctx, pw_view row_map)
{
    prefixes *p = ctx;
    const pawl_value *row = pw_value_copy(p->cli->scope, row_map.data, row_map.size);
    const char *id = pawl_str(row, "id", "");
    tell_from(p, id, pawl_str(row, "before", NULL));
    tell_from(p, id, pawl_str(row, "near", NULL));
    tell_from(p, id, pawl_str(row, "after", NULL));
    for (size_t i = 0; i < pawl_len(p->kept); i++) {
        tell_from(p, id, pawl_str(pawl_at(p->kept, i), "id", NULL));
    }
    return true;
}

static size_t root_size(const char *id)
{
    return strcspn(id, "/");
}

/* The neighbours of each in the index of ids; its own children ("ID/...") are told from it by what follows. */
static bool ask(prefixes *p, const char *const *ids, size_t len)
{
    pw_buf sql = PW_BUF_INIT;
    pawl_error err = {0};
    pw_buf_puts(&sql, "WITH g(id) AS (VALUES");
    for (size_t i = 0; i < len; i++) { /* ids hold no quotes */
        pw_buf_printf(&sql, "%s('%.*s')", i > 0 ? "," : "", (int)root_size(ids[i]), ids[i]);
    }
    pw_buf_puts(&sql,
                ") SELECT id, (SELECT max(r.id) FROM pawl_runs r WHERE r.id < g.id) AS before,"
                " (SELECT min(r.id) FROM pawl_runs r WHERE r.id > g.id AND r.id < g.id || '/')"
                " AS near, (SELECT min(r.id) FROM pawl_runs r WHERE r.id >= g.id || '0')"
                " AS after FROM g");
    const bool ok = pw_buf_ok(&sql) &&
                    pw_sqlite_query(p->cli->db, pw_buf_cstr(&sql), row_take, p, &err) == PAWL_OK;
    pw_buf_deinit(&sql);
    return ok;
}

bool pw_cli_prefixes(pw_cli *cli, const char **ids, size_t len)
{
    prefixes p = {.cli = cli, .kept = pw_cli_inbox(cli), .least = PREFIX_MIN};
    for (size_t i = 0; i < len; i += ASKED_AT_ONCE) {
        if (!ask(&p, ids + i, len - i < ASKED_AT_ONCE ? len - i : ASKED_AT_ONCE)) {
            return false;
        }
    }
    for (size_t i = 0; i < len; i++) {
        const size_t root = root_size(ids[i]);
        const size_t size = p.least + (root > p.least && ids[i][p.least - 1] == '-');
        const char *cut = root > LONG_FROM && root > size
                              ? pw_sprintf(cli->scope, "%.*s%s", (int)size, ids[i], ids[i] + root)
                              : ids[i];
        ids[i] = cut != NULL ? cut : ids[i];
    }
    return true;
}
